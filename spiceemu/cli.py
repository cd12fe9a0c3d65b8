"""The command: ``spiceemu serve``.

What happens in which order is for a quick start. The options are read and the plain port listens while next to nothing
is loaded, so clients may connect from then on; asyncio and the server are loaded next and answer them; the desktop is
loaded last, beside the first links. ``argparse`` alone would take half the time of an empty Python program, so the
options are read by the table and the loop below.
"""

from __future__ import annotations

import os
import sys

from spiceemu import listeners
from spiceemu._version import __version__
from spiceemu.protocol.errors import AddressUnavailable, InvalidValue, LocalError, MissingExtra

TYPE_CHECKING = False  # not from ``typing``: importing it would delay listening
if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack

    from spiceemu.server import SpiceServer

EXIT_USAGE = 2
EXIT_ADDRESS = 3
EXIT_CERTIFICATE = 4
EXIT_EXTRA = 5
EXIT_FILE = 6

MAX_PASSWORD_FILE = 4096
"""Bytes read of a password file; a password has at most 60."""

SECRET_MODE = 0o600


class Options:
    """What ``serve`` is to do; these are the values for what no option says. Names are those of ``SpiceServer``."""

    host = "127.0.0.1"
    port: int | None = 5930
    tls_port: int | None = None
    tls_cert = ""
    tls_key = ""
    tls_ca_out = ""
    tls_channels: Sequence[str] = ()
    plain_channels: Sequence[str] = ()
    unix: str | None = None
    password: str | None = None
    password_file = ""
    password_expires: float | None = None
    size = (1024, 768)
    title = "spiceemu"
    compression = "auto"
    share = False
    no_agent = False
    blank = False
    vv = ""
    json = False
    verbose = 0
    help = False


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InvalidValue("is not text in this terminal's encoding") from None
    return text


def _path(text: str) -> str:
    if not text or "\0" in text:
        raise InvalidValue("is not the path of a file")
    return text


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise InvalidValue("is not a port number")
    return listeners.check_port(int(text))


def _port_or_none(text: str) -> int | None:
    return None if text == "none" else _port(text)


def _names(text: str) -> list[str]:
    return text.split(",")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise InvalidValue("is not a number of seconds above 0")
    return seconds


def _size(text: str) -> tuple[int, int]:
    from spiceemu.guest.surface import check_size

    width, _, height = text.partition("x")
    if not (text.isascii() and width.isdigit() and height.isdigit()):
        raise InvalidValue("is not WIDTHxHEIGHT, such as 1024x768")
    check_size(int(width), int(height))
    return int(width), int(height)


def _compression(text: str) -> str:
    if text not in ("auto", "lz", "off"):
        raise InvalidValue("is none of auto, lz, off")
    return text


class Option:
    """A row of the table: ``--name`` alone is a switch, ``--name VALUE`` is read by ``read``."""

    def __init__(self, usage: str, meaning: str, read: Callable[[str], object] = _text) -> None:
        self.usage = usage
        self.meaning = meaning
        self.read = read
        self.name, _, self.value = usage.partition(" ")
        self.attribute = self.name.lstrip("-").replace("-", "_")


OPTIONS = {
    "Where to listen": (
        Option("--host ADDRESS", "the address to listen on (127.0.0.1)"),
        Option("--port PORT", "the plain port; 0 is any free one, none is no plain port (5930)", _port_or_none),
        Option("--tls-port PORT", "a port with TLS; 0 is any free one", _port),
        Option("--tls-cert FILE", "the certificate in PEM form; without it a throw-away one is made", _path),
        Option("--tls-key FILE", "its private key, if that is not in the same file", _path),
        Option("--tls-ca-out FILE", "where to write the throw-away certificate's CA", _path),
        Option("--tls-channels NAMES", "channels served over TLS only, as in main,inputs; or all", _names),
        Option("--plain-channels NAMES", "channels served without TLS only", _names),
        Option("--unix PATH", "a unix socket to listen on as well", _path),
    ),
    "Who may in": (
        Option("--password TEXT", "what clients must know; other users see it in the list of processes, so rather use"),
        Option("--password-file FILE", "a file with the password as its first line, or", _path),
        Option("", "the environment variable SPICEEMU_PASSWORD"),
        Option("--password-expires SECONDS", "how long the password is right", _seconds),
        Option("--share", "let several clients in at once; otherwise a new one replaces the one before"),
    ),
    "What clients see": (
        Option("--size WIDTHxHEIGHT", "the desktop's size in pixels (1024x768)", _size),
        Option("--title TEXT", "the name that clients show (spiceemu)"),
        Option("--compression KIND", "how pictures are encoded: auto, lz or off (auto)", _compression),
        Option("--no-agent", "a guest without an agent: no clipboard, no resizing with the window"),
        Option("--blank", "a black screen in place of the demo desktop"),
    ),
    "What is told": (
        Option("--vv FILE", "write a connection file for remote-viewer, readable by you alone", _path),
        Option("--json", "the first line is a JSON object with the address and more"),
        Option("-v", "tell what happens on standard error; -vv tells more"),
        Option("--help", "this text"),
    ),
}

SHORT = {"-h": ("help", 1), "-v": ("verbose", 1), "-vv": ("verbose", 2)}

GENERAL_HELP = """\
usage: spiceemu serve [OPTION...]
       spiceemu --version
       spiceemu [COMMAND] --help

A fake SPICE server: serve shows a make-believe desktop to remote-viewer and every other SPICE client.
"""

SERVE_HELP_HEAD = """\
usage: spiceemu serve [OPTION...]

Show a make-believe desktop to SPICE clients until Ctrl-C or SIGTERM. The first line on standard output is the address
for remote-viewer, written once a client would be answered.
"""

SERVE_HELP_END = f"""
Exit codes
  0  ended by Ctrl-C or SIGTERM
  {EXIT_USAGE}  an option is wrong, or does not go with another
  {EXIT_ADDRESS}  an address or port is in use or cannot be listened on
  {EXIT_CERTIFICATE}  the certificate or its key cannot be used
  {EXIT_EXTRA}  something optional is not installed
  {EXIT_FILE}  a file cannot be read or written
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    :param arguments: what stands behind the command's name; ``sys.argv`` if not given.
    :returns: the exit code 0; the others in ``SERVE_HELP_END`` come with SystemExit and one line on standard error.
    """
    command, *rest = (sys.argv[1:] if arguments is None else arguments) or ("--help",)
    if command == "serve":
        options = read_options(rest)
        if options.help:
            sys.stdout.write(serve_help())
            return 0
        try:
            serve(options)
        except KeyboardInterrupt:
            return 0
        except LocalError as error:
            raise _stop(_exit_code(error), str(error)) from None
    elif command in ("--help", "-h"):
        sys.stdout.write(GENERAL_HELP)
    elif command == "--version":
        sys.stdout.write(f"spiceemu {__version__}\n")
    else:
        raise _stop(EXIT_USAGE, f"there is no command {command!r}, only serve; see spiceemu --help")
    return 0


def serve_help() -> str:
    """The text of ``spiceemu serve --help``."""
    lines = [SERVE_HELP_HEAD]
    for heading, options in OPTIONS.items():
        lines += [heading, *(f"  {option.usage:<28}{option.meaning}" for option in options), ""]
    return "\n".join(lines)[:-1] + SERVE_HELP_END


def read_options(arguments: Sequence[str]) -> Options:
    """Read the options of ``serve``; SystemExit says what is wrong with them."""
    options = Options()
    table = {option.name: option for group in OPTIONS.values() for option in group}
    waiting = iter(arguments)
    for argument in waiting:
        if argument in SHORT:
            attribute, amount = SHORT[argument]
            setattr(options, attribute, getattr(options, attribute) + amount)
            continue
        name, equals, value = argument.partition("=")
        option = table.get(name)
        if not name.startswith("--") or option is None:
            raise _misused(f"there is no option {argument}{_similar(name, table)}")
        if not option.value:
            if equals:
                raise _misused(f"{name} takes no value")
            setattr(options, option.attribute, True)
            continue
        if not equals:
            value = next(waiting, "--")
            if value.startswith("--"):
                raise _misused(f"{name} needs a value: {name}={option.value}")
        try:
            setattr(options, option.attribute, option.read(value))
        except InvalidValue as error:
            raise _misused(f"{name} {value}: {error}") from None
    _check_together(options)
    return options


def _similar(name: str, table: dict[str, Option]) -> str:
    from difflib import get_close_matches

    return "".join(f"; did you mean {match}?" for match in get_close_matches(name, table, n=1))


def _check_together(options: Options) -> None:
    """Refuse options that do not go together, with what is missing."""
    for given, needed, what in (
        (options.tls_cert, options.tls_port is not None, "--tls-cert needs --tls-port"),
        (options.tls_key, options.tls_cert, "--tls-key needs --tls-cert"),
        (options.tls_ca_out, options.tls_port is not None, "--tls-ca-out needs --tls-port"),
        (options.tls_ca_out, not options.tls_cert, "--tls-ca-out is for a throw-away certificate, without --tls-cert"),
        (options.tls_channels, options.tls_port is not None, "--tls-channels needs --tls-port"),
        (options.plain_channels, _has_plain(options), "--plain-channels needs --port or --unix"),
        (options.vv, _has_port(options), "--vv needs --port or --tls-port: such a file knows no unix sockets"),
        (options.password_file, options.password is None, "--password and --password-file: give only one of them"),
        (True, _has_port(options) or options.unix, "--port none needs --tls-port or --unix"),
    ):
        if given and not needed:
            raise _misused(what)


def _has_plain(options: Options) -> bool:
    return options.port is not None or options.unix is not None


def _has_port(options: Options) -> bool:
    return options.port is not None or options.tls_port is not None


def _say(text: str) -> None:
    sys.stderr.write(f"spiceemu: {text}\n")


def _stop(code: int, text: str) -> SystemExit:
    """Say on one line why the command ends, and return what to raise."""
    _say(text)
    return SystemExit(code)


def _misused(text: str) -> SystemExit:
    return _stop(EXIT_USAGE, f"{text} (see spiceemu serve --help)")
