"""spice-gtk signals the same, in the same order, as when a real server's client moves to a real server.

The orders here are those of spice-gtk 0.42 between two QEMUs with libspice-server 0.15.1, whose screens were 720x400
and 640x480. What came of the second machine's own reset is left out: it destroyed and created its screen thrice more.
So are the channels that we do not have (usbredir, port), and drawings on part of the screen.
"""

from __future__ import annotations

from typing import Any

import pytest

from spiceemu import Client, SpiceServer
from spiceemu.protocol.levels.level import MigrationScheme
from spiceemu.serving.moving import Moved

from .clients import GtkClient
from .emulator import StartClient, in_step, whole
from .moves import SEAMLESS, SEMI, TWINS, all_open

BEFORE, AFTER = (720, 400), (640, 480)

#: What a client signals that comes to a server, on its main and display channels.
START = [
    ("channel-new", "main"),
    ("opened", "main"),
    ("channel-new", "display"),
    ("opened", "display"),
    ("monitors",),
    ("display-primary-create", *BEFORE),
    ("display-invalidate", 0, 0, *BEFORE),
    ("monitors",),
    ("display-mark", 1),
]

#: And then when it moves. No channel is closed or opened, as far as it tells.
MOVES = {
    SEMI: [
        ("migration-state", "migrating"),
        ("monitors",),
        ("migration-state", "none"),
        ("display-primary-destroy",),
        ("display-primary-create", *AFTER),
        ("display-invalidate", 0, 0, *AFTER),
        ("monitors",),
        ("display-mark", 1),
    ],
    SEAMLESS: [
        ("migration-state", "migrating"),
        ("migration-state", "none"),
    ],
}

DETAILS = {
    "migration-state": ("value",),
    "channel-new": ("type",),
    "channel-destroy": ("type",),
    "opened": ("type",),
    "closed": ("type",),
    "switching": ("type",),
    "error": ("type",),
    "monitors": (),
    "display-primary-create": ("width", "height"),
    "display-primary-destroy": (),
    "display-invalidate": ("x", "y", "width", "height"),
    "display-mark": ("mark",),
}


def signals(events: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """What was signalled of the session, and of the main and display channels."""
    return [
        (event["event"], *(event[name] for name in DETAILS[event["event"]]))
        for event in events
        if event["event"] in DETAILS and event.get("type", "main") in ("main", "display")
    ]


@pytest.mark.parametrize("scheme", MOVES, ids=lambda scheme: scheme.name.lower())
async def test_order(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    level = TWINS[scheme]
    async with SpiceServer(compat=level, displays=[BEFORE]) as one, SpiceServer(compat=level) as other:
        client, before = await joined(gtk_client, one)
        assert signals(client.events) == START
        start = len(client.events)

        async def deliver(_: bytes) -> None:
            if scheme is SEMI:
                other.displays[0].resize(*AFTER)

        result = await one.migrate_to(other, deliver=deliver)
        assert result == [Moved(before.session_id, scheme, followed=True)]
        after = await whole(other)
        await all_open(client)
        await in_step(client, after)
        assert signals(client.events[start:]) == MOVES[scheme]


async def joined(gtk_client: StartClient, server: SpiceServer) -> tuple[GtkClient, Client]:
    client = await gtk_client(port=server.port)
    session = await whole(server)
    await client.ready()
    await all_open(client)
    await in_step(client, session)
    return client, session
