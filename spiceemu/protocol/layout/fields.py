"""How a message says what it looks like: typed records whose fields are construct layouts.

A record is declared once::

    @record
    class ClipRects(Record):
        num_rects = Count(Int32ul, "rects")
        rects: Sequence[Rect] = wire(ArrayOf(Rect, "num_rects"))

The declaration gives a slotted dataclass (counts are derived, never passed) and ``ClipRects.layout``, a construct
``Struct`` that is the truth about the bytes. :mod:`spiceemu.protocol.layout.compiler` derives from the same objects the
functions that do the daily work; a test holds both equal.

The rules of the wire, from spice.proto and the code that upstream generates from it: little endian, packed, nothing
aligned. A pointer is a u32 offset from the body's first byte, 0 meaning null; what is pointed to follows the root
breadth first. A target of no bytes is written as null. Readers accept any order, gaps and shared targets.

construct reads and writes plain dictionaries; :mod:`spiceemu.protocol.layout.dictionaries` translates.
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum, IntFlag
from itertools import islice
from operator import eq
from typing import TYPE_CHECKING, Any, ClassVar, TypeGuard, TypeVar, dataclass_transform, overload

import construct
from construct import Construct, FormatField, Int32ul, Struct

if TYPE_CHECKING:
    import struct

SHOWN_BYTES = 16  # of a payload in a repr; longer ones show their length alone
SHOWN_ELEMENTS = 8  # of an array in a repr


class EnumOf(construct.Adapter):  # type: ignore[misc]
    """An integer with names. Values without a name stay plain integers: upstream refuses none of them."""

    def __init__(self, subcon: FormatField, enum: type[IntEnum]) -> None:
        super().__init__(subcon)
        self.enum = enum
        self.members: dict[int, IntEnum] = {member.value: member for member in enum}

    def name_of(self, value: int) -> int:
        """The member of that value, or the value itself where it has no name."""
        return self.members.get(value, value)

    def _decode(self, obj: int, _context: Any, _path: str) -> int:
        return self.name_of(obj)

    def _encode(self, obj: int, _context: Any, _path: str) -> int:
        return int(obj)


class FlagsOf(construct.Adapter):  # type: ignore[misc]
    """A mask with named bits.

    Values stay plain integers, compared with ``&``: an ``IntFlag`` would keep an object for each mask a peer makes up.
    """

    def __init__(self, subcon: FormatField, flags: type[IntFlag]) -> None:
        super().__init__(subcon)
        self.flags = flags

    def _decode(self, obj: int, _context: Any, _path: str) -> int:
        return obj

    def _encode(self, obj: int, _context: Any, _path: str) -> int:
        return int(obj)


class Blob(construct.Bytes):  # type: ignore[misc]
    """Bytes whose number stands in an earlier field."""

    def __init__(self, size: str) -> None:
        super().__init__(lambda context: context[size])
        self.size = size


class ImageBlob(construct.Bytes):  # type: ignore[misc]
    """Rows of pixels, each filled up to a byte: ``image_size(bits, width, height)`` in spice.proto."""

    def __init__(self, bits: int, width: str, height: str) -> None:
        super().__init__(lambda context: (context[width] * bits + 7) // 8 * context[height])
        self.bits = bits
        self.width = width
        self.height = height


class ArrayOf(construct.Array):  # type: ignore[misc]
    """A list whose count stands in an earlier field.

    Arrays of integers, or of records of nothing but integers, are read as :class:`Packed` and cost no more memory than
    their bytes. Others make an object an element and need a named ``limit``.
    """

    def __init__(self, element: Construct | type[Record], count: str, *, limit: int | None = None) -> None:
        super().__init__(lambda context: _at(context, count), layout_of(element))
        self.element = element
        self.counted_by = count
        self.limit = limit


class Packed(Sequence[Any]):
    """An array as it stood on the wire, each element made when it is asked for.

    Equal to any sequence of equal elements. A clip of 4,000 rectangles would take half a megabyte as objects.
    """

    __slots__ = ("data", "make", "struct")

    def __init__(self, data: bytes, layout: struct.Struct, make: Callable[..., Any]) -> None:
        self.data = data
        self.struct = layout
        self.make = make

    def __len__(self) -> int:
        return len(self.data) // self.struct.size

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Any, ...]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return tuple(self)[index]
        place = range(len(self))[index]
        return self.make(*self.struct.unpack_from(self.data, place * self.struct.size))

    def __iter__(self) -> Iterator[Any]:
        return (self.make(*values) for values in self.struct.iter_unpack(self.data))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Packed) and other.struct.format == self.struct.format:
            return self.data == other.data
        return isinstance(other, Sequence) and len(other) == len(self) and all(map(eq, self, other))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return _show_elements(self)


class Nothing(Construct):  # type: ignore[misc]
    """A field of spice.proto that takes no bytes (``unix_fd`` travels beside the stream)."""

    def _parse(self, _stream: Any, _context: Any, _path: str) -> None:
        return None

    def _build(self, obj: None, _stream: Any, _context: Any, _path: str) -> None:
        return obj


class PointerTo(Construct):  # type: ignore[misc]
    """A u32 offset from the body's start to ``target``; 0 is null, which ``nonnull`` forbids."""

    def __init__(self, target: Construct | type[Record], *, nonnull: bool = False) -> None:
        super().__init__()
        self.target = target
        self.nonnull = nonnull

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        offset = Int32ul._parse(stream, context, path)
        if offset == 0:
            if self.nonnull:
                raise construct.ValidationError("null pointer where the protocol needs a target", path=path)
            return None
        here = stream.tell()
        if offset >= stream.seek(0, io.SEEK_END):
            raise construct.StreamError("pointer beyond the body", path=path)
        stream.seek(offset)
        value = layout_of(self.target)._parsereport(stream, context, path)
        stream.seek(here)
        return value

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        if obj is not None:
            context._params.pending.append((stream.tell(), layout_of(self.target), obj, context, path))
        elif self.nonnull:
            raise construct.ValidationError("null pointer where the protocol needs a target", path=path)
        return Int32ul._build(0, stream, context, path)


@dataclasses.dataclass(frozen=True, slots=True)
class Case:
    """One branch of a :class:`Choice`: its name in spice.proto, its layout, and when it is taken.

    ``values``: the discriminator is one of them. ``bit``: it has this bit. ``unless``: it lacks this bit. None of the
    three: the default.
    """

    name: str
    target: Construct | type[Record]
    values: tuple[int, ...] = ()
    bit: int = 0
    unless: int = 0

    def matches(self, discriminator: int) -> bool:
        """Whether this branch is taken for the value of the discriminating field."""
        if self.values:
            return discriminator in self.values
        if self.bit:
            return bool(discriminator & self.bit)
        return not discriminator & self.unless

    def condition(self, variable: str) -> str:
        """The same test as source text."""
        if self.values:
            return " or ".join(f"{variable} == {int(value)}" for value in self.values)
        if self.bit:
            return f"{variable} & {int(self.bit)}"
        return f"not {variable} & {int(self.unless)}" if self.unless else "True"


class Choice(Construct):  # type: ignore[misc]
    """A ``switch`` of spice.proto on an earlier field; the first case that matches is taken, or none."""

    def __init__(self, on: str, *cases: Case) -> None:
        super().__init__()
        self.on = on
        self.cases = cases

    def select(self, discriminator: int) -> Case | None:
        """The case for a discriminator, or None where nothing is on the wire."""
        return next((case for case in self.cases if case.matches(discriminator)), None)

    def _case(self, context: Any) -> Case | None:
        return self.select(int(_at(context, self.on)))

    def _parse(self, stream: Any, context: Any, path: str) -> Any:
        case = self._case(context)
        if case is None:
            return None
        return {case.name: layout_of(case.target)._parsereport(stream, context, f"{path} -> {case.name}")}

    def _build(self, obj: Any, stream: Any, context: Any, path: str) -> Any:
        case = self._case(context)
        if case is not None:
            layout_of(case.target)._build(obj[case.name], stream, context, f"{path} -> {case.name}")
        return obj


def _at(context: Any, path: str) -> Any:
    """A value of construct's context by a path such as ``descriptor.type``."""
    for name in path.split("."):
        context = context[name]
    return context


def discriminator(holder: Any, path: str) -> int:
    """The value of the field that a choice depends on."""
    for name in path.split("."):
        holder = getattr(holder, name)
    return int(holder)


def _length(value: Any) -> int:
    """Elements of an array's fields; inside a choice they are the value of its one case."""
    if isinstance(value, dict):
        (value,) = value.values()
    return len(value or ())


class Count:
    """The number of elements of another field: on the wire, not in the constructor.

    Reading the attribute gives the number; the wire value follows from the field it counts.
    """

    def __init__(self, layout: FormatField, of: str) -> None:
        self.of = of
        self.layout = construct.Rebuild(layout, lambda context: _length(context[of]))
        self.layout.counted = of

    def __get__(self, instance: Any, _owner: Any = None) -> Any:
        return self if instance is None else len(getattr(instance, self.of) or ())


class Absent:
    """A field of spice.proto that is never in the bytes; its attribute is None."""

    def __init__(self) -> None:
        self.layout = Nothing()

    def __get__(self, instance: Any, _owner: Any = None) -> Any:
        return self if instance is None else None


def wire(layout: Construct | type[Record], **options: Any) -> Any:
    """Declare a field of a record: its layout, and as ``default=`` what stands there if nothing is said."""
    return dataclasses.field(metadata={"layout": layout}, **options)


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One declared field. ``derived`` ones, counts and the absent, are not in the constructor."""

    name: str
    layout: Construct | type[Record]
    derived: bool


class Record:
    """Base of everything that has a layout."""

    __slots__ = ()
    layout: ClassVar[Struct]
    wire_fields: ClassVar[tuple[Field, ...]]

    def __repr__(self) -> str:
        shown = (f"{field.name}={_show(field, getattr(self, field.name))}" for field in self.wire_fields)
        return f"{type(self).__qualname__}({', '.join(shown)})"


RecordType = TypeVar("RecordType", bound=Record)


def is_record(layout: Any) -> TypeGuard[type[Record]]:
    """Whether a layout is a record class rather than a construct."""
    return isinstance(layout, type)


def _show(field: Field, value: Any) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return repr(bytes(value)) if len(value) <= SHOWN_BYTES else f"<{len(value)} bytes>"
    layout: Any = field.layout
    if isinstance(layout, FlagsOf):
        flags: type[IntFlag] = layout.flags
        names = [flag.name for flag in flags if value & flag]
        known = sum(int(flag) for flag in flags if value & flag)
        return "|".join([*map(str, names), *([hex(value & ~known)] if value & ~known else [])]) or "0"
    if isinstance(value, tuple | list):
        return _show_elements(value)
    return str(value.name) if isinstance(value, IntEnum | IntFlag) and value.name else repr(value)


def _show_elements(values: Sequence[Any]) -> str:
    shown = ", ".join(map(repr, islice(values, SHOWN_ELEMENTS)))
    return f"({shown}, … {len(values)} in all)" if len(values) > SHOWN_ELEMENTS else f"({shown})"


@dataclass_transform(field_specifiers=(wire,))
def record(cls: type[RecordType]) -> type[RecordType]:
    """Turn a class of ``wire`` fields into a slotted dataclass with its construct ``layout``."""
    fields = []
    for name, value in vars(cls).items():
        if isinstance(value, Count | Absent):
            fields.append(Field(name, value.layout, derived=True))
        elif isinstance(value, dataclasses.Field) and "layout" in value.metadata:
            fields.append(Field(name, value.metadata["layout"], derived=False))
    cls.wire_fields = tuple(fields)
    cls.layout = Struct(*(field.name / layout_of(field.layout) for field in fields))
    return dataclasses.dataclass(slots=True, repr=False)(cls)


def layout_of(target: Construct | type[Record]) -> Construct:
    """The construct layout of a record class or of a construct itself."""
    return target.layout if is_record(target) else target
