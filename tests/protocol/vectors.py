"""Reads the message vectors; their README says what is in a line."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.messages.catalogue import Message, lookup

SHIPPED = Path(__file__).resolve().parent.parent / "data" / "vectors"
FOLDER = Path(os.environ.get("SPICEEMU_VECTORS", SHIPPED))

Line = dict[str, Any]


def lines(*patterns: str) -> list[Line]:
    """All lines of the files that match a pattern."""
    files = sorted({file for pattern in patterns for file in FOLDER.glob(pattern)})
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def by_message(found: Sequence[Line]) -> dict[str, list[Line]]:
    """Lines by the message they are of, so that a test is a message and not a line."""
    groups: dict[str, list[Line]] = defaultdict(list)
    for line in found:
        groups[f"{line['channel']}-{line['direction']}-{line['name'] or 'unknown'}"].append(line)
    return groups


def valid() -> list[Line]:
    return lines("vectors_*.jsonl")


def accepted() -> list[Line]:
    """Odd bodies that the reference accepts."""
    return lines("malformed_accepted_*.jsonl")


def malformed() -> list[Line]:
    """Bodies that the reference refuses."""
    files = {file.name for file in FOLDER.glob("malformed_*.jsonl")}
    return lines(*(name for name in files if not name.startswith("malformed_accepted_")))


def table(name: str) -> Any:
    """``messages.json`` or ``enums.json``; a folder with lines alone is about the same protocol as ours."""
    file = FOLDER / name
    return json.loads((file if file.exists() else SHIPPED / name).read_text())


def class_of(line: Line) -> type[Message]:
    return lookup(ChannelType(line["channel_type"]), line["direction"], line["id"])


def body_of(line: Line) -> bytes:
    return bytes.fromhex(line["body"])


def canonical_of(line: Line) -> bytes:
    """What building the line's fields gives."""
    return bytes.fromhex(line.get("canonical_body", line["body"]))


def in_hex(value: Any) -> Any:
    """Fields as the lines have them: bytes in hex, sequences as lists."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {name: in_hex(item) for name, item in value.items()}
    return [in_hex(item) for item in value] if isinstance(value, list | tuple) else value
