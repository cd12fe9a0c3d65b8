"""Every message of spice.proto: importing this module declares them all.

``messages_of(ChannelType.DISPLAY, SERVER)`` is a channel's table by id; ``lookup`` finds one class.
"""

from __future__ import annotations

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
    "messages_of",
    "playback",
    "record",
    "smartcard",
    "spicevmc",
]
