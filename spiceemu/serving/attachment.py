"""What a connection is attached to: the server it came to, and its place in a session there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from spiceemu.channels.channel import Channel
    from spiceemu.channels.migration import ParkedChannel
    from spiceemu.errors import RemoteError
    from spiceemu.protocol.link.server import Linked, LinkPolicy
    from spiceemu.serving.wiretap import WireTaps

ConnectionType = TypeVar("ConnectionType", contravariant=True)  # the connection's module imports this one


class Home(Protocol[ConnectionType]):
    """What a connection needs from the server it belongs to."""

    @property
    def policy(self) -> LinkPolicy:
        """What decides about links."""

    @property
    def wire_taps(self) -> WireTaps | None:
        """What every byte passes; None if there is nothing."""

    def adopt(self, connection: ConnectionType, linked: Linked, now: float) -> Attachment:
        """Take a linked connection into its session."""

    def connection_began(self, connection: ConnectionType) -> None:
        """Count a connection, or close it because there are too many."""

    def connection_ended(self, connection: ConnectionType) -> None:
        """Forget a connection that is gone."""

    def failed(self, error: Exception) -> None:
        """Note that something of ours raised on a connection that is no client's yet."""


class Attachment(Protocol):
    """A connection's place in a session."""

    label: str

    @property
    def channel(self) -> Channel | ParkedChannel:
        """The channel that the connection carries now."""

    def receive_data(self, data: bytes, now: float) -> None:
        """Take what the client sent; raises RemoteError."""

    def violated(self, error: RemoteError) -> None:
        """Note that the client broke the protocol."""

    def failed(self, error: Exception) -> None:
        """Note that something of ours raised."""

    def own_up(self) -> None:
        """Note what of ours has raised and was not asked for yet."""

    def closed(self, reason: str, now: float) -> None:
        """Note that the connection is gone."""
