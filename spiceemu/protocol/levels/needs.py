"""What things need of a link, and the peer that has it or not: the one answer to "can it take this?".

Two things decide: the level must know a thing, and where the protocol has a capability for it, the receiver must have
announced that. The rows stand here: of messages by their declarations, of types of pictures and of video codecs by the
tables below. Who makes something asks the :class:`Peer` before; the gate
(:mod:`spiceemu.protocol.levels.gate`) asks the same peer about what is on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from spiceemu.protocol.capabilities import DisplayCap, MainCap, type_name
from spiceemu.protocol.enums import ImageType, VideoCodecType
from spiceemu.protocol.levels.channels import channels_with_window
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.messages import base, display, main, spicevmc
from spiceemu.protocol.messages.message import CLIENT, SERVER

if TYPE_CHECKING:
    from enum import IntEnum

    from spiceemu.protocol.capabilities import ChannelType
    from spiceemu.protocol.levels.level import Level
    from spiceemu.protocol.messages.message import Message


class Need(NamedTuple):
    """What something needs.

    :ivar feature: a feature of the level; every level has the one that stands here by itself.
    :ivar capability: a capability of the receiver.
    :ivar only_with: another one, without which the receiver need not have the capability.
    """

    feature: Feature = Feature.PROTOCOL_MAJOR2
    capability: IntEnum | None = None
    only_with: IntEnum | None = None


NOTHING = Need()
SURFACES = Need(Feature.SURFACES)
ALPHA_ONLY = Need(Feature.COMPOSITE, DisplayCap.A8_SURFACE)
SEVERAL_CODECS = Need(Feature.MULTI_CODEC, DisplayCap.MULTI_CODEC)
SEAMLESS = Need(Feature.SEAMLESS_MIGRATE)

IMAGE_TYPES: Mapping[int, Need] = {
    ImageType.BITMAP: NOTHING,
    ImageType.QUIC: NOTHING,
    ImageType.LZ_PLT: NOTHING,
    ImageType.LZ_RGB: NOTHING,
    ImageType.GLZ_RGB: NOTHING,
    ImageType.FROM_CACHE: NOTHING,
    ImageType.SURFACE: SURFACES,
    ImageType.JPEG: SURFACES,
    ImageType.FROM_CACHE_LOSSLESS: SURFACES,
    ImageType.ZLIB_GLZ_RGB: SURFACES,
    ImageType.JPEG_ALPHA: SURFACES,
    ImageType.LZ4: Need(Feature.LZ4_COMPRESSION, DisplayCap.LZ4_COMPRESSION),
}
"""What each type of picture needs."""

VIDEO_CODECS: Mapping[int, tuple[Need, ...]] = {
    # A client with MULTI_CODEC says of each codec whether it has it, of MJPEG as well.
    VideoCodecType.MJPEG: (Need(capability=DisplayCap.CODEC_MJPEG, only_with=DisplayCap.MULTI_CODEC),),
    VideoCodecType.VP8: (SEVERAL_CODECS, Need(capability=DisplayCap.CODEC_VP8)),
    VideoCodecType.H264: (SEVERAL_CODECS, Need(capability=DisplayCap.CODEC_H264)),
    VideoCodecType.VP9: (SEVERAL_CODECS, Need(capability=DisplayCap.CODEC_VP9)),
    VideoCodecType.H265: (SEVERAL_CODECS, Need(capability=DisplayCap.CODEC_H265)),
}
"""What each video codec needs."""

MORE_OF_MESSAGES: Mapping[tuple[str, type[Message]], tuple[Need, ...]] = {
    # The data of 0.4 and 0.6 had another layout and did not work; no release between sends any.
    (SERVER, base.Migrate): (SEAMLESS,),
    (SERVER, base.MigrateData): (SEAMLESS,),
    (CLIENT, base.MigrateFlushMark): (SEAMLESS,),
    (CLIENT, base.MigrateData): (SEAMLESS,),
    # The state that moves has the agent's tokens, so the client must know of these.
    (SERVER, main.MigrateBeginSeamless): (Need(Feature.AGENT_CONNECTED_TOKENS, MainCap.AGENT_CONNECTED_TOKENS),),
}
"""What messages need in one direction, beside what their declarations say."""


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


class Peer:
    """The receiver of what is sent on one channel.

    :param level: whose rules hold on the link.
    :param channel_type: the channel's type.
    :param capabilities: numbers of the receiver's channel capabilities that the level heeds.
    :param mini: whether messages have mini headers.
    :param local: whether the connection is a unix socket, which can carry file descriptors and needs no compression.
    :param images: what types of pictures need.
    :param videos: what video codecs need.
    """

    def __init__(
        self,
        level: Level,
        channel_type: ChannelType,
        capabilities: frozenset[int],
        *,
        mini: bool,
        local: bool = False,
        images: Mapping[int, Need] = IMAGE_TYPES,
        videos: Mapping[int, tuple[Need, ...]] = VIDEO_CODECS,
    ) -> None:
        self.level = level
        self.channel_type = channel_type
        self.capabilities = capabilities
        self.mini = mini
        self.local = local
        self.images = images
        self.videos = videos

    def __repr__(self) -> str:
        return f"<Peer on {self.channel_type.name.lower()} at {self.level.name}>"

    def takes(self, *needs: Need) -> bool:
        """Whether it has all that is needed."""
        return not self.lacks("", *needs)

    def lacks(self, what: str, *needs: Need) -> list[Breach]:
        """A breach for each part of a need that it does not have.

        :param what: what needs it, for the breach's text.
        :returns: them; none if it has all.
        """
        found = []
        for feature, capability, only_with in needs:
            if not self.level.has(feature):
                found.append(Breach(what, feature))
            asked = only_with is None or only_with in self.capabilities
            if asked and capability is not None and capability not in self.capabilities:
                found.append(Breach(what, capability=capability))
        return found

    def takes_message(self, kind: type[Message], direction: str = SERVER) -> bool:
        """Whether it takes messages of a kind, as far as that does not depend on what is in them."""
        return not self.lacks_message(kind, direction)

    def lacks_message(self, kind: type[Message], direction: str = SERVER) -> list[Breach]:
        """Why it does not take messages of a kind.

        :param direction: who sends: ``SERVER`` or ``CLIENT``.
        :returns: a breach for each reason.
        """
        spec = kind.spec
        declared = Need(spec.feature_on(self.channel_type), spec.capability)
        found = self.lacks(spec.name, declared, *MORE_OF_MESSAGES.get((direction, kind), ()))
        if spec.unless is not None and self.level.has(spec.unless):
            reason = f"is not sent at level {self.level.name}, which has {spec.unless.name}"
            found.append(Breach(spec.name, reason=reason))
        condition = CONDITIONS.get(kind)
        if condition is not None and not condition.holds(self):
            found.append(Breach(spec.name, reason=condition.reason(self)))
        return found

    def takes_image(self, kind: int) -> bool:
        """Whether it takes pictures of an :class:`~spiceemu.protocol.enums.ImageType`."""
        return not self.lacks_image(kind)

    def lacks_image(self, kind: int, where: str = "") -> list[Breach]:
        """Why it does not take pictures of a type.

        :param where: the message that has one, for the breach's text.
        :returns: a breach for each reason.
        """
        what = f"image type {getattr(kind, 'name', kind)} in {where}"
        need = self.images.get(kind)
        return [Breach(what, reason="is none of the protocol's")] if need is None else self.lacks(what, need)

    def takes_video(self, codec: int) -> bool:
        """Whether it takes videos of a :class:`~spiceemu.protocol.enums.VideoCodecType`."""
        return not self.lacks_video(codec)

    def lacks_video(self, codec: int, where: str = "") -> list[Breach]:
        """Why it does not take videos of a codec.

        :param where: the message that has one, for the breach's text.
        :returns: a breach for each reason.
        """
        what = f"video codec {getattr(codec, 'name', codec)} in {where}"
        needs = self.videos.get(codec)
        return [Breach(what, reason="is none of the protocol's")] if needs is None else self.lacks(what, *needs)


class Condition(NamedTuple):
    """What a link must be for a message, beside its level and capabilities.

    :ivar holds: whether a peer's link is so.
    :ivar reason: what to say where it is not.
    """

    holds: Callable[[Peer], bool]
    reason: Callable[[Peer], str]


def _windows(peer: Peer) -> str:
    there = " and ".join(type_name(channel) for channel in channels_with_window(peer.level.facts))
    return f"is sent on {there} channels only"


_ON_PLAIN_UNIX_SOCKETS = Condition(lambda peer: peer.local, lambda _: "travels on plain unix sockets only")

CONDITIONS: Mapping[type[Message], Condition] = {
    base.SetAck: Condition(lambda peer: peer.channel_type in channels_with_window(peer.level.facts), _windows),
    base.List: Condition(
        lambda peer: peer.mini, lambda _: "travels with mini headers only, full ones have room for a list"
    ),
    display.GlScanoutUnix: _ON_PLAIN_UNIX_SOCKETS,
    display.GlDraw: _ON_PLAIN_UNIX_SOCKETS,
    spicevmc.CompressedData: Condition(lambda peer: not peer.local, lambda _: "does not travel on unix sockets"),
}
"""The messages that not every link of their channel carries."""
