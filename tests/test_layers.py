"""The rooms of the package: each may import what stands below it, never what stands above, and nobody in a circle.

The imports are read from the source text by ``tools/import_graph.py``, which has the order of the rooms: wherever in a
file they stand, for an import for type checking only, or put off into a function, is knowledge of the other as well.
"""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

import spiceemu

PACKAGE = "spiceemu"
FOLDER = Path(spiceemu.__file__).parent


def _import_graph() -> ModuleType:
    """The tool, which stands beside the package and not in it."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tools"))
    try:
        return importlib.import_module("import_graph")
    finally:
        del sys.path[0]


import_graph = _import_graph()
Import, imports_of, room_of, height_of = (
    import_graph.Import,
    import_graph.imports_of,
    import_graph.room_of,
    import_graph.height_of,
)

SANS_IO = (
    *("_version", "errors", "drawing", "protocol", "events", "codecs"),
    *("judge", "guest", "channels", "sessions", "desktop"),
)
"""The rooms without input and output."""

FRONT_ENDS = ("cli", "__init__", "__main__")

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
    ("spiceemu.protocol.link.ticket", "secrets"): "the default of its argument for randomness",
    ("spiceemu.desktop.demo", "asyncio"): "what lets the desktop live on a server",
}

#: Installed packages the code may import: those that are always there, and those of an extra, inside functions only.
ALWAYS_THERE = {"construct"}
FROM_AN_EXTRA = {"cryptography", "PIL"}

#: How a message is laid out is the business of the protocol layer alone.
LAYOUT_MODULES = ("construct", "spiceemu.protocol.layout")
KNOW_LAYOUTS = ("protocol", "codecs")

#: One conversation each: none of these knows another one.
CHANNEL_KINDS = frozenset(
    {
        *("main", "display", "inputs", "cursor", "playback", "record"),
        *("tunnel", "smartcard", "spicevmc", "usbredir", "port", "webdav"),
    }
)


def breaches(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """Each breach of the layers in one module's source, as a line that names it."""
    layer = room_of(module)
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
    layer = room_of(module)
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
    layer, other = room_of(module), room_of(target)
    found = []
    # Front ends may take what a user would.
    upwards = layer not in FRONT_ENDS if other == "__init__" else height_of(target) > height_of(module)
    if upwards:
        found.append(f"{layer} must not import {target}, which belongs to {other}")
    if layer == "drawing" and other not in ("drawing", "errors"):
        found.append(f"drawing stands alone: it must not import {target}")
    if layer == other == "channels":
        ours, theirs = (name.split(".")[2] for name in (module + ".", target + "."))
        if ours != theirs and {ours, theirs} <= CHANNEL_KINDS:
            found.append(f"the channel {ours} must not know the channel {theirs}")
    name = target.rpartition(".")[2]
    if layer == "cli" and other != "_version" and name.startswith("_") and not name.startswith("__"):
        found.append(f"a front end must not use the private name {target}")
    return found


MODULES: dict[str, Path] = import_graph.modules(FOLDER)


@pytest.mark.parametrize(("module", "path"), [pytest.param(*found, id=found[0]) for found in MODULES.items()])
def test_module_imports_only_what_its_layer_may(module: str, path: Path) -> None:
    assert breaches(module, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py") == []


def test_every_room_is_there_and_every_module_in_one() -> None:
    rooms = {room for rooms in import_graph.ROOMS for room in rooms}
    tops = {path.stem for path in FOLDER.glob("*.py")} | {path.parent.name for path in FOLDER.glob("*/__init__.py")}
    assert tops == rooms
    assert set(SANS_IO) <= rooms


@pytest.mark.parametrize(
    ("module", "source", "breach"),
    [
        ("spiceemu.protocol.framing", "import asyncio", "protocol must do without asyncio"),
        ("spiceemu.protocol.framing", "from socket import socket", "protocol must do without socket"),
        ("spiceemu.protocol.framing", "import secrets", "protocol must do without secrets"),
        ("spiceemu.desktop.clock", "from time import monotonic", "desktop must do without time"),
        ("spiceemu.codecs.lz", "def f():\n    import random", "codecs must do without random"),
        ("spiceemu.sessions.session", "import concurrent.futures", "sessions must do without concurrent.futures"),
        ("spiceemu.protocol.framing", "from spiceemu.codecs import lz", "protocol must not import spiceemu.codecs"),
        ("spiceemu.codecs.lz", "from spiceemu.guest.a import b", "codecs must not import spiceemu.guest.a"),
        ("spiceemu.codecs.lz", "from ..channels import main", "codecs must not import spiceemu.channels"),
        ("spiceemu.guest.machine", "from spiceemu import sessions", "guest must not import spiceemu.sessions"),
        ("spiceemu.guest.machine", "import spiceemu", "guest must not import spiceemu, which belongs to __init__"),
        ("spiceemu.guest.machine", "from spiceemu import Client", "guest must not import spiceemu.Client"),
        ("spiceemu.channels.main", "from spiceemu import server", "channels must not import spiceemu.server"),
        ("spiceemu.channels.main", "from . import display", "the channel main must not know the channel display"),
        ("spiceemu.channels.main", "if X:\n    import spiceemu.sessions", "must not import spiceemu.sessions"),
        ("spiceemu.serving.moving", "import_module('spiceemu.server')", "serving must not import spiceemu.server"),
        ("spiceemu.server", "import spiceemu.cli", "server must not import spiceemu.cli"),
        ("spiceemu.server", "from construct import Int8ul", "must not see how a message is laid out"),
        ("spiceemu.server", "from spiceemu.protocol import layout", "must not see how a message is laid out"),
        ("spiceemu.server", "import numpy", "numpy is not a dependency"),
        ("spiceemu.serving.tls", "from cryptography import x509", "cryptography comes with an extra"),
        ("spiceemu.cli.probe", "from spiceemu.server import _accept", "use the private name spiceemu.server._accept"),
        ("spiceemu.drawing.text", "from spiceemu import _version", "drawing stands alone"),
    ],
)
def test_a_breach_is_found(module: str, source: str, breach: str) -> None:
    (found,) = breaches(module, source)
    assert breach in found


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "spiceemu.protocol.link.server",
            "import struct\nfrom construct import Int8ul\nfrom ...errors import LinkError",
        ),
        ("spiceemu.protocol.link.ticket", "import secrets"),
        ("spiceemu.codecs.lz", "from spiceemu.errors import MalformedImage"),
        ("spiceemu.channels.main", "from . import base\nfrom spiceemu.guest import agent"),
        ("spiceemu.sessions.session", "from spiceemu.channels.main import Main"),
        ("spiceemu.server", "import asyncio, ssl, time\nfrom spiceemu.sessions.session import Session"),
        ("spiceemu.serving.tls", "def certificate():\n    from cryptography import x509"),
        ("spiceemu.cli.serving", "from spiceemu import SpiceServer\nfrom spiceemu._version import __version__"),
    ],
)
def test_what_the_layers_allow_is_no_breach(module: str, source: str) -> None:
    assert breaches(module, source) == []


def test_a_circle_is_found_wherever_its_imports_stand(tmp_path: Path) -> None:
    folder = tmp_path / "spiceemu"
    (folder / "guest").mkdir(parents=True)
    for name, source in (
        ("a", "def f():\n    from spiceemu.guest import b"),
        ("b", "if TYPE_CHECKING:\n    from spiceemu.guest.c import C"),
        ("c", "import spiceemu.guest.a"),
        ("d", "import spiceemu.guest.a"),
    ):
        (folder / "guest" / f"{name}.py").write_text(source)
    edges = import_graph.graph(import_graph.modules(folder))
    assert import_graph.circles(edges) == [["spiceemu.guest.a", "spiceemu.guest.b", "spiceemu.guest.c"]]


def test_what_is_too_long_is_found(tmp_path: Path) -> None:
    long = tmp_path / "long.py"
    body = "    pass\n" * import_graph.MAX_FUNCTION
    long.write_text(f"def endless():\n{body}" + "\n" * import_graph.MAX_FILE)
    lines = import_graph.MAX_FUNCTION + 1
    assert [*import_graph.too_long({"long": long})] == [
        f"long has {lines + import_graph.MAX_FILE} lines, the limit is {import_graph.MAX_FILE}",
        f"long.endless has {lines} lines, the limit is {import_graph.MAX_FUNCTION}",
    ]


# The package as it is


@pytest.fixture(scope="module")
def edges() -> dict[str, dict[str, int]]:
    """Who imports whom in the package."""
    found: dict[str, dict[str, int]] = import_graph.graph(MODULES)
    return found


def test_nobody_imports_in_a_circle(edges: dict[str, dict[str, int]]) -> None:
    assert import_graph.circles(edges) == []


def test_nobody_imports_from_a_room_above(edges: dict[str, dict[str, int]]) -> None:
    assert [*import_graph.upwards(edges)] == []


def test_no_file_and_no_function_is_too_long() -> None:
    assert [*import_graph.too_long(MODULES)] == []


def test_no_two_public_classes_share_a_name() -> None:
    """Messages are called by their module, and an event has the name of the message that it came from."""
    names: dict[str, list[str]] = {}
    for module, path in MODULES.items():
        if not module.startswith(("spiceemu.protocol.messages.", "spiceemu.protocol.agent.message")):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    names.setdefault(node.name, []).append(module)
    assert {name: modules for name, modules in names.items() if len(modules) > 1} == {}
