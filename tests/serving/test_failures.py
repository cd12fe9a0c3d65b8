"""Failures of ours: whoever waits is told, and no client is blamed for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from spiceemu import ChannelClosed, KeyDown, ServerFailed, SpiceServer, Violation
from spiceemu.channels.encoding import DrawEncoder
from spiceemu.channels.inputs import InputsChannel
from spiceemu.guest.keyboard import KeyEvent
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.messages import inputs

from ..server.probe import PATIENCE, Probe, until

DISPLAY, INPUTS = ChannelType.DISPLAY, ChannelType.INPUTS


class Broken(Exception):
    """What goes wrong in these tests."""


@asynccontextmanager
async def two_clients(server: SpiceServer) -> AsyncIterator[tuple[Probe, Probe]]:
    """Two clients of a server that listens; the second comes when the first is known."""
    async with Probe.of(server) as first:
        await until(lambda: len(server.clients) == 1)
        async with Probe.of(server) as second:
            await until(lambda: len(server.clients) == 2)
            yield first, second


def break_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """A message that raises while it is made, because its codec does."""
    whole = DrawEncoder.messages

    def raising(self: DrawEncoder, drawable: Any, *rest: Any) -> Any:
        if getattr(drawable, "color", None) == 0xBADBAD:
            raise Broken("no such colour")
        return whole(self, drawable, *rest)

    monkeypatch.setattr(DrawEncoder, "messages", raising)


def break_handler(monkeypatch: pytest.MonkeyPatch, _server: SpiceServer) -> None:
    """A handler of the inputs channel that raises for one key."""
    whole = InputsChannel.handlers[inputs.KeyDown]

    def raising(channel: Any, message: Any, now: float) -> Any:
        if message.code == 0x30:
            raise Broken("no such key")
        return whole(channel, message, now)

    monkeypatch.setitem(InputsChannel.handlers, inputs.KeyDown, raising)  # type: ignore[arg-type]
    monkeypatch.setattr("spiceemu.channels.handlers._tables", {})


def break_observer(_monkeypatch: pytest.MonkeyPatch, server: SpiceServer) -> None:
    """An observer of the guest that raises for one key."""

    def on_key(event: Any) -> None:
        if getattr(event, "scancode", None) == 0x30 and event.pressed:
            raise Broken("no such key")

    server.guest.subscribe(on_key)


KINDS = {"handler": break_handler, "observer": break_observer}


@pytest.mark.parametrize("kind", KINDS)
async def test_an_error_of_ours_is_told_everywhere_and_harms_nobody_else(
    kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    server = SpiceServer(shared=True)
    KINDS[kind](monkeypatch, server)
    async with server, two_clients(server) as (probe, other):
        client, beside = await server.wait_client(), await server.wait_client()
        assert client.session_id == probe.session_id
        waiting = [asyncio.ensure_future(client.expect(KeyDown(0x31), timeout=PATIENCE)) for _ in range(2)]
        await asyncio.sleep(0)
        probe.inputs.send(inputs.KeyDown(0x30))
        for each in waiting:
            with pytest.raises(Broken) as caught:
                await each
        with pytest.raises(Broken):
            await client.synced()
        event = next(each for each in client.events if isinstance(each, ServerFailed))
        assert event == ServerFailed(INPUTS, 0)
        assert event.error is caught.value
        assert "Broken: no such key" in event.text
        assert ("on_key" in event.text) is (kind == "observer")
        assert not [each for each in client.events if isinstance(each, Violation)]
        await client.expect(ChannelClosed(INPUTS))
        assert client.connected
        assert not [each for each in caplog.records if each.name == "asyncio" and each.levelname == "ERROR"]
        (record,) = [each for each in caplog.records if each.exc_info and each.exc_info[1] is event.error]
        assert record.levelname == "ERROR"
        assert "failure of the server, not of the client: Broken: no such key" in record.message
        other.inputs.send(inputs.KeyDown(0x31))
        await beside.expect(KeyDown(0x31))
        await beside.synced()


async def test_a_message_that_raises_while_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    server = SpiceServer()
    async with server, Probe.of(server):
        client = await server.wait_client()
        await client.synced()
        break_message(monkeypatch)
        waiting = asyncio.ensure_future(client.synced())
        await asyncio.sleep(0)
        server.displays[0].fill((0, 0, 8, 8), 0xBADBAD)
        with pytest.raises(Broken):
            await client.synced()
        with pytest.raises(Broken):
            await waiting
        with pytest.raises(Broken):
            await client.expect(KeyDown)
        assert ServerFailed(DISPLAY, 0) in client.events


async def test_what_nobody_saw_is_raised_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Broken, match="no such key"):
        async with SpiceServer() as server:
            break_observer(monkeypatch, server)
            async with Probe.of(server) as probe:
                client = await server.wait_client()
                probe.inputs.send(inputs.KeyDown(0x30))
                await until(lambda: ServerFailed(INPUTS, 0) in client.events)


async def test_what_the_test_raises_itself_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyError):
        async with SpiceServer() as server:
            break_observer(monkeypatch, server)
            async with Probe.of(server) as probe:
                client = await server.wait_client()
                probe.inputs.send(inputs.KeyDown(0x30))
                await until(lambda: ServerFailed(INPUTS, 0) in client.events)
                raise KeyError("the test's own")


async def test_several_that_nobody_saw_are_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        async with SpiceServer(shared=True) as server:
            break_observer(monkeypatch, server)
            async with two_clients(server) as probes:
                for probe in probes:
                    probe.inputs.send(inputs.KeyDown(0x30))
                await until(lambda: all(ServerFailed(INPUTS, 0) in client.events for client in server.clients))
    assert [type(each) for each in caught.value.exceptions] == [Broken, Broken]


async def test_an_expectation_of_the_failure_itself_has_seen_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with SpiceServer() as server:
        break_observer(monkeypatch, server)
        async with Probe.of(server) as probe:
            client = await server.wait_client()
            probe.inputs.send(inputs.KeyDown(0x30))
            failed = await client.expect(ServerFailed)
            assert isinstance(failed.error, Broken)


async def test_what_came_before_the_failure_is_found_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async with SpiceServer() as server:
        break_observer(monkeypatch, server)
        async with Probe.of(server) as probe:
            client = await server.wait_client()
            probe.inputs.send(inputs.KeyDown(0x1E), inputs.KeyDown(0x30))
            await until(lambda: ServerFailed(INPUTS, 0) in client.events)
            await client.expect(KeyDown(0x1E))
            with pytest.raises(Broken):
                await client.expect(KeyDown(0x30))


async def test_who_waits_for_the_client_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async with SpiceServer() as server:
        monkeypatch.setattr(DrawEncoder, "picture", lambda *_: (_ for _ in ()).throw(Broken("no picture")))
        waiting = asyncio.ensure_future(server.wait_client())
        await asyncio.sleep(0)
        async with Probe.of(server):
            with pytest.raises(Broken, match="no picture"):
                await waiting


async def test_a_failure_before_there_is_a_client(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise Broken("no link")

    with pytest.raises(Broken, match="no link"):
        async with SpiceServer() as server:
            monkeypatch.setattr(server._core._policy, "check_session", broken)
            with pytest.raises(ConnectionError):
                async with Probe.of(server):
                    pass
            await until(lambda: server._core.failures)


async def test_an_observer_that_raises_when_keys_are_released() -> None:
    """Nobody sent anything then: the keys go up because their channel is gone, and the client goes on."""
    with pytest.raises(Broken, match="not up"):
        async with SpiceServer() as server:

            def on_key(event: Any) -> None:
                if isinstance(event, KeyEvent) and not event.pressed:
                    raise Broken("not up")

            server.guest.subscribe(on_key)
            async with Probe.of(server) as probe:
                client = await server.wait_client()
                probe.inputs.send(inputs.KeyDown(0x1E))
                await client.expect(KeyDown(0x1E))
                await probe.inputs.close()
                await until(lambda: ChannelClosed(INPUTS, 0) in client.events)
                assert ServerFailed(INPUTS, 0) in client.events
                assert not server.guest.keyboard.held
                server.guest._observers.clear()
