"""One client of a server: its session, its connections, and what the test is told.

Here the sans-IO session meets the connections: bytes go in, and events come out to the test's
:class:`~spiceemu.client.Client`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from spiceemu.channels.events import ChannelClosed, ChannelOpened, Disconnected, DisplayReady, Event, Violation
from spiceemu.client import Client
from spiceemu.connection import ConnectionLogger
from spiceemu.protocol.capabilities import ChannelType

if TYPE_CHECKING:
    from collections.abc import Callable

    from spiceemu.channels.channel import Channel
    from spiceemu.connection import Connection
    from spiceemu.protocol.errors import RemoteError
    from spiceemu.protocol.link import Linked
    from spiceemu.session import Session

log = logging.getLogger("spiceemu.client")


class Member:
    """A client of the server with its session and connections.

    :param session: the sans-IO side.
    :param news: called when the client has become ready.
    :param forget: called when the client is gone.
    """

    def __init__(self, session: Session, *, news: Callable[[], None], forget: Callable[[Member], None]) -> None:
        self.session = session
        self.connections: list[Connection] = []
        self.ready = False
        """Whether a display channel has been ready."""
        self.label = f"{session.id:08x}"
        self.client = Client(session, self.disconnect)
        self.log = ConnectionLogger(log, {"session": self.label})
        self._news = news
        self._forget = forget
        self.ended = False

    def attach(self, connection: Connection, linked: Linked, now: float) -> Place:
        """Open the channel that a connection linked."""
        channel = self.session.open(linked, connection.wake, now)
        self.connections.append(connection)
        self.post(ChannelOpened(channel.type, channel.id))
        return Place(self, connection, channel)

    def post(self, event: Event) -> None:
        """Hand an event to the client."""
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
            self.log.info("client gone: %s", reason or "it left")
            self.post(Disconnected(reason))
            self._forget(self)


class Place:
    """One connection's place in the session: what :class:`~spiceemu.connection.Attachment` asks for."""

    def __init__(self, member: Member, connection: Connection, channel: Channel) -> None:
        self.member = member
        self.connection = connection
        self.channel = channel
        self.label = member.label

    def receive_data(self, data: bytes, now: float) -> None:
        """Feed the channel and hand on its events."""
        for event in self.member.session.receive(self.channel, data, now):
            self.member.post(event)

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
        if self.channel.type is ChannelType.MAIN:
            member.disconnect(reason)
