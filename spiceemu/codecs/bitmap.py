"""Uncompressed images (image type BITMAP): rows of pixels, or of palette indexes, as they lie in memory.

============  =====================================================================================
format        a row
============  =====================================================================================
1BIT_LE, _BE  palette indexes of one bit, the first one in the lowest or in the highest bit
4BIT_LE, _BE  palette indexes of four bits, the first one in the low or in the high half
8BIT          palette indexes of one byte
16BIT         words of 5 bits a colour, little-endian: blue in the low bits, the highest bit unused
24BIT         blue, green, red
32BIT         blue, green, red, unused
RGBA          blue, green, red, alpha
8BIT_A        alpha alone; the colour is black
============  =====================================================================================

The facts are those of spice.proto (bitmap_fmt, Bitmap) and of spice-common pixman_utils.c.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from spiceemu.drawing.pictures import PIXEL_SIZE, Buffer, Picture, check_declared_size, rows_of
from spiceemu.errors import MalformedImage
from spiceemu.protocol.enums import BitmapFmt

BITS_PER_PIXEL = {
    BitmapFmt.FMT_1BIT_LE: 1,
    BitmapFmt.FMT_1BIT_BE: 1,
    BitmapFmt.FMT_4BIT_LE: 4,
    BitmapFmt.FMT_4BIT_BE: 4,
    BitmapFmt.FMT_8BIT: 8,
    BitmapFmt.FMT_16BIT: 16,
    BitmapFmt.FMT_24BIT: 24,
    BitmapFmt.FMT_32BIT: 32,
    BitmapFmt.RGBA: 32,
    BitmapFmt.FMT_8BIT_A: 8,
}


def encode_rgb32(pixels: Buffer, width: int, height: int, *, stride: int | None = None) -> bytes:
    """Return BGRX pixels as the rows of a top-down 32BIT bitmap with a stride of ``width * 4`` bytes.

    :param stride: bytes from one row's start to the next one's; rows are tightly packed without it.
    :returns: ``width * height * 4`` bytes.
    :raises InvalidValue: if ``pixels`` does not hold such a picture.
    """
    return b"".join(rows_of(pixels, width, height, stride))


def decode(
    format: int,  # noqa: A002 - the protocol's name
    width: int,
    height: int,
    stride: int,
    data: Buffer,
    *,
    top_down: bool,
    palette: Sequence[int] | None = None,
) -> Picture:
    """Return the picture that a bitmap's rows show.

    :param format: a :class:`~spiceemu.protocol.enums.BitmapFmt`.
    :param stride: bytes from one row's start to the next one's.
    :param data: ``stride * height`` bytes.
    :param top_down: whether the first row in ``data`` is the top one.
    :param palette: colours 0xRRGGBB of the formats of 8 bits and fewer.
    :returns: the picture, its rows from the top.
    :raises MalformedImage: for an unknown format, a size over a limit, too much or too little data, or an index that
        is not in the palette.
    """
    bits = BITS_PER_PIXEL.get(format)  # type: ignore[call-overload]
    if bits is None:
        raise MalformedImage(f"bitmap: unknown format {format}")
    check_declared_size("bitmap", 0, width, height)
    row_size = (width * bits + 7) // 8
    if stride < row_size:
        raise MalformedImage(f"bitmap: a stride of {stride} bytes is less than {width} pixels of {bits} bits")
    if len(data) != stride * height:
        raise MalformedImage(f"bitmap: {len(data)} bytes of data for {height} rows of {stride} bytes")
    rows = _tight(bytes(data), stride, row_size, top_down=top_down)
    match format:
        case BitmapFmt.FMT_32BIT | BitmapFmt.RGBA:
            pixels = rows
        case BitmapFmt.FMT_24BIT:
            pixels = _interleave(width * height, (rows[plane::3] for plane in range(3)))
        case BitmapFmt.FMT_16BIT:
            pixels = _widen_16_bit(rows)
        case BitmapFmt.FMT_8BIT_A:
            black = bytes(width * height)
            pixels = _interleave(width * height, (black, black, black, rows))
        case _:
            indexes = _split(rows, _SHIFTS[format])
            # A row's last byte may hold fewer indexes than it has room for.
            pixels = _look_up(_tight(indexes, row_size * 8 // bits, width, top_down=True), palette)
    return Picture(width, height, pixels, has_alpha=format in (BitmapFmt.RGBA, BitmapFmt.FMT_8BIT_A))


def _tight(data: bytes, stride: int, row_size: int, *, top_down: bool) -> bytes:
    """Return the first ``row_size`` bytes of every row, the top row first."""
    if stride == row_size and top_down:
        return data
    rows = [data[start : start + row_size] for start in range(0, len(data), stride)]
    return b"".join(rows if top_down else reversed(rows))


def _interleave(count: int, planes: Iterable[bytes]) -> bytes:
    """Return ``count`` pixels made of their blue bytes, green bytes and so on; planes that are missing are 0."""
    pixels = bytearray(count * PIXEL_SIZE)
    for position, plane in enumerate(planes):
        pixels[position::PIXEL_SIZE] = plane
    return bytes(pixels)


def _five_to_eight_bits(value: int) -> int:
    """Spread five bits so that 0 stays 0 and 31 becomes 255."""
    return value << 3 | value >> 2


# What each byte of a 16 bit pixel, xRRRRRGG GGGBBBBB, gives to each colour. The two shares of green have no bit in
# common.
_BLUE_OF_LOW = bytes(_five_to_eight_bits(low & 0x1F) for low in range(256))
_GREEN_OF_LOW = bytes(_five_to_eight_bits(low >> 5) for low in range(256))
_GREEN_OF_HIGH = bytes(_five_to_eight_bits((high & 0x03) << 3) for high in range(256))
_RED_OF_HIGH = bytes(_five_to_eight_bits(high >> 2 & 0x1F) for high in range(256))


def _widen_16_bit(rows: bytes) -> bytes:
    low, high = rows[0::2], rows[1::2]
    green = int.from_bytes(low.translate(_GREEN_OF_LOW)) | int.from_bytes(high.translate(_GREEN_OF_HIGH))
    planes = low.translate(_BLUE_OF_LOW), green.to_bytes(len(low)), high.translate(_RED_OF_HIGH)
    return _interleave(len(low), planes)


# Where the indexes of one byte stand, the first one first.
_SHIFTS: dict[int, Sequence[int]] = {
    BitmapFmt.FMT_1BIT_LE: range(8),
    BitmapFmt.FMT_1BIT_BE: range(7, -1, -1),
    BitmapFmt.FMT_4BIT_LE: (0, 4),
    BitmapFmt.FMT_4BIT_BE: (4, 0),
    BitmapFmt.FMT_8BIT: (0,),
}


def _split(rows: bytes, shifts: Sequence[int]) -> bytes:
    """Return one byte for each index in the rows."""
    count = len(shifts)
    mask = (1 << 8 // count) - 1
    indexes = bytearray(len(rows) * count)
    for position, shift in enumerate(shifts):
        indexes[position::count] = rows.translate(bytes(value >> shift & mask for value in range(256)))
    return bytes(indexes)


def _look_up(indexes: bytes, palette: Sequence[int] | None) -> bytes:
    """Return the pixels that the palette has for the indexes."""
    colours = list(palette or ())[:256]
    beyond = indexes.translate(None, bytes(range(len(colours))))
    if beyond:
        raise MalformedImage(f"bitmap: index {beyond[0]} in a palette of {len(colours)} colours")
    tables = (bytes(colour >> shift & 0xFF for colour in colours).ljust(256) for shift in (0, 8, 16))
    return _interleave(len(indexes), (indexes.translate(table) for table in tables))
