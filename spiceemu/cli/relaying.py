"""What ``record`` and ``lint --relay`` share: a relay that runs until Ctrl-C or SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from spiceemu.cli.signals import HeldSignals
    from spiceemu.recordings.relay import Relay

INTERVAL = 1.0
"""Seconds between two calls of ``meanwhile``."""


def prepare_for_signals() -> None:
    """Let SIGTERM do what Ctrl-C does, until there is a loop that has better ways."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


async def relay_until_stopped(
    relay: Relay, held: HeldSignals, listens: Callable[[str], None], meanwhile: Callable[[], None] = lambda: None
) -> None:
    """Relay until Ctrl-C or SIGTERM.

    :param held: released once they stop the relay.
    :param listens: told the address once clients would be answered.
    :param meanwhile: called every ``INTERVAL`` seconds and at the end.
    :raises AddressUnavailable: the relay cannot listen.
    :raises Exception: whatever the relay's observer raised.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows, where Ctrl-C cancels what runs and SIGTERM ends the process
            loop.add_signal_handler(name, stopped.set)
    held.release()
    async with relay:
        listens(relay.uri)
        failing = asyncio.ensure_future(relay.wait())
        stopping = asyncio.ensure_future(stopped.wait())
        try:
            while not (failing.done() or stopping.done()):
                await asyncio.wait((failing, stopping), timeout=INTERVAL, return_when=asyncio.FIRST_COMPLETED)
                meanwhile()
            if failing.done():
                failing.result()
        except asyncio.CancelledError:  # Ctrl-C on Windows
            pass
        finally:
            stopping.cancel()
    await asyncio.wait((failing,))
