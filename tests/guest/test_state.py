"""A guest as plain data: another guest becomes the same by it, whatever both did before; or nothing changes at all."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings, strategies as st

from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.operations import Blit
from spiceemu.errors import InvalidValue
from spiceemu.guest.agent import MAX_SERIAL
from spiceemu.guest.changes import DisplayChange, MonitorsChanged, SurfaceCreated, SurfaceDestroyed
from spiceemu.guest.clipboard import Owner, TextReceived
from spiceemu.guest.cursor import (
    ARROW,
    HAND,
    CursorChange,
    CursorHidden,
    CursorMoved,
    CursorShape,
    CursorShapeChanged,
    data_size,
)
from spiceemu.guest.display import MAX_HEADS, Head
from spiceemu.guest.displays import DisplayResized
from spiceemu.guest.keyboard import KeyEvent, LocksChanged
from spiceemu.guest.limits import MAX_NAME
from spiceemu.guest.machine import Guest, GuestEvent
from spiceemu.guest.state import load, save
from spiceemu.protocol.agent import messages as messages
from spiceemu.protocol.agent.enums import ClipboardSelection, ClipboardType
from spiceemu.protocol.agent.message import AgentMessage
from spiceemu.protocol.enums import CursorType
from spiceemu.sessions import snapshot

TEXT = ClipboardType.UTF8_TEXT
SPICE_GTK = frozenset({0, 1, 2, 4, 5, 6, 12, 14, 16, 17})
SIZES = ((40, 30), (16, 8))


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


def shape(kind: int, width: int, height: int) -> CursorShape:
    return CursorShape(
        CursorType(kind), width, height, width - 1, 0, noise(kind, data_size(CursorType(kind), width, height))
    )


KINDS: dict[str, Callable[[Guest, int, int, int], object]] = {
    "name": lambda guest, a, b, _: setattr(guest, "name", f"machine {a} \N{GREEK SMALL LETTER ALPHA}{b}"),
    "fill": lambda guest, a, b, c: guest.displays[a % 2].fill((a, b, c, c), a * b * c),
    "blit": lambda guest, a, b, c: guest.displays[a % 2].blit((b, c), a + 1, 3, noise(b, (a + 1) * 12)),
    "create": lambda guest, a, b, c: guest.displays[a % 2].create_surface(b + 1, c + 1, has_alpha=bool(a & 2)),
    "destroy": lambda guest, a, b, _: (
        guest.displays[a % 2].destroy_surface(b) if b and b in guest.displays[a % 2].surfaces else None
    ),
    "draw": lambda guest, a, b, c: guest.displays[a % 2].fill(
        (b, 0, 9, 9), c, surface=max(guest.displays[a % 2].surfaces)
    ),
    "heads": lambda guest, a, b, c: guest.set_heads(a % 2, [Head(b, 0, 0, a + 1, 20), Head(b + 1, a + 1, c, 9, 9)]),
    "keys": lambda guest, a, b, c: guest.type_scancodes(noise(a * 400 + b * 20 + c, 5)),
    "locks": lambda guest, a, _b, _c: guest.set_locks(a & 7),
    "move": lambda guest, a, b, c: guest.move_pointer(a, b, c),
    "place": lambda guest, a, b, c: guest.place_pointer(a, b, c, a % 3),
    "shape": lambda guest, a, b, c: guest.cursor.set_shape(shape(a % 7, b + 1, c + 1)),
    "no shape": lambda guest, *_: guest.cursor.set_shape(None),
    "hide": lambda guest, *_: guest.cursor.hide(),
    "show": lambda guest, *_: guest.cursor.show(),
    "copied": lambda guest, a, b, _: guest.clipboard.set_text(f"text {b}", a % 3),
    "cleared": lambda guest, a, *_: guest.clipboard.clear(a % 3),
    "client starts": lambda guest, *_: guest.agent and guest.agent.start(lambda _message: None),
    "client announces": lambda guest, a, *_: hear(
        guest, messages.AnnounceCapabilities.of({5, 6, 17} if a & 1 else {5})
    ),
    "client copied": lambda guest, a, b, _: hear(
        guest, messages.ClipboardGrab((TEXT, b), selection=a % 3, serial=b * 1000)
    ),
    "client gives": lambda guest, a, b, _: hear(guest, messages.Clipboard(TEXT, noise(b, b), selection=a % 3)),
    "client limits": lambda guest, a, b, _: hear(guest, messages.MaxClipboard(b * 100 if a & 1 else -1)),
    "wanted": lambda guest, a, *_: guest.clipboard.request_text(a % 3),
}
ACTIONS = st.lists(
    st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, 19), st.integers(0, 19), st.integers(0, 19)), max_size=30
)


def hear(guest: Guest, message: AgentMessage) -> None:
    assert guest.agent is not None
    guest.agent.receive(message)


def after(actions: list[tuple[str, int, int, int]]) -> Guest:
    """A guest that did these."""
    guest = Guest(sizes=SIZES)
    for kind, *numbers in actions:
        KINDS[kind](guest, *numbers)
    return guest


def visible(guest: Guest) -> dict[str, Any]:
    """What there is to see of a guest, without its own way of telling its state."""
    return {
        "name": (guest.name, guest.uuid),
        "screens": [display.screenshot() for display in guest.displays],
        "surfaces": [
            {
                number: (surface.id, surface.width, surface.height, surface.has_alpha, bytes(surface.pixels))
                for number, surface in display.surfaces.items()
            }
            for display in guest.displays
        ],
        "heads": [display.heads for display in guest.displays],
        "keyboard": (guest.keyboard.held, guest.keyboard.locks),
        "pointer": (guest.pointer.x, guest.pointer.y, guest.pointer.buttons, guest.pointer.display_id),
        "cursor": (guest.cursor.shape, guest.cursor.x, guest.cursor.y, guest.cursor.visible),
        "clipboard": [
            (guest.clipboard.owner_of(it), guest.clipboard.types_of(it), guest.clipboard.data_of(it))
            for it in ClipboardSelection
        ],
        "agent": guest.agent
        and (guest.agent.capabilities, guest.agent.client_capabilities, guest.agent.max_clipboard, guest.agent.layout),
    }


@given(ACTIONS, ACTIONS)
@settings(max_examples=150)
def test_a_guest_becomes_what_another_one_was(
    mine: list[tuple[str, int, int, int]], others: list[tuple[str, int, int, int]]
) -> None:
    source, target = after(mine), after(others)
    before = visible(source)
    displays = list(target.displays)
    load(target, snapshot.load(snapshot.dump(save(source))))
    assert visible(target) == visible(source) == before
    assert save(target) == save(source)
    assert list(target.displays) == displays
    assert all(now is then for now, then in zip(target.displays, displays, strict=True))
    # And they go on alike, once the client has come after.
    for guest in (source, target):
        assert guest.agent is not None
        guest.agent.release(lambda _message: None)
        guest.type_scancodes(b"\x1e\x9e\x3a")
        guest.displays[0].create_surface(3, 3)
        guest.clipboard.set_text("later")
        hear(guest, messages.Clipboard(TEXT, b"given", selection=0))
    assert save(target) == save(source)


@given(ACTIONS)
def test_what_was_taken_does_not_change_with_the_guest(actions: list[tuple[str, int, int, int]]) -> None:
    guest = after(actions)
    state = save(guest)
    kept = copy.deepcopy(state)
    for kind in sorted(KINDS):
        KINDS[kind](guest, 5, 3, 2)
    assert state == kept


def test_what_is_so_already_is_not_told() -> None:
    guest = after([("create", 0, 4, 4), ("blit", 2, 3, 4)])
    told: list[object] = []
    guest.subscribe(told.append)
    guest.cursor.subscribe(told.append)
    for display in guest.displays:
        display.subscribe(told.append)
    load(guest, save(guest))
    assert told == []


def test_observers_are_told_in_an_order_they_can_follow() -> None:
    source, target = Guest(sizes=[(40, 30)]), Guest(sizes=[(40, 30)])
    kept = [target.displays[0].create_surface(4, 4) for _ in range(3)]
    for _ in range(2):
        source.displays[0].create_surface(4, 4)
    source.displays[0].fill((0, 0, 1, 1), "red", surface=1)
    source.displays[0].destroy_surface(2)
    source.displays[0].create_surface(5, 4, has_alpha=True)
    source.set_heads(0, [Head(3, 0, 0, 20, 10)])
    source.set_locks(4)
    source.cursor.set_shape(HAND)
    source.cursor.move(-3, 7)
    source.cursor.hide()
    drawn: list[DisplayChange] = []
    moved: list[CursorChange] = []
    heard: list[GuestEvent] = []
    display = target.displays[0]
    display.subscribe(drawn.append)
    target.cursor.subscribe(moved.append)
    target.subscribe(heard.append)
    load(target, save(source))
    red = b"\0\0\xff\0" + bytes(4 * 15)
    assert drawn == [
        SurfaceDestroyed(0),
        SurfaceDestroyed(kept[1]),
        SurfaceDestroyed(kept[2]),
        SurfaceCreated(0, 20, 10, has_alpha=False),
        Blit(0, Rect(0, 0, 20, 10), bytes(20 * 10 * 4)),
        Blit(1, Rect(0, 0, 4, 4), red),
        SurfaceCreated(2, 5, 4, has_alpha=True),
        Blit(2, Rect(0, 0, 5, 4), bytes(5 * 4 * 4)),
        MonitorsChanged(),
    ]
    assert moved == [CursorShapeChanged(HAND), CursorMoved(-3, 7), CursorHidden()]
    assert heard == [DisplayResized(0, 20, 10), LocksChanged(4)]


def test_an_observer_that_raises_does_not_leave_half_a_guest() -> None:
    source, target = busy(), Guest(sizes=SIZES)
    for display in source.displays:
        source.set_heads(display.id, [Head(3, 0, 0, 20, 10)])
    source.set_locks(4)
    heard: list[GuestEvent] = []

    def fail(event: GuestEvent) -> None:
        raise KeyError(str(event))

    target.subscribe(fail)
    target.subscribe(heard.append)
    with pytest.raises(KeyError) as caught:
        load(target, save(source))
    assert save(target) == save(source)
    assert heard == [DisplayResized(0, 20, 10), DisplayResized(1, 20, 10), LocksChanged(4)]
    assert caught.value.args == (str(heard[0]),)
    assert len(caught.value.__notes__) == len(heard)


def test_an_observer_of_displays_and_cursor_that_raises_does_not_leave_half_a_guest() -> None:
    source, target = busy(), Guest(sizes=SIZES)
    source.set_heads(0, [Head(3, 0, 0, 20, 10)])
    source.cursor.set_shape(HAND)
    source.cursor.move(-3, 7)
    source.cursor.hide()
    heard: list[GuestEvent] = []
    target.subscribe(heard.append)

    def fail(change: object) -> None:
        raise KeyError(str(change))

    target.displays[0].subscribe(fail)
    target.cursor.subscribe(fail)
    with pytest.raises(KeyError) as caught:
        load(target, save(source))
    assert caught.value.args == (str(SurfaceDestroyed(0)),)
    assert save(target) == save(source)
    assert DisplayResized(0, 20, 10) in heard


def test_a_display_is_whole_whatever_its_observers_do() -> None:
    guest, other = Guest(sizes=[(30, 20)]), Guest(sizes=[(30, 20)])

    def fail(change: object) -> None:
        raise KeyError(str(change))

    guest.displays[0].subscribe(fail)
    for each in (guest, other):
        calls = [
            partial(each.displays[0].fill, (0, 0, 5, 5), "red"),
            partial(each.displays[0].create_surface, 4, 4),
            partial(each.set_heads, 0, [Head(0, 0, 0, 8, 40)]),
            partial(each.displays[0].resize, 50, 10),
        ]
        for call in calls:
            with pytest.raises(KeyError) if each is guest else nullcontext():
                call()
    assert save(guest)["displays"] == save(other)["displays"]


def test_the_cursor_goes_with_the_pointer_whatever_observers_do() -> None:
    guest = Guest(sizes=[(30, 20)])

    def fail(event: object) -> None:
        raise KeyError(str(event))

    guest.subscribe(fail)
    with pytest.raises(KeyError):
        guest.move_pointer(5, 6, 0)
    assert (guest.cursor.x, guest.cursor.y) == (5, 6)
    with pytest.raises(KeyError):
        guest.place_pointer(9, 8, 0, 0)
    assert (guest.cursor.x, guest.cursor.y) == (9, 8)


def test_a_guest_with_more_displays_keeps_the_others() -> None:
    source, target = Guest(sizes=[(8, 8)]), Guest(sizes=SIZES)
    target.displays[1].fill((0, 0, 9, 9), "red")
    other = target.displays[1].screenshot()
    load(target, save(source))
    assert (target.displays[0].width, target.displays[0].height) == (8, 8)
    assert target.displays[1].screenshot() == other
    with pytest.raises(InvalidValue, match="displays: has 2 elements, not 1 to 1"):
        load(source, save(target))


def test_a_key_that_was_begun_is_finished() -> None:
    source, target = Guest(), Guest()
    heard: list[GuestEvent] = []
    source.type_scancodes(b"\x2a\xe1\x1d")
    load(target, save(source))
    target.subscribe(heard.append)
    target.type_scancodes(b"\x45\x1e")
    assert [(event.scancode, event.character) for event in heard if isinstance(event, KeyEvent)] == [
        (0xE11D45, None),
        (0x1E, "A"),
    ]


def test_a_clipboard_that_was_asked_for_still_comes() -> None:
    source, target = Guest(), Guest()
    assert source.agent is not None
    assert target.agent is not None
    source.agent.start(lambda _message: None)
    hear(source, messages.AnnounceCapabilities.of(SPICE_GTK))
    hear(source, messages.ClipboardGrab((TEXT,), selection=1))
    assert source.clipboard.request_text(1)
    load(target, save(source))
    said: list[AgentMessage] = []
    heard: list[GuestEvent] = []
    target.subscribe(heard.append)
    target.agent.release(said.append)
    assert target.clipboard.request_text(1)  # the client was asked already
    assert said == []
    assert target.agent.layout == source.agent.layout
    hear(target, messages.Clipboard(TEXT, b"late", selection=1))
    assert heard == [TextReceived(1)]
    assert target.clipboard.text_of(1) == "late"
    target.clipboard.set_text("mine", 1)
    assert said == [messages.ClipboardGrab((TEXT,), selection=1, serial=1)]


def test_where_the_agent_speaks_to_does_not_move() -> None:
    guest, other = Guest(), Guest()
    assert guest.agent is not None
    said: list[AgentMessage] = []
    guest.agent.start(said.append)
    hear(guest, messages.AnnounceCapabilities.of(SPICE_GTK))
    load(guest, save(other))
    assert said == []
    hear(guest, messages.AnnounceCapabilities.of(SPICE_GTK, request=True))
    assert said == [messages.AnnounceCapabilities.of(guest.agent.capabilities)]


def test_a_guest_without_an_agent() -> None:
    with_one, without = Guest(), Guest(agent=False)
    state = save(without)
    assert state["agent"] is None
    load(without, state)
    with pytest.raises(InvalidValue, match="agent: the guest has no agent"):
        load(without, save(with_one))
    with pytest.raises(InvalidValue, match="agent: the guest has an agent"):
        load(with_one, state)


# What cannot be


def busy() -> Guest:
    """A guest with something of everything."""
    guest = Guest(sizes=SIZES, uuid=UUID(int=7))
    guest.displays[0].create_surface(3, 2)
    guest.type_scancodes(b"\x1e\xe0\x48\xe0")
    guest.clipboard.set_text("mine", 1)
    hear(guest, messages.AnnounceCapabilities.of(SPICE_GTK))
    hear(guest, messages.ClipboardGrab((TEXT,), selection=0))
    guest.place_pointer(3, 4, 1, 1)
    return guest


CHANGES: list[tuple[str, Any, str]] = [
    ("name", 3, "name: 3 is not text"),
    ("name", "x" * (MAX_NAME + 1), "name: has 65537 bytes, the limit is 65536"),
    ("name", "\ud800", "name: is not valid Unicode"),
    ("uuid", "?" * 36, "uuid: "),
    ("uuid", "0" * 37, "uuid: has 37 bytes, the limit is 36"),
    ("displays", [], "displays: has 0 elements, not 1 to 2"),
    ("displays", {}, "displays: a dict of 0 is not a list"),
    ("displays/0/surfaces", [], "displays[0].surfaces: has no surface 0, the primary"),
    ("displays/0/surfaces", [{}] * 1025, "displays[0].surfaces: has 1025 elements, not 0 to 1024"),
    ("displays/0/surfaces/1", None, "displays[0].surfaces[1]: None is not a dictionary"),
    ("displays/0/surfaces/1/id", 0, "displays[0].surfaces[1]: a second surface with the id 0"),
    ("displays/0/surfaces/1/id", 1024, "displays[0].surfaces[1].id: 1024 is not one of 0 to 1023"),
    ("displays/0/surfaces/1/id", True, "displays[0].surfaces[1].id: True is not one of 0 to 1023"),
    ("displays/0/surfaces/1/width", 4, "displays[0].surfaces[1].pixels: 24 bytes are not a picture of 4x2 pixels"),
    ("displays/0/surfaces/1/width", 16385, "displays[0].surfaces[1].width: 16385 is not one of 1 to 16384"),
    ("displays/0/surfaces/1/pixels", bytes(23), "displays[0].surfaces[1].pixels: 23 bytes are not a picture"),
    ("displays/0/surfaces/1/pixels", "", "displays[0].surfaces[1].pixels: '' is not bytes"),
    ("displays/0/surfaces/1/has_alpha", 1, "displays[0].surfaces[1].has_alpha: 1 is neither True nor False"),
    ("displays/0/surfaces/0/has_alpha", True, "displays[0].surfaces: the primary has no alpha"),
    ("displays/1/heads", [], "displays[1].heads: a display has 1 to 16 heads, not 0"),
    ("displays/1/heads", [{}] * (MAX_HEADS + 1), "displays[1].heads: has 17 elements, not 0 to 16"),
    ("displays/1/heads/0/x", 1, "displays[1].heads: need a primary of 17x8 pixels, not 16x8"),
    ("displays/1/heads/0/x", -1, "displays[1].heads[0].x: -1 is not one of 0 to 16383"),
    ("displays/1/heads/0/id", 1 << 32, "displays[1].heads[0].id: 4294967296 is not one of"),
    ("keyboard/locks", 8, "keyboard.locks: 8 is not one of 0 to 7"),
    ("keyboard/held/0", 0x80, "keyboard.held[0]: 0x80 is not a scancode"),
    ("keyboard/held/0", 0xE048, "keyboard.held[1]: 0xe048 is held twice"),
    ("keyboard/held", [1] * 513, "keyboard.held: has 513 elements, not 0 to 512"),
    ("keyboard/prefix", b"\x1e", "keyboard.prefix: b'\\x1e' is not the beginning of a scancode"),
    ("keyboard/prefix", b"\xe1\x1d\x1d", "keyboard.prefix: has 3 bytes, the limit is 2"),
    ("pointer/x", -1, "pointer.x: -1 is not one of 0 to 16383"),
    ("pointer/buttons", 1 << 20, "pointer.buttons: 1048576 is not one of"),
    ("pointer/display_id", 2, "pointer.display_id: 2 is not one of 0 to 1"),
    ("cursor/x", 1 << 15, "cursor.x: 32768 is not one of -32768 to 32767"),
    ("cursor/visible", None, "cursor.visible: None is neither True nor False"),
    ("cursor/shape/kind", 7, "cursor.shape.kind: 7 is not one of 0 to 6"),
    ("cursor/shape/hot_x", 12, "cursor.shape: a cursor's hot spot is inside it"),
    ("cursor/shape/data", b"", "cursor.shape: a ALPHA cursor of 12x18 has 864 bytes, not 0"),
    ("clipboards", [], "clipboards: has 0 elements, not 3 to 3"),
    ("clipboards/0/owner", "me", "clipboards[0].owner: 'me' is not one of nobody, guest, client"),
    ("clipboards/0/owner", "nobody", "clipboards[0]: belongs to nobody, but holds something"),
    ("clipboards/0/owner", "guest", "clipboards[0]: belongs to the guest, which has text"),
    ("clipboards/0/types", [0], "clipboards[0].wanted: only a client's text is waited for"),
    ("clipboards/1/wanted", True, "clipboards[1].wanted: only a client's text is waited for"),
    ("clipboards/1/text", None, "clipboards[1]: belongs to the guest, which has text"),
    ("agent/capabilities", [1, 2, 1], "agent.capabilities[2]: a second 1"),
    ("agent/capabilities", [99], "agent.capabilities[0]: 99 is not one of"),
    ("agent/client_capabilities", [2048], "agent.client_capabilities[0]: 2048 is not one of 0 to 2047"),
    ("agent/max_clipboard", -1, "agent.max_clipboard: -1 is not one of"),
    ("agent/serials", [0, 0], "agent.serials: has 2 elements, not 3 to 3"),
    ("agent/serials/2", MAX_SERIAL + 1, "agent.serials[2]: 4294967296 is not one of 0 to 4294967295"),
    ("agent/offered", [3], "agent.offered[0]: 3 is not one of 0 to 2"),
]


def step(value: Any, name: str) -> Any:
    return value[int(name)] if isinstance(value, list) else value[name]


def put(state: Any, path: str, value: Any) -> None:
    *way, last = path.split("/")
    for name in way:
        state = step(state, name)
    state[int(last) if isinstance(state, list) else last] = value


@pytest.mark.parametrize(("path", "value", "text"), CHANGES)
def test_a_state_that_cannot_be_changes_nothing(path: str, value: Any, text: str) -> None:
    state = save(busy())
    load(Guest(sizes=SIZES), state)
    put(state, path, value)
    guest = after([("blit", 1, 2, 3), ("keys", 1, 2, 3), ("shape", 3, 4, 5), ("copied", 1, 2, 3)])
    before = save(guest)
    told: list[object] = []
    guest.subscribe(told.append)
    for display in guest.displays:
        display.subscribe(told.append)
    with pytest.raises(InvalidValue) as caught:
        load(guest, state)
    assert text in str(caught.value)
    assert save(guest) == before
    assert told == []


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to everything in a state."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for name, item in inner for place in places(item, (*path, name)))]


ANYTHING = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        1,
        1 << 31,
        1 << 64,
        1.5,
        float("nan"),
        "",
        "x" * 50,
        b"",
        bytes(50),
        [],
        [0] * 600,
        {},
        {"a": 1},
        (),
        object(),
    ]
)


@given(st.data())
@settings(max_examples=300)
def test_whatever_a_state_holds_it_is_taken_or_changes_nothing(data: st.DataObject) -> None:
    state = save(busy())
    *way, last = data.draw(st.sampled_from(places(state)[1:]))
    holder = state
    for name in way:
        holder = holder[name]
    how = data.draw(st.sampled_from(["replace", "remove", "add"]))
    if how == "remove":
        del holder[last]
    elif how == "add" and isinstance(holder, dict):
        holder["unknown"] = 1
    else:
        holder[last] = data.draw(ANYTHING)
    guest = Guest(sizes=SIZES, name="untouched")
    before = save(guest)
    try:
        load(guest, state)
    except InvalidValue:
        assert save(guest) == before
    else:
        other = Guest(sizes=SIZES)
        load(other, save(guest))
        assert save(other) == save(guest)


@pytest.mark.parametrize("state", [None, [], "x", b"", 5, {}, {"name": "x"}])
def test_what_is_no_state_at_all_is_refused(state: Any) -> None:
    with pytest.raises(InvalidValue, match="state: "):
        load(Guest(), state)


def test_a_guest_with_something_of_everything_becomes_the_same() -> None:
    state = save(busy())
    assert state["agent"]["offered"] == [1]
    guest = Guest(sizes=SIZES)
    load(guest, state)
    assert save(guest) == state


def test_a_surface_with_alpha_is_another_one() -> None:
    source, target = Guest(), Guest()
    source.displays[0].create_surface(2, 2, has_alpha=True)
    target.displays[0].create_surface(2, 2)
    load(target, save(source))
    assert visible(target)["surfaces"] == visible(source)["surfaces"]


def test_a_guest_of_all_kinds_of_cursors() -> None:
    for kind in CursorType:
        source, target = Guest(), Guest()
        source.cursor.set_shape(shape(kind, 9, 5))
        load(target, save(source))
        assert target.cursor.shape == source.cursor.shape != ARROW
        assert target.clipboard.owner_of(0) is Owner.NOBODY
