"""Changes recorded sessions by hand, and knows where in its stream each message then stands."""

from __future__ import annotations

import struct
from typing import NamedTuple

from .recorded import CLIENT, SERVER, Part, parts

FULL = struct.Struct("<QHII")
MINI = struct.Struct("<HI")
ERASED = b""


class Place(NamedTuple):
    """Where a message stands: which one of its direction, its serial, and at which byte."""

    connection: str
    direction: str
    index: int
    serial: int
    offset: int


class Edited:
    """A session that can be changed. Serials of full headers are kept one after the other."""

    def __init__(self, session: str) -> None:
        self.parts = parts(session)
        self._mini: dict[str, bool] = {}

    def mini(self, connection: str) -> bool:
        """Whether messages there have mini headers: that of the first one says so by its size."""
        if connection not in self._mini:
            first = next(part for part in self.parts if part.connection == connection and not self.is_link(part))
            self._mini[connection] = len(first.data) == MINI.size + MINI.unpack_from(first.data)[1]
        return self._mini[connection]

    @staticmethod
    def is_link(part: Part) -> bool:
        return part.data.startswith(b"REDQ")

    def number(self, part: Part) -> int:
        fields = MINI.unpack_from(part.data) if self.mini(part.connection) else FULL.unpack_from(part.data)[1:]
        return int(fields[0])

    def body(self, at: int) -> bytes:
        part = self.parts[at]
        return part.data[MINI.size if self.mini(part.connection) else FULL.size :]

    def find(self, connection: str, direction: str, number: int, which: int = 0) -> int:
        """Where in the session a message stands, by its id."""
        found = [
            at
            for at, part in enumerate(self.parts)
            if part[:2] == (connection, direction) and not self.is_link(part) and self.number(part) == number
        ]
        return found[which]

    def link(self, connection: str, direction: str) -> int:
        return next(
            at for at, part in enumerate(self.parts) if part[:2] == (connection, direction) and self.is_link(part)
        )

    def message(self, connection: str, number: int, body: bytes, serial: int = 0, sub_list: int = 0) -> bytes:
        if self.mini(connection):
            return MINI.pack(number, len(body)) + body
        return FULL.pack(serial, number, len(body), sub_list) + body

    def drop(self, at: int) -> None:
        del self.parts[at]

    def insert(
        self, at: int, connection: str, direction: str, number: int, body: bytes = b"", *, sub_list: int = 0
    ) -> int:
        """Put a message before another part; those behind it get the next serials."""
        self.parts.insert(at, Part(connection, direction, self.message(connection, number, body, 0, sub_list)))
        self._renumber(connection)
        return at

    def append(self, connection: str, direction: str, number: int, body: bytes = b"", *, sub_list: int = 0) -> int:
        return self.insert(len(self.parts), connection, direction, number, body, sub_list=sub_list)

    def repeat(self, at: int) -> int:
        """Say a message twice; return the second one's place."""
        part = self.parts[at]
        return self.insert(at + 1, part.connection, part.direction, self.number(part), self.body(at))

    def move(self, at: int, to: int) -> int:
        """Put a part before another."""
        part = self.parts.pop(at)
        to -= to > at
        self.parts.insert(to, part)
        if not self.is_link(part):
            self._renumber(part.connection)
        return to

    def patch(self, at: int, offset: int, new: bytes) -> int:
        """Overwrite bytes of a message's body, or of a link."""
        part = self.parts[at]
        if not self.is_link(part):
            offset += MINI.size if self.mini(part.connection) else FULL.size
        data = part.data[:offset] + new + part.data[offset + len(new) :]
        self.parts[at] = part._replace(data=data)
        return at

    def replace(self, at: int, number: int, body: bytes) -> int:
        """Put another message in place of one."""
        part = self.parts[at]
        serial = 0 if self.mini(part.connection) else FULL.unpack_from(part.data)[0]
        self.parts[at] = part._replace(data=self.message(part.connection, number, body, serial))
        return at

    def _renumber(self, connection: str) -> None:
        if self.mini(connection):
            return
        serials = {CLIENT: 0, SERVER: 0}
        for at, part in enumerate(self.parts):
            if part.connection == connection and not self.is_link(part):
                serials[part.direction] += 1
                data = struct.pack("<Q", serials[part.direction]) + part.data[8:]
                self.parts[at] = part._replace(data=data)

    def place(self, at: int) -> Place:
        """Where a part stands in its direction's bytes."""
        part = self.parts[at]
        before = [other for other in self.parts[:at] if other[:2] == part[:2]]
        index = 0 if self.is_link(part) else sum(not self.is_link(other) for other in before) + 1
        serial = index
        if index and not self.mini(part.connection):
            serial = FULL.unpack_from(part.data)[0]
        direction = "client" if part.direction == CLIENT else "server"
        return Place(part.connection, direction, index, serial, sum(len(other.data) for other in before))
