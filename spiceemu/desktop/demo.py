"""The demo desktop on a server: what a person sees who points a client at ``spiceemu serve``."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

from spiceemu.desktop.desktop import ChannelInfo, ClientInfo, Desktop
from spiceemu.protocol.capabilities import to_words
from spiceemu.protocol.enums import MouseMode
from spiceemu.protocol.levels.channels import channel_names

if TYPE_CHECKING:
    from spiceemu.channels.channel import Channel
    from spiceemu.client import Client
    from spiceemu.server import SpiceServer


async def run_demo(server: SpiceServer) -> None:
    """Show the demo desktop on the first display until cancelled.

    It is drawn once a second, and whenever a client does something.
    """
    desktop = Desktop(server.guest)
    try:
        while True:
            now = datetime.now().astimezone()
            desktop.tick(now)
            desktop.show_clients(tuple(client_info(each) for each in server.clients if each.session.channels))
            await asyncio.sleep(1 - now.microsecond / 1_000_000)
    finally:
        desktop.close()


def client_info(client: Client) -> ClientInfo:
    """What the desktop shows of a client."""
    session = client.session
    mode = "client" if session.mouse_mode == MouseMode.CLIENT else "server"
    channels = sorted(session.channels.values(), key=lambda channel: (channel.type, channel.id))
    linked = channels[0].linked  # of main, unless the client has closed that on its way to another server
    facts = (
        f"SPICE {linked.request.major}.{linked.request.minor}",
        "mini header" if linked.mini_header else "full header",
        f"{mode} mouse mode",
        f"as {session.level.name}",
    )
    return ClientInfo(f"{client.session_id:08x}", facts, tuple(map(_channel_info, channels)))


def _channel_info(channel: Channel) -> ChannelInfo:
    names = channel_names(channel.type, to_words(channel.client_capabilities))
    return ChannelInfo(channel.name, channel.secure, tuple(name.lower() for name in names))
