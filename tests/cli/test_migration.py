"""``spiceemu serve --migrate-to`` and ``--incoming``, as two processes and a client that goes from one to the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from spiceemu.errors import LinkError
from spiceemu.protocol.messages import main

from ..server.follower import DISPLAY, MAIN, Follower
from ..server.probe import PATIENCE, ProbeChannel

COMMAND = sys.executable, "-m", "spiceemu", "serve"

posix_only = pytest.mark.skipif(os.name != "posix", reason="there is no SIGUSR1 elsewhere")


class Serve:
    """A running ``spiceemu serve``, as much of a server as a client needs to know.

    :ivar said: the lines on standard error that were looked at.
    """

    host = "127.0.0.1"
    tls_port = None

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.port = port
        self.said: list[str] = []

    async def says(self, text: str) -> str:
        """Wait for a line on standard error that has this text."""
        assert self.process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while line := (await self.process.stderr.readline()).decode():
                self.said.append(line)
                if text in line:
                    return line.removesuffix("\n")
        raise AssertionError(f"it ended without saying {text!r}, only {self.said}")


@contextlib.asynccontextmanager
async def serve(*options: str) -> AsyncIterator[Any]:
    """Run it until the context ends, which it must by SIGTERM with exit code 0."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *("--port", "0", "--size", "320x200"), *options, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            port = urlsplit((await process.stdout.readline()).decode()).port
        assert port
        yield Serve(process, port)
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


@posix_only
async def test_a_client_goes_when_the_signal_comes() -> None:
    async with serve("--incoming") as target, serve(f"--migrate-to=127.0.0.1:{target.port}") as source:
        await target.says("waiting for a client; send one here with spiceemu serve --migrate-to")
        line = await source.says(f"clients go to 127.0.0.1:{target.port}")
        assert line.endswith(f" on SIGUSR1 (kill -USR1 {source.process.pid})")
        source.process.send_signal(signal.SIGUSR1)
        await source.says("no migration: there is no client")
        async with Follower.at(source) as client:
            session = f"{client.session_id:08x}"
            source.process.send_signal(signal.SIGUSR1)
            await client.follow_seamlessly(target)
            await source.says(f"client {session} went to 127.0.0.1:{target.port} (seamless)")
            await target.says(f"client {session} comes from another server")
            shown = client.there[DISPLAY, 0]
            await shown.until(lambda: shown.painter.surfaces and any(shown.painter.primary.pixels))
            assert (shown.painter.primary.width, shown.painter.primary.height) == (320, 200)


async def test_a_client_goes_when_its_time_has_come() -> None:
    async with (
        serve("--incoming", "--compat", "0.10") as target,
        serve("--migrate-to", f"127.0.0.1:{target.port}", "--after", "0.2") as source,
        Follower.at(source) as client,
    ):
        session = f"{client.session_id:08x}"
        assert " 0.2 s after they have come" in await source.says("clients go to")
        await client.main.take(main.MigrateBeginSeamless)
        await client.link_there(target)  # a target of this level does not know how to be asked
        client.main.send(main.MigrateConnected())
        await client.main.take(main.MigrateEnd)
        await client.leave()
        client.there[MAIN, 0].send(main.MigrateEnd())
        init = await client.there[MAIN, 0].take(main.Init)
        assert f"{init.session_id:08x}" == session
        await source.says(f"client {session} went to 127.0.0.1:{target.port} (semi-seamless)")


async def test_why_a_client_could_not_go_is_told() -> None:
    async with (
        serve("--incoming", "--password", "other") as target,
        serve("--migrate-to", f"127.0.0.1:{target.port}", "--after", "0.2") as source,
        Follower.at(source) as client,
    ):
        await client.main.take(main.MigrateBeginSeamless)
        with pytest.raises(LinkError):
            await client.link_there(target)
        client.main.send(main.MigrateConnectError())
        await client.main.take(main.MigrateSwitchHost)
        await client.leave()
        line = await source.says("the client cannot link the other server")
        assert "its password is another" in line
        await source.says("(switch host)")


async def test_a_new_client_at_a_waiting_server_is_served_as_well() -> None:
    async with serve("--incoming") as target:
        made = await ProbeChannel.linked(target, MAIN)
        await made.take(main.Init)
        await target.says("comes as a new one, not from another server")
        await made.close()


def refusal(*options: str) -> str:
    """The one line on standard error of a command that does not even start."""
    ended = subprocess.run([*COMMAND, *options], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 2
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    return line


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_clients_are_not_sent_to_where_they_are(host: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = refusal("--port", str(port), "--migrate-to", f"{host}:{port}")
    assert f"--migrate-to {host}:{port}: a server cannot be the target of its own migration" in line


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--after", "1"], "--after needs --migrate-to"),
        (["--migrate-to", "host"], "--migrate-to host: "),
        (["--migrate-to", "host:99999"], "--migrate-to host:99999: "),
        (["--migrate-to", "h:1", "--after", "-1"], "--after -1: is not a number of seconds above 0"),
        (["--migrate-tls-port", "1"], "--migrate-tls-port needs --migrate-to"),
        (["--migrate-to", "h:1", "--migrate-subject", "CN=h"], "--migrate-subject needs --migrate-tls-port"),
        (["--migrate-to", "\udcffx:5930"], "is not printable text"),
        (
            ["--port=0", "--migrate-to", "h:65535"],
            "--migrate-to h:65535: destination.port: 65535 is not one of 1 to 65534",
        ),
        (["--port=0", "--migrate-to", "h." * 128 + ":1"], ": destination.host: has 256 bytes, the limit is 255"),
        (
            ["--port=0", "--migrate-to=h:1", "--migrate-tls-port=1", "--migrate-subject=" + "x" * 4097],
            ": destination.cert_subject: has 4097 bytes, the limit is 4096",
        ),
        (
            ["--port=0", "--compat=0.6.4", "--migrate-to=h:1", "--after=1"],
            "--migrate-to h:1: level 0.6.4 has no migration: WITHOUT_MIGRATION",
        ),
    ],
)
def test_what_does_not_go_together_is_one_line(options: list[str], text: str) -> None:
    assert text in refusal(*options)


def test_help_has_the_options() -> None:
    ended = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, timeout=PATIENCE, check=True)
    for option in (
        "--migrate-to HOST:PORT",
        "--after SECONDS",
        "--migrate-tls-port",
        "--migrate-subject",
        "--incoming",
    ):
        assert option in ended.stdout
