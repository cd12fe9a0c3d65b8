"""The agent's messages one by one: bytes to fields and back, and what is refused."""

from __future__ import annotations

import dataclasses
import gc
import tracemalloc
from contextlib import suppress

import pytest
from hypothesis import given, strategies as st

from spiceemu.errors import InvalidValue, LimitExceeded, MalformedMessage, NotCompatible, UnknownMessage
from spiceemu.protocol.agent import messages as agent
from spiceemu.protocol.agent.enums import (
    AgentButtonMask,
    AgentCap,
    AgentResult,
    AgentType,
    ClipboardSelection,
    ClipboardType,
    DisplayConfigFlags,
    FileXferResult,
    MonitorsFlags,
)
from spiceemu.protocol.agent.message import MESSAGES, PLAIN, AgentMessage, ClipboardLayout
from spiceemu.protocol.capabilities import to_words
from spiceemu.protocol.enums import MouseButtonMask

SELECTION = ClipboardLayout(selection=True)
SERIAL = ClipboardLayout(serial=True)
BOTH = ClipboardLayout(selection=True, serial=True)

# Written by hand from vd_agent.h: type number, layout, message, bytes.
VECTORS: list[tuple[int, ClipboardLayout, AgentMessage, str]] = [
    (
        1,
        PLAIN,
        agent.MouseState(258, 3, AgentButtonMask.LEFT | AgentButtonMask.EXTRA, 4),
        "02010000 03000000 82000000 04",
    ),
    (2, PLAIN, agent.MonitorsConfig(0, ()), "00000000 00000000"),
    (
        2,
        PLAIN,
        agent.MonitorsConfig(
            MonitorsFlags.USE_POS, (agent.MonConfig(600, 800, 32, -1, 2), agent.MonConfig(0, 0, 0, 0, 0))
        ),
        "02000000 01000000 58020000 20030000 20000000 ffffffff 02000000" + "00000000" * 5,
    ),
    (
        2,
        PLAIN,
        agent.MonitorsConfig(
            MonitorsFlags.PHYSICAL_SIZE, (agent.MonConfig(600, 800, 32, 5, 6),), (agent.MonitorMM(203, 271),)
        ),
        "01000000 02000000 58020000 20030000 20000000 05000000 06000000 cb00 0f01",
    ),
    (3, PLAIN, agent.Reply(AgentType.MONITORS_CONFIG), "02000000 01000000"),
    (3, PLAIN, agent.Reply(AgentType.DISPLAY_CONFIG, AgentResult.ERROR), "05000000 02000000"),
    (4, PLAIN, agent.Clipboard(ClipboardType.UTF8_TEXT, b"text"), "01000000 74657874"),
    (4, PLAIN, agent.Clipboard(ClipboardType.NONE), "00000000"),
    (
        4,
        SELECTION,
        agent.Clipboard(ClipboardType.UTF8_TEXT, b"text", selection=ClipboardSelection.PRIMARY),
        "01000000 01000000 74657874",
    ),
    (5, PLAIN, agent.DisplayConfig(DisplayConfigFlags.SET_COLOR_DEPTH, 16), "08000000 10000000"),
    (6, PLAIN, agent.AnnounceCapabilities(1, (0x00020037, 1)), "01000000 37000200 01000000"),
    (6, PLAIN, agent.AnnounceCapabilities(0, ()), "00000000"),
    (7, PLAIN, agent.ClipboardGrab((ClipboardType.UTF8_TEXT, ClipboardType.IMAGE_PNG)), "01000000 02000000"),
    (
        7,
        SELECTION,
        agent.ClipboardGrab((ClipboardType.UTF8_TEXT,), selection=ClipboardSelection.SECONDARY),
        "02000000 01000000",
    ),
    (7, SERIAL, agent.ClipboardGrab((ClipboardType.UTF8_TEXT,), serial=0x01020304), "04030201 01000000"),
    (
        7,
        BOTH,
        agent.ClipboardGrab((ClipboardType.UTF8_TEXT,), selection=ClipboardSelection.PRIMARY, serial=7),
        "01000000 07000000 01000000",
    ),
    (8, PLAIN, agent.ClipboardRequest(ClipboardType.IMAGE_BMP), "03000000"),
    (
        8,
        BOTH,
        agent.ClipboardRequest(ClipboardType.UTF8_TEXT, selection=ClipboardSelection.PRIMARY),
        "01000000 01000000",
    ),
    (9, PLAIN, agent.ClipboardRelease(), ""),
    (9, SELECTION, agent.ClipboardRelease(selection=ClipboardSelection.PRIMARY), "01000000"),
    (10, PLAIN, agent.FileXferStart(3, b"[vdagent-file-xfer]"), "03000000" + b"[vdagent-file-xfer]".hex()),
    (11, PLAIN, agent.FileXferStatus(3, FileXferResult.SUCCESS), "03000000 03000000"),
    (
        11,
        PLAIN,
        agent.FileXferStatus(3, FileXferResult.NOT_ENOUGH_SPACE, bytes(8)),
        "03000000 04000000 0000000000000000",
    ),
    (12, PLAIN, agent.FileXferData(3, b"abc"), "03000000 0300000000000000 616263"),
    (13, PLAIN, agent.ClientDisconnected(), ""),
    (14, PLAIN, agent.MaxClipboard(-1), "ffffffff"),
    (15, PLAIN, agent.AudioVolumeSync(1, 0, (65535, 1)), "01 00 02 ffff 0100"),
    (
        16,
        PLAIN,
        agent.GraphicsDeviceInfo((agent.DeviceDisplayInfo(0, 1, 2, b"pci/0\0"), agent.DeviceDisplayInfo(1, 0, 0, b""))),
        "02000000 00000000 01000000 02000000 06000000 7063692f3000 01000000 00000000 00000000 00000000",
    ),
]
VECTOR = pytest.mark.parametrize(
    ("number", "layout", "message", "data"),
    [(number, layout, message, bytes.fromhex(data)) for number, layout, message, data in VECTORS],
    ids=[f"{type(row[2]).__name__}-{place}" for place, row in enumerate(VECTORS)],
)


@VECTOR
def test_bytes_are_read_to_fields(number: int, layout: ClipboardLayout, message: AgentMessage, data: bytes) -> None:
    assert agent.parse(number, data, layout) == message
    assert message.spec.type == number


@VECTOR
def test_fields_are_written_to_bytes(number: int, layout: ClipboardLayout, message: AgentMessage, data: bytes) -> None:
    assert message.build(layout) == data


@VECTOR
def test_every_cut_is_refused_or_shorter(
    number: int, layout: ClipboardLayout, message: AgentMessage, data: bytes
) -> None:
    for end in range(len(data)):
        with suppress(MalformedMessage):
            assert agent.parse(number, data[:end], layout) != message


def test_every_type_has_a_message() -> None:
    assert {*MESSAGES} == {*AgentType} == {number for number, *_ in VECTORS}


def test_messages_are_named_as_the_types() -> None:
    for number, message in MESSAGES.items():
        assert message.__name__.upper() == AgentType(number).name.replace("_", "")
        assert message.spec.name == f"agent.{message.__name__}"


def test_the_log_line_has_the_names() -> None:
    grab = agent.ClipboardGrab((ClipboardType.UTF8_TEXT,), selection=ClipboardSelection.PRIMARY, serial=2)
    assert str(grab).startswith("agent.ClipboardGrab(selection=PRIMARY, serial=2, types=")
    assert "UTF8_TEXT" in str(grab)
    assert str(agent.MaxClipboard(3)) == "agent.MaxClipboard(max=3)"


def test_agent_buttons_are_those_of_the_inputs_channel_moved_by_one() -> None:
    assert {button.name: button << 1 for button in MouseButtonMask} == {
        button.name: button.value for button in AgentButtonMask
    }


def test_unknown_numbers_stay_numbers() -> None:
    assert agent.Reply.parse(bytes.fromhex("63000000 09000000")) == agent.Reply(99, 9)
    grab = agent.ClipboardGrab.parse(bytes.fromhex("09000000 ff000000"), SELECTION)
    assert (grab.selection, tuple(grab.types)) == (9, (255,))


def test_the_reserved_bytes_of_a_selection_are_ignored() -> None:
    assert agent.ClipboardRelease.parse(b"\x02\xff\xff\xff", SELECTION).selection is ClipboardSelection.SECONDARY


def test_a_serial_belongs_to_a_grab_alone() -> None:
    assert agent.Clipboard(ClipboardType.NONE).build(SERIAL) == bytes(4)
    assert agent.ClipboardRelease().build(SERIAL) == b""


@pytest.mark.parametrize(
    ("ours", "theirs", "layout"),
    [
        ((), AgentCap, PLAIN),
        (AgentCap, (), PLAIN),
        ([AgentCap.CLIPBOARD_SELECTION], AgentCap, SELECTION),
        (AgentCap, [AgentCap.CLIPBOARD_GRAB_SERIAL], SERIAL),
        (AgentCap, [*AgentCap, 77], BOTH),
    ],
)
def test_the_layout_is_what_both_announced(
    ours: list[AgentCap], theirs: list[AgentCap], layout: ClipboardLayout
) -> None:
    assert ClipboardLayout.agreed(ours, theirs) == layout


def test_capabilities_are_bits_of_words() -> None:
    announced = agent.AnnounceCapabilities.of([AgentCap.MOUSE_STATE, AgentCap.CLIPBOARD_GRAB_SERIAL], request=True)
    assert announced == agent.AnnounceCapabilities(1, (0x20001,))
    assert announced.capabilities == {0, 17}
    assert agent.AnnounceCapabilities(0, (0, 2)).capabilities == {33}


@pytest.mark.parametrize(
    ("number", "layout", "data", "field", "offset"),
    [
        (1, PLAIN, bytes(12), "display_id", 12),
        (1, PLAIN, bytes(14), "", 13),  # of fixed size
        (2, PLAIN, b"\x02" + bytes(7 + 22), "monitors.height", 28),
        (2, PLAIN, b"\x02" + bytes(7 + 30), "monitors.depth", 36),
        (2, PLAIN, b"\1\0\0\0\2\0\0\0" + bytes(22), "physical_sizes.physical_sizes.width", 30),
        (3, PLAIN, bytes(9), "", 8),
        (4, SELECTION, bytes(2), "selection", 1),
        (4, SELECTION, bytes(7), "type", 4),
        (7, BOTH, bytes(6), "serial", 4),
        (8, PLAIN, bytes(5), "", 4),
        (9, PLAIN, bytes(1), "", 0),
        (9, SELECTION, bytes(5), "", 4),
        (11, PLAIN, bytes(7), "result", 4),
        (12, PLAIN, bytes(4) + b"\xff" * 8 + b"abc", "data", 12),
        (13, PLAIN, bytes(1), "", 0),
        (15, PLAIN, b"\0\0\2" + bytes(3), "volume", 5),
        (16, PLAIN, b"\1" + bytes(3 + 12) + b"\7\0\0\0" + bytes(6), "display_info.device_address", 20),
    ],
)
def test_what_does_not_fit_names_field_and_offset(
    number: int, layout: ClipboardLayout, data: bytes, field: str, offset: int
) -> None:
    with pytest.raises(MalformedMessage) as caught:
        agent.parse(number, data, layout)
    assert (caught.value.field, caught.value.offset) == (field, offset)
    assert caught.value.message == f"agent.{MESSAGES[number].__name__}"


def test_the_reason_tells_what_was_there() -> None:
    with pytest.raises(MalformedMessage, match=r"^agent\.Reply\.error at offset 4: needs 4 bytes, 3 left$"):
        agent.parse(3, bytes(7))
    with pytest.raises(MalformedMessage, match=r"^agent\.MaxClipboard at offset 4: 6 bytes, it has 4$"):
        agent.parse(14, bytes(6))


@pytest.mark.parametrize(
    ("number", "data"),
    [
        (2, bytes(8) + b"behind"),
        (6, bytes(4) + b"\1\0\0\0" + b"odd"),
        (7, b"\1\0\0\0" + b"odd"),
        (12, bytes(12) + b"behind"),
        (15, bytes(3) + b"behind"),
        (16, bytes(4) + b"behind"),
    ],
)
def test_bytes_behind_a_counted_part_are_ignored(number: int, data: bytes) -> None:
    whole = len(data) - (6 if data.endswith(b"behind") else 3)
    assert agent.parse(number, data) == agent.parse(number, data[:whole])


@pytest.mark.parametrize(
    ("number", "data", "limit", "offset"),
    [
        (2, b"\xff\xff\xff\xff" + bytes(4), agent.MAX_MONITORS, 0),
        (2, (agent.MAX_MONITORS + 1).to_bytes(4, "little") + bytes(8000), agent.MAX_MONITORS, 0),
        (6, bytes(4 + 4 * agent.MAX_ANNOUNCED_WORDS + 4), agent.MAX_ANNOUNCED_WORDS, 4),
        (7, bytes(4 * agent.MAX_CLIPBOARD_TYPES + 4), agent.MAX_CLIPBOARD_TYPES, 0),
        (16, (agent.MAX_DEVICES + 1).to_bytes(4, "little") + bytes(8000), agent.MAX_DEVICES, 0),
    ],
)
def test_a_count_over_its_limit_is_refused(number: int, data: bytes, limit: int, offset: int) -> None:
    with pytest.raises(LimitExceeded, match=rf"agent\.\w+\.\w+ at offset {offset}: .* limit is {limit}"):
        agent.parse(number, data)


def test_a_count_at_its_limit_is_taken() -> None:
    full = agent.MonitorsConfig(2, (agent.MonConfig(1, 1),) * agent.MAX_MONITORS, (agent.MonitorMM(1, 1),) * 256)
    assert agent.parse(2, full.build()) == full
    grab = agent.ClipboardGrab((ClipboardType.UTF8_TEXT,) * agent.MAX_CLIPBOARD_TYPES)
    assert agent.parse(7, grab.build()) == grab
    announced = agent.AnnounceCapabilities(0, (0xFFFFFFFF,) * agent.MAX_ANNOUNCED_WORDS)
    assert agent.parse(6, announced.build()) == announced
    assert announced.capabilities == {*range(32 * agent.MAX_ANNOUNCED_WORDS)}


def test_an_unknown_type_is_told_apart() -> None:
    with pytest.raises(UnknownMessage, match="17"):
        agent.parse(17, b"")
    with pytest.raises(UnknownMessage):
        agent.parse(0, b"")


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (agent.Reply(AgentType.REPLY, -1), r"agent\.Reply\.error"),
        (agent.Reply("reply"), r"agent\.Reply"),  # type: ignore[arg-type]
        (agent.MonitorsConfig(0, (agent.MonConfig(1, 1 << 32),)), r"agent\.MonitorsConfig\.monitors\.width"),
        (agent.MonitorsConfig(2, (agent.MonConfig(1, 1),), ()), r"agent\.MonitorsConfig\.physical_sizes"),
        (agent.MonitorsConfig(0, (agent.MonConfig(1, 1),) * 257), r"agent\.MonitorsConfig\.num_of_monitors"),
        (agent.MonitorsConfig(0, None), r"agent\.MonitorsConfig"),  # type: ignore[arg-type]
        (agent.Clipboard(ClipboardType.UTF8_TEXT, "text"), r"agent\.Clipboard\.data"),  # type: ignore[arg-type]
        (agent.ClipboardGrab((1,) * 257), r"agent\.ClipboardGrab\.types"),
        (agent.MaxClipboard(1 << 31), r"agent\.MaxClipboard\.max"),
    ],
)
def test_a_value_that_does_not_fit_is_named(message: AgentMessage, text: str) -> None:
    with pytest.raises(InvalidValue, match=text):
        message.build()


@pytest.mark.parametrize(
    ("message", "layout", "field"),
    [
        (agent.ClipboardRelease(selection=ClipboardSelection.PRIMARY), PLAIN, "selection"),
        (agent.ClipboardGrab((), selection=ClipboardSelection.PRIMARY), SERIAL, "selection"),
        (agent.ClipboardGrab((), serial=1), SELECTION, "serial"),
    ],
)
def test_what_the_other_side_does_not_know_is_not_compatible(
    message: AgentMessage, layout: ClipboardLayout, field: str
) -> None:
    with pytest.raises(NotCompatible, match=rf"{message.spec.name}\.{field}"):
        message.build(layout)


layouts = st.builds(ClipboardLayout, st.booleans(), st.booleans())


@given(st.sampled_from(AgentType), st.binary(max_size=80), layouts)
def test_any_bytes_are_read_or_refused_in_our_words(kind: AgentType, data: bytes, layout: ClipboardLayout) -> None:
    try:
        message = agent.parse(kind, data, layout)
    except (MalformedMessage, LimitExceeded):
        return
    written = message.build(layout)
    assert len(written) <= len(data)
    assert agent.parse(kind, written, layout) == message


u32 = st.integers(0, 0xFFFFFFFF)
monitors = st.lists(st.builds(agent.MonConfig, u32, u32, u32, st.integers(-(1 << 31), (1 << 31) - 1)), max_size=5).map(
    tuple
)
selections = st.sampled_from(ClipboardSelection)


@given(
    st.one_of(
        st.builds(agent.MonitorsConfig, st.sampled_from([0, 1]), monitors),
        st.builds(agent.Clipboard, u32, st.binary(), selection=selections),
        st.builds(agent.ClipboardGrab, st.lists(u32, max_size=9).map(tuple), selection=selections, serial=u32),
        st.builds(agent.FileXferData, u32, st.binary()),
        st.builds(agent.AnnounceCapabilities.of, st.sets(st.integers(0, 99)), request=st.booleans()),
    )
)
def test_what_is_written_is_read_again(message: AgentMessage) -> None:
    assert type(message).parse(message.build(BOTH), BOTH) == message


def test_announcing_takes_as_many_words_as_needed() -> None:
    assert agent.AnnounceCapabilities.of(AgentCap).caps == to_words(AgentCap) == (0x3FFFF,)


def test_optional_fields_are_not_positional() -> None:
    fields = {field.name: field.kw_only for field in dataclasses.fields(agent.ClipboardGrab)}
    assert fields == {"selection": True, "serial": True, "types": False}


def test_a_message_is_gone_when_nobody_has_it_any_more() -> None:
    """Without waiting for the collector: a client may send one of 16 MiB after the other."""
    data = agent.Clipboard(1, bytes(1 << 20)).build()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(10):
            agent.Clipboard.parse(data).build()
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert left < 1 << 20
