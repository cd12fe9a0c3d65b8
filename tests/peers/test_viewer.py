"""The whole thing as its user sees it: remote-viewer's window shows the guest, and drives it."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from spiceemu import ClipboardText, Display, KeyDown, MonitorsRequested, MousePosition, MousePress, SpiceServer

from .certificates import Certificates
from .conftest import PASSWORD
from .picture import Picture
from .screen import RemoteViewer, Screen, write_vv
from .waiting import eventually

StartViewer = Callable[..., Awaitable[RemoteViewer]]


def draw(display: Display) -> Picture:
    """Draw a still picture that is found in a window at one place only, and return it."""
    for number in range(16):
        display.fill((number * 37, number * 29, 300, 200), 0x112233 * number & 0xFFFFFF)
    display.text((20, 20), "The guest's screen", color="white", scale=2)
    screenshot = display.screenshot()
    return Picture.from_bgrx(screenshot.width, screenshot.height, screenshot.pixels)


async def test_window_shows_the_guest_and_its_keys_and_pointer_reach_it(remote_viewer: StartViewer) -> None:
    async with SpiceServer(title="The guest of a test") as server:
        picture = draw(server.displays[0])
        viewer = await remote_viewer(server.uri)
        x, y = await viewer.shows(picture)
        await viewer.window("The guest of a test")
        session = await server.wait_client()

        await viewer.focus()
        await viewer.type("hello")
        for character in "hello":
            assert (await session.expect(KeyDown)).character == character
        await viewer.move(x + 123, y + 45)
        await session.expect(MousePosition(123, 45))
        await viewer.click(3)
        await session.expect(MousePress(3, 4))

        # What is drawn later is shown too, and a picture that is one pixel off is not.
        server.displays[0].fill((0, 0, 50, 50), "red")
        shown = server.displays[0].screenshot()
        later = Picture.from_bgrx(shown.width, shown.height, shown.pixels)
        await viewer.shows(later)
        assert (await viewer.picture()).find(later.changed(25, 25)) is None


async def test_password_asked_until_it_is_right(remote_viewer: StartViewer) -> None:
    async with SpiceServer(password=PASSWORD) as server:
        picture = draw(server.displays[0])
        viewer = await remote_viewer(server.uri)
        await viewer.answer_password("wrong")
        await viewer.dismiss_error()
        await viewer.answer_password(PASSWORD)
        await viewer.shows(picture)


@pytest.mark.parametrize("by_file", [True, False])
async def test_tls(remote_viewer: StartViewer, certificates: Certificates, tmp_path: Path, by_file: bool) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.certificate, certificates.key)
    async with SpiceServer(port=None, tls_port=0, tls=context) as server:
        picture = draw(server.displays[0])
        if by_file:
            file = write_vv(tmp_path / "guest.vv", tls_port=server.tls_port or 0, authority=certificates.authority)
            viewer = await remote_viewer(file)
        else:
            viewer = await remote_viewer(server.uri, f"--spice-ca-file={certificates.authority}")
        await viewer.shows(picture)


async def test_desktop_follows_the_window(remote_viewer: StartViewer) -> None:
    async with SpiceServer() as server:
        (display,) = server.displays
        viewer = await remote_viewer(server.uri)
        window = await viewer.window()
        await viewer.shows(draw(display))
        session = await server.wait_client()
        await viewer.resize(window.width - 200, window.height - 100)
        ((_, _, width, height),) = (await session.expect(MonitorsRequested)).monitors
        assert (display.width, display.height) == (width, height)
        assert width < 1024
        assert height < 768
        await viewer.shows(draw(display))


async def test_clipboard_both_ways(remote_viewer: StartViewer, xvfb: Screen) -> None:
    async with SpiceServer() as server:
        viewer = await remote_viewer(server.uri)
        await viewer.shows(draw(server.displays[0]))
        session = await server.wait_client()
        await viewer.focus()

        await xvfb.copy_text("from an application")
        assert await session.expect(ClipboardText) == ClipboardText("from an application")
        assert server.guest.clipboard.text == "from an application"

        async def pasted() -> bool:
            return await xvfb.text() == "from the guest"

        server.guest.clipboard.set_text("from the guest")
        await eventually(pasted, lambda: "the guest's text in the clipboard of the screen")
