"""What a real client has on its screen is what the guest drew, pixel for pixel."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

import pytest

from spiceemu import SpiceServer
from spiceemu.guest.display import Display

from .clients import GtkClient, spicy_screenshot
from .picture import Picture

StartClient = Callable[..., Awaitable[GtkClient]]

SIZES = [(640, 480), (1024, 768), (1920, 1080), (1001, 701)]
NOISE = (64, 48)


def draw(display: Display, seed: int) -> None:
    """Draw something of every kind, so that all of it has the wrong place, size or colour if anything has."""
    width, height = display.width, display.height
    noise = random.Random(seed).randbytes(NOISE[0] * NOISE[1] * 4)
    display.fill((0, 0, width, height), 0x204060 + seed)
    display.fill((width - 7, height - 5, 7, 5), 0xFF0000)
    display.fill((10, 10, width // 2, height // 3), 0x00FF00)
    display.text((30, 30), f"Hello {seed}, world", color=0x0000FF)
    display.blit((width - NOISE[0], 100), *NOISE, noise)
    display.copy((0, 0, 100, 100), (50, 50))
    display.copy((width - NOISE[0], 100, *NOISE), (3, height - NOISE[1]))


def picture_of(display: Display) -> Picture:
    """Return what the guest itself has on its screen."""
    screenshot = display.screenshot()
    return Picture.from_bgrx(screenshot.width, screenshot.height, screenshot.pixels)


@pytest.mark.parametrize("compression", ["off", "lz"])
@pytest.mark.parametrize("size", SIZES)
async def test_clients_have_the_pixels_of_the_guest(
    gtk_client: StartClient, size: tuple[int, int], compression: str
) -> None:
    async with SpiceServer(displays=[size], compression=compression) as server:
        (display,) = server.displays
        draw(display, 1)
        at_first = picture_of(display)
        screenshot = await spicy_screenshot(port=server.port)
        client = await gtk_client(port=server.port)
        await client.ready()
        first = await client.screenshot()
        # The screenshot's own client came and went before.
        while not (session := await server.wait_client()).connected:
            pass
        draw(display, 2)
        await session.synced()
        then = await client.screenshot()

    assert screenshot.picture == at_first
    assert first == at_first
    assert then == picture_of(display)
    # Each of these comparisons notices one pixel.
    assert first != at_first.changed(size[0] - 1, size[1] - 1)
    assert then != at_first


async def test_client_follows_a_change_of_size(gtk_client: StartClient) -> None:
    async with SpiceServer(displays=[(640, 480)]) as server:
        (display,) = server.displays
        client = await gtk_client(port=server.port)
        await client.ready()
        session = await server.wait_client()
        display.resize(801, 599)
        draw(display, 3)
        await session.synced()
        await client.event("display-primary-create", width=801, height=599)
        await client.event("display-primary-destroy")
        assert await client.screenshot() == picture_of(display)
        head = {"id": 0, "surface_id": 0, "x": 0, "y": 0, "width": 801, "height": 599}
        await client.event("monitors", heads=[head])
