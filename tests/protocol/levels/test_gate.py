"""The gate, for every message and content that a level or a capability decides about: allowed, and refused for what."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Any, NamedTuple

import pytest

from spiceemu.protocol.capabilities import (
    ChannelType,
    DisplayCap,
    InputsCap,
    MainCap,
    PlaybackCap,
    RecordCap,
    SpicevmcCap,
)
from spiceemu.protocol.enums import (
    AudioDataMode,
    BitmapFmt,
    BrushType,
    CompositeFlags,
    DataCompressionType,
    ImageType,
    SurfaceFlags,
    SurfaceFmt,
    VideoCodecType,
)
from spiceemu.protocol.levels.compat import RELEASES, Feature
from spiceemu.protocol.levels.gate import Gate, images_of
from spiceemu.protocol.levels.level import CURRENT, LEVELS, Level, changed
from spiceemu.protocol.levels.needs import IMAGE_TYPES, VIDEO_CODECS, Breach, Peer
from spiceemu.protocol.messages import base, display, draw, inputs, main, playback, record, smartcard, spicevmc
from spiceemu.protocol.messages.catalogue import CLIENT, SERVER, Message
from spiceemu.protocol.messages.types import (
    BinaryData,
    BitmapData,
    Brush,
    ChannelWait,
    DisplayBase,
    DstInfo,
    Edges,
    Image,
    ImageDescriptor,
    JPEGAlphaData,
    LineAttr,
    LZPLTData,
    Path,
    Pattern,
    Point,
    Point16,
    QMask,
    StreamDataHeader,
    String,
    SurfaceImage,
    ZlibGlzRGBData,
)

F = Feature
RECT = Edges(0, 0, 4, 4)
TARGET = DstInfo(1, 2, b"host\0")


def base_of(surface_id: int = 0) -> DisplayBase:
    return DisplayBase(surface_id, RECT)


def image(kind: int = ImageType.BITMAP, bitmap_format: int = BitmapFmt.FMT_32BIT) -> Image:
    contents: dict[int, Any] = {
        ImageType.BITMAP: BitmapData(bitmap_format, 0, 1, 1, 4, None, bytes(4)),
        ImageType.LZ_PLT: LZPLTData(0, 7, b""),
        ImageType.ZLIB_GLZ_RGB: ZlibGlzRGBData(0, b""),
        ImageType.JPEG_ALPHA: JPEGAlphaData(0, 0, b""),
        ImageType.SURFACE: SurfaceImage(3),
        ImageType.FROM_CACHE: None,
        ImageType.FROM_CACHE_LOSSLESS: None,
    }
    return Image(ImageDescriptor(1, kind, 0, 1, 1), contents.get(kind, BinaryData(b"")))


def copy_of(picture: Image | None, *, surface_id: int = 0, mask: Image | None = None) -> draw.DrawCopy:
    return draw.DrawCopy(base_of(surface_id), draw.Copy(picture, RECT, mask=QMask(bitmap=mask)))


def stream(codec: int, surface_id: int = 0) -> display.StreamCreate:
    return display.StreamCreate(surface_id, 1, 0, codec, 0, 4, 4, 4, 4, RECT)


def surface(flags: int = SurfaceFlags.PRIMARY, surface_format: int = SurfaceFmt.FMT_32_XRGB) -> display.SurfaceCreate:
    return display.SurfaceCreate(0, 4, 4, surface_format, flags)


def breaches(
    level: Level,
    message: Message,
    capabilities: Iterable[int] = (),
    direction: str = SERVER,
    *,
    channel: ChannelType | None = None,
    mini: bool = True,
    local: bool = False,
) -> list[Breach]:
    """What a gate says; of a message of every channel on main, unless told otherwise."""
    peer = Peer(level, channel or message.spec.channels[0], frozenset(capabilities), mini=mini, local=local)
    return Gate(peer, direction).breaches(message)


def without(feature: Feature) -> Level:
    """The newest level without one feature."""
    return changed(CURRENT, f"-{feature.name}")


class Row(NamedTuple):
    """A message, the feature of a level and the capabilities of the receiver that it needs; ``what`` lacks if not."""

    what: str
    message: Message
    feature: Feature
    capabilities: tuple[IntEnum, ...]
    direction: str = SERVER
    local: bool = False


LZ4 = SpicevmcCap.DATA_COMPRESS_LZ4
COMPRESSED = spicevmc.CompressedData(DataCompressionType.LZ4, 4, b"")
MULTI = DisplayCap.MULTI_CODEC

ROWS = [
    Row("main.Name", main.Name(b"x\0"), F.NAME_AND_UUID, (MainCap.NAME_AND_UUID,)),
    Row("main.Uuid", main.Uuid(bytes(16)), F.NAME_AND_UUID, (MainCap.NAME_AND_UUID,)),
    Row(
        "main.AgentConnectedTokens",
        main.AgentConnectedTokens(10),
        F.AGENT_CONNECTED_TOKENS,
        (MainCap.AGENT_CONNECTED_TOKENS,),
    ),
    Row("main.MigrateBegin", main.MigrateBegin(TARGET), F.SEMI_SEAMLESS_MIGRATE, (MainCap.SEMI_SEAMLESS_MIGRATE,)),
    Row("main.MigrateEnd", main.MigrateEnd(), F.SEMI_SEAMLESS_MIGRATE, (MainCap.SEMI_SEAMLESS_MIGRATE,)),
    Row(
        "main.MigrateBeginSeamless",
        main.MigrateBeginSeamless(TARGET, 1),
        F.SEAMLESS_MIGRATE,
        (MainCap.SEAMLESS_MIGRATE, MainCap.AGENT_CONNECTED_TOKENS),
    ),
    Row(
        "main.MigrateBeginSeamless",
        main.MigrateBeginSeamless(TARGET, 1),
        F.AGENT_CONNECTED_TOKENS,
        (MainCap.SEAMLESS_MIGRATE, MainCap.AGENT_CONNECTED_TOKENS),
    ),
    Row(
        "display.StreamDataSized",
        display.StreamDataSized(StreamDataHeader(1, 0), 1, 1, RECT, b""),
        F.SIZED_STREAM,
        (DisplayCap.SIZED_STREAM,),
    ),
    Row("display.MonitorsConfig", display.MonitorsConfig(1, []), F.MONITORS_CONFIG, (DisplayCap.MONITORS_CONFIG,)),
    Row(
        "display.DrawComposite",
        draw.DrawComposite(base_of(), draw.Composite(0, image(), None, None, None, Point16(0, 0), Point16(0, 0))),
        F.COMPOSITE,
        (DisplayCap.COMPOSITE,),
    ),
    Row(
        "a bitmap of alpha in display.DrawCopy",
        copy_of(image(bitmap_format=BitmapFmt.FMT_8BIT_A)),
        F.COMPOSITE,
        (DisplayCap.A8_SURFACE,),
    ),
    Row(
        "format 8_A in display.SurfaceCreate",
        surface(surface_format=SurfaceFmt.FMT_8_A),
        F.COMPOSITE,
        (DisplayCap.A8_SURFACE,),
    ),
    Row(
        "display.StreamActivateReport",
        display.StreamActivateReport(1, 1, 1, 1),
        F.STREAM_REPORT,
        (DisplayCap.STREAM_REPORT,),
    ),
    Row(
        "image type LZ4 in display.DrawCopy",
        copy_of(image(ImageType.LZ4)),
        F.LZ4_COMPRESSION,
        (DisplayCap.LZ4_COMPRESSION,),
    ),
    Row(
        "display.GlScanoutUnix",
        display.GlScanoutUnix(1, 1, 1, 1, 0),
        F.GL_SCANOUT,
        (DisplayCap.GL_SCANOUT,),
        local=True,
    ),
    Row("display.GlDraw", display.GlDraw(0, 0, 1, 1), F.GL_SCANOUT, (DisplayCap.GL_SCANOUT,), local=True),
    Row(
        "video codec VP8 in display.StreamCreate",
        stream(VideoCodecType.VP8),
        F.MULTI_CODEC,
        (MULTI, DisplayCap.CODEC_VP8),
    ),
    Row("flag STREAMING_MODE in display.SurfaceCreate", surface(SurfaceFlags.STREAMING_MODE), F.MULTI_CODEC, (MULTI,)),
    Row("playback.Volume", playback.Volume([1, 2]), F.VOLUME, (PlaybackCap.VOLUME,)),
    Row("playback.Mute", playback.Mute(1), F.VOLUME, (PlaybackCap.VOLUME,)),
    Row("record.Volume", record.Volume([1]), F.VOLUME, (RecordCap.VOLUME,)),
    Row("record.Mute", record.Mute(0), F.VOLUME, (RecordCap.VOLUME,)),
    Row("playback.Latency", playback.Latency(100), F.PLAYBACK_LATENCY, (PlaybackCap.LATENCY,)),
    Row("Opus in playback.Mode", playback.Mode(0, AudioDataMode.OPUS), F.OPUS, (PlaybackCap.OPUS,)),
    Row("spicevmc.CompressedData", COMPRESSED, F.DATA_COMPRESS_LZ4, (LZ4,)),
    # from the client, where the server must have it
    Row("main.MigrateEnd", main.MigrateEnd(), F.SEMI_SEAMLESS_MIGRATE, (MainCap.SEMI_SEAMLESS_MIGRATE,), CLIENT),
    Row(
        "main.MigrateDstDoSeamless",
        main.MigrateDstDoSeamless(1),
        F.SEAMLESS_MIGRATE,
        (MainCap.SEAMLESS_MIGRATE,),
        CLIENT,
    ),
    Row("display.StreamReport", display.StreamReport(1, 1, 0, 0, 0, 0, 0, 0), F.STREAM_REPORT, (), CLIENT),
    Row(
        "display.PreferredCompression",
        display.PreferredCompression(1),
        F.PREF_COMPRESSION,
        (DisplayCap.PREF_COMPRESSION,),
        CLIENT,
    ),
    Row(
        "display.PreferredVideoCodecType",
        display.PreferredVideoCodecType([1]),
        F.PREF_VIDEO_CODEC_TYPE,
        (DisplayCap.PREF_VIDEO_CODEC_TYPE,),
        CLIENT,
    ),
    Row("inputs.KeyScancode", inputs.KeyScancode(b"\x1e"), F.KEY_SCANCODE, (InputsCap.KEY_SCANCODE,), CLIENT),
    Row("Opus in record.Mode", record.Mode(0, AudioDataMode.OPUS), F.OPUS, (RecordCap.OPUS,), CLIENT),
    Row("spicevmc.CompressedData", COMPRESSED, F.DATA_COMPRESS_LZ4, (LZ4,), CLIENT),
    # by the level alone
    Row("base.List", base.List(b"\0\0"), F.MINI_HEADER, ()),
    Row("smartcard.Header", smartcard.Header(0, 0, 0), F.SMARTCARD, (), CLIENT),
    Row("spicevmc.Event", spicevmc.Event(1), F.PORT, ()),
    Row("display.SurfaceDestroy", display.SurfaceDestroy(1), F.SURFACES, ()),
]


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.what} {row.direction} {row.feature.name}" for row in ROWS])
def test_what_a_level_and_a_capability_decide(row: Row) -> None:
    everything = frozenset(row.capabilities)
    assert breaches(CURRENT, row.message, everything, row.direction, local=row.local) == []

    lacking = without(row.feature)
    found = breaches(lacking, row.message, everything, row.direction, local=row.local)
    assert found == [Breach(row.what, row.feature)]
    assert found[0].explain(lacking) == f"{row.what} needs {row.feature.name}, which level {lacking.name} does not have"

    for capability in row.capabilities:
        found = breaches(CURRENT, row.message, everything - {capability}, row.direction, local=row.local)
        assert Breach(row.what, capability=capability) in found
        assert all(breach.what == row.what and breach.feature is None for breach in found)
        assert f"{type(capability).__name__}.{capability.name}, which the receiver did not announce" in found[
            0
        ].explain(CURRENT)


def test_both_filters_are_applied() -> None:
    found = breaches(LEVELS["0.8.3"], main.Name(b"x\0"))
    assert found == [Breach("main.Name", F.NAME_AND_UUID), Breach("main.Name", capability=MainCap.NAME_AND_UUID)]


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
def test_what_every_level_has(level: Level) -> None:
    for message in (
        main.Init(1, 1, 1, 1, 0, 10, 0, 0),
        main.AgentConnected(),
        display.Mark(),
        copy_of(image()),
        copy_of(None),
        draw.DrawFill(base_of(), draw.Fill(Brush(BrushType.SOLID, 0))),
        draw.CopyBits(base_of(), Point(0, 0)),
        stream(VideoCodecType.MJPEG),
        playback.Mode(0, AudioDataMode.RAW),
        base.Ping(1, 2),
        base.WaitForChannels([ChannelWait(2, 0, 1)]),
    ):
        assert breaches(level, message) == []
    assert breaches(level, base.SetAck(1, 20), channel=ChannelType.DISPLAY) == []


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
@pytest.mark.parametrize(("message", "direction"), [(base.Ping(1, 2), SERVER), (base.Pong(1, 2), CLIENT)])
def test_pings_were_for_main_alone(level: Level, message: Message, direction: str) -> None:
    for channel in ChannelType:
        lacks = channel is not ChannelType.MAIN and level.name not in ("0.14", "0.15", "0.12.8", "0.14.2", "0.15.1")
        expected = [Breach(message.spec.name, F.CHANNEL_PINGS)] if lacks else []
        assert breaches(level, message, direction=direction, channel=channel) == expected


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
def test_what_came_before_surfaces_went_with_them(level: Level) -> None:
    for message in (display.Mode(4, 4, 32), display.Reset()):
        found = [breach.explain(level) for breach in breaches(level, message)]
        said = f"{message.spec.name} is not sent at level {level.name}, which has SURFACES"
        assert found == ([said] if level.has(F.SURFACES) else [])


def test_a_list_travels_with_mini_headers() -> None:
    (breach,) = breaches(CURRENT, base.List(b"\0\0"), mini=False)
    assert breach.explain(CURRENT) == "base.List travels with mini headers only, full ones have room for a list"


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
def test_windows_are_of_displays_and_cursors(level: Level) -> None:
    for channel in ChannelType:
        found = [breach.explain(level) for breach in breaches(level, base.SetAck(1, 20), channel=channel)]
        windowed = channel in (ChannelType.DISPLAY, ChannelType.CURSOR)
        assert found == ([] if windowed else ["base.SetAck is sent on display and cursor channels only"])


@pytest.mark.parametrize("kind", IMAGE_TYPES)
@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
def test_image_types(level: Level, kind: int) -> None:
    feature = F.PROTOCOL_MAJOR2
    if kind == ImageType.LZ4:
        feature = F.LZ4_COMPRESSION
    elif kind > ImageType.FROM_CACHE:
        feature = F.SURFACES
    expected = [] if level.has(feature) else [Breach(f"image type {ImageType(kind).name} in display.DrawCopy", feature)]
    assert breaches(level, copy_of(image(kind)), [DisplayCap.LZ4_COMPRESSION]) == expected


def test_every_image_type_is_judged() -> None:
    assert set(IMAGE_TYPES) == set(ImageType) - {ImageType.RESERVED}


def test_an_image_type_that_there_is_not() -> None:
    made = Image(ImageDescriptor(1, 99, 0, 1, 1))
    (breach,) = breaches(CURRENT, copy_of(made))
    assert breach.explain(CURRENT) == "image type 99 in display.DrawCopy is none of the protocol's"


@pytest.mark.parametrize("codec", VIDEO_CODECS)
def test_video_codecs(codec: int) -> None:
    name = VideoCodecType(codec).name
    capability, what = DisplayCap[f"CODEC_{name}"], f"video codec {name} in display.StreamCreate"
    assert breaches(CURRENT, stream(codec), [MULTI, capability]) == []
    # A client with MULTI_CODEC says of each codec whether it has it, of MJPEG as well.
    assert breaches(CURRENT, stream(codec), [MULTI]) == [Breach(what, capability=capability)]
    only_old = breaches(LEVELS["0.12.8"], stream(codec), [MULTI, capability])
    assert only_old == ([] if codec == VideoCodecType.MJPEG else [Breach(what, F.MULTI_CODEC)])
    unsaid = breaches(CURRENT, stream(codec))
    assert (unsaid == []) is (codec == VideoCodecType.MJPEG)


def test_every_codec_is_judged() -> None:
    assert set(VIDEO_CODECS) == set(VideoCodecType)
    (breach,) = breaches(CURRENT, stream(99))
    assert breach.explain(CURRENT) == "video codec 99 in display.StreamCreate is none of the protocol's"


@pytest.mark.parametrize("name", ["0.4", "0.6"])
def test_surfaces(name: str) -> None:
    level = LEVELS[name]
    for message in (
        copy_of(image(), surface_id=3),
        draw.CopyBits(base_of(3), Point(0, 0)),
        stream(VideoCodecType.MJPEG, 3),
        draw.DrawAlphaBlend(base_of(3), draw.AlphaBlend(0, 255, image(), RECT)),
    ):
        what = f"surface_id 3 in {message.spec.name}"
        assert breaches(level, message) == ([] if level.has(F.SURFACES) else [Breach(what, F.SURFACES)])
    flagged = draw.DrawAlphaBlend(base_of(), draw.AlphaBlend(1, 255, image(), RECT))
    what = "alpha_flags of display.DrawAlphaBlend"
    assert breaches(level, flagged) == ([] if level.has(F.SURFACES) else [Breach(what, F.SURFACES)])
    what = "display.SurfaceCreate"
    assert breaches(level, surface()) == ([] if level.has(F.SURFACES) else [Breach(what, F.SURFACES)])


@pytest.mark.parametrize(("message", "caps"), [(playback.Mode, PlaybackCap), (record.Mode, RecordCap)])
def test_celt(message: Any, caps: Any) -> None:
    mode, capability = message(0, AudioDataMode.CELT_0_5_1), caps.CELT_0_5_1
    what = f"CELT in {message.spec.name}"
    for name in RELEASES:
        found = breaches(LEVELS[name], mode, [capability])
        gone = LEVELS[name].has(F.WITHOUT_CELT)
        assert [breach.explain(LEVELS[name]) for breach in found] == (
            [f"{what} is gone from level {name}"] if gone else []
        )
    assert breaches(LEVELS["0.8.3"], mode) == [Breach(what, capability=capability)]
    assert breaches(CURRENT, message(0, 77), [capability]) == []


def test_what_goes_over_unix_sockets() -> None:
    scanout = breaches(CURRENT, display.GlScanoutUnix(1, 1, 1, 1, 0), [DisplayCap.GL_SCANOUT])
    assert [breach.explain(CURRENT) for breach in scanout] == [
        "display.GlScanoutUnix travels on plain unix sockets only"
    ]
    compressed = breaches(CURRENT, COMPRESSED, [LZ4], local=True)
    assert [breach.explain(CURRENT) for breach in compressed] == [
        "spicevmc.CompressedData does not travel on unix sockets"
    ]


def every_place_of_a_picture(picture: Image) -> list[Message]:
    """A message for each place that a picture can stand in."""
    pattern, mask, plain = Brush(BrushType.PATTERN, Pattern(picture, Point(0, 0))), QMask(bitmap=picture), Brush()
    return [
        draw.DrawFill(base_of(), draw.Fill(pattern)),
        draw.DrawFill(base_of(), draw.Fill(plain, mask=mask)),
        draw.DrawOpaque(base_of(), draw.Opaque(picture, RECT, plain)),
        draw.DrawOpaque(base_of(), draw.Opaque(None, RECT, pattern)),
        draw.DrawOpaque(base_of(), draw.Opaque(None, RECT, plain, mask=mask)),
        copy_of(picture),
        copy_of(None, mask=picture),
        draw.DrawBlend(base_of(), draw.Copy(picture, RECT)),
        draw.DrawBlackness(base_of(), draw.MaskOnly(mask)),
        draw.DrawWhiteness(base_of(), draw.MaskOnly(mask)),
        draw.DrawInvers(base_of(), draw.MaskOnly(mask)),
        draw.DrawRop3(base_of(), draw.Rop3(picture, RECT, plain, 0)),
        draw.DrawRop3(base_of(), draw.Rop3(None, RECT, pattern, 0)),
        draw.DrawStroke(base_of(), draw.Stroke(Path([]), LineAttr(), pattern)),
        draw.DrawText(base_of(), draw.Text(String(0, None), RECT, pattern, plain)),
        draw.DrawText(base_of(), draw.Text(String(0, None), RECT, plain, pattern)),
        draw.DrawTransparent(base_of(), draw.Transparent(picture, RECT, 0, 0)),
        draw.DrawAlphaBlend(base_of(), draw.AlphaBlend(0, 255, picture, RECT)),
        draw.DrawComposite(base_of(), composite(0, picture, None)),
        draw.DrawComposite(base_of(), composite(CompositeFlags.HAS_MASK, None, picture)),
    ]


def composite(flags: int, source: Image | None, mask: Image | None) -> draw.Composite:
    return draw.Composite(flags, source, mask, None, None, Point16(0, 0), Point16(0, 0))


@pytest.mark.parametrize("number", range(len(every_place_of_a_picture(image()))))
def test_a_picture_is_judged_wherever_it_stands(number: int) -> None:
    picture = image(ImageType.LZ4)
    message = every_place_of_a_picture(picture)[number]
    assert [image for image in images_of(message) if image] == [picture]
    what = f"image type LZ4 in {message.spec.name}"
    assert breaches(CURRENT, message, [DisplayCap.COMPOSITE]) == [Breach(what, capability=DisplayCap.LZ4_COMPRESSION)]


def test_every_drawing_message_is_among_them() -> None:
    drawn = {type(message) for message in every_place_of_a_picture(image())}
    declared = {kind for kind in vars(draw).values() if isinstance(kind, type) and kind.__name__.startswith("Draw")}
    assert drawn == declared


def test_several_breaches_are_all_told() -> None:
    message = copy_of(image(ImageType.SURFACE), surface_id=2, mask=image(ImageType.LZ4))
    assert [breach.what for breach in breaches(LEVELS["0.4"], message)] == [
        "surface_id 2 in display.DrawCopy",
        "image type SURFACE in display.DrawCopy",
        "image type LZ4 in display.DrawCopy",
        "image type LZ4 in display.DrawCopy",
    ]
