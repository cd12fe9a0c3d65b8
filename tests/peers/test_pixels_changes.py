"""A real client keeps up with the guest: other sizes, late comers, more drawing than it can take."""

from __future__ import annotations

import asyncio
import random

import pytest

from spiceemu import Display, SpiceServer
from spiceemu.channels.display import MAX_QUEUED, DisplayChannel
from spiceemu.protocol.capabilities import ChannelType

from ..channels.drawings import noise
from .clients import spicy_screenshot
from .emulator import SCENES, StartClient, check_pixels, draw_everything, draw_offscreen, in_step

SIZES = [(1024, 768), (641, 481), (1280, 1024), (1, 1), (16, 2000), (801, 599)]


@pytest.mark.parametrize("compression", ["off", "lz"])
async def test_the_guest_changes_its_size(gtk_client: StartClient, compression: str) -> None:
    async with SpiceServer(displays=[(800, 600)], compression=compression) as server:
        (display,) = server.displays
        client = await gtk_client(port=server.port, channels=["display"])
        session = await server.wait_client()
        await client.event("display-primary-create", width=800, height=600)
        for seed, (width, height) in enumerate(SIZES):
            draw_everything(display, seed)
            display.resize(width, height)
            await session.synced()
            check_pixels(await client.screenshot(), display, f"resized to {width}x{height}")
            draw_everything(display, seed)
            await session.synced()
            check_pixels(await client.screenshot(), display, f"drawn at {width}x{height}")
            await client.event("display-primary-destroy")
            await client.event("display-primary-create", width=width, height=height)
            await client.event("display-mark")
            head = {"id": 0, "surface_id": 0, "x": 0, "y": 0, "width": width, "height": height}
            await client.event("monitors", heads=[head])


async def test_sizes_change_faster_than_the_client_follows(gtk_client: StartClient) -> None:
    async with SpiceServer(displays=[(800, 600)]) as server:
        (display,) = server.displays
        client = await gtk_client(port=server.port, channels=["display"])
        session = await server.wait_client()
        for number in range(200):
            display.resize(300 + number % 7 * 100, 200 + number % 5 * 50)
            display.fill((0, 0, 400, 300), number * 0x010203)
            display.blit((number, number), 30, 30, noise(number, 30, 30))
        await session.synced()
        check_pixels(await client.screenshot(), display)


async def test_a_late_comer_gets_what_the_others_have(gtk_client: StartClient) -> None:
    async with SpiceServer(shared=True) as server:
        (display,) = server.displays
        first = await gtk_client(port=server.port, channels=["display"])
        first_session = await server.wait_client()
        draw_everything(display)
        sprite = display.create_surface(64, 64)
        display.blit((0, 0), 64, 64, noise(3, 64, 64), surface=sprite)
        display.copy_surface(sprite, (0, 0, 64, 64), (300, 300))

        second = await gtk_client(port=server.port, channels=["display"])
        second_session = await server.wait_client()
        # To the second client this surface is new, with all that is on it.
        display.fill((10, 10, 5, 5), "red", surface=sprite)
        display.copy_surface(sprite, (5, 5, 50, 50), (400, 40))
        draw_offscreen(display, 2)
        screenshot = await spicy_screenshot(port=server.port)

        await first_session.synced()
        await second_session.synced()
        check_pixels(await first.screenshot(), display, "first")
        check_pixels(await second.screenshot(), display, "second")
        check_pixels(screenshot.picture, display, "spicy-screenshot")


@pytest.mark.parametrize("compression", ["off", "lz", "auto"])
async def test_more_drawings_than_the_client_is_sent(gtk_client: StartClient, compression: str) -> None:
    async with SpiceServer(compression=compression) as server:
        (display,) = server.displays
        client = await gtk_client(port=server.port, channels=["display"])
        session = await server.wait_client()
        channel = session._member.session.channel(ChannelType.DISPLAY)
        assert isinstance(channel, DisplayChannel)
        kept = display.create_surface(50, 50)
        display.copy_surface(kept, (0, 0, 50, 50), (0, 0))
        await session.synced()
        assert channel.collapses == 0

        # Not once in all this does the server get to send anything.
        for number in range(2 * MAX_QUEUED):
            display.fill((number % 1000, number % 700, 40, 30), number * 0x000307)
            display.text((number % 900, number % 600), f"number {number}", color="white")
            display.copy((5, 5, 300, 200), (number % 500, number % 400))
        display.blit((7, 7), 30, 30, noise(1, 30, 30), surface=kept)
        display.copy_surface(kept, (0, 0, 50, 50), (100, 100))
        await session.synced()
        check_pixels(await client.screenshot(), display, "after the overflow")
        assert channel.collapses > 0

        # What the client has beside the screen is right as well, and all goes on as before.
        display.copy_surface(kept, (0, 0, 50, 50), (200, 150))
        await session.synced()
        check_pixels(await client.screenshot(), display, "from a surface that was changed during the overflow")


async def test_nobody_waits_for_a_client_that_is_slow(gtk_client: StartClient) -> None:
    async with SpiceServer(shared=True, compression="off") as server:
        (display,) = server.displays
        slow = await gtk_client(port=server.port, channels=["display"])
        slow_session = await server.wait_client()
        quick = await gtk_client(port=server.port, channels=["display"])
        quick_session = await server.wait_client()
        await in_step(slow, slow_session)
        with slow.stopped():
            for number in range(60):
                for corner in range(5):
                    display.blit((number * 10, corner * 130), 300, 200, noise(number * 5 + corner, 300, 200))
                await quick_session.synced()
            check_pixels(await quick.screenshot(), display, "quick")
            channel = slow_session._member.session.channel(ChannelType.DISPLAY)
            assert isinstance(channel, DisplayChannel)
            assert channel.collapses > 0
        await in_step(slow, slow_session)
        check_pixels(await slow.screenshot(), display, "slow")


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_drawn_in_whatever_order(gtk_client: StartClient, seed: int) -> None:
    dice = random.Random(seed)
    async with SpiceServer(displays=[(500, 400)], compression=dice.choice(["off", "lz", "auto"])) as server:
        (display,) = server.displays
        client = await gtk_client(port=server.port, channels=["display"])
        session = await server.wait_client()
        surfaces: list[int] = []
        for round_of_drawing in range(8):
            for _ in range(dice.choice([5, 50, 50, 1500])):
                draw_at_random(dice, display, surfaces)
                if dice.random() < 0.02:
                    await asyncio.sleep(0)  # let the server send some of it
            await session.synced()
            check_pixels(await client.screenshot(), display, f"round {round_of_drawing}")


def draw_at_random(dice: random.Random, display: Display, surfaces: list[int]) -> None:
    """Do anything to the screen or to a surface beside it; ``surfaces`` has the ids of these."""
    target = dice.choice([0, 0, *surfaces])
    width, height = display.surfaces[target].width, display.surfaces[target].height
    place = dice.randrange(-20, width), dice.randrange(-20, height)
    area = (dice.randrange(-20, width), dice.randrange(-20, height), dice.randrange(1, 200), dice.randrange(1, 150))
    match dice.randrange(20):
        case 0 | 1 | 2 | 3:
            display.fill(area, dice.randrange(1 << 24), surface=target)
        case 4 | 5 | 6 | 7:
            across, down = dice.randrange(1, 40), dice.randrange(1, 40)
            display.blit(place, across, down, noise(dice.randrange(50), across, down), surface=target)
        case 8 | 9:
            paper = dice.choice([None, 0x123456])
            display.text(place, "a line\nand another", color=0xFFFFFF, background=paper, scale=2, surface=target)
        case 10 | 11 | 12 | 13:
            display.copy(area, place, surface=target)
        case 14 | 15 | 16:
            display.copy_surface(dice.choice([0, *surfaces]), area, place, surface=target)
        case 17 if len(surfaces) < 5:
            has_alpha = dice.random() < 0.5
            surfaces.append(display.create_surface(dice.randrange(1, 150), dice.randrange(1, 150), has_alpha=has_alpha))
        case 18 if surfaces:
            display.destroy_surface(surfaces.pop(dice.randrange(len(surfaces))))
        case 19 if dice.random() < 0.05:
            display.resize(dice.randrange(1, 700), dice.randrange(1, 500))


def test_the_random_drawings_reach_every_kind() -> None:
    dice, display, surfaces = random.Random(0), Display(), list[int]()
    kinds = set[str]()
    display.subscribe(lambda drawable: kinds.add(type(drawable).__name__))
    for _ in range(2000):
        draw_at_random(dice, display, surfaces)
    assert kinds == {
        *("FillRect", "Blit", "CopyRect", "CopySurface", "WriteText"),
        *("SurfaceCreated", "SurfaceDestroyed", "MonitorsChanged"),
    }


def test_the_scenes_reach_every_kind() -> None:
    display = Display()
    kinds = set[str]()
    display.subscribe(lambda drawable: kinds.add(type(drawable).__name__))
    for draw in SCENES.values():
        draw(display, 1)
    assert kinds == {"FillRect", "Blit", "CopyRect", "CopySurface", "WriteText", "SurfaceCreated", "SurfaceDestroyed"}
