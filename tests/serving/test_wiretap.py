"""The tap of the wire: what it sees and what it can do, on a server's own connections and on those through a relay."""

from __future__ import annotations

import asyncio
import io
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest

from spiceemu import Tls
from spiceemu.errors import PermissionDenied
from spiceemu.events import KeyDown
from spiceemu.judge.stream import StreamJudge
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.link.client import ClientLink
from spiceemu.protocol.link.server import LINK_REPLY, ServerLink
from spiceemu.protocol.link.steps import LinkStep
from spiceemu.protocol.messages import inputs
from spiceemu.recordings import relayed
from spiceemu.recordings.recorder import Recorder
from spiceemu.recordings.recording import ClientBytes, read_recording
from spiceemu.recordings.relay import Relay, Target
from spiceemu.server import SpiceServer
from spiceemu.serving.tls import ThrowawayCertificate, server_context, throwaway_certificate
from spiceemu.serving.wiretap import (
    MAX_HELD,
    Answer,
    Delay,
    EndConnection,
    Pause,
    ResetConnection,
    Stall,
    TappedWire,
    Way,
    Wire,
    WireTap,
)
from spiceemu.serving.writes import SLICE

from ..server.probe import PATIENCE, Probe, ProbeChannel, serving, turns, until

MOMENT = 0.05
"""Seconds that something is held back; and how long a test looks on where nothing shall come."""


ACCEPTED = [
    *(LinkStep.HEADER, LinkStep.MESSAGE, LinkStep.REPLY, LinkStep.MECHANISM, LinkStep.TICKET, LinkStep.LINKED),
]


class Notes(WireTap):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.wires: list[Wire] = []
        self.steps: list[LinkStep] = []
        self.channels: list[str] = []
        self.client = b""
        self.server = b""
        self.reasons: dict[int, str] = {}

    def opened(self, wire: Wire) -> None:
        self.wires.append(wire)

    def step(self, wire: Wire, step: LinkStep) -> Sequence[Pause] | None:
        self.steps.append(step)
        self.channels.append(wire.channel)
        return None

    def client_data(self, wire: Wire, data: bytes) -> Answer:
        self.client += data
        return data

    def server_data(self, wire: Wire, data: bytes) -> Answer:
        self.server += data
        return data

    def closed(self, wire: Wire, reason: str) -> None:
        self.reasons[wire.number] = reason


class AtStep(Notes):
    """Answers one step."""

    def __init__(self, at: LinkStep, *pauses: Pause) -> None:
        super().__init__()
        self.at, self.pauses = at, pauses

    def step(self, wire: Wire, step: LinkStep) -> Sequence[Pause] | None:
        super().step(wire, step)
        return self.pauses if step is self.at else None


class Answering(Notes):
    """Answers what one side sends; ``active`` tells whether it does so yet."""

    def __init__(self, side: str, answer: Callable[[bytes], Answer], *, active: bool = True) -> None:
        super().__init__()
        self.side, self.answer, self.active = side, answer, active

    def client_data(self, wire: Wire, data: bytes) -> Answer:
        super().client_data(wire, data)
        return self.answer(data) if self.active and self.side == "client" else data

    def server_data(self, wire: Wire, data: bytes) -> Answer:
        super().server_data(wire, data)
        return self.answer(data) if self.active and self.side == "server" else data


class Place:
    """Where clients connect: a server, or a relay before one."""

    def __init__(self, server: SpiceServer, at: SpiceServer | Relay, tls: ssl.SSLContext | None) -> None:
        self.server, self.tls = server, tls
        self.host = at.host
        self.port = None if tls else at.port
        self.tls_port = (at.port if isinstance(at, Relay) else at.tls_port) if tls else None

    async def open(self) -> Line:
        options: dict[str, Any] = {"ssl": self.tls, "server_hostname": "localhost"} if self.tls else {}
        async with asyncio.timeout(PATIENCE):
            return Line(*await asyncio.open_connection(self.host, self.port or self.tls_port, limit=4096, **options))

    async def open_and_link(self) -> None:
        async with await self.open() as line:
            await line.make_link()

    async def linked(self, kind: ChannelType = ChannelType.MAIN, **options: Any) -> ProbeChannel:
        place: Any = self
        return await ProbeChannel.linked(place, kind, tls=self.tls, **options)

    def probe(self) -> Any:
        place: Any = self
        return Probe.of(place, tls=self.tls)


class Line:
    """A client's end of a connection, in bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.link = ClientLink(ChannelType.MAIN)
        self.sent = b""
        self.received = b""

    def send(self, data: bytes) -> None:
        self.sent += data
        self.writer.write(data)

    async def read(self, size: int = 1 << 16) -> bytes:
        async with asyncio.timeout(PATIENCE):
            data = await self.reader.read(size)
        self.received += data
        return data

    async def read_all(self) -> bytes:
        while await self.read():
            pass
        return self.received

    async def hears_nothing(self) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(MOMENT):
                await self.reader.read(1)

    async def make_link(self) -> None:
        while not self.link.linked:
            self.send(self.link.data_to_send())
            data = await self.read()
            if not data:
                raise ConnectionError("the other side ended")
            self.link.receive_data(data)

    async def link_and_read_all(self) -> None:
        await self.make_link()
        await self.read_all()

    async def __aenter__(self) -> Line:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()
        await turns()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ThrowawayCertificate:
    return throwaway_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(params=["server", "relay"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@asynccontextmanager
async def tapped(
    kind: str, tap: WireTap, *more: WireTap, certificate: ThrowawayCertificate | None = None, **options: Any
) -> AsyncIterator[Place]:
    """A server whose connections pass a tap, or a relay with it before a server."""
    trusting = ssl.create_default_context(cadata=certificate.ca_pem) if certificate else None
    answering = server_context(certificate.certificate, certificate.key) if certificate else None
    if kind == "server":
        if certificate:
            assert answering is not None
            options |= {"port": None, "tls": Tls(answering, channels=["all"])}
        async with serving(**options) as server:
            for each in (tap, *more):
                server.add_tap(each)
            yield Place(server, server, trusting)
    else:
        assert not more
        async with (
            serving(**options) as server,
            Relay(Target("127.0.0.1", server.port or 0), tls=answering, observer=tap) as relay,
        ):
            yield Place(server, relay, trusting)


@pytest.fixture
def link_pieces(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The pieces in which links reach the server."""
    found: list[bytes] = []
    receive = ServerLink.receive_data

    def noting(self: ServerLink, data: bytes, now: float) -> None:
        found.append(bytes(data))
        receive(self, data, now)

    monkeypatch.setattr(ServerLink, "receive_data", noting)
    return found


# Watching


@pytest.mark.parametrize("secure", [False, True])
async def test_a_tap_sees_every_byte_and_every_step(kind: str, secure: bool, certificate: ThrowawayCertificate) -> None:
    notes = Notes()
    async with tapped(kind, notes, certificate=certificate if secure else None) as place:
        async with await place.open() as line:
            await line.make_link()
            while len(line.received) < len(notes.server):
                await line.read()
        await until(lambda: notes.reasons)
    assert notes.client == line.sent
    assert notes.server == line.received
    (wire,) = notes.wires
    assert (wire.number, wire.secure) == (1, secure)
    assert wire.client.startswith("127.0.0.1:")
    assert (wire.client_bytes, wire.server_bytes) == (len(line.sent), len(line.received))
    before = [LinkStep.CONNECTED, LinkStep.TLS] if secure else [LinkStep.CONNECTED]
    assert notes.steps == [*before, *ACCEPTED]
    assert notes.channels == [""] * len(before) + ["main:0"] * len(ACCEPTED)


async def test_steps_do_not_depend_on_how_the_bytes_come(kind: str) -> None:
    notes = Notes()
    async with tapped(kind, notes) as place, await place.open() as line:
        line.send(line.link.data_to_send())
        line.link.receive_data(await line.read())
        for byte in line.link.data_to_send():
            line.send(bytes([byte]))
            await turns(2)
        await line.read()
        await until(lambda: LinkStep.LINKED in notes.steps)
    assert notes.steps == [LinkStep.CONNECTED, *ACCEPTED]


async def test_the_steps_of_a_link_that_is_refused_for_its_password(kind: str) -> None:
    notes = Notes()
    async with tapped(kind, notes, password="s3cret") as place:
        with pytest.raises(PermissionDenied):
            await place.linked(password="wrong")
        await until(lambda: notes.reasons)
    assert notes.steps == [LinkStep.CONNECTED, *ACCEPTED[:-1], LinkStep.REFUSED]


async def test_the_steps_of_what_is_no_link(kind: str) -> None:
    notes = Notes()
    async with tapped(kind, notes) as place:
        async with await place.open() as line:
            line.send(b"GET / HTTP/1.1\r\n\r\n")
            await line.read_all()
        await until(lambda: notes.reasons)
    assert notes.steps == [LinkStep.CONNECTED, LinkStep.REFUSED]


async def test_what_is_known_of_a_servers_connections() -> None:
    notes = Notes()
    async with tapped("server", notes) as place:
        async with place.probe() as probe:
            client = await place.server.wait_client(PATIENCE)
            probe.inputs.send(inputs.KeyDown(0x1E))
            await client.expect(KeyDown(scancode=0x1E), timeout=PATIENCE)
        await until(lambda: len(notes.reasons) == 4)
    assert {wire.channel for wire in notes.wires} == {"main:0", "display:0", "inputs:0", "cursor:0"}
    assert {wire.session for wire in notes.wires} == {f"{client.session_id:08x}"}
    assert [wire.number for wire in notes.wires] == [1, 2, 3, 4]


async def test_a_connection_passes_the_taps_that_are_there_when_it_begins() -> None:
    first, second = Notes(), Notes()
    async with tapped("server", first) as place:
        async with await place.open() as line:
            await line.make_link()
            place.server.add_tap(second)
            async with await place.open() as other:
                await other.make_link()
        await until(lambda: len(first.reasons) == 2 and second.reasons)
    assert [wire.number for wire in first.wires] == [1, 2]
    assert [wire.number for wire in second.wires] == [2]


async def test_the_first_tap_is_nearest_to_the_client() -> None:
    def marking(mark: bytes) -> WireTap:
        tap = Answering("client", lambda data: [data, Delay(0), mark])
        tap.server_data = lambda _, data: data + mark  # type: ignore[method-assign]
        return tap

    client: list[bytes] = []
    server: list[bytes] = []
    ends: dict[str, Any] = {"end": print, "reset": print}
    wire = TappedWire(
        Wire(1, "unix", False),
        [marking(b"1"), marking(b"2")],
        to_client=Way(client.append, **ends),
        to_server=Way(server.append, **ends),
    )
    wire.client_data(b"data")
    wire.server_data(b"data")
    assert await wire.to_server.passed()
    assert b"".join(server) == b"data212"
    assert client == [b"data21"]


# Delaying, splitting, joining, cutting, altering


@pytest.mark.parametrize("side", ["client", "server"])
async def test_delay(kind: str, side: str) -> None:
    tap = Answering(side, lambda data: [Delay(MOMENT), data])
    async with tapped(kind, tap) as place, await place.open() as line:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        await line.make_link()
        assert loop.time() - begin >= 2 * MOMENT  # of the reply and the result, or of what they answer


async def test_a_delay_keeps_the_order_and_what_was_sent_before_the_end(kind: str) -> None:
    tap = Answering("client", lambda data: [Delay(MOMENT), data], active=False)
    async with tapped(kind, tap) as place, place.probe() as probe:
        client = await place.server.wait_client(PATIENCE)
        tap.active = True
        for code in range(1, 6):
            probe.inputs.send(inputs.KeyDown(code), inputs.KeyUp(code | 0x80))
            await turns()
        probe.inputs._writer.write_eof()
        for code in range(1, 6):
            await client.expect(KeyDown(scancode=code), timeout=PATIENCE)
        keys = [event.scancode for event in client.events if isinstance(event, KeyDown)]
        assert keys == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("step", [LinkStep.CONNECTED, LinkStep.TLS, LinkStep.MESSAGE, LinkStep.TICKET])
async def test_delay_at_a_step(kind: str, step: LinkStep, secure: bool, certificate: ThrowawayCertificate) -> None:
    if step is LinkStep.TLS and not secure:
        step = LinkStep.REPLY
    tap = AtStep(step, Delay(MOMENT))
    async with tapped(kind, tap, certificate=certificate if secure else None) as place:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        async with await place.open() as line:
            await line.make_link()
        assert loop.time() - begin >= MOMENT
        assert LinkStep.LINKED in tap.steps


async def test_the_server_s_bytes_are_split(kind: str) -> None:
    tap = Answering("server", lambda data: [data[:5], Delay(MOMENT), data[5:]])
    async with tapped(kind, tap) as place, await place.open() as line:
        line.send(line.link.data_to_send())
        assert await line.read() == b"REDQ\x02"
        assert len(await line.read()) >= LINK_REPLY.size


async def test_the_client_s_bytes_are_split(kind: str, link_pieces: list[bytes]) -> None:
    tap = Answering("client", lambda data: [data[:5], Delay(MOMENT), data[5:]])
    async with tapped(kind, tap) as place, await place.open() as line:
        await line.make_link()
    assert link_pieces[0] == b"REDQ\x02"
    assert b"".join(link_pieces) == line.sent


async def test_the_client_s_bytes_are_joined(kind: str, link_pieces: list[bytes]) -> None:
    kept = b""

    def join(data: bytes) -> bytes:
        nonlocal kept
        kept += data
        if len(kept) < len(message):
            return b""
        joined, kept = kept, b""
        return joined

    tap = Answering("client", join)
    async with tapped(kind, tap) as place, await place.open() as line:
        message = line.link.data_to_send()
        for start in (0, 10, 20):
            line.send(message[start : start + 10] if start < 20 else message[20:])
            await until(lambda: tap.client == line.sent)
        await line.read()
    assert link_pieces == [message]


async def test_the_server_s_bytes_are_joined(kind: str) -> None:
    """Those of the reply and those of the result, with what follows."""
    kept: list[bytes] = []

    def join(data: bytes) -> bytes:
        kept.append(data)
        return b"".join(kept) if len(kept) == 2 else b""

    tap = Answering("server", join)
    async with tapped(kind, tap) as place, await place.open() as line:
        line.send(line.link.data_to_send())
        await until(lambda: kept)
        await line.hears_nothing()
        line.link.receive_data(kept[0])
        line.send(line.link.data_to_send())
        joined = await line.read()
        assert len(joined) > len(kept[0])
        assert b"".join(kept[:2]).startswith(joined)


@pytest.mark.parametrize("side", ["client", "server"])
async def test_cut(kind: str, side: str, link_pieces: list[bytes]) -> None:
    tap = Answering(side, lambda data: [data[:10], EndConnection()])
    async with tapped(kind, tap) as place:
        async with await place.open() as line:
            line.send(line.link.data_to_send())
            assert len(await line.read_all()) == (10 if side == "server" else 0)
        await until(lambda: tap.reasons)
        await until(lambda: not place.server._core._open)
    assert tap.reasons == {1: "ended by a tap"}
    assert b"".join(link_pieces) == (line.sent if side == "server" else line.sent[:10])


async def test_the_client_s_bytes_are_altered(kind: str) -> None:
    tap = Answering("client", lambda data: data.replace(b"REDQ", b"READ"))
    async with tapped(kind, tap) as place, await place.open() as line:
        line.send(line.link.data_to_send())
        assert (await line.read_all())[16:20] == b"\2\0\0\0"


async def test_the_server_s_bytes_are_altered(kind: str) -> None:
    tap = Answering("server", lambda data: b"READ" + data[4:])
    async with tapped(kind, tap) as place, await place.open() as line:
        line.send(line.link.data_to_send())
        assert (await line.read())[:16] == b"READ" + tap.server[4:16]


# Stalling


@pytest.mark.parametrize("side", ["client", "server"])
async def test_stall(kind: str, side: str, link_pieces: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relayed, "HALF_CLOSED_TIMEOUT", MOMENT)
    tap = Answering(side, lambda data: [data[:20], Stall()])
    async with tapped(kind, tap) as place:
        async with await place.open() as line:
            line.send(line.link.data_to_send())
            if side == "server":
                assert len(await line.read()) == 20
            await line.hears_nothing()
            line.writer.write_eof()
            await until(lambda: tap.reasons)
        await until(lambda: not place.server._core._open)
    assert b"".join(link_pieces) == (line.sent if side == "server" else line.sent[:20])


@pytest.mark.parametrize("step", [LinkStep.CONNECTED, LinkStep.MESSAGE, LinkStep.REPLY, LinkStep.TICKET])
async def test_stall_at_a_step(kind: str, step: LinkStep) -> None:
    """What completes the step has passed, and nothing after it."""
    tap = AtStep(step, Stall())
    async with tapped(kind, tap) as place, await place.open() as line:
        line.send(line.link.data_to_send())
        if step in (LinkStep.REPLY, LinkStep.TICKET):
            line.link.receive_data(await line.read())
            line.send(line.link.data_to_send())
        await line.hears_nothing()


async def test_stall_before_the_handshake(
    kind: str, certificate: ThrowawayCertificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends at the time that any handshake has."""
    monkeypatch.setattr(relayed, "LINK_TIMEOUT", MOMENT)
    tap = AtStep(LinkStep.CONNECTED, Stall())
    async with tapped(kind, tap, certificate=certificate) as place:
        opening = asyncio.ensure_future(place.open())
        await until(lambda: tap.steps)
        if kind == "server":
            (connection,) = place.server._core._open
            assert connection._link is not None
            await asyncio.sleep(MOMENT)
            assert not opening.done()
            connection._link.deadline = 0.0
            connection._check_link()
        with pytest.raises(OSError):  # noqa: PT011 - whatever asyncio makes of it
            await opening
        await until(lambda: tap.reasons)
    assert tap.steps == [LinkStep.CONNECTED]


@pytest.mark.parametrize("pause", [Stall(), Delay(PATIENCE)])
async def test_a_client_whose_bytes_are_held_back_is_not_read(kind: str, pause: Pause) -> None:
    tap = Answering("client", lambda data: [pause, data])
    async with tapped(kind, tap) as place, await place.open() as line:
        transport = line.writer.transport
        idle = 0
        async with asyncio.timeout(PATIENCE):
            while idle < 200:
                if transport.get_write_buffer_size():
                    idle += 1
                else:
                    idle = 0
                    line.writer.write(bytes(1 << 16))
                await asyncio.sleep(0)
        assert MAX_HELD < len(tap.client) <= 3 * MAX_HELD


async def test_a_server_whose_bytes_are_held_back_makes_no_more() -> None:
    tap = Answering("server", lambda data: [Delay(PATIENCE), data], active=False)
    async with tapped("server", tap, displays=[(640, 480)], compression="off") as place, place.probe() as probe:
        shown = place.server.displays[0]
        await probe.shows(shown)
        tap.active = True
        tap.server = b""
        for number in range(10):
            shown.blit((0, 0), 640, 480, bytes([number]) * (4 * 640 * 480))
            await turns(5)
        assert MAX_HELD < len(tap.server) <= MAX_HELD + SLICE


async def test_what_a_tap_holds_back_does_not_keep_a_server_from_closing() -> None:
    tap = AtStep(LinkStep.LINKED, Delay(1000 * PATIENCE))
    async with tapped("server", tap) as place, await place.open() as line:
        await line.make_link()
        async with asyncio.timeout(PATIENCE):
            await place.server.close()
        assert tap.reasons == {1: "the server closes"}


# Resetting and ending


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("step", [LinkStep.HEADER, LinkStep.REPLY, LinkStep.LINKED])
async def test_reset_at_a_step(kind: str, step: LinkStep, secure: bool, certificate: ThrowawayCertificate) -> None:
    tap = AtStep(step, ResetConnection())
    async with tapped(kind, tap, certificate=certificate if secure else None) as place:
        async with await place.open() as line:
            with pytest.raises(ConnectionResetError):
                await line.link_and_read_all()
        await until(lambda: tap.reasons)
        await until(lambda: not place.server._core._open)
    assert tap.reasons == {1: "reset by a tap"}
    assert step is not LinkStep.HEADER or line.received == b""


async def test_reset_as_soon_as_a_client_connects(kind: str) -> None:
    tap = AtStep(LinkStep.CONNECTED, Delay(MOMENT), ResetConnection())
    async with tapped(kind, tap) as place, await place.open() as line:
        with pytest.raises(ConnectionResetError):
            await line.read_all()
    assert tap.reasons == {1: "reset by a tap"}


@pytest.mark.parametrize("side", ["client", "server"])
async def test_reset_by_what_is_sent(kind: str, side: str) -> None:
    tap = Answering(side, lambda data: [data[:5], ResetConnection()])
    async with tapped(kind, tap) as place, await place.open() as line:
        line.send(line.link.data_to_send())
        with pytest.raises(ConnectionResetError):
            await line.read_all()
        assert line.received in (b"", b"REDQ\x02"[: 5 * (side == "server")])


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("step", [LinkStep.CONNECTED, LinkStep.MESSAGE, LinkStep.REPLY, LinkStep.TICKET])
async def test_end_at_a_step(kind: str, step: LinkStep, secure: bool, certificate: ThrowawayCertificate) -> None:
    """Behind a step of the server what it sent has come."""
    if secure and step is LinkStep.CONNECTED:
        step = LinkStep.TLS
    tap = AtStep(step, EndConnection())
    async with tapped(kind, tap, certificate=certificate if secure else None) as place:
        async with await place.open() as line:
            if step not in (LinkStep.CONNECTED, LinkStep.TLS):
                line.send(line.link.data_to_send())
            if step is LinkStep.TICKET:
                line.link.receive_data(await line.read())
                line.send(line.link.data_to_send())
            await line.read_all()
            assert line.received == tap.server[: len(line.received)]
            assert bool(line.received) == (step in (LinkStep.REPLY, LinkStep.TICKET))
        await until(lambda: tap.reasons)
    assert tap.reasons == {1: "ended by a tap"}


@pytest.mark.parametrize("pause", [EndConnection(), ResetConnection()])
async def test_a_connection_that_ends_before_its_handshake(
    kind: str, pause: Pause, certificate: ThrowawayCertificate
) -> None:
    tap = AtStep(LinkStep.CONNECTED, pause)
    async with tapped(kind, tap, certificate=certificate) as place:
        with pytest.raises(OSError):  # noqa: PT011 - which one depends on how far the client has come
            await place.open()
        await until(lambda: tap.reasons)
    assert tap.steps == [LinkStep.CONNECTED]


async def test_a_refusal_comes_whole_however_long_it_is_held_back(kind: str) -> None:
    tap = Answering("server", lambda data: [Delay(MOMENT), data])
    async with tapped(kind, tap) as place, await place.open() as line:
        line.send(b"REDX" + bytes(100))
        await line.read_all()
        assert len(line.received) == 16 + LINK_REPLY.size


# Taps that fail


@pytest.mark.parametrize("method", ["opened", "step", "client_data", "server_data", "closed"])
@pytest.mark.parametrize("secure", [False, True])
async def test_a_tap_that_fails_ends_its_connection_and_no_other(
    method: str, secure: bool, caplog: pytest.LogCaptureFixture, certificate: ThrowawayCertificate
) -> None:
    notes, failing = Notes(), WireTap()

    def fail(*_: object) -> bytes:
        raise RuntimeError("that was the tap")

    async with (
        tapped("server", notes, certificate=certificate if secure else None, shared=True) as place,
        place.probe(),
    ):
        client = await place.server.wait_client(PATIENCE)
        setattr(failing, method, fail)
        place.server.add_tap(failing)
        with caplog.at_level(logging.ERROR):
            if method == "closed":
                async with await place.open() as line:
                    await line.make_link()
            else:
                with pytest.raises(ConnectionError):
                    await place.open_and_link()
            await until(lambda: notes.reasons)
        await client.synced(timeout=PATIENCE)
        (reason,) = notes.reasons.values()
    assert (reason == "the server failed: RuntimeError: that was the tap (raised by a tap of the wire)") == (
        method != "closed"
    )
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    assert record.getMessage().endswith(
        "not of the client: RuntimeError: that was the tap (raised by a tap of the wire)"
    )
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "that was the tap"


@pytest.mark.parametrize("answer", [None, [None], ["text"], [bytearray(3)]])
async def test_an_answer_that_is_none(answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    tap = Answering("client", lambda _: answer)
    async with tapped("server", tap) as place, await place.open() as line:
        line.send(b"REDQ")
        with caplog.at_level(logging.ERROR):
            assert await line.read_all() == b""
    assert "Answering.client_data" in caplog.text
    assert "no action" in caplog.text


# Recording a server of our own


async def test_a_recorder_on_a_server() -> None:
    file = io.BytesIO()
    recorder = Recorder(file, "our own")
    async with tapped("server", recorder, password="s3cret", displays=[(320, 240)]) as place:
        server: Any = place.server
        async with Probe.of(server, password="s3cret") as probe:
            client = await server.wait_client(PATIENCE)
            server.displays[0].fill((0, 0, 300, 200), "steelblue")
            await probe.shows(server.displays[0])
            probe.inputs.send(inputs.KeyDown(0x1E), inputs.KeyUp(0x9E))
            await client.expect(KeyDown(scancode=0x1E), timeout=PATIENCE)
        await until(lambda: not recorder.links)
    recorder.end()
    recording = read_recording(io.BytesIO(file.getvalue()))
    assert recording.complete
    assert len(recording.connections) == 4
    judge = StreamJudge("0.15.1")
    findings = []
    for connection in recording.connections:
        judged = judge.connection(str(connection.number))
        for piece in connection.pieces:
            findings += (judged.client_data if isinstance(piece, ClientBytes) else judged.server_data)(piece.data)
    assert judge.messages > 20
    assert findings + judge.finish() == []


# A way by itself


async def test_a_way_performs_in_order() -> None:
    done: list[object] = []
    way = Way(done.append, end=done.append, reset=done.append)
    way.push([b"one", Delay(MOMENT), b"two"])
    way.then(lambda: done.append("then"))
    way.push([b"three", b"", EndConnection(), b"never"])
    assert done == [b"one"]
    assert way.waiting
    assert not await way.passed()
    assert done == [b"one", b"two", "then", b"three", "ended by a tap"]
    way.push([b"never"])
    way.then(lambda: done.append("at once"))
    assert done[5:] == ["at once"]


async def test_what_is_cut_does_not_pass() -> None:
    done: list[object] = []
    way = Way(done.append, end=done.append, reset=done.append)
    way.push([Delay(MOMENT), bytes(MAX_HELD + 1)])
    assert way.full
    way.cut()
    await way.room()
    await asyncio.sleep(2 * MOMENT)
    assert done == []
    assert not way.full
    assert not way.waiting
