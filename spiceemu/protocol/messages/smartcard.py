"""Messages of the smartcard channel (spice.proto, SmartcardChannel)."""

from __future__ import annotations

from construct import Int32ul

from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import VscMessageType
from spiceemu.protocol.layout.fields import Blob, Count, EnumOf, wire
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.messages.message import Message, message

SMARTCARD = ChannelType.SMARTCARD


@message(SMARTCARD, server=101, feature=Feature.SMARTCARD)
class Data(Message):
    """A VSC message from the guest's reader."""

    type: int = wire(EnumOf(Int32ul, VscMessageType))
    reader_id: int = wire(Int32ul)
    length = Count(Int32ul, "data")
    data: bytes = wire(Blob("length"))


@message(SMARTCARD, client=101, feature=Feature.SMARTCARD)
class Header(Message):
    """A VSC message from the client; its ``length`` bytes of payload follow as ``trailing``."""

    type: int = wire(EnumOf(Int32ul, VscMessageType))
    reader_id: int = wire(Int32ul)
    length: int = wire(Int32ul)
