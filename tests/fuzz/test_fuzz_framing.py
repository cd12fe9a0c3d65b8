"""Streams of frames: valid ones with changes, in any pieces, to the framing alone and on to the messages."""

from __future__ import annotations

import struct
from collections.abc import Iterable

import pytest
from hypothesis import given, strategies as st

from spiceemu.errors import RemoteError
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.framing import MAX_CLIENT_BODY, Frame, FrameReader, FrameWriter, build_sub_messages
from spiceemu.protocol.messages.catalogue import CLIENT, SERVER, base, display, inputs, lookup, main

from .inputs import CHANGES, CUTS, Change, changed, pieces
from .measure import examples, guarded

LIMIT = 1 << 16

SENT = (
    base.Ping(1, 2, b"padding" * 9),
    base.SetAck(1, 20),
    main.AgentData(b"piece of a message" * 5),
    inputs.MouseMotion(1, -1, 0),
    display.Mark(),
)
IN_LISTS = (display.InvalAllPixmaps(), base.Ping(1, 2, b"in a list"))


def stream(*, mini: bool) -> bytes:
    """Every kind of frame there is, twice."""
    writer = FrameWriter(mini=mini, direction=SERVER)
    frames = [writer.frame(base.Ping(1, 2, b"x"), IN_LISTS[:count]) for count in range(3)]
    frames.append(writer.frame(base.List(build_sub_messages(IN_LISTS, SERVER, 0))))
    for message in SENT:
        writer.direction = next(iter(message.spec.ids))
        frames.append(writer.frame(message))
    return b"".join(buffer for _ in range(2) for frame in frames for buffer in frame)


STREAMS = {mini: stream(mini=mini) for mini in (True, False)}
HEADERS = pytest.mark.parametrize("mini", [True, False], ids=["mini", "full"])


def read(data: Iterable[bytes], *, mini: bool) -> tuple[list[Frame], str]:
    """The frames of a stream in pieces, and the error that ended it, if one did."""
    reader = FrameReader(mini=mini, max_body=LIMIT)
    found: list[Frame] = []
    try:
        for piece in data:
            found.extend(reader.receive_data(piece))
    except RemoteError as error:
        return found, str(error)
    return found, ""


def judge(data: bytes, cuts: list[float], *, mini: bool) -> None:
    """Within the rule, and the same whether it comes at once or in pieces."""
    parts = pieces(data, cuts)

    with guarded(len(data)):
        reader = FrameReader(mini=mini, max_body=LIMIT)
        for part in parts:
            for _ in reader.receive_data(part):
                pass
    whole = read([data], mini=mini)
    assert read(parts, mini=mini) == whole
    frames, _ = whole
    assert sum(len(body) for _, body, _ in frames) <= 2 * len(data)


@HEADERS
@examples("framing", 4)
@given(changes=CHANGES, cuts=CUTS)
def test_a_stream_with_changes(mini: bool, changes: list[Change], cuts: list[float]) -> None:
    judge(changed(STREAMS[mini], changes, (STREAMS[not mini],)), cuts, mini=mini)


@HEADERS
@examples("framing", 4)
@given(data=st.binary(max_size=400), cuts=CUTS)
def test_noise_as_a_stream(mini: bool, data: bytes, cuts: list[float]) -> None:
    judge(data, cuts, mini=mini)


@HEADERS
@examples("lists", 2)
@given(
    noise=st.binary(min_size=8, max_size=60),
    count=st.one_of(st.integers(0, 5), st.sampled_from([256, 257, 0xFFFF])),
    places=st.lists(st.integers(-12, 70), max_size=5),
    at=st.integers(0, 70),
    cuts=CUTS,
)
def test_lists_that_lead_anywhere(
    mini: bool, noise: bytes, count: int, places: list[int], at: int, cuts: list[float]
) -> None:
    """Offsets are small, and negative ones count from the end: inside, across the end and beyond."""
    at = 0 if mini else at % (len(noise) + 1)
    end = len(noise) + 2 + 4 * len(places)
    offsets = [place if place >= 0 else end + place for place in places]
    listed = struct.pack(f"<H{len(offsets)}I", min(count, len(places)) if count < 6 else count, *offsets)
    body = noise[:at] + listed + noise[at:]
    number = base.List.spec.ids[SERVER]
    judge(struct.pack("<HI", number, len(body)) + body if mini else _full(number, body, at), cuts, mini=mini)


def _full(number: int, body: bytes, at: int) -> bytes:
    """A LIST where its body begins with one, else a message with sub-messages."""
    return struct.pack("<QHII", 1, number if not at else 101, len(body), at) + body


@HEADERS
@examples("streams", 2)
@given(
    start=st.sampled_from([(channel, direction) for channel in ChannelType for direction in (SERVER, CLIENT)]),
    numbers=st.lists(st.integers(0, 400), max_size=4),
    changes=CHANGES,
    cuts=CUTS,
)
def test_a_stream_and_its_messages(
    mini: bool, start: tuple[ChannelType, str], numbers: list[int], changes: list[Change], cuts: list[float]
) -> None:
    made = b""
    for serial, number in enumerate(numbers, 1):
        body = changed(STREAMS[mini], changes[:1])
        header = (serial, number, len(body), 0)
        made += struct.pack("<HI", *header[1:3]) if mini else struct.pack("<QHII", *header)
        made += body
    parts = pieces(changed(made, changes), cuts)
    with guarded(sum(map(len, parts))):
        reader = FrameReader(mini=mini, max_body=MAX_CLIENT_BODY)
        for part in parts:
            for number, body, _ in reader.receive_data(part):
                lookup(*start, number).parse(body)
