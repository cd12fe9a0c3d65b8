"""A client's talk with the agent, through the bytes of a session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from construct import GreedyBytes, Int32ul

from spiceemu import events
from spiceemu.guest.agent import HANDLERS, Agent
from spiceemu.guest.clipboard import Clipboard
from spiceemu.guest.machine import Guest
from spiceemu.guest.parts import PartRow, with_rows
from spiceemu.protocol.agent.message import AgentMessage, agent_message
from spiceemu.protocol.agent.stream import AgentReader, pieces_of
from spiceemu.protocol.layout.fields import wire
from spiceemu.protocol.levels.level import CURRENT
from spiceemu.protocol.messages import main

from ..levels.wire import CLIENTS, MAIN, Wire
from ..protocol.inventing import inventing

INVENTED = 99


@pytest.fixture
def greeting() -> Iterator[type[Any]]:
    """An agent message that nobody knows, declared here and forgotten afterwards."""

    with inventing():

        @agent_message(INVENTED, None)
        class Greeting(AgentMessage):
            """Good day."""

            number: int = wire(Int32ul)
            text: bytes = wire(GreedyBytes)

        yield Greeting


def talking(guest: Guest) -> Wire:
    """A client that has begun to talk to the agent."""
    made = Wire(guest, CURRENT, CLIENTS["spice-gtk-0.42"])
    made.connect()
    made.say(MAIN, 0, main.AgentStart(10))
    return made


def guest_with(make: Any) -> Guest:
    """A guest whose agent is this one."""
    return Guest(sizes=[(8, 8)], parts=with_rows(PartRow("agent", make)))


def answers(line: Wire) -> list[AgentMessage]:
    """What the agent has said, read from its pieces."""
    line.pump()
    reader = AgentReader()
    received = line.lines[MAIN, 0].conversation.received
    pieces = [message.data for message in received if isinstance(message, main.AgentData)]
    return [message.parse() for piece in pieces for message in reader.receive_piece(piece)]


def test_an_invented_message_has_a_row_and_is_answered(greeting: type[Any]) -> None:
    def on_greeting(agent: Agent, message: Any) -> None:
        agent.say(greeting(message.number + 1, message.text.upper()))

    line = talking(
        guest_with(lambda made: Agent(made.part("clipboards", Clipboard), handlers={**HANDLERS, greeting: on_greeting}))
    )
    for piece in pieces_of(greeting(7, b"hello" * 1000)):
        line.say(MAIN, 0, main.AgentData(piece))
    assert answers(line) == [greeting(8, b"HELLO" * 1000)]
    assert line.events[-1] == events.AgentMessage(greeting(7, b"hello" * 1000), 5004)


def test_an_invented_message_without_a_row_is_read_and_ignored(greeting: type[Any]) -> None:
    line = talking(Guest(sizes=[(8, 8)]))
    line.say(MAIN, 0, main.AgentData(pieces_of(greeting(7, b""))[0]))
    assert answers(line) == []
    assert line.events[-1] == events.AgentMessage(greeting(7, b""), 4)


def test_a_message_that_nobody_has_declared_is_ignored() -> None:
    line = talking(Guest(sizes=[(8, 8)]))
    before = list(line.events)
    line.say(MAIN, 0, main.AgentData(bytes([1, 0, 0, 0, INVENTED, *bytes(15)])))
    assert answers(line) == []
    assert line.events == before
