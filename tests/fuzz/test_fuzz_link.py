"""Links, from either side: noise, valid bytes with changes, and all of it in any pieces."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

import pytest
from hypothesis import given, strategies as st

from spiceemu.errors import BadConnectionId, ChannelNotAvailable, LinkError, NeedSecured, PermissionDenied, WrongState
from spiceemu.protocol.capabilities import ChannelType, CommonCap, Words, to_words
from spiceemu.protocol.levels.level import CURRENT
from spiceemu.protocol.limits import MAX_LINK_SIZE
from spiceemu.protocol.link.client import ClientLink, ClientLinkState, build_link_message
from spiceemu.protocol.link.server import LinkRequest, LinkState, ServerLink
from spiceemu.protocol.link.ticket import Password, TicketKey, encrypt_ticket

from .inputs import CHANGES, CUTS, Change, changed, pieces
from .measure import NOTHING, examples, guarded

KEY = TicketKey.generate(random.Random(1).getrandbits)
PASSWORD = Password("secret")
TICKET = encrypt_ticket(KEY.public_der, b"secret", random_bits=random.Random(2).getrandbits)
SELECTING = to_words((CommonCap.PROTOCOL_AUTH_SELECTION, CommonCap.AUTH_SPICE, CommonCap.MINI_HEADER))


class Policy:
    """Refuses in every way there is."""

    version = (2, 2)
    level = CURRENT

    def admit(self, request: LinkRequest) -> None:
        if request.channel_id == 7:
            raise NeedSecured("TLS only")
        if request.channel_type not in tuple(ChannelType):
            raise ChannelNotAvailable("no such channel")

    def capabilities(self, request: LinkRequest) -> tuple[Words, Words]:
        return CURRENT.words(request.channel_type)

    def check_password(self, ticket: bytes | None, now: float) -> None:
        if not PASSWORD.verify(ticket, now):
            raise PermissionDenied("wrong password")

    def check_session(self, request: LinkRequest) -> None:
        if request.connection_id > 1:
            raise BadConnectionId("no such session")


def client_bytes(common: Words, mechanism: bytes) -> bytes:
    """All that a client sends for its link, and a message behind it."""
    return build_link_message(ChannelType.MAIN, 0, 1, common, (0xF,)) + mechanism + TICKET + b"\1\0\0\0\0\0"


CLIENTS = (client_bytes(SELECTING, b"\1\0\0\0"), client_bytes((), b""), client_bytes(SELECTING, b"\2\0\0\0"))


def link_with(parts: list[bytes]) -> ServerLink:
    link = ServerLink(Policy(), secure=False, now=0.0, key=lambda: KEY)
    for part in parts:
        if link.state is LinkState.LINKED:
            break
        link.receive_data(part, 1.0)
    return link


def judge_server(data: bytes, cuts: list[float]) -> None:
    """No byte of a client makes the server raise, keep much or say much."""
    parts = pieces(data, cuts)
    with guarded(len(data), refusals=NOTHING):
        link = link_with(parts)
    assert (link.state is LinkState.LINKED) is (link.linked is not None)
    assert (link.state is LinkState.CLOSED) is (link.failure is not None)
    assert link.failure is None or isinstance(link.failure, LinkError)
    assert len(link.data_to_send()) <= 3 * 178 + 64
    whole = link_with([data])
    assert whole.state is link.state
    assert str(whole.failure) == str(link.failure)
    if link.linked:
        assert data.endswith(whole.linked.leftover)
        with pytest.raises(WrongState):
            link.receive_data(b"", 1.0)


@examples("server link", 2)
@given(which=st.integers(0, len(CLIENTS) - 1), changes=CHANGES, cuts=CUTS)
def test_a_client_with_changes(which: int, changes: list[Change], cuts: list[float]) -> None:
    judge_server(changed(CLIENTS[which], changes, CLIENTS), cuts)


@examples("server link", 2)
@given(
    start=st.sampled_from([b"", b"REDQ", b"REDQ\2\0\0\0\2\0\0\0", b"REDQ\2\0\0\0\2\0\0\0\x1a\0\0\0"]),
    data=st.binary(max_size=300),
    cuts=CUTS,
)
def test_noise_from_a_client(start: bytes, data: bytes, cuts: list[float]) -> None:
    judge_server(start + data, cuts)


@pytest.mark.parametrize("client", CLIENTS[:2])
def test_the_unchanged_clients_are_linked(client: bytes) -> None:
    assert link_with([client]).state is LinkState.LINKED


def server_bytes(common: Words, channel: Words, result: bytes) -> bytes:
    """All that a server sends for a link, and a message behind it."""
    words = common + channel
    reply = struct.pack("<I162s3I", 0, KEY.public_der, len(common), len(channel), 178)
    reply += struct.pack(f"<{len(words)}I", *words)
    return struct.pack("<4s3I", b"REDQ", 2, 2, len(reply)) + reply + result + b"\1\0\0\0\0\0"


REFUSAL = struct.pack("<4s3II", b"REDQ", 2, 2, 178, 3) + bytes(174)
SERVERS = (
    server_bytes(SELECTING, (0xF,), bytes(4)),
    server_bytes((), (), bytes(4)),
    server_bytes(SELECTING, (), b"\7\0\0\0"),
    server_bytes(SELECTING, (0xF,), REFUSAL),
    REFUSAL,
)


def connect_with(parts: list[bytes]) -> tuple[ClientLinkState, str, int]:
    """The state in which a link ends, the error's text, and how many bytes it kept or sent."""
    link = ClientLink(ChannelType.MAIN, password=b"secret", random_bits=random.Random(3).getrandbits)
    sent = len(link.data_to_send())
    for part in parts:
        if link.linked:
            break
        try:
            link.receive_data(part)
        except LinkError as error:
            assert link.state is ClientLinkState.CLOSED
            return link.state, str(error), sent
    return link.state, "", sent + len(link.data_to_send())


def judge_client(data: bytes, cuts: list[float]) -> None:
    """Only refusals, and the same in pieces."""
    parts = pieces(data, cuts)
    with guarded(len(data), refusals=NOTHING):
        state, error, sent = connect_with(parts)
    assert connect_with([data])[:2] == (state, error)
    assert sent < 300


@examples("client link", 2)
@given(which=st.integers(0, len(SERVERS) - 1), changes=CHANGES, cuts=CUTS)
def test_a_server_with_changes(which: int, changes: list[Change], cuts: list[float]) -> None:
    judge_client(changed(SERVERS[which], changes, SERVERS), cuts)


@examples("client link", 2)
@given(
    start=st.sampled_from([b"", b"REDQ\2\0\0\0\2\0\0\0", SERVERS[0][:20], SERVERS[0][:182], SERVERS[1][:194]]),
    data=st.binary(max_size=300),
    cuts=CUTS,
)
def test_noise_from_a_server(start: bytes, data: bytes, cuts: list[float]) -> None:
    judge_client(start + data, cuts)


@pytest.mark.parametrize(("server", "state"), [(SERVERS[0], "LINKED"), (SERVERS[1], "LINKED"), (SERVERS[2], "CLOSED")])
def test_the_unchanged_servers_answer(server: bytes, state: str) -> None:
    assert connect_with([server])[0].name == state


@pytest.mark.parametrize("side", [link_with, connect_with])
@pytest.mark.parametrize("size", [1, MAX_LINK_SIZE, 1 << 20])
def test_a_flood_is_not_kept(side: Callable[[list[bytes]], object], size: int) -> None:
    """As many bytes as fit behind a header that announces more than they are."""
    announced = struct.pack("<4s3I", b"REDQ", 2, 2, MAX_LINK_SIZE)
    parts = [announced, *[bytes(size)] * (2 if size > 1 else 5000)]
    total = sum(map(len, parts))
    with guarded(total, refusals=NOTHING):
        side(parts)
