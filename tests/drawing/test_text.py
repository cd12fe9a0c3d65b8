"""Fonts of the package and text as pixels."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

import spiceemu.drawing.text
from spiceemu.drawing.text import MAX_SCALE, REPLACEMENT, Font, FontName, load_font
from spiceemu.errors import InvalidValue

FONTS = Path(spiceemu.drawing.text.__file__).parent / "fonts"
NAMES = get_args(FontName)

# A cell of 3x2 pixels, so that expected pictures fit on a line.
TINY = Font("tiny", (3, 2), {"a": (0b101, 0b010), "b": (0b111, 0b000), REPLACEMENT: (0b001, 0b001)})


def picture(font: Font, text: str) -> list[str]:
    """Rows of a rendered text, # for ink and . for paper."""
    pixels = font.render(text, ink=0x01020304, paper=0xFFFFFFFF)
    width = len(text) * font.width
    letters = {b"\x04\x03\x02\x01": "#", b"\xff\xff\xff\xff": "."}
    row = "".join(letters[pixels[at : at + 4]] for at in range(0, len(pixels), 4))
    return [row[at : at + width] for at in range(0, len(row), width)]


def bitmap_rows(font: Font, character: str) -> list[str]:
    """Rows of an A1 bitmap in the same letters; fails if a padding bit is set."""
    row_bytes = (font.width + 7) // 8
    bitmap = font.bitmap(character)
    assert len(bitmap) == row_bytes * font.height
    bits = [
        f"{int.from_bytes(bitmap[at : at + row_bytes], 'big'):0{row_bytes * 8}b}"
        for at in range(0, len(bitmap), row_bytes)
    ]
    assert all(set(row[font.width :]) <= {"0"} for row in bits)
    return [row[: font.width].replace("1", "#").replace("0", ".") for row in bits]


def test_render_joins_the_cells_of_a_line() -> None:
    assert picture(TINY, "aba") == ["#.#####.#", ".#.....#."]


def test_render_of_nothing_is_nothing() -> None:
    assert TINY.render("", 0, 0) == b""


def test_an_unknown_character_is_drawn_as_the_replacement() -> None:
    assert picture(TINY, "a\x00☃") == ["#.#..#..#", ".#...#..#"]
    assert bitmap_rows(TINY, "☃") == ["..#", "..#"]
    assert "☃" not in TINY


def test_a_scaled_font_draws_each_pixel_as_a_square() -> None:
    double = TINY.scaled(2)

    assert (double.width, double.height) == (6, 4)
    assert picture(double, "ab") == ["##..########", "##..########", "..##........", "..##........"]
    assert bitmap_rows(double, "a") == ["##..##", "##..##", "..##..", "..##.."]
    assert picture(double.scaled(3), "a") == picture(TINY.scaled(6), "a")


@pytest.mark.parametrize("scale", [1.5, 1.0, "1", None])
def test_a_scale_is_a_whole_number(scale: int) -> None:
    with pytest.raises(InvalidValue, match="scale is a whole number"):
        TINY.scaled(scale)


def test_scale_is_limited() -> None:
    assert TINY.scaled(1) is TINY
    assert TINY.scaled(MAX_SCALE).width == 3 * MAX_SCALE
    for scaled in (lambda: TINY.scaled(0), lambda: TINY.scaled(-1), lambda: TINY.scaled(2).scaled(MAX_SCALE)):
        with pytest.raises(InvalidValue, match=f"1 to {MAX_SCALE}"):
            scaled()


@pytest.mark.parametrize(("text", "cells"), [("", (0, 1)), ("abc", (3, 1)), ("a\nlonger\n", (6, 3)), ("é█", (2, 1))])
def test_measure(text: str, cells: tuple[int, int]) -> None:
    font = load_font("large").scaled(2)

    assert font.measure(text) == (cells[0] * 20, cells[1] * 40)


def test_a_font_shows_its_name_and_size() -> None:
    assert repr(load_font("small").scaled(2)) == "<Font small 18x30>"


def test_an_unknown_font_is_refused() -> None:
    with pytest.raises(InvalidValue, match="'small' and 'large'"):
        load_font("huge")  # type: ignore[arg-type]


@pytest.mark.parametrize(("name", "size"), [("small", (9, 15)), ("large", (10, 20))])
def test_size_of_the_packages_fonts(name: FontName, size: tuple[int, int]) -> None:
    assert (load_font(name).width, load_font(name).height) == size


@pytest.mark.parametrize("name", NAMES)
def test_the_packages_fonts_have_ascii_latin_1_and_box_drawing(name: FontName) -> None:
    font = load_font(name)
    wanted = [*range(0x20, 0x7F), *range(0xA0, 0x100), *range(0x2500, 0x25A0), ord(REPLACEMENT)]

    assert [chr(code) for code in wanted if chr(code) not in font] == []


@pytest.mark.parametrize("name", NAMES)
def test_letters_differ_and_are_not_empty(name: FontName) -> None:
    font = load_font(name)
    bitmaps = [font.bitmap(chr(code)) for code in range(0x21, 0x7F)]

    assert len(set(bitmaps)) == len(bitmaps)
    assert all(any(bitmap) for bitmap in bitmaps)
    assert not any(font.bitmap(" "))


@pytest.mark.parametrize("name", NAMES)
def test_box_drawing_reaches_the_edges_of_the_cell(name: FontName) -> None:
    font = load_font(name)

    assert bitmap_rows(font, "█") == ["#" * font.width] * font.height
    assert "#" * font.width in bitmap_rows(font, "─")
    assert all("#" in row for row in bitmap_rows(font, "│"))


def test_a_letter_as_a_person_sees_it() -> None:
    assert bitmap_rows(load_font("small"), "A") == [
        ".........",
        ".........",
        "....#....",
        "...#.#...",
        "..#...#..",
        ".#.....#.",
        ".#.....#.",
        ".#.....#.",
        ".#######.",
        ".#.....#.",
        ".#.....#.",
        ".#.....#.",
        ".........",
        ".........",
        ".........",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_font_files_follow_their_description(name: FontName) -> None:
    first, *glyphs = (FONTS / f"{name}.font").read_text("ascii").splitlines()
    size = re.fullmatch(r"size (\d+) (\d+)", first)
    assert size is not None
    digits = (int(size[1]) + 7) // 8 * 2 * int(size[2])

    assert all(re.fullmatch(rf"[0-9a-f]{{4}} [0-9a-f]{{{digits}}}", line) for line in glyphs)
    assert glyphs == sorted(glyphs)
    # bitmap_rows() checks that the bits beyond the width are clear.
    assert all(bitmap_rows(load_font(name), chr(int(line.split()[0], 16))) for line in glyphs)


def test_the_licence_lies_beside_the_fonts() -> None:
    assert "Public domain font. Share and enjoy." in (FONTS / "README.md").read_text("utf-8")
