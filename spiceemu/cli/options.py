"""The options of ``spiceemu serve``: what there is, how it is read, and what does not go together.

They are read by a table and a loop of this module's own: loading ``argparse`` takes half as long as an empty Python
program runs, and clients should find the port listening sooner. For the same reason nothing here is loaded before an
option asks for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spiceemu.codecs.compression import COMPRESSIONS, DEFAULT_COMPRESSION, enumerate_compressions
from spiceemu.errors import InvalidValue
from spiceemu.serving.listeners import check_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MAX_DIGITS = 9
"""Digits of a whole number; no option takes as many."""


class Options:
    """What ``serve`` is to do; these are the values for what no option says."""

    host = "127.0.0.1"
    port: int | None = 5930
    tls_port: int | None = None
    tls_cert = ""
    tls_key = ""
    tls_key_password_file = ""
    tls_ca_out = ""
    tls_channels: Sequence[str] = ()
    plain_channels: Sequence[str] = ()
    unix: str | None = None
    password: str | None = None
    password_file = ""
    password_expires: float | None = None
    share = False
    size = (1024, 768)
    title = "spiceemu"
    compression = DEFAULT_COMPRESSION
    no_agent = False
    no_sound = False
    blank = False
    compat: str | None = None
    features = ""
    migrate_to: str | None = None
    migrate_tls_port: int | None = None
    migrate_subject = ""
    after: float | None = None
    incoming = False
    vv = ""
    json = False
    verbosity = 0
    help = False


# How values are read. The text of an InvalidValue is put behind the option and its value.


def _text(text: str) -> str:
    if not text.isprintable():  # such as bytes of another encoding, which no message could hold
        raise InvalidValue("is not printable text")
    return text


def _password(text: str) -> str:
    if not text:
        raise InvalidValue("is empty; leave the option out to ask for no password")
    return _text(text)


def _path(text: str) -> str:
    if not text or not text.isprintable():
        raise InvalidValue("is not a path in printable text")
    return text


def _port(text: str) -> int:
    if not _is_number(text):
        raise InvalidValue("is not a port number")
    return check_port(int(text))


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
    from spiceemu.drawing.surface import check_size

    width, _, height = text.partition("x")
    if not (_is_number(width) and _is_number(height)):
        raise InvalidValue("is not a size such as 1024x768")
    check_size(int(width), int(height))
    return int(width), int(height)


def _compression(text: str) -> str:
    if text not in COMPRESSIONS:
        raise InvalidValue(f"is none of {enumerate_compressions('and')}")
    return text


def _level(text: str) -> str:
    from spiceemu.protocol.levels.level import level_of

    return level_of(text).name


def _features(text: str) -> str:
    from spiceemu.protocol.levels.level import CURRENT, changed

    changed(CURRENT, text)
    return text


def _address(text: str) -> str:
    from spiceemu.recordings.relay import parse_target

    if not parse_target(_text(text)).port:
        raise InvalidValue("is not an address with a port")
    return text


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS


class Option:
    """A row of the table: ``--name`` alone is a switch, the value of ``--name VALUE`` is read by ``read``."""

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
        Option("--tls-cert FILE", "the certificate, PEM; without it a throw-away one is made", _path),
        Option("--tls-key FILE", "its private key, PEM, if the certificate's file does not have it", _path),
        Option("--tls-key-password-file FILE", "a file whose first line opens the key, if that is encrypted", _path),
        Option("--tls-ca-out FILE", "where to write the CA of the throw-away certificate", _path),
        Option("--tls-channels NAMES", "channels served over TLS only, such as main,inputs; or all", _names),
        Option("--plain-channels NAMES", "channels served without TLS only; or all", _names),
        Option("--unix PATH", "a unix socket to listen on as well", _path),
    ),
    "Who may in": (
        Option("--password TEXT", "what clients must know; the list of processes shows it, so rather use", _password),
        Option("--password-file FILE", "a file whose first line is the password, or the environment", _path),
        Option("", "variable SPICEEMU_PASSWORD, which counts if neither option is given"),
        Option("--password-expires SECONDS", "how long the password is right", _seconds),
        Option("--share", "several clients at once; otherwise a new one replaces the one before"),
    ),
    "What clients see": (
        Option("--size WIDTHxHEIGHT", "the desktop's size in pixels (1024x768)", _size),
        Option("--title TEXT", "the name that clients show (spiceemu)"),
        Option(
            "--compression KIND",
            f"how pictures are encoded: {enumerate_compressions('or')} ({DEFAULT_COMPRESSION})",
            _compression,
        ),
        Option("--no-agent", "a guest without an agent: no clipboard, no following the window's size"),
        Option("--no-sound", "a guest without sound: no playback and record channels"),
        Option("--blank", "a black screen instead of the demo desktop"),
    ),
    "What to behave like": (
        Option("--compat LEVEL", "a version (0.8) or a release (0.8.3); spiceemu compat lists them (0.15.1)", _level),
        Option("--features CHANGES", "features more and less than that level's, such as +SURFACES,-VOLUME", _features),
    ),
    "From and to other servers": (
        Option("--migrate-to HOST:PORT", "where clients are sent --after some seconds, and on SIGUSR1", _address),
        Option("--after SECONDS", "how long after the first has come", _seconds),
        Option("--migrate-tls-port PORT", "that server's TLS port, for clients that are here over TLS", _port),
        Option("--migrate-subject TEXT", "what its certificate's subject must be, such as CN=host"),
        Option("--incoming", "wait for a client from another server before anything is shown"),
    ),
    "What is told": (
        Option("--vv FILE", "write a connection file for remote-viewer, readable by you alone", _path),
        Option("--json", "the first line is a JSON object: address, process id and more"),
        Option("-v", "tell on standard error what happens; -vv tells each message as well"),
        Option("--help", "this text"),
    ),
}

SHORT = {"-h": ("help", 1), "-v": ("verbosity", 1), "-vv": ("verbosity", 2)}
"""Switches that have no long name: the attribute, and what it grows by."""


def describe() -> Iterator[str]:
    """The table, as lines of the help text."""
    for heading, options in OPTIONS.items():
        yield heading
        for option in options:
            yield f"  {option.usage:<29} {option.meaning}"
        yield ""


def read_options(arguments: Sequence[str]) -> Options:
    """Read the command line of ``serve``.

    :returns: a value for each option, the default where it is not given.
    :raises InvalidValue: an option is unknown, lacks its value, has a wrong one, or does not go with another.
    """
    options = Options()
    table = {option.name: option for group in OPTIONS.values() for option in group if option.name.startswith("--")}
    waiting = iter(arguments)
    for argument in waiting:
        if argument in SHORT:
            attribute, step = SHORT[argument]
            setattr(options, attribute, getattr(options, attribute) + step)
            continue
        name, equals, value = argument.partition("=")
        option = table.get(name)
        if option is None:
            raise InvalidValue(f"there is no option {name}{_similar(name, table)}")
        if not option.value:
            if equals:
                raise InvalidValue(f"{name} takes no value")
            setattr(options, option.attribute, True)
            continue
        if not equals:
            value = next(waiting, "--")
            if value.startswith("--"):
                raise InvalidValue(f"{name} needs a value: {name}={option.value}")
        try:
            setattr(options, option.attribute, option.read(value))
        except InvalidValue as error:
            raise InvalidValue(f"{name} {value}: {error}") from None
    if not options.help:
        _check_together(options)
    return options


def _similar(name: str, table: dict[str, Option]) -> str:
    from difflib import get_close_matches

    return "".join(f"; did you mean {match}?" for match in get_close_matches(name, table, n=1))


def _check_together(options: Options) -> None:
    """Refuse options that do not go together."""
    plain, tls = options.port is not None, options.tls_port is not None
    for given, possible, text in (
        (not plain, tls or options.unix, "--port none needs --tls-port or --unix"),
        (options.tls_cert, tls, "--tls-cert needs --tls-port"),
        (options.tls_key, options.tls_cert, "--tls-key needs --tls-cert"),
        (options.tls_key_password_file, options.tls_cert, "--tls-key-password-file needs --tls-cert"),
        (options.tls_ca_out, tls, "--tls-ca-out needs --tls-port"),
        (options.tls_ca_out, not options.tls_cert, "--tls-ca-out is for a throw-away certificate, not for --tls-cert"),
        (options.tls_channels, tls, "--tls-channels needs --tls-port"),
        (options.plain_channels, plain or options.unix, "--plain-channels needs --port or --unix"),
        (options.vv, plain or tls, "--vv needs --port or --tls-port: such a file cannot name a unix socket"),
        (options.after is not None, options.migrate_to, "--after needs --migrate-to"),
        (options.migrate_tls_port is not None, options.migrate_to, "--migrate-tls-port needs --migrate-to"),
        (options.migrate_subject, options.migrate_tls_port is not None, "--migrate-subject needs --migrate-tls-port"),
        (options.password_file, options.password is None, "--password and --password-file exclude each other"),
    ):
        if given and not possible:
            raise InvalidValue(text)
