"""One connection of a client, as bytes: what the server sent before it closed, however it closed."""

from __future__ import annotations

import asyncio

from spiceemu.errors import LimitExceeded

MAX_RECEIVED = 1 << 20
"""Bytes taken from one connection; main's bandwidth test, the most there is, has 256 kB."""


class ProbeConnection(asyncio.Protocol):
    """One connection. Unlike asyncio's streams, it gives all that came before a reset: some refusals end so."""

    def __init__(self) -> None:
        self.total = 0
        self.ended = False
        self.ignoring = False
        """Whether what comes is of no interest any more."""
        self._data = bytearray()
        self._news = asyncio.Event()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (called by asyncio)."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take what came (called by asyncio)."""
        if self.ignoring:
            return
        self.total += len(data)
        self._data += data
        if self.total > MAX_RECEIVED:
            self.close()
        self._news.set()

    def connection_lost(self, _error: Exception | None) -> None:
        """End (called by asyncio)."""
        self.ended = True
        self._news.set()

    def send(self, data: bytes) -> None:
        """Send bytes; after the end they are dropped."""
        assert self._transport is not None
        self._transport.write(data)

    async def read(self) -> bytes:
        """What has come, as soon as there is something; nothing at the connection's end.

        :returns: some bytes; none at the end.
        :raises LimitExceeded: for more than ``MAX_RECEIVED`` bytes in all.
        """
        while not self._data and not self.ended:
            self._news.clear()
            await self._news.wait()
        if self.total > MAX_RECEIVED:
            raise LimitExceeded(f"it sends more than MAX_RECEIVED {MAX_RECEIVED} bytes on one connection")
        data = bytes(self._data)
        self._data.clear()
        return data

    async def leave(self) -> None:
        """Say that nothing more comes, and wait until the server has closed as well."""
        self.ignoring = True
        assert self._transport is not None
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()  # as TLS says it, which waits for the other side's word
        while not self.ended:
            self._news.clear()
            await self._news.wait()

    def close(self) -> None:
        """Close at once, without waiting for what was not sent yet."""
        if self._transport is not None:
            self._transport.abort()
