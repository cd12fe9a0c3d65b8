"""Both sides of the link: against what a real server answered, against each other, and against strangers."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from spiceemu.errors import (
    BadConnectionId,
    ChannelNotAvailable,
    InvalidData,
    InvalidMagic,
    LimitExceeded,
    NeedSecured,
    NeedUnsecured,
    PermissionDenied,
    VersionMismatch,
    WrongState,
)
from spiceemu.protocol.capabilities import ChannelType, CommonCap, Words, to_words
from spiceemu.protocol.levels.level import CURRENT
from spiceemu.protocol.limits import LINK_TIMEOUT, MAX_LINK_SIZE
from spiceemu.protocol.link.server import LinkPolicy, LinkRequest, LinkState, ServerLink
from spiceemu.protocol.link.ticket import Password, TicketKey, encrypt, encrypt_ticket, process_key

ROGUE_LINKS = json.loads((Path(__file__).parents[2] / "data" / "links" / "rogue-links.json").read_text())["cases"]

SESSION_ID = 0x1D2C3B4A
ALL_COMMON = to_words((0, 1, 3))
NO_TICKETING = Password(None)

LINK_ERROR_CODES = {
    "OK": 0,
    "INVALID_MAGIC": 2,
    "INVALID_DATA": 3,
    "VERSION_MISMATCH": 4,
    "PERMISSION_DENIED": 7,
}


class Policy:
    """A server with one main, display, inputs and cursor channel and one session."""

    version = (2, 2)
    level = CURRENT

    def __init__(
        self,
        password: Password = NO_TICKETING,
        *,
        common: Words = ALL_COMMON,
        secure: bool | None = None,
        mind_undecryptable: bool = True,
    ) -> None:
        self.password = password
        self.common = common
        self.secure = secure
        self.mind_undecryptable = mind_undecryptable
        self.asked: list[str] = []

    def admit(self, request: LinkRequest) -> None:
        self.asked.append("admit")
        if self.secure is not None and self.secure is not request.secure:
            raise NeedSecured("TLS only") if self.secure else NeedUnsecured("plain only")
        if request.channel_type not in (1, 2, 3, 4) or request.channel_id != 0:
            raise ChannelNotAvailable(f"no channel {request.channel_type}:{request.channel_id}")

    def capabilities(self, request: LinkRequest) -> tuple[Words, Words]:
        self.asked.append("capabilities")
        return self.common, CURRENT.words(request.channel_type)[1]

    def check_password(self, ticket: bytes | None, now: float) -> None:
        self.asked.append("check_password")
        if ticket is None and not self.mind_undecryptable and not self.password.required:
            return
        if not self.password.verify(ticket, now):
            raise PermissionDenied("wrong password")

    def check_session(self, request: LinkRequest) -> None:
        self.asked.append("check_session")
        if request.channel_type != ChannelType.MAIN and request.connection_id != SESSION_ID:
            raise BadConnectionId(f"no session {request.connection_id}")


def server(policy: LinkPolicy | None = None, *, secure: bool = False) -> ServerLink:
    return ServerLink(policy or Policy(), secure=secure, now=100.0)


def message(
    *,
    magic: bytes = b"REDQ",
    major: int = 2,
    minor: int = 2,
    size: int | None = None,
    connection_id: int = 0,
    channel: tuple[int, int] = (1, 0),
    common: Words = (0b1101,),
    channel_words: Words = (0xF,),
    counts: tuple[int, int] | None = None,
    offset: int = 18,
    padding: int = 0,
) -> bytes:
    words = common + channel_words
    body = struct.pack("<IBB", connection_id, *channel)
    body += struct.pack("<3I", *(counts or (len(common), len(channel_words))), offset)
    body += struct.pack(f"<{len(words)}I", *words) + bytes(padding)
    return magic + struct.pack("<3I", major, minor, len(body) if size is None else size) + body


def reply_fields(data: bytes) -> dict[str, Any]:
    """Take a reply apart by hand, independently of the code under test."""
    assert data[:4] == b"REDQ"
    major, minor, size = struct.unpack_from("<3I", data, 4)
    error, public_key, common, channel, offset = struct.unpack_from("<I162s3I", data, 16)
    assert len(data) == 16 + size
    words = struct.unpack_from(f"<{common + channel}I", data, 16 + offset) if common + channel else ()
    return {
        "version": f"{major}.{minor}",
        "size": size,
        "error": error,
        "public_key": public_key,
        "offset": offset,
        "common": words[:common],
        "channel": words[common:],
    }


def refusal_bytes(code: int) -> bytes:
    return bytes.fromhex("52454451 02000000 02000000 b2000000") + bytes([code]) + bytes(177)


def replied(link: ServerLink, data: bytes | None = None) -> dict[str, Any]:
    """Bring a link as far as its good reply and return that."""
    link.receive_data(data or message(), 101.0)
    fields = reply_fields(link.data_to_send())
    assert fields["error"] == 0
    return fields


# --- what the real server 0.15.1 answered ---------------------------------------------------------------------------

ROGUE_MESSAGES = {
    "bad-magic": message(magic=b"REDX"),
    "zero-bytes-then-close": b"",
    "http-get": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "major-1": message(major=1),
    "major-3": message(major=3),
    "minor-0": message(minor=0),
    "minor-9": message(minor=9),
    "size-0": message(size=0),
    "size-17": message(size=17),
    "size-4096": message(padding=4096 - 26),
    "size-huge": message(size=0xFFFFFFFF),
    "size-8192": message(padding=8192 - 26),
    "caps-offset-0": message(offset=0),
    "caps-offset-beyond": message(offset=27),
    "num-caps-huge": message(counts=(1025, 1)),
    "num-caps-overflow": message(counts=(0x40000000, 0x40000000)),
    "no-caps": message(common=(), channel_words=()),
    "no-auth-selection-cap": message(common=(0b1100,)),
    "no-mini-header": message(common=(0b0101,)),
    "chan-type-0": message(channel=(0, 0)),
    "chan-type-200": message(channel=(200, 0)),
    "display-without-main": message(channel=(2, 0)),
    "bad-connection-id": message(channel=(2, 0), connection_id=0xDEADBEEF),
    "main-with-connection-id": message(connection_id=4242),
    "display-id-77": message(channel=(2, 77)),
    "partial-header": message()[:10],
}
TICKET_CASES = {
    "garbage-ticket": struct.pack("<I", 1) + bytes(range(128)),
    "zero-ticket": struct.pack("<I", 1) + bytes(128),
    "short-ticket": struct.pack("<I", 1) + bytes(60),
    "auth-mech-0": struct.pack("<I", 0),
    "auth-mech-77": struct.pack("<I", 77),
}
PIECES = pytest.mark.parametrize("piece_size", [1, 3, 1 << 20])


def feed(link: ServerLink, data: bytes, piece_size: int) -> bytes:
    sent = b""
    for start in range(0, len(data), piece_size):
        link.receive_data(data[start : start + piece_size], 101.0)
        sent += link.data_to_send()
    return sent


def test_every_recorded_case_is_tested() -> None:
    assert ROGUE_LINKS.keys() == ROGUE_MESSAGES.keys() | TICKET_CASES.keys() | {"auth-mech-2-sasl"}


@PIECES
@pytest.mark.parametrize("case", ROGUE_MESSAGES)
def test_link_message_is_answered_as_by_the_real_server(case: str, piece_size: int) -> None:
    recorded = ROGUE_LINKS[case]
    link = server()
    sent = feed(link, ROGUE_MESSAGES[case], piece_size)
    if case == "zero-bytes-then-close":
        link.receive_eof()

    assert len(sent) == recorded["bytes"]
    assert (link.state is LinkState.CLOSED) is (recorded["state"] in ("closed", "reset"))
    assert (link.failure is not None) is (link.state is LinkState.CLOSED)
    if sent:
        fields = reply_fields(sent)
        assert fields["version"] == recorded["version"]
        assert fields["size"] == recorded["size"]
        assert fields["error"] == LINK_ERROR_CODES[recorded["error"]]
        assert (fields["public_key"] == bytes(162)) is recorded["pubkey_zero"]
        if fields["error"]:
            assert sent == refusal_bytes(fields["error"])


@PIECES
@pytest.mark.parametrize("case", TICKET_CASES)
def test_ticket_is_answered_as_by_the_real_server(case: str, piece_size: int) -> None:
    recorded = ROGUE_LINKS[case]
    link = server()
    replied(link)
    sent = feed(link, TICKET_CASES[case], piece_size)

    assert len(sent) == recorded["bytes"]
    assert sent[:16].hex() == recorded["first"]
    assert (link.state is LinkState.CLOSED) is (recorded["state"] in ("closed", "reset"))
    if len(sent) > 4:
        assert sent == refusal_bytes(InvalidData.code)


def test_sasl_is_refused_where_it_is_not_offered() -> None:
    """The real server starts SASL here although it is switched off (``auth-mech-2-sasl``): that one is not copied."""
    link = server()
    replied(link)
    link.receive_data(struct.pack("<I", 2), 101.0)
    assert link.data_to_send() == refusal_bytes(InvalidData.code)
    assert link.state is LinkState.CLOSED


# --- server side ----------------------------------------------------------------------------------------------------


def test_magic_is_judged_after_four_bytes() -> None:
    link = server()
    link.receive_data(b"GET", 101.0)
    assert link.state is LinkState.MAGIC
    link.receive_data(b" ", 101.0)
    assert link.data_to_send() == refusal_bytes(InvalidMagic.code)
    assert isinstance(link.failure, InvalidMagic)


def test_major_and_size_are_judged_without_the_message() -> None:
    for header, code in ((message(major=3)[:16], VersionMismatch.code), (message(size=4097)[:16], InvalidData.code)):
        link = server()
        link.receive_data(header, 101.0)
        assert link.data_to_send() == refusal_bytes(code)


def test_major_0_is_dropped_without_a_byte() -> None:
    link = server()
    link.receive_data(message(major=0), 101.0)
    assert link.data_to_send() == b""
    assert link.state is LinkState.CLOSED
    assert isinstance(link.failure, VersionMismatch)


def test_capabilities_may_lie_anywhere_behind_the_fixed_part() -> None:
    link = server()
    data = message(common=(), channel_words=(), counts=(1, 1), offset=30, padding=12) + struct.pack("<II", 0b1000, 5)
    link.receive_data(data[:12] + struct.pack("<I", len(data) - 16) + data[16:], 101.0)
    assert link.request is not None
    assert link.request.common_capabilities == (0b1000,)
    assert link.request.channel_capabilities == (5,)


@pytest.mark.parametrize("offset", [17, 19])
def test_capabilities_must_lie_inside_the_message(offset: int) -> None:
    link = server()
    link.receive_data(message(offset=offset), 101.0)
    assert link.data_to_send() == refusal_bytes(InvalidData.code)
    assert f"caps_offset {offset}" in str(link.failure)


@pytest.mark.parametrize("counts", [(1025, 0), (0, 1025), (0xFFFFFFFF, 0xFFFFFFFF)])
def test_too_many_capabilities_are_refused_by_their_count(counts: tuple[int, int]) -> None:
    link = server()
    link.receive_data(message(counts=counts), 101.0)
    assert link.data_to_send() == refusal_bytes(InvalidData.code)
    assert "MAX_CAPABILITY_WORDS" in str(link.failure)


def test_caps_offset_is_not_read_when_there_are_none() -> None:
    assert replied(server(), message(common=(), channel_words=(), offset=0xFFFFFFFF))


def test_as_many_words_as_the_size_allows() -> None:
    words = tuple(range(1000))
    link = server()
    replied(link, message(common=words[:500], channel_words=words[500:]))
    assert link.request is not None
    assert link.request.common_capabilities + link.request.channel_capabilities == words


def test_reply_carries_key_version_and_capabilities() -> None:
    policy = Policy()
    policy.version = (2, 1)
    fields = replied(ServerLink(policy, secure=False, now=0.0, timeout=1000.0), message(channel=(2, 0)))
    assert fields["version"] == "2.1"
    assert fields["public_key"] == process_key().public_der
    assert fields["common"] == (0b1011,)
    assert fields["channel"] == (0x1052,)
    assert fields["offset"] == 178


def test_an_empty_list_is_no_word() -> None:
    fields = replied(server(Policy(common=())), message(channel=(4, 0)))
    assert fields["size"] == 178
    assert (fields["common"], fields["channel"]) == ((), ())


def test_request_says_what_was_asked() -> None:
    link = server(secure=True)
    replied(link, message(minor=7, connection_id=9, channel=(3, 0), common=(1, 2), channel_words=(3,)))
    assert repr(link.request) == (
        "LinkRequest(channel=3:0, connection_id=9, version=2.7, common=[0x1, 0x2], channel_caps=[0x3], secure=True)"
    )


@pytest.mark.parametrize(
    ("secure_channels", "secure_connection", "code"),
    [(True, False, NeedSecured.code), (False, True, NeedUnsecured.code)],
)
def test_policy_refuses_in_the_reply(secure_channels: bool, secure_connection: bool, code: int) -> None:
    policy = Policy(secure=secure_channels)
    link = server(policy, secure=secure_connection)
    link.receive_data(message(), 101.0)
    assert link.data_to_send() == refusal_bytes(code)
    assert link.state is LinkState.CLOSED
    assert policy.asked == ["admit"]


def test_a_refused_link_costs_no_key() -> None:
    def no_key() -> TicketKey:
        raise AssertionError("made a key")

    for data in (b"GET /", message(channel=(9, 9)), message(size=1)):
        link = ServerLink(Policy(), secure=False, now=0.0, timeout=1000.0, key=no_key)
        link.receive_data(data, 1.0)
        assert link.state is LinkState.CLOSED


def ticket(public_der: bytes, password: bytes = b"") -> bytes:
    return struct.pack("<I", 1) + encrypt_ticket(public_der, password)


@pytest.mark.parametrize(
    ("plaintext", "code"),
    [
        (b"s3cret\0", 0),
        (b"s3cret", 0),
        (b"s3cret\0rubbish", 0),
        (b"s3cre", 7),
        (b"s3crets", 7),
        (b"\0", 7),
        (b"", 7),
        (b"s3cret " + bytes(70), 7),
    ],
)
def test_password_counts_up_to_its_nul(plaintext: bytes, code: int) -> None:
    link = server(Policy(Password("s3cret")))
    fields = replied(link)
    link.receive_data(struct.pack("<I", 1) + encrypt(fields["public_key"], plaintext), 101.0)
    assert link.data_to_send() == struct.pack("<I", code)
    assert link.state is (LinkState.CLOSED if code else LinkState.LINKED)


def test_password_is_judged_at_the_time_of_its_ticket() -> None:
    for now, code in ((105.0, 0), (105.1, 7)):
        link = server(Policy(Password("s3cret", expires_at=105.0)))
        fields = replied(link)
        link.receive_data(ticket(fields["public_key"], b"s3cret"), now)
        assert link.data_to_send() == struct.pack("<I", code)


def test_without_ticketing_any_readable_ticket_is_right() -> None:
    link = server()
    link.receive_data(ticket(replied(link)["public_key"], b"whatever"), 101.0)
    assert link.state is LinkState.LINKED


def test_an_old_policy_may_overlook_an_unreadable_ticket() -> None:
    link = server(Policy(mind_undecryptable=False))
    replied(link)
    link.receive_data(struct.pack("<I", 1) + bytes(128), 101.0)
    assert link.data_to_send() == bytes(4)


def test_password_is_judged_before_the_session() -> None:
    policy = Policy(Password("s3cret"))
    link = server(policy)
    fields = replied(link, message(channel=(2, 0), connection_id=5))
    link.receive_data(ticket(fields["public_key"], b"wrong"), 101.0)
    assert link.data_to_send() == struct.pack("<I", PermissionDenied.code)
    assert policy.asked == ["admit", "capabilities", "check_password"]


@pytest.mark.parametrize(("connection_id", "code"), [(0, 8), (SESSION_ID + 1, 8), (SESSION_ID, 0)])
def test_session_is_judged_after_the_ticket(connection_id: int, code: int) -> None:
    link = server()
    fields = replied(link, message(channel=(2, 0), connection_id=connection_id))
    link.receive_data(ticket(fields["public_key"]), 101.0)
    assert link.data_to_send() == struct.pack("<I", code)


def test_a_channel_may_be_refused_in_the_result() -> None:
    class Old(Policy):
        def admit(self, request: LinkRequest) -> None:
            pass

        def check_session(self, request: LinkRequest) -> None:
            raise ChannelNotAvailable("0.6 says so here")

    link = server(Old())
    fields = replied(link, message(channel=(9, 0)))
    link.receive_data(ticket(fields["public_key"]), 101.0)
    assert link.data_to_send() == struct.pack("<I", 9)


@pytest.mark.parametrize("client_has", [True, False])
@pytest.mark.parametrize("server_has", [True, False])
def test_mechanism_is_read_only_if_both_sides_select(client_has: bool, server_has: bool) -> None:
    common = ALL_COMMON if server_has else ()
    link = server(Policy(common=common))
    fields = replied(link, message(common=(1,) if client_has else ()))
    both = client_has and server_has
    assert link.state is (LinkState.MECHANISM if both else LinkState.TICKET)
    link.receive_data(ticket(fields["public_key"])[0 if both else 4 :], 101.0)
    assert link.linked is not None
    assert link.linked.mechanism == (1 if both else None)


def test_a_mechanism_that_is_not_offered_is_refused() -> None:
    link = server(Policy(common=to_words({CommonCap.PROTOCOL_AUTH_SELECTION})))
    fields = replied(link)
    link.receive_data(ticket(fields["public_key"]), 101.0)
    assert link.data_to_send() == refusal_bytes(InvalidData.code)


@pytest.mark.parametrize("client_has", [True, False])
@pytest.mark.parametrize("server_has", [True, False])
def test_mini_header_needs_both_sides(client_has: bool, server_has: bool) -> None:
    mini = to_words({CommonCap.MINI_HEADER})
    link = server(Policy(common=mini if server_has else ()))
    fields = replied(link, message(common=mini if client_has else ()))
    link.receive_data(encrypt_ticket(fields["public_key"], b""), 101.0)
    assert link.linked is not None
    assert link.linked.mini_header is (client_has and server_has)


def test_bytes_behind_the_ticket_are_handed_over() -> None:
    link = server()
    fields = replied(link)
    link.receive_data(ticket(fields["public_key"]) + b"first message", 101.0)
    assert link.linked is not None
    assert link.linked.leftover == b"first message"
    assert link.linked.request is link.request
    assert link.linked.common_capabilities == (0b1011,)
    assert link.linked.channel_capabilities == (0xF,)
    with pytest.raises(WrongState):
        link.receive_data(b"more", 101.0)


def test_after_a_refusal_bytes_are_dropped() -> None:
    link = server()
    link.receive_data(b"GET / HTTP/1.1\r\n", 101.0)
    assert link.data_to_send() == refusal_bytes(2)
    link.receive_data(message(), 102.0)
    assert link.data_to_send() == b""
    assert link.state is LinkState.CLOSED


@pytest.mark.parametrize("sent_before", [0, 3, 10, 30, 42, 45, 46, 100])
def test_a_stalled_link_is_dropped_at_its_deadline(sent_before: int) -> None:
    link = server()
    link.receive_data((message() + struct.pack("<I", 1) + bytes(100))[:sent_before], 101.0)
    link.data_to_send()
    assert link.deadline == 100.0 + LINK_TIMEOUT
    link.check_time(link.deadline)
    assert not link.finished
    link.check_time(link.deadline + 0.1)
    assert isinstance(link.failure, LimitExceeded)
    assert link.data_to_send() == b""


def test_bytes_after_the_deadline_come_too_late() -> None:
    link = server()
    link.receive_data(message(), 100.0 + LINK_TIMEOUT + 0.1)
    assert isinstance(link.failure, LimitExceeded)
    assert link.data_to_send() == b""


def test_a_complete_link_has_no_deadline() -> None:
    link = server()
    link.receive_data(ticket(replied(link)["public_key"]), 101.0)
    link.check_time(1e9)
    link.receive_eof()
    assert link.state is LinkState.LINKED


def test_the_end_of_the_connection_is_noted() -> None:
    link = server()
    link.receive_data(b"REDQ", 101.0)
    link.receive_eof()
    assert link.state is LinkState.CLOSED
    assert "HEADER" in str(link.failure)


def test_no_byte_is_kept_that_is_not_waited_for() -> None:
    link = server()
    link.receive_data(message(size=4096)[:16] + bytes(4000), 101.0)
    assert len(link._received) == 4000
    link.receive_data(bytes(1 << 20), 101.0)
    assert len(link._received) <= MAX_LINK_SIZE


def test_linking_needs_no_slow_import() -> None:
    """The first link is answered before the message catalogue is loaded: nothing slow may come with the link."""
    slow = ("asyncio", "construct", "dataclasses", "hashlib", "inspect", "random", "secrets", "socket", "ssl")
    program = f"import sys, spiceemu.protocol.link.client; print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
