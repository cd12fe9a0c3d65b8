"""The tap of a connection: every step of its link, and every piece of bytes in both directions, passes it.

A server's connections and those through a relay pass the same taps, so what is written for one serves both::

    class Slow(WireTap):
        def server_data(self, wire: Wire, data: bytes) -> Answer:
            return [Delay(0.1), data]

What a tap answers is performed in order, one direction apart from the other: :class:`Way` does that. As long as
something is held back, at most ``MAX_HELD`` bytes and one piece wait behind it; then the source is not read. Several
taps stand in a row, the first nearest to the client: each is handed what the one before it lets pass, and holds back on
its part. Bytes of TLS are those inside, and a piece of the server's is what is written at a time.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

from spiceemu.protocol.link.steps import LinkStep, LinkSteps

MAX_HELD = 1 << 18
"""Bytes held back of one direction before no more of its source is read."""

RESET = struct.pack("ii", 1, 0)
"""A socket's linger that makes closing it a reset."""


@dataclass(eq=False)
class Wire:
    """A connection as taps know it.

    :ivar number: connections count from 1.
    :ivar client: the client's address and port, or ``unix``.
    :ivar secure: whether the client came over TLS.
    :ivar client_bytes: how many the client has sent.
    :ivar server_bytes: how many the server has sent.
    :ivar channel: the channel asked for, such as ``display:0``; empty before it is known.
    :ivar session: the session at one of our own servers, as log lines have it; empty before the channel has begun.
    """

    number: int
    client: str
    secure: bool
    client_bytes: int = 0
    server_bytes: int = 0
    channel: str = ""
    session: str = ""


@dataclass(frozen=True)
class Delay:
    """Nothing more passes this way for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class Stall:
    """Nothing more passes this way until the connection ends; its source's end is an end of it."""


@dataclass(frozen=True)
class ResetConnection:
    """The connection breaks off (TCP's RST). On a unix socket, which has no such thing, it just ends."""


@dataclass(frozen=True)
class EndConnection:
    """The connection is closed after what has passed."""


Pause: TypeAlias = Delay | Stall | ResetConnection | EndConnection
"""What can be done to a connection besides passing bytes on."""

Action: TypeAlias = bytes | Pause
"""What is performed: bytes are passed on."""

Answer: TypeAlias = bytes | Sequence[Action]
"""What a tap makes of a piece: what passes in its place, perhaps nothing; or that and more, in order."""


class WireTap:
    """Sees what passes, and may change it. Every method may be replaced; these here do nothing.

    A piece may be cut, altered or kept for later; several in place of one are written one by one, so that a
    :class:`Delay` between them splits it for the other side as well.

    A method that raises ends the connection at a server, and a whole relay (see ``Relay.wait``).
    """

    def opened(self, wire: Wire) -> None:
        """Note that a client has connected."""

    def step(self, wire: Wire, step: LinkStep) -> Sequence[Pause] | None:
        """Note that a step of the link is completed: its last bytes are on their way, where it has any.

        What is returned comes behind these bytes, and holds back what the other side sends as well: what it answers to
        this step comes later, or not at all. That it has answered is told all the same.
        """

    def client_data(self, wire: Wire, data: bytes) -> Answer:  # noqa: ARG002
        """Take what the client sent; return what the server shall get."""
        return data

    def server_data(self, wire: Wire, data: bytes) -> Answer:  # noqa: ARG002
        """Take what the server sent; return what the client shall get."""
        return data

    def closed(self, wire: Wire, reason: str) -> None:
        """Note that the connection is gone; the reason is empty where both sides just closed it."""


class WireTaps:
    """The taps of a server, and how many connections have passed them.

    A connection passes those that are there when it begins.
    """

    def __init__(self, taps: Iterable[WireTap] = ()) -> None:
        self._taps = list(taps)
        self._count = 0

    def add(self, tap: WireTap) -> None:
        """Put another one behind those that are there."""
        self._taps.append(tap)

    def remove(self, tap: WireTap) -> None:
        """Take one away, if it is there still; connections that have begun pass it to their end."""
        if tap in self._taps:
            self._taps.remove(tap)

    def connect(
        self, client: str, to_client: Way, to_server: Way, *, secure: bool, failed: Callable[[Exception], object]
    ) -> TappedWire:
        """Begin another connection; see :class:`TappedWire`."""
        self._count += 1
        wire = Wire(self._count, client, secure)
        return TappedWire(wire, self._taps, to_client=to_client, to_server=to_server, failed=failed)


class Way:
    """One direction of a connection: performs what taps answer, in order, and holds back what must wait.

    :param write: passes bytes on; never called in a call of itself.
    :param end: closes the connection after what has passed; told why.
    :param reset: breaks it off; told why.
    :param moved: called when something that was held back has gone on.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        *,
        end: Callable[[str], object],
        reset: Callable[[str], object],
        moved: Callable[[], object] = lambda: None,
    ) -> None:
        self.stalled = False
        self._write = write
        self._end = end
        self._reset = reset
        self._moved = moved
        self._held: deque[Action | Callable[[], object]] = deque()
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._is_cut = False
        self._news = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether no more of the source shall be read."""
        return self._size > MAX_HELD

    @property
    def waiting(self) -> bool:
        """Whether something is held back that will pass in time."""
        return self._timer is not None

    def push(self, actions: Iterable[Action]) -> None:
        """Perform these after all that came before them."""
        if not self._is_cut:
            for action in actions:
                self._held.append(action)
                self._size += len(action) if isinstance(action, bytes) else 0
            self._go()

    def then(self, act: Callable[[], object]) -> None:
        """Do something once all that came before has passed: never after a stall, and at once if the way is cut."""
        if self._is_cut:
            act()
        else:
            self._held.append(act)
            self._go()

    def cut(self) -> None:
        """Let nothing pass any more, and drop what is held back."""
        self._is_cut = True
        self._held.clear()
        self._size = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._news.set()

    async def room(self) -> None:
        """Wait until more of the source may be read."""
        while self.full:
            self._news.clear()
            await self._news.wait()

    async def passed(self) -> bool:
        """Wait until nothing is held back; False if nothing passes any more."""
        while self.waiting:
            self._news.clear()
            await self._news.wait()
        return not (self.stalled or self._is_cut)

    def _go(self) -> None:
        while self._held and self._timer is None and not self.stalled:
            action = self._held.popleft()
            if isinstance(action, bytes):
                self._size -= len(action)
                if action:
                    self._write(action)
            elif isinstance(action, Delay):
                self._timer = asyncio.get_running_loop().call_later(action.seconds, self._go_on)
            elif isinstance(action, Stall):
                self.stalled = True
            elif isinstance(action, ResetConnection):
                self._finish(self._reset, "reset by a tap")
            elif isinstance(action, EndConnection):
                self._finish(self._end, "ended by a tap")
            else:
                action()

    def _go_on(self) -> None:
        self._timer = None
        self._go()
        self._news.set()
        self._moved()

    def _finish(self, act: Callable[[str], object], reason: str) -> None:
        self.cut()
        act(reason)


class TappedWire:
    """One connection, its taps and its two ways: what is sent is handed in, and comes out of the ways.

    :param wire: what the taps are told of it.
    :param taps: the first is nearest to the client.
    :param failed: told what a tap raised. None lets it be raised where the tap was asked.
    """

    def __init__(
        self,
        wire: Wire,
        taps: Iterable[WireTap],
        *,
        to_client: Way,
        to_server: Way,
        failed: Callable[[Exception], object] | None = None,
    ) -> None:
        self.wire = wire
        self.to_client = to_client
        self.to_server = to_server
        self._taps = tuple(taps)
        self._failed = failed
        self._link = LinkSteps()

    def opened(self) -> None:
        """Tell that it has begun."""
        for tap in self._taps:
            self._ask(tap.opened, nothing=())
        self._step(LinkStep.CONNECTED)

    def secured(self) -> None:
        """Tell that the handshake of TLS is done."""
        self._step(LinkStep.TLS)

    def _step(self, step: LinkStep) -> None:
        """Tell a step that no bytes complete."""
        pauses = self._tell([step])
        self.to_server.push(_meanwhile(pauses))
        self.to_client.push(pauses)

    def client_data(self, data: bytes) -> None:
        """Pass on what the client sent."""
        self.wire.client_bytes += len(data)
        actions = self._through([tap.client_data for tap in self._taps], data)
        pauses = [] if self._link.over else self._tell(self._link.client_data(data))
        self.to_client.push(_meanwhile(pauses))  # first, or the server's answer would be gone already
        self.to_server.push(actions + pauses)

    def server_data(self, data: bytes) -> None:
        """Pass on what the server sent."""
        self.wire.server_bytes += len(data)
        actions = self._through([tap.server_data for tap in reversed(self._taps)], data)
        pauses = [] if self._link.over else self._tell(self._link.server_data(data))
        self.to_server.push(_meanwhile(pauses))
        self.to_client.push(actions + pauses)

    def closed(self, reason: str) -> None:
        """Tell that it is gone, and drop what is held back."""
        self.cut()
        for tap in self._taps:
            self._ask(tap.closed, reason, nothing=())

    def cut(self) -> None:
        """Let nothing pass any more in either direction."""
        self.to_client.cut()
        self.to_server.cut()

    def _tell(self, steps: Sequence[LinkStep]) -> list[Action]:
        self.wire.channel = self._link.channel
        return [pause for step in steps for tap in self._taps for pause in self._ask(tap.step, step, nothing=())]

    def _through(self, calls: Sequence[Callable[[Wire, bytes], Answer]], data: bytes) -> list[Action]:
        actions: list[Action] = [data]
        for call in calls:
            actions = [
                made
                for action in actions
                for made in (self._ask(call, action) if isinstance(action, bytes) else (action,))
            ]
        return actions

    def _ask(
        self, call: Callable[..., Answer | None], *arguments: object, nothing: Answer | None = None
    ) -> Sequence[Action]:
        """Call a tap's method; what it answers, as actions.

        :param nothing: what it means if it returns nothing; None where it must not.
        """
        try:
            answer = call(self.wire, *arguments)
            return _actions(call, nothing if answer is None else answer)
        except Exception as error:
            if self._failed is None:
                raise
            self._failed(error)
            return ()


def _actions(call: Callable[..., object], answer: Answer | None) -> Sequence[Action]:
    if isinstance(answer, bytes):
        return (answer,)
    if isinstance(answer, list | tuple) and all(isinstance(action, Action) for action in answer):
        return answer
    raise TypeError(f"{call.__qualname__} of a tap answers with {answer!r:.200}, which is no action, nor several")


def _meanwhile(pauses: Sequence[Action]) -> list[Action]:
    """What the other way does while one performs these: where one ends the connection it waits for that."""
    return [pause if isinstance(pause, Delay) else Stall() for pause in pauses]


def reset_when_closed(connected: socket.socket | None) -> None:
    """Let the closing of a connection be a reset, where its kind of socket can do that."""
    if connected is not None and connected.fileno() >= 0:
        with suppress(OSError):
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
