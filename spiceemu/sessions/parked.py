"""The channels of a client that was parked begin, one after the other: what befalls one of them is no other's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spiceemu.channels.migration import ParkedChannel, ParkedFault
from spiceemu.errors import HangUp, RemoteError
from spiceemu.events import ServerFailed
from spiceemu.sessions.failures import describe, reason_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from spiceemu.channels.channel import Channel
    from spiceemu.events import Event
    from spiceemu.protocol.link.server import Linked
    from spiceemu.sessions.migration import Arrival

    Open = Callable[[Linked, Callable[[], None], float], Channel | ParkedChannel]
    Receive = Callable[[Channel | ParkedChannel, bytes, float], None]


def begin_parked(
    arrival: Arrival, open_channel: Open, receive: Receive, tell: Callable[[Event], None], now: float
) -> None:
    """Open the channels that were parked, and hear what they were told meanwhile.

    It is the main channel, or the guest, that lets them begin, and neither is to pay for what one of them does.

    :param arrival: has them.
    :param open_channel: opens a channel.
    :param receive: feeds a channel.
    :param tell: takes what there is to tell.
    """
    for parked in arrival.take_parked():
        channel: Channel | ParkedChannel = parked
        try:
            channel = open_channel(parked.linked, parked.wake, now)
            receive(channel, bytes(parked.said), now)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this channel's
            if channel is parked:
                arrival.parked[parked.type, parked.id] = parked  # its connection is there until it is closed
            _end(channel, error, tell)
        parked.wake()


def _end(channel: Channel | ParkedChannel, error: Exception, tell: Callable[[Event], None]) -> None:
    """Let the channel's own connection end; a failure of ours is told here, as that may be ending already."""
    if isinstance(error, RemoteError) and not isinstance(channel, ParkedChannel):
        tell(ParkedFault(channel, error))
        return
    if not isinstance(error, HangUp):
        tell(ServerFailed(channel.type, channel.id, describe(error), error))
        error = HangUp(reason_of(error))
    channel.fail(error)
