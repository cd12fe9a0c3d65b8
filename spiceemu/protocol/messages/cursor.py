"""Messages of the cursor channel (spice.proto, CursorChannel)."""

from __future__ import annotations

from construct import GreedyBytes, Int8ul, Int16ul, Int64ul

from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import CursorFlags
from spiceemu.protocol.layout.fields import Case, Choice, FlagsOf, Record, record, wire
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.messages.message import Message, message
from spiceemu.protocol.messages.types import CursorHeader, Point16

CURSOR = ChannelType.CURSOR


@record
class Cursor(Record):
    """A cursor's picture; ``u`` is None for no cursor. From the cache it has a header but no ``data``."""

    flags: int = wire(FlagsOf(Int16ul, CursorFlags))
    u: CursorHeader | None = wire(Choice("flags", Case("header", CursorHeader, unless=CursorFlags.NONE)), default=None)
    data: bytes = wire(GreedyBytes, default=b"")


@message(CURSOR, server=101, feature=Feature.PROTOCOL_MAJOR2)
class Init(Message):
    """The first message, and the first after a reset."""

    position: Point16 = wire(Point16)
    trail_length: int = wire(Int16ul)
    trail_frequency: int = wire(Int16ul)
    visible: int = wire(Int8ul)
    cursor: Cursor = wire(Cursor)


@message(CURSOR, server=102, feature=Feature.PROTOCOL_MAJOR2)
class Reset(Message):
    """Back to nothing; INIT follows."""


@message(CURSOR, server=103, feature=Feature.PROTOCOL_MAJOR2)
class Set(Message):
    """A new cursor, its place and whether it shows."""

    position: Point16 = wire(Point16)
    visible: int = wire(Int8ul)
    cursor: Cursor = wire(Cursor)


@message(CURSOR, server=104, feature=Feature.PROTOCOL_MAJOR2)
class Move(Message):
    """The cursor's new place; shows it if it was hidden."""

    position: Point16 = wire(Point16)


@message(CURSOR, server=105, feature=Feature.PROTOCOL_MAJOR2)
class Hide(Message):
    """No cursor is shown."""


@message(CURSOR, server=106, feature=Feature.PROTOCOL_MAJOR2)
class Trail(Message):
    """The cursor leaves a trail of so many images."""

    length: int = wire(Int16ul)
    frequency: int = wire(Int16ul)


@message(CURSOR, server=107, feature=Feature.PROTOCOL_MAJOR2)
class InvalOne(Message):
    """A cached cursor to forget."""

    id: int = wire(Int64ul)


@message(CURSOR, server=108, feature=Feature.PROTOCOL_MAJOR2)
class InvalAll(Message):
    """All cached cursors to forget."""
