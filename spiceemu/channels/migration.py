"""What channels report of a migration; the session puts it together."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

from spiceemu.errors import LimitExceeded
from spiceemu.events import Event
from spiceemu.protocol.capabilities import ChannelType, channel_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from spiceemu.channels.channel import Channel
    from spiceemu.errors import RemoteError
    from spiceemu.protocol.link.server import Linked

MAX_PARKED = 1 << 16
"""Most bytes that a client may send on a channel that has not begun yet; clients send one message."""


class MigrationAnswer(Enum):
    """What a client says of its links to the other server."""

    CONNECTED = auto()
    CONNECTED_SEAMLESS = auto()
    CONNECT_ERROR = auto()


@dataclass(frozen=True, slots=True)
class MigrationAnswered(Event):
    """At the source: the client is linked to the other server, or could not be."""

    answer: MigrationAnswer


@dataclass(frozen=True, slots=True)
class ClientFollowed(Event):
    """At the target: the client has left the source and wants its channels begun (MIGRATE_END)."""


@dataclass(frozen=True, slots=True)
class SeamlessAsked(Event):
    """At the target: the client asks whether its channels can go on as they are (MIGRATE_DST_DO_SEAMLESS)."""

    version: int


@dataclass(frozen=True, slots=True)
class Restored(Event):
    """At the target: a channel goes on from where it was."""


@dataclass(frozen=True, slots=True)
class ParkedFault(Event):
    """At the target: what was kept of a parked channel breaks the protocol, and the channel must be closed for it.

    It comes to light when another channel, or the guest, lets it begin: no error of theirs.
    """

    channel: Channel
    error: RemoteError


class ParkedChannel:
    """A linked channel that has not begun: it keeps what the client says and says nothing.

    The client links all its channels to the target while the guest still runs at the source.
    """

    def __init__(self, linked: Linked, wake: Callable[[], None]) -> None:
        self.linked = linked
        self.wake = wake
        self.type = ChannelType(linked.request.channel_type)
        self.id = linked.request.channel_id
        self.said = bytearray()
        self.failure: Exception | None = None

    def __repr__(self) -> str:
        return f"<ParkedChannel {self.name}>"

    @property
    def name(self) -> str:
        """``type:id``, for log lines."""
        return channel_name(self.type, self.id)

    def receive_data(self, data: bytes) -> None:
        """Keep it.

        :raises LimitExceeded: for more than ``MAX_PARKED`` bytes.
        """
        self.said += data
        if len(self.said) > MAX_PARKED:
            raise LimitExceeded(f"{self.name}: {len(self.said)} bytes before it begins, the limit is {MAX_PARKED}")

    def handle(self, now: float) -> None:
        """Nothing is handled before it begins."""

    def data_to_send(self) -> list[bytes]:
        """What there is to write.

        :returns: nothing.
        :raises Exception: why it could not begin.
        """
        if self.failure is not None:
            raise self.failure
        return []

    def fail(self, error: Exception) -> None:
        """Raise an error as soon as the connection asks for what there is to send: the channel could not begin."""
        self.failure = error
        self.wake()

    unsent = 0

    def check_time(self, now: float) -> None:
        """The session has a deadline for all its channels."""

    def close(self) -> None:
        """Nothing was begun."""
