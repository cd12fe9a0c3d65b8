"""The steps of a link, as one who stands between both sides sees them completed.

Told from the bytes of both sides alone, so that a server's own connections and those that pass a relay have the same
steps in the same order::

    CONNECTED [TLS] HEADER MESSAGE REPLY [MECHANISM] TICKET LINKED
                                                            REFUSED, at any place behind HEADER or even before it

A server that closes without a word, and a client that leaves, are no step: the connection's end tells of them.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from spiceemu.protocol.link.observer import LinkObserver

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class LinkStep(Enum):
    """What has been completed of a link."""

    CONNECTED = "connected"
    """The client has connected."""
    TLS = "tls"
    """The handshake with the client is done; there is none on a plain connection."""
    HEADER = "header"
    """The client has sent the header of its link message."""
    MESSAGE = "message"
    """The client has sent its link message: which channel of which session it wants."""
    REPLY = "reply"
    """The server has sent a link reply without an error."""
    MECHANISM = "mechanism"
    """The client has chosen how it proves who it is; many do not choose."""
    TICKET = "ticket"
    """The client has sent its ticket. SASL has none."""
    LINKED = "linked"
    """The server has accepted: messages follow."""
    REFUSED = "refused"
    """The server has sent an error: nothing follows."""


REACHED: Mapping[LinkStep, Callable[[LinkObserver], bool]] = {
    LinkStep.HEADER: lambda link: link.client_version is not None,
    LinkStep.MESSAGE: lambda link: link.connection_id is not None,
    LinkStep.REPLY: lambda link: link.server_common is not None,
    LinkStep.MECHANISM: lambda link: link.mechanism is not None,
    LinkStep.TICKET: lambda link: link.client_start is not None and not link.sasl_mechanism,
    LinkStep.LINKED: lambda link: link.linked,
    LinkStep.REFUSED: lambda link: bool(link.error or link.result) or _is_refused_by_sasl(link),
}
"""How each step that bytes complete is known, in the order in which they are told."""


def _is_refused_by_sasl(link: LinkObserver) -> bool:
    return bool(link.sasl_mechanism) and link.refused and not (link.encrypted or link.failure)


class LinkSteps:
    """Tells the steps of one link that are completed by bytes, each once."""

    def __init__(self) -> None:
        self.over = False
        """Whether there are no more steps: what follows need not be handed in."""
        self._link = LinkObserver()
        self._left = dict(REACHED)

    @property
    def channel(self) -> str:
        """The channel that the client asks for, such as ``display:0``; empty before it is known."""
        return self._link.channel

    def client_data(self, data: bytes) -> list[LinkStep]:
        """Take bytes of the client; return the steps that they complete."""
        self._link.client_data(data)
        return self._completed()

    def server_data(self, data: bytes) -> list[LinkStep]:
        """Take bytes of the server; return the steps that they complete."""
        self._link.server_data(data)
        return self._completed()

    def _completed(self) -> list[LinkStep]:
        found = [step for step, reached in self._left.items() if reached(self._link)]
        for step in found:
            del self._left[step]
        self.over = self.over or LinkStep.LINKED in found or LinkStep.REFUSED in found
        return found
