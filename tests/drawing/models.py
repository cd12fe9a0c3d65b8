"""A surface of pixels that all differ, and a model of one that does everything one pixel at a time."""

from __future__ import annotations

from hypothesis import strategies as st

from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.surface import Surface

WIDTH, HEIGHT = 7, 5
POSITION = st.integers(-9, 9)
BOXES = st.builds(Rect, POSITION, POSITION, st.integers(0, 12), st.integers(0, 12))

Model = dict[tuple[int, int], bytes]


def distinct(count: int, first: int = 0) -> bytes:
    """Pixels of which no two are equal."""
    return b"".join((first + number).to_bytes(4, "little") for number in range(count))


def painted(surface_id: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Surface:
    surface = Surface(surface_id, width, height)
    surface.put(surface.bounds, distinct(width * height, first=1 + (surface_id << 16)))
    return surface


def model_of(surface: Surface) -> Model:
    return {
        (x, y): bytes(surface.pixels[(y * surface.width + x) * 4 :][:4])
        for y in range(surface.height)
        for x in range(surface.width)
    }


def pixels_of(box: Rect) -> list[tuple[int, int]]:
    return [(x, y) for y in range(box.y, box.bottom) for x in range(box.x, box.right)]


def bounding_box(pixels: set[tuple[int, int]]) -> Rect:
    columns, rows = [x for x, _ in pixels], [y for _, y in pixels]
    return Rect(min(columns), min(rows), max(columns) - min(columns) + 1, max(rows) - min(rows) + 1)
