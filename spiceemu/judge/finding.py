"""What the judge finds, and where."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class Kind(Enum):
    """What a finding is about."""

    LINK = "link"
    CAPABILITY = "capability"
    MESSAGE = "message"
    IMAGE = "image"
    ORDER = "order"
    MALFORMED = "malformed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the level would not say, in one place.

    :ivar connection: the connection's name in the recording.
    :ivar channel: such as ``display:0``; empty where the link did not come as far.
    :ivar direction: ``server`` or ``client``: who sent it.
    :ivar index: which message of its direction it is, from 1; 0 for the link.
    :ivar serial: the message's serial, counted where headers have none; 0 for the link.
    :ivar offset: where it begins in its direction's bytes, from the connection's first byte; a message begins with its
        header.
    :ivar kind: what it is about.
    :ivar name: the thing itself, such as ``display.MonitorsConfig`` or ``minor 1``.
    :ivar explanation: the whole sentence.
    """

    connection: str
    channel: str
    direction: str
    index: int
    serial: int
    offset: int
    kind: Kind
    name: str
    explanation: str

    def __str__(self) -> str:
        place = f"message {self.index}, serial {self.serial}, " if self.index else "link, "
        return (
            f"{self.connection} {self.channel or '?'} {self.direction} ({place}offset {self.offset}): "
            f"{self.kind.value}: {self.explanation}"
        )

    def to_fields(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        return {**asdict(self), "kind": self.kind.value}
