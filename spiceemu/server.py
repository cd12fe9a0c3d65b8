"""The server: listeners, sessions, and what a test needs of them.

::

    async with SpiceServer(password="s3cret") as server:
        server.displays[0].fill((0, 0, 640, 480), "steelblue")
        client = await server.wait_client(timeout=10)
        await client.synced()
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import TYPE_CHECKING, Self

from spiceemu.errors import ExpectationFailed, WrongState
from spiceemu.guest.limits import DEFAULT_SIZE, MAX_DISPLAYS, MAX_NAME
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.levels.level import CURRENT, Level, changed, level_of
from spiceemu.protocol.link.ticket import Password
from spiceemu.serving import listeners
from spiceemu.serving.connection import FAREWELL_TIMEOUT, Connection
from spiceemu.serving.options import check_guest, check_habits, check_ports
from spiceemu.serving.policy import ServerPolicy
from spiceemu.serving.roster import Roster
from spiceemu.sessions.event_log import MAX_EVENTS

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any
    from uuid import UUID

    from spiceemu.client import Client
    from spiceemu.guest.display import Display
    from spiceemu.guest.machine import Guest
    from spiceemu.protocol.levels.compat import Feature
    from spiceemu.protocol.link.server import Linked, LinkPolicy
    from spiceemu.serving.member import Member, Place
    from spiceemu.serving.moving import Deliver, Move, Moved
    from spiceemu.serving.wiretap import WireTaps
    from spiceemu.sessions.migration import Destination

TICK = 0.5
"""Seconds between looks at the channels' deadlines."""

MAX_UNLINKED = 1024
"""Connections whose link is not done; more are closed at once, so that strangers cannot use up all files."""

log = logging.getLogger("spiceemu.server")


class SpiceServer:
    """A SPICE server that listens from ``start()`` to ``close()``, or inside ``async with``.

    :param host: address to listen on.
    :param port: port for plain connections, 0 for any free one, None for none.
    :param tls_port: port for TLS connections, 0 for any free one, None for none; needs ``tls``.
    :param tls: the TLS context; see :func:`spiceemu.serving.tls.server_context`.
    :param tls_subject: the subject of its certificate, such as ``CN=localhost``, told to clients that are moved here.
    :param unix_path: path of a unix socket to listen on as well.
    :param sockets: plain sockets that listen already, instead of ``host`` and ``port``.
    :param password: what a client must know; empty for nothing.
    :param password_lifetime: seconds from now for which the password is right.
    :param displays: width and height of each display in pixels.
    :param title: the guest's name, which clients show; empty for none.
    :param uuid: the guest's UUID; a random one if not given, and none if all its bits are zero.
    :param shared: whether several clients may be there at once; else a new one replaces the one before.
    :param compression: how pictures are encoded: ``auto``, ``lz`` or ``off``.
    :param tls_channels: names of channels served over TLS only, or ``all``.
    :param plain_channels: names of channels served without TLS only, or ``all``.
    :param agent: whether the guest has an agent.
    :param sound: whether the guest has sound: a playback and a record channel.
    :param compat: what to behave like: a version such as ``0.8`` or a release such as ``0.8.3``, by default the newest
        release; see :mod:`spiceemu.protocol.levels.compat`.
    :param features: changes to the features of that level, such as ``+SURFACES,-MULTIMONITOR``.
    :param strict: whether a client's message that the level does not know ends its connection; else the client's
        :class:`~spiceemu.events.Violation` is all that comes of it.
    :param max_events: how many events of each client are kept, the newest; 0 where nobody looks at them.
    :raises InvalidValue: for options that contradict each other.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int | None = 0,
        tls_port: int | None = None,
        tls: ssl.SSLContext | None = None,
        tls_subject: str = "",
        unix_path: str | None = None,
        sockets: Sequence[socket.socket] = (),
        password: str | bytes | None = None,
        password_lifetime: float | None = None,
        displays: Sequence[tuple[int, int]] = (DEFAULT_SIZE,),
        title: str = "spiceemu",
        uuid: UUID | None = None,
        shared: bool = False,
        compression: str = "auto",
        tls_channels: Iterable[str] = (),
        plain_channels: Iterable[str] = (),
        agent: bool = True,
        sound: bool = True,
        compat: str | int | None = None,
        features: str = "",
        strict: bool = True,
        max_events: int = MAX_EVENTS,
    ) -> None:
        check_ports(port, tls_port, tls=tls is not None, others=bool(unix_path or sockets))
        check_guest(title, uuid, displays)
        check_habits(compression, max_events)
        self.host = host
        self.port = port
        """The plain port; the real one once the server listens."""
        self.tls_port = tls_port
        """The TLS port; the real one once the server listens."""
        self.tls_subject = tls_subject
        self.unix_path = unix_path
        self.shared = shared
        self.title = title
        self._uuid = uuid
        self._tls = tls
        self._compression = compression
        self._sizes = list(displays)
        self._with_agent = agent
        self._strict = strict
        self._sockets = list(sockets)
        self._servers: list[asyncio.Server] = []
        self._is_starting = False
        self._last_refusal = ""
        self._guest: Guest | None = None
        self._roster = Roster(max_events)
        self.move: Move | None = None
        """The migration under way, from here or to here."""
        self.awaits_guest = False
        """Whether clients are held back until a guest comes."""
        self._carried: dict[int, Mapping[str, Any]] = {}
        self.wire_taps: WireTaps | None = None
        """What every connection that begins passes, if there is anything."""
        self._open: set[Connection] = set()
        self._unlinked: set[Connection] = set()
        self._most_open = listeners.most_connections()
        self._most_unlinked = max(min(MAX_UNLINKED, self._most_open // 2), 1)
        self._ticker: asyncio.TimerHandle | None = None
        self._password_lifetime = password_lifetime
        level = CURRENT if compat is None else level_of(compat)
        self._policy = ServerPolicy(
            level=changed(level, features) if features else level,
            displays=len(self._sizes),
            sound=sound,
            password=Password(password),
            has_session=self._roster.__contains__,
            has_channel=self._roster.has_channel,
            tls_channels=tls_channels,
            plain_channels=plain_channels,
            is_parked=self._roster.is_parked,
        )

    # What it behaves like

    @property
    def level(self) -> Level:
        """What the server behaves like: a version, a release, or a set of features of its own."""
        return self._policy.level

    @property
    def features(self) -> Feature:
        """The features that are enabled."""
        return self.level.features

    def set_compat_version(self, version: str | int) -> None:
        """Behave like this version from now on, or like a release by its name.

        :raises InvalidValue: there is no such level.
        :raises WrongState: a client is connected.
        """
        self._set_level(level_of(version))

    def enable_features(self, mask: int) -> None:
        """Have these features and no others from now on.

        :raises InvalidValue: the mask has an unknown bit, or lacks PROTOCOL_MAJOR2.
        :raises WrongState: a client is connected.
        """
        self._set_level(Level(mask))

    def _set_level(self, level: Level) -> None:
        if self._roster:
            raise WrongState(f"level {self.level.name} stays while a client is connected")
        for connection in list(self._unlinked):  # they may have been told of the old one
            connection.close("the server's compat level changes")
        self._policy.level = level

    # The guest

    @property
    def guest(self) -> Guest:
        """The make-believe machine: displays, keyboard, pointer, cursor, agent."""
        if self._guest is None:
            from spiceemu.guest.machine import Guest  # here: a server listens before it needs its guest

            self._guest = Guest(sizes=self._sizes, name=self.title, uuid=self._uuid, agent=self._with_agent)
        return self._guest

    @property
    def displays(self) -> Sequence[Display]:
        """The guest's displays, to draw on."""
        return self.guest.displays

    # Listening

    @property
    def listening(self) -> bool:
        """Whether the server takes connections."""
        return bool(self._servers)

    @property
    def uri(self) -> str:
        """The address for a client, such as ``spice://127.0.0.1:5930``.

        :raises WrongState: the server does not listen, so its ports are not known.
        """
        if not self._servers:
            raise WrongState("the server has no address before it is started")
        return listeners.uri_of(self.host, self.port, self.tls_port, self.unix_path)

    async def start(self) -> None:
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
        self._roster.reopen()
        self._warn_if_open()
        self._tick()

    async def _listen(self) -> None:
        loop = asyncio.get_running_loop()
        if self._password_lifetime is not None:
            self._policy.password.expires_at = loop.time() + self._password_lifetime
        plain, secure = listeners.listen(
            self.host, port=self.port, tls_port=self.tls_port, unix_path=self.unix_path, given=self._sockets
        )
        self.port, self.tls_port = listeners.port_of(plain), listeners.port_of(secure)
        self.unix_path = self.unix_path or listeners.path_of(plain)
        self._sockets = plain + secure
        for each in plain:
            self._servers.append(await loop.create_server(partial(Connection, self), sock=each))
        for each in secure:
            self._servers.append(await loop.create_server(partial(Connection, self, tls=self._tls), sock=each))

    def _warn_if_open(self) -> None:
        beyond = (self.port is not None or self.tls_port is not None) and not listeners.is_loopback(self.host)
        if beyond and not self._policy.password.required:
            log.warning("listening on %s without a password: whoever reaches this machine can connect", self.host)

    async def close(self) -> None:
        """Stop listening, close every connection, free the ports. Safe to call twice.

        Clients see the end of what they are sent, and have ``FAREWELL_TIMEOUT`` to close as well.
        """
        servers, self._servers = self._servers, []
        self._roster.close()
        listeners.remove_files(self._sockets)  # before asyncio closes them
        for each in servers:
            each.close()
        if self._ticker is not None:
            self._ticker.cancel()
            self._ticker = None
        for connection in list(self._open):
            connection.hang_up("the server closes", FAREWELL_TIMEOUT)
        while self._open:
            await next(iter(self._open)).wait_closed()
        listeners.close_all(self._sockets)
        self._sockets = []
        if self._guest is not None:
            self._guest.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # Clients

    @property
    def clients(self) -> Sequence[Client]:
        """The clients connected now, oldest first."""
        return self._roster.clients

    async def wait_client(self, timeout: float | None = 30.0, *, ready: bool = True) -> Client:
        """Wait for the next client that no earlier call returned.

        :param timeout: seconds; None waits for ever.
        :param ready: wait for one whose first display channel is ready, and that is still there. Else its main channel
            is enough, and a client that has left by now can be looked at as well.
        :raises ExpectationFailed: none came in time.
        :raises WrongState: the server does not listen, or has closed meanwhile.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._roster.next_client(ready=ready)
        except TimeoutError:
            refused = f"; the last that tried: {self._last_refusal}" if self._last_refusal else ""
            raise ExpectationFailed(f"no client came to {self.uri} within {timeout:g} s{refused}") from None

    async def until_client(self) -> None:
        """Wait until some client's first display channel is ready; :meth:`wait_client` returns it all the same.

        :raises WrongState: the server does not listen, or has closed meanwhile.
        """
        await self._roster.until_ready()

    def set_password(self, password: str | bytes | None, lifetime: float | None = None) -> None:
        """Change the password for the links that come; ``lifetime`` is in seconds from now.

        :raises InvalidValue: it is longer than a ticket can hold.
        """
        expires = None if lifetime is None else asyncio.get_running_loop().time() + lifetime
        self._policy.password = Password(password, expires)

    # From and to other servers

    @property
    def members(self) -> Iterable[Member]:
        """The clients connected now, with their sessions."""
        return self._roster

    async def migrate_to(
        self,
        target: SpiceServer | Destination,
        *,
        retreat: bool = False,
        cert_subject: str = "",
        deliver: Deliver | None = None,
    ) -> list[Moved]:
        """Move the guest and its clients to another server, by the best scheme that source, target and client have.

        :param target: another server of this process, which gets the guest as it is; or where one is.
        :param retreat: give up offscreen surfaces and further heads if the target's level lacks them.
        :param cert_subject: the subject of the target's certificate, for clients that come over TLS; by default the
            target's ``tls_subject``.
        :param deliver: awaited with a :meth:`snapshot` when the guest has stopped, before the clients go on: takes it
            to a server in another process.
        :returns: what became of each client.
        :raises NotCompatible: a level has no migration, or the target's lacks what is in use; the text names it.
        :raises InvalidValue: clients cannot be sent there, or its guest cannot become what this one is.
        :raises WrongState: a migration is under way here or at the target, or no guest is here yet.
        :raises MigrationAborted: the guest could not go over when clients were told to leave already; it stays.
        """
        from spiceemu.serving.moving import Move

        return await Move(self, target, cert_subject, deliver).run(retreat=retreat)

    def snapshot(self) -> bytes:
        """The :meth:`state` as a file; ``docs/snapshot.md`` has the format.

        :raises InvalidValue: the guest is too large for one.
        """
        from spiceemu.sessions.snapshot import dump

        return dump(self.state())

    def state(self) -> dict[str, Any]:
        """The guest as it is, and what a client that leaves with its channels has of it, as plain data."""
        from spiceemu.guest.state import take

        now = asyncio.get_running_loop().time()
        leaving = [member.session for member in self.members if member.session.takes_channels_along]
        return {"guest": take(self.guest), "sessions": {f"{each.id:08x}": each.state(now) for each in leaving}}

    @classmethod
    def from_snapshot(cls, snapshot: bytes, **options: Any) -> Self:
        """A server that has the guest of another one; options are those of the class.

        :raises MalformedSnapshot: it is none.
        :raises InvalidValue: there is no such guest, or the options do not fit it.
        """
        from spiceemu.protocol.plain import Plain
        from spiceemu.sessions.snapshot import load

        state = Plain(load(snapshot))
        guest = state.field("guest")
        displays = guest.field("displays").elements(MAX_DISPLAYS, least=1)
        found = {
            "displays": [DEFAULT_SIZE] * len(displays),
            "title": guest.field("name").text(MAX_NAME),
            "agent": guest.field("agent").value is not None,
        }
        made = cls(**{**found, **options})
        made.take_over(state.value)
        return made

    def expect_guest(self) -> None:
        """Let clients link, and begin nothing, until :meth:`receive_guest` or :meth:`let_go`."""
        self.awaits_guest = True

    def receive_guest(self, snapshot: bytes) -> None:
        """Take a guest over; clients that wait for it go on.

        :raises MalformedSnapshot: it is none.
        :raises InvalidValue: this server's guest cannot become like it; nothing was changed.
        """
        from spiceemu.sessions.snapshot import load

        self.take_over(load(snapshot))

    def take_over(self, state: Any) -> None:
        """The same, of what :meth:`state` gave.

        :raises InvalidValue: this server's guest cannot become like it; nothing was changed.
        """
        from spiceemu.guest.state import give
        from spiceemu.protocol.plain import Plain
        from spiceemu.sessions.carried import read_sessions

        guest, sessions = Plain(state).fields("guest", "sessions")
        carried: dict[int, Mapping[str, Any]] = {**read_sessions(sessions)}
        give(self.guest, guest.value)
        for member in self._roster:
            if member.session.id in carried:
                member.session.carry(carried.pop(member.session.id))
        self._carried = carried
        self.let_go()

    def let_go(self) -> None:
        """Hold clients back no longer."""
        self.awaits_guest = False
        for member in self._roster:
            member.let_go()

    # For connections

    @property
    def policy(self) -> LinkPolicy:
        """What decides about links."""
        return self._policy

    def adopt(self, connection: Connection, linked: Linked, now: float) -> Place:
        """Take a linked connection into its session; a new main channel begins one."""
        self._unlinked.discard(connection)
        session_id = linked.request.connection_id
        if linked.request.channel_type == ChannelType.MAIN:
            for member in self._roster:
                if not self.shared or member.session.id == session_id:
                    member.disconnect("replaced by another client")
            member = self._begin(session_id, now)
        else:
            member = self._roster[session_id]
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
        self._last_refusal = connection.refusal or self._last_refusal

    def _begin(self, session_id: int, now: float) -> Member:
        """Begin a session; one that has an id already comes from another server."""
        # Here, because the first link is answered while these are not needed yet.
        from spiceemu.sessions.migration import Arrival
        from spiceemu.sessions.session import Session

        arrival = None
        if session_id or self.awaits_guest:
            arrival = Arrival(held=self.awaits_guest, followed=not session_id, now=now)
        if session_id == 0 or session_id in self._roster:
            session_id = self._roster.free_id()
        session = Session(
            self.guest,
            session_id=session_id,
            channels=self._policy.channels(),
            compression=self._compression,
            now=now,
            level=self.level,
            strict=self._strict,
            arrival=arrival,
            alone=lambda: all(member.session.is_arriving for member in self._roster),
        )
        if session_id in self._carried:
            session.carry(self._carried.pop(session_id))
        return self._roster.enter(session)

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        for connection in list(self._open):
            connection.check_time(loop.time())
        for member in self._roster:
            member.check_time(loop.time())
        self._ticker = loop.call_later(TICK, self._tick)
