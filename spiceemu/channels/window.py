"""The acknowledgement window: how far a client may be behind."""

from __future__ import annotations

ACK_WINDOW = 20
"""Messages a client takes before it acknowledges them (spice-server red-channel-client.cpp)."""

MAX_GENERATION = 0xFFFFFFFF
"""Generations of the window have 32 bits."""


class AckWindow:
    """How many messages a client may be behind.

    A server sends at most ``2 * window + 1`` messages that were not acknowledged; an ACK counts for ``window`` of them.
    Until ACK_SYNC of the present generation, ACKs are those of an earlier window and ignored. ACK_SYNC acknowledges all
    that was sent before its SET_ACK; upstream takes that as acknowledged as soon as SET_ACK is sent.
    """

    def __init__(self, window: int = ACK_WINDOW) -> None:
        self.window = window
        self.generation = 1
        self.outstanding = 0
        self._in_generation = 0  # messages behind the last SET_ACK
        self._synced = False

    @property
    def is_open(self) -> bool:
        """Whether another message may be sent."""
        return self.outstanding <= 2 * self.window

    def sent(self, count: int = 1) -> None:
        """Count messages."""
        self.outstanding += count
        self._in_generation += count

    def renew(self) -> None:
        """Begin the next generation, as another SET_ACK does."""
        self.generation = self.generation % MAX_GENERATION + 1
        self._in_generation = 0
        self._synced = False

    def sync(self, generation: int) -> None:
        """Take an ACK_SYNC."""
        self._synced = generation == self.generation
        if self._synced:
            self.outstanding = min(self.outstanding, self._in_generation)

    def ack(self) -> None:
        """Take an ACK."""
        if self._synced:
            self.outstanding = max(self.outstanding - self.window, 0)
