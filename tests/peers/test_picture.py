"""Pictures: the comparison every pixel test rests on."""

from __future__ import annotations

import pytest

from .picture import Picture

RED, GREEN, BLUE, GREY = 0xFF0000, 0x00FF00, 0x0000FF, 0x102030


def picture(*rows: list[int]) -> Picture:
    return Picture(len(rows[0]), len(rows), b"".join(pixel.to_bytes(3, "big") for row in rows for pixel in row))


def test_bgrx_and_ppm_are_read_alike() -> None:
    wanted = picture([RED, GREEN], [BLUE, GREY])
    bgrx = bytes.fromhex("0000ff11 00ff0022 ff000033 30201044")
    assert Picture.from_bgrx(2, 2, bgrx) == wanted
    assert Picture.from_bgrx(2, 2, memoryview(bgrx)) == wanted
    assert Picture.from_ppm(b"P6\n2 2\n255\n" + wanted.rgb) == wanted
    assert [wanted.pixel(x, y) for y in range(2) for x in range(2)] == [RED, GREEN, BLUE, GREY]


def test_wrong_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="11 bytes are not 2x2"):
        Picture(2, 2, bytes(11))
    with pytest.raises(ValueError, match="not a binary PPM"):
        Picture.from_ppm(b"P5\n2 2\n255\n" + bytes(4))
    with pytest.raises(ValueError, match="not inside"):
        picture([RED, GREEN]).crop(1, 0, 2, 1)


def test_one_changed_pixel_is_a_difference_and_is_named() -> None:
    one = picture([RED, GREEN], [BLUE, GREY])
    other = one.changed(1, 1)
    assert one != other
    assert one.difference(one) == ""
    assert one.difference(other) == ("1 of 4 pixels differ, within 1,1 .. 1,1; the first at 1,1: 102030 is not 112030")
    assert one.difference(picture([RED, GREEN])) == "2x2 is not 2x1"


def test_a_part_is_found_where_it_is() -> None:
    whole = picture([GREY, GREY, GREY, GREY], [GREY, RED, RED, GREEN], [GREY, RED, BLUE, GREEN])
    part = picture([RED, GREEN], [BLUE, GREEN])
    assert whole.find(part) == (2, 1)
    assert whole.crop(2, 1, 2, 2) == part
    assert whole.find(part.changed(0, 0)) is None


def test_a_part_is_not_found_between_pixels() -> None:
    # The bytes 00ff00 00 are in red-red-blue, one byte off.
    assert picture([0x1100FF, 0x000000]).find(picture([GREEN])) is None
