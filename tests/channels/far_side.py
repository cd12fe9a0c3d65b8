"""The client's end of one channel, without a connection: typed messages in and out, answered as by a real client."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from spiceemu.channels.channel import Channel
from spiceemu.events import Event
from spiceemu.protocol.capabilities import ChannelType, CommonCap, to_words
from spiceemu.protocol.framing import MAX_SERVER_BODY, FrameReader, FrameWriter
from spiceemu.protocol.levels.level import CURRENT, Level
from spiceemu.protocol.link.server import Linked, LinkRequest
from spiceemu.protocol.messages import base, catalogue
from spiceemu.protocol.messages.message import CLIENT, SERVER, Message

MINI = to_words((CommonCap.PROTOCOL_AUTH_SELECTION, CommonCap.AUTH_SPICE, CommonCap.MINI_HEADER))
FULL = to_words((CommonCap.PROTOCOL_AUTH_SELECTION, CommonCap.AUTH_SPICE))


def linked(
    kind: ChannelType,
    number: int = 0,
    *,
    mini: bool = True,
    capabilities: Iterable[int] = (),
    secure: bool = False,
    local: bool = False,
    leftover: bytes = b"",
    level: Level = CURRENT,
) -> Linked:
    """A link as a client with these capabilities of the channel agrees on it."""
    request = LinkRequest(
        connection_id=1,
        channel_type=kind,
        channel_id=number,
        major=2,
        minor=2,
        common_capabilities=MINI if mini else FULL,
        channel_capabilities=to_words(capabilities),
        secure=secure,
        local=local,
    )
    made = Linked(request, *level.words(kind, to_words(capabilities)), CommonCap.AUTH_SPICE, level)
    made.leftover = leftover
    return made


class Conversation:
    """What a client reads and writes on one channel.

    With ``answering`` it gives an ACK_SYNC to SET_ACK, an ACK for every window of messages and a PONG to every PING, as
    spice-gtk does (spice-channel.c): SET_ACK itself is not counted. Without, it keeps its answers to itself.

    :ivar received: every message so far.
    :ivar unsaid: the answers it kept to itself.
    """

    def __init__(self, kind: ChannelType, *, mini: bool, answering: bool = True) -> None:
        self.kind = kind
        self.answering = answering
        self.received: list[Message] = []
        self.unsaid: list[Message] = []
        self._reader = FrameReader(mini=mini, max_body=MAX_SERVER_BODY)
        self._writer = FrameWriter(mini=mini, direction=CLIENT)
        self._window = 0
        self._until_ack = 0

    def frame(self, *messages: Message) -> bytes:
        """Messages as bytes for the server."""
        return b"".join(buffer for message in messages for buffer in self._writer.frame(message))

    def receive_data(self, data: bytes) -> tuple[list[Message], bytes]:
        """The messages in what the server sent, and the bytes that answer them."""
        messages: list[Message] = []
        for number, body, _ in self._reader.receive_data(data):
            message = catalogue.lookup(self.kind, SERVER, number).parse(body)
            messages.append(message)
            self.unsaid += self._answers(message)
        self.received += messages
        return messages, self.frame(*self.take_answers()) if self.answering else b""

    def take_answers(self) -> list[Message]:
        """The answers that were kept, to be said now."""
        answers, self.unsaid = self.unsaid, []
        return answers

    def _answers(self, message: Message) -> Iterable[Message]:
        if self._until_ack:
            self._until_ack -= 1
            if not self._until_ack:
                self._until_ack = self._window
                yield base.Ack()
        if isinstance(message, base.SetAck):
            self._window = self._until_ack = message.window
            yield base.AckSync(message.generation)
        elif isinstance(message, base.Ping):
            yield base.Pong(message.id, message.timestamp)


@dataclass
class Wake:
    """Counts how often a channel said that it has something."""

    count: int = field(default=0)

    def __call__(self) -> None:
        self.count += 1


def handled(channel: Channel, data: bytes, now: float = 0.0) -> list[Event]:
    """Feed a channel; all that it led to."""
    events: list[Event] = []
    channel.receive_data(data)
    while (found := channel.handle(now)) is not None:
        events += found
    return events


class FarSide:
    """A channel and the client at its other end, connected by function calls."""

    def __init__(self, channel: Channel, *, mini: bool = True, answering: bool = True) -> None:
        self.channel = channel
        self.conversation = Conversation(channel.type, mini=mini, answering=answering)
        self.events: list[Event] = []

    @property
    def received(self) -> list[Message]:
        """All messages so far."""
        return self.conversation.received

    def say(self, *messages: Message, now: float = 0.0) -> list[Event]:
        """Send messages to the channel; what they led to."""
        return self.say_bytes(self.conversation.frame(*messages), now=now)

    def say_bytes(self, data: bytes, now: float = 0.0) -> list[Event]:
        """Send bytes to the channel; what they led to."""
        events = handled(self.channel, data, now)
        self.events += events
        return events

    def read_once(self, now: float = 0.0) -> list[Message]:
        """Take what the channel gives at one time, and answer."""
        messages, answer = self.conversation.receive_data(b"".join(self.channel.data_to_send()))
        if answer:
            self.say_bytes(answer, now)
        return messages

    def hold_answers(self) -> None:
        """Answer nothing from now on."""
        self.conversation.answering = False

    def release_answers(self, now: float = 0.0) -> None:
        """Say what was held, and answer again."""
        self.conversation.answering = True
        self.say(*self.conversation.take_answers(), now=now)

    def read(self, now: float = 0.0) -> list[Message]:
        """Take all that the channel has, and answer."""
        found: list[Message] = []
        while messages := self.read_once(now):
            found += messages
        return found


def names(messages: Iterable[Message]) -> list[str]:
    """The messages' names without their module, for comparing an order."""
    return [type(message).__name__ for message in messages]
