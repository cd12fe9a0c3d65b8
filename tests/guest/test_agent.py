"""The guest's agent against clients of every age: messages in, messages and events out."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from spiceemu.errors import InvalidValue, LimitExceeded, MalformedMessage
from spiceemu.guest.agent import (
    CAPABILITIES,
    HANDLERS,
    Agent,
    AgentEvent,
    ClientAnnounced,
    DisplayConfigured,
    FileRefused,
    MonitorsWanted,
    PointerPlaced,
    RequestedMonitor,
)
from spiceemu.guest.clipboard import Clipboard, ClipboardChange, Owner, TextReceived, TextRefused
from spiceemu.protocol.agent import messages as messages
from spiceemu.protocol.agent.enums import (
    AgentButtonMask,
    AgentCap,
    AgentResult,
    AgentType,
    ClipboardSelection,
    ClipboardType,
    FileXferResult,
    MonitorsFlags,
)
from spiceemu.protocol.agent.message import PLAIN, AgentMessage, ClipboardLayout
from spiceemu.protocol.agent.stream import AgentReader, pieces_of
from spiceemu.protocol.enums import MouseButtonMask
from spiceemu.protocol.plain import Plain

CLIPBOARD, PRIMARY, SECONDARY = ClipboardSelection
TEXT, NONE = ClipboardType.UTF8_TEXT, ClipboardType.NONE

SPICEC = frozenset({0, 1, 2, 4, 5})
"""What spicec announces: no selections."""
SPICE_GTK = frozenset({0, 1, 2, 4, 5, 6, 12, 14, 16, 17})
"""What spice-gtk 0.42 announces."""


class Talk:
    """A client's end, with everything that reaches it and everything that is told in the guest."""

    def __init__(self, capabilities: frozenset[int] | None = SPICE_GTK) -> None:
        self.clipboard = Clipboard()
        self.agent = Agent(self.clipboard)
        self.events: list[AgentEvent] = []
        self.changes: list[ClipboardChange] = []
        self.agent.subscribe(self.events.append)
        self.clipboard.subscribe(self.changes.append)
        self.sent: list[AgentMessage] = []
        self.connect(capabilities)

    def connect(self, capabilities: frozenset[int] | None) -> None:
        self.sent = []
        self.agent.start(self._send)
        if capabilities is not None:
            self.agent.receive(messages.AnnounceCapabilities.of(capabilities, request=True))
            assert self.sent[0] == messages.AnnounceCapabilities.of(CAPABILITIES)
            del self.sent[0]
        self.events.clear()
        self.changes.clear()

    def _send(self, message: AgentMessage) -> None:
        message.build(self.agent.layout)  # what the agent says can be said
        self.sent.append(message)

    def say(self, message: AgentMessage) -> list[AgentMessage]:
        """Send the agent a message; what it sent since the last one."""
        self.agent.receive(message)
        return self.take()

    def take(self) -> list[AgentMessage]:
        sent, self.sent = self.sent, []
        return sent


@pytest.fixture
def talk() -> Talk:
    return Talk()


def grab(selection: int = CLIPBOARD, serial: int = 0) -> messages.ClipboardGrab:
    return messages.ClipboardGrab((TEXT,), selection=selection, serial=serial)


# Capabilities


def test_an_announcement_is_answered_if_asked_for() -> None:
    talk = Talk(None)
    assert talk.say(messages.AnnounceCapabilities.of(SPICE_GTK)) == []
    assert talk.say(messages.AnnounceCapabilities.of(SPICE_GTK, request=True)) == [
        messages.AnnounceCapabilities.of(CAPABILITIES)
    ]
    assert talk.events == [ClientAnnounced(SPICE_GTK)] * 2
    assert talk.agent.client_capabilities == SPICE_GTK


@pytest.mark.parametrize(
    ("capabilities", "layout"),
    [(None, PLAIN), (SPICEC, PLAIN), (SPICE_GTK, ClipboardLayout(selection=True, serial=True))],
)
def test_the_layout_follows_the_client(capabilities: frozenset[int] | None, layout: ClipboardLayout) -> None:
    assert Talk(capabilities).agent.layout == layout


def test_an_agent_may_be_older() -> None:
    old = Agent(Clipboard(), {AgentCap.CLIPBOARD_BY_DEMAND})
    sent: list[AgentMessage] = []
    old.start(sent.append)
    old.receive(messages.AnnounceCapabilities.of(SPICE_GTK, request=True))
    old.clipboard.set_text("x")
    assert old.layout == PLAIN
    assert sent == [messages.AnnounceCapabilities(0, (0x20,)), grab()]


# What a client wants of the guest


def test_monitors_are_answered_and_told(talk: Talk) -> None:
    config = messages.MonitorsConfig(MonitorsFlags.USE_POS, (messages.MonConfig(600, 800, 32, -5, 6),))
    assert talk.say(config) == [messages.Reply(AgentType.MONITORS_CONFIG, AgentResult.SUCCESS)]
    assert talk.events == [MonitorsWanted((RequestedMonitor(0, 800, 600, -5, 6, positioned=True),))]


def test_monitors_that_are_off_are_left_out_but_counted(talk: Talk) -> None:
    off = messages.MonConfig(0, 0, 0)
    talk.say(
        messages.MonitorsConfig(
            MonitorsFlags.PHYSICAL_SIZE,
            (off, messages.MonConfig(600, 800), off),
            (messages.MonitorMM(0, 0), messages.MonitorMM(203, 271), messages.MonitorMM(0, 0)),
        )
    )
    assert talk.events == [MonitorsWanted((RequestedMonitor(1, 800, 600, width_mm=271, height_mm=203),))]


def test_an_empty_layout_is_answered_too(talk: Talk) -> None:
    assert talk.say(messages.MonitorsConfig(0, ())) == [messages.Reply(AgentType.MONITORS_CONFIG)]
    assert talk.events == [MonitorsWanted(())]


def test_monitors_are_answered_before_anything_was_announced() -> None:
    """spicec asks for its monitors right behind its announcement and waits for the answer before its channels."""
    talk = Talk(None)
    assert talk.say(messages.MonitorsConfig(0, ())) == [messages.Reply(AgentType.MONITORS_CONFIG)]


def test_a_plainer_desktop_is_answered(talk: Talk) -> None:
    assert talk.say(messages.DisplayConfig(15, 16)) == [messages.Reply(AgentType.DISPLAY_CONFIG)]
    assert talk.events == [DisplayConfigured(15, 16)]


def test_a_mouse_state_is_a_place_and_buttons(talk: Talk) -> None:
    assert talk.say(messages.MouseState(7, 8, AgentButtonMask.LEFT | AgentButtonMask.SIDE, 2)) == []
    assert talk.events == [PointerPlaced(7, 8, MouseButtonMask.LEFT | MouseButtonMask.SIDE, 2)]


@pytest.mark.parametrize(
    ("capabilities", "result"), [(SPICE_GTK, FileXferResult.DISABLED), (SPICEC, FileXferResult.ERROR)]
)
def test_files_are_refused_in_words_the_client_knows(capabilities: frozenset[int], result: FileXferResult) -> None:
    talk = Talk(capabilities)
    assert talk.say(messages.FileXferStart(9, b"[vdagent-file-xfer]")) == [messages.FileXferStatus(9, result)]
    assert talk.events == [FileRefused(9, b"[vdagent-file-xfer]")]
    assert talk.say(messages.FileXferData(9, b"all the same")) == []


@pytest.mark.parametrize(
    "message",
    [
        messages.Reply(AgentType.REPLY),
        messages.AudioVolumeSync(1, 0, (1, 2)),
        messages.ClientDisconnected(),
        messages.GraphicsDeviceInfo(()),
        messages.FileXferStatus(1, 1),
        messages.ClipboardRequest(TEXT, selection=3),
        messages.ClipboardGrab((TEXT,), selection=255),
    ],
)
def test_other_messages_are_ignored(talk: Talk, message: AgentMessage) -> None:
    assert talk.say(message) == []
    assert (talk.events, talk.changes) == ([], [])


# Text of the client


@pytest.mark.parametrize("capabilities", [SPICEC, SPICE_GTK])
def test_the_guest_pastes_what_the_client_copied(capabilities: frozenset[int]) -> None:
    talk = Talk(capabilities)
    assert talk.say(grab()) == []
    assert talk.clipboard.owner_of(CLIPBOARD) is Owner.CLIENT
    assert talk.clipboard.request_text()
    assert talk.take() == [messages.ClipboardRequest(TEXT)]
    assert talk.say(messages.Clipboard(TEXT, b"theirs")) == []
    assert talk.clipboard.text == "theirs"
    assert talk.changes[-1] == TextReceived(CLIPBOARD)


@pytest.mark.parametrize("kind", [NONE, ClipboardType.IMAGE_PNG, 99])
def test_the_client_refuses_its_text(talk: Talk, kind: int) -> None:
    talk.say(grab())
    talk.clipboard.request_text()
    talk.say(messages.Clipboard(kind, b"no text"))
    assert talk.clipboard.text is None
    assert talk.changes[-1] == TextRefused(CLIPBOARD)


def test_the_client_gives_its_clipboard_up(talk: Talk) -> None:
    talk.say(grab(PRIMARY))
    talk.say(messages.ClipboardRelease(selection=PRIMARY))
    assert talk.clipboard.owner_of(PRIMARY) is Owner.NOBODY


def test_selections_of_the_client_are_apart(talk: Talk) -> None:
    talk.say(grab(PRIMARY))
    assert talk.clipboard.owner_of(CLIPBOARD) is Owner.NOBODY
    assert talk.clipboard.request_text(PRIMARY)
    assert talk.take() == [messages.ClipboardRequest(TEXT, selection=PRIMARY)]


def test_a_client_that_copies_without_having_said_it_can_is_not_asked() -> None:
    talk = Talk(frozenset({AgentCap.REPLY}))
    talk.say(grab())
    talk.clipboard.request_text()
    assert talk.take() == []
    assert talk.changes[-1] == TextRefused(CLIPBOARD)


# Text of the guest


@pytest.mark.parametrize("capabilities", [SPICEC, SPICE_GTK])
def test_the_client_pastes_what_the_guest_copied(capabilities: frozenset[int]) -> None:
    talk = Talk(capabilities)
    talk.clipboard.set_text("mine")
    assert talk.take() == [grab()]
    assert talk.say(messages.ClipboardRequest(TEXT)) == [messages.Clipboard(TEXT, b"mine")]
    talk.clipboard.clear()
    assert talk.take() == [messages.ClipboardRelease()]
    assert talk.say(messages.ClipboardRequest(TEXT)) == [messages.Clipboard(NONE)]


def test_only_clients_with_selections_hear_of_them() -> None:
    old, new = Talk(SPICEC), Talk(SPICE_GTK)
    for talk in (old, new):
        talk.clipboard.set_text("mine", PRIMARY)
    assert old.take() == []
    assert new.take() == [grab(PRIMARY)]
    assert new.say(messages.ClipboardRequest(TEXT, selection=PRIMARY)) == [
        messages.Clipboard(TEXT, b"mine", selection=PRIMARY)
    ]
    for talk in (old, new):
        talk.clipboard.clear(PRIMARY)
    assert old.take() == []
    assert new.take() == [messages.ClipboardRelease(selection=PRIMARY)]


@pytest.mark.parametrize("capabilities", [None, frozenset({0, 1, 2})])
def test_clients_without_a_clipboard_hear_nothing(capabilities: frozenset[int] | None) -> None:
    talk = Talk(capabilities)
    talk.clipboard.set_text("mine")
    talk.clipboard.clear()
    assert talk.take() == []


def test_what_is_not_text_is_refused(talk: Talk) -> None:
    talk.clipboard.set_text("mine")
    talk.take()
    assert talk.say(messages.ClipboardRequest(ClipboardType.IMAGE_PNG)) == [messages.Clipboard(NONE)]


def test_the_clients_own_text_is_not_given_back(talk: Talk) -> None:
    talk.say(grab())
    talk.clipboard.request_text()
    talk.say(messages.Clipboard(TEXT, b"theirs"))
    talk.take()
    assert talk.say(messages.ClipboardRequest(TEXT)) == [messages.Clipboard(NONE)]


@pytest.mark.parametrize(
    ("limit", "answer"),
    [(3, messages.Clipboard(NONE)), (4, messages.Clipboard(TEXT, b"mine")), (-1, messages.Clipboard(TEXT, b"mine"))],
)
def test_the_client_has_a_limit(talk: Talk, limit: int, answer: AgentMessage) -> None:
    talk.say(messages.MaxClipboard(limit))
    talk.clipboard.set_text("mine")
    talk.take()
    assert talk.say(messages.ClipboardRequest(TEXT)) == [answer]


def test_text_from_before_is_offered_to_a_new_client(talk: Talk) -> None:
    talk.clipboard.set_text("mine")
    talk.clipboard.set_text("mine too", SECONDARY)
    talk.take()
    talk.agent.reset()
    talk.agent.start(talk._send)
    talk.agent.receive(messages.AnnounceCapabilities.of(SPICE_GTK, request=True))
    assert talk.take() == [messages.AnnounceCapabilities.of(CAPABILITIES), grab(), grab(SECONDARY)]
    assert talk.say(messages.AnnounceCapabilities.of(SPICE_GTK)) == []  # it is offered once
    assert talk.say(messages.ClipboardRequest(TEXT)) == [messages.Clipboard(TEXT, b"mine")]


# Grabs that cross


def test_both_sides_count_one_serial(talk: Talk) -> None:
    talk.clipboard.set_text("1")
    talk.clipboard.set_text("2")
    talk.say(grab(serial=2))
    talk.clipboard.set_text("3")
    talk.clipboard.set_text("1", PRIMARY)
    assert talk.take()[-2:] == [grab(serial=3), grab(PRIMARY, serial=0)]


def test_of_two_grabs_with_one_serial_the_clients_counts(talk: Talk) -> None:
    talk.clipboard.set_text("mine")
    talk.say(grab(serial=0))
    assert talk.clipboard.owner_of(CLIPBOARD) is Owner.CLIENT


def test_a_grab_from_before_is_void(talk: Talk) -> None:
    talk.clipboard.set_text("1")
    talk.clipboard.set_text("2")
    talk.say(grab(serial=0))
    assert talk.clipboard.text == "2"


def test_serials_begin_again_after_the_highest(talk: Talk) -> None:
    talk.say(grab(serial=0xFFFFFFFE))
    talk.clipboard.set_text("mine")
    talk.clipboard.set_text("mine")
    assert talk.take() == [grab(serial=0xFFFFFFFF), grab(serial=0)]
    talk.say(grab(serial=0xFFFFFFFF))
    talk.clipboard.set_text("mine")
    assert talk.take() == [grab(serial=0)]


# Clients come and go


def test_a_clients_clipboards_go_with_it(talk: Talk) -> None:
    talk.clipboard.set_text("mine", PRIMARY)
    talk.say(grab())
    talk.clipboard.request_text()
    talk.take()
    talk.changes.clear()
    talk.agent.reset()
    assert talk.clipboard.owner_of(CLIPBOARD) is Owner.NOBODY
    assert TextRefused(CLIPBOARD) in talk.changes
    assert talk.clipboard.text_of(PRIMARY) == "mine"
    assert talk.agent.client_capabilities == frozenset()
    assert talk.take() == []


def test_nothing_of_a_client_is_left_for_the_next(talk: Talk) -> None:
    talk.say(messages.MaxClipboard(1))
    talk.say(grab(serial=70))
    talk.connect(SPICEC)
    talk.clipboard.set_text("mine")
    assert talk.take() == [grab(serial=0)]
    assert talk.say(messages.ClipboardRequest(TEXT)) == [messages.Clipboard(TEXT, b"mine")]


def test_without_a_client_nothing_is_said(talk: Talk) -> None:
    talk.agent.reset()
    talk.clipboard.set_text("mine")
    assert talk.say(messages.DisplayConfig(0, 0)) == []


def test_an_observer_can_leave(talk: Talk) -> None:
    seen: list[AgentEvent] = []
    leave = talk.agent.subscribe(seen.append)
    talk.say(messages.DisplayConfig(0, 0))
    leave()
    talk.say(messages.DisplayConfig(0, 0))
    assert (len(seen), len(talk.events)) == (1, 2)


def test_handlers_are_a_table_of_ones_own(talk: Talk) -> None:
    def deny(it: Agent, message: messages.MonitorsConfig) -> None:
        it.say(messages.Reply(message.spec.type, AgentResult.ERROR))

    talk.agent.handlers = {**HANDLERS, messages.MonitorsConfig: deny}
    answer = messages.Reply(AgentType.MONITORS_CONFIG, AgentResult.ERROR)
    assert talk.say(messages.MonitorsConfig(0, [])) == [answer]
    assert talk.events == []
    assert talk.say(messages.DisplayConfig(0, 0)) == [messages.Reply(AgentType.DISPLAY_CONFIG)]
    agent = Agent(Clipboard(), handlers={})
    sent: list[AgentMessage] = []
    agent.start(sent.append)
    agent.receive(messages.AnnounceCapabilities.of(SPICE_GTK, request=True))
    assert (sent, agent.client_capabilities) == ([], frozenset())


def test_an_agent_knows_its_own_capabilities_again_even_new_ones() -> None:
    source, target = (Agent(Clipboard(), {AgentCap.REPLY, 40}) for _ in "ab")  # type: ignore[arg-type]
    target.load(Plain(source.save()))()
    assert target.capabilities == {AgentCap.REPLY, 40}
    with pytest.raises(InvalidValue, match=r"^capabilities\[1\]: 40 is not one of 0 to 17$"):
        Agent(Clipboard()).load(Plain(source.save()))


# Bytes of real clients, and of none

RECORDED = {
    row["name"]: row["steps"]
    for row in map(
        json.loads,
        gzip.decompress((Path(__file__).parents[1] / "data" / "agent" / "recorded-agent.jsonl.gz").read_bytes())
        .decode()
        .splitlines(),
    )
}


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_clients_are_understood(name: str) -> None:
    """Plays the client's bytes to this agent, with a guest that pastes at once and copies when the client asks."""
    talk, reader = Talk(None), AgentReader()
    asked_for = copied = 0
    for side, kind, value in RECORDED[name]:
        if (side, kind) != ("c", "data"):
            continue
        for raw in reader.receive_piece(bytes.fromhex(value)):
            message = raw.parse(talk.agent.layout)
            if isinstance(message, messages.ClipboardRequest):
                talk.clipboard.set_text("hello from guest")
                assert talk.take()[-1] == grab(message.selection, serial=copied)
                assert talk.say(message) == [messages.Clipboard(TEXT, b"hello from guest")]
                asked_for += 1
                continue
            answers = talk.say(message)
            if isinstance(message, messages.ClipboardGrab):
                copied += bool(talk.agent.layout.serial)
                assert talk.clipboard.request_text(message.selection)
                assert talk.take() == [messages.ClipboardRequest(TEXT)]
            assert [type(answer).__name__ for answer in answers] == {
                "AnnounceCapabilities": ["AnnounceCapabilities"],
                "MonitorsConfig": ["Reply"],
                "DisplayConfig": ["Reply"],
                "FileXferStart": ["FileXferStatus"],
            }.get(type(message).__name__, [])
    pasted = [change for change in talk.changes if isinstance(change, TextReceived)]
    assert (asked_for, len(pasted)) == ((0, 0) if "silent" in name else (1, 1))


@given(st.lists(st.tuples(st.sampled_from([*AgentType, 0, 17]), st.binary(max_size=40)), max_size=12))
def test_no_bytes_of_a_client_break_the_agent(sent: list[tuple[int, bytes]]) -> None:
    talk = Talk(None)
    for kind, data in sent:
        try:
            message = messages.parse(kind, data, talk.agent.layout)
        except (MalformedMessage, LimitExceeded, messages.UnknownMessage):
            continue
        for answer in talk.say(message):
            assert pieces_of(answer, talk.agent.layout)
        for selection in ClipboardSelection:
            talk.clipboard.request_text(selection)
            talk.clipboard.text_of(selection)
    talk.clipboard.set_text("still there")
    talk.agent.reset()
