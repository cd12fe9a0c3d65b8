"""LZ payloads: exact bytes, round trips, what the reference C code and real servers encoded, and what is refused."""

from __future__ import annotations

import hashlib
import json
import random
import struct
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from spiceemu.codecs import bitmap, lz, lz_compress
from spiceemu.codecs.lz import LzType
from spiceemu.drawing.pictures import MAX_PIXELS, Picture
from spiceemu.errors import InvalidValue, MalformedImage
from spiceemu.protocol.enums import BitmapFmt

DATA = Path(__file__).resolve().parents[1] / "data" / "codecs"
CAPTURED = json.loads((DATA / "captured.json").read_text())

BLACK = bytes(4)
BLUE = b"\xff\x00\x00\x00"
RED = b"\x00\x00\xff\x00"


def header(lz_type: int, width: int, height: int, *, stride: int | None = None, top_down: int = 1) -> bytes:
    stride = width * 4 if stride is None else stride
    return struct.pack(">4s6I", b"  ZL", 0x10001, lz_type, width, height, stride, top_down)


def without_x(pixels: bytes) -> bytes:
    cleared = bytearray(pixels)
    cleared[3::4] = bytes(len(pixels) // 4)
    return bytes(cleared)


# -- exact bytes


@pytest.mark.parametrize(
    ("pixels", "width", "height", "tokens"),
    [
        (b"\x01\x02\x03\x99", 1, 1, b"\x00\x01\x02\x03"),
        (BLUE * 2, 2, 1, b"\x01\xff\x00\x00\xff\x00\x00"),  # one pixel alone is no match
        (BLUE * 4, 4, 1, b"\x00\xff\x00\x00" + b"\x60\x00"),
        (BLUE * 7, 7, 1, b"\x00\xff\x00\x00" + b"\xc0\x00"),
        (BLUE * 8, 8, 1, b"\x00\xff\x00\x00" + b"\xe0\x00\x00"),
        (BLUE * (8 + 254), 262, 1, b"\x00\xff\x00\x00" + b"\xe0\xfe\x00"),
        (BLUE * (8 + 255), 263, 1, b"\x00\xff\x00\x00" + b"\xe0\xff\x00\x00"),
        ((BLUE + RED) * 3, 2, 3, b"\x01\xff\x00\x00\x00\x00\xff" + b"\x80\x01"),  # both rows in one match
        # A run to the left goes on over pixels that the row above would also give.
        (BLUE + BLACK + RED * 4 + RED * 6, 6, 2, b"\x02\xff\x00\x00\x00\x00\x00\x00\x00\xff" + b"\xe0\x02\x00"),
        # But it starts only where the row above will not do.
        (
            BLUE + RED * 3 + BLACK + BLUE + RED * 3 + BLUE,
            5,
            2,
            b"\x01\xff\x00\x00\x00\x00\xff" + b"\x40\x00" + b"\x00\x00\x00\x00" + b"\x80\x04" + b"\x00\xff\x00\x00",
        ),
        (BLUE * 2 + RED * 3, 5, 1, b"\x02\xff\x00\x00\xff\x00\x00\x00\x00\xff" + b"\x40\x00"),
    ],
)
def test_tokens(pixels: bytes, width: int, height: int, tokens: bytes) -> None:
    assert lz.encode_rgb32(pixels, width, height) == header(LzType.RGB32, width, height) + tokens


@pytest.mark.parametrize(
    ("length", "distance", "bias", "code"),
    [
        (2, 1, 0, "4000"),
        (6, 8191, 0, "dffe"),
        (6, 8192, 0, "dfff0000"),
        (7, 8192 + 65535, 0, "ff00ffffff"),
        (3, 1920, 2, "277f"),
        (9, 1, 2, "e00000"),
    ],
)
def test_code_of_a_match(length: int, distance: int, bias: int, code: str) -> None:
    assert lz_compress.match_code(length, distance, bias).hex() == code


def test_alpha_is_a_second_pass() -> None:
    tokens = b"\x00\x01\x02\x03\x60\x00" + b"\x00\x80\x20\x00"
    assert lz.encode_rgba(b"\x01\x02\x03\x80" * 4, 4, 1) == header(LzType.RGBA, 4, 1) + tokens


# -- round trips


def _runs_of_colours(source: random.Random, width: int, height: int) -> bytes:
    colours = [source.randbytes(4) for _ in range(3)]
    runs = bytearray()
    while len(runs) < width * height * 4:
        runs += source.choice(colours) * source.randrange(1, 60)
    return bytes(runs[: width * height * 4])


def _like_text(source: random.Random, width: int, height: int) -> bytes:
    ink, paper = source.randbytes(4), source.randbytes(4)
    return b"".join(ink if source.random() < 0.2 else paper for _ in range(width * height))


def _repeated_rows(source: random.Random, width: int, height: int) -> bytes:
    row = source.randbytes(4 * width)
    rows = []
    for _ in range(height):
        change = source.random()
        if change < 0.2:
            row = source.randbytes(4 * width)
        elif change < 0.6:
            at = source.randrange(width) * 4
            first = at + (3 if change < 0.3 else 0)  # sometimes only the X or alpha byte
            row = row[:first] + source.randbytes(at + 4 - first) + row[at + 4 :]
        rows.append(row)
    return b"".join(rows)


def _part_noise(source: random.Random, width: int, height: int) -> bytes:
    noisy = height // 2
    return source.randbytes(width * noisy * 4) + _like_text(source, width, height - noisy)


PATTERNS = {
    "solid": lambda source, width, height: source.randbytes(4) * (width * height),
    "noise": lambda source, width, height: source.randbytes(4 * width * height),
    "gradient": lambda source, width, height: b"".join(
        bytes((x * 3 & 255, y * 5 & 255, (x + y) & 255, x // 7 & 255)) for y in range(height) for x in range(width)
    ),
    "text": _like_text,
    "runs": _runs_of_colours,
    "rows": _repeated_rows,
    "part noise": _part_noise,
    "black": lambda source, width, height: bytes(4 * width * height),
}


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    shapes = st.one_of(
        st.tuples(st.integers(1, 70), st.integers(1, 40)),
        st.tuples(st.just(1), st.integers(1, 300)),
        st.tuples(st.integers(1, 300), st.just(1)),
        st.tuples(st.integers(1, 3), st.integers(1, 100)),
    )
    width, height = draw(shapes)
    pattern = draw(st.sampled_from(sorted(PATTERNS)))
    source = random.Random(draw(st.integers(0, 1 << 32)))
    return Picture(width, height, PATTERNS[pattern](source, width, height), has_alpha=True)


def check_round_trip(picture: Picture, band_pixels: int) -> None:
    width, height, pixels = picture.width, picture.height, picture.pixels
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lz_compress, "BAND_PIXELS", band_pixels)
        colours = lz.encode_rgb32(pixels, width, height)
        with_alpha = lz.encode_rgba(pixels, width, height)
    assert lz.decode(colours) == Picture(width, height, without_x(pixels))
    assert lz.decode(with_alpha) == picture


BAND_PIXELS = [1, 50, 300, lz_compress.BAND_PIXELS]


@given(pictures(), st.sampled_from(BAND_PIXELS))
def test_round_trip(picture: Picture, band_pixels: int) -> None:
    check_round_trip(picture, band_pixels)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_round_trip_of_many_sizes(pattern: str) -> None:
    source = random.Random(pattern)
    for width in range(1, 71):
        height = source.randrange(1, 40)
        picture = Picture(width, height, PATTERNS[pattern](source, width, height), has_alpha=True)
        check_round_trip(picture, source.choice(BAND_PIXELS))


@given(pictures())
def test_never_larger_than_literals_alone(picture: Picture) -> None:
    count = picture.width * picture.height
    payload = lz.encode_rgb32(picture.pixels, picture.width, picture.height)
    assert len(payload) <= len(header(LzType.RGB32, 1, 1)) + count * 3 + (count + 31) // 32


@pytest.mark.parametrize("width", [8191, 8192, 73727, 73728])
def test_the_row_above_is_far_away(width: int) -> None:
    rows = random.Random(width).randbytes(4 * width) * 3
    payload = lz.encode_rgba(rows, width, 3)
    assert lz.decode(payload).pixels == rows
    in_reach = width <= lz_compress.MAX_DISTANCE
    assert (len(payload) < len(rows) / 2) is in_reach


def test_rows_with_a_stride() -> None:
    rows = [random.Random(number).randbytes(4 * 9) for number in range(5)]
    padded = bytearray(b"PAD".join(rows))
    assert lz.encode_rgb32(memoryview(padded), 9, 5, stride=4 * 9 + 3) == lz.encode_rgb32(b"".join(rows), 9, 5)


@pytest.mark.parametrize(
    ("size", "width", "height", "stride"),
    [(0, 0, 1, None), (4, 1, 0, None), (7, 2, 1, None), (16, 2, 2, 7), (19, 2, 2, 12)],
)
def test_no_such_picture_to_encode(size: int, width: int, height: int, stride: int | None) -> None:
    with pytest.raises(InvalidValue):
        lz.encode_rgb32_steps(bytes(size), width, height, stride=stride)


def test_solid_and_repeating_pictures_are_small() -> None:
    assert len(lz.encode_rgb32(RED * (640 * 480), 640, 480)) < 640 * 480 // 255 + 64
    row = random.Random(1).randbytes(640 * 4)
    assert len(lz.encode_rgb32(row * 480, 640, 480)) < 640 * 3 + 640 * 480 // 255 + 128


def test_matches_go_on_from_band_to_band() -> None:
    width, height = 640, 200
    source = random.Random(1)
    rows = [source.randbytes(width * 4)]
    for _ in range(1, height):
        at = source.randrange(width) * 4
        rows.append(rows[-1][:at] + source.randbytes(4) + rows[-1][at + 4 :])
    one_change = 4 + 3 + (width // 255 + 1)  # its literal, and the match up to the next one
    assert len(lz.encode_rgb32(b"".join(rows), width, height)) < width * 4 + height * one_change


def test_matches_are_found_again_after_noise() -> None:
    width, height = 640, 200
    source = random.Random(2)
    noise = source.randbytes(width * 4 * height)
    flat = b"".join(bytes((row, 0, 0, 0)) * width for row in range(height))
    payload = lz.encode_rgb32(noise + flat, width, height * 2)
    one_band_of_literals = lz_compress.BAND_PIXELS * 3 + 1024
    assert len(payload) < len(lz.encode_rgb32(noise, width, height)) + height * 16 + one_band_of_literals


# -- in steps


def test_steps_make_the_same_payload() -> None:
    pixels = PATTERNS["text"](random.Random(3), 640, 200)
    steps = list(lz.encode_rgb32_steps(pixels, 640, 200))
    assert len(steps) > 5
    assert b"".join(steps) == lz.encode_rgb32(pixels, 640, 200)


def test_pixels_that_change_between_steps_are_older_or_newer_rows() -> None:
    width, height = 640, 200
    old, new = BLUE * width, RED * width
    pixels = bytearray(old * height)
    # Odd rows differ, so that every band is really worked on.
    for row in range(1, height, 2):
        pixels[row * width * 4 + 40 : row * width * 4 + 48] = b"\x07" * 8
    pieces = []
    for piece in lz.encode_rgb32_steps(pixels, width, height):
        pieces.append(piece)
        if len(pieces) == 3:
            pixels[:] = new * height
    decoded = lz.decode(b"".join(pieces)).pixels
    rows = [decoded[start : start + width * 4] for start in range(0, len(decoded), width * 4)]
    newer = rows.index(new)
    assert 0 < newer < height
    assert new not in rows[:newer]
    assert set(rows[newer:]) == {new}


# -- the judges: the reference C code, and recordings of real servers


def _c_source(stride: int) -> bytes:
    """The rows that were given to the C encoder."""
    rows = bytearray()
    for y in range(23):
        rows += bytes(((x // 5 * 37 + y // 3 * 11) ^ (x * y & 3 if y % 4 == 0 else 0)) & 0xFF for x in range(stride))
    return bytes(rows)


PALETTE = [(index * 0x010305 + 0x203040) & 0xFFFFFF for index in range(256)]
C_TYPES = {
    LzType.PLT1_LE: (8, BitmapFmt.FMT_1BIT_LE),
    LzType.PLT1_BE: (8, BitmapFmt.FMT_1BIT_BE),
    LzType.PLT4_LE: (31, BitmapFmt.FMT_4BIT_LE),
    LzType.PLT4_BE: (31, BitmapFmt.FMT_4BIT_BE),
    LzType.PLT8: (61, BitmapFmt.FMT_8BIT),
    LzType.RGB16: (61 * 2, BitmapFmt.FMT_16BIT),
    LzType.RGB24: (61 * 3, BitmapFmt.FMT_24BIT),
    LzType.RGB32: (61 * 4, BitmapFmt.FMT_32BIT),
    LzType.RGBA: (61 * 4, BitmapFmt.RGBA),
    LzType.XXXA: (61 * 4, BitmapFmt.RGBA),
    LzType.A8: (61, BitmapFmt.FMT_8BIT_A),
}


@pytest.mark.parametrize("top_down", [True, False])
@pytest.mark.parametrize("lz_type", list(LzType))
def test_pictures_encoded_by_the_reference(lz_type: LzType, top_down: bool) -> None:
    payload = bytearray((DATA / f"c-encoded-{lz_type.name}.lz.bin").read_bytes())
    payload[24:28] = top_down.to_bytes(4, "big")
    stride, bitmap_format = C_TYPES[lz_type]
    expected = bitmap.decode(bitmap_format, 61, 23, stride, _c_source(stride), top_down=top_down, palette=PALETTE)
    pixels = expected.pixels
    if lz_type is LzType.RGB32:
        pixels = without_x(pixels)
    elif lz_type is LzType.XXXA:
        pixels = b"".join(b"\0\0\0" + pixels[at : at + 1] for at in range(3, len(pixels), 4))
    assert lz.decode(payload, PALETTE) == Picture(61, 23, pixels, has_alpha=expected.has_alpha)


@pytest.mark.parametrize("name", sorted(CAPTURED))
def test_pictures_of_real_servers(name: str) -> None:
    """The digests are of what the reference C code makes of these payloads."""
    expected = CAPTURED[name]
    picture = lz.decode((DATA / name).read_bytes())
    assert (picture.width, picture.height, picture.has_alpha) == (
        expected["width"],
        expected["height"],
        expected["has_alpha"],
    )
    assert hashlib.sha256(picture.pixels).hexdigest() == expected["sha256"]


def test_what_a_real_server_showed() -> None:
    picture = lz.decode((DATA / "captured-server-0.15-bars-640x320.lz.bin").read_bytes())
    black_row, green_row = bytes(640 * 4), b"\x00\xff\x00\x00" * 160 + bytes(480 * 4)
    rows = [black_row] * 80 + [green_row] * 48 + [black_row] * 32 + [green_row] * 48 + [black_row] * 112
    assert picture.pixels == b"".join(rows)


# -- what is refused

RGB_2X2 = header(LzType.RGB32, 2, 2)


@pytest.mark.parametrize(
    ("payload", "offset", "reason"),
    [
        (b"", 0, "header is cut off"),
        (RGB_2X2[:-1], 27, "header is cut off"),
        (b"LZ  " + RGB_2X2[4:], 0, "magic"),
        (RGB_2X2[:4] + b"\0\1\0\2" + RGB_2X2[8:], 4, "version is 1.2"),
        (header(0, 2, 2), 8, "unknown type 0"),
        (header(12, 2, 2), 8, "unknown type 12"),
        (header(LzType.RGB32, 0, 2), 12, "0x2 pixels"),
        (header(LzType.RGB32, 2, 0), 12, "2x0 pixels"),
        (header(LzType.RGB32, 1 << 13, (1 << 12) + 1), 12, f"not 1 to {MAX_PIXELS}"),
        (header(LzType.RGB32, 2, 2, stride=6), 20, "stride of 6 bytes"),
        (header(LzType.PLT4_LE, 3, 2, stride=3), 20, "stride of 3 bytes"),
        (header(LzType.RGB32, 1 << 13, 1 << 12) + bytes(100), 12, "more than 128 bytes can hold"),
        (RGB_2X2, 12, "more than 28 bytes can hold"),
        (RGB_2X2 + b"\x03" + bytes(11), 28, "cut off"),
        (RGB_2X2 + b"\x01" + bytes(6), 35, "data ends"),
        (RGB_2X2 + b"\x04" + bytes(15), 28, "1 over the picture's end"),
        (RGB_2X2 + b"\x40\x00", 28, "1 back, with 0 before it"),
        (RGB_2X2 + b"\x00\1\2\3\x40\x01\x40", 32, "2 back, with 1 before it"),
        (RGB_2X2 + b"\x00\1\2\3\x80\x00", 32, "match of 4 goes over the picture's end"),
        (RGB_2X2 + b"\x00\1\2\3\xe0\xff\xff", 35, "data ends"),
        (RGB_2X2 + b"\x00\1\2\3\x7f\xff\x00", 35, "data ends"),
        (RGB_2X2 + b"\x00\1\2\3\x60\x00\x00", 34, "1 bytes follow"),
        (header(LzType.RGBA, 2, 1) + b"\x01" + bytes(6), 35, "data ends"),
        (header(LzType.A8, 2, 2, stride=2) + b"\x00\1\x40\x00", 30, "match of 4 goes over"),
    ],
)
def test_malformed(payload: bytes, offset: int, reason: str) -> None:
    with pytest.raises(MalformedImage) as caught:
        lz.decode(payload)
    assert f"at offset {offset}:" in str(caught.value)
    assert reason in str(caught.value)


def test_palette_is_needed_and_must_be_long_enough() -> None:
    payload = (DATA / "c-encoded-PLT8.lz.bin").read_bytes()
    with pytest.raises(MalformedImage, match="palette of 0 colours"):
        lz.decode(payload)
    with pytest.raises(MalformedImage, match="palette of 9 colours"):
        lz.decode(payload, PALETTE[:9])


def peak_memory_of_decoding(payload: bytes) -> int:
    tracemalloc.start()
    try:
        lz.decode(payload, PALETTE)
    except MalformedImage:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


#: Bytes of memory for each pixel that a payload declares and could hold: units, rows in order, planes, pixels twice.
MEMORY_PER_PIXEL = 20
SEEDS = sorted(DATA.glob("c-encoded-*.bin")) + [DATA / name for name in sorted(CAPTURED)]


@given(
    st.sampled_from([path for path in SEEDS if path.stat().st_size < 3000]),
    st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3), st.binary(max_size=4)), min_size=1, max_size=4),
)
def test_mutated_payloads_are_refused_or_decoded(path: Path, changes: list[tuple[int, int, bytes]]) -> None:
    payload = bytearray(path.read_bytes())
    for place, removed, inserted in changes:
        place %= len(payload) + 1
        payload[place : place + removed] = inserted
    width, height = struct.unpack(">II", payload[12:20].ljust(8, b"\0"))
    possible = min(MAX_PIXELS, len(payload) * lz.MAX_GROWTH * 8)
    pixels = width * height if width * height <= possible else 0
    limit = pixels * MEMORY_PER_PIXEL + len(payload) * 4 + (1 << 16)
    assert peak_memory_of_decoding(bytes(payload)) < limit


def test_declared_sizes_cost_nothing() -> None:
    """Neither a size over the limit nor one that the payload cannot reach is allocated."""
    token = b"\x00\1\2\3" + b"\xe0" + b"\xff" * 40 + b"\x00\x00"
    for width, height in [(0xFFFFFFFF, 0xFFFFFFFF), (1 << 13, 1 << 12), (1 << 25, 1)]:
        assert (
            peak_memory_of_decoding(header(LzType.RGB32, width, height, stride=width * 4 & 0xFFFFFFFF) + token)
            < 1 << 14
        )
