"""A guest's table of parts: one that nobody knew of is a row more, and moves with the guest or is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from spiceemu.errors import InvalidValue
from spiceemu.guest.agent import Agent
from spiceemu.guest.clipboard import Clipboard
from spiceemu.guest.keyboard import Keyboard, LocksChanged
from spiceemu.guest.keymap import Keymap
from spiceemu.guest.machine import Guest, GuestEvent
from spiceemu.guest.parts import PARTS, PartRow, with_rows
from spiceemu.guest.state import check, load, save
from spiceemu.protocol.plain import Plain
from spiceemu.sessions import snapshot


class Thermometer:
    """An invented part: a temperature, and the bytes of a curve."""

    def __init__(self, most: int = 100) -> None:
        self.degrees = 20
        self.curve = b""
        self.most = most

    def save(self) -> dict[str, Any]:
        return {"degrees": self.degrees, "curve": self.curve}

    def load(self, state: Plain) -> Callable[[], None]:
        degrees, curve = state.fields("degrees", "curve")
        new = degrees.integer(-273, self.most), curve.data(16)

        def become() -> None:
            self.degrees, self.curve = new

        return become


THERMOMETER = PartRow("thermometer", lambda _made: Thermometer())


def thermometer_of(guest: Guest) -> Thermometer:
    found = guest.parts["thermometer"]
    assert isinstance(found, Thermometer)
    return found


def warm() -> Guest:
    """A guest with a thermometer, where something has happened to the other parts as well."""
    guest = Guest(sizes=[(8, 8)], parts=(*PARTS, THERMOMETER))
    thermometer_of(guest).degrees = 37
    thermometer_of(guest).curve = b"\1\2\3"
    guest.displays[0].fill((0, 0, 4, 4), "red")
    guest.set_locks(4)
    return guest


def assert_refused_without_change(guest: Guest, state: Any, text: str) -> None:
    before = save(guest)
    told: list[object] = []
    guest.subscribe(told.append)
    guest.cursor.subscribe(told.append)
    for display in guest.displays:
        display.subscribe(told.append)
    for refuse in (check, load):
        with pytest.raises(InvalidValue) as caught:
            refuse(guest, state)
        assert str(caught.value) == text
    assert save(guest) == before
    assert told == []


def test_the_parts_of_every_guest_are_those_of_the_table_in_the_order_of_the_plain_data() -> None:
    guest = Guest()
    names = ["displays", "keyboard", "pointer", "cursor", "clipboards", "agent"]
    assert [row.name for row in PARTS] == names == list(guest.parts)
    assert list(save(guest)) == ["name", "uuid", *names]
    assert [*guest.parts.values()] == [
        *(guest.displays, guest.keyboard, guest.pointer, guest.cursor, guest.clipboard, guest.agent)
    ]
    assert Guest(agent=False).parts["agent"] is None


def test_an_invented_part_moves_through_a_snapshot() -> None:
    source, target = warm(), Guest(sizes=[(8, 8)], parts=(*PARTS, THERMOMETER))
    state = snapshot.load(snapshot.dump({"guest": save(source)}))["guest"]
    assert state["thermometer"] == {"degrees": 37, "curve": b"\1\2\3"}
    thermometer = thermometer_of(target)
    check(target, state)
    assert thermometer.degrees == 20
    load(target, state)
    assert thermometer_of(target) is thermometer
    assert (thermometer.degrees, thermometer.curve) == (37, b"\1\2\3")
    assert save(target) == save(source)


def test_a_guest_without_the_part_refuses_it_by_name() -> None:
    assert_refused_without_change(Guest(sizes=[(8, 8)]), save(warm()), "thermometer: the guest has no thermometer")


def test_a_guest_whose_part_is_not_there_this_time_refuses_it_as_well() -> None:
    guest = Guest(sizes=[(8, 8)], parts=(*PARTS, PartRow("thermometer", lambda _made: None)))
    assert save(guest)["thermometer"] is None
    assert_refused_without_change(guest, save(warm()), "thermometer: the guest has no thermometer")


def test_a_state_without_the_part_is_refused_by_a_guest_with_it() -> None:
    state = save(Guest(sizes=[(8, 8)]))
    assert_refused_without_change(warm(), state, "state: has no field 'thermometer'")
    text = "thermometer: the guest has a thermometer, the state has none"
    assert_refused_without_change(warm(), {**state, "thermometer": None}, text)


def test_a_part_that_nobody_has_is_none() -> None:
    source, target = warm(), Guest(sizes=[(8, 8)])
    load(target, {**save(source), "thermometer": None})
    assert save(target) == {name: saved for name, saved in save(source).items() if name != "thermometer"}
    absent = {name: saved for name, saved in save(Guest(agent=False)).items() if name != "agent"}
    load(Guest(agent=False), absent)


@pytest.mark.parametrize("name", ["x" * 100, 7, b"thermometer"])
def test_what_no_part_is_called_is_refused(name: Any) -> None:
    guest = Guest(sizes=[(8, 8)])
    shown = str(name)[:40]
    assert_refused_without_change(guest, {**save(guest), name: 1}, f"{shown}: the guest has no {shown}")


def test_a_part_holds_a_state_to_its_own_limits_before_another_changes() -> None:
    guest = Guest(sizes=[(8, 8)], parts=(*PARTS, PartRow("thermometer", lambda _made: Thermometer(most=30))))
    assert_refused_without_change(guest, save(warm()), "thermometer.degrees: 37 is not one of -273 to 30")


def test_a_part_of_ones_own_stands_in_for_a_usual_one() -> None:
    own = Keymap("no keys", [])
    guest = Guest(parts=with_rows(PartRow("keyboard", lambda _made: Keyboard(own))))
    assert guest.keyboard.keymap is own
    heard: list[GuestEvent] = []
    guest.subscribe(heard.append)
    guest.set_locks(2)
    assert heard == [LocksChanged(2)]


def test_a_part_is_made_of_those_before_it() -> None:
    def make_agent(made: Any) -> Agent:
        return Agent(made.part("clipboards", Clipboard), ())

    parts = with_rows(PartRow("agent", make_agent))
    guest = Guest(parts=parts)
    assert guest.agent is not None
    assert guest.agent.clipboard is guest.clipboard
    with pytest.raises(InvalidValue, match=r"^a guest needs the part 'clipboards', of type Clipboard, and has None$"):
        Guest(parts=reversed(parts))


def test_a_table_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidValue, match=r"^a guest needs the part 'keyboard', of type Keyboard, and has None$"):
        Guest(parts=[row for row in PARTS if row.name != "keyboard"])
    with pytest.raises(InvalidValue, match="'agent', of type Agent, and has <"):
        Guest(parts=with_rows(PartRow("agent", THERMOMETER.make)))
    for name in ("name", "uuid", "cursor"):
        with pytest.raises(InvalidValue, match=f"^a guest has one '{name}', and there is a second part of that name$"):
            Guest(parts=[*PARTS, PartRow(name, THERMOMETER.make)])


def test_the_displays_are_a_sequence_that_stays() -> None:
    guest = Guest(sizes=[(8, 8), (4, 4), (2, 2)])
    first, second, third = displays = list(guest.displays)
    assert [each.id for each in displays] == [0, 1, 2]
    assert (guest.displays[-1], guest.displays[1:]) == (third, [second, third])
    assert second in guest.displays
    assert repr(guest) == "<Guest 'spiceemu' [<Display 0 8x8>, <Display 1 4x4>, <Display 2 2x2>]>"
    load(guest, save(Guest(sizes=[(5, 5), (6, 6)])))
    assert all(now is then for now, then in zip(guest.displays, displays, strict=True))
    assert [(each.width, each.height) for each in (first, second, third)] == [(5, 5), (6, 6), (2, 2)]
