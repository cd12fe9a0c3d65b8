"""The demo desktop on a server: what a person sees who points a client at ``spiceemu serve``."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

from spiceemu.desktop.desktop import Desktop, ShownChannel, ShownClient
from spiceemu.protocol.capabilities import to_words
from spiceemu.protocol.enums import MouseMode
from spiceemu.protocol.levels.channels import channel_names

if TYPE_CHECKING:
    from spiceemu.client import Client, ClientChannel
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
            desktop.show_clients(tuple(client_info(each) for each in server.clients if each.channels))
            await asyncio.sleep(1 - now.microsecond / 1_000_000)
    finally:
        desktop.close()


def client_info(client: Client) -> ShownClient:
    """What the desktop shows of a client.

    :returns: it, as it is now.
    """
    mode = "client" if client.mouse_mode == MouseMode.CLIENT else "server"
    channels = client.channels
    facts = (
        f"SPICE {client.version.major}.{client.version.minor}",
        "mini header" if channels[0].mini_header else "full header",
        f"{mode} mouse mode",
        f"as {client.level.name}",
    )
    return ShownClient(f"{client.session_id:08x}", facts, tuple(map(_channel_info, channels)))


def _channel_info(channel: ClientChannel) -> ShownChannel:
    names = channel_names(channel.type, to_words(channel.capabilities))
    return ShownChannel(channel.name, channel.secure, tuple(name.lower() for name in names))
