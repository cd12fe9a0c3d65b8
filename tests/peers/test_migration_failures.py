"""Migrations that fail: the client stays and works, or goes where a real server sends it; nothing is left behind."""

from __future__ import annotations

import asyncio
import socket
from functools import partial

import pytest

from spiceemu import SpiceServer
from spiceemu.errors import InvalidValue, WrongState
from spiceemu.events import MigrationBegan, MigrationFailed
from spiceemu.protocol.levels.level import MigrationScheme
from spiceemu.serving import moving
from spiceemu.serving.moving import Moved
from spiceemu.sessions.destination import Destination

from .emulator import StartClient, picture_of, whole
from .moves import (
    PAIRS,
    SEAMLESS,
    SEMI,
    SIZE,
    SWITCH_HOST,
    all_open,
    check_life,
    check_shown,
    come,
    is_leaving,
    moved,
    two_servers,
    under_way,
)
from .recorder import SERVER, recording
from .waiting import eventually

EVERY_SCHEME = pytest.mark.parametrize("scheme", PAIRS, ids=lambda scheme: scheme.name.lower())

LINKED = pytest.mark.parametrize("scheme", [SEMI, SEAMLESS], ids=lambda scheme: scheme.name.lower())

#: spice-gtk's channel events.
NO_CONNECTION, WRONG_PASSWORD = 20, 23


async def is_empty(server: SpiceServer) -> bool:
    return not server.clients


# --- it stays ---------------------------------------------------------------------------------------------------------


@LINKED
async def test_cancelled_while_the_client_links(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    async with two_servers(*PAIRS[scheme]) as (one, other):
        client, session = await come(gtk_client, one)
        async with under_way(one, other) as way:
            await way.recorder.asked.wait()
            way.moving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await way.moving
            assert isinstance(session.events[-1], MigrationFailed)
            way.recorder.open.set()
            await client.event("migration-state", value="none")
            if scheme is SEMI:  # spice-gtk leaves the main channel of the other as it is; the next takes its place
                await eventually(partial(is_empty, other), lambda: "the target forgets the client")
            assert one.clients == [session]
            await check_life(client, session, one)
            assert await moved(client, one, other, scheme)


@LINKED
async def test_cancelled_when_the_client_is_parked(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    """A target of the same process hears of it: it keeps nothing of the client, which spice-gtk leaves there."""
    async with two_servers(*PAIRS[scheme]) as (one, other):
        client, session = await come(gtk_client, one)
        moving = asyncio.create_task(one.migrate_to(other))
        await other.wait_client(ready=False)
        moving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await moving
        await client.event("migration-state", value="none")
        await eventually(partial(is_empty, other), lambda: "the target forgets the client")
        assert one.clients == [session]
        await check_life(client, session, one)
        assert await moved(client, one, other, scheme)


@LINKED
async def test_a_second_one_during_the_first(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    async with two_servers(*PAIRS[scheme]) as (one, other), SpiceServer() as third:
        client, _ = await come(gtk_client, one)
        async with under_way(one, other) as way:
            await way.recorder.asked.wait()
            with pytest.raises(WrongState, match="is under way"):
                await one.migrate_to(third)
            after = await way.end(client, other)
            await check_life(client, after, other)
        assert third.clients == []


@EVERY_SCHEME
@pytest.mark.parametrize(
    ("options", "reason"), [({"displays": [SIZE]}, "1 display"), ({"displays": [SIZE] * 2, "agent": False}, "agent")]
)
async def test_a_target_that_cannot_be_like_the_source(
    gtk_client: StartClient, scheme: MigrationScheme, options: dict[str, object], reason: str
) -> None:
    source, target = PAIRS[scheme]
    async with (
        SpiceServer(compat=source, displays=[SIZE] * 2) as one,
        SpiceServer(compat=target, **options) as other,  # type: ignore[arg-type]
    ):
        client, session = await come(gtk_client, one)
        with pytest.raises(InvalidValue, match=reason):
            await one.migrate_to(other)
        assert one.clients == [session]
        assert not any(isinstance(event, MigrationBegan) for event in session.events)
        await check_shown(client, session, one)
        newcomer = await gtk_client(port=other.port)  # and the target is as it was
        await whole(other)
        await newcomer.ready()


# --- it goes, but not well --------------------------------------------------------------------------------------------


@EVERY_SCHEME
async def test_the_password_of_both(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    async with two_servers(*PAIRS[scheme], password="s3cret") as (one, other):
        client = await gtk_client(port=one.port, password="s3cret")
        await whole(one)
        await client.ready()
        after = await moved(client, one, other, scheme)
        await check_life(client, after, other)


@EVERY_SCHEME
async def test_the_password_of_the_source_alone(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    """As spice-server: who could not link before is sent there when the guest has moved. That may fail as well."""
    source, target = PAIRS[scheme]
    async with SpiceServer(compat=source) as one, SpiceServer(compat=target, password="another") as other:
        client, before = await come(gtk_client, one)
        assert await one.migrate_to(other) == [Moved(before.session_id, SWITCH_HOST, followed=True)]
        failures = [event for event in before.events if isinstance(event, MigrationFailed)]
        assert len(failures) == (scheme is not SWITCH_HOST)
        assert (await client.event("error", type="main"))["code"] == WRONG_PASSWORD
        assert one.clients == other.clients == []
        # The guest is there, and so is whoever knows the password.
        newcomer = await gtk_client(port=other.port, password="another")
        after = await whole(other)
        await newcomer.ready()
        await check_shown(newcomer, after, other)
        assert picture_of(other.displays[0]) == picture_of(one.displays[0])


@EVERY_SCHEME
async def test_nobody_at_the_target(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    async with SpiceServer(compat=PAIRS[scheme][0]) as one:
        client, before = await come(gtk_client, one)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))  # and does not listen
            result = await one.migrate_to(Destination("127.0.0.1", free.getsockname()[1]))
            assert result == [Moved(before.session_id, SWITCH_HOST, followed=True)]
            assert (await client.event("error", type="main"))["code"] == NO_CONNECTION


@LINKED
async def test_a_target_that_does_not_answer(
    gtk_client: StartClient, scheme: MigrationScheme, monkeypatch: pytest.MonkeyPatch
) -> None:
    """spice-gtk hears nothing more from the source while it waits for the target: it cannot be told, and is lost."""
    monkeypatch.setattr(moving, "CONNECT_TIMEOUT", 0.1)
    monkeypatch.setattr(moving, "LEAVE_TIMEOUT", 0.1)
    async with two_servers(*PAIRS[scheme]) as (one, other):
        client, before = await come(gtk_client, one)
        async with under_way(one, other) as way:
            await before.expect(MigrationFailed)
            assert await way.moving == [Moved(before.session_id, SWITCH_HOST, followed=False)]
            await client.kill()
            await check_next(gtk_client, one, other)


# --- it dies ----------------------------------------------------------------------------------------------------------


async def check_next(gtk_client: StartClient, one: SpiceServer, other: SpiceServer) -> None:
    """Fail unless the guest is at the target without any client, and the next one is welcome there."""
    await eventually(partial(is_empty, other), lambda: "the target forgets the client")
    assert one.clients == []
    assert picture_of(other.displays[0]) == picture_of(one.displays[0])
    client = await gtk_client(port=other.port)
    session = await whole(other)
    await client.ready()
    await all_open(client)
    await check_life(client, session, other)


@LINKED
async def test_dies_while_it_links(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    async with two_servers(*PAIRS[scheme]) as (one, other):
        client, before = await come(gtk_client, one)
        async with under_way(one, other) as way:
            await way.recorder.asked.wait()
            await client.kill()
            assert await way.moving == [Moved(before.session_id, scheme, followed=False)]
            way.recorder.open.set()
            await check_next(gtk_client, one, other)


@EVERY_SCHEME
async def test_dies_when_it_is_told_to_leave(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    async with two_servers(*PAIRS[scheme]) as (one, other), recording(one.port or 0) as way_in:
        client = await gtk_client(port=way_in.port)
        before = await whole(one)
        await client.ready()
        async with under_way(one, other) as way:
            if scheme is not SWITCH_HOST:
                await way.recorder.asked.wait()
            way_in.flows[SERVER].clear()
            way.recorder.open.set()
            await eventually(partial(is_leaving, before), lambda: "the source's last word")
            await client.kill()
            way_in.flows[SERVER].set()
            assert [each.scheme for each in await way.moving] == [scheme]
            await check_next(gtk_client, one, other)


@EVERY_SCHEME
async def test_dies_before_the_guest_comes(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    """It has left the source, or waits there for its channels' states, and the guest is on its way."""
    async with two_servers(*PAIRS[scheme]) as (one, other):
        client, _ = await come(gtk_client, one)

        async def deliver(snapshot: bytes) -> None:
            await client.kill()
            await eventually(partial(is_empty, other), lambda: "the target forgets the client")
            other.receive_guest(snapshot)

        other.expect_guest()
        destination = Destination("127.0.0.1", other.port)
        assert [each.scheme for each in await one.migrate_to(destination, deliver=deliver)] == [scheme]
        await check_next(gtk_client, one, other)
