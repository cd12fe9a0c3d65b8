"""Messages between the client and the agent in the guest (spice-protocol ``spice/vd_agent.h``).

They travel as pieces in AGENT_DATA of the main channel, which :mod:`spiceemu.protocol.agent.stream` cuts and joins.
Names are those of the header without ``VDAgent``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from construct import GreedyBytes, Int8ul, Int16ul, Int32sl, Int32ul, Int64ul, Padded

from spiceemu.errors import UnknownMessage
from spiceemu.protocol.agent.enums import (
    AgentButtonMask,
    AgentCap,
    AgentResult,
    AgentType,
    ClipboardSelection,
    ClipboardType,
    DisplayConfigFlags,
    FileXferResult,
    MonitorsFlags,
)
from spiceemu.protocol.agent.message import (
    MESSAGES,
    PLAIN,
    AgentMessage,
    Agreed,
    AtMost,
    ClipboardLayout,
    Rest,
    agent_message,
)
from spiceemu.protocol.capabilities import from_words, to_words
from spiceemu.protocol.layout.fields import ArrayOf, Blob, Case, Choice, Count, EnumOf, FlagsOf, Record, record, wire

MAX_ANNOUNCED_WORDS = 64
"""Most words of capabilities in one announcement; one holds all that are known."""

MAX_MONITORS = 256
"""Most monitors in one MONITORS_CONFIG, as in spice-server (reds.c, MAX_NUM_MONITORS)."""

MAX_CLIPBOARD_TYPES = 256
"""Most types in one CLIPBOARD_GRAB; seven are defined."""

MAX_DEVICES = 256
"""Most entries of one GRAPHICS_DEVICE_INFO: one a monitor."""

_SELECTION = Agreed("selection", Padded(4, EnumOf(Int8ul, ClipboardSelection)), ClipboardSelection.CLIPBOARD)
_SERIAL = Agreed("serial", Int32ul, 0)


@agent_message(AgentType.MOUSE_STATE, AgentCap.MOUSE_STATE)
class MouseState(AgentMessage):
    """The pointer is there, in pixels of a display. A real server sends it to the agent."""

    x: int = wire(Int32ul)
    y: int = wire(Int32ul)
    buttons: int = wire(FlagsOf(Int32ul, AgentButtonMask))
    display_id: int = wire(Int8ul)


@record
class MonConfig(Record):
    """One monitor in pixels; width and height 0 is one that is off."""

    height: int = wire(Int32ul)
    width: int = wire(Int32ul)
    depth: int = wire(Int32ul, default=32)
    x: int = wire(Int32sl, default=0)
    y: int = wire(Int32sl, default=0)


@record
class MonitorMM(Record):
    """Size of one monitor in millimetres; 0 is not known."""

    height: int = wire(Int16ul)
    width: int = wire(Int16ul)


@agent_message(AgentType.MONITORS_CONFIG, AgentCap.MONITORS_CONFIG)
class MonitorsConfig(AgentMessage):
    """The client would like these monitors. ``physical_sizes`` has one a monitor, or is None without the flag."""

    num_of_monitors = Count(AtMost(MAX_MONITORS, Int32ul), "monitors")
    flags: int = wire(FlagsOf(Int32ul, MonitorsFlags))
    monitors: Sequence[MonConfig] = wire(ArrayOf(MonConfig, "num_of_monitors"))
    physical_sizes: Sequence[MonitorMM] | None = wire(
        Choice(
            "flags",
            Case("physical_sizes", ArrayOf(MonitorMM, "num_of_monitors"), bit=MonitorsFlags.PHYSICAL_SIZE),
        ),
        default=None,
    )


@agent_message(AgentType.REPLY, AgentCap.REPLY)
class Reply(AgentMessage):
    """How the request of that type went."""

    type: int = wire(EnumOf(Int32ul, AgentType))
    error: int = wire(EnumOf(Int32ul, AgentResult), default=AgentResult.SUCCESS)


@agent_message(AgentType.CLIPBOARD, AgentCap.CLIPBOARD_BY_DEMAND)
class Clipboard(AgentMessage):
    """What a clipboard holds, asked for by CLIPBOARD_REQUEST; type NONE and no data if it is refused."""

    selection: int = wire(_SELECTION, default=ClipboardSelection.CLIPBOARD, kw_only=True)
    type: int = wire(EnumOf(Int32ul, ClipboardType))
    data: bytes = wire(GreedyBytes, default=b"")


@agent_message(AgentType.DISPLAY_CONFIG, AgentCap.DISPLAY_CONFIG)
class DisplayConfig(AgentMessage):
    """How the desktop should look; depth in bits."""

    flags: int = wire(FlagsOf(Int32ul, DisplayConfigFlags))
    depth: int = wire(Int32ul)


@agent_message(AgentType.ANNOUNCE_CAPABILITIES, None)
class AnnounceCapabilities(AgentMessage):
    """What the sender can do; ``request`` 1 asks for the same in return."""

    request: int = wire(Int32ul)
    caps: Sequence[int] = wire(Rest(MAX_ANNOUNCED_WORDS, Int32ul))

    @classmethod
    def of(cls, capabilities: Iterable[int], *, request: bool = False) -> Self:
        """Announce these capability numbers."""
        return cls(int(request), to_words(capabilities))

    @property
    def capabilities(self) -> frozenset[int]:
        """The numbers that are set; those of :class:`AgentCap` and later ones."""
        return from_words(tuple(self.caps))


@agent_message(AgentType.CLIPBOARD_GRAB, AgentCap.CLIPBOARD_BY_DEMAND)
class ClipboardGrab(AgentMessage):
    """The sender's clipboard has something, which can be had as these types.

    Grabs of both sides count one ``serial`` for each selection, from 0 when a client comes; of two with one serial the
    client's counts.
    """

    selection: int = wire(_SELECTION, default=ClipboardSelection.CLIPBOARD, kw_only=True)
    serial: int = wire(_SERIAL, default=0, kw_only=True)
    types: Sequence[int] = wire(Rest(MAX_CLIPBOARD_TYPES, EnumOf(Int32ul, ClipboardType)))


@agent_message(AgentType.CLIPBOARD_REQUEST, AgentCap.CLIPBOARD_BY_DEMAND)
class ClipboardRequest(AgentMessage):
    """Asks the side that grabbed the clipboard for its content."""

    selection: int = wire(_SELECTION, default=ClipboardSelection.CLIPBOARD, kw_only=True)
    type: int = wire(EnumOf(Int32ul, ClipboardType))


@agent_message(AgentType.CLIPBOARD_RELEASE, AgentCap.CLIPBOARD_BY_DEMAND)
class ClipboardRelease(AgentMessage):
    """The sender's clipboard has nothing any more."""

    selection: int = wire(_SELECTION, default=ClipboardSelection.CLIPBOARD, kw_only=True)


@agent_message(AgentType.FILE_XFER_START, None)
class FileXferStart(AgentMessage):
    """The client has a file to give; ``data`` is a GLib key file with its name and size."""

    id: int = wire(Int32ul)
    data: bytes = wire(GreedyBytes)


@agent_message(AgentType.FILE_XFER_STATUS, None)
class FileXferStatus(AgentMessage):
    """How a transfer stands; ``data`` are details, which need FILE_XFER_DETAILED_ERRORS.

    NOT_ENOUGH_SPACE: u64 free bytes. ERROR: u8 0 and u32 code of GLib's GIOErrorEnum.
    """

    id: int = wire(Int32ul)
    result: int = wire(EnumOf(Int32ul, FileXferResult))
    data: bytes = wire(GreedyBytes, default=b"")


@agent_message(AgentType.FILE_XFER_DATA, None)
class FileXferData(AgentMessage):
    """A part of a file."""

    id: int = wire(Int32ul)
    size = Count(Int64ul, "data")
    data: bytes = wire(Blob("size"))


@agent_message(AgentType.CLIENT_DISCONNECTED, None)
class ClientDisconnected(AgentMessage):
    """The client has gone. A real server tells the agent."""


@agent_message(AgentType.MAX_CLIPBOARD, AgentCap.MAX_CLIPBOARD)
class MaxClipboard(AgentMessage):
    """The client takes no more than so many bytes of clipboard; -1 any number."""

    max: int = wire(Int32sl)


@agent_message(AgentType.AUDIO_VOLUME_SYNC, AgentCap.AUDIO_VOLUME_SYNC)
class AudioVolumeSync(AgentMessage):
    """The client's volume of each sound channel, 65535 being full; of its microphone unless ``is_playback``."""

    is_playback: int = wire(Int8ul)
    mute: int = wire(Int8ul)
    nchannels = Count(Int8ul, "volume")
    volume: Sequence[int] = wire(ArrayOf(Int16ul, "nchannels"))


@record
class DeviceDisplayInfo(Record):
    """Which of the guest's video outputs one monitor is. The address ends in NUL, which its length counts."""

    channel_id: int = wire(Int32ul)
    monitor_id: int = wire(Int32ul)
    device_display_id: int = wire(Int32ul)
    device_address_len = Count(Int32ul, "device_address")
    device_address: bytes = wire(Blob("device_address_len"))


@agent_message(AgentType.GRAPHICS_DEVICE_INFO, AgentCap.GRAPHICS_DEVICE_INFO)
class GraphicsDeviceInfo(AgentMessage):
    """The video outputs behind the display channels. A real server tells the agent."""

    count = Count(AtMost(MAX_DEVICES, Int32ul), "display_info")
    display_info: Sequence[DeviceDisplayInfo] = wire(ArrayOf(DeviceDisplayInfo, "count"))


def parse(kind: int, data: bytes, layout: ClipboardLayout = PLAIN) -> AgentMessage:
    """Read the data of a message of that type.

    :returns: a message of the class that the type has.
    :raises UnknownMessage: for a type that does not exist. Real agents ignore these.
    :raises MalformedMessage: naming the field and its offset.
    :raises LimitExceeded: for a count over its named limit.
    """
    found = MESSAGES.get(kind)
    if found is None:
        raise UnknownMessage(f"agent: no message has type {kind}")
    return found.parse(data, layout)
