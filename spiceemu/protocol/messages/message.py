"""What every message is: a record with a channel, a direction and an id.

One class a message, declared once::

    @message(ChannelType.MAIN, server=113, capability=MainCap.NAME_AND_UUID, feature=Feature.NAME_AND_UUID)
    class Name(Message):
        name_len = Count(Int32ul, "name")
        name: bytes = wire(Blob("name_len"))

Reading, writing, ``repr``, the log line, the gate and the catalogue all follow from it.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar, dataclass_transform

from spiceemu.errors import InvalidValue, LimitExceeded, MalformedMessage, UnknownMessage
from spiceemu.protocol.capabilities import ChannelType
from spiceemu.protocol.layout import fields as layout
from spiceemu.protocol.layout.build import BUILD_ERRORS, explain
from spiceemu.protocol.layout.compiler import fixed_reader, functions_of
from spiceemu.protocol.layout.parse import Malformed, TooMany
from spiceemu.protocol.levels.channels import CHANNELS

if TYPE_CHECKING:
    from enum import IntEnum

    from spiceemu.protocol.layout.writer import Functions
    from spiceemu.protocol.levels.compat import Feature

SERVER = "server"
"""Sent by the server."""
CLIENT = "client"
"""Sent by the client."""
DIRECTIONS = (SERVER, CLIENT)

ALL_CHANNELS = [ChannelType(channel) for channel in CHANNELS]
"""The channels that have messages; spice.proto declares none on ``tunnel``, not even the base ones.

A channel for which a message is declared becomes one of them, and has those that all channels have.
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Spec:
    """Where a message lives.

    :ivar name: ``channel.Class``, or ``base.Class`` and the like for those of several channels.
    :ivar proto_name: its name in spice.proto.
    :ivar ids: its id in each direction it is sent in.
    :ivar capability: the capability that the receiving side must have announced.
    :ivar feature: what a compat level must have for the message to exist there.
    :ivar beside_main: the same on other channels than main, where it may have come later.
    :ivar unless: a feature whose levels send it no more.
    """

    name: str
    proto_name: str
    channels: Sequence[ChannelType]
    ids: Mapping[str, int]
    capability: IntEnum | None
    feature: Feature
    beside_main: Feature
    unless: Feature | None

    def feature_on(self, channel: ChannelType) -> Feature:
        """What a level must have for the message on a channel."""
        return self.feature if channel is ChannelType.MAIN else self.beside_main


@dataclasses.dataclass(slots=True, repr=False)
class Message(layout.Record):
    """Base of all messages.

    ``trailing`` holds the bytes behind the end that the layout describes. Peers send some (a NUL after NOTIFY's text,
    one byte after spice-html5's MOUSE_MOTION) and upstream ignores them, so they are kept and written back rather than
    refused. Messages with pointers have no such end and keep none.
    """

    spec: ClassVar[Spec]
    functions: ClassVar[Functions]

    trailing: bytes = dataclasses.field(default=b"", kw_only=True)

    @classmethod
    def parse(cls, body: bytes) -> Self:
        """Read a message's body, without any header.

        :returns: the message, with what stands behind its layout as ``trailing``.
        :raises MalformedMessage: naming the field and its offset.
        :raises LimitExceeded: for a count over its named limit.
        """
        functions = cls.functions
        try:
            made, end = functions.parse(body, 0, len(body))
        except TooMany as error:
            raise LimitExceeded(f"{cls.spec.name}.{error.path} at offset {error.offset}: {error.reason}") from None
        except Malformed as error:
            raise MalformedMessage(cls.spec.name, error.path, error.offset, error.reason) from None
        if end != len(body) and not functions.has_pointers:
            made.trailing = body[end:]
        return made  # type: ignore[no-any-return]

    def pieces(self) -> list[bytes]:
        """The body as a list of buffers; payloads are the very objects the message holds, not copies.

        :returns: bytes objects that make the body one after the other.
        :raises InvalidValue: naming the field that does not fit.
        """
        try:
            out = self.functions.pieces(self)
        except BUILD_ERRORS as error:
            raise InvalidValue(f"{self.spec.name}.{explain(self, type(self)) or error}") from error
        if self.trailing:
            out.append(self.trailing)
        return out

    def build(self) -> bytes:
        """The body as one bytes object."""
        return b"".join(self.pieces())

    def __str__(self) -> str:
        shown = repr(self)
        return f"{self.spec.name}{shown[shown.index('(') :]}"


class _CompiledOnFirstUse:
    """A message's compiled functions; once made, they stand in the class in this object's place."""

    def __get__(self, _instance: Any, owner: type[Message]) -> Functions:
        owner.functions = functions_of(owner)
        return owner.functions


Message.functions = _CompiledOnFirstUse()  # type: ignore[assignment]

MessageType = TypeVar("MessageType", bound=Message)

_by_id: dict[tuple[ChannelType, str], dict[int, type[Message]]] = {
    (channel, direction): {} for channel in ChannelType for direction in DIRECTIONS
}


@dataclass_transform(field_specifiers=(layout.wire,))
def message(
    channels: ChannelType | Iterable[ChannelType],
    *,
    feature: Feature,
    server: int | None = None,
    client: int | None = None,
    capability: IntEnum | None = None,
    beside_main: Feature | None = None,
    unless: Feature | None = None,
) -> Callable[[type[MessageType]], type[MessageType]]:
    """Declare a message.

    :param channels: where it exists.
    :param feature: what a compat level must have for the message to exist there. No message is at 0.4 by default.
    :param server: its id when a server sends it.
    :param client: its id when a client sends it.
    :param capability: the capability that the receiving side must have announced.
    :param beside_main: the same on other channels than main, if it is another.
    :param unless: a feature whose levels send it no more.
    :returns: a decorator, which makes a class of ``wire`` fields the message.
    """
    ids = {direction: number for direction, number in ((SERVER, server), (CLIENT, client)) if number is not None}
    places = [channels] if isinstance(channels, ChannelType) else channels if channels is ALL_CHANNELS else [*channels]

    def declare(cls: type[MessageType]) -> type[MessageType]:
        home = places[0].name.lower() if len(places) == 1 else cls.__module__.rpartition(".")[2]
        made = layout.record(cls)
        made.spec = Spec(
            name=f"{home}.{cls.__name__}",
            proto_name=re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower(),
            channels=places,
            ids=ids,
            capability=capability,
            feature=feature,
            beside_main=feature if beside_main is None else beside_main,
            unless=unless,
        )
        for channel in places:
            if channel not in ALL_CHANNELS:
                _open_channel(channel)
            _enter(made, channel)
        return made

    return declare


def _enter(kind: type[Message], channel: ChannelType) -> None:
    """Note a message under its ids on a channel."""
    for direction, number in kind.spec.ids.items():
        known = _by_id[channel, direction].setdefault(number, kind)
        assert known is kind, f"{kind.spec.name} and {known.spec.name} share an id"


def _open_channel(channel: ChannelType) -> None:
    """Give a channel type that had no messages those that all channels have."""
    ALL_CHANNELS.append(channel)
    for direction in DIRECTIONS:
        for kind in _by_id[ChannelType.MAIN, direction].values():
            if kind.spec.channels is ALL_CHANNELS:
                _enter(kind, channel)


def reader_of(cls: type[MessageType]) -> Callable[[bytes], MessageType]:
    """As ``cls.parse``, in the fastest form there is; make it once and keep it."""
    return fixed_reader(cls, cls.parse)


def messages_of(channel: ChannelType, direction: str) -> dict[int, type[Message]]:
    """All messages of a channel in a direction, by id.

    Import :mod:`spiceemu.protocol.messages.catalogue` to have them all.
    """
    return _by_id[channel, direction]


def lookup(channel: ChannelType, direction: str, number: int) -> type[Message]:
    """The class of a message.

    :returns: the class that was declared with this id.
    :raises UnknownMessage: where the protocol has none of this id.
    """
    found = _by_id[channel, direction].get(number)
    if found is None:
        raise UnknownMessage(f"{channel.name.lower()} channel: no {direction} message has id {number}")
    return found
