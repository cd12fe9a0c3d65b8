"""The tap of messages: it sees every one, both ways, and can change, hold back, repeat, drop or end."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from spiceemu.channels.inputs import InputsChannel
from spiceemu.channels.main import Introduction, MainChannel
from spiceemu.channels.tap import MessageTap, TappedChannel, Taps
from spiceemu.errors import HangUp, NotCompatible
from spiceemu.events import MouseMotion, MousePress
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.levels.level import level_of
from spiceemu.protocol.messages import base, inputs, main
from spiceemu.protocol.messages.message import Message

from .far_side import FarSide, Wake, linked


class Seen(MessageTap):
    """Notes what passes."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.heard: list[Message] = []

    def sending(self, channel: TappedChannel, message: Message) -> Iterable[Message]:
        assert channel.name == "inputs:0"
        self.sent.append(message)
        return (message,)

    def received(self, channel: TappedChannel, message: Message) -> Iterable[Message]:
        self.heard.append(message)
        return (message,)


class Only(MessageTap):
    """Gives something of a test's own in the place of one kind of message."""

    def __init__(self, kind: type[Message], instead: Iterable[Message]) -> None:
        self.kind = kind
        self.instead = tuple(instead)

    def sending(self, _channel: TappedChannel, message: Message) -> Iterable[Message]:
        return self.instead if isinstance(message, self.kind) else (message,)

    received = sending


def tapped(*taps: MessageTap) -> FarSide:
    return FarSide(InputsChannel(linked(ChannelType.INPUTS), Wake(), locks=0, taps=Taps(taps)))


def test_it_sees_every_message_both_ways() -> None:
    seen = Seen()
    far = tapped(seen)
    far.read_once()
    far.say(*[inputs.MouseMotion(1, 2, 0)] * 4)
    far.read_once()
    assert seen.sent == [inputs.Init(0), inputs.MouseMotionAck()]
    assert seen.heard == [inputs.MouseMotion(1, 2, 0)] * 4
    assert far.received == seen.sent


def test_it_changes_repeats_and_drops_what_goes_out() -> None:
    far = tapped(Only(inputs.Init, [inputs.Init(7), inputs.Init(7)]), Only(inputs.MouseMotionAck, []))
    far.say(*[inputs.MouseMotion(1, 2, 0)] * 4)
    far.read_once()
    assert far.received == [inputs.Init(7), inputs.Init(7)]


def test_it_changes_repeats_and_drops_what_comes_in() -> None:
    far = tapped(Only(inputs.MouseMotion, [inputs.MousePress(1, 1)] * 2), Only(inputs.MouseRelease, []))
    assert far.say(inputs.MouseMotion(1, 2, 0), inputs.MouseRelease(1, 0)) == [MousePress(1, 1)] * 2


def test_one_tap_takes_what_the_one_before_it_gives() -> None:
    seen = Seen()
    far = tapped(Only(inputs.Init, [inputs.Init(1)]), seen)
    assert seen.sent == [inputs.Init(1)]
    far.read_once()
    assert far.received == [inputs.Init(1)]


def test_what_is_held_back_is_put_on_its_way_later() -> None:
    far = tapped(Only(inputs.MouseMotionAck, []))
    far.say(*[inputs.MouseMotion(1, 2, 0)] * 4)
    far.read_once()
    far.channel.put(inputs.MouseMotionAck())
    far.read_once()
    assert far.received == [inputs.Init(0), inputs.MouseMotionAck()]


def test_a_tap_may_send_what_no_level_permits() -> None:
    channel = InputsChannel(
        linked(ChannelType.INPUTS, level=level_of("0.4")),
        Wake(),
        locks=0,
        taps=Taps([Only(inputs.KeyModifiers, [base.Ping(1, 2)])]),
    )
    with pytest.raises(NotCompatible):
        channel.send(base.Ping(1, 2))
    channel.send(inputs.KeyModifiers(1))
    assert b"".join(channel.data_to_send()).endswith(base.Ping(1, 2).build())


def test_a_tap_ends_a_connection() -> None:
    class Ends(MessageTap):
        def received(self, _channel: TappedChannel, message: Message) -> Iterable[Message]:
            raise HangUp(f"no more {message.spec.name}")

    far = tapped(Ends())
    with pytest.raises(HangUp, match=r"no more inputs\.MouseMotion"):
        far.say(inputs.MouseMotion(1, 2, 0))


def test_a_tap_that_makes_up_what_is_no_message_of_the_channel_is_at_fault() -> None:
    far = tapped(Only(inputs.MouseMotion, [main.AttachChannels()]))
    with pytest.raises(NotCompatible, match=r"inputs:0: a tap gave main\.AttachChannels"):
        far.say(inputs.MouseMotion(1, 2, 0))


def test_sub_messages_pass_as_well() -> None:
    seen: list[Message] = []

    class Notes(MessageTap):
        def sending(self, _channel: TappedChannel, message: Message) -> Iterable[Message]:
            seen.append(message)
            return (message,)

    intro = Introduction(1, 1, 3, 1, True, 0, [])
    channel = MainChannel(linked(ChannelType.MAIN), Wake(), intro=intro, now=0.0, taps=Taps([Notes()]))
    seen.clear()
    channel.send(main.MouseMode(3, 1), before=[base.Ping(9, 9)])
    assert seen == [base.Ping(9, 9), main.MouseMode(3, 1)]


def test_one_that_comes_and_goes_counts_from_the_next_message_on() -> None:
    seen = Seen()
    taps = Taps()
    far = FarSide(InputsChannel(linked(ChannelType.INPUTS), Wake(), locks=0, taps=taps))
    taps.taps.append(seen)
    assert far.say(inputs.MouseMotion(1, 2, 0)) == [MouseMotion(1, 2)]
    taps.taps.remove(seen)
    far.say(inputs.MouseMotion(1, 2, 0))
    assert seen.heard == [inputs.MouseMotion(1, 2, 0)]


def test_one_that_goes_while_a_message_passes_takes_it_from_nobody() -> None:
    class Goes(MessageTap):
        def received(self, _channel: TappedChannel, message: Message) -> Iterable[Message]:
            taps.taps.remove(self)
            return (message,)

    seen = Seen()
    taps = Taps([Goes(), seen])
    far = FarSide(InputsChannel(linked(ChannelType.INPUTS), Wake(), locks=0, taps=taps))
    far.say(inputs.MouseMotion(1, 2, 0))
    assert seen.heard == [inputs.MouseMotion(1, 2, 0)]


# Watchers


def watched(watcher: MessageTap, *taps: MessageTap) -> FarSide:
    return FarSide(InputsChannel(linked(ChannelType.INPUTS), Wake(), locks=0, taps=Taps(taps, watchers=[watcher])))


def test_a_watcher_sees_what_is_framed_and_what_has_come() -> None:
    watcher = Seen()
    far = watched(
        watcher,
        Only(inputs.Init, [inputs.Init(7), inputs.Init(8)]),
        Only(inputs.MouseMotionAck, []),
        Only(inputs.MouseMotion, [inputs.MousePress(1, 1)]),
        Only(inputs.MouseRelease, []),
    )
    far.say(inputs.MouseMotion(1, 2, 0), inputs.MouseRelease(1, 0))
    far.read_once()
    assert far.received == watcher.sent == [inputs.Init(7), inputs.Init(8)]
    assert watcher.heard == [inputs.MouseMotion(1, 2, 0), inputs.MouseRelease(1, 0)]


def test_a_watcher_sees_what_a_tap_puts() -> None:
    class Holds(MessageTap):
        def sending(self, channel: TappedChannel, message: Message) -> Iterable[Message]:
            held.append((channel, message))
            return ()

    held: list[tuple[TappedChannel, Message]] = []
    watcher = Seen()
    far = watched(watcher, Holds())
    far.channel.send(inputs.KeyModifiers(1))
    assert watcher.sent == []
    (channel, _), (same, modifiers) = held
    channel.put(modifiers)
    far.read_once()
    assert far.received == watcher.sent == [inputs.KeyModifiers(1)]
    assert channel == same
    assert len({channel, same}) == 1
    assert (channel.id, channel.type, channel.session_id) == (0, ChannelType.INPUTS, far.channel.session_id)
    assert repr(channel) == repr(far.channel)


def test_what_a_watcher_gives_counts_for_nothing() -> None:
    far = watched(Only(inputs.Init, []))
    far.read_once()
    assert far.received == [inputs.Init(0)]
