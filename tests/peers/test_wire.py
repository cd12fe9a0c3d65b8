"""What real clients are sent, as Wireshark reads it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from spiceemu import SpiceServer

from .clients import GtkClient
from .dissector import dissect
from .recorder import recording

StartClient = Callable[..., Awaitable[GtkClient]]

A, CAPS_LOCK = 0x1E, 0x3A


async def test_fills_stay_fills_and_copies_copies_and_nothing_is_malformed(gtk_client: StartClient) -> None:
    async with SpiceServer() as server, recording(server.port or 0) as recorder:
        client = await gtk_client(port=recorder.port)
        await client.ready()
        session = await server.wait_client()
        await session.synced()
        (display,) = server.displays
        display.fill((0, 0, 300, 300), "steelblue")
        display.copy((0, 0, 100, 100), (200, 200))
        display.blit((10, 10), 16, 16, bytes(range(256)) * 4)
        display.resize(800, 600)
        await session.synced()
        await client.type(A, CAPS_LOCK)
        await client.event("inputs-modifiers", modifiers=4)
        await client.command("disconnect")
        await client.event("disconnected")
        await session.wait_disconnected()
        dissection = await dissect(recorder.connections)

    assert dissection.unexpected == []
    (drawn,) = [names for names in dissection.server_messages if "SURFACE_CREATE" in names]
    before, after = drawn.index("MARK") + 1, drawn.index("SURFACE_DESTROY")
    assert [name for name in drawn[before:after] if name != "PING"] == ["DRAW_FILL", "COPY_BITS", "DRAW_COPY"]
