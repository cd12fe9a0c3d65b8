"""What one client may see of a display: all of it, or what the link's level has ways to show.

Two things are taken away. Without SURFACES there is only the primary: what is drawn elsewhere stays in the guest, and
reaches the client when it is copied to the primary. Without MONITORS_CONFIG there is only the first head: the
client's primary is that part of the guest's, and what lies beside it is not shown. All the rest goes on as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.operations import Blit, Operation
from spiceemu.guest.changes import MonitorsChanged, SurfaceCreated, SurfaceDestroyed
from spiceemu.guest.display import PRIMARY
from spiceemu.protocol.levels.compat import Feature

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spiceemu.guest.changes import DisplayChange
    from spiceemu.guest.display import Display, Head
    from spiceemu.protocol.levels.level import Level


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
        """Whether nothing is taken away."""
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

    def see(self, change: DisplayChange) -> Sequence[DisplayChange]:
        """What of a change is to be seen: where operations are on what is shown, and what news is news here.

        To be called for every change, at once.

        :returns: of an operation at most one.
        """
        if self.is_whole:
            return (change,)
        if change.surface_id == PRIMARY:
            return self._see_primary(change)
        if not self.has_surfaces:
            return ()
        return (change.moved(PRIMARY, -self._window.x, -self._window.y) if isinstance(change, Operation) else change,)

    def _see_primary(self, change: DisplayChange) -> Sequence[DisplayChange]:
        if not self.one_head:
            return (change,)
        if isinstance(change, MonitorsChanged):
            return self._new_window()
        if not isinstance(change, Operation):
            self._primary_is_new = True
        if self._primary_is_new:
            return ()  # the heads come next, and with them all of the picture
        assert isinstance(change, Operation)
        cut = change.within(self._window)
        return () if cut is None else (cut.moved(PRIMARY, -self._window.x, -self._window.y),)

    def has_source(self, operation: Operation) -> bool:
        """Whether all that an operation reads is to be seen; of a copy within a surface both ends must be."""
        if self.is_whole:
            return True
        source = operation.source
        if source is None:
            return True
        surface_id, area = source
        if not self.has(surface_id):
            return False
        if surface_id == operation.surface_id:
            area = area.union(operation.box)
        shown = self._in_guest(surface_id, self.bounds(surface_id))
        return area.intersection(shown) == area

    def _new_window(self) -> Sequence[DisplayChange]:
        """Begin anew if the head has moved or changed its size; the others' doings are nobody's business here."""
        window = window_of(self.display, self.level)
        if window == self._window and not self._primary_is_new:
            return ()
        self._window = window
        self._primary_is_new = False
        return (
            SurfaceDestroyed(PRIMARY),
            self.creation(PRIMARY),
            self.pixels(PRIMARY, self.bounds(PRIMARY)),
            MonitorsChanged(),
        )

    def pixels(self, surface_id: int, box: Rect) -> Blit:
        """A part of a surface as it is now."""
        return Blit(surface_id, box, self.read(surface_id, box))
