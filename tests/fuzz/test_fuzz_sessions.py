"""Whole sessions: a client's valid messages on all its channels, some of them changed, in any order and any pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, strategies as st

from spiceemu.channels.channel import Channel
from spiceemu.channels.cursor import CursorChannel
from spiceemu.channels.display import DisplayChannel
from spiceemu.channels.inputs import InputsChannel
from spiceemu.channels.main import MainChannel
from spiceemu.channels.shared import Shared
from spiceemu.errors import InvalidValue
from spiceemu.guest.agent import RequestedMonitor
from spiceemu.guest.machine import Guest
from spiceemu.protocol.agent.message import PLAIN, ClipboardLayout
from spiceemu.protocol.agent.stream import pieces_of
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.framing import FULL_HEADER, MINI_HEADER
from spiceemu.protocol.messages.catalogue import CLIENT, Message, base, display, inputs, main, messages_of
from spiceemu.sessions.session import Session

from ..channels.far_side import linked
from ..protocol import vectors
from .inputs import AGENT_MESSAGES, CHANGES, CUTS, Change, changed, pieces
from .measure import examples, guarded

KINDS = (ChannelType.MAIN, ChannelType.DISPLAY, ChannelType.CURSOR, ChannelType.INPUTS)
LARGEST = 256  # width and height that this guest's display takes

EVERYTHING = range(32)  # capabilities
PARTS = 2  # tests that divide the inputs, one a header

Step = tuple[ChannelType, int, bytes]
"""What a client sends: the channel, a message's id and its body."""

BEGINNING = (
    (ChannelType.MAIN, main.AttachChannels()),
    (ChannelType.MAIN, main.AgentStart(0xFFFFFFFF)),
    (ChannelType.DISPLAY, display.Init(1, 1 << 20, 0, 0)),
)


def step(kind: ChannelType, message: Message) -> Step:
    return kind, message.spec.ids[CLIENT], message.build()


def samples() -> dict[ChannelType, list[Step]]:
    """Valid messages of every id that a client may send on a channel; those for the agent in both layouts."""
    found: dict[ChannelType, list[Step]] = {kind: [] for kind in KINDS}
    for line in vectors.valid():
        kind = ChannelType(line["channel_type"])
        if kind in KINDS and line["direction"] == CLIENT and vectors.class_of(line) is not main.AgentData:
            found[kind].append((kind, line["id"], vectors.body_of(line)))
    for layout in (PLAIN, ClipboardLayout(selection=True, serial=True)):
        for message in AGENT_MESSAGES:
            found[ChannelType.MAIN] += [
                step(ChannelType.MAIN, main.AgentData(piece)) for piece in pieces_of(message, layout)
            ]
    # Keys of one, two and three bytes.
    found[ChannelType.INPUTS] += [
        step(ChannelType.INPUTS, inputs.KeyScancode(codes)) for codes in (b"\x1e\x9e", b"\xe0\x5b", b"\xe1\x1d\x45")
    ]
    return found


SAMPLES = samples()

# Some end the conversation: those that a channel does not take here, or only once.
ONCE = {type(message) for _, message in BEGINNING} - {main.AgentStart}
WINDOW = {base.AckSync, base.Ack}  # only for channels that have an acknowledgement window
CHANNELS: dict[ChannelType, tuple[type[Channel], set[type[Message]]]] = {
    ChannelType.MAIN: (MainChannel, ONCE | WINDOW),
    ChannelType.DISPLAY: (DisplayChannel, ONCE),
    ChannelType.CURSOR: (CursorChannel, set()),
    ChannelType.INPUTS: (InputsChannel, WINDOW),
}
TAKEN = {
    kind: {cls.spec.ids[CLIENT] for cls in {**Channel.base_handlers, **channel.handlers} if cls not in refused}
    for kind, (channel, refused) in CHANNELS.items()
}
GOOD = {kind: [each for each in SAMPLES[kind] if each[1] in TAKEN[kind]] for kind in KINDS}
BAD = {kind: [each for each in SAMPLES[kind] if each[1] not in TAKEN[kind]] or GOOD[kind] for kind in KINDS}
BAD_FROM = 250  # of what a byte chooses


def test_every_message_of_a_client_is_among_the_samples() -> None:
    for kind in KINDS:
        assert {number for _, number, _ in SAMPLES[kind]} == set(messages_of(kind, CLIENT))


class SmallGuest(Guest):
    """A guest with a small display that stays small: how large a client may make one is a limit of its own."""

    def __init__(self) -> None:
        super().__init__(sizes=((64, 48),))
        self.clipboard.set_text("something to paste")

    def lay_out(self, monitors: Sequence[RequestedMonitor]) -> None:
        if any(max(monitor.width, monitor.height, abs(monitor.x), abs(monitor.y)) > LARGEST for monitor in monitors):
            raise InvalidValue("too large for this guest")
        super().lay_out(monitors)


def begun(*, mini: bool) -> tuple[Session, Mapping[ChannelType, Channel]]:
    """A session with all its channels that waits for its client's first message."""
    offered = [(kind, 0) for kind in KINDS[1:]]
    shared = Shared(SmallGuest(), session_id=1, offered=offered, now=0.0)
    session = Session(shared, lambda _event: None)
    channels = {
        kind: session.open(linked(kind, mini=mini, capabilities=EVERYTHING), lambda: None, 0.0) for kind in KINDS
    }
    pump(channels)
    return session, channels


def pump(channels: Mapping[ChannelType, Channel]) -> None:
    """Take what there is to send, as an open connection does."""
    for channel in channels.values():
        while channel.data_to_send():
            pass


def framed(steps: Sequence[Step], *, mini: bool) -> list[tuple[ChannelType, bytes]]:
    """The steps as bytes."""
    serials = dict.fromkeys(KINDS, 0)
    made = []
    for kind, number, body in steps:
        serials[kind] += 1
        header = MINI_HEADER.pack(number, len(body)) if mini else FULL_HEADER.pack(serials[kind], number, len(body), 0)
        made.append((kind, header + body))
    return made


def chosen(noise: bytes) -> list[Step]:
    """Steps by two bytes each: which channel, which of its samples."""
    steps = []
    for which, number in zip(noise[::2], noise[1::2], strict=False):
        on_channel = (GOOD if which < BAD_FROM else BAD)[KINDS[which % len(KINDS)]]
        steps.append(on_channel[(number | which // len(KINDS) << 8) % len(on_channel)])
    return steps


STEPS = st.binary(min_size=2, max_size=40).map(chosen)
WHICH = st.integers(0, 99)


def judge(sent: Sequence[tuple[ChannelType, bytes]], cuts: list[float], *, mini: bool) -> None:
    """Let a session take what a client sends, and let it end: it always lets go of the guest."""
    session, channels = begun(mini=mini)
    with guarded(sum(len(data) for _, data in sent)):
        for kind, data in sent:
            for piece in pieces(data, cuts):
                session.receive(channels[kind], piece, 1.0)
                pump(channels)
    session.close()
    assert not session.guest.keyboard.held
    assert not session.guest.pointer.buttons
    assert session.guest.agent_client is None


@pytest.mark.parametrize("mini", [True, False], ids=["mini", "full"])
def test_a_client_with_changes(mini: bool) -> None:
    """A body is changed in half of the inputs, a frame with its header in the other half."""

    @examples("sessions", PARTS)
    @given(steps=STEPS, which=WHICH, changes=CHANGES, of_body=st.booleans(), cuts=CUTS)
    def one(steps: list[Step], which: int, changes: list[Change], of_body: bool, cuts: list[float]) -> None:
        steps = [step(*each) for each in BEGINNING] + steps
        which %= len(steps)
        if of_body:
            kind, number, body = steps[which]
            others = [other for _, _, other in SAMPLES[kind]]
            steps = [*steps[:which], (kind, number, changed(body, changes, others)), *steps[which + 1 :]]
        sent = framed(steps, mini=mini)
        if not of_body:
            kind, data = sent[which]
            sent[which] = kind, changed(data, changes, [data for _, data in sent])
        judge(sent, cuts, mini=mini)

    one()
