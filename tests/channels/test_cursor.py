"""The cursor channel: the client shows the guest's cursor, and is told no more than it needs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, strategies as st

from spiceemu.channels import cursor as cursor_module
from spiceemu.channels.cursor import CACHE_SIZE, CursorChannel
from spiceemu.channels.window import ACK_WINDOW
from spiceemu.errors import IllegalMessage
from spiceemu.events import Synced
from spiceemu.guest.cursor import ARROW, CROSS, HAND, TEXT_BEAM, CursorShape, GuestCursor
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import CursorFlags, MouseMode
from spiceemu.protocol.levels.level import CURRENT, LEVELS, Level
from spiceemu.protocol.messages import base, cursor
from spiceemu.protocol.messages.message import Message
from spiceemu.protocol.messages.types import Point16

from .far_side import FarSide, Wake, linked, names

SHAPES = [ARROW, CROSS, HAND, TEXT_BEAM, None]


def shape(number: int) -> CursorShape:
    """One of many small cursors."""
    return CursorShape.from_bgra(1, 1, number.to_bytes(4, "little"))


@dataclass
class Pointer:
    """What a client shows, as strict as spice-gtk (channel-cursor.c)."""

    initialized: bool = False
    visible: bool = False
    position: tuple[int, int] = (0, 0)
    picture: tuple[int, int, int, int, int, bytes] | None = None
    trail: tuple[int, int] = (0, 0)
    cache: dict[int, tuple[int, int, int, int, int, bytes]] = field(default_factory=dict)

    def take(self, message: Message) -> None:
        match message:
            case cursor.Init(position, length, frequency, visible, picture):
                assert not self.initialized, "INIT without RESET"
                self.initialized = True
                self.cache.clear()
                self._set(picture)
                self.position, self.visible = (position.x, position.y), bool(visible)
                self.trail = length, frequency
            case cursor.Set(_, _, picture):
                assert self.initialized
                self._set(picture)
                self.visible = True  # whatever the message says; nor is its place looked at
            case cursor.Move(position):
                assert self.initialized
                self.position, self.visible = (position.x, position.y), True
            case cursor.Hide():
                self.visible = False
            case cursor.Trail(length, frequency):
                self.trail = length, frequency
            case cursor.InvalOne(number):
                del self.cache[number]
            case cursor.InvalAll():
                self.cache.clear()
            case cursor.Reset():
                self.initialized = False
                self.picture = None
            case base.SetAck() | base.Ping():
                pass
            case _:
                raise AssertionError(f"not known: {message}")
        assert len(self.cache) <= CACHE_SIZE

    def _set(self, picture: cursor.Cursor) -> None:
        if picture.flags & CursorFlags.NONE:
            assert picture.u is None
            self.picture = None
            return
        header = picture.u
        assert header is not None
        if picture.flags & CursorFlags.FROM_CACHE:
            assert picture.data == b""
            self.picture = self.cache[header.unique]
            return
        self.picture = (
            *(header.type, header.width, header.height, header.hot_spot_x, header.hot_spot_y),
            bytes(picture.data),
        )
        if picture.flags & CursorFlags.CACHE_ME:
            assert header.unique not in self.cache
            self.cache[header.unique] = self.picture


class Shown(FarSide):
    """A guest's cursor, its channel and a client that shows it."""

    def __init__(self, guest: GuestCursor | None = None, *, answering: bool = True, level: Level = CURRENT) -> None:
        self.guest = guest or GuestCursor(ARROW)
        self.wake = Wake()
        self.cursor = CursorChannel(linked(ChannelType.CURSOR, level=level), self.wake, shown=self.guest)
        super().__init__(self.cursor, answering=answering)
        self.pointer = Pointer()

    def read_once(self, now: float = 0.0) -> list[Message]:
        messages = super().read_once(now)
        for message in messages:
            self.pointer.take(message)
        return messages

    def assert_same(self) -> None:
        assert self.pointer.visible == self.guest.visible
        if self.guest.visible:
            guest = self.guest.shape
            expected = guest and (guest.kind, guest.width, guest.height, guest.hot_x, guest.hot_y, guest.data)
            assert self.pointer.picture == expected
            assert self.pointer.position == (self.guest.x, self.guest.y)


@pytest.fixture
def shown() -> Shown:
    """A client that has the cursor."""
    made = Shown()
    made.read()
    return made


def pictures(messages: Iterable[Message]) -> list[int]:
    return [message.cursor.flags for message in messages if isinstance(message, cursor.Set | cursor.Init)]


@pytest.mark.parametrize("start", SHAPES)
def test_the_start_comes_in_the_order_of_real_servers(start: CursorShape | None) -> None:
    guest = GuestCursor(start)
    guest.move(-5, 700)
    shown = Shown(guest)
    messages = shown.read()
    assert names(messages) == ["SetAck", "Init"]
    assert messages[0] == base.SetAck(1, ACK_WINDOW)
    shown.assert_same()


def test_no_cursor_takes_eleven_bytes() -> None:
    _, init = Shown(GuestCursor(None)).read()
    assert init.build() == bytes(8) + b"\x01" + b"\x01\x00"


def test_a_hidden_cursor_is_hidden_from_the_start() -> None:
    guest = GuestCursor(ARROW)
    guest.hide()
    shown = Shown(guest)
    shown.read()
    shown.assert_same()


def test_a_move_is_a_move_and_only_the_last_counts(shown: Shown) -> None:
    for x in range(1000):
        shown.guest.move(x, 5)
    assert shown.read() == [cursor.Move(Point16(999, 5))]
    assert shown.read() == []


def test_hide_and_show(shown: Shown) -> None:
    shown.guest.hide()
    assert shown.read() == [cursor.Hide()]
    shown.guest.move(7, 8)
    shown.guest.set_shape(HAND)
    shown.guest.set_shape(ARROW)
    assert shown.read() == []
    shown.guest.show()
    picture, move = shown.read()
    assert isinstance(picture, cursor.Set)
    assert picture.cursor.flags == CursorFlags.FROM_CACHE
    assert move == cursor.Move(Point16(7, 8))
    shown.assert_same()


def test_in_client_mode_places_are_not_told(shown: Shown) -> None:
    shown.cursor.mouse_mode_changed(MouseMode.CLIENT)
    shown.guest.move(7, 8)
    assert shown.read() == []
    shown.guest.set_shape(HAND)
    assert names(shown.read()) == ["Set"]
    shown.cursor.mouse_mode_changed(MouseMode.SERVER)
    assert shown.read() == [cursor.Move(Point16(7, 8))]
    shown.assert_same()


def test_a_picture_travels_once(shown: Shown) -> None:
    flags = []
    for each in (HAND, ARROW, HAND, None, CROSS, HAND):
        shown.guest.set_shape(each)
        flags += pictures(shown.read())
        shown.assert_same()
    new, kept, none = CursorFlags.CACHE_ME, CursorFlags.FROM_CACHE, CursorFlags.NONE
    assert flags == [new, kept, kept, none, new, kept]


def test_the_clients_cache_is_never_too_full(shown: Shown) -> None:
    for number in range(CACHE_SIZE + 20):
        shown.guest.set_shape(shape(number))
        shown.read()
        shown.assert_same()
    assert len(shown.pointer.cache) == CACHE_SIZE
    shown.guest.set_shape(ARROW)
    assert names(shown.read()) == ["InvalOne", "Set"]
    shown.assert_same()


def test_the_cursor_unused_for_longest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch, shown: Shown) -> None:
    monkeypatch.setattr(cursor_module, "CACHE_SIZE", 2)
    for each in (HAND, ARROW, CROSS):
        shown.guest.set_shape(each)
        shown.read()
    assert set(shown.pointer.cache) == {ARROW.id, CROSS.id}


def test_forgetting(shown: Shown) -> None:
    shown.guest.set_shape(HAND)
    shown.read()
    shown.cursor.invalidate(HAND)
    shown.cursor.invalidate(CROSS)
    assert names(shown.read()) == ["InvalOne"]
    assert set(shown.pointer.cache) == {ARROW.id}
    shown.cursor.invalidate()
    assert names(shown.read()) == ["InvalAll"]
    shown.guest.set_shape(ARROW)
    assert pictures(shown.read()) == [CursorFlags.CACHE_ME]


def test_reset_begins_anew(shown: Shown) -> None:
    shown.cursor.set_trail(3, 4)
    shown.guest.set_shape(HAND)
    shown.guest.hide()
    shown.cursor.reset()
    assert names(shown.read()) == ["Trail", "Reset", "Init"]
    assert shown.pointer.trail == (3, 4)
    shown.assert_same()


def test_a_mark_comes_after_the_latest_state(shown: Shown) -> None:
    shown.guest.move(1, 1)
    shown.cursor.mark(4, 0.0)
    shown.guest.set_shape(HAND)
    assert names(shown.read()) == ["Set", "Move", "Ping"]
    assert shown.events == [Synced(ChannelType.CURSOR, 0, 4)]


def test_a_mark_without_pings_comes_after_the_latest_state() -> None:
    shown = Shown(level=LEVELS["0.10.1"])
    shown.read()
    shown.guest.set_shape(HAND)
    shown.cursor.mark(4, 0.0)
    assert names(shown.read()) == ["Set", "SetAck"]
    assert shown.events == [Synced(ChannelType.CURSOR, 0, 4)]


def test_the_window_closes_between_a_shape_and_its_place() -> None:
    shown = Shown(answering=False)
    window = shown.cursor.window
    assert window is not None
    while window.outstanding < 2 * ACK_WINDOW:
        shown.guest.move(window.outstanding, 0)
        shown.read()
    shown.guest.set_shape(HAND)
    shown.guest.move(1, 2)
    shown.cursor.mark(1, 0.0)
    assert names(shown.read()) == ["Set"]
    assert window.outstanding == 2 * ACK_WINDOW + 1
    shown.say(base.AckSync(1), base.Ack())
    assert names(shown.read()) == ["Move", "Ping"]


def test_a_closed_window_keeps_the_latest_state_alone() -> None:
    shown = Shown(answering=False)
    for number in range(100):
        shown.guest.move(number, 0)
        shown.read()
    assert shown.cursor.window is not None
    assert shown.cursor.window.outstanding == 2 * ACK_WINDOW + 1
    shown.guest.set_shape(HAND)
    shown.cursor.mark(1, 0.0)
    assert shown.read() == []
    shown.say(base.AckSync(1), base.Ack())
    assert names(shown.read()) == ["Set", "Move", "Ping"]
    shown.assert_same()


def test_a_closed_channel_hears_no_more(shown: Shown) -> None:
    shown.channel.close()
    shown.channel.close()
    shown.guest.hide()
    assert shown.wake.count == Shown().wake.count


def test_clients_have_nothing_to_say_here(shown: Shown) -> None:
    with pytest.raises(IllegalMessage):
        shown.say(base.MigrateFlushMark())


def steps() -> st.SearchStrategy[list[Callable[[Shown], object]]]:
    places = st.tuples(st.integers(-9, 9), st.integers(-9, 9))
    return st.lists(
        st.one_of(
            st.sampled_from(SHAPES).map(lambda each: lambda shown: shown.guest.set_shape(each)),
            places.map(lambda place: lambda shown: shown.guest.move(*place)),
            st.sampled_from(
                [
                    lambda shown: shown.guest.hide(),
                    lambda shown: shown.guest.show(),
                    lambda shown: shown.read(),
                    lambda shown: shown.cursor.reset(),
                    lambda shown: shown.cursor.invalidate(),
                    lambda shown: shown.cursor.invalidate(HAND),
                ]
            ),
        ),
        max_size=30,
    )


@given(steps())
def test_the_client_shows_the_guests_cursor(script: list[Callable[[Shown], object]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cursor_module, "CACHE_SIZE", 2)
        shown = Shown()
        for step in script:
            step(shown)
        shown.read()
        shown.assert_same()
