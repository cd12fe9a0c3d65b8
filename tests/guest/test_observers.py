"""Observers that raise: the others hear all the same, and the exception says whose it is."""

from __future__ import annotations

from functools import partial

import pytest

from spiceemu.guest.keyboard import KeyEvent
from spiceemu.guest.machine import Guest, GuestEvent
from spiceemu.guest.observers import Observers, name_of

HERE = __name__


class Broken(Exception):
    pass


def notes_of(error: BaseException) -> list[str]:
    return error.__notes__


def test_an_observer_of_the_guest_that_raises_is_named_and_the_others_hear() -> None:
    guest = Guest()
    heard: list[GuestEvent] = []
    error = Broken("no")

    def on_key(_event: GuestEvent) -> None:
        raise error

    guest.subscribe(on_key)
    guest.subscribe(heard.append)
    with pytest.raises(Broken) as caught:
        guest.type_scancodes(b"\x1e")
    assert caught.value is error
    name = "test_an_observer_of_the_guest_that_raises_is_named_and_the_others_hear.<locals>.on_key"
    assert notes_of(error) == [f"raised by {HERE}.{name}, an observer of the guest"]
    assert len(heard) == 1


class Listener:
    def on_change(self, _change: object) -> None:
        raise Broken

    def __call__(self, _change: object) -> None:
        raise Broken


def test_no_key_is_lost_by_an_observer_that_raises() -> None:
    guest = Guest()
    heard: list[GuestEvent] = []
    guest.subscribe(Listener().on_change)
    guest.subscribe(heard.append)
    with pytest.raises(Broken):
        guest.type_scancodes(b"\x1e\x30\x9e")
    assert [event.scancode for event in heard if isinstance(event, KeyEvent)] == [0x1E, 0x30, 0x1E]


@pytest.mark.parametrize(
    ("observer", "name"),
    [
        (Listener().on_change, f"{HERE}.Listener.on_change"),
        (Listener(), f"{HERE}.Listener"),
        (partial(partial(Listener.on_change), Listener()), f"{HERE}.Listener.on_change"),
        ([].append, "list.append"),
        (print, "builtins.print"),
    ],
)
def test_whatever_can_be_called_has_a_name(observer: object, name: str) -> None:
    assert name_of(observer) == name  # type: ignore[arg-type]


def test_every_part_says_what_was_observed() -> None:
    guest = Guest(sizes=[(8, 8), (8, 8)])
    assert guest.agent is not None
    listener = Listener()
    for subscribe, act, subject in (
        (guest.displays[1].subscribe, lambda: guest.displays[1].fill((0, 0, 1, 1), 1), "display 1"),
        (guest.displays.subscribe, lambda: guest.set_heads(0, [*guest.displays[1].heads][:1]), "the displays"),
        (guest.keyboard.subscribe, lambda: guest.set_locks(1), "the keyboard"),
        (guest.cursor.subscribe, lambda: guest.cursor.move(1, 1), "the cursor"),
        (guest.clipboard.subscribe, lambda: guest.clipboard.set_text("x"), "the clipboards"),
    ):
        if subject == "the displays":
            guest.displays[1].resize(5, 5)
        leave = subscribe(listener.on_change)
        with pytest.raises(Broken) as caught:
            act()
        leave()
        assert notes_of(caught.value) == [f"raised by {HERE}.Listener.on_change, an observer of {subject}"]


def test_only_whose_it_is_is_named_and_not_who_passes_it_on() -> None:
    guest = Guest()
    guest.subscribe(Listener().on_change)
    for act in (lambda: guest.clipboard.set_text("x"), lambda: guest.set_locks(3)):
        with pytest.raises(Broken) as caught:
            act()
        assert notes_of(caught.value) == [f"raised by {HERE}.Listener.on_change, an observer of the guest"]


def test_of_two_that_raise_the_first_is_raised_and_the_second_noted() -> None:
    observers: Observers[int] = Observers("the thing")
    heard: list[int] = []

    def first(number: int) -> None:
        raise Broken(number)

    def second(number: int) -> None:
        raise KeyError(number)

    for each in (first, heard.append, second, heard.append):
        observers.add(each)
    with pytest.raises(Broken) as caught:
        observers.tell(5)
    where = f"{HERE}.test_of_two_that_raise_the_first_is_raised_and_the_second_noted.<locals>"
    assert notes_of(caught.value) == [
        f"raised by {where}.first, an observer of the thing",
        f"followed by KeyError(5) raised by {where}.second, an observer of the thing",
    ]
    assert (caught.value.args, heard) == ((5,), [5, 5])


def test_an_exception_that_two_raise_is_that_of_the_first() -> None:
    observers: Observers[int] = Observers("the thing")
    error = Broken()

    def fail(_number: int) -> None:
        raise error

    observers.add(fail)
    observers.add(partial(fail))
    with pytest.raises(Broken):
        observers.tell(5)
    assert len(notes_of(error)) == 1


def test_what_ends_the_program_is_not_held_up() -> None:
    observers: Observers[int] = Observers("the thing")
    heard: list[int] = []

    def stop(_number: int) -> None:
        raise KeyboardInterrupt

    observers.add(stop)
    observers.add(heard.append)
    with pytest.raises(KeyboardInterrupt):
        observers.tell(1)
    assert heard == []
