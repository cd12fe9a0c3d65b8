"""Surfaces: their limits, and what is read of them."""

from __future__ import annotations

import pytest
from hypothesis import given

from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.surface import MAX_AREA, MAX_HEIGHT, MAX_WIDTH, Surface, crop
from spiceemu.errors import InvalidValue

from .models import BOXES, WIDTH, model_of, painted, pixels_of


@given(BOXES)
def test_read_and_crop(box: Rect) -> None:
    surface = painted()
    model = model_of(surface)
    inside = box.intersection(surface.bounds)
    expected = b"".join(model[at] for at in pixels_of(inside))

    if inside == box:
        assert surface.read(box) == expected
        assert crop(bytes(surface.pixels), WIDTH, box) == expected
    else:
        with pytest.raises(InvalidValue, match="not inside surface 0 of 7x5"):
            surface.read(box)


def test_what_was_read_does_not_change_with_the_surface() -> None:
    surface = painted()
    before = surface.read(surface.bounds)
    copy = bytes(before)

    surface.fill(surface.bounds, 0xFFFFFF)

    assert before == copy


@pytest.mark.parametrize("size", [(0, 1), (1, 0), (-1, 1), (MAX_WIDTH + 1, 1), (1, MAX_HEIGHT + 1)])
def test_a_side_out_of_limits_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidValue, match=f"1x1 to {MAX_WIDTH}x{MAX_HEIGHT}"):
        Surface(0, *size)


def test_too_many_pixels_are_refused() -> None:
    with pytest.raises(InvalidValue, match=f"at most {MAX_AREA} pixels"):
        Surface(0, MAX_WIDTH, MAX_HEIGHT)


def test_a_new_surface_is_black_and_shows_what_it_is() -> None:
    surface = Surface(4, 3, 2, has_alpha=True)

    assert bytes(surface.pixels) == bytes(3 * 2 * 4)
    assert (surface.id, surface.has_alpha) == (4, True)
    assert repr(surface) == f"<Surface 4 3x2 revision {surface.revision}>"


def test_no_two_states_of_any_surfaces_have_one_revision() -> None:
    revisions = []
    for _ in range(3):
        surface = Surface(0, 2, 2)
        revisions.append(surface.revision)
        for _ in range(3):
            surface.fill(surface.bounds, 0)
            revisions.append(surface.revision)

    assert len(set(revisions)) == len(revisions)
