"""The bar and the clock of the demo desktop: what changes when nobody does anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spiceemu.desktop.look import AMBER, BAR, MUTED, PANEL, ROSE, TEAL, UNLIT
from spiceemu.desktop.widgets import Panel, Shapes, TextView, fit
from spiceemu.drawing.geometry import Rect

if TYPE_CHECKING:
    from spiceemu.desktop.look import Look
    from spiceemu.desktop.screen import Screen
    from spiceemu.desktop.state import State
    from spiceemu.desktop.widgets import Shape

SEGMENTS: Final = {
    "0": "abcdef",
    "1": "bc",
    "2": "abged",
    "3": "abgcd",
    "4": "fgbc",
    "5": "afgcd",
    "6": "afgecd",
    "7": "abc",
    "8": "abcdefg",
    "9": "abcdfg",
    " ": "",
}
"""Which of a digit's seven segments are lit: a to f clockwise from the top, g in the middle."""

_NO_TIME: Final = "  :  :  "


class Bar(Panel):
    """The bar at the top: the machine's name, how many look at it, the day; the time, if there is no clock."""

    def __init__(self, screen: Screen, box: Rect, look: Look, state: State, *, with_time: bool) -> None:
        super().__init__(screen, box, look, state)
        font = look.body
        unit = look.scale
        screen.fill(Rect(box.x, box.y, box.width, box.height - unit), BAR)
        screen.fill(Rect(box.x, box.bottom - unit, box.width, unit), TEAL)
        middle = box.y + (box.height - font.height) // 2
        x = box.x + look.gap
        for step, color in enumerate((TEAL, AMBER, ROSE)):
            height = font.height * (3 + step) // 6
            screen.fill(Rect(x, middle + font.height - 3 * unit - height, 4 * unit, height), color)
            x += 6 * unit
        self._with_time = with_time
        x += look.gap // 2
        self._text = TextView(screen, Rect(x, middle, box.right - look.gap - x, font.height), font, paper=BAR)
        self.refresh()

    def refresh(self) -> None:
        """Draw what changed since the last time."""
        now, count = self.state.now, len(self.state.clients)
        left = self.state.guest.name
        right = [f"{count} client{'s' * (count != 1)}"]
        if now is not None:
            right.append(f"{now:%a} {now.day} {now:%b}")
            if self._with_time:
                right.append(f"{now:%H:%M:%S}")
        # What matters most is the last; what there is no room for is left out.
        while len(right) > 1 and len(left) + 2 + len("   ".join(right)) > self._text.columns:
            del right[0]
        words = "   ".join(right)
        room = self._text.columns - len(words)
        self._text.show([fit(left, max(room - 2, 0)).ljust(room) + words])


class ClockPanel(Panel):
    """The time in digits of seven segments, each of which is one fill, and the day below."""

    def __init__(self, screen: Screen, box: Rect, look: Look, state: State) -> None:
        super().__init__(screen, box, look, state)
        inside = self.draw_frame()
        day = Rect(inside.x, inside.bottom - look.detail.height, inside.width, look.detail.height)
        self._day = TextView(screen, day, look.detail, ink=MUTED)
        self._face = Shapes(screen, PANEL)
        # Six digits are 3.3 times as wide as they are high; what is between them takes the rest.
        room = Rect(inside.x, inside.y, inside.width, day.y - look.pad // 2 - inside.y)
        self._height = min(room.height, room.width * 100 // 455)
        self._width = self._height * 55 // 100
        self._thick = max(self._height // 9, 2)
        self._space = max(self._height // 7, 2)
        total = 6 * self._width + 2 * self._thick + 7 * self._space
        self._x = room.x + (room.width - total) // 2
        self._y = room.y + (room.height - self._height) // 2
        self.refresh()

    def refresh(self) -> None:
        """Draw what changed since the last time."""
        now = self.state.now
        self._face.show(self._shapes(_NO_TIME if now is None else f"{now:%H:%M:%S}"))
        if now is not None:
            self._day.show([f"{now:%A}, {now.day} {now:%B %Y}".center(self._day.columns)])

    def _shapes(self, time: str) -> list[Shape]:
        shapes: list[Shape] = []
        x = self._x
        for character in time:
            if character == ":":
                for third in (1, 2):
                    y = self._y + self._height * third // 3 - self._thick // 2
                    shapes.append((Rect(x, y, self._thick, self._thick), MUTED))
                x += self._thick + self._space
            else:
                lit = SEGMENTS[character]
                shapes += [(box, TEAL if name in lit else UNLIT) for name, box in self._segments(x).items()]
                x += self._width + self._space
        return shapes

    def _segments(self, x: int) -> dict[str, Rect]:
        """The seven segments of a digit whose left edge is at x."""
        y, width, height, thick = self._y, self._width, self._height, self._thick
        gap, notch = max(thick // 10, 1), thick // 3
        half = (height - thick) // 2
        right, middle, bottom = x + width - thick, y + half, y + height - thick
        upper = (y + thick + gap, half - thick - 2 * gap)
        lower = (middle + thick + gap, bottom - middle - thick - 2 * gap)

        def lying(top: int) -> Rect:
            return Rect(x + notch, top, width - 2 * notch, thick)

        def standing(left: int, part: tuple[int, int]) -> Rect:
            return Rect(left, part[0], thick, part[1])

        return {
            "a": lying(y),
            "b": standing(right, upper),
            "c": standing(right, lower),
            "d": lying(bottom),
            "e": standing(x, lower),
            "f": standing(x, upper),
            "g": lying(middle),
        }
