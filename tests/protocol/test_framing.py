"""Where a message begins and ends: both headers, lists of sub-messages, limits."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, strategies as st

from spiceemu.errors import InvalidValue, LimitExceeded, MalformedMessage
from spiceemu.protocol.framing import (
    LARGE_BODY,
    MAX_CLIENT_BODY,
    MAX_SERVER_BODY,
    MAX_SUB_MESSAGES,
    Frame,
    FrameReader,
    FrameWriter,
    build_sub_messages,
    sub_messages,
)
from spiceemu.protocol.messages import base, display, inputs, main
from spiceemu.protocol.messages.catalogue import CLIENT, SERVER, Message
from spiceemu.protocol.messages.types import ChannelWait, ResourceID

LIMIT = 1000
HEADERS = pytest.mark.parametrize("mini", [True, False], ids=["mini", "full"])
LIST = 8


def mini(number: int, body: bytes) -> bytes:
    return struct.pack("<HI", number, len(body)) + body


def full(serial: int, number: int, body: bytes, sub_list: int = 0) -> bytes:
    return struct.pack("<QHII", serial, number, len(body), sub_list) + body


def listed(parts: Sequence[tuple[int, bytes]], base: int = 0) -> bytes:
    """A list of sub-messages that stands at offset ``base`` of a body."""
    offsets, bodies = [], b""
    for number, body in parts:
        offsets.append(base + 2 + 4 * len(parts) + len(bodies))
        bodies += mini(number, body)
    return struct.pack(f"<H{len(parts)}I", len(parts), *offsets) + bodies


def frames(reader: FrameReader, pieces: Iterable[bytes]) -> list[Frame]:
    return [frame for piece in pieces for frame in reader.receive_data(piece)]


def stream(messages: Sequence[tuple[int, bytes]], *, mini_header: bool) -> bytes:
    return b"".join(
        mini(number, body) if mini_header else full(serial, number, body)
        for serial, (number, body) in enumerate(messages, 1)
    )


# Reading


@HEADERS
def test_messages_are_cut_out(mini: bool) -> None:
    messages = [(101, b"one"), (102, b""), (3, bytes(LIMIT))]
    reader = FrameReader(mini=mini, max_body=LIMIT)
    data = stream(messages, mini_header=mini)
    assert frames(reader, [data]) == [(101, b"one", 1), (102, b"", 2), (3, bytes(LIMIT), 3)]
    assert (reader.serial, reader.buffered) == (3, 0)


@HEADERS
@given(
    messages=st.lists(
        st.tuples(st.integers(0, 0xFFFF).filter(lambda number: number != LIST), st.binary(max_size=40)), max_size=8
    ),
    data=st.data(),
)
def test_pieces_make_no_difference(mini: bool, messages: list[tuple[int, bytes]], data: st.DataObject) -> None:
    whole = stream(messages, mini_header=mini)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=10), label="cuts"))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    expected = [(number, body, serial) for serial, (number, body) in enumerate(messages, 1)]
    reader = FrameReader(mini=mini, max_body=LIMIT)
    assert frames(reader, pieces) == expected
    assert reader.buffered == 0


@HEADERS
def test_one_byte_at_a_time(mini: bool) -> None:
    messages = [(101, b"first"), (LIST, listed([(7, b"a"), (9, b"")])), (102, b""), (103, b"last")]
    whole = stream(messages, mini_header=mini)
    reader = FrameReader(mini=mini, max_body=LIMIT)
    found: list[Frame] = []
    for count, byte in enumerate(whole, 1):
        found += reader.receive_data(bytes([byte]))
        assert reader.buffered <= count
    assert found == frames(FrameReader(mini=mini, max_body=LIMIT), [whole])
    assert [number for number, _, _ in found] == [101, 7, 9, 102, 103]
    assert reader.buffered == 0


@HEADERS
def test_what_is_held_is_counted(mini: bool) -> None:
    whole = stream([(101, b"0123456789")], mini_header=mini)
    reader = FrameReader(mini=mini, max_body=LIMIT)
    for size in range(1, len(whole)):
        assert not frames(reader, [whole[size - 1 : size]])
        assert reader.buffered == size
    assert frames(reader, [whole[-1:], b""]) == [(101, b"0123456789", 1)]
    assert reader.buffered == 0
    assert not frames(reader, [b""])


def test_full_headers_say_the_serial_and_may_skip_some() -> None:
    reader = FrameReader(mini=False, max_body=LIMIT)
    assert frames(reader, [full(1, 101, b"") + full(5, 102, b"") + full(1 << 63, 103, b"")]) == [
        (101, b"", 1),
        (102, b"", 5),
        (103, b"", 1 << 63),
    ]
    assert reader.serial == 1 << 63


@HEADERS
def test_every_message_of_a_chunk_has_its_serial(mini: bool) -> None:
    reader = FrameReader(mini=mini, max_body=LIMIT)
    messages = [(101, b""), (LIST, listed([(1, b"")])), (103, b""), (104, b"body")]
    data = stream(messages, mini_header=mini)
    assert [serial for _, _, serial in reader.receive_data(data[:-1])] == [1, 2, 3]
    assert reader.serial == 3
    assert [serial for _, _, serial in reader.receive_data(data[-1:])] == [4]
    assert reader.serial == 4


@HEADERS
@pytest.mark.parametrize("size", [0, 1, LARGE_BODY - 7, LARGE_BODY - 6, LARGE_BODY, LARGE_BODY + 1])
def test_a_size_around_the_notable_one_changes_nothing(mini: bool, size: int) -> None:
    messages = [(101, bytes(size)), (102, b"behind"), (103, bytes(size)), (104, bytes(size))]
    reader = FrameReader(mini=mini, max_body=2 * LARGE_BODY)
    expected = [(number, body, serial) for serial, (number, body) in enumerate(messages, 1)]
    assert frames(reader, [stream(messages, mini_header=mini)]) == expected
    assert (reader.serial, reader.buffered) == (4, 0)


def test_a_large_body_in_small_pieces_is_held_once() -> None:
    body = bytes(1 << 20)
    pieces = [bytes(17) for _ in range(len(body) // 17)] + [bytes(len(body) % 17)]
    reader = FrameReader(mini=True, max_body=len(body))
    assert not frames(reader, [mini(101, body)[:6]])
    tracemalloc.start()
    try:
        found = frames(reader, pieces)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [(101, body, 1)]
    assert peak < 3 * len(body)


def test_a_large_body_is_not_held_twice_while_its_message_is_handled() -> None:
    data = mini(101, bytes(4 << 20)) + mini(102, b"behind")
    reader = FrameReader(mini=True, max_body=MAX_SERVER_BODY)
    handled = []
    tracemalloc.start()
    try:
        for start in range(0, len(data), 1 << 16):
            for number, body, _ in reader.receive_data(data[start : start + (1 << 16)]):
                handled.append((number, len(body), tracemalloc.get_traced_memory()[0]))
                del body
    finally:
        tracemalloc.stop()
    assert [entry[:2] for entry in handled] == [(101, 4 << 20), (102, 6)]
    assert handled[0][2] < 1.2 * (4 << 20)


# Limits


@HEADERS
def test_a_body_over_the_limit_is_refused_by_its_header(mini: bool) -> None:
    header = stream([(101, bytes(LIMIT + 1))], mini_header=mini)[: -LIMIT - 1]
    good = stream([(102, b"before")], mini_header=mini)
    reader = FrameReader(mini=mini, max_body=LIMIT)
    found: list[Frame] = []
    with pytest.raises(LimitExceeded, match=r"message 101 announces a body of 1001 bytes, the limit is 1000"):
        found.extend(reader.receive_data(good + header))
    assert found == [(102, b"before", 1)]


@HEADERS
def test_a_body_over_the_limit_is_refused_even_if_it_is_there(mini: bool) -> None:
    with pytest.raises(LimitExceeded):
        frames(FrameReader(mini=mini, max_body=LIMIT), [stream([(101, bytes(LIMIT + 1))], mini_header=mini)])


def test_limits_are_those_of_real_messages() -> None:
    assert MAX_SERVER_BODY == 8192 * 8192 * 4
    assert MAX_CLIENT_BODY == 1 << 20


# Lists of sub-messages


@pytest.mark.parametrize("body", [b"", b"the message itself"])
def test_sub_messages_come_before_their_message(body: bytes) -> None:
    parts = [(105, b"first"), (5, b""), (106, b"third")]
    whole = body + listed(parts, len(body))
    if not body:  # a list at offset 0 is none
        whole = b"\0" + listed(parts, 1)
        body = b"\0"
    reader = FrameReader(mini=False, max_body=LIMIT)
    found = frames(reader, [full(1, 304, whole, len(body)) + full(2, 102, b"")])
    assert found == [(105, b"first", 1), (5, b"", 1), (106, b"third", 1), (304, body, 1), (102, b"", 2)]


@HEADERS
def test_a_list_is_its_messages(mini: bool) -> None:
    parts = [(5, b"wait"), (105, b"forget")]
    whole = stream([(101, b""), (LIST, listed(parts)), (102, b"")], mini_header=mini)
    found = frames(FrameReader(mini=mini, max_body=LIMIT), [whole])
    assert found == [(101, b"", 1), (5, b"wait", 2), (105, b"forget", 2), (102, b"", 3)]


@given(
    st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=20)), max_size=6),
    st.binary(max_size=20),
    st.randoms(use_true_random=False),
)
def test_sub_messages_may_lie_anywhere(parts: list[tuple[int, bytes]], before: bytes, random) -> None:
    """In any order and with gaps; the list's order is what counts."""
    head = len(before) + 2 + 4 * len(parts)
    places, behind = {}, b""
    for index in random.sample(range(len(parts)), len(parts)):
        behind += random.randbytes(random.randrange(4))
        places[index] = head + len(behind)
        behind += mini(*parts[index])
    offsets = [places[index] for index in range(len(parts))]
    body = before + struct.pack(f"<H{len(parts)}I", len(parts), *offsets) + behind
    assert sub_messages(body, len(before)) == parts


@pytest.mark.parametrize("count", [0, 1, MAX_SUB_MESSAGES])
def test_as_many_sub_messages_as_the_limit(count: int) -> None:
    parts = [(number, b"") for number in range(count)]
    assert sub_messages(listed(parts), 0) == parts


@pytest.mark.parametrize("count", [MAX_SUB_MESSAGES + 1, 0xFFFF])
def test_more_sub_messages_than_the_limit(count: int) -> None:
    with pytest.raises(LimitExceeded, match=rf"^base\.List\.size at offset 0: {count} sub-messages, the limit is 256"):
        sub_messages(struct.pack("<H", count) + bytes(4 * count), 0)


@pytest.mark.parametrize(
    ("body", "offset", "text"),
    [
        (b"", 0, "base.List.size at offset 0: "),
        (b"\1", 0, "base.List.size at offset 0: "),
        (b"body", 3, "base.List.size at offset 3: "),
        (b"body", 1 << 31, "base.List.size at offset 2147483648: "),
        (b"\2\0" + bytes(7), 0, "base.List.sub_messages at offset 2: 2 offsets do not fit in 9 bytes"),
        (b"\1\0" + struct.pack("<I", 7) + bytes(6), 0, "base.List.sub_messages at offset 7: header beyond"),
        (b"\1\0" + b"\xff" * 4 + bytes(6), 0, "base.List.sub_messages at offset 4294967295: header beyond"),
        (b"\1\0" + struct.pack("<IHI", 6, 9, 1), 0, "base.List.sub_messages at offset 6: needs 1 bytes, 0 left"),
        (b"\1\0" + struct.pack("<IHI", 6, 9, 0xFFFFFFFF), 0, "base.List.sub_messages at offset 6: needs 4294967295"),
    ],
)
def test_a_list_that_does_not_fit_its_body_is_refused(body: bytes, offset: int, text: str) -> None:
    with pytest.raises(MalformedMessage) as refusal:
        sub_messages(body, offset)
    assert str(refusal.value).startswith(text)


def test_shared_sub_messages_cannot_stand_for_more_than_the_body() -> None:
    payload = bytes(900)
    twice = struct.pack("<HII", 2, 10, 10) + mini(101, payload)
    with pytest.raises(LimitExceeded, match=r"^base\.List at offset 0: sub-messages hold more than"):
        sub_messages(twice, 0)
    small = struct.pack("<HII", 2, 10, 10) + mini(101, b"x")
    assert sub_messages(small, 0) == [(101, b"x")] * 2


@HEADERS
def test_a_bad_list_comes_after_the_messages_before_it(mini: bool) -> None:
    found: list[Frame] = []
    with pytest.raises(MalformedMessage):
        found.extend(
            FrameReader(mini=mini, max_body=LIMIT).receive_data(
                stream([(101, b""), (LIST, b"\5\0"), (102, b"")], mini_header=mini)
            )
        )
    assert found == [(101, b"", 1)]


def test_a_sub_list_offset_beyond_the_body_is_refused() -> None:
    with pytest.raises(MalformedMessage):
        frames(FrameReader(mini=False, max_body=LIMIT), [full(1, 101, b"body", 5)])


# Writing

WAIT = base.WaitForChannels((ChannelWait(2, 0, 7),))
FORGET = display.InvalList((ResourceID(1, 2), ResourceID(1, 3)))
DRAW = display.Mode(640, 480, 32)


def joined(buffers: list[bytes]) -> bytes:
    return b"".join(buffers)


def test_headers_stand_before_the_body() -> None:
    writer = FrameWriter(mini=True, direction=SERVER)
    assert joined(writer.frame(main.AgentToken(5))) == mini(110, b"\5\0\0\0")
    writer = FrameWriter(mini=False, direction=CLIENT)
    assert joined(writer.frame(main.AgentToken(5))) == full(1, 108, b"\5\0\0\0")
    assert joined(writer.frame(inputs.KeyDown(30))) == full(2, 101, b"\x1e\0\0\0")
    assert writer.serial == 2


@HEADERS
def test_a_large_payload_is_not_copied(mini: bool) -> None:
    payload = bytes(1 << 20)
    buffers = FrameWriter(mini=mini, direction=SERVER).frame(base.Ping(1, 2, payload), [WAIT] if not mini else [])
    assert any(buffer is payload for buffer in buffers)


def test_with_full_headers_earlier_ones_go_in_a_list() -> None:
    writer = FrameWriter(mini=False, direction=SERVER)
    body = DRAW.build()
    parts = [(5, WAIT.build()), (105, FORGET.build())]
    assert joined(writer.frame(DRAW, [WAIT, FORGET])) == full(1, 101, body + listed(parts, len(body)), len(body))
    assert writer.serial == 1


def test_with_mini_headers_one_earlier_goes_by_itself() -> None:
    writer = FrameWriter(mini=True, direction=SERVER)
    assert joined(writer.frame(DRAW, [FORGET])) == mini(105, FORGET.build()) + mini(101, DRAW.build())
    assert writer.serial == 2


def test_with_mini_headers_several_earlier_go_as_a_list() -> None:
    writer = FrameWriter(mini=True, direction=SERVER)
    parts = listed([(5, WAIT.build()), (105, FORGET.build())])
    assert joined(writer.frame(DRAW, [WAIT, FORGET])) == mini(LIST, parts) + mini(101, DRAW.build())
    assert writer.serial == 2


def test_an_empty_message_cannot_carry_a_list_at_offset_0() -> None:
    """Its list would stand at offset 0, which says there is none."""
    writer = FrameWriter(mini=False, direction=SERVER)
    reader = FrameReader(mini=False, max_body=LIMIT)
    found = frames(reader, [joined(writer.frame(display.Mark(), [WAIT, FORGET])), joined(writer.frame(DRAW))])
    assert [number for number, _, _ in found] == [5, 105, 102, 101]
    assert [serial for _, _, serial in found][-1] == writer.serial


def test_a_refused_message_takes_no_serial() -> None:
    writer = FrameWriter(mini=False, direction=SERVER)
    with pytest.raises(InvalidValue):
        writer.frame(display.Mode(-1, 0, 0))
    for bad_before in ([display.Mode(-1, 0, 0)], [WAIT, display.Mode(-1, 0, 0)]):
        with pytest.raises(InvalidValue):
            writer.frame(DRAW, bad_before)
    assert writer.serial == 0
    writer = FrameWriter(mini=True, direction=SERVER)
    for message, before in ((DRAW, [display.Mode(-1, 0, 0)]), (display.Mode(-1, 0, 0), [WAIT, FORGET])):
        with pytest.raises(InvalidValue):
            writer.frame(message, before)
    assert writer.serial == 0


MESSAGES = st.one_of(
    st.builds(base.Ping, st.integers(0, 9), st.integers(0, 9), st.binary(max_size=30)),
    st.builds(base.SetAck, st.integers(0, 9), st.integers(0, 9)),
    st.sampled_from([WAIT, FORGET, DRAW, display.Mark(), display.InvalAllPixmaps()]),
)


@HEADERS
@given(
    sent=st.lists(st.tuples(MESSAGES, st.lists(MESSAGES, max_size=4)), max_size=6),
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=5),
)
def test_what_is_written_is_read(mini: bool, sent: list[tuple[Message, list[Message]]], cuts: list[int]) -> None:
    writer = FrameWriter(mini=mini, direction=SERVER)
    reader = FrameReader(mini=mini, max_body=LIMIT)
    data = b"".join(joined(writer.frame(message, before)) for message, before in sent)
    pieces = []
    while data:
        size = cuts[len(pieces) % len(cuts)]
        pieces.append(data[:size])
        data = data[size:]
    found = frames(reader, pieces)
    expected = [message for message, before in sent for message in (*before, message)]
    assert [(number, body) for number, body, _ in found] == [
        (message.spec.ids[SERVER], message.build()) for message in expected
    ]
    assert reader.serial == writer.serial
    assert reader.buffered == 0


@given(st.lists(MESSAGES, max_size=5), st.integers(0, 50))
def test_lists_are_written_as_they_are_read(parts: list[Message], place: int) -> None:
    body = bytes(place) + build_sub_messages(parts, SERVER, place)
    assert sub_messages(body, place) == [(part.spec.ids[SERVER], part.build()) for part in parts]
    assert body[place:] == listed([(part.spec.ids[SERVER], part.build()) for part in parts], place)


def test_more_sub_messages_than_a_reader_takes_are_not_written() -> None:
    writer = FrameWriter(mini=False, direction=SERVER)
    within = writer.frame(DRAW, [display.Mark()] * MAX_SUB_MESSAGES)
    assert len(frames(FrameReader(mini=False, max_body=1 << 16), [joined(within)])) == MAX_SUB_MESSAGES + 1
    with pytest.raises(InvalidValue, match=r"257 sub-messages, the limit is 256"):
        writer.frame(DRAW, [display.Mark()] * (MAX_SUB_MESSAGES + 1))
