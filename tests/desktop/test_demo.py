"""The demo desktop on a server: clients see it, it sees clients, and idle it costs next to nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from spiceemu.channels.display import DisplayChannel
from spiceemu.codecs.compression import AUTO
from spiceemu.desktop.demo import client_info, run_demo
from spiceemu.desktop.desktop import Desktop
from spiceemu.desktop.look import lay_out
from spiceemu.events import MouseRelease
from spiceemu.guest.machine import Guest
from spiceemu.protocol.capabilities import ChannelType, DisplayCap
from spiceemu.protocol.messages import display, inputs
from spiceemu.server import SpiceServer

from ..channels.far_side import FarSide, Wake, linked
from ..server.probe import Probe, serving

NOON = datetime(2025, 11, 23, 12, 0, 0)

MOST_IDLE_BYTES = 12_000
"""A minute in which nobody does anything, on the display channel."""


@contextlib.asynccontextmanager
async def showing(**options: object) -> AsyncIterator[SpiceServer]:
    """A server with the demo desktop."""
    async with serving(**options) as server:
        demo = asyncio.create_task(run_demo(server))
        try:
            yield server
        finally:
            demo.cancel()
            with pytest.raises(asyncio.CancelledError):
                await demo
            assert list(server.displays[0].surfaces) == [0]


async def test_a_client_sees_what_it_types_and_drags() -> None:
    async with showing() as server, Probe.of(server) as probe:
        client = await server.wait_client()
        shown = server.displays[0]
        probe.inputs.send(inputs.KeyDown(0x23), inputs.KeyUp(0xA3))
        card = lay_out(shown.primary.bounds).card
        probe.inputs.send(
            inputs.MousePosition(card.x + 9, card.y + 9, 0, 0),
            inputs.MousePress(1, 1),
            inputs.MousePosition(card.x - 30, card.y + 5, 1, 0),
            inputs.MouseRelease(1, 0),
        )
        await client.expect(MouseRelease)
        await probe.shows(shown)
        kinds = Counter(type(message).__name__ for message in probe.display.received)
        assert kinds["CopyBits"] == 1
        assert kinds["SurfaceCreate"] == 4


async def test_a_client_that_comes_while_it_is_shown_gets_one_picture() -> None:
    async with showing() as server:
        await asyncio.sleep(0)
        async with Probe.of(server) as probe:
            await server.wait_client()
            await probe.shows(server.displays[0])
            assert sum(isinstance(message, display.Mark) for message in probe.display.received) == 1


async def test_what_is_shown_of_a_client() -> None:
    async with serving() as server, Probe.of(server):
        client = await server.wait_client()
        info = client_info(client)
        assert info.name == f"{client.session_id:08x}"
        assert info.facts == ("SPICE 2.2", "mini header", "server mouse mode", "as 0.15.1")
        shown = {channel.name: (channel.secure, channel.capabilities) for channel in info.channels}
        assert list(shown) == ["main:0", "display:0", "inputs:0", "cursor:0"]
        assert shown["main:0"] == (False, ("name_and_uuid", "agent_connected_tokens"))
        assert shown["display:0"] == (False, ("monitors_config",))
        assert shown["cursor:0"] == (False, ())
        client._member.session.set_mouse_mode(2)
        assert client_info(client).facts[2] == "client mouse mode"


async def test_it_is_drawn_at_each_full_second(monkeypatch: pytest.MonkeyPatch) -> None:
    moments: list[datetime] = []
    waits: list[float] = []
    seen: list[int] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise asyncio.CancelledError

    monkeypatch.setattr("spiceemu.desktop.demo.asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(Desktop, "tick", lambda _, now: moments.append(now))
    monkeypatch.setattr(Desktop, "show_clients", lambda _, clients: seen.append(len(clients)))
    async with serving() as server:
        with pytest.raises(asyncio.CancelledError):
            await run_demo(server)
        assert list(server.displays[0].surfaces) == [0]
    assert seen == [0, 0, 0]
    for moment, wait in zip(moments, waits, strict=True):
        assert 0 < wait <= 1
        assert (moment + timedelta(seconds=wait)).microsecond in (0, 999_999, 1)


def test_an_idle_minute_is_a_few_kilobytes() -> None:
    guest = Guest(agent=False)
    desktop = Desktop(guest)
    desktop.tick(NOON)
    link = linked(ChannelType.DISPLAY, capabilities=[DisplayCap.MONITORS_CONFIG])
    channel = DisplayChannel(link, Wake(), shown=guest.displays[0], compression=AUTO, now=0.0)
    far = FarSide(channel)
    far.say(display.Init(1, 1 << 22, 1, 0))
    far.read()
    far.received.clear()
    total = 0
    for second in range(1, 61):
        desktop.tick(NOON + timedelta(seconds=second))
        while buffers := channel.data_to_send():
            data = b"".join(buffers)
            total += len(data)
            _, answer = far.conversation.receive_data(data)
            far.say_bytes(answer)
    assert 1000 < total < MOST_IDLE_BYTES
    assert {type(message).__name__ for message in far.received} == {"DrawFill"}
