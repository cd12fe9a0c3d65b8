"""The two sides of a link as an observer reads them.

Each side is a row of fields::

    client  MAGIC HEADER MESSAGE | reply | [MECHANISM] TICKET                                             MESSAGES
                                           MECHANISM NAME_SIZE NAME (DATA_SIZE DATA | step |)... | result | MESSAGES
    server  MAGIC HEADER REPLY | mechanism | RESULT                                                       MESSAGES
                              NAMES_SIZE NAMES (DATA_SIZE DATA COMPLETE)... ACCEPTED RESULT               MESSAGES

At a bar a side cannot be read on before something of the other side is known. What arrives there is as good as secret:
zeros are kept in its place, and its beginning is remembered until it can be read. REFUSED is where a link ends that
did not come about, and everything behind it is hidden as well.
"""

from __future__ import annotations

from enum import Enum, auto

from spiceemu.protocol.link.layouts import MAGIC

MAX_UNDECIDED = 1 << 14
"""Bytes of one side remembered until the other side's tell how to read them. A link that needs more is not read."""


class LinkField(Enum):
    """What a side is at; the first ones are those where it waits for the other side, and the ends."""

    REPLY_WAIT = auto()
    MECHANISM_WAIT = auto()
    STEP_WAIT = auto()
    RESULT_WAIT = auto()
    MESSAGES = auto()
    REFUSED = auto()

    MAGIC = auto()
    HEADER = auto()
    MESSAGE = auto()
    REPLY = auto()
    MECHANISM = auto()
    TICKET = auto()
    NAMES_SIZE = auto()
    NAMES = auto()
    NAME_SIZE = auto()
    NAME = auto()
    DATA_SIZE = auto()
    DATA = auto()
    COMPLETE = auto()
    ACCEPTED = auto()
    TEXT_SIZE = auto()
    TEXT = auto()
    RESULT = auto()


WAITS = frozenset({LinkField.REPLY_WAIT, LinkField.MECHANISM_WAIT, LinkField.STEP_WAIT, LinkField.RESULT_WAIT})
SECRETS = frozenset({LinkField.TICKET, LinkField.DATA})


class Side:
    """One direction: the field it is at, and what is there of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.field = LinkField.MAGIC
        self.missing = len(MAGIC)
        self.taken = 0
        """Bytes of the fields before this one, and of this one so far."""
        self.piece = bytearray()
        """What is there of this field, unless that is secret."""
        self.undecided = bytearray()
        self.forgotten = False
        """Whether more was undecided than is remembered."""
        self.steps = 0

    def expect(self, field: LinkField, size: int = 0) -> None:
        """Go on to a field of so many bytes."""
        self.field = field
        self.missing = size

    def remember(self, data: bytes) -> None:
        """Keep what arrives while it cannot be told how to read it, as far as there is room."""
        if not self.forgotten:
            room = MAX_UNDECIDED - len(self.undecided)
            self.undecided += data[:room]
            self.forgotten = len(data) > room
