"""The inputs channel: keys, mouse, locks."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from spiceemu.channels.inputs import MAX_SCANCODES, MOTION_ACK_BUNCH, InputsChannel, Scancodes
from spiceemu.errors import LimitExceeded, MalformedMessage
from spiceemu.events import KeyModifiers, MouseMotion, MousePosition, MousePress, MouseRelease
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.messages import base, inputs

from .far_side import FarSide, Wake, linked


def opened(locks: int = 0) -> tuple[InputsChannel, FarSide]:
    channel = InputsChannel(linked(ChannelType.INPUTS), Wake(), locks=locks)
    return channel, FarSide(channel)


def test_the_locks_come_first() -> None:
    _, far = opened(locks=5)
    assert far.read() == [inputs.Init(5)]


@pytest.mark.parametrize("kind", [inputs.KeyDown, inputs.KeyUp])
@pytest.mark.parametrize(
    ("code", "data"),
    [
        (0x1E, b"\x1e"),
        (0x48E0, b"\xe0\x48"),
        (0xC8E0, b"\xe0\xc8"),
        (0x451DE1, b"\xe1\x1d\x45"),
        (0x37E02AE0, b"\xe0\x2a\xe0\x37"),
        (0xFFFFFFFF, b"\xff\xff\xff\xff"),
        (0, b""),
        (0x1E00, b""),
        (0x1E002D, b"\x2d"),
    ],
)
def test_a_key_code_is_up_to_four_bytes_until_a_zero(kind: type[inputs.KeyDown], code: int, data: bytes) -> None:
    assert opened()[1].say(kind(code)) == [Scancodes(data)]


def test_scancodes_come_as_they_are() -> None:
    assert opened()[1].say(inputs.KeyScancode(b"\xe1\x00\x45")) == [Scancodes(b"\xe1\x00\x45")]


def test_scancodes_at_once_are_bounded() -> None:
    assert opened()[1].say(inputs.KeyScancode(bytes(MAX_SCANCODES))) == [Scancodes(bytes(MAX_SCANCODES))]
    with pytest.raises(LimitExceeded, match=f"inputs:0: {MAX_SCANCODES + 1} scancodes .* {MAX_SCANCODES}"):
        opened()[1].say(inputs.KeyScancode(bytes(MAX_SCANCODES + 1)))


def test_mouse() -> None:
    said = opened()[1].say(
        inputs.MouseMotion(-3, 4, 1),
        inputs.MousePosition(100, 200, 2, 1),
        inputs.MousePress(3, 4),
        inputs.MouseRelease(3, 0),
        inputs.MousePress(200, 0xFFFF),
    )
    assert said == [
        MouseMotion(-3, 4, 1),
        MousePosition(100, 200, 2, 1),
        MousePress(3, 4),
        MouseRelease(3, 0),
        MousePress(200, 0xFFFF),
    ]


def test_a_byte_too_many_is_no_harm() -> None:
    # spice-html5 sends one behind MOUSE_MOTION.
    assert opened()[1].say(inputs.MouseMotion(1, 2, 0, trailing=b"\0")) == [MouseMotion(1, 2, 0)]


@given(st.lists(st.booleans(), max_size=40))
def test_four_moves_of_either_kind_make_one_acknowledgement(moves: list[bool]) -> None:
    _, far = opened()
    far.read()
    acknowledged = 0
    for count, relative in enumerate(moves, start=1):
        far.say(inputs.MouseMotion(1, 1, 0) if relative else inputs.MousePosition(1, 1, 0, 0))
        acknowledged += far.read().count(inputs.MouseMotionAck())
        assert acknowledged == count // MOTION_ACK_BUNCH


def test_buttons_and_keys_are_not_acknowledged() -> None:
    _, far = opened()
    far.read()
    for _ in range(8):
        far.say(inputs.MousePress(1, 1), inputs.MouseRelease(1, 0), inputs.KeyDown(0x1E))
    assert far.read() == []


def test_locks_are_told_when_they_change() -> None:
    channel, far = opened(locks=1)
    far.read()
    channel.set_locks(1)
    assert far.read() == []
    channel.set_locks(3)
    assert far.read() == [inputs.KeyModifiers(3)]


def test_locks_that_the_client_set_are_not_told_back() -> None:
    channel, far = opened()
    far.read()
    assert far.say(inputs.KeyModifiers(4)) == [KeyModifiers(4)]
    channel.set_locks(4)
    assert far.read() == []
    channel.set_locks(0)
    assert far.read() == [inputs.KeyModifiers(0)]


def test_locks_may_change_while_nobody_reads() -> None:
    # Other clients' keys change them too, and no answer of this client bounds how often.
    channel, far = opened()
    far.read()
    for number in range(1, 10_000):
        channel.set_locks(number % 7)
    assert channel.unsent == 0
    assert far.read() == [inputs.KeyModifiers(9_999 % 7)]


def test_scancodes_are_at_least_one() -> None:
    with pytest.raises(MalformedMessage, match=r"inputs\.KeyScancode\.data at offset 0: no scancode"):
        opened()[1].say(inputs.KeyScancode(b""))


def test_there_is_no_window_here() -> None:
    channel, far = opened()
    assert far.say(base.Ack()) == []
    assert channel.window is None
