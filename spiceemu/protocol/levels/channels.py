"""The channel types: a row each with all that the protocol says of one, beyond its messages.

Level, gate, judge, likeness and the pages ask this table, most of them through a
:class:`~spiceemu.protocol.levels.level.Level`, which takes another one as an argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spiceemu.protocol.capabilities import (
    ChannelType,
    DisplayCap,
    InputsCap,
    MainCap,
    PlaybackCap,
    RecordCap,
    SpicevmcCap,
    names_in,
)
from spiceemu.protocol.levels.compat import Feature

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import IntEnum

    from spiceemu.protocol.capabilities import Words


class ChannelFacts:
    """What the protocol says of a channel type.

    :param feature: what a level must have for it to exist.
    :param capabilities: the numbers that it defines, if it defines any.
    :param several: what a level must have for ids beyond 0.
    :param window: whether it has an acknowledgement window, in every release.
    :param state: the magic of what it hands over when it migrates, which finds its layout in
        :mod:`spiceemu.protocol.messages.migrate_data`; empty for a channel without a state.
    """

    __slots__ = ("capabilities", "feature", "several", "state", "window")

    def __init__(
        self,
        feature: Feature,
        *,
        capabilities: type[IntEnum] | None = None,
        several: Feature = Feature.PROTOCOL_MAJOR2,
        window: bool = False,
        state: bytes = b"",
    ) -> None:
        self.feature = feature
        self.capabilities = capabilities
        self.several = several
        self.window = window
        self.state = state

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in sorted(self.__slots__))
        return f"ChannelFacts({shown})"


_BASIC, _CARDS = Feature.PROTOCOL_MAJOR2, Feature.MULTI_DISPLAY_CHANNELS

CHANNELS: Mapping[int, ChannelFacts] = {
    ChannelType.MAIN: ChannelFacts(_BASIC, capabilities=MainCap, state=b"MNMD"),
    ChannelType.DISPLAY: ChannelFacts(_BASIC, capabilities=DisplayCap, several=_CARDS, window=True, state=b"DCMD"),
    ChannelType.INPUTS: ChannelFacts(_BASIC, capabilities=InputsCap, state=b"ICMD"),
    ChannelType.CURSOR: ChannelFacts(_BASIC, several=_CARDS, window=True),
    ChannelType.PLAYBACK: ChannelFacts(_BASIC, capabilities=PlaybackCap),
    ChannelType.RECORD: ChannelFacts(_BASIC, capabilities=RecordCap),
    ChannelType.SMARTCARD: ChannelFacts(Feature.SMARTCARD, state=b"SCMD"),
    ChannelType.USBREDIR: ChannelFacts(Feature.USBREDIR, capabilities=SpicevmcCap, state=b"SVMD"),
    ChannelType.PORT: ChannelFacts(Feature.PORT, capabilities=SpicevmcCap, state=b"SVMD"),
    ChannelType.WEBDAV: ChannelFacts(Feature.WEBDAV, capabilities=SpicevmcCap, state=b"SVMD"),
}
"""The channels there are; the tunnel channel was never built by default and is at no level."""


def channels_with_window(channels: Mapping[int, ChannelFacts]) -> list[int]:
    """The channel types with an acknowledgement window."""
    return [channel for channel, facts in channels.items() if facts.window]


def capabilities_of(channel_type: int, channels: Mapping[int, ChannelFacts] = CHANNELS) -> type[IntEnum] | None:
    """The numbers that a channel type defines.

    :returns: None where it defines none, or is no known one.
    """
    facts = channels.get(channel_type)
    return None if facts is None else facts.capabilities


def channel_names(channel_type: int, words: Words) -> list[str]:
    """Name the capabilities of one channel type.

    :returns: lowest number first; an unknown one is ``bit N``.
    """
    return names_in(capabilities_of(channel_type), words)
