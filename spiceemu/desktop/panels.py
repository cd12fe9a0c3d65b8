"""The panels of the demo desktop that are all text: keyboard, clipboard, clients."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spiceemu.desktop.look import AZURE, MUTED, PANEL, TEAL, UNLIT
from spiceemu.desktop.widgets import Panel, Shapes, TextView, wrap
from spiceemu.drawing.geometry import Rect
from spiceemu.guest.clipboard import CLIPBOARD, Owner
from spiceemu.protocol.enums import KeyboardModifierFlags

if TYPE_CHECKING:
    from spiceemu.desktop.look import Look
    from spiceemu.desktop.screen import Screen
    from spiceemu.desktop.state import State

MAX_PREVIEW: Final = 2048
"""Bytes of the clipboard that are looked at for its panel."""

_LOCKS: Final = {
    "Num": KeyboardModifierFlags.NUM_LOCK,
    "Caps": KeyboardModifierFlags.CAPS_LOCK,
    "Scroll": KeyboardModifierFlags.SCROLL_LOCK,
}
_OWNERS: Final = {Owner.NOBODY: "empty", Owner.CLIENT: "from client", Owner.GUEST: "from desktop"}
_NOTHING: Final = "\N{EN DASH}"

_LABELS: Final = 6
"""Columns for what a line is about."""

_CHANNELS: Final = 11
"""Columns for the names of channels."""


class KeyboardPanel(Panel):
    """The last key, the keys that are down, and the locks."""

    title = "Keyboard"

    def __init__(self, screen: Screen, box: Rect, look: Look, state: State) -> None:
        super().__init__(screen, box, look, state)
        inside = self.draw_frame()
        font = look.detail
        self._values = _with_labels(screen, inside, look, ["last", "held"])
        self._lamps: list[tuple[Rect, int]] = []
        x, y = inside.x, inside.bottom - font.height
        for name, lock in _LOCKS.items():
            self._lamps.append((Rect(x, y + 3 * look.scale, font.width, font.height - 6 * look.scale), lock))
            screen.text((x + 2 * font.width, y), name, font, MUTED, PANEL)
            x += (len(name) + 4) * font.width
        self._lights = Shapes(screen, PANEL)
        self.refresh()

    def refresh(self) -> None:
        """Draw what changed since the last time."""
        locks, event = self.state.guest.keyboard.locks, self.state.last_key
        last = _NOTHING
        if event is not None:
            last = f"{event.scancode:#04x}  {event.name}"
            if event.character and event.character.isprintable() and event.character != event.name:
                last += f"  {event.character!r}"
        self._values.show([last, " + ".join(self.state.held.values()) or _NOTHING])
        self._lights.show([(box, TEAL if locks & lock else UNLIT) for box, lock in self._lamps])


class ClipboardPanel(Panel):
    """Who copied last, and how the text begins."""

    title = "Clipboard"

    def __init__(self, screen: Screen, box: Rect, look: Look, state: State) -> None:
        super().__init__(screen, box, look, state)
        inside = self.draw_frame()
        self._owner = TextView(screen, self.head, look.detail, ink=AZURE)
        self._text = TextView(screen, inside, look.detail)
        self.refresh()

    def refresh(self) -> None:
        """Draw what changed since the last time."""
        clipboard = self.state.guest.clipboard
        who, data = _OWNERS[clipboard.owner_of(CLIPBOARD)], clipboard.data_of(CLIPBOARD)
        if data is not None:
            size = f", {len(data)} bytes"
            who += size if len(who + size) <= self._owner.columns else ""
        self._owner.show([who.rjust(self._owner.columns)])
        text = (data or b"")[:MAX_PREVIEW].decode("utf-8", "replace")
        text = "".join(character if character.isprintable() or character == "\n" else " " for character in text)
        self._text.show([text[start:end] for start, end in wrap(text, self._text.columns)])


class ClientsPanel(Panel):
    """Who looks at the desktop, and what each one's channels can do."""

    title = "Clients"

    def __init__(self, screen: Screen, box: Rect, look: Look, state: State) -> None:
        super().__init__(screen, box, look, state)
        inside = self.draw_frame()
        width = _CHANNELS * look.detail.width
        names = Rect(inside.x, inside.y, width, inside.height)
        self._names = TextView(screen, names, look.detail, ink=AZURE)
        self._words = TextView(screen, Rect(names.right, inside.y, inside.width - width, inside.height), look.detail)
        self.refresh()

    def refresh(self) -> None:
        """Draw what changed since the last time."""
        rows: list[tuple[str, str]] = []
        for client in self.state.clients:
            rows += self._wrapped(client.name, "  ".join(client.facts))
            for channel in client.channels:
                words = ["TLS"] * channel.secure + [*channel.capabilities]
                rows += self._wrapped(channel.name, "  ".join(words) or _NOTHING)
        if not rows:
            rows = [("", "nobody is connected")]
        elif len(rows) > self._names.rows:
            rows = [*rows[: self._names.rows - 1], ("…", "")]
        self._names.show([name for name, _ in rows])
        self._words.show([words for _, words in rows])

    def _wrapped(self, name: str, words: str) -> list[tuple[str, str]]:
        lines = [words[start:end].strip() for start, end in wrap(words, self._words.columns)]
        return list(zip([name, *[""] * (len(lines) - 1)], lines, strict=True))


def _with_labels(screen: Screen, inside: Rect, look: Look, labels: list[str]) -> TextView:
    """Write labels below each other, and give the view for what belongs to them."""
    font = look.detail
    width = _LABELS * font.width
    for row, label in enumerate(labels):
        screen.text((inside.x, inside.y + row * font.height), label, font, MUTED, PANEL)
    return TextView(screen, Rect(inside.x + width, inside.y, inside.width - width, len(labels) * font.height), font)
