"""``spiceemu probe``: which level a server behaves like."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from spiceemu.cli.arguments import Arguments
from spiceemu.cli.exits import EXIT_ADDRESS, EXIT_CERTIFICATE, EXIT_FILE, EXIT_USAGE, stop, tell
from spiceemu.cli.passwords import PASSWORD_VARIABLE, password_variable, read_password
from spiceemu.errors import AddressUnavailable, InvalidValue, RemoteError
from spiceemu.probing.likeness import Answer, ChannelAnswer, ProbeReport, differences, in_order, show_words
from spiceemu.probing.probe import ANSWER_TIMEOUT, probe
from spiceemu.protocol.capabilities import common_names
from spiceemu.protocol.levels.channels import channel_names
from spiceemu.recordings.relay import is_unix, parse_target
from spiceemu.serving.listeners import MAX_PORT

if TYPE_CHECKING:
    import argparse
    import ssl
    from collections.abc import Iterator, Sequence

EXIT_NO_MATCH = 1
EXIT_PEER = 7

MAX_TIMEOUT = 600.0
"""Seconds that ``--timeout`` takes at most."""

ABOUT = """\
Tell which level a SPICE server behaves like, whoever made it: what it offers on every channel,
and what it refuses and how, is held against every level of spiceemu compat.

A probe REPLACES THE CLIENT THAT IS CONNECTED: it logs in, and servers drop the old client for it.
"""

EXITS = f"""\
Exit codes
  0  it behaves like a level exactly
  {EXIT_NO_MATCH}  it behaves like none; the nearest is named, with what differs
  {EXIT_USAGE}  an option is wrong or does not go with another
  {EXIT_ADDRESS}  nobody answers there, or TLS fails
  {EXIT_CERTIFICATE}  the file of --ca cannot be used
  {EXIT_FILE}  the password file cannot be read, or standard output not be written
  {EXIT_PEER}  it is no SPICE server, does not let us in, stalls, or breaks the protocol
"""


def run(arguments: Sequence[str]) -> None:
    """Probe a server, and tell what it is like.

    :raises SystemExit: unless it behaves like a level exactly.
    """
    options = _read(arguments)
    host, port = (options.address, None) if options.unix else _host_and_port(options.address)
    tls = _tls(options) if options.tls or options.ca else None
    password = read_password(options.password_file) if options.password_file else password_variable()
    try:
        report = asyncio.run(
            probe(host or "", port, unix_path=options.unix, tls=tls, password=password, timeout=options.timeout)
        )
    except AddressUnavailable as error:
        hint = "; --ca names the authority to trust" if tls is not None and not options.ca else ""
        raise stop(EXIT_ADDRESS, f"{error}{hint}") from None
    except InvalidValue as error:
        raise stop(EXIT_USAGE, f"{error} (see spiceemu probe --help)") from None
    except RemoteError as error:
        raise stop(EXIT_PEER, str(error)) from None
    except KeyboardInterrupt:
        raise stop(EXIT_PEER, "the probe was interrupted") from None
    if options.json:
        tell(json.dumps(as_json(report), indent=2) + "\n")
    else:
        tell("\n".join([*_verdict(report), "", *_measured(report), ""]))
    if not report.exact:
        raise SystemExit(EXIT_NO_MATCH)


# What is read


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Arguments("probe", ABOUT, epilog=EXITS)
    parser.add_argument(
        "address",
        metavar="HOST:PORT",
        nargs="?",
        help="the server, also as serve prints it; [::1]:5930 for an IPv6 address",
    )
    parser.add_argument("--unix", metavar="PATH", help="its unix socket, instead of HOST:PORT")
    parser.add_argument("--tls", action="store_true", help="its port with TLS; the certificate is checked")
    parser.add_argument("--ca", metavar="FILE", help="the authority that signed it, PEM; the system's unless given")
    parser.add_argument(
        "--password-file",
        metavar="FILE",
        help=f"a file whose first line is the password; unless given, the environment variable {PASSWORD_VARIABLE}",
    )
    parser.add_argument("--json", action="store_true", help="all that was measured, as a JSON object")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=ANSWER_TIMEOUT,
        help=f"how long to wait for each answer ({ANSWER_TIMEOUT:g})",
    )
    options = parser.read(arguments)
    if options.address is not None and options.unix is None and is_unix(options.address):
        try:
            options.unix, options.address = parse_target(options.address).unix_path, None
        except InvalidValue as error:
            parser.error(str(error))
    if (options.address is None) == (options.unix is None):
        parser.error("either HOST:PORT or --unix is needed")
    if options.unix and (options.tls or options.ca):
        parser.error("--unix does not go with --tls or --ca")
    if not 0 < options.timeout <= MAX_TIMEOUT:
        parser.error(f"--timeout {options.timeout:g} is not a number of seconds above 0 and up to {MAX_TIMEOUT:g}")
    return options


def _host_and_port(address: str) -> tuple[str, int]:
    """The parts of an address, also of one as ``serve`` prints it."""
    host, _, port = address.removeprefix("spice://").rpartition(":")
    known = port.isascii() and port.isdigit() and len(port) <= len(str(MAX_PORT)) and 0 < int(port) <= MAX_PORT
    if not known or not host or (":" in host and not host.startswith("[")):
        raise stop(
            EXIT_USAGE, f"{address} is not HOST:PORT with a port from 1 to {MAX_PORT} (see spiceemu probe --help)"
        )
    return host.removeprefix("[").removesuffix("]"), int(port)


def _tls(options: argparse.Namespace) -> ssl.SSLContext:
    import ssl

    try:
        return ssl.create_default_context(cafile=options.ca)
    except OSError as error:  # ssl.SSLError as well
        raise stop(EXIT_CERTIFICATE, f"cannot use --ca {options.ca}: {error.strerror or error}") from None


# What is told


def _verdict(report: ProbeReport) -> Iterator[str]:
    exact = report.exact
    if exact:
        others = f"; {', '.join(exact[1:])} would look the same" if exact[1:] else ""
        yield f"{report.address} behaves like {exact[0]} exactly{others}"
        return
    name, found = report.nearest
    count = "1 difference" if len(found) == 1 else f"{len(found)} differences"
    yield f"{report.address} behaves like no level exactly; the nearest is {name}, with {count}:"
    for difference in found:
        yield f"  {difference.explain(name)}"


def _measured(report: ProbeReport) -> Iterator[str]:
    major, minor = report.version
    common = report.channels[0].answer.common
    yield f"protocol {major}.{minor}, {report.header} headers, " + (
        "a password" if report.asks_password else "no password"
    )
    yield _row("capabilities", "", "")
    yield _row("  every channel", show_words(common), " ".join(common_names(common)))
    for each in report.channels:
        names = " ".join(channel_names(each.type, each.answer.channel))
        if not each.answer.common and not each.answer.channel and each.answer.version is None:
            names = str(each.answer.outcome)
        yield _row(f"  {each.name}", show_words(each.answer.channel), names)
    yield _row("refusals", "", "")
    for question, answer in report.refusals.items():
        yield f"  {question.value:<34} {answer.outcome}"
    for each in report.unlisted:
        yield f"  {each.name + ', which is not listed':<34} {each.answer.outcome}"


def _row(name: str, words: str, names: str) -> str:
    return f"{name:<17} {words:<8} {names}".rstrip()


def as_json(report: ProbeReport) -> dict[str, Any]:
    """All that was measured, and every level's differences, as JSON has it."""
    nearest, _ = report.nearest
    return {
        "address": report.address,
        "exact": report.exact,
        "nearest": nearest,
        "differences": {name: [each._asdict() for each in differences(report, level)] for name, level in in_order()},
        "version": report.version,
        "header": report.header,
        "asks_password": report.asks_password,
        "channels": [_channel_json(each) for each in report.channels],
        "unlisted": [_channel_json(each) for each in report.unlisted],
        "refusals": {question.name.lower(): _answer_json(answer) for question, answer in report.refusals.items()},
    }


def _channel_json(channel: ChannelAnswer) -> dict[str, Any]:
    return {"name": channel.name, "type": channel.type, "id": channel.id, **_answer_json(channel.answer)}


def _answer_json(answer: Answer) -> dict[str, Any]:
    place, code = answer.outcome
    return {
        "outcome": str(answer.outcome),
        "place": place.name.lower(),
        "code": code,
        "version": answer.version,
        "size": answer.size,
        "has_key": answer.has_key,
        "common_words": answer.common,
        "channel_words": answer.channel,
    }
