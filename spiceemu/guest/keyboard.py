"""The guest's keyboard: bytes of PC AT scancode set 1 in, keys out.

::

    1e / 9e              a goes down / up; bit 7 of the last byte says which
    e0 48 / e0 c8        the keys that came with the AT keyboard have a prefix
    e1 1d 45 / e1 9d c5  Pause, which sends both at once; clients cut it in two
    e0 2a e0 37          Print Screen; e0 2a, e0 36 and their releases are Shifts that nobody presses, and are skipped

Sources: spice-gtk ``channel-inputs.c`` and ``spice-widget.c``, spice-server ``inputs-channel.cpp``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from spiceemu.guest.keymap import (
    CAPS_LOCK,
    LEFT_ALT,
    LEFT_CTRL,
    LEFT_SHIFT,
    LEFT_SUPER,
    NUM_LOCK,
    RELEASE,
    RIGHT_ALT,
    RIGHT_CTRL,
    RIGHT_SHIFT,
    RIGHT_SUPER,
    SCROLL_LOCK,
    UNKNOWN,
    US,
    Keymap,
)
from spiceemu.guest.limits import MAX_NUMBER
from spiceemu.guest.observers import Observers
from spiceemu.protocol.enums import KeyboardModifierFlags

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spiceemu.protocol.plain import Plain

    Observer: TypeAlias = Callable[["LocksChanged"], None]

LOCKS: Final = {
    CAPS_LOCK: KeyboardModifierFlags.CAPS_LOCK,
    NUM_LOCK: KeyboardModifierFlags.NUM_LOCK,
    SCROLL_LOCK: KeyboardModifierFlags.SCROLL_LOCK,
}

_EXTENDED = 0xE0
_PAUSE = 0xE1
_THIRD_CTRL = 0x1D  # what follows e1 in Pause
_NOBODYS_SHIFTS = (0xE02A, 0xE036)
_COMMANDS = frozenset({LEFT_CTRL, RIGHT_CTRL, LEFT_ALT, RIGHT_ALT, LEFT_SUPER, RIGHT_SUPER})

_ALL_LOCKS = sum(LOCKS.values())

_BANKS = (0, _EXTENDED << 8, _PAUSE << 8, _PAUSE << 16 | _THIRD_CTRL << 8)  # what a scancode is without its last 7 bits

_MAX_HELD = 512  # the scancodes there are: four banks of 128

PREFIXES: Final = (b"", b"\xe0", b"\xe1", b"\xe1\x1d", b"\xe1\x9d")
"""What a scancode may have been cut behind."""


def is_scancode(number: int) -> bool:
    """Whether a key may have this scancode."""
    return number & ~0x7F in _BANKS


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """A key went down or up.

    :ivar scancode: of the key, with its prefix: 0x1e, 0xe048, 0xe11d45.
    :ivar repeat: whether it was down already.
    :ivar name: as :meth:`~spiceemu.guest.keymap.Keymap.name_of` says.
    :ivar character: what it types, locks and modifiers considered. None for a key that goes up, one that types
        nothing, and while Ctrl, Alt or Super make a command of it.
    """

    scancode: int
    pressed: bool
    repeat: bool
    name: str
    character: str | None


@dataclass(frozen=True, slots=True)
class LocksChanged:
    """A client set the keyboard's locks (``KeyboardModifierFlags``)."""

    locks: int


class Keyboard:
    """Turns scancodes into keys, and knows which are down and which locks are on.

    Bytes that are no key give an event with the name ``Unknown``.
    """

    def __init__(self, keymap: Keymap = US) -> None:
        self.keymap = keymap
        self.locks = 0
        """Which locks are on (``KeyboardModifierFlags``)."""
        self._held: dict[int, None] = {}  # in the order they went down; at most the 512 scancodes there are
        self._prefix = b""  # the beginning of a scancode whose rest has not come
        self._observers: Observers[LocksChanged] = Observers("the keyboard")

    @property
    def held(self) -> frozenset[int]:
        """Scancodes of the keys that are down."""
        return frozenset(self._held)

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call the observer whenever locks are set from now on, and return a callable that ends this.

        Keys are not told here: who feeds the keyboard has them.
        """
        return self._observers.add(observer)

    def save(self) -> dict[str, Any]:
        """What another keyboard needs to go on from here, as plain data."""
        return {"locks": int(self.locks), "held": list(self._held), "prefix": self._prefix}

    def load(self, state: Plain) -> Callable[[], None]:
        """Check the state of another keyboard.

        :returns: what makes this one the same. No key goes down or up by it; other locks are told.
        :raises InvalidValue: naming what no keyboard can have.
        """
        locks, held, prefix = state.fields("locks", "held", "prefix")
        keys: dict[int, None] = {}
        for key in held.elements(_MAX_HELD):
            scancode = key.integer(0, MAX_NUMBER)
            if not is_scancode(scancode):
                raise key.wrong(f"{scancode:#x} is not a scancode")
            if scancode in keys:
                raise key.wrong(f"{scancode:#x} is held twice")
            keys[scancode] = None
        begun = prefix.data(max(map(len, PREFIXES)))
        if begun not in PREFIXES:
            raise prefix.wrong(f"{begun!r} is not the beginning of a scancode")
        return partial(self._become, locks.integer(0, _ALL_LOCKS), keys, begun)

    def _become(self, locks: int, held: dict[int, None], prefix: bytes) -> None:
        before, self.locks = self.locks, locks
        self._held = dict(held)
        self._prefix = prefix
        if locks != before:
            self._observers.tell(LocksChanged(locks))

    def feed(self, data: bytes) -> list[KeyEvent]:
        """Take bytes from the keyboard; a scancode may be cut between two calls."""
        events: list[KeyEvent] = []
        for byte in data:
            events += self._take(byte)
        return events

    def set_locks(self, locks: int) -> None:
        """Set the locks as the client has them, but for those whose key is down: that one's press has told already."""
        for scancode, flag in LOCKS.items():
            if scancode not in self._held:
                self.locks = (self.locks & ~flag) | (locks & flag)
        self._observers.tell(LocksChanged(self.locks))

    def release_all(self) -> list[KeyEvent]:
        """Let all keys go up, as when the client has gone."""
        self._prefix = b""
        return [self._key(scancode, pressed=False) for scancode in tuple(self._held)]

    def _take(self, byte: int) -> Iterable[KeyEvent]:
        prefix, self._prefix = self._prefix, b""
        pressed = not byte & RELEASE
        code = byte & ~RELEASE
        if len(prefix) == 2:
            yield self._key(_PAUSE << 16 | _THIRD_CTRL << 8 | code, pressed=pressed)
        elif prefix and prefix[0] == _PAUSE and code == _THIRD_CTRL:
            self._prefix = prefix + bytes((byte,))
        elif byte in (_EXTENDED, _PAUSE):
            if prefix:
                yield KeyEvent(prefix[0], pressed=True, repeat=False, name=UNKNOWN, character=None)
            self._prefix = bytes((byte,))
        elif prefix:
            scancode = prefix[0] << 8 | code
            if scancode not in _NOBODYS_SHIFTS:
                yield self._key(scancode, pressed=pressed)
        else:
            yield self._key(code, pressed=pressed)

    def _key(self, scancode: int, *, pressed: bool) -> KeyEvent:
        repeat = pressed and scancode in self._held
        if not pressed:
            self._held.pop(scancode, None)
        elif not repeat:
            self._held[scancode] = None
            self.locks ^= LOCKS.get(scancode, 0)
        character = self._character(scancode) if pressed else None
        return KeyEvent(scancode, pressed, repeat, self.keymap.name_of(scancode), character)

    def _character(self, scancode: int) -> str | None:
        held = self._held.keys()
        alt_gr = RIGHT_ALT in held and self.keymap.has_alt_gr(scancode)
        if not alt_gr and held & _COMMANDS:
            return None
        return self.keymap.character(
            scancode,
            shift=not held.isdisjoint((LEFT_SHIFT, RIGHT_SHIFT)),
            caps=bool(self.locks & KeyboardModifierFlags.CAPS_LOCK),
            num=bool(self.locks & KeyboardModifierFlags.NUM_LOCK),
            alt_gr=alt_gr,
        )
