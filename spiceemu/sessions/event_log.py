"""What one client did, kept within limits: a client can do more than a test ever looks at."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spiceemu.events import Event

MAX_EVENTS = 100_000
"""Most events kept of a client."""

MAX_EVENT_BYTES = 1 << 26
"""Most bytes of memory, about, that they hold of what the client sent, such as its clipboard."""

EVENT_COST = 200
"""Bytes that an event takes by itself, about."""


class EventLog:
    """Events, oldest first. Beyond a limit the oldest are dropped, read or not, and counted.

    :param limit: how many to keep at most.
    :ivar events: all that are kept.
    :ivar dropped: how many are not any more.
    """

    def __init__(self, limit: int = MAX_EVENTS) -> None:
        self.limit = limit
        self.events: deque[Event] = deque()
        self.dropped = 0
        self._unread: deque[Event] = deque()
        self._held = 0

    @property
    def cost(self) -> int:
        """Bytes of memory that the events take, about."""
        return self._held + EVENT_COST * len(self.events)

    def add(self, event: Event) -> None:
        """Add the newest."""
        self.events.append(event)
        self._unread.append(event)
        self._held += event.held
        while len(self.events) > self.limit or self._held > MAX_EVENT_BYTES:
            oldest = self.events.popleft()
            self._held -= oldest.held
            self.dropped += 1
            if self._unread[0] is oldest:
                self._unread.popleft()

    def take(self) -> Event | None:
        """The oldest event that was not taken yet; None if there is none."""
        return self._unread.popleft() if self._unread else None
