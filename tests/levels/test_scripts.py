"""Whatever a guest does, every level shows its first head as it is, to every real client."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spiceemu.guest.display import Display
from spiceemu.guest.machine import Guest
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.compat import Feature
from spiceemu.protocol.level import LEVELS, level_of

from .script import Step, do, steps
from .wire import CLIENTS, DISPLAY, Wire

SIZES = [(40, 30), (24, 36)]


def run(level: str, client: str, script: list[Step]) -> Wire:
    """Run a script with a client that reads all in the end."""
    guest = Guest(sizes=SIZES)
    wire = Wire(guest, level_of(level), CLIENTS[client])
    wire.connect()
    for step in script:
        do(wire, guest, step)
    wire.pump()
    return wire


def first_head(shown: Display) -> bytes:
    """The pixels of the first head, as the guest has them."""
    head = min(shown.heads, key=lambda each: each.id)
    screen = shown.screenshot()
    rows = (screen.pixels[(y * screen.width + head.x) * 4 :][: head.width * 4] for y in range(head.y, head.box.bottom))
    return b"".join(rows)


def shown_first_head(wire: Wire, shown: Display) -> bytes:
    """The same as the client has it."""
    canvas = wire.lines[DISPLAY, shown.id].painter.primary
    if not wire.session.level.has(Feature.MONITORS_CONFIG):
        return canvas.pixels  # the head is all there is
    head = min(shown.heads, key=lambda each: each.id)
    return b"".join(bytes(row[head.x * 4 : head.box.right * 4]) for row in canvas.rows[head.y : head.box.bottom])


@pytest.mark.parametrize("client", CLIENTS)
@given(script=st.lists(steps(), max_size=40))
@settings(max_examples=25)
def test_every_level_shows_the_first_head(client: str, script: list[Step]) -> None:
    for level in LEVELS:
        wire = run(level, client, script)
        displays = wire.session.guest.displays
        shown = [number for kind, number in wire.lines if kind is DISPLAY]
        assert shown == ([0] if level in ("0.4", "0.6") else [0, 1])
        for number in shown:
            assert shown_first_head(wire, displays[number]) == first_head(displays[number]), level
            assert wire.lines[ChannelType.DISPLAY, number].painter.marked
