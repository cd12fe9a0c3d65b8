"""Writes the source of a record's ``parse`` function; see :mod:`spiceemu.protocol.layout.compiler`.

Every offset, count and length is judged against the body before a byte is taken or an object made. What does not fit
raises :class:`Malformed` with the field's path and its offset, found out only then: the straight way carries no
bookkeeping.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from construct import Bytes, GreedyBytes

from spiceemu.protocol.layout.fields import (
    ArrayOf,
    Blob,
    Choice,
    ImageBlob,
    Nothing,
    Packed,
    PointerTo,
    Record,
    is_record,
)
from spiceemu.protocol.layout.writer import FunctionsOf, Writer, flat_format, least_size, scalar_of


class Malformed(Exception):
    """A body does not fit its layout; the message's name is added where it is known."""

    def __init__(self, path: str, offset: int, reason: str) -> None:
        super().__init__(path, offset, reason)
        self.path = path
        self.offset = offset
        self.reason = reason


class TooMany(Malformed):
    """A count fits the body but is over its named limit."""


def parse_source(record: type[Record], names: dict[str, Any], functions_of: FunctionsOf) -> list[str]:
    """The lines of ``parse(body, o, end)`` for a record; what they refer to is put into ``names``."""
    names.update(struct_error=struct.error, short=_short, blob=_blob, check_count=_check_count, Packed=Packed)
    names.update(elements=_elements, target=_target, bad_pointer=_bad_pointer, Malformed=Malformed)
    writer = _ParseWriter(names, functions_of)
    result, _ = writer.record(record, "")
    writer.finish()
    return ["def parse(body, o, end):", *writer.lines, f"    return {result}, {writer.offset()}"]


def fixed_source(record: type[Record], names: dict[str, Any], functions_of: FunctionsOf) -> list[str]:
    """The lines of ``read(body)`` for a record of one fixed size; none for other records.

    What has another size goes to ``otherwise(body)``. It fills the slots itself: calling the class would cost as much
    as all the rest.
    """
    names.update(Record=record, new=object.__new__, struct_error=struct.error)
    writer = _ParseWriter(names, functions_of)
    values, _ = writer.fields(record, "")
    if not writer.run or writer.lines or writer.pointers:
        return []
    names["unpack"] = struct.Struct("<" + "".join(code for code, *_ in writer.run)).unpack
    # An integer goes from the body into its slot; what has to be looked up goes by way of its variable.
    names_of = {variable: name for name, variable in values.items()}
    targets = [f"made.{names_of[it]}" if it in names_of else it for _, it, *_ in writer.run]
    return [
        "def read(body):",
        "    made = new(Record)",
        "    try:",
        f"        {', '.join(targets)}, = unpack(body)",
        "    except struct_error:",
        "        return otherwise(body)",
        *(f"    made.{name} = {value}" for name, value in values.items() if f"made.{name}" not in targets),
        "    made.trailing = b''",
        "    return made",
    ]


class _ParseWriter(Writer):
    def __init__(self, names: dict[str, Any], functions_of: FunctionsOf) -> None:
        super().__init__(names, functions_of)
        self.run: list[tuple[str, str, str, PointerTo | None]] = []  # struct code, variable, path, pointer
        self.ahead = 0  # bytes read since the variable ``o`` was last set
        self.pointers: list[tuple[str, PointerTo, str, dict[str, str]]] = []  # met in this block, not yet followed

    def offset(self, more: int = 0) -> str:
        return f"o + {self.ahead + more}" if self.ahead + more else "o"

    def flush(self) -> None:
        """Write the run as one struct call; errors and null checks stand behind it."""
        if not self.run:
            return
        packed = struct.Struct("<" + "".join(code for code, *_ in self.run))
        unpack = self.bind("unpack", packed.unpack_from)
        parts = self.bind("run", tuple((path, struct.calcsize("<" + code)) for code, _, path, _ in self.run))
        self.line("try:")
        self.line(f"    {', '.join(variable for _, variable, *_ in self.run)}, = {unpack}(body, {self.offset()})")
        self.line("except struct_error:")
        self.line(f"    raise short({parts}, {self.offset()}, end) from None")
        place = 0
        for code, variable, path, pointer in self.run:
            if pointer:
                test = f"{variable} >= end" + (f" or not {variable}" if pointer.nonnull else "")
                self.line(f"if {test}:")
                self.line(f"    raise bad_pointer({variable}, end, {path!r}, {self.offset(place)})")
            place += struct.calcsize("<" + code)
        self.ahead += packed.size
        self.run.clear()

    def settle(self) -> None:
        """Write the run and set ``o``, before anything of variable size."""
        self.flush()
        if self.ahead:
            self.line(f"o += {self.ahead}")
            self.ahead = 0

    def finish(self) -> None:
        """Write the run and follow the pointers met in this block."""
        self.flush()
        pointers, self.pointers = self.pointers, []
        for variable, pointer, path, siblings in pointers:
            count = _count_of(pointer.target, siblings)
            self.line(f"if {variable}:")
            self.line(f"    {variable} = {self.target(pointer.target, variable, path, count)}")
            self.line("else:")
            if count:
                self.line(f"    if {count}:")
                self.line(f"        raise Malformed({path!r}, {self.offset()}, f'null with a count of {{{count}}}')")
            self.line(f"    {variable} = None")

    def target(self, target: Any, at: str, path: str, count: str) -> str:
        if is_record(target):
            return f"target(body, {at}, end, {self.bind('parse', self.functions_of(target).parse)}, {path!r})"
        if isinstance(target, Blob):
            return f"blob(body, {at}, end, {count}, {path!r})"
        return self.packed(target, at, path, count)

    def record(self, record: type[Record], path: str) -> tuple[str, dict[str, str]]:
        """Write the reading of a record; the expression that makes it, and its integers' variables by name."""
        values, siblings = self.fields(record, path)
        return f"{self.bind('Record', record)}({', '.join(values.values())})", siblings

    def fields(self, record: type[Record], path: str) -> tuple[dict[str, str], dict[str, str]]:
        """Write the reading of a record's fields; the expressions of its attributes, and its integers' variables."""
        siblings: dict[str, str] = {}
        values = {}
        for field in record.wire_fields:
            value = self.value(field.layout, path + field.name, field.name, siblings)
            if not field.derived:
                values[field.name] = value
        return values, siblings

    def value(self, layout: Any, path: str, name: str, siblings: dict[str, str]) -> str:
        """Write the reading of one field; the expression of its value."""
        if is_record(layout):
            expression, inner = self.record(layout, path + ".")
            siblings.update({f"{name}.{key}": variable for key, variable in inner.items()})
            return expression
        variable = self.variable("v")
        scalar = scalar_of(layout)
        if scalar:
            self.run.append((scalar.code, variable, path, None))
            siblings[name] = variable
            return f"{self.bind('get', scalar.enum.members.get)}({variable}, {variable})" if scalar.enum else variable
        if isinstance(layout, PointerTo):
            self.run.append(("I", variable, path, layout))
            self.pointers.append((variable, layout, path, siblings))
        elif isinstance(layout, Nothing):
            return "None"
        elif isinstance(layout, Bytes) and not isinstance(layout, Blob | ImageBlob):
            self.run.append((f"{layout.length}s", variable, path, None))
        else:
            self.settle()
            self.variable_part(layout, path, name, variable, siblings)
        return variable

    def variable_part(self, layout: Any, path: str, name: str, variable: str, siblings: dict[str, str]) -> None:
        """Write the reading of a part without a fixed size, leaving ``o`` behind it."""
        if isinstance(layout, Choice):
            self.choice(layout, path, name, variable, siblings)
        elif isinstance(layout, ArrayOf):
            self.array(layout, path, variable, siblings[layout.counted_by])
        elif layout is GreedyBytes:
            self.line(f"{variable} = body[o:end]")
            self.line("o = end")
        else:
            size = siblings[layout.size] if isinstance(layout, Blob) else _image_size(layout, siblings)
            self.line(f"{variable} = blob(body, o, end, {size}, {path!r})")
            self.line(f"o += len({variable})")

    def packed(self, layout: ArrayOf, at: str, path: str, count: str) -> str:
        packed = struct.Struct(flat_format(layout.element) or "")
        scalar = None if is_record(layout.element) else scalar_of(layout.element)
        make = scalar.enum.name_of if scalar and scalar.enum else int if scalar else layout.element
        data = f"blob(body, {at}, end, {count} * {packed.size}, {path!r})"
        return f"Packed({data}, {self.bind('struct', packed)}, {self.bind('make', make)})"

    def array(self, layout: ArrayOf, path: str, variable: str, count: str) -> None:
        if flat_format(layout.element):
            self.line(f"{variable} = {self.packed(layout, 'o', path, count)}")
            self.line(f"o += len({variable}.data)")
            return
        parse = self.bind("parse", self.functions_of(layout.element).parse)
        self.line(f"check_count({count}, {least_size(layout.element)}, o, end, {layout.limit}, {path!r})")
        self.line(f"{variable}, o = elements(body, o, end, {count}, {parse}, {path!r})")

    def choice(self, layout: Choice, path: str, name: str, variable: str, siblings: dict[str, str]) -> None:
        outer, self.pointers = self.pointers, []
        word = "if"
        for case in layout.cases:
            self.line(f"{word} {case.condition(siblings[layout.on])}:")
            self.indent += "    "
            expression = self.value(case.target, f"{path}.{case.name}", f"{name}.{case.name}", siblings)
            self.finish()
            self.settle()
            self.line(f"{variable} = {expression}")
            self.indent = self.indent[:-4]
            word = "elif"
        self.line("else:")
        self.line(f"    {variable} = None")
        self.pointers = outer


def _count_of(target: Any, siblings: dict[str, str]) -> str:
    """The variable that counts a pointed-to array, or nothing for a record."""
    if isinstance(target, Blob):
        return siblings[target.size]
    return siblings[target.counted_by] if isinstance(target, ArrayOf) else ""


def _image_size(layout: ImageBlob, siblings: dict[str, str]) -> str:
    return f"({siblings[layout.width]} * {layout.bits} + 7) // 8 * {siblings[layout.height]}"


# What the generated functions call for the rarer shapes


def _short(run: tuple[tuple[str, int], ...], offset: int, end: int) -> Malformed:
    """The error for a run that the body is too short for; it names the first field that does not fit."""
    for path, size in run:
        if offset + size > end:
            return Malformed(path, offset, f"needs {size} bytes, {max(end - offset, 0)} left")
        offset += size
    raise AssertionError("the run fits")


def _blob(body: bytes, offset: int, end: int, size: int, path: str) -> bytes:
    if size > end - offset:
        raise Malformed(path, offset, f"needs {size} bytes, {end - offset} left")
    return body[offset : offset + size]


def _check_count(count: int, least: int, offset: int, end: int, limit: int, path: str) -> None:
    if count * least > end - offset:
        raise Malformed(path, offset, f"{count} elements of at least {least} bytes do not fit in {end - offset} bytes")
    if count > limit:
        raise TooMany(path, offset, f"{count} elements, the limit is {limit}")


def _elements(
    body: bytes, offset: int, end: int, count: int, parse: Callable[..., Any], path: str
) -> tuple[tuple[Any, ...], int]:
    made = []
    for index in range(count):
        try:
            element, offset = parse(body, offset, end)
        except Malformed as error:
            error.path = f"{path}[{index}].{error.path}"
            raise
        made.append(element)
    return tuple(made), offset


def _target(body: bytes, offset: int, end: int, parse: Callable[..., Any], path: str) -> Any:
    try:
        return parse(body, offset, end)[0]
    except Malformed as error:
        error.path = f"{path}.{error.path}"
        raise


def _bad_pointer(value: int, end: int, path: str, offset: int) -> Malformed:
    reason = f"points to {value}, beyond the body of {end} bytes" if value else "null, but a target is required"
    return Malformed(path, offset, reason)
