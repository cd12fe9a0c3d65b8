"""Levels: what follows from a mask, which masks there are, and what they are called."""

from __future__ import annotations

import pytest

from spiceemu.errors import InvalidValue
from spiceemu.protocol.capabilities import ChannelType, CommonCap, DisplayCap, MainCap, PlaybackCap, RecordCap, to_words
from spiceemu.protocol.levels.compat import (
    ADVERTISED,
    FEATURES_MASK_V06,
    FEATURES_MASK_V08,
    HEEDED,
    RELEASES,
    VERSIONS,
    CompatVersion,
    Feature,
)
from spiceemu.protocol.levels.level import (
    CURRENT,
    LEVELS,
    Level,
    MigrationScheme,
    changed,
    completed,
    each_feature,
    get_current_compat_version,
    get_supported_features,
    level_of,
)

F = Feature
MAJOR2 = F.PROTOCOL_MAJOR2
MONITORS = to_words([DisplayCap.MONITORS_CONFIG])


def test_the_calls_of_the_proposal() -> None:
    assert get_current_compat_version() is CompatVersion.V0_15
    assert get_supported_features() == level_of("0.15").features
    assert Level(get_supported_features()) == CURRENT
    beyond = Feature((1 << len(Feature)) - 1) & ~get_supported_features()
    assert beyond == Feature.WITHOUT_MIGRATION  # what the newest lacks is a lack
    assert all(mask & ~beyond in get_supported_features() for mask in (*VERSIONS.values(), *RELEASES.values()))


def test_names() -> None:
    assert list(LEVELS) == ["0.4", "0.6", "0.8", "0.10", "0.12", "0.14", "0.15", *RELEASES]
    assert CURRENT is level_of("0.15.1")
    assert level_of(CompatVersion.V0_8) is level_of("0.8")
    assert repr(CURRENT) == "<Level 0.15.1>"
    with pytest.raises(InvalidValue, match=r"no compat level '0\.9'; there are 0\.4, .*0\.15\.1"):
        level_of("0.9")


@pytest.mark.parametrize("name", LEVELS)
def test_a_level_is_its_features(name: str) -> None:
    level = LEVELS[name]
    assert Level(level.features) == level
    assert hash(Level(level.features)) == hash(level)
    assert level != level.features
    assert F(sum(each_feature(level.features))) == level.features


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (MAJOR2, MAJOR2),
        (F.MULTIMONITOR, F.MULTIMONITOR | F.MULTI_DISPLAY_CHANNELS | F.MONITORS_CONFIG),
        (F.MULTI_DISPLAY_CHANNELS | F.MONITORS_CONFIG, F.MULTIMONITOR | F.MULTI_DISPLAY_CHANNELS | F.MONITORS_CONFIG),
        (F.MULTI_DISPLAY_CHANNELS, F.MULTI_DISPLAY_CHANNELS),
        (F.MONITORS_CONFIG, F.MONITORS_CONFIG),
    ],
)
def test_multimonitor_is_its_parts(mask: Feature, expected: Feature) -> None:
    assert completed(MAJOR2 | mask) == MAJOR2 | expected


@pytest.mark.parametrize(
    ("mask", "text"),
    [
        (MAJOR2 | 1 << 60, "feature mask 0x1000000000000001 has bits beyond those there are, 0x3ffffffff"),
        (1 << len(Feature) | 1, "has bits beyond those there are"),
        (-1, "has bits beyond those there are"),
        (0, "feature mask 0x0 lacks PROTOCOL_MAJOR2: major 1 is not implemented"),
        (F.SURFACES | F.MULTIMONITOR, "0x6 lacks PROTOCOL_MAJOR2: major 1 is not implemented"),
    ],
)
def test_masks_that_are_none(mask: int, text: str) -> None:
    for make in (completed, Level):
        with pytest.raises(InvalidValue, match=text):
            make(mask)


@pytest.mark.parametrize(
    ("name", "changes", "expected"),
    [
        ("0.6", "+MULTIMONITOR", "0.8"),
        ("0.8", "-MULTIMONITOR", "0.6"),
        ("0.4", "+surfaces", "0.6"),
        ("0.8", "-MONITORS_CONFIG", "0.6 +MULTI_DISPLAY_CHANNELS"),
        ("0.8", "-MULTI_DISPLAY_CHANNELS,-MONITORS_CONFIG,-SURFACES", "0.4"),
        ("0.6", "+MONITORS_CONFIG,+MULTI_DISPLAY_CHANNELS", "0.8"),
        ("0.8.3", "+VOLUME,-SMARTCARD", "0.8.3 +VOLUME -SMARTCARD"),
        ("0.15.1", "+VOLUME", "0.15"),
        ("0.15.1", "+VOLUME,+VOLUME", "0.15"),
        ("0.8", "+MULTI_DISPLAY_CHANNELS,-MONITORS_CONFIG", "0.6 +MULTI_DISPLAY_CHANNELS"),
    ],
)
def test_changes_and_what_comes_of_them(name: str, changes: str, expected: str) -> None:
    level = changed(LEVELS[name], changes)
    assert level.name == expected
    if expected in LEVELS:
        assert level == LEVELS[expected]


def test_a_mask_may_be_a_plain_number() -> None:
    assert Level(7) == LEVELS["0.8"]
    assert completed(3) == FEATURES_MASK_V06


def test_a_change_and_its_opposite() -> None:
    level = changed(LEVELS["0.6.4"], "+MULTIMONITOR")
    assert level.has(F.MONITORS_CONFIG)
    taken = changed(level, "-MONITORS_CONFIG")
    assert taken.has(F.MULTI_DISPLAY_CHANNELS)
    assert not taken.has(F.MULTIMONITOR)
    assert taken == LEVELS["0.6.4"]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ("SURFACES", "'SURFACES' is not a feature with \\+ or - before it, such as \\+SURFACES; spiceemu compat"),
        ("", "'' is not a feature"),
        ("+SURFACES,", "'' is not a feature"),
        ("+NONSENSE", "'\\+NONSENSE' is not a feature"),
        ("+SURFACES -VOLUME", "is not a feature"),
        ("-PROTOCOL_MAJOR2", "major 1 is not implemented"),
        ("+SURFACES,-SURFACES", "'\\+SURFACES,-SURFACES' both adds and takes away SURFACES"),
        ("-opus,+VOLUME,+Opus", "both adds and takes away OPUS"),
        ("+MULTIMONITOR,-MONITORS_CONFIG", "both adds and takes away MONITORS_CONFIG"),
        ("-MULTIMONITOR,+MULTI_DISPLAY_CHANNELS", "both adds and takes away MULTI_DISPLAY_CHANNELS"),
    ],
)
def test_changes_that_are_none(changes: str, text: str) -> None:
    with pytest.raises(InvalidValue, match=text):
        changed(CURRENT, changes)


def test_odd_masks_are_named_by_the_nearest_level() -> None:
    assert Level(MAJOR2 | F.MONITORS_CONFIG).name == "0.4 +MONITORS_CONFIG"
    assert Level(CURRENT.features & ~F.OPUS).name.endswith(" -OPUS")
    assert Level(MAJOR2, "mine").name == "mine"


@pytest.mark.parametrize(
    ("features", "minor"),
    [(MAJOR2, 0), (F.SEMI_SEAMLESS_MIGRATE, 1), (F.MINI_HEADER, 2), (F.SEMI_SEAMLESS_MIGRATE | F.MINI_HEADER, 2)],
)
def test_minor_version(features: Feature, minor: int) -> None:
    assert Level(MAJOR2 | features).minor == minor


@pytest.mark.parametrize(
    ("features", "scheme"),
    [
        (MAJOR2, MigrationScheme.SWITCH_HOST),
        (F.SEMI_SEAMLESS_MIGRATE, MigrationScheme.SEMI_SEAMLESS),
        (F.SEMI_SEAMLESS_MIGRATE | F.SEAMLESS_MIGRATE, MigrationScheme.SEAMLESS),
        (F.SEAMLESS_MIGRATE, MigrationScheme.SWITCH_HOST),  # what it would fall back to is not there
        (F.SEMI_SEAMLESS_MIGRATE | F.SEAMLESS_MIGRATE | F.WITHOUT_MIGRATION, MigrationScheme.NONE),
    ],
)
def test_migration(features: Feature, scheme: MigrationScheme) -> None:
    level = Level(MAJOR2 | features)
    assert level.migration is scheme
    assert level.takes_sessions is (scheme in (MigrationScheme.SEMI_SEAMLESS, MigrationScheme.SEAMLESS))


def test_migration_of_the_named_levels() -> None:
    found = {name: level.migration.value for name, level in LEVELS.items()}
    assert {name for name, scheme in found.items() if scheme == "switch host"} == {"0.4", "0.6", "0.8"}
    assert {name for name, scheme in found.items() if scheme == "none"} == {"0.6.4"}
    assert {name for name, scheme in found.items() if scheme == "semi-seamless"} == {"0.10", "0.8.3", "0.10.1"}


def test_channels() -> None:
    old = [ChannelType(number) for number in range(1, 7)]
    assert LEVELS["0.4"].channels == LEVELS["0.8"].channels == LEVELS["0.6.4"].channels == old
    assert LEVELS["0.8.3"].channels == [*old, ChannelType.SMARTCARD]
    assert CURRENT.channels == [each for each in ChannelType if each is not ChannelType.TUNNEL]
    for level in LEVELS.values():
        assert [kind for kind in range(256) if level.has_channel(kind)] == sorted(level.channels)


@pytest.mark.parametrize("mask", [FEATURES_MASK_V08, FEATURES_MASK_V08 | F.SEMI_SEAMLESS_MIGRATE])
def test_monitors_config_is_offered_by_answer_only(mask: Feature) -> None:
    level = Level(mask)
    assert level.offers_monitors_by_answer
    assert level.words(ChannelType.DISPLAY) == ((), ())
    assert level.words(ChannelType.DISPLAY, MONITORS) == ((), MONITORS)
    assert level.words(ChannelType.DISPLAY, (0xFFFFFFFF, 1)) == ((), MONITORS)
    assert level.words(ChannelType.DISPLAY, (0xFFFFFFFF & ~MONITORS[0],)) == ((), ())
    assert level.words(ChannelType.INPUTS, (0xFFFFFFFF,)) == ((), ())


def test_where_it_was_history_it_is_offered_to_everybody() -> None:
    for name in ("0.12", "0.14", "0.15", "0.12.8", "0.14.2", "0.15.1"):
        assert not LEVELS[name].offers_monitors_by_answer
        assert DisplayCap.MONITORS_CONFIG in LEVELS[name].advertised(ChannelType.DISPLAY)
        assert LEVELS[name].words(ChannelType.DISPLAY) == LEVELS[name].words(ChannelType.DISPLAY, MONITORS)
    for name in ("0.4", "0.6", "0.6.4", "0.8.3", "0.10.1"):
        assert LEVELS[name].words(ChannelType.DISPLAY, MONITORS)[1] == ()


def test_nothing_else_depends_on_the_client() -> None:
    level = changed(CURRENT, "-MINI_HEADER")
    rest = level.advertised(ChannelType.DISPLAY) - {DisplayCap.MONITORS_CONFIG}
    assert level.words(ChannelType.DISPLAY)[1] == to_words(rest)
    assert level.words(ChannelType.DISPLAY, MONITORS)[1] == to_words(rest | {DisplayCap.MONITORS_CONFIG})


def test_celt_and_opus_have_numbers_of_their_channel() -> None:
    old, new = LEVELS["0.8.3"], CURRENT
    for channel, caps in ((ChannelType.PLAYBACK, PlaybackCap), (ChannelType.RECORD, RecordCap)):
        assert old.advertised(channel) == {caps["CELT_0_5_1"]}
        assert new.advertised(channel) == {caps["VOLUME"], caps["OPUS"]}
    assert MainCap.SEMI_SEAMLESS_MIGRATE in new.advertised(ChannelType.MAIN)  # a capability of the same number as CELT
    assert CommonCap.PROTOCOL_AUTH_SELECTION in new.advertised(None)
    assert new.advertised(ChannelType.USBREDIR) == {0}


def test_what_is_heeded() -> None:
    assert LEVELS["0.12"].heeded(ChannelType.MAIN) == set(MainCap)
    assert LEVELS["0.12"].advertised(ChannelType.MAIN) == {MainCap.SEMI_SEAMLESS_MIGRATE, MainCap.SEAMLESS_MIGRATE}
    assert LEVELS["0.8.3"].heeded(ChannelType.DISPLAY) == set()
    assert CURRENT.heeded(ChannelType.DISPLAY) == set(DisplayCap)
    assert CURRENT.heeded(None) == set(CommonCap) - {CommonCap.AUTH_SASL}
    for level in LEVELS.values():
        for channel in (None, *ChannelType):
            assert level.advertised(channel) <= level.heeded(channel)


def test_a_capability_comes_with_the_feature_of_its_name() -> None:
    own = {MainCap.NAME_AND_UUID, MainCap.AGENT_CONNECTED_TOKENS}
    for rows, exceptions in ((ADVERTISED, own), (HEEDED, set())):
        for channel, capability, feature in rows:
            if capability.name in F.__members__ and not (channel is ChannelType.MAIN and capability in exceptions):
                assert feature is F[capability.name], (channel, capability.name)


def test_surfaces_and_the_proposal() -> None:
    assert not LEVELS["0.4"].has(F.SURFACES)
    assert LEVELS["0.6"].features == FEATURES_MASK_V06
    assert LEVELS["0.8"].has(F.MULTIMONITOR)
    assert LEVELS["0.8"].has(F.MULTIMONITOR | F.SURFACES)
    assert not LEVELS["0.6"].has(F.MULTIMONITOR | F.SURFACES)
