"""A real client shows the guest's cursor: every kind of picture, its hot spot, its place, and none of it twice."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from spiceemu import Client, MousePress, SpiceServer
from spiceemu.channels.cursor import CACHE_SIZE, CursorChannel
from spiceemu.guest.cursor import ARROW, HAND, WAIT, CursorShape
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import CursorFlags, CursorType
from spiceemu.protocol.messages import cursor

from .clients import GtkClient
from .emulator import (
    CLIENT_MOUSE,
    LEFT,
    LEFT_MASK,
    SERVER_MOUSE,
    StartClient,
    in_step,
    leave,
    messages_by_channel,
    request_mouse_mode,
)
from .recorder import recording

SIZES = [(16, 16), (13, 9), (1, 1), (33, 5), (64, 64)]

#: Colours of the pictures below, 0xRRGGBB: few enough for a palette of sixteen, and exact in five bits a colour.
COLOURS = (0x000000, 0xF8F8F8, 0xF80000, 0x00F800, 0x0000F8, 0x8840C8)

#: What spice-gtk prints for the kinds that it does not draw, whoever sends them.
WARNING_OF_UNKNOWN_KINDS = r"GSpice-WARNING: set_cursor: unimplemented cursor type \d"

# A pixel of a MONO cursor: its bits in both masks, and what spice-gtk shows for it.
MONO_PIXELS = [(0, 0, b"\0\0\0\xff"), (0, 1, b"\xff\xff\xff\xff"), (1, 0, b"\0\0\0\0")]


class Pattern(NamedTuple):
    """A picture that no mirroring or shifting leaves as it is: a colour a pixel, None for one that does not show."""

    width: int
    height: int

    def pixels(self) -> Iterator[int | None]:
        for place in range(self.width * self.height):
            x, y = place % self.width, place // self.width
            shows = (x * 3 + y * 5 + x * y) % 7
            yield None if shows == 6 else COLOURS[shows]

    def bgra(self) -> bytes:
        return b"".join(
            bytes(4) if colour is None else colour.to_bytes(3, "little") + b"\xff" for colour in self.pixels()
        )

    def rgba(self) -> bytes:
        return b"".join(bytes(4) if colour is None else colour.to_bytes(3, "big") + b"\xff" for colour in self.pixels())

    @property
    def hot(self) -> tuple[int, int]:
        return self.width - 1, self.height // 2


async def start(gtk_client: StartClient, server: SpiceServer, port: int | None = None) -> tuple[GtkClient, Client]:
    """Connect a client that lets the server move the pointer and has just been shown the arrow."""
    client = await gtk_client(port=port or server.port)
    await client.ready()
    check_shape(await client.event("cursor-set"), ARROW.width, ARROW.height, (0, 0), rgba_of(ARROW))
    session = await server.wait_client()
    await request_mouse_mode(client, session, SERVER_MOUSE)
    return client, session


def rgba_of(shape: CursorShape) -> bytes:
    """The pixels of an ALPHA cursor in the order that spice-gtk has them."""
    assert shape.kind is CursorType.ALPHA
    rgba = bytearray(shape.data)
    rgba[0::4], rgba[2::4] = shape.data[2::4], shape.data[0::4]
    return bytes(rgba)


def check_shape(event: dict[str, Any], width: int, height: int, hot: tuple[int, int], rgba: bytes | None) -> None:
    """Fail unless the client shows this picture; None is spice-gtk's own cursor."""
    assert (event["width"], event["height"]) == (width, height)
    assert (event["hot_x"], event["hot_y"]) == hot
    shown = None if event["rgba"] is None else base64.b64decode(event["rgba"])
    assert shown == rgba
    assert rgba is None or shown != bytes((rgba[0] ^ 1,)) + rgba[1:]


def cursor_channel(session: Client) -> CursorChannel:
    channel = session._member.session.channel(ChannelType.CURSOR)
    assert isinstance(channel, CursorChannel)
    return channel


def cursor_events(client: GtkClient) -> list[str]:
    """The names of all cursor events so far."""
    return [event["event"] for event in client.events if event.get("type") == "cursor" and "cursor-" in event["event"]]


@pytest.mark.parametrize(
    "kind", [CursorType.ALPHA, CursorType.COLOR4, CursorType.COLOR16, CursorType.COLOR32], ids=lambda kind: kind.name
)
async def test_a_picture_of_each_kind(gtk_client: StartClient, kind: CursorType) -> None:
    async with SpiceServer() as server:
        client, _ = await start(gtk_client, server)
        for size in SIZES:
            pattern = Pattern(*size)
            shape = CursorShape.from_bgra(*size, pattern.bgra(), pattern.hot, kind)
            server.guest.cursor.set_shape(shape)
            check_shape(await client.event("cursor-set"), *size, pattern.hot, pattern.rgba())


async def test_half_transparent_pixels(gtk_client: StartClient) -> None:
    bgra = bytes(value for alpha in range(256) for value in (alpha, 255 - alpha, 7, alpha))
    async with SpiceServer() as server:
        client, _ = await start(gtk_client, server)
        shape = CursorShape.from_bgra(16, 16, bgra, (15, 15))
        server.guest.cursor.set_shape(shape)
        check_shape(await client.event("cursor-set"), 16, 16, (15, 15), rgba_of(shape))


@pytest.mark.parametrize("width", [8, 16, 13, 33])
async def test_a_picture_of_masks(gtk_client: StartClient, width: int) -> None:
    height = 7
    kinds = [MONO_PIXELS[(x * 2 + y * y) % 3] for y in range(height) for x in range(width)]

    def mask(which: int) -> bytes:
        row_bytes = (width + 7) // 8
        rows = ("".join(str(kinds[y * width + x][which]) for x in range(width)) for y in range(height))
        return b"".join(int(row.ljust(row_bytes * 8, "0"), 2).to_bytes(row_bytes, "big") for row in rows)

    async with SpiceServer() as server:
        client, _ = await start(gtk_client, server)
        server.guest.cursor.set_shape(CursorShape.mono(width, height, mask(0), mask(1), (3, 2)))
        rgba = b"".join(shown for _, _, shown in kinds)
        check_shape(await client.event("cursor-set"), width, height, (3, 2), rgba)


@pytest.mark.parametrize("kind", [CursorType.COLOR8, CursorType.COLOR24], ids=lambda kind: kind.name)
async def test_kinds_that_spice_gtk_does_not_draw(gtk_client: StartClient, kind: CursorType) -> None:
    pattern = Pattern(13, 9)
    async with SpiceServer() as server:
        client, _ = await start(gtk_client, server)
        client.expected_warnings.append(WARNING_OF_UNKNOWN_KINDS)
        server.guest.cursor.set_shape(CursorShape.from_bgra(*pattern, pattern.bgra(), pattern.hot, kind))
        check_shape(await client.event("cursor-set"), *pattern, pattern.hot, None)
        server.guest.cursor.set_shape(ARROW)
        check_shape(await client.event("cursor-set"), ARROW.width, ARROW.height, (0, 0), rgba_of(ARROW))
    assert len(client.warnings) == 1


async def test_it_moves_hides_and_shows(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        guest_cursor = server.guest.cursor
        for place in [(1, 2), (1023, 767), (-5, -7), (0, 0), (32767, -32768)]:
            guest_cursor.move(*place)
            assert (await client.event("cursor-move")).items() >= {"x": place[0], "y": place[1]}.items()
        guest_cursor.hide()
        await client.event("cursor-hide")
        guest_cursor.show()
        check_shape(await client.event("cursor-set"), ARROW.width, ARROW.height, (0, 0), rgba_of(ARROW))
        guest_cursor.set_shape(None)
        await client.event("cursor-hide")
        guest_cursor.set_shape(HAND)
        check_shape(await client.event("cursor-set"), HAND.width, HAND.height, (HAND.hot_x, HAND.hot_y), rgba_of(HAND))
        await in_step(client, session)
    assert cursor_events(client) == ["cursor-set"] + ["cursor-move"] * 5 + ["cursor-hide", "cursor-set"] * 2


async def test_only_the_last_place_counts(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        for number in range(1000):
            server.guest.cursor.move(number, 2 * number)
        await in_step(client, session)
        moves = [(event["x"], event["y"]) for event in client.events if event["event"] == "cursor-move"]
    assert moves == [(999, 1998)]


async def test_a_new_picture_and_a_new_place_at_once(gtk_client: StartClient) -> None:
    """spice-gtk does not look at the place that comes with a picture."""
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        server.guest.cursor.set_shape(HAND)
        server.guest.cursor.move(300, 200)
        await in_step(client, session)
        check_shape(await client.event("cursor-set"), HAND.width, HAND.height, (HAND.hot_x, HAND.hot_y), rgba_of(HAND))
        await client.event("cursor-move", x=300, y=200)


async def test_a_new_picture_does_not_show_a_hidden_cursor(gtk_client: StartClient) -> None:
    """spice-gtk shows every picture it is sent, whatever the message says about showing it."""
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        server.guest.cursor.hide()
        await in_step(client, session)
        server.guest.cursor.set_shape(HAND)
        server.guest.cursor.move(10, 10)
        await in_step(client, session)
        assert cursor_events(client)[-1] == "cursor-hide"
        server.guest.cursor.show()
        check_shape(await client.event("cursor-set"), HAND.width, HAND.height, (HAND.hot_x, HAND.hot_y), rgba_of(HAND))
        await client.event("cursor-move", x=10, y=10)


async def test_a_late_comer_sees_no_hidden_cursor(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        server.guest.cursor.set_shape(HAND)
        server.guest.cursor.hide()
        client = await gtk_client(port=server.port)
        await client.event("cursor-hide")
        server.guest.cursor.show()
        check_shape(await client.event("cursor-set"), HAND.width, HAND.height, (HAND.hot_x, HAND.hot_y), rgba_of(HAND))


async def test_the_cursor_goes_with_the_mouse_in_server_mode_only(gtk_client: StartClient) -> None:
    """In client mode the client draws it where its own pointer is, and real servers send no places."""
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        await request_mouse_mode(client, session, CLIENT_MOUSE)
        await client.command("position", x=500, y=400)
        await client.command("button_press", button=LEFT)
        await session.expect(MousePress(LEFT, LEFT_MASK))
        assert (server.guest.cursor.x, server.guest.cursor.y) == (500, 400)
        await in_step(client, session)
        assert "cursor-move" not in cursor_events(client)

        await request_mouse_mode(client, session, SERVER_MOUSE)
        await client.event("cursor-move", x=500, y=400)
        await client.command("motion", dx=-100, dy=20)
        await client.event("cursor-move", x=400, y=420)


async def test_a_picture_shown_again_is_not_sent_again(gtk_client: StartClient) -> None:
    async with SpiceServer() as server, recording(server.port or 0) as recorder:
        client, session = await start(gtk_client, server, recorder.port)
        for shape in (HAND, ARROW, HAND, WAIT, ARROW):
            server.guest.cursor.set_shape(shape)
            event = await client.event("cursor-set")
            check_shape(event, shape.width, shape.height, (shape.hot_x, shape.hot_y), rgba_of(shape))
        cursor_channel(session).invalidate(HAND)
        server.guest.cursor.set_shape(HAND)
        check_shape(await client.event("cursor-set"), HAND.width, HAND.height, (HAND.hot_x, HAND.hot_y), rgba_of(HAND))
        server.guest.cursor.set_shape(ARROW)
        await client.event("cursor-set")
        cursor_channel(session).invalidate()
        for shape in (HAND, ARROW):
            server.guest.cursor.set_shape(shape)
            event = await client.event("cursor-set")
            check_shape(event, shape.width, shape.height, (shape.hot_x, shape.hot_y), rgba_of(shape))
        await in_step(client, session)
        await leave(client, session)
        sent = messages_by_channel(recorder.connections)[ChannelType.CURSOR]

    shown = [message for message in sent if isinstance(message, cursor.Init | cursor.Set)]
    how = [(message.cursor.u.unique, message.cursor.flags) for message in shown if message.cursor.u]
    new, kept = CursorFlags.CACHE_ME, CursorFlags.FROM_CACHE
    assert how == [
        *((ARROW.id, new), (HAND.id, new), (ARROW.id, kept), (HAND.id, kept), (WAIT.id, new), (ARROW.id, kept)),
        *((HAND.id, new), (ARROW.id, kept)),
        *((HAND.id, new), (ARROW.id, new)),
    ]


async def test_reset(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        server.guest.cursor.set_shape(HAND)
        await client.event("cursor-set")
        cursor_channel(session).reset()
        await client.event("cursor-reset")
        check_shape(await client.event("cursor-set"), HAND.width, HAND.height, (HAND.hot_x, HAND.hot_y), rgba_of(HAND))
        server.guest.cursor.set_shape(ARROW)
        check_shape(await client.event("cursor-set"), ARROW.width, ARROW.height, (0, 0), rgba_of(ARROW))


async def test_more_pictures_than_the_client_keeps(gtk_client: StartClient) -> None:
    shapes = [
        CursorShape.from_bgra(4, 4, number.to_bytes(4, "little") * 16, (number % 4, 0))
        for number in range(CACHE_SIZE + 50)
    ]
    async with SpiceServer() as server:
        client, _ = await start(gtk_client, server)
        for shape in [*shapes, *shapes[:3], *shapes[-3:]]:
            server.guest.cursor.set_shape(shape)
            check_shape(await client.event("cursor-set"), 4, 4, (shape.hot_x, 0), rgba_of(shape))
