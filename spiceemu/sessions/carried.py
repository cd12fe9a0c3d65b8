"""What a snapshot says of a client that takes its channels along, read with the care that all from elsewhere needs.

::

    sessions           by id in hexadecimal: mouse_mode and whether the client is still to be told of it
                       (mouse_mode_due), multi_media_time, agent, displays
    agent              reader, writer, tokens; None for a client that did not talk to it
    displays           by id: created, dirty, monitors_due, mark_due, cache

``created`` has id, width, height and has_alpha of each surface at the client, ``dirty`` id, x, y, width and height of
what it was not sent yet, ``cache`` the pictures that it keeps, as :mod:`spiceemu.channels.pixmap_cache` packs them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spiceemu.channels.pixmap_cache import ENTRY, MAX_AREA as MAX_CACHED_AREA, MAX_ENTRIES
from spiceemu.drawing.surface import MAX_HEIGHT, MAX_WIDTH
from spiceemu.guest.display import MAX_SURFACE_ID
from spiceemu.guest.limits import MAX_DISPLAYS
from spiceemu.protocol.agent.stream import AgentReader, AgentTokens, AgentWriter
from spiceemu.protocol.enums import MouseMode
from spiceemu.protocol.messages.migrate_data import MAX_SURFACES_AT_CLIENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spiceemu.protocol.plain import Plain

MAX_SESSIONS = 1
"""Most clients of a snapshot: only one that is alone takes its channels along."""

MAX_ID = (1 << 32) - 1


def read_sessions(state: Plain) -> dict[int, dict[str, Any]]:
    """The sessions by their number.

    :raises InvalidValue: naming what cannot be.
    """
    found: dict[int, dict[str, Any]] = {}
    for name, session in _entries(state, MAX_SESSIONS):
        try:
            number = int(name, 16)
        except ValueError:
            number = 0
        if not 0 < number <= MAX_ID or f"{number:08x}" != name:
            raise state.wrong(f"{name!r:.40} is no session's id")
        _check_session(session)
        found[number] = session.value
    return found


def _entries(state: Plain, most: int) -> Iterator[tuple[str, Plain]]:
    """Names and values of a dictionary whose names are not known before."""
    if not isinstance(state.value, dict) or len(state.value) > most:
        raise state.wrong(f"is no dictionary of at most {most} entries")
    for name in state.value:
        yield str(name), state.field(name)


def _check_session(session: Plain) -> None:
    names = ("mouse_mode", "mouse_mode_due", "multi_media_time", "agent", "displays")
    mode, due, clock, agent, displays = session.fields(*names)
    due.boolean()
    if mode.integer(0, max(MouseMode)) not in tuple(MouseMode):
        raise mode.wrong(f"{mode.value} is not one mouse mode")
    clock.integer(0, MAX_ID)
    agent.optional(_check_agent)
    for name, display in _entries(displays, MAX_DISPLAYS):
        if not (name.isascii() and name.isdigit()):
            raise displays.wrong(f"{name!r:.40} is no display's id")
        _check_display(display)


def _check_agent(agent: Plain) -> None:
    reader, writer, tokens = agent.fields("reader", "writer", "tokens")
    AgentReader().restore(reader.value, reader.path)
    AgentWriter().restore(writer.value, writer.path)
    AgentTokens().restore(tokens.value, tokens.path)


def _check_display(display: Plain) -> None:
    created, dirty, monitors, mark, cache = display.fields("created", "dirty", "monitors_due", "mark_due", "cache")
    for surface in created.elements(MAX_SURFACES_AT_CLIENT):
        number, width, height, has_alpha = surface.elements(4, 4)
        number.integer(0, MAX_ID)  # it may have it from a server of another kind
        width.integer(0, MAX_WIDTH)
        height.integer(0, MAX_HEIGHT)
        has_alpha.boolean()
    for box in dirty.elements(MAX_SURFACE_ID + 1):
        number, x, y, width, height = box.elements(5, 5)
        number.integer(0, MAX_SURFACE_ID)
        x.integer(0, MAX_WIDTH)
        y.integer(0, MAX_HEIGHT)
        width.integer(0, MAX_WIDTH)
        height.integer(0, MAX_HEIGHT)
    monitors.boolean()
    mark.boolean()
    pictures = cache.data(MAX_ENTRIES * ENTRY.size)
    if len(pictures) % ENTRY.size:
        raise cache.wrong(f"{len(pictures)} bytes are no pictures of {ENTRY.size} bytes each")
    for number, area in ENTRY.iter_unpack(pictures):
        if not 0 < area <= MAX_CACHED_AREA:
            raise cache.wrong(f"picture {number:#x} has {area} pixels, not 1 to {MAX_CACHED_AREA}")
