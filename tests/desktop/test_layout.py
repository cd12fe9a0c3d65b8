"""Where the demo desktop puts things, on screens of any size."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, strategies as st

from spiceemu.desktop.look import Look, lay_out
from spiceemu.drawing.geometry import Rect

ALL = {"note", "clients", "clock", "pointer", "keyboard", "clipboard"}

widths, heights = st.integers(320, 4096), st.integers(200, 2304)
places = st.integers(0, 4000)


@given(places, places, widths, heights)
def test_everything_is_inside_and_nothing_overlaps(x: int, y: int, width: int, height: int) -> None:
    screen = Rect(x, y, width, height)
    layout = lay_out(screen)
    boxes = [layout.bar, *layout.panels.values()]
    assert all(box.intersection(screen) == box for box in [*boxes, layout.card])
    assert all(first.intersection(second).is_empty for first, second in combinations(boxes, 2))
    assert "note" in layout.panels


@given(st.integers(1, 400), st.integers(1, 300))
def test_a_screen_too_small_for_panels_has_a_bar(width: int, height: int) -> None:
    layout = lay_out(Rect(0, 0, width, height))
    assert layout.bar.width == width
    assert 0 < layout.bar.height <= height


@pytest.mark.parametrize("size", [(640, 480), (800, 600), (1024, 768), (1001, 701), (1920, 1080), (2560, 1080)])
def test_usual_screens_have_all_panels(size: tuple[int, int]) -> None:
    layout = lay_out(Rect(0, 0, *size))
    assert set(layout.panels) == ALL
    assert all(layout.card.intersection(box).is_empty for box in layout.panels.values())


def test_what_is_most_needed_stays_on_small_screens() -> None:
    assert set(lay_out(Rect(0, 0, 320, 200)).panels) == {"note", "pointer"}
    assert set(lay_out(Rect(0, 0, 400, 300)).panels) == {"note", "pointer", "keyboard"}


@pytest.mark.parametrize(
    ("size", "scale", "line"),
    [
        ((320, 200), 1, 15),
        ((1024, 768), 1, 15),
        ((1600, 900), 1, 20),
        ((1920, 1080), 1, 20),
        ((2560, 1440), 2, 30),
        ((3840, 2160), 3, 45),
        ((3840, 1080), 1, 20),
    ],
)
def test_letters_grow_with_the_screen(size: tuple[int, int], scale: int, line: int) -> None:
    look = Look(*size)
    assert (look.scale, look.detail.height) == (scale, line)


def test_a_place_beside_another_head_changes_nothing_but_the_place() -> None:
    here, there = lay_out(Rect(0, 0, 1024, 768)), lay_out(Rect(1920, 40, 1024, 768))
    assert {name: box.translate(1920, 40) for name, box in here.panels.items()} == there.panels
    assert here.card.translate(1920, 40) == there.card
