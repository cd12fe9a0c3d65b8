"""Derives from a record's declaration the functions that do its daily work.

construct walks its objects for every message, which costs 40 to 90 µs for a DRAW_COPY. Here the same objects are walked
once, on first use, and written out as Python source: neighbouring fixed fields become one ``struct`` call, whatever
else stays a branch, a slice or a loop. Four functions a record::

    parse(body, o, end)              -> (record, the offset after it)
    size(x)                          -> bytes of the record itself, without what it points to
    emit(x, out, queue, free)        -> free, after appending the record's pieces to ``out``
    pieces(x)                        -> the pieces of the record and of all it points to

``free`` is the offset at which the next pointed-to part will stand. A pointer met while emitting takes ``free`` as its
value, moves it on by the target's size and queues the target: the breadth-first order of upstream's marshallers, known
before a byte is written.

The truth stays :attr:`Record.layout`; tests hold both to the same bytes. This module has what both directions need;
reading is in :mod:`spiceemu.protocol.layout.parse`, writing in :mod:`spiceemu.protocol.layout.build`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from construct import Adapter, FormatField, Rebuild

from spiceemu.protocol.layout.fields import Choice, EnumOf, Pointer, Record, is_record


class Functions(NamedTuple):
    """What the compiler makes of one record; ``source`` is kept for those who want to read it."""

    parse: Callable[[bytes, int, int], tuple[Any, int]]
    size: Callable[[Any], int]
    emit: Callable[[Any, list[bytes], list[tuple[Any, Any]], int], int]
    pieces: Callable[[Any], list[bytes]]
    has_pointers: bool
    source: str


_made: dict[type[Record], Functions] = {}


def functions_of(record: type[Record]) -> Functions:
    """The compiled functions of a record, made on first use."""
    found = _made.get(record)
    if found is None:
        found = _made[record] = _compile(record)
    return found


def _compile(record: type[Record]) -> Functions:
    # Here, because both modules need functions_of for the records inside a record.
    from spiceemu.protocol.layout.build import emit_source, pieces_source, size_source
    from spiceemu.protocol.layout.parse import parse_source

    names: dict[str, Any] = {}
    sources = (parse_source, size_source, emit_source, pieces_source)
    source = "\n".join(line for make in sources for line in make(record, names))
    exec(compile(source, f"<{record.__module__}.{record.__qualname__}>", "exec"), names)  # noqa: S102 - our own text
    parse, size, emit, pieces = (names[function] for function in ("parse", "size", "emit", "pieces"))
    return Functions(parse, size, emit, pieces, has_pointers(record), source)


class Writer:
    """Lines of a function's body, and the run of fixed fields that one struct call will read or write."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self.lines: list[str] = []
        self.indent = "    "

    def line(self, text: str) -> None:
        """Append a line at the present depth."""
        self.lines.append(self.indent + text)

    def variable(self, stem: str) -> str:
        """A local name not used before in this module."""
        number = self.names["#"] = self.names.get("#", 0) + 1
        return f"{stem}{number}"

    def bind(self, stem: str, value: Any) -> str:
        """A global name of the generated functions for ``value``."""
        name = self.variable(stem)
        self.names[name] = value
        return name


class Scalar(NamedTuple):
    """A plain integer: its struct code and its enumeration, if it has one."""

    code: str
    enum: EnumOf | None

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return struct.calcsize("<" + self.code)


def scalar_of(layout: Any) -> Scalar | None:
    """What ``layout`` is as a plain integer, or None."""
    if isinstance(layout, Rebuild):
        layout = layout.subcon
    enum = layout if isinstance(layout, EnumOf) else None
    if isinstance(layout, Adapter):
        layout = layout.subcon
    return Scalar(layout.fmtstr[1:], enum) if isinstance(layout, FormatField) else None


def flat_format(element: Any) -> str | None:
    """The struct format of an integer or of a record of nothing but plain integers, so that arrays are one call."""
    if not is_record(element):
        scalar = scalar_of(element)
        return "<" + scalar.code if scalar else None
    scalars = [scalar_of(field.layout) for field in element.wire_fields]
    codes = [scalar.code for scalar in scalars if scalar and not scalar.enum]
    return "<" + "".join(codes) if len(codes) == len(scalars) else None


def least_size(layout: Any) -> int:
    """The fewest bytes a layout can take, so that a count is judged before anything is made."""
    if is_record(layout):
        return sum(least_size(field.layout) for field in layout.wire_fields)
    scalar = scalar_of(layout)
    if scalar:
        return scalar.size
    return 4 if isinstance(layout, Pointer) else 0


def has_pointers(layout: Any) -> bool:
    """Whether a layout points to anything, or has a part that may."""
    if is_record(layout):
        return any(has_pointers(field.layout) for field in layout.wire_fields)
    if isinstance(layout, Choice):
        return any(has_pointers(case.target) for case in layout.cases)
    return isinstance(layout, Pointer)
