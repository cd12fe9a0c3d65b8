"""One client as a whole, sans-IO: its channels, what they share, and what its actions do to the guest.

Channels know nothing of each other. What one of them reports, the session applies to the guest and, where the protocol
wants it, tells another: an inputs channel without TLS is worth a note on the main channel. What is for the test goes to
``tell`` at once, in order: what came before a fault is told before the fault.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from spiceemu import events
from spiceemu.channels.inputs import Scancodes
from spiceemu.channels.main import AgentReceived, introduction_of
from spiceemu.channels.migration import (
    ClientFollowed,
    MigrationAnswer,
    MigrationAnswered,
    ParkedChannel,
    Restored,
    SeamlessAsked,
)
from spiceemu.channels.passage import Passage
from spiceemu.channels.shared import MOUSE_MODES, Shared
from spiceemu.channels.table import Opening, row_of
from spiceemu.errors import IllegalMessage, WrongState
from spiceemu.guest.observers import call_all
from spiceemu.protocol.capabilities import ChannelType, channel_name, type_name
from spiceemu.protocol.enums import MouseMode
from spiceemu.protocol.levels.channels import channels_with_window
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.levels.level import MigrationScheme
from spiceemu.protocol.messages import main
from spiceemu.sessions.agent import AgentTalk
from spiceemu.sessions.failures import describe, say_on
from spiceemu.sessions.farewell import STAY, Farewell, farewell_of
from spiceemu.sessions.migration import MIGRATION_VERSION, ArrivalState, DepartureState
from spiceemu.sessions.parked import begin_parked
from spiceemu.sessions.tables import Tables

if TYPE_CHECKING:
    from spiceemu.channels.channel import Channel
    from spiceemu.channels.main import MainChannel
    from spiceemu.events import Event
    from spiceemu.protocol.link.server import Linked
    from spiceemu.sessions.migration import Arrival, Departure

    Reaction: TypeAlias = Callable[["Session", Any, float], Sequence[Event]]


class Session:
    """A client's channels and their common state.

    :param shared: what its channels share; the guest is in it.
    :param tell: takes each event for the test.
    :param tables: what there is of each kind.
    :param strict: whether a message that the level does not know ends its connection.
    :param arrival: for a client that comes from another server, or has to wait for the guest.
    :param alone: tells whether this is the server's only client, those aside that are only on their way here.
    """

    def __init__(
        self,
        shared: Shared,
        tell: Callable[[Event], None],
        *,
        tables: Tables | None = None,
        strict: bool = True,
        arrival: Arrival | None = None,
        alone: Callable[[], bool] = lambda: True,
    ) -> None:
        self.shared = shared
        self.guest = shared.guest
        self.level = shared.level
        self.id = shared.session_id
        self.arrival = arrival
        self.departure: Departure | None = None
        self.channels: dict[tuple[int, int], Channel] = {}
        self._tell = tell
        self._tables = Tables() if tables is None else tables
        self._strict = strict
        self._alone = alone
        has_heads = self.level.has(Feature.MONITORS_CONFIG)
        self.agent = AgentTalk(self.guest, self.find_main, self._place_pointer, has_heads=has_heads)

    @property
    def main(self) -> MainChannel:
        """The main channel.

        :raises WrongState: it is closed.
        """
        found: Any = self.channel(ChannelType.MAIN)
        return found  # type: ignore[no-any-return]

    def find_main(self) -> MainChannel | None:
        """The main channel, unless a client that leaves for another server has closed it before the others."""
        found: Any = self.channels.get((ChannelType.MAIN, 0))
        return found  # type: ignore[no-any-return]

    def channel(self, kind: ChannelType, number: int = 0) -> Channel:
        """A channel by type and id.

        :returns: the channel.
        :raises WrongState: the client has not opened it, or has closed it.
        """
        found = self.channels.get((kind, number))
        if found is None:
            raise WrongState(f"session {self.id:08x} has no channel {channel_name(kind, number)} open")
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

    @property
    def shows_something(self) -> bool:
        """Whether a display channel is ready."""
        return any(kind == ChannelType.DISPLAY and channel.ready for (kind, _), channel in self.channels.items())

    def mark(self, mark: int, now: float) -> list[Channel]:
        """Let every channel that shows something report when its client is in step.

        :returns: the channels that will.
        """
        windows = channels_with_window(self.level.facts)
        channels = [channel for channel in self.channels.values() if channel.type in windows]
        for channel in channels:
            channel.mark(mark, now)
        return channels

    # From the test

    def set_mouse_mode(self, mode: int) -> None:
        """Decide who moves the pointer and tell the client, if that is news."""
        if mode != self.shared.mouse_mode:
            self.main.set_mouse_mode(MOUSE_MODES, mode)
            self._note_mouse_mode(mode)

    def _note_mouse_mode(self, mode: int) -> None:
        self.shared.mouse_mode = MouseMode(mode)
        for channel in self.channels.values():
            channel.mouse_mode_changed(mode)

    def invalidate_caches(self) -> None:
        """Let the client forget its cached pictures, palettes and cursors."""
        displays: list[Any] = [channel for channel in self._of(ChannelType.DISPLAY) if channel.ready]
        if displays:
            displays[0].invalidate(displays[1:])
        for cursor in self._of(ChannelType.CURSOR):
            cursor.invalidate()

    def _of(self, kind: ChannelType) -> list[Any]:
        return [channel for channel in self.channels.values() if channel.type is kind]

    # Channels

    def find(self, kind: int, number: int) -> Channel | ParkedChannel | None:
        """A channel that the client has linked, begun or not.

        :returns: the channel; None if it has not.
        """
        found = self.channels.get((kind, number))
        return found or (self.arrival.parked.get((kind, number)) if self.arrival else None)

    def open(self, linked: Linked, wake: Callable[[], None], now: float) -> Channel | ParkedChannel:
        """Open the channel that a link asked for; one of a client that has not quite arrived is parked.

        :returns: the channel.
        :raises WrongState: there is no such channel.
        """
        kind, number = ChannelType(linked.request.channel_type), linked.request.channel_id
        arrival = self.arrival
        if arrival is not None and kind is not ChannelType.MAIN and arrival.state is ArrivalState.PARKED:
            parked = arrival.parked[kind, number] = ParkedChannel(linked, wake)
            return parked
        row = row_of(self._tables.channels, kind)
        if row is None:
            raise WrongState(f"no {type_name(kind)} channel is offered")
        passage = Passage() if arrival is None else arrival.passage_of(kind, number)
        if kind is ChannelType.INPUTS and not linked.request.secure and (head := self.find_main()):
            say_on(head, partial(head.notify, "keyboard channel is insecure", now))
        channel = row.make(Opening(linked, wake, self.shared, passage, now))
        channel.strict = self._strict
        self.channels[kind, number] = channel
        return channel

    def close_channel(self, channel: Channel | ParkedChannel) -> None:
        """Forget a channel whose connection is gone; without inputs, the client's keys and buttons are released.

        But not those of a client whose session goes on elsewhere: they move with the guest.
        """
        if isinstance(channel, ParkedChannel):
            assert self.arrival is not None
            del self.arrival.parked[channel.type, channel.id]
            return
        del self.channels[channel.type, channel.id]
        leaving = self.departure is not None and self.departure.takes_keys
        lets_go = channel.type is ChannelType.INPUTS and not leaving
        call_all([channel.close, *([self.guest.release_keys, self.guest.release_buttons] if lets_go else [])])

    def channel_ended(self, channel: Channel | ParkedChannel, reason: str, now: float) -> Farewell:
        """Note that a channel's connection is gone.

        :param reason: why; empty where the client simply left.
        :returns: what becomes of the client's other connections.
        """
        self._close(channel)
        self._tell(events.ChannelClosed(channel.type, channel.id, reason))
        is_main = channel.type is ChannelType.MAIN
        if self.departure is not None and self.departure.is_leaving:
            left = len(self.channels) + (len(self.arrival.parked) if self.arrival else 0)
            return farewell_of(
                self.departure, is_main=is_main, is_last=not left, only_main=not self.has_channels_beside_main
            )
        if is_main:
            return Farewell.gone(reason)
        if self.came_seamlessly and not self.has_channels_beside_main and (head := self.find_main()):
            # It has left, perhaps: spice-gtk holds the socket of a main channel that it took along until it hears more.
            say_on(head, partial(head.ping, now))
        return STAY

    def _close(self, channel: Channel | ParkedChannel) -> None:
        """Close a channel, of which the guest's observers hear: one that raises is told of and changes nothing."""
        try:
            self.close_channel(channel)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is ours, and told
            self._tell(events.ServerFailed(channel.type, channel.id, describe(error), error))

    def close(self) -> None:
        """Forget all channels and let go of the guest; of a client that leaves for another server, not of the agent.

        :raises Exception: the first that was raised, once all is done.
        """
        for channel in list(self.channels.values()):
            self._close(channel)
        leaving = self.departure is not None and self.departure.is_leaving
        call_all([self.agent.close, *([] if leaving else [self.agent.leave])])

    # From and to other servers

    @property
    def takes_channels_along(self) -> bool:
        """Whether the client was told to leave with the states of its channels."""
        return self.departure is not None and self.departure.takes_channels_along

    def release(self) -> None:
        """Let go of what a client has left that was to move with the guest, and does not: keys, buttons, the agent.

        :raises Exception: the first that was raised, once all is done.
        """
        call_all([self.guest.release_keys, self.guest.release_buttons, self.agent.leave])

    def begin_arrival(self, now: float) -> None:
        """Begin a session that was parked, if nothing is in the way; its channels are as new."""
        arrival = self.arrival
        if arrival is None or not arrival.is_due:
            return
        arrival.begin()
        anew = arrival.scheme is MigrationScheme.SWITCH_HOST
        self.main.introduce(introduction_of(self.shared, now), now, anew=anew)
        self._tell(events.ClientArrived(arrival.scheme))
        self._open_parked(now)

    def _open_parked(self, now: float) -> None:
        """Open the channels that were parked, and hear what they were told meanwhile."""
        assert self.arrival is not None
        begin_parked(self.arrival, self.open, self.receive, self._tell, now)

    def carry(self, saved: Mapping[str, Any]) -> None:
        """Take what :meth:`save` gave at the source."""
        if self.arrival is not None:
            self.arrival.carry(saved)

    def _resume(self, now: float) -> None:
        """Go on where the client was on another server."""
        assert self.arrival is not None
        carried = self.arrival.carried
        if carried is not None:
            self.shared.began = now - carried["multi_media_time"] / 1000
        self.main.set_multi_media_time(self.shared.multi_media_time(now))
        if carried is None:
            # What the client has said to another server's agent is not known to ours: they begin anew.
            self.main.renew_agent(present=self.guest.agent is not None)
            return
        self.shared.mouse_mode = MouseMode(carried["mouse_mode"])
        if carried["mouse_mode_due"]:
            self.main.set_mouse_mode(MOUSE_MODES, self.shared.mouse_mode)
        self.agent.load(self.main.passage.carried)
        self.main.return_tokens()

    def save(self, now: float) -> dict[str, Any]:
        """What a target of our own should know of a client that comes seamlessly, beyond MIGRATE_DATA.

        :returns: plain data, that of each channel by its name; of main only if it talks to the agent.
        """
        head = self.find_main()
        silent = head if not self.agent.is_held else None
        return {
            "mouse_mode": int(self.shared.mouse_mode),
            "mouse_mode_due": head is not None and head.passage.mouse_mode_due,
            "multi_media_time": self.shared.multi_media_time(now),
            "channels": {
                channel.name: saved
                for channel in self.channels.values()
                if channel is not silent and (saved := channel.save()) is not None
            },
        }

    # From the client

    def receive(self, channel: Channel | ParkedChannel, data: bytes, now: float) -> None:
        """Feed a channel, apply what came to the guest, and tell the events for the test.

        :raises RemoteError: the client broke the protocol; the channel must be closed.
        """
        channel.receive_data(data)
        while (found := channel.handle(now)) is not None:
            for event in found:
                if self.is_arriving and channel.type is ChannelType.MAIN and type(event) not in _OF_ARRIVALS:
                    continue  # as spice-server, to which nothing counts before the session has begun
                reaction = _REACTIONS.get(type(event))
                for told in (event,) if reaction is None else reaction(self, event, now):
                    self._tell(told)

    def _on_scancodes(self, event: Scancodes, _now: float) -> Sequence[Event]:
        return [
            events.KeyDown(key.scancode, key.name, key.character)
            if key.pressed
            else events.KeyUp(key.scancode, key.name)
            for key in self.guest.type_scancodes(event.data)
        ]

    def _on_key_modifiers(self, event: events.KeyModifiers, _now: float) -> Sequence[Event]:
        self.guest.set_locks(event.modifiers)
        return (event,)

    def _on_motion(self, event: events.MouseMotion, _now: float) -> Sequence[Event]:
        self.guest.move_pointer(event.dx, event.dy, event.buttons)
        return (event,)

    def _on_position(self, event: events.MousePosition, _now: float) -> Sequence[Event]:
        if self.came_seamlessly and self.shared.mouse_mode is MouseMode.SERVER:
            self._note_mouse_mode(MouseMode.CLIENT)  # as it was at a server that had no way to tell us
        self._place_pointer(event.x, event.y, event.buttons, event.display_id)
        return (event,)

    def _place_pointer(self, x: int, y: int, buttons: int, display_id: int) -> None:
        """Put the guest's pointer where the client has it on one of its screens."""
        left, top = self.shared.origin(display_id)
        self.guest.place_pointer(x + left, y + top, buttons, display_id)

    def _on_press(self, event: events.MousePress, _now: float) -> Sequence[Event]:
        self.guest.press_button(event.button, event.buttons)
        return (event,)

    def _on_release(self, event: events.MouseRelease, _now: float) -> Sequence[Event]:
        self.guest.release_button(event.button, event.buttons)
        return (event,)

    def _on_mouse_mode(self, event: events.MouseModeRequested, _now: float) -> Sequence[Event]:
        self.set_mouse_mode(event.mode)
        return (event,)

    def _on_agent_started(self, event: events.AgentStarted, _now: float) -> Sequence[Event]:
        self.agent.start(keep_clipboards=self.arrival is not None)
        return (event,)

    def _on_agent_received(self, event: AgentReceived, _now: float) -> Sequence[Event]:
        return self.agent.receive(event)

    # From the client, about other servers

    def _on_answered(self, event: MigrationAnswered, _now: float) -> Sequence[Event]:
        """It tells how its links to the target went."""
        departure = self.departure
        if departure is None or not departure.answered(event.answer):
            if event.answer is not MigrationAnswer.CONNECT_ERROR:
                self.main.send(main.MigrateCancel())  # too late, as spice-server says it
            return ()
        if departure.state is DepartureState.UNCONNECTED:
            return (events.MigrationFailed(departure.failure),)
        return (events.MigrationConnected(departure.scheme),)

    def _on_seamless_asked(self, event: SeamlessAsked, now: float) -> Sequence[Event]:
        """It asks whether its channels can go on; what is parked begins with the answer yes."""
        arrival = self.arrival
        if arrival is None or arrival.state is not ArrivalState.PARKED:
            raise IllegalMessage("main:0: main.MigrateDstDoSeamless in a session that has begun")
        able = self.level.migration is MigrationScheme.SEAMLESS and self._alone()
        if able and event.version <= MIGRATION_VERSION:
            self.main.send_frozen(main.MigrateDstSeamlessAck())
            arrival.agree()
            self._open_parked(now)
        else:
            self.main.send_frozen(main.MigrateDstSeamlessNack())
        return ()

    def _on_followed(self, _event: ClientFollowed, now: float) -> Sequence[Event]:
        """It has left the source: begin, unless the guest is still on its way."""
        if self.arrival is not None and self.arrival.state is ArrivalState.PARKED:
            self.arrival.follow()
            self.begin_arrival(now)
        return ()  # else spice-server warns of it in its log, and goes on

    def _on_restored(self, _event: Restored, now: float) -> Sequence[Event]:
        """A channel goes on; with the main channel, the session does."""
        if self.arrival is None or not self.arrival.is_resumed:
            return ()
        self.arrival.begin()
        self._resume(now)
        return (events.ClientArrived(MigrationScheme.SEAMLESS),)


_OF_ARRIVALS = SeamlessAsked, ClientFollowed, Restored
"""All that counts on the main channel of a session that has not begun."""

_REACTIONS: Mapping[type[events.Event], Reaction] = {
    MigrationAnswered: Session._on_answered,
    SeamlessAsked: Session._on_seamless_asked,
    ClientFollowed: Session._on_followed,
    Restored: Session._on_restored,
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
