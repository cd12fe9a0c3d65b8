"""What the tests of migrations share: two servers, a real client that moves, and what must hold whatever the scheme."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from spiceemu import Client, KeyDown, KeyUp, SpiceServer
from spiceemu.protocol.levels.level import MigrationScheme
from spiceemu.serving.moving import Moved
from spiceemu.sessions.destination import Destination

from .clients import GtkClient
from .emulator import CHANNELS, StartClient, check_pixels, draw_everything, in_step, whole
from .recorder import Recorder, recording
from .waiting import eventually

SWITCH_HOST, SEMI, SEAMLESS = MigrationScheme.SWITCH_HOST, MigrationScheme.SEMI_SEAMLESS, MigrationScheme.SEAMLESS

#: A pair of levels for each scheme.
PAIRS = {SWITCH_HOST: ("0.8", "0.15"), SEMI: ("0.10", "0.15"), SEAMLESS: ("0.15", "0.15")}

#: spice-gtk never forgets that it had a playback channel (spice-session.c), and warns when it makes another: on every
#: switch of host, to any server with sound.
WARNINGS_OF_A_SWITCH = (
    r"GSpice-WARNING: .*:spice_session_channel_new: runtime check failed: \(s->playback_channel == NULL\)",
)

#: The same, where a client can get back by the same scheme from servers that know nothing of each other.
TWINS = {SWITCH_HOST: "0.8", SEMI: "0.10", SEAMLESS: "0.15"}

SIZE, OTHER_SIZE = (640, 480), (800, 600)

KEY_A, KEY_B = 0x1E, 0x30


@contextlib.asynccontextmanager
async def two_servers(
    source: str = "0.15", target: str = "0.15", **options: Any
) -> AsyncIterator[tuple[SpiceServer, SpiceServer]]:
    """A source and a target; the target has a screen of another size before the guest comes."""
    sizes = options.pop("displays", [SIZE])
    async with (
        SpiceServer(compat=source, **{"displays": sizes, **options}) as one,
        SpiceServer(compat=target, **{"displays": [OTHER_SIZE] * len(sizes), **options}) as other,
    ):
        yield one, other


async def come(gtk_client: StartClient, server: SpiceServer, seed: int = 1) -> tuple[GtkClient, Client]:
    """Start a client at a server that has drawn something; it shows that."""
    for display in server.displays:
        draw_everything(display, seed)
    client = await gtk_client(port=server.port)
    session = await whole(server)
    await client.ready()
    await check_shown(client, session, server)
    return client, session


async def check_shown(client: GtkClient, session: Client, server: SpiceServer, what: str = "") -> None:
    """Fail unless the client shows all displays of the server as they are."""
    await in_step(client, session)
    for display in server.displays:
        check_pixels(await client.screenshot(channel=display.id), display, f"{what} display {display.id}")


async def all_open(client: GtkClient) -> None:
    """Wait until a client knows that all its channels are open."""

    async def look() -> bool:
        return len((await client.command("state"))["channels"]) == len(CHANNELS)

    await eventually(look, lambda: "all channels open")


async def moved(
    client: GtkClient, source: SpiceServer, target: SpiceServer, scheme: MigrationScheme, **options: Any
) -> Client:
    """Move the only client, by this scheme; its session at the target, once it has all its channels."""
    (before,) = source.clients
    assert await source.migrate_to(target, **options) == [Moved(before.session_id, scheme, followed=True)]
    assert not before.connected
    assert source.clients == []
    after = await whole(target)
    await all_open(client)
    return after


async def check_life(client: GtkClient, session: Client, server: SpiceServer) -> None:
    """Fail unless a client is as much alive as a new one: what is drawn is shown, keys arrive, the screen resizes."""
    (display,) = server.displays
    draw_everything(display, 2)
    await check_shown(client, session, server, "drawn on")
    await client.type(KEY_A, KEY_B)
    for key in (KEY_A, KEY_B):
        await session.expect(KeyDown(key))
        await session.expect(KeyUp(key))
    display.resize(801, 599)
    draw_everything(display, 3)
    await check_shown(client, session, server, "resized")


class Way(NamedTuple):
    """A migration to a target behind a recorder."""

    moving: asyncio.Task[list[Moved]]
    recorder: Recorder

    async def end(self, client: GtkClient, target: SpiceServer) -> Client:
        """Let the client through to the target, and wait until it is there; its session."""
        self.recorder.open.set()
        (result,) = await self.moving
        assert result.followed
        after = await whole(target)
        await all_open(client)
        return after


async def send_to(source: SpiceServer, target: SpiceServer, port: int) -> list[Moved]:
    """Move the clients to a target behind another port, of which the source knows no more than that."""

    async def deliver(snapshot: bytes) -> None:
        target.receive_guest(snapshot)

    target.expect_guest()
    return await source.migrate_to(Destination("127.0.0.1", port), deliver=deliver)


@contextlib.asynccontextmanager
async def under_way(source: SpiceServer, target: SpiceServer, *, held: bool = True) -> AsyncIterator[Way]:
    """Begin to move the only client to a target behind a recorder, of which the source knows no more than the port.

    :param held: whether the recorder lets no connection through before ``recorder.open`` is set.
    """
    async with recording(target.port or 0, held=held) as recorder:
        moving = asyncio.create_task(send_to(source, target, recorder.port))
        try:
            yield Way(moving, recorder)
        finally:
            moving.cancel()
            await asyncio.wait([moving])


async def is_leaving(session: Client) -> bool:
    """Whether the source has told a client to go."""
    departure = session._member.session.departure
    return departure is not None and departure.is_leaving
