"""What becomes of the commands when their standard output or standard error cannot be written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spiceemu.cli import exits

from ..judge import recorded
from .test_lint import OLD, write

COMMAND = (sys.executable, "-m", "spiceemu")
TIMEOUT = 30.0

FULL = Path("/dev/full")

posix_only = pytest.mark.skipif(os.name != "posix", reason="pipes and devices are others on Windows")


@pytest.fixture(params=["ladder", "level", "help", "lint"])
def arguments(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, ...]:
    file = write(tmp_path / "file", recorded.parts(OLD)) if request.param == "lint" else ""
    commands = {
        "ladder": ("compat",),
        "level": ("compat", "0.8", "--json"),
        "help": ("--help",),
        "lint": ("lint", file, "--level", "0.4"),
    }
    return commands[request.param]


def run(arguments: tuple[str, ...], output: int | None) -> tuple[int, str]:
    """Exit code, and what is on standard error; None closes standard output."""
    command = [*COMMAND, *arguments]
    if output is None:
        command = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT, check=False)
    return done.returncode, done.stderr


@posix_only
def test_whoever_reads_no_further_is_told_nothing(arguments: tuple[str, ...]) -> None:
    """As with ``| head``."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert run(arguments, writing) == (exits.EXIT_FILE, "")
    finally:
        os.close(writing)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_a_full_disk(arguments: tuple[str, ...]) -> None:
    with FULL.open("wb") as full:
        found = run(arguments, full.fileno())
    assert found == (exits.EXIT_FILE, "spiceemu: cannot write standard output: No space left on device\n")


@posix_only
def test_no_standard_output_at_all(arguments: tuple[str, ...]) -> None:
    assert run(arguments, None) == (int(arguments[0] == "lint"), "")


@posix_only
@pytest.mark.parametrize("command", ["serve --port 0", "record 127.0.0.1:1 FILE", "lint --relay 127.0.0.1:1"])
def test_nobody_reads_the_address(command: str, tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert run(tuple(command.replace("FILE", str(tmp_path / "file")).split()), writing) == (exits.EXIT_FILE, "")
    finally:
        os.close(writing)


UNWRITABLE_ERRORS = ["2>&-", pytest.param("2>/dev/full", marks=pytest.mark.skipif(not FULL.exists(), reason="none"))]


def start(redirection: str, *arguments: str) -> subprocess.Popen[str]:
    """Run the command with its standard error elsewhere."""
    command = ["sh", "-c", f'exec "$@" {redirection}', "sh", *COMMAND, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@posix_only
@pytest.mark.parametrize("redirection", UNWRITABLE_ERRORS)
def test_what_cannot_be_said_changes_no_exit_code(redirection: str) -> None:
    for options, code in ((("--prot", "0"), exits.EXIT_USAGE), (("--host", "192.0.2.1"), exits.EXIT_ADDRESS)):
        process = start(redirection, "serve", *options)
        assert process.communicate(timeout=TIMEOUT) == ("", None)
        assert process.returncode == code


@posix_only
@pytest.mark.parametrize("redirection", UNWRITABLE_ERRORS)
def test_notices_that_cannot_be_written_end_nothing(redirection: str) -> None:
    with start(redirection, "serve", "--port", "0", "--blank", "--password", "x") as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("spice://")
        process.send_signal(signal.SIGTERM)
        assert process.wait(TIMEOUT) == 0
