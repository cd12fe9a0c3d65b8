"""What a client did, as frozen values.

Tests compare events: ``await client.expect(KeyDown(0x1e))`` waits for an equal one. Fields that only explain, such as a
key's name, do not take part in the comparison.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from sys import getsizeof
from typing import TYPE_CHECKING

MONITOR_BYTES = 150
"""What a monitor takes in memory as numbers, about."""

BYTES_READ_TO = 16
"""What a byte takes in memory that was read to numbers, about."""

if TYPE_CHECKING:
    from spiceemu.protocol.capabilities import ChannelType
    from spiceemu.protocol.levels.level import MigrationScheme


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""

    @property
    def held(self) -> int:
        """Bytes of memory, about, of what the client sent; 0 where that is a few numbers."""
        return 0


@dataclass(frozen=True, slots=True)
class ChannelOpened(Event):
    """The client has linked a channel."""

    channel_type: ChannelType
    channel_id: int = 0


@dataclass(frozen=True, slots=True)
class ChannelClosed(Event):
    """A channel's connection is gone; ``reason`` is empty where the client simply left."""

    channel_type: ChannelType
    channel_id: int = 0
    reason: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Disconnected(Event):
    """The whole client is gone; the last event of every session."""

    reason: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Violation(Event):
    """The client broke the protocol; its connection is closed."""

    channel_type: ChannelType
    channel_id: int
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ServerFailed(Event):
    """Something of ours, or an observer of the guest, raised: no fault of the client's. Its connection is closed.

    ``error`` is what was raised. Whoever waits for the client raises it, and so does the end of the ``async with`` of
    the server if nobody saw it.
    """

    channel_type: ChannelType
    channel_id: int
    text: str = field(default="", compare=False)
    error: Exception | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ChannelsAttached(Event):
    """The client asked for the list of channels."""


@dataclass(frozen=True, slots=True)
class DisplayReady(Event):
    """A display channel has introduced itself; sizes in pixels."""

    display_id: int = 0
    pixmap_cache_size: int = field(default=0, compare=False)
    glz_dictionary_window_size: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class PreferredCompression(Event):
    """The client asked for an image compression (``ImageCompression``)."""

    compression: int
    display_id: int = 0


@dataclass(frozen=True, slots=True)
class PreferredVideoCodecs(Event):
    """The client ordered the video codecs by preference (``VideoCodecType``)."""

    codecs: tuple[int, ...]
    display_id: int = 0

    @property
    def held(self) -> int:
        """What the tuple takes."""
        return getsizeof(self.codecs)


@dataclass(frozen=True, slots=True)
class KeyDown(Event):
    """A key went down. Extended keys have their prefix in the scancode: 0xe048 is the up arrow."""

    scancode: int
    name: str = field(default="", compare=False)
    character: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class KeyUp(Event):
    """A key went up."""

    scancode: int
    name: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class KeyModifiers(Event):
    """The client set the keyboard's locks (``KeyboardModifierFlags``)."""

    modifiers: int


@dataclass(frozen=True, slots=True)
class MouseMotion(Event):
    """The mouse moved by so many steps, in server mouse mode."""

    dx: int
    dy: int
    buttons: int = 0


@dataclass(frozen=True, slots=True)
class MousePosition(Event):
    """The pointer is at a place of a display, in client mouse mode."""

    x: int
    y: int
    buttons: int = 0
    display_id: int = 0


@dataclass(frozen=True, slots=True)
class MousePress(Event):
    """A button went down (``MouseButton``); ``buttons`` is the mask of all that the client says are down."""

    button: int
    buttons: int = 0


@dataclass(frozen=True, slots=True)
class MouseRelease(Event):
    """A button went up."""

    button: int
    buttons: int = 0


@dataclass(frozen=True, slots=True)
class MouseModeRequested(Event):
    """The client would like a mouse mode (``MouseMode``)."""

    mode: int


@dataclass(frozen=True, slots=True)
class AgentStarted(Event):
    """The client talks to the guest's agent and takes that many messages from it."""

    tokens: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class AgentMessage(Event):
    """The client sent the agent a message; ``message`` is one of :mod:`spiceemu.protocol.agent.messages`.

    ``size`` is what its data took on the wire, in bytes.
    """

    message: object
    size: int = field(default=0, compare=False, repr=False)

    @property
    def held(self) -> int:
        """What the message takes, about: data as it is, and what is read to numbers many times that."""
        return self.size * (1 if isinstance(getattr(self.message, "data", None), bytes) else BYTES_READ_TO)


@dataclass(frozen=True, slots=True)
class MonitorsRequested(Event):
    """The client asked for a layout of monitors: ``(x, y, width, height)`` each."""

    monitors: tuple[tuple[int, int, int, int], ...]

    @property
    def held(self) -> int:
        """What the tuples and their numbers take, about."""
        return MONITOR_BYTES * len(self.monitors)


@dataclass(frozen=True, slots=True)
class RequestRefused(Event):
    """The client asked for something that the guest cannot do; ``text`` says what and which limit."""

    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ClipboardText(Event):
    """The client gave the text of its clipboard."""

    text: str
    selection: int = 0

    @property
    def held(self) -> int:
        """The text's bytes in memory, which depend on its widest character."""
        return getsizeof(self.text)


@dataclass(frozen=True, slots=True)
class MigrationBegan(Event):
    """The client is being moved to another server; ``scheme`` is how, as far as that is known yet."""

    scheme: MigrationScheme
    host: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class MigrationConnected(Event):
    """The client is linked to the other server, and to this one still; ``scheme`` is how it will go on."""

    scheme: MigrationScheme


@dataclass(frozen=True, slots=True)
class MigrationFailed(Event):
    """The client stays, or is lost; ``text`` says why."""

    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class ClientArrived(Event):
    """A client has come over from another server and goes on here."""

    scheme: MigrationScheme


@dataclass(frozen=True, slots=True)
class Latency(Event):
    """A PING came back."""

    channel_type: ChannelType
    channel_id: int = 0
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Synced(Event):
    """A channel's client has handled everything sent before the mark."""

    channel_type: ChannelType
    channel_id: int
    mark: int
