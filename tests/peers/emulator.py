"""What the tests of our server with real clients share: its pixels, things to draw, its messages as they were sent."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence

from spiceemu import Client, Display, MouseModeRequested, SpiceServer
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.framing import MAX_SERVER_BODY, FrameReader
from spiceemu.protocol.messages.catalogue import SERVER, lookup
from spiceemu.protocol.messages.message import Message

from ..channels.drawings import BYTES_PER_PIXEL, noise
from ..protocol.captures import connection
from .clients import GtkClient
from .picture import Picture
from .recorder import CLIENT, SERVER as SERVER_SIDE, Piece
from .screen import RemoteViewer

StartClient = Callable[..., Awaitable[GtkClient]]
StartViewer = Callable[..., Awaitable[RemoteViewer]]

# MouseMode, MouseButton and MouseButtonMask as spice-gtk takes them.
SERVER_MOUSE, CLIENT_MOUSE = 1, 2
LEFT, MIDDLE, RIGHT, WHEEL_UP, WHEEL_DOWN, SIDE, EXTRA = range(1, 8)
LEFT_MASK, MIDDLE_MASK, RIGHT_MASK = 1, 2, 4

#: What a client opens here, by spice-gtk's names.
CHANNELS = {
    "main": ChannelType.MAIN,
    "display": ChannelType.DISPLAY,
    "inputs": ChannelType.INPUTS,
    "cursor": ChannelType.CURSOR,
}


# --- pixels -----------------------------------------------------------------------------------------------------------


def picture_of(display: Display) -> Picture:
    """What the guest itself has on its screen."""
    screenshot = display.screenshot()
    return Picture.from_bgrx(screenshot.width, screenshot.height, screenshot.pixels)


def check_pixels(shown: Picture | None, display: Display, what: str = "") -> Picture:
    """Fail unless a client shows what the guest has, pixel for pixel; returns that picture.

    The same comparison is then made with the first or the last pixel of the guest's picture changed: a comparison that
    does not notice that proves nothing.
    """
    assert shown is not None, f"{what}: no picture"
    wanted = picture_of(display)
    difference = shown.difference(wanted)
    assert difference == "", f"{what}: {difference}"
    for x, y in ((0, 0), (wanted.width - 1, wanted.height - 1)):
        assert shown.difference(wanted.changed(x, y)).startswith("1 of "), "a changed pixel was not noticed"
    return wanted


async def connected(server: SpiceServer) -> Client:
    """The next client that is still there: that of a screenshot has come and gone."""
    while not (client := await server.wait_client()).connected:
        pass
    return client


async def whole(server: SpiceServer, *, sound: bool = False) -> Client:
    """The next client that is still there, with all its channels: one that loses the server earlier complains.

    ``sound`` says that the client opens those of sound as well, as remote-viewer does and the scripted client does not.
    """
    session = await connected(server)
    silent = set() if sound else {ChannelType.PLAYBACK, ChannelType.RECORD}
    wanted = {
        (ChannelType.MAIN, 0),
        *(channel for channel in session._member.session.shared.offered if channel[0] not in silent),
    }
    while wanted - session._member.session.channels.keys():
        await session.next_event()
    return session


async def in_step(client: GtkClient, session: Client) -> None:
    """Wait until all that the guest drew is at the client, and all that happened there is in ``client.events``."""
    await session.synced()
    await client.command("state")  # answers come in order with events


async def leave(client: GtkClient, session: Client) -> None:
    """Let a client go by itself, so that what a recorder keeps of it is whole."""
    await client.command("disconnect")
    await client.event("disconnected")
    await session.wait_disconnected()


async def request_mouse_mode(client: GtkClient, session: Client, mode: int) -> None:
    """Let a client ask for a mouse mode; returns when the server has decided."""
    await client.command("request_mouse_mode", mode=mode)
    await session.expect(MouseModeRequested(mode))


# --- things to draw ---------------------------------------------------------------------------------------------------


def gradient(width: int, height: int) -> bytes:
    """Pixels that compress well, no two neighbours alike."""
    ramp = bytes(x & 0xFF for x in range(width + 0x100))
    rows = bytearray()
    for y in range(height):
        row = bytearray(width * BYTES_PER_PIXEL)
        row[0::4], row[1::4], row[2::4] = ramp[:width], bytes((y & 0xFF,)) * width, ramp[y & 0xFF :][:width]
        rows += row
    return bytes(rows)


def draw_noise(display: Display, seed: int) -> None:
    """Pictures that compress badly, of sizes down to a single pixel, over every edge."""
    width, height = display.width, display.height
    sizes = (1, 1), (2, 3), (7, 64), (64, 7), (65, 33)
    for number, (across, down) in enumerate(sizes):
        for x in (-across // 2, 40 * number, width - across // 2 - 1):
            for y in (-down // 2, 50 * number, height - down // 2 - 1):
                display.blit((x, y), across, down, noise(seed * 1000 + number, across, down))


def draw_gradient(display: Display, seed: int) -> None:
    """Pictures that compress well, one as large as the screen."""
    display.blit((0, 0), display.width, display.height, gradient(display.width, display.height))
    display.blit((seed % 50, 20), 300, 3, gradient(300, 3))


def draw_text(display: Display, seed: int) -> None:
    """Text with and without paper, large and small, cut off at the edges, of more than one line."""
    for number in range(6):
        paper = None if number % 2 else 0x203040 + seed
        place = (number * 90 - 30, number * 40 - 5)
        display.text(
            place, f"{seed}: Hello,\nžluťoučký kůň", color=0xFFEE00 + number, background=paper, scale=1 + number
        )
    display.text((display.width - 20, display.height - 6), "over the edge", color="white")


def draw_fills(display: Display, seed: int) -> None:
    """Rectangles of every size from a pixel to more than the screen."""
    dice = random.Random(seed)
    display.fill((-5, -5, display.width + 10, display.height + 10), dice.randrange(1 << 24))
    for _ in range(40):
        x, y = dice.randrange(-50, display.width), dice.randrange(-50, display.height)
        display.fill((x, y, dice.randrange(1, 200), dice.randrange(1, 150)), dice.randrange(1 << 24))


def draw_copies(display: Display, seed: int) -> None:
    """Copies over themselves in all eight directions, from and over the edges."""
    display.blit((100, 100), 80, 60, noise(seed, 80, 60))
    for dx in (-9, 0, 9):
        for dy in (-7, 0, 7):
            display.copy((100, 100, 80, 60), (100 + dx, 100 + dy))
    display.copy((-20, -20, 150, 150), (display.width - 90, display.height - 90))
    display.copy((display.width - 60, 50, 100, 100), (-30, 200))


def draw_offscreen(display: Display, seed: int) -> None:
    """Surfaces beside the screen, drawn on, copied in every direction, replaced by others of the same id."""
    for number in range(4):
        surface = display.create_surface(90 + number, 70, has_alpha=bool(number % 2))
        display.fill((5, 5, 60, 50), 0x3366CC + seed, surface=surface)
        display.text((8, 8), f"surface {number}", color="white", surface=surface)
        display.blit((20, 30), 16, 16, noise(seed + number, 16, 16), surface=surface)
        display.copy_surface(0, (30, 30, 40, 20), (45, 45), surface=surface)
        display.copy((0, 0, 50, 50), (12, 14), surface=surface)
        other = display.create_surface(40, 40)
        display.copy_surface(surface, (3, 4, 30, 30), (2, 1), surface=other)
        display.copy_surface(other, (0, 0, 40, 40), (200 + 45 * number, 10))
        display.copy_surface(surface, (0, 0, 100, 100), (10 + 95 * number, 300))
        display.destroy_surface(other)
        display.destroy_surface(surface)


def draw_stamps(display: Display, seed: int) -> None:
    """A few small pictures again and again, which a client does not need to be sent twice."""
    stamps = [(16 + number, 24, noise(seed % 2 * 100 + number, 16 + number, 24)) for number in range(5)]
    for number in range(60):
        width, height, pixels = stamps[number * 7 % 5]
        display.blit((number % 12 * 50, number // 12 * 40 + seed), width, height, pixels)


#: Every way to draw, by name.
SCENES: dict[str, Callable[[Display, int], None]] = {
    "gradient": draw_gradient,
    "fills": draw_fills,
    "noise": draw_noise,
    "text": draw_text,
    "copies": draw_copies,
    "offscreen": draw_offscreen,
    "stamps": draw_stamps,
}


def draw_everything(display: Display, seed: int = 1) -> None:
    """Draw all scenes over each other."""
    for draw in SCENES.values():
        draw(display, seed)


# --- messages ---------------------------------------------------------------------------------------------------------


def sent_messages(pieces: Sequence[Piece]) -> tuple[ChannelType, list[Message]]:
    """A recorded connection's channel, and what the server sent on it behind the link."""
    client, server = (b"".join(data for sender, data in pieces if sender == side) for side in (CLIENT, SERVER_SIDE))
    return read_messages(client, server)


def read_messages(client: bytes, server: bytes) -> tuple[ChannelType, list[Message]]:
    """The same of the bytes of both sides."""
    linked = connection(client, server)
    assert linked.end == "linked"
    assert linked.server is not None
    channel = ChannelType(linked.channel_type)
    reader = FrameReader(mini=linked.mini, max_body=MAX_SERVER_BODY)
    frames = reader.receive_data(linked.server)
    return channel, [lookup(channel, SERVER, number).parse(body) for number, body, _ in frames]


def messages_by_channel(connections: Sequence[Sequence[Piece]]) -> dict[ChannelType, list[Message]]:
    """What the server sent on each channel of one session."""
    return dict(sent_messages(pieces) for pieces in connections)
