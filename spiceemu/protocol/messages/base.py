"""Messages that every channel has (spice.proto, BaseChannel): ids 1 to 100."""

from __future__ import annotations

from collections.abc import Sequence

from construct import GreedyBytes, Int8ul, Int32ul, Int64ul

from spiceemu.protocol.enums import LinkErr, MigrateFlags, NotifySeverity, NotifyVisibility
from spiceemu.protocol.layout.fields import ArrayOf, Blob, Count, EnumOf, FlagsOf, wire
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.messages.message import ALL_CHANNELS, Message, message
from spiceemu.protocol.messages.types import ChannelWait


@message(ALL_CHANNELS, server=1, feature=Feature.PROTOCOL_MAJOR2)
class Migrate(Message):
    """The channel stops here; flags say whether a flush mark and data follow."""

    flags: int = wire(FlagsOf(Int32ul, MigrateFlags))


@message(ALL_CHANNELS, server=2, client=5, feature=Feature.PROTOCOL_MAJOR2)
class MigrateData(Message):
    """The channel's state, from the source to the client, and by the client to the target."""

    data: bytes = wire(GreedyBytes, default=b"")


@message(ALL_CHANNELS, server=3, feature=Feature.PROTOCOL_MAJOR2)
class SetAck(Message):
    """Opens an acknowledgement window: ACK_SYNC at once, then an ACK after every ``window`` messages.

    The protocol has it on every channel, servers send it on display and cursor alone.
    """

    generation: int = wire(Int32ul)
    window: int = wire(Int32ul)


@message(ALL_CHANNELS, server=4, feature=Feature.PROTOCOL_MAJOR2, beside_main=Feature.CHANNEL_PINGS)
class Ping(Message):
    """Asks for a PONG of the same id and timestamp; ``data`` is padding for the bandwidth test."""

    id: int = wire(Int32ul)
    timestamp: int = wire(Int64ul)
    data: bytes = wire(GreedyBytes, default=b"")


@message(ALL_CHANNELS, server=5, feature=Feature.PROTOCOL_MAJOR2)
class WaitForChannels(Message):
    """The client stops reading here until the other channels have received the serials named."""

    wait_count = Count(Int8ul, "wait_list")
    wait_list: Sequence[ChannelWait] = wire(ArrayOf(ChannelWait, "wait_count"))


@message(ALL_CHANNELS, server=6, client=6, feature=Feature.PROTOCOL_MAJOR2)
class Disconnecting(Message):
    """The sender is about to close; ``time_stamp`` in nanoseconds."""

    time_stamp: int = wire(Int64ul)
    reason: int = wire(EnumOf(Int32ul, LinkErr))


@message(ALL_CHANNELS, server=7, feature=Feature.PROTOCOL_MAJOR2)
class Notify(Message):
    """A text for the user. Real servers send a NUL behind it that ``message_len`` does not count (``trailing``)."""

    time_stamp: int = wire(Int64ul)
    severity: int = wire(EnumOf(Int32ul, NotifySeverity))
    visibilty: int = wire(EnumOf(Int32ul, NotifyVisibility))
    what: int = wire(Int32ul)
    message_len = Count(Int32ul, "message")
    message: bytes = wire(Blob("message_len"))


@message(ALL_CHANNELS, server=8, feature=Feature.MINI_HEADER)
class List(Message):
    """Sub-messages of their own header, for links whose header has no room for a list of them."""

    data: bytes = wire(GreedyBytes, default=b"")


@message(ALL_CHANNELS, server=100, feature=Feature.PROTOCOL_MAJOR2)
class BaseLast(Message):
    """Marks the end of the base ids; never sent."""


@message(ALL_CHANNELS, client=1, feature=Feature.PROTOCOL_MAJOR2)
class AckSync(Message):
    """The window of that generation begins."""

    generation: int = wire(Int32ul)


@message(ALL_CHANNELS, client=2, feature=Feature.PROTOCOL_MAJOR2)
class Ack(Message):
    """Another window of messages has been received."""


@message(ALL_CHANNELS, client=3, feature=Feature.PROTOCOL_MAJOR2, beside_main=Feature.CHANNEL_PINGS)
class Pong(Message):
    """Answers a PING; its padding is not sent back."""

    id: int = wire(Int32ul)
    timestamp: int = wire(Int64ul)


@message(ALL_CHANNELS, client=4, feature=Feature.PROTOCOL_MAJOR2)
class MigrateFlushMark(Message):
    """All that the client had to say before the migration has been said."""
