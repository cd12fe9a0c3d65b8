"""The steps of a link, told from the bytes of both sides: recorded links, and those that no server of ours makes."""

from __future__ import annotations

import pytest

from spiceemu.protocol.capabilities import CommonCap
from spiceemu.protocol.link.server import U32
from spiceemu.protocol.link.steps import LinkStep, LinkSteps

from .test_link_observer import (
    CLIENT,
    ENOUGH,
    MESSAGES,
    SERVER,
    SESSIONS,
    TICKET,
    Piece,
    Recorded,
    counted,
    in_turn,
    is_sasl,
    live,
    message,
    recorded,
    reply,
    sasl,
)

BEGINNING = [LinkStep.HEADER, LinkStep.MESSAGE, LinkStep.REPLY]


def told(*pieces: Piece) -> list[LinkStep]:
    """The steps that these pieces complete."""
    steps = LinkSteps()
    found: list[LinkStep] = []
    for side, data in pieces:
        found += steps.client_data(data) if side == CLIENT else steps.server_data(data)
    assert steps.over is (found[-1:] in ([LinkStep.LINKED], [LinkStep.REFUSED]))
    return found


def expected(each: Recorded) -> list[LinkStep]:
    end = each.found.end
    if end == "refused 5":
        return [*BEGINNING[:2], LinkStep.REFUSED]
    steps = list(BEGINNING)
    if is_sasl(each) or each.client[16 + each.client[12] :][:4] == U32.pack(CommonCap.AUTH_SPICE):
        steps.append(LinkStep.MECHANISM)
    if not is_sasl(each):
        steps.append(LinkStep.TICKET)
    return steps + {"linked": [LinkStep.LINKED], "refused 7": [LinkStep.REFUSED]}.get(end, [])


@pytest.mark.parametrize("session", SESSIONS)
def test_the_steps_of_recorded_links(session: str) -> None:
    for each in recorded(session):
        assert told(*live(each)) == expected(each), each.found


@pytest.mark.parametrize("session", ["old-peers/server-0.6__spicec-0.6", "old-peers/server-0.15__spicec-0.8"])
def test_the_steps_of_links_byte_by_byte(session: str) -> None:
    for each in recorded(session):
        short = each._replace(client=each.client[:ENOUGH], server=each.server[:ENOUGH])
        assert set(told(*in_turn(short, 1))) == set(expected(each))


def test_several_steps_at_once_are_told_in_order() -> None:
    whole = (CLIENT, message() + U32.pack(CommonCap.AUTH_SPICE) + TICKET + MESSAGES)
    assert told(whole) == BEGINNING[:2]
    assert told(whole, (SERVER, reply() + U32.pack(0))) == [
        *BEGINNING,
        *(LinkStep.MECHANISM, LinkStep.TICKET, LinkStep.LINKED),
    ]


def test_the_steps_with_sasl() -> None:
    beginning = sasl(b"PLAIN", (b"x", b""))
    known = [*BEGINNING, LinkStep.MECHANISM]
    assert told(*beginning) == known
    assert told(*beginning, (SERVER, U32.pack(0) * 2)) == [*known, LinkStep.LINKED]
    assert told(*beginning, (SERVER, U32.pack(1) + counted(b"no!"))) == [*known, LinkStep.REFUSED]
    assert told(*beginning, (SERVER, U32.pack(0) + U32.pack(7))) == [*known, LinkStep.REFUSED]


def test_a_link_that_goes_on_encrypted_is_not_refused() -> None:
    beginning = sasl(b"DIGEST-MD5", (b"", b"challenge"), (b"response", b""))
    assert told(*beginning, (SERVER, U32.pack(0) + b"\0\0\0\x14layer")) == [*BEGINNING, LinkStep.MECHANISM]


def test_who_is_no_client_is_refused_when_the_server_says_so() -> None:
    request = (CLIENT, b"GET / HTTP/1.1\r\n\r\n")
    assert told(request) == []
    assert told(request, (SERVER, reply((), error=2))) == [LinkStep.REFUSED]


def test_the_channel_is_known_with_the_message() -> None:
    steps = LinkSteps()
    for byte in message()[:-1]:
        steps.client_data(bytes([byte]))
        assert steps.channel == ""
    steps.client_data(message()[-1:])
    assert steps.channel == "main:0"
