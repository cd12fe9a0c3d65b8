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

# Ink boxes: left, right, advance, ascent, descent, and their rows. The font's ascent is 4 and its descent 1.
LETTER = ((1, 10, 10, 3, 0), ["#.......#", ".#.....#.", "..#####.."])
TAIL = ((0, 2, 10, 0, 1), ["##"])
TOO_WIDE = ((-1, 11, 10, 6, 0), ["############"] * 2 + ["#..........#"] * 4)

EXPECTED = """\
size 10 5
0041 00004040208010000000
0042 0000000000000000c000
0043 00000000000000000000
"""


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
