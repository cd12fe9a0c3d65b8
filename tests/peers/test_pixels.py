"""What a real client has on its screen is what the guest drew, pixel for pixel."""

from __future__ import annotations

import pytest

from spiceemu import SpiceServer
from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.surface import Surface

from .clients import spicy_screenshot
from .emulator import SCENES, StartClient, check_pixels, connected, draw_everything, picture_of

SIZES = [(640, 480), (1024, 768), (1920, 1080), (1001, 701)]
COMPRESSIONS = ["off", "lz", "auto"]


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_clients_have_the_pixels_of_the_guest(
    gtk_client: StartClient, size: tuple[int, int], compression: str
) -> None:
    async with SpiceServer(displays=[size], compression=compression) as server:
        (display,) = server.displays
        draw_everything(display)
        screenshot = await spicy_screenshot(port=server.port)
        check_pixels(screenshot.picture, display, "spicy-screenshot")

        client = await gtk_client(port=server.port, channels=["display"])
        session = await connected(server)
        await session.synced()
        check_pixels(await client.screenshot(), display, "drawn before the client came")

        for scene, draw in SCENES.items():
            draw(display, 2)
            await session.synced()
            check_pixels(await client.screenshot(), display, f"{scene}, drawn after the client came")


@pytest.mark.parametrize(
    ("place", "bit"),
    [((0, 0), 0x000001), ((639, 0), 0x000100), ((0, 479), 0x010000), ((639, 479), 0x800000), ((321, 123), 0xFFFFFF)],
)
async def test_one_pixel_that_the_client_was_not_sent_is_noticed(
    gtk_client: StartClient, place: tuple[int, int], bit: int
) -> None:
    async with SpiceServer(displays=[(640, 480)]) as server:
        (display,) = server.displays
        draw_everything(display)
        client = await gtk_client(port=server.port, channels=["display"])
        session = await connected(server)
        await session.synced()
        shown = await client.screenshot()
        before = check_pixels(shown, display)

        display.fill((*place, 1, 1), before.pixel(*place) ^ bit)
        assert shown != picture_of(display)
        with pytest.raises(
            AssertionError, match=f"1 of {640 * 480} pixels differ, .* the first at {place[0]},{place[1]}"
        ):
            check_pixels(shown, display)
        await session.synced()
        check_pixels(await client.screenshot(), display)


@pytest.mark.parametrize("compression", COMPRESSIONS)
async def test_one_wrong_pixel_on_the_wire_is_noticed(
    gtk_client: StartClient, compression: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Surface.read

    def wrong(surface: Surface, box: Rect) -> bytes:
        pixels = bytearray(right(surface, box))
        pixels[(333 * box.width + 444) * 4] ^= 1
        return bytes(pixels)

    async with SpiceServer(displays=[(640, 480)], compression=compression) as server:
        (display,) = server.displays
        draw_everything(display)
        # The first picture that a client is sent is read from the surface; what follows are the drawings themselves.
        monkeypatch.setattr(Surface, "read", wrong)
        screenshot = await spicy_screenshot(port=server.port)
        client = await gtk_client(port=server.port, channels=["display"])
        await (await connected(server)).synced()
        for shown in (screenshot.picture, await client.screenshot()):
            with pytest.raises(AssertionError, match=r"1 of .* pixels differ, .* the first at 444,333:"):
                check_pixels(shown, display)
