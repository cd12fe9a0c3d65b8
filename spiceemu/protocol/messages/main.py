"""Messages of the main channel (spice.proto, MainChannel)."""

from __future__ import annotations

from collections.abc import Sequence

from construct import Bytes, GreedyBytes, Int16ul, Int32ul, Int64ul

from spiceemu.protocol.capabilities import ChannelType, MainCap
from spiceemu.protocol.enums import LinkErr, MouseMode as Mode
from spiceemu.protocol.layout.fields import ArrayOf, Blob, Count, EnumOf, FlagsOf, PointerTo, wire
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.messages.message import Message, message
from spiceemu.protocol.messages.types import ChannelId, DstInfo

MAIN = ChannelType.MAIN


@message(MAIN, server=101, capability=MainCap.SEMI_SEAMLESS_MIGRATE, feature=Feature.SEMI_SEAMLESS_MIGRATE)
class MigrateBegin(Message):
    """Asks the client to connect to the target as well (the layout since 0.8.3)."""

    dst_info: DstInfo = wire(DstInfo)


@message(MAIN, server=102, feature=Feature.PROTOCOL_MAJOR2, unless=Feature.WITHOUT_MIGRATION)
class MigrateCancel(Message):
    """The migration that was begun does not take place."""


@message(MAIN, server=103, feature=Feature.PROTOCOL_MAJOR2)
class Init(Message):
    """The first message of a session. ``multi_media_time`` in milliseconds."""

    session_id: int = wire(Int32ul)
    display_channels_hint: int = wire(Int32ul)
    supported_mouse_modes: int = wire(Int32ul)
    current_mouse_mode: int = wire(Int32ul)
    agent_connected: int = wire(Int32ul)
    agent_tokens: int = wire(Int32ul)
    multi_media_time: int = wire(Int32ul)
    ram_hint: int = wire(Int32ul)


@message(MAIN, server=104, feature=Feature.PROTOCOL_MAJOR2)
class ChannelsList(Message):
    """The channels that a client may open."""

    num_of_channels = Count(Int32ul, "channels")
    channels: Sequence[ChannelId] = wire(ArrayOf(ChannelId, "num_of_channels"))


@message(MAIN, server=105, feature=Feature.PROTOCOL_MAJOR2)
class MouseMode(Message):
    """Who moves the pointer from now on."""

    supported_modes: int = wire(FlagsOf(Int16ul, Mode))
    current_mode: int = wire(FlagsOf(Int16ul, Mode))


@message(MAIN, server=106, feature=Feature.PROTOCOL_MAJOR2)
class MultiMediaTime(Message):
    """The clock that sound and video are timed by, in milliseconds."""

    time: int = wire(Int32ul)


@message(MAIN, server=107, feature=Feature.PROTOCOL_MAJOR2)
class AgentConnected(Message):
    """The guest's agent is there."""


@message(MAIN, server=108, feature=Feature.PROTOCOL_MAJOR2)
class AgentDisconnected(Message):
    """The guest's agent has gone."""

    error_code: int = wire(EnumOf(Int32ul, LinkErr))


@message(MAIN, server=109, client=107, feature=Feature.PROTOCOL_MAJOR2)
class AgentData(Message):
    """A piece of a VDAgentMessage, at most 2048 bytes from the server; costs a token."""

    data: bytes = wire(GreedyBytes)


@message(MAIN, server=110, client=108, feature=Feature.PROTOCOL_MAJOR2)
class AgentToken(Message):
    """The receiver may send that many more AGENT_DATA."""

    num_tokens: int = wire(Int32ul)


@message(MAIN, server=111, feature=Feature.PROTOCOL_MAJOR2, unless=Feature.WITHOUT_MIGRATION)
class MigrateSwitchHost(Message):
    """Asks the client to leave and begin a new session there."""

    port: int = wire(Int16ul)
    sport: int = wire(Int16ul)
    host_size = Count(Int32ul, "host_data")
    host_data: bytes | None = wire(PointerTo(Blob("host_size")))
    cert_subject_size = Count(Int32ul, "cert_subject_data")
    cert_subject_data: bytes | None = wire(PointerTo(Blob("cert_subject_size")), default=None)


@message(MAIN, server=112, client=109, capability=MainCap.SEMI_SEAMLESS_MIGRATE, feature=Feature.SEMI_SEAMLESS_MIGRATE)
class MigrateEnd(Message):
    """From the source: the guest has moved, follow it. To the target: here I am."""


@message(MAIN, server=113, capability=MainCap.NAME_AND_UUID, feature=Feature.NAME_AND_UUID)
class Name(Message):
    """The guest's name, UTF-8 with a NUL."""

    name_len = Count(Int32ul, "name")
    name: bytes = wire(Blob("name_len"))


@message(MAIN, server=114, capability=MainCap.NAME_AND_UUID, feature=Feature.NAME_AND_UUID)
class Uuid(Message):
    """The guest's UUID, 16 bytes in network order."""

    uuid: bytes = wire(Bytes(16))


@message(MAIN, server=115, capability=MainCap.AGENT_CONNECTED_TOKENS, feature=Feature.AGENT_CONNECTED_TOKENS)
class AgentConnectedTokens(Message):
    """The guest's agent is there, and the client may send that many AGENT_DATA."""

    num_tokens: int = wire(Int32ul)


@message(MAIN, server=116, capability=MainCap.SEAMLESS_MIGRATE, feature=Feature.SEAMLESS_MIGRATE)
class MigrateBeginSeamless(Message):
    """As MIGRATE_BEGIN, and asks the target whether it can take over the channels' state."""

    dst_info: DstInfo = wire(DstInfo)
    src_mig_version: int = wire(Int32ul)


@message(MAIN, server=117, feature=Feature.SEAMLESS_MIGRATE)
class MigrateDstSeamlessAck(Message):
    """The target can take over the state."""


@message(MAIN, server=118, feature=Feature.SEAMLESS_MIGRATE)
class MigrateDstSeamlessNack(Message):
    """The target cannot take over the state."""


@message(MAIN, client=101, feature=Feature.PROTOCOL_MAJOR2)
class ClientInfo(Message):
    """The size of the client's cache; no client in use sends it."""

    cache_size: int = wire(Int64ul)


@message(MAIN, client=102, feature=Feature.PROTOCOL_MAJOR2)
class MigrateConnected(Message):
    """The client has linked its channels to the target."""


@message(MAIN, client=103, feature=Feature.PROTOCOL_MAJOR2)
class MigrateConnectError(Message):
    """The client could not link to the target."""


@message(MAIN, client=104, feature=Feature.PROTOCOL_MAJOR2)
class AttachChannels(Message):
    """The client is ready for the list of channels."""


@message(MAIN, client=105, feature=Feature.PROTOCOL_MAJOR2)
class MouseModeRequest(Message):
    """The client would like this mouse mode."""

    mode: int = wire(FlagsOf(Int16ul, Mode))


@message(MAIN, client=106, feature=Feature.PROTOCOL_MAJOR2)
class AgentStart(Message):
    """The client talks to the agent, and takes that many AGENT_DATA from it."""

    num_tokens: int = wire(Int32ul)


@message(MAIN, client=110, capability=MainCap.SEAMLESS_MIGRATE, feature=Feature.SEAMLESS_MIGRATE)
class MigrateDstDoSeamless(Message):
    """Asks the target to take over the source's state."""

    src_version: int = wire(Int32ul)


@message(MAIN, client=111, feature=Feature.SEAMLESS_MIGRATE)
class MigrateConnectedSeamless(Message):
    """As MIGRATE_CONNECTED, and the target takes over the state."""
