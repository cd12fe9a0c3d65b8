"""Migrations over sockets: what is left behind, what hostile clients cannot break, and a target in another process."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from spiceemu.channels.display import DisplayChannel
from spiceemu.channels.migration import MAX_PARKED
from spiceemu.channels.pixmap_cache import ENTRY, MAX_ENTRIES
from spiceemu.channels.table import CHANNELS
from spiceemu.desktop.demo import client_info
from spiceemu.errors import (
    HangUp,
    InvalidValue,
    LinkError,
    MalformedSnapshot,
    MigrationAborted,
    NotCompatible,
    WrongState,
)
from spiceemu.events import (
    ChannelClosed,
    ClientArrived,
    Disconnected,
    KeyDown,
    KeyUp,
    MigrationConnected,
    MigrationFailed,
    ServerFailed,
    Violation,
)
from spiceemu.guest import state as guest_state
from spiceemu.protocol.capabilities import ChannelType, MainCap
from spiceemu.protocol.levels.level import MigrationScheme
from spiceemu.protocol.messages import base, cursor, display, inputs, main
from spiceemu.protocol.messages.message import Message
from spiceemu.protocol.plain import Plain
from spiceemu.server import SpiceServer
from spiceemu.serving import moving
from spiceemu.serving.moving import Moved, destination_of
from spiceemu.sessions import migration, snapshot
from spiceemu.sessions.destination import Destination
from spiceemu.sessions.migration import ARRIVAL_TIMEOUT
from spiceemu.sessions.tables import Tables

from .follower import ALL, CURSOR, DISPLAY, INPUTS, MAIN, Follower
from .probe import CACHE_SIZE, PATIENCE, ProbeChannel, serving, turns, until
from .raising import Raises

SEMI, SEAMLESS, SWITCH_HOST = MigrationScheme.SEMI_SEAMLESS, MigrationScheme.SEAMLESS, MigrationScheme.SWITCH_HOST
LEVELS = {SWITCH_HOST: "0.8", SEMI: "0.10", SEAMLESS: "0.15.1"}
SIZE = (64, 48)
LOST = "^the guest stays, and clients that were told to leave are lost"
TARGET_CLOSED = "the target of the migration was closed before the guest had gone there"
HALF_SEAMLESS = {"compat": "0.8", "features": "+SEAMLESS_MIGRATE,+AGENT_CONNECTED_TOKENS"}


@asynccontextmanager
async def two_servers(
    scheme: MigrationScheme = SEAMLESS, **of_target: Any
) -> AsyncIterator[tuple[SpiceServer, SpiceServer]]:
    """A source whose level has this scheme at best, and a target that has all; neither may leave anything behind."""
    async with (
        serving(displays=[SIZE], compat=LEVELS[scheme]) as source,
        serving(**{"displays": [SIZE], **of_target}) as target,
    ):
        yield source, target


def start(work: Coroutine[Any, Any, list[Moved]]) -> asyncio.Task[list[Moved]]:
    return asyncio.get_running_loop().create_task(work)


async def result(move: asyncio.Task[list[Moved]]) -> list[Moved]:
    async with asyncio.timeout(PATIENCE):
        return await move


FOLLOW: dict[MigrationScheme, Callable[[Follower, SpiceServer], Coroutine[Any, Any, None]]] = {
    SWITCH_HOST: Follower.follow_host,
    SEMI: Follower.follow_semi_seamlessly,
    SEAMLESS: Follower.follow_seamlessly,
}


@pytest.mark.parametrize("scheme", FOLLOW, ids=lambda scheme: scheme.name)
async def test_a_client_and_its_guest_move(scheme: MigrationScheme) -> None:
    async with two_servers(scheme) as (source, target):
        source.displays[0].fill((5, 5, 20, 20), "steelblue")
        source.guest.clipboard.set_text("text")
        async with Follower.at(source) as client:
            old = client.session_id
            client.inputs.send(inputs.KeyDown(0x1E))
            here = await source.wait_client()
            await here.expect(KeyDown(0x1E))
            move = start(source.migrate_to(target))
            await FOLLOW[scheme](client, target)
            assert await result(move) == [Moved(old, scheme, True)]
            await here.wait_disconnected()
            there = await target.wait_client()
            if scheme is not SWITCH_HOST:  # a client that comes anew does so when it likes, as any other
                await there.expect(ClientArrived(scheme))
            assert (there.session_id == old) is (scheme is not SWITCH_HOST)
            assert target.guest.keyboard.held == (set() if scheme is SWITCH_HOST else {0x1E})
            target.displays[0].fill((1, 1, 3, 3), "red")
            shown = client.there[DISPLAY, 0]
            await shown.until(
                lambda: shown.painter.marked and shown.painter.primary.pixels == target.displays[0].screenshot().pixels
            )
            client.there[INPUTS, 0].send(inputs.KeyUp(0x9E), inputs.KeyDown(0x1F))
            await there.expect(KeyDown(0x1F))
            assert target.guest.clipboard.text_of(0) == "text"


@pytest.mark.parametrize(
    ("of_source", "of_target", "able", "scheme"),
    [
        ({"features": "-SEMI_SEAMLESS_MIGRATE"}, {}, ALL, SWITCH_HOST),
        ({}, {"features": "-SEMI_SEAMLESS_MIGRATE"}, ALL, SWITCH_HOST),
        ({"compat": "0.10.1"}, {"features": "-SEMI_SEAMLESS_MIGRATE"}, ALL, SWITCH_HOST),
        ({}, {"features": "+WITHOUT_MIGRATION"}, ALL, SWITCH_HOST),
        (HALF_SEAMLESS, HALF_SEAMLESS, ALL, SWITCH_HOST),
        ({"features": "-AGENT_CONNECTED_TOKENS"}, {}, ALL, SEMI),
        ({}, {"features": "-SEAMLESS_MIGRATE"}, ALL, SEMI),
        ({}, {"features": "-AGENT_CONNECTED_TOKENS"}, ALL, SEAMLESS),
        ({}, {}, [MainCap.SEAMLESS_MIGRATE, MainCap.AGENT_CONNECTED_TOKENS], SWITCH_HOST),
    ],
)
async def test_features_that_no_release_had_together_lose_nobody(
    of_source: dict[str, Any], of_target: dict[str, Any], able: Iterable[int], scheme: MigrationScheme
) -> None:
    """A scheme is taken only where there is what it falls back to as well, at both ends and in the client."""
    async with (
        serving(displays=[SIZE], **of_source) as source,
        serving(displays=[SIZE], **of_target) as target,
        Follower.at(source, able) as client,
    ):
        move = start(source.migrate_to(target))
        await FOLLOW[scheme](client, target)
        assert [(each.scheme, each.followed) for each in await result(move)] == [(scheme, True)]
        await until(
            lambda: len(target.clients) == 1 and not any(each.session.is_arriving for each in target._core.roster)
        )


# --- clients that stop on the way -------------------------------------------------------------------------------------


async def test_a_client_that_never_links_is_sent_there_and_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "CONNECT_TIMEOUT", 0.05)
    monkeypatch.setattr(moving, "LEAVE_TIMEOUT", 0.05)
    async with two_servers() as (source, target), Follower.at(source) as client:
        here = await source.wait_client()
        assert await result(start(source.migrate_to(target))) == [Moved(client.session_id, SWITCH_HOST, False)]
        await client.main.take(main.MigrateSwitchHost)
        failed = await here.expect(MigrationFailed)
        assert failed.text == "the client did not link the other server within CONNECT_TIMEOUT 0.05 s"
        gone = await here.expect(Disconnected)
        assert gone.reason == "it did not leave within LEAVE_TIMEOUT 0.05 s"
        await client.wait_end()
        assert source.clients == []


async def test_a_client_may_close_main_first_and_the_guest_goes_on() -> None:
    """What it had to be told there, it is not; the desktop, the agent and its other channels do without."""
    async with two_servers(SWITCH_HOST) as (source, target), Follower.at(source) as client:
        session = (await source.wait_client())._member.session
        client.main.send(main.AgentStart(10))
        await until(lambda: session.agent.is_held)
        session_id = client.session_id
        move = start(source.migrate_to(target))
        await client.main.take(main.MigrateSwitchHost)
        await client.channels.pop((MAIN, 0)).close()
        await until(lambda: session.find_main() is None)
        assert client_info(source.clients[0]).name == f"{session_id:08x}"
        source.guest.clipboard.set_text("nobody is told")
        await client.channels[INPUTS, 0].close()
        await until(lambda: session.find(INPUTS, 0) is None)
        again = await ProbeChannel.linked(source, INPUTS, connection_id=session_id)
        await again.take(inputs.Init)
        await again.close()
        await client.leave()
        assert (await result(move))[0].scheme is SWITCH_HOST


@pytest.mark.parametrize("stop", ["at MIGRATE", "at one channel", "with its states"])
async def test_a_client_that_stops_midway_is_dropped(monkeypatch: pytest.MonkeyPatch, stop: str) -> None:
    async with two_servers() as (source, target), Follower.at(source) as client:
        here = await source.wait_client()
        monkeypatch.setattr(moving, "LEAVE_TIMEOUT", 0.2)
        move = start(source.migrate_to(target))
        await client.link_seamlessly(target)
        if stop == "at one channel":
            await client.main.take(base.Migrate)
            client.main.send(base.MigrateFlushMark())
        elif stop == "with its states":
            await client.flush()
            await client.states()
        assert await result(move) == [Moved(client.session_id, SEAMLESS, False)]
        gone = await here.expect(Disconnected)
        assert gone.reason == "it did not leave within LEAVE_TIMEOUT 0.2 s"


@pytest.mark.parametrize("stop", ["begun", "linked", "connected", "frozen", "flushed"])
async def test_a_client_that_vanishes_midway_is_lost_at_once(stop: str) -> None:
    """Nobody waits for it: the timeouts here are longer than the test's patience."""
    async with two_servers() as (source, target), Follower.at(source) as client:
        session_id = client.session_id
        move = start(source.migrate_to(target))
        await client.main.take(main.MigrateBeginSeamless)
        if stop != "begun":
            await client.link_there(target, asks=True)
        if stop in ("connected", "frozen", "flushed"):
            client.main.send(main.MigrateConnectedSeamless())
        if stop == "frozen":
            await client.main.take(base.Migrate)
        if stop == "flushed":
            await client.flush()
        for channel in (*client.channels.values(), *client.there.values()):
            await channel.close(abort=True)
        async with asyncio.timeout(5):
            (moved,) = await move
        assert moved.session_id == session_id
        await until(lambda: not source.clients and not target.clients)


async def test_a_client_that_vanishes_leaves_the_others_to_go(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        serving(displays=[SIZE], shared=True) as source,
        serving(displays=[SIZE], shared=True) as target,
        Follower.at(source) as stays,
        Follower.at(source) as goes,
    ):
        ids = [stays.session_id, goes.session_id]
        move = start(source.migrate_to(target))
        await stays.main.take(main.MigrateBegin)
        await goes.close(abort=True)
        await stays.follow_semi_seamlessly(target)
        assert {each.session_id: each.followed for each in await result(move)} == {ids[0]: True, ids[1]: False}


async def test_two_clients_of_a_shared_server_go_semi_seamlessly() -> None:
    async with serving(displays=[SIZE], shared=True) as source, serving(displays=[SIZE], shared=True) as target:
        source.displays[0].fill((0, 0, 9, 9), "red")
        async with Follower.at(source) as one, Follower.at(source) as other:
            move = start(source.migrate_to(target))
            await asyncio.gather(one.follow_semi_seamlessly(target), other.follow_semi_seamlessly(target))
            assert [(each.scheme, each.followed) for each in await result(move)] == [(SEMI, True)] * 2
            for client in (one, other):
                shown = client.there[DISPLAY, 0]
                await shown.until(lambda it=shown: it.painter.surfaces and it.painter.marked)
                assert shown.painter.primary.pixels == target.displays[0].screenshot().pixels
            assert len(target.clients) == 2


async def test_who_floods_a_parked_channel_loses_it() -> None:
    async with two_servers() as (source, target), Follower.at(source) as client:
        move = start(source.migrate_to(target))
        await client.main.take(main.MigrateBeginSeamless)
        await client.link_there(target)
        (there,) = target.clients
        flooded = client.there[DISPLAY, 0]
        flooded.send_bytes(bytes(MAX_PARKED + 1))
        await flooded.wait_end()
        violation = await there.expect(Violation)
        assert violation.text.endswith(f"before it begins, the limit is {MAX_PARKED}")
        client.main.send(main.MigrateConnected())
        await client.main.take(main.MigrateEnd)
        await client.leave()
        await result(move)
        client.there[MAIN, 0].send(main.MigrateEnd())
        await client.there[MAIN, 0].take(main.Init)


async def test_what_was_wrong_on_a_parked_channel_does_not_reach_the_source() -> None:
    async with two_servers() as (source, target), Follower.at(source) as client:
        move = start(source.migrate_to(target))
        await client.main.take(main.MigrateBeginSeamless)
        await client.link_there(target)
        wrong = client.there[CURSOR, 0]
        wrong.send_bytes(b"\xff" * 18)
        client.there[MAIN, 0].send(main.MigrateEnd())  # before its time: held back until the guest is there
        client.main.send(main.MigrateConnected())
        await client.main.take(main.MigrateEnd)
        await client.leave()
        assert [each.followed for each in await result(move)] == [True]
        await wrong.wait_end()
        await client.there[MAIN, 0].take(main.Init)
        (there,) = target.clients
        await there.expect(Violation(CURSOR, 0))
        await there.expect(ChannelClosed(CURSOR, 0))
        await client.there[INPUTS, 0].take(inputs.Init)


async def test_a_state_that_is_none_ends_its_channel() -> None:
    async with two_servers() as (source, target), Follower.at(source) as client:
        move = start(source.migrate_to(target))
        await client.link_seamlessly(target)
        await client.flush()
        states = await client.states()
        await client.leave()
        await result(move)
        client.there[DISPLAY, 0].send(base.MigrateData(states[MAIN, 0].data))
        await client.there[DISPLAY, 0].wait_end()
        (there,) = target.clients
        violation = await there.expect(Violation)
        assert violation.text.startswith("display.DisplayData.header.magic at offset 0: b'MNMD'")
        client.there[MAIN, 0].send(base.MigrateData(states[MAIN, 0].data))
        await there.expect(ClientArrived(SEAMLESS))


async def test_a_client_that_waits_for_no_guest_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(displays=[SIZE]) as target:
        target.expect_guest()
        link = await ProbeChannel.linked(target, MAIN, connection_id=77)
        (there,) = target.clients
        (member,) = target._core.roster
        member.check_time(asyncio.get_running_loop().time() + ARRIVAL_TIMEOUT + 1)
        assert (await there.expect(Disconnected)).reason == "no guest came within ARRIVAL_TIMEOUT 300 s"
        await link.wait_end()
        await link.close()


# --- targets that do not take them ------------------------------------------------------------------------------------


async def test_another_password_at_the_target_ends_as_switch_host() -> None:
    async with two_servers(password="other") as (source, target), Follower.at(source) as client:
        here = await source.wait_client()
        move = start(source.migrate_to(target))
        await client.main.take(main.MigrateBeginSeamless)
        with pytest.raises(LinkError):
            await client.link_there(target)
        client.main.send(main.MigrateConnectError())
        await here.expect(MigrationFailed)
        await client.main.take(main.MigrateSwitchHost)
        await client.leave()
        assert [(each.scheme, each.followed) for each in await result(move)] == [(SWITCH_HOST, True)]


async def test_a_client_that_was_at_the_target_gives_way() -> None:
    async with two_servers(SEMI) as (source, target), Follower.at(target) as early, Follower.at(source) as client:
        await target.wait_client()
        move = start(source.migrate_to(target))
        await client.follow_semi_seamlessly(target)
        await result(move)
        await early.wait_end()
        assert len(target.clients) == 1


async def nothing_was_said(client: Follower) -> None:
    """A refusal comes before the client hears of anything."""
    await turns()
    begun = main.MigrateBegin | main.MigrateBeginSeamless | main.MigrateSwitchHost | main.MigrateCancel
    assert not any(isinstance(message, begun) for message in client.main.received)
    assert not client.main.at_end


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"agent": False}, InvalidValue, "the guest that moves has an agent, the target's has none"),
        ({"displays": [SIZE]}, InvalidValue, "the target has 1 display, the guest that moves has 2"),
        (
            {"compat": "0.6"},
            NotCompatible,
            "level 0.6 lacks MULTI_DISPLAY_CHANNELS, and a second display channel cannot be withdrawn",
        ),
    ],
)
async def test_a_target_that_cannot_be_the_guest_is_refused(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    async with (
        serving(displays=[SIZE, SIZE]) as source,
        serving(**{"displays": [SIZE] * 2, **options}) as target,
        Follower.at(source) as client,
    ):
        with pytest.raises(error) as caught:
            await source.migrate_to(target)
        assert str(caught.value) == text
        await nothing_was_said(client)


async def test_a_target_for_one_client_is_refused_two() -> None:
    async with (
        serving(displays=[SIZE], shared=True) as source,
        serving(displays=[SIZE]) as target,
        Follower.at(source),
        Follower.at(source) as client,
    ):
        with pytest.raises(InvalidValue, match=r"^the target takes one client at once, and there are 2$"):
            await source.migrate_to(target)
        await nothing_was_said(client)


async def test_a_target_that_cannot_be_reached_is_refused() -> None:
    async with serving(displays=[SIZE]) as source:
        with pytest.raises(WrongState, match=r"^the target of a migration must listen before its clients come$"):
            await source.migrate_to(SpiceServer(displays=[SIZE]))
        with pytest.raises(InvalidValue, match=r"^a server cannot be the target of its own migration$"):
            await source.migrate_to(source)
        with pytest.raises(InvalidValue, match=r"^destination\.port: neither this nor a TLS port is given$"):
            await source.migrate_to(Destination("there"))


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
@pytest.mark.parametrize("named", ["127.0.0.1", "localhost"])
async def test_a_server_is_not_sent_to_itself_by_its_address(host: str, named: str) -> None:
    async with serving(displays=[SIZE], host=host, password="x") as source:
        assert source.port
        with pytest.raises(InvalidValue, match=r"^a server cannot be the target of its own migration$"):
            await source.migrate_to(Destination(named, source.port))
        assert destination_of(source._core, Destination(named, source.port ^ 1)) == (named, source.port ^ 1, None, "")
        assert destination_of(source._core, Destination("there", source.port)).host == "there"


@pytest.mark.parametrize(
    "wrong",
    [Destination("\udcff", 5), Destination("x" * 100_000, 5), Destination("h", 5, cert_subject="\udc80")],
    ids=["host", "long host", "subject"],
)
async def test_a_destination_that_no_message_can_hold_is_refused_at_the_call(wrong: Destination) -> None:
    async with serving(displays=[SIZE]) as source, Follower.at(source) as client:
        with pytest.raises(InvalidValue, match=r"^destination\."):
            await source.migrate_to(wrong)
        await nothing_was_said(client)


async def test_a_level_that_moves_nobody_does_not_give_its_guest_away_either() -> None:
    async with serving(displays=[SIZE], compat="0.6.4") as source, serving(displays=[SIZE]) as target:
        with pytest.raises(NotCompatible, match=r"^level 0\.6\.4 has no migration: WITHOUT_MIGRATION$"):
            await source.migrate_to(target)


async def test_one_migration_at_a_time() -> None:
    async with two_servers() as (source, target), Follower.at(source) as client:
        move = start(source.migrate_to(target))
        await client.main.take(main.MigrateBeginSeamless)
        with pytest.raises(WrongState, match=r"^a migration to 127\.0\.0\.1 is under way$"):
            await source.migrate_to(target)
        await client.follow_seamlessly(target)
        await result(move)


IN_ANOTHER = r"^the target of the migration is in the middle of another one$"
NOT_HERE_YET = r"^a server whose guest is on its way here has none to send on$"


async def test_a_target_takes_one_guest_at_a_time() -> None:
    async with two_servers() as (source, target), serving(displays=[SIZE]) as other:
        async with Follower.at(source) as client, Follower.at(other) as stays:
            move = start(source.migrate_to(target))
            await turns(1)
            for _ in range(2):  # at once, and when the client has been told
                with pytest.raises(WrongState, match=IN_ANOTHER):
                    await other.migrate_to(target)
                with pytest.raises(WrongState, match=IN_ANOTHER):
                    await other.migrate_to(source)
                with pytest.raises(WrongState, match=NOT_HERE_YET):
                    await target.migrate_to(other)
                with pytest.raises(WrongState, match=NOT_HERE_YET):
                    await target.migrate_to(source)
                await client.main.take(main.MigrateBeginSeamless)
            await client.follow_seamlessly(target)
            assert [each.followed for each in await result(move)] == [True]
            await nothing_was_said(stays)
        again = start(other.migrate_to(target))  # it is free now
        assert await result(again) == []


async def test_two_servers_do_not_swap_their_guests() -> None:
    async with two_servers() as (one, other), Follower.at(one) as client:
        there, back = start(one.migrate_to(other)), start(other.migrate_to(one))
        await client.follow_seamlessly(other)
        assert [each.followed for each in await result(there)] == [True]
        with pytest.raises(WrongState, match=NOT_HERE_YET):
            await back


async def test_a_server_that_waits_for_its_guest_sends_none_on() -> None:
    async with two_servers() as (source, target):
        source.expect_guest()
        with pytest.raises(WrongState, match=NOT_HERE_YET):
            await source.migrate_to(target)
        target.expect_guest()  # as a target it may wait
        source.let_go()
        assert await result(start(source.migrate_to(target))) == []
        assert not target._core.awaits_guest


# --- ends in the middle -----------------------------------------------------------------------------------------------


async def test_a_cancelled_migration_leaves_the_client_here() -> None:
    async with two_servers() as (source, target), Follower.at(source) as client:
        here = await source.wait_client()
        move = start(source.migrate_to(target))
        await client.link_seamlessly(target)
        await here.expect(MigrationConnected)
        move.cancel()
        # Cancelled where it stood: told to leave already, or not. A client that was told has nothing to stay for.
        with pytest.raises(asyncio.CancelledError):
            await move
        assert (await here.expect(MigrationFailed)).text.startswith("the migration was cancelled")


@pytest.mark.parametrize("asks", [False, True])
async def test_a_cancelled_client_is_not_parked_at_the_target(asks: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "CALL_OFF_TIMEOUT", 0.0)
    async with two_servers(shared=True) as (source, target), Follower.at(source) as client:
        move = start(source.migrate_to(target))
        await client.main.take(main.MigrateBeginSeamless)
        await client.link_there(target, asks=asks)
        move.cancel()
        with pytest.raises(asyncio.CancelledError):
            await move
        (there,) = target.clients
        if not asks:
            client.there[MAIN, 0].send(main.MigrateEnd())  # too late
        for channel in client.there.values():
            await channel.wait_end()
            await channel.close()
        assert not any(isinstance(event, ClientArrived) for event in there.events)
        target.set_compat_version("0.15")
        again = start(source.migrate_to(target))
        await client.main.take(main.MigrateBeginSeamless, 2)
        await client.follow_seamlessly(target)
        assert [(each.scheme, each.followed) for each in await result(again)] == [(SEAMLESS, True)]


async def test_who_could_not_link_in_time_is_not_parked_at_the_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moving, "CONNECT_TIMEOUT", 1.0)
    monkeypatch.setattr(migration, "CALL_OFF_TIMEOUT", 0.0)
    async with two_servers(shared=True) as (source, target), Follower.at(source) as client:
        move = start(source.migrate_to(target))
        await client.main.take(main.MigrateBeginSeamless)
        await client.link_there(target, asks=True)  # and does not say so
        await client.main.take(main.MigrateSwitchHost)
        for channel in client.there.values():
            await channel.wait_end()
            await channel.close()
        await client.follow_host(target)
        assert [(each.scheme, each.followed) for each in await result(move)] == [(SWITCH_HOST, True)]
        assert [member.session.is_arriving for member in target._core.roster] == [False]


async def test_who_is_only_parked_is_no_other_client() -> None:
    """It may be the same client, left behind by a cancelled migration that this server knows nothing of."""
    async with two_servers(shared=True) as (source, target), Follower.at(source) as client:
        left = await ProbeChannel.linked(target, MAIN, connection_id=77)
        left.send(main.MigrateDstDoSeamless(1))
        await left.take(main.MigrateDstSeamlessAck)
        move = start(source.migrate_to(Destination("127.0.0.1", target.port)))
        await client.follow_seamlessly(target)
        assert [(each.scheme, each.followed) for each in await result(move)] == [(SEAMLESS, True)]
        await left.close()


async def test_a_target_of_another_kind_has_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real one may still be making its display channel when a client has linked it."""
    monkeypatch.setattr(moving, "SETTLE_TIME", 60)
    async with two_servers() as (source, target), Follower.at(source) as client:
        here = await source.wait_client()
        move = start(source.migrate_to(Destination("127.0.0.1", target.port)))
        await client.link_seamlessly(target)
        await here.expect(MigrationConnected(SEAMLESS))
        client.inputs.send(inputs.KeyDown(0x1E))
        await here.expect(KeyDown(0x1E))
        assert not any(isinstance(message, base.Migrate) for message in client.main.received)
        move.cancel()
        with pytest.raises(asyncio.CancelledError):
            await move


async def test_cancelled_when_the_guest_is_there() -> None:
    """It ends as it would have: the guest is not here any more, and the client follows it."""
    async with two_servers() as (source, target), Follower.at(source) as client:
        source.displays[0].fill((0, 0, 30, 30), "red")
        here = await source.wait_client()
        move = start(source.migrate_to(target))
        await client.link_seamlessly(target)
        await client.flush()
        states = await client.states()
        for _ in range(2):
            move.cancel()
            await turns()
        assert not move.done()
        for (kind, number), state in states.items():
            client.there[kind, number].send(state)
        await client.leave()
        with pytest.raises(asyncio.CancelledError):
            await move
        there = await target.wait_client()
        await there.expect(ClientArrived(SEAMLESS))
        assert source.clients == []
        assert here._member.session.departure is not None
        assert not here._member.session.departure.failure
        assert target.displays[0].screenshot().pixels == source.displays[0].screenshot().pixels
        assert (source._core.move, target._core.move) == (None, None)


async def test_cancelled_while_it_links() -> None:
    async with two_servers() as (source, target), Follower.at(source) as client:
        move = start(source.migrate_to(target))
        await client.main.take(main.MigrateBeginSeamless)
        move.cancel()
        with pytest.raises(asyncio.CancelledError):
            await move
        await client.main.take(main.MigrateCancel)
        client.inputs.send(inputs.KeyDown(0x1E), inputs.KeyUp(0x9E))
        here = await source.wait_client()
        await here.expect(KeyUp(0x1E))
        again = start(source.migrate_to(target))
        await client.main.take(main.MigrateBeginSeamless, 2)
        await client.follow_seamlessly(target)
        assert [each.followed for each in await result(again)] == [True]


async def test_what_cannot_be_delivered_ends_the_migration() -> None:
    async def fails(_snapshot: bytes) -> None:
        raise OSError("the disk is full")

    async with two_servers() as (source, target), Follower.at(source) as client:
        here = await source.wait_client()
        move = start(source.migrate_to(Destination("127.0.0.1", target.port), deliver=fails))
        await client.link_seamlessly(target)
        await client.flush()
        with pytest.raises(MigrationAborted, match=f"{LOST}: the disk is full$") as caught:
            await result(move)
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.moved == [Moved(here.session_id, SEAMLESS, followed=False)]
        text = "the migration was cancelled after the client was told to leave"
        assert (await here.expect(MigrationFailed)).text == text
        assert (await here.expect(Disconnected)).reason == text
        await client.wait_end()


@pytest.mark.parametrize("scheme", FOLLOW, ids=lambda scheme: scheme.name)
async def test_a_guest_that_cannot_go_stays_and_is_nobodys(
    monkeypatch: pytest.MonkeyPatch, scheme: MigrationScheme
) -> None:
    """Its clients were told to leave, and are lost; the next one has all of it."""

    def refuse(_state: object) -> None:
        raise InvalidValue("not I")

    async with two_servers(scheme) as (source, target):
        monkeypatch.setattr(target._core, "load", refuse)
        async with Follower.at(source) as client:
            here = await source.wait_client()
            client.main.send(main.AgentStart(10))
            client.inputs.send(inputs.KeyDown(0x1E), inputs.MousePress(1, 1))
            await here.expect(KeyDown(0x1E))
            move = start(source.migrate_to(target))
            if scheme is SEAMLESS:
                await client.link_seamlessly(target)
                await client.flush()
            else:
                follow = asyncio.ensure_future(FOLLOW[scheme](client, target))
            with pytest.raises(MigrationAborted, match=f"{LOST}: not I$") as caught:
                await result(move)
            assert caught.value.moved == [Moved(here.session_id, scheme, followed=False)]
            assert source.clients == []
            if scheme is not SEAMLESS:
                follow.cancel()
                await asyncio.wait([follow])
        assert source.guest.keyboard.held == set()
        assert source.guest.pointer.buttons == 0
        assert source.guest.agent_client is None
        async with Follower.at(source) as client:
            await client.shows(source.displays[0])
            client.inputs.send(inputs.KeyDown(0x1E))
            await (await source.wait_client()).expect(KeyDown(0x1E))


async def test_a_guest_too_large_for_a_snapshot_is_refused_before_anybody_hears_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def deliver(_snapshot: bytes) -> None:
        raise AssertionError("it was refused")

    async with two_servers() as (source, target), Follower.at(source) as client:
        for limit in ("MAX_JSON", "MAX_BLOBS", "MAX_BODY", "MAX_OBJECTS"):
            monkeypatch.setattr(snapshot, limit, 1)
        with pytest.raises(InvalidValue, match=r"^a snapshot has at most 1 "):
            await source.migrate_to(Destination("127.0.0.1", target.port), deliver=deliver)
        await nothing_was_said(client)
        move = start(source.migrate_to(target))  # inside of a process there is no file, and no limit of one
        await client.follow_seamlessly(target)
        assert [(each.scheme, each.followed) for each in await result(move)] == [(SEAMLESS, True)]


async def test_a_guest_that_the_target_refuses_is_refused_before_anybody_hears_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with two_servers() as (source, target), Follower.at(source) as client:
        monkeypatch.setattr(guest_state, "MAX_NAME", 3)
        with pytest.raises(InvalidValue, match=r"^name: has 8 bytes, the limit is 3$"):
            await source.migrate_to(target)
        await nothing_was_said(client)
        assert not target._core.awaits_guest


class Thermometer:
    """A part that only one of two guests has."""

    degrees = 21

    def save(self) -> dict[str, Any]:
        return {"degrees": self.degrees}

    def load(self, state: Plain) -> Callable[[], None]:
        degrees = state.field("degrees").integer(-273, 100)
        return lambda: setattr(self, "degrees", degrees)


async def test_a_part_that_the_target_lacks_is_named_before_anybody_hears_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with two_servers() as (source, target), Follower.at(source) as client:
        monkeypatch.setattr(source.guest, "parts", {**source.guest.parts, "thermometer": Thermometer()})
        with pytest.raises(InvalidValue, match=r"^thermometer: the guest has no thermometer$"):
            await source.migrate_to(target)
        await nothing_was_said(client)
        assert not target._core.awaits_guest
        there = Thermometer()
        there.degrees = 0
        monkeypatch.setattr(target.guest, "parts", {**target.guest.parts, "thermometer": there})
        move = start(source.migrate_to(target))
        await client.follow_seamlessly(target)
        await result(move)
        assert there.degrees == 21


async def test_a_client_that_loses_its_channels_one_by_one_is_lost() -> None:
    """Those without a state are the last: what is missing of the others is not there because they are gone."""
    async with two_servers() as (source, target), Follower.at(source) as client:
        move = start(source.migrate_to(target))
        await client.link_seamlessly(target)
        here = source.clients[0]
        for kind in (DISPLAY, INPUTS, MAIN):
            await client.channels[kind, 0].take(base.Migrate)
            await client.channels.pop((kind, 0)).close()
            await here.expect(ChannelClosed(kind))
        await client.channels.pop((CURSOR, 0)).close()
        assert [each.followed for each in await result(move)] == [False]


@pytest.mark.parametrize("phase", ["begun", "linked", "frozen"])
@pytest.mark.parametrize("closed", ["source", "target"])
async def test_either_server_can_close_in_the_middle(closed: str, phase: str) -> None:
    """What is left behind is looked for by ``serving``."""
    async with two_servers() as (source, target), Follower.at(source) as client:
        move = start(source.migrate_to(target))
        await client.main.take(main.MigrateBeginSeamless)
        if phase != "begun":
            await client.link_there(target, asks=True)
        if phase == "frozen":
            client.main.send(main.MigrateConnectedSeamless())
            await client.main.take(base.Migrate)
        if closed == "source":
            await source.close()
            assert [each.followed for each in await result(move)] == [False]
            return
        await target.close()
        if phase == "frozen":
            await client.flush()
            with pytest.raises(MigrationAborted, match=f"{LOST}: {TARGET_CLOSED}$") as caught:
                await result(move)
            assert caught.value.moved == [Moved(client.session_id, SEAMLESS, followed=False)]
            await client.wait_end()
            return
        # The client says how it is: it cannot go there. Nor is it sent there.
        client.main.send(main.MigrateConnectError())
        with pytest.raises(WrongState, match=f"^{TARGET_CLOSED}$"):
            await result(move)
        client.inputs.send(inputs.KeyDown(0x1E))
        here = await source.wait_client()
        await here.expect(KeyDown(0x1E))


# --- snapshots --------------------------------------------------------------------------------------------------------


def guest_in(data: bytes) -> dict[str, Any]:
    guest: dict[str, Any] = snapshot.load(data)["guest"]
    return guest


@pytest.mark.parametrize("agent", [True, False])
async def test_a_server_made_of_a_snapshot_is_the_same(agent: bool) -> None:
    async with serving(displays=[SIZE, (30, 20)], title="a name", agent=agent) as server:
        surface = server.displays[1].create_surface(7, 5, has_alpha=True)
        server.displays[1].fill((0, 0, 4, 4), "red", surface=surface)
        server.displays[0].text((1, 1), "text", color="white")
        server.guest.cursor.move(9, 8)
        server.guest.type_scancodes(b"\x1e\x3a\xba")
        async with Follower.at(server):
            taken = server.snapshot()
    async with SpiceServer.from_snapshot(taken) as made:
        assert guest_in(made.snapshot()) == guest_in(taken)
        assert made.title == "a name"
        async with Follower.at(made) as client:
            await client.shows(made.displays[0])


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"guest": None}, "state: None is not a dictionary"),
        ({"more": 1}, "state: has the unknown field 'more'"),
        ({"sessions": {"x": {}}}, "sessions: 'x' is no session's id"),
        ({"sessions": {"00000001": {}}}, "sessions.00000001: has no field 'mouse_mode'"),
    ],
)
async def test_a_snapshot_of_no_server_is_refused(change: dict[str, Any], text: str) -> None:
    async with serving(displays=[SIZE]) as server:
        whole = snapshot.load(server.snapshot())
        before = guest_in(server.snapshot())
        with pytest.raises(InvalidValue) as caught:
            server.receive_guest(snapshot.dump({**whole, **change}))
        assert str(caught.value) == text
        with pytest.raises(InvalidValue):
            SpiceServer.from_snapshot(snapshot.dump({**whole, **change}))
        with pytest.raises(MalformedSnapshot):
            SpiceServer.from_snapshot(b"")
        assert guest_in(server.snapshot()) == before


async def test_what_a_snapshot_says_of_clients_is_checked() -> None:
    async with two_servers() as (source, target), Follower.at(source) as client:
        assert snapshot.load(source.snapshot())["sessions"] == {}  # what they have now is old when they come
        move = start(source.migrate_to(target))
        await client.link_seamlessly(target)
        await client.main.take(base.Migrate)
        whole = snapshot.load(source.snapshot())
        ((name, session),) = whole["sessions"].items()
        for path, value in (
            (("mouse_mode",), 3),
            (("multi_media_time",), -1),
            (("channels", "main:0"), {"reader": {}, "writer": {}, "tokens": {}}),
            (("channels",), {"x": {}}),
            (("channels", "smartcard:0"), None),
            (("channels", "inputs:0"), 1),
            (("channels", "display:x"), {}),
            (("channels", "display:0", "created"), [[0, 1, 1]]),
            (("channels", "display:0", "dirty"), [[0, -1, 0, 1, 1]]),
            (("channels", "display:0", "cache"), bytes(ENTRY.size - 1)),
            (("channels", "display:0", "cache"), bytes(ENTRY.size)),
            (("channels", "display:0", "cache"), ENTRY.pack(1, 1) * (MAX_ENTRIES + 1)),
            (("channels", "display:0", "mark_due"), 1),
        ):
            changed = snapshot.load(source.snapshot())
            place = changed["sessions"][name]
            for each in path[:-1]:
                place = place[each]
            place[path[-1]] = value
            with pytest.raises(InvalidValue, match=rf"^sessions\.{name}\.{path[0]}"):
                SpiceServer.from_snapshot(snapshot.dump(changed))
        assert session["channels"]["display:0"]["created"]
        with pytest.raises(InvalidValue, match=r"^sessions: is no dictionary of at most 1 entries$"):
            SpiceServer.from_snapshot(snapshot.dump({**whole, "sessions": {name: session, "00000001": session}}))
        move.cancel()
        await asyncio.wait([move])


# --- failures of ours: each is one client's, or one channel's ---------------------------------------------------------


class Broken(Exception):
    """Something of ours that raises."""


def failures_of(server: SpiceServer) -> list[Exception]:
    return [failure.error for failure in server._core.failures]


@pytest.mark.parametrize("raised", [Broken, HangUp])
@pytest.mark.parametrize(("at", "kind"), [(CURSOR, cursor.Init), (INPUTS, inputs.KeyDown)], ids=["open", "handle"])
async def test_a_parked_channel_that_cannot_begin_ends_alone(
    at: ChannelType, kind: type[Message], raised: type[Exception]
) -> None:
    error = raised("at the target")
    async with two_servers(SEMI) as (source, target), Follower.at(source) as client:
        target.add_tap(Raises(kind, error))
        move = start(source.migrate_to(target))
        await client.main.take(main.MigrateBegin)
        await client.link_there(target)
        (there,) = target.clients
        client.there[INPUTS, 0].send(inputs.KeyDown(0x1E))
        client.main.send(main.MigrateConnected())
        await client.main.take(main.MigrateEnd)
        await client.leave()
        client.there[MAIN, 0].send(main.MigrateEnd())
        assert [each.followed for each in await result(move)] == [True]
        await client.there[at, 0].until(lambda: client.there[at, 0].at_end)
        await until(lambda: ChannelClosed(at, 0) in there.events)
        assert there.connected
        assert failures_of(target) == ([error] if isinstance(error, Broken) else [])
        failed = [event for event in there.events if isinstance(event, ServerFailed)]
        assert [event.channel_type for event in failed] == ([at] if isinstance(error, Broken) else [])
        client.there[DISPLAY, 0].send(display.Init(1, CACHE_SIZE, 1, 0))
        await client.there[DISPLAY, 0].take(display.Mark)
        assert not any(client.there[other, 0].at_end for other in (MAIN, DISPLAY))


@pytest.mark.parametrize("raised", [Broken, HangUp])
@pytest.mark.parametrize("received", [False, True], ids=["let_go", "receive_guest"])
async def test_a_held_client_that_fails_does_not_hold_the_others(*, received: bool, raised: type[Exception]) -> None:
    error = raised("when let go")
    async with serving(displays=[SIZE]) as other:
        taken = other.snapshot()
    async with serving(displays=[SIZE], shared=True) as server:
        server.add_tap(Raises(main.Init, error, times=1))
        server.expect_guest()
        lines = []
        for _ in range(2):
            lines.append(await ProbeChannel.linked(server, MAIN, 0))
        await until(lambda: len(server.clients) == 2)
        first, second = server.clients
        if received:
            server.receive_guest(taken)
        else:
            server.let_go()
        await lines[1].take(main.Init)
        await first.wait_disconnected()
        assert second.connected
        assert failures_of(server) == ([error] if isinstance(error, Broken) else [])
        for line in lines:
            await line.close()


async def test_an_observer_that_raises_does_not_keep_a_guest_away() -> None:
    async with two_servers(SEMI) as (source, target), Follower.at(source) as client:
        client.inputs.send(inputs.KeyModifiers(1))
        await until(lambda: source.guest.keyboard.locks == 1)
        error = Broken("an observer")

        def observe(_event: object) -> None:
            raise error

        target.guest.subscribe(observe)
        move = start(source.migrate_to(target))
        await client.follow_semi_seamlessly(target)
        assert [each.followed for each in await result(move)] == [True]
        assert failures_of(target) == [error]
        assert not target._core.awaits_guest


async def test_a_migration_can_be_cancelled_when_one_client_has_left() -> None:
    async with (
        serving(displays=[SIZE], shared=True) as source,
        serving(displays=[SIZE], shared=True) as target,
        Follower.at(source) as one,
        Follower.at(source) as other,
    ):
        await until(lambda: len(source.clients) == 2)
        move = start(source.migrate_to(target))
        await one.main.take(main.MigrateBegin)
        await other.main.take(main.MigrateBegin)
        await one.close(abort=True)
        await until(lambda: len(source.clients) == 1)
        move.cancel()
        with pytest.raises(asyncio.CancelledError):
            await move
        await other.main.take(main.MigrateCancel)
        assert not target._core.awaits_guest
        move = start(source.migrate_to(target))
        await other.follow_seamlessly(target)
        assert [each.followed for each in await result(move)] == [True]


async def test_what_cannot_be_delivered_is_told_when_the_client_has_left() -> None:
    async def deliver(_snapshot: bytes) -> None:
        raise Broken("disk full")

    async with two_servers() as (source, target), Follower.at(source) as client:
        move = start(source.migrate_to(target, deliver=deliver))
        await client.main.take(main.MigrateBeginSeamless)
        await client.close(abort=True)
        with pytest.raises(MigrationAborted, match=f"{LOST}: disk full$"):
            await result(move)
        assert not target._core.awaits_guest


@pytest.mark.parametrize("kind", [main.MigrateBegin, main.MigrateEnd, main.MigrateCancel], ids=lambda it: it.__name__)
async def test_a_client_that_cannot_be_told_does_not_keep_the_others(kind: type[Message]) -> None:
    async with (
        serving(displays=[SIZE], shared=True, compat="0.10") as source,
        serving(displays=[SIZE], shared=True) as target,
        Follower.at(source) as one,
        Follower.at(source) as other,
    ):
        await until(lambda: len(source.clients) == 2)
        error = Broken("not told")
        source.add_tap(Raises(kind, error, times=1))
        first, second = source.clients
        move = start(source.migrate_to(target))
        if kind is main.MigrateBegin:
            await other.follow_semi_seamlessly(target)
            assert [each.followed for each in await result(move)] == [True]
        elif kind is main.MigrateEnd:
            await one.main.take(main.MigrateBegin)
            await one.link_there(target)
            one.main.send(main.MigrateConnected())
            await other.follow_semi_seamlessly(target)
            assert [each.followed for each in await result(move)] == [False, True]
        else:
            await other.main.take(main.MigrateBegin)
            move.cancel()
            with pytest.raises(asyncio.CancelledError):
                await move
            await other.main.take(main.MigrateCancel)
            assert second.connected
        await first.wait_disconnected()
        assert failures_of(source) == [error]
        assert not target._core.awaits_guest


async def test_a_channel_that_the_target_lacks_is_named_before_anybody_hears_of_it() -> None:
    tables = Tables(channels=[row for row in CHANNELS if row.type is not DISPLAY])
    async with two_servers(tables=tables) as (source, target), Follower.at(source) as client:
        text = rf"^sessions\.{client.session_id:08x}\.channels: 'display:0' is no channel that is served here$"
        with pytest.raises(InvalidValue, match=text):
            await source.migrate_to(target)
        await nothing_was_said(client)
        assert not target._core.awaits_guest


async def test_a_channels_state_that_the_target_refuses_is_named_before_anybody_hears_of_it() -> None:
    class Picky(DisplayChannel):
        @classmethod
        def check_saved(cls, state: Plain) -> None:
            raise state.wrong("is none of ours")

    rows = [replace(row, kind=Picky) if row.type is DISPLAY else row for row in CHANNELS]
    async with two_servers(tables=Tables(channels=rows)) as (source, target), Follower.at(source) as client:
        with pytest.raises(InvalidValue, match=r"channels\.display:0: is none of ours$"):
            await source.migrate_to(target)
        await nothing_was_said(client)
        assert not target._core.awaits_guest


async def test_what_a_target_lacks_is_nothing_to_a_client_that_takes_no_state_there() -> None:
    """It cannot link what is not there, says so, and is sent there anew, as ever."""
    tables = Tables(channels=[row for row in CHANNELS if row.type is not CURSOR])
    async with two_servers(SWITCH_HOST, tables=tables) as (source, target), Follower.at(source) as client:
        move = start(source.migrate_to(target))
        await client.main.take(main.MigrateSwitchHost)
        await client.leave()
        assert [each.followed for each in await result(move)] == [True]


CHILD = """
import asyncio, sys
from spiceemu import SpiceServer

async def main():
    async with SpiceServer(displays=[(64, 48)]) as server:
        server.expect_guest()
        print(server.port, flush=True)
        loop = asyncio.get_running_loop()
        size = int(await loop.run_in_executor(None, sys.stdin.buffer.readline))
        server.receive_guest(await loop.run_in_executor(None, sys.stdin.buffer.read, size))
        print("received", flush=True)
        client = await server.wait_client()
        while True:
            event = await client.next_event()
            if type(event).__name__ in ("ClientArrived", "KeyDown"):
                print(event, flush=True)
            if type(event).__name__ == "KeyDown":
                print(server.displays[0].screenshot().pixels.hex(), flush=True)
                return

asyncio.run(main())
"""


class Elsewhere:
    """As much of a server as a client needs to know that is in another process."""

    host = "127.0.0.1"
    tls_port = None

    def __init__(self, port: int) -> None:
        self.port = port


@pytest.mark.parametrize("scheme", [SEMI, SEAMLESS], ids=lambda scheme: scheme.name)
async def test_a_target_in_another_process(scheme: MigrationScheme) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 20
    )
    assert child.stdin is not None
    assert child.stdout is not None
    stdin, stdout = child.stdin, child.stdout

    async def deliver(taken: bytes) -> None:
        stdin.write(b"%d\n" % len(taken) + taken)
        assert await stdout.readline() == b"received\n"

    try:
        async with asyncio.timeout(3 * PATIENCE), serving(displays=[SIZE], compat=LEVELS[scheme]) as source:
            target: Any = Elsewhere(int(await stdout.readline()))
            source.displays[0].fill((5, 5, 20, 20), "steelblue")
            async with Follower.at(source) as client:
                move = start(source.migrate_to(Destination("127.0.0.1", target.port), deliver=deliver))
                await FOLLOW[scheme](client, target)
                assert [(each.scheme, each.followed) for each in await result(move)] == [(scheme, True)]
                client.there[INPUTS, 0].send(inputs.KeyDown(0x1E))
                assert (await stdout.readline()).decode().startswith(f"ClientArrived(scheme={scheme!r}")
                assert (await stdout.readline()).decode().startswith("KeyDown(scancode=30")
                there = bytes.fromhex((await stdout.readline()).decode())
                assert there == source.displays[0].screenshot().pixels
                shown = client.there[DISPLAY, 0]
                await shown.until(lambda: shown.painter.surfaces and shown.painter.primary.pixels == there)
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
