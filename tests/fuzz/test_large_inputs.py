"""Inputs made on purpose to cost more than they weigh: most counts, shared targets, large announcements."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest

from spiceemu.protocol.agent import messages as agent, stream as agent_stream
from spiceemu.protocol.agent.enums import AgentType
from spiceemu.protocol.agent.stream import MAX_AGENT_MESSAGE, MAX_PIECE, AgentReader
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import BitmapFlags, BrushType, ClipType, CompositeFlags, ImageType, LineFlags, StringFlags
from spiceemu.protocol.framing import (
    FULL_HEADER,
    MAX_CLIENT_BODY,
    MAX_SERVER_BODY,
    MAX_SUB_MESSAGES,
    MINI_HEADER,
    FrameReader,
)
from spiceemu.protocol.limits import MAX_CAPABILITY_WORDS, MAX_LINK_SIZE
from spiceemu.protocol.messages.catalogue import CLIENT, Message, base, display, draw, inputs, main
from spiceemu.protocol.messages.types import MAX_GLYPHS, MAX_PATH_SEGMENTS

from .measure import NOTHING, guarded
from .test_fuzz_link import KEY, connect_with, link_with
from .test_fuzz_sessions import Step, begun, framed, pump, step

KIB, MIB = 1 << 10, 1 << 20
SIZES = [100, 4 * KIB, 64 * KIB, 256 * KIB, 300 * KIB, 350 * KIB, 500 * KIB, MIB, 4 * MIB]
SOCKET_READ = 256 * KIB  # what asyncio reads at a time
SECONDS = 20.0  # of the processor, for a megabyte in the smallest pieces

LARGE = b"\xff\xff\xff\x7f"  # an integer that is an object of its own, as small ones are not

U16, U32 = struct.Struct("<H").pack, struct.Struct("<I").pack
HEADERS = pytest.mark.parametrize("mini", [True, False], ids=["mini", "full"])


# Drawings. Nearly all of the body is a clip, and at the same time what every pointer leads to.

IMAGE = 4 + 16 + 1 + 4  # offset of the clip's first rectangle, where one image stands in its place
PALETTE = IMAGE + 18 + 18  # its palette, which is also the image's rows
THING = PALETTE + 10  # a text or a path, which is also the palette's colours


def drawing(size: int, head: bytes, thing: bytes = b"") -> bytes:
    """A drawing's body of about that size.

    :param head: the root behind the clip.
    :param thing: what stands at ``THING``.
    """
    rectangles = max(size - IMAGE - len(head), THING - IMAGE + len(thing) + 15) // 16
    end = IMAGE + rectangles * 16 + len(head)
    descriptor = bytes(8) + bytes([ImageType.BITMAP, 0]) + U32(1) + U32(1)
    rows = bytes([9, BitmapFlags.TOP_DOWN]) + U32(1) + U32(1) + U32(end - PALETTE) + U32(PALETTE)
    palette = bytes(8) + U16(min((end - THING) // 4, 0xFFFF))
    clipped = (descriptor + rows + palette + thing).ljust(rectangles * 16, b"\0")
    return U32(0) + bytes(16) + bytes([ClipType.RECTS]) + U32(rectangles) + clipped + head


AREA = bytes(16)
PICTURE = U32(IMAGE)
MASK = bytes([0]) + bytes(8) + PICTURE
BRUSH = bytes([BrushType.PATTERN]) + PICTURE + bytes(8)
ROP = U16(8)

HEADS: dict[type[Message], bytes] = {
    draw.DrawFill: BRUSH + ROP + MASK,
    draw.DrawOpaque: PICTURE + AREA + BRUSH + ROP + b"\0" + MASK,
    draw.DrawCopy: PICTURE + AREA + ROP + b"\0" + MASK,
    draw.DrawBlend: PICTURE + AREA + ROP + b"\0" + MASK,
    draw.DrawBlackness: MASK,
    draw.DrawRop3: PICTURE + AREA + BRUSH + b"\0\0" + MASK,
    draw.DrawTransparent: PICTURE + AREA + bytes(8),
    draw.DrawAlphaBlend: b"\0\0" + PICTURE + AREA,
    draw.DrawComposite: U32(CompositeFlags.HAS_MASK) + PICTURE * 2 + bytes(8),
}
TEXT = U32(THING) + AREA + BRUSH * 2 + ROP * 2
STROKE = U32(THING) + bytes([LineFlags.STYLED, 255]) + U32(THING) + BRUSH + ROP * 2


def judge(cls: type[Message], body: bytes) -> None:
    """Read a valid body within the rule."""
    with guarded(len(body)) as outcome:
        cls.parse(body)
    assert not outcome.text


@pytest.mark.parametrize("cls", HEADS, ids=lambda cls: cls.spec.name)
@pytest.mark.parametrize("size", SIZES)
def test_one_payload_for_every_pointer(cls: type[Message], size: int) -> None:
    judge(cls, drawing(size, HEADS[cls]))


def glyphs(count: int, size: int, announced: int | None = None) -> bytes:
    """A text of so many glyphs, each with a raster of that size in bytes."""
    return (
        U16(count if announced is None else announced)
        + bytes([StringFlags.RASTER_A8])
        + (LARGE * 4 + U16(size) + U16(1) + bytes(size)) * count
    )


def segments(count: int, points: int, announced: int | None = None) -> bytes:
    """A path of so many segments, each of so many points."""
    return U32(count if announced is None else announced) + (b"\0" + U32(points) + bytes(points * 8)) * count


@pytest.mark.parametrize("size", SIZES)
def test_the_most_glyphs(size: int) -> None:
    count = min(max(size // 20, 1), MAX_GLYPHS)
    raster = min(max((size - 100) // count - 20, 0), 0xFFFF)
    judge(draw.DrawText, drawing(size, TEXT, glyphs(count, raster)))


@pytest.mark.parametrize("size", SIZES[1:])  # the dashes alone take a kilobyte
def test_the_most_segments(size: int) -> None:
    count = min(max(size // 13, 1), MAX_PATH_SEGMENTS)
    judge(draw.DrawStroke, drawing(size, STROKE, segments(count, max((size - 100) // count - 5, 8) // 8)))


@pytest.mark.parametrize(
    ("cls", "body"),
    [
        (draw.DrawText, drawing(MIB, TEXT, glyphs(MAX_GLYPHS + 1, 0))),
        (draw.DrawText, drawing(4 * MIB, TEXT, glyphs(0, 0, announced=0xFFFF))),
        (draw.DrawStroke, drawing(MIB, STROKE, segments(MAX_PATH_SEGMENTS + 1, 0))),
        (draw.DrawStroke, drawing(4 * MIB, STROKE, segments(0, 0, announced=0xFFFFFFFF))),
        (draw.DrawStroke, drawing(4 * MIB, STROKE, segments(1, 0) + U32(0xFFFFFFFF))),
        (display.StreamClip, U32(0) + bytes([ClipType.RECTS]) + U32(0xFFFFFFFF) + bytes(MIB)),
        (main.AgentData, bytes(MIB)),
        (base.Notify, bytes(16) + U32(0) + U32(0xFFFFFFFF) + bytes(MIB)),
    ],
)
def test_counts_over_what_there_is(cls: type[Message], body: bytes) -> None:
    with guarded(len(body)):
        cls.parse(body)


@pytest.mark.parametrize(
    ("cls", "body"),
    [
        (display.StreamClip, U32(0) + bytes([ClipType.RECTS]) + U32(MIB // 16) + bytes(MIB)),
        (display.InvalList, U16(0xFFFF) + bytes(9 * 0xFFFF)),
        (display.MonitorsConfig, U16(0xFFFF) + U16(0) + bytes(28 * 0xFFFF)),
        (display.StreamData, bytes(8) + U32(MIB) + bytes(MIB)),
        (display.StreamData, bytes(8) + U32(MIB // 2) + bytes(MIB)),
        (display.PreferredVideoCodecType, bytes([255]) + bytes(255)),
        (display.InvalAllPixmaps, bytes([255]) + bytes(10 * 255)),
        (main.ChannelsList, U32(MIB // 2) + bytes(MIB)),
        (main.Name, U32(MIB) + bytes(MIB)),
        (base.Ping, bytes(12) + bytes(MIB)),
        (inputs.KeyScancode, bytes(MIB)),
    ],
    ids=lambda value: value.spec.name if isinstance(value, type) else str(len(value)),
)
def test_the_most_of_what_is_counted(cls: type[Message], body: bytes) -> None:
    judge(cls, body)


# Frames


def sub_list(sizes: Sequence[int], *, kind: int = base.Ack.spec.ids[CLIENT], shared: bool = False) -> bytes:
    """A list of sub-messages of these sizes, all of them in one place if ``shared``."""
    places, bodies, place = [], [], 2 + 4 * len(sizes)
    for size in sizes:
        places.append(place)
        if not (shared and bodies):
            bodies.append(U16(kind) + U32(size) + bytes(size))
        place = places[0] if shared else place + len(bodies[-1])
    return U16(len(sizes)) + struct.pack(f"<{len(sizes)}I", *places) + b"".join(bodies)


def list_frame(body: bytes, *, mini: bool) -> bytes:
    kind = base.List.spec.ids["server"]
    return MINI_HEADER.pack(kind, len(body)) + body if mini else FULL_HEADER.pack(1, kind, len(body), 0) + body


LISTS = {
    "as many as may be": sub_list([MIB // MAX_SUB_MESSAGES - 10] * MAX_SUB_MESSAGES),
    "one too many": sub_list([0] * (MAX_SUB_MESSAGES + 1)),
    "one large": sub_list([MIB - 100]),
    "all in one place": sub_list([MIB - 2000] * MAX_SUB_MESSAGES, shared=True),
    "half in one place": sub_list([MIB // 2] * 2, shared=True),
    "a list of lists": sub_list([MIB // MAX_SUB_MESSAGES - 10] * MAX_SUB_MESSAGES, kind=8),
}


@HEADERS
@pytest.mark.parametrize("size", [7, 1024, 1 << 16, 1 << 30], ids=lambda size: f"in pieces of {size}")
@pytest.mark.parametrize("name", LISTS)
def test_large_lists(name: str, size: int, mini: bool) -> None:
    data = list_frame(LISTS[name], mini=mini)
    take(data, size, mini=mini)


@HEADERS
@pytest.mark.parametrize("size", [7, 1024, 1 << 16, 1 << 30], ids=lambda size: f"in pieces of {size}")
def test_a_large_message_with_itself_as_its_list(size: int, mini: bool) -> None:
    body = bytes(MIB // 2) + sub_list([1000] * 200)
    data = FULL_HEADER.pack(1, 101, len(body), MIB // 2) + body
    take(data, size, mini=False)
    take(MINI_HEADER.pack(101, len(body)) + body, size, mini=mini)


@HEADERS
def test_a_megabyte_of_the_smallest_messages(mini: bool) -> None:
    frame = MINI_HEADER.pack(101, 0) if mini else FULL_HEADER.pack(1, 101, 0, 0)
    take(frame * (MIB // len(frame)), 1 << 16, mini=mini)


@HEADERS
def test_announced_bodies_are_not_there_yet(mini: bool) -> None:
    for announced in (MAX_CLIENT_BODY, MAX_CLIENT_BODY + 1, MAX_SERVER_BODY, 0xFFFFFFFF):
        header = MINI_HEADER.pack(1, announced) if mini else FULL_HEADER.pack(1, 1, announced, announced)
        take(header + bytes(100), 50, mini=mini, most=MAX_SERVER_BODY)


def take(data: bytes, size: int, *, mini: bool, most: int = 2 * MAX_CLIENT_BODY) -> None:
    """Let a reader take data in pieces of that size."""
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    with guarded(len(data), seconds=SECONDS):
        reader = FrameReader(mini=mini, max_body=most)
        for part in parts:
            for _ in reader.receive_data(part):
                pass


# The agent


def agent_data(kind: int, data: bytes, announced: int | None = None) -> bytes:
    return agent_stream.HEADER.pack(1, kind, 0, len(data) if announced is None else announced) + data


@pytest.mark.parametrize("announced", [MAX_AGENT_MESSAGE, MAX_AGENT_MESSAGE + 1, 0xFFFFFFFF])
def test_announced_agent_messages_are_not_there_yet(announced: int) -> None:
    piece = agent_data(AgentType.CLIPBOARD, bytes(100), announced)
    with guarded(len(piece)):
        list(AgentReader().receive_piece(piece))


AGENT_DATA = {
    "monitors": (AgentType.MONITORS_CONFIG, U32(agent.MAX_MONITORS) + U32(1) + LARGE * 6 * agent.MAX_MONITORS),
    "too many monitors": (AgentType.MONITORS_CONFIG, U32(agent.MAX_MONITORS + 1) + U32(1) + bytes(MIB)),
    "types": (AgentType.CLIPBOARD_GRAB, LARGE * agent.MAX_CLIPBOARD_TYPES),
    "too many types": (AgentType.CLIPBOARD_GRAB, bytes(MIB)),
    "words": (AgentType.ANNOUNCE_CAPABILITIES, bytes(4) + b"\xff" * 4 * agent.MAX_ANNOUNCED_WORDS),
    "too many words": (AgentType.ANNOUNCE_CAPABILITIES, b"\xff" * MIB),
    "devices": (AgentType.GRAPHICS_DEVICE_INFO, U32(agent.MAX_DEVICES) + (LARGE * 3 + U32(0)) * agent.MAX_DEVICES),
    "a long address": (AgentType.GRAPHICS_DEVICE_INFO, U32(1) + bytes(12) + U32(MIB) + bytes(MIB)),
    "volumes": (AgentType.AUDIO_VOLUME_SYNC, bytes(2) + b"\xff" + LARGE * 128),
    "a part of a file": (AgentType.FILE_XFER_DATA, U32(1) + U32(MIB) + U32(0) + bytes(MIB)),
    "a part that ends too early": (AgentType.FILE_XFER_DATA, U32(1) + b"\xff" * 8 + bytes(MIB)),
    "a file": (AgentType.FILE_XFER_START, bytes(MIB)),
    "text": (AgentType.CLIPBOARD, U32(1) + b"\xf0\x9f\x92\xa1" * (MIB // 4)),
    "bytes behind the end": (AgentType.REPLY, bytes(MIB)),
    "the largest": (AgentType.CLIPBOARD, bytes(MAX_AGENT_MESSAGE)),
}


@pytest.mark.parametrize("name", AGENT_DATA)
def test_large_agent_messages(name: str) -> None:
    kind, data = AGENT_DATA[name]
    with guarded(len(data)):
        agent.parse(kind, data)


@pytest.mark.parametrize("name", AGENT_DATA)
def test_a_session_with_large_agent_messages(name: str) -> None:
    """In pieces, after the guest has asked for the client's text."""
    can = agent_data(AgentType.ANNOUNCE_CAPABILITIES, U32(0) + b"\xff" * 4)
    grab = agent_data(AgentType.CLIPBOARD_GRAB, bytes(8) + U32(1))
    kind, data = AGENT_DATA[name]
    stream = can + grab + agent_data(kind, bytes(4) + data if kind == AgentType.CLIPBOARD else data)
    parts = [stream[start : start + MAX_PIECE] for start in range(0, len(stream), MAX_PIECE)]
    steps = [step(ChannelType.MAIN, message) for message in (main.AgentStart(100), *map(main.AgentData, parts))]
    # Text that is given to the test is a str; four bytes a character, if only one of them needs so many.
    hold_session(steps, besides=4 * len(data) if kind == AgentType.CLIPBOARD else 0)


# Sessions


@pytest.mark.parametrize(
    "message",
    [
        inputs.KeyScancode(b"\x1e" * MIB),
        inputs.KeyScancode(b"\x1e\x9e" * 1024),
        inputs.KeyScancode(b"\xe0" * 2048),
        main.AgentData(bytes(MIB)),
        main.ClientInfo(0, trailing=bytes(MIB - 8)),
    ],
    ids=lambda message: f"{message.spec.name} {len(message.build())}",
)
def test_a_session_with_a_large_message(message: Message) -> None:
    (kind,) = message.spec.channels
    hold_session([step(kind, message)])


@pytest.mark.parametrize(
    "message", [inputs.MouseMotion(1, 1, 0), inputs.KeyDown(0x9E1E9E1E), inputs.MousePosition(1, 2, 0, 0)], ids=str
)
def test_a_session_with_many_messages(message: Message) -> None:
    hold_session([step(ChannelType.INPUTS, message)] * 10_000)


def hold_session(steps: Sequence[Step], *, besides: int = 0) -> None:
    """Let a session take what a client sends at once, in the pieces that a socket gives."""
    session, channels = begun(mini=True)
    stream = b"".join(data for _, data in framed(steps, mini=True))
    parts = [stream[start : start + SOCKET_READ] for start in range(0, len(stream), SOCKET_READ)]
    with guarded(len(stream), besides=besides, seconds=SECONDS):
        for part in parts:
            session.receive(channels[steps[0][0]], part, 1.0)
            pump(channels)
    session.close()


# Links


@pytest.mark.parametrize("counts", [(1019, 0), (0, 1019), (MAX_CAPABILITY_WORDS,) * 2, (0xFFFFFFFF,) * 2, (1019, 1)])
def test_links_with_the_most_capabilities(counts: tuple[int, int]) -> None:
    words = b"\xff" * (MAX_LINK_SIZE - 18)
    message = struct.pack("<4s3I", b"REDQ", 2, 2, MAX_LINK_SIZE) + struct.pack("<IBB3I", 0, 1, 0, *counts, 18) + words
    with guarded(len(message), refusals=NOTHING):
        link_with([message])
    words = b"\xff" * (MAX_LINK_SIZE - 178)
    reply = struct.pack("<4s3I", b"REDQ", 2, 2, MAX_LINK_SIZE)
    reply += struct.pack("<I162s3I", 0, KEY.public_der, *counts, 178) + words
    with guarded(len(reply), refusals=NOTHING):
        connect_with([reply])
