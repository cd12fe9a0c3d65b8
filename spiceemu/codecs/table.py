"""The codecs: a row for each way to encode a picture.

A row says what a client must have for it, and how pixels become a payload and a payload becomes a picture. What a
payload is wrapped in on its way is the business of :mod:`spiceemu.channels.encoding`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from spiceemu.codecs import bitmap, compression, lz
from spiceemu.drawing.pictures import PIXEL_SIZE, Buffer, Picture
from spiceemu.errors import MalformedImage
from spiceemu.protocol.enums import BitmapFmt, ImageType
from spiceemu.protocol.levels.needs import IMAGE_TYPES, Need

Encoder: TypeAlias = Callable[[bytes, int, int], "bytes | None"]
"""Takes pixels (BGRX, rows from the top, tightly packed), width and height; gives the payload, or None for none."""

Decoder: TypeAlias = Callable[..., Picture]
"""Takes a payload, width and height, and by name what else its image type tells, such as a ``palette``.

It raises :class:`~spiceemu.errors.MalformedImage` for what is no such picture."""


@dataclass(frozen=True, slots=True)
class Codec:
    """One way to encode a picture.

    :ivar name: how it is called.
    :ivar image_type: what its pictures are on the wire.
    :ivar need: what a client needs to take them.
    :ivar encode: makes a payload; None where that is not done here.
    :ivar decode: reads one; None where that is not done here.
    :ivar least_area: pixels of the smallest picture that is worth trying.
    """

    name: str
    image_type: int
    need: Need
    encode: Encoder | None
    decode: Decoder | None
    least_area: int = 1


def _as_it_is(pixels: bytes, _width: int, _height: int) -> bytes:
    return pixels


def _decode_bitmap(
    payload: Buffer,
    width: int,
    height: int,
    *,
    format: int = BitmapFmt.FMT_32BIT,  # noqa: A002 - the protocol's name
    stride: int | None = None,
    top_down: bool = True,
    palette: Sequence[int] | None = None,
) -> Picture:
    row = width * PIXEL_SIZE if stride is None else stride
    return bitmap.decode(format, width, height, row, payload, top_down=top_down, palette=palette)


def _decode_lz(payload: Buffer, width: int, height: int, *, palette: Sequence[int] | None = None) -> Picture:
    picture = lz.decode(payload, palette)
    if (picture.width, picture.height) != (width, height):
        raise MalformedImage(f"LZ payload of {picture.width}x{picture.height} pixels in a picture of {width}x{height}")
    return picture


LZ_RGB: Final = Codec(
    compression.LZ,
    ImageType.LZ_RGB,
    IMAGE_TYPES[ImageType.LZ_RGB],
    lz.encode_rgb32,
    _decode_lz,
    least_area=64,  # the LZ header alone is 32 bytes
)
LZ_PLT: Final = Codec("lz_plt", ImageType.LZ_PLT, IMAGE_TYPES[ImageType.LZ_PLT], None, _decode_lz)
BITMAP: Final = Codec("bitmap", ImageType.BITMAP, IMAGE_TYPES[ImageType.BITMAP], _as_it_is, _decode_bitmap)

CODECS: Final[Sequence[Codec]] = (LZ_RGB, LZ_PLT, BITMAP)
"""All there are; of those that a client can take, one that stands earlier is tried first."""
