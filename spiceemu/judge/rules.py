"""Rules about the order of messages: those that every channel has, and what a channel's own are made of.

A rule is a generator over :class:`~spiceemu.protocol.levels.needs.Breach`. It says what is wrong once and then goes on
as if it were right, so that one fault is one finding. What is wrong only if nothing more comes is :class:`Owed`. Rules
need the messages of both sides in the order in which they passed.

Sources: sections 3, 4, 7 and 11 of the notes on releases; spice-server's ``red-channel-client.c`` for acknowledgements
and migration, spice-gtk's ``channel-base.c`` for what a client makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeAlias

from spiceemu.protocol.enums import MigrateFlags
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.levels.needs import Breach
from spiceemu.protocol.messages import base
from spiceemu.protocol.messages.message import CLIENT, SERVER, Message
from spiceemu.protocol.messages.migrate_data import WITH_STATE

if TYPE_CHECKING:
    from spiceemu.judge.session import SessionState
    from spiceemu.protocol.capabilities import ChannelType
    from spiceemu.protocol.levels.level import Level

UNACKNOWLEDGED_WINDOWS = 2
"""A server stops when more than so many windows of messages are not acknowledged."""


class Owed(NamedTuple):
    """A breach only if the connection ends before something comes.

    :ivar thing: what is to come; of each, the one owed last counts.
    :ivar is_owed: whether it has still not come.
    """

    thing: object
    breach: Breach
    is_owed: Callable[[], bool]


@dataclass(frozen=True, slots=True)
class Scene:
    """What the link of a connection told.

    :ivar client: numbers of the client's channel capabilities.
    :ivar server: numbers of the server's.
    """

    level: Level
    session: SessionState
    channel_type: ChannelType
    channel_id: int
    connection_id: int
    client: frozenset[int]
    server: frozenset[int]


class ChannelRules:
    """The rules of a channel without rules of its own.

    :param scene: whose connection it is.
    """

    handlers: ClassVar[Mapping[tuple[str, type[Message]], Handler]] = {}
    """The rules for a message, by its direction and kind."""

    first: ClassVar[type[Message] | None] = None
    """What a server must say before its ``late`` messages."""

    late: ClassVar[frozenset[type[Message]]] = frozenset()
    """Messages of the server that mean nothing before its first one."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.level = scene.level
        self.session = scene.session
        self.opened = False
        """Whether the first message has been said, or its absence."""
        self._migrating: int | None = None  # the flags of MIGRATE, and those it should have
        self._moved = False  # MIGRATE_DATA followed, nothing more may
        self._flushed = False
        self._window = 0
        self._generation: int | None = None
        self._synced = False
        self._unacknowledged = 0

    def judge(self, direction: str, message: Message) -> Iterator[Breach | Owed]:
        """What is wrong with a message at this point."""
        if direction == SERVER:
            yield from self._server_migration(message)
            yield from self._first_message(message)
        else:
            yield from self._client_migration(message)
        for table in (_BASE, self.handlers):
            handler = table.get((direction, type(message)))
            if handler is not None:
                yield from handler(self, message)

    def count(self, name: str) -> Iterator[Breach]:
        """Count a message of the server, a list as one; call it before what the message is about."""
        if not self._window:
            return
        self._unacknowledged += 1
        limit = UNACKNOWLEDGED_WINDOWS * self._window + 1
        if self._unacknowledged > limit:
            self._window = 0  # until the next SET_ACK, as it is said
            yield Breach(name, reason=f"is one more than the {limit} messages a server sends unacknowledged")

    def _first_message(self, message: Message) -> Iterator[Breach]:
        if self.first is None or self.opened:
            return
        if isinstance(message, self.first):
            self.opened = True
        elif type(message) in self.late and self.session.whole:
            self.opened = True
            yield Breach(message.spec.name, reason=f"comes before {self.first.spec.name}")

    # Migration

    def _server_migration(self, message: Message) -> Iterator[Breach]:
        name = message.spec.name
        is_data = isinstance(message, base.MigrateData)
        if self._migrating is None:
            if is_data:
                yield Breach(name, reason="comes without base.Migrate before it")
            return
        announced = self._migrating & MigrateFlags.NEED_DATA_TRANSFER and not self._moved
        if is_data and announced:
            self._moved = True
            if self._migrating & MigrateFlags.NEED_FLUSH and not self._flushed:
                reason = "comes before base.MigrateFlushMark of the client, which base.Migrate asks for"
                yield Breach(name, reason=reason)
        elif announced:
            yield Breach(name, reason="follows base.Migrate, behind which only the announced base.MigrateData may come")
        else:
            yield Breach(name, reason="comes on a channel that has migrated: nothing may follow")

    def _client_migration(self, message: Message) -> Iterator[Breach]:
        name = message.spec.name
        if self._flushed:
            yield Breach(name, reason="follows base.MigrateFlushMark, the client's last message")
        if isinstance(message, base.MigrateFlushMark):
            self._flushed = True
            if self._migrating is None or not self._migrating & MigrateFlags.NEED_FLUSH:
                yield Breach(name, reason="answers no base.Migrate that asks for it")

    def migrate(self, message: base.Migrate) -> Iterator[Breach | Owed]:
        """MIGRATE stops the channel, and asks for what the channel's type has to carry along."""
        self._migrating = message.flags
        if not self.level.has(Feature.SEAMLESS_MIGRATE):
            return  # that it comes at all is the fault
        name, flags = message.spec.name, message.flags
        facts = self.level.facts.get(self.scene.channel_type)
        right = WITH_STATE if facts is not None and facts.state else 0
        self._migrating |= right
        if flags != right:
            yield Breach(name, reason=f"has flags {flags:#x}, on this channel they are {right:#x}")
        if flags & right & MigrateFlags.NEED_FLUSH:
            breach = Breach(name, reason="asks for base.MigrateFlushMark of the client, which never came")
            yield Owed(base.MigrateFlushMark, breach, lambda: not (self._flushed or self._moved))
        if flags & right & MigrateFlags.NEED_DATA_TRANSFER:
            breach = Breach(name, reason="announces base.MigrateData, which never came")
            yield Owed(base.MigrateData, breach, lambda: self._flushed and not self._moved)

    # Acknowledgements

    def set_ack(self, message: base.SetAck) -> Iterator[Breach]:
        """SET_ACK opens a window and counts anew; ACKs count once the client has answered it."""
        self._window, self._generation = message.window, message.generation
        self._synced = False
        self._unacknowledged = 0
        yield from ()

    def ack_sync(self, message: base.AckSync) -> Iterator[Breach]:
        """ACK_SYNC answers SET_ACK."""
        if self._generation is None:
            yield Breach(message.spec.name, reason="answers no base.SetAck")
        elif message.generation == self._generation:
            self._synced = True

    def ack(self, message: base.Ack) -> Iterator[Breach]:
        """ACK acknowledges a window."""
        if self._generation is None:
            yield Breach(message.spec.name, reason="comes without base.SetAck")
        elif self._synced:
            self._unacknowledged = max(0, self._unacknowledged - self._window)


def not_a_target(message: Message) -> Breach:
    """A client said what only the target of a migration is told."""
    return Breach(message.spec.name, reason="goes to the target of a migration, which this server is not")


Handler: TypeAlias = Callable[[Any, Any], Iterator[Breach | Owed]]

_BASE: Mapping[tuple[str, type[Message]], Handler] = {
    (SERVER, base.Migrate): ChannelRules.migrate,
    (SERVER, base.SetAck): ChannelRules.set_ack,
    (CLIENT, base.AckSync): ChannelRules.ack_sync,
    (CLIENT, base.Ack): ChannelRules.ack,
}
