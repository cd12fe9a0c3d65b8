"""A display that becomes what another one was, while clients look at it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from spiceemu.channels import display as display_module
from spiceemu.channels.display import MAX_QUEUED, DisplayChannel
from spiceemu.codecs.compression import COMPRESSIONS, OFF
from spiceemu.guest.display import Display
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.levels.level import level_of
from spiceemu.protocol.messages.message import Message
from spiceemu.protocol.plain import Plain

from .far_side import FarSide, Wake, linked
from .painter import Painter
from .test_display import INIT, Action, Shown, actions


def state_after(script: list[Action]) -> dict[str, Any]:
    source = Display(0, 40, 30)
    for act in script:
        act(source)
    return source.save()


@pytest.mark.parametrize("queued", [MAX_QUEUED, 3])
@given(
    mine=st.lists(actions(), max_size=15),
    before=st.lists(actions(), max_size=15),
    later=st.lists(actions(), max_size=5),
    read_first=st.booleans(),
    compression=st.sampled_from(COMPRESSIONS),
)
@settings(max_examples=60)
def test_the_client_shows_what_the_display_became(
    queued: int,
    mine: list[Action],
    before: list[Action],
    later: list[Action],
    read_first: bool,
    compression: str,
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(display_module, "MAX_QUEUED", queued)
        guest = Display(0, 40, 30)
        shown = Shown(guest, compression=compression)
        for act in before:
            act(guest)
        if read_first:
            shown.read()
        state = state_after(mine)
        guest.load(Plain(state))()
        assert guest.save() == state
        shown.read()
        shown.assert_same()
        assert shown.painter.marked
        assert shown.painter.heads == [(head.id, head.x, head.y, head.width, head.height) for head in guest.heads]
        for act in later:
            act(guest)
        for number in sorted(guest.surfaces):
            if number:
                guest.copy_surface(number, (0, 0, 50, 50), (0, 0))
        shown.read()
        shown.assert_same()


class OneHead(FarSide):
    """A client of a level without MONITORS_CONFIG, which paints what it gets."""

    def __init__(self, guest: Display, level: str) -> None:
        self.guest = guest
        self.painter = Painter()
        self.display = DisplayChannel(
            linked(ChannelType.DISPLAY, mini=False, level=level_of(level)),
            Wake(),
            shown=guest,
            compression=OFF,
            now=0.0,
        )
        super().__init__(self.display, mini=False)
        self.say(INIT)

    def read_once(self, now: float = 0.0) -> list[Message]:
        messages = super().read_once(now)
        for message in messages:
            self.painter.paint(message)
        return messages

    def assert_same(self) -> None:
        first = min(self.guest.heads, key=lambda head: head.id)
        pixels = bytearray(self.guest.primary.read(first.box))
        pixels[3::4] = bytes(len(pixels) // 4)
        assert self.painter.primary.pixels == pixels


@pytest.mark.parametrize("level", ["0.4", "0.8.3"])
@given(mine=st.lists(actions(), max_size=15), before=st.lists(actions(), max_size=15))
@settings(max_examples=40)
def test_a_client_of_one_head_shows_what_it_became(level: str, mine: list[Action], before: list[Action]) -> None:
    guest = Display(0, 40, 30)
    shown = OneHead(guest, level)
    for act in before:
        act(guest)
    shown.read()
    guest.load(Plain(state_after(mine)))()
    shown.read()
    shown.assert_same()
