"""The project's frame: what the wheel holds, where the version stands, and the set-up behind the Makefile."""

from __future__ import annotations

import ast
import builtins
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import spiceemu
from spiceemu._version import __version__
from spiceemu.cli import main
from spiceemu.cli.command import COMMANDS
from spiceemu.cli.options import describe

CHECKOUT = Path(__file__).resolve().parent.parent
INSTALLED = Path(spiceemu.__file__).parent
TOOLS = CHECKOUT / "tools"

wheel_only = pytest.mark.skipif(
    os.environ.get("SPICEEMU_TEST_WHEEL") != "1", reason="the sources are tested, not the wheel: make test"
)
posix_only = pytest.mark.skipif(os.name != "posix", reason="the Makefile's set-up needs a POSIX shell")


@pytest.fixture
def project(checkout: Path) -> dict[str, Any]:
    return tomllib.loads((checkout / "pyproject.toml").read_text())


# Docstrings

LAZY = ("property", "contextmanager")
"""What a function's first line says enough of: values that are read, and contexts."""


def without_returns(source: str) -> list[str]:
    """The public functions with ``:param:`` or ``:raises:`` that return something and do not say what."""
    return [
        node.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and not node.name.startswith("_")
        and re.search(r"^:(param|raises) ", text := ast.get_docstring(node) or "", re.MULTILINE)
        and ":returns:" not in text
        and not returns_nothing_to_tell(node)
    ]


def returns_nothing_to_tell(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if any(isinstance(inner, ast.Yield | ast.YieldFrom) for inner in ast.walk(node)):
        return True
    if any(word in ast.unparse(each) for each in node.decorator_list for word in LAZY):
        return True
    return node.returns is None or ast.unparse(node.returns) in ("None", "NoReturn")


def test_docstrings_say_what_is_returned_wherever_they_have_a_field_at_all() -> None:
    files = sorted(INSTALLED.rglob("*.py"))
    assert files
    assert {str(file): names for file in files if (names := without_returns(file.read_text(encoding="utf-8")))} == {}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ('def f(a) -> int:\n    """F.\n\n    :param a: it.\n    """', ["f"]),
        ('class C:\n    async def f(a) -> int:\n        """F.\n\n        :raises E: so.\n        """', ["f"]),
        ('def f(a) -> int:\n    """F.\n\n    :param a: it.\n    :returns: it.\n    """', []),
        ('def f(a) -> None:\n    """F.\n\n    :param a: it.\n    """', []),
        ('def f(a) -> int:\n    """F."""', []),
        ('@property\ndef f(a) -> int:\n    """F.\n\n    :raises E: so.\n    """', []),
        ('def f(a) -> Iterator[int]:\n    """F.\n\n    :param a: it.\n    """\n    yield 1', []),
    ],
)
def test_a_docstring_that_does_not_say_it_is_found(source: str, found: list[str]) -> None:
    assert without_returns(source) == found


# The wheel


@wheel_only
def test_the_package_under_test_is_the_installed_one() -> None:
    assert INSTALLED != CHECKOUT / "spiceemu"
    assert INSTALLED.parent.name == "site-packages"


@wheel_only
def test_a_program_started_by_a_test_runs_the_installed_package() -> None:
    started = subprocess.run(
        [sys.executable, "-c", "import spiceemu; print(spiceemu.__file__)"], capture_output=True, text=True, check=True
    )
    assert Path(started.stdout.strip()).parent == INSTALLED


def test_every_file_of_the_package_ships() -> None:
    def files(folder: Path) -> set[str]:
        found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {path.relative_to(folder).as_posix() for path in found}

    assert files(INSTALLED) == files(CHECKOUT / "spiceemu")
    assert "py.typed" in files(INSTALLED)


@wheel_only
def test_metadata_of_the_wheel(project: dict[str, Any]) -> None:
    metadata = importlib.metadata.metadata("spiceemu")
    assert metadata["Version"] == __version__
    assert metadata["License-Expression"] == "MIT"
    always = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert [line.split("<")[0] for line in always] == ["construct"]
    (command,) = importlib.metadata.entry_points(group="console_scripts", name="spiceemu")
    assert command.value == project["project"]["scripts"]["spiceemu"]
    assert callable(command.load())


def test_the_version_is_at_hand_and_has_its_entry_in_the_changelog() -> None:
    assert spiceemu.__version__ == __version__
    changelog = (CHECKOUT / "CHANGELOG.md").read_text()
    assert re.search(rf"^## \[({re.escape(__version__)}|Unreleased)\]", changelog, re.MULTILINE)


def test_importing_the_package_reads_no_metadata() -> None:
    code = "import sys, spiceemu; sys.exit('importlib.metadata' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_construct_is_the_only_dependency_at_run_time(project: dict[str, Any]) -> None:
    assert project["project"]["dependencies"] == ["construct>=2.10.70,<2.11"]
    assert set(project["project"]["optional-dependencies"]) == {"tls", "media"}


def test_the_readme_names_options_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    written = set(re.findall(r"`(--[a-z-]+)", (CHECKOUT / "README.md").read_text()))
    assert len(written) > 5
    known = "\n".join(describe())
    for command in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code in (0, None)
        known += capsys.readouterr().out
    assert written <= set(re.findall(r"--[a-z-]+", known))


def test_the_readmes_snippets_import_what_they_use() -> None:
    snippets = re.findall(r"^```python\n(.*?)^```", (CHECKOUT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(snippets) > 1
    for snippet in snippets:
        known = {"start_my_client": None}  # the reader's own
        exec(snippet, known)
        nodes = list(ast.walk(ast.parse(snippet)))
        names = [node for node in nodes if isinstance(node, ast.Name)]
        known.update((node.id, None) for node in names if isinstance(node.ctx, ast.Store))
        known.update((node.arg, None) for node in nodes if isinstance(node, ast.arg))
        assert {node.id for node in names} <= {*known, *vars(builtins)}


# The set-up


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Import a script of the tools folder."""
    monkeypatch.syspath_prepend(str(TOOLS))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return importlib.import_module


@posix_only
def test_groups_may_include_groups(tool: Callable[[str], ModuleType]) -> None:
    project = {
        "build-system": {"requires": ["builder"]},
        "project": {"dependencies": ["always"], "optional-dependencies": {"more": ["extra"], "other": ["unwanted"]}},
        "dependency-groups": {"inner": ["a", "b"], "outer": [{"include-group": "inner"}, "c"]},
    }
    wanted = tool("environment").requirements(project, ["more"], ["outer"])
    assert wanted == ["builder", "always", "extra", "a", "b", "c"]


@posix_only
def test_every_verb_is_listed_and_carried_out(tool: Callable[[str], ModuleType]) -> None:
    listing = subprocess.run(["make", "-s", "-C", str(CHECKOUT)], capture_output=True, text=True, check=True).stdout
    verbs = re.findall(r"^make (\w+) +\S", listing, re.MULTILINE)
    assert verbs == ["help", *tool("develop").VERBS]


@posix_only
def test_debian_packages_are_listed_once_each(tool: Callable[[str], ModuleType]) -> None:
    packages = tool("debian").listed()
    assert "virt-viewer" in packages
    assert len(packages) == len(set(packages))
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", package) for package in packages)


class Machine:
    """A make-believe machine: a PATH with only the programs a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "bin"
        self.programs.mkdir()
        self.variables = {"PATH": str(self.programs), "PYENV_ROOT": str(folder / "pyenv")}
        for name in ("sh", "sed", "dirname", "sort", "awk", "cut", "head", "env", "cat", "tail"):
            self.programs.joinpath(name).symlink_to(str(shutil.which(name)))

    def add(self, path: str, script: str) -> None:
        program = self.programs / path
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def add_python(self, path: str, version: str) -> str:
        """A Python that answers what python.sh asks, and, run on a file, says who it is."""
        full = self.programs / path
        _, minor, micro = version.split(".")
        answer = f'if [ {minor} -ge "$3" ]; then echo {minor} {micro} {full}; fi'
        self.add(path, f'case "$1" in -c) {answer} ;; -V) echo Python {version} ;; *) echo {version} runs "$@" ;; esac')
        return str(full)

    def run(self, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**self.variables, **variables}
        sh = str(self.programs / "sh")
        return subprocess.run([sh, *command], env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


PYTHON_SH = str(TOOLS / "python.sh")


@posix_only
def test_python_that_is_new_enough_is_the_default(machine: Machine) -> None:
    machine.add_python("python3", "3.11.2")
    machine.add_python("python3.13", "3.13.1")
    assert machine.run(PYTHON_SH, "file.py", "a b").stdout == "3.11.2 runs file.py a b\n"


@posix_only
def test_newest_other_python_when_the_default_is_too_old(machine: Machine) -> None:
    machine.add_python("python3", "3.10.9")
    machine.add_python("python3.9", "3.9.1")
    machine.add_python("python3.12", "3.12.0")
    machine.add_python("../pyenv/versions/3.14.0/bin/python3", "3.14.0")
    assert machine.run(PYTHON_SH, "file.py").stdout == "3.14.0 runs file.py\n"


@posix_only
def test_only_an_old_python_is_one_clear_line(machine: Machine) -> None:
    machine.add_python("python3", "3.10.9")
    answer = machine.run(PYTHON_SH, "file.py")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr == (
        "spiceemu needs Python 3.11 or newer, and here is Python 3.10.9; name another with: make PYTHON=... VERB\n"
    )


@posix_only
def test_no_python_is_one_clear_line(machine: Machine) -> None:
    answer = machine.run(PYTHON_SH, "file.py")
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.count("\n") == 1
    assert "here is no python3" in answer.stderr


@posix_only
def test_the_python_that_is_named_must_do(machine: Machine) -> None:
    machine.add_python("python3", "3.12.0")
    old = machine.add_python("old", "3.8.2")
    new = machine.add_python("new", "3.13.0")
    assert machine.run(PYTHON_SH, "file.py", PYTHON=new).stdout == "3.13.0 runs file.py\n"
    answer = machine.run(PYTHON_SH, "file.py", PYTHON=old)
    assert (answer.returncode, answer.stderr.count("\n")) == (1, 1)
    assert f"PYTHON={old} is not one" in answer.stderr


@posix_only
def test_one_python_of_each_version_is_listed(machine: Machine) -> None:
    default = machine.add_python("python3", "3.12.1")
    machine.add_python("python3.12", "3.12.1")
    machine.add("python3.13", "exit 127")  # what pyenv puts on PATH for a version that is not switched on
    machine.add_python("../pyenv/versions/3.13.9/bin/python3", "3.13.9")
    newest = machine.add_python("../pyenv/versions/3.13.10/bin/python3", "3.13.10")
    eleven = machine.add_python("python3.11", "3.11.4")
    assert machine.run(PYTHON_SH, "--list").stdout.splitlines() == [default, newest, eleven]


@posix_only
def test_another_python_of_the_default_ones_minor_version_is_listed(machine: Machine) -> None:
    """Debian's 3.11.2 and a later 3.11 differ in what matters: its TLS transports, for one."""
    default = machine.add_python("python3", "3.11.2")
    machine.add_python("python3.11", "3.11.2")
    later = machine.add_python("../pyenv/versions/3.11.7/bin/python3", "3.11.7")
    assert machine.run(PYTHON_SH, "--list").stdout.splitlines() == [default, later]


def with_debian(machine: Machine, *installed: str, apt: str = "echo apt-get $*") -> None:
    """Give a machine Debian's programs, with these packages installed."""
    machine.add("dpkg-query", f"for name in {' '.join(installed)}; do echo installed $name; done")
    machine.add("apt-get", apt)


def offer(
    machine: Machine, *, required: bool = False, user: int = 0, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Call the offer to install the real clients that comes before the tests, as root or as somebody else."""
    code = (
        f"import os, sys; os.geteuid = lambda: {user}; sys.path.insert(0, {str(TOOLS)!r})\n"
        "sys.dont_write_bytecode = True\n"
        "import debian\n"
        f"debian.offer_peers(required={required})"
    )
    return machine.run("-c", f'exec {sys.executable} -c "$0"', code, **variables)


@posix_only
def test_nothing_is_installed_without_consent(machine: Machine) -> None:
    with_debian(machine, "xvfb")
    answer = offer(machine, user=1000)
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (0, "", 1)
    assert "tests with real clients are skipped where these packages are missing" in answer.stderr
    assert " virt-viewer" in answer.stderr
    assert " xvfb" not in answer.stderr
    assert offer(machine, SPICEEMU_INSTALL="0").stderr == answer.stderr


@posix_only
def test_root_installs_and_says_so_first(machine: Machine) -> None:
    with_debian(machine, "xvfb")
    said, update, updating, install, installing = offer(machine).stderr.splitlines()
    assert "need packages that are not here" in said
    assert update == "spiceemu: running apt-get update"
    assert re.fullmatch(r"apt-get -q .* update", updating)
    assert install.startswith("spiceemu: running apt-get install -y --no-install-recommends spice-client-gtk ")
    assert re.match(r"apt-get -q .* install -y --no-install-recommends spice-client-gtk ", installing)


@posix_only
def test_consent_without_root_goes_through_sudo(machine: Machine) -> None:
    with_debian(machine, "xvfb")
    answer = offer(machine, user=1000, SPICEEMU_INSTALL="1")
    assert "only root can install: apt-get install " in answer.stderr
    machine.add("sudo", "echo sudo $*")
    answer = offer(machine, user=1000, SPICEEMU_INSTALL="1")
    assert "sudo -n env DEBIAN_FRONTEND=noninteractive apt-get " in answer.stderr


@posix_only
def test_nothing_is_done_when_all_is_there(machine: Machine, tool: Callable[[str], ModuleType]) -> None:
    with_debian(machine, *tool("debian").listed())
    answer = offer(machine, required=True)
    assert (answer.returncode, answer.stderr) == (0, "")


@posix_only
@pytest.mark.parametrize(
    ("apt", "consent", "reason"),
    [("exit 100", "1", "apt-get update failed"), ("exit 0", "0", "are required, and these packages are missing")],
)
def test_only_where_clients_are_required_must_they_be_had(
    machine: Machine, apt: str, consent: str, reason: str
) -> None:
    with_debian(machine, "xvfb", apt=apt)
    assert offer(machine, SPICEEMU_INSTALL=consent).returncode == 0
    answer = offer(machine, required=True, SPICEEMU_INSTALL=consent)
    assert answer.returncode == 1
    assert reason in answer.stderr


@posix_only
def test_a_system_without_debian_packages_skips(machine: Machine) -> None:
    answer = offer(machine)
    assert (answer.returncode, answer.stderr.count("\n")) == (0, 1)
    assert "their tests are skipped" in answer.stderr


@posix_only
def test_skips_name_packages_that_make_peers_installs(tool: Callable[[str], ModuleType]) -> None:
    source = ast.parse((CHECKOUT / "tests" / "peers" / "clients.py").read_text())
    (table,) = [
        ast.literal_eval(node.value)
        for node in source.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PACKAGES"
    ]
    assert {name for names in table.values() for name in names.split()} <= set(tool("debian").listed())


# What becomes of a skip where the real clients are required


PEERS_TEST = """
import pytest

def test_skipped():
    pytest.skip("no remote-viewer: apt-get install virt-viewer")

@pytest.mark.xfail(strict=True)
def test_expected_to_fail():
    assert False
"""


@pytest.mark.parametrize(
    ("required", "source", "counts"),
    [
        ("0", PEERS_TEST, "1 skipped, 1 xfailed"),
        ("1", PEERS_TEST, "1 failed, 1 xfailed"),
        ("1", "import pytest\npytest.skip('no gi', allow_module_level=True)", "1 error"),
    ],
)
def test_skips_of_real_clients(tmp_path: Path, required: str, source: str, counts: str) -> None:
    tests = tmp_path / "tests"
    (tests / "peers").mkdir(parents=True)
    shutil.copy(CHECKOUT / "pyproject.toml", tmp_path)
    shutil.copy(CHECKOUT / "tests" / "conftest.py", tests)
    (tests / "peers" / "test_it.py").write_text(source)
    environment = {**os.environ, "SPICEEMU_REQUIRE_PEERS": required}
    command = [sys.executable, "-m", "pytest", "-m", "peers", "-p", "no:cacheprovider", "-p", "no:xdist"]
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert re.search(rf"{counts} in ", answer.stdout), answer.stdout
