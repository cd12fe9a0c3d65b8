"""What all channels share: framing, the acknowledgement window, pings, the table of messages, the gate."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import given, strategies as st

from spiceemu.channels.channel import ACK_WINDOW, MAX_PENDING_PINGS, AckWindow, Channel, Handlers
from spiceemu.channels.inputs import InputsChannel
from spiceemu.errors import IllegalMessage, LimitExceeded, MalformedMessage, NotCompatible, RemoteError, UnknownMessage
from spiceemu.events import Event, KeyModifiers, Latency, Synced, Violation
from spiceemu.protocol.capabilities import ChannelType, DisplayCap
from spiceemu.protocol.framing import FULL_HEADER, MAX_CLIENT_BODY, MINI_HEADER
from spiceemu.protocol.levels.level import CURRENT, LEVELS, Level
from spiceemu.protocol.messages import base, display, inputs, main
from spiceemu.protocol.messages.message import Message

from .far_side import FarSide, Wake, linked, names


class Windowed(Channel):
    """A channel that does nothing of its own, with a window."""

    type = ChannelType.DISPLAY

    def __init__(
        self,
        *,
        mini: bool = True,
        capabilities: tuple[int, ...] = (),
        wake: Callable[[], None] | None = None,
        level: Level = CURRENT,
    ) -> None:
        link = linked(ChannelType.DISPLAY, mini=mini, capabilities=capabilities, level=level)
        super().__init__(link, wake or Wake())
        self.window = AckWindow()
        self.seen: list[tuple[Message, float]] = []

    def _on_init(self, message: display.Init, now: float) -> list[Event]:
        self.seen.append((message, now))
        return [KeyModifiers(1), KeyModifiers(2)]

    handlers: ClassVar[Handlers] = {display.Init: _on_init}


# The window


def sent_until_closed(window: AckWindow) -> int:
    count = 0
    while window.is_open:
        window.sent()
        count += 1
    return count


def test_the_window_takes_one_more_than_two_windows_of_messages() -> None:
    assert sent_until_closed(AckWindow(20)) == 41


@pytest.mark.parametrize("size", [1, 2, 5, 20, 40])
def test_an_ack_opens_the_window_by_its_size(size: int) -> None:
    window = AckWindow(size)
    sent_until_closed(window)
    window.sync(window.generation)
    window.ack()
    assert sent_until_closed(window) == size
    assert window.outstanding == 2 * size + 1


def test_acks_before_the_generation_is_synced_do_not_count() -> None:
    window = AckWindow(20)
    sent_until_closed(window)
    window.ack()
    window.sync(window.generation + 1)
    window.ack()
    assert not window.is_open
    window.sync(window.generation)
    window.ack()
    assert window.is_open


def test_a_later_sync_of_another_generation_stops_acks_again() -> None:
    window = AckWindow(20)
    window.sync(window.generation)
    window.sync(0)
    sent_until_closed(window)
    window.ack()
    assert not window.is_open


def test_too_many_acks_do_not_make_the_window_larger() -> None:
    window = AckWindow(20)
    window.sync(window.generation)
    for _ in range(100):
        window.ack()
    assert sent_until_closed(window) == 41


def test_a_new_generation_acknowledges_what_was_before_it_once_it_is_synced() -> None:
    window = AckWindow(20)
    window.sync(window.generation)
    for _ in range(30):
        window.sent()
    window.renew()
    sent_until_closed(window)
    window.ack()  # of the generation before
    assert not window.is_open
    window.sync(window.generation)
    assert window.outstanding == 11
    window.ack()
    assert window.outstanding == 0


def test_generations_wrap_without_zero() -> None:
    window = AckWindow()
    window.generation = 0xFFFFFFFF
    window.renew()
    assert window.generation == 1


@given(st.lists(st.sampled_from(["send", "ack", "sync", "wrong", "renew"])))
def test_never_more_than_two_windows_and_one_are_unacknowledged(steps: list[str]) -> None:
    window = AckWindow(3)
    for step in steps:
        if step == "renew":
            window.renew()
        elif step == "send" and window.is_open:
            window.sent()
        elif step == "ack":
            window.ack()
        elif step != "send":
            window.sync(window.generation if step == "sync" else 7)
        assert 0 <= window.outstanding <= 7


def test_set_ack_itself_is_not_counted_and_sub_messages_are() -> None:
    for mini, counted in ((False, 1), (True, 2)):
        channel = Windowed(mini=mini)
        assert channel.window is not None
        channel.send(base.SetAck(1, ACK_WINDOW))
        assert channel.window.outstanding == 0
        channel.send(display.SurfaceDestroy(1), before=[display.InvalAllPalettes()])
        assert channel.window.outstanding == counted
        assert names(FarSide(channel, mini=mini).read()) == ["SetAck", "InvalAllPalettes", "SurfaceDestroy"]


# The way in


@pytest.mark.parametrize("mini", [True, False])
def test_messages_reach_their_handler_however_they_are_cut(mini: bool) -> None:
    channel = Windowed(mini=mini)
    far = FarSide(channel, mini=mini)
    init = display.Init(1, 2, 3, 4)
    data = far.conversation.frame(init, init)
    for index in range(len(data)):
        far.say_bytes(data[index : index + 1], now=float(index))
    assert [message for message, _ in channel.seen] == [init, init]
    assert [now for _, now in channel.seen] == [len(data) / 2 - 1, len(data) - 1]
    assert far.events == [KeyModifiers(1), KeyModifiers(2)] * 2


def test_events_come_in_order_and_before_the_message_that_breaks_the_protocol() -> None:
    channel = Windowed()
    far = FarSide(channel)
    data = far.conversation.frame(display.Init(1, 2, 3, 4), display.GlDrawDone())
    events = channel.receive_data(data, 0.0)
    assert [next(events), next(events)] == [KeyModifiers(1), KeyModifiers(2)]
    with pytest.raises(IllegalMessage):
        next(events)


@pytest.mark.parametrize("number", [0, 7, 99, 100, 106, 0xFFFF])
def test_an_id_that_the_protocol_does_not_know(number: int) -> None:
    with pytest.raises(UnknownMessage, match=f"display:0: no client message has id {number}$"):
        list(Windowed().receive_data(MINI_HEADER.pack(number, 0), 0.0))


def test_a_known_message_that_is_not_taken_is_illegal_and_named() -> None:
    with pytest.raises(IllegalMessage, match=r"display:0: display\.GlDrawDone is not taken here"):
        FarSide(Windowed()).say(display.GlDrawDone())


def test_a_malformed_body_names_message_and_field() -> None:
    with pytest.raises(MalformedMessage, match=r"display\.Init"):
        list(Windowed().receive_data(MINI_HEADER.pack(101, 3) + bytes(3), 0.0))


@pytest.mark.parametrize("mini", [True, False])
def test_a_body_over_the_limit_is_refused_before_it_comes(mini: bool) -> None:
    size = MAX_CLIENT_BODY + 1
    header = MINI_HEADER.pack(101, size) if mini else FULL_HEADER.pack(1, 101, size, 0)
    with pytest.raises(LimitExceeded, match=str(MAX_CLIENT_BODY)):
        list(Windowed(mini=mini).receive_data(header, 0.0))


class Deaf(Channel):
    type = ChannelType.INPUTS


@pytest.mark.parametrize("message", [base.AckSync(1), base.Ack()])
def test_acknowledging_where_there_is_no_window_is_passed_over(message: Message) -> None:
    channel = Deaf(linked(ChannelType.INPUTS), Wake())
    assert FarSide(channel).say(message) == []


def test_disconnecting_is_taken_everywhere() -> None:
    assert FarSide(Windowed()).say(base.Disconnecting(0, 0)) == []


def test_a_mark_that_nobody_asked_for() -> None:
    with pytest.raises(IllegalMessage):
        FarSide(Windowed()).say(base.MigrateFlushMark())


def test_a_channel_without_state_passes_states_over() -> None:
    assert FarSide(Windowed()).say(base.MigrateData(b"x")) == []


def test_an_ack_wakes_the_channel() -> None:
    wake = Wake()
    far = FarSide(Windowed(wake=wake))
    before = wake.count
    far.say(base.AckSync(1), base.Ack())
    assert wake.count == before + 1


# Pings


def test_a_pong_gives_the_latency() -> None:
    channel = Windowed()
    far = FarSide(channel, answering=False)
    channel.ping(10.0)
    (ping,) = far.read()
    assert isinstance(ping, base.Ping)
    assert ping.timestamp == 10_000_000_000
    assert far.say(base.Pong(ping.id, ping.timestamp), now=10.25) == [Latency(ChannelType.DISPLAY, 0)]
    (event,) = far.events
    assert isinstance(event, Latency)
    assert event.seconds == 0.25


def test_a_pong_counts_once_and_only_for_a_ping_that_was_sent() -> None:
    channel = Windowed()
    far = FarSide(channel)
    channel.mark(7, 1.0)
    far.read()
    assert far.events == [Synced(ChannelType.DISPLAY, 0, 7)]
    assert far.say(base.Pong(1, 0), base.Pong(2, 0), base.Pong(0xFFFFFFFF, 0)) == []


def test_unanswered_pings_are_forgotten_from_the_oldest_on() -> None:
    channel = Windowed()
    far = FarSide(channel, answering=False)
    for _ in range(MAX_PENDING_PINGS + 1):
        channel.ping(0.0)
    pings = [message for message in far.read() if isinstance(message, base.Ping)]
    assert len(pings) == MAX_PENDING_PINGS + 1
    assert far.say(base.Pong(pings[0].id, 0)) == []
    assert len(far.say(*(base.Pong(ping.id, 0) for ping in pings[1:]))) == MAX_PENDING_PINGS


def test_ping_ids_wrap_without_zero() -> None:
    channel = Windowed()
    channel._next_ping = 0xFFFFFFFF
    channel.ping(0.0)
    channel.ping(0.0)
    found = FarSide(channel).read()
    assert [message.id for message in found if isinstance(message, base.Ping)] == [0xFFFFFFFF, 1]


# Levels that have PING on main alone

OLD = LEVELS["0.10.1"]


def test_no_ping_is_sent_where_its_answer_would_end_the_connection() -> None:
    channel = Windowed(level=OLD)
    said = r"^display:0: base\.Ping needs CHANNEL_PINGS, which level 0\.10\.1 does not have$"
    with pytest.raises(NotCompatible, match=said):
        channel.send(base.Ping(1, 2))
    with pytest.raises(NotCompatible, match=said):
        channel.ping(0.0)
    channel.send(base.Ping(1, 2), as_fault=True)
    assert FarSide(channel, answering=False).read() == [base.Ping(1, 2)]


def test_a_pong_is_not_known_there() -> None:
    said = "display:0: base.Pong needs CHANNEL_PINGS, which level 0.10.1 does not have"
    with pytest.raises(UnknownMessage, match=f"^{said}$"):
        FarSide(Windowed(level=OLD)).say(base.Pong(1, 2))
    lenient = Windowed(level=OLD)
    lenient.strict = False
    assert FarSide(lenient).say(base.Pong(1, 2)) == [Violation(ChannelType.DISPLAY, 0, said)]


def test_a_mark_is_another_generation_of_the_window_there() -> None:
    channel = Windowed(level=OLD)
    far = FarSide(channel, answering=False)
    channel.mark(7, 1.0)
    channel.mark(8, 1.0)
    assert far.read() == [base.SetAck(2, ACK_WINDOW), base.SetAck(3, ACK_WINDOW)]
    assert far.say(base.AckSync(1)) == []
    assert far.say(base.AckSync(2), base.AckSync(2)) == [Synced(ChannelType.DISPLAY, 0, 7)]
    assert far.say(base.AckSync(3), base.AckSync(4)) == [Synced(ChannelType.DISPLAY, 0, 8)]


def test_its_answer_opens_the_window_and_wakes_the_channel() -> None:
    wake = Wake()
    channel = Windowed(level=OLD, wake=wake)
    far = FarSide(channel, answering=False)
    assert channel.window is not None
    channel.mark(7, 1.0)
    far.say(base.AckSync(1))
    channel.mark(8, 1.0)
    while channel.window.is_open:
        channel.send(display.Mark())
    before = wake.count
    far.say(base.AckSync(2))
    assert (channel.window.is_open, wake.count) == (False, before + 1)
    channel.mark(9, 1.0)
    far.say(base.AckSync(4))
    assert channel.window.is_open


def test_marks_that_nobody_answers_are_forgotten_from_the_oldest_on() -> None:
    channel = Windowed(level=OLD)
    far = FarSide(channel, answering=False)
    for mark in range(MAX_PENDING_PINGS + 1):
        channel.mark(mark, 0.0)
    asked = [message.generation for message in far.read() if isinstance(message, base.SetAck)]
    assert far.say(base.AckSync(asked[0])) == []
    assert len(far.say(*map(base.AckSync, asked[1:]))) == MAX_PENDING_PINGS


def test_a_channel_that_has_moved_asks_no_more() -> None:
    channel = Windowed(level=LEVELS["0.12"])
    assert channel.window is not None
    channel.freeze()
    channel.mark(7, 1.0)
    assert channel.window.generation == 1
    assert names(FarSide(channel).read()) == ["Migrate"]


# The way out


def test_what_the_client_cannot_take_is_not_sent() -> None:
    config = display.MonitorsConfig(1, [])
    channel = Windowed()
    with pytest.raises(NotCompatible, match="MONITORS_CONFIG"):
        channel.send(config)
    assert channel.data_to_send() == []
    able = Windowed(capabilities=(DisplayCap.MONITORS_CONFIG,))
    able.send(config)
    assert FarSide(able).read() == [config]


@pytest.mark.parametrize("message", [main.AttachChannels(), inputs.Init(0), display.Init(0, 0, 0, 0)])
def test_what_is_no_servers_message_of_the_channel_is_not_sent(message: Message) -> None:
    channel = Windowed()
    with pytest.raises(NotCompatible, match=message.spec.name):
        channel.send(message)
    assert channel.unsent == 0


def test_a_channel_without_a_window_opens_none() -> None:
    channel = InputsChannel(linked(ChannelType.INPUTS), Wake(), locks=0)
    with pytest.raises(NotCompatible, match=r"^inputs:0: base\.SetAck is sent on display and cursor channels only$"):
        channel.send(base.SetAck(1, 20))


def test_unsent_counts_bytes_until_they_are_taken() -> None:
    wake = Wake()
    channel = Windowed(wake=wake)
    channel.send(display.Mark())
    channel.send(display.InvalAllPalettes())
    assert (channel.unsent, wake.count) == (2 * MINI_HEADER.size, 2)
    assert b"".join(channel.data_to_send()) == MINI_HEADER.pack(102, 0) + MINI_HEADER.pack(108, 0)
    assert channel.unsent == 0
    assert channel.data_to_send() == []


# Whatever comes


def some_message(draw: Callable[[Any], Any]) -> bytes:
    number = draw(st.one_of(st.integers(0, 120), st.integers(0, 0xFFFF)))
    body = draw(st.binary(max_size=40))
    return MINI_HEADER.pack(number, len(body)) + body


@given(st.data())
def test_no_bytes_make_an_inputs_channel_raise_anything_but_a_remote_error(data: st.DataObject) -> None:
    channel = InputsChannel(linked(ChannelType.INPUTS), Wake(), locks=0)
    stream = b"".join(some_message(data.draw) for _ in range(data.draw(st.integers(1, 4))))
    with contextlib.suppress(RemoteError):
        list(channel.receive_data(stream, 0.0))
    channel.data_to_send()
