"""What a server's options may be. Each check says what is wanted in place of what was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spiceemu.codecs.compression import COMPRESSIONS
from spiceemu.errors import InvalidValue
from spiceemu.guest.limits import DEFAULT_SIZE, MAX_DISPLAYS, MAX_NAME
from spiceemu.serving.listeners import check_port

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

UUID_SIZE = 16


def check_ports(port: int | None, tls_port: int | None, *, tls: bool, others: bool) -> None:
    """Refuse a server that nobody could reach.

    :param tls: whether there is a TLS context.
    :param others: whether it listens elsewhere as well.
    :raises InvalidValue: naming the option.
    """
    if tls_port is not None and not tls:
        raise InvalidValue("tls_port needs tls=, an SSL context; spiceemu.serving.tls.server_context makes one")
    if port is None and tls_port is None and not others:
        raise InvalidValue("nothing to listen on: give port, tls_port or unix_path")
    for each in (port, tls_port):
        if each is not None:
            check_port(each)


def check_guest(title: str, uuid: UUID | None, displays: Sequence[tuple[int, int]]) -> None:
    """Refuse a guest that clients could not be told of, or that there cannot be; it is made when it is needed.

    :raises InvalidValue: naming what is wrong with it, and the limit.
    """
    try:
        size = len(title.encode())
    except (AttributeError, UnicodeEncodeError):
        raise InvalidValue(f"a title is text that UTF-8 can hold, not {title!r}") from None
    if size > MAX_NAME:
        raise InvalidValue(f"the title takes {size} bytes, the limit is {MAX_NAME} (MAX_NAME)")
    if uuid is not None and len(getattr(uuid, "bytes", b"")) != UUID_SIZE:
        raise InvalidValue(f"a guest's uuid is a uuid.UUID, not {uuid!r}")
    _check_displays(displays)


def _check_displays(displays: Sequence[tuple[int, int]]) -> None:
    try:
        sizes = [(width, height) for width, height in displays]
    except (TypeError, ValueError):
        raise InvalidValue(f"displays are pairs of width and height, such as [(1024, 768)], not {displays!r}") from None
    if not 1 <= len(sizes) <= MAX_DISPLAYS:
        raise InvalidValue(f"a server has 1 to {MAX_DISPLAYS} displays, not {len(sizes)}")
    if any(size != DEFAULT_SIZE for size in sizes):
        from spiceemu.drawing.surface import check_size

        for width, height in sizes:
            check_size(width, height)


def check_habits(compression: str, max_events: int) -> None:
    """Refuse a compression that is not known, and a number of events that is none.

    :raises InvalidValue: naming the option.
    """
    if compression not in COMPRESSIONS:
        raise InvalidValue(f"no compression is called {compression!r}; there are {', '.join(COMPRESSIONS)}")
    if not isinstance(max_events, int) or max_events < 0:
        raise InvalidValue(f"max_events is a whole number of at least 0, not {max_events!r}")
