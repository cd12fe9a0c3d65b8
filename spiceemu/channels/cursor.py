"""The cursor channel: the pointer's picture and place.

Only the latest state matters, so nothing is queued: what changed is remembered, and sent when the connection and the
acknowledgement window are open. Pictures are cached at the client by their id; the server decides what it forgets.

Order at the start, as spice-server's (cursor-channel.cpp): SET_ACK, INIT.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from spiceemu.channels.channel import Channel
from spiceemu.guest.cursor import CursorChange, CursorMoved, CursorShape, CursorShapeChanged, GuestCursor
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import CursorFlags, MouseMode
from spiceemu.protocol.messages import cursor
from spiceemu.protocol.messages.types import CursorHeader, Point16

if TYPE_CHECKING:
    from spiceemu.channels.passage import Passage
    from spiceemu.channels.tap import Taps
    from spiceemu.protocol.link.server import Linked
    from spiceemu.protocol.messages.message import Message

CACHE_SIZE = 256
"""Cursors a client keeps (spice-server cursor-channel.cpp, CLIENT_CURSOR_CACHE_SIZE)."""


class CursorChannel(Channel):
    """Shows the guest's cursor to one client.

    :param shown: the cursor; observed until :meth:`close`.
    :param mouse_mode: who moves the pointer (``MouseMode``).
    :param origin: tells where on the guest's screen the client's begins.
    """

    type = ChannelType.CURSOR

    def __init__(
        self,
        linked: Linked,
        wake: Callable[[], None],
        *,
        shown: GuestCursor,
        mouse_mode: int = MouseMode.SERVER,
        origin: Callable[[], tuple[int, int]] = lambda: (0, 0),
        passage: Passage | None = None,
        taps: Taps | None = None,
    ) -> None:
        super().__init__(linked, wake, passage=passage, taps=taps)
        self.cursor = shown
        self._origin = origin
        self._follows = mouse_mode == MouseMode.SERVER
        self._cached: OrderedDict[int, None] = OrderedDict()
        self._shape_due = False
        self._place_due = False
        self._shown = True  # what the client believes
        self._trail = (0, 0)
        self._marks: list[tuple[int, float]] = []
        self.open_window()
        if self.resumed:
            self._shape_due = self._place_due = True  # the client shows the cursor of the other server
        else:
            self._send_init()
        self.observe(shown.subscribe, self._on_change)

    # From the guest and the test

    def _on_change(self, change: CursorChange) -> None:
        if isinstance(change, CursorShapeChanged):
            self._shape_due = True
        elif isinstance(change, CursorMoved):
            self._place_due = True
        self.wake()

    def mouse_mode_changed(self, mode: int) -> None:
        """Tell who moves the pointer (``MouseMode``).

        In client mode the client draws the cursor at its own pointer, and is told no places (cursor-channel.cpp).
        """
        self._follows = mode == MouseMode.SERVER
        self.wake()

    def set_trail(self, length: int, frequency: int) -> None:
        """Let the cursor leave a trail of ``length`` pictures, one every ``frequency`` moves."""
        self._trail = (length, frequency)
        self.send(cursor.Trail(length, frequency))

    def invalidate(self, shape: CursorShape | None = None) -> None:
        """Let the client forget one cursor, or all."""
        self._finish_step()
        if shape is None:
            self._cached.clear()
            self.send(cursor.InvalAll())
        elif shape.id in self._cached:
            del self._cached[shape.id]
            self.send(cursor.InvalOne(shape.id))

    def reset(self) -> None:
        """Begin anew: RESET, then INIT with the cursor as it is. The client forgets its cache."""
        self._finish_step()
        self._cached.clear()
        self.send(cursor.Reset())
        self._send_init()

    def last_words(self) -> list[Message]:
        """As spice-server, which lets the client forget its cursors first: their ids mean nothing to the other."""
        self._cached.clear()
        return [cursor.InvalAll(), *super().last_words()]

    def mark(self, mark: int, now: float) -> None:
        """Ask for a Synced event once the client has the cursor as it is now."""
        self._marks.append((mark, now))
        self.wake()

    # To the client

    def _send_init(self) -> None:
        self._shape_due = self._place_due = False
        self._shown = self.cursor.visible
        self.send(cursor.Init(self._position(), *self._trail, self._shown, self._picture()))

    def produce(self) -> None:
        """Send what changed since the client was last told."""
        assert self.window is not None
        if not (self._send_step() and self.window.is_open):
            return
        if self.cursor.visible:
            if self._shape_due or not self._shown:
                self._step.append(cursor.Set(self._position(), True, self._picture()))
            # After a SET as well: spice-gtk takes the place from MOVE alone.
            if self._place_due and self._follows:
                self._step.append(cursor.Move(self._position()))
                self._place_due = False
            self._shape_due = False
        elif self._shown:
            # Picture and place wait until it shows again: spice-gtk shows every picture that it is sent.
            self._step.append(cursor.Hide())
        self._shown = self.cursor.visible
        while self._send_step() and self._marks and self.window.is_open:
            mark, now = self._marks.pop(0)
            super().mark(mark, now)

    def _position(self) -> Point16:
        x, y = self._origin()
        return Point16(self.cursor.x - x, self.cursor.y - y)

    def _picture(self) -> cursor.Cursor:
        """The cursor's picture, or its id alone if the client has it."""
        shape = self.cursor.shape
        if shape is None:
            return cursor.Cursor(CursorFlags.NONE)
        header = CursorHeader(shape.id, shape.kind, shape.width, shape.height, shape.hot_x, shape.hot_y)
        if shape.id in self._cached:
            self._cached.move_to_end(shape.id)
            return cursor.Cursor(CursorFlags.FROM_CACHE, header)
        if len(self._cached) >= CACHE_SIZE:
            forgotten, _ = self._cached.popitem(last=False)
            self._step.append(cursor.InvalOne(forgotten))
        self._cached[shape.id] = None
        return cursor.Cursor(CursorFlags.CACHE_ME, header, shape.data)
