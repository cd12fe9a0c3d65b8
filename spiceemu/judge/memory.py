"""What a judge remembers of streams, and how much: none of it can be made endless by a stream."""

from __future__ import annotations

MAX_REMEMBERED = 1 << 16
"""Most ids of one kind that are remembered. A stream that names more is no longer judged by what it named."""


MAX_HELD = 1 << 29
"""Bytes of unfinished links and messages that all connections together hold; twice the largest message."""


class Held:
    """Counts the bytes that connections hold until a link or a message is whole."""

    def __init__(self) -> None:
        self.total = 0

    def change(self, by: int) -> bool:
        """Count more or, below zero, fewer; tell whether that is within ``MAX_HELD``."""
        self.total += by
        return self.total <= MAX_HELD


class Remembered:
    """A set of ids, of which not all may be known.

    :param complete: whether what was not added is not there. Without, the stream was met on its way: only what was
        taken away is known not to be there.
    """

    def __init__(self, *, complete: bool = True) -> None:
        self.complete = complete
        self._there: set[int] = set()
        self._gone: set[int] = set()

    def __contains__(self, number: int) -> bool:
        return number in self._there or (not self.complete and number not in self._gone)

    def add(self, number: int) -> None:
        """Note that an id is there from now on."""
        self._gone.discard(number)
        self._there.add(number)
        self._stay_small()

    def discard(self, number: int) -> None:
        """Note that an id is no longer there."""
        self._there.discard(number)
        if not self.complete:
            self._gone.add(number)
            self._stay_small()

    def clear(self) -> None:
        """Note that nothing is there: from here on all is known."""
        self._there.clear()
        self._gone.clear()
        self.complete = True

    def forget(self) -> None:
        """Take everything as possible, as where a stream is met on its way."""
        self._there.clear()
        self._gone.clear()
        self.complete = False

    def was_added(self, number: int) -> bool:
        """Whether an id is there for certain."""
        return number in self._there

    def _stay_small(self) -> None:
        if len(self._there) + len(self._gone) > MAX_REMEMBERED:
            self.forget()
