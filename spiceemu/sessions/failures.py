"""Failures of ours, and who has seen them: none may go by unnoticed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from spiceemu.errors import HangUp

if TYPE_CHECKING:
    from collections.abc import Callable

    from spiceemu.channels.channel import Channel

MAX_FAILURES = 100
"""Failures that are remembered, of a server and of each of its clients; all of them are logged."""

FAILED = "failure of the server, not of the client: %s"
"""How a failure stands in the log."""


class Failure:
    """Something of ours that raised.

    :ivar error: what it raised.
    :ivar seen: whether it was raised where somebody waits.
    """

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.seen = False

    def raised(self) -> Exception:
        """The error, for whoever raises it now.

        :returns: it.
        """
        self.seen = True
        return self.error


def keep(failures: list[Failure], failure: Failure) -> None:
    """Remember a failure; beyond ``MAX_FAILURES`` one that somebody has seen is forgotten, or else this one."""
    if len(failures) >= MAX_FAILURES:
        seen = next((each for each in failures if each.seen), None)
        if seen is None:
            return
        failures.remove(seen)
    failures.append(failure)


def say_on(channel: Channel, say: Callable[[], object]) -> None:
    """Say something on a channel because of what befell another: if it fails, it is the one that says it that failed.

    :param say: says it.
    """
    try:
        say()
    except Exception as error:  # noqa: BLE001 - raised where the channel's own connection is at work
        channel.fail(error)


def raise_unseen(failures: Iterable[Failure]) -> None:
    """Raise what nobody saw.

    :raises Exception: the one error that there is; of several, a group of them.
    """
    unseen = [failure.raised() for failure in failures if not failure.seen]
    if len(unseen) == 1:
        raise unseen[0]
    if unseen:
        raise ExceptionGroup("failures of the server that nobody waited for", unseen)


def reason_of(error: Exception) -> str:
    """Why a client's connections end because of an exception.

    :returns: a tap's own words, or that the server failed.
    """
    return str(error) if isinstance(error, HangUp) else f"the server failed: {describe(error)}"


def describe(error: Exception) -> str:
    """What a failure is, in a line: the error, and who raised it if a note says so.

    :returns: such as ``ValueError: no such key (raised by on_key, an observer of the guest)``.
    """
    notes = "; ".join(getattr(error, "__notes__", ()))
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"{text} ({notes})" if notes else text
