"""What the channels of one client share: the session's id, the channels it was told of, the caches, the serials."""

from __future__ import annotations

from dataclasses import dataclass, field

from spiceemu.judge.memory import Remembered

MAX_SESSIONS = 1024
"""Most sessions remembered; the first are forgotten."""

ChannelKey = tuple[int, int]
"""A channel's type and id."""


@dataclass(slots=True)
class SessionState:
    """One client's session, as its connections have told it so far.

    :ivar whole: whether it was seen from its beginning. A session that was met on its way has channels, pictures and
        cursors that nobody saw it get: what is unknown there is taken as known.
    :ivar named: whether its id is known.
    :ivar listed: the channels of CHANNELS_LIST; None before there was one.
    :ivar serials: the serial of the last message of the server on each channel that was linked.
    :ivar pixmaps: the cached pictures, by the cache's id: all display channels that name it share it.
    """

    whole: bool = True
    named: bool = False
    listed: set[ChannelKey] | None = None
    serials: dict[ChannelKey, int] = field(default_factory=dict)
    pixmaps: dict[int, Remembered] = field(default_factory=dict)

    def cache(self, number: int) -> Remembered:
        """The picture cache of that id, at most 256 as ids have one byte."""
        return self.pixmaps.setdefault(number, Remembered(complete=self.whole))


class Sessions:
    """The sessions of a recording, by id."""

    def __init__(self) -> None:
        self._by_id: dict[int, SessionState] = {}
        self._unnamed = 0  # main channels whose INIT has not been seen
        self._met_on_the_way = False

    def of_main(self, connection_id: int) -> SessionState:
        """The session that a main channel begins, or goes on with behind a migration."""
        session = SessionState(named=bool(connection_id))
        if connection_id:
            self._remember(connection_id, session)
        else:
            self._unnamed += 1
        return session

    def name(self, session_id: int, session: SessionState) -> None:
        """Note a session's id, as INIT tells it."""
        if not session.named:
            session.named = True
            self._unnamed -= 1
        self._remember(session_id, session)

    def of_channel(self, connection_id: int) -> SessionState | None:
        """The session that a channel other than main belongs to; None if a server would have known it.

        Where main was not recorded from its beginning, any id is as good as another.
        """
        session = self._by_id.get(connection_id)
        if session is None and (self._unnamed or not self._by_id or self._met_on_the_way):
            self._met_on_the_way = True
            session = SessionState(whole=False, named=True)
            self._remember(connection_id, session)
        return session

    def _remember(self, session_id: int, session: SessionState) -> None:
        self._by_id[session_id] = session
        if len(self._by_id) > MAX_SESSIONS:
            del self._by_id[next(iter(self._by_id))]
