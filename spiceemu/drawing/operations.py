"""What the guest draws, as typed values: the stream that a display hands to its observers.

A fill stays a fill and a copy stays a copy, so that a channel can send each as what it is. All boxes are clipped to
their surface and never empty; all values are immutable, so they may be queued. Pixels are BGRX, rows from the top,
tightly packed; colours are 0xRRGGBB.

Each drawable can be sent from what it carries alone, with one exception: :class:`Copy` and :class:`CopySurface` need
the far side to have the source. An observer that must send one of them as pixels reads the box from the surface while
it is called: later drawing may have changed it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeAlias

if TYPE_CHECKING:
    from spiceemu.drawing.geometry import Rect
    from spiceemu.drawing.text import Font


@dataclass(frozen=True, slots=True)
class Fill:
    """One colour for the whole box."""

    surface_id: int
    box: Rect
    color: int


@dataclass(frozen=True, slots=True)
class Blit:
    """New pixels for the box: ``box.width * box.height * 4`` bytes."""

    surface_id: int
    box: Rect
    pixels: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Copy:
    """Pixels of the same surface moved to ``box``; source and box may overlap, as if the source was read first."""

    surface_id: int
    box: Rect
    source_x: int
    source_y: int


@dataclass(frozen=True, slots=True)
class CopySurface:
    """Pixels of another surface copied to ``box``."""

    surface_id: int
    box: Rect
    source_id: int
    source_x: int
    source_y: int


@dataclass(frozen=True, slots=True)
class Text:
    """One line of characters, all cells of the font's size, drawn from left to right.

    The first cell's top left corner is (x, y), which may lie above or left of the surface; ``box`` is the visible
    part of the cells and the only area that changes. ``text`` holds only characters whose cell is at least partly
    visible. Without a background only the ink is drawn. ``font.bitmap(character)`` gives the ink of a cell as A1 bits.

    ``pixels`` are those of the box after drawing, for a far side that is sent no text.
    """

    surface_id: int
    box: Rect
    x: int
    y: int
    text: str
    font: Font
    color: int
    background: int | None
    pixels: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SurfaceCreated:
    """A new surface; 0 is the primary, the one on screen. Its pixels are undefined until drawn."""

    surface_id: int
    width: int
    height: int
    has_alpha: bool


@dataclass(frozen=True, slots=True)
class SurfaceDestroyed:
    """The surface is gone; its id may be used again."""

    surface_id: int


@dataclass(frozen=True, slots=True)
class MonitorsChanged:
    """The display's heads changed; ``display.heads`` has the new ones. Heads always show the primary."""

    surface_id: ClassVar[int] = 0


Drawable: TypeAlias = Fill | Blit | Copy | CopySurface | Text | SurfaceCreated | SurfaceDestroyed | MonitorsChanged
