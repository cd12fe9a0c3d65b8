"""Moves the guest of a server, and its clients, to another one.

The order is spice-server's. The clients are told where to go, and link there while the guest still runs here. Then the
guest stops: they are told to leave, what they said until then is heard, the guest goes over, and they go on there. So
no key that was sent here is missing there, and none is there twice.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from spiceemu.channels import events
from spiceemu.listeners import WILDCARDS
from spiceemu.migration import Departure, DepartureState, Destination, choose_scheme
from spiceemu.protocol.compat import Feature
from spiceemu.protocol.errors import InvalidValue, NotCompatible, WrongState
from spiceemu.protocol.level import MigrationScheme

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from spiceemu.guest.machine import Guest
    from spiceemu.member import Member
    from spiceemu.server import SpiceServer

    Deliver = Callable[[bytes], Awaitable[None]]

CONNECT_TIMEOUT = 10.0
"""Seconds that a client may take to link the target (spice-server reds.cpp, MIGRATE_TIMEOUT)."""

LEAVE_TIMEOUT = 10.0
"""Seconds that a client may take to leave once it was told to."""

log = logging.getLogger("spiceemu.migration")


class Moved(NamedTuple):
    """What became of one client.

    :ivar session_id: its session at the source.
    :ivar scheme: how it was moved.
    :ivar followed: whether it left as told; else it was lost on the way.
    """

    session_id: int
    scheme: MigrationScheme
    followed: bool


def destination_of(source: SpiceServer, target: SpiceServer | Destination, cert_subject: str) -> Destination:
    """Where clients are sent.

    :raises InvalidValue: they cannot be sent there.
    """
    if target is source:
        raise InvalidValue("a server cannot be the target of its own migration")
    if isinstance(target, Destination):
        destination = target
    else:
        host = WILDCARDS.get(target.host, target.host)
        if not target.listening:
            raise WrongState("the target of a migration must listen before its clients come")
        destination = Destination(host, target.port, target.tls_port, target.tls_subject if target.tls_port else "")
    if cert_subject:
        destination = destination._replace(cert_subject=cert_subject)
    destination.check()
    return destination


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


def check_features(source: SpiceServer, target: SpiceServer, *, retreat: bool) -> None:
    """Refuse a target that lacks what is in use here, or, to retreat, give up what can be given up.

    :raises NotCompatible: naming the features.
    :raises InvalidValue: the target's guest cannot become what the source's is.
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
    check_guest(guest, target.guest)
    if used and not retreat:
        names = ", ".join(str(feature.name) for feature in used)
        raise NotCompatible(f"level {target.level.name} lacks what is in use here: {names}; retreat=True gives it up")
    for display in guest.displays if used else ():
        for surface_id in [number for number in display.surfaces if number]:
            if Feature.SURFACES in used:
                display.destroy_surface(surface_id)
        if Feature.MONITORS_CONFIG in used:
            first = min(display.heads, key=lambda head: head.id)
            guest.set_heads(display.id, [replace(first, x=0, y=0)])


class Move:
    """One migration of a server.

    :param source: the server.
    :param target: another server of this process, or where one is.
    :param deliver: takes the snapshot that the target must have before the clients go on.
    """

    def __init__(
        self, source: SpiceServer, target: SpiceServer | Destination, cert_subject: str, deliver: Deliver | None
    ) -> None:
        self.source = source
        self.target = None if isinstance(target, Destination) else target
        self.destination = destination_of(source, target, cert_subject)
        self.deliver = deliver
        self.members: list[Member] = []

    async def run(self, *, retreat: bool) -> list[Moved]:
        """Do it.

        :raises NotCompatible: the levels do not allow it.
        """
        members = self.members = list(self.source.members)
        await asyncio.gather(*map(_arrived, members))
        for member in members:
            if member.session.is_arriving:
                member.disconnect("it was on its way here still when the guest went on")
        members[:] = [member for member in members if not member.ended]
        level = self.target.level if self.target else None
        if self.target is not None:
            check_features(self.source, self.target, retreat=retreat)
            if len(members) > 1 and not self.target.shared:
                raise InvalidValue(f"the target takes one client at once, and there are {len(members)}")
        alone = len(members) == 1
        schemes = [choose_scheme(self.source.level, level, each.session.main, alone=alone) for each in members]
        if self.target is not None:
            self.target.expect_guest()
        try:
            for member, scheme in zip(members, schemes, strict=True):
                member.session.departure = Departure(
                    member.session, self.destination.for_client(member.session), scheme
                )
                member.post(events.MigrationBegan(scheme, self.destination.host))
            await asyncio.gather(*map(self._connect, members))
            return await self._leave()
        except BaseException:
            self._stay()
            raise

    async def _connect(self, member: Member) -> None:
        """Wait until a client has linked the target, or said that it cannot."""
        departure = _departure(member)
        if not await member.until(lambda: departure.state is not DepartureState.ASKED, CONNECT_TIMEOUT):
            departure.give_up()
            text = f"the client did not link the other server within CONNECT_TIMEOUT {CONNECT_TIMEOUT:g} s"
            member.post(events.MigrationFailed(text))

    async def _leave(self) -> list[Moved]:
        """Stop the guest, hear the clients' last words, hand over.

        :raises WrongState: the target listens no more.
        """
        if self.target is not None and not self.target.listening:
            raise WrongState("the target of the migration was closed before the guest had gone there")
        staying = [member for member in self.members if not member.ended]
        for member in staying:
            _departure(member).leave()
        await asyncio.gather(*map(self._hear_last_words, staying))
        await self._hand_guest_over()
        await asyncio.gather(*map(self._hand_over, staying))
        return [
            self._result(member, followed=member in staying and member.ended and _departure(member).has_gone_on)
            for member in self.members
        ]

    async def _hear_last_words(self, member: Member) -> None:
        """Wait until a client has nothing to say here any more: a seamless one has said so, others have left."""
        departure = _departure(member)
        seamless = departure.scheme is MigrationScheme.SEAMLESS
        await member.until(lambda: seamless and departure.has_flushed, LEAVE_TIMEOUT)

    async def _hand_over(self, member: Member) -> None:
        """Let a client that waits for its channels' states have them, and leave."""
        departure = _departure(member)
        if departure.scheme is MigrationScheme.SEAMLESS and not member.ended and departure.has_flushed:
            departure.hand_over()
            await member.until(lambda: False, LEAVE_TIMEOUT)

    def _result(self, member: Member, *, followed: bool) -> Moved:
        departure = _departure(member)
        if not member.ended:
            member.disconnect(f"it did not leave within LEAVE_TIMEOUT {LEAVE_TIMEOUT:g} s")
        member.session.agent.leave()
        log.info("session %s: %s to %s", member.label, departure.scheme.value, self.destination.host)
        return Moved(member.session.id, departure.scheme, followed)

    async def _hand_guest_over(self) -> None:
        if self.target is not None:
            self.target.receive_guest(self.source.snapshot())
        if self.deliver is not None:
            await self.deliver(self.source.snapshot())

    def _stay(self) -> None:
        """It comes to nothing: the clients stay, if they may."""
        for member in self.members:
            departure = member.session.departure
            if member.ended or departure is None:
                continue
            left = departure.is_leaving
            text = "the migration was cancelled" + (" after the client was told to leave" if left else "")
            departure.cancel()
            member.session.departure = None
            member.post(events.MigrationFailed(text))
            if left:
                member.disconnect(text)  # it has nothing to stay with: its channels are frozen, or it is gone already
        if self.target is not None:
            self.target.let_go()


async def _arrived(member: Member) -> None:
    """Wait for a client that is still on its way here from elsewhere."""
    await member.until(lambda: not member.session.is_arriving, CONNECT_TIMEOUT)


def _departure(member: Member) -> Departure:
    departure = member.session.departure
    assert departure is not None
    return departure
