"""Writes the source of a record's ``size`` and ``emit`` functions; see :mod:`spiceemu.protocol.layout.compiler`.

The generated code trusts its values: ``struct`` and attribute access refuse wrong ones anyway. :func:`explain` then
finds out which field it was, so that the straight way pays nothing for good error texts.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection, Sequence
from operator import attrgetter
from typing import Any

from construct import Bytes, GreedyBytes

from spiceemu.protocol.layout.fields import (
    ArrayOf,
    Blob,
    Choice,
    Field,
    ImageBlob,
    Nothing,
    Packed,
    PointerTo,
    Record,
    discriminator,
    is_record,
)
from spiceemu.protocol.layout.writer import FunctionsOf, Writer, flat_format, has_pointers, scalar_of

BUILD_ERRORS = (struct.error, AttributeError, TypeError, ValueError, LookupError)
"""What generated code raises for a value that does not fit its field."""

EMPTY_TARGET = "empty, which is written as null, but a target is required"


def size_source(record: type[Record], names: dict[str, Any], functions_of: FunctionsOf) -> list[str]:
    """The lines of ``size(x)``: bytes of the record itself."""
    return ["def size(x):", f"    return {_size(record, 'x', 'x', Writer(names, functions_of))}"]


def emit_source(record: type[Record], names: dict[str, Any], functions_of: FunctionsOf) -> list[str]:
    """The lines of ``emit(x, out, queue, free)``."""
    names.update(emit_bytes=_emit_bytes, payload=_payload, wrong_size=_wrong_size, wrong_count=_wrong_count)
    writer = _EmitWriter(names, functions_of)
    writer.record(record, "x")
    writer.flush()
    return ["def emit(x, out, queue, free):", *writer.lines, "    return free"]


def pieces_source(record: type[Record], names: dict[str, Any], functions_of: FunctionsOf) -> list[str]:
    """The lines of ``pieces(x)``."""
    root = _size(record, "x", "x", Writer(names, functions_of)) if has_pointers(record) else "0"
    writer = _EmitWriter(names, functions_of)
    writer.record(record, "x")
    writer.flush()
    return [
        "def pieces(x):",
        "    out = []",
        "    queue = []",
        f"    free = {root}",
        *writer.lines,  # and not a call of emit: it would be a tenth of the whole
        "    for emit_target, target in queue:  # grows while it is walked: targets of targets come last",
        "        free = emit_target(target, out, queue, free)",
        "    return out",
    ]


def _size(layout: Any, value: str, owner: str, writer: Writer) -> str:
    """An expression for the bytes of ``value`` itself; ``owner`` is the record whose field it is."""
    if is_record(layout):
        fixed, parts = 0, []
        for field in layout.wire_fields:
            part = _size(field.layout, f"{value}.{field.name}", value, writer)
            if part.isdecimal():
                fixed += int(part)
            else:
                parts.append(part)
        return " + ".join([str(fixed), *parts])
    scalar = scalar_of(layout)
    if scalar:
        return str(scalar.size)
    if isinstance(layout, PointerTo):
        return "4"
    if isinstance(layout, Nothing):
        return "0"
    if isinstance(layout, Choice):
        on = writer.variable("d")
        text = "0"
        for case in reversed(layout.cases):
            test = case.condition(f"({on} := {owner}.{layout.on})" if case is layout.cases[0] else on)
            text = f"({_size(case.target, value, owner, writer)} if {test} else {text})"
        return text
    if isinstance(layout, ArrayOf):
        code = flat_format(layout.element)
        if code:
            return f"len({value}) * {struct.calcsize(code)}"
        return f"sum(map({writer.bind('size', writer.functions_of(layout.element).size)}, {value}))"
    return f"len({value})"


class _EmitWriter(Writer):
    def __init__(self, names: dict[str, Any], functions_of: FunctionsOf) -> None:
        super().__init__(names, functions_of)
        self.run: list[tuple[str, str]] = []  # struct code, expression

    def flush(self) -> None:
        """Write the run of fixed fields as one struct call."""
        if self.run:
            pack = self.bind("pack", struct.Struct("<" + "".join(code for code, _ in self.run)).pack)
            self.line(f"out.append({pack}({', '.join(expression for _, expression in self.run)}))")
            self.run.clear()

    def record(self, record: type[Record], owner: str) -> None:
        inline = {field.name for field in record.wire_fields if isinstance(field.layout, ArrayOf | Blob)}
        for field in record.wire_fields:
            self.field(field, owner, inline)
        if not record.wire_fields:
            self.line("pass")

    def field(self, field: Field, owner: str, inline: Collection[str]) -> None:
        """Write a field; what is ``inline`` in the record cannot be None, so its count does not need to ask."""
        counted = getattr(field.layout, "counted", None)
        value = f"{owner}.{counted or field.name}"
        if counted:
            value = f"len({value})" if counted in inline else f"len({value} or ())"
        self.value(field.layout, value, owner)

    def value(self, layout: Any, value: str, owner: str) -> None:
        scalar = None if is_record(layout) else scalar_of(layout)
        if scalar:
            self.run.append((scalar.code, value))
        elif is_record(layout):
            local = self.variable("x")
            self.line(f"{local} = {value}")
            self.record(layout, local)
        elif isinstance(layout, PointerTo):
            self.pointer(layout, value, owner)
        elif isinstance(layout, Bytes) and not isinstance(layout, Blob | ImageBlob):
            self.line(f"if len({value}) != {layout.length}: raise wrong_size({value}, {layout.length})")
            self.run.append((f"{layout.length}s", value))
        elif isinstance(layout, Choice):
            self.choice(layout, value, owner)
        elif not isinstance(layout, Nothing):
            self.flush()
            self.variable_part(layout, value, owner)

    def choice(self, layout: Choice, value: str, owner: str) -> None:
        """Write a branch for each case, and into each the run so far: so it is one call with the case's own fields."""
        before, self.run = self.run, []
        on = self.variable("d")
        self.line(f"{on} = {owner}.{layout.on}")
        word = "if"
        for case in layout.cases:
            self.line(f"{word} {case.condition(on)}:")
            self.indent += "    "
            self.run = [*before]
            self.value(case.target, value, owner)
            self.flush()
            self.indent = self.indent[:-4]
            word = "elif"
        if before:
            self.line("else:")
            self.indent += "    "
            self.run = before
            self.flush()
            self.indent = self.indent[:-4]

    def variable_part(self, layout: Any, value: str, owner: str) -> None:
        if isinstance(layout, ArrayOf):
            self.array(layout, value)
        else:
            if isinstance(layout, ImageBlob):
                size = f"({owner}.{layout.width} * {layout.bits} + 7) // 8 * {owner}.{layout.height}"
                self.line(f"if len({value}) != {size}: raise wrong_size({value}, {size})")
            self.line(f"out.append({value} if type({value}) is bytes else payload({value}))")

    def array(self, layout: ArrayOf, value: str) -> None:
        if flat_format(layout.element):
            self.line(f"out.append({self.bind('pack_array', _array_packer(layout.element))}({value}))")
        else:
            emit = self.bind("emit", self.functions_of(layout.element).emit)
            self.line(f"for e in {value}:")
            self.line(f"    free = {emit}(e, out, queue, free)")

    def pointer(self, layout: PointerTo, value: str, owner: str) -> None:
        inner: Any = layout.target
        target, place, size = self.variable("t"), self.variable("p"), self.variable("n")
        if is_record(inner):
            emit = self.bind("emit", self.functions_of(inner).emit)
            length = _size(inner, target, target, self)
        elif isinstance(inner, Blob):
            emit, length = "emit_bytes", f"len({target})"
        else:
            pack_array = self.bind("pack_array", _array_packer(inner.element))
            emit = f"lambda x, out, queue, free: out.append({pack_array}(x)) or free"
            length = f"len({target}) * {struct.calcsize(flat_format(inner.element) or '')}"
        self.line(f"{target} = {value}")
        count = own_count(layout.target)
        if count:
            self.line(f"if len({target} or ()) != {owner}.{count}: raise wrong_count({target}, {owner}.{count})")
        if not layout.nonnull:
            self.line(f"{place} = 0")
            self.line(f"if {target} is not None:")
            self.indent += "    "
        if is_record(inner):  # which is never empty
            self.line(f"{place} = free")
            self.line(f"free += {length}")
        else:
            self.line(f"{size} = {length}")
            if layout.nonnull:
                self.line(f"if not {size}: raise ValueError({EMPTY_TARGET!r})")
            self.line(f"{place} = free if {size} else 0")
            self.line(f"free += {size}")
        self.line(f"queue.append(({emit}, {target}))")
        if not layout.nonnull:
            self.indent = self.indent[:-4]
        self.run.append(("I", place))


# What the generated functions call for the rarer shapes


def _payload(data: Any) -> Any:
    """A payload that is no ``bytes``: others are taken whose length is their number of bytes."""
    if isinstance(data, bytes | bytearray) or (isinstance(data, memoryview) and data.nbytes == len(data)):
        return data
    raise TypeError(f"{data!r} is not bytes")


def _emit_bytes(data: Any, out: list[bytes], _queue: Any, free: int) -> int:
    out.append(_payload(data))
    return free


def _array_packer(element: Any) -> Callable[[Any], bytes]:
    """A function that writes an array of integers, or of records of nothing but integers."""
    code = flat_format(element) or ""
    pack = struct.Struct(code).pack
    values_of = attrgetter(*(field.name for field in element.wire_fields)) if is_record(element) else None

    def pack_array(values: Any) -> bytes:
        if isinstance(values, Packed) and values.struct.format == code:
            return values.data
        if values_of:
            return b"".join([pack(*values_of(value)) for value in values])
        return struct.pack(f"<{len(values)}{code[1:]}", *values)

    return pack_array


def _wrong_size(data: bytes, size: int) -> ValueError:
    return ValueError(f"{len(data)} bytes where the layout needs {size}")


def _wrong_count(values: Any, count: int) -> ValueError:
    return ValueError(f"{len(values or ())} elements, but the field that counts them says {count}")


def own_count(target: Any) -> str:
    """The attribute that counts a pointed-to array, where that is a field of its own and not derived from the array.

    spice.proto has this once, in a switch (``u1.style_nseg``), and a switch's attribute holds its case's value.
    """
    return target.counted_by.partition(".")[0] if isinstance(target, ArrayOf) and "." in target.counted_by else ""


def explain(value: Any, record: type[Record], path: str = "") -> str | None:
    """Why a record cannot be written: the field's path and what is wrong with it, or None if nothing is."""
    if not isinstance(value, record):
        return f"{path or 'value'}: {value!r} is not a {record.__qualname__}"
    for field in sorted(record.wire_fields, key=attrgetter("derived")):  # only what is right can be counted
        found = _explain_value(getattr(value, field.name), field.layout, f"{path}.{field.name}".lstrip("."), value)
        if found:
            return found
    return None


def _explain_value(value: Any, layout: Any, path: str, owner: Any) -> str | None:
    if is_record(layout):
        return explain(value, layout, path)
    scalar = scalar_of(layout)
    if scalar:
        try:
            struct.pack("<" + scalar.code, value)
        except struct.error as error:
            return f"{path}: {value!r} does not fit {scalar.size * 8} bits ({error})"
        return None
    if isinstance(layout, PointerTo):
        count = own_count(layout.target)
        if count and isinstance(value, Sequence | None) and len(value or ()) != getattr(owner, count):
            return f"{path}: {_wrong_count(value, getattr(owner, count))}"
        if value is None:
            return f"{path}: null, but a target is required" if layout.nonnull else None
        if layout.nonnull and value == b"":
            return f"{path}: {EMPTY_TARGET}"
        return _explain_value(value, layout.target, path, owner)
    if isinstance(layout, Choice):
        case = layout.select(discriminator(owner, layout.on))
        return _explain_value(value, case.target, path, owner) if case else None
    if isinstance(layout, ArrayOf):
        if not isinstance(value, Sequence):
            return f"{path}: {value!r} is not a sequence"
        return next(
            (
                found
                for index, item in enumerate(value)
                if (found := _explain_value(item, layout.element, f"{path}[{index}]", owner))
            ),
            None,
        )
    return None if isinstance(layout, Nothing) else _explain_bytes(value, layout, path, owner)


def _explain_bytes(value: Any, layout: Any, path: str, owner: Any) -> str | None:
    try:
        _payload(value)
    except TypeError as error:
        return f"{path}: {error}"
    if isinstance(layout, ImageBlob):
        size = (getattr(owner, layout.width) * layout.bits + 7) // 8 * getattr(owner, layout.height)
    elif isinstance(layout, Blob) or layout is GreedyBytes:
        return None
    else:
        size = layout.length
    return None if len(value) == size else f"{path}: {_wrong_size(bytes(value), size)}"
