"""The canvas: surfaces by their ids, and the one place where operations become pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

from spiceemu.drawing.operations import Blit, CopyRect, CopySurface, FillRect, Operation, WriteText
from spiceemu.drawing.pictures import PIXEL_SIZE
from spiceemu.drawing.surface import Surface, crop
from spiceemu.errors import InvalidValue

Painter: TypeAlias = "Callable[[Canvas, Surface, Any], None]"
"""Paints an operation on its surface of a canvas; it has been cut, and its clip is seen to."""

Painted = TypeVar("Painted", bound=Operation)


def _fill(_canvas: Canvas, surface: Surface, operation: FillRect) -> None:
    surface.fill(operation.box, operation.color)


def _blit(_canvas: Canvas, surface: Surface, operation: Blit) -> None:
    surface.put(operation.box, operation.pixels)


def _copy(canvas: Canvas, surface: Surface, operation: CopyRect | CopySurface) -> None:
    source_id, area = operation.source
    surface.copy(canvas.surface(source_id), area, operation.box)


def _write(_canvas: Canvas, surface: Surface, operation: WriteText) -> None:
    box, text, font = operation.box, operation.text, operation.font

    def render(ink: int, paper: int) -> bytes:
        pixels = font.render(text, ink, paper)
        return crop(pixels, len(text) * font.width, box.translate(-operation.x, -operation.y))

    if operation.background is None:
        # One operation on all the bytes as a number is far faster than one a pixel.
        keep = int.from_bytes(render(ink=0, paper=0xFFFFFFFF), "little")
        ink = int.from_bytes(render(ink=operation.color, paper=0), "little")
        below = int.from_bytes(surface.read(box), "little")
        surface.put(box, (below & keep | ink).to_bytes(box.area * PIXEL_SIZE, "little"))
    else:
        surface.put(box, render(operation.color, operation.background))


Painters: TypeAlias = Mapping[type[Operation], Painter]
"""What paints each kind of operation."""

PAINTERS: Final[Painters] = {
    FillRect: _fill,
    Blit: _blit,
    CopyRect: _copy,
    CopySurface: _copy,
    WriteText: _write,
}
"""What paints each kind of operation."""


class Canvas:
    """Surfaces, and what paints on them.

    :ivar surfaces: the surfaces by id.
    :param name: how it is called in texts of errors.
    :param painters: what paints each kind of operation.
    """

    def __init__(self, name: str = "the canvas", painters: Painters = PAINTERS) -> None:
        self.name = name
        self.painters = painters
        self.surfaces: dict[int, Surface] = {}

    def __repr__(self) -> str:
        return f"<Canvas {sorted(self.surfaces)}>"

    def surface(self, surface_id: int) -> Surface:
        """The surface of an id.

        :returns: the surface itself, to read and to paint on.
        :raises InvalidValue: if there is none.
        """
        try:
            return self.surfaces[surface_id]
        except (KeyError, TypeError):
            raise InvalidValue(f"{self.name} has no surface {surface_id!r}, only {sorted(self.surfaces)}") from None

    def create(self, surface_id: int, width: int, height: int, *, has_alpha: bool = False) -> Surface:
        """Make a black surface, in the place of another one if that has the id.

        :returns: the surface.
        :raises InvalidValue: if its size is over a limit of :mod:`spiceemu.drawing.surface`.
        """
        self.surfaces[surface_id] = made = Surface(surface_id, width, height, has_alpha=has_alpha)
        return made

    def destroy(self, surface_id: int) -> None:
        """Remove a surface.

        :raises InvalidValue: if there is none of this id.
        """
        del self.surfaces[self.surface(surface_id).id]

    def paint(self, operation: Painted) -> Painted | None:
        """Paint an operation, as far as it lies inside its surface, and inside the one that it reads from.

        :returns: the operation as it was really done: cut, and never with an empty box; None if nothing was.
        :raises InvalidValue: if one of its surfaces is not there, or nothing here paints its kind.
        """
        painter = self.painters.get(type(operation))
        if painter is None:
            raise InvalidValue(f"{self.name} cannot paint a {type(operation).__name__}")
        surface = self.surface(operation.surface_id)
        limits = surface.bounds
        source = operation.source
        if source is not None:
            source_id, area = source
            readable = area.intersection(self.surface(source_id).bounds)
            limits = limits.intersection(readable.translate(operation.box.x - area.x, operation.box.y - area.y))
        cut = operation.within(limits)
        if cut is None:
            return None
        if cut.clip:
            self._paint_clipped(painter, surface, cut)
        else:
            painter(self, surface, cut)
        return cut

    def _paint_clipped(self, painter: Painter, surface: Surface, operation: Operation) -> None:
        """Paint all of it, and put back what is outside the clip: so that no painter need know of clips."""
        before = surface.read(operation.box)
        painter(self, surface, operation)
        inside = [(part, surface.read(part)) for part in operation.clip]
        surface.put(operation.box, before)
        for part, pixels in inside:
            surface.put(part, pixels)
