"""The state in MIGRATE_DATA: as recorded from real servers, whatever else there may be, and what is refused."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, strategies as st

from spiceemu.errors import InvalidValue, LimitExceeded, MalformedMessage, RemoteError
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.framing import MAX_CLIENT_BODY, MAX_SERVER_BODY, FrameReader
from spiceemu.protocol.layout.dictionaries import build_fields, parse_fields, to_fields
from spiceemu.protocol.layout.fields import is_record
from spiceemu.protocol.layout.writer import scalar_of
from spiceemu.protocol.levels.channels import CHANNELS
from spiceemu.protocol.messages.base import MigrateData
from spiceemu.protocol.messages.catalogue import CLIENT, SERVER
from spiceemu.protocol.messages.migrate_data import (
    MAX_MIGRATE_DATA,
    MAX_SURFACES_AT_CLIENT,
    UNLIMITED,
    AgentToClient,
    ChannelData,
    CharDevice,
    DisplayData,
    InputsData,
    LossySurface,
    MainData,
    SmartcardData,
    SpicevmcData,
    SurfacesAtClient,
    layout_of_state,
)

from .. import captures

SEAMLESS = {side: f"0.15.1/qemu__migration-seamless-{side}" for side in ("source", "target")}
DATA_OF = {channel: layout_of_state(facts.state) for channel, facts in CHANNELS.items() if facts.state}
CLASSES = tuple(dict.fromkeys(DATA_OF.values()))
#: The second display is one that nothing was drawn on: its client has no surface.
SIZES = {MainData: {65}, DisplayData: {84, 88}, InputsData: {10}, SpicevmcData: {33}}

SURFACES_POINTER = 76  # its offset in a display's state
WRITE_DATA_POINTER = 29  # in the states that begin with a device


def recorded(side: str) -> Iterator[tuple[ChannelType, bytes]]:
    """The states that a side of the recorded migration has sent or got."""
    direction, number, limit = (
        (SERVER, MigrateData.spec.ids[SERVER], MAX_SERVER_BODY)
        if side == "source"
        else (CLIENT, MigrateData.spec.ids[CLIENT], MAX_CLIENT_BODY)
    )
    for expected in captures.expectations()[SEAMLESS[side]]:
        client, server = (captures.stream(expected.session, expected.connection, way) for way in ("c2s", "s2c"))
        assert client is not None
        connection = captures.connection(client, server)
        data = connection.server if direction == SERVER else connection.client
        assert data is not None
        for found, body, _ in FrameReader(mini=connection.mini, max_body=limit).receive_data(data):
            if found == number:
                yield ChannelType(connection.channel_type), body


@pytest.mark.parametrize("side", SEAMLESS)
def test_recorded_states_are_read_and_written_again(side: str) -> None:
    sizes: dict[type[ChannelData], set[int]] = {}
    for channel, body in recorded(side):
        kind = DATA_OF[channel]
        made = kind.parse(body)
        assert made.build() == body
        sizes.setdefault(kind, set()).add(len(body))
    assert sizes == SIZES


def test_the_target_gets_what_the_source_gave() -> None:
    assert sorted(recorded("source")) == sorted(recorded("target"))


def test_what_the_recorded_states_say() -> None:
    bodies = dict(recorded("source"))
    display = DisplayData.parse(
        max((body for kind, body in recorded("source") if kind is ChannelType.DISPLAY), key=len)
    )
    assert (display.pixmap_cache_id, display.pixmap_cache_size, display.pixmap_cache_freezer) == (1, 20 << 20, 1)
    assert list(display.surfaces_at_client.ids) == [0]
    assert not display.surfaces_at_client.is_lossy
    port = SpicevmcData.parse(bodies[ChannelType.PORT])
    assert port.base == CharDevice(connected=1, num_client_tokens=UNLIMITED, num_send_tokens=UNLIMITED)
    assert MainData.parse(bodies[ChannelType.MAIN]) == MainData()  # of a machine without an agent
    assert InputsData.parse(bodies[ChannelType.INPUTS]) == InputsData()


# Whatever else there may be


def integers(code: str) -> st.SearchStrategy[int]:
    bits = struct.calcsize("<" + code) * 8
    low = -(1 << bits - 1) if code.islower() else 0
    return st.integers(low, low + (1 << bits) - 1)


SPECIAL: dict[str, st.SearchStrategy[Any]] = {
    "version": st.just(1),
    "chunk_header_size": st.integers(0, 8),
    "msg_header": st.none() | st.binary(min_size=1, max_size=20),
    "write_data": st.none() | st.binary(min_size=1, max_size=50),
    "read_data": st.none() | st.binary(min_size=1, max_size=50),
    "surfaces_at_client": st.one_of(
        st.lists(integers("I"), max_size=5).map(SurfacesAtClient.of),
        st.lists(st.builds(LossySurface, integers("I"), *[integers("i")] * 4), max_size=5).map(SurfacesAtClient.lossy),
    ),
}


def records(cls: Any) -> st.SearchStrategy[Any]:
    """Every value of a record that can be written and read again."""
    made: dict[str, st.SearchStrategy[Any]] = {}
    for field in cls.wire_fields:
        scalar = None if is_record(field.layout) else scalar_of(field.layout)
        if field.derived or field.name == "header":
            continue
        if field.name in SPECIAL:
            made[field.name] = SPECIAL[field.name]
        elif is_record(field.layout):
            made[field.name] = records(field.layout)
        else:
            assert scalar is not None
            made[field.name] = integers(scalar.code)
    return st.builds(cls, **made)


ANY = st.one_of([records(kind) for kind in CLASSES])


@given(ANY)
def test_what_is_written_is_read_again(state: ChannelData) -> None:
    assert type(state).parse(state.build()) == state


@given(ANY)
def test_the_compiled_way_is_that_of_construct(state: ChannelData) -> None:
    body = state.build()
    assert build_fields(type(state).layout, to_fields(state)) == body
    assert parse_fields(type(state).layout, body) == to_fields(state)


@given(ANY)
def test_every_truncation_is_refused(state: ChannelData) -> None:
    body = state.build()
    for end in range(len(body)):
        if isinstance(state, DisplayData) and is_list_of_ids(body[:end]):
            continue  # a list of ids and rectangles whose beginning is a list of as many ids
        with pytest.raises(MalformedMessage, match=type(state).name):
            type(state).parse(body[:end])


def is_list_of_ids(body: bytes) -> bool:
    return len(body) >= 84 and len(body) == 84 + 4 * int.from_bytes(body[80:84], "little")


@given(ANY, st.data())
def test_a_damaged_state_is_read_or_refused_as_the_peers_fault(state: ChannelData, data: st.DataObject) -> None:
    body = bytearray(state.build())
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    with suppress(RemoteError):
        type(state).parse(bytes(body)).build()


def test_both_kinds_of_surfaces() -> None:
    ids = SurfacesAtClient.of([0, 7, 1023])
    assert list(ids.ids) == [0, 7, 1023]
    assert not ids.is_lossy
    assert list(ids.rectangles) == []
    surfaces = [LossySurface(0, 0, 0, 64, 48), LossySurface(7, -1, -2, 3, 4)]
    lossy = SurfacesAtClient.lossy(surfaces)
    assert list(lossy.ids) == [0, 7]
    assert lossy.is_lossy
    assert list(lossy.rectangles) == surfaces
    assert len(DisplayData(surfaces_at_client=lossy).build()) == 84 + 2 * 20
    assert not SurfacesAtClient.of([]).is_lossy


def test_pointed_to_parts_stand_behind_the_fixed_ones_in_their_order() -> None:
    body = MainData(agent_base=CharDevice(write_data=b"piece"), agent2client=AgentToClient(msg_header=b"head")).build()
    assert body[65:] == b"piecehead"
    assert struct.unpack_from("<I", body, WRITE_DATA_POINTER) == (65,)
    assert struct.unpack_from("<I", body, 51) == (70,)
    body = SmartcardData(base=CharDevice(write_data=b"piece"), read_data=b"head").build()
    assert body[42:] == b"piecehead"


# What is refused


def changed(state: ChannelData, offset: int, code: str, value: int | bytes) -> bytes:
    body = bytearray(state.build())
    struct.pack_into("<" + code, body, offset, value)
    return bytes(body)


@pytest.mark.parametrize("kind", CLASSES)
def test_the_state_of_another_channel_is_refused_by_its_magic(kind: type[ChannelData]) -> None:
    for other in CLASSES:
        if other is not kind:
            text = rf"{kind.name}\.header\.magic at offset 0: {other.magic!r}, it must be {kind.magic!r}"
            with pytest.raises(MalformedMessage, match=text):
                kind.parse(other().build())


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("version", [0, 2, 0xFFFFFFFF])
def test_another_version_is_refused(kind: type[ChannelData], version: int) -> None:
    with pytest.raises(MalformedMessage, match=rf"header\.version at offset 4: {version}, it must be 1"):
        kind.parse(changed(kind(), 4, "I", version))


@pytest.mark.parametrize(("kind", "path"), [(MainData, "agent_base"), (SpicevmcData, "base"), (SmartcardData, "base")])
def test_another_version_of_the_device_is_refused(kind: type[ChannelData], path: str) -> None:
    with pytest.raises(MalformedMessage, match=rf"{path}\.version at offset 8: 2, it must be 1"):
        kind.parse(changed(kind(), 8, "I", 2))


@pytest.mark.parametrize(
    ("state", "offset", "value", "text"),
    [
        (SpicevmcData(), WRITE_DATA_POINTER, 33, "base.write_data at offset 29: points to 33, beyond the body of 33"),
        (SpicevmcData(), WRITE_DATA_POINTER, 0xFFFFFFFF, "points to 4294967295, beyond the body"),
        (SpicevmcData(), 21, 5, "null with a count of 5"),
        (SpicevmcData(base=CharDevice(write_data=b"x")), 21, 2, "base.write_data at offset 33: needs 2 bytes, 1 left"),
        (SpicevmcData(base=CharDevice(write_data=b"x")), 21, 0xFFFFFFFF, "needs 4294967295 bytes, 1 left"),
        (DisplayData(), SURFACES_POINTER, 0, "surfaces_at_client at offset 76: null, but a target is required"),
        (DisplayData(), SURFACES_POINTER, 84, "surfaces_at_client at offset 76: points to 84, beyond the body of 84"),
        (DisplayData(), SURFACES_POINTER, 81, "num_surfaces at offset 81: needs 4 bytes, 3 left"),
        (DisplayData(), 80, 1, "surfaces at offset 84: 1 surfaces of 4 or 20 bytes are not the 0 that follow"),
    ],
)
def test_pointers_and_counts_that_lead_nowhere_are_refused(
    state: ChannelData, offset: int, value: int, text: str
) -> None:
    with pytest.raises(MalformedMessage, match=text):
        type(state).parse(changed(state, offset, "I", value))


@pytest.mark.parametrize(
    ("state", "offset", "value", "text"),
    [
        (
            DisplayData(),
            80,
            MAX_SURFACES_AT_CLIENT + 1,
            "num_surfaces at offset 80: 10001 surfaces, the limit is 10000",
        ),
        (DisplayData(), 80, 0xFFFFFFFF, "num_surfaces at offset 80: 4294967295 surfaces, the limit is 10000"),
        (MainData(), 34, 9, "agent2client.chunk_header_size at offset 34: 9 bytes, the limit is 8"),
    ],
)
def test_counts_over_their_limit_are_refused(state: ChannelData, offset: int, value: int, text: str) -> None:
    with pytest.raises(LimitExceeded, match=text):
        type(state).parse(changed(state, offset, "I", value))


def test_a_partial_header_longer_than_a_header_is_refused() -> None:
    body = MainData(agent2client=AgentToClient(msg_header=bytes(21))).build()
    with pytest.raises(LimitExceeded, match="msg_header_partial_len at offset 47: 21 bytes, the limit is 20"):
        MainData.parse(body)


def test_the_most_that_is_taken() -> None:
    rectangles = [LossySurface(number, 0, 0, 1, 1) for number in range(MAX_SURFACES_AT_CLIENT)]
    state = DisplayData(surfaces_at_client=SurfacesAtClient.lossy(rectangles))
    assert DisplayData.parse(state.build()) == state
    most = SpicevmcData(base=CharDevice(write_data=bytes(MAX_MIGRATE_DATA - 33)))
    assert SpicevmcData.parse(most.build()) == most
    assert MAX_MIGRATE_DATA <= MAX_CLIENT_BODY
    with pytest.raises(LimitExceeded, match=r"spicevmc\.SpicevmcData: 1048577 bytes, the limit is 1048576"):
        SpicevmcData.parse(most.build() + b"\0")
    with pytest.raises(InvalidValue, match="1048577 bytes, the limit is 1048576"):
        SpicevmcData(base=CharDevice(write_data=bytes(MAX_MIGRATE_DATA - 32))).build()


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (InputsData(motion_count=1 << 16), r"inputs\.InputsData\.motion_count: 65536 does not fit 16 bits"),
        (SpicevmcData(base=CharDevice(connected=-1)), r"base\.connected: -1 does not fit 8 bits"),
        (DisplayData(surfaces_at_client=None), r"surfaces_at_client: null, but a target is required"),  # type: ignore[arg-type]
    ],
)
def test_what_does_not_fit_is_not_written(state: ChannelData, text: str) -> None:
    with pytest.raises(InvalidValue, match=text):
        state.build()


def test_many_surfaces_cost_no_more_memory_than_their_bytes() -> None:
    body = DisplayData(surfaces_at_client=SurfacesAtClient.of(range(MAX_SURFACES_AT_CLIENT))).build()
    DisplayData.parse(body)
    tracemalloc.start()
    try:
        state = DisplayData.parse(body)
        assert state.surfaces_at_client.ids[-1] == MAX_SURFACES_AT_CLIENT - 1
        assert tracemalloc.get_traced_memory()[1] < 3 * len(body)
    finally:
        tracemalloc.stop()


def test_every_channel_with_a_state_has_one() -> None:
    without = {ChannelType.CURSOR, ChannelType.PLAYBACK, ChannelType.RECORD, ChannelType.TUNNEL}
    assert set(ChannelType) - without == DATA_OF.keys()
    assert None not in DATA_OF.values()
