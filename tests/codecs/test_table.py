"""The table of codecs, and the words for how pictures are encoded."""

from __future__ import annotations

import random

import pytest

from spiceemu.codecs import bitmap, compression, lz
from spiceemu.codecs.table import BITMAP, CODECS, LZ_PLT, LZ_RGB, Codec
from spiceemu.drawing.pictures import Picture
from spiceemu.errors import MalformedImage
from spiceemu.protocol.enums import BitmapFmt
from spiceemu.protocol.levels.needs import IMAGE_TYPES


def noise(width: int, height: int) -> bytes:
    pixels = bytearray(random.Random(1).randbytes(width * height * 4))
    pixels[3::4] = bytes(width * height)
    return bytes(pixels)


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec.name)
def test_a_row_reads_what_it_writes_and_needs_what_its_image_type_needs(codec: Codec) -> None:
    assert codec.need == IMAGE_TYPES[codec.image_type]
    assert codec.decode is not None
    if codec.encode is not None:
        payload = codec.encode(noise(9, 5), 9, 5)
        assert payload is not None
        assert codec.decode(payload, 9, 5) == Picture(9, 5, noise(9, 5))


def test_rows_without_an_encoder_are_read_all_the_same() -> None:
    assert LZ_PLT.encode is None
    assert LZ_PLT.decode is not None
    header = lz._HEADER.pack(lz.MAGIC, lz.VERSION, lz.LzType.PLT8, 2, 1, 2, 1)
    assert LZ_PLT.decode(header + b"\1\0\1", 2, 1, palette=[0x112233, 0x445566]) == lz.decode(
        header + b"\1\0\1", [0x112233, 0x445566]
    )


def test_a_bitmap_says_what_its_rows_are() -> None:
    assert BITMAP.decode is not None
    rows = bytes([0, 1, 9, 9, 1, 1, 9, 9])
    palette = [0x112233, 0x445566]
    shown = BITMAP.decode(rows, 2, 2, format=BitmapFmt.FMT_8BIT, stride=4, top_down=False, palette=palette)
    assert shown == bitmap.decode(BitmapFmt.FMT_8BIT, 2, 2, 4, rows, top_down=False, palette=palette)


def test_a_payload_of_another_size_is_malformed() -> None:
    assert LZ_RGB.decode is not None
    with pytest.raises(MalformedImage, match="9x5 pixels in a picture of 5x9"):
        LZ_RGB.decode(lz.encode_rgb32(noise(9, 5), 9, 5), 5, 9)


def test_the_words() -> None:
    assert compression.COMPRESSIONS == ("auto", "lz", "off")
    assert compression.enumerate_compressions("or") == "auto, lz or off"
    assert compression.DEFAULT_COMPRESSION in compression.COMPRESSIONS
    assert {LZ_RGB.name} == set(compression.COMPRESSIONS) - {compression.AUTO, compression.OFF}
