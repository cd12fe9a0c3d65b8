"""What a client's screen shows: the messages of a display channel, painted with none of the server's own code.

Only the LZ decoder is the project's; it has its judges elsewhere. Whatever a real client would choke on fails here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from spiceemu.codecs import lz
from spiceemu.protocol.enums import (
    BitmapFlags,
    BitmapFmt,
    BrushType,
    ClipType,
    ImageFlags,
    ImageType,
    ResourceType,
    Ropd,
    SurfaceFlags,
    SurfaceFmt,
)
from spiceemu.protocol.messages import base, display, draw
from spiceemu.protocol.messages.message import Message
from spiceemu.protocol.messages.types import BinaryData, BitmapData, DisplayBase, Edges, Image, QMask, SurfaceImage

UNDEFINED = b"\xee\xdd\xcc\x00"
"""What a new surface holds until it is drawn on: nothing that a test draws."""


class Canvas:
    """A picture that can be drawn on: BGRX, tightly packed, X always 0."""

    def __init__(self, width: int, height: int, pixels: bytes | None = None) -> None:
        self.width = width
        self.height = height
        self.rows = [bytearray(UNDEFINED * width) for _ in range(height)]
        if pixels is not None:
            assert len(pixels) == width * height * 4, f"{len(pixels)} bytes for {width}x{height}"
            for y in range(height):
                self.rows[y][:] = pixels[y * width * 4 : (y + 1) * width * 4]
                self.rows[y][3::4] = bytes(width)

    @property
    def pixels(self) -> bytes:
        return b"".join(self.rows)

    def cut(self, area: Edges) -> list[bytes]:
        """The rows of an area, which must lie inside."""
        assert 0 <= area.left < area.right <= self.width, area
        assert 0 <= area.top < area.bottom <= self.height, area
        return [bytes(row[area.left * 4 : area.right * 4]) for row in self.rows[area.top : area.bottom]]

    def put(self, box: Edges, rows: list[bytes]) -> None:
        """Replace an area, which must lie inside and have the rows' size."""
        assert 0 <= box.left < box.right <= self.width, box
        assert 0 <= box.top < box.bottom <= self.height, box
        assert len(rows) == box.bottom - box.top
        for y, row in zip(range(box.top, box.bottom), rows, strict=True):
            assert len(row) == (box.right - box.left) * 4
            self.rows[y][box.left * 4 : box.right * 4] = row


@dataclass
class Painter:
    """Paints what one display channel sends.

    :ivar surfaces: the surfaces that the server has created, by id.
    :ivar cache: the pictures that it told the client to keep, by id.
    :ivar marked: whether MARK came since the primary was created.
    :ivar heads: those of the last MONITORS_CONFIG.
    """

    surfaces: dict[int, Canvas] = field(default_factory=dict)
    cache: dict[int, Canvas] = field(default_factory=dict)
    marked: bool = False
    heads: list[tuple[int, int, int, int, int]] = field(default_factory=list)

    @property
    def primary(self) -> Canvas:
        return self.surfaces[0]

    def paint(self, message: Message) -> None:
        """Do what a message says; those that draw nothing are passed over."""
        match message:
            case display.SurfaceCreate():
                self._create(message)
            case display.SurfaceDestroy(surface_id):
                del self.surfaces[surface_id]
            case display.Mode(width, height, bits):
                assert bits == 32
                assert 0 not in self.surfaces, f"{message}: RESET must come before it"
                self.surfaces[0] = Canvas(width, height)
                self.marked = False
            case display.Reset():
                assert 0 in self.surfaces, "RESET without a mode"
                del self.surfaces[0]  # those that another server has left here stay
            case draw.DrawFill(where, data):
                assert data.brush.type == BrushType.SOLID
                self._check(where, data.rop_descriptor, data.mask)
                row = data.brush.u.to_bytes(4, "little") * (where.box.right - where.box.left)
                self._put(where, [row] * (where.box.bottom - where.box.top))
            case draw.CopyBits(where, at):
                self._check(where)
                area = Edges(
                    at.y, at.x, at.y + where.box.bottom - where.box.top, at.x + where.box.right - where.box.left
                )
                self._put(where, self.surfaces[where.surface_id].cut(area))
            case draw.DrawCopy(where, data):
                self._check(where, data.rop_descriptor, data.mask)
                self._put(where, self._picture(data.src_bitmap).cut(data.src_area))
            case display.InvalList(resources):
                for resource in resources:
                    assert resource.type == ResourceType.PIXMAP
                    del self.cache[resource.id]
            case display.Mark():
                assert 0 in self.surfaces, "MARK without a primary surface"
                self.marked = True
            case display.MonitorsConfig(max_allowed, heads):
                assert len(heads) <= max_allowed
                self.heads = [(head.monitor_id, head.x, head.y, head.width, head.height) for head in heads]
                for head in heads:
                    assert head.surface_id == 0
                    assert head.x + head.width <= self.primary.width, f"{head} is outside the primary surface"
                    assert head.y + head.height <= self.primary.height, f"{head} is outside the primary surface"
            case display.InvalAllPixmaps():
                self.cache.clear()
            case base.WaitForChannels():
                self.cache.clear()  # another display's INVAL_ALL_PIXMAPS is waited for: the cache is the client's
            case base.SetAck() | base.Ping() | display.InvalAllPalettes() | base.Migrate() | base.MigrateData():
                pass
            case _:
                raise AssertionError(f"not painted: {message}")

    def _create(self, message: display.SurfaceCreate) -> None:
        assert message.surface_id not in self.surfaces, f"{message}: it is there already"
        assert message.flags == (SurfaceFlags.PRIMARY if message.surface_id == 0 else 0)
        assert message.format in (SurfaceFmt.FMT_32_XRGB, SurfaceFmt.FMT_32_ARGB)
        self.surfaces[message.surface_id] = Canvas(message.width, message.height)
        if message.surface_id == 0:
            self.marked = False

    def _check(self, where: DisplayBase, rop: int = Ropd.OP_PUT, mask: QMask | None = None) -> None:
        assert where.clip.type in (ClipType.NONE, ClipType.RECTS)
        assert rop == Ropd.OP_PUT
        assert mask is None or mask.bitmap is None

    def _put(self, where: DisplayBase, rows: list[bytes]) -> None:
        canvas, box = self.surfaces[where.surface_id], where.box
        if where.clip.u is None:
            canvas.put(box, rows)
            return
        assert where.clip.u.rects, "a clip of nothing"
        for part in where.clip.u.rects:
            assert box.left <= part.left < part.right <= box.right, part
            assert box.top <= part.top < part.bottom <= box.bottom, part
            inside = slice((part.left - box.left) * 4, (part.right - box.left) * 4)
            canvas.put(part, [row[inside] for row in rows[part.top - box.top : part.bottom - box.top]])

    def _picture(self, image: Image | None) -> Canvas:
        assert image is not None
        descriptor = image.descriptor
        match descriptor.type, image.u:
            case ImageType.FROM_CACHE, None:
                canvas = self.cache[descriptor.id]
            case ImageType.SURFACE, SurfaceImage(surface_id):
                canvas = self.surfaces[surface_id]
            case ImageType.BITMAP, BitmapData() as bitmap:
                assert (bitmap.format, bitmap.flags) == (BitmapFmt.FMT_32BIT, BitmapFlags.TOP_DOWN)
                assert (bitmap.x, bitmap.stride, bitmap.pal) == (descriptor.width, descriptor.width * 4, None)
                canvas = Canvas(bitmap.x, bitmap.y, bytes(bitmap.data))
            case ImageType.LZ_RGB, BinaryData(data):
                picture = lz.decode(data)
                canvas = Canvas(picture.width, picture.height, picture.pixels)
            case _:
                raise AssertionError(f"not painted: {image}")
        assert (canvas.width, canvas.height) == (descriptor.width, descriptor.height)
        if descriptor.flags & ImageFlags.CACHE_ME:
            assert descriptor.id not in self.cache, "a picture that is kept already"
            self.cache[descriptor.id] = canvas
        return canvas
