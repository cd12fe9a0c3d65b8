"""Every recorded session is read to its last byte, both ways, and written again as it was.

The servers are 0.6.4, 0.8.3 and 0.15.1, the clients spicec 0.6.4 and 0.8.3, spice-gtk 0.7 and 0.42, remote-viewer and
spice-html5.
"""

from __future__ import annotations

from collections import Counter

import pytest

from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.framing import MAX_CLIENT_BODY, MAX_SERVER_BODY, FrameReader, FrameWriter
from spiceemu.protocol.messages.catalogue import CLIENT, SERVER, lookup

from . import captures

SESSIONS = captures.expectations()
ALL = [expected for session in SESSIONS.values() for expected in session]

ENDS = {"linked": 302, "refused 7": 14, "refused 5": 1, "silent": 3, "encrypted": 4}
CLIENT_MESSAGES = 1873
SERVER_MESSAGES = 9506
WITHOUT_SERVER_SIDE = 17  # of old peers: main's, left out to save space

#: Where the old servers had used up serials for frames of a video that they then dropped.
SERIAL_GAPS = {
    "old-peers/server-0.6__spicec-0.8__video-mjpeg": 5,
    "old-peers/server-0.8__spicec-0.8__video-mjpeg": 4,
}


def read_and_write_again(data: bytes, channel: ChannelType, direction: str, mini: bool) -> tuple[Counter[str], int]:
    """Count the messages by id; and how many serials were left out."""
    reader = FrameReader(mini=mini, max_body=MAX_CLIENT_BODY if direction == CLIENT else MAX_SERVER_BODY)
    writer = FrameWriter(mini=mini, direction=direction)
    found: Counter[str] = Counter()
    written, gaps = [], 0
    for number, body, serial in reader.receive_data(data):
        message = lookup(channel, direction, number).parse(body)
        assert message.build() == body
        assert serial > writer.serial
        gaps += serial - writer.serial - 1
        writer.serial = serial - 1
        written += writer.frame(message)
        found[str(number)] += 1
    assert reader.buffered == 0
    assert b"".join(written) == data
    return found, gaps


@pytest.mark.parametrize("session", SESSIONS)
def test_a_session_is_read_to_its_last_byte_and_written_again(session: str) -> None:
    gaps = 0
    for expected in SESSIONS[session]:
        client_data = captures.stream(session, expected.connection, "c2s")
        assert client_data is not None
        connection = captures.connection(client_data, captures.stream(session, expected.connection, "s2c"))
        assert connection.end == expected.end
        if connection.end == "encrypted":
            continue
        if connection.end != "linked":
            assert (connection.client, connection.server) == (b"", b"")
            continue
        channel = ChannelType(connection.channel_type)
        found, skipped = read_and_write_again(connection.client, channel, CLIENT, connection.mini)
        assert (found, skipped) == (expected.client, 0)
        if connection.server is None:
            assert expected.server is None
            continue
        found, skipped = read_and_write_again(connection.server, channel, SERVER, connection.mini)
        assert found == expected.server
        gaps += skipped
    assert gaps == SERIAL_GAPS.get(session, 0)


def test_the_recordings_are_all_there() -> None:
    assert Counter(session.partition("/")[0] for session in SESSIONS) == {"0.15.1": 27, "old-peers": 56}
    assert Counter(expected.end for expected in ALL) == ENDS
    assert sum(expected.server is None for expected in ALL) == WITHOUT_SERVER_SIDE
    assert sum(sum(expected.client.values()) for expected in ALL) == CLIENT_MESSAGES
    assert sum(sum(expected.server.values()) for expected in ALL if expected.server) == SERVER_MESSAGES


def test_every_kind_of_link_is_among_them() -> None:
    kinds: Counter[str] = Counter()
    for expected in ALL:
        client_data = captures.stream(expected.session, expected.connection, "c2s")
        server_data = captures.stream(expected.session, expected.connection, "s2c")
        assert client_data is not None
        kinds["web socket"] += client_data.startswith(b"GET ")
        if server_data is not None:
            connection = captures.connection(client_data, server_data)
            kinds["mini" if connection.mini else "full"] += connection.end == "linked"
    assert kinds == {"web socket": 11, "mini": 137, "full": 148}
