"""What a level permits in a message, beyond its layout: the one answer to "may this travel here?".

The server asks before it sends, so that a message by hand is refused with its reason; the judge of streams asks of
streams that others made. Two things decide: the level must know the message and what is in it, and where the protocol
has a capability for it, the receiver must have announced that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from spiceemu.protocol.capabilities import DisplayCap, MainCap, PlaybackCap, RecordCap, is_channel_type, type_name
from spiceemu.protocol.enums import AudioDataMode, BitmapFmt, ImageType, SurfaceFlags, SurfaceFmt, VideoCodecType
from spiceemu.protocol.layout.fields import Choice, Pointer, is_record
from spiceemu.protocol.levels.channels import channels_with_window
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.messages import base, display, draw, main, playback, record, spicevmc
from spiceemu.protocol.messages.message import CLIENT, SERVER
from spiceemu.protocol.messages.types import BitmapData, Image

if TYPE_CHECKING:
    from enum import IntEnum

    from spiceemu.protocol.capabilities import ChannelType
    from spiceemu.protocol.layout.fields import Record
    from spiceemu.protocol.levels.level import Level
    from spiceemu.protocol.messages.message import Message
    from spiceemu.protocol.messages.types import ChannelId

    Need: TypeAlias = "tuple[Feature, IntEnum | None]"

MAJOR2, SURFACES = Feature.PROTOCOL_MAJOR2, Feature.SURFACES

IMAGE_TYPES: Mapping[int, Need] = {
    ImageType.BITMAP: (MAJOR2, None),
    ImageType.QUIC: (MAJOR2, None),
    ImageType.LZ_PLT: (MAJOR2, None),
    ImageType.LZ_RGB: (MAJOR2, None),
    ImageType.GLZ_RGB: (MAJOR2, None),
    ImageType.FROM_CACHE: (MAJOR2, None),
    ImageType.SURFACE: (SURFACES, None),
    ImageType.JPEG: (SURFACES, None),
    ImageType.FROM_CACHE_LOSSLESS: (SURFACES, None),
    ImageType.ZLIB_GLZ_RGB: (SURFACES, None),
    ImageType.JPEG_ALPHA: (SURFACES, None),
    ImageType.LZ4: (Feature.LZ4_COMPRESSION, DisplayCap.LZ4_COMPRESSION),
}
"""What each type of picture needs: a feature of the level, a capability of the client."""

CODECS: Mapping[int, Need] = {
    VideoCodecType.MJPEG: (MAJOR2, None),
    VideoCodecType.VP8: (Feature.MULTI_CODEC, DisplayCap.CODEC_VP8),
    VideoCodecType.H264: (Feature.MULTI_CODEC, DisplayCap.CODEC_H264),
    VideoCodecType.VP9: (Feature.MULTI_CODEC, DisplayCap.CODEC_VP9),
    VideoCodecType.H265: (Feature.MULTI_CODEC, DisplayCap.CODEC_H265),
}
"""What each video codec needs; all but MJPEG need MULTI_CODEC of the client as well."""

ALPHA_ONLY: Need = (Feature.COMPOSITE, DisplayCap.A8_SURFACE)


class Breach(NamedTuple):
    """Something that may not travel.

    :ivar what: it, such as ``display.MonitorsConfig`` or ``image type LZ4 in display.DrawCopy``.
    :ivar feature: the feature that the level lacks.
    :ivar capability: the capability that the receiver did not announce.
    :ivar reason: where it is neither.
    """

    what: str
    feature: Feature | None = None
    capability: IntEnum | None = None
    reason: str = ""

    def explain(self, level: Level) -> str:
        """The whole sentence."""
        if self.feature is not None:
            return f"{self.what} needs {self.feature.name}, which level {level.name} does not have"
        if self.capability is not None:
            owner = type(self.capability).__name__
            return f"{self.what} needs {owner}.{self.capability.name}, which the receiver did not announce"
        return f"{self.what} {self.reason}"


class Gate:
    """Judges the messages of one direction of one channel.

    :param level: whose rules they are.
    :param channel: its type.
    :param direction: ``SERVER`` or ``CLIENT``: who sends.
    :param capabilities: numbers of the receiver's channel capabilities.
    :param mini: whether messages have mini headers.
    :param local: whether the connection is a unix socket, which can carry file descriptors and needs no compression.
    """

    def __init__(
        self,
        level: Level,
        channel: ChannelType,
        direction: str,
        capabilities: frozenset[int],
        *,
        mini: bool,
        local: bool = False,
    ) -> None:
        self.level = level
        self.channel_type = channel
        self.direction = direction
        self.capabilities = capabilities
        self.mini = mini
        self.local = local
        self._judges: dict[type[Message], Callable[[Any], Iterable[Breach]]] = {}
        self._has_surfaces = level.has(SURFACES)
        self._plain_images = frozenset(kind for kind, need in IMAGE_TYPES.items() if not self.needs("", need))

    def breaches(self, message: Message) -> list[Breach]:
        """What may not travel in a message, the message itself first; empty where all is well."""
        kind = type(message)
        judge = self._judges.get(kind)
        if judge is None:
            judge = self._judges[kind] = self._make_judge(kind)
        return [*judge(message)]

    def _make_judge(self, kind: type[Message]) -> Callable[[Any], Iterable[Breach]]:
        """What judges messages of a kind: what is known of all of them, then the contents of each."""
        always = self._judge(kind)
        content = _CONTENTS.get(kind)
        if content is None:
            return lambda _message: always or ()
        look = partial(content, self)
        return (lambda message: [*always, *look(message)]) if always else look

    def _judge(self, kind: type[Message]) -> list[Breach]:
        """What can be said of a message by its kind alone."""
        spec = kind.spec
        found = self.needs(spec.name, (spec.feature_on(self.channel_type), spec.capability))
        for need in _NEEDS.get((self.direction, kind), ()):
            found += self.needs(spec.name, need)
        if spec.unless is not None and self.level.has(spec.unless):
            reason = f"is not sent at level {self.level.name}, which has {spec.unless.name}"
            found.append(Breach(spec.name, reason=reason))
        if kind is base.SetAck and self.channel_type not in (there := channels_with_window(self.level.facts)):
            names = " and ".join(type_name(channel) for channel in there)
            found.append(Breach(spec.name, reason=f"is sent on {names} channels only"))
        if kind is base.List and not self.mini:
            found.append(Breach(spec.name, reason="travels with mini headers only, full ones have room for a list"))
        if kind in (display.GlScanoutUnix, display.GlDraw) and not self.local:
            found.append(Breach(spec.name, reason="travels on plain unix sockets only"))
        if kind is spicevmc.CompressedData and self.local:
            found.append(Breach(spec.name, reason="does not travel on unix sockets"))
        return found

    def needs(self, what: str, need: Need) -> list[Breach]:
        """A breach for each part of a need that is not there."""
        feature, capability = need
        found = []
        if not self.level.has(feature):
            found.append(Breach(what, feature))
        if capability is not None and capability not in self.capabilities:
            found.append(Breach(what, capability=capability))
        return found

    # Contents

    def drawing(self, message: Any) -> Iterable[Breach]:
        """A DRAW message: its surface, its pictures. Most have nothing to look at twice, and should not wait for it."""
        plain = self._plain_images
        if self._has_surfaces or not message.base.surface_id:
            for image in images_of(message):
                if image is None:
                    continue
                if image.descriptor.type not in plain or getattr(image.u, "format", None) == BitmapFmt.FMT_8BIT_A:
                    break
            else:
                return ()
        return self._drawing(message)

    def _drawing(self, message: Any) -> Iterator[Breach]:
        yield from self.surface(message, message.base.surface_id)
        for image in filter(None, images_of(message)):
            kind = image.descriptor.type
            need = IMAGE_TYPES.get(kind)
            name = getattr(kind, "name", kind)
            if need is None:
                yield Breach(f"image type {name} in {message.spec.name}", reason="is none of the protocol's")
            elif need != (MAJOR2, None):
                yield from self.needs(f"image type {name} in {message.spec.name}", need)
            elif isinstance(image.u, BitmapData) and image.u.format == BitmapFmt.FMT_8BIT_A:
                yield from self.needs(f"a bitmap of alpha in {message.spec.name}", ALPHA_ONLY)

    def alpha_blend(self, message: draw.DrawAlphaBlend) -> Iterator[Breach]:
        """DRAW_ALPHA_BLEND got its flags together with surfaces."""
        yield from self.drawing(message)
        if message.data.alpha_flags:
            yield from self.needs(f"alpha_flags of {message.spec.name}", (SURFACES, None))

    def surface(self, message: Message, surface_id: int) -> Iterator[Breach]:
        """A surface that a message names."""
        if surface_id:
            yield from self.needs(f"surface_id {surface_id} in {message.spec.name}", (SURFACES, None))

    def channels_list(self, message: main.ChannelsList) -> Iterator[Breach]:
        """CHANNELS_LIST names channels."""
        for channel in message.channels:
            yield from self.channel(channel)

    def channel(self, channel: ChannelId) -> Iterator[Breach]:
        """A channel that CHANNELS_LIST names: its type, and being one of several."""
        kind = type_name(channel.type) if is_channel_type(channel.type) else channel.type
        what = f"channel {kind}:{channel.id} in main.ChannelsList"
        facts = self.level.facts.get(channel.type)
        if facts is None:
            yield Breach(what, reason="is of a type that no server has")
            return
        yield from self.needs(what, (facts.feature, None))
        if channel.id:
            yield from self.needs(what, (facts.several, None))

    def copy_bits(self, message: draw.CopyBits) -> Iterator[Breach]:
        """COPY_BITS names a surface."""
        return self.surface(message, message.base.surface_id)

    def stream_create(self, message: display.StreamCreate) -> Iterator[Breach]:
        """STREAM_CREATE: its surface, its codec."""
        yield from self.surface(message, message.surface_id)
        codec = message.codec_type
        what = f"video codec {getattr(codec, 'name', codec)} in {message.spec.name}"
        need = CODECS.get(codec)
        if need is None:
            yield Breach(what, reason="is none of the protocol's")
        elif codec != VideoCodecType.MJPEG:
            yield from self.needs(what, (Feature.MULTI_CODEC, DisplayCap.MULTI_CODEC))
            yield from self.needs(what, (MAJOR2, need[1]))
        elif DisplayCap.MULTI_CODEC in self.capabilities:  # such a client says of each codec whether it has it
            yield from self.needs(what, (MAJOR2, DisplayCap.CODEC_MJPEG))

    def surface_create(self, message: display.SurfaceCreate) -> Iterator[Breach]:
        """SURFACE_CREATE: a flag and a format that came later."""
        if message.flags & SurfaceFlags.STREAMING_MODE:
            what = f"flag STREAMING_MODE in {message.spec.name}"
            yield from self.needs(what, (Feature.MULTI_CODEC, DisplayCap.MULTI_CODEC))
        if message.format == SurfaceFmt.FMT_8_A:
            yield from self.needs(f"format 8_A in {message.spec.name}", ALPHA_ONLY)

    def begin_seamless(self, message: main.MigrateBeginSeamless) -> Iterator[Breach]:
        """MIGRATE_BEGIN_SEAMLESS: the state that moves has the agent's tokens, so the client must know of these."""
        need = Feature.AGENT_CONNECTED_TOKENS, MainCap.AGENT_CONNECTED_TOKENS
        yield from self.needs(message.spec.name, need)

    def sound_mode(self, message: playback.Mode | record.Mode) -> Iterator[Breach]:
        """The codec of sound, either way."""
        caps: type[PlaybackCap | RecordCap] = PlaybackCap if isinstance(message, playback.Mode) else RecordCap
        if message.mode == AudioDataMode.CELT_0_5_1:
            yield from self.needs(f"CELT in {message.spec.name}", (MAJOR2, caps.CELT_0_5_1))
            if self.level.has(Feature.WITHOUT_CELT):
                yield Breach(f"CELT in {message.spec.name}", reason=f"is gone from level {self.level.name}")
        elif message.mode == AudioDataMode.OPUS:
            yield from self.needs(f"Opus in {message.spec.name}", (Feature.OPUS, caps.OPUS))


Content: TypeAlias = Callable[[Gate, Any], Iterable[Breach]]

SEAMLESS: tuple[Need, ...] = ((Feature.SEAMLESS_MIGRATE, None),)

_NEEDS: Mapping[tuple[str, type[Message]], tuple[Need, ...]] = {
    # The data of 0.4 and 0.6 had another layout and did not work; no release between sends any.
    (SERVER, base.Migrate): SEAMLESS,
    (SERVER, base.MigrateData): SEAMLESS,
    (CLIENT, base.MigrateFlushMark): SEAMLESS,
    (CLIENT, base.MigrateData): SEAMLESS,
}
"""What messages need in one direction, beside what their declarations say."""

_CONTENTS: dict[type[Message], Content] = {
    main.ChannelsList: Gate.channels_list,
    draw.CopyBits: Gate.copy_bits,
    draw.DrawFill: Gate.drawing,
    draw.DrawOpaque: Gate.drawing,
    draw.DrawCopy: Gate.drawing,
    draw.DrawBlend: Gate.drawing,
    draw.DrawBlackness: Gate.drawing,
    draw.DrawWhiteness: Gate.drawing,
    draw.DrawInvers: Gate.drawing,
    draw.DrawRop3: Gate.drawing,
    draw.DrawStroke: Gate.drawing,
    draw.DrawText: Gate.drawing,
    draw.DrawTransparent: Gate.drawing,
    draw.DrawAlphaBlend: Gate.alpha_blend,
    draw.DrawComposite: Gate.drawing,
    display.StreamCreate: Gate.stream_create,
    display.SurfaceCreate: Gate.surface_create,
    main.MigrateBeginSeamless: Gate.begin_seamless,
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
            inner = target.target if isinstance(target, Pointer) else target
            if inner is Image:
                yield (field.name,)
            elif is_record(inner):
                yield from ((field.name, *rest) for rest in _paths_to_images(inner))
