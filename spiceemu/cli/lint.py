"""``spiceemu lint``: tells what in a recording, or in what passes now, a server of some level would not say."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from spiceemu.cli.arguments import Arguments, port
from spiceemu.cli.exits import EXIT_ADDRESS, EXIT_FILE, EXIT_USAGE, say, stop, tell
from spiceemu.cli.relaying import prepare_for_signals, relay_until_stopped
from spiceemu.cli.signals import HeldSignals
from spiceemu.errors import AddressUnavailable, InvalidValue, MalformedRecording
from spiceemu.judge.stream import StreamJudge
from spiceemu.protocol.levels.level import CURRENT, LEVELS, changed, level_of
from spiceemu.recordings.recording import ClientBytes, Closed, Opened, RecordingReader, ServerBytes
from spiceemu.recordings.relay import Relay, RelayObserver, Target, is_unix, parse_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from spiceemu.judge.connection import ConnectionJudge
    from spiceemu.judge.finding import Finding
    from spiceemu.protocol.levels.level import Level
    from spiceemu.serving.wiretap import Wire

EXIT_FOUND = 1

DESCRIPTION = """\
Tell what in a recording a server of some level would not say: each message, capability, kind of picture or order of
messages that it does not know, with its place. With --relay the same of what passes now between clients and a server,
until Ctrl-C or SIGTERM; the first line on standard output is then the address for clients.
"""

EPILOG = f"""\
Levels are versions, the floors of their series, and releases, which are what those very servers said:
  {", ".join(LEVELS)}
spiceemu compat prints what they have, and the features.

Exit codes
  0  nothing found
  {EXIT_FOUND}  something found
  {EXIT_USAGE}  an option, a level or an address is wrong
  {EXIT_ADDRESS}  the port to listen on is in use
  {EXIT_FILE}  the file cannot be read, or is no recording, or is one that is broken off, in which nothing is found; or
     standard output cannot be written
"""


def _parser() -> Arguments:
    usage = "spiceemu lint [OPTION...] FILE\n       spiceemu lint [OPTION...] --relay ADDRESS"
    parser = Arguments("lint", DESCRIPTION, usage=usage, epilog=EPILOG)
    parser.add_argument("file", metavar="FILE", nargs="?", help="a recording, as spiceemu record writes it")
    parser.add_argument("--level", metavar="LEVEL", default=CURRENT.name, help=f"whose rules they are ({CURRENT.name})")
    parser.add_argument("--features", metavar="CHANGES", help="features more or less, such as +SURFACES,-MULTIMONITOR")
    parser.add_argument("--json", action="store_true", help="a JSON object a line, the last one being the sums")
    parser.add_argument(
        "--relay", metavar="ADDRESS", help="a server to judge: HOST:PORT, spice://HOST:PORT or spice+unix:///PATH"
    )
    parser.add_argument("--listen", metavar="PORT", type=port, help="the relay's port; 0 is any free one (0)")
    return parser


def run(arguments: Sequence[str]) -> None:
    """Judge a recording, or what passes until Ctrl-C or SIGTERM.

    :raises SystemExit: something was found, or cannot be done; the lines that say so are written.
    """
    parser = _parser()
    options = parser.read(arguments)
    if (options.file is None) is (options.relay is None):
        parser.error("give either a FILE or --relay ADDRESS")
    if options.listen is not None and options.relay is None:
        parser.error("--listen goes with --relay")
    try:
        level = level_of(options.level)
        if options.features is not None:
            level = changed(level, options.features)
        target = parse_target(options.relay) if options.relay is not None else None
    except InvalidValue as error:
        parser.error(str(error))
    report = Report(level, as_json=options.json)
    if target is not None:
        prepare_for_signals()
        with suppress(KeyboardInterrupt):
            _relay(target, options.listen or 0, report)
    else:
        _read(options.file, report)
    report.sum_up()
    if not report.complete:
        say(f"{options.file} is broken off: what came behind its last whole block is not judged")
    if report.findings:
        raise SystemExit(EXIT_FOUND)
    if not report.complete:
        raise SystemExit(EXIT_FILE)


class Report:
    """A judge, and how its findings are told.

    :param as_json: whether as JSON.
    """

    def __init__(self, level: Level, *, as_json: bool) -> None:
        self.judge = StreamJudge(level)
        self.local = False
        """Whether the server's end of the connections that follow is a unix socket."""
        self.findings = 0
        self.complete = True
        """Whether all there was has been judged. Else no end of a connection is certain that was not seen."""
        self._as_json = as_json
        self._open: dict[int, ConnectionJudge] = {}

    def opened(self, number: int) -> None:
        """Begin a connection."""
        self._open[number] = self.judge.connection(str(number), local=self.local)

    def client_data(self, number: int, data: bytes) -> None:
        """Judge what a client said."""
        self.tell(self._open[number].client_data(data))

    def server_data(self, number: int, data: bytes) -> None:
        """Judge what a server said."""
        self.tell(self._open[number].server_data(data))

    def closed(self, number: int) -> None:
        """End a connection."""
        self.tell(self.judge.end(self._open.pop(number)))

    def tell(self, found: Iterable[Finding]) -> None:
        """Write findings."""
        for finding in found:
            self.findings += 1
            self.write(json.dumps(finding.to_fields()) if self._as_json else str(finding))

    def listens(self, uri: str) -> None:
        """Write the address for clients."""
        self.write(json.dumps({"listens": uri}) if self._as_json else uri)

    def sum_up(self) -> None:
        """End what is open, and write the sums."""
        if self.complete:
            self.tell(self.judge.finish())
        name = self.judge.level.name
        sums = {"connections": self.judge.connections, "messages": self.judge.messages, "findings": self.findings}
        if self._as_json:
            self.write(json.dumps({"level": name, **sums, "complete": self.complete}))
        else:
            counted = ", ".join(f"{count} {what if count != 1 else what[:-1]}" for what, count in sums.items())
            self.write(f"{counted} at level {name}")

    @staticmethod
    def write(line: str) -> None:
        """Write a line at once."""
        tell(line + "\n")


def _read(path: str, report: Report) -> None:
    try:
        with Path(path).open("rb") as file:
            records = RecordingReader(file, path)
            report.local = is_unix(records.about.server)
            for record in records:
                match record:
                    case Opened(connection):
                        report.opened(connection)
                    case ClientBytes(connection, _, data):
                        report.client_data(connection, data)
                    case ServerBytes(connection, _, data):
                        report.server_data(connection, data)
                    case Closed(connection):
                        report.closed(connection)
            report.complete = records.complete
    except MalformedRecording as error:
        raise stop(EXIT_FILE, str(error)) from None
    except KeyboardInterrupt:
        raise stop(EXIT_FILE, f"interrupted before the end of {path}") from None
    except OSError as error:
        raise stop(EXIT_FILE, f"cannot read {path}: {error.strerror or error}") from None


class _Judging(RelayObserver):
    """An observer that changes nothing and tells what is wrong."""

    def __init__(self, report: Report) -> None:
        self._report = report

    def opened(self, connection: Wire) -> None:
        self._report.opened(connection.number)

    def client_data(self, connection: Wire, data: bytes) -> bytes:
        self._report.client_data(connection.number, data)
        return data

    def server_data(self, connection: Wire, data: bytes) -> bytes:
        self._report.server_data(connection.number, data)
        return data

    def closed(self, connection: Wire, reason: str) -> None:  # noqa: ARG002
        self._report.closed(connection.number)


def _relay(target: Target, port: int, report: Report) -> None:
    report.local = target.unix_path is not None
    relay = Relay(target, port=port, observer=_Judging(report))
    try:
        with HeldSignals() as held:
            asyncio.run(relay_until_stopped(relay, held, report.listens))
    except AddressUnavailable as error:
        raise stop(EXIT_ADDRESS, f"{error}; --listen chooses another") from None
