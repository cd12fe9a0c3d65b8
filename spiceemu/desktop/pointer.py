"""What the mouse does, on the demo desktop: a map with the pointer's trace, and a picture of the mouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spiceemu.desktop.look import AMBER, AZURE, INK, PANEL, SUNKEN, UNLIT
from spiceemu.desktop.screen import rounded
from spiceemu.desktop.state import BUTTON_COLORS
from spiceemu.desktop.widgets import Panel, Shapes, TextView, shrink
from spiceemu.drawing.geometry import Rect
from spiceemu.guest.pointer import BUTTONS
from spiceemu.protocol.enums import MouseButton

if TYPE_CHECKING:
    from spiceemu.desktop.look import Look
    from spiceemu.desktop.screen import Screen
    from spiceemu.desktop.state import State
    from spiceemu.desktop.widgets import Shape

_LINE: Final = 0x35507A
_BODY: Final = 0x42557A
_KEYS: Final = 0x5C7199


class PointerPanel(Panel):
    """The screen made small with the last places of the pointer, and the mouse with its buttons."""

    title = "Pointer"

    def __init__(self, screen: Screen, box: Rect, look: Look, state: State) -> None:
        super().__init__(screen, box, look, state)
        inside, shown = self.draw_frame(), state.screen
        mouse_width = min(inside.height * 3 // 5, inside.width // 4)
        room = Rect(inside.x, inside.y, inside.width - mouse_width - look.pad, inside.height)
        width = min(room.width, max(room.height * shown.width // shown.height, 1))
        height = min(room.height, max(width * shown.height // shown.width, 1))
        frame = Rect(room.x + (room.width - width) // 2, room.y + (room.height - height) // 2, width, height)
        screen.fill(frame, UNLIT)
        self._map = shrink(frame, look.scale)
        screen.fill(self._map, SUNKEN)
        side = Rect(inside.right - mouse_width, inside.y, mouse_width, inside.height)
        self._mouse = _centered(side, min(side.width, side.height * 3 // 4) * 4 // 5, side.height)
        self._place = TextView(screen, self.head, look.detail)
        self._trace = Shapes(screen, SUNKEN)
        self._buttons = Shapes(screen, PANEL)
        self.refresh()

    def refresh(self) -> None:
        """Draw what changed since the last time."""
        pointer = self.state.guest.pointer
        where = f"x {pointer.x:<4} y {pointer.y:<4}"
        if pointer.display_id:
            where += f" on display {pointer.display_id}"
        wheel = f"wheel {self.state.wheel_turns:+}  "
        if self.state.wheel_turns and len(wheel + where) <= self._place.columns:
            where = wheel + where
        self._place.show([where.rjust(self._place.columns)])
        self._trace.show(self._map_shapes())
        self._buttons.show(self._mouse_shapes())

    def _map_shapes(self) -> list[Shape]:
        pointer, unit, area = self.state.guest.pointer, self.look.scale, self._map
        x, y = self._on_map(pointer.x, pointer.y)
        shapes: list[Shape] = [
            (Rect(x, area.y, unit, area.height), _LINE),
            (Rect(area.x, y, area.width, unit), _LINE),
        ]
        for dot in self.state.dots:
            dot_x, dot_y = self._on_map(dot.x, dot.y)
            reach = unit if dot.color == AZURE else 2 * unit
            shapes.append((Rect(dot_x - reach, dot_y - reach, 2 * reach + unit, 2 * reach + unit), dot.color))
        shapes.append((Rect(x - 2 * unit, y - 2 * unit, 5 * unit, 5 * unit), INK))
        return [(box.intersection(area), color) for box, color in shapes]

    def _on_map(self, x: int, y: int) -> tuple[int, int]:
        area, screen = self._map, self.state.screen
        return (
            area.x + (x - screen.x) * area.width // screen.width,
            area.y + (y - screen.y) * area.height // screen.height,
        )

    def _mouse_shapes(self) -> list[Shape]:
        box, unit, wheel = self._mouse, self.look.scale, self.state.wheel_lit
        radius, high, half = box.width // 2, box.height * 2 // 5, (box.width - 2 * unit) // 2
        left = Rect(box.x, box.y, half, high)
        right = Rect(box.right - half, box.y, half, high)
        slot = _centered(Rect(box.x, box.y + high // 5, box.width, high * 4 // 5), 12 * unit, high * 7 // 10)
        up = shrink(slot, 2 * unit)
        up = up._replace(height=up.height // 2)
        thumb = Rect(box.x, left.bottom + 2 * unit, 4 * unit, 6 * unit)
        left_color, right_color = self._color(MouseButton.LEFT, _KEYS), self._color(MouseButton.RIGHT, _KEYS)
        middle = self._color(MouseButton.MIDDLE, _BODY)
        return [
            *((part, _BODY) for part in rounded(box, radius, unit)),
            *((part, left_color) for part in rounded(left, radius, unit, right=False, bottom=False)),
            *((part, right_color) for part in rounded(right, radius, unit, left=False, bottom=False)),
            (thumb, self._color(MouseButton.SIDE, _KEYS)),
            (thumb.translate(0, 8 * unit), self._color(MouseButton.EXTRA, _KEYS)),
            *((part, PANEL) for part in rounded(slot, 4 * unit, unit)),
            (up, AMBER if wheel == MouseButton.UP else middle),
            (up.translate(0, up.height), AMBER if wheel == MouseButton.DOWN else middle),
        ]

    def _color(self, button: MouseButton, unlit: int) -> int:
        return BUTTON_COLORS.get(button, AZURE) if self.state.guest.pointer.buttons & BUTTONS[button] else unlit


def _centered(box: Rect, width: int, height: int) -> Rect:
    """A smaller box in the middle of another one."""
    return Rect(box.x + (box.width - width) // 2, box.y + (box.height - height) // 2, width, height)
