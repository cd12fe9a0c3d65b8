"""Snapshots: plain data, such as the state of a guest, as bytes for a file. ``docs/snapshot.md`` has the format.

::

    file   magic "SPICEEMU" | u32 version | u64 size of the body | the body, compressed by zlib
    body   u32 size of the JSON | u32 number of blobs | u64 size of each blob | the JSON | the blobs

Little endian. The JSON is the data, with ``{"$blob": n}`` wherever there are bytes. Nothing is ever executed, and what
a file says of its sizes is held to the limits here before anything is decompressed or made.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from typing import Any, Final

from spiceemu.errors import InvalidValue, MalformedSnapshot
from spiceemu.guest.display import MAX_SURFACE_ID
from spiceemu.guest.limits import MAX_DISPLAYS

MAGIC: Final = b"SPICEEMU"

VERSION: Final = 1
"""The version that is written, and the latest that is read."""

MAX_BODY: Final = 1 << 30
"""Most bytes of a body, decompressed; the pixels of seven surfaces of the largest size fit."""

MAX_SURFACES: Final = MAX_DISPLAYS * (MAX_SURFACE_ID + 1)
"""Surfaces of the largest guest. What else is in a snapshot grows with them, or takes a few bytes."""

MAX_JSON: Final = 160 * MAX_SURFACES + (1 << 24)
"""Most bytes of JSON. A surface has up to 141 (in the guest, at the client, and not yet drawn there); of the rest most
are the sizes of what waits for a client's agent: 5 MiB."""

MAX_OBJECTS: Final = 4 * MAX_SURFACES + (1 << 18)
"""Most dictionaries and lists, four for each surface. With them, all of the JSON takes at most 1.5 GiB as objects."""

MAX_BLOBS: Final = MAX_SURFACES + (1 << 10)
"""Most blobs: the pixels of every surface, what a client keeps of every display, and a few more."""

MAX_DEPTH: Final = 32
"""Most dictionaries and lists inside each other."""

MAX_INTEGER: Final = 1 << 64
"""Integers are smaller than this, and greater than its opposite."""

BLOB: Final = "$blob"
"""The key of the dictionary that stands for a blob. No other key begins with a dollar sign."""

_HEAD = struct.Struct("<8sIQ")
_COUNTS = struct.Struct("<II")
_SIZE = struct.Struct("<Q")
_STEP = 1 << 16  # compressed bytes that are looked at together


def dump(state: Mapping[str, Any]) -> bytes:
    """Make a snapshot of plain data: dictionaries with text as keys, lists, text, integers, booleans, None, bytes.

    :returns: all bytes of the file.
    :raises InvalidValue: naming the place of what is none of these, or what is over a limit.
    """
    body = _body_of(state)
    compressor = zlib.compressobj()
    pieces = [_HEAD.pack(MAGIC, VERSION, sum(map(len, body))), *map(compressor.compress, body)]
    return b"".join([*pieces, compressor.flush()])


def check(state: Mapping[str, Any]) -> None:
    """Refuse what :func:`dump` would, in a fraction of its time.

    :raises InvalidValue: naming the place of what is no plain data, or what is over a limit.
    """
    _body_of(state)


def _body_of(state: Mapping[str, Any]) -> list[bytes]:
    """The body in pieces."""
    blobs: list[bytes] = []
    text = json.dumps(_to_json(dict(state), blobs, "", 1), separators=(",", ":")).encode()
    sizes = b"".join(_SIZE.pack(len(blob)) for blob in blobs)
    body = [_COUNTS.pack(len(text), len(blobs)), sizes, text, *blobs]
    for name, value, limit in (
        ("bytes of JSON", len(text), MAX_JSON),
        ("dictionaries and lists", _objects_in(text), MAX_OBJECTS),
        ("blobs", len(blobs), MAX_BLOBS),
        ("bytes", sum(map(len, body)), MAX_BODY),
    ):
        if value > limit:
            raise InvalidValue(f"a snapshot has at most {limit} {name}, not {value}")
    return body


def _objects_in(text: bytes) -> int:
    """The dictionaries and lists in JSON, about: brackets inside of text count as well."""
    return text.count(b"{") + text.count(b"[")


def load(data: bytes) -> dict[str, Any]:
    """Read a snapshot.

    :returns: the plain data.
    :raises MalformedSnapshot: it is none, is damaged, or is over a limit; the text says where.
    """
    if data[: len(MAGIC)] != MAGIC:
        raise MalformedSnapshot(f"at offset 0: {data[: len(MAGIC)]!r}, a snapshot begins with {MAGIC!r}")
    if len(data) < _HEAD.size:
        raise MalformedSnapshot(f"at offset {len(data)}: the head of {_HEAD.size} bytes is cut off")
    _, version, size = _HEAD.unpack_from(data)
    if version != VERSION:
        raise MalformedSnapshot(f"at offset 8: version {version}, this program reads version {VERSION}")
    if size > MAX_BODY:
        raise MalformedSnapshot(f"at offset 12: a body of {size} bytes, the limit is {MAX_BODY}")
    body = _Body(memoryview(data)[_HEAD.size :], size)
    json_size, blob_count = _COUNTS.unpack(body.read(_COUNTS.size, "counts"))
    if json_size > MAX_JSON:
        raise MalformedSnapshot(f"body at offset 0: {json_size} bytes of JSON, the limit is {MAX_JSON}")
    if blob_count > MAX_BLOBS:
        raise MalformedSnapshot(f"body at offset 4: {blob_count} blobs, the limit is {MAX_BLOBS}")
    sizes = [blob_size for (blob_size,) in _SIZE.iter_unpack(body.read(blob_count * _SIZE.size, "sizes of blobs"))]
    text = body.read(json_size, "JSON")
    blobs = [body.read(blob_size, f"blob {number}") for number, blob_size in enumerate(sizes)]
    body.finish()
    state = _from_json(_parse(text), blobs, "", 1)
    if not isinstance(state, dict):
        raise MalformedSnapshot(f"JSON: a {type(state).__name__}, not an object")
    return state


class _Body:
    """The decompressed body, read from its beginning on. Never more is decompressed than is asked for.

    :param size: what it has in all, as the file says.
    """

    def __init__(self, compressed: memoryview, size: int) -> None:
        self._compressed = compressed
        self._left = size
        self._at = 0  # compressed bytes handed to zlib
        self._offset = 0  # in the body
        self._zlib = zlib.decompressobj()

    def read(self, size: int, what: str) -> bytes:
        """The next bytes of the body."""
        if size > self._left:
            raise MalformedSnapshot(
                f"body at offset {self._offset}: {what} of {size} bytes, {self._left} of the body are left"
            )
        pieces, missing = [], size
        while missing:
            piece = self._decompress(missing)
            if not piece and not self._has_more:
                raise MalformedSnapshot(
                    f"body at offset {self._offset + size - missing}: {what} is cut off, {missing} bytes are missing"
                )
            pieces.append(piece)
            missing -= len(piece)
        self._left -= size
        self._offset += size
        return b"".join(pieces)

    def finish(self) -> None:
        """See that nothing follows, neither in the body nor in the file; zlib then has checked its sum."""
        if self._left:
            raise MalformedSnapshot(f"body at offset {self._offset}: {self._left} bytes that belong to nothing")
        while not self._zlib.eof:
            if self._decompress(1):
                raise MalformedSnapshot(f"body at offset {self._offset}: it is longer than the file says")
            if not self._has_more and not self._zlib.eof:
                raise MalformedSnapshot(f"body at offset {self._offset}: its check sum is cut off")
        behind = len(self._zlib.unused_data) + len(self._compressed) - self._at
        if behind:
            raise MalformedSnapshot(f"at the end: {behind} bytes behind the snapshot")

    @property
    def _has_more(self) -> bool:
        return not self._zlib.eof and (bool(self._zlib.unconsumed_tail) or self._at < len(self._compressed))

    def _decompress(self, most: int) -> bytes:
        """Up to so many bytes; perhaps none before more of the file is looked at."""
        step: bytes | memoryview = self._zlib.unconsumed_tail
        if not step and not self._zlib.eof:
            step = self._compressed[self._at : self._at + _STEP]
            self._at += len(step)
        try:
            return self._zlib.decompress(step, most)
        except zlib.error as error:
            raise MalformedSnapshot(f"body at offset {self._offset} or later: {error}") from None


def _parse(text: bytes) -> Any:
    if _objects_in(text) > MAX_OBJECTS:
        raise MalformedSnapshot(f"JSON: {_objects_in(text)} dictionaries and lists, the limit is {MAX_OBJECTS}")
    try:
        return json.loads(text.decode(), parse_float=_refuse, parse_constant=_refuse)
    except RecursionError:
        raise MalformedSnapshot(f"JSON: more than {MAX_DEPTH} dictionaries and lists inside each other") from None
    except ValueError as error:
        raise MalformedSnapshot(f"JSON: {error}") from None


def _refuse(number: str) -> Any:
    raise ValueError(f"{number} is not an integer")


def _to_json(value: Any, blobs: list[bytes], path: str, depth: int) -> Any:
    """Plain data with references instead of bytes, which are added to ``blobs``."""

    def refuse(reason: str) -> InvalidValue:
        return InvalidValue(f"snapshot: {path or 'state'} {reason}")

    match value:
        case bytes():
            blobs.append(value)
            return {BLOB: len(blobs) - 1}
        case dict() | list() if depth > MAX_DEPTH:
            raise refuse(f"is inside {MAX_DEPTH} dictionaries and lists, which is the limit")
        case dict():
            for name in value:
                if not isinstance(name, str) or name.startswith("$"):
                    raise refuse(f"has the key {name!r}; keys are text that does not begin with a dollar sign")
            return {
                name: _to_json(inner, blobs, f"{path}.{name}".lstrip("."), depth + 1) for name, inner in value.items()
            }
        case list():
            return [_to_json(inner, blobs, f"{path}[{index}]", depth + 1) for index, inner in enumerate(value)]
        case None | bool() | str():
            return value
        case int() if -MAX_INTEGER < value < MAX_INTEGER:
            return int(value)
    raise refuse(f"is {type(value).__name__} {value!r:.40}, which is not plain data")


def _from_json(value: Any, blobs: list[bytes], path: str, depth: int) -> Any:
    """The opposite of :func:`_to_json`."""

    def refuse(reason: str) -> MalformedSnapshot:
        return MalformedSnapshot(f"JSON: {path or 'state'} {reason}")

    match value:
        case dict() if BLOB in value:
            number = value[BLOB]
            if len(value) > 1 or type(number) is not int or not 0 <= number < len(blobs):
                raise refuse(f"refers to blob {number!r:.40}, there are {len(blobs)}")
            return blobs[number]
        case dict() | list() if depth > MAX_DEPTH:
            raise refuse(f"is inside {MAX_DEPTH} dictionaries and lists, which is the limit")
        case dict():
            return {
                name: _from_json(inner, blobs, f"{path}.{name}".lstrip("."), depth + 1) for name, inner in value.items()
            }
        case list():
            return [_from_json(inner, blobs, f"{path}[{index}]", depth + 1) for index, inner in enumerate(value)]
        case int() if not -MAX_INTEGER < value < MAX_INTEGER:
            raise refuse(f"has more than {MAX_INTEGER.bit_length() - 1} bits")
    return value
