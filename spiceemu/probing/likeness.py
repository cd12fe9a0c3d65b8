"""What was measured of a server, and which levels it is like.

A :class:`ProbeReport` is what :func:`spiceemu.probing.probe.probe` gives back. It holds what a server said and
nothing of chance, neither keys nor session ids: two servers that behave alike have equal reports.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from spiceemu.protocol.capabilities import ChannelType, CommonCap, Words, common_names, to_words, type_name
from spiceemu.protocol.enums import LinkErr
from spiceemu.protocol.levels.channels import capabilities_of, channel_names
from spiceemu.protocol.levels.compat import RELEASES, Feature
from spiceemu.protocol.levels.level import LEVELS, Level

MINI, FULL = "mini", "full"


class LinkPlace(Enum):
    """Where a link ended."""

    ACCEPTED = "accepted"
    SILENCE = "closed without a word"
    CUT = "closed after the reply"
    STALL = "no answer"
    REPLY = "in the reply"
    RESULT = "in the result"
    SECOND_REPLY = "in a second reply"


class Outcome(NamedTuple):
    """How a link ended: where, and with which code (SpiceLinkErr) if the server gave one."""

    place: LinkPlace
    code: int | None = None

    def __str__(self) -> str:
        if self.code is None:
            return self.place.value
        known = self.code in LinkErr.__members__.values()
        return f"{LinkErr(self.code).name if known else f'code {self.code}'} {self.place.value}"


ACCEPTED, SILENCE = Outcome(LinkPlace.ACCEPTED), Outcome(LinkPlace.SILENCE)

OVER_ANOTHER_WAY = (Outcome(LinkPlace.REPLY, LinkErr.NEED_SECURED), Outcome(LinkPlace.REPLY, LinkErr.NEED_UNSECURED))
"""What a server is told to answer, at every level: the channel is there, on its other port."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server said to one link.

    :ivar outcome: how the link ended.
    :ivar version: major and minor version in its header; None where none came.
    :ivar size: bytes of its first reply, without the header.
    :ivar has_key: whether that reply holds a public key, or only zeros in its place.
    :ivar common: the capabilities of every channel, in words.
    :ivar channel: those of this channel.
    """

    outcome: Outcome
    version: tuple[int, int] | None = None
    size: int = 0
    has_key: bool = False
    common: Words = ()
    channel: Words = ()


@dataclass(frozen=True, slots=True)
class ChannelAnswer:
    """What a server said to the link of one channel, by a client with all capabilities.

    :ivar type: a :class:`~spiceemu.protocol.capabilities.ChannelType`, or a number that is none.
    """

    type: int
    id: int
    answer: Answer

    @property
    def name(self) -> str:
        """Type and id, such as ``display:0``."""
        return f"{type_name(self.type)}:{self.id}"


class Question(Enum):
    """A link that no server should accept, by what is wrong with it."""

    MAGIC = "a magic other than REDQ"
    SIZE = "a link message of 17 bytes"
    MAJOR_0 = "major version 0"
    MAJOR_1 = "major version 1"
    MAJOR_3 = "major version 3"
    DISPLAY = "a display that is not there"
    SESSION = "a session that is not there"
    MECHANISM = "a mechanism that is not offered"
    PASSWORD = "an empty password"  # noqa: S105 - the name of a question
    TICKET = "a ticket that does not decrypt"


class Difference(NamedTuple):
    """Something in which a server is not like a level."""

    what: str
    measured: str
    expected: str

    def explain(self, level: str) -> str:
        """The whole line."""
        return f"{self.what}: {self.measured}, in {level} {self.expected}"


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What was measured of a server.

    :ivar address: what was probed; reports are equal whatever it is.
    :ivar header: ``mini`` or ``full``: the header of the first message, to a client that can do with both.
    :ivar channels: main, then the channels of CHANNELS_LIST in its order.
    :ivar unlisted: the other types' channel 0; empty where such a question could end the server (see
        :func:`spiceemu.probing.probe.probe`).
    :ivar refusals: the answer to each question that could be asked.
    """

    address: str = field(compare=False)
    header: str
    channels: tuple[ChannelAnswer, ...]
    unlisted: tuple[ChannelAnswer, ...]
    refusals: Mapping[Question, Answer]

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version."""
        version = self.channels[0].answer.version
        assert version is not None  # main was accepted
        return version

    @property
    def asks_password(self) -> bool:
        """Whether a client must know a password."""
        return self.refusals[Question.PASSWORD].outcome == Outcome(LinkPlace.RESULT, LinkErr.PERMISSION_DENIED)

    @property
    def exact(self) -> tuple[str, ...]:
        """Names of the levels that would have measured the same, releases first. Several may: not all can be seen."""
        return tuple(name for name, level in in_order() if not differences(self, level))

    @property
    def nearest(self) -> tuple[str, tuple[Difference, ...]]:
        """The level with the fewest differences, and these; of several a release, and of those the newest."""
        found = [(name, differences(self, level)) for name, level in in_order()]
        return min(found, key=lambda row: len(row[1]))


def in_order() -> Iterator[tuple[str, Level]]:
    """Every level with a name: the releases, then the versions, the newest first of both."""
    names = list(LEVELS)
    yield from ((name, LEVELS[name]) for name in reversed(names) if name in RELEASES)
    yield from ((name, LEVELS[name]) for name in reversed(names) if name not in RELEASES)


def client_words(channel_type: int) -> Words:
    """The channel words of a client that can do all there is."""
    return to_words(capabilities_of(channel_type) or ())


def show_words(words: Words) -> str:
    """Capability words in hexadecimal; ``none`` for no word at all, which is not the same as one zero word."""
    return " ".join(f"{word:#x}" for word in words) or "none"


# What a level would have answered


def missing_channel(level: Level) -> Outcome:
    """How a level refuses a channel that is not there."""
    if level.has(Feature.SILENT_REFUSAL):
        return SILENCE
    return Outcome(LinkPlace.RESULT, LinkErr.CHANNEL_NOT_AVAILABLE)


def refusal(level: Level, question: Question, *, asks_password: bool) -> Outcome | None:
    """What a level answers to a question; None where it cannot be asked."""
    denied = Outcome(LinkPlace.RESULT, LinkErr.PERMISSION_DENIED)
    let_through = Outcome(LinkPlace.RESULT, LinkErr.BAD_CONNECTION_ID)  # these name a session that is not there
    match question:
        case Question.MAGIC:
            return Outcome(LinkPlace.REPLY, LinkErr.INVALID_MAGIC)
        case Question.SIZE:
            return Outcome(LinkPlace.REPLY, LinkErr.INVALID_DATA)
        case Question.MAJOR_0:
            return SILENCE
        case Question.MAJOR_1 | Question.MAJOR_3:
            return Outcome(LinkPlace.REPLY, LinkErr.VERSION_MISMATCH)
        case Question.DISPLAY:
            return missing_channel(level)
        case Question.SESSION:
            return let_through
        case Question.MECHANISM:
            asked = CommonCap.PROTOCOL_AUTH_SELECTION in level.advertised(None)
            return Outcome(LinkPlace.SECOND_REPLY, LinkErr.INVALID_DATA) if asked else None
        case Question.PASSWORD:
            return denied if asks_password else let_through
        case Question.TICKET:
            return denied if asks_password or level.has(Feature.STRICT_TICKET) else let_through


# How they differ


def differences(report: ProbeReport, level: Level) -> tuple[Difference, ...]:
    """Everything in which a server is not like a level."""
    found: dict[Difference, None] = {}  # as an ordered set: what holds for every channel is said once
    version = (report.version[0], level.minor)
    answers = [(each.name, each.answer) for each in (*report.channels, *report.unlisted)]
    answers += [(question.value, answer) for question, answer in report.refusals.items()]
    for _, answer in answers:
        if answer.version is not None and answer.version != version:
            found[Difference("protocol version", _show(answer.version), _show(version))] = None
    header = MINI if level.has(Feature.MINI_HEADER) else FULL
    if report.header != header:
        found[Difference("message headers", report.header, header)] = None
    for channel in report.channels:
        found.update(dict.fromkeys(_of_channel(channel, level)))
    displays = sum(channel.type == ChannelType.DISPLAY for channel in report.channels)
    if displays > 1 and not level.has(Feature.MULTI_DISPLAY_CHANNELS):
        found[Difference("display channels", str(displays), "1")] = None
    for channel in report.unlisted:
        if channel.answer.outcome not in (missing_channel(level), *OVER_ANOTHER_WAY):
            measured, expected = str(channel.answer.outcome), str(missing_channel(level))
            found[Difference(f"{channel.name}, which is not listed", measured, expected)] = None
    for question in Question:
        found.update(dict.fromkeys(_of_question(report, question, level)))
    return tuple(found)


def _of_channel(channel: ChannelAnswer, level: Level) -> Iterable[Difference]:
    if not level.has_channel(channel.type):
        yield Difference(channel.name, "listed", "no such channel")
    elif channel.answer.outcome == ACCEPTED:
        yield from _of_words(channel.name, channel.type, channel.answer, level, client_words(channel.type))
    elif channel.answer.outcome not in OVER_ANOTHER_WAY:
        yield Difference(f"{channel.name}, which is listed", str(channel.answer.outcome), str(ACCEPTED))


def _of_words(name: str, channel_type: int, answer: Answer, level: Level, asked: Words) -> Iterable[Difference]:
    common, channel = level.words(channel_type, asked)
    if answer.common != common:
        measured = _with_names(answer.common, common_names(answer.common), common_names(common))
        yield Difference("common capabilities", measured, show_words(common))
    if answer.channel != channel:
        names = channel_names(channel_type, answer.channel), channel_names(channel_type, channel)
        measured = _with_names(answer.channel, *names)
        yield Difference(f"capabilities of {name}", measured, show_words(channel))


def _with_names(words: Words, names: list[str], expected: list[str]) -> str:
    """Words, and what of them is too much and too little."""
    more = [f"+{name}" for name in names if name not in expected]
    less = [f"-{name}" for name in expected if name not in names]
    return " ".join([show_words(words), *(["(" + " ".join([*more, *less]) + ")"] if more or less else [])])


def _of_question(report: ProbeReport, question: Question, level: Level) -> Iterable[Difference]:
    answer = report.refusals.get(question)
    expected = refusal(level, question, asks_password=report.asks_password)
    measured = None if answer is None or answer.outcome in OVER_ANOTHER_WAY else answer.outcome
    if measured is None or expected is None:
        return  # what lets a mechanism be asked for is compared among the common words
    if measured != expected:
        yield Difference(question.value, str(measured), str(expected))
    elif question is Question.DISPLAY and answer is not None and answer.outcome != SILENCE:
        # Where there is a reply for it, that has the words of the type's first channel.
        yield from _of_words("a display that is not there", ChannelType.DISPLAY, answer, level, ())
    elif question is Question.SESSION and answer is not None:
        # Asked without any capability: so it shows what is offered only to those who have it themselves.
        yield from _of_words("display:0 to a client without any", ChannelType.DISPLAY, answer, level, ())


def _show(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
