"""What a real client's user does arrives in the guest, in order and whole; and the clipboard goes both ways."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from spiceemu import (
    ClipboardText,
    KeyDown,
    KeyModifiers,
    KeyUp,
    MonitorsRequested,
    MouseMotion,
    MousePosition,
    MousePress,
    MouseRelease,
    SpiceServer,
)

from .clients import GtkClient

StartClient = Callable[..., Awaitable[GtkClient]]

SERVER_MOUSE, CLIENT_MOUSE = 1, 2
LEFT, RIGHT, LEFT_MASK, RIGHT_MASK = 1, 3, 1, 4
CAPS_LOCK, CAPS_LOCK_KEY = 4, 0x3A
UP_ARROW, UP_ARROW_FOR_CLIENT = 0xE048, 0x148


async def test_keys_arrive_in_order_and_none_is_lost(gtk_client: StartClient) -> None:
    scancodes = [*range(0x02, 0x36)] * 4
    async with SpiceServer() as server:
        client = await gtk_client(port=server.port)
        await client.ready()
        session = await server.wait_client()
        await client.type(*scancodes, UP_ARROW_FOR_CLIENT)
        await session.expect(KeyUp(UP_ARROW))
        keys = [event for event in session.events if isinstance(event, KeyDown | KeyUp)]
    wanted = [kind(scancode) for scancode in [*scancodes, UP_ARROW] for kind in (KeyDown, KeyUp)]
    assert keys == wanted


async def test_caps_lock_comes_back_as_modifier(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client = await gtk_client(port=server.port)
        await client.ready()
        session = await server.wait_client()
        await client.event("inputs-modifiers", modifiers=0)
        await client.type(CAPS_LOCK_KEY)
        await client.event("inputs-modifiers", modifiers=CAPS_LOCK)
        await client.command("set_key_locks", locks=0)
        await session.expect(KeyModifiers(0))


async def test_positions_and_buttons_in_client_mode(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client = await gtk_client(port=server.port)
        await client.ready()
        session = await server.wait_client()
        await client.event("main-mouse-update", mode=CLIENT_MOUSE)
        await client.command("position", x=1023, y=767)
        await session.expect(MousePosition(1023, 767))
        await client.command("button_press", button=LEFT)
        await session.expect(MousePress(LEFT, LEFT_MASK))
        await client.command("position", x=0, y=1, buttons=LEFT_MASK)
        await session.expect(MousePosition(0, 1, LEFT_MASK))
        await client.command("button_press", button=RIGHT, buttons=LEFT_MASK)
        await session.expect(MousePress(RIGHT, LEFT_MASK | RIGHT_MASK))
        await client.command("button_release", button=RIGHT, buttons=LEFT_MASK | RIGHT_MASK)
        await session.expect(MouseRelease(RIGHT, LEFT_MASK))


async def test_no_motion_is_lost_in_server_mode(gtk_client: StartClient) -> None:
    steps = 200
    async with SpiceServer(agent=False) as server:
        client = await gtk_client(port=server.port)
        await client.ready()
        session = await server.wait_client()
        await client.command("request_mouse_mode", mode=SERVER_MOUSE)
        await client.event("main-mouse-update", mode=SERVER_MOUSE)
        for _ in range(steps):
            await client.command("motion", dx=3, dy=-2)
        # A press sends what motion spice-gtk still held back for want of acknowledgements.
        await client.command("button_press", button=LEFT)
        await session.expect(MousePress(LEFT, LEFT_MASK))
        motions = [event for event in session.events if isinstance(event, MouseMotion)]
    assert (sum(motion.dx for motion in motions), sum(motion.dy for motion in motions)) == (3 * steps, -2 * steps)


async def test_clipboard_both_ways(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client = await gtk_client(port=server.port)
        await client.ready()
        await client.event("main-agent-update", connected=True)
        session = await server.wait_client()
        server.guest.clipboard.set_text("from the guest: čtyři")
        assert await client.fetch_text() == "from the guest: čtyři"
        await client.offer_text("from the client: čtyři")
        assert await session.expect(ClipboardText) == ClipboardText("from the client: čtyři")
        assert server.guest.clipboard.text == "from the client: čtyři"


async def test_a_size_the_client_asks_for(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client = await gtk_client(port=server.port)
        await client.ready()
        await client.event("main-agent-update", connected=True)
        session = await server.wait_client()
        await client.command("enable_display", display=0, enabled=True, send=False)
        await client.command("update_display", width=802, height=604, send=False)
        await client.command("send_monitor_config")
        await session.expect(MonitorsRequested(((0, 0, 802, 604),)))
        await client.event("display-primary-create", width=802, height=604)
