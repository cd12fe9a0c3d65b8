"""The guest's mouse: where it is and which buttons are down.

In server mouse mode a client sends motions, which move a pointer that the guest keeps inside the display; in client
mouse mode it sends positions. Both come with a mask of the buttons that are down, and it is the mask that counts: real
servers hand the guest nothing else. A button that changed in the mask alone gives an event as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from spiceemu.drawing.surface import MAX_HEIGHT, MAX_WIDTH
from spiceemu.guest.limits import MAX_DISPLAYS
from spiceemu.protocol.enums import MouseButton, MouseButtonMask

if TYPE_CHECKING:
    from collections.abc import Callable

    from spiceemu.protocol.plain import Plain

    Bounds: TypeAlias = Callable[[int], tuple[int, int] | None]
    """Width and height in pixels of the display with that id, None if there is none."""

BUTTONS: Final = {
    MouseButton.LEFT: MouseButtonMask.LEFT,
    MouseButton.MIDDLE: MouseButtonMask.MIDDLE,
    MouseButton.RIGHT: MouseButtonMask.RIGHT,
    MouseButton.SIDE: MouseButtonMask.SIDE,
    MouseButton.EXTRA: MouseButtonMask.EXTRA,
}
"""The buttons that can be down. The wheel's two, UP and DOWN, only go; servers take them out of the mask."""

ALL_BUTTONS: Final[int] = sum(BUTTONS.values())
"""Every button that can be down, as a mask."""


@dataclass(frozen=True, slots=True)
class PointerEvent:
    """What the mouse did.

    :ivar x: where the pointer is now, in pixels of the display.
    :ivar buttons: all buttons that are down now (``MouseButtonMask``).
    :ivar button: the button that went down or up (``MouseButton``); UP and DOWN are steps of the wheel. None if the
        pointer moved.
    :ivar pressed: whether that button went down.
    """

    x: int
    y: int
    buttons: int
    display_id: int
    button: int | None = None
    pressed: bool = False


class Pointer:
    """The mouse of one guest.

    :param bounds: tells a display's size in pixels, or None for a display that is not there.
    """

    def __init__(self, bounds: Bounds) -> None:
        self.x = 0
        self.y = 0
        self.buttons = 0
        """Which buttons are down (``MouseButtonMask``)."""
        self.display_id = 0
        self._bounds = bounds

    def save(self) -> dict[str, Any]:
        """What another mouse needs to go on from here, as plain data.

        The place may lie beside a display that has become smaller since.
        """
        return {"x": self.x, "y": self.y, "buttons": int(self.buttons), "display_id": self.display_id}

    def load(self, state: Plain) -> Callable[[], None]:
        """Check the state of another mouse.

        :returns: what makes this one the same. Nothing moves and no button goes down or up by it.
        :raises InvalidValue: naming what no mouse of this guest can have.
        """
        x, y, buttons, display_id = state.fields("x", "y", "buttons", "display_id")
        displays = sum(self._bounds(number) is not None for number in range(MAX_DISPLAYS))
        return partial(
            self._become,
            x.integer(0, MAX_WIDTH - 1),
            y.integer(0, MAX_HEIGHT - 1),
            buttons.integer(0, ALL_BUTTONS),
            display_id.integer(0, displays - 1),
        )

    def _become(self, x: int, y: int, buttons: int, display_id: int) -> None:
        self.x, self.y = x, y
        self.buttons, self.display_id = buttons, display_id

    def move(self, dx: int, dy: int, buttons: int) -> list[PointerEvent]:
        """The mouse moved by so many steps, to the right and down; the pointer stays on its display."""
        return self._go(self.x + dx, self.y + dy, self.display_id, buttons)

    def place(self, x: int, y: int, buttons: int, display_id: int = 0) -> list[PointerEvent]:
        """The pointer is at a place of a display; at its edge if that is outside, nowhere if there is no display."""
        return self._go(x, y, display_id, buttons)

    def press(self, button: int, buttons: int) -> list[PointerEvent]:
        """A button went down, or the wheel by a step.

        :param button: which (``MouseButton``).
        :param buttons: the mask that came with it; spice-gtk's has the button already, old clients' masks of the
            wheel are 0.
        :returns: what there is to tell of it.
        """
        return self._click(button, buttons, pressed=True)

    def release(self, button: int, buttons: int) -> list[PointerEvent]:
        """A button went up."""
        return self._click(button, buttons, pressed=False)

    def release_all(self) -> list[PointerEvent]:
        """Let all buttons go up, as when the client has gone."""
        return self._follow(0)

    def _go(self, x: int, y: int, display_id: int, buttons: int) -> list[PointerEvent]:
        size = self._bounds(display_id)
        if size is None:
            return []
        width, height = size
        x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
        moved = (x, y, display_id) != (self.x, self.y, self.display_id)
        self.x, self.y, self.display_id = x, y, display_id
        return [*([self._event()] if moved else []), *self._follow(buttons)]

    def _click(self, button: int, buttons: int, *, pressed: bool) -> list[PointerEvent]:
        """The button's own event, then what else the mask has changed."""
        changed = self._follow(buttons)
        clicked = self._event(button, pressed=pressed)
        return [clicked, *(event for event in changed if event != clicked)]

    def _follow(self, buttons: int) -> list[PointerEvent]:
        """An event for each button that the mask says has changed."""
        before, self.buttons = self.buttons, buttons & ALL_BUTTONS
        return [
            self._event(button, pressed=bool(buttons & bit))
            for button, bit in BUTTONS.items()
            if (before ^ buttons) & bit
        ]

    def _event(self, button: int | None = None, *, pressed: bool = False) -> PointerEvent:
        return PointerEvent(self.x, self.y, self.buttons, self.display_id, button, pressed)
