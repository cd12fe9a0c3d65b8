"""Where the commands find a password that the list of processes does not show."""

from __future__ import annotations

import os

from spiceemu.cli.exits import EXIT_FILE, stop

PASSWORD_VARIABLE = "SPICEEMU_PASSWORD"  # noqa: S105 - a variable's name

MAX_PASSWORD_LINE = 4096
"""Most bytes of a password file's first line."""


def password_variable() -> bytes:
    """The password of the environment, empty if it has none.

    Its bytes are taken as they are: a ticket holds bytes, of whatever encoding.
    """
    return os.fsencode(os.environ.get(PASSWORD_VARIABLE, ""))


def read_password(path: str) -> str:
    """The first line of a file, without the byte order mark that some editors begin it with.

    :returns: the password, without the end of its line.
    :raises SystemExit: it cannot be read, or its first line is no password.
    """
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a path from the command line, used once
            line = file.read(MAX_PASSWORD_LINE + 1).partition(b"\n")[0]
        if len(line) > MAX_PASSWORD_LINE:
            raise stop(EXIT_FILE, f"password file {path}: its first line has more than {MAX_PASSWORD_LINE} bytes")
        password = line.removesuffix(b"\r").decode("utf-8-sig")
    except OSError as error:
        raise stop(EXIT_FILE, f"cannot read password file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise stop(EXIT_FILE, f"password file {path}: its first line is not text in UTF-8") from None
    if not password:
        raise stop(EXIT_FILE, f"password file {path}: its first line, which should be the password, is empty")
    return password
