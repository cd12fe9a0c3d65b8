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
    "codecs": ("codecs",),
    "guest": ("guest",),
    "channels": ("channels",),
    "session": ("session",),
    "server side": ("*",),
    "front ends": ("__init__", "__main__", "cli", "pytest_plugin", "blocking", "control", "scenarios"),
}
ORDER = list(LAYERS)
SANS_IO = ("version", "protocol", "codecs", "guest", "channels", "session")

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
LAYOUT_MODULES = ("construct", "spiceemu.protocol.layout", "spiceemu.protocol.compiler")

#: One conversation each: none of these knows another one.
CHANNEL_KINDS = frozenset(
    {
        *("main", "display", "inputs", "cursor", "playback", "record"),
        *("tunnel", "smartcard", "spicevmc", "usbredir", "port", "webdav"),
    }
)


@dataclass(frozen=True)
class Import:
    """One import statement's target: a dotted module, and whether it is put off into a function."""

    module: str
    names: tuple[str, ...]
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
    """Every import in a source text, relative ones made absolute."""
    found: list[Import] = []
    home = module if is_package else module.rpartition(".")[0]

    def visit(node: ast.AST, in_function: bool) -> None:
        match node:
            case ast.Import():
                found.extend(Import(alias.name, (), node.lineno, in_function) for alias in node.names)
            case ast.ImportFrom():
                target = node.module or ""
                if node.level:
                    base = home.split(".")[: len(home.split(".")) - node.level + 1]
                    target = ".".join([*base, *filter(None, [target])])
                found.append(Import(target, tuple(alias.name for alias in node.names), node.lineno, in_function))
            case ast.Call(
                func=ast.Name("import_module" | "__import__") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(str(target)), *_],
            ):
                found.append(Import(target, (), node.lineno, in_function))
        inside = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inside)

    visit(ast.parse(source), in_function=False)
    return found


def targets_of(imported: Import) -> list[str]:
    """The modules that an import may mean: ``from a import b`` is ``a.b`` if ``a`` holds nothing but modules."""
    if imported.module == PACKAGE:
        return [f"{PACKAGE}.{name}" for name in imported.names] or [PACKAGE]
    return [imported.module]


def breaches(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """Each breach of the layers in one module's source, as a line that names it."""
    found = []
    layer = layer_of(module)
    for imported in imports_of(module, source, is_package=is_package):
        where = f"{module}:{imported.line}"
        for target in targets_of(imported):
            top = target.split(".")[0]
            if top == PACKAGE:
                found += [f"{where}: {text}" for text in _inside(module, layer, target, imported)]
            elif top in sys.stdlib_module_names:
                if layer in SANS_IO and top in NEVER_IN_SANS_IO and (module, top) not in ALLOWED:
                    found.append(f"{where}: {layer} must do without {target}")
            elif top in FROM_AN_EXTRA:
                if not imported.in_function:
                    found.append(f"{where}: {target} comes with an extra: import it in the function that needs it")
            elif top not in ALWAYS_THERE:
                found.append(f"{where}: {target} is not a dependency")
            if layer not in {"protocol", "codecs"} and target.startswith(LAYOUT_MODULES):
                found.append(f"{where}: {layer} must not see how a message is laid out ({target})")
    return found


def _inside(module: str, layer: str, target: str, imported: Import) -> list[str]:
    """The breaches of an import from the package itself."""
    found = []
    other = layer_of(target)
    if ORDER.index(other) > ORDER.index(layer):
        found.append(f"{layer} must not import {target}, which belongs to {other}")
    if layer == other == "channels":
        ours, theirs = (name.split(".")[2:3] for name in (module, target))
        if ours != theirs and CHANNEL_KINDS.issuperset([*ours, *theirs]) and ours and theirs:
            found.append(f"the channel {ours[0]} must not know the channel {theirs[0]}")
    if layer == "front ends" and other != "version":
        private = [name for name in imported.names if name.startswith("_") and not name.startswith("__")]
        found += [f"a front end must not use the private name {name} of {target}" for name in private]
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
    assert walked >= {"protocol", "codecs", "guest", "channels"}


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
        ("spiceemu.channels.main", "from .display import X", "the channel main must not know the channel display"),
        ("spiceemu.channels.main", "if X:\n    import spiceemu.session", "must not import spiceemu.session"),
        ("spiceemu.session", "import_module('spiceemu.server')", "session must not import spiceemu.server"),
        ("spiceemu.server", "import spiceemu.cli", "server side must not import spiceemu.cli"),
        ("spiceemu.server", "from construct import Int8ul", "must not see how a message is laid out"),
        ("spiceemu.server", "import numpy", "numpy is not a dependency"),
        ("spiceemu.tls", "from cryptography import x509", "cryptography comes with an extra"),
        ("spiceemu.cli", "from spiceemu.server import _accept", "must not use the private name _accept"),
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
