"""The link from outside: reads what both sides of a connection say until their messages begin, and hides the secrets.

For everything that stands between a client and a server, or reads what somebody wrote down who did. Layouts are in
:mod:`spiceemu.protocol.link.layouts`; this adds SASL, which our own server does not speak (``red-stream.c``)::

    client                                        server
    u32 mechanism 2                 ----------->
                                    <-----------  u32 size, mechanisms' names: ",PLAIN,"
    u32 size, name; u32 size, data  ----------->
                                    <-----------  u32 size, data, u8 complete    | until it is complete
    u32 size, data                  ----------->                                 |
                                    <-----------  u32 0 accepted; 1 is not, and u32 size, text follow
                                    <-----------  result, inside the mechanism's layer if it has one

Which fields each side has is in :mod:`spiceemu.protocol.link.sides`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from spiceemu.errors import InvalidMagic, LimitExceeded, LinkError, VersionMismatch
from spiceemu.protocol.capabilities import CommonCap, channel_name, has_capability
from spiceemu.protocol.link.layouts import (
    HEADER_REST,
    LINK_MESSAGE,
    LINK_REPLY,
    MAGIC,
    MAJOR,
    U32,
    agreed,
    checked_size,
    read_capabilities,
)
from spiceemu.protocol.link.sides import MAX_UNDECIDED, SECRETS, WAITS, LinkField, Side
from spiceemu.protocol.link.ticket import TICKET_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from spiceemu.protocol.capabilities import Words

MAX_SASL_NAMES = 4096
"""Longest list of mechanisms' names, or text of a refusal."""

MAX_SASL_NAME = 100
"""Longest name of a mechanism, as in spice-server."""

MAX_SASL_DATA = 1 << 20
"""Most data of one step, as in spice-server."""

MAX_SASL_STEPS = 64
"""Most steps of one side; known mechanisms take three."""

MAX_RESULT = 0xFF
"""Largest link result, far above all codes. A SASL layer begins with a size in big-endian, which is more read so."""

LAYERED_MECHANISMS = ("DIGEST-MD5", "GSSAPI")
"""Names of mechanisms that as a rule put a layer over what follows."""


class LinkObserver:
    """Reads one connection's link as it passes, in whatever pieces and order of the two sides.

    No bytes make it raise: what is no link ends in :attr:`failure`, and all behind it is hidden.
    """

    def __init__(self) -> None:
        self.client_version: tuple[int, int] | None = None
        self.server_version: tuple[int, int] | None = None
        self.client_common: Words | None = None
        self.client_channel: Words | None = None
        self.server_common: Words | None = None
        self.server_channel: Words | None = None
        self.connection_id: int | None = None
        self.channel_type: int | None = None
        self.channel_id: int | None = None
        self.error: int | None = None
        """The error in the server's reply; of a second reply, if a refusal follows one that was good."""
        self.mechanism: int | None = None
        """The number that the client chose; None without a choice."""
        self.sasl_mechanism = ""
        """The name of the client's choice within SASL."""
        self.result: int | None = None
        self.client_start: int | None = None
        """How many bytes of the client come before its first message; maybe known before the link is accepted."""
        self.server_start: int | None = None
        """How many bytes of the server come before its first message."""
        self.failure = ""
        """Why the bytes of one side are no link."""
        self._client = Side("client")
        self._server = Side("server")
        self._answered = 0  # steps of SASL that the server has answered,
        self._completed = 0  # and the one that was the last; it is read on without waiting for the client
        self._accepted = False  # by SASL; whether with a layer is seen by what follows, and assumed till then
        self._layered: bool | None = None
        self._over = False  # no link will come of this

    @property
    def channel(self) -> str:
        """The channel that the client asks for, such as ``display:0``; empty before it is known."""
        if self.channel_type is None or self.channel_id is None:
            return ""
        return channel_name(self.channel_type, self.channel_id)

    @property
    def mini_header(self) -> bool:
        """Whether messages have mini headers, as far as is known."""
        return bool(self._agreed(CommonCap.MINI_HEADER))

    @property
    def encrypted(self) -> bool:
        """Whether SASL has put a layer over what follows, or as a rule does so and nothing has followed yet."""
        if self._layered is None:
            return self._accepted and self.sasl_mechanism in LAYERED_MECHANISMS
        return self._layered

    @property
    def linked(self) -> bool:
        """Whether the server accepted, and the beginning of both sides' messages is known."""
        return self.client_start is not None and self.server_start is not None

    @property
    def refused(self) -> bool:
        """Whether no messages will follow that can be read."""
        return self._server.field is LinkField.REFUSED or self._client.field is LinkField.REFUSED

    def client_data(self, data: bytes) -> bytes:
        """Take bytes of the client; return as many with the secrets zeroed."""
        return self._receive(self._client, data)

    def server_data(self, data: bytes) -> bytes:
        """Take bytes of the server; return as many with the secrets zeroed."""
        return self._receive(self._server, data)

    def _receive(self, side: Side, data: bytes) -> bytes:
        kept = bytearray()
        at, end = 0, len(data)
        while at < end:
            field = side.field
            if field is LinkField.MESSAGES:
                return bytes(kept) + data[at:] if at else data
            if field is LinkField.REFUSED:
                break
            if field in WAITS:
                side.remember(data[at:])
                break
            part = data[at : at + side.missing]
            at += len(part)
            side.taken += len(part)
            side.missing -= len(part)
            if field in SECRETS:
                kept += bytes(len(part))
            else:
                kept += part
                side.piece += part
            if not side.missing:
                self._end_field(side)
        return bytes(kept) + bytes(end - at)

    def _end_field(self, side: Side) -> None:
        """Handle a whole field, then see whether the other side can be read on."""
        piece = bytes(side.piece)
        side.piece.clear()
        handlers = _CLIENT if side is self._client else _SERVER
        try:
            handlers[side.field](self, side, piece)
            while not side.missing and side.field in (LinkField.NAME, LinkField.NAMES, LinkField.TEXT, LinkField.DATA):
                handlers[side.field](self, side, b"")
        except (LinkError, LimitExceeded) as error:
            self._fail(side, str(error))
        self._decide(side)
        self._read_on(self._server if side is self._client else self._client)

    def _read_on(self, side: Side) -> None:
        """Read what a side said before it could be decided what that is."""
        self._decide(side)
        if side.field in WAITS:
            return
        data, side.undecided = bytes(side.undecided), bytearray()
        forgotten, side.forgotten = side.forgotten, False
        self._receive(side, data)
        if forgotten and side.field in WAITS:
            side.forgotten = True
        elif forgotten and side.field not in (LinkField.MESSAGES, LinkField.REFUSED):
            text = f"link: the {side.name} sent over {MAX_UNDECIDED} bytes before they could be read (MAX_UNDECIDED)"
            self._fail(side, text)

    def _decide(self, side: Side) -> None:
        """Choose what comes next where a side waits, if enough is known of the other."""
        if side.field not in WAITS:
            return
        if self._over:
            side.expect(LinkField.REFUSED)
        elif side.field is LinkField.REPLY_WAIT:
            self._decide_client()
        elif side.field is LinkField.MECHANISM_WAIT:
            self._decide_server()
        elif side.field is LinkField.STEP_WAIT:
            if self._completed == side.steps:
                side.expect(LinkField.RESULT_WAIT)
            elif self._answered >= side.steps:
                side.expect(LinkField.DATA_SIZE, U32.size)
        if side.field is LinkField.RESULT_WAIT and self.result == 0:
            self._begin_messages(side)

    def _decide_client(self) -> None:
        assert self.client_common is not None
        if not has_capability(self.client_common, CommonCap.PROTOCOL_AUTH_SELECTION):
            self._client.expect(LinkField.TICKET, TICKET_SIZE)  # whatever the server says
        elif (selects := self._agreed(CommonCap.PROTOCOL_AUTH_SELECTION)) is not None:
            size = U32.size if selects else TICKET_SIZE
            self._client.expect(LinkField.MECHANISM if selects else LinkField.TICKET, size)

    def _decide_server(self) -> None:
        selects = self._agreed(CommonCap.PROTOCOL_AUTH_SELECTION)
        if self.mechanism == CommonCap.AUTH_SASL:
            self._server.expect(LinkField.NAMES_SIZE, U32.size)
        elif self.mechanism is not None or selects is False:
            self._server.expect(LinkField.RESULT, U32.size)

    def _agreed(self, capability: int) -> bool | None:
        if self.client_common is None or self.server_common is None:
            return None
        return agreed(capability, self.client_common, self.server_common)

    def _begin_messages(self, side: Side) -> None:
        side.expect(LinkField.MESSAGES)
        if side is self._client:
            self.client_start = side.taken
        else:
            self.server_start = side.taken

    # The end of a link that does not come about

    def _refuse(self) -> None:
        """Hide what follows. A client that is still within its link message is read to the message's end."""
        self._over = True
        self._server.expect(LinkField.REFUSED)
        if self._client.field not in (LinkField.MAGIC, LinkField.HEADER, LinkField.MESSAGE):
            self._client.expect(LinkField.REFUSED)

    def _fail(self, side: Side, text: str) -> None:
        self.failure = self.failure or text
        if side is self._client and self._server.field in (LinkField.MAGIC, LinkField.HEADER, LinkField.REPLY):
            self._over = True  # but the server's reply, which says what it thinks of it, is read
            side.expect(LinkField.REFUSED)
        else:
            side.expect(LinkField.REFUSED)
            self._refuse()

    # Fields of the client

    def _on_magic(self, side: Side, piece: bytes) -> None:
        if piece != MAGIC:
            raise InvalidMagic(f"link: the {side.name}'s magic is {piece!r} instead of {MAGIC!r}")
        side.expect(LinkField.HEADER, HEADER_REST.size)

    def _on_client_header(self, side: Side, piece: bytes) -> None:
        major, minor, size = HEADER_REST.unpack(piece)
        self.client_version = (major, minor)
        if major != MAJOR:
            raise VersionMismatch(f"link: the client's major version is {major} instead of {MAJOR}")
        side.expect(LinkField.MESSAGE, checked_size("link message", size, LINK_MESSAGE.size))

    def _on_message(self, side: Side, piece: bytes) -> None:
        self.connection_id, self.channel_type, self.channel_id, *lists = LINK_MESSAGE.unpack_from(piece)
        self.client_common, self.client_channel = read_capabilities("link message", piece, LINK_MESSAGE.size, *lists)
        side.expect(LinkField.REPLY_WAIT)

    def _on_mechanism(self, side: Side, piece: bytes) -> None:
        (self.mechanism,) = U32.unpack(piece)
        if self.mechanism == CommonCap.AUTH_SASL:
            side.expect(LinkField.NAME_SIZE, U32.size)
        elif self.mechanism == CommonCap.AUTH_SPICE:
            side.expect(LinkField.TICKET, TICKET_SIZE)
        else:
            side.expect(LinkField.REFUSED)  # nobody knows what comes; the server's refusal is read

    def _on_ticket(self, side: Side, _piece: bytes) -> None:
        self._begin_messages(side)

    def _on_name_size(self, side: Side, piece: bytes) -> None:
        side.expect(LinkField.NAME, _bounded(piece, MAX_SASL_NAME, "the mechanism's name", "MAX_SASL_NAME"))

    def _on_name(self, side: Side, piece: bytes) -> None:
        self.sasl_mechanism = piece.decode("ascii", "backslashreplace")
        side.expect(LinkField.DATA_SIZE, U32.size)

    def _on_client_data(self, side: Side, _piece: bytes) -> None:
        side.expect(LinkField.STEP_WAIT)

    # Fields of the server

    def _on_server_header(self, side: Side, piece: bytes) -> None:
        major, minor, size = HEADER_REST.unpack(piece)
        self.server_version = (major, minor)
        side.expect(LinkField.REPLY, checked_size("link reply", size, LINK_REPLY.size))

    def _on_reply(self, side: Side, piece: bytes) -> None:
        self.error, _, *lists = LINK_REPLY.unpack_from(piece)
        if self.error or self._over or self.server_common is not None:  # a second reply is a refusal
            self._refuse()
            return
        assert self.server_version is not None
        if self.server_version[0] != MAJOR:
            raise VersionMismatch(f"link: the server's major version is {self.server_version[0]} instead of {MAJOR}")
        self.server_common, self.server_channel = read_capabilities("link reply", piece, LINK_REPLY.size, *lists)
        side.expect(LinkField.MECHANISM_WAIT)

    def _on_names_size(self, side: Side, piece: bytes) -> None:
        if piece == MAGIC:
            side.expect(LinkField.HEADER, HEADER_REST.size)
            return
        side.expect(LinkField.NAMES, _bounded(piece, MAX_SASL_NAMES, "the mechanisms' names", "MAX_SASL_NAMES"))

    def _on_names(self, side: Side, _piece: bytes) -> None:
        side.expect(LinkField.DATA_SIZE, U32.size)

    def _on_server_data(self, side: Side, _piece: bytes) -> None:
        side.expect(LinkField.COMPLETE, 1)

    def _on_complete(self, side: Side, piece: bytes) -> None:
        self._answered += 1
        if piece != b"\0":
            self._completed = self._answered
        side.expect(LinkField.ACCEPTED if self._completed else LinkField.DATA_SIZE, U32.size)

    def _on_accepted(self, side: Side, piece: bytes) -> None:
        if U32.unpack(piece)[0]:
            side.expect(LinkField.TEXT_SIZE, U32.size)
            return
        self._accepted = True
        side.expect(LinkField.RESULT, U32.size)

    def _on_text_size(self, side: Side, piece: bytes) -> None:
        side.expect(LinkField.TEXT, _bounded(piece, MAX_SASL_NAMES, "the refusal's text", "MAX_SASL_NAMES"))

    def _on_text(self, _side: Side, _piece: bytes) -> None:
        self._refuse()

    def _on_result(self, side: Side, piece: bytes) -> None:
        (result,) = U32.unpack(piece)
        if piece == MAGIC and not self._accepted:
            side.expect(LinkField.HEADER, HEADER_REST.size)
            return
        self._layered = self._accepted and result > MAX_RESULT
        if not self._layered:
            self.result = result
        if result:
            self._refuse()
        elif self._client.field is LinkField.REFUSED:
            raise LinkError(f"link: accepted with the mechanism {self.mechanism}, which cannot be read")
        else:
            self._begin_messages(side)

    def _on_data_size(self, side: Side, piece: bytes) -> None:
        side.steps += 1
        if side.steps > MAX_SASL_STEPS:
            raise LimitExceeded(f"link: over {MAX_SASL_STEPS} steps of SASL (MAX_SASL_STEPS)")
        side.expect(LinkField.DATA, _bounded(piece, MAX_SASL_DATA, f"the {side.name}'s data of SASL", "MAX_SASL_DATA"))


_CLIENT: dict[LinkField, Callable[[LinkObserver, Side, bytes], None]] = {
    LinkField.MAGIC: LinkObserver._on_magic,
    LinkField.HEADER: LinkObserver._on_client_header,
    LinkField.MESSAGE: LinkObserver._on_message,
    LinkField.MECHANISM: LinkObserver._on_mechanism,
    LinkField.TICKET: LinkObserver._on_ticket,
    LinkField.NAME_SIZE: LinkObserver._on_name_size,
    LinkField.NAME: LinkObserver._on_name,
    LinkField.DATA_SIZE: LinkObserver._on_data_size,
    LinkField.DATA: LinkObserver._on_client_data,
}

_SERVER: dict[LinkField, Callable[[LinkObserver, Side, bytes], None]] = {
    LinkField.MAGIC: LinkObserver._on_magic,
    LinkField.HEADER: LinkObserver._on_server_header,
    LinkField.REPLY: LinkObserver._on_reply,
    LinkField.NAMES_SIZE: LinkObserver._on_names_size,
    LinkField.NAMES: LinkObserver._on_names,
    LinkField.DATA_SIZE: LinkObserver._on_data_size,
    LinkField.DATA: LinkObserver._on_server_data,
    LinkField.COMPLETE: LinkObserver._on_complete,
    LinkField.ACCEPTED: LinkObserver._on_accepted,
    LinkField.TEXT_SIZE: LinkObserver._on_text_size,
    LinkField.TEXT: LinkObserver._on_text,
    LinkField.RESULT: LinkObserver._on_result,
}


def _bounded(piece: bytes, limit: int, what: str, limit_name: str) -> int:
    (size,) = U32.unpack(piece)
    if size > limit:
        raise LimitExceeded(f"link: {what} takes {size} bytes, the limit is {limit} ({limit_name})")
    return int(size)
