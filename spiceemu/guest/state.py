"""A guest as plain data: dictionaries, lists, text, integers, booleans, None, and bytes for pixels and the like.

:func:`save` says what a guest is, :func:`load` makes another guest the same. That is what a snapshot holds
(:mod:`spiceemu.sessions.snapshot`) and what a migration carries: name and uuid, and what each part of the guest saves,
by the part's name. These are those of :data:`spiceemu.guest.parts.PARTS`::

    displays     surfaces: id, width, height, has_alpha, pixels | heads: id, x, y, width, height
    keyboard     locks, held: scancodes, prefix
    pointer      x, y, buttons, display_id
    cursor       shape: kind, width, height, hot_x, hot_y, data | x, y, visible
    clipboards   owner, types, text, wanted; one of each for CLIPBOARD, PRIMARY, SECONDARY
    agent        capabilities, client_capabilities, max_clipboard, serials, offered; None without one

A state may come from anywhere. Each part holds it to its own limits, all of them before anything changes.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

from spiceemu.errors import InvalidValue
from spiceemu.guest.limits import MAX_NAME
from spiceemu.guest.observers import call_all
from spiceemu.guest.parts import RESERVED
from spiceemu.protocol.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from spiceemu.guest.machine import Guest


def save(guest: Guest) -> dict[str, Any]:
    """What a guest is now; nothing in it changes with the guest."""
    parts = {name: None if part is None else part.save() for name, part in guest.parts.items()}
    return {"name": guest.name, "uuid": str(guest.uuid), **parts}


def load(guest: Guest, state: Any) -> None:
    """Make a guest what another one was.

    Displays beyond those of the state stay as they are. So does where the agent's messages go. Observers of the guest
    hear of locks and sizes that have changed, those of displays and of the cursor what they must draw. Nobody typed,
    clicked or copied anything, so that is not told.

    :raises InvalidValue: naming what cannot be, such as ``displays[0].surfaces[3].pixels``, or a part that only one of
        the two guests has; nothing changed.
    :raises Exception: the first that an observer raised, once the guest is what the other one was.
    """
    check(guest, state)()


def check(guest: Guest, state: Any) -> Callable[[], None]:
    """Refuse what :func:`load` would.

    :returns: what makes the guest the same.
    :raises InvalidValue: naming what cannot be.
    """
    given = Plain(state)
    name, uuid = given.field("name").text(MAX_NAME), _read_uuid(given.field("uuid"))
    _check_names(guest, given)
    steps = [part.load(given.field(key)) for key, part in guest.parts.items() if part is not None]
    return partial(call_all, [partial(_rename, guest, name, uuid), *steps])


def _named(part: str) -> str:
    """A part's name in a sentence: an agent, a keyboard, displays."""
    return part if part.endswith("s") else f"{'an' if part[:1] in 'aeiou' else 'a'} {part}"


def _check_names(guest: Guest, state: Plain) -> None:
    """Refuse a state that has other parts than the guest; what is None is no part."""
    for name, saved in state.value.items():
        if saved is not None and name not in RESERVED and guest.parts.get(name) is None:
            raise InvalidValue(f"{name!s:.40}: the guest has no {name!s:.40}")
    for name, part in guest.parts.items():
        if part is not None and state.field(name).value is None:
            raise state.field(name).wrong(f"the guest has {_named(name)}, the state has none")


def _rename(guest: Guest, name: str, uuid: UUID) -> None:
    guest.name, guest.uuid = name, uuid


def _read_uuid(state: Plain) -> UUID:
    text = state.text(36)
    try:
        return UUID(text)
    except ValueError:
        raise state.wrong(f"{text!r} is not a UUID") from None
