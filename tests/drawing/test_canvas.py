"""The canvas against a model that does everything one pixel at a time."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass, replace

import pytest
from hypothesis import example, given, strategies as st

from spiceemu.drawing.canvas import PAINTERS, Canvas
from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.operations import Blit, CopyRect, CopySurface, FillRect, Operation, WriteText
from spiceemu.drawing.surface import Surface
from spiceemu.drawing.text import load_font
from spiceemu.errors import InvalidValue

from .models import BOXES, HEIGHT, POSITION, WIDTH, Model, bounding_box, distinct, model_of, painted, pixels_of


def canvas_of(*surfaces: Surface) -> Canvas:
    made = Canvas()
    made.surfaces.update({surface.id: surface for surface in surfaces})
    return made


@given(BOXES, st.integers(0, 0xFFFFFF))
def test_fill(box: Rect, color: int) -> None:
    surface = painted()
    model, revision = model_of(surface), surface.revision
    touched = set(pixels_of(box)) & model.keys()

    done = canvas_of(surface).paint(FillRect(0, box, color))

    assert model_of(surface) == model | dict.fromkeys(touched, color.to_bytes(4, "little"))
    assert done == (FillRect(0, bounding_box(touched), color) if touched else None)
    assert (surface.revision > revision) == bool(touched)


@given(BOXES)
def test_blit(box: Rect) -> None:
    surface = painted()
    model, revision = model_of(surface), surface.revision
    source = distinct(box.area, first=1000)
    new = {at: source[number * 4 :][:4] for number, at in enumerate(pixels_of(box)) if at in model}

    done = canvas_of(surface).paint(Blit(0, box, source))

    assert model_of(surface) == model | new
    assert done == (Blit(0, bounding_box(set(new)), b"".join(new.values())) if new else None)
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

    moved = Rect(x, y, source.width, source.height)
    done = canvas_of(surface).paint(CopyRect(0, moved, source.x, source.y))

    assert model_of(surface) == model | new
    assert (surface.revision > revision) == bool(new)
    if new:
        box = bounding_box(set(new))
        assert done == CopyRect(0, box, box.x - dx, box.y - dy)
    else:
        assert done is None


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

    moved = Rect(x, y, source.width, source.height)
    done = canvas_of(surface, other).paint(CopySurface(0, moved, 3, source.x, source.y))

    assert model_of(surface) == model | new
    assert model_of(other) == other_model
    assert (surface.revision > revision) == bool(new)
    assert other.revision == other_revision
    if new:
        box = bounding_box(set(new))
        assert done == CopySurface(0, box, 3, box.x - dx, box.y - dy)
    else:
        assert done is None


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

    done = canvas_of(surface).paint(WriteText.at(0, x, y, text, font, 0xA0B0C0, background))

    assert model_of(surface) == model | cells
    assert (surface.revision > revision) == bool(cells)
    if cells:
        assert done is not None
        assert done.box == bounding_box(set(cells))
        assert (done.color, done.background, done.font) == (0xA0B0C0, background, font)
        assert (done.x - x) % font.width == 0
        assert done.y == y
        assert done.text == text[(done.x - x) // font.width :][: len(done.text)]
        assert -font.width < done.x < surface.width
        assert done.x + (len(done.text) - 1) * font.width < surface.width
    else:
        assert done is None


def test_text_far_outside_costs_nothing() -> None:
    surface = painted()

    assert canvas_of(surface).paint(WriteText.at(0, -(10**12), 0, "x" * 1000, load_font(), 0)) is None
    assert canvas_of(surface).paint(WriteText.at(0, 0, 10**12, "x" * 1000, load_font(), 0)) is None


@pytest.mark.parametrize("difference", [-1, 1])
def test_a_blit_of_the_wrong_length_is_refused(difference: int) -> None:
    with pytest.raises(InvalidValue, match=f"2x3 pixels are 24 bytes, not {24 + difference}"):
        Blit(0, Rect(0, 0, 2, 3), bytes(24 + difference))


#: One operation of each kind, which reaches over the edges of its surface.
EVERY_KIND = [
    FillRect(0, Rect(-2, -1, 7, 5), 0x123456),
    Blit(0, Rect(3, 2, 6, 5), distinct(30, first=1000)),
    CopyRect(0, Rect(1, 1, 5, 4), 0, 0),
    CopyRect(0, Rect(-1, -1, 6, 4), 0, 1),
    CopySurface(0, Rect(-2, 1, 9, 3), 3, 1, 1),
    WriteText.at(0, -3, -4, "Aé", load_font(), 0xA0B0C0),
    WriteText.at(0, 2, -4, "Aé", load_font(), 0xA0B0C0, 0x203040),
]


def test_every_kind_is_tried() -> None:
    assert {type(operation) for operation in EVERY_KIND} == set(PAINTERS)


@pytest.mark.parametrize("operation", EVERY_KIND, ids=lambda operation: type(operation).__name__)
@given(clip=st.lists(BOXES, min_size=1, max_size=4))
def test_a_clip_leaves_what_is_outside_as_it_was(operation: Operation, clip: list[Rect]) -> None:
    whole, clipped = (canvas_of(painted(), painted(3, 9, 9)) for _ in range(2))
    before = model_of(clipped.surface(0))

    all_of_it = whole.paint(operation)
    done = clipped.paint(replace(operation, clip=tuple(clip)))

    assert all_of_it is not None
    box = all_of_it.box
    inside = {at for part in clip for at in pixels_of(part.intersection(box))}
    drawn = model_of(whole.surface(0))
    assert model_of(clipped.surface(0)) == {at: drawn[at] if at in inside else before[at] for at in before}
    if not inside:
        assert done is None
    elif any(part.intersection(box) == box for part in clip):
        assert done == all_of_it
    else:
        assert done == replace(all_of_it, clip=tuple(part for part in map(box.intersection, clip) if part.area))


def test_a_clip_that_leaves_nothing_changes_nothing() -> None:
    canvas = canvas_of(painted())
    revision = canvas.surface(0).revision
    assert canvas.paint(FillRect(0, Rect(0, 0, 2, 2), 1, clip=(Rect(2, 0, 9, 9),))) is None
    assert canvas.surface(0).revision == revision


@pytest.mark.parametrize("operation", EVERY_KIND, ids=lambda operation: type(operation).__name__)
def test_an_operation_of_places_counted_from_elsewhere_is_the_same(operation: Operation) -> None:
    """What is drawn on a surface that is larger at the top and the left, counted from there, looks the same."""
    canvas, larger = (canvas_of(painted(), painted(3, 9, 9)) for _ in range(2))
    big = larger.create(0, WIDTH + 2, HEIGHT + 3)
    big.put(Rect(2, 3, WIDTH, HEIGHT), distinct(WIDTH * HEIGHT, first=1))
    clip = (Rect(0, 0, 4, 4), Rect(2, 2, 5, 2))
    cut = canvas.paint(replace(operation, clip=clip))
    assert cut is not None

    assert larger.paint(cut.moved(0, 2, 3)) == cut.moved(0, 2, 3)

    assert big.read(Rect(2, 3, WIDTH, HEIGHT)) == canvas.surface(0).pixels
    assert cut.moved(0, 2, 3).moved(0, -2, -3) == cut
    assert cut.moved(7, 2, 3) is cut


def test_what_a_copy_reads_elsewhere_moves_with_its_own_surface() -> None:
    copy = CopySurface(0, Rect(1, 1, 2, 2), 3, 4, 5)
    assert copy.moved(3, 10, 20) == CopySurface(0, Rect(1, 1, 2, 2), 3, 14, 25)
    assert copy.source == (3, Rect(4, 5, 2, 2))


def test_a_copy_of_one_surface_to_itself_is_no_copy_between_surfaces() -> None:
    with pytest.raises(InvalidValue, match="a copy within surface 4 is a CopyRect"):
        CopySurface(4, Rect(0, 0, 1, 1), 4, 0, 0)


def test_a_text_counts_where_its_cells_are() -> None:
    text = WriteText(0, Rect(-100, 2, 1000, 3), 5, 0, "ab", load_font(), 0)
    assert text.box == Rect(5, 2, 18, 3)


@dataclass(frozen=True, slots=True)
class Invert(Operation):
    """An operation that the package does not have."""

    bits: int


def invert(_canvas: Canvas, surface: Surface, operation: Invert) -> None:
    pixels = surface.read(operation.box)
    surface.put(operation.box, bytes(byte ^ operation.bits for byte in pixels))


def test_another_operation_is_a_value_and_a_row() -> None:
    canvas = Canvas(painters={**PAINTERS, Invert: invert})
    canvas.create(0, 4, 3)
    done = canvas.paint(Invert(0, Rect(-1, 1, 3, 9), 0xFF, clip=(Rect(1, 0, 9, 9),)))
    assert done == Invert(0, Rect(0, 1, 2, 2), 0xFF, clip=(Rect(1, 1, 1, 2),))
    model = model_of(canvas.surface(0))
    assert {at for at, pixel in model.items() if pixel == bytes([0xFF] * 4)} == {(1, 1), (1, 2)}


def test_an_operation_that_nothing_paints_is_refused() -> None:
    canvas = Canvas("display 3")
    canvas.create(0, 4, 3)
    with pytest.raises(InvalidValue, match="display 3 cannot paint a Invert"):
        canvas.paint(Invert(0, Rect(0, 0, 1, 1), 1))


def test_surfaces_come_and_go() -> None:
    canvas = Canvas()
    canvas.create(5, 2, 2, has_alpha=True)
    assert canvas.surface(5).has_alpha
    assert repr(canvas) == "<Canvas [5]>"
    for mistaken in (
        lambda: canvas.surface(0),
        lambda: canvas.destroy(0),
        lambda: canvas.paint(FillRect(0, Rect(0, 0, 1, 1), 0)),
    ):
        with pytest.raises(InvalidValue, match=r"the canvas has no surface 0, only \[5\]"):
            mistaken()
    canvas.destroy(5)
    assert canvas.surfaces == {}


def test_a_copy_from_a_surface_that_is_not_there_is_refused() -> None:
    canvas = canvas_of(painted())
    with pytest.raises(InvalidValue, match="no surface 3"):
        canvas.paint(CopySurface(0, Rect(0, 0, 1, 1), 3, 0, 0))


def test_operations_do_not_change() -> None:
    fill = FillRect(0, Rect(0, 0, 1, 1), 5)
    with pytest.raises(FrozenInstanceError):
        fill.color = 6  # type: ignore[misc]
