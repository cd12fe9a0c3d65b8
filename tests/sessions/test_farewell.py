"""What becomes of a client whose channels go one by one, without any socket."""

from __future__ import annotations

import pytest

from spiceemu.channels.shared import Shared
from spiceemu.channels.table import CHANNELS, offered
from spiceemu.events import ChannelClosed, Event, ServerFailed
from spiceemu.guest.machine import Guest
from spiceemu.protocol.capabilities import ChannelType, MainCap
from spiceemu.protocol.levels.level import CURRENT, MigrationScheme
from spiceemu.protocol.messages import inputs
from spiceemu.sessions.destination import Destination
from spiceemu.sessions.farewell import Verdict
from spiceemu.sessions.migration import Departure, DepartureState
from spiceemu.sessions.session import Session

from ..channels.far_side import Conversation, Wake, linked

MAIN, DISPLAY, INPUTS, CURSOR = ChannelType.MAIN, ChannelType.DISPLAY, ChannelType.INPUTS, ChannelType.CURSOR
THERE = Destination("there", 5930)
SEAMLESS = MigrationScheme.SEAMLESS
KEY_DOWN = Conversation(INPUTS, mini=True).frame(inputs.KeyDown(0x1E))


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def session(told: list[Event]) -> Session:
    """A client with main, a display, its cursor, and inputs."""
    guest = Guest(sizes=[(64, 48)], sound=False)
    made = Session(Shared(guest, session_id=7, offered=offered(CHANNELS, guest, CURRENT), now=0.0), told.append)
    for kind in (MAIN, DISPLAY, CURSOR, INPUTS):
        made.open(linked(kind, capabilities=tuple(MainCap) if kind is MAIN else ()), Wake(), 0.0)
    return made


def end(session: Session, kind: ChannelType, reason: str = "") -> tuple[Verdict, str]:
    return tuple(session.channel_ended(session.channels[kind, 0], reason, 1.0))  # type: ignore[return-value]


def test_other_channels_go_on_without_one(session: Session, told: list[Event]) -> None:
    assert end(session, CURSOR, "cut") == (Verdict.STAY, "")
    assert told[-1] == ChannelClosed(CURSOR, 0)
    assert told[-1].reason == "cut"  # type: ignore[attr-defined]
    assert (CURSOR, 0) not in session.channels


def test_without_main_a_client_is_gone(session: Session) -> None:
    assert end(session, MAIN, "cut") == (Verdict.GONE, "cut")


def test_keys_are_released_with_inputs_but_not_with_another_channel(session: Session) -> None:
    session.receive(session.channels[INPUTS, 0], KEY_DOWN, 0.0)
    end(session, DISPLAY)
    assert session.guest.keyboard.held == {0x1E}
    end(session, INPUTS)
    assert not session.guest.keyboard.held


@pytest.mark.parametrize("scheme", [MigrationScheme.SWITCH_HOST, MigrationScheme.SEMI_SEAMLESS])
def test_a_client_that_leaves_is_heard_out_and_has_gone_on_with_its_last_channel(
    session: Session, scheme: MigrationScheme
) -> None:
    session.departure = departure = Departure(session.channels, THERE, scheme)
    departure.leave()
    assert end(session, DISPLAY) == (Verdict.STAY, "")
    assert end(session, MAIN) == (Verdict.HEAR_OUT, "")
    assert end(session, CURSOR) == (Verdict.STAY, "")
    assert end(session, INPUTS) == (Verdict.GONE, "it went on at there")


def test_a_seamless_client_that_has_its_states_is_closed_when_only_main_is_left(session: Session) -> None:
    session.departure = departure = Departure(session.channels, THERE, SEAMLESS)
    departure.leave()
    departure.hand_over()
    assert end(session, DISPLAY) == (Verdict.STAY, "")
    assert end(session, CURSOR) == (Verdict.STAY, "")
    assert end(session, INPUTS) == (Verdict.CLOSE, "")
    assert end(session, MAIN) == (Verdict.GONE, "it went on at there")


def test_a_seamless_client_that_leaves_without_its_states_is_lost(session: Session) -> None:
    session.departure = departure = Departure(session.channels, THERE, SEAMLESS)
    departure.leave()
    for kind in (DISPLAY, CURSOR, INPUTS):
        assert end(session, kind) == (Verdict.STAY, "")
    assert end(session, MAIN) == (Verdict.GONE, "it was lost on its way to there")


def test_one_that_was_only_asked_is_gone_with_main_as_ever(session: Session) -> None:
    session.departure = Departure(session.channels, THERE, SEAMLESS)
    assert end(session, MAIN, "cut") == (Verdict.GONE, "cut")


class Broken(Exception):
    """Something of ours that raises."""


def test_a_session_lets_go_of_everything_whatever_raises(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    done = []

    def close() -> None:
        done.append("close")
        raise Broken("close")

    monkeypatch.setattr(session.agent, "close", close)
    monkeypatch.setattr(session.agent, "leave", lambda: done.append("leave"))
    with pytest.raises(Broken, match=r"^close$"):
        session.close()
    assert done == ["close", "leave"]
    assert not session.channels


def test_a_session_releases_everything_whatever_raises(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    left = []
    monkeypatch.setattr(session.agent, "leave", lambda: left.append(True))
    session.guest.press_button(1, 1)
    session.receive(session.channels[INPUTS, 0], KEY_DOWN, 0.0)

    def observe(_event: object) -> None:
        raise Broken("observer")

    session.guest.subscribe(observe)
    with pytest.raises(Broken, match=r"^observer\n"):
        session.release()
    assert (session.guest.keyboard.held, session.guest.pointer.buttons, left) == (set(), 0, [True])


def test_a_channel_that_cannot_be_closed_is_forgotten(
    session: Session, told: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = session.channels[INPUTS, 0]
    session.receive(channel, KEY_DOWN, 0.0)

    def close() -> None:
        raise Broken("close")

    monkeypatch.setattr(channel, "close", close)
    assert end(session, INPUTS) == (Verdict.STAY, "")
    assert (INPUTS, 0) not in session.channels
    assert not session.guest.keyboard.held
    assert [type(event) for event in told[-2:]] == [ServerFailed, ChannelClosed]


def test_what_main_cannot_say_of_inputs_is_the_failure_of_main(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = Broken("notify")

    def notify(*_: object) -> None:
        raise error

    head = session.main
    monkeypatch.setattr(head, "notify", notify)
    end(session, INPUTS)
    session.open(linked(INPUTS), Wake(), 0.0)
    assert (INPUTS, 0) in session.channels
    with pytest.raises(Broken):
        head.data_to_send()


def test_a_departure_without_a_client_can_be_cancelled(session: Session) -> None:
    departure = Departure(session.channels, THERE, SEAMLESS)
    end(session, MAIN)
    departure.cancel()
    assert departure.state is DepartureState.CANCELLED
