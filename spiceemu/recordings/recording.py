"""Recordings: what passed between clients and a server, as a file. ``docs/recording.md`` has the format.

This module writes and reads whatever it is given; that no password is in it is the work of
:class:`~spiceemu.recordings.recorder.Recorder`. Times are microseconds since the recording began.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import BinaryIO

from spiceemu.errors import InvalidValue, MalformedRecording, WrongState

MAGIC = b"spiceemu recording "
VERSION = 1
MAX_VERSION_DIGITS = 6

MAX_TEXT = 1024
"""Bytes of a text, such as an address."""

MAX_DATA = 1 << 20
"""Bytes in one record; the relay passes on far fewer at a time."""

BLOCK_SIZE = 1 << 16
"""Bytes of records from which on the writer makes a block of them."""

MAX_BLOCK = 1 << 21
"""Bytes of the records of one block: those that were not enough for one, and the largest record."""

MAX_STORED = MAX_BLOCK + (1 << 12)
"""Bytes that a block takes in the file; what cannot be compressed grows by less than a thousandth."""

MAX_CONNECTIONS = 1 << 16
"""Connections in one recording."""

MAX_OPEN = 1024
"""Connections open at a time; the relay has at most a quarter of them."""

MAX_TIME = (1 << 64) - 1
"""Microseconds."""

MAX_TOTAL = 1 << 30
"""Bytes of all connections together that :func:`read_recording` takes into memory."""

PIECE_COST = 128
"""What a piece counts besides its bytes: about the memory that an empty one takes."""

BLOCK = Struct("<II")
RECORD = Struct("<BIQ")
STARTED = Struct("<Q")
SECURE = Struct("<B")
TEXT_SIZE = Struct("<H")
DATA_SIZE = Struct("<I")


@dataclass(frozen=True, slots=True)
class About:
    """What a recording is of. It is its first record.

    :param program: who wrote it, with its version.
    :param server: the server's address, as its user gave it.
    :param started: when, in microseconds since 1970 began in UTC.
    """

    program: str
    server: str
    started: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A client connected.

    :param connection: its number; they count from 1.
    :param client: the client's address and port, or ``unix``.
    :param secure: whether the client came over TLS.
    """

    connection: int
    time: int
    client: str
    secure: bool = False


@dataclass(frozen=True, slots=True)
class ClientBytes:
    """Bytes that the client sent."""

    connection: int
    time: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ServerBytes:
    """Bytes that the server sent."""

    connection: int
    time: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Closed:
    """A connection ended; ``reason`` is empty where both sides just closed it."""

    connection: int
    time: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class End:
    """The recording was ended, not broken off."""

    time: int


Piece = ClientBytes | ServerBytes
Record = Opened | ClientBytes | ServerBytes | Closed | End

ABOUT, OPENED, CLIENT, SERVER, CLOSED, END = range(6)


class RecordingWriter:
    """Writes a recording into a file that is open for writing bytes; it is the caller's to close.

    Records reach the file in blocks. A block that is there can be read, whatever becomes of the writer.
    """

    def __init__(self, file: BinaryIO, about: About) -> None:
        self.size = 0
        """Bytes written to the file."""
        self._file = file
        self._block = bytearray()
        self._ended = False
        self._store(MAGIC + b"%d\n" % VERSION)
        self._block += RECORD.pack(ABOUT, 0, 0) + STARTED.pack(about.started)
        self._block += _text(about.program) + _text(about.server)
        self.flush()

    def write(self, record: Record) -> None:
        """Add a record.

        :raises InvalidValue: a text, the data or a number is larger than the format holds.
        :raises WrongState: behind an :class:`End`.
        """
        if self._ended:
            raise WrongState("this recording has been ended")
        self._block += _packed(record)
        if isinstance(record, End):
            self._ended = True
            self.flush()
        elif len(self._block) >= BLOCK_SIZE:
            self.flush()

    def flush(self) -> None:
        """Put what is there into the file, so that it can be read."""
        if self._block:
            stored = zlib.compress(self._block)
            self._store(BLOCK.pack(len(stored), len(self._block)) + stored)
            self._block.clear()
        self._file.flush()

    def _store(self, data: bytes) -> None:
        self._file.write(data)
        self.size += len(data)


def _packed(record: Record) -> bytes:
    match record:
        case Opened(connection, time, client, secure):
            return _head(OPENED, connection, time) + SECURE.pack(secure) + _text(client)
        case ClientBytes(connection, time, data):
            return _head(CLIENT, connection, time) + _data(data)
        case ServerBytes(connection, time, data):
            return _head(SERVER, connection, time) + _data(data)
        case Closed(connection, time, reason):
            return _head(CLOSED, connection, time) + _text(reason)
        case End(time):
            return _head(END, 0, time)


def _head(kind: int, connection: int, time: int) -> bytes:
    if not (kind == END or 1 <= connection <= MAX_CONNECTIONS):
        raise InvalidValue(f"recording: connection {connection} is not within 1 and MAX_CONNECTIONS {MAX_CONNECTIONS}")
    if not 0 <= time <= MAX_TIME:
        raise InvalidValue(f"recording: time {time} is not within 0 and MAX_TIME {MAX_TIME}")
    return RECORD.pack(kind, connection, time)


def _text(text: str) -> bytes:
    encoded = text.encode("utf-8", "backslashreplace")
    if len(encoded) > MAX_TEXT:
        raise InvalidValue(f"recording: a text of {len(encoded)} bytes, the limit is {MAX_TEXT} (MAX_TEXT)")
    return TEXT_SIZE.pack(len(encoded)) + encoded


def _data(data: bytes) -> bytes:
    if len(data) > MAX_DATA:
        raise InvalidValue(f"recording: {len(data)} bytes in one record, the limit is {MAX_DATA} (MAX_DATA)")
    return DATA_SIZE.pack(len(data)) + data


class RecordingReader:
    """Reads a recording as it was written: :attr:`about`, then the records by iterating, once.

    A recording that was broken off gives all records of its whole blocks; :attr:`complete` tells the difference.

    :param file: open for reading bytes; the caller closes it.
    :param name: what errors call it.
    :raises MalformedRecording: this is no recording, or one of a newer version; while iterating: it is damaged.
    """

    def __init__(self, file: BinaryIO, name: str = "recording") -> None:
        self.name = name
        self.complete = False
        """Whether the end was read."""
        self._file = file
        self._offset = 0
        self._connections = 0
        self._open: set[int] = set()
        self._read_version()
        block = self._read_block()
        if block is None:
            raise self._malformed("it ends before its first block does")
        self._block = _Block(block, self._malformed)
        kind, _, _ = self._block.unpack(RECORD)
        if kind != ABOUT:
            raise self._malformed(f"its first record is of kind {kind}")
        (started,) = self._block.unpack(STARTED)
        self.about = About(self._block.text(), self._block.text(), started)

    def __iter__(self) -> Iterator[Record]:
        while True:
            while self._block.left:
                if self.complete:
                    raise self._malformed("something is behind its end")
                yield self._read_record()
            block = self._read_block()
            if block is None:
                return
            self._block = _Block(block, self._malformed)

    def _malformed(self, reason: str) -> MalformedRecording:
        return MalformedRecording(f"{self.name} at offset {self._offset}: {reason}")

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        self._offset += len(data)
        return data

    def _read_version(self) -> None:
        if self._read(len(MAGIC)) != MAGIC:
            raise MalformedRecording(f"{self.name}: is no recording of spiceemu")
        digits = b""
        while (digit := self._read(1)) != b"\n":
            digits += digit
            if not digit.isdigit() or len(digits) > MAX_VERSION_DIGITS:
                raise self._malformed("its first line names no version")
        if digits != b"%d" % VERSION:  # 01 is none that a writer puts there
            raise MalformedRecording(
                f"{self.name}: has version {digits.decode()}, this program reads version {VERSION}"
            )

    def _read_block(self) -> bytes | None:
        """The next block's records; None if it is not there, or not all of it."""
        head = self._read(BLOCK.size)
        if head and self.complete:
            raise self._malformed("something is behind its end")
        if len(head) < BLOCK.size:
            return None
        stored_size, size = BLOCK.unpack(head)
        if stored_size > MAX_STORED or size > MAX_BLOCK:
            limits = f"MAX_STORED {MAX_STORED} and MAX_BLOCK {MAX_BLOCK}"
            raise self._malformed(f"a block of {stored_size} bytes that holds {size}; the limits are {limits}")
        stored = self._read(stored_size)
        if len(stored) < stored_size:
            return None
        unpacker = zlib.decompressobj()
        try:
            block = unpacker.decompress(stored, size + 1)  # one more, as 0 would be no limit
        except zlib.error as error:
            raise self._malformed(f"a block that cannot be decompressed: {error}") from None
        if len(block) != size or not unpacker.eof or unpacker.unused_data:
            raise self._malformed(f"a block that does not hold the {size} bytes it announces")
        return block

    def _read_record(self) -> Record:
        block = self._block
        kind, connection, time = block.unpack(RECORD)
        if kind == END:
            self.complete = True
            return End(time)
        if kind == OPENED:
            self._connections += 1
            if connection != self._connections or connection > MAX_CONNECTIONS:
                raise self._malformed(
                    f"connection {connection} is opened as the {self._connections}., at most {MAX_CONNECTIONS} may be"
                    " (MAX_CONNECTIONS)"
                )
            self._open.add(connection)
            if len(self._open) > MAX_OPEN:
                raise self._malformed(f"over {MAX_OPEN} connections are open at a time (MAX_OPEN)")
            (secure,) = block.unpack(SECURE)
            return Opened(connection, time, block.text(), bool(secure))
        if connection not in self._open:
            raise self._malformed(f"a record of kind {kind} for connection {connection}, which is not open")
        if kind == CLIENT:
            return ClientBytes(connection, time, block.data())
        if kind == SERVER:
            return ServerBytes(connection, time, block.data())
        if kind == CLOSED:
            self._open.discard(connection)
            return Closed(connection, time, block.text())
        raise self._malformed(f"a record of kind {kind}, which is not known")


class _Block:
    """Takes records off a block."""

    def __init__(self, data: bytes, malformed: Callable[[str], MalformedRecording]) -> None:
        self._data = data
        self._at = 0
        self._malformed = malformed

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def unpack(self, layout: Struct) -> tuple[int, ...]:
        return layout.unpack(self._take(layout.size))

    def text(self) -> str:
        (size,) = self.unpack(TEXT_SIZE)
        if size > MAX_TEXT:
            raise self._malformed(f"a text of {size} bytes, the limit is {MAX_TEXT} (MAX_TEXT)")
        try:
            return self._take(size).decode()
        except UnicodeDecodeError as error:
            raise self._malformed(f"a text that is not UTF-8: {error.reason}") from None

    def data(self) -> bytes:
        (size,) = self.unpack(DATA_SIZE)
        if size > MAX_DATA:
            raise self._malformed(f"{size} bytes in one record, the limit is {MAX_DATA} (MAX_DATA)")
        return self._take(size)

    def _take(self, size: int) -> bytes:
        if size > self.left:
            raise self._malformed(f"a record needs {size} bytes, its block has {self.left} left")
        start = self._at
        self._at += size
        return self._data[start : self._at]


@dataclass(slots=True)
class RecordedConnection:
    """One connection of a recording.

    :ivar pieces: what both sides sent, in the order of arrival.
    :ivar closed: None if the recording ends before the connection does.
    """

    opened: Opened
    pieces: list[Piece] = field(default_factory=list)
    closed: Closed | None = None

    @property
    def number(self) -> int:
        """The connection's number, from 1."""
        return self.opened.connection

    @property
    def client(self) -> bytes:
        """All that the client sent."""
        return b"".join(piece.data for piece in self.pieces if isinstance(piece, ClientBytes))

    @property
    def server(self) -> bytes:
        """All that the server sent."""
        return b"".join(piece.data for piece in self.pieces if isinstance(piece, ServerBytes))


@dataclass(slots=True)
class Recording:
    """A whole recording.

    :ivar pieces: what all sides sent, in the order of arrival.
    :ivar connections: the same, connection by connection.
    :ivar complete: whether it was ended, not broken off.
    """

    about: About
    pieces: list[Piece]
    connections: list[RecordedConnection]
    complete: bool


def read_recording(source: str | os.PathLike[str] | BinaryIO) -> Recording:
    """Read a recording, by its path or from an open file, into memory; :class:`RecordingReader` reads any length.

    ::

        for piece in read_recording("session.rec").pieces:
            print(piece.time, piece.connection, isinstance(piece, ClientBytes), piece.data)

    :param source: where it is; an open file is the caller's to close.
    :returns: what it is of, its connections, and all that passed on them and when.
    :raises MalformedRecording: it is none, is damaged, or holds more than ``MAX_TOTAL``.
    :raises OSError: the file cannot be read.
    """
    if isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:  # noqa: PTH123 - as far as a path knows, it could be a pipe
            return _collect(RecordingReader(file, os.fspath(source)))
    return _collect(RecordingReader(source))


def _collect(reader: RecordingReader) -> Recording:
    pieces: list[Piece] = []
    connections: list[RecordedConnection] = []
    total = 0
    for record in reader:
        match record:
            case Opened():
                connections.append(RecordedConnection(record))
            case ClientBytes() | ServerBytes():
                total += PIECE_COST + len(record.data)
                if total > MAX_TOTAL:
                    raise MalformedRecording(f"{reader.name}: holds over {MAX_TOTAL} bytes (MAX_TOTAL)")
                pieces.append(record)
                connections[record.connection - 1].pieces.append(record)
            case Closed():
                connections[record.connection - 1].closed = record
            case End():
                pass
    return Recording(reader.about, pieces, connections, reader.complete)
