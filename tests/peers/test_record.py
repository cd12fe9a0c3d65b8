"""Recordings of real clients and servers: the relay changes nothing, and what it wrote down reads to its last byte."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable

import pytest

from spiceemu import SpiceServer
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.framing import MAX_CLIENT_BODY, MAX_SERVER_BODY, FrameReader
from spiceemu.protocol.link.observer import LinkObserver
from spiceemu.protocol.link.ticket import TICKET_SIZE
from spiceemu.protocol.messages.catalogue import CLIENT, SERVER, lookup
from spiceemu.recordings.recorder import Recorder
from spiceemu.recordings.recording import ClientBytes, RecordedConnection, Recording, read_recording
from spiceemu.recordings.relay import Relay, Target
from spiceemu.serving.tls import server_context

from .certificates import Certificates
from .clients import GtkClient, spicy_screenshot
from .conftest import PASSWORD
from .emulator import check_pixels, draw_everything
from .qemu import Qemu, running_qemu
from .waiting import eventually

StartClient = Callable[..., Awaitable[GtkClient]]

SHOT = frozenset({ChannelType.MAIN, ChannelType.DISPLAY})
"""What spicy-screenshot opens."""

SHOWN = SHOT | {ChannelType.INPUTS, ChannelType.CURSOR}
HELLO = (0x23, 0x12, 0x26, 0x26, 0x18)


class Recorded:
    """A relay that records."""

    def __init__(self, port: int | None, **options: object) -> None:
        self._file = io.BytesIO()
        self.recorder = Recorder(self._file, f"127.0.0.1:{port}")
        self.relay = Relay(Target("127.0.0.1", port or 0), observer=self.recorder, **options)  # type: ignore[arg-type]

    async def end(self) -> Recording:
        """The recording, once the connections have ended by themselves."""

        async def look() -> bool:
            return not self.recorder.links

        await eventually(look, lambda: f"an end of the connections {list(self.recorder.links)}")
        self.recorder.end()
        return read_recording(io.BytesIO(self._file.getvalue()))


def read_to_the_last_byte(connection: RecordedConnection) -> tuple[LinkObserver, list[str]]:
    """A connection's link, and the names of its messages."""
    link = LinkObserver()
    for piece in connection.pieces:
        (link.client_data if isinstance(piece, ClientBytes) else link.server_data)(piece.data)
    assert (link.failure, link.error) == ("", 0)
    names: list[str] = []
    if not link.linked:
        return link, names
    assert link.client_start is not None
    assert link.server_start is not None
    assert not any(connection.client[link.client_start - TICKET_SIZE : link.client_start])
    channel = ChannelType(link.channel_type or 0)
    for direction, data, limit in (
        (CLIENT, connection.client[link.client_start :], MAX_CLIENT_BODY),
        (SERVER, connection.server[link.server_start :], MAX_SERVER_BODY),
    ):
        reader = FrameReader(mini=link.mini_header, max_body=limit)
        for number, body, _ in reader.receive_data(data):
            names.append(type(lookup(channel, direction, number).parse(body)).__name__)
        # A client that breaks off is not there for the rest of what the server was sending.
        assert reader.buffered == 0 or (direction == SERVER and connection.closed and connection.closed.reason)
    return link, names


def check_recording(found: Recording, channels: frozenset[ChannelType] = SHOT) -> set[str]:
    """Read every connection, which must all be linked, to these channels; the names of all messages."""
    assert found.complete
    names: set[str] = set()
    linked = set()
    for connection in found.connections:
        link, more = read_to_the_last_byte(connection)
        assert link.linked
        linked.add(ChannelType(link.channel_type or 0))
        names.update(more)
    assert linked == channels
    return names


@pytest.mark.parametrize("password", [None, PASSWORD])
async def test_a_real_client_with_our_server(password: str | None) -> None:
    async with SpiceServer(displays=[(640, 480)], password=password, sound=False) as server:
        (display,) = server.displays
        draw_everything(display)
        recorded = Recorded(server.port)
        async with recorded.relay as relay:
            screenshot = await spicy_screenshot(port=relay.port, password=password)
            check_pixels(screenshot.picture, display, "through the relay")
            names = check_recording(await recorded.end())
    assert {"Init", "ChannelsList", "SurfaceCreate", "DrawCopy", "Mark"} <= names


async def test_a_real_client_over_tls_on_both_sides(certificates: Certificates, secured_qemu: Qemu) -> None:
    """The client's TLS ends at the relay, which has one of its own with the server."""
    import ssl

    folder = certificates.folder
    answering = server_context(folder / "server-cert.pem", folder / "server-key.pem")
    trusting = ssl.create_default_context(cafile=certificates.authority)
    trusting.check_hostname = False
    recorded = Recorded(secured_qemu.tls_port, tls=answering)
    recorded.relay.target = Target("127.0.0.1", secured_qemu.tls_port or 0, tls=trusting)
    async with recorded.relay as relay:
        screenshot = await spicy_screenshot(tls_port=relay.port, password=PASSWORD, ca_file=certificates.authority)
        assert screenshot.picture == secured_qemu.picture()
        found = await recorded.end()
    assert all(connection.opened.secure for connection in found.connections)
    check_recording(found)


async def test_a_real_client_with_a_real_server(qemu: Qemu, gtk_client: StartClient) -> None:
    recorded = Recorded(qemu.port)
    async with recorded.relay as relay:
        client = await gtk_client(port=relay.port)
        await client.ready()
        await client.shows(qemu.picture())
        await client.type(*HELLO)
        await qemu.has_typed(b"hello")
        await client.command("disconnect")
        await client.event("disconnected")
        names = check_recording(await recorded.end(), SHOWN)
    assert {"Init", "ChannelsList", "SurfaceCreate", "DrawCopy", "Mark", "KeyDown", "KeyUp"} <= names


@pytest.mark.parametrize("password", ["wrong", PASSWORD])
async def test_passwords_with_a_real_server(secured_qemu: Qemu, password: str) -> None:
    recorded = Recorded(secured_qemu.port)
    async with recorded.relay as relay:
        screenshot = await spicy_screenshot(port=relay.port, password=password)
        found = await recorded.end()
    if password == PASSWORD:
        assert screenshot.picture == secured_qemu.picture()
        check_recording(found)
        return
    assert screenshot.picture is None
    (connection,) = found.connections
    link, _ = read_to_the_last_byte(connection)
    assert (link.result, link.linked) == (7, False)
    assert not any(connection.client[-TICKET_SIZE:])


async def test_a_server_that_needs_tls(certificates: Certificates) -> None:
    with running_qemu(certificates=certificates.folder, options=",tls-channel=main") as server:
        recorded = Recorded(server.port)
        async with recorded.relay as relay:
            assert (await spicy_screenshot(port=relay.port)).picture is None
            found = await recorded.end()
    link = LinkObserver()
    for piece in found.connections[0].pieces:
        (link.client_data if isinstance(piece, ClientBytes) else link.server_data)(piece.data)
    assert (link.error, link.linked, link.client_start) == (5, False, None)
