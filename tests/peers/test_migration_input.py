"""Keys and motions across the moment of a migration: none lost, none doubled, in order."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from functools import partial

import pytest

from spiceemu import (
    Client,
    KeyDown,
    KeyUp,
    MouseModeRequested,
    MouseMotion,
    MousePosition,
    MousePress,
    MouseRelease,
    SpiceServer,
)
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.framing import MAX_CLIENT_BODY, FrameReader
from spiceemu.protocol.levels.level import MigrationScheme
from spiceemu.protocol.messages import inputs
from spiceemu.protocol.messages.catalogue import CLIENT, lookup
from spiceemu.protocol.messages.message import Message

from ..protocol import captures
from .clients import GtkClient
from .emulator import CLIENT_MOUSE, LEFT, LEFT_MASK, SERVER_MOUSE, StartClient, request_mouse_mode, whole
from .moves import (
    KEY_A,
    KEY_B,
    PAIRS,
    SEAMLESS,
    SEMI,
    SWITCH_HOST,
    TWINS,
    all_open,
    is_leaving,
    moved,
    send_to,
    two_servers,
    under_way,
)
from .recorder import CLIENT as FROM_CLIENT, SERVER, Recorder, recording
from .waiting import eventually

EVERY_SCHEME = pytest.mark.parametrize("scheme", PAIRS, ids=lambda scheme: scheme.name.lower())

#: Keys of one byte that are no locks, one after the other: a lost, doubled or misplaced one shows.
KEYS = [code for code in range(0x02, 0x37) if code not in (0x1D, 0x2A, 0x36)]

NUM_KEY, NUM, CAPS = 0x45, 2, 4

END = 0x3B  # F1, which is none of them

INTERVAL = 5  # milliseconds: 200 keys a second
MOVES = 6
HEARD = 20  # keys pressed and released at each server


async def join(gtk_client: StartClient, server: SpiceServer, port: int | None = None) -> tuple[GtkClient, Client]:
    client = await gtk_client(port=port or server.port)
    session = await whole(server)
    await client.ready()
    return client, session


# --- what the client said, taken from the wire ------------------------------------------------------------------------


def said(recorder: Recorder) -> list[list[Message]]:
    """What the client said on its inputs channels, each of them by itself."""
    channels = []
    for number in range(len(recorder.connections)):
        link = captures.connection(recorder.sent_by("client", number), recorder.sent_by("server", number))
        if link.end == "linked" and link.channel_type == ChannelType.INPUTS:
            reader = FrameReader(mini=link.mini, max_body=MAX_CLIENT_BODY)
            channels.append(
                [
                    lookup(ChannelType.INPUTS, CLIENT, kind).parse(body)
                    for kind, body, _ in reader.receive_data(link.client)
                ]
            )
    return channels


def said_in_turn(*recorders: Recorder) -> list[Message]:
    """All of it, of a client that was at each server in turn."""
    turns = itertools.zip_longest(*map(said, recorders), fillvalue=[])
    return [message for turn in turns for channel in turn for message in channel]


def keys_of(messages: Iterable[Message]) -> list[KeyDown | KeyUp]:
    """Keys as the server must have understood them; all here have scancodes of one byte."""
    codes: list[int] = []
    for message in messages:
        match message:
            case inputs.KeyDown(code) | inputs.KeyUp(code):
                codes.append(code)
            case inputs.KeyScancode(data):
                codes += data
    return [KeyUp(code & 0x7F) if code & 0x80 else KeyDown(code) for code in codes]


def keys_heard(sessions: Iterable[Client]) -> list[object]:
    return [event for session in sessions for event in session.events if isinstance(event, KeyDown | KeyUp)]


async def has_heard(session: Client) -> bool:
    return len(keys_heard([session])) >= HEARD


def is_subsequence(part: list[int], whole_of_it: list[int]) -> bool:
    rest = iter(whole_of_it)
    return all(key in rest for key in part)


# --- keys -------------------------------------------------------------------------------------------------------------


@EVERY_SCHEME
async def test_typing(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    """200 keys a second while the client goes from server to server and back, with a few keys between.

    What it puts on the wire is all heard. What it does not is its own: spice-gtk drops keys silently from MIGRATE until
    its channel goes on, and has no channel at all while it switches hosts.
    """
    level = TWINS[scheme]
    async with (
        two_servers(level, level) as servers,
        recording(servers[0].port or 0) as first,
        recording(servers[1].port or 0) as second,
    ):
        client, session = await join(gtk_client, servers[0], first.port)
        sessions = [session]
        await client.command("type_steadily", scancodes=KEYS, interval=INTERVAL)
        ways = itertools.cycle([(servers[0], servers[1], second.port), (servers[1], servers[0], first.port)])
        for source, target, port in itertools.islice(ways, MOVES):
            ((_, how, followed),) = await send_to(source, target, port)
            assert (how, followed) == (scheme, True)
            sessions.append(await whole(target))
            await eventually(partial(has_heard, sessions[-1]), lambda: "a few keys at the target")
        typed = list(itertools.islice(itertools.cycle(KEYS), await client.command("stop_typing")))
        await all_open(client)
        await client.type(END)
        await sessions[-1].expect(KeyUp(END))

        wire = keys_of(said_in_turn(first, second))
        assert keys_heard(sessions) == wire
        pressed = [key.scancode for key in wire if isinstance(key, KeyDown)]
        assert is_subsequence(pressed[:-1], typed)
        held: set[int] = set()
        for key in wire:
            (held.add if isinstance(key, KeyDown) else held.discard)(key.scancode)
        if scheme is not SWITCH_HOST:
            assert target.guest.keyboard.held == held


@EVERY_SCHEME
async def test_a_held_key(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    """It stays held where the session goes on, and its end arrives there; a new session begins without keys."""
    async with two_servers(*PAIRS[scheme]) as (one, other):
        client, before = await join(gtk_client, one)
        await client.command("key_down", scancode=KEY_A)
        await before.expect(KeyDown(KEY_A))
        after = await moved(client, one, other, scheme)
        assert KeyUp(KEY_A) not in before.events
        assert other.guest.keyboard.held == (set() if scheme is SWITCH_HOST else {KEY_A})
        await client.command("key_up", scancode=KEY_A)
        await client.type(KEY_B)
        await after.expect(KeyDown(KEY_B))
        await after.expect(KeyUp(KEY_B))
        assert keys_heard([after]) == [KeyUp(KEY_A), KeyDown(KEY_B), KeyUp(KEY_B)]
        assert other.guest.keyboard.held == set()


@EVERY_SCHEME
async def test_locks(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    async with two_servers(*PAIRS[scheme]) as (one, other):
        client, _ = await join(gtk_client, one)
        await client.command("set_key_locks", locks=CAPS)
        await client.type(NUM_KEY)
        await client.event("inputs-modifiers", modifiers=CAPS | NUM)
        after = await moved(client, one, other, scheme)
        await client.type(KEY_A)
        await after.expect(KeyUp(KEY_A))
        # On a channel that begins anew the client tells its own idea of the locks, and a new one of it has none.
        locks = {SEAMLESS: CAPS | NUM, SEMI: CAPS, SWITCH_HOST: 0}[scheme]
        assert other.guest.keyboard.locks == locks
        await client.type(NUM_KEY)
        await after.expect(KeyUp(NUM_KEY))
        assert other.guest.keyboard.locks == locks ^ NUM


# --- the mouse --------------------------------------------------------------------------------------------------------


async def set_mouse_mode(client: GtkClient, session: Client, mode: int, *, new: bool) -> None:
    """Have the client in a mouse mode; in a new session it asks for its own first."""

    async def asked() -> bool:
        return MouseModeRequested(CLIENT_MOUSE) in session.events

    if new:
        await eventually(asked, lambda: "the mouse mode that spice-gtk asks for")
    await request_mouse_mode(client, session, mode)
    await has_mouse_mode(client, mode)


async def has_mouse_mode(client: GtkClient, mode: int) -> None:
    """Wait until the client has heard of it."""

    async def told() -> bool:
        return bool((await client.command("state"))["mouse_mode"] == mode)

    await eventually(told, lambda: f"mouse mode {mode}")


@EVERY_SCHEME
async def test_motions(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    """Three motions are unacknowledged each time the client goes; were one forgotten, it soon would move no more."""
    level = TWINS[scheme]
    async with two_servers(level, level) as (one, other):
        client, session = await join(gtk_client, one)
        for number, (source, target) in enumerate(((one, other), (other, one)) * 4):
            await set_mouse_mode(client, session, SERVER_MOUSE, new=number == 0)  # later it asks for no other
            for _ in range(11):
                await client.command("motion", dx=1, dy=2)
                await session.expect(MouseMotion(1, 2))
            place = source.guest.pointer.x, source.guest.pointer.y
            session = await moved(client, source, target, scheme)
            assert (target.guest.pointer.x, target.guest.pointer.y) == place
            if scheme is SEAMLESS:
                assert session.mouse_mode == SERVER_MOUSE


@EVERY_SCHEME
async def test_positions_and_a_held_button(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    level = TWINS[scheme]
    async with two_servers(level, level) as (one, other):
        client, session = await join(gtk_client, one)
        for number, (source, target) in enumerate(((one, other), (other, one)) * 3):
            await set_mouse_mode(client, session, CLIENT_MOUSE, new=number == 0 or scheme is not SEAMLESS)
            await client.command("button_press", button=LEFT, buttons=LEFT_MASK)
            await session.expect(MousePress(LEFT, LEFT_MASK))
            for x in range(11):
                await client.command("position", x=x, y=7, buttons=LEFT_MASK)
                await session.expect(MousePosition(x, 7, LEFT_MASK))
            session = await moved(client, source, target, scheme)
            assert target.guest.pointer.buttons == (0 if scheme is SWITCH_HOST else LEFT_MASK)
            await client.command("button_release", button=LEFT)
            await session.expect(MouseRelease(LEFT))
            assert target.guest.pointer.buttons == 0


async def test_what_the_client_says_after_the_last_word(gtk_client: StartClient) -> None:
    """The source has said MIGRATE, and the client has not read it: it goes on, and nobody answers before the target."""
    async with two_servers("0.15", "0.15") as (one, other), recording(one.port or 0) as way_in:
        client, before = await join(gtk_client, one, way_in.port)
        await set_mouse_mode(client, before, SERVER_MOUSE, new=True)
        async with under_way(one, other) as way:
            await way.recorder.asked.wait()
            way_in.flows[SERVER].clear()
            way.recorder.open.set()
            await eventually(partial(is_leaving, before), lambda: "the source's last word")
            for _ in range(7):
                await client.command("motion", dx=1, dy=1)
                await before.expect(MouseMotion(1, 1))
            await client.type(KEY_A)
            await before.expect(KeyUp(KEY_A))
            await request_mouse_mode(client, before, CLIENT_MOUSE)
            way_in.flows[SERVER].set()
            after = await way.end(client, other)
            await has_mouse_mode(client, CLIENT_MOUSE)
            # Not the target's: spice-gtk answers its first acknowledgement with a position that nobody asked for.
            assert (one.guest.pointer.x, one.guest.pointer.y) == (7, 7)
            for x in range(20):
                await client.command("position", x=x, y=7)
                await after.expect(MousePosition(x, 7))
            await set_mouse_mode(client, after, SERVER_MOUSE, new=False)


@pytest.mark.parametrize("scheme", [SEMI, SWITCH_HOST], ids=lambda scheme: scheme.name.lower())
async def test_keys_under_way_when_the_client_has_left(gtk_client: StartClient, scheme: MigrationScheme) -> None:
    """They come after the end of the main channel, count all the same, and move on with the guest."""
    source, target = PAIRS[scheme]
    async with two_servers(source, target) as (one, other), recording(one.port or 0) as way_in:
        client, before = await join(gtk_client, one, way_in.port)
        async with under_way(one, other) as way:
            if scheme is SEMI:
                await way.recorder.asked.wait()
            way_in.flows[SERVER].clear()
            way.recorder.open.set()
            await eventually(partial(is_leaving, before), lambda: "the source's last word")
            way_in.flows[FROM_CLIENT].clear()
            await client.type(KEY_B)
            await client.command("key_down", scancode=KEY_A)
            way_in.flows[SERVER].set()
            await eventually(partial(has_left_main, before), lambda: "the end of the main channel")
            assert keys_heard([before]) == []
            way_in.flows[FROM_CLIENT].set()
            await way.end(client, other)
            assert keys_heard([before]) == [KeyDown(KEY_B), KeyUp(KEY_B), KeyDown(KEY_A)]
            assert other.guest.keyboard.held == (set() if scheme is SWITCH_HOST else {KEY_A})


async def has_left_main(session: Client) -> bool:
    return (ChannelType.MAIN, 0) not in session._member.session.channels
