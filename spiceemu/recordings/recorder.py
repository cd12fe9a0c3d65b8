"""Writes down what passes between clients and a server, without the secrets of the links.

A ticket is a password under a key of 1024 bits, which does not keep it for ever, and SASL may send one in the clear. So
none of these reaches the file: :class:`~spiceemu.protocol.link.observer.LinkObserver` puts zeros in their place. What
passes afterwards is written as it is, and that includes every key that is pressed and every text that is copied.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from spiceemu._version import __version__
from spiceemu.protocol.link.observer import LinkObserver
from spiceemu.recordings.recording import (
    MAX_CONNECTIONS,
    About,
    ClientBytes,
    Closed,
    End,
    Opened,
    RecordingWriter,
    ServerBytes,
)
from spiceemu.serving.wiretap import WireTap

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from spiceemu.serving.wiretap import Wire

MICROSECONDS = 1_000_000

MAX_REASON = 200
"""Characters kept of why a connection ended."""

log = logging.getLogger("spiceemu.recorder")


class Recorder(WireTap):
    """A tap that records, on a relay or on a server of our own; everything passes unchanged.

    :param file: open for writing bytes; the caller closes it, after :meth:`end`.
    :param server: the server's address, as its user gave it.
    :param clock: seconds that never go back.
    """

    def __init__(self, file: BinaryIO, server: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.links: dict[int, LinkObserver] = {}
        """What is known of each connection's link that is open, by its number."""
        self.connections = 0
        self.client_bytes = 0
        self.server_bytes = 0
        self._clock = clock
        self._begin = clock()
        self._writer = RecordingWriter(file, About(f"spiceemu {__version__}", server, int(time.time() * MICROSECONDS)))

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return self._writer.size

    def opened(self, connection: Wire) -> None:
        """Write down that a client has connected."""
        if connection.number > MAX_CONNECTIONS:
            log.warning("connection %d is not recorded: the limit is MAX_CONNECTIONS", connection.number)
            return
        self.connections += 1
        self.links[connection.number] = LinkObserver()
        self._writer.write(Opened(connection.number, self._now(), connection.client, connection.secure))

    def client_data(self, connection: Wire, data: bytes) -> bytes:
        """Write down what the client sent, but for its secrets."""
        if (link := self.links.get(connection.number)) is not None:
            self.client_bytes += len(data)
            self._writer.write(ClientBytes(connection.number, self._now(), link.client_data(data)))
        return data

    def server_data(self, connection: Wire, data: bytes) -> bytes:
        """Write down what the server sent, but for what belongs to the client's secrets."""
        if (link := self.links.get(connection.number)) is not None:
            self.server_bytes += len(data)
            self._writer.write(ServerBytes(connection.number, self._now(), link.server_data(data)))
        return data

    def closed(self, connection: Wire, reason: str) -> None:
        """Write down that a connection is gone."""
        if self.links.pop(connection.number, None) is not None:
            self._writer.write(Closed(connection.number, self._now(), reason[:MAX_REASON]))

    def flush(self) -> None:
        """Put what is there into the file, so that little is lost if the program is killed."""
        self._writer.flush()

    def end(self) -> None:
        """Write the recording's end."""
        self._writer.write(End(self._now()))

    def _now(self) -> int:
        return int((self._clock() - self._begin) * MICROSECONDS)
