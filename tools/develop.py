"""The Makefile's verbs: set up what the verb needs, then do it.

    sh tools/python.sh tools/develop.py run|test|peers|lint|fuzz|bench [ARGUMENT...]

``.venv`` has the package and its run-time needs only, ``.venvs/X.Y.Z`` those of development for each Python. In both,
the package is the installed wheel.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from typing import NoReturn

import debian
from debian import SetUpError, say
from environment import ROOT, Environment, outside_environment, version_of

FAST = "not peers and not slow"  # the tests that run on every Python
MOST_WORKERS = 4  # tests at a time, on however large a machine: some watch the clock
FUZZ_EXAMPLES = 100_000
FUZZ_SECONDS = 3600  # for one fuzz test, in place of the limit for a usual test


def development_environment(interpreter: str = sys.executable, *groups: str) -> Environment:
    """The environment for working on the package with one Python."""
    return Environment(
        ROOT / ".venvs" / version_of(interpreter), interpreter, extras=("tls", "media"), groups=groups or ("dev",)
    )


def pytest_command(environment: Environment, *arguments: str) -> list[str]:
    """Run pytest on the wheel: -P keeps the checkout, where it is started, off the import path."""
    workers = ["-n", "auto", f"--maxprocesses={MOST_WORKERS}"]
    return [environment.python, "-P", "-m", "pytest", *workers, *arguments]


def become(command: list[str], **variables: str) -> NoReturn:
    """Go on as another program, so that signals and the exit code are its own."""
    sys.stdout.flush()
    os.chdir(ROOT)
    os.execve(command[0], command, {**outside_environment(), **variables})


def run(arguments: list[str]) -> None:
    environment = Environment(ROOT / ".venv", sys.executable, extras=("tls",))
    environment.prepare()
    become([str(environment.path / "bin" / "spiceemu"), "serve", *arguments])


def test(arguments: list[str]) -> None:
    """All tests on the default Python, after the fast ones on all others: so its summary closes the output.

    Arguments for pytest mean that somebody looks at one thing: that is done on the default Python alone.
    """
    debian.offer_peers(required=os.environ.get("SPICEEMU_REQUIRE_PEERS") == "1")
    default, *others = subprocess.run(
        ["sh", str(ROOT / "tools" / "python.sh"), "--list"],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    for interpreter in [] if arguments else others:
        environment = development_environment(interpreter, "test")
        try:
            environment.prepare()
        except SetUpError as error:
            say(f"no tests with {interpreter}: {error}")
            continue
        say(f"the fast tests with Python {environment.path.name}")
        command = pytest_command(environment, "-m", FAST)
        tested = subprocess.run(
            command, cwd=ROOT, env={**outside_environment(), "SPICEEMU_TEST_WHEEL": "1"}, check=False
        )
        if tested.returncode:
            sys.exit(tested.returncode)
    environment = development_environment(default)
    environment.prepare()
    say(f"all tests with Python {environment.path.name}")
    become(pytest_command(environment, *arguments), SPICEEMU_TEST_WHEEL="1")


def peers(_: list[str]) -> None:
    debian.install_peers()


def lint(_: list[str]) -> None:
    environment = development_environment()
    environment.prepare()
    failed = []
    for check in ("ruff check", "ruff format --check", "mypy"):
        command = [environment.python, "-P", "-m", *check.split()]
        if subprocess.run(command, cwd=ROOT, env=outside_environment(), check=False).returncode:
            failed.append(check)
    if failed:
        sys.exit(f"spiceemu: lint failed: {', '.join(failed)}")


def fuzz(arguments: list[str]) -> None:
    environment = development_environment()
    environment.prepare()
    seed = os.environ.get("SEED") or str(random.getrandbits(32))
    say(f"{FUZZ_EXAMPLES} inputs from seed {seed}; the same again: make fuzz SEED={seed}")
    options = [f"--hypothesis-seed={seed}", f"--timeout={FUZZ_SECONDS}", "tests/fuzz"]
    become(
        pytest_command(environment, *options, *arguments),
        SPICEEMU_FUZZ_EXAMPLES=str(FUZZ_EXAMPLES),
        SPICEEMU_TEST_WHEEL="1",
    )


def bench(arguments: list[str]) -> None:
    environment = development_environment()
    environment.prepare()
    become([environment.python, "-m", "benchmarks", *arguments])


VERBS: dict[str, Callable[[list[str]], None]] = {
    "run": run,
    "test": test,
    "peers": peers,
    "lint": lint,
    "fuzz": fuzz,
    "bench": bench,
}

if __name__ == "__main__":
    try:
        VERBS[sys.argv[1]](sys.argv[2:])
    except SetUpError as error:
        sys.exit(f"spiceemu: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
