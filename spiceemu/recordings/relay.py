"""A relay: stands between any client and any server, and shows what passes to whoever wants to see or change it.

::

    async with Relay(Target("127.0.0.1", 5900), observer=Recorder(writer)) as relay:
        print(relay.uri)

What passes goes through the observer, as through any tap (see :mod:`spiceemu.serving.wiretap`); the relay itself knows
nothing of the protocol. A client's connection becomes one to the server, and what one sends reaches the other byte by
byte, no sooner than the other takes it. A side that ends its sending ends it for the other, one that breaks off breaks
the other off.
"""

from __future__ import annotations

import asyncio
import logging
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from spiceemu.errors import InvalidValue, WrongState
from spiceemu.recordings.relayed import READ_SIZE, BrokenOff, RelayedConnection, RelaySide
from spiceemu.serving import listeners
from spiceemu.serving.logs import LOCAL_PEER
from spiceemu.serving.wiretap import Wire, WireTap, reset_when_closed

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Coroutine
    from typing import Any

MAX_RELAYED = 256
"""Connections at a time; more are closed at once."""

CONNECT_TIMEOUT = 10.0
"""Seconds that the server may take to accept a connection, with TLS and all."""

ACCEPT_AGAIN = 1.0
"""Seconds until the next try where the system has no files left for another connection."""

log = logging.getLogger("spiceemu.relay")


@dataclass(frozen=True)
class Target:
    """Where a relay connects to.

    :param host: name or address; not used with ``unix_path``.
    :param unix_path: path of a unix socket.
    :param tls: the context to connect with TLS; None for a plain connection.
    :param server_name: whom the server's certificate must name; the host if empty.
    :raises InvalidValue: the host, the port or the server's name can be none.
    """

    host: str = ""
    port: int = 0
    unix_path: str | None = None
    tls: ssl.SSLContext | None = None
    server_name: str = ""

    def __post_init__(self) -> None:
        listeners.check_port(self.port)
        for name in (self.host, self.server_name):
            listeners.check_host(name)

    def __str__(self) -> str:
        return self.unix_path or (f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}")

    async def connect(self) -> RelaySide:
        """Connect to it.

        :returns: the server's end of the relay.
        :raises BrokenOff: that cannot be, or not in ``CONNECT_TIMEOUT``.
        """
        how: dict[str, Any] = {"limit": READ_SIZE, "ssl": self.tls}
        if self.tls:
            how["server_hostname"] = self.server_name or self.host
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                if self.unix_path is not None:
                    streams = await asyncio.open_unix_connection(self.unix_path, **how)
                else:
                    streams = await asyncio.open_connection(self.host, self.port, **how)
        except TimeoutError as error:
            raise BrokenOff(f"cannot reach {self} in {CONNECT_TIMEOUT:g} s (CONNECT_TIMEOUT)") from error
        except OSError as error:
            raise BrokenOff(f"cannot reach {self}: {listeners.reason_of(error)}") from error
        return RelaySide("the server", *streams)


_TARGET = re.compile(r"(?:spice://)?(?P<host>\[[^\[\]/@?]+\]|[^\[\]:/@?]+):(?P<port>[0-9]{1,5})/?")


_UNIX = "spice+unix://"


def is_unix(address: str) -> bool:
    """Whether an address as users write it is that of a unix socket."""
    return address.startswith(_UNIX)


def parse_target(text: str, *, tls: ssl.SSLContext | None = None) -> Target:
    """Read an address as users write it: ``HOST:PORT``, ``spice://HOST:PORT`` or ``spice+unix:///PATH``.

    :returns: where that is.
    :raises InvalidValue: it is none of these, or names no host that there can be.
    """
    unix = text.removeprefix(_UNIX)
    if unix != text and unix.startswith("/"):
        return Target(unix_path=unix, tls=tls)
    found = _TARGET.fullmatch(text)
    if found is None:
        raise InvalidValue(f"{text!r} is no address such as 127.0.0.1:5900, [::1]:5900 or spice+unix:///path")
    return Target(found["host"].strip("[]"), int(found["port"]), tls=tls)


class RelayObserver(WireTap):
    """Sees what passes a relay, and may change it: a tap, as a server's connections have them as well.

    It is told that a client has connected before the server is connected to. A method that raises ends the whole relay;
    see :meth:`Relay.wait`.
    """


class Relay:
    """Relays from ``start()`` to ``close()``, or inside ``async with``.

    :param target: the server.
    :param host: address to listen on.
    :param port: port to listen on, 0 for any free one, None for none.
    :param unix_path: a unix socket to listen on as well.
    :param tls: the context that clients are answered with on the port; None for plain connections.
    :param observer: sees and may change what passes; any tap is one.
    :raises InvalidValue: there is nothing to listen on.
    """

    def __init__(
        self,
        target: Target,
        *,
        host: str = "127.0.0.1",
        port: int | None = 0,
        unix_path: str | None = None,
        tls: ssl.SSLContext | None = None,
        observer: WireTap | None = None,
    ) -> None:
        if port is None and unix_path is None:
            raise InvalidValue("nothing to listen on: give port or unix_path")
        self.target = target
        self.host = host
        self.port = port
        """The real one once the relay listens."""
        self.unix_path = unix_path
        self.observer = WireTap() if observer is None else observer
        self._tls = tls
        self._sockets: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._relayed = 0
        self._count = 0
        self._failure: asyncio.Future[None] | None = None

    @property
    def uri(self) -> str:
        """The address for clients, such as ``spice://127.0.0.1:5930``.

        :raises WrongState: the relay does not listen.
        """
        if not self._sockets:
            raise WrongState("the relay has no address before it is started")
        plain, secure = (None, self.port) if self._tls else (self.port, None)
        return listeners.uri_of(self.host, plain, secure, self.unix_path)

    async def start(self) -> None:
        """Listen; a client that connects after this returns is relayed.

        :raises AddressUnavailable: the port is in use or the address is not this machine's.
        :raises WrongState: the relay listens already.
        """
        if self._sockets:
            raise WrongState("the relay is started already")
        found, _ = listeners.listen(self.host, port=self.port, tls_port=None, unix_path=self.unix_path)
        self.port = listeners.port_of(found)
        self._sockets = found
        self._failure = asyncio.get_running_loop().create_future()
        for each in found:
            self._run(self._accept(each, None if each.family == listeners.AF_UNIX else self._tls))

    async def close(self) -> None:
        """Stop listening and end every connection. Safe to call twice."""
        sockets, self._sockets = self._sockets, []
        for task in list(self._tasks):
            task.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        listeners.close_all(sockets)
        if self._failure is not None and not self._failure.done():
            self._failure.set_result(None)

    async def wait(self) -> None:
        """Wait until the relay is closed, or the observer fails: raises what that raised.

        :raises WrongState: the relay does not listen.
        """
        if self._failure is None:
            raise WrongState("the relay is not started")
        await asyncio.shield(self._failure)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # Connections

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._end_task)

    def _end_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None and self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)
            self._failure.exception()  # taken, should nobody wait for it
            log.error("the relay ends, for its observer failed: %r", error)
            for other in self._tasks:
                other.cancel()

    async def _accept(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                accepted, address = await loop.sock_accept(listener)
            except OSError as error:
                log.warning("cannot accept a connection: %s", error)
                await asyncio.sleep(ACCEPT_AGAIN)
                continue
            if self._relayed >= MAX_RELAYED:
                log.warning("closing a connection: there are %d already (MAX_RELAYED)", MAX_RELAYED)
                accepted.close()
                continue
            self._relayed += 1
            self._count += 1
            client = listeners.show_address(*address[:2]) if isinstance(address, tuple) else LOCAL_PEER
            self._run(self._relay(Wire(self._count, client, tls is not None), accepted, tls))

    async def _relay(self, connection: Wire, accepted: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Everything of one connection; only what an observer raises leaves it."""
        reason = "the relay ends"
        ends: list[RelaySide] = []
        broken = False
        relayed = RelayedConnection(connection, self.observer)
        try:
            relayed.tapped.opened()
            try:
                if tls is not None:
                    await relayed.wait_for_tls()
                relayed.check()
                ends.append(await RelaySide.accepted(accepted, tls))
                if tls is not None:
                    relayed.tapped.secured()
                relayed.check()
                ends.append(await self.target.connect())
                await relayed.run(*ends)
                reason = relayed.reason
            except BrokenOff as error:
                reason = str(error)
                broken = len(ends) == 2 or relayed.is_reset  # else there was nothing yet to break off
                log.info("connection %d: %s", connection.number, reason)
        finally:
            self._relayed -= 1
            for end in ends:
                end.drop(broken=broken)
            if not ends:
                if broken:
                    reset_when_closed(accepted)
                accepted.close()
            relayed.tapped.closed(reason)
