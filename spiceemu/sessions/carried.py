"""What a snapshot says of a client that takes its channels along, read with the care that all from elsewhere needs.

::

    sessions           by id in hexadecimal: mouse_mode and whether the client is still to be told of it
                       (mouse_mode_due), multi_media_time, channels
    channels           by name, such as display:0: what the channel has saved, which its class judges
                       (:meth:`~spiceemu.channels.channel.Channel.check_saved`)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spiceemu.channels.table import CHANNELS
from spiceemu.guest.limits import MAX_DISPLAYS, MAX_NUMBER
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import MouseMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spiceemu.channels.table import ChannelRow
    from spiceemu.protocol.plain import Plain

MAX_SESSIONS = 1
"""Most clients of a snapshot: only one that is alone takes its channels along."""

MAX_CHANNELS = len(ChannelType) * MAX_DISPLAYS
"""Most channels of a client."""


def read_sessions(state: Plain, rows: Iterable[ChannelRow] = CHANNELS) -> dict[int, dict[str, Any]]:
    """The sessions of a snapshot.

    :param rows: the channels that this server has.
    :returns: them by their number.
    :raises InvalidValue: naming what cannot be, or a channel that is not served here.
    """
    found: dict[int, dict[str, Any]] = {}
    rows = tuple(rows)
    for name, session in _entries(state, MAX_SESSIONS):
        try:
            number = int(name, 16)
        except ValueError:
            number = 0
        if not 0 < number <= MAX_NUMBER or f"{number:08x}" != name:
            raise state.wrong(f"{name!r:.40} is no session's id")
        _check_session(session, rows)
        found[number] = session.value
    return found


def _entries(state: Plain, most: int) -> Iterator[tuple[str, Plain]]:
    """Names and values of a dictionary whose names are not known before."""
    if not isinstance(state.value, dict) or len(state.value) > most:
        raise state.wrong(f"is no dictionary of at most {most} entries")
    for name in state.value:
        yield str(name), state.field(name)


def _check_session(session: Plain, rows: tuple[ChannelRow, ...]) -> None:
    mode, due, clock, channels = session.fields("mouse_mode", "mouse_mode_due", "multi_media_time", "channels")
    due.boolean()
    if mode.integer(0, max(MouseMode)) not in tuple(MouseMode):
        raise mode.wrong(f"{mode.value} is not one mouse mode")
    clock.integer(0, MAX_NUMBER)
    known = {row.type.name.lower(): row for row in rows}
    for name, channel in _entries(channels, MAX_CHANNELS):
        kind, _, number = name.partition(":")
        if kind not in known or not (number.isascii() and number.isdigit()) or int(number) >= MAX_DISPLAYS:
            raise channels.wrong(f"{name!r:.40} is no channel that is served here")
        known[kind].kind.check_saved(channel)
