"""A relay that stands before a server and keeps what passes, piece by piece."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

READ_SIZE = 1 << 16

CLIENT, SERVER = "client", "server"

#: Who sent it, and the bytes.
Piece = tuple[str, bytes]

#: What becomes of a piece on its way.
Change = Callable[[str, bytes], bytes]


class Recorder:
    """Listens on ``port`` of 127.0.0.1; ``connections`` holds each connection's pieces in the order they passed.

    :ivar open: whether connections are let through to the server; until then it is as slow as can be.
    :ivar asked: set by the first connection.
    :ivar flows: by side, whether what it sends is passed on.
    """

    def __init__(self, target: int, change: Change = lambda _, data: data) -> None:
        self.connections: list[list[Piece]] = []
        self.passed: list[tuple[int, str, bytes]] = []  #: Every piece with its connection, in the order they passed.
        self.port = 0
        self.open = asyncio.Event()
        self.asked = asyncio.Event()
        self.flows = {CLIENT: asyncio.Event(), SERVER: asyncio.Event()}
        for flow in self.flows.values():
            flow.set()
        self._target = target
        self._change = change
        self._tasks: set[asyncio.Task[None]] = set()

    def sent_by(self, side: str, connection: int = 0) -> bytes:
        """Return all that one side sent on a connection so far."""
        return b"".join(data for sender, data in self.connections[connection] if sender == side)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pieces: list[Piece] = []
        number = len(self.connections)
        self.connections.append(pieces)
        self.asked.set()
        try:
            await self.open.wait()
            server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
            await asyncio.gather(
                self._pass(number, CLIENT, pieces, reader, server_writer),
                self._pass(number, SERVER, pieces, server_reader, writer),
            )
        except OSError:
            pass  # the client then sees what it would see without us: a connection that ends
        finally:
            writer.close()

    async def _pass(
        self, number: int, side: str, pieces: list[Piece], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # A side that goes away ends the other's connection as well, and that is all a relay has to do about it.
        try:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(READ_SIZE):
                    await self.flows[side].wait()
                    data = self._change(side, data)
                    pieces.append((side, data))
                    self.passed.append((number, side, data))
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@contextlib.asynccontextmanager
async def recording(
    target: int, change: Change = lambda _, data: data, *, held: bool = False
) -> AsyncIterator[Recorder]:
    """Relay to the plain port ``target`` of 127.0.0.1 while the context lasts; if held, once ``open`` is set.

    :param change: what becomes of each piece.
    """
    recorder = Recorder(target, change)
    if not held:
        recorder.open.set()
    server = await asyncio.start_server(recorder._accept, "127.0.0.1", 0)
    recorder.port = server.sockets[0].getsockname()[1]
    try:
        yield recorder
    finally:
        server.close()
        for task in tuple(recorder._tasks):
            task.cancel()
        await asyncio.gather(*recorder._tasks, return_exceptions=True)


def read_capture(folder: Path) -> list[list[Piece]]:
    """Read a recorded session: per connection ``NNN.idx`` (order of pieces), ``NNN.c2s.bin`` and ``NNN.s2c.bin``."""
    connections = []
    for index in sorted(folder.glob("*.idx")):
        streams = {
            "c2s": (CLIENT, index.with_suffix(".c2s.bin").read_bytes()),
            "s2c": (SERVER, index.with_suffix(".s2c.bin").read_bytes()),
        }
        pieces: list[Piece] = []
        for line in index.read_text().splitlines():
            piece = json.loads(line)
            if "dir" in piece:
                side, stream = streams[piece["dir"]]
                pieces.append((side, stream[piece["off"] : piece["off"] + piece["len"]]))
        connections.append(pieces)
    return connections
