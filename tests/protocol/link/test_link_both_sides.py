"""Our client and our server back to back, and each against bytes that nobody sane would send."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from spiceemu import errors
from spiceemu.errors import (
    BadConnectionId,
    InvalidData,
    InvalidMagic,
    InvalidValue,
    LinkError,
    NeedSecured,
    PermissionDenied,
    SpiceError,
    VersionMismatch,
    WrongState,
)
from spiceemu.protocol.capabilities import ChannelType, CommonCap, Words, to_words
from spiceemu.protocol.levels.level import CURRENT
from spiceemu.protocol.limits import MAX_LINK_SIZE
from spiceemu.protocol.link.client import ClientLink, ClientLinkState, build_link_message, refusal_of
from spiceemu.protocol.link.server import LinkRequest, LinkState, ServerLink
from spiceemu.protocol.link.ticket import Password, process_key

SESSION_ID = 0x1D2C3B4A
NO_TICKETING = Password(None)


class Policy:
    """A server with every channel and one session."""

    version = (2, 2)
    level = CURRENT

    def __init__(self, password: Password = NO_TICKETING, *, common: Words = (0b1011,), secure: bool = False) -> None:
        self.password = password
        self.common = common
        self.secure = secure

    def admit(self, request: LinkRequest) -> None:
        if self.secure and not request.secure:
            raise NeedSecured("TLS only")

    def capabilities(self, request: LinkRequest) -> tuple[Words, Words]:
        return self.common, CURRENT.words(request.channel_type)[1]

    def check_password(self, ticket: bytes | None, now: float) -> None:
        if not self.password.verify(ticket, now):
            raise PermissionDenied("wrong password")

    def check_session(self, request: LinkRequest) -> None:
        if request.channel_type != ChannelType.MAIN and request.connection_id != SESSION_ID:
            raise BadConnectionId(f"no session {request.connection_id}")


def server(policy: Policy) -> ServerLink:
    return ServerLink(policy, secure=False, now=100.0)


GOOD_MESSAGE = bytes.fromhex(
    "52454451 02000000 02000000 1a000000"  # REDQ, version 2.2, 26 bytes
    "00000000 01 00 01000000 01000000 12000000"  # new session, main 0, one word of each, at 18
    "0d000000 0f000000"
)


def test_client_message_is_laid_out_as_the_header_says() -> None:
    assert build_link_message(1, 0, 0, (0b1101,), (0xF,)) == GOOD_MESSAGE


# --- client side ----------------------------------------------------------------------------------------------------


def connect(client: ClientLink, link: ServerLink) -> None:
    """Carry bytes between both sides until neither has any."""
    while (to_server := client.data_to_send()) or link._to_send:
        if to_server:
            link.receive_data(to_server, 101.0)
        if to_client := link.data_to_send():
            client.receive_data(to_client)


def test_both_sides_link() -> None:
    client = ClientLink(ChannelType.MAIN, channel_capabilities=(0xF,), password=b"s3cret")
    link = server(Policy(Password("s3cret")))
    connect(client, link)
    assert client.linked
    assert client.mini_header
    assert client.server_version == (2, 2)
    assert client.server_common_capabilities == (0b1011,)
    assert client.server_channel_capabilities == (0xF,)
    assert link.linked is not None
    assert link.linked.mechanism == CommonCap.AUTH_SPICE
    assert link.linked.request.channel_capabilities == (0xF,)
    with pytest.raises(WrongState):
        client.receive_data(b"more")


@pytest.mark.parametrize(
    ("policy", "client", "refusal"),
    [
        (Policy(secure=True), ClientLink(1), NeedSecured),
        (Policy(Password("a")), ClientLink(1, password=b"b"), PermissionDenied),
        (Policy(), ClientLink(2, connection_id=5), BadConnectionId),
        (Policy(), ClientLink(1, version=(3, 0)), VersionMismatch),
        (Policy(), ClientLink(1, mechanism=77), InvalidData),
        (Policy(), ClientLink(1, mechanism=2), InvalidData),
        (Policy(common=to_words({0, 2})), ClientLink(1), LinkError),
    ],
)
def test_client_raises_what_the_server_says(policy: Policy, client: ClientLink, refusal: type[LinkError]) -> None:
    link = server(policy)
    with pytest.raises(refusal) as caught:
        connect(client, link)
    assert type(caught.value) is refusal
    assert client.state is ClientLinkState.CLOSED
    with pytest.raises(WrongState):
        client.receive_data(b"")


def test_every_code_has_its_class() -> None:
    classes = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, LinkError)]
    assert sorted(cls.code for cls in classes) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    for cls in classes:
        assert type(refusal_of(cls.code, "reply")) is cls
    assert type(refusal_of(77, "result")) is LinkError
    assert "77" in str(refusal_of(77, "result"))


def good_reply(**changes: Any) -> bytes:
    values = {"magic": b"REDQ", "major": 2, "size": 182, "common": 1, "channel": 0, "offset": 178, **changes}
    header = struct.pack("<4s3I", values["magic"], values["major"], 2, values["size"])
    key = values.get("key", process_key().public_der)
    return header + struct.pack("<I162s4I", 0, key, values["common"], values["channel"], values["offset"], 0b1010)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"magic": b"HTTP"}, InvalidMagic),
        ({"major": 1}, VersionMismatch),
        ({"size": 177}, InvalidData),
        ({"size": 4097}, InvalidData),
        ({"common": 2}, InvalidData),
        ({"channel": 0xFFFFFFFF}, InvalidData),
        ({"offset": 177}, InvalidData),
        ({"offset": 179}, InvalidData),
        ({"key": bytes(162)}, InvalidData),
    ],
)
def test_client_refuses_a_reply_that_is_none(changes: dict[str, Any], error: type[LinkError]) -> None:
    ClientLink(1).receive_data(good_reply())
    client = ClientLink(1)
    with pytest.raises(error):
        client.receive_data(good_reply(**changes))


def test_client_hands_over_what_follows_the_result() -> None:
    client = ClientLink(1)
    client.receive_data(good_reply() + bytes(4) + b"INIT")
    assert client.linked
    assert client.leftover == b"INIT"


def test_a_password_that_cannot_travel_is_refused_here() -> None:
    for password in (b"x" * 61, b"a\0b"):
        client = ClientLink(1, password=password)
        with pytest.raises(InvalidValue):
            client.receive_data(good_reply())


# --- made-up inputs -------------------------------------------------------------------------------------------------

words = st.lists(st.integers(0, 0xFFFFFFFF), max_size=3).map(tuple)
cuts = st.lists(st.integers(1, 200), max_size=12)


def in_pieces(data: bytes, cut: list[int]) -> list[bytes]:
    pieces = []
    for size in cut:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in (*pieces, data) if piece]


@given(
    client_common=words,
    client_channel=words,
    server_common=words,
    password=st.binary(max_size=60).filter(lambda value: b"\0" not in value),
    right=st.booleans(),
    to_server_cuts=cuts,
    to_client_cuts=cuts,
)
def test_both_sides_agree_whatever_they_can_and_however_the_bytes_arrive(
    client_common: Words,
    client_channel: Words,
    server_common: Words,
    password: bytes,
    right: bool,
    to_server_cuts: list[int],
    to_client_cuts: list[int],
) -> None:
    # Without the bit a server of ours that selects would refuse every client; that is tested above.
    if server_common and server_common[0] & 1:
        server_common = (server_common[0] | 2, *server_common[1:])
    client = ClientLink(
        ChannelType.DISPLAY,
        connection_id=SESSION_ID,
        common_capabilities=client_common,
        channel_capabilities=client_channel,
        password=password,
    )
    link = server(Policy(Password(password if right else password[:59] + b"x"), common=server_common))
    refused = False
    while (to_server := client.data_to_send()) or link._to_send:
        for piece in in_pieces(to_server, to_server_cuts):
            link.receive_data(piece, 101.0)
        for piece in in_pieces(link.data_to_send(), to_client_cuts):
            try:
                client.receive_data(piece)
            except PermissionDenied:
                refused = True
    if refused:
        assert not right
        assert isinstance(link.failure, PermissionDenied)
        return
    assert client.linked
    assert link.linked is not None
    assert link.linked.mini_header is client.mini_header
    assert link.linked.request.common_capabilities == client_common
    assert link.linked.request.channel_capabilities == client_channel
    assert client.server_common_capabilities == server_common
    assert client.server_channel_capabilities == (0x1052,)


hostile = st.one_of(
    st.binary(max_size=400),
    st.binary(max_size=400).map(lambda tail: b"REDQ" + tail),
    st.binary(max_size=400).map(lambda tail: struct.pack("<4s3I", b"REDQ", 2, 2, len(tail)) + tail),
    st.builds(
        lambda at, value, tail: GOOD_MESSAGE[:at] + value + GOOD_MESSAGE[at + len(value) :] + tail,
        st.integers(0, 42),
        st.binary(max_size=8),
        st.binary(max_size=300),
    ),
)


@given(data=hostile, cut=cuts)
@settings(max_examples=500)
def test_no_stranger_makes_the_server_raise(data: bytes, cut: list[int]) -> None:
    link = server(Policy(Password("s3cret")))
    whole = server(Policy(Password("s3cret")))
    sent = b""
    for piece in in_pieces(data, cut):
        link.receive_data(piece, 101.0)
        assert len(link._received) <= MAX_LINK_SIZE
        sent += link.data_to_send()
    whole.receive_data(data, 101.0)
    assert sent == whole.data_to_send()
    assert link.state is whole.state
    assert link.state is not LinkState.LINKED
    assert len(sent) <= 2 * 202


@given(data=st.one_of(hostile, hostile.map(lambda tail: good_reply() + tail)), cut=cuts)
@settings(max_examples=300)
def test_no_server_makes_the_client_raise_anything_else(data: bytes, cut: list[int]) -> None:
    client = ClientLink(1)
    for piece in in_pieces(data, cut):
        try:
            client.receive_data(piece)
        except SpiceError:
            assert client.state in (ClientLinkState.CLOSED, ClientLinkState.LINKED)
        assert len(client._received) <= MAX_LINK_SIZE
