"""What a level lets a client see of a display."""

from __future__ import annotations

import pytest

from spiceemu.channels.lowering import LOWERINGS, Lowering, Lowerings
from spiceemu.channels.view import View
from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.operations import Blit, CopyRect, CopySurface, FillRect, WriteText
from spiceemu.drawing.text import load_font
from spiceemu.guest.changes import DisplayChange, MonitorsChanged, SurfaceCreated, SurfaceDestroyed
from spiceemu.guest.display import Display, Head
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.levels.level import level_of
from spiceemu.protocol.levels.needs import Peer

WITH_TEXT = {**LOWERINGS, WriteText: LOWERINGS[FillRect]}
TWO_HEADS = [Head(0, 10, 5, 20, 15), Head(1, 30, 5, 10, 10)]


def watched(
    level: str, *, heads: list[Head] | None = None, rows: Lowerings = LOWERINGS
) -> tuple[Display, View, list[DisplayChange]]:
    """A display, a level's view of it, and all that it shows from now on to a client without capabilities."""
    display = Display(0, 40, 30)
    if heads:
        display.set_heads(heads)
    view = View(display, level_of(level))
    shown: list[DisplayChange] = []
    peer = Peer(view.level, ChannelType.DISPLAY, frozenset(), mini=False)
    lowering = Lowering(view, peer, rows)
    display.subscribe(lambda change: shown.extend(lowering.lower(change)))
    return display, view, shown


def test_a_level_with_everything_changes_nothing() -> None:
    display, view, shown = watched("0.12")
    told: list[DisplayChange] = []
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
    assert shown[1:] == [CopyRect(0, Rect(0, 0, 3, 2), 5, 6)]


@pytest.mark.parametrize("level", ["0.4", "0.6", "0.8.3", "0.10.1"])
def test_without_monitors_config_the_first_head_is_all(level: str) -> None:
    display, view, shown = watched(level, heads=TWO_HEADS, rows=WITH_TEXT)
    assert view.bounds(0) == Rect(0, 0, 20, 15)
    assert view.origin == (10, 5)
    assert view.creation(0) == SurfaceCreated(0, 20, 15, has_alpha=False)
    display.fill((0, 0, 12, 30), 0x010203)  # over the edge
    display.fill((31, 6, 2, 2), "red")  # on the other head
    display.blit((12, 6), 2, 1, bytes(8))
    display.text((15, 7), "i", color="white")
    display.copy((12, 6, 2, 2), (20, 10))
    assert shown[0] == FillRect(0, Rect(0, 0, 2, 15), 0x010203)
    assert shown[1] == Blit(0, Rect(2, 1, 2, 1), bytes(8))
    assert isinstance(shown[2], WriteText)
    assert (shown[2].x, shown[2].y, shown[2].box[:2]) == (5, 2, (5, 2))
    assert shown[3] == CopyRect(0, Rect(10, 5, 2, 2), 2, 1)
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
    assert shown[:2] == [SurfaceCreated(surface, 16, 16, has_alpha=False), FillRect(surface, Rect(0, 0, 16, 16), 0)]
    assert shown[2:] == [CopySurface(0, Rect(0, 0, 12, 14), surface, 4, 2)]


def test_a_copy_from_the_head_to_another_surface_reads_where_the_head_is() -> None:
    display, view, shown = watched("0.6", heads=TWO_HEADS)
    surface = display.create_surface(16, 16)
    del shown[:]
    display.copy_surface(0, (11, 6, 4, 4), (1, 2), surface=surface)
    display.copy_surface(0, (28, 6, 4, 4), (1, 2), surface=surface)  # half of it from the other head
    box = Rect(1, 2, 4, 4)
    assert shown == [CopySurface(surface, box, 0, 1, 1), Blit(surface, box, view.read(surface, box))]


def test_a_clip_moves_with_the_head() -> None:
    display, _, shown = watched("0.6", heads=TWO_HEADS)
    display.draw(FillRect(0, Rect(0, 0, 40, 30), 1, clip=(Rect(12, 6, 4, 4), Rect(0, 0, 5, 5), Rect(29, 0, 9, 9))))
    display.draw(FillRect(0, Rect(0, 0, 40, 30), 1, clip=(Rect(0, 0, 5, 5),)))
    assert shown == [FillRect(0, Rect(0, 0, 20, 15), 1, clip=(Rect(2, 1, 4, 4), Rect(19, 0, 1, 4)))]


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
