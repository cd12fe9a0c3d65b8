"""Derives from a record's declaration the functions that do its daily work.

construct walks its objects for every message, which costs 40 to 90 µs for a DRAW_COPY. Here the same objects are walked
once, on first use, and written out as Python source: neighbouring fixed fields become one ``struct`` call, whatever
else stays a branch, a slice or a loop. Four functions a record::

    parse(body, o, end)              -> (record, the offset after it)
    size(x)                          -> bytes of the record itself, without what it points to
    emit(x, out, queue, free)        -> free, after appending the record's pieces to ``out``
    pieces(x)                        -> the pieces of the record and of all it points to

``free`` is the offset at which the next pointed-to part will stand. A pointer met while emitting takes ``free`` as its
value, moves it on by the target's size and queues the target: the breadth-first order of upstream's marshallers, known
before a byte is written.

The truth stays :attr:`Record.layout`; tests hold both to the same bytes. Reading is written out in
:mod:`spiceemu.protocol.layout.parse`, writing in :mod:`spiceemu.protocol.layout.build`; both stand on
:mod:`spiceemu.protocol.layout.writer`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from spiceemu.protocol.layout.build import emit_source, pieces_source, size_source
from spiceemu.protocol.layout.parse import fixed_source, parse_source
from spiceemu.protocol.layout.writer import Functions, has_pointers

if TYPE_CHECKING:
    from spiceemu.protocol.layout.fields import Record

_made: dict[type[Record], Functions] = {}


def functions_of(record: type[Record]) -> Functions:
    """The compiled functions of a record, made on first use."""
    found = _made.get(record)
    if found is None:
        found = _made[record] = _compile(record)
    return found


def _compile(record: type[Record]) -> Functions:
    names: dict[str, Any] = {}
    sources = (parse_source, size_source, emit_source, pieces_source)
    source = "\n".join(line for make in sources for line in make(record, names, functions_of))
    exec(compile(source, f"<{record.__module__}.{record.__qualname__}>", "exec"), names)  # noqa: S102 - our own text
    parse, size, emit, pieces = (names[function] for function in ("parse", "size", "emit", "pieces"))
    return Functions(parse, size, emit, pieces, has_pointers(record), source)


def fixed_reader(record: type[Record], otherwise: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """A function that reads bodies of the record's one size in the shortest way, and leaves others to ``otherwise``.

    It is ``otherwise`` itself for a record that has no fixed size. Most of what a client sends has one: this is the way
    in that decides how many keys and motions a server takes a second.

    :returns: a function of the body.
    """
    names: dict[str, Any] = {"otherwise": otherwise}
    source = fixed_source(record, names, functions_of)
    if not source:
        return otherwise
    path = f"<{record.__module__}.{record.__qualname__}.read>"
    exec(compile("\n".join(source), path, "exec"), names)  # noqa: S102 - our own text
    read: Callable[[bytes], Any] = names["read"]
    return read
