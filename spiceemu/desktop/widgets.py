"""What the panels of the demo desktop are made of: frames, lines of text, buttons."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from itertools import zip_longest
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeAlias

from spiceemu.desktop.look import INK, MUTED, PANEL, PANEL_EDGE, SHADOW, TEAL
from spiceemu.desktop.screen import rounded
from spiceemu.drawing.geometry import Rect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from spiceemu.desktop.look import Look
    from spiceemu.desktop.screen import Screen
    from spiceemu.desktop.state import State
    from spiceemu.drawing.text import Font

Shape: TypeAlias = tuple[Rect, int]
"""A rectangle and its colour."""


class TextView:
    """Lines of text on one colour, drawn so that only what differs from the lines before is drawn.

    :param box: where; as many lines and columns as fit. It must have the colour of the paper already.
    """

    def __init__(self, screen: Screen, box: Rect, font: Font, *, ink: int = INK, paper: int = PANEL) -> None:
        self.box = box
        self.font = font
        self.columns = max(box.width // font.width, 0)
        self.rows = max(box.height // font.height, 0)
        self._screen = screen
        self._ink = ink
        self._paper = paper
        self._shown = [" " * self.columns] * self.rows

    def show(self, lines: Sequence[str]) -> None:
        """Show these lines: the first ones, where there are too many, each cut where it is too long."""
        for row, (old, line) in enumerate(zip_longest(self._shown, lines[: self.rows], fillvalue="")):
            new = fit(line, self.columns).ljust(self.columns)
            if new != old:
                self._shown[row] = new
                self._draw(row, old, new)

    def scroll(self, count: int) -> None:
        """Move what is shown up by so many rows, or down; the rows that come in still show what they did."""
        kept = self.rows - abs(count)
        if count and kept > 0:
            first = max(count, 0)
            source = Rect(self.box.x, self._y(first), self.columns * self.font.width, kept * self.font.height)
            self._screen.copy(source, (self.box.x, self._y(first - count)))
            self._shown[first - count : first - count + kept] = self._shown[first : first + kept]

    def forget(self, row: int, column: int) -> None:
        """Something was drawn over a character: draw it again the next time."""
        line = self._shown[row]
        self._shown[row] = f"{line[:column]}\0{line[column + 1 :]}"

    def _draw(self, row: int, old: str, new: str) -> None:
        differing = [column for column in range(self.columns) if old[column] != new[column]]
        first, end = differing[0], differing[-1] + 1
        ink = new[first:end].rstrip()
        x, y = self.box.x + first * self.font.width, self._y(row)
        if ink:
            self._screen.text((x, y), ink, self.font, self._ink, self._paper)
        blank = (end - first - len(ink)) * self.font.width
        self._screen.fill(Rect(x + len(ink) * self.font.width, y, blank, self.font.height), self._paper)

    def _y(self, row: int) -> int:
        return self.box.y + row * self.font.height


class Shapes:
    """Filled rectangles over each other on one colour, drawn so that only what differs from those before is drawn.

    :param ground: what is there where no rectangle is.
    """

    def __init__(self, screen: Screen, ground: int) -> None:
        self._screen = screen
        self._ground = ground
        self._shown: list[Shape] = []

    def show(self, shapes: Sequence[Shape]) -> None:
        """Show these rectangles with their colours, the last one on top; empty ones are left out.

        Those that were there before must lie over each other as they did.
        """
        shapes = [shape for shape in shapes if not shape[0].is_empty]
        old, new = Counter(self._shown), Counter(shapes)
        self._shown = shapes
        added = new - old
        damaged = [area for area, _ in old - new if not _covered(area, added)]
        for area in damaged:
            if not _covered(area, shapes):
                self._screen.fill(area, self._ground)
        for shape in shapes:
            box, color = shape
            if shape in added:
                self._screen.fill(box, color)
                damaged.append(box)
            else:
                for area in damaged:
                    self._screen.fill(box.intersection(area), color)


def _covered(area: Rect, shapes: Iterable[Shape]) -> bool:
    """Whether one of the shapes covers an area up."""
    return any(box.intersection(area) == area for box, _ in shapes)


class ButtonStyle(NamedTuple):
    """Colours of a button."""

    ink: int
    face: int
    lit: int
    """The face while the button is pressed."""


class Button:
    """Something to click on.

    :param action: what happens when the left mouse button is let go over it.
    """

    def __init__(
        self, screen: Screen, box: Rect, font: Font, style: ButtonStyle, label: str, action: Callable[[], None]
    ) -> None:
        self.box = box
        self.label = label
        self._screen = screen
        self._font = font
        self._style = style
        self._action = action
        self._draw(style.face)

    def press(self) -> None:
        """The mouse button goes down over it."""
        self._draw(self._style.lit)

    def release(self, x: int, y: int) -> None:
        """The mouse button goes up, over it or elsewhere."""
        self._draw(self._style.face)
        if self.box.contains(x, y):
            self._action()

    def _draw(self, face: int) -> None:
        box, font = self.box, self._font
        self._screen.fill_all(rounded(box, 5 * font.scale, font.scale), face)
        x = box.x + (box.width - len(self.label) * font.width) // 2
        y = box.y + (box.height - font.height) // 2
        self._screen.text((x, y), self.label, font, self._style.ink, face)


class Panel(ABC):
    """A part of the desktop: a frame with a title, drawn at once, and something that changes.

    :param box: where, for as long as the panel is there: another layout has other panels.
    :param state: what the panel shows.
    """

    title: ClassVar[str] = ""

    def __init__(self, screen: Screen, box: Rect, look: Look, state: State) -> None:
        self.screen = screen
        self.box = box
        self.look = look
        self.state = state

    def draw_frame(self) -> Rect:
        """Draw what does not change, and give the room inside."""
        look = self.look
        draw_box(self.screen, self.box, look, PANEL, PANEL_EDGE)
        inside = shrink(self.box, look.pad)
        if not self.title:
            return inside
        font, unit = look.detail, look.scale
        self.screen.fill(Rect(inside.x, inside.y + 2 * unit, 3 * unit, font.height - 4 * unit), TEAL)
        self.screen.text((inside.x + 9 * unit, inside.y), self.title, font, MUTED, PANEL)
        return Rect(inside.x, inside.y + look.head, inside.width, inside.height - look.head)

    @property
    def head(self) -> Rect:
        """The room beside the title."""
        left = self.box.x + self.look.pad + 9 * self.look.scale + len(self.title + "  ") * self.look.detail.width
        right = self.box.right - self.look.pad
        return Rect(left, self.box.y + self.look.pad, right - left, self.look.detail.height)

    @abstractmethod
    def refresh(self) -> None:
        """Draw what changed since the last time."""


def draw_box(screen: Screen, box: Rect, look: Look, face: int, edge: int) -> None:
    """Draw a rounded box with an edge and a little shadow."""
    unit = look.scale
    shadow = Rect(box.x + look.radius, box.bottom, box.width - 2 * look.radius, 2 * unit)
    screen.fill(shadow, SHADOW)
    screen.fill_all(rounded(box, look.radius, unit), edge)
    screen.fill_all(rounded(shrink(box, unit), look.radius - unit, unit), face)


def shrink(box: Rect, by: int) -> Rect:
    """The box without a margin on all sides."""
    return Rect(box.x + by, box.y + by, box.width - 2 * by, box.height - 2 * by)


def fit(text: str, columns: int) -> str:
    """Cut text that is too long; its end then says so."""
    return text if len(text) <= columns else text[: max(columns - 1, 0)] + "…" * min(columns, 1)


def wrap(text: str, columns: int) -> list[tuple[int, int]]:
    """Break text into lines of so many characters at most, at spaces where it can be: start and end of each line.

    The newline between two lines is in neither; where a line is broken at a space, the space stays at its end.

    :param columns: at least 1.
    :returns: offsets in characters, the end is behind the last one; at least one line.
    """
    spans = []
    start = 0
    for line in text.split("\n"):
        end = start + len(line)
        while end - start > columns:
            space = text.rfind(" ", start, start + columns)
            cut = start + columns if space < 0 else space + 1
            spans.append((start, cut))
            start = cut
        spans.append((start, end))
        start = end + 1
    return spans
