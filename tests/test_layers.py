"""The layers of the package: each may import what stands above it in ``LAYERS``, never what stands below.

The imports are read from the source text, wherever in a file they stand: an import for type checking only, or put off
into a function, is knowledge of the other layer as well.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

import spiceemu

PACKAGE = "spiceemu"
FOLDER = Path(spiceemu.__file__).parent

#: From the top down. A name is a folder or a module of the package; ``*`` is every other module at the package's top.
LAYERS: dict[str, tuple[str, ...]] = {
    "version": ("_version",),
    "protocol": ("protocol",),
    "judge": ("judge",),
    "codecs": ("codecs",),
    "guest": ("guest",),
    "channels": ("channels",),
    "session": ("session", "agent_talk", "migration"),
    "server side": ("*",),
    "front ends": ("__init__", "__main__", "cli", "pytest_plugin", "blocking", "control", "scenarios"),
}
ORDER = list(LAYERS)
SANS_IO = ("version", "protocol", "judge", "codecs", "guest", "channels", "session")

#: What the layers without input and output never import: sockets, threads, clocks and randomness.
NEVER_IN_SANS_IO = frozenset(
    {
        *("asyncio", "concurrent", "multiprocessing", "queue", "sched", "signal", "subprocess", "threading"),
        *("http", "select", "selectors", "socket", "socketserver", "ssl", "urllib"),
        *("random", "secrets", "time"),
    }
)
#: Where one of these is allowed all the same, and why.
ALLOWED = {
    ("spiceemu.protocol.ticket", "secrets"): "the default of its argument for randomness",
}

#: Installed packages the code may import: those that are always there, and those of an extra, inside functions only.
ALWAYS_THERE = {"construct"}
FROM_AN_EXTRA = {"cryptography", "PIL"}

#: How a message is laid out is the business of the protocol layer alone.
LAYOUT_MODULES = (
    "construct",
    *(f"spiceemu.protocol.{module}" for module in ("layout", "compiler", "compile_parse", "compile_build")),
)
KNOW_LAYOUTS = ("protocol", "codecs")

#: One conversation each: none of these knows another one.
CHANNEL_KINDS = frozenset(
    {
        *("main", "display", "inputs", "cursor", "playback", "record"),
        *("tunnel", "smartcard", "spicevmc", "usbredir", "port", "webdav"),
    }
)


@dataclass(frozen=True)
class Import:
    """One thing imported.

    :param target: its dotted name; ``from a import b`` is ``a.b``, be that a module or what a module holds.
    :param line: where it stands.
    :param in_function: whether it is put off until a function is called.
    """

    target: str
    line: int
    in_function: bool


def layer_of(module: str) -> str:
    """The layer of a module of the package, given with its full name."""
    top = module.removeprefix(PACKAGE).lstrip(".").split(".")[0] or "__init__"
    for layer, members in LAYERS.items():
        if top in members:
            return layer
    return "server side"


def imports_of(module: str, source: str, *, is_package: bool = False) -> list[Import]:
    """Everything that a source text imports, relative imports made absolute."""
    found: list[Import] = []
    home = module.split(".") if is_package else module.split(".")[:-1]

    def visit(node: ast.AST, *, in_function: bool) -> None:
        targets: list[str] = []
        match node:
            case ast.Import():
                targets = [alias.name for alias in node.names]
            case ast.ImportFrom():
                base = home[: len(home) - node.level + 1] if node.level else []
                start = ".".join([*base, *([node.module] if node.module else [])])
                targets = [f"{start}.{alias.name}" for alias in node.names]
            case ast.Call(
                func=ast.Name("import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(str(target)), *_],
            ):
                targets = [target]
        found.extend(Import(target, getattr(node, "lineno", 0), in_function) for target in targets)
        inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, in_function=inside)

    visit(ast.parse(source), in_function=False)
    return found


def breaches(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """Each breach of the layers in one module's source, as a line that names it."""
    layer = layer_of(module)
    found = []
    for imported in imports_of(module, source, is_package=is_package):
        inside = is_within(imported.target, PACKAGE)
        broken = inside_breaches(module, imported) if inside else outside_breaches(module, imported)
        if layer not in KNOW_LAYOUTS and any(is_within(imported.target, known) for known in LAYOUT_MODULES):
            broken.append(f"{layer} must not see how a message is laid out: {imported.target}")
        found += [f"{module}:{imported.line}: {text}" for text in broken]
    return found


def is_within(name: str, module: str) -> bool:
    """Whether a dotted name is a module or something in it."""
    return name == module or name.startswith(module + ".")


def outside_breaches(module: str, imported: Import) -> list[str]:
    """What is wrong with importing from the standard library or from another package."""
    layer = layer_of(module)
    top = imported.target.split(".")[0]
    if top in sys.stdlib_module_names:
        if layer in SANS_IO and top in NEVER_IN_SANS_IO and (module, top) not in ALLOWED:
            return [f"{layer} must do without {imported.target}"]
    elif top in FROM_AN_EXTRA:
        if not imported.in_function:
            return [f"{top} comes with an extra: import it in the function that needs it"]
    elif top not in ALWAYS_THERE:
        return [f"{top} is not a dependency"]
    return []


def inside_breaches(module: str, imported: Import) -> list[str]:
    """What is wrong with importing from the package itself."""
    target = imported.target
    layer, other = layer_of(module), layer_of(target)
    found = []
    if ORDER.index(other) > ORDER.index(layer):
        found.append(f"{layer} must not import {target}, which belongs to {other}")
    if layer == other == "channels":
        ours, theirs = (name.split(".")[2] for name in (module + ".", target + "."))
        if ours != theirs and {ours, theirs} <= CHANNEL_KINDS:
            found.append(f"the channel {ours} must not know the channel {theirs}")
    name = target.rpartition(".")[2]
    if layer == "front ends" and other != "version" and name.startswith("_") and not name.startswith("__"):
        found.append(f"a front end must not use the private name {target}")
    return found


def modules() -> list[tuple[str, Path]]:
    """Every module of the package as it is installed."""
    found = []
    for path in sorted(FOLDER.rglob("*.py")):
        parts = path.relative_to(FOLDER.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found.append((name, path))
    return found


@pytest.mark.parametrize(("module", "path"), [pytest.param(*found, id=found[0]) for found in modules()])
def test_module_imports_only_what_its_layer_may(module: str, path: Path) -> None:
    assert breaches(module, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py") == []


def test_every_layer_without_io_is_walked() -> None:
    walked = {layer_of(module) for module, _ in modules()}
    assert walked >= {"protocol", "judge", "codecs", "guest", "channels"}


@pytest.mark.parametrize(
    ("module", "source", "breach"),
    [
        ("spiceemu.protocol.link", "import asyncio", "protocol must do without asyncio"),
        ("spiceemu.protocol.link", "from socket import socket", "protocol must do without socket"),
        ("spiceemu.protocol.link", "import secrets", "protocol must do without secrets"),
        ("spiceemu.guest.desktop", "from time import monotonic", "guest must do without time"),
        ("spiceemu.codecs.lz", "def f():\n    import random", "codecs must do without random"),
        ("spiceemu.session", "import concurrent.futures", "session must do without concurrent.futures"),
        ("spiceemu.protocol.link", "from spiceemu.codecs import lz", "protocol must not import spiceemu.codecs"),
        ("spiceemu.codecs.lz", "from spiceemu.guest.a import b", "codecs must not import spiceemu.guest.a"),
        ("spiceemu.codecs.lz", "from ..channels import main", "codecs must not import spiceemu.channels"),
        ("spiceemu.guest.canvas", "from spiceemu import session", "guest must not import spiceemu.session"),
        ("spiceemu.guest.canvas", "import spiceemu", "guest must not import spiceemu, which belongs to front ends"),
        ("spiceemu.channels.main", "from spiceemu import server", "channels must not import spiceemu.server"),
        ("spiceemu.channels.main", "from . import display", "the channel main must not know the channel display"),
        ("spiceemu.channels.main", "if X:\n    import spiceemu.session", "must not import spiceemu.session"),
        ("spiceemu.session", "import_module('spiceemu.server')", "session must not import spiceemu.server"),
        ("spiceemu.server", "import spiceemu.cli", "server side must not import spiceemu.cli"),
        ("spiceemu.server", "from construct import Int8ul", "must not see how a message is laid out"),
        ("spiceemu.server", "from spiceemu.protocol import layout", "must not see how a message is laid out"),
        ("spiceemu.server", "import numpy", "numpy is not a dependency"),
        ("spiceemu.tls", "from cryptography import x509", "cryptography comes with an extra"),
        (
            "spiceemu.cli",
            "from spiceemu.server import _accept",
            "use the private name spiceemu.server._accept",
        ),
    ],
)
def test_a_breach_is_found(module: str, source: str, breach: str) -> None:
    (found,) = breaches(module, source)
    assert breach in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("spiceemu.protocol.link", "import struct\nfrom construct import Int8ul\nfrom .errors import LinkError"),
        ("spiceemu.protocol.ticket", "import secrets"),
        ("spiceemu.codecs.lz", "from spiceemu.protocol.errors import MalformedImage"),
        ("spiceemu.channels.main", "from . import base\nfrom spiceemu.guest import agent"),
        ("spiceemu.session", "from spiceemu.channels.main import Main"),
        ("spiceemu.server", "import asyncio, ssl, time\nfrom spiceemu.session import Session"),
        ("spiceemu.tls", "def certificate():\n    from cryptography import x509"),
        ("spiceemu.cli", "from spiceemu import SpiceServer\nfrom spiceemu._version import __version__"),
    ],
)
def test_what_the_layers_allow_is_no_breach(module: str, source: str) -> None:
    assert breaches(module, source) == []
