"""An X screen without a monitor (Xvfb), and the widget clients that need one: remote-viewer.

There is no window manager: windows stand at 0,0 in the size they ask for, and a key goes where the focus was put.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from .clients import WARNINGS_OF_A_REAL_SERVER, environment, requires, warnings_in, without
from .picture import Picture
from .waiting import PATIENCE, eventually

#: Larger than the largest desktop of the tests (1920x1080) with a window's frame around it.
SCREEN_WIDTH, SCREEN_HEIGHT = 2048, 1200

# The head of an X window dump, version 7: 25 big-endian words (X11/XWDFile.h); these are their places.
XWD_HEADER = struct.Struct(">25I")
XWD_HEADER_SIZE, XWD_BITS_PER_PIXEL, XWD_BYTES_PER_LINE, XWD_COLOURS = 0, 11, 12, 19
XWD_COLOUR_SIZE = 12
BYTES_PER_PIXEL = 4


class Window(NamedTuple):
    """A visible window: its X id, title and place on the screen."""

    id: str
    title: str
    x: int
    y: int
    width: int
    height: int


class Screen:
    """A running Xvfb. Its frame buffer is a file, so a picture of it costs no process and no client."""

    def __init__(self, display: str, directory: Path) -> None:
        self.display = display  #: The value for DISPLAY.
        self._buffer = directory / "Xvfb_screen0"
        self._clipboard: asyncio.subprocess.Process | None = None

    def picture(self, x: int = 0, y: int = 0, width: int = SCREEN_WIDTH, height: int = SCREEN_HEIGHT) -> Picture:
        """Return what the screen shows now, or the part of it that this rectangle covers; without a mouse pointer."""
        width, height = min(width, SCREEN_WIDTH - x), min(height, SCREEN_HEIGHT - y)
        with self._buffer.open("rb") as file:
            header = XWD_HEADER.unpack(file.read(XWD_HEADER.size))
            stride = header[XWD_BYTES_PER_LINE]
            if header[XWD_BITS_PER_PIXEL] != BYTES_PER_PIXEL * 8:
                raise ValueError(f"a screen of {header[XWD_BITS_PER_PIXEL]} bits a pixel")
            file.seek(header[XWD_HEADER_SIZE] + header[XWD_COLOURS] * XWD_COLOUR_SIZE + y * stride)
            rows = file.read(height * stride)
        left, right = x * BYTES_PER_PIXEL, (x + width) * BYTES_PER_PIXEL
        return Picture.from_bgrx(
            width, height, b"".join(rows[row * stride + left : row * stride + right] for row in range(height))
        )

    async def run(self, *command: str, check: bool = True) -> str:
        """Run an X client to its end and return its standard output."""
        process = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(DISPLAY=self.display)
        )
        try:
            async with asyncio.timeout(PATIENCE):
                stdout, stderr = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if check and process.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: {stderr.decode(errors='replace')}")
        return stdout.decode(errors="replace")

    async def xdotool(self, *arguments: str, check: bool = True) -> str:
        """Run xdotool and return what it prints."""
        requires("xdotool")
        return await self.run("xdotool", *arguments, check=check)

    async def copy_text(self, text: str) -> None:
        """Own the clipboard, as an application does in which the user copied this text; returns once it is owned."""
        requires("xclip")
        await self._release_text()
        self._clipboard = process = await asyncio.create_subprocess_exec(
            *("xclip", "-quiet", "-in", "-selection", "clipboard"),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment(DISPLAY=self.display),
        )
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(text.encode())
        process.stdin.close()
        # Its first line says that it waits for requests.
        async with asyncio.timeout(PATIENCE):
            await process.stderr.readline()

    async def text(self) -> str | None:
        """Return the clipboard's text; None when nobody owns it or it has no text."""
        requires("xclip")
        return await self.run("xclip", "-out", "-selection", "clipboard", "-target", "UTF8_STRING", check=False) or None

    async def _release_text(self) -> None:
        if self._clipboard is not None and self._clipboard.returncode is None:
            # It may have ended since: another client took the clipboard.
            with contextlib.suppress(ProcessLookupError):
                self._clipboard.kill()
            await self._clipboard.wait()
        self._clipboard = None

    async def reset(self) -> None:
        """Give up the clipboard and move the pointer away: each test begins alike."""
        await self._release_text()
        await self.xdotool("mousemove", str(SCREEN_WIDTH - 1), str(SCREEN_HEIGHT - 1))


@contextlib.contextmanager
def running_screen() -> Iterator[Screen]:
    """Run an Xvfb on the first free display number while the context lasts."""
    requires("Xvfb")
    with tempfile.TemporaryDirectory() as directory:
        readable, writable = os.pipe()
        process = subprocess.Popen(
            [
                *("Xvfb", "-displayfd", str(writable), "-fbdir", directory, "-nocursor", "-noreset"),
                *("-nolisten", "tcp", "-screen", "0", f"{SCREEN_WIDTH}x{SCREEN_HEIGHT}x24"),
            ],
            pass_fds=[writable],
            stderr=subprocess.DEVNULL,
        )
        os.close(writable)
        try:
            # It writes its number once it serves; the pipe ends early only if it died.
            with os.fdopen(readable) as pipe:
                number = pipe.readline().strip()
            if not number:
                raise AssertionError(f"Xvfb ended with {process.wait()}")
            yield Screen(f":{number}", Path(directory))
        finally:
            process.terminate()
            process.wait(PATIENCE)


def write_vv(path: Path, *, authority: Path | None = None, **settings: str | int) -> Path:
    """Write a connection file for remote-viewer, readable by its owner only, and return its path.

    Settings are named as remote-viewer does ("tls_port" for "tls-port"); ``authority`` is a PEM file to put into it.
    """
    lines = {"type": "spice", "host": "127.0.0.1"} | {name.replace("_", "-"): value for name, value in settings.items()}
    if authority is not None:
        lines["ca"] = authority.read_text().replace("\n", "\\n")
    path.touch(mode=0o600)
    path.write_text("[virt-viewer]\n" + "".join(f"{name}={value}\n" for name, value in lines.items()))
    return path


class RemoteViewer:
    """One remote-viewer on a screen, with a home folder of its own, from ``async with`` to its end."""

    def __init__(self, screen: Screen, target: str | Path, *options: str) -> None:
        """``target`` is a URI or a .vv file; ``options`` are those of its command line."""
        requires("remote-viewer", "xdotool")
        self.screen = screen
        self.stderr: list[str] = []  #: The lines it printed.
        self.expected_warnings = [*WARNINGS_OF_A_REAL_SERVER]  #: Patterns; a test adds what it provokes itself.
        self._command = ("remote-viewer", *options, str(target))

    async def __aenter__(self) -> RemoteViewer:
        self._home = tempfile.TemporaryDirectory()
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=self._environment()
        )
        self._reader = asyncio.create_task(self._read_stderr())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End it if it still runs; an AssertionError if it crashed before."""
        early = self.exit_code
        if early is None:
            self._process.terminate()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise AssertionError("remote-viewer hung at its end") from None
        finally:
            await self._reader
            self._home.cleanup()
        if early is not None and early < 0:
            raise AssertionError(f"remote-viewer died of {signal.Signals(-early).name}; {self._report()}")

    @property
    def exit_code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.returncode

    @property
    def warnings(self) -> list[str]:
        """GLib's warning, critical and error lines so far."""
        return warnings_in(self.stderr)

    @property
    def unexpected_warnings(self) -> list[str]:
        """Those of them that the test does not expect."""
        return without(self.warnings, self.expected_warnings)

    async def wait(self) -> int:
        """Wait until it ends by itself and return its exit code."""
        async with asyncio.timeout(PATIENCE):
            return await self._process.wait()

    # --- windows ------------------------------------------------------------------------------------------------------

    async def windows(self) -> list[Window]:
        """Return its visible windows now."""
        numbers = await self.screen.xdotool("search", "--onlyvisible", "--pid", str(self._process.pid), check=False)
        windows = []
        for number in numbers.split():
            # A window may be gone by now: xdotool then prints nothing.
            title = await self.screen.xdotool("getwindowname", number, check=False)
            shape = await self.screen.xdotool("getwindowgeometry", "--shell", number, check=False)
            values = dict(line.split("=", 1) for line in shape.split())
            if {"X", "Y", "WIDTH", "HEIGHT"} <= values.keys():
                place = (int(values[name]) for name in ("X", "Y", "WIDTH", "HEIGHT"))
                windows.append(Window(number, title.rstrip("\n"), *place))
        return windows

    async def window(self, title: str = "") -> Window:
        """Wait for a visible window whose title contains this text."""

        async def look() -> Window | None:
            self._check_alive()
            return next((window for window in await self.windows() if title in window.title), None)

        return await eventually(look, lambda: f"a window titled *{title}*; {self._report()}")

    async def shows(self, wanted: Picture) -> tuple[int, int]:
        """Wait until one of its windows shows this picture, pixel for pixel; returns where on the screen."""

        async def look() -> tuple[int, int] | None:
            self._check_alive()
            for window in await self.windows():
                place = self.screen.picture(*window[2:]).find(wanted)
                if place is not None:
                    return window.x + place[0], window.y + place[1]
            return None

        return await eventually(look, lambda: f"{wanted!r} in a window; {self._report()}")

    async def picture(self) -> Picture:
        """Return what its first window shows now, frame and all."""
        return self.screen.picture(*(await self.window())[2:])

    async def resize(self, width: int, height: int) -> None:
        """Give its first window a new outer size, in pixels; returns once the window has it."""
        window = await self.window()
        await self.screen.xdotool("windowsize", "--sync", window.id, str(width), str(height))

    # --- a user's hands -----------------------------------------------------------------------------------------------

    async def focus(self, title: str = "") -> None:
        """Put the pointer into a window and the keyboard's focus on it: spice-gtk wants both."""
        window = await self.window(title)
        await self.move(window.x + window.width // 2, window.y + window.height // 2)
        await self.screen.xdotool("windowfocus", "--sync", window.id)

    async def answer_password(self, password: str) -> None:
        """Wait for the question for a password and answer it; returns once that window is gone."""
        window = await self.window("Authentication required")
        await self.focus(window.title)
        await self.type(password)
        await self.key("Return")
        await self._gone(window)

    async def dismiss_error(self) -> None:
        """Wait for an error message, which is the one window without title, and close it.

        After a wrong password it asks for one again; after any other error it ends, with exit code 0.
        """

        async def look() -> Window | None:
            return next((window for window in await self.windows() if not window.title), None)

        window = await eventually(look, lambda: f"an error message; {self._report()}")
        await self.screen.xdotool("windowfocus", "--sync", window.id)
        await self.key("Return")
        await self._gone(window)

    async def _gone(self, window: Window) -> None:
        async def look() -> bool:
            return self.exit_code is not None or window.id not in [other.id for other in await self.windows()]

        await eventually(look, lambda: f"the end of {window}; {self._report()}")

    async def type(self, text: str) -> None:
        """Type a text on the keyboard, wherever the focus is."""
        await self.screen.xdotool("type", text)

    async def key(self, *keys: str) -> None:
        """Press and release keys by X names: "Return", "ctrl+v"."""
        await self.screen.xdotool("key", *keys)

    async def move(self, x: int, y: int) -> None:
        """Move the pointer to a place on the screen."""
        await self.screen.xdotool("mousemove", str(x), str(y))

    async def click(self, button: int = 1) -> None:
        """Press and release a button (1 left, 2 middle, 3 right, 4 and 5 the wheel) where the pointer is."""
        await self.screen.xdotool("click", str(button))

    async def drag(self, x: int, y: int, button: int = 1) -> None:
        """Press a button where the pointer is, move to a place on the screen and release it there."""
        await self.screen.xdotool("mousedown", str(button), "mousemove", str(x), str(y), "mouseup", str(button))

    def _environment(self) -> dict[str, str]:
        runtime = Path(self._home.name, "run")
        runtime.mkdir(mode=0o700)
        return environment(
            DISPLAY=self.screen.display,
            GDK_BACKEND="x11",
            HOME=self._home.name,
            XDG_RUNTIME_DIR=str(runtime),
            # No message bus: it would find the user's, and another remote-viewer there.
            DBUS_SESSION_BUS_ADDRESS="disabled:",
            NO_AT_BRIDGE="1",
            GSETTINGS_BACKEND="memory",
            LANG="C.UTF-8",
        )

    def _check_alive(self) -> None:
        if self.exit_code is not None:
            raise AssertionError(f"remote-viewer ended with {self.exit_code}; {self._report()}")

    def _report(self) -> str:
        return "its standard error:\n" + "\n".join(self.stderr[-20:])

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.stderr.append(line.decode(errors="replace").rstrip("\n"))
