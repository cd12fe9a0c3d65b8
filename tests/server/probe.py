"""A small SPICE client for tests, over real sockets: it answers as a client should, and paints what it is sent.

::

    async with serving() as server, Probe.of(server) as probe:
        server.displays[0].fill((0, 0, 9, 9), "red")
        await probe.displays[0].in_step()
        assert probe.displays[0].painter.primary.pixels == server.displays[0].screenshot().pixels
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Self, TypeVar

from spiceemu.guest.display import Display
from spiceemu.protocol.capabilities import ChannelType, DisplayCap, InputsCap, MainCap, to_words
from spiceemu.protocol.link.client import CLIENT_COMMON_CAPABILITIES, ClientLink
from spiceemu.protocol.messages import display, main
from spiceemu.protocol.messages.message import Message
from spiceemu.server import SpiceServer

from ..channels.far_side import FULL, Conversation
from ..channels.painter import Painter

PATIENCE = 10.0
"""Seconds for anything that must happen; how long it really takes is no part of a test."""

CAPABILITIES: dict[int, tuple[int, ...]] = {
    ChannelType.MAIN: (MainCap.NAME_AND_UUID, MainCap.AGENT_CONNECTED_TOKENS),
    ChannelType.DISPLAY: (DisplayCap.MONITORS_CONFIG,),
    ChannelType.INPUTS: (InputsCap.KEY_SCANCODE,),
}

CACHE_SIZE = 1 << 22

MessageType = TypeVar("MessageType", bound=Message)


@contextlib.asynccontextmanager
async def serving(*, debug: bool = True, **options: Any) -> AsyncIterator[SpiceServer]:
    """A server that must leave nothing behind: no task, and no exception that nobody took."""
    loop = asyncio.get_running_loop()
    loop.set_debug(debug)
    unhandled: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    before = asyncio.all_tasks()
    server = SpiceServer(**options)
    await server.start()
    try:
        yield server
    finally:
        await server.close()
        loop.set_debug(False)
        loop.set_exception_handler(None)
    assert not unhandled, unhandled
    assert not asyncio.all_tasks() - before


async def open_socket(
    server: SpiceServer, *, receive_buffer: int | None = None, host: str | None = None, tls: bool = False
) -> socket.socket:
    """Connect to a server, or to its unix socket if it has no port.

    :param receive_buffer: bytes that the kernel keeps for a client that does not read.
    """
    port = server.tls_port if tls else server.port
    if port is None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        address: Any = server.unix_path
    else:
        host = host or server.host
        made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        address = (host, port)
    if receive_buffer is not None:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    made.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(made, address)
    except BaseException:
        made.close()
        raise
    return made


async def turns(count: int = 10) -> None:
    """Let the loop do what is due."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(true: Callable[[], object]) -> None:
    """Let the loop run until something is so."""
    async with asyncio.timeout(PATIENCE):
        while not true():
            await turns(1)


class ProbeChannel:
    """One channel of the client, and the task that reads it.

    :ivar received: every message so far.
    :ivar painter: what a display channel shows.
    """

    def __init__(
        self,
        kind: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        link: ClientLink,
        *,
        answering: bool = True,
    ) -> None:
        self.kind = ChannelType(kind)
        self.painter = Painter()
        self.link = link
        self.conversation = Conversation(self.kind, mini=link.mini_header, answering=answering)
        self.failure: BaseException | None = None
        self._reader = reader
        self._writer = writer
        self._news = asyncio.Event()
        self._reading = asyncio.Event()
        self._reading.set()
        self._task = asyncio.get_running_loop().create_task(self._read())

    @classmethod
    async def linked(
        cls,
        server: SpiceServer,
        kind: int,
        number: int = 0,
        *,
        connection_id: int = 0,
        password: str = "",
        mini: bool = True,
        capabilities: Iterable[int] | None = None,
        answering: bool = True,
        tls: ssl.SSLContext | None = None,
        receive_buffer: int | None = None,
        host: str | None = None,
    ) -> ProbeChannel:
        """Link a channel; raises LinkError if the server refuses, ConnectionError if it only closes."""
        made = await open_socket(server, receive_buffer=receive_buffer, host=host, tls=tls is not None)
        over_tls = {"ssl": tls, "server_hostname": "localhost"} if tls else {}
        # A small limit, for else the reader would take half a picture off the hands of a server that shall wait.
        reader, writer = await asyncio.open_connection(sock=made, limit=4096, **over_tls)
        link = ClientLink(
            kind,
            number,
            connection_id=connection_id,
            password=password.encode(),
            common_capabilities=CLIENT_COMMON_CAPABILITIES if mini else FULL,
            channel_capabilities=to_words(CAPABILITIES.get(kind, ()) if capabilities is None else capabilities),
        )
        try:
            async with asyncio.timeout(PATIENCE):
                await _link(link, reader, writer)
        except BaseException:
            await _close(writer)
            raise
        return cls(kind, reader, writer, link, answering=answering)

    @property
    def received(self) -> list[Message]:
        return self.conversation.received

    @property
    def at_end(self) -> bool:
        """Whether the server has closed the connection."""
        return self._task.done()

    async def _read(self) -> None:
        data = self.link.leftover
        try:
            while True:
                messages, answer = self.conversation.receive_data(data)
                if self.kind is ChannelType.DISPLAY:
                    for message in messages:
                        self.painter.paint(message)
                if answer:
                    self._writer.write(answer)
                self._news.set()
                await self._reading.wait()
                data = await self._reader.read(1 << 18)
                if not data:
                    return
        except ConnectionError:
            pass
        except Exception as error:
            self.failure = error
            raise
        finally:
            self._news.set()

    def pause(self) -> None:
        """Read no more, like a client that hangs."""
        self._reading.clear()

    def resume(self) -> None:
        """Read on."""
        self._reading.set()

    def send(self, *messages: Message) -> None:
        """Send messages."""
        self.send_bytes(self.conversation.frame(*messages))

    def send_bytes(self, data: bytes) -> None:
        """Send whatever bytes."""
        self._writer.write(data)

    async def drain(self) -> None:
        """Wait until the server has taken what was sent, but for what the kernel holds."""
        await self._writer.drain()

    def unsent(self) -> int:
        """Bytes that neither the server nor the kernel has taken yet."""
        return self._writer.transport.get_write_buffer_size()

    async def until(self, true: Callable[[], object]) -> None:
        """Wait until something is true, judged whenever messages came."""
        async with asyncio.timeout(PATIENCE):
            while not true():
                if self.failure is not None:
                    raise self.failure
                assert not self.at_end, f"the server closed the connection; it sent {self.received[-3:]}"
                self._news.clear()
                await self._news.wait()

    async def take(self, kind: type[MessageType], count: int = 1) -> MessageType:
        """Wait for the ``count``-th message of a class."""
        await self.until(lambda: sum(isinstance(message, kind) for message in self.received) >= count)
        return [message for message in self.received if isinstance(message, kind)][count - 1]

    async def wait_end(self) -> None:
        """Wait until the server closes the connection."""
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait([self._task])
        if self.failure is not None:
            raise self.failure

    async def close(self, *, abort: bool = False) -> None:
        """Leave; with ``abort`` without a word."""
        self._reading.set()
        if abort:
            self._writer.transport.abort()
        self._task.cancel()
        await asyncio.wait([self._task])
        await _close(self._writer)
        if not self._task.cancelled():
            self._task.exception()


async def _link(link: ClientLink, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while not link.linked:
        writer.write(link.data_to_send())
        data = await reader.read(1 << 16)
        if not data:
            raise ConnectionError("the server closed the connection")
        link.receive_data(data)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await writer.wait_closed()


class Probe:
    """A whole client: main, and the channels that the server lists.

    :param options: what every channel is linked with; see :meth:`ProbeChannel.linked`.
    :param channels: the types to link of those listed.
    """

    def __init__(
        self,
        server: SpiceServer,
        channels: Iterable[ChannelType] = (ChannelType.DISPLAY, ChannelType.INPUTS, ChannelType.CURSOR),
        **options: Any,
    ) -> None:
        self.server = server
        self.channels: dict[tuple[ChannelType, int], ProbeChannel] = {}
        self._wanted = frozenset(channels)
        self._options = options

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, server: SpiceServer, **options: Any) -> AsyncIterator[Self]:
        """A client that is connected inside ``async with``."""
        probe = cls(server, **options)
        try:
            await probe.connect()
            yield probe
        finally:
            await probe.close()

    async def connect(self) -> None:
        """Link main and the listed channels, as spice-gtk does."""
        main_channel = await self.link(ChannelType.MAIN)
        await main_channel.take(main.Init)
        main_channel.send(main.AttachChannels())
        listed = (await main_channel.take(main.ChannelsList)).channels
        for each in listed:
            if each.type in self._wanted:
                channel = await self.link(ChannelType(each.type), each.id)
                if each.type == ChannelType.DISPLAY:
                    channel.send(display.Init(1, CACHE_SIZE, 1, 0))

    async def link(self, kind: ChannelType, number: int = 0, **options: Any) -> ProbeChannel:
        """Link one channel of this client's session."""
        session = self.session_id if kind is not ChannelType.MAIN else 0
        made = await ProbeChannel.linked(
            self.server, kind, number, **{"connection_id": session, **self._options, **options}
        )
        self.channels[kind, number] = made
        return made

    @property
    def session_id(self) -> int:
        (init,) = (message for message in self.main.received if isinstance(message, main.Init))
        return init.session_id

    @property
    def main(self) -> ProbeChannel:
        return self.channels[ChannelType.MAIN, 0]

    @property
    def inputs(self) -> ProbeChannel:
        return self.channels[ChannelType.INPUTS, 0]

    @property
    def display(self) -> ProbeChannel:
        return self.channels[ChannelType.DISPLAY, 0]

    @property
    def cursor(self) -> ProbeChannel:
        return self.channels[ChannelType.CURSOR, 0]

    async def shows(self, shown: Display) -> None:
        """Wait until this client shows the same as the guest; fails if that does not come."""
        channel = self.channels[ChannelType.DISPLAY, shown.id]

        def same() -> bool:
            screen = channel.painter.surfaces.get(0)
            shot = shown.screenshot()
            return screen is not None and (screen.width, screen.height, screen.pixels) == (
                shot.width,
                shot.height,
                shot.pixels,
            )

        await channel.until(same)

    async def wait_end(self) -> None:
        """Wait until the server has closed every channel."""
        for channel in self.channels.values():
            await channel.wait_end()

    async def close(self, *, abort: bool = False) -> None:
        """Leave with every channel."""
        for channel in reversed(self.channels.values()):
            await channel.close(abort=abort)
        self.channels.clear()
