"""One connection through a relay: its two sides, and what passes between them."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Self

from spiceemu.protocol.limits import LINK_TIMEOUT
from spiceemu.serving import listeners
from spiceemu.serving.wiretap import TappedWire, Way, Wire, WireTap, reset_when_closed

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

READ_SIZE = 1 << 16
"""Bytes passed on at a time. A direction holds at most ten times as many, most of them what asyncio reads at once."""

HALF_CLOSED_TIMEOUT = 10.0
"""Seconds that one side may go on after the other has ended; SPICE has no use for that."""


class BrokenOff(Exception):
    """A connection did not come about, or ended otherwise than by being closed. An observer's own errors are none."""


class RelayedConnection:
    """What passes between the two ends of one connection, through its tap."""

    def __init__(self, connection: Wire, observer: WireTap) -> None:
        self.reason = ""
        """Why a tap has ended it; empty if none has."""
        self.is_reset = False
        self._over = asyncio.Event()
        self._outlets: dict[str, RelaySide] = {}
        to_client, to_server = (
            Way(partial(self._write, name), end=self._end, reset=self._reset) for name in ("client", "server")
        )
        self.tapped = TappedWire(connection, [observer], to_client=to_client, to_server=to_server)

    def _write(self, name: str, data: bytes) -> None:
        self._outlets[name].write(data)

    def _end(self, reason: str) -> None:
        self.tapped.cut()
        self.reason = reason
        self._over.set()

    def _reset(self, reason: str) -> None:
        self.is_reset = True
        self._end(reason)

    async def wait_for_tls(self) -> None:
        """Wait until a tap lets the handshake begin.

        :raises BrokenOff: that took longer than a link may.
        """
        try:
            async with asyncio.timeout(LINK_TIMEOUT):
                if not await self.tapped.to_client.passed():
                    await self._over.wait()
        except TimeoutError:
            raise BrokenOff(f"no TLS with the client: held back for {LINK_TIMEOUT:g} s (LINK_TIMEOUT)") from None

    def check(self) -> None:
        """See whether a tap has ended it already.

        :raises BrokenOff: it has.
        """
        if self._over.is_set():
            raise BrokenOff(self.reason)

    async def run(self, client: RelaySide, server: RelaySide) -> None:
        """Pass on what both sides send, until they or a tap end it.

        :raises BrokenOff: a side broke off, or a tap has reset it.
        """
        self._outlets.update(client=client, server=server)
        tapped, loop = self.tapped, asyncio.get_running_loop()
        from_client = loop.create_task(client.pass_on(tapped.client_data, tapped.to_server, server))
        from_server = loop.create_task(server.pass_on(tapped.server_data, tapped.to_client, client))
        over = loop.create_task(self._over.wait())
        tasks = (from_client, from_server, over)
        try:
            done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if over not in done and len(left) > 1 and all(way.exception() is None for way in done):
                more = await asyncio.wait(left, timeout=HALF_CLOSED_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
                done |= more[0]
            for task in done:
                task.result()
            if self.is_reset:
                raise BrokenOff(self.reason)
            for end in (client, server):
                await end.finish()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class RelaySide:
    """A connection of ours: with the client, or with the server."""

    def __init__(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.name = name
        self._reader = reader
        self._writer = writer
        self._socket = writer.get_extra_info("socket")
        writer.transport.set_write_buffer_limits(high=READ_SIZE)

    @classmethod
    async def accepted(cls, accepted: socket.socket, tls: ssl.SSLContext | None) -> Self:
        """The client's, with the handshake where there is TLS."""
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=READ_SIZE, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        try:
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, accepted, ssl=tls, ssl_handshake_timeout=LINK_TIMEOUT if tls else None
            )
        except OSError as error:
            raise BrokenOff(f"no TLS with the client: {listeners.reason_of(error)}") from error
        return cls("the client", reader, asyncio.StreamWriter(transport, protocol, reader, loop))

    async def pass_on(self, tell: Callable[[bytes], None], way: Way, other: RelaySide) -> None:
        """Pass on what comes from here until there is no more.

        :param tell: takes it to the tap, behind which it goes on its way to the other.
        """
        while data := await self._read():
            tell(data)
            await way.room()
            await other.drain()
        if await way.passed():
            other.end_writing()

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(READ_SIZE)
        except OSError as error:
            raise BrokenOff(f"{self.name} broke off: {listeners.reason_of(error)}") from error

    def write(self, data: bytes) -> None:
        """Send bytes; how far they come is told by :meth:`drain`."""
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the other end has taken nearly all."""
        try:
            await self._writer.drain()
        except OSError as error:
            raise BrokenOff(f"{self.name} broke off: {listeners.reason_of(error)}") from error

    def end_writing(self) -> None:
        """Tell the other end that no more comes."""
        if self._writer.is_closing():
            return
        if self._writer.can_write_eof():
            with suppress(OSError):  # gone already, which reading from it will tell
                self._writer.write_eof()
        else:
            self._writer.close()  # TLS in asyncio ends both ways at once

    async def finish(self) -> None:
        """Close after what is written has gone out, or ``HALF_CLOSED_TIMEOUT`` has passed."""
        if not self._writer.is_closing():  # asyncio's TLS transport of 3.11.2 cannot be aborted once it is closed twice
            self._writer.close()
        with suppress(OSError):  # a time that is up is one
            async with asyncio.timeout(HALF_CLOSED_TIMEOUT):
                await self._writer.wait_closed()

    def drop(self, *, broken: bool) -> None:
        """Close at once if it is open still; with ``broken`` so that the other end sees it break off as well."""
        if broken:
            reset_when_closed(self._socket)
        self._writer.transport.abort()
