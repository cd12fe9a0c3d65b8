"""What our servers say in a migration is what QEMU said in the recorded ones, byte for byte where nothing differs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from spiceemu.guest.machine import Guest
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.framing import MAX_SERVER_BODY, FrameReader
from spiceemu.protocol.levels.level import CURRENT, MigrationScheme
from spiceemu.protocol.messages import base, display, main
from spiceemu.protocol.messages.migrate_data import DisplayData
from spiceemu.sessions.destination import Destination
from spiceemu.sessions.migration import Arrival, Departure

from ..channels.painter import Canvas
from ..protocol import captures
from .wire import CLIENTS, CURSOR, DISPLAY, INPUTS, MAIN, Wire

SOURCE, TARGET = "0.15.1/qemu__migration-seamless-source", "0.15.1/qemu__migration-seamless-target"
SEMI_SOURCE, SEMI_TARGET = "0.15.1/qemu__migration-semi-source", "0.15.1/qemu__migration-semi-target"
SEMI, SEAMLESS, SWITCH_HOST = MigrationScheme.SEMI_SEAMLESS, MigrationScheme.SEAMLESS, MigrationScheme.SWITCH_HOST
MIGRATE, DATA, PING = 1, 2, 4
THERE = Destination("127.0.0.1", 5983)  # where QEMU's client was sent


def recorded(session: str, kind: ChannelType) -> list[tuple[int, bytes]]:
    """Ids and bodies of what QEMU said on a channel; of several of a type, on the one that said most."""
    found: list[list[tuple[int, bytes]]] = []
    for expected in captures.expectations()[session]:
        client, server = (captures.stream(session, expected.connection, way) for way in ("c2s", "s2c"))
        assert client is not None
        made = captures.connection(client, server)
        if made.channel_type == kind:
            assert made.server is not None
            frames = FrameReader(mini=made.mini, max_body=MAX_SERVER_BODY).receive_data(made.server)
            found.append([(number, body) for number, body, _ in frames])
    return max(found, key=len)


def body_of(session: str, kind: ChannelType, number: int) -> bytes:
    """The only body of this id."""
    (body,) = (body for each, body in recorded(session, kind) if each == number)
    return body


def ids_of(session: str, kind: ChannelType) -> list[int]:
    """The ids without PINGs, which depend on the time."""
    return [number for number, _ in recorded(session, kind) if number != PING]


def ours(wire: Wire, kind: ChannelType) -> list[tuple[int, bytes]]:
    """The same of what our server said."""
    wire.pump()
    return [(message.spec.ids["server"], message.build()) for message in wire.lines[kind, 0].conversation.received]


def our_ids(wire: Wire, kind: ChannelType) -> list[int]:
    return [number for number, _ in ours(wire, kind) if number != PING]


def source() -> Wire:
    """A client at a server without an agent, as QEMU's was; it names the sizes of the recorded one."""
    wire = Wire(Guest(sizes=[(720, 400)], agent=False), CURRENT, CLIENTS["spice-gtk-0.42"])
    recorded_init = DisplayData.parse(body_of(SOURCE, DISPLAY, DATA))
    window = recorded_init.glz_dict_data.size
    wire.connect(init=display.Init(1, recorded_init.pixmap_cache_size, 1, window))
    return wire


def target() -> Wire:
    """A client that has linked its channels to a server."""
    arrival = Arrival(held=False, followed=False, now=0.0)
    guest = Guest(sizes=[(720, 400)], agent=False)
    wire = Wire(guest, CURRENT, CLIENTS["spice-gtk-0.42"], arrival=arrival)
    for kind, number in [(MAIN, 0), *wire.policy.channels()]:
        wire.link(kind, number)
    return wire


def handed_over() -> Wire:
    """A client that has got the state of its channels."""
    wire = source()
    wire.session.departure = departure = Departure(wire.session.channels, THERE, SEAMLESS)
    wire.say(MAIN, 0, main.MigrateConnectedSeamless())
    departure.leave()
    for kind in (MAIN, DISPLAY, INPUTS):
        wire.say(kind, 0, base.MigrateFlushMark())
    departure.hand_over()
    return wire


def test_begin() -> None:
    for scheme, session, number in ((SEMI, SEMI_SOURCE, 101), (SEAMLESS, SOURCE, 116)):
        wire = source()
        Departure(wire.session.channels, THERE, scheme)
        assert ours(wire, MAIN)[-1] == (number, body_of(session, MAIN, number))


def test_end() -> None:
    wire = source()
    Departure(wire.session.channels, THERE, SEMI).leave()
    assert ours(wire, MAIN)[-1] == (112, body_of(SEMI_SOURCE, MAIN, 112))


def test_switch_host_is_laid_out_as_begin() -> None:
    assert THERE.switch().build() == body_of(SEMI_SOURCE, MAIN, 101)
    whole = Destination("127.0.0.1", 5983, 5984, "CN=a")
    assert whole.switch().build() == main.MigrateBegin(whole.info()).build()


@pytest.mark.parametrize(
    "kind", [MAIN, DISPLAY, INPUTS, CURSOR, ChannelType.PLAYBACK, ChannelType.RECORD], ids=lambda kind: kind.name
)
def test_migrate_asks_for_the_same(kind: ChannelType) -> None:
    wire = handed_over()
    theirs, mine = recorded(SOURCE, kind), ours(wire, kind)
    place = [number for number, _ in theirs].index(MIGRATE)
    our_place = [number for number, _ in mine].index(MIGRATE)
    assert mine[our_place] == theirs[place]
    assert [number for number, _ in mine[our_place:]] == [number for number, _ in theirs[place:]]


def test_the_state_of_main_and_inputs() -> None:
    wire = handed_over()
    for kind, size in ((MAIN, 65), (INPUTS, 10)):
        assert ours(wire, kind)[-1] == (DATA, body_of(SOURCE, kind, DATA))
        assert len(ours(wire, kind)[-1][1]) == size


def test_the_state_of_display() -> None:
    """All is the same but the serial and the last picture of a dictionary that we do not use."""
    said, mine = recorded(SOURCE, DISPLAY), ours(handed_over(), DISPLAY)
    theirs = DisplayData.parse(said[-1][1])
    state = DisplayData.parse(mine[-1][1])
    assert theirs.message_serial == len(said)
    assert state.message_serial == len(mine)
    dictionary = replace(state.glz_dict_data, last_image_id=theirs.glz_dict_data.last_image_id)
    assert replace(state, message_serial=theirs.message_serial, glz_dict_data=dictionary).build() == said[-1][1]
    assert len(mine[-1][1]) == 88


def test_a_display_without_surfaces_is_four_bytes_shorter() -> None:
    """As QEMU's second one was, to which no driver had come."""
    sizes = {
        len(body)
        for expected in captures.expectations()[SOURCE]
        for number, body in messages(expected.connection)
        if number == DATA and body.startswith(b"DCMD")
    }
    assert sizes == {84, 88}
    wire = Wire(Guest(sizes=[(720, 400)]), CURRENT, CLIENTS["spice-gtk-0.42"])
    wire.link(MAIN, 0)
    wire.link(DISPLAY, 0)
    assert len(wire.session.channel(DISPLAY).migrate_data()) == 84


def messages(connection: str) -> list[tuple[int, bytes]]:
    client, server = (captures.stream(SOURCE, connection, way) for way in ("c2s", "s2c"))
    assert client is not None
    made = captures.connection(client, server)
    assert made.server is not None
    frames = FrameReader(mini=made.mini, max_body=MAX_SERVER_BODY).receive_data(made.server)
    return [(number, body) for number, body, _ in frames]


def test_what_a_semi_seamless_target_says_first() -> None:
    wire = target()
    wire.say(MAIN, 0, main.MigrateEnd())
    wire.say(DISPLAY, 0, display.Init(1, 1 << 20, 1, 1 << 20))
    assert our_ids(wire, MAIN) == ids_of(SEMI_TARGET, MAIN)
    assert our_ids(wire, INPUTS) == ids_of(SEMI_TARGET, INPUTS)[:1]
    assert our_ids(wire, CURSOR)[:2] == ids_of(SEMI_TARGET, CURSOR)[:2]
    ours_at_display = our_ids(wire, DISPLAY)
    assert ours_at_display[:3] == ids_of(SEMI_TARGET, DISPLAY)[:3]
    assert ours_at_display[-2:] == ids_of(SEMI_TARGET, DISPLAY)[4:6]  # heads and MARK, behind the picture


def test_what_a_seamless_target_says_first() -> None:
    wire = target()
    wire.lines[DISPLAY, 0].painter.surfaces[0] = Canvas(720, 400)
    wire.say(MAIN, 0, main.MigrateDstDoSeamless(1))
    for kind in (MAIN, DISPLAY, INPUTS):
        wire.say(kind, 0, base.MigrateData(body_of(SOURCE, kind, DATA)))
    assert our_ids(wire, MAIN) == ids_of(TARGET, MAIN)
    assert our_ids(wire, INPUTS) == ids_of(TARGET, INPUTS)[:1]
    assert our_ids(wire, CURSOR)[:1] == ids_of(TARGET, CURSOR)[:1]
    assert our_ids(wire, DISPLAY)[:3] == ids_of(TARGET, DISPLAY)[:3]
