"""The tool that makes the package's fonts, on a small font put together here."""

from __future__ import annotations

import gzip
import importlib.util
import itertools
import struct
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

BIG_ENDIAN, MOST_SIGNIFICANT_BIT_FIRST, COMPRESSED_METRICS = 0x4, 0x8, 0x100

# Ink boxes: left, right, advance, ascent, descent, and their rows. The last is larger than its cell.
LETTER = ((1, 10, 10, 3, 0), ["#.......#", ".#.....#.", "..#####.."])
TAIL = ((0, 2, 10, 0, 1), ["##"])
TOO_LARGE = ((-1, 11, 10, 6, 0), ["############"] * 2 + ["##........##"] * 4)
GLYPHS = {"A": LETTER, "B": TAIL, "C": TOO_LARGE}
ASCENT, DESCENT = 4, 1

EXPECTED = """\
size 10 5
0041 0000404020801f000000
0042 0000000000000000c000
0043 80408040804080400000
"""


def pack(order: int, codes: str, *values: int) -> bytes:
    return struct.pack((">" if order & BIG_ENDIAN else "<") + codes, *values)


def bitmap_line(line: str, order: int, pad: int, unit: int) -> bytes:
    stride = -(-len(line) // (8 * pad)) * pad
    bits = line.replace("#", "1").replace(".", "0").ljust(stride * 8, "0")
    groups = [bits[at : at + 8] for at in range(0, len(bits), 8)]
    if not order & MOST_SIGNIFICANT_BIT_FIRST:
        groups = [group[::-1] for group in groups]
    line_bytes = bytes(int(group, 2) for group in groups)
    if order in (BIG_ENDIAN, MOST_SIGNIFICANT_BIT_FIRST):
        line_bytes = b"".join(line_bytes[at : at + unit][::-1] for at in range(0, stride, unit))
    return line_bytes


def compiled_font(order: int, pad_log: int, unit_log: int, *, compressed: bool) -> bytes:
    """A font in the Portable Compiled Format with the three glyphs, in reverse order of their characters."""
    glyphs = dict(reversed(GLYPHS.items()))
    metrics = [box for box, _ in glyphs.values()]
    bitmaps = [
        b"".join(bitmap_line(line, order, 1 << pad_log, 1 << unit_log) for line in lines)
        for _, lines in glyphs.values()
    ]
    offsets = [0, *itertools.accumulate(map(len, bitmaps))]
    if compressed:
        sizes = pack(order, "H", 3) + b"".join(bytes(part + 0x80 for part in box) for box in metrics)
    else:
        sizes = pack(order, "I", 3) + b"".join(pack(order, "5hH", *box, 0) for box in metrics)
    layout = order | unit_log << 4 | pad_log
    tables = [
        (1 << 1, order, bytes(8) + pack(order, "iiI", ASCENT, DESCENT, 0)),
        (1 << 2, order | (COMPRESSED_METRICS if compressed else 0), sizes),
        (1 << 3, layout, pack(order, "8I", 3, *offsets[:3], 0, 0, 0, offsets[3]) + b"".join(bitmaps)),
        # The characters from "@" to "D"; those at both ends have no glyph.
        (1 << 5, order, pack(order, "10H", ord("@"), ord("D"), 0, 0, 0, 0xFFFF, 2, 1, 0, 0xFFFF)),
    ]
    head, bodies = b"\x01fcp" + struct.pack("<I", len(tables)), b""
    start = len(head) + 16 * len(tables)
    for kind, table_format, content in tables:
        body = struct.pack("<I", table_format) + content
        head += struct.pack("<4I", kind, table_format, len(body), start + len(bodies))
        bodies += body
    return head + bodies


@pytest.fixture(scope="module")
def make_font(checkout: Path) -> Any:
    path = checkout / "tools" / "make_font.py"
    spec = importlib.util.spec_from_file_location("make_font", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_font"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("order", [0, BIG_ENDIAN, MOST_SIGNIFICANT_BIT_FIRST, BIG_ENDIAN | MOST_SIGNIFICANT_BIT_FIRST])
@pytest.mark.parametrize(("pad_log", "unit_log"), [(0, 0), (1, 1), (2, 0), (2, 2)])
@pytest.mark.parametrize("compressed", [False, True])
def test_every_layout_of_the_input_gives_the_same_font(
    make_font: Any, tmp_path: Path, order: int, pad_log: int, unit_log: int, compressed: bool
) -> None:
    source, target = tmp_path / "font.pcf", tmp_path / "made.font"
    source.write_bytes(compiled_font(order, pad_log, unit_log, compressed=compressed))

    make_font.main([str(source), str(target)])

    assert target.read_text("ascii") == EXPECTED


def test_a_gzipped_font_is_taken(make_font: Any, tmp_path: Path) -> None:
    source, target = tmp_path / "font.pcf.gz", tmp_path / "made.font"
    source.write_bytes(gzip.compress(compiled_font(0, 0, 0, compressed=True)))

    make_font.main([str(source), str(target)])

    assert target.read_text("ascii") == EXPECTED


def test_another_file_is_refused(make_font: Any, tmp_path: Path) -> None:
    source = tmp_path / "font.pcf"
    source.write_bytes(b"STARTFONT 2.1\n")

    with pytest.raises(ValueError, match="Portable Compiled Format"):
        make_font.main([str(source), str(tmp_path / "made.font")])
