"""Who a line of the log is about."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio

LOCAL_PEER = "unix"
"""The name of who comes by a unix socket, which tells no address."""


class ConnectionLogger(logging.LoggerAdapter[logging.Logger]):
    """Puts ``[session=… channel=…]`` before every line of a connection."""

    def process(self, msg: Any, kwargs: Any) -> tuple[str, Any]:
        """Prefix the message with what ``extra`` holds."""
        context = " ".join(f"{key}={value}" for key, value in (self.extra or {}).items())
        return f"[{context}] {msg}", kwargs


def peer_name(transport: asyncio.BaseTransport) -> str:
    """The address and port of who is at the other end, or ``LOCAL_PEER``."""
    peer = transport.get_extra_info("peername")
    return f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else LOCAL_PEER
