"""One connected client, as a test sees it."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar, overload

from spiceemu.errors import ExpectationFailed, InvalidValue, WrongState
from spiceemu.events import Event, ServerFailed
from spiceemu.protocol.capabilities import ChannelType, channel_name
from spiceemu.protocol.enums import MouseMode
from spiceemu.protocol.messages.message import SERVER, Message
from spiceemu.serving.checks import check_text, shown, wrong

if TYPE_CHECKING:
    from spiceemu.channels.channel import Channel
    from spiceemu.protocol.levels.level import Level, MigrationScheme
    from spiceemu.serving.member import Member
    from spiceemu.sessions.failures import Failure
    from spiceemu.sessions.log import Passed

MAX_CHANNEL_ID = 255
"""Links have a byte for it."""

NEAR_MISSES = 10
"""Events that a failed expectation shows."""

EventType = TypeVar("EventType", bound=Event)
Wanted: TypeAlias = "Event | type[Event] | Callable[[Event], bool]"


class Version(NamedTuple):
    """A version of the protocol, as links name it."""

    major: int
    minor: int


class ClientChannel:
    """One channel of a client: what was agreed on its link, and a way to send on it.

    :ivar type: its type.
    :ivar id: its id.
    """

    def __init__(self, channel: Channel, is_open: Callable[[], bool]) -> None:
        self.type = channel.type
        self.id = channel.id
        self._channel = channel
        self._is_open = is_open

    def __repr__(self) -> str:
        return f"<ClientChannel {self.name} {'open' if self._is_open() else 'closed'}>"

    @property
    def name(self) -> str:
        """``type:id``, such as ``display:0``."""
        return self._channel.name

    @property
    def secure(self) -> bool:
        """Whether it came over TLS."""
        return self._channel.secure

    @property
    def capabilities(self) -> frozenset[int]:
        """Numbers of the client's capabilities, such as ``DisplayCap``, as far as the server's level knows them."""
        return self._channel.client_capabilities

    @property
    def mini_header(self) -> bool:
        """Whether its messages have mini headers."""
        return self._channel.linked.mini_header

    def send(self, message: Message, *, as_fault: bool = False) -> None:
        """Send a message by hand, before whatever still waits for the client.

        :param as_fault: send it even if it is forbidden, to see what the client makes of it.
        :raises InvalidValue: it is no message, or one that only clients send and ``as_fault`` is given.
        :raises WrongState: the channel is closed.
        :raises NotCompatible: the server's level does not know the message or what is in it, the client did not
            announce what it needs, or it is no message of this channel.
        """
        spec = _check_message(message).spec
        if as_fault and SERVER not in spec.ids:
            raise InvalidValue(f"{spec.name} is a client's message: there is no id under which a server could send it")
        if not self._is_open():
            raise WrongState(f"{self!r}: nothing can be sent")
        self._channel.send(message, as_fault=as_fault)


class Client:
    """A client of the server: what it did, and what can be done to it."""

    def __init__(self, member: Member) -> None:
        self._member = member
        self._marks = count(1)

    def __repr__(self) -> str:
        return f"<Client {self.session_id:08x} {'connected' if self.connected else 'gone'}>"

    @property
    def session_id(self) -> int:
        """The id that ties its channels together."""
        return self._member.session.id

    @property
    def connected(self) -> bool:
        """Whether the client is still there."""
        return not self._member.ended

    # What it is

    @property
    def level(self) -> Level:
        """What the server behaves like towards it."""
        return self._member.session.level

    @property
    def version(self) -> Version:
        """The protocol's version that it has named."""
        return Version(*self._member.version)

    @property
    def mouse_mode(self) -> MouseMode:
        """Who moves the pointer."""
        return self._member.session.shared.mouse_mode

    @property
    def arrived_by(self) -> MigrationScheme | None:
        """How it came from another server, or is coming; None for a client that began here."""
        arrival = self._member.session.arrival
        return None if arrival is None else arrival.scheme

    @property
    def channels(self) -> Sequence[ClientChannel]:
        """The channels it has open, by type and id."""
        found = self._member.session.channels
        return [self._face_of(found[key]) for key in sorted(found)]

    def channel(self, name: str) -> ClientChannel:
        """One channel, by its name.

        :param name: ``type:id``, such as ``display:0``; ``main`` is ``main:0``.
        :returns: the channel.
        :raises InvalidValue: no channel can have that name; ids go up to 255.
        :raises WrongState: the client has not opened it, or has closed it.
        """
        kinds = {kind.name.lower(): kind for kind in ChannelType}
        found = re.fullmatch(r"([a-z]+)(?::0*([0-9]{1,3}))?", name) if isinstance(name, str) else None
        kind, number = (found[1], int(found[2] or 0)) if found else ("", 0)
        if kind not in kinds or number > MAX_CHANNEL_ID:
            what = (
                f"TYPE:ID, such as display:0, with an ID of at most {MAX_CHANNEL_ID} and a TYPE of {', '.join(kinds)}"
            )
            raise wrong("a channel's name", what, name)
        return self._face_of(self._member.session.channel(kinds[kind], number))

    def _face_of(self, channel: Channel) -> ClientChannel:
        channels = self._member.session.channels
        return ClientChannel(channel, lambda: channels.get((channel.type, channel.id)) is channel)

    # What it did

    @property
    def events(self) -> deque[Event]:
        """Everything it did so far, oldest first; beyond :class:`~spiceemu.Limits` the oldest are dropped."""
        return self._member.events.entries

    @property
    def dropped_events(self) -> int:
        """How many of the oldest events were dropped."""
        return self._member.events.dropped

    @property
    def messages(self) -> deque[Passed]:
        """Every message so far, both ways, oldest first; beyond :class:`~spiceemu.Limits` the oldest are dropped.

        They are those that travelled: what the client sent before taps touched it, and what they made of ours.
        """
        return self._member.messages.log.entries

    @property
    def dropped_messages(self) -> int:
        """How many of the oldest messages were dropped."""
        return self._member.messages.log.dropped

    async def next_event(self) -> Event:
        """The next event that was not read yet.

        :returns: the event; one that tells of a failure of ours as well.
        :raises WrongState: the client is gone and all its events were read.
        """
        while (event := self._member.events.take()) is None:
            if self._member.ended:
                raise WrongState(f"{self!r}: no more events")
            self._member.news.clear()
            await self._member.news.wait()
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
        :returns: the event.
        :raises InvalidValue: ``wanted`` is nothing of the three.
        :raises ExpectationFailed: it did not come; the text shows what came instead, events of its kind at the end.
        :raises Exception: what of ours has failed on this client before it came (``ServerFailed``).
        """
        if not isinstance(wanted, Event) and not callable(wanted):
            raise wrong("wanted", "an event, a class of events or a condition", wanted)
        kind = wanted if isinstance(wanted, type) else type(wanted)
        others: deque[Event] = deque(maxlen=NEAR_MISSES)
        near: deque[Event] = deque(maxlen=NEAR_MISSES)
        passed = 0
        known = len(self._member.failures)
        how = "before the client left"
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                while (event := await self._next_or_failure(known)) is not None:
                    told = self._failures_of(event)
                    if _matches(wanted, event):
                        for failure in told:
                            failure.seen = True
                        return event
                    for failure in told:
                        raise failure.raised()
                    passed += 1
                    (near if isinstance(event, kind) else others).append(event)
        except TimeoutError:
            if not limit.expired():
                raise  # a failure of ours, or the condition's own
            how = f"within {timeout:g} s"
        shown = "".join(f"\n  {event}" for event in [*others, *near][-NEAR_MISSES:]) or " nothing"
        text = f"{_describe(wanted)} did not come {how}; {passed} events were passed over, among them:{shown}"
        raise ExpectationFailed(text)

    async def _next_or_failure(self, known: int) -> Event | None:
        """The next event; if another waiter has read that of a failure since, the failure is raised here as well.

        :returns: it; None if the client is gone and all its events were read.
        """
        while (event := self._member.events.take()) is None:
            self._check_whole(known)
            if self._member.ended:
                return None
            self._member.news.clear()
            await self._member.news.wait()
        return event

    def _failures_of(self, event: Event) -> list[Failure]:
        """What an event tells of, as often as it is remembered."""
        if not isinstance(event, ServerFailed):
            return []
        return [failure for failure in self._member.failures if failure.error is event.error]

    async def synced(self, timeout: float | None = 10.0) -> None:
        """Wait until everything drawn so far has reached the client and was handled there.

        Every display and cursor channel is sent a PING behind all that is queued, or another SET_ACK at levels without
        PINGs there; this waits for the answers. Of a client that has only begun it waits for a display channel first.
        What a tap has dropped, or holds back, it does not wait for.

        :param timeout: seconds; None waits for ever.
        :raises ExpectationFailed: a channel did not answer in time, or was closed before it did; or there is none.
        :raises Exception: what of ours has failed on this client (``ServerFailed``): something was lost on the way.
        """
        member = self._member
        mark = next(self._marks)
        member.awaited[mark] = waiting = set()
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                while self.connected and not member.session.shows_something:
                    await self._next_step()
                self._check_whole()
                if not self.connected:
                    raise ExpectationFailed(f"{self!r}: it left before it was in step")
                channels = member.session.mark(mark, asyncio.get_running_loop().time())
                waiting |= {(channel.type, channel.id) for channel in channels}
                while waiting and waiting <= member.session.channels.keys():
                    await self._next_step()
        except TimeoutError:
            if not limit.expired():
                raise  # a failure of ours
            self._check_whole()
            where = f"on {_names(waiting)}" if waiting else "as it has no display channel ready"
            raise ExpectationFailed(f"{self!r}: not in step within {timeout:g} s {where}") from None
        finally:
            del member.awaited[mark]
        self._check_whole()
        if waiting:
            raise ExpectationFailed(f"{self!r}: it left before it was in step on {_names(waiting)}")

    def _check_whole(self, known: int = 0) -> None:
        """Raise the first failure, those apart that were known."""
        for failure in self._member.failures[known:]:
            raise failure.raised()

    async def _next_step(self) -> None:
        self._check_whole()
        self._member.step.clear()
        await self._member.step.wait()

    # What a test may do to it

    def send(self, message: Message, *, channel_id: int = 0, as_fault: bool = False) -> None:
        """Send a message by hand, on the one channel type that it belongs to.

        It is sent before whatever still waits for the client.

        :param channel_id: which channel of that type.
        :param as_fault: send it even if it is forbidden, to see what the client makes of it.
        :raises InvalidValue: it is no message, or one of several channel types:
            ``client.channel("main:0").send(...)`` names one.
        :raises WrongState: the client has not opened that channel.
        :raises NotCompatible: the server's level does not know the message or what is in it, or the client did not
            announce what it needs.
        """
        kinds = _check_message(message).spec.channels
        if len(kinds) > 1:
            name = message.spec.name
            raise InvalidValue(
                f"{name} is a message of several channels; name one: client.channel('main:0').send({name}(...))"
            )
        self.channel(channel_name(kinds[0], channel_id)).send(message, as_fault=as_fault)

    def notify(self, text: str) -> None:
        """Show the user a text.

        :raises InvalidValue: it is no text that UTF-8 can hold.
        """
        check_text("text", text)
        self._member.session.main.notify(text, asyncio.get_running_loop().time())

    def set_mouse_mode(self, mode: int) -> None:
        """Decide who moves the pointer (``MouseMode``), whatever the client asked for.

        :raises InvalidValue: it is neither of the two.
        """
        if mode not in (MouseMode.SERVER, MouseMode.CLIENT):
            raise InvalidValue(f"mouse mode {shown(mode)} is neither 1 (SERVER) nor 2 (CLIENT)")
        self._member.session.set_mouse_mode(mode)

    def set_multi_media_time(self, milliseconds: int) -> None:
        """Set the client's multimedia clock."""
        self._member.session.main.set_multi_media_time(milliseconds)

    def set_agent_connected(self, connected: bool) -> None:
        """Let the guest's agent leave this client, or come back to it."""
        self._member.session.agent.set_connected(connected)

    def invalidate_caches(self) -> None:
        """Let the client forget its cached pictures, palettes and cursors."""
        self._member.session.invalidate_caches()

    def disconnect(self, reason: str = "disconnected by the server") -> None:
        """Close all the client's connections."""
        self._member.disconnect(reason)

    async def wait_disconnected(self, timeout: float | None = 5.0) -> None:
        """Wait until the client is gone.

        :param timeout: seconds; None waits for ever.
        :raises ExpectationFailed: it is still there.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._member.gone.wait()  # an event: raises nothing itself
        except TimeoutError:
            raise ExpectationFailed(f"{self!r}: still connected after {timeout:g} s") from None


def _check_message(message: Message) -> Message:
    if not isinstance(message, Message):
        raise wrong("message", "a message, such as spiceemu.messages.main.MultiMediaTime(0)", message)
    return message


def _matches(wanted: Wanted, event: Event) -> bool:
    if isinstance(wanted, Event):
        return event == wanted
    if isinstance(wanted, type):
        return isinstance(event, wanted)
    if isinstance(event, ServerFailed):
        return False  # no predicate is asked of it: it is raised
    return wanted(event)


def _describe(wanted: Wanted) -> str:
    return wanted.__name__ if isinstance(wanted, type) else repr(wanted)


def _names(channels: set[tuple[ChannelType, int]]) -> str:
    return ", ".join(sorted(channel_name(kind, number) for kind, number in channels))
