"""Debian's packages: which are missing, whether they may be installed, and installing them.

Nothing is installed unasked: root and ``SPICEEMU_INSTALL=1`` count as consent, ``SPICEEMU_INSTALL=0`` as a no to both,
and anyone else is asked if there is a terminal to ask on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PEERS = Path(__file__).with_name("debian-peers.txt")
LOCK_SECONDS = 300  # how long apt-get waits for another one that is at work


class SetUpError(Exception):
    """Set-up cannot go on; the text is one line that says what to do."""


def say(text: str) -> None:
    """Tell what set-up does. On stderr: stdout belongs to what is run."""
    print(f"spiceemu: {text}", file=sys.stderr, flush=True)


def listed() -> list[str]:
    """The packages that hold the real clients and servers."""
    lines = (line.partition("#")[0].strip() for line in PEERS.read_text().splitlines())
    return [line for line in lines if line]


def is_debian() -> bool:
    """Whether packages can be asked about and installed here at all."""
    return all(shutil.which(program) for program in ("apt-get", "dpkg-query"))


def missing(packages: list[str]) -> list[str]:
    """Those of the packages that are not installed."""
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f", "${db:Status-Status} ${Package}\n", *packages],
        capture_output=True,  # it grumbles about each package it has never heard of
        text=True,
        check=False,
    )
    installed = {line.removeprefix("installed ") for line in asked.stdout.splitlines() if line.startswith("installed ")}
    return [package for package in packages if package not in installed]


def may_install(packages: list[str], purpose: str) -> bool:
    """Whether there is consent to install; asks where that is possible."""
    said = os.environ.get("SPICEEMU_INSTALL", "")
    if said:
        return said == "1"
    if os.geteuid() == 0:
        return True
    if not sys.stdin.isatty() or not shutil.which("sudo"):
        return False
    say(f"{purpose} not installed: {' '.join(packages)}")
    say("install with sudo apt-get now? [y/N]")
    return input().strip().lower() in {"y", "yes"}


def install(packages: list[str]) -> None:
    """Install the packages, saying so first. Only after consent.

    :raises SetUpError: apt-get failed, or may not be run.
    """
    apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}"]
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            raise SetUpError(f"only root can install: apt-get install {' '.join(packages)}")
        apt = ["sudo", *apt] if sys.stdin.isatty() else ["sudo", "-n", *apt]
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        say(f"running apt-get {' '.join(command)}")
        # apt's talk is no output of ours: make run's first line on stdout is the address
        if subprocess.run([*apt, *command], stdout=sys.stderr, check=False).returncode:
            raise SetUpError(f"apt-get {command[0]} failed; by hand: apt-get install {' '.join(packages)}")


def install_peers() -> None:
    """``make peers``: having typed it is the consent."""
    if not is_debian():
        raise SetUpError("the real clients are installed from Debian's packages, and this system has no apt-get")
    packages = missing(listed())
    if packages:
        install(packages)
    else:
        say("the real clients are all installed")


def offer_peers(*, required: bool = False) -> None:
    """Before the tests: install the real clients if that is allowed, else say what will be skipped.

    :param required: the tests may not do without them: what can't be installed ends everything here.
    :raises SetUpError: they are required and not to be had.
    """
    if not is_debian():
        say("the real clients come from Debian's packages, which this system does not have; their tests are skipped")
        return
    packages = missing(listed())
    if not packages:
        return
    names = " ".join(packages)
    try:
        if may_install(packages, "the real clients for the tests are"):
            say("the tests with real clients need packages that are not here; as make peers does:")
            install(packages)
            return
    except SetUpError as error:
        if required:
            raise
        say(str(error))
    if required:
        raise SetUpError(f"the tests with real clients are required, and these packages are missing: {names}")
    say(f"tests with real clients are skipped where these packages are missing (make peers installs them): {names}")
