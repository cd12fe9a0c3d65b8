"""Pictures of the cursor in every format, read as clients read them, and what observers are told."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from spiceemu.errors import InvalidValue
from spiceemu.guest import cursor as cursors
from spiceemu.guest.cursor import (
    ARROW,
    MAX_CURSOR_SIZE,
    CursorChange,
    CursorHidden,
    CursorMoved,
    CursorShape,
    CursorShapeChanged,
    CursorShown,
    GuestCursor,
    data_size,
)
from spiceemu.protocol.enums import CursorType

COLORS = (CursorType.COLOR4, CursorType.COLOR8, CursorType.COLOR16, CursorType.COLOR24, CursorType.COLOR32)
RED, GREEN, BLACK, CLEAR = b"\0\0\xff\xff", b"\0\xff\0\xff", b"\0\0\0\xff", bytes(4)
BUILT_IN = {name: getattr(cursors, name) for name in ("ARROW", "TEXT_BEAM", "HAND", "CROSS", "WAIT")}


def bit(data: bytes, start: int, place: int) -> int:
    return data[start + place // 8] >> (7 - place % 8) & 1


def read(shape: CursorShape) -> list[tuple[int, bool]]:
    """Each pixel as 0xRRGGBB and whether the screen shows through: the rules of spice-gtk and spicec."""
    data, count = shape.data, shape.width * shape.height
    masks = (shape.width + 7) // 8 * shape.height
    mask = len(data) - masks
    match shape.kind:
        case CursorType.COLOR4:
            palette = mask - 64
            indexes = [data[place // 2] >> (0 if place % 2 else 4) & 15 for place in range(count)]
            colors = [int.from_bytes(data[palette + 4 * index :][:4], "little") for index in indexes]
        case CursorType.COLOR8:
            palette = mask - 1024
            colors = [int.from_bytes(data[palette + 4 * index :][:4], "little") for index in data[:count]]
        case CursorType.COLOR16:
            words = [int.from_bytes(data[2 * place : 2 * place + 2], "little") for place in range(count)]
            colors = [(word & 0x1F) << 3 | (word & 0x3E0) << 6 | (word & 0x7C00) << 9 for word in words]
        case CursorType.COLOR24:
            colors = [int.from_bytes(data[3 * place : 3 * place + 3], "little") for place in range(count)]
        case _:
            colors = [int.from_bytes(data[4 * place : 4 * place + 4], "little") for place in range(count)]
    return [(color, bool(bit(data, mask, place))) for place, color in enumerate(colors)]


@pytest.mark.parametrize(
    ("kind", "width", "height", "size"),
    [  # spicec's expected_size
        (CursorType.ALPHA, 32, 32, 4096),
        (CursorType.MONO, 32, 32, 256),
        (CursorType.MONO, 9, 3, 12),
        (CursorType.COLOR4, 32, 32, 512 + 64 + 128),
        (CursorType.COLOR4, 9, 3, 15 + 64 + 6),
        (CursorType.COLOR8, 9, 3, 27 + 1024 + 6),
        (CursorType.COLOR16, 9, 3, 54 + 6),
        (CursorType.COLOR24, 9, 3, 81 + 6),
        (CursorType.COLOR32, 9, 3, 108 + 6),
    ],
)
def test_each_format_has_its_size(kind: CursorType, width: int, height: int, size: int) -> None:
    assert data_size(kind, width, height) == size
    assert CursorShape(kind, width, height, 0, 0, bytes(size)).data == bytes(size)
    for wrong in (size - 1, size + 1):
        with pytest.raises(InvalidValue, match=f"{kind.name} cursor of {width}x{height} has {size} bytes, not {wrong}"):
            CursorShape(kind, width, height, 0, 0, bytes(wrong))


def test_alpha_goes_out_as_it_is() -> None:
    shape = CursorShape.from_bgra(2, 1, bytearray(b"\1\2\3\x80\4\5\6\xff"), hot=(1, 0))
    assert shape == CursorShape(CursorType.ALPHA, 2, 1, 1, 0, b"\1\2\3\x80\4\5\6\xff")


@pytest.mark.parametrize("kind", COLORS)
@given(
    width=st.integers(1, 13),
    height=st.integers(1, 5),
    data=st.data(),
)
def test_colours_are_read_back(kind: CursorType, width: int, height: int, data: st.DataObject) -> None:
    count = width * height
    pixels = data.draw(st.lists(st.sampled_from([RED, GREEN, BLACK, CLEAR]), min_size=count, max_size=count))
    shape = CursorShape.from_bgra(width, height, b"".join(pixels), kind=kind)
    bright = 0xF8 if kind is CursorType.COLOR16 else 0xFF
    meaning = {RED: (bright << 16, False), GREEN: (bright << 8, False), BLACK: (0, False), CLEAR: (0, True)}
    assert read(shape) == [meaning[pixel] for pixel in pixels]


@pytest.mark.parametrize("kind", COLORS)
def test_half_transparent_pixels_show_or_not(kind: CursorType) -> None:
    shape = CursorShape.from_bgra(2, 1, b"\xff\xff\xff\x7f\xff\xff\xff\x80", kind=kind)
    assert [hidden for _, hidden in read(shape)] == [True, False]
    assert read(shape)[0][0] == 0  # white would invert the screen


def test_bytes_of_the_small_formats() -> None:
    pixels = RED + CLEAR + GREEN
    small = CursorShape.from_bgra(3, 1, pixels, kind=CursorType.COLOR4)
    assert small.data == bytes.fromhex("0120 0000ff00 00000000 00ff0000") + bytes(13 * 4) + b"\x40"
    words = CursorShape.from_bgra(3, 1, pixels, kind=CursorType.COLOR16)
    assert words.data == bytes.fromhex("007c 0000 e003 40")
    mixed = CursorShape.from_bgra(1, 1, b"\x56\x34\x12\xff", kind=CursorType.COLOR16)
    assert mixed.data == (0x12 >> 3 << 10 | 0x34 >> 3 << 5 | 0x56 >> 3).to_bytes(2, "little") + b"\0"


@pytest.mark.parametrize(("kind", "count"), [(CursorType.COLOR4, 16), (CursorType.COLOR8, 256)])
def test_a_palette_has_its_limit(kind: CursorType, count: int) -> None:
    colors = [index.to_bytes(3, "little") + b"\xff" for index in range(count + 1)]
    full = CursorShape.from_bgra(count, 1, b"".join(colors[:count]), kind=kind)
    assert [color for color, _ in read(full)] == [*range(count)]
    with pytest.raises(InvalidValue, match=f"{count} colours, not {count + 1}"):
        CursorShape.from_bgra(count + 1, 1, b"".join(colors), kind=kind)


def test_masks_make_a_mono_cursor() -> None:
    shape = CursorShape.mono(9, 1, b"\xff\x80", b"\x80\0", hot=(8, 0))
    assert shape == CursorShape(CursorType.MONO, 9, 1, 8, 0, b"\xff\x80\x80\0")
    with pytest.raises(InvalidValue, match="4 bytes, not 3"):
        CursorShape.mono(9, 1, b"\xff\x80", b"\x80")
    with pytest.raises(InvalidValue, match="mono"):
        CursorShape.from_bgra(1, 1, RED, kind=CursorType.MONO)


def test_pixels_must_fit() -> None:
    with pytest.raises(InvalidValue, match="2x1 BGRA pixels are 8 bytes, not 4"):
        CursorShape.from_bgra(2, 1, RED)


@pytest.mark.parametrize(("width", "height"), [(0, 1), (1, 0), (-1, -1), (MAX_CURSOR_SIZE + 1, 1), (1, 513)])
def test_sizes_have_limits(width: int, height: int) -> None:
    with pytest.raises(InvalidValue, match="sides are 1 to 512"):
        CursorShape(CursorType.ALPHA, width, height, 0, 0, bytes(max(0, 4 * width * height)))


def test_the_largest_cursor_is_possible() -> None:
    pixels = (RED + CLEAR) * (MAX_CURSOR_SIZE * MAX_CURSOR_SIZE // 2)
    shape = CursorShape.from_bgra(MAX_CURSOR_SIZE, MAX_CURSOR_SIZE, pixels, kind=CursorType.COLOR32)
    assert read(shape)[-2:] == [(0xFF0000, False), (0, True)]


@pytest.mark.parametrize("hot", [(-1, 0), (0, -1), (1, 0), (0, 1)])
def test_the_hot_spot_is_inside(hot: tuple[int, int]) -> None:
    with pytest.raises(InvalidValue, match="hot spot"):
        CursorShape.from_bgra(1, 1, RED, hot)


def test_ids_follow_from_the_picture() -> None:
    one = CursorShape.from_bgra(2, 1, RED + CLEAR)
    assert one.id == CursorShape.from_bgra(2, 1, RED + CLEAR).id
    others = [
        CursorShape.from_bgra(1, 2, RED + CLEAR),
        CursorShape.from_bgra(2, 1, RED + CLEAR, hot=(1, 0)),
        CursorShape.from_bgra(2, 1, CLEAR + RED),
        CursorShape.from_bgra(2, 1, RED + CLEAR, kind=CursorType.COLOR32),
    ]
    assert len({shape.id for shape in (one, *others)}) == 5
    assert one.id == 0x69025C9C787ED01F  # the same in every process


@pytest.mark.parametrize("shape", [*BUILT_IN.values()], ids=[*BUILT_IN])
def test_built_in_cursors_point_with_ink(shape: CursorShape) -> None:
    assert shape.kind is CursorType.ALPHA
    pixels = [shape.data[place : place + 4] for place in range(0, len(shape.data), 4)]
    assert {*pixels} == {BLACK, b"\xff" * 4, CLEAR}
    assert pixels[shape.hot_y * shape.width + shape.hot_x] != CLEAR


def test_built_in_cursors_differ() -> None:
    assert len({shape.id for shape in BUILT_IN.values()}) == len(BUILT_IN)


def test_art_is_read_row_by_row() -> None:
    shape = CursorShape.from_art("\n#\n .\n", hot=(1, 1))
    assert (shape.width, shape.height, shape.hot_x, shape.hot_y) == (2, 2, 1, 1)
    assert shape.data == BLACK + CLEAR + CLEAR + b"\xff" * 4
    with pytest.raises(InvalidValue, match="'x'"):
        CursorShape.from_art("#x")


@pytest.fixture
def cursor() -> GuestCursor:
    return GuestCursor()


@pytest.fixture
def told(cursor: GuestCursor) -> list[CursorChange]:
    changes: list[CursorChange] = []
    cursor.subscribe(changes.append)
    return changes


def test_a_cursor_begins_without_a_picture(cursor: GuestCursor) -> None:
    assert (cursor.shape, cursor.x, cursor.y, cursor.visible) == (None, 0, 0, True)
    assert GuestCursor(ARROW).shape is ARROW


def test_changes_are_told(cursor: GuestCursor, told: list[CursorChange]) -> None:
    cursor.set_shape(ARROW)
    cursor.move(-5, 32767)
    cursor.hide()
    cursor.show()
    cursor.set_shape(None)
    assert told == [
        CursorShapeChanged(ARROW),
        CursorMoved(-5, 32767),
        CursorHidden(),
        CursorShown(),
        CursorShapeChanged(None),
    ]
    assert (cursor.shape, cursor.x, cursor.y, cursor.visible) == (None, -5, 32767, True)


def test_what_changes_nothing_is_not_told(cursor: GuestCursor, told: list[CursorChange]) -> None:
    cursor.set_shape(ARROW)
    cursor.hide()
    del told[:]
    cursor.set_shape(CursorShape.from_bgra(ARROW.width, ARROW.height, ARROW.data, (ARROW.hot_x, ARROW.hot_y)))
    cursor.move(0, 0)
    cursor.hide()
    assert told == []


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: CursorShape(CursorType.ALPHA, 1, 1, 0, 0, "abcd"), "data is bytes, not str"),
        (lambda: CursorShape(CursorType.ALPHA, 1.0, 1, 0, 0, bytes(4)), "width is a whole number"),
        (lambda: CursorShape(CursorType.ALPHA, 1, "1", 0, 0, bytes(4)), "height is a whole number"),
        (lambda: CursorShape(CursorType.ALPHA, 1, 1, 0.5, 0, bytes(4)), "hot spot is \\(x, y\\) in whole pixels"),
        (lambda: CursorShape("ALPHA", 1, 1, 0, 0, bytes(4)), "kind is of type CursorType, not str"),
        (lambda: CursorShape.from_bgra(1, 1, 4), "pixels is bytes, not int"),
        (lambda: CursorShape.from_bgra(1, None, bytes(4)), "height is a whole number"),
        (lambda: CursorShape.from_bgra(0, 0, b"", kind=CursorType.COLOR4), "sides are 1 to 512"),
        (lambda: CursorShape.from_bgra(-1, -1, bytes(4), kind=CursorType.COLOR4), "sides are 1 to 512"),
        (lambda: CursorShape.from_bgra(1, 1, bytes(4), hot=0), "hot spot is \\(x, y\\)"),
        (lambda: CursorShape.from_bgra(1, 1, bytes(4), hot=(0, 0, 0)), "hot spot is \\(x, y\\)"),
        (lambda: CursorShape.from_bgra(1, 1, bytes(4), kind="ALPHA"), "kind is of type CursorType, not str"),
        (lambda: CursorShape.mono(1, 1, 1, b"\0"), "and_mask is bytes, not int"),
        (lambda: CursorShape.mono(1, 1, b"\0", "0"), "xor_mask is bytes, not str"),
        (lambda: CursorShape.from_art(["#"]), "art is of type str, not list"),
        (lambda: GuestCursor().set_shape("arrow"), "shape is of type CursorShape, not str"),
        (lambda: GuestCursor().move(1.5, 0), "\\(x, y\\) in whole pixels"),
        (lambda: GuestCursor().move("1", 0), "\\(x, y\\) in whole pixels"),
    ],
)
def test_what_a_cursor_cannot_be_is_refused(make: Callable[[], object], reason: str) -> None:
    with pytest.raises(InvalidValue, match=reason):
        make()


def test_a_shape_keeps_its_own_pixels() -> None:
    pixels = bytearray(RED)
    shape = CursorShape(CursorType.ALPHA, 1, 1, 0, 0, pixels)
    pixels[:] = CLEAR
    assert shape.data == RED
    assert hash(shape) == hash(CursorShape.from_bgra(1, 1, RED))


@pytest.mark.parametrize("place", [(32768, 0), (0, -32769)])
def test_a_place_fits_the_wire(cursor: GuestCursor, told: list[CursorChange], place: tuple[int, int]) -> None:
    with pytest.raises(InvalidValue, match="-32768 to 32767"):
        cursor.move(*place)
    assert told == []


def test_an_observer_can_leave(cursor: GuestCursor, told: list[CursorChange]) -> None:
    seen: list[CursorChange] = []
    leave = cursor.subscribe(seen.append)
    cursor.hide()
    leave()
    cursor.show()
    assert (len(seen), len(told)) == (1, 2)
