"""The server: what a test calls.

::

    async with SpiceServer(password="s3cret") as server:
        server.displays[0].fill((0, 0, 640, 480), "steelblue")
        client = await server.wait_client(timeout=10)
        await client.synced()
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Self

from spiceemu.codecs.compression import DEFAULT_COMPRESSION
from spiceemu.errors import ExpectationFailed, WrongState
from spiceemu.guest.limits import DEFAULT_SIZE, MAX_DISPLAYS, MAX_NAME
from spiceemu.protocol.levels.level import CURRENT, Level, changed, level_of
from spiceemu.protocol.link.ticket import Password
from spiceemu.serving import listeners
from spiceemu.serving.checks import check_bytes, check_seconds, check_whole, wrong
from spiceemu.serving.core import ServerCore
from spiceemu.serving.options import Addresses, Habits, Limits, Machine, Tls, check_password, check_tables
from spiceemu.sessions.failures import raise_unseen

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Sequence
    from uuid import UUID

    from spiceemu.channels.tap import MessageTap
    from spiceemu.client import Client
    from spiceemu.guest.display import Display
    from spiceemu.guest.machine import Guest
    from spiceemu.protocol.levels.compat import Feature
    from spiceemu.serving.member import Member
    from spiceemu.serving.moving import Deliver, Moved
    from spiceemu.serving.wiretap import WireTap
    from spiceemu.sessions.destination import Destination
    from spiceemu.sessions.tables import Tables


class SpiceServer:
    """A SPICE server that listens from ``start()`` to ``close()``, or inside ``async with``.

    :param host: address to listen on.
    :param port: port for plain connections, 0 for any free one, None for none.
    :param tls: how it is reached over TLS; not at all if None.
    :param unix_path: path of a unix socket to listen on as well.
    :param sockets: plain sockets that listen already, instead of ``host`` and ``port``.
    :param password: what a client must know; empty for nothing.
    :param password_lifetime: seconds from now for which the password is right.
    :param displays: width and height of each display in pixels.
    :param title: the guest's name, which clients show; empty for none.
    :param uuid: the guest's UUID; a random one if not given, and none if all its bits are zero.
    :param shared: whether several clients may be there at once; else a new one replaces the one before.
    :param compression: how pictures are encoded, by a name of :mod:`spiceemu.codecs.compression`.
    :param plain_channels: names of channels served without TLS only, or ``all``.
    :param agent: whether the guest has an agent.
    :param sound: whether the guest has sound: a playback and a record channel.
    :param compat: what to behave like: a version such as ``0.8`` or a release such as ``0.8.3``, by default the newest
        release; ``spiceemu compat`` lists them.
    :param features: changes to the features of that level, such as ``+SURFACES,-MULTIMONITOR``.
    :param strict: whether a client's message that the level does not know ends its connection; else the client's
        :class:`~spiceemu.events.Violation` is all that comes of it.
    :param limits: how much is kept of each client, and the like.
    :param tables: what there is of channels, codecs and the like; for who adds to them (``docs/adding.md``).
    :raises InvalidValue: for options that contradict each other.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int | None = 0,
        tls: Tls | None = None,
        unix_path: str | None = None,
        sockets: Sequence[socket.socket] = (),
        password: str | bytes | None = None,
        password_lifetime: float | None = None,
        displays: Sequence[tuple[int, int]] = (DEFAULT_SIZE,),
        title: str = "spiceemu",
        uuid: UUID | None = None,
        shared: bool = False,
        compression: str = DEFAULT_COMPRESSION,
        plain_channels: Iterable[str] = (),
        agent: bool = True,
        sound: bool = True,
        compat: str | int | Level | None = None,
        features: str = "",
        strict: bool = True,
        limits: Limits | None = None,
        tables: Tables | None = None,
    ) -> None:
        level = CURRENT if compat is None else level_of(compat)
        self._core = ServerCore(
            Addresses(host, port, tls, unix_path, sockets, plain_channels),
            Machine(displays, title, uuid, agent=agent, sound=sound),
            Habits(
                shared=shared,
                compression=compression,
                strict=strict,
                password_lifetime=password_lifetime,
                limits=Limits() if limits is None else limits,
            ),
            level=changed(level, features) if features else level,
            password=Password(check_password(password)),
            tables=check_tables(tables),
        )

    def __repr__(self) -> str:
        where = self.uri if self.listening else "not listening"
        count = len(self._core.roster)
        return f"<SpiceServer {where} level {self.level.name}, {count} client{'s' * (count != 1)}>"

    # What it behaves like

    @property
    def level(self) -> Level:
        """What the server behaves like: a version, a release, or a set of features of its own."""
        return self._core.level

    @property
    def features(self) -> Feature:
        """The features that are enabled."""
        return self.level.features

    def set_compat_version(self, version: str | int) -> None:
        """Behave like this version from now on, or like a release by its name.

        :raises InvalidValue: there is no such level.
        :raises WrongState: a client is connected.
        """
        named = level_of(version)
        self._core.set_level(Level(named.features, named.name, self.level.facts))

    def enable_features(self, mask: int) -> None:
        """Have these features and no others from now on.

        :raises InvalidValue: the mask is none, has an unknown bit, or lacks PROTOCOL_MAJOR2.
        :raises WrongState: a client is connected.
        """
        check_whole("mask", mask)
        self._core.set_level(Level(mask, channels=self.level.facts))

    # The guest

    @property
    def guest(self) -> Guest:
        """The make-believe machine: displays, keyboard, pointer, cursor, agent."""
        return self._core.guest

    @property
    def displays(self) -> Sequence[Display]:
        """The guest's displays, to draw on."""
        return self.guest.displays

    # Listening

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return self._core.addresses.host

    @property
    def port(self) -> int | None:
        """The plain port; the real one once the server listens."""
        return self._core.addresses.port

    @property
    def tls_port(self) -> int | None:
        """The TLS port; the real one once the server listens."""
        return self._core.addresses.tls_port

    @property
    def unix_path(self) -> str | None:
        """The path of its unix socket."""
        return self._core.addresses.unix_path

    @property
    def title(self) -> str:
        """The guest's name as the server was given it."""
        return self._core.machine.title

    @property
    def listening(self) -> bool:
        """Whether the server takes connections."""
        return self._core.listening

    @property
    def uri(self) -> str:
        """The address for a client, such as ``spice://127.0.0.1:5930``.

        :raises WrongState: the server does not listen, so its ports are not known.
        """
        if not self.listening:
            raise WrongState("the server has no address before it is started")
        return listeners.uri_of(self.host, self.port, self.tls_port, self.unix_path)

    async def start(self) -> None:
        """Listen; a client that connects after this returns is answered.

        :raises AddressUnavailable: a port is in use or an address is not this machine's.
        :raises WrongState: the server listens already.
        """
        await self._core.listen()

    async def close(self) -> None:
        """Stop listening, close every connection, free the ports. Safe to call twice.

        Clients see the end of what they are sent, and have half a second to close as well.
        """
        await self._core.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        await self.close()
        if error is None:  # else there is something to look at already
            raise_unseen(self._core.failures)

    # Clients

    def _client_of(self, member: Member) -> Client:
        from spiceemu.client import Client  # here: a server listens before it needs it

        if not isinstance(member.face, Client):
            member.face = Client(member)
        return member.face

    @property
    def clients(self) -> Sequence[Client]:
        """The clients connected now, oldest first."""
        return [self._client_of(member) for member in self._core.roster]

    async def wait_client(self, timeout: float | None = 30.0, *, ready: bool = True) -> Client:
        """Wait for the next client that no earlier call returned.

        :param timeout: seconds; None waits for ever.
        :param ready: wait for one whose first display channel is ready, and that is still there. Else its main channel
            is enough, and a client that has left by now can be looked at as well.
        :returns: the client.
        :raises ExpectationFailed: none came in time.
        :raises WrongState: the server does not listen, or has closed meanwhile.
        :raises Exception: what of ours has failed on a client that was not returned yet (``ServerFailed``).
        """
        limit = asyncio.timeout(timeout)
        try:
            async with limit:
                return self._client_of(await self._core.roster.next_member(ready=ready))
        except TimeoutError:
            if not limit.expired():
                raise  # a failure of ours
            refusal = self._core.last_refusal
            refused = f"; the last that tried: {refusal}" if refusal else ""
            raise ExpectationFailed(f"no client came to {self.uri} within {timeout:g} s{refused}") from None

    async def until_client(self) -> None:
        """Wait until some client's first display channel is ready; :meth:`wait_client` returns it all the same.

        :raises WrongState: the server does not listen, or has closed meanwhile.
        """
        await self._core.roster.until_ready()

    def set_password(self, password: str | bytes | None, lifetime: float | None = None) -> None:
        """Change the password for the links that come; ``lifetime`` is in seconds from now.

        :raises InvalidValue: it is no password, or longer than a ticket can hold; or the lifetime is no number.
        """
        check_seconds("lifetime", lifetime)
        expires = None if lifetime is None else asyncio.get_running_loop().time() + lifetime
        self._core.set_password(Password(check_password(password), expires))

    # What travels

    def add_tap(self, tap: MessageTap | WireTap) -> Callable[[], None]:
        """Let a tap see, and change, every message from now on; or every byte of connections that begin from now on.

        :param tap: a :class:`~spiceemu.MessageTap`, or a :class:`~spiceemu.WireTap`, such as a
            :class:`~spiceemu.Recorder`.
        :returns: what takes it away again.
        :raises InvalidValue: it is neither.
        """
        from spiceemu.channels.tap import MessageTap  # here, both: a server listens before anybody taps it
        from spiceemu.serving.wiretap import WireTap

        if isinstance(tap, WireTap):
            return self._core.add_wire_tap(tap)
        if not isinstance(tap, MessageTap):
            raise wrong("tap", "a MessageTap or a WireTap", tap)
        return self._core.add_tap(tap)

    # From and to other servers

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
            one of the target's ``Tls``.
        :param deliver: awaited with a :meth:`snapshot` when the guest has stopped, before the clients go on: takes it
            to a server in another process.
        :returns: what became of each client.
        :raises NotCompatible: a level has no migration, or the target's lacks what is in use; the text names it.
        :raises InvalidValue: clients cannot be sent there, or its guest cannot become what this one is.
        :raises WrongState: a migration is under way here or at the target, or no guest is here yet.
        :raises MigrationAborted: the guest could not go over when clients were told to leave already; it stays.
        """
        from spiceemu.serving.moving import Move
        from spiceemu.sessions.destination import Destination

        if not isinstance(target, SpiceServer | Destination):
            raise wrong("target", "a SpiceServer or a Destination", target)
        there = target._core if isinstance(target, SpiceServer) else target
        return await Move(self._core, there, cert_subject, deliver).run(retreat=retreat)

    def check_destination(self, destination: Destination) -> None:
        """Refuse a destination that no client could be sent to from here, before any is.

        :raises InvalidValue: it is none, or clients cannot be sent there.
        :raises NotCompatible: this level moves nobody.
        """
        from spiceemu.serving.moving import destination_of
        from spiceemu.sessions.destination import Destination

        if not isinstance(destination, Destination):
            raise wrong("destination", "a Destination", destination)
        destination_of(self._core, destination)

    def snapshot(self) -> bytes:
        """The guest as it is, and what a client that leaves with its channels has of it, as a file.

        :returns: the file; ``docs/snapshot.md`` has the format.
        :raises InvalidValue: the guest is too large for one.
        """
        from spiceemu.sessions.snapshot import dump

        return dump(self._core.save())

    @classmethod
    def from_snapshot(cls, snapshot: bytes, **options: Any) -> Self:
        """A server that has the guest of another one; options are those of the class.

        :returns: the server, which does not listen yet.
        :raises MalformedSnapshot: it is none.
        :raises InvalidValue: it is not even bytes, there is no such guest, or the options do not fit it.
        """
        from spiceemu.protocol.plain import Plain
        from spiceemu.sessions.snapshot import load

        state = Plain(load(check_bytes("snapshot", snapshot)))
        guest = state.field("guest")
        displays = guest.field("displays").elements(MAX_DISPLAYS, least=1)
        found = {
            "displays": [DEFAULT_SIZE] * len(displays),
            "title": guest.field("name").text(MAX_NAME),
            "agent": guest.field("agent").value is not None,
        }
        made = cls(**{**found, **options})
        made._core.load(state.value)
        return made

    def expect_guest(self) -> None:
        """Let clients link, and begin nothing, until :meth:`receive_guest` or :meth:`let_go`."""
        self._core.awaits_guest = True

    def receive_guest(self, snapshot: bytes) -> None:
        """Take a guest over; clients that wait for it go on.

        :raises MalformedSnapshot: it is none.
        :raises InvalidValue: it is not even bytes, or this server's guest cannot become like it; nothing was changed.
        """
        from spiceemu.sessions.snapshot import load

        self._core.load(load(check_bytes("snapshot", snapshot)))

    def let_go(self) -> None:
        """Hold clients back no longer."""
        self._core.let_go()
