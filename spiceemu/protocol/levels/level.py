"""A level: a set of features, and all that follows from it.

The minor version, every channel's capability words, which channels there are and how clients are moved come from the
features by the rules here; which messages may travel, and what in them, is judged by
:mod:`spiceemu.protocol.levels.gate`.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from spiceemu.errors import InvalidValue
from spiceemu.protocol.capabilities import ChannelType, DisplayCap, PlaybackCap, RecordCap, has_capability, to_words
from spiceemu.protocol.levels.channels import CHANNELS
from spiceemu.protocol.levels.compat import ADVERTISED, HEEDED, RELEASES, VERSIONS, CompatVersion, Feature

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from spiceemu.protocol.capabilities import Words
    from spiceemu.protocol.levels.channels import ChannelFacts

PARTS_OF_MULTIMONITOR = Feature.MULTI_DISPLAY_CHANNELS | Feature.MONITORS_CONFIG

CELT = PlaybackCap.CELT_0_5_1, RecordCap.CELT_0_5_1


class MigrationScheme(Enum):
    """How a level moves its clients to another server."""

    NONE = "none"
    SWITCH_HOST = "switch host"
    SEMI_SEAMLESS = "semi-seamless"
    SEAMLESS = "seamless"


class Level:
    """A set of features, and what follows from it.

    :param features: completed by what its bits imply (see :func:`completed`).
    :param name: how it is called; found out if not given.
    :param channels: the channel types there are, for a test with one of its own.
    """

    __slots__ = ("_words", "facts", "features", "name")

    def __init__(self, features: int, name: str = "", channels: Mapping[int, ChannelFacts] = CHANNELS) -> None:
        self.features = completed(features)
        self.facts = channels
        self.name = name or _name_of(self.features)
        self._words: dict[int, tuple[Words, Words]] = {}

    def __repr__(self) -> str:
        return f"<Level {self.name}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Level) and other.features == self.features and other.facts == self.facts

    def __hash__(self) -> int:
        return hash(self.features)

    def has(self, feature: Feature) -> bool:
        """Whether it has all of a feature's bits."""
        return feature in self.features

    @property
    def minor(self) -> int:
        """Minor version of the protocol in the link's headers (spice-protocol's ``SPICE_VERSION_MINOR``)."""
        return minor_of(self.features)

    @property
    def channels(self) -> list[ChannelType]:
        """The channel types that exist."""
        return [ChannelType(channel) for channel, facts in self.facts.items() if self.has(facts.feature)]

    def has_channel(self, channel_type: int, channel_id: int = 0) -> bool:
        """Whether a channel, which may be of no known type, can exist."""
        facts = self.facts.get(channel_type)
        return facts is not None and self.has(facts.feature) and (not channel_id or self.has(facts.several))

    @property
    def migration(self) -> MigrationScheme:
        """The best scheme it has, as a source and as a target; with each it has those before it, to fall back to."""
        if self.has(Feature.WITHOUT_MIGRATION):
            return MigrationScheme.NONE
        if not self.has(Feature.SEMI_SEAMLESS_MIGRATE):
            return MigrationScheme.SWITCH_HOST
        return MigrationScheme.SEAMLESS if self.has(Feature.SEAMLESS_MIGRATE) else MigrationScheme.SEMI_SEAMLESS

    @property
    def takes_sessions(self) -> bool:
        """Whether a client may bring its session here from another server."""
        return self.migration in (MigrationScheme.SEMI_SEAMLESS, MigrationScheme.SEAMLESS)

    def advertised(self, channel_type: int | None) -> frozenset[int]:
        """Numbers of the capabilities that it can advertise: a channel's own, or the common ones for None."""
        return frozenset(
            capability
            for channel, capability, feature in ADVERTISED
            if channel == channel_type
            and self.has(feature)
            and not (any(capability is each for each in CELT) and self.has(Feature.WITHOUT_CELT))
        )

    def heeded(self, channel_type: int | None) -> frozenset[int]:
        """Numbers of the capabilities of a client that it knows, and so acts upon."""
        listed = {int(capability): self.has(f) for channel, capability, f in HEEDED if channel == channel_type}
        # What it offers it heeds as well, unless what the capability is about is not there at all.
        offered = {capability for capability in self.advertised(channel_type) if listed.get(capability, True)}
        return frozenset(offered.union(capability for capability, known in listed.items() if known))

    def words(self, channel_type: int, client_words: Words = ()) -> tuple[Words, Words]:
        """The common words and the channel words of a link reply.

        MONITORS_CONFIG, which MULTIMONITOR brings to levels whose real servers never offered it, is offered there only
        to a client that offers it: so no stream to a client of that time shows a difference.

        :param client_words: the channel words of the link message.
        :returns: the tuple of common words, then that of channel words.
        """
        found = self._words.get(channel_type)
        if found is None:
            found = to_words(self.advertised(None)), to_words(self.advertised(channel_type))
            self._words[channel_type] = found
        by_answer = channel_type == ChannelType.DISPLAY and self.offers_monitors_by_answer
        if by_answer and not has_capability(client_words, DisplayCap.MONITORS_CONFIG):
            return found[0], to_words(self.advertised(channel_type) - {DisplayCap.MONITORS_CONFIG})
        return found

    @property
    def offers_monitors_by_answer(self) -> bool:
        """Whether MONITORS_CONFIG is here by the proposal alone: upstream brought it after protocol 2.2."""
        return self.has(Feature.MONITORS_CONFIG) and not self.has(Feature.MINI_HEADER)


def minor_of(features: Feature) -> int:
    """The minor version that came with features."""
    return 2 if Feature.MINI_HEADER in features else 1 if Feature.SEMI_SEAMLESS_MIGRATE in features else 0


def completed(mask: int) -> Feature:
    """A mask with what its bits imply: MULTIMONITOR is its two parts, and both parts are MULTIMONITOR.

    :param mask: features, or their bits as a plain number.
    :returns: the features, with those that were added.
    :raises InvalidValue: it has an unknown bit, or lacks PROTOCOL_MAJOR2.
    """
    mask = int(mask)
    known = sum(map(int, Feature))
    if mask < 0 or mask & ~known:
        raise InvalidValue(f"feature mask {mask:#x} has bits beyond those there are, {known:#x}")
    features = Feature(mask)
    if Feature.PROTOCOL_MAJOR2 not in features:
        raise InvalidValue(f"feature mask {mask:#x} lacks PROTOCOL_MAJOR2: major 1 is not implemented")
    if Feature.MULTIMONITOR in features or PARTS_OF_MULTIMONITOR in features:
        features |= PARTS_OF_MULTIMONITOR | Feature.MULTIMONITOR
    return features


def get_current_compat_version() -> CompatVersion:
    """The newest version there is; the default of every server is its newest release."""
    return max(CompatVersion)


def get_supported_features() -> Feature:
    """The features of the newest version: all there are, but for what some older level lacks by a bit of its own."""
    return completed(VERSIONS[get_current_compat_version()])


def level_of(wanted: str | int | Level) -> Level:
    """A level by its name: a version (``0.8``) or a release (``0.8.3``); or by the version's number in the proposal.

    :returns: the level; what is one already is taken as it is.
    :raises InvalidValue: there is none of that name; the text has those there are.
    """
    if isinstance(wanted, Level):
        return wanted
    name = next((str(version) for version in CompatVersion if version == wanted), str(wanted))
    found = LEVELS.get(name)
    if found is None:
        raise InvalidValue(f"there is no compat level {name!r}; there are {', '.join(LEVELS)}")
    return found


def changed(level: Level, changes: str) -> Level:
    """A level with features added and taken away: ``+SURFACES,-MULTIMONITOR``.

    :returns: another level, named after the nearest one and what differs; the channel types stay.
    :raises InvalidValue: a change does not begin with + or -, or names no feature; one is both added and taken away; or
        PROTOCOL_MAJOR2 is taken away.
    """
    if not isinstance(changes, str):
        raise InvalidValue(f"features are changes such as +SURFACES,-MULTIMONITOR, not {changes!r:.60}")
    added = taken = Feature(0)
    for change in changes.split(","):
        sign, name = change[:1], change[1:].upper()
        feature = Feature.__members__.get(name)
        if sign not in ("+", "-") or feature is None:
            raise InvalidValue(
                f"{change!r:.60} is not a feature with + or - before it{_similar(name)}; spiceemu compat lists them"
            )
        if feature is Feature.MULTIMONITOR:
            feature |= PARTS_OF_MULTIMONITOR
        if sign == "+":
            added |= feature
        else:
            taken |= feature
    for feature in each_feature(added & taken):
        raise InvalidValue(f"{changes!r:.60} both adds and takes away {feature.name}")
    if taken & PARTS_OF_MULTIMONITOR:
        taken |= Feature.MULTIMONITOR
    return Level((level.features | added) & ~taken, channels=level.facts)


def _similar(name: str) -> str:
    from difflib import get_close_matches  # here, as few need it

    return "".join(f", such as +{match}" for match in get_close_matches(name, Feature.__members__, n=1))


def _name_of(features: Feature) -> str:
    """The name of a known level, or the nearest one's with what differs."""
    if not LEVELS:
        return ""
    nearest = min(LEVELS.values(), key=lambda level: (int(level.features ^ features).bit_count(), level.name))
    more = [f"+{feature.name}" for feature in each_feature(features & ~nearest.features)]
    less = [f"-{feature.name}" for feature in each_feature(nearest.features & ~features)]
    return " ".join([nearest.name, *more, *less])


def each_feature(mask: Feature) -> Iterator[Feature]:
    """The features of a mask, by bit."""
    return (feature for feature in Feature if feature in mask)


LEVELS: dict[str, Level] = {}
"""Every level that has a name: versions, oldest first, then releases."""

for _version, _mask in VERSIONS.items():
    LEVELS[str(_version)] = Level(_mask, str(_version))
for _release, _mask in RELEASES.items():
    LEVELS[_release] = Level(_mask, _release)

CURRENT = LEVELS["0.15.1"]
"""The level of a server that is told nothing: the newest release."""
