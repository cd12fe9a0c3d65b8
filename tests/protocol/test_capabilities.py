"""Capability words and numbers, and what the current server advertises."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from spiceemu.errors import InvalidValue
from spiceemu.protocol.capabilities import ChannelType, Words, common_names, from_words, has_capability, to_words
from spiceemu.protocol.levels.channels import channel_names
from spiceemu.protocol.limits import MAX_CAPABILITY_WORDS


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ((), ()),
        ((0,), (1,)),
        ((0, 1, 3), (0xB,)),
        ((31,), (0x80000000,)),
        ((32,), (0, 1)),
        ((1, 4, 6, 12, 70), (0x1052, 0, 0x40)),
    ],
)
def test_words_and_numbers(numbers: tuple[int, ...], words: Words) -> None:
    assert to_words(numbers) == words
    assert from_words(words) == frozenset(numbers)


@given(st.frozensets(st.integers(0, MAX_CAPABILITY_WORDS * 32 - 1), max_size=20))
def test_words_hold_exactly_their_numbers(numbers: frozenset[int]) -> None:
    words = to_words(numbers)
    assert from_words(words) == numbers
    assert not words or words[-1]
    assert {number for number in numbers | {0, 33} if has_capability(words, number)} == numbers


@pytest.mark.parametrize("number", [-1, MAX_CAPABILITY_WORDS * 32])
def test_a_number_that_fits_no_word_is_refused(number: int) -> None:
    with pytest.raises(InvalidValue, match=str(number)):
        to_words([number])


def test_a_list_that_is_too_short_has_not_the_capability() -> None:
    assert not has_capability((), 0)
    assert not has_capability((0xFFFFFFFF,), 32)


def test_names() -> None:
    assert common_names((0xD,)) == ["PROTOCOL_AUTH_SELECTION", "AUTH_SASL", "MINI_HEADER"]
    assert channel_names(ChannelType.MAIN, (0x9,)) == ["SEMI_SEAMLESS_MIGRATE", "SEAMLESS_MIGRATE"]
    assert channel_names(2, (1 << 12 | 1 << 20,)) == ["PREF_VIDEO_CODEC_TYPE", "bit 20"]
    assert channel_names(ChannelType.CURSOR, (1,)) == ["bit 0"]
    assert channel_names(200, (2,)) == ["bit 1"]
