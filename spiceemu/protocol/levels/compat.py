"""The ladder: what a server of each version put on the wire, as tables.

This is the only module that knows versions. The others ask a
:class:`~spiceemu.protocol.levels.level.Level` what it has.

A level is a set of features. Two kinds have names. A **version** (``0.8``) is the proposal of 2010 that this project
exists for: the floor of a release series, which every peer of the series understands, with the proposal's MULTIMONITOR
from 0.8 on. A **release** (``0.8.3``) is history: what that very spice-server advertised and sent. ::

    PROTOCOL_MAJOR2 ─ 0.4     SURFACES ─ 0.6     MULTIMONITOR ─ 0.8     … ─ 0.10, 0.12, 0.14, 0.15

MULTIMONITOR stands for two features that upstream brought years apart: several display channels, and MONITORS_CONFIG.
Releases have them one by one; a mask with the proposal's bit has both.

Two bits say what a level lacks (``WITHOUT_…``), so that the proposal's masks keep their values: versions up to 0.12
offer CELT, and every version can migrate by SWITCH_HOST.

The rows come from the sources of the releases and from streams of real ones; ``docs/compat.md`` is made of them.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING

from spiceemu.protocol.capabilities import (
    ChannelType,
    CommonCap,
    DisplayCap,
    InputsCap,
    MainCap,
    PlaybackCap,
    RecordCap,
    SpicevmcCap,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class CompatVersion(IntEnum):
    """The proposal's versions, oldest first."""

    V0_4 = 0
    V0_6 = 1
    V0_8 = 2
    V0_10 = 3
    V0_12 = 4
    V0_14 = 5
    V0_15 = 6

    def __str__(self) -> str:
        return self.name[1:].replace("_", ".")


class Feature(IntFlag):
    """What a message, a capability or a behaviour belongs to. The first three bits are the proposal's."""

    PROTOCOL_MAJOR2 = 1 << 0
    SURFACES = 1 << 1
    MULTIMONITOR = 1 << 2
    MULTI_DISPLAY_CHANNELS = 1 << 3
    MONITORS_CONFIG = 1 << 4
    SMARTCARD = 1 << 5
    AUTH_SELECTION = 1 << 6
    SEMI_SEAMLESS_MIGRATE = 1 << 7
    VOLUME = 1 << 8
    USBREDIR = 1 << 9
    MINI_HEADER = 1 << 10
    NAME_AND_UUID = 1 << 11
    SIZED_STREAM = 1 << 12
    SEAMLESS_MIGRATE = 1 << 13
    AGENT_CONNECTED_TOKENS = 1 << 14
    KEY_SCANCODE = 1 << 15
    COMPOSITE = 1 << 16
    PORT = 1 << 17
    STREAM_REPORT = 1 << 18
    PLAYBACK_LATENCY = 1 << 19
    OPUS = 1 << 20
    WEBDAV = 1 << 21
    STRICT_TICKET = 1 << 22
    LZ4_COMPRESSION = 1 << 23
    PREF_COMPRESSION = 1 << 24
    SILENT_REFUSAL = 1 << 25
    GL_SCANOUT = 1 << 26
    MULTI_CODEC = 1 << 27
    DATA_COMPRESS_LZ4 = 1 << 28
    PREF_VIDEO_CODEC_TYPE = 1 << 29
    OWN_MAIN_WORDS = 1 << 30
    WITHOUT_CELT = 1 << 31
    WITHOUT_MIGRATION = 1 << 32
    CHANNEL_PINGS = 1 << 33


F = Feature

FEATURES: Mapping[Feature, tuple[str, str]] = {
    F.PROTOCOL_MAJOR2: ("0.6.0", "protocol 2; every level has it, 0.4 as well: major 1 is not implemented"),
    F.SURFACES: ("0.6.0", "offscreen surfaces, and the image types that came with them"),
    F.MULTIMONITOR: ("0.8 (proposal)", "MULTI_DISPLAY_CHANNELS and MONITORS_CONFIG, both"),
    F.MULTI_DISPLAY_CHANNELS: ("0.4.0", "a display and a cursor channel for each video card"),
    F.MONITORS_CONFIG: ("0.11.3", "several heads on one display channel"),
    F.SMARTCARD: ("0.7.0", "the smartcard channel"),
    F.AUTH_SELECTION: ("0.8.2", "clients say how they authenticate"),
    F.SEMI_SEAMLESS_MIGRATE: ("0.8.3", "migration with new channels and the old session; protocol 2.1"),
    F.VOLUME: ("0.9.0", "volume and mute of playback and record"),
    F.USBREDIR: ("0.9.1", "the usbredir channel"),
    F.MINI_HEADER: ("0.10.1", "six-byte headers, and LIST; protocol 2.2"),
    F.NAME_AND_UUID: ("0.11.0", "the machine's name and UUID"),
    F.SIZED_STREAM: ("0.11.0", "frames of a video in another size"),
    F.SEAMLESS_MIGRATE: ("0.11.3", "migration of all channels with their state"),
    F.AGENT_CONNECTED_TOKENS: ("0.11.3", "the agent comes with its tokens"),
    F.KEY_SCANCODE: ("0.11.3", "keys of any length in one message"),
    F.COMPOSITE: ("0.12.0", "DRAW_COMPOSITE and pictures of alpha alone"),
    F.PORT: ("0.12.2", "the port channel"),
    F.STREAM_REPORT: ("0.12.3", "clients report how a video goes"),
    F.PLAYBACK_LATENCY: ("0.12.3", "the delay of sound"),
    F.OPUS: ("0.12.5", "Opus"),
    F.WEBDAV: ("0.12.5", "the webdav channel"),
    F.STRICT_TICKET: ("0.12.5", "a ticket that does not decrypt is refused even where no password is asked for"),
    F.LZ4_COMPRESSION: ("0.12.6", "LZ4 pictures"),
    F.PREF_COMPRESSION: ("0.12.6", "clients choose how pictures are encoded"),
    F.SILENT_REFUSAL: ("0.12.6", "a link to a channel that is not there is closed without a word, not with result 9"),
    F.GL_SCANOUT: ("0.13.1", "pictures by file descriptor"),
    F.MULTI_CODEC: ("0.13.2", "video codecs other than MJPEG, and surfaces that are a video"),
    F.DATA_COMPRESS_LZ4: ("0.13.2", "LZ4 on usbredir, port and webdav"),
    F.PREF_VIDEO_CODEC_TYPE: ("0.13.90", "clients choose video codecs"),
    F.OWN_MAIN_WORDS: ("0.15", "NAME_AND_UUID and AGENT_CONNECTED_TOKENS among main's own capabilities"),
    F.WITHOUT_CELT: ("0.14.0", "CELT is gone"),
    F.WITHOUT_MIGRATION: ("0.6.0", "nothing of migration is sent; 0.7.0 brought SWITCH_HOST"),
    F.CHANNEL_PINGS: ("0.12.3", "PING on every channel, not on main alone"),
}
"""Each feature's first release and its meaning."""

FEATURES_MASK_V04 = F.PROTOCOL_MAJOR2
FEATURES_MASK_V06 = F.PROTOCOL_MAJOR2 | F.SURFACES
FEATURES_MASK_V08 = FEATURES_MASK_V06 | F.MULTIMONITOR

_V10 = FEATURES_MASK_V08 | F.SMARTCARD | F.AUTH_SELECTION | F.SEMI_SEAMLESS_MIGRATE | F.VOLUME | F.USBREDIR
_SERIES_0_12 = (
    F.NAME_AND_UUID
    | F.SIZED_STREAM
    | F.MONITORS_CONFIG
    | F.SEAMLESS_MIGRATE
    | F.AGENT_CONNECTED_TOKENS
    | F.KEY_SCANCODE
    | F.COMPOSITE
)
_V12 = _V10 | F.MINI_HEADER | _SERIES_0_12
_LATER_0_12 = (
    F.PORT
    | F.STREAM_REPORT
    | F.PLAYBACK_LATENCY
    | F.CHANNEL_PINGS
    | F.OPUS
    | F.WEBDAV
    | F.STRICT_TICKET
    | F.LZ4_COMPRESSION
    | F.PREF_COMPRESSION
    | F.SILENT_REFUSAL
)
_SERIES_0_14 = F.GL_SCANOUT | F.MULTI_CODEC | F.DATA_COMPRESS_LZ4 | F.PREF_VIDEO_CODEC_TYPE | F.WITHOUT_CELT
_V14 = _V12 | _LATER_0_12 | _SERIES_0_14

VERSIONS: Mapping[CompatVersion, Feature] = {
    CompatVersion.V0_4: FEATURES_MASK_V04,
    CompatVersion.V0_6: FEATURES_MASK_V06,
    CompatVersion.V0_8: FEATURES_MASK_V08,
    CompatVersion.V0_10: _V10,
    CompatVersion.V0_12: _V12,
    CompatVersion.V0_14: _V14,
    CompatVersion.V0_15: _V14 | F.OWN_MAIN_WORDS,
}
"""The mask of each version."""

_R06 = FEATURES_MASK_V06 | F.MULTI_DISPLAY_CHANNELS
_R08 = _R06 | F.SMARTCARD | F.AUTH_SELECTION | F.SEMI_SEAMLESS_MIGRATE
_R10 = _R08 | F.VOLUME | F.USBREDIR | F.MINI_HEADER
_R12 = _R10 | _SERIES_0_12 | _LATER_0_12
_R14 = _R12 | _SERIES_0_14

RELEASES: Mapping[str, Feature] = {
    "0.6.4": _R06 | F.WITHOUT_MIGRATION,
    "0.8.3": _R08,
    "0.10.1": _R10,
    "0.12.8": _R12,
    "0.14.2": _R14,
    "0.15.1": _R14 | F.OWN_MAIN_WORDS,
}
"""The features of each release."""

EXTRAPOLATED: Mapping[str, str] = {
    "0.12.8": "from the last sources of its series that were at hand",
    "0.14.2": "from the development sources of March 2019",
}
"""Releases that were neither run nor read themselves, and what is known of them instead."""

ADVERTISED: Sequence[tuple[ChannelType | None, IntEnum, Feature]] = (
    (None, CommonCap.PROTOCOL_AUTH_SELECTION, F.AUTH_SELECTION),
    (None, CommonCap.AUTH_SPICE, F.AUTH_SELECTION),
    (None, CommonCap.MINI_HEADER, F.MINI_HEADER),
    (ChannelType.MAIN, MainCap.SEMI_SEAMLESS_MIGRATE, F.SEMI_SEAMLESS_MIGRATE),
    (ChannelType.MAIN, MainCap.NAME_AND_UUID, F.OWN_MAIN_WORDS),
    (ChannelType.MAIN, MainCap.AGENT_CONNECTED_TOKENS, F.OWN_MAIN_WORDS),
    (ChannelType.MAIN, MainCap.SEAMLESS_MIGRATE, F.SEAMLESS_MIGRATE),
    (ChannelType.DISPLAY, DisplayCap.MONITORS_CONFIG, F.MONITORS_CONFIG),
    (ChannelType.DISPLAY, DisplayCap.STREAM_REPORT, F.STREAM_REPORT),
    (ChannelType.DISPLAY, DisplayCap.PREF_COMPRESSION, F.PREF_COMPRESSION),
    (ChannelType.DISPLAY, DisplayCap.PREF_VIDEO_CODEC_TYPE, F.PREF_VIDEO_CODEC_TYPE),
    (ChannelType.INPUTS, InputsCap.KEY_SCANCODE, F.KEY_SCANCODE),
    (ChannelType.PLAYBACK, PlaybackCap.CELT_0_5_1, F.PROTOCOL_MAJOR2),
    (ChannelType.PLAYBACK, PlaybackCap.VOLUME, F.VOLUME),
    (ChannelType.PLAYBACK, PlaybackCap.OPUS, F.OPUS),
    (ChannelType.RECORD, RecordCap.CELT_0_5_1, F.PROTOCOL_MAJOR2),
    (ChannelType.RECORD, RecordCap.VOLUME, F.VOLUME),
    (ChannelType.RECORD, RecordCap.OPUS, F.OPUS),
    (ChannelType.USBREDIR, SpicevmcCap.DATA_COMPRESS_LZ4, F.DATA_COMPRESS_LZ4),
    (ChannelType.PORT, SpicevmcCap.DATA_COMPRESS_LZ4, F.DATA_COMPRESS_LZ4),
    (ChannelType.WEBDAV, SpicevmcCap.DATA_COMPRESS_LZ4, F.DATA_COMPRESS_LZ4),
)
"""What a server's reply says it can do: channel (None is every one), capability, and the feature it comes with."""

HEEDED: Sequence[tuple[ChannelType | None, IntEnum, Feature]] = (
    (ChannelType.MAIN, MainCap.NAME_AND_UUID, F.NAME_AND_UUID),
    (ChannelType.MAIN, MainCap.AGENT_CONNECTED_TOKENS, F.AGENT_CONNECTED_TOKENS),
    (ChannelType.DISPLAY, DisplayCap.SIZED_STREAM, F.SIZED_STREAM),
    (ChannelType.DISPLAY, DisplayCap.COMPOSITE, F.COMPOSITE),
    (ChannelType.DISPLAY, DisplayCap.A8_SURFACE, F.COMPOSITE),
    (ChannelType.DISPLAY, DisplayCap.LZ4_COMPRESSION, F.LZ4_COMPRESSION),
    (ChannelType.DISPLAY, DisplayCap.GL_SCANOUT, F.GL_SCANOUT),
    (ChannelType.DISPLAY, DisplayCap.MULTI_CODEC, F.MULTI_CODEC),
    (ChannelType.DISPLAY, DisplayCap.CODEC_MJPEG, F.MULTI_CODEC),
    (ChannelType.DISPLAY, DisplayCap.CODEC_VP8, F.MULTI_CODEC),
    (ChannelType.DISPLAY, DisplayCap.CODEC_H264, F.MULTI_CODEC),
    (ChannelType.DISPLAY, DisplayCap.CODEC_VP9, F.MULTI_CODEC),
    (ChannelType.DISPLAY, DisplayCap.CODEC_H265, F.MULTI_CODEC),
    (ChannelType.PLAYBACK, PlaybackCap.LATENCY, F.PLAYBACK_LATENCY),
)
"""What a server looks for among a client's capabilities without offering it itself; to be read with ADVERTISED."""
