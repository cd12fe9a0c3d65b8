"""How a test of a client looks: start the client, wait until it shows the picture, compare, watch it leave.

``pytest test_my_client.py`` needs ``pytest-asyncio`` and, as the client under test, ``spicy-screenshot``; within this
checkout, whose settings count there, ``pytest-timeout`` as well.
"""

import asyncio
import shutil
from pathlib import Path

import pytest

from spiceemu import SpiceServer

CLIENT = "spicy-screenshot"


@pytest.mark.asyncio
@pytest.mark.skipif(not shutil.which(CLIENT), reason=f"{CLIENT} is in Debian's package spice-client-gtk")
async def test_client_takes_the_picture(tmp_path: Path) -> None:
    async with SpiceServer(displays=[(64, 48)]) as server:
        server.displays[0].fill((0, 0, 64, 48), "orange")
        shot = tmp_path / "shot.ppm"
        process = await asyncio.create_subprocess_exec(
            CLIENT, "-h", server.host, "-p", str(server.port), "-o", str(shot)
        )
        client = await server.wait_client(timeout=10)
        await client.wait_disconnected(timeout=10)
        assert await process.wait() == 0
        assert shot.read_bytes().endswith(bytes((255, 165, 0)) * 64 * 48)
