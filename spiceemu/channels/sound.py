"""The sound channels: they link, and are silent.

A playback channel says at once how sound would be encoded, as spice-server's (sound.c); a record channel says nothing
until somebody listens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from spiceemu.channels.channel import Channel
from spiceemu.protocol.capabilities import ChannelType, PlaybackCap
from spiceemu.protocol.enums import AudioDataMode
from spiceemu.protocol.messages import playback, record

if TYPE_CHECKING:
    from spiceemu.channels.handlers import Handlers
    from spiceemu.channels.passage import Passage
    from spiceemu.channels.tap import Taps
    from spiceemu.protocol.link.server import Linked
    from spiceemu.protocol.messages.message import Message


class PlaybackChannel(Channel):
    """What the guest plays.

    :param multi_media_time: the session's clock, in milliseconds.
    """

    type = ChannelType.PLAYBACK

    def __init__(
        self,
        linked: Linked,
        wake: Callable[[], None],
        *,
        multi_media_time: int,
        passage: Passage | None = None,
        taps: Taps | None = None,
    ) -> None:
        super().__init__(linked, wake, passage=passage, taps=taps)
        self.send(playback.Mode(multi_media_time, self._mode()))

    def _mode(self) -> int:
        """The best encoding that both sides have."""
        ours = self.client_capabilities & self.level.advertised(self.type)
        if PlaybackCap.OPUS in ours:
            return AudioDataMode.OPUS
        return AudioDataMode.CELT_0_5_1 if PlaybackCap.CELT_0_5_1 in ours else AudioDataMode.RAW


class RecordChannel(Channel):
    """What the client's microphone hears; nobody listens, and what a client says unasked is passed over."""

    type = ChannelType.RECORD

    def _pass_over_sound(self, _message: Message, _now: float) -> None:
        """As spice-server, before it has said START."""

    handlers: ClassVar[Handlers] = {
        record.Mode: _pass_over_sound,
        record.StartMark: _pass_over_sound,
        record.Data: _pass_over_sound,
    }
