"""The command: ``spiceemu serve``.

What is loaded when makes for a quick start. The plain port listens while little more than ``socket`` is loaded
(:mod:`spiceemu.cli.command`), so clients can connect from then on. asyncio and the server come next
(:mod:`spiceemu.cli.serving`) and answer the links; the desktop comes last, while links are being answered.
"""

from __future__ import annotations

import gc

TYPE_CHECKING = False  # not from ``typing``: importing it would delay listening
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    :param arguments: what stands behind the command's name; those of this process if not given.
    :returns: 0.
    :raises SystemExit: with any other exit code of ``spiceemu serve --help``, after one line on standard error.
    """
    # What is loaded now is there to stay: to look for garbage in it would take a tenth of the time until the port
    # listens. The server switches this on again.
    gc.disable()
    try:
        from spiceemu.cli.command import execute

        execute(arguments)
    finally:
        gc.enable()
    return 0
