"""Makes up records from their declarations, and finds the places in them where a wrong value can stand."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NamedTuple

from construct import Bytes, GreedyBytes
from hypothesis import strategies as st

from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.layout.fields import (
    ArrayOf,
    Blob,
    Choice,
    EnumOf,
    FlagsOf,
    ImageBlob,
    PointerTo,
    Record,
    discriminator,
)
from spiceemu.protocol.layout.writer import scalar_of
from spiceemu.protocol.messages.catalogue import CLIENT, SERVER, Message, messages_of

ALL_MESSAGES: list[type[Message]] = sorted(
    {
        cls
        for channel in ChannelType
        for direction in (SERVER, CLIENT)
        for cls in messages_of(channel, direction).values()
    },
    key=lambda cls: cls.spec.name,
)

MOST_BYTES = 12  # of a payload whose size nothing else says
MOST_ELEMENTS = 4
MOST_PIXELS = 9  # of an image's width, height or stride


class Range(NamedTuple):
    """The integers that a struct code can hold."""

    least: int
    most: int

    @classmethod
    def of(cls, code: str, size: int) -> Range:
        bits = size * 8
        return cls(0, (1 << bits) - 1) if code.isupper() else cls(-(1 << bits - 1), (1 << bits - 1) - 1)


def integers(layout: Any) -> st.SearchStrategy[int]:
    """Values of an integer field: known ones where it has names, but others as well."""
    scalar = scalar_of(layout)
    assert scalar
    span = Range.of(scalar.code, scalar.size)
    anything = st.one_of(st.sampled_from(span), st.integers(*span))
    if isinstance(layout, EnumOf):
        return st.one_of(st.sampled_from(sorted(layout.enum)), anything)
    if isinstance(layout, FlagsOf):
        masks = st.lists(st.sampled_from(sorted(layout.flags)), max_size=3).map(lambda bits: sum({*bits}))
        return st.one_of(masks, anything)
    return anything


def _sizes_of(record: type[Record]) -> set[str]:
    """The fields of a record that say how large one of its pictures is."""
    blobs = [field.layout for field in record.wire_fields if isinstance(field.layout, ImageBlob)]
    return {name for blob in blobs for name in (blob.width, blob.height)}


def _image_size(layout: ImageBlob, holder: Any) -> int:
    return (getattr(holder, layout.width) * layout.bits + 7) // 8 * getattr(holder, layout.height)


@st.composite
def records(draw: st.DrawFn, record: type[Record]) -> Any:
    """A record as a reader gives it back: what a pointer leads to has bytes, for an empty target is a null pointer."""
    made = SimpleNamespace()
    sizes = _sizes_of(record)
    for field in record.wire_fields:
        if field.name in sizes:
            value = draw(st.integers(0, MOST_PIXELS))
        elif not field.derived:
            value = draw(_values(field.layout, made, record))
        else:
            continue
        setattr(made, field.name, value)
    return record(**vars(made))


def _values(layout: Any, holder: Any, record: type[Record], least: int = 0) -> st.SearchStrategy[Any]:
    if isinstance(layout, type):
        return records(layout)
    if isinstance(layout, Choice):
        case = layout.select(discriminator(holder, layout.on))
        return st.none() if case is None else _values(case.target, holder, record)
    if isinstance(layout, PointerTo):
        if isinstance(layout.target, ArrayOf) and "." in layout.target.counted_by:  # only a dashed line has this
            count = getattr(holder, layout.target.counted_by.partition(".")[0])
            return st.lists(_values(layout.target.element, holder, record), min_size=count, max_size=count).map(
                lambda items: tuple(items) or None
            )
        target = _values(layout.target, holder, record, least=1)
        return target if layout.nonnull else st.one_of(st.none(), target)
    if isinstance(layout, ArrayOf):
        return st.lists(_values(layout.element, holder, record), min_size=least, max_size=MOST_ELEMENTS).map(tuple)
    if isinstance(layout, ImageBlob):
        size = _image_size(layout, holder)
        return st.binary(min_size=size, max_size=size)
    if isinstance(layout, Blob) or layout is GreedyBytes:
        return st.binary(min_size=least, max_size=MOST_BYTES)
    if isinstance(layout, Bytes):
        return st.binary(min_size=layout.length, max_size=layout.length)
    return integers(layout)


class Place(NamedTuple):
    """Somewhere a value stands: its path as errors write it, the record that holds it, its name there, its layout."""

    path: str
    holder: Record
    name: str
    layout: Any


def places(record: Record, path: str = "") -> Iterator[Place]:
    """Every attribute of a record and of the records in it, in the order of the wire."""
    for field in record.wire_fields:
        if field.derived:
            continue
        here = f"{path}{field.name}"
        layout = _chosen(field.layout, record)
        if layout is None or (isinstance(layout, type) and not layout.wire_fields):
            continue
        yield Place(here, record, field.name, layout)
        value = getattr(record, field.name)
        if isinstance(value, Record):
            yield from places(value, here + ".")
        elif isinstance(value, tuple) and value and isinstance(value[0], Record):
            for index, item in enumerate(value):
                yield from places(item, f"{here}[{index}].")


def _chosen(layout: Any, holder: Record) -> Any:
    """The layout that a value has now: a choice's case, or None where nothing is on the wire."""
    if isinstance(layout, Choice):
        case = layout.select(discriminator(holder, layout.on))
        return case and case.target
    return layout


def wrong_values(place: Place) -> st.SearchStrategy[Any]:
    """Values that cannot stand at a place."""
    layout = place.layout
    if isinstance(layout, PointerTo):
        wrong = wrong_values(place._replace(layout=layout.target))
        return st.one_of(st.none(), wrong) if layout.nonnull else wrong.filter(lambda value: value is not None)
    if isinstance(layout, type):
        return st.sampled_from([None, 7, b"bytes", "text"])
    if isinstance(layout, ArrayOf):
        return st.sampled_from([7, (None,), ("text",), [object()]])
    if isinstance(layout, Bytes) or layout is GreedyBytes:
        misfits = st.sampled_from([None, 7, "text"])
        if isinstance(layout, Blob) or layout is GreedyBytes:
            return misfits
        size = _image_size(layout, place.holder) if isinstance(layout, ImageBlob) else layout.length
        return st.one_of(misfits, st.binary(max_size=size + 5).filter(lambda data: len(data) != size))
    scalar = scalar_of(layout)
    assert scalar, layout
    span = Range.of(scalar.code, scalar.size)
    return st.sampled_from([span.least - 1, span.most + 1, span.most << 70, None, "text", b"\0", 1.5])
