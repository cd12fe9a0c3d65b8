"""Sockets that wait for clients, and the addresses they are reached at.

Only ``socket`` is needed here, so that a server can listen before the heavier modules are loaded.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import TYPE_CHECKING

from spiceemu.errors import AddressUnavailable, InvalidValue
from spiceemu.serving.checks import shown

if TYPE_CHECKING:
    from collections.abc import Sequence

BACKLOG = 128
"""Connections that may wait to be accepted; a client opens up to a dozen at once."""

MAX_PORT = 65535

MAX_CONNECTIONS = 1 << 16
"""Most connections of a server at a time, if the system allows that many files."""

OTHER_FILES = 64
"""Files of a process that are no connections, about."""

LEAST_CONNECTIONS = 16
"""Connections of one client with all channels that there are, about; a server with fewer would be none."""

NOT_HERE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""What binding says of an address that this machine does not have."""

AF_UNIX = getattr(socket, "AF_UNIX", None)
"""The family of unix sockets, where there are any."""

WILDCARDS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where to reach a server bound to all


def check_port(port: int, name: str = "port") -> int:
    """Refuse a port that does not exist; 0 asks for any free one.

    :param name: what the text calls it.
    :returns: the port.
    :raises InvalidValue: with the limit in the text.
    """
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= MAX_PORT:
        raise InvalidValue(f"{name} {shown(port)} is not within 0 and {MAX_PORT}")
    return port


def most_connections() -> int:
    """How many connections a server may have at a time: fewer than files, for without any nobody can be accepted."""
    try:
        import resource
    except ImportError:  # Windows, where sockets are no files
        return MAX_CONNECTIONS
    allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if allowed == resource.RLIM_INFINITY:
        return MAX_CONNECTIONS
    return max(min(allowed - OTHER_FILES, MAX_CONNECTIONS), LEAST_CONNECTIONS)


def check_host(host: str) -> str:
    """Refuse a name that cannot be looked up, whatever the network knows: Python would not even ask.

    :returns: the name.
    :raises InvalidValue: with the limit in the text.
    """
    try:
        host.encode("idna")
    except UnicodeError:
        known = False
    else:
        known = host.isprintable()
    if not known:
        raise InvalidValue(f"{host!r:.80} is no host's name: its parts between dots have 1 to 63 printable characters")
    return host


def listen(
    host: str, *, port: int | None, tls_port: int | None, unix_path: str | None, given: Sequence[socket.socket] = ()
) -> tuple[list[socket.socket], list[socket.socket]]:
    """Listen at every place that is asked for: the plain sockets, and those for TLS.

    :param port: plain port of ``host``, 0 for any free one, None for none; ``given`` sockets stand in for it.
    :returns: both lists of sockets.
    :raises AddressUnavailable: at one of them it cannot be; none is left open.
    """
    plain, secure = list(given), []
    try:
        if not given and port is not None:
            plain += listen_tcp(host, port)
        if tls_port is not None:
            secure = listen_tcp(host, tls_port)
        if unix_path is not None:
            plain.append(listen_unix(unix_path))
    except BaseException:
        close_all(plain + secure)
        raise
    return plain, secure


def port_of(sockets: Sequence[socket.socket]) -> int | None:
    """The port that these listen on; None for unix sockets alone, or none at all."""
    for each in sockets:
        if each.family != AF_UNIX:
            return int(each.getsockname()[1])
    return None


def path_of(sockets: Sequence[socket.socket]) -> str | None:
    """The path of the last unix socket among these; None without any that has one."""
    paths = [each.getsockname() for each in sockets if each.family == AF_UNIX]
    return next((path for path in reversed(paths) if isinstance(path, str) and path), None)


def listen_tcp(host: str, port: int) -> list[socket.socket]:
    """Listen on every address of a host, all with one port; 0 is any free one.

    Of several addresses those that this machine does not have are left out: a name may have an IPv6 address where
    there is no IPv6.

    :returns: the sockets, one an address.
    :raises AddressUnavailable: naming the address and why.
    """
    check_port(port)
    try:
        # As bytes, because text goes through the idna codec, whose loading takes longer than all the rest here.
        name = host.encode() if host.isascii() else host
        found = socket.getaddrinfo(name or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError as error:
        raise AddressUnavailable(f"cannot listen on {host!r}: {error.strerror or error}") from error
    except ValueError as error:  # of text that is no name, UnicodeError
        raise AddressUnavailable(f"cannot listen on {host!r:.80}: it is no host's name") from error
    sockets: list[socket.socket] = []
    failure: OSError | None = None
    for family, _, _, _, address in dict.fromkeys(found):
        try:
            made = _listen_address(family, (address[0], port, *address[2:]))
        except OSError as error:
            failure = error
            if error.errno in NOT_HERE:
                continue
            break
        sockets.append(made)
        port = made.getsockname()[1]
    if failure is not None and not (sockets and failure.errno in NOT_HERE):
        close_all(sockets)
        text = f"cannot listen on {show_address(host, port)}: {failure.strerror or failure}"
        raise AddressUnavailable(text) from failure
    return sockets


def _listen_address(family: int, address: tuple[str | int, ...]) -> socket.socket:
    # With its protocol: asyncio lets a connection send at once (TCP_NODELAY) only if its listener names TCP.
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(address)
        made.listen(BACKLOG)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made


class _UnixListener(socket.socket):
    """A unix socket that knows its file by device and inode: the path may be another server's by the end."""

    file: tuple[int, int]


def listen_unix(path: str) -> socket.socket:
    """Listen on a unix socket; one that nobody listens on any more is replaced.

    :returns: the socket.
    :raises AddressUnavailable: naming the path and why.
    """
    if AF_UNIX is None:
        raise AddressUnavailable(f"cannot listen on {path}: this system has no unix sockets")
    made = _UnixListener(AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_stale(path)
        made.bind(path)
        made.file = _identity(path)
        made.listen(BACKLOG)
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise AddressUnavailable(f"cannot listen on {path}: {error.strerror or error}") from error
    return made


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _remove_stale(path: str) -> None:
    """Remove a socket file whose server is gone; anything else is left, and binding will say so."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return
    except FileNotFoundError:
        return
    assert AF_UNIX is not None
    with socket.socket(AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # or it would wait for a server that accepts nobody
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)


def close_all(sockets: list[socket.socket]) -> None:
    """Close sockets, and remove the files that :func:`listen_unix` made."""
    remove_files(sockets)
    for each in sockets:
        each.close()


def remove_files(sockets: list[socket.socket]) -> None:
    """Remove the files that :func:`listen_unix` made for these and that are still theirs; closed ones have none."""
    for each in sockets:
        if isinstance(each, _UnixListener) and each.fileno() >= 0:
            path = each.getsockname()
            try:
                if _identity(path) == each.file:
                    os.unlink(path)
            except FileNotFoundError:
                pass


def show_address(host: str, port: int) -> str:
    """``host:port`` with brackets around an IPv6 address; a wildcard is shown as the loopback address."""
    host = WILDCARDS.get(host, host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether a host is only reached from this machine; a name that merely begins like such an address is not."""
    return host in ("localhost", "::1") or (host.startswith("127.") and set(host) <= set("0123456789."))


def uri_of(host: str, port: int | None, tls_port: int | None, unix_path: str | None) -> str:
    """The address that ``remote-viewer`` takes.

    ``spice://host:port``, ``spice://host?tls-port=N``, both in one, or ``spice+unix:///path`` where there is no port.
    """
    if port is None and tls_port is None:
        return f"spice+unix://{os.path.abspath(unix_path or '')}"
    if port is None:
        host = WILDCARDS.get(host, host)
        return f"spice://{f'[{host}]' if ':' in host else host}?tls-port={tls_port}"
    return f"spice://{show_address(host, port)}" + (f"?tls-port={tls_port}" if tls_port is not None else "")


def reason_of(error: OSError) -> str:
    """Why a connection failed, in the system's words."""
    if isinstance(error, ConnectionError) and error.errno is not None:
        return os.strerror(error.errno)  # asyncio's own text is about its calls
    return getattr(error, "verify_message", "") or error.strerror or str(error) or type(error).__name__
