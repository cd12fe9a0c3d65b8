"""What the demo desktop looks like: its colours, its measures, and what goes where on a screen of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

from spiceemu.guest.geometry import Rect
from spiceemu.guest.text import Font, load_font

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

_WIDE: Final = 1400
"""Width from which a screen has three columns; this and all below in pixels at scale 1."""

_NARROW: Final = 560
"""Width below which it has one."""

_ROOMY: Final = (900, 600)
"""Size from which there are generous margins."""

_SCALE_STEP: Final = (1440, 810)
"""So much more screen lets everything be drawn that much larger: 4K is drawn twice as large as 1080 lines."""


@dataclass(frozen=True, slots=True)
class Look:
    """Measures that follow the screen's size, in pixels."""

    scale: int
    roomy: bool

    @classmethod
    def of(cls, width: int, height: int) -> Look:
        """The measures for a screen."""
        step_x, step_y = _SCALE_STEP
        scale = max(1, min(width // step_x, height // step_y))
        return cls(scale, roomy=width // scale >= _ROOMY[0] and height // scale >= _ROOMY[1])

    @property
    def small(self) -> Font:
        """The font for details."""
        return load_font("small").scaled(self.scale)

    @property
    def large(self) -> Font:
        """The font for what is to be read from afar."""
        return load_font("large").scaled(self.scale)

    @property
    def body(self) -> Font:
        """The font of the note."""
        return self.large if self.roomy else self.small

    @property
    def gap(self) -> int:
        """Space between panels."""
        return (16 if self.roomy else 8) * self.scale

    @property
    def pad(self) -> int:
        """Space inside a panel."""
        return (12 if self.roomy else 7) * self.scale

    @property
    def radius(self) -> int:
        """Radius of a panel's corners."""
        return 7 * self.scale

    @property
    def bar(self) -> int:
        """Height of the bar at the top of the screen."""
        return (40 if self.roomy else 24) * self.scale

    @property
    def head(self) -> int:
        """Height of a panel's title."""
        return self.small.height + self.pad

    @property
    def card(self) -> tuple[int, int]:
        """Width and height of the photograph."""
        width, height = (204, 152) if self.roomy else (132, 100)
        return width * self.scale, height * self.scale


class Wish(NamedTuple):
    """What a panel would like in its column: heights in pixels at scale 1."""

    name: str
    least: int
    best: int
    rank: int
    """The higher, the sooner it is left out."""


FREE: Final = "free"
"""Not a panel: where the photograph lies at first."""

_ROOMY_WISHES: Final = {
    wish.name: wish
    for wish in (
        Wish("note", least=120, best=520, rank=0),
        Wish("clock", least=110, best=150, rank=4),
        Wish("pointer", least=150, best=210, rank=1),
        Wish("keyboard", least=126, best=130, rank=2),
        Wish("clipboard", least=88, best=220, rank=5),
        Wish("clients", least=90, best=262, rank=3),
        Wish(FREE, least=156, best=300, rank=6),
    )
}
_COMPACT_WISHES: Final = {
    wish.name: wish
    for wish in (
        Wish("note", least=72, best=320, rank=0),
        Wish("clock", least=70, best=100, rank=4),
        Wish("pointer", least=80, best=150, rank=1),
        Wish("keyboard", least=90, best=100, rank=2),
        Wish("clipboard", least=60, best=120, rank=5),
        Wish("clients", least=66, best=190, rank=3),
        Wish(FREE, least=104, best=130, rank=6),
    )
}

Columns: TypeAlias = tuple[tuple[str, ...], ...]
_ONE: Final[Columns] = (("note", "pointer", "keyboard", "clients", "clipboard", "clock"),)
_TWO: Final[Columns] = (("note", "clients", FREE), ("clock", "pointer", "keyboard", "clipboard"))
_THREE: Final[Columns] = (("note", FREE), ("clients", "clipboard"), ("clock", "pointer", "keyboard"))


class Layout(NamedTuple):
    """Where everything is. Panels for which there is no room are not in ``panels``."""

    look: Look
    bar: Rect
    panels: dict[str, Rect]
    card: Rect


def lay_out(screen: Rect) -> Layout:
    """Find a place for everything on a screen of any size.

    The card's size does not depend on its place; on a screen smaller than it, it reaches over the edge.
    """
    look = Look.of(screen.width, screen.height)
    gap, scale = look.gap, look.scale
    bar = Rect(screen.x, screen.y, screen.width, min(look.bar, screen.height))
    room = Rect(screen.x + gap, bar.bottom + gap, screen.width - 2 * gap, screen.bottom - bar.bottom - 2 * gap)
    if screen.width < _NARROW * scale:
        columns, widths = _ONE, [room.width]
    elif screen.width < _WIDE * scale:
        right = min(room.width * 37 // 100, 400 * scale)
        columns, widths = _TWO, [room.width - gap - right, right]
    else:
        right, middle = 400 * scale, room.width * 34 // 100
        columns, widths = _THREE, [room.width - 2 * gap - right - middle, middle, right]
    wishes = _ROOMY_WISHES if look.roomy else _COMPACT_WISHES
    places: dict[str, Rect] = {}
    x = room.x
    for names, width in zip(columns, widths, strict=True):
        places |= _stack([wishes[name] for name in names], Rect(x, room.y, width, room.height), look)
        x += width + gap
    width, height = look.card
    home = places.pop(FREE, None)
    if home is None:
        card = Rect(room.right - width, room.bottom - height, width, height)
    else:
        card = Rect(home.x + (home.width - width) * 3 // 4, home.y + (home.height - height) // 2, width, height)
    return Layout(look, bar, places, card)


def _stack(wishes: list[Wish], column: Rect, look: Look) -> dict[str, Rect]:
    """Put panels below each other: leave out what does not fit, then share what is left over."""
    scale, gap = look.scale, look.gap

    def needed() -> int:
        return sum(wish.least * scale + gap for wish in wishes) - gap

    while wishes and (needed() > column.height or column.width < look.card[0]):
        wishes = [wish for wish in wishes if wish.rank < max(other.rank for other in wishes)]
    spare = column.height - needed()
    wanted = sum(wish.best - wish.least for wish in wishes) * scale
    places = {}
    y = column.y
    for wish in wishes:
        height = wish.least * scale + min(spare, wanted) * (wish.best - wish.least) * scale // max(wanted, 1)
        places[wish.name] = Rect(column.x, y, column.width, height)
        y += height + gap
    return places
