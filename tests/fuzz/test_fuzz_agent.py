"""What a client's agent messages can be: pieces of them, and their data."""

from __future__ import annotations

import struct

from hypothesis import given, strategies as st

from spiceemu.errors import RemoteError
from spiceemu.protocol.agent import messages as agent
from spiceemu.protocol.agent.enums import AgentType
from spiceemu.protocol.agent.message import MESSAGES, ClipboardLayout
from spiceemu.protocol.agent.stream import AgentReader, VDAgentMessage, pieces_of

from .inputs import AGENT_MESSAGES, CHANGES, CUTS, Change, changed, pieces
from .measure import examples, guarded

LAYOUTS = [ClipboardLayout(selection, serial) for selection in (False, True) for serial in (False, True)]

DATA = [(message.spec.type, layout, message.build(layout)) for message in AGENT_MESSAGES for layout in LAYOUTS]
STREAM = b"".join(piece for message in AGENT_MESSAGES for piece in pieces_of(message))


def test_every_type_is_among_the_valid_ones() -> None:
    assert {message.spec.type for message in AGENT_MESSAGES} == set(MESSAGES)


@examples("agent messages")
@given(which=st.integers(0, len(DATA) - 1), changes=CHANGES)
def test_data_with_changes(which: int, changes: list[Change]) -> None:
    kind, layout, data = DATA[which]
    body = changed(data, changes, [other for _, _, other in DATA])
    message = None
    with guarded(len(body)):
        message = agent.parse(kind, body, layout)
    if message is not None:
        assert len(str(message)) < 100_000
        assert agent.parse(kind, message.build(layout), layout) == message


def take(parts: list[bytes]) -> tuple[list[VDAgentMessage], str]:
    """The messages of some pieces, and the error that ended them, if one did."""
    reader = AgentReader()
    found: list[VDAgentMessage] = []
    try:
        for part in parts:
            found.extend(reader.receive_piece(part))
    except RemoteError as error:
        return found, str(error)
    return found, ""


@examples("agent pieces")
@given(changes=CHANGES, cuts=CUTS)
def test_pieces_with_changes(changes: list[Change], cuts: list[float]) -> None:
    data = changed(STREAM, changes, [STREAM])
    parts = pieces(data, cuts)
    with guarded(len(data)):
        reader = AgentReader()
        for part in parts:
            for message in reader.receive_piece(part):
                message.parse()
    assert take([data]) == take(parts)


def test_a_message_of_many_small_pieces_is_held_once() -> None:
    data = struct.pack("<IIQI", 1, AgentType.CLIPBOARD, 0, 1 << 20) + bytes(1 << 20)
    parts = [data[start : start + 16] for start in range(0, len(data), 16)]
    with guarded(len(data)):
        messages, _ = take(parts)
    assert [len(message.data) for message in messages] == [1 << 20]
