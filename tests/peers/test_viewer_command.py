"""The command from its start to its end, with real clients at the address that it prints."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from .clients import WARNINGS_OF_A_LOST_SERVER, GtkClient, spicy_screenshot
from .conftest import PASSWORD
from .emulator import StartClient, StartViewer
from .picture import Picture
from .screen import RemoteViewer
from .waiting import PATIENCE, eventually

CONNECTION_FAILED = 20

#: More than remote-viewer's own window has, in which there is no desktop yet.
COLOURS_OF_THE_DESKTOP = 150


@asynccontextmanager
async def serving(*options: str) -> AsyncIterator[tuple[Process, str]]:
    """Run ``spiceemu serve`` on any free port; gives the process and its first line."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "spiceemu", "serve", "--port", "0", *options), stdout=PIPE, stderr=PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            line = await process.stdout.readline()
        yield process, line.decode().rstrip("\n")
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def end(process: Process, by: signal.Signals) -> tuple[int, bytes, bytes]:
    """Send a signal and return the exit code, the rest of standard output, and standard error."""
    process.send_signal(by)
    async with asyncio.timeout(PATIENCE):
        out, error = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out, error


def colours(picture: Picture) -> int:
    """How many different colours a picture has."""
    return len(set(zip(*[iter(picture.rgb)] * 3, strict=True)))


async def shows_the_same(viewer: RemoteViewer, client: GtkClient) -> Picture:
    """Wait until the viewer's window shows what the scripted client has; the desktop may go on changing."""

    async def look() -> Picture | None:
        windows = await viewer.windows()
        wanted = await client.screenshot()
        shown = (viewer.screen.picture(*window[2:]) for window in windows)
        return wanted if any(picture.find(wanted) is not None for picture in shown) else None

    return await eventually(look, lambda: f"the desktop in a window; {viewer.stderr}")


async def test_one_command_and_an_unmodified_viewer(gtk_client: StartClient, remote_viewer: StartViewer) -> None:
    async with serving("--share", "--title", "Guest of the command") as (process, uri):
        assert uri.startswith("spice://127.0.0.1:")
        client = await gtk_client(uri=uri)
        await client.ready()
        viewer = await remote_viewer(uri)
        await viewer.window("Guest of the command")
        desktop = await shows_the_same(viewer, client)
        assert (desktop.width, desktop.height) == (1024, 768)
        assert colours(desktop) >= COLOURS_OF_THE_DESKTOP

        # It answers: what is typed and where the pointer goes changes it, and the viewer shows that.
        await viewer.focus()
        await viewer.type("hello")
        await client.event("display-invalidate")
        assert await shows_the_same(viewer, client) != desktop

        assert await end(process, signal.SIGTERM) == (0, b"", b"")
        assert await viewer.wait() == 0
        for channel in ("main", "display", "inputs", "cursor"):
            await client.event("closed", type=channel)
        assert [event for event in client.events if event["event"] == "error"] == []
        assert (await spicy_screenshot(uri=uri)).channel_event == CONNECTION_FAILED


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT], ids=lambda by: by.name)
async def test_a_viewer_with_the_file_that_the_command_wrote(
    remote_viewer: StartViewer, tmp_path: Path, by: signal.Signals
) -> None:
    file, password = tmp_path / "guest.vv", tmp_path / "password"
    password.write_text(PASSWORD + "\n")
    options = ("--vv", str(file), "--password-file", str(password), "--tls-port", "0", "--tls-channels", "all")
    async with serving(*options, "--json", "--size", "801x601") as (process, line):
        ports = json.loads(line)
        assert {"uri", "port", "tls_port"} <= ports.keys()
        assert file.stat().st_mode & 0o777 == 0o600
        viewer = await remote_viewer(file)

        async def look() -> bool:
            return colours((await viewer.picture()).crop(0, 0, 801, 601)) >= COLOURS_OF_THE_DESKTOP

        await eventually(look, lambda: f"a desktop in the window; {viewer.stderr}")
        viewer.expected_warnings += WARNINGS_OF_A_LOST_SERVER
        code, out, error = await end(process, by)
        assert (code, out) == (0, b"")
        assert b"Traceback" not in error
