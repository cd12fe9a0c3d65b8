"""One client as a whole, sans-IO: its channels, what they share, and what its actions do to the guest.

Channels know nothing of each other. What one of them reports, the session applies to the guest and, where the protocol
wants it, tells another: a key changes the locks that the inputs channel announces, an inputs channel without TLS is
worth a note on the main channel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from spiceemu.channels.channel import Channel
from spiceemu.channels.display import DisplayChannel
from spiceemu.channels.encoding import Compression
from spiceemu.channels.inputs import InputsChannel, Scancodes
from spiceemu.channels.main import Introduction, MainChannel
from spiceemu.channels.events import Event, KeyModifiers, MouseModeRequested
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import MouseMode
from spiceemu.protocol.errors import WrongState

if TYPE_CHECKING:
    from spiceemu.guest.machine import Guest
    from spiceemu.protocol.link import Linked


class Session:
    """A client's channels and their common state.

    :param guest: the machine they show.
    :param session_id: what ties the channels together (``connection_id`` of their links).
    :param channels: type and id of the channels that may be opened, main apart.
    :param compression: how pictures are encoded: ``auto``, ``lz`` or ``off``.
    :param now: when the session begins; its multimedia clock counts from here.
    """

    def __init__(
        self,
        guest: Guest,
        *,
        session_id: int,
        channels: Sequence[tuple[ChannelType, int]],
        compression: str,
        now: float,
    ) -> None:
        self.guest = guest
        self.id = session_id
        self.channels: dict[tuple[int, int], Channel] = {}
        self.mouse_mode = MouseMode.SERVER
        self._offered = channels
        self._compression = Compression(compression)
        self._began = now

    @property
    def main(self) -> MainChannel:
        """The main channel."""
        found = self.channels.get((ChannelType.MAIN, 0))
        if not isinstance(found, MainChannel):
            raise WrongState(f"session {self.id:08x} has no main channel any more")
        return found

    def multi_media_time(self, now: float) -> int:
        """The session's multimedia clock in milliseconds."""
        return int((now - self._began) * 1000) & 0xFFFFFFFF

    def open(self, linked: Linked, wake: Callable[[], None], now: float) -> Channel:
        """Open the channel that a link asked for."""
        kind, number = ChannelType(linked.request.channel_type), linked.request.channel_id
        channel = self._openers[kind](self, linked, wake, now)
        self.channels[kind, number] = channel
        return channel

    def _open_main(self, linked: Linked, wake: Callable[[], None], now: float) -> Channel:
        intro = Introduction(
            session_id=self.id,
            displays=len(self.guest.displays),
            mouse_modes=MouseMode.SERVER | MouseMode.CLIENT,
            mouse_mode=self.mouse_mode,
            agent_connected=False,
            multi_media_time=self.multi_media_time(now),
            channels=self._offered,
            name=self.guest.name,
            uuid=self.guest.uuid.bytes,
        )
        return MainChannel(linked, wake, intro=intro, now=now)

    def _open_display(self, linked: Linked, wake: Callable[[], None], now: float) -> Channel:
        shown = self.guest.displays[linked.request.channel_id]
        return DisplayChannel(linked, wake, shown=shown, compression=self._compression, now=now)

    def _open_inputs(self, linked: Linked, wake: Callable[[], None], now: float) -> Channel:
        if not linked.request.secure:
            self.main.notify("keyboard channel is insecure", now)
        return InputsChannel(linked, wake, locks=0)

    def _open_cursor(self, linked: Linked, wake: Callable[[], None], now: float) -> Channel:
        class C(Channel):
            type = ChannelType.CURSOR
        return C(linked, wake)

    _openers = {
        ChannelType.MAIN: _open_main,
        ChannelType.DISPLAY: _open_display,
        ChannelType.INPUTS: _open_inputs,
        ChannelType.CURSOR: _open_cursor,
    }

    def receive(self, channel: Channel, data: bytes, now: float) -> Iterator[Event]:
        """Feed a channel, apply what came to the guest, and give the events for the test."""
        for event in channel.receive_data(data, now):
            yield event
            if isinstance(event, MouseModeRequested):
                self.main.set_mouse_mode(3, event.mode)

    def close_channel(self, channel: Channel) -> None:
        channel.close()
        self.channels.pop((channel.type, channel.id), None)

    def close(self) -> None:
        for c in list(self.channels.values()):
            self.close_channel(c)

    def mark(self, mark: int, now: float) -> list[Channel]:
        channels = [c for c in self.channels.values() if c.type in (ChannelType.DISPLAY, ChannelType.CURSOR)]
        for c in channels:
            c.mark(mark, now)
        return channels
