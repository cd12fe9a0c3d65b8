"""Recordings: what is written is read, broken-off ones up to there, and nothing else is taken for one."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from spiceemu.errors import InvalidValue, MalformedRecording, WrongState
from spiceemu.recordings import recording
from spiceemu.recordings.recording import (
    BLOCK,
    BLOCK_SIZE,
    DATA_SIZE,
    MAGIC,
    MAX_BLOCK,
    MAX_CONNECTIONS,
    MAX_DATA,
    MAX_OPEN,
    MAX_STORED,
    MAX_TEXT,
    MAX_TIME,
    RECORD,
    About,
    ClientBytes,
    Closed,
    End,
    Opened,
    Record,
    RecordingReader,
    RecordingWriter,
    ServerBytes,
    read_recording,
)

ABOUT = About("spiceemu 1.2.3", "server.example:5900", 1_700_000_000_000_000)
FIRST_LINE = b"spiceemu recording 1\n"

SESSION: list[Record] = [
    Opened(1, 5, "127.0.0.1:40000"),
    ClientBytes(1, 10, b"REDQ"),
    Opened(2, 15, "unix", secure=True),
    ServerBytes(1, 20, b"REDQ" * 30),
    ClientBytes(2, 25, b"\0\xff"),
    Closed(2, 30, "the client broke off: Connection reset by peer"),
    ClientBytes(1, 35, b""),
    Closed(1, 40),
    End(50),
]


def written(records: list[Record], about: About = ABOUT, *, flush_each: bool = False) -> bytes:
    file = io.BytesIO()
    writer = RecordingWriter(file, about)
    for record in records:
        writer.write(record)
        if flush_each:
            writer.flush()
    writer.flush()
    assert writer.size == len(file.getvalue())
    return file.getvalue()


def read(data: bytes) -> tuple[About, list[Record], bool]:
    reader = RecordingReader(io.BytesIO(data))
    records = list(reader)
    return reader.about, records, reader.complete


# Round trips

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)
times = st.integers(0, MAX_TIME)


@st.composite
def sessions(draw: st.DrawFn) -> list[Record]:
    records: list[Record] = []
    count, still_open = 0, []
    for _ in range(draw(st.integers(0, 12))):
        what = draw(st.sampled_from(["open", "client", "server", "close"]))
        if what == "open":
            count += 1
            still_open.append(count)
            records.append(Opened(count, draw(times), draw(texts), draw(st.booleans())))
        elif still_open:
            number = draw(st.sampled_from(still_open))
            if what == "close":
                still_open.remove(number)
                records.append(Closed(number, draw(times), draw(texts)))
            else:
                kind = ClientBytes if what == "client" else ServerBytes
                records.append(kind(number, draw(times), draw(st.binary(max_size=300))))
    return records


@given(sessions(), st.builds(About, texts, texts, times), st.booleans(), st.booleans())
def test_what_is_written_is_read(records: list[Record], about: About, ended: bool, flush_each: bool) -> None:
    if ended:
        records = [*records, End(7)]
    assert read(written(records, about, flush_each=flush_each)) == (about, records, ended)


def test_large_sessions_take_many_blocks_and_are_read() -> None:
    records: list[Record] = [Opened(1, 0, "unix")]
    records += [ServerBytes(1, number, bytes([number % 256]) * BLOCK_SIZE) for number in range(40)]
    records.append(ClientBytes(1, 41, bytes(MAX_DATA)))
    data = written([*records, End(42)])
    assert len(data) < 40 * BLOCK_SIZE // 100
    assert read(data) == (ABOUT, [*records, End(42)], True)


def test_a_file_as_it_is_documented() -> None:
    """By hand, from docs/recording.md alone."""
    about = b"\0" + bytes(4) + bytes(8) + (99).to_bytes(8, "little") + b"\x02\0me" + b"\x04\0h:12"
    opened = b"\x01" + b"\x01\0\0\0" + b"\x05" + bytes(7) + b"\x01" + b"\x03\0you"
    sent = b"\x02" + b"\x01\0\0\0" + b"\x06" + bytes(7) + b"\x02\0\0\0hi"
    answered = b"\x03" + b"\x01\0\0\0" + b"\x07" + bytes(7) + b"\x01\0\0\0!"
    closed = b"\x04" + b"\x01\0\0\0" + b"\x08" + bytes(7) + b"\x03\0why"
    end = b"\x05" + b"\0\0\0\0" + b"\x09" + bytes(7)
    data = b"spiceemu recording 1\n"
    for records in (about + opened + sent, answered + closed + end):
        stored = zlib.compress(records)
        data += len(stored).to_bytes(4, "little") + len(records).to_bytes(4, "little") + stored
    expected: list[Record] = [
        *(Opened(1, 5, "you", True), ClientBytes(1, 6, b"hi"), ServerBytes(1, 7, b"!"), Closed(1, 8, "why"), End(9)),
    ]
    assert read(data) == (About("me", "h:12", 99), expected, True)


def test_connections_of_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "session.rec"
    path.write_bytes(written(SESSION))
    for source in (path, str(path), io.BytesIO(written(SESSION))):
        found = read_recording(source)
        assert (found.about, found.complete) == (ABOUT, True)
        assert found.pieces == [record for record in SESSION if isinstance(record, ClientBytes | ServerBytes)]
        first, second = found.connections
        assert (first.number, first.opened, first.closed) == (1, SESSION[0], Closed(1, 40))
        assert (first.client, first.server) == (b"REDQ", b"REDQ" * 30)
        assert [piece.time for piece in first.pieces] == [10, 20, 35]
        assert (second.client, second.server, second.opened.secure) == (b"\0\xff", b"", True)


# Broken off


def test_a_recording_broken_off_anywhere_gives_what_is_there() -> None:
    """At every byte: one clear error before the first block is there, then whole records, never anything else."""
    whole = written(SESSION, flush_each=True)
    refused, counts = 0, []
    for size in range(len(whole)):
        try:
            about, records, complete = read(whole[:size])
        except MalformedRecording:
            assert not counts, "an error behind records that could be read"
            refused += 1
            continue
        assert about == ABOUT
        assert records == SESSION[: len(records)]
        assert not complete
        counts.append(len(records))
    assert refused > len(FIRST_LINE)
    assert counts == sorted(counts)
    assert set(counts) == set(range(len(SESSION)))


def test_a_writer_that_is_killed_leaves_all_that_was_flushed() -> None:
    file = io.BytesIO()
    writer = RecordingWriter(file, ABOUT)
    assert read(file.getvalue()) == (ABOUT, [], False)
    for record in SESSION[:4]:
        writer.write(record)
    assert read(file.getvalue()) == (ABOUT, [], False)
    writer.flush()
    writer.write(SESSION[4])
    assert read(file.getvalue()) == (ABOUT, SESSION[:4], False)


def test_connections_of_a_recording_broken_off() -> None:
    found = read_recording(io.BytesIO(written(SESSION[:5])))
    assert not found.complete
    assert [connection.closed for connection in found.connections] == [None, None]


# What is no recording


def refused(data: bytes, *texts: str) -> None:
    with pytest.raises(MalformedRecording) as raised:
        read(data)
    assert [text for text in texts if text not in str(raised.value)] == []


def block(records: bytes, size: int | None = None) -> bytes:
    stored = zlib.compress(records)
    return BLOCK.pack(len(stored), len(records) if size is None else size) + stored


HEAD = written([])


@pytest.mark.parametrize("data", [b"", b"REDQ", b"spiceemu recorder 1\n", bytes(100), FIRST_LINE[1:]])
def test_another_file(data: bytes) -> None:
    refused(data, "recording: is no recording of spiceemu")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"2\n", "has version 2, this program reads version 1"),
        (b"01\n", "has version 01, this program reads version 1"),
        (b"999999\n", "has version 999999"),
        (b"\n", "has version "),
        (b"1000000\n", "names no version"),
        (b"1", "names no version"),
        (b"-1\n", "names no version"),
    ],
)
def test_another_version(line: bytes, text: str) -> None:
    refused(MAGIC + line + HEAD[len(FIRST_LINE) :], text)


def test_a_first_record_that_is_not_about_the_recording() -> None:
    refused(FIRST_LINE + block(RECORD.pack(5, 0, 0)), "first record is of kind 5")


@pytest.mark.parametrize(
    ("records", "text"),
    [
        (RECORD.pack(9, 1, 0), "a record of kind 9 for connection 1, which is not open"),
        (RECORD.pack(1, 1, 0) + b"\0\0\0" + RECORD.pack(9, 1, 0), "a record of kind 9, which is not known"),
        (RECORD.pack(1, 2, 0) + b"\0\0\0", "connection 2 is opened as the 1."),
        (RECORD.pack(1, 0, 0) + b"\0\0\0", "connection 0"),
        (RECORD.pack(2, 1, 0) + b"\0\0\0\0", "not open"),
        (RECORD.pack(1, 1, 0) + b"\0\0\0" + RECORD.pack(4, 1, 0) + b"\0\0" + RECORD.pack(4, 1, 0), "not open"),
        (RECORD.pack(1, 1, 0) + b"\0\0\0" + RECORD.pack(2, 1, 0) + DATA_SIZE.pack(MAX_DATA + 1), "MAX_DATA"),
        (RECORD.pack(1, 1, 0) + b"\0\0\0" + RECORD.pack(2, 1, 0) + DATA_SIZE.pack(5) + b"four", "needs 5 bytes"),
        (RECORD.pack(1, 1, 0) + b"\0" + (MAX_TEXT + 1).to_bytes(2, "little"), "MAX_TEXT"),
        (RECORD.pack(1, 1, 0) + b"\0\x02\0\xff\xff", "not UTF-8"),
        (RECORD.pack(5, 0, 0)[:5], "needs 13 bytes"),
        (RECORD.pack(5, 0, 0) * 2, "something is behind its end"),
    ],
)
def test_records_that_cannot_be(records: bytes, text: str) -> None:
    refused(HEAD + block(records), "recording at offset", text)


def test_something_behind_the_end() -> None:
    refused(written(SESSION) + b"x", "something is behind its end")
    refused(written(SESSION) + block(RECORD.pack(5, 0, 0)), "something is behind its end")


def test_damage_is_noticed() -> None:
    whole = written(SESSION)
    for at in range(len(HEAD) + BLOCK.size, len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        refused(bytes(damaged), "recording at offset")


@pytest.mark.parametrize(
    "made",
    [
        block(bytes(MAX_BLOCK + 1)),
        block(bytes(1 << 26), size=MAX_BLOCK),
        block(bytes(1 << 26), size=0),
        block(bytes(100), size=101),
        BLOCK.pack(MAX_STORED + 1, 1),
        BLOCK.pack(len(zlib.compress(b"x")) + 1, 1) + zlib.compress(b"x") + b"y",
    ],
)
def test_a_block_is_not_decompressed_beyond_its_limit(made: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    given_limits: list[int] = []
    real = zlib.decompressobj

    class Watched:
        """A decompressor that notes what it is allowed to give."""

        def __init__(self) -> None:
            self._real = real()

        def decompress(self, data: bytes, limit: int) -> bytes:
            given_limits.append(limit)
            return self._real.decompress(data, limit)

        def __getattr__(self, name: str) -> object:
            return getattr(self._real, name)

    monkeypatch.setattr(recording.zlib, "decompressobj", Watched)
    refused(HEAD + made, "a block")
    assert all(0 < limit <= MAX_BLOCK + 1 for limit in given_limits)


def test_a_whole_recording_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MAX_TOTAL", 10_000)
    empty: list[Record] = [Opened(1, 0, "unix"), *(ClientBytes(1, 0, b"") for _ in range(1000))]
    for records in (SESSION, [Opened(1, 0, "unix"), ClientBytes(1, 0, bytes(10_000))], empty):
        file = io.BytesIO(written(records))
        if records is SESSION:
            read_recording(file)
        else:
            with pytest.raises(MalformedRecording, match="MAX_TOTAL"):
                read_recording(file)


@given(st.binary(max_size=400), st.sampled_from([b"", FIRST_LINE, HEAD]))
def test_garbage_is_refused_or_broken_off(data: bytes, start: bytes) -> None:
    try:
        _, records, complete = read(start + data)
    except MalformedRecording:
        return
    assert start == HEAD
    assert (records, complete) == ([], False)


@given(st.binary(max_size=400))
def test_garbage_that_decompresses_is_refused_or_a_recording(records: bytes) -> None:
    try:
        read(HEAD + block(records))
    except MalformedRecording:
        return


def test_connections_open_at_a_time() -> None:
    file = io.BytesIO()
    writer = RecordingWriter(file, ABOUT)
    for number in range(1, MAX_OPEN + 1):
        writer.write(Opened(number, 0, "unix"))
    writer.write(Closed(7, 0))
    writer.write(Opened(MAX_OPEN + 1, 0, "unix"))
    writer.flush()
    read(file.getvalue())
    writer.write(Opened(MAX_OPEN + 2, 0, "unix"))
    writer.write(End(0))
    with pytest.raises(MalformedRecording, match="over 1024 connections are open at a time"):
        read(file.getvalue())


# What cannot be written


@pytest.mark.parametrize(
    ("record", "text"),
    [
        (Opened(1, 0, "x" * (MAX_TEXT + 1)), "MAX_TEXT"),
        (Opened(0, 0, "unix"), "connection 0"),
        (Opened(MAX_CONNECTIONS + 1, 0, "unix"), "MAX_CONNECTIONS"),
        (ClientBytes(1, 0, bytes(MAX_DATA + 1)), "MAX_DATA"),
        (ServerBytes(1, -1, b""), "time -1"),
        (End(MAX_TIME + 1), "MAX_TIME"),
    ],
)
def test_what_the_format_cannot_hold(record: Record, text: str) -> None:
    file = io.BytesIO()
    writer = RecordingWriter(file, ABOUT)
    with pytest.raises(InvalidValue, match=text):
        writer.write(record)
    writer.write(End(0))
    assert read(file.getvalue()) == (ABOUT, [End(0)], True)


def test_nothing_is_written_behind_the_end() -> None:
    writer = RecordingWriter(io.BytesIO(), ABOUT)
    writer.write(End(1))
    with pytest.raises(WrongState):
        writer.write(Opened(1, 2, "unix"))


def test_text_that_is_no_unicode_is_written_all_the_same() -> None:
    file = io.BytesIO()
    RecordingWriter(file, About("", "\udcff", 0))
    assert read(file.getvalue())[0].server == "\\udcff"
