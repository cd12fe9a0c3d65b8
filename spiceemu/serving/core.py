"""What runs inside a server: its listeners, connections, clients and guest. Tests see its face, ``SpiceServer``."""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from spiceemu.errors import WrongState
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.serving import listeners
from spiceemu.serving.connection import FAREWELL_TIMEOUT, Connection
from spiceemu.serving.policy import ServerPolicy
from spiceemu.serving.roster import Roster
from spiceemu.sessions.failures import FAILED, Failure, describe, keep

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from spiceemu.channels.tap import MessageTap
    from spiceemu.events import Event
    from spiceemu.guest.machine import Guest
    from spiceemu.protocol.levels.level import Level
    from spiceemu.protocol.link.server import Linked, LinkPolicy
    from spiceemu.protocol.link.ticket import Password
    from spiceemu.serving.member import Member, Place
    from spiceemu.serving.options import Addresses, Habits, Machine
    from spiceemu.serving.wiretap import WireTap, WireTaps
    from spiceemu.sessions.session import Session
    from spiceemu.sessions.tables import Tables

TICK = 0.5
"""Seconds between looks at the channels' deadlines."""

log = logging.getLogger("spiceemu.server")


class ServerCore:
    """The inside of one server, from :meth:`listen` to :meth:`close`.

    :param addresses: where it listens.
    :param machine: what its guest is made of.
    :param habits: how it treats clients.
    :param level: what it behaves like.
    :param password: what a client must know.
    :param tables: what there is of each kind; all that this package has if None.
    :ivar move: the migration under way, from here or to here.
    :ivar awaits_guest: whether clients are held back until a guest comes.
    :ivar taps: what sees the messages of every client.
    :ivar wire_taps: what sees the bytes of every connection that begins, if there is anything.
    """

    def __init__(
        self,
        addresses: Addresses,
        machine: Machine,
        habits: Habits,
        *,
        level: Level,
        password: Password,
        tables: Tables | None = None,
    ) -> None:
        self.addresses = addresses
        self.machine = machine
        self.habits = habits
        self.move: Any = None
        self.awaits_guest = False
        self.taps: list[MessageTap] = []
        self.wire_taps: WireTaps | None = None
        self.roster = Roster()
        self._tables = tables
        self._servers: list[asyncio.Server] = []
        self._is_starting = False
        self.last_refusal = ""
        self._guest: Guest | None = None
        self._carried: dict[int, Mapping[str, Any]] = {}
        self._open: set[Connection] = set()
        self._unlinked: set[Connection] = set()
        self.failures: list[Failure] = []
        """What of ours has failed, on whatever client or before there was one."""
        self._most_open = listeners.most_connections()
        self._most_unlinked = max(min(habits.limits.unlinked, self._most_open // 2), 1)
        self._ticker: asyncio.TimerHandle | None = None
        self._policy = ServerPolicy(
            level=level,
            channels=self._channels,
            password=password,
            has_session=self.roster.__contains__,
            has_channel=self.roster.has_channel,
            tls_channels=addresses.tls.channels if addresses.tls else (),
            plain_channels=addresses.plain_channels,
            is_parked=self.roster.is_parked,
        )

    @property
    def policy(self) -> LinkPolicy:
        """What decides about links."""
        return self._policy

    @property
    def level(self) -> Level:
        """What it behaves like."""
        return self._policy.level

    def set_level(self, level: Level) -> None:
        """Behave like something else from now on.

        :raises WrongState: a client is connected.
        """
        if self.roster:
            raise WrongState(f"level {self.level.name} stays while a client is connected")
        for connection in list(self._unlinked):  # they may have been told of the old one
            connection.close("the server's compat level changes")
        self._policy.level = level

    def set_password(self, password: Password) -> None:
        """Ask for another password from the links that come."""
        self._policy.password = password

    @property
    def tables(self) -> Tables:
        """What there is of each kind."""
        if self._tables is None:
            from spiceemu.sessions.tables import Tables  # here: a server listens before it needs them

            self._tables = Tables()
        return self._tables

    @property
    def guest(self) -> Guest:
        """The make-believe machine, made when it is first asked for."""
        if self._guest is None:
            self._guest = self.machine.make(self.tables)
        return self._guest

    def _channels(self, level: Level) -> list[tuple[ChannelType, int]]:
        from spiceemu.channels.table import offered  # here: the first link is answered while it is not needed yet

        return offered(self.tables.channels, self.guest, level)

    def add_wire_tap(self, tap: WireTap) -> Callable[[], None]:
        """Let a tap see the bytes of every connection that begins from now on.

        :returns: what takes it away again.
        """
        from spiceemu.serving.wiretap import WireTaps  # here, as servers without taps need none of it

        if self.wire_taps is None:
            self.wire_taps = WireTaps()
        self.wire_taps.add(tap)
        return _once(partial(self.wire_taps.remove, tap))

    def add_tap(self, tap: MessageTap) -> Callable[[], None]:
        """Let a tap see every message of every client from now on.

        :returns: what takes it away again.
        """
        self.taps.append(tap)
        for member in self.roster:
            member.session.shared.taps.taps.append(tap)

        def remove() -> None:
            for taps in (self.taps, *(member.session.shared.taps.taps for member in self.roster)):
                if tap in taps:
                    taps.remove(tap)

        return _once(remove)

    # Listening

    @property
    def listening(self) -> bool:
        """Whether the server takes connections."""
        return bool(self._servers)

    async def listen(self) -> None:
        """Listen; a client that connects after this returns is answered.

        :raises AddressUnavailable: a port is in use or an address is not this machine's.
        :raises WrongState: the server listens already.
        """
        if self._servers or self._is_starting:
            raise WrongState("the server is started already")
        self._is_starting = True
        try:
            await self._listen()
        finally:
            self._is_starting = False
        self.roster.reopen()
        self._warn_if_open()
        self._tick()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        if self.habits.password_lifetime is not None:
            self._policy.password.expires_at = loop.time() + self.habits.password_lifetime
        at = self.addresses
        plain, secure = listeners.listen(
            at.host, port=at.port, tls_port=at.tls_port, unix_path=at.unix_path, given=at.sockets
        )
        at.port, at.tls_port = listeners.port_of(plain), listeners.port_of(secure)
        at.unix_path = at.unix_path or listeners.path_of(plain)
        at.sockets = plain + secure
        context: ssl.SSLContext | None = at.tls.context if at.tls else None
        for each in plain:
            self._servers.append(await loop.create_server(partial(Connection, self), sock=each))
        for each in secure:
            self._servers.append(await loop.create_server(partial(Connection, self, tls=context), sock=each))

    def _warn_if_open(self) -> None:
        at = self.addresses
        beyond = (at.port is not None or at.tls_port is not None) and not listeners.is_loopback(at.host)
        if beyond and not self._policy.password.required:
            log.warning("listening on %s without a password: whoever reaches this machine can connect", at.host)

    async def close(self) -> None:
        """Stop listening, close every connection, free the ports. Safe to call twice.

        Clients see the end of what they are sent, and have ``FAREWELL_TIMEOUT`` to close as well.
        """
        servers, self._servers = self._servers, []
        self.roster.close()
        listeners.remove_files(self.addresses.sockets)  # before asyncio closes them
        for each in servers:
            each.close()
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        for connection in list(self._open):
            connection.hang_up("the server closes", FAREWELL_TIMEOUT)
        while self._open:
            await next(iter(self._open)).wait_closed()
        listeners.close_all(self.addresses.sockets)
        self.addresses.sockets = []
        if self._guest is not None:
            self._guest.close()

    # For connections

    def adopt(self, connection: Connection, linked: Linked, now: float) -> Place:
        """Take a linked connection into its session; a new main channel begins one.

        :returns: its place there.
        """
        self._unlinked.discard(connection)
        session_id = linked.request.connection_id
        if linked.request.channel_type == ChannelType.MAIN:
            for member in self.roster:
                if not self.habits.shared or member.session.id == session_id:
                    member.disconnect("replaced by another client")
            member = self._begin(session_id, now)
        else:
            member = self.roster[session_id]
        return member.attach(connection, linked, now)

    def connection_began(self, connection: Connection) -> None:
        """Count a connection, or close it because there are too many, or the links of too many are not done."""
        self._open.add(connection)
        if not self._servers:
            connection.close("the server closes")  # accepted in its last moment
        elif len(self._unlinked) >= self._most_unlinked:
            connection.close(f"the links of {self._most_unlinked} others are not done")
        elif len(self._open) > self._most_open:
            connection.close(f"there are {self._most_open} others, as many as this process may have files open for")
        else:
            self._unlinked.add(connection)

    def connection_ended(self, connection: Connection) -> None:
        """Forget a connection that is gone."""
        self._open.discard(connection)
        self._unlinked.discard(connection)
        self.last_refusal = connection.refusal or self.last_refusal

    def failed(self, error: Exception) -> None:
        """Note that something of ours raised on a connection that is no client's yet."""
        if all(failure.error is not error for failure in self.failures):  # else the client knows of it that it had
            log.error(FAILED, describe(error), exc_info=error)
            failure = Failure(error)
            keep(self.failures, failure)
            self.roster.failed(failure)

    def _begin(self, session_id: int, now: float) -> Member:
        """Begin a session; one that has an id already comes from another server."""
        # Here, because the first link is answered while these are not needed yet.
        from spiceemu.channels.shared import Shared
        from spiceemu.channels.tap import Taps
        from spiceemu.serving.member import Member
        from spiceemu.sessions.log import MessageLog, event_log
        from spiceemu.sessions.migration import Arrival
        from spiceemu.sessions.session import Session
        from spiceemu.sessions.trace import Trace, is_wanted

        arrival = None
        if session_id or self.awaits_guest:
            arrival = Arrival(held=self.awaits_guest, followed=not session_id, now=now)
        if session_id == 0 or session_id in self.roster:
            session_id = self.roster.free_id()
        limits = self.habits.limits
        messages = MessageLog(limits.messages)
        shared = Shared(
            self.guest,
            session_id=session_id,
            offered=self._policy.channels(),
            level=self.level,
            compression=self.habits.compression,
            codecs=self.tables.codecs,
            lowerings=self.tables.lowerings,
            taps=Taps(
                self.taps, watchers=[*([messages] if limits.messages else []), *([Trace()] if is_wanted() else [])]
            ),
            now=now,
        )

        def make_session(tell: Callable[[Event], None]) -> Session:
            return Session(
                shared,
                tell,
                tables=self.tables,
                strict=self.habits.strict,
                arrival=arrival,
                alone=lambda: all(member.session.is_arriving for member in self.roster),
            )

        member = Member(
            make_session,
            events=event_log(limits.events),
            messages=messages,
            news=self.roster.tell,
            forget=self.roster.forget,
            failed=partial(keep, self.failures),
        )
        self.roster.enter(member)
        if session_id in self._carried:
            member.session.carry(self._carried.pop(session_id))
        return member

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        self._ticker = loop.call_later(TICK, self._tick)
        for connection in list(self._open):
            connection.check_time(loop.time())
        for member in self.roster:
            member.check_time(loop.time())

    # The guest's state

    def save(self) -> dict[str, Any]:
        """The guest as it is, and what a client that leaves with its channels has of it.

        :returns: plain data.
        """
        from spiceemu.guest.state import save

        now = asyncio.get_running_loop().time()
        leaving = [member.session for member in self.roster if member.session.takes_channels_along]
        return {"guest": save(self.guest), "sessions": {f"{each.id:08x}": each.save(now) for each in leaving}}

    def load(self, state: Any) -> None:
        """Take a guest over; clients that wait for it go on.

        What an observer of the guest raises then is a failure of this server's, and changes nothing.

        :param state: what :meth:`save` gave.
        :raises InvalidValue: this server's guest cannot become like it; nothing was changed.
        """
        from spiceemu.guest.state import check
        from spiceemu.protocol.plain import Plain
        from spiceemu.sessions.carried import read_sessions

        guest, sessions = Plain(state).fields("guest", "sessions")
        carried: dict[int, Mapping[str, Any]] = {**read_sessions(sessions, self.tables.channels)}
        become = check(self.guest, guest.value)
        try:
            become()
        except Exception as error:  # noqa: BLE001 - an observer's, and the guest is what the other one was
            self.failed(error)
        for member in self.roster:
            if member.session.id in carried:
                member.session.carry(carried.pop(member.session.id))
        self._carried = carried
        self.let_go()

    def let_go(self) -> None:
        """Hold clients back no longer; one that fails then is no hindrance to the others."""
        self.awaits_guest = False
        for member in self.roster:
            member.let_go()


def _once(act: Callable[[], None]) -> Callable[[], None]:
    """What does something when it is called first, and nothing when it is called again."""
    left = [act]
    return lambda: left.pop()() if left else None
