"""What the demo desktop is made of: text and shapes that draw only what changed, and the picture that floats above."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from spiceemu.desktop.screen import Floating, Screen, disc, gradient, outside, rounded
from spiceemu.desktop.state import MAX_NOTE, NoteText
from spiceemu.desktop.widgets import Shapes, TextView, fit, wrap
from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.operations import CopyRect, CopySurface, FillRect, WriteText
from spiceemu.drawing.text import load_font
from spiceemu.guest.changes import DisplayChange
from spiceemu.guest.display import Display

if TYPE_CHECKING:
    from collections.abc import Sequence

SMALL = load_font("small")
PAPER, INK = 0x112233, 0xDDEEFF

coordinates = st.integers(-5, 45)
rects = st.builds(Rect, coordinates, coordinates, st.integers(0, 30), st.integers(0, 30))
lines = st.lists(st.text(st.characters(categories=["L", "Zs"], max_codepoint=0x2FF), max_size=14), max_size=6)


def watched(display: Display) -> list[DisplayChange]:
    """What is drawn on a display from now on."""
    drawn: list[DisplayChange] = []
    display.subscribe(drawn.append)
    return drawn


def area(boxes: Sequence[Rect]) -> set[tuple[int, int]]:
    return {(x, y) for box in boxes for y in range(box.y, box.bottom) for x in range(box.x, box.right)}


class TestTextView:
    BOX = Rect(3, 5, 100, 62)  # 11 columns, 4 rows

    def view(self, display: Display) -> TextView:
        display.fill(self.BOX, PAPER)
        return TextView(Screen(display), self.BOX, SMALL, ink=INK, paper=PAPER)

    @given(st.lists(lines, min_size=1, max_size=4))
    def test_it_looks_as_if_all_was_drawn_anew(self, texts: list[list[str]]) -> None:
        display, fresh = Display(0, 120, 80), Display(0, 120, 80)
        view = self.view(display)
        for text in texts:
            view.show(text)
        self.view(fresh).show(texts[-1])
        assert display.screenshot() == fresh.screenshot()

    def test_only_what_differs_is_drawn(self) -> None:
        display = Display(0, 120, 80)
        view = self.view(display)
        view.show(["12:34:56", "same"])
        drawn = watched(display)
        view.show(["12:34:57", "same"])
        view.show(["12:34:57", "same"])
        assert [type(each) for each in drawn] == [WriteText]
        assert drawn[0].box == Rect(3 + 7 * 9, 5, 9, 15)

    def test_what_is_gone_is_filled(self) -> None:
        display = Display(0, 120, 80)
        view = self.view(display)
        view.show(["word"])
        drawn = watched(display)
        view.show([])
        assert drawn == [FillRect(0, Rect(3, 5, 4 * 9, 15), PAPER)]

    @pytest.mark.parametrize("count", [1, 2, 3, -1, -3, 4, 9, -7, 0])
    def test_scrolling_copies(self, count: int) -> None:
        display, fresh = Display(0, 120, 80), Display(0, 120, 80)
        view = self.view(display)
        text = [f"line {number}" for number in range(20)]
        view.show(text[8:12])
        drawn = watched(display)
        view.scroll(count)
        copies = list(drawn)
        view.show(text[8 + count : 12 + count])
        self.view(fresh).show(text[8 + count : 12 + count])
        assert display.screenshot() == fresh.screenshot()
        assert [type(each) for each in copies] == ([CopyRect] if 0 < abs(count) < 4 else [])
        if copies:
            assert sum(isinstance(each, WriteText) for each in drawn) == abs(count)

    def test_what_was_drawn_over_comes_back(self) -> None:
        display = Display(0, 120, 80)
        view = self.view(display)
        view.show(["abc"])
        before = display.screenshot()
        display.fill((3 + 9, 5, 2, 15), INK)
        view.forget(0, 1)
        view.show(["abc"])
        assert display.screenshot() == before

    def test_a_view_without_room_draws_nothing(self) -> None:
        display = Display(0, 120, 80)
        drawn = watched(display)
        TextView(Screen(display), Rect(0, 0, -4, 20), SMALL).show(["text"])
        TextView(Screen(display), Rect(0, 0, 50, 3), SMALL).show(["text"])
        assert not drawn


class TestShapes:
    shapes = st.lists(st.tuples(rects, st.integers(1, 6)), max_size=6)

    @given(shapes, st.lists(st.tuples(st.integers(0, 5), rects, st.integers(1, 6)), max_size=6))
    def test_it_looks_as_if_all_was_drawn_anew(
        self, first: list[tuple[Rect, int]], changes: list[tuple[int, Rect, int]]
    ) -> None:
        display, fresh = Display(0, 40, 40), Display(0, 40, 40)
        changing = Shapes(Screen(display), 0)
        changing.show(first)
        now = list(first)
        for place, box, color in changes:
            now[place : place + 1] = [(box, color)]
            changing.show(now)
        Shapes(Screen(fresh), 0).show(now)
        assert display.screenshot() == fresh.screenshot()

    def test_only_what_differs_is_drawn(self) -> None:
        display = Display(0, 40, 40)
        changing = Shapes(Screen(display), 0)
        one, two = (Rect(0, 0, 10, 10), 1), (Rect(20, 20, 10, 10), 2)
        changing.show([one, two])
        drawn = watched(display)
        changing.show([one, (two[0], 3)])
        assert drawn == [FillRect(0, two[0], 3)]
        changing.show([one])
        assert drawn[1:] == [FillRect(0, two[0], 0)]

    def test_nothing_is_drawn_that_is_covered_up(self) -> None:
        display = Display(0, 40, 40)
        changing = Shapes(Screen(display), 0)
        below, above = (Rect(0, 0, 20, 20), 1), (Rect(5, 5, 10, 10), 2)
        changing.show([below, above])
        drawn = watched(display)
        changing.show([below, (above[0], 3)])
        assert drawn == [FillRect(0, above[0], 3)]
        changing.show([below])
        assert drawn[1:] == [FillRect(0, above[0], 1)]


class TestNoteText:
    def test_typing(self) -> None:
        note = NoteText("ac")
        note.go(1)
        note.insert("b")
        assert (note.text, note.caret) == ("abc", 2)
        note.erase(-1)
        note.erase(1)
        assert (note.text, note.caret) == ("a", 1)
        note.erase(1)
        note.go(0)
        note.erase(-1)
        assert (note.text, note.caret) == ("a", 0)
        note.clear()
        assert (note.text, note.caret) == ("", 0)

    def test_what_cannot_be_shown_is_left_out(self) -> None:
        note = NoteText()
        note.insert("a\r\nb\rc\td\0\x1be\u202e\N{EURO SIGN}")
        assert note.text == "a\nb\nc    de\N{EURO SIGN}"

    def test_it_has_a_longest(self) -> None:
        note = NoteText("x" * (MAX_NOTE - 2))
        note.go(0)
        note.insert("abcd")
        note.insert("e")
        assert (len(note.text), note.text[:3], note.caret) == (MAX_NOTE, "abx", 2)

    def test_the_caret_stays_inside(self) -> None:
        note = NoteText("abc")
        note.go(-4)
        assert note.caret == 0
        note.go(99)
        assert note.caret == 3


class TestWrap:
    @given(st.text("ab \n", max_size=60), st.integers(1, 12))
    def test_no_line_is_too_long_and_nothing_is_lost(self, text: str, columns: int) -> None:
        spans = wrap(text, columns)
        assert all(0 <= end - start <= columns for start, end in spans)
        assert spans[0][0] == 0
        assert spans[-1][1] == len(text)
        for (_, end), (start, _) in pairwise(spans):
            assert start == end or (start == end + 1 and text[end] == "\n")

    def test_it_breaks_at_spaces_where_it_can(self) -> None:
        text = "one two three\n\nabcdefghijk"
        assert [text[start:end] for start, end in wrap(text, 8)] == ["one two ", "three", "", "abcdefgh", "ijk"]

    @pytest.mark.parametrize(("columns", "shown"), [(5, "abcde"), (4, "abc…"), (1, "…"), (0, "")])
    def test_fit(self, columns: int, shown: str) -> None:
        assert fit("abcde", columns) == shown


class TestFloating:
    """The floating picture is red on a screen that is not."""

    RED = 0xFF0000

    def floating(self, display: Display) -> tuple[Screen, Floating]:
        for number in range(48):
            display.fill((number, number, 50 - number, 50 - number), number * 0x050301)
        floating = Floating(display, Rect(10, 12, 14, 9))
        display.fill((0, 0, 14, 9), self.RED, surface=floating.surface_id)
        screen = Screen(display)
        screen.floating = floating
        screen.settle()
        return screen, floating

    @given(st.lists(st.tuples(st.integers(0, 36), st.integers(0, 41)), min_size=1, max_size=5))
    def test_it_leaves_nothing_behind(self, path: list[tuple[int, int]]) -> None:
        display, bare = Display(0, 50, 50), Display(0, 50, 50)
        _, floating = self.floating(display)
        _, left = self.floating(bare)
        left.hide()
        for x, y in path:
            floating.move(x, y)
        bare.fill((*path[-1], 14, 9), self.RED)
        assert display.screenshot() == bare.screenshot()

    def test_a_move_is_one_copy_and_its_edges(self) -> None:
        display = Display(0, 50, 50)
        _, floating = self.floating(display)
        drawn = watched(display)
        floating.move(13, 10)
        assert [each for each in drawn if isinstance(each, CopyRect)] == [CopyRect(0, Rect(13, 10, 14, 9), 10, 12)]
        shown = [each.box for each in drawn if isinstance(each, CopySurface) and each.surface_id == 0]
        assert area(shown) == area([Rect(10, 12, 14, 9)]) - area([Rect(13, 10, 14, 9)])
        assert not any(isinstance(each, FillRect | WriteText) for each in drawn)

    @given(rects, rects, st.tuples(coordinates, coordinates), st.tuples(st.integers(0, 36), st.integers(0, 41)))
    def test_what_is_drawn_below_it_comes_out(
        self, filled: Rect, copied: Rect, target: tuple[int, int], place: tuple[int, int]
    ) -> None:
        display, bare = Display(0, 50, 50), Display(0, 50, 50)
        screen, floating = self.floating(display)
        _, left = self.floating(bare)
        left.hide()
        for each in (screen, Screen(bare)):
            each.copy(copied, target)
            each.fill(filled, 0x00FF00)
            each.text((5, 14), "below", SMALL, INK, PAPER)
        screen.settle()
        floating.move(*place)
        bare.fill((*place, 14, 9), self.RED)
        assert display.screenshot() == bare.screenshot()

    def test_what_is_drawn_beside_it_leaves_it_alone(self) -> None:
        display = Display(0, 50, 50)
        screen, _ = self.floating(display)
        drawn = watched(display)
        screen.fill(Rect(24, 12, 5, 5), INK)
        screen.settle()
        assert len(drawn) == 1

    def test_closing_removes_its_surfaces(self) -> None:
        display = Display(0, 50, 50)
        _, floating = self.floating(display)
        assert len(display.surfaces) == 4
        floating.close()
        assert list(display.surfaces) == [0]


class TestGeometry:
    @given(rects, rects)
    def test_outside(self, box: Rect, hole: Rect) -> None:
        parts = outside(box, hole)
        assert area(parts) == area([box]) - area([hole])
        assert sum(part.area for part in parts) == len(area(parts))

    @pytest.mark.parametrize("unit", [1, 2, 3])
    @pytest.mark.parametrize("size", [(30, 20), (9, 30), (2, 2), (14, 14)])
    def test_rounded_boxes_have_no_overlaps_and_no_holes(self, size: tuple[int, int], unit: int) -> None:
        box = Rect(5, 6, *size)
        parts = list(rounded(box, 7, unit))
        inside = area(parts)
        assert sum(part.area for part in parts) == len(inside)
        assert inside <= area([box])
        mirrored = {(box.right + box.x - 1 - x, box.bottom + box.y - 1 - y) for x, y in inside}
        assert mirrored == inside
        square = set(area([box])) - inside
        assert all(min(x - box.x, box.right - 1 - x) < 7 and min(y - box.y, box.bottom - 1 - y) < 7 for x, y in square)

    def test_corners_can_be_square(self) -> None:
        box = Rect(0, 0, 20, 20)
        missing = area([box]) - area(list(rounded(box, 6, 1, right=False, bottom=False)))
        assert missing
        assert all(x < 6 and y < 6 for x, y in missing)

    def test_a_disc_is_round(self) -> None:
        inside = area(list(disc(20, 20, 10, step=1)))
        assert 280 < len(inside) <= 314
        assert all((x + 0.5 - 20) ** 2 + (y + 0.5 - 20) ** 2 <= 10.5**2 for x, y in inside)

    @given(st.integers(0, 0xFFFFFF), st.integers(0, 0xFFFFFF), st.integers(1, 300))
    def test_a_gradient_covers_its_box_without_steps(self, top: int, bottom: int, height: int) -> None:
        bands = list(gradient(Rect(2, 3, 4, height), top, bottom))
        assert [box.y for box, _ in bands] == [3, *(box.bottom for box, _ in bands[:-1])]
        assert bands[-1][0].bottom == 3 + height
        assert bands[0][1] == top
        if len(bands) > 1:
            assert bands[-1][1] == bottom
