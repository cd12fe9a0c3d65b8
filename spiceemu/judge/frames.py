"""Cuts one direction of a connection into messages and remembers where each began.

:class:`~spiceemu.protocol.framing.FrameReader` is quicker and forgets it: places, lists and the headers' own serials
are of interest to the judge alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from spiceemu.errors import LimitExceeded
from spiceemu.protocol.framing import FULL_HEADER, MINI_HEADER


class Frame(NamedTuple):
    """A message as it travelled.

    :ivar offset: where its header began.
    :ivar position: which one it is, from 1.
    :ivar serial: the header's, or its position with mini headers.
    :ivar number: its id.
    :ivar body: all of it, a list of sub-messages included.
    :ivar sub_list: where in the body that list stands; 0 for none.
    """

    offset: int
    position: int
    serial: int
    number: int
    body: bytes
    sub_list: int


class FrameCutter:
    """Cuts bytes at the messages' borders.

    :param mini: whether headers are mini.
    :param max_body: bodies beyond this are refused as soon as their header is there.
    :param offset: where in the connection's bytes the first message begins.
    """

    def __init__(self, *, mini: bool, max_body: int, offset: int) -> None:
        self.mini = mini
        self.max_body = max_body
        self.offset = offset
        self.index = 0
        self._held = bytearray()

    @property
    def held(self) -> int:
        """Bytes of a message that is not whole yet."""
        return len(self._held)

    def receive_data(self, data: bytes) -> Iterator[Frame]:
        """The messages that ``data`` completes. Exhaust the iterator before the next call.

        :raises LimitExceeded: for a body over the limit, after the messages before it were given.
        """
        held = self._held
        held += data
        header = MINI_HEADER if self.mini else FULL_HEADER
        start = 0
        try:
            while (body_start := start + header.size) <= len(held):
                if self.mini:
                    number, size = header.unpack_from(held, start)
                    serial, sub_list = self.index + 1, 0
                else:
                    serial, number, size, sub_list = header.unpack_from(held, start)
                if size > self.max_body:
                    raise LimitExceeded(
                        f"message {number} announces a body of {size} bytes, the limit is {self.max_body}"
                    )
                stop = body_start + size
                if stop > len(held):
                    break
                self.index += 1
                body = bytes(memoryview(held)[body_start:stop])
                offset, start = self.offset + start, stop
                yield Frame(offset, self.index, serial, number, body, sub_list)
        finally:
            del held[:start]
            self.offset += start
