"""The face of the package: what a newcomer imports, sees and reads."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import spiceemu
from spiceemu import Client, SpiceServer

FACE = Path(spiceemu.__file__).parent


def imports_in(source: str) -> Iterator[tuple[str, str]]:
    """Module and name of everything that a source text imports; a whole module has the name ``""``."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            yield from ((node.module or "", alias.name) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)


def from_elsewhere(source: str) -> list[str]:
    """The modules of the package that a source text imports from beside the face itself."""
    return [module for module, _ in imports_in(source) if module.startswith("spiceemu.")]


def undocumented(kind: type) -> list[str]:
    """The public attributes of a class that have no docstring."""
    return [
        name
        for name, value in inspect.getmembers(kind)
        if not name.startswith("_") and not (value.__doc__ or "").strip()
    ]


# Names


@pytest.mark.parametrize("name", spiceemu.__all__)
def test_every_name_is_loaded_when_it_is_asked_for(name: str) -> None:
    assert getattr(spiceemu, name) is not None
    assert name in dir(spiceemu)


def test_no_name_has_two_homes() -> None:
    names = [name for names in spiceemu._HOMES.values() for name in names]
    assert sorted(names) == sorted(set(names))


def test_a_name_that_is_not_there_is_named() -> None:
    with pytest.raises(AttributeError, match="'SpiceClient'"):
        getattr(spiceemu, "SpiceClient")  # noqa: B009 - type checkers know that it is not there


def test_type_checkers_are_told_the_same_names_and_homes() -> None:
    told = set(imports_in((FACE / "__init__.pyi").read_text(encoding="utf-8")))
    homes = {(home, name) for home, names in spiceemu._HOMES.items() for name in names}
    assert told == homes | {("spiceemu._version", "__version__")}


def test_type_checkers_are_told_that_every_name_is_meant_for_them() -> None:
    source = (FACE / "__init__.pyi").read_text(encoding="utf-8")
    aliases = [alias for node in ast.parse(source).body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert [alias.name for alias in aliases if alias.asname != alias.name] == []


def test_messages_are_found_by_their_channel() -> None:
    from spiceemu.protocol.messages.display import MonitorsConfig

    assert spiceemu.messages.display.MonitorsConfig is MonitorsConfig


@pytest.mark.parametrize("home", spiceemu._HOMES)
def test_a_home_has_what_the_face_says(home: str) -> None:
    module = importlib.import_module(home)
    assert [name for name in spiceemu._HOMES[home] if not hasattr(module, name)] == []


# Documents


def imported_in_text(text: str) -> set[str]:
    """The names that the code in a document imports from the face."""
    found = re.findall(r"^ *from spiceemu import (.+)$", text, re.MULTILINE)
    return {name.strip() for names in found for name in names.split(",")}


def test_documents_import_names_that_there_are(checkout: Path) -> None:
    documents = [checkout / "README.md", *sorted((checkout / "docs").glob("*.md"))]
    found = {path.name: imported_in_text(path.read_text(encoding="utf-8")) for path in documents}
    assert found["README.md"] >= {"SpiceServer", "KeyDown", "Tls", "Limits", "messages"}
    assert {name: wrong for name, names in found.items() if (wrong := names - set(spiceemu.__all__))} == {}


# Examples


def test_every_example_imports_from_the_face_only(checkout: Path) -> None:
    examples = sorted((checkout / "examples").glob("*.py"))
    assert examples
    assert {path.name: found for path in examples if (found := from_elsewhere(path.read_text(encoding="utf-8")))} == {}


@pytest.mark.parametrize(
    "source", ["import spiceemu.server", "from spiceemu.server import SpiceServer", "def f():\n    import spiceemu.x"]
)
def test_an_import_from_elsewhere_is_found(source: str) -> None:
    assert from_elsewhere(source)


# What is seen


@pytest.mark.parametrize("kind", [SpiceServer, Client, spiceemu.ClientChannel, spiceemu.MessageTap])
def test_all_that_is_public_is_documented(kind: type) -> None:
    assert undocumented(kind) == []


def test_what_is_not_documented_is_found() -> None:
    class Mute:
        """Says nothing."""

        def told(self) -> None:
            """Says so."""

        def untold(self) -> None: ...

        @property
        def unsaid(self) -> int:
            return 1

    assert undocumented(Mute) == ["unsaid", "untold"]


def test_a_server_keeps_nothing_public_beside_what_its_class_shows() -> None:
    assert [name for name in vars(SpiceServer()) if not name.startswith("_")] == []


def test_a_server_without_options_listens_at_a_port_of_its_own() -> None:
    server = SpiceServer()
    assert (server.host, server.port, server.tls_port, server.unix_path) == ("127.0.0.1", 0, None, None)
    assert repr(server) == "<SpiceServer not listening level 0.15.1, 0 clients>"
