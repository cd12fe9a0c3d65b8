"""Rules of display channels: INIT, surfaces, the picture cache, videos, monitors.

Sources: sections 5, 6, 10 and 11 of the notes on releases; spice-server's ``dcc.c`` and ``dcc-send.c``, spice-gtk's
``channel-display.c``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from spiceemu.judge.memory import Remembered
from spiceemu.judge.rules import ChannelRules, Handler, Owed, Scene, not_a_target
from spiceemu.protocol.capabilities import DisplayCap
from spiceemu.protocol.enums import ImageFlags, ImageType, SurfaceFlags
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.levels.gate import images_of
from spiceemu.protocol.levels.needs import Breach
from spiceemu.protocol.messages import base, display, draw
from spiceemu.protocol.messages.message import CLIENT, SERVER, Message
from spiceemu.protocol.messages.types import Image, SurfaceImage

MAX_STREAMS = 64
"""Ids of videos lie below it (``SPICE_MAX_NUM_STREAMS``); clients keep a table of that size."""

MAX_SURFACES = 10_000
"""Ids of surfaces lie below it (``NUM_SURFACES`` of 0.6 to 0.12)."""

MAX_SURFACES_NOW = 1024
"""And below this in 0.14 and later."""

PRIMARY = 0

BEFORE_INIT = (base.SetAck, base.Ping)
"""What a server says to a client that has not yet sent INIT."""

BEFORE_MARK = (display.MonitorsConfig, display.Mark)
"""What stands between the first picture of a new primary and its MARK, and that itself."""

FROM_CACHE = (ImageType.FROM_CACHE, ImageType.FROM_CACHE_LOSSLESS)


@dataclass(slots=True)
class SeenPrimary:
    """A primary, from SURFACE_CREATE or MODE on.

    :ivar drawn: whether it was drawn on before MARK.
    :ivar followed: whether more came behind that than what stands before MARK.
    :ivar marked: whether MARK showed it, or nobody knows.
    """

    marked: bool
    drawn: bool = False
    followed: bool = False


class DisplayRules(ChannelRules):
    """One display channel."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._ready = False  # the client has sent INIT, or its state, or should have
        self._initialised = False
        self._surfaces = Remembered()
        self._screen = SeenPrimary(marked=True)  # the primary that was made last; there was none
        self._marked_ahead = False  # by a MARK without a primary
        self._forgot_palettes = False
        self._assumed: set[int] = set()  # surfaces that were named without having been created
        self._cache = Remembered(complete=False)
        self._streams = Remembered()
        self._reports = Remembered(complete=scene.session.whole)
        self._monitors_due = all(DisplayCap.MONITORS_CONFIG in side for side in (scene.client, scene.server))

    def judge(self, direction: str, message: Message) -> Iterator[Breach | Owed]:
        """What is wrong with a message at this point."""
        if not self._ready:
            yield from self._opening(direction, message)
        if direction == SERVER and self._screen.drawn and not isinstance(message, BEFORE_MARK):
            self._screen.followed = True
        yield from super().judge(direction, message)

    def _opening(self, direction: str, message: Message) -> Iterator[Breach]:
        """The client speaks first: INIT, or behind a seamless migration the state of the channel."""
        name = message.spec.name
        if direction == SERVER and not isinstance(message, BEFORE_INIT):
            self._ready = True
            yield Breach(name, reason="comes before display.Init of the client")
        elif direction == CLIENT and not isinstance(
            message, display.Init | base.MigrateData | base.AckSync | base.Ack | base.Pong
        ):
            self._ready = True
            yield Breach(name, reason="comes before display.Init")

    def init(self, message: display.Init) -> Iterator[Breach]:
        """INIT comes once."""
        if self._initialised:
            yield Breach(message.spec.name, reason="comes again")
        self._ready = self._initialised = True
        self._cache = self.session.cache(message.pixmap_cache_id)

    def state_arrives(self, message: base.MigrateData) -> Iterator[Breach]:
        """MIGRATE_DATA of the client: what the client has is in there, and not read."""
        if self.session.whole:
            yield not_a_target(message)
        self._ready = self._initialised = True
        self._monitors_due = False
        for known in (self._surfaces, self._streams, self._reports):
            known.forget()

    # Surfaces

    def mode(self, message: display.Mode) -> Iterator[Breach]:
        """MODE makes the primary where there are no surfaces."""
        if self._surfaces.was_added(PRIMARY) and not self.level.has(Feature.SURFACES):  # else it is the fault itself
            yield Breach(message.spec.name, reason="comes while there is a screen, without display.Reset before it")
        self._create(PRIMARY)

    def reset(self, _message: display.Reset) -> Iterator[Breach]:
        """RESET unmakes the primary where there are no surfaces."""
        self._destroy(PRIMARY)
        yield from ()

    def surface_create(self, message: display.SurfaceCreate) -> Iterator[Breach]:
        """SURFACE_CREATE: once until SURFACE_DESTROY, the primary being 0."""
        name, number = message.spec.name, message.surface_id
        limit = MAX_SURFACES_NOW if self.level.has(Feature.MULTI_CODEC) else MAX_SURFACES
        if number >= limit:
            yield Breach(name, reason=f"has surface_id {number}, they lie below {limit}")
        if self._surfaces.was_added(number):
            yield Breach(name, reason=f"creates surface {number}, which is there")
        if bool(message.flags & SurfaceFlags.PRIMARY) is not (number == PRIMARY):
            yield Breach(name, reason=f"of surface {number} has flags {message.flags}: the primary is surface 0")
        self._create(number)

    def _create(self, number: int) -> None:
        self._assumed.discard(number)
        self._surfaces.add(number)
        if number == PRIMARY:
            self._screen = SeenPrimary(marked=self._marked_ahead)
            self._marked_ahead = False

    def surface_destroy(self, message: display.SurfaceDestroy) -> Iterator[Breach]:
        """SURFACE_DESTROY of one that is there."""
        if not self._is_there(message.surface_id):
            yield Breach(message.spec.name, reason=f"destroys surface {message.surface_id}, which is not there")
        self._assumed.discard(message.surface_id)
        self._destroy(message.surface_id)

    def _destroy(self, number: int) -> None:
        self._surfaces.discard(number)
        if number == PRIMARY:
            self._screen = SeenPrimary(marked=True)

    def _is_there(self, number: int) -> bool:
        return number in self._surfaces or number in self._assumed

    def _surface(self, message: Message, number: int, does: str) -> Iterator[Breach]:
        """A surface that a message names."""
        if not self._is_there(number):
            if len(self._assumed) < MAX_SURFACES:
                self._assumed.add(number)
            yield Breach(message.spec.name, reason=f"{does} surface {number}, which is not there")

    def mark(self, message: display.Mark) -> Iterator[Breach]:
        """MARK shows the primary, and behind it a client waits for nothing more."""
        self._screen.marked = True
        if not self._is_there(PRIMARY):
            self._marked_ahead = True
            yield Breach(message.spec.name, reason="comes without a primary surface")
        if self._monitors_due:
            self._monitors_due = False
            reason = "comes without display.MonitorsConfig before it, which both sides have and the client waits for"
            yield Breach(message.spec.name, reason=reason)

    def monitors_config(self, _message: display.MonitorsConfig) -> Iterator[Breach]:
        """MONITORS_CONFIG, which whoever offers it owes."""
        self._monitors_due = False
        yield from ()

    # Drawing and the picture cache

    def inval_all_palettes(self, _message: display.InvalAllPalettes) -> Iterator[Breach]:
        """INVAL_ALL_PALETTES comes before the first picture."""
        self._forgot_palettes = True
        yield from ()

    def drawing(self, message: Any) -> Iterator[Breach | Owed]:
        """A message that draws."""
        number = message.base.surface_id
        yield from self._surface(message, number, "draws to")
        if number == PRIMARY and not (self._screen.marked or self._screen.drawn):
            yield from self._draws_on_screen(message)
        for image in filter(None, images_of(message)):
            yield from self._picture(message, image)

    def _draws_on_screen(self, message: Message) -> Iterator[Breach | Owed]:
        """The first drawing on a primary that MARK has not shown: a real server has it ready with the primary."""
        screen, name = self._screen, message.spec.name
        screen.drawn = True
        if not self._forgot_palettes and self.session.whole:
            self._forgot_palettes = True
            reason = "comes before display.InvalAllPalettes, with which a display that has a picture begins"
            yield Breach(name, reason=reason)
        breach = Breach(name, reason="draws on a primary that no display.Mark ever shows")
        yield Owed(display.Mark, breach, lambda: self._screen is screen and screen.followed and not screen.marked)

    def _picture(self, message: Message, image: Image) -> Iterator[Breach]:
        descriptor = image.descriptor
        if isinstance(image.u, SurfaceImage):
            yield from self._surface(message, image.u.surface_id, "takes its picture from")
        if descriptor.type in FROM_CACHE and descriptor.id not in self._cache:
            self._cache.add(descriptor.id)
            reason = f"takes picture {descriptor.id:#x} from the cache, where it is not: the client waits for ever"
            yield Breach(message.spec.name, reason=reason)
        if descriptor.flags & ImageFlags.CACHE_ME:
            self._cache.add(descriptor.id)

    def inval_list(self, message: display.InvalList) -> Iterator[Breach]:
        """INVAL_LIST takes pictures out of the cache."""
        for resource in message.resources:
            self._cache.discard(resource.id)
        yield from ()

    def inval_all(self, _message: display.InvalAllPixmaps) -> Iterator[Breach]:
        """INVAL_ALL_PIXMAPS empties the cache."""
        self._cache.clear()
        yield from ()

    # Videos

    def stream_create(self, message: display.StreamCreate) -> Iterator[Breach]:
        """STREAM_CREATE of an id that is free, on a surface that is there."""
        name, number = message.spec.name, message.id
        yield from self._surface(message, message.surface_id, "shows a video on")
        if number >= MAX_STREAMS:
            yield Breach(name, reason=f"has id {number}, they lie below {MAX_STREAMS}")
        if self._streams.was_added(number):
            yield Breach(name, reason=f"creates video {number}, which is there")
        self._streams.add(number)

    def stream_data(self, message: display.StreamData | display.StreamDataSized) -> Iterator[Breach]:
        """STREAM_DATA of a video that is there."""
        return self._stream(message, message.base.id)

    def stream_clip(self, message: display.StreamClip) -> Iterator[Breach]:
        """STREAM_CLIP of a video that is there."""
        return self._stream(message, message.id)

    def stream_destroy(self, message: display.StreamDestroy) -> Iterator[Breach]:
        """STREAM_DESTROY of a video that is there."""
        yield from self._stream(message, message.id)
        self._streams.discard(message.id)

    def stream_destroy_all(self, _message: display.StreamDestroyAll) -> Iterator[Breach]:
        """STREAM_DESTROY_ALL."""
        self._streams.clear()
        yield from ()

    def _stream(self, message: Message, number: int) -> Iterator[Breach]:
        if number not in self._streams:
            self._streams.add(number)
            yield Breach(message.spec.name, reason=f"is of video {number}, which is not there")

    def activate_report(self, message: display.StreamActivateReport) -> Iterator[Breach]:
        """STREAM_ACTIVATE_REPORT of a video that is there."""
        self._reports.add(message.stream_id)
        return self._stream(message, message.stream_id)

    def report(self, message: display.StreamReport) -> Iterator[Breach]:
        """STREAM_REPORT of a video whose reports were asked for."""
        if message.stream_id not in self._reports:
            self._reports.add(message.stream_id)
            yield Breach(
                message.spec.name, reason=f"is of video {message.stream_id}, of which nobody asked for reports"
            )

    handlers: ClassVar[Mapping[tuple[str, type[Message]], Handler]] = {
        (CLIENT, display.Init): init,
        (CLIENT, base.MigrateData): state_arrives,
        (SERVER, display.Mode): mode,
        (SERVER, display.Reset): reset,
        (SERVER, display.SurfaceCreate): surface_create,
        (SERVER, display.SurfaceDestroy): surface_destroy,
        (SERVER, display.Mark): mark,
        (SERVER, display.MonitorsConfig): monitors_config,
        (SERVER, display.InvalList): inval_list,
        (SERVER, display.InvalAllPixmaps): inval_all,
        (SERVER, display.InvalAllPalettes): inval_all_palettes,
        (SERVER, display.StreamCreate): stream_create,
        (SERVER, display.StreamData): stream_data,
        (SERVER, display.StreamDataSized): stream_data,
        (SERVER, display.StreamClip): stream_clip,
        (SERVER, display.StreamDestroy): stream_destroy,
        (SERVER, display.StreamDestroyAll): stream_destroy_all,
        (SERVER, display.StreamActivateReport): activate_report,
        (CLIENT, display.StreamReport): report,
        **dict.fromkeys(((SERVER, kind) for kind in draw.DRAWINGS), drawing),
    }
