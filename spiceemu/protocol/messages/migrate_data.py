"""What travels in MIGRATE_DATA: the state of a channel, from the source through the client to the target.

::

    main                     MNMD   agent's device | client_agent_started | agent2client | client2agent
    display                  DCMD   serial | picture cache | GLZ dictionary | surfaces that the client has
    inputs                   ICMD   motion_count
    usbredir, port, webdav   SVMD   the device
    smartcard                SCMD   the device | reader_added | what was read from it

Each begins with its magic and version 1, and is laid out as messages are: packed, pointers are offsets from the first
byte of the body. Cursor, playback and record have no such state. The layouts are the same in all releases since 0.12.0.

Fields have the names of the real server, but for pointers: ``write_data`` is what ``write_data_ptr`` points to.

Sources: spice-server ``migration-protocol.h``, ``dcc-send.cpp``, ``char-device.cpp``, ``reds.cpp``; recorded sessions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct
from typing import ClassVar, Final, Self

from construct import Bytes, GreedyBytes, Int8ul, Int16ul, Int32sl, Int32ul, Int64sl, Int64ul

from spiceemu.errors import InvalidValue, LimitExceeded, MalformedMessage
from spiceemu.protocol.enums import MigrateFlags
from spiceemu.protocol.layout.build import BUILD_ERRORS, explain
from spiceemu.protocol.layout.compiler import functions_of
from spiceemu.protocol.layout.fields import Blob, Count, Packed, PointerTo, Record, record, wire
from spiceemu.protocol.layout.parse import Malformed, TooMany

VERSION: Final = 1
"""The only version of each of these layouts, and of the device inside them."""

MAX_MIGRATE_DATA: Final = 1 << 20
"""Largest state in bytes: it must fit a message of the client."""

MAX_SURFACES_AT_CLIENT: Final = 10_000
"""Most surfaces of a display (spice-server up to 0.12, NUM_SURFACES; 1024 since)."""

MAX_CHUNK_HEADER: Final = 8
"""Bytes of the header between agent and server (VDIChunkHeader)."""

MAX_PARTIAL_HEADER: Final = 20
"""Bytes of the header of an agent's message (VDAgentMessage)."""

UNLIMITED: Final = 0xFFFFFFFF
"""Tokens of a device whose client needs none."""

_ID = Struct("<I")
_ID_AND_RECTANGLE = Struct("<Iiiii")


@record
class MigrateDataHeader(Record):
    """What each state begins with."""

    magic: bytes = wire(Bytes(4))
    version: int = wire(Int32ul, default=VERSION)


@record
class CharDevice(Record):
    """The server's end of a character device, such as the agent's port.

    ``write_data`` is what the client sent and the device has not taken; ``write_num_client_tokens`` messages of it
    have used a token of the client's.
    """

    version: int = wire(Int32ul, default=VERSION)
    connected: int = wire(Int8ul, default=0)
    num_client_tokens: int = wire(Int32ul, default=0)
    num_send_tokens: int = wire(Int32ul, default=0)
    write_size = Count(Int32ul, "write_data")
    write_num_client_tokens: int = wire(Int32ul, default=0)
    write_data: bytes | None = wire(PointerTo(Blob("write_size")), default=None)


@record
class ChunkHeader(Record):
    """What stands before each piece between agent and server (VDIChunkHeader); ``size`` is what is left of it."""

    port: int = wire(Int32ul, default=0)
    size: int = wire(Int32ul, default=0)


@record
class AgentToClient(Record):
    """How far a message of the agent has been read.

    ``chunk_header_size`` bytes of the chunk's header are there; ``msg_header`` is the beginning of the message's.
    """

    chunk_header_size: int = wire(Int32ul, default=0)
    chunk_header: ChunkHeader = wire(ChunkHeader, default_factory=ChunkHeader)
    msg_header_done: int = wire(Int8ul, default=0)
    msg_header_partial_len = Count(Int32ul, "msg_header")
    msg_header: bytes | None = wire(PointerTo(Blob("msg_header_partial_len")), default=None)
    msg_remaining: int = wire(Int32ul, default=0)
    msg_filter_result: int = wire(Int8ul, default=0)


@record
class ClientToAgent(Record):
    """How far a message to the agent has come: ``msg_remaining`` bytes are still to come."""

    msg_remaining: int = wire(Int32ul, default=0)
    msg_filter_result: int = wire(Int8ul, default=0)


@record
class PixmapCacheClients(Record):
    """The serial of each display channel's last message that has used the picture cache, by the channel's id."""

    display_0: int = wire(Int64ul, default=0)
    display_1: int = wire(Int64ul, default=0)
    display_2: int = wire(Int64ul, default=0)
    display_3: int = wire(Int64ul, default=0)


@record
class GlzEncDictRestoreData(Record):
    """The window of pictures that GLZ encodes against; it is empty at the target."""

    size: int = wire(Int32ul, default=0)
    max_encoders: int = wire(Int32ul, default=0)
    last_image_id: int = wire(Int64ul, default=0)


@record
class LossySurface(Record):
    """A surface that the client has, and the part of it that was sent as JPEG."""

    id: int = wire(Int32ul)
    left: int = wire(Int32sl)
    top: int = wire(Int32sl)
    right: int = wire(Int32sl)
    bottom: int = wire(Int32sl)


@record
class SurfacesAtClient(Record):
    """The surfaces that the client has: ids alone or, from a server that sends JPEG, :class:`LossySurface`.

    Nothing in the state says which it is (``low_bandwidth_setting`` does only where JPEG is left to the server). So
    the list ends with the state, and its size decides. Make one by :meth:`of` or :meth:`lossy`.
    """

    num_surfaces: int = wire(Int32ul, default=0)
    surfaces: bytes = wire(GreedyBytes, default=b"")

    @classmethod
    def of(cls, ids: Iterable[int]) -> Self:
        """A list of ids."""
        entries = [_ID.pack(surface_id) for surface_id in ids]
        return cls(len(entries), b"".join(entries))

    @classmethod
    def lossy(cls, surfaces: Iterable[LossySurface]) -> Self:
        """A list of ids and rectangles."""
        entries = [_ID_AND_RECTANGLE.pack(it.id, it.left, it.top, it.right, it.bottom) for it in surfaces]
        return cls(len(entries), b"".join(entries))

    @property
    def is_lossy(self) -> bool:
        """Whether there are rectangles."""
        return bool(self.surfaces) and len(self.surfaces) == self.num_surfaces * _ID_AND_RECTANGLE.size

    @property
    def ids(self) -> Sequence[int]:
        """The ids, of either form."""
        return tuple(it.id for it in self.rectangles) if self.is_lossy else Packed(self.surfaces, _ID, int)

    @property
    def rectangles(self) -> Sequence[LossySurface]:
        """The surfaces with their rectangles; none of a list of ids alone."""
        return Packed(self.surfaces if self.is_lossy else b"", _ID_AND_RECTANGLE, LossySurface)


_by_magic: dict[bytes, type[ChannelData]] = {}


class ChannelData(Record):
    """Base of the states. What is left out when one is made is as of a channel on which nothing has happened."""

    __slots__ = ()
    name: ClassVar[str]
    magic: ClassVar[bytes]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _by_magic[cls.magic] = cls

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read the ``data`` of a MIGRATE_DATA.

        :returns: the state.
        :raises MalformedMessage: naming the field and its offset.
        :raises LimitExceeded: for a size or count over its named limit.
        """
        if len(body) > MAX_MIGRATE_DATA:
            raise LimitExceeded(f"{cls.name}: {len(body)} bytes, the limit is {MAX_MIGRATE_DATA}")
        try:
            _check_header(cls.magic, body)
            made: Self
            made, _ = functions_of(cls).parse(body, 0, len(body))
            made._check(body)
        except TooMany as error:
            raise LimitExceeded(f"{cls.name}.{error.path} at offset {error.offset}: {error.reason}") from None
        except Malformed as error:
            raise MalformedMessage(cls.name, error.path, error.offset, error.reason) from None
        return made

    def build(self) -> bytes:
        """The state as a MIGRATE_DATA carries it.

        :returns: at most ``MAX_MIGRATE_DATA`` bytes.
        :raises InvalidValue: naming the field that does not fit.
        """
        try:
            body = b"".join(functions_of(type(self)).pieces(self))
        except BUILD_ERRORS as error:
            raise InvalidValue(f"{self.name}.{explain(self, type(self)) or error}") from error
        if len(body) > MAX_MIGRATE_DATA:
            raise InvalidValue(f"{self.name}: {len(body)} bytes, the limit is {MAX_MIGRATE_DATA}")
        return body

    def _check(self, body: bytes) -> None:
        """Refuse what fits the layout and makes no sense."""


@record
class MainData(ChannelData):
    """The main channel: the agent's device, and how far its messages have come, each way."""

    name: ClassVar[str] = "main.MainData"
    magic: ClassVar[bytes] = b"MNMD"

    header: MigrateDataHeader = wire(MigrateDataHeader, default_factory=lambda: MigrateDataHeader(b"MNMD"))
    agent_base: CharDevice = wire(CharDevice, default_factory=CharDevice)
    client_agent_started: int = wire(Int8ul, default=0)
    agent2client: AgentToClient = wire(AgentToClient, default_factory=AgentToClient)
    client2agent: ClientToAgent = wire(ClientToAgent, default_factory=ClientToAgent)

    def _check(self, _body: bytes) -> None:
        _check_device(self.agent_base, "agent_base")
        reading = self.agent2client
        for field, offset, value, limit in (
            ("chunk_header_size", 34, reading.chunk_header_size, MAX_CHUNK_HEADER),
            ("msg_header_partial_len", 47, reading.msg_header_partial_len, MAX_PARTIAL_HEADER),
        ):
            if value > limit:
                raise TooMany(f"agent2client.{field}", offset, f"{value} bytes, the limit is {limit}")


@record
class DisplayData(ChannelData):
    """A display channel: its serial, and what its client holds.

    ``pixmap_cache_freezer`` is set by the channel that stopped the client's one picture cache: its target empties it.
    """

    name: ClassVar[str] = "display.DisplayData"
    magic: ClassVar[bytes] = b"DCMD"

    header: MigrateDataHeader = wire(MigrateDataHeader, default_factory=lambda: MigrateDataHeader(b"DCMD"))
    message_serial: int = wire(Int64ul, default=0)
    low_bandwidth_setting: int = wire(Int8ul, default=0)
    pixmap_cache_id: int = wire(Int8ul, default=0)
    pixmap_cache_size: int = wire(Int64sl, default=0)
    pixmap_cache_freezer: int = wire(Int8ul, default=0)
    pixmap_cache_clients: PixmapCacheClients = wire(PixmapCacheClients, default_factory=PixmapCacheClients)
    glz_dict_id: int = wire(Int8ul, default=0)
    glz_dict_data: GlzEncDictRestoreData = wire(GlzEncDictRestoreData, default_factory=GlzEncDictRestoreData)
    surfaces_at_client: SurfacesAtClient = wire(
        PointerTo(SurfacesAtClient, nonnull=True), default_factory=SurfacesAtClient
    )

    def _check(self, body: bytes) -> None:
        count, size = self.surfaces_at_client.num_surfaces, len(self.surfaces_at_client.surfaces)
        place = len(body) - size - _ID.size  # the list ends with the body
        if count > MAX_SURFACES_AT_CLIENT:
            reason = f"{count} surfaces, the limit is {MAX_SURFACES_AT_CLIENT}"
            raise TooMany("surfaces_at_client.num_surfaces", place, reason)
        if size not in (count * _ID.size, count * _ID_AND_RECTANGLE.size):
            reason = f"{count} surfaces of {_ID.size} or {_ID_AND_RECTANGLE.size} bytes are not the {size} that follow"
            raise Malformed("surfaces_at_client.surfaces", place + _ID.size, reason)


@record
class InputsData(ChannelData):
    """The inputs channel: the motions that were not acknowledged."""

    name: ClassVar[str] = "inputs.InputsData"
    magic: ClassVar[bytes] = b"ICMD"

    header: MigrateDataHeader = wire(MigrateDataHeader, default_factory=lambda: MigrateDataHeader(b"ICMD"))
    motion_count: int = wire(Int16ul, default=0)


@record
class SpicevmcData(ChannelData):
    """A usbredir, port or webdav channel: its device."""

    name: ClassVar[str] = "spicevmc.SpicevmcData"
    magic: ClassVar[bytes] = b"SVMD"

    header: MigrateDataHeader = wire(MigrateDataHeader, default_factory=lambda: MigrateDataHeader(b"SVMD"))
    base: CharDevice = wire(CharDevice, default_factory=CharDevice)

    def _check(self, _body: bytes) -> None:
        _check_device(self.base, "base")


@record
class SmartcardData(ChannelData):
    """The smartcard channel: its device, and the beginning of a message that was read from it."""

    name: ClassVar[str] = "smartcard.SmartcardData"
    magic: ClassVar[bytes] = b"SCMD"

    header: MigrateDataHeader = wire(MigrateDataHeader, default_factory=lambda: MigrateDataHeader(b"SCMD"))
    base: CharDevice = wire(CharDevice, default_factory=CharDevice)
    reader_added: int = wire(Int8ul, default=0)
    read_size = Count(Int32ul, "read_data")
    read_data: bytes | None = wire(PointerTo(Blob("read_size")), default=None)

    def _check(self, _body: bytes) -> None:
        _check_device(self.base, "base")


def layout_of_state(magic: bytes) -> type[ChannelData] | None:
    """The class of the state that begins with a magic, as ``ChannelFacts.state`` has it; None where there is none."""
    return _by_magic.get(magic)


WITH_STATE: Final = MigrateFlags.NEED_FLUSH | MigrateFlags.NEED_DATA_TRANSFER
"""What MIGRATE asks for on a channel that has a state; on the others it asks for nothing."""


def _check_header(magic: bytes, body: bytes) -> None:
    """Refuse the state of another channel or version, before it is read as what it is not."""
    try:
        header, _ = functions_of(MigrateDataHeader).parse(body, 0, len(body))
    except Malformed as error:
        error.path = f"header.{error.path}"
        raise
    if header.magic != magic:
        raise Malformed("header.magic", 0, f"{header.magic!r}, it must be {magic!r}")
    if header.version != VERSION:
        raise Malformed("header.version", 4, f"{header.version}, it must be {VERSION}")


def _check_device(device: CharDevice, path: str) -> None:
    if device.version != VERSION:
        raise Malformed(f"{path}.version", 8, f"{device.version}, it must be {VERSION}")
