"""The probe against servers of every level, against servers that differ in one thing, and against what is none."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from spiceemu import SpiceServer, Tls
from spiceemu.errors import (
    AddressUnavailable,
    IllegalMessage,
    InvalidData,
    InvalidMagic,
    InvalidValue,
    LimitExceeded,
    LinkError,
    NeedSecured,
    PermissionDenied,
    VersionMismatch,
)
from spiceemu.probing import connection as wire_module, probe as probe_module
from spiceemu.probing.likeness import OVER_ANOTHER_WAY, Difference, ProbeReport, Question, differences, show_words
from spiceemu.probing.probe import MAX_CHANNELS, MAX_STALLS, probe
from spiceemu.protocol.capabilities import ChannelType, DisplayCap, Words, to_words
from spiceemu.protocol.framing import FrameWriter
from spiceemu.protocol.levels.compat import FEATURES_MASK_V08, RELEASES, Feature
from spiceemu.protocol.levels.level import CURRENT, LEVELS, Level, changed
from spiceemu.protocol.link.layouts import HEADER, LINK_REPLY, MAGIC
from spiceemu.protocol.link.server import Linked, LinkRequest
from spiceemu.protocol.messages import display, main
from spiceemu.protocol.messages.message import CLIENT, SERVER
from spiceemu.protocol.messages.types import ChannelId
from spiceemu.serving.tls import ThrowawayCertificate, server_context, throwaway_certificate

from ..server.servers import USUAL, LevelPolicy, LevelServer, serving_level

HOST = "127.0.0.1"
SHORT = 0.05
"""Seconds to wait for an answer that does not come."""

LIKE_EACH_OTHER = [{"0.4", "0.6", "0.6.4"}, {"0.15", "0.15.1"}, {"0.14", "0.14.2"}]
"""Levels that link in the same way, where one display and no sound is listed."""


SOUND = ((ChannelType.PLAYBACK, 0), (ChannelType.RECORD, 0))


def everything(level: Level) -> list[tuple[int, int]]:
    """A channel of each type but main, and a second display where there may be one."""
    channels = [(int(channel), 0) for channel in level.channels if channel is not ChannelType.MAIN]
    return [*channels, (ChannelType.DISPLAY, 1)] if level.has(Feature.MULTI_DISPLAY_CHANNELS) else channels


async def measured(level: Level, channels: object = USUAL, password: str = "", **options: object) -> ProbeReport:
    async with serving_level(level, channels, password=password, **options) as server:  # type: ignore[arg-type]
        return await probe(HOST, server.port, password=password)


# Every level


@pytest.mark.parametrize("password", ["", "s3cret"])
@pytest.mark.parametrize("name", LEVELS)
async def test_a_server_of_each_level_is_named(name: str, password: str) -> None:
    report = await measured(LEVELS[name], password=password)
    same = next((names for names in LIKE_EACH_OTHER if name in names), {name})
    assert set(report.exact) == same
    assert report.exact[0] in RELEASES or not same & set(RELEASES)
    assert report.nearest == (report.exact[0], ())
    assert report.asks_password is bool(password)
    assert not report.unlisted or LEVELS[name].has(Feature.SILENT_REFUSAL)


@pytest.mark.parametrize("name", LEVELS)
async def test_with_every_channel_only_levels_of_the_same_channels_are_left(name: str) -> None:
    level = LEVELS[name]
    report = await measured(level, everything(level))
    assert name in report.exact
    for other in report.exact:
        assert LEVELS[other].channels == level.channels
        assert all(LEVELS[other].words(channel) == level.words(channel) for channel in level.channels)
    assert [(each.type, each.id) for each in report.channels] == sorted([(ChannelType.MAIN, 0), *everything(level)])


async def test_reports_of_servers_that_are_alike_are_equal() -> None:
    one, other = [await measured(LEVELS[name]) for name in ("0.15", "0.15.1")]
    assert one.address != other.address
    assert one == other
    assert one != await measured(LEVELS["0.14"])


async def test_our_own_server_is_the_newest_release() -> None:
    async with SpiceServer() as server:
        assert (await probe(HOST, server.port)).exact == ("0.15.1", "0.15")
    async with SpiceServer(password="s3cret") as server:
        assert (await probe(HOST, server.port, password="s3cret")).exact == ("0.15.1", "0.15")


@pytest.mark.parametrize("sound", [True, False])
@pytest.mark.parametrize("name", LEVELS)
async def test_our_own_server_is_named_at_each_level(name: str, sound: bool) -> None:
    async with SpiceServer(compat=name, sound=sound) as server:
        report = await probe(HOST, server.port)
    assert name in report.exact
    assert report == await measured(LEVELS[name], [*USUAL, *SOUND] if sound else USUAL)


async def test_what_is_offered_by_answer_only_is_seen() -> None:
    by_answer = Level(FEATURES_MASK_V08)
    report = await measured(by_answer)
    assert report.channels[1].answer.channel == to_words([DisplayCap.MONITORS_CONFIG])
    assert report.refusals[Question.SESSION].channel == ()
    assert report.exact == ("0.8",)

    class Always(LevelPolicy):
        def capabilities(self, request: LinkRequest) -> tuple[Words, Words]:
            return self.level.words(request.channel_type, to_words([DisplayCap.MONITORS_CONFIG]))

    class AlwaysServer(LevelServer):
        def __init__(self, policy: LevelPolicy) -> None:
            super().__init__(Always(policy.level, policy.channels))

    report = await measured(by_answer, kind=AlwaysServer)
    name, found = report.nearest
    assert (name, [difference.explain(name) for difference in found]) == (
        "0.8",
        [
            "capabilities of a display that is not there: 0x2 (+MONITORS_CONFIG), in 0.8 none",
            "capabilities of display:0 to a client without any: 0x2 (+MONITORS_CONFIG), in 0.8 none",
        ],
    )


# One thing that differs


@pytest.mark.parametrize(
    ("changes", "name", "lines"),
    [
        (
            "-PREF_COMPRESSION",
            "0.15.1",
            [
                "capabilities of display:0: 0x1012 (-PREF_COMPRESSION), in 0.15.1 0x1052",
                "capabilities of display:0 to a client without any: 0x1012 (-PREF_COMPRESSION), in 0.15.1 0x1052",
            ],
        ),
        (
            "-SILENT_REFUSAL",
            "0.15.1",
            [
                "a display that is not there: CHANNEL_NOT_AVAILABLE in the result, in 0.15.1 closed without a word",
            ],
        ),
        (
            "-STRICT_TICKET",
            "0.15.1",
            [
                (
                    "a ticket that does not decrypt: BAD_CONNECTION_ID in the result, "
                    "in 0.15.1 PERMISSION_DENIED in the result"
                ),
            ],
        ),
        (
            "-MINI_HEADER",
            "0.15.1",
            [
                "protocol version: 2.1, in 0.15.1 2.2",
                "message headers: full, in 0.15.1 mini",
                "common capabilities: 0x3 (-MINI_HEADER), in 0.15.1 0xb",
                "capabilities of display:0 to a client without any: 0x1050 (-MONITORS_CONFIG), in 0.15.1 0x1052",
            ],
        ),
    ],
)
async def test_the_nearest_level_and_each_difference(changes: str, name: str, lines: list[str]) -> None:
    report = await measured(changed(CURRENT, changes))
    nearest, found = report.nearest
    assert report.exact == ()
    assert nearest == name
    assert [difference.explain(nearest) for difference in found] == lines


async def test_channels_that_a_level_has_not() -> None:
    report = await measured(CURRENT, [*USUAL, (ChannelType.PORT, 0), (ChannelType.DISPLAY, 1), (77, 3)])
    found = {difference.explain("X") for difference in differences(report, LEVELS["0.6"])}
    assert {
        "port:0: listed, in X no such channel",
        "display channels: 2, in X 1",
        "type 77:3: listed, in X no such channel",
    } <= found
    assert report.channels[-1].name == "type 77:3"
    assert "display channels: 2, in X 1" not in {
        difference.explain("X") for difference in differences(report, LEVELS["0.6.4"])
    }


async def test_a_channel_that_is_given_without_being_listed() -> None:
    class Gives(LevelPolicy):
        def _look_for(self, request: LinkRequest) -> None:
            if request.channel_id:
                super()._look_for(request)

    class GivesServer(LevelServer):
        def __init__(self, policy: LevelPolicy) -> None:
            super().__init__(Gives(policy.level, policy.channels))

    report = await measured(CURRENT, kind=GivesServer)
    assert "playback:0, which is not listed: accepted, in 0.15.1 closed without a word" in {
        difference.explain("0.15.1") for difference in differences(report, CURRENT)
    }


async def test_a_channel_that_is_listed_and_not_given() -> None:
    class Keeps(LevelPolicy):
        def _look_for(self, request: LinkRequest) -> None:
            if request.channel_type == ChannelType.INPUTS:
                raise PermissionDenied("not today")
            super()._look_for(request)

    class KeepsServer(LevelServer):
        def __init__(self, policy: LevelPolicy) -> None:
            super().__init__(Keeps(policy.level, policy.channels))

    report = await measured(LEVELS["0.8.3"], kind=KeepsServer)
    assert report.nearest == (
        "0.8.3",
        (Difference("inputs:0, which is listed", "PERMISSION_DENIED in the result", "accepted"),),
    )


async def test_a_channel_that_is_only_served_the_other_way_is_no_difference(context: ssl.SSLContext) -> None:
    async with SpiceServer(tls=Tls(context, channels=["inputs", "cursor"])) as server:
        report = await probe(HOST, server.port)
    assert report.exact == ("0.15.1", "0.15")
    secured = {each.name for each in report.channels if each.answer.outcome in OVER_ANOTHER_WAY}
    assert secured == {"cursor:0", "inputs:0"}
    assert {str(each.answer.outcome) for each in report.channels} == {"accepted", "NEED_SECURED in the reply"}


# Ways to a server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ThrowawayCertificate:
    pytest.importorskip("cryptography")
    return throwaway_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def context(certificate: ThrowawayCertificate) -> ssl.SSLContext:
    return server_context(certificate.certificate, certificate.key)


async def test_over_tls(certificate: ThrowawayCertificate, context: ssl.SSLContext) -> None:
    async with serving_level(CURRENT, tls=context) as server:
        trusting = ssl.create_default_context(cafile=certificate.ca)
        report = await probe(HOST, server.port, tls=trusting)
        with pytest.raises(AddressUnavailable, match=r"127\.0\.0\.1:\d+: .*(self.signed|local issuer)"):
            await probe(HOST, server.port, tls=ssl.create_default_context())
    assert report.exact[0] == "0.15.1"


async def test_over_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    async with serving_level(LEVELS["0.8.3"], unix_path=path):
        report = await probe(unix_path=str(path))
    assert (report.exact, report.address) == (("0.8.3",), str(path))


async def test_what_cannot_be_asked_for(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="either a port or a unix socket"):
        await probe()
    with pytest.raises(InvalidValue, match="either a port or a unix socket"):
        await probe(port=1, unix_path="x")
    with pytest.raises(InvalidValue, match="no server speaks TLS on a unix socket"):
        await probe(unix_path="x", tls=ssl.create_default_context())
    with pytest.raises(AddressUnavailable, match=r"cannot connect to .*nobody: No such file"):
        await probe(unix_path=str(tmp_path / "nobody"))


async def test_nobody_answers() -> None:
    with pytest.raises(AddressUnavailable, match=r"cannot connect to 127\.0\.0\.1:1: Connection refused"):
        await probe(HOST, 1)


@pytest.mark.parametrize("password", ["", "wrong"])
async def test_without_the_password(password: str) -> None:
    async with serving_level(CURRENT, password="s3cret") as server:
        text = "the password is wrong" if password else "it wants a password"
        with pytest.raises(PermissionDenied, match=text):
            await probe(HOST, server.port, password=password)


async def test_main_is_only_served_the_other_way(context: ssl.SSLContext) -> None:
    async with SpiceServer(tls=Tls(context, channels=["main"])) as server:
        with pytest.raises(NeedSecured, match=r"127\.0\.0\.1:\d+: it does not let us in, NEED_SECURED .* wants TLS"):
            await probe(HOST, server.port)


async def test_a_password_where_none_is_wanted() -> None:
    async with serving_level(LEVELS["0.10.1"]) as server:
        report = await probe(HOST, server.port, password="unneeded")
    assert (report.exact, report.asks_password) == (("0.10.1",), False)


async def test_releases_that_may_end_by_it_are_not_asked_for_types_they_lack() -> None:
    async with serving_level(LEVELS["0.8.3"]) as server:
        await probe(HOST, server.port)
    listed = {kind for kind, _ in USUAL} | {ChannelType.MAIN}
    assert {request.channel_type for request in server.requests} == listed


@pytest.mark.parametrize("name", ["0.8.3", "0.15.1"])
async def test_it_greets_displays_and_leaves_main_last(name: str) -> None:
    async with serving_level(LEVELS[name]) as server:
        await probe(HOST, server.port)
        assert server.said == [display.Init.spec.ids[CLIENT]]
        assert server.left == [*reversed(USUAL), (ChannelType.MAIN, 0)]


async def test_a_server_that_does_not_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clings(LevelServer):
        async def converse(self, linked: Linked, *streams: object) -> None:
            await super().converse(linked, *streams)  # type: ignore[arg-type]
            await asyncio.sleep(SHORT * 4)

    monkeypatch.setattr(probe_module, "LEAVE_TIMEOUT", SHORT)
    assert (await measured(CURRENT, kind=Clings)).exact[0] == "0.15.1"


# What is no server


@contextlib.asynccontextmanager
async def saying(answer: bytes, *, close: bool = True) -> AsyncIterator[int]:
    """A port where everybody is told the same."""
    done = asyncio.Event()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.read(16)
            writer.write(answer)
            await writer.drain()
            if not close:
                await done.wait()
            writer.close()

    listener = await asyncio.start_server(connected, HOST, 0)
    before = asyncio.all_tasks()
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        done.set()
        listener.close()
        if rest := asyncio.all_tasks() - before:
            await asyncio.wait(rest)


def reply(major: int = 2, *, size: int = LINK_REPLY.size, error: int = 0, words: int = 0, key: bytes = b"") -> bytes:
    return HEADER.pack(MAGIC, major, 2, size) + LINK_REPLY.pack(error, key, words, 0, LINK_REPLY.size)


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (b"", LinkError, "it is no SPICE server, or not over this way: the link of main is closed without a word"),
        (b"SSH-2.0-OpenSSH_9\r\n", InvalidMagic, "it is no SPICE server: it begins with b'SSH-2.0"),
        (b"HTTP/1.1 400 Bad Request\r\n", InvalidMagic, "it is no SPICE server"),
        (reply(1), VersionMismatch, "major version 1 instead of 2"),
        (reply(size=1 << 31), InvalidData, "MAX_LINK_SIZE 4096"),
        (reply(words=1 << 31), InvalidData, "MAX_CAPABILITY_WORDS"),
        (reply(), InvalidData, "pub_key is not an RSA public key"),
        (reply(error=3), InvalidData, "it does not let us in, INVALID_DATA in the reply"),
        (reply(error=42), LinkError, "it does not let us in, code 42 in the reply"),
        (reply()[:100], LinkError, "the link of main is closed after the reply"),
    ],
)
async def test_what_answers_is_no_server(answer: bytes, error: type[Exception], text: str) -> None:
    async with saying(answer) as port:
        with pytest.raises(error) as caught:
            await probe(HOST, port)
    assert str(caught.value).startswith(f"{HOST}:{port}: ")
    assert text in str(caught.value)


async def test_a_server_that_stalls() -> None:
    async with saying(b"", close=False) as port:
        with pytest.raises(LimitExceeded, match=r"127\.0\.0\.1:\d+: no answer on the main channel in 0\.05 s"):
            await probe(HOST, port, timeout=SHORT)


class Faulty(LevelServer):
    """A server whose links are right, and whose main channel says what ``said`` gives."""

    said: Callable[[FrameWriter], list[bytes]]
    leaves = False

    async def converse(self, linked: Linked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if linked.request.channel_type == ChannelType.MAIN:
            writer.writelines(type(self).said(FrameWriter(mini=linked.mini_header, direction=SERVER)))
        if not self.leaves:
            await reader.read()


INIT = main.Init(7, 1, 1, 1, 0, 10, 0, 0)


@pytest.mark.parametrize(
    ("said", "leaves", "error", "text"),
    [
        (lambda frames: [], True, IllegalMessage, "it closes main before it has listed the channels"),
        (lambda frames: frames.frame(INIT), True, IllegalMessage, "it closes main before"),
        (lambda frames: frames.frame(INIT), False, LimitExceeded, "no answer on the main channel"),
        (lambda frames: [bytes(100)], False, IllegalMessage, "its first message is no MAIN_INIT with either header"),
        (
            lambda frames: frames.frame(INIT) + frames.frame(main.ChannelsList([ChannelId(2, 0)] * (MAX_CHANNELS + 1))),
            False,
            LimitExceeded,
            "it lists 65 channels, at most MAX_CHANNELS 64",
        ),
        (lambda frames: [*frames.frame(INIT), b"\1\0\xff\xff\xff\xff"], False, LimitExceeded, "the limit is"),
        (lambda frames: [*frames.frame(INIT), b"\1\0\xff\xff\xff\0"], False, LimitExceeded, "the limit is"),
    ],
)
async def test_a_main_channel_that_breaks_the_protocol(
    said: Callable[[FrameWriter], list[bytes]], leaves: bool, error: type[Exception], text: str
) -> None:
    kind = type("Kind", (Faulty,), {"said": staticmethod(said), "leaves": leaves})
    async with serving_level(CURRENT, kind=kind) as server:
        with pytest.raises(error, match=text):
            await probe(HOST, server.port, timeout=SHORT * 4)


async def test_a_server_that_never_ends_talking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire_module, "MAX_RECEIVED", 1000)
    flood = type(
        "Flood", (Faulty,), {"said": staticmethod(lambda frames: [*frames.frame(INIT), b"\5\0\0\0\0\0" * 500])}
    )
    async with serving_level(CURRENT, kind=flood) as server:
        with pytest.raises(LimitExceeded, match="more than MAX_RECEIVED 1000 bytes on one connection"):
            await probe(HOST, server.port)


class Sleepy(LevelServer):
    """Answers no link to a display."""

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readexactly(36)
        except asyncio.IncompleteReadError:  # a question that is shorter than a link; Python 3.11.2 would leave it open
            writer.close()
            return
        if head[20] == ChannelType.DISPLAY or head[:4] != MAGIC:
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
            return
        again = asyncio.StreamReader()
        again.feed_data(head)

        async def copy() -> None:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(4096):
                    again.feed_data(data)
            again.feed_eof()

        copying = asyncio.create_task(copy())
        await super().connected(again, writer)
        copying.cancel()


async def test_questions_without_an_answer_are_told_but_few_waited_for() -> None:
    async with serving_level(CURRENT, [(ChannelType.DISPLAY, 0)], kind=Sleepy) as server:
        with pytest.raises(LimitExceeded, match=f"to more than MAX_STALLS {MAX_STALLS} questions"):
            await probe(HOST, server.port, timeout=SHORT * 2)


def test_words_as_text() -> None:
    assert show_words(()) == "none"
    assert show_words((0,)) == "0x0"
    assert show_words((1, 0x10)) == "0x1 0x10"
