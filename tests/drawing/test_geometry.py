"""Rectangles against the set of pixels that they stand for."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from spiceemu.drawing.geometry import Rect, as_point, as_rect
from spiceemu.errors import InvalidValue

SMALL = st.integers(-6, 6)
RECTS = st.builds(Rect, SMALL, SMALL, st.integers(0, 6), st.integers(0, 6))


def pixels_of(rect: Rect) -> set[tuple[int, int]]:
    return {(x, y) for y in range(-20, 20) for x in range(-20, 20) if rect.contains(x, y)}


def test_edges_and_area() -> None:
    rect = Rect(2, 3, 4, 5)

    assert (rect.right, rect.bottom, rect.area) == (6, 8, 20)
    assert rect.contains(2, 3)
    assert rect.contains(5, 7)
    assert not rect.contains(6, 7)
    assert not rect.contains(5, 8)


@given(RECTS)
def test_area_counts_the_pixels(rect: Rect) -> None:
    assert rect.area == len(pixels_of(rect))
    assert rect.is_empty == (not pixels_of(rect))


@given(RECTS, RECTS)
def test_intersection_has_the_pixels_inside_both(one: Rect, other: Rect) -> None:
    intersection = one.intersection(other)

    assert pixels_of(intersection) == pixels_of(one) & pixels_of(other)
    assert min(intersection.width, intersection.height) >= 0


@given(RECTS, RECTS)
def test_union_is_the_smallest_rectangle_around_both(one: Rect, other: Rect) -> None:
    union = one.union(other)
    pixels = pixels_of(one) | pixels_of(other)

    assert pixels <= pixels_of(union)
    if pixels:
        columns, rows = {x for x, _ in pixels}, {y for _, y in pixels}
        assert union == (min(columns), min(rows), max(columns) - min(columns) + 1, max(rows) - min(rows) + 1)


@given(RECTS, SMALL, SMALL)
def test_translate_moves_every_pixel(rect: Rect, dx: int, dy: int) -> None:
    assert pixels_of(rect.translate(dx, dy)) == {(x + dx, y + dy) for x, y in pixels_of(rect)}


def test_plain_tuples_are_taken() -> None:
    assert as_rect((1, -2, 3, 0)) == Rect(1, -2, 3, 0)
    assert as_point((4, -5)) == (4, -5)


@pytest.mark.parametrize("value", [(1, 2, 3), (1, 2, 3, 4, 5), (1.5, 2, 3, 4), "1234", None, (1, 2, None, 4)])
def test_what_is_no_rectangle_is_refused(value: object) -> None:
    with pytest.raises(InvalidValue, match=r"\(x, y, width, height\)"):
        as_rect(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [(0, 0, -1, 5), (0, 0, 5, -1)])
def test_a_negative_size_is_refused(value: tuple[int, int, int, int]) -> None:
    with pytest.raises(InvalidValue, match="0 or more"):
        as_rect(value)


@pytest.mark.parametrize("value", [(1,), (1, 2, 3), (0.5, 1), None])
def test_what_is_no_position_is_refused(value: object) -> None:
    with pytest.raises(InvalidValue, match=r"\(x, y\)"):
        as_point(value)  # type: ignore[arg-type]
