"""A fake SPICE server in pure Python.

::

    from spiceemu import SpiceServer

    async with SpiceServer() as server:
        print(server.uri)
        client = await server.wait_client()
        await client.expect(KeyDown(0x1e))

Names are loaded when they are first used, so that ``spiceemu serve`` listens before it has loaded what comes later.
"""

from __future__ import annotations

from spiceemu._version import __version__

TYPE_CHECKING = False  # not from ``typing``: importing it would delay the moment the server listens
if TYPE_CHECKING:
    from typing import Any

    from spiceemu.channels.events import (
        AgentMessage,
        AgentStarted,
        ChannelClosed,
        ChannelOpened,
        ChannelsAttached,
        ClientArrived,
        ClipboardText,
        Disconnected,
        DisplayReady,
        Event,
        KeyDown,
        KeyModifiers,
        KeyUp,
        Latency,
        MigrationBegan,
        MigrationConnected,
        MigrationFailed,
        MonitorsRequested,
        MouseModeRequested,
        MouseMotion,
        MousePosition,
        MousePress,
        MouseRelease,
        PreferredCompression,
        PreferredVideoCodecs,
        RequestRefused,
        Violation,
    )
    from spiceemu.client import Client
    from spiceemu.guest.display import Display
    from spiceemu.guest.machine import Guest
    from spiceemu.migration import Destination
    from spiceemu.server import SpiceServer

_EVENTS = (
    "AgentMessage",
    "AgentStarted",
    "ChannelClosed",
    "ChannelOpened",
    "ChannelsAttached",
    "ClientArrived",
    "ClipboardText",
    "Disconnected",
    "DisplayReady",
    "Event",
    "KeyDown",
    "KeyModifiers",
    "KeyUp",
    "Latency",
    "MigrationBegan",
    "MigrationConnected",
    "MigrationFailed",
    "MonitorsRequested",
    "MouseModeRequested",
    "MouseMotion",
    "MousePosition",
    "MousePress",
    "MouseRelease",
    "PreferredCompression",
    "PreferredVideoCodecs",
    "RequestRefused",
    "Violation",
)

_HOMES = {
    **dict.fromkeys(_EVENTS, "spiceemu.channels.events"),
    "Client": "spiceemu.client",
    "Destination": "spiceemu.migration",
    "Display": "spiceemu.guest.display",
    "Guest": "spiceemu.guest.machine",
    "SpiceServer": "spiceemu.server",
}

__all__ = [
    "AgentMessage",
    "AgentStarted",
    "ChannelClosed",
    "ChannelOpened",
    "ChannelsAttached",
    "Client",
    "ClientArrived",
    "ClipboardText",
    "Destination",
    "Disconnected",
    "Display",
    "DisplayReady",
    "Event",
    "Guest",
    "KeyDown",
    "KeyModifiers",
    "KeyUp",
    "Latency",
    "MigrationBegan",
    "MigrationConnected",
    "MigrationFailed",
    "MonitorsRequested",
    "MouseModeRequested",
    "MouseMotion",
    "MousePosition",
    "MousePress",
    "MouseRelease",
    "PreferredCompression",
    "PreferredVideoCodecs",
    "RequestRefused",
    "SpiceServer",
    "Violation",
    "__version__",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # here, as it takes a tenth of the time until a server listens

    value = globals()[name] = getattr(import_module(home), name)
    return value
