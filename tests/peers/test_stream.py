"""What real clients are sent: drawings as what they are, in the order of a real server, and nothing malformed."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Sequence

import pytest

from spiceemu import Client, ClipboardText, Display, KeyUp, MonitorsRequested, MousePress, SpiceServer
from spiceemu.channels.cursor import CursorChannel
from spiceemu.guest.cursor import ARROW, CROSS, HAND, TEXT_BEAM, CursorShape
from spiceemu.protocol.agent.enums import AgentType
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import CursorType, ImageType, SurfaceFlags
from spiceemu.protocol.messages import base, cursor, display, draw, inputs, main
from spiceemu.protocol.messages.message import Message
from spiceemu.protocol.messages.types import Edges, Image, SurfaceImage

from ..protocol import captures
from .clients import GtkClient
from .dissector import dissect
from .emulator import (
    CLIENT_MOUSE,
    LEFT,
    LEFT_MASK,
    SERVER_MOUSE,
    StartClient,
    check_pixels,
    draw_everything,
    draw_fills,
    draw_stamps,
    in_step,
    leave,
    messages_by_channel,
    noise,
    read_messages,
    request_mouse_mode,
)
from .recorder import Recorder, recording

#: Sessions of spice-gtk 0.42 with libspice-server 0.15.1: in Xspice, with an agent; and in QEMU, with a name.
WITH_AGENT = "0.15.1/xspice__spice-gtk-0.42__agent-clipboard-file"
WITH_NAME = "0.15.1/qemu__spice-gtk-0.42__client-mouse"

#: Wireshark knows how long an ALPHA and a MONO cursor is; real servers have sent us no others to compare.
FINDING_OF_COLOUR_CURSORS = "message type Server SET (103) not fully dissected"

#: What every message of an agent begins with (VD_AGENT_PROTOCOL).
AGENT_PROTOCOL = 1

#: What spice-gtk cannot do, and says so, whoever asks for it.
WARNINGS_OF_WHAT_SPICE_GTK_LACKS = (
    r"GSpice-WARNING: set_cursor: unimplemented cursor type \d",
    r"GSpice-WARNING: cursor_handle_trail: TODO",
)

#: Messages that answer a client or another process, or measure it: they come when they come.
UNORDERED = base.Ping | base.Notify | main.AgentData | main.AgentToken | main.MouseMode


def names(messages: Sequence[Message]) -> list[str]:
    return [type(message).__name__ for message in messages]


# --- drawings are what they are ---------------------------------------------------------------------------------------


async def drawn(
    gtk_client: StartClient, draw_on: Callable[[Display], None], compression: str = "auto"
) -> list[Message]:
    """What a client that is there already is sent when the guest draws this."""
    async with SpiceServer(compression=compression) as server, recording(server.port or 0) as recorder:
        client = await gtk_client(port=recorder.port, channels=["display"])
        session = await server.wait_client()
        await session.synced()
        draw_on(server.displays[0])
        await in_step(client, session)
        check_pixels(await client.screenshot(), server.displays[0])
        await leave(client, session)
        sent = messages_by_channel(recorder.connections)[ChannelType.DISPLAY]
    start = names(sent).index("Mark") + 1
    return [message for message in sent[start:] if not isinstance(message, base.Ping)]


async def test_a_fill_is_a_fill(gtk_client: StartClient) -> None:
    def fills(screen: Display) -> None:
        screen.fill((10, 20, 300, 200), 0x4682B4)
        screen.fill((1000, -5, 100, 10), "red")

    first, second = await drawn(gtk_client, fills)
    assert isinstance(first, draw.DrawFill)
    assert (first.base.surface_id, first.base.box, first.data.brush.u) == (0, Edges(20, 10, 220, 310), 0x4682B4)
    assert isinstance(second, draw.DrawFill)
    assert (second.base.box, second.data.brush.u) == (Edges(0, 1000, 5, 1024), 0xFF0000)


async def test_a_copy_is_a_copy(gtk_client: StartClient) -> None:
    def copies(screen: Display) -> None:
        screen.copy((0, 0, 100, 50), (200, 300))

    (message,) = await drawn(gtk_client, copies)
    assert isinstance(message, draw.CopyBits)
    assert (message.base.surface_id, message.base.box) == (0, Edges(300, 200, 350, 300))
    assert (message.src_pos.x, message.src_pos.y) == (0, 0)


@pytest.mark.parametrize(("compression", "kind"), [("off", ImageType.BITMAP), ("lz", ImageType.LZ_RGB)])
async def test_a_picture_is_an_image(gtk_client: StartClient, compression: str, kind: ImageType) -> None:
    def picture(screen: Display) -> None:
        screen.blit((5, 6), 30, 20, noise(1, 30, 20))

    (message,) = await drawn(gtk_client, picture, compression)
    assert isinstance(message, draw.DrawCopy)
    assert (message.base.box, image_of(message).descriptor.type) == (Edges(6, 5, 26, 35), kind)


async def test_what_comes_from_another_surface_names_it(gtk_client: StartClient) -> None:
    def sprite(screen: Display) -> None:
        surface = screen.create_surface(40, 30)
        screen.fill((0, 0, 40, 30), "tomato", surface=surface)
        screen.copy((0, 0, 10, 10), (20, 20), surface=surface)
        screen.copy_surface(surface, (5, 5, 20, 10), (100, 200))
        screen.destroy_surface(surface)

    created, black, tomato, within, shown, destroyed = await drawn(gtk_client, sprite)
    assert isinstance(created, display.SurfaceCreate)
    number = created.surface_id
    assert number != 0
    assert (created.width, created.height, created.flags & SurfaceFlags.PRIMARY) == (40, 30, 0)
    for fill, colour in ((black, 0x000000), (tomato, 0xFF6347)):
        assert isinstance(fill, draw.DrawFill)
        assert (fill.base.surface_id, fill.data.brush.u) == (number, colour)
    assert isinstance(within, draw.CopyBits)
    assert within.base.surface_id == number
    assert isinstance(shown, draw.DrawCopy)
    assert (shown.base.surface_id, shown.base.box, shown.data.src_area) == (
        *(0, Edges(200, 100, 210, 120)),
        Edges(5, 5, 15, 25),
    )
    assert image_of(shown).u == SurfaceImage(number)
    assert destroyed == display.SurfaceDestroy(number)


def image_of(message: draw.DrawCopy) -> Image:
    assert message.data.src_bitmap is not None
    return message.data.src_bitmap


# --- the order of a real server ---------------------------------------------------------------------------------------


def real(session: str) -> dict[ChannelType, list[Message]]:
    """What the real server sent in a recorded session, by channel."""
    channels = {}
    for expected in captures.expectations()[session]:
        client, server = (captures.stream(session, expected.connection, direction) for direction in ("c2s", "s2c"))
        assert client is not None
        assert server is not None
        channel, messages = read_messages(client, server)
        channels[channel] = messages
    return channels


async def ours(gtk_client: StartClient, *, agent: bool = True) -> dict[ChannelType, list[Message]]:
    """What our server sends to the same client until it has everything."""
    async with SpiceServer(agent=agent, sound=False) as server, recording(server.port or 0) as recorder:
        client = await gtk_client(port=recorder.port)
        await client.ready()
        session = await server.wait_client()
        await in_step(client, session)
        await leave(client, session)
        return messages_by_channel(recorder.connections)


async def test_the_display_begins_as_a_real_one(gtk_client: StartClient) -> None:
    theirs, sent = real(WITH_NAME)[ChannelType.DISPLAY], (await ours(gtk_client))[ChannelType.DISPLAY]
    until_mark = names(theirs)[: names(theirs).index("Mark") + 1]
    assert until_mark == ["SetAck", "InvalAllPalettes", "SurfaceCreate", "DrawCopy", "MonitorsConfig", "Mark"]
    assert names(sent)[: len(until_mark)] == until_mark
    assert sent[:2] == theirs[:2]
    for created, drawing, monitors in ((message[2:5]) for message in (theirs, sent)):
        assert isinstance(created, display.SurfaceCreate)
        size = created.width, created.height
        assert (created.surface_id, created.flags) == (0, SurfaceFlags.PRIMARY)
        assert isinstance(drawing, draw.DrawCopy)
        assert drawing.base.box == Edges(0, 0, size[1], size[0])
        assert image_of(drawing).descriptor.type == ImageType.LZ_RGB
        assert isinstance(monitors, display.MonitorsConfig)
        (head,) = monitors.heads
        assert (monitors.max_allowed, head.monitor_id, head.surface_id) == (1, 0, 0)
        assert (head.x, head.y, head.width, head.height, head.flags) == (0, 0, *size, 0)


async def test_cursor_and_inputs_begin_as_real_ones(gtk_client: StartClient) -> None:
    theirs, sent = real(WITH_NAME), await ours(gtk_client)
    assert names(sent[ChannelType.CURSOR])[:2] == names(theirs[ChannelType.CURSOR])[:2] == ["SetAck", "Init"]
    assert sent[ChannelType.CURSOR][0] == theirs[ChannelType.CURSOR][0]
    for init in (channels[ChannelType.CURSOR][1] for channels in (theirs, sent)):
        assert isinstance(init, cursor.Init)
        assert (init.position.x, init.position.y, init.trail_length, init.trail_frequency) == (0, 0, 0, 0)
        assert init.visible == 1
    assert sent[ChannelType.INPUTS][0] == theirs[ChannelType.INPUTS][0] == inputs.Init(0)


async def test_main_begins_as_a_real_one(gtk_client: StartClient) -> None:
    theirs, sent = real(WITH_NAME)[ChannelType.MAIN], (await ours(gtk_client))[ChannelType.MAIN]
    start = ["Init", "Name", "Uuid", "Ping", "Ping", "Ping"]
    assert names(sent)[: len(start)] == names(theirs)[: len(start)] == start
    padding = [len(message.data) for message in theirs if isinstance(message, base.Ping)][:3]
    assert [len(message.data) for message in sent if isinstance(message, base.Ping)][:3] == padding == [0, 0, 256_000]
    rest = [[message for message in messages[6:] if not isinstance(message, UNORDERED)] for messages in (theirs, sent)]
    assert rest[0] == rest[1]
    assert names(rest[1]) == ["ChannelsList"]
    for messages in (theirs, sent):
        (note,) = [message for message in messages if isinstance(message, base.Notify)]
        assert bytes(note.message) == b"keyboard channel is insecure"


async def test_main_with_an_agent_begins_as_a_real_one(gtk_client: StartClient) -> None:
    theirs, sent = real(WITH_AGENT)[ChannelType.MAIN], (await ours(gtk_client))[ChannelType.MAIN]
    for init in (messages[0] for messages in (theirs, sent)):
        assert isinstance(init, main.Init)
        assert (init.supported_mouse_modes, init.current_mouse_mode) == (3, 1)
        assert (init.agent_connected, init.agent_tokens, init.display_channels_hint) == (1, 10, 1)
    for messages in (theirs, sent):
        # The agent's own messages come from another process, when they come.
        answers = [message for message in messages if isinstance(message, main.ChannelsList | main.MouseMode)]
        assert names(answers)[:2] == ["ChannelsList", "MouseMode"]
        assert answers[1] == main.MouseMode(3, CLIENT_MOUSE)
        first, *_ = [message for message in messages if isinstance(message, main.AgentData)]
        protocol, kind = struct.unpack_from("<II", first.data)
        assert (protocol, kind) == (AGENT_PROTOCOL, AgentType.ANNOUNCE_CAPABILITIES)


# --- nothing malformed, nothing to warn of ----------------------------------------------------------------------------


async def test_a_tour_of_everything(gtk_client: StartClient) -> None:
    """spice-gtk prints no warning that is not known of real servers, and Wireshark finds nothing else to say."""
    # Small displays: Wireshark takes its time over pixels.
    async with SpiceServer(displays=[(320, 240), (200, 150)]) as server, recording(server.port or 0) as recorder:
        client = await gtk_client(port=recorder.port)
        client.expected_warnings += WARNINGS_OF_WHAT_SPICE_GTK_LACKS
        await client.ready()
        await client.event("display-mark", channel=1)
        session = await server.wait_client()
        await tour_of_the_displays(server, client, session)
        await tour_of_the_cursors(server, client, session)
        await tour_of_the_inputs(server, client, session)
        await tour_of_the_agent(server, client, session)
        session.notify("a note")
        session.set_multi_media_time(123_456)
        session.invalidate_caches()
        draw_stamps(server.displays[0], 5)
        await in_step(client, session)
        check_pixels(await client.screenshot(), server.displays[0])

        # A second client, which replaces the first.
        second = await gtk_client(port=recorder.port)
        await second.ready()
        await session.wait_disconnected()
        await in_step(second, await server.wait_client())
        check_pixels(await second.screenshot(), server.displays[0])
        check_pixels(await second.screenshot(1), server.displays[1])
        await leave(second, server.clients[0])
        await check_recording(recorder)
    assert [event for event in (*client.events, *second.events) if event["event"] == "error"] == []


async def tour_of_the_displays(server: SpiceServer, client: GtkClient, session: Client) -> None:
    draw_everything(server.displays[0])
    await session.synced()  # else the new size makes what still waits superfluous
    for seed, screen in enumerate(server.displays):
        screen.resize(301 + seed, 199)
        draw_fills(screen, seed + 2)
        await session.synced()
        check_pixels(await client.screenshot(screen.id), screen)
    for number in range(1500):  # more than waits in a queue
        server.displays[1].fill((number % 250, number % 150, 30, 20), number * 0x000307)
    await session.synced()
    check_pixels(await client.screenshot(1), server.displays[1])


async def tour_of_the_cursors(server: SpiceServer, client: GtkClient, session: Client) -> None:
    pixels = b"\x20\x40\x60\xff" * 64
    shapes = [CursorShape.from_bgra(8, 8, pixels, (1, 2), kind) for kind in CursorType if kind is not CursorType.MONO]
    shapes += [CursorShape.mono(8, 8, b"\x55" * 8, b"\xaa" * 8, (3, 4)), ARROW, CROSS, HAND, TEXT_BEAM]
    assert {shape.kind for shape in shapes} == set(CursorType)
    for number, shape in enumerate((*shapes, *shapes)):
        server.guest.cursor.set_shape(shape)
        server.guest.cursor.move(number * 10, number * 5)
        await session.synced()
    server.guest.cursor.hide()
    await session.synced()
    server.guest.cursor.show()
    await session.synced()
    server.guest.cursor.set_shape(None)
    await session.synced()
    server.guest.cursor.set_shape(ARROW)
    channel = session._member.session.channel(ChannelType.CURSOR)
    assert isinstance(channel, CursorChannel)
    channel.invalidate(HAND)
    channel.set_trail(3, 2)
    channel.invalidate()
    channel.reset()
    await in_step(client, session)


async def tour_of_the_inputs(server: SpiceServer, client: GtkClient, session: Client) -> None:
    caps_lock = 0x3A
    await client.type(*range(0x10, 0x30), caps_lock, caps_lock)
    await client.command("set_key_locks", locks=2)
    for x in range(20):
        await client.command("position", x=x, y=3)
    await request_mouse_mode(client, session, SERVER_MOUSE)
    for _ in range(20):
        await client.command("motion", dx=2, dy=1)
    await client.command("button_press", button=LEFT)
    await session.expect(MousePress(LEFT, LEFT_MASK))
    await client.command("button_release", button=LEFT)
    await client.type(0x1E)
    await session.expect(KeyUp(0x1E))


async def tour_of_the_agent(server: SpiceServer, client: GtkClient, session: Client) -> None:
    await client.event("main-agent-update", connected=True)
    server.guest.clipboard.set_text("from the guest " * 1000)
    assert len(await client.fetch_text()) == 15_000
    await client.offer_text("from the client " * 1000)
    await session.expect(ClipboardText)
    server.guest.clipboard.set_text("again")
    server.guest.clipboard.clear()
    await client.event("main-clipboard-selection-release")
    await client.command("enable_display", display=0, enabled=True, send=False)
    await client.command("update_display", width=400, height=300, send=False)
    await client.command("send_monitor_config")
    await session.expect(MonitorsRequested(((0, 0, 400, 300),)))
    await client.event("display-primary-create", width=400, height=300)
    session.set_agent_connected(False)
    await client.event("main-agent-update", connected=False)
    session.set_agent_connected(True)
    await client.event("main-agent-update", connected=True)


async def check_recording(recorder: Recorder) -> None:
    """Fail unless Wireshark read all of it, and found no more than of a real server."""
    dissection = await dissect(recorder.connections)
    assert dissection.unexpected == [FINDING_OF_COLOUR_CURSORS]
    read = set(itertools.chain(*dissection.server_messages))
    assert read >= {
        *("INIT", "CHANNELS_LIST", "MOUSE_MODE", "AGENT_DATA", "AGENT_TOKEN", "NOTIFY", "MULTI_MEDIA_TIME", "PING"),
        *("AGENT_DISCONNECTED", "AGENT_CONNECTED_TOKENS", "NAME", "UUID"),
        *("SURFACE_CREATE", "SURFACE_DESTROY", "DRAW_FILL", "DRAW_COPY", "COPY_BITS", "MONITORS_CONFIG", "MARK"),
        *("INVAL_ALL_PIXMAPS", "INVAL_ALL_PALETTES", "SET_ACK"),
        *("SET", "MOVE", "HIDE", "TRAIL", "RESET", "INVAL_ONE", "INVAL_ALL"),
        *("KEY_MODIFIERS", "MOUSE_MOTION_ACK"),
    }, sorted(read)
