"""What becomes of the commands when their standard output cannot be written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spiceemu.cli import exits

from ..judge import recorded
from .test_cli_lint import OLD, write

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
