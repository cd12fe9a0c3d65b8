"""The tables of the ladder, against what was found out about each release and what real servers sent."""

from __future__ import annotations

import itertools
import json
import struct
from pathlib import Path
from typing import Any

import pytest

from spiceemu.protocol.capabilities import ChannelType, CommonCap, Words
from spiceemu.protocol.levels.channels import CHANNELS, capabilities_of
from spiceemu.protocol.levels.compat import (
    ADVERTISED,
    EXTRAPOLATED,
    FEATURES,
    FEATURES_MASK_V04,
    FEATURES_MASK_V06,
    FEATURES_MASK_V08,
    HEEDED,
    RELEASES,
    VERSIONS,
    CompatVersion,
    Feature,
)
from spiceemu.protocol.levels.level import LEVELS

DATA = Path(__file__).parents[2] / "data"
EVIDENCE: dict[str, Any] = json.loads((DATA / "compat" / "releases.json").read_text())

#: The releases in the recordings, by what their names begin with.
RECORDED = {"old-peers/server-0.6__": "0.6.4", "old-peers/server-0.8__": "0.8.3", "old-peers/server-0.15__": "0.15.1"}
RECORDED["0.15.1/"] = "0.15.1"
SASL = 1 << CommonCap.AUTH_SASL


def test_the_masks_of_the_proposal() -> None:
    assert (FEATURES_MASK_V04, FEATURES_MASK_V06, FEATURES_MASK_V08) == (1, 3, 7)
    assert (Feature.PROTOCOL_MAJOR2, Feature.SURFACES, Feature.MULTIMONITOR) == (1, 2, 4)
    assert [int(version) for version in CompatVersion] == list(range(7))
    assert list(map(str, CompatVersion)) == ["0.4", "0.6", "0.8", "0.10", "0.12", "0.14", "0.15"]
    assert list(VERSIONS) == list(CompatVersion)


def test_every_feature_is_a_bit_of_its_own_and_explained() -> None:
    assert [int(feature) for feature in Feature] == [1 << bit for bit in range(len(Feature))]
    assert list(FEATURES) == list(Feature)
    assert all(since and meaning for since, meaning in FEATURES.values())
    assert set(EXTRAPOLATED) < set(RELEASES)


def test_later_levels_lose_nothing_but_what_they_name() -> None:
    lost = Feature.WITHOUT_CELT | Feature.WITHOUT_MIGRATION
    for masks in (list(VERSIONS.values()), list(RELEASES.values())):
        for earlier, later in itertools.pairwise(masks):
            assert earlier & ~lost in later


@pytest.mark.parametrize("release", RELEASES)
def test_each_release_offers_what_it_did(release: str) -> None:
    level, row = LEVELS[release], EVIDENCE[release]
    assert level.minor == row["minor"]
    offered = {
        channel.name.lower(): dict(zip(("common_words", "channel_words"), map(list, level.words(channel)), strict=True))
        for channel in level.channels
    }
    assert offered == row["channels"]
    for channel in level.channels:  # a release of old offers the same to everybody
        assert level.words(channel, (0xFFFFFFFF,)) == level.words(channel)


def test_the_evidence_has_every_release() -> None:
    assert list(EVIDENCE) == list(RELEASES)


def recorded() -> list[tuple[str, str, int, tuple[int, int], Words, Words]]:
    """Row, release, channel type, version and words of each link that a real server accepted."""
    found = []
    for line in (DATA / "links" / "recorded-links.jsonl").read_text().splitlines():
        row = json.loads(line)
        (release,) = {release for start, release in RECORDED.items() if row["name"].startswith(start)}
        server = bytes.fromhex(row["s2c"])
        error, common, channel, offset = struct.unpack_from("<I162x3I", server, 16)
        words = struct.unpack_from(f"<{common + channel}I", server, 16 + offset)
        kind = bytes.fromhex(row["c2s"])[20]
        if not error and not (common and words[0] & SASL):  # SASL is offered in place of the ticket, which we do not do
            found.append(
                (row["name"], release, kind, struct.unpack_from("<II", server, 4), words[:common], words[common:])
            )
    return found


ROWS = recorded()


@pytest.mark.parametrize(
    ("name", "release", "kind", "version", "common", "channel"), ROWS, ids=[row[0] for row in ROWS]
)
def test_a_real_server_offered_the_same(
    name: str, release: str, kind: int, version: tuple[int, int], common: Words, channel: Words
) -> None:
    level = LEVELS[release]
    assert (2, level.minor) == version
    assert level.has_channel(kind)
    assert level.words(kind) == (common, channel)


def test_the_recordings_are_of_three_releases() -> None:
    assert {row[1] for row in ROWS} == {"0.6.4", "0.8.3", "0.15.1"}


def test_capabilities_in_the_tables_are_those_of_their_channels() -> None:
    for channel, capability, _ in (*ADVERTISED, *HEEDED):
        kind = CommonCap if channel is None else capabilities_of(channel)
        assert type(capability) is kind
    rows = [(channel, capability) for channel, capability, _ in (*ADVERTISED, *HEEDED)]
    own = {(ChannelType.MAIN, 1), (ChannelType.MAIN, 2)}  # heeded before they were offered
    assert {row for row in rows if rows.count(row) > 1} == own
    assert ChannelType.TUNNEL not in CHANNELS
    everything = {
        (channel, capability) for channel, facts in CHANNELS.items() for capability in facts.capabilities or ()
    }
    assert everything <= set(rows)
