"""The link, server side: what happens on a connection before the first message.

Layouts are in :mod:`spiceemu.protocol.link.layouts`.

This module owns every state of a link; :class:`ServerLink` moves only like this::

    state      waits for       then
    MAGIC      4 bytes         HEADER, or error 2
    HEADER     12 bytes        MESSAGE, or error 3 (size) or 4 (major), or silence (major 0)
    MESSAGE    size bytes      MECHANISM or TICKET, or error 3 (caps) or the policy's, or silence (no such channel)
    MECHANISM  4 bytes         TICKET, or error 3
    TICKET     128 bytes       LINKED, or the policy's result
    LINKED     nothing         the connection belongs to its channel
    CLOSED     nothing         send what is left, then close

Errors go out in a reply of their own: size 178, ``error`` set, the rest zero; also after MECHANISM, where the client
expects four bytes. All that as spice-server 0.15.1 does it (``reds.c`` and measured), but for one quirk: it goes on
with SASL when asked for it even if SASL is off.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from spiceemu.errors import (
    ChannelNotAvailable,
    InvalidData,
    InvalidMagic,
    LimitExceeded,
    LinkError,
    RemoteError,
    VersionMismatch,
    WrongState,
)
from spiceemu.protocol.capabilities import CommonCap, has_capability
from spiceemu.protocol.levels.level import CURRENT
from spiceemu.protocol.limits import LINK_TIMEOUT
from spiceemu.protocol.link.layouts import (
    HEADER,
    HEADER_REST,
    LINK_MESSAGE,
    LINK_REPLY,
    MAGIC,
    MAJOR,
    U32,
    WORD_SIZE,
    agreed,
    checked_size,
    pack_words,
    read_capabilities,
    take,
)
from spiceemu.protocol.link.ticket import TICKET_SIZE, TicketKey, process_key

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from spiceemu.protocol.capabilities import Words
    from spiceemu.protocol.levels.level import Level
else:
    Protocol = object


class LinkState(Enum):
    """Where a link stands; the module's table says what each state waits for."""

    MAGIC = auto()
    HEADER = auto()
    MESSAGE = auto()
    MECHANISM = auto()
    TICKET = auto()
    LINKED = auto()
    CLOSED = auto()


class LinkRequest:
    """What a client asked for in its link message.

    ``connection_id`` is 0 for a new session, else the session's id. ``channel_type`` may be a number that
    :class:`~spiceemu.protocol.capabilities.ChannelType` does not know. The capabilities are the client's, in words.
    ``secure`` tells whether the message came over TLS, ``local`` whether over a unix socket.
    """

    __slots__ = (
        "channel_capabilities",
        "channel_id",
        "channel_type",
        "common_capabilities",
        "connection_id",
        "local",
        "major",
        "minor",
        "secure",
    )

    def __init__(
        self,
        *,
        connection_id: int,
        channel_type: int,
        channel_id: int,
        major: int,
        minor: int,
        common_capabilities: Words,
        channel_capabilities: Words,
        secure: bool,
        local: bool = False,
    ) -> None:
        self.connection_id = connection_id
        self.channel_type = channel_type
        self.channel_id = channel_id
        self.major = major
        self.minor = minor
        self.common_capabilities = common_capabilities
        self.channel_capabilities = channel_capabilities
        self.secure = secure
        self.local = local

    def __repr__(self) -> str:
        return (
            f"LinkRequest(channel={self.channel_type}:{self.channel_id}, connection_id={self.connection_id}, "
            f"version={self.major}.{self.minor}, common={_hex(self.common_capabilities)}, "
            f"channel_caps={_hex(self.channel_capabilities)}, secure={self.secure})"
        )


class Linked:
    """How a complete link was agreed.

    ``common_capabilities`` and ``channel_capabilities`` are the words this server sent; the client's are in
    ``request``. ``mechanism`` is ``None`` if the ticket came without one. ``mini_header`` holds for both directions.
    ``level`` is what the server behaves like on it. ``leftover`` are bytes that came behind the ticket: the start of
    the client's messages.
    """

    __slots__ = (
        "channel_capabilities",
        "common_capabilities",
        "leftover",
        "level",
        "mechanism",
        "mini_header",
        "request",
    )

    def __init__(
        self,
        request: LinkRequest,
        common_capabilities: Words,
        channel_capabilities: Words,
        mechanism: int | None,
        level: Level = CURRENT,
    ) -> None:
        self.request = request
        self.level = level
        self.common_capabilities = common_capabilities
        self.channel_capabilities = channel_capabilities
        self.mechanism = mechanism
        self.mini_header = agreed(CommonCap.MINI_HEADER, request.common_capabilities, common_capabilities)
        self.leftover = b""


class LinkPolicy(Protocol):
    """What a server decides about a link. The methods are called in this order, each at most once a link."""

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version in this server's headers; the major is always 2."""

    @property
    def level(self) -> Level:
        """What this server behaves like."""

    def admit(self, request: LinkRequest) -> None:
        """Judge the link message.

        :raises NeedSecured, NeedUnsecured: sent as the reply's error.
        :raises ChannelNotAvailable: the connection closes without a byte, as since 0.12.6. Earlier releases answer OK
            and refuse in :meth:`check_session`.
        """

    def capabilities(self, request: LinkRequest) -> tuple[Words, Words]:
        """Return the common words and the channel words to send in the reply.

        :returns: the common words, then the channel words.
        :raises ChannelNotAvailable: as in :meth:`admit`.
        """

    def check_password(self, ticket: bytes | None, now: float) -> None:
        """Judge what the ticket holds; ``None`` if it did not decrypt.

        :raises PermissionDenied: sent as the result.
        """

    def check_session(self, request: LinkRequest) -> None:
        """Judge connection id and channel, after the password.

        :raises BadConnectionId, ChannelNotAvailable: sent as the result.
        """


class ServerLink:
    """One link, from the first byte of a connection to its result. No fault of the client makes it raise.

    Give it what arrives and send what it has, until :attr:`state` is LINKED or CLOSED. It keeps no byte it does not
    wait for, so a client makes it hold at most ``MAX_LINK_SIZE`` bytes, and at most until :attr:`deadline`.

    :param policy: the server's decisions.
    :param secure: whether the connection is a TLS one.
    :param local: whether it is one of a unix socket.
    :param now: the time, on any clock that never goes back.
    :param timeout: seconds the whole link may take.
    :param key: gives the ticket key when the reply needs it.
    """

    def __init__(
        self,
        policy: LinkPolicy,
        *,
        secure: bool,
        now: float,
        local: bool = False,
        timeout: float = LINK_TIMEOUT,
        key: Callable[[], TicketKey] = process_key,
    ) -> None:
        self.state = LinkState.MAGIC
        self.deadline = now + timeout
        self.request: LinkRequest | None = None
        self.linked: Linked | None = None
        """Set in state LINKED."""
        self.failure: RemoteError | None = None
        """Why the state is CLOSED."""
        self._policy = policy
        self._secure = secure
        self._local = local
        self._make_key = key
        self._awaited = len(MAGIC)
        self._received = bytearray()
        self._to_send = bytearray()
        self._version = (0, 0)
        self._capabilities: tuple[Words, Words] = ((), ())
        self._key: TicketKey | None = None
        self._mechanism: int | None = None
        self._now = now

    @property
    def finished(self) -> bool:
        """Whether the link is LINKED or CLOSED and takes no more bytes."""
        return self.state is LinkState.LINKED or self.state is LinkState.CLOSED

    def receive_data(self, data: bytes | bytearray | memoryview, now: float) -> None:
        """Take bytes from the client. Those behind the ticket become ``linked.leftover``; after CLOSED all are dropped.

        :raises WrongState: the link is complete, the bytes belong to its channel.
        """
        if self.state is LinkState.LINKED:
            raise WrongState("link: already complete, these bytes are messages")
        self._now = now
        self.check_time(now)
        rest = memoryview(data)
        while not self.finished:
            rest = take(rest, self._received, self._awaited)
            if len(self._received) < self._awaited:
                return
            piece = bytes(self._received)
            self._received.clear()
            try:
                _HANDLERS[self.state](self, piece)
            except LinkError as error:
                self._refuse(error.with_traceback(None))  # frames would keep this link alive
        if self.linked is not None:
            self.linked.leftover = bytes(rest)

    def receive_eof(self) -> None:
        """Note that the client closed the connection."""
        if not self.finished:
            self._close(LinkError(f"link: the client left in state {self.state.name}"))

    def check_time(self, now: float) -> None:
        """Close the link without a byte if its deadline has passed."""
        if not self.finished and now > self.deadline:
            self._close(
                LimitExceeded(f"link: its time ran out in state {self.state.name} (LINK_TIMEOUT {LINK_TIMEOUT:g} s)")
            )

    def data_to_send(self) -> bytes:
        """Return the bytes to send now, and forget them."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def _on_magic(self, piece: bytes) -> None:
        if piece != MAGIC:
            raise InvalidMagic(f"link: magic is {piece!r} instead of {MAGIC!r}")
        self._await(LinkState.HEADER, HEADER_REST.size)

    def _on_header(self, piece: bytes) -> None:
        major, minor, size = HEADER_REST.unpack(piece)
        if major != MAJOR:
            error = VersionMismatch(f"link: major version {major} instead of {MAJOR}")
            if major:
                raise error
            self._close(error)
            return
        self._await(LinkState.MESSAGE, checked_size("link", size, LINK_MESSAGE.size))
        self._version = (major, minor)

    def _on_message(self, piece: bytes) -> None:
        connection_id, channel_type, channel_id, *counts_and_offset = LINK_MESSAGE.unpack_from(piece)
        common, channel = read_capabilities("link message", piece, LINK_MESSAGE.size, *counts_and_offset)
        self.request = request = LinkRequest(
            connection_id=connection_id,
            channel_type=channel_type,
            channel_id=channel_id,
            major=self._version[0],
            minor=self._version[1],
            common_capabilities=common,
            channel_capabilities=channel,
            secure=self._secure,
            local=self._local,
        )
        try:
            self._policy.admit(request)
            self._capabilities = self._policy.capabilities(request)
        except ChannelNotAvailable as error:
            self._close(error)
            return
        self._key = self._make_key()
        self._send_reply(0, self._key.public_der, *self._capabilities)
        if agreed(CommonCap.PROTOCOL_AUTH_SELECTION, common, self._capabilities[0]):
            self._await(LinkState.MECHANISM, U32.size)
        else:
            self._await(LinkState.TICKET, TICKET_SIZE)

    def _on_mechanism(self, piece: bytes) -> None:
        (mechanism,) = U32.unpack(piece)
        if mechanism != CommonCap.AUTH_SPICE or not has_capability(self._capabilities[0], mechanism):
            raise InvalidData(f"link: authentication mechanism {mechanism} is not offered")
        self._mechanism = mechanism
        self._await(LinkState.TICKET, TICKET_SIZE)

    def _on_ticket(self, piece: bytes) -> None:
        assert self.request is not None
        assert self._key is not None
        self._policy.check_password(self._key.decrypt(piece), self._now)
        self._policy.check_session(self.request)
        self._to_send += U32.pack(0)
        self.linked = Linked(self.request, *self._capabilities, self._mechanism, self._policy.level)
        self.state = LinkState.LINKED

    def _await(self, state: LinkState, size: int) -> None:
        self.state = state
        self._awaited = size

    def _refuse(self, error: LinkError) -> None:
        if self.state is LinkState.TICKET:
            self._to_send += U32.pack(error.code)
        else:
            self._send_reply(error.code)
        self._close(error)

    def _send_reply(self, code: int, public_der: bytes = b"", common: Words = (), channel: Words = ()) -> None:
        words = common + channel
        # spice-server leaves caps_offset zero when it refuses.
        offset = 0 if code else LINK_REPLY.size
        self._to_send += HEADER.pack(MAGIC, *self._policy.version, LINK_REPLY.size + WORD_SIZE * len(words))
        self._to_send += LINK_REPLY.pack(code, public_der, len(common), len(channel), offset)
        self._to_send += pack_words(words)

    def _close(self, failure: RemoteError) -> None:
        self.failure = failure
        self.state = LinkState.CLOSED
        self._received.clear()


_HANDLERS: dict[LinkState, Callable[[ServerLink, bytes], None]] = {
    LinkState.MAGIC: ServerLink._on_magic,
    LinkState.HEADER: ServerLink._on_header,
    LinkState.MESSAGE: ServerLink._on_message,
    LinkState.MECHANISM: ServerLink._on_mechanism,
    LinkState.TICKET: ServerLink._on_ticket,
}


def _hex(words: Words) -> str:
    return "[" + ", ".join(f"{word:#x}" for word in words) + "]"
