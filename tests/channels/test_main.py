"""The main channel: how a session begins, and the agent's messages."""

from __future__ import annotations

import pytest

from spiceemu.channels.main import AGENT_TIMEOUT, NET_TEST_PADDING, AgentReceived, Introduction, MainChannel
from spiceemu.errors import IllegalMessage, LimitExceeded, MalformedMessage
from spiceemu.events import AgentStarted, ChannelsAttached, Event, Latency, MouseModeRequested
from spiceemu.protocol.agent import messages as agent
from spiceemu.protocol.agent.message import PLAIN
from spiceemu.protocol.agent.stream import (
    GRANTED_TOKENS,
    MAX_PIECE,
    MAX_WAITING,
    RETURNED_TOKENS,
    VDAgentMessage,
    pieces_of,
)
from spiceemu.protocol.capabilities import ChannelType, MainCap
from spiceemu.protocol.enums import MouseMode, NotifySeverity
from spiceemu.protocol.framing import MINI_HEADER
from spiceemu.protocol.messages import base, main
from spiceemu.protocol.messages.message import Message

from .far_side import FarSide, Wake, linked, names

ALL = tuple(MainCap)


def opened(
    *, capabilities: tuple[int, ...] = ALL, agent_connected: bool = True, net_test: bool = False
) -> tuple[MainChannel, FarSide]:
    intro = Introduction(
        session_id=0x12345678,
        displays=2,
        mouse_modes=3,
        mouse_mode=1,
        agent_connected=agent_connected,
        multi_media_time=77,
        channels=[(ChannelType.DISPLAY, 0), (ChannelType.DISPLAY, 1), (ChannelType.INPUTS, 0)],
        name="spice ü",
        uuid=bytes(range(16)),
    )
    agreed = linked(ChannelType.MAIN, capabilities=capabilities, local=not net_test)
    channel = MainChannel(agreed, Wake(), intro=intro, now=3.0)
    return channel, FarSide(channel)


@pytest.fixture
def pair() -> tuple[MainChannel, FarSide]:
    """A main channel whose client has read the introduction."""
    channel, far = opened()
    far.read()
    return channel, far


# The start


def test_the_start_comes_in_the_order_of_real_servers() -> None:
    _, far = opened(net_test=True)
    messages = far.read()
    assert names(messages) == ["Init", "Name", "Uuid", "Ping", "Ping", "Ping"]
    assert messages[0] == main.Init(0x12345678, 2, 3, 1, 1, GRANTED_TOKENS, 77, messages[0].ram_hint)  # type: ignore[attr-defined]
    assert messages[1:3] == [main.Name("spice ü".encode() + b"\0"), main.Uuid(bytes(range(16)))]
    assert [len(ping.data) for ping in messages[3:] if isinstance(ping, base.Ping)] == list(NET_TEST_PADDING)
    assert far.events == [Latency(ChannelType.MAIN)] * 3


def test_name_and_uuid_need_a_client_that_knows_them() -> None:
    others = tuple(set(MainCap) - {MainCap.NAME_AND_UUID})
    assert names(opened(capabilities=others)[1].read()) == ["Init"]


@pytest.mark.parametrize("there", [True, False])
def test_init_tells_whether_there_is_an_agent(there: bool) -> None:
    init = opened(agent_connected=there)[1].read()[0]
    assert isinstance(init, main.Init)
    assert (init.agent_connected, init.agent_tokens) == (there, 10)


def test_the_channels_are_listed_when_the_client_asks(pair: tuple[MainChannel, FarSide]) -> None:
    channel, far = pair
    assert not channel.attached
    assert far.say(main.AttachChannels()) == [ChannelsAttached()]
    assert channel.attached
    (found,) = far.read()
    assert isinstance(found, main.ChannelsList)
    assert [(each.type, each.id) for each in found.channels] == [(2, 0), (2, 1), (3, 0)]


def test_who_asks_twice_is_told_twice(pair: tuple[MainChannel, FarSide]) -> None:
    _, far = pair
    assert far.say(main.AttachChannels(), main.AttachChannels()) == [ChannelsAttached()] * 2
    first, second = far.read()
    assert first == second


@pytest.mark.parametrize(
    "message",
    [
        base.MigrateFlushMark(),
        base.MigrateData(b""),
        main.ClientInfo(1 << 40),
    ],
)
def test_what_makes_no_sense_now_is_illegal(pair: tuple[MainChannel, FarSide], message: Message) -> None:
    with pytest.raises(IllegalMessage, match="main:0"):
        pair[1].say(message)


# From the session


def test_notify_has_a_nul_that_is_not_counted(pair: tuple[MainChannel, FarSide]) -> None:
    channel, _ = pair
    channel.notify("héllo", 2.0, NotifySeverity.ERROR)
    data = b"".join(channel.data_to_send())
    text = "héllo".encode()
    assert data[: MINI_HEADER.size] == MINI_HEADER.pack(7, 24 + len(text) + 1)
    body = data[MINI_HEADER.size :]
    assert body[:8] == (2_000_000_000).to_bytes(8, "little")
    assert [int.from_bytes(body[at : at + 4], "little") for at in (8, 12, 16, 20)] == [2, 2, 0, len(text)]
    assert body[24:] == text + b"\0"


def test_mouse_mode_and_time(pair: tuple[MainChannel, FarSide]) -> None:
    channel, far = pair
    channel.set_mouse_mode(3, 2)
    channel.set_multi_media_time(0xFFFFFFFF)
    assert far.read() == [main.MouseMode(3, 2), main.MultiMediaTime(0xFFFFFFFF)]


@pytest.mark.parametrize(
    ("mode", "events"),
    [
        (MouseMode.SERVER, [MouseModeRequested(1)]),
        (MouseMode.CLIENT, [MouseModeRequested(2)]),
        (0, []),
        (3, []),
        (0xFFFF, []),
    ],
)
def test_only_one_mouse_mode_can_be_wished(pair: tuple[MainChannel, FarSide], mode: int, events: list[Event]) -> None:
    assert pair[1].say(main.MouseModeRequest(mode)) == events


# The agent, from the client


def piece(number: int = 0) -> bytes:
    return pieces_of(agent.ClientDisconnected() if number == 0 else agent.Reply(number, 1))[0]


def test_a_message_for_the_agent_may_come_in_pieces(pair: tuple[MainChannel, FarSide]) -> None:
    _, far = pair
    whole = pieces_of(agent.Clipboard(1, b"x" * 5000))
    assert [len(each) for each in whole] == [MAX_PIECE, MAX_PIECE, 20 + 4 + 5000 - 2 * MAX_PIECE]
    assert far.say(*map(main.AgentData, whole[:2])) == []
    (event,) = far.say(main.AgentData(whole[2]))
    assert isinstance(event, AgentReceived)
    assert event.message.parse() == agent.Clipboard(1, b"x" * 5000)


def test_tokens_come_back_five_at_a_time(pair: tuple[MainChannel, FarSide]) -> None:
    _, far = pair
    for count in range(1, 41):
        assert len(far.say(main.AgentData(piece()))) == 1
        expected = [main.AgentToken(RETURNED_TOKENS)] if count % RETURNED_TOKENS == 0 else []
        assert far.read() == expected


def test_without_a_token_the_client_may_send_nothing(pair: tuple[MainChannel, FarSide]) -> None:
    channel, far = pair
    channel._granted.left = 0
    with pytest.raises(IllegalMessage, match="without a token"):
        far.say(main.AgentData(piece()))


def test_an_agent_that_has_gone_hears_nothing_and_costs_nothing(pair: tuple[MainChannel, FarSide]) -> None:
    channel, far = pair
    channel.agent_disconnected()
    for _ in range(100):
        assert far.say(main.AgentData(piece())) == []
    assert names(far.read()) == ["AgentDisconnected"]


def test_half_a_message_is_forgotten_with_the_agent(pair: tuple[MainChannel, FarSide]) -> None:
    channel, far = pair
    far.say(main.AgentData(piece()[:10]))
    channel.agent_disconnected()
    channel.agent_connected()
    assert far.say(main.AgentData(piece())) == [AgentReceived(VDAgentMessage(agent.ClientDisconnected.spec.type, b""))]


def test_a_piece_over_the_limit_is_refused(pair: tuple[MainChannel, FarSide]) -> None:
    with pytest.raises(LimitExceeded, match=str(MAX_PIECE)):
        pair[1].say(main.AgentData(bytes(MAX_PIECE + 1)))


@pytest.mark.parametrize("tokens", [True, False])
def test_a_new_agent_grants_new_tokens(tokens: bool) -> None:
    capabilities = ALL if tokens else (MainCap.NAME_AND_UUID,)
    channel, far = opened(agent_connected=False, capabilities=capabilities)
    far.read()
    channel.agent_connected()
    assert far.read() == [main.AgentConnectedTokens(GRANTED_TOKENS) if tokens else main.AgentConnected()]
    for count in range(1, GRANTED_TOKENS + 1):
        assert len(far.say(main.AgentData(piece()))) == 1
        assert len(far.read()) == (count % RETURNED_TOKENS == 0)


# The agent, to the client


def test_nothing_is_sent_without_a_token(pair: tuple[MainChannel, FarSide]) -> None:
    channel, far = pair
    message = agent.Clipboard(1, b"x" * 3 * MAX_PIECE)
    pieces = pieces_of(message)
    channel.send_agent(message, PLAIN)
    assert far.read() == []
    assert far.say(main.AgentToken(1)) == []
    assert far.read() == [main.AgentData(pieces[0])]
    assert far.read() == []
    far.say(main.AgentToken(2))
    assert far.read() == [main.AgentData(each) for each in pieces[1:3]]
    far.say(main.AgentToken(0xFFFFFFFF), main.AgentToken(0xFFFFFFFF))
    assert far.read() == [main.AgentData(pieces[3])]


def test_agent_start_grants_tokens(pair: tuple[MainChannel, FarSide]) -> None:
    channel, far = pair
    assert far.say(main.AgentStart(2)) == [AgentStarted()]
    for number in range(3):
        channel.send_agent(agent.Reply(number, 1), PLAIN)
    assert names(far.read()) == ["AgentData", "AgentData"]


def test_a_piece_holds_something(pair: tuple[MainChannel, FarSide]) -> None:
    with pytest.raises(MalformedMessage, match=r"main\.AgentData\.data at offset 0: no data"):
        pair[1].say(main.AgentStart(1), main.AgentData(b""))


def test_what_waits_for_an_agent_that_left_is_never_sent(pair: tuple[MainChannel, FarSide]) -> None:
    channel, far = pair
    far.say(main.AgentStart(1))
    channel.send_agent(agent.Clipboard(1, bytes(9000)), PLAIN)
    far.read()
    channel.agent_disconnected()
    channel.agent_connected()
    far.say(main.AgentStart(100))
    assert names(far.read()) == ["AgentDisconnected", "AgentConnectedTokens"]


def test_what_waits_for_tokens_is_bounded(pair: tuple[MainChannel, FarSide]) -> None:
    channel, _ = pair
    message = agent.Clipboard(1, bytes(MAX_WAITING // 4))
    for _ in range(3):
        channel.send_agent(message, PLAIN)
    channel.check_time(0.0)
    channel.send_agent(message, PLAIN)  # not the fault of who sends
    with pytest.raises(LimitExceeded, match=str(MAX_WAITING)):
        channel.check_time(0.0)


def test_an_agent_does_not_wait_for_tokens_for_ever(pair: tuple[MainChannel, FarSide]) -> None:
    channel, far = pair
    far.say(main.AgentStart(1))
    channel.send_agent(agent.Clipboard(1, bytes(3000)), PLAIN)
    far.read()
    channel.check_time(100.0)
    channel.check_time(100.0 + AGENT_TIMEOUT)
    far.say(main.AgentToken(1))
    far.read()
    channel.check_time(101.0 + AGENT_TIMEOUT)
    channel.send_agent(agent.Clipboard(1, b""), PLAIN)
    channel.check_time(200.0)
    with pytest.raises(LimitExceeded, match=r"main:0: no main\.AgentToken within AGENT_TIMEOUT 30 s"):
        channel.check_time(201.0 + AGENT_TIMEOUT)


def test_a_client_may_grant_tokens_one_by_one(pair: tuple[MainChannel, FarSide]) -> None:
    channel, far = pair
    far.say(main.AgentStart(1))
    channel.send_agent(agent.Clipboard(1, bytes(400_000)), PLAIN)
    for second in range(100):
        far.read()
        channel.check_time(float(second))
        far.say(main.AgentToken(1))
    far.read()
    channel.check_time(100.0)
    far.say(main.AgentToken(0))  # which is no token
    with pytest.raises(LimitExceeded, match="AGENT_TIMEOUT"):
        channel.check_time(101.0 + AGENT_TIMEOUT)


def test_what_waits_for_a_client_that_does_not_read_is_bounded_too(pair: tuple[MainChannel, FarSide]) -> None:
    # The client asks for a large clipboard again and again, and reads none of them.
    channel, far = pair
    far.say(main.AgentStart(0xFFFFFFFF))
    message = agent.Clipboard(1, bytes(MAX_WAITING // 4))
    for _ in range(3):
        channel.send_agent(message, PLAIN)
    assert channel.unsent == 0
    channel.send_agent(message, PLAIN)
    with pytest.raises(LimitExceeded, match=str(MAX_WAITING)):
        channel.check_time(0.0)
