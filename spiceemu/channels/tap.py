"""The tap of messages: the one place where every message of every channel can be seen and touched.

A message out passes it as it is about to be framed, a message in once it is parsed. What stands on it: the trace,
``client.messages``, statistics; and whatever a test puts there. Below it is the tap of bytes
(:mod:`spiceemu.serving.wiretap`). With nobody on it, it costs a look at an empty list.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from spiceemu.errors import HangUp, RemoteError
from spiceemu.protocol.messages.message import CLIENT, SERVER

if TYPE_CHECKING:
    from spiceemu.protocol.capabilities import ChannelType
    from spiceemu.protocol.messages.message import Message


class TappedChannel(Protocol):
    """A channel as a tap knows it."""

    @property
    def id(self) -> int:
        """Its id."""

    @property
    def session_id(self) -> int:
        """The session it belongs to; 0 where there is none."""

    @property
    def type(self) -> ChannelType:
        """Its type."""

    @property
    def name(self) -> str:
        """``type:id``."""

    def fail(self, error: Exception) -> None:
        """End the connection, as an error of ours says."""

    def put(self, message: Message) -> None:
        """Frame a message of the server as it is, past every tap and check: what was held back, or is made up."""


class MessageTap:
    """Sees every message, and may change it. Both methods may be replaced; these here let everything pass.

    Each gives the messages that go on in the place of the one that came: itself, another one, several, or none. What is
    held back is kept by the tap, and put on its way later: a message of ours by :meth:`TappedChannel.put`, one of the
    client only with a later one of its channel, before or behind it. Whoever drops a message or holds it back takes
    the responsibility: ``synced()`` returns although the client has not seen it. A tap that raises
    :class:`~spiceemu.errors.HangUp` ends the connection; whatever else it raises is a failure of ours.
    """

    def sending(self, channel: TappedChannel, message: Message) -> Iterable[Message]:
        """Take a message of ours that is about to be framed.

        :returns: what is framed in its place. What a tap has made is sent as it is, whether the level has it or not.
        """
        del channel
        return (message,)

    def received(self, channel: TappedChannel, message: Message) -> Iterable[Message]:
        """Take a message of the client that has been parsed.

        :returns: what is handled in its place.
        """
        del channel
        return (message,)


class Taps:
    """All message taps of a client, one behind the other: what one gives the next one takes.

    Watchers stand nearest to the wire, and are told what really travels: what the client sent before any tap has
    touched it, and what is framed after the last one has, or past all of them.

    :param taps: those that may change what passes.
    :param watchers: those that only look on; what they give counts for nothing.
    :ivar taps: all that are there, the watchers first; empty where nobody looks.
    """

    __slots__ = ("_watchers", "taps")

    def __init__(self, taps: Iterable[MessageTap] = (), *, watchers: Iterable[MessageTap] = ()) -> None:
        self._watchers = tuple(watchers)
        self.taps: list[MessageTap] = [*self._watchers, *taps]

    def pass_on(self, direction: str, channel: TappedChannel, message: Message) -> Sequence[Message]:
        """Let a message pass.

        :param direction: ``SERVER`` for a message of ours, ``CLIENT`` for one of the client.
        :returns: what goes on in its place.
        """
        watchers = self._watchers
        if direction == CLIENT:
            for watcher in watchers:
                watcher.received(channel, message)
        messages: Sequence[Message] = (message,)
        if len(self.taps) > len(watchers):
            messages = self._through(direction, channel, message)
        if direction == SERVER:
            for watcher in watchers:
                for each in messages:
                    watcher.sending(channel, each)
        return messages

    def show(self, channel: TappedChannel, message: Message) -> None:
        """Tell the watchers of a message that was put past the taps."""
        for watcher in self._watchers:
            watcher.sending(channel, message)

    def _through(self, direction: str, channel: TappedChannel, message: Message) -> list[Message]:
        messages = [message]
        for tap in self.taps[len(self._watchers) :]:  # a copy: a tap may take itself away, or another one
            see = tap.sending if direction == SERVER else tap.received
            try:
                messages = [result for each in messages for result in see(channel, each)]
            except Exception as error:
                if isinstance(error, RemoteError):
                    error.ours = True
                if not isinstance(error, HangUp):
                    error.add_note(f"raised by {type(tap).__qualname__}, a tap of messages")
                if direction == SERVER:
                    channel.fail(error)  # whoever sends may be a test, or another channel: this one ends
                    if isinstance(error, HangUp):
                        return []
                raise
        return messages
