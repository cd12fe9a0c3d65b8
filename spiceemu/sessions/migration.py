"""How a client moves from one server to another: both ends of it, sans-IO, and every flag of it.

Three schemes, and what the servers and the client say in each (spice-server's ``reds.cpp`` and
``main-channel-client.cpp``, spice-gtk's ``channel-main.c``)::

    switch host        source > SWITCH_HOST                  the client leaves and begins a new session at the target
    semi-seamless      source > MIGRATE_BEGIN                the client links all its channels to the target as well,
                       source < MIGRATE_CONNECTED            which parks them
                       source > MIGRATE_END                  the guest has moved; the client leaves the source
                       target < MIGRATE_END                  and the target begins every channel, in the old session
    seamless           source > MIGRATE_BEGIN_SEAMLESS       as before, but the client asks first
                       target < MIGRATE_DST_DO_SEAMLESS
                       target > ACK (or NACK: semi-seamless) and the channels will go on as they are
                       source < MIGRATE_CONNECTED_SEAMLESS
                       source > MIGRATE, on every channel    its last word
                       source < MIGRATE_FLUSH_MARK           the client's last word
                       source > MIGRATE_DATA                 the channel's state,
                       target < MIGRATE_DATA                 which the client takes along

A :class:`Departure` is a client's way out of the source. It moves only like this::

    ASKED      answered: CONNECTED, UNCONNECTED           the client tries to link the target
    CONNECTED  leave(): LEAVING                           it is linked to both
    UNCONNECTED  leave(): LEAVING, by SWITCH_HOST         it could not, or did not need to
    LEAVING    the client has gone: all is over           it was told that the guest has moved
    CANCELLED                                             it stays

An :class:`Arrival` is its way into the target::

    PARKED     MIGRATE_END, or held back and let go: BEGUN     nothing has been said
    RESUMING   MIGRATE_DATA on main: BEGUN                     after an ACK
    BEGUN                                                      the session is one like any other

Before it has begun it may be called off, when the migration comes to nothing; then it does not begin.

Both own the :class:`~spiceemu.channels.passage.Passage` of every channel, which moves only like this::

    source     HERE > FROZEN > FLUSHED > MOVED                 frozen by leave(), moved by hand_over()
    target     AWAITED > HERE                                  a channel that was parked when the client asked
               SILENT > AWAITED > HERE, or SILENT > HERE       main, resumed or begun anew
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from spiceemu.channels.migration import MigrationAnswer, ParkedChannel
from spiceemu.channels.passage import Passage, Stage
from spiceemu.errors import LimitExceeded, WrongState
from spiceemu.protocol.capabilities import ChannelType, channel_name
from spiceemu.protocol.levels.level import MigrationScheme
from spiceemu.protocol.messages import main
from spiceemu.sessions.destination import SEAMLESS, SEMI, SWITCH_HOST

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spiceemu.channels.channel import Channel
    from spiceemu.sessions.destination import Destination

MIGRATION_VERSION = 1
"""Version of the state in MIGRATE_DATA (spice-server migration-protocol.h)."""

ARRIVAL_TIMEOUT = 300.0
"""Seconds that a client may be linked to a target whose guest has not come."""

CALL_OFF_TIMEOUT = 1.0
"""Seconds that a client may take to give up its links to a target that it is not to come to. It needs some: spice-gtk
crashes if one ends in the moment that it is told so."""

CANNOT_LINK = (
    "the client cannot link the other server: nothing listens there, its password is another, its certificate is for "
    "another subject or host, or it lacks a channel that the client has here, such as sound (sound=False, --no-sound); "
    "the client is sent there in the end"
)


class DepartureState(Enum):
    """Where a departure stands; the module's table says what follows what."""

    ASKED = auto()
    CONNECTED = auto()
    UNCONNECTED = auto()
    LEAVING = auto()
    CANCELLED = auto()


class Departure:
    """One client's way to another server.

    :param channels: those that it has open, by type and id; they come and go meanwhile.
    :param destination: where to.
    :param scheme: how, unless the client's answer tells otherwise.
    """

    def __init__(
        self, channels: Mapping[tuple[int, int], Channel], destination: Destination, scheme: MigrationScheme
    ) -> None:
        self._open = channels
        self.destination = destination
        self.scheme = scheme
        self.state = DepartureState.ASKED
        self._moving: list[Channel] = []  # those that move with their states, as they were when it was told to go
        self.failure = ""
        """Why the client does not go as was meant."""
        self.has_handed_over = False
        """Whether every channel's state is on its way."""
        match scheme:
            case MigrationScheme.SEAMLESS:
                self._main.send(main.MigrateBeginSeamless(destination.info(), MIGRATION_VERSION))
            case MigrationScheme.SEMI_SEAMLESS:
                self._main.send(main.MigrateBegin(destination.info()))
            case _:
                self.state = DepartureState.UNCONNECTED  # the client is told nothing before the guest has moved

    @property
    def _main(self) -> Channel:
        found = self._open.get((ChannelType.MAIN, 0))
        if found is None:
            raise WrongState("the client has no channel main:0 open")
        return found

    @property
    def is_leaving(self) -> bool:
        """Whether the client was told to go."""
        return self.state is DepartureState.LEAVING

    @property
    def takes_keys(self) -> bool:
        """Whether the client leaves with the keys it holds: to a new session it comes with none."""
        return self.is_leaving and self.scheme is not SWITCH_HOST

    @property
    def takes_channels_along(self) -> bool:
        """Whether the client leaves with the states of its channels."""
        return self.is_leaving and self.scheme is SEAMLESS

    @property
    def has_gone_on(self) -> bool:
        """Whether the client has all it needs to go on at the target."""
        return self.is_leaving and (self.scheme is not SEAMLESS or self.has_handed_over)

    def answered(self, answer: MigrationAnswer) -> bool:
        """Take what the client says of its links; whether that was asked."""
        if self.state is not DepartureState.ASKED:
            return False
        if answer is MigrationAnswer.CONNECT_ERROR:
            self.give_up(CANNOT_LINK)
        else:
            self.scheme = self.scheme if answer is MigrationAnswer.CONNECTED_SEAMLESS else SEMI
            self.state = DepartureState.CONNECTED
        return True

    def give_up(self, why: str) -> None:
        """Wait for links to the target no longer: the client is sent there when the guest is."""
        self.failure = why
        self.scheme = SWITCH_HOST
        self.state = DepartureState.UNCONNECTED

    def leave(self) -> None:
        """The guest stops here: let the client go."""
        self.state = DepartureState.LEAVING
        match self.scheme:
            case MigrationScheme.SEAMLESS:
                self._moving = list(self._open.values())
                displays = [channel for channel in self._moving if channel.type is ChannelType.DISPLAY]
                if displays:
                    min(displays, key=lambda each: each.id).passage.speaks_for_cache = True
                for channel in self._moving:
                    channel.freeze()
            case MigrationScheme.SEMI_SEAMLESS:
                self._main.send(main.MigrateEnd())
            case _:
                self._main.send(self.destination.switch())

    @property
    def has_flushed(self) -> bool:
        """Whether the client has said all that it had to say, on every channel that moves with its state.

        On one that ended before, it has not: a client that is being lost loses its channels one by one.
        """
        return all(channel.has_flushed for channel in self._moving)

    def hand_over(self) -> None:
        """Send every channel's state; the target must have the guest by now."""
        for channel in list(self._open.values()):
            channel.hand_over()
        self.has_handed_over = True

    def cancel(self) -> None:
        """Let the client stay, if it may still: one that was told to leave has left, and some leave by themselves."""
        asked = self.scheme is not SWITCH_HOST and self.state in (DepartureState.ASKED, DepartureState.CONNECTED)
        self.state = DepartureState.CANCELLED
        if asked and (ChannelType.MAIN, 0) in self._open:
            self._main.send(main.MigrateCancel())


class ArrivalState(Enum):
    """Where an arrival stands."""

    PARKED = auto()
    RESUMING = auto()
    BEGUN = auto()


class Arrival:
    """One client's way into this server, in a session of another's or, held back, in a new one.

    :param held: whether the guest is still to come: then nothing begins before :meth:`let_go`.
    :param followed: whether the client asks for nothing more; one that begins a new session does not say MIGRATE_END.
    :param now: the time; the client may wait ``ARRIVAL_TIMEOUT`` from here.
    """

    def __init__(self, *, held: bool, followed: bool, now: float) -> None:
        self.state = ArrivalState.PARKED
        self.seamless = False
        """Whether the channels go on as they were."""
        self.held = held
        self.parked: dict[tuple[int, int], ParkedChannel] = {}
        self.carried: Mapping[str, Any] | None = None
        """What the session of a source of ours has saved of itself (``Session.save``)."""
        self._passages: dict[tuple[int, int], Passage] = {}
        self._other_session = not followed
        self._followed = followed
        self._is_off = False
        self._deadline = now + ARRIVAL_TIMEOUT

    @property
    def is_due(self) -> bool:
        """Whether everything may begin."""
        return self.state is ArrivalState.PARKED and self._followed and not (self.held or self._is_off)

    @property
    def scheme(self) -> MigrationScheme:
        """How the client has come."""
        if self.seamless:
            return SEAMLESS
        return SEMI if self._other_session else SWITCH_HOST

    def follow(self) -> None:
        """The client has left the source."""
        self._followed = True

    def call_off(self, now: float) -> None:
        """The client is not to come: nothing begins, and it may wait ``CALL_OFF_TIMEOUT`` from here."""
        self._is_off = True
        self._deadline = now + CALL_OFF_TIMEOUT

    def passage_of(self, kind: ChannelType, number: int) -> Passage:
        """Where a channel stands that the client links now.

        :returns: its passage, which knows what was carried along for it.
        """
        if self.state is ArrivalState.BEGUN:
            return Passage()
        passage = Passage(Stage.SILENT if kind is ChannelType.MAIN else Stage.AWAITED)
        self._passages[kind, number] = passage
        self._carry()
        return passage

    def carry(self, saved: Mapping[str, Any]) -> None:
        """Take what the session has saved at the source."""
        self.carried = saved
        self._carry()

    def _carry(self) -> None:
        for (kind, number), passage in self._passages.items():
            if self.carried is not None and passage.is_resumed:
                passage.carried = self.carried["channels"].get(channel_name(kind, number))

    def agree(self) -> None:
        """The channels go on as they were: their states may come."""
        self.state = ArrivalState.RESUMING
        self.seamless = True
        self._passages[ChannelType.MAIN, 0].go(Stage.AWAITED)

    def begin(self) -> None:
        """The session is one like any other from here on."""
        self.state = ArrivalState.BEGUN

    @property
    def is_resumed(self) -> bool:
        """Whether the main channel has its state, and the session may go on."""
        return self.state is ArrivalState.RESUMING and not self._passages[ChannelType.MAIN, 0].awaits_data

    def take_parked(self) -> list[ParkedChannel]:
        """The channels that begin now.

        :returns: them, in the order they were linked.
        """
        parked, self.parked = list(self.parked.values()), {}
        return parked

    def check_time(self, now: float) -> None:
        """Judge how long the client has waited.

        :raises LimitExceeded: too long.
        """
        if self.state is not ArrivalState.BEGUN and now > self._deadline:
            if self._is_off:
                raise LimitExceeded("its migration came to nothing, and it stayed")
            raise LimitExceeded(f"no guest came within ARRIVAL_TIMEOUT {ARRIVAL_TIMEOUT:g} s")
