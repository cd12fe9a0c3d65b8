"""Every message of spice.proto: importing this module declares them all.

``messages_of(ChannelType.DISPLAY, SERVER)`` is a channel's table by id; ``lookup`` finds one class. ``messages`` has
them by channel, such as ``messages.display.DrawFill``.
"""

from __future__ import annotations

from spiceemu.protocol import messages
from spiceemu.protocol.messages import base, cursor, display, draw, inputs, main, playback, record, smartcard, spicevmc
from spiceemu.protocol.messages.message import CLIENT, SERVER, Message, Spec, lookup, messages_of

__all__ = [
    "CLIENT",
    "SERVER",
    "Message",
    "Spec",
    "base",
    "cursor",
    "display",
    "draw",
    "inputs",
    "lookup",
    "main",
    "messages",
    "messages_of",
    "playback",
    "record",
    "smartcard",
    "spicevmc",
]
