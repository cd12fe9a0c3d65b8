"""Messages of the display channel that manage surfaces, caches, streams and monitors (spice.proto, DisplayChannel).

Those that draw are in :mod:`spiceemu.protocol.messages.draw`, and importable from here as well.
"""

from __future__ import annotations

from collections.abc import Sequence

from construct import Int8ul, Int16ul, Int32sl, Int32ul, Int64sl, Int64ul

from spiceemu.protocol.capabilities import ChannelType, DisplayCap
from spiceemu.protocol.enums import (
    GlScanoutFlags,
    ImageCompression,
    StreamFlags,
    SurfaceFlags,
    SurfaceFmt,
    VideoCodecType,
)
from spiceemu.protocol.layout.fields import Absent, ArrayOf, Blob, Count, EnumOf, FlagsOf, wire
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.messages.draw import (
    CopyBits,
    DrawAlphaBlend,
    DrawBlackness,
    DrawBlend,
    DrawComposite,
    DrawCopy,
    DrawFill,
    DrawInvers,
    DrawOpaque,
    DrawRop3,
    DrawStroke,
    DrawText,
    DrawTransparent,
    DrawWhiteness,
)
from spiceemu.protocol.messages.message import Message, message
from spiceemu.protocol.messages.types import ChannelWait, Clip, Edges, MonitorHead, ResourceID, StreamDataHeader

__all__ = [
    "CopyBits",
    "DrawAlphaBlend",
    "DrawBlackness",
    "DrawBlend",
    "DrawComposite",
    "DrawCopy",
    "DrawFill",
    "DrawInvers",
    "DrawOpaque",
    "DrawRop3",
    "DrawStroke",
    "DrawText",
    "DrawTransparent",
    "DrawWhiteness",
    "GlDraw",
    "GlDrawDone",
    "GlScanoutUnix",
    "Init",
    "InvalAllPalettes",
    "InvalAllPixmaps",
    "InvalList",
    "InvalPalette",
    "Mark",
    "Mode",
    "MonitorsConfig",
    "PreferredCompression",
    "PreferredVideoCodecType",
    "Reset",
    "StreamActivateReport",
    "StreamClip",
    "StreamCreate",
    "StreamData",
    "StreamDataSized",
    "StreamDestroy",
    "StreamDestroyAll",
    "StreamReport",
    "SurfaceCreate",
    "SurfaceDestroy",
]

DISPLAY = ChannelType.DISPLAY


@message(DISPLAY, server=101, feature=Feature.PROTOCOL_MAJOR2, unless=Feature.SURFACES)
class Mode(Message):
    """The screen's size and depth, as servers without surfaces announce it."""

    x_res: int = wire(Int32ul)
    y_res: int = wire(Int32ul)
    bits: int = wire(Int32ul)


@message(DISPLAY, server=102, feature=Feature.PROTOCOL_MAJOR2)
class Mark(Message):
    """What was drawn so far may be shown."""


@message(DISPLAY, server=103, feature=Feature.PROTOCOL_MAJOR2, unless=Feature.SURFACES)
class Reset(Message):
    """The screen is gone; MODE brings a new one."""


@message(DISPLAY, server=105, feature=Feature.PROTOCOL_MAJOR2)
class InvalList(Message):
    """Cached pictures to forget."""

    count = Count(Int16ul, "resources")
    resources: Sequence[ResourceID] = wire(ArrayOf(ResourceID, "count"))


@message(DISPLAY, server=106, feature=Feature.PROTOCOL_MAJOR2)
class InvalAllPixmaps(Message):
    """All cached pictures to forget, once the other channels have come as far as listed."""

    wait_count = Count(Int8ul, "wait_list")
    wait_list: Sequence[ChannelWait] = wire(ArrayOf(ChannelWait, "wait_count"), default=())


@message(DISPLAY, server=107, feature=Feature.PROTOCOL_MAJOR2)
class InvalPalette(Message):
    """A cached palette to forget."""

    id: int = wire(Int64ul)


@message(DISPLAY, server=108, feature=Feature.PROTOCOL_MAJOR2)
class InvalAllPalettes(Message):
    """All cached palettes to forget."""


@message(DISPLAY, server=122, feature=Feature.PROTOCOL_MAJOR2)
class StreamCreate(Message):
    """A video begins: frames of stream size, shown at ``dest`` on a surface."""

    surface_id: int = wire(Int32ul)
    id: int = wire(Int32ul)
    flags: int = wire(FlagsOf(Int8ul, StreamFlags))
    codec_type: int = wire(EnumOf(Int8ul, VideoCodecType))
    stamp: int = wire(Int64ul)
    stream_width: int = wire(Int32ul)
    stream_height: int = wire(Int32ul)
    src_width: int = wire(Int32ul)
    src_height: int = wire(Int32ul)
    dest: Edges = wire(Edges)
    clip: Clip = wire(Clip, default_factory=Clip)


@message(DISPLAY, server=123, feature=Feature.PROTOCOL_MAJOR2)
class StreamData(Message):
    """A frame of a video."""

    base: StreamDataHeader = wire(StreamDataHeader)
    data_size = Count(Int32ul, "data")
    data: bytes = wire(Blob("data_size"))


@message(DISPLAY, server=124, feature=Feature.PROTOCOL_MAJOR2)
class StreamClip(Message):
    """A video's new clip."""

    id: int = wire(Int32ul)
    clip: Clip = wire(Clip)


@message(DISPLAY, server=125, feature=Feature.PROTOCOL_MAJOR2)
class StreamDestroy(Message):
    """A video ends."""

    id: int = wire(Int32ul)


@message(DISPLAY, server=126, feature=Feature.PROTOCOL_MAJOR2)
class StreamDestroyAll(Message):
    """All videos end."""


@message(DISPLAY, server=314, feature=Feature.SURFACES)
class SurfaceCreate(Message):
    """A new surface; id 0 with PRIMARY is the screen."""

    surface_id: int = wire(Int32ul)
    width: int = wire(Int32ul)
    height: int = wire(Int32ul)
    format: int = wire(EnumOf(Int32ul, SurfaceFmt))
    flags: int = wire(FlagsOf(Int32ul, SurfaceFlags))


@message(DISPLAY, server=315, feature=Feature.SURFACES)
class SurfaceDestroy(Message):
    """A surface is gone."""

    surface_id: int = wire(Int32ul)


@message(DISPLAY, server=316, capability=DisplayCap.SIZED_STREAM, feature=Feature.SIZED_STREAM)
class StreamDataSized(Message):
    """A frame of another size than the stream's, and where it goes."""

    base: StreamDataHeader = wire(StreamDataHeader)
    width: int = wire(Int32ul)
    height: int = wire(Int32ul)
    dest: Edges = wire(Edges)
    data_size = Count(Int32ul, "data")
    data: bytes = wire(Blob("data_size"))


@message(DISPLAY, server=317, capability=DisplayCap.MONITORS_CONFIG, feature=Feature.MONITORS_CONFIG)
class MonitorsConfig(Message):
    """The monitors of this channel."""

    count = Count(Int16ul, "heads")
    max_allowed: int = wire(Int16ul)
    heads: Sequence[MonitorHead] = wire(ArrayOf(MonitorHead, "count"))


@message(DISPLAY, server=319, capability=DisplayCap.STREAM_REPORT, feature=Feature.STREAM_REPORT)
class StreamActivateReport(Message):
    """Asks for STREAM_REPORT after that many frames or milliseconds."""

    stream_id: int = wire(Int32ul)
    unique_id: int = wire(Int32ul)
    max_window_size: int = wire(Int32ul)
    timeout_ms: int = wire(Int32ul)


@message(DISPLAY, server=320, capability=DisplayCap.GL_SCANOUT, feature=Feature.GL_SCANOUT)
class GlScanoutUnix(Message):
    """A GL texture to show; its file descriptor travels beside the stream and takes no bytes."""

    drm_dma_buf_fd = Absent()
    width: int = wire(Int32ul)
    height: int = wire(Int32ul)
    stride: int = wire(Int32ul)
    drm_fourcc_format: int = wire(Int32ul)
    flags: int = wire(FlagsOf(Int32ul, GlScanoutFlags))


@message(DISPLAY, server=321, capability=DisplayCap.GL_SCANOUT, feature=Feature.GL_SCANOUT)
class GlDraw(Message):
    """A part of the GL texture has changed."""

    x: int = wire(Int32ul)
    y: int = wire(Int32ul)
    w: int = wire(Int32ul)
    h: int = wire(Int32ul)


@message(DISPLAY, client=101, feature=Feature.PROTOCOL_MAJOR2)
class Init(Message):
    """The client's first message: its picture cache and its GLZ dictionary, sizes in pixels."""

    pixmap_cache_id: int = wire(Int8ul)
    pixmap_cache_size: int = wire(Int64sl)
    glz_dictionary_id: int = wire(Int8ul)
    glz_dictionary_window_size: int = wire(Int32sl)


@message(DISPLAY, client=102, feature=Feature.STREAM_REPORT)
class StreamReport(Message):
    """How a video arrived at the client; delays in milliseconds."""

    stream_id: int = wire(Int32ul)
    unique_id: int = wire(Int32ul)
    start_frame_mm_time: int = wire(Int32ul)
    end_frame_mm_time: int = wire(Int32ul)
    num_frames: int = wire(Int32ul)
    num_drops: int = wire(Int32ul)
    last_frame_delay: int = wire(Int32sl)
    audio_delay: int = wire(Int32ul)


@message(DISPLAY, client=103, capability=DisplayCap.PREF_COMPRESSION, feature=Feature.PREF_COMPRESSION)
class PreferredCompression(Message):
    """How the client would like images to be encoded."""

    image_compression: int = wire(EnumOf(Int8ul, ImageCompression))


@message(DISPLAY, client=104, feature=Feature.GL_SCANOUT)
class GlDrawDone(Message):
    """The client has shown the last GL_DRAW."""


@message(DISPLAY, client=105, capability=DisplayCap.PREF_VIDEO_CODEC_TYPE, feature=Feature.PREF_VIDEO_CODEC_TYPE)
class PreferredVideoCodecType(Message):
    """How the client would like videos to be encoded, best first."""

    num_of_codecs = Count(Int8ul, "codecs")
    codecs: Sequence[int] = wire(ArrayOf(EnumOf(Int8ul, VideoCodecType), "num_of_codecs"))
