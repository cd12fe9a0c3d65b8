"""Stands between a client and a server, and tells what in their talk a server of 0.8.3 would not have said.

The server is one of ours here; ``parse_target("HOST:PORT")`` names any other.
"""

import asyncio
import sys

from spiceemu import SpiceServer
from spiceemu.judge.connection import ConnectionJudge
from spiceemu.judge.finding import Finding
from spiceemu.judge.stream import StreamJudge
from spiceemu.protocol.levels.level import level_of
from spiceemu.recordings.relay import Relay, RelayObserver, parse_target
from spiceemu.serving.wiretap import Wire


class Judging(RelayObserver):
    """Hands on what passes, and hears the judge on it."""

    def __init__(self, level: str) -> None:
        """Begin with no findings."""
        self.judge = StreamJudge(level_of(level))
        self.connections: dict[int, ConnectionJudge] = {}
        self.findings: list[Finding] = []

    def opened(self, connection: Wire) -> None:
        """A client has connected."""
        self.connections[connection.number] = self.judge.connection(str(connection.number))

    def client_data(self, connection: Wire, data: bytes) -> bytes:
        """The client has said something."""
        self.findings += self.connections[connection.number].client_data(data)
        return data

    def server_data(self, connection: Wire, data: bytes) -> bytes:
        """The server has said something."""
        self.findings += self.connections[connection.number].server_data(data)
        return data


async def main(level: str) -> None:
    observer = Judging("0.8.3")
    async with SpiceServer(compat=level) as server:
        relay = Relay(parse_target(f"127.0.0.1:{server.port}"), observer=observer)
        async with relay:
            print(relay.uri, flush=True)
            client = await server.wait_client(timeout=None)
            await client.synced()
        for finding in observer.findings:
            print(finding)
        print(f"{len(observer.findings)} findings", flush=True)


asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "0.15.1"))
