"""The table that every benchmark is a row of.

Absolute times wander with the machine, so each row has a reference measured in the same run, and a ratio to it.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Iterable
from typing import NamedTuple

COMPARE = {">=": operator.ge, "<=": operator.le}


class Row(NamedTuple):
    """A line of the table.

    :ivar ratio: as the name says, measured to reference or the other way round.
    :ivar goal: what the ratio should be, such as ``>= 50``; empty where there is no goal.
    """

    name: str
    measured: str
    reference: str
    ratio: float
    goal: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is reached; None without one."""
        if not self.goal:
            return None
        comparison, value = self.goal.split()
        return bool(COMPARE[comparison](self.ratio, float(value)))


def print_header() -> None:
    sys.stdout.write(f"{'what':36}{'measured':>22}{'reference':>36}{'ratio':>9}  goal\n")


def print_rows(rows: Iterable[Row]) -> None:
    for row in rows:
        verdict = {True: "met", False: "MISSED", None: ""}[row.met]
        line = f"{row.name:36}{row.measured:>22}{row.reference:>36}{row.ratio:>9.3g}  {row.goal} {verdict}"
        sys.stdout.write(line.rstrip() + "\n")
        sys.stdout.flush()
