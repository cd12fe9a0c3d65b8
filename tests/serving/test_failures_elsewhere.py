"""Failures of ours at the places where nobody looks: before a channel, behind its end, on a clock, in a tap."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from spiceemu import (
    ChannelClosed,
    Disconnected,
    Event,
    HangUp,
    LimitExceeded,
    ServerFailed,
    SpiceServer,
    Violation,
    WireTap,
)
from spiceemu.channels.display import DisplayChannel
from spiceemu.channels.inputs import InputsChannel
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.messages import cursor, inputs, main
from spiceemu.serving import core
from spiceemu.sessions.agent import AgentTalk
from spiceemu.sessions.failures import MAX_FAILURES, Failure, keep

from ..server.probe import Probe, until
from ..server.raising import Raises

CURSOR, DISPLAY, INPUTS, MAIN = ChannelType.CURSOR, ChannelType.DISPLAY, ChannelType.INPUTS, ChannelType.MAIN


class Broken(Exception):
    """What goes wrong in these tests."""


def break_display(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the guest draws raises where the display channel hears of it."""

    def raising(_self: DisplayChannel, _change: object) -> None:
        raise Broken("not drawn")

    monkeypatch.setattr(DisplayChannel, "_on_change", raising)


async def test_what_failed_unasked_is_told_when_the_client_is_sent_away(monkeypatch: pytest.MonkeyPatch) -> None:
    break_display(monkeypatch)
    told: list[Event] = []
    with pytest.raises(Broken, match="not drawn"):
        async with SpiceServer() as server, Probe.of(server):
            client = await server.wait_client()
            server.displays[0].fill((0, 0, 8, 8), "red")  # does not raise: who draws is not to blame
            client.disconnect()
            told = [each for each in client.events if isinstance(each, ServerFailed)]
    assert told == [ServerFailed(DISPLAY, 0)]


async def test_what_failed_unasked_is_told_when_the_server_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    break_display(monkeypatch)
    probe, drawn = None, False
    with pytest.raises(Broken, match="not drawn"):
        async with SpiceServer() as server:
            probe = Probe(server)
            await probe.connect()
            await server.wait_client()
            server.displays[0].fill((0, 0, 8, 8), "red")
            drawn = True
    assert drawn
    assert probe is not None
    await probe.close()


async def test_a_client_whose_first_channel_fails_is_no_ghost() -> None:
    async with SpiceServer() as server:
        server.add_tap(Raises(main.Init, Broken("no beginning")))
        waiting = asyncio.ensure_future(server.wait_client(ready=False))
        with pytest.raises((ConnectionError, AssertionError)):
            async with Probe.of(server):
                pass
        with pytest.raises(Broken, match="no beginning"):
            await waiting
        assert server.clients == []
        server.set_compat_version("0.8")  # which is refused while anybody is there
        assert len(server._core.failures) == 1


async def test_a_failure_of_a_channel_that_does_not_begin_is_its_clients() -> None:
    async with SpiceServer() as server:
        server.add_tap(Raises(cursor.Init, Broken("no cursor")))
        async with Probe.of(server, channels=[DISPLAY, INPUTS]) as probe:
            client = await server.wait_client()
            with pytest.raises((ConnectionError, AssertionError)):
                await (await probe.link(CURSOR)).take(cursor.Init)
            await client.expect(ServerFailed(CURSOR, 0))
            with pytest.raises(Broken):
                await client.synced()  # with a channel missing nobody is in step
            assert len(server._core.failures) == 1


async def test_a_tap_may_hang_up_at_the_first_message() -> None:
    async with SpiceServer() as server:
        server.add_tap(Raises(cursor.Init, HangUp("no cursor here")))
        async with Probe.of(server, channels=[DISPLAY, INPUTS]) as probe:
            client = await server.wait_client()
            with pytest.raises((ConnectionError, AssertionError)):
                await (await probe.link(CURSOR)).take(cursor.Init)
            await until(lambda: ChannelClosed(CURSOR, 0, "no cursor here") in client.events)
            await client.synced()
            assert not [each for each in client.events if isinstance(each, ServerFailed)]


async def test_the_clock_goes_on_when_a_deadline_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "TICK", 0.01)
    ticks = []

    def raising(_self: InputsChannel, _now: float) -> None:
        raise Broken("no time")

    def counting(_self: DisplayChannel, now: float) -> None:
        ticks.append(now)

    monkeypatch.setattr(DisplayChannel, "check_time", counting)
    async with SpiceServer() as server, Probe.of(server):
        client = await server.wait_client()
        monkeypatch.setattr(InputsChannel, "check_time", raising)
        with pytest.raises(Broken, match="no time"):
            await client.expect(Disconnected)
        known = len(ticks)
        await until(lambda: len(ticks) > known + 2)
        assert client.connected


async def test_an_observer_that_blames_the_client_is_not_believed() -> None:
    def on_key(event: Any) -> None:
        if event.pressed:
            raise LimitExceeded("too many keys, says the observer")

    with pytest.raises(LimitExceeded, match="says the observer"):
        async with SpiceServer() as server:
            server.guest.subscribe(on_key)
            async with Probe.of(server) as probe:
                client = await server.wait_client()
                probe.inputs.send(inputs.KeyDown(30))
                await until(lambda: ChannelClosed(INPUTS) in client.events)
                assert ServerFailed(INPUTS, 0) in client.events
                assert not [each for each in client.events if isinstance(each, Violation)]


async def test_a_client_whose_end_fails_is_gone_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(_self: AgentTalk) -> None:
        raise Broken("no farewell")

    with pytest.raises(Broken, match="no farewell"):
        async with SpiceServer() as server:
            async with Probe.of(server):
                client = await server.wait_client()
                monkeypatch.setattr(AgentTalk, "leave", raising)
            await until(lambda: not server.clients)
            assert Disconnected() in client.events
            assert [each for each in client.events if isinstance(each, ServerFailed)]


async def test_what_fails_behind_a_clients_end_is_raised_by_the_server() -> None:
    class Late(WireTap):
        def closed(self, wire: Any, _reason: str) -> None:
            if wire.channel == "main:0":
                raise Broken("too late")

    with pytest.raises(Broken, match="too late"):
        async with SpiceServer() as server:
            server.add_tap(Late())
            async with Probe.of(server):
                client = await server.wait_client()
            await client.wait_disconnected()
            await until(lambda: server._core.failures)


def test_what_nobody_has_seen_is_remembered_longest() -> None:
    kept: list[Failure] = []
    for number in range(MAX_FAILURES):
        keep(kept, Failure(Broken(number)))
    first = kept[0]
    first.raised()
    keep(kept, Failure(Broken("in its place")))
    assert len(kept) == MAX_FAILURES
    assert first not in kept
    keep(kept, Failure(Broken("one too many")))
    assert [str(each.error) for each in kept[-2:]] == [str(MAX_FAILURES - 1), "in its place"]
