"""Reading a command line with argparse, for the commands that do not need to start quickly."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NoReturn

from spiceemu.cli.exits import EXIT_USAGE, stop
from spiceemu.errors import InvalidValue
from spiceemu.serving.listeners import check_port

if TYPE_CHECKING:
    from collections.abc import Sequence

CHANGES = "--features"
"""The option whose value may begin with a hyphen: ``--features -SURFACES``."""


class Arguments(argparse.ArgumentParser):
    """A parser whose complaints are one line, as those of ``serve`` are.

    :param command: its name, as in ``spiceemu probe``.
    :param about: what it does; shown as it is.
    :param usage: how it is called; made of the options if not given.
    :param epilog: what stands below the options.
    """

    def __init__(self, command: str, about: str, *, usage: str | None = None, epilog: str | None = None) -> None:
        super().__init__(
            prog=f"spiceemu {command}",
            usage=usage,
            description=about,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse a command line; features to be taken away are no options."""
        joined: list[str] = []
        for argument in arguments:
            if joined and joined[-1] == CHANGES and argument[:1] == "-" and argument[:2] != "--":
                joined[-1] = f"{CHANGES}={argument}"
            else:
                joined.append(argument)
        return self.parse_args(joined)

    def error(self, message: str) -> NoReturn:
        """End the command.

        :raises SystemExit: always.
        """
        raise stop(EXIT_USAGE, f"{message} (see {self.prog} --help)")


def port(text: str) -> int:
    """Read a port to listen on; 0 is any free one."""
    try:
        return check_port(int(text) if text.isascii() and text.isdigit() else -1)
    except InvalidValue:
        raise argparse.ArgumentTypeError(f"{text!r} is no port") from None
