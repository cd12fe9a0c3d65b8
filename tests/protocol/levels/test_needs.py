"""What a peer takes, and that the gate, which looks at what is made, is of the same mind."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, combinations

import pytest

from spiceemu.protocol.capabilities import ChannelType, DisplayCap
from spiceemu.protocol.enums import ImageType, VideoCodecType
from spiceemu.protocol.levels.channels import capabilities_of
from spiceemu.protocol.levels.compat import Feature
from spiceemu.protocol.levels.gate import Gate
from spiceemu.protocol.levels.level import CURRENT, LEVELS, Level
from spiceemu.protocol.levels.needs import IMAGE_TYPES, VIDEO_CODECS, Breach, Need, Peer
from spiceemu.protocol.messages import base, display
from spiceemu.protocol.messages.catalogue import CLIENT, SERVER, messages_of

from .test_gate import ROWS, Row, copy_of, image, stream


def peer(level: Level = CURRENT, *capabilities: int, mini: bool = True, local: bool = False) -> Peer:
    """A client's end of a display channel."""
    return Peer(level, ChannelType.DISPLAY, frozenset(capabilities), mini=mini, local=local)


def subsets(capabilities: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return chain.from_iterable(combinations(capabilities, count) for count in range(len(capabilities) + 1))


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.what} {row.direction} {row.feature.name}" for row in ROWS])
def test_a_message_that_is_taken_passes_the_gate(row: Row) -> None:
    kind, channel = type(row.message), row.message.spec.channels[0]
    for level in LEVELS.values():
        for capabilities in subsets(row.capabilities):
            receiver = Peer(level, channel, frozenset(capabilities), mini=True, local=row.local)
            of_the_kind = [
                breach
                for breach in Gate(receiver, row.direction).breaches(row.message)
                if breach.what == row.message.spec.name
            ]
            assert receiver.takes_message(kind, row.direction) is (of_the_kind == [])
            assert receiver.lacks_message(kind, row.direction) == of_the_kind


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
def test_every_message_of_every_channel_has_an_answer(level: Level) -> None:
    for channel in ChannelType:
        everything = frozenset(map(int, capabilities_of(channel) or ()))
        for direction in (SERVER, CLIENT):
            for kind in messages_of(channel, direction).values():
                answer = Peer(level, channel, everything, mini=True).takes_message(kind, direction)
                if not level.has(kind.spec.feature_on(channel)):
                    assert answer is False


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
@pytest.mark.parametrize("kind", [*IMAGE_TYPES, 99])
def test_a_picture_that_is_taken_passes_the_gate(level: Level, kind: int) -> None:
    for capabilities in ((), (DisplayCap.LZ4_COMPRESSION,)):
        receiver = peer(level, *capabilities)
        made = image(kind)
        found = Gate(receiver, SERVER).breaches(copy_of(made))
        assert receiver.takes_image(kind) is (found == [])
        assert receiver.lacks_image(kind, "display.DrawCopy") == found


@pytest.mark.parametrize("level", LEVELS.values(), ids=LEVELS)
@pytest.mark.parametrize("codec", [*VIDEO_CODECS, 99])
def test_a_video_that_is_taken_passes_the_gate(level: Level, codec: int) -> None:
    own = DisplayCap[f"CODEC_{VideoCodecType(codec).name}"] if codec in VIDEO_CODECS else DisplayCap.CODEC_VP8
    for capabilities in subsets((DisplayCap.MULTI_CODEC, own)):
        receiver = peer(level, *capabilities)
        found = Gate(receiver, SERVER).breaches(stream(codec))
        assert receiver.takes_video(codec) is (found == [])
        assert receiver.lacks_video(codec, "display.StreamCreate") == found


def test_what_only_some_clients_are_asked_for() -> None:
    assert peer().takes_video(VideoCodecType.MJPEG)
    assert not peer(CURRENT, DisplayCap.MULTI_CODEC).takes_video(VideoCodecType.MJPEG)
    assert peer(CURRENT, DisplayCap.MULTI_CODEC, DisplayCap.CODEC_MJPEG).takes_video(VideoCodecType.MJPEG)


def test_both_halves_of_a_need_are_told() -> None:
    need = Need(Feature.LZ4_COMPRESSION, DisplayCap.LZ4_COMPRESSION)
    lacking = peer(LEVELS["0.10.1"])
    assert not lacking.takes(need)
    assert lacking.lacks("a picture", need) == [
        Breach("a picture", Feature.LZ4_COMPRESSION),
        Breach("a picture", capability=DisplayCap.LZ4_COMPRESSION),
    ]
    assert peer(CURRENT, DisplayCap.LZ4_COMPRESSION).takes(need)
    assert peer().takes(Need())


def test_messages_that_not_every_link_carries() -> None:
    capable = DisplayCap.GL_SCANOUT
    assert peer(CURRENT, capable, local=True).takes_message(display.GlDraw)
    assert not peer(CURRENT, capable).takes_message(display.GlDraw)
    assert peer().takes_message(base.List)
    assert not peer(mini=False).takes_message(base.List)


def test_rows_of_ones_own() -> None:
    invented = Peer(
        CURRENT,
        ChannelType.DISPLAY,
        frozenset(),
        mini=True,
        images={200: Need(), ImageType.BITMAP: Need(Feature.SURFACES, DisplayCap.A8_SURFACE)},
        videos={7: (Need(),)},
    )
    assert [invented.takes_image(kind) for kind in (200, ImageType.BITMAP, ImageType.QUIC)] == [True, False, False]
    assert [invented.takes_video(codec) for codec in (7, VideoCodecType.MJPEG)] == [True, False]
    assert repr(invented) == "<Peer on display at 0.15.1>"
