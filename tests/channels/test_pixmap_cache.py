"""The client's picture cache, as the server keeps account of it."""

from __future__ import annotations

from hypothesis import given, strategies as st

from spiceemu.channels.pixmap_cache import MAX_AREA, MAX_ENTRIES, MIN_AREA, ClientCache, PixmapCache


def picture(seed: int, width: int = 16, height: int = 16) -> tuple[int, int, bytes]:
    return width, height, seed.to_bytes(4, "little") * (width * height)


def test_a_picture_is_new_once() -> None:
    cache = PixmapCache(1 << 20)
    first = cache.look_up(*picture(1))
    assert first is not None
    assert not first[1]
    assert cache.look_up(*picture(1)) == (first[0], True)
    other = cache.look_up(*picture(2))
    assert other is not None
    assert other[0] != first[0]
    assert not other[1]


def test_pictures_of_the_same_bytes_and_another_width_differ() -> None:
    cache = PixmapCache(1 << 20)
    wide, high = cache.look_up(32, 16, bytes(2048)), cache.look_up(16, 32, bytes(2048))
    assert wide is not None
    assert high is not None
    assert wide[0] != high[0]


def test_two_displays_never_share_an_id() -> None:
    # A client has one cache for all its display channels, but each channel keeps account of its own pictures alone:
    # what one withdraws another must not ask for.
    first, second = (PixmapCache(1 << 20, display_id=number).look_up(*picture(1)) for number in (0, 1))
    assert first is not None
    assert second is not None
    assert first[0] != second[0]


def test_nothing_is_kept_without_capacity_or_beyond_the_sizes() -> None:
    assert PixmapCache(0).look_up(*picture(1)) is None
    assert PixmapCache(-1).look_up(*picture(1)) is None
    assert PixmapCache(MIN_AREA - 1).look_up(*picture(1)) is None
    cache = PixmapCache(1 << 40)
    assert cache.look_up(*picture(1, 15, 17)) is None
    assert cache.look_up(*picture(1, 256, 257)) is None
    assert cache.look_up(*picture(1, 256, MAX_AREA // 256)) is not None
    assert len(cache) == 1


def test_the_longest_unused_is_forgotten_first() -> None:
    cache = PixmapCache(2 * MIN_AREA)
    numbers = [cache.look_up(*picture(1)), cache.look_up(*picture(2))]
    assert cache.evict() == []
    cache.look_up(*picture(1))
    cache.look_up(*picture(3))
    assert numbers[1] is not None
    assert cache.evict() == [numbers[1][0]]
    assert cache.look_up(*picture(1)) == (numbers[0][0], True)  # type: ignore[index]
    found = cache.look_up(*picture(2))
    assert found is not None
    assert not found[1]


def test_one_large_picture_may_forget_many() -> None:
    cache = PixmapCache(4 * MIN_AREA)
    for number in range(4):
        cache.look_up(*picture(number))
    cache.look_up(*picture(9, 32, 32))
    assert len(cache.evict()) == 4
    assert len(cache) == 1


def test_the_number_of_pictures_is_bounded_whatever_the_capacity() -> None:
    cache = PixmapCache(1 << 60)
    evicted = 0
    for number in range(MAX_ENTRIES + 10):
        cache.look_up(*picture(number))
        evicted += len(cache.evict())
    assert (len(cache), evicted) == (MAX_ENTRIES, 10)


def test_clear_forgets_everything() -> None:
    cache = PixmapCache(2 * MIN_AREA)
    cache.look_up(*picture(1))
    cache.clear()
    assert len(cache) == 0
    for number in range(2):
        found = cache.look_up(*picture(number))
        assert found is not None
        assert not found[1]
    assert cache.evict() == []


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from([16, 20, 32])), max_size=60), st.integers(0, 4000))
def test_the_client_never_holds_more_than_it_offered(pictures: list[tuple[int, int]], capacity: int) -> None:
    cache = PixmapCache(capacity)
    client: dict[int, int] = {}
    for seed, side in pictures:
        found = cache.look_up(*picture(seed, side, side))
        if found is None:
            assert side * side > capacity
            continue
        number, known = found
        assert known == (number in client)
        for gone in cache.evict():
            del client[gone]
        client[number] = side * side
        assert sum(client.values()) <= capacity
    assert len(cache) == len(client)


def test_a_client_has_one_cache_of_which_each_display_has_a_part() -> None:
    cache = ClientCache()
    parts = [cache.begin_part(number) for number in (0, 1)]
    for part in parts:
        assert part.look_up(*picture(1)) is None  # the client has not told how much room there is
        part.capacity = 1 << 20
        part.look_up(*picture(1))
    assert [len(part) for part in parts] == [1, 1]
    cache.clear()
    assert [len(part) for part in parts] == [0, 0]


def test_a_channel_that_begins_anew_counts_on_nothing() -> None:
    cache = ClientCache()
    old = cache.begin_part(0)
    old.capacity = 1 << 20
    old.look_up(*picture(1))
    assert len(cache.begin_part(0)) == 0
