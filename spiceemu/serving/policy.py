"""What a server decides about links: which channels there are, who may in, and over what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spiceemu.errors import (
    BadConnectionId,
    ChannelNotAvailable,
    InvalidValue,
    NeedSecured,
    NeedUnsecured,
    PermissionDenied,
)
from spiceemu.protocol.capabilities import ChannelType, is_channel_type, type_name
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.levels.level import CURRENT
from spiceemu.protocol.link.layouts import MAJOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from spiceemu.protocol.capabilities import Words
    from spiceemu.protocol.levels.level import Level
    from spiceemu.protocol.link.server import LinkRequest
    from spiceemu.protocol.link.ticket import Password

ALL = "all"
"""Stands for every channel in ``tls_channels`` and ``plain_channels``."""


def channel_types(names: Iterable[str]) -> frozenset[ChannelType]:
    """Channel types by their names, ``all`` being every one.

    :returns: the types.
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

    :param channels: gives type and id of every channel but main at a level, in the order of CHANNELS_LIST.
    :param password: what a ticket must hold; may be replaced at any time.
    :param tls_channels: names of channels served over TLS only.
    :param plain_channels: names of channels served without TLS only.
    :param has_session: tells whether a session id is known.
    :param has_channel: tells whether a session already has a channel.
    :param level: what the server behaves like; may be replaced while no link is under way.
    :param is_parked: tells whether a session's client has linked but not begun: it may come once more, for spice-gtk
        never closes the main channel of a seamless migration that was cancelled.
    """

    def __init__(
        self,
        *,
        channels: Callable[[Level], list[tuple[ChannelType, int]]],
        password: Password,
        has_session: Callable[[int], bool],
        has_channel: Callable[[int, int, int], bool],
        tls_channels: Iterable[str] = (),
        plain_channels: Iterable[str] = (),
        level: Level = CURRENT,
        is_parked: Callable[[int], bool] = lambda _: False,
    ) -> None:
        self.level = level
        self._channels = channels
        self.password = password
        self.tls_only = channel_types(tls_channels)
        self.plain_only = channel_types(plain_channels)
        both = self.tls_only & self.plain_only
        if both:
            names = ", ".join(sorted(channel.name.lower() for channel in both))
            raise InvalidValue(f"channels both in Tls.channels and plain_channels cannot be linked at all: {names}")
        self._has_session = has_session
        self._has_channel = has_channel
        self._is_parked = is_parked

    @property
    def version(self) -> tuple[int, int]:
        """Protocol version in the link headers."""
        return MAJOR, self.level.minor

    def channels(self) -> list[tuple[ChannelType, int]]:
        """Type and id of every channel but main, in the order of CHANNELS_LIST.

        :returns: them, as the guest has them now.
        """
        return self._channels(self.level)

    def _offers(self, request: LinkRequest) -> bool:
        wanted = (request.channel_type, request.channel_id)
        return wanted == (ChannelType.MAIN, 0) or wanted in self.channels()

    def admit(self, request: LinkRequest) -> None:
        """Judge the link message; see :class:`~spiceemu.protocol.link.server.LinkPolicy`."""
        kind, number = request.channel_type, request.channel_id
        # In spice-server's order (reds.c): the way in is judged before it is asked whether there is such a channel.
        if request.secure and self._is_among(kind, self.plain_only):
            raise NeedUnsecured(f"link: the {type_name(kind)} channel is not served over TLS")
        if not request.secure and self._is_among(kind, self.tls_only):
            raise NeedSecured(f"link: the {type_name(kind)} channel is only served over TLS")
        if self.level.has(Feature.SILENT_REFUSAL) and not self._offers(request):
            raise ChannelNotAvailable(f"link: there is no channel of type {kind} with id {number}")

    @staticmethod
    def _is_among(kind: int, channels: frozenset[ChannelType]) -> bool:
        """Whether a type is one of these; one that nobody has belongs to all of them."""
        return kind in channels or (len(channels) == len(ChannelType) and not is_channel_type(kind))

    def capabilities(self, request: LinkRequest) -> tuple[Words, Words]:
        """The words of the reply: real servers that answer for a channel that is not there look up its type's first."""
        common, channel = self.level.words(request.channel_type, request.channel_capabilities)
        there = request.channel_type == ChannelType.MAIN or (request.channel_type, 0) in self.channels()
        return common, channel if there else ()

    def check_password(self, ticket: bytes | None, now: float) -> None:
        """Judge what the ticket holds."""
        if ticket is None and not self.password.required and not self.level.has(Feature.STRICT_TICKET):
            return  # who asks for no password does not look at what did not decrypt
        if not self.password.verify(ticket, now):
            raise PermissionDenied("link: the ticket does not hold the password, or its time has passed")

    def check_session(self, request: LinkRequest) -> None:
        """Judge connection id and channel, after the password."""
        session, kind, number = request.connection_id, request.channel_type, request.channel_id
        if kind == ChannelType.MAIN and self._offers(request):
            # A client that comes from another server keeps its session; levels without that know their own alone.
            free = not self._has_session(session) or self._is_parked(session)
            if session == 0 or (self.level.takes_sessions and free):
                return
            if self._has_session(session):
                raise ChannelNotAvailable(f"link: session {session} has that channel already")
            raise BadConnectionId(f"link: level {self.level.name} takes no session from elsewhere, such as {session}")
        if not self._has_session(session):
            raise BadConnectionId(f"link: no session has id {session}")
        if not self._offers(request):
            raise ChannelNotAvailable(f"link: there is no channel of type {kind} with id {number}")
        if self._has_channel(session, kind, number):
            raise ChannelNotAvailable(f"link: session {session} has that channel already")
