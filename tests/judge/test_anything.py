"""No bytes make the judge raise, or take long, or remember without end."""

from __future__ import annotations

import struct
import time

import pytest
from hypothesis import example, given, settings, strategies as st

from spiceemu.errors import InvalidValue
from spiceemu.judge import memory, session
from spiceemu.judge.connection import MAX_EARLY, ConnectionJudge
from spiceemu.judge.finding import Finding, Kind
from spiceemu.judge.session import Sessions, SessionState
from spiceemu.judge.stream import StreamJudge
from spiceemu.protocol.levels.level import LEVELS, level_of

from .edited import Edited
from .recorded import CLIENT, judged

SESSIONS = (
    "0.15.1/qemu__spice-gtk-0.42__password-right",
    "0.15.1/xspice__spice-gtk-0.42__agent-clipboard-file",
    "0.15.1/qemu__migration-semi-target",
    "old-peers/server-0.8__spicec-0.8__video-mjpeg",
)
SHORT = {name: [part for part in Edited(name).parts if len(part.data) < 4096] for name in SESSIONS}

SLOWEST = 5.0
"""Seconds for what takes hundredths."""

levels = st.sampled_from(sorted(LEVELS)).map(level_of)
pieces = st.lists(st.tuples(st.booleans(), st.binary(max_size=300)), max_size=20)


@given(levels, pieces)
@example(level_of("0.15.1"), [(True, b"REDQ"), (False, b"REDQ" + bytes(200))])
def test_any_bytes(level: object, pieces: list[tuple[bool, bytes]]) -> None:
    judge = ConnectionJudge(level)  # type: ignore[arg-type]
    for from_client, data in pieces:
        found = (judge.client_data if from_client else judge.server_data)(data)
        assert all(isinstance(finding, Finding) and str(finding) for finding in found)
    judge.finish()


@settings(max_examples=60)
@given(st.data(), levels, st.sampled_from(SESSIONS))
def test_any_change_of_a_recording(data: st.DataObject, level: object, name: str) -> None:
    parts = list(SHORT[name])
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(parts) - 1))
        match data.draw(st.sampled_from(["drop", "swap", "repeat", "bytes", "cut"])):
            case "drop":
                del parts[at]
            case "swap":
                parts.insert(data.draw(st.integers(0, len(parts) - 1)), parts.pop(at))
            case "repeat":
                parts.insert(at, parts[at])
            case "bytes":
                where = data.draw(st.integers(0, len(parts[at].data)))
                new = data.draw(st.binary(min_size=1, max_size=8))
                changed = parts[at].data[:where] + new + parts[at].data[where + len(new) :]
                parts[at] = parts[at]._replace(data=changed)
            case "cut":
                parts[at] = parts[at]._replace(data=parts[at].data[: data.draw(st.integers(0, 20))])
    start = time.monotonic()
    for finding in judged(parts, level):  # type: ignore[arg-type]
        assert finding.explanation.startswith(finding.name) or finding.kind in (Kind.MALFORMED, Kind.MESSAGE)
        assert finding.offset >= 0
    assert time.monotonic() - start < SLOWEST


def linked(name: str, connection: str) -> tuple[StreamJudge, ConnectionJudge]:
    """A judge that has heard a connection's link."""
    judge = StreamJudge("0.15.1")
    one = judge.connection(connection)
    for part in Edited(name).parts:
        if part.connection == connection and part.data.startswith(b"REDQ"):
            (one.client_data if part.direction == CLIENT else one.server_data)(part.data)
    return judge, one


def test_what_is_remembered_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MAX_REMEMBERED", 100)
    ids = memory.Remembered()
    for number in range(100):
        ids.add(number)
    assert 99 in ids
    assert 100 not in ids
    ids.add(100)
    assert 1 << 40 in ids  # forgotten, and taken as possible from now on
    assert not ids.was_added(5)
    for number in range(101):
        ids.discard(number)
    assert 5 in ids  # what is gone is not remembered for ever either
    ids.clear()
    assert 5 not in ids


def test_sessions_are_found_by_their_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = Sessions()
    moved = sessions.of_main(7)  # the target of a migration
    assert sessions.of_channel(7) is moved
    assert sessions.of_channel(8) is None
    new = sessions.of_main(0)
    sessions.name(9, new)
    assert sessions.of_channel(9) is new
    assert sessions.of_channel(8) is None
    sessions.of_main(0)  # of this one nobody knows the id
    unknown = sessions.of_channel(8)
    assert unknown is not None
    assert not unknown.whole
    monkeypatch.setattr(session, "MAX_SESSIONS", 3)
    sessions.name(10, SessionState())
    assert sessions.of_channel(7) is not moved  # forgotten


def test_a_client_that_is_never_answered_is_dropped() -> None:
    judge = ConnectionJudge(level_of("0.15.1"))
    for part in Edited("old-peers/server-0.8__spicec-0.8").parts:
        if part[:2] == ("conn-01-main0", CLIENT) and part.data.startswith(b"REDQ"):
            assert judge.client_data(part.data) == []
    assert judge.client_data(bytes(MAX_EARLY - 1000)) == []
    (finding,) = judge.client_data(bytes(2000))
    assert (finding.kind, finding.direction) == (Kind.MALFORMED, "client")
    assert "MAX_EARLY" in finding.explanation
    assert judge.client_data(bytes(2000)) == judge.finish() == []


def test_what_all_connections_hold_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each could be within its own limit, and there are many."""
    monkeypatch.setattr(memory, "MAX_HELD", 100_000)
    judge = StreamJudge("0.15.1")
    link = b"REDQ" + struct.pack("<3I IBBIII I", 2, 2, 22, 0, 1, 0, 1, 0, 18, 1)
    for _ in range(3):  # what ends or becomes whole counts no longer
        ended = judge.connection("ended")
        assert ended.client_data(link + bytes(60_000)) == []
        assert judge.end(ended) == []
    first, second = judge.connection("first"), judge.connection("second")
    assert first.client_data(link + bytes(60_000)) == []
    (finding,) = second.client_data(link + bytes(60_000))
    assert (finding.connection, finding.kind) == ("second", Kind.MALFORMED)
    assert "MAX_HELD" in finding.explanation
    assert second.client_data(bytes(60_000)) == []
    assert first.client_data(bytes(30_000)) == []  # it has the room


def test_large_bodies_in_small_pieces_take_no_longer() -> None:
    _, one = linked(SESSIONS[0], "002")
    size = 1 << 22
    one.server_data(struct.pack("<HI", 4, size))
    start = time.monotonic()
    for _ in range(0, size, 1024):
        one.server_data(bytes(1024))
    assert time.monotonic() - start < SLOWEST
    assert one.messages == 1


def test_a_level_is_named_as_for_a_server() -> None:
    assert StreamJudge("0.8.3").level is level_of("0.8.3")
    with pytest.raises(InvalidValue, match="no compat level '9'"):
        StreamJudge("9")
