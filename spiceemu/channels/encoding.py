"""What a client is sent of a display, as messages of the display channel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spiceemu.channels.lowering import LOWERINGS, base_of, edges_of
from spiceemu.codecs.compression import AUTO
from spiceemu.codecs.table import BITMAP, CODECS, Codec
from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.operations import Blit, Operation
from spiceemu.drawing.pictures import PIXEL_SIZE
from spiceemu.guest.changes import SurfaceCreated, SurfaceDestroyed
from spiceemu.guest.display import PRIMARY
from spiceemu.protocol.enums import (
    BitmapFlags,
    BitmapFmt,
    ImageFlags,
    ImageType,
    ResourceType,
    SurfaceFlags,
    SurfaceFmt,
)
from spiceemu.protocol.messages import display, draw
from spiceemu.protocol.messages.types import BinaryData, BitmapData, Image, ImageDescriptor, ResourceID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spiceemu.channels.lowering import Lowerings, Surfaces
    from spiceemu.channels.pixmap_cache import PixmapCache
    from spiceemu.protocol.levels.needs import Peer
    from spiceemu.protocol.messages.message import Message

BITS_PER_PIXEL = 32


class DrawEncoder:
    """Makes the messages for one client.

    :param peer: what the client can take.
    :param compression: how pictures are encoded, a word of :mod:`spiceemu.codecs.compression`.
    :param cache: the client's pictures, as this channel knows them.
    :param codecs: all the ways to encode a picture, the best first.
    :param rows: the operations that have a message of their own.
    """

    def __init__(
        self,
        peer: Peer,
        compression: str,
        cache: PixmapCache,
        *,
        codecs: Sequence[Codec] = CODECS,
        rows: Lowerings = LOWERINGS,
    ) -> None:
        self.cache = cache
        self._rows = rows
        self._surfaces = peer.takes_message(display.SurfaceCreate)
        self._whatever_comes = compression != AUTO
        self._codecs = [codec for codec in codecs if _is_meant(codec, compression) and _takes(peer, codec)]
        self._last_image = 0

    def messages(self, change: object, surfaces: Surfaces) -> list[Message]:
        """The messages that do what a lowered change says.

        :param surfaces: the client's surfaces, for copies between them.
        :returns: them, in the order in which they are sent.
        """
        match change:
            case Blit():
                return self.picture(change)
            case Operation():
                return [self._rows[type(change)].make(change, surfaces)]
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
                raise TypeError(f"{change!r} is no change of a display")

    def picture(self, blit: Blit) -> list[Message]:
        """The messages that put pixels into a box."""
        width, height, pixels = blit.box.width, blit.box.height, blit.pixels
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
        copy = draw.Copy(image, edges_of(Rect(0, 0, width, height)))
        return [*before, draw.DrawCopy(base_of(blit), copy)]

    def _encode(self, number: int, flags: int, width: int, height: int, pixels: bytes) -> Image:
        for codec in self._codecs:
            assert codec.encode is not None
            if self._whatever_comes or width * height >= codec.least_area:
                payload = codec.encode(pixels, width, height)
                if payload is not None and (self._whatever_comes or len(payload) < len(pixels)):
                    return Image(ImageDescriptor(number, codec.image_type, flags, width, height), BinaryData(payload))
        bitmap = BitmapData(BitmapFmt.FMT_32BIT, BitmapFlags.TOP_DOWN, width, height, width * PIXEL_SIZE, None, pixels)
        return Image(ImageDescriptor(number, ImageType.BITMAP, flags, width, height), bitmap)


def _is_meant(codec: Codec, compression: str) -> bool:
    """Whether a codec is one to try before a picture is sent as a plain bitmap."""
    if codec.encode is None or codec.image_type == BITMAP.image_type:
        return False
    return compression in (AUTO, codec.name)


def _takes(peer: Peer, codec: Codec) -> bool:
    """Whether a client can take what a codec makes."""
    return peer.takes_image(codec.image_type) and peer.takes(codec.need)
