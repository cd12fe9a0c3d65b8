"""What a real client's user does arrives in the guest, in order and whole."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from spiceemu import (
    Client,
    Event,
    KeyDown,
    KeyModifiers,
    KeyUp,
    MouseMotion,
    MousePosition,
    MousePress,
    MouseRelease,
    SpiceServer,
)

from .clients import GtkClient
from .emulator import (
    CLIENT_MOUSE,
    LEFT,
    LEFT_MASK,
    MIDDLE,
    MIDDLE_MASK,
    RIGHT,
    RIGHT_MASK,
    SERVER_MOUSE,
    WHEEL_DOWN,
    WHEEL_UP,
    StartClient,
    request_mouse_mode,
)

SCROLL_LOCK, NUM_LOCK, CAPS_LOCK = 1, 2, 4
LOCK_KEYS = {0x46: SCROLL_LOCK, 0x45: NUM_LOCK, 0x3A: CAPS_LOCK}

#: Keys with the prefix e0, as spice-gtk is told them and as they arrive.
EXTENDED = 0x100
PREFIX = 0xE000

#: What the inputs channel brings.
INPUTS = KeyDown | KeyUp | KeyModifiers | MouseMotion | MousePosition | MousePress | MouseRelease

#: A command for the client with its arguments, and the event it leads to.
Action = tuple[str, dict[str, Any], Event]


async def start(gtk_client: StartClient, server: SpiceServer) -> tuple[GtkClient, Client]:
    """Connect a client in client mouse mode, and have it say what spice-gtk says by itself.

    That is the locks, as it connects, and with the first button a position of 0,0 that nobody gave it.
    """
    client = await gtk_client(port=server.port)
    await client.ready()
    await client.event("inputs-modifiers", modifiers=0)
    session = await server.wait_client()
    await session.expect(KeyModifiers(0))
    for mode in (SERVER_MOUSE, CLIENT_MOUSE):
        await client.event("main-mouse-update", mode=mode)
    await client.command("position", x=0, y=0)
    await session.expect(MousePosition(0, 0))
    return client, session


def inputs_of(session: Client) -> list[Event]:
    """All events of the inputs channel so far."""
    return [event for event in session.events if isinstance(event, INPUTS)]


def check_order(events: Sequence[Event], wanted: Sequence[Event]) -> None:
    """Fail unless these are the events; and unless two of them in the wrong order would have been noticed."""
    assert events == wanted
    swapped = next(place for place in range(1, len(wanted)) if wanted[place] != wanted[place - 1])
    assert events != [*wanted[: swapped - 1], wanted[swapped], wanted[swapped - 1], *wanted[swapped + 1 :]]
    assert events != wanted[:-1]


def key(scancode: int) -> int:
    """A scancode as it arrives: the prefix e0 where spice-gtk is told 0x100."""
    return PREFIX | scancode & 0xFF if scancode & EXTENDED else scancode


def typing(scancode: int) -> list[Action]:
    return [
        ("key_down", {"scancode": scancode}, KeyDown(key(scancode))),
        ("key_up", {"scancode": scancode}, KeyUp(key(scancode))),
    ]


def clicking(button: int, mask: int, held: int = 0) -> list[Action]:
    """A click while other buttons are held; spice-gtk puts the button itself into the mask, and takes it out again."""
    return [
        ("button_press", {"button": button, "buttons": held}, MousePress(button, held | mask)),
        ("button_release", {"button": button, "buttons": held | mask}, MouseRelease(button, held)),
    ]


def pointing(x: int, y: int, buttons: int = 0) -> Action:
    return "position", {"x": x, "y": y, "buttons": buttons}, MousePosition(x, y, buttons)


async def carry_out(client: GtkClient, session: Client, actions: Sequence[Action]) -> None:
    """Do it all, then wait until the last of it has arrived.

    While eight motions or positions are not acknowledged spice-gtk keeps only the latest of more, as it should. So
    each of them is waited for; nothing else is.
    """
    before = len(inputs_of(session))
    waiting: list[Event] = []
    for number, (command, arguments, event) in enumerate(actions, 1):
        await client.command(command, **arguments)
        waiting.append(event)
        if command in ("motion", "position") or number == len(actions):
            for each in waiting:
                await session.expect(each)
            waiting.clear()
    check_order(inputs_of(session)[before:], [event for _, _, event in actions])


async def test_three_hundred_keys(gtk_client: StartClient) -> None:
    plain, extended = [*range(0x01, 0x36), *range(0x57, 0x59)], [0x11C, 0x11D, 0x135, *range(0x147, 0x154), 0x15D]
    scancodes = (plain + extended) * 5
    assert len(scancodes) > 300
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        await carry_out(client, session, [action for scancode in scancodes for action in typing(scancode)])
        assert server.guest.keyboard.held == frozenset()


async def test_keys_held_together_and_repeated(gtk_client: StartClient) -> None:
    shift, control, letter = 0x2A, 0x1D, 0x1E
    downs = [("key_down", {"scancode": code}, KeyDown(code)) for code in (shift, control, letter, letter, letter)]
    ups = [("key_up", {"scancode": code}, KeyUp(code)) for code in (control, letter, shift)]
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        await carry_out(client, session, downs)
        assert server.guest.keyboard.held == {shift, control, letter}
        await carry_out(client, session, ups)
        assert server.guest.keyboard.held == frozenset()


async def test_press_and_release_in_one_message(gtk_client: StartClient) -> None:
    scancodes = [0x1E, EXTENDED | 0x48, 0x39] * 20
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        for scancode in scancodes:
            await client.command("key", scancode=scancode)
        for scancode in scancodes:
            await session.expect(KeyUp(key(scancode)))
        check_order(inputs_of(session)[2:], [event for scancode in scancodes for *_, event in typing(scancode)])


async def test_what_is_typed(gtk_client: StartClient) -> None:
    shift = 0x2A
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        await client.command("key_down", scancode=shift)
        await client.type(0x23)
        await client.command("key_up", scancode=shift)
        await client.type(0x12, 0x26, 0x26, 0x18, 0x39, 0x02)
        await session.expect(KeyUp(0x02))
        typed = [event.character for event in session.events if isinstance(event, KeyDown)]
    assert typed == [None, *"Hello 1"]


async def test_locks_that_the_client_sets(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        for locks in (*range(8), 0):
            await client.command("set_key_locks", locks=locks)
            await session.expect(KeyModifiers(locks))
            assert server.guest.keyboard.locks == locks


async def test_locks_that_the_keyboard_sets(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client, _ = await start(gtk_client, server)
        locks = 0
        for scancode, lock in [*LOCK_KEYS.items()] * 2:
            await client.type(scancode)
            locks ^= lock
            await client.event("inputs-modifiers", modifiers=locks)
            assert server.guest.keyboard.locks == locks
    modifiers = [event["modifiers"] for event in client.events if event["event"] == "inputs-modifiers"]
    assert modifiers == [0, 1, 3, 7, 6, 4, 0]


async def test_positions_buttons_and_wheel_in_client_mode(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        actions = [
            *(pointing(x, y) for x, y in ((0, 0), (1023, 767), (1, 766), (512, 384))),
            *clicking(LEFT, LEFT_MASK),
            *clicking(MIDDLE, MIDDLE_MASK),
            *clicking(RIGHT, RIGHT_MASK),
            *clicking(WHEEL_UP, 0),
            *clicking(WHEEL_DOWN, 0) * 3,
        ]
        press, release = clicking(LEFT, LEFT_MASK)
        drag = [press, *(pointing(x, 300, LEFT_MASK) for x in range(400, 410)), *clicking(RIGHT, RIGHT_MASK, LEFT_MASK)]
        await carry_out(client, session, [*actions, *drag])
        pointer = server.guest.pointer
        assert (pointer.x, pointer.y, pointer.buttons) == (409, 300, LEFT_MASK)
        await carry_out(client, session, [release, pointing(5, 6)])
        assert (pointer.x, pointer.y, pointer.buttons) == (5, 6, 0)


async def test_a_position_is_on_its_display(gtk_client: StartClient) -> None:
    async with SpiceServer(displays=[(640, 480), (800, 600)]) as server:
        client, session = await start(gtk_client, server)
        for display in (1, 0, 1):
            await client.command("position", x=700, y=500 + display, display=display)
            await session.expect(MousePosition(700, 500 + display, 0, display))
        pointer = server.guest.pointer
        assert (pointer.display_id, pointer.x, pointer.y) == (1, 700, 501)


async def test_the_last_of_many_positions_counts(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        for x in range(1, 501):
            await client.command("position", x=x, y=2)
        await session.expect(MousePosition(500, 2))
        seen = [event.x for event in session.events if isinstance(event, MousePosition)]
    assert seen == sorted(set(seen))


@pytest.mark.parametrize("agent", [True, False])
async def test_no_motion_is_lost_in_server_mode(gtk_client: StartClient, agent: bool) -> None:
    """spice-gtk adds up motions while eight are not acknowledged, so sums are compared, and not single motions."""
    dice = random.Random(1)
    steps = [(dice.randrange(-30, 31), dice.randrange(-30, 31)) for _ in range(400)]
    async with SpiceServer(agent=agent) as server:
        client, session = await start(gtk_client, server)
        await request_mouse_mode(client, session, SERVER_MOUSE)
        for dx, dy in steps:
            await client.command("motion", dx=dx, dy=dy)
        # A press sends what motion is still held back.
        await client.command("button_press", button=LEFT)
        await session.expect(MousePress(LEFT, LEFT_MASK))
        motions = [event for event in session.events if isinstance(event, MouseMotion)]
    wanted = sum(dx for dx, _ in steps), sum(dy for _, dy in steps)
    assert (sum(motion.dx for motion in motions), sum(motion.dy for motion in motions)) == wanted
    assert len(motions) > len(steps) // 20, "acknowledgements came too late to be of use"


async def test_motions_and_buttons_in_server_mode(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        await request_mouse_mode(client, session, SERVER_MOUSE)
        motions: list[Action] = [
            ("motion", {"dx": dx, "dy": dy, "buttons": buttons}, MouseMotion(dx, dy, buttons))
            for dx, dy, buttons in ((100, 50, 0), (-1, 0, 0), (0, 7, LEFT_MASK), (127, -50, LEFT_MASK | RIGHT_MASK))
        ]
        await carry_out(client, session, [*motions, *clicking(LEFT, LEFT_MASK), *clicking(WHEEL_DOWN, 0), *motions])
        assert (server.guest.pointer.x, server.guest.pointer.y) == (452, 14)


async def test_mouse_modes_switch(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        for number in range(5):
            await carry_out(client, session, [pointing(100 + number, 100), *clicking(LEFT, LEFT_MASK)])
            await request_mouse_mode(client, session, SERVER_MOUSE)
            await client.event("main-mouse-update", mode=SERVER_MOUSE)
            moving = ("motion", {"dx": number + 1, "dy": -1}, MouseMotion(number + 1, -1))
            await carry_out(client, session, [moving, *clicking(LEFT, LEFT_MASK)])
            assert (server.guest.pointer.x, server.guest.pointer.y) == (101 + 2 * number, 99)
            await request_mouse_mode(client, session, CLIENT_MOUSE)
            await client.event("main-mouse-update", mode=CLIENT_MOUSE)
    modes = [event["mode"] for event in client.events if event["event"] == "main-mouse-update"]
    assert modes == [SERVER_MOUSE, CLIENT_MOUSE] * 6


@pytest.mark.parametrize("seed", range(2))
async def test_everything_at_once(gtk_client: StartClient, seed: int) -> None:
    dice = random.Random(seed)
    actions: list[Action] = []
    for number in range(150):
        actions += dice.choice(
            [
                typing(dice.choice([*range(0x10, 0x1A), EXTENDED | 0x4B])),
                clicking(*dice.choice([(LEFT, LEFT_MASK), (MIDDLE, MIDDLE_MASK), (RIGHT, RIGHT_MASK)])),
                clicking(WHEEL_UP, 0),
                [pointing(number, dice.randrange(768))],
                [("set_key_locks", {"locks": number % 8}, KeyModifiers(number % 8))],
            ]
        )
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        await carry_out(client, session, actions)


async def test_what_is_held_is_let_go_when_the_client_leaves(gtk_client: StartClient) -> None:
    async with SpiceServer() as server:
        client, session = await start(gtk_client, server)
        await client.command("key_down", scancode=0x1E)
        await client.command("button_press", button=LEFT)
        await session.expect(MousePress(LEFT, LEFT_MASK))
        assert (server.guest.keyboard.held, server.guest.pointer.buttons) == ({0x1E}, LEFT_MASK)
        await client.command("disconnect")
        await session.wait_disconnected()
        assert (server.guest.keyboard.held, server.guest.pointer.buttons) == (frozenset(), 0)
