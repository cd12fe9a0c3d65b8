"""Uncompressed images of every format."""

from __future__ import annotations

import pytest

from spiceemu.codecs import bitmap
from spiceemu.drawing.pictures import MAX_PIXELS
from spiceemu.errors import InvalidValue, MalformedImage
from spiceemu.protocol.enums import BitmapFmt

PALETTE = [0x000000, 0xFF0000, 0x00FF00, 0x0000FF, *[0x123456] * 11, 0x89ABCD]


@pytest.mark.parametrize(
    ("bitmap_format", "width", "row", "pixels"),
    [
        (BitmapFmt.FMT_32BIT, 2, "01020304 05060708", "01020304 05060708"),
        (BitmapFmt.RGBA, 1, "01020380", "01020380"),
        (BitmapFmt.FMT_24BIT, 2, "010203 040506", "01020300 04050600"),
        (BitmapFmt.FMT_16BIT, 4, "1f00 e003 007c ffff", "ff000000 00ff0000 0000ff00 ffffff00"),
        (BitmapFmt.FMT_16BIT, 2, "2104 1042", "08080800 84848400"),
        (BitmapFmt.FMT_8BIT, 3, "01 02 0f", "0000ff00 00ff0000 cdab8900"),
        (BitmapFmt.FMT_4BIT_BE, 3, "12 f7", "0000ff00 00ff0000 cdab8900"),
        (BitmapFmt.FMT_4BIT_LE, 3, "21 7f", "0000ff00 00ff0000 cdab8900"),
        (BitmapFmt.FMT_1BIT_BE, 9, "85 80", "0000ff00" + "00000000" * 4 + "0000ff00 00000000 0000ff00 0000ff00"),
        (BitmapFmt.FMT_1BIT_LE, 9, "a1 01", "0000ff00" + "00000000" * 4 + "0000ff00 00000000 0000ff00 0000ff00"),
        (BitmapFmt.FMT_8BIT_A, 2, "80 ff", "00000080 000000ff"),
    ],
)
def test_formats(bitmap_format: BitmapFmt, width: int, row: str, pixels: str) -> None:
    data = bytes.fromhex(row)
    picture = bitmap.decode(bitmap_format, width, 1, len(data), data, top_down=True, palette=PALETTE)
    assert picture.pixels == bytes.fromhex(pixels)
    assert picture.has_alpha is (bitmap_format in (BitmapFmt.RGBA, BitmapFmt.FMT_8BIT_A))


def test_every_level_of_five_bits_keeps_its_place() -> None:
    for level in range(32):
        data = (level | level << 5 | level << 10).to_bytes(2, "little")
        blue, green, red, _ = bitmap.decode(BitmapFmt.FMT_16BIT, 1, 1, 2, data, top_down=True).pixels
        assert blue == green == red == level << 3 | level >> 2


def test_bottom_up_rows_with_padding() -> None:
    data = b"\x01\x01\x01\x01\xee\xee" + b"\x02\x02\x02\x02\xee\xee"
    picture = bitmap.decode(BitmapFmt.FMT_32BIT, 1, 2, 6, data, top_down=False)
    assert picture.pixels == b"\x02\x02\x02\x02" + b"\x01\x01\x01\x01"
    indexes = bitmap.decode(BitmapFmt.FMT_4BIT_BE, 1, 2, 2, b"\x1f\xff\x2f\xff", top_down=False, palette=PALETTE[:3])
    assert indexes.pixels == b"\x00\xff\x00\x00" + b"\x00\x00\xff\x00"


@pytest.mark.parametrize(
    ("bitmap_format", "width", "height", "stride", "size", "reason"),
    [
        (0, 1, 1, 4, 4, "unknown format 0"),
        (11, 1, 1, 4, 4, "unknown format 11"),
        (BitmapFmt.FMT_32BIT, 0, 1, 4, 4, "0x1 pixels"),
        (BitmapFmt.FMT_32BIT, MAX_PIXELS, 2, 4, 8, f"not 1 to {MAX_PIXELS}"),
        (BitmapFmt.FMT_32BIT, 2, 1, 7, 7, "stride of 7 bytes"),
        (BitmapFmt.FMT_1BIT_BE, 9, 1, 1, 1, "stride of 1 bytes"),
        (BitmapFmt.FMT_32BIT, 1, 2, 4, 7, "7 bytes of data"),
        (BitmapFmt.FMT_32BIT, 1, 2, 4, 9, "9 bytes of data"),
        (BitmapFmt.FMT_8BIT, 1, 1, 1, 1, "index 0 in a palette of 0 colours"),
    ],
)
def test_malformed(bitmap_format: int, width: int, height: int, stride: int, size: int, reason: str) -> None:
    with pytest.raises(MalformedImage, match=reason):
        bitmap.decode(bitmap_format, width, height, stride, bytes(size), top_down=True)


def test_index_beyond_the_palette() -> None:
    with pytest.raises(MalformedImage, match="index 16 in a palette of 16 colours"):
        bitmap.decode(BitmapFmt.FMT_8BIT, 2, 1, 2, b"\x0f\x10", top_down=True, palette=PALETTE)


def test_encoding_packs_the_rows() -> None:
    assert bitmap.encode_rgb32(b"abcdefgh..ijklmnop", 2, 2, stride=10) == b"abcdefghijklmnop"
    with pytest.raises(InvalidValue):
        bitmap.encode_rgb32(b"abcdefgh..ijklmno", 2, 2, stride=10)
