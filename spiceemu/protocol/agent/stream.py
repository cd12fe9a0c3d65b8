"""How agent messages travel: in pieces, each of which costs its sender a token.

::

    VDAgentMessage  20 bytes  u32 protocol (1) | u32 type | u64 opaque | u32 size      then ``size`` bytes

A message is cut into pieces of at most 2048 bytes, one AGENT_DATA of the main channel each. Real senders begin every
message with a piece of its own; readers take them however they are cut, as spice-gtk does.

Each side starts with the tokens that the other one granted it: the client with those of INIT or AGENT_CONNECTED_TOKENS,
ten from every server; the server with those of AGENT_START, 4294967295 from every client, which is no limit. A server
gives tokens back five at a time, with AGENT_TOKEN, as the agent takes the pieces.

Where a conversation moves to another server, as in a migration, ``save()`` of each class gives what it holds as plain
data, and ``load()`` of the other server's takes it.

Sources: spice-protocol ``spice/vd_agent.h``; spice-server ``agent-msg-filter.c``, ``reds.cpp``, ``char-device.cpp``.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from spiceemu.errors import IllegalMessage, LimitExceeded, MalformedMessage
from spiceemu.protocol.agent import messages as agent
from spiceemu.protocol.agent.message import PLAIN, AgentMessage, ClipboardLayout
from spiceemu.protocol.plain import Plain

HEADER = struct.Struct("<IIQI")

PROTOCOL = 1
"""The only version of the agent protocol (VD_AGENT_PROTOCOL)."""

MAX_PIECE = 2048
"""Largest piece in bytes (VD_AGENT_MAX_DATA_SIZE); spice-server disconnects a client that sends more."""

MAX_AGENT_MESSAGE = 1 << 24
"""Largest data of a message in bytes. Clients send up to 100 MiB of clipboard, but only what the guest asked for."""

MAX_WAITING = 2 * MAX_AGENT_MESSAGE
"""Most bytes that wait for tokens; a real server drops a client that grants none for 30 seconds."""

GRANTED_TOKENS = 10
"""Tokens that a server grants at the start (spice-server ``main-channel.h``, REDS_AGENT_WINDOW_SIZE)."""

RETURNED_TOKENS = 5
"""Fewest tokens that a server gives back at once (spice-server ``reds.cpp``, REDS_TOKENS_TO_SEND)."""

MAX_TOKENS = (1 << 63) - 1
"""Most tokens in a state; a client may grant 4294967295 at a time."""


class VDAgentMessage(NamedTuple):
    """A message whose data is not read yet: how depends on what both sides have announced by then."""

    type: int
    data: bytes
    opaque: int = 0

    def parse(self, layout: ClipboardLayout = PLAIN) -> AgentMessage:
        """Read the data; raises as :func:`spiceemu.protocol.agent.messages.parse`."""
        return agent.parse(self.type, self.data, layout)


class AgentReader:
    """Joins the pieces of one direction to messages.

    :param max_message: data beyond this is refused as soon as its header is there.
    """

    def __init__(self, *, max_message: int = MAX_AGENT_MESSAGE) -> None:
        self.max_message = max_message
        self._held = bytearray()

    @property
    def buffered(self) -> int:
        """Bytes of an incomplete message."""
        return len(self._held)

    def reset(self) -> None:
        """Forget an incomplete message; for when the agent or the client has gone."""
        self._held.clear()

    def save(self) -> dict[str, Any]:
        """What is held of an incomplete message."""
        return {"held": bytes(self._held)}

    def load(self, state: Any, path: str = "reader") -> None:
        """Go on where another reader has stopped.

        :raises InvalidValue: naming what cannot be; nothing changed.
        """
        (held,) = Plain(state, path).fields("held")
        data = held.data(HEADER.size + self.max_message)
        if len(data) >= HEADER.size:
            protocol, _, _, size = HEADER.unpack_from(data)
            if protocol != PROTOCOL:
                raise held.wrong(f"the protocol is {protocol}, it must be {PROTOCOL}")
            if size > self.max_message:
                raise held.wrong(f"a message of {size} bytes, the limit is {self.max_message}")
            if len(data) >= HEADER.size + size:
                raise held.wrong(f"{len(data)} bytes of a message that is complete with {HEADER.size + size}")
        self._held[:] = data

    def receive_piece(self, data: bytes) -> Iterator[VDAgentMessage]:
        """The messages that a piece completes.

        Exhaust the iterator before the next call.

        :raises LimitExceeded: for a piece or a message over its limit.
        :raises MalformedMessage: for another protocol than 1.
        """
        if len(data) > MAX_PIECE:
            raise LimitExceeded(f"main.AgentData: a piece of {len(data)} bytes, the limit is {MAX_PIECE}")
        self._held += data
        while len(self._held) >= HEADER.size:
            protocol, kind, opaque, size = HEADER.unpack_from(self._held)
            if protocol != PROTOCOL:
                raise MalformedMessage("agent.VDAgentMessage", "protocol", 0, f"{protocol}, it must be {PROTOCOL}")
            if size > self.max_message:
                raise LimitExceeded(
                    f"agent.VDAgentMessage.size at offset 16: message {kind} has {size} bytes, "
                    f"the limit is {self.max_message}"
                )
            end = HEADER.size + size
            if len(self._held) < end:
                return
            with memoryview(self._held) as held:
                body = bytes(held[HEADER.size : end])
            del self._held[:end]
            yield VDAgentMessage(kind, body, opaque)


def pieces_of(message: AgentMessage, layout: ClipboardLayout = PLAIN) -> list[bytes]:
    """Cut a message into the pieces it travels in.

    :returns: bytes, in the order in which they are sent.
    :raises InvalidValue: naming the field that does not fit.
    :raises NotCompatible: for a value that the layout has no place for.
    """
    data = message.build(layout)
    data = HEADER.pack(PROTOCOL, message.spec.type, 0, len(data)) + data
    return [data[start : start + MAX_PIECE] for start in range(0, len(data), MAX_PIECE)]


class AgentWriter:
    """Pieces that wait for tokens.

    :ivar tokens: how many pieces the other side takes now.
    """

    def __init__(self, tokens: int = 0) -> None:
        self.tokens = tokens
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0

    @property
    def waiting(self) -> int:
        """Bytes that wait."""
        return self._waiting_bytes

    def reset(self, tokens: int = 0) -> None:
        """Forget what waits and begin with so many tokens."""
        self.tokens = tokens
        self._waiting.clear()
        self._waiting_bytes = 0

    def save(self) -> dict[str, Any]:
        """What waits, as one piece of data and the sizes of its pieces, and for how many there are tokens."""
        return {"tokens": self.tokens, "waiting": b"".join(self._waiting), "sizes": [*map(len, self._waiting)]}

    def load(self, state: Any, path: str = "writer") -> None:
        """Go on where another writer has stopped.

        :raises InvalidValue: naming what cannot be; nothing changed.
        """
        tokens, waiting, sizes = Plain(state, path).fields("tokens", "waiting", "sizes")
        number = tokens.integer(0, MAX_TOKENS)
        data = waiting.data(MAX_WAITING)
        ends = [*accumulate(size.integer(1, MAX_PIECE) for size in sizes.elements(len(data)))]
        if (ends or [0])[-1] != len(data):
            raise sizes.wrong(f"pieces of {(ends or [0])[-1]} bytes, but {len(data)} wait")
        self.tokens = number
        self._waiting = deque(data[start:end] for start, end in pairwise([0, *ends]))
        self._waiting_bytes = len(data)

    def queue(self, message: AgentMessage, layout: ClipboardLayout = PLAIN) -> None:
        """Add a message; raises as :func:`pieces_of`.

        :raises LimitExceeded: when more than ``MAX_WAITING`` bytes wait for tokens.
        """
        pieces = pieces_of(message, layout)
        size = self._waiting_bytes + sum(map(len, pieces))
        if size > MAX_WAITING:
            raise LimitExceeded(f"main.AgentToken: {size} bytes wait for tokens, the limit is {MAX_WAITING}")
        self._waiting.extend(pieces)
        self._waiting_bytes = size

    def pieces_to_send(self) -> list[bytes]:
        """Take the pieces that there are tokens for."""
        pieces = [self._waiting.popleft() for _ in range(min(self.tokens, len(self._waiting)))]
        self.tokens -= len(pieces)
        self._waiting_bytes -= sum(map(len, pieces))
        return pieces


class AgentTokens:
    """What the other side may still send.

    :ivar left: how many pieces it may send now.
    :param taken: how many tokens of used pieces were not given back yet.
    """

    def __init__(self, granted: int = GRANTED_TOKENS, taken: int = 0) -> None:
        self.left = granted
        self._taken = taken

    def save(self) -> dict[str, Any]:
        """What is left, and what was taken since tokens were given back."""
        return {"left": self.left, "taken": self._taken}

    def load(self, state: Any, path: str = "tokens") -> None:
        """Go on where others have stopped.

        :raises InvalidValue: naming what cannot be; nothing changed.
        """
        left, taken = Plain(state, path).fields("left", "taken")
        self.left, self._taken = left.integer(0, MAX_TOKENS), taken.integer(0, GRANTED_TOKENS)

    def spend(self) -> None:
        """A piece came.

        :raises IllegalMessage: if there was no token for it.
        """
        if not self.left:
            raise IllegalMessage("main.AgentData: sent without a token")
        self.left -= 1

    def use(self) -> None:
        """The piece was used; its token can be given back."""
        self._taken += 1

    def give_back(self) -> int:
        """How many tokens to give back now, none until enough have come together."""
        if self._taken < RETURNED_TOKENS:
            return 0
        returned, self._taken = self._taken, 0
        self.left += returned
        return returned

    def take(self) -> int:
        """Both at once."""
        self.use()
        return self.give_back()
