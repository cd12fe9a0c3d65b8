"""A picture that a real client keeps is not sent to it again, and is never asked of it after it was taken away."""

from __future__ import annotations

from collections import Counter

import pytest

from spiceemu import Display, SpiceServer
from spiceemu.channels.pixmap_cache import MAX_ENTRIES
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import ImageFlags, ImageType
from spiceemu.protocol.messages import display as display_messages, draw
from spiceemu.protocol.messages.message import Message

from ..channels.drawings import noise
from .clients import GtkClient
from .emulator import StartClient, check_pixels, gradient, leave, messages_by_channel
from .recorder import recording

SIDE = 20

#: What spice-gtk's "cache-size" counts, and what it tells the server: bytes and pixels.
BYTES_PER_CACHED_PIXEL = 4


def stamp(display: Display, number: int, place: int) -> None:
    """Draw one of many pictures, each twenty pixels a side, at one of 600 places."""
    display.blit((place % 30 * SIDE, place // 30 * SIDE), SIDE, SIDE, noise(number, SIDE, SIDE))


def image_kinds(messages: list[Message]) -> list[str]:
    """How each picture was sent: "kept" for the first time, "again" as its number alone, or "once"."""
    kinds = []
    for message in messages:
        if isinstance(message, draw.DrawCopy) and message.data.src_bitmap is not None:
            descriptor = message.data.src_bitmap.descriptor
            if descriptor.type == ImageType.FROM_CACHE:
                kinds.append("again")
            else:
                kinds.append("kept" if descriptor.flags & ImageFlags.CACHE_ME else "once")
    return kinds


async def start(gtk_client: StartClient, port: int, cached_pixels: int) -> GtkClient:
    """Connect a client that has room for so many pixels of pictures."""
    client = await gtk_client()
    cache_size = cached_pixels * BYTES_PER_CACHED_PIXEL
    await client.command("connect", host="127.0.0.1", port=str(port), channels=["display"], cache_size=cache_size)
    return client


@pytest.mark.parametrize("compression", ["off", "lz", "auto"])
async def test_a_picture_drawn_again_is_not_sent_again(gtk_client: StartClient, compression: str) -> None:
    async with SpiceServer(compression=compression) as server, recording(server.port or 0) as recorder:
        (display,) = server.displays
        client = await gtk_client(port=recorder.port, channels=["display"])
        session = await server.wait_client()
        await session.synced()
        for place in range(60):
            stamp(display, place % 3, place)
        display.blit((0, 600), 100, 100, gradient(100, 100))
        display.blit((300, 600), 100, 100, gradient(100, 100))
        display.blit((0, 500), 300, 300, gradient(300, 300))  # too large to be worth it
        display.blit((500, 600), 3, 3, noise(1, 3, 3))  # too small
        await session.synced()
        check_pixels(await client.screenshot(), display)
        await leave(client, session)
        drawn = messages_by_channel(recorder.connections)[ChannelType.DISPLAY]
    first_picture, *kinds = image_kinds(drawn)
    assert first_picture == "once"
    assert kinds == ["kept"] * 3 + ["again"] * 57 + ["kept", "again", "once", "once"]


async def test_pictures_are_taken_away_when_the_client_has_no_room_left(gtk_client: StartClient) -> None:
    room = 5
    async with SpiceServer() as server, recording(server.port or 0) as recorder:
        (display,) = server.displays
        client = await start(gtk_client, recorder.port, room * SIDE * SIDE)
        session = await server.wait_client()
        await session.synced()
        for number in range(12):
            stamp(display, number, number)
        for number in (11, 10, 9, 8, 7):  # these are still there
            stamp(display, number, 100 + number)
        for number in (0, 11):  # the first takes the place of 11, which was used least lately
            stamp(display, number, 200 + number)
        await session.synced()
        check_pixels(await client.screenshot(), display)
        await leave(client, session)
        drawn = messages_by_channel(recorder.connections)[ChannelType.DISPLAY]
    assert image_kinds(drawn)[1:] == ["kept"] * 12 + ["again"] * 5 + ["kept"] * 2

    # Never more than there is room for, and what is asked for was sent and not taken away.
    held: set[int] = set()
    for message in drawn:
        if isinstance(message, display_messages.InvalList):
            held -= {resource.id for resource in message.resources}
        elif isinstance(message, draw.DrawCopy) and message.data.src_bitmap is not None:
            descriptor = message.data.src_bitmap.descriptor
            if descriptor.type == ImageType.FROM_CACHE:
                assert descriptor.id in held
            elif descriptor.flags & ImageFlags.CACHE_ME:
                held.add(descriptor.id)
                assert len(held) <= room


async def test_a_client_with_too_little_room_keeps_nothing(gtk_client: StartClient) -> None:
    async with SpiceServer() as server, recording(server.port or 0) as recorder:
        (display,) = server.displays
        client = await start(gtk_client, recorder.port, SIDE * SIDE - 1)
        session = await server.wait_client()
        await session.synced()
        for place in range(10):
            stamp(display, 1, place)
        await session.synced()
        check_pixels(await client.screenshot(), display)
        await leave(client, session)
        drawn = messages_by_channel(recorder.connections)[ChannelType.DISPLAY]
    assert Counter(image_kinds(drawn)) == {"once": 11}


async def test_more_pictures_than_are_kept_at_all(gtk_client: StartClient) -> None:
    async with SpiceServer(compression="off") as server:
        (display,) = server.displays
        client = await gtk_client(port=server.port, channels=["display"])
        session = await server.wait_client()
        await session.synced()
        for number in range(MAX_ENTRIES + 300):
            stamp(display, number, number % 600)
            if number % 200 == 199:
                await session.synced()  # so that each of them is really sent
        for number in (0, 299, 300, MAX_ENTRIES, MAX_ENTRIES + 299, 0):
            stamp(display, number, number % 600)
        await session.synced()
        check_pixels(await client.screenshot(), display)


async def test_all_caches_forgotten(gtk_client: StartClient) -> None:
    async with SpiceServer() as server, recording(server.port or 0) as recorder:
        (display,) = server.displays
        client = await gtk_client(port=recorder.port, channels=["display"])
        session = await server.wait_client()
        await session.synced()
        for place in range(3):
            stamp(display, 1, place)
        await session.synced()
        session.invalidate_caches()
        for place in range(3, 6):
            stamp(display, 1, place)
        await session.synced()
        check_pixels(await client.screenshot(), display)
        await leave(client, session)
        drawn = messages_by_channel(recorder.connections)[ChannelType.DISPLAY]
    assert image_kinds(drawn)[1:] == ["kept", "again", "again"] * 2


async def test_two_displays_share_a_clients_cache(gtk_client: StartClient) -> None:
    """Each of our channels keeps its own account of the pictures; spice-gtk counts who wants them."""
    room = 4
    async with SpiceServer(displays=[(640, 480), (800, 600)]) as server:
        client = await start(gtk_client, server.port or 0, room * SIDE * SIDE)
        session = await server.wait_client()
        await client.event("display-mark", channel=1)
        await session.synced()
        for number in range(60):
            for display in server.displays:
                stamp(display, number * 7 % 6, number)
        await session.synced()
        for display in server.displays:
            check_pixels(await client.screenshot(display.id), display, f"display {display.id}")


async def test_two_displays_forget_together(gtk_client: StartClient) -> None:
    """A client that forgot pictures of one display when another asks it to would wait for them for ever."""
    async with SpiceServer(displays=[(640, 480), (800, 600)]) as server:
        client = await gtk_client(port=server.port, channels=["display"])
        session = await server.wait_client()
        await client.event("display-mark", channel=1)
        await session.synced()
        for number in range(20):
            session.invalidate_caches()
            for place in range(30):
                for display in server.displays:
                    stamp(display, number + place % 5, place)
            if number % 4 == 0:
                await session.synced()
        await session.synced()
        for display in server.displays:
            check_pixels(await client.screenshot(display.id), display, f"display {display.id}")
