"""How an operation reaches a client: as its own message where the client can take that, else as the pixels of its box.

That is the one rule, and :data:`LOWERINGS` has the rows that it goes by. An operation of a kind that has no row is sent
as pixels, which every client takes; so is one whose source the client does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from spiceemu.drawing.operations import Blit, CopyRect, CopySurface, FillRect, Operation
from spiceemu.guest.changes import SurfaceCreated
from spiceemu.protocol.enums import BrushType, ClipType, ImageType
from spiceemu.protocol.messages import draw
from spiceemu.protocol.messages.types import (
    Brush,
    Clip,
    ClipRects,
    DisplayBase,
    Edges,
    Image,
    ImageDescriptor,
    Point,
    SurfaceImage,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spiceemu.channels.view import View
    from spiceemu.drawing.geometry import Rect
    from spiceemu.guest.changes import DisplayChange
    from spiceemu.protocol.levels.needs import Peer
    from spiceemu.protocol.messages.message import Message

Surfaces: TypeAlias = Mapping[int, SurfaceCreated]
"""What a client has, by id."""


@dataclass(frozen=True, slots=True)
class OwnMessage:
    """How operations of a kind travel as what they are.

    :ivar kind: the message, which the client must be able to take.
    :ivar make: makes it, of an operation and the client's surfaces.
    :ivar image: the type of the picture in it, which the client must be able to take as well.
    """

    kind: type[Message]
    make: Callable[[Any, Surfaces], Message]
    image: int | None = None

    def is_taken_by(self, peer: Peer) -> bool:
        """Whether a client can take such a message."""
        return peer.takes_message(self.kind) and (self.image is None or peer.takes_image(self.image))


def edges_of(box: Rect) -> Edges:
    """A rectangle as it travels."""
    return Edges(box.y, box.x, box.bottom, box.right)


def base_of(operation: Operation) -> DisplayBase:
    """What every drawing begins with: surface, place and clip."""
    where = DisplayBase(operation.surface_id, edges_of(operation.box))
    if operation.clip:
        where.clip = Clip(ClipType.RECTS, ClipRects([edges_of(part) for part in operation.clip]))
    return where


def _fill(operation: FillRect, _surfaces: Surfaces) -> Message:
    return draw.DrawFill(base_of(operation), draw.Fill(Brush(BrushType.SOLID, operation.color)))


def _copy(operation: CopyRect, _surfaces: Surfaces) -> Message:
    return draw.CopyBits(base_of(operation), Point(operation.source_x, operation.source_y))


def _copy_surface(operation: CopySurface, surfaces: Surfaces) -> Message:
    source_id, area = operation.source
    source = surfaces[source_id]
    descriptor = ImageDescriptor(source_id, ImageType.SURFACE, 0, source.width, source.height)
    image = Image(descriptor, SurfaceImage(source_id))
    return draw.DrawCopy(base_of(operation), draw.Copy(image, edges_of(area)))


Lowerings: TypeAlias = Mapping[type[Operation], OwnMessage]

LOWERINGS: Final[Lowerings] = {
    FillRect: OwnMessage(draw.DrawFill, _fill),
    CopyRect: OwnMessage(draw.CopyBits, _copy),
    CopySurface: OwnMessage(draw.DrawCopy, _copy_surface, image=ImageType.SURFACE),
}
"""The operations that have a message. A blit is no such one: it is pixels already, and goes as a picture."""


class Lowering:
    """Makes of what a display tells what one client is sent.

    :param view: what the client may see.
    :param peer: what it can take.
    :param rows: the operations that have a message.
    """

    def __init__(self, view: View, peer: Peer, rows: Lowerings = LOWERINGS) -> None:
        self.view = view
        self._as_they_are = frozenset({Blit, *(kind for kind, row in rows.items() if row.is_taken_by(peer))})

    def lower(self, change: DisplayChange) -> Sequence[DisplayChange]:
        """What a change is to this client: itself, something that looks the same, or nothing.

        To be called at once when it is told: what becomes pixels is read from the surface as it is now.

        :returns: operations that are blits or have a row, and news.
        """
        seen = self.view.see(change)
        if isinstance(change, Operation) and seen and not self._goes_as_it_is(change):
            (shown,) = seen
            assert isinstance(shown, Operation)
            return [self.view.pixels(shown.surface_id, shown.box)]
        return seen

    def _goes_as_it_is(self, operation: Operation) -> bool:
        return type(operation) in self._as_they_are and self.view.has_source(operation)
