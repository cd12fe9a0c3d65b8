"""The declarations, and what is derived from them: construct's slow way and the compiled one are the same."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from spiceemu.errors import InvalidValue, LimitExceeded, MalformedMessage
from spiceemu.protocol.enums import (
    BitmapFmt,
    BrushType,
    ClipType,
    CursorFlags,
    DataCompressionType,
    ImageFlags,
    ImageType,
    LineFlags,
    NotifySeverity,
    PathFlags,
    StringFlags,
    VideoCodecType,
)
from spiceemu.protocol.layout.compiler import functions_of
from spiceemu.protocol.layout.dictionaries import build_fields, from_fields, parse_fields, to_fields
from spiceemu.protocol.layout.fields import SHOWN_BYTES, SHOWN_ELEMENTS, Packed
from spiceemu.protocol.messages import base, cursor, display, draw, main, playback, smartcard, spicevmc
from spiceemu.protocol.messages.catalogue import Message
from spiceemu.protocol.messages.message import reader_of
from spiceemu.protocol.messages.types import (
    MAX_GLYPHS,
    MAX_PATH_SEGMENTS,
    BinaryData,
    BitmapData,
    Brush,
    ChannelWait,
    Clip,
    ClipRects,
    DisplayBase,
    DstInfo,
    Edges,
    Image,
    ImageDescriptor,
    LineAttr,
    Palette,
    Path,
    PathSegment,
    Point,
    Point16,
    RasterGlyphA1,
    RasterGlyphA4,
    ResourceID,
    String,
)

from ..records import ALL_MESSAGES, places, records, wrong_values

EVERY_MESSAGE = pytest.mark.parametrize("cls", ALL_MESSAGES, ids=lambda cls: cls.spec.name)
SCREEN = DisplayBase(0, Edges(0, 0, 48, 64))
AREA = Edges(0, 0, 48, 64)


def lz_image(data: bytes) -> Image:
    return Image(ImageDescriptor(1, ImageType.LZ_RGB, 0, 64, 48), BinaryData(data))


def text_of(flags: int, glyphs: tuple[Any, ...] | None) -> display.DrawText:
    return display.DrawText(SCREEN, draw.Text(String(flags, glyphs), AREA, Brush(), Brush()))


def stroke_of(segments: tuple[PathSegment, ...], attr: LineAttr) -> display.DrawStroke:
    return display.DrawStroke(SCREEN, draw.Stroke(Path(segments), attr, Brush(BrushType.SOLID, 0)))


def outcome(parse: Callable[[bytes], Message], body: bytes) -> Message | str:
    """What reading a body gives: the message, or the error's text."""
    try:
        return parse(body)
    except MalformedMessage as error:
        return str(error)


# Made-up records: both ways are the same


@EVERY_MESSAGE
@settings(max_examples=10)
@given(data=st.data())
def test_compiled_functions_and_construct_agree(cls: type[Message], data: st.DataObject) -> None:
    message = data.draw(records(cls))
    fields = to_fields(message)
    body = message.build()
    assert body == build_fields(cls.layout, fields)
    assert parse_fields(cls.layout, body) == fields
    read = cls.parse(body)
    assert read == message
    assert to_fields(read) == fields
    assert read.build() == body
    assert from_fields(cls, fields) == message


@EVERY_MESSAGE
@settings(max_examples=4)
@given(data=st.data())
def test_size_is_that_of_the_record_without_what_it_points_to(cls: type[Message], data: st.DataObject) -> None:
    message = data.draw(records(cls))
    functions = functions_of(cls)
    root: list[bytes] = []
    functions.emit(message, root, [], 0)
    assert functions.size(message) == sum(map(len, root))
    if not functions.has_pointers:
        assert functions.size(message) == len(message.build())


@EVERY_MESSAGE
@settings(max_examples=10)
@given(data=st.data())
def test_a_wrong_value_is_refused_by_its_path(cls: type[Message], data: st.DataObject) -> None:
    message = data.draw(records(cls))
    found = list(places(message))
    if not found:
        assert message.build() == b""
        return
    place = data.draw(st.sampled_from(found), label="place")
    wrong = data.draw(wrong_values(place), label="wrong value")
    setattr(place.holder, place.name, wrong)
    with pytest.raises(InvalidValue) as refusal:
        message.build()
    assert str(refusal.value).startswith(f"{cls.spec.name}.{place.path}"), refusal.value


@EVERY_MESSAGE
@settings(max_examples=4)
@given(data=st.data())
def test_the_fastest_reader_reads_the_same(cls: type[Message], data: st.DataObject) -> None:
    read = reader_of(cls)
    body = data.draw(records(cls)).build()
    made = read(body)
    assert made == cls.parse(body)
    assert type(made) is cls
    assert repr(made) == repr(cls.parse(body))
    assert read(body + b"behind") == cls.parse(body + b"behind")
    outcomes = [outcome(parse, body[:-1]) for parse in (read, cls.parse)]
    assert outcomes[0] == outcomes[1]


@EVERY_MESSAGE
@settings(max_examples=4)
@given(data=st.data())
def test_fast_parts_are_joined_without_copying_payloads(cls: type[Message], data: st.DataObject) -> None:
    message = data.draw(records(cls))
    pieces = message.pieces()
    assert b"".join(pieces) == message.build()
    assert all(isinstance(piece, bytes) for piece in pieces)


# What the compiled functions refuse


@pytest.mark.parametrize("fits", [True, False])
@pytest.mark.parametrize(
    ("make", "count", "most"),
    [
        (lambda n: base.WaitForChannels((ChannelWait(1, 0, 2),) * n), "base.WaitForChannels.wait_count", 0xFF),
        (lambda n: display.InvalList((ResourceID(1, 2),) * n), "display.InvalList.count", 0xFFFF),
        (lambda n: playback.Volume((7,) * n), "playback.Volume.nchannels", 0xFF),
    ],
)
def test_a_count_is_refused_where_its_field_is_too_narrow(make: Any, count: str, most: int, fits: bool) -> None:
    if fits:
        message = make(most)
        assert type(message).parse(message.build()) == message
    else:
        with pytest.raises(InvalidValue, match=re.escape(f"{count}: {most + 1} does not fit")):
            make(most + 1).build()


def test_an_error_inside_an_array_names_the_element() -> None:
    segments = (PathSegment(PathFlags.BEGIN, ()), PathSegment(PathFlags.END, (1 << 31,)))
    with pytest.raises(InvalidValue, match=re.escape("display.DrawStroke.data.path.segments[1].points[0]: ")):
        stroke_of(segments, LineAttr()).build()


@pytest.mark.parametrize("lengths", [(1, -2), (5,), ()])
def test_dashes_are_as_many_as_is_said(lengths: tuple[int, ...]) -> None:
    attr = LineAttr(LineFlags.STYLED, len(lengths), lengths)
    message = stroke_of((), attr)
    assert display.DrawStroke.parse(message.build()).data.attr.u2 == (lengths or None)
    attr.u1 = len(lengths) + 1
    with pytest.raises(InvalidValue, match=r"display\.DrawStroke\.data\.attr\.u2: "):
        message.build()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "main.MigrateBegin.dst_info.port at offset 0: needs 2 bytes, 0 left"),
        (bytes(19), "main.MigrateBegin.dst_info.cert_subject_data at offset 16: needs 4 bytes, 3 left"),
        (bytes(20), "main.MigrateBegin.dst_info.host_data at offset 8: null, but a target is required"),
        (
            struct.pack("<HHIIII", 1, 2, 5, 20, 0, 0) + b"1234",
            "main.MigrateBegin.dst_info.host_data at offset 20: needs 5 bytes, 4 left",
        ),
        (
            struct.pack("<HHIIII", 1, 2, 4, 24, 0, 0) + b"1234",
            "main.MigrateBegin.dst_info.host_data at offset 8: points to 24, beyond the body of 24 bytes",
        ),
        (
            struct.pack("<HHIIII", 1, 2, 4, 20, 3, 0) + b"1234",
            "main.MigrateBegin.dst_info.cert_subject_data at offset 20: null with a count of 3",
        ),
    ],
)
def test_errors_say_what_is_wrong_with_a_body(body: bytes, text: str) -> None:
    with pytest.raises(MalformedMessage) as refusal:
        main.MigrateBegin.parse(body)
    assert str(refusal.value) == text


def test_an_error_behind_a_pointer_names_the_whole_path() -> None:
    body = display.DrawCopy(SCREEN, draw.Copy(lz_image(b"picture"), AREA)).build()
    with pytest.raises(MalformedMessage) as refusal:
        display.DrawCopy.parse(body[:-1])
    assert refusal.value.field == "data.src_bitmap.u.lz_rgb.data"
    assert refusal.value.offset == len(body) - len("picture")
    assert refusal.value.reason == "needs 7 bytes, 6 left"


@pytest.mark.parametrize(
    ("most", "make", "field"),
    [
        (MAX_PATH_SEGMENTS, lambda n: stroke_of((PathSegment(0, ()),) * n, LineAttr()), "data.path.segments"),
        (
            MAX_GLYPHS,
            lambda n: text_of(StringFlags.RASTER_A1, (RasterGlyphA1(Point(0, 0), Point(0, 0), 0, 0, b""),) * n),
            "data.str.u.glyphs",
        ),
    ],
)
def test_arrays_of_objects_have_a_limit(most: int, make: Any, field: str) -> None:
    within = make(most)
    assert type(within).parse(within.build()) == within
    with pytest.raises(LimitExceeded, match=rf"{field} at offset \d+: {most + 1} elements, the limit is {most}"):
        type(within).parse(make(most + 1).build())


def test_a_count_is_judged_by_the_bytes_that_are_there() -> None:
    body = bytearray(stroke_of((PathSegment(0, ()),) * 3, LineAttr()).build())
    body[-3 * 5 - 4 : -3 * 5] = struct.pack("<I", 4)
    with pytest.raises(MalformedMessage, match=r"segments at offset \d+: 4 elements of at least 5 bytes do not fit"):
        display.DrawStroke.parse(bytes(body))


# Choices


@pytest.mark.parametrize(
    ("flags", "glyph", "other"),
    [
        (StringFlags.RASTER_A1 | StringFlags.RASTER_A4, RasterGlyphA1, RasterGlyphA4),
        (StringFlags.RASTER_A4 | StringFlags.RASTER_A8, RasterGlyphA4, RasterGlyphA1),
        (StringFlags.RASTER_A4 | StringFlags.RASTER_TOP_DOWN, RasterGlyphA4, RasterGlyphA1),
    ],
)
def test_the_first_case_whose_bit_is_set_is_taken(flags: int, glyph: Any, other: Any) -> None:
    size = 1 if glyph is RasterGlyphA1 else 4
    message = text_of(flags, (glyph(Point(1, 2), Point(3, 4), 8, 1, bytes(size)),))
    body = message.build()
    assert display.DrawText.parse(body) == message
    assert build_fields(display.DrawText.layout, parse_fields(display.DrawText.layout, body)) == body
    wrong = text_of(flags, (other(Point(1, 2), Point(3, 4), 8, 1, bytes(5 - size)),))
    with pytest.raises(InvalidValue, match=r"display\.DrawText\.data\.str\.u\[0\]: .*is not a"):
        wrong.build()


def test_no_case_is_nothing() -> None:
    message = text_of(StringFlags.RASTER_TOP_DOWN, None)
    assert display.DrawText.parse(message.build()) == message
    image = Image(ImageDescriptor(5, ImageType.FROM_CACHE, ImageFlags.CACHE_ME, 1, 1))
    copy = display.DrawCopy(SCREEN, draw.Copy(image, AREA))
    assert display.DrawCopy.parse(copy.build()) == copy
    unknown = Clip(77)
    assert display.StreamClip.parse(display.StreamClip(1, unknown).build()).clip == unknown


def test_a_default_case_is_taken_where_no_other_is() -> None:
    plain = spicevmc.CompressedData(DataCompressionType.NONE, spicevmc.EmptyStructure(), b"plain")
    assert plain.build() == b"\0plain"
    packed = spicevmc.CompressedData(9, 500, b"packed")
    assert packed.build() == b"\x09\xf4\x01\0\0packed"
    for message in (plain, packed):
        assert spicevmc.CompressedData.parse(message.build()) == message


def test_a_case_may_ask_for_a_bit_that_is_not_set() -> None:
    none = cursor.Set(Point16(1, 2), 1, cursor.Cursor(CursorFlags.NONE | CursorFlags.FROM_CACHE))
    assert len(none.build()) == 7
    assert cursor.Set.parse(none.build()) == none


# Pointers


def test_targets_follow_breadth_first() -> None:
    palettes = [Palette(unique, (unique,)) for unique in (1, 2)]
    first, second = (
        Image(
            ImageDescriptor(9, ImageType.BITMAP, 0, 1, 1), BitmapData(BitmapFmt.FMT_8BIT, 0, 1, 1, 1, palette, b"\xaa")
        )
        for palette in palettes
    )
    body = display.DrawComposite(
        SCREEN, draw.Composite(0x80000, first, second, None, None, Point16(0, 0), Point16(0, 0))
    ).build()
    images = [match.start() for match in re.finditer(struct.pack("<QB", 9, ImageType.BITMAP), body)]
    behind = [body.index(struct.pack("<QHI", palette.unique, 1, palette.unique)) for palette in palettes]
    assert images + behind == sorted(images + behind)
    assert len(images) == 2


def test_targets_may_be_shared_and_lie_anywhere() -> None:
    image = lz_image(b"one picture").descriptor
    shared = struct.pack("<QBBII", image.id, image.type, image.flags, image.width, image.height) + b"\3\0\0\0abc"
    opaque = display.DrawOpaque(SCREEN, draw.Opaque(lz_image(b"abc"), AREA, Brush()))
    opaque.data.mask.bitmap = lz_image(b"abc")
    body = bytearray(opaque.build())
    root = len(body) - 2 * len(shared)
    assert body[root:] == shared * 2
    body[root - 4 : root] = struct.pack("<I", root)
    assert display.DrawOpaque.parse(bytes(body)) == opaque
    assert display.DrawOpaque.parse(bytes(body[: -len(shared)])) == opaque


def test_an_empty_target_is_written_as_null() -> None:
    message = main.MigrateSwitchHost(1, 2, b"", b"")
    assert message.build() == struct.pack("<HHIIII", 1, 2, 0, 0, 0, 0)
    assert main.MigrateSwitchHost.parse(message.build()) == main.MigrateSwitchHost(1, 2, None, None)


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (main.MigrateBegin(DstInfo(1, 2, b"")), "main.MigrateBegin.dst_info.host_data"),
        (spicevmc.Init(b"", 1), "spicevmc.Init.name"),
    ],
)
def test_an_empty_target_is_refused_where_null_is(message: Message, field: str) -> None:
    with pytest.raises(InvalidValue, match=re.escape(f"{field}: empty, which is written as null")):
        message.build()


# Payloads


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_payloads_are_any_bytes_and_not_copied(kind: Any) -> None:
    payload = kind(b"picture")
    for message in (
        base.Ping(1, 2, payload),
        playback.Data(1, payload),
        smartcard.Data(1, 2, payload),
        spicevmc.Init(payload, 1),
        display.DrawCopy(SCREEN, draw.Copy(lz_image(payload), AREA)),
    ):
        assert any(piece is payload for piece in message.pieces())
        assert type(message).parse(message.build()) == message


def test_a_payload_is_counted_in_bytes() -> None:
    wide = memoryview(bytes(8)).cast("I")
    with pytest.raises(InvalidValue, match=r"base\.Ping\.data: .* is not bytes"):
        base.Ping(1, 2, wide).pieces()  # type: ignore[arg-type]


# Counts, what is absent, and bytes behind the end


def test_counts_are_read_but_never_passed() -> None:
    rects = ClipRects((AREA, AREA))
    assert rects.num_rects == 2
    rects.rects = ()
    assert rects.num_rects == 0
    with pytest.raises(TypeError):
        ClipRects(num_rects=2, rects=())  # type: ignore[call-arg]
    assert DstInfo(1, 2, b"host\0").cert_subject_size == 0


def test_a_file_descriptor_takes_no_bytes() -> None:
    message = display.GlScanoutUnix(1, 2, 3, 4, 0)
    assert message.drm_dma_buf_fd is None
    assert len(message.build()) == 20
    assert to_fields(message)["drm_dma_buf_fd"] is None


def test_bytes_behind_the_end_are_kept_and_written_back() -> None:
    body = struct.pack("<QIIII", 1, NotifySeverity.WARN, 2, 3, 5) + b"hello\0"
    notify = base.Notify.parse(body)
    assert (notify.message, notify.trailing) == (b"hello", b"\0")
    assert notify.build() == body
    header = smartcard.Header(5, 6, 3, trailing=b"atr")
    assert smartcard.Header.parse(header.build()) == header
    assert header != smartcard.Header(5, 6, 3)


def test_messages_with_pointers_have_no_end_to_be_behind() -> None:
    message = display.DrawBlackness(SCREEN)
    assert display.DrawBlackness.parse(message.build() + b"gap") == message


# Enumerations and flags


def test_known_values_are_members_and_others_stay_numbers() -> None:
    known, unknown = (display.PreferredVideoCodecType.parse(bytes([1, value])).codecs[0] for value in (1, 200))
    assert known is VideoCodecType.MJPEG
    assert unknown == 200
    assert type(unknown) is int


def test_masks_stay_plain_integers() -> None:
    flags = base.Migrate.parse(b"\xff\xff\xff\xff").flags
    assert type(flags) is int
    assert flags == 0xFFFFFFFF


# Arrays as they stood on the wire


def packed_of(count: int) -> Packed:
    layout = struct.Struct("<ii")
    return Packed(b"".join(layout.pack(index, -index) for index in range(count)), layout, Point)


@given(st.integers(0, 20))
def test_packed_is_a_sequence(count: int) -> None:
    packed = packed_of(count)
    points = tuple(Point(index, -index) for index in range(count))
    assert len(packed) == count
    assert tuple(packed) == points
    assert packed == points
    assert points == packed
    assert packed == list(points)
    assert packed == packed_of(count)
    assert packed != packed_of(count + 1)
    assert packed != (*points[:-1], Point(0, 1))
    assert [packed[index] for index in range(-count, count)] == [*points, *points]
    assert packed[1:-1] == points[1:-1]
    assert packed[::-2] == points[::-2]
    assert list(reversed(packed)) == list(reversed(points))
    for beyond in (count, -count - 1):
        with pytest.raises(IndexError):
            packed[beyond]


def test_packed_compares_what_it_holds_and_not_only_its_bytes() -> None:
    same = Packed(bytes(8), struct.Struct("<ii"), Point)
    assert same != Packed(bytes(8), struct.Struct("<HHHH"), Edges)
    assert same != b"\0"
    with pytest.raises(TypeError):
        hash(same)


def test_packed_is_written_back_as_it_came() -> None:
    body = display.InvalList((ResourceID(1, 2), ResourceID(1, 3))).build()
    read = display.InvalList.parse(body)
    assert isinstance(read.resources, Packed)
    assert any(piece is read.resources.data for piece in read.pieces())
    other = base.WaitForChannels(Packed(bytes(18), struct.Struct("<QB"), lambda x, y: ChannelWait(y, y, x)))
    with pytest.raises(InvalidValue):
        display.InvalList(other.wait_list).build()


# Texts


def test_a_large_payload_is_not_shown() -> None:
    message = display.DrawCopy(SCREEN, draw.Copy(lz_image(bytes(8 << 20)), AREA))
    for shown in (repr(message), str(message)):
        assert "<8388608 bytes>" in shown
        assert len(shown) < 1000


def test_a_long_array_is_shown_by_its_first_elements() -> None:
    read = display.InvalList.parse(display.InvalList((ResourceID(1, 2),) * 60000).build())
    shown = repr(read)
    assert shown.count("ResourceID(") == SHOWN_ELEMENTS
    assert "60000 in all" in shown
    made = repr(display.InvalList((ResourceID(1, 2),) * 60000))
    assert made == shown


def test_short_ones_are_shown_whole() -> None:
    assert repr(base.MigrateData(bytes(SHOWN_BYTES))) == f"MigrateData(data={bytes(SHOWN_BYTES)!r})"
    assert repr(base.MigrateData(bytes(SHOWN_BYTES + 1))) == "MigrateData(data=<17 bytes>)"
    assert repr(packed_of(2)) == "(Point(x=0, y=0), Point(x=1, y=-1))"


def test_a_message_is_its_log_line() -> None:
    assert str(base.SetAck(1, 20)) == "base.SetAck(generation=1, window=20)"
    assert str(display.StreamClip(4, Clip(ClipType.NONE))) == "display.StreamClip(id=4, clip=Clip(type=NONE, u=None))"


def test_names_are_shown_for_what_has_names() -> None:
    assert "flags=NEED_FLUSH|0x80000000" in repr(base.Migrate(0x80000001))
    assert "flags=0)" in repr(base.Migrate(0))
    assert "codec_type=9," in repr(display.StreamCreate(0, 0, 0, 9, 0, 0, 0, 0, 0, AREA))
    assert "codec_type=VP8," in repr(display.StreamCreate(0, 0, 0, VideoCodecType.VP8, 0, 0, 0, 0, 0, AREA))


def test_counts_of_bytes_are_shown_beside_them() -> None:
    assert repr(BinaryData(b"abc")) == "BinaryData(data_size=3, data=b'abc')"
