"""Reads plain data that may hold anything: what comes back from a snapshot, or from another server's guest.

Plain data are dictionaries with names for keys, lists, text, integers, booleans, None and, for pixels and the like,
bytes. Each value is asked for as what it must be, with its limit; the error says where it stands::

    state = Plain({"keys": [30, 900]})
    [key.integer(0, 255) for key in state.field("keys").elements(16)]
    # InvalidValue: keys[1]: 900 is not one of 0 to 255
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from spiceemu.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Callable

SHOWN_VALUE = 40
"""Characters of a wrong value in an error's text."""

Result = TypeVar("Result")


class Plain:
    """A value and the path to it.

    :param path: how the value is called in errors; empty for the whole.
    """

    def __init__(self, value: Any, path: str = "") -> None:
        self.value = value
        self.path = path

    def __repr__(self) -> str:
        return f"<Plain {self.path or 'state'}>"

    def wrong(self, reason: str) -> InvalidValue:
        """An error about this value."""
        return InvalidValue(f"{self.path or 'state'}: {reason}")

    def fields(self, *names: str) -> list[Plain]:
        """The fields of a dictionary that has these and no others, in this order."""
        if not isinstance(self.value, dict):
            raise self.wrong(f"{_shown(self.value)} is not a dictionary")
        unknown = self.value.keys() - set(names)
        if unknown:
            raise self.wrong(f"has the unknown field {_shown(min(unknown, key=repr))}")
        return [self.field(name) for name in names]

    def field(self, name: str) -> Plain:
        """One field of a dictionary."""
        if not isinstance(self.value, dict):
            raise self.wrong(f"{_shown(self.value)} is not a dictionary")
        if name not in self.value:
            raise self.wrong(f"has no field {name!r}")
        return Plain(self.value[name], f"{self.path}.{name}".lstrip("."))

    def elements(self, most: int, least: int = 0) -> list[Plain]:
        """The elements of a list."""
        if not isinstance(self.value, list):
            raise self.wrong(f"{_shown(self.value)} is not a list")
        if not least <= len(self.value) <= most:
            raise self.wrong(f"has {len(self.value)} elements, not {least} to {most}")
        return [Plain(value, f"{self.path}[{index}]") for index, value in enumerate(self.value)]

    def integer(self, least: int, most: int) -> int:
        """An integer from ``least`` to ``most``."""
        if type(self.value) is not int or not least <= self.value <= most:
            raise self.wrong(f"{_shown(self.value)} is not one of {least} to {most}")
        return self.value

    def boolean(self) -> bool:
        """True or False."""
        if not isinstance(self.value, bool):
            raise self.wrong(f"{_shown(self.value)} is neither True nor False")
        return self.value

    def text(self, most: int) -> str:
        """Text of at most so many bytes of UTF-8."""
        if not isinstance(self.value, str):
            raise self.wrong(f"{_shown(self.value)} is not text")
        try:
            size = len(self.value.encode())
        except UnicodeEncodeError as error:
            raise self.wrong(f"is not valid Unicode ({error.reason})") from None
        if size > most:
            raise self.wrong(f"has {size} bytes, the limit is {most}")
        return self.value

    def data(self, most: int) -> bytes:
        """At most so many bytes."""
        if not isinstance(self.value, bytes):
            raise self.wrong(f"{_shown(self.value)} is not bytes")
        if len(self.value) > most:
            raise self.wrong(f"has {len(self.value)} bytes, the limit is {most}")
        return self.value

    def optional(self, read: Callable[[Plain], Result]) -> Result | None:
        """None, or what ``read`` makes of the value."""
        return None if self.value is None else read(self)

    def accepted(self, take: Callable[..., Result], *values: Any, **options: Any) -> Result:
        """What a function makes of values that stand here; the value it refuses is this one."""
        try:
            return take(*values, **options)
        except InvalidValue as error:
            raise self.wrong(str(error)) from None


def _shown(value: Any) -> str:
    if isinstance(value, dict | list | bytes):  # which may be long
        return f"a {type(value).__name__} of {len(value)}"
    shown = repr(value) if not isinstance(value, int) or value.bit_length() < 256 else f"{value.bit_length()} bits"
    return shown if len(shown) <= SHOWN_VALUE else f"{shown[:SHOWN_VALUE]}…"
