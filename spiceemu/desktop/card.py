"""The photograph on the demo desktop: something to drag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from spiceemu.desktop.screen import Floating, disc, gradient
from spiceemu.desktop.widgets import shrink
from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.surface import Surface

if TYPE_CHECKING:
    from collections.abc import Iterator

    from spiceemu.desktop.look import Look
    from spiceemu.guest.display import Display

CAPTION: Final = "drag me"

_PRINT: Final = 0xF5F1E8
_PRINT_EDGE: Final = 0xC9C2B2
_PEN: Final = 0x5B5B66
_HELD: Final = 0xB45309
_DUSK: Final = 0x3B2A6B
_GLOW: Final = 0xF9A26C
_SUN: Final = 0xFFE9B0
_FAR: Final = 0x5A3F75
_NEAR: Final = 0x2E2450
_SEA_TOP: Final = 0xC77B74
_SEA_BOTTOM: Final = 0x33265C


class Photograph:
    """A sunset on white paper, which floats on the screen and can be dragged.

    :param home: where it lies until it is moved, and its size.
    """

    def __init__(self, display: Display, home: Rect, look: Look) -> None:
        self.floating = Floating(display, home)
        self.was_moved = False
        self._display = display
        self._look = look
        self._grip: tuple[int, int] | None = None  # where the mouse holds it, from its corner
        print_ = _print(home.width, home.height, look)
        display.blit((0, 0), home.width, home.height, print_.pixels, surface=self.floating.surface_id)
        self._write_caption()

    @property
    def box(self) -> Rect:
        """Where it is."""
        return self.floating.box

    @property
    def is_held(self) -> bool:
        """Whether the mouse drags it."""
        return self._grip is not None

    def is_at(self, x: int, y: int) -> bool:
        """Whether it is at a place on the screen, or held from there: the mouse may be faster than its edge."""
        return self.is_held or self.box.contains(x, y)

    def hold(self, x: int, y: int) -> None:
        """The mouse takes it at a place on the screen."""
        self._grip = x - self.box.x, y - self.box.y
        self._write_caption()

    def drag(self, x: int, y: int) -> None:
        """The mouse that holds it is somewhere else."""
        if self._grip is not None:
            self.was_moved = True
            self.put(x - self._grip[0], y - self._grip[1])

    def let_go(self) -> None:
        """The mouse holds it no more."""
        if self._grip is not None:
            self._grip = None
            self._write_caption()

    def put(self, x: int, y: int) -> None:
        """Move it to a place, or as near as can be inside the screen."""
        x = max(min(x, self._display.width - self.box.width), 0)
        y = max(min(y, self._display.height - self.box.height), 0)
        self.floating.move(x, y)

    def _write_caption(self) -> None:
        self.floating.hide()
        font = self._look.detail
        x = (self.box.width - len(CAPTION) * font.width) // 2
        y = self.box.height - font.height - 5 * self._look.scale
        color, surface = _HELD if self.is_held else _PEN, self.floating.surface_id
        self._display.text((x, y), CAPTION, color=color, background=_PRINT, font=font, surface=surface)


def _print(width: int, height: int, look: Look) -> Surface:
    """The photograph without its caption, ready made: a photograph is one picture, and is sent as one."""
    made = Surface(0, width, height)
    made.fill(made.bounds, _PRINT_EDGE)
    made.fill(shrink(made.bounds, look.scale), _PRINT)
    picture = shrink(made.bounds, 8 * look.scale)
    picture = picture._replace(height=picture.height - look.detail.height)
    for box, color in _sunset(picture, look.scale):
        made.fill(box.intersection(picture), color)
    return made


def _sunset(picture: Rect, unit: int) -> Iterator[tuple[Rect, int]]:
    """What is in the picture, from the back to the front; some of it reaches over the edges."""
    horizon = picture.y + picture.height * 2 // 3
    sky = Rect(picture.x, picture.y, picture.width, horizon - picture.y)
    for band, color in gradient(sky, _DUSK, _GLOW):
        yield band, color
    sun = picture.x + picture.width * 3 // 5, horizon - picture.height // 7
    for row in disc(*sun, picture.height // 5, step=unit):
        yield row, _SUN
    for peak, high, color in ((1, 3, _FAR), (5, 4, _FAR), (2, 5, _NEAR), (6, 6, _NEAR)):
        x, height = picture.x + picture.width * peak // 6, sky.height * 2 // high
        for y in range(0, height, unit):
            half = (y + unit) * 3 // 2
            yield Rect(x - half, horizon - height + y, 2 * half, unit), color
    sea = Rect(picture.x, horizon, picture.width, picture.bottom - horizon)
    for band, color in gradient(sea, _SEA_TOP, _SEA_BOTTOM):
        yield band, color
    for ripple in range(5):
        half = picture.width // (5 + 2 * ripple)
        yield Rect(sun[0] - half // 2, horizon + sea.height * (2 * ripple + 1) // 10, half, unit), _SUN
