"""Rectangles in pixels: x to the right, y down, right and bottom edges outside."""

from __future__ import annotations

from operator import index
from typing import NamedTuple, TypeAlias

from spiceemu.errors import InvalidValue

PointLike: TypeAlias = tuple[int, int]
RectLike: TypeAlias = tuple[int, int, int, int]
"""x, y, width, height; a :class:`Rect` is one too."""


class Rect(NamedTuple):
    """A rectangle; empty when its width or height is not above 0."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column to the right of the rectangle."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row below the rectangle."""
        return self.y + self.height

    @property
    def area(self) -> int:
        """Number of pixels inside."""
        return 0 if self.is_empty else self.width * self.height

    @property
    def is_empty(self) -> bool:
        """Whether no pixel is inside."""
        return self.width <= 0 or self.height <= 0

    def intersection(self, other: Rect) -> Rect:
        """Return the part inside both, with a width or height of 0 where they do not meet."""
        x, y = max(self.x, other.x), max(self.y, other.y)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Rect(x, y, max(0, right - x), max(0, bottom - y))

    def union(self, other: Rect) -> Rect:
        """Return the smallest rectangle around both; an empty one adds nothing."""
        if self.is_empty:
            return other
        if other.is_empty:
            return self
        x, y = min(self.x, other.x), min(self.y, other.y)
        return Rect(x, y, max(self.right, other.right) - x, max(self.bottom, other.bottom) - y)

    def translate(self, dx: int, dy: int) -> Rect:
        """Return the rectangle moved by dx to the right and dy down."""
        return Rect(self.x + dx, self.y + dy, self.width, self.height)

    def contains(self, x: int, y: int) -> bool:
        """Whether the pixel at (x, y) is inside."""
        return self.x <= x < self.right and self.y <= y < self.bottom


def as_rect(value: RectLike) -> Rect:
    """Check a caller's rectangle.

    :returns: the rectangle.
    :raises InvalidValue: if it is not four whole numbers, or a size is negative.
    """
    try:
        x, y, width, height = map(index, value)
    except (TypeError, ValueError):
        raise InvalidValue(f"a rectangle is (x, y, width, height) in whole pixels, not {value!r}") from None
    if width < 0 or height < 0:
        raise InvalidValue(f"a rectangle's width and height are 0 or more, not {width} and {height}")
    return Rect(x, y, width, height)


def as_point(value: PointLike, what: str = "a position") -> PointLike:
    """Check a caller's position.

    :param what: what it is, for the error's text.
    :returns: the position as it was given.
    :raises InvalidValue: if it is not two whole numbers.
    """
    try:
        x, y = map(index, value)
    except (TypeError, ValueError):
        raise InvalidValue(f"{what} is (x, y) in whole pixels, not {value!r}") from None
    return x, y
