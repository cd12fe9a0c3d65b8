"""The make-believe machine as a whole: what a session acts on and a test draws on.

Its parts (:mod:`spiceemu.guest.parts`) know nothing of each other; here they come together. Observers of the guest hear
what happened to it, after it took effect, and may draw.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from uuid import UUID, uuid4

from spiceemu.guest.agent import Agent
from spiceemu.guest.clipboard import CLIPBOARD, ClientCopied, Clipboard, ClipboardChange
from spiceemu.guest.cursor import GuestCursor
from spiceemu.guest.display import Head
from spiceemu.guest.displays import DisplayResized, Displays
from spiceemu.guest.keyboard import Keyboard, KeyEvent, LocksChanged
from spiceemu.guest.limits import DEFAULT_SIZE
from spiceemu.guest.observers import Observers, call_all
from spiceemu.guest.parts import PARTS, Made, Part, PartRow
from spiceemu.guest.pointer import Pointer, PointerEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from spiceemu.guest.agent import RequestedMonitor

    Observer: TypeAlias = "Callable[[GuestEvent], None]"

Told = TypeVar("Told", KeyEvent, PointerEvent)


GuestEvent: TypeAlias = KeyEvent | LocksChanged | PointerEvent | ClipboardChange | DisplayResized


class Guest:
    """Displays, keyboard, pointer, cursor, clipboards and agent.

    :param sizes: width and height of each display in pixels.
    :param name: what clients show as the machine's name.
    :param uuid: the machine's UUID; a random one if not given.
    :param agent: whether it has an agent; without one there is no clipboard and no resizing by the client.
    :param sound: whether it has a sound card.
    :param parts: what it is made of.
    :ivar parts: the parts by name, None for one that it does not have. Those of :data:`PARTS` are attributes as well.
    :raises InvalidValue: a size is over the limits of a display, or the table lacks a part that every guest has.
    """

    def __init__(
        self,
        *,
        sizes: Iterable[tuple[int, int]] = (DEFAULT_SIZE,),
        name: str = "spiceemu",
        uuid: UUID | None = None,
        agent: bool = True,
        sound: bool = True,
        parts: Iterable[PartRow] = PARTS,
    ) -> None:
        self.name = name
        self.uuid = uuid or uuid4()
        made = Made(sizes, agent=agent, rows=parts)
        self.parts: Mapping[str, Part | None] = made.parts
        self.displays = made.part("displays", Displays)
        self.keyboard = made.part("keyboard", Keyboard)
        self.pointer = made.part("pointer", Pointer)
        self.cursor = made.part("cursor", GuestCursor)
        self.clipboard = made.part("clipboards", Clipboard)
        self.agent = made.optional("agent", Agent)
        self.has_sound = sound
        self.agent_client: object = None
        """Whose talk with the agent it is: the client's that began last."""
        self._observers: Observers[GuestEvent] = Observers("the guest")
        self.displays.subscribe(self._tell)
        self.keyboard.subscribe(self._tell)
        self.clipboard.subscribe(self._on_clipboard)

    def __repr__(self) -> str:
        return f"<Guest {self.name!r} {self.displays}>"

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call the observer with every event from now on, and return a callable that ends this."""
        return self._observers.add(observer)

    # From sessions

    def type_scancodes(self, data: bytes) -> list[KeyEvent]:
        """Feed the keyboard bytes of scancode set 1."""
        return self._told(self.keyboard.feed(data))

    def release_keys(self) -> list[KeyEvent]:
        """Let go of every key, as a server does when its client leaves."""
        return self._told(self.keyboard.release_all())

    def set_locks(self, locks: int) -> None:
        """Set the keyboard's locks as a client has them (``KeyboardModifierFlags``)."""
        self.keyboard.set_locks(locks)

    def move_pointer(self, dx: int, dy: int, buttons: int) -> None:
        """Move the pointer by so many pixels (server mouse mode); the cursor goes with it."""
        self._lead_cursor(self.pointer.move(dx, dy, buttons))

    def place_pointer(self, x: int, y: int, buttons: int, display_id: int) -> None:
        """Put the pointer somewhere (client mouse mode)."""
        self._lead_cursor(self.pointer.place(x, y, buttons, display_id))

    def _lead_cursor(self, moved: list[PointerEvent]) -> None:
        call_all([partial(self._told, moved), partial(self.cursor.move, self.pointer.x, self.pointer.y)])

    def press_button(self, button: int, buttons: int) -> None:
        """A mouse button goes down."""
        self._told(self.pointer.press(button, buttons))

    def release_button(self, button: int, buttons: int) -> None:
        """A mouse button goes up."""
        self._told(self.pointer.release(button, buttons))

    def release_buttons(self) -> None:
        """Let go of every mouse button, as a server does when its client leaves."""
        self._told(self.pointer.release_all())

    def lay_out(self, monitors: Sequence[RequestedMonitor]) -> None:
        """Give the first display these monitors; without positions they stand side by side.

        :raises InvalidValue: a size or position is over the limits of a display; nothing changed.
        """
        if not monitors:
            return
        positioned = all(monitor.positioned for monitor in monitors)
        left = min(monitor.x for monitor in monitors) if positioned else 0
        top = min(monitor.y for monitor in monitors) if positioned else 0
        heads, edge = [], 0
        for monitor in monitors:
            x, y = (monitor.x - left, monitor.y - top) if positioned else (edge, 0)
            heads.append(Head(monitor.number, x, y, monitor.width, monitor.height))
            edge += monitor.width
        self.set_heads(0, heads)

    # From tests

    def set_heads(self, display_id: int, heads: Sequence[Head]) -> None:
        """Lay out the monitors of a display and tell the observers."""
        self.displays.set_heads(display_id, heads)

    def close(self) -> None:
        """Forget all observers."""
        self._observers.clear()

    def _on_clipboard(self, change: ClipboardChange) -> None:
        if isinstance(change, ClientCopied) and change.selection == CLIPBOARD:
            self.clipboard.request_text()  # so that a test or the desktop finds it there
        self._tell(change)

    def _told(self, events: list[Told]) -> list[Told]:
        call_all(partial(self._tell, event) for event in events)
        return events

    def _tell(self, event: GuestEvent) -> None:
        self._observers.tell(event)
