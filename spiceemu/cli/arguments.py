"""Reading a command line with argparse, for the commands that need not start quickly."""

from __future__ import annotations

import argparse
from typing import NoReturn

from spiceemu.cli.exits import EXIT_USAGE, stop


class Arguments(argparse.ArgumentParser):
    """A parser whose complaints are one line, as those of ``serve`` are.

    :param command: its name, as in ``spiceemu probe``.
    :param about: what it does; shown as it is.
    """

    def __init__(self, command: str, about: str) -> None:
        super().__init__(
            prog=f"spiceemu {command}",
            description=about,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )

    def error(self, message: str) -> NoReturn:
        """End the command.

        :raises SystemExit: always.
        """
        raise stop(EXIT_USAGE, f"{message} (see {self.prog} --help)")
