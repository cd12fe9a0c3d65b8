"""Moves the guest of a server, and its clients, to another one.

The order is spice-server's. The clients are told where to go, and link there while the guest still runs here. Then the
guest stops: they are told to leave, what they said until then is heard, the guest goes over, and they go on there. So
no key that was sent here is missing there, and none is there twice.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from spiceemu import events
from spiceemu.errors import HangUp, InvalidValue, MigrationAborted, NotCompatible, WrongState
from spiceemu.guest import state as guest_state
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.levels.level import MigrationScheme
from spiceemu.protocol.plain import Plain
from spiceemu.serving.listeners import WILDCARDS, is_loopback
from spiceemu.sessions import snapshot
from spiceemu.sessions.carried import read_sessions
from spiceemu.sessions.destination import Destination, best_scheme, choose_scheme
from spiceemu.sessions.failures import reason_of
from spiceemu.sessions.migration import Departure, DepartureState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from spiceemu.guest.machine import Guest
    from spiceemu.serving.core import ServerCore
    from spiceemu.serving.member import Member
    from spiceemu.sessions.session import Session

    Deliver = Callable[[bytes], Awaitable[None]]

CONNECT_TIMEOUT = 10.0
"""Seconds that a client may take to link the target (spice-server reds.cpp, MIGRATE_TIMEOUT)."""

LEAVE_TIMEOUT = 10.0
"""Seconds that a client may take to leave once it was told to."""

SETTLE_TIME = 0.25
"""Seconds between a client's links to a server of another kind and the states of its channels.

A real target makes its display channel in another thread, and libspice-server 0.15.1 crashes if a state is there
before: it takes the migration for done when all channels that it knows of have theirs. From a real source the guest's
memory has to come meanwhile.
"""

log = logging.getLogger("spiceemu.migration")


class Moved(NamedTuple):
    """What became of one client.

    :ivar session_id: its session at the source.
    :ivar scheme: how it was moved.
    :ivar followed: whether it left as told, and the guest as well; else it was lost on the way.
    """

    session_id: int
    scheme: MigrationScheme
    followed: bool


def destination_of(source: ServerCore, target: ServerCore | Destination, cert_subject: str = "") -> Destination:
    """Where clients are sent.

    :returns: what clients are told.
    :raises InvalidValue: they cannot be sent there.
    :raises NotCompatible: the source's level moves nobody.
    :raises WrongState: the target does not listen.
    """
    best_scheme(source.level, None)  # before anything else is said of the target, and even if nobody is there to move
    if isinstance(target, Destination):
        destination = target
    else:
        at = target.addresses
        host = WILDCARDS.get(at.host, at.host)
        if not target.listening:
            raise WrongState("the target of a migration must listen before its clients come")
        destination = Destination(host, at.port, at.tls_port, at.tls.subject if at.tls else "")
    if cert_subject:
        destination = destination._replace(cert_subject=cert_subject)
    destination.check()
    if target is source or _is_at(source, destination):
        raise InvalidValue("a server cannot be the target of its own migration")
    return destination


def _is_at(server: ServerCore, destination: Destination) -> bool:
    """Whether a destination is surely this server; by what names others know it, it does not know itself."""
    at = server.addresses
    own = at.port, at.tls_port
    if not any(port and port == mine for port, mine in zip((destination.port, destination.tls_port), own, strict=True)):
        return False
    hosts = {"127.0.0.1" if host == "localhost" else host for host in (at.host, destination.host)}
    return len(hosts) == 1 or (at.host in WILDCARDS and is_loopback(destination.host))


def check_free(source: ServerCore, target: ServerCore | None) -> None:
    """Refuse a second migration while one of the servers is in the middle of another: no guest may be given away twice.

    :raises WrongState: one of them is.
    """
    if source.move is not None and source.move.source is source:
        raise WrongState(f"a migration to {source.move.destination.host} is under way")
    if source.move is not None or source.awaits_guest:
        raise WrongState("a server whose guest is on its way here has none to send on")
    if target is not None and target.move is not None:
        raise WrongState("the target of the migration is in the middle of another one")


def check_guest(guest: Guest, other: Guest) -> None:
    """Refuse a target whose guest cannot become what this one is, while the clients are here still.

    :raises InvalidValue: saying what it lacks.
    """
    has, needs = len(other.displays), len(guest.displays)
    if has < needs:
        raise InvalidValue(f"the target has {has} display{'s' * (has != 1)}, the guest that moves has {needs}")
    if (guest.agent is None) != (other.agent is None):
        who = ("the guest that moves", "the target's") if other.agent is None else ("the target's guest", "the other")
        raise InvalidValue(f"{who[0]} has an agent, {who[1]} has none")


def check_channels(session: Session, target: ServerCore) -> None:
    """Refuse a target that cannot take what it would be told of a client's channels.

    :raises InvalidValue: naming the channel.
    """
    saved = {f"{session.id:08x}": session.save(asyncio.get_running_loop().time())}
    read_sessions(Plain({"sessions": saved}).field("sessions"), target.tables.channels)


def check_features(source: ServerCore, target: ServerCore, *, retreat: bool) -> list[Feature]:
    """Refuse a target that lacks what is in use here.

    :param retreat: whether that may be given up, where it can be.
    :returns: what must be given up.
    :raises NotCompatible: naming the features.
    """
    lacking = source.level.features & ~target.level.features
    guest = source.guest
    used = []
    if Feature.SURFACES in lacking and any(len(display.surfaces) > 1 for display in guest.displays):
        used.append(Feature.SURFACES)
    if Feature.MONITORS_CONFIG in lacking and any(len(display.heads) > 1 for display in guest.displays):
        used.append(Feature.MONITORS_CONFIG)
    if Feature.MULTI_DISPLAY_CHANNELS in lacking and len(guest.displays) > 1:
        # Not even by retreat: a client has no way to lose a channel.
        names = Feature.MULTI_DISPLAY_CHANNELS.name
        raise NotCompatible(
            f"level {target.level.name} lacks {names}, and a second display channel cannot be withdrawn"
        )
    if used and not retreat:
        names = ", ".join(str(feature.name) for feature in used)
        raise NotCompatible(f"level {target.level.name} lacks what is in use here: {names}; retreat=True gives it up")
    return used


def give_up(guest: Guest, features: Collection[Feature]) -> None:
    """Leave a guest nothing that needs these."""
    if Feature.SURFACES in features:
        for display in guest.displays:
            for surface_id in [number for number in display.surfaces if number]:
                display.destroy_surface(surface_id)
    if Feature.MONITORS_CONFIG in features:
        for display in guest.displays:
            first = min(display.heads, key=lambda head: head.id)
            guest.set_heads(display.id, [replace(first, x=0, y=0)])


class Move:
    """One migration of a server.

    :param source: the server.
    :param target: another server of this process, or where one is.
    :param deliver: takes the snapshot that the target must have before the clients go on.
    """

    def __init__(
        self, source: ServerCore, target: ServerCore | Destination, cert_subject: str, deliver: Deliver | None
    ) -> None:
        self.source = source
        self.target = None if isinstance(target, Destination) else target
        self.destination = destination_of(source, target, cert_subject)
        self.deliver = deliver
        self.members: list[Member] = []
        self._guest_is_gone = False

    async def run(self, *, retreat: bool) -> list[Moved]:
        """Do it; see :meth:`SpiceServer.migrate_to`."""
        check_free(self.source, self.target)
        servers = [self.source] if self.target is None else [self.source, self.target]
        for server in servers:
            server.move = self
        try:
            return await self._run(retreat=retreat)
        finally:
            for server in servers:
                server.move = None

    async def _run(self, *, retreat: bool) -> list[Moved]:
        await self._gather_members()
        schemes = self._prepare(retreat=retreat)
        try:
            for member, scheme in zip(self.members, schemes, strict=True):
                self._guarded(member, partial(self._begin, member, scheme))
            self.members = [member for member in self.members if member.session.departure is not None]
            await asyncio.gather(*map(self._connect, self.members))
            seamless = any(_departure(each).scheme is MigrationScheme.SEAMLESS for each in self.members)
            if seamless and self._goes_to_others:
                await asyncio.sleep(SETTLE_TIME)
            return await self._leave()
        except BaseException:
            if not self._guest_is_gone:
                self._stay()
            raise

    @property
    def _goes_to_others(self) -> bool:
        """Whether the target is none of ours, as far as is known: it is sent no snapshot."""
        return self.target is None and self.deliver is None

    async def _gather_members(self) -> None:
        """Find who is to move, and wait for those that are on their way here themselves."""
        members = list(self.source.roster)
        await asyncio.gather(*map(_arrived, members))
        for member in members:
            if member.session.is_arriving:
                member.disconnect("it was on its way here still when the guest went on")
        self.members = [member for member in members if not member.ended]

    def _prepare(self, *, retreat: bool) -> list[MigrationScheme]:
        """See that all can go over, while nobody knows of it yet; how each client will.

        :raises NotCompatible: the levels do not allow it.
        :raises InvalidValue: the target, or a snapshot, cannot take the guest.
        """
        source, target, alone = self.source, self.target, len(self.members) == 1
        level = target.level if target else None
        schemes = [choose_scheme(source.level, level, each.session.main, alone=alone) for each in self.members]
        if self.deliver is not None:
            snapshot.check(source.save())
        if target is not None:
            check_guest(source.guest, target.guest)
            given_up = check_features(source, target, retreat=retreat)
            if len(schemes) > 1 and not target.habits.shared:
                raise InvalidValue(f"the target takes one client at once, and there are {len(schemes)}")
            guest_state.check(target.guest, guest_state.save(source.guest))
            for member, scheme in zip(self.members, schemes, strict=True):
                if scheme is MigrationScheme.SEAMLESS:
                    check_channels(member.session, target)
            give_up(source.guest, given_up)
            target.awaits_guest = True
        return schemes

    def _begin(self, member: Member, scheme: MigrationScheme) -> None:
        """Tell a client where it is to go."""
        channels = member.session.channels
        secure = all(channel.secure for channel in channels.values())
        member.session.departure = Departure(channels, self.destination.for_client(secure=secure), scheme)
        member.post(events.MigrationBegan(scheme, self.destination.host))

    async def _connect(self, member: Member) -> None:
        """Wait until a client has linked the target, or said that it cannot."""
        departure = _departure(member)
        if not await member.until(lambda: departure.state is not DepartureState.ASKED, CONNECT_TIMEOUT):
            departure.give_up(f"the client did not link the other server within CONNECT_TIMEOUT {CONNECT_TIMEOUT:g} s")
            member.post(events.MigrationFailed(departure.failure))

    async def _leave(self) -> list[Moved]:
        """Stop the guest, hear the clients' last words, hand over.

        :raises WrongState: the target listens no more; nobody has left.
        :raises MigrationAborted: the guest could not go over.
        """
        self._check_target()
        staying = [member for member in self.members if not member.ended]
        for member in staying:
            self._guarded(member, _departure(member).leave)
            if _departure(member).scheme is MigrationScheme.SWITCH_HOST:
                self._call_off(member)
        staying = [member for member in staying if not member.ended]
        await asyncio.gather(*map(self._hear_last_words, staying))
        try:
            await self._hand_guest_over()
        except Exception as error:
            lost = [Moved(member.session.id, _departure(member).scheme, followed=False) for member in self.members]
            text = f"the guest stays, and clients that were told to leave are lost: {error}"
            raise MigrationAborted(text, lost) from error
        self._guest_is_gone = True
        ending = asyncio.ensure_future(self._end(staying))
        cancelled = False
        while not ending.done():  # there is no way back, however often that is asked: the guest is there
            try:
                await asyncio.shield(ending)
            except asyncio.CancelledError:
                cancelled = True
        if cancelled:
            raise asyncio.CancelledError
        return ending.result()

    async def _end(self, staying: list[Member]) -> list[Moved]:
        """Let the clients follow the guest; what became of each."""
        await asyncio.gather(*map(self._hand_over, staying))
        return [
            self._result(member, followed=member in staying and member.ended and _departure(member).has_gone_on)
            for member in self.members
        ]

    def _check_target(self) -> None:
        if self.target is not None and not self.target.listening:
            raise WrongState("the target of the migration was closed before the guest had gone there")

    async def _hear_last_words(self, member: Member) -> None:
        """Wait until a client has nothing to say here any more: a seamless one has said so, others have left."""
        departure = _departure(member)
        seamless = departure.scheme is MigrationScheme.SEAMLESS
        await member.until(lambda: seamless and departure.has_flushed, LEAVE_TIMEOUT)

    async def _hand_over(self, member: Member) -> None:
        """Let a client that waits for its channels' states have them, and leave."""
        departure = _departure(member)
        if departure.scheme is MigrationScheme.SEAMLESS and not member.ended and departure.has_flushed:
            self._guarded(member, departure.hand_over)
            await member.until(lambda: False, LEAVE_TIMEOUT)

    def _result(self, member: Member, *, followed: bool) -> Moved:
        departure = _departure(member)
        if not member.ended:
            why = f"it did not leave within LEAVE_TIMEOUT {LEAVE_TIMEOUT:g} s"
            self._guarded(member, partial(member.disconnect, why))
        self._guarded(member, member.session.agent.leave)
        log.info("session %s: %s to %s", member.label, departure.scheme.value, self.destination.host)
        return Moved(member.session.id, departure.scheme, followed)

    async def _hand_guest_over(self) -> None:
        if self.target is not None:
            self._check_target()
            self.target.load(self.source.save())
        if self.deliver is not None:
            await self.deliver(snapshot.dump(self.source.save()))

    def _stay(self) -> None:
        """It comes to nothing: the guest stays, and so do the clients, if they may."""
        try:
            for member in self.members:
                if member.session.departure is not None:
                    self._keep(member, member.session.departure)
        finally:
            if self.target is not None:
                self.target.let_go()

    def _keep(self, member: Member, departure: Departure) -> None:
        """Let a client stay that may; one that was told to leave is lost, as its channels are frozen."""
        left = departure.is_leaving
        text = "the migration was cancelled" + (" after the client was told to leave" if left else "")
        self._guarded(member, departure.cancel)
        member.session.departure = None
        self._call_off(member)
        if not member.ended:
            member.post(events.MigrationFailed(text))
            if left:
                self._guarded(member, partial(member.disconnect, text))
        if left:
            self._guarded(member, member.session.release)

    def _guarded(self, member: Member, step: Callable[[], object]) -> None:
        """Take a step with one client; if it fails, that client is lost, and the others go on."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is ours, and told
            if not member.ended:
                self._lose(member, error)
            elif not isinstance(error, HangUp):
                self.source.failed(error)

    def _lose(self, member: Member, error: Exception) -> None:
        """Tell a client's failure, and end it."""
        reason = reason_of(error)
        try:
            member.fail(error)
            member.disconnect(reason)
        except Exception as later:  # noqa: BLE001 - as above
            self.source.failed(later)

    def _call_off(self, member: Member) -> None:
        """Let the target wait no longer for a client that has linked it, and does not come that way.

        spice-gtk never closes the main channel of a seamless migration that was cancelled.
        """
        for there in self.target.roster if self.target else ():
            arrival = there.session.arrival
            if arrival is not None and there.session.id == member.session.id:
                arrival.call_off(asyncio.get_running_loop().time())


async def _arrived(member: Member) -> None:
    """Wait for a client that is still on its way here from elsewhere."""
    await member.until(lambda: not member.session.is_arriving, CONNECT_TIMEOUT)


def _departure(member: Member) -> Departure:
    departure = member.session.departure
    assert departure is not None
    return departure
