"""Channel types and capability numbers, and the sets of them that a link exchanges.

On the wire a set of capabilities is a list of little-endian 32-bit words; capability *n* is bit ``n % 32`` of word
``n // 32``. The empty set is **no words**, not one zero word. Every link carries two lists: the common ones, equal on
all channels, and those of the channel's own type. Inside the program a list is a tuple of words (``Words``) as it
travels, or a frozenset of numbers where it is calculated with.

Numbers: spice-protocol ``spice/protocol.h`` and ``spice/enums.h``.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from spiceemu.errors import InvalidValue
from spiceemu.protocol.limits import MAX_CAPABILITY_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable

Words = tuple[int, ...]

WORD_BITS = 32


class ChannelType(IntEnum):
    """What a connection is for: ``channel_type`` of the link message and of CHANNELS_LIST."""

    MAIN = 1
    DISPLAY = 2
    INPUTS = 3
    CURSOR = 4
    PLAYBACK = 5
    RECORD = 6
    TUNNEL = 7
    SMARTCARD = 8
    USBREDIR = 9
    PORT = 10
    WEBDAV = 11


class CommonCap(IntEnum):
    """Capabilities of every channel; ``AUTH_SPICE`` and ``AUTH_SASL`` are also the numbers of the mechanisms."""

    PROTOCOL_AUTH_SELECTION = 0
    AUTH_SPICE = 1
    AUTH_SASL = 2
    MINI_HEADER = 3


class MainCap(IntEnum):
    """Capabilities of the main channel."""

    SEMI_SEAMLESS_MIGRATE = 0
    NAME_AND_UUID = 1
    AGENT_CONNECTED_TOKENS = 2
    SEAMLESS_MIGRATE = 3


class DisplayCap(IntEnum):
    """Capabilities of a display channel. The PREF ones tell what the *server* understands, the others the client."""

    SIZED_STREAM = 0
    MONITORS_CONFIG = 1
    COMPOSITE = 2
    A8_SURFACE = 3
    STREAM_REPORT = 4
    LZ4_COMPRESSION = 5
    PREF_COMPRESSION = 6
    GL_SCANOUT = 7
    MULTI_CODEC = 8
    CODEC_MJPEG = 9
    CODEC_VP8 = 10
    CODEC_H264 = 11
    PREF_VIDEO_CODEC_TYPE = 12
    CODEC_VP9 = 13
    CODEC_H265 = 14


class InputsCap(IntEnum):
    """Capabilities of the inputs channel."""

    KEY_SCANCODE = 0


class PlaybackCap(IntEnum):
    """Capabilities of the playback channel."""

    CELT_0_5_1 = 0
    VOLUME = 1
    LATENCY = 2
    OPUS = 3


class RecordCap(IntEnum):
    """Capabilities of the record channel; OPUS has another number than in playback."""

    CELT_0_5_1 = 0
    VOLUME = 1
    OPUS = 2


class SpicevmcCap(IntEnum):
    """Capabilities of the channels that carry plain bytes: usbredir, port and webdav."""

    DATA_COMPRESS_LZ4 = 0


def to_words(capabilities: Iterable[int]) -> Words:
    """Return the fewest words that hold these capability numbers.

    :returns: the lowest word first; no words for no numbers.
    :raises InvalidValue: a number is negative or does not fit into ``MAX_CAPABILITY_WORDS`` words.
    """
    bits = 0
    for number in capabilities:
        if not 0 <= number < MAX_CAPABILITY_WORDS * WORD_BITS:
            raise InvalidValue(f"capability {number}: only {MAX_CAPABILITY_WORDS} words of {WORD_BITS} bits fit")
        bits |= 1 << number
    count = -(-bits.bit_length() // WORD_BITS)
    return tuple(bits >> index * WORD_BITS & 0xFFFFFFFF for index in range(count))


def from_words(words: Words) -> frozenset[int]:
    """Return the capability numbers set in a list of words."""
    return frozenset(
        index * WORD_BITS + bit for index, word in enumerate(words) for bit in range(WORD_BITS) if word >> bit & 1
    )


def has_capability(words: Words, number: int) -> bool:
    """Tell whether a list of words has this capability; a list too short for it does not."""
    index, bit = divmod(number, WORD_BITS)
    return index < len(words) and bool(words[index] >> bit & 1)


def is_channel_type(number: int) -> bool:
    """Whether a number is a channel type of the protocol."""
    return number in ChannelType.__members__.values()


def type_name(channel_type: int) -> str:
    """A channel type's name, or its number if it has none."""
    return ChannelType(channel_type).name.lower() if is_channel_type(channel_type) else f"type {channel_type}"


def channel_name(channel_type: int, channel_id: int) -> str:
    """A channel's name, such as ``display:0``; a type that is none of the protocol's is its number."""
    return f"{type_name(channel_type) if is_channel_type(channel_type) else channel_type}:{channel_id}"


def common_names(words: Words) -> list[str]:
    """Name the common capabilities in a list of words, lowest number first."""
    return names_in(CommonCap, words)


def names_in(known: type[IntEnum] | None, words: Words) -> list[str]:
    """Name the capabilities in a list of words, lowest number first; one without a name is ``bit N``."""
    texts = {} if known is None else {member.value: member.name for member in known}
    return [texts.get(number, f"bit {number}") for number in sorted(from_words(words))]
