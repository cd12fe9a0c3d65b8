"""Messages of the record channel: sound to the guest (spice.proto, RecordChannel)."""

from __future__ import annotations

from collections.abc import Sequence

from construct import GreedyBytes, Int8ul, Int16ul, Int32ul

from spiceemu.protocol.capabilities import ChannelType, RecordCap
from spiceemu.protocol.enums import AudioDataMode, AudioFmt
from spiceemu.protocol.layout.fields import ArrayOf, Count, EnumOf, wire
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.messages.message import Message, message

RECORD = ChannelType.RECORD


@message(RECORD, server=101, feature=Feature.PROTOCOL_MAJOR2)
class Start(Message):
    """Asks the client to record; frequency in hertz."""

    channels: int = wire(Int32ul)
    format: int = wire(EnumOf(Int16ul, AudioFmt))
    frequency: int = wire(Int32ul)


@message(RECORD, server=102, feature=Feature.PROTOCOL_MAJOR2)
class Stop(Message):
    """Asks the client to stop."""


@message(RECORD, server=103, capability=RecordCap.VOLUME, feature=Feature.VOLUME)
class Volume(Message):
    """The volume of each sound channel, 65535 being full."""

    nchannels = Count(Int8ul, "volume")
    volume: Sequence[int] = wire(ArrayOf(Int16ul, "nchannels"))


@message(RECORD, server=104, capability=RecordCap.VOLUME, feature=Feature.VOLUME)
class Mute(Message):
    """Whether recording is muted."""

    mute: int = wire(Int8ul)


@message(RECORD, client=101, feature=Feature.PROTOCOL_MAJOR2)
class Data(Message):
    """Recorded sound."""

    time: int = wire(Int32ul)
    data: bytes = wire(GreedyBytes)


@message(RECORD, client=102, feature=Feature.PROTOCOL_MAJOR2)
class Mode(Message):
    """How the sound is encoded from now on."""

    time: int = wire(Int32ul)
    mode: int = wire(EnumOf(Int16ul, AudioDataMode))
    data: bytes = wire(GreedyBytes, default=b"")


@message(RECORD, client=103, feature=Feature.PROTOCOL_MAJOR2)
class StartMark(Message):
    """When recording began, milliseconds of the multimedia clock."""

    time: int = wire(Int32ul)
