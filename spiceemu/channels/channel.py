"""What all channels do: framing, acknowledgement window, pings, and a table of what each message leads to.

A channel is sans-IO. Its user calls :meth:`Channel.receive_data` with what arrived and :meth:`Channel.handle` for each
message in it, and :meth:`Channel.data_to_send` whenever the connection can take more; the channel calls ``wake`` when
it has something to send after it had nothing. Times are seconds of any clock that never goes back, given by the caller.

A channel can move to another server while it is open; where it stands is in its :class:`~.passage.Passage`. Here it is
frozen: MIGRATE is the last that it sends but for MIGRATE_DATA, which may follow once the client has said FLUSH_MARK.
There a channel is resumed, says nothing of itself, and gets the same MIGRATE_DATA as the first message from the client.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from spiceemu.channels.handlers import Handlers, table_of
from spiceemu.channels.passage import Passage, Stage
from spiceemu.channels.tap import Taps
from spiceemu.channels.window import AckWindow
from spiceemu.errors import IllegalMessage, NotCompatible, RemoteError, UnknownMessage
from spiceemu.events import Event, Latency, Synced, Violation
from spiceemu.protocol.capabilities import ChannelType, channel_name, from_words
from spiceemu.protocol.framing import MAX_CLIENT_BODY, FrameReader, FrameWriter
from spiceemu.protocol.levels.gate import Gate
from spiceemu.protocol.levels.needs import Peer
from spiceemu.protocol.messages import base
from spiceemu.protocol.messages.message import CLIENT, SERVER, Message, messages_of

if TYPE_CHECKING:
    from spiceemu.protocol.link.server import Linked
    from spiceemu.protocol.plain import Plain

JOIN_BELOW = 1 << 14
"""Messages up to this size are one buffer: one TLS record, one write. Payloads of larger ones are not copied."""

MAX_PENDING_PINGS = 64
"""Unanswered PINGs, and marks by SET_ACK, that are remembered; the oldest is forgotten."""

NANOSECONDS = 1_000_000_000

Observed = TypeVar("Observed")

Pending = TypeVar("Pending")


class Channel:
    """One channel of one client.

    Subclasses fill ``handlers`` and override :meth:`produce`.

    :param linked: how the link was agreed.
    :param wake: called when there is something to send.
    :param passage: where the channel stands between two servers; on none of its ways, unless given.
    :param taps: what sees every message.
    """

    type: ClassVar[ChannelType]
    handlers: ClassVar[Handlers] = {}
    migrate_flags: ClassVar[int] = 0
    """What MIGRATE asks for (``MigrateFlags``): a channel with a state asks for a mark, and sends data."""

    failure: Exception | None = None
    """What of ours has failed on it, to be raised where its connection is at work."""

    def __init__(
        self, linked: Linked, wake: Callable[[], None], *, passage: Passage | None = None, taps: Taps | None = None
    ) -> None:
        self.linked = linked
        self.session_id = linked.request.connection_id
        """The session it belongs to; 0 for a main channel that has begun one."""
        self.passage = Passage() if passage is None else passage
        self.resumed = self.passage.is_resumed
        """Whether the channel goes on from where it was on another server."""
        if self.resumed and not self.migrate_flags:
            self.passage.go(Stage.HERE)  # there is no state to wait for
        self._taps = Taps() if taps is None else taps
        self._watching = self._taps.taps  # the list itself: a look at it costs least
        self._frames: Iterator[tuple[int, bytes, int]] = iter(())
        self.id = linked.request.channel_id
        self.secure = linked.request.secure
        self.level = level = linked.level
        self.strict = True
        """Whether a message that the level does not know ends the connection; else it is passed over."""
        self.client_capabilities = from_words(linked.request.channel_capabilities) & level.heeded(self.type)
        """Those of the client's capabilities that the level knows: the others count for nothing."""
        self._own_messages: set[type[Message]] = set()  # those seen to be messages of this channel
        mini, local = linked.mini_header, linked.request.local
        self.peer = Peer(level, self.type, self.client_capabilities, mini=mini, local=local)
        """What the client can take: to be asked before anything is made."""
        self._gate = Gate(self.peer, SERVER)
        self.wake = wake
        self.window: AckWindow | None = None
        self._reader = FrameReader(mini=mini, max_body=MAX_CLIENT_BODY)
        self._writer = FrameWriter(mini=mini, direction=SERVER)
        self._out: list[bytes] = []
        self._out_bytes = 0
        self._step: deque[Message] = deque()  # made together, each to be sent as the window permits
        self._pings: dict[int, tuple[float, int | None]] = {}
        self._next_ping = 1
        self._synced_by: dict[int, int] = {}  # marks, by the generation whose ACK_SYNC tells them
        self._last_words: list[Message] = []
        self._observed: list[Callable[[], None]] = []  # what ends each
        self._table = table_of(type(self), level)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"

    @cached_property
    def name(self) -> str:
        """``type:id``, for log lines."""
        return channel_name(self.type, self.id)

    @property
    def frozen(self) -> bool:
        """Whether what it is told to send goes nowhere: the channel goes on elsewhere, or has not begun here."""
        return self.passage.frozen

    def observe(
        self, subscribe: Callable[[Callable[[Observed], None]], Callable[[], None]], hear: Callable[[Observed], None]
    ) -> None:
        """Hear of something that the guest tells, until :meth:`close`.

        What goes wrong here is this channel's failure and nobody else's.

        :param subscribe: takes who is to hear, and gives what ends that.
        """

        def guarded(told: Observed) -> None:
            if self.failure is None:
                try:
                    hear(told)
                except Exception as error:  # noqa: BLE001 - raised where this channel's connection is at work
                    self.fail(error)

        self._observed.append(subscribe(guarded))

    def fail(self, error: Exception) -> None:
        """Raise an error of ours as soon as the connection asks for what there is to send."""
        self.failure = error
        self.wake()

    # Way in

    def receive_data(self, data: bytes) -> None:
        """Take bytes from the client; :meth:`handle` has what is in them. All of that before the next call."""
        self._frames = self._reader.receive_data(data)

    def handle(self, now: float) -> Sequence[Event] | None:
        """Handle the next message of those that are there.

        :returns: what it led to, in order; None if there is no whole message any more.
        :raises RemoteError: the client broke the protocol; the channel must be closed.
        """
        for number, body, _ in self._frames:
            row = self._table.get(number)
            if row is None:
                return self._pass_over(number)
            parse, handle = row
            if self._watching:
                return self._handle_tapped(parse(body), now)
            return handle(self, parse(body), now) or ()
        return None

    def _handle_tapped(self, message: Message, now: float) -> list[Event]:
        events: list[Event] = []
        for each in self._taps.pass_on(CLIENT, self, message):
            row = self._table.get(each.spec.ids.get(CLIENT, -1)) if self.type in each.spec.channels else None
            if row is None:
                raise NotCompatible(f"{self.name}: a tap gave {each.spec.name}, which nothing here handles")
            events += row[1](self, each, now) or ()
        return events

    def _pass_over(self, number: int) -> Sequence[Event]:
        """Judge a message that nothing here takes."""
        known = messages_of(self.type, CLIENT).get(number)
        if known is None:
            error: RemoteError = UnknownMessage(f"{self.name}: no client message has id {number}")
        elif self.level.has(needed := known.spec.feature_on(self.type)):
            raise IllegalMessage(f"{self.name}: {known.spec.name} is not taken here")
        else:
            error = UnknownMessage(
                f"{self.name}: {known.spec.name} needs {needed.name}, which level {self.level.name} does not have"
            )
        if self.strict:
            raise error
        return (Violation(self.type, self.id, str(error)),)

    @property
    def ready(self) -> bool:
        """Whether the client has begun to use it."""
        return True

    def mouse_mode_changed(self, mode: int) -> None:
        """Note who moves the pointer from now on (``MouseMode``)."""

    def close(self) -> None:
        """Let go of the guest; the connection is gone."""
        for end in self._observed:
            end()

    def check_time(self, now: float) -> None:
        """Judge the channel's deadlines; called now and then.

        :raises LimitExceeded: the client was too slow.
        """

    # Way out

    def send(self, message: Message, *, before: Iterable[Message] = (), as_fault: bool = False) -> None:
        """Queue a message at once, whatever the window says.

        :param before: messages that the client must handle first.
        :param as_fault: send it even if it is forbidden.
        :raises NotCompatible: the level does not know the message or what is in it, or the client did not announce the
            capability that it needs.
        """
        if not self.passage.frozen:
            self._send(message, tuple(before), as_fault=as_fault)

    def _send(self, message: Message, before: tuple[Message, ...] = (), *, as_fault: bool = False) -> None:
        if not as_fault:
            for each in before:
                self._check(each)
            self._check(message)
        if self._watching:
            self._send_tapped(message, before)
        else:
            self._frame(message, before)

    def _send_tapped(self, message: Message, before: tuple[Message, ...]) -> None:
        """Let the taps see what goes out; what they put in its place is theirs to answer for."""
        ahead = tuple(result for each in before for result in self._taps.pass_on(SERVER, self, each))
        for each in self._taps.pass_on(SERVER, self, message):
            self._frame(each, ahead)
            ahead = ()

    def put(self, message: Message) -> None:
        """Frame a message as it is, past every tap and check: for taps, which hold some back or make some up."""
        self._frame(message)
        self._taps.show(self, message)

    def _frame(self, message: Message, before: tuple[Message, ...] = ()) -> None:
        serial = self._writer.serial
        buffers = self._writer.frame(message, before)
        size = sum(map(len, buffers))
        self._out += buffers if before or size > JOIN_BELOW else [b"".join(buffers)]
        self._out_bytes += size
        if self.window is not None and not isinstance(message, base.SetAck):
            self.window.sent(self._writer.serial - serial)  # with mini headers ``before`` is a message of its own
        self.wake()

    def _check(self, message: Message) -> None:
        """Refuse what the level or the client cannot take: the gate of the way out."""
        if type(message) not in self._own_messages:
            spec = message.spec
            if self.type not in spec.channels or SERVER not in spec.ids:
                raise NotCompatible(f"{spec.name} is not a server's message of the {self.type.name.lower()} channel")
            self._own_messages.add(type(message))
        breaches = self._gate.breaches(message)
        if breaches:
            raise NotCompatible(f"{self.name}: {breaches[0].explain(self.level)}")

    @property
    def serial(self) -> int:
        """Serial of the last message that was queued by :meth:`send`."""
        return self._writer.serial

    @property
    def unsent(self) -> int:
        """Bytes that wait to be sent."""
        return self._out_bytes

    def data_to_send(self) -> list[bytes]:
        """Buffers to write now, in order; empty if there is nothing or the window is closed.

        A message is one or several buffers; no buffer has parts of two.
        """
        if self.failure is not None:
            raise self.failure
        if not self._out and not self.passage.frozen:
            self.produce()
        out, self._out, self._out_bytes = self._out, [], 0
        return out

    def open_window(self) -> None:
        """Send SET_ACK: from now on the client acknowledges what it has read."""
        self.window = AckWindow()
        self._send_set_ack(self.window)

    def _send_set_ack(self, window: AckWindow) -> None:
        self.send(base.SetAck(window.generation, window.window))

    def produce(self) -> None:
        """Turn queued state into messages, a bounded amount a call. Called when the connection can take more."""

    def _send_step(self) -> bool:
        """Send what was made while the window is open; tell whether all of it went."""
        while self._step and (self.window is None or self.window.is_open):
            self.send(self._step.popleft())
        return not self._step

    def _finish_step(self) -> None:
        """Send what was made whatever the window says, before something that must not come between."""
        while self._step:
            self.send(self._step.popleft())

    def ping(self, now: float, data: bytes = b"", mark: int | None = None) -> None:
        """Send a PING; the answer gives a Latency event, or Synced if there is a ``mark``."""
        number = self._next_ping
        self._next_ping = number % 0xFFFFFFFF + 1
        _remember(self._pings, number, (now, mark))
        self.send(base.Ping(number, int(now * NANOSECONDS), data))

    def mark(self, mark: int, now: float) -> None:
        """Ask for a Synced event once the client has handled all that is queued now.

        A level may have no PINGs on this channel: then the client is sent another SET_ACK, which it answers as well.
        """
        if self.level.has(base.Ping.spec.feature_on(self.type)):
            self.ping(now, mark=mark)
        elif self.window is not None and not self.passage.frozen:
            self.window.renew()
            _remember(self._synced_by, self.window.generation, mark)
            self._send_set_ack(self.window)

    # To another server

    def freeze(self) -> None:
        """Send MIGRATE, as soon as the acknowledgement window is open, and nothing else from now on.

        As spice-server, when the guest has stopped.
        """
        self.passage.go(Stage.FROZEN)
        self._last_words = [*self._step, *self.last_words()]
        self._step.clear()
        self._say_last_words()

    def last_words(self) -> list[Message]:
        """What a frozen channel has to say still; at the end of it MIGRATE."""
        return [base.Migrate(self.migrate_flags)]

    def _say_last_words(self) -> None:
        while self._last_words and (self.window is None or self.window.is_open):
            self.send_frozen(self._last_words.pop(0))

    @property
    def has_flushed(self) -> bool:
        """Whether all that the client had to say before it moves has been said, as far as it was asked."""
        return self.passage.has_flushed or not self.migrate_flags

    def hand_over(self) -> None:
        """Send the channel's state, which the client takes to the other server. Only a channel that has one does."""
        if self.migrate_flags:
            self.send_frozen(base.MigrateData(self.migrate_data()))
        self.passage.go(Stage.MOVED)

    def send_frozen(self, message: Message) -> None:
        """Send one of the few messages that a frozen channel may send."""
        self._send(message)

    def migrate_data(self) -> bytes:
        """The state in upstream's layout."""
        raise NotImplementedError

    def load_migrate_data(self, data: bytes, now: float) -> Sequence[Event]:
        """Go on from the state that another server sent.

        :returns: what it leads to.
        :raises RemoteError: it is no such state.
        """
        raise NotImplementedError

    def save(self) -> Any:
        """What a target of ours should know of the channel beyond :meth:`migrate_data`.

        :returns: plain data; None where there is nothing to know.
        """
        return None

    @classmethod
    def check_saved(cls, state: Plain) -> None:
        """Judge what :meth:`save` is said to have given at another server, before anything is made of it.

        :raises InvalidValue: naming what cannot be.
        """
        if state.value is not None:
            raise state.wrong("this channel has nothing to go on from")

    # Handlers

    def _on_flush_mark(self, message: base.MigrateFlushMark, _now: float) -> Sequence[Event]:
        if self.passage.stage is not Stage.FROZEN or self._last_words or not self.migrate_flags:
            raise IllegalMessage(f"{self.name}: {message} that nobody asked for")
        self.passage.go(Stage.FLUSHED)
        return ()

    def _on_migrate_data(self, message: base.MigrateData, now: float) -> Sequence[Event]:
        if not self.migrate_flags:
            return ()  # a channel without a state: spice-server does not look at it
        if not self.passage.awaits_data:
            raise IllegalMessage(f"{self.name}: base.MigrateData that nobody waits for")
        self.passage.go(Stage.HERE)
        return self.load_migrate_data(message.data, now)

    def _on_ack_sync(self, message: base.AckSync, _now: float) -> Sequence[Event]:
        if self.window is None:
            return ()  # as spice-server, which counts on every channel and looks at the count where there is a window
        self.window.sync(message.generation)
        mark = self._synced_by.pop(message.generation, None)
        if mark is None:
            return ()
        self._say_last_words()
        self.wake()
        return (Synced(self.type, self.id, mark),)

    def _on_ack(self, _message: base.Ack, _now: float) -> None:
        if self.window is None:
            return  # as where it says ACK_SYNC
        self.window.ack()
        self._say_last_words()
        self.wake()

    def _on_pong(self, message: base.Pong, now: float) -> Sequence[Event]:
        sent, mark = self._pings.pop(message.id, (None, None))
        if sent is None:
            return ()  # a forgotten one, or one we never sent: upstream looks at neither
        return (Latency(self.type, self.id, now - sent) if mark is None else Synced(self.type, self.id, mark),)

    def _on_disconnecting(self, _message: base.Disconnecting, _now: float) -> None:
        """The end of the connection says the same."""

    base_handlers: ClassVar[Handlers] = {
        base.AckSync: _on_ack_sync,
        base.Ack: _on_ack,
        base.Pong: _on_pong,
        base.Disconnecting: _on_disconnecting,
        base.MigrateFlushMark: _on_flush_mark,
        base.MigrateData: _on_migrate_data,
    }


def _remember(pending: dict[int, Pending], number: int, what: Pending) -> None:
    """Note a question that the client will answer; of too many the oldest is forgotten."""
    if len(pending) >= MAX_PENDING_PINGS:
        del pending[next(iter(pending))]
    pending[number] = what
