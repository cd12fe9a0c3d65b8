"""A channel type that no server has, from this file alone: its facts, messages, state and rules are handed in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest
from construct import Int16ul, Int32ul

from spiceemu.errors import UnknownMessage
from spiceemu.judge.channel_rules import RULES
from spiceemu.judge.connection import ConnectionJudge
from spiceemu.judge.finding import Finding, Kind
from spiceemu.judge.rules import ChannelRules, Handler
from spiceemu.judge.stream import StreamJudge
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.framing import FULL_HEADER, FrameWriter
from spiceemu.protocol.layout.fields import record, wire
from spiceemu.protocol.levels.channels import CHANNELS, ChannelFacts
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.levels.gate import Breach, Gate
from spiceemu.protocol.levels.level import CURRENT, LEVELS, Level, changed, level_of
from spiceemu.protocol.levels.needs import Peer
from spiceemu.protocol.link.client import build_link_message
from spiceemu.protocol.link.layouts import HEADER, LINK_REPLY, MAGIC, U32
from spiceemu.protocol.link.ticket import PUBLIC_KEY_SIZE, TICKET_SIZE
from spiceemu.protocol.messages import base, main
from spiceemu.protocol.messages.message import CLIENT, SERVER, Message, lookup, message
from spiceemu.protocol.messages.migrate_data import WITH_STATE, ChannelData, MigrateDataHeader
from spiceemu.protocol.messages.types import ChannelId

from ..protocol.inventing import inventing

TUNNEL = ChannelType.TUNNEL
SEVERAL = Feature.MULTI_DISPLAY_CHANNELS


@pytest.fixture
def open_message() -> Iterator[Any]:
    with inventing():

        @message(TUNNEL, feature=Feature.VOLUME, server=101)
        class Open(Message):
            port: int = wire(Int16ul)

        yield Open


@record
class TunnelData(ChannelData):
    name: ClassVar[str] = "tunnel.TunnelData"
    magic: ClassVar[bytes] = b"TNMD"

    header: MigrateDataHeader = wire(MigrateDataHeader, default_factory=lambda: MigrateDataHeader(b"TNMD"))
    open_ports: int = wire(Int32ul, default=0)


class TunnelRules(ChannelRules):
    def opened_port(self, message: Any) -> Iterator[Breach]:
        if not message.port:
            yield Breach(message.spec.name, reason="opens port 0")


def with_tunnel(level: Level, **facts: Any) -> Level:
    row = ChannelFacts(Feature.USBREDIR, several=SEVERAL, window=True, state=b"TNMD")
    return Level(level.features, channels={**CHANNELS, TUNNEL: row}, **facts)


def gate(level: Level, channel: ChannelType = TUNNEL) -> Gate:
    return Gate(Peer(level, channel, frozenset(), mini=True), SERVER)


def test_a_level_has_it_where_its_row_says_so() -> None:
    level = with_tunnel(CURRENT)
    assert level.has_channel(TUNNEL)
    assert level.has_channel(TUNNEL, 3)
    assert level.channels == [*CURRENT.channels, TUNNEL]
    assert not CURRENT.has_channel(TUNNEL)
    assert not with_tunnel(level_of("0.8.3")).has_channel(TUNNEL)
    assert not changed(level, "-MULTIMONITOR").has_channel(TUNNEL, 3)
    assert level.words(TUNNEL) == (CURRENT.words(ChannelType.MAIN)[0], ())
    assert level != CURRENT
    assert level_of(level) is level


def test_its_messages_are_the_protocols_while_the_test_lasts(open_message: Any) -> None:
    assert lookup(TUNNEL, SERVER, 101) is open_message
    assert open_message.spec.name == "tunnel.Open"
    assert lookup(TUNNEL, SERVER, 4) is base.Ping
    assert TUNNEL in base.Ping.spec.channels
    assert lookup(TUNNEL, CLIENT, 5) is base.MigrateData
    assert open_message.parse(open_message(22).build()) == open_message(22)


def test_they_are_gone_behind_it() -> None:
    with inventing():
        message(TUNNEL, feature=Feature.VOLUME, server=101)(type("Open", (Message,), {}))
        assert lookup(TUNNEL, SERVER, 101)
    with pytest.raises(UnknownMessage):
        lookup(TUNNEL, SERVER, 101)
    assert TUNNEL not in base.Ping.spec.channels


def test_the_gate_goes_by_its_row(open_message: Any) -> None:
    level = with_tunnel(CURRENT)
    assert gate(level).breaches(open_message(22)) == []
    (found,) = gate(changed(level, "-VOLUME")).breaches(open_message(22))
    assert found.feature is Feature.VOLUME
    assert gate(level).breaches(base.SetAck(1, 20)) == []
    (found,) = gate(level, ChannelType.INPUTS).breaches(base.SetAck(1, 20))
    assert found.reason == "is sent on display and cursor and tunnel channels only"


def test_it_can_be_listed_where_it_is() -> None:
    listed = main.ChannelsList((ChannelId(TUNNEL, 1),))
    assert gate(with_tunnel(CURRENT), ChannelType.MAIN).breaches(listed) == []
    (found,) = gate(CURRENT, ChannelType.MAIN).breaches(listed)
    assert found.explain(CURRENT) == "channel tunnel:1 in main.ChannelsList is of a type that no server has"
    lesser = changed(with_tunnel(CURRENT), "-MULTIMONITOR")
    (found,) = gate(lesser, ChannelType.MAIN).breaches(listed)
    assert found.feature is SEVERAL


def linked(judge: ConnectionJudge, level: Level) -> list[Finding]:
    """A link to the channel, without a mechanism, on which messages have full headers."""
    client = build_link_message(TUNNEL, 0, 0x1234, (), ()) + bytes(TICKET_SIZE)
    reply = LINK_REPLY.pack(0, bytes(PUBLIC_KEY_SIZE), 0, 0, 0)
    server = HEADER.pack(MAGIC, 2, level.minor, len(reply)) + reply + U32.pack(0)
    return [*judge.client_data(client), *judge.server_data(server)]


def sent(writer: FrameWriter, *messages: Message) -> bytes:
    return b"".join(piece for each in messages for piece in writer.frame(each))


def test_the_judge_goes_by_its_row_and_rules(open_message: Any) -> None:
    class Rules(TunnelRules):
        handlers: ClassVar[Mapping[tuple[str, type[Message]], Handler]] = {
            (SERVER, open_message): TunnelRules.opened_port
        }

    level = with_tunnel(CURRENT)
    judge = StreamJudge(level, rules={**RULES, TUNNEL: Rules}).connection("001")
    assert linked(judge, level) == []
    writer = FrameWriter(mini=False, direction=SERVER)
    assert judge.server_data(sent(writer, open_message(22), base.SetAck(1, 20))) == []
    (found,) = judge.server_data(sent(writer, open_message(0)))
    assert (found.kind, found.explanation) == (Kind.ORDER, "tunnel.Open opens port 0")
    (found,) = judge.server_data(sent(writer, base.Migrate(0)))
    assert found.explanation == f"base.Migrate has flags 0x0, on this channel they are {int(WITH_STATE):#x}"
    flush = FrameWriter(mini=False, direction=CLIENT)
    judge.client_data(sent(flush, base.MigrateFlushMark()))
    (found,) = judge.server_data(sent(writer, base.MigrateData(b"TNMD" + bytes(6))))
    assert found.explanation.startswith("base.MigrateData has tunnel.TunnelData.header.version at offset 4")


def test_the_judge_takes_its_state(open_message: Any) -> None:
    level = with_tunnel(CURRENT)
    judge = ConnectionJudge(level)
    linked(judge, level)
    writer = FrameWriter(mini=False, direction=SERVER)
    assert judge.server_data(sent(writer, base.Migrate(WITH_STATE))) == []
    judge.client_data(sent(FrameWriter(mini=False, direction=CLIENT), base.MigrateFlushMark()))
    assert judge.server_data(sent(writer, base.MigrateData(TunnelData(open_ports=2).build()))) == []
    assert judge.finish() == []


@pytest.mark.parametrize("level", [CURRENT, LEVELS["0.8"]])
def test_without_its_row_the_link_is_the_fault_and_not_each_message(open_message: Any, level: Level) -> None:
    judge = ConnectionJudge(level)
    (found,) = linked(judge, level)
    assert (found.kind, found.explanation) == (
        Kind.LINK,
        f"channel tunnel:0 is accepted, which level {level.name} does not have",
    )
    assert judge.server_data(sent(FrameWriter(mini=False, direction=SERVER), open_message(0))) == []
    assert judge.server_data(FULL_HEADER.pack(2, 120, 0, 0)) == []  # a message that nobody knows
    assert judge.messages == 2


def test_a_channel_without_rules_is_not_judged(open_message: Any) -> None:
    level = with_tunnel(CURRENT)
    rules = {kind: row for kind, row in RULES.items() if kind is not TUNNEL}
    judge = ConnectionJudge(level, rules=rules)
    assert linked(judge, level) == []
    assert judge.server_data(b"\0" * 100) == []
