"""The catalogue against the tables that were made from spice.proto: nothing missing, nothing more."""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum, IntFlag
from typing import Any

import pytest
from construct import FormatField, GreedyBytes

from spiceemu.errors import UnknownMessage
from spiceemu.protocol import enums
from spiceemu.protocol.agent.enums import AgentType
from spiceemu.protocol.agent.message import agent_message
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.layout.fields import (
    ArrayOf,
    Blob,
    Choice,
    EnumOf,
    FlagsOf,
    ImageBlob,
    Nothing,
    PointerTo,
    Record,
)
from spiceemu.protocol.layout.writer import least_size
from spiceemu.protocol.levels.channels import capabilities_of
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.messages import catalogue
from spiceemu.protocol.messages.catalogue import CLIENT, SERVER, Message, lookup, messages_of
from spiceemu.protocol.messages.message import message

from .. import vectors
from ..records import ALL_MESSAGES

ROWS = vectors.table("messages.json")
ENUMS = vectors.table("enums.json")
ROW = pytest.mark.parametrize(
    "row", ROWS, ids=[f"{row['channel']}-{row['direction']}-{row['id']}-{row['name']}" for row in ROWS]
)


def fixed_size(layout: Any) -> int | None:
    """Bytes of a layout itself, without what it points to; None where they vary."""
    if isinstance(layout, type):
        sizes = [fixed_size(field.layout) for field in layout.wire_fields]
        return None if None in sizes else sum(filter(None, sizes))
    if isinstance(layout, Choice | ArrayOf | Blob | ImageBlob) or layout is GreedyBytes:
        return None
    if isinstance(layout, Nothing):
        return 0
    return 4 if isinstance(layout, PointerTo) else layout.sizeof()


def pointers(layout: Any, path: str = "") -> Iterator[tuple[str, bool]]:
    """Paths of all pointers as the table writes them: dots inside a record, an arrow through a pointer."""
    if isinstance(layout, type):
        for field in layout.wire_fields:
            yield from pointers(field.layout, f"{path}.{field.name}" if path and path[-1] != ">" else path + field.name)
    elif isinstance(layout, Choice):
        for case in layout.cases:
            yield from pointers(case.target, f"{path}.{case.name}")
    elif isinstance(layout, PointerTo):
        yield path, layout.nonnull
        yield from pointers(layout.target, path + "->")
    elif isinstance(layout, ArrayOf):
        yield from pointers(layout.element, path)


@ROW
def test_message_is_declared_as_in_the_table(row: dict[str, Any]) -> None:
    cls = lookup(ChannelType(row["channel_type"]), row["direction"], row["id"])
    assert cls.spec.proto_name == row["name"]
    assert [field.name for field in cls.wire_fields] == row["members"]
    assert fixed_size(cls) == row["fixed_size"]
    assert least_size(cls) <= row["min_root_size"]
    assert set(pointers(cls)) == {(pointer["path"], pointer["nonnull"]) for pointer in row["pointers"]}


def test_nothing_is_declared_that_is_not_in_the_table() -> None:
    declared = {
        (channel, direction, number)
        for channel in ChannelType
        for direction in (SERVER, CLIENT)
        for number in messages_of(channel, direction)
    }
    assert declared == {(row["channel_type"], row["direction"], row["id"]) for row in ROWS}


@pytest.mark.parametrize("name", ENUMS)
def test_enumeration_has_the_names_and_values_of_the_table(name: str) -> None:
    ours = getattr(enums, "".join(map(str.capitalize, name.split("_"))))
    assert issubclass(ours, IntFlag if ENUMS[name]["kind"] == "flags" else IntEnum)
    for member, value in ENUMS[name]["values"].items():
        found = ours(value).name
        if member[0].isdigit():  # ours begins with a short form of the type's name
            found = found.partition("_")[2]
        assert found.replace("_", "") == member.replace("_", "").upper()


def enumerations(layout: Any) -> Iterator[tuple[type, FormatField]]:
    if isinstance(layout, type):
        for field in layout.wire_fields:
            yield from enumerations(field.layout)
    elif isinstance(layout, Choice):
        for case in layout.cases:
            yield from enumerations(case.target)
    elif isinstance(layout, PointerTo):
        yield from enumerations(layout.target)
    elif isinstance(layout, ArrayOf):
        yield from enumerations(layout.element)
    elif isinstance(layout, EnumOf):
        yield layout.enum, layout.subcon
    elif isinstance(layout, FlagsOf):
        yield layout.flags, layout.subcon


@pytest.mark.parametrize("cls", ALL_MESSAGES, ids=lambda cls: cls.spec.name)
def test_enumerations_have_their_width_on_the_wire(cls: type[Message]) -> None:
    widths = {"".join(map(str.capitalize, name.split("_"))): entry["bits"] for name, entry in ENUMS.items()}
    for enum, subcon in enumerations(cls):
        assert subcon.sizeof() * 8 == widths[enum.__name__], enum


@pytest.mark.parametrize("cls", ALL_MESSAGES, ids=lambda cls: cls.spec.name)
def test_spec_is_consistent(cls: type[Message]) -> None:
    spec = cls.spec
    for direction, number in spec.ids.items():
        for channel in spec.channels:
            assert lookup(channel, direction, number) is cls
    place, _, class_name = spec.name.partition(".")
    assert class_name == cls.__name__
    assert place == (spec.channels[0].name.lower() if len(spec.channels) == 1 else cls.__module__.rpartition(".")[2])
    assert isinstance(spec.feature, Feature)
    if spec.capability is not None:
        assert all(spec.capability in (capabilities_of(channel) or ()) for channel in spec.channels)


def test_every_name_of_a_message_is_its_own() -> None:
    assert len({cls.spec.name for cls in ALL_MESSAGES}) == len(ALL_MESSAGES)


def test_a_channel_without_messages_has_none() -> None:
    assert not messages_of(ChannelType.TUNNEL, SERVER)
    with pytest.raises(UnknownMessage, match=r"tunnel channel: no client message has id 1$"):
        lookup(ChannelType.TUNNEL, CLIENT, 1)


def test_every_module_of_the_catalogue_is_reachable_from_it() -> None:
    modules = {cls.__module__.rpartition(".")[2] for cls in ALL_MESSAGES}
    assert all(hasattr(catalogue, module) for module in modules)
    assert all(issubclass(cls, Record) for cls in ALL_MESSAGES)


def test_a_declaration_names_its_feature() -> None:
    with pytest.raises(TypeError, match="feature"):
        message(ChannelType.MAIN, server=200)  # type: ignore[call-arg]


def test_a_declaration_of_the_agents_names_what_the_receiver_must_have() -> None:
    with pytest.raises(TypeError, match="capability"):
        agent_message(AgentType.REPLY)  # type: ignore[call-arg]
