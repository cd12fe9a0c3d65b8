"""The main channel: the session's head.

Order at the start, as spice-server's (main-channel-client.cpp): INIT, NAME and UUID if the client takes them, three
PINGs as a bandwidth test; CHANNELS_LIST once the client has asked with ATTACH_CHANNELS.

The agent's messages travel in pieces of at most 2048 bytes, each costing its sender a token. The client has ten at
first and is given new ones five at a time; what it grants us comes with AGENT_START and AGENT_TOKEN.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from spiceemu.channels.channel import NANOSECONDS, Channel, Handler
from spiceemu.channels.events import AgentStarted, ChannelsAttached, Event, MouseModeRequested
from spiceemu.protocol import base, main
from spiceemu.protocol.capabilities import ChannelType, MainCap
from spiceemu.protocol.enums import LinkErr, MouseMode, NotifySeverity, NotifyVisibility
from spiceemu.protocol.errors import IllegalMessage, LimitExceeded
from spiceemu.protocol.message import Message
from spiceemu.protocol.types import ChannelId

if TYPE_CHECKING:
    from spiceemu.protocol.link import Linked

AGENT_TOKENS = 10
"""Pieces a client may send before it is given more (spice-server reds.cpp, REDS_AGENT_WINDOW_SIZE)."""

TOKEN_BUNCH = 5
"""Pieces after which the client is given as many tokens back (spice-server, REDS_TOKENS_TO_SEND)."""

MAX_AGENT_WAITING = 1 << 24
"""Bytes for the client that may wait for its tokens: a little more than the largest clipboard."""

NET_TEST_PADDING = (0, 0, 256_000)
"""Bytes of padding in the PINGs of the bandwidth test (spice-server, NET_TEST_BYTES)."""

RAM_HINT = 0x5FFE000
"""Bytes of video memory for pictures that INIT names; clients only scale their caches by it."""


@dataclass(frozen=True, slots=True)
class AgentPiece(Event):
    """A piece of what the client says to the agent; the session puts the pieces together."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Introduction:
    """What the main channel tells of its session at the start; times in milliseconds."""

    session_id: int
    displays: int
    mouse_modes: int
    mouse_mode: int
    agent_connected: bool
    multi_media_time: int
    channels: Sequence[tuple[ChannelType, int]]
    name: str = ""
    uuid: bytes = field(default=bytes(16))


class MainChannel(Channel):
    """Introduces the session, lists its channels, carries the agent's messages.

    :param intro: what to say at the start.
    :param net_test: whether to send the PINGs of the bandwidth test, as real servers do but on unix sockets.
    """

    type = ChannelType.MAIN

    def __init__(
        self, linked: Linked, wake: Callable[[], None], *, intro: Introduction, now: float, net_test: bool = True
    ) -> None:
        super().__init__(linked, wake)
        self._intro = intro
        self._agent_connected = intro.agent_connected
        self._agent_tokens = 0
        self._agent_waiting: deque[bytes] = deque()
        self._agent_waiting_bytes = 0
        self._client_tokens = AGENT_TOKENS
        self._pieces_taken = 0
        self.attached = False
        """Whether the client has asked for the list of channels."""
        self.send(
            main.Init(
                session_id=intro.session_id,
                display_channels_hint=intro.displays,
                supported_mouse_modes=intro.mouse_modes,
                current_mouse_mode=intro.mouse_mode,
                agent_connected=intro.agent_connected,
                agent_tokens=AGENT_TOKENS,
                multi_media_time=intro.multi_media_time,
                ram_hint=RAM_HINT,
            )
        )
        if MainCap.NAME_AND_UUID in self.client_capabilities:
            self.send(main.Name(intro.name.encode() + b"\0"))
            self.send(main.Uuid(intro.uuid))
        if net_test:
            for padding in NET_TEST_PADDING:
                self.ping(now, bytes(padding))

    # From the session

    def notify(self, text: str, now: float, severity: int = NotifySeverity.WARN) -> None:
        """Show the user a text. The NUL behind it is not counted, as real servers do."""
        encoded = text.encode()
        self.send(
            base.Notify(
                int(now * NANOSECONDS), severity, NotifyVisibility.HIGH, 0, encoded, trailing=b"\0"
            )
        )

    def set_mouse_mode(self, supported: int, current: int) -> None:
        """Tell who moves the pointer from now on."""
        self.send(main.MouseMode(supported, current))

    def set_multi_media_time(self, milliseconds: int) -> None:
        """Set the client's multimedia clock."""
        self.send(main.MultiMediaTime(milliseconds))

    def agent_connected(self) -> None:
        """Tell that the guest's agent has come."""
        self._agent_connected = True
        self._client_tokens = AGENT_TOKENS
        if MainCap.AGENT_CONNECTED_TOKENS in self.client_capabilities:
            self.send(main.AgentConnectedTokens(AGENT_TOKENS))
        else:
            self.send(main.AgentConnected())

    def agent_disconnected(self) -> None:
        """Tell that the guest's agent has gone; what still waits for tokens is dropped, as the agent is."""
        self._agent_connected = False
        self._agent_waiting.clear()
        self._agent_waiting_bytes = 0
        self._agent_tokens = 0
        self.send(main.AgentDisconnected(LinkErr.OK))

    def send_agent(self, pieces: Iterable[bytes]) -> None:
        """Send pieces of agent messages as the client's tokens allow.

        :raises LimitExceeded: the client grants no tokens and too much waits.
        """
        for piece in pieces:
            self._agent_waiting.append(piece)
            self._agent_waiting_bytes += len(piece)
        if self._agent_waiting_bytes > MAX_AGENT_WAITING:
            raise LimitExceeded(f"{self.name}: {self._agent_waiting_bytes} bytes wait for AGENT_TOKEN, {MAX_AGENT_WAITING=}")
        self._flush_agent()

    def _flush_agent(self) -> None:
        while self._agent_waiting and self._agent_tokens:
            piece = self._agent_waiting.popleft()
            self._agent_waiting_bytes -= len(piece)
            self._agent_tokens -= 1
            self.send(main.AgentData(piece))

    # Handlers

    def _on_attach_channels(self, _message: main.AttachChannels, _now: float) -> Iterable[Event]:
        if self.attached:
            raise IllegalMessage(f"{self.name}: a second main.AttachChannels")
        self.attached = True
        self.send(main.ChannelsList(tuple(ChannelId(kind, number) for kind, number in self._intro.channels)))
        return (ChannelsAttached(),)

    def _on_mouse_mode_request(self, message: main.MouseModeRequest, _now: float) -> Iterable[Event]:
        known = MouseMode.SERVER, MouseMode.CLIENT
        return (MouseModeRequested(message.mode),) if message.mode in known else ()

    def _on_agent_start(self, message: main.AgentStart, _now: float) -> Iterable[Event]:
        self._agent_tokens = message.num_tokens
        return (AgentStarted(message.num_tokens),)

    def _on_agent_token(self, message: main.AgentToken, _now: float) -> None:
        self._agent_tokens += message.num_tokens
        self._flush_agent()

    def _on_agent_data(self, message: main.AgentData, _now: float) -> Iterable[Event]:
        if not self._agent_connected:
            return ()  # sent before the client knew that the agent has gone
        if not self._client_tokens:
            raise IllegalMessage(f"{self.name}: main.AgentData without a token")
        self._client_tokens -= 1
        self._pieces_taken += 1
        if self._pieces_taken == TOKEN_BUNCH:
            self._pieces_taken = 0
            self._client_tokens += TOKEN_BUNCH
            self.send(main.AgentToken(TOKEN_BUNCH))
        return (AgentPiece(message.data),)

    def _on_client_info(self, _message: main.ClientInfo, _now: float) -> None:
        """Nothing follows from the size of the client's cache; spice-server ignores it as well."""

    handlers: ClassVar[Mapping[type[Message], Handler]] = {
        main.AttachChannels: _on_attach_channels,
        main.MouseModeRequest: _on_mouse_mode_request,
        main.AgentStart: _on_agent_start,
        main.AgentToken: _on_agent_token,
        main.AgentData: _on_agent_data,
        main.ClientInfo: _on_client_info,
    }
