"""The guest's fixed-width bitmap fonts, and text turned into pixels.

``fonts/README.md`` describes the font files. A character that a font does not have is drawn as its replacement box.
"""

from __future__ import annotations

from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from spiceemu.drawing.given import as_whole
from spiceemu.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Mapping

FontName: TypeAlias = Literal["small", "large"]
"""Cells of 9x15 and 10x20 pixels."""

MAX_SCALE: Final = 16
"""Largest magnification of a font: a large cell is then 160x320 pixels."""

_FONTS = Path(__file__).with_name("fonts")

REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"

# Paint tables kept, one for each pair of colours, cell width and scale: about 30 kB each for a font that is not scaled.
_MAX_PAINT_TABLES = 32


class Font:
    """A fixed-width bitmap font, perhaps magnified.

    :param cell: width and height of a character cell before magnification, in pixels.
    :param glyphs: for each character the rows of its cell from the top, each an integer of ``cell[0]`` bits whose
        highest bit is the leftmost pixel and whose set bits are ink. It must have :data:`REPLACEMENT`.
    :param scale: how many pixels, across and down, show one of the glyphs' pixels.
    """

    def __init__(self, name: str, cell: tuple[int, int], glyphs: Mapping[str, tuple[int, ...]], scale: int = 1) -> None:
        self.name = name
        self.scale = scale
        self.width = cell[0] * scale
        self.height = cell[1] * scale
        self._cell = cell
        self._glyphs = _Glyphs(glyphs)

    def __repr__(self) -> str:
        return f"<Font {self.name} {self.width}x{self.height}>"

    def __contains__(self, character: str) -> bool:
        return character in self._glyphs

    def scaled(self, scale: int) -> Font:
        """Return this font magnified.

        :returns: another font; this one stays as it is.
        :raises InvalidValue: if the product of scales is not a whole number from 1 to :data:`MAX_SCALE`.
        """
        total = self.scale * as_whole("scale", scale)
        if not 1 <= total <= MAX_SCALE:
            raise InvalidValue(f"a font's scale is 1 to {MAX_SCALE}, not {total}")
        return self if scale == 1 else _scaled(self, scale)

    def measure(self, text: str) -> tuple[int, int]:
        """Return width and height in pixels of text whose lines are parted by newlines."""
        lines = text.split("\n")
        return max(map(len, lines)) * self.width, len(lines) * self.height

    def bitmap(self, character: str) -> bytes:
        """Return the ink of a character's cell as A1 bits.

        Rows from the top, each of ``(width + 7) // 8`` bytes, the most significant bit leftmost. A RASTER_A1 glyph of
        SPICE is the same with its rows from the bottom (spice-common canvas_base.c, canvas_put_glyph_bits).
        """
        row_bytes = (self.width + 7) // 8
        padding = row_bytes * 8 - self.width
        rows = (
            int("".join(bit * self.scale for bit in f"{row:0{self._cell[0]}b}"), 2) << padding
            for row in self._glyphs[character]
        )
        return b"".join(row.to_bytes(row_bytes, "big") * self.scale for row in rows)

    def render(self, text: str, ink: int, paper: int) -> bytes:
        """Return one line of text as BGRX pixels, ``len(text) * width`` wide and ``height`` high.

        :param ink: pixel of the letters as a 32-bit number; a colour 0xRRGGBB is one whose X byte is 0.
        :param paper: pixel between them, the same way.
        :returns: the pixels, rows from the top.
        """
        if not text:
            return b""
        paint = _paint_table(self._cell[0], self.scale, ink, paper).__getitem__
        scan_lines = zip(*map(self._glyphs.__getitem__, text), strict=True)
        return b"".join([b"".join(map(paint, scan_line)) * self.scale for scan_line in scan_lines])


@cache
def load_font(name: FontName = "small") -> Font:
    """Return a font of the package, read once.

    :returns: the font.
    :raises InvalidValue: if there is none of this name.
    """
    if name not in ("small", "large"):
        raise InvalidValue(f"no font is called {name!r}; there are 'small' and 'large'")
    lines = (_FONTS / f"{name}.font").read_text("ascii").splitlines()
    _keyword, width, height = lines[0].split()
    row_bytes = (int(width) + 7) // 8
    padding = row_bytes * 8 - int(width)
    glyphs = {}
    for line in lines[1:]:
        code_point, digits = line.split()
        bits = bytes.fromhex(digits)
        glyphs[chr(int(code_point, 16))] = tuple(
            int.from_bytes(bits[at : at + row_bytes], "big") >> padding for at in range(0, len(bits), row_bytes)
        )
    return Font(name, (int(width), int(height)), glyphs)


@lru_cache(maxsize=2 * MAX_SCALE)
def _scaled(font: Font, scale: int) -> Font:
    return Font(font.name, font._cell, font._glyphs, font.scale * scale)


class _Glyphs(dict[str, tuple[int, ...]]):
    """Rows of each character, those of the replacement for one that is missing."""

    def __missing__(self, _character: str) -> tuple[int, ...]:
        return self[REPLACEMENT]


class _PaintTable(dict[int, bytes]):
    """Pixels of a glyph's row by its bits, painted when first asked for: a font has some hundred different rows."""

    def __init__(self, width: int, scale: int, ink: int, paper: int) -> None:
        self.width = width
        self.pixels = {"1": ink.to_bytes(4, "little") * scale, "0": paper.to_bytes(4, "little") * scale}

    def __missing__(self, row: int) -> bytes:
        self[row] = painted = b"".join(self.pixels[bit] for bit in f"{row:0{self.width}b}")
        return painted


_paint_table = lru_cache(maxsize=_MAX_PAINT_TABLES)(_PaintTable)
