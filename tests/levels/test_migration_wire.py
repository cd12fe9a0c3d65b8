"""Migrations by function calls: both state machines row by row, and all that a client may say at the wrong time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from spiceemu.channels.channel import Channel
from spiceemu.channels.display import DisplayChannel
from spiceemu.channels.main import MainChannel
from spiceemu.channels.migration import MAX_PARKED, ParkedChannel, ParkedFault
from spiceemu.channels.view import window_of
from spiceemu.errors import (
    IllegalMessage,
    InvalidValue,
    LimitExceeded,
    MalformedMessage,
    NotCompatible,
    RemoteError,
    UnknownMessage,
)
from spiceemu.events import ClientArrived, KeyDown, KeyUp, MigrationConnected, MigrationFailed
from spiceemu.guest.machine import Guest
from spiceemu.guest.state import load, save
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.enums import MigrateFlags, MouseMode
from spiceemu.protocol.levels.level import CURRENT, LEVELS, Level, MigrationScheme, changed, level_of
from spiceemu.protocol.messages import base, display, inputs, main
from spiceemu.protocol.messages.message import Message
from spiceemu.protocol.messages.migrate_data import (
    DisplayData,
    InputsData,
    MainData,
    MigrateDataHeader,
    SpicevmcData,
    SurfacesAtClient,
)
from spiceemu.sessions.destination import Destination, choose_scheme
from spiceemu.sessions.migration import ARRIVAL_TIMEOUT, Arrival, ArrivalState, Departure, DepartureState

from ..channels.far_side import handled
from .script import Step, do, steps
from .wire import CLIENTS, CURSOR, DISPLAY, INPUTS, MAIN, SESSION_ID, RealClient, Wire

SEMI, SEAMLESS, SWITCH_HOST = MigrationScheme.SEMI_SEAMLESS, MigrationScheme.SEAMLESS, MigrationScheme.SWITCH_HOST
ASKED, CONNECTED, UNCONNECTED = DepartureState.ASKED, DepartureState.CONNECTED, DepartureState.UNCONNECTED
LEAVING, CANCELLED = DepartureState.LEAVING, DepartureState.CANCELLED

THERE = Destination("there", 5930)
GTK = CLIENTS["spice-gtk-0.42"]
SIZES = [(40, 30), (24, 36)]
NOTHING: Any = None
TEXT: Any = "5"
WITH_STATE = MAIN, DISPLAY, INPUTS


def connected(level: str = "0.15.1", client: RealClient = GTK, sizes: Iterable[tuple[int, int]] = SIZES) -> Wire:
    """A client with all its channels at a source."""
    wire = Wire(Guest(sizes=list(sizes)), level_of(level), client)
    wire.connect()
    return wire


def departing(scheme: MigrationScheme, wire: Wire | None = None) -> tuple[Wire, Departure]:
    """A client that was told where to go, as far as the scheme tells it."""
    wire = connected() if wire is None else wire
    wire.session.departure = departure = Departure(wire.session.channels, THERE, scheme)
    return wire, departure


def parked(
    *, level: Level = CURRENT, held: bool = False, alone: bool = True, guest: Guest | None = None, now: float = 0.0
) -> Wire:
    """A client that has linked its channels to a target."""
    guest = guest or Guest(sizes=SIZES)
    wire = Wire(guest, level, GTK, arrival=Arrival(held=held, followed=False, now=now), alone=alone)
    for kind, number in [(MAIN, 0), *wire.policy.channels()]:
        wire.link(kind, number)
    return wire


def resuming(**options: Any) -> Wire:
    """The same, once it has asked for its channels to go on, and may send what they were."""
    wire = parked(**options)
    wire.say(MAIN, 0, main.MigrateDstDoSeamless(1))
    wire.pump()
    return wire


def arrival_of(wire: Wire) -> Arrival:
    assert wire.session.arrival is not None
    return wire.session.arrival


def sent(wire: Wire, kind: ChannelType = MAIN, number: int = 0) -> list[Message]:
    """All that the server has said on a channel."""
    wire.pump()
    return wire.lines[kind, number].conversation.received


def last(wire: Wire, kind: ChannelType = MAIN) -> Message:
    return sent(wire, kind)[-1]


# --- which scheme -----------------------------------------------------------------------------------------------------

V10, V12, NEW = "0.10", "0.12", "0.15.1"


@pytest.mark.parametrize(
    ("source", "target", "client", "alone", "scheme"),
    [
        ("0.4", NEW, "spice-gtk-0.42", True, SWITCH_HOST),
        ("0.6", NEW, "spice-gtk-0.42", True, SWITCH_HOST),
        ("0.8", NEW, "spice-gtk-0.42", True, SWITCH_HOST),
        ("0.8.3", NEW, "spice-gtk-0.42", True, SEMI),
        ("0.8.3", NEW, "spicec-0.8", True, SEMI),
        ("0.8.3", NEW, "spicec-0.6", True, SWITCH_HOST),
        (V10, NEW, "spice-gtk-0.42", True, SEMI),
        (V12, NEW, "spice-gtk-0.42", True, SEAMLESS),
        (NEW, NEW, "spice-gtk-0.42", True, SEAMLESS),
        (NEW, None, "spice-gtk-0.42", True, SEAMLESS),
        (NEW, NEW, "spice-gtk-0.42", False, SEMI),
        (NEW, V10, "spice-gtk-0.42", True, SEMI),
        (NEW, "0.8", "spice-gtk-0.42", True, SWITCH_HOST),
        (NEW, NEW, "spicec-0.8", True, SEMI),
        (NEW, NEW, "spice-gtk-0.7", True, SWITCH_HOST),
        (NEW, NEW, "spicec-0.6", True, SWITCH_HOST),
    ],
)
def test_the_best_scheme_that_all_have(
    source: str, target: str | None, client: str, alone: bool, scheme: MigrationScheme
) -> None:
    wire = connected(source, CLIENTS[client])
    there = None if target is None else level_of(target)
    assert choose_scheme(wire.session.level, there, wire.session.main, alone=alone) is scheme


def test_a_release_that_moves_nobody_says_so() -> None:
    wire = connected("0.6.4")
    with pytest.raises(NotCompatible, match=r"^level 0\.6\.4 has no migration: WITHOUT_MIGRATION$"):
        choose_scheme(wire.session.level, None, wire.session.main, alone=True)


@pytest.mark.parametrize("level", [name for name in LEVELS if name != "0.6.4"])
@pytest.mark.parametrize("client", CLIENTS)
def test_every_level_can_say_what_it_chooses(level: str, client: str) -> None:
    """No gate stands in the way of a scheme, of its cancelling, or of what ends it."""
    for cancelled in (False, True):
        wire = connected(level, CLIENTS[client])
        scheme = choose_scheme(wire.session.level, None, wire.session.main, alone=True)
        _, departure = departing(scheme, wire)
        if cancelled:
            departure.cancel()
        else:
            if scheme is not SWITCH_HOST:
                wire.say(MAIN, 0, main.MigrateConnected())
            departure.leave()
        expected = {SEMI: main.MigrateEnd, SEAMLESS: main.MigrateEnd, SWITCH_HOST: main.MigrateSwitchHost}
        if not cancelled:
            assert isinstance(last(wire), expected[scheme])
        elif scheme is not SWITCH_HOST:
            assert isinstance(last(wire), main.MigrateCancel)


@pytest.mark.parametrize(
    ("destination", "text"),
    [
        (Destination("", 1), "destination.host: is empty"),
        (Destination("a\0b", 1), "destination.host: has a NUL, where clients take it to end"),
        (Destination("\udcff", 5), "destination.host: is not valid Unicode (surrogates not allowed)"),
        (Destination("x" * 256, 5), "destination.host: has 256 bytes, the limit is 255"),
        (Destination(NOTHING, 5), "destination.host: None is not text"),
        (
            Destination("a", 1, cert_subject="CN=\0"),
            "destination.cert_subject: has a NUL, where clients take it to end",
        ),
        (
            Destination("a", 1, cert_subject="\udc80"),
            "destination.cert_subject: is not valid Unicode (surrogates not allowed)",
        ),
        (Destination("a", 1, cert_subject="x" * 4097), "destination.cert_subject: has 4097 bytes, the limit is 4096"),
        (Destination("a"), "destination.port: neither this nor a TLS port is given"),
        (Destination("a", 0), "destination.port: 0 is not one of 1 to 65534"),
        (Destination("a", TEXT), "destination.port: '5' is not one of 1 to 65534"),
        (Destination("a", True), "destination.port: True is not one of 1 to 65534"),
        (Destination("a", 1, 0xFFFF), "destination.tls_port: 65535 is not one of 1 to 65534"),
    ],
)
def test_a_destination_that_no_message_can_hold(destination: Any, text: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        destination.check()
    assert str(caught.value) == text


def all_secure(wire: Wire) -> bool:
    """Whether all of a client's channels came over TLS."""
    return all(channel.secure for channel in wire.session.channels.values())


def test_a_client_of_tls_alone_is_told_of_no_other_port() -> None:
    """spice-gtk tries a plain port first, and takes 65535 for one."""
    both = Destination("there", 1, 2, "CN=x")
    wire = connected()
    assert both.for_client(secure=all_secure(wire)) == both
    for channel in wire.session.channels.values():
        channel.secure = True
    told = both.for_client(secure=all_secure(wire))
    assert (told.info().port, told.info().sport) == (0, 2)
    assert (told.switch().port, told.switch().sport) == (0, 2)
    assert THERE.for_client(secure=all_secure(wire)) == THERE
    assert (THERE.info().port, THERE.info().sport) == (5930, 0xFFFF)


# --- the way out, row by row ------------------------------------------------------------------------------------------


def test_switch_host_is_said_when_the_guest_has_moved_and_not_before() -> None:
    wire, departure = departing(SWITCH_HOST)
    before = len(sent(wire))
    assert departure.state is UNCONNECTED
    departure.leave()
    assert departure.is_leaving
    assert not departure.takes_keys
    assert [*sent(wire)[before:]] == [THERE.switch()]


def test_semi_seamless_from_begin_to_end() -> None:
    wire, departure = departing(SEMI)
    assert departure.state is ASKED
    assert last(wire) == main.MigrateBegin(THERE.info())
    wire.say(MAIN, 0, main.MigrateConnected())
    assert departure.state is CONNECTED
    assert wire.events[-1] == MigrationConnected(SEMI)
    departure.leave()
    assert departure.takes_keys
    assert isinstance(last(wire), main.MigrateEnd)


def test_seamless_from_begin_to_the_state_of_every_channel() -> None:
    wire, departure = departing(SEAMLESS)
    assert last(wire) == main.MigrateBeginSeamless(THERE.info(), 1)
    wire.say(MAIN, 0, main.MigrateConnectedSeamless())
    assert wire.events[-1] == MigrationConnected(SEAMLESS)
    departure.leave()
    both = MigrateFlags.NEED_FLUSH | MigrateFlags.NEED_DATA_TRANSFER
    for kind, number in wire.lines:
        assert last(wire, kind) == base.Migrate(both if kind in WITH_STATE else 0), (kind, number)
    assert not departure.has_flushed
    marked = [key for key in wire.lines if key[0] in WITH_STATE]
    for kind, number in marked:
        assert not departure.has_flushed
        wire.say(kind, number, base.MigrateFlushMark())
    assert departure.has_flushed
    assert not departure.has_handed_over
    departure.hand_over()
    assert departure.has_handed_over
    for kind, number in wire.lines:
        assert isinstance(sent(wire, kind, number)[-1], base.MigrateData if kind in WITH_STATE else base.Migrate)


def test_one_display_channel_speaks_for_the_cache() -> None:
    wire, departure = departing(SEAMLESS)
    departure.leave()
    departure.hand_over()
    for number in (0, 1):
        data = sent(wire, DISPLAY, number)[-1]
        assert isinstance(data, base.MigrateData)
        assert bool(DisplayData.parse(data.data).pixmap_cache_freezer) is (number == 0)


def test_a_target_that_said_no_makes_it_semi_seamless() -> None:
    wire, departure = departing(SEAMLESS)
    wire.say(MAIN, 0, main.MigrateConnected())
    assert (departure.scheme, departure.state) == (SEMI, CONNECTED)
    assert wire.events[-1] == MigrationConnected(SEMI)
    departure.leave()
    assert isinstance(last(wire), main.MigrateEnd)
    assert not wire.session.main.frozen


@pytest.mark.parametrize("scheme", [SEMI, SEAMLESS])
def test_a_client_that_cannot_link_is_sent_there_in_the_end(scheme: MigrationScheme) -> None:
    wire, departure = departing(scheme)
    wire.say(MAIN, 0, main.MigrateConnectError())
    assert (departure.scheme, departure.state) == (SWITCH_HOST, UNCONNECTED)
    assert isinstance(wire.events[-1], MigrationFailed)
    departure.leave()
    assert last(wire) == THERE.switch()


@pytest.mark.parametrize("scheme", [SEMI, SEAMLESS])
def test_who_is_linked_too_late_hears_of_it(scheme: MigrationScheme) -> None:
    wire, departure = departing(scheme)
    departure.give_up("too late")
    for late in (main.MigrateConnected(), main.MigrateConnectedSeamless()):
        wire.say(MAIN, 0, late)
        assert isinstance(last(wire), main.MigrateCancel)
    assert departure.state is UNCONNECTED
    departure.leave()
    assert last(wire) == THERE.switch()


@pytest.mark.parametrize("scheme", [SEMI, SEAMLESS, SWITCH_HOST])
@pytest.mark.parametrize("state", [ASKED, CONNECTED, LEAVING])
def test_a_cancelled_client_stays_if_it_may(scheme: MigrationScheme, state: DepartureState) -> None:
    wire, departure = departing(scheme)
    if state is not ASKED and scheme is not SWITCH_HOST:
        wire.say(MAIN, 0, main.MigrateConnectedSeamless())
    if state is LEAVING:
        departure.leave()
    before = len(sent(wire))
    departure.cancel()
    assert departure.state is CANCELLED
    assert not departure.takes_keys
    told = [main.MigrateCancel()] if scheme is not SWITCH_HOST and state is not LEAVING else []
    assert sent(wire)[before:] == told


@pytest.mark.parametrize("level", [name for name in LEVELS if name != "0.6.4"])
def test_an_answer_that_nobody_asked_for(level: str) -> None:
    wire = connected(level)
    before = len(sent(wire))
    wire.say(MAIN, 0, main.MigrateConnectError())
    assert sent(wire)[before:] == []
    wire.say(MAIN, 0, main.MigrateConnected())
    assert sent(wire)[before:] == [main.MigrateCancel()]


def test_two_migrations_one_after_the_other() -> None:
    wire, first = departing(SEMI)
    wire.say(MAIN, 0, main.MigrateConnected())
    first.cancel()
    _, second = departing(SEAMLESS, wire)
    wire.say(MAIN, 0, main.MigrateConnectedSeamless())
    assert (first.state, second.state) == (CANCELLED, CONNECTED)


@pytest.mark.parametrize(
    ("scheme", "held"), [(SWITCH_HOST, False), (SEMI, True), (SEAMLESS, True)], ids=lambda it: str(it)
)
def test_a_held_key_stays_held_where_the_session_goes_on(scheme: MigrationScheme, held: bool) -> None:
    wire = connected()
    wire.say(INPUTS, 0, inputs.KeyDown(0x1E), inputs.MousePress(1, 1))
    _, departure = departing(scheme, wire)
    if scheme is not SWITCH_HOST:
        wire.say(MAIN, 0, main.MigrateConnectedSeamless())
    departure.leave()
    for line in wire.lines.values():
        assert isinstance(line.channel, Channel)
        wire.session.close_channel(line.channel)
    assert wire.session.guest.keyboard.held == ({0x1E} if held else set())
    assert bool(wire.session.guest.pointer.buttons) is held


# --- after MIGRATE there is only MIGRATE_DATA -------------------------------------------------------------------------


def test_what_nobody_asked_for() -> None:
    wire = connected()
    for kind in (MAIN, DISPLAY, INPUTS, CURSOR):
        name = kind.name.lower()
        with pytest.raises(IllegalMessage, match=rf"^{name}:0: base\.MigrateFlushMark\(\) that nobody asked for$"):
            wire.say(kind, 0, base.MigrateFlushMark())
        if kind is CURSOR:  # which has no state to take: spice-server does not look
            wire.say(kind, 0, base.MigrateData(b""))
            continue
        with pytest.raises(IllegalMessage, match=rf"^{name}:0: base\.MigrateData that nobody waits for$"):
            wire.say(kind, 0, base.MigrateData(b""))


def test_a_mark_once_and_only_where_it_was_asked() -> None:
    wire, departure = departing(SEAMLESS)
    wire.say(MAIN, 0, main.MigrateConnectedSeamless())
    departure.leave()
    wire.say(INPUTS, 0, base.MigrateFlushMark())
    for kind in (INPUTS, CURSOR):
        with pytest.raises(IllegalMessage, match="nobody asked for"):
            wire.say(kind, 0, base.MigrateFlushMark())


def test_a_key_before_the_mark_counts() -> None:
    wire, departure = departing(SEAMLESS)
    wire.say(MAIN, 0, main.MigrateConnectedSeamless())
    departure.leave()
    wire.say(INPUTS, 0, inputs.KeyDown(0x1E), inputs.KeyUp(0x9E), base.MigrateFlushMark())
    assert wire.events[-2:] == [KeyDown(0x1E), KeyUp(0x1E)]


TEST_CALLS: dict[str, Callable[[Wire], object]] = {
    "notify": lambda wire: wire.session.main.notify("text", 0.0),
    "mouse mode": lambda wire: wire.session.set_mouse_mode(
        MouseMode.CLIENT if wire.session.shared.mouse_mode == MouseMode.SERVER else MouseMode.SERVER
    ),
    "clock": lambda wire: wire.session.main.set_multi_media_time(1),
    "agent gone": lambda wire: wire.session.agent.set_connected(False),
    "agent come": lambda wire: wire.session.agent.set_connected(True),
    "forget": lambda wire: wire.session.invalidate_caches(),
    "mark": lambda wire: wire.session.mark(1, 0.0),
    "ping": lambda wire: [each.ping(0.0) for each in wire.session.channels.values()],
    "clipboard": lambda wire: wire.session.guest.clipboard.set_text("text"),
    "locks": lambda wire: wire.session.guest.set_locks(7),
}


def test_calls() -> st.SearchStrategy[str]:
    return st.sampled_from(sorted(TEST_CALLS))


test_calls.__test__ = False  # type: ignore[attr-defined]


@given(before=st.lists(steps(), max_size=20), after=st.lists(st.one_of(steps(), test_calls()), max_size=20))
@settings(max_examples=100)
def test_nothing_follows_but_the_state(before: list[Step], after: list[Step | str]) -> None:
    wire, departure = departing(SEAMLESS)
    wire.say(MAIN, 0, main.MigrateConnectedSeamless())
    for step in before:
        do(wire, wire.session.guest, step)
    departure.leave()
    for line in list(wire.lines.values()):
        line.conversation.answering = False
    for step in after:
        if isinstance(step, str):
            TEST_CALLS[step](wire)
        else:
            do(wire, wire.session.guest, step)
    departure.hand_over()
    for step in after:
        if isinstance(step, str):
            TEST_CALLS[step](wire)
    for kind, number in wire.lines:
        said = sent(wire, kind, number)
        place = next(index for index, message in enumerate(said) if isinstance(message, base.Migrate))
        assert [type(each) for each in said[place + 1 :]] == ([base.MigrateData] if kind in WITH_STATE else [])


# --- the way in -------------------------------------------------------------------------------------------------------


def test_a_parked_client_is_told_nothing_and_begins_with_its_session() -> None:
    wire = parked()
    wire.pump()
    assert all(line.conversation.received == [] for line in wire.lines.values())
    assert wire.session.is_arriving
    wire.say(MAIN, 0, main.MigrateEnd())
    assert wire.events == [ClientArrived(SEMI)]
    first = sent(wire)[0]
    assert isinstance(first, main.Init)
    assert first.session_id == SESSION_ID
    # As a real server: the client has the guest's name, and asks for no list.
    assert not any(isinstance(each, main.Name | main.Uuid | main.ChannelsList | base.Ping) for each in sent(wire))
    wire.say(DISPLAY, 0, display.Init(1, 1 << 20, 1, 1 << 20))
    assert wire.lines[DISPLAY, 0].painter.marked or [*sent(wire, DISPLAY)]
    assert wire.lines[DISPLAY, 0].painter.primary.pixels == wire.session.guest.displays[0].screenshot().pixels


def test_what_was_said_while_parked_counts_once_it_begins() -> None:
    wire = parked()
    wire.say(DISPLAY, 0, display.Init(1, 1 << 20, 1, 1 << 20))
    wire.say(INPUTS, 0, inputs.KeyDown(0x1E))
    assert wire.events == []
    wire.say(MAIN, 0, main.MigrateEnd())
    assert KeyDown(0x1E) in wire.events
    wire.pump()
    assert wire.lines[DISPLAY, 0].painter.marked


def test_a_held_client_begins_when_both_are_there() -> None:
    for guest_first in (False, True):
        wire = parked(held=True)
        steps_of = [lambda w=wire: w.say(MAIN, 0, main.MigrateEnd()), lambda w=wire: let_go(w)]
        for step in reversed(steps_of) if guest_first else steps_of:
            assert wire.session.is_arriving
            step()
        assert not wire.session.is_arriving
        assert wire.events == [ClientArrived(SEMI)]


def let_go(wire: Wire) -> None:
    """The guest is there."""
    arrival_of(wire).held = False
    wire.session.begin_arrival(0.0)


def test_yes_to_seamless_opens_the_channels_and_says_nothing_else() -> None:
    wire = resuming()
    assert sent(wire) == [main.MigrateDstSeamlessAck()]
    assert arrival_of(wire).state is ArrivalState.RESUMING
    assert [type(message) for message in sent(wire, CURSOR)][:1] == [base.SetAck]
    assert [type(message) for message in sent(wire, INPUTS)] == [inputs.Init]
    assert sent(wire, DISPLAY) == []


@pytest.mark.parametrize(
    ("wire", "version"),
    [(lambda: parked(), 2), (lambda: parked(alone=False), 1)],
    ids=["another version", "another client is there"],
)
def test_no_to_seamless_leaves_semi_seamless(wire: Callable[[], Wire], version: int) -> None:
    made = wire()
    made.say(MAIN, 0, main.MigrateDstDoSeamless(version))
    assert sent(made) == [main.MigrateDstSeamlessNack()]
    assert arrival_of(made).state is ArrivalState.PARKED
    made.say(MAIN, 0, main.MigrateEnd())
    assert made.events == [ClientArrived(SEMI)]
    assert isinstance(sent(made)[1], main.Init)


def test_a_level_without_seamless_does_not_know_the_question() -> None:
    wire = parked(level=level_of("0.10"))
    with pytest.raises(UnknownMessage, match=r"main\.MigrateDstDoSeamless needs SEAMLESS_MIGRATE"):
        wire.say(MAIN, 0, main.MigrateDstDoSeamless(1))


@pytest.mark.parametrize("message", [main.MigrateEnd(), main.MigrateDstDoSeamless(1)])
@pytest.mark.parametrize("begun", ["from the first", "semi-seamless", "seamless", "about to"])
def test_a_session_begins_once(message: Message, begun: str) -> None:
    if begun == "from the first":
        wire = connected()
    elif begun == "semi-seamless":
        wire = parked()
        wire.say(MAIN, 0, main.MigrateEnd())
    else:
        wire = resuming()
        if begun == "seamless":
            wire.say(MAIN, 0, base.MigrateData(MainData().build()))
    if message == main.MigrateEnd():  # spice-server warns of it in its log
        wire.say(MAIN, 0, message)
        return
    with pytest.raises(IllegalMessage, match=r"^main:0: main\.\w+ in a session that has begun$"):
        wire.say(MAIN, 0, message)


def test_main_takes_no_state_before_it_has_agreed() -> None:
    wire = parked()
    with pytest.raises(IllegalMessage, match=r"^main:0: base\.MigrateData that nobody waits for$"):
        wire.say(MAIN, 0, base.MigrateData(MainData().build()))
    assert sent(wire) == []


def test_nothing_but_the_end_counts_on_main_before_the_session() -> None:
    wire = parked()
    wire.say(MAIN, 0, main.MouseModeRequest(MouseMode.CLIENT), main.AgentStart(10))
    wire.pump()
    assert wire.events == []
    assert wire.session.shared.mouse_mode == MouseMode.SERVER
    assert wire.session.guest.agent_client is None
    assert sent(wire) == []


@given(after=st.lists(st.one_of(steps(), test_calls()), max_size=20), asks=st.booleans())
@settings(max_examples=100)
def test_main_says_nothing_before_the_session_is_here(after: list[Step | str], asks: bool) -> None:
    wire = resuming() if asks else parked()
    said = [main.MigrateDstSeamlessAck()] if asks else []
    guest = wire.session.guest
    for step in after:
        if isinstance(step, str):
            TEST_CALLS[step](wire)
        else:
            do(wire, guest, step)
        assert sent(wire) == said
    if not asks:
        assert all(line.conversation.received == [] for line in wire.lines.values())


GOOD = {MAIN: MainData().build(), DISPLAY: DisplayData().build(), INPUTS: InputsData().build()}
MALFORMED = [
    (MAIN, b"", MalformedMessage),
    (MAIN, GOOD[DISPLAY], MalformedMessage),
    (MAIN, GOOD[MAIN][:-1], MalformedMessage),
    (MAIN, MainData(header=MigrateDataHeader(b"MNMD", 2)).build(), MalformedMessage),
    (DISPLAY, b"DCMD", MalformedMessage),
    (DISPLAY, GOOD[DISPLAY][:-4] + b"\xff\xff\xff\x7f", LimitExceeded),
    (DISPLAY, GOOD[DISPLAY][:-4] + b"\2\0\0\0\0\0", MalformedMessage),
    (DISPLAY, DisplayData(message_serial=(1 << 64) - 1).build(), LimitExceeded),
    (INPUTS, GOOD[INPUTS][:9], MalformedMessage),
    (INPUTS, SpicevmcData(header=MigrateDataHeader(b"SVMD")).build(), MalformedMessage),
]


@pytest.mark.parametrize(("kind", "data", "error"), MALFORMED)
def test_a_state_that_is_none(kind: ChannelType, data: bytes, error: type[RemoteError]) -> None:
    wire = resuming()
    with pytest.raises(error) as caught:
        wire.say(kind, 0, base.MigrateData(data))
    assert kind.name.lower() in str(caught.value)


@pytest.mark.parametrize("kind", GOOD)
def test_a_state_comes_once(kind: ChannelType) -> None:
    wire = resuming()
    wire.say(kind, 0, base.MigrateData(GOOD[kind]))
    with pytest.raises(IllegalMessage, match=r"base\.MigrateData that nobody waits for$"):
        wire.say(kind, 0, base.MigrateData(GOOD[kind]))


@pytest.mark.parametrize("mini", [True, False])
@given(
    serial=st.integers(0, 1 << 62), size=st.integers(-(1 << 63), (1 << 63) - 1), ids=st.lists(st.integers(0, 2**32 - 1))
)
@settings(max_examples=50)
def test_whatever_a_display_has_been_the_picture_is_right(mini: bool, serial: int, size: int, ids: list[int]) -> None:
    """Surfaces whose sizes nobody vouches for are destroyed, and made anew."""
    client = GTK if mini else RealClient(2, (0x5,), GTK.words)
    wire = Wire(Guest(sizes=SIZES), level_of(NEW), client, arrival=Arrival(held=False, followed=False, now=0.0))
    for kind, number in [(MAIN, 0), *wire.policy.channels()]:
        wire.link(kind, number)
    wire.say(MAIN, 0, main.MigrateDstDoSeamless(1))
    for number in set(ids):
        wire.lines[DISPLAY, 0].painter.surfaces[number] = None  # type: ignore[assignment]  # of a size unknown
    data = DisplayData(message_serial=serial, pixmap_cache_size=size, surfaces_at_client=SurfacesAtClient.of(ids))
    wire.session.guest.displays[0].fill((3, 3, 30, 20), "steelblue")
    wire.say(DISPLAY, 0, base.MigrateData(data.build()))
    wire.pump()
    assert wire.lines[DISPLAY, 0].painter.primary.pixels == wire.session.guest.displays[0].screenshot().pixels
    channel = wire.session.channel(DISPLAY)
    assert isinstance(channel, DisplayChannel)
    assert channel.serial == serial + len(sent(wire, DISPLAY))


def test_an_agent_that_the_client_does_not_know_is_announced() -> None:
    """Of a source that is none of ours; what the client has said to another's agent is not known to this one."""
    for state, expected in (
        (MainData(), [main.AgentConnectedTokens]),
        (talked_to_agent(), [main.AgentDisconnected, main.AgentConnectedTokens]),
    ):
        wire = resuming()
        wire.say(MAIN, 0, base.MigrateData(state.build()))
        assert [type(each) for each in sent(wire)] == [main.MigrateDstSeamlessAck, main.MultiMediaTime, *expected]
        assert wire.events == [ClientArrived(SEAMLESS)]


def test_who_comes_with_positions_is_in_client_mouse_mode() -> None:
    """A server that is none of ours does not say in which mode its client is."""
    wire = resuming()
    for kind, data in GOOD.items():
        wire.say(kind, 0, base.MigrateData(data))
    assert wire.session.shared.mouse_mode == MouseMode.SERVER
    sent(wire)
    wire.say(INPUTS, 0, inputs.MousePosition(3, 4, 0, 0))
    assert wire.session.shared.mouse_mode == MouseMode.CLIENT
    assert not any(isinstance(each, main.MouseMode) for each in sent(wire))


def talked_to_agent() -> MainData:
    """The state of a client that talks to an agent."""
    source = connected()
    source.say(MAIN, 0, main.AgentStart(10))
    return MainData.parse(source.session.main.migrate_data())


def test_a_parked_channel_keeps_so_much_and_no_more() -> None:
    wire = parked()
    line = wire.lines[INPUTS, 0]
    assert isinstance(line.channel, ParkedChannel)
    handled(line.channel, bytes(MAX_PARKED))
    with pytest.raises(LimitExceeded, match=rf"^inputs:0: {MAX_PARKED + 1} bytes before it begins, the limit is"):
        handled(line.channel, b"\0")


def test_what_was_wrong_while_parked_ends_that_channel_alone() -> None:
    wire = parked()
    handled(wire.lines[DISPLAY, 0].channel, b"\xff" * 18)
    wire.say(INPUTS, 0, inputs.KeyDown(0x1E))
    wire.say(MAIN, 0, main.MigrateEnd())
    faults = [event for event in wire.events if isinstance(event, ParkedFault)]
    assert [fault.channel for fault in faults] == [wire.session.channel(DISPLAY)]
    assert KeyDown(0x1E) in wire.events
    assert set(wire.session.channels) == set(wire.lines)


def test_a_client_waits_for_its_guest_so_long_and_no_longer() -> None:
    wire = parked(held=True, now=100.0)
    arrival = arrival_of(wire)
    arrival.check_time(100.0 + ARRIVAL_TIMEOUT)
    with pytest.raises(LimitExceeded, match=r"^no guest came within ARRIVAL_TIMEOUT 300 s$"):
        arrival.check_time(100.1 + ARRIVAL_TIMEOUT)
    wire.say(MAIN, 0, main.MigrateEnd())
    let_go(wire)
    arrival.check_time(1e9)


def test_a_parked_channel_that_leaves_can_come_again() -> None:
    wire = parked()
    channel = wire.lines[INPUTS, 0].channel
    wire.session.close_channel(channel)
    assert wire.session.find(INPUTS, 0) is None
    del wire.lines[INPUTS, 0]
    wire.link(INPUTS, 0)
    wire.say(MAIN, 0, main.MigrateEnd())
    assert [type(message) for message in sent(wire, INPUTS)] == [inputs.Init]


# --- both ends --------------------------------------------------------------------------------------------------------


def moved(wire: Wire, guest: Guest, level: Level = CURRENT) -> Wire:
    """Let a client go over seamlessly between two of our own: its picture and its cache go with it."""
    _, departure = departing(SEAMLESS, wire)
    wire.say(MAIN, 0, main.MigrateConnectedSeamless())
    target = resuming(held=True, guest=guest, level=level)
    departure.leave()
    for kind, number in wire.lines:
        if kind in WITH_STATE:
            wire.say(kind, number, base.MigrateFlushMark())
    load(guest, save(wire.session.guest))
    target.session.carry(wire.session.save(0.0))
    let_go(target)
    departure.hand_over()
    for kind, number in wire.lines:
        state = sent(wire, kind, number)[-1]
        target.lines[kind, number].painter = wire.lines[kind, number].painter
        if isinstance(state, base.MigrateData):
            target.say(kind, number, base.MigrateData(state.data))
    assert isinstance(target.session.main, MainChannel)
    assert not target.session.is_arriving
    return target


@given(
    before=st.lists(steps(), max_size=30), between=st.lists(steps(), max_size=15), after=st.lists(steps(), max_size=15)
)
@settings(max_examples=100)
def test_a_client_that_moves_twice_shows_what_the_guest_has(
    before: list[Step], between: list[Step], after: list[Step]
) -> None:
    wire = connected()
    for number, script in enumerate((before, between, after)):
        if number:
            wire = moved(wire, Guest(sizes=SIZES))
        for step in script:
            do(wire, wire.session.guest, step)
    wire.pump()
    for number, shown in enumerate(wire.session.guest.displays):
        assert wire.lines[DISPLAY, number].painter.primary.pixels == shown.screenshot().pixels
        assert wire.lines[DISPLAY, number].painter.marked


WITHOUT_SURFACES = changed(CURRENT, "-SURFACES")
ONE_HEAD = changed(WITHOUT_SURFACES, "-MONITORS_CONFIG")


def check_picture(wire: Wire) -> None:
    """Fail unless the client shows all that the level shows of the guest."""
    wire.pump()
    for number, shown in enumerate(wire.session.guest.displays):
        window = window_of(shown, wire.session.level)
        pixels = bytearray(shown.primary.read(window))
        pixels[3::4] = bytes(len(pixels) // 4)
        painter = wire.lines[DISPLAY, number].painter
        assert painter.primary.pixels == pixels
        assert painter.marked


@pytest.mark.parametrize("level", [WITHOUT_SURFACES, ONE_HEAD], ids=lambda level: level.name)
def test_a_surface_that_the_client_still_has_does_not_blank_the_screen(level: Level) -> None:
    """A client that is slow has not heard that its surface is gone, and of the target it cannot hear it."""
    wire = connected()
    shown = wire.session.guest.displays[0]
    surface = shown.create_surface(9, 9)
    shown.fill((0, 0, 9, 9), "blue", surface=surface)
    shown.copy_surface(surface, (0, 0, 9, 9), (5, 5))
    wire.pump()
    shown.destroy_surface(surface)
    shown.fill((20, 20, 5, 5), "red")
    there = moved(wire, Guest(sizes=SIZES), level)
    check_picture(there)
    assert not any(isinstance(each, display.Reset | display.Mode) for each in sent(there, DISPLAY))
    again = moved(there, Guest(sizes=SIZES))  # where there are surfaces, it hears of it
    check_picture(again)
    assert display.SurfaceDestroy(surface) in sent(again, DISPLAY)


@given(
    before=st.lists(steps(), max_size=20), between=st.lists(steps(), max_size=15), after=st.lists(steps(), max_size=15)
)
@settings(max_examples=50)
def test_a_retreat_and_the_way_back_keep_the_picture(
    before: list[Step], between: list[Step], after: list[Step]
) -> None:
    wire = connected()
    for number, script in enumerate((before, between, after)):
        if number:
            for shown in wire.session.guest.displays:
                for surface in [each for each in shown.surfaces if each]:
                    shown.destroy_surface(surface)
            wire = moved(wire, Guest(sizes=SIZES), WITHOUT_SURFACES if number == 1 else CURRENT)
        for step in script:
            do(wire, wire.session.guest, step)
        if number:
            check_picture(wire)
