"""The compressing half of SPICE's LZ: finds what repeats, and writes it as matches between literals.

Two kinds of match are looked for: with the pixel on the left (distance 1) and with the pixel above (distance = width).
The pixels are one line of ``width * height``, as the format has it: what is on the left of a row's first pixel is the
last pixel of the row above.

No Python code runs once per pixel, nor once per match. The work on a band of rows goes in four steps, each of them
a few calls that the interpreter carries out in C:

1. *Compare.* Each colour plane becomes one big integer of a byte a pixel, XORed with itself shifted by one pixel and
   by one row. Zero bytes are equal pixels.
2. *Choose.* The same integers, now with one bit a pixel, lose runs too short to pay, and each pixel gets one of three
   values: literal, equal to the left, equal to above.
3. *Cut.* One regular expression cuts that line of values into tokens: some literals, then one match.
4. *Write.* A table knows for each token, by its very bytes, what the payload has before and after its literals, and how
   its pixels lie in the band's memory: one ``struct`` layout of all tokens takes the literals out.

Rows that equal the row above them as a whole never come that far. Facts: spice-common lz_compress_tmpl.c and lz.c.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter
from struct import Struct
from typing import Final, NamedTuple

from spiceemu.drawing.pictures import PIXEL_SIZE

MAX_LITERALS: Final = 32
"""Most pixels of one group of literals; control bytes below this are literals, the others matches."""

LONG_LENGTH: Final = 7
"""The length in a control byte that says more bytes of length follow."""

FAR_DISTANCE: Final = 8191
"""Distances over this are written with two more bytes."""

MAX_DISTANCE: Final = FAR_DISTANCE + 0x10000
"""Longest distance that can be written, in pixels."""

SHORTEST_MATCH: Final = 2
"""Shortest match worth writing: one pixel costs as much as a match as it does as a literal."""

BAND_PIXELS: Final = 1 << 14
"""Pixels of a band, or one row if that is more: fits the processor's cache, and keeps one step about a millisecond."""

BARREN: Final = 32
"""A band with matches in fewer than one of this many pixels is barren: searching the next one may not pay."""

_LITERAL, _FROM_LEFT, _FROM_ABOVE = 0x00, 0x40, 0x80
_TOKEN = re.compile(rb"\x00{1,32}(?:\x80+|\x40+)?|\x80+|\x40+")


class Coding(NamedTuple):
    """What one pass over a picture carries: which bytes of each pixel, and how it counts a match's length."""

    planes: Sequence[int]
    length_bias: int


RGB = Coding(planes=(0, 1, 2), length_bias=0)
ALPHA = Coding(planes=(3,), length_bias=2)


def compress(rows: Iterable[bytes], width: int, coding: Coding) -> Iterator[bytes]:
    """Compress one pass, in pieces: a piece for each band, some of them empty; joined they are the pass.

    A row is asked for when its band is due, and only once: what comes out is a valid picture of the rows as they were
    then, even if pixels change between two pieces.

    :param rows: the picture's rows, ``width * 4`` bytes each.
    :param width: in pixels.
    :returns: an iterator of the pieces.
    """
    return _Compressor(width, coding).run(rows)


def match_code(length: int, distance: int, length_bias: int) -> bytes:
    """Return the bytes of a match.

    :param length: in pixels, more than ``length_bias``.
    :param distance: in pixels, 1 to :data:`MAX_DISTANCE`.
    :returns: its bytes as they stand in a payload.
    """
    length -= length_bias
    more_length = b""
    if length >= LONG_LENGTH:
        full_bytes, rest = divmod(length - LONG_LENGTH, 255)
        more_length = b"\xff" * full_bytes + bytes((rest,))
        length = LONG_LENGTH
    if distance <= FAR_DISTANCE:
        high, low = divmod(distance - 1, 256)
        return bytes((length << 5 | high,)) + more_length + bytes((low,))
    beyond = (distance - 1 - FAR_DISTANCE).to_bytes(2, "big")
    return bytes((length << 5 | 0x1F,)) + more_length + b"\xff" + beyond


class _Parts(NamedTuple):
    """What becomes of a token: bytes before its literals, the struct layout of its pixels, bytes after its literals."""

    before: bytes
    layout: str
    after: bytes


_BEFORE, _LAYOUT, _AFTER = itemgetter(0), itemgetter(1), itemgetter(2)


class _Tokens(dict[bytes, _Parts]):
    """Tokens and what becomes of them, worked out when first asked for."""

    def __init__(self, width: int, coding: Coding) -> None:
        super().__init__()
        self._width = width
        self._coding = coding

    def __missing__(self, token: bytes) -> _Parts:
        literals = token.count(_LITERAL)
        matched = len(token) - literals
        unit = len(self._coding.planes)
        before = bytes((literals - 1,)) if literals else b""
        after = b""
        if matched:
            distance = self._width if token[-1] == _FROM_ABOVE else 1
            after = match_code(matched, distance, self._coding.length_bias)
        parts = _Parts(before, f"{literals * unit}s{matched * unit}x", after)
        self[token] = parts
        return parts


class _Masks(NamedTuple):
    """Constants of a band of some number of rows, with the row above it in the lowest bytes."""

    low_bits: int  # 0x7f in every byte
    band: int  # 0x80 in every byte of the band itself


class _Compressor:
    """One pass over one picture."""

    def __init__(self, width: int, coding: Coding) -> None:
        self._width = width
        self._coding = coding
        self._unit = len(coding.planes)
        self._shortest = max(SHORTEST_MATCH, coding.length_bias + 1)
        self._above_in_reach = width <= MAX_DISTANCE
        self._tokens = _Tokens(width, coding)
        self._masks: dict[int, _Masks] = {}
        self._literal_layouts: dict[int, Struct] = {}
        self._at_top = True
        self._barren = False
        # Pixels up to here that equal those above them and are not written yet: the next band may have more of them.
        self._pending = 0

    def run(self, rows: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the pieces of the pass."""
        may_skip = self._above_in_reach and self._width >= self._shortest
        band_rows = max(1, BAND_PIXELS // self._width)
        above = None
        # The row above comes first; the picture's first row gets a black one, which nothing is compared with.
        band = [bytes(self._width * PIXEL_SIZE)]
        for row in rows:
            if row == above and may_skip:
                if len(band) > 1:
                    yield self._compress_band(band)
                    band = [row]
                self._pending += self._width
            else:
                band.append(row)
                if len(band) > band_rows:
                    yield self._compress_band(band)
                    band = [row]
            above = row
        if len(band) > 1:
            yield self._compress_band(band)
        yield self._take_pending()

    def _take_pending(self) -> bytes:
        if not self._pending:
            return b""
        code = match_code(self._pending, self._width, self._coding.length_bias)
        self._pending = 0
        return code

    def _compress_band(self, band: Sequence[bytes]) -> bytes:
        """Return the bytes of a band, given with the row above it, without those of a match that goes to its end."""
        data = b"".join(band)
        planes = [data[plane::PIXEL_SIZE] for plane in self._coding.planes]
        matches = self._find_matches(planes, len(band) - 1)
        self._at_top = False
        if not matches:
            return self._take_pending() + self._write_literals(planes)
        return self._write(planes, matches.to_bytes(len(planes[0]), "little")[self._width :])

    def _find_matches(self, planes: Sequence[bytes], rows: int) -> int:
        """Return what each pixel of a band is to be, a byte each after those of the row above; 0 is no match at all."""
        if self._barren and rows > 1:
            # The picture has been like noise. One row out of the middle tells whether that goes on.
            start = rows // 2 * self._width
            probe = self._choose([plane[start : start + 2 * self._width] for plane in planes], 1)
            if self._is_barren(probe, 1):
                return 0
        matches = self._choose(planes, rows)
        self._barren = self._is_barren(matches, rows)
        return matches

    def _is_barren(self, matches: int, rows: int) -> bool:
        return matches.bit_count() * BARREN < rows * self._width

    def _choose(self, planes: Sequence[bytes], rows: int) -> int:
        row_bits = self._width * 8
        differs_above = differs_left = 0
        for plane in planes:
            values = int.from_bytes(plane, "little")
            differs_above |= values ^ (values << row_bits)
            differs_left |= values ^ (values << 8)
        masks = self._masks_of(rows)
        above = _zero_bytes(differs_above, masks) if self._above_in_reach else 0
        left = _zero_bytes(differs_left, masks)
        if self._at_top:
            # Nothing is above the first row, nothing on the left of the first pixel.
            above &= masks.band << row_bits
            left &= masks.band << 8
        above = _runs(above, self._shortest)
        # A run to the left starts where the pixel above will not do, and then goes on while it can. The end of a run is
        # found by an addition: bytes of 0xff carry a one that is put in at the start as far as the run reaches.
        starts = (left ^ (left & above)) >> 7
        spread = (left << 1) - (left >> 7)
        left &= spread ^ (spread & (spread + starts))
        left = _runs(left, self._shortest)
        above = _runs(above ^ (above & left), self._shortest)
        return above | left >> 1

    def _masks_of(self, rows: int) -> _Masks:
        masks = self._masks.get(rows)
        if masks is None:
            low_bits = int.from_bytes(b"\x7f" * ((rows + 1) * self._width), "little")
            band = int.from_bytes(b"\x80" * (rows * self._width), "little") << self._width * 8
            masks = self._masks[rows] = _Masks(low_bits, band)
        return masks

    def _pack(self, planes: Sequence[bytes]) -> bytes:
        """Return the band's pixels as literals are written: the bytes of each pixel that this pass carries."""
        if self._unit == 1:
            return planes[0][self._width :]
        packed = bytearray((len(planes[0]) - self._width) * self._unit)
        for position, plane in enumerate(planes):
            packed[position :: self._unit] = plane[self._width :]
        return bytes(packed)

    def _write(self, planes: Sequence[bytes], choices: bytes) -> bytes:
        """Write a band by what was chosen for each pixel; a match with above at its end is kept for the next band."""
        start = 0
        if self._pending:
            start = len(choices) - len(choices.lstrip(b"\x80"))
            self._pending += start
        end = len(choices.rstrip(b"\x80"))
        if start >= end:
            self._pending += len(choices) - start
            return b""
        pieces = [self._take_pending()]
        tokens = _TOKEN.findall(choices, start, end)
        parts = list(map(self._tokens.__getitem__, tokens))
        # Not struct.unpack_from: it would keep the layouts, of which each is used once.
        literals = Struct("".join(map(_LAYOUT, parts))).unpack_from(self._pack(planes), start * self._unit)
        pieces.extend(chain.from_iterable(zip(map(_BEFORE, parts), literals, map(_AFTER, parts), strict=True)))
        self._pending = len(choices) - end
        return b"".join(pieces)

    def _write_literals(self, planes: Sequence[bytes]) -> bytes:
        """Write a band without matches."""
        packed = self._pack(planes)
        groups, rest = divmod(len(packed) // self._unit, MAX_LITERALS)
        layout = self._literal_layouts.get(groups)
        if layout is None:
            layout = self._literal_layouts[groups] = Struct(f"{MAX_LITERALS * self._unit}s" * groups)
        full = bytes((MAX_LITERALS - 1,))
        pieces = [full + full.join(layout.unpack_from(packed))] if groups else []
        if rest:
            pieces += [bytes((rest - 1,)), packed[-rest * self._unit :]]
        return b"".join(pieces)


def _zero_bytes(values: int, masks: _Masks) -> int:
    """Return 0x80 for each byte of the band that is zero, 0 for the others."""
    return ((((values & masks.low_bits) + masks.low_bits) | values) & masks.band) ^ masks.band


def _runs(marks: int, shortest: int) -> int:
    """Return marks, one bit a byte, without the runs of fewer than ``shortest`` of them."""
    starts = marks
    for shift in range(8, 8 * shortest, 8):
        starts &= marks >> shift
    runs = starts
    for shift in range(8, 8 * shortest, 8):
        runs |= starts << shift
    return runs
