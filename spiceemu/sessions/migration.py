"""How a client moves from one server to another: both ends of it, sans-IO.

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
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple

from spiceemu import events
from spiceemu.channels.display import DisplayChannel
from spiceemu.channels.migration import MigrationAnswer, ParkedChannel
from spiceemu.errors import IllegalMessage, LimitExceeded, NotCompatible
from spiceemu.protocol.capabilities import MainCap
from spiceemu.protocol.levels.level import MigrationScheme
from spiceemu.protocol.messages import main
from spiceemu.protocol.messages.types import DstInfo
from spiceemu.protocol.plain import Plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spiceemu.channels.channel import Channel
    from spiceemu.channels.main import MainChannel
    from spiceemu.channels.migration import ClientFollowed, MigrationAnswered, Restored, SeamlessAsked
    from spiceemu.events import Event
    from spiceemu.protocol.levels.level import Level
    from spiceemu.sessions.session import Session

NO_PORT = 0
"""What clients take for no plain port (spice-gtk, spice_session_set_port); at 0xFFFF they would look for one."""

NO_TLS_PORT = 0xFFFF
"""What QEMU says where there is no TLS port; clients look there only if plain channels are refused."""

MAX_HOST = 255
"""Longest name of a host in bytes (RFC 1035)."""

MAX_SUBJECT = 1 << 12
"""Longest subject of a certificate in bytes of UTF-8."""

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

SEMI, SEAMLESS, SWITCH_HOST = MigrationScheme.SEMI_SEAMLESS, MigrationScheme.SEAMLESS, MigrationScheme.SWITCH_HOST


class Destination(NamedTuple):
    """Where a client is sent: what it needs to link there.

    :ivar cert_subject: the subject that the target's certificate must have, as spice-gtk compares it
        (``CN=host, O=…``); empty for the host name to be judged instead.
    """

    host: str
    port: int | None = None
    tls_port: int | None = None
    cert_subject: str = ""

    def check(self) -> None:
        """Refuse what the messages cannot hold.

        :raises InvalidValue: naming it and the limit.
        """
        host, port, tls_port, subject = (Plain(value, f"destination.{name}") for name, value in self._asdict().items())
        for text, most in ((host, MAX_HOST), (subject, MAX_SUBJECT)):
            if "\0" in text.text(most):
                raise text.wrong("has a NUL, where clients take it to end")
        if not self.host:
            raise host.wrong("is empty")
        for number in (port, tls_port):
            number.optional(lambda it: it.integer(1, NO_TLS_PORT - 1))
        if self.port is None and self.tls_port is None:
            raise port.wrong("neither this nor a TLS port is given")

    def info(self) -> DstInfo:
        """The same for MIGRATE_BEGIN."""
        return DstInfo(*self._ports(), _text(self.host), _text(self.cert_subject) if self.cert_subject else None)

    def switch(self) -> main.MigrateSwitchHost:
        """The same as SWITCH_HOST."""
        subject = _text(self.cert_subject) if self.cert_subject else None
        return main.MigrateSwitchHost(*self._ports(), _text(self.host), subject)

    def _ports(self) -> tuple[int, int]:
        return self.port or NO_PORT, self.tls_port or NO_TLS_PORT

    def for_client(self, session: Session) -> Destination:
        """The same for one client: where it has TLS alone and can have it there, it is told of no other port.

        Else spice-gtk, which tries the plain port first, would lose it on its way.
        """
        if self.tls_port is not None and all(channel.secure for channel in session.channels.values()):
            return self._replace(port=None)
        return self


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


def best_scheme(source: Level, target: Level | None) -> MigrationScheme:
    """The best scheme from one level to another, before any client is asked.

    :param target: None for a server of which nothing is known; then its answers decide.
    :raises NotCompatible: the source's level moves nobody.
    """
    if source.migration is MigrationScheme.NONE:
        raise NotCompatible(f"level {source.name} has no migration: WITHOUT_MIGRATION")
    if target is None or source.migration is target.migration:
        return source.migration
    return SEMI if source.takes_sessions and target.takes_sessions else SWITCH_HOST


def choose_scheme(source: Level, target: Level | None, channel: MainChannel, *, alone: bool) -> MigrationScheme:
    """How a client is moved: the best of the levels' schemes that it has as well, with all that this falls back to.

    :param target: None for a server of which nothing is known.
    :param channel: the client's main channel.
    :param alone: whether it is the only client; spice-server moves several semi-seamlessly at best.
    :raises NotCompatible: the source's level moves nobody.
    """
    best = best_scheme(source, target)
    announced = channel.client_capabilities
    # A client of protocol 2.0 would take MIGRATE_BEGIN for its older layout (spice-server 0.8.3 asks for this as well).
    knows_semi = MainCap.SEMI_SEAMLESS_MIGRATE in announced and channel.linked.request.minor >= 1
    if best is SWITCH_HOST or not knows_semi:
        return SWITCH_HOST
    seamless = {MainCap.SEAMLESS_MIGRATE, MainCap.AGENT_CONNECTED_TOKENS} <= announced
    return SEAMLESS if best is SEAMLESS and seamless and alone else SEMI


class DepartureState(Enum):
    """Where a departure stands; the module's table says what follows what."""

    ASKED = auto()
    CONNECTED = auto()
    UNCONNECTED = auto()
    LEAVING = auto()
    CANCELLED = auto()


class Departure:
    """One client's way to another server.

    :param session: the client's.
    :param destination: where to.
    :param scheme: how, unless the client's answer tells otherwise.
    """

    def __init__(self, session: Session, destination: Destination, scheme: MigrationScheme) -> None:
        self.session = session
        self.destination = destination
        self.scheme = scheme
        self.state = DepartureState.ASKED
        self._channels: list[Channel] = []  # those that move with their states, as they were when it was told to go
        self.failure = ""
        """Why the client does not go as was meant."""
        self.has_handed_over = False
        """Whether every channel's state is on its way."""
        match scheme:
            case MigrationScheme.SEAMLESS:
                session.main.send(main.MigrateBeginSeamless(destination.info(), MIGRATION_VERSION))
            case MigrationScheme.SEMI_SEAMLESS:
                session.main.send(main.MigrateBegin(destination.info()))
            case _:
                self.state = DepartureState.UNCONNECTED  # the client is told nothing before the guest has moved

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
                self._channels = list(self.session.channels.values())
                displays = [channel for channel in self._channels if isinstance(channel, DisplayChannel)]
                if displays:
                    min(displays, key=lambda each: each.id).freezes_cache = True
                for channel in self._channels:
                    channel.freeze()
            case MigrationScheme.SEMI_SEAMLESS:
                self.session.main.send(main.MigrateEnd())
            case _:
                self.session.main.send(self.destination.switch())

    @property
    def has_flushed(self) -> bool:
        """Whether the client has said all that it had to say, on every channel that moves with its state.

        On one that ended before, it has not: a client that is being lost loses its channels one by one.
        """
        return all(channel.has_flushed for channel in self._channels)

    def hand_over(self) -> None:
        """Send every channel's state; the target must have the guest by now."""
        for channel in list(self.session.channels.values()):
            channel.hand_over()
        self.has_handed_over = True

    def cancel(self) -> None:
        """Let the client stay, if it may still: one that was told to leave has left."""
        if self.scheme is not SWITCH_HOST and self.state in (DepartureState.ASKED, DepartureState.CONNECTED):
            self.session.main.send(main.MigrateCancel())
        self.state = DepartureState.CANCELLED


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

    def take_parked(self) -> list[ParkedChannel]:
        """The channels that begin now, in the order they were linked."""
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


# What the session does about what its channels report


def on_answered(session: Session, event: MigrationAnswered, _now: float) -> Iterable[Event]:
    """The client tells how its links to the target went."""
    departure = session.departure
    if departure is None or not departure.answered(event.answer):
        if event.answer is not MigrationAnswer.CONNECT_ERROR:
            session.main.send(main.MigrateCancel())  # too late, as spice-server says it
        return ()
    if departure.state is DepartureState.UNCONNECTED:
        return (events.MigrationFailed(departure.failure),)
    return (events.MigrationConnected(departure.scheme),)


def on_seamless_asked(session: Session, event: SeamlessAsked, now: float) -> Iterable[Event]:
    """The client asks whether its channels can go on; what is parked begins with the answer yes."""
    arrival = session.arrival
    if arrival is None or arrival.state is not ArrivalState.PARKED:
        raise IllegalMessage("main:0: main.MigrateDstDoSeamless in a session that has begun")
    able = session.level.migration is SEAMLESS and session.alone() and event.version <= MIGRATION_VERSION
    if able:
        arrival.state = ArrivalState.RESUMING
        arrival.seamless = True
        session.main.send_frozen(main.MigrateDstSeamlessAck())
        session.main.awaits_data = True
        yield from session.open_parked(now)
    else:
        session.main.send_frozen(main.MigrateDstSeamlessNack())


def on_followed(session: Session, _event: ClientFollowed, now: float) -> Iterable[Event]:
    """The client has left the source: begin, unless the guest is still on its way."""
    if session.arrival is None or session.arrival.state is not ArrivalState.PARKED:
        return ()  # spice-server warns of it in its log, and goes on
    session.arrival.follow()
    return session.begin_arrival(now)


def on_restored(session: Session, _event: Restored, now: float) -> Iterable[Event]:
    """A channel goes on; with the main channel, the session does."""
    arrival = session.arrival
    if arrival is not None and arrival.state is ArrivalState.RESUMING and not session.main.awaits_data:
        arrival.state = ArrivalState.BEGUN
        session.resume(now)
        yield events.ClientArrived(SEAMLESS)
