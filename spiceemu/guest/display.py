"""One video card of the guest: its surfaces, its heads, and the calls that draw.

What is drawn is an operation (:mod:`spiceemu.drawing.operations`), which :meth:`Display.draw` takes as it is; the other
calls make one. It is painted first and then told to every observer, at once and in order. Areas are plain tuples
``(x, y, width, height)`` and positions ``(x, y)``, in pixels from the top left; colours are anything that
:func:`~spiceemu.drawing.colors.parse_color` takes. What lies outside the surface is cut off, and a call of which
nothing remains tells nobody anything. Every call raises :class:`~spiceemu.errors.InvalidValue` for what it cannot use.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, overload

from spiceemu.drawing.canvas import PAINTERS, Canvas
from spiceemu.drawing.colors import ColorLike, parse_color
from spiceemu.drawing.geometry import PointLike, Rect, RectLike, as_point, as_rect
from spiceemu.drawing.given import as_bytes, as_kind, as_whole
from spiceemu.drawing.operations import Blit, CopyRect, CopySurface, FillRect, Operation, WriteText
from spiceemu.drawing.pictures import PIXEL_SIZE, Picture, to_file
from spiceemu.drawing.surface import MAX_AREA, MAX_HEIGHT, MAX_WIDTH, check_size
from spiceemu.drawing.text import Font, load_font
from spiceemu.errors import InvalidValue
from spiceemu.guest.changes import DisplayChange, MonitorsChanged, SurfaceCreated, SurfaceDestroyed
from spiceemu.guest.limits import DEFAULT_SIZE
from spiceemu.guest.observers import Observers, call_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from spiceemu.drawing.canvas import Painters
    from spiceemu.drawing.surface import Surface
    from spiceemu.protocol.plain import Plain

    Observer: TypeAlias = Callable[[DisplayChange], None]

PRIMARY: Final = 0
"""Id of the surface that is on screen."""

MAX_SURFACE_ID: Final = 1023
"""Highest id of an offscreen surface (spice-server display-limits.h; releases up to 0.12 allowed 9999)."""

MAX_HEADS: Final = 16
"""Most heads of one display (spice-server red-qxl.cpp, MAX_MONITORS_COUNT)."""

MAX_HEAD_ID: Final = 0xFFFFFFFF
"""Highest id of a head; it travels in 32 bits."""

BLACK: Final = 0x000000


@dataclass(frozen=True, slots=True)
class Head:
    """One monitor: the part of the primary surface that it shows, in pixels."""

    id: int
    x: int
    y: int
    width: int
    height: int

    @property
    def box(self) -> Rect:
        """The part as a rectangle."""
        return Rect(self.x, self.y, self.width, self.height)


@dataclass(frozen=True, slots=True, repr=False)
class Screenshot(Picture):
    """What a display shows: BGRX pixels, tightly packed, rows from the top, every X byte 0."""

    def save(self, path: str | Path) -> None:
        """Write the picture as PPM, PNG or anything else that Pillow writes, by the suffix of the path.

        :raises InvalidValue: if no format has the suffix, with those that have one in the text, or the format is not
            one for such a picture.
        :raises MissingExtra: if the suffix is neither ``.ppm`` nor ``.png``, and Pillow, which the extra ``media``
            brings along, is not installed.
        :raises OSError: if the file cannot be written.
        """
        path = Path(path)
        path.write_bytes(to_file(self, path.suffix))


def size_for(heads: Sequence[Head]) -> tuple[int, int]:
    """Width and height of a primary surface that is just large enough for these monitors.

    :returns: both, in pixels.
    :raises InvalidValue: no display has such monitors.
    """
    if not 1 <= len(heads) <= MAX_HEADS:
        raise InvalidValue(f"a display has 1 to {MAX_HEADS} heads, not {len(heads)}")
    for head in heads:
        as_kind("head", head, Head)
        check_size(head.width, head.height)
        if min(as_point((head.x, head.y))) < 0:
            raise InvalidValue(f"a head lies inside the primary surface, not at ({head.x}, {head.y})")
        if not 0 <= as_whole("id", head.id) <= MAX_HEAD_ID:
            raise InvalidValue(f"a head's id is 0 to {MAX_HEAD_ID}, not {head.id}")
    if len({head.id for head in heads}) < len(heads):
        raise InvalidValue(f"two heads have one id: {heads}")
    return max(head.box.right for head in heads), max(head.box.bottom for head in heads)


class Display:
    """One video card, which SPICE shows as one display channel.

    ``heads`` are the monitors that show parts of the primary, at first a single one that shows all of it.

    :raises InvalidValue: if the size is over the limits of :mod:`spiceemu.drawing.surface`.
    """

    def __init__(
        self,
        display_id: int = 0,
        width: int = DEFAULT_SIZE[0],
        height: int = DEFAULT_SIZE[1],
        painters: Painters = PAINTERS,
    ) -> None:
        self.id = display_id
        self.canvas = Canvas(f"display {display_id}", painters)
        """What it is drawn on; :meth:`draw` paints there and tells of it."""
        self.canvas.create(PRIMARY, width, height)
        self.heads: list[Head] = [Head(0, 0, 0, width, height)]
        self._observers: Observers[DisplayChange] = Observers(f"display {display_id}")

    def __repr__(self) -> str:
        return f"<Display {self.id} {self.width}x{self.height}>"

    @property
    def surfaces(self) -> Mapping[int, Surface]:
        """The surfaces by id, the primary under 0."""
        return self.canvas.surfaces

    @property
    def primary(self) -> Surface:
        """The surface that is on screen."""
        return self.canvas.surfaces[PRIMARY]

    @property
    def width(self) -> int:
        """Width of the primary surface in pixels."""
        return self.primary.width

    @property
    def height(self) -> int:
        """Height of the primary surface in pixels."""
        return self.primary.height

    def subscribe(self, observer: Observer) -> Callable[[], None]:
        """Call the observer with every change from now on, and return a callable that ends this.

        Observers are called in the order they came, after the surface has changed; they must not draw.
        """
        return self._observers.add(observer)

    def draw(self, operation: Operation) -> None:
        """Paint an operation, and tell every observer of it as it was really done."""
        done = self.canvas.paint(as_kind("operation", operation, Operation))
        if done is not None:
            self._observers.tell(done)

    def fill(self, rect: RectLike, color: ColorLike, *, surface: int = PRIMARY) -> None:
        """Fill a rectangle with one colour."""
        self.draw(FillRect(surface, as_rect(rect), parse_color(color)))

    @overload
    def blit(self, position: PointLike, picture: Picture, /, *, surface: int = PRIMARY) -> None: ...

    @overload
    def blit(
        self,
        position: PointLike,
        width: int,
        height: int,
        pixels: bytes | bytearray | memoryview,
        /,
        *,
        surface: int = PRIMARY,
    ) -> None: ...

    def blit(
        self,
        position: PointLike,
        picture: Picture | int,
        height: int | None = None,
        pixels: bytes | bytearray | memoryview | None = None,
        /,
        *,
        surface: int = PRIMARY,
    ) -> None:
        """Put a picture at a position: ``blit((x, y), picture)`` or ``blit((x, y), width, height, pixels)``.

        The pixels are BGRX, tightly packed, rows from the top. They replace what was there: alpha is not blended.
        """
        if isinstance(picture, Picture):
            width, height, pixels = picture.width, picture.height, picture.pixels
        elif height is None or pixels is None:
            raise InvalidValue("blit takes a picture, or width, height and pixels")
        else:
            width = picture
        box = as_rect((*as_point(position), width, height))
        self.draw(Blit(surface, box, as_bytes("pixels", pixels)))

    def copy(self, source: RectLike, position: PointLike, *, surface: int = PRIMARY) -> None:
        """Copy a rectangle of a surface to a position of the same surface; the two may overlap."""
        area = as_rect(source)
        self.draw(CopyRect(surface, Rect(*as_point(position), area.width, area.height), area.x, area.y))

    def copy_surface(
        self, source_surface: int, source: RectLike, position: PointLike, *, surface: int = PRIMARY
    ) -> None:
        """Copy a rectangle of one surface to a position of another; to show an offscreen surface, for one."""
        if source_surface == surface:
            self.copy(source, position, surface=surface)
        else:
            area = as_rect(source)
            box = Rect(*as_point(position), area.width, area.height)
            self.draw(CopySurface(surface, box, source_surface, area.x, area.y))

    def text(
        self,
        position: PointLike,
        text: str,
        *,
        color: ColorLike,
        background: ColorLike | None = None,
        scale: int = 1,
        font: Font | None = None,
        surface: int = PRIMARY,
    ) -> None:
        """Write text whose first character cell has its top left corner at a position; a newline begins a new line.

        :param background: colour of the cells between the ink; None leaves what is there.
        :param scale: magnification of the font, 1 to :data:`~spiceemu.drawing.text.MAX_SCALE`.
        :param font: one that :func:`~spiceemu.drawing.text.load_font` returned; the small one, if not given.
        """
        font = (load_font() if font is None else as_kind("font", font, Font)).scaled(scale)
        x, y = as_point(position)
        ink = parse_color(color)
        paper = None if background is None else parse_color(background)
        for number, line in enumerate(as_kind("text", text, str).split("\n")):
            self.draw(WriteText.at(surface, x, y + number * font.height, line, font, ink, paper))

    def create_surface(self, width: int, height: int, *, has_alpha: bool = False) -> int:
        """Make a black offscreen surface and return its id, the lowest free one."""
        surface_id = next((number for number in range(1, MAX_SURFACE_ID + 1) if number not in self.surfaces), None)
        if surface_id is None:
            raise InvalidValue(f"a display has at most {MAX_SURFACE_ID} offscreen surfaces")
        check_size(width, height)
        self._create(surface_id, width, height, has_alpha=has_alpha)
        return surface_id

    def destroy_surface(self, surface: int) -> None:
        """Remove an offscreen surface."""
        if surface == PRIMARY:
            raise InvalidValue("the primary surface cannot be destroyed; resize() replaces it")
        self._destroy(surface)

    def resize(self, width: int, height: int) -> None:
        """Change the size of the primary surface and make one head of all of it; the same again does nothing.

        The old picture is kept at the top left, and what is new is black. Observers are told, in this order:
        SurfaceDestroyed(0), SurfaceCreated(0), FillRect of it all with black, Blit of what was kept, MonitorsChanged.
        """
        self.set_heads([Head(0, 0, 0, width, height)])

    def set_heads(self, heads: Iterable[Head]) -> None:
        """Lay out the monitors; the primary surface becomes just large enough, as by :meth:`resize`.

        Nothing but MonitorsChanged is told if the surface has that size already.
        """
        try:
            heads = list(heads)
        except TypeError:
            raise InvalidValue(f"heads is a sequence of Head, not {heads!r}") from None
        width, height = size_for(heads)
        if heads == self.heads:
            return
        check_size(width, height)
        call_all(self._laying_out(heads, width, height))

    def _laying_out(self, heads: list[Head], width: int, height: int) -> Iterator[Callable[[], object]]:
        """The steps of :meth:`set_heads`: all are done, whatever an observer raises in one of them."""
        if (width, height) != (self.width, self.height):
            kept = self.primary.bounds.intersection(Rect(0, 0, width, height))
            pixels = self.primary.read(kept)
            yield partial(self._destroy, PRIMARY)
            yield partial(self._create, PRIMARY, width, height)
            yield partial(self.draw, Blit(PRIMARY, kept, pixels))
        yield partial(self._have, heads)

    def _have(self, heads: list[Head]) -> None:
        self.heads = heads
        self._observers.tell(MonitorsChanged())

    def save(self) -> dict[str, Any]:
        """What another display needs to show the same, as plain data."""
        return {
            "surfaces": [
                {
                    "id": surface_id,
                    "width": surface.width,
                    "height": surface.height,
                    "has_alpha": surface.has_alpha,
                    "pixels": surface.read(surface.bounds),
                }
                for surface_id, surface in sorted(self.surfaces.items())
            ],
            "heads": [
                {"id": head.id, "x": head.x, "y": head.y, "width": head.width, "height": head.height}
                for head in self.heads
            ],
        }

    def load(self, state: Plain) -> Callable[[], None]:
        """Check the state of another display.

        :returns: what makes this one the same. What is so already is left alone, and the rest is told.
        :raises InvalidValue: naming what no display can have.
        """
        surfaces, heads = state.fields("surfaces", "heads")
        pictures = _read_surfaces(surfaces)
        monitors = [_read_head(head) for head in heads.elements(MAX_HEADS)]
        size = heads.accepted(size_for, monitors)
        primary = pictures.get(PRIMARY)
        if primary is None:
            raise surfaces.wrong(f"has no surface {PRIMARY}, the primary")
        if primary.has_alpha:
            raise surfaces.wrong("the primary has no alpha")
        if (primary.width, primary.height) != size:
            raise heads.wrong(f"need a primary of {size[0]}x{size[1]} pixels, not {primary.width}x{primary.height}")
        return partial(self._become, pictures, monitors)

    def _become(self, surfaces: Mapping[int, Picture], heads: Sequence[Head]) -> None:
        """Have these surfaces and heads.

        Observers are told, in this order: SurfaceDestroyed of each surface that is gone or has changed its size; for
        each that is there now, SurfaceCreated if it is new and Blit of it all if its pixels are; MonitorsChanged.
        """
        call_all(self._becoming(surfaces, heads))

    def _becoming(self, surfaces: Mapping[int, Picture], heads: Sequence[Head]) -> Iterator[Callable[[], object]]:
        """The steps of :meth:`_become`, as those of :meth:`_laying_out`."""
        for surface in tuple(self.surfaces.values()):
            picture = surfaces.get(surface.id)
            if picture is None or not surface.is_like(picture):
                yield partial(self._destroy, surface.id)
        replaced = PRIMARY not in self.surfaces
        for surface_id, picture in surfaces.items():
            target = self.surfaces.get(surface_id)
            if target is None:
                yield partial(self._add, surface_id, picture.width, picture.height, has_alpha=picture.has_alpha)
            elif target.pixels == picture.pixels:
                continue
            yield partial(self.draw, Blit(surface_id, Rect(0, 0, picture.width, picture.height), picture.pixels))
        if replaced or heads != self.heads:
            yield partial(self._have, list(heads))

    def screenshot(self) -> Screenshot:
        """Return what the primary surface shows now."""
        pixels = bytearray(self.primary.pixels)
        pixels[3::PIXEL_SIZE] = bytes(self.width * self.height)
        return Screenshot(self.width, self.height, bytes(pixels), has_alpha=False)

    def _create(self, surface_id: int, width: int, height: int, *, has_alpha: bool = False) -> None:
        # The far side's new surface may hold anything, so the black is drawn as well.
        black = FillRect(surface_id, Rect(0, 0, width, height), BLACK)
        call_all([partial(self._add, surface_id, width, height, has_alpha=has_alpha), partial(self.draw, black)])

    def _add(self, surface_id: int, width: int, height: int, *, has_alpha: bool) -> None:
        self.canvas.create(surface_id, width, height, has_alpha=has_alpha)
        self._observers.tell(SurfaceCreated(surface_id, width, height, has_alpha))

    def _destroy(self, surface_id: int) -> None:
        self.canvas.destroy(surface_id)
        self._observers.tell(SurfaceDestroyed(surface_id))


def _read_surfaces(state: Plain) -> dict[int, Picture]:
    """What each surface shows, in the order of their ids."""
    pictures: dict[int, Picture] = {}
    for surface in state.elements(MAX_SURFACE_ID + 1):
        surface_id = surface.field("id").integer(PRIMARY, MAX_SURFACE_ID)
        if surface_id in pictures:
            raise surface.wrong(f"a second surface with the id {surface_id}")
        pictures[surface_id] = _read_surface(surface)
    return dict(sorted(pictures.items()))


def _read_surface(state: Plain) -> Picture:
    _, wide, high, has_alpha, pixels = state.fields("id", "width", "height", "has_alpha", "pixels")
    width, height = wide.integer(1, MAX_WIDTH), high.integer(1, MAX_HEIGHT)
    state.accepted(check_size, width, height)
    return pixels.accepted(Picture, width, height, pixels.data(MAX_AREA * PIXEL_SIZE), has_alpha.boolean())


def _read_head(state: Plain) -> Head:
    number, x, y, width, height = state.fields("id", "x", "y", "width", "height")
    return Head(
        number.integer(0, MAX_HEAD_ID),
        x.integer(0, MAX_WIDTH - 1),
        y.integer(0, MAX_HEIGHT - 1),
        width.integer(1, MAX_WIDTH),
        height.integer(1, MAX_HEIGHT),
    )
