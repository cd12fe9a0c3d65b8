"""The clients of a server: who is there, who came, and who was not waited for yet."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from spiceemu.errors import WrongState
from spiceemu.protocol.link.ticket import system_random
from spiceemu.sessions.event_log import EventLog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spiceemu.client import Client
    from spiceemu.serving.member import Member
    from spiceemu.sessions.session import Session

MAX_ARRIVALS = 100
"""Clients that nobody has waited for yet and are remembered, gone or not; beyond that the oldest are forgotten."""

MAX_GONE_BYTES = 1 << 26
"""Most bytes that the events of those take that are gone, about; beyond that the oldest are forgotten."""


class Roster:
    """The members of a server by their session's id.

    :param max_events: how many events of each client are kept.
    :ivar clients: what the test sees of them, oldest first.
    """

    def __init__(self, max_events: int) -> None:
        self._max_events = max_events
        self.clients: list[Client] = []
        self._members: dict[int, Member] = {}
        self._arrivals: deque[Member] = deque(maxlen=MAX_ARRIVALS)
        self._news = asyncio.Event()
        self._open = False

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Member]:
        """The members now; they may go while this is iterated."""
        return iter(list(self._members.values()))

    def __contains__(self, session_id: int) -> bool:
        return session_id in self._members

    def __getitem__(self, session_id: int) -> Member:
        return self._members[session_id]

    def free_id(self) -> int:
        """An id for a new session, which cannot be guessed."""
        while (session_id := system_random(32)) == 0 or session_id in self._members:
            pass
        return session_id

    def enter(self, session: Session) -> Member:
        """Add a client by its session; it leaves by itself when it ends."""
        from spiceemu.serving.member import Member  # here: the first link is answered while this is not needed yet

        member = self._members[session.id] = Member(
            session, events=EventLog(self._max_events), news=self._news.set, forget=self._forget
        )
        self.clients.append(member.client)
        self._arrivals.append(member)
        self._news.set()
        return member

    def _forget(self, member: Member) -> None:
        del self._members[member.session.id]
        self.clients.remove(member.client)
        gone = [each for each in self._arrivals if each.ended]
        cost = sum(each.client.log.cost for each in gone)
        for each in gone:
            if cost <= MAX_GONE_BYTES:
                break
            self._arrivals.remove(each)
            cost -= each.client.log.cost

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

    async def next_client(self, *, ready: bool) -> Client:
        """Wait for the next client that no earlier call returned; see :meth:`SpiceServer.wait_client`.

        :raises WrongState: no client can come.
        """
        while True:
            for member in self._arrivals:
                if not ready or (member.ready and member.client.connected):
                    self._arrivals.remove(member)
                    return member.client
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
