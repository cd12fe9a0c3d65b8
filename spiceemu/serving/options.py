"""What a server's options may be. Each check says what is wanted in place of what was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spiceemu.codecs.compression import COMPRESSIONS
from spiceemu.errors import InvalidValue
from spiceemu.guest.limits import DEFAULT_SIZE, MAX_DISPLAYS, MAX_NAME
from spiceemu.serving.checks import check_seconds, check_text, check_whole, shown, wrong
from spiceemu.serving.listeners import check_port

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterable
    from uuid import UUID

    from spiceemu.guest.machine import Guest
    from spiceemu.sessions.tables import Tables

UUID_SIZE = 16

MAX_UNLINKED = 1024
"""Connections whose link is not done; more are closed at once, so that strangers cannot use up all files."""

MAX_EVENTS = 100_000
"""Most events kept of a client, unless told otherwise."""

MAX_MESSAGES = 10_000
"""Most messages kept of a client, both ways, unless told otherwise."""


def check_password(password: str | bytes | None) -> str | bytes | None:
    """Refuse what is no password.

    :returns: it.
    :raises InvalidValue: naming the argument.
    """
    if password is not None and not isinstance(password, str | bytes):
        raise wrong("password", "text, bytes or None", password)
    return password


def check_tables(tables: Tables | None) -> Tables | None:
    """Refuse what is no tables.

    :returns: them.
    :raises InvalidValue: naming the argument.
    """
    if tables is not None:
        from spiceemu.sessions.tables import Tables  # here: who gives some has loaded them already

        if not isinstance(tables, Tables):
            raise wrong("tables", "a Tables or None", tables)
    return tables


def _flag(name: str, value: bool) -> bool:
    if not isinstance(value, bool):
        raise wrong(name, "True or False", value)
    return value


def _names(name: str, value: Iterable[str]) -> tuple[str, ...]:
    """Names of channels; which ones there are is the policy's to know."""
    kind = 'a list of channels\' names, such as ["main"]'
    if isinstance(value, str | bytes):
        raise wrong(name, kind, value)
    try:
        names = tuple(value)
    except TypeError:
        raise wrong(name, kind, value) from None
    if not all(isinstance(each, str) for each in names):
        raise wrong(name, kind, value)
    return names


class Tls:
    """How a server is reached over TLS.

    :param context: the TLS context; :func:`spiceemu.server_context` makes one of a certificate.
    :param port: the port, 0 for any free one.
    :param subject: the subject of its certificate, such as ``CN=localhost``, told to clients that are moved here.
    :param channels: names of channels served over TLS only, or ``all``.
    :raises InvalidValue: naming what is none: context, port, subject or channels.
    """

    def __init__(
        self, context: ssl.SSLContext, port: int = 0, *, subject: str = "", channels: Iterable[str] = ()
    ) -> None:
        if not hasattr(context, "wrap_bio"):
            text = "spiceemu.server_context makes one of a certificate"
            raise InvalidValue(f"Tls takes an SSL context, not {shown(context)}; {text}")
        self.context = context
        self.port = check_port(port, "Tls.port")
        self.subject = check_text("Tls.subject", subject)
        self.channels = _names("Tls.channels", channels)

    def __repr__(self) -> str:
        return f"Tls(port={self.port}, subject={self.subject!r}, channels={self.channels})"


class Limits:
    """How much a server keeps and allows; more is dropped from the oldest on, or refused.

    :param events: events kept of each client; 0 where nobody looks at them.
    :param messages: messages kept of each client, both ways; 0 where nobody looks at them.
    :param unlinked: connections at a time whose link is not done.
    :raises InvalidValue: one is no whole number of at least 0, or 1 for ``unlinked``.
    """

    def __init__(self, *, events: int = MAX_EVENTS, messages: int = MAX_MESSAGES, unlinked: int = MAX_UNLINKED) -> None:
        self.events = check_whole("Limits.events", events, 0)
        self.messages = check_whole("Limits.messages", messages, 0)
        self.unlinked = check_whole("Limits.unlinked", unlinked, 1)

    def __repr__(self) -> str:
        return f"Limits(events={self.events}, messages={self.messages}, unlinked={self.unlinked})"


class Addresses:
    """Where a server listens.

    :ivar port: the plain port, None for none; the real one once the server listens, as all that follows.
    :ivar tls_port: the port with TLS.
    :ivar sockets: those that listen.
    """

    def __init__(
        self,
        host: str,
        port: int | None,
        tls: Tls | None,
        unix_path: str | None,
        sockets: Iterable[socket.socket],
        plain_channels: Iterable[str],
    ) -> None:
        self.host = check_text("host", host)
        self.port = None if port is None else check_port(port)
        if tls is not None and not isinstance(tls, Tls):
            raise wrong("tls", "a Tls, such as Tls(spiceemu.server_context(CERTIFICATE, KEY)), or None", tls)
        self.tls = tls
        self.tls_port = None if tls is None else tls.port
        self.unix_path = None if unix_path is None else check_text("unix_path", unix_path)
        if "\0" in (unix_path or ""):
            raise wrong("unix_path", "a path, without NUL", unix_path)
        self.sockets = _sockets(sockets)
        self.plain_channels = _names("plain_channels", plain_channels)
        if port is None and tls is None and not (unix_path or self.sockets):
            raise InvalidValue("nothing to listen on: give port, tls or unix_path")


def _sockets(sockets: Iterable[socket.socket]) -> list[socket.socket]:
    try:
        found = list(sockets)
    except TypeError:
        raise wrong("sockets", "a list of sockets", sockets) from None
    if not all(hasattr(each, "getsockname") for each in found):
        raise wrong("sockets", "a list of sockets", sockets)
    return found


class Machine:
    """What a server's guest is made of, before it is made."""

    def __init__(
        self, sizes: Iterable[tuple[int, int]], title: str, uuid: UUID | None, *, agent: bool, sound: bool
    ) -> None:
        self.sizes = check_guest(title, uuid, sizes)
        self.title = title
        self.uuid = uuid
        self.agent = _flag("agent", agent)
        self.sound = _flag("sound", sound)

    def make(self, tables: Tables) -> Guest:
        """Make the guest.

        :param tables: what there is of each kind.
        :returns: the guest.
        """
        from spiceemu.guest.machine import Guest  # here: a server listens before it needs its guest

        return Guest(
            sizes=self.sizes,
            name=self.title,
            uuid=self.uuid,
            agent=self.agent,
            sound=self.sound,
            parts=tables.parts,
        )


class Habits:
    """How a server treats its clients."""

    def __init__(
        self, *, shared: bool, compression: str, strict: bool, password_lifetime: float | None, limits: Limits
    ) -> None:
        if compression not in COMPRESSIONS:
            raise InvalidValue(f"no compression is called {shown(compression)}; there are {', '.join(COMPRESSIONS)}")
        if not isinstance(limits, Limits):
            raise wrong("limits", "a Limits, such as Limits(events=1000), or None", limits)
        self.shared = _flag("shared", shared)
        self.compression = compression
        self.strict = _flag("strict", strict)
        self.password_lifetime = check_seconds("password_lifetime", password_lifetime)
        self.limits = limits


def check_guest(title: str, uuid: UUID | None, displays: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Refuse a guest that clients could not be told of, or that there cannot be; it is made when it is needed.

    :returns: width and height of each display.
    :raises InvalidValue: naming what is wrong with it, and the limit.
    """
    try:
        size = len(title.encode())
    except (AttributeError, UnicodeEncodeError):
        raise InvalidValue(f"a title is text that UTF-8 can hold, not {shown(title)}") from None
    if size > MAX_NAME:
        raise InvalidValue(f"the title takes {size} bytes, the limit is {MAX_NAME} (MAX_NAME)")
    if uuid is not None and len(getattr(uuid, "bytes", b"")) != UUID_SIZE:
        raise InvalidValue(f"a guest's uuid is a uuid.UUID, not {shown(uuid)}")
    return _check_displays(displays)


def _check_displays(displays: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    try:
        sizes = [(width, height) for width, height in displays]
    except (TypeError, ValueError):
        raise _no_displays(displays) from None
    if any(not isinstance(side, int) or isinstance(side, bool) for size in sizes for side in size):
        raise _no_displays(displays)
    if not 1 <= len(sizes) <= MAX_DISPLAYS:
        raise InvalidValue(f"a server has 1 to {MAX_DISPLAYS} displays, not {len(sizes)}")
    if any(size != DEFAULT_SIZE for size in sizes):
        from spiceemu.drawing.surface import check_size

        for width, height in sizes:
            check_size(width, height)
    return sizes


def _no_displays(value: object) -> InvalidValue:
    return InvalidValue(f"displays are pairs of width and height, such as [(1024, 768)], not {shown(value)}")
