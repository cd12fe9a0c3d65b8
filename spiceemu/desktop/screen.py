"""What the demo desktop draws with: a display's screen, and one picture that floats above all else on it.

Who draws below the floating picture need not know of it: it is taken off the screen before something under it changes,
and put back by :meth:`Screen.settle`. What it hides is kept in a surface that is not on screen, so nothing is drawn
anew when it moves.
"""

from __future__ import annotations

from math import isqrt
from typing import TYPE_CHECKING

from spiceemu.drawing.geometry import Rect
from spiceemu.guest.display import PRIMARY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from spiceemu.drawing.geometry import PointLike
    from spiceemu.drawing.text import Font
    from spiceemu.guest.display import Display


class Floating:
    """A picture that lies on the screen and can be moved.

    It is painted on the surface ``surface_id``, while it is not shown. It must lie inside the screen all of the time.

    :param box: where it is to be, and its size.
    """

    def __init__(self, display: Display, box: Rect) -> None:
        self.box = box
        self.shown = False
        self.surface_id = display.create_surface(box.width, box.height)
        self._display = display
        self._below = display.create_surface(box.width, box.height)
        self._spare = display.create_surface(box.width, box.height)

    def close(self) -> None:
        """Remove the surfaces; what is on the screen stays."""
        for surface in (self.surface_id, self._below, self._spare):
            self._display.destroy_surface(surface)

    def show(self) -> None:
        """Keep what is on the screen there, and put the picture over it."""
        if not self.shown:
            self.shown = True
            self._display.copy_surface(PRIMARY, self.box, (0, 0), surface=self._below)
            self._put(self.surface_id, self.box)

    def hide(self) -> None:
        """Put back what was below the picture."""
        if self.shown:
            self.shown = False
            self._put(self._below, self.box)

    def forget(self) -> None:
        """The screen was lost with all that is on it: there is nothing to put back."""
        self.shown = False

    def move(self, x: int, y: int) -> None:
        """Move the picture; on screen that is one copy, and what it leaves and covers at its edges."""
        old, new = self.box, Rect(x, y, self.box.width, self.box.height)
        if self.shown and new != old:
            display = self._display
            kept = new.intersection(old)
            if not kept.is_empty:
                source = kept.translate(-old.x, -old.y)
                display.copy_surface(self._below, source, (kept.x - x, kept.y - y), surface=self._spare)
            for part in outside(new, old):
                display.copy_surface(PRIMARY, part, (part.x - x, part.y - y), surface=self._spare)
            display.copy(old, (x, y))
            for part in outside(old, new):
                self._put(self._below, part)
            self._below, self._spare = self._spare, self._below
        self.box = new

    def _put(self, surface: int, part: Rect) -> None:
        """Copy a part of one of the surfaces to where it belongs on the screen."""
        self._display.copy_surface(surface, part.translate(-self.box.x, -self.box.y), (part.x, part.y))


class Screen:
    """The screen, as panels draw on it."""

    def __init__(self, display: Display) -> None:
        self.display = display
        self.floating: Floating | None = None

    def fill(self, box: Rect, color: int) -> None:
        """Fill a rectangle; an empty one is nothing."""
        if not box.is_empty:
            self._uncover(box)
            self.display.fill(box, color)

    def text(self, position: PointLike, text: str, font: Font, ink: int, paper: int) -> None:
        """Write a line of text."""
        self._uncover(Rect(*position, *font.measure(text)))
        self.display.text(position, text, color=ink, background=paper, font=font)

    def copy(self, source: Rect, position: PointLike) -> None:
        """Copy a part of the screen to another place of it."""
        self._uncover(source)
        self._uncover(Rect(*position, source.width, source.height))
        self.display.copy(source, position)

    def fill_all(self, boxes: Iterable[Rect], color: int) -> None:
        """Fill several rectangles with one colour."""
        for box in boxes:
            self.fill(box, color)

    def settle(self) -> None:
        """Put back the floating picture, if something below it was drawn."""
        if self.floating is not None:
            self.floating.show()

    def _uncover(self, box: Rect) -> None:
        if self.floating is not None and not box.intersection(self.floating.box).is_empty:
            self.floating.hide()


def gradient(box: Rect, top: int, bottom: int) -> Iterator[tuple[Rect, int]]:
    """Cut a box into bands whose colours go from one to another: as few as can be without a visible step."""
    channels = [(top >> shift & 0xFF, bottom >> shift & 0xFF) for shift in (16, 8, 0)]
    bands = max(1, min(box.height, max(abs(last - first) for first, last in channels)))
    for band in range(bands):
        y, end = box.height * band // bands, box.height * (band + 1) // bands
        red, green, blue = (first + (last - first) * band // max(bands - 1, 1) for first, last in channels)
        yield Rect(box.x, box.y + y, box.width, end - y), red << 16 | green << 8 | blue


def disc(x: int, y: int, radius: int, *, step: int) -> Iterator[Rect]:
    """Cut a disc around a point into rows of a height."""
    for row in range(-radius, radius, step):
        middle = row + step // 2
        half = isqrt(max(radius * radius - middle * (middle + 1), 0))
        yield Rect(x - half, y + row, 2 * half, step)


def outside(box: Rect, hole: Rect) -> list[Rect]:
    """The parts of a box that are not in the hole, as up to four rectangles."""
    hole = box.intersection(hole)
    if hole.is_empty:
        return [box]
    parts = [
        Rect(box.x, box.y, box.width, hole.y - box.y),
        Rect(box.x, hole.bottom, box.width, box.bottom - hole.bottom),
        Rect(box.x, hole.y, hole.x - box.x, hole.height),
        Rect(hole.right, hole.y, box.right - hole.right, hole.height),
    ]
    return [part for part in parts if not part.is_empty]


def rounded(
    box: Rect, radius: int, unit: int, *, left: bool = True, right: bool = True, bottom: bool = True
) -> Iterator[Rect]:
    """Cut a box into rows that leave out some of its corners.

    :param unit: size of the steps in pixels: larger corners are as coarse as larger letters, and take no more rows.
    """
    radius = min(radius, box.width // 2, box.height // 2)
    y = box.y
    for inset, rows in _corner(radius // unit):
        inset, rows = inset * unit, rows * unit
        x, width = box.x + inset * left, box.width - inset * (left + right)
        yield Rect(x, y, width, rows)
        if bottom:
            yield Rect(x, box.y + box.bottom - y - rows, width, rows)
        y += rows
    yield Rect(box.x, y, box.width, (box.y if bottom else y) + box.bottom - y - y)


def _corner(radius: int) -> list[tuple[int, int]]:
    """From the edge inwards: by how much rows are shorter than the box, and how many rows by so much."""
    runs: list[tuple[int, int]] = []
    for row in range(radius):
        up = radius - row
        inset = radius - isqrt(radius * radius - up * (up - 1))
        if runs and runs[-1][0] == inset:
            runs[-1] = inset, runs[-1][1] + 1
        elif inset:
            runs.append((inset, 1))
    return runs
