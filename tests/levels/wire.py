"""A whole session by function calls: a server's session at some level, and a client with the words of a real one.

Every byte of both directions is kept, links and all, for whoever wants to judge the stream.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from spiceemu.channels.channel import Channel
from spiceemu.channels.migration import ParkedChannel
from spiceemu.channels.shared import Shared
from spiceemu.channels.table import CHANNELS, offered
from spiceemu.events import Event
from spiceemu.guest.machine import Guest
from spiceemu.protocol.capabilities import ChannelType, Words
from spiceemu.protocol.levels.level import Level
from spiceemu.protocol.link.client import ClientLink
from spiceemu.protocol.link.server import ServerLink
from spiceemu.protocol.link.ticket import Password
from spiceemu.protocol.messages import display, main
from spiceemu.serving.policy import ServerPolicy
from spiceemu.sessions.migration import Arrival
from spiceemu.sessions.session import Session

from ..channels.far_side import Conversation
from ..channels.painter import Painter

SESSION_ID = 0x1234
MAIN, DISPLAY, INPUTS, CURSOR = ChannelType.MAIN, ChannelType.DISPLAY, ChannelType.INPUTS, ChannelType.CURSOR


USUAL_INIT = display.Init(1, 1 << 20, 1, 1 << 20)


@dataclass(frozen=True)
class RealClient:
    """What a real client announces; from the recordings.

    :ivar words: the channel words by channel.
    """

    minor: int
    common: Words = ()
    words: dict[ChannelType, Words] = field(default_factory=dict)


CLIENTS = {
    "spicec-0.6": RealClient(0),
    "spicec-0.8": RealClient(1, (), {MAIN: (0x1,)}),
    "spice-gtk-0.7": RealClient(1, (0x1,)),
    "spice-gtk-0.42": RealClient(
        2,
        (0xD,),
        {
            MAIN: (0xF,),
            DISPLAY: (0x27BF,),
            ChannelType.PLAYBACK: (0xE,),
            ChannelType.RECORD: (0x6,),
        },
    ),
}


@dataclass
class Line:
    """One connection: a channel of the server, the client's side of it, and all that went over it."""

    kind: ChannelType
    number: int
    channel: Channel | ParkedChannel
    conversation: Conversation
    painter: Painter


class Wire:
    """A client and a server, tied together.

    :param guest: what the server shows.
    :param level: what it behaves like.
    :param client: what the client announces.
    :param arrival: for a client that comes from another server, with its session or without one.
    :param alone: whether it is the server's only client.
    :ivar events: what the session has told of the client.
    """

    def __init__(
        self,
        guest: Guest,
        level: Level,
        client: RealClient,
        *,
        arrival: Arrival | None = None,
        alone: bool = True,
    ) -> None:
        self.client = client
        self.events: list[Event] = []
        self.lines: dict[tuple[ChannelType, int], Line] = {}
        self.pieces: list[tuple[Line, bool, bytes]] = []
        """All that went over the wire, in order: which line, whether from the client, the bytes."""
        self.policy = ServerPolicy(
            channels=lambda level: offered(CHANNELS, guest, level),
            password=Password(None),
            has_session=lambda session_id: session_id == SESSION_ID and bool(self.lines),
            has_channel=lambda _, kind, number: (kind, number) in self.lines,
            level=level,
        )
        shared = Shared(guest, session_id=SESSION_ID, offered=self.policy.channels(), level=level, now=0.0)
        self.session = Session(shared, self.events.append, arrival=arrival, alone=lambda: alone)

    def connect(self, *, sound: bool = True, init: display.Init = USUAL_INIT) -> None:
        """Link main, then all that it lists."""
        self.link(MAIN, 0)
        self.pump()
        self.say(MAIN, 0, main.AttachChannels())
        self.pump()
        listed = [each for each in self.lines[MAIN, 0].conversation.received if isinstance(each, main.ChannelsList)]
        for each in listed[0].channels:
            if sound or each.type not in (ChannelType.PLAYBACK, ChannelType.RECORD):
                self.link(ChannelType(each.type), each.id)
        for kind, number in list(self.lines):
            if kind is DISPLAY:
                self.say(kind, number, init)
        self.pump()

    def link(self, kind: ChannelType, number: int) -> Line:
        """Link a channel; raises LinkError if the server refuses."""
        ours = ServerLink(self.policy, secure=False, now=0.0)
        theirs = ClientLink(
            kind,
            number,
            connection_id=SESSION_ID if self.lines or self.session.arrival is not None else 0,
            common_capabilities=self.client.common,
            channel_capabilities=self.client.words.get(kind, ()),
            version=(2, self.client.minor),
        )
        exchanged: list[tuple[bool, bytes]] = []
        while not theirs.linked:
            said = theirs.data_to_send()
            ours.receive_data(said, 0.0)
            answer = ours.data_to_send()
            exchanged += (True, said), (False, answer)
            theirs.receive_data(answer)
        assert ours.linked is not None
        channel = self.session.open(ours.linked, _ignore, 0.0)
        conversation = Conversation(kind, mini=theirs.mini_header)
        line = self.lines[kind, number] = Line(kind, number, channel, conversation, Painter())
        self.pieces += [(line, from_client, data) for from_client, data in exchanged]
        return line

    def say(self, kind: ChannelType, number: int, *messages: object) -> None:
        """Let the client send messages."""
        line = self.lines[kind, number]
        self._to_server(line, line.conversation.frame(*messages))  # type: ignore[arg-type]

    def _to_server(self, line: Line, data: bytes) -> None:
        self.pieces.append((line, True, data))
        self.session.receive(self._channel(line), data, 0.0)

    def _channel(self, line: Line) -> Channel | ParkedChannel:
        """A line's channel now: a parked one gives way to one that has begun."""
        line.channel = self.session.find(line.kind, line.number) or line.channel
        return line.channel

    def pump(self) -> None:
        """Let the client take, and answer, until neither has anything to say."""
        while sum(self.pump_once(line) for line in self.lines.values()):
            pass

    def pump_once(self, line: Line) -> bool:
        """Let the client take what a channel gives at one time."""
        data = b"".join(self._channel(line).data_to_send())
        self.pieces.append((line, False, data))
        messages, answer = line.conversation.receive_data(data)
        if line.kind is DISPLAY:
            for message in messages:
                line.painter.paint(message)
        if answer:
            self._to_server(line, answer)
        return bool(data)


def _ignore() -> None:
    """Nobody waits for bytes here: they are asked for."""
