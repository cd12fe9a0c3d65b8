"""A guest as plain data: dictionaries, lists, text, integers, booleans, None, and bytes for pixels and the like.

:func:`take` says what a guest is, :func:`give` makes another guest the same. That is what a snapshot holds
(:mod:`spiceemu.sessions.snapshot`) and what a migration carries::

    name, uuid
    displays     surfaces: id, width, height, has_alpha, pixels | heads: id, x, y, width, height
    keyboard     locks, held: scancodes, prefix
    pointer      x, y, buttons, display_id
    cursor       shape: kind, width, height, hot_x, hot_y, data | x, y, visible
    clipboards   owner, types, text, wanted; one of each for CLIPBOARD, PRIMARY, SECONDARY
    agent        capabilities, client_capabilities, max_clipboard, serials, offered; None without one

A state may come from anywhere. It is held to the guest's own limits, all of it before anything changes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from spiceemu.drawing.pictures import PIXEL_SIZE, Picture
from spiceemu.drawing.surface import MAX_AREA, MAX_HEIGHT, MAX_WIDTH, check_size
from spiceemu.guest.agent import MAX_SERIAL, AgentState
from spiceemu.guest.clipboard import Content, Owner
from spiceemu.guest.cursor import (
    MAX_CURSOR_SIZE,
    MAX_POSITION,
    MIN_POSITION,
    CursorShape,
    CursorState,
)
from spiceemu.guest.display import MAX_HEAD_ID, MAX_HEADS, MAX_SURFACE_ID, PRIMARY, DisplayState, Head, size_for
from spiceemu.guest.keyboard import LOCKS, PREFIXES, KeyboardState, is_scancode
from spiceemu.guest.limits import MAX_NAME
from spiceemu.guest.machine import GuestState
from spiceemu.guest.pointer import ALL_BUTTONS, PointerState
from spiceemu.protocol.agent.enums import AgentCap, ClipboardSelection, ClipboardType
from spiceemu.protocol.agent.messages import MAX_ANNOUNCED_WORDS, MAX_CLIPBOARD_TYPES
from spiceemu.protocol.agent.stream import MAX_AGENT_MESSAGE
from spiceemu.protocol.enums import CursorType
from spiceemu.protocol.plain import Plain

if TYPE_CHECKING:
    from spiceemu.guest.machine import Guest

MAX_NUMBER: Final = (1 << 32) - 1
"""Largest number of 32 bits, for what the protocol counts so and nothing else limits."""

_MAX_CAPABILITIES = 32 * MAX_ANNOUNCED_WORDS
_MAX_CLIENT_CLIPBOARD = (1 << 31) - 1  # MAX_CLIPBOARD has a signed number
_MAX_KEYS = 512
_ALL_LOCKS = sum(LOCKS.values())
_SELECTIONS = len(ClipboardSelection)


def take(guest: Guest) -> dict[str, Any]:
    """What a guest is now; nothing in it changes with the guest."""
    state = guest.state
    return {
        "name": state.name,
        "uuid": str(state.uuid),
        "displays": [_display(display) for display in state.displays],
        "keyboard": {
            "locks": int(state.keyboard.locks),
            "held": list(state.keyboard.held),
            "prefix": state.keyboard.prefix,
        },
        "pointer": {
            "x": state.pointer.x,
            "y": state.pointer.y,
            "buttons": int(state.pointer.buttons),
            "display_id": state.pointer.display_id,
        },
        "cursor": {
            "shape": _shape(state.cursor.shape),
            "x": state.cursor.x,
            "y": state.cursor.y,
            "visible": state.cursor.visible,
        },
        "clipboards": [_content(state.clipboards[selection]) for selection in ClipboardSelection],
        "agent": _agent(state.agent),
    }


def give(guest: Guest, state: Any) -> None:
    """Make a guest what another one was; see :meth:`~spiceemu.guest.machine.Guest.restore` for who is told.

    Displays beyond those of the state stay as they are. So does where the agent's messages go.

    :raises InvalidValue: naming what cannot be, such as ``displays[0].surfaces[3].pixels``; nothing changed.
    """
    guest.restore(_read_guest(Plain(state), guest))


def check(guest: Guest, state: Any) -> None:
    """Refuse what :func:`give` would.

    :raises InvalidValue: naming what cannot be.
    """
    _read_guest(Plain(state), guest)


# To plain data


def _display(state: DisplayState) -> dict[str, Any]:
    return {
        "surfaces": [
            {
                "id": surface_id,
                "width": picture.width,
                "height": picture.height,
                "has_alpha": picture.has_alpha,
                "pixels": picture.pixels,
            }
            for surface_id, picture in sorted(state.surfaces.items())
        ],
        "heads": [
            {"id": head.id, "x": head.x, "y": head.y, "width": head.width, "height": head.height}
            for head in state.heads
        ],
    }


def _shape(shape: CursorShape | None) -> dict[str, Any] | None:
    if shape is None:
        return None
    return {
        "kind": int(shape.kind),
        "width": shape.width,
        "height": shape.height,
        "hot_x": shape.hot_x,
        "hot_y": shape.hot_y,
        "data": shape.data,
    }


def _content(content: Content) -> dict[str, Any]:
    return {
        "owner": content.owner.value,
        "types": [int(kind) for kind in content.types],
        "text": content.text,
        "wanted": content.wanted,
    }


def _agent(state: AgentState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {
        "capabilities": sorted(map(int, state.capabilities)),
        "client_capabilities": sorted(map(int, state.client_capabilities)),
        "max_clipboard": state.max_clipboard,
        "serials": list(state.serials),
        "offered": sorted(map(int, state.offered)),
    }


# From plain data


def _read_guest(state: Plain, guest: Guest) -> GuestState:
    name, uuid, displays, keyboard, pointer, cursor, clipboards, agent = state.fields(
        "name", "uuid", "displays", "keyboard", "pointer", "cursor", "clipboards", "agent"
    )
    if (guest.agent is None) != (agent.value is None):
        raise agent.wrong(f"the guest has {'no' if guest.agent is None else 'an'} agent")
    found = displays.elements(len(guest.displays), least=1)
    return GuestState(
        name.text(MAX_NAME),
        _read_uuid(uuid),
        tuple(_read_display(display) for display in found),
        _read_keyboard(keyboard),
        _read_pointer(pointer, len(found)),
        _read_cursor(cursor),
        {
            selection: _read_content(content)
            for selection, content in zip(
                ClipboardSelection, clipboards.elements(_SELECTIONS, _SELECTIONS), strict=True
            )
        },
        agent.optional(_read_agent),
    )


def _read_uuid(state: Plain) -> UUID:
    text = state.text(36)
    try:
        return UUID(text)
    except ValueError:
        raise state.wrong(f"{text!r} is not a UUID") from None


def _read_display(state: Plain) -> DisplayState:
    surfaces, heads = state.fields("surfaces", "heads")
    pictures: dict[int, Picture] = {}
    for surface in surfaces.elements(MAX_SURFACE_ID + 1):
        surface_id = surface.field("id").integer(PRIMARY, MAX_SURFACE_ID)
        if surface_id in pictures:
            raise surface.wrong(f"a second surface with the id {surface_id}")
        pictures[surface_id] = _read_surface(surface)
    monitors = [_read_head(head) for head in heads.elements(MAX_HEADS)]
    size = heads.accepted(size_for, monitors)
    primary = pictures.get(PRIMARY)
    if primary is None:
        raise surfaces.wrong(f"has no surface {PRIMARY}, the primary")
    if primary.has_alpha:
        raise surfaces.wrong("the primary has no alpha")
    if (primary.width, primary.height) != size:
        raise heads.wrong(f"need a primary of {size[0]}x{size[1]} pixels, not {primary.width}x{primary.height}")
    return DisplayState(dict(sorted(pictures.items())), monitors)


def _read_surface(state: Plain) -> Picture:
    _, wide, high, has_alpha, pixels = state.fields("id", "width", "height", "has_alpha", "pixels")
    width, height = wide.integer(1, MAX_WIDTH), high.integer(1, MAX_HEIGHT)
    state.accepted(check_size, width, height)
    return pixels.accepted(Picture, width, height, pixels.data(MAX_AREA * PIXEL_SIZE), has_alpha.boolean())


def _read_head(state: Plain) -> Head:
    number, x, y, width, height = state.fields("id", "x", "y", "width", "height")
    return Head(
        number.integer(0, MAX_HEAD_ID),
        x.integer(0, MAX_WIDTH - 1),
        y.integer(0, MAX_HEIGHT - 1),
        width.integer(1, MAX_WIDTH),
        height.integer(1, MAX_HEIGHT),
    )


def _read_keyboard(state: Plain) -> KeyboardState:
    locks, held, prefix = state.fields("locks", "held", "prefix")
    keys: dict[int, None] = {}
    for key in held.elements(_MAX_KEYS):
        scancode = key.integer(0, MAX_NUMBER)
        if not is_scancode(scancode):
            raise key.wrong(f"{scancode:#x} is not a scancode")
        if scancode in keys:
            raise key.wrong(f"{scancode:#x} is held twice")
        keys[scancode] = None
    begun = prefix.data(max(map(len, PREFIXES)))
    if begun not in PREFIXES:
        raise prefix.wrong(f"{begun!r} is not the beginning of a scancode")
    return KeyboardState(locks.integer(0, _ALL_LOCKS), tuple(keys), begun)


def _read_pointer(state: Plain, displays: int) -> PointerState:
    x, y, buttons, display_id = state.fields("x", "y", "buttons", "display_id")
    return PointerState(
        x.integer(0, MAX_WIDTH - 1),
        y.integer(0, MAX_HEIGHT - 1),
        buttons.integer(0, ALL_BUTTONS),
        display_id.integer(0, displays - 1),
    )


def _read_cursor(state: Plain) -> CursorState:
    shape, x, y, visible = state.fields("shape", "x", "y", "visible")
    return CursorState(
        shape.optional(_read_shape),
        x.integer(MIN_POSITION, MAX_POSITION),
        y.integer(MIN_POSITION, MAX_POSITION),
        visible.boolean(),
    )


def _read_shape(state: Plain) -> CursorShape:
    kind, width, height, hot_x, hot_y, data = state.fields("kind", "width", "height", "hot_x", "hot_y", "data")
    return state.accepted(
        CursorShape,
        CursorType(kind.integer(min(CursorType), max(CursorType))),
        width.integer(1, MAX_CURSOR_SIZE),
        height.integer(1, MAX_CURSOR_SIZE),
        hot_x.integer(0, MAX_CURSOR_SIZE - 1),
        hot_y.integer(0, MAX_CURSOR_SIZE - 1),
        data.data(MAX_CURSOR_SIZE * MAX_CURSOR_SIZE * PIXEL_SIZE * 2),
    )


def _read_content(state: Plain) -> Content:
    owner, types, text, wanted = state.fields("owner", "types", "text", "wanted")
    owners = {who.value: who for who in Owner}
    whose = owners.get(owner.text(max(map(len, owners))))
    if whose is None:
        raise owner.wrong(f"{owner.value!r} is not one of {', '.join(owners)}")
    kinds = tuple(kind.integer(0, MAX_NUMBER) for kind in types.elements(MAX_CLIPBOARD_TYPES))
    held = text.optional(lambda it: it.data(MAX_AGENT_MESSAGE))
    content = Content(whose, kinds, held, wanted.boolean())
    if whose is Owner.NOBODY and content != Content():
        raise state.wrong("belongs to nobody, but holds something")
    if whose is Owner.GUEST and (held is None or kinds != (ClipboardType.UTF8_TEXT,)):
        raise state.wrong("belongs to the guest, which has text and nothing else")
    if content.wanted and (whose is not Owner.CLIENT or ClipboardType.UTF8_TEXT not in kinds):
        raise wanted.wrong("only a client's text is waited for")
    return content


def _read_agent(state: Plain) -> AgentState:
    capabilities, client, most, serials, offered = state.fields(
        "capabilities", "client_capabilities", "max_clipboard", "serials", "offered"
    )
    return AgentState(
        _read_set(capabilities, max(AgentCap)),
        _read_set(client, _MAX_CAPABILITIES - 1),
        most.optional(lambda it: it.integer(0, _MAX_CLIENT_CLIPBOARD)),
        tuple(serial.integer(0, MAX_SERIAL) for serial in serials.elements(_SELECTIONS, _SELECTIONS)),
        _read_set(offered, max(ClipboardSelection)),
    )


def _read_set(state: Plain, most: int) -> frozenset[int]:
    """Numbers up to ``most``, each of them once."""
    numbers: set[int] = set()
    for element in state.elements(most + 1):
        number = element.integer(0, most)
        if number in numbers:
            raise element.wrong(f"a second {number}")
        numbers.add(number)
    return frozenset(numbers)
