"""LZ images of five kinds of 1080p frame, against LZ without any matches and against zlib at level 1.

Times are medians; what is compared runs in turn, so that ratios hold on a machine whose speed wanders. "12.3x" is how
many times smaller than the pixels a payload is.
"""

from __future__ import annotations

import random
import statistics
import zlib
from collections.abc import Callable
from itertools import pairwise
from struct import Struct
from time import perf_counter

from benchmarks.report import Row
from spiceemu.codecs import lz
from spiceemu.drawing.pictures import Picture, to_png, to_ppm

WIDTH, HEIGHT = 1920, 1080
REPEATS = 7


def solid() -> bytes:
    return b"\x40\x80\xc0\x00" * (WIDTH * HEIGHT)


def noise() -> bytes:
    return random.Random(1).randbytes(WIDTH * HEIGHT * 4)


def gradient() -> bytes:
    """Each colour has its own slope: flat runs of about seven pixels, and steps that move from row to row."""
    frame = bytearray(WIDTH * HEIGHT * 4)
    diagonal = bytes(place * 255 // (WIDTH + HEIGHT) for place in range(WIDTH + HEIGHT))
    row = bytearray(WIDTH * 4)
    row[0::4] = bytes(x * 255 // WIDTH for x in range(WIDTH))
    for y in range(HEIGHT):
        row[1::4] = bytes((y * 255 // HEIGHT,)) * WIDTH
        row[2::4] = diagonal[y : y + WIDTH]
        frame[y * WIDTH * 4 : (y + 1) * WIDTH * 4] = row
    return bytes(frame)


def photo() -> bytes:
    """Soft shapes with the grain of a camera: sums of slow ramps and three bits of noise."""
    source = random.Random(2)
    frame = bytearray(WIDTH * HEIGHT * 4)
    grain_bits = int.from_bytes(b"\x07" * WIDTH)
    ramps = [bytes(abs((x * slope // 97) % 400 - 200) for x in range(WIDTH + HEIGHT)) for slope in (23, 31, 41)]
    for y in range(HEIGHT):
        for plane, ramp in enumerate(ramps):
            grain = int.from_bytes(source.randbytes(WIDTH)) & grain_bits
            line = (int.from_bytes(ramp[y // 2 : y // 2 + WIDTH]) + grain).to_bytes(WIDTH)
            frame[y * WIDTH * 4 + plane : (y + 1) * WIDTH * 4 : 4] = line
    return bytes(frame)


def ui() -> bytes:
    """A desktop: a background in bands, three windows full of text, a bar."""
    source = random.Random(3)
    frame = bytearray(WIDTH * HEIGHT * 4)
    glyphs = [_glyph(source) for _ in range(60)]

    def box(left: int, top: int, width: int, height: int, colour: bytes) -> None:
        for y in range(top, top + height):
            frame[(y * WIDTH + left) * 4 : (y * WIDTH + left + width) * 4] = colour * width

    def text(left: int, top: int, length: int, ink: bytes, paper: bytes) -> None:
        line = [glyphs[0] if source.random() < 0.18 else source.choice(glyphs) for _ in range(length)]
        for y in range(16):
            bits = "".join(f"{glyph[y]:08b}" for glyph in line)
            pixels = b"".join(ink if bit == "1" else paper for bit in bits)
            start = ((top + y) * WIDTH + left) * 4
            frame[start : start + len(pixels)] = pixels

    for y in range(HEIGHT):
        box(0, y, WIDTH, 1, bytes((120 + y // 20, 80 + y // 30, 40, 0)))
    for left, top, width, height in [(60, 40, 900, 600), (500, 300, 1000, 700), (1100, 80, 760, 520)]:
        title, paper = b"\xa0\x50\x30\x00", b"\xf0\xf0\xf0\x00"
        box(left, top, width, height, paper)
        box(left, top, width, 28, title)
        text(left + 8, top + 6, 20, b"\xff\xff\xff\x00", title)
        for line in range((height - 40) // 18):
            text(left + 10, top + 36 + line * 18, source.randrange(10, (width - 20) // 8), b"\x20\x20\x20\x00", paper)
    box(0, HEIGHT - 30, WIDTH, 30, b"\x30\x30\x30\x00")
    return bytes(frame)


def _glyph(source: random.Random) -> list[int]:
    """Some strokes in a box of 8x16 bits."""
    rows = [0] * 16
    for _ in range(source.randrange(2, 5)):
        if source.random() < 0.5:
            first = source.randrange(3, 8)
            stem = 0x80 >> source.randrange(1, 6)
            for y in range(first, source.randrange(first + 2, 13)):
                rows[y] |= stem
        else:
            rows[source.randrange(3, 13)] |= 0x78 >> source.randrange(0, 3)
    return rows


def literals_alone(pixels: bytes) -> bytes:
    """A valid LZ payload of groups of 32 pixels: what an encoder costs that looks for nothing."""
    group = Struct("96s" * 512)
    pieces = []
    size = 32 * 512 * 4
    for start in range(0, len(pixels), size):
        band = pixels[start : start + size]
        packed = bytearray(len(band) // 4 * 3)
        for plane in range(3):
            packed[plane::3] = band[plane::4]
        groups = group if len(band) == size else Struct("96s" * (len(band) // 128))
        pieces.append(b"\x1f" + b"\x1f".join(groups.unpack_from(packed)))
    return b"".join(pieces)


def seconds(function: Callable[[], object]) -> float:
    start = perf_counter()
    function()
    return perf_counter() - start


def medians_ms(*functions: Callable[[], object]) -> list[float]:
    """Run the functions in turn, round after round, so that they share the machine's good and bad moments."""
    rounds = [[seconds(function) for function in functions] for _ in range(REPEATS)]
    return [statistics.median(times) * 1000 for times in zip(*rounds, strict=True)]


def longest_step_ms(pixels: bytes) -> float:
    """The median over the repeats of the longest step of each."""
    longest = []
    for _ in range(REPEATS):
        times = [perf_counter()]
        times.extend(perf_counter() for _ in lz.encode_rgb32_steps(pixels, WIDTH, HEIGHT))
        longest.append(max(end - start for start, end in pairwise(times)))
    return statistics.median(longest) * 1000


def rows() -> list[Row]:
    """Measure; the ratios are of times."""
    table: list[Row] = []
    for make in (ui, gradient, photo, noise, solid):
        table += frame_rows(make.__name__, make())
    return table + file_rows(Picture(WIDTH, HEIGHT, ui()))


def frame_rows(name: str, pixels: bytes) -> list[Row]:
    payload = lz.encode_rgb32(pixels, WIDTH, HEIGHT)
    encode, literals, deflate, decode = medians_ms(
        lambda: lz.encode_rgb32(pixels, WIDTH, HEIGHT),
        lambda: literals_alone(pixels),
        lambda: zlib.compress(pixels, 1),
        lambda: lz.decode(payload),
    )
    step = longest_step_ms(pixels)
    value = f"{encode:.1f} ms {smaller(pixels, payload)}"
    literals_text = f"literals {literals:.1f} ms {smaller(pixels, literals_alone(pixels))}"
    deflate_text = f"zlib-1 {deflate:.1f} ms {smaller(pixels, zlib.compress(pixels, 1))}"
    return [
        Row(f"LZ encode {name}", value, literals_text, encode / literals),
        Row(f"LZ encode {name}", value, deflate_text, encode / deflate),
        Row(f"LZ longest step {name}", f"{step:.2f} ms", f"all steps {encode:.1f} ms", step / encode),
        Row(f"LZ decode {name}", f"{decode:.1f} ms", f"encode {encode:.1f} ms", decode / encode),
    ]


def file_rows(picture: Picture) -> list[Row]:
    ppm, png, deflate = medians_ms(
        lambda: to_ppm(picture), lambda: to_png(picture), lambda: zlib.compress(picture.pixels)
    )
    return [
        Row(f"{name} ui", f"{value:.1f} ms", f"zlib {deflate:.1f} ms", value / deflate)
        for name, value in (("PPM", ppm), ("PNG", png))
    ]


def smaller(pixels: bytes, payload: bytes) -> str:
    return f"{len(pixels) / len(payload):.1f}x"
