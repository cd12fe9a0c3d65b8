"""Where clients are sent, and by which of the schemes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from spiceemu.errors import NotCompatible
from spiceemu.protocol.capabilities import MainCap
from spiceemu.protocol.levels.level import MigrationScheme
from spiceemu.protocol.messages import main
from spiceemu.protocol.messages.types import DstInfo
from spiceemu.protocol.plain import Plain

if TYPE_CHECKING:
    from spiceemu.channels.main import MainChannel
    from spiceemu.protocol.levels.level import Level

NO_PORT = 0
"""What clients take for no plain port (spice-gtk, spice_session_set_port); at 0xFFFF they would look for one."""

NO_TLS_PORT = 0xFFFF
"""What QEMU says where there is no TLS port; clients look there only if plain channels are refused."""

MAX_HOST = 255
"""Longest name of a host in bytes (RFC 1035)."""

MAX_SUBJECT = 1 << 12
"""Longest subject of a certificate in bytes of UTF-8."""

SEMI, SEAMLESS, SWITCH_HOST = MigrationScheme.SEMI_SEAMLESS, MigrationScheme.SEAMLESS, MigrationScheme.SWITCH_HOST


class Destination(NamedTuple):
    """Where a client is sent: what it needs to link there.

    :ivar cert_subject: the subject that the target's certificate must have, as spice-gtk compares it
        (``CN=host, O=…``); empty for the host name to be judged instead.
    """

    host: str
    port: int | None = None
    tls_port: int | None = None
    cert_subject: str = ""

    def check(self) -> None:
        """Refuse what the messages cannot hold.

        :raises InvalidValue: naming it and the limit.
        """
        host, port, tls_port, subject = (Plain(value, f"destination.{name}") for name, value in self._asdict().items())
        for text, most in ((host, MAX_HOST), (subject, MAX_SUBJECT)):
            if "\0" in text.text(most):
                raise text.wrong("has a NUL, where clients take it to end")
        if not self.host:
            raise host.wrong("is empty")
        for number in (port, tls_port):
            number.optional(lambda it: it.integer(1, NO_TLS_PORT - 1))
        if self.port is None and self.tls_port is None:
            raise port.wrong("neither this nor a TLS port is given")

    def info(self) -> DstInfo:
        """The same for MIGRATE_BEGIN."""
        return DstInfo(*self._values())

    def switch(self) -> main.MigrateSwitchHost:
        """The same as SWITCH_HOST."""
        return main.MigrateSwitchHost(*self._values())

    def _values(self) -> tuple[int, int, bytes, bytes | None]:
        subject = _text(self.cert_subject) if self.cert_subject else None
        return self.port or NO_PORT, self.tls_port or NO_TLS_PORT, _text(self.host), subject

    def for_client(self, *, secure: bool) -> Destination:
        """The same for one client: where it has TLS alone and can have it there, it is told of no other port.

        Else spice-gtk, which tries the plain port first, would lose it on its way.

        :param secure: whether all its channels came over TLS.
        :returns: the destination that it is told.
        """
        if self.tls_port is not None and secure:
            return self._replace(port=None)
        return self


def _text(text: str) -> bytes:
    return text.encode() + b"\0"


def best_scheme(source: Level, target: Level | None) -> MigrationScheme:
    """The best scheme from one level to another, before any client is asked.

    :param target: None for a server of which nothing is known; then its answers decide.
    :returns: the scheme.
    :raises NotCompatible: the source's level moves nobody.
    """
    if source.migration is MigrationScheme.NONE:
        raise NotCompatible(f"level {source.name} has no migration: WITHOUT_MIGRATION")
    if target is None or source.migration is target.migration:
        return source.migration
    return SEMI if source.takes_sessions and target.takes_sessions else SWITCH_HOST


def choose_scheme(source: Level, target: Level | None, channel: MainChannel, *, alone: bool) -> MigrationScheme:
    """How a client is moved: the best of the levels' schemes that it has as well, with all that this falls back to.

    :param target: None for a server of which nothing is known.
    :param channel: the client's main channel.
    :param alone: whether it is the only client; spice-server moves several semi-seamlessly at best.
    :returns: the scheme.
    :raises NotCompatible: the source's level moves nobody.
    """
    best = best_scheme(source, target)
    announced = channel.client_capabilities
    # A client of protocol 2.0 would take MIGRATE_BEGIN for its older layout (spice-server 0.8.3 asks for this as well).
    knows_semi = MainCap.SEMI_SEAMLESS_MIGRATE in announced and channel.linked.request.minor >= 1
    if best is SWITCH_HOST or not knows_semi:
        return SWITCH_HOST
    seamless = {MainCap.SEAMLESS_MIGRATE, MainCap.AGENT_CONNECTED_TOKENS} <= announced
    return SEAMLESS if best is SEAMLESS and seamless and alone else SEMI
