#!/usr/bin/env python3
"""Make one of the guest's bitmap fonts from a font of the X Window System.

::

    apt-get download xfonts-base && dpkg-deb -x xfonts-base_*.deb unpacked
    fonts=unpacked/usr/share/fonts/X11/misc
    tools/make_font.py $fonts/9x15.pcf.gz spiceemu/drawing/fonts/small.font
    tools/make_font.py $fonts/10x20.pcf.gz spiceemu/drawing/fonts/large.font

The input is a fixed-width font in the Portable Compiled Format (``.pcf``, also gzipped) whose encoding is Unicode. The
output is the text format that ``spiceemu/drawing/fonts/README.md`` describes. Only the characters of ``WANTED`` are
kept. The same input always gives the same output.
"""

from __future__ import annotations

import argparse
import gzip
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

WANTED = (
    *range(0x20, 0x7F),  # ASCII
    *range(0xA0, 0x100),  # Latin-1
    *(0x2013, 0x2014, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2026, 0x20AC),  # dashes, quotes, bullet, ellipsis, euro
    *range(0x2190, 0x2196),  # arrows
    *range(0x2500, 0x2580),  # box drawing
    *range(0x2580, 0x25A0),  # block elements
    *(0x25A0, 0x25A1, 0x25B2, 0x25B6, 0x25BC, 0x25C0, 0x25C6, 0x25CB, 0x25CF),  # squares, triangles, diamond, circles
    0xFFFD,  # stands for every character the font does not have
)

# Table types and format bits of the Portable Compiled Format.
METRICS, BITMAPS, ENCODINGS, ACCELERATORS = 1 << 2, 1 << 3, 1 << 5, 1 << 1
GLYPH_PAD_MASK, BIG_ENDIAN, MOST_SIGNIFICANT_BIT_FIRST, COMPRESSED_METRICS = 0x3, 0x4, 0x8, 0x100
SCAN_UNIT_SHIFT, SCAN_UNIT_MASK = 4, 0x3
NO_GLYPH = 0xFFFF


class Metrics(NamedTuple):
    """One glyph's ink box relative to the pen, which stands on the baseline; ``width`` is the pen's advance."""

    left: int
    right: int
    width: int
    ascent: int
    descent: int


class Table:
    """One table of the file, read from front to back in the byte order its own format word gives."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        (self.format,) = struct.unpack_from("<I", body)
        self.position = 4

    def take(self, codes: str) -> tuple[int, ...]:
        layout = struct.Struct((">" if self.format & BIG_ENDIAN else "<") + codes)
        values = layout.unpack_from(self.body, self.position)
        self.position += layout.size
        return values


class CompiledFont:
    """The parts of a Portable Compiled Format file that a bitmap of each character needs."""

    def __init__(self, data: bytes) -> None:
        if data[:4] != b"\x01fcp":
            raise ValueError("not a font in the Portable Compiled Format")
        (count,) = struct.unpack_from("<I", data, 4)
        self.tables: dict[int, bytes] = {}
        for index in range(count):
            kind, _format, size, offset = struct.unpack_from("<4I", data, 8 + 16 * index)
            self.tables[kind] = data[offset : offset + size]
        accelerators = Table(self.tables[ACCELERATORS])
        accelerators.take("8B")
        self.ascent, self.descent = accelerators.take("ii")
        self.metrics = self._read_metrics()
        self.bitmap_table, self.bitmap_offsets = self._read_bitmaps()
        self.glyph_of = dict(self._read_encodings())

    def _read_metrics(self) -> list[Metrics]:
        table = Table(self.tables[METRICS])
        if table.format & COMPRESSED_METRICS:
            (count,) = table.take("H")
            return [Metrics(*(value - 0x80 for value in table.take("5B"))) for _ in range(count)]
        (count,) = table.take("I")
        return [Metrics(*table.take("5hH")[:5]) for _ in range(count)]

    def _read_bitmaps(self) -> tuple[Table, tuple[int, ...]]:
        table = Table(self.tables[BITMAPS])
        (count,) = table.take("I")
        offsets = table.take(f"{count}I")
        table.take("4I")  # the sizes of the data for each possible padding
        return table, offsets

    def _read_encodings(self) -> Iterator[tuple[int, int]]:
        table = Table(self.tables[ENCODINGS])
        first_low, last_low, first_high, last_high, _default = table.take("5H")
        for high in range(first_high, last_high + 1):
            for low in range(first_low, last_low + 1):
                (glyph,) = table.take("H")
                if glyph != NO_GLYPH:
                    yield high << 8 | low, glyph

    def ink_rows(self, glyph: int) -> list[int]:
        """Rows of the ink box from the top, each an integer whose highest bit is the leftmost pixel."""
        table, metrics = self.bitmap_table, self.metrics[glyph]
        pad = 1 << (table.format & GLYPH_PAD_MASK)
        unit = 1 << (table.format >> SCAN_UNIT_SHIFT & SCAN_UNIT_MASK)
        width = metrics.right - metrics.left
        stride = -(-width // (8 * pad)) * pad
        start = table.position + self.bitmap_offsets[glyph]
        rows = []
        for row in range(metrics.ascent + metrics.descent):
            line = table.body[start + row * stride : start + (row + 1) * stride]
            if bool(table.format & BIG_ENDIAN) != bool(table.format & MOST_SIGNIFICANT_BIT_FIRST):
                line = b"".join(line[at : at + unit][::-1] for at in range(0, stride, unit))
            if not table.format & MOST_SIGNIFICANT_BIT_FIRST:
                line = bytes(int(f"{byte:08b}"[::-1], 2) for byte in line)
            rows.append(int.from_bytes(line, "big") >> (stride * 8 - width))
        return rows

    def cell_rows(self, character: int, cell_width: int) -> list[int]:
        """Rows of the whole character cell, ink put where the metrics say and cut at the cell's edges."""
        glyph = self.glyph_of[character]
        metrics = self.metrics[glyph]
        cell = [0] * (self.ascent + self.descent)
        shift = cell_width - metrics.right
        for row, ink in enumerate(self.ink_rows(glyph), start=self.ascent - metrics.ascent):
            if 0 <= row < len(cell):
                cell[row] = (ink << shift if shift >= 0 else ink >> -shift) & ((1 << cell_width) - 1)
        return cell


def render(font: CompiledFont) -> Iterator[str]:
    """Lines of the font file."""
    cell_width = font.metrics[font.glyph_of[ord("A")]].width
    row_bytes = -(-cell_width // 8)
    padding = row_bytes * 8 - cell_width
    yield f"size {cell_width} {font.ascent + font.descent}"
    for character in WANTED:
        if character in font.glyph_of:
            rows = font.cell_rows(character, cell_width)
            yield f"{character:04x} " + "".join(f"{row << padding:0{2 * row_bytes}x}" for row in rows)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("source", type=Path, help="a .pcf or .pcf.gz file with Unicode encoding")
    parser.add_argument("target", type=Path, help="the font file to write")
    options = parser.parse_args(arguments)
    data = options.source.read_bytes()
    if options.source.suffix == ".gz":
        data = gzip.decompress(data)
    options.target.write_text("".join(f"{line}\n" for line in render(CompiledFont(data))), encoding="ascii")


if __name__ == "__main__":
    main(sys.argv[1:])
