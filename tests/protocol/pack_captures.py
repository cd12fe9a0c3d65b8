"""Packs recorded sessions into the archive that the tests read: ``python pack_captures.py FOLDER``.

The folder has ``0.15.1/SESSION/NNN.{c2s,s2c}.bin`` and ``old-peers/SESSION/conn-*.{c2s,s2c}.bin``. The latter's
recorder wrote a ``summary.json`` with every message it saw; how many there are is taken from that.
"""

from __future__ import annotations

import collections
import io
import json
import lzma
import struct
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import captures

#: Streams whose payloads, random to a packer, would be most of the archive: bodies are zero after their first bytes.
BLANKED = (
    "0.15.1/qemu__spice-gtk-0.42__jpeg/002.s2c.bin",
    "0.15.1/xspice__spice-gtk-0.42__playback/002.s2c.bin",
)
KEPT_OF_A_BODY = 128  # covers all of a DRAW_COPY but its picture's data

MINI = struct.Struct("<HI")
FULL = struct.Struct("<QHII")


def bodies(data: bytes, mini: bool) -> Iterator[tuple[int, int, int]]:
    """Message id, and start and end of its body, for every message."""
    header = MINI if mini else FULL
    start = 0
    while start < len(data):
        kind, size = header.unpack_from(data, start)[-2 if mini else 1 :][:2]
        start += header.size
        yield kind, start, start + size
        start += size
    assert start == len(data), "a stream ends inside a message"


def count(data: bytes | None, mini: bool) -> dict[str, int] | None:
    if data is None:
        return None
    found = collections.Counter(str(kind) for kind, _, _ in bodies(data, mini))
    return dict(sorted(found.items(), key=lambda item: int(item[0])))


def summaries(folder: Path) -> dict[str, dict[str, dict[str, int]]]:
    """What the recorder of the old peers counted: connection, then direction, then id."""
    file = folder / "summary.json"
    if not file.exists():
        return {}
    found: dict[str, dict[str, dict[str, int]]] = {}
    for row in json.loads(file.read_text())["connections"]:
        counters = {"c2s": collections.Counter(), "s2c": collections.Counter()}
        for direction, kind, *_ in row["messages"]:
            counters[direction][kind] += 1
        found[row["file"]] = {
            direction: {str(kind): number for kind, number in sorted(counter.items())}
            for direction, counter in counters.items()
        }
    return found


def main(source: Path) -> None:
    lines = []
    packed: dict[str, bytes] = {}
    for folder in sorted(path for group in ("0.15.1", "old-peers") for path in (source / group).iterdir()):
        if not folder.is_dir():
            continue
        session = folder.relative_to(source).as_posix()
        recorded = summaries(folder)
        for file in sorted(folder.glob("*.c2s.bin")):
            name = file.name.removesuffix(".c2s.bin")
            other = file.with_name(f"{name}.s2c.bin")
            data = {"c2s": file.read_bytes(), "s2c": other.read_bytes() if other.exists() else None}
            found = captures.connection(data["c2s"], data["s2c"])
            counts = {}
            for direction, messages in (("c2s", found.client), ("s2c", found.server)):
                if found.end == "encrypted":
                    assert messages is not None
                    data[direction] = data[direction][: -len(messages)]
                    messages = b""
                counts[direction] = count(messages if found.end == "linked" else b"", found.mini)
                if messages is None:
                    counts[direction] = None
                elif recorded:
                    counts[direction] = recorded[name][direction]
            lines.append(captures.Expected(session, name, found.end, counts["s2c"], counts["c2s"])._asdict())
            for direction, stream in data.items():
                path = f"{session}/{name}.{direction}.bin"
                if stream is None:
                    continue
                if path in BLANKED:
                    start = len(stream) - len(found.server or b"")
                    blank = bytearray(stream)
                    for _, first, last in bodies(stream[start:], found.mini):
                        first = min(first + KEPT_OF_A_BODY, last)
                        blank[start + first : start + last] = bytes(last - first)
                    stream = bytes(blank)
                packed[path] = stream

    captures.DATA.mkdir(exist_ok=True)
    captures.DATA.joinpath("sessions.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with (
        lzma.open(captures.ARCHIVE, "wb", preset=9 | lzma.PRESET_EXTREME) as compressed,
        tarfile.open(fileobj=compressed, mode="w") as archive,
    ):
        for path, stream in packed.items():
            member = tarfile.TarInfo(path)
            member.size = len(stream)
            archive.addfile(member, io.BytesIO(stream))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
