"""Checks of what callers give: each says what is wanted in place of what was given."""

from __future__ import annotations

from spiceemu.errors import InvalidValue

MAX_SHOWN = 60
"""Characters shown of an argument that is wrong."""


def shown(value: object) -> str:
    """An argument as the text of an error has it.

    :returns: its beginning.
    """
    try:
        text = repr(value)
    except ValueError:  # an int of thousands of digits
        text = f"that {type(value).__name__}"
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."


def wrong(name: str, kind: str, value: object) -> InvalidValue:
    """What is wrong with an argument.

    :param name: the argument's name.
    :param kind: what it must be.
    :param value: what it is.
    :returns: the error, to be raised.
    """
    return InvalidValue(f"{name} must be {kind}, not {shown(value)}")


def check_whole(name: str, value: int, least: int = 0) -> int:
    """Refuse what is no whole number of at least so much; True and False are none.

    :returns: the number.
    :raises InvalidValue: naming the argument.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise wrong(name, f"a whole number of at least {least}", value)
    return value


def check_seconds(name: str, value: float | None) -> float | None:
    """Refuse what is neither a number nor None.

    :returns: it.
    :raises InvalidValue: naming the argument.
    """
    if value is not None and (not isinstance(value, int | float) or isinstance(value, bool) or value != value):
        raise wrong(name, "a number of seconds or None", value)
    return value


def check_text(name: str, value: str) -> str:
    """Refuse what is no text, or has what UTF-8 cannot hold.

    :returns: the text.
    :raises InvalidValue: naming the argument.
    """
    try:
        value.encode()
    except (AttributeError, UnicodeEncodeError):
        raise wrong(name, "text that UTF-8 can hold", value) from None
    return value


def check_bytes(name: str, value: bytes) -> bytes:
    """Refuse what is no bytes.

    :returns: them.
    :raises InvalidValue: naming the argument.
    """
    if not isinstance(value, bytes | bytearray | memoryview):
        raise wrong(name, "bytes", value)
    return value
