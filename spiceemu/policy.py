"""What a server decides about links: which channels there are, who may in, and over what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.errors import (
    BadConnectionId,
    ChannelNotAvailable,
    InvalidValue,
    NeedSecured,
    NeedUnsecured,
    PermissionDenied,
)
from spiceemu.protocol.level import CURRENT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spiceemu.protocol.capabilities import Words
    from spiceemu.protocol.link import LinkRequest
    from spiceemu.protocol.ticket import Password

VERSION = (2, 2)
"""Protocol version in the server's link headers (spice-protocol 0.14.3)."""

ALL = "all"
"""Stands for every channel in ``tls_channels`` and ``plain_channels``."""


def channel_types(names: Iterable[str]) -> frozenset[ChannelType]:
    """Channel types by their names, ``all`` being every one.

    :raises InvalidValue: naming the channels there are.
    """
    known = {channel.name.lower(): channel for channel in ChannelType}
    found: set[ChannelType] = set()
    for name in names:
        if name == ALL:
            found.update(ChannelType)
        elif name in known:
            found.add(known[name])
        else:
            raise InvalidValue(f"no channel is called {name!r}; there are {ALL}, {', '.join(known)}")
    return frozenset(found)


class ServerPolicy:
    """The decisions of one server.

    :param displays: how many display channels there are; the cursor channels mirror them.
    :param password: what a ticket must hold; may be replaced at any time.
    :param tls_channels: names of channels served over TLS only.
    :param plain_channels: names of channels served without TLS only.
    :param has_session: tells whether a session id is known.
    :param has_channel: tells whether a session already has a channel.
    """

    version = VERSION

    def __init__(
        self,
        *,
        displays: int,
        password: Password,
        has_session: Callable[[int], bool],
        has_channel: Callable[[int, int, int], bool],
        tls_channels: Iterable[str] = (),
        plain_channels: Iterable[str] = (),
    ) -> None:
        self.displays = displays
        self.password = password
        self.tls_only = channel_types(tls_channels)
        self.plain_only = channel_types(plain_channels)
        both = self.tls_only & self.plain_only
        if both:
            names = ", ".join(sorted(channel.name.lower() for channel in both))
            raise InvalidValue(f"channels both in tls_channels and plain_channels cannot be linked at all: {names}")
        self._has_session = has_session
        self._has_channel = has_channel

    def channels(self) -> list[tuple[ChannelType, int]]:
        """Type and id of every channel but main, in the order of CHANNELS_LIST."""
        numbers = range(self.displays)
        return [
            *((ChannelType.DISPLAY, number) for number in numbers),
            *((ChannelType.CURSOR, number) for number in numbers),
            (ChannelType.INPUTS, 0),
        ]

    def admit(self, request: LinkRequest) -> None:
        """Judge the link message; see :class:`~spiceemu.protocol.link.LinkPolicy`."""
        wanted = (request.channel_type, request.channel_id)
        if wanted != (ChannelType.MAIN, 0) and wanted not in self.channels():
            raise ChannelNotAvailable(f"link: there is no channel of type {wanted[0]} with id {wanted[1]}")
        name = ChannelType(request.channel_type).name.lower()
        if request.secure and request.channel_type in self.plain_only:
            raise NeedUnsecured(f"link: the {name} channel is not served over TLS")
        if not request.secure and request.channel_type in self.tls_only:
            raise NeedSecured(f"link: the {name} channel is only served over TLS")

    def capabilities(self, request: LinkRequest) -> tuple[Words, Words]:
        """The words of the reply."""
        return CURRENT.words(request.channel_type, request.channel_capabilities)

    def check_password(self, ticket: bytes | None, now: float) -> None:
        """Judge what the ticket holds."""
        if not self.password.verify(ticket, now):
            raise PermissionDenied("link: the ticket does not hold the password, or its time has passed")

    def check_session(self, request: LinkRequest) -> None:
        """Judge connection id and channel, after the password."""
        session, kind, number = request.connection_id, request.channel_type, request.channel_id
        if session == 0 and kind == ChannelType.MAIN:
            return
        if not self._has_session(session):
            raise BadConnectionId(f"link: no session has id {session}")
        if self._has_channel(session, kind, number):
            raise ChannelNotAvailable(f"link: session {session} has that channel already")
