"""What a client's agent messages can be: pieces of them, and their data."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from spiceemu.protocol import agent
from spiceemu.protocol.agent_enums import AgentType, ClipboardType
from spiceemu.protocol.agent_message import MESSAGES, PLAIN, AgentMessage, ClipboardLayout
from spiceemu.protocol.agent_stream import AgentReader, VDAgentMessage, pieces_of
from spiceemu.protocol.errors import SpiceError

from .inputs import CHANGES, CUTS, Change, changed, pieces
from .measure import examples, hold_to_the_rule

LAYOUTS = [ClipboardLayout(selection, serial) for selection in (False, True) for serial in (False, True)]

VALID: list[AgentMessage] = [
    agent.AnnounceCapabilities(1, (0x37, 1)),
    agent.AudioVolumeSync(1, 0, (1, 2, 3)),
    agent.ClientDisconnected(),
    agent.Clipboard(ClipboardType.UTF8_TEXT, b"text"),
    agent.ClipboardGrab((ClipboardType.UTF8_TEXT, ClipboardType.IMAGE_PNG)),
    agent.ClipboardRelease(),
    agent.ClipboardRequest(ClipboardType.UTF8_TEXT),
    agent.DisplayConfig(15, 16),
    agent.FileXferData(1, b"part of a file"),
    agent.FileXferStart(1, b"[vdagent-file-xfer]\nname=a\nsize=9\n"),
    agent.FileXferStatus(1, 3, b"details"),
    agent.GraphicsDeviceInfo((agent.DeviceDisplayInfo(0, 1, 2, b"pci/0000/02.0\0"),)),
    agent.MaxClipboard(-1),
    agent.MonitorsConfig(4, (agent.MonConfig(600, 800),) * 2, (agent.MonitorMM(1, 2),) * 2),
    agent.MouseState(1, 2, 3, 0),
    agent.Reply(AgentType.MONITORS_CONFIG),
]
DATA = [(message.spec.type, layout, message.build(layout)) for message in VALID for layout in LAYOUTS]
STREAM = b"".join(piece for message in VALID for piece in pieces_of(message))


def test_every_type_is_among_the_valid_ones() -> None:
    assert {message.spec.type for message in VALID} == set(MESSAGES)


def outcome(kind: int, data: bytes, layout: ClipboardLayout) -> AgentMessage | str:
    try:
        return agent.parse(kind, data, layout)
    except SpiceError as error:
        return str(error)


@examples("agent messages")
@given(which=st.integers(0, len(DATA) - 1), changes=CHANGES)
def test_data_with_changes(which: int, changes: list[Change]) -> None:
    kind, layout, data = DATA[which]
    body = changed(data, changes, [other for _, _, other in DATA])
    found: list[AgentMessage | str] = []
    hold_to_the_rule(len(body), lambda: found.append(outcome(kind, body, layout)))
    (message,) = found
    if isinstance(message, AgentMessage):
        assert len(str(message)) < 100_000
        assert outcome(kind, message.build(layout), layout) == message


def take(parts: list[bytes]) -> tuple[list[VDAgentMessage], str]:
    """The messages of some pieces, and the error that ended them, if one did."""
    reader = AgentReader()
    found: list[VDAgentMessage] = []
    try:
        for part in parts:
            found.extend(reader.receive_piece(part))
    except SpiceError as error:
        return found, str(error)
    return found, ""


@examples("agent pieces")
@given(changes=CHANGES, cuts=CUTS)
def test_pieces_with_changes(changes: list[Change], cuts: list[float]) -> None:
    data = changed(STREAM, changes, [STREAM])
    parts = pieces(data, cuts)
    hold_to_the_rule(len(data), lambda: take(parts))
    messages, error = take(parts)
    assert take([data]) == (messages, error)
    for message in messages:
        outcome(message.type, message.data, PLAIN)


def test_a_message_of_many_small_pieces_is_held_once() -> None:
    data = struct.pack("<IIQI", 1, AgentType.CLIPBOARD, 0, 1 << 20) + bytes(1 << 20)
    parts = [data[start : start + 16] for start in range(0, len(data), 16)]
    hold_to_the_rule(len(data), lambda: take(parts))
    messages, _ = take(parts)
    assert [len(message.data) for message in messages] == [1 << 20]
