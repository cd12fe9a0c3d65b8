"""The trace: a line for each message, ``>`` for ours and ``<`` for the client's, payloads shortened.

::

    > [5f3a9c01 display:0] display.DrawFill(base=DisplayBase(surface_id=0, ...), data=Fill(...))
    < [5f3a9c01 inputs:0] inputs.KeyDown(code=30)
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from spiceemu.channels.tap import MessageTap

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spiceemu.channels.tap import TappedChannel
    from spiceemu.protocol.messages.message import Message


TRACE_VARIABLE = "SPICEEMU_TRACE"
"""The environment variable that has every server of the process trace to standard error, if it is 1."""


def is_wanted() -> bool:
    """Whether the environment asks for a trace."""
    return os.environ.get(TRACE_VARIABLE) == "1"


def write_error(line: str) -> None:
    """Write a line to standard error, as it is now: tests replace it."""
    if sys.stderr is not None:
        sys.stderr.write(f"{line}\n")


class Trace(MessageTap):
    """A tap that writes what passes; where it watches, what really travels.

    :param write: takes a line, without its end; standard error does, unless given.
    """

    def __init__(self, write: Callable[[str], object] = write_error) -> None:
        self._write = write

    def sending(self, channel: TappedChannel, message: Message) -> Iterable[Message]:
        """Write a message of ours."""
        self._write(f"> [{channel.session_id:08x} {channel.name}] {message}")
        return (message,)

    def received(self, channel: TappedChannel, message: Message) -> Iterable[Message]:
        """Write a message of the client."""
        self._write(f"< [{channel.session_id:08x} {channel.name}] {message}")
        return (message,)
