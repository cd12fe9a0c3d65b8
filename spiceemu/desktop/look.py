"""What the demo desktop looks like: its colours, its measures, and what goes where on a screen of any size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.text import load_font

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from spiceemu.drawing.text import FontName

SKY_TOP: Final = 0x2B4C7E
SKY_BOTTOM: Final = 0x101A33
SKY_DOT: Final = 0x3D5F92
BAR: Final = 0x0C1322
PANEL: Final = 0x172133
PANEL_EDGE: Final = 0x34455F
SUNKEN: Final = 0x0E1626
SHADOW: Final = 0x0A1122
PAPER: Final = 0xFBF3DC
PAPER_EDGE: Final = 0xD9C9A0
PAPER_BAR: Final = 0xEBDDB4
PAPER_INK: Final = 0x2A2A33
INK: Final = 0xE8EEF7
MUTED: Final = 0x93A4BF
UNLIT: Final = 0x223049
TEAL: Final = 0x2DD4BF
AMBER: Final = 0xFBBF24
ROSE: Final = 0xFB7185
AZURE: Final = 0x60A5FA

_SCALE_STEP: Final = (1280, 720)
"""So much more screen lets everything be drawn that much larger: 2560x1440 is 1280x720, twice as large."""

_NARROW: Final = 560
"""Width below which a screen has one column; this and all below in pixels at scale 1."""

_WIDE: Final = 2000
"""Width from which it has three."""


class Measures(NamedTuple):
    """What looks well on screens from a size on; fonts by name, all else in pixels at scale 1.

    :ivar detail: the font for nearly everything.
    :ivar body: the font of the note and the bar.
    :ivar gap: space between panels.
    :ivar pad: space inside a panel.
    :ivar bar: height of the bar at the top of the screen.
    :ivar card: width and height of the photograph.
    """

    detail: FontName
    body: FontName
    gap: int
    pad: int
    bar: int
    card: tuple[int, int]


_MEASURES: Final = {
    (1600, 900): Measures("large", "large", gap=22, pad=16, bar=48, card=(276, 206)),
    (900, 600): Measures("small", "large", gap=16, pad=12, bar=40, card=(204, 152)),
    (500, 360): Measures("small", "small", gap=8, pad=7, bar=24, card=(132, 100)),
    (0, 0): Measures("small", "small", gap=6, pad=6, bar=22, card=(84, 70)),
}


class Look:
    """Measures that follow the screen's size, in pixels.

    :ivar scale: how many pixels a thin line has.
    """

    def __init__(self, width: int, height: int) -> None:
        step_x, step_y = _SCALE_STEP
        self.scale = scale = max(1, min(width // step_x, height // step_y))
        measures = next(
            measures for (x, y), measures in _MEASURES.items() if width // scale >= x and height // scale >= y
        )
        self.detail = load_font(measures.detail).scaled(scale)
        self.body = load_font(measures.body).scaled(scale)
        self.gap = measures.gap * scale
        self.pad = measures.pad * scale
        self.bar = measures.bar * scale
        self.card = measures.card[0] * scale, measures.card[1] * scale
        self.radius = 7 * scale
        self.head = self.detail.height + self.pad
        """Height of a panel's title."""


class Wish(NamedTuple):
    """What a panel would like in its column: its height in pixels, or in lines of text inside its frame."""

    least: int
    best: int
    rank: int
    """The higher, the sooner it is left out."""


FREE: Final = "free"
"""Not a panel: where the photograph lies at first."""

_LINES: Final = {
    "note": Wish(least=3, best=18, rank=0),
    "pointer": Wish(least=3, best=10, rank=1),
    "keyboard": Wish(least=4, best=5, rank=2),
    "clients": Wish(least=3, best=13, rank=3),
    "clock": Wish(least=3, best=7, rank=4),
    "clipboard": Wish(least=2, best=10, rank=5),
}

Columns: TypeAlias = tuple[tuple[str, ...], ...]
_ONE: Final[Columns] = (tuple(_LINES),)
_TWO: Final[Columns] = (("note", "clients", FREE), ("clock", "pointer", "keyboard", "clipboard"))
_THREE: Final[Columns] = (("note", FREE), ("clients", "clipboard"), ("clock", "pointer", "keyboard"))


class Layout(NamedTuple):
    """Where everything is. Panels for which there is no room are not in ``panels``."""

    look: Look
    bar: Rect
    panels: dict[str, Rect]
    card: Rect


def lay_out(screen: Rect) -> Layout:
    """Find a place for everything on a screen of any size; on a very small one the card may reach over its edges."""
    look = Look(screen.width, screen.height)
    gap, scale = look.gap, look.scale
    bar = Rect(screen.x, screen.y, screen.width, min(look.bar, screen.height))
    room = Rect(screen.x + gap, bar.bottom + gap, screen.width - 2 * gap, screen.bottom - bar.bottom - 2 * gap)
    if screen.width < _NARROW * scale:
        columns, widths = _ONE, [room.width]
    elif screen.width < _WIDE * scale:
        right = room.width * 37 // 100
        columns, widths = _TWO, [room.width - gap - right, right]
    else:
        right = middle = room.width * 3 // 10
        columns, widths = _THREE, [room.width - 2 * gap - right - middle, middle, right]
    places: dict[str, Rect] = {}
    x = room.x
    for names, width in zip(columns, widths, strict=True):
        places |= _stack(names, Rect(x, room.y, width, room.height), look)
        x += width + gap
    width, height = look.card
    free = places.pop(FREE, None)
    if free is None:
        card = Rect(room.right - width, room.bottom - height, width, height)
    else:
        card = Rect(free.x + (free.width - width) // 2, free.y + (free.height - height) // 2, width, height)
    return Layout(look, bar, places, card)


def _stack(names: Iterable[str], column: Rect, look: Look) -> dict[str, Rect]:
    """Put panels below each other: leave out what does not fit, then share what is left over."""
    frame, line, card = look.head + 2 * look.pad, look.detail.height, look.card[1]
    wishes = {FREE: Wish(card, card + look.gap, rank=len(_LINES))}
    for name, (least, best, rank) in _LINES.items():
        wishes[name] = Wish(frame + least * line, frame + best * line, rank)
    wishes = {name: wishes[name] for name in names}
    while wishes and (column.width < look.card[0] or _least(wishes, look.gap) > column.height):
        del wishes[max(wishes, key=lambda name: wishes[name].rank)]
    spare = column.height - _least(wishes, look.gap)
    wanted = sum(wish.best - wish.least for wish in wishes.values())
    places = {}
    y = column.y
    for name, wish in wishes.items():
        height = wish.least + min(spare, wanted) * (wish.best - wish.least) // max(wanted, 1)
        places[name] = Rect(column.x, y, column.width, height)
        y += height + look.gap
    return places


def _least(wishes: Mapping[str, Wish], gap: int) -> int:
    """The least height in which panels fit."""
    return sum(wish.least + gap for wish in wishes.values()) - gap
