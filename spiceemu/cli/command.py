"""What ``spiceemu`` does until its port listens, with as little loaded as possible."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

from spiceemu._version import __version__
from spiceemu.cli.exits import (
    EXIT_ADDRESS,
    EXIT_CERTIFICATE,
    EXIT_EXTRA,
    EXIT_FILE,
    EXIT_USAGE,
    explained,
    stop,
    tell,
)
from spiceemu.cli.options import describe, read_options
from spiceemu.serving import listeners

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from spiceemu.cli.options import Options

HELP = """\
usage: spiceemu COMMAND [OPTION...]
       spiceemu COMMAND --help
       spiceemu --version

A fake SPICE server, and tools to look at real ones.

  serve   show a make-believe desktop to remote-viewer and every other SPICE client
  compat  print the ladder: what servers of each version have
  record  stand between clients and a server, and write down what they say
  lint    tell what in a recording, or in what passes now, a server of some version would not say
  probe   tell which version a server behaves like
"""

EXIT_INTERRUPTED = 130
"""As shells tell of who was ended by Ctrl-C: of a command that was not there yet to do better."""

COMMANDS = ("compat", "record", "lint", "probe")
"""The commands besides ``serve``; each is a module of this package with a function ``run(arguments)``."""

SERVE_HELP = f"""\
usage: spiceemu serve [OPTION...]

Show a make-believe desktop to SPICE clients until Ctrl-C or SIGTERM. The first line on standard output is the address
for remote-viewer, written once a client would be answered.

{{options}}
Exit codes
  0  ended by Ctrl-C or SIGTERM
  {EXIT_USAGE}  an option is wrong or does not go with another
  {EXIT_ADDRESS}  an address or port is in use, or is not this machine's
  {EXIT_CERTIFICATE}  the certificate or its key cannot be used
  {EXIT_EXTRA}  an optional package is not installed
  {EXIT_FILE}  a file cannot be read or written
"""


def execute(arguments: Sequence[str] | None, load: Callable[..., Any]) -> None:
    """Do what the command line says; see :func:`spiceemu.cli.main`.

    :param load: :meth:`spiceemu.cli.startup.Startup.load`.
    """
    try:
        with explained:
            _execute(load, *((sys.argv[1:] if arguments is None else arguments) or ("--help",)))
    except KeyboardInterrupt:
        raise SystemExit(EXIT_INTERRUPTED) from None


def _execute(load: Callable[..., Any], command: str, *rest: str) -> None:
    if command in ("--help", "-h"):
        tell(HELP)
    elif command == "--version":
        tell(f"spiceemu {__version__}\n")
    elif command == "serve":
        options = read_options(rest)
        if options.help:
            tell(SERVE_HELP.format(options="\n".join(describe())))
        else:
            serve(options, load)
    elif command in COMMANDS:
        load(command).run(rest)
    else:
        known = ", ".join(("serve", *COMMANDS))
        raise stop(EXIT_USAGE, f"there is no command {command}, only {known}; see spiceemu --help")


def serve(options: Options, load: Callable[..., Any]) -> None:
    """Serve until Ctrl-C or SIGTERM.

    :raises SystemExit: if that is not possible, after one line on standard error.
    """
    try:
        # As Ctrl-C does, until the server has better ways: what is there by then is cleaned up.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        # A script's shell has it ignored by what it starts with &; who sends it all the same means it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sockets = listeners.listen_tcp(options.host, options.port) if options.port is not None else []
        load("serving", tls=options.tls_port is not None).run(options, sockets)
    except KeyboardInterrupt:
        pass
