"""Drawables of the guest as messages of the display channel."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from spiceemu.channels.view import PRIMARY
from spiceemu.codecs import lz
from spiceemu.drawing.operations import Blit, Copy, CopySurface, Fill, SurfaceCreated, SurfaceDestroyed, Text
from spiceemu.protocol.enums import (
    BitmapFlags,
    BitmapFmt,
    BrushType,
    ImageFlags,
    ImageType,
    ResourceType,
    SurfaceFlags,
    SurfaceFmt,
)
from spiceemu.protocol.messages import display, draw
from spiceemu.protocol.messages.types import (
    BinaryData,
    BitmapData,
    Brush,
    DisplayBase,
    Edges,
    Image,
    ImageDescriptor,
    Point,
    ResourceID,
    SurfaceImage,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spiceemu.channels.pixmap_cache import PixmapCache
    from spiceemu.drawing import geometry
    from spiceemu.protocol.messages.message import Message

BYTES_PER_PIXEL = 4
BITS_PER_PIXEL = 32

MIN_LZ_AREA = 64
"""Smaller pictures are sent as they are: the LZ header alone is 32 bytes."""


class Compression(Enum):
    """How pictures are encoded."""

    OFF = "off"
    """As plain bitmaps."""
    LZ = "lz"
    """As LZ, whatever comes of it."""
    AUTO = "auto"
    """As LZ where that is shorter than the bitmap."""


class DrawEncoder:
    """Turns drawables into messages for one client.

    :param compression: how pictures are encoded.
    :param cache: the client's picture cache.
    :param surfaces: whether the primary is announced as a surface; else as a mode, the way it was done before.
    """

    def __init__(self, compression: Compression, cache: PixmapCache, *, surfaces: bool = True) -> None:
        self.compression = compression
        self.cache = cache
        self._surfaces = surfaces
        self._last_image = 0

    def messages(self, drawable: object, surfaces: Mapping[int, SurfaceCreated]) -> list[Message]:
        """The messages that do what a drawable says.

        :param surfaces: the client's surfaces by id, for copies between them.
        """
        match drawable:
            case Fill(surface_id, box, color):
                return [draw.DrawFill(_base(surface_id, box), draw.Fill(Brush(BrushType.SOLID, color)))]
            case Blit(surface_id, box, pixels):
                return self.picture(surface_id, box, pixels)
            case Text():
                return self.picture(drawable.surface_id, drawable.box, drawable.pixels)
            case Copy(surface_id, box, x, y):
                return [draw.CopyBits(_base(surface_id, box), Point(x, y))]
            case CopySurface(surface_id, box, source_id, x, y):
                source = surfaces[source_id]
                descriptor = ImageDescriptor(source_id, ImageType.SURFACE, 0, source.width, source.height)
                image = Image(descriptor, SurfaceImage(source_id))
                area = Edges(y, x, y + box.height, x + box.width)
                return [draw.DrawCopy(_base(surface_id, box), draw.Copy(image, area))]
            case SurfaceCreated(_, width, height) if not self._surfaces:
                return [display.Mode(width, height, BITS_PER_PIXEL)]
            case SurfaceDestroyed() if not self._surfaces:
                return [display.Reset()]
            case SurfaceCreated(surface_id, width, height, has_alpha):
                fmt = SurfaceFmt.FMT_32_ARGB if has_alpha else SurfaceFmt.FMT_32_XRGB
                flags = SurfaceFlags.PRIMARY if surface_id == PRIMARY else 0
                return [display.SurfaceCreate(surface_id, width, height, fmt, flags)]
            case SurfaceDestroyed(surface_id):
                return [display.SurfaceDestroy(surface_id)]
            case _:
                raise TypeError(f"{drawable!r} is not a drawable")

    def picture(self, surface_id: int, box: geometry.Rect, pixels: bytes) -> list[Message]:
        """The messages that put pixels (BGRX, tightly packed) into a box."""
        width, height = box.width, box.height
        before: list[Message] = []
        found = self.cache.look_up(width, height, pixels)
        if found is None:
            self._last_image += 1
            image = self._encode(self._last_image, 0, width, height, pixels)
        elif found[1]:
            image = Image(ImageDescriptor(found[0], ImageType.FROM_CACHE, 0, width, height))
        else:
            evicted = self.cache.evict()
            if evicted:
                before = [display.InvalList(tuple(ResourceID(ResourceType.PIXMAP, number) for number in evicted))]
            image = self._encode(found[0], ImageFlags.CACHE_ME, width, height, pixels)
        copy = draw.Copy(image, Edges(0, 0, height, width))
        return [*before, draw.DrawCopy(_base(surface_id, box), copy)]

    def _encode(self, number: int, flags: int, width: int, height: int, pixels: bytes) -> Image:
        if self.compression is Compression.LZ or (
            self.compression is Compression.AUTO and width * height >= MIN_LZ_AREA
        ):
            payload = lz.encode_rgb32(pixels, width, height)
            if self.compression is Compression.LZ or len(payload) < len(pixels):
                return Image(ImageDescriptor(number, ImageType.LZ_RGB, flags, width, height), BinaryData(payload))
        bitmap = BitmapData(
            BitmapFmt.FMT_32BIT, BitmapFlags.TOP_DOWN, width, height, width * BYTES_PER_PIXEL, None, pixels
        )
        return Image(ImageDescriptor(number, ImageType.BITMAP, flags, width, height), bitmap)


def _base(surface_id: int, box: geometry.Rect) -> DisplayBase:
    return DisplayBase(surface_id, Edges(box.y, box.x, box.y + box.height, box.x + box.width))
