"""One connected client, as a test sees it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from itertools import count
from typing import TYPE_CHECKING, TypeAlias, TypeVar, overload

from spiceemu.errors import ExpectationFailed, InvalidValue, WrongState
from spiceemu.events import ChannelClosed, ClientArrived, Disconnected, DisplayReady, Event, Synced
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import MouseMode

if TYPE_CHECKING:
    from spiceemu.protocol.messages.message import Message
    from spiceemu.sessions.event_log import EventLog
    from spiceemu.sessions.session import Session

NEAR_MISSES = 10
"""Events that a failed expectation shows."""

EventType = TypeVar("EventType", bound=Event)
Wanted: TypeAlias = "Event | type[Event] | Callable[[Event], bool]"


class Client:
    """A client of the server: what it did, and what can be done to it.

    :ivar session_id: the id that ties its channels together.
    """

    def __init__(self, session: Session, disconnect: Callable[[str], None], log: EventLog) -> None:
        self.session = session
        self.session_id = session.id
        self.log = log
        self._news = asyncio.Event()
        self._step = asyncio.Event()
        self._awaited: dict[int, set[tuple[ChannelType, int]]] = {}
        self._disconnect = disconnect
        self._marks = count(1)
        self._ended = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Client {self.session_id:08x} {'gone' if self._ended.is_set() else 'connected'}>"

    @property
    def connected(self) -> bool:
        """Whether the client is still there."""
        return not self._ended.is_set()

    @property
    def events(self) -> deque[Event]:
        """Everything it did so far, oldest first, within the limits of :mod:`spiceemu.sessions.event_log`."""
        return self.log.events

    @property
    def dropped_events(self) -> int:
        """How many of the oldest events went over these limits."""
        return self.log.dropped

    def post(self, event: Event) -> None:
        """Add an event; the server calls this."""
        if isinstance(event, Synced):
            for mark, waiting in self._awaited.items():
                if mark <= event.mark:  # marks are answered in order, and the oldest may be forgotten
                    waiting.discard((event.channel_type, event.channel_id))
            self._step.set()
            return
        self.log.add(event)
        if isinstance(event, Disconnected):
            self._ended.set()
        if type(event) in _STEPS:
            self._step.set()
        self._news.set()

    async def next_event(self) -> Event:
        """The next event that was not read yet.

        :raises WrongState: the client is gone and all its events were read.
        """
        while (event := self.log.take()) is None:
            if self._ended.is_set():
                raise WrongState(f"{self!r}: no more events")
            self._news.clear()
            await self._news.wait()
        return event

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            try:
                event = await self.next_event()
            except WrongState:
                return
            yield event

    @overload
    async def expect(self, wanted: type[EventType], timeout: float | None = 5.0) -> EventType: ...
    @overload
    async def expect(self, wanted: EventType, timeout: float | None = 5.0) -> EventType: ...
    @overload
    async def expect(self, wanted: Callable[[Event], bool], timeout: float | None = 5.0) -> Event: ...
    async def expect(self, wanted: Wanted, timeout: float | None = 5.0) -> Event:
        """Wait for an event: one equal to ``wanted``, of that class, or for which it is true.

        Events before it are passed over, so several calls check an order.

        :param timeout: seconds; None waits for ever.
        :raises ExpectationFailed: it did not come; the text shows what came instead, events of its kind at the end.
        """
        kind = wanted if isinstance(wanted, type) else type(wanted)
        others: deque[Event] = deque(maxlen=NEAR_MISSES)
        near: deque[Event] = deque(maxlen=NEAR_MISSES)
        passed = 0
        try:
            async with asyncio.timeout(timeout):
                while True:
                    event = await self.next_event()
                    if _matches(wanted, event):
                        return event
                    passed += 1
                    (near if isinstance(event, kind) else others).append(event)
        except (TimeoutError, WrongState) as error:
            how = f"within {timeout:g} s" if isinstance(error, TimeoutError) else "before the client left"
            shown = "".join(f"\n  {event}" for event in [*others, *near][-NEAR_MISSES:]) or " nothing"
            text = f"{_describe(wanted)} did not come {how}; {passed} events were passed over, among them:{shown}"
            raise ExpectationFailed(text) from None

    async def synced(self, timeout: float | None = 10.0) -> None:
        """Wait until everything drawn so far has reached the client and was handled there.

        Every display and cursor channel is sent a PING behind all that is queued, or another SET_ACK at levels without
        PINGs there; this waits for the answers. Of a client that has only begun it waits for a display channel first.

        :param timeout: seconds; None waits for ever.
        :raises ExpectationFailed: a channel did not answer in time, or was closed before it did; or there is none.
        """
        mark = next(self._marks)
        self._awaited[mark] = waiting = set()
        try:
            async with asyncio.timeout(timeout):
                while self.connected and not self.session.shows_something:
                    await self._next_step()
                if not self.connected:
                    raise ExpectationFailed(f"{self!r}: it left before it was in step")
                channels = self.session.mark(mark, asyncio.get_running_loop().time())
                waiting |= {(channel.type, channel.id) for channel in channels}
                while waiting and waiting <= self.session.channels.keys():
                    await self._next_step()
        except TimeoutError:
            where = f"on {_names(waiting)}" if waiting else "as it has no display channel ready"
            raise ExpectationFailed(f"{self!r}: not in step within {timeout:g} s {where}") from None
        finally:
            del self._awaited[mark]
        if waiting:
            raise ExpectationFailed(f"{self!r}: it left before it was in step on {_names(waiting)}")

    async def _next_step(self) -> None:
        self._step.clear()
        await self._step.wait()

    # What a test may do to it

    def send(self, message: Message, *, channel_id: int = 0, as_fault: bool = False) -> None:
        """Send a message by hand, on the channel it belongs to; base messages go out on main.

        It is sent before whatever still waits for the client.

        :param as_fault: send it even if it is forbidden, to see what the client makes of it.
        :raises WrongState: the client has not opened that channel.
        :raises NotCompatible: the server's level does not know the message or what is in it, or the client did not
            announce what it needs.
        """
        kinds = message.spec.channels
        kind = kinds[0] if len(kinds) == 1 else ChannelType.MAIN
        self.session.channel(kind, channel_id).send(message, as_fault=as_fault)

    def notify(self, text: str) -> None:
        """Show the user a text."""
        self.session.main.notify(text, asyncio.get_running_loop().time())

    def set_mouse_mode(self, mode: int) -> None:
        """Decide who moves the pointer (``MouseMode``), whatever the client asked for.

        :raises InvalidValue: it is neither of the two.
        """
        if mode not in (MouseMode.SERVER, MouseMode.CLIENT):
            raise InvalidValue(f"mouse mode {mode!r} is neither 1 (SERVER) nor 2 (CLIENT)")
        self.session.set_mouse_mode(mode)

    def set_multi_media_time(self, milliseconds: int) -> None:
        """Set the client's multimedia clock."""
        self.session.main.set_multi_media_time(milliseconds)

    def set_agent_connected(self, connected: bool) -> None:
        """Let the guest's agent leave this client, or come back to it."""
        self.session.agent.set_connected(connected)

    def invalidate_caches(self) -> None:
        """Let the client forget its cached pictures, palettes and cursors."""
        self.session.invalidate_caches()

    def disconnect(self, reason: str = "disconnected by the server") -> None:
        """Close all the client's connections."""
        self._disconnect(reason)

    async def wait_disconnected(self, timeout: float | None = 5.0) -> None:
        """Wait until the client is gone.

        :param timeout: seconds; None waits for ever.
        :raises ExpectationFailed: it is still there.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._ended.wait()
        except TimeoutError:
            raise ExpectationFailed(f"{self!r}: still connected after {timeout:g} s") from None


_STEPS = frozenset({Disconnected, ChannelClosed, DisplayReady, ClientArrived})
"""What decides whether a client can be in step."""


def _matches(wanted: Wanted, event: Event) -> bool:
    if isinstance(wanted, Event):
        return event == wanted
    if isinstance(wanted, type):
        return isinstance(event, wanted)
    return wanted(event)


def _describe(wanted: Wanted) -> str:
    return wanted.__name__ if isinstance(wanted, type) else repr(wanted)


def _names(channels: set[tuple[ChannelType, int]]) -> str:
    return ", ".join(sorted(f"{kind.name.lower()}:{number}" for kind, number in channels))
