"""The examples that need a client, with a real one."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from .emulator import StartClient
from .waiting import PATIENCE


async def test_migration(gtk_client: StartClient, checkout: Path) -> None:
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, str(checkout / "examples" / "migration.py"), "0.1"), stdout=subprocess.PIPE
    )
    assert program.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            port = urlsplit((await program.stdout.readline()).decode()).port
            client = await gtk_client(port=port)
            await client.ready()
            assert await program.stdout.readline() == b"semi-seamless, to a server like 0.8.3\n"
            assert await program.stdout.readline() == b"semi-seamless, to a server like 0.15.1\n"
            picture = await client.screenshot()
            assert (picture.width, picture.height) == (400, 200)
            for y in (20, 60, 100):  # where each server wrote
                line = picture.crop(20, y, 300, 8)
                assert len({line.pixel(x, row) for x in range(300) for row in range(8)}) > 1
            await client.command("disconnect")
            await client.event("disconnected")
            assert await program.wait() == 0
    finally:
        if program.returncode is None:
            program.kill()
            await program.wait()
