"""What a peer permits in a message, beyond its layout: whether a message that is there may travel.

The server asks before it sends, so that a message by hand is refused with its reason; the judge of streams asks of
streams that others made. What decides are the needs of :mod:`spiceemu.protocol.levels.needs`, which whoever makes a
message has asked before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from spiceemu.protocol.capabilities import PlaybackCap, RecordCap, channel_name
from spiceemu.protocol.enums import AudioDataMode, BitmapFmt, SurfaceFlags, SurfaceFmt
from spiceemu.protocol.layout.fields import Choice, PointerTo, is_record
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.levels.needs import (
    ALPHA_ONLY,
    SEVERAL_CODECS,
    SURFACES,
    Breach,
    Need,
)
from spiceemu.protocol.messages import display, draw, main, playback, record
from spiceemu.protocol.messages.types import BitmapData, Image

if TYPE_CHECKING:
    from spiceemu.protocol.layout.fields import Record
    from spiceemu.protocol.levels.needs import Peer
    from spiceemu.protocol.messages.message import Message
    from spiceemu.protocol.messages.types import ChannelId


class Gate:
    """Judges the messages of one direction of one channel.

    :param peer: who is to receive them, and what it can take.
    :param direction: ``SERVER`` or ``CLIENT``: who sends.
    """

    def __init__(self, peer: Peer, direction: str) -> None:
        self.peer = peer
        self.direction = direction
        self._judges: dict[type[Message], Callable[[Any], Iterable[Breach]]] = {}
        self._has_surfaces = peer.takes(SURFACES)

    @cached_property
    def _taken_images(self) -> frozenset[int]:  # asked for by drawings: most gates see none
        return frozenset(filter(self.peer.takes_image, self.peer.images))

    def breaches(self, message: Message) -> list[Breach]:
        """What may not travel in a message, the message itself first; empty where all is well."""
        kind = type(message)
        judge = self._judges.get(kind)
        if judge is None:
            judge = self._judges[kind] = self._make_judge(kind)
        return [*judge(message)]

    def _make_judge(self, kind: type[Message]) -> Callable[[Any], Iterable[Breach]]:
        """What judges messages of a kind: what is known of all of them, then the contents of each."""
        always = self.peer.lacks_message(kind, self.direction)
        content = _CONTENTS.get(kind)
        if content is None:
            return lambda _message: always or ()
        look = partial(content, self)
        return (lambda message: [*always, *look(message)]) if always else look

    # Contents

    def drawing(self, message: Any) -> Iterable[Breach]:
        """A DRAW message: its surface, its pictures. Most have nothing to look at twice, and should not wait for it."""
        taken = self._taken_images
        if self._has_surfaces or not message.base.surface_id:
            for image in images_of(message):
                if image is None:
                    continue
                if image.descriptor.type not in taken or getattr(image.u, "format", None) == BitmapFmt.FMT_8BIT_A:
                    break
            else:
                return ()
        return self._drawing(message)

    def _drawing(self, message: Any) -> Iterator[Breach]:
        yield from self.surface(message, message.base.surface_id)
        for image in filter(None, images_of(message)):
            yield from self.peer.lacks_image(image.descriptor.type, message.spec.name)
            if isinstance(image.u, BitmapData) and image.u.format == BitmapFmt.FMT_8BIT_A:
                yield from self.peer.lacks(f"a bitmap of alpha in {message.spec.name}", ALPHA_ONLY)

    def alpha_blend(self, message: draw.DrawAlphaBlend) -> Iterator[Breach]:
        """DRAW_ALPHA_BLEND got its flags together with surfaces."""
        yield from self.drawing(message)
        if message.data.alpha_flags:
            yield from self.peer.lacks(f"alpha_flags of {message.spec.name}", SURFACES)

    def surface(self, message: Message, surface_id: int) -> Iterator[Breach]:
        """A surface that a message names."""
        if surface_id:
            yield from self.peer.lacks(f"surface_id {surface_id} in {message.spec.name}", SURFACES)

    def channels_list(self, message: main.ChannelsList) -> Iterator[Breach]:
        """CHANNELS_LIST names channels."""
        for channel in message.channels:
            yield from self.channel(channel)

    def channel(self, channel: ChannelId) -> Iterator[Breach]:
        """A channel that CHANNELS_LIST names: its type, and being one of several."""
        what = f"channel {channel_name(channel.type, channel.id)} in main.ChannelsList"
        facts = self.peer.level.facts.get(channel.type)
        if facts is None:
            yield Breach(what, reason="is of a type that no server has")
            return
        yield from self.peer.lacks(what, Need(facts.feature))
        if channel.id:
            yield from self.peer.lacks(what, Need(facts.several))

    def stream_create(self, message: display.StreamCreate) -> Iterator[Breach]:
        """STREAM_CREATE: its surface, its codec."""
        yield from self.surface(message, message.surface_id)
        yield from self.peer.lacks_video(message.codec_type, message.spec.name)

    def surface_create(self, message: display.SurfaceCreate) -> Iterator[Breach]:
        """SURFACE_CREATE: a flag and a format that came later."""
        if message.flags & SurfaceFlags.STREAMING_MODE:
            yield from self.peer.lacks(f"flag STREAMING_MODE in {message.spec.name}", SEVERAL_CODECS)
        if message.format == SurfaceFmt.FMT_8_A:
            yield from self.peer.lacks(f"format 8_A in {message.spec.name}", ALPHA_ONLY)

    def sound_mode(self, message: playback.Mode | record.Mode) -> Iterator[Breach]:
        """The codec of sound, either way."""
        caps: type[PlaybackCap | RecordCap] = PlaybackCap if isinstance(message, playback.Mode) else RecordCap
        if message.mode == AudioDataMode.CELT_0_5_1:
            yield from self.peer.lacks(f"CELT in {message.spec.name}", Need(capability=caps.CELT_0_5_1))
            if self.peer.level.has(Feature.WITHOUT_CELT):
                yield Breach(f"CELT in {message.spec.name}", reason=f"is gone from level {self.peer.level.name}")
        elif message.mode == AudioDataMode.OPUS:
            yield from self.peer.lacks(f"Opus in {message.spec.name}", Need(Feature.OPUS, caps.OPUS))


_Content: TypeAlias = Callable[[Gate, Any], Iterable[Breach]]

_CONTENTS: dict[type[Message], _Content] = {
    main.ChannelsList: Gate.channels_list,
    **dict.fromkeys(draw.DRAWINGS, Gate.drawing),
    draw.DrawAlphaBlend: Gate.alpha_blend,
    display.StreamCreate: Gate.stream_create,
    display.SurfaceCreate: Gate.surface_create,
    playback.Mode: Gate.sound_mode,
    record.Mode: Gate.sound_mode,
}
"""The messages whose contents came at different levels."""


Finder: TypeAlias = "Callable[[Any], tuple[Image | None, ...]]"

_finders: dict[type[Message], Finder] = {}


def images_of(message: Message) -> tuple[Image | None, ...]:
    """Every place for a picture in a display's message: sources, masks and patterns; None where there is none."""
    kind = type(message)
    find = _finders.get(kind)
    if find is None:
        find = _finders[kind] = _finder(kind)
    return find(message)


def _finder(kind: type[Message]) -> Finder:
    """A function that finds the pictures in messages of a kind, written as text: every drawing is looked through."""
    places = "".join(f"{_expression(path)}, " for path in _paths_to_images(kind))
    find: Finder = eval(f"lambda message: ({places})")  # noqa: S307 - our own text
    return find


def _expression(path: tuple[str, ...]) -> str:
    """What reads a path of attributes. Behind a choice, ``u``, a picture is there in one of the cases only."""
    expression = "message"
    for before, name in pairwise(("", *path)):
        expression = f"getattr({expression}, {name!r}, None)" if before == "u" else f"{expression}.{name}"
    return expression


def _paths_to_images(record_type: type[Record]) -> Iterator[tuple[str, ...]]:
    """The attributes that lead to each picture of a record, those of a choice's cases included."""
    for field in record_type.wire_fields:
        layout: Any = field.layout
        targets: list[Any] = [case.target for case in layout.cases] if isinstance(layout, Choice) else [layout]
        for target in targets:
            inner = target.target if isinstance(target, PointerTo) else target
            if inner is Image:
                yield (field.name,)
            elif is_record(inner):
                yield from ((field.name, *rest) for rest in _paths_to_images(inner))
