"""Waiting with a deadline: the only way the peers' tests pass time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")

#: Seconds a real client or server may take for anything; far more than it needs, so that a loaded machine passes.
PATIENCE = 20.0

#: Seconds between two looks at something that cannot call us (a window, a file).
POLL_INTERVAL = 0.02


async def eventually(
    look: Callable[[], Awaitable[T]], what: str | Callable[[], str], *, timeout: float = PATIENCE
) -> T:
    """Call ``look`` again and again until it returns something true, and return that.

    Raises AssertionError naming ``what`` (called only then, if it is a function) after ``timeout`` seconds.
    """
    try:
        async with asyncio.timeout(timeout):
            while not (found := await look()):
                await asyncio.sleep(POLL_INTERVAL)
            return found
    except TimeoutError:
        name = what() if callable(what) else what
        raise AssertionError(f"not within {timeout:g} seconds: {name}") from None
