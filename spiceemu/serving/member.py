"""One client of a server: its session, its connections, and what the test is told.

Here the sans-IO session meets the connections: bytes go in, and events come out to the test's
:class:`~spiceemu.client.Client`.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from spiceemu.channels.migration import ParkedChannel, ParkedFault
from spiceemu.client import Client
from spiceemu.errors import LimitExceeded
from spiceemu.events import ChannelClosed, ChannelOpened, Disconnected, DisplayReady, Event, Violation
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.serving.logs import ConnectionLogger

if TYPE_CHECKING:
    from collections.abc import Callable

    from spiceemu.channels.channel import Channel
    from spiceemu.errors import RemoteError
    from spiceemu.protocol.link.server import Linked
    from spiceemu.serving.connection import Connection
    from spiceemu.sessions.event_log import EventLog
    from spiceemu.sessions.session import Session

log = logging.getLogger("spiceemu.client")


class Member:
    """A client of the server with its session and connections.

    :param session: the sans-IO side.
    :param events: where what the client did is kept.
    :param news: called when the client has become ready.
    :param forget: called when the client is gone.
    """

    def __init__(
        self, session: Session, *, events: EventLog, news: Callable[[], None], forget: Callable[[Member], None]
    ) -> None:
        self.session = session
        self.connections: list[Connection] = []
        self.ready = False
        """Whether a display channel has been ready."""
        self.label = f"{session.id:08x}"
        self.client = Client(session, self.disconnect, events)
        self.log = ConnectionLogger(log, {"session": self.label})
        self.changed = asyncio.Event()
        """Set whenever the client said something or a channel of it ended, for who waits for a state of it."""
        self._news = news
        self._forget = forget
        self.ended = False

    def attach(self, connection: Connection, linked: Linked, now: float) -> Place:
        """Open the channel that a connection linked."""
        channel = self.session.open(linked, connection.wake, now)
        self.connections.append(connection)
        self.post(ChannelOpened(channel.type, channel.id))
        return Place(self, connection, channel)

    async def until(self, true: Callable[[], object], timeout: float) -> bool:
        """Wait until something is so of the client, or the client is gone; whether that came in time."""
        try:
            async with asyncio.timeout(timeout):
                while not (self.ended or true()):
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            return False
        return True

    def let_go(self) -> None:
        """Begin, if the client was only held back."""
        arrival = self.session.arrival
        if arrival is not None:
            arrival.held = False
            for event in self.session.begin_arrival(asyncio.get_running_loop().time()):
                self.post(event)

    def check_time(self, now: float) -> None:
        """Let a client go that has waited too long for a guest."""
        if self.session.arrival is not None:
            try:
                self.session.arrival.check_time(now)
            except LimitExceeded as error:
                self.disconnect(str(error))

    def post(self, event: Event) -> None:
        """Hand an event to the client."""
        if isinstance(event, ParkedFault):
            for connection in list(self.connections):
                if connection.attachment is not None and connection.attachment.channel is event.channel:
                    connection.violate(event.error)
            return
        self.log.debug("%s", event)
        self.client.post(event)
        if isinstance(event, DisplayReady):
            self.ready = True
            self._news()

    def disconnect(self, reason: str) -> None:
        """Close all connections; the client is gone at once as far as the server is concerned."""
        for connection in list(self.connections):
            connection.hang_up(reason)
        self.end(reason)

    def end(self, reason: str) -> None:
        """Note that the client is gone."""
        if not self.ended:
            self.ended = True
            self.session.close()
            self.changed.set()
            self.log.info("client gone: %s", reason or "it left")
            self.post(Disconnected(reason))
            self._forget(self)


class Place:
    """One connection's place in the session: what :class:`~spiceemu.serving.connection.Attachment` asks for."""

    def __init__(self, member: Member, connection: Connection, channel: Channel | ParkedChannel) -> None:
        self.member = member
        self.connection = connection
        self._channel = channel
        self.label = member.label

    @property
    def channel(self) -> Channel | ParkedChannel:
        """The channel; a parked one gives way to one that has begun."""
        if isinstance(self._channel, ParkedChannel):
            self._channel = self.member.session.find(self._channel.type, self._channel.id) or self._channel
        return self._channel

    def receive_data(self, data: bytes, now: float) -> None:
        """Feed the channel and hand on its events."""
        for event in self.member.session.receive(self.channel, data, now):
            self.member.post(event)
        self.member.changed.set()

    def violated(self, error: RemoteError) -> None:
        """Post the violation."""
        self.member.post(Violation(self.channel.type, self.channel.id, str(error)))

    def closed(self, reason: str) -> None:
        """Close the channel; without its main channel a client is gone."""
        member = self.member
        member.connections.remove(self.connection)
        if member.ended:
            return  # the session has let go of all its channels
        member.session.close_channel(self.channel)
        member.post(ChannelClosed(self.channel.type, self.channel.id, reason))
        member.changed.set()
        departure = member.session.departure
        if departure is not None and departure.is_leaving:
            # What the client said on the other channels before it left counts as well. spice-gtk leaves these, or after
            # a seamless migration main, for the server to close.
            if departure.has_handed_over and not member.session.has_channels_beside_main:
                for connection in list(member.connections):
                    connection.close()
            elif self.channel.type is ChannelType.MAIN:
                for connection in list(member.connections):
                    connection.hear_out()
            if not member.connections:
                host = departure.destination.host
                member.end(f"it went on at {host}" if departure.has_gone_on else f"it was lost on its way to {host}")
        elif self.channel.type is ChannelType.MAIN:
            member.disconnect(reason)
        elif member.session.came_seamlessly and not member.session.has_channels_beside_main:
            # It has left, perhaps: spice-gtk holds the socket of a main channel that it took along until it hears more.
            member.session.main.ping(asyncio.get_running_loop().time())
