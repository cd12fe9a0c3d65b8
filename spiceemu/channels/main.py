"""The main channel: the session's head.

Order at the start, as spice-server's (main-channel-client.cpp): INIT, NAME and UUID if the client takes them, three
PINGs as a bandwidth test; CHANNELS_LIST once the client has asked with ATTACH_CHANNELS.

The agent's messages travel in pieces, each costing its sender a token: see :mod:`spiceemu.protocol.agent.stream`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from spiceemu.channels.channel import NANOSECONDS, Channel
from spiceemu.channels.migration import ClientFollowed, MigrationAnswer, MigrationAnswered, Restored, SeamlessAsked
from spiceemu.channels.passage import Passage, Stage
from spiceemu.channels.shared import MOUSE_MODES, Shared
from spiceemu.errors import LimitExceeded, MalformedMessage, RemoteError
from spiceemu.events import AgentStarted, ChannelsAttached, Event, MouseModeRequested
from spiceemu.protocol.agent.stream import GRANTED_TOKENS, AgentReader, AgentTokens, AgentWriter, VDAgentMessage
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import LinkErr, MouseMode, NotifySeverity, NotifyVisibility
from spiceemu.protocol.messages import base, main
from spiceemu.protocol.messages.migrate_data import UNLIMITED, WITH_STATE, CharDevice, MainData
from spiceemu.protocol.messages.types import ChannelId

if TYPE_CHECKING:
    from spiceemu.channels.handlers import Handlers
    from spiceemu.channels.tap import Taps
    from spiceemu.protocol.agent.message import AgentMessage, ClipboardLayout
    from spiceemu.protocol.link.server import Linked
    from spiceemu.protocol.plain import Plain

NET_TEST_PADDING = (0, 0, 256_000)
"""Bytes of padding in the PINGs of the bandwidth test (spice-server, NET_TEST_BYTES)."""

AGENT_TIMEOUT = 30.0
"""Seconds for which a client may let the agent wait for a token, as spice-server's (char-device.cpp)."""

RAM_HINT = 0x5FFE000
"""Bytes of video memory for pictures that INIT names; clients only scale their caches by it."""


@dataclass(frozen=True, slots=True)
class AgentReceived(Event):
    """A whole message from the client to the agent, not yet read; the session hands it on."""

    message: VDAgentMessage


@dataclass(frozen=True, slots=True)
class Introduction:
    """What the main channel tells of its session at the start; times in milliseconds.

    A machine without a name, or with a UUID of zeros, tells none.
    """

    session_id: int
    displays: int
    mouse_modes: int
    mouse_mode: int
    agent_connected: bool
    multi_media_time: int
    channels: Sequence[tuple[ChannelType, int]]
    name: str = ""
    uuid: bytes = field(default=bytes(16))


def introduction_of(shared: Shared, now: float) -> Introduction:
    """What there is to tell of a client's session.

    :param now: the time, for the multimedia clock.
    :returns: it, as it is now.
    """
    guest = shared.guest
    return Introduction(
        session_id=shared.session_id,
        displays=sum(kind is ChannelType.DISPLAY for kind, _ in shared.offered),
        mouse_modes=MOUSE_MODES,
        mouse_mode=shared.mouse_mode,
        agent_connected=guest.agent is not None,
        multi_media_time=shared.multi_media_time(now),
        channels=shared.offered,
        name=guest.name,
        uuid=guest.uuid.bytes,
    )


class MainChannel(Channel):
    """Introduces the session, lists its channels, carries the agent's messages.

    The PINGs of the bandwidth test are sent but on unix sockets, as real servers do. On a link that is resumed nothing
    is said before :meth:`introduce` or the state that comes from the other server: spice-gtk would not understand it.

    :param intro: what to say at the start.
    """

    type = ChannelType.MAIN
    migrate_flags = WITH_STATE

    def __init__(
        self,
        linked: Linked,
        wake: Callable[[], None],
        *,
        intro: Introduction,
        now: float,
        passage: Passage | None = None,
        taps: Taps | None = None,
    ) -> None:
        super().__init__(linked, wake, passage=passage, taps=taps)
        self.session_id = intro.session_id
        self._intro = intro
        self._agent_connected = intro.agent_connected
        self._agent_reader = AgentReader()
        self._agent_writer = AgentWriter()
        self._granted = AgentTokens()
        self._agent_deadline: float | None = None  # of a token that the agent waits for
        self._fault: RemoteError | None = None  # raised when the client speaks again, or its time is checked
        self.agent_started = False
        """Whether the client talks to the agent."""
        self.attached = False
        """Whether the client has asked for the list of channels."""
        if not self.resumed:
            self.introduce(intro, now)

    def introduce(self, intro: Introduction, now: float, *, anew: bool = True) -> None:
        """Begin the session; to a client that has brought it from another server, INIT says all."""
        self._intro = intro
        self._agent_connected = intro.agent_connected
        self.passage.go(Stage.HERE)
        self.send(
            main.Init(
                session_id=intro.session_id,
                display_channels_hint=intro.displays,
                supported_mouse_modes=intro.mouse_modes,
                current_mouse_mode=intro.mouse_mode,
                agent_connected=intro.agent_connected,
                agent_tokens=self._granted.left,
                multi_media_time=intro.multi_media_time,
                ram_hint=RAM_HINT,
            )
        )
        if not anew:
            return
        if self.peer.takes_message(main.Name):
            if intro.name:
                self.send(main.Name(intro.name.encode() + b"\0"))
            if any(intro.uuid):
                self.send(main.Uuid(intro.uuid))
        if not self.linked.request.local:
            for padding in NET_TEST_PADDING:
                self.ping(now, bytes(padding))

    # From the session

    def notify(self, text: str, now: float, severity: int = NotifySeverity.WARN) -> None:
        """Show the user a text. The NUL behind it is not counted, as real servers do."""
        encoded = text.encode()
        self.send(base.Notify(int(now * NANOSECONDS), severity, NotifyVisibility.HIGH, 0, encoded, trailing=b"\0"))

    def set_mouse_mode(self, supported: int, current: int) -> None:
        """Tell who moves the pointer from now on; a client that moves hears it from the other server."""
        self.passage.mouse_mode_due = self.frozen
        self.send(main.MouseMode(supported, current))

    def set_multi_media_time(self, milliseconds: int) -> None:
        """Set the client's multimedia clock."""
        self.send(main.MultiMediaTime(milliseconds))

    def agent_connected(self) -> None:
        """Tell that the guest's agent has come."""
        self._agent_connected = True
        self._granted = AgentTokens()
        if self.peer.takes_message(main.AgentConnectedTokens):
            self.send(main.AgentConnectedTokens(self._granted.left))
        else:
            self.send(main.AgentConnected())

    def agent_disconnected(self) -> None:
        """Tell that the guest's agent has gone; half-sent messages are gone with it."""
        self._agent_connected = False
        self._agent_reader.reset()
        self._agent_writer.reset()
        self.send(main.AgentDisconnected(LinkErr.OK))

    def send_agent(self, message: AgentMessage, layout: ClipboardLayout) -> None:
        """Send a message of the agent, in pieces, as the connection and the client's tokens allow.

        A client that does not read or grants no tokens, so that too much waits, is refused when it speaks again or its
        time is checked: it is not the fault of who sends.
        """
        if self._fault is not None:
            return
        try:
            self._agent_writer.queue(message, layout)
        except LimitExceeded as error:
            self._fault = error
        self.wake()

    def handle(self, now: float) -> Sequence[Event] | None:
        """Handle the next message, of a client that is not at fault."""
        if self._fault is not None:
            raise self._fault
        return super().handle(now)

    def check_time(self, now: float) -> None:
        """Refuse a client that lets the agent wait too long, or for too much."""
        if self._fault is not None:
            raise self._fault
        if self.frozen or self._agent_writer.tokens or not self._agent_writer.waiting:
            self._agent_deadline = None
        elif self._agent_deadline is None:
            self._agent_deadline = now + AGENT_TIMEOUT
        elif now > self._agent_deadline:
            raise LimitExceeded(f"{self.name}: no main.AgentToken within AGENT_TIMEOUT {AGENT_TIMEOUT:g} s")

    def migrate_data(self) -> bytes:
        """How many tokens each side has; what the agent has half read or written moves with the guest."""
        device = CharDevice()
        if self._agent_connected:
            tokens = self._granted.left, min(self._agent_writer.tokens, UNLIMITED)
            device = CharDevice(connected=1, num_client_tokens=tokens[0], num_send_tokens=tokens[1])
        return MainData(agent_base=device, client_agent_started=self.agent_started).build()

    def load_migrate_data(self, data: bytes, _now: float) -> Sequence[Event]:
        """Go on with the tokens of before."""
        state = MainData.parse(data)
        self.attached = True
        self.agent_started = bool(state.client_agent_started)
        device = state.agent_base
        self._agent_connected = bool(device.connected)
        # Those that the other server had not given back are given here, as by spice-server (char-device.cpp).
        taken = max(GRANTED_TOKENS - device.num_client_tokens, 0) if device.connected else 0
        self._granted = AgentTokens(device.num_client_tokens, taken)
        self._agent_writer.reset(device.num_send_tokens)
        return (Restored(),)

    def renew_agent(self, *, present: bool) -> None:
        """Tell that an agent that the client knew has gone, and that this guest's has come."""
        if self._agent_connected:
            self.agent_disconnected()
        if present:
            self.agent_connected()

    def save(self) -> dict[str, Any]:
        """What of the agent's messages has come or gone in part.

        :returns: the states of reader, writer and tokens.
        """
        return {
            "reader": self._agent_reader.save(),
            "writer": self._agent_writer.save(),
            "tokens": self._granted.save(),
        }

    @classmethod
    def check_saved(cls, state: Plain) -> None:
        """Judge a talk with the agent; None for a client that did not talk to it.

        :raises InvalidValue: naming what cannot be.
        """
        if state.value is not None:
            reader, writer, tokens = state.fields("reader", "writer", "tokens")
            AgentReader().load(reader.value, reader.path)
            AgentWriter().load(writer.value, writer.path)
            AgentTokens().load(tokens.value, tokens.path)

    def load_agent(self, state: Mapping[str, Any]) -> None:
        """Go on in the middle of the agent's messages."""
        self._agent_connected = True
        self._agent_reader.load(state["reader"])
        self._agent_writer.load(state["writer"])
        self._granted.load(state["tokens"])

    def return_tokens(self) -> None:
        """Give the client the tokens that are due; a client that moves gets them from the other server."""
        if not self.frozen and (returned := self._granted.give_back()):
            self.send(main.AgentToken(returned))

    def produce(self) -> None:
        """Send what waits of the agent's. Not before: a client may ask for the clipboard again and again unread."""
        for piece in self._agent_writer.pieces_to_send():
            self.send(main.AgentData(piece))

    # Handlers

    def _on_attach_channels(self, _message: main.AttachChannels, _now: float) -> Sequence[Event]:
        self.attached = True
        self.send(main.ChannelsList(tuple(ChannelId(kind, number) for kind, number in self._intro.channels)))
        return (ChannelsAttached(),)

    def _on_mouse_mode_request(self, message: main.MouseModeRequest, _now: float) -> Sequence[Event]:
        known = MouseMode.SERVER, MouseMode.CLIENT
        return (MouseModeRequested(message.mode),) if message.mode in known else ()

    # Migration, at the source: what the client says of the other server

    def _on_migrate_connected(self, _message: main.MigrateConnected, _now: float) -> Sequence[Event]:
        return (MigrationAnswered(MigrationAnswer.CONNECTED),)

    def _on_migrate_connected_seamless(self, _message: main.MigrateConnectedSeamless, _now: float) -> Sequence[Event]:
        return (MigrationAnswered(MigrationAnswer.CONNECTED_SEAMLESS),)

    def _on_migrate_connect_error(self, _message: main.MigrateConnectError, _now: float) -> Sequence[Event]:
        return (MigrationAnswered(MigrationAnswer.CONNECT_ERROR),)

    # Migration, at the target

    def _on_migrate_end(self, _message: main.MigrateEnd, _now: float) -> Sequence[Event]:
        return (ClientFollowed(),)

    def _on_do_seamless(self, message: main.MigrateDstDoSeamless, _now: float) -> Sequence[Event]:
        return (SeamlessAsked(message.src_version),)

    # The agent

    def _on_agent_start(self, message: main.AgentStart, _now: float) -> Sequence[Event]:
        self.agent_started = True
        self._agent_writer.reset(message.num_tokens)
        self._agent_deadline = None
        return (AgentStarted(message.num_tokens),)

    def _on_agent_token(self, message: main.AgentToken, _now: float) -> None:
        self._agent_writer.tokens += message.num_tokens
        if message.num_tokens:
            self._agent_deadline = None
        self.wake()

    def _on_agent_data(self, message: main.AgentData, _now: float) -> Sequence[Event]:
        if not self._agent_connected:
            return ()  # sent before the client knew that the agent has gone
        if not message.data:  # as spice-server, whose parser takes no message that is nothing but data and has none
            raise MalformedMessage("main.AgentData", "data", 0, "no data")
        self._granted.spend()
        received: list[Event] = []
        try:
            received.extend(map(AgentReceived, self._agent_reader.receive_piece(message.data)))
        except RemoteError as error:
            self._fault = error  # behind what came before it
            return received
        self._granted.use()
        self.return_tokens()
        return received

    handlers: ClassVar[Handlers] = {
        main.AttachChannels: _on_attach_channels,
        main.MouseModeRequest: _on_mouse_mode_request,
        main.AgentStart: _on_agent_start,
        main.AgentToken: _on_agent_token,
        main.AgentData: _on_agent_data,
        main.MigrateConnected: _on_migrate_connected,
        main.MigrateConnectedSeamless: _on_migrate_connected_seamless,
        main.MigrateConnectError: _on_migrate_connect_error,
        main.MigrateEnd: _on_migrate_end,
        main.MigrateDstDoSeamless: _on_do_seamless,
    }
