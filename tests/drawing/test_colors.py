"""Colours as people write them."""

from __future__ import annotations

import pytest

from spiceemu.drawing.colors import COLORS, ColorLike, parse_color
from spiceemu.errors import InvalidValue


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (0xFFFFFF, 0xFFFFFF),
        ("steelblue", 0x4682B4),
        ("RebeccaPurple", 0x663399),
        ("#48c", 0x4488CC),
        ("#12aBfE", 0x12ABFE),
        ((1, 2, 255), 0x0102FF),
    ],
)
def test_every_way_to_write_a_colour(value: ColorLike, expected: int) -> None:
    assert parse_color(value) == expected


def test_all_css_names_are_known() -> None:
    assert len(COLORS) == 148
    assert all(0 <= value <= 0xFFFFFF for value in COLORS.values())


def test_both_spellings_of_grey_are_one_colour() -> None:
    american = {name for name in COLORS if "gray" in name}

    assert len(american) == 7
    assert all(COLORS[name] == COLORS[name.replace("gray", "grey")] for name in american)


def test_a_misspelt_name_brings_the_nearest_ones() -> None:
    with pytest.raises(InvalidValue, match=r"'stealblue'; did you mean steelblue"):
        parse_color("stealblue")


def test_a_name_like_no_other_says_what_may_be_written() -> None:
    with pytest.raises(InvalidValue, match="CSS name"):
        parse_color("0123456789")


@pytest.mark.parametrize("value", ["#", "#12", "#1234", "#12345g", "#+12345", "# 1234", "#1_2_3_", "#１２３"])
def test_wrong_hexadecimal_digits_are_refused(value: str) -> None:
    with pytest.raises(InvalidValue, match="3 or 6 hexadecimal digits"):
        parse_color(value)


@pytest.mark.parametrize("value", [-1, 0x1000000])
def test_a_number_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(InvalidValue, match="0xffffff"):
        parse_color(value)


@pytest.mark.parametrize("value", [(0, 0), (0, 0, 256), (-1, 0, 0), (0, 0, 0, 0), None, 1.5, b"red"])
def test_what_is_no_colour_is_refused(value: object) -> None:
    with pytest.raises(InvalidValue, match=r"\(red, green, blue\)"):
        parse_color(value)  # type: ignore[arg-type]
