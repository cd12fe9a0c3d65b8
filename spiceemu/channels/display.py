"""The display channel: what the guest draws, as fast as the client takes it.

What the guest draws waits in a bounded queue and is encoded when the connection and the acknowledgement window are
both open. When the queue overflows it is dropped, and what it would have changed is remembered as one dirty rectangle
a surface; once the client takes something again it gets those rectangles from the present pixels, one after the other.
So a slow client sees merged updates, memory stays flat and nobody waits for it. A late joiner is the same case: all of
the primary is dirty.

Other surfaces than the primary are created at the client when an operation first refers to them, as real servers do.

Order at the start, as spice-server's (dcc.cpp), after the client's INIT: SET_ACK, INVAL_ALL_PALETTES, SURFACE_CREATE,
the picture, MONITORS_CONFIG, MARK.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from spiceemu.channels.channel import Channel
from spiceemu.channels.encoding import DrawEncoder
from spiceemu.channels.lowering import LOWERINGS, Lowering, Lowerings
from spiceemu.channels.migration import Restored
from spiceemu.channels.pixmap_cache import ENTRY, ClientCache
from spiceemu.channels.saved import check_display
from spiceemu.channels.view import View
from spiceemu.codecs.table import CODECS, Codec
from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.operations import Blit, Operation
from spiceemu.errors import IllegalMessage, LimitExceeded
from spiceemu.events import DisplayReady, Event, PreferredCompression, PreferredVideoCodecs
from spiceemu.guest.changes import DisplayChange, MonitorsChanged, SurfaceCreated, SurfaceDestroyed
from spiceemu.guest.display import PRIMARY
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.messages import base, display
from spiceemu.protocol.messages.migrate_data import WITH_STATE, DisplayData, GlzEncDictRestoreData, SurfacesAtClient
from spiceemu.protocol.messages.types import ChannelWait, MonitorHead

if TYPE_CHECKING:
    from spiceemu.channels.handlers import Handlers
    from spiceemu.channels.passage import Passage
    from spiceemu.channels.tap import Taps
    from spiceemu.guest.display import Display, Head
    from spiceemu.protocol.link.server import Linked
    from spiceemu.protocol.plain import Plain

INIT_TIMEOUT = 30.0
"""Seconds a client may take to its INIT (spice-server dcc.cpp, DISPLAY_CLIENT_TIMEOUT)."""

MAX_QUEUED = 512
"""Changes that wait for a client; one more, and all become dirty rectangles."""

MAX_QUEUED_BYTES = 32 << 20
"""Pixels that wait for a client, in bytes; a little less than four frames of 1920x1080."""

MAX_GLZ_ENCODERS = 4
"""Encoders of one GLZ window, as real servers say in their state."""

MAX_SERIAL = 1 << 62
"""Largest serial of a message that another server may leave us at: ours follow it, and have 64 bits."""

MAX_PRODUCED = 1 << 18
"""Bytes of messages made at a time; the connection asks again when it can take more."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """A question whose answer says that all before it was drawn."""

    mark: int
    asked: float


@dataclass(frozen=True, slots=True)
class _Monitors:
    """The heads as they were when they changed: they fit the primary of their time only."""

    heads: tuple[Head, ...]


_Queued: TypeAlias = DisplayChange | _Mark | _Monitors


class DisplayChannel(Channel):
    """Shows one display of the guest to one client.

    :param shown: the display; observed until :meth:`close`.
    :param compression: how pictures are encoded, a word of :mod:`spiceemu.codecs.compression`.
    :param now: the time; the client's INIT is due ``INIT_TIMEOUT`` later.
    :param pictures: what the client keeps of pictures, which its display channels share.
    :param codecs: all the ways to encode a picture, the best first.
    :param lowerings: the operations that have a message of their own.
    """

    type = ChannelType.DISPLAY
    migrate_flags = WITH_STATE

    def __init__(
        self,
        linked: Linked,
        wake: Callable[[], None],
        *,
        shown: Display,
        compression: str,
        now: float,
        passage: Passage | None = None,
        taps: Taps | None = None,
        pictures: ClientCache | None = None,
        codecs: Sequence[Codec] = CODECS,
        lowerings: Lowerings = LOWERINGS,
    ) -> None:
        super().__init__(linked, wake, passage=passage, taps=taps)
        self.view = View(shown, self.level)
        self.lowering = Lowering(self.view, self.peer, lowerings)
        self.pictures = ClientCache() if pictures is None else pictures
        """What the client keeps of pictures, for all of its display channels."""
        self.cache = self.pictures.begin_part(self.id)
        """The same, as far as this channel has sent it."""
        self.encoder = DrawEncoder(self.peer, compression, self.cache, codecs=codecs, rows=lowerings)
        self.collapses = 0
        """How often the queue overflowed."""
        # A resumed channel's client says no INIT; for how long it may say nothing is the session's business.
        self._deadline: float | None = now + (float("inf") if self.resumed else INIT_TIMEOUT)
        self._init = display.Init(0, 0, 0, 0)
        self._queue: deque[_Queued] = deque()
        self._queued_bytes = 0
        self._announced: set[int] = set()  # the client's surfaces once the queue is sent
        self._created: dict[int, SurfaceCreated] = {}  # the client's surfaces now
        self._dirty: dict[int, Rect] | None = {}  # None while changes are queued one by one
        self._marks: list[_Mark] = []  # those that wait until nothing is dirty
        self._needs_mark = False  # the primary is new
        self._needs_monitors = False  # the heads have changed while something was dirty
        self.observe(shown.subscribe, self._on_change)

    @property
    def ready(self) -> bool:
        """Whether the client has sent its INIT."""
        return self._deadline is None

    def check_time(self, now: float) -> None:
        """Refuse a client that does not say INIT in time."""
        if self._deadline is not None and now > self._deadline:
            raise LimitExceeded(f"{self.name}: no INIT within INIT_TIMEOUT {INIT_TIMEOUT:g} s")

    def invalidate(self, others: Iterable[DisplayChannel] = ()) -> None:
        """Let the client forget its cached pictures and palettes, before anything that is drawn from now on.

        :param others: its other display channels. A client has one cache for all of them: it forgets when they have
            drawn what they were sent until now, and they go on when it has (spice-server dcc-send.cpp).
        """
        if not self.ready:
            return  # it has none, and is sent nothing before its INIT
        others = [other for other in others if other.ready]
        for each in (self, *others):
            each._finish_step()  # which may name cached pictures
        self.pictures.clear()
        self.send(display.InvalAllPixmaps([ChannelWait(other.type, other.id, other.serial) for other in others]))
        forgotten = ChannelWait(self.type, self.id, self.serial)
        self.send(display.InvalAllPalettes())
        for other in others:
            other.send(base.WaitForChannels([forgotten]))
            other.send(display.InvalAllPalettes())

    # From the guest

    def _on_change(self, change: DisplayChange) -> None:
        if not self.ready:
            self.view.see(change)  # all of the primary will be sent from its pixels
            return
        if self._dirty is not None:
            for each in self.view.see(change):
                self._add_dirty(each)
        else:
            for each in self.lowering.lower(change):
                self._enqueue(each)
            if len(self._queue) > MAX_QUEUED or self._queued_bytes > MAX_QUEUED_BYTES:
                self._collapse()
        self.wake()

    def _enqueue(self, change: DisplayChange) -> None:
        match change:
            case SurfaceCreated(surface_id):
                self._announced.add(surface_id)
            case SurfaceDestroyed(surface_id):
                if surface_id not in self._announced:
                    return
                self._announced.remove(surface_id)
            case MonitorsChanged():
                self._queue.append(_Monitors(tuple(self.view.heads)))
                return
            case Operation(surface_id=surface_id, source=source):
                if source is not None and source[0] != surface_id and source[0] not in self._announced:
                    self._introduce(source[0])
                if surface_id not in self._announced:
                    # Its pixels have the operation in them already.
                    self._introduce(surface_id)
                    return
        self._append(change)

    def _append(self, change: DisplayChange) -> None:
        self._queue.append(change)
        if isinstance(change, Blit):
            self._queued_bytes += len(change.pixels)

    def _introduce(self, surface_id: int) -> None:
        """Create a surface at the client that it was not told of, with what it holds now."""
        self._announced.add(surface_id)
        self._append(self.view.creation(surface_id))
        self._append(self.view.pixels(surface_id, self.view.bounds(surface_id)))

    def _collapse(self) -> None:
        """Drop the queue and remember what it would have changed."""
        self.collapses += 1
        dropped = list(self._queue)
        self._queue.clear()
        self._queued_bytes = 0
        self._dirty = {}
        for queued in dropped:
            self._add_dirty(queued)

    def _add_dirty(self, queued: _Queued) -> None:
        assert self._dirty is not None
        match queued:
            case SurfaceDestroyed(surface_id):
                self._dirty.pop(surface_id, None)
            case SurfaceCreated():
                pass  # what is drawn on it comes next
            case MonitorsChanged() | _Monitors():
                self._needs_monitors = True
            case _Mark():
                self._marks.append(queued)
            case Operation(surface_id, box):
                known = self._dirty.get(surface_id)
                self._dirty[surface_id] = box if known is None else known.union(box)

    # To the client

    def produce(self) -> None:
        """Encode what waits while the window is open, up to ``MAX_PRODUCED`` bytes."""
        if not self.ready or self.window is None:
            return
        while self._send_step() and self.window.is_open and self._out_bytes < MAX_PRODUCED:
            if self._dirty is not None:
                self._repaint(self._dirty)
            elif self._queue:
                self._send_queued(self._queue.popleft())
            else:
                return

    def mark(self, mark: int, now: float) -> None:
        """Ask for a Synced event once the client has drawn all that was drawn until now."""
        waiting = self._marks if self._dirty is not None else self._queue
        waiting.append(_Mark(mark, now))
        self.wake()

    def _send_queued(self, queued: _Queued) -> None:
        match queued:
            case SurfaceCreated(surface_id):
                self._created[surface_id] = queued
                self._needs_mark |= surface_id == PRIMARY
            case SurfaceDestroyed(surface_id):
                del self._created[surface_id]
            case Blit(pixels=pixels):
                self._queued_bytes -= len(pixels)
            case _Monitors(heads):
                self._send_monitors(heads)
                return
            case _Mark(mark, asked):
                super().mark(mark, asked)
                return
        self._step.extend(self.encoder.messages(queued, self._created))

    def _send_monitors(self, heads: Iterable[Head]) -> None:
        """MONITORS_CONFIG, if the client takes it, and MARK if the primary is new."""
        if self.peer.takes_message(display.MonitorsConfig):
            shown = [MonitorHead(head.id, PRIMARY, head.width, head.height, head.x, head.y) for head in heads]
            self._step.append(display.MonitorsConfig(len(shown), shown))
        if self._needs_mark:
            self._needs_mark = False
            self._step.append(display.Mark())

    def _repaint(self, dirty: dict[int, Rect]) -> None:
        """Bring the client's surfaces one step nearer to what the guest's are, from their present pixels.

        A step is one picture, for there may be many surfaces; what the guest draws between steps becomes dirty as well.
        """
        for surface_id, created in self._created.items():
            if surface_id != PRIMARY and not self.view.has_surfaces:
                continue  # from another server: there is no way to destroy it here, and none to show it
            if not self.view.has(surface_id) or self.view.creation(surface_id) != created:
                self._send_queued(SurfaceDestroyed(surface_id))
                return
        if PRIMARY not in self._created:
            self._send_queued(self.view.creation(PRIMARY))
            dirty[PRIMARY] = self.view.bounds(PRIMARY)
            self._needs_monitors = True
        for surface_id in dirty:
            if surface_id in self._created and self.view.has(surface_id):
                box = dirty.pop(surface_id).intersection(self.view.bounds(surface_id))
                if not box.is_empty:  # as it may be of a surface that another server had
                    self._step.extend(self.encoder.picture(self.view.pixels(surface_id, box)))
                return
        if self._needs_monitors:
            self._needs_monitors = False
            self._send_monitors(self.view.heads)
        self._announced = set(self._created)
        self._dirty = None
        self._queue.extend(self._marks)
        self._marks = []

    # To another server

    def freeze(self) -> None:
        """Stop; what still waits will be drawn from the surfaces as they are then."""
        super().freeze()
        if self._dirty is None:
            self._collapse()

    def migrate_data(self) -> bytes:
        """The client's cache and surfaces, as in spice-server (dcc.cpp); the serial is that of the data itself."""
        return DisplayData(
            message_serial=self.serial + 1,
            pixmap_cache_id=self._init.pixmap_cache_id,
            pixmap_cache_size=self._init.pixmap_cache_size,
            pixmap_cache_freezer=self.passage.speaks_for_cache,
            glz_dict_id=self._init.glz_dictionary_id,
            glz_dict_data=GlzEncDictRestoreData(self._init.glz_dictionary_window_size, MAX_GLZ_ENCODERS),
            surfaces_at_client=SurfacesAtClient.of(self._created),
        ).build()

    def save(self) -> dict[str, Any]:
        """What is more to know than :meth:`migrate_data` says.

        :returns: sizes of surfaces, what is not drawn yet, the cache.
        """
        dirty = {} if self._dirty is None else self._dirty
        return {
            "created": [list(astuple(created)) for created in self._created.values()],
            "dirty": [[surface_id, *box] for surface_id, box in dirty.items()],
            "monitors_due": self._needs_monitors,
            "mark_due": self._needs_mark,
            "cache": self.cache.save(),
        }

    @classmethod
    def check_saved(cls, state: Plain) -> None:
        """Judge what :meth:`save` is said to have given.

        :raises InvalidValue: naming what cannot be.
        """
        check_display(state)

    def load_migrate_data(self, data: bytes, _now: float) -> Sequence[Event]:
        """Go on with the client's surfaces and cache; of a source that is none of ours, with none of both.

        Upstream's data has the surfaces' ids, but not their sizes, so those that nobody vouches for are made anew.
        """
        state = DisplayData.parse(data)
        if state.message_serial > MAX_SERIAL:
            reason = f"message_serial is {state.message_serial}, the limit is {MAX_SERIAL}"
            raise LimitExceeded(f"{self.name}: {state.name}: {reason}")
        self._deadline = None
        window = state.glz_dict_data.size
        self._init = display.Init(state.pixmap_cache_id, state.pixmap_cache_size, state.glz_dict_id, window)
        ids = state.surfaces_at_client.ids
        self._writer.serial = state.message_serial
        self.cache.capacity = max(state.pixmap_cache_size, 0)
        self._dirty = {}
        carried = self.passage.carried
        if carried is None:
            self._created = {number: SurfaceCreated(number, 0, 0, has_alpha=False) for number in ids}
        else:
            created = (SurfaceCreated(*values) for values in carried["created"])
            self._created = {each.surface_id: each for each in created if each.surface_id in ids}
            self._dirty = {number: Rect(*box) for number, *box in carried["dirty"]}
            self._needs_monitors = carried["monitors_due"]
            self._needs_mark = carried["mark_due"]
            self.cache.load(ENTRY.iter_unpack(carried["cache"]))
        self.open_window()
        if carried is None and state.pixmap_cache_freezer:
            self.send(display.InvalAllPixmaps())
        self.send(display.InvalAllPalettes())
        return (Restored(), DisplayReady(self.id, state.pixmap_cache_size, window))

    # Handlers

    def _on_init(self, message: display.Init, _now: float) -> Sequence[Event]:
        if self.ready:
            raise IllegalMessage(f"{self.name}: a second {message}")
        self._deadline = None
        self._init = message
        self.cache.capacity = max(message.pixmap_cache_size, 0)
        self.open_window()
        self.send(display.InvalAllPalettes())
        return (DisplayReady(self.id, message.pixmap_cache_size, message.glz_dictionary_window_size),)

    def _on_preferred_compression(self, message: display.PreferredCompression, _now: float) -> Sequence[Event]:
        return (PreferredCompression(message.image_compression, self.id),)

    def _on_preferred_codecs(self, message: display.PreferredVideoCodecType, _now: float) -> Sequence[Event]:
        return (PreferredVideoCodecs(tuple(message.codecs), self.id),)

    def _on_stream_report(self, _message: display.StreamReport, _now: float) -> None:
        """Of a stream that there is not: spice-server (dcc.cpp) passes it over as well."""

    handlers: ClassVar[Handlers] = {
        display.Init: _on_init,
        display.PreferredCompression: _on_preferred_compression,
        display.PreferredVideoCodecType: _on_preferred_codecs,
        display.StreamReport: _on_stream_report,
    }
