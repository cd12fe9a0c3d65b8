"""The note of the demo desktop: a sheet of paper for what is typed."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Final

from spiceemu.desktop.look import AMBER, PAPER, PAPER_BAR, PAPER_EDGE, PAPER_INK
from spiceemu.desktop.screen import rounded
from spiceemu.desktop.state import MAX_NOTE
from spiceemu.desktop.widgets import Button, ButtonStyle, Panel, TextView, draw_box, shrink, wrap
from spiceemu.drawing.geometry import Rect
from spiceemu.guest.clipboard import CLIPBOARD
from spiceemu.guest.cursor import ARROW, HAND, TEXT_BEAM
from spiceemu.guest.keymap import LEFT_CTRL, RIGHT_CTRL

if TYPE_CHECKING:
    from spiceemu.desktop.look import Look
    from spiceemu.desktop.screen import Screen
    from spiceemu.desktop.state import State
    from spiceemu.guest.cursor import CursorShape
    from spiceemu.guest.keyboard import KeyEvent

_CTRL: Final = (LEFT_CTRL, RIGHT_CTRL)
_STYLE: Final = ButtonStyle(ink=PAPER_INK, face=PAPER, lit=AMBER)


class NotePanel(Panel):
    """Paper, a caret, and three buttons."""

    title = "Note"

    def __init__(self, screen: Screen, box: Rect, look: Look, state: State) -> None:
        super().__init__(screen, box, look, state)
        self.buttons: list[Button] = []
        self._pressed: Button | None = None
        self._area = self.draw_frame()
        self._view = TextView(screen, self._area, look.body, ink=PAPER_INK, paper=PAPER)
        self._caret_at: tuple[int, int] | None = None
        self._first = 0  # the line that is shown at the top
        self.refresh()

    def draw_frame(self) -> Rect:
        """Draw the sheet, its title and buttons, and give the room for the text."""
        box, look, font = self.box, self.look, self.look.detail
        draw_box(self.screen, box, look, PAPER, PAPER_EDGE)
        bar = Rect(box.x + look.scale, box.y + look.scale, box.width - 2 * look.scale, font.height + look.pad)
        self.screen.fill_all(rounded(bar, look.radius - look.scale, look.scale, bottom=False), PAPER_BAR)
        self.screen.text((box.x + look.pad, bar.y + look.pad // 2), self.title, font, PAPER_INK, PAPER_BAR)
        right, margin = bar.right - look.pad // 2, look.pad // 4
        for label, action in (("Clear", self.state.note.clear), ("Paste", self._paste), ("Copy", self._copy)):
            width = font.width * (len(label) + 2)
            place = Rect(right - width, bar.y + margin, width, bar.height - 2 * margin)
            self.buttons.append(Button(self.screen, place, font, _STYLE, label, action))
            right -= width + look.pad // 2
        return shrink(Rect(box.x, bar.bottom, box.width, box.bottom - bar.bottom), look.pad)

    def refresh(self) -> None:
        """Show the part of the text that the caret is in, and the caret."""
        view, note, font = self._view, self.state.note, self._view.font
        spans = self._spans()
        row, column = self._caret_place(spans)
        # As little as needed is scrolled, and no empty lines are shown where there is more text above.
        first = min(max(self._first, row - view.rows + 1), row, max(len(spans) - view.rows, 0))
        if self._caret_at is not None:
            view.forget(*self._caret_at)
        view.scroll(first - self._first)
        self._first = first
        view.show([note.text[start:end] for start, end in spans[first : first + view.rows]])
        self._caret_at = row - first, column
        x, y = self._area.x + column * font.width, self._area.y + (row - first) * font.height
        self.screen.fill(Rect(x, y, 2 * self.look.scale, font.height), PAPER_INK)

    def on_key(self, event: KeyEvent) -> None:
        """Type, or do what a key without a character does."""
        note = self.state.note
        if not event.pressed:
            return
        if event.character == "\b":
            note.erase(-1)
        elif event.character is not None:
            note.insert(event.character)
        elif self.state.held.keys().isdisjoint(_CTRL):
            self._move_caret(event.name)
        elif event.name == "c":
            self._copy()
        elif event.name == "v":
            self._paste()
        self.refresh()

    def on_press(self, x: int, y: int) -> None:
        """Press the button where somebody clicked, or put the caret there."""
        self._pressed = self._button_at(x, y)
        if self._pressed is not None:
            self._pressed.press()
        elif self._area.contains(x, y):
            spans, font = self._spans(), self._view.font
            row = min(self._first + (y - self._area.y) // font.height, len(spans) - 1)
            self._go(spans, row, round((x - self._area.x) / font.width))
            self.refresh()

    def on_release(self, x: int, y: int) -> None:
        """Let go of the button that was pressed."""
        pressed, self._pressed = self._pressed, None
        if pressed is not None:
            pressed.release(x, y)
            self.refresh()

    def cursor_at(self, x: int, y: int) -> CursorShape:
        """The cursor for a place on the screen."""
        if self._button_at(x, y) is not None:
            return HAND
        return TEXT_BEAM if self._area.contains(x, y) else ARROW

    def _button_at(self, x: int, y: int) -> Button | None:
        return next((button for button in self.buttons if button.box.contains(x, y)), None)

    def _move_caret(self, key: str) -> None:
        note = self.state.note
        spans = self._spans()
        row, column = self._caret_place(spans)
        match key:
            case "Left":
                note.go(note.caret - 1)
            case "Right":
                note.go(note.caret + 1)
            case "Up":
                self._go(spans, row - 1, column)
            case "Down":
                self._go(spans, row + 1, column)
            case "Home":
                self._go(spans, row, 0)
            case "End":
                self._go(spans, row, self._view.columns)
            case "Delete":
                note.erase(1)

    def _spans(self) -> list[tuple[int, int]]:
        # The last column is for the caret alone, when it stands behind a full line.
        return wrap(self.state.note.text, self._view.columns - 1)

    def _caret_place(self, spans: list[tuple[int, int]]) -> tuple[int, int]:
        caret = self.state.note.caret
        row = bisect_right(spans, caret, key=lambda span: span[0]) - 1
        return row, caret - spans[row][0]

    def _go(self, spans: list[tuple[int, int]], row: int, column: int) -> None:
        """Put the caret into a line; its end is the next one's start where the line is broken and not ended."""
        if 0 <= row < len(spans):
            start, end = spans[row]
            broken = row + 1 < len(spans) and spans[row + 1][0] == end
            self.state.note.go(min(start + column, end - broken))

    def _copy(self) -> None:
        if self.state.note.text:
            self.state.guest.clipboard.set_text(self.state.note.text)

    def _paste(self) -> None:
        # A character has at most four bytes of UTF-8: what is cut off here would not fit into the note.
        data = (self.state.guest.clipboard.data_of(CLIPBOARD) or b"")[: 4 * MAX_NOTE]
        self.state.note.insert(data.decode("utf-8", "replace"))
