"""Takes recorded sessions apart: WebSocket frames, the link, SASL's steps, and where the messages begin.

All of it by hand and by ``struct``, so that it judges the package and is not judged by itself. The README beside the
archive says what is in it. ``SPICEEMU_CAPTURES`` names a folder of the recordings as they were made; the same tests
then read these.
"""

from __future__ import annotations

import functools
import json
import os
import struct
import tarfile
from pathlib import Path
from typing import NamedTuple

DATA = Path(__file__).resolve().parent.parent / "data" / "captures"
ARCHIVE = DATA / "sessions.tar.xz"

LINK_HEADER = struct.Struct("<4sIII")
LINK_MESSAGE = struct.Struct("<IBBIII")
LINK_REPLY = struct.Struct("<I162sIII")
TICKET_SIZE = 128
AUTH_SELECTION, AUTH_SPICE, AUTH_SASL, MINI_HEADER = range(4)  # numbers of common capabilities

CONTINUATION, BINARY, CLOSE = 0, 2, 8  # WebSocket opcodes (RFC 6455)
CONTROL = 8  # opcodes from here on are about the connection


class Expected(NamedTuple):
    """A line of ``sessions.jsonl``: one connection, and how many messages of each id it has in each direction."""

    session: str
    connection: str
    end: str
    server: dict[str, int] | None
    client: dict[str, int] | None


def expectations() -> dict[str, list[Expected]]:
    """Connections by session."""
    sessions: dict[str, list[Expected]] = {}
    for line in (DATA / "sessions.jsonl").read_text().splitlines():
        expected = Expected(**json.loads(line))
        sessions.setdefault(expected.session, []).append(expected)
    return sessions


@functools.cache
def _archived() -> dict[str, bytes]:
    with tarfile.open(ARCHIVE) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}  # type: ignore[union-attr]


def stream(session: str, connection: str, direction: str) -> bytes | None:
    """The bytes of one direction, ``c2s`` or ``s2c``; None where they were not kept."""
    name = f"{session}/{connection}.{direction}.bin"
    folder = os.environ.get("SPICEEMU_CAPTURES")
    if folder is None:
        return _archived().get(name)
    file = Path(folder) / name
    return file.read_bytes() if file.exists() else None


class Reader:
    """Takes what it is asked for off the front of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, size: int) -> bytes:
        piece = self.data[self.at : self.at + size]
        assert len(piece) == size, f"{size} bytes wanted at {self.at}, {len(piece)} there"
        self.at += size
        return piece

    def unpack(self, layout: struct.Struct) -> tuple:
        return layout.unpack(self.take(layout.size))

    def number(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def counted(self) -> bytes:
        """Bytes behind their number."""
        return self.take(self.number())

    @property
    def rest(self) -> bytes:
        return self.data[self.at :]


def without_websocket(data: bytes, start: bytes) -> bytes:
    """What a WebSocket connection carried, or the data themselves where there is none.

    :param start: how a side's HTTP head begins.
    """
    if not data.startswith(start):
        return data
    head, _, frames = data.partition(b"\r\n\r\n")
    assert b"\r\nsec-websocket-protocol: binary" in head.lower()
    reader = Reader(frames)
    carried = []
    while reader.rest:
        first, second = reader.take(2)
        opcode, masked, size = first & 0x0F, second & 0x80, second & 0x7F
        assert not first & 0x70, "an extension that nobody agreed on"
        assert bool(masked) is start.startswith(b"GET"), "clients mask, servers do not"
        if size >= 126:
            size = int.from_bytes(reader.take(2 if size == 126 else 8), "big")
        mask = reader.take(4) if masked else bytes(4)
        payload = reader.take(size)
        if opcode >= CONTROL:
            continue
        assert opcode in (BINARY, CONTINUATION)
        repeated = (mask * (size // 4 + 1))[:size]
        unmasked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
        carried.append(unmasked.to_bytes(size, "big"))
    return b"".join(carried)


class Connection(NamedTuple):
    """A connection behind its link.

    :ivar end: ``linked``; ``refused N`` with the error's or the result's code; ``silent`` for a server that closed
        without a word, as it does after a failed SASL step; ``encrypted`` where SASL has put a layer over the rest.
    :ivar mini: whether messages have mini headers.
    :ivar client: the client's messages.
    :ivar server: the server's messages, or None where they were not kept.
    """

    channel_type: int
    end: str
    mini: bool
    client: bytes
    server: bytes | None


def connection(client_data: bytes, server_data: bytes | None) -> Connection:
    """Read the link of both sides and what authenticates it.

    Where the server's side was not kept its capabilities are unknown; such old servers never ask for a mechanism from
    a client without AUTH_SELECTION, and have no mini header.
    """
    client = Reader(without_websocket(client_data, b"GET /"))
    magic, major, _, size = client.unpack(LINK_HEADER)
    assert (magic, major) == (b"REDQ", 2)
    message = client.take(size)
    _, channel_type, _, *client_lists = LINK_MESSAGE.unpack_from(message)
    client_common = _common(message, *client_lists)
    if server_data is None:
        assert not client_common
        client.take(TICKET_SIZE)
        return Connection(channel_type, "linked", False, client.rest, None)

    server = Reader(without_websocket(server_data, b"HTTP/1.1 101 "))
    magic, major, _, size = server.unpack(LINK_HEADER)
    assert (magic, major) == (b"REDQ", 2)
    reply = server.take(size)
    error, _, *server_lists = LINK_REPLY.unpack_from(reply)
    if error:
        return Connection(channel_type, f"refused {error}", False, client.rest, server.rest)
    common = _common(reply, *server_lists) & client_common

    if common >> AUTH_SELECTION & 1 and client.number() == AUTH_SASL:
        end = _read_sasl(client, server)
    else:
        client.take(TICKET_SIZE)
        end = ""
    if not end:
        result = server.number()
        end = f"refused {result}" if result else "linked"
    return Connection(channel_type, end, bool(common >> MINI_HEADER & 1), client.rest, server.rest)


def _common(body: bytes, common: int, channel: int, offset: int) -> int:
    """The common capabilities as one mask; both lists end with the body."""
    assert offset + 4 * (common + channel) == len(body)
    return int.from_bytes(body[offset : offset + 4 * common], "little")


def _read_sasl(client: Reader, server: Reader) -> str:
    """Read the steps of SASL; nothing, or why the link ends there.

    ::

        server   u32 length, mechanisms: ",PLAIN,"
        client   u32 length, mechanism; u32 length, data
        server   u32 length, data, u8 complete      | until it is complete
        client   u32 length, data                   |
        server   u32 0: accepted; behind it comes the link's result, inside the layer if the mechanism has one
    """
    offered = server.counted()
    mechanism = client.counted()
    assert b",%b," % mechanism in offered
    client.counted()
    complete = False
    while server.rest and not complete:
        server.counted()
        complete = bool(server.take(1)[0])
        if not complete:
            client.counted()
    if not complete:
        return "silent"
    assert server.number() == 0
    return "encrypted" if mechanism == b"DIGEST-MD5" else ""
