"""What the keys of a PC keyboard are called and type.

Keys are known by their scancodes of PC AT set 1: one byte, or two with the prefix 0xe0 (0xe048 is Up), or three
(0xe11d45 is Pause). A layout is a table of rows: the characters of keys whose scancodes follow each other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from spiceemu.errors import InvalidValue

if TYPE_CHECKING:
    from collections.abc import Iterable

LEFT_SHIFT: Final = 0x2A
RIGHT_SHIFT: Final = 0x36
LEFT_CTRL: Final = 0x1D
RIGHT_CTRL: Final = 0xE01D
LEFT_ALT: Final = 0x38
RIGHT_ALT: Final = 0xE038
LEFT_SUPER: Final = 0xE05B
RIGHT_SUPER: Final = 0xE05C
CAPS_LOCK: Final = 0x3A
NUM_LOCK: Final = 0x45
SCROLL_LOCK: Final = 0x46
PAUSE: Final = 0xE11D45

UNKNOWN: Final = "Unknown"
"""The name of a scancode that is no key."""

RELEASE: Final = 0x80
"""Set in the last byte of a scancode as it travels: the key goes up."""

_NAMES = """
01 Escape, 0e Backspace, 0f Tab, 1c Enter, 1d Left Ctrl, 2a Left Shift, 36 Right Shift, 37 Keypad *, 38 Left Alt
39 Space, 3a Caps Lock, 45 Num Lock, 46 Scroll Lock, 54 SysRq, 59 Keypad =, 7e Keypad Comma
3b F1, 3c F2, 3d F3, 3e F4, 3f F5, 40 F6, 41 F7, 42 F8, 43 F9, 44 F10, 57 F11, 58 F12
64 F13, 65 F14, 66 F15, 67 F16, 68 F17, 69 F18, 6a F19, 6b F20, 6c F21, 6d F22, 6e F23, 76 F24
47 Keypad 7, 48 Keypad 8, 49 Keypad 9, 4a Keypad -, 4b Keypad 4, 4c Keypad 5, 4d Keypad 6, 4e Keypad +
4f Keypad 1, 50 Keypad 2, 51 Keypad 3, 52 Keypad 0, 53 Keypad .
70 Katakana/Hiragana, 71 Hanja, 72 Hangul, 73 Ro, 77 Hiragana, 78 Katakana, 79 Henkan, 7b Muhenkan, 7d Yen
e01c Keypad Enter, e01d Right Ctrl, e035 Keypad /, e037 Print Screen, e038 Right Alt, e046 Break, e11d45 Pause
e047 Home, e048 Up, e049 Page Up, e04b Left, e04d Right, e04f End, e050 Down, e051 Page Down, e052 Insert, e053 Delete
e05b Left Super, e05c Right Super, e05d Menu, e05e Power, e05f Sleep, e063 Wake Up
e010 Previous Track, e019 Next Track, e020 Mute, e021 Calculator, e022 Play, e024 Stop, e02e Volume Down, e030 Volume Up
e032 Browser Home, e065 Browser Search, e066 Browser Favorites, e067 Browser Refresh, e068 Browser Stop
e069 Browser Forward, e06a Browser Back, e06b My Computer, e06c Mail, e06d Media
"""

NAMES: Final = {
    int(code, 16): name
    for code, _, name in (entry.strip().partition(" ") for entry in _NAMES.replace("\n", ",").split(",") if entry)
}
"""Names of the keys that are the same on every layout. Other keys are called what they type unshifted."""

_KEYPAD_DIGITS = dict(
    zip((0x47, 0x48, 0x49, 0x4B, 0x4C, 0x4D, 0x4F, 0x50, 0x51, 0x52, 0x53), "7894561230.", strict=True)
)
_EVERYWHERE = {0x0E: "\b", 0x0F: "\t", 0x1C: "\n", 0x39: " ", 0xE01C: "\n"}
_EVERYWHERE |= {0x37: "*", 0x4A: "-", 0x4E: "+", 0xE035: "/"}


class Row(NamedTuple):
    """Keys whose scancodes follow each other, and what each types; a space types nothing on that level."""

    first: int
    plain: str
    shifted: str
    alt_gr: str = ""


class _Key(NamedTuple):
    plain: str
    shifted: str = ""
    alt_gr: str = ""


class Keymap:
    """A layout of a keyboard.

    :param rows: what its character keys type. The keys of :data:`NAMES` are there on every layout.
    """

    def __init__(self, name: str, rows: Iterable[Row]) -> None:
        self.name = name
        self._keys = {code: _Key(character, character) for code, character in _EVERYWHERE.items()}
        for first, *levels in rows:
            width = max(map(len, levels))
            for offset, key in enumerate(zip(*(level.ljust(width) for level in levels), strict=True)):
                self._keys[first + offset] = _Key(*(character.strip() for character in key))
        self._typed_by: dict[str, bytes] = {}
        for code, key in self._keys.items():
            self._typed_by.setdefault(key.plain, _stroke(code))
            self._typed_by.setdefault(key.shifted, _stroke(code, LEFT_SHIFT))
            self._typed_by.setdefault(key.alt_gr, _stroke(code, RIGHT_ALT))
        self._typed_by.pop("", None)

    def __repr__(self) -> str:
        return f"<Keymap {self.name}>"

    def name_of(self, scancode: int) -> str:
        """What a key is called: ``a``, ``Left Shift``; :data:`UNKNOWN` if there is none of that scancode."""
        key = self._keys.get(scancode)
        return NAMES.get(scancode) or (key.plain if key else "") or UNKNOWN

    def has_alt_gr(self, scancode: int) -> bool:
        """Whether a key types something together with the right Alt key."""
        key = self._keys.get(scancode)
        return bool(key and key.alt_gr)

    def character(
        self, scancode: int, *, shift: bool = False, caps: bool = False, num: bool = False, alt_gr: bool = False
    ) -> str | None:
        """What a key types, or None.

        :param shift: whether a Shift key is down.
        :param caps: whether Caps Lock is on; it counts for letters only.
        :param num: whether Num Lock is on; it counts for the keypad only, and Shift turns it round.
        :param alt_gr: whether the right Alt key is down.
        :returns: one character; None for a key that types none.
        """
        digit = _KEYPAD_DIGITS.get(scancode)
        if digit:
            return digit if num != shift else None
        key = self._keys.get(scancode)
        if key is None:
            return None
        if alt_gr and key.alt_gr:
            return key.alt_gr
        if caps and key.plain.isalpha():
            shift = not shift
        return (key.shifted if shift else key.plain) or None

    def scancodes_for(self, text: str) -> list[bytes]:
        """The bytes a keyboard sends when somebody types text with all locks off: one entry a character.

        :returns: the bytes for each character, of its key going down and up.
        :raises InvalidValue: for a character that the layout does not have.
        """
        missing = sorted({character for character in text if character not in self._typed_by})
        if missing:
            raise InvalidValue(f"the {self.name} layout cannot type {''.join(missing)!r}")
        return [self._typed_by[character] for character in text]


def scancode_bytes(scancode: int, *, pressed: bool = True) -> bytes:
    """What a keyboard sends when a key goes down or up: 0xe048 is ``e0 48`` and ``e0 c8``."""
    if scancode > 0xFFFF:  # Pause: both halves of the sequence say whether it goes down
        half = scancode >> 8 & 0xFF, scancode & 0xFF
        return bytes((0xE1, *half)) if pressed else bytes((0xE1, *(byte | RELEASE for byte in half)))
    *prefix, last = scancode.to_bytes(2 if scancode > 0xFF else 1, "big")
    return bytes((*prefix, last if pressed else last | RELEASE))


def _stroke(scancode: int, modifier: int | None = None) -> bytes:
    stroke = scancode_bytes(scancode) + scancode_bytes(scancode, pressed=False)
    if modifier is None:
        return stroke
    return scancode_bytes(modifier) + stroke + scancode_bytes(modifier, pressed=False)


US: Final = Keymap(
    "US",
    [
        Row(0x02, "1234567890-=", "!@#$%^&*()_+"),
        Row(0x10, "qwertyuiop[]", "QWERTYUIOP{}"),
        Row(0x1E, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
        Row(0x2B, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
        Row(0x56, "<", ">"),
    ],
)
"""The layout of keyboards sold in the United States; the key beside the left Shift is that of European ones."""
