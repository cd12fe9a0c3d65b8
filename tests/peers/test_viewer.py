"""The whole thing as its user sees it: remote-viewer's window shows the guest, and drives it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from spiceemu import (
    ClipboardText,
    KeyDown,
    MonitorsRequested,
    MousePosition,
    MousePress,
    MouseRelease,
    SpiceServer,
)
from spiceemu.desktop.demo import run_demo
from spiceemu.drawing.operations import WriteText
from spiceemu.guest.changes import DisplayChange

from .conftest import PASSWORD
from .emulator import LEFT, LEFT_MASK, RIGHT, RIGHT_MASK, StartViewer, draw_everything, picture_of, whole
from .picture import Picture
from .screen import RemoteViewer, Screen, write_vv
from .waiting import eventually


@asynccontextmanager
async def demo(server: SpiceServer) -> AsyncIterator[None]:
    """The demo desktop on a server's first display."""
    task = asyncio.create_task(run_demo(server))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def in_step(viewer: RemoteViewer, server: SpiceServer) -> tuple[int, int]:
    """Wait until a window shows what the first display has just then; it may go on changing."""

    async def look() -> tuple[int, int] | None:
        for window in await viewer.windows():
            place = viewer.screen.picture(*window[2:]).find(picture_of(server.displays[0]))
            if place is not None:
                return window.x + place[0], window.y + place[1]
        return None

    return await eventually(look, lambda: f"the desktop in a window; {viewer.windows()}")


async def test_window_shows_the_guest_and_its_keys_and_pointer_reach_it(remote_viewer: StartViewer) -> None:
    async with SpiceServer(title="The guest of a test") as server:
        (display,) = server.displays
        draw_everything(display)
        viewer = await remote_viewer(server.uri)
        x, y = await viewer.shows(picture_of(display))
        await viewer.window("The guest of a test")
        session = await whole(server, sound=True)

        await viewer.focus()
        await viewer.type("Hello, World!")
        for character in "Hello, World!":
            await session.expect(lambda event, typed=character: isinstance(event, KeyDown) and event.character == typed)
        await viewer.move(x + 123, y + 45)
        await session.expect(MousePosition(123, 45))
        await viewer.click(RIGHT)
        await session.expect(MousePress(RIGHT, RIGHT_MASK))
        await viewer.drag(x + 200, y + 300)
        await session.expect(MousePress(LEFT, LEFT_MASK))
        await session.expect(MousePosition(200, 300, LEFT_MASK))
        await session.expect(MouseRelease(LEFT))

        # What is drawn later is shown too, and a picture that is one pixel off is not.
        draw_everything(display, 2)
        await viewer.shows(picture_of(display))
        shown = await viewer.picture()
        assert shown.find(picture_of(display)) is not None
        for pixel in ((0, 0), (1023, 767), (25, 25)):
            assert shown.find(picture_of(display).changed(*pixel)) is None


async def test_what_is_typed_appears_on_the_demo_desktop(remote_viewer: StartViewer) -> None:
    async with SpiceServer() as server, demo(server):
        (display,) = server.displays
        viewer = await remote_viewer(server.uri)
        await in_step(viewer, server)
        session = await whole(server, sound=True)

        written: list[tuple[str, Picture]] = []

        def note(change: DisplayChange) -> None:
            if isinstance(change, WriteText):
                box = change.box
                written.append((change.text, Picture.from_bgrx(box.width, box.height, display.primary.read(box))))

        display.subscribe(note)
        await viewer.focus()
        await viewer.type("hello")
        for character in "hello":
            assert (await session.expect(KeyDown)).character == character
        await in_step(viewer, server)

        # It stands there letter by letter, in the window as on the desktop.
        shown = await viewer.picture()
        for letter in "hello":
            assert any(letter in text and shown.find(picture) for text, picture in written), (
                f"no {letter} among {[text for text, _ in written]}"
            )


async def test_the_demo_desktop_follows_the_pointer_and_the_window(remote_viewer: StartViewer) -> None:
    async with SpiceServer() as server, demo(server):
        (display,) = server.displays
        viewer = await remote_viewer(server.uri)
        x, y = await in_step(viewer, server)
        session = await whole(server, sound=True)
        before = picture_of(display)
        await viewer.focus()
        await viewer.move(x + 700, y + 600)
        await session.expect(MousePosition(700, 600))
        await in_step(viewer, server)
        assert picture_of(display) != before

        window = await viewer.window()
        await viewer.resize(window.width - 200, window.height - 100)
        ((_, _, width, height),) = (await session.expect(MonitorsRequested)).monitors
        assert (display.width, display.height) == (width, height)
        assert (width, height) < (1024, 768)
        await in_step(viewer, server)


async def test_the_desktop_follows_the_window(remote_viewer: StartViewer) -> None:
    async with SpiceServer() as server:
        (display,) = server.displays
        draw_everything(display)
        viewer = await remote_viewer(server.uri)
        window = await viewer.window()
        await viewer.shows(picture_of(display))
        session = await whole(server, sound=True)
        for narrower, lower in ((200, 100), (-150, 250)):
            await viewer.resize(window.width - narrower, window.height - lower)
            ((_, _, width, height),) = (await session.expect(MonitorsRequested)).monitors
            assert (display.width, display.height) == (width, height)
            assert ((width < 1024), (height < 768)) == (narrower > 0, True)
            draw_everything(display)
            await viewer.shows(picture_of(display))


@pytest.mark.parametrize("where", ["IPv6", "unix socket"])
async def test_the_address_that_the_server_gives(remote_viewer: StartViewer, tmp_path: Path, where: str) -> None:
    server = SpiceServer(host="::1") if where == "IPv6" else SpiceServer(port=None, unix_path=str(tmp_path / "guest"))
    async with server:
        draw_everything(server.displays[0])
        viewer = await remote_viewer(server.uri)
        await viewer.shows(picture_of(server.displays[0]))
        await whole(server, sound=True)


async def test_password_asked_until_it_is_right(remote_viewer: StartViewer) -> None:
    async with SpiceServer(password=PASSWORD) as server:
        draw_everything(server.displays[0])
        viewer = await remote_viewer(server.uri)
        await viewer.answer_password("wrong")
        await viewer.dismiss_error()
        assert server.clients == []
        await viewer.answer_password(PASSWORD)
        await viewer.shows(picture_of(server.displays[0]))
        await whole(server, sound=True)


@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
async def test_password_in_a_file(remote_viewer: StartViewer, tmp_path: Path, password: str) -> None:
    async with SpiceServer(password=PASSWORD) as server:
        draw_everything(server.displays[0])
        file = write_vv(tmp_path / "guest.vv", port=server.port or 0, password=password)
        viewer = await remote_viewer(file)
        if password != PASSWORD:
            await viewer.answer_password(PASSWORD)
        await viewer.shows(picture_of(server.displays[0]))
        await whole(server, sound=True)


async def test_clipboard_both_ways(remote_viewer: StartViewer, xvfb: Screen) -> None:
    async with SpiceServer() as server:
        draw_everything(server.displays[0])
        viewer = await remote_viewer(server.uri)
        await viewer.shows(picture_of(server.displays[0]))
        session = await whole(server, sound=True)
        await viewer.focus()

        await xvfb.copy_text("from an application: čtyři")
        await session.expect(ClipboardText("from an application: čtyři"))
        assert server.guest.clipboard.text == "from an application: čtyři"

        async def pasted() -> bool:
            return await xvfb.text() == "from the guest: čtyři"

        server.guest.clipboard.set_text("from the guest: čtyři")
        await eventually(pasted, lambda: "the guest's text in the clipboard of the screen")


async def test_a_viewer_ends_quietly_when_the_server_does(remote_viewer: StartViewer) -> None:
    async with SpiceServer() as server:
        draw_everything(server.displays[0])
        viewer = await remote_viewer(server.uri)
        await viewer.shows(picture_of(server.displays[0]))
        session = await whole(server, sound=True)
        session.disconnect()
        assert await viewer.wait() == 0
