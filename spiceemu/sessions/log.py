"""What one client did and was told, kept within limits: a client can do more than a test ever looks at."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from spiceemu.channels.tap import MessageTap
from spiceemu.protocol.messages.message import CLIENT, SERVER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spiceemu.channels.tap import TappedChannel
    from spiceemu.events import Event
    from spiceemu.protocol.messages.message import Message

MAX_EVENT_BYTES = 1 << 26
"""Most bytes of memory, about, that they hold of what the client sent, such as its clipboard."""

EVENT_COST = 200
"""Bytes that an event or a message takes by itself, about."""

MAX_MESSAGE_BYTES = 1 << 26
"""Most bytes of memory, about, that their bodies hold, such as pixels."""

Entry = TypeVar("Entry")


class Log(Generic[Entry]):
    """Entries, oldest first. Beyond a limit the oldest are dropped, read or not, and counted.

    :param limit: how many to keep at most.
    :param weigh: tells the bytes of memory that an entry holds beside its own.
    :param most: how many of these to hold at most.
    :ivar entries: all that are kept.
    :ivar dropped: how many are not any more.
    """

    def __init__(self, limit: int, weigh: Callable[[Entry], int], most: int) -> None:
        self.limit = limit
        self.entries: deque[Entry] = deque()
        self.dropped = 0
        self._weigh = weigh
        self._most = most
        self._unread: deque[Entry] = deque()
        self._weights: deque[int] = deque()  # of the entries: to weigh a message is to write it
        self._held = 0

    @property
    def cost(self) -> int:
        """Bytes of memory that the entries take, about."""
        return self._held + EVENT_COST * len(self.entries)

    def add(self, entry: Entry) -> None:
        """Add the newest."""
        weight = self._weigh(entry)  # first: of a message that cannot be written there is nothing to keep
        self.entries.append(entry)
        self._unread.append(entry)
        self._weights.append(weight)
        self._held += weight
        while len(self.entries) > self.limit or self._held > self._most:
            oldest = self.entries.popleft()
            self._held -= self._weights.popleft()
            self.dropped += 1
            if self._unread[0] is oldest:
                self._unread.popleft()

    def take(self) -> Entry | None:
        """The oldest entry that was not taken yet.

        :returns: it; None if there is none.
        """
        return self._unread.popleft() if self._unread else None


def event_log(limit: int) -> Log[Event]:
    """A log of events.

    :param limit: how many to keep at most.
    :returns: the log, bounded by ``MAX_EVENT_BYTES`` as well.
    """
    return Log(limit, lambda event: event.held, MAX_EVENT_BYTES)


class Passed(NamedTuple):
    """A message as it passed.

    :ivar sender: ``server`` or ``client``.
    :ivar channel: the channel's name, such as ``display:0``.
    :ivar message: the message itself, one of :mod:`spiceemu.protocol.messages`.
    """

    sender: str
    channel: str
    message: Message

    def __str__(self) -> str:
        return f"{'>' if self.sender == SERVER else '<'} {self.channel} {self.message}"


class MessageLog(MessageTap):
    """A tap that keeps what passes; where it watches, what really travels.

    :param limit: how many messages to keep at most.
    """

    def __init__(self, limit: int) -> None:
        self.log: Log[Passed] = Log(limit, _weight, MAX_MESSAGE_BYTES)

    def sending(self, channel: TappedChannel, message: Message) -> Iterable[Message]:
        """Keep a message of ours."""
        self.log.add(Passed(SERVER, channel.name, message))
        return (message,)

    def received(self, channel: TappedChannel, message: Message) -> Iterable[Message]:
        """Keep a message of the client."""
        self.log.add(Passed(CLIENT, channel.name, message))
        return (message,)


def _weight(passed: Passed) -> int:
    return sum(map(len, passed.message.pieces()))
