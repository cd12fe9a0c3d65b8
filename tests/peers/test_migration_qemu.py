"""A real client between our server and the real one, in every scheme, and in both directions."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator

import pytest

from spiceemu import KeyDown, KeyUp, SpiceServer
from spiceemu.client import Client
from spiceemu.events import ClientArrived
from spiceemu.protocol.capabilities import ChannelType, MainCap
from spiceemu.protocol.levels.level import MigrationScheme
from spiceemu.protocol.messages import base, display, main
from spiceemu.protocol.messages.message import Message
from spiceemu.sessions.destination import Destination

from .clients import CommandFailed, GtkClient
from .emulator import CHANNELS, StartClient, draw_everything, picture_of, sent_messages, whole
from .picture import Picture
from .qemu import Qemu, running_qemu
from .recorder import CLIENT, recording
from .waiting import eventually

SEMI, SEAMLESS, SWITCH_HOST = MigrationScheme.SEMI_SEAMLESS, MigrationScheme.SEAMLESS, MigrationScheme.SWITCH_HOST
DISPLAY = ChannelType.DISPLAY
H, I = 0x23, 0x17  # noqa: E741

#: A size that is none of QEMU's text mode: a picture of ours cannot be taken for one of QEMU's.
SIZE = (640, 480)


@pytest.fixture(scope="module")
def target() -> Iterator[Qemu]:
    """A real server of this module's own: clients come to it in ways that other tests do not need to know of."""
    with running_qemu() as server:
        yield server


#: A target of libspice-server measures the latency of a main channel that is idle for 100 ms; a client that takes so
#: long to say that it comes does not answer yet.
WARNING_OF_AN_EARLY_PING = r"GSpice-CRITICAL: unexpected msg \(4\)\.Only MIGRATE_DST_SEAMLESS_ACK/NACK are allowed"


async def shows(client: GtkClient, wanted: Callable[[], Picture]) -> None:
    """Wait until a client shows a picture; on its way between servers it may have none at all."""
    seen: list[str] = [""]

    async def look() -> bool:
        try:
            seen[:] = [(await client.screenshot()).difference(wanted())]
        except CommandFailed as error:
            seen[:] = [str(error)]
        return not seen[0]

    await eventually(look, lambda: f"the other server's picture, but {seen[0]}")


async def goes_to_qemu(client: GtkClient, target: Qemu) -> None:
    """Wait until a client shows QEMU's screen, type there, and see that it is the screen it shows still."""
    await shows(client, target.picture)
    await eventually(lambda: has_inputs(client), lambda: "no inputs channel")
    await client.type(H, I)
    await target.has_typed(b"hi")
    await shows(client, target.picture)


async def has_inputs(client: GtkClient) -> bool:
    return ["inputs", 0] in (await client.command("state"))["channels"]


def draw_copies(messages: Iterable[Message]) -> list[display.DrawCopy]:
    return [message for message in messages if isinstance(message, display.DrawCopy)]


async def leave(client: GtkClient) -> None:
    await client.command("disconnect")
    await client.event("disconnected")


# --- from ours to QEMU ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("compat", "scheme"), [("0.8", SWITCH_HOST), ("0.8.3", SEMI)])
async def test_from_ours_to_qemu(target: Qemu, gtk_client: StartClient, compat: str, scheme: MigrationScheme) -> None:
    async with SpiceServer(compat=compat, displays=[SIZE]) as server:
        draw_everything(server.displays[0])
        client = await gtk_client(port=server.port)
        await client.ready()
        session = await whole(server)
        await client.shows(picture_of(server.displays[0]))
        moved = await server.migrate_to(Destination("127.0.0.1", target.port))
        await session.wait_disconnected()
        assert moved == [(session._member.session.id, scheme, True)]
        await goes_to_qemu(client, target)
    await leave(client)


async def test_seamless_from_ours_to_qemu(target: Qemu, gtk_client: StartClient) -> None:
    """QEMU takes the state of every channel, and goes on: it speaks of surfaces that it has not made at the client."""
    assert target.port is not None
    wanted = target.picture()
    async with SpiceServer(displays=[(wanted.width, wanted.height)]) as server, recording(target.port) as recorder:
        draw_everything(server.displays[0])
        client = await gtk_client(port=server.port)
        await client.ready()
        session = await whole(server)
        await client.shows(picture_of(server.displays[0]))
        client.expected_warnings.append(WARNING_OF_AN_EARLY_PING)
        moved = await server.migrate_to(Destination("127.0.0.1", recorder.port))
        await session.wait_disconnected()
        assert moved == [(session._member.session.id, SEAMLESS, True)]
        seen = len(client.events)
        await client.type(H, I)
        await target.has_typed(b"hi")

        # Of QEMU's screen the client has what QEMU drew since; all else is ours, as no guest came over.
        async def has_what_was_drawn() -> bool:
            drawn = draw_copies(dict(map(sent_messages, recorder.connections)).get(DISPLAY, []))
            if not drawn:
                return False
            box = drawn[0].base.box
            place = box.left, box.top, box.right - box.left, box.bottom - box.top
            shown = (await client.screenshot()).crop(*place)
            return shown.difference(target.picture().crop(*place)) == ""

        await eventually(has_what_was_drawn, lambda: f"what QEMU drew at the client: {client.events[seen:]}")
        said = dict(map(sent_messages, recorder.connections))
        assert (await client.command("state"))["channels"] == sorted([name, 0] for name in CHANNELS)
        events = [event["event"] for event in client.events[seen:]]
    await leave(client)

    assert set(said) == set(CHANNELS.values())
    assert [type(message) for message in said[DISPLAY][:3]] == [
        base.SetAck,
        display.InvalAllPixmaps,  # for we said that this channel speaks for the client's cache
        display.InvalAllPalettes,
    ]
    assert {message.base.surface_id for message in draw_copies(said[DISPLAY])} == {0}
    assert not any(isinstance(message, display.SurfaceCreate | display.Mark) for message in said[DISPLAY])
    assert not {"display-primary-create", "closed", "error"} & set(events)


# --- from QEMU to ours ------------------------------------------------------------------------------------------------


async def linked(server: SpiceServer, channels: int = 4) -> Client:
    """Wait until a client has linked so many channels, and parked them."""

    async def look() -> Client | None:
        for member in server._core.roster:
            if len(member.connections) == channels:
                return server._client_of(member)
        return None

    return await eventually(look, lambda: f"no client with {channels} channels linked at our server")


def send_guest_away(source: Qemu) -> None:
    """Let the guest go where nobody needs it: for its clients it has moved."""
    source.command("migrate", uri="exec:cat >/dev/null")


async def arrives(client: GtkClient, server: SpiceServer, session: Client) -> None:
    """See that a client shows our screen, that what is drawn reaches it, and what is typed us."""
    await shows(client, lambda: picture_of(server.displays[0]))
    draw_everything(server.displays[0], seed=2)
    await session.synced()
    await client.shows(picture_of(server.displays[0]))
    await eventually(lambda: has_inputs(client), lambda: "no inputs channel")
    await client.command("key_down", scancode=H)
    await session.expect(KeyDown(H))
    await client.command("key_up", scancode=H)
    await session.expect(KeyUp(H))


@pytest.mark.parametrize("compat", ["0.8.3", "0.10", "0.15.1"])
async def test_semi_seamless_from_qemu_to_ours(gtk_client: StartClient, compat: str) -> None:
    with running_qemu() as source:
        async with SpiceServer(compat=compat, displays=[SIZE]) as server:
            draw_everything(server.displays[0])
            client = await gtk_client(port=source.port)
            await client.ready()
            source.command("client_migrate_info", protocol="spice", hostname="127.0.0.1", port=server.port)
            session = await linked(server)
            assert not any(isinstance(event, ClientArrived) for event in session.events)
            await client.shows(source.picture())
            send_guest_away(source)
            assert (await session.expect(ClientArrived)) == ClientArrived(SEMI)
            await arrives(client, server, session)
            await leave(client)


async def test_seamless_from_qemu_to_ours(gtk_client: StartClient) -> None:
    """QEMU's state has the surfaces' ids, but not their sizes: our display makes the primary anew."""
    with running_qemu(options=",seamless-migration=on") as source:
        async with SpiceServer(displays=[SIZE]) as server, recording(server.port) as recorder:
            draw_everything(server.displays[0])
            client = await gtk_client(port=source.port)
            await client.ready()
            source.command("client_migrate_info", protocol="spice", hostname="127.0.0.1", port=recorder.port)
            session = await linked(server)
            await client.shows(source.picture())
            send_guest_away(source)
            assert (await session.expect(ClientArrived)) == ClientArrived(SEAMLESS)
            await arrives(client, server, session)
            await leave(client)
    said = dict(map(sent_messages, recorder.connections))
    assert not any(isinstance(message, main.Init) for message in said[ChannelType.MAIN])
    assert [type(message) for message in said[DISPLAY][:5]] == [
        base.SetAck,
        display.InvalAllPixmaps,
        display.InvalAllPalettes,
        display.SurfaceDestroy,
        display.SurfaceCreate,
    ]


def without_migration(side: str, data: bytes) -> bytes:
    """What a client says when it links its main channel, as one that knows SWITCH_HOST alone would say it."""
    if side == CLIENT and data.startswith(b"REDQ") and data[20] == ChannelType.MAIN:
        (words,) = struct.unpack_from("<I", data, len(data) - 4)
        words &= ~(1 << MainCap.SEMI_SEAMLESS_MIGRATE | 1 << MainCap.SEAMLESS_MIGRATE)
        data = data[:-4] + struct.pack("<I", words)
    return data


async def test_switch_host_from_qemu_to_ours(gtk_client: StartClient) -> None:
    with running_qemu() as source:
        assert source.port is not None
        async with SpiceServer(displays=[SIZE]) as server, recording(source.port, without_migration) as recorder:
            draw_everything(server.displays[0])
            client = await gtk_client(port=recorder.port)
            await client.ready()
            source.command("client_migrate_info", protocol="spice", hostname="127.0.0.1", port=server.port)
            send_guest_away(source)
            session = await server.wait_client()
            assert session._member.session.arrival is None  # a session like any other
            await arrives(client, server, session)
            await leave(client)
