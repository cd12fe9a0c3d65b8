"""What the channels of one client share: the session's, not any channel's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spiceemu.channels.lowering import LOWERINGS
from spiceemu.channels.pixmap_cache import ClientCache
from spiceemu.channels.tap import Taps
from spiceemu.channels.view import window_of
from spiceemu.codecs.compression import DEFAULT_COMPRESSION
from spiceemu.codecs.table import CODECS
from spiceemu.protocol.enums import MouseMode
from spiceemu.protocol.levels.level import CURRENT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from spiceemu.channels.lowering import Lowerings
    from spiceemu.codecs.table import Codec
    from spiceemu.guest.machine import Guest
    from spiceemu.protocol.capabilities import ChannelType
    from spiceemu.protocol.levels.level import Level

MOUSE_MODES = MouseMode.SERVER | MouseMode.CLIENT
"""Both: the guest has a tablet."""


class Shared:
    """One client's common state.

    :param guest: the machine that its channels show.
    :param session_id: what ties the channels together (``connection_id`` of their links).
    :param offered: type and id of the channels that may be opened, main apart.
    :param level: what the server behaves like, to the end of the session.
    :param compression: how pictures are encoded, a word of :mod:`spiceemu.codecs.compression`.
    :param codecs: the ways to encode pictures.
    :param lowerings: how operations travel as what they are.
    :param taps: what sees every message.
    :param now: when the session begins; its multimedia clock counts from here.
    """

    def __init__(
        self,
        guest: Guest,
        *,
        session_id: int,
        offered: Sequence[tuple[ChannelType, int]],
        level: Level = CURRENT,
        compression: str = DEFAULT_COMPRESSION,
        codecs: Sequence[Codec] = CODECS,
        lowerings: Lowerings = LOWERINGS,
        taps: Taps | None = None,
        now: float,
    ) -> None:
        self.guest = guest
        self.session_id = session_id
        self.offered = offered
        self.level = level
        self.compression = compression
        self.codecs = codecs
        self.lowerings = lowerings
        self.taps = Taps() if taps is None else taps
        self.mouse_mode = MouseMode.SERVER
        self.pictures = ClientCache()
        """What the client keeps of pictures, for all of its display channels."""
        self.began = now

    def multi_media_time(self, now: float) -> int:
        """The session's multimedia clock.

        :returns: milliseconds, in 32 bits.
        """
        return int((now - self.began) * 1000) & 0xFFFFFFFF

    def origin(self, display_id: int) -> tuple[int, int]:
        """Where on a display of the guest the client's screen begins.

        :returns: x and y in pixels.
        """
        if display_id >= len(self.guest.displays):
            return 0, 0
        window = window_of(self.guest.displays[display_id], self.level)
        return window.x, window.y
