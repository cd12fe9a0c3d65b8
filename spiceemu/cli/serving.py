"""What ``spiceemu serve`` does once its plain port listens: loaded then, and not before."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import ExitStack, suppress
from socket import gethostname
from typing import TYPE_CHECKING, NamedTuple

from spiceemu._version import __version__
from spiceemu.cli.exits import EXIT_CERTIFICATE, EXIT_FILE, EXIT_USAGE, explained, put_error, say, stop, tell
from spiceemu.cli.files import PRIVATE_MODE, make_private
from spiceemu.cli.passwords import password_variable, read_password
from spiceemu.cli.signals import HeldSignals
from spiceemu.errors import InvalidValue
from spiceemu.protocol.link.ticket import process_key
from spiceemu.server import SpiceServer
from spiceemu.serving import listeners
from spiceemu.serving.options import Limits, Tls

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Awaitable, Callable, Iterator

    from spiceemu.cli.options import Options

LOG_LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG)
"""By how many -v there are."""

KEPT_EVENTS = 1000
"""Events kept of each client where clients are sent away: among them is why one could not go."""

TRACED_FROM = 2
"""How many -v ask for a line a message."""


class Certified(NamedTuple):
    """What TLS needs here, and what clients must be told of it."""

    context: ssl.SSLContext
    ca_file: str | None = None
    """Where the CA of a throw-away certificate is; None for the user's own certificate."""
    ca_pem: str | None = None
    subject: str | None = None


def run(options: Options, sockets: list[socket.socket]) -> None:
    """Serve until SIGTERM.

    :param sockets: the plain port's; they listen already.
    :raises KeyboardInterrupt: Ctrl-C, or a SIGTERM before there is a loop.
    :raises SystemExit: something cannot be done; the line that says so is written.
    """
    logging.basicConfig(
        level=LOG_LEVELS[min(options.verbosity, len(LOG_LEVELS) - 1)],
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    with ExitStack() as leftovers:
        leftovers.callback(listeners.close_all, sockets)
        password = _password(options)
        tls = _tls(options, leftovers) if options.tls_port is not None else None
        with explained:
            server = SpiceServer(
                host=options.host,
                port=options.port,
                tls=_reached(options, tls) if tls else None,
                unix_path=options.unix,
                sockets=sockets,
                password=password,
                password_lifetime=options.password_expires,
                displays=[options.size],
                title=options.title,
                shared=options.share,
                compression=options.compression,
                plain_channels=options.plain_channels,
                agent=not options.no_agent,
                sound=not options.no_sound,
                compat=options.compat,
                features=options.features,
                limits=Limits(events=KEPT_EVENTS if options.migrate_to else 0, messages=0),
            )
        with suppress(asyncio.CancelledError), HeldSignals() as held:  # SIGTERM cancels
            asyncio.run(_serve(server, options, password, tls, held))


def _reached(options: Options, tls: Certified) -> Tls:
    return Tls(tls.context, options.tls_port or 0, subject=tls.subject or "", channels=options.tls_channels)


async def _serve(
    server: SpiceServer, options: Options, password: bytes, tls: Certified | None, held: HeldSignals
) -> None:
    task = asyncio.current_task()
    assert task is not None
    with suppress(NotImplementedError):  # Windows, where nothing can be done about SIGTERM
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    held.release()
    if options.verbosity >= TRACED_FROM:
        from spiceemu.sessions.trace import Trace

        server.add_tap(Trace(put_error))
    process_key()  # now, so that the first client does not wait for it
    with explained:
        await server.start()
    try:
        if options.migrate_to is not None:
            from spiceemu.cli.migrating import send_away, where_to

            destination = where_to(server, options)
        if options.vv:
            _write(options.vv, connection_file(server, options.title, password, tls), private=True)
        tell(_first_line(server, options, tls) + "\n")
        for notice in _notices(options, tls):  # now that nothing can stand in the way: an error is one line
            say(notice)
        show = _wait if options.blank else await asyncio.to_thread(_load_demo)
        async with asyncio.TaskGroup() as tasks:
            if options.migrate_to is not None:
                tasks.create_task(send_away(server, destination, options))
            if options.incoming:
                from spiceemu.cli.migrating import wait_for_clients

                await wait_for_clients(server)
            await show(server)
    finally:
        await server.close()


def _load_demo() -> Callable[[SpiceServer], Awaitable[None]]:
    """Load the desktop: in a thread, as clients are being linked meanwhile."""
    from spiceemu.desktop.demo import run_demo

    return run_demo


async def _wait(_server: SpiceServer) -> None:
    """Show nothing."""
    await asyncio.Event().wait()


# What is told


def _first_line(server: SpiceServer, options: Options, tls: Certified | None) -> str:
    if not options.json:
        return server.uri
    import json

    return json.dumps(
        {
            "uri": server.uri,
            "host": server.host,
            "port": server.port,
            "tls_port": server.tls_port,
            "unix": server.unix_path,
            "vv": options.vv or None,
            "ca_file": tls.ca_file if tls else None,
            "compat": server.level.name,
            "pid": os.getpid(),
            "version": __version__,
        }
    )


def _notices(options: Options, tls: Certified | None) -> Iterator[str]:
    if options.password:
        yield "the list of processes shows --password to every user of this machine; --password-file does not"
    if tls is not None and tls.ca_file is not None:
        yield f"made a throw-away certificate; clients need its CA: remote-viewer --spice-ca-file={tls.ca_file}"


def connection_file(server: SpiceServer, title: str, password: bytes, tls: Certified | None) -> str:
    """What a connection file for remote-viewer holds (remote-viewer(1), "CONNECTION FILE").

    :returns: the whole file as text.
    :raises InvalidValue: the password is not text in UTF-8, as all of the file must be.
    """
    try:
        text = password.decode()
    except UnicodeDecodeError:
        raise InvalidValue("--vv needs a password in UTF-8, as a connection file has no other text") from None
    entries = {
        "type": "spice",
        "host": listeners.WILDCARDS.get(server.host, server.host),
        "port": server.port,
        "tls-port": server.tls_port,
        "password": text or None,
        "ca": tls.ca_pem if tls else None,
        "host-subject": tls.subject if tls else None,
        "title": title,
        "delete-this-file": 0,
    }
    lines = [f"{key}={_escaped(str(value))}" for key, value in entries.items() if value is not None]
    return "\n".join(["[virt-viewer]", *lines, ""])


def _escaped(value: str) -> str:
    """A value as GLib's key files have it."""
    value = value.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return "\\s" + value[1:] if value.startswith(" ") else value


def _write(path: str, text: str, *, private: bool = False) -> None:
    # Without waiting: nothing could be answered while a pipe has no reader.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags, PRIVATE_MODE if private else 0o666)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            if private:
                make_private(descriptor)  # if it was there already
            file.write(text)
    except OSError as error:
        raise stop(EXIT_FILE, f"cannot write {path}: {error.strerror}") from None


# What is needed


def _password(options: Options) -> bytes:
    """What clients must know; nothing if that is not asked of them."""
    if options.password:
        password = options.password.encode()
    elif options.password_file:
        password = read_password(options.password_file).encode()
    else:
        password = password_variable()
    if options.password_expires is not None and not password:
        raise stop(EXIT_USAGE, "--password-expires needs a password (see spiceemu serve --help)")
    return password


def _tls(options: Options, leftovers: ExitStack) -> Certified:
    """The user's certificate, or a throw-away one, whose CA stays in a file until the server ends."""
    from spiceemu.serving.tls import server_context

    with explained:
        try:
            if options.tls_cert:
                password = read_password(options.tls_key_password_file) if options.tls_key_password_file else None
                return Certified(server_context(options.tls_cert, options.tls_key or None, password=password))
            return _throwaway_tls(options, leftovers)
        except InvalidValue as error:
            raise stop(EXIT_CERTIFICATE, str(error)) from None


def _throwaway_tls(options: Options, leftovers: ExitStack) -> Certified:
    from tempfile import TemporaryDirectory

    from spiceemu.serving.tls import LOOPBACK_HOSTS, server_context, throwaway_certificate

    reached_at = gethostname() if options.host in listeners.WILDCARDS else options.host
    folder = leftovers.enter_context(TemporaryDirectory(prefix="spiceemu-"))
    with HeldSignals():  # it loads modules
        made = throwaway_certificate(folder, tuple(dict.fromkeys((*LOOPBACK_HOSTS, reached_at))))
    context = server_context(made.certificate, made.key)
    made.key.unlink()
    ca_file = options.tls_ca_out or str(made.ca)
    if options.tls_ca_out:
        _write(options.tls_ca_out, made.ca_pem)
    return Certified(context, ca_file, made.ca_pem, made.subject)
