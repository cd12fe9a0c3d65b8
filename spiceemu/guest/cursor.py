"""The guest's cursor: its picture, its place, and whether it shows.

A picture is kept as it travels, in one of seven formats (:class:`~spiceemu.protocol.enums.CursorType`)::

    ALPHA     4 bytes a pixel, BGRA
    MONO      AND mask | XOR mask                     a bit a pixel, each row filled up to a byte
    COLOR4    4 bits a pixel | 16 colours | AND mask
    COLOR8    1 byte a pixel | 256 colours | AND mask
    COLOR16   2 bytes a pixel, 0RRRRRGGGGGBBBBB | AND mask
    COLOR24   3 bytes a pixel, BGR | AND mask
    COLOR32   4 bytes a pixel, BGR0 | AND mask

Colours of palettes are BGR0. The first pixel is in the highest bits of its byte. A set bit in the AND mask lets the
screen show through; with a white pixel, or a set bit in the XOR mask, it is inverted. The AND masks behind colours have
the size of rows filled up to a byte, but clients read them, and the pixels of COLOR4, without a break between rows.
spice-gtk and spicec draw no COLOR8 and no COLOR24: they show a pointer of their own.

Sources: spice-gtk ``channel-cursor.c``; spicec 0.8 ``cursor.cpp`` and ``x11/platform.cpp``, which checks the sizes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from spiceemu.drawing.geometry import as_point
from spiceemu.drawing.given import as_bytes, as_kind, as_whole
from spiceemu.errors import InvalidValue
from spiceemu.guest.observers import Observers, call_all
from spiceemu.protocol.enums import CursorType

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from spiceemu.protocol.plain import Plain

    Observer: TypeAlias = Callable[["CursorChange"], None]

MAX_CURSOR_SIZE: Final = 512
"""Most pixels a side: what QEMU takes (``ui/cursor.c``)."""

MIN_POSITION: Final = -(1 << 15)
MAX_POSITION: Final = (1 << 15) - 1
"""A place on the cursor channel has 16 bits a coordinate."""

HOT_SPOT: Final = "a cursor's hot spot"

_MASK_FROM = 128  # least alpha of a pixel that shows in a format without alpha

_BITS = {
    CursorType.ALPHA: 32,
    CursorType.MONO: 1,
    CursorType.COLOR4: 4,
    CursorType.COLOR8: 8,
    CursorType.COLOR16: 16,
    CursorType.COLOR24: 24,
    CursorType.COLOR32: 32,
}
_COLORS = {CursorType.COLOR4: 16, CursorType.COLOR8: 256}


def _check_sides(width: int, height: int) -> None:
    if not (1 <= as_whole("width", width) <= MAX_CURSOR_SIZE and 1 <= as_whole("height", height) <= MAX_CURSOR_SIZE):
        raise InvalidValue(f"a cursor's sides are 1 to {MAX_CURSOR_SIZE} pixels, not {width}x{height}")


def data_size(kind: CursorType, width: int, height: int) -> int:
    """Bytes of a cursor's picture."""
    pixels = (width * _BITS[kind] + 7) // 8 * height
    mask = 0 if kind is CursorType.ALPHA else (width + 7) // 8 * height
    return pixels + 4 * _COLORS.get(kind, 0) + mask


@dataclass(frozen=True, slots=True)
class CursorShape:
    """A cursor's picture; the hot spot is the pixel inside it that points.

    ``id`` follows from the rest: clients keep pictures by it.

    :raises InvalidValue: if a size, the hot spot or the number of bytes is not possible.
    """

    kind: CursorType
    width: int
    height: int
    hot_x: int
    hot_y: int
    data: bytes = field(repr=False)
    id: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_sides(self.width, self.height)
        hot_x, hot_y = as_point((self.hot_x, self.hot_y), HOT_SPOT)
        if not (0 <= hot_x < self.width and 0 <= hot_y < self.height):
            raise InvalidValue(f"{HOT_SPOT} is inside it, not at ({hot_x}, {hot_y})")
        as_kind("kind", self.kind, CursorType)
        object.__setattr__(self, "data", as_bytes("data", self.data))
        size = data_size(self.kind, self.width, self.height)
        if len(self.data) != size:
            raise InvalidValue(
                f"a {self.kind.name} cursor of {self.width}x{self.height} has {size} bytes, not {len(self.data)}"
            )
        head = f"{self.kind:d} {self.width} {self.height} {self.hot_x} {self.hot_y} ".encode()
        digest = blake2b(head + self.data, digest_size=8).digest()
        object.__setattr__(self, "id", int.from_bytes(digest, "little") or 1)  # 0 is a picture that is not kept

    @classmethod
    def from_bgra(
        cls,
        width: int,
        height: int,
        pixels: bytes | bytearray | memoryview,
        hot: tuple[int, int] = (0, 0),
        kind: CursorType = CursorType.ALPHA,
    ) -> Self:
        """Make a cursor of pixels of 4 bytes, BGRA, tightly packed, rows from the top.

        For ALPHA they go out as they are. Other formats have no half transparent pixels: those of less than half alpha
        are left out. COLOR16 keeps five bits a colour. COLOR4 and COLOR8 need no more than 16 and 256 colours.

        :returns: the cursor's picture.
        :raises InvalidValue: if there are too many colours, or the size is not possible.
        """
        _check_sides(width, height)
        hot_x, hot_y = as_point(hot, HOT_SPOT)
        pixels = as_bytes("pixels", pixels)
        if len(pixels) != width * height * 4:
            raise InvalidValue(f"{width}x{height} BGRA pixels are {width * height * 4} bytes, not {len(pixels)}")
        if as_kind("kind", kind, CursorType) is CursorType.ALPHA:
            return cls(kind, width, height, hot_x, hot_y, pixels)
        if kind is CursorType.MONO:
            raise InvalidValue("a MONO cursor is made of masks, by CursorShape.mono()")
        shown = [alpha >= _MASK_FROM for alpha in pixels[3::4]]
        colors = [
            int.from_bytes(pixels[4 * place : 4 * place + 3], "little") if show else 0
            for place, show in enumerate(shown)
        ]
        mask = _packed([not show for show in shown], 1, (width + 7) // 8 * height)
        return cls(kind, width, height, hot_x, hot_y, _color_data(kind, width, height, colors) + mask)

    @classmethod
    def mono(cls, width: int, height: int, and_mask: bytes, xor_mask: bytes, hot: tuple[int, int] = (0, 0)) -> Self:
        """Make a cursor of masks: a bit a pixel, the first in the highest bit, each row filled up to a byte.

        AND 0 shows XOR's colour, 0 black and 1 white; AND 1 shows the screen, with XOR 1 inverted.
        """
        masks = as_bytes("and_mask", and_mask) + as_bytes("xor_mask", xor_mask)
        return cls(CursorType.MONO, width, height, *as_point(hot, HOT_SPOT), masks)

    @classmethod
    def from_art(cls, art: str, hot: tuple[int, int] = (0, 0)) -> Self:
        """Make a cursor of lines of text: ``#`` is black, ``.`` white, a space transparent."""
        lines = as_kind("art", art, str).strip("\n").split("\n")
        width = max(map(len, lines))
        pixels = "".join(line.ljust(width) for line in lines)
        unknown = set(pixels) - _INKS.keys()
        if unknown:
            raise InvalidValue(f"a cursor is drawn with '#', '.' and spaces, not {''.join(sorted(unknown))!r}")
        return cls.from_bgra(width, len(lines), b"".join(map(_INKS.__getitem__, pixels)), hot)

    def save(self) -> dict[str, Any]:
        """The picture as plain data."""
        return {
            "kind": int(self.kind),
            "width": self.width,
            "height": self.height,
            "hot_x": self.hot_x,
            "hot_y": self.hot_y,
            "data": self.data,
        }

    @classmethod
    def load(cls, state: Plain) -> Self:
        """The picture that was saved.

        :returns: the picture.
        :raises InvalidValue: naming what no cursor's picture can have.
        """
        kind, width, height, hot_x, hot_y, data = state.fields("kind", "width", "height", "hot_x", "hot_y", "data")
        return state.accepted(
            cls,
            CursorType(kind.integer(min(CursorType), max(CursorType))),
            width.integer(1, MAX_CURSOR_SIZE),
            height.integer(1, MAX_CURSOR_SIZE),
            hot_x.integer(0, MAX_CURSOR_SIZE - 1),
            hot_y.integer(0, MAX_CURSOR_SIZE - 1),
            data.data(MAX_CURSOR_SIZE * MAX_CURSOR_SIZE * 4 * 2),
        )


_INKS = {"#": b"\0\0\0\xff", ".": b"\xff\xff\xff\xff", " ": bytes(4)}


def _packed(values: Sequence[int], bits: int, size: int) -> bytes:
    """Values of a few bits each, the first in the highest bits, filled up with zeros to ``size`` bytes."""
    number = int("".join(f"{value:0{bits}b}" for value in values), 2)
    return (number << (size * 8 - len(values) * bits)).to_bytes(size, "big")


def _color_data(kind: CursorType, width: int, height: int, colors: Sequence[int]) -> bytes:
    """Pixels and palette of a cursor without alpha, of colours 0xRRGGBB."""
    count = _COLORS.get(kind)
    if count:
        palette = list(dict.fromkeys(colors))
        if len(palette) > count:
            raise InvalidValue(f"a {kind.name} cursor has {count} colours, not {len(palette)}")
        index = {color: place for place, color in enumerate(palette)}
        bits = _BITS[kind]
        pixels = _packed([index[color] for color in colors], bits, (width * bits + 7) // 8 * height)
        return pixels + _little(palette, 4).ljust(4 * count, b"\0")
    if kind is CursorType.COLOR16:
        return _little([color >> 9 & 0x7C00 | color >> 6 & 0x3E0 | color >> 3 & 0x1F for color in colors], 2)
    return _little(colors, _BITS[kind] // 8)


def _little(values: Sequence[int], size: int) -> bytes:
    return b"".join([value.to_bytes(size, "little") for value in values])


@dataclass(frozen=True, slots=True)
class CursorShapeChanged:
    """The cursor has another picture, or none."""

    shape: CursorShape | None


@dataclass(frozen=True, slots=True)
class CursorMoved:
    """The cursor is somewhere else."""

    x: int
    y: int


@dataclass(frozen=True, slots=True)
class CursorHidden:
    """The cursor does not show any more."""


@dataclass(frozen=True, slots=True)
class CursorShown:
    """The cursor shows again."""


CursorChange: TypeAlias = CursorShapeChanged | CursorMoved | CursorHidden | CursorShown


class GuestCursor:
    """The cursor of one display. Calls that change nothing tell nobody."""

    def __init__(self, shape: CursorShape | None = None) -> None:
        self.shape = shape
        self.x = 0
        self.y = 0
        self.visible = True
        self._observers: Observers[CursorChange] = Observers("the cursor")

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call the observer with every change from now on, and return a callable that ends this."""
        return self._observers.add(observer)

    def save(self) -> dict[str, Any]:
        """What another cursor needs to show the same, as plain data."""
        shape = None if self.shape is None else self.shape.save()
        return {"shape": shape, "x": self.x, "y": self.y, "visible": self.visible}

    def load(self, state: Plain) -> Callable[[], None]:
        """Check the state of another cursor.

        :returns: what makes this one the same, and tells what has changed by it.
        :raises InvalidValue: naming what no cursor can have.
        """
        shape, x, y, visible = state.fields("shape", "x", "y", "visible")
        return partial(
            self._become,
            shape.optional(CursorShape.load),
            x.integer(MIN_POSITION, MAX_POSITION),
            y.integer(MIN_POSITION, MAX_POSITION),
            visible=visible.boolean(),
        )

    def _become(self, shape: CursorShape | None, x: int, y: int, *, visible: bool) -> None:
        call_all([partial(self.set_shape, shape), partial(self.move, x, y), self.show if visible else self.hide])

    def set_shape(self, shape: CursorShape | None) -> None:
        """Give the cursor a picture, or none.

        :raises InvalidValue: if it is something else.
        """
        if shape is not None:
            as_kind("shape", shape, CursorShape)
        if shape != self.shape:
            self.shape = shape
            self._tell(CursorShapeChanged(shape))

    def move(self, x: int, y: int) -> None:
        """Put the hot spot at a place, in pixels of the display.

        :raises InvalidValue: if a coordinate is no whole number, or does not fit 16 bits.
        """
        x, y = as_point((x, y))
        if not (MIN_POSITION <= x <= MAX_POSITION and MIN_POSITION <= y <= MAX_POSITION):
            raise InvalidValue(f"a cursor is at {MIN_POSITION} to {MAX_POSITION}, not ({x}, {y})")
        if (x, y) != (self.x, self.y):
            self.x, self.y = x, y
            self._tell(CursorMoved(x, y))

    def hide(self) -> None:
        """Do not show the cursor any more."""
        if self.visible:
            self.visible = False
            self._tell(CursorHidden())

    def show(self) -> None:
        """Show the cursor."""
        if not self.visible:
            self.visible = True
            self._tell(CursorShown())

    def _tell(self, change: CursorChange) -> None:
        self._observers.tell(change)


ARROW: Final = CursorShape.from_art(
    """
#
##
#.#
#..#
#...#
#....#
#.....#
#......#
#.......#
#........#
#.........#
#......#####
#...#..#
#..# #..#
#.#  #..#
##    #..#
#     #..#
       ##
"""
)

TEXT_BEAM: Final = CursorShape.from_art(
    """
### ###
#..#..#
###.###
  #.#
  #.#
  #.#
  #.#
  #.#
  #.#
  #.#
  #.#
  #.#
  #.#
  #.#
###.###
#..#..#
### ###
""",
    hot=(3, 8),
)

HAND: Final = CursorShape.from_art(
    """
     ##
    #..#
    #..#
    #..#
    #..###
    #..#..###
    #..#..#..##
 ## #..#..#..#.#
#..##..#..#..#.#
#...#..........#
 #..#..........#
  #.#..........#
  #............#
   #...........#
   #..........#
    #.........#
     #.......#
     #.......#
     #########
""",
    hot=(5, 0),
)

CROSS: Final = CursorShape.from_art(
    """
      ###
      #.#
      #.#
      #.#
      #.#
      #.#
#######.#######
#.............#
#######.#######
      #.#
      #.#
      #.#
      #.#
      #.#
      ###
""",
    hot=(7, 7),
)

WAIT: Final = CursorShape.from_art(
    """
#############
#...........#
#############
 #.........#
 #.........#
 #.#######.#
  #.#####.#
   #.###.#
    #.#.#
    #.#.#
   #..#..#
  #...#...#
 #...###...#
 #..#####..#
 #.#######.#
#############
#...........#
#############
""",
    hot=(6, 8),
)
