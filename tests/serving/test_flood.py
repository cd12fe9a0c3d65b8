"""Clients that want the worst: floods, announced giants, questions whose answers they do not read."""

from __future__ import annotations

import gc
import socket
import struct
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings, strategies as st

from spiceemu import Limits
from spiceemu.channels.shared import Shared
from spiceemu.channels.table import CHANNELS, offered
from spiceemu.errors import RemoteError
from spiceemu.events import AgentMessage, Event, MonitorsRequested, MousePress, Violation
from spiceemu.guest.machine import Guest
from spiceemu.protocol.agent import messages as agent
from spiceemu.protocol.agent.stream import pieces_of
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.framing import FULL_HEADER, MAX_CLIENT_BODY, MINI_HEADER
from spiceemu.protocol.levels.level import CURRENT
from spiceemu.protocol.messages import base, catalogue, inputs, main
from spiceemu.protocol.messages.message import CLIENT
from spiceemu.server import SpiceServer
from spiceemu.serving import connection as connection_module, listeners, roster
from spiceemu.serving.connection import Connection
from spiceemu.sessions import log
from spiceemu.sessions.session import Session

from ..channels.far_side import Wake, linked
from ..protocol.records import records
from ..server.probe import PATIENCE, Probe, serving, turns, until

MAIN, DISPLAY, INPUTS, CURSOR = ChannelType.MAIN, ChannelType.DISPLAY, ChannelType.INPUTS, ChannelType.CURSOR
MIB = 1 << 20


def tight() -> list[socket.socket]:
    """Listening sockets whose connections the kernel buffers little of."""
    sockets = listeners.listen_tcp("127.0.0.1", 0)
    for each in sockets:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        each.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return sockets


def connection_of(server: SpiceServer, kind: ChannelType) -> Connection:
    """The server's end of the only client's channel."""
    (found,) = (
        each for each in server._core._open if each.attachment is not None and each.attachment.channel.type is kind
    )
    return found


async def test_motions_whose_acknowledgements_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "MAX_UNSENT", 6000)
    async with serving(sockets=tight(), debug=False) as server, Probe.of(server, receive_buffer=4096) as probe:
        await probe.inputs.take(inputs.Init)
        connection = connection_of(server, INPUTS)
        channel = connection.attachment.channel  # type: ignore[union-attr]
        probe.inputs.pause()
        chunk = probe.inputs.conversation.frame(*[inputs.MouseMotion(1, 0, 0)] * 400)
        sent = 0

        def stopped() -> bool:
            nonlocal sent
            if probe.inputs.unsent() < len(chunk):
                probe.inputs.send_bytes(chunk)
                sent += 400
            return not connection._transport.is_reading()

        await until(stopped)
        await turns()
        # One read of asyncio's goes beyond the limit, at most: 256 KiB of motions with their acknowledgements.
        assert channel.unsent <= 6000 + (256 << 10) // (16 * 4) * 6
        probe.inputs.resume()
        await probe.inputs.take(inputs.MouseMotionAck, sent // 4)
        assert connection._transport.is_reading()
        assert server.guest.pointer.x == 1023


@pytest.mark.parametrize("mini", [True, False])
@pytest.mark.parametrize("size", [MAX_CLIENT_BODY + 1, 0xFFFFFFFF])
async def test_an_announced_giant_ends_the_channel_at_its_header(mini: bool, size: int) -> None:
    async with serving() as server, Probe.of(server, mini=mini) as probe:
        client = await server.wait_client()
        header = MINI_HEADER.pack(104, size) if mini else FULL_HEADER.pack(1, 104, size, 0)
        probe.inputs.send_bytes(header)
        event = await client.expect(Violation(INPUTS, 0))
        assert str(MAX_CLIENT_BODY) in event.text
        await probe.inputs.wait_end()


async def test_a_giant_in_many_pieces_is_held_once() -> None:
    async with serving(debug=False) as server, Probe.of(server) as probe:
        client = await server.wait_client()
        size = MAX_CLIENT_BODY
        tracemalloc.start()
        try:
            probe.inputs.send_bytes(MINI_HEADER.pack(104, size))
            for _ in range(0, size - 4096, 4096):
                probe.inputs.send_bytes(bytes(4096))
            await probe.inputs.drain()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 8 * MIB
        assert client.connected


async def test_events_that_nobody_reads_are_bounded() -> None:
    async with serving(debug=False, limits=Limits(events=500)) as server, Probe.of(server) as probe:
        client = await server.wait_client()
        probe.inputs.send(*[inputs.KeyScancode(b"\x1e\x9e" * 1000)] * 5)
        await until(lambda: client.dropped_events > 9000)
        assert len(client.events) == 500
        assert len(client._member.events._unread) <= 500


async def test_what_events_hold_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unasked clipboards, each of them as large as a message may be."""
    monkeypatch.setattr(log, "MAX_EVENT_BYTES", 5 * MIB)
    async with serving(debug=False) as server, Probe.of(server) as probe:
        client = await server.wait_client()
        probe.main.send(main.AgentStart(0xFFFFFFFF))
        for _ in range(8):
            for piece in pieces_of(agent.Clipboard(1, bytes(MIB))):
                probe.main.send(main.AgentData(piece))
        await until(lambda: sum(isinstance(event, AgentMessage) for event in client.events) + client.dropped_events > 8)
        await until(lambda: client.dropped_events > 0)
        assert sum(event.held for event in client.events) <= 5 * MIB


def test_what_events_hold_is_about_what_they_take() -> None:
    """A layout of monitors is a few bytes on the wire, and many objects."""
    monitors = agent.MonitorsConfig(flags=0, monitors=[agent.MonConfig(720, 1280, 32, 0, n) for n in range(256)])
    data = monitors.build()
    agent.MonitorsConfig.parse(data)  # what is made once is not counted
    gc.collect()
    tracemalloc.start()
    try:
        message = agent.MonitorsConfig.parse(data)
        of_message, _ = tracemalloc.get_traced_memory()
        asked = MonitorsRequested(tuple((one.x, one.y, one.width, one.height) for one in message.monitors))
        of_both, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert of_message / 3 < AgentMessage(message, len(data)).held < of_message * 3
    assert (of_both - of_message) / 3 < asked.held < (of_both - of_message) * 3


async def test_what_clients_leave_behind_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roster, "MAX_GONE_BYTES", 1 << 15)
    async with serving(limits=Limits(messages=0)) as server:
        for _ in range(10):
            async with Probe.of(server) as probe:
                probe.inputs.send(*[inputs.MousePress(1, 1)] * 20)
                client = server.clients[0]
                await client.expect(MousePress)
            await client.wait_disconnected()
        remembered = [await server.wait_client(ready=False) for _ in range(len(server._core.roster._arrivals))]
        assert 0 < len(remembered) < 10
        assert remembered[-1] is client


async def test_a_clipboard_that_is_asked_for_and_not_read() -> None:
    async with serving(sockets=tight(), debug=False) as server, Probe.of(server, receive_buffer=4096) as probe:
        client = await server.wait_client()
        probe.main.send(main.AgentStart(0xFFFFFFFF))
        announce = agent.AnnounceCapabilities(1, [0xFFFFFFFF])
        probe.main.send(main.AgentData(pieces_of(announce)[0]))
        await probe.main.take(main.AgentData)
        agents = server.guest.agent
        assert agents is not None
        server.guest.clipboard.set_text("x" * MIB)
        probe.main.pause()
        (question,) = pieces_of(agent.ClipboardRequest(1), agents.layout)
        tracemalloc.start()
        try:
            for _ in range(2000):
                probe.main.send(main.AgentData(question))
            event = await client.expect(Violation(MAIN, 0))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert "the limit is" in event.text
        assert peak < 100 * MIB
        probe.main.resume()


async def test_wrong_answers_are_no_harm() -> None:
    async with serving(debug=False) as server, Probe.of(server) as probe:
        client = await server.wait_client()
        for _ in range(100):
            probe.display.send(*[base.Ack()] * 100, *[base.AckSync(7)] * 100, *[base.Pong(5, 5)] * 100)
        probe.display.send(base.AckSync(1))
        await client.synced()
        await probe.shows(server.displays[0])


async def test_many_strangers_do_not_keep_a_client_out() -> None:
    async with serving(debug=False) as server:
        strangers = [socket.create_connection((server.host, server.port), timeout=PATIENCE) for _ in range(100)]
        try:
            for number, each in enumerate(strangers):
                each.sendall(b"REDQ"[: number % 5])
            async with Probe.of(server) as probe:
                await server.wait_client()
                await probe.shows(server.displays[0])
        finally:
            for each in strangers:
                each.close()


# Whatever a client says


def opened() -> tuple[Session, Guest, list[Event]]:
    """A session with every channel, its guest, and what it tells."""
    told: list[Event] = []
    guest = Guest(sizes=[(64, 48), (32, 32)])
    listed = offered(CHANNELS, guest, CURRENT)
    session = Session(Shared(guest, session_id=1, offered=listed, now=0.0), told.append)
    for kind, number in [(MAIN, 0), *listed]:
        session.open(linked(kind, number, capabilities=range(32)), Wake(), 0.0)
    return session, guest, told


def frame(number: int, body: bytes) -> bytes:
    return MINI_HEADER.pack(number, len(body)) + body


@st.composite
def spoken(draw: Callable[..., object]) -> tuple[ChannelType, int, bytes]:
    """A message that a client might send: known or not, whole or broken."""
    kind, number = draw(st.sampled_from([(MAIN, 0), (DISPLAY, 0), (DISPLAY, 1), (INPUTS, 0), (CURSOR, 1)]))  # type: ignore[misc]
    known = catalogue.messages_of(kind, CLIENT)
    chosen = draw(st.sampled_from([*known, 0, 999]))
    if chosen in known and draw(st.integers(0, 4)):
        body = draw(records(known[chosen])).build()  # type: ignore[attr-defined, index]
    else:
        body = draw(st.binary(max_size=60))
    return kind, number, frame(chosen, body)  # type: ignore[arg-type]


@st.composite
def agent_pieces(draw: Callable[..., object]) -> tuple[ChannelType, int, bytes]:
    """A message for the agent, of a known kind or not."""
    size = draw(st.integers(0, 40))
    data = draw(st.binary(min_size=size, max_size=size))  # type: ignore[arg-type]
    header = struct.pack("<IIQI", 1, draw(st.integers(0, 20)), 0, size)
    return MAIN, 0, frame(107, header + data)  # type: ignore[operator]


@given(st.lists(st.one_of(spoken(), spoken(), agent_pieces()), max_size=20), st.booleans())
@settings(max_examples=300)
def test_nothing_that_a_client_says_is_our_error(said: list[tuple[ChannelType, int, bytes]], started: bool) -> None:
    session, guest, told = opened()
    if started:
        session.receive(session.main, frame(106, struct.pack("<I", 100)), 0.0)
    for kind, number, data in said:
        channel = session.channels.get((kind, number))
        if channel is None:
            continue
        try:
            session.receive(channel, data, 1.0)
            assert all(map(str, told))
        except RemoteError:
            if kind is MAIN:
                break
            session.close_channel(channel)
        for each in session.channels.values():
            each.data_to_send()
    session.close()
    assert not guest._observers
    assert not any(each._observers for each in guest.displays)


@given(st.lists(spoken(), min_size=1, max_size=6), st.data())
@settings(max_examples=100)
def test_cutting_the_stream_differently_changes_nothing(
    said: list[tuple[ChannelType, int, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(bytes_ for kind, _, bytes_ in said if kind is INPUTS)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    results = []
    for pieces in ([stream], [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]):
        session, _, told = opened()
        channel = session.channels[INPUTS, 0]
        faults = []
        try:
            for piece in pieces:
                session.receive(channel, piece, 0.0)
        except RemoteError as error:
            faults.append(str(error))
        results.append((told, faults, b"".join(channel.data_to_send())))
    assert results[0] == results[1]
