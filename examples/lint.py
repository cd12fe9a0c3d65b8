"""Records what passes between a client and a server, and tells what in it a server of 0.8.3 would not have said.

The server is one of ours here; ``parse_target("HOST:PORT")`` names any other. ``read_recording`` reads what ``spiceemu
record`` wrote as well, and ``spiceemu lint`` is the same as a command.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from spiceemu import ClientBytes, Recorder, Relay, SpiceServer, StreamJudge, parse_target, read_recording


async def record(level: str, path: Path) -> None:
    async with SpiceServer(compat=level) as server:
        address = f"127.0.0.1:{server.port}"
        with path.open("wb") as file:
            recorder = Recorder(file, address)
            async with Relay(parse_target(address), observer=recorder) as relay:
                print(relay.uri, flush=True)
                client = await server.wait_client(timeout=None)
                await client.synced()
            recorder.end()


def lint(path: Path) -> None:
    judge = StreamJudge("0.8.3")
    connections = {}
    findings = []
    for piece in read_recording(path).pieces:
        if piece.connection not in connections:
            connections[piece.connection] = judge.connection(str(piece.connection))
        connection = connections[piece.connection]
        hear = connection.client_data if isinstance(piece, ClientBytes) else connection.server_data
        findings += hear(piece.data)
    findings += judge.finish()
    for finding in findings:
        print(finding)
    print(f"{len(findings)} findings", flush=True)


with tempfile.TemporaryDirectory() as folder:
    session = Path(folder, "session.rec")
    asyncio.run(record(sys.argv[1] if len(sys.argv) > 1 else "0.15.1", session))
    lint(session)
