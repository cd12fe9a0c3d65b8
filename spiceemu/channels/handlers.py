"""What handles the messages of a channel: a row a message, and the table of a level, which knows fewer of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

from spiceemu.protocol.messages.message import CLIENT, Message, reader_of

if TYPE_CHECKING:
    from spiceemu.events import Event
    from spiceemu.protocol.capabilities import ChannelType
    from spiceemu.protocol.levels.level import Level

Handler: TypeAlias = "Callable[[Any, Any, float], Sequence[Event] | None]"
"""Takes the channel, the message and the time; gives the events it leads to, or None."""

Handlers: TypeAlias = Mapping[type[Message], Handler]
"""What handles each message that a channel takes."""

Table: TypeAlias = "dict[int, tuple[Callable[[bytes], Message], Handler]]"


class Handling(Protocol):
    """A channel as its table knows it."""

    type: ClassVar[ChannelType]
    base_handlers: ClassVar[Handlers]
    handlers: ClassVar[Handlers]


_tables: dict[tuple[type[Handling], Level], Table] = {}


def table_of(channel: type[Handling], level: Level) -> Table:
    """The messages that a level knows, made once for each class of channel and level.

    :param channel: the class of channel; its ``type`` decides where messages stand.
    :returns: by message id, how to read it and what handles it.
    """
    table = _tables.get((channel, level))
    if table is None:
        table = _tables[channel, level] = {
            message.spec.ids[CLIENT]: (reader_of(message), handle)
            for message, handle in {**channel.base_handlers, **channel.handlers}.items()
            if level.has(message.spec.feature_on(channel.type))
        }
    return table
