"""Data headers: where a message begins and ends on a connection.

::

    full  18 bytes   u64 serial | u16 type | u32 size | u32 sub_list
    mini   6 bytes                u16 type | u32 size

``size`` counts the body alone. The first message of a direction has serial 1; with mini headers both sides count in
their heads. ``sub_list`` is an offset from the body's start, 0 for none, to ``u16 count | u32 offsets[count]``; each
offset leads to ``u16 type | u32 size | body``. Sub-messages are handled before the message that carries them. The mini
header has no room for them: what would have been a list travels earlier, as a LIST message (id 8) whose body it is.

Sources: spice-protocol ``spice/protocol.h``; order of handling as in spice-gtk ``spice-channel.c``.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress

from spiceemu.errors import InvalidValue, LimitExceeded, MalformedMessage
from spiceemu.protocol.messages.base import List
from spiceemu.protocol.messages.message import SERVER, Message

FULL_HEADER = struct.Struct("<QHII")
MINI_HEADER = struct.Struct("<HI")
SUB_HEADER = MINI_HEADER
"""A sub-message's header has the fields of the mini header."""

MAX_CLIENT_BODY = 1 << 20
"""Largest body taken from a client; its longest message is a piece of a USB packet."""

MAX_SERVER_BODY = 1 << 28
"""Largest body taken from a server: an uncompressed picture of 8192x8192."""

MAX_SUB_MESSAGES = 256
"""Most sub-messages in one list; real servers send two."""

LARGE_BODY = 1 << 16
"""From this size on it matters that a body is not held twice while its message is read and handled."""

LIST_ID = List.spec.ids[SERVER]

Frame = tuple[int, bytes, int]
"""Message id, body, serial."""


class FrameReader:
    """Cuts one direction of a connection into messages.

    :param mini: whether the link agreed on mini headers.
    :param max_body: bodies beyond this are refused as soon as their header is there.
    """

    def __init__(self, *, mini: bool, max_body: int) -> None:
        self.mini = mini
        self.max_body = max_body
        self.serial = 0
        """Serial of the last message, counted where the header has none."""
        self._partial = bytearray()
        self._needed = 0  # bytes that an incomplete message must have before another look is worth it

    @property
    def buffered(self) -> int:
        """Bytes of an incomplete message."""
        return len(self._partial)

    def receive_data(self, data: bytes) -> Iterator[Frame]:
        """The messages that ``data`` completes, sub-messages before the one that carries them.

        Exhaust the iterator before the next call.

        :raises LimitExceeded: for a body over the limit, after the messages before it were given.
        :raises MalformedMessage: for a sub-message list that does not fit its body.
        """
        if self._partial and not (data := self._joined(data)):
            return
        mini, limit, list_id, serial = self.mini, self.max_body, LIST_ID, self.serial
        notable = min(limit, LARGE_BODY)
        header = MINI_HEADER if mini else FULL_HEADER
        unpack, header_size = header.unpack_from, header.size
        sub_list, start, end = 0, 0, len(data)
        if mini:
            # First the run of small whole messages that a chunk from a client is, with as few questions as can be: a
            # message that ends within ``near`` is whole and no larger than is notable.
            near = min(end, notable)
            with suppress(struct.error):  # the chunk ends within a header
                for serial in itertools.count(serial + 1):  # noqa: B020 - cheaper than adding
                    kind, size = unpack(data, start)
                    body_start = start + 6
                    stop = body_start + size
                    if stop > near:
                        if stop > end or size > notable:
                            break
                        near = min(end, start + notable)
                    if kind == list_id:
                        break
                    yield kind, data[body_start:stop], serial
                    start = stop
            serial -= 1  # the one counted last was not given
            self.serial = serial
        while (body_start := start + header_size) <= end:
            if mini:
                kind, size = unpack(data, start)
                serial += 1
            else:
                serial, kind, size, sub_list = unpack(data, start)
            stop = body_start + size
            if stop > end or size > notable:
                if size > limit:
                    raise LimitExceeded(f"message {kind} announces a body of {size} bytes, the limit is {limit}")
                if stop > end:
                    break
            self.serial = serial
            body = data[body_start:stop]
            if size > notable and size > end - stop:  # what is behind is less, so that copies stay few
                data = data[stop:]
                stop, end = 0, len(data)
            if kind == list_id or sub_list:
                yield from ((number, part, serial) for number, part in _expanded(kind, body, sub_list))
            else:
                yield kind, body, serial
            start = stop
        else:
            stop = body_start
        self._needed = stop - start
        self._partial += data[start:]

    def _joined(self, data: bytes) -> bytes:
        """What is there of an incomplete message with ``data`` behind it; nothing while that is too little."""
        self._partial += data
        if len(self._partial) < self._needed:  # so that a large body in small pieces is copied once
            return b""
        whole = bytes(self._partial)
        self._partial.clear()
        return whole


def _expanded(kind: int, body: bytes, sub_list: int) -> list[tuple[int, bytes]]:
    """The messages that one with a list stands for: those of the list, then itself without the list behind it."""
    found = []
    if sub_list:
        found = sub_messages(body, sub_list)
        body = body[:sub_list]
    return [*found, *(sub_messages(body, 0) if kind == LIST_ID else [(kind, body)])]


def sub_messages(body: bytes, offset: int) -> list[tuple[int, bytes]]:
    """Read a list of sub-messages: ids and bodies in the list's order.

    :param offset: where in the body the list stands.
    :returns: an id and a body each.
    :raises MalformedMessage: where the list, an offset or a sub-body lies outside the body.
    :raises LimitExceeded: for more than ``MAX_SUB_MESSAGES``, or more bytes together than the body has.
    """
    end = len(body)
    if offset + 2 > end:
        raise MalformedMessage("base.List", "size", offset, f"a list at {offset} in a body of {end} bytes")
    (count,) = struct.unpack_from("<H", body, offset)
    if count > MAX_SUB_MESSAGES:
        raise LimitExceeded(f"base.List.size at offset {offset}: {count} sub-messages, the limit is {MAX_SUB_MESSAGES}")
    if offset + 2 + 4 * count > end:
        raise MalformedMessage("base.List", "sub_messages", offset + 2, f"{count} offsets do not fit in {end} bytes")
    found = []
    left = end
    for place in struct.unpack_from(f"<{count}I", body, offset + 2):
        start = place + SUB_HEADER.size
        if start > end:
            raise MalformedMessage("base.List", "sub_messages", place, f"header beyond the body of {end} bytes")
        kind, size = SUB_HEADER.unpack_from(body, place)
        if start + size > end:
            raise MalformedMessage("base.List", "sub_messages", place, f"needs {size} bytes, {end - start} left")
        left -= size
        if left < 0:  # shared bodies would let a small message stand for a large one
            raise LimitExceeded(f"base.List at offset {offset}: sub-messages hold more than the body's {end} bytes")
        found.append((kind, body[start : start + size]))
    return found


def build_sub_messages(parts: Sequence[Message], direction: str, base: int) -> bytes:
    """Write a list of sub-messages that will stand at offset ``base`` of a body.

    :returns: the list, then each header with its body.
    :raises InvalidValue: for more than ``MAX_SUB_MESSAGES``.
    """
    if len(parts) > MAX_SUB_MESSAGES:
        raise InvalidValue(f"base.List: {len(parts)} sub-messages, the limit is {MAX_SUB_MESSAGES}")
    place = base + 2 + 4 * len(parts)
    offsets, bodies = [], []
    for part in parts:
        body = part.build()
        offsets.append(place)
        bodies.append(SUB_HEADER.pack(part.spec.ids[direction], len(body)) + body)
        place += len(bodies[-1])
    return struct.pack(f"<H{len(parts)}I", len(parts), *offsets) + b"".join(bodies)


class FrameWriter:
    """Puts headers before the messages of one direction.

    :param direction: ``SERVER`` or ``CLIENT``, which decides a message's id.
    """

    def __init__(self, *, mini: bool, direction: str) -> None:
        self.mini = mini
        self.direction = direction
        self.serial = 0
        """Serial of the last message written."""

    def frame(self, message: Message, before: Sequence[Message] = ()) -> list[bytes]:
        """The buffers of a message, header first; large payloads are the message's own objects.

        :param before: messages that the receiver must handle first, sent as sub-messages.
        :returns: what is to be sent, in this order; what came ``before`` is in it.
        """
        pieces = message.pieces()
        size = sum(map(len, pieces))
        number = message.spec.ids[self.direction]
        earlier: list[bytes] = []
        parts = b""
        if before and (self.mini or not size):  # a list at offset 0 would be none
            earlier = self._ahead(before)
        elif before:
            parts = build_sub_messages(before, self.direction, size)
        self.serial += 1
        if self.mini:
            return [*earlier, MINI_HEADER.pack(number, size), *pieces]
        header = FULL_HEADER.pack(self.serial, number, size + len(parts), size if parts else 0)
        return [*earlier, header, *pieces, parts] if parts else [*earlier, header, *pieces]

    def _ahead(self, before: Sequence[Message]) -> list[bytes]:
        """What goes earlier, with serials of its own: several as a LIST, which every peer with mini headers knows."""
        if self.mini and len(before) > 1:
            return self.frame(List(build_sub_messages(before, self.direction, 0)))
        return [buffer for message in before for buffer in self.frame(message)]
