"""What a server decides about links: which channels there are, and over what."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from spiceemu.channels.table import CHANNELS, offered
from spiceemu.errors import (
    BadConnectionId,
    ChannelNotAvailable,
    InvalidValue,
    LinkError,
    NeedSecured,
    NeedUnsecured,
    PermissionDenied,
)
from spiceemu.guest.machine import Guest
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.levels.level import LEVELS, level_of
from spiceemu.protocol.link.server import LinkRequest
from spiceemu.protocol.link.ticket import Password
from spiceemu.serving.policy import ServerPolicy, channel_types

MAIN, DISPLAY, INPUTS, CURSOR = ChannelType.MAIN, ChannelType.DISPLAY, ChannelType.INPUTS, ChannelType.CURSOR

SESSION = 77


def policy(
    displays: int = 2,
    password: str = "",
    tls_channels: list[str] | None = None,
    plain_channels: list[str] | None = None,
    level: str = "0.15.1",
    sound: bool = True,
) -> ServerPolicy:
    guest = Guest(sizes=[(64, 48)] * displays, sound=sound)
    return ServerPolicy(
        channels=lambda level: offered(CHANNELS, guest, level),
        password=Password(password),
        has_session=lambda session: session == SESSION,
        has_channel=lambda session, kind, number: (session, kind, number) == (SESSION, DISPLAY, 0),
        tls_channels=tls_channels or (),
        plain_channels=plain_channels or (),
        level=level_of(level),
    )


def request(kind: int, number: int = 0, *, session: int = SESSION, secure: bool = False) -> LinkRequest:
    return LinkRequest(
        connection_id=session,
        channel_type=kind,
        channel_id=number,
        major=2,
        minor=2,
        common_capabilities=(),
        channel_capabilities=(),
        secure=secure,
    )


def refusal(call: Callable[[], None]) -> type[LinkError] | None:
    try:
        call()
    except LinkError as error:
        return type(error)
    return None


def test_the_list_of_channels() -> None:
    sound = [(ChannelType.RECORD, 0), (ChannelType.PLAYBACK, 0)]
    assert policy().channels() == [*sound, (DISPLAY, 1), (CURSOR, 1), (DISPLAY, 0), (CURSOR, 0), (INPUTS, 0)]
    assert policy(displays=1, level="0.8.3").channels() == [*sound, (CURSOR, 0), (DISPLAY, 0), (INPUTS, 0)]


@pytest.mark.parametrize(
    ("kind", "number", "refused"),
    [
        (MAIN, 0, None),
        (MAIN, 1, ChannelNotAvailable),
        (DISPLAY, 1, None),
        (DISPLAY, 2, ChannelNotAvailable),
        (DISPLAY, 255, ChannelNotAvailable),
        (CURSOR, 1, None),
        (INPUTS, 0, None),
        (INPUTS, 1, ChannelNotAvailable),
        (ChannelType.PLAYBACK, 0, None),
        (ChannelType.RECORD, 0, None),
        (ChannelType.PLAYBACK, 1, ChannelNotAvailable),
        (ChannelType.SMARTCARD, 0, ChannelNotAvailable),
        (0, 0, ChannelNotAvailable),
        (255, 0, ChannelNotAvailable),
    ],
)
@pytest.mark.parametrize("secure", [True, False])
def test_only_what_is_listed_can_be_linked(
    kind: int, number: int, refused: type[LinkError] | None, secure: bool
) -> None:
    assert refusal(lambda: policy().admit(request(kind, number, secure=secure))) is refused


@pytest.mark.parametrize("kind", [MAIN, DISPLAY, INPUTS, CURSOR])
@pytest.mark.parametrize("secure", [True, False])
def test_channels_over_tls_only_or_without_it_only(kind: ChannelType, secure: bool) -> None:
    name = kind.name.lower()
    tls, plain = policy(tls_channels=[name]), policy(plain_channels=[name])
    assert refusal(lambda: tls.admit(request(kind, secure=secure))) is (None if secure else NeedSecured)
    assert refusal(lambda: plain.admit(request(kind, secure=secure))) is (NeedUnsecured if secure else None)
    other = INPUTS if kind is not INPUTS else MAIN
    assert refusal(lambda: tls.admit(request(other, secure=secure))) is None
    everything = policy(tls_channels=["all"])
    assert refusal(lambda: everything.admit(request(kind, secure=secure))) is (None if secure else NeedSecured)


@pytest.mark.parametrize("level", ["0.6", "0.15.1"])
@pytest.mark.parametrize(("kind", "number"), [(DISPLAY, 255), (ChannelType.SMARTCARD, 0), (99, 0)])
def test_the_way_in_is_judged_before_it_is_asked_whether_the_channel_is_there(
    kind: int, number: int, level: str
) -> None:
    """As QEMU with spice-server 0.15.1 answers."""
    everything = policy(tls_channels=["all"], level=level)
    assert refusal(lambda: everything.admit(request(kind, number))) is NeedSecured
    plain = policy(plain_channels=["all"], level=level)
    assert refusal(lambda: plain.admit(request(kind, number, secure=True))) is NeedUnsecured
    mixed = policy(tls_channels=["display"])
    expected = NeedSecured if kind == DISPLAY else ChannelNotAvailable
    assert refusal(lambda: mixed.admit(request(kind, number))) is expected


def test_one_channel_may_be_over_tls_and_another_without() -> None:
    mixed = policy(tls_channels=["inputs"], plain_channels=["display"])
    assert refusal(lambda: mixed.admit(request(INPUTS, secure=True))) is None
    assert refusal(lambda: mixed.admit(request(DISPLAY))) is None


def test_channels_by_name() -> None:
    assert channel_types(["main", "usbredir"]) == {MAIN, ChannelType.USBREDIR}
    assert channel_types(["all"]) == set(ChannelType)
    assert channel_types([]) == frozenset()
    with pytest.raises(InvalidValue, match=r"no channel is called 'Main'; there are all, main, display"):
        channel_types(["Main"])


def test_the_same_channel_cannot_be_both() -> None:
    with pytest.raises(InvalidValue, match="cannot be linked at all: cursor, main"):
        policy(tls_channels=["main", "cursor", "inputs"], plain_channels=["cursor", "main", "display"])


@pytest.mark.parametrize(
    ("kind", "number", "session", "refused"),
    [
        (MAIN, 0, 0, None),
        (MAIN, 0, 1, None),  # from another server
        (MAIN, 0, SESSION, ChannelNotAvailable),
        (DISPLAY, 0, 0, BadConnectionId),
        (DISPLAY, 0, 76, BadConnectionId),
        (DISPLAY, 0, SESSION, ChannelNotAvailable),
        (DISPLAY, 1, SESSION, None),
        (INPUTS, 0, SESSION, None),
    ],
)
def test_sessions(kind: ChannelType, number: int, session: int, refused: type[LinkError] | None) -> None:
    assert refusal(lambda: policy().check_session(request(kind, number, session=session))) is refused


def test_passwords() -> None:
    decided = policy(password="x")
    assert refusal(lambda: decided.check_password(b"x\0", 0.0)) is None
    for wrong in (b"", b"y", b"xx", None):
        assert refusal(lambda ticket=wrong: decided.check_password(ticket, 0.0)) is PermissionDenied  # type: ignore[misc]
    decided.password = Password("x", 5.0)
    assert refusal(lambda: decided.check_password(b"x", 5.0)) is None
    assert refusal(lambda: decided.check_password(b"x", 5.1)) is PermissionDenied


# Levels


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_decides_how_a_channel_that_is_not_there_is_refused(level: str) -> None:
    judge = policy(level=level)
    wanted = request(ChannelType.SMARTCARD)
    silent = level in ("0.14", "0.15", "0.12.8", "0.14.2", "0.15.1")
    assert refusal(lambda: judge.admit(wanted)) is (ChannelNotAvailable if silent else None)
    assert judge.capabilities(wanted)[1] == ()  # known by the level or not: nothing is told of it
    assert refusal(lambda: judge.check_session(wanted)) is ChannelNotAvailable


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_decides_how_many_display_channels_there_are(level: str) -> None:
    expected = [0] if level in ("0.4", "0.6") else [0, 1]
    for wanted in (DISPLAY, CURSOR):
        assert sorted(number for kind, number in policy(level=level).channels() if kind is wanted) == expected


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_decides_about_a_ticket_that_does_not_decrypt(level: str) -> None:
    strict = level in ("0.14", "0.15", "0.12.8", "0.14.2", "0.15.1")
    assert refusal(lambda: policy(level=level).check_password(None, 0.0)) is (PermissionDenied if strict else None)
    assert refusal(lambda: policy(level=level, password="x").check_password(None, 0.0)) is PermissionDenied


def test_a_guest_without_sound() -> None:
    assert {kind for kind, _ in policy(sound=False).channels()} == {DISPLAY, CURSOR, INPUTS}


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_decides_whether_a_session_can_come_from_another_server(level: str) -> None:
    alone = level in ("0.4", "0.6", "0.8", "0.6.4")
    coming = refusal(lambda: policy(level=level).check_session(request(MAIN, session=1)))
    assert coming is (BadConnectionId if alone else None)
