"""Streams of releases begin as those of the real servers did, with the same clients.

The clients are recordings: their link messages go out word for word, but for the session's id and the ticket, which
only the server's own key can read; and behind the link what they said. The server's side, from its link reply to the
first picture and its MARK, is then compared with the recording message by message. What may differ is listed here and
nowhere else: keys, session ids, times, the picture's bytes, the cursor.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from dataclasses import dataclass
from uuid import UUID

import pytest

from spiceemu import SpiceServer
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.framing import MAX_SERVER_BODY, FrameReader
from spiceemu.protocol.link.ticket import encrypt_ticket
from spiceemu.protocol.messages import base, cursor, display, main
from spiceemu.protocol.messages.catalogue import SERVER, Message, draw, inputs, lookup
from spiceemu.protocol.messages.types import BinaryData, ImageDescriptor

from ..protocol import captures
from ..server.probe import PATIENCE, serving

PROFILES = {"server-0.6": "0.6.4", "server-0.8": "0.8.3", "server-0.15": "0.15.1"}
CLIENTS = ("spicec-0.6", "spicec-0.8", "snappy-0.7", "spicy-screenshot-0.42")
SESSIONS = [f"old-peers/{server}__{client}" for server in PROFILES for client in CLIENTS]

#: Each channel's beginning ends with this message.
LAST: dict[ChannelType, type[Message]] = {
    ChannelType.MAIN: main.ChannelsList,
    ChannelType.DISPLAY: display.Mark,
    ChannelType.INPUTS: inputs.Init,
    ChannelType.CURSOR: cursor.Init,
}

KEY = slice(16 + 4, 16 + 4 + 162)  # in a link reply


@dataclass
class Recorded:
    """One recorded connection, cut where the link's parts meet."""

    channel: ChannelType
    link_message: bytes
    selects: bool  # sends a mechanism before the ticket
    client: bytes  # the messages
    link_reply: bytes
    server: bytes
    mini: bool

    @classmethod
    def of(cls, session: str, name: str) -> Recorded:
        client, server = (captures.stream(session, name, direction) for direction in ("c2s", "s2c"))
        assert client is not None
        assert server is not None
        read = captures.connection(client, server)
        message_end, reply_end = (16 + struct.unpack_from("<I", data, 12)[0] for data in (client, server))
        ticket = len(client) - len(read.client) - message_end - captures.TICKET_SIZE
        assert ticket in (0, 4)
        return cls(
            ChannelType(read.channel_type),
            client[:message_end],
            ticket == 4,
            read.client,
            server[:reply_end],
            read.server or b"",
            read.mini,
        )


def beginning(channel: ChannelType, mini: bool, data: bytes) -> list[tuple[int, bytes, Message]]:
    """Serial, body and message of everything up to the last message of the beginning; empty if that is not there."""
    found = []
    for number, body, serial in FrameReader(mini=mini, max_body=MAX_SERVER_BODY).receive_data(data):
        found.append((serial, body, lookup(channel, SERVER, number).parse(body)))
        if isinstance(found[-1][2], LAST[channel]):
            return found
    return []


async def replay(
    server: SpiceServer, recorded: Recorded, session_id: int, stack: contextlib.ExitStack
) -> tuple[bytes, bytes]:
    """Say to the server what the recorded client said; its link reply, and its messages to the end of the beginning."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 20)
    stack.callback(writer.close)
    async with asyncio.timeout(PATIENCE):
        message = bytearray(recorded.link_message)
        struct.pack_into("<I", message, 16, session_id)
        writer.write(message)
        reply = await reader.readexactly(16)
        reply += await reader.readexactly(struct.unpack_from("<I", reply, 12)[0])
        if recorded.selects:
            writer.write(struct.pack("<I", 1))
        writer.write(encrypt_ticket(reply[KEY], b"") + recorded.client)
        assert await reader.readexactly(4) == bytes(4)
        data = b""
        while not beginning(recorded.channel, recorded.mini, data):
            more = await reader.read(1 << 20)
            assert more, f"the server closed the {recorded.channel.name} channel"
            data += more
    return reply, data


def without_key(reply: bytes) -> bytes:
    """A link reply without the server's public key."""
    return reply[: KEY.start] + reply[KEY.stop :]


def comparable(message: Message) -> Message:
    """A message without what may differ: times, ids, pictures, cursors, and what the guest has of memory and mice."""
    match message:
        case main.Init():
            message.session_id = message.multi_media_time = message.ram_hint = 0
            message.supported_mouse_modes = message.current_mouse_mode = 0
        case base.Ping():
            message.timestamp = 0
        case draw.DrawCopy() if message.data.src_bitmap is not None:
            image = message.data.src_bitmap
            image.descriptor = ImageDescriptor(0, 0, 0, image.descriptor.width, image.descriptor.height)
            image.u = BinaryData(b"")
        case cursor.Init():
            message.cursor = cursor.Cursor(1)
            message.position, message.visible = None, 0  # type: ignore[assignment]
    return message


@pytest.mark.parametrize("session", SESSIONS)
async def test_a_stream_begins_as_the_recorded_one(session: str) -> None:
    recordings = [Recorded.of(session, expected.connection) for expected in captures.expectations()[session]]
    recorded_server, _, _ = session.removeprefix("old-peers/").partition("__")
    scene = next(each for each in recordings if each.channel is ChannelType.DISPLAY)
    shown = beginning(scene.channel, scene.mini, scene.server)
    created = next(message for _, _, message in shown if isinstance(message, display.SurfaceCreate))
    options = {
        "compat": PROFILES[recorded_server],
        "displays": [(created.width, created.height)],
        "title": "",  # the recorded servers had neither
        "uuid": UUID(int=0),
        "agent": False,
        "sound": False,
        "debug": False,
    }
    async with serving(**options) as server:
        with contextlib.ExitStack() as stack:
            session_id = 0
            for recorded in recordings:
                reply, data = await replay(server, recorded, session_id, stack)
                assert without_key(reply) == without_key(recorded.link_reply)
                theirs = beginning(recorded.channel, recorded.mini, recorded.server)
                ours = beginning(recorded.channel, recorded.mini, data)
                assert [(serial, type(message)) for serial, _, message in ours] == [
                    (serial, type(message)) for serial, _, message in theirs
                ]
                for (_, our_body, our), (_, their_body, their) in zip(ours, theirs, strict=True):
                    if isinstance(our, main.Init):
                        session_id = our.session_id
                    if not isinstance(our, draw.DrawCopy | cursor.Init):
                        assert len(our_body) == len(their_body), our
                    assert comparable(our) == comparable(their)
