"""One connection: its link's deadline, TLS, and how it ends, whatever the client does or does not do."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from spiceemu import Limits, ServerFailed, Tls
from spiceemu.channels import display as display_module
from spiceemu.channels.channel import Channel
from spiceemu.errors import NeedSecured, NeedUnsecured
from spiceemu.events import ChannelClosed, Disconnected, KeyDown, Violation
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.link import server as link
from spiceemu.protocol.link.client import ClientLink
from spiceemu.protocol.messages import base, display, inputs, main
from spiceemu.server import SpiceServer
from spiceemu.serving import connection as connection_module, core as core_module, listeners, roster
from spiceemu.serving.tls import ThrowawayCertificate, server_context, throwaway_certificate
from spiceemu.serving.writes import JOIN_BELOW, SLICE, writes

from ..server.probe import PATIENCE, Probe, ProbeChannel, open_socket, serving, turns, until

MAIN, DISPLAY, INPUTS = ChannelType.MAIN, ChannelType.DISPLAY, ChannelType.INPUTS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ThrowawayCertificate:
    return throwaway_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def server_tls(certificate: ThrowawayCertificate) -> ssl.SSLContext:
    return server_context(certificate.certificate, certificate.key)


@pytest.fixture
def client_tls(certificate: ThrowawayCertificate) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate.ca)


@pytest.fixture
def short_link(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline for links that tests can wait for."""
    made = link.ServerLink.__init__
    monkeypatch.setattr(
        link.ServerLink, "__init__", lambda self, policy, **options: made(self, policy, **options, timeout=0.05)
    )


@asynccontextmanager
async def stranger(server: SpiceServer, *, tls: bool = False) -> AsyncIterator[socket.socket]:
    """A connection that speaks bytes."""
    made = await open_socket(server, tls=tls)
    try:
        yield made
    finally:
        made.close()


async def read_to_end(made: socket.socket) -> bytes:
    """All that the server sends until it closes the connection; b"" too if it resets it."""
    data = b""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                more = await asyncio.get_running_loop().sock_recv(made, 1 << 16)
            except ConnectionResetError:
                return data
            if not more:
                return data
            data += more


async def gone(server: SpiceServer) -> None:
    """Wait until the server has forgotten every connection."""
    await until(lambda: not server._core._open)
    assert not server._core._unlinked
    assert not server.clients


# Links that stall or are no links


@pytest.mark.parametrize("sent", [0, 4, 16, 20, -1])
async def test_a_link_that_stalls_is_dropped(short_link: None, sent: int) -> None:
    whole = ClientLink(MAIN).data_to_send()
    async with serving() as server, stranger(server) as made:
        await asyncio.get_running_loop().sock_sendall(made, whole[:sent])
        answer = await read_to_end(made)
        assert answer == b""
        await gone(server)


async def test_a_ticket_that_never_comes_is_dropped() -> None:
    async with serving() as server, stranger(server) as made:
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(made, ClientLink(MAIN).data_to_send())
        assert (await loop.sock_recv(made, 1 << 16))[:4] == b"REDQ"
        (connection,) = server._core._open
        assert connection._link is not None
        connection._link.deadline = loop.time() - 1
        connection._check_link()
        assert await read_to_end(made) == b""
        await gone(server)


async def test_a_link_in_single_bytes_is_a_link() -> None:
    async with serving(displays=[(8, 8)]) as server, stranger(server) as made:
        loop = asyncio.get_running_loop()
        client = ClientLink(MAIN)
        async with asyncio.timeout(PATIENCE):
            while not client.linked:
                for byte in client.data_to_send():
                    await loop.sock_sendall(made, bytes([byte]))
                client.receive_data(await loop.sock_recv(made, 1000))
        assert (await server.wait_client(ready=False)).connected


async def test_messages_may_follow_the_ticket_in_one_piece() -> None:
    async with serving() as server, stranger(server) as made:
        loop = asyncio.get_running_loop()
        client = ClientLink(MAIN)
        await loop.sock_sendall(made, client.data_to_send())
        client.receive_data(await loop.sock_recv(made, 1000))
        both = [struct.pack("<HI", kind.spec.ids["client"], 0) for kind in (main.AttachChannels, base.MigrateFlushMark)]
        await loop.sock_sendall(made, client.data_to_send() + b"".join(both))
        await read_to_end(made)
        events = (await server.wait_client(ready=False)).events
        assert [type(event) for event in events][-3:] == [Violation, ChannelClosed, Disconnected]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 2),
        (b"REDQ" + struct.pack("<3I", 3, 0, 18), 4),
        (b"REDQ" + struct.pack("<3I", 2, 2, 0xFFFFFFFF), 3),
        (b"REDQ" + struct.pack("<3I", 2, 2, 18) + struct.pack("<IBBIII", 0, 1, 0, 0xFFFFFFFF, 0, 18), 3),
    ],
)
async def test_a_refusal_is_sent_and_the_connection_closed(data: bytes, code: int) -> None:
    async with serving() as server, stranger(server) as made:
        await asyncio.get_running_loop().sock_sendall(made, data)
        answer = await read_to_end(made)
        assert answer[16:20] == struct.pack("<I", code)
        await gone(server)


@pytest.mark.parametrize("sent", [0, 10, 40])
async def test_a_client_that_leaves_during_its_link(sent: int) -> None:
    async with serving() as server:
        async with stranger(server) as made:
            await asyncio.get_running_loop().sock_sendall(made, ClientLink(MAIN).data_to_send()[:sent])
        await turns()
        await gone(server)


async def test_a_client_that_closes_its_half_is_closed() -> None:
    async with serving() as server, stranger(server) as made:
        made.shutdown(socket.SHUT_WR)
        assert await read_to_end(made) == b""
        await gone(server)


async def test_only_so_many_links_may_be_unfinished() -> None:
    async with serving(limits=Limits(unlinked=3)) as server:
        made = [await open_socket(server) for _ in range(3)]
        try:
            await until(lambda: len(server._core._unlinked) == 3)
            async with stranger(server) as refused:
                assert await read_to_end(refused) == b""
            assert len(server._core._unlinked) == 3
            made.pop().close()
            await until(lambda: len(server._core._unlinked) == 2)
            async with Probe.of(server, channels=[]):
                await server.wait_client(ready=False)
        finally:
            for each in made:
                each.close()


async def test_no_more_connections_than_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listeners, "most_connections", lambda: 4)
    async with serving() as server, Probe.of(server) as probe:
        await server.wait_client()
        async with stranger(server) as refused:
            assert await read_to_end(refused) == b""
        probe.inputs.send(inputs.KeyDown(0x1E))
        await server.clients[0].expect(KeyDown)


def test_a_process_may_have_fewer_connections_than_files() -> None:
    program = "from spiceemu.serving import listeners as l; print(l.most_connections())"
    told = subprocess.run(
        ["sh", "-c", f"ulimit -n 100 && {sys.executable} -c '{program}'"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == "36\n"


async def test_a_server_takes_a_client_however_few_files_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (10, 10))
    async with serving() as server, Probe.of(server):
        await server.wait_client()


async def test_a_client_sees_whole_messages_to_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a picture that is on its way, nothing is left out when the server closes."""
    monkeypatch.setattr(connection_module, "FAREWELL_TIMEOUT", PATIENCE)
    monkeypatch.setattr(core_module, "FAREWELL_TIMEOUT", PATIENCE)
    async with (
        serving(displays=[(2000, 1500)], compression="off") as server,
        Probe.of(server, receive_buffer=4096) as probe,
    ):
        client = await server.wait_client()
        await client.synced()
        probe.display.pause()
        shown = server.displays[0]
        shown.blit((0, 0), 2000, 1500, b"\x11\x22\x33\x00" * 3_000_000)
        await until(lambda: client._member.session.channel(ChannelType.DISPLAY).unsent == 0)
        await turns()
        closing = asyncio.create_task(server.close())
        await turns()
        probe.display.resume()
        await probe.display.wait_end()
        assert probe.display.painter.primary.pixels == shown.screenshot().pixels
        for channel in probe.channels.values():
            await channel.close()
        await closing


# TLS


async def test_a_whole_session_over_tls(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with serving(port=None, tls=Tls(server_tls), displays=[(300, 200)]) as server:
        assert server.uri == f"spice://127.0.0.1?tls-port={server.tls_port}"
        shown = server.displays[0]
        async with Probe.of(server, tls=client_tls) as probe:
            client = await server.wait_client()
            for number in range(50):
                shown.fill((number, number, 100, 100), number * 5000)
                shown.text((number, 0), "over TLS", color="white")
            await client.synced()
            assert probe.display.painter.primary.pixels == shown.screenshot().pixels
            # Nobody asks the server to go on: what is drawn must come without a byte from the client.
            probe.display.conversation.answering = False
            shown.resize(100, 100)
            await probe.shows(shown)
        await gone(server)


async def test_plain_and_tls_side_by_side(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with serving(tls=Tls(server_tls, channels=["main", "inputs"]), shared=True) as server:
        assert server.uri == f"spice://127.0.0.1:{server.port}?tls-port={server.tls_port}"
        with pytest.raises(NeedSecured):
            await ProbeChannel.linked(server, MAIN)
        async with Probe.of(server, channels=[], tls=client_tls) as probe:
            with pytest.raises(NeedSecured):
                await probe.link(INPUTS, tls=None)
            await probe.link(INPUTS)
            await probe.link(DISPLAY, tls=None)
            await probe.link(ChannelType.CURSOR)
            probe.display.send(display.Init(1, 0, 1, 0))
            client = await server.wait_client()
            await client.synced()


async def test_plain_only(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with serving(tls=Tls(server_tls), plain_channels=["all"]) as server:
        with pytest.raises(NeedUnsecured):
            await ProbeChannel.linked(server, MAIN, tls=client_tls)
        async with Probe.of(server):
            await server.wait_client()


async def test_inputs_over_tls_need_no_note(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext) -> None:
    async with serving(port=None, tls=Tls(server_tls)) as server, Probe.of(server, tls=client_tls) as probe:
        client = await server.wait_client()
        client.notify("first")
        assert (await probe.main.take(base.Notify)).message == b"first"


async def test_messages_that_come_with_the_end_of_the_handshake(
    server_tls: ssl.SSLContext, client_tls: ssl.SSLContext
) -> None:
    async with serving(port=None, tls=Tls(server_tls)) as server, stranger(server, tls=True) as made:
        loop = asyncio.get_running_loop()
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_tls.wrap_bio(incoming, outgoing, server_hostname="localhost")
        client = ClientLink(MAIN)
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                await loop.sock_sendall(made, outgoing.read())
                incoming.write(await loop.sock_recv(made, 1 << 16))
        tls.write(client.data_to_send())  # in the very packet that ends the handshake
        await loop.sock_sendall(made, outgoing.read())
        async with asyncio.timeout(PATIENCE):
            while not client.public_der:
                incoming.write(await loop.sock_recv(made, 1 << 16))
                try:
                    client.receive_data(tls.read(1 << 16))
                except ssl.SSLWantReadError:
                    continue
        assert client.server_version == (2, 2)


@pytest.mark.parametrize("data", [b"", b"REDQ", b"\x16\x03\x01\x00\xff", b"GET / HTTP/1.0\r\n\r\n"])
@pytest.mark.parametrize("leave", [True, False])
async def test_what_is_no_handshake_leaves_nothing_behind(
    server_tls: ssl.SSLContext, data: bytes, leave: bool, short_link: None
) -> None:
    async with serving(port=None, tls=Tls(server_tls)) as server:
        async with stranger(server, tls=True) as made:
            await asyncio.get_running_loop().sock_sendall(made, data)
            if leave:
                await turns()
                made.close()
            else:
                await read_to_end(made)
        await gone(server)


async def test_handshakes_count_as_unfinished_links(server_tls: ssl.SSLContext) -> None:
    options = {"port": None, "tls": Tls(server_tls), "limits": Limits(unlinked=1)}
    async with serving(**options) as server, stranger(server, tls=True):
        await until(lambda: server._core._unlinked)
        async with stranger(server, tls=True) as refused:
            assert await read_to_end(refused) == b""


@pytest.mark.parametrize("data", [b"", b"\x16\x03\x01\x00\xff"])
async def test_closing_ends_handshakes_too(server_tls: ssl.SSLContext, data: bytes) -> None:
    async with serving(port=None, tls=Tls(server_tls)) as server, stranger(server, tls=True) as made:
        await asyncio.get_running_loop().sock_sendall(made, data)
        await until(lambda: server._core._open)
        await turns()
        await server.close()
        assert not server._core._open
        await read_to_end(made)


@pytest.mark.parametrize("end", [b"", b"\x15\x03\x03\x00\x02\x01\x00"])
async def test_a_tls_client_that_vanishes(server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, end: bytes) -> None:
    async with serving(port=None, tls=Tls(server_tls)) as server:
        async with Probe.of(server, tls=client_tls) as probe:
            client = await server.wait_client()
            await probe.close(abort=True)
            await client.wait_disconnected()
        await gone(server)


# The end


@pytest.mark.parametrize("turn", range(6))
async def test_a_connection_that_comes_as_the_server_closes(turn: int) -> None:
    async with serving() as server, stranger(server) as made:
        await turns(turn)
        await server.close()
        assert await read_to_end(made) == b""
        await turns()
        assert not server._core._open


@pytest.mark.parametrize("tls", [True, False])
async def test_a_client_that_does_not_read_its_end_is_dropped(
    tls: bool, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "CLOSE_TIMEOUT", 0.05)
    options = {"tls": Tls(server_tls)} if tls else {}
    async with serving(displays=[(1000, 1000)], compression="off", **options) as server:
        probe = Probe(server, receive_buffer=4096, tls=client_tls if tls else None)
        await probe.connect()
        try:
            client = await server.wait_client()
            probe.display.pause()
            server.displays[0].fill((0, 0, 1000, 1000), "red")
            for _ in range(10):
                server.displays[0].blit((0, 0), 1000, 1000, bytes(4_000_000))
                await asyncio.sleep(0)
            client.disconnect()
            assert server.clients == []
            await gone(server)
        finally:
            await probe.close(abort=True)


@pytest.mark.parametrize("tls", [True, False])
async def test_closing_does_not_wait_long_for_a_client_that_does_not_read(
    tls: bool, server_tls: ssl.SSLContext, client_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "CLOSE_TIMEOUT", 0.05)
    options = {"tls": Tls(server_tls)} if tls else {}
    async with serving(displays=[(1000, 1000)], compression="off", **options) as server:
        probe = Probe(server, receive_buffer=4096, tls=client_tls if tls else None)
        await probe.connect()
        try:
            client = await server.wait_client()
            probe.display.pause()
            for _ in range(10):
                server.displays[0].blit((0, 0), 1000, 1000, bytes(4_000_000))
                await asyncio.sleep(0)
            async with asyncio.timeout(PATIENCE):
                await server.close()
            assert not client.connected
            assert not server._core._open
        finally:
            await probe.close(abort=True)


async def test_a_client_that_stops_reading_and_closes_its_half_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "CLOSE_TIMEOUT", 0.05)
    async with serving(displays=[(1000, 1000)], compression="off") as server:
        probe = Probe(server, receive_buffer=4096)
        await probe.connect()
        try:
            client = await server.wait_client()
            probe.display.pause()
            for _ in range(10):
                server.displays[0].blit((0, 0), 1000, 1000, bytes(4_000_000))
                await asyncio.sleep(0)
            probe.display._writer.write_eof()
            await client.expect(ChannelClosed(DISPLAY))
            assert client.connected
        finally:
            await probe.close(abort=True)


async def test_a_client_that_is_sent_away_may_finish_its_sentence() -> None:
    async with serving() as server, stranger(server) as made:
        loop = asyncio.get_running_loop()
        client = ClientLink(MAIN)
        async with asyncio.timeout(PATIENCE):
            while not client.linked:
                await loop.sock_sendall(made, client.data_to_send())
                client.receive_data(await loop.sock_recv(made, 1 << 16))
            (await server.wait_client(ready=False)).disconnect()
            assert server.clients == []
            pong = struct.pack("<HIIQ", base.Pong.spec.ids["client"], 12, 1, 0)
            for _ in range(100):
                await loop.sock_sendall(made, pong)
                await turns(1)
            while await loop.sock_recv(made, 1 << 16):  # raises if the connection is broken instead of ended
                pass
        assert server._core._open
        made.close()
        await gone(server)


async def test_what_was_written_still_goes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as server, Probe.of(server) as probe:
        client = await server.wait_client()
        await client.synced()
        client.notify("goodbye")
        await turns(2)
        client.disconnect()
        await probe.wait_end()
        assert (await probe.main.take(base.Notify, 2)).message == b"goodbye"


async def test_a_cancelled_close_can_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "CLOSE_TIMEOUT", 0.2)
    async with serving(displays=[(1000, 1000)], compression="off") as server:
        probe = Probe(server, receive_buffer=4096)
        await probe.connect()
        try:
            await server.wait_client()
            probe.display.pause()
            for _ in range(10):
                server.displays[0].blit((0, 0), 1000, 1000, bytes(4_000_000))
                await asyncio.sleep(0)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await server.close()
            async with asyncio.timeout(PATIENCE):
                await server.close()
            assert not server._core._open
        finally:
            await probe.close(abort=True)


async def test_a_display_without_init_is_closed_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core_module, "TICK", 0.01)
    monkeypatch.setattr(display_module, "INIT_TIMEOUT", 0.02)
    async with serving() as server, Probe.of(server, channels=[]) as probe:
        channel = await probe.link(DISPLAY)
        await channel.wait_end()
        client = await server.wait_client(ready=False)
        event = await client.expect(Violation(DISPLAY, 0))
        assert "INIT_TIMEOUT" in event.text
        assert client.connected


async def test_an_error_of_our_own_ends_the_connection_alone(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving() as server:
        async with Probe.of(server) as probe:
            client = await server.wait_client()

            whole = client._member.session.receive

            def broken(channel: Channel, data: bytes, now: float) -> None:
                if channel.type is INPUTS:
                    raise ZeroDivisionError
                whole(channel, data, now)

            monkeypatch.setattr(client._member.session, "receive", broken)
            probe.inputs.send_bytes(bytes(6))
            failed = await client.expect(ServerFailed(INPUTS, 0))
            assert isinstance(failed.error, ZeroDivisionError)
            await client.expect(ChannelClosed(INPUTS))
            assert client.connected
        (logged,) = [record for record in caplog.records if record.exc_info and record.exc_info[1] is failed.error]
        assert "failure of the server, not of the client: ZeroDivisionError" in logged.message
        monkeypatch.undo()
        async with Probe.of(server):
            await server.wait_client()


# Nothing stays behind


async def test_many_that_come_and_go_leave_nothing() -> None:
    async with serving(displays=[(16, 16)], debug=False, shared=True) as server:

        async def visit(number: int) -> None:
            async with Probe.of(server) as probe:
                await probe.display.take(display.Mark)
                if number % 3 == 0:
                    await probe.close(abort=True)

        async def objects() -> int:
            await gone(server)
            gc.collect()
            return len(gc.get_objects())

        for number in range(20):
            await visit(number)
        server._core.roster._arrivals.clear()
        before, tasks = await objects(), len(asyncio.all_tasks())
        for start in range(0, 180, 10):
            await asyncio.gather(*(visit(start + number) for number in range(10)))
        assert len(server._core.roster._arrivals) <= roster.MAX_ARRIVALS
        server._core.roster._arrivals.clear()
        assert server.clients == []
        assert await objects() - before < 1000
        assert len(asyncio.all_tasks()) == tasks
        assert not server.displays[0]._observers
        assert not server.guest._observers


# How it is written


def test_small_buffers_are_joined_and_large_ones_cut() -> None:
    small, large = [b"a" * 10, b"b" * JOIN_BELOW, b"c"], b"d" * (2 * SLICE + 5)
    made = writes([*small, large, b"e", b"f"], join=True)
    assert [len(each) for each in made] == [JOIN_BELOW + 11, SLICE, SLICE, 5, 2]
    assert b"".join(made) == b"".join(small) + large + b"ef"
    assert isinstance(made[1], memoryview)
    assert made[1].obj is large


def test_over_tls_nothing_is_joined() -> None:
    buffers = [b"a", b"b", b"c" * (SLICE + 1)]
    assert [len(each) for each in writes(buffers, join=False)] == [1, 1, SLICE, 1]
    assert writes([], join=False) == writes([], join=True) == []


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Let what was forgotten warn in the test that forgot it."""
    yield
    gc.collect()
