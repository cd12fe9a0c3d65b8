"""Messages of the playback channel: sound from the guest (spice.proto, PlaybackChannel)."""

from __future__ import annotations

from collections.abc import Sequence

from construct import GreedyBytes, Int8ul, Int16ul, Int32ul

from spiceemu.protocol.capabilities import ChannelType, PlaybackCap
from spiceemu.protocol.enums import AudioDataMode, AudioFmt
from spiceemu.protocol.layout.fields import ArrayOf, Count, EnumOf, wire
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.messages.message import Message, message

PLAYBACK = ChannelType.PLAYBACK


@message(PLAYBACK, server=101, feature=Feature.PROTOCOL_MAJOR2)
class Data(Message):
    """Sound to play at ``time``, milliseconds of the multimedia clock."""

    time: int = wire(Int32ul)
    data: bytes = wire(GreedyBytes)


@message(PLAYBACK, server=102, feature=Feature.PROTOCOL_MAJOR2)
class Mode(Message):
    """How the sound is encoded from now on."""

    time: int = wire(Int32ul)
    mode: int = wire(EnumOf(Int16ul, AudioDataMode))
    data: bytes = wire(GreedyBytes, default=b"")


@message(PLAYBACK, server=103, feature=Feature.PROTOCOL_MAJOR2)
class Start(Message):
    """Sound begins; frequency in hertz."""

    channels: int = wire(Int32ul)
    format: int = wire(EnumOf(Int16ul, AudioFmt))
    frequency: int = wire(Int32ul)
    time: int = wire(Int32ul)


@message(PLAYBACK, server=104, feature=Feature.PROTOCOL_MAJOR2)
class Stop(Message):
    """Sound ends."""


@message(PLAYBACK, server=105, capability=PlaybackCap.VOLUME, feature=Feature.VOLUME)
class Volume(Message):
    """The volume of each sound channel, 65535 being full."""

    nchannels = Count(Int8ul, "volume")
    volume: Sequence[int] = wire(ArrayOf(Int16ul, "nchannels"))


@message(PLAYBACK, server=106, capability=PlaybackCap.VOLUME, feature=Feature.VOLUME)
class Mute(Message):
    """Whether the sound is muted."""

    mute: int = wire(Int8ul)


@message(PLAYBACK, server=107, capability=PlaybackCap.LATENCY, feature=Feature.PLAYBACK_LATENCY)
class Latency(Message):
    """How far ahead of the picture sound shall be kept, in milliseconds."""

    latency_ms: int = wire(Int32ul)
