"""The clients of a server: who is there, who came, and who was not waited for yet."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from spiceemu.errors import WrongState
from spiceemu.protocol.link.ticket import system_random
from spiceemu.sessions.failures import Failure, keep

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spiceemu.serving.member import Member

MAX_ARRIVALS = 100
"""Clients that nobody has waited for yet and are remembered, gone or not; beyond that the oldest are forgotten."""

MAX_GONE_BYTES = 1 << 26
"""Most bytes that what is kept of those takes that are gone, about; beyond that the oldest are forgotten."""


class Roster:
    """The members of a server by their session's id."""

    def __init__(self) -> None:
        self._members: dict[int, Member] = {}
        self._arrivals: deque[Member] = deque(maxlen=MAX_ARRIVALS)
        self._strays: list[Failure] = []
        self._news = asyncio.Event()
        self._open = False

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        """The members now, oldest first; they may go while this is iterated."""
        return iter(list(self._members.values()))

    def __contains__(self, session_id: int) -> bool:
        return session_id in self._members

    def __getitem__(self, session_id: int) -> Member:
        return self._members[session_id]

    def free_id(self) -> int:
        """An id for a new session, which cannot be guessed.

        :returns: it, of 32 bits and not 0.
        """
        while (session_id := system_random(32)) == 0 or session_id in self._members:
            pass
        return session_id

    def enter(self, member: Member) -> None:
        """Add a client, which calls :meth:`tell` when there is news of it, and :meth:`forget` when it is gone."""
        self._members[member.session.id] = member
        self._arrivals.append(member)
        self._news.set()

    def tell(self) -> None:
        """There is news of a client, for who waits for one."""
        self._news.set()

    def forget(self, member: Member) -> None:
        """A client is gone; it may still be waited for, within the limits."""
        del self._members[member.session.id]
        gone = [each for each in self._arrivals if each.ended]
        cost = sum(map(_cost, gone))
        for each in gone:
            if cost <= MAX_GONE_BYTES:
                break
            self._arrivals.remove(each)
            cost -= _cost(each)

    def failed(self, failure: Failure) -> None:
        """Tell who waits for a client of what has failed before there was one."""
        keep(self._strays, failure)
        self._news.set()

    # For the link's policy

    def is_parked(self, session_id: int) -> bool:
        """Whether a session is known whose client has not begun here."""
        return session_id in self._members and self._members[session_id].session.is_arriving

    def has_channel(self, session_id: int, channel_type: int, channel_id: int) -> bool:
        """Whether a session has linked this channel already."""
        return self._members[session_id].session.find(channel_type, channel_id) is not None

    # For the test

    def close(self) -> None:
        """Nobody comes any more; who waits is told so."""
        self._open = False
        self._news.set()

    def reopen(self) -> None:
        """Clients may come from now on."""
        self._open = True

    async def next_member(self, *, ready: bool) -> Member:
        """Wait for the next client that no earlier call returned; see :meth:`SpiceServer.wait_client`.

        :returns: the client.
        :raises WrongState: no client can come.
        :raises Exception: what of ours has failed on a client that nobody was given yet, or before there was one.
        """
        while True:
            for failure in self._strays:
                if not failure.seen:
                    raise failure.raised()
            for member in self._arrivals:
                for failure in member.failures:
                    if not failure.seen:
                        self._arrivals.remove(member)
                        raise failure.raised()
                if not ready or (member.ready and not member.ended):
                    self._arrivals.remove(member)
                    return member
            await self._changed()

    async def until_ready(self) -> None:
        """Wait until the first display channel of some client is ready."""
        while not any(member.ready for member in self._members.values()):
            await self._changed()

    async def _changed(self) -> None:
        if not self._open:
            raise WrongState("no client comes to a server that does not listen")
        self._news.clear()
        await self._news.wait()


def _cost(member: Member) -> int:
    return member.events.cost + member.messages.log.cost
