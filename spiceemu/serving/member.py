"""One client of a server: its session, its connections, and what there is to tell of it.

Here the sans-IO session meets the connections: bytes go in, and events come out. The face that a test sees of it,
:class:`~spiceemu.client.Client`, reads what is kept here.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from spiceemu.channels.migration import ParkedChannel, ParkedFault
from spiceemu.errors import HangUp, LimitExceeded
from spiceemu.events import (
    ChannelClosed,
    ChannelOpened,
    ClientArrived,
    Disconnected,
    DisplayReady,
    Event,
    ServerFailed,
    Synced,
    Violation,
)
from spiceemu.protocol.capabilities import ChannelType, channel_name
from spiceemu.serving.logs import ConnectionLogger
from spiceemu.sessions.failures import FAILED, Failure, describe, keep, reason_of
from spiceemu.sessions.farewell import Farewell, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from spiceemu.channels.channel import Channel
    from spiceemu.errors import RemoteError
    from spiceemu.protocol.link.server import Linked
    from spiceemu.serving.connection import Connection
    from spiceemu.sessions.log import Log, MessageLog
    from spiceemu.sessions.session import Session

log = logging.getLogger("spiceemu.client")

_STEPS = frozenset({Disconnected, ChannelClosed, DisplayReady, ClientArrived, ServerFailed})
"""What decides whether a client can be in step."""


class Member:
    """A client of the server with its session and connections.

    :param make_session: makes the sans-IO side of what takes its events.
    :param events: where what the client did is kept.
    :param messages: where the messages are kept.
    :param news: called when the client has become ready or something of ours has failed on it.
    :param forget: called when the client is gone.
    :param failed: called with each thing of ours that has failed on it.
    :ivar failures: what of ours has failed on it.
    :ivar news: set whenever there is an event to read.
    :ivar step: set whenever it may be in step.
    :ivar awaited: by mark, the channels whose client has not answered it.
    """

    def __init__(
        self,
        make_session: Callable[[Callable[[Event], None]], Session],
        *,
        events: Log[Event],
        messages: MessageLog,
        news: Callable[[], None],
        forget: Callable[[Member], None],
        failed: Callable[[Failure], None] = lambda _failure: None,
    ) -> None:
        self.events = events
        self.messages = messages
        self.connections: list[Connection] = []
        self.version = (0, 0)
        """Major and minor version of the protocol that its link named."""
        self.failures: list[Failure] = []
        self.face: object = None
        """What a test sees of the client, once it has asked for it: the same object each time."""
        self.ready = False
        """Whether a display channel has been ready."""
        self.changed = asyncio.Event()
        """Set whenever the client said something or a channel of it ended, for who waits for a state of it."""
        self.news = asyncio.Event()
        self.step = asyncio.Event()
        self.gone = asyncio.Event()
        self.awaited: dict[int, set[tuple[ChannelType, int]]] = {}
        self._tell_news = news
        self._forget = forget
        self._tell_failure = failed
        self.session = make_session(self.post)
        self.label = f"{self.session.id:08x}"
        self.log = ConnectionLogger(log, {"session": self.label})

    @property
    def ended(self) -> bool:
        """Whether the client is gone."""
        return self.gone.is_set()

    def attach(self, connection: Connection, linked: Linked, now: float) -> Place:
        """Open the channel that a connection linked.

        :returns: the connection's place.
        :raises HangUp: a tap ends it at once.
        :raises Exception: something of ours has failed, which the client's events and failures have already.
        """
        try:
            channel = self.session.open(linked, connection.wake, now)
        except Exception as error:
            if not isinstance(error, HangUp):
                kind, number = ChannelType(linked.request.channel_type), linked.request.channel_id
                self.post(ServerFailed(kind, number, describe(error), error))
            if not self.connections:
                self.end(describe(error))
            raise
        self.version = (linked.request.major, linked.request.minor)
        self.connections.append(connection)
        self.post(ChannelOpened(channel.type, channel.id))
        return Place(self, connection, channel)

    async def until(self, true: Callable[[], object], timeout: float) -> bool:
        """Wait until something is so of the client, or the client is gone.

        :param timeout: seconds.
        :returns: whether that came in time.
        """
        try:
            async with asyncio.timeout(timeout):
                while not (self.ended or true()):
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            return False
        return True

    def let_go(self) -> None:
        """Begin, if the client was only held back; what fails then ends this client alone."""
        arrival = self.session.arrival
        if arrival is not None:
            arrival.held = False
            try:
                self.session.begin_arrival(asyncio.get_running_loop().time())
            except Exception as error:  # noqa: BLE001 - whatever it is, it is ours, and told
                self.fail(error)

    def fail(self, error: Exception) -> None:
        """End the main channel's connection, and with it the client, because of a failure or by a tap's will."""
        for connection in list(self.connections):
            if connection.attachment is not None and connection.attachment.channel.type is ChannelType.MAIN:
                connection.end_by(error)
                return
        if not isinstance(error, HangUp):
            self.post(ServerFailed(ChannelType.MAIN, 0, describe(error), error))

    def check_time(self, now: float) -> None:
        """Let a client go that has waited too long for a guest."""
        if self.session.arrival is not None:
            try:
                self.session.arrival.check_time(now)
            except LimitExceeded as error:
                self.disconnect(str(error))

    def post(self, event: Event) -> None:
        """Take an event of the session."""
        if isinstance(event, ParkedFault):
            for connection in list(self.connections):
                if connection.attachment is not None and connection.attachment.channel is event.channel:
                    connection.violate(event.error)
            return
        if isinstance(event, Synced):
            for mark, waiting in self.awaited.items():
                if mark <= event.mark:  # marks are answered in order, and the oldest may be forgotten
                    waiting.discard((event.channel_type, event.channel_id))
            self.step.set()
            return
        self.events.add(event)
        if isinstance(event, ServerFailed) and event.error is not None:
            channel = channel_name(event.channel_type, event.channel_id)
            self.log.error("%s: " + FAILED, channel, event.text, exc_info=event.error)
            failure = Failure(event.error)
            keep(self.failures, failure)
            self._tell_failure(failure)
            self._tell_news()
        if isinstance(event, Disconnected):
            self.gone.set()
        if type(event) in _STEPS:
            self.step.set()
        self.news.set()
        if isinstance(event, DisplayReady):
            self.ready = True
            self._tell_news()

    def bid_farewell(self, farewell: Farewell) -> None:
        """Do with the connections that are left what the session has decided."""
        match farewell.verdict:
            case Verdict.CLOSE:
                for connection in list(self.connections):
                    connection.close()
            case Verdict.HEAR_OUT:
                for connection in list(self.connections):
                    connection.hear_out()
            case Verdict.GONE:
                self.disconnect(farewell.reason)

    def disconnect(self, reason: str) -> None:
        """Close all connections; the client is gone at once as far as the server is concerned."""
        for connection in list(self.connections):
            connection.hang_up(reason)
        self.end(reason)

    def end(self, reason: str) -> None:
        """Note that the client is gone."""
        if not self.ended:
            self.gone.set()
            for connection in self.connections:
                if connection.attachment is not None:
                    connection.attachment.own_up()
            try:
                self.session.close()
            except Exception as error:  # noqa: BLE001 - whatever it is, it is ours, and told
                self.post(ServerFailed(ChannelType.MAIN, 0, describe(error), error))
            self.changed.set()
            self.log.info("client gone: %s", reason or "it left")
            self.post(Disconnected(reason))
            self._forget(self)


class Place:
    """One connection's place in the session: what :class:`~spiceemu.serving.attachment.Attachment` asks for."""

    def __init__(self, member: Member, connection: Connection, channel: Channel | ParkedChannel) -> None:
        self.member = member
        self.connection = connection
        self._channel = channel
        self._failure: Exception | None = None
        self.label = member.label

    @property
    def channel(self) -> Channel | ParkedChannel:
        """The channel; a parked one gives way to one that has begun."""
        if isinstance(self._channel, ParkedChannel):
            self._channel = self.member.session.find(self._channel.type, self._channel.id) or self._channel
        return self._channel

    def receive_data(self, data: bytes, now: float) -> None:
        """Feed the channel."""
        try:
            self.member.session.receive(self.channel, data, now)
        finally:
            self.member.changed.set()

    def violated(self, error: RemoteError) -> None:
        """Post the violation."""
        self.member.post(Violation(self.channel.type, self.channel.id, str(error)))

    def own_up(self) -> None:
        """Post a failure of ours that the channel has had and the connection has not asked for."""
        failure = self.channel.failure
        if failure is not None and not isinstance(failure, HangUp):
            self.failed(failure)

    def failed(self, error: Exception) -> None:
        """Post the failure of ours, once."""
        if error is self._failure:
            return
        self._failure = error
        self.member.post(ServerFailed(self.channel.type, self.channel.id, describe(error), error))

    def closed(self, reason: str, now: float) -> None:
        """Close the channel; what becomes of the others is the session's to say."""
        member = self.member
        self.own_up()
        member.connections.remove(self.connection)
        if member.ended:  # the session has let go of all its channels
            return
        try:
            farewell = member.session.channel_ended(self.channel, reason, now)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is ours, and told
            self.failed(error)
            farewell = Farewell.gone(reason_of(error))
        member.changed.set()
        member.bid_farewell(farewell)
