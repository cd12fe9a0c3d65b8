"""The tap of messages: the one place where every message of every channel can be seen and touched.

A message out passes it as it is about to be framed, a message in once it is parsed. What stands on it: the trace,
``client.messages``, statistics; and whatever a test puts there. Below it is the tap of bytes
(:mod:`spiceemu.serving.wiretap`). With nobody on it, it costs a look at an empty list.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

from spiceemu.protocol.messages.message import CLIENT, SERVER

if TYPE_CHECKING:
    from spiceemu.protocol.capabilities import ChannelType
    from spiceemu.protocol.messages.message import Message


class TappedChannel(Protocol):
    """A channel as a tap knows it."""

    id: int
    session_id: int
    """The session it belongs to; 0 where there is none."""

    @property
    def type(self) -> ChannelType:
        """Its type."""

    @property
    def name(self) -> str:
        """``type:id``."""

    def put(self, message: Message) -> None:
        """Frame a message of the server as it is, past every tap and check: what was held back, or is made up."""


class MessageTap:
    """Sees every message, and may change it. Both methods may be replaced; these here let everything pass.

    Each gives the messages that go on in the place of the one that came: itself, another one, several, or none. What is
    held back is kept by the tap, and put on its way later by :meth:`TappedChannel.put`. A tap that raises
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

    :ivar taps: those that are there; empty where nobody looks.
    """

    __slots__ = ("taps",)

    def __init__(self, taps: Iterable[MessageTap] = ()) -> None:
        self.taps: list[MessageTap] = list(taps)

    def pass_on(self, direction: str, channel: TappedChannel, message: Message) -> list[Message]:
        """Let a message pass.

        :param direction: ``SERVER`` for a message of ours, ``CLIENT`` for one of the client.
        :returns: what goes on in its place.
        """
        messages = [message]
        for tap in self.taps:
            see = {SERVER: tap.sending, CLIENT: tap.received}[direction]
            messages = [result for each in messages for result in see(channel, each)]
        return messages
