"""What a guest and a client may do to each other, made up by hypothesis: the same script can be run at every level."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from spiceemu.guest.cursor import ARROW, CursorShape
from spiceemu.guest.display import Head
from spiceemu.guest.machine import Guest
from spiceemu.protocol import inputs

from .wire import CURSOR, DISPLAY, INPUTS, Wire

KINDS = (
    *("fill", "blit", "same", "copy", "copy_surface", "text", "create", "destroy", "resize", "heads", "head"),
    *("cursor", "move", "hide", "show", "forget", "key", "motion", "pump", "pump one"),
)

Step = tuple[str, tuple[int, int, int, int], int, int, int]
"""A kind, a box, and three numbers that choose."""


@st.composite
def steps(draw: Callable[..., Any]) -> Step:
    side, size = st.integers(-5, 45), st.integers(0, 40)
    box = draw(side), draw(side), draw(size), draw(size)
    numbers = st.integers(0, 5)
    return draw(st.sampled_from(KINDS)), box, draw(numbers), draw(numbers), draw(st.integers(0, 0xFFFFFF))


def noise(seed: int, width: int, height: int) -> bytes:
    """Pixels of a size that a seed decides."""
    return random.Random(seed).randbytes(width * height * 4)


def do(wire: Wire, guest: Guest, step: Step) -> None:
    """Take one step."""
    kind, (x, y, width, height), chosen, other, value = step
    shown = guest.displays[value % len(guest.displays)]
    ids = sorted(shown.surfaces)
    surface, source = ids[chosen % len(ids)], ids[other % len(ids)]
    match kind:
        case "fill":
            shown.fill((x, y, width, height), value, surface=surface)
        case "blit":
            shown.blit((x, y), width, height, noise(value % 8, width, height), surface=surface)
        case "same":
            side = 16 + value % 3
            shown.blit((x, y), side, side, noise(value % 4, side, side), surface=surface)
        case "copy":
            shown.copy((x, y, width, height), (other * 7, chosen * 5), surface=surface)
        case "copy_surface":
            shown.copy_surface(source, (x, y, width, height), (value % 40, other * 5), surface=surface)
        case "text":
            shown.text((x, y), "text\nof two lines", color=value, surface=surface)
        case "create":
            shown.create_surface(width + 1, height + 1, has_alpha=bool(value % 2))
        case "destroy" if surface:
            shown.destroy_surface(surface)
        case "resize":
            shown.resize(width + 1, height + 1)
        case "heads":
            heads = [Head(0, 0, 0, width + 1, 40), Head(1, width + 1, other, 20, height + 1)]
            guest.set_heads(shown.id, heads if value % 3 else heads[::-1])
        case "head":
            guest.set_heads(shown.id, [Head(0, chosen, other, width + 1, height + 1)])
        case "cursor":
            side = 1 + value % 40
            drawn = CursorShape.from_bgra(side, side, noise(value % 5, side, side))
            guest.cursor.set_shape(drawn if value % 4 else ARROW)
        case "move":
            guest.cursor.move(max(x, 0), max(y, 0))
        case "hide":
            guest.cursor.hide()
        case "show":
            guest.cursor.show()
        case "forget":
            wire.session.invalidate_caches()
        case "key" if (INPUTS, 0) in wire.lines:
            wire.say(INPUTS, 0, inputs.KeyDown(0x3A), inputs.KeyUp(0xBA))
        case "motion" if (INPUTS, 0) in wire.lines:
            wire.say(INPUTS, 0, inputs.MouseMotion(x, y, 0))
        case "pump":
            wire.pump()
        case "pump one":
            for kind_of in (DISPLAY, CURSOR):
                wire.pump_once(wire.lines[kind_of, 0])
