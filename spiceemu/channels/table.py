"""The table of channels: a row a channel type that is served. Whoever needs to know what there is goes through it.

A row says which class a channel is, how many of it there are, where in CHANNELS_LIST they stand, and how one is made of
what the guest has to show. What the class itself knows is asked of the class: its type, whether it has a state that
MIGRATE_DATA carries (``migrate_flags``), and what more a target of ours is told (``save`` and ``check_saved``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from operator import itemgetter
from typing import TYPE_CHECKING

from spiceemu.channels.cursor import CursorChannel
from spiceemu.channels.display import DisplayChannel
from spiceemu.channels.inputs import InputsChannel
from spiceemu.channels.main import MainChannel, introduction_of
from spiceemu.channels.sound import PlaybackChannel, RecordChannel
from spiceemu.protocol.levels.compat import Feature

if TYPE_CHECKING:
    from typing import TypeAlias

    from spiceemu.channels.channel import Channel
    from spiceemu.channels.passage import Passage
    from spiceemu.channels.shared import Shared
    from spiceemu.guest.machine import Guest
    from spiceemu.protocol.capabilities import ChannelType
    from spiceemu.protocol.levels.level import Level
    from spiceemu.protocol.link.server import Linked


@dataclass(frozen=True, slots=True)
class Opening:
    """What a channel is made of.

    :ivar linked: how its link was agreed.
    :ivar wake: what it calls when there is something to send.
    :ivar shared: what it shares with the client's other channels; the guest is in it.
    :ivar passage: where it stands between two servers.
    :ivar now: the time.
    """

    linked: Linked
    wake: Callable[[], None]
    shared: Shared
    passage: Passage
    now: float

    @property
    def number(self) -> int:
        """The channel's id."""
        return self.linked.request.channel_id


Make: TypeAlias = Callable[[Opening], "Channel"]


@dataclass(frozen=True, slots=True, eq=False)
class ChannelRow:
    """A channel type that is served; no two rows are equal.

    :ivar kind: its class.
    :ivar make: makes one of what the guest has to show.
    :ivar count: how many a guest has.
    :ivar place: its place in CHANNELS_LIST; those of one place stand together by their id, the highest first.
    """

    kind: type[Channel]
    make: Make
    count: Callable[[Guest], int] = lambda _guest: 1
    place: int = 0

    @property
    def type(self) -> ChannelType:
        """The channel type."""
        return self.kind.type


def _main(opening: Opening) -> Channel:
    intro = introduction_of(opening.shared, opening.now)
    return MainChannel(
        opening.linked,
        opening.wake,
        intro=intro,
        now=opening.now,
        passage=opening.passage,
        taps=opening.shared.taps,
    )


def _display(opening: Opening) -> Channel:
    shared = opening.shared
    return DisplayChannel(
        opening.linked,
        opening.wake,
        shown=shared.guest.displays[opening.number],
        compression=shared.compression,
        now=opening.now,
        pictures=shared.pictures,
        codecs=shared.codecs,
        lowerings=shared.lowerings,
        passage=opening.passage,
        taps=shared.taps,
    )


def _cursor(opening: Opening) -> Channel:
    shared = opening.shared
    return CursorChannel(
        opening.linked,
        opening.wake,
        shown=shared.guest.cursor,
        mouse_mode=shared.mouse_mode,
        origin=partial(shared.origin, opening.number),
        passage=opening.passage,
        taps=shared.taps,
    )


def _inputs(opening: Opening) -> Channel:
    guest, taps = opening.shared.guest, opening.shared.taps
    locks = guest.keyboard.locks
    channel = InputsChannel(opening.linked, opening.wake, locks=locks, passage=opening.passage, taps=taps)
    channel.follow(guest)
    return channel


def _playback(opening: Opening) -> Channel:
    clock, taps = opening.shared.multi_media_time(opening.now), opening.shared.taps
    return PlaybackChannel(opening.linked, opening.wake, multi_media_time=clock, passage=opening.passage, taps=taps)


def _record(opening: Opening) -> Channel:
    return RecordChannel(opening.linked, opening.wake, passage=opening.passage, taps=opening.shared.taps)


def _sound(guest: Guest) -> int:
    return int(guest.has_sound)


def _cards(guest: Guest) -> int:
    return len(guest.displays)


CHANNELS: tuple[ChannelRow, ...] = (
    ChannelRow(MainChannel, _main, place=-1),
    ChannelRow(RecordChannel, _record, _sound, place=0),
    ChannelRow(PlaybackChannel, _playback, _sound, place=1),
    ChannelRow(DisplayChannel, _display, _cards, place=2),
    ChannelRow(CursorChannel, _cursor, _cards, place=2),
    ChannelRow(InputsChannel, _inputs, place=3),
)
"""Every channel type that is served, in the order of CHANNELS_LIST but for main, which is not listed.

The order is that of recorded servers: clients begin channels in it, so it decides what they tell their users first.
"""


def offered(rows: Iterable[ChannelRow], guest: Guest, level: Level) -> list[tuple[ChannelType, int]]:
    """Type and id of every channel of a guest but main, in the order of CHANNELS_LIST at a level.

    :returns: them, as the guest has them now.
    """
    rows = tuple(rows)
    return [*_listed(rows, tuple([row.count(guest) for row in rows]), level)]


@lru_cache(maxsize=64)
def _listed(rows: Sequence[ChannelRow], counts: Sequence[int], level: Level) -> Sequence[tuple[ChannelType, int]]:
    """The same, by how many there are of each row; remembered, as every link asks for it."""
    listed = [
        (row.place, -number, row.type)
        for row, count in zip(rows, counts, strict=True)
        if row.kind is not MainChannel
        for number in range(count)
        if level.has_channel(row.type, number)
    ]
    if not level.has(Feature.MINI_HEADER):
        listed.reverse()  # of the oldest servers the last of a place to come was the first
    listed.sort(key=itemgetter(0, 1))
    return [(kind, -below) for _, below, kind in listed]


def row_of(rows: Iterable[ChannelRow], kind: int) -> ChannelRow | None:
    """The row of a channel type, known or not.

    :returns: None where that type is not served.
    """
    return next((row for row in rows if row.type == kind), None)
