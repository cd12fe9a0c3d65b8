"""``spiceemu record`` as its users meet it: a process, its first line, its file and its exit codes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spiceemu import Tls
from spiceemu._version import __version__
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.link.client import ClientLink
from spiceemu.protocol.link.observer import LinkObserver
from spiceemu.recordings.recording import ClientBytes, read_recording
from spiceemu.serving.tls import ThrowawayCertificate, throwaway_certificate

from ..server.probe import PATIENCE, serving, until

TIMEOUT = 30.0

LONG_NAME = "x" * 64

posix_only = pytest.mark.skipif(os.name != "posix", reason="signals end a process at once on Windows")


class Recording:
    """A running ``spiceemu record``; its first line was read."""

    def __init__(self, process: asyncio.subprocess.Process, first_line: str) -> None:
        self.process = process
        self.first_line = first_line
        self.output = self.errors = ""

    @classmethod
    async def start(cls, *arguments: str) -> Recording:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "spiceemu", "record", *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        async with asyncio.timeout(TIMEOUT):
            first_line = (await process.stdout.readline()).decode().rstrip("\n")
        recording = cls(process, first_line)
        if not first_line:
            await recording.stop()
            pytest.fail(f"no first line: {recording.errors}")
        return recording

    @property
    def port(self) -> int:
        return int(self.first_line.rpartition(":")[2])

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it, and return its exit code."""
        if self.process.returncode is None:
            self.process.send_signal(how)
        async with asyncio.timeout(TIMEOUT):
            output, errors = await self.process.communicate()
        self.output, self.errors = output.decode(), errors.decode()
        assert self.process.returncode is not None
        return self.process.returncode


async def link(port: int, password: str = "") -> tuple[ClientLink, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = ClientLink(ChannelType.MAIN, password=password.encode())
    async with asyncio.timeout(PATIENCE):
        while not client.linked:
            writer.write(client.data_to_send())
            data = await reader.read(65536)
            assert data, "the connection was closed within the link"
            client.receive_data(data)
    return client, writer


@posix_only
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_a_session_is_recorded_until_a_signal(how: signal.Signals, tmp_path: Path) -> None:
    path = tmp_path / "session.rec"
    async with serving(password="s3cret") as server:
        address = f"127.0.0.1:{server.port}"
        recording = await Recording.start(address, str(path))
        assert recording.first_line == f"spice://127.0.0.1:{recording.port}"
        _, writer = await link(recording.port, "s3cret")
        assert await recording.stop(how) == 0
        writer.close()
    assert recording.output == ""
    found = read_recording(path)
    assert found.complete
    assert (found.about.program, found.about.server) == (f"spiceemu {__version__}", address)
    (connection,) = found.connections
    sizes = f"{len(connection.client)} bytes of clients and {len(connection.server)} of the server"
    expected = f"spiceemu: recorded 1 connection, {sizes}, in {path} ({path.stat().st_size} bytes)\n"
    assert recording.errors == expected
    observer = LinkObserver()
    for piece in connection.pieces:
        (observer.client_data if isinstance(piece, ClientBytes) else observer.server_data)(piece.data)
    assert observer.linked
    assert connection.closed is not None
    assert connection.closed.reason == "the relay ends"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix_only
async def test_what_is_there_is_in_the_file_if_the_program_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "session.rec"
    async with serving() as server:
        recording = await Recording.start(f"spice://127.0.0.1:{server.port}", str(path))
        _, writer = await link(recording.port)
        await until(lambda: read_recording(path).connections)
        await recording.stop(signal.SIGKILL)
        writer.close()
    found = read_recording(path)
    assert not found.complete
    assert found.connections[0].server.startswith(b"REDQ")


@posix_only
async def test_what_is_told_on_request(tmp_path: Path) -> None:
    async with serving() as server:
        recording = await Recording.start(f"127.0.0.1:{server.port}", str(tmp_path / "session.rec"), "-v")
        _, writer = await link(recording.port)
        reader, other = await asyncio.open_connection("127.0.0.1", recording.port)
        other.write(b"GET / HTTP/1.1\r\n\r\n")
        await reader.read()
        await recording.stop()
        for each in (writer, other):
            each.close()
    assert "connection 1: from 127.0.0.1:" in recording.errors
    assert "connection 1: linked, main:0" in recording.errors
    assert "connection 1: closed (the relay ends), " in recording.errors
    assert "connection 2 is recorded as zeros, as it has no link: link: the client's magic" in recording.errors
    assert "connection 2: refused with 2, no channel" in recording.errors
    assert "Traceback" not in recording.errors


@posix_only
async def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        recording = await Recording.start(f"127.0.0.1:{taken.getsockname()[1]}", str(tmp_path / "session.rec"))
        reader, writer = await asyncio.open_connection("127.0.0.1", recording.port)
        assert await reader.read() == b""
        writer.close()
        assert await recording.stop() == 0
    assert "cannot reach 127.0.0.1" in recording.errors
    assert read_recording(tmp_path / "session.rec").complete


@posix_only
async def test_a_file_that_is_there_is_replaced_on_request_only(tmp_path: Path) -> None:
    path = tmp_path / "session.rec"
    path.write_bytes(b"precious" * 100)
    path.chmod(0o644)
    refused(run("127.0.0.1:1", str(path)), 6, "exists already; --replace replaces it")
    assert path.read_bytes() == b"precious" * 100
    recording = await Recording.start("127.0.0.1:1", str(path), "--replace")
    assert await recording.stop() == 0
    assert read_recording(path).complete
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix_only
async def test_tls_on_both_sides(tmp_path: Path, certificate: ThrowawayCertificate) -> None:
    from spiceemu.serving.tls import server_context

    tls = server_context(certificate.certificate, certificate.key)
    path = tmp_path / "session.rec"
    async with serving(port=None, tls=Tls(tls)) as server:
        recording = await Recording.start(
            *(f"127.0.0.1:{server.tls_port}", str(path), "--server-tls", "--server-ca", str(certificate.ca)),
            *("--tls-cert", str(certificate.certificate), "--tls-key", str(certificate.key)),
        )
        port = recording.first_line.removeprefix("spice://127.0.0.1?tls-port=")
        import ssl

        trusting = ssl.create_default_context(cadata=certificate.ca_pem)
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port), ssl=trusting)
        client = ClientLink(ChannelType.MAIN)
        writer.write(client.data_to_send())
        client.receive_data(await reader.read(65536))
        writer.transport.abort()
        await recording.stop()
    (connection,) = read_recording(path).connections
    assert connection.opened.secure
    assert connection.client.startswith(b"REDQ")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ThrowawayCertificate:
    return throwaway_certificate(tmp_path_factory.mktemp("certificate"))


# What cannot be done


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command where it ends by itself."""
    command = [sys.executable, "-m", "spiceemu", "record", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)


def refused(result: subprocess.CompletedProcess[str], code: int, *texts: str) -> None:
    """Check for an exit code and one line that says why."""
    assert (result.returncode, result.stdout) == (code, ""), result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("spiceemu: ")
    assert [text for text in texts if text not in line] == []


def test_help() -> None:
    result = run("--help")
    assert (result.returncode, result.stderr) == (0, "")
    for text in ("--listen PORT", "--server-ca FILE", "Exit codes", "Passwords are not written down"):
        assert text in result.stdout


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((), "required: ADDRESS, FILE"),
        (("127.0.0.1:1",), "required: FILE"),
        (("127.0.0.1", "FILE"), "'127.0.0.1' is no address such as 127.0.0.1:5900"),
        (("127.0.0.1:70000", "FILE"), "port 70000"),
        (("127.0.0.1:1", "FILE", "--listen=x"), "'x' is no port"),
        (("127.0.0.1:1", "FILE", "--listen=65536"), "'65536' is no port"),
        (("127.0.0.1:1", "FILE", "--liste=1"), "unrecognized arguments"),
        (("127.0.0.1:1", "FILE", "--server-ca=x"), "need --server-tls"),
        (("127.0.0.1:1", "FILE", "--tls-key=x"), "--tls-key needs --tls-cert"),
        (("127.0.0.1:1", "FILE", "--tls-key-password-file=x"), "--tls-key-password-file needs --tls-cert"),
        (("spice+unix:///x", "FILE", "--server-tls"), "needs --server-name"),
        ((f"{LONG_NAME}:1", "FILE"), "is no host's name"),
        (("\udcff:1", "FILE"), "'\\udcff' is no host's name"),
        (("127.0.0.1:1", "FILE", "--server-tls", "--server-name=.x"), "'.x' is no host's name"),
    ],
)
def test_wrong_options(arguments: tuple[str, ...], text: str, tmp_path: Path) -> None:
    path = tmp_path / "session.rec"
    given = [str(path) if argument == "FILE" else argument for argument in arguments]
    refused(run(*given), 2, text, "(see spiceemu record --help)")
    assert not path.exists()


@pytest.fixture
def taken_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield str(other.getsockname()[1])


def test_a_port_in_use_leaves_no_file(taken_port: str, tmp_path: Path) -> None:
    path = tmp_path / "session.rec"
    refused(run("127.0.0.1:1", str(path), "--listen", taken_port), 3, "Address already in use", "--listen")
    assert not path.exists()


def test_unusable_files(tmp_path: Path) -> None:
    absent = tmp_path / "absent" / "session.rec"
    refused(run("127.0.0.1:1", str(absent)), 6, f"cannot write {absent}: No such file or directory")
    there = str(tmp_path / "session.rec")
    refused(run("127.0.0.1:1", there, "--tls-cert", str(absent)), 4, "certificate file", "No such file")
    password = ("--tls-cert", there, "--tls-key-password-file", str(absent))
    refused(run("127.0.0.1:1", there, *password), 6, f"cannot read password file {absent}: No such file")
    refused(run("127.0.0.1:1", there, "--server-tls", "--server-ca", str(absent)), 4, "CA file", "No such file")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk() -> None:
    refused(run("127.0.0.1:1", "/dev/full", "--replace"), 6, "cannot write /dev/full: No space left on device")
