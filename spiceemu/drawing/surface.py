"""Surfaces: rectangles of pixels to draw on.

The methods that change pixels want boxes inside the surface: a :class:`~spiceemu.drawing.canvas.Canvas` cuts what is
drawn before it paints.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Final

from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.given import as_whole
from spiceemu.drawing.pictures import MAX_PIXELS, PIXEL_SIZE
from spiceemu.errors import InvalidValue

if TYPE_CHECKING:
    from spiceemu.drawing.pictures import Picture

MAX_WIDTH: Final = 16384
"""Widest surface, in pixels; wide enough for four 4K screens side by side."""

MAX_HEIGHT: Final = 16384
"""Highest surface, in pixels."""

MAX_AREA: Final = MAX_PIXELS
"""Most pixels of one surface: as many as a picture may have, so that every surface can be sent as one."""

_revisions = count(1)


def check_size(width: int, height: int) -> None:
    """Refuse the size of a surface that is empty, too large or not in whole pixels.

    :raises InvalidValue: with the limit in the text.
    """
    if not (1 <= as_whole("width", width) <= MAX_WIDTH and 1 <= as_whole("height", height) <= MAX_HEIGHT):
        raise InvalidValue(f"a surface is 1x1 to {MAX_WIDTH}x{MAX_HEIGHT} pixels, not {width}x{height}")
    if width * height > MAX_AREA:
        raise InvalidValue(f"a surface has at most {MAX_AREA} pixels, not {width}x{height} = {width * height}")


def crop(pixels: bytes, width: int, box: Rect) -> bytes:
    """Return the box out of tightly packed pixels whose rows are ``width`` long; it must lie inside them."""
    if box.width == width:
        row_bytes = width * PIXEL_SIZE
        return pixels[box.y * row_bytes : box.bottom * row_bytes]
    size = box.width * PIXEL_SIZE
    view = memoryview(pixels)
    return b"".join([view[start : start + size] for start in _row_starts(width, box)])


def _row_starts(width: int, box: Rect) -> range:
    """Byte offsets of the box's rows in pixels whose rows are ``width`` long."""
    first = (box.y * width + box.x) * PIXEL_SIZE
    return range(first, first + box.height * width * PIXEL_SIZE, width * PIXEL_SIZE)


class Surface:
    """Pixels with a size and an id, black at first.

    ``pixels`` are BGRX, or BGRA with ``has_alpha``: 4 bytes each, rows from the top, tightly packed. ``revision`` goes
    up with every change of them, to a number that no other surface ever had: what was made from the pixels may be kept
    under it, even past a surface that takes over the id of a destroyed one.

    :raises InvalidValue: if the size is over :data:`MAX_WIDTH`, :data:`MAX_HEIGHT` or :data:`MAX_AREA`.
    """

    def __init__(self, surface_id: int, width: int, height: int, *, has_alpha: bool = False) -> None:
        check_size(width, height)
        self.id = surface_id
        self.width = width
        self.height = height
        self.has_alpha = has_alpha
        self.bounds = Rect(0, 0, width, height)
        self.revision = next(_revisions)
        self._pixels = bytearray(width * height * PIXEL_SIZE)
        # Writing through a view is twice as fast as through the bytearray, and slices of one view may overlap.
        self._memory = memoryview(self._pixels)
        self._whole: bytes | None = None  # a picture of the surface's size that is still to be copied into it

    def __repr__(self) -> str:
        return f"<Surface {self.id} {self.width}x{self.height} revision {self.revision}>"

    @property
    def pixels(self) -> bytearray:
        """All pixels. Not to be written, and not to be kept: drawing changes them."""
        self._settle()
        return self._pixels

    @property
    def _view(self) -> memoryview:
        self._settle()
        return self._memory

    def _settle(self) -> None:
        """Copy the picture that covers the whole surface into it. A video replaces most of its frames before."""
        if self._whole is not None:
            self._memory[:] = self._whole
            self._whole = None

    def is_like(self, picture: Picture) -> bool:
        """Whether a picture has this surface's size and alpha."""
        return (picture.width, picture.height, picture.has_alpha) == (self.width, self.height, self.has_alpha)

    def fill(self, box: Rect, color: int) -> None:
        """Set every pixel of a box inside the surface to a colour 0xRRGGBB; the X or alpha byte becomes 0."""
        row = color.to_bytes(PIXEL_SIZE, "little") * box.width
        size = len(row)
        view = self._view
        # Row by row also for the full width: one row stays in the processor's cache.
        for start in _row_starts(self.width, box):
            view[start : start + size] = row
        self.revision = next(_revisions)

    def put(self, box: Rect, pixels: bytes) -> None:
        """Put as many pixels as it has into a box inside the surface."""
        source = memoryview(pixels)
        starts = _row_starts(self.width, box)
        if box == self.bounds:
            self._whole = bytes(pixels)
        elif box.width == self.width:
            self._view[starts.start : starts.stop] = source
        else:
            size = box.width * PIXEL_SIZE
            view = self._view
            for row, start in enumerate(starts):
                view[start : start + size] = source[row * size : (row + 1) * size]
        self.revision = next(_revisions)

    def copy(self, other: Surface, source: Rect, box: Rect) -> None:
        """Copy an area of another surface, or of this one, to a box of the same size; each inside its surface.

        It is as if the source was all read before any of it is written.
        """
        to, from_ = _row_starts(self.width, box), _row_starts(other.width, source)
        if box.width == self.width == other.width:
            self._view[to.start : to.stop] = other._view[from_.start : from_.stop]
        else:
            if to.start > from_.start:
                # Where the areas overlap a row must be read before it is written: downwards from the last row up.
                to, from_ = to[::-1], from_[::-1]
            size = box.width * PIXEL_SIZE
            target, origin = self._view, other._view
            for start, origin_start in zip(to, from_, strict=True):
                target[start : start + size] = origin[origin_start : origin_start + size]
        self.revision = next(_revisions)

    def read(self, box: Rect) -> bytes:
        """Return the box's pixels, tightly packed.

        :returns: BGRX, rows from the top.
        :raises InvalidValue: if the box does not lie inside the surface.
        """
        if box.intersection(self.bounds) != box:
            raise InvalidValue(f"{box} is not inside surface {self.id} of {self.width}x{self.height} pixels")
        if self._whole is not None and box == self.bounds:
            return self._whole
        size = box.width * PIXEL_SIZE
        starts = _row_starts(self.width, box)
        if box.width == self.width:
            return bytes(self._view[starts.start : starts.stop])
        view = self._view
        return b"".join([view[start : start + size] for start in starts])
