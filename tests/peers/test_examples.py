"""Every example does what it says, with a real client."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from .clients import WARNINGS_OF_A_LOST_SERVER, GtkClient, requires
from .emulator import StartClient
from .waiting import PATIENCE

EXAMPLES = Path(__file__).parents[2] / "examples"

A, ESCAPE = 0x1E, 0x01


class Running:
    """An example that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def line(self) -> str:
        """The next line that it prints."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            return (await self.process.stdout.readline()).decode().rstrip("\n")

    async def port(self, kind: str = r":(\d+)") -> int:
        """The port in the address it prints."""
        found = re.search(kind, await self.line())
        assert found
        return int(found[1])

    async def ends(self) -> None:
        """Wait until it ends, well."""
        async with asyncio.timeout(PATIENCE):
            assert await self.process.wait() == 0


@contextlib.asynccontextmanager
async def example(name: str, *arguments: str) -> AsyncIterator[Running]:
    """Run an example as its reader would."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(EXAMPLES / f"{name}.py"), *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.fixture
def start(gtk_client: StartClient) -> StartClient:
    """A function that connects a client to a server that ends when its example does, linked or not."""

    async def start_client(**properties: Any) -> GtkClient:
        client = await gtk_client()
        client.expected_warnings += WARNINGS_OF_A_LOST_SERVER
        await client.connect(**properties)
        return client

    return start_client


def test_every_example_is_run_here() -> None:
    written = Path(__file__).read_text()
    assert [path.stem for path in EXAMPLES.glob("*.py") if f'"{path.stem}"' not in written] == []


async def test_five_lines(start: StartClient) -> None:
    async with example("five_lines") as running:
        await start(port=await running.port())
        assert await running.line() == "the client shows it"
        await running.ends()


async def test_drawing(tmp_path: Path) -> None:
    path = tmp_path / "drawing.png"
    async with example("drawing", str(path)) as running:
        assert await running.line() == f"saved {path}"
        await running.ends()
    assert path.read_bytes().startswith(b"\x89PNG")


async def test_clipboard(start: StartClient) -> None:
    async with example("clipboard") as running:
        client = await start(port=await running.port())
        await client.ready()
        await client.event("main-clipboard-selection-grab")
        await client.command("clipboard_grab", types=[1])
        await client.event("main-clipboard-selection-request")
        await client.command("clipboard_notify", data="aGVsbG8=")
        assert await running.line() == "the client copied: 'hello'"
        await running.ends()


async def test_keys(start: StartClient) -> None:
    async with example("keys") as running:
        client = await start(port=await running.port())
        await client.ready()
        await client.command("button_press", button=1, buttons=1)
        await client.command("button_release", button=1)
        for scancode in (A, A, ESCAPE):
            await client.command("key", scancode=scancode)
        assert await running.line() == "typed: 'aa'"
        await running.ends()


async def test_password_and_tls(start: StartClient) -> None:
    pytest.importorskip("cryptography")
    async with example("password_and_tls") as running:
        line = await running.line()
        port, tls_port = (int(re.search(kind, line)[1]) for kind in (r":(\d+)", r"tls-port=(\d+)"))  # type: ignore[index]
        found = re.fullmatch(r"CA (.*), subject (.*), password s3cret", await running.line())
        assert found
        await start(port=port, tls_port=tls_port, password="s3cret", ca_file=found[1], cert_subject=found[2])
        assert re.fullmatch(r"session [0-9a-f]{8} is in", await running.line())
        await running.ends()


async def test_my_client() -> None:
    requires("spicy-screenshot")
    path = EXAMPLES / ("test_my_client" + ".py")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)
    )
    async with asyncio.timeout(PATIENCE * 3):
        assert await process.wait() == 0


@pytest.mark.parametrize(
    ("level", "said"),
    [
        ("0.4", "display.MonitorsConfig needs MONITORS_CONFIG, which level 0.4 does not have"),
        ("0.12", "the client knows of heads"),
    ],
)
async def test_compat(start: StartClient, level: str, said: str) -> None:
    async with example("compat", level) as running:
        await start(port=await running.port())
        assert (await running.line()).endswith(said)
        await running.ends()


@pytest.mark.parametrize(("level", "found"), [("0.8.3", 0), ("0.8", 2)])
async def test_lint(start: StartClient, level: str, found: int) -> None:
    async with example("lint", level) as running:
        await start(port=await running.port(), channels=["display"])
        lines = [await running.line() for _ in range(found + 1)]
        assert lines[-1] == f"{found} findings"
        await running.ends()


async def test_migration(start: StartClient) -> None:
    async with example("migration", "0.1") as running:
        client = await start(port=await running.port())
        await client.ready()
        assert await running.line() == "semi-seamless, to a server like 0.8.3"
        assert await running.line() == "semi-seamless, to a server like 0.15.1"
        picture = await client.screenshot()
        for y in (20, 60, 100):  # where each server wrote
            line = picture.crop(20, y, 300, 8)
            assert len({line.pixel(x, row) for x in range(300) for row in range(8)}) > 1
        await client.command("disconnect")
        await client.event("disconnected")
        await running.ends()
