"""What the panels of the demo desktop are made of: frames, lines of text, buttons."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import zip_longest
from typing import TYPE_CHECKING, ClassVar

from spiceemu.guest.desktop_look import INK, MUTED, PANEL, PANEL_EDGE, SHADOW, TEAL
from spiceemu.guest.geometry import Rect

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spiceemu.guest.desktop_canvas import Canvas
    from spiceemu.guest.desktop_look import Look
    from spiceemu.guest.text import Font


class TextView:
    """Lines of text on one colour, drawn so that only what differs from the lines before is drawn.

    :param box: where; as many lines and columns as fit. It must have the colour of the paper already.
    """

    def __init__(self, canvas: Canvas, box: Rect, font: Font, *, ink: int = INK, paper: int = PANEL) -> None:
        self.box = box
        self.font = font
        self.columns = max(box.width // font.width, 0)
        self.rows = max(box.height // font.height, 0)
        self._canvas = canvas
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
        if self.columns and abs(count) < self.rows:
            kept = self.rows - abs(count)
            first = max(count, 0)
            source = Rect(self.box.x, self._y(first), self.columns * self.font.width, kept * self.font.height)
            self._canvas.copy(source, (self.box.x, self._y(first - count)))
            self._shown[first - count : first - count + kept] = self._shown[first : first + kept]

    def forget(self, row: int, column: int) -> None:
        """Something was drawn over a character: draw it again the next time."""
        if row < self.rows and column < self.columns:
            line = self._shown[row]
            self._shown[row] = f"{line[:column]}\0{line[column + 1 :]}"

    def _draw(self, row: int, old: str, new: str) -> None:
        first = next(column for column in range(self.columns) if old[column] != new[column])
        end = next(column for column in range(self.columns, 0, -1) if old[column - 1] != new[column - 1])
        ink = new[first:end].rstrip()
        x, y = self.box.x + first * self.font.width, self._y(row)
        if ink:
            self._canvas.text((x, y), ink, self.font, self._ink, self._paper)
        blank = (end - first - len(ink)) * self.font.width
        self._canvas.fill(Rect(x + len(ink) * self.font.width, y, blank, self.font.height), self._paper)

    def _y(self, row: int) -> int:
        return self.box.y + row * self.font.height


class Button:
    """Something to click on.

    :param action: what happens when the left button is let go over it.
    """

    def __init__(self, label: str, action: Callable[[], None], *, ink: int, face: int, lit: int) -> None:
        self.label = label
        self.box = Rect(0, 0, 0, 0)
        self._action = action
        self._ink = ink
        self._face = face
        self._lit = lit
        self._pressed = False

    @staticmethod
    def width_of(label: str, font: Font) -> int:
        """How wide a button is."""
        return font.width * (len(label) + 2)

    def place(self, canvas: Canvas, box: Rect, font: Font) -> None:
        """Draw the button somewhere."""
        self.box = box
        self.draw(canvas, font)

    def draw(self, canvas: Canvas, font: Font) -> None:
        """Draw the button where it is."""
        face = self._lit if self._pressed else self._face
        canvas.rounded(self.box, self.box.height // 4, face)
        x = self.box.x + (self.box.width - len(self.label) * font.width) // 2
        canvas.text((x, self.box.y + (self.box.height - font.height) // 2), self.label, font, self._ink, face)

    def press(self, canvas: Canvas, font: Font) -> None:
        """The mouse button goes down over it."""
        self._pressed = True
        self.draw(canvas, font)

    def release(self, canvas: Canvas, font: Font, x: int, y: int) -> None:
        """The mouse button goes up, over it or elsewhere."""
        self._pressed = False
        self.draw(canvas, font)
        if self.box.contains(x, y):
            self._action()


class Panel(ABC):
    """A part of the desktop with a frame, a title, and something that changes."""

    title: ClassVar[str]

    def __init__(self, canvas: Canvas) -> None:
        self.canvas = canvas
        self.placed = False

    def place(self, box: Rect | None, look: Look) -> None:
        """Draw the panel at a new place; None if there is no room for it."""
        self.placed = box is not None
        if box is not None:
            self.arrange(self.draw_frame(box, look), look)
            self.refresh()

    def draw_frame(self, box: Rect, look: Look) -> Rect:
        """Draw what does not change, and give the room inside."""
        draw_box(self.canvas, box, look, PANEL, PANEL_EDGE)
        inside = shrink(box, look.pad)
        self.canvas.fill(Rect(inside.x, inside.y + 2 * look.scale, 3 * look.scale, look.small.height - 4 * look.scale), TEAL)
        self.canvas.text((inside.x + 9 * look.scale, inside.y), self.title, look.small, MUTED, PANEL)
        return Rect(inside.x, inside.y + look.head, inside.width, inside.height - look.head)

    def update(self) -> None:
        """Draw what changed, if the panel is there."""
        if self.placed:
            self.refresh()

    @abstractmethod
    def arrange(self, inside: Rect, look: Look) -> None:
        """Divide the room inside the frame."""

    @abstractmethod
    def refresh(self) -> None:
        """Draw what changed since the last time."""


def draw_box(canvas: Canvas, box: Rect, look: Look, face: int, edge: int) -> None:
    """Draw a rounded box with an edge and a little shadow."""
    shadow = Rect(box.x + look.radius, box.bottom, box.width - 2 * look.radius, 2 * look.scale)
    canvas.fill(shadow, SHADOW)
    canvas.rounded(box, look.radius, edge)
    canvas.rounded(shrink(box, look.scale), look.radius - look.scale, face)


def shrink(box: Rect, by: int) -> Rect:
    """The box without a margin on all sides."""
    return Rect(box.x + by, box.y + by, box.width - 2 * by, box.height - 2 * by)


def fit(text: str, columns: int) -> str:
    """Cut text that is too long; its end then says so."""
    return text if len(text) <= columns else text[: max(columns - 1, 0)] + "…" * min(columns, 1)


def wrap(text: str, columns: int) -> list[tuple[int, int]]:
    """Break text into lines of so many characters at most, at spaces where it can be: start and end of each line.

    The newline between two lines is in neither; where a line is broken at a space, the space stays at its end.
    """
    spans = []
    start = 0
    for line in text.split("\n"):
        end = start + len(line)
        while end - start > columns:
            space = text.rfind(" ", start, start + columns)
            cut = space + 1 if space >= start else start + max(columns, 1)
            spans.append((start, cut))
            start = cut
        spans.append((start, end))
        start = end + 1
    return spans
