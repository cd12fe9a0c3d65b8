"""Every exception spiceemu raises on purpose, in one tree.

::

    SpiceError
    ├── LocalError                   our side was used wrongly; nothing was sent
    │   ├── InvalidValue             a value does not fit its field, option or limit
    │   ├── NotCompatible            the server's compat level or the link's capabilities forbid it
    │   ├── AddressUnavailable       an address or port cannot be listened on, or nobody answers there
    │   ├── MalformedRecording       a file is no recording, or a damaged one
    │   ├── WrongState               the call is not possible now (not started, closed, already linked)
    │   ├── MigrationAborted         a migration failed when clients were told to leave already; the guest stays
    │   ├── MissingExtra             an optional extra (``tls``, ``media``) is not installed
    │   ├── MalformedSnapshot        a file is no snapshot, a damaged one, or one of a later version
    │   └── ExpectationFailed        an awaited event did not come
    └── RemoteError                  the peer broke the protocol; its connection is closed
        ├── MalformedMessage         a body does not follow its layout
        ├── UnknownMessage           no message of that id on that channel
        ├── IllegalMessage           a known message that is not permitted now
        ├── LimitExceeded            a size, count, rate or time went over a named limit
        ├── MalformedImage           a picture's payload does not decode
        └── LinkError                the link failed; ``code`` is its SpiceLinkErr
            ├── InvalidMagic             2
            ├── InvalidData              3
            ├── VersionMismatch          4
            ├── NeedSecured              5
            ├── NeedUnsecured            6
            ├── PermissionDenied         7
            ├── BadConnectionId          8
            └── ChannelNotAvailable      9

``LocalError`` is the caller's to mend, ``RemoteError`` the peer's. Texts name the channel, the message, the field,
the offset and the limit, as far as each exists.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, ClassVar


class HangUp(Exception):
    """Raised by a tap to end a connection by our will; its text is the reason that is told. It is nobody's error."""


class SpiceError(Exception):
    """Base of everything spiceemu raises on purpose."""


class LocalError(SpiceError):
    """The local side asked for something impossible; nothing was sent."""


class InvalidValue(LocalError, ValueError):
    """A value does not fit the field, option or limit it was given for."""


class NotCompatible(LocalError):
    """The compat level, or what the other side can do, forbids this message."""


class AddressUnavailable(LocalError, OSError):
    """An address, port or socket file cannot be listened on, or nobody answers there."""


class MalformedRecording(LocalError, ValueError):
    """A file is no recording, one of another version, or damaged. The text names the file and where in it."""


class WrongState(LocalError):
    """The call is not possible in the present state."""


class MigrationAborted(LocalError):
    """The guest could not go over when clients had been told to leave: it stays; the text says why.

    :ivar moved: what became of each client, as :meth:`~spiceemu.server.SpiceServer.migrate_to` would have told.
    """

    def __init__(self, text: str, moved: Sequence[Any]) -> None:
        super().__init__(text)
        self.moved = moved


class MissingExtra(LocalError, ImportError):
    """An optional dependency is needed; the text names the extra to install.

    :param what: what needs it.
    :param package: what is needed.
    :param extra: the extra that brings it along.
    """

    def __init__(self, what: str, package: str, extra: str) -> None:
        how = f"pip install 'spiceemu[{extra}]', or '.[{extra}]' in a checkout"
        super().__init__(f"{what} needs the package {package}: {how}", name=package)


class MalformedSnapshot(LocalError, ValueError):
    """A snapshot cannot be read: another file, a damaged one, one of a later version, or over a named limit."""


class ExpectationFailed(LocalError, AssertionError):
    """An awaited event did not come; the text shows what came instead."""


class RemoteError(SpiceError):
    """The peer broke the protocol."""

    ours = False
    """Whether an observer or a tap of ours has raised it: then it says nothing of the peer on whose behalf it ran."""


class MalformedMessage(RemoteError):
    """A message body does not follow its layout.

    :param message: the message's name, such as ``display.DrawCopy``.
    :param field: path of the field inside the body, such as ``data.src_bitmap``; empty for the body as a whole.
    :param offset: where in the body, in bytes.
    :param reason: what is wrong, with the limit that was broken.
    """

    def __init__(self, message: str, field: str, offset: int, reason: str) -> None:
        self.message = message
        self.field = field
        self.offset = offset
        self.reason = reason
        where = f"{message}.{field}" if field else message
        super().__init__(f"{where} at offset {offset}: {reason}")


class UnknownMessage(RemoteError):
    """No message of this id exists on this channel in this direction."""


class IllegalMessage(RemoteError):
    """The message exists but is not permitted in the present state."""


class LimitExceeded(RemoteError):
    """The peer went over a named limit of size, count, rate or time."""


class MalformedImage(RemoteError):
    """The payload of a picture does not decode."""


class LinkError(RemoteError):
    """The link was refused or broke. ``code`` is the SpiceLinkErr that goes over the wire (1 = ERROR)."""

    code: ClassVar[int] = 1


class InvalidMagic(LinkError):
    """The first four bytes are not ``REDQ``."""

    code = 2


class InvalidData(LinkError):
    """The link message's size or capability counts are out of bounds."""

    code = 3


class VersionMismatch(LinkError):
    """The peer speaks another major version."""

    code = 4


class NeedSecured(LinkError):
    """The channel is only served over TLS."""

    code = 5


class NeedUnsecured(LinkError):
    """The channel is only served without TLS."""

    code = 6


class PermissionDenied(LinkError):
    """The password is wrong, expired or missing."""

    code = 7


class BadConnectionId(LinkError):
    """No session has this connection id."""

    code = 8


class ChannelNotAvailable(LinkError):
    """The server has no such channel."""

    code = 9
