"""The judge of one connection, from its first byte."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from spiceemu.errors import LimitExceeded, RemoteError, UnknownMessage
from spiceemu.judge.channel_rules import RULES
from spiceemu.judge.finding import Finding, Kind
from spiceemu.judge.frames import Frame, FrameCutter
from spiceemu.judge.link_rules import CHANNEL_OFFSET, mechanism_faults, offer_faults
from spiceemu.judge.memory import MAX_HELD, Held
from spiceemu.judge.rules import ChannelRules, Owed, Scene
from spiceemu.judge.session import ChannelKey, Sessions, SessionState
from spiceemu.protocol.capabilities import ChannelType, channel_name, from_words
from spiceemu.protocol.framing import LIST_ID, MAX_CLIENT_BODY, MAX_SERVER_BODY, sub_messages
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.levels.gate import Gate
from spiceemu.protocol.levels.needs import Breach, Peer
from spiceemu.protocol.link.observer import LinkObserver
from spiceemu.protocol.messages import base, display, main
from spiceemu.protocol.messages.catalogue import CLIENT, SERVER, lookup
from spiceemu.protocol.messages.migrate_data import layout_of_state

if TYPE_CHECKING:
    from spiceemu.protocol.levels.level import Level
    from spiceemu.protocol.messages.message import Message
    from spiceemu.protocol.messages.types import ChannelWait

MAX_EARLY = 1 << 20
"""Bytes of one side kept until the link is accepted. A connection with more is not judged on."""

MAX_OWED = 256
"""Things still to come that are checked at the end, such as another channel's messages; more are not checked."""

CONTENT_KINDS = {"image type": Kind.IMAGE, "a bitmap": Kind.IMAGE}
"""How the names of breaches begin that are not about messages."""


class ConnectionJudge:
    """Judges one connection. Give it what passes, in the order in which it passes; no bytes make it raise.

    :param level: whose rules they are.
    :param name: the connection's name in findings.
    :param sessions: the sessions of the recording; without, the connection is judged alone.
    :param local: whether it went over a unix socket.
    :param held: the count of what all connections hold; without, it counts its own alone.
    :param rules: the rules of each channel type; a channel of another type is not judged.
    """

    def __init__(
        self,
        level: Level,
        name: str = "",
        sessions: Sessions | None = None,
        *,
        local: bool = False,
        held: Held | None = None,
        rules: Mapping[ChannelType, type[ChannelRules]] = RULES,
    ) -> None:
        self.level = level
        self.name = name
        self.link = LinkObserver()
        self.messages = 0
        """Messages judged, both directions."""
        self._sessions = sessions or Sessions()
        self._local = local
        self._rules_of = rules
        self._held = held or Held()
        self._holds = 0  # bytes, as counted there
        self._early: dict[str, bytearray] | None = {CLIENT: bytearray(), SERVER: bytearray()}
        self._received = {CLIENT: 0, SERVER: 0}
        self._offered = False
        self._stopped = False
        self._channel: ChannelType | None = None
        self._session = SessionState(whole=False, named=True)
        self._cutters: dict[str, FrameCutter] = {}
        self._gates: dict[str, Gate] = {}
        self._rules: ChannelRules | None = None
        self._serials = {CLIENT: 0, SERVER: 0}
        self._owed: dict[object, tuple[Finding, Callable[[], bool]]] = {}

    @property
    def channel(self) -> str:
        """The channel's name, ``display:0``; empty while it is not known."""
        return self.link.channel

    def client_data(self, data: bytes) -> list[Finding]:
        """Take bytes of the client; return what is wrong with them, or with what they complete."""
        return [*self._receive(CLIENT, data), *self._hold(CLIENT)]

    def server_data(self, data: bytes) -> list[Finding]:
        """Take bytes of the server; return what is wrong with them, or with what they complete."""
        return [*self._receive(SERVER, data), *self._hold(SERVER)]

    def finish(self) -> list[Finding]:
        """Note that the recording is over; return what is only certain now."""
        found: list[Finding] = []
        if self._early is not None and not self._received[SERVER] and not self._stopped:
            found += self._client_alone()
        found += [finding for finding, is_owed in self._owed.values() if is_owed()]
        self._owed.clear()
        self._stop()
        self._hold(SERVER)
        return found

    def _hold(self, direction: str) -> list[Finding]:
        """Count what is held now; too much is let go, and the connection is not judged on."""
        early = () if self._early is None else self._early.values()
        holds = sum(map(len, early)) + sum(cutter.held for cutter in self._cutters.values())
        within = self._held.change(holds - self._holds)
        self._holds = holds
        if within or not holds:
            return []
        self._stop()
        self._held.change(-holds)
        self._holds = 0
        reason = f"over {MAX_HELD} bytes of unfinished links and messages are held (MAX_HELD): it is not judged on"
        return [self._finding(direction, None, Kind.MALFORMED, "link", reason)]

    def _receive(self, direction: str, data: bytes) -> Iterator[Finding]:
        self._received[direction] += len(data)
        if self._stopped:
            return
        if self._early is None:
            yield from self._messages(direction, data)
            return
        early = self._early[direction]
        early += data
        if direction == CLIENT:
            self.link.client_data(data)
        else:
            self.link.server_data(data)
        yield from self._judge_link(direction)
        if not self._stopped and len(early) > MAX_EARLY and not self.link.linked:
            self._stop()
            reason = f"link: over {MAX_EARLY} bytes of the {direction} before it is accepted (MAX_EARLY)"
            yield self._finding(direction, None, Kind.MALFORMED, "link", reason)

    def _stop(self) -> None:
        self._stopped = True
        self._early = None
        self._cutters = {}

    # The link

    def _judge_link(self, direction: str) -> Iterator[Finding]:
        link = self.link
        told = link.error is not None and (link.channel_type is not None or link.refused or bool(link.failure))
        if told and not self._offered:
            self._offered = True
            yield from (self._at_link(*fault) for fault in offer_faults(self.level, link))
        if link.failure:
            self._stop()
            yield self._finding(direction, None, Kind.MALFORMED, "link", link.failure)
        elif link.refused:
            self._stop()
        elif link.linked:
            yield from (self._at_link(*fault) for fault in mechanism_faults(link))
            yield from self._begin()

    def _begin(self) -> Iterator[Finding]:
        link, early = self.link, self._early
        assert early is not None
        assert link.client_start is not None
        assert link.server_start is not None
        self._early = None
        yield from self._join_session()
        self._open_channel(from_words(link.server_channel or ()))
        for direction, start in ((CLIENT, link.client_start), (SERVER, link.server_start)):
            yield from self._messages(direction, bytes(early[direction][start:]))

    def _open_channel(self, server: frozenset[int]) -> None:
        """Make ready for messages, if the channel is one of the protocol's."""
        link, level = self.link, self.level
        assert link.channel_type is not None
        assert link.channel_id is not None
        if link.channel_type not in self._rules_of or link.client_start is None:
            self._stop()
            return
        self._channel = channel = ChannelType(link.channel_type)
        client = from_words(link.client_channel or ())
        starts = {CLIENT: (link.client_start, MAX_CLIENT_BODY), SERVER: (link.server_start or 0, MAX_SERVER_BODY)}
        self._cutters = {
            direction: FrameCutter(mini=link.mini_header, max_body=limit, offset=start)
            for direction, (start, limit) in starts.items()
        }
        if level.has_channel(channel, link.channel_id):  # otherwise that is the fault, and not each message
            receivers = {SERVER: client & level.heeded(channel), CLIENT: server}
            self._gates = {
                direction: Gate(Peer(level, channel, known, mini=link.mini_header, local=self._local), direction)
                for direction, known in receivers.items()
            }
        scene = Scene(level, self._session, channel, link.channel_id, link.connection_id or 0, client, server)
        self._rules = self._rules_of[channel](scene)

    def _join_session(self) -> Iterator[Finding]:
        link = self.link
        assert link.channel_type is not None
        assert link.channel_id is not None
        assert link.connection_id is not None
        key = (link.channel_type, link.channel_id)
        if link.channel_type == ChannelType.MAIN:
            self._session = self._sessions.of_main(link.connection_id)
        else:
            session = self._sessions.of_channel(link.connection_id)
            if session is None:
                name = f"session {link.connection_id:#x}"
                yield self._at_link(
                    CLIENT, CHANNEL_OFFSET - 4, Kind.ORDER, name, f"{name} is accepted, which no main.Init named"
                )
            else:
                self._session = session
                if session.listed is not None and key not in session.listed:
                    name = f"channel {self.channel}"
                    text = f"{name} is accepted, which main.ChannelsList did not name"
                    yield self._at_link(CLIENT, CHANNEL_OFFSET, Kind.ORDER, name, text)
        self._session.serials[key] = 0

    def _client_alone(self) -> Iterator[Finding]:
        """Judge a client whose server was not recorded: what it says, but not when."""
        assert self._early is not None
        start = self.link.client_start
        if start is None or self.link.channel_type is None:
            return
        data = bytes(self._early[CLIENT][start:])
        self._early = None
        self._open_channel(from_words(self.level.words(self.link.channel_type, self.link.client_channel or ())[1]))
        self._rules = None
        yield from self._messages(CLIENT, data)

    # Messages

    def _messages(self, direction: str, data: bytes) -> Iterator[Finding]:
        if self._stopped:
            return
        cutter = self._cutters[direction]
        try:
            for frame in cutter.receive_data(data):
                yield from self._judge_frame(direction, frame)
        except LimitExceeded as error:
            self._stop()
            name = f"{self.channel.partition(':')[0]} message {cutter.index + 1}"
            yield Finding(
                self.name,
                self.channel,
                direction,
                cutter.index + 1,
                self._serials[direction] + 1,
                cutter.offset,
                Kind.MALFORMED,
                name,
                str(error),
            )

    def _judge_frame(self, direction: str, frame: Frame) -> Iterator[Finding]:
        self.messages += 1
        if direction == CLIENT:
            # spice-gtk numbers messages when it makes them and sends some of them later; no server minds.
            self._serials[CLIENT] = frame.serial
        elif frame.serial <= self._serials[SERVER]:
            name = f"serial {frame.serial}"
            reason = f"{name} follows serial {self._serials[SERVER]}: they only grow"
            yield self._finding(direction, frame, Kind.ORDER, name, reason)
        else:
            self._serials[SERVER] = frame.serial
        key = (self.link.channel_type or 0, self.link.channel_id or 0)
        if direction == SERVER and key in self._session.serials:
            self._session.serials[key] = self._serials[SERVER]
        number, body = frame.number, frame.body
        parts: list[tuple[int, bytes]] = []
        try:
            if frame.sub_list:
                parts = sub_messages(body, frame.sub_list)
                body = body[: frame.sub_list]
            if number == LIST_ID and direction == SERVER:
                parts += sub_messages(body, 0)
        except RemoteError as error:
            yield self._finding(direction, frame, Kind.MALFORMED, base.List.spec.name, str(error))
        if direction == SERVER and self._rules is not None and number != base.SetAck.spec.ids[SERVER]:
            assert self._channel is not None
            for breach in self._rules.count(self._name_of(direction, number)):
                yield self._breach(direction, frame, breach, Kind.ORDER)
        for part in parts:
            yield from self._judge_message(direction, frame, *part)
        yield from self._judge_message(direction, frame, number, body)

    def _name_of(self, direction: str, number: int) -> str:
        assert self._channel is not None
        try:
            return lookup(self._channel, direction, number).spec.name
        except UnknownMessage:
            return f"{self._channel.name.lower()} message {number}"

    def _judge_message(self, direction: str, frame: Frame, number: int, body: bytes) -> Iterator[Finding]:
        assert self._channel is not None
        if self._channel not in self.level.facts:  # nobody knows its messages
            return
        try:
            message = lookup(self._channel, direction, number).parse(body)
        except UnknownMessage as error:
            yield self._finding(direction, frame, Kind.MESSAGE, self._name_of(direction, number), str(error))
            return
        except RemoteError as error:
            yield self._finding(direction, frame, Kind.MALFORMED, self._name_of(direction, number), str(error))
            return
        gate = self._gates.get(direction)
        if gate is not None:
            for breach in one_for_each_cause(message, gate.breaches(message)):
                kinds = (kind for start, kind in CONTENT_KINDS.items() if breach.what.startswith(start))
                yield self._breach(direction, frame, breach, next(kinds, Kind.MESSAGE))
            if isinstance(message, base.MigrateData):
                yield from self._state(direction, frame, message)
        if self._rules is None:
            return
        for found in self._rules.judge(direction, message):
            if isinstance(found, Owed):
                self._owe(found.thing, self._breach(direction, frame, found.breach, Kind.ORDER), found.is_owed)
            else:
                yield self._breach(direction, frame, found, Kind.ORDER)
        if isinstance(message, base.WaitForChannels | display.InvalAllPixmaps):
            yield from self._wait(frame, message, message.wait_list)
        elif isinstance(message, main.Init):
            self._sessions.name(message.session_id, self._session)

    def _state(self, direction: str, frame: Frame, message: base.MigrateData) -> Iterator[Finding]:
        """The state in a MIGRATE_DATA, where the level sends one: those of 0.4 and 0.6 were others."""
        assert self._channel is not None
        facts = self.level.facts.get(self._channel)
        kind = None if facts is None else layout_of_state(facts.state)
        if kind is None or not self.level.has(Feature.SEAMLESS_MIGRATE):
            return
        try:
            kind.parse(message.data)
        except RemoteError as error:
            name = message.spec.name
            yield self._finding(direction, frame, Kind.MALFORMED, name, f"{name} has {error}")

    def _owe(self, thing: object, finding: Finding, is_owed: Callable[[], bool]) -> None:
        """Remember what is a finding unless something comes."""
        if len(self._owed) >= MAX_OWED:
            self._owed = {known: owed for known, owed in self._owed.items() if owed[1]()}
        if thing in self._owed or len(self._owed) < MAX_OWED:
            self._owed[thing] = finding, is_owed

    def _wait(self, frame: Frame, message: Message, waits: Iterable[ChannelWait]) -> Iterator[Finding]:
        """Other channels' messages that the client is to wait for: it does so for ever if they do not come."""
        if not self._session.whole:  # serials go on from the source, and are not known
            return
        name = message.spec.name
        for wait in waits:
            key = (wait.channel_type, wait.channel_id)
            channel = channel_name(*key)
            there = self._session.serials.get(key)
            if there is None:
                breach = Breach(name, reason=f"waits for {channel}, which is not linked")
                yield self._breach(SERVER, frame, breach, Kind.ORDER)
            elif (serial := wait.message_serial) > there:
                text = f"{name} waits for serial {serial} of {channel}, which never came"
                finding = self._finding(SERVER, frame, Kind.ORDER, name, text)
                self._owe((key, serial), finding, partial(self._is_behind, key, serial))

    def _is_behind(self, key: ChannelKey, serial: int) -> bool:
        return self._session.serials.get(key, serial) < serial

    # Findings

    def _breach(self, direction: str, frame: Frame, breach: Breach, kind: Kind) -> Finding:
        return self._finding(direction, frame, kind, breach.what, breach.explain(self.level))

    def _finding(self, direction: str, frame: Frame | None, kind: Kind, name: str, explanation: str) -> Finding:
        place = (frame.position, frame.serial, frame.offset) if frame is not None else (0, 0, 0)
        return Finding(self.name, self.channel, direction, *place, kind, name, explanation)

    def _at_link(self, direction: str, offset: int, kind: Kind, name: str, explanation: str) -> Finding:
        return Finding(self.name, self.channel, direction, 0, 0, offset, kind, name, explanation)


def one_for_each_cause(message: Message, breaches: list[Breach]) -> list[Breach]:
    """The first breach of each thing, and of a message that the level does not know, only that.

    A level without a feature knows no capability for it either: that is one cause.
    """
    if not breaches:
        return breaches
    if breaches[0].what == message.spec.name:
        return breaches[:1]
    return list({breach.what: breach for breach in reversed(breaches)}.values())[::-1]
