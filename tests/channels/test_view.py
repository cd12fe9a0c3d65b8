"""What a level lets a client see of a display."""

from __future__ import annotations

import pytest

from spiceemu.channels.view import View
from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.operations import (
    Blit,
    Copy,
    CopySurface,
    Drawable,
    Fill,
    MonitorsChanged,
    SurfaceCreated,
    SurfaceDestroyed,
    Text,
)
from spiceemu.drawing.text import load_font
from spiceemu.guest.display import Display, Head
from spiceemu.protocol.levels.level import level_of

TWO_HEADS = [Head(0, 10, 5, 20, 15), Head(1, 30, 5, 10, 10)]


def watched(level: str, *, heads: list[Head] | None = None) -> tuple[Display, View, list[Drawable]]:
    """A display, a level's view of it, and all that it shows from now on."""
    display = Display(0, 40, 30)
    if heads:
        display.set_heads(heads)
    view = View(display, level_of(level))
    shown: list[Drawable] = []
    display.subscribe(lambda drawable: shown.extend(view.lower(drawable)))
    return display, view, shown


def test_a_level_with_everything_changes_nothing() -> None:
    display, view, shown = watched("0.12")
    told: list[Drawable] = []
    display.subscribe(told.append)
    surface = display.create_surface(8, 8)
    display.fill((0, 0, 4, 4), "red", surface=surface)
    display.copy_surface(surface, (0, 0, 4, 4), (1, 1))
    display.set_heads(TWO_HEADS)
    display.destroy_surface(surface)
    assert shown == told
    assert view.has(0)
    assert view.origin == (0, 0)
    assert list(view.heads) == TWO_HEADS


def test_without_surfaces_what_is_drawn_elsewhere_comes_as_pixels_once_it_is_shown() -> None:
    display, view, shown = watched("0.4")
    surface = display.create_surface(8, 8)
    display.fill((0, 0, 8, 8), 0x112233, surface=surface)
    display.text((0, 0), "x", color="white", surface=surface)
    display.copy((0, 0, 2, 2), (4, 4), surface=surface)
    assert shown == []
    assert not view.has(surface)
    display.fill((0, 0, 8, 8), 0x112233, surface=surface)
    display.copy_surface(surface, (1, 1, 3, 2), (5, 6))
    assert shown == [Blit(0, Rect(5, 6, 3, 2), b"\x33\x22\x11\x00" * 6)]
    display.copy((5, 6, 3, 2), (0, 0))
    display.destroy_surface(surface)
    assert shown[1:] == [Copy(0, Rect(0, 0, 3, 2), 5, 6)]


@pytest.mark.parametrize("level", ["0.4", "0.6", "0.8.3", "0.10.1"])
def test_without_monitors_config_the_first_head_is_all(level: str) -> None:
    display, view, shown = watched(level, heads=TWO_HEADS)
    assert view.bounds(0) == Rect(0, 0, 20, 15)
    assert view.origin == (10, 5)
    assert view.creation(0) == SurfaceCreated(0, 20, 15, has_alpha=False)
    display.fill((0, 0, 12, 30), 0x010203)  # over the edge
    display.fill((31, 6, 2, 2), "red")  # on the other head
    display.blit((12, 6), 2, 1, bytes(8))
    display.text((15, 7), "i", color="white")
    display.copy((12, 6, 2, 2), (20, 10))
    assert shown[0] == Fill(0, Rect(0, 0, 2, 15), 0x010203)
    assert shown[1] == Blit(0, Rect(2, 1, 2, 1), bytes(8))
    assert isinstance(shown[2], Text)
    assert (shown[2].x, shown[2].y, shown[2].box[:2]) == (5, 2, (5, 2))
    assert shown[3] == Copy(0, Rect(10, 5, 2, 2), 2, 1)
    assert len(shown) == 4


def test_what_is_cut_at_the_edge_of_the_head_is_read_from_the_screen() -> None:
    display, view, shown = watched("0.6", heads=TWO_HEADS)
    display.blit((8, 5), 4, 1, bytes(range(16)))
    display.copy((31, 5, 2, 2), (10, 5))  # from the other head
    display.text((5, 5), "w", color="white")
    written = Rect(0, 0, 5 + load_font().width - 10, 15)
    assert [type(each) for each in shown] == [Blit, Blit, Blit]
    assert shown[0] == Blit(0, Rect(0, 0, 2, 1), bytes(range(8, 16)))
    assert [each.box for each in shown[1:]] == [Rect(0, 0, 2, 2), written]  # type: ignore[union-attr]
    assert isinstance(shown[2], Blit)
    assert shown[2].pixels == view.read(0, written)


def test_surfaces_and_one_head_go_together() -> None:
    display, _, shown = watched("0.6", heads=TWO_HEADS)
    surface = display.create_surface(16, 16)
    display.copy_surface(surface, (0, 0, 16, 16), (6, 3))
    assert shown[:2] == [SurfaceCreated(surface, 16, 16, has_alpha=False), Fill(surface, Rect(0, 0, 16, 16), 0)]
    assert shown[2:] == [CopySurface(0, Rect(0, 0, 12, 14), surface, 4, 2)]


def test_another_head_is_a_new_primary() -> None:
    display, view, shown = watched("0.6")
    display.fill((0, 0, 40, 30), 0xABCDEF)
    del shown[:]
    display.set_heads([Head(0, 0, 0, 10, 10), Head(1, 10, 0, 30, 30)])  # the surface keeps its size
    assert [type(each) for each in shown] == [SurfaceDestroyed, SurfaceCreated, Blit, MonitorsChanged]
    assert shown[1] == SurfaceCreated(0, 10, 10, has_alpha=False)
    assert shown[2] == Blit(0, Rect(0, 0, 10, 10), view.read(0, view.bounds(0)))
    del shown[:]
    display.set_heads([Head(0, 0, 0, 10, 10), Head(1, 10, 0, 30, 20), Head(2, 0, 20, 40, 10)])
    assert shown == []  # the other heads are nobody's business
    display.resize(25, 25)
    assert [type(each) for each in shown] == [SurfaceDestroyed, SurfaceCreated, Blit, MonitorsChanged]
    assert shown[1] == SurfaceCreated(0, 25, 25, has_alpha=False)


def test_the_first_head_is_that_of_the_lowest_id() -> None:
    _, view, _ = watched("0.6", heads=[Head(2, 0, 0, 10, 10), Head(1, 10, 0, 5, 5)])
    assert view.bounds(0) == Rect(0, 0, 5, 5)
    assert view.origin == (10, 0)
