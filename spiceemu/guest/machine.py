"""The make-believe machine as a whole: what a session acts on and a test draws on.

Its parts know nothing of each other; here they come together. Observers of the guest hear what happened to it, after it
took effect, and may draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from uuid import UUID, uuid4

from spiceemu.guest.agent import Agent, AgentState
from spiceemu.guest.clipboard import CLIPBOARD, ClientCopied, Clipboard, ClipboardChange, Content
from spiceemu.guest.cursor import ARROW, CursorState, GuestCursor
from spiceemu.guest.display import Display, DisplayState, Head
from spiceemu.guest.keyboard import Keyboard, KeyboardState, KeyEvent
from spiceemu.guest.observers import Observers
from spiceemu.guest.pointer import Pointer, PointerEvent, PointerState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from spiceemu.guest.agent import RequestedMonitor

    Observer: TypeAlias = "Callable[[GuestEvent], None]"

Told = TypeVar("Told", KeyEvent, PointerEvent)


@dataclass(frozen=True, slots=True)
class DisplayResized:
    """A display has another size or layout of heads."""

    display_id: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class LocksChanged:
    """A client set the keyboard's locks (``KeyboardModifierFlags``)."""

    locks: int


GuestEvent: TypeAlias = KeyEvent | LocksChanged | PointerEvent | ClipboardChange | DisplayResized


@dataclass(frozen=True, slots=True)
class GuestState:
    """All that a guest is, so that another one can be the same; :mod:`spiceemu.guest.state` has it as plain data.

    ``agent`` is None for a guest without one.
    """

    name: str
    uuid: UUID
    displays: tuple[DisplayState, ...]
    keyboard: KeyboardState
    pointer: PointerState
    cursor: CursorState
    clipboards: Mapping[int, Content]
    agent: AgentState | None


class Guest:
    """Displays, keyboard, pointer, cursor, clipboards and agent.

    :param sizes: width and height of each display in pixels.
    :param name: what clients show as the machine's name.
    :param uuid: the machine's UUID; a random one if not given.
    :param agent: whether it has an agent; without one there is no clipboard and no resizing by the client.
    :param sound: whether it has a sound card.
    """

    def __init__(
        self,
        *,
        sizes: Iterable[tuple[int, int]] = ((1024, 768),),
        name: str = "spiceemu",
        uuid: UUID | None = None,
        agent: bool = True,
        sound: bool = True,
    ) -> None:
        self.name = name
        self.uuid = uuid or uuid4()
        self.displays: Sequence[Display] = [Display(number, *size) for number, size in enumerate(sizes)]
        self.keyboard = Keyboard()
        self.pointer = Pointer(self._size_of)
        self.cursor = GuestCursor(ARROW)
        self.clipboard = Clipboard()
        self.agent = Agent(self.clipboard) if agent else None
        self.has_sound = sound
        self.agent_client: object = None
        """Whose talk with the agent it is: the client's that began last."""
        self._observers: Observers[GuestEvent] = Observers()
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
        self._tell(LocksChanged(self.keyboard.locks))

    def move_pointer(self, dx: int, dy: int, buttons: int) -> None:
        """Move the pointer by so many pixels (server mouse mode); the cursor goes with it."""
        self._told(self.pointer.move(dx, dy, buttons))
        self.cursor.move(self.pointer.x, self.pointer.y)

    def place_pointer(self, x: int, y: int, buttons: int, display_id: int) -> None:
        """Put the pointer somewhere (client mouse mode)."""
        self._told(self.pointer.place(x, y, buttons, display_id))
        self.cursor.move(self.pointer.x, self.pointer.y)

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
        display = self.displays[display_id]
        before = display.heads
        display.set_heads(heads)
        if display.heads != before:
            self._tell(DisplayResized(display_id, display.width, display.height))

    # For snapshots

    @property
    def state(self) -> GuestState:
        """What another guest needs to be as this one is."""
        return GuestState(
            self.name,
            self.uuid,
            tuple(display.state for display in self.displays),
            self.keyboard.state,
            self.pointer.state,
            self.cursor.state,
            self.clipboard.contents,
            self.agent.state if self.agent is not None else None,
        )

    def restore(self, state: GuestState) -> None:
        """Be as another guest was, as far as that one had displays; it has no more than this one, and an agent or not.

        Observers of the guest hear of locks and sizes that have changed, those of displays and of the cursor what they
        must draw. Nobody typed, clicked or copied anything, so that is not told.
        """
        self.name, self.uuid = state.name, state.uuid
        for display, display_state in zip(self.displays, state.displays, strict=False):
            before = display.heads
            display.restore(display_state)
            if display.heads != before:
                self._tell(DisplayResized(display.id, display.width, display.height))
        locks = self.keyboard.locks
        self.keyboard.restore(state.keyboard)
        if self.keyboard.locks != locks:
            self._tell(LocksChanged(self.keyboard.locks))
        self.pointer.restore(state.pointer)
        self.cursor.restore(state.cursor)
        self.clipboard.restore(state.clipboards)
        if self.agent is not None and state.agent is not None:
            self.agent.restore(state.agent)

    def close(self) -> None:
        """Forget all observers."""
        self._observers.clear()

    def _size_of(self, display_id: int) -> tuple[int, int] | None:
        if display_id >= len(self.displays):
            return None
        return self.displays[display_id].width, self.displays[display_id].height

    def _on_clipboard(self, change: ClipboardChange) -> None:
        if isinstance(change, ClientCopied) and change.selection == CLIPBOARD:
            self.clipboard.request_text()  # so that a test or the desktop finds it there
        self._tell(change)

    def _told(self, events: list[Told]) -> list[Told]:
        for event in events:
            self._tell(event)
        return events

    def _tell(self, event: GuestEvent) -> None:
        self._observers.tell(event)
