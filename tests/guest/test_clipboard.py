"""The guest's clipboards: who owns them, what they hold, what observers are told."""

from __future__ import annotations

import pytest

from spiceemu.errors import InvalidValue
from spiceemu.guest.clipboard import (
    MAX_CLIPBOARD_TEXT,
    ClientCleared,
    ClientCopied,
    Clipboard,
    ClipboardChange,
    GuestCleared,
    GuestCopied,
    Owner,
    TextReceived,
    TextRefused,
    TextWanted,
)
from spiceemu.protocol.agent.enums import ClipboardSelection, ClipboardType

CLIPBOARD, PRIMARY, SECONDARY = ClipboardSelection
TEXT, PNG = ClipboardType.UTF8_TEXT, ClipboardType.IMAGE_PNG


@pytest.fixture
def clipboard() -> Clipboard:
    return Clipboard()


@pytest.fixture
def told(clipboard: Clipboard) -> list[ClipboardChange]:
    changes: list[ClipboardChange] = []
    clipboard.subscribe(changes.append)
    return changes


def test_it_begins_empty(clipboard: Clipboard) -> None:
    for selection in ClipboardSelection:
        assert clipboard.owner_of(selection) is Owner.NOBODY
        assert clipboard.text_of(selection) is None
        assert clipboard.types_of(selection) == ()


def test_the_guest_copies(clipboard: Clipboard, told: list[ClipboardChange]) -> None:
    clipboard.set_text("grüße")
    assert clipboard.text == "grüße"
    assert clipboard.data_of(CLIPBOARD) == "grüße".encode()
    assert clipboard.types_of(CLIPBOARD) == (TEXT,)
    assert clipboard.owner_of(CLIPBOARD) is Owner.GUEST
    assert told == [GuestCopied(CLIPBOARD)]


def test_selections_are_apart(clipboard: Clipboard, told: list[ClipboardChange]) -> None:
    clipboard.set_text("one", PRIMARY)
    clipboard.client_copied([TEXT], SECONDARY)
    assert clipboard.text is None
    assert clipboard.text_of(PRIMARY) == "one"
    assert clipboard.owner_of(SECONDARY) is Owner.CLIENT
    assert told == [GuestCopied(PRIMARY), ClientCopied(SECONDARY, (TEXT,))]


def test_the_guest_clears_its_own_only(clipboard: Clipboard, told: list[ClipboardChange]) -> None:
    clipboard.clear()
    clipboard.set_text("mine")
    clipboard.clear()
    assert clipboard.text is None
    assert clipboard.owner_of(CLIPBOARD) is Owner.NOBODY
    clipboard.client_copied([TEXT], CLIPBOARD)
    clipboard.clear()
    assert clipboard.owner_of(CLIPBOARD) is Owner.CLIENT
    assert told == [GuestCopied(CLIPBOARD), GuestCleared(CLIPBOARD), ClientCopied(CLIPBOARD, (TEXT,))]


def test_a_clients_copy_takes_the_guests_text_away(clipboard: Clipboard) -> None:
    clipboard.set_text("mine")
    clipboard.client_copied([PNG, TEXT], CLIPBOARD)
    assert clipboard.text is None
    assert clipboard.types_of(CLIPBOARD) == (PNG, TEXT)


def test_the_guest_pastes(clipboard: Clipboard, told: list[ClipboardChange]) -> None:
    clipboard.client_copied([TEXT], CLIPBOARD)
    assert clipboard.request_text()
    clipboard.text_arrived(b"theirs", CLIPBOARD)
    assert clipboard.text == "theirs"
    assert told[1:] == [TextWanted(CLIPBOARD), TextReceived(CLIPBOARD)]


def test_one_question_is_asked_once(clipboard: Clipboard, told: list[ClipboardChange]) -> None:
    clipboard.client_copied([TEXT], CLIPBOARD)
    assert clipboard.request_text()
    assert clipboard.request_text()
    assert told.count(TextWanted(CLIPBOARD)) == 1
    clipboard.text_arrived(b"1", CLIPBOARD)
    assert clipboard.request_text()
    assert told.count(TextWanted(CLIPBOARD)) == 2


@pytest.mark.parametrize("types", [[], [PNG]])
def test_nobody_is_asked_for_text_that_is_not_there(
    clipboard: Clipboard, told: list[ClipboardChange], types: list[int]
) -> None:
    assert not clipboard.request_text()
    clipboard.set_text("mine")
    assert not clipboard.request_text()
    clipboard.client_copied(types, CLIPBOARD)
    assert not clipboard.request_text()
    assert TextWanted(CLIPBOARD) not in told


def test_text_that_nobody_asked_for_is_ignored(clipboard: Clipboard, told: list[ClipboardChange]) -> None:
    clipboard.text_arrived(b"pushed", CLIPBOARD)
    clipboard.client_copied([TEXT], CLIPBOARD)
    clipboard.text_arrived(b"pushed", CLIPBOARD)
    clipboard.text_refused(CLIPBOARD)
    assert clipboard.text is None
    assert told == [ClientCopied(CLIPBOARD, (TEXT,))]


def test_the_client_refuses(clipboard: Clipboard, told: list[ClipboardChange]) -> None:
    clipboard.client_copied([TEXT], CLIPBOARD)
    clipboard.request_text()
    clipboard.text_refused(CLIPBOARD)
    clipboard.text_arrived(b"too late", CLIPBOARD)
    assert clipboard.text is None
    assert told[1:] == [TextWanted(CLIPBOARD), TextRefused(CLIPBOARD)]


@pytest.mark.parametrize(
    ("happens", "last"),
    [
        (lambda clipboard: clipboard.set_text("mine"), GuestCopied(CLIPBOARD)),
        (lambda clipboard: clipboard.client_copied([PNG], CLIPBOARD), ClientCopied(CLIPBOARD, (PNG,))),
        (lambda clipboard: clipboard.client_cleared(CLIPBOARD), ClientCleared(CLIPBOARD)),
    ],
)
def test_who_waits_hears_that_nothing_comes(
    clipboard: Clipboard, told: list[ClipboardChange], happens, last: ClipboardChange
) -> None:
    clipboard.client_copied([TEXT], CLIPBOARD)
    clipboard.request_text()
    del told[:]
    happens(clipboard)
    assert told == [TextRefused(CLIPBOARD), last]


def test_the_client_clears_its_own_only(clipboard: Clipboard, told: list[ClipboardChange]) -> None:
    clipboard.set_text("mine")
    clipboard.client_cleared(CLIPBOARD)
    assert clipboard.text == "mine"
    clipboard.client_copied([TEXT], CLIPBOARD)
    clipboard.client_cleared(CLIPBOARD)
    clipboard.client_cleared(CLIPBOARD)
    assert clipboard.owner_of(CLIPBOARD) is Owner.NOBODY
    assert told == [GuestCopied(CLIPBOARD), ClientCopied(CLIPBOARD, (TEXT,)), ClientCleared(CLIPBOARD)]


def test_a_copy_in_answer_to_a_refusal_is_the_last_word(clipboard: Clipboard) -> None:
    """An observer that acts while the clipboard changes sees the new state and is not overruled by the old."""

    def on_change(change: ClipboardChange) -> None:
        if change == TextRefused(CLIPBOARD):
            clipboard.set_text("from the observer")

    clipboard.client_copied([TEXT], CLIPBOARD)
    clipboard.request_text()
    clipboard.subscribe(on_change)
    clipboard.client_cleared(CLIPBOARD)
    assert clipboard.text == "from the observer"


def test_what_follows_from_a_change_is_told_after_it(clipboard: Clipboard) -> None:
    def paste(change: ClipboardChange) -> None:
        if isinstance(change, ClientCopied):
            clipboard.request_text()
        if isinstance(change, TextWanted):
            clipboard.text_arrived(b"theirs", CLIPBOARD)

    clipboard.subscribe(paste)
    told: list[ClipboardChange] = []
    clipboard.subscribe(told.append)
    clipboard.client_copied([TEXT], CLIPBOARD)
    assert told == [ClientCopied(CLIPBOARD, (TEXT,)), TextWanted(CLIPBOARD), TextReceived(CLIPBOARD)]


def test_an_observer_that_fails_does_not_silence_the_clipboard(
    clipboard: Clipboard, told: list[ClipboardChange]
) -> None:
    def fail(_change: ClipboardChange) -> None:
        raise ZeroDivisionError

    leave = clipboard.subscribe(fail)
    with pytest.raises(ZeroDivisionError):
        clipboard.set_text("1")
    leave()
    clipboard.set_text("2")
    assert told == [GuestCopied(CLIPBOARD)] * 2


def test_what_follows_is_told_even_if_an_observer_failed(clipboard: Clipboard, told: list[ClipboardChange]) -> None:
    def paste(change: ClipboardChange) -> None:
        if isinstance(change, ClientCopied):
            clipboard.request_text()
            raise ZeroDivisionError
        raise KeyError(int(change.selection))

    clipboard.subscribe(paste)
    with pytest.raises(ZeroDivisionError) as caught:
        clipboard.client_copied([TEXT], CLIPBOARD)
    assert told == [ClientCopied(CLIPBOARD, (TEXT,)), TextWanted(CLIPBOARD)]
    assert [note.split(" raised by ")[0] for note in caught.value.__notes__][1:] == ["followed by KeyError(0)"]


def test_bytes_that_are_not_text_are_kept(clipboard: Clipboard) -> None:
    clipboard.client_copied([TEXT], CLIPBOARD)
    clipboard.request_text()
    clipboard.text_arrived(b"a\xffb", CLIPBOARD)
    assert clipboard.text == "a\N{REPLACEMENT CHARACTER}b"
    assert clipboard.data_of(CLIPBOARD) == b"a\xffb"


def test_text_has_a_limit(clipboard: Clipboard) -> None:
    clipboard.set_text("x" * MAX_CLIPBOARD_TEXT)
    with pytest.raises(InvalidValue, match=str(MAX_CLIPBOARD_TEXT)):
        clipboard.set_text("x" * MAX_CLIPBOARD_TEXT + "x")
    assert len(clipboard.data_of(CLIPBOARD) or b"") == MAX_CLIPBOARD_TEXT


def test_half_a_character_is_no_text(clipboard: Clipboard, told: list[ClipboardChange]) -> None:
    with pytest.raises(InvalidValue, match="Unicode"):
        clipboard.set_text("\ud800")
    assert told == []


@pytest.mark.parametrize(("text", "kind"), [(5, "int"), (None, "NoneType"), (b"x", "bytes")])
def test_text_is_text(clipboard: Clipboard, told: list[ClipboardChange], text: str, kind: str) -> None:
    with pytest.raises(InvalidValue, match=f"text is of type str, not {kind}"):
        clipboard.set_text(text)
    assert told == []


def test_there_are_three(clipboard: Clipboard) -> None:
    for call in (clipboard.text_of, clipboard.clear, clipboard.client_cleared, clipboard.text_refused):
        with pytest.raises(InvalidValue, match="three clipboards"):
            call(3)
    for selection in (3, "0", []):
        with pytest.raises(InvalidValue, match="three clipboards"):
            clipboard.set_text("x", selection)
    with pytest.raises(InvalidValue):
        clipboard.client_copied([], -1)


def test_an_observer_can_leave(clipboard: Clipboard, told: list[ClipboardChange]) -> None:
    seen: list[ClipboardChange] = []
    leave = clipboard.subscribe(seen.append)
    clipboard.set_text("1")
    leave()
    leave()
    clipboard.set_text("2")
    assert (len(seen), len(told)) == (1, 2)
