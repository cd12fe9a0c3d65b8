"""What becomes of a client's other connections when one of them is gone."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    from spiceemu.sessions.migration import Departure


class Verdict(Enum):
    """What is done with the connections that are left."""

    STAY = auto()
    """They go on."""
    CLOSE = auto()
    """We close them: there is nothing to come any more."""
    HEAR_OUT = auto()
    """We say no more, and take what the client has said until it closes them."""
    GONE = auto()
    """The client is gone: they are closed at once, if any are left."""


class Farewell(NamedTuple):
    """A verdict, and why the client is gone if it is."""

    verdict: Verdict
    reason: str = ""

    @classmethod
    def gone(cls, reason: str) -> Self:
        """The client is gone.

        :returns: the farewell.
        """
        return cls(Verdict.GONE, reason)


STAY = Farewell(Verdict.STAY)


def farewell_of(departure: Departure, *, is_main: bool, is_last: bool, only_main: bool) -> Farewell:
    """What becomes of a client that is leaving for another server.

    What the client said on the other channels before it left counts as well. spice-gtk leaves these, or after a
    seamless migration main, for the server to close.

    :param is_main: whether it was the main channel that is gone.
    :param is_last: whether no connection is left.
    :param only_main: whether none is left beside main.
    :returns: the farewell.
    """
    if is_last:
        host = departure.destination.host
        return Farewell.gone(f"it went on at {host}" if departure.has_gone_on else f"it was lost on its way to {host}")
    if departure.has_handed_over and only_main:
        return Farewell(Verdict.CLOSE)
    return Farewell(Verdict.HEAR_OUT) if is_main else STAY
