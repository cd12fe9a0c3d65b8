"""Where a channel stands between two servers, in one object: every flag that a migration has on one channel.

::

    HERE       freeze(): FROZEN                          the channel is one like any other
    FROZEN     the client says FLUSH_MARK: FLUSHED       it says MIGRATE, and nothing else from now on
    FLUSHED    its state is sent: MOVED                  the client has nothing more to say here
    AWAITED    MIGRATE_DATA of the client: HERE          at the target: its state is on its way, and it is silent
    SILENT     begun: HERE; asked: AWAITED               at the target: a main channel that was not told yet what comes

A :class:`~spiceemu.sessions.migration.Departure` freezes passages, an :class:`~spiceemu.sessions.migration.Arrival`
makes those that are awaited; the table of both, and of the whole client, is at the top of their file.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any


class Stage(Enum):
    """Where a passage stands; the module's table says what follows what."""

    HERE = auto()
    FROZEN = auto()
    FLUSHED = auto()
    MOVED = auto()
    AWAITED = auto()
    SILENT = auto()


class Passage:
    """One channel's way from or to another server.

    :ivar frozen: whether what the channel is told to send goes nowhere: it is on its way, or not here yet.
    :ivar speaks_for_cache: whether it is the one of its client's display channels that speaks for their common cache.
    :ivar mouse_mode_due: whether the mouse mode has changed too late to be told at the source.
    :ivar carried: what :meth:`~spiceemu.channels.channel.Channel.save` gave at a source of ours, if it was one.
    """

    __slots__ = ("carried", "frozen", "mouse_mode_due", "speaks_for_cache", "stage")

    def __init__(self, stage: Stage = Stage.HERE) -> None:
        self.stage = stage
        self.frozen = stage is Stage.SILENT
        self.speaks_for_cache = False
        self.mouse_mode_due = False
        self.carried: Any = None

    @property
    def is_resumed(self) -> bool:
        """Whether the channel goes on from another server."""
        return self.stage in (Stage.AWAITED, Stage.SILENT)

    @property
    def awaits_data(self) -> bool:
        """Whether the channel's state is to come from another server, by way of the client."""
        return self.stage is Stage.AWAITED

    @property
    def has_flushed(self) -> bool:
        """Whether the client has said its last word here."""
        return self.stage in (Stage.FLUSHED, Stage.MOVED)

    def go(self, stage: Stage) -> None:
        """Go on to a stage."""
        self.stage = stage
        if stage is not Stage.AWAITED:  # a main channel that awaits its state is silent until it has it
            self.frozen = stage is not Stage.HERE
