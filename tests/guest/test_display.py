"""A display: what its calls draw, and what its observers are told."""

from __future__ import annotations

import struct
import zlib
from array import array
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st
from PIL import Image

from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.operations import Blit, CopyRect, CopySurface, FillRect, WriteText
from spiceemu.drawing.pictures import Picture
from spiceemu.drawing.surface import MAX_HEIGHT, MAX_WIDTH
from spiceemu.drawing.text import load_font
from spiceemu.errors import InvalidValue
from spiceemu.guest.changes import DisplayChange, MonitorsChanged, SurfaceCreated, SurfaceDestroyed
from spiceemu.guest.display import MAX_HEADS, MAX_SURFACE_ID, Display, Head

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RED = b"\x00\x00\xff\x00"
BLUE = b"\xff\x00\x00\x00"
BLACK = bytes(4)


class Mirror:
    """A far side that has only the drawables: it keeps its own pixels, one by one."""

    UNDEFINED = b"\xee\xee\xee\xee"

    def __init__(self, display: Display) -> None:
        self.surfaces: dict[int, dict[tuple[int, int], bytes]] = {}
        self.create(0, display.width, display.height)
        self.surfaces[0] = dict.fromkeys(self.surfaces[0], BLACK)
        display.subscribe(self.apply)

    def create(self, surface_id: int, width: int, height: int) -> None:
        assert surface_id not in self.surfaces
        pixels = ((x, y) for y in range(height) for x in range(width))
        self.surfaces[surface_id] = dict.fromkeys(pixels, self.UNDEFINED)

    def apply(self, drawable: DisplayChange) -> None:
        match drawable:
            case FillRect(surface_id, box, color):
                self.put(surface_id, box, color.to_bytes(4, "little") * box.area)
            case Blit(surface_id, box, pixels):
                self.put(surface_id, box, pixels)
            case CopyRect(surface_id, box, x, y):
                self.put(surface_id, box, self.get(surface_id, Rect(x, y, box.width, box.height)))
            case CopySurface(surface_id, box, source_id, x, y):
                self.put(surface_id, box, self.get(source_id, Rect(x, y, box.width, box.height)))
            case WriteText():
                self.write(drawable)
            case SurfaceCreated(surface_id, width, height):
                self.create(surface_id, width, height)
            case SurfaceDestroyed(surface_id):
                del self.surfaces[surface_id]
            case MonitorsChanged():
                pass

    def write(self, text: WriteText) -> None:
        surface, font = self.surfaces[text.surface_id], text.font
        row_bits = (font.width + 7) // 8 * 8
        for number, character in enumerate(text.text):
            bits = int.from_bytes(font.bitmap(character), "big")
            for row in range(font.height):
                for column in range(font.width):
                    at = (text.x + number * font.width + column, text.y + row)
                    ink = bits >> (row_bits * font.height - 1 - row * row_bits - column) & 1
                    color = text.color if ink else text.background
                    assert (at in surface) == text.box.contains(*at)
                    if at in surface and color is not None:
                        surface[at] = color.to_bytes(4, "little")

    def get(self, surface_id: int, box: Rect) -> bytes:
        surface = self.surfaces[surface_id]
        return b"".join(surface[x, y] for y in range(box.y, box.bottom) for x in range(box.x, box.right))

    def put(self, surface_id: int, box: Rect, pixels: bytes) -> None:
        assert box.area > 0
        assert len(pixels) == box.area * 4
        surface = self.surfaces[surface_id]
        for number in range(box.area):
            at = (box.x + number % box.width, box.y + number // box.width)
            assert at in surface
            surface[at] = pixels[number * 4 :][:4]

    def pixels(self, surface_id: int) -> bytes:
        return b"".join(self.surfaces[surface_id].values())


def record(display: Display) -> list[DisplayChange]:
    drawables: list[DisplayChange] = []
    display.subscribe(drawables.append)
    return drawables


POSITION = st.tuples(st.integers(-12, 24), st.integers(-12, 24))
SIZE = st.tuples(st.integers(0, 24), st.integers(0, 24))
RECT = st.tuples(POSITION, SIZE).map(lambda parts: (*parts[0], *parts[1]))
SURFACE = st.integers(0, 2)
COLOR = st.integers(0, 0xFFFFFF)


def blit(display: Display, position: tuple[int, int], size: tuple[int, int], surface: int) -> None:
    pixels = b"".join(number.to_bytes(4, "big") for number in range(size[0] * size[1]))
    display.blit(position, *size, pixels, surface=surface)


def write(display: Display, position: tuple[int, int], background: int | None, surface: int) -> None:
    display.text(position, "ab\nc", color="gold", background=background, surface=surface)


ACTIONS = st.one_of(
    st.builds(lambda rect, color, surface: lambda it: it.fill(rect, color, surface=surface), RECT, COLOR, SURFACE),
    st.builds(lambda at, size, surface: lambda it: blit(it, at, size, surface), POSITION, SIZE, SURFACE),
    st.builds(lambda rect, at, surface: lambda it: it.copy(rect, at, surface=surface), RECT, POSITION, SURFACE),
    st.builds(
        lambda source, rect, at, surface: lambda it: it.copy_surface(source, rect, at, surface=surface),
        SURFACE,
        RECT,
        POSITION,
        SURFACE,
    ),
    st.builds(
        lambda at, paper, surface: lambda it: write(it, at, paper, surface), POSITION, st.none() | COLOR, SURFACE
    ),
    st.builds(lambda size: lambda it: it.resize(size[0] + 1, size[1] + 1), SIZE),
)


@given(st.lists(ACTIONS, max_size=8))
def test_the_drawables_alone_give_the_same_pictures(actions: list[Callable[[Display], None]]) -> None:
    display = Display(0, 20, 18)
    mirror = Mirror(display)
    display.create_surface(20, 9)
    display.create_surface(7, 22, has_alpha=True)

    for action in actions:
        action(display)

    assert set(mirror.surfaces) == set(display.surfaces)
    for surface in display.surfaces.values():
        assert mirror.pixels(surface.id) == bytes(surface.pixels)


def test_each_call_tells_what_it_is() -> None:
    display = Display(0, 100, 50)
    offscreen = display.create_surface(10, 10)
    drawables = record(display)

    display.fill((90, 40, 20, 20), "blue")
    display.blit((-1, 0), 2, 1, RED + BLUE)
    display.copy((0, 0, 50, 50), (0, 10))
    display.copy_surface(offscreen, (0, 0, 10, 10), (5, 5))
    display.copy_surface(0, (0, 0, 9, 9), (5, 5))
    display.text((2, 3), "hi", color="#fff", background=(1, 2, 3), scale=2, font=load_font("large"))

    text = drawables.pop()
    assert drawables == [
        FillRect(0, Rect(90, 40, 10, 10), 0x0000FF),
        Blit(0, Rect(0, 0, 1, 1), BLUE),
        CopyRect(0, Rect(0, 10, 50, 40), 0, 0),
        CopySurface(0, Rect(5, 5, 10, 10), offscreen, 0, 0),
        CopyRect(0, Rect(5, 5, 9, 9), 0, 0),
    ]
    assert isinstance(text, WriteText)
    assert (text.box, text.x, text.y, text.text) == (Rect(2, 3, 40, 40), 2, 3, "hi")
    assert (text.color, text.background, text.font.width) == (0xFFFFFF, 0x010203, 20)


def test_an_operation_is_drawn_as_it_is_and_told_as_it_was_done() -> None:
    display = Display(0, 100, 50)
    changes = record(display)

    display.draw(FillRect(0, Rect(90, 40, 20, 20), 0xFF0000, clip=(Rect(95, 0, 50, 45), Rect(0, 0, 9, 9))))
    display.draw(FillRect(0, Rect(100, 0, 9, 9), 0xFF0000))

    assert changes == [FillRect(0, Rect(90, 40, 10, 10), 0xFF0000, clip=(Rect(95, 40, 5, 5),))]
    assert bytes(display.primary.read(Rect(94, 40, 2, 1))) == BLACK + RED


def test_what_is_no_operation_is_refused() -> None:
    with pytest.raises(InvalidValue, match="operation is of type Operation, not tuple"):
        Display().draw((0, 0, 1, 1))  # type: ignore[arg-type]


def test_nothing_is_told_of_what_is_outside() -> None:
    display = Display(0, 100, 50)
    offscreen = display.create_surface(10, 10)
    drawables = record(display)

    display.fill((100, 0, 10, 10), "red")
    display.fill((5, 5, 0, 3), "red")
    display.blit((0, -1), 1, 1, RED)
    display.copy((100, 0, 10, 10), (0, 0))
    display.copy_surface(offscreen, (0, 10, 10, 10), (0, 0))
    display.text((0, 50), "below", color="red")
    display.text((0, 0), "", color="red")

    assert drawables == []


def test_pixels_are_kept_as_they_were_at_the_call() -> None:
    display = Display(0, 2, 1)
    drawables = record(display)
    source = bytearray(RED + BLUE)

    display.blit((0, 0), 2, 1, memoryview(source))
    source[:] = bytes(8)

    assert drawables == [Blit(0, Rect(0, 0, 2, 1), RED + BLUE)]


def test_a_picture_may_be_blitted() -> None:
    display = Display(0, 3, 1)

    display.blit((1, 0), Picture(2, 1, RED + BLUE, has_alpha=False))

    assert bytes(display.primary.pixels) == BLACK + RED + BLUE


def test_a_blit_without_its_pixels_is_refused() -> None:
    with pytest.raises(InvalidValue, match="a picture, or width, height and pixels"):
        Display().blit((0, 0), 2)  # type: ignore[call-overload]


def test_text_of_several_lines() -> None:
    display = Display(0, 200, 100)
    drawables = record(display)

    display.text((4, 5), "one\n\nthree", color="white")

    assert [(text.text, text.x, text.y) for text in drawables if isinstance(text, WriteText)] == [
        ("one", 4, 5),
        ("three", 4, 35),
    ]


def test_observers_are_called_in_order_until_they_leave() -> None:
    display = Display(0, 10, 10)
    calls: list[tuple[str, bytes]] = []

    def observer(name: str) -> Callable[[DisplayChange], None]:
        return lambda _drawable: calls.append((name, bytes(display.primary.pixels[:4])))

    leave_first = display.subscribe(observer("first"))
    display.subscribe(observer("second"))
    display.fill((0, 0, 1, 1), "red")
    leave_first()
    leave_first()
    display.fill((0, 0, 1, 1), "blue")

    # The surface has changed before anyone is told.
    assert calls == [("first", RED), ("second", RED), ("second", BLUE)]


def test_an_observer_subscribed_twice_leaves_once_at_a_time() -> None:
    display = Display(0, 10, 10)
    drawables: list[DisplayChange] = []
    leave = display.subscribe(drawables.append)
    display.subscribe(drawables.append)

    leave()
    display.fill((0, 0, 1, 1), "red")

    assert len(drawables) == 1


def test_an_observer_may_leave_while_it_is_called() -> None:
    display = Display(0, 10, 10)
    calls: list[str] = []

    def once(_drawable: DisplayChange) -> None:
        calls.append("once")
        leave()

    leave = display.subscribe(once)
    display.subscribe(lambda _drawable: calls.append("always"))
    display.fill((0, 0, 1, 1), "red")
    display.fill((0, 0, 1, 1), "blue")

    assert calls == ["once", "always", "always"]


def test_surfaces_come_and_go() -> None:
    display = Display(0, 10, 10)
    drawables = record(display)

    first, second = display.create_surface(3, 4), display.create_surface(5, 6, has_alpha=True)
    display.destroy_surface(first)

    assert drawables == [
        SurfaceCreated(1, 3, 4, has_alpha=False),
        FillRect(1, Rect(0, 0, 3, 4), 0),
        SurfaceCreated(2, 5, 6, has_alpha=True),
        FillRect(2, Rect(0, 0, 5, 6), 0),
        SurfaceDestroyed(1),
    ]
    assert set(display.surfaces) == {0, second}
    assert display.create_surface(1, 1) == first


def test_the_number_of_surfaces_is_limited() -> None:
    display = Display(0, 1, 1)
    for _ in range(MAX_SURFACE_ID):
        display.create_surface(1, 1)

    with pytest.raises(InvalidValue, match=f"at most {MAX_SURFACE_ID} offscreen surfaces"):
        display.create_surface(1, 1)


def test_a_surface_that_is_not_there_is_refused() -> None:
    display = Display(7, 10, 10)

    for call in (
        lambda: display.fill((0, 0, 1, 1), 0, surface=3),
        lambda: display.copy_surface(3, (0, 0, 1, 1), (0, 0)),
        lambda: display.destroy_surface(3),
    ):
        with pytest.raises(InvalidValue, match=r"display 7 has no surface 3, only \[0\]"):
            call()


#: Calls with an argument of another type than theirs, and what names it.
MISTAKEN = {
    "fill's rectangle": (lambda it: it.fill(5, 0), r"\(x, y, width, height\)"),
    "fill's colour": (lambda it: it.fill((0, 0, 1, 1), 1.5), "a colour is"),
    "fill's surface": (lambda it: it.fill((0, 0, 1, 1), 0, surface=[]), r"no surface \[\]"),
    "a number of pixels": (lambda it: it.blit((0, 0), 2, 2, 16), "pixels is bytes, not int"),
    "pixels as text": (lambda it: it.blit((0, 0), 2, 2, "a" * 16), "pixels is bytes, not str"),
    "pixels as numbers": (lambda it: it.blit((0, 0), 2, 2, [0] * 16), "pixels is bytes, not list"),
    "a picture's pixels as text": (lambda it: it.blit((0, 0), Picture(1, 1, "abcd")), "pixels is bytes, not str"),
    "no picture": (lambda it: it.blit((0, 0), None), "a picture, or width, height and pixels"),
    "a broken size": (lambda it: it.blit((0, 0), 1.5, 2, bytes(12)), "whole pixels"),
    "copy's position": (lambda it: it.copy((0, 0, 1, 1), 5), r"\(x, y\)"),
    "copy's source": (lambda it: it.copy("0011", (0, 0)), r"\(x, y, width, height\)"),
    "another surface": (lambda it: it.copy_surface("1", (0, 0, 1, 1), (0, 0)), "no surface '1'"),
    "text": (lambda it: it.text((0, 0), 5, color=0), "text is of type str, not int"),
    "a font's name": (lambda it: it.text((0, 0), "a", color=0, font="large"), "font is of type Font, not str"),
    "no font": (lambda it: it.text((0, 0), "a", color=0, font=""), "font is of type Font, not str"),
    "a broken scale": (lambda it: it.text((0, 0), "a", color=0, scale=1.5), r"scale is a whole number, not 1\.5"),
    "a size as text": (lambda it: it.resize("10", "10"), "width is a whole number, not '10'"),
    "a surface's broken size": (lambda it: it.create_surface(1.5, 1), r"width is a whole number, not 1\.5"),
    "a surface to destroy": (lambda it: it.destroy_surface(None), "no surface None"),
}


@pytest.mark.parametrize(("call", "reason"), MISTAKEN.values(), ids=MISTAKEN.keys())
def test_what_a_call_cannot_use_is_refused_and_changes_nothing(call: Callable[[Display], None], reason: str) -> None:
    display = Display(0, 30, 20)
    drawables = record(display)
    with pytest.raises(InvalidValue, match=reason):
        call(display)
    assert drawables == []


@pytest.mark.parametrize(
    "pixels", [bytearray(RED), memoryview(RED), array("I", RED)], ids=["bytearray", "view", "array"]
)
def test_pixels_may_be_in_any_memory(pixels: bytes | bytearray | memoryview) -> None:
    display = Display(0, 1, 1)
    drawables = record(display)
    display.blit((0, 0), 1, 1, pixels)
    assert drawables == [Blit(0, Rect(0, 0, 1, 1), RED)]
    assert type(drawables[0].pixels) is bytes


def test_the_primary_cannot_be_destroyed() -> None:
    with pytest.raises(InvalidValue, match="resize"):
        Display().destroy_surface(0)


def test_resize_keeps_the_old_picture() -> None:
    display = Display(0, 3, 2)
    display.blit((0, 0), 3, 2, (RED + BLUE + RED) * 2)
    drawables = record(display)

    display.resize(2, 3)

    assert bytes(display.primary.pixels) == (RED + BLUE) * 2 + BLACK * 2
    assert drawables == [
        SurfaceDestroyed(0),
        SurfaceCreated(0, 2, 3, has_alpha=False),
        FillRect(0, Rect(0, 0, 2, 3), 0),
        Blit(0, Rect(0, 0, 2, 2), (RED + BLUE) * 2),
        MonitorsChanged(),
    ]
    assert (display.width, display.height, display.heads) == (2, 3, [Head(0, 0, 0, 2, 3)])


def test_resize_to_the_same_size_does_nothing() -> None:
    display = Display(0, 30, 20)
    drawables, surface = record(display), display.primary

    display.resize(30, 20)

    assert drawables == []
    assert display.primary is surface


def test_two_heads_make_the_primary_as_large_as_they_need() -> None:
    display = Display(0, 30, 20)
    heads = [Head(0, 0, 0, 30, 20), Head(1, 30, 5, 20, 40)]
    drawables = record(display)

    display.set_heads(iter(heads))

    assert display.heads == heads
    assert (display.width, display.height) == (50, 45)
    assert drawables[-1] == MonitorsChanged()

    drawables.clear()
    display.set_heads(reversed(heads))

    assert drawables == [MonitorsChanged()]

    display.resize(50, 45)

    assert display.heads == [Head(0, 0, 0, 50, 45)]
    assert drawables == [MonitorsChanged()] * 2


@pytest.mark.parametrize(
    ("heads", "reason"),
    [
        ([], f"1 to {MAX_HEADS} heads, not 0"),
        ([Head(number, 0, 0, 1, 1) for number in range(MAX_HEADS + 1)], f"1 to {MAX_HEADS} heads"),
        ([Head(0, 0, 0, 1, 1), Head(0, 1, 0, 1, 1)], "two heads have one id"),
        ([Head(0, -1, 0, 10, 10)], "not at \\(-1, 0\\)"),
        ([Head(0, 0, -1, 10, 10)], "not at \\(0, -1\\)"),
        ([Head(0, 0, 0, 0, 10)], "not 0x10"),
        ([Head(0, 0, 0, MAX_WIDTH + 1, 1)], f"to {MAX_WIDTH}x{MAX_HEIGHT}"),
        ([Head(0, MAX_WIDTH, 0, 1, 1)], f"to {MAX_WIDTH}x{MAX_HEIGHT}"),
        ([Head(0, 0, 0, MAX_WIDTH, 1), Head(1, 0, 0, 1, MAX_HEIGHT)], "pixels"),
        ([Head(-1, 0, 0, 10, 10)], "id is 0 to 4294967295, not -1"),
        ([Head(1 << 32, 0, 0, 10, 10)], "id is 0 to 4294967295, not 4294967296"),
        ([Head("0", 0, 0, 10, 10)], "id is a whole number, not '0'"),
        ([Head(0, 0.5, 0, 10, 10)], r"\(x, y\) in whole pixels, not \(0\.5, 0\)"),
        ([Head(0, 0, 0, 10, "10")], "height is a whole number, not '10'"),
        ([(0, 0, 0, 10, 10)], "head is of type Head, not tuple"),
        (10, "heads is a sequence of Head, not 10"),
    ],
)
def test_impossible_heads_change_nothing(heads: list[Head], reason: str) -> None:
    display = Display(0, 30, 20)
    drawables = record(display)

    with pytest.raises(InvalidValue, match=reason):
        display.set_heads(heads)

    assert drawables == []
    assert (display.width, display.height, display.heads) == (30, 20, [Head(0, 0, 0, 30, 20)])


def test_screenshot_is_a_picture_without_anything_in_its_spare_bytes() -> None:
    display = Display(0, 2, 1)
    display.blit((0, 0), 2, 1, b"\x01\x02\x03\x99\x04\x05\x06\xff")

    screenshot = display.screenshot()
    display.fill((0, 0, 2, 1), "white")

    assert isinstance(screenshot, Picture)
    assert (screenshot.width, screenshot.height, screenshot.has_alpha) == (2, 1, False)
    assert screenshot.pixels == b"\x01\x02\x03\x00\x04\x05\x06\x00"


def test_screenshot_saves_ppm(tmp_path: Path) -> None:
    display = Display(0, 2, 1)
    display.blit((0, 0), 2, 1, b"\x01\x02\x03\x00\x04\x05\x06\x00")

    display.screenshot().save(tmp_path / "shot.ppm")

    assert (tmp_path / "shot.ppm").read_bytes() == b"P6\n2 1\n255\n\x03\x02\x01\x06\x05\x04"


def test_screenshot_saves_png(tmp_path: Path) -> None:
    display = Display(0, 2, 1)
    display.blit((0, 0), 2, 1, b"\x01\x02\x03\x00\x04\x05\x06\x00")
    path = tmp_path / "shot.PNG"

    display.screenshot().save(str(path))

    png = path.read_bytes()
    size, kind = struct.unpack_from(">I4s", png, 8)
    assert (png[:8], size, kind) == (b"\x89PNG\r\n\x1a\n", 13, b"IHDR")
    assert struct.unpack_from(">IIBB", png, 16) == (2, 1, 8, 2)
    at = png.index(b"IDAT")
    (length,) = struct.unpack_from(">I", png, at - 4)
    assert zlib.decompress(png[at + 4 : at + 4 + length])[1:] == b"\x03\x02\x01\x06\x05\x04"


def test_screenshot_as_what_pillow_writes(tmp_path: Path) -> None:
    path = tmp_path / "shot.BMP"
    display = Display(0, 3, 2)
    display.fill((1, 0, 1, 1), "#102030")

    display.screenshot().save(path)

    with Image.open(path) as image:
        assert (image.format, image.size, image.mode) == ("BMP", (3, 2), "RGB")
        assert image.tobytes() == bytes(3) + b"\x10\x20\x30" + bytes(4 * 3)


def test_screenshot_refuses_a_suffix_that_nobody_knows(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match=r"ends in '\.txt'; there are .*\.jpg, .*\.png"):
        Display(0, 1, 1).screenshot().save(tmp_path / "shot.txt")

    assert list(tmp_path.iterdir()) == []


def test_a_display_shows_its_size() -> None:
    assert repr(Display(3)) == "<Display 3 1024x768>"
