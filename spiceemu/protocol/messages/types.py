"""The structures of spice.proto that messages are made of.

Names and nesting are spice.proto's, but for three whose names belong to what the guest has: its ``Rect`` is
:class:`Edges`, its ``Head`` :class:`MonitorHead`, its ``Surface`` :class:`SurfaceImage`. Where it has an anonymous
switch, the attribute keeps the switch's name (``u``, ``pal``) and holds the selected case's value directly, or None
where no case is selected.
"""

from __future__ import annotations

from collections.abc import Sequence

from construct import Int8ul, Int16sl, Int16ul, Int32sl, Int32ul, Int64ul

from spiceemu.protocol.enums import (
    BitmapFlags,
    BitmapFmt,
    BrushType,
    ClipType,
    CursorType,
    ImageFlags,
    ImageType,
    JpegAlphaFlags,
    LineFlags,
    MaskFlags,
    PathFlags,
    StringFlags,
)
from spiceemu.protocol.layout.fields import (
    ArrayOf,
    Blob,
    Case,
    Choice,
    Count,
    EnumOf,
    FlagsOf,
    ImageBlob,
    PointerTo,
    Record,
    record,
    wire,
)

MAX_GLYPHS = 1024
"""Characters in one DRAW_TEXT; each becomes an object of some 500 bytes."""

MAX_PATH_SEGMENTS = 2048
"""Segments of one stroked path; each becomes an object of some 200 bytes."""


@record
class Point(Record):
    """A place in pixels."""

    x: int = wire(Int32sl)
    y: int = wire(Int32sl)


@record
class Point16(Record):
    """A place in pixels, 16 bits a coordinate."""

    x: int = wire(Int16sl)
    y: int = wire(Int16sl)


@record
class PointFix(Record):
    """A place in sixteenths of a pixel (fixed28_4)."""

    x: int = wire(Int32sl)
    y: int = wire(Int32sl)


@record
class Edges(Record):
    """Edges in pixels; bottom and right are the first row and column outside."""

    top: int = wire(Int32sl)
    left: int = wire(Int32sl)
    bottom: int = wire(Int32sl)
    right: int = wire(Int32sl)


@record
class Transform(Record):
    """The upper two rows of an affine matrix, 16.16 fixed point."""

    t00: int = wire(Int32ul)
    t01: int = wire(Int32ul)
    t02: int = wire(Int32ul)
    t10: int = wire(Int32ul)
    t11: int = wire(Int32ul)
    t12: int = wire(Int32ul)


@record
class ChannelWait(Record):
    """Wait until a channel of the session has received this serial."""

    channel_type: int = wire(Int8ul)
    channel_id: int = wire(Int8ul)
    message_serial: int = wire(Int64ul)


@record
class ChannelId(Record):
    """One channel that a server offers."""

    type: int = wire(Int8ul)
    id: int = wire(Int8ul)


@record
class DstInfo(Record):
    """Where a session migrates to. Strings end in NUL, which their size counts; 0xffff is no port."""

    port: int = wire(Int16ul)
    sport: int = wire(Int16ul)
    host_size = Count(Int32ul, "host_data")
    host_data: bytes = wire(PointerTo(Blob("host_size"), nonnull=True))
    cert_subject_size = Count(Int32ul, "cert_subject_data")
    cert_subject_data: bytes | None = wire(PointerTo(Blob("cert_subject_size")), default=None)


@record
class ClipRects(Record):
    """Rectangles that a drawing is clipped to."""

    num_rects = Count(Int32ul, "rects")
    rects: Sequence[Edges] = wire(ArrayOf(Edges, "num_rects"))


@record
class Clip(Record):
    """How a drawing is clipped; nothing said, not at all."""

    type: int = wire(EnumOf(Int8ul, ClipType), default=ClipType.NONE)
    u: ClipRects | None = wire(Choice("type", Case("rects", ClipRects, values=(ClipType.RECTS,))), default=None)


@record
class DisplayBase(Record):
    """What every drawing begins with: surface, place and clip."""

    surface_id: int = wire(Int32ul)
    box: Edges = wire(Edges)
    clip: Clip = wire(Clip, default_factory=Clip)


@record
class ResourceID(Record):
    """A cached thing to forget."""

    type: int = wire(Int8ul)
    id: int = wire(Int64ul)


@record
class Palette(Record):
    """Colours of an indexed image, 0x00RRGGBB each, and the id they are cached by."""

    unique: int = wire(Int64ul)
    num_ents = Count(Int16ul, "ents")
    ents: Sequence[int] = wire(ArrayOf(Int32ul, "num_ents"))


@record
class BitmapData(Record):
    """An uncompressed image: ``y`` rows of ``stride`` bytes. ``pal`` is a palette, its cached id, or None."""

    format: int = wire(EnumOf(Int8ul, BitmapFmt))
    flags: int = wire(FlagsOf(Int8ul, BitmapFlags))
    x: int = wire(Int32ul)
    y: int = wire(Int32ul)
    stride: int = wire(Int32ul)
    pal: Palette | int | None = wire(
        Choice(
            "flags",
            Case("palette_id", Int64ul, bit=BitmapFlags.PAL_FROM_CACHE),
            Case("palette", PointerTo(Palette)),
        )
    )
    data: bytes = wire(ImageBlob(8, "stride", "y"))


@record
class BinaryData(Record):
    """The payload of a QUIC, LZ, GLZ, JPEG or LZ4 image."""

    data_size = Count(Int32ul, "data")
    data: bytes = wire(Blob("data_size"))


@record
class LZPLTData(Record):
    """An LZ image of palette indexes. ``pal`` is a palette or its cached id."""

    flags: int = wire(FlagsOf(Int8ul, BitmapFlags))
    data_size = Count(Int32ul, "data")
    pal: Palette | int = wire(
        Choice(
            "flags",
            Case("palette_id", Int64ul, bit=BitmapFlags.PAL_FROM_CACHE),
            Case("palette", PointerTo(Palette, nonnull=True)),
        )
    )
    data: bytes = wire(Blob("data_size"))


@record
class ZlibGlzRGBData(Record):
    """A GLZ image inside zlib; ``glz_data_size`` is its size once unpacked."""

    glz_data_size: int = wire(Int32ul)
    data_size = Count(Int32ul, "data")
    data: bytes = wire(Blob("data_size"))


@record
class JPEGAlphaData(Record):
    """A JPEG of ``jpeg_size`` bytes, followed by its alpha as an LZ image."""

    flags: int = wire(FlagsOf(Int8ul, JpegAlphaFlags))
    jpeg_size: int = wire(Int32ul)
    data_size = Count(Int32ul, "data")
    data: bytes = wire(Blob("data_size"))


@record
class SurfaceImage(Record):
    """An image that is another surface of the client."""

    surface_id: int = wire(Int32ul)


@record
class ImageDescriptor(Record):
    """What an image is; ``id`` is what it is cached by."""

    id: int = wire(Int64ul)
    type: int = wire(EnumOf(Int8ul, ImageType))
    flags: int = wire(FlagsOf(Int8ul, ImageFlags))
    width: int = wire(Int32ul)
    height: int = wire(Int32ul)


@record
class Image(Record):
    """A picture; ``u`` is None for those taken from a cache."""

    descriptor: ImageDescriptor = wire(ImageDescriptor)
    u: BitmapData | BinaryData | LZPLTData | ZlibGlzRGBData | JPEGAlphaData | SurfaceImage | None = wire(
        Choice(
            "descriptor.type",
            Case("bitmap", BitmapData, values=(ImageType.BITMAP,)),
            Case("quic", BinaryData, values=(ImageType.QUIC,)),
            Case("lz_rgb", BinaryData, values=(ImageType.LZ_RGB, ImageType.GLZ_RGB)),
            Case("jpeg", BinaryData, values=(ImageType.JPEG,)),
            Case("lz4", BinaryData, values=(ImageType.LZ4,)),
            Case("lz_plt", LZPLTData, values=(ImageType.LZ_PLT,)),
            Case("zlib_glz", ZlibGlzRGBData, values=(ImageType.ZLIB_GLZ_RGB,)),
            Case("jpeg_alpha", JPEGAlphaData, values=(ImageType.JPEG_ALPHA,)),
            Case("surface", SurfaceImage, values=(ImageType.SURFACE,)),
        ),
        default=None,
    )


@record
class Pattern(Record):
    """A picture repeated from ``pos`` on."""

    pat: Image = wire(PointerTo(Image, nonnull=True))
    pos: Point = wire(Point)


@record
class Brush(Record):
    """What fills: ``u`` is a colour (0x00RRGGBB), a pattern or None."""

    type: int = wire(EnumOf(Int8ul, BrushType), default=BrushType.NONE)
    u: int | Pattern | None = wire(
        Choice(
            "type",
            Case("color", Int32ul, values=(BrushType.SOLID,)),
            Case("pattern", Pattern, values=(BrushType.PATTERN,)),
        ),
        default=None,
    )


@record
class QMask(Record):
    """A one-bit picture that says where to draw; nothing said, everywhere."""

    flags: int = wire(FlagsOf(Int8ul, MaskFlags), default=0)
    pos: Point = wire(Point, default_factory=lambda: Point(0, 0))
    bitmap: Image | None = wire(PointerTo(Image), default=None)


@record
class LineAttr(Record):
    """Dashes of a line: lengths in sixteenths of a pixel when STYLED."""

    flags: int = wire(FlagsOf(Int8ul, LineFlags), default=0)
    u1: int | None = wire(Choice("flags", Case("style_nseg", Int8ul, bit=LineFlags.STYLED)), default=None)
    u2: Sequence[int] | None = wire(
        Choice("flags", Case("style", PointerTo(ArrayOf(Int32sl, "u1.style_nseg")), bit=LineFlags.STYLED)),
        default=None,
    )


@record
class PathSegment(Record):
    """Points of one line or curve."""

    flags: int = wire(FlagsOf(Int8ul, PathFlags))
    count = Count(Int32ul, "points")
    points: Sequence[PointFix] = wire(ArrayOf(PointFix, "count"))


@record
class Path(Record):
    """What a stroke follows."""

    num_segments = Count(Int32ul, "segments")
    segments: Sequence[PathSegment] = wire(ArrayOf(PathSegment, "num_segments", limit=MAX_PATH_SEGMENTS))


@record
class RasterGlyphA1(Record):
    """One character, a bit a pixel, the first in the highest bit."""

    render_pos: Point = wire(Point)
    glyph_origin: Point = wire(Point)
    width: int = wire(Int16ul)
    height: int = wire(Int16ul)
    data: bytes = wire(ImageBlob(1, "width", "height"))


@record
class RasterGlyphA4(Record):
    """One character, four bits of coverage a pixel."""

    render_pos: Point = wire(Point)
    glyph_origin: Point = wire(Point)
    width: int = wire(Int16ul)
    height: int = wire(Int16ul)
    data: bytes = wire(ImageBlob(4, "width", "height"))


@record
class RasterGlyphA8(Record):
    """One character, eight bits of coverage a pixel."""

    render_pos: Point = wire(Point)
    glyph_origin: Point = wire(Point)
    width: int = wire(Int16ul)
    height: int = wire(Int16ul)
    data: bytes = wire(ImageBlob(8, "width", "height"))


@record
class String(Record):
    """A text as rasters, one for each character; ``flags`` say how deep they are."""

    length = Count(Int16ul, "u")
    flags: int = wire(FlagsOf(Int8ul, StringFlags))
    u: Sequence[RasterGlyphA1 | RasterGlyphA4 | RasterGlyphA8] | None = wire(
        Choice(
            "flags",
            Case("glyphs", ArrayOf(RasterGlyphA1, "length", limit=MAX_GLYPHS), bit=StringFlags.RASTER_A1),
            Case("glyphs", ArrayOf(RasterGlyphA4, "length", limit=MAX_GLYPHS), bit=StringFlags.RASTER_A4),
            Case("glyphs", ArrayOf(RasterGlyphA8, "length", limit=MAX_GLYPHS), bit=StringFlags.RASTER_A8),
        )
    )


@record
class StreamDataHeader(Record):
    """Which stream a frame is of, and when to show it (milliseconds of the multimedia clock)."""

    id: int = wire(Int32ul)
    multi_media_time: int = wire(Int32ul)


@record
class MonitorHead(Record):
    """One monitor: a rectangle of a surface."""

    monitor_id: int = wire(Int32ul)
    surface_id: int = wire(Int32ul)
    width: int = wire(Int32ul)
    height: int = wire(Int32ul)
    x: int = wire(Int32ul)
    y: int = wire(Int32ul)
    flags: int = wire(Int32ul, default=0)


@record
class CursorHeader(Record):
    """Size, hot spot and format of a cursor's picture; ``unique`` is what it is cached by."""

    unique: int = wire(Int64ul)
    type: int = wire(EnumOf(Int8ul, CursorType))
    width: int = wire(Int16ul)
    height: int = wire(Int16ul)
    hot_spot_x: int = wire(Int16ul)
    hot_spot_y: int = wire(Int16ul)
