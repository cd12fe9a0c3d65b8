"""What ``docs/adding.md`` says, done from this file alone: a message, a codec, an operation, a channel.

Each addition is a class and a row. A capability with its feature is a bit of the proposal's closed mask: that one is a
patch, which is applied to a copy of the package.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from construct import Int8ul, Int32sl, Int32ul

import spiceemu
from spiceemu import AgentMessage, Display, Event, Guest, InvalidValue, SpiceServer, Tables
from spiceemu.channels.channel import Channel
from spiceemu.channels.handlers import Handlers
from spiceemu.channels.inputs import InputsChannel
from spiceemu.channels.lowering import LOWERINGS, OwnMessage, base_of
from spiceemu.channels.table import CHANNELS, ChannelRow, Opening
from spiceemu.codecs.table import CODECS, Codec
from spiceemu.drawing.canvas import PAINTERS
from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.operations import Operation
from spiceemu.guest.agent import HANDLERS, Agent
from spiceemu.guest.clipboard import Clipboard
from spiceemu.guest.displays import Displays
from spiceemu.guest.parts import PartRow, with_rows
from spiceemu.protocol.agent import message as agent_messages
from spiceemu.protocol.agent.stream import AgentReader, pieces_of
from spiceemu.protocol.capabilities import ChannelType, DisplayCap
from spiceemu.protocol.enums import BrushType, ImageType
from spiceemu.protocol.layout.fields import wire
from spiceemu.protocol.levels import channels as facts
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.levels.level import CURRENT, Level
from spiceemu.protocol.levels.needs import Need
from spiceemu.protocol.messages import display, draw, main
from spiceemu.protocol.messages.message import Message, message
from spiceemu.protocol.messages.types import Brush
from spiceemu.protocol.plain import Plain

from .protocol.inventing import inventing
from .server.follower import Follower
from .server.probe import Probe

TUNNEL = ChannelType.TUNNEL  # a number that the protocol has, and nobody serves
WEATHER_LEVEL = Level(CURRENT.features, channels={**facts.CHANNELS, TUNNEL: facts.ChannelFacts(CURRENT.features)})
SIZE = (64, 48)


@pytest.fixture(autouse=True)
def _forgotten_behind_it() -> Iterator[None]:
    with inventing():
        yield


# A message


async def test_a_message() -> None:
    @message(ChannelType.INPUTS, server=150, client=151, feature=Feature.PROTOCOL_MAJOR2)
    class Applause(Message):
        """Hands are clapped so many times."""

        hands: int = wire(Int8ul)

    @dataclass(frozen=True, slots=True)
    class Applauded(Event):
        """The client has clapped."""

        hands: int

    class Theatre(InputsChannel):
        """An inputs channel that hears clapping, and claps back."""

        def _on_applause(self, said: Applause, _now: float) -> Sequence[Event]:
            self.send(Applause(said.hands + 1))
            return (Applauded(said.hands),)

        handlers: Handlers = {**InputsChannel.handlers, Applause: _on_applause}

    def make(opening: Opening) -> Channel:
        return Theatre(opening.linked, opening.wake, locks=0, passage=opening.passage, taps=opening.shared.taps)

    rows = [ChannelRow(Theatre, make, place=3) if row.kind is InputsChannel else row for row in CHANNELS]
    async with SpiceServer(tables=Tables(channels=rows)) as server, Probe.of(server) as probe:
        client = await server.wait_client()
        probe.inputs.send(Applause(2))
        await client.expect(Applauded(2))
        assert await probe.inputs.take(Applause) == Applause(3)
        client.send(Applause(9))
        await probe.inputs.until(lambda: Applause(9) in probe.inputs.received)
        assert [str(each) for each in client.messages if isinstance(each.message, Applause)] == [
            "< inputs:0 inputs.Applause(hands=2)",
            "> inputs:0 inputs.Applause(hands=3)",
            "> inputs:0 inputs.Applause(hands=9)",
        ]


# An agent's message


async def test_an_agent_message() -> None:
    @agent_messages.agent_message(99, None)
    class Weather(agent_messages.AgentMessage):
        """Degrees outside."""

        degrees: int = wire(Int32sl)

    heard = []

    def on_weather(self: Agent, said: Weather) -> None:
        heard.append(said.degrees)
        self.say(Weather(said.degrees - 1))

    def make(made: Any) -> Agent:
        return Agent(made.part("clipboards", Clipboard), handlers={**HANDLERS, Weather: on_weather})

    tables = Tables(parts=with_rows(PartRow("agent", make)))
    async with SpiceServer(tables=tables) as server, Probe.of(server) as probe:
        client = await server.wait_client()
        probe.main.send(main.AgentStart(10))
        for piece in pieces_of(Weather(21)):
            probe.main.send(main.AgentData(piece))
        event = await client.expect(AgentMessage)
        assert (event.message, heard) == (Weather(21), [21])
        said = await probe.main.take(main.AgentData)
        (answer,) = AgentReader().receive_piece(said.data)
        assert answer.parse(agent_messages.PLAIN) == Weather(20)


# A codec


def counting_codec(calls: list[tuple[int, int]]) -> Codec:
    """LZ4's place taken by something much shorter, and what it is called with."""

    def encode(pixels: bytes, width: int, height: int) -> bytes:
        assert len(pixels) == width * height * 4
        calls.append((width, height))
        return b"short"

    return Codec("counting", ImageType.LZ4, Need(Feature.LZ4_COMPRESSION, DisplayCap.LZ4_COMPRESSION), encode, None)


@pytest.mark.parametrize("able", [True, False])
async def test_a_codec(able: bool) -> None:
    calls: list[tuple[int, int]] = []
    capabilities = [DisplayCap.MONITORS_CONFIG, *([DisplayCap.LZ4_COMPRESSION] if able else [])]
    tables = Tables(codecs=(counting_codec(calls), *CODECS))
    async with SpiceServer(displays=[SIZE], tables=tables) as server, Probe.of(server, channels=[]) as probe:
        client = await server.wait_client(ready=False)
        made = await probe.link(ChannelType.DISPLAY, capabilities=capabilities)
        made.painter.paint = lambda _message: None  # type: ignore[method-assign] # it cannot read what is invented
        made.send(display.Init(1, 1 << 20, 1, 0))
        picture = await made.take(draw.DrawCopy)
        await client.synced()
    kind = picture.data.src_bitmap.descriptor.type
    if able:
        assert kind == ImageType.LZ4
        assert picture.data.src_bitmap.u.data == b"short"
        assert calls == [SIZE]
    else:
        assert kind in (ImageType.LZ_RGB, ImageType.BITMAP)
        assert calls == []  # nothing is made that a client cannot take


# An operation


@dataclass(frozen=True, slots=True)
class Checks(Operation):
    """A box of one colour, every second row of it black."""

    color: int = 0


def paint_checks(_canvas: Any, surface: Any, operation: Checks) -> None:
    box = operation.box
    for row in range(box.height):
        surface.fill(Rect(box.x, box.y + row, box.width, 1), 0 if row % 2 else operation.color)


def displays_with_checks(made: Any) -> Displays:
    return Displays(made.sizes, {**PAINTERS, Checks: paint_checks})


@pytest.mark.parametrize("own", [True, False])
async def test_an_operation(own: bool) -> None:
    """With a row it travels as its own message, without one as the pixels of its box; the picture is the same."""

    def as_invers(operation: Checks, _surfaces: Any) -> Message:
        return draw.DrawFill(base_of(operation), draw.Fill(Brush(BrushType.SOLID, operation.color)))

    lowerings = {**LOWERINGS, Checks: OwnMessage(draw.DrawFill, as_invers)} if own else LOWERINGS
    tables = Tables(parts=with_rows(PartRow("displays", displays_with_checks)), lowerings=lowerings)
    async with SpiceServer(displays=[SIZE], tables=tables) as server, Probe.of(server) as probe:
        client = await server.wait_client()
        await client.synced()
        display: Display = server.displays[0]
        before = len(probe.display.received)
        display.draw(Checks(0, Rect(8, 8, 10, 4), color=0x336699))
        assert display.screenshot().pixels[(8 * 64 + 8) * 4 :][:4] == b"\x99\x66\x33\0"
        assert display.screenshot().pixels[(9 * 64 + 8) * 4 :][:4] == bytes(4)
        await client.synced()
        drawn = [each for each in probe.display.received[before:] if hasattr(each, "base")]
        assert [type(each) for each in drawn] == [draw.DrawFill if own else draw.DrawCopy]
        if not own:
            await probe.shows(display)


# A channel with its device


class Thermometer:
    """A device of the guest: what it shows moves with it."""

    def __init__(self) -> None:
        self.degrees = 20

    def save(self) -> dict[str, int]:
        return {"degrees": self.degrees}

    def load(self, state: Plain) -> Callable[[], None]:
        (degrees,) = state.fields("degrees")
        return partial(setattr, self, "degrees", degrees.integer(-273, 1000))


def thermometer_of(guest: Guest) -> Thermometer | None:
    found = guest.parts.get("thermometer")
    assert found is None or isinstance(found, Thermometer)
    return found


@dataclass(frozen=True, slots=True)
class Wished(Event):
    """The client would like it warmer, or colder."""

    degrees: int


@pytest.fixture
def weather() -> tuple[type[Any], type[Any], Tables]:
    """Two messages of an invented channel, and tables that have it with its device."""

    @message(TUNNEL, server=101, feature=Feature.PROTOCOL_MAJOR2)
    class Temperature(Message):
        """What the thermometer shows."""

        degrees: int = wire(Int32sl)

    @message(TUNNEL, client=101, feature=Feature.PROTOCOL_MAJOR2)
    class Wish(Message):
        """What the client would like it to show."""

        degrees: int = wire(Int32sl)
        urgency: int = wire(Int32ul)

    class WeatherChannel(Channel):
        """Shows a thermometer to one client."""

        type = TUNNEL

        def __init__(self, *where: Any, shown: Thermometer, **how: Any) -> None:
            super().__init__(*where, **how)
            self.shown = shown
            self.send(Temperature(shown.degrees))

        def _on_wish(self, wish: Wish, _now: float) -> Sequence[Event]:
            self.shown.degrees = wish.degrees
            self.send(Temperature(wish.degrees))
            return (Wished(wish.degrees),)

        handlers: Handlers = {Wish: _on_wish}

    def make(opening: Opening) -> Channel:
        shown = thermometer_of(opening.shared.guest)
        assert shown is not None
        taps = opening.shared.taps
        return WeatherChannel(opening.linked, opening.wake, shown=shown, passage=opening.passage, taps=taps)

    def count(guest: Guest) -> int:
        return int(thermometer_of(guest) is not None)

    row = ChannelRow(WeatherChannel, make, count, place=4)
    parts = with_rows(PartRow("thermometer", lambda _made: Thermometer()))
    return Temperature, Wish, Tables(channels=(*CHANNELS, row), parts=parts)


def weather_server(tables: Tables, **options: Any) -> SpiceServer:
    return SpiceServer(compat=WEATHER_LEVEL, tables=tables, displays=[SIZE], **options)


async def test_a_channel_talks_both_ways(weather: tuple[type[Any], type[Any], Tables]) -> None:
    temperature, wish, tables = weather
    async with weather_server(tables) as server, Probe.of(server, channels=[TUNNEL]) as probe:
        client = await server.wait_client(ready=False)
        channel = probe.channels[TUNNEL, 0]
        assert await channel.take(temperature) == temperature(20)
        channel.send(wish(25, 1))
        await client.expect(Wished(25))
        await channel.until(lambda: temperature(25) in channel.received)
        assert thermometer_of(server.guest).degrees == 25  # type: ignore[union-attr]
        client.channel("tunnel:0").send(temperature(-3))
        await channel.until(lambda: temperature(-3) in channel.received)
        listed = (await probe.main.take(main.ChannelsList)).channels
        assert (listed[-1].type, listed[-1].id) == (TUNNEL, 0)


async def test_a_guest_without_the_device_has_no_such_channel(weather: tuple[type[Any], type[Any], Tables]) -> None:
    *_, tables = weather
    without = tables._replace(parts=Tables().parts)
    async with weather_server(without) as server, Probe.of(server) as probe:
        await server.wait_client()
        listed = (await probe.main.take(main.ChannelsList)).channels
        assert TUNNEL not in [each.type for each in listed]


async def test_the_devices_state_survives_a_snapshot(weather: tuple[type[Any], type[Any], Tables]) -> None:
    *_, tables = weather
    async with weather_server(tables) as server:
        thermometer_of(server.guest).degrees = 31  # type: ignore[union-attr]
        taken = server.snapshot()
    made = SpiceServer.from_snapshot(taken, tables=tables, compat=WEATHER_LEVEL)
    assert thermometer_of(made.guest).degrees == 31  # type: ignore[union-attr]
    with pytest.raises(InvalidValue, match="thermometer: the guest has no thermometer"):
        SpiceServer.from_snapshot(taken)


async def test_the_devices_state_survives_a_migration_with_its_client(
    weather: tuple[type[Any], type[Any], Tables],
) -> None:
    temperature, wish, tables = weather
    async with weather_server(tables) as source, weather_server(tables) as target, Follower.at(source) as client:
        await client.link(TUNNEL)
        client.channels[TUNNEL, 0].send(wish(40, 1))
        await (await source.wait_client()).expect(Wished(40))
        move = asyncio.ensure_future(source.migrate_to(target))
        await client.follow_seamlessly(target)
        (moved,) = await move
        assert moved.followed
        assert thermometer_of(target.guest).degrees == 40  # type: ignore[union-attr]
        there = client.there[TUNNEL, 0]
        there.send(wish(41, 1))
        await there.until(lambda: temperature(41) in there.received)


async def test_a_target_without_the_device_refuses_by_name(weather: tuple[type[Any], type[Any], Tables]) -> None:
    *_, tables = weather
    async with weather_server(tables) as source, SpiceServer(displays=[SIZE]) as target, Follower.at(source) as client:
        here = await source.wait_client()
        with pytest.raises(InvalidValue, match="thermometer: the guest has no thermometer"):
            await source.migrate_to(target)
        assert here.connected
        await here.synced()
        assert not [each for each in client.main.received if type(each).__name__.startswith("Migrate")]


# A capability with its feature

PATCH = {
    "protocol/levels/compat.py": (
        ("    COMPOSITE = 1 << 16\n", "    COMPOSITE = 1 << 16\n    SMELL = 1 << 60\n"),
        (
            '    F.COMPOSITE: ("0.12.0",',
            '    F.SMELL: ("0.15.1", "what a display smells of"),\n    F.COMPOSITE: ("0.12.0",',
        ),
        (
            "    (ChannelType.DISPLAY, DisplayCap.MONITORS_CONFIG, F.MONITORS_CONFIG),\n",
            (
                "    (ChannelType.DISPLAY, DisplayCap.MONITORS_CONFIG, F.MONITORS_CONFIG),\n"
                "    (ChannelType.DISPLAY, DisplayCap.SMELL, F.SMELL),\n"
            ),
        ),
        (
            "    CompatVersion.V0_15: _V14 | F.OWN_MAIN_WORDS,\n",
            "    CompatVersion.V0_15: _V14 | F.OWN_MAIN_WORDS | F.SMELL,\n",
        ),
    ),
    "protocol/capabilities.py": (("    COMPOSITE = 2\n", "    COMPOSITE = 2\n    SMELL = 20\n"),),
}

PROGRAM = """
from spiceemu import Feature
from spiceemu.protocol.capabilities import ChannelType, DisplayCap
from spiceemu.protocol.levels.level import changed, level_of
new, old = level_of("0.15"), level_of("0.14")
assert new.has(Feature.SMELL) and not old.has(Feature.SMELL)
assert DisplayCap.SMELL in new.advertised(ChannelType.DISPLAY)
assert DisplayCap.SMELL in new.heeded(ChannelType.DISPLAY)
assert DisplayCap.SMELL not in old.heeded(ChannelType.DISPLAY)
assert changed(old, "+SMELL").has(Feature.SMELL)
print("it smells")
"""


def test_a_capability_with_its_feature(tmp_path: Path) -> None:
    package = Path(spiceemu.__file__).parent
    shutil.copytree(package, tmp_path / "spiceemu", ignore=shutil.ignore_patterns("__pycache__"))
    for name, changes in PATCH.items():
        file = tmp_path / "spiceemu" / name
        text = file.read_text()
        for before, after in changes:
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        file.write_text(text)
    told = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (told.stdout, told.stderr) == ("it smells\n", "")


def test_the_page_names_every_addition() -> None:
    page = (Path(__file__).resolve().parent.parent / "docs" / "adding.md").read_text()
    for heading in (
        *("A message", "A capability with its feature", "An agent's message", "A codec", "A draw operation"),
        *("A channel with its device", "A release", "A verb of the command"),
    ):
        assert f"## {heading}\n" in page
