"""What every agent message is: a record with a type, whose clipboard fields depend on what both sides announced.

One class a message, declared once, as construct layouts::

    @agent_message(AgentType.CLIPBOARD_GRAB, AgentCap.CLIPBOARD_BY_DEMAND)
    class ClipboardGrab(AgentMessage):
        selection: int = wire(Agreed("selection", ..., ClipboardSelection.CLIPBOARD), ...)
        types: Sequence[int] = wire(Rest(MAX_CLIPBOARD_TYPES, Int32ul))

Which of the :class:`Agreed` fields stand in the bytes is decided by one argument, a :class:`ClipboardLayout`, wherever
bytes are read or written. These messages are rare, so construct itself does the work.

Sizes are judged as spice-common's ``agent.c`` does: a message of fixed size has exactly that size, and bytes behind a
counted array or payload are ignored.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Self, TypeVar, dataclass_transform

import construct
from construct import Construct

from spiceemu.errors import InvalidValue, LimitExceeded, MalformedMessage, NotCompatible
from spiceemu.protocol.agent.enums import AgentCap
from spiceemu.protocol.layout.dictionaries import from_fields, to_fields
from spiceemu.protocol.layout.fields import ArrayOf, Blob, Record, record, wire


class ClipboardLayout(NamedTuple):
    """Which of the optional clipboard fields are in the bytes."""

    selection: bool = False
    """Four bytes before each clipboard message say which clipboard."""
    serial: bool = False
    """A CLIPBOARD_GRAB has a serial."""

    @classmethod
    def agreed(cls, ours: Iterable[int], theirs: Iterable[int]) -> Self:
        """The layout between two sides with these capabilities."""
        both = {*ours} & {*theirs}
        return cls(AgentCap.CLIPBOARD_SELECTION in both, AgentCap.CLIPBOARD_GRAB_SERIAL in both)


PLAIN = ClipboardLayout()
"""The layout before anything was announced, and with clients older than the capabilities."""


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """What a message is.

    :ivar name: ``agent.Class``.
    :ivar capability: what the receiving side must have announced.
    """

    name: str
    type: int
    capability: int | None


class AgentMessage(Record):
    """Base of all agent messages."""

    __slots__ = ()
    spec: ClassVar[AgentSpec]

    @classmethod
    def parse(cls, data: bytes, layout: ClipboardLayout = PLAIN) -> Self:
        """Read a message's data, without the VDAgentMessage header.

        :returns: the message; its clipboard fields as ``layout`` says.
        :raises MalformedMessage: naming the field and its offset.
        :raises LimitExceeded: for a count over its named limit.
        """
        stream = _Noting(data)
        try:
            fields = cls.layout.parse_stream(stream, **_context(layout))
        except _TooMany as error:
            raise LimitExceeded(f"{cls.spec.name}.{_field(error)} at offset {stream.place}: {error.reason}") from None
        except construct.StreamError as error:
            raise MalformedMessage(cls.spec.name, _field(error), stream.place, stream.shortage) from None
        made = from_fields(cls, fields)
        end = stream.tell()
        if end < len(data) and not any(isinstance(field.layout, ArrayOf | Blob) for field in cls.wire_fields):
            raise MalformedMessage(cls.spec.name, "", end, f"{len(data)} bytes, it has {end}")
        return made

    def build(self, layout: ClipboardLayout = PLAIN) -> bytes:
        """The message's data.

        :returns: the bytes behind the VDAgentMessage header.
        :raises InvalidValue: naming the field that does not fit.
        :raises NotCompatible: for a value that the layout has no place for.
        """
        try:
            data: bytes = self.layout.build(to_fields(self), **_context(layout))
        except _NotAgreed as error:
            raise NotCompatible(f"{self.spec.name}.{_field(error)}: {error.reason}") from None
        except construct.ConstructError as error:
            raise InvalidValue(f"{self.spec.name}.{_field(error)}: {str(error).splitlines()[-1]}") from error
        except (AttributeError, TypeError, ValueError) as error:
            raise InvalidValue(f"{self.spec.name}: {error}") from error
        return data

    def __str__(self) -> str:
        return f"agent.{self!r}"


MESSAGES: dict[int, type[AgentMessage]] = {}
"""The messages by type; import :mod:`spiceemu.protocol.agent.messages` to have them all."""

_Declared = TypeVar("_Declared", bound=AgentMessage)


@dataclass_transform(field_specifiers=(wire,))
def agent_message(kind: int, capability: int | None) -> Callable[[type[_Declared]], type[_Declared]]:
    """Declare a message.

    :param kind: its type.
    :param capability: what the receiver must be able to do; None, which is never the default, for what all take.
    :returns: what makes a message of a class.
    """

    def declare(cls: type[_Declared]) -> type[_Declared]:
        made = record(cls)
        made.spec = AgentSpec(f"agent.{cls.__name__}", kind, capability)
        MESSAGES[kind] = made
        return made

    return declare


# Layouts that only these messages have


class _Refused(construct.ConstructError):  # type: ignore[misc]
    def __init__(self, reason: str, path: str) -> None:
        super().__init__(reason, path)
        self.reason = reason


class _TooMany(_Refused):
    pass


class _NotAgreed(_Refused):
    pass


class _Noting(io.BytesIO):
    """Bytes that remember where the last read began and what it asked for, so that an error can tell."""

    place = 0
    asked = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.place, self.asked = self.tell(), size or 0
        return super().read(size)

    @property
    def left(self) -> int:
        """Bytes not yet read, from which on the next error counts."""
        self.place = self.tell()
        end = self.seek(0, io.SEEK_END)
        self.seek(self.place)
        return end - self.place

    @property
    def shortage(self) -> str:
        """Why the last read failed."""
        return f"needs {self.asked} bytes, {self.tell() - self.place} left"


def _context(layout: ClipboardLayout) -> dict[str, Any]:
    """What construct is told besides the bytes.

    With a root of its own it does not make the message's context its own root: that would be a cycle, which keeps the
    message and its bytes, up to 16 MiB, until the collector comes by.
    """
    return {"_root": None, **layout._asdict()}


def _field(error: construct.ConstructError) -> str:
    """The path of a field in construct's words, ``(parsing) -> a -> b``, in ours."""
    return ".".join((error.path or "").split(" -> ")[1:])


class AtMost(construct.Adapter):  # type: ignore[misc]
    """A count with a named limit, judged before anything is made."""

    def __init__(self, limit: int, subcon: Construct) -> None:
        super().__init__(subcon)
        self.limit = limit

    def _decode(self, obj: int, _context: Any, path: str) -> int:
        if obj > self.limit:
            raise _TooMany(f"{obj} elements, the limit is {self.limit}", path)
        return obj

    def _encode(self, obj: int, _context: Any, path: str) -> int:
        return self._decode(obj, _context, path)


class Rest(construct.Subconstruct):  # type: ignore[misc]
    """As many u32 as fit into the rest of the message; what is behind the last one is ignored."""

    def __init__(self, limit: int, subcon: Construct) -> None:
        super().__init__(subcon)
        self.limit = limit

    def _parse(self, stream: _Noting, context: Any, path: str) -> tuple[int, ...]:
        count = self._checked(stream.left // 4, path)
        made = tuple(self.subcon._parsereport(stream, context, path) for _ in range(count))
        stream.seek(0, io.SEEK_END)
        return made

    def _build(self, obj: Sequence[int], stream: io.BytesIO, context: Any, path: str) -> Sequence[int]:
        self._checked(len(obj), path)
        for value in obj:
            self.subcon._build(value, stream, context, path)
        return obj

    def _checked(self, count: int, path: str) -> int:
        if count > self.limit:
            raise _TooMany(f"{count} elements, the limit is {self.limit}", path)
        return count


class Agreed(construct.Subconstruct):  # type: ignore[misc]
    """A field that is there only if the clipboard's layout says so, and else has a fixed value."""

    def __init__(self, name: str, subcon: Construct, otherwise: int) -> None:
        super().__init__(subcon)
        self.agreement = name
        self.otherwise = otherwise

    def _parse(self, stream: io.BytesIO, context: Any, path: str) -> Any:
        if context._params[self.agreement]:
            return self.subcon._parsereport(stream, context, path)
        return self.otherwise

    def _build(self, obj: int, stream: io.BytesIO, context: Any, path: str) -> int:
        if context._params[self.agreement]:
            self.subcon._build(obj, stream, context, path)
        elif obj != self.otherwise:
            raise _NotAgreed(f"{obj!r} cannot be said: the other side does not know the field", path)
        return obj
