"""Made-up inputs: valid ones, changed in a few places."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from spiceemu.protocol.agent import messages as agent
from spiceemu.protocol.agent.enums import AgentType, ClipboardType
from spiceemu.protocol.agent.message import AgentMessage

#: Numbers at which readers go wrong; negative ones count from the input's length.
NUMBERS = (0, 1, 2, 4, 8, 0xFF, 0x100, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF, -1, -2, -4)

KINDS = ("byte", "u16", "u32", "u64", "cut", "drop", "double", "zero", "insert", "splice", "count", "pointer")


class Change(NamedTuple):
    """What is done, where (0 is the input's start, 1 its end), and with what number."""

    what: str
    where: float
    number: int


CHANGE = struct.Struct("<BHBI")


def _changes(noise: bytes) -> list[Change]:
    made = []
    for start in range(0, len(noise) - CHANGE.size + 1, CHANGE.size):
        kind, where, known, number = CHANGE.unpack_from(noise, start)
        made.append(
            Change(
                KINDS[kind % len(KINDS)], where / 0xFFFF, number if known & 1 else NUMBERS[known // 2 % len(NUMBERS)]
            )
        )
    return made


#: Drawn as one piece of noise, which takes hypothesis a tenth of the time that so many numbers would.
CHANGES = st.binary(min_size=CHANGE.size, max_size=5 * CHANGE.size).map(_changes)


def changed(data: bytes, changes: Sequence[Change], others: Sequence[bytes] = (b"",)) -> bytes:
    """The input with some changes made, one after the other.

    :param others: inputs of the same kind, of which ``splice`` takes the end of one.

    ``count`` and ``pointer`` write where a small number stands: any number, and one inside the input.
    """
    for what, where, number in changes:
        place = int(where * len(data))
        if number < 0:
            number = max(len(data) + number, 0)
        small = number % 64 + 1
        if what == "byte":
            data = _written(data, place, bytes([number & 0xFF]))
        elif what in ("count", "pointer"):
            place = _place_of_a_small_number(data, where)
            value = number if what == "count" else number % (len(data) + 1)
            data = _written(data, place, struct.pack("<I", value & 0xFFFFFFFF))
        elif what in ("u16", "u32", "u64"):
            layout, most = {"u16": ("<H", 0xFFFF), "u32": ("<I", 0xFFFFFFFF), "u64": ("<Q", 1 << 32)}[what]
            data = _written(data, place, struct.pack(layout, number * number if what == "u64" else number & most))
        elif what == "cut":
            data = data[:place]
        elif what == "drop":
            data = data[:place] + data[place + small :]
        elif what == "double":
            data = data[: place + small] + data[place:]
        elif what == "zero":
            data = _written(data, place, bytes(small))
        elif what == "insert":
            data = data[:place] + bytes([number & 0xFF]) * small + data[place:]
        else:
            other = others[number % len(others)]
            data = data[:place] + other[int(where * len(other)) :]
    return data


def _place_of_a_small_number(data: bytes, where: float) -> int:
    """Where a count or a pointer may stand: a u32 that is not 0 and not beyond the input's end."""
    last = max(len(data) - 4, 0)
    start = int(where * last)
    for place in (*range(start, last + 1), *range(start)):
        if 0 < int.from_bytes(data[place : place + 4], "little") <= len(data):
            return place
    return start


def _written(data: bytes, place: int, value: bytes) -> bytes:
    return data[:place] + value[: len(data) - place] + data[place + len(value) :]


def pieces(data: bytes, cuts: Sequence[float]) -> list[bytes]:
    """The input in pieces, cut at these parts of its length."""
    places = [0, *sorted(int(cut * len(data)) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


CUTS = st.binary(max_size=6).map(lambda noise: [byte / 0xFF for byte in noise])

#: One of every type.
AGENT_MESSAGES: list[AgentMessage] = [
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
