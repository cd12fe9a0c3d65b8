"""The picture itself, and files of it."""

from __future__ import annotations

import struct
import sys
import zlib
from io import BytesIO

import pytest
from hypothesis import given, strategies as st
from PIL import Image

from spiceemu.drawing.pictures import MAX_PIXELS, Picture, from_ppm, to_file, to_png, to_ppm
from spiceemu.errors import InvalidValue, MalformedImage, MissingExtra

FOUR = Picture(2, 2, bytes.fromhex("010203ff 040506ff 070809ff 0a0b0cff"))


@pytest.mark.parametrize(("width", "height", "size"), [(0, 0, 0), (1, 1, 3), (1, 1, 5), (-1, -1, 4)])
def test_size_and_pixels_must_agree(width: int, height: int, size: int) -> None:
    with pytest.raises(InvalidValue):
        Picture(width, height, bytes(size))


def test_repr_does_not_show_the_pixels() -> None:
    assert repr(FOUR) == "<Picture 2x2 BGRX>"


def test_ppm() -> None:
    assert to_ppm(FOUR) == b"P6\n2 2\n255\n" + bytes.fromhex("030201 060504 090807 0c0b0a")


@given(st.integers(1, 20), st.integers(1, 20), st.data())
def test_ppm_round_trip(width: int, height: int, data: st.DataObject) -> None:
    count = width * height
    pixels = data.draw(st.lists(st.binary(min_size=3, max_size=3), min_size=count, max_size=count))
    picture = Picture(width, height, b"".join(pixel + b"\0" for pixel in pixels))
    assert from_ppm(to_ppm(picture)) == picture


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"P5\n1 1\n255\n\0",
        b"P6\n1 1\n65535\n" + bytes(6),
        b"P6\n1 1\n255\n\0\0",
        b"P6\n1 1\n255\n\0\0\0\0",
        b"P6\n0 1\n255\n",
        b"P6\n%d 2\n255\n" % MAX_PIXELS,
        b"P6\n" + b"9" * 10000 + b" 1\n255\n",
        b"P6" + b" " * 10000 + b"1 1\n255\n\0\0\0",
    ],
)
def test_not_a_ppm(data: bytes) -> None:
    with pytest.raises(MalformedImage):
        from_ppm(data)


def test_png() -> None:
    """Reads the file as the PNG specification says, chunk by chunk."""
    data = to_png(FOUR)
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks = []
    at = 8
    while at < len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        (checksum,) = struct.unpack_from(">I", data, at + 8 + size)
        assert checksum == zlib.crc32(name + body)
        chunks.append((name, body))
        at += 12 + size
    assert [name for name, _ in chunks] == [b"IHDR", b"IDAT", b"IEND"]
    assert struct.unpack(">IIBBBBB", chunks[0][1]) == (2, 2, 8, 2, 0, 0, 0)
    assert zlib.decompress(chunks[1][1]) == bytes.fromhex("00 030201 060504 00 090807 0c0b0a")


@pytest.mark.parametrize(("suffix", "kind"), [(".bmp", "BMP"), (".TIFF", "TIFF"), (".webp", "WEBP"), (".jpg", "JPEG")])
def test_other_formats_are_written_by_pillow(suffix: str, kind: str) -> None:
    green = Picture(16, 16, bytes.fromhex("10c02000") * 256)
    with Image.open(BytesIO(to_file(green, suffix))) as image:
        assert image.format == kind
        colours = image.convert("RGB").tobytes()
    assert max(abs(colours[index] - (0x20, 0xC0, 0x10)[index % 3]) for index in range(16 * 16 * 3)) <= 4


@pytest.mark.parametrize(
    ("suffix", "reason"),
    [
        (".xyz", r"ends in '\.xyz'; there are .*\.gif, .*\.jpg, .*\.webp"),
        ("", "ends in ''; there are"),
        (".xbm", r"<Picture 2x2 BGRX> cannot be written as '\.xbm': "),
    ],
)
def test_formats_that_cannot_be_written(suffix: str, reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason):
        to_file(FOUR, suffix)


def test_ppm_and_png_need_no_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert to_file(FOUR, ".PPM") == to_ppm(FOUR)
    assert to_file(FOUR, ".png") == to_png(FOUR)
    with pytest.raises(MissingExtra, match=r"Pillow: pip install 'spiceemu\[media\]', or '\.\[media\]' in a checkout"):
        to_file(FOUR, ".jpg")
