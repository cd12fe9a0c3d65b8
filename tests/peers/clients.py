"""Real SPICE clients without a screen: spicy-screenshot, and spice-gtk scripted through gtk_client.py.

Everything is async, so that a server in the test's own event loop can answer meanwhile.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeVar

import pytest

from .picture import Picture
from .waiting import PATIENCE

T = TypeVar("T")

SYSTEM_PYTHON = "/usr/bin/python3"
GTK_CLIENT = Path(__file__).with_name("gtk_client.py")

#: Where each peer comes from: its name -> the Debian packages.
PACKAGES = {
    "spicy-screenshot": "spice-client-gtk",
    "spice-gtk": "gir1.2-spiceclientglib-2.0 python3-gi",
    "remote-viewer": "virt-viewer",
    "Xvfb": "xvfb",
    "xdotool": "xdotool",
    "xclip": "xclip",
    "tshark": "tshark",
    "qemu-system-x86_64": "qemu-system-x86 qemu-system-gui",
}

#: Longest line the scripted client may send: a cursor of 256x256 in base64 is a third of it.
LONGEST_LINE = 1 << 20

#: The clipboard's data type for text (vd_agent.h, VD_AGENT_CLIPBOARD_UTF8_TEXT).
UTF8_TEXT = 1

# "(remote-viewer:123): GSpice-WARNING **: 05:54:39.421: text", as GLib prints it; the time is missing in old releases.
WARNING_LINE = re.compile(r"\(.*?:\d+\): (?:(\S+)-)?(WARNING|CRITICAL|ERROR) \*\*: (?:[\d:.]+: )?(.*)")

# As PyGObject prints GLib's own warnings: "/usr/lib/.../GLib.py:497: Warning: text".
GLIB_WARNING_LINE = re.compile(r"\S+:\d+: Warning: (.*)")

#: What a real server (libspice-server 0.15.1) provokes as well, as patterns. With QEMU there is nothing. The agent of
#: Xspice makes spice-gtk ask for the sound's volume, on a machine that has no sound: the first two come without
#: GStreamer's plugins-good, the third with them.
WARNINGS_OF_A_REAL_SERVER = (
    r'GSpice-WARNING: Failed to create pipeline: no element "autoaudio(sink|src)"',
    r"GLib(-GObject-CRITICAL)?: g_object_(ref|get|unref): assertion 'G_IS_OBJECT \(object\)' failed",
    r"GLib(-GObject-\w+)?: g_object_get_is_valid_property: object class 'GstAutoAudio(Sink|Src)' has no property .*",
)

#: What spice-gtk prints when it does not trust the server's certificate, whoever the server is.
WARNINGS_OF_DISTRUST = (
    r"Spice-WARNING: .*:openssl_verify: Error in .* verification: .*",
    r"GSpice-WARNING: main-\d+:0: SSL_connect: .*",
)

#: What spice-gtk prints when it is saying something as the server ends, or has not linked all its channels.
WARNINGS_OF_A_LOST_SERVER = (
    "GSpice-WARNING: Error (sending|receiving) data: .*",
    "GSpice-WARNING: incomplete .*",
    r"GSpice-WARNING: \w+-\d+:\d+: SSL_connect: .*",
)


def requires(*peers: str) -> None:
    """Skip the test, naming the Debian package, unless all these peers are installed.

    With SPICEEMU_REQUIRE_PEERS=1 in the environment a missing peer is a failure.
    """
    for peer in peers:
        packages = PACKAGES[peer]
        if not _installed(peer):
            reason = f"{peer} is not installed (Debian: {packages})"
            if os.environ.get("SPICEEMU_REQUIRE_PEERS") == "1":
                pytest.fail(reason)
            pytest.skip(reason)


@functools.cache
def _installed(peer: str) -> bool:
    if peer != "spice-gtk":
        return shutil.which(peer) is not None
    probe = "import gi; gi.require_version('SpiceClientGLib', '2.0')"
    return Path(SYSTEM_PYTHON).exists() and not subprocess.call([SYSTEM_PYTHON, "-c", probe], stderr=subprocess.DEVNULL)


def environment(**changes: str) -> dict[str, str]:
    """Return the environment for a client: ours without what changes its output or its way to the server."""
    unwanted = {"SPICE_DEBUG", "G_MESSAGES_DEBUG", "SPICE_PROXY", "DISPLAY", "WAYLAND_DISPLAY", "PYTHONPATH"}
    return {name: value for name, value in os.environ.items() if name not in unwanted} | changes


def warnings_in(lines: list[str]) -> list[str]:
    """Return GLib's WARNING, CRITICAL and ERROR lines without process and time: ``GSpice-WARNING: text``."""
    warnings = []
    for line in lines:
        if match := WARNING_LINE.fullmatch(line):
            domain, level, text = match.groups()
            warnings.append(f"{domain}-{level}: {text}" if domain else f"{level}: {text}")
        elif match := GLIB_WARNING_LINE.fullmatch(line):
            warnings.append(f"GLib: {match[1]}")
    return warnings


def without(lines: list[str], patterns: Iterable[str]) -> list[str]:
    """Return the lines that match none of the patterns as a whole."""
    known = [re.compile(pattern) for pattern in patterns]
    return [line for line in lines if not any(pattern.fullmatch(line) for pattern in known)]


class Screenshot(NamedTuple):
    """What one run of spicy-screenshot gave."""

    exit_code: int  #: 0 only when it took a picture.
    picture: Picture | None
    stderr: str

    @property
    def channel_event(self) -> int | None:
        """The main channel's event that stopped it, if any: 20 no connection, 21 TLS, 22 link, 23 password."""
        found = re.search(r"main channel event: (\d+)", self.stderr)
        return int(found[1]) if found else None


async def spicy_screenshot(
    *,
    uri: str | None = None,
    host: str = "127.0.0.1",
    port: int | None = None,
    tls_port: int | None = None,
    password: str | None = None,
    ca_file: Path | None = None,
    timeout: float = PATIENCE,
) -> Screenshot:
    """Run spicy-screenshot once. It keeps the primary as it is after the *first* drawing that reaches it."""
    requires("spicy-screenshot")
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory, "out.ppm")
        command = ["spicy-screenshot", "--out-file", str(output)]
        command += ["--uri", uri] if uri is not None else ["--host", host]
        for option, value in (("--port", port), ("--secure-port", tls_port), ("--password", password)):
            command += [option, str(value)] if value is not None else []
        # It has no option for an authority, but OpenSSL has a variable.
        trust = {} if ca_file is None else {"SSL_CERT_FILE": str(ca_file)}
        process = await asyncio.create_subprocess_exec(
            *command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(**trust)
        )
        try:
            async with asyncio.timeout(timeout):
                _, stderr = await process.communicate()
        except TimeoutError:
            raise AssertionError(f"spicy-screenshot took no picture within {timeout:g} seconds") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return Screenshot(process.returncode, _picture_in(output), stderr.decode(errors="replace"))


def _picture_in(path: Path) -> Picture | None:
    return Picture.from_ppm(path.read_bytes()) if path.exists() else None


class CommandFailed(Exception):
    """The scripted client could not carry out a command; the text is its reason."""


class GtkClient:
    """A scripted spice-gtk client in a child process.

    ``async with GtkClient() as client:`` starts and ends it; gtk_client.py lists its commands and events.
    """

    def __init__(self) -> None:
        requires("spice-gtk")
        self.events: list[dict[str, Any]] = []  #: All events so far, in order.
        self.stderr: list[str] = []  #: The lines it printed.
        self.expected_warnings = [*WARNINGS_OF_A_REAL_SERVER]  #: Patterns; a test adds what it provokes itself.
        self._unclaimed: list[dict[str, Any]] = []
        self._news = asyncio.Event()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count(1)
        self._ended = False
        self._killed = False

    async def __aenter__(self) -> GtkClient:
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                SYSTEM_PYTHON,
                str(GTK_CLIENT),
                str(theirs.fileno()),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                env=environment(),
            )
        reader, self._writer = await asyncio.open_connection(sock=ours, limit=LONGEST_LINE)
        self._directory = tempfile.TemporaryDirectory()
        self._readers = [asyncio.create_task(self._read_events(reader)), asyncio.create_task(self._read_stderr())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close its input, which ends it; an AssertionError if it hangs (it is killed then) or has crashed."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise AssertionError("the scripted client hung at its end") from None
        finally:
            await asyncio.gather(*self._readers)
            self._writer.close()
            self._directory.cleanup()
        if self._process.returncode != 0 and not self._killed:
            raise self._end()

    async def kill(self) -> None:
        """Let the process die without a word."""
        self._killed = True
        self._process.kill()
        await self._process.wait()

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Stop the process while the context lasts; what comes meanwhile it then finds all at once."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    @property
    def warnings(self) -> list[str]:
        """GLib's warning, critical and error lines so far."""
        return warnings_in(self.stderr)

    @property
    def unexpected_warnings(self) -> list[str]:
        """Those of them that the test does not expect."""
        return without(self.warnings, self.expected_warnings)

    # --- commands -----------------------------------------------------------------------------------------------------

    async def command(self, command: str, **arguments: Any) -> Any:
        """Have a command carried out and return its value; raises CommandFailed with the client's reason."""
        if self._ended:
            raise self._end()
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, "command": command, **arguments}).encode() + b"\n")
        try:
            async with asyncio.timeout(PATIENCE):
                return await answer
        except TimeoutError:
            raise AssertionError(f"the scripted client does not answer to {command}; {self._report()}") from None

    async def connect(self, *, host: str = "127.0.0.1", **properties: Any) -> None:
        """Connect: ``port``, ``tls_port``, ``password``, ``ca_file``, ``uri``, ``unix_path``, ``channels``..."""
        if "uri" not in properties and "unix_path" not in properties:
            properties["host"] = host
        texts = {name: value if isinstance(value, list) else str(value) for name, value in properties.items()}
        await self.command("connect", **texts)

    async def screenshot(self, channel: int = 0) -> Picture:
        """Return the primary surface of a display channel as the client has it now."""
        path = Path(self._directory.name) / "primary"
        shape = await self.command("screenshot", path=str(path), channel=channel)
        return Picture.from_bgrx(shape["width"], shape["height"], path.read_bytes())

    async def type(self, *scancodes: int) -> None:
        """Press and release keys in turn (PC XT set 1; 0x100 stands for the 0xe0 prefix)."""
        for scancode in scancodes:
            await self.command("key_down", scancode=scancode)
            await self.command("key_up", scancode=scancode)

    async def offer_text(self, text: str, *, selection: int = 0) -> None:
        """Own the clipboard and answer the guest's first request for its text."""
        await self.command("clipboard_grab", types=[UTF8_TEXT], selection=selection)
        await self.event("main-clipboard-selection-request", selection=selection, format=UTF8_TEXT)
        data = base64.b64encode(text.encode()).decode()
        await self.command("clipboard_notify", data=data, format=UTF8_TEXT, selection=selection)

    async def fetch_text(self, *, selection: int = 0) -> str:
        """Wait until the guest owns the clipboard and return its text."""
        await self.event("main-clipboard-selection-grab", selection=selection)
        await self.command("clipboard_request", format=UTF8_TEXT, selection=selection)
        event = await self.event("main-clipboard-selection", selection=selection, format=UTF8_TEXT)
        return base64.b64decode(event["data"]).decode()

    # --- events -------------------------------------------------------------------------------------------------------

    async def event(self, name: str, *, timeout: float = PATIENCE, **details: Any) -> dict[str, Any]:
        """Return the first event not yet returned that has this name and these details; waits for it.

        Events that came before the call count, so nothing is missed between a command and its effect.
        """
        wanted = {"event": name, **details}.items()

        def claim() -> dict[str, Any] | None:
            for index, event in enumerate(self._unclaimed):
                if wanted <= event.items():
                    return self._unclaimed.pop(index)
            return None

        return await self._until(claim, lambda: f"no event {dict(wanted)}", timeout)

    async def ready(self) -> None:
        """Wait until display 0 is marked and its cursor and the inputs channel are open; claims no event."""
        wanted = {("display-mark", "display", 0), ("opened", "inputs", 0), ("opened", "cursor", 0)}

        def missing() -> set[tuple[str, str, int]]:
            return wanted - {(event["event"], event.get("type", ""), event.get("channel", 0)) for event in self.events}

        await self._until(lambda: not missing(), lambda: f"not ready, {missing()} missing", PATIENCE)

    async def shows(self, wanted: Picture | Callable[[Picture], bool], *, channel: int = 0) -> Picture:
        """Wait until the primary is this picture, or one that satisfies this function, and return it."""
        accepts = wanted.__eq__ if isinstance(wanted, Picture) else wanted
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        seen, picture = len(self.events), await self.screenshot(channel)
        while not accepts(picture):
            # Only an event can change the primary: no need to look again before there is one.
            why = functools.partial(picture.difference, wanted) if isinstance(wanted, Picture) else picture.__repr__
            await self._more_events_than(seen, why, deadline - loop.time())
            seen, picture = len(self.events), await self.screenshot(channel)
        return picture

    async def _more_events_than(self, seen: int, why: Callable[[], str], timeout: float) -> None:
        await self._until(lambda: len(self.events) > seen, lambda: f"no other picture ({why()})", timeout)

    async def _until(self, look: Callable[[], T | None], what: Callable[[], str], timeout: float) -> T:
        try:
            async with asyncio.timeout(timeout):
                while not (found := look()):
                    if self._ended:
                        raise self._end()
                    self._news.clear()
                    await self._news.wait()
                return found
        except TimeoutError:
            raise AssertionError(f"{what()} within {timeout:g} seconds; {self._report()}") from None

    def _report(self) -> str:
        last = "\n".join(map(json.dumps, self.events[-20:]))
        return f"its last events:\n{last}\nits standard error:\n" + "\n".join(self.stderr[-20:])

    def _end(self) -> AssertionError:
        return AssertionError(f"the scripted client ended, exit code {self._process.returncode}; {self._report()}")

    async def _read_events(self, reader: asyncio.StreamReader) -> None:
        async for line in reader:
            message = json.loads(line)
            if "reply" in message:
                answer = self._answers.pop(message["reply"])
                if answer.done():
                    continue
                if "error" in message:
                    answer.set_exception(CommandFailed(message["error"]))
                else:
                    answer.set_result(message["value"])
            else:
                self.events.append(message)
                self._unclaimed.append(message)
            self._news.set()
        self._ended = True
        self._news.set()
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(self._end())

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self.stderr.append(line.decode(errors="replace").rstrip("\n"))
