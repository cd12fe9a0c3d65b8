"""The demo desktop: what its user does shows on the screen, and only what changed is drawn."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings, strategies as st

from spiceemu.desktop.clock import SEGMENTS
from spiceemu.desktop.desktop import Desktop, ShownChannel, ShownClient
from spiceemu.desktop.look import AMBER, AZURE, INK, MUTED, PANEL, PAPER, PAPER_INK, ROSE, TEAL, UNLIT, lay_out
from spiceemu.desktop.state import MAX_NOTE
from spiceemu.drawing.canvas import Canvas
from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.operations import Blit, CopyRect, CopySurface, FillRect, Operation, WriteText
from spiceemu.drawing.text import Font, load_font
from spiceemu.guest.changes import DisplayChange, MonitorsChanged, SurfaceCreated, SurfaceDestroyed
from spiceemu.guest.clipboard import CLIPBOARD
from spiceemu.guest.cursor import ARROW, HAND, TEXT_BEAM
from spiceemu.guest.display import Display, Head
from spiceemu.guest.keymap import US
from spiceemu.guest.machine import Guest

SMALL, LARGE = load_font("small"), load_font("large")
NOON = datetime(2025, 11, 23, 11, 59, 58)
SIZES = [(320, 200), (640, 480), (1001, 701), (1024, 768), (1920, 1080), (3840, 2160), (1080, 1920), (100, 80), (1, 1)]

MOST_AT_ONCE = 500
"""Changes of a new layout; a display channel queues 512 before it gives up and sends a picture."""

CLIENT = ShownClient(
    "3f2a90c1",
    ("client mouse mode",),
    (ShownChannel("main:0", True, ("name_and_uuid",)), ShownChannel("cursor:0", False, ())),
)


class FarScreen:
    """What a client shows that is sent nothing but the drawables."""

    UNDEFINED = 0xEEEEEE

    def __init__(self, display: Display) -> None:
        self.canvas = Canvas()
        self.canvas.create(0, display.width, display.height)
        display.subscribe(self.apply)

    def apply(self, change: DisplayChange) -> None:
        match change:
            case SurfaceCreated(surface_id, width, height):
                assert surface_id not in self.canvas.surfaces
                made = self.canvas.create(surface_id, width, height)
                made.fill(made.bounds, self.UNDEFINED)
            case SurfaceDestroyed(surface_id):
                self.canvas.destroy(surface_id)
            case Operation():
                assert self.canvas.paint(change) == change
            case MonitorsChanged():
                pass

    @property
    def pixels(self) -> bytes:
        return bytes(self.canvas.surface(0).pixels)


class Person:
    """Somebody at a guest with a desktop, without an agent that would talk to a client."""

    def __init__(self, size: tuple[int, int] = (1024, 768)) -> None:
        self.guest = Guest(sizes=[size], agent=False)
        self.display = self.guest.displays[0]
        self.drawn: list[DisplayChange] = []
        self.display.subscribe(self.drawn.append)
        self.far = FarScreen(self.display)
        self.desktop = Desktop(self.guest)

    @property
    def panels(self) -> dict[str, Rect]:
        return lay_out(self.display.heads[0].box).panels

    @property
    def card(self) -> Rect:
        """Where the photograph lies at first."""
        return lay_out(self.display.heads[0].box).card

    def types(self, text: str) -> None:
        for strokes in US.scancodes_for(text):
            self.guest.type_scancodes(strokes)

    def presses(self, *scancodes: int) -> None:
        """Keys with the prefix 0xe0, down and up."""
        for scancode in scancodes:
            self.guest.type_scancodes(bytes((0xE0, scancode, 0xE0, scancode | 0x80)))

    def moves(self, x: int, y: int) -> None:
        self.guest.place_pointer(x, y, self.guest.pointer.buttons, 0)

    def clicks(self, x: int, y: int) -> None:
        self.moves(x, y)
        self.guest.press_button(1, 1)
        self.guest.release_button(1, 0)

    def drags(self, start: tuple[int, int], *path: tuple[int, int]) -> None:
        self.moves(*start)
        self.guest.press_button(1, 1)
        for place in path:
            self.moves(*place)
        self.guest.release_button(1, 0)

    def find(self, text: str, *, font: Font = SMALL, ink: int = INK, paper: int = PANEL) -> tuple[int, int] | None:
        """Where text stands on the screen, None if it does not."""
        pixels, stride = bytes(self.display.primary.pixels), self.display.width * 4
        size = len(text) * font.width * 4
        rendered = font.render(text, ink, paper)
        rows = [rendered[start : start + size] for start in range(0, len(rendered), size)]
        # The row with most ink is the best to look for.
        key = max(range(len(rows)), key=lambda row: len(rows[row].replace(paper.to_bytes(4, "little"), b"")))
        at = pixels.find(rows[key])
        while at >= 0:
            top = at - key * stride
            if at % 4 == 0 and all(pixels[top + n * stride :][:size] == row for n, row in enumerate(rows)):
                return top % stride // 4, top // stride
            at = pixels.find(rows[key], at + 1)
        return None

    def finds_typed(self, text: str) -> tuple[int, int] | None:
        """Where a typed line stands, its caret not behind it."""
        return self.find(text, font=LARGE, ink=PAPER_INK, paper=PAPER)

    def clicks_button(self, label: str) -> None:
        place = self.find(label, ink=PAPER_INK, paper=PAPER)
        assert place is not None
        self.clicks(place[0] + 2, place[1] + 2)

    def colors(self, box: Rect) -> set[int]:
        pixels = self.display.primary.read(box)
        return {int.from_bytes(pixels[at : at + 3], "little") for at in range(0, len(pixels), 4)}

    def redrawn(self) -> bytes:
        """The screen after all of it was drawn anew, the desktop being as it is."""
        width, height = self.display.width, self.display.height
        self.guest.set_heads(0, [Head(0, 0, 0, width + 1, height)])
        self.guest.set_heads(0, [Head(0, 0, 0, width, height)])
        return self.display.screenshot().pixels


def within(drawn: Iterable[DisplayChange], *boxes: Rect) -> bool:
    """Whether all that was drawn on the screen is inside one of the boxes."""
    shown = [each.box for each in drawn if isinstance(each, Operation)]
    return all(any(part.intersection(box) == part for box in boxes) for part in shown)


@pytest.fixture
def person() -> Person:
    person = Person()
    person.desktop.tick(NOON)
    person.drawn.clear()
    return person


class TestDrawing:
    @pytest.mark.parametrize("size", SIZES)
    def test_a_client_of_any_size_shows_the_same(self, size: tuple[int, int]) -> None:
        person = Person(size)
        person.desktop.tick(NOON)
        person.desktop.show_clients([CLIENT])
        person.types("hello\n")
        person.drags((size[0] // 2, size[1] // 2), (0, 0), (size[0] - 1, size[1] - 1))
        assert person.far.pixels == person.display.screenshot().pixels
        assert person.display.screenshot().pixels == person.redrawn()

    @pytest.mark.parametrize("size", SIZES)
    def test_a_layout_is_few_drawables_and_small_pictures(self, size: tuple[int, int]) -> None:
        person = Person((800, 600))
        person.drawn.clear()
        person.guest.set_heads(0, [Head(0, 0, 0, *size)])
        assert len(person.drawn) <= MOST_AT_ONCE
        # One picture is what the resize kept of the old screen, and one is the photograph.
        pictures = sorted(
            (each.box.area * 4 for each in person.drawn if isinstance(each, Blit | WriteText)), reverse=True
        )
        assert all(picture <= person.card.area * 4 for picture in pictures[1:])

    @settings(max_examples=20)
    @given(
        st.lists(
            st.one_of(
                st.sampled_from(["a", "B", "\n", "\b", "copy", "paste", "tick", "clients", "client copies", "wheel"]),
                st.tuples(st.integers(0, 639), st.integers(0, 479), st.sampled_from([0, 0, 1, 1, 2, 4])),
            ),
            max_size=25,
        )
    )
    def test_drawing_what_changed_is_as_good_as_drawing_all(self, actions: list[str | tuple[int, int, int]]) -> None:
        person, now = Person((640, 480)), NOON
        person.clicks_button("Clear")
        person.drags(person.card[:2], (200, 100))
        for action in actions:
            match action:
                case (x, y, buttons):
                    person.guest.place_pointer(x, y, buttons, 0)
                case "copy":
                    person.guest.clipboard.set_text("copied here")
                case "paste":
                    person.guest.type_scancodes(b"\x1d\x2f\xaf\x9d")
                case "tick":
                    now += timedelta(seconds=977)
                    person.desktop.tick(now)
                case "clients":
                    person.desktop.show_clients([CLIENT])
                case "client copies":
                    person.guest.clipboard.client_copied([1], CLIPBOARD)
                case "wheel":
                    person.guest.press_button(4, person.guest.pointer.buttons)
                case str():
                    person.types(action)
        person.guest.release_buttons()
        seen = person.display.screenshot().pixels
        assert person.far.pixels == seen
        assert person.redrawn() == seen


class TestTyping:
    def test_what_is_typed_shows(self, person: Person) -> None:
        assert person.finds_typed("hello, World") is None
        person.types("hello, World!")
        assert person.finds_typed("hello, World") is not None
        assert within(person.drawn, person.panels["note"], person.panels["keyboard"])

    def test_a_key_draws_its_letter_and_the_caret(self, person: Person) -> None:
        person.types("x")
        person.drawn.clear()
        person.types("y")
        note = [each for each in person.drawn if within([each], person.panels["note"])]
        assert [type(each) for each in note] == [WriteText, FillRect]
        assert isinstance(note[0], WriteText)
        assert note[0].text == "y"

    def test_enter_and_backspace(self, person: Person) -> None:
        person.types("one\ntwo\b\b\bthree")
        first, second = person.finds_typed("one"), person.finds_typed("three")
        assert first is not None
        assert second == (first[0], first[1] + LARGE.height)
        assert person.finds_typed("tw") is None

    def test_the_caret_goes_with_the_keys(self, person: Person) -> None:
        left, right, up, down, home, end, delete = 0x4B, 0x4D, 0x48, 0x50, 0x47, 0x4F, 0x53
        person.clicks_button("Clear")
        person.types("abc\ndef")
        person.presses(left, left)
        person.types("1")
        person.presses(up, home)
        person.types("2")
        person.presses(end)
        person.types("3")
        person.presses(down, end, left, right, right)
        person.types("4")
        person.presses(up, up, home, delete)
        person.clicks_button("Copy")
        assert person.guest.clipboard.text == "abc3\nd1ef4"

    def test_a_broken_line_is_gone_through_as_it_looks(self, person: Person) -> None:
        up, home, end, left = 0x48, 0x47, 0x4F, 0x4B
        person.clicks_button("Clear")
        person.types("x" * 57 + " word")
        person.presses(up, end)
        person.types("<")
        person.presses(left, home)
        person.types(">")
        person.clicks_button("Copy")
        assert person.guest.clipboard.text == ">" + "x" * 56 + "<x word"

    def test_a_click_puts_the_caret_there(self, person: Person) -> None:
        person.types("abcdef")
        place = person.finds_typed("abcdef")
        assert place is not None
        person.clicks(place[0] + 2 * LARGE.width + 1, place[1] + 3)
        person.types("!")
        assert person.finds_typed("ab!") is not None
        person.clicks(place[0] + 300, person.panels["note"].bottom - 20)  # below all text
        person.types("?")
        assert person.finds_typed("ab!cdef?"[:-1]) is not None
        assert person.finds_typed("?") is not None

    def test_a_full_note_scrolls_by_copying(self, person: Person) -> None:
        person.types("\n".join("abcdefghijklmnopqrst"))
        assert person.finds_typed("t") is not None
        assert any(isinstance(each, CopyRect) and within([each], person.panels["note"]) for each in person.drawn)
        assert person.finds_typed("Welcome!") is None
        person.types("\b" * 30)
        assert person.finds_typed("Welcome!") is not None

    def test_ctrl_copies_and_pastes(self, person: Person) -> None:
        person.types("text")
        person.guest.type_scancodes(b"\x1d\x2e\xae\x9d")
        assert (person.guest.clipboard.text or "").endswith("\ntext")
        person.guest.clipboard.set_text("ANEW")
        person.guest.type_scancodes(b"\x1d\x2f\xaf\x9d")
        assert person.finds_typed("textANEW") is not None

    def test_a_command_types_nothing(self, person: Person) -> None:
        before = person.display.primary.read(person.panels["note"])
        person.guest.type_scancodes(b"\x1d\x1e\x9e\x9d\x38\x1e\x9e\xb8")
        person.presses(0x5B)
        assert person.display.primary.read(person.panels["note"]) == before

    def test_a_desktop_without_room_for_a_note_takes_keys(self) -> None:
        person = Person((100, 60))
        person.types("hello")
        person.clicks(5, 30)


class TestClipboard:
    def test_the_buttons(self, person: Person) -> None:
        person.clicks_button("Clear")
        person.clicks_button("Copy")
        assert person.guest.clipboard.text is None
        person.types("note")
        person.clicks_button("Copy")
        assert person.guest.clipboard.text == "note"
        assert person.find("from desktop, 4 bytes", ink=AZURE) is not None
        person.clicks_button("Paste")
        person.clicks_button("Copy")
        assert person.guest.clipboard.text == "notenote"

    def test_a_button_is_lit_while_it_is_pressed(self, person: Person) -> None:
        place = person.find("Copy", ink=PAPER_INK, paper=PAPER)
        assert place is not None
        person.moves(*place)
        person.guest.press_button(1, 1)
        assert person.find("Copy", ink=PAPER_INK, paper=AMBER) == place
        person.moves(500, 600)
        person.guest.release_button(1, 0)
        assert person.find("Copy", ink=PAPER_INK, paper=PAPER) == place
        assert person.guest.clipboard.text is None

    def test_what_the_client_copied_shows(self, person: Person) -> None:
        assert person.find("empty", ink=AZURE) is not None
        person.guest.clipboard.client_copied([1], CLIPBOARD)
        person.guest.clipboard.text_arrived("gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n\tand\nmore".encode(), CLIPBOARD)
        assert person.find("from client, 14 bytes", ink=AZURE) is not None
        assert person.find("gr\N{LATIN SMALL LETTER U WITH DIAERESIS}n and") is not None
        assert person.find("more") is not None
        assert within(person.drawn, person.panels["clipboard"])
        person.guest.clipboard.client_cleared(CLIPBOARD)
        assert person.find("empty", ink=AZURE) is not None

    def test_pasting_from_a_client_is_bounded(self, person: Person) -> None:
        person.clicks_button("Clear")
        person.guest.clipboard.client_copied([1], CLIPBOARD)
        person.guest.clipboard.text_arrived(b"\xff\x00\x1b" + b"ab\r\n" * 100_000, CLIPBOARD)
        person.clicks_button("Paste")
        person.clicks_button("Copy")
        text = person.guest.clipboard.text
        assert text is not None
        assert text.startswith("\N{REPLACEMENT CHARACTER}ab\nab\n")
        assert len(text) == MAX_NOTE


class TestMouse:
    def test_where_it_is(self, person: Person) -> None:
        person.moves(600, 123)
        assert person.find("x 600  y 123") is not None
        assert within(person.drawn, person.panels["pointer"])
        assert INK in person.colors(person.panels["pointer"])

    def test_its_way_stays_on_the_map(self, person: Person) -> None:
        for step in range(10):
            person.moves(600 + step * 20, 600)
        box = person.panels["pointer"]
        columns = [x for x in range(box.x, box.right) if AZURE in person.colors(Rect(x, box.y, 1, box.height))]
        assert len(columns) > 25

    @pytest.mark.parametrize(("button", "mask", "color"), [(1, 1, TEAL), (2, 2, AMBER), (3, 4, ROSE), (6, 32, AZURE)])
    def test_its_buttons(self, person: Person, button: int, mask: int, color: int) -> None:
        box = person.panels["pointer"]
        mouse = Rect(box.right - 100, box.y + 40, 90, box.height - 45)
        person.moves(1000, 760)
        assert not person.colors(mouse) & {TEAL, AMBER, ROSE, AZURE}
        person.guest.press_button(button, mask)
        assert person.colors(mouse) & {TEAL, AMBER, ROSE, AZURE} == {color}
        person.guest.release_button(button, 0)
        assert not person.colors(mouse) & {TEAL, AMBER, ROSE, AZURE}

    def test_its_wheel(self, person: Person) -> None:
        box = person.panels["pointer"]
        for _ in range(3):
            person.guest.press_button(4, 0)
            person.guest.release_button(4, 0)
        assert AMBER in person.colors(box)
        person.moves(0, 1)
        assert AMBER not in person.colors(box)
        person.guest.press_button(5, 0)
        assert person.find("wheel +2  x 0") is not None
        assert AMBER in person.colors(box)
        person.desktop.tick(NOON)
        assert AMBER not in person.colors(box)

    def test_the_cursor_tells_what_is_below_it(self, person: Person) -> None:
        note, card, cursor = person.panels["note"], person.card, person.guest.cursor
        for place, shape in (
            ((note.x + 40, note.y + 60), TEXT_BEAM),
            ((note.right - 40, note.y + 14), HAND),
            ((note.x + 40, note.y + 14), ARROW),
            ((card.x + 5, card.y + 5), HAND),
            ((card.x - 5, card.y + 5), ARROW),
        ):
            person.moves(*place)
            assert cursor.shape == shape

    def test_another_display_is_another_matter(self) -> None:
        guest = Guest(sizes=[(1024, 768), (800, 600)], agent=False)
        desktop = Desktop(guest)
        card = lay_out(guest.displays[0].primary.bounds).card
        drawn: list[DisplayChange] = []
        guest.displays[0].subscribe(drawn.append)
        guest.displays[1].subscribe(drawn.append)
        guest.place_pointer(card.x + 5, card.y + 5, 0, 1)
        guest.press_button(1, 1)
        guest.place_pointer(card.x + 50, card.y + 50, 1, 1)
        assert drawn
        assert within(drawn, lay_out(guest.displays[0].primary.bounds).panels["pointer"])
        desktop.close()


class TestPhotograph:
    def test_it_is_dragged_by_copying(self, person: Person) -> None:
        card = person.card
        person.moves(card.x + 10, card.y + 10)
        person.guest.press_button(1, 1)
        person.drawn.clear()
        person.moves(card.x + 40, card.y - 20)
        assert [each for each in person.drawn if isinstance(each, CopyRect)] == [
            CopyRect(0, card.translate(30, -30), card.x, card.y)
        ]
        person.moves(card.x + 41, card.y - 20)
        assert sum(isinstance(each, CopyRect) for each in person.drawn) == 2
        person.guest.release_button(1, 0)
        person.drawn.clear()
        person.moves(card.x + 90, card.y - 20)
        assert not any(isinstance(each, CopyRect) for each in person.drawn)

    def test_a_new_layout_takes_it_out_of_the_hand(self, person: Person) -> None:
        card = person.card
        person.moves(card.x + 10, card.y + 10)
        person.guest.press_button(1, 1)
        person.drawn.clear()
        person.guest.set_heads(0, [Head(0, 0, 0, 1030, 768)])
        assert sum(isinstance(each, CopySurface) for each in person.drawn) == 2
        assert [each.surface_id for each in person.drawn if isinstance(each, SurfaceCreated)] == [0]
        person.drawn.clear()
        person.moves(card.x + 40, card.y - 20)
        assert not any(isinstance(each, CopyRect) for each in person.drawn)

    def test_it_grows_with_the_screen(self, person: Person) -> None:
        small = person.card
        (edge,) = person.colors(Rect(small.x, small.y, small.width, 1))
        person.guest.set_heads(0, [Head(0, 0, 0, 1920, 1080)])
        large = person.card
        assert large.width > small.width
        assert person.colors(Rect(large.x, large.y, large.width, 1)) == {edge}
        assert person.colors(Rect(large.right - 1, large.y, 1, large.height)) == {edge}
        assert len(person.display.surfaces) == 4

    def test_a_screen_too_small_has_none(self) -> None:
        person = Person((320, 200))
        person.guest.set_heads(0, [Head(0, 0, 0, 60, 60)])
        assert list(person.display.surfaces) == [0]
        person.drags((50, 50), (10, 10))
        person.guest.set_heads(0, [Head(0, 0, 0, 320, 200)])
        assert len(person.display.surfaces) == 4

    def test_it_shows_that_it_is_held(self, person: Person) -> None:
        card = person.card
        before = person.display.primary.read(card)
        person.moves(card.x + 10, card.y + 10)
        person.guest.press_button(1, 1)
        assert person.display.primary.read(card) != before
        person.guest.release_button(1, 0)
        assert person.display.primary.read(card) == before

    def test_it_stays_inside_the_screen(self, person: Person) -> None:
        card = person.card
        picture = person.display.primary.read(card)
        person.drags((card.x + 100, card.y + 100), (0, 0))
        assert person.display.primary.read(Rect(0, 0, card.width, card.height)) == picture
        person.drags((100, 100), (1023, 767))
        corner = Rect(1024 - card.width, 768 - card.height, card.width, card.height)
        assert person.display.primary.read(corner) == picture

    def test_what_is_below_it_goes_on(self, person: Person) -> None:
        note, card = person.panels["note"], person.card
        person.drags((card.x + 10, card.y + 10), (note.x + 30, note.y + 40))
        person.types("under the photograph")
        assert person.finds_typed("under the photograp") is None
        person.drags((note.x + 30, note.y + 40), (card.x + 10, card.y + 10))
        assert person.finds_typed("under the photograph") is not None

    def test_a_new_layout_leaves_it_where_it_was_put(self, person: Person) -> None:
        card = person.card
        picture = person.display.primary.read(card)
        person.drags((card.x + 10, card.y + 10), (610, 310))
        person.guest.set_heads(0, [Head(0, 0, 0, 1100, 700)])
        assert person.display.primary.read(Rect(600, 300, card.width, card.height)) == picture
        person.guest.set_heads(0, [Head(0, 0, 0, 900, 600)])
        assert person.display.primary.read(Rect(600, 300, card.width, card.height)) == picture
        person.drags((610, 310), (899, 599))
        person.guest.set_heads(0, [Head(0, 0, 0, 900, 610)])
        assert (
            person.display.primary.read(Rect(900 - card.width, 600 - card.height, card.width, card.height)) == picture
        )


class TestTime:
    def test_an_idle_tick_is_a_few_fills_in_the_clock(self, person: Person) -> None:
        most = 0
        for second in range(1, 61):
            person.drawn.clear()
            person.desktop.tick(NOON + timedelta(seconds=second))
            assert all(isinstance(each, FillRect) for each in person.drawn)
            assert within(person.drawn, person.panels["clock"])
            most = max(most, len(person.drawn))
        assert 0 < most <= 42

    def test_the_same_time_again_draws_nothing(self, person: Person) -> None:
        person.desktop.tick(NOON)
        person.desktop.tick(NOON.replace(microsecond=999_999))
        assert not person.drawn

    def test_before_the_first_tick_it_shows_no_time(self) -> None:
        person = Person()
        assert UNLIT in person.colors(person.panels["clock"])
        assert TEAL not in person.colors(person.panels["clock"])
        person.desktop.tick(NOON)
        assert TEAL in person.colors(person.panels["clock"])

    def test_each_digit_has_its_segments(self) -> None:
        assert sorted(map(len, SEGMENTS.values())) == [0, 2, 3, 4, 5, 5, 5, 6, 6, 6, 7]
        assert len({frozenset(lit) for lit in SEGMENTS.values()}) == len(SEGMENTS)

    def test_the_day(self, person: Person) -> None:
        assert person.find("Sunday, 23 November 2025", ink=MUTED) is not None
        person.desktop.tick(datetime(2026, 1, 1))
        assert person.find("Thursday, 1 January 2026", ink=MUTED) is not None

    def test_without_a_clock_the_bar_has_the_time(self) -> None:
        person = Person((320, 200))
        person.desktop.tick(NOON)
        person.drawn.clear()
        person.desktop.tick(NOON + timedelta(seconds=1))
        assert [each.text for each in person.drawn if isinstance(each, WriteText)] == ["9"]
        assert len(person.drawn) == 1


class TestKeyboard:
    def test_the_last_key(self, person: Person) -> None:
        person.types("A")
        assert person.find("0x1e  a  'A'") is not None
        person.presses(0x48)
        assert person.find("0xe048  Up") is not None

    def test_the_keys_that_are_down(self, person: Person) -> None:
        person.guest.type_scancodes(b"\x2a\x1e")
        assert person.find("Left Shift + a") is not None
        person.guest.release_keys()
        assert person.find("Left Shift + a") is None

    def test_the_locks(self, person: Person) -> None:
        box = person.panels["keyboard"]
        lamps = Rect(box.x + 10, box.bottom - 30, box.width - 20, 20)
        assert TEAL not in person.colors(lamps)
        person.guest.set_locks(4)
        assert TEAL in person.colors(lamps)
        assert len(person.drawn) == 1
        person.guest.type_scancodes(b"\x3a\xba")
        assert TEAL not in person.colors(lamps)


class TestClients:
    def test_who_is_connected(self, person: Person) -> None:
        assert person.find("nobody is connected") is not None
        person.desktop.show_clients([CLIENT])
        assert person.find("client mouse mode") is not None
        assert person.find("TLS  name_and_uuid") is not None
        assert person.find("cursor:0", ink=AZURE) is not None
        assert person.find("nobody") is None
        person.drawn.clear()
        person.desktop.show_clients([CLIENT])
        assert not person.drawn

    def test_more_than_there_is_room_for(self, person: Person) -> None:
        person.desktop.show_clients([CLIENT] * 30)
        assert person.find("…", ink=AZURE) is not None
        assert within(
            [each for each in person.drawn if not within([each], person.panels["clients"])], Rect(0, 0, 1024, 40)
        )


class TestHeads:
    def test_the_panels_are_on_the_first_head(self, person: Person) -> None:
        person.guest.set_heads(0, [Head(0, 800, 0, 640, 480), Head(1, 0, 0, 800, 600)])
        panels = lay_out(Rect(800, 0, 640, 480)).panels
        assert person.find("Note", ink=PAPER_INK, paper=0xEBDDB4) is not None
        person.drawn.clear()
        person.types("x")
        assert person.drawn
        assert within(person.drawn, panels["note"], panels["keyboard"])

    def test_another_display_changes_nothing(self) -> None:
        guest = Guest(sizes=[(1024, 768), (800, 600)], agent=False)
        Desktop(guest)
        drawn: list[DisplayChange] = []
        guest.displays[0].subscribe(drawn.append)
        guest.set_heads(1, [Head(0, 0, 0, 640, 480)])
        assert not drawn

    def test_a_desktop_on_the_second_display(self) -> None:
        guest = Guest(sizes=[(1024, 768), (800, 600)], agent=False)
        Desktop(guest, 1)
        assert not any(guest.displays[0].primary.pixels)
        assert any(guest.displays[1].primary.pixels)


class TestClosing:
    def test_a_closed_desktop_is_a_picture(self, person: Person) -> None:
        person.moves(person.card.x + 5, person.card.y + 5)
        person.desktop.close()
        assert list(person.display.surfaces) == [0]
        assert person.guest.cursor.shape == ARROW
        person.drawn.clear()
        person.types("hello")
        person.clicks(60, 80)
        person.guest.clipboard.set_text("text")
        person.guest.set_locks(7)
        assert not person.drawn

    def test_closing_twice_is_closing(self, person: Person) -> None:
        person.desktop.close()
        person.desktop.close()
