"""What one client may see of a display: all of it, or what the link's level has ways to show.

Two things are taken away. Without SURFACES there is only the primary: what is drawn elsewhere stays in the guest, and
reaches the client as pixels when it is copied to the primary. Without MONITORS_CONFIG there is only the first head: the
client's primary is that part of the guest's, and what lies beside it is not shown. All the rest goes on as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.operations import (
    Blit,
    Copy,
    CopySurface,
    Drawable,
    Fill,
    MonitorsChanged,
    SurfaceCreated,
    SurfaceDestroyed,
    Text,
)
from spiceemu.protocol.levels.compat import Feature

if TYPE_CHECKING:
    from collections.abc import Iterable

    from spiceemu.guest.display import Display, Head
    from spiceemu.protocol.levels.level import Level

PRIMARY = 0


def window_of(display: Display, level: Level) -> Rect:
    """The part of the guest's primary that is the client's."""
    primary = display.primary.bounds
    if level.has(Feature.MONITORS_CONFIG):
        return primary
    first = min(display.heads, key=lambda head: head.id)
    return first.box.intersection(primary)


class View:
    """A display as a level has it. Boxes of the primary count from the top left of what is shown.

    :param display: all there is.
    :param level: what decides.
    """

    def __init__(self, display: Display, level: Level) -> None:
        self.display = display
        self.level = level
        self.has_surfaces = level.has(Feature.SURFACES)
        self.one_head = not level.has(Feature.MONITORS_CONFIG)
        self.is_whole = self.has_surfaces and not self.one_head
        """Whether nothing is taken away, so that every drawable is its own :meth:`lower`."""
        self._window = window_of(display, level)
        self._primary_is_new = False  # and the heads that go with it are still to come

    @property
    def origin(self) -> tuple[int, int]:
        """Where on the guest's primary the client's begins."""
        return self._window.x, self._window.y

    @property
    def heads(self) -> Iterable[Head]:
        """The monitors that a client may be told of."""
        return self.display.heads

    def has(self, surface_id: int) -> bool:
        """Whether a surface exists and may be shown."""
        return surface_id in self.display.surfaces and (self.has_surfaces or surface_id == PRIMARY)

    def bounds(self, surface_id: int) -> Rect:
        """All of a surface."""
        if surface_id == PRIMARY and self.one_head:
            return Rect(0, 0, self._window.width, self._window.height)
        return self.display.surfaces[surface_id].bounds

    def read(self, surface_id: int, box: Rect) -> bytes:
        """The present pixels of a part of a surface, BGRX."""
        return self.display.surfaces[surface_id].read(self._in_guest(surface_id, box))

    def creation(self, surface_id: int) -> SurfaceCreated:
        """How a surface is announced."""
        bounds = self.bounds(surface_id)
        return SurfaceCreated(surface_id, bounds.width, bounds.height, self.display.surfaces[surface_id].has_alpha)

    def _in_guest(self, surface_id: int, box: Rect) -> Rect:
        return box.translate(*self.origin) if surface_id == PRIMARY else box

    def lower(self, drawable: Drawable) -> list[Drawable]:
        """What a drawable is to this client: itself, something that looks the same, or nothing.

        To be called for every drawable, at once: what becomes pixels is read from the surface as it is now.
        """
        if drawable.surface_id != PRIMARY:
            return [drawable] if self.has_surfaces else []
        if self.one_head:
            if isinstance(drawable, SurfaceCreated | SurfaceDestroyed):
                self._primary_is_new = True
            if isinstance(drawable, MonitorsChanged):
                return self._new_window()
            if self._primary_is_new:
                return []  # the heads come next, and with them all of the picture
            if self._window != self.display.primary.bounds:
                return self._cut(drawable)
        if isinstance(drawable, CopySurface) and not self.has_surfaces:
            return [self._as_pixels(drawable.box)]
        return [drawable]

    def _new_window(self) -> list[Drawable]:
        """Begin anew if the head has moved or changed its size; the others' doings are nobody's business here."""
        window = window_of(self.display, self.level)
        if window == self._window and not self._primary_is_new:
            return []
        self._window = window
        self._primary_is_new = False
        return [
            SurfaceDestroyed(PRIMARY),
            self.creation(PRIMARY),
            self._as_pixels(self.bounds(PRIMARY)),
            MonitorsChanged(),
        ]

    def _cut(self, drawable: Drawable) -> list[Drawable]:
        """What of a drawing lies on the head."""
        assert isinstance(drawable, Fill | Blit | Text | Copy | CopySurface)
        box = drawable.box.intersection(self._window)
        if box.is_empty:
            return []
        x, y = self.origin
        shown = box.translate(-x, -y)
        whole = box == drawable.box
        match drawable:
            case Fill():
                return [replace(drawable, box=shown)]
            case Blit() if whole:
                return [replace(drawable, box=shown)]
            case Text() if whole:
                return [replace(drawable, box=shown, x=drawable.x - x, y=drawable.y - y)]
            case Copy(source_x=left, source_y=top) if whole:
                source = Rect(left, top, box.width, box.height)
                if source.intersection(self._window) == source:
                    return [replace(drawable, box=shown, source_x=left - x, source_y=top - y)]
            case CopySurface(source_x=left, source_y=top) if self.has_surfaces:
                left, top = left + box.x - drawable.box.x, top + box.y - drawable.box.y
                return [replace(drawable, box=shown, source_x=left, source_y=top)]
        return [self._as_pixels(shown)]

    def _as_pixels(self, box: Rect) -> Blit:
        return Blit(PRIMARY, box, self.read(PRIMARY, box))
