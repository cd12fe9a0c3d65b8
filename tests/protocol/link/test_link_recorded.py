"""The links of real clients with real servers, replayed against both of our sides.

``recorded-links.jsonl`` has the start of both directions of one connection a row, up to a few bytes behind the ticket
and the result. The servers are 0.6.4, 0.8.3 and 0.15.1, the clients spicec, spice-gtk 0.7 and 0.42, remote-viewer and
spice-html5 (its bytes without their WebSocket frames).
"""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest

from spiceemu.errors import InvalidData, LinkError, NeedSecured, PermissionDenied
from spiceemu.protocol.capabilities import Words
from spiceemu.protocol.levels.level import CURRENT
from spiceemu.protocol.link.client import ClientLink
from spiceemu.protocol.link.server import LinkRequest, LinkState, ServerLink
from spiceemu.protocol.link.ticket import parse_public_key, process_key

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parents[2] / "data" / "links" / "recorded-links.jsonl").read_text().splitlines()
]
RECORDED = pytest.mark.parametrize("row", ROWS, ids=[row["name"] for row in ROWS])
BEHIND = 8  # bytes kept of the first messages, in rows that get so far


class Recorded:
    """A row, taken apart by hand."""

    def __init__(self, row: dict[str, str]) -> None:
        self.client = bytes.fromhex(row["c2s"])
        self.server = bytes.fromhex(row["s2c"])
        self.message_end = 16 + struct.unpack_from("<I", self.client, 12)[0]
        self.reply_end = 16 + struct.unpack_from("<I", self.server, 12)[0]
        self.client_version = struct.unpack_from("<II", self.client, 4)
        self.server_version: tuple[int, int] = struct.unpack_from("<II", self.server, 4)
        self.connection_id, self.channel_type, self.channel_id = struct.unpack_from("<IBB", self.client, 16)
        self.client_common, self.client_channel = self._words(self.client, 22)
        self.error = struct.unpack_from("<I", self.server, 16)[0]
        self.public_key = self.server[20:182]
        self.server_common, self.server_channel = self._words(self.server, 182)
        self.selects = bool(self._bit(self.client_common, 0) and self._bit(self.server_common, 0))
        self.mini = bool(self._bit(self.client_common, 3) and self._bit(self.server_common, 3))
        self.sasl = self.selects and self.client[self.message_end] == 2
        self.result = None
        if not self.error and not self.sasl:
            self.result = struct.unpack_from("<I", self.server, self.reply_end)[0]

    @staticmethod
    def _words(data: bytes, at: int) -> tuple[Words, Words]:
        common, channel, offset = struct.unpack_from("<3I", data, at)
        words = struct.unpack_from(f"<{common + channel}I", data, 16 + offset)
        return words[:common], words[common:]

    @staticmethod
    def _bit(words: Words, bit: int) -> int:
        return bool(words) and words[0] >> bit & 1


class RecordedPolicy:
    """Decides as the recorded server did. Nobody has its private key, so the ticket itself cannot be judged."""

    level = CURRENT

    def __init__(self, recorded: Recorded) -> None:
        self.recorded = recorded

    @property
    def version(self) -> tuple[int, int]:
        return self.recorded.server_version

    def admit(self, request: LinkRequest) -> None:
        if self.recorded.error == NeedSecured.code:
            raise NeedSecured("as recorded")

    def capabilities(self, request: LinkRequest) -> tuple[Words, Words]:
        return self.recorded.server_common, self.recorded.server_channel

    def check_password(self, ticket: bytes | None, now: float) -> None:
        if self.recorded.result == PermissionDenied.code:
            raise PermissionDenied("as recorded")

    def check_session(self, request: LinkRequest) -> None:
        pass


@pytest.mark.parametrize("piece_size", [1, 1 << 20])
@RECORDED
def test_our_server_answers_the_real_client_as_the_real_server_did(row: dict[str, str], piece_size: int) -> None:
    recorded = Recorded(row)
    link = ServerLink(RecordedPolicy(recorded), secure=False, now=0.0)
    leftover = b""
    for start in range(0, len(recorded.client), piece_size):
        piece = recorded.client[start : start + piece_size]
        if link.state is LinkState.LINKED:
            leftover += piece
        else:
            link.receive_data(piece, 1.0)
    sent = link.data_to_send()

    request = link.request
    assert request is not None
    assert (request.major, request.minor) == recorded.client_version
    assert request.connection_id == recorded.connection_id
    assert (request.channel_type, request.channel_id) == (recorded.channel_type, recorded.channel_id)
    assert request.common_capabilities == recorded.client_common
    assert request.channel_capabilities == recorded.client_channel

    # The same bytes but for the key, which is ours; a SASL server sends zeros.
    key = recorded.public_key if recorded.error else process_key().public_der
    expected = recorded.server[:20] + key + recorded.server[182 : recorded.reply_end]
    assert sent[: recorded.reply_end] == expected
    if recorded.error:
        assert sent == expected
    elif recorded.sasl:
        assert isinstance(link.failure, InvalidData)
    else:
        assert sent[recorded.reply_end :] == struct.pack("<I", recorded.result)
        assert (link.state is LinkState.LINKED) is (recorded.result == 0)
    if link.linked is not None:
        assert link.linked.mini_header is recorded.mini
        assert link.linked.mechanism == (1 if recorded.selects else None)
        ticket_end = recorded.message_end + (4 if recorded.selects else 0) + 128
        assert link.linked.leftover + leftover == recorded.client[ticket_end:]


@pytest.mark.parametrize("piece_size", [1, 1 << 20])
@RECORDED
def test_our_client_reads_the_real_server(row: dict[str, str], piece_size: int) -> None:
    recorded = Recorded(row)
    client = ClientLink(
        recorded.channel_type,
        recorded.channel_id,
        connection_id=recorded.connection_id,
        common_capabilities=recorded.client_common,
        channel_capabilities=recorded.client_channel,
        mechanism=2 if recorded.sasl else None,
        version=(recorded.client_version[0], recorded.client_version[1]),
    )
    assert client.data_to_send() == recorded.client[: recorded.message_end]

    leftover = b""
    refusal = None
    for start in range(0, len(recorded.server), piece_size):
        piece = recorded.server[start : start + piece_size]
        if client.linked:
            leftover += piece
        else:
            try:
                client.receive_data(piece)
            except LinkError as error:
                refusal = error.code
                break

    assert client.server_version == recorded.server_version
    assert refusal == (recorded.error or recorded.result or None)
    if recorded.error:
        assert client.data_to_send() == b""
        return
    assert client.server_common_capabilities == recorded.server_common
    assert client.server_channel_capabilities == recorded.server_channel
    assert client.mini_header is recorded.mini
    answer = client.data_to_send()
    if recorded.sasl:
        assert answer == struct.pack("<I", 2)
        return
    assert parse_public_key(client.public_der) == int.from_bytes(recorded.public_key[29:157])
    assert len(answer) == (132 if recorded.selects else 128)
    if recorded.result == 0:
        assert client.linked
        assert client.leftover + leftover == recorded.server[recorded.reply_end + 4 :]


def test_the_recordings_show_every_kind_of_link() -> None:
    recorded = [Recorded(row) for row in ROWS]
    assert {row.server_version for row in recorded} == {(2, 0), (2, 1), (2, 2)}
    assert {row.client_version for row in recorded} == {(2, 0), (2, 1), (2, 2)}
    assert {row.selects for row in recorded} == {row.mini for row in recorded} == {row.sasl for row in recorded}
    assert {row.result for row in recorded} == {None, 0, 7}
    assert {row.channel_type for row in recorded} == {1, 2, 3, 4, 5, 6, 9, 10, 11}
