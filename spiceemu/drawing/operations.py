"""What is drawn, as values: each says what is to be done on which surface, and a canvas does it.

A fill is a fill and a copy is a copy, so that whoever passes them on can send each as what it is. All values are
immutable, so they may be queued. Pixels are BGRX, rows from the top, tightly packed; colours are 0xRRGGBB.

An operation is a value here and a row in :data:`spiceemu.drawing.canvas.PAINTERS`. Each has a surface, a box, which
holds all that it changes, and a clip. Brush, mask and raster operation of the protocol's drawings come as fields of the
operations that have them, with what stands here now as their defaults: a brush of one colour, no mask, and pixels that
replace what was there.

Pixels that an operation reads, such as those that a copy takes elsewhere, are its :attr:`~Operation.source`. What is
not drawn but happens to surfaces, their coming and going, is news of the display that has them, and no operation.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.pictures import PIXEL_SIZE
from spiceemu.drawing.surface import crop
from spiceemu.errors import InvalidValue

if TYPE_CHECKING:
    from spiceemu.drawing.text import Font


@dataclass(frozen=True, slots=True)
class Operation:
    """Something drawn.

    :ivar surface_id: where.
    :ivar box: what it may change, in pixels of the surface.
    :ivar clip: the parts of the box that it does change; all of it, if there are none.
    """

    surface_id: int
    box: Rect
    clip: tuple[Rect, ...] = field(default=(), kw_only=True)

    @property
    def source(self) -> tuple[int, Rect] | None:
        """The surface that it reads pixels from, and where: an area of the box's size. None if it reads none."""
        return None

    def within(self, limits: Rect) -> Self | None:
        """Cut it at the edges of a rectangle.

        :returns: what of it is inside; None if that is nothing.
        """
        box = self.box.intersection(limits)
        if box.is_empty:
            return None
        cut = self if box == self.box else self._part(box)
        if not cut.clip:
            return cut
        clip = tuple(part for part in map(box.intersection, cut.clip) if not part.is_empty)
        if not clip:
            return None
        if box in clip:
            clip = ()
        return cut if clip == cut.clip else replace(cut, clip=clip)

    def moved(self, surface_id: int, dx: int, dy: int) -> Self:
        """The same, where a surface's places are counted from another corner.

        :param surface_id: the surface; an operation may have places on two.
        :param dx: what is to be added to every place on it, to the right.
        :param dy: the same, down.
        :returns: this very operation, if it has no place on that surface.
        """
        if surface_id != self.surface_id:
            return self
        clip = tuple(part.translate(dx, dy) for part in self.clip)
        return replace(self, box=self.box.translate(dx, dy), clip=clip, **self._places_moved(dx, dy))

    def _places_moved(self, _dx: int, _dy: int) -> dict[str, Any]:
        """The fields beside box and clip that are places on its surface, moved with these."""
        return {}

    def _part(self, box: Rect) -> Self:
        """The same with a box inside its own."""
        return replace(self, box=box)


@dataclass(frozen=True, slots=True)
class FillRect(Operation):
    """One colour for the whole box; the X or alpha byte becomes 0."""

    color: int


@dataclass(frozen=True, slots=True)
class Blit(Operation):
    """New pixels for the box: ``box.width * box.height * 4`` bytes. They replace what was there: nothing is blended.

    :raises InvalidValue: if there are more or fewer bytes.
    """

    pixels: bytes = field(repr=False)

    def __post_init__(self) -> None:
        expected = self.box.area * PIXEL_SIZE
        if len(self.pixels) != expected:
            size = f"{self.box.width}x{self.box.height}"
            raise InvalidValue(f"{size} pixels are {expected} bytes, not {len(self.pixels)}")

    def _part(self, box: Rect) -> Self:
        return replace(self, box=box, pixels=crop(self.pixels, self.box.width, box.translate(-self.box.x, -self.box.y)))


@dataclass(frozen=True, slots=True)
class CopyRect(Operation):
    """Pixels of the same surface moved to ``box``; source and box may overlap, as if the source was read first."""

    source_x: int
    source_y: int

    @property
    def source(self) -> tuple[int, Rect]:
        """The place on the same surface."""
        return self.surface_id, Rect(self.source_x, self.source_y, self.box.width, self.box.height)

    def _places_moved(self, dx: int, dy: int) -> dict[str, Any]:
        return {"source_x": self.source_x + dx, "source_y": self.source_y + dy}

    def _part(self, box: Rect) -> Self:
        dx, dy = box.x - self.box.x, box.y - self.box.y
        return replace(self, box=box, source_x=self.source_x + dx, source_y=self.source_y + dy)


@dataclass(frozen=True, slots=True)
class CopySurface(Operation):
    """Pixels of another surface copied to ``box``.

    :raises InvalidValue: if both surfaces are one; :class:`CopyRect` copies within a surface.
    """

    source_id: int
    source_x: int
    source_y: int

    def __post_init__(self) -> None:
        if self.source_id == self.surface_id:
            raise InvalidValue(f"a copy within surface {self.surface_id} is a CopyRect, not a CopySurface")

    @property
    def source(self) -> tuple[int, Rect]:
        """The place on the other surface."""
        return self.source_id, Rect(self.source_x, self.source_y, self.box.width, self.box.height)

    def moved(self, surface_id: int, dx: int, dy: int) -> Self:
        """The same, where one of its surfaces' places are counted from another corner."""
        if surface_id == self.source_id:
            return replace(self, source_x=self.source_x + dx, source_y=self.source_y + dy)
        return Operation.moved(self, surface_id, dx, dy)

    def _part(self, box: Rect) -> Self:
        dx, dy = box.x - self.box.x, box.y - self.box.y
        return replace(self, box=box, source_x=self.source_x + dx, source_y=self.source_y + dy)


@dataclass(frozen=True, slots=True)
class WriteText(Operation):
    """One line of characters, all cells of the font's size, drawn from left to right; :meth:`at` makes one.

    The first cell's top left corner is (x, y), which may lie above or left of the surface; of ``box`` counts what lies
    on the cells. Without a background only the ink is drawn. ``font.bitmap(character)`` gives the ink of a cell as A1
    bits. Once it is cut, ``text`` holds only characters whose cell is at least partly inside.
    """

    x: int
    y: int
    text: str
    font: Font
    color: int
    background: int | None = None

    def __post_init__(self) -> None:
        cells = Rect(self.x, self.y, len(self.text) * self.font.width, self.font.height)
        object.__setattr__(self, "box", self.box.intersection(cells))

    @classmethod
    def at(
        cls, surface_id: int, x: int, y: int, text: str, font: Font, color: int, background: int | None = None
    ) -> Self:
        """A line of text, the top left corner of its first cell at (x, y).

        :param background: colour of the cells between the ink; None leaves what is there.
        :returns: the operation with a box of all the cells.
        """
        box = Rect(x, y, len(text) * font.width, font.height)
        return cls(surface_id, box, x, y, text, font, color, background)

    def _places_moved(self, dx: int, dy: int) -> dict[str, Any]:
        return {"x": self.x + dx, "y": self.y + dy}

    def _part(self, box: Rect) -> Self:
        first = max(0, (box.x - self.x) // self.font.width)
        end = -((self.x - box.right) // self.font.width)
        return replace(self, box=box, x=self.x + first * self.font.width, text=self.text[first:end])
