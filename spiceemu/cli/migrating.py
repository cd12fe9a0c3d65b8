"""What ``serve`` does about migrations: sends its clients away when told, or waits for some to come."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from spiceemu.cli.exits import EXIT_USAGE, say, stop
from spiceemu.errors import LocalError
from spiceemu.events import MigrationFailed
from spiceemu.recordings.relay import parse_target
from spiceemu.sessions.destination import Destination

if TYPE_CHECKING:
    from spiceemu.cli.options import Options
    from spiceemu.client import Client
    from spiceemu.server import SpiceServer


def where_to(server: SpiceServer, options: Options) -> Destination:
    """Where a server that listens sends its clients.

    :returns: the other server as clients are told of it.
    :raises SystemExit: it cannot send them there; the line that says so is written.
    """
    assert options.migrate_to is not None
    target = parse_target(options.migrate_to)
    wanted = Destination(target.host, target.port, options.migrate_tls_port, options.migrate_subject)
    try:
        server.check_destination(wanted)
    except LocalError as error:
        raise stop(EXIT_USAGE, f"--migrate-to {options.migrate_to}: {error} (see spiceemu serve --help)") from None
    return wanted


async def send_away(server: SpiceServer, destination: Destination, options: Options) -> None:
    """Move all clients ``--after`` seconds from the first one's coming and whenever SIGUSR1 comes, until cancelled."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    timer = None if options.after is None else loop.create_task(_set_after(told, server, options.after))
    if hasattr(signal, "SIGUSR1"):  # not on Windows
        loop.add_signal_handler(signal.SIGUSR1, told.set)
    _announce(options)  # now: a SIGUSR1 before would have ended us
    try:
        while True:
            await told.wait()
            told.clear()
            await _move(server, destination)
    finally:
        if timer is not None:
            timer.cancel()
        if hasattr(signal, "SIGUSR1"):
            loop.remove_signal_handler(signal.SIGUSR1)


async def _set_after(told: asyncio.Event, server: SpiceServer, seconds: float) -> None:
    await server.until_client()
    await asyncio.sleep(seconds)
    told.set()


def _announce(options: Options) -> None:
    """Say when clients will go, and how to make them."""
    moments = []
    if options.after is not None:
        moments.append(f"{options.after:g} s after they have come")
    if hasattr(signal, "SIGUSR1"):
        moments.append(f"on SIGUSR1 (kill -USR1 {os.getpid()})")
    say(f"clients go to {options.migrate_to} {' and '.join(moments)}")


async def _move(server: SpiceServer, destination: Destination) -> None:
    before = {client: len(_failures(client)) for client in server.clients}
    try:
        moved = await server.migrate_to(destination)
    except LocalError as error:
        say(f"no migration: {error}")
        return
    for client, known in before.items():
        for failure in _failures(client)[known:]:
            say(f"client {client.session_id:08x}: {failure}")
    for each in moved:
        what = "went" if each.followed else "was lost on its way"
        say(f"client {each.session_id:08x} {what} to {destination.host}:{destination.port} ({each.scheme.value})")
    if not moved:
        say("no migration: there is no client")


def _failures(client: Client) -> list[str]:
    """Why a client did not go as was meant, each time."""
    return [event.text for event in client.events if isinstance(event, MigrationFailed)]


async def wait_for_clients(server: SpiceServer) -> None:
    """Wait until somebody comes, from another server or anew."""
    say("waiting for a client; send one here with spiceemu serve --migrate-to, or any other server's migration")
    client = await server.wait_client(timeout=None, ready=False)
    comes = "from another server" if client.arrived_by is not None else "as a new one, not from another server"
    say(f"client {client.session_id:08x} comes {comes}")
