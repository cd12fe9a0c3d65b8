"""Makes docs/screenshot.png: the demo desktop in a real remote-viewer, after somebody has typed and clicked.

Needs the real clients (``make peers``) and ImageMagick's ``import``; run it from the checkout.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from spiceemu import KeyDown, SpiceServer
from spiceemu.desktop.demo import run_demo

SCREEN = "1076x836x24"
WINDOW = "1034x823+0+0"  # what remote-viewer makes of a desktop of 1024x768
TEXT = "\nhello from remote-viewer"
LAST_KEY = 0x13  # the last letter of the text


async def run(*command: str, **variables: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **variables}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    output, _ = await process.communicate()
    return output.decode().strip()


async def until(command: tuple[str, ...], **variables: str) -> str:
    """Ask again until the command has something to say."""
    while not (output := await run(*command, **variables)):  # noqa: ASYNC110 - another process has no event for us
        await asyncio.sleep(0.1)
    return output


async def shoot(path: Path, display: str, home: str) -> None:
    async with SpiceServer() as server:
        demo = asyncio.create_task(run_demo(server))
        variables = {"DISPLAY": display, "HOME": home, "GDK_BACKEND": "x11", "DBUS_SESSION_BUS_ADDRESS": "disabled:"}
        viewer = await asyncio.create_subprocess_exec("remote-viewer", server.uri, env={**os.environ, **variables})
        client = await server.wait_client()
        await client.synced()
        window = (await until(("xdotool", "search", "--onlyvisible", "--name", "spiceemu"), DISPLAY=display)).split()[
            -1
        ]
        await run("xdotool", "windowfocus", "--sync", window, DISPLAY=display)
        await run("xdotool", "mousemove", "300", "330", "click", "1", DISPLAY=display)
        await run("xdotool", "type", TEXT, DISPLAY=display)
        await client.expect(KeyDown(LAST_KEY))
        server.guest.clipboard.set_text("copied in the guest")
        await run("xdotool", "mousemove", "330", "715", "mousedown", "1", DISPLAY=display)
        await run("xdotool", "mousemove", "360", "720", "mousemove", "390", "725", DISPLAY=display)
        await asyncio.sleep(1.1)  # the clock's next second, so that nothing is half drawn
        await client.synced()
        await run("import", "-window", "root", "-crop", WINDOW, str(path), DISPLAY=display)
        viewer.terminate()
        await viewer.wait()
        demo.cancel()


def main() -> None:
    path = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/screenshot.png").resolve()
    reading, writing = os.pipe()
    screen = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", SCREEN, "-nolisten", "tcp"],
        pass_fds=(writing,),
        stderr=subprocess.DEVNULL,
    )
    try:
        with os.fdopen(reading) as numbers, tempfile.TemporaryDirectory() as home:
            asyncio.run(shoot(path, f":{numbers.readline().strip()}", home))
    finally:
        screen.terminate()
        screen.wait()
    print(f"saved {path}")


if __name__ == "__main__":
    main()
