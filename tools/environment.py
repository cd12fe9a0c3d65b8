"""Virtual environments with spiceemu's wheel in them, made once and brought up to date when something changed.

What an environment was made from is kept in its stamp: the interpreter and the requirements on one hand (a change
makes the environment anew), the package's files on the other (a change builds and installs the wheel anew). A lock
for each environment lets several verbs run at once.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import debian
from debian import SetUpError, say

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "spiceemu"
WHEEL_SOURCES = ("pyproject.toml", "README.md", "LICENSE", PACKAGE)  # all that goes into the wheel


def outside_environment() -> dict[str, str]:
    """The environment variables for a program that must see only what is installed, not the caller's Python path."""
    return {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONHOME"}}


def version_of(interpreter: str) -> str:
    """The version of a Python, such as ``3.12.1``."""
    return _output([interpreter, "-c", "import sys; print('%d.%d.%d' % sys.version_info[:3])"])


def requirements(project: dict[str, Any], extras: Sequence[str], groups: Sequence[str]) -> list[str]:
    """What pip is to install, from the contents of pyproject.toml: to build the package, to run it, and the groups."""
    wanted = [*project["build-system"]["requires"], *project["project"]["dependencies"]]
    for extra in extras:
        wanted += project["project"]["optional-dependencies"][extra]
    for group in groups:
        wanted += _group(project["dependency-groups"], group)
    return wanted


def _group(groups: dict[str, list[Any]], name: str) -> list[str]:
    found: list[str] = []
    for entry in groups[name]:
        found += [entry] if isinstance(entry, str) else _group(groups, entry["include-group"])
    return found


@dataclass(frozen=True)
class Environment:
    """A virtual environment of this checkout.

    :param path: its folder.
    :param interpreter: the Python it is made with.
    :param extras: extras of the package to install.
    :param groups: dependency groups to install.
    """

    path: Path
    interpreter: str
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def python(self) -> str:
        """Its own Python."""
        return str(self.path / "bin" / "python")

    def prepare(self) -> None:
        """Make it, or bring it up to date; next to nothing to do if nothing changed.

        :raises SetUpError: it cannot be made here.
        """
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        wanted = requirements(project, self.extras, self.groups)
        base_key = self._base_key(wanted)
        package_key = _digest(_package_contents())
        stamp = self.path / "spiceemu-stamp.json"
        with self._locked():
            made_of = json.loads(stamp.read_text()) if stamp.exists() else {}
            if made_of == {"base": base_key, "package": package_key}:
                return
            if made_of.get("base") != base_key:
                say(f"setting up {self.path.relative_to(ROOT)} with {self.interpreter}")
                self._create()
                self._pip("install", *wanted)
                base_key = self._base_key(wanted)  # Debian's venv module may have brought a newer Python along
            else:
                stamp.unlink()  # until the new wheel is in, nothing here is to be relied on
            self._install_package()
            stamp.write_text(json.dumps({"base": base_key, "package": package_key}))

    def _base_key(self, wanted: list[str]) -> str:
        version = _output([self.interpreter, "-c", "import sys; print(sys.executable, sys.version)"])
        return _digest([version.encode(), *(line.encode() for line in wanted)])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = ROOT / ".venvs" / f"{self.path.name}.lock"
        lock.parent.mkdir(exist_ok=True)
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _create(self) -> None:
        """Make the empty environment with pip in it, by whichever way this interpreter has.

        Debian keeps ensurepip, which the venv module needs, in a package of its own.
        """
        shutil.rmtree(self.path, ignore_errors=True)
        if not self._can("import venv, ensurepip") and not self._can("import virtualenv"):
            self._install_venv_module()
        command = ["-m", "venv"] if self._can("import venv, ensurepip") else ["-m", "virtualenv", "--quiet"]
        _run([self.interpreter, *command, str(self.path)], "the virtual environment could not be made")

    def _can(self, statement: str) -> bool:
        tried = subprocess.run([self.interpreter, "-c", statement], stderr=subprocess.DEVNULL, check=False)
        return tried.returncode == 0

    def _install_venv_module(self) -> None:
        version = version_of(self.interpreter).rpartition(".")[0]  # Debian has one of each minor version
        package = f"python{version}-venv"
        if not debian.is_debian():
            raise SetUpError(f"{self.interpreter} lacks its modules venv and ensurepip, which set-up needs")
        if not debian.may_install([package], f"the venv module of Python {version}, which set-up needs, is"):
            raise SetUpError(
                f"{self.interpreter} lacks the venv module, which set-up needs: apt-get install {package}"
                " (set-up does it as root or with SPICEEMU_INSTALL=1)"
            )
        debian.install([package])
        if not self._can("import venv, ensurepip"):
            raise SetUpError(f"{self.interpreter} lacks the venv module even with Debian's package {package}")

    def _pip(self, *arguments: str) -> None:
        pip = [self.python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
        _run(pip, f"pip {arguments[0]} failed (see above)")

    def _install_package(self) -> None:
        """Build the wheel and install it.

        From a copy: setuptools leaves a build folder behind, from which it later ships modules that no longer exist.
        """
        say(f"installing {PACKAGE}'s wheel in {self.path.relative_to(ROOT)}")
        with tempfile.TemporaryDirectory() as folder:
            source, wheels = Path(folder, "source"), Path(folder, "wheels")
            source.mkdir()
            for name in WHEEL_SOURCES:
                if (ROOT / name).is_dir():
                    shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(ROOT / name, source / name)
            self._pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(wheels), str(source))
            (wheel,) = wheels.iterdir()
            self._pip("install", "--no-deps", "--force-reinstall", str(wheel))


def _package_contents() -> Iterator[bytes]:
    for name in WHEEL_SOURCES:
        top = ROOT / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(path.relative_to(ROOT)).encode()
                yield path.read_bytes()


def _digest(parts: Iterator[bytes] | list[bytes]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


def _run(command: list[str], failure: str) -> None:
    if subprocess.run(command, stdout=2, env=outside_environment(), check=False).returncode:
        raise SetUpError(failure)


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, env=outside_environment(), check=True).stdout.strip()
