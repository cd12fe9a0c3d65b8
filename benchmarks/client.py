"""The clients of ``bench_server``: a process of their own, with blocking sockets and no more work than it takes.

::

    python -m benchmarks.client

Each line of standard input is a JSON list, the name of a function here that is in ``TASKS`` and its arguments; each is
answered with its result as a line of JSON.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from struct import Struct
from time import perf_counter

from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.framing import MINI_HEADER
from spiceemu.protocol.link.client import CLIENT_COMMON_CAPABILITIES, build_link_message
from spiceemu.protocol.link.layouts import HEADER
from spiceemu.protocol.messages import base, display
from spiceemu.protocol.messages.message import CLIENT, SERVER, Message

HOST = "127.0.0.1"
LARGE = 1 << 20  # bytes of a message that is a frame
SKIPPED = 5  # frames before the clock starts: the sockets' buffers grow meanwhile

SET_ACK, PING = base.SetAck.spec.ids[SERVER], base.Ping.spec.ids[SERVER]
SET_ACK_FIELDS = Struct("<II")  # generation, window
PING_FIELDS = Struct("<IQ")  # id, time
SESSION_ID = Struct("<I")  # the first field of main's INIT, which is the first message


def links(port: int, ticket: str, channels: Sequence[tuple[int, int]]) -> float:
    """Link many channels of a new session at once.

    :param ticket: mechanism and ticket, in hexadecimal: made once, so that only the server works for it.
    :returns: the seconds from the first connection to the last result.
    """
    proof = bytes.fromhex(ticket)
    with session(port, proof) as session_id, ExitStack() as opened:
        start = perf_counter()
        connections = []
        for kind, number in channels:
            connection = opened.enter_context(socket.create_connection((HOST, port)))
            connection.sendall(build_link_message(kind, number, session_id, CLIENT_COMMON_CAPABILITIES, ()))
            connections.append(connection)
        for connection in connections:
            answer_reply(connection, proof)
        for connection in connections:
            take_result(connection)
        return perf_counter() - start


def frames(port: int, ticket: str, count: int) -> float:
    """Receive frames of a display channel.

    :returns: the seconds from the end of frame ``SKIPPED`` to the end of the last one.
    """
    proof = bytes.fromhex(ticket)
    with session(port, proof) as session_id, linked(port, proof, ChannelType.DISPLAY, session_id) as connection:
        send(connection, display.Init(1, 0, 1, 0))
        return receive(connection, count)


def bare_frames(port: int, count: int) -> float:
    """Receive the same from somebody who only sends: see :func:`frames`."""
    with socket.create_connection((HOST, port)) as connection:
        return receive(connection, count)


TASKS = {task.__name__: task for task in (links, frames, bare_frames)}


@contextmanager
def session(port: int, proof: bytes) -> Iterator[int]:
    """A main channel's connection; gives the session's id."""
    with linked(port, proof, ChannelType.MAIN) as connection:
        exactly(connection, MINI_HEADER.size)
        (session_id,) = SESSION_ID.unpack(exactly(connection, SESSION_ID.size))
        yield session_id


@contextmanager
def linked(port: int, proof: bytes, kind: ChannelType, session_id: int = 0) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as real clients do: answers go out at once
        connection.sendall(build_link_message(kind, 0, session_id, CLIENT_COMMON_CAPABILITIES, ()))
        answer_reply(connection, proof)
        take_result(connection)
        yield connection


def answer_reply(connection: socket.socket, proof: bytes) -> None:
    *_, size = HEADER.unpack(exactly(connection, HEADER.size))
    exactly(connection, size)
    connection.sendall(proof)


def take_result(connection: socket.socket) -> None:
    assert not any(exactly(connection, 4)), "the link was refused"


def receive(connection: socket.socket, count: int) -> float:
    """Read until the sender closes, answer what must be answered, and time the frames, of which there are ``count``."""
    buffer = memoryview(bytearray(16 << 20))
    head = memoryview(bytearray(MINI_HEADER.size))
    window = unacknowledged = 0
    ends = []
    while read_into(connection, head):
        kind, size = MINI_HEADER.unpack(head)
        read_into(connection, buffer[:size])
        if size >= LARGE:
            ends.append(perf_counter())
        if kind == SET_ACK:
            generation, window = SET_ACK_FIELDS.unpack_from(buffer)
            send(connection, base.AckSync(generation))
            continue
        if kind == PING:
            send(connection, base.Pong(*PING_FIELDS.unpack_from(buffer)))
        unacknowledged += 1
        if unacknowledged == window:
            unacknowledged = 0
            send(connection, base.Ack())
    assert len(ends) == count, f"{len(ends)} frames came instead of {count}"
    return ends[-1] - ends[SKIPPED - 1]


def send(connection: socket.socket, message: Message) -> None:
    body = message.build()
    connection.sendall(MINI_HEADER.pack(message.spec.ids[CLIENT], len(body)) + body)


def exactly(connection: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    assert read_into(connection, memoryview(data)), "the server closed the connection"
    return bytes(data)


def read_into(connection: socket.socket, buffer: memoryview) -> bool:
    """Fill the buffer; False if the stream ended before."""
    while buffer:
        got = connection.recv_into(buffer, len(buffer), socket.MSG_WAITALL)
        if not got:
            return False
        buffer = buffer[got:]
    return True


def main() -> None:
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        sys.stdout.write(json.dumps(TASKS[name](*arguments)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
