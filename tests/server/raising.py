"""A tap that breaks a server on purpose."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from spiceemu.channels.tap import MessageTap
from spiceemu.protocol.messages.message import Message


class Raises(MessageTap):
    """A tap that raises at one kind of message: each time, or for as many as are told."""

    def __init__(self, kind: type[Message], error: Exception, times: int = 1 << 30) -> None:
        self.kind = kind
        self.error = error
        self.times = times

    def sending(self, _channel: Any, message: Message) -> Iterable[Message]:
        return self._seen(message)

    def received(self, _channel: Any, message: Message) -> Iterable[Message]:
        return self._seen(message)

    def _seen(self, message: Message) -> Iterable[Message]:
        if isinstance(message, self.kind) and self.times:
            self.times -= 1
            raise self.error
        return (message,)
