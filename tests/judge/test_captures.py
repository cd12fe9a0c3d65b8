"""Recorded sessions of real servers: clean at the server's own release, and lower down exactly what is newer falls."""

from __future__ import annotations

from collections import Counter

import pytest

from spiceemu.judge.finding import Finding
from spiceemu.protocol.levels.level import level_of

from ..protocol import captures
from . import recorded

SESSIONS = list(captures.expectations())
OF_0_8 = [session for session in SESSIONS if recorded.release_of(session) == "0.8.3"]
OF_0_6 = [session for session in SESSIONS if recorded.release_of(session) == "0.6.4"]
OF_0_15 = [session for session in SESSIONS if recorded.release_of(session) == "0.15.1"]

SEAMLESS_SOURCE = "0.15.1/qemu__migration-seamless-source"
SEMI_SOURCE = "0.15.1/qemu__migration-semi-source"


def names(found: list[Finding]) -> Counter[str]:
    return Counter(finding.name for finding in found)


def at(session: str, level: str) -> Counter[str]:
    return names(recorded.judged(recorded.parts(session), level_of(level)))


def connections(session: str) -> int:
    """How many connections have a reply of the server."""
    return sum(
        captures.stream(session, expected.connection, "s2c") is not None
        for expected in captures.expectations()[session]
    )


def mains(session: str) -> int:
    """How many of these are main channels."""
    links = [part for part in recorded.parts(session) if part.data.startswith(b"REDQ")]
    replied = {part.connection for part in links if part.direction == recorded.SERVER}
    return sum(part.connection in replied and part.data[20] == 1 for part in links if part.direction == recorded.CLIENT)


@pytest.mark.parametrize("session", SESSIONS)
def test_a_session_is_clean_at_its_own_release(session: str) -> None:
    assert recorded.judged(recorded.parts(session), level_of(recorded.release_of(session))) == []


def test_every_session_has_been_judged() -> None:
    assert len(SESSIONS) == 83
    assert (len(OF_0_6), len(OF_0_8), len(OF_0_15)) == (21, 22, 40)


@pytest.mark.parametrize("session", ["0.15.1/qemu__spice-html5-0.3", OF_0_8[1], SEAMLESS_SOURCE])
def test_bytes_may_come_in_any_pieces(session: str) -> None:
    def bits(data: bytes) -> list[bytes]:
        step = 7 if len(data) < 4096 else 1499
        return [data[start : start + step] for start in range(0, len(data), step)]

    parts = recorded.parts(session)
    lower = level_of("0.4")
    assert recorded.judged(parts, level_of(recorded.release_of(session)), bits) == []
    assert recorded.judged(parts, lower, bits) == recorded.judged(parts, lower)


@pytest.mark.parametrize("session", OF_0_8)
@pytest.mark.parametrize("level", ["0.8", "0.6", "0.6.4"])
def test_a_server_0_8_3_at_lower_levels_differs_in_its_link_alone(session: str, level: str) -> None:
    links = connections(session)
    expected = {
        "minor 1": links,
        "common capability PROTOCOL_AUTH_SELECTION": links,
        "common capability AUTH_SPICE": links,
        "capability MainCap.SEMI_SEAMLESS_MIGRATE": mains(session),
    }
    assert at(session, level) == +Counter(expected)


@pytest.mark.parametrize("session", OF_0_6)
@pytest.mark.parametrize("level", ["0.6", "0.8"])
def test_a_server_0_6_4_says_nothing_that_the_versions_would_not(session: str, level: str) -> None:
    assert at(session, level) == {}


@pytest.mark.parametrize("session", OF_0_6)
def test_a_server_0_6_4_has_surfaces_that_0_4_has_not(session: str) -> None:
    counted: Counter[str] = Counter()
    for expected in captures.expectations()[session]:
        counted["display.SurfaceCreate"] += (expected.server or {}).get("314", 0)
    counted["image type JPEG in display.DrawCopy"] = 4 * session.endswith("comp-jpeg")
    counted["image type ZLIB_GLZ_RGB in display.DrawCopy"] = 10 * session.endswith("comp-zlib-glz")
    assert at(session, "0.4") == +counted


@pytest.mark.parametrize("session", OF_0_6)
def test_a_server_0_6_4_says_nothing_that_0_8_3_would_not(session: str) -> None:
    assert at(session, "0.8.3") == Counter()


# A server 0.15.1 on its way down. A step says what falls at its level and did not above; less than none means that a
# thing is no longer found of itself, because its channel is.

#: main, display, inputs and cursor; the display's words are 0x1052, main's 0xf.
SEMI = [
    ("0.14", {"capability MainCap.NAME_AND_UUID": 1, "capability MainCap.AGENT_CONNECTED_TOKENS": 1}),
    (
        "0.12",
        {
            "capability DisplayCap.STREAM_REPORT": 1,
            "capability DisplayCap.PREF_COMPRESSION": 1,
            "capability DisplayCap.PREF_VIDEO_CODEC_TYPE": 1,
            "base.Ping": 6,  # two each of display, inputs and cursor
            "base.Pong": 6,
        },
    ),
    (
        "0.10.1",
        {
            "capability DisplayCap.MONITORS_CONFIG": 1,
            "capability InputsCap.KEY_SCANCODE": 1,
            "capability MainCap.SEAMLESS_MIGRATE": 1,
            "display.MonitorsConfig": 3,
            "main.Name": 1,
            "main.Uuid": 1,
        },
    ),
    ("0.8.3", {"common capability MINI_HEADER": 4, "minor 2": 4}),
    (
        "0.6",
        {
            "capability MainCap.SEMI_SEAMLESS_MIGRATE": 1,
            "common capability AUTH_SPICE": 4,
            "common capability PROTOCOL_AUTH_SELECTION": 4,
            "main.MigrateBegin": 1,
            "main.MigrateEnd": 1,
        },
    ),
    ("0.4", {"display.SurfaceCreate": 3, "display.SurfaceDestroy": 2}),
]

#: Two displays with a cursor each, sound both ways, two usbredir, a port and webdav; moved with all their state.
SEAMLESS = [
    ("0.14", {"capability MainCap.NAME_AND_UUID": 1, "capability MainCap.AGENT_CONNECTED_TOKENS": 1}),
    (
        "0.12",
        {
            "Opus in playback.Mode": 1,
            "capability DisplayCap.STREAM_REPORT": 2,
            "capability DisplayCap.PREF_COMPRESSION": 2,
            "capability DisplayCap.PREF_VIDEO_CODEC_TYPE": 2,
            "capability PlaybackCap.OPUS": 1,
            "capability RecordCap.OPUS": 1,
            "capability SpicevmcCap.DATA_COMPRESS_LZ4": 2,  # of usbredir
            "channel port:0": 1,
            "channel port:0 in main.ChannelsList": 1,
            "channel webdav:0": 1,
            "channel webdav:0 in main.ChannelsList": 1,
            "base.Ping": 18,  # two on every channel but main, port and webdav
            "base.Pong": 18,
        },
    ),
    (
        "0.10.1",
        {
            "base.Migrate": 10,  # on every channel but port and webdav
            "base.MigrateFlushMark": 6,  # of main, two displays, inputs, two usbredir
            "base.MigrateData": 6,
            "capability DisplayCap.MONITORS_CONFIG": 2,
            "capability InputsCap.KEY_SCANCODE": 1,
            "capability MainCap.SEAMLESS_MIGRATE": 1,
            "display.MonitorsConfig": 3,
            "main.MigrateBeginSeamless": 1,
            "main.MigrateConnectedSeamless": 1,
            "main.Name": 1,
            "main.Uuid": 1,
        },
    ),
    (
        "0.8.3",
        {
            "base.Migrate": -2,
            "base.MigrateFlushMark": -2,
            "base.MigrateData": -2,
            "base.Ping": -4,
            "base.Pong": -4,
            "capability SpicevmcCap.DATA_COMPRESS_LZ4": -2,
            "capability PlaybackCap.VOLUME": 1,
            "capability RecordCap.VOLUME": 1,
            "channel usbredir:0": 1,
            "channel usbredir:0 in main.ChannelsList": 1,
            "channel usbredir:1": 1,
            "channel usbredir:1 in main.ChannelsList": 1,
            "common capability MINI_HEADER": 12,
            "minor 2": 12,
        },
    ),
    (
        "0.6",
        {
            "base.Migrate": -2,  # of the second display and its cursor
            "base.MigrateFlushMark": -1,
            "base.MigrateData": -1,
            "base.Ping": -4,
            "base.Pong": -4,
            "capability DisplayCap.MONITORS_CONFIG": -1,
            "capability DisplayCap.STREAM_REPORT": -1,
            "capability DisplayCap.PREF_COMPRESSION": -1,
            "capability DisplayCap.PREF_VIDEO_CODEC_TYPE": -1,
            "capability MainCap.SEMI_SEAMLESS_MIGRATE": 1,
            "channel cursor:1": 1,
            "channel cursor:1 in main.ChannelsList": 1,
            "channel display:1": 1,
            "channel display:1 in main.ChannelsList": 1,
            "common capability AUTH_SPICE": 12,
            "common capability PROTOCOL_AUTH_SELECTION": 12,
        },
    ),
    ("0.4", {"display.SurfaceCreate": 3, "display.SurfaceDestroy": 2}),
]


@pytest.mark.parametrize(
    ("session", "steps"),
    [(SEMI_SOURCE, SEMI), (SEAMLESS_SOURCE, SEAMLESS)],
    ids=["semi", "seamless"],
)
def test_what_falls_on_the_way_down_from_0_15_1(session: str, steps: list[tuple[str, dict[str, int]]]) -> None:
    expected: Counter[str] = Counter()
    for level, falls in steps:
        expected.update(falls)
        assert at(session, level) == expected, level


def test_all_that_falls_of_all_recordings_of_0_15_1() -> None:
    """In numbers: image types and messages, by what ``sessions.jsonl`` counts."""
    found: Counter[str] = Counter()
    counted: Counter[str] = Counter()
    for session in OF_0_15:
        found += at(session, "0.4")
        for expected in captures.expectations()[session]:
            for number, count in (expected.server or {}).items():
                counted[number] += count
    assert found["display.SurfaceCreate"] == counted["314"]
    assert found["display.SurfaceDestroy"] == counted["315"]
    assert found["display.MonitorsConfig"] == counted["317"]
    assert found["display.StreamActivateReport"] == counted["319"]
    assert found["main.Name"] == counted["113"]
    assert found["image type SURFACE in display.DrawCopy"] == 504
    assert found["image type ZLIB_GLZ_RGB in display.DrawCopy"] == 1662


def test_a_finding_says_what_and_where() -> None:
    (first, *_) = recorded.judged(recorded.parts(SEMI_SOURCE), level_of("0.10.1"))
    assert str(first) == (
        "001 main:0 server (link, offset 198): capability: capability MainCap.NAME_AND_UUID is offered, "
        "which level 0.10.1 does not know"
    )
    (monitors, *_) = (
        finding
        for finding in recorded.judged(recorded.parts(SEMI_SOURCE), level_of("0.10.1"))
        if finding.name == "display.MonitorsConfig"
    )
    assert (monitors.channel, monitors.direction, monitors.kind.value) == ("display:0", "server", "message")
    data = captures.stream(SEMI_SOURCE, "002", "s2c")
    assert data is not None
    assert int.from_bytes(data[monitors.offset : monitors.offset + 2], "little") == 317
    assert monitors.explanation == "display.MonitorsConfig needs MONITORS_CONFIG, which level 0.10.1 does not have"
