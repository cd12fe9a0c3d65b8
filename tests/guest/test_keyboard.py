"""The keyboard: scancodes in, keys and characters out, and the layouts it types by."""

from __future__ import annotations

import string

import pytest
from hypothesis import given, strategies as st

from spiceemu.errors import InvalidValue
from spiceemu.guest.keyboard import Keyboard, KeyEvent
from spiceemu.guest.keymap import NAMES, PAUSE, UNKNOWN, US, Keymap, Row, scancode_bytes
from spiceemu.protocol.enums import KeyboardModifierFlags

CAPS, NUM, SCROLL = (
    KeyboardModifierFlags.CAPS_LOCK,
    KeyboardModifierFlags.NUM_LOCK,
    KeyboardModifierFlags.SCROLL_LOCK,
)
GERMAN = Keymap(
    "German", [Row(0x03, "2", '"', "²"), Row(0x10, "q ", "Q ", "@ "), Row(0x1A, "ü", "Ü"), Row(0x56, "<", ">", "|")]
)


@pytest.fixture
def keyboard() -> Keyboard:
    return Keyboard()


def keys(keyboard: Keyboard, data: str) -> list[tuple[str, bool]]:
    """Names of the keys and whether they went down."""
    return [(event.name, event.pressed) for event in keyboard.feed(bytes.fromhex(data))]


def typed(keyboard: Keyboard, data: str | bytes) -> str:
    """The characters that bytes of the keyboard type."""
    events = keyboard.feed(data if isinstance(data, bytes) else bytes.fromhex(data))
    return "".join(event.character or "" for event in events)


def test_a_key_goes_down_and_up(keyboard: Keyboard) -> None:
    assert keyboard.feed(b"\x1e\x9e") == [
        KeyEvent(0x1E, pressed=True, repeat=False, name="a", character="a"),
        KeyEvent(0x1E, pressed=False, repeat=False, name="a", character=None),
    ]


def test_keys_are_held(keyboard: Keyboard) -> None:
    keyboard.feed(bytes.fromhex("1e e048"))
    assert keyboard.held == {0x1E, 0xE048}
    keyboard.feed(bytes.fromhex("9e"))
    assert keyboard.held == {0xE048}


def test_a_key_that_stays_down_repeats(keyboard: Keyboard) -> None:
    assert [event.repeat for event in keyboard.feed(bytes.fromhex("1e 1e 1e 9e 1e"))] == [
        False,
        True,
        True,
        False,
        False,
    ]
    assert typed(keyboard, "1e 1e") == "aa"


def test_a_key_may_go_up_without_having_been_down(keyboard: Keyboard) -> None:
    """Clients let go of modifiers that were pressed before they had the focus."""
    assert keys(keyboard, "9d aa") == [("Left Ctrl", False), ("Left Shift", False)]
    assert keyboard.held == frozenset()


@pytest.mark.parametrize(
    ("data", "name", "scancode"),
    [
        ("01", "Escape", 0x01),
        ("39", "Space", 0x39),
        ("3a", "Caps Lock", 0x3A),
        ("44", "F10", 0x44),
        ("58", "F12", 0x58),
        ("4c", "Keypad 5", 0x4C),
        ("37", "Keypad *", 0x37),
        ("e01c", "Keypad Enter", 0xE01C),
        ("e048", "Up", 0xE048),
        ("e053", "Delete", 0xE053),
        ("e05b", "Left Super", 0xE05B),
        ("e046", "Break", 0xE046),
        ("54", "SysRq", 0x54),
        ("e037", "Print Screen", 0xE037),
        ("e11d45", "Pause", PAUSE),
        ("02", "1", 0x02),
        ("56", "<", 0x56),
    ],
)
def test_keys_have_names(keyboard: Keyboard, data: str, name: str, scancode: int) -> None:
    (event,) = keyboard.feed(bytes.fromhex(data))
    assert (event.name, event.scancode, event.pressed) == (name, scancode, True)
    (event,) = keyboard.feed(scancode_bytes(scancode, pressed=False))
    assert (event.name, event.scancode, event.pressed) == (name, scancode, False)


def test_no_two_keys_share_a_name() -> None:
    names = [*NAMES.values(), *(US.name_of(code) for code in range(0x59) if code not in NAMES)]
    known = [name for name in names if name != UNKNOWN]
    assert len(set(known)) == len(known)
    assert len(NAMES) == 103


# Prefixes


@given(st.lists(st.sampled_from([*NAMES, *range(0x02, 0x36)]), max_size=8), st.data())
def test_scancodes_may_be_cut_anywhere(codes: list[int], data: st.DataObject) -> None:
    stream = b"".join(scancode_bytes(code) + scancode_bytes(code, pressed=False) for code in codes)
    cut = data.draw(st.integers(0, len(stream)))
    whole, parts = Keyboard(), Keyboard()
    assert parts.feed(stream[:cut]) + parts.feed(stream[cut:]) == whole.feed(stream)
    assert [event.scancode for event in Keyboard().feed(stream)] == [code for code in codes for _ in "du"]


def test_pause_as_spice_gtk_sends_it(keyboard: Keyboard) -> None:
    """Its two halves are messages of their own, the second of them Num Lock's scancode."""
    pieces = [keyboard.feed(bytes.fromhex(piece)) for piece in ("e11d", "45", "e19d", "c5")]
    assert [[event.name for event in piece] for piece in pieces] == [[], ["Pause"], [], ["Pause"]]
    assert keyboard.locks == 0
    assert keyboard.held == frozenset()


def test_print_screen_comes_with_a_shift_that_nobody_presses(keyboard: Keyboard) -> None:
    assert keys(keyboard, "e02a e037 e0b7 e0aa") == [("Print Screen", True), ("Print Screen", False)]
    assert keys(keyboard, "e036 e04b e0cb e0b6") == [("Left", True), ("Left", False)]
    assert keyboard.held == frozenset()


def test_a_real_shift_stays_down_around_a_grey_arrow(keyboard: Keyboard) -> None:
    keyboard.feed(bytes.fromhex("2a e0aa e048 e0c8 e02a"))
    assert keyboard.held == {0x2A}


@pytest.mark.parametrize(
    ("data", "scancodes"),
    [
        ("00", [0]),
        ("7f", [0x7F]),
        ("e000", [0xE000]),
        ("e0e048", [0xE0, 0xE048]),
        ("e0e11d45", [0xE0, PAUSE]),
        ("e122", [0xE122]),
        ("e1e11d45", [0xE1, PAUSE]),
        ("e11d1e", [0xE11D1E]),
    ],
)
def test_garbage_is_an_unknown_key(keyboard: Keyboard, data: str, scancodes: list[int]) -> None:
    events = keyboard.feed(bytes.fromhex(data))
    assert [event.scancode for event in events] == scancodes
    unknown = [event for event in events if event.scancode not in NAMES]
    assert {event.name for event in unknown} == {UNKNOWN}
    assert {event.character for event in unknown} == {None}


@given(st.binary(max_size=400))
def test_any_bytes_are_keys(data: bytes) -> None:
    keyboard = Keyboard()
    events = keyboard.feed(data)
    assert len(events) <= len(data)
    assert len(keyboard.held) <= 512
    for event in keyboard.release_all():
        assert not event.pressed
    assert keyboard.held == frozenset()


# Characters


def test_the_us_layout_types_all_of_ascii(keyboard: Keyboard) -> None:
    text = string.digits + string.ascii_letters + string.punctuation + " \t\n\b"
    assert [typed(keyboard, stroke) for stroke in US.scancodes_for(text)] == [*text]
    assert keyboard.held == frozenset()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("2a 1e 9e aa", "A"),
        ("36 02 82 b6", "!"),
        ("2a 36 1e aa 1e", "AA"),
        ("1c e01c", "\n\n"),
        ("37 4a 4e e035", "*-+/"),
        ("01 3b e048 e053", ""),
        ("e038 1e 9e e0b8", ""),
    ],
)
def test_what_keys_type(keyboard: Keyboard, data: str, text: str) -> None:
    assert typed(keyboard, data) == text


@pytest.mark.parametrize("modifier", ["1d", "e01d", "38", "e038", "e05b", "e05c"])
def test_commands_type_nothing(keyboard: Keyboard, modifier: str) -> None:
    assert typed(keyboard, modifier + "2e ae") == ""
    keyboard.release_all()
    assert typed(keyboard, "2e ae") == "c"


def test_caps_lock_is_for_letters(keyboard: Keyboard) -> None:
    assert typed(keyboard, "3a ba 1e 9e 02 82 0c 8c") == "A1-"
    assert typed(keyboard, "2a 1e 9e 02 82 aa") == "a!"
    assert typed(keyboard, "3a ba 1e 9e") == "a"


@pytest.mark.parametrize(
    ("locks", "shift", "text"), [(0, "", ""), (NUM, "", "789.0"), (NUM, "2a", ""), (0, "2a", "789.0")]
)
def test_num_lock_is_for_the_keypad(keyboard: Keyboard, locks: int, shift: str, text: str) -> None:
    keyboard.set_locks(locks)
    assert typed(keyboard, shift + "47 48 49 53 52") == text


def test_alt_gr_is_a_level_of_its_own() -> None:
    german = Keyboard(GERMAN)
    assert typed(german, "e038 10 90 56 d6 e0b8 10 90") == "@|q"
    assert typed(german, "1d e038 10 90 e0b8 9d") == "@"  # Windows sends Ctrl with it
    assert typed(german, "e038 1a 9a e0b8") == ""  # a key without that level
    assert typed(german, "38 10 90 b8") == ""


# Layouts


def test_a_layout_is_a_table() -> None:
    assert GERMAN.name_of(0x1A) == "ü"
    assert GERMAN.character(0x1A, caps=True) == "Ü"
    assert GERMAN.character(0x1A, caps=True, shift=True) == "ü"
    assert GERMAN.character(0x03, caps=True) == "2"
    assert GERMAN.character(0x11) is None  # a space in the row
    assert GERMAN.name_of(0x11) == UNKNOWN
    assert GERMAN.name_of(0x1C) == "Enter"
    assert GERMAN.scancodes_for("ü²\n") == [bytes.fromhex(code) for code in ("1a9a", "e0380383e0b8", "1c9c")]


def test_strokes_are_bytes_of_a_keyboard() -> None:
    assert US.scancodes_for("aA") == [bytes.fromhex("1e9e"), bytes.fromhex("2a1e9eaa")]
    assert US.scancodes_for("") == []


def test_what_the_layout_lacks_cannot_be_typed() -> None:
    with pytest.raises(InvalidValue, match="US layout cannot type 'ßä'"):
        US.scancodes_for("Maß, Bär")


@pytest.mark.parametrize(
    ("scancode", "down", "up"), [(0x1E, "1e", "9e"), (0xE048, "e048", "e0c8"), (PAUSE, "e11d45", "e19dc5")]
)
def test_scancodes_travel_as_bytes(scancode: int, down: str, up: str) -> None:
    assert scancode_bytes(scancode).hex() == down
    assert scancode_bytes(scancode, pressed=False).hex() == up


# Locks


@pytest.mark.parametrize(("data", "lock"), [("3a", CAPS), ("45", NUM), ("46", SCROLL)])
def test_a_lock_changes_when_its_key_goes_down(keyboard: Keyboard, data: str, lock: int) -> None:
    keyboard.feed(bytes.fromhex(data * 2))  # the repeat does not count
    assert keyboard.locks == lock
    released = bytes((bytes.fromhex(data)[0] | 0x80,))
    keyboard.feed(released)
    assert keyboard.locks == lock
    keyboard.feed(bytes.fromhex(data))
    assert keyboard.locks == 0


def test_break_and_pause_are_no_locks(keyboard: Keyboard) -> None:
    keyboard.feed(bytes.fromhex("e046 e0c6 e045 e11d45 e19dc5 e03a"))
    assert keyboard.locks == 0


def test_the_client_sets_locks(keyboard: Keyboard) -> None:
    keyboard.set_locks(CAPS | NUM | 0x40)
    assert keyboard.locks == CAPS | NUM
    keyboard.set_locks(SCROLL)
    assert keyboard.locks == SCROLL


def test_a_lock_whose_key_is_down_is_left_alone(keyboard: Keyboard) -> None:
    """The client tells its locks and sends the key as well; together they must not undo each other."""
    keyboard.feed(b"\x3a")
    keyboard.set_locks(NUM)
    assert keyboard.locks == CAPS | NUM
    keyboard.feed(b"\xba")
    keyboard.set_locks(NUM)
    assert keyboard.locks == NUM


def test_all_keys_can_be_let_go(keyboard: Keyboard) -> None:
    keyboard.feed(bytes.fromhex("2a 3a 1e e0"))
    events = keyboard.release_all()
    assert [event.name for event in events] == ["Left Shift", "Caps Lock", "a"]
    assert not any(event.pressed for event in events)
    assert keyboard.locks == CAPS
    assert keys(keyboard, "48") == [("Keypad 8", True)]  # the prefix is forgotten
