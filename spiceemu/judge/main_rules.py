"""Rules of the main channel: INIT, the list of channels, the agent and its tokens, the steps of a migration.

Sources: sections 7, 10 and 11 of the notes on releases; spice-server's ``main-channel-client.c`` and ``reds.c``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum, auto
from typing import ClassVar

from spiceemu.judge.rules import ChannelRules, Handler, Owed, Scene, not_a_target
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.levels.needs import Breach
from spiceemu.protocol.messages import base, main
from spiceemu.protocol.messages.message import CLIENT, SERVER, Message


class ArrivalStep(Enum):
    """Where a session stands that comes from another server, or does not."""

    PARKED = auto()
    """Linked with the id of the other server's session, and silent until the client says what it wants."""
    ASKED = auto()
    """The client has asked whether the state can be taken over: only the answer may come."""
    AGREED = auto()
    """The state is on its way: nothing may come before it."""
    THERE = auto()


_WAITING_FOR = {
    ArrivalStep.PARKED: "before main.MigrateEnd or main.MigrateDstDoSeamless of the client",
    ArrivalStep.ASKED: "before the answer to main.MigrateDstDoSeamless",
    ArrivalStep.AGREED: "before base.MigrateData of the client",
}
_ANSWERS = (main.MigrateDstSeamlessAck, main.MigrateDstSeamlessNack)


class MainRules(ChannelRules):
    """The main channel of one session."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        arrives = scene.connection_id != 0
        self._arrival = ArrivalStep.PARKED if arrives else ArrivalStep.THERE
        self._agreed = False
        self._spoke = False  # too early
        self._initialised = False
        self._attached = False
        self._begun = False  # a migration to another server
        self._agent: bool | None = None if arrives else False  # None where nobody knows
        self._ever_agent = arrives
        self._client_tokens: int | None = None
        self._server_tokens: int | None = None if arrives else 0

    def judge(self, direction: str, message: Message) -> Iterator[Breach | Owed]:
        """What is wrong with a message at this point."""
        if direction == SERVER:
            yield from self._beginning(message)
        yield from super().judge(direction, message)

    def _beginning(self, message: Message) -> Iterator[Breach]:
        name = message.spec.name
        answers = isinstance(message, _ANSWERS)
        if self._arrival is not ArrivalStep.THERE:
            asked = self._arrival is ArrivalStep.ASKED
            pings = isinstance(message, base.Ping) and self._arrival is ArrivalStep.AGREED  # 0.15.1 does
            if not ((answers and asked) or pings or self._spoke):
                self._spoke = True
                yield Breach(name, reason=f"comes {_WAITING_FOR[self._arrival]}")
        elif answers:
            yield Breach(name, reason="answers no main.MigrateDstDoSeamless")
        elif not self._initialised and not isinstance(message, main.Init):
            self._initialised = True
            yield Breach(name, reason="comes before main.Init, the first message of a session")

    def init(self, message: main.Init) -> Iterator[Breach]:
        """INIT comes once."""
        if self._initialised:
            yield Breach(message.spec.name, reason="comes again, or behind what it should come before")
        self._initialised = True
        self._agent = self._ever_agent = bool(message.agent_connected)
        self._client_tokens = message.agent_tokens
        self._server_tokens = 0

    def attach(self, _message: main.AttachChannels) -> Iterator[Breach]:
        """ATTACH_CHANNELS asks for the list."""
        self._attached = True
        yield from ()

    def channels_list(self, message: main.ChannelsList) -> Iterator[Breach]:
        """CHANNELS_LIST answers ATTACH_CHANNELS; later ones came with stream channels, which come and go."""
        name = message.spec.name
        listed = self.session.listed
        if not self._attached:
            self._attached = True
            yield Breach(name, reason="comes before main.AttachChannels of the client")
        elif listed is not None and not self.level.has(Feature.MULTI_CODEC):
            yield Breach(name, reason=f"comes again, which it does not at level {self.level.name}")
        self.session.listed = (listed or set()) | {(channel.type, channel.id) for channel in message.channels}

    # The agent

    def agent_comes(self, message: main.AgentConnected | main.AgentConnectedTokens) -> Iterator[Breach]:
        """AGENT_CONNECTED, with the tokens or, as before 0.11.3, without."""
        self._agent = self._ever_agent = True
        self._client_tokens = message.num_tokens if isinstance(message, main.AgentConnectedTokens) else None
        yield from ()

    def agent_goes(self, _message: main.AgentDisconnected) -> Iterator[Breach]:
        """AGENT_DISCONNECTED; what the client sent before it knew is no fault."""
        self._agent = False
        self._client_tokens = None
        yield from ()

    def agent_speaks(self, message: main.AgentData) -> Iterator[Breach]:
        """AGENT_DATA of the server costs a token of the client's."""
        yield from self._needs_agent(message)
        if self._server_tokens is not None:
            if not self._server_tokens:
                yield Breach(message.spec.name, reason="is sent without a token of the client's")
            self._server_tokens = max(0, self._server_tokens - 1)

    def tokens_for_client(self, message: main.AgentToken) -> Iterator[Breach]:
        """AGENT_TOKEN of the server."""
        yield from self._needs_agent(message)
        if self._client_tokens is not None:
            self._client_tokens += message.num_tokens

    def _needs_agent(self, message: Message) -> Iterator[Breach]:
        if self._agent is False:
            self._agent = self._server_tokens = None
            yield Breach(message.spec.name, reason="comes while no agent is connected")

    def agent_starts(self, message: main.AgentStart) -> Iterator[Breach]:
        """AGENT_START brings the server's tokens."""
        yield from self._needs_any_agent(message)
        if self._server_tokens is not None:
            self._server_tokens = message.num_tokens

    def tokens_for_server(self, message: main.AgentToken) -> Iterator[Breach]:
        """AGENT_TOKEN of the client."""
        yield from self._needs_any_agent(message)
        if self._server_tokens is not None:
            self._server_tokens += message.num_tokens

    def client_speaks(self, message: main.AgentData) -> Iterator[Breach]:
        """AGENT_DATA of the client costs a token of the server's."""
        yield from self._needs_any_agent(message)
        if self._client_tokens is not None:
            if not self._client_tokens:
                yield Breach(message.spec.name, reason="is sent without a token of the server's")
            self._client_tokens = max(0, self._client_tokens - 1)

    def _needs_any_agent(self, message: Message) -> Iterator[Breach]:
        if not self._ever_agent:
            self._ever_agent = True
            self._client_tokens = None
            yield Breach(message.spec.name, reason="is sent though no agent was ever connected")

    # Migration, from here and to here

    def migration_begins(self, _message: main.MigrateBegin | main.MigrateBeginSeamless) -> Iterator[Breach]:
        """MIGRATE_BEGIN, of either kind."""
        self._begun = True
        yield from ()

    def belongs_to_migration(self, message: Message) -> Iterator[Breach]:
        """What only makes sense once a migration has begun."""
        if not self._begun:
            self._begun = True
            yield Breach(message.spec.name, reason="comes without main.MigrateBegin before it")

    def arrives(self, message: main.MigrateEnd) -> Iterator[Breach]:
        """MIGRATE_END of the client, at the target: a session with new channels begins."""
        if self._arrival in (ArrivalStep.PARKED, ArrivalStep.ASKED):
            self._arrival = ArrivalStep.THERE
            self.session.whole = True
        else:
            yield not_a_target(message)

    def asks_for_seamless(self, message: main.MigrateDstDoSeamless) -> Iterator[Breach]:
        """MIGRATE_DST_DO_SEAMLESS, the first message at the target of a seamless migration."""
        if self._arrival is ArrivalStep.PARKED:
            self._arrival = ArrivalStep.ASKED
            self.session.whole = False
        else:
            yield not_a_target(message)

    def agrees(self, _message: main.MigrateDstSeamlessAck) -> Iterator[Breach]:
        """MIGRATE_DST_SEAMLESS_ACK."""
        if self._arrival is ArrivalStep.ASKED:
            self._arrival = ArrivalStep.AGREED
            self._agreed = True
        self._initialised = True  # the client has had its INIT from the source
        yield from ()

    def refuses(self, _message: main.MigrateDstSeamlessNack) -> Iterator[Breach]:
        """MIGRATE_DST_SEAMLESS_NACK: the session moves with new channels."""
        if self._arrival is ArrivalStep.ASKED:
            self._arrival = ArrivalStep.PARKED
        yield from ()

    def state_arrives(self, message: base.MigrateData) -> Iterator[Breach]:
        """MIGRATE_DATA of the client, at the target."""
        if not self._agreed:
            yield Breach(message.spec.name, reason="comes without main.MigrateDstSeamlessAck before it")
        self._arrival = ArrivalStep.THERE

    handlers: ClassVar[Mapping[tuple[str, type[Message]], Handler]] = {
        (SERVER, main.Init): init,
        (CLIENT, main.AttachChannels): attach,
        (SERVER, main.ChannelsList): channels_list,
        (SERVER, main.AgentConnected): agent_comes,
        (SERVER, main.AgentConnectedTokens): agent_comes,
        (SERVER, main.AgentDisconnected): agent_goes,
        (SERVER, main.AgentData): agent_speaks,
        (SERVER, main.AgentToken): tokens_for_client,
        (CLIENT, main.AgentStart): agent_starts,
        (CLIENT, main.AgentToken): tokens_for_server,
        (CLIENT, main.AgentData): client_speaks,
        (SERVER, main.MigrateBegin): migration_begins,
        (SERVER, main.MigrateBeginSeamless): migration_begins,
        (SERVER, main.MigrateCancel): belongs_to_migration,
        (SERVER, main.MigrateEnd): belongs_to_migration,
        (CLIENT, main.MigrateConnected): belongs_to_migration,
        (CLIENT, main.MigrateConnectedSeamless): belongs_to_migration,
        (CLIENT, main.MigrateConnectError): belongs_to_migration,
        (CLIENT, main.MigrateEnd): arrives,
        (CLIENT, main.MigrateDstDoSeamless): asks_for_seamless,
        (SERVER, main.MigrateDstSeamlessAck): agrees,
        (SERVER, main.MigrateDstSeamlessNack): refuses,
        (CLIENT, base.MigrateData): state_arrives,
    }
