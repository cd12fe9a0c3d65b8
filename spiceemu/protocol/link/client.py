"""The link, client side: for tests, probes and load.

Layouts are in :mod:`spiceemu.protocol.link.layouts`, the order of states in :mod:`spiceemu.protocol.link.server`.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from spiceemu.errors import (
    BadConnectionId,
    ChannelNotAvailable,
    InvalidData,
    InvalidMagic,
    LinkError,
    NeedSecured,
    NeedUnsecured,
    PermissionDenied,
    VersionMismatch,
    WrongState,
)
from spiceemu.protocol.capabilities import CommonCap, has_capability, to_words
from spiceemu.protocol.link.layouts import (
    HEADER,
    HEADER_REST,
    LINK_MESSAGE,
    LINK_REPLY,
    MAGIC,
    MAJOR,
    U32,
    agreed,
    checked_size,
    pack_words,
    read_capabilities,
    take,
)
from spiceemu.protocol.link.ticket import encrypt_ticket, system_random

if TYPE_CHECKING:
    from collections.abc import Callable

    from spiceemu.protocol.capabilities import Words

CLIENT_VERSION = (MAJOR, 2)
CLIENT_COMMON_CAPABILITIES = to_words((CommonCap.PROTOCOL_AUTH_SELECTION, CommonCap.AUTH_SPICE, CommonCap.MINI_HEADER))

_REFUSALS: dict[int, type[LinkError]] = {
    refusal.code: refusal
    for refusal in (
        InvalidMagic,
        InvalidData,
        VersionMismatch,
        NeedSecured,
        NeedUnsecured,
        PermissionDenied,
        BadConnectionId,
        ChannelNotAvailable,
    )
}


def refusal_of(code: int, where: str) -> LinkError:
    """Return the error for a code that a server sent; one that has no class of its own is a plain ``LinkError``.

    :param where: which part of the link carried it, for the error's text.
    :returns: an error to raise.
    """
    refusal = _REFUSALS.get(code, LinkError)
    return refusal(f"link: the server refused with {refusal.__name__}, code {code} in its {where}")


def build_link_message(
    channel_type: int,
    channel_id: int,
    connection_id: int,
    common_capabilities: Words,
    channel_capabilities: Words,
    version: tuple[int, int] = CLIENT_VERSION,
) -> bytes:
    """Return header and link message, the first bytes of a connection."""
    words = pack_words(common_capabilities + channel_capabilities)
    counts = len(common_capabilities), len(channel_capabilities)
    message = LINK_MESSAGE.pack(connection_id, channel_type, channel_id, *counts, LINK_MESSAGE.size)
    return HEADER.pack(MAGIC, *version, len(message) + len(words)) + message + words


class ClientLinkState(Enum):
    """What a client waits for. REFUSAL is the second reply of a server that does not know the mechanism."""

    HEADER = auto()
    REPLY = auto()
    RESULT = auto()
    REFUSAL_HEADER = auto()
    REFUSAL = auto()
    LINKED = auto()
    CLOSED = auto()


class ClientLink:
    """One link as a client: :meth:`data_to_send` has its first bytes at once, the others after each answer.

    It has no clock: bound it by a timeout outside.

    :param channel_type: a :class:`~spiceemu.protocol.capabilities.ChannelType`.
    :param connection_id: 0 for a new session on main, else the session's id from MAIN_INIT.
    :param common_capabilities: words; no mechanism goes out without AUTH_SELECTION, headers are full without
        MINI_HEADER.
    :param password: up to 60 bytes; empty for none.
    :param mechanism: the number to select where both sides have AUTH_SELECTION. ``None`` is AUTH_SPICE if the server
        offers it. Any other number is sent as it is and no ticket follows: a question to the server, not a way in.
    :param version: major and minor to announce.
    :param random_bits: source of the ticket's seed.
    """

    def __init__(
        self,
        channel_type: int,
        channel_id: int = 0,
        *,
        connection_id: int = 0,
        common_capabilities: Words = CLIENT_COMMON_CAPABILITIES,
        channel_capabilities: Words = (),
        password: bytes = b"",
        mechanism: int | None = None,
        version: tuple[int, int] = CLIENT_VERSION,
        random_bits: Callable[[int], int] = system_random,
    ) -> None:
        self.state = ClientLinkState.HEADER
        self.common_capabilities = common_capabilities
        self.server_version = (0, 0)
        self.public_der = b""
        self.server_common_capabilities: Words = ()
        self.server_channel_capabilities: Words = ()
        self.mini_header = False
        self.refusal: tuple[ClientLinkState, int] | None = None
        """What was awaited when the server refused, and its code; None where it did not, even if the link failed."""
        self.leftover = b""
        """Bytes behind the result: the start of the server's messages."""
        self._password = password
        self._mechanism = mechanism
        self._random_bits = random_bits
        self._awaited = HEADER.size
        self._received = bytearray()
        self._to_send = bytearray(
            build_link_message(
                channel_type, channel_id, connection_id, common_capabilities, channel_capabilities, version
            )
        )

    @property
    def linked(self) -> bool:
        """Whether the server accepted."""
        return self.state is ClientLinkState.LINKED

    def data_to_send(self) -> bytes:
        """Return the bytes to send now, and forget them."""
        data = bytes(self._to_send)
        self._to_send.clear()
        return data

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes from the server; after the result the rest becomes :attr:`leftover`.

        :raises LinkError: the server refused, by the class of its code, or its bytes are no link. The link is CLOSED.
        :raises WrongState: the link is LINKED or CLOSED already.
        """
        if self.state in (ClientLinkState.LINKED, ClientLinkState.CLOSED):
            raise WrongState(f"link: {self.state.name}, it takes no more bytes")
        rest = memoryview(data)
        while not self.linked:
            rest = take(rest, self._received, self._awaited)
            if len(self._received) < self._awaited:
                return
            piece = bytes(self._received)
            self._received.clear()
            try:
                _HANDLERS[self.state](self, piece)
            except LinkError:
                self.state = ClientLinkState.CLOSED
                raise
        self.leftover = bytes(rest)

    def _on_header(self, piece: bytes) -> None:
        magic, major, minor, size = HEADER.unpack(piece)
        if magic != MAGIC:
            raise InvalidMagic(f"link reply: magic is {magic!r} instead of {MAGIC!r}")
        self.server_version = (major, minor)
        self._await(ClientLinkState.REPLY, checked_size("link reply", size, LINK_REPLY.size))

    def _on_reply(self, piece: bytes) -> None:
        error, public_der, *counts_and_offset = LINK_REPLY.unpack_from(piece)
        # A refusal comes first: a server of another major version says so in a reply of its own version.
        if error:
            raise self._refused(error, "reply")
        if self.server_version[0] != MAJOR:
            raise VersionMismatch(f"link reply: major version {self.server_version[0]} instead of {MAJOR}")
        common, channel = read_capabilities("link reply", piece, LINK_REPLY.size, *counts_and_offset)
        self.public_der = public_der
        self.server_common_capabilities = common
        self.server_channel_capabilities = channel
        self.mini_header = agreed(CommonCap.MINI_HEADER, self.common_capabilities, common)
        self._authenticate()
        self._await(ClientLinkState.RESULT, U32.size)

    def _authenticate(self) -> None:
        common = self.server_common_capabilities
        if agreed(CommonCap.PROTOCOL_AUTH_SELECTION, self.common_capabilities, common):
            mechanism = CommonCap.AUTH_SPICE if self._mechanism is None else self._mechanism
            if self._mechanism is None and not has_capability(common, mechanism):
                raise LinkError("link: the server offers no mechanism that this client has")
            self._to_send += U32.pack(mechanism)
            if mechanism != CommonCap.AUTH_SPICE:
                return
        self._to_send += encrypt_ticket(self.public_der, self._password, random_bits=self._random_bits)

    def _on_result(self, piece: bytes) -> None:
        if piece == MAGIC:
            self._await(ClientLinkState.REFUSAL_HEADER, HEADER_REST.size)
            return
        (code,) = U32.unpack(piece)
        if code:
            raise self._refused(code, "result")
        self.state = ClientLinkState.LINKED

    def _on_refusal_header(self, piece: bytes) -> None:
        self._await(ClientLinkState.REFUSAL, checked_size("link reply", HEADER_REST.unpack(piece)[2], LINK_REPLY.size))

    def _on_refusal(self, piece: bytes) -> None:
        raise self._refused(U32.unpack_from(piece)[0], "second reply")

    def _refused(self, code: int, where: str) -> LinkError:
        self.refusal = (self.state, code)
        return refusal_of(code, where)

    def _await(self, state: ClientLinkState, size: int) -> None:
        self.state = state
        self._awaited = size


_HANDLERS: dict[ClientLinkState, Callable[[ClientLink, bytes], None]] = {
    ClientLinkState.HEADER: ClientLink._on_header,
    ClientLinkState.REPLY: ClientLink._on_reply,
    ClientLinkState.RESULT: ClientLink._on_result,
    ClientLinkState.REFUSAL_HEADER: ClientLink._on_refusal_header,
    ClientLinkState.REFUSAL: ClientLink._on_refusal,
}
