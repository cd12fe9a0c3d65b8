"""One client as a whole, sans-IO: its channels, what they share, and what its actions do to the guest.

Channels know nothing of each other. What one of them reports, the session applies to the guest and, where the protocol
wants it, tells another: a key changes the locks that the inputs channel announces, an inputs channel without TLS is
worth a note on the main channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from spiceemu import events
from spiceemu.channels.cursor import CursorChannel
from spiceemu.channels.display import DisplayChannel
from spiceemu.channels.inputs import InputsChannel, Scancodes
from spiceemu.channels.main import AgentReceived, Introduction, MainChannel
from spiceemu.channels.migration import (
    ClientFollowed,
    MigrationAnswered,
    ParkedChannel,
    ParkedFault,
    Restored,
    SeamlessAsked,
)
from spiceemu.channels.pixmap_cache import ClientCache
from spiceemu.channels.sound import PlaybackChannel, RecordChannel
from spiceemu.channels.view import window_of
from spiceemu.codecs.table import Compression
from spiceemu.errors import RemoteError, WrongState
from spiceemu.guest.keyboard import KeyEvent
from spiceemu.guest.machine import LocksChanged
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import MouseMode
from spiceemu.protocol.levels.level import CURRENT, MigrationScheme
from spiceemu.sessions.agent import AgentTalk
from spiceemu.sessions.migration import ArrivalState, on_answered, on_followed, on_restored, on_seamless_asked

if TYPE_CHECKING:
    from spiceemu.channels.channel import Channel
    from spiceemu.events import Event
    from spiceemu.guest.machine import Guest, GuestEvent
    from spiceemu.protocol.levels.level import Level
    from spiceemu.protocol.link.server import Linked
    from spiceemu.sessions.migration import Arrival, Departure

    Reaction: TypeAlias = Callable[["Session", Any, float], Iterable[Event]]

MOUSE_MODES = MouseMode.SERVER | MouseMode.CLIENT
"""Both: the guest has a tablet."""


class Session:
    """A client's channels and their common state.

    :param guest: the machine they show.
    :param session_id: what ties the channels together (``connection_id`` of their links).
    :param channels: type and id of the channels that may be opened, main apart; ``offered`` from then on.
    :param compression: how pictures are encoded, by a name of :mod:`spiceemu.codecs.compression`.
    :param now: when the session begins; its multimedia clock counts from here.
    :param level: what the server behaves like, to the end of the session.
    :param strict: whether a message that the level does not know ends its connection.
    :param arrival: for a client that comes from another server, or has to wait for the guest.
    :param alone: tells whether this is the server's only client, those aside that are only on their way here.
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
        arrival: Arrival | None = None,
        alone: Callable[[], bool] = lambda: True,
    ) -> None:
        self.level = level
        self.arrival = arrival
        self.departure: Departure | None = None
        self.carried: Mapping[str, Any] | None = None
        """What :meth:`state` gave at the source, where that is one of ours."""
        self.alone = alone
        self.guest = guest
        self.id = session_id
        self.channels: dict[tuple[int, int], Channel] = {}
        self.mouse_mode = MouseMode.SERVER
        self.offered = channels
        self.pictures = ClientCache()
        """What the client keeps of pictures, for all of its display channels."""
        self._compression = Compression(compression)
        self._began = now
        self._strict = strict
        self.agent = AgentTalk(self)
        self._unsubscribe = guest.subscribe(self._on_guest)

    @property
    def main(self) -> MainChannel:
        """The main channel.

        :raises WrongState: it is closed.
        """
        found = self.channel(ChannelType.MAIN)
        assert isinstance(found, MainChannel)
        return found

    def find_main(self) -> MainChannel | None:
        """The main channel, unless a client that leaves for another server has closed it before the others."""
        found = self.channels.get((ChannelType.MAIN, 0))
        assert found is None or isinstance(found, MainChannel)
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
    def has_channels_beside_main(self) -> bool:
        """Whether any channel but main is open."""
        return any(kind != ChannelType.MAIN for kind, _ in self.channels)

    @property
    def is_arriving(self) -> bool:
        """Whether the client comes from another server and has not begun here."""
        return self.arrival is not None and self.arrival.state is not ArrivalState.BEGUN

    @property
    def came_seamlessly(self) -> bool:
        """Whether the client has brought its channels from another server as they were."""
        return self.arrival is not None and self.arrival.seamless and not self.is_arriving

    def multi_media_time(self, now: float) -> int:
        """The session's multimedia clock in milliseconds."""
        return int((now - self._began) * 1000) & 0xFFFFFFFF

    @property
    def shows_something(self) -> bool:
        """Whether a display channel is ready."""
        return any(isinstance(channel, DisplayChannel) and channel.ready for channel in self.channels.values())

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
            self.main.set_mouse_mode(MOUSE_MODES, mode)
            self._note_mouse_mode(mode)

    def _note_mouse_mode(self, mode: int) -> None:
        self.mouse_mode = MouseMode(mode)
        for channel in self.channels.values():
            if isinstance(channel, CursorChannel):
                channel.set_mouse_mode(mode)

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

    def find(self, kind: int, number: int) -> Channel | ParkedChannel | None:
        """A channel that the client has linked, begun or not."""
        found = self.channels.get((kind, number))
        return found or (self.arrival.parked.get((kind, number)) if self.arrival else None)

    def open(self, linked: Linked, wake: Callable[[], None], now: float) -> Channel | ParkedChannel:
        """Open the channel that a link asked for; one of a client that has not quite arrived is parked."""
        kind, number = ChannelType(linked.request.channel_type), linked.request.channel_id
        arrival = self.arrival
        if arrival is not None and kind is not ChannelType.MAIN and arrival.state is ArrivalState.PARKED:
            parked = arrival.parked[kind, number] = ParkedChannel(linked, wake)
            return parked
        linked.resumed = arrival is not None and arrival.state is not ArrivalState.BEGUN
        channel = self._make(kind, linked, wake, now)
        channel.strict = self._strict
        self.channels[kind, number] = channel
        self._carry_displays()
        return channel

    def _make(self, kind: ChannelType, linked: Linked, wake: Callable[[], None], now: float) -> Channel:
        number = linked.request.channel_id
        match kind:
            case ChannelType.MAIN:
                return MainChannel(linked, wake, intro=self._introduction(now), now=now)
            case ChannelType.DISPLAY:
                shown = self.guest.displays[number]
                return DisplayChannel(
                    linked, wake, shown=shown, compression=self._compression, now=now, pictures=self.pictures
                )
            case ChannelType.CURSOR:
                origin = partial(self._origin, number)
                return CursorChannel(linked, wake, shown=self.guest.cursor, mouse_mode=self.mouse_mode, origin=origin)
            case ChannelType.INPUTS:
                if not linked.request.secure and (main := self.find_main()):
                    main.notify("keyboard channel is insecure", now)
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
            displays=sum(kind is ChannelType.DISPLAY for kind, _ in self.offered),
            mouse_modes=MOUSE_MODES,
            mouse_mode=self.mouse_mode,
            agent_connected=self.guest.agent is not None,
            multi_media_time=self.multi_media_time(now),
            channels=self.offered,
            name=self.guest.name,
            uuid=self.guest.uuid.bytes,
        )

    def close_channel(self, channel: Channel | ParkedChannel) -> None:
        """Forget a channel whose connection is gone; without inputs, the client's keys and buttons are released.

        But not those of a client whose session goes on elsewhere: they move with the guest.
        """
        channel.close()
        if isinstance(channel, ParkedChannel):
            assert self.arrival is not None
            del self.arrival.parked[channel.type, channel.id]
            return
        del self.channels[channel.type, channel.id]
        leaving = self.departure is not None and self.departure.takes_keys
        if channel.type is ChannelType.INPUTS and not leaving:
            self.guest.release_keys()
            self.guest.release_buttons()

    def close(self) -> None:
        """Forget all channels and let go of the guest; of a client that leaves for another server, not of the agent."""
        for channel in list(self.channels.values()):
            self.close_channel(channel)
        self._unsubscribe()
        self.agent.close()
        if self.departure is None or not self.departure.is_leaving:
            self.agent.leave()

    # From and to other servers

    @property
    def takes_channels_along(self) -> bool:
        """Whether the client was told to leave with the states of its channels."""
        return self.departure is not None and self.departure.takes_channels_along

    def release(self) -> None:
        """Let go of what a client has left that was to move with the guest, and does not: keys, buttons, the agent."""
        self.guest.release_keys()
        self.guest.release_buttons()
        self.agent.leave()

    def begin_arrival(self, now: float) -> Iterator[Event]:
        """Begin a session that was parked, if nothing is in the way; its channels are as new."""
        arrival = self.arrival
        if arrival is None or not arrival.is_due:
            return
        arrival.state = ArrivalState.BEGUN
        self.main.introduce(self._introduction(now), now, anew=arrival.scheme is MigrationScheme.SWITCH_HOST)
        yield events.ClientArrived(arrival.scheme)
        yield from self.open_parked(now)

    def open_parked(self, now: float) -> Iterator[Event]:
        """Open the channels that were parked, and hear what they were told meanwhile."""
        assert self.arrival is not None
        for parked in self.arrival.take_parked():
            channel = self.open(parked.linked, parked.wake, now)
            assert not isinstance(channel, ParkedChannel)
            try:
                yield from self.receive(channel, bytes(parked.said), now)
            except RemoteError as error:
                yield ParkedFault(channel, error)
            parked.wake()

    def carry(self, state: Mapping[str, Any]) -> None:
        """Take what :meth:`state` gave at the source."""
        self.carried = state
        self._carry_displays()

    def _carry_displays(self) -> None:
        for channel in self.channels.values():
            if self.carried is not None and isinstance(channel, DisplayChannel) and channel.awaits_data:
                channel.carried = self.carried["displays"].get(str(channel.id))

    def resume(self, now: float) -> None:
        """Go on where the client was on another server."""
        carried = self.carried
        if carried is not None:
            self._began = now - carried["multi_media_time"] / 1000
        self.main.set_multi_media_time(self.multi_media_time(now))
        if carried is None:
            # What the client has said to another server's agent is not known to ours: they begin anew.
            self.main.renew_agent(present=self.guest.agent is not None)
            return
        self.mouse_mode = MouseMode(carried["mouse_mode"])
        if carried["mouse_mode_due"]:
            self.main.set_mouse_mode(MOUSE_MODES, self.mouse_mode)
        self.agent.resume(carried["agent"])
        self.main.return_tokens()

    def state(self, now: float) -> dict[str, Any]:
        """What a target of our own should know of a client that comes seamlessly, beyond MIGRATE_DATA."""
        displays = {str(each.id): each.state() for each in self.channels.values() if isinstance(each, DisplayChannel)}
        main = self.find_main()
        return {
            "mouse_mode": int(self.mouse_mode),
            "mouse_mode_due": main is not None and main.mouse_mode_due,
            "multi_media_time": self.multi_media_time(now),
            "agent": main.agent_state() if main is not None and self.agent.is_held else None,
            "displays": displays,
        }

    # From the client

    def receive(self, channel: Channel | ParkedChannel, data: bytes, now: float) -> Iterator[Event]:
        """Feed a channel, apply what came to the guest, and give the events for the test. Exhaust the iterator.

        :raises RemoteError: the client broke the protocol; the channel must be closed.
        """
        for event in channel.receive_data(data, now):
            if self.is_arriving and channel.type is ChannelType.MAIN and type(event) not in _OF_ARRIVALS:
                continue  # as spice-server, to which nothing counts before the session has begun
            reaction = _REACTIONS.get(type(event))
            if reaction is None:
                yield event
            else:
                yield from reaction(self, event, now)

    def _on_scancodes(self, event: Scancodes, _now: float) -> Iterable[Event]:
        for key in self.guest.type_scancodes(event.data):
            if key.pressed:
                yield events.KeyDown(key.scancode, key.name, key.character)
            else:
                yield events.KeyUp(key.scancode, key.name)

    def _on_key_modifiers(self, event: events.KeyModifiers, _now: float) -> Iterable[Event]:
        self.guest.set_locks(event.modifiers)
        return (event,)

    def _on_motion(self, event: events.MouseMotion, _now: float) -> Iterable[Event]:
        self.guest.move_pointer(event.dx, event.dy, event.buttons)
        return (event,)

    def _on_position(self, event: events.MousePosition, _now: float) -> Iterable[Event]:
        if self.came_seamlessly and self.mouse_mode is MouseMode.SERVER:
            self._note_mouse_mode(MouseMode.CLIENT)  # as it was at a server that had no way to tell us
        self.place_pointer(event.x, event.y, event.buttons, event.display_id)
        return (event,)

    def place_pointer(self, x: int, y: int, buttons: int, display_id: int) -> None:
        """Put the guest's pointer where the client has it on one of its screens."""
        left, top = self._origin(display_id)
        self.guest.place_pointer(x + left, y + top, buttons, display_id)

    def _on_press(self, event: events.MousePress, _now: float) -> Iterable[Event]:
        self.guest.press_button(event.button, event.buttons)
        return (event,)

    def _on_release(self, event: events.MouseRelease, _now: float) -> Iterable[Event]:
        self.guest.release_button(event.button, event.buttons)
        return (event,)

    def _on_mouse_mode(self, event: events.MouseModeRequested, _now: float) -> Iterable[Event]:
        self.set_mouse_mode(event.mode)
        return (event,)

    def _on_agent_started(self, event: events.AgentStarted, _now: float) -> Iterable[Event]:
        self.agent.start()
        return (event,)

    def _on_agent_received(self, event: AgentReceived, _now: float) -> Iterable[Event]:
        return self.agent.receive(event)

    # From the guest

    def _on_guest(self, event: GuestEvent) -> None:
        if isinstance(event, KeyEvent | LocksChanged):
            inputs = self.channels.get((ChannelType.INPUTS, 0))
            if isinstance(inputs, InputsChannel):
                inputs.set_locks(self.guest.keyboard.locks)


_OF_ARRIVALS = SeamlessAsked, ClientFollowed, Restored
"""All that counts on the main channel of a session that has not begun."""

_REACTIONS: Mapping[type[events.Event], Reaction] = {
    MigrationAnswered: on_answered,
    SeamlessAsked: on_seamless_asked,
    ClientFollowed: on_followed,
    Restored: on_restored,
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
