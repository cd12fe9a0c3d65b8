"""What a guest is made of: a table of parts, each of which can save what it is and load what another one was.

A part more is a class with :class:`Part`'s two methods, and a row::

    Guest(parts=(*PARTS, PartRow("thermometer", lambda _made: Thermometer())))

Its name is its key in ``guest.parts`` and in the plain data of :mod:`spiceemu.guest.state`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from spiceemu.errors import InvalidValue
from spiceemu.guest.agent import Agent
from spiceemu.guest.clipboard import Clipboard
from spiceemu.guest.cursor import ARROW, GuestCursor
from spiceemu.guest.displays import Displays
from spiceemu.guest.keyboard import Keyboard
from spiceemu.guest.pointer import Pointer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from spiceemu.protocol.plain import Plain

Kind = TypeVar("Kind")

RESERVED: Final = frozenset({"name", "uuid"})
"""What a guest is besides its parts: no part has these names."""


class Part(Protocol):
    """A device of the guest, or something else that it has and that moves with it."""

    def save(self) -> Any:
        """What the part is now, as plain data: dictionaries, lists, text, integers, booleans, None, bytes."""

    def load(self, state: Plain) -> Callable[[], None]:
        """Check all of what another such part saved, by this one's own limits, and change nothing.

        :returns: what makes this part the same. It is called once all parts have checked theirs, and must not refuse.
        :raises InvalidValue: naming what cannot be.
        """


class Made:
    """A guest while it is put together: what was asked for, and the parts that are there already.

    :param sizes: width and height of each display in pixels.
    :param agent: whether an agent was asked for.
    :ivar parts: by name; None for one that was not asked for.
    """

    def __init__(self, sizes: Iterable[tuple[int, int]], *, agent: bool, rows: Iterable[PartRow]) -> None:
        self.sizes: Sequence[tuple[int, int]] = tuple(sizes)
        self.has_agent = agent
        self.parts: dict[str, Part | None] = {}
        for row in rows:
            if row.name in RESERVED or row.name in self.parts:
                raise InvalidValue(f"a guest has one {row.name!r}, and there is a second part of that name")
            self.parts[row.name] = row.make(self)

    def part(self, name: str, kind: type[Kind]) -> Kind:
        """A part that is there already.

        :returns: the part.
        :raises InvalidValue: there is none of that name, or it is something else.
        """
        found = self.parts.get(name)
        if not isinstance(found, kind):
            raise InvalidValue(f"a guest needs the part {name!r}, of type {kind.__name__}, and has {found!r}")
        return found

    def optional(self, name: str, kind: type[Kind]) -> Kind | None:
        """The same, or None if there is none of that name.

        :returns: the part; None if there is none.
        :raises InvalidValue: it is something else.
        """
        return None if self.parts.get(name) is None else self.part(name, kind)


@dataclass(frozen=True, slots=True)
class PartRow:
    """A part that guests have.

    :ivar name: what it is called, in ``guest.parts`` and in plain data.
    :ivar make: makes it for a guest of which the rows before are made; None if it was not asked for.
    """

    name: str
    make: Callable[[Made], Part | None]


PARTS: Final[tuple[PartRow, ...]] = (
    PartRow("displays", lambda made: Displays(made.sizes)),
    PartRow("keyboard", lambda _made: Keyboard()),
    PartRow("pointer", lambda made: Pointer(made.part("displays", Displays).size_of)),
    PartRow("cursor", lambda _made: GuestCursor(ARROW)),
    PartRow("clipboards", lambda _made: Clipboard()),
    PartRow("agent", lambda made: Agent(made.part("clipboards", Clipboard)) if made.has_agent else None),
)
"""The parts of every guest, in the order in which they are made, saved and loaded."""


def with_rows(*rows: PartRow) -> tuple[PartRow, ...]:
    """The table of parts with rows more, or others in the place of those of the same name.

    :returns: a table for ``Guest(parts=...)``.
    """
    other = {row.name: row for row in rows}
    return (*(other.pop(row.name, row) for row in PARTS), *other.values())
