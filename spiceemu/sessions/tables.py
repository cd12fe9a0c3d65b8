"""The tables that a server is made of, in one value, so that a test can hand in its own (``docs/adding.md``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from spiceemu.channels.lowering import LOWERINGS, Lowerings
from spiceemu.channels.table import CHANNELS, ChannelRow
from spiceemu.codecs.table import CODECS, Codec
from spiceemu.guest.parts import PARTS, PartRow


class Tables(NamedTuple):
    """What there is of each kind; the defaults are all that this package has.

    :ivar channels: the channel types that are served.
    :ivar parts: what a guest is made of; what paints operations and what an agent does are arguments of parts.
    :ivar codecs: the ways to encode pictures, the preferred one first.
    :ivar lowerings: how operations travel as what they are.
    """

    channels: Sequence[ChannelRow] = CHANNELS
    parts: Sequence[PartRow] = PARTS
    codecs: Sequence[Codec] = CODECS
    lowerings: Lowerings = LOWERINGS
