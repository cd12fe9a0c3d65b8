"""``spiceemu compat``: the ladder as a table, a level in detail, or all of it as JSON."""

from __future__ import annotations

import json
import sys
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from spiceemu.cli.arguments import Arguments
from spiceemu.cli.exits import EXIT_USAGE, stop, tell
from spiceemu.errors import InvalidValue
from spiceemu.probing.likeness import client_words, show_words
from spiceemu.protocol.capabilities import ChannelType, common_names, to_words, type_name
from spiceemu.protocol.levels.channels import capabilities_of, channel_names
from spiceemu.protocol.levels.compat import EXTRAPOLATED, FEATURES, RELEASES, CompatVersion, Feature
from spiceemu.protocol.levels.level import LEVELS, Level, MigrationScheme, changed, each_feature, level_of
from spiceemu.protocol.link.layouts import MAJOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

WIDTH = 100
"""Columns that fit."""

ABOUT = """\
Print the ladder: what SPICE servers of each version have. A version such as 0.8 is the floor of a
release series, a release such as 0.8.3 is history; serve and lint take both as a level.
"""

SHORT_SCHEMES = {
    MigrationScheme.NONE: "none",
    MigrationScheme.SWITCH_HOST: "host",
    MigrationScheme.SEMI_SEAMLESS: "semi",
    MigrationScheme.SEAMLESS: "full",
}

LACKS = Feature.WITHOUT_CELT | Feature.WITHOUT_MIGRATION
"""Features that say what a level does not have; a level without them misses nothing."""

LABEL, GAP = 22, "   "
SIGNS = ("●", "·")
PLAIN_SIGNS = ("x", ".")
"""For terminals whose encoding has no dots."""


def run(arguments: Sequence[str]) -> None:
    """Print the ladder, or a level.

    :raises SystemExit: an option is wrong.
    """
    parser = Arguments("compat", ABOUT)
    parser.add_argument("level", metavar="LEVEL", nargs="?", help=f"one in detail: {', '.join(LEVELS)}")
    parser.add_argument("--features", metavar="CHANGES", help="a level with changes: +SURFACES,-VOLUME")
    parser.add_argument("--json", action="store_true", help="all of it as a JSON object")
    options = parser.read(arguments)
    if options.features is not None and options.level is None:
        parser.error("--features changes a level: name one")
    try:
        level = None if options.level is None else level_of(options.level)
        if level is not None and options.features is not None:
            level = changed(level, options.features)
    except InvalidValue as error:
        raise stop(EXIT_USAGE, f"{error} (see spiceemu compat --help)") from None
    if options.json:
        found = ladder_json() if level is None else level_json(level)
        tell(json.dumps(found, indent=2) + "\n")
    else:
        lines = ladder(_signs()) if level is None else detail(level)
        tell("".join(line + "\n" for line in lines))


def _signs() -> tuple[str, str]:
    try:
        "".join(SIGNS).encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return PLAIN_SIGNS
    return SIGNS


# The table


def ladder(signs: tuple[str, str] = SIGNS) -> Iterator[str]:
    """The whole ladder, a column a level."""
    yes, no = signs
    versions = [level for name, level in LEVELS.items() if name not in RELEASES]
    releases = [LEVELS[name] for name in RELEASES]

    def row(label: str, cell: Callable[[Level], str]) -> str:
        halves = ["".join(f"{cell(level):>{_width(level)}}" for level in half) for half in (versions, releases)]
        return f"{label:<{LABEL}}{halves[0]}{GAP}{halves[1]}".rstrip()

    def mark(present: bool) -> str:
        return yes if present else no

    spans = [sum(map(_width, half)) for half in (versions, releases)]
    yield " " * LABEL + f" {' versions '.center(spans[0] - 1, '-')}{GAP} {' releases '.center(spans[1] - 1, '-')}"
    yield row("", lambda level: level.name)
    yield ""
    yield row("protocol", lambda level: f"{MAJOR}.{level.minor}")
    yield row("message headers", lambda level: "mini" if level.has(Feature.MINI_HEADER) else "full")
    yield row("choice of login", lambda level: mark(level.has(Feature.AUTH_SELECTION)))
    yield row("migration", lambda level: SHORT_SCHEMES[level.migration])
    yield ""
    yield "channels"
    for channel in known_channels():
        yield row(f"  {channel.name.lower()}", lambda level, channel=channel: mark(level.has_channel(channel)))  # type: ignore[misc]
    yield ""
    yield "capability words, hex"
    yield row("  every channel", lambda level: _hex(level.words(ChannelType.MAIN)[0], no))
    for channel in known_channels():
        if capabilities_of(channel) is not None:
            yield row(f"  {channel.name.lower()}", lambda level, channel=channel: _channel_hex(level, channel, no))  # type: ignore[misc]
    yield ""
    yield "features"
    for feature in Feature:
        yield row(str(feature.name), lambda level, feature=feature: mark(level.has(feature)))  # type: ignore[misc]
    yield ""
    yield from _notes()


def _width(level: Level) -> int:
    """Of a level's column: that of its name or of what stands in it, and a space."""
    return max(len(level.name), *(len(scheme) for scheme in SHORT_SCHEMES.values())) + 1


def _hex(words: Sequence[int], no: str) -> str:
    return " ".join(f"{word:x}" for word in words) or no


def _channel_hex(level: Level, channel: ChannelType, no: str) -> str:
    if not level.has_channel(channel):
        return ""
    words = level.words(channel, client_words(channel))[1]
    return _hex(words, no) + ("*" if words != level.words(channel)[1] else "")


def _notes() -> Iterator[str]:
    yield from _paragraph("* offered only to a client that offers it, too.")
    yield from _paragraph(
        "migration: host is switch host, semi is semi-seamless, full is seamless; each falls back to those before it."
    )
    yield from _paragraph("The WITHOUT_ features say what a level lacks.")
    for release, note in EXTRAPOLATED.items():
        yield from _paragraph(f"{release} was neither run nor read itself: it is {note}.")
    yield from _paragraph("spiceemu compat LEVEL tells what each feature is, and which release brought it.")


def _paragraph(text: str, indent: str = "") -> list[str]:
    return wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent)


# One level


def detail(level: Level) -> Iterator[str]:
    """All that follows from one level."""
    yield _title(level)
    yield ""
    headers = "mini headers, to a client that has them" if level.has(Feature.MINI_HEADER) else "full headers"
    yield from _entry("protocol", f"{MAJOR}.{level.minor}, {headers}")
    login = "the client names its way to log in, then sends its ticket"
    yield from _entry("login", login if level.has(Feature.AUTH_SELECTION) else "the client sends its ticket at once")
    yield from _entry("channels", ", ".join(channel.name.lower() for channel in level.channels))
    yield from _entry("migration", level.migration.value)
    yield ""
    yield "capabilities it offers"
    common = level.words(ChannelType.MAIN)[0]
    yield from _words("every channel", common, common_names(common))
    for channel in level.channels:
        words = level.words(channel, client_words(channel))[1]
        note = ["(to a client that offers it, too)"] if words != level.words(channel)[1] else []
        yield from _words(type_name(channel), words, channel_names(channel, words) + note)
    besides = {channel: to_words(level.heeded(channel) - level.advertised(channel)) for channel in level.channels}
    if any(besides.values()):
        yield ""
        yield "capabilities of clients it acts upon besides"
    for channel, words in besides.items():
        if words:
            yield from _words(type_name(channel), words, channel_names(channel, words))
    if level.name in EXTRAPOLATED:
        yield ""
        yield from _paragraph(f"It was neither run nor read itself: all this is {EXTRAPOLATED[level.name]}.")
    missing = [feature for feature in Feature if not level.has(feature) and feature not in LACKS]
    for heading, features in (
        ("features, and the release that brought each", list(each_feature(level.features))),
        ("what it does not have", missing),
    ):
        if features:
            yield ""
            yield heading
            for feature in features:
                since, meaning = FEATURES[feature]
                head = f"  {feature.name:<{LABEL}}  {since.removesuffix(' (proposal)'):<7}  "
                yield from wrap(meaning, WIDTH, initial_indent=head, subsequent_indent=" " * len(head))


def _title(level: Level) -> str:
    if level.name in RELEASES:
        return f"{level.name}, a release"
    return f"{level.name}, a version" if level.name in map(str, CompatVersion) else level.name


def _entry(label: str, text: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent=f"{label:<11}", subsequent_indent=" " * 11)


def _words(label: str, words: Sequence[int], names: Sequence[str]) -> list[str]:
    head = f"  {label:<15}{show_words(tuple(words)):<8}"
    return wrap(" ".join(names), WIDTH, initial_indent=head, subsequent_indent=" " * len(head)) or [head.rstrip()]


# As JSON


def known_channels() -> list[ChannelType]:
    """The channel types that some level has."""
    return [channel for channel in ChannelType if any(level.has_channel(channel) for level in LEVELS.values())]


def ladder_json() -> dict[str, Any]:
    """All levels and features."""
    return {
        "versions": {name: level_json(level) for name, level in LEVELS.items() if name not in RELEASES},
        "releases": {name: level_json(level) for name, level in LEVELS.items() if name in RELEASES},
        "features": {
            feature.name: {"value": int(feature), "since": since, "meaning": meaning}
            for feature, (since, meaning) in FEATURES.items()
        },
    }


def level_json(level: Level) -> dict[str, Any]:
    """One level. The words are lists, and those of a client without and with all capabilities."""
    return {
        "name": level.name,
        "mask": int(level.features),
        "features": [feature.name for feature in each_feature(level.features)],
        "major": MAJOR,
        "minor": level.minor,
        "header": "mini" if level.has(Feature.MINI_HEADER) else "full",
        "auth_selection": level.has(Feature.AUTH_SELECTION),
        "migration": level.migration.value,
        "extrapolated": EXTRAPOLATED.get(level.name),
        "common_words": level.words(ChannelType.MAIN)[0],
        "channels": {
            type_name(channel): {
                "type": int(channel),
                "words": level.words(channel)[1],
                "words_to_a_current_client": level.words(channel, client_words(channel))[1],
                "heeded_words": to_words(level.heeded(channel)),
            }
            for channel in level.channels
        },
    }
