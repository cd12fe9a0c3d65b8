"""Rules of the link: what a server of the level would not have said before the first message.

What a client offers is its own affair, and a server may offer less than its level.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from spiceemu.judge.finding import Kind
from spiceemu.protocol.capabilities import CommonCap, from_words, has_capability
from spiceemu.protocol.levels.channels import capabilities_of
from spiceemu.protocol.levels.compat import ADVERTISED, Feature
from spiceemu.protocol.levels.level import minor_of
from spiceemu.protocol.link.layouts import HEADER, LINK_MESSAGE, LINK_REPLY, WORD_SIZE
from spiceemu.protocol.messages.message import CLIENT, SERVER

if TYPE_CHECKING:
    from enum import IntEnum

    from spiceemu.protocol.capabilities import Words
    from spiceemu.protocol.levels.level import Level
    from spiceemu.protocol.link.observer import LinkObserver

MINOR_OFFSET = 8
"""Where the minor version stands in a link's header."""

CHANNEL_OFFSET = HEADER.size + 4
"""Where the channel's type stands, from the link message's header on."""

WORDS_OFFSET = HEADER.size + LINK_REPLY.size
"""Where the capability words stand, from the link reply's header on: no server puts anything before them."""


class LinkFault(NamedTuple):
    """Something in a link, as a finding without its connection."""

    direction: str
    offset: int
    kind: Kind
    name: str
    explanation: str


def offer_faults(level: Level, link: LinkObserver) -> Iterator[LinkFault]:
    """What is wrong with a server's reply. Call it once that is known."""
    assert link.server_version is not None
    minor = link.server_version[1]
    if minor > level.minor:  # a smaller one promises less, as fewer capabilities do
        explanation = f"minor {minor} of the protocol's version: level {level.name} goes up to {level.minor}"
        yield LinkFault(SERVER, MINOR_OFFSET, Kind.LINK, f"minor {minor}", explanation)
    if link.server_common is None or link.server_channel is None or link.channel_type is None:
        return
    least = minor_of(_features_of(level, link.channel_type, link.server_common, link.server_channel))
    if minor < least:
        explanation = f"minor {minor} of the protocol's version: what is offered came with minor {least}"
        yield LinkFault(SERVER, MINOR_OFFSET, Kind.LINK, f"minor {minor}", explanation)
    before = 0
    for words in (link.server_common, link.server_channel):
        before += len(words)
        if words and not words[-1]:
            name = "a capability word of zero"
            explanation = f"{name} is the last of its kind: servers send none that they do not need"
            yield LinkFault(SERVER, WORDS_OFFSET + WORD_SIZE * (before - 1), Kind.LINK, name, explanation)
    for number in sorted(from_words(link.server_common) - common_of(level)):
        name = f"common capability {_capability(CommonCap, number)}"
        yield _capability_fault(level, name, 0, number)
    assert link.channel_id is not None
    if not level.has_channel(link.channel_type, link.channel_id):
        facts = level.facts.get(link.channel_type)
        name = f"channel {link.channel}"
        explanation = f"{name} is accepted, which level {level.name} does not have"
        if facts is not None:
            needed = facts.several if level.has(facts.feature) else facts.feature
            explanation = f"{name} needs {needed.name}, which level {level.name} does not have"
        yield LinkFault(CLIENT, CHANNEL_OFFSET, Kind.LINK, name, explanation)
        return  # that it says what it can do is no second fault
    names = capabilities_of(link.channel_type, level.facts)
    owner = names.__name__ if names is not None else link.channel
    for number in sorted(from_words(link.server_channel) - level.advertised(link.channel_type)):
        name = f"capability {owner}.{_capability(names, number)}"
        yield _capability_fault(level, name, len(link.server_common), number)


def _features_of(level: Level, channel_type: int, common: Words, channel: Words) -> Feature:
    """The features that a reply's capabilities came with, as far as the level knows them."""
    offered = {None: from_words(common), channel_type: from_words(channel)}
    found = Feature(0)
    for where, capability, feature in ADVERTISED:
        if level.has(feature) and capability in offered.get(where, ()):
            found |= feature
    return found


def common_of(level: Level) -> frozenset[int]:
    """The common capabilities a level can have: its own, and where clients choose, SASL in place of the ticket."""
    advertised = level.advertised(None)
    return advertised | {CommonCap.AUTH_SASL} if level.has(Feature.AUTH_SELECTION) else advertised


def _capability(names: type[IntEnum] | None, number: int) -> str:
    return next((member.name for member in names or () if member == number), f"bit {number}")


def _capability_fault(level: Level, name: str, words_before: int, number: int) -> LinkFault:
    offset = WORDS_OFFSET + WORD_SIZE * (words_before + number // 32)
    return LinkFault(
        SERVER, offset, Kind.CAPABILITY, name, f"{name} is offered, which level {level.name} does not know"
    )


def mechanism_faults(link: LinkObserver) -> Iterator[LinkFault]:
    """What is wrong with the client's choice of a mechanism. Call it once the link is accepted."""
    if link.mechanism is None or link.client_common is None or link.client_channel is None:
        return
    if not has_capability(link.server_common or (), link.mechanism):
        words = len(link.client_common) + len(link.client_channel)
        offset = HEADER.size + LINK_MESSAGE.size + WORD_SIZE * words
        name = f"mechanism {link.mechanism}"
        yield LinkFault(CLIENT, offset, Kind.LINK, name, f"{name} is accepted, which the server did not offer")
