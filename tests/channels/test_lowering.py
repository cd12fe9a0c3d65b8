"""How an operation reaches a client, and codecs that only some clients can take."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from spiceemu.channels.lowering import LOWERINGS, OwnMessage, base_of
from spiceemu.codecs.compression import AUTO, LZ, OFF
from spiceemu.codecs.table import CODECS, Codec
from spiceemu.drawing.canvas import PAINTERS, Canvas
from spiceemu.drawing.geometry import Rect
from spiceemu.drawing.operations import Blit, CopyRect, CopySurface, FillRect, Operation, WriteText
from spiceemu.drawing.surface import Surface
from spiceemu.drawing.text import load_font
from spiceemu.guest.display import Display
from spiceemu.protocol.capabilities import DisplayCap
from spiceemu.protocol.enums import ClipType, ImageType
from spiceemu.protocol.levels.level import CURRENT, Level, level_of
from spiceemu.protocol.levels.needs import IMAGE_TYPES
from spiceemu.protocol.messages import display, draw

from .drawings import noise
from .far_side import names
from .test_display import Shown


@dataclass(frozen=True, slots=True)
class Invert(Operation):
    """An operation that the package does not have."""


def invert(_canvas: Canvas, surface: Surface, operation: Invert) -> None:
    surface.put(operation.box, bytes(byte ^ 0xFF for byte in surface.read(operation.box)))


INVERT = {**LOWERINGS, Invert: OwnMessage(draw.DrawInvers, lambda operation, _: draw.DrawInvers(base_of(operation)))}


def invertible() -> Display:
    guest = Display(0, 64, 48)
    guest.canvas.painters = {**PAINTERS, Invert: invert}
    return guest


def test_an_operation_with_a_row_is_its_own_message() -> None:
    shown = Shown(invertible(), lowerings=INVERT)
    shown.read()
    shown.guest.draw(Invert(0, Rect(60, 40, 9, 20)))
    (message,) = shown.read_unpainted()
    assert isinstance(message, draw.DrawInvers)
    assert (message.base.box.left, message.base.box.right, message.base.box.bottom) == (60, 64, 48)


def test_an_operation_without_a_row_is_the_pixels_of_its_box_as_they_were_then() -> None:
    shown = Shown(invertible())
    shown.read()
    shown.guest.blit((0, 0), 20, 20, noise(1, 20, 20))
    shown.guest.draw(Invert(0, Rect(5, 5, 9, 9)))
    then = shown.guest.primary.read(Rect(5, 5, 9, 9))
    shown.guest.fill((0, 0, 64, 48), "red")
    _, inverted, _ = shown.read()
    assert isinstance(inverted, draw.DrawCopy)
    assert inverted.data.src_bitmap is not None
    assert inverted.data.src_bitmap.u.data == then  # type: ignore[union-attr]
    shown.assert_same()


def test_a_message_that_the_client_cannot_take_is_never_made() -> None:
    made: list[Operation] = []

    def composite(operation: Invert, _surfaces: object) -> draw.DrawInvers:
        made.append(operation)
        return draw.DrawInvers(base_of(operation))

    rows = {**LOWERINGS, Invert: OwnMessage(draw.DrawComposite, composite)}
    without, capable = (
        Shown(invertible(), lowerings=rows, capabilities=capabilities) for capabilities in ((), (DisplayCap.COMPOSITE,))
    )
    for shown in (without, capable):
        shown.read()
        shown.guest.draw(Invert(0, Rect(0, 0, 9, 9)))
    assert names(without.read()) == ["DrawCopy"]
    assert made == []
    assert names(capable.read_unpainted()) == ["DrawInvers"]
    assert len(made) == 1


def test_a_picture_in_a_message_is_asked_for_as_well() -> None:
    rows = {**LOWERINGS, Invert: OwnMessage(draw.DrawInvers, lambda *_: 1 / 0, image=ImageType.LZ4)}
    shown = Shown(invertible(), lowerings=rows)
    shown.read()
    shown.guest.draw(Invert(0, Rect(0, 0, 9, 9)))
    assert names(shown.read()) == ["DrawCopy"]
    shown.assert_same()


CLIP = (Rect(2, 2, 6, 3), Rect(4, 4, 2, 9), Rect(70, 0, 3, 3))

CLIPPED: dict[str, tuple[Callable[[int], Operation], str]] = {
    "fill": (lambda _: FillRect(0, Rect(1, 1, 12, 12), 0x00FF00, clip=CLIP), "DrawFill"),
    "blit": (lambda _: Blit(0, Rect(1, 1, 12, 12), noise(7, 12, 12), clip=CLIP), "DrawCopy"),
    "copy": (lambda _: CopyRect(0, Rect(1, 1, 12, 12), 3, 2, clip=CLIP), "CopyBits"),
    "copy_surface": (lambda other: CopySurface(0, Rect(1, 1, 12, 12), other, 1, 2, clip=CLIP), "DrawCopy"),
}


@pytest.mark.parametrize(("make", "name"), CLIPPED.values(), ids=CLIPPED)
def test_a_clip_travels_with_the_operation(make: Callable[[int], Operation], name: str) -> None:
    shown = Shown()
    shown.guest.blit((0, 0), 64, 48, noise(1, 64, 48))
    other = shown.guest.create_surface(20, 20)
    shown.guest.blit((0, 0), 20, 20, noise(2, 20, 20), surface=other)
    shown.read()
    shown.guest.draw(make(other))
    *_, message = messages = shown.read()
    assert names(messages)[-1] == name
    clip = message.base.clip  # type: ignore[attr-defined]
    assert clip.type == ClipType.RECTS
    assert [(each.left, each.top, each.right, each.bottom) for each in clip.u.rects] == [(2, 2, 8, 5), (4, 4, 6, 13)]
    shown.assert_same()


@pytest.mark.parametrize("level", [CURRENT, level_of("0.4"), level_of("0.8.3")], ids=lambda level: level.name)
def test_a_clipped_text_is_pixels_without_a_clip(level: Level) -> None:
    shown = Shown(level=level, mini=level is CURRENT)
    shown.read()
    text = WriteText.at(0, 3, 4, "spice", load_font(), 0xFFFFFF, 0x112233)
    shown.guest.draw(WriteText(0, text.box, 3, 4, "spice", text.font, 0xFFFFFF, 0x112233, clip=CLIP))
    (message,) = shown.read()
    assert isinstance(message, draw.DrawCopy)
    assert message.base.clip.type == ClipType.NONE
    shown.assert_same()


# Codecs


class Counted:
    """An encoder that makes of every picture a payload of five bytes, and counts."""

    def __init__(self) -> None:
        self.calls = 0

    def encode(self, _pixels: bytes, width: int, height: int) -> bytes | None:
        self.calls += 1
        return None if width == height else b"short"


def invented(counted: Counted, name: str = "invented") -> Codec:
    return Codec(name, ImageType.LZ4, IMAGE_TYPES[ImageType.LZ4], counted.encode, None)


def image_types(shown: Shown) -> list[int]:
    shown.read_unpainted()
    shown.guest.blit((0, 0), 20, 10, noise(1, 20, 10))
    shown.guest.blit((0, 0), 10, 10, bytes(400))
    return [each.data.src_bitmap.descriptor.type for each in shown.read_unpainted()]  # type: ignore[attr-defined]


def test_a_codec_that_stands_first_is_used_for_a_client_that_can_take_it() -> None:
    counted = Counted()
    capable = (DisplayCap.LZ4_COMPRESSION,)
    shown = Shown(codecs=(invented(counted), *CODECS), compression=AUTO, capabilities=capable)
    # It declines squares.
    assert image_types(shown) == [ImageType.LZ4, ImageType.LZ_RGB]
    assert counted.calls == 3  # with the first picture of all


@pytest.mark.parametrize(
    ("level", "capabilities"),
    [(CURRENT, ()), (level_of("0.10.1"), (DisplayCap.LZ4_COMPRESSION,))],
    ids=["no capability", "an old level"],
)
@pytest.mark.parametrize("name", ["invented", "lz"])
def test_a_codec_is_never_called_for_a_client_that_cannot_take_it(
    level: Level, capabilities: tuple[int, ...], name: str
) -> None:
    counted = Counted()
    compression = LZ if name == "lz" else AUTO
    codecs = (invented(counted, name), *CODECS)
    shown = Shown(codecs=codecs, compression=compression, capabilities=capabilities, level=level, mini=False)
    assert image_types(shown) == [ImageType.LZ_RGB, ImageType.LZ_RGB]
    assert counted.calls == 0


def test_a_codec_is_not_tried_where_nothing_is_to_be_encoded() -> None:
    counted = Counted()
    capable = (DisplayCap.LZ4_COMPRESSION,)
    shown = Shown(codecs=(invented(counted), *CODECS), compression=OFF, capabilities=capable)
    assert image_types(shown) == [ImageType.BITMAP, ImageType.BITMAP]
    assert counted.calls == 0


def test_monitors_and_surfaces_are_asked_of_the_peer() -> None:
    shown = Shown(level=level_of("0.4"), capabilities=(DisplayCap.MONITORS_CONFIG,), mini=False)
    assert names(shown.read_unpainted()) == ["SetAck", "InvalAllPalettes", "Mode", "DrawCopy", "Mark"]
    assert not shown.channel.peer.takes_message(display.MonitorsConfig)


def test_a_codec_of_an_image_type_that_the_protocol_does_not_have_is_never_called() -> None:
    counted = Counted()
    unknown = Codec("unknown", 99, IMAGE_TYPES[ImageType.LZ_RGB], counted.encode, None)
    assert image_types(Shown(codecs=(unknown, *CODECS), compression=AUTO)) == [ImageType.LZ_RGB] * 2
    assert counted.calls == 0
