"""``spiceemu record``: stands between clients and a server, and writes down what they say."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from spiceemu.cli.arguments import Arguments, port
from spiceemu.cli.exits import EXIT_ADDRESS, EXIT_CERTIFICATE, EXIT_FILE, EXIT_USAGE, say, stop, tell
from spiceemu.cli.files import PRIVATE_MODE, make_private
from spiceemu.cli.passwords import read_password
from spiceemu.cli.relaying import prepare_for_signals, relay_until_stopped
from spiceemu.cli.signals import HeldSignals
from spiceemu.errors import AddressUnavailable, InvalidValue
from spiceemu.recordings.recorder import Recorder
from spiceemu.recordings.relay import Relay, Target, parse_target

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from spiceemu.protocol.link.observer import LinkObserver
    from spiceemu.serving.wiretap import Wire

DESCRIPTION = """\
Stand between SPICE clients and a server until Ctrl-C or SIGTERM, and write down what both say. The first line on
standard output is the address for clients, written once they would be answered; what they show is what the server
shows them. Passwords are not written down, but whatever is typed, copied or shown within a session is: the file is
readable by you alone. docs/recording.md describes it.
"""

EPILOG = f"""\
Exit codes
  0  ended by Ctrl-C or SIGTERM
  {EXIT_USAGE}  an option or an address is wrong
  {EXIT_ADDRESS}  the address or port to listen on is in use, or is not this machine's
  {EXIT_CERTIFICATE}  a certificate or its key cannot be used
  {EXIT_FILE}  the file exists already or cannot be written, or a password file cannot be read
"""

log = logging.getLogger("spiceemu.record")


def _parser() -> Arguments:
    parser = Arguments("record", DESCRIPTION, usage="spiceemu record [OPTION...] ADDRESS FILE", epilog=EPILOG)
    parser.add_argument(
        "address", metavar="ADDRESS", help="the server: HOST:PORT, spice://HOST:PORT or spice+unix:///PATH"
    )
    parser.add_argument("file", metavar="FILE", help="where to write; must not exist, unless --replace is given")
    parser.add_argument("--replace", action="store_true", help="replace FILE if it exists")
    where = parser.add_argument_group("Where to listen")
    where.add_argument("--host", metavar="ADDRESS", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    where.add_argument("--listen", metavar="PORT", type=port, default=0, help="the port; 0 is any free one (0)")
    where.add_argument("--unix", metavar="PATH", help="a unix socket to listen on as well")
    where.add_argument("--tls-cert", metavar="FILE", help="answer clients with TLS, with this certificate (PEM)")
    where.add_argument("--tls-key", metavar="FILE", help="its private key, PEM, if the certificate's file has it not")
    where.add_argument(
        "--tls-key-password-file", metavar="FILE", help="a file whose first line opens the key, if that is encrypted"
    )
    server = parser.add_argument_group("The server")
    server.add_argument("--server-tls", action="store_true", help="the server's port speaks TLS")
    server.add_argument("--server-ca", metavar="FILE", help="the CA of its certificate (those of this system)")
    server.add_argument("--server-name", metavar="NAME", default="", help="whom its certificate names (the host)")
    told = parser.add_argument_group("What is told")
    told.add_argument("-v", dest="verbosity", action="count", default=0, help="tell what connects; -vv tells more")
    return parser


def run(arguments: Sequence[str]) -> None:
    """Record until Ctrl-C or SIGTERM.

    :raises SystemExit: something cannot be done; the line that says so is written.
    """
    prepare_for_signals()
    with suppress(KeyboardInterrupt):
        _run(_parser().read(arguments))


def _run(options: argparse.Namespace) -> None:
    levels = (logging.WARNING, logging.INFO, logging.DEBUG)
    logging.basicConfig(
        level=levels[min(options.verbosity, len(levels) - 1)],
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    try:
        target = _target(options)
        tls = _answering(options)
        with _create(options.file, replace=options.replace) as file:
            recorder = _Told(file, options.address)
            relay = Relay(
                target, host=options.host, port=options.listen, unix_path=options.unix, tls=tls, observer=recorder
            )
            try:
                with HeldSignals() as held:
                    asyncio.run(_record(relay, recorder, held))
            except AddressUnavailable as error:
                os.unlink(options.file)  # noqa: PTH108 - nothing is in it, and the next try would find it in its way
                raise stop(EXIT_ADDRESS, f"{error}; --host, --listen and --unix choose another") from None
            say(_summary(recorder, options.file))
    except InvalidValue as error:
        raise stop(EXIT_USAGE, f"{error} (see spiceemu record --help)") from None
    except OSError as error:
        raise stop(EXIT_FILE, f"cannot write {options.file}: {error.strerror or error}") from None


async def _record(relay: Relay, recorder: Recorder, held: HeldSignals) -> None:
    await relay_until_stopped(relay, held, lambda uri: tell(uri + "\n"), meanwhile=recorder.flush)
    recorder.end()


class _Told(Recorder):
    """A recorder that says what connects."""

    def opened(self, connection: Wire) -> None:
        super().opened(connection)
        log.info("connection %d: from %s", connection.number, connection.client)

    def server_data(self, connection: Wire, data: bytes) -> bytes:
        link = self.links.get(connection.number)
        known = link is None or _is_decided(link)
        data = super().server_data(connection, data)
        if link is not None and not known and _is_decided(link):
            log.info("connection %d: %s", connection.number, _describe(link))
        return data

    def closed(self, connection: Wire, reason: str) -> None:
        link = self.links.get(connection.number)
        if link is not None and link.failure:
            log.warning("connection %d is recorded as zeros, as it has no link: %s", connection.number, link.failure)
        super().closed(connection, reason)
        sizes = f"{connection.client_bytes} bytes of the client, {connection.server_bytes} of the server"
        level = logging.WARNING if reason and not connection.server_bytes else logging.INFO
        log.log(level, "connection %d: closed%s, %s", connection.number, f" ({reason})" if reason else "", sizes)


def _is_decided(link: LinkObserver) -> bool:
    return link.linked or bool(link.error or link.result) or (link.encrypted and link.refused)


def _describe(link: LinkObserver) -> str:
    """What became of a link."""
    channel = link.channel or "no channel"
    if link.linked:
        return f"linked, {channel}"
    if link.encrypted:
        return f"encrypted by {link.sasl_mechanism}, {channel}"
    return f"refused with {link.error or link.result}, {channel}"


def _summary(recorder: Recorder, path: str) -> str:
    connections = f"{recorder.connections} connection{'' if recorder.connections == 1 else 's'}"
    sent = f"{recorder.client_bytes} bytes of clients and {recorder.server_bytes} of the server"
    return f"recorded {connections}, {sent}, in {path} ({recorder.size} bytes)"


# What is needed


def _create(path: str, *, replace: bool) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_BINARY", 0) | (os.O_TRUNC if replace else os.O_EXCL)
    try:
        descriptor = os.open(path, flags, PRIVATE_MODE)
    except FileExistsError:
        raise stop(EXIT_FILE, f"{path} exists already; --replace replaces it") from None
    make_private(descriptor)  # if it was there already
    return os.fdopen(descriptor, "wb")


def _target(options: argparse.Namespace) -> Target:
    if (options.server_ca or options.server_name) and not options.server_tls:
        raise stop(EXIT_USAGE, "--server-ca and --server-name need --server-tls (see spiceemu record --help)")
    found = parse_target(options.address)
    if not options.server_tls:
        return found
    name = options.server_name or found.host
    if not name:
        raise stop(EXIT_USAGE, "--server-tls on a unix socket needs --server-name (see spiceemu record --help)")
    try:
        context = ssl.create_default_context(cafile=options.server_ca)
    except OSError as error:
        text = f"CA file {options.server_ca}: {error.strerror or error}"
        raise stop(EXIT_CERTIFICATE, text) from None
    return Target(found.host, found.port, found.unix_path, context, name)


def _answering(options: argparse.Namespace) -> ssl.SSLContext | None:
    from spiceemu.serving.tls import server_context

    for option, given in (("--tls-key", options.tls_key), ("--tls-key-password-file", options.tls_key_password_file)):
        if given and not options.tls_cert:
            raise stop(EXIT_USAGE, f"{option} needs --tls-cert (see spiceemu record --help)")
    if not options.tls_cert:
        return None
    password = read_password(options.tls_key_password_file) if options.tls_key_password_file else None
    try:
        return server_context(options.tls_cert, options.tls_key, password=password)
    except InvalidValue as error:
        raise stop(EXIT_CERTIFICATE, str(error)) from None
