"""Messages that a test invents: they are forgotten behind it, so that other tests see the protocol's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from spiceemu.protocol.agent.message import MESSAGES
from spiceemu.protocol.messages import message


@contextmanager
def inventing() -> Iterator[None]:
    """What is declared with ``@message`` or ``@agent_message`` inside is there until the end."""
    channels = [*message.ALL_CHANNELS]
    tables = {place: {**table} for place, table in message._by_id.items()}
    of_agents = {**MESSAGES}
    try:
        yield
    finally:
        MESSAGES.clear()
        MESSAGES.update(of_agents)
        message.ALL_CHANNELS[:] = channels
        for place, table in tables.items():
            message._by_id[place].clear()
            message._by_id[place].update(table)
