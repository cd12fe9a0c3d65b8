"""Writes down in which order the messages of recorded sessions passed: ``python pack_order.py FOLDER``.

The folder is that of ``pack_captures.py``, with what the recorders knew of times: ``NNN.idx``, lines with time,
direction, offset and length of each piece, and the old peers' ``summary.json``, with a time for each message. A message
passed when its last byte did.
"""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path

import captures
import pack_captures

LINK, MESSAGE = 0, 1


def ends_of_messages(data: bytes, mini: bool) -> list[int]:
    return [stop for _, _, stop in pack_captures.bodies(data, mini)]


def borders(raw: bytes, start: bytes) -> list[tuple[int, int]]:
    """For each frame of a WebSocket connection: where it ends, and how many bytes have been carried by then."""
    if not raw.startswith(start):
        return []
    at = raw.index(b"\r\n\r\n") + 4
    carried, found = 0, []
    while at < len(raw):
        opcode, second = raw[at] & 0x0F, raw[at + 1]
        size, head = second & 0x7F, 2
        if size >= 126:
            head += 2 if size == 126 else 8
            size = int.from_bytes(raw[at + 2 : at + head], "big")
        at += head + (4 if second & 0x80 else 0) + size
        carried += size if opcode < captures.CONTROL else 0
        found.append((at, carried))
    return found


def raw_end(frames: list[tuple[int, int]], end: int) -> int:
    """Where in a connection's bytes that is which has so many bytes carried before it."""
    return next((stop for stop, carried in frames if carried >= end), end)


def steps_of_index(folder: Path, name: str, number: int) -> list[tuple[float, int, str]]:
    """Time, kind and token of each step of a connection with an index."""
    pieces: dict[str, list[tuple[int, float]]] = {"c2s": [], "s2c": []}
    for line in (folder / f"{name}.idx").read_text().splitlines():
        row = json.loads(line)
        if "dir" in row:
            pieces[row["dir"]].append((row["off"] + row["len"], row["t"]))
    raw = {direction: (folder / f"{name}.{direction}.bin").read_bytes() for direction in pieces}
    found = captures.connection(raw["c2s"], raw["s2c"])

    def when(direction: str, end: int) -> float:
        return next(time for stop, time in pieces[direction] if stop >= end)

    if found.end != "linked":
        return [(max((time for _, time in itertools.chain(*pieces.values())), default=0.0), LINK, f"{number}l")]
    steps = []
    last = 0.0
    for direction, start, messages in (("c2s", b"GET /", found.client), ("s2c", b"HTTP/1.1 101 ", found.server)):
        assert messages is not None
        frames = borders(raw[direction], start)
        before = len(captures.without_websocket(raw[direction], start)) - len(messages)
        last = max(last, when(direction, raw_end(frames, before)))
        for end in ends_of_messages(messages, found.mini):
            time = when(direction, raw_end(frames, before + end))
            steps.append((time, MESSAGE, f"{number}{direction[0]}"))
    last = min([last, *(time for time, _, _ in steps)])  # a client does not wait for the result
    return [(last, LINK, f"{number}l"), *steps]


def steps_of_summary(row: dict, folder: Path, number: int) -> list[tuple[float, int, str]]:
    """The same for a connection of the old peers."""
    accepted = row["accepted_ms"]
    kept = {direction for direction in ("c2s", "s2c") if (folder / f"{row['file']}.{direction}.bin").exists()}
    steps = [(float(accepted), LINK, f"{number}l")]
    for (direction, *_), time in zip(row["messages"], row["t_ms"], strict=True):
        if direction in kept:
            steps.append((float(accepted + time), MESSAGE, f"{number}{direction[0]}"))
    return steps


def main(source: Path) -> None:
    lines = []
    for session, connections in captures.expectations().items():
        folder = source / session
        summary = folder / "summary.json"
        steps: list[tuple[float, int, str]] = []
        rows = {row["file"]: row for row in json.loads(summary.read_text())["connections"]} if summary.exists() else {}
        for number, expected in enumerate(connections):
            if rows:
                steps += steps_of_summary(rows[expected.connection], folder, number)
            else:
                steps += steps_of_index(folder, expected.connection, number)
        steps.sort(key=lambda step: step[:2])  # stable: within a connection the order stays
        runs = [(token, len(list(same))) for token, same in itertools.groupby(token for _, _, token in steps)]
        order = " ".join(token if count == 1 else f"{token}{count}" for token, count in runs)
        lines.append(json.dumps({"session": session, "order": order}) + "\n")
    captures.DATA.joinpath("order.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
