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
    look: Callable[[], Awaitable[T | None]], what: Callable[[], str], *, timeout: float = PATIENCE
) -> T:
    """Call ``look`` again and again until it returns something true, and return that.

    After ``timeout`` seconds it raises an AssertionError with the text of ``what``.
    """
    try:
        async with asyncio.timeout(timeout):
            while not (found := await look()):  # noqa: ASYNC110 - a window or a file sets no event
                await asyncio.sleep(POLL_INTERVAL)
            return found
    except TimeoutError:
        raise AssertionError(f"not within {timeout:g} seconds: {what()}") from None
