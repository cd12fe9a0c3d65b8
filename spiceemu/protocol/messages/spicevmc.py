"""Messages of the channels that carry a device's bytes: usbredir, port, webdav (spice.proto, SpicevmcChannel)."""

from __future__ import annotations

from construct import GreedyBytes, Int8ul, Int32ul

from spiceemu.protocol.capabilities import ChannelType, SpicevmcCap
from spiceemu.protocol.enums import DataCompressionType
from spiceemu.protocol.layout.fields import Blob, Case, Choice, Count, EnumOf, PointerTo, Record, record, wire
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.messages.message import Message, message

VMC = (ChannelType.USBREDIR, ChannelType.PORT, ChannelType.WEBDAV)
PORTS = (ChannelType.PORT, ChannelType.WEBDAV)


@message(VMC, server=101, client=101, feature=Feature.PROTOCOL_MAJOR2)
class Data(Message):
    """Bytes of the device."""

    data: bytes = wire(GreedyBytes)


@record
class EmptyStructure(Record):
    """What stands where an uncompressed packet has no size: nothing."""


@message(VMC, server=102, client=102, capability=SpicevmcCap.DATA_COMPRESS_LZ4, feature=Feature.DATA_COMPRESS_LZ4)
class CompressedData(Message):
    """Compressed bytes of the device; ``u`` is their size unpacked, or an empty structure for NONE."""

    type: int = wire(EnumOf(Int8ul, DataCompressionType))
    u: EmptyStructure | int = wire(
        Choice(
            "type",
            Case("empty", EmptyStructure, values=(DataCompressionType.NONE,)),
            Case("uncompressed_size", Int32ul),
        )
    )
    compressed_data: bytes = wire(GreedyBytes)


@message(PORTS, server=201, feature=Feature.PORT)
class Init(Message):
    """The first message: the port's name, ending in NUL, and whether the guest has it open."""

    name_size = Count(Int32ul, "name")
    name: bytes = wire(PointerTo(Blob("name_size"), nonnull=True))
    opened: int = wire(Int8ul)


@message(PORTS, server=202, client=201, feature=Feature.PORT)
class Event(Message):
    """The port was opened, closed or sent a break."""

    event: int = wire(Int8ul)
