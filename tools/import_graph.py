"""Prints who imports whom in the package, room by room, and what is wrong with it: circles, and imports upwards.

    sh tools/python.sh tools/import_graph.py [--modules]

The imports are read from the source text, wherever in a file they stand: one for type checking only, or put off into a
function, is knowledge of the other module as well. ``tests/test_layers.py`` asks the same functions. It also tells
files and functions that are longer than a reader's head is wide.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

PACKAGE = "spiceemu"
FOLDER = Path(__file__).resolve().parent.parent / PACKAGE

MAX_FILE = 450
"""Most lines of a file."""

MAX_FUNCTION = 60
"""Most lines of a function."""

ROOMS: tuple[tuple[str, ...], ...] = (
    ("_version",),
    ("errors",),
    ("drawing",),
    ("protocol",),
    ("events",),
    ("codecs",),
    ("judge",),
    ("guest",),
    ("channels",),
    ("sessions",),
    ("serving",),
    ("recordings",),
    ("probing",),
    ("client", "server"),
    ("desktop",),
    ("cli",),
    ("__init__", "__main__"),
)
"""From the ground up: a room may import what stands before it, and itself."""


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


def modules(folder: Path = FOLDER) -> dict[str, Path]:
    """Every module of the package, by its full name."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room_of(module: str) -> str:
    """The room of a module, given with its full name: its folder, or itself at the package's top.

    What is none of them, such as ``spiceemu.SpiceServer``, is a name of the face.
    """
    room = module.removeprefix(PACKAGE).lstrip(".").split(".")[0]
    return room if any(room in rooms for rooms in ROOMS) else "__init__"


def height_of(module: str) -> int:
    """How far above the ground a module's room is."""
    room = room_of(module)
    return next(height for height, rooms in enumerate(ROOMS) if room in rooms)


def graph(found: Mapping[str, Path]) -> dict[str, dict[str, int]]:
    """For each module those that it imports, and the first line where it does."""
    edges: dict[str, dict[str, int]] = {}
    for module, path in found.items():
        edges[module] = {}
        for each in imports_of(module, path.read_text(encoding="utf-8"), is_package=path.name == "__init__.py"):
            name = each.target
            while name and name not in found:
                name = name.rpartition(".")[0]
            if name and name != module:
                edges[module].setdefault(name, each.line)
    return edges


def circles(edges: Mapping[str, Mapping[str, int]]) -> list[list[str]]:
    """The sets of modules that import each other, by whatever way (strongly connected components; Tarjan 1972)."""
    found: list[list[str]] = []
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    waiting: list[str] = []

    def visit(module: str) -> None:
        order[module] = low[module] = len(order)
        waiting.append(module)
        for other in edges[module]:
            if other not in order:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in waiting:
                low[module] = min(low[module], order[other])
        if low[module] == order[module]:
            at = waiting.index(module)
            component, waiting[at:] = waiting[at:], []
            if len(component) > 1:
                found.append(sorted(component))

    for module in edges:
        if module not in order:
            visit(module)
    return sorted(found)


def upwards(edges: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Each import of a room that stands above the importer's, as a line."""
    for module, targets in edges.items():
        for target, line in targets.items():
            if height_of(target) > height_of(module) and target != PACKAGE:
                yield f"{module}:{line} imports {target}, which stands above it"


def too_long(found: Mapping[str, Path]) -> Iterator[str]:
    """Each file and function over its limit, as a line."""
    for module, path in found.items():
        source = path.read_text(encoding="utf-8")
        lines = source.count("\n")
        if lines > MAX_FILE:
            yield f"{module} has {lines} lines, the limit is {MAX_FILE}"
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > MAX_FUNCTION:
                    yield f"{module}.{node.name} has {size} lines, the limit is {MAX_FUNCTION}"


def main(arguments: list[str]) -> int:
    """Print the graph.

    :returns: 1 if anything is wrong with it.
    """
    found = modules()
    edges = graph(found)
    for rooms in reversed(ROOMS):
        for room in rooms:
            members = [module for module in found if room_of(module) == room]
            below = {room_of(target) for module in members for target in edges[module]} - {room}
            print(f"{room:<11} {len(members):>3} modules  ->  {' '.join(sorted(below, key=_height)) or 'nothing'}")
            if "--modules" in arguments:
                for module in members:
                    targets = sorted(target.removeprefix(f"{PACKAGE}.") for target in edges[module])
                    print(f"    {module.removeprefix(f'{PACKAGE}.')}: {' '.join(targets) or 'nothing'}")
    wrong = [f"a circle: {' '.join(circle)}" for circle in circles(edges)]
    wrong += [*upwards(edges), *too_long(found)]
    print()
    print("\n".join(wrong) or "no circle, nothing upwards, nothing too long")
    return 1 if wrong else 0


def _height(room: str) -> int:
    return height_of(f"{PACKAGE}.{room}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
