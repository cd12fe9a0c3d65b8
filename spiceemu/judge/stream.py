"""The judge of a recording: several connections, and the rules between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spiceemu.judge.channel_rules import RULES
from spiceemu.judge.connection import ConnectionJudge
from spiceemu.judge.memory import Held
from spiceemu.judge.session import Sessions
from spiceemu.protocol.levels.level import Level, level_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from spiceemu.judge.finding import Finding
    from spiceemu.judge.rules import ChannelRules
    from spiceemu.protocol.capabilities import ChannelType


class StreamJudge:
    """Judges what passes on many connections, in the order in which it passes.

    ::

        judge = StreamJudge("0.8")
        connection = judge.connection("001")
        for finding in connection.server_data(data): ...
        for finding in judge.finish(): ...

    :param level: whose rules they are: a version such as ``0.8``, a release such as ``0.8.3``, or any level.
    :param rules: the rules of each channel type; a channel of another type is not judged.
    :raises InvalidValue: there is no level of that name.
    """

    def __init__(self, level: str | int | Level, rules: Mapping[ChannelType, type[ChannelRules]] = RULES) -> None:
        self.level = level_of(level)
        self.rules = rules
        self.connections = 0
        """Connections so far."""
        self._sessions = Sessions()
        self._held = Held()
        self._open: dict[ConnectionJudge, None] = {}
        self._messages = 0  # of the connections that have ended

    @property
    def messages(self) -> int:
        """Messages judged so far."""
        return self._messages + sum(connection.messages for connection in self._open)

    def connection(self, name: str, *, local: bool = False) -> ConnectionJudge:
        """Begin another connection.

        :param local: whether it goes over a unix socket.
        :returns: its judge, to which what passes there is given; :meth:`end` ends it.
        """
        self.connections += 1
        connection = ConnectionJudge(self.level, name, self._sessions, local=local, held=self._held, rules=self.rules)
        self._open[connection] = None
        return connection

    def end(self, connection: ConnectionJudge) -> list[Finding]:
        """Note that a connection has ended; return what is only certain now."""
        del self._open[connection]
        self._messages += connection.messages
        return connection.finish()

    def finish(self) -> list[Finding]:
        """Note that all is over; return what is only certain now."""
        return [finding for connection in list(self._open) for finding in self.end(connection)]
