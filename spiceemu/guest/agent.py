"""The guest's agent: what runs in a real guest as spice-vdagent, as far as clients notice it.

One client talks to it at a time. :meth:`Agent.start` begins a conversation and says where the agent's messages go;
:meth:`Agent.receive` takes the client's, which are read by :attr:`Agent.layout`, as it is after the message before;
:meth:`Agent.reset` ends it. What the client wants of the guest is told to the observers; what it does to the clipboards
is told by :class:`~spiceemu.guest.clipboard.Clipboard`.

Sources: spice-protocol ``spice/vd_agent.h`` and its history; spice-gtk ``channel-main.c``; recorded sessions.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from spiceemu.guest import clipboard as clipboards
from spiceemu.guest.observers import Observers
from spiceemu.protocol.agent import messages as agent
from spiceemu.protocol.agent.enums import AgentCap, ClipboardSelection, ClipboardType, FileXferResult, MonitorsFlags
from spiceemu.protocol.agent.message import AgentMessage, ClipboardLayout
from spiceemu.protocol.agent.messages import MAX_ANNOUNCED_WORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from spiceemu.guest.clipboard import Clipboard, ClipboardChange
    from spiceemu.protocol.plain import Plain

    Send: TypeAlias = Callable[[AgentMessage], None]
    Handler: TypeAlias = Callable[["Agent", Any], None]
    Handlers: TypeAlias = Mapping[type[AgentMessage], Handler]
    Observer: TypeAlias = Callable[["AgentEvent"], None]

CAPABILITIES: Final = frozenset(
    {
        AgentCap.MOUSE_STATE,
        AgentCap.MONITORS_CONFIG,
        AgentCap.REPLY,
        AgentCap.DISPLAY_CONFIG,
        AgentCap.CLIPBOARD_BY_DEMAND,
        AgentCap.CLIPBOARD_SELECTION,
        AgentCap.SPARSE_MONITORS_CONFIG,
        AgentCap.GUEST_LINEEND_LF,
        AgentCap.MAX_CLIPBOARD,
        AgentCap.MONITORS_CONFIG_POSITION,
        AgentCap.FILE_XFER_DISABLED,
        AgentCap.FILE_XFER_DETAILED_ERRORS,
        AgentCap.CLIPBOARD_NO_RELEASE_ON_REGRAB,
        AgentCap.CLIPBOARD_GRAB_SERIAL,
    }
)
"""What this agent announces: what spice-vdagent does without sound and files, and DISPLAY_CONFIG."""

MAX_SERIAL: Final = 0xFFFFFFFF
"""Highest serial of a grab; 0 follows."""

_SELECTIONS = frozenset(map(int, ClipboardSelection))

MAX_CLIENT_CLIPBOARD: Final = (1 << 31) - 1
"""Most bytes of clipboard that a client can say it takes; MAX_CLIPBOARD has a signed number."""


@dataclass(frozen=True, slots=True)
class RequestedMonitor:
    """A monitor that a client would like; sizes in pixels, or millimetres where the name says so (0 is not known).

    ``number`` is its place in the client's list, monitors that are off counted. Without ``positioned`` x and y say
    nothing. Nothing is checked: sizes reach from 1 to 4294967295, positions may be negative.
    """

    number: int
    width: int
    height: int
    x: int = 0
    y: int = 0
    positioned: bool = False
    width_mm: int = 0
    height_mm: int = 0


@dataclass(frozen=True, slots=True)
class ClientAnnounced:
    """The client said what it can do (:class:`~spiceemu.protocol.agent.enums.AgentCap` and later numbers)."""

    capabilities: frozenset[int]


@dataclass(frozen=True, slots=True)
class MonitorsWanted:
    """The client would like these monitors, those that are on."""

    monitors: tuple[RequestedMonitor, ...]


@dataclass(frozen=True, slots=True)
class DisplayConfigured:
    """The client asked for a plainer desktop (:class:`~spiceemu.protocol.agent.enums.DisplayConfigFlags`)."""

    flags: int
    depth: int


@dataclass(frozen=True, slots=True)
class PointerPlaced:
    """The client put the pointer there; ``buttons`` as in the inputs channel (``MouseButtonMask``)."""

    x: int
    y: int
    buttons: int
    display_id: int


@dataclass(frozen=True, slots=True)
class FileRefused:
    """The client wanted to give a file, and was told no. ``description`` is its GLib key file."""

    id: int
    description: bytes


AgentEvent: TypeAlias = ClientAnnounced | MonitorsWanted | DisplayConfigured | PointerPlaced | FileRefused


class Agent:
    """The agent of one guest.

    :param clipboard: the guest's clipboards.
    :param capabilities: what it announces. It handles every message all the same.
    :param handlers: what it does with each message of a client; :data:`HANDLERS` if not given.
    """

    def __init__(
        self, clipboard: Clipboard, capabilities: Iterable[AgentCap] = CAPABILITIES, handlers: Handlers | None = None
    ) -> None:
        self.clipboard = clipboard
        self.handlers = HANDLERS if handlers is None else handlers
        self.capabilities: frozenset[int] = frozenset(capabilities)
        self.client_capabilities: frozenset[int] = frozenset()
        """What the client announced; empty before that."""
        self.max_clipboard: int | None = None
        """Most bytes of clipboard that the client takes, None for any number."""
        self._send: Send | None = None
        self._serials: dict[int, int] = dict.fromkeys(ClipboardSelection, 0)  # what the next grab will have
        self._offered: set[int] = set()  # selections of which the client was told
        self._missed: set[int] = set()  # selections of which something is to be said when a client that moved is here
        self._observers: Observers[AgentEvent] = Observers("the agent")
        clipboard.subscribe(self._on_clipboard)

    @property
    def layout(self) -> ClipboardLayout:
        """How clipboard messages look between this agent and the client."""
        return ClipboardLayout.agreed(self.capabilities, self.client_capabilities)

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call the observer with every event from now on, and return a callable that ends this."""
        return self._observers.add(observer)

    def start(self, send: Send, *, keep_clipboards: bool = False) -> None:
        """A client talks to the agent from now on (AGENT_START).

        :param send: takes each message for it, in order, and builds it by :attr:`layout` before it returns.
        :param keep_clipboards: whether it is the client that was there before, on another server: what it had copied is
            still what it has.
        """
        self.reset(keep_clipboards=keep_clipboards)
        # What it was asked for may be lost with its old connection.
        self._missed.update(selection for selection in ClipboardSelection if self.clipboard.is_wanted(selection))
        self._send = send

    def release(self, send: Send) -> None:
        """The client of a conversation that was loaded is here and goes on; it does not know that the agent has moved.

        What happened to the clipboards until now is said.
        """
        self._send = send
        self._catch_up()

    def _catch_up(self) -> None:
        """Say what became of the clipboards while the client was between two servers."""
        missed, self._missed = self._missed, set()
        for selection in sorted(missed):
            if self.clipboard.owner_of(selection) is clipboards.Owner.GUEST:
                self._offer(selection)
            elif self.clipboard.is_wanted(selection):
                self.say(agent.ClipboardRequest(ClipboardType.UTF8_TEXT, selection=selection))
            elif self.clipboard.owner_of(selection) is clipboards.Owner.NOBODY:
                self.say(agent.ClipboardRelease(selection=selection))

    def save(self) -> dict[str, Any]:
        """What another agent needs to go on with the conversation, as plain data."""
        return {
            "capabilities": sorted(map(int, self.capabilities)),
            "client_capabilities": sorted(map(int, self.client_capabilities)),
            "max_clipboard": self.max_clipboard,
            "serials": [self._serials[selection] for selection in ClipboardSelection],
            "offered": sorted(map(int, self._offered)),
        }

    def load(self, state: Plain) -> Callable[[], None]:
        """Check what another agent knew.

        :returns: what makes this one know it. Where messages go stays as it is: :meth:`release` says that.
        :raises InvalidValue: naming what no agent can know.
        """
        capabilities, client, most, serials, offered = state.fields(
            "capabilities", "client_capabilities", "max_clipboard", "serials", "offered"
        )
        count = len(ClipboardSelection)
        return partial(
            self._become,
            _read_set(capabilities, max({*AgentCap, *self.capabilities})),
            _read_set(client, 32 * MAX_ANNOUNCED_WORDS - 1),
            most.optional(lambda it: it.integer(0, MAX_CLIENT_CLIPBOARD)),
            [serial.integer(0, MAX_SERIAL) for serial in serials.elements(count, count)],
            _read_set(offered, max(ClipboardSelection)),
        )

    def _become(
        self,
        capabilities: frozenset[int],
        client_capabilities: frozenset[int],
        max_clipboard: int | None,
        serials: list[int],
        offered: frozenset[int],
    ) -> None:
        self.capabilities = capabilities
        self.client_capabilities = client_capabilities
        self.max_clipboard = max_clipboard
        self._serials = dict(zip(ClipboardSelection, serials, strict=True))
        self._offered = set(offered)

    def reset(self, *, keep_clipboards: bool = False) -> None:
        """The client has gone, and its clipboards with it. The guest's text stays."""
        self._send = None
        self.client_capabilities = frozenset()
        self.max_clipboard = None
        self._serials = dict.fromkeys(ClipboardSelection, 0)
        self._offered.clear()
        self._missed.clear()
        for selection in () if keep_clipboards else ClipboardSelection:
            self.clipboard.client_cleared(selection)

    def receive(self, message: AgentMessage) -> None:
        """Handle a message of the client. Those that are not an agent's business are ignored, as real agents do."""
        handler = self.handlers.get(type(message))
        if handler is not None:
            handler(self, message)

    def say(self, message: AgentMessage) -> None:
        """Send the client a message, if one talks to the agent."""
        if self._send is not None:
            self._send(message)

    def _on_announcement(self, message: agent.AnnounceCapabilities) -> None:
        self.client_capabilities = message.capabilities
        if message.request:
            self.say(agent.AnnounceCapabilities.of(self.capabilities))
        self._tell(ClientAnnounced(message.capabilities))
        for selection in ClipboardSelection:
            held = self.clipboard.owner_of(selection) is clipboards.Owner.GUEST
            if held and selection not in self._offered and self._reaches_client(selection):
                self._offer(selection)
        self._missed = {selection for selection in self._missed if self._reaches_client(selection)} - self._offered
        self._catch_up()

    def _on_monitors(self, message: agent.MonitorsConfig) -> None:
        self.say(agent.Reply(message.spec.type))
        self._tell(MonitorsWanted(_monitors(message)))

    def _on_display_config(self, message: agent.DisplayConfig) -> None:
        self.say(agent.Reply(message.spec.type))
        self._tell(DisplayConfigured(message.flags, message.depth))

    def _on_mouse(self, message: agent.MouseState) -> None:
        self._tell(PointerPlaced(message.x, message.y, message.buttons >> 1, message.display_id))

    def _on_max_clipboard(self, message: agent.MaxClipboard) -> None:
        self.max_clipboard = message.max if message.max >= 0 else None

    def _on_file(self, message: agent.FileXferStart) -> None:
        # Clients without the capability take results from NOT_ENOUGH_SPACE on for nonsense (spice-common agent.c).
        detailed = AgentCap.FILE_XFER_DETAILED_ERRORS in self.client_capabilities
        result = FileXferResult.DISABLED if detailed else FileXferResult.ERROR
        self.say(agent.FileXferStatus(message.id, result))
        self._tell(FileRefused(message.id, message.data))

    # Clipboards: from the client

    def _on_grab(self, message: agent.ClipboardGrab) -> None:
        if self._is_current(message):
            self.clipboard.client_copied(message.types, message.selection)

    def _on_request(self, message: agent.ClipboardRequest) -> None:
        self.say(self._content(message.selection, message.type))

    def _on_content(self, message: agent.Clipboard) -> None:
        if message.type == ClipboardType.UTF8_TEXT:
            self.clipboard.text_arrived(message.data, message.selection)
        else:
            self.clipboard.text_refused(message.selection)

    def _on_release(self, message: agent.ClipboardRelease) -> None:
        self.clipboard.client_cleared(message.selection)

    def _is_current(self, grab: agent.ClipboardGrab) -> bool:
        """Whether a grab of the client counts; of two that crossed with the same serial, the client's does."""
        if not self.layout.serial:
            return True
        if grab.serial < self._serials[grab.selection] - 1:
            return False
        self._serials[grab.selection] = (grab.serial + 1) & MAX_SERIAL
        return True

    def _content(self, selection: int, kind: int) -> agent.Clipboard:
        data = self.clipboard.data_of(selection)
        if (
            kind != ClipboardType.UTF8_TEXT
            or data is None
            or self.clipboard.owner_of(selection) is not clipboards.Owner.GUEST
            or (self.max_clipboard is not None and len(data) > self.max_clipboard)
        ):
            return agent.Clipboard(ClipboardType.NONE, selection=selection)
        return agent.Clipboard(kind, data, selection=selection)

    # Clipboards: from the guest

    def _on_clipboard(self, change: ClipboardChange) -> None:
        selection = change.selection
        reachable = self._reaches_client(selection)
        match change:
            case clipboards.GuestCopied() | clipboards.GuestCleared() | clipboards.TextWanted() if (
                reachable and self._send is None
            ):
                self._missed.add(selection)
            case clipboards.GuestCopied() if reachable:
                self._offer(selection)
            case clipboards.GuestCleared() if reachable:
                self.say(agent.ClipboardRelease(selection=selection))
            case clipboards.TextWanted() if reachable:
                self.say(agent.ClipboardRequest(ClipboardType.UTF8_TEXT, selection=selection))
            case clipboards.TextWanted():  # of a client that copied but never said it can
                self.clipboard.text_refused(selection)

    def _reaches_client(self, selection: int) -> bool:
        """Whether the client knows of that clipboard."""
        return AgentCap.CLIPBOARD_BY_DEMAND in self.client_capabilities & self.capabilities and (
            selection == ClipboardSelection.CLIPBOARD or self.layout.selection
        )

    def _offer(self, selection: int) -> None:
        self._offered.add(selection)
        serial = 0
        if self.layout.serial:
            serial = self._serials[selection]
            self._serials[selection] = (serial + 1) & MAX_SERIAL
        self.say(agent.ClipboardGrab((ClipboardType.UTF8_TEXT,), selection=selection, serial=serial))

    def _tell(self, event: AgentEvent) -> None:
        self._observers.tell(event)


def _of_known_clipboard(handler: Handler) -> Handler:
    """Ignore messages about clipboards that there are not."""

    def handle(it: Agent, message: Any) -> None:
        if message.selection in _SELECTIONS:
            handler(it, message)

    return handle


HANDLERS: Final[Handlers] = MappingProxyType(
    {
        agent.AnnounceCapabilities: Agent._on_announcement,
        agent.MonitorsConfig: Agent._on_monitors,
        agent.DisplayConfig: Agent._on_display_config,
        agent.MouseState: Agent._on_mouse,
        agent.MaxClipboard: Agent._on_max_clipboard,
        agent.FileXferStart: Agent._on_file,
        agent.ClipboardGrab: _of_known_clipboard(Agent._on_grab),
        agent.ClipboardRequest: _of_known_clipboard(Agent._on_request),
        agent.Clipboard: _of_known_clipboard(Agent._on_content),
        agent.ClipboardRelease: _of_known_clipboard(Agent._on_release),
    }
)
"""What the agent does with a client's messages, by their class. A handler may answer by :meth:`Agent.say`."""


def _read_set(state: Plain, most: int) -> frozenset[int]:
    """Numbers up to ``most``, each of them once."""
    numbers: set[int] = set()
    for element in state.elements(most + 1):
        number = element.integer(0, most)
        if number in numbers:
            raise element.wrong(f"a second {number}")
        numbers.add(number)
    return frozenset(numbers)


def _monitors(message: agent.MonitorsConfig) -> tuple[RequestedMonitor, ...]:
    sizes = message.physical_sizes or [agent.MonitorMM(0, 0)] * len(message.monitors)
    positioned = bool(message.flags & MonitorsFlags.USE_POS)
    return tuple(
        RequestedMonitor(
            number, monitor.width, monitor.height, monitor.x, monitor.y, positioned, size.width, size.height
        )
        for number, (monitor, size) in enumerate(zip(message.monitors, sizes, strict=True))
        if monitor.width and monitor.height
    )
