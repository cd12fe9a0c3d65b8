"""What the writers of both directions share: see :mod:`spiceemu.protocol.layout.compiler`."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

from construct import Adapter, FormatField, Rebuild

from spiceemu.protocol.layout.fields import Choice, EnumOf, PointerTo, Record, is_record


class Functions(NamedTuple):
    """What the compiler makes of one record; ``source`` is kept for those who want to read it."""

    parse: Callable[[bytes, int, int], tuple[Any, int]]
    size: Callable[[Any], int]
    emit: Callable[[Any, list[bytes], list[tuple[Any, Any]], int], int]
    pieces: Callable[[Any], list[bytes]]
    has_pointers: bool
    source: str


FunctionsOf: TypeAlias = Callable[[type[Record]], Functions]
"""What makes a record's functions, or has made them."""


class Writer:
    """Lines of a function's body, and the run of fixed fields that one struct call will read or write.

    :param names: what the lines refer to.
    :param functions_of: gives the functions of the records inside the record.
    """

    def __init__(self, names: dict[str, Any], functions_of: FunctionsOf) -> None:
        self.names = names
        self.functions_of = functions_of
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
    return 4 if isinstance(layout, PointerTo) else 0


def has_pointers(layout: Any) -> bool:
    """Whether a layout points to anything, or has a part that may."""
    if is_record(layout):
        return any(has_pointers(field.layout) for field in layout.wire_fields)
    if isinstance(layout, Choice):
        return any(has_pointers(case.target) for case in layout.cases)
    return isinstance(layout, PointerTo)
