"""What of a client's screen moves along: surfaces and cached pictures, the cursor, heads, what a slow client missed."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from spiceemu import Client, Display, SpiceServer
from spiceemu.channels.display import DisplayChannel
from spiceemu.guest.cursor import CROSS, HAND, CursorShape
from spiceemu.guest.display import Head
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import ImageFlags, ImageType
from spiceemu.protocol.levels.level import MigrationScheme
from spiceemu.protocol.messages import base, cursor, display, draw
from spiceemu.protocol.messages.message import Message
from spiceemu.serving.moving import Moved

from ..channels.drawings import noise
from .clients import GtkClient
from .emulator import StartClient, draw_everything, in_step, messages_by_channel, whole
from .moves import (
    PAIRS,
    SEAMLESS,
    SEMI,
    SIZE,
    SWITCH_HOST,
    check_life,
    check_shown,
    come,
    moved,
    two_servers,
    under_way,
)

EVERY_SCHEME = pytest.mark.parametrize("scheme", PAIRS, ids=lambda scheme: scheme.name.lower())

AS_NEW = pytest.mark.parametrize("scheme", [SEMI, SWITCH_HOST], ids=lambda scheme: scheme.name.lower())

STAMP = noise(7, 48, 40)

FROM_CACHE = ImageType.FROM_CACHE, ImageType.FROM_CACHE_LOSSLESS


def draw_known(shown: Display, surface: int, y: int) -> None:
    """Draw from a surface, and a picture that is always the same."""
    shown.copy_surface(surface, (0, 0, 60, 50), (20, y))
    shown.blit((200, y), 48, 40, STAMP)


async def drawn_at_target(
    gtk_client: StartClient, scheme: MigrationScheme
) -> tuple[list[Message], list[Message], list[Message]]:
    """What a client that has a surface and a picture is sent at the target, where the same is drawn twice more: how its
    display channel begins, what is drawn there, and its cursor channel."""
    async with two_servers(*PAIRS[scheme]) as (one, other):
        client, before = await come(gtk_client, one)
        (shown,) = one.displays
        surface = shown.create_surface(60, 50)
        shown.blit((0, 0), 60, 50, noise(3, 60, 50), surface=surface)
        draw_known(shown, surface, 10)
        await check_shown(client, before, one)
        async with under_way(one, other, held=False) as way:
            after = await way.end(client, other)
            assert way.moving.result() == [Moved(before.session_id, scheme, followed=True)]
            await check_shown(client, after, other, "moved")
            for y in (100, 200):
                draw_known(other.displays[0], surface, y)
            await check_shown(client, after, other, "drawn on")
            sent = messages_by_channel(way.recorder.connections)
    screen = [message for message in sent[ChannelType.DISPLAY] if not isinstance(message, base.Ping)]
    first = next(
        index for index, message in enumerate(screen) if isinstance(message, display.SurfaceCreate | draw.DrawCopy)
    )
    return screen[:first], screen[first:], sent[ChannelType.CURSOR]


def image_of(message: Message) -> Any:
    assert isinstance(message, draw.DrawCopy), message
    assert message.data.src_bitmap is not None
    return message.data.src_bitmap.descriptor


async def test_seamless_keeps_surfaces_and_cached_pictures(gtk_client: StartClient) -> None:
    start, drawn, _ = await drawn_at_target(gtk_client, SEAMLESS)
    # As a real server begins, but for the pictures that are not forgotten: both servers are ours.
    assert [type(message) for message in start] == [base.SetAck, display.InvalAllPalettes]
    assert len(drawn) == 4
    for from_surface, from_cache in (drawn[:2], drawn[2:]):
        assert image_of(from_surface).type == ImageType.SURFACE
        assert image_of(from_cache).type in FROM_CACHE


@AS_NEW
async def test_the_other_schemes_begin_as_new(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    start, drawn, pointer = await drawn_at_target(gtk_client, scheme)
    assert [type(message) for message in start] == [base.SetAck, display.InvalAllPalettes]
    created, picture, heads, mark, surface, pixels, copied, stamp, copied_again, stamp_again = drawn
    assert isinstance(created, display.SurfaceCreate)
    assert (created.surface_id, created.width, created.height) == (0, *SIZE)
    assert image_of(picture).type not in FROM_CACHE
    assert isinstance(heads, display.MonitorsConfig)
    assert isinstance(mark, display.Mark)
    assert isinstance(surface, display.SurfaceCreate)
    assert isinstance(pixels, draw.DrawCopy)
    assert pixels.base.surface_id == surface.surface_id != 0
    assert image_of(copied).type == image_of(copied_again).type == ImageType.SURFACE
    assert image_of(stamp).type not in FROM_CACHE
    assert image_of(stamp).flags & ImageFlags.CACHE_ME
    assert image_of(stamp_again).type in FROM_CACHE
    assert [type(message) for message in pointer[:2]] == [base.SetAck, cursor.Init]


async def test_what_changed_since_the_client_was_told_is_drawn_at_the_target(gtk_client: StartClient) -> None:
    """Seamless, a surface that grew old: destroyed and made anew under the same id while the client is on its way."""
    async with two_servers(*PAIRS[SEAMLESS]) as (one, other):
        client, before = await come(gtk_client, one)
        (shown,) = one.displays
        surface = shown.create_surface(60, 50)
        draw_known(shown, surface, 10)
        await check_shown(client, before, one)
        moving = asyncio.create_task(one.migrate_to(other))
        shown.destroy_surface(surface)
        assert shown.create_surface(90, 20) == surface
        shown.fill((0, 0, 90, 20), "orange", surface=surface)
        shown.resize(500, 400)
        draw_everything(shown, 2)
        assert await moving == [Moved(before.session_id, SEAMLESS, followed=True)]
        after = await whole(other)
        other.displays[0].copy_surface(surface, (0, 0, 90, 20), (300, 300))
        await check_shown(client, after, other)


def rgba_of(shape: CursorShape) -> str:
    pixels = bytearray(shape.data)
    pixels[0::4], pixels[2::4] = pixels[2::4], pixels[0::4]
    return base64.b64encode(bytes(pixels)).decode()


def last_cursor(client: GtkClient) -> str | None:
    shown: list[str | None] = [event["rgba"] for event in client.events if event["event"] == "cursor-set"]
    return shown[-1]


@EVERY_SCHEME
async def test_the_cursor(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    async with two_servers(*PAIRS[scheme]) as (one, other):
        client, before = await come(gtk_client, one)
        for shape in (CROSS, HAND):  # the client has both in its cache
            one.guest.cursor.set_shape(shape)
            await in_step(client, before)
        moving = asyncio.create_task(one.migrate_to(other))
        one.guest.cursor.set_shape(CROSS)
        await moving
        after = await whole(other)
        await in_step(client, after)
        assert last_cursor(client) == rgba_of(CROSS)
        other.guest.cursor.set_shape(HAND)
        await in_step(client, after)
        assert last_cursor(client) == rgba_of(HAND)
        other.guest.cursor.hide()
        await client.event("cursor-hide")
        after = await moved(client, other, one, scheme)
        await in_step(client, after)
        assert [event["event"] for event in client.events if event["event"] in ("cursor-set", "cursor-hide")][-1] == (
            "cursor-hide"
        )
        one.guest.cursor.show()
        await client.event("cursor-set", rgba=rgba_of(HAND))


@EVERY_SCHEME
async def test_two_heads(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    async with two_servers(*PAIRS[scheme]) as (one, other):
        client, before = await come(gtk_client, one)
        one.guest.set_heads(0, [Head(0, 0, 0, 500, 400), Head(1, 500, 30, 300, 200)])
        draw_everything(one.displays[0], 2)
        await check_shown(client, before, one)
        heads = await client.command("monitors")
        assert [(head["id"], head["x"], head["width"]) for head in heads] == [(0, 0, 500), (1, 500, 300)]
        after = await moved(client, one, other, scheme)
        await check_shown(client, after, other)
        assert await client.command("monitors") == heads
        other.guest.set_heads(0, [Head(0, 0, 0, 300, 400), Head(1, 300, 0, 300, 200)])
        draw_everything(other.displays[0], 3)
        await check_shown(client, after, other)
        assert [head["x"] for head in await client.command("monitors")] == [0, 300]


@EVERY_SCHEME
async def test_two_display_channels(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    async with two_servers(*PAIRS[scheme], displays=[SIZE, (200, 320)]) as (one, other):
        client, before = await come(gtk_client, one)
        for each in one.displays:
            each.blit((9, 9), 48, 40, STAMP)
        await check_shown(client, before, one)
        await one.migrate_to(other)
        after = await other.wait_client()
        while len([each for each in after._member.session.channels.values() if ready(each)]) < 2:
            await after.next_event()
        await check_shown(client, after, other)
        for each in other.displays:
            each.blit((99, 99), 48, 40, STAMP)
            draw_everything(each, 5)
            await check_shown(client, after, other)


def ready(channel: object) -> bool:
    return isinstance(channel, DisplayChannel) and channel.ready


def collapses(session: Client) -> int:
    channel = session._member.session.channel(ChannelType.DISPLAY)
    assert isinstance(channel, DisplayChannel)
    return channel.collapses


@EVERY_SCHEME
async def test_a_slow_client(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    """One that has not drawn for a while: megabytes are under way, and more has changed than is ever sent."""
    async with two_servers(*PAIRS[scheme]) as (one, other):
        client, before = await come(gtk_client, one)
        (shown,) = one.displays
        surface = shown.create_surface(*SIZE)
        with client.stopped():
            for number in range(600):
                shown.blit((number % 40, number % 60), 200, 200, noise(number, 200, 200))
                shown.copy_surface(0, (0, 0, 60, 50), (number, 9), surface=surface)
                await asyncio.sleep(0)
            assert collapses(before) > 0
            moving = asyncio.create_task(one.migrate_to(other))
            await asyncio.sleep(0)
            draw_everything(shown, 2)
        assert await moving == [Moved(before.session_id, scheme, followed=True)]
        after = await whole(other)
        other.displays[0].copy_surface(surface, (0, 0, 300, 200), (100, 100))
        await check_shown(client, after, other)


async def test_a_surface_that_a_slow_client_still_has_where_there_are_none(gtk_client: StartClient) -> None:
    async with SpiceServer() as one, SpiceServer(features="-SURFACES") as other, SpiceServer() as third:
        client, before = await come(gtk_client, one)
        (shown,) = one.displays
        surface = shown.create_surface(60, 50)
        draw_known(shown, surface, 20)
        await check_shown(client, before, one)
        channel = before._member.session.channel(ChannelType.DISPLAY)
        channel.produce = lambda: None  # type: ignore[method-assign]  # it takes no more, so does not hear that it is gone
        draw_known(shown, surface, 120)
        after = await moved(client, one, other, SEAMLESS, retreat=True)
        await check_shown(client, after, other)
        last = await moved(client, other, third, SEAMLESS)
        assert third.displays[0].create_surface(50, 60) == surface
        draw_known(third.displays[0], surface, 220)
        await check_shown(client, last, third)


@EVERY_SCHEME
async def test_while_the_client_links_the_target_the_source_goes_on(
    gtk_client: StartClient, scheme: MigrationScheme
) -> None:
    async with two_servers(*PAIRS[scheme]) as (one, other):
        client, before = await come(gtk_client, one)
        async with under_way(one, other) as way:
            if scheme is not SWITCH_HOST:  # which does not link before it has left
                await way.recorder.asked.wait()
                await check_life(client, before, one)
            one.displays[0].resize(333, 222)
            draw_everything(one.displays[0], 9)
            after = await way.end(client, other)
            await check_shown(client, after, other)
            assert (other.displays[0].width, other.displays[0].height) == (333, 222)
            await check_life(client, after, other)
