"""The trace of messages: what it says, and that the environment asks every server for it."""

from __future__ import annotations

import re

import pytest

from spiceemu import KeyDown, MessageTap, SpiceServer
from spiceemu.channels.inputs import InputsChannel
from spiceemu.channels.tap import Taps
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import MouseMode
from spiceemu.protocol.messages import base, inputs, main
from spiceemu.sessions.trace import Trace

from ..channels.far_side import FarSide, Wake, linked
from ..server.probe import Probe


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def far(lines: list[str]) -> FarSide:
    return FarSide(InputsChannel(linked(ChannelType.INPUTS), Wake(), locks=0, taps=Taps([Trace(lines.append)])))


def test_each_message_is_a_line_with_its_way_and_its_channel(far: FarSide, lines: list[str]) -> None:
    far.read_once()
    far.say(inputs.KeyDown(30))
    assert [re.sub(r"^(.) \[[0-9a-f]{8} ", r"\1 [... ", line) for line in lines] == [
        "> [... inputs:0] inputs.Init(keyboard_modifiers=0)",
        "< [... inputs:0] inputs.KeyDown(code=30)",
    ]


def test_what_is_long_is_told_by_its_size(far: FarSide, lines: list[str]) -> None:
    far.channel.send(base.Ping(1, 2, bytes(100_000)))
    far.read_once()
    assert lines[-2].endswith("base.Ping(id=1, timestamp=2, data=<100000 bytes>)")


def test_flags_are_shown_by_their_names_whether_read_or_made() -> None:
    mode = MouseMode.SERVER | MouseMode.CLIENT
    assert "supported_modes=SERVER|CLIENT, current_mode=CLIENT" in repr(main.MouseMode(mode, MouseMode.CLIENT))
    introduction = main.Init(1, 1, mode, MouseMode.CLIENT, 0, 0, 0, 0)
    assert "supported_mouse_modes=SERVER|CLIENT, current_mouse_mode=CLIENT" in repr(introduction)


@pytest.mark.parametrize("value", ["1", "0", None])
async def test_the_environment_asks_every_server(
    value: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if value is None:
        monkeypatch.delenv("SPICEEMU_TRACE", raising=False)
    else:
        monkeypatch.setenv("SPICEEMU_TRACE", value)
    async with SpiceServer() as server, Probe.of(server) as probe:
        client = await server.wait_client()
        probe.inputs.send(inputs.KeyDown(30))
        await client.expect(KeyDown(30))
        label = f"{client.session_id:08x}"
    story = capsys.readouterr().err
    if value == "1":
        assert story.startswith(f"> [{label} main:0] main.Init(session_id={client.session_id}, ")
        assert f"< [{label} inputs:0] inputs.KeyDown(code=30)\n" in story
    else:
        assert story == ""


def test_it_is_a_tap_like_any_other() -> None:
    assert issubclass(Trace, MessageTap)
