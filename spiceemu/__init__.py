"""A fake SPICE server in pure Python.

::

    from spiceemu import KeyDown, SpiceServer

    async with SpiceServer() as server:
        print(server.uri)
        client = await server.wait_client()
        await client.expect(KeyDown(0x1e))

All that a test or an example needs is imported from here; ``messages`` has the protocol's messages, by channel:
``messages.display.DrawFill``. Names are loaded when they are first used, so that
``spiceemu serve`` listens before it has loaded what comes later; ``__init__.pyi`` says the same to type checkers.
"""

from __future__ import annotations

from spiceemu._version import __version__

_HOMES = {
    "spiceemu.channels.tap": ("MessageTap",),
    "spiceemu.client": (
        "Client",
        "ClientChannel",
    ),
    "spiceemu.drawing.pictures": ("Picture",),
    "spiceemu.errors": (
        "AddressUnavailable",
        "BadConnectionId",
        "ChannelNotAvailable",
        "ExpectationFailed",
        "HangUp",
        "IllegalMessage",
        "InvalidData",
        "InvalidMagic",
        "InvalidValue",
        "LimitExceeded",
        "LinkError",
        "LocalError",
        "MalformedImage",
        "MalformedMessage",
        "MalformedRecording",
        "MalformedSnapshot",
        "MigrationAborted",
        "MissingExtra",
        "NeedSecured",
        "NeedUnsecured",
        "NotCompatible",
        "PermissionDenied",
        "RemoteError",
        "SpiceError",
        "UnknownMessage",
        "VersionMismatch",
        "WrongState",
    ),
    "spiceemu.events": (
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
        "ServerFailed",
        "Violation",
    ),
    "spiceemu.guest.cursor": ("CursorShape",),
    "spiceemu.guest.display": (
        "Display",
        "Head",
        "Screenshot",
    ),
    "spiceemu.guest.machine": ("Guest",),
    "spiceemu.judge.stream": ("StreamJudge",),
    "spiceemu.probing.probe": ("probe",),
    "spiceemu.protocol.capabilities": ("ChannelType",),
    "spiceemu.protocol.enums": ("MouseMode",),
    "spiceemu.protocol.levels.compat": (
        "CompatVersion",
        "FEATURES_MASK_V04",
        "FEATURES_MASK_V06",
        "FEATURES_MASK_V08",
        "Feature",
    ),
    "spiceemu.protocol.levels.level": (
        "MigrationScheme",
        "get_current_compat_version",
        "get_supported_features",
    ),
    "spiceemu.protocol.link.observer": ("LinkObserver",),
    "spiceemu.protocol.link.steps": ("LinkStep",),
    "spiceemu.protocol.messages.catalogue": ("messages",),
    "spiceemu.recordings.recorder": ("Recorder",),
    "spiceemu.recordings.recording": (
        "ClientBytes",
        "Recording",
        "RecordingReader",
        "ServerBytes",
        "read_recording",
    ),
    "spiceemu.recordings.relay": (
        "Relay",
        "RelayObserver",
        "Target",
        "parse_target",
    ),
    "spiceemu.server": ("SpiceServer",),
    "spiceemu.serving.moving": ("Moved",),
    "spiceemu.serving.options": (
        "Limits",
        "Tls",
    ),
    "spiceemu.serving.tls": (
        "server_context",
        "throwaway_certificate",
    ),
    "spiceemu.serving.wiretap": (
        "Delay",
        "EndConnection",
        "ResetConnection",
        "Stall",
        "Wire",
        "WireTap",
    ),
    "spiceemu.sessions.destination": ("Destination",),
    "spiceemu.sessions.tables": ("Tables",),
}
"""Where each name is."""

_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = ["__version__", *_HOME_OF]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # here, as it takes a tenth of the time until a server listens

    value = globals()[name] = getattr(import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
