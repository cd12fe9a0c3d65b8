"""Surfaces against a model that does everything one pixel at a time."""

from __future__ import annotations

import pytest
from hypothesis import example, given, strategies as st

from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.operations import Blit, Copy, CopySurface, Fill, Text
from spiceemu.drawing.surface import MAX_AREA, MAX_HEIGHT, MAX_WIDTH, Surface, crop
from spiceemu.drawing.text import load_font
from spiceemu.errors import InvalidValue

WIDTH, HEIGHT = 7, 5
POSITION = st.integers(-9, 9)
BOXES = st.builds(Rect, POSITION, POSITION, st.integers(0, 12), st.integers(0, 12))

Model = dict[tuple[int, int], bytes]


def distinct(count: int, first: int = 0) -> bytes:
    """Pixels of which no two are equal."""
    return b"".join((first + number).to_bytes(4, "little") for number in range(count))


def painted(surface_id: int = 0, width: int = WIDTH, height: int = HEIGHT) -> Surface:
    surface = Surface(surface_id, width, height)
    surface.blit(surface.bounds, distinct(width * height, first=1 + (surface_id << 16)))
    return surface


def model_of(surface: Surface) -> Model:
    return {
        (x, y): bytes(surface.pixels[(y * surface.width + x) * 4 :][:4])
        for y in range(surface.height)
        for x in range(surface.width)
    }


def pixels_of(box: Rect) -> list[tuple[int, int]]:
    return [(x, y) for y in range(box.y, box.bottom) for x in range(box.x, box.right)]


def bounding_box(pixels: set[tuple[int, int]]) -> Rect:
    columns, rows = [x for x, _ in pixels], [y for _, y in pixels]
    return Rect(min(columns), min(rows), max(columns) - min(columns) + 1, max(rows) - min(rows) + 1)


@given(BOXES, st.integers(0, 0xFFFFFF))
def test_fill(box: Rect, color: int) -> None:
    surface = painted()
    model, revision = model_of(surface), surface.revision
    touched = set(pixels_of(box)) & model.keys()

    drawable = surface.fill(box, color)

    assert model_of(surface) == model | dict.fromkeys(touched, color.to_bytes(4, "little"))
    assert drawable == (Fill(0, bounding_box(touched), color) if touched else None)
    assert (surface.revision > revision) == bool(touched)


@given(BOXES)
def test_blit(box: Rect) -> None:
    surface = painted()
    model, revision = model_of(surface), surface.revision
    source = distinct(box.area, first=1000)
    new = {at: source[number * 4 :][:4] for number, at in enumerate(pixels_of(box)) if at in model}

    drawable = surface.blit(box, source)

    assert model_of(surface) == model | new
    assert drawable == (Blit(0, bounding_box(set(new)), b"".join(new.values())) if new else None)
    assert (surface.revision > revision) == bool(new)


@given(BOXES, POSITION, POSITION)
@example(Rect(0, 0, WIDTH, HEIGHT), 0, 1)  # scrolled down
@example(Rect(0, 0, WIDTH, HEIGHT), 0, -1)  # scrolled up
@example(Rect(0, 0, WIDTH, HEIGHT), 1, 0)  # each row onto itself
def test_copy_reads_everything_before_it_writes(source: Rect, x: int, y: int) -> None:
    surface = painted()
    model, revision = model_of(surface), surface.revision
    dx, dy = x - source.x, y - source.y
    new = {
        (column + dx, row + dy): model[column, row]
        for column, row in pixels_of(source)
        if (column, row) in model and (column + dx, row + dy) in model
    }

    drawable = surface.copy(source, x, y)

    assert model_of(surface) == model | new
    assert (surface.revision > revision) == bool(new)
    if new:
        box = bounding_box(set(new))
        assert drawable == Copy(0, box, box.x - dx, box.y - dy)
    else:
        assert drawable is None


@given(BOXES, POSITION, POSITION, st.sampled_from([(WIDTH, HEIGHT), (WIDTH, 9), (4, 3), (9, 9)]))
@example(Rect(1, 1, WIDTH, 3), 0, 2, (9, 9))  # as wide as the target, not as the source
@example(Rect(0, 1, WIDTH, 8), 0, 0, (WIDTH, 9))  # as wide as both
def test_copy_from_another_surface(source: Rect, x: int, y: int, size: tuple[int, int]) -> None:
    surface, other = painted(), painted(3, *size)
    model, other_model = model_of(surface), model_of(other)
    revision, other_revision = surface.revision, other.revision
    dx, dy = x - source.x, y - source.y
    new = {
        (column + dx, row + dy): other_model[column, row]
        for column, row in pixels_of(source)
        if (column, row) in other_model and (column + dx, row + dy) in model
    }

    drawable = surface.copy_from(other, source, x, y)

    assert model_of(surface) == model | new
    assert model_of(other) == other_model
    assert (surface.revision > revision) == bool(new)
    assert other.revision == other_revision
    if new:
        box = bounding_box(set(new))
        assert drawable == CopySurface(0, box, 3, box.x - dx, box.y - dy)
    else:
        assert drawable is None


@given(BOXES)
def test_read_and_crop(box: Rect) -> None:
    surface = painted()
    model = model_of(surface)
    inside = box.intersection(surface.bounds)
    expected = b"".join(model[at] for at in pixels_of(inside))

    if inside == box:
        assert surface.read(box) == expected
        assert crop(bytes(surface.pixels), WIDTH, box) == expected
    else:
        with pytest.raises(InvalidValue, match="not inside surface 0 of 7x5"):
            surface.read(box)


def test_what_was_read_does_not_change_with_the_surface() -> None:
    surface = painted()
    before = surface.read(surface.bounds)
    copy = bytes(before)

    surface.fill(surface.bounds, 0xFFFFFF)

    assert before == copy


@given(
    text=st.text(alphabet="Aé█☃", max_size=5),
    x=st.integers(-60, 60),
    y=st.integers(-25, 40),
    background=st.sampled_from([None, 0x203040]),
)
def test_draw_text(text: str, x: int, y: int, background: int | None) -> None:
    font = load_font("small")
    surface = painted(0, 40, 31)
    model, revision = model_of(surface), surface.revision
    cells: Model = {}
    for number, character in enumerate(text):
        bits = int.from_bytes(font.bitmap(character), "big")
        for row in range(font.height):
            for column in range(font.width):
                ink = bits >> (8 * 2 * font.height - 1 - row * 16 - column) & 1
                at = (x + number * font.width + column, y + row)
                if at in model:
                    paper = model[at] if background is None else background.to_bytes(4, "little")
                    cells[at] = 0xA0B0C0.to_bytes(4, "little") if ink else paper

    drawable = surface.draw_text(x, y, text, font, 0xA0B0C0, background)

    assert model_of(surface) == model | cells
    assert (surface.revision > revision) == bool(cells)
    if cells:
        assert isinstance(drawable, Text)
        assert drawable.box == bounding_box(set(cells))
        assert drawable.pixels == surface.read(drawable.box)
        assert (drawable.color, drawable.background, drawable.font) == (0xA0B0C0, background, font)
        assert (drawable.x - x) % font.width == 0
        assert drawable.y == y
        assert drawable.text == text[(drawable.x - x) // font.width :][: len(drawable.text)]
        assert -font.width < drawable.x < surface.width
        assert drawable.x + (len(drawable.text) - 1) * font.width < surface.width
    else:
        assert drawable is None


def test_text_far_outside_costs_nothing() -> None:
    surface = painted()

    assert surface.draw_text(-(10**12), 0, "x" * 1000, load_font(), 0, None) is None
    assert surface.draw_text(0, 10**12, "x" * 1000, load_font(), 0, None) is None


@pytest.mark.parametrize("difference", [-1, 1])
def test_a_blit_of_the_wrong_length_is_refused(difference: int) -> None:
    surface = painted()

    with pytest.raises(InvalidValue, match=f"2x3 pixels are 24 bytes, not {24 + difference}"):
        surface.blit(Rect(0, 0, 2, 3), bytes(24 + difference))

    assert model_of(surface) == model_of(painted())


@pytest.mark.parametrize("size", [(0, 1), (1, 0), (-1, 1), (MAX_WIDTH + 1, 1), (1, MAX_HEIGHT + 1)])
def test_a_side_out_of_limits_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidValue, match=f"1x1 to {MAX_WIDTH}x{MAX_HEIGHT}"):
        Surface(0, *size)


def test_too_many_pixels_are_refused() -> None:
    with pytest.raises(InvalidValue, match=f"at most {MAX_AREA} pixels"):
        Surface(0, MAX_WIDTH, MAX_HEIGHT)


def test_a_new_surface_is_black_and_shows_what_it_is() -> None:
    surface = Surface(4, 3, 2, has_alpha=True)

    assert bytes(surface.pixels) == bytes(3 * 2 * 4)
    assert (surface.id, surface.has_alpha) == (4, True)
    assert repr(surface) == f"<Surface 4 3x2 revision {surface.revision}>"


def test_no_two_states_of_any_surfaces_have_one_revision() -> None:
    revisions = []
    for _ in range(3):
        surface = Surface(0, 2, 2)
        revisions.append(surface.revision)
        for _ in range(3):
            surface.fill(surface.bounds, 0)
            revisions.append(surface.revision)

    assert len(set(revisions)) == len(revisions)
