"""The observer reads every recorded link as it was taken apart by hand, and lets no secret through."""

from __future__ import annotations

import base64
import functools
import random
import struct
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest
from hypothesis import given, strategies as st

from spiceemu.protocol.capabilities import CommonCap, to_words
from spiceemu.protocol.limits import MAX_LINK_SIZE
from spiceemu.protocol.link.client import build_link_message
from spiceemu.protocol.link.layouts import HEADER, LINK_REPLY, MAGIC, U32, pack_words
from spiceemu.protocol.link.observer import (
    MAX_SASL_DATA,
    MAX_SASL_NAME,
    MAX_SASL_NAMES,
    MAX_SASL_STEPS,
    LinkObserver,
)
from spiceemu.protocol.link.sides import MAX_UNDECIDED
from spiceemu.protocol.link.ticket import TICKET_SIZE

from .. import captures

SESSIONS = captures.expectations()
CLIENT, SERVER = "client", "server"
Piece = tuple[str, bytes]

#: What the recorded users and clients know, in the clear or made of it.
PASSWORDS = (b"wonder", b"wrong")
ENOUGH = 4096
"""Bytes of each side put byte by byte, and searched; a link has far less."""


class Recorded(NamedTuple):
    """Both sides of a connection without WebSocket frames, and what is found in them by hand."""

    client: bytes
    server: bytes
    found: captures.Connection

    @property
    def client_start(self) -> int:
        return len(self.client) - len(self.found.client)

    @property
    def server_start(self) -> int:
        assert self.found.server is not None
        return len(self.server) - len(self.found.server)


@functools.cache
def recorded(session: str) -> list[Recorded]:
    found = []
    for expected in SESSIONS[session]:
        client = captures.stream(session, expected.connection, "c2s")
        server = captures.stream(session, expected.connection, "s2c")
        assert client is not None
        if server is not None:
            connection = captures.connection(client, server)
            client = captures.without_websocket(client, b"GET /")
            found.append(Recorded(client, captures.without_websocket(server, b"HTTP/1.1 101 "), connection))
    return found


def in_turn(each: Recorded, size: int) -> Iterator[Piece]:
    """Both sides in pieces, as they would come if each side took as long as the other."""
    for at in range(0, max(len(each.client), len(each.server)), size):
        for side, data in ((CLIENT, each.client), (SERVER, each.server)):
            if piece := data[at : at + size]:
                yield side, piece


def one_after_the_other(each: Recorded, first: str, size: int) -> list[Piece]:
    return sorted(in_turn(each, size), key=lambda piece: piece[0] != first)


def observe(pieces: list[Piece] | Iterator[Piece]) -> tuple[LinkObserver, bytes, bytes]:
    """What an observer says, and the bytes of both sides as it lets them through."""
    observer = LinkObserver()
    kept: dict[str, list[bytes]] = {CLIENT: [], SERVER: []}
    for side, piece in pieces:
        passed = observer.client_data(piece) if side == CLIENT else observer.server_data(piece)
        assert len(passed) == len(piece)
        kept[side].append(passed)
    return observer, b"".join(kept[CLIENT]), b"".join(kept[SERVER])


def check_words(observer: LinkObserver, each: Recorded) -> None:
    """Hold what an observer says against the bytes it saw."""
    for data, at, common, channel, version in (
        (each.client, 22, observer.client_common, observer.client_channel, observer.client_version),
        (each.server, 182, observer.server_common, observer.server_channel, observer.server_version),
    ):
        assert version == struct.unpack_from("<II", data, 4)
        if data is each.server and each.found.end == "refused 5":
            assert (common, channel) == (None, None)
            continue
        counts = struct.unpack_from("<II", data, at)
        size = struct.unpack_from("<I", data, 12)[0]
        words = struct.unpack_from(f"<{sum(counts)}I", data, 16 + size - 4 * sum(counts))
        assert (common, channel) == (words[: counts[0]], words[counts[0] :])
    assert (observer.connection_id, observer.channel_type, observer.channel_id) == struct.unpack_from(
        "<IBB", each.client, 16
    )
    assert observer.channel_type == each.found.channel_type


def check(observer: LinkObserver, each: Recorded) -> None:
    check_words(observer, each)
    end = each.found.end
    assert observer.failure == ""
    assert observer.linked is (end == "linked")
    assert observer.encrypted is (end == "encrypted")
    if end == "linked":
        assert (observer.client_start, observer.server_start) == (each.client_start, each.server_start)
        assert (observer.error, observer.result, observer.mini_header) == (0, 0, each.found.mini)
    elif end == "refused 5":
        assert (observer.error, observer.result, observer.client_start) == (5, None, None)
    elif end == "refused 7":
        assert (observer.error, observer.result, observer.server_start) == (0, 7, None)
    else:
        assert end in ("silent", "encrypted")
        assert observer.mechanism == CommonCap.AUTH_SASL
        assert observer.sasl_mechanism in ("PLAIN", "DIGEST-MD5", "SCRAM-SHA-256")
        assert (observer.error, observer.result, observer.client_start) == (0, None, None)


@pytest.mark.parametrize("session", SESSIONS)
def test_a_recorded_link_is_read(session: str) -> None:
    for each in recorded(session):
        for size in (7, 132, 1 << 30):
            observer, client, server = observe(in_turn(each, size))
            check(observer, each)
            check_redacted(each, client, server, observer)


@pytest.mark.parametrize("first", [CLIENT, SERVER])
@pytest.mark.parametrize("session", SESSIONS)
def test_a_recorded_link_is_read_with_one_side_before_the_other(session: str, first: str) -> None:
    for each in recorded(session):
        for size in (1000, 1 << 30):
            observer, client, server = observe(one_after_the_other(each, first, size))
            check(observer, each)
            check_redacted(each, client, server, observer)


@pytest.mark.parametrize("session", SESSIONS)
def test_a_recorded_link_is_read_byte_by_byte(session: str) -> None:
    for each in recorded(session):
        short = each._replace(client=each.client[:ENOUGH], server=each.server[:ENOUGH])
        observer, _, _ = observe(in_turn(short, 1))
        check(observer, each)


@pytest.mark.parametrize("session", SESSIONS)
def test_what_is_kept_reads_as_the_original_did(session: str) -> None:
    for each in recorded(session):
        observer, client, server = observe(live(each))
        again, client_again, server_again = observe(live(each._replace(client=client, server=server)))
        assert (client_again, server_again) == (client, server)
        check(again, each)
        assert describe(again) == describe(observer)


def live(each: Recorded) -> Iterator[Piece]:
    """Both sides in the order in which a client and a server speak that wait for each other, the links byte by byte."""
    for side, piece in turns(each):
        yield from ((side, piece[at : at + 1]) for at in range(len(piece)))
    yield CLIENT, each.client[each.client_start :]
    yield SERVER, each.server[each.server_start :]


def turns(each: Recorded) -> Iterator[Piece]:
    """The link cut where the other side has its turn; by hand."""
    client, server = (captures.Reader(data) for data in (each.client, each.server))
    yield CLIENT, client.take(16 + struct.unpack_from("<I", each.client, 12)[0])
    yield SERVER, server.take(16 + struct.unpack_from("<I", each.server, 12)[0])
    if is_sasl(each):
        yield CLIENT, client.take(4)
        yield SERVER, with_size(server)
        yield CLIENT, with_size(client)
        while client.at < each.client_start:
            yield CLIENT, with_size(client)
            if server.at < each.server_start:
                yield SERVER, with_size(server) + server.take(1)
    yield CLIENT, client.take(each.client_start - client.at)
    yield SERVER, server.take(each.server_start - server.at)


def with_size(reader: captures.Reader) -> bytes:
    start = reader.at
    reader.counted()
    return reader.data[start : reader.at]


def is_sasl(each: Recorded) -> bool:
    """Whether both sides have AUTH_SELECTION and the client chose SASL; by hand."""
    server_selects = struct.unpack_from("<I", each.server, 182)[0] and each.server[194] & 1
    client_selects = struct.unpack_from("<I", each.client, 22)[0] and each.client[34] & 1
    return bool(server_selects and client_selects and each.client[16 + each.client[12]] == CommonCap.AUTH_SASL)


def describe(observer: LinkObserver) -> dict[str, object]:
    return {name: getattr(observer, name) for name in dir(LinkObserver()) if name[0] != "_" and "_data" not in name}


def secrets(each: Recorded) -> list[tuple[str, range]]:
    """Where the secrets are: the ticket, or what the steps of SASL carry; by hand."""
    if each.found.end == "refused 5":
        return []
    if not is_sasl(each):
        return [(CLIENT, range(each.client_start - TICKET_SIZE, each.client_start))]
    found = []
    at = {CLIENT: 0, SERVER: 0}
    for number, (side, piece) in enumerate(turns(each)):
        if number > 4 and piece and at[side] + 4 < (each.client_start if side == CLIENT else each.server_start - 8):
            size = int.from_bytes(piece[:4], "little")
            found.append((side, range(at[side] + 4, at[side] + 4 + size)))
        at[side] += len(piece)
    return found


def check_redacted(each: Recorded, client: bytes, server: bytes, observer: LinkObserver) -> None:
    for side, place in secrets(each):
        assert not any((client if side == CLIENT else server)[place.start : place.stop]), (side, place)
    for kept, original in ((client, each.client), (server, each.server)):
        assert all(a in (0, b) for a, b in zip(kept[:ENOUGH], original[:ENOUGH], strict=True))
    if observer.mechanism == CommonCap.AUTH_SASL:
        for word in PASSWORDS:
            assert word not in client + server
            assert base64.b64encode(word)[:-3] not in client + server
        for text in (b"alice", b"nonce=", b"rspauth=", b"response=", b"r=", b"p=", b"v=", b"s="):
            assert text not in client[:ENOUGH] + server[:ENOUGH]


def test_only_the_secrets_are_hidden() -> None:
    sizes: Counter[int] = Counter()
    for session in SESSIONS:
        for each in recorded(session):
            _, client, server = observe(live(each))
            expected = {CLIENT: bytearray(each.client), SERVER: bytearray(each.server)}
            for side, place in secrets(each):
                expected[side][place.start : place.stop] = bytes(len(place))
                sizes[len(place)] += 1
            assert client == expected[CLIENT]
            assert server == expected[SERVER]
    assert sizes[TICKET_SIZE] > 250
    assert sum(sizes.values()) > sizes[TICKET_SIZE] + 40  # steps of SASL


def test_passwords_are_in_the_recordings() -> None:
    """Else it would prove nothing that they are not in what is kept."""
    sasl = [each for session in SESSIONS if "sasl-plain" in session for each in recorded(session)]
    assert {word for word in PASSWORDS for each in sasl if word in each.client} == set(PASSWORDS)


# Links made here

AUTH = to_words((CommonCap.PROTOCOL_AUTH_SELECTION, CommonCap.AUTH_SPICE, CommonCap.AUTH_SASL, CommonCap.MINI_HEADER))
TICKET = bytes(random.Random(1).choices(range(1, 256), k=TICKET_SIZE))
MESSAGES = b"\x65\x00\x01\x00\x00\x00\x2a" * 3


def message(common: tuple[int, ...] = AUTH, version: tuple[int, int] = (2, 2)) -> bytes:
    return build_link_message(1, 0, 0, common, (), version)


def reply(common: tuple[int, ...] = AUTH, error: int = 0, version: tuple[int, int] = (2, 2)) -> bytes:
    words = pack_words(common)
    body = LINK_REPLY.pack(error, bytes(162), len(common), 0, LINK_REPLY.size) + words
    return HEADER.pack(MAGIC, *version, len(body)) + body


def counted(data: bytes) -> bytes:
    return U32.pack(len(data)) + data


def feed(*pieces: Piece) -> LinkObserver:
    return observe(list(pieces))[0]


@pytest.mark.parametrize("selects", [True, False])
def test_a_client_that_waits_for_nothing(selects: bool) -> None:
    """It sends all it has before the server says a word; no byte of its ticket is kept, and its start is found."""
    common = AUTH if selects else ()
    observer = LinkObserver()
    start = message(common) + (U32.pack(CommonCap.AUTH_SPICE) if selects else b"")
    kept = observer.client_data(start + TICKET + MESSAGES)
    assert kept[: len(message(common))] == message(common)
    assert not any(kept[len(start) : len(start) + TICKET_SIZE])
    assert not observer.linked
    assert observer.server_data(reply()) == reply()
    assert observer.client_start == len(start) + TICKET_SIZE
    assert observer.server_data(U32.pack(0) + MESSAGES) == U32.pack(0) + MESSAGES
    assert observer.linked
    assert observer.server_start == len(reply()) + 4
    assert observer.client_data(MESSAGES) == MESSAGES


def test_a_server_that_does_not_select_gets_the_ticket_at_once() -> None:
    observer = feed((SERVER, reply(())), (CLIENT, message() + TICKET + MESSAGES), (SERVER, U32.pack(0)))
    assert (observer.linked, observer.mechanism, observer.mini_header) == (True, None, False)
    assert observer.client_start == len(message()) + TICKET_SIZE


def test_a_second_reply() -> None:
    observer, client, server = observe(
        [
            (CLIENT, message()),
            (SERVER, reply()),
            (CLIENT, U32.pack(77) + TICKET),
            (SERVER, reply((), error=3) + b"more"),
        ]
    )
    assert (observer.mechanism, observer.error, observer.result) == (77, 3, None)
    assert (observer.refused, observer.linked, observer.failure) == (True, False, "")
    assert client == message() + U32.pack(77) + bytes(TICKET_SIZE)
    assert server == reply() + reply((), error=3) + bytes(4)


def test_a_second_reply_where_sasl_is_off() -> None:
    observer = feed((CLIENT, message()), (SERVER, reply()), (CLIENT, U32.pack(2)), (SERVER, reply((), error=3)))
    assert (observer.mechanism, observer.error, observer.failure, observer.refused) == (2, 3, "", True)


def test_a_mechanism_that_cannot_be_read_is_no_link_even_if_it_is_accepted() -> None:
    observer, client, server = observe(
        [(CLIENT, message()), (SERVER, reply()), (CLIENT, U32.pack(9) + b"secret"), (SERVER, U32.pack(0) + MESSAGES)]
    )
    assert not observer.linked
    assert "mechanism 9" in observer.failure
    assert client.endswith(bytes(6))
    assert server == reply() + bytes(4 + len(MESSAGES))


def test_a_client_that_is_none_and_what_the_server_says_of_it() -> None:
    request = b"GET / HTTP/1.1\r\nAuthorization: secret\r\n\r\n"
    observer, client, server = observe([(CLIENT, request), (SERVER, reply((), error=2) + b"more")])
    assert client == b"GET " + bytes(len(request) - 4)
    assert server == reply((), error=2) + bytes(4)
    assert observer.failure == "link: the client's magic is b'GET ' instead of b'REDQ'"
    assert (observer.error, observer.linked) == (2, False)


def test_a_server_that_is_none() -> None:
    observer, client, server = observe([(CLIENT, message()), (SERVER, b"HTTP/1.1 400"), (CLIENT, TICKET)])
    assert (client, server) == (message() + bytes(TICKET_SIZE), b"HTTP" + bytes(8))
    assert "the server's magic" in observer.failure


@pytest.mark.parametrize(
    ("pieces", "failure"),
    [
        ([(CLIENT, message(version=(1, 3)))], "the client's major version is 1 instead of 2"),
        ([(CLIENT, HEADER.pack(MAGIC, 2, 2, MAX_LINK_SIZE + 1))], "MAX_LINK_SIZE"),
        ([(CLIENT, HEADER.pack(MAGIC, 2, 2, 17))], "size 17"),
        ([(CLIENT, HEADER.pack(MAGIC, 2, 2, 18) + bytes(6) + b"\xff" * 12)], "MAX_CAPABILITY_WORDS"),
        ([(SERVER, HEADER.pack(MAGIC, 2, 2, MAX_LINK_SIZE + 1))], "link reply: size"),
        ([(SERVER, reply(version=(3, 0)))], "the server's major version is 3"),
        ([(SERVER, HEADER.pack(MAGIC, 2, 2, 178) + bytes(166) + b"\xff" * 12)], "link reply: 4294967295 common"),
    ],
)
def test_sizes_and_versions_that_are_no_link(pieces: list[Piece], failure: str) -> None:
    observer = feed(*pieces)
    assert failure in observer.failure
    for side in (CLIENT, SERVER):
        passed = observer.client_data(TICKET * 99) if side == CLIENT else observer.server_data(TICKET * 99)
        if side == pieces[0][0]:
            assert not any(passed)
    assert not observer.linked


def sasl(name: bytes = b"PLAIN", *steps: tuple[bytes, bytes]) -> list[Piece]:
    """A link with SASL up to its last step, whose answers are complete."""
    pieces = [(CLIENT, message()), (SERVER, reply()), (CLIENT, U32.pack(2)), (SERVER, counted(b",%b," % name))]
    pieces.append((CLIENT, counted(name)))
    for number, (said, answer) in enumerate(steps, 1):
        pieces += [(CLIENT, counted(said)), (SERVER, counted(answer) + bytes([number == len(steps)]))]
    return pieces


@pytest.mark.parametrize("name", [b"DIGEST-MD5", b"UNHEARD-OF"])
def test_a_layer_of_sasl_hides_everything(name: bytes) -> None:
    layered = struct.pack(">I", 20) + b"layered result" + b"secret"
    pieces = [*sasl(name, (b"", b"challenge"), (b"response", b"")), (SERVER, U32.pack(0))]
    observer, client, server = observe([*pieces, (SERVER, layered), (CLIENT, b"secret")])
    assert (observer.encrypted, observer.linked, observer.result, observer.failure) == (True, False, None, "")
    assert client.endswith(bytes(len(b"response") + 6))
    assert server.endswith(U32.pack(0) + struct.pack(">I", 20) + bytes(20))


def test_a_mechanism_that_may_have_a_layer_and_has_none() -> None:
    pieces = [*sasl(b"DIGEST-MD5", (b"", b"challenge"), (b"response", b"")), (SERVER, U32.pack(0))]
    assert feed(*pieces).encrypted
    observer, client, server = observe([*pieces, (SERVER, U32.pack(0) + MESSAGES), (CLIENT, MESSAGES)])
    assert (observer.encrypted, observer.linked, observer.result) == (False, True, 0)
    assert client.endswith(bytes(8) + MESSAGES)
    assert server.endswith(U32.pack(0) + MESSAGES)


def test_sasl_that_refuses() -> None:
    observer, _, server = observe([*sasl(b"PLAIN", (b"x", b"")), (SERVER, U32.pack(1) + counted(b"no!") + b"more")])
    assert (observer.refused, observer.linked, observer.result, observer.failure) == (True, False, None, "")
    assert server.endswith(counted(b"no!") + bytes(4))


def test_a_result_behind_sasl_refuses() -> None:
    observer = feed(*sasl(b"PLAIN", (b"x", b"")), (SERVER, U32.pack(0) + U32.pack(8)), (CLIENT, MESSAGES))
    assert (observer.result, observer.linked, observer.client_start) == (8, False, None)


@pytest.mark.parametrize(
    ("pieces", "failure"),
    [
        ([*sasl()[:-1], (CLIENT, U32.pack(MAX_SASL_NAME + 1))], "MAX_SASL_NAME"),
        ([*sasl()[:-2], (SERVER, U32.pack(MAX_SASL_NAMES + 1))], "MAX_SASL_NAMES"),
        ([*sasl(), (CLIENT, U32.pack(MAX_SASL_DATA + 1))], "client's data of SASL takes 1048577 bytes"),
        ([*sasl(), (SERVER, U32.pack(MAX_SASL_DATA + 1))], "server's data of SASL takes 1048577 bytes"),
        ([*sasl(), (SERVER, bytes(5) * (MAX_SASL_STEPS + 1))], "MAX_SASL_STEPS"),
        ([*sasl(b"PLAIN", (b"x", b"")), (SERVER, U32.pack(1) + U32.pack(MAX_SASL_NAMES + 1))], "MAX_SASL_NAMES"),
    ],
)
def test_limits_of_sasl(pieces: list[Piece], failure: str) -> None:
    observer, client, server = observe([*pieces, (CLIENT, TICKET), (SERVER, TICKET)])
    assert failure in observer.failure
    assert client.endswith(bytes(TICKET_SIZE))
    assert server.endswith(bytes(TICKET_SIZE))


def test_what_is_remembered_is_bounded() -> None:
    observer = LinkObserver()
    observer.client_data(message())
    for _ in range(100):
        assert not any(observer.client_data(TICKET * 100))
    assert len(observer._client.undecided) == MAX_UNDECIDED
    observer.server_data(reply())
    assert observer.refused  # these bytes are no mechanism


def test_a_beginning_that_is_too_long_to_be_remembered_is_no_link() -> None:
    observer = LinkObserver()
    observer.client_data(message())
    observer.client_data(U32.pack(2) + counted(b"PLAIN") + counted(bytes(MAX_UNDECIDED)))
    observer.server_data(reply())
    assert "MAX_UNDECIDED" in observer.failure
    assert not any(observer.client_data(TICKET))


# Whatever comes


@given(
    st.lists(st.tuples(st.sampled_from([CLIENT, SERVER]), st.binary(max_size=300)), max_size=20),
    st.sampled_from([b"", message(), message(())]),
    st.sampled_from([b"", reply(), reply(()), reply((), error=7)]),
)
def test_no_bytes_make_it_raise(pieces: list[Piece], client: bytes, server: bytes) -> None:
    observe([(CLIENT, client), (SERVER, server), *pieces])


@given(st.randoms(use_true_random=False), st.booleans(), st.booleans())
def test_no_order_lets_a_secret_through_or_changes_what_is_found(
    choice: random.Random, over_sasl: bool, selects: bool
) -> None:
    secret = TICKET
    if over_sasl:
        parts = sasl(b"PLAIN", (TICKET[:9], TICKET[:5]), (TICKET[9:], TICKET[:7]))
    else:
        common = AUTH if selects else AUTH[:0]
        parts = [(CLIENT, message(common) + (U32.pack(1) if selects else b"") + TICKET), (SERVER, reply(common))]
    parts += [(SERVER, U32.pack(0) * (2 if over_sasl else 1) + MESSAGES), (CLIENT, MESSAGES)]
    client = b"".join(piece for side, piece in parts if side == CLIENT)
    server = b"".join(piece for side, piece in parts if side == SERVER)
    left = {CLIENT: client, SERVER: server}
    pieces: list[Piece] = []
    while any(left.values()):
        side = choice.choice([side for side in left if left[side]])
        size = choice.choice((1, 3, 40, 1000))
        pieces.append((side, left[side][:size]))
        left[side] = left[side][size:]
    observer, kept, kept_server = observe(pieces)
    assert observer.linked
    assert observer.client_start == len(client) - len(MESSAGES)
    assert observer.server_start == len(server) - len(MESSAGES)
    start = len(message(AUTH if over_sasl or selects else ()))
    hidden = kept[start : observer.client_start]
    # What is not zero behind the link message is the mechanism, its name and sizes.
    assert not any(a == b for a, b in zip(hidden[-TICKET_SIZE + 9 :], secret[9:], strict=True))
    assert set(kept_server) <= set(server) | {0}
