"""Pictures of every origin (a PPM file, a BGRX buffer, an X screen) in one shape, to compare pixel by pixel."""

from __future__ import annotations

import re
from pathlib import Path

PPM_HEADER = re.compile(rb"P6\s+(\d+)\s+(\d+)\s+255\s", re.DOTALL)


class Picture:
    """Width, height and ``rgb``: three bytes a pixel, rows top-down, tightly packed."""

    def __init__(self, width: int, height: int, rgb: bytes) -> None:
        if len(rgb) != width * height * 3:
            raise ValueError(f"{len(rgb)} bytes are not {width}x{height} pixels of three bytes")
        self.width = width
        self.height = height
        self.rgb = rgb

    @classmethod
    def from_bgrx(cls, width: int, height: int, data: bytes | bytearray | memoryview) -> Picture:
        """Take four bytes a pixel: blue, green, red, anything."""
        rgb = bytearray(width * height * 3)
        rgb[0::3], rgb[1::3], rgb[2::3] = data[2::4], data[1::4], data[0::4]
        return cls(width, height, bytes(rgb))

    @classmethod
    def from_ppm(cls, data: bytes) -> Picture:
        """Take a binary PPM file of 8 bits a colour, without comments."""
        header = PPM_HEADER.match(data)
        if header is None:
            raise ValueError("not a binary PPM of 8 bits a colour")
        width, height = int(header[1]), int(header[2])
        return cls(width, height, data[header.end() :])

    def __repr__(self) -> str:
        return f"<Picture {self.width}x{self.height}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Picture):
            return NotImplemented
        return (self.width, self.height, self.rgb) == (other.width, other.height, other.rgb)

    def __hash__(self) -> int:
        return hash((self.width, self.height, self.rgb))

    def pixel(self, x: int, y: int) -> int:
        """Return a pixel as 0xRRGGBB."""
        start = (y * self.width + x) * 3
        return int.from_bytes(self.rgb[start : start + 3], "big")

    def changed(self, x: int, y: int) -> Picture:
        """Return a copy in which one pixel has another colour: the least difference a test must notice."""
        start = (y * self.width + x) * 3
        return Picture(
            self.width, self.height, self.rgb[:start] + bytes((self.rgb[start] ^ 1,)) + self.rgb[start + 1 :]
        )

    def crop(self, x: int, y: int, width: int, height: int) -> Picture:
        """Return a part of it."""
        if not (0 <= x <= x + width <= self.width and 0 <= y <= y + height <= self.height):
            raise ValueError(f"{width}x{height} at {x},{y} is not inside {self!r}")
        return Picture(width, height, b"".join(self._row(row, x, width) for row in range(y, y + height)))

    def find(self, part: Picture) -> tuple[int, int] | None:
        """Return where ``part`` is in this picture, pixel for pixel, or None."""
        # The row with the most different bytes gives the fewest false starts.
        rows = [part._row(row, 0, part.width) for row in range(part.height)]
        anchor = max(range(part.height), key=lambda row: len(set(rows[row])))
        for y in range(self.height - part.height + 1):
            row = self._row(y + anchor, 0, self.width)
            start = row.find(rows[anchor])
            while start >= 0:
                x, odd = divmod(start, 3)
                if not odd and all(self._row(y + row, x, part.width) == rows[row] for row in range(part.height)):
                    return x, y
                start = row.find(rows[anchor], start + 1)
        return None

    def difference(self, other: Picture) -> str:
        """Say in one line how two pictures differ; empty when they do not."""
        if (self.width, self.height) != (other.width, other.height):
            return f"{self.width}x{self.height} is not {other.width}x{other.height}"
        if self.rgb == other.rgb:
            return ""
        spots = [
            (x, y)
            for y in range(self.height)
            if (mine := self._row(y, 0, self.width)) != (theirs := other._row(y, 0, self.width))
            for x in range(self.width)
            if mine[x * 3 : x * 3 + 3] != theirs[x * 3 : x * 3 + 3]
        ]
        x, y = spots[0]
        left, right = min(x for x, _ in spots), max(x for x, _ in spots)
        return (
            f"{len(spots)} of {self.width * self.height} pixels differ, within {left},{y} .. {right},{spots[-1][1]}; "
            f"the first at {x},{y}: {self.pixel(x, y):06x} is not {other.pixel(x, y):06x}"
        )

    def save(self, path: Path) -> None:
        """Write it as a PPM file."""
        path.write_bytes(b"P6\n%d %d\n255\n" % (self.width, self.height) + self.rgb)

    def _row(self, y: int, x: int, width: int) -> bytes:
        start = (y * self.width + x) * 3
        return self.rgb[start : start + width * 3]
