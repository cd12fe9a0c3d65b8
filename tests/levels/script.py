"""What a guest and a client may do to each other, made up by hypothesis: the same script can be run at every level."""

from __future__ import annotations

from hypothesis import strategies as st

from spiceemu.guest.cursor import ARROW, CursorShape
from spiceemu.guest.display import Head
from spiceemu.guest.machine import Guest
from spiceemu.protocol.messages import inputs

from ..channels.drawings import DRAWINGS, Step, do_drawing, noise, steps_of
from .wire import CURSOR, DISPLAY, INPUTS, Wire

KINDS = (
    *DRAWINGS,
    *("heads", "head", "cursor", "move", "hide", "show", "forget", "key", "motion", "sync", "pump", "pump one"),
)


def steps() -> st.SearchStrategy[Step]:
    """A step of any kind."""
    return steps_of(KINDS)


def do(wire: Wire, guest: Guest, step: Step) -> None:
    """Take one step."""
    kind, (x, y, width, height), chosen, other, value = step
    shown = guest.displays[value % len(guest.displays)]
    match kind:
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
        case "sync":
            wire.session.mark(value, 0.0)
        case "pump":
            wire.pump()
        case "pump one":
            for kind_of in (DISPLAY, CURSOR):
                wire.pump_once(wire.lines[kind_of, 0])
        case _:
            do_drawing(shown, step)
