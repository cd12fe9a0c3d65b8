"""Messages: a DRAW_COPY written against construct, and the way in of a client's input against bare loops.

What is compared runs in turn, in many short rounds, and each counts with its best: processor time, not the clock's. So
ratios hold on a machine that others use as well.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from struct import Struct
from time import process_time

import construct
from construct import Int8ul, Int16ul, Int32sl, Int32ul, Int64ul

from benchmarks.report import Row
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import ImageType
from spiceemu.protocol.framing import MAX_CLIENT_BODY, FrameReader, FrameWriter
from spiceemu.protocol.layout.dictionaries import build_fields, to_fields
from spiceemu.protocol.messages import display, draw, inputs
from spiceemu.protocol.messages.catalogue import CLIENT, messages_of
from spiceemu.protocol.messages.message import reader_of
from spiceemu.protocol.messages.types import BinaryData, DisplayBase, Edges, Image, ImageDescriptor

ROUNDS = 60
HEADS = 300  # built in a round: enough that the first ones, built with cold caches, count for little
MESSAGES = 40_000  # read in a round
CHUNK = 256 * 1024  # bytes of one read


def best_seconds(*functions: Callable[[], object]) -> list[float]:
    """The best round of each function. Garbage is collected in between."""
    best = [float("inf")] * len(functions)
    for _ in range(ROUNDS):
        for index, function in enumerate(functions):
            gc.collect()
            gc.disable()
            start = process_time()
            function()
            best[index] = min(best[index], process_time() - start)
            gc.enable()
    return best


# A DRAW_COPY of an LZ image without clip rectangles

PAYLOAD = bytes(9424)  # of a 64x48 tile, as old servers sent it
AREA = Edges(0, 0, 48, 64)

PLAIN_POINT = construct.Struct("x" / Int32sl, "y" / Int32sl)
PLAIN_RECT = construct.Struct("top" / Int32sl, "left" / Int32sl, "bottom" / Int32sl, "right" / Int32sl)
PLAIN_HEAD = construct.Struct(
    "base" / construct.Struct("surface_id" / Int32ul, "box" / PLAIN_RECT, "clip" / construct.Struct("type" / Int8ul)),
    "data"
    / construct.Struct(
        "src_bitmap" / Int32ul,
        "src_area" / PLAIN_RECT,
        "rop_descriptor" / Int16ul,
        "scale_mode" / Int8ul,
        "mask" / construct.Struct("flags" / Int8ul, "pos" / PLAIN_POINT, "bitmap" / Int32ul),
    ),
    "image"
    / construct.Struct(
        "id" / Int64ul, "type" / Int8ul, "flags" / Int8ul, "width" / Int32ul, "height" / Int32ul, "data_size" / Int32ul
    ),
)
"""The same bytes without anything of ours: offsets are given, nothing is chosen and nothing is counted."""


def draw_copy() -> display.DrawCopy:
    image = Image(ImageDescriptor(0x1300000001, ImageType.LZ_RGB, 0, 64, 48), BinaryData(PAYLOAD))
    return display.DrawCopy(DisplayBase(0, AREA), draw.Copy(image, AREA))


def plain_fields() -> dict[str, object]:
    message = draw_copy()
    fields = to_fields(message)
    image = fields["data"].pop("src_bitmap")
    fields["base"]["clip"].pop("u")
    fields["data"]["src_bitmap"] = len(display.DrawCopy(message.base, draw.Copy(None, AREA)).build())
    fields["data"]["mask"]["bitmap"] = 0
    fields["image"] = {**image["descriptor"], "data_size": len(PAYLOAD)}
    return fields


def repeated(function: Callable[[], object]) -> Callable[[], None]:
    def run() -> None:
        for _ in range(HEADS):
            function()

    return run


def head_rows() -> list[Row]:
    message = draw_copy()
    fields, plain = to_fields(message), plain_fields()
    assert message.build() == build_fields(display.DrawCopy.layout, fields) == PLAIN_HEAD.build(plain) + PAYLOAD
    ours, declared, by_hand, anew = (
        seconds / HEADS * 1e6
        for seconds in best_seconds(
            repeated(message.pieces),
            repeated(lambda: build_fields(display.DrawCopy.layout, fields)),
            repeated(lambda: PLAIN_HEAD.build(plain)),
            repeated(lambda: draw_copy().pieces()),
        )
    )
    return [
        Row("DRAW_COPY head", f"{ours:.2f} µs", f"plain construct {by_hand:.1f} µs", by_hand / ours, ">= 50"),
        Row("DRAW_COPY head", f"{ours:.2f} µs", f"its own layout {declared:.1f} µs", declared / ours, ">= 50"),
        Row("DRAW_COPY made and built", f"{anew:.2f} µs", f"plain construct {by_hand:.1f} µs", by_hand / anew),
    ]


# A client's input: motions, positions and keys with mini headers, in large reads

HEADER = Struct("<HI")
SENT = (
    inputs.MouseMotion(3, -2, 0),
    inputs.MousePosition(640, 480, 0, 0),
    inputs.KeyDown(0x1E),
    inputs.KeyUp(0x9E),
)
BY_HAND = {
    inputs.MouseMotion: Struct("<iiH"),
    inputs.MousePosition: Struct("<IIHB"),
    inputs.KeyDown: Struct("<I"),
    inputs.KeyUp: Struct("<I"),
}


def chunks() -> list[bytes]:
    writer = FrameWriter(mini=True, direction=CLIENT)
    data = b"".join(buffer for number in range(MESSAGES) for buffer in writer.frame(SENT[number % len(SENT)]))
    return [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]


def ignore(*_values: object) -> None:
    """Handle a message, or the values in it."""


def read_messages(arriving: list[bytes]) -> None:
    """Ours: frames, typed messages, a handler."""
    reader = FrameReader(mini=True, max_body=MAX_CLIENT_BODY)
    table = {
        number: (reader_of(message), ignore) for number, message in messages_of(ChannelType.INPUTS, CLIENT).items()
    }
    for chunk in arriving:
        for number, body, _ in reader.receive_data(chunk):
            read, handle = table[number]
            handle(read(body))


def read_values(arriving: list[bytes]) -> None:
    """A loop to the same end: header, body, its values by ``struct``, a handler; no limit, serial or message."""
    unpack = HEADER.unpack_from
    table = {message.spec.ids[CLIENT]: (layout.unpack, ignore) for message, layout in BY_HAND.items()}
    rest = b""
    for chunk in arriving:
        data = rest + chunk
        start, end = 0, len(data)
        while start + 6 <= end:
            number, size = unpack(data, start)
            stop = start + 6 + size
            if stop > end:
                break
            read, handle = table[number]
            handle(*read(data[start + 6 : stop]))
            start = stop
        rest = data[start:]


def read_bodies(arriving: list[bytes]) -> None:
    """The bare loop that the goal is about: header, body, a handler; it does not look into bodies."""
    unpack = HEADER.unpack_from
    table = {message.spec.ids[CLIENT]: ignore for message in BY_HAND}
    rest = b""
    for chunk in arriving:
        data = rest + chunk
        start, end = 0, len(data)
        while start + 6 <= end:
            number, size = unpack(data, start)
            stop = start + 6 + size
            if stop > end:
                break
            table[number](data[start + 6 : stop])
            start = stop
        rest = data[start:]


def inbound_rows() -> list[Row]:
    arriving = chunks()
    ours, values, bodies = (
        MESSAGES / seconds / 1e6
        for seconds in best_seconds(
            lambda: read_messages(arriving), lambda: read_values(arriving), lambda: read_bodies(arriving)
        )
    )
    measured = f"{ours:.2f} M msg/s"
    return [
        Row("input read and dispatched", measured, f"loop that unpacks {values:.2f} M msg/s", ours / values),
        Row("input read and dispatched", measured, f"bare loop {bodies:.2f} M msg/s", ours / bodies, ">= 0.4"),
    ]


def rows() -> list[Row]:
    """Measure, and return the lines of the table."""
    return head_rows() + inbound_rows()
