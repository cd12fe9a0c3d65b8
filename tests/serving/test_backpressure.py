"""Clients that are slower than the guest: nothing grows, nobody waits for them, and they see the present in the end."""

from __future__ import annotations

import asyncio
import ssl
import tracemalloc
from collections import deque
from collections.abc import Iterator

import pytest

from spiceemu import Tls
from spiceemu.channels.channel import Channel
from spiceemu.channels.display import MAX_QUEUED, MAX_QUEUED_BYTES, DisplayChannel
from spiceemu.errors import ExpectationFailed
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.messages import draw
from spiceemu.server import SpiceServer
from spiceemu.serving.connection import MAX_UNSENT, Connection
from spiceemu.serving.tls import server_context, throwaway_certificate
from spiceemu.serving.writes import SLICE

from ..server.probe import Probe, serving

FULL_HD = (1920, 1080)
MIB = 1 << 20


def display_channel(server: SpiceServer, number: int = 0) -> DisplayChannel:
    """The server's end of a client's display channel."""
    channel = server.clients[number]._member.session.channels[ChannelType.DISPLAY, 0]
    assert isinstance(channel, DisplayChannel)
    return channel


@pytest.fixture
def _memory() -> Iterator[None]:
    tracemalloc.start(1)
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("_memory")
async def test_a_client_that_hangs_costs_no_memory_and_sees_the_end() -> None:
    width, height = FULL_HD
    size = width * height * 4
    async with (
        serving(displays=[FULL_HD], compression="off", debug=False) as server,
        Probe.of(server, receive_buffer=1 << 16) as probe,
    ):
        client = await server.wait_client()
        await client.synced()
        shown = server.displays[0]
        probe.display.pause()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        for number in range(200):
            shown.blit((0, 0), width, height, bytes([number]) * size)
            await asyncio.sleep(0)
        growth = tracemalloc.get_traced_memory()[1] - before
        # What is queued, a frame being sent, and one being drawn.
        assert growth < MAX_QUEUED_BYTES + 6 * size
        assert display_channel(server).collapses >= 1
        seen = len(probe.display.received)
        probe.display.resume()
        await client.synced()
        await probe.shows(shown)
        copies = [each for each in probe.display.received[seen:] if isinstance(each, draw.DrawCopy)]
        assert len(copies) < 20


async def test_a_client_without_acknowledgements_costs_no_memory() -> None:
    async with (
        serving(displays=[(640, 480)], compression="off", debug=False) as server,
        Probe.of(server, answering=False),
    ):
        await server.wait_client()
        shown = server.displays[0]
        for number in range(20 * MAX_QUEUED):
            shown.fill((number % 640, 0, 1, 480), number)
            if number % 100 == 0:
                await asyncio.sleep(0)
        channel = display_channel(server)
        assert channel.collapses >= 1
        assert len(channel._queue) <= MAX_QUEUED
        assert channel.window is not None
        assert channel.window.outstanding == 41
        with pytest.raises(ExpectationFailed, match="display:0"):
            await server.clients[0].synced(timeout=0.01)


@pytest.mark.parametrize("tls", [True, False])
async def test_a_slow_client_does_not_hold_up_another(tls: bool, tmp_path_factory: pytest.TempPathFactory) -> None:
    options: dict[str, object] = {}
    client_tls = None
    if tls:
        made = throwaway_certificate(tmp_path_factory.mktemp("certificate"))
        options = {"tls": Tls(server_context(made.certificate, made.key))}
        client_tls = ssl.create_default_context(cafile=made.ca)
    async with (
        serving(displays=[(800, 600)], compression="off", shared=True, debug=False, **options) as server,
        Probe.of(server, receive_buffer=4096, tls=client_tls) as slow,
        Probe.of(server, tls=client_tls) as fast,
    ):
        clients = [await server.wait_client() for _ in range(2)]
        shown = server.displays[0]
        slow.display.pause()
        for number in range(60):
            shown.blit((0, 0), 800, 600, bytes([number]) * (800 * 600 * 4))
            shown.fill((number, 0, 100, 100), number)
            await clients[1].synced()
            assert fast.display.painter.primary.pixels == shown.screenshot().pixels
        assert display_channel(server, 0).collapses >= 1
        assert display_channel(server, 1).collapses == 0
        slow.display.resume()
        await clients[0].synced()
        assert slow.display.painter.primary.pixels == shown.screenshot().pixels


# The rules, one by one


class FakeTransport(asyncio.Transport):
    """Takes ``room`` bytes and then says stop, as a socket does."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room
        self.written: list[bytes] = []
        self.reading = True
        self.closing = False
        self.broken = False
        self.connection: Connection

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))
        self.closing |= self.broken
        self.room -= len(data)
        if self.room < 0:
            self.connection.pause_writing()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert high == 0

    def is_closing(self) -> bool:
        return self.closing

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def close(self) -> None:
        self.closing = True


class Endless(Channel):
    """Has a batch of messages whenever it is asked."""

    type = ChannelType.DISPLAY

    def __init__(self, batches: list[list[bytes]]) -> None:
        self.batches = deque(batches)
        self.id = 0
        self._out_bytes = 0

    def data_to_send(self) -> list[bytes]:
        self._out_bytes = 0
        return self.batches.popleft() if self.batches else []


class FakeHome:
    policy = None
    wire_taps = None

    def connection_began(self, connection: Connection) -> None:
        pass

    def connection_ended(self, connection: Connection) -> None:
        pass


class FakePlace:
    label = "test"

    def __init__(self, channel: Channel) -> None:
        self.channel = channel


async def connected(batches: list[list[bytes]], room: int = MIB) -> tuple[Connection, FakeTransport, Endless]:
    connection, transport, channel = Connection(FakeHome()), FakeTransport(room), Endless(batches)  # type: ignore[arg-type]
    transport.connection = connection
    connection.connection_made(transport)
    assert connection._deadline is not None
    connection._deadline.cancel()
    connection._link = None
    connection.attachment = FakePlace(channel)  # type: ignore[assignment]
    return connection, transport, channel


async def test_what_the_channel_has_is_written_a_batch_a_turn() -> None:
    connection, transport, _ = await connected([[b"a", b"b"], [b"c"], [b"d"]])
    connection.pump()
    assert transport.written == [b"ab"]
    await asyncio.sleep(0)
    assert transport.written == [b"ab", b"c"]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert transport.written == [b"ab", b"c", b"d"]


async def test_a_busy_connection_leaves_others_their_turn() -> None:
    busy, transport, _ = await connected([[b"a"]] * 100)
    quiet, other, _ = await connected([[b"x"]])
    busy.wake()
    quiet.wake()
    await asyncio.sleep(0)
    assert other.written == [b"x"]
    assert len(transport.written) == 1


async def test_nothing_is_asked_of_the_channel_while_the_socket_is_full() -> None:
    connection, transport, channel = await connected([[b"a" * 10], [b"b"]], room=5)
    connection.pump()
    connection.pump()
    await asyncio.sleep(0)
    assert len(transport.written) == 1
    assert len(channel.batches) == 1
    transport.room = MIB
    connection.resume_writing()
    assert transport.written == [b"a" * 10, b"b"]


async def test_slices_go_one_by_one_and_are_not_copied_ahead() -> None:
    connection, transport, _ = await connected([[bytes(5 * SLICE)]], room=SLICE)
    connection.pump()
    assert len(transport.written) == 2
    assert len(connection._waiting) == 3
    transport.room = 10 * SLICE
    connection.resume_writing()
    assert sum(map(len, transport.written)) == 5 * SLICE


async def test_reading_stops_only_while_answers_pile_up() -> None:
    connection, transport, channel = await connected([[b"a" * 10]], room=5)
    channel._out_bytes = MAX_UNSENT + 1
    connection.pump()  # takes what there is; the socket is full now
    assert transport.reading
    channel._out_bytes = MAX_UNSENT
    connection.pump()
    assert transport.reading
    channel._out_bytes = MAX_UNSENT + 1
    connection.pump()
    assert not transport.reading
    transport.room = MIB
    connection.resume_writing()
    assert transport.reading


async def test_nothing_is_written_to_a_connection_that_broke() -> None:
    connection, transport, _ = await connected([[bytes(3 * MIB)], [b"b"]], room=10 * MIB)
    transport.broken = True
    connection.pump()
    connection.wake()
    await asyncio.sleep(0)
    assert len(transport.written) == 1


async def test_nothing_is_written_after_closing() -> None:
    connection, transport, _ = await connected([[b"a"]])
    connection.close("enough")
    connection.pump()
    connection.wake()
    await asyncio.sleep(0)
    assert transport.written == []
    assert connection._deadline is not None
    connection._deadline.cancel()
