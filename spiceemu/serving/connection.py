"""One connection's bytes: the link, then a channel, and back-pressure both ways.

The protocol is in the sans-IO layers; here are a transport, a clock and four rules. What is sent is written only while
the transport's own buffer is empty, large pictures in slices, so a slow client's data waits where it can still be
merged. A client that makes us answer but does not read is not read from. A link that is not done by its deadline is
dropped, TLS handshake and all. A connection that is closed ends soon, whether its client reads the rest or not.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from spiceemu.errors import HangUp, RemoteError
from spiceemu.protocol.limits import LINK_TIMEOUT
from spiceemu.protocol.link.server import LinkState, ServerLink
from spiceemu.serving.logs import LOCAL_PEER, ConnectionLogger, peer_name
from spiceemu.serving.writes import writes
from spiceemu.sessions.failures import describe

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from spiceemu.protocol.link.server import Linked
    from spiceemu.serving.attachment import Attachment, Home
    from spiceemu.serving.wiretap import TappedWire, WireTaps

MAX_UNSENT = 1 << 20
"""Bytes of answers that wait for a client before it is no longer read from."""

CLOSE_TIMEOUT = 2.0
"""Seconds a connection may take to send its last bytes when it is closed."""

FAREWELL_TIMEOUT = 0.5
"""Seconds a client has to close its side when the server closes."""

LAST_WORDS = 0.2
"""Seconds for what a TLS client has sent before it heard that we end."""

log = logging.getLogger("spiceemu.connection")


class Connection(asyncio.Protocol):
    """A client's connection, from the first byte of its link to its end.

    :param home: the server.
    :param tls: what a TLS connection begins with; None for a plain one.
    """

    def __init__(self, home: Home[Connection], *, tls: ssl.SSLContext | None = None) -> None:
        self.home = home
        self.secure = tls is not None
        self.attachment: Attachment | None = None
        self.log: logging.LoggerAdapter[logging.Logger] | logging.Logger = log
        self._link: ServerLink | None = None
        self._transport: asyncio.Transport
        self._deadline: asyncio.TimerHandle | None = None
        self._tls = tls
        self._handshake: asyncio.Task[asyncio.Transport | None] | None = None
        self._early: list[bytes] = []  # came with the end of the handshake, before its task knew
        self._waiting: deque[bytes | memoryview] = deque()
        self._paused = False
        self._pump_due = False
        self._hung_up = False
        self._says_no_more = False
        self._reason = ""
        self._loop = asyncio.get_running_loop()
        self._closed = asyncio.Event()
        self._wire: TappedWire | None = None  # what everything passes, if somebody watches

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the link, or the TLS handshake before it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=0)
        peer = peer_name(transport)
        local = peer == LOCAL_PEER
        self._link = ServerLink(self.home.policy, secure=self.secure, local=local, now=self._loop.time())
        self._deadline = self._loop.call_at(self._link.deadline, self._check_link)
        self.log = ConnectionLogger(log, {"peer": peer})
        self.log.debug("connected%s", " over TLS" if self.secure else "")
        if self.home.wire_taps is not None:
            self._wire = self._tap(self.home.wire_taps, peer)
            self._wire.opened()
        self.home.connection_began(self)
        if self._tls is not None and not transport.is_closing():
            self._handshake = self._loop.create_task(self._shake_hands(self._tls))
            self._handshake.add_done_callback(self._end_handshake)

    async def _shake_hands(self, tls: ssl.SSLContext) -> asyncio.Transport | None:
        # Not by asyncio's TLS servers: they own a connection until its handshake is done, so that it could be neither
        # counted nor closed.
        if self._wire is not None:
            self._transport.pause_reading()
            if not await self._wire.to_client.passed():
                await self._closed.wait()
                return None
        return await self._loop.start_tls(
            self._transport,
            self,
            tls,
            server_side=True,
            ssl_handshake_timeout=LINK_TIMEOUT,
            ssl_shutdown_timeout=CLOSE_TIMEOUT,
        )

    def _end_handshake(self, handshake: asyncio.Task[asyncio.Transport | None]) -> None:
        self._handshake = None
        if handshake.cancelled() or handshake.exception() is not None:
            error = None if handshake.cancelled() else handshake.exception()
            self.connection_lost(error if isinstance(error, Exception) else None)  # asyncio says so only sometimes
        elif not self._closed.is_set():
            transport = handshake.result()
            assert transport is not None
            self._transport = transport
            # asyncio's TLS transport takes a limit of 0 for a buffer that is always full.
            transport.set_write_buffer_limits(high=1)
            if self._wire is not None:
                self._wire.secured()
            early, self._early = self._early, []
            for data in early:
                self.data_received(data)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the link or of the channel."""
        if self._handshake is not None:
            self._early.append(data)
        elif self._wire is None:
            self._take(data)
        elif not self._is_over:
            self._wire.client_data(data)
            self._limit_reading()

    def _take(self, data: bytes) -> None:
        """Take bytes that have passed the taps."""
        if self._is_over:
            return
        if self._link is not None:
            self._receive_link(data)
        else:
            self._receive_messages(data)

    def eof_received(self) -> bool:
        """Close our side as well; SPICE has no half-open connections."""
        if self._wire is not None and self._wire.to_server.waiting:
            self._wire.to_server.then(self._end_of_client)
            return not self.secure  # asyncio keeps no TLS connection open
        self._end_of_client()
        return False

    def _end_of_client(self) -> None:
        if self._link is not None:
            self._link.receive_eof()
        self.close()

    def pause_writing(self) -> None:
        """Wait until the socket takes more."""
        self._paused = True

    def resume_writing(self) -> None:
        """Write on."""
        self._paused = False
        self.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the session, or note why there never was one."""
        if self._closed.is_set():
            return
        self._closed.set()
        if self._deadline is not None:
            self._deadline.cancel()
        self._waiting.clear()
        self.home.connection_ended(self)
        reason = self._reason or (str(exc) if exc else "")
        if self.attachment is not None:
            self.attachment.closed(reason, self._loop.time())
        else:
            self.log.info("left before the link was done: %s", reason or self.refusal or "no reason")
        if self._wire is not None:
            self._wire.closed(reason or self.refusal)

    # Taps

    def _tap(self, taps: WireTaps, peer: str) -> TappedWire:
        from spiceemu.serving.wiretap import Way  # here, as servers without taps need none of it

        way = partial(Way, end=self._end_by_tap, reset=self._reset_by_tap, moved=self._went_on)
        to_client = way(lambda data: self._transport.write(data))  # TLS puts another transport in its place
        return taps.connect(peer, to_client, way(self._take), secure=self.secure, failed=self._tap_failed)

    def _end_by_tap(self, reason: str) -> None:
        assert self._wire is not None
        self._wire.cut()
        self.close(reason)

    def _reset_by_tap(self, reason: str) -> None:
        from spiceemu.serving.wiretap import reset_when_closed

        reset_when_closed(self._transport.get_extra_info("socket"))
        self.abort(reason)

    def _tap_failed(self, error: Exception) -> None:
        error.add_note("raised by a tap of the wire")
        self.fail(error)
        self.abort()

    def _went_on(self) -> None:
        self._limit_reading()
        self.pump()

    def _write(self, data: bytes | memoryview) -> None:
        """Send bytes, through the taps if there are any."""
        if self._wire is None:
            self._transport.write(data)
        else:
            self._wire.server_data(bytes(data))

    def _when_written(self, act: Callable[[], object]) -> None:
        """Do something once the taps have let pass all that was written."""
        if self._wire is None:
            act()
        else:
            self._wire.to_client.then(act)

    # Link

    def _receive_link(self, data: bytes) -> None:
        try:
            self._advance_link(data)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is ours, and told
            self.end_by(error)

    def _advance_link(self, data: bytes) -> None:
        assert self._link is not None
        link = self._link
        link.receive_data(data, self._loop.time())
        answer = link.data_to_send()
        if answer:
            self._write(answer)
        if link.state is LinkState.CLOSED:
            self.log.warning("link refused: %s", link.failure)
            self.close(str(link.failure))
        elif link.linked is not None:
            self._become_channel(link.linked)

    def _become_channel(self, linked: Linked) -> None:
        assert self._deadline is not None
        self._deadline.cancel()
        self._link = None
        self.attachment = self.home.adopt(self, linked, self._loop.time())
        self.log = ConnectionLogger(log, {"session": self.attachment.label, "channel": self.attachment.channel.name})
        if self._wire is not None:
            self._wire.wire.session = self.attachment.label
        self.log.info("linked")
        if linked.leftover:
            self._receive_messages(linked.leftover)
        self.pump()

    def _check_link(self) -> None:
        if self._link is not None:
            self._link.check_time(self._loop.time() + self._loop_resolution)
            if self._link.state is LinkState.CLOSED:
                self.log.warning("%s", self._link.failure)
                self.abort(str(self._link.failure))

    _loop_resolution = 0.01  # asyncio may call a little early

    # Channel

    def _receive_messages(self, data: bytes) -> None:
        assert self.attachment is not None
        try:
            self.attachment.receive_data(data, self._loop.time())
        except RemoteError as error:
            self.violate(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is ours, and told
            self.end_by(error)
        else:
            self.pump()

    def check_time(self, now: float) -> None:
        """Judge the channel's deadlines."""
        if self.attachment is not None and not self._is_over:
            try:
                self.attachment.channel.check_time(now)
            except RemoteError as error:
                self.violate(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is ours, and told
                self.fail(error)

    def violate(self, error: RemoteError) -> None:
        """Close the connection because the client broke the protocol, unless something of ours only says so."""
        assert self.attachment is not None
        if error.ours:
            self.fail(error)
            return
        self.log.warning("%s; closing", error)
        self.attachment.violated(error)
        self.close(str(error))

    def fail(self, error: Exception) -> None:
        """Close the connection because something of ours raised: no fault of the client's."""
        (self.home if self.attachment is None else self.attachment).failed(error)
        self.close(f"the server failed: {describe(error)}")

    def end_by(self, error: Exception) -> None:
        """End the connection by a tap's will, or because something of ours raised."""
        if isinstance(error, HangUp):
            self.hang_up(str(error))
        else:
            self.fail(error)

    def wake(self) -> None:
        """Write soon what the channel has; many calls of one loop turn become one write."""
        if not self._pump_due:
            self._pump_due = True
            self._loop.call_soon(self._pump_soon)

    def _pump_soon(self) -> None:
        self._pump_due = False
        self.pump()

    def pump(self) -> None:
        """Write while the transport's buffer is empty and the channel has something."""
        if self.attachment is None or self._is_over or self._says_no_more:
            return
        channel = self.attachment.channel
        if channel.failure is not None or not (self._waiting or self._is_full):
            try:
                self._waiting.extend(writes(channel.data_to_send(), join=not self.secure))
            except Exception as error:  # noqa: BLE001 - whatever it is, it is ours, and told
                self.end_by(error)
                return
        more = bool(self._waiting)
        while self._waiting and not (self._is_full or self._transport.is_closing()):
            self._write(self._waiting.popleft())
        if more and not self._is_full:
            self.wake()  # for what the channel has besides: in the loop's next turn, so that others have theirs
        self._limit_reading()

    @property
    def _is_full(self) -> bool:
        """Whether what is written would only wait."""
        return self._paused or (self._wire is not None and self._wire.to_client.full)

    def _limit_reading(self) -> None:
        if self._transport.is_closing() or self._handshake is not None:
            return
        unsent = self.attachment.channel.unsent if self.attachment is not None and self._is_full else 0
        if unsent > MAX_UNSENT or (self._wire is not None and self._wire.to_server.full):
            self._transport.pause_reading()
        elif not self._transport.is_reading():
            self._transport.resume_reading()

    @property
    def _is_over(self) -> bool:
        """Whether nothing is sent any more, and what comes is not looked at."""
        return self._hung_up or self._transport.is_closing()

    def hang_up(self, reason: str = "", timeout: float = CLOSE_TIMEOUT) -> None:
        """End our side, and close when the client has ended its own, or so many seconds have passed.

        The client is in the middle of something, perhaps: to one that sends to a closed socket the connection broke.
        """
        if self._handshake is not None or self._is_over or not self._transport.can_write_eof():
            self.close(reason)  # TLS has an ending of its own
            return
        self._hung_up = True
        self._reason = reason
        self._end_writing(timeout)

    def hear_out(self) -> None:
        """End our side, and take what the client has said until it ends its own, or ``CLOSE_TIMEOUT`` has passed."""
        if self._is_over or self._says_no_more:
            return
        self._says_no_more = True
        if self._handshake is None and self._transport.can_write_eof():
            self._end_writing()
        else:  # TLS ends both sides at once: what is on its way now has that long to come
            self._deadline = self._loop.call_later(LAST_WORDS, self.close)

    def _end_writing(self, timeout: float = CLOSE_TIMEOUT) -> None:
        self._set_abort(timeout)
        while self._waiting:  # or the client would see the end of what it is sent in the middle of a message
            self._write(self._waiting.popleft())
        self._when_written(self._write_eof)
        if not self._transport.is_closing() and not self._transport.is_reading():
            self._transport.resume_reading()

    def _write_eof(self) -> None:
        if self._transport.is_closing():
            return
        try:
            self._transport.write_eof()
        except OSError:  # the client has gone, and asyncio has not heard of it yet
            self._transport.abort()

    def _set_abort(self, timeout: float = CLOSE_TIMEOUT) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(timeout, self.abort)

    def close(self, reason: str = "") -> None:
        """Close after what is written has gone out, or ``CLOSE_TIMEOUT`` has passed."""
        if self._handshake is not None:
            self.abort(reason)
        elif not self._transport.is_closing():  # asyncio's TLS transport cannot be aborted any more if closed twice
            self._reason = self._reason or reason
            self._hung_up = True
            self._when_written(self._close_transport)
            self._set_abort()

    def _close_transport(self) -> None:
        if not self._transport.is_closing():
            self._transport.close()

    def abort(self, reason: str = "") -> None:
        """Close at once, whatever is still to be sent."""
        self._reason = self._reason or reason
        if self._wire is not None:
            self._wire.cut()
        self._transport.abort()
        if self._handshake is not None:
            self._handshake.cancel()

    @property
    def refusal(self) -> str:
        """Why the link came to nothing; empty if it did not, or the client just left."""
        failure = self._link.failure if self._link is not None else None
        return str(failure or "")

    async def wait_closed(self) -> None:
        """Wait until the connection is gone."""
        await self._closed.wait()
