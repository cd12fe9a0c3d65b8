"""What callers give: each check returns it, or says what is wanted in its place.

Rectangles and positions are checked in :mod:`spiceemu.drawing.geometry`, colours in :mod:`spiceemu.drawing.colors`.
"""

from __future__ import annotations

from operator import index
from typing import TypeVar

from spiceemu.errors import InvalidValue

Kind = TypeVar("Kind")


def as_whole(name: str, value: int) -> int:
    """Check a whole number.

    :param name: the argument's, for the error's text.
    :returns: the number.
    :raises InvalidValue: if it is anything else.
    """
    try:
        return index(value)
    except TypeError:
        raise InvalidValue(f"{name} is a whole number, not {value!r}") from None


def as_bytes(name: str, value: bytes | bytearray | memoryview) -> bytes:
    """Check bytes, and copy those that can change.

    :param name: the argument's, for the error's text.
    :returns: the bytes, which do not change any more.
    :raises InvalidValue: if it is anything else; a number, of which ``bytes()`` would make zeros, is one such thing.
    """
    if isinstance(value, bytes):
        return value
    try:
        return memoryview(value).tobytes()
    except TypeError:
        raise InvalidValue(f"{name} is bytes, not {type(value).__name__}") from None


def as_kind(name: str, value: Kind, kind: type[Kind]) -> Kind:
    """Check a value of a class.

    :param name: the argument's, for the error's text.
    :returns: the value.
    :raises InvalidValue: if it is of another one.
    """
    if not isinstance(value, kind):
        raise InvalidValue(f"{name} is of type {kind.__name__}, not {type(value).__name__}")
    return value
