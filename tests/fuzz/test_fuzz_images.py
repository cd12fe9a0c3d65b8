"""Payloads of pictures: noise, and valid ones with a few changes. A picture's memory has a rule of its own."""

from __future__ import annotations

import struct
from pathlib import Path

from hypothesis import given, strategies as st

from spiceemu.codecs import bitmap, lz
from spiceemu.codecs.bitmap import BITS_PER_PIXEL
from spiceemu.codecs.lz import MAX_GROWTH, LzType
from spiceemu.drawing.pictures import MAX_PIXELS
from spiceemu.errors import MalformedImage

from .inputs import CHANGES, Change, changed
from .measure import examples, guarded

MEMORY_PER_PIXEL = 20
"""Bytes that a decoder may need for a pixel of a picture that its payload can hold (see ``MAX_PIXELS``)."""

PIXELS_PER_UNIT = 8
"""Most pixels of what one token can repeat: a byte of indexes of one bit."""

MOST_BYTES = 3000  # of a payload to start from

DATA = Path(__file__).resolve().parents[1] / "data" / "codecs"
PAYLOADS = [payload for path in sorted(DATA.glob("*.lz.bin")) if len(payload := path.read_bytes()) < MOST_BYTES]

LITERALS = b"\x1f" + bytes(range(32 * 3))  # for matches to repeat

NOISE = st.binary(max_size=200)
PALETTES = st.sampled_from([None, (), (0, 0xFFFFFF), tuple(range(256)), tuple(range(300))])


def pixels_memory(width: int, height: int, payload: bytes) -> int:
    """What decoding may need if the payload can be a picture of that size."""
    possible = min(MAX_PIXELS, len(payload) * MAX_GROWTH * PIXELS_PER_UNIT)
    return width * height * MEMORY_PER_PIXEL if width * height <= possible else 0


def judge_lz(payload: bytes, palette: tuple[int, ...] | None) -> None:
    width, height = struct.unpack(">II", payload[12:20].ljust(8, b"\0"))
    with guarded(len(payload), refusals=MalformedImage, besides=pixels_memory(width, height, payload)):
        picture = lz.decode(payload, palette)
        assert (picture.width, picture.height) == (width, height)


def test_there_is_a_payload_of_every_type() -> None:
    assert {payload[11] for payload in PAYLOADS} == set(LzType)


@examples("images", 3)
@given(payload=st.sampled_from(PAYLOADS), changes=CHANGES, palette=PALETTES)
def test_an_lz_payload_with_changes(payload: bytes, changes: list[Change], palette: tuple[int, ...] | None) -> None:
    judge_lz(changed(payload, changes, PAYLOADS), palette)


@examples("images", 3)
@given(kind=st.sampled_from(LzType), size=st.tuples(*[st.integers(1, 99)] * 2), tokens=NOISE, palette=PALETTES)
def test_noise_behind_lz_literals(
    kind: LzType, size: tuple[int, int], tokens: bytes, palette: tuple[int, ...] | None
) -> None:
    bits = {LzType.PLT1_LE: 1, LzType.PLT1_BE: 1, LzType.PLT4_LE: 4, LzType.PLT4_BE: 4, LzType.PLT8: 8, LzType.A8: 8}
    bits |= {LzType.RGB16: 16, LzType.RGB24: 24}
    stride = (size[0] * bits.get(kind, 32) + 7) // 8
    judge_lz(struct.pack(">4s6I", b"  ZL", 0x10001, kind, *size, stride, 1) + LITERALS + tokens, palette)


@examples("images", 3)
@given(
    kind=st.one_of(st.sampled_from(sorted(BITS_PER_PIXEL)), st.integers(0, 20)),
    size=st.tuples(st.integers(0, 40), st.one_of(st.integers(0, 9), st.just(0xFFFFFFFF))),
    padding=st.integers(-1, 3),
    noise=NOISE,
    fits=st.booleans(),
    palette=PALETTES,
)
def test_noise_as_a_bitmap(
    kind: int, size: tuple[int, int], padding: int, noise: bytes, fits: bool, palette: tuple[int, ...] | None
) -> None:
    width, height = size
    stride = (width * BITS_PER_PIXEL.get(kind, 8) + 7) // 8 + padding
    if fits and height < MAX_GROWTH:
        wanted = max(height * stride, 0)
        noise = ((noise or b"\0") * (wanted + 1))[:wanted]
    with guarded(len(noise), refusals=MalformedImage, besides=pixels_memory(width, height, noise)):
        bitmap.decode(kind, width, height, stride, noise, top_down=bool(padding), palette=palette)
