"""The tables that a server is made of, in one value, so that a test can hand in its own."""

from __future__ import annotations

from dataclasses import dataclass

from spiceemu.channels.table import CHANNELS, ChannelRow


@dataclass(frozen=True, slots=True)
class Tables:
    """What there is of each kind; the defaults are all that this package has.

    :ivar channels: the channel types that are served.
    """

    channels: tuple[ChannelRow, ...] = CHANNELS
