"""The note of the demo desktop: where typed text goes."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from spiceemu.guest.clipboard import CLIPBOARD
from spiceemu.guest.desktop_look import AMBER, PAPER, PAPER_BAR, PAPER_EDGE, PAPER_INK
from spiceemu.guest.desktop_widgets import Button, Panel, TextView, draw_box, shrink, wrap
from spiceemu.guest.geometry import Rect

if TYPE_CHECKING:
    from collections.abc import Callable

    from spiceemu.guest.clipboard import Clipboard
    from spiceemu.guest.desktop_canvas import Canvas
    from spiceemu.guest.desktop_look import Look
    from spiceemu.guest.keyboard import KeyEvent

MAX_NOTE: Final = 4000
"""Longest note in characters; what is typed or pasted beyond is lost. All of it is wrapped at each key."""

WELCOME: Final = """\
Welcome! There is no machine behind this screen: a fake SPICE server draws it.

Type something here. Drag the photograph. Copy and paste in both directions. Make the window larger.

"""

_TAB: Final = "    "
_CTRL_C: Final = 0x2E
_CTRL_V: Final = 0x2F
_CTRL: Final = (0x1D, 0xE01D)


class NoteText:
    """Text with a caret: an index from 0 to its length, in front of the character with that index."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.caret = len(text)

    def insert(self, text: str) -> None:
        """Put text in at the caret; what cannot be shown is left out, and what is too long cut off."""
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", _TAB)
        text = "".join(character for character in text if character.isprintable() or character == "\n")
        text = text[: max(MAX_NOTE - len(self.text), 0)]
        self.text = self.text[: self.caret] + text + self.text[self.caret :]
        self.caret += len(text)

    def erase(self, count: int) -> None:
        """Remove so many characters after the caret, or before it for a negative number."""
        first, end = sorted((self.caret, self.caret + count))
        first = max(first, 0)
        self.text = self.text[:first] + self.text[end:]
        self.caret = first

    def go(self, caret: int) -> None:
        """Put the caret somewhere."""
        self.caret = min(max(caret, 0), len(self.text))

    def clear(self) -> None:
        """Remove everything."""
        self.text, self.caret = "", 0


class NotePanel(Panel):
    """A sheet of paper with a caret and three buttons.

    :param held: tells which keys are down.
    """

    title = "Note"

    def __init__(self, canvas: Canvas, clipboard: Clipboard, held: Callable[[], frozenset[int]]) -> None:
        super().__init__(canvas)
        self.note = NoteText(WELCOME)
        self.buttons = [
            Button(label, action, ink=PAPER_INK, face=PAPER, lit=AMBER)
            for label, action in (("Copy", self._copy), ("Paste", self._paste), ("Clear", self.note.clear))
        ]
        self.area = Rect(0, 0, 0, 0)
        """Where the text is."""
        self._clipboard = clipboard
        self._held = held
        self._first = 0

    def draw_frame(self, box: Rect, look: Look) -> Rect:
        """Draw the sheet and its title, and give the room for the text."""
        draw_box(self.canvas, box, look, PAPER, PAPER_EDGE)
        font = look.small
        bar = Rect(box.x + look.scale, box.y + look.scale, box.width - 2 * look.scale, font.height + look.pad)
        self.canvas.rounded(bar, look.radius - look.scale, PAPER_BAR, bottom=False)
        y = bar.y + look.pad // 2
        self.canvas.text((box.x + look.pad, y), self.title, font, PAPER_INK, PAPER_BAR)
        self._button_font = font
        right = bar.right - look.pad // 2
        for button in reversed(self.buttons):
            width = Button.width_of(button.label, font)
            margin = look.pad // 4
            button.place(self.canvas, Rect(right - width, bar.y + margin, width, bar.height - 2 * margin), font)
            right -= width + look.pad // 2
        below = Rect(box.x, bar.bottom, box.width, box.bottom - bar.bottom)
        return shrink(below, look.pad)

    def arrange(self, inside: Rect, look: Look) -> None:
        """Take all the room for text."""
        self.area = inside
        self._caret_width = 2 * look.scale
        self._view = TextView(self.canvas, inside, look.body, ink=PAPER_INK, paper=PAPER)
        self._caret_at: tuple[int, int] | None = None
        self._first = 0

    def refresh(self) -> None:
        """Show the part of the text with the caret, and the caret."""
        view, note = self._view, self.note
        if not view.rows or not view.columns:
            return
        spans = self._spans()
        row, column = self._caret_place(spans)
        first = min(max(self._first, row - view.rows + 1), row, max(len(spans) - view.rows, 0))
        if self._caret_at is not None:
            view.forget(*self._caret_at)
        view.scroll(first - self._first)
        self._first = first
        view.show([note.text[start:end] for start, end in spans[first:]])
        self._caret_at = row - first, column
        x, y = self.area.x + column * view.font.width, self.area.y + (row - first) * view.font.height
        self.canvas.fill(Rect(x, y, self._caret_width, view.font.height), PAPER_INK)

    def on_key(self, event: KeyEvent) -> None:
        """Type, or do what a key with a name does."""
        if not event.pressed:
            return
        ctrl = not self._held().isdisjoint(_CTRL)
        if event.character == "\b":
            self.note.erase(-1)
        elif event.character is not None:
            self.note.insert(event.character)
        elif ctrl and event.scancode == _CTRL_C:
            self._copy()
        elif ctrl and event.scancode == _CTRL_V:
            self._paste()
        else:
            self._move_caret(event.name)
        self.update()

    def on_click(self, x: int, y: int) -> None:
        """Put the caret where somebody clicked."""
        spans = self._spans()
        row = min(self._first + (y - self.area.y) // self._view.font.height, len(spans) - 1)
        self._go(spans, row, round((x - self.area.x) / self._view.font.width))
        self.update()

    def press(self, x: int, y: int) -> Button | None:
        """Press the button at a place, if there is one."""
        if self.placed:
            for button in self.buttons:
                if button.box.contains(x, y):
                    button.press(self.canvas, self._button_font)
                    return button
        return None

    def release(self, button: Button, x: int, y: int) -> None:
        """Let go of a button that was pressed."""
        button.release(self.canvas, self._button_font, x, y)
        self.update()

    def _move_caret(self, key: str) -> None:
        note = self.note
        match key:
            case "Left" | "Right":
                note.go(note.caret + (1 if key == "Right" else -1))
            case "Delete":
                note.erase(1)
            case "Up" | "Down" | "Home" | "End" if self.placed:
                spans = self._spans()
                row, column = self._caret_place(spans)
                match key:
                    case "Up":
                        self._go(spans, row - 1, column)
                    case "Down":
                        self._go(spans, row + 1, column)
                    case "Home":
                        self._go(spans, row, 0)
                    case "End":
                        self._go(spans, row, self._view.columns)

    def _spans(self) -> list[tuple[int, int]]:
        # The last column is the caret's, when it stands behind a full line.
        return wrap(self.note.text, self._view.columns - 1)

    def _caret_place(self, spans: list[tuple[int, int]]) -> tuple[int, int]:
        row = bisect_right(spans, self.note.caret, key=lambda span: span[0]) - 1
        return row, self.note.caret - spans[row][0]

    def _go(self, spans: list[tuple[int, int]], row: int, column: int) -> None:
        """Put the caret into a line: in front of where it goes on, if the line is broken there and not ended."""
        if 0 <= row < len(spans):
            start, end = spans[row]
            broken = row + 1 < len(spans) and spans[row + 1][0] == end
            self.note.go(min(start + column, end - broken))

    def _copy(self) -> None:
        if self.note.text:
            self._clipboard.set_text(self.note.text)

    def _paste(self) -> None:
        # UTF-8 has at most four bytes a character, so what is cut off here would not fit into the note.
        data = (self._clipboard.data_of(CLIPBOARD) or b"")[: 4 * MAX_NOTE]
        self.note.insert(data.decode("utf-8", "replace"))
