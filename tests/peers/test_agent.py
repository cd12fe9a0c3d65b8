"""The guest's agent and a real client's: clipboards both ways, monitors as the client would like them."""

from __future__ import annotations

import base64

import pytest

from spiceemu import Client, ClipboardText, MonitorsRequested, RequestRefused, SpiceServer
from spiceemu.guest.agent import CAPABILITIES
from spiceemu.guest.clipboard import Owner
from spiceemu.guest.display import Head
from spiceemu.protocol.agent.enums import AgentCap, ClipboardSelection, ClipboardType

from .clients import GtkClient
from .emulator import StartClient, check_pixels, draw_everything, in_step

TEXTS = ["x", "two\nlines\r\n\ttabs", "čtyři 日本語 🙂", "0123456789abcdef" * 20_000]

#: The fewest bytes that do not fit into one piece of an agent's message.
MORE_THAN_A_PIECE = 2048


async def start(gtk_client: StartClient, server: SpiceServer) -> tuple[GtkClient, Client]:
    """Connect a client and wait until it and the agent know of each other."""
    client = await gtk_client(port=server.port)
    await client.ready()
    session = await server.wait_client()
    await client.event("main-agent-update", connected=True)
    # Signalled once more when the agent has told what it can do.
    await client.event("main-agent-update", connected=True)
    return client, session


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: f"{len(text)} characters")
async def test_text_both_ways(gtk_client: StartClient, text: str) -> None:
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        server.guest.clipboard.set_text(text + "from the guest")
        assert await client.fetch_text() == text + "from the guest"
        await client.offer_text(text + "from the client")
        assert await session.expect(ClipboardText) == ClipboardText(text + "from the client")
        assert server.guest.clipboard.text == text + "from the client"
        server.guest.clipboard.set_text("again")
        assert await client.fetch_text() == "again"
    assert len(TEXTS[-1]) > 100 * MORE_THAN_A_PIECE


@pytest.mark.parametrize("selection", list(ClipboardSelection), ids=lambda selection: selection.name)
async def test_each_selection_is_its_own(gtk_client: StartClient, selection: ClipboardSelection) -> None:
    others = set(ClipboardSelection) - {selection}
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        clipboard = server.guest.clipboard
        clipboard.set_text("from the guest", selection)
        assert await client.fetch_text(selection=selection) == "from the guest"
        await client.command("clipboard_grab", types=[ClipboardType.UTF8_TEXT], selection=selection)
        while clipboard.owner_of(selection) is not Owner.CLIENT:
            await session.next_event()
        # The guest asks for the first clipboard by itself; the others it reads when it wants to paste.
        assert clipboard.request_text(selection)
        await client.event("main-clipboard-selection-request", selection=selection)
        data = base64.b64encode(b"from the client").decode()
        await client.command("clipboard_notify", data=data, selection=selection)
        await session.expect(ClipboardText("from the client", selection))
        assert clipboard.text_of(selection) == "from the client"
        assert {clipboard.text_of(other) for other in others} == {None}
    grabs = [event["selection"] for event in client.events if event["event"] == "main-clipboard-selection-grab"]
    assert grabs == [selection]


async def test_the_last_text_counts(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client, _ = await start(gtk_client, server)
        for number in range(20):
            server.guest.clipboard.set_text(f"text {number}")
        for _ in range(20):
            await client.event("main-clipboard-selection-grab", selection=0, types=[ClipboardType.UTF8_TEXT])
        await client.command("clipboard_request", format=ClipboardType.UTF8_TEXT, selection=0)
        event = await client.event("main-clipboard-selection", selection=0)
        assert base64.b64decode(event["data"]) == b"text 19"


async def test_text_is_given_up(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        clipboard = server.guest.clipboard
        clipboard.set_text("from the guest")
        await client.event("main-clipboard-selection-grab")
        clipboard.clear()
        await client.event("main-clipboard-selection-release", selection=0)

        await client.offer_text("from the client")
        await session.expect(ClipboardText("from the client"))
        await client.command("clipboard_release")
        while clipboard.owner_of(0) is not Owner.NOBODY:
            await session.next_event()
        assert clipboard.text is None


async def test_what_is_no_text_is_not_asked_for(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        await client.command("clipboard_grab", types=[ClipboardType.IMAGE_PNG])
        while server.guest.clipboard.owner_of(0) is not Owner.CLIENT:
            await session.next_event()
        assert server.guest.clipboard.types_of(0) == (ClipboardType.IMAGE_PNG,)
        await client.offer_text("text after all")
        await session.expect(ClipboardText("text after all"))
    requests = [event for event in client.events if event["event"] == "main-clipboard-selection-request"]
    assert len(requests) == 1


async def test_what_the_client_knows_of_the_agent(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client, _ = await start(gtk_client, server)
        known = {cap for cap in AgentCap if await client.command("has_agent_capability", capability=cap)}
        state = await client.command("state")
    assert known == CAPABILITIES
    assert state["agent_connected"] is True


async def test_a_guest_without_agent(gtk_client: StartClient) -> None:
    async with SpiceServer(agent=False) as server:
        client = await gtk_client(port=server.port)
        await client.ready()
        session = await server.wait_client()
        server.guest.clipboard.set_text("nobody hears of it")
        await in_step(client, session)
        state = await client.command("state")
    assert state["agent_connected"] is False
    assert [event["connected"] for event in client.events if event["event"] == "main-agent-update"] in ([], [False])
    assert [event for event in client.events if "clipboard" in event["event"]] == []


async def test_the_agent_goes_and_comes_back(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        server.guest.clipboard.set_text("before")
        assert await client.fetch_text() == "before"
        session.set_agent_connected(False)
        await client.event("main-agent-update", connected=False)
        session.set_agent_connected(True)
        await client.event("main-agent-update", connected=True)
        server.guest.clipboard.set_text("after")
        assert await client.fetch_text() == "after"
        await client.offer_text("from the client")
        await session.expect(ClipboardText("from the client"))


async def test_the_next_client_has_the_agent(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        first, first_session = await start(gtk_client, server)
        await first.offer_text("from the first")
        await first_session.expect(ClipboardText("from the first"))
        await first.command("disconnect")
        await first_session.wait_disconnected()
        second, second_session = await start(gtk_client, server)
        server.guest.clipboard.set_text("for the second")
        assert await second.fetch_text() == "for the second"
        await second.offer_text("from the second")
        await second_session.expect(ClipboardText("from the second"))


async def test_a_size_that_the_client_would_like(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        (display,) = server.displays
        client, session = await start(gtk_client, server)
        await client.command("enable_display", display=0, enabled=True, send=False)
        for width, height in ((802, 604), (640, 480), (1001, 701)):
            await client.command("update_display", width=width, height=height, send=False)
            await client.command("send_monitor_config")
            await session.expect(MonitorsRequested(((0, 0, width, height),)))
            await client.event("display-primary-create", width=width, height=height)
            draw_everything(display)
            await session.synced()
            check_pixels(await client.screenshot(), display, f"{width}x{height}")


async def test_two_monitors_side_by_side(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        (display,) = server.displays
        client, session = await start(gtk_client, server)
        for number, (x, width, height) in enumerate(((0, 640, 480), (640, 800, 600))):
            await client.command("enable_display", display=number, enabled=True, send=False)
            await client.command("update_display", display=number, x=x, y=0, width=width, height=height, send=False)
        await client.command("send_monitor_config")
        await session.expect(MonitorsRequested(((0, 0, 640, 480), (640, 0, 800, 600))))
        assert display.heads == [Head(0, 0, 0, 640, 480), Head(1, 640, 0, 800, 600)]
        await client.event("display-primary-create", width=1440, height=600)
        heads = [
            {"id": 0, "surface_id": 0, "x": 0, "y": 0, "width": 640, "height": 480},
            {"id": 1, "surface_id": 0, "x": 640, "y": 0, "width": 800, "height": 600},
        ]
        await client.event("monitors", heads=heads)
        await session.synced()
        check_pixels(await client.screenshot(), display)

        # One of them is turned off again.
        await client.command("enable_display", display=1, enabled=False, send=False)
        await client.command("send_monitor_config")
        await client.event("display-primary-create", width=640, height=480)
        await client.event("monitors", heads=heads[:1])
        await session.synced()
        check_pixels(await client.screenshot(), display)


async def test_a_size_that_the_guest_cannot_have(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        await client.command("enable_display", display=0, enabled=True, send=False)
        await client.command("update_display", width=30_000, height=100, send=False)
        await client.command("send_monitor_config")
        await session.expect(MonitorsRequested(((0, 0, 30_000, 100),)))
        refused = await session.expect(RequestRefused)
        assert "16384" in refused.text
        assert (server.displays[0].width, server.displays[0].height) == (1024, 768)
        await session.synced()
        check_pixels(await client.screenshot(), server.displays[0])
