"""One client as a whole, sans-IO: its channels, what they share, and what its actions do to the guest.

Channels know nothing of each other. What one of them reports, the session applies to the guest and, where the protocol
wants it, tells another: a key changes the locks that the inputs channel announces, an inputs channel without TLS is
worth a note on the main channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from spiceemu.channels import events
from spiceemu.channels.cursor import CursorChannel
from spiceemu.channels.display import DisplayChannel
from spiceemu.channels.encoding import Compression
from spiceemu.channels.inputs import InputsChannel, Scancodes
from spiceemu.channels.main import AgentReceived, Introduction, MainChannel
from spiceemu.channels.sound import PlaybackChannel, RecordChannel
from spiceemu.channels.view import window_of
from spiceemu.guest import agent as guest_agent
from spiceemu.guest.clipboard import TextReceived
from spiceemu.guest.keyboard import KeyEvent
from spiceemu.guest.machine import LocksChanged
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.compat import Feature
from spiceemu.protocol.enums import MouseMode
from spiceemu.protocol.errors import InvalidValue, UnknownMessage, WrongState
from spiceemu.protocol.level import CURRENT

if TYPE_CHECKING:
    from spiceemu.channels.channel import Channel
    from spiceemu.channels.events import Event
    from spiceemu.guest.machine import Guest, GuestEvent
    from spiceemu.protocol.agent_message import AgentMessage
    from spiceemu.protocol.level import Level
    from spiceemu.protocol.link import Linked

    Reaction: TypeAlias = Callable[["Session", Any], Iterable[Event]]

MOUSE_MODES = MouseMode.SERVER | MouseMode.CLIENT
"""Both: the guest has a tablet."""


class Session:
    """A client's channels and their common state.

    :param guest: the machine they show.
    :param session_id: what ties the channels together (``connection_id`` of their links).
    :param channels: type and id of the channels that may be opened, main apart.
    :param compression: how pictures are encoded: ``auto``, ``lz`` or ``off``.
    :param now: when the session begins; its multimedia clock counts from here.
    :param level: what the server behaves like, to the end of the session.
    :param strict: whether a message that the level does not know ends its connection.
    """

    def __init__(
        self,
        guest: Guest,
        *,
        session_id: int,
        channels: Sequence[tuple[ChannelType, int]],
        compression: str,
        now: float,
        level: Level = CURRENT,
        strict: bool = True,
    ) -> None:
        self.level = level
        self.guest = guest
        self.id = session_id
        self.channels: dict[tuple[int, int], Channel] = {}
        self.mouse_mode = MouseMode.SERVER
        self._offered = channels
        self._compression = Compression(compression)
        self._began = now
        self._strict = strict
        self._agent_news: list[Event] = []
        self._unsubscribe = [guest.subscribe(self._on_guest)]
        if guest.agent is not None:
            self._unsubscribe.append(guest.agent.subscribe(self._on_agent))

    @property
    def main(self) -> MainChannel:
        """The main channel.

        :raises WrongState: it is closed.
        """
        found = self.channel(ChannelType.MAIN)
        assert isinstance(found, MainChannel)
        return found

    def channel(self, kind: ChannelType, number: int = 0) -> Channel:
        """A channel by type and id.

        :raises WrongState: the client has not opened it, or has closed it.
        """
        found = self.channels.get((kind, number))
        if found is None:
            raise WrongState(f"session {self.id:08x} has no channel {kind.name.lower()}:{number} open")
        return found

    @property
    def _has_agent(self) -> bool:
        """Whether this client is the one that talks to the agent."""
        return self.guest.agent_client is self

    def multi_media_time(self, now: float) -> int:
        """The session's multimedia clock in milliseconds."""
        return int((now - self._began) * 1000) & 0xFFFFFFFF

    def mark(self, mark: int, now: float) -> list[Channel]:
        """Let every display and cursor channel report when its client is in step; the channels that will."""
        kinds = ChannelType.DISPLAY, ChannelType.CURSOR
        channels = [channel for channel in self.channels.values() if channel.type in kinds]
        for channel in channels:
            channel.mark(mark, now)
        return channels

    # From the test

    def set_mouse_mode(self, mode: int) -> None:
        """Decide who moves the pointer and tell the client, if that is news."""
        if mode != self.mouse_mode:
            self.mouse_mode = MouseMode(mode)
            self.main.set_mouse_mode(MOUSE_MODES, self.mouse_mode)
            for channel in self.channels.values():
                if isinstance(channel, CursorChannel):
                    channel.set_mouse_mode(mode)

    def set_agent_connected(self, connected: bool) -> None:
        """Let the guest's agent leave this client, or come back to it.

        :raises WrongState: the guest has no agent.
        """
        if self.guest.agent is None:
            raise WrongState("the guest has no agent")
        if connected:
            self.main.agent_connected()
        else:
            self._leave_agent()
            self.main.agent_disconnected()

    def invalidate_caches(self) -> None:
        """Let the client forget its cached pictures, palettes and cursors."""
        channels = self.channels.values()
        displays = [channel for channel in channels if isinstance(channel, DisplayChannel) and channel.ready]
        if displays:
            displays[0].invalidate(displays[1:])
        for channel in channels:
            if isinstance(channel, CursorChannel):
                channel.invalidate()

    # Channels

    def open(self, linked: Linked, wake: Callable[[], None], now: float) -> Channel:
        """Open the channel that a link asked for."""
        kind, number = ChannelType(linked.request.channel_type), linked.request.channel_id
        channel = self._make(kind, linked, wake, now)
        channel.strict = self._strict
        self.channels[kind, number] = channel
        return channel

    def _make(self, kind: ChannelType, linked: Linked, wake: Callable[[], None], now: float) -> Channel:
        number = linked.request.channel_id
        match kind:
            case ChannelType.MAIN:
                return MainChannel(linked, wake, intro=self._introduction(now), now=now)
            case ChannelType.DISPLAY:
                shown = self.guest.displays[number]
                return DisplayChannel(linked, wake, shown=shown, compression=self._compression, now=now)
            case ChannelType.CURSOR:
                origin = partial(self._origin, number)
                return CursorChannel(linked, wake, shown=self.guest.cursor, mouse_mode=self.mouse_mode, origin=origin)
            case ChannelType.INPUTS:
                if not linked.request.secure:
                    self.main.notify("keyboard channel is insecure", now)
                return InputsChannel(linked, wake, locks=self.guest.keyboard.locks)
            case ChannelType.PLAYBACK:
                return PlaybackChannel(linked, wake, multi_media_time=self.multi_media_time(now))
            case ChannelType.RECORD:
                return RecordChannel(linked, wake)
            case _:
                raise WrongState(f"no {kind.name.lower()} channel is offered")

    def _origin(self, display_id: int) -> tuple[int, int]:
        """Where on a display of the guest the client's screen begins."""
        if display_id >= len(self.guest.displays):
            return 0, 0
        window = window_of(self.guest.displays[display_id], self.level)
        return window.x, window.y

    def _introduction(self, now: float) -> Introduction:
        return Introduction(
            session_id=self.id,
            displays=sum(kind is ChannelType.DISPLAY for kind, _ in self._offered),
            mouse_modes=MOUSE_MODES,
            mouse_mode=self.mouse_mode,
            agent_connected=self.guest.agent is not None,
            multi_media_time=self.multi_media_time(now),
            channels=self._offered,
            name=self.guest.name,
            uuid=self.guest.uuid.bytes,
        )

    def close_channel(self, channel: Channel) -> None:
        """Forget a channel whose connection is gone; without inputs, the client's keys and buttons are released."""
        channel.close()
        del self.channels[channel.type, channel.id]
        if channel.type is ChannelType.INPUTS:
            self.guest.release_keys()
            self.guest.release_buttons()

    def close(self) -> None:
        """Forget all channels and let go of the guest."""
        for channel in list(self.channels.values()):
            self.close_channel(channel)
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._leave_agent()

    # From the client

    def receive(self, channel: Channel, data: bytes, now: float) -> Iterator[Event]:
        """Feed a channel, apply what came to the guest, and give the events for the test. Exhaust the iterator.

        :raises RemoteError: the client broke the protocol; the channel must be closed.
        """
        for event in channel.receive_data(data, now):
            reaction = _REACTIONS.get(type(event))
            if reaction is None:
                yield event
            else:
                yield from reaction(self, event)

    def _on_scancodes(self, event: Scancodes) -> Iterable[Event]:
        for key in self.guest.type_scancodes(event.data):
            if key.pressed:
                yield events.KeyDown(key.scancode, key.name, key.character)
            else:
                yield events.KeyUp(key.scancode, key.name)

    def _on_key_modifiers(self, event: events.KeyModifiers) -> Iterable[Event]:
        self.guest.set_locks(event.modifiers)
        return (event,)

    def _on_motion(self, event: events.MouseMotion) -> Iterable[Event]:
        self.guest.move_pointer(event.dx, event.dy, event.buttons)
        return (event,)

    def _on_position(self, event: events.MousePosition) -> Iterable[Event]:
        self._place_pointer(event.x, event.y, event.buttons, event.display_id)
        return (event,)

    def _place_pointer(self, x: int, y: int, buttons: int, display_id: int) -> None:
        left, top = self._origin(display_id)
        self.guest.place_pointer(x + left, y + top, buttons, display_id)

    def _on_press(self, event: events.MousePress) -> Iterable[Event]:
        self.guest.press_button(event.button, event.buttons)
        return (event,)

    def _on_release(self, event: events.MouseRelease) -> Iterable[Event]:
        self.guest.release_button(event.button, event.buttons)
        return (event,)

    def _on_mouse_mode(self, event: events.MouseModeRequested) -> Iterable[Event]:
        self.set_mouse_mode(event.mode)
        return (event,)

    # The agent

    def _on_agent_started(self, event: events.AgentStarted) -> Iterable[Event]:
        if self.guest.agent is not None:
            self.guest.agent.start(self._send_agent)
            self.guest.agent_client = self
        return (event,)

    def _leave_agent(self) -> None:
        if self._has_agent and self.guest.agent is not None:
            self.guest.agent_client = None
            self.guest.agent.reset()

    def _send_agent(self, message: AgentMessage) -> None:
        assert self.guest.agent is not None
        self.main.send_agent(message, self.guest.agent.layout)

    def _on_agent_received(self, event: AgentReceived) -> Iterable[Event]:
        agent = self.guest.agent
        if agent is None or not self._has_agent:
            return ()  # another client has begun to talk to it since
        try:
            message = event.message.parse(agent.layout)
        except UnknownMessage:
            return ()  # a later client's; agents ignore what they do not know
        agent.receive(message)
        news, self._agent_news = self._agent_news, []
        return (events.AgentMessage(message), *news)

    def _on_agent(self, event: guest_agent.AgentEvent) -> None:
        if not self._has_agent:
            return
        match event:
            case guest_agent.MonitorsRequested(monitors):
                asked = tuple((monitor.x, monitor.y, monitor.width, monitor.height) for monitor in monitors)
                self._agent_news.append(events.MonitorsRequested(asked))
                # Who cannot be told of a second head gets none.
                shown = monitors if self.level.has(Feature.MONITORS_CONFIG) else monitors[:1]
                try:
                    self.guest.lay_out(shown)
                except InvalidValue as error:
                    self._agent_news.append(events.RequestRefused(str(error)))
            case guest_agent.PointerPlaced(x, y, buttons, display_id):
                self._place_pointer(x, y, buttons, display_id)

    # From the guest

    def _on_guest(self, event: GuestEvent) -> None:
        match event:
            case KeyEvent() | LocksChanged():
                inputs = self.channels.get((ChannelType.INPUTS, 0))
                if isinstance(inputs, InputsChannel):
                    inputs.set_locks(self.guest.keyboard.locks)
            case TextReceived(selection) if self._has_agent:
                text = self.guest.clipboard.text_of(selection)
                self._agent_news.append(events.ClipboardText(text or "", selection))


_REACTIONS: Mapping[type[events.Event], Reaction] = {
    Scancodes: Session._on_scancodes,
    AgentReceived: Session._on_agent_received,
    events.AgentStarted: Session._on_agent_started,
    events.KeyModifiers: Session._on_key_modifiers,
    events.MouseModeRequested: Session._on_mouse_mode,
    events.MouseMotion: Session._on_motion,
    events.MousePosition: Session._on_position,
    events.MousePress: Session._on_press,
    events.MouseRelease: Session._on_release,
}
"""What the session does about an event; the others go to the test as they are."""
