"""The relay between our own client and server: transparent, bounded, and gone when either side is."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import os
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from spiceemu import Tls
from spiceemu.errors import AddressUnavailable, InvalidValue, PermissionDenied, WrongState
from spiceemu.events import KeyDown
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.link.observer import LinkObserver
from spiceemu.protocol.messages import inputs
from spiceemu.recordings import relay as relaying, relayed
from spiceemu.recordings.recorder import Recorder
from spiceemu.recordings.recording import ClientBytes, Recording, read_recording
from spiceemu.recordings.relay import Relay, RelayObserver, Target, parse_target
from spiceemu.recordings.relayed import READ_SIZE
from spiceemu.server import SpiceServer
from spiceemu.serving.tls import ThrowawayCertificate, server_context, throwaway_certificate
from spiceemu.serving.wiretap import Wire

from ..server.probe import PATIENCE, Probe, ProbeChannel, serving, turns, until

CHUNK = bytes(range(256)) * 256

ASYNCIO_READS = 1 << 18
"""What asyncio takes from a socket at once."""

MOST_IN_KERNEL = 1 << 27
"""More than the kernel holds for a connection."""

unix_only = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no unix sockets")


class Notes(RelayObserver):
    """An observer that keeps all it is told."""

    def __init__(self) -> None:
        self.connections: list[Wire] = []
        self.client: dict[int, bytes] = {}
        self.server: dict[int, bytes] = {}
        self.reasons: dict[int, str] = {}

    def opened(self, connection: Wire) -> None:
        self.connections.append(connection)
        self.client[connection.number] = self.server[connection.number] = b""

    def client_data(self, connection: Wire, data: bytes) -> bytes:
        self.client[connection.number] += data
        return data

    def server_data(self, connection: Wire, data: bytes) -> bytes:
        self.server[connection.number] += data
        return data

    def closed(self, connection: Wire, reason: str) -> None:
        self.reasons[connection.number] = reason


def target_of(server: SpiceServer) -> Target:
    assert server.port
    return Target("127.0.0.1", server.port)


class Plain:
    """A server that only keeps its connections, for tests of bytes."""

    def __init__(self) -> None:
        self.port = 0
        self._arrived: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []

    async def next(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(PATIENCE):
            return await self._arrived.get()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self._arrived.put_nowait((reader, writer))

    @classmethod
    @contextlib.asynccontextmanager
    async def listening(cls) -> AsyncIterator[Plain]:
        made = cls()
        server = await asyncio.start_server(made._accept, "127.0.0.1", 0, limit=4096)
        made.port = server.sockets[0].getsockname()[1]
        try:
            yield made
        finally:
            server.close()
            for writer in made._writers:
                writer.transport.abort()
            await turns()


@contextlib.asynccontextmanager
async def open_plain(relay: Relay, **options: Any) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port, limit=4096, **options)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        await turns()


async def read_all(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(PATIENCE):
        return await reader.read()


class Peer(NamedTuple):
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def unsent(self) -> int:
        return self.writer.transport.get_write_buffer_size()


@contextlib.asynccontextmanager
async def passing(observer: RelayObserver) -> AsyncIterator[tuple[Relay, Peer, Peer]]:
    """A relay, and both ends of a connection through it."""
    async with (
        Plain.listening() as server,
        Relay(Target("127.0.0.1", server.port), observer=observer) as relay,
        open_plain(relay) as streams,
    ):
        yield relay, Peer(*streams), Peer(*await server.next())


# With our own client and server


async def test_a_whole_session() -> None:
    notes = Notes()
    async with serving() as server, Relay(target_of(server), observer=notes) as relay:
        assert relay.uri == f"spice://127.0.0.1:{relay.port}"
        assert relay.port != server.port
        async with Probe.of(relay) as probe:
            client = await server.wait_client(PATIENCE)
            server.displays[0].fill((0, 0, 300, 200), "steelblue")
            await probe.shows(server.displays[0])
            probe.inputs.send(inputs.KeyDown(0x1E))
            await client.expect(KeyDown(scancode=0x1E), timeout=PATIENCE)
        await until(lambda: len(notes.reasons) == 4)
        assert set(notes.reasons.values()) == {""}
        assert [connection.number for connection in notes.connections] == [1, 2, 3, 4]
        for connection in notes.connections:
            assert connection.client.startswith("127.0.0.1:")
            assert not connection.secure
            assert connection.client_bytes == len(notes.client[connection.number])
            assert connection.server_bytes == len(notes.server[connection.number])
        assert all(data.startswith(b"REDQ") for data in (*notes.client.values(), *notes.server.values()))


async def test_passwords_are_judged_by_the_server() -> None:
    async with serving(password="s3cret") as server, Relay(target_of(server)) as relay:
        async with Probe.of(relay, password="s3cret") as probe:
            assert probe.session_id
        with pytest.raises(PermissionDenied):
            await ProbeChannel.linked(relay, ChannelType.MAIN, password="wrong")


@unix_only
async def test_unix_sockets_on_both_sides(tmp_path: Path) -> None:
    target = Target(unix_path=str(tmp_path / "server"))
    notes = Notes()
    async with serving(port=None, unix_path=target.unix_path) as server:
        async with Relay(target, port=None, unix_path=str(tmp_path / "relay"), observer=notes) as relay:
            assert relay.uri == f"spice+unix://{tmp_path / 'relay'}"
            async with Probe.of(relay) as probe:
                await probe.shows(server.displays[0])
            assert notes.connections[0].client == "unix"
        assert not (tmp_path / "relay").exists()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ThrowawayCertificate:
    return throwaway_certificate(tmp_path_factory.mktemp("certificate"))


async def test_tls_on_both_sides(certificate: ThrowawayCertificate) -> None:
    trusting = ssl.create_default_context(cadata=certificate.ca_pem)
    answering = server_context(certificate.certificate, certificate.key)
    notes = Notes()
    async with serving(port=None, tls=Tls(answering, channels=["all"])) as server:
        target = Target("127.0.0.1", server.tls_port or 0, tls=trusting, server_name="localhost")
        async with Relay(target, tls=answering, observer=notes) as relay:
            assert relay.uri == f"spice://127.0.0.1?tls-port={relay.port}"
            relay_as_server: Any = _SecurePort(relay)
            async with Probe.of(relay_as_server, tls=trusting) as probe:
                server.displays[0].fill((0, 0, 300, 200), "red")
                await probe.shows(server.displays[0])
                assert notes.connections[0].secure
            await until(lambda: len(notes.reasons) == 4)
            assert notes.client[1].startswith(b"REDQ")


class _SecurePort:
    """A relay as the probe knows servers: with its port as the TLS port."""

    def __init__(self, relay: Relay) -> None:
        self.host, self.port, self.tls_port = relay.host, None, relay.port


async def test_a_server_that_cannot_be_trusted(certificate: ThrowawayCertificate) -> None:
    answering = server_context(certificate.certificate, certificate.key)
    notes = Notes()
    async with serving(port=None, tls=Tls(answering)) as server:
        target = Target("127.0.0.1", server.tls_port or 0, tls=ssl.create_default_context())
        async with Relay(target, observer=notes) as relay, open_plain(relay) as (reader, _):
            assert await read_all(reader) == b""
            await until(lambda: notes.reasons)
            assert "cannot reach 127.0.0.1" in notes.reasons[1]
            assert "certificate" in notes.reasons[1]


async def test_a_client_without_tls_where_it_is_wanted(certificate: ThrowawayCertificate) -> None:
    answering = server_context(certificate.certificate, certificate.key)
    notes = Notes()
    relay = Relay(Target("127.0.0.1", 1), tls=answering, observer=notes)
    async with relay, open_plain(relay) as (reader, writer):
        writer.write(b"REDQ" * 10)
        with contextlib.suppress(ConnectionError):
            await read_all(reader)
        await until(lambda: notes.reasons)
    assert notes.reasons[1].startswith("no TLS with the client: ")


async def test_a_client_that_says_nothing_to_tls_does_not_delay_the_end(certificate: ThrowawayCertificate) -> None:
    answering = server_context(certificate.certificate, certificate.key)
    notes = Notes()
    relay = Relay(Target("127.0.0.1", 1), tls=answering, observer=notes)
    await relay.start()
    async with open_plain(relay):
        await until(lambda: notes.connections)
        await relay.close()
    assert notes.reasons == {1: "the relay ends"}


# The ends of connections


async def test_a_server_that_is_not_there() -> None:
    notes = Notes()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        target = Target("127.0.0.1", taken.getsockname()[1])
        async with Relay(target, observer=notes) as relay, open_plain(relay) as (reader, _):
            assert await read_all(reader) == b""
            await until(lambda: notes.reasons)
    assert notes.reasons[1] == f"cannot reach {target}: {os.strerror(errno.ECONNREFUSED)}"


async def test_one_side_may_end_before_the_other() -> None:
    notes = Notes()
    async with passing(notes) as (_, client, server):
        client.writer.write(b"question")
        client.writer.write_eof()
        assert await read_all(server.reader) == b"question"
        server.writer.write(b"answer")
        server.writer.write_eof()
        assert await read_all(client.reader) == b"answer"
        await until(lambda: notes.reasons)
    assert notes.reasons == {1: ""}


@pytest.mark.parametrize("who", ["client", "server"])
async def test_a_side_that_ends_ends_the_other_in_time(who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if the other does not care."""
    monkeypatch.setattr(relayed, "HALF_CLOSED_TIMEOUT", 0.01)
    notes = Notes()
    async with passing(notes) as (_, client, server):
        (client if who == "client" else server).writer.write_eof()
        await until(lambda: notes.reasons)
    assert notes.reasons == {1: ""}


@pytest.mark.parametrize("who", ["client", "server"])
async def test_a_side_that_breaks_off_breaks_the_other_off(who: str) -> None:
    notes = Notes()
    async with passing(notes) as (_, client, server):
        breaking, left = (client, server) if who == "client" else (server, client)
        raw = breaking.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        breaking.writer.transport.abort()
        with pytest.raises(ConnectionResetError):
            await read_all(left.reader)
        await until(lambda: notes.reasons)
    assert notes.reasons[1].startswith(f"the {who} broke off: ")


async def test_closing_the_relay_ends_every_connection() -> None:
    notes = Notes()
    async with Plain.listening() as server:
        relay = Relay(Target("127.0.0.1", server.port), observer=notes)
        await relay.start()
        async with open_plain(relay) as (reader, _), open_plain(relay) as (other_reader, _):
            server_reader, _ = await server.next()
            await server.next()
            await relay.close()
            assert [await read_all(each) for each in (reader, other_reader, server_reader)] == [b""] * 3
            assert notes.reasons == {1: "the relay ends", 2: "the relay ends"}
            await relay.close()
            with pytest.raises(WrongState):
                _ = relay.uri
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection("127.0.0.1", relay.port)


# Bounds


@pytest.mark.parametrize("reader_is", ["client", "server"])
async def test_a_side_that_does_not_read_is_not_read_for(reader_is: str) -> None:
    """The sender is held up after what the kernel and a few pieces hold, and all arrives in the end."""
    async with passing(Notes()) as (relay, client, server):
        sending, receiving = (server, client) if reader_is == "client" else (client, server)
        (ends,) = _locals_of(relay, "ends")
        from_sender, to_receiver = ends if sending is client else reversed(ends)
        sent = 0
        async with asyncio.timeout(PATIENCE):
            # Once all three are so nothing moves any more.
            while not (sending.unsent and from_sender._reader._paused and unsent(to_receiver)):
                if not sending.unsent:
                    sending.writer.write(CHUNK)
                    sent += len(CHUNK)
                await turns(1)
        assert sent < MOST_IN_KERNEL
        assert len(from_sender._reader._buffer) <= 2 * READ_SIZE + ASYNCIO_READS
        assert unsent(to_receiver) <= 2 * READ_SIZE
        sending.writer.write_eof()
        received = 0
        async with asyncio.timeout(PATIENCE):
            while data := await receiving.reader.read(1 << 20):
                received += len(data)
        assert received == sent


def unsent(end: Any) -> int:
    return end._writer.transport.get_write_buffer_size()


def _locals_of(relay: Relay, name: str) -> list[Any]:
    """A local variable of every connection's task."""
    frames = [task.get_coro().cr_frame for task in relay._tasks]  # type: ignore[union-attr]
    return [frame.f_locals[name] for frame in frames if frame and "ends" in frame.f_locals]


async def test_the_number_of_connections_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaying, "MAX_RELAYED", 1)
    notes = Notes()
    async with passing(notes) as (relay, client, server):
        async with open_plain(relay) as (reader, _):
            assert await read_all(reader) == b""
        client.writer.close()
        server.writer.close()
        await until(lambda: notes.reasons)
        async with open_plain(relay) as (_, writer):
            writer.write(b"now there is room")
            await until(lambda: notes.client.get(2))
    assert [connection.number for connection in notes.connections] == [1, 2]


# Observers


class Changing(RelayObserver):
    """Makes everything upper case, and drops what is only an x."""

    def client_data(self, connection: Wire, data: bytes) -> bytes:
        return b"" if data == b"x" else data.upper()

    def server_data(self, connection: Wire, data: bytes) -> bytes:
        return data + b"!"


async def test_an_observer_may_change_what_passes() -> None:
    async with passing(Changing()) as (relay, client, server):
        (connection,) = _locals_of(relay, "connection")
        client.writer.write(b"x")
        await until(lambda: connection.client_bytes == 1)
        client.writer.write(b"hello")
        assert await server.reader.readexactly(5) == b"HELLO"
        server.writer.write(b"bye")
        assert await client.reader.readexactly(4) == b"bye!"


def _no_space(*_: object) -> bytes:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("method", ["client_data", "server_data", "closed"])
async def test_an_observer_that_fails_ends_the_relay(method: str) -> None:
    """Even with the errors that connections end with: a full disk is none of theirs."""
    observer = RelayObserver()
    setattr(observer, method, _no_space)
    async with passing(observer) as (relay, client, server):
        for side in (client, server):
            side.writer.write(b"something")
            side.writer.write_eof()
        with pytest.raises(OSError, match="No space left"):
            async with asyncio.timeout(PATIENCE):
                await relay.wait()


async def test_an_observer_that_fails_at_once_ends_the_relay() -> None:
    observer = RelayObserver()
    setattr(observer, "opened", _no_space)  # noqa: B010 - not to be typed as a method
    async with Relay(Target("127.0.0.1", 1), observer=observer) as relay, open_plain(relay):
        with pytest.raises(OSError, match="No space left"):
            async with asyncio.timeout(PATIENCE):
                await relay.wait()


async def test_waiting_for_a_relay_that_is_closed() -> None:
    relay = Relay(Target("127.0.0.1", 1))
    with pytest.raises(WrongState):
        await relay.wait()
    async with relay:
        waiting = asyncio.ensure_future(relay.wait())
        await turns()
        assert not waiting.done()
    await waiting


# Recording


async def record(server: SpiceServer, **options: Any) -> tuple[Recording, bytes]:
    """Record a short session; the recording, and the file."""
    file = io.BytesIO()
    recorder = Recorder(file, "the server")
    async with Relay(target_of(server), observer=recorder) as relay:
        async with Probe.of(relay, **options) as probe:
            server.displays[0].fill((0, 0, 300, 200), "steelblue")
            await probe.shows(server.displays[0])
        await until(lambda: not recorder.links)
    recorder.end()
    assert recorder.size == len(file.getvalue())
    return read_recording(io.BytesIO(file.getvalue())), file.getvalue()


@pytest.mark.parametrize("mini", [True, False])
async def test_a_recorded_session(mini: bool) -> None:
    async with serving(password="s3cret") as server:
        found, _ = await record(server, password="s3cret", mini=mini)
    assert found.complete
    assert found.about.server == "the server"
    assert len(found.connections) == 4
    kinds = set()
    for connection in found.connections:
        link = LinkObserver()
        for piece in connection.pieces:
            (link.client_data if isinstance(piece, ClientBytes) else link.server_data)(piece.data)
        assert (link.linked, link.mini_header, link.failure) == (True, mini, "")
        assert link.client_start is not None
        assert not any(connection.client[link.client_start - 128 : link.client_start])
        assert connection.closed is not None
        assert connection.closed.reason == ""
        times = [connection.opened.time, *(piece.time for piece in connection.pieces), connection.closed.time]
        assert times == sorted(times)
        kinds.add(link.channel_type)
    assert kinds == {ChannelType.MAIN, ChannelType.DISPLAY, ChannelType.INPUTS, ChannelType.CURSOR}


async def test_no_ticket_reaches_the_file() -> None:
    notes = Notes()

    class Both(Recorder):
        def client_data(self, connection: Wire, data: bytes) -> bytes:
            notes.client[connection.number] = notes.client.get(connection.number, b"") + data
            return super().client_data(connection, data)

    file = io.BytesIO()
    async with serving(password="s3cret") as server:
        recorder = Both(file, "the server")
        async with Relay(target_of(server), observer=recorder) as relay, Probe.of(relay, password="s3cret"):
            pass
        recorder.end()
    kept = read_recording(io.BytesIO(file.getvalue())).connections
    for number, sent in notes.client.items():
        size = 16 + struct.unpack_from("<I", sent, 12)[0] + 4
        assert kept[number - 1].client[:size] == sent[:size]
        assert any(sent[size : size + 128])
        assert kept[number - 1].client[size : size + 128] == bytes(128)
        assert kept[number - 1].client[size + 128 :] == sent[size + 128 :]


# Options


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("127.0.0.1:5900", Target("127.0.0.1", 5900)),
        ("server.example:1", Target("server.example", 1)),
        ("[::1]:65535", Target("::1", 65535)),
        ("spice://localhost:5930", Target("localhost", 5930)),
        ("spice://[fe80::1%eth0]:5930/", Target("fe80::1%eth0", 5930)),
        ("spice+unix:///run/spice", Target(unix_path="/run/spice")),
    ],
)
def test_addresses(text: str, target: Target) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    "text",
    [
        *("", "5900", ":5900", "host", "host:", "host:port", "::1:5900", "host:65536", "http://host:80"),
        *("spice://host?tls-port=5901", "host:1:2", "user@host:1", "spice+unix://", "spice+unix://path"),
    ],
)
def test_no_addresses(text: str) -> None:
    with pytest.raises(InvalidValue):
        parse_target(text)


@pytest.mark.parametrize("name", ["x" * 64, "a..b", ".x", "\udcff", "\0", "ü" * 60])
def test_no_names_of_hosts(name: str) -> None:
    """No look-up would take them: a relay would notice at its first client, and end."""
    for make in (
        lambda: Target(name, 1),
        lambda: Target("there", 1, server_name=name),
        lambda: parse_target(f"{name}:1"),
    ):
        with pytest.raises(InvalidValue, match="is no host's name"):
            make()


def test_no_port() -> None:
    with pytest.raises(InvalidValue, match="port 65536"):
        Target("there", 65536)


def test_an_address_is_shown_as_it_is_written() -> None:
    for text in ("127.0.0.1:5900", "[::1]:1"):
        assert str(parse_target(text)) == text
    assert str(Target(unix_path="/run/spice")) == "/run/spice"


async def test_what_a_relay_cannot_be_asked() -> None:
    with pytest.raises(InvalidValue, match="nothing to listen on"):
        Relay(Target("127.0.0.1", 1), port=None)
    async with Relay(Target("127.0.0.1", 1)) as relay:
        with pytest.raises(WrongState, match="started already"):
            await relay.start()
        with pytest.raises(AddressUnavailable):
            await Relay(Target("127.0.0.1", 1), port=relay.port).start()
