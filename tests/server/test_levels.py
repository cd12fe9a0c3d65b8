"""What a server of some level says, takes and refuses, over real links."""

from __future__ import annotations

import pytest

from spiceemu import MousePosition, Violation
from spiceemu.errors import InvalidValue, NotCompatible, WrongState
from spiceemu.guest.display import Head
from spiceemu.protocol.capabilities import ChannelType, DisplayCap, from_words
from spiceemu.protocol.enums import BrushType, ImageType
from spiceemu.protocol.levels.compat import (
    FEATURES_MASK_V04,
    FEATURES_MASK_V06,
    FEATURES_MASK_V08,
    RELEASES,
    CompatVersion,
    Feature,
)
from spiceemu.protocol.levels.level import CURRENT, LEVELS, get_current_compat_version, get_supported_features, level_of
from spiceemu.protocol.messages import base, cursor, display, draw, inputs, main
from spiceemu.protocol.messages.message import Message
from spiceemu.protocol.messages.types import Brush, DisplayBase, Edges, Image, ImageDescriptor, Point16, SurfaceImage
from spiceemu.server import SpiceServer

from .probe import Probe, serving

EVERY_LEVEL = pytest.mark.parametrize("level", LEVELS)
MAIN, DISPLAY, INPUTS, CURSOR = ChannelType.MAIN, ChannelType.DISPLAY, ChannelType.INPUTS, ChannelType.CURSOR
PLAYBACK, RECORD = ChannelType.PLAYBACK, ChannelType.RECORD


@EVERY_LEVEL
async def test_link_replies_equal_the_table(level: str) -> None:
    everything = (0xFFFFFFFF,)
    options = {"channels": set(ChannelType), "capabilities": range(32)}
    async with serving(compat=level) as server, Probe.of(server, **options) as probe:
        assert {kind for kind, _ in probe.channels} == {MAIN, DISPLAY, INPUTS, CURSOR, PLAYBACK, RECORD}
        for (kind, _), channel in probe.channels.items():
            link = channel.link
            words = link.server_common_capabilities, link.server_channel_capabilities
            assert link.server_version == (2, server.level.minor)
            assert words == server.level.words(kind, everything)
            if level in RELEASES:
                assert words == server.level.words(kind, ())  # history knows no answers
            assert link.mini_header == server.level.has(Feature.MINI_HEADER)


@pytest.mark.parametrize("level", ["0.8", "0.10"])
async def test_monitors_config_is_offered_only_to_who_offers_it(level: str) -> None:
    async with serving(compat=level) as server:
        for asked in (set(), {DisplayCap.MONITORS_CONFIG}, {DisplayCap.SIZED_STREAM}):
            async with Probe.of(server, capabilities=asked) as probe:
                await probe.display.take(display.Mark)
                offered = from_words(probe.display.link.server_channel_capabilities)
                assert offered == asked & {DisplayCap.MONITORS_CONFIG}
                told = any(isinstance(each, display.MonitorsConfig) for each in probe.display.received)
                assert told == (DisplayCap.MONITORS_CONFIG in asked)


async def test_bits_that_a_level_does_not_know_count_for_nothing() -> None:
    async with serving(compat="0.8.3") as server, Probe.of(server, capabilities=range(32)) as probe:
        await probe.display.take(display.Mark)
        await probe.main.take(main.ChannelsList)
        kinds = {type(each) for channel in probe.channels.values() for each in channel.received}
        assert not kinds & {main.Name, main.Uuid, display.MonitorsConfig, base.List}
        client = await server.wait_client()
        assert client._member.session.channel(DISPLAY).client_capabilities == frozenset()
        assert client._member.session.main.client_capabilities == {0}


# The four calls


def test_the_calls_of_the_proposal() -> None:
    assert get_current_compat_version() == CompatVersion.V0_15
    assert [int(version) for version in CompatVersion][:3] == [0, 1, 2]
    assert (FEATURES_MASK_V04, FEATURES_MASK_V06, FEATURES_MASK_V08) == (1, 3, 7)
    server = SpiceServer()
    assert server.level == CURRENT
    server.set_compat_version(CompatVersion.V0_8)
    by_version = server.features
    server.enable_features(FEATURES_MASK_V08)
    assert server.features == by_version == 7 | Feature.MULTI_DISPLAY_CHANNELS | Feature.MONITORS_CONFIG
    server.enable_features(3)
    assert server.level == level_of("0.6")
    server.enable_features(get_supported_features())
    assert server.features == get_supported_features()
    assert server.level == CURRENT
    server.set_compat_version(2)  # as the proposal numbers them
    assert server.level.name == "0.8"
    server.set_compat_version("0.8.3")
    assert server.level.name == "0.8.3"


@pytest.mark.parametrize("wrong", [0, 2, 1 << 60 | 1, -1])
def test_masks_that_cannot_be(wrong: int) -> None:
    server = SpiceServer()
    with pytest.raises(InvalidValue, match="mask"):
        server.enable_features(wrong)
    assert server.level == CURRENT


@pytest.mark.parametrize("wrong", ["0.16", "0.5", "1", "", "newest", "0.15.2", 7, -1])
def test_levels_that_cannot_be(wrong: str) -> None:
    with pytest.raises(InvalidValue, match=r"0\.4, 0\.6, 0\.8"):
        SpiceServer(compat=wrong)


def test_features_on_top_of_a_level() -> None:
    server = SpiceServer(compat="0.6", features="+monitors_config,-SURFACES")
    assert server.features == Feature.PROTOCOL_MAJOR2 | Feature.MONITORS_CONFIG
    with pytest.raises(InvalidValue, match="major 1 is not implemented"):
        SpiceServer(features="-PROTOCOL_MAJOR2")


async def test_the_level_stays_while_a_client_is_connected() -> None:
    async with serving() as server:
        async with Probe.of(server):
            for change in (lambda: server.set_compat_version("0.8"), lambda: server.enable_features(3)):
                with pytest.raises(WrongState, match=r"0\.15\.1 stays while a client is connected"):
                    change()
            client = await server.wait_client()
        await client.wait_disconnected()
        server.set_compat_version("0.6")
        async with Probe.of(server) as probe:
            assert probe.main.link.server_version == (2, 0)


# By hand

RECT = Edges(0, 0, 4, 4)
DRAW = draw.DrawFill(DisplayBase(0, RECT), draw.Fill(Brush(BrushType.SOLID, 0)))


def surface_copy(surface_id: int, source: int) -> draw.DrawCopy:
    image = Image(ImageDescriptor(source, ImageType.SURFACE, 0, 4, 4), SurfaceImage(source))
    return draw.DrawCopy(DisplayBase(surface_id, RECT), draw.Copy(image, RECT))


@pytest.mark.parametrize(
    ("level", "message", "said"),
    [
        (
            "0.4",
            display.SurfaceCreate(1, 4, 4, 32, 0),
            "display.SurfaceCreate needs SURFACES, which level 0.4 does not have",
        ),
        ("0.4", surface_copy(0, 1), "image type SURFACE in display.DrawCopy needs SURFACES"),
        ("0.4", draw.DrawFill(DisplayBase(3, RECT), DRAW.data), "surface_id 3 in display.DrawFill needs SURFACES"),
        (
            "0.6",
            display.MonitorsConfig(1, ()),
            "display.MonitorsConfig needs MONITORS_CONFIG, which level 0.6 does not have",
        ),
        ("0.8.3", main.Uuid(bytes(16)), "main.Uuid needs NAME_AND_UUID, which level 0.8.3 does not have"),
        ("0.8.3", display.Mode(4, 4, 32), "display.Mode is not sent at level 0.8.3, which has SURFACES"),
        ("0.6", display.Reset(), "display.Reset is not sent at level 0.6, which has SURFACES"),
        ("0.10", base.List(b"\0\0"), "base.List needs MINI_HEADER, which level 0.10 does not have"),
        ("0.15.1", display.GlDraw(0, 0, 1, 1), "travels on plain unix sockets only"),
    ],
)
async def test_a_forbidden_message_by_hand_is_refused(level: str, message: Message, said: str) -> None:
    async with serving(compat=level) as server, Probe.of(server, capabilities=range(32)) as probe:
        await probe.display.take(display.Mark)
        client = await server.wait_client()
        kinds = message.spec.channels
        channel = client.channel("main:0" if len(kinds) > 1 else f"{kinds[0].name.lower()}:0")
        with pytest.raises(NotCompatible, match=said):
            channel.send(message)
        await client.synced()
        kinds = {type(each) for channel in probe.channels.values() for each in channel.received}
        assert type(message) not in kinds - {draw.DrawCopy}  # the screen itself was one


async def test_a_fault_on_purpose_goes_out() -> None:
    async with serving(compat="0.6") as server, Probe.of(server, capabilities=range(32)) as probe:
        await probe.display.take(display.Mark)
        client = await server.wait_client()
        client.send(display.MonitorsConfig(1, ()), as_fault=True)
        assert await probe.display.take(display.MonitorsConfig) == display.MonitorsConfig(1, ())


# From the client


async def test_a_message_that_the_level_does_not_know_ends_the_connection() -> None:
    async with serving(compat="0.8.3") as server, Probe.of(server) as probe:
        client = await server.wait_client()
        probe.inputs.send(inputs.KeyScancode(b"\x1e"))
        violation = await client.expect(Violation)
        assert violation.text == "inputs:0: inputs.KeyScancode needs KEY_SCANCODE, which level 0.8.3 does not have"
        await probe.inputs.wait_end()


@pytest.mark.parametrize("data", [inputs.KeyScancode(b"\x1e"), b"\x01\0\0\0\0\0\0\0\x63\0\0\0\0\0\0\0\0\0"])
async def test_a_lenient_server_passes_over_it(data: Message | bytes) -> None:
    async with serving(compat="0.8.3", strict=False) as server, Probe.of(server) as probe:
        client = await server.wait_client()
        if isinstance(data, bytes):
            probe.inputs.send_bytes(data)
        else:
            probe.inputs.send(data)
        await client.expect(Violation(INPUTS, 0))
        probe.inputs.send(inputs.MouseMotion(1, 2, 0), inputs.MouseMotion(1, 2, 0), inputs.MouseMotion(1, 2, 0))
        probe.inputs.send(inputs.MouseMotion(1, 2, 0))
        await probe.inputs.take(inputs.MouseMotionAck)


async def test_a_lenient_server_is_strict_about_what_it_knows() -> None:
    async with serving(strict=False) as server, Probe.of(server) as probe:
        probe.main.send(base.MigrateFlushMark())
        await probe.main.wait_end()


# Sound


@pytest.mark.parametrize(
    ("level", "client", "mode"),
    [
        ("0.4", {0}, 2),
        ("0.8.3", {0, 3}, 2),
        ("0.12.8", {0, 3}, 3),
        ("0.15.1", {0}, 1),
        ("0.15.1", {0, 3}, 3),
        ("0.6", (), 1),
    ],
)
async def test_a_playback_channel_says_how_it_would_encode(level: str, client: set[int], mode: int) -> None:
    async with serving(compat=level) as server, Probe.of(server) as probe:
        channel = await probe.link(PLAYBACK, capabilities=client)
        await channel.until(lambda: channel.received)
        (said,) = channel.received
        assert said.mode == mode


async def test_a_unix_socket_gets_no_bandwidth_test(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = str(tmp_path_factory.mktemp("s") / "s")
    async with serving(port=None, unix_path=path) as server, Probe.of(server) as probe:
        await probe.main.take(main.ChannelsList)
        assert not any(isinstance(each, base.Ping) for each in probe.main.received)


# One head


async def test_a_pointer_counts_from_the_head_that_the_client_sees() -> None:
    async with serving(compat="0.6") as server:
        server.guest.set_heads(0, [Head(1, 0, 0, 100, 100), Head(0, 100, 50, 200, 100)])
        async with Probe.of(server) as probe:
            client = await server.wait_client()
            probe.inputs.send(inputs.MousePosition(7, 8, 0, 0))
            await client.expect(MousePosition(7, 8))
            assert (server.guest.pointer.x, server.guest.pointer.y) == (107, 58)
            server.guest.cursor.move(150, 60)
            await probe.cursor.until(lambda: cursor.Move(Point16(50, 10)) in probe.cursor.received)
