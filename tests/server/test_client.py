"""What a test is told of a client: events in order, expectations that show what came instead, and being in step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest

from spiceemu.channels.channel import Channel
from spiceemu.channels.inputs import InputsChannel
from spiceemu.channels.tap import MessageTap, TappedChannel
from spiceemu.client import NEAR_MISSES, Client
from spiceemu.errors import ExpectationFailed, InvalidValue, WrongState
from spiceemu.events import (
    ChannelClosed,
    ChannelOpened,
    Disconnected,
    DisplayReady,
    KeyDown,
    KeyUp,
    MouseMotion,
    ServerFailed,
    Synced,
)
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.messages import base, display, inputs, main
from spiceemu.protocol.messages.message import Message
from spiceemu.serving.member import Member
from spiceemu.serving.options import MAX_EVENTS, MAX_MESSAGES
from spiceemu.serving.wiretap import WireTap
from spiceemu.sessions.log import EVENT_COST, MessageLog, event_log

from ..channels.far_side import Wake, linked
from .probe import PATIENCE, Probe, serving

DISPLAY, CURSOR = ChannelType.DISPLAY, ChannelType.CURSOR


class FakeSession:
    """What a client asks of its session; its two channels are marked, and answered by hand."""

    id = 0xABCD

    def __init__(self) -> None:
        self.channels: dict[tuple[int, int], Channel] = {}
        for kind, number in ((DISPLAY, 0), (CURSOR, 0)):
            channel = InputsChannel(linked(kind, number), Wake(), locks=0)
            channel.type = kind  # type: ignore[misc]
            self.channels[kind, number] = channel
        self.marks: list[int] = []

    shows_something = True

    def mark(self, mark: int, _now: float) -> list[Channel]:
        self.marks.append(mark)
        return list(self.channels.values())


def client_of(session: FakeSession, limit: int = MAX_EVENTS) -> Client:
    """A client of this session, whose events the test posts."""
    make: Any = lambda _tell: session  # noqa: E731
    events, messages = event_log(limit), MessageLog(MAX_MESSAGES)
    return Client(Member(make, events=events, messages=messages, news=lambda: None, forget=lambda _: None))


@pytest.fixture
def session() -> FakeSession:
    return FakeSession()


@pytest.fixture
async def client(session: FakeSession) -> Client:
    return client_of(session)


async def later(awaitable: Awaitable[object]) -> asyncio.Task[object]:
    """Start something and let it come to its first wait."""
    task = asyncio.ensure_future(awaitable)
    await asyncio.sleep(0)
    return task


# Expectations


async def test_an_equal_event_a_class_or_a_condition(client: Client) -> None:
    for event in (KeyDown(1), KeyUp(1), KeyDown(2, "two"), KeyDown(3)):
        client._member.post(event)
    assert await client.expect(KeyDown(1)) == KeyDown(1)
    assert await client.expect(KeyDown(2)) == KeyDown(2, "something else")
    assert await client.expect(lambda event: event == KeyDown(3)) == KeyDown(3)
    client._member.post(KeyUp(9))
    assert (await client.expect(KeyUp)).scancode == 9


async def test_an_event_that_comes_later(client: Client) -> None:
    waiting = await later(client.expect(KeyDown(2)))
    client._member.post(KeyDown(1))
    await asyncio.sleep(0)
    assert not waiting.done()
    client._member.post(KeyDown(2))
    assert await waiting == KeyDown(2)


async def test_events_passed_over_do_not_come_again(client: Client) -> None:
    client._member.post(KeyDown(1))
    client._member.post(KeyDown(2))
    await client.expect(KeyDown(2))
    with pytest.raises(ExpectationFailed):
        await client.expect(KeyDown(1), timeout=0)


async def test_a_failure_shows_what_came_instead(client: Client) -> None:
    client._member.post(KeyDown(0x1F, "s"))
    for number in range(2 * NEAR_MISSES):
        client._member.post(MouseMotion(number, 0))
    with pytest.raises(ExpectationFailed) as caught:
        await client.expect(KeyDown(0x1E), timeout=0)
    first, *shown = str(caught.value).splitlines()
    assert first == (
        "KeyDown(scancode=30, name='', character=None) did not come within 0 s; "
        f"{2 * NEAR_MISSES + 1} events were passed over, among them:"
    )
    assert len(shown) == NEAR_MISSES
    assert shown[-1] == "  KeyDown(scancode=31, name='s', character=None)"
    assert shown[-2] == f"  {MouseMotion(2 * NEAR_MISSES - 1, 0)}"


async def test_of_many_near_misses_the_last_are_shown(client: Client) -> None:
    for number in range(30):
        client._member.post(KeyDown(number))
        client._member.post(KeyUp(number))
    with pytest.raises(ExpectationFailed) as caught:
        await client.expect(KeyDown(77), timeout=0)
    _, *shown = str(caught.value).splitlines()
    assert shown == [f"  {KeyDown(number)}" for number in range(30 - NEAR_MISSES, 30)]


async def test_a_failure_without_any_event(client: Client) -> None:
    with pytest.raises(ExpectationFailed, match=r"KeyDown did not come within 0 s; 0 events .*: nothing$"):
        await client.expect(KeyDown, timeout=0)

    def wanted_key(_event: object) -> bool:
        return False

    with pytest.raises(ExpectationFailed, match="wanted_key"):
        await client.expect(wanted_key, timeout=0)


async def test_a_client_that_left_fails_expectations_at_once(client: Client) -> None:
    client._member.post(KeyDown(1))
    client._member.post(Disconnected("gone"))
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ExpectationFailed, match="before the client left"):
            await client.expect(KeyDown(2), timeout=100)
        with pytest.raises(ExpectationFailed, match="before the client left"):
            await client.expect(KeyDown(2), timeout=100)


async def test_disconnected_can_be_expected(client: Client) -> None:
    waiting = await later(client.expect(Disconnected))
    client._member.post(Disconnected("why"))
    event = await waiting
    assert isinstance(event, Disconnected)
    assert event.reason == "why"


async def test_a_cancelled_expectation_loses_no_event(client: Client) -> None:
    waiting = await later(client.expect(KeyDown(1)))
    waiting.cancel()
    client._member.post(KeyDown(1))
    await asyncio.wait([waiting])
    assert await client.expect(KeyDown(1), timeout=0) == KeyDown(1)


# Reading all events


async def test_events_can_be_iterated_until_the_end(client: Client) -> None:
    client._member.post(KeyDown(1))

    async def read() -> list[object]:
        return [event async for event in client]

    reading = await later(read())
    client._member.post(KeyUp(1))
    client._member.post(Disconnected())
    assert await reading == [KeyDown(1), KeyUp(1), Disconnected()]
    with pytest.raises(WrongState):
        await client.next_event()


async def test_only_the_latest_events_are_kept(client: Client) -> None:
    assert client._member.events.limit == MAX_EVENTS
    short = client_of(FakeSession(), 3)
    for number in range(5):
        short._member.post(KeyDown(number))
    assert list(short.events) == [KeyDown(2), KeyDown(3), KeyDown(4)]
    assert short.dropped_events == 2
    assert await short.next_event() == KeyDown(2)


def test_what_cannot_be_weighed_leaves_a_log_as_it_was() -> None:
    kept = MessageLog(2)
    channel = InputsChannel(linked(ChannelType.INPUTS), Wake(), locks=0)
    with pytest.raises(InvalidValue):
        kept.received(channel, inputs.KeyDown(1 << 40))  # has no form on the wire
    assert not kept.log.entries
    for code in (1, 2, 3):
        kept.received(channel, inputs.KeyDown(code))
    assert [each.message for each in kept.log.entries] == [inputs.KeyDown(2), inputs.KeyDown(3)]
    assert (kept.log.dropped, kept.log.cost) == (1, 2 * (EVENT_COST + 4))


async def test_no_event_need_be_kept() -> None:
    short = client_of(FakeSession(), 0)
    short._member.post(KeyDown(1))
    assert (list(short.events), short.dropped_events) == ([], 1)


@pytest.mark.parametrize("mode", [0, 3, 77, "client"])
async def test_a_mouse_mode_is_one_of_two(client: Client, mode: int) -> None:
    with pytest.raises(InvalidValue, match="is neither 1"):
        client.set_mouse_mode(mode)


async def test_reading_events_leaves_them_in_the_record(client: Client) -> None:
    client._member.post(KeyDown(1))
    await client.expect(KeyDown)
    assert list(client.events) == [KeyDown(1)]


# Being in step


async def test_in_step_once_every_channel_has_answered(client: Client) -> None:
    waiting = await later(client.synced())
    client._member.post(Synced(DISPLAY, 0, 1))
    await asyncio.sleep(0)
    assert not waiting.done()
    client._member.post(Synced(CURSOR, 0, 1))
    await waiting
    assert list(client.events) == []


async def test_a_later_answer_stands_for_the_earlier_ones(client: Client) -> None:
    first, second = await later(client.synced()), await later(client.synced())
    client._member.post(Synced(DISPLAY, 0, 2))
    client._member.post(Synced(CURSOR, 0, 1))
    await first
    assert not second.done()
    client._member.post(Synced(CURSOR, 0, 2))
    await second


async def test_an_earlier_answer_does_not_stand_for_a_later_one(client: Client) -> None:
    waiting = [await later(client.synced()) for _ in range(2)]
    client._member.post(Synced(DISPLAY, 0, 1))
    client._member.post(Synced(CURSOR, 0, 1))
    await waiting[0]
    await asyncio.sleep(0)
    assert not waiting[1].done()
    waiting[1].cancel()


async def test_the_channels_that_do_not_answer_are_named(client: Client) -> None:
    with pytest.raises(ExpectationFailed, match=r"0000abcd connected>: not in step within 0 s on cursor:0, display:0"):
        await client.synced(timeout=0)
    client._member.post(Synced(CURSOR, 0, 1))


async def test_a_channel_that_closes_meanwhile_fails_at_once(client: Client, session: FakeSession) -> None:
    waiting = await later(client.synced(timeout=100))
    del session.channels[DISPLAY, 0]
    client._member.post(ChannelClosed(DISPLAY))
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ExpectationFailed, match="left before it was in step on cursor:0, display:0"):
            await waiting


async def test_a_channel_that_answered_may_close(client: Client, session: FakeSession) -> None:
    waiting = await later(client.synced())
    client._member.post(Synced(CURSOR, 0, 1))
    del session.channels[CURSOR, 0]
    client._member.post(ChannelClosed(CURSOR))
    client._member.post(Synced(DISPLAY, 0, 1))
    await waiting


async def test_a_client_that_leaves_meanwhile_fails_at_once(client: Client, session: FakeSession) -> None:
    waiting = await later(client.synced(timeout=100))
    session.channels.clear()
    client._member.post(Disconnected())
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(ExpectationFailed, match="gone>: it left before"):
            await waiting


async def test_a_client_that_left_is_not_in_step(client: Client, session: FakeSession) -> None:
    session.channels.clear()
    client._member.post(Disconnected())
    with pytest.raises(ExpectationFailed, match="gone>: it left before"):
        await client.synced()


async def test_waiting_for_the_end(client: Client) -> None:
    with pytest.raises(ExpectationFailed, match="still connected after 0 s"):
        await client.wait_disconnected(timeout=0)
    client._member.post(Disconnected())
    await client.wait_disconnected(timeout=0)


# With a real one


async def test_in_step_means_drawn() -> None:
    async with serving(displays=[(64, 48)]) as server, Probe.of(server) as probe:
        client = await server.wait_client()
        await client.expect(ChannelOpened(CURSOR, 0))
        for number in range(20):
            server.displays[0].fill((number, 0, 30, 40), number * 1000)
            await client.synced()
            assert probe.display.painter.primary.pixels == server.displays[0].screenshot().pixels


async def test_many_may_wait_to_be_in_step() -> None:
    async with serving(displays=[(64, 48)]) as server, Probe.of(server):
        client = await server.wait_client()
        await asyncio.gather(*(client.synced() for _ in range(200)))


async def test_in_step_while_the_guest_goes_on_drawing() -> None:
    async with serving(displays=[(64, 48)]) as server, Probe.of(server) as probe:
        client = await server.wait_client()
        drawing = True

        def draw() -> None:
            server.displays[0].fill((0, 0, 9, 9), "red")
            if drawing:
                asyncio.get_running_loop().call_soon(draw)

        draw()
        try:
            await client.synced()
        finally:
            drawing = False
        await probe.shows(server.displays[0])


async def test_a_client_that_does_not_answer_is_not_in_step() -> None:
    async with serving(displays=[(64, 48)]) as server, Probe.of(server, answering=False):
        client = await server.wait_client()
        with pytest.raises(ExpectationFailed, match=r"not in step within 0\.01 s on .*display:0"):
            await client.synced(timeout=0.01)


@pytest.mark.parametrize(
    "leave",
    [
        pytest.param(lambda probe: probe.display.send_bytes(b"\xff" * 6), id="violation"),
        pytest.param(lambda probe: probe.display.pause() or probe.main.send_bytes(b"\xff" * 6), id="main"),
    ],
)
async def test_a_client_that_leaves_is_not_waited_for(leave: Callable[[Probe], None]) -> None:
    async with serving(displays=[(64, 48)]) as server, Probe.of(server, answering=False) as probe:
        client = await server.wait_client()
        waiting = await later(client.synced(timeout=100))
        leave(probe)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(ExpectationFailed, match="left before it was in step"):
                await waiting
        for channel in probe.channels.values():
            channel.resume()


async def test_a_message_by_hand() -> None:
    async with serving(displays=[(64, 48)]) as server, Probe.of(server, channels=[DISPLAY]) as probe:
        client = await server.wait_client()
        await client.synced()
        client.send(display.SurfaceCreate(5, 8, 8, 32, 0))
        await probe.display.until(lambda: 5 in probe.display.painter.surfaces)
        with pytest.raises(InvalidValue, match=r"base\.Notify is a message of several channels; name one"):
            client.send(base.Notify(0, 0, 0, 0, b"hello"))
        client.channel("main:0").send(base.Notify(0, 0, 0, 0, b"hello"))
        await probe.main.take(base.Notify)
        with pytest.raises(WrongState, match="inputs:0"):
            client.send(inputs.MouseMotionAck())
        assert client.connected
        await client.expect(DisplayReady)


class LateError(TimeoutError):
    """Something of ours, or of a test, that did not come."""


@pytest.mark.parametrize("timeout", [PATIENCE, None])
async def test_a_timeout_of_ones_own_is_not_taken_for_the_waiters(client: Client, timeout: float | None) -> None:
    def condition(_event: object) -> bool:
        raise LateError

    client._member.post(KeyDown(1))
    with pytest.raises(LateError):
        await client.expect(condition, timeout)
    waiting = [await later(client.expect(KeyUp, timeout)), await later(client.synced(timeout))]
    client._member.post(ServerFailed(DISPLAY, 0, "late", LateError()))
    for each in waiting:
        with pytest.raises(LateError):
            await each


async def test_a_condition_that_raises_is_not_taken_for_a_client_that_left(client: Client) -> None:
    def condition(_event: object) -> bool:
        raise WrongState("the test's own")

    client._member.post(KeyDown(1))
    with pytest.raises(WrongState, match="the test's own"):
        await client.expect(condition)


# What cannot be


@pytest.mark.parametrize(
    "name",
    [
        "",
        "display:",
        "display:\u0660",
        "display:256",
        "display:" + "9" * 5000,
        "display:0\n",
        ":0",
        "Display:0",
        None,
        5,
    ],
)
def test_a_name_that_no_channel_has(client: Client, name: Any) -> None:
    with pytest.raises(InvalidValue, match=r"a channel's name must be TYPE:ID, such as display:0, .* at most 255 and"):
        client.channel(name)


@pytest.mark.parametrize("message", ["x", None, display.Mark])
def test_what_is_no_message_is_not_sent(client: Client, message: Any) -> None:
    for send in (client.send, client.channels[0].send):
        with pytest.raises(InvalidValue, match=r"message must be a message, such as spiceemu\.messages\.main\."):
            send(message)


def test_a_message_of_the_client_has_no_id_for_the_server(client: Client) -> None:
    with pytest.raises(InvalidValue, match=r"inputs\.KeyDown is a client's message: "):
        client.channels[0].send(inputs.KeyDown(1), as_fault=True)


async def test_what_nothing_can_match_is_not_waited_for(client: Client) -> None:
    with pytest.raises(
        InvalidValue, match=r"^wanted must be an event, a class of events or a condition, not 'KeyDown'$"
    ):
        await client.expect("KeyDown")  # type: ignore[call-overload]


def test_what_is_no_text_is_not_shown(client: Client) -> None:
    for text in (5, "\ud800"):
        with pytest.raises(InvalidValue, match="text must be text that UTF-8 can hold, not "):
            client.notify(text)  # type: ignore[arg-type]


# What has travelled


async def test_messages_are_those_that_travelled() -> None:
    class Holds(MessageTap):
        def sending(self, channel: TappedChannel, message: Message) -> Iterable[Message]:
            if message == main.MultiMediaTime(77):
                held.append(channel)
                return ()
            return (main.MultiMediaTime(79),) if message == main.MultiMediaTime(78) else (message,)

    held: list[TappedChannel] = []
    async with serving() as server, Probe.of(server) as probe:
        client = await server.wait_client(PATIENCE)
        remove = server.add_tap(Holds())
        client.set_multi_media_time(77)
        client.set_multi_media_time(78)
        held[0].put(main.MultiMediaTime(80))
        remove()
        remove()
        client.set_multi_media_time(81)
        await probe.main.until(lambda: main.MultiMediaTime(81) in probe.main.received)
        came = [message.time for message in probe.main.received if isinstance(message, main.MultiMediaTime)]
        assert came[-3:] == [79, 80, 81]
        shown = [each.message.time for each in client.messages if isinstance(each.message, main.MultiMediaTime)]
        assert shown == came


async def test_what_takes_a_tap_away_takes_no_other_of_the_same() -> None:
    class Counts(MessageTap):
        def sending(self, _channel: TappedChannel, message: Message) -> Iterable[Message]:
            sent.append(message)
            return (message,)

    sent: list[Message] = []
    async with serving() as server, Probe.of(server):
        client = await server.wait_client(PATIENCE)
        tap = Counts()
        remove = server.add_tap(tap)
        server.add_tap(tap)
        remove()
        remove()
        client.set_multi_media_time(5)
        assert sent == [main.MultiMediaTime(5)]


async def test_what_takes_a_wire_tap_away_may_be_called_twice() -> None:
    async with serving() as server:
        tap = WireTap()
        remove = server.add_tap(tap)
        remove()
        remove()
