"""The guest's displays together: they are as many as they were at first, and stay the same objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, overload

from spiceemu.drawing.canvas import PAINTERS
from spiceemu.guest.display import Display
from spiceemu.guest.observers import Observers, call_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spiceemu.drawing.canvas import Painters
    from spiceemu.guest.display import Head
    from spiceemu.protocol.plain import Plain

    Observer: TypeAlias = Callable[["DisplayResized"], None]


@dataclass(frozen=True, slots=True)
class DisplayResized:
    """A display has another size or layout of heads."""

    display_id: int
    width: int
    height: int


class Displays(Sequence[Display]):
    """The displays of one guest, by their id.

    :param sizes: width and height of each in pixels.
    :param painters: what paints each kind of operation.
    :raises InvalidValue: if a size is over the limits of :mod:`spiceemu.drawing.surface`.
    """

    def __init__(self, sizes: Iterable[tuple[int, int]], painters: Painters = PAINTERS) -> None:
        self._displays = [Display(number, *size, painters) for number, size in enumerate(sizes)]
        self._observers: Observers[DisplayResized] = Observers("the displays")

    @overload
    def __getitem__(self, index: int) -> Display: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Display]: ...

    def __getitem__(self, index: int | slice) -> Display | Sequence[Display]:
        return self._displays[index]

    def __len__(self) -> int:
        return len(self._displays)

    def __repr__(self) -> str:
        return repr(self._displays)

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call the observer with every change of a size from now on, and return a callable that ends this.

        What is drawn on a display is told by the display.
        """
        return self._observers.add(observer)

    def size_of(self, display_id: int) -> tuple[int, int] | None:
        """Width and height of a display in pixels, None if there is none."""
        if display_id >= len(self):
            return None
        return self[display_id].width, self[display_id].height

    def set_heads(self, display_id: int, heads: Sequence[Head]) -> None:
        """Lay out the monitors of a display and tell the observers."""
        display = self[display_id]
        self._change(display, partial(display.set_heads, heads))

    def save(self) -> list[dict[str, Any]]:
        """What others need to show the same, as plain data."""
        return [display.save() for display in self]

    def load(self, state: Plain) -> Callable[[], None]:
        """Check the state of as many displays as these or fewer.

        :returns: what makes the first of these the same, and tells of sizes that have changed; the others stay as they
            are.
        :raises InvalidValue: naming what no display can have.
        """
        saved = state.elements(len(self), least=1)
        return partial(
            call_all,
            [partial(self._change, display, display.load(each)) for display, each in zip(self, saved, strict=False)],
        )

    def _change(self, display: Display, change: Callable[[], None]) -> None:
        before = display.heads

        def tell() -> None:
            if display.heads != before:
                self._observers.tell(DisplayResized(display.id, display.width, display.height))

        call_all([change, tell])
