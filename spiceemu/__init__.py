"""A fake SPICE server in pure Python.

::

    from spiceemu import KeyDown, SpiceServer

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
        AgentMessage as AgentMessage,
        AgentStarted as AgentStarted,
        ChannelClosed as ChannelClosed,
        ChannelOpened as ChannelOpened,
        ChannelsAttached as ChannelsAttached,
        ClientArrived as ClientArrived,
        ClipboardText as ClipboardText,
        Disconnected as Disconnected,
        DisplayReady as DisplayReady,
        Event as Event,
        KeyDown as KeyDown,
        KeyModifiers as KeyModifiers,
        KeyUp as KeyUp,
        Latency as Latency,
        MigrationBegan as MigrationBegan,
        MigrationConnected as MigrationConnected,
        MigrationFailed as MigrationFailed,
        MonitorsRequested as MonitorsRequested,
        MouseModeRequested as MouseModeRequested,
        MouseMotion as MouseMotion,
        MousePosition as MousePosition,
        MousePress as MousePress,
        MouseRelease as MouseRelease,
        PreferredCompression as PreferredCompression,
        PreferredVideoCodecs as PreferredVideoCodecs,
        RequestRefused as RequestRefused,
        Violation as Violation,
    )
    from spiceemu.client import Client as Client
    from spiceemu.guest.display import Display as Display
    from spiceemu.guest.machine import Guest as Guest
    from spiceemu.migration import Destination as Destination
    from spiceemu.protocol.compat import (
        FEATURES_MASK_V04 as FEATURES_MASK_V04,
        FEATURES_MASK_V06 as FEATURES_MASK_V06,
        FEATURES_MASK_V08 as FEATURES_MASK_V08,
        CompatVersion as CompatVersion,
        Feature as Feature,
    )
    from spiceemu.protocol.level import (
        MigrationScheme as MigrationScheme,
        get_current_compat_version as get_current_compat_version,
        get_supported_features as get_supported_features,
    )
    from spiceemu.server import SpiceServer as SpiceServer

_HOMES = {
    "spiceemu.channels.events": (
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
    ),
    "spiceemu.client": ("Client",),
    "spiceemu.guest.display": ("Display",),
    "spiceemu.guest.machine": ("Guest",),
    "spiceemu.migration": ("Destination",),
    "spiceemu.protocol.compat": (
        "FEATURES_MASK_V04",
        "FEATURES_MASK_V06",
        "FEATURES_MASK_V08",
        "CompatVersion",
        "Feature",
    ),
    "spiceemu.protocol.level": ("MigrationScheme", "get_current_compat_version", "get_supported_features"),
    "spiceemu.server": ("SpiceServer",),
}
"""Where each name is."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> Any:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # here, as it takes a tenth of the time until a server listens

    value = globals()[name] = getattr(import_module(home), name)
    return value
