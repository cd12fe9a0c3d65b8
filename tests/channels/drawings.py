"""What tests draw: pixels without a pattern, and the drawings that a script made by hypothesis is of."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from spiceemu.guest.display import Display

BYTES_PER_PIXEL = 4

DRAWINGS = ("fill", "blit", "same", "copy", "copy_surface", "text", "create", "destroy", "resize")
"""The kinds that :func:`do_drawing` knows."""

Box = tuple[int, int, int, int]

Step = tuple[str, Box, int, int, int]
"""A kind, a box, and three numbers that choose: two among surfaces, and a value."""


def noise(seed: int, width: int, height: int) -> bytes:
    """Pixels that no compression makes smaller, and that are never alike elsewhere."""
    return random.Random(seed).randbytes(width * height * BYTES_PER_PIXEL)


@st.composite
def steps_of(draw: Callable[..., Any], kinds: tuple[str, ...]) -> Step:
    """A step of one of these kinds; surfaces are chosen among those there are by then."""
    side, size, numbers = st.integers(-5, 45), st.integers(0, 40), st.integers(0, 5)
    box = draw(side), draw(side), draw(size), draw(size)
    return draw(st.sampled_from(kinds)), box, draw(numbers), draw(numbers), draw(st.integers(0, 0xFFFFFF))


def surface_of(shown: Display, chosen: int) -> int:
    """One of the surfaces that there are."""
    ids = sorted(shown.surfaces)
    return ids[chosen % len(ids)]


def do_drawing(shown: Display, step: Step) -> None:
    """Take a step that is a drawing; others do nothing."""
    kind, (x, y, width, height), chosen, other, value = step
    surface, source = surface_of(shown, chosen), surface_of(shown, other)
    match kind:
        case "fill":
            shown.fill((x, y, width, height), value, surface=surface)
        case "blit":
            shown.blit((x, y), width, height, noise(value % 8, width, height), surface=surface)
        case "same":  # the same pixels again and again, in a few sizes: for the cache
            side = 16 + value % 3
            shown.blit((x, y), side, side, noise(value % 4, side, side), surface=surface)
        case "copy":
            shown.copy((x, y, width, height), (other * 7, chosen * 5), surface=surface)
        case "copy_surface":
            shown.copy_surface(source, (x, y, width, height), (value % 40, other * 5), surface=surface)
        case "text":
            shown.text((x, y), "text\nof two lines", color=value, surface=surface)
        case "create":
            shown.create_surface(width + 1, height + 1, has_alpha=bool(value % 2))
        case "destroy" if surface:
            shown.destroy_surface(surface)
        case "resize":
            shown.resize(width + 1, height + 1)
