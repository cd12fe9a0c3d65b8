"""What a server of some version can do, as feature bits.

The first three bits are those of the 2010 proposal; the others are ours and name what later levels brought.
"""

from __future__ import annotations

from enum import IntFlag


class Feature(IntFlag):
    """What a message, a capability or a behaviour belongs to."""

    PROTOCOL_MAJOR2 = 1 << 0
    SURFACES = 1 << 1
    MULTIMONITOR = 1 << 2
    SWITCH_HOST = 1 << 3
    SEMI_SEAMLESS_MIGRATE = 1 << 4
    SEAMLESS_MIGRATE = 1 << 5
    VOLUME = 1 << 6
    MINI_HEADER = 1 << 7
    NAME_AND_UUID = 1 << 8
    SIZED_STREAM = 1 << 9
    MONITORS_CONFIG = 1 << 10
    AGENT_CONNECTED_TOKENS = 1 << 11
    KEY_SCANCODE = 1 << 12
    COMPOSITE = 1 << 13
    PORT = 1 << 14
    STREAM_REPORT = 1 << 15
    PLAYBACK_LATENCY = 1 << 16
    PREF_COMPRESSION = 1 << 17
    PREF_VIDEO_CODEC_TYPE = 1 << 18
    DATA_COMPRESS_LZ4 = 1 << 19
    GL_SCANOUT = 1 << 20
    SMARTCARD = 1 << 21
    USBREDIR = 1 << 22
