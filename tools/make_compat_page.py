#!/usr/bin/env python3
"""Make ``docs/compat.md`` from the tables of the package.

::

    PYTHONPATH=$PWD .venvs/3.11.2/bin/python tools/make_compat_page.py

The page is what a reader of the code would look up: what servers had stands in ``spiceemu/protocol/levels`` and the
catalogue of messages, what spiceemu serves in ``spiceemu/channels`` (``served.py`` finds it). A test holds the
committed page to what this gives. The same tables always give the same page.
"""

from __future__ import annotations

import sys
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import served

from spiceemu.probing.likeness import client_words, show_words
from spiceemu.protocol.capabilities import (
    ChannelType,
    CommonCap,
    PlaybackCap,
    has_capability,
    type_name,
)
from spiceemu.protocol.enums import AudioDataMode, ImageType, VideoCodecType
from spiceemu.protocol.levels.channels import CHANNELS, capabilities_of, channels_with_window
from spiceemu.protocol.levels.compat import EXTRAPOLATED, FEATURES, RELEASES, Feature
from spiceemu.protocol.levels.level import CELT, LEVELS, Level, MigrationScheme
from spiceemu.protocol.levels.needs import (
    ALPHA_ONLY,
    IMAGE_TYPES,
    SEVERAL_CODECS,
    SURFACES,
    VIDEO_CODECS,
    Need,
)
from spiceemu.protocol.messages.base import SetAck
from spiceemu.protocol.messages.catalogue import CLIENT, SERVER, messages_of
from spiceemu.protocol.messages.message import ALL_CHANNELS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from enum import IntEnum

    from spiceemu.protocol.messages.message import Message

CHECKOUT = Path(__file__).resolve().parent.parent
PAGE = CHECKOUT / "docs" / "compat.md"

VERSIONS = [level for name, level in LEVELS.items() if name not in RELEASES]
RELEASED = [level for name, level in LEVELS.items() if name in RELEASES]

WIDTH = 120
"""Characters of a line."""

YES, HEEDED, NO = "●", "○", "·"

HEAD = """\
# The ladder

What SPICE servers of each version put on the wire, and what of that spiceemu serves. This page is made from the tables
of the package by `tools/make_compat_page.py`: change those, not this.

## Words

- **The proposal** came in August 2010 [on the list spice-devel][proposal]: a server that is newer than others of its
  cluster should be told to behave like them, by a version or by a mask of feature bits, until all are new. SPICE took
  the call for the version, and it does nothing there. spiceemu does all of it; the first three features below are the
  proposal's, with its numbers.
- **A feature** is a bit: something that a server has or does not have, such as `SURFACES`. Each message, capability
  and kind of picture belongs to one.
- **A level** is a set of features: what a server behaves like as a whole, `SpiceServer(compat="0.8")`. Those with a
  name are versions and releases.
- **A version**, such as `0.8`, is the floor of a series of releases, and has MULTIMONITOR from 0.8 on, as the proposal
  has it.
- **A release**, such as `0.8.3`, is history: what that very spice-server offered and sent.
- **The floor** of a series is what every server and client of it understands: what is safe with all of 0.8.x.
- **The ladder** is all of them, oldest first. Each server of a cluster stands on one rung; one that stands higher can
  still speak as those below do.

`spiceemu compat` shows the same on a terminal, and `spiceemu probe HOST:PORT` tells which level a server behaves like.

[proposal]: https://lists.freedesktop.org/archives/spice-devel/2010-August/000922.html
"""

SERVED_HEAD = """\
What `SpiceServer` and `spiceemu serve` really do. What a level has beyond this, spiceemu knows and does not do of
itself: it reads, writes, records and judges it, and on the channels below a test can send it by hand
(`client.channel("display:0").send(...)`).
"""

SERVED_MESSAGES_HEAD = """\
What a channel sends of itself, and what it takes from a client. In brackets stands the first version that has it,
where that is not 0.4.
"""

HAD_HEAD = """\
What levels have, whether spiceemu serves it or not.
"""

FEATURES_HEAD = """\
What messages, capabilities and behaviours belong to, and the release that brought each. The first three are the
proposal's; those that begin with WITHOUT say what a level lacks.
"""

CAPABILITIES_HEAD = f"""\
{YES} is offered in the server's link replies, \\* only to a client that offers it, too. {HEEDED} is looked for among a
client's capabilities, and not offered. {NO} is unknown, and ignored if a client has it.
"""

CONTENTS_HEAD = """\
What may be inside messages that are older than it. All else that such messages hold is at every level.
"""

MESSAGES_HEAD = """\
Every message of the protocol, with the first version and the first release that know it. What has a capability is only
sent to a side that has announced that.
"""

TAIL = """\
## Where this comes from

The rows were read from the sources of the releases and held against streams of real ones: 0.6.4, 0.8.3 and 0.15.1 were
recorded with old and new clients. The numbers are those of spice-protocol.
"""

SCHEMES = {
    MigrationScheme.NONE: "none",
    MigrationScheme.SWITCH_HOST: "host",
    MigrationScheme.SEMI_SEAMLESS: "semi",
    MigrationScheme.SEAMLESS: "full",
}


def make_page() -> str:
    """The whole page."""
    lines = [
        HEAD,
        *("## What spiceemu serves\n", SERVED_HEAD),
        *("### Channels\n", *_served_channels(), "", *_not_served(), ""),
        *("### Kinds of pictures\n", *_served_pictures(), ""),
        *("### Messages that are sent and taken\n", SERVED_MESSAGES_HEAD, *_served_messages(), ""),
        *("## What servers had\n", HAD_HEAD),
        *("### Levels\n", *_levels(), "", *_notes(), ""),
        *("### Features\n", FEATURES_HEAD, *_features(), ""),
        *("### Capabilities\n", CAPABILITIES_HEAD, *_capabilities(), ""),
        *("### Pictures, video and sound\n", CONTENTS_HEAD, *_contents(), ""),
        *("### Messages\n", MESSAGES_HEAD, *_messages()),
        TAIL,
    ]
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], align: str = "") -> Iterator[str]:
    """A table, padded so that it reads well as plain text.

    :param align: a letter a column, ``l`` or ``c``; those beyond it are ``l``.
    """
    cells = [list(head), *map(list, rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(head))]
    centred = [align[column : column + 1] == "c" for column in range(len(head))]
    rule = [f":{'-' * (width - 2)}:" if middle else "-" * width for width, middle in zip(widths, centred, strict=True)]
    for row in (cells[0], rule, *cells[1:]):
        padded = [
            cell.center(width) if middle else cell.ljust(width)
            for cell, width, middle in zip(row, widths, centred, strict=True)
        ]
        yield f"| {' | '.join(padded)} |"


def _across(rows: Iterable[tuple[str, Iterable[str]]]) -> Iterator[str]:
    """A table with a column for every level."""
    head = ["", *(level.name for level in (*VERSIONS, *RELEASED))]
    return _table(head, ([label, *cells] for label, cells in rows), "l" + "c" * len(LEVELS))


def _marks(feature: Feature) -> list[str]:
    return [YES if level.has(feature) else NO for level in (*VERSIONS, *RELEASED)]


def _served_channels() -> Iterator[str]:
    rows = [
        (type_name(channel), _marks(facts.feature))
        for channel, facts in CHANNELS.items()
        if channel in served.CHANNEL_TYPES
    ]
    return _across(rows)


def _not_served() -> Iterator[str]:
    missing = ", ".join(type_name(channel) for channel in CHANNELS if channel not in served.CHANNEL_TYPES)
    text = (
        f"Not served at any level: {missing}. A playback and a record channel link, and are silent: no sound is made."
    )
    yield from wrap(text, WIDTH)


def _served_pictures() -> Iterator[str]:
    rows = [(ImageType(kind).name, _marks(IMAGE_TYPES[kind].feature)) for kind in sorted(served.image_types())]
    return _across(rows)


def _served_messages() -> Iterator[str]:
    for title, where, sent, heard in served.messages():
        for what, kinds in (("sends", sent), ("takes", heard)):
            names = ", ".join(_with_version(kind, where) for kind in kinds) or "nothing"
            yield from wrap(f"- **{title}** {what} {names}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _with_version(kind: type[Message], where: ChannelType | None) -> str:
    spec = kind.spec
    version = _since(_knower(spec.feature, spec.unless, where))[0]
    return spec.proto_name.upper() + ("" if version == VERSIONS[0].name else f" ({version})")


def _levels() -> Iterator[str]:
    levels = (*VERSIONS, *RELEASED)

    def words(level: Level, channel: int) -> str:
        if not level.has_channel(channel):
            return ""
        found = level.words(channel, client_words(channel))[1]
        star = "\\*" if found != level.words(channel)[1] else ""
        return NO if not found else show_words(found) + star

    rows: list[tuple[str, list[str]]] = [
        ("protocol", [f"2.{level.minor}" for level in levels]),
        ("headers", ["mini" if level.has(Feature.MINI_HEADER) else "full" for level in levels]),
        ("migration", [SCHEMES[level.migration] for level in levels]),
    ]
    rows += [(f"{type_name(channel)} channel", _marks(facts.feature)) for channel, facts in CHANNELS.items()]
    rows.append(("words of all channels", [show_words(level.words(ChannelType.MAIN)[0]) for level in levels]))
    rows[-1] = (rows[-1][0], [NO if cell == "none" else cell for cell in rows[-1][1]])
    rows += [
        (f"words of {type_name(channel)}", [words(level, channel) for level in levels])
        for channel in CHANNELS
        if capabilities_of(channel) is not None
    ]
    return _across(rows)


def _notes() -> Iterator[str]:
    yield f"- {NO} among words is no word at all, which is not the same as a word that is zero."
    yield "- \\* is offered only to a client that offers it, too: a client of that time sees no difference."
    yield "- Headers are mini where the client can do with them."
    yield "- Migration: host is switch host, semi is semi-seamless, full is seamless; each falls back to those before."
    yield from (f"- {release} was neither run nor read itself: it is {note}." for release, note in EXTRAPOLATED.items())


def _features() -> Iterator[str]:
    rows = ((f"`{feature.name}`", since, meaning) for feature, (since, meaning) in FEATURES.items())
    yield from _table(("feature", "since", "meaning"), rows)
    yield ""
    yield from _across((str(feature.name), _marks(feature)) for feature in FEATURES)


def _capabilities() -> Iterator[str]:
    places: list[tuple[ChannelType | None, type[IntEnum]]] = [(None, CommonCap)]
    places += [(ChannelType(channel), facts.capabilities) for channel, facts in CHANNELS.items() if facts.capabilities]
    rows = []
    for channel, kind in places:
        for capability in kind:
            cells = [_state(level, channel, capability) for level in (*VERSIONS, *RELEASED)]
            where = "all" if channel is None else channel.name.lower()
            rows.append((f"{where} {capability.value} {capability.name}", cells))
    return _across(rows)


def _state(level: Level, channel: ChannelType | None, capability: int) -> str:
    if channel is not None and not level.has_channel(channel):
        return ""
    if capability in level.advertised(channel):
        by_answer = channel is not None and not has_capability(level.words(channel)[1], capability)
        return f"{YES}\\*" if by_answer else YES
    return HEEDED if capability in level.heeded(channel) else NO


def _contents() -> Iterator[str]:
    rows: list[tuple[str, tuple[Need, ...]]] = [
        ("a surface other than the primary", (SURFACES,)),
        ("alpha flags of DRAW_ALPHA_BLEND", (SURFACES,)),
        ("pictures and surfaces of alpha alone", (ALPHA_ONLY,)),
        ("a surface in streaming mode", (SEVERAL_CODECS,)),
        *((f"image type {ImageType(kind).name}", (need,)) for kind, need in IMAGE_TYPES.items()),
        *((f"video codec {VideoCodecType(kind).name}", needs) for kind, needs in VIDEO_CODECS.items()),
        (f"sound {AudioDataMode.OPUS.name}", (Need(Feature.OPUS, PlaybackCap.OPUS),)),
    ]
    head = ("content", "feature", "capability", "version", "release")
    cells = []
    for name, needs in rows:
        feature = needs[0].feature
        # A capability that only some clients are asked for is none that the content needs.
        capabilities = ", ".join(_need(need)[1] for need in needs if need.only_with is None)
        since = _since(lambda level, feature=feature: level.has(feature))  # type: ignore[misc]
        cells.append([name, _need(needs[0])[0], capabilities, *since])
    celt = _since(lambda level: CELT[0] in level.advertised(ChannelType.PLAYBACK))
    cells.append([f"sound {AudioDataMode.CELT_0_5_1.name}", "", f"`{CELT[0].name}`", *celt])
    return _table(head, cells)


def _need(need: Need) -> tuple[str, str]:
    feature, capability, _ = need
    return (
        "" if feature is Feature.PROTOCOL_MAJOR2 else f"`{feature.name}`",
        "" if capability is None else f"`{capability.name}`",
    )


def _since(known: Callable[[Level], bool]) -> tuple[str, str]:
    """The first version and the first release that know something, and from when on they do not."""

    def name(levels: Sequence[Level]) -> str:
        states = [known(level) for level in levels]
        if True not in states:
            return "none"
        first = states.index(True)
        gone = states.index(False, first) if False in states[first:] else None
        return levels[first].name + ("" if gone is None else f", not from {levels[gone].name} on")

    return name(VERSIONS), name(RELEASED)


def _messages() -> Iterator[str]:
    everywhere = set(messages_of(ChannelType.MAIN, SERVER).values()) | set(
        messages_of(ChannelType.MAIN, CLIENT).values()
    )
    everywhere = {kind for kind in everywhere if kind.spec.channels == ALL_CHANNELS}
    yield from _messages_of("Every channel", ChannelType.MAIN, everywhere, None)
    for channel in map(ChannelType, CHANNELS):
        kinds = {
            kind for direction in (SERVER, CLIENT) for kind in messages_of(channel, direction).values()
        } - everywhere
        yield from _messages_of(channel.name.capitalize(), channel, kinds, channel)


def _messages_of(
    title: str, channel: ChannelType, kinds: set[type[Message]], where: ChannelType | None
) -> Iterator[str]:
    yield f"#### {title}\n"
    rows = []
    for direction in (SERVER, CLIENT):
        for number, kind in sorted(messages_of(channel, direction).items()):
            if kind in kinds:
                spec = kind.spec
                for place, needed in _places(kind):
                    name = spec.proto_name.upper() + place
                    since = _since(_knower(needed, spec.unless, where))
                    rows.append([direction, str(number), name, *_need(Need(needed, spec.capability)), *since])
    if not rows:
        yield "None of its own.\n"
        return
    yield from _table(("sent by", "id", "message", "feature", "capability", "version", "release"), rows)
    yield ""


def _knower(needed: Feature, unless: Feature | None, where: ChannelType | None) -> Callable[[Level], bool]:
    """What tells whether a level sends a message that needs a feature, and is gone with another."""

    def known(level: Level) -> bool:
        gone = unless is not None and level.has(unless)
        return level.has(needed) and not gone and (where is None or level.has_channel(where))

    return known


def _places(kind: type[Message]) -> list[tuple[str, Feature]]:
    """What a message needs where, if that is not the same on all channels that have it."""
    spec = kind.spec
    if spec.beside_main is not spec.feature:
        return [(" (main)", spec.feature), (" (others)", spec.beside_main)]
    if kind is SetAck:
        return [(f" ({', '.join(type_name(channel) for channel in channels_with_window(CHANNELS))})", spec.feature)]
    return [("", spec.feature)]


def main() -> int:
    PAGE.write_text(make_page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
