"""The server as a test uses it: starting, stopping, addresses, passwords, clients that come and go."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spiceemu import Limits, Tls
from spiceemu.errors import (
    AddressUnavailable,
    BadConnectionId,
    ChannelNotAvailable,
    ExpectationFailed,
    InvalidValue,
    PermissionDenied,
    WrongState,
)
from spiceemu.events import (
    ChannelClosed,
    ChannelOpened,
    ChannelsAttached,
    Disconnected,
    DisplayReady,
    KeyDown,
    KeyUp,
    Latency,
    Violation,
)
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.link.client import ClientLink
from spiceemu.protocol.messages import base, display, inputs, main
from spiceemu.server import SpiceServer
from spiceemu.serving import listeners

from .probe import PATIENCE, Probe, ProbeChannel, serving, until

MAIN, DISPLAY, INPUTS, CURSOR = ChannelType.MAIN, ChannelType.DISPLAY, ChannelType.INPUTS, ChannelType.CURSOR


def files(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


# A whole session


@pytest.mark.parametrize("mini", [True, False])
@pytest.mark.parametrize("compression", ["auto", "lz", "off"])
async def test_a_client_shows_what_the_guest_draws(mini: bool, compression: str) -> None:
    async with serving(compression=compression, displays=[(320, 200)]) as server:
        shown = server.displays[0]
        shown.fill((10, 10, 100, 100), "steelblue")
        async with Probe.of(server, mini=mini) as probe:
            client = await server.wait_client()
            shown.text((0, 0), "spiceemu", color="white", scale=2)
            shown.copy((0, 0, 100, 30), (50, 60))
            offscreen = shown.create_surface(30, 30)
            shown.fill((0, 0, 30, 30), "red", surface=offscreen)
            shown.copy_surface(offscreen, (0, 0, 30, 30), (200, 100))
            shown.destroy_surface(offscreen)
            shown.resize(200, 300)
            await client.synced()
            assert probe.display.painter.primary.pixels == shown.screenshot().pixels
            assert probe.display.painter.marked


async def test_every_display_is_shown_by_its_own_channel() -> None:
    async with serving(displays=[(64, 48), (32, 32), (20, 20)]) as server:
        for number, color in enumerate(["red", "green", "blue"]):
            server.displays[number].fill((0, 0, 64, 48), color)
        async with Probe.of(server) as probe:
            client = await server.wait_client()
            for number in (2, 1, 0):
                await client.expect(DisplayReady(number))
            await client.synced()
            for shown in server.displays:
                await probe.shows(shown)


async def test_events_come_in_the_order_of_what_happened() -> None:
    async with serving() as server:
        async with Probe.of(server) as probe:
            client = await server.wait_client()
            await client.expect(ChannelOpened(CURSOR, 0))
            probe.inputs.send(inputs.KeyDown(0x1E), inputs.KeyUp(0x9E))
            await client.expect(KeyUp(0x1E))
        await client.wait_disconnected()
        events = [event for event in client.events if not isinstance(event, Latency | ChannelClosed)]
        main_events = [ChannelOpened(MAIN), ChannelsAttached()]
        assert events[:2] == main_events
        assert [event for event in events if isinstance(event, ChannelOpened)] == [
            *(ChannelOpened(MAIN), ChannelOpened(DISPLAY), ChannelOpened(CURSOR), ChannelOpened(INPUTS))
        ]
        assert events.index(KeyDown(0x1E)) + 1 == events.index(KeyUp(0x1E))
        assert events[-1] == Disconnected()
        assert client.events[-1] == Disconnected()
        assert not client.connected


async def test_the_first_event_of_inputs_is_a_note_without_tls() -> None:
    async with serving() as server, Probe.of(server) as probe:
        note = await probe.main.take(base.Notify)
        assert note.message == b"keyboard channel is insecure"


# Starting and stopping


async def test_ports_are_known_once_it_listens() -> None:
    server = SpiceServer()
    assert not server.listening
    with pytest.raises(WrongState, match="before it is started"):
        _ = server.uri
    await server.start()
    try:
        assert server.listening
        assert server.port
        assert server.uri == f"spice://127.0.0.1:{server.port}"
    finally:
        await server.close()
    assert not server.listening


async def test_starting_twice_is_refused() -> None:
    async with serving() as server:
        with pytest.raises(WrongState, match="started already"):
            await server.start()


async def test_closing_twice_and_unstarted_is_no_harm() -> None:
    server = SpiceServer()
    await server.close()
    await server.start()
    await asyncio.gather(server.close(), server.close())
    await server.close()


async def test_it_can_be_started_again_on_the_same_port() -> None:
    async with serving() as server:
        port = server.port
        async with Probe.of(server):
            await server.wait_client()
        await server.close()
        await server.start()
        assert server.port == port
        async with Probe.of(server):
            assert (await server.wait_client()).connected


async def test_closing_frees_the_port_and_says_goodbye_to_clients() -> None:
    async with serving() as server:
        async with Probe.of(server) as probe:
            client = await server.wait_client()
            await server.close()
            await probe.wait_end()
        assert not client.connected
        assert server.clients == []
        event = client.events[-1]
        assert isinstance(event, Disconnected)
        assert event.reason == "the server closes"
        with socket.socket() as again:
            again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            again.bind((server.host, server.port))
            again.listen()


async def test_a_client_that_still_talks_when_the_server_closes_is_not_reset() -> None:
    async with serving() as server:
        with socket.create_connection((server.host, server.port)) as client:
            client.settimeout(PATIENCE)
            client.send(ClientLink(MAIN).data_to_send())
            assert await asyncio.to_thread(client.recv, 1024)
            closing = asyncio.create_task(server.close())
            while await asyncio.to_thread(client.recv, 1024):
                pass
            for _ in range(3):
                client.send(b"and then")  # raises if the server's socket is gone
            assert not closing.done()
        await closing


async def test_the_address_of_a_unix_socket_that_was_given(tmp_path: Path) -> None:
    async with SpiceServer(sockets=[listeners.listen_unix(str(tmp_path / "guest"))]) as server:
        assert (server.port, server.uri) == (None, f"spice+unix://{tmp_path}/guest")


async def test_who_waits_in_vain_hears_why_the_last_was_refused() -> None:
    async with serving(password="right") as server:
        with pytest.raises(PermissionDenied):
            await ProbeChannel.linked(server, MAIN, password="wrong")
        reason = r"within 0\.05 s; the last that tried: link: the ticket does not hold"
        with pytest.raises(ExpectationFailed, match=reason):
            await server.wait_client(0.05)


async def test_a_screenshot_is_shown_without_its_pixels() -> None:
    assert repr(SpiceServer().displays[0].screenshot()) == "<Screenshot 1024x768 BGRX>"


async def test_it_starts_once() -> None:
    server = SpiceServer()
    starting = asyncio.gather(server.start(), server.start(), return_exceptions=True)
    assert [type(each) for each in await starting] == [type(None), WrongState]
    await server.close()
    assert not server.listening


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"title": "\ud800"}, "a title is text that UTF-8 can hold"),
        ({"title": 5}, "a title is text that UTF-8 can hold"),
        ({"title": "x" * 70_000}, r"the title takes 70000 bytes, the limit is 65536 \(MAX_NAME\)"),
        ({"title": 10**5000}, "a title is text that UTF-8 can hold, not that int"),  # repr() itself refuses it
        ({"title": "\ud800" * 500}, r"can hold, not '(\\ud800){9}\\ud80\.\.\.$"),
        ({"uuid": 10**5000}, "not that int"),
        ({"compression": 10**5000}, "no compression is called that int"),
        ({"uuid": "x"}, r"a guest's uuid is a uuid\.UUID, not 'x'"),
        (
            {"displays": (640, 480)},
            r"displays are pairs of width and height, such as \[\(1024, 768\)\], not \(640, 480\)",
        ),
        ({"displays": [(640,)]}, "displays are pairs of width and height"),
        ({"displays": None}, "displays are pairs of width and height"),
        ({"displays": [(640, 480.5)]}, "480.5"),
        ({"port": 70_000}, "port 70000 is not within 0 and 65535"),
        ({"port": "5930"}, "port '5930' is not within 0 and 65535"),
        ({"features": 5}, "features are changes such as"),
    ],
)
def test_options_that_cannot_be_are_refused_at_once(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidValue, match=text):
        SpiceServer(**options)


@pytest.mark.parametrize("ready", [True, False])
async def test_nobody_waits_for_clients_of_a_closed_server(ready: bool) -> None:
    async with serving() as server:
        waiting = asyncio.create_task(server.wait_client(timeout=None, ready=ready))
        until = asyncio.create_task(server.until_client())
        await asyncio.sleep(0)
        await server.close()
        for each in (waiting, until, server.wait_client(timeout=None, ready=ready)):
            with pytest.raises(WrongState, match="no client comes to a server that does not listen"):
                await each


async def test_in_step_means_that_there_is_a_display() -> None:
    async with serving() as server, Probe.of(server, channels=[]) as probe:
        client = await server.wait_client(ready=False)
        with pytest.raises(ExpectationFailed, match=r"not in step within 0\.01 s as it has no display channel ready"):
            await client.synced(0.01)
        server.displays[0].fill((0, 0, 10, 10), "red")
        waiting = asyncio.create_task(client.synced())
        shown = await probe.link(DISPLAY)
        await asyncio.sleep(0)
        assert not waiting.done()
        shown.send(display.Init(1, 0, 1, 0))
        await waiting
        assert shown.painter.primary.pixels == server.displays[0].screenshot().pixels


async def test_a_port_in_use_is_named() -> None:
    async with serving() as server:
        other = SpiceServer(port=server.port)
        with pytest.raises(AddressUnavailable, match=f"cannot listen on 127.0.0.1:{server.port}: "):
            await other.start()
        assert not other.listening
        await other.close()


async def test_a_failed_start_leaves_no_port_open(tmp_path: Path) -> None:
    (given,) = listeners.listen_tcp("127.0.0.1", 0)
    async with serving() as server:
        for options in (
            {"tls": Tls(secured().context, server.port or 0)},
            {"unix_path": str(tmp_path / "no" / "folder")},
        ):
            other = SpiceServer(port=0, **options)
            with pytest.raises(AddressUnavailable):
                await other.start()
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", other.port), timeout=PATIENCE)
        failing = SpiceServer(sockets=[given], unix_path=str(tmp_path / "no" / "folder"))
        with pytest.raises(AddressUnavailable):
            await failing.start()
        assert given.fileno() == -1


async def test_sockets_may_be_given() -> None:
    (given,) = listeners.listen_tcp("127.0.0.1", 0)
    port = given.getsockname()[1]
    async with serving(sockets=[given]) as server:
        assert server.port == port
        async with Probe.of(server):
            await server.wait_client()
    assert given.fileno() == -1


async def test_ipv6() -> None:
    if not _has_ipv6():
        pytest.skip("no ::1 on this machine")
    async with serving(host="::1") as server:
        assert server.uri == f"spice://[::1]:{server.port}"
        async with Probe.of(server):
            await server.wait_client()


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as made:
            made.bind(("::1", 0))
    except OSError:
        return False
    return True


async def test_localhost_is_every_address_it_has() -> None:
    async with serving(host="localhost") as server:
        hosts = {info[4][0] for info in socket.getaddrinfo("localhost", None, type=socket.SOCK_STREAM)}
        assert "127.0.0.1" in hosts
        for host in sorted(hosts):
            async with Probe.of(server, host=host):
                await server.wait_client()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets")
async def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "spice.sock")
    async with serving(port=None, unix_path=path) as server:
        assert server.uri == f"spice+unix://{path}"
        async with Probe.of(server) as probe:
            client = await server.wait_client()
            await client.synced()
            await probe.shows(server.displays[0])
    assert not files(tmp_path)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets")
async def test_a_unix_socket_that_was_given(tmp_path: Path) -> None:
    given = listeners.listen_unix(str(tmp_path / "spice.sock"))
    async with serving(port=None, sockets=[given]) as server:
        assert server.port is None


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no unix sockets")
async def test_a_unix_socket_beside_a_port(tmp_path: Path) -> None:
    path = str(tmp_path / "spice.sock")
    async with serving(unix_path=path) as server:
        assert server.uri == f"spice://127.0.0.1:{server.port}"
        await server.close()
        assert not files(tmp_path)
        await server.start()
        assert files(tmp_path) == ["spice.sock"]


def secured(*channels: str) -> Tls:
    """A way in over TLS, for these channels only."""
    return Tls(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), channels=channels)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"events": -1}, "Limits.events must be a whole number of at least 0, not -1"),
        ({"events": None}, "Limits.events must be a whole number of at least 0, not None"),
        ({"messages": 1.5}, "Limits.messages must be a whole number of at least 0, not 1.5"),
        ({"unlinked": 0}, "Limits.unlinked must be a whole number of at least 1, not 0"),
    ],
)
def test_limits_that_cannot_be(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidValue, match=text):
        Limits(**options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"host": 5}, "host must be text that UTF-8 can hold, not 5"),
        ({"port": "x"}, "port 'x' is not within 0 and 65535"),
        ({"port": True}, "port True is not within 0 and 65535"),
        ({"port": 65536}, "port 65536 is not within 0 and 65535"),
        ({"port": 10**5000}, "port that int is not within 0 and 65535"),
        ({"tls": "x"}, "tls must be a Tls, such as Tls(spiceemu.server_context(CERTIFICATE, KEY)), or None, not 'x'"),
        ({"unix_path": 5}, "unix_path must be text that UTF-8 can hold, not 5"),
        ({"unix_path": "a\0b"}, "unix_path must be a path, without NUL, not 'a\\x00b'"),
        ({"sockets": 5}, "sockets must be a list of sockets, not 5"),
        ({"sockets": ["x"]}, "sockets must be a list of sockets, not ['x']"),
        ({"plain_channels": 5}, 'plain_channels must be a list of channels\' names, such as ["main"], not 5'),
        (
            {"plain_channels": "main"},
            "plain_channels must be a list of channels' names, such as [\"main\"], not 'main'",
        ),
        ({"plain_channels": [5]}, 'plain_channels must be a list of channels\' names, such as ["main"], not [5]'),
        ({"password": 5}, "password must be text, bytes or None, not 5"),
        ({"password_lifetime": "x"}, "password_lifetime must be a number of seconds or None, not 'x'"),
        ({"displays": [(1024.0, 768.0)]}, "displays are pairs of width and height, such as "),
        ({"displays": 5}, "displays are pairs of width and height, such as "),
        ({"shared": "no"}, "shared must be True or False, not 'no'"),
        ({"agent": "no"}, "agent must be True or False, not 'no'"),
        ({"sound": 2}, "sound must be True or False, not 2"),
        ({"strict": None}, "strict must be True or False, not None"),
        ({"limits": 5}, "limits must be a Limits, such as Limits(events=1000), or None, not 5"),
        ({"tables": 5}, "tables must be a Tables or None, not 5"),
        ({"host": "x" * 99 + "\ud800"}, f"host must be text that UTF-8 can hold, not '{'x' * 59}..."),
    ],
)
def test_an_option_of_the_wrong_kind_is_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        SpiceServer(**options)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"port": True}, "Tls.port True is not within 0 and 65535"),
        ({"port": None}, "Tls.port None is not within 0 and 65535"),
        ({"subject": 5}, "Tls.subject must be text that UTF-8 can hold, not 5"),
        ({"channels": 5}, 'Tls.channels must be a list of channels\' names, such as ["main"], not 5'),
        ({"channels": "main"}, "Tls.channels must be a list of channels' names, such as [\"main\"], not 'main'"),
    ],
)
def test_an_option_of_tls_of_the_wrong_kind_is_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Tls(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), **options)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda server: server.set_password(5), "password must be text, bytes or None, not 5"),
        (lambda server: server.set_password("x", "y"), "lifetime must be a number of seconds or None, not 'y'"),
        (lambda server: server.enable_features("x"), "mask must be a whole number of at least 0, not 'x'"),
        (lambda server: server.from_snapshot(5), "snapshot must be bytes, not 5"),
        (lambda server: server.receive_guest("x"), "snapshot must be bytes, not 'x'"),
        (lambda server: server.check_destination(5), "destination must be a Destination, not 5"),
        (lambda server: server.add_tap(5), "tap must be a MessageTap or a WireTap, not 5"),
    ],
)
async def test_an_argument_of_the_wrong_kind_is_named(call: Callable[[SpiceServer], object], text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        call(SpiceServer())
    assert str(caught.value) == text


async def test_a_guest_cannot_move_to_what_is_no_place() -> None:
    with pytest.raises(InvalidValue, match=r"^target must be a SpiceServer or a Destination, not 5$"):
        await SpiceServer().migrate_to(5)  # type: ignore[arg-type]


def test_tls_without_a_context() -> None:
    with pytest.raises(InvalidValue, match=r"Tls takes an SSL context, not 5930; spiceemu\.server_context makes one"):
        Tls(5930)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"port": None}, "nothing to listen on"),
        ({"tls": 5930}, r"tls must be a Tls, .*, not 5930"),
        ({"displays": []}, "1 to 256 displays, not 0"),
        ({"displays": [(0, 5)]}, "0x5"),
        ({"displays": [(1024, 768), (20_000, 1)]}, "20000x1"),
        ({"displays": [(1, 1)] * 257}, "257"),
        ({"compression": "zip"}, "zip.*auto, lz, off"),
        ({"tls": secured("sound")}, "no channel is called 'sound'"),
        ({"tls": secured("all"), "plain_channels": ["main"]}, "both in Tls.channels and plain_channels.*main"),
        ({"password": "x" * 61}, "61 bytes, at most 60"),
        ({"password": "a\0b"}, "NUL"),
    ],
)
def test_impossible_options_are_refused_at_once(options: dict[str, object], text: str) -> None:
    with pytest.raises(InvalidValue, match=text):
        SpiceServer(**options)


@pytest.mark.parametrize("port", [-1, 65536])
async def test_impossible_ports_are_refused(port: int) -> None:
    with pytest.raises(InvalidValue, match="65535"):
        await SpiceServer(port=port).start()


async def test_a_server_beyond_this_machine_without_a_password_warns(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(host="0.0.0.0") as server:
        assert server.uri == f"spice://127.0.0.1:{server.port}"
    assert "without a password" in caplog.text
    caplog.clear()
    async with serving(host="0.0.0.0", password="x"):
        pass
    async with serving():
        pass
    assert "without a password" not in caplog.text


# Passwords


async def test_the_password_decides() -> None:
    async with serving(password="s3cret") as server:
        for wrong in ("", "s3cre", "s3cret!", "S3cret"):
            with pytest.raises(PermissionDenied):
                await ProbeChannel.linked(server, MAIN, password=wrong)
        async with Probe.of(server, password="s3cret"):
            await server.wait_client()


async def test_without_a_password_any_will_do() -> None:
    async with serving() as server, Probe.of(server, password="anything"):
        await server.wait_client()


async def test_the_password_can_be_changed_and_runs_out() -> None:
    async with serving(password="first") as server:
        server.set_password("second")
        with pytest.raises(PermissionDenied):
            await ProbeChannel.linked(server, MAIN, password="first")
        async with Probe.of(server, password="second"):
            await server.wait_client()
        server.set_password("third", lifetime=-1.0)
        with pytest.raises(PermissionDenied):
            await ProbeChannel.linked(server, MAIN, password="third")
        server.set_password("fourth", lifetime=60.0)
        async with Probe.of(server, password="fourth"):
            await server.wait_client()
        server.set_password(None)
        async with Probe.of(server):
            await server.wait_client()


async def test_a_lifetime_counts_from_the_start() -> None:
    async with serving(password="x", password_lifetime=-1.0) as server:
        with pytest.raises(PermissionDenied):
            await ProbeChannel.linked(server, MAIN, password="x")
    async with serving(password="x", password_lifetime=60.0) as server, Probe.of(server, password="x"):
        await server.wait_client()


async def test_a_password_that_is_too_long_changes_nothing() -> None:
    async with serving(password="x") as server:
        with pytest.raises(InvalidValue):
            server.set_password("y" * 61)
        async with Probe.of(server, password="x"):
            await server.wait_client()


# Who may link what


@pytest.mark.parametrize(
    ("kind", "number"), [(MAIN, 1), (DISPLAY, 1), (INPUTS, 1), (CURSOR, 1), (ChannelType.SMARTCARD, 0), (200, 0)]
)
async def test_a_channel_that_is_not_there_is_closed_without_a_byte(kind: int, number: int) -> None:
    async with serving() as server, Probe.of(server) as probe:
        with pytest.raises(ConnectionError, match="closed the connection"):
            await ProbeChannel.linked(server, kind, number, connection_id=probe.session_id)


@pytest.mark.parametrize("session", [0, 1, 0xFFFFFFFF])
async def test_another_session_is_not_known(session: int) -> None:
    async with serving() as server, Probe.of(server) as probe:
        assert probe.session_id != session
        with pytest.raises(BadConnectionId):
            await ProbeChannel.linked(server, INPUTS, connection_id=session)


async def test_the_session_of_a_client_that_left_is_not_known() -> None:
    async with serving() as server:
        async with Probe.of(server) as probe:
            session = probe.session_id
            client = await server.wait_client()
        await client.wait_disconnected()
        with pytest.raises(BadConnectionId):
            await ProbeChannel.linked(server, INPUTS, connection_id=session)


@pytest.mark.parametrize("kind", [MAIN, DISPLAY, INPUTS, CURSOR])
async def test_a_channel_is_linked_once(kind: ChannelType) -> None:
    async with serving() as server, Probe.of(server) as probe:
        with pytest.raises(ChannelNotAvailable):
            await ProbeChannel.linked(server, kind, connection_id=probe.session_id)


async def test_a_channel_that_left_may_come_again() -> None:
    async with serving() as server, Probe.of(server) as probe:
        client = await server.wait_client()
        server.displays[0].fill((0, 0, 9, 9), "red")
        await probe.display.close()
        await client.expect(ChannelClosed(DISPLAY))
        await probe.link(DISPLAY)
        probe.display.send(display.Init(1, 0, 1, 0))
        await client.expect(DisplayReady())
        await client.synced()
        await probe.shows(server.displays[0])
        assert client.connected


# One client or many


async def test_a_new_client_replaces_the_one_before() -> None:
    async with serving() as server, Probe.of(server) as first:
        client = await server.wait_client()
        async with Probe.of(server) as second:
            await first.wait_end()
            other = await server.wait_client()
            assert server.clients == [other]
            assert client.session_id != other.session_id == second.session_id
            event = client.events[-1]
            assert isinstance(event, Disconnected)
            assert event.reason == "replaced by another client"
            await other.synced()


async def test_shared_clients_see_the_same() -> None:
    async with serving(shared=True) as server:
        shown = server.displays[0]
        async with Probe.of(server) as first, Probe.of(server) as second:
            clients = [await server.wait_client() for _ in range(2)]
            assert server.clients == clients
            shown.fill((3, 3, 300, 300), "orange")
            async with Probe.of(server) as third:
                clients.append(await server.wait_client())
                shown.fill((30, 30, 300, 300), "purple")
                for client, probe in zip(clients, (first, second, third), strict=True):
                    await client.synced()
                    assert probe.display.painter.primary.pixels == shown.screenshot().pixels
            await clients[2].wait_disconnected()
            assert server.clients == clients[:2]


async def test_locks_go_to_every_client() -> None:
    async with serving(shared=True) as server, Probe.of(server) as first, Probe.of(server) as second:
        await second.inputs.take(inputs.Init)
        first.inputs.send(inputs.KeyModifiers(4))
        assert (await second.inputs.take(inputs.KeyModifiers)).modifiers == 4
        assert not any(isinstance(message, inputs.KeyModifiers) for message in first.inputs.received)


# Waiting for clients


async def test_no_client_comes() -> None:
    async with serving() as server:
        with pytest.raises(ExpectationFailed, match=rf"no client came to spice://127.0.0.1:{server.port} within 0 s"):
            await server.wait_client(timeout=0)


@pytest.mark.parametrize("timeout", [PATIENCE, None])
async def test_a_failure_that_is_a_timeout_of_its_own_is_not_taken_for_ours(timeout: float | None) -> None:
    class LateError(TimeoutError):
        """What an observer waited for did not come."""

    def observer(_event: object) -> None:
        raise LateError

    async with serving() as server, Probe.of(server) as probe:
        await server.until_client()
        server.guest.subscribe(observer)
        probe.inputs.send(inputs.KeyDown(0x1E))
        await until(lambda: bool(server._core.failures))
        with pytest.raises(LateError):
            await server.wait_client(timeout)


async def test_waiting_for_the_main_channel_alone() -> None:
    async with serving() as server:
        waiting = asyncio.create_task(server.wait_client(ready=False))
        channel = await ProbeChannel.linked(server, MAIN)
        client = await waiting
        assert client.events[0] == ChannelOpened(MAIN)
        await channel.close()


async def test_a_client_without_a_picture_is_not_ready_but_is_not_lost() -> None:
    async with serving() as server, Probe.of(server, channels=[INPUTS]) as probe:
        with pytest.raises(ExpectationFailed):
            await server.wait_client(timeout=0.01)
        await probe.link(DISPLAY)
        probe.display.send(display.Init(1, 0, 1, 0))
        client = await server.wait_client()
        assert client.session_id == probe.session_id


async def test_a_client_without_a_picture_does_not_hide_one_that_has_it() -> None:
    async with (
        serving(shared=True) as server,
        Probe.of(server, channels=[INPUTS]) as first,
        Probe.of(server) as second,
    ):
        client = await server.wait_client()
        assert client.session_id == second.session_id
        client = await server.wait_client(ready=False)
        assert client.session_id == first.session_id


async def test_two_waiters_get_two_clients() -> None:
    async with serving(shared=True) as server:
        waiting = [asyncio.create_task(server.wait_client()) for _ in range(2)]
        async with Probe.of(server), Probe.of(server):
            first, second = await asyncio.gather(*waiting)
            assert first is not second


async def test_a_client_that_left_is_not_ready() -> None:
    async with serving() as server:
        async with Probe.of(server) as probe:
            await probe.display.take(display.Mark)
        async with Probe.of(server) as probe:
            client = await server.wait_client()
            assert client.session_id == probe.session_id


async def test_a_client_that_left_can_still_be_looked_at() -> None:
    async with serving() as server:
        channel = await ProbeChannel.linked(server, MAIN)
        channel.send(main.AttachChannels(), base.MigrateFlushMark())
        await channel.wait_end()
        await channel.close()
        client = await server.wait_client(ready=False)
        assert [type(event) for event in client.events][-3:] == [Violation, ChannelClosed, Disconnected]


# The end of clients


async def test_a_violation_closes_its_channel_and_is_an_event() -> None:
    async with serving() as server, Probe.of(server) as probe:
        client = await server.wait_client()
        probe.display.send(display.Init(1, 0, 1, 0))
        event = await client.expect(Violation(DISPLAY, 0))
        assert event.text.startswith("display:0: a second display.Init(pixmap_cache_id=1, pixmap_cache_size=0, ")
        await client.expect(ChannelClosed(DISPLAY))
        await probe.display.wait_end()
        assert client.connected
        probe.inputs.send(inputs.KeyDown(0x1E))
        await client.expect(KeyDown(0x1E))


async def test_a_violation_on_main_ends_the_client() -> None:
    async with serving() as server, Probe.of(server) as probe:
        client = await server.wait_client()
        probe.main.send_bytes(b"\xff\xff\0\0\0\0")
        await client.expect(Violation(MAIN, 0))
        await client.expect(Disconnected)
        await probe.wait_end()


async def test_a_client_without_main_is_gone() -> None:
    async with serving() as server, Probe.of(server) as probe:
        client = await server.wait_client()
        await probe.main.close()
        await client.wait_disconnected()
        await probe.display.wait_end()
        assert server.clients == []


@pytest.mark.parametrize("abort", [True, False])
async def test_a_client_that_leaves_is_told_once(abort: bool) -> None:
    async with serving() as server:
        async with Probe.of(server) as probe:
            client = await server.wait_client()
            await probe.close(abort=abort)
            await client.wait_disconnected()
        assert list(client.events).count(Disconnected()) == 1
        assert client.events[-1] == Disconnected()


async def test_the_test_can_disconnect_a_client() -> None:
    async with serving() as server, Probe.of(server) as probe:
        client = await server.wait_client()
        client.disconnect("enough")
        assert not client.connected
        client.disconnect()
        await probe.wait_end()
        events = [event for event in client.events if isinstance(event, Disconnected)]
        assert [event.reason for event in events] == ["enough"]


async def test_keys_are_released_when_a_client_leaves() -> None:
    async with serving() as server:
        async with Probe.of(server) as probe:
            client = await server.wait_client()
            probe.inputs.send(inputs.KeyDown(0x1E), inputs.MousePress(1, 1))
            await client.expect(KeyDown(0x1E))
            assert server.guest.keyboard.held
        await client.wait_disconnected()
        assert not server.guest.keyboard.held


async def test_a_client_that_has_left_is_forgotten() -> None:
    async with SpiceServer() as server:
        async with Probe.of(server):
            client = await server.wait_client()
            assert server.clients == [client]
            assert server.clients[0] is client
        await client.wait_disconnected()
        assert client.version == (2, 2)
        left = weakref.ref(client)
        del client
        gc.collect()
        assert server.clients == []
        assert left() is None
