"""Several clients: a new one takes the place of the one before, or shares the guest with it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from spiceemu import ClipboardText, Disconnected, KeyDown, MousePosition, SpiceServer
from spiceemu.errors import ExpectationFailed

from .clients import GtkClient
from .emulator import CHANNELS, StartClient, StartViewer, check_pixels, connected, draw_everything, in_step, picture_of
from .picture import Picture
from .qemu import Qemu

LETTER_A = 0x1E


def ends_of_channels(client: GtkClient) -> set[tuple[str, str, Any]]:
    """How those of a client's channels ended that every server has."""
    ends = ("closed", "error", "channel-destroy", "disconnected")
    events = [event for event in client.events if event["event"] in ends and event.get("type", "main") in CHANNELS]
    return {(event["event"], event.get("type", ""), event.get("code")) for event in events}


async def replaced(gtk_client: StartClient, port: int) -> GtkClient:
    """Connect two clients, one after the other, and return the first when all its channels have ended."""
    first = await gtk_client(port=port)
    await first.ready()
    second = await gtk_client(port=port)
    for channel in CHANNELS:
        await first.event("closed", type=channel)
    await second.ready()
    await first.command("state")  # answers come in order with events
    assert ends_of_channels(second) == set()
    return first


async def test_the_first_client_sees_what_a_real_server_shows_it(gtk_client: StartClient, qemu: Qemu) -> None:
    real = ends_of_channels(await replaced(gtk_client, qemu.port))
    async with SpiceServer() as server:
        ours = ends_of_channels(await replaced(gtk_client, server.port or 0))
    assert ours == real


async def test_remote_viewer_ends_as_after_a_real_server(
    gtk_client: StartClient, remote_viewer: StartViewer, qemu: Qemu
) -> None:
    async def replaced_viewer(port: int, picture: Picture) -> int:
        viewer = await remote_viewer(f"spice://127.0.0.1:{port}")
        await viewer.shows(picture)
        client = await gtk_client(port=port)
        await client.ready()
        return await viewer.wait()

    real = await replaced_viewer(qemu.port, qemu.picture())
    async with SpiceServer() as server:
        draw_everything(server.displays[0])
        assert await replaced_viewer(server.port or 0, picture_of(server.displays[0])) == real


async def test_the_second_client_has_everything(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        (display,) = server.displays
        draw_everything(display)
        first = await gtk_client(port=server.port)
        await first.ready()
        first_session = await server.wait_client()
        await first.command("key_down", scancode=LETTER_A)
        await first_session.expect(KeyDown(LETTER_A))

        second = await gtk_client(port=server.port)
        await second.ready()
        await first_session.wait_disconnected()
        assert first_session.events[-1] == Disconnected()
        assert server.guest.keyboard.held == frozenset(), "the first client's key is still down"
        second_session = await connected(server)
        assert server.clients == [second_session]

        draw_everything(display, 2)
        await second_session.synced()
        check_pixels(await second.screenshot(), display)
        await second.event("main-agent-update", connected=True)
        await second.offer_text("from the second")
        await second_session.expect(ClipboardText("from the second"))
        await second.type(LETTER_A)
        await second_session.expect(KeyDown(LETTER_A))


async def test_a_client_that_has_only_begun_is_replaced_too(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        first = await gtk_client(port=server.port, channels=[])
        await first.event("opened", type="main")
        await server.wait_client(ready=False)
        second = await gtk_client(port=server.port)
        await first.event("closed", type="main")
        await second.ready()


async def test_the_last_of_many_clients_stays(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        (display,) = server.displays
        draw_everything(display)
        clients = [await gtk_client() for _ in range(4)]
        await asyncio.gather(*(client.connect(port=server.port) for client in clients))
        seen = set()
        while len(seen) < len(clients):
            seen.add(await server.wait_client(ready=False))
        (session,) = server.clients
        await session.synced()
        # The others end; which of them was last is chance.
        while sum(not ends_of_channels(client) for client in clients) > 1:
            await asyncio.gather(*(client.command("state") for client in clients))
        (last,) = [client for client in clients if not ends_of_channels(client)]
        await last.ready()
        await in_step(last, session)
        check_pixels(await last.screenshot(), display)


async def test_clients_that_share(gtk_client: StartClient) -> None:
    async with SpiceServer(shared=True) as server:
        (display,) = server.displays
        draw_everything(display)
        clients, sessions = [], []
        for _ in range(3):
            clients.append(await gtk_client(port=server.port))
            await clients[-1].ready()
            sessions.append(await server.wait_client())
        draw_everything(display, 2)
        for client, session in zip(clients, sessions, strict=True):
            await in_step(client, session)
            check_pixels(await client.screenshot(), display)

        # All of them drive the one guest, and each has its own events.
        for number, (client, session) in enumerate(zip(clients, sessions, strict=True)):
            await client.event("main-mouse-update", mode=2)
            await client.command("position", x=number + 1, y=7)
            await session.expect(MousePosition(number + 1, 7))
            assert server.guest.pointer.x == number + 1
            assert [event.x for event in session.events if isinstance(event, MousePosition)] == [number + 1]

        # One leaves, the others stay.
        await clients[1].command("disconnect")
        await sessions[1].wait_disconnected()
        assert server.clients == [sessions[0], sessions[2]]
        display.resize(801, 601)
        draw_everything(display, 3)
        for number in (0, 2):
            await in_step(clients[number], sessions[number])
            check_pixels(await clients[number].screenshot(), display)
        assert ends_of_channels(clients[0]) == ends_of_channels(clients[2]) == set()


async def test_a_client_that_the_test_hangs_up_on(gtk_client: StartClient) -> None:
    """It still says something, to a server that has gone, and that must not look like a broken connection."""
    async with SpiceServer() as server:
        client = await gtk_client(port=server.port)
        await client.ready()
        session = await server.wait_client()
        await in_step(client, session)
        with client.stopped():
            asked = asyncio.create_task(session.synced())  # by PINGs that the client answers
            for _ in range(5):
                await asyncio.sleep(0)  # until they are sent
            session.disconnect("enough")
            with pytest.raises(ExpectationFailed):
                await asked
        for channel in CHANNELS:
            await client.event("closed", type=channel)
        last = session.events[-1]
        assert isinstance(last, Disconnected)
        assert last.reason == "enough"
        assert [end for end in ends_of_channels(client) if end[0] == "error"] == []
