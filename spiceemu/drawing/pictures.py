"""Pictures as every codec takes and gives them, and the file formats people open them with.

Pixels are four bytes each, blue, green, red and a fourth one: alpha in pictures that have it, else without meaning.
Rows go from the top down, one straight after the other. Nothing in this module runs once per pixel: whole colour planes
are moved by slices with a step.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Final, TypeAlias

from spiceemu.errors import InvalidValue, MalformedImage, MissingExtra

Buffer: TypeAlias = bytes | bytearray | memoryview

PIXEL_SIZE: Final = 4
"""Bytes of a pixel."""

MAX_PIXELS: Final = 1 << 25
"""Most pixels of a picture that is decoded: a little more than one 8K screen of 7680x4320.

The picture then has 128 MiB; while it is made, decoders need up to 20 bytes for each pixel."""

_PPM_HEADER = re.compile(rb"P6\s{1,8}(\d{1,9})\s{1,8}(\d{1,9})\s{1,8}255\s")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_RGB_8_BIT = b"\x08\x02\x00\x00\x00"
_PNG_ROW_AS_IT_IS = b"\x00"


@dataclass(frozen=True, slots=True)
class Picture:
    """``width * height`` pixels of four bytes: BGRA with ``has_alpha``, BGRX without.

    :raises InvalidValue: if ``pixels`` is not ``width * height * 4`` bytes long.
    """

    width: int
    height: int
    pixels: bytes
    has_alpha: bool = False

    def __post_init__(self) -> None:
        expected = self.width * self.height * PIXEL_SIZE
        if self.width < 1 or self.height < 1 or len(self.pixels) != expected:
            raise InvalidValue(f"{len(self.pixels)} bytes are not a picture of {self.width}x{self.height} pixels")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.width}x{self.height} {'BGRA' if self.has_alpha else 'BGRX'}>"


def to_ppm(picture: Picture) -> bytes:
    """Return a binary PPM file (P6, 8 bits a colour); alpha is left out."""
    return b"P6\n%d %d\n255\n" % (picture.width, picture.height) + _red_green_blue(picture)


def from_ppm(data: bytes) -> Picture:
    """Read a binary PPM file (P6, 8 bits a colour, no comments), as ``spicy-screenshot`` writes it.

    :returns: the picture.
    :raises MalformedImage: for any other file, one of another length than its size says, or one of more than
        :data:`MAX_PIXELS`.
    """
    header = _PPM_HEADER.match(data)
    if header is None:
        raise MalformedImage("PPM file at offset 0: no header of a binary PPM of 8 bits a colour")
    width, height = int(header[1]), int(header[2])
    check_declared_size("PPM file", header.start(1), width, height)
    colours = memoryview(data)[header.end() :]
    if len(colours) != width * height * 3:
        raise MalformedImage(
            f"PPM file at offset {header.end()}: {len(colours)} bytes for {width}x{height} pixels of 3 bytes"
        )
    pixels = bytearray(width * height * PIXEL_SIZE)
    for channel in range(3):
        pixels[channel::PIXEL_SIZE] = colours[2 - channel :: 3]
    return Picture(width, height, bytes(pixels))


def to_png(picture: Picture) -> bytes:
    """Return a PNG file (RGB, 8 bits a colour, not interlaced); alpha is left out."""
    colours = _red_green_blue(picture)
    row_size = picture.width * 3
    rows = [b""] + [colours[start : start + row_size] for start in range(0, len(colours), row_size)]
    size = picture.width.to_bytes(4, "big") + picture.height.to_bytes(4, "big")
    chunks = [
        _png_chunk(b"IHDR", size + _PNG_RGB_8_BIT),
        _png_chunk(b"IDAT", zlib.compress(_PNG_ROW_AS_IT_IS.join(rows))),
        _png_chunk(b"IEND", b""),
    ]
    return _PNG_SIGNATURE + b"".join(chunks)


def to_file(picture: Picture, suffix: str) -> bytes:
    """Return a file of the format that a suffix such as ``.png`` stands for; alpha is left out.

    PPM and PNG are written here, all others by Pillow.

    :param suffix: with its dot, in any case.
    :returns: all bytes of the file.
    :raises InvalidValue: if no format has this suffix, with all that there are in the text, or the format cannot hold
        the picture.
    :raises MissingExtra: if it takes Pillow, which is not installed.
    """
    suffix = suffix.lower()
    own = {".ppm": to_ppm, ".png": to_png}.get(suffix)
    if own is not None:
        return own(picture)
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra(f"a picture as {suffix!r}, not .ppm or .png,", "Pillow", "media") from error
    formats = {each: name for each, name in Image.registered_extensions().items() if name in Image.SAVE}
    if suffix not in formats:
        raise InvalidValue(f"no picture's file ends in {suffix!r}; there are {', '.join(sorted(formats))}")
    file = BytesIO()
    try:
        image = Image.frombytes("RGB", (picture.width, picture.height), picture.pixels, "raw", "BGRX")
        image.save(file, formats[suffix])
    except (OSError, ValueError, OverflowError, RuntimeError, struct.error) as error:
        # It knows black and white only, or no picture as large.
        raise InvalidValue(f"{picture!r} cannot be written as {suffix!r}: {error}") from error
    return file.getvalue()


def check_declared_size(kind: str, offset: int, width: int, height: int) -> None:
    """Refuse the size that a payload declares if it is nothing or more than :data:`MAX_PIXELS`.

    :param kind: what the payload is, for the error's text.
    :param offset: where in the payload the size stands.
    :raises MalformedImage: with the limit in the text.
    """
    if not (width and height and width * height <= MAX_PIXELS):
        raise MalformedImage(f"{kind} at offset {offset}: {width}x{height} pixels, not 1 to {MAX_PIXELS}")


def rows_of(pixels: Buffer, width: int, height: int, stride: int | None = None) -> Iterator[bytes]:
    """Return the rows of a picture one by one, each ``width * 4`` bytes, read no sooner than it is asked for.

    :param pixels: rows from the top, four bytes a pixel; what follows the last row is left alone.
    :param stride: bytes from one row's start to the next one's; rows are tightly packed without it.
    :returns: an iterator of the rows, from the top.
    :raises InvalidValue: if the picture is empty, rows overlap or ``pixels`` ends too early.
    """
    row_size = width * PIXEL_SIZE
    stride = row_size if stride is None else stride
    if width < 1 or height < 1:
        raise InvalidValue(f"a picture has at least 1x1 pixels, not {width}x{height}")
    if stride < row_size:
        raise InvalidValue(f"a stride of {stride} bytes is too short for {width} pixels of {PIXEL_SIZE} bytes")
    last = (height - 1) * stride
    if len(pixels) < last + row_size:
        raise InvalidValue(f"{len(pixels)} bytes are too few for {width}x{height} pixels with a stride of {stride}")
    # Through a view, so that each row is copied once.
    view = memoryview(pixels)
    return (bytes(view[start : start + row_size]) for start in range(0, last + 1, stride))


def _red_green_blue(picture: Picture) -> bytes:
    colours = bytearray(picture.width * picture.height * 3)
    for channel in range(3):
        colours[channel::3] = picture.pixels[2 - channel :: PIXEL_SIZE]
    return bytes(colours)


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")
