"""Plays recorded sessions to the judge: all connections of a session, message by message, in the order they passed."""

from __future__ import annotations

import functools
import json
import re
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from spiceemu.judge.finding import Finding
from spiceemu.judge.stream import StreamJudge
from spiceemu.protocol.levels.level import Level

from ..protocol import captures

CLIENT, SERVER = "c2s", "s2c"
STARTS = {CLIENT: b"GET /", SERVER: b"HTTP/1.1 101 "}

RELEASES = {"0.15.1": "0.15.1", "server-0.15": "0.15.1", "server-0.8": "0.8.3", "server-0.6": "0.6.4"}


class Part(NamedTuple):
    """Bytes of one direction of a connection: a link, or a message with its header."""

    connection: str
    direction: str
    data: bytes


@functools.cache
def _orders() -> dict[str, str]:
    rows = map(json.loads, (captures.DATA / "order.jsonl").read_text().splitlines())
    return {row["session"]: row["order"] for row in rows}


def release_of(session: str) -> str:
    """The release of the server that was recorded."""
    group, _, name = session.partition("/")
    return RELEASES.get(group) or RELEASES[name.partition("__")[0]]


def messages(data: bytes, mini: bool) -> Iterator[bytes]:
    """Messages with their headers."""
    layout, at = struct.Struct("<HI" if mini else "<QHII"), 0
    while at < len(data):
        stop = at + layout.size + layout.unpack_from(data, at)[1 if mini else 2]
        yield data[at:stop]
        at = stop


def parts(session: str) -> list[Part]:
    """All of a session; of encrypted connections and refused ones only the links."""
    names, links, queues = [], [], {}
    for number, expected in enumerate(captures.expectations()[session]):
        names.append(expected.connection)
        raw = {direction: captures.stream(session, expected.connection, direction) for direction in STARTS}
        found = captures.connection(raw[CLIENT], raw[SERVER])
        behind = {CLIENT: found.client, SERVER: found.server}
        link = []
        for direction, start in STARTS.items():
            if raw[direction] is None:
                continue
            carried = captures.without_websocket(raw[direction], start)
            before = len(carried) - len(behind[direction]) if found.end == "linked" else len(carried)
            link.append(Part(expected.connection, direction, carried[:before]))
            if found.end == "linked":
                queues[number, direction[0]] = messages(carried[before:], found.mini)
        links.append(link)
    passed = []
    for number, kind, count in re.findall(r"(\d+)([lcs])(\d*)", _orders()[session]):
        if kind == "l":
            passed += links[int(number)]
            continue
        direction = CLIENT if kind == "c" else SERVER
        for _ in range(int(count or 1)):
            passed.append(Part(names[int(number)], direction, next(queues[int(number), kind])))
    assert not any(list(rest) for rest in queues.values()), "the order leaves messages out"
    return passed


def judged(
    parts: list[Part], level: Level, pieces: Callable[[bytes], list[bytes]] = lambda data: [data]
) -> list[Finding]:
    """What the judge finds in these parts."""
    judge = StreamJudge(level)
    connections, found = {}, []
    for part in parts:
        connection = connections.get(part.connection)
        if connection is None:
            connection = connections[part.connection] = judge.connection(part.connection)
        for piece in pieces(part.data):
            found += (connection.client_data if part.direction == CLIENT else connection.server_data)(piece)
    return found + judge.finish()
