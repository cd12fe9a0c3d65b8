"""A client that lets itself be moved, over real sockets, and can stop anywhere on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from spiceemu.protocol.capabilities import ChannelType, MainCap
from spiceemu.protocol.messages import base, display, main
from spiceemu.server import SpiceServer

from .probe import CACHE_SIZE, CAPABILITIES, Probe, ProbeChannel

ALL = tuple(MainCap)
MAIN, DISPLAY, INPUTS, CURSOR = ChannelType.MAIN, ChannelType.DISPLAY, ChannelType.INPUTS, ChannelType.CURSOR
WITH_STATE = MAIN, DISPLAY, INPUTS


class Follower(Probe):
    """A client at one server, and on its way to another.

    :param able: the capabilities of its main channel.
    :ivar there: its channels at the target.
    """

    def __init__(self, server: SpiceServer, able: Iterable[int] = ALL, **options: Any) -> None:
        super().__init__(server, **options)
        self.able = tuple(able)
        self.there: dict[tuple[ChannelType, int], ProbeChannel] = {}

    @classmethod
    @asynccontextmanager
    async def at(cls, server: SpiceServer, able: Iterable[int] = ALL, **options: Any) -> AsyncIterator[Follower]:
        """A client that is connected, and whose first display shows something."""
        made = cls(server, able, **options)
        try:
            await made.connect()
            await made.display.take(display.Mark)
            yield made
        finally:
            await made.close()
            for channel in made.there.values():
                await channel.close()

    async def link(self, kind: ChannelType, number: int = 0, **options: Any) -> ProbeChannel:
        able = self.able if kind is MAIN else CAPABILITIES.get(kind, ())
        return await super().link(kind, number, **{"capabilities": able, **options})

    async def link_there(self, target: SpiceServer, *, asks: bool = False, **options: Any) -> None:
        """Link all channels to the target with the old session's id; with ``asks`` for them to go on as they are."""
        for kind, number in self.channels:
            able = self.able if kind is MAIN else CAPABILITIES.get(kind, ())
            channel = await ProbeChannel.linked(
                target, kind, number, connection_id=self.session_id, capabilities=able, **options
            )
            self.there[kind, number] = channel
            if asks:
                channel.painter = self.channels[kind, number].painter  # what it shows goes on
            if asks and kind is MAIN:
                channel.send(main.MigrateDstDoSeamless(1))
                await channel.take(main.MigrateDstSeamlessAck)

    async def leave(self) -> None:
        """Leave the source."""
        await Probe.close(self)

    async def flush(self) -> None:
        """Wait until every channel is stopped, and say the last on each."""
        for (kind, _), channel in self.channels.items():
            await channel.take(base.Migrate)
            if kind in WITH_STATE:
                channel.send(base.MigrateFlushMark())

    async def states(self) -> dict[tuple[ChannelType, int], base.MigrateData]:
        """Wait for the state of every channel that has one."""
        return {
            key: await channel.take(base.MigrateData) for key, channel in self.channels.items() if key[0] in WITH_STATE
        }

    async def resume(self, states: dict[tuple[ChannelType, int], base.MigrateData]) -> None:
        """Take the states along."""
        for key, state in states.items():
            self.there[key].send(base.MigrateData(state.data))

    async def link_seamlessly(self, target: SpiceServer) -> None:
        """From MIGRATE_BEGIN_SEAMLESS to channels at the target, of which the source knows."""
        await self.main.take(main.MigrateBeginSeamless)
        await self.link_there(target, asks=True)
        self.main.send(main.MigrateConnectedSeamless())

    async def follow_semi_seamlessly(self, target: SpiceServer) -> None:
        """From MIGRATE_BEGIN to a session at the target that has begun."""
        await self.main.take(main.MigrateBegin)
        await self.link_there(target)
        self.main.send(main.MigrateConnected())
        await self.main.take(main.MigrateEnd)
        await self.leave()
        self.there[MAIN, 0].send(main.MigrateEnd())
        await self.there[MAIN, 0].take(main.Init)
        for (kind, _), channel in self.there.items():
            if kind is DISPLAY:
                channel.send(display.Init(1, CACHE_SIZE, 1, 0))

    async def follow_seamlessly(self, target: SpiceServer) -> None:
        """From MIGRATE_BEGIN_SEAMLESS to channels at the target that go on."""
        await self.link_seamlessly(target)
        await self.flush()
        states = await self.states()
        await self.leave()
        await self.resume(states)

    async def follow_host(self, target: SpiceServer) -> None:
        """From SWITCH_HOST to a new session at the target."""
        await self.main.take(main.MigrateSwitchHost)
        await self.leave()
        self.server = target
        await self.connect()
        self.there, self.channels = self.channels, {}
