"""``spiceemu lint`` as its users meet it: files that hold recorded sessions, findings, sums and exit codes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from spiceemu.cli import exits, main
from spiceemu.recordings.recording import About, ClientBytes, Closed, End, Opened, RecordingWriter, ServerBytes

from ..judge import recorded
from ..judge.edited import Edited

SESSION = "0.15.1/qemu__spice-gtk-0.42__password-right"
OLD = "old-peers/server-0.8__spicec-0.8"
TIMEOUT = 30.0

posix_only = pytest.mark.skipif(os.name != "posix", reason="signals end a process at once on Windows")


def write(
    path: Path, parts: list[recorded.Part], *, end: bool = True, closed: bool = True, server: str = "there:1"
) -> str:
    """Put a recorded session into a file of the format that ``spiceemu record`` writes."""
    numbers: dict[str, int] = {}
    with path.open("wb") as file:
        writer = RecordingWriter(file, About("test", server, 0))
        for time, part in enumerate(parts):
            if part.connection not in numbers:
                numbers[part.connection] = len(numbers) + 1
                writer.write(Opened(numbers[part.connection], time, "here:2"))
            kind = ClientBytes if part.direction == recorded.CLIENT else ServerBytes
            writer.write(kind(numbers[part.connection], time, part.data))
        for number in numbers.values() if closed else ():
            writer.write(Closed(number, len(parts)))
        if end:
            writer.write(End(len(parts)))
        else:
            writer.flush()
    return str(path)


def lint(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, list[str], str]:
    """Exit code, lines, and what is on standard error."""
    code = 0
    try:
        main(["lint", *arguments])
    except SystemExit as ended:
        code = int(ended.code or 0)
    output, errors = capsys.readouterr()
    return code, output.splitlines(), errors


def test_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "file", recorded.parts(SESSION))
    code, lines, errors = lint(capsys, file)
    assert (code, errors) == (0, "")
    assert lines == ["4 connections, 53 messages, 0 findings at level 0.15.1"]


def test_broken_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever asks must not take what is there for all there was."""
    parts = recorded.parts(SESSION)
    said = "is broken off: what came behind its last whole block is not judged\n"
    file = write(tmp_path / "clean", parts, end=False)
    code, lines, errors = lint(capsys, file)
    assert (code, errors) == (exits.EXIT_FILE, f"spiceemu: {file} {said}")
    assert lines == ["4 connections, 53 messages, 0 findings at level 0.15.1"]
    assert json.loads(lint(capsys, file, "--json")[1][-1])["complete"] is False

    old = write(tmp_path / "not clean", recorded.parts(OLD), end=False)
    code, lines, errors = lint(capsys, old, "--level", "0.8")
    assert (code, errors) == (1, f"spiceemu: {old} {said}")
    assert lines[-1].endswith(", 13 findings at level 0.8")


def test_what_was_still_to_come_when_a_recording_broke_off_is_no_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edited = Edited(SESSION)
    edited.append("002", recorded.SERVER, 5, struct.pack("<BBBQ", 1, 4, 0, 999))  # WAIT_FOR_CHANNELS
    assert lint(capsys, write(tmp_path / "whole", edited.parts))[0] == 1
    broken = write(tmp_path / "broken", edited.parts, end=False, closed=False)
    assert lint(capsys, broken)[:2] == (exits.EXIT_FILE, ["4 connections, 54 messages, 0 findings at level 0.15.1"])


def test_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "file", recorded.parts(OLD))
    code, lines, errors = lint(capsys, file, "--level", "0.8")
    assert (code, errors) == (1, "")
    assert len(lines) == 3 * 4 + 1 + 1  # of each connection the minor and two capabilities, one of main, and the sums
    assert (
        lines[0] == "1 main:0 server (link, offset 8): link: minor 1 of the protocol's version: level 0.8 goes up to 0"
    )
    assert lines[-1].endswith(", 13 findings at level 0.8")


def test_features(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path / "file", recorded.parts(OLD))
    changes = "+AUTH_SELECTION,+SEMI_SEAMLESS_MIGRATE"
    assert lint(capsys, file, "--level", "0.8", "--features", changes)[0] == 0
    code, lines, _ = lint(capsys, file, "--level", "0.8.3", "--features=-SURFACES")
    assert code == 1
    assert [line for line in lines if "SURFACES" in line and "display.SurfaceCreate" in line]
    assert lines[-1].endswith("at level 0.8.3 -SURFACES")


@pytest.mark.parametrize(
    ("server", "says"),
    [
        ("there:1", "display.GlDraw travels on plain unix sockets only"),
        ("spice+unix:///socket", ""),
    ],
)
def test_a_server_on_a_unix_socket(tmp_path: Path, capsys: pytest.CaptureFixture[str], server: str, says: str) -> None:
    """It may pass pictures by file descriptor, which no other may."""
    edited = Edited(SESSION)
    edited.append("002", recorded.SERVER, 321, bytes(16))
    file = write(tmp_path / "file", edited.parts, server=server)
    _, lines, _ = lint(capsys, file)
    found = [line for line in lines if "display.GlDraw" in line]
    assert bool(found) is bool(says)
    assert all(line.endswith(says) for line in found)


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited = Edited(SESSION)
    at = edited.repeat(edited.find("002", recorded.SERVER, 314))
    file = write(tmp_path / "file", edited.parts)
    code, lines, _ = lint(capsys, file, "--json")
    assert code == 1
    finding, sums = map(json.loads, lines)
    place = edited.place(at)
    assert finding == {
        "connection": "3",
        "channel": "display:0",
        "direction": "server",
        "index": place.index,
        "serial": place.serial,
        "offset": place.offset,
        "kind": "order",
        "name": "display.SurfaceCreate",
        "explanation": "display.SurfaceCreate creates surface 0, which is there",
    }
    assert sums == {"level": "0.15.1", "connections": 4, "messages": 54, "findings": 1, "complete": True}


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ("", exits.EXIT_USAGE, "give either a FILE or --relay ADDRESS"),
        ("file --relay here:1", exits.EXIT_USAGE, "give either a FILE or --relay ADDRESS"),
        ("file --listen 1", exits.EXIT_USAGE, "--listen goes with --relay"),
        ("--relay here:1 --listen x", exits.EXIT_USAGE, "'x' is no port"),
        (f"--relay {'x' * 64}:1", exits.EXIT_USAGE, "is no host's name: its parts between dots have 1 to 63"),
        ("--relay \udcff:1", exits.EXIT_USAGE, "'\\udcff' is no host's name"),
        ("--relay nowhere", exits.EXIT_USAGE, "'nowhere' is no address"),
        ("file --level help", exits.EXIT_USAGE, "there is no compat level 'help'; there are 0.4, 0.6, 0.8, 0.10"),
        ("file --features=", exits.EXIT_USAGE, "'' is not a feature with + or -"),
        ("file --features SURFACES", exits.EXIT_USAGE, "'SURFACES' is not a feature with + or -"),
        ("file --features=-PROTOCOL_MAJOR2", exits.EXIT_USAGE, "lacks PROTOCOL_MAJOR2"),
        ("file --what", exits.EXIT_USAGE, "unrecognized arguments: --what"),
        ("/nowhere/file", exits.EXIT_FILE, "cannot read /nowhere/file: No such file or directory"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: str, code: int, text: str
) -> None:
    found, lines, errors = lint(capsys, *arguments.split())
    assert (found, lines) == (code, [])
    assert errors.startswith("spiceemu: ")
    assert errors.count("\n") == 1
    assert text in errors


def test_what_is_no_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"REDQ")
    code, lines, errors = lint(capsys, str(file))
    assert (code, lines, errors) == (exits.EXIT_FILE, [], f"spiceemu: {file}: is no recording of spiceemu\n")


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    code, lines, _ = lint(capsys, "--help")
    assert code == 0
    assert "  0.4, 0.6, 0.8, 0.10, 0.12, 0.14, 0.15, 0.6.4, 0.8.3, 0.10.1, 0.12.8, 0.14.2, 0.15.1" in lines


class Replaying:
    """A server that says to each client what one connection of a recording has from the server."""

    def __init__(self, session: str, connection: str) -> None:
        own = [part for part in recorded.parts(session) if part.connection == connection]
        self.client = b"".join(part.data for part in own if part.direction == recorded.CLIENT)
        self._said = b"".join(part.data for part in own if part.direction == recorded.SERVER)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(len(self.client))
        writer.write(self._said)
        writer.close()


@posix_only
async def test_relay_tells_what_passes_as_it_passes() -> None:
    replaying = Replaying(OLD, "conn-04-inputs0")
    server = await asyncio.start_server(replaying.answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "spiceemu", "lint", "--relay", f"127.0.0.1:{port}", "--level", "0.8"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(TIMEOUT):
            uri = (await process.stdout.readline()).decode().strip()
            assert uri.startswith("spice://127.0.0.1:")
            reader, writer = await asyncio.open_connection("127.0.0.1", int(uri.rpartition(":")[2]))
            writer.write(replaying.client)
            lines = [(await process.stdout.readline()).decode() for _ in range(3)]
            assert await reader.read()  # unchanged, and to the end
            writer.close()
            process.send_signal(signal.SIGTERM)
            rest, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
        server.close()
        await server.wait_closed()
    assert [line.partition(": ")[2].partition(":")[0] for line in lines] == ["link", "capability", "capability"]
    assert rest.decode().endswith("1 connection, 1 message, 3 findings at level 0.8\n")
    assert (errors, process.returncode) == (b"", 1)


def test_a_port_that_is_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(
            [sys.executable, "-m", "spiceemu", "lint", "--relay=127.0.0.1:1", f"--listen={taken.getsockname()[1]}"],
            capture_output=True,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
    assert (done.returncode, done.stdout) == (exits.EXIT_ADDRESS, "")
    assert done.stderr.startswith("spiceemu: ")
    assert done.stderr.endswith("; --listen chooses another\n")
