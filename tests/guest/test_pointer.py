"""The mouse: motions, places, buttons and the wheel."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from spiceemu.guest.pointer import Pointer, PointerEvent
from spiceemu.protocol.enums import MouseButton, MouseButtonMask

LEFT, MIDDLE, RIGHT = MouseButtonMask.LEFT, MouseButtonMask.MIDDLE, MouseButtonMask.RIGHT
SIZES = {0: (640, 480), 2: (100, 50)}


@pytest.fixture
def pointer() -> Pointer:
    return Pointer(SIZES.get)


def moved(x: int, y: int, buttons: int = 0, display_id: int = 0) -> PointerEvent:
    return PointerEvent(x, y, buttons, display_id)


def test_motions_add_up(pointer: Pointer) -> None:
    assert pointer.move(10, 20, 0) == [moved(10, 20)]
    assert pointer.move(-3, 4, 0) == [moved(7, 24)]
    assert (pointer.x, pointer.y) == (7, 24)


@pytest.mark.parametrize(
    ("dx", "dy", "x", "y"),
    [(-5, 7, 0, 7), (1 << 30, 0, 639, 0), (0, 1 << 30, 0, 479), (-(1 << 31), -(1 << 31), 0, 0)],
)
def test_the_pointer_stays_on_the_display(pointer: Pointer, dx: int, dy: int, x: int, y: int) -> None:
    pointer.move(dx, dy, 0)
    assert (pointer.x, pointer.y) == (x, y)


def test_places_are_of_a_display(pointer: Pointer) -> None:
    assert pointer.place(30, 40, 0) == [moved(30, 40)]
    assert pointer.place(30, 40, 0, 2) == [moved(30, 40, display_id=2)]
    assert pointer.place(0xFFFFFFFF, 60, 0, 2) == [moved(99, 49, display_id=2)]
    assert pointer.move(-9, 0, 0) == [moved(90, 49, display_id=2)]


def test_a_display_that_is_not_there_has_no_places(pointer: Pointer) -> None:
    assert pointer.place(1, 1, LEFT, 1) == []
    assert (pointer.x, pointer.display_id, pointer.buttons) == (0, 0, 0)


def test_the_display_may_shrink() -> None:
    size = (640, 480)
    pointer = Pointer(lambda _display_id: size)
    pointer.place(600, 400, 0)
    size = (320, 200)
    assert pointer.move(0, 0, 0) == [moved(319, 199)]


def test_standing_still_is_no_event(pointer: Pointer) -> None:
    pointer.place(5, 5, 0)
    assert pointer.place(5, 5, 0) == []
    assert pointer.move(0, 0, 0) == []


def test_a_click(pointer: Pointer) -> None:
    pointer.place(5, 6, 0)
    assert pointer.press(MouseButton.LEFT, LEFT) == [PointerEvent(5, 6, LEFT, 0, MouseButton.LEFT, pressed=True)]
    assert pointer.buttons == LEFT
    assert pointer.release(MouseButton.LEFT, 0) == [PointerEvent(5, 6, 0, 0, MouseButton.LEFT)]
    assert pointer.buttons == 0


def test_a_drag_keeps_the_button(pointer: Pointer) -> None:
    pointer.press(MouseButton.RIGHT, RIGHT)
    assert pointer.move(1, 0, RIGHT) == [moved(1, 0, RIGHT)]
    assert pointer.buttons == RIGHT


@pytest.mark.parametrize("mask", [0, MouseButtonMask.UP, LEFT])
def test_the_wheel_only_goes(pointer: Pointer, mask: int) -> None:
    """Old clients send it with a mask of 0, others with its own bit."""
    pointer.press(MouseButton.LEFT, mask & LEFT)
    assert pointer.press(MouseButton.UP, mask) == [PointerEvent(0, 0, mask & LEFT, 0, MouseButton.UP, pressed=True)]
    assert pointer.release(MouseButton.UP, mask) == [PointerEvent(0, 0, mask & LEFT, 0, MouseButton.UP)]
    assert pointer.buttons == mask & LEFT


def test_a_change_in_the_mask_alone_is_told(pointer: Pointer) -> None:
    assert pointer.move(1, 0, LEFT) == [
        moved(1, 0),
        PointerEvent(1, 0, LEFT, 0, MouseButton.LEFT, pressed=True),
    ]
    assert pointer.press(MouseButton.MIDDLE, MIDDLE) == [
        PointerEvent(1, 0, MIDDLE, 0, MouseButton.MIDDLE, pressed=True),
        PointerEvent(1, 0, MIDDLE, 0, MouseButton.LEFT),
    ]
    assert pointer.place(1, 0, 0) == [PointerEvent(1, 0, 0, 0, MouseButton.MIDDLE)]


@pytest.mark.parametrize("button", [MouseButton.SIDE, MouseButton.EXTRA])
def test_side_buttons_are_buttons(pointer: Pointer, button: MouseButton) -> None:
    (event,) = pointer.press(button, MouseButtonMask[button.name])
    assert (event.button, event.buttons) == (button, MouseButtonMask[button.name])


@pytest.mark.parametrize("button", [MouseButton.INVALID, 77])
def test_other_buttons_are_told_as_they_come(pointer: Pointer, button: int) -> None:
    assert pointer.press(button, 0x8000) == [PointerEvent(0, 0, 0, 0, button, pressed=True)]


def test_the_mask_has_the_last_word(pointer: Pointer) -> None:
    pointer.press(MouseButton.LEFT, LEFT)
    assert pointer.press(MouseButton.LEFT, 0) == [
        PointerEvent(0, 0, 0, 0, MouseButton.LEFT, pressed=True),
        PointerEvent(0, 0, 0, 0, MouseButton.LEFT),
    ]
    assert pointer.buttons == 0


def test_all_buttons_can_be_let_go(pointer: Pointer) -> None:
    pointer.move(0, 0, LEFT | RIGHT)
    assert pointer.release_all() == [
        PointerEvent(0, 0, 0, 0, MouseButton.LEFT),
        PointerEvent(0, 0, 0, 0, MouseButton.RIGHT),
    ]
    assert pointer.release_all() == []


i32 = st.integers(-(1 << 31), (1 << 31) - 1)
u32 = st.integers(0, (1 << 32) - 1)
u16 = st.integers(0, 0xFFFF)
u8 = st.integers(0, 255)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("move"), i32, i32, u16),
            st.tuples(st.just("place"), u32, u32, u16, st.integers(0, 3)),
            st.tuples(st.sampled_from(["press", "release"]), u8, u16),
        ),
        max_size=20,
    )
)
def test_events_tell_all_there_is_to_know(steps: list[tuple[str, int]]) -> None:
    """Whoever follows the events alone knows where the pointer is and which buttons are down."""
    pointer = Pointer(SIZES.get)
    last, down = PointerEvent(0, 0, 0, 0), set()
    for name, *arguments in steps:
        for event in getattr(pointer, name)(*arguments):
            last = event
            if event.button in (1, 2, 3, 6, 7) and event.buttons >> (event.button - 1) & 1 == event.pressed:
                (down.add if event.pressed else down.discard)(event.button)
        width, height = SIZES[pointer.display_id]
        assert 0 <= pointer.x < width
        assert 0 <= pointer.y < height
        assert (last.x, last.y, last.display_id) == (pointer.x, pointer.y, pointer.display_id)
        assert sum(1 << (button - 1) for button in down) == pointer.buttons
