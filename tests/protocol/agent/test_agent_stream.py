"""Pieces of agent messages and the tokens they cost, by hand and as real peers sent them.

``recorded-agent.jsonl.gz`` has one session a row: in wire order, what passed the main channel for the agent. ``c`` is
the client, ``s`` the server; ``data`` is an AGENT_DATA in hexadecimal; of AGENT_TOKEN, AGENT_START and INIT (``token``,
``start``, ``init``) it has the number of tokens. The servers are 0.6.4, 0.8.3 and 0.15.1, the clients spicec and
spice-gtk 0.42.
"""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from spiceemu.errors import IllegalMessage, InvalidValue, LimitExceeded, MalformedMessage
from spiceemu.protocol.agent import messages as agent
from spiceemu.protocol.agent.enums import AgentCap, AgentType, ClipboardType, FileXferResult
from spiceemu.protocol.agent.message import PLAIN, AgentMessage, ClipboardLayout
from spiceemu.protocol.agent.stream import (
    GRANTED_TOKENS,
    HEADER,
    MAX_AGENT_MESSAGE,
    MAX_PIECE,
    MAX_WAITING,
    AgentReader,
    AgentTokens,
    AgentWriter,
    VDAgentMessage,
    pieces_of,
)

RECORDED = {
    row["name"]: row["steps"]
    for row in map(
        json.loads,
        gzip.decompress((Path(__file__).parents[2] / "data" / "agent" / "recorded-agent.jsonl.gz").read_bytes())
        .decode()
        .splitlines(),
    )
}
SESSION = pytest.mark.parametrize("name", RECORDED)

SPICEC_TALKS = [
    "c AnnounceCapabilities",
    "c MonitorsConfig",
    "s AnnounceCapabilities",
    "c DisplayConfig",
    "s Reply",
    "s Reply",
    "s ClipboardGrab",
    "c ClipboardRequest",
    "s Clipboard",
    "c ClipboardGrab",
    "s ClipboardRequest",
    "c Clipboard",
]
WITHOUT_DISPLAY_CONFIG = [line for line in SPICEC_TALKS if line != "c DisplayConfig"]
WITHOUT_DISPLAY_CONFIG.remove("s Reply")
CONVERSATIONS = {
    "server-0.6__spicec-0.6__agent-talks": WITHOUT_DISPLAY_CONFIG,
    "server-0.8__spicec-0.8__agent-talks": SPICEC_TALKS,
    "server-0.15__spicec-0.8__agent-talks": SPICEC_TALKS,
    "server-0.6__spicec-0.6__agent-silent-autoconf": SPICEC_TALKS[:2],
    "server-0.8__spicec-0.8__agent-silent": SPICEC_TALKS[:1],
    "xspice__spice-gtk-0.42__agent-clipboard-file": [
        "c AnnounceCapabilities",
        "s AnnounceCapabilities",
        "c MaxClipboard",
        "c AudioVolumeSync",
        "c AudioVolumeSync",
        "c MonitorsConfig",
        "c ClipboardGrab",
        "c MonitorsConfig",
        "s ClipboardRequest",
        "c Clipboard",
        "s ClipboardGrab",
        "c ClipboardRequest",
        "s Clipboard",
        "c FileXferStart",
        "s FileXferStatus",
        "c FileXferData",
        "c FileXferData",
        "s FileXferStatus",
    ],
}


def conversation(name: str) -> Iterator[tuple[str, AgentMessage, ClipboardLayout]]:
    """Side, message and its layout, each read by what both sides have announced before it."""
    readers = {"c": AgentReader(), "s": AgentReader()}
    announced: dict[str, frozenset[int]] = {"c": frozenset(), "s": frozenset()}
    for side, kind, value in RECORDED[name]:
        if kind == "data":
            for raw in readers[side].receive_piece(bytes.fromhex(value)):
                layout = ClipboardLayout.agreed(announced["c"], announced["s"])
                message = raw.parse(layout)
                if isinstance(message, agent.AnnounceCapabilities):
                    announced[side] = message.capabilities
                yield side, message, layout
    assert not any(reader.buffered for reader in readers.values())


@SESSION
def test_recorded_sessions_are_read_to_the_last_byte(name: str) -> None:
    found = [f"{side} {type(message).__name__}" for side, message, _ in conversation(name)]
    assert found == CONVERSATIONS[name]


@SESSION
def test_recorded_messages_are_cut_as_their_senders_did(name: str) -> None:
    cut: dict[str, list[str]] = {"c": [], "s": []}
    for side, message, layout in conversation(name):
        cut[side] += [piece.hex() for piece in pieces_of(message, layout)]
    for side, pieces in cut.items():
        assert pieces == [value for who, kind, value in RECORDED[name] if (who, kind) == (side, "data")]


@SESSION
def test_recorded_clients_never_lack_a_token(name: str) -> None:
    """Replays what client and server did with tokens; both kept to the rules that are written down here."""
    window: AgentTokens | None = None
    returned: list[int] = []
    recorded: list[int] = []
    client_may = 0
    for side, kind, value in RECORDED[name]:
        if kind == "init":
            window, client_may = AgentTokens(value), value
            assert value == GRANTED_TOKENS
        elif kind == "start":
            assert value == 0xFFFFFFFF
        elif (side, kind) == ("c", "data"):
            assert window is not None
            assert client_may > 0
            client_may -= 1
            window.spend()
            returned += [tokens] if (tokens := window.take()) else []
        elif (side, kind) == ("s", "token"):
            client_may += value
            recorded.append(value)
    assert recorded == returned


def test_the_recorded_clipboards_say_what_was_typed() -> None:
    old = [message for _, message, _ in conversation("server-0.8__spicec-0.8__agent-talks")]
    assert old[-1] == agent.Clipboard(ClipboardType.UTF8_TEXT, b"text from the client side")
    assert isinstance(old[8], agent.Clipboard)
    assert len(old[8].data) == 3000
    new = [message for _, message, _ in conversation("xspice__spice-gtk-0.42__agent-clipboard-file")]
    assert agent.Clipboard(ClipboardType.UTF8_TEXT, b"hello from client") in new
    assert agent.Clipboard(ClipboardType.UTF8_TEXT, b"hello from guest") in new
    assert agent.MaxClipboard(100 << 20) in new
    grabs = [message for message in new if isinstance(message, agent.ClipboardGrab)]
    assert [grab.serial for grab in grabs] == [0, 1]  # one count for both sides


def test_the_recorded_file_arrives_whole() -> None:
    messages = [message for _, message, _ in conversation("xspice__spice-gtk-0.42__agent-clipboard-file")]
    parts = [message for message in messages if isinstance(message, agent.FileXferData)]
    sent = b"".join(part.data for part in parts)
    (start,) = [message for message in messages if isinstance(message, agent.FileXferStart)]
    assert f"size={len(sent)}".encode() in start.data
    assert sent == (b"file transfer payload\n" * len(sent))[: len(sent)]
    results = [message.result for message in messages if isinstance(message, agent.FileXferStatus)]
    assert results == [FileXferResult.CAN_SEND_DATA, FileXferResult.SUCCESS]


def test_the_recorded_monitors_are_sparse() -> None:
    layouts = [
        message
        for _, message, _ in conversation("xspice__spice-gtk-0.42__agent-clipboard-file")
        if isinstance(message, agent.MonitorsConfig)
    ]
    assert [(each.monitors[0].width, each.monitors[0].height) for each in layouts] == [(800, 600), (1152, 864)]
    assert all(len(each.monitors) == len(each.physical_sizes or ()) == 16 for each in layouts)
    assert all(not monitor.width for each in layouts for monitor in each.monitors[1:])


# Pieces


def raw(kind: int, data: bytes, opaque: int = 0, protocol: int = 1) -> bytes:
    return HEADER.pack(protocol, kind, opaque, len(data)) + data


def test_a_message_has_its_header() -> None:
    (piece,) = pieces_of(agent.Reply(AgentType.MONITORS_CONFIG))
    assert piece == bytes.fromhex("01000000 03000000 0000000000000000 08000000 02000000 01000000")


@pytest.mark.parametrize("size", [0, 1, MAX_PIECE - 24, MAX_PIECE - 23, 2 * MAX_PIECE - 24, 2 * MAX_PIECE - 23])
def test_pieces_are_full_but_the_last(size: int) -> None:
    message = agent.Clipboard(ClipboardType.UTF8_TEXT, bytes(size))
    pieces = pieces_of(message)
    assert [len(piece) for piece in pieces[:-1]] == [MAX_PIECE] * (len(pieces) - 1)
    assert 1 <= len(pieces[-1]) <= MAX_PIECE
    assert b"".join(pieces) == raw(4, message.build())


def test_pieces_have_the_agreed_layout() -> None:
    (piece,) = pieces_of(agent.ClipboardRelease(selection=1), ClipboardLayout(selection=True))
    assert piece[20:] == b"\1\0\0\0"


def test_the_reader_keeps_what_it_does_not_read() -> None:
    reader = AgentReader()
    assert list(reader.receive_piece(raw(77, b"new", opaque=5))) == [VDAgentMessage(77, b"new", 5)]


@given(
    st.lists(st.tuples(st.integers(0, 20), st.binary(max_size=300), st.integers(0, 2**64 - 1)), max_size=6),
    st.lists(st.integers(0, 400), max_size=40),
)
def test_messages_may_be_cut_anywhere(messages: list[tuple[int, bytes, int]], cuts: list[int]) -> None:
    stream = b"".join(raw(kind, data, opaque) for kind, data, opaque in messages)
    borders = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts), *range(0, len(stream), MAX_PIECE)})
    reader = AgentReader()
    found: list[VDAgentMessage] = []
    for start, end in pairwise(borders):
        found += reader.receive_piece(stream[start:end])
    assert found == messages
    assert reader.buffered == 0


def test_messages_come_one_by_one() -> None:
    """How a message is read may depend on the one before it in the same piece."""
    reader = AgentReader()
    messages = reader.receive_piece(raw(6, bytes(8)) + raw(9, b""))
    assert next(messages).type == AgentType.ANNOUNCE_CAPABILITIES
    assert next(messages).parse(PLAIN) == agent.ClipboardRelease()


def test_a_piece_is_not_larger_than_real_ones() -> None:
    reader = AgentReader()
    assert list(reader.receive_piece(raw(4, bytes(MAX_PIECE))[:MAX_PIECE])) == []
    with pytest.raises(LimitExceeded, match="2049 bytes, the limit is 2048"):
        list(reader.receive_piece(bytes(MAX_PIECE + 1)))


def test_another_protocol_is_refused() -> None:
    with pytest.raises(MalformedMessage, match="protocol at offset 0: 2, it must be 1"):
        list(AgentReader().receive_piece(raw(3, bytes(8), protocol=2)))


def test_a_declared_size_over_the_limit_is_refused_at_once() -> None:
    header = HEADER.pack(1, 4, 0, MAX_AGENT_MESSAGE + 1)
    with pytest.raises(LimitExceeded, match=str(MAX_AGENT_MESSAGE)):
        list(AgentReader().receive_piece(header))
    assert list(AgentReader(max_message=8).receive_piece(raw(3, bytes(8)))) == [(3, bytes(8), 0)]
    with pytest.raises(LimitExceeded):
        list(AgentReader(max_message=7).receive_piece(raw(3, bytes(8))))


def test_what_came_before_a_bad_message_is_given() -> None:
    messages = AgentReader().receive_piece(raw(9, b"") + raw(9, b"", protocol=0))
    assert next(messages) == (9, b"", 0)
    with pytest.raises(MalformedMessage):
        next(messages)


def test_a_reset_reader_begins_anew() -> None:
    reader = AgentReader()
    assert list(reader.receive_piece(raw(4, bytes(100))[:50])) == []
    assert reader.buffered == 50
    reader.reset()
    assert list(reader.receive_piece(raw(9, b""))) == [(9, b"", 0)]


def peak_of(reader: AgentReader, data: bytes, step: int) -> int:
    tracemalloc.start()
    try:
        for start in range(0, len(data), step):
            for message in reader.receive_piece(data[start : start + step]):
                message.parse()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_declared_size_costs_nothing() -> None:
    assert peak_of(AgentReader(), HEADER.pack(1, 4, 0, MAX_AGENT_MESSAGE), MAX_PIECE) < 100_000


@pytest.mark.parametrize("step", [1, MAX_PIECE])
def test_memory_stays_near_the_input(step: int) -> None:
    data = raw(4, bytes(1 << (17 if step == 1 else 21)))
    assert peak_of(AgentReader(), data, step) <= 4 * len(data) + (1 << 20)


def test_a_list_of_monitors_costs_little() -> None:
    data = raw(2, agent.MonitorsConfig(0, (agent.MonConfig(1, 1),) * agent.MAX_MONITORS).build())
    assert peak_of(AgentReader(), data, MAX_PIECE) <= 4 * len(data) + (1 << 20)


# Tokens


def text(size: int) -> agent.Clipboard:
    return agent.Clipboard(ClipboardType.UTF8_TEXT, bytes(size))


def test_pieces_wait_for_tokens() -> None:
    writer = AgentWriter()
    writer.queue(text(3 * MAX_PIECE))
    expected = pieces_of(text(3 * MAX_PIECE))
    assert writer.pieces_to_send() == []
    assert writer.waiting == sum(map(len, expected))
    writer.tokens += 2
    assert writer.pieces_to_send() == expected[:2]
    assert writer.tokens == 0
    assert writer.waiting == sum(map(len, expected[2:]))
    writer.tokens += 10
    assert writer.pieces_to_send() == expected[2:]
    assert (writer.tokens, writer.waiting) == (8, 0)


def test_no_limit_is_a_large_number() -> None:
    writer = AgentWriter(0xFFFFFFFF)
    writer.queue(agent.ClipboardRelease(selection=1), ClipboardLayout(selection=True))
    writer.queue(text(0))
    assert writer.pieces_to_send() == [raw(9, b"\1\0\0\0"), raw(4, b"\1\0\0\0")]


def test_no_more_waits_than_the_limit() -> None:
    writer = AgentWriter()
    size = MAX_WAITING // 4 - HEADER.size - 4
    for _ in range(4):
        writer.queue(text(size))
    assert writer.waiting == MAX_WAITING
    with pytest.raises(LimitExceeded, match=str(MAX_WAITING)):
        writer.queue(text(0))
    assert writer.waiting == MAX_WAITING


def test_a_reset_writer_forgets() -> None:
    writer = AgentWriter()
    writer.queue(text(5))
    writer.reset(3)
    assert (writer.pieces_to_send(), writer.waiting, writer.tokens) == ([], 0, 3)


def test_a_piece_without_a_token_is_illegal() -> None:
    tokens = AgentTokens()
    for _ in range(GRANTED_TOKENS):
        tokens.spend()
    with pytest.raises(IllegalMessage, match="AgentData"):
        tokens.spend()


def test_tokens_come_back_in_fives() -> None:
    tokens = AgentTokens()
    returned: list[Any] = []
    for _ in range(11):
        tokens.spend()
        returned.append(tokens.take())
    assert returned == [0, 0, 0, 0, 5, 0, 0, 0, 0, 5, 0]
    assert tokens.left == 9


def test_pieces_that_are_not_used_cost_the_client_its_tokens() -> None:
    tokens = AgentTokens(granted=2)
    tokens.spend()
    tokens.take()
    tokens.spend()
    assert tokens.left == 0


def test_both_ends_agree() -> None:
    """A writer against the window and the reader of the other side: nothing is lost, nobody waits for ever."""
    writer, window, reader = AgentWriter(GRANTED_TOKENS), AgentTokens(), AgentReader()
    sent = [text(size) for size in (0, 5, MAX_PIECE, 40 * MAX_PIECE, 1)]
    for message in sent:
        writer.queue(message)
    found: list[AgentMessage] = []
    while pieces := writer.pieces_to_send():
        for piece in pieces:
            window.spend()
            found += [message.parse() for message in reader.receive_piece(piece)]
            writer.tokens += window.take()
    assert found == sent
    assert writer.waiting == 0


def test_capabilities_decide_the_layout_of_what_follows() -> None:
    both = ClipboardLayout.agreed(AgentCap, AgentCap)
    grab = agent.ClipboardGrab((ClipboardType.UTF8_TEXT,), selection=1, serial=3)
    (message,) = AgentReader().receive_piece(*pieces_of(grab, both))
    assert message.parse(both) == grab
    assert message.parse(PLAIN) == agent.ClipboardGrab((1, 3, 1))


# A conversation that moves


@given(
    messages=st.lists(st.binary(max_size=3000), max_size=4),
    cut=st.integers(0, 20),
    tokens=st.integers(0, 3),
    taken=st.integers(0, 10),
)
def test_a_conversation_goes_on_elsewhere(messages: list[bytes], cut: int, tokens: int, taken: int) -> None:
    old_writer, new_writer = AgentWriter(tokens), AgentWriter(99)
    for data in messages:
        old_writer.queue(agent.Clipboard(ClipboardType.UTF8_TEXT, data))
    pieces = old_writer.pieces_to_send()
    new_writer.load(old_writer.save())
    assert (new_writer.tokens, new_writer.waiting) == (old_writer.tokens, old_writer.waiting)
    new_writer.tokens += len(messages) * 3
    rest = new_writer.pieces_to_send()
    assert new_writer.waiting == 0
    old_writer.tokens += len(messages) * 3
    assert old_writer.pieces_to_send() == rest

    pieces += rest
    old_reader, new_reader = AgentReader(), AgentReader()
    list(new_reader.receive_piece(b"half of something"))
    cut = min(cut, len(pieces))
    read = [message for piece in pieces[:cut] for message in old_reader.receive_piece(piece)]
    new_reader.load(old_reader.save())
    read += [message for piece in pieces[cut:] for message in new_reader.receive_piece(piece)]
    assert [message.parse() for message in read] == [
        agent.Clipboard(ClipboardType.UTF8_TEXT, data) for data in messages
    ]

    old_tokens, new_tokens = AgentTokens(), AgentTokens(3)
    for _ in range(taken):
        old_tokens.spend()
        old_tokens.take()
    new_tokens.load(old_tokens.save())
    for window in (old_tokens, new_tokens):
        window.spend()
    assert new_tokens.take() == old_tokens.take()
    assert new_tokens.left == old_tokens.left


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({}, "reader: has no field 'held'"),
        ({"held": b"", "more": 1}, "reader: has the unknown field 'more'"),
        ({"held": None}, "reader.held: None is not bytes"),
        ({"held": bytes(MAX_AGENT_MESSAGE + 21)}, "reader.held: has 16777237 bytes, the limit is 16777236"),
        ({"held": HEADER.pack(2, 4, 0, 100)}, "reader.held: the protocol is 2, it must be 1"),
        ({"held": HEADER.pack(1, 4, 0, MAX_AGENT_MESSAGE + 1)}, "reader.held: a message of 16777217 bytes"),
        ({"held": HEADER.pack(1, 4, 0, 3) + b"abc"}, "reader.held: 23 bytes of a message that is complete with 23"),
    ],
)
def test_a_reader_refuses_what_no_reader_holds(state: dict[str, Any], text: str) -> None:
    reader = AgentReader()
    list(reader.receive_piece(b"half"))
    with pytest.raises(InvalidValue, match=text):
        reader.load(state)
    assert reader.save() == {"held": b"half"}


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"tokens": -1}, "writer.tokens: -1 is not one of 0 to 9223372036854775807"),
        ({"waiting": bytes(MAX_WAITING + 1)}, "writer.waiting: has 33554433 bytes, the limit is 33554432"),
        ({"sizes": [3, 0]}, r"writer.sizes\[1\]: 0 is not one of 1 to 2048"),
        ({"sizes": [2049]}, r"writer.sizes\[0\]: 2049 is not one of 1 to 2048"),
        ({"sizes": [1, 3]}, "writer.sizes: pieces of 4 bytes, but 3 wait"),
        ({"sizes": []}, "writer.sizes: pieces of 0 bytes, but 3 wait"),
        ({"sizes": [1, 1, 1, 1]}, "writer.sizes: has 4 elements, not 0 to 3"),
    ],
)
def test_a_writer_refuses_what_no_writer_holds(change: dict[str, Any], text: str) -> None:
    writer = AgentWriter(5)
    with pytest.raises(InvalidValue, match=text):
        writer.load({"tokens": 7, "waiting": b"abc", "sizes": [2, 1], **change})
    assert writer.save() == {"tokens": 5, "waiting": b"", "sizes": []}
    writer.load({"tokens": 7, "waiting": b"abc", "sizes": [2, 1]})
    assert writer.pieces_to_send() == [b"ab", b"c"]


@pytest.mark.parametrize("state", [{"left": -1, "taken": 0}, {"left": 3, "taken": 11}, {"left": 3}, None])
def test_tokens_refuse_what_cannot_be(state: Any) -> None:
    tokens = AgentTokens()
    with pytest.raises(InvalidValue, match="tokens"):
        tokens.load(state)
    assert tokens.save() == {"left": GRANTED_TOKENS, "taken": 0}
