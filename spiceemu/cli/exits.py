"""How the command ends when it cannot do what it was asked: one line on standard error, and an exit code."""

from __future__ import annotations

import sys

from spiceemu.protocol.errors import AddressUnavailable, LocalError, MissingExtra

EXIT_USAGE = 2
EXIT_ADDRESS = 3
EXIT_CERTIFICATE = 4
EXIT_EXTRA = 5
EXIT_FILE = 6


def say(text: str) -> None:
    """Put a line on standard error."""
    sys.stderr.write(f"spiceemu: {text}\n")


def stop(code: int, text: str) -> SystemExit:
    """Say why the command ends, and return what to raise."""
    say(text)
    return SystemExit(code)


class _Explained:
    """``with explained:`` ends the command when a LocalError leaves the block."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, AddressUnavailable):
            raise stop(EXIT_ADDRESS, f"{error}; --host, --port, --tls-port and --unix choose another") from None
        if isinstance(error, MissingExtra):
            raise stop(EXIT_EXTRA, str(error)) from None
        if isinstance(error, LocalError):
            raise stop(EXIT_USAGE, f"{error} (see spiceemu serve --help)") from None


explained = _Explained()
