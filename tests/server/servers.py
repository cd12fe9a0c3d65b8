"""Servers to look at: the links of any level, and a main channel that has just what a probe needs."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from spiceemu.errors import BadConnectionId, ChannelNotAvailable, PermissionDenied
from spiceemu.protocol.capabilities import ChannelType, Words
from spiceemu.protocol.framing import MAX_CLIENT_BODY, FrameReader, FrameWriter
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.levels.level import Level
from spiceemu.protocol.link.server import Linked, LinkRequest, ServerLink
from spiceemu.protocol.messages import main
from spiceemu.protocol.messages.message import CLIENT, SERVER
from spiceemu.protocol.messages.types import ChannelId

SESSION_ID = 0x1234
PATIENCE = 10.0

USUAL = ((ChannelType.DISPLAY, 0), (ChannelType.CURSOR, 0), (ChannelType.INPUTS, 0))


class LevelPolicy:
    """Decides as a server of a level does.

    :param channels: what it lists; main is there as well.
    """

    def __init__(self, level: Level, channels: Sequence[tuple[int, int]], password: bytes = b"") -> None:
        self.level = level
        self.channels = channels
        self.password = password

    @property
    def version(self) -> tuple[int, int]:
        return 2, self.level.minor

    def _look_for(self, request: LinkRequest) -> None:
        wanted = request.channel_type, request.channel_id
        if wanted != (ChannelType.MAIN, 0) and wanted not in self.channels:
            raise ChannelNotAvailable("no such channel")

    def admit(self, request: LinkRequest) -> None:
        if self.level.has(Feature.SILENT_REFUSAL):
            self._look_for(request)

    def capabilities(self, request: LinkRequest) -> tuple[Words, Words]:
        return self.level.words(request.channel_type, request.channel_capabilities)

    def check_password(self, ticket: bytes | None, now: float) -> None:
        if ticket is None and self.level.has(Feature.STRICT_TICKET):
            raise PermissionDenied("not decrypted")
        if self.password and (ticket or b"").rstrip(b"\0") != self.password:
            raise PermissionDenied("not the password")

    def check_session(self, request: LinkRequest) -> None:
        if request.channel_type != ChannelType.MAIN and request.connection_id != SESSION_ID:
            raise BadConnectionId("no such session")
        self._look_for(request)


class LevelServer:
    """A server of a level.

    :ivar port: where it listens.
    :ivar linked: the channels it was asked for and has given.
    :ivar left: those that the client has closed, in order.
    :ivar said: ids of the messages that came on displays.
    """

    def __init__(self, policy: LevelPolicy) -> None:
        self.policy = policy
        self.port = 0
        self.linked: list[tuple[int, int]] = []
        self.left: list[tuple[int, int]] = []
        self.said: list[int] = []
        self.requests: list[LinkRequest] = []

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            link = ServerLink(self.policy, secure=False, now=time.monotonic())
            while not link.finished:
                data = await reader.read(4096)
                if not data:
                    break
                link.receive_data(data, time.monotonic())
                writer.write(link.data_to_send())
            if link.request is not None:
                self.requests.append(link.request)
            if link.linked is not None:
                self.linked.append((link.linked.request.channel_type, link.linked.request.channel_id))
                await self.converse(link.linked, reader, writer)
                self.left.append((link.linked.request.channel_type, link.linked.request.channel_id))
        writer.close()

    async def converse(self, linked: Linked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin a session on main and list the channels; keep any other channel open."""
        mini = linked.mini_header
        frames = FrameReader(mini=mini, max_body=MAX_CLIENT_BODY)
        messages = FrameWriter(mini=mini, direction=SERVER)
        is_main = linked.request.channel_type == ChannelType.MAIN
        if is_main:
            writer.writelines(messages.frame(main.Init(SESSION_ID, 1, 1, 1, 0, 10, 0, 0)))
        while data := await reader.read(4096):
            for number, _, _ in frames.receive_data(data):
                if linked.request.channel_type == ChannelType.DISPLAY:
                    self.said.append(number)
                if is_main and number == main.AttachChannels.spec.ids[CLIENT]:
                    listed = [ChannelId(*each) for each in self.policy.channels]
                    writer.writelines(messages.frame(main.ChannelsList(listed)))


@contextlib.asynccontextmanager
async def serving_level(
    level: Level,
    channels: Sequence[tuple[int, int]] = USUAL,
    *,
    password: str = "",
    kind: type[LevelServer] = LevelServer,
    tls: ssl.SSLContext | None = None,
    unix_path: Path | None = None,
) -> AsyncIterator[LevelServer]:
    """A server of a level that listens."""
    server = kind(LevelPolicy(level, channels, password.encode()))
    if unix_path is not None:
        listener: asyncio.AbstractServer = await asyncio.start_unix_server(server.connected, unix_path)
    else:
        listener = await asyncio.start_server(server.connected, "127.0.0.1", 0, ssl=tls)
        server.port = listener.sockets[0].getsockname()[1]
    before = asyncio.all_tasks()
    try:
        yield server
    finally:
        listener.close()
        rest = asyncio.all_tasks() - before - {asyncio.current_task()}
        if rest:  # connections that see their end in the next turns
            await asyncio.wait(rest, timeout=PATIENCE)
