"""What all commands say and how: their output, and the one line and exit code of what cannot be done."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from spiceemu.errors import AddressUnavailable, LocalError, MissingExtra

if TYPE_CHECKING:
    from typing import TextIO

EXIT_USAGE = 2
EXIT_ADDRESS = 3
EXIT_CERTIFICATE = 4
EXIT_EXTRA = 5
EXIT_FILE = 6


def say(text: str) -> None:
    """Put a line of ours on standard error; where that cannot be written, nowhere, as nobody could be told."""
    put_error(f"spiceemu: {text}")


def put_error(line: str) -> None:
    """Put a line on standard error; where that cannot be written, nowhere, as nobody could be told."""
    try:  # noqa: SIM105 - contextlib would delay listening
        _put(sys.stderr, f"{line}\n")
    except OSError:
        pass


def stop(code: int, text: str) -> SystemExit:
    """Say why the command ends, and return what to raise."""
    say(text)
    return SystemExit(code)


class OutputLost(Exception):
    """Standard output cannot be written; its cause is the OSError."""


def tell(text: str) -> None:
    """Put text on standard output at once; where that is closed, nowhere.

    :raises OutputLost: it cannot be written.
    """
    try:
        _put(sys.stdout, text)
    except OSError as error:
        raise OutputLost(f"cannot write standard output: {error.strerror}") from error


def _put(stream: TextIO | None, text: str) -> None:
    if stream is None:  # as Python has it where the system's is closed
        return
    try:
        stream.write(text)
        stream.flush()
    except OSError:
        _drop(stream)
        raise


def _drop(stream: TextIO) -> None:
    """Let what is left in the buffer go nowhere: Python would try once more at its end, and complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class _Explained:
    """``with explained:`` ends the command when a LocalError or OutputLost leaves the block."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OutputLost):
            if isinstance(error.__cause__, BrokenPipeError):  # such as ``head``, who read enough
                raise SystemExit(EXIT_FILE) from None
            raise stop(EXIT_FILE, str(error)) from None
        if isinstance(error, AddressUnavailable):
            raise stop(EXIT_ADDRESS, f"{error}; --host, --port, --tls-port and --unix choose another") from None
        if isinstance(error, MissingExtra):
            raise stop(EXIT_EXTRA, str(error)) from None
        if isinstance(error, LocalError):
            raise stop(EXIT_USAGE, f"{error} (see spiceemu serve --help)") from None


explained = _Explained()
