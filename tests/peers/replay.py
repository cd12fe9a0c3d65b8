"""A server that says again what a real one said: it shows the harness what QEMU's small guest does not have."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Sequence

from .recorder import CLIENT, SERVER, Piece

LINK_HEADER_SIZE = 16
LINK_SIZE_OFFSET = 12
# In a client's link message after the header: the session's id, the channel's type and the channel's number.
CHANNEL = slice(4, 6)
MECHANISM_AND_TICKET_SIZE = 4 + 128


@contextlib.asynccontextmanager
async def replaying(connections: Sequence[Sequence[Piece]]) -> AsyncIterator[int]:
    """Serve recorded connections, by channel, on a port of 127.0.0.1; the value is that port.

    Every ticket is right, and after it the server's bytes follow at once: it suits a client that only listens.
    """
    streams = {}
    for pieces in connections:
        sent, received = (b"".join(data for sender, data in pieces if sender == side) for side in (SERVER, CLIENT))
        reply = LINK_HEADER_SIZE + _message_size(sent)
        streams[received[LINK_HEADER_SIZE:][CHANNEL]] = sent[:reply], sent[reply:]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        header = await reader.readexactly(LINK_HEADER_SIZE)
        message = await reader.readexactly(_message_size(header))
        reply, rest = streams[message[CHANNEL]]
        writer.write(reply)
        await reader.readexactly(MECHANISM_AND_TICKET_SIZE)
        writer.write(rest)
        # A client that goes first is no fault of anybody's.
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def _message_size(link: bytes) -> int:
    return int(struct.unpack_from("<I", link, LINK_SIZE_OFFSET)[0])
