"""What the demo desktop knows beside what its guest does: it survives every change of the screen's size."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from spiceemu.desktop.look import AMBER, AZURE, ROSE, TEAL
from spiceemu.protocol.enums import MouseButton

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from spiceemu.drawing.geometry import Rect
    from spiceemu.guest.keyboard import KeyEvent
    from spiceemu.guest.machine import Guest
    from spiceemu.guest.pointer import PointerEvent

MAX_NOTE: Final = 4000
"""Longest note in characters; what is typed or pasted beyond is lost. All of it is wrapped at each key."""

MAX_DOTS: Final = 40
"""Places of the pointer that are remembered."""

DOT_DISTANCE: Final = 16
"""Pixels the pointer moves, x and y together, before its place is remembered again."""

WELCOME: Final = """\
Welcome! There is no machine behind this screen: a fake SPICE server draws it.

Type something here. Drag the photograph. Copy and paste in both directions. Resize the window.

"""

WELCOME_WITHOUT_AGENT: Final = """\
Welcome! There is no machine behind this screen: a fake SPICE server draws it.

Type something here. Drag the photograph. Without an agent: no clipboard, no resizing.

"""

BUTTON_COLORS: Final[dict[int, int]] = {MouseButton.LEFT: TEAL, MouseButton.MIDDLE: AMBER, MouseButton.RIGHT: ROSE}

_TAB: Final = "    "


@dataclass(frozen=True, slots=True)
class ShownChannel:
    """A channel of a client: ``display:0``, whether it is encrypted, and what its client can do."""

    name: str
    secure: bool
    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ShownClient:
    """A client as the desktop shows it: what it is called, some words about it, and its channels."""

    name: str
    facts: tuple[str, ...]
    channels: tuple[ShownChannel, ...]


class NoteText:
    """Text with a caret: an index from 0 to its length, in front of the character with that index."""

    def __init__(self, text: str = "") -> None:
        self.text = text
        self.caret = len(text)

    def insert(self, text: str) -> None:
        """Put text in at the caret; what cannot be shown is left out, and what is too long cut off."""
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", _TAB)
        text = "".join(character for character in text if character.isprintable() or character == "\n")
        text = text[: MAX_NOTE - len(self.text)]
        self.text = self.text[: self.caret] + text + self.text[self.caret :]
        self.caret += len(text)

    def erase(self, count: int) -> None:
        """Remove so many characters after the caret, or before it for a negative number."""
        first, end = sorted((self.caret, max(self.caret + count, 0)))
        self.text = self.text[:first] + self.text[end:]
        self.caret = first

    def go(self, caret: int) -> None:
        """Put the caret somewhere."""
        self.caret = min(max(caret, 0), len(self.text))

    def clear(self) -> None:
        """Remove everything."""
        self.text, self.caret = "", 0


@dataclass(frozen=True, slots=True)
class Dot:
    """Where the pointer was, in pixels of the screen."""

    x: int
    y: int
    color: int


@dataclass(slots=True)
class State:
    """Everything that the panels show and the guest does not keep."""

    guest: Guest
    screen: Rect
    """The part of the display that the panels are on, in its pixels."""
    now: datetime | None = None
    clients: Sequence[ShownClient] = ()
    note: NoteText = field(init=False)
    last_key: KeyEvent | None = None
    held: dict[int, str] = field(default_factory=dict)
    """Scancodes and names of the keys that are down, by their events: several are told at once, after the last."""
    dots: deque[Dot] = field(default_factory=lambda: deque(maxlen=MAX_DOTS))
    wheel_turns: int = 0
    """Steps of the wheel away from the user, less those the other way."""
    wheel_lit: int = 0
    """Which way the wheel was turned just now (``MouseButton``), else 0."""

    def __post_init__(self) -> None:
        self.note = NoteText(WELCOME if self.guest.agent is not None else WELCOME_WITHOUT_AGENT)

    def on_key(self, event: KeyEvent) -> None:
        """Note a key."""
        if event.pressed:
            self.last_key = event
            self.held[event.scancode] = event.name
        else:
            self.held.pop(event.scancode, None)

    def on_pointer(self, event: PointerEvent) -> None:
        """Note what the mouse did."""
        self.wheel_lit = 0
        if event.button is None:
            last = self.dots[-1] if self.dots else None
            if last is None or abs(event.x - last.x) + abs(event.y - last.y) >= DOT_DISTANCE:
                self._add_dot(event, AZURE)
        elif event.button in (MouseButton.UP, MouseButton.DOWN):
            self.wheel_lit = event.button
            if event.pressed:
                self.wheel_turns += 1 if event.button == MouseButton.UP else -1
        elif event.pressed:
            self._add_dot(event, BUTTON_COLORS.get(event.button, AZURE))

    def _add_dot(self, event: PointerEvent, color: int) -> None:
        self.dots.append(Dot(event.x, event.y, color))
