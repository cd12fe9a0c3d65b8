"""Real clients show the right pixels whatever version or release the server behaves like."""

from __future__ import annotations

import pytest

from spiceemu import MonitorsRequested, SpiceServer
from spiceemu.guest.display import Head
from spiceemu.judge.connection import ConnectionJudge
from spiceemu.judge.finding import Finding
from spiceemu.judge.stream import StreamJudge
from spiceemu.protocol.levels.level import LEVELS
from spiceemu.recordings.relay import Relay, RelayObserver, Target
from spiceemu.serving.wiretap import Wire

from .clients import spicy_screenshot
from .emulator import (
    SCENES,
    StartClient,
    StartViewer,
    check_pixels,
    connected,
    draw_everything,
    in_step,
    picture_of,
    request_mouse_mode,
    whole,
)

EVERY_LEVEL = pytest.mark.parametrize("level", LEVELS)

WITHOUT_SURFACES = ("0.4",)
ONE_HEAD = ("0.4", "0.6", "0.6.4", "0.8.3", "0.10.1")
ONE_DISPLAY_CHANNEL = ("0.4", "0.6")


@EVERY_LEVEL
async def test_pixels(gtk_client: StartClient, level: str) -> None:
    async with SpiceServer(displays=[(640, 480)], compat=level) as server:
        (display,) = server.displays
        draw_everything(display)
        kept = display.create_surface(120, 90)  # there before the client, and drawn from after it came
        display.fill((0, 0, 120, 90), "orange", surface=kept)
        screenshot = await spicy_screenshot(port=server.port)
        check_pixels(screenshot.picture, display, "spicy-screenshot")

        client = await gtk_client(port=server.port)
        session = await connected(server)
        await client.ready()
        for seed, (scene, draw) in enumerate(SCENES.items()):
            draw(display, seed)
            display.copy_surface(kept, (seed, 0, 60, 80), (20 * seed, 390))
            await session.synced()
            check_pixels(await client.screenshot(), display, scene)
        for width, height in ((801, 599), (320, 200), (640, 480)):
            display.resize(width, height)
            draw_everything(display, width)
            await session.synced()
            check_pixels(await client.screenshot(), display, f"{width}x{height}")


@EVERY_LEVEL
async def test_heads(gtk_client: StartClient, level: str) -> None:
    """A level that has no way to tell of a second head shows the first one, and nothing of the other."""
    async with SpiceServer(displays=[(640, 480)], compat=level) as server:
        (display,) = server.displays
        client = await gtk_client(port=server.port)
        session = await connected(server)
        await client.ready()
        server.guest.set_heads(0, [Head(0, 0, 0, 500, 400), Head(1, 500, 30, 300, 200)])
        draw_everything(display)
        await session.synced()
        shown = await client.screenshot()
        if level in ONE_HEAD:
            assert shown.difference(picture_of(display).crop(0, 0, 500, 400)) == ""
        else:
            check_pixels(shown, display)
            heads = [(0, 0, 0, 500, 400), (1, 500, 30, 300, 200)]
            names = ("id", "x", "y", "width", "height")
            await client.event(
                "monitors", heads=[{"surface_id": 0, **dict(zip(names, head, strict=True))} for head in heads]
            )


@EVERY_LEVEL
async def test_display_channels(gtk_client: StartClient, level: str) -> None:
    async with SpiceServer(displays=[(320, 200), (200, 320)], compat=level) as server:
        for display in server.displays:
            draw_everything(display, display.id)
        client = await gtk_client(port=server.port)
        session = await connected(server)
        await client.ready()
        await in_step(client, session)
        shown = server.displays[:1] if level in ONE_DISPLAY_CHANNEL else server.displays
        for display in shown:
            check_pixels(await client.screenshot(channel=display.id), display, f"display {display.id}")
        opened = [
            event["channel"] for event in client.events if event["event"] == "opened" and event["type"] == "display"
        ]
        assert sorted(opened) == [display.id for display in shown]


@EVERY_LEVEL
async def test_what_the_client_asks_of_the_agent_is_answered(gtk_client: StartClient, level: str) -> None:
    async with SpiceServer(displays=[(640, 480)], compat=level) as server:
        (display,) = server.displays
        client = await gtk_client(port=server.port)
        session = await connected(server)
        await client.ready()
        await request_mouse_mode(client, session, 2)
        for number, monitor in enumerate(((0, 0, 700, 500), (700, 0, 300, 200))):
            place = dict(zip(("x", "y", "width", "height"), monitor, strict=True))
            await client.command("update_display", display=number, send=False, **place)
            await client.command("enable_display", display=number, enabled=True, send=False)
        await client.command("send_monitor_config")
        await session.expect(MonitorsRequested(((0, 0, 700, 500), (700, 0, 300, 200))))
        await session.synced()
        if level in ONE_HEAD:
            assert [(head.width, head.height) for head in display.heads] == [(700, 500)]
        check_pixels(await client.screenshot(), display)


class Judging(RelayObserver):
    """Judges what passes, both ways."""

    def __init__(self, level: str) -> None:
        self.found: list[Finding] = []
        self._judge = StreamJudge(level)
        self._open: dict[int, ConnectionJudge] = {}

    def opened(self, connection: Wire) -> None:
        self._open[connection.number] = self._judge.connection(str(connection.number))

    def client_data(self, connection: Wire, data: bytes) -> bytes:
        self.found += self._open[connection.number].client_data(data)
        return data

    def server_data(self, connection: Wire, data: bytes) -> bytes:
        self.found += self._open[connection.number].server_data(data)
        return data

    def closed(self, connection: Wire, reason: str) -> None:
        self.found += self._judge.end(self._open.pop(connection.number))


@EVERY_LEVEL
async def test_a_session_lints_clean(gtk_client: StartClient, level: str) -> None:
    """What a real client says as well: it sends MOUSE_MODE_REQUEST behind messages that it made later."""
    judging = Judging(level)
    async with SpiceServer(displays=[(640, 480), (320, 200)], compat=level) as server:
        target = Target("127.0.0.1", server.port or 0)
        async with Relay(target, observer=judging) as relay:
            client = await gtk_client(port=relay.port)
            session = await connected(server)
            await client.ready()
            await request_mouse_mode(client, session, 2)
            for display in server.displays:
                draw_everything(display)
            server.guest.set_heads(0, [Head(0, 0, 0, 500, 400), Head(1, 500, 30, 300, 200)])
            await client.type(0x1E, 0x30)
            await client.command("position", x=3, y=4)
            await session.synced()
            await client.close()
            await session.wait_disconnected()
    assert judging.found == []


@EVERY_LEVEL
async def test_remote_viewer(remote_viewer: StartViewer, level: str) -> None:
    async with SpiceServer(displays=[(640, 480)], compat=level) as server:
        (display,) = server.displays
        draw_everything(display)
        viewer = await remote_viewer(server.uri)
        await viewer.shows(picture_of(display))
        await whole(server, sound=True)
        draw_everything(display, 2)
        await viewer.shows(picture_of(display))
