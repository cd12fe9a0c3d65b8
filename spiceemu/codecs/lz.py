"""The payload of LZ images (image types LZ_RGB and LZ_PLT): both directions.

A header of seven big-endian words, then tokens, each of them literals or a match::

    "  ZL" | version 1.1 | type | width | height | stride | top_down

    000ccccc                    c + 1 pixels follow
    lllddddd  dddddddd          l pixels again from d + 1 pixels before; l is 1 to 6
    111ddddd  l...  dddddddd    the same with a length of 7 plus the bytes l, of which each but the last one is 255
    lll11111  l...  11111111  dddddddd dddddddd
                                the same with a distance of 8192 + d, as d would be 8191 in 13 bits

The pixels are one line of ``width * height``; matches may overlap what they make. To lengths, RGB16 adds 1, and alpha
and palette indexes add 2. A pixel is blue, green, red (RGB24 and RGB32), a big-endian word (RGB16) or one byte (the
others). RGBA is one pass of colours, then one of alpha. The facts are those of spice-common lz.c, lz_common.h and
lz_decompress_tmpl.c.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

from spiceemu.codecs import bitmap
from spiceemu.codecs.lz_compress import ALPHA, FAR_DISTANCE, LONG_LENGTH, MAX_LITERALS, RGB, compress
from spiceemu.drawing.pictures import PIXEL_SIZE, Buffer, Picture, check_declared_size, rows_of
from spiceemu.errors import MalformedImage
from spiceemu.protocol.enums import BitmapFmt

MAGIC: Final = b"  ZL"
VERSION: Final = 0x0001_0001

MAX_GROWTH: Final = 255
"""Most units (pixels, or bytes of palette indexes) that one byte of tokens can stand for."""


class LzType(IntEnum):
    """What an LZ payload's pixels are (spice-common lz_common.h, LzImageType)."""

    PLT1_LE = 1
    PLT1_BE = 2
    PLT4_LE = 3
    PLT4_BE = 4
    PLT8 = 5
    RGB16 = 6
    RGB24 = 7
    RGB32 = 8
    RGBA = 9
    XXXA = 10
    A8 = 11


class _Units(NamedTuple):
    """How the tokens of a type count: bytes of a literal, and what is added to the length of a match."""

    size: int
    length_bias: int


_INDEXES = _Units(size=1, length_bias=2)
_COLOURS = _Units(size=3, length_bias=0)


class _Shape(NamedTuple):
    """What a type's rows are: tokens, bits of a pixel in the header's stride, and the bitmap they unpack to."""

    units: _Units
    bits: int
    bitmap: BitmapFmt


_SHAPES = {
    LzType.PLT1_LE: _Shape(_INDEXES, 1, BitmapFmt.FMT_1BIT_LE),
    LzType.PLT1_BE: _Shape(_INDEXES, 1, BitmapFmt.FMT_1BIT_BE),
    LzType.PLT4_LE: _Shape(_INDEXES, 4, BitmapFmt.FMT_4BIT_LE),
    LzType.PLT4_BE: _Shape(_INDEXES, 4, BitmapFmt.FMT_4BIT_BE),
    LzType.PLT8: _Shape(_INDEXES, 8, BitmapFmt.FMT_8BIT),
    LzType.RGB16: _Shape(_Units(size=2, length_bias=1), 16, BitmapFmt.FMT_16BIT),
    LzType.RGB24: _Shape(_COLOURS, 24, BitmapFmt.FMT_24BIT),
    LzType.RGB32: _Shape(_COLOURS, 32, BitmapFmt.FMT_24BIT),
    LzType.RGBA: _Shape(_COLOURS, 32, BitmapFmt.RGBA),
    LzType.XXXA: _Shape(_INDEXES, 32, BitmapFmt.FMT_8BIT_A),
    LzType.A8: _Shape(_INDEXES, 8, BitmapFmt.FMT_8BIT_A),
}

_HEADER = Struct(">4s6I")
_TYPE_AT, _SIZE_AT, _STRIDE_AT = 8, 12, 20


def encode_rgb32(pixels: Buffer, width: int, height: int, *, stride: int | None = None) -> bytes:
    """Return the payload of an LZ_RGB image that shows BGRX pixels exactly, but for their X bytes, which read as 0.

    :param pixels: rows from the top.
    :param width: in pixels.
    :param stride: bytes from one row's start to the next one's; rows are tightly packed without it.
    :returns: the payload, with the header of LZ.
    :raises InvalidValue: if ``pixels`` does not hold such a picture.
    """
    return b"".join(encode_rgb32_steps(pixels, width, height, stride=stride))


def encode_rgb32_steps(pixels: Buffer, width: int, height: int, *, stride: int | None = None) -> Iterator[bytes]:
    """Do what :func:`encode_rgb32` does in steps of about a millisecond: the pieces, joined, are the payload.

    Each row is read once, when its step comes. If pixels change between steps the payload is still a valid picture,
    part of it older than the rest.

    :returns: an iterator of the pieces.
    :raises InvalidValue: at once, not with the first step.
    """
    rows = rows_of(pixels, width, height, stride)
    return _steps(LzType.RGB32, width, height, compress(rows, width, RGB))


def encode_rgba(pixels: Buffer, width: int, height: int, *, stride: int | None = None) -> bytes:
    """Return the payload of an LZ_RGB image that shows BGRA pixels exactly. Like :func:`encode_rgb32` otherwise."""
    colours = compress(rows_of(pixels, width, height, stride), width, RGB)
    alpha = compress(rows_of(pixels, width, height, stride), width, ALPHA)
    return b"".join(_steps(LzType.RGBA, width, height, colours, alpha))


def decode(payload: Buffer, palette: Sequence[int] | None = None) -> Picture:
    """Return the picture in a payload of any LZ type, its rows from the top.

    X bytes are 0. RGB16 is widened so that 31 becomes 255. XXXA and A8 have alpha and no colour.

    :param palette: colours 0xRRGGBB of the PLT types.
    :returns: the picture.
    :raises MalformedImage: if the payload is not exactly one picture, or has more than
        :data:`~spiceemu.drawing.pictures.MAX_PIXELS`.
    """
    data = bytes(payload)
    if len(data) < _HEADER.size:
        raise _malformed(len(data), f"the header is cut off, it has {_HEADER.size} bytes")
    magic, version, number, width, height, stride, top_down = _HEADER.unpack_from(data)
    if magic != MAGIC:
        raise _malformed(0, f"the magic is {magic!r}, not {MAGIC!r}")
    if version != VERSION:
        raise _malformed(4, f"the version is {version >> 16}.{version & 0xFFFF}, not 1.1")
    shape = _SHAPES.get(number)
    if shape is None:
        raise _malformed(_TYPE_AT, f"unknown type {number}")
    check_declared_size("LZ image", _SIZE_AT, width, height)
    expected_stride = (width * shape.bits + 7) // 8
    if stride != expected_stride:
        raise _malformed(_STRIDE_AT, f"a stride of {stride} bytes, not {expected_stride} for {width} pixels")
    # Palette indexes smaller than a byte are packed by the byte, and rows start with a new one.
    count = height * (stride if shape.bits < 8 else width)
    if count > (len(data) - _HEADER.size) * MAX_GROWTH:
        raise _malformed(_SIZE_AT, f"{width}x{height} pixels are more than {len(data)} bytes can hold")
    rows, end = _expand(data, _HEADER.size, count, shape.units)
    match number:
        case LzType.RGBA:
            alpha, end = _expand(data, end, count, _INDEXES)
            rows = _with_alpha(rows, alpha)
        case LzType.RGB16:
            rows[0::2], rows[1::2] = rows[1::2], rows[0::2]
    if end != len(data):
        raise _malformed(end, f"{len(data) - end} bytes follow the picture's end")
    return bitmap.decode(
        shape.bitmap, width, height, len(rows) // height, rows, top_down=bool(top_down), palette=palette
    )


def _with_alpha(colours: bytearray, alpha: bytearray) -> bytearray:
    pixels = bytearray(len(alpha) * PIXEL_SIZE)
    for plane in range(3):
        pixels[plane::PIXEL_SIZE] = colours[plane::3]
    pixels[3::PIXEL_SIZE] = alpha
    return pixels


def _steps(lz_type: LzType, width: int, height: int, *passes: Iterator[bytes]) -> Iterator[bytes]:
    bits = _SHAPES[lz_type].bits
    yield _HEADER.pack(MAGIC, VERSION, lz_type, width, height, width * bits // 8, 1)
    for pieces in passes:
        yield from pieces


def _expand(data: bytes, position: int, count: int, units: _Units) -> tuple[bytearray, int]:
    """Expand one pass.

    :param position: where in ``data`` its tokens start.
    :param count: how many units it makes.
    :returns: the units, and the position after the last token.
    """
    size, length_bias = units
    total = count * size
    out = bytearray()
    try:
        while len(out) < total:
            start = position
            control = data[position]
            position += 1
            if control < MAX_LITERALS:
                added = (control + 1) * size
                chunk: Buffer = data[position : position + added]
                if len(chunk) < added:
                    raise _malformed(start, f"{control + 1} literals are cut off")
                position += added
            else:
                length = control >> 5
                if length == LONG_LENGTH:
                    more = 255
                    while more == 255:
                        more = data[position]
                        position += 1
                        length += more
                distance = (control & 0x1F) << 8 | data[position]
                position += 1
                if distance == FAR_DISTANCE:
                    distance += data[position] << 8 | data[position + 1]
                    position += 2
                added = (length + length_bias) * size
                source = len(out) - (distance + 1) * size
                if source < 0:
                    raise _malformed(start, f"a match {distance + 1} back, with {len(out) // size} before it")
                if len(out) + added > total:
                    raise _malformed(start, f"a match of {added // size} goes over the picture's end")
                chunk = out[source : source + added]
                if len(chunk) < added:
                    # It overlaps what it makes: the part that is there goes on and on.
                    chunk = (chunk * -(-added // len(chunk)))[:added]
            out += chunk
    except IndexError:
        raise _malformed(len(data), "the data ends before the picture does") from None
    if len(out) > total:
        raise _malformed(start, f"literals go {(len(out) - total) // size} over the picture's end")
    return out, position


def _malformed(offset: int, reason: str) -> MalformedImage:
    return MalformedImage(f"LZ image at offset {offset}: {reason}")
