"""Messages that draw (spice.proto, DisplayChannel, ids 104 and 302 to 318)."""

from __future__ import annotations

from construct import Int8ul, Int16ul, Int32ul

from spiceemu.protocol.capabilities import ChannelType, DisplayCap
from spiceemu.protocol.enums import AlphaFlags, CompositeFlags, ImageScaleMode, Ropd
from spiceemu.protocol.layout.fields import Case, Choice, EnumOf, FlagsOf, PointerTo, Record, record, wire
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.messages.message import Message, message
from spiceemu.protocol.messages.types import (
    Brush,
    DisplayBase,
    Edges,
    Image,
    LineAttr,
    Path,
    Point,
    Point16,
    QMask,
    String,
    Transform,
)

DISPLAY = ChannelType.DISPLAY


@message(DISPLAY, server=104, feature=Feature.PROTOCOL_MAJOR2)
class CopyBits(Message):
    """Copies a part of a surface to ``base.box`` on the same surface."""

    base: DisplayBase = wire(DisplayBase)
    src_pos: Point = wire(Point)


@record
class Fill(Record):
    """What DRAW_FILL does."""

    brush: Brush = wire(Brush)
    rop_descriptor: int = wire(FlagsOf(Int16ul, Ropd), default=Ropd.OP_PUT)
    mask: QMask = wire(QMask, default_factory=QMask)


@message(DISPLAY, server=302, feature=Feature.PROTOCOL_MAJOR2)
class DrawFill(Message):
    """Fills with a brush."""

    base: DisplayBase = wire(DisplayBase)
    data: Fill = wire(Fill)


@record
class Opaque(Record):
    """What DRAW_OPAQUE does."""

    src_bitmap: Image | None = wire(PointerTo(Image))
    src_area: Edges = wire(Edges)
    brush: Brush = wire(Brush)
    rop_descriptor: int = wire(FlagsOf(Int16ul, Ropd), default=Ropd.OP_PUT)
    scale_mode: int = wire(EnumOf(Int8ul, ImageScaleMode), default=ImageScaleMode.INTERPOLATE)
    mask: QMask = wire(QMask, default_factory=QMask)


@message(DISPLAY, server=303, feature=Feature.PROTOCOL_MAJOR2)
class DrawOpaque(Message):
    """Draws a picture combined with a brush."""

    base: DisplayBase = wire(DisplayBase)
    data: Opaque = wire(Opaque)


@record
class Copy(Record):
    """What DRAW_COPY and DRAW_BLEND do."""

    src_bitmap: Image | None = wire(PointerTo(Image))
    src_area: Edges = wire(Edges)
    rop_descriptor: int = wire(FlagsOf(Int16ul, Ropd), default=Ropd.OP_PUT)
    scale_mode: int = wire(EnumOf(Int8ul, ImageScaleMode), default=ImageScaleMode.INTERPOLATE)
    mask: QMask = wire(QMask, default_factory=QMask)


@message(DISPLAY, server=304, feature=Feature.PROTOCOL_MAJOR2)
class DrawCopy(Message):
    """Draws ``data.src_area`` of a picture at ``base.box``."""

    base: DisplayBase = wire(DisplayBase)
    data: Copy = wire(Copy)


@message(DISPLAY, server=305, feature=Feature.PROTOCOL_MAJOR2)
class DrawBlend(Message):
    """As DRAW_COPY, with a raster operation that reads the destination."""

    base: DisplayBase = wire(DisplayBase)
    data: Copy = wire(Copy)


@record
class MaskOnly(Record):
    """What DRAW_BLACKNESS, DRAW_WHITENESS and DRAW_INVERS do."""

    mask: QMask = wire(QMask, default_factory=QMask)


@message(DISPLAY, server=306, feature=Feature.PROTOCOL_MAJOR2)
class DrawBlackness(Message):
    """Makes everything black."""

    base: DisplayBase = wire(DisplayBase)
    data: MaskOnly = wire(MaskOnly, default_factory=MaskOnly)


@message(DISPLAY, server=307, feature=Feature.PROTOCOL_MAJOR2)
class DrawWhiteness(Message):
    """Makes everything white."""

    base: DisplayBase = wire(DisplayBase)
    data: MaskOnly = wire(MaskOnly, default_factory=MaskOnly)


@message(DISPLAY, server=308, feature=Feature.PROTOCOL_MAJOR2)
class DrawInvers(Message):
    """Inverts every bit."""

    base: DisplayBase = wire(DisplayBase)
    data: MaskOnly = wire(MaskOnly, default_factory=MaskOnly)


@record
class Rop3(Record):
    """What DRAW_ROP3 does; ``rop3`` is the ternary raster operation's code."""

    src_bitmap: Image | None = wire(PointerTo(Image))
    src_area: Edges = wire(Edges)
    brush: Brush = wire(Brush)
    rop3: int = wire(Int8ul)
    scale_mode: int = wire(EnumOf(Int8ul, ImageScaleMode), default=ImageScaleMode.INTERPOLATE)
    mask: QMask = wire(QMask, default_factory=QMask)


@message(DISPLAY, server=309, feature=Feature.PROTOCOL_MAJOR2)
class DrawRop3(Message):
    """Combines picture, brush and destination."""

    base: DisplayBase = wire(DisplayBase)
    data: Rop3 = wire(Rop3)


@record
class Stroke(Record):
    """What DRAW_STROKE does."""

    path: Path = wire(PointerTo(Path, nonnull=True))
    attr: LineAttr = wire(LineAttr)
    brush: Brush = wire(Brush)
    fore_mode: int = wire(FlagsOf(Int16ul, Ropd), default=Ropd.OP_PUT)
    back_mode: int = wire(FlagsOf(Int16ul, Ropd), default=0)


@message(DISPLAY, server=310, feature=Feature.PROTOCOL_MAJOR2)
class DrawStroke(Message):
    """Draws along a path."""

    base: DisplayBase = wire(DisplayBase)
    data: Stroke = wire(Stroke)


@record
class Text(Record):
    """What DRAW_TEXT does."""

    str: String = wire(PointerTo(String, nonnull=True))
    back_area: Edges = wire(Edges)
    fore_brush: Brush = wire(Brush)
    back_brush: Brush = wire(Brush)
    fore_mode: int = wire(FlagsOf(Int16ul, Ropd), default=Ropd.OP_PUT)
    back_mode: int = wire(FlagsOf(Int16ul, Ropd), default=0)


@message(DISPLAY, server=311, feature=Feature.PROTOCOL_MAJOR2)
class DrawText(Message):
    """Draws characters, given as rasters."""

    base: DisplayBase = wire(DisplayBase)
    data: Text = wire(Text)


@record
class Transparent(Record):
    """What DRAW_TRANSPARENT does: pixels of ``true_color`` are left out."""

    src_bitmap: Image | None = wire(PointerTo(Image))
    src_area: Edges = wire(Edges)
    src_color: int = wire(Int32ul)
    true_color: int = wire(Int32ul)


@message(DISPLAY, server=312, feature=Feature.PROTOCOL_MAJOR2)
class DrawTransparent(Message):
    """Draws a picture without the pixels of one colour."""

    base: DisplayBase = wire(DisplayBase)
    data: Transparent = wire(Transparent)


@record
class AlphaBlend(Record):
    """What DRAW_ALPHA_BLEND does; ``alpha`` 255 is opaque."""

    alpha_flags: int = wire(FlagsOf(Int8ul, AlphaFlags))
    alpha: int = wire(Int8ul)
    src_bitmap: Image | None = wire(PointerTo(Image))
    src_area: Edges = wire(Edges)


@message(DISPLAY, server=313, feature=Feature.PROTOCOL_MAJOR2)
class DrawAlphaBlend(Message):
    """Blends a picture by its alpha."""

    base: DisplayBase = wire(DisplayBase)
    data: AlphaBlend = wire(AlphaBlend)


@record
class Composite(Record):
    """What DRAW_COMPOSITE does; mask and transforms are there as ``flags`` say."""

    flags: int = wire(FlagsOf(Int32ul, CompositeFlags))
    src_bitmap: Image | None = wire(PointerTo(Image))
    a: Image | None = wire(Choice("flags", Case("mask_bitmap", PointerTo(Image), bit=CompositeFlags.HAS_MASK)))
    b: Transform | None = wire(Choice("flags", Case("src_transform", Transform, bit=CompositeFlags.HAS_SRC_TRANSFORM)))
    c: Transform | None = wire(
        Choice("flags", Case("mask_transform", Transform, bit=CompositeFlags.HAS_MASK_TRANSFORM))
    )
    src_origin: Point16 = wire(Point16)
    mask_origin: Point16 = wire(Point16)


@message(DISPLAY, server=318, capability=DisplayCap.COMPOSITE, feature=Feature.COMPOSITE)
class DrawComposite(Message):
    """Combines pictures by a pixman operator."""

    base: DisplayBase = wire(DisplayBase)
    data: Composite = wire(Composite)


DRAWINGS: tuple[type[Message], ...] = (
    CopyBits,
    DrawFill,
    DrawOpaque,
    DrawCopy,
    DrawBlend,
    DrawBlackness,
    DrawWhiteness,
    DrawInvers,
    DrawRop3,
    DrawStroke,
    DrawText,
    DrawTransparent,
    DrawAlphaBlend,
    DrawComposite,
)
"""All that draw on a surface, and have a ``base`` that says where."""
