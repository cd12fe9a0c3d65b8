"""What ``serve`` does about migrations: sends its clients away when told, or waits for some to come."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from spiceemu.cli.exits import say
from spiceemu.migration import Destination
from spiceemu.protocol.errors import LocalError
from spiceemu.relay import parse_target

if TYPE_CHECKING:
    from spiceemu.cli.options import Options
    from spiceemu.server import SpiceServer


async def send_away(server: SpiceServer, options: Options) -> None:
    """Move all clients when ``--after`` seconds have passed and whenever SIGUSR1 comes, until cancelled."""
    assert options.migrate_to is not None
    target = parse_target(options.migrate_to)
    destination = Destination(target.host, target.port, options.migrate_tls_port, options.migrate_subject)
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    if options.after is not None:
        loop.call_later(options.after, told.set)
    if hasattr(signal, "SIGUSR1"):  # not on Windows
        loop.add_signal_handler(signal.SIGUSR1, told.set)
    try:
        while True:
            await told.wait()
            told.clear()
            await _move(server, destination)
    finally:
        if hasattr(signal, "SIGUSR1"):
            loop.remove_signal_handler(signal.SIGUSR1)


async def _move(server: SpiceServer, destination: Destination) -> None:
    try:
        moved = await server.migrate_to(destination)
    except LocalError as error:
        say(f"no migration: {error}")
        return
    for each in moved:
        what = "went" if each.followed else "was lost on its way"
        say(f"client {each.session_id:08x} {what} to {destination.host}:{destination.port} ({each.scheme.value})")
    if not moved:
        say("no migration: there is no client")


async def wait_for_clients(server: SpiceServer) -> None:
    """Wait until somebody comes, from another server or anew."""
    say("waiting for a client to come from another server")
    await server.wait_client(timeout=None, ready=False)
