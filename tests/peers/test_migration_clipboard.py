"""The clipboard across the moment of a migration: what was offered before is given after, what is under way arrives."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from spiceemu import AgentMessage, Client, ClipboardText, SpiceServer
from spiceemu.guest.clipboard import Owner
from spiceemu.protocol.agent import messages as agent
from spiceemu.protocol.agent.enums import ClipboardSelection, ClipboardType
from spiceemu.protocol.levels.level import MigrationScheme

from .clients import GtkClient
from .emulator import StartClient, whole
from .moves import PAIRS, SEAMLESS, SEMI, SWITCH_HOST, is_leaving, moved, two_servers, under_way
from .recorder import CLIENT, SERVER, Recorder, recording
from .waiting import eventually

EVERY_SCHEME = pytest.mark.parametrize("scheme", PAIRS, ids=lambda scheme: scheme.name.lower())

PRIMARY = ClipboardSelection.PRIMARY

LONG = "0123456789abcdef" * 6400 + "the end"

LONG_DATA = base64.b64encode(LONG.encode()).decode()


async def join(gtk_client: StartClient, server: SpiceServer, port: int | None = None) -> tuple[GtkClient, Client]:
    """A client that the guest's agent knows."""
    client = await gtk_client(port=port or server.port)
    session = await whole(server)
    await client.ready()
    await agent_knows(session)
    return client, session


async def agent_knows(session: Client) -> None:
    """Wait until the client has told the agent all that it tells at the start."""

    async def look() -> bool:
        said = [type(event.message) for event in session.events if isinstance(event, AgentMessage)]
        return agent.AnnounceCapabilities in said and agent.MaxClipboard in said

    await eventually(look, lambda: "what spice-gtk tells an agent")


async def fetch(client: GtkClient, selection: int = 0) -> str:
    """Ask the guest for its text, without waiting for it to be offered."""
    await client.command("clipboard_request", format=ClipboardType.UTF8_TEXT, selection=selection)
    event = await client.event("main-clipboard-selection", selection=selection)
    return base64.b64decode(event["data"]).decode()


async def give(client: GtkClient, text: str, selection: int = 0) -> None:
    """Answer the guest's request."""
    await client.event("main-clipboard-selection-request", selection=selection)
    await client.command("clipboard_notify", data=base64.b64encode(text.encode()).decode(), selection=selection)


async def arrived(client: GtkClient, session: Client, scheme: MigrationScheme) -> None:
    if scheme is not SEAMLESS:
        await agent_knows(session)


@EVERY_SCHEME
async def test_offered_by_the_guest_before_and_asked_for_after(
    gtk_client: StartClient, scheme: MigrationScheme
) -> None:
    async with two_servers(*PAIRS[scheme]) as (one, other):
        client, _ = await join(gtk_client, one)
        one.guest.clipboard.set_text("from the guest")
        await client.event("main-clipboard-selection-grab", selection=0)
        after = await moved(client, one, other, scheme)
        await arrived(client, after, scheme)
        if scheme is not SEAMLESS:  # a new agent, as far as the client knows: it offers anew
            await client.event("main-clipboard-selection-grab", selection=0)
        assert await fetch(client) == "from the guest"
        other.guest.clipboard.set_text("and later")
        assert await client.fetch_text() == "and later"
    grabs = [event for event in client.events if event["event"] == "main-clipboard-selection-grab"]
    assert len(grabs) == (2 if scheme is SEAMLESS else 3)


@EVERY_SCHEME
async def test_offered_by_the_client_before_and_asked_for_after(
    gtk_client: StartClient, scheme: MigrationScheme
) -> None:
    """In a selection that the guest does not read by itself. A new session begins without."""
    async with two_servers(*PAIRS[scheme]) as (one, other):
        client, before = await join(gtk_client, one)
        await client.command("clipboard_grab", types=[ClipboardType.UTF8_TEXT], selection=PRIMARY)
        await before.expect(lambda event: isinstance(event, AgentMessage) and "ClipboardGrab" in repr(event))
        after = await moved(client, one, other, scheme)
        await arrived(client, after, scheme)
        clipboard = other.guest.clipboard
        if scheme is SWITCH_HOST:
            assert clipboard.owner_of(PRIMARY) is Owner.NOBODY
            await client.command("clipboard_grab", types=[ClipboardType.UTF8_TEXT], selection=PRIMARY)
            await after.expect(lambda event: isinstance(event, AgentMessage) and "ClipboardGrab" in repr(event))
        assert clipboard.owner_of(PRIMARY) is Owner.CLIENT
        assert clipboard.request_text(PRIMARY)
        await give(client, "from the client", PRIMARY)
        await after.expect(ClipboardText("from the client", PRIMARY))
        assert clipboard.text_of(PRIMARY) == "from the client"


async def test_asked_for_before_and_given_after(gtk_client: StartClient) -> None:
    async with two_servers(*PAIRS[SEAMLESS]) as (one, other):
        client, before = await join(gtk_client, one)
        await client.command("clipboard_grab", types=[ClipboardType.UTF8_TEXT])
        await client.event("main-clipboard-selection-request", selection=0)
        after = await moved(client, one, other, SEAMLESS)
        data = base64.b64encode(b"from the client").decode()
        await client.command("clipboard_notify", data=data)
        await after.expect(ClipboardText("from the client"))
        assert not any(isinstance(event, ClipboardText) for event in before.events)


async def has_linked(server: SpiceServer) -> bool:
    return any(session._member.session.channels for session in server.clients)


@asynccontextmanager
async def moved_while_it_sends(
    client: GtkClient, one: SpiceServer, other: SpiceServer, way_in: Recorder
) -> AsyncIterator[Client]:
    """Move a client whose long text, which the guest has asked for, is on its way to the source until it has left."""
    await client.command("clipboard_grab", types=[ClipboardType.UTF8_TEXT])
    await client.event("main-clipboard-selection-request", selection=0)
    async with under_way(one, other) as way:
        await way.recorder.asked.wait()
        way_in.flows[CLIENT].clear()
        await client.command("clipboard_notify", data=LONG_DATA)
        way.recorder.open.set()
        await eventually(partial(has_linked, other), lambda: "the client at the target")
        way_in.flows[CLIENT].set()
        yield await way.end(client, other)


async def test_under_way_from_the_client(gtk_client: StartClient) -> None:
    """100 kB, of which the source has had the first pieces when it stops."""
    async with two_servers(*PAIRS[SEAMLESS]) as (one, other), recording(one.port or 0) as way_in:
        client, before = await join(gtk_client, one, way_in.port)
        async with moved_while_it_sends(client, one, other, way_in) as after:
            assert one.guest.clipboard.text is None
            await after.expect(ClipboardText(LONG))
            assert other.guest.clipboard.text == LONG
        assert not any(isinstance(event, ClipboardText) for event in before.events)


async def test_under_way_from_the_guest(gtk_client: StartClient) -> None:
    """The client has had nothing of the message when the source says its last word, and hears both."""
    async with two_servers(*PAIRS[SEAMLESS]) as (one, other), recording(one.port or 0) as way_in:
        client, before = await join(gtk_client, one, way_in.port)
        one.guest.clipboard.set_text(LONG)
        await client.event("main-clipboard-selection-grab", selection=0)
        async with under_way(one, other) as way:
            await way.recorder.asked.wait()
            way_in.flows[SERVER].clear()
            await client.command("clipboard_request", format=ClipboardType.UTF8_TEXT, selection=0)
            way.recorder.open.set()
            await eventually(partial(is_leaving, before), lambda: "the source's last word")
            way_in.flows[SERVER].set()
            await way.end(client, other)
            event = await client.event("main-clipboard-selection", selection=0)
        assert base64.b64decode(event["data"]).decode() == LONG
    texts = [event for event in client.events if event["event"] == "main-clipboard-selection"]
    assert len(texts) == 1


async def test_semi_seamless_asks_again_for_what_was_lost_under_way(gtk_client: StartClient) -> None:
    """What the client had not sent yet when it left is lost with its connection: the guest asks again."""
    async with two_servers(*PAIRS[SEMI]) as (one, other), recording(one.port or 0) as way_in:
        client, _ = await join(gtk_client, one, way_in.port)
        async with moved_while_it_sends(client, one, other, way_in) as after:
            assert other.guest.clipboard.text is None
            await give(client, LONG)
            await after.expect(ClipboardText(LONG))


@pytest.mark.parametrize("owner", Owner)
async def test_the_guest_copies_while_the_client_is_between_servers(gtk_client: StartClient, owner: Owner) -> None:
    """The guest is at the target already, and the client has not brought its state yet."""
    async with two_servers(*PAIRS[SEAMLESS]) as (one, other):
        client, _ = await join(gtk_client, one)
        if owner is Owner.CLIENT:
            await client.command("clipboard_grab", types=[ClipboardType.UTF8_TEXT], selection=PRIMARY)
            await eventually(partial(is_owner, one, owner), lambda: "the client's grab")
        else:
            one.guest.clipboard.set_text("old", PRIMARY)
            await client.event("main-clipboard-selection-grab", selection=PRIMARY)

        async def deliver(_: bytes) -> None:
            clipboard = other.guest.clipboard
            if owner is Owner.GUEST:
                clipboard.set_text("new", PRIMARY)
            elif owner is Owner.NOBODY:
                clipboard.clear(PRIMARY)
            else:
                assert clipboard.request_text(PRIMARY)

        await one.migrate_to(other, deliver=deliver)
        after = await whole(other)
        if owner is Owner.GUEST:
            await client.event("main-clipboard-selection-grab", selection=PRIMARY)
            assert await fetch(client, PRIMARY) == "new"
        elif owner is Owner.NOBODY:
            await client.event("main-clipboard-selection-release", selection=PRIMARY)
        else:
            await give(client, "the client's", PRIMARY)
            await after.expect(ClipboardText("the client's", PRIMARY))


async def is_owner(server: SpiceServer, owner: Owner) -> bool:
    return server.guest.clipboard.owner_of(PRIMARY) is owner
