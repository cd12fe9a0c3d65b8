"""Records as plain dictionaries, and bodies by construct alone, which the compiled functions must equal.

construct reads and writes *fields*: dictionaries shaped as spice.proto is, where a switch is a level of its own
(``{"rects": {...}}`` or ``None``). Records are the typed form of the same; :func:`to_fields` and
:func:`from_fields` translate.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from construct import Construct, Int32ul

from spiceemu.protocol.layout.fields import (
    ArrayOf,
    Choice,
    EnumOf,
    PointerTo,
    Record,
    RecordType,
    discriminator,
    is_record,
)


def parse_fields(layout: Construct, body: bytes) -> dict[str, Any]:
    """Read a body by construct alone, the slow reference: nested dictionaries shaped as in spice.proto."""
    fields: dict[str, Any] = _plain(layout.parse(body))
    return fields


def build_fields(layout: Construct, fields: Mapping[str, Any]) -> bytes:
    """Write a body by construct alone, the slow reference, placing pointed-to data breadth first."""
    stream = io.BytesIO()
    pending: deque[tuple[int, Construct, Any, Any, str]] = deque()
    layout.build_stream(fields, stream, pending=pending)
    while pending:
        place, target, value, context, path = pending.popleft()
        start = stream.tell()
        target._build(value, stream, context, path)
        end = stream.tell()
        if end > start:
            stream.seek(place)
            stream.write(Int32ul.build(start))
            stream.seek(end)
    return stream.getvalue()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items() if name != "_io"}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def to_fields(value: Record) -> dict[str, Any]:
    """A record as nested dictionaries shaped as in spice.proto, counts included."""
    result: dict[str, Any] = {}
    for field in value.wire_fields:
        result[field.name] = _convert(field.layout, getattr(value, field.name), value, _record_to_fields)
    return result


def from_fields(cls: type[RecordType], fields: Mapping[str, Any]) -> RecordType:
    """The opposite of :func:`to_fields`; counts in ``fields`` are ignored, they follow from what they count."""
    made: dict[str, Any] = {}
    holder = _Attributes(made)
    for field in cls.wire_fields:
        if not field.derived:
            made[field.name] = _convert(field.layout, fields[field.name], holder, _record_from_fields)
    return cls(**made)


class _Attributes:
    """Attribute access to the part of a record that is already made, for the choices after it."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.__dict__ = values


def _record_to_fields(_cls: type[Record], value: Any) -> Any:
    return to_fields(value)


def _record_from_fields(cls: type[Record], value: Any) -> Any:
    return from_fields(cls, value)


def _convert(layout: Any, value: Any, holder: Any, convert: Callable[[type[Record], Any], Any]) -> Any:
    """Translate one value between the typed and the dictionary form; ``convert`` says which way."""
    if is_record(layout):
        return convert(layout, value)
    to_dictionaries = convert is _record_to_fields
    if isinstance(layout, Choice):
        case = layout.select(discriminator(holder, layout.on))
        if case is None:
            return None
        if to_dictionaries:
            return {case.name: _convert(case.target, value, holder, convert)}
        return _convert(case.target, value[case.name], holder, convert)
    if value is None:
        return None
    if isinstance(layout, PointerTo):
        return _convert(layout.target, value, holder, convert)
    if isinstance(layout, ArrayOf):
        items = (_convert(layout.element, item, holder, convert) for item in value)
        return list(items) if to_dictionaries else tuple(items)
    if isinstance(layout, EnumOf):
        return int(value) if to_dictionaries else layout.name_of(value)
    return value
