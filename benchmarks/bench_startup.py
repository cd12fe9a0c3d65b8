"""How soon ``spiceemu serve`` listens and answers a first link, against a Python program that does nothing.

Each run starts a process and tries to connect until that succeeds, for the empty program until it has ended; so what
the trying costs is in both. They run in turn, and medians count. The package must be installed or on ``PYTHONPATH``.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from statistics import median

from benchmarks.report import Row
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.link.client import CLIENT_COMMON_CAPABILITIES, build_link_message
from spiceemu.protocol.link.layouts import HEADER, MAGIC

RUNS = 21
HOST = "127.0.0.1"
RETRY = 0.0005  # seconds between two tries to connect

EMPTY = "pass"
SERVE = "from spiceemu.cli import main; main()"  # what the installed script does
COMPILE = (
    "import spiceemu.cli.command, spiceemu.cli.serving, spiceemu.desktop.demo"  # a first run writes byte code files
)
LINK = build_link_message(ChannelType.MAIN, 0, 0, CLIENT_COMMON_CAPABILITIES, ())


def free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


def start(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a Python program that, as an installed script, does not search the present folder for modules."""
    return subprocess.Popen([sys.executable, "-P", "-c", program, *arguments], stdout=subprocess.DEVNULL)


def connect(process: subprocess.Popen[bytes], port: int) -> socket.socket | None:
    """A connection as soon as there is one; None once the process has ended."""
    while process.poll() is None:
        connection = socket.socket()
        try:
            connection.connect((HOST, port))
        except ConnectionRefusedError:
            connection.close()
            time.sleep(RETRY)
        else:
            return connection
    return None


def empty_seconds() -> float:
    port = free_port()
    began = time.perf_counter()
    with start(EMPTY) as process:
        assert connect(process, port) is None
        return time.perf_counter() - began


def serve_seconds() -> tuple[float, float]:
    """Seconds until the port listens, and until the reply to a first link."""
    port = free_port()
    began = time.perf_counter()
    with start(SERVE, "serve", "--port", str(port)) as process:
        connection = connect(process, port)
        assert connection is not None, f"the command ended with exit code {process.returncode}"
        with connection:
            listening = time.perf_counter() - began
            connection.sendall(LINK)
            reply = connection.recv(HEADER.size)
            answered = time.perf_counter() - began
            assert reply.startswith(MAGIC)
        process.terminate()
    return listening, answered


def rows() -> list[Row]:
    """Measure, and return the lines of the table."""
    assert start(COMPILE).wait() == 0, "the package is neither installed nor on PYTHONPATH"
    empty, served = [], []
    for _ in range(RUNS):
        empty.append(empty_seconds())
        served.append(serve_seconds())
    reference = median(empty)
    text = f"empty program {reference * 1e3:.1f} ms"
    return [
        Row(name, f"{seconds * 1e3:.1f} ms", text, seconds / reference, goal)
        for name, seconds, goal in zip(
            ("listening after", "first link answered after"),
            map(median, zip(*served, strict=True)),
            ("<= 2", "<= 6"),
            strict=True,
        )
    ]
