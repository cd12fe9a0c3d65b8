"""What handles the messages of a channel: a row a message, and the table of a level, which knows fewer of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from spiceemu.protocol.messages.message import CLIENT, Message, reader_of

if TYPE_CHECKING:
    from spiceemu.channels.tap import TappedChannel
    from spiceemu.events import Event
    from spiceemu.protocol.levels.level import Level

Handler: TypeAlias = "Callable[[Any, Any, float], Sequence[Event] | None]"
"""Takes the channel, the message and the time; gives the events it leads to, or None."""

Handlers: TypeAlias = Mapping[type[Message], Handler]
"""What handles each message that a channel takes."""

Table: TypeAlias = "dict[int, tuple[Callable[[bytes], Message], Handler]]"

_tables: dict[tuple[type[Any], Level], Table] = {}


def table_of(channel: type[TappedChannel], handlers: Handlers, level: Level) -> Table:
    """The messages that a level knows, made once for each class of channel and level.

    :param channel: the class of channel; its ``type`` decides where messages stand.
    :param handlers: what handles each message.
    :returns: by message id, how to read it and what handles it.
    """
    table = _tables.get((channel, level))
    if table is None:
        kind: Any = channel.type
        table = _tables[channel, level] = {
            message.spec.ids[CLIENT]: (reader_of(message), handle)
            for message, handle in handlers.items()
            if level.has(message.spec.feature_on(kind))
        }
    return table
