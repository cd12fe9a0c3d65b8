"""Bodies of every message: noise, and valid ones with a few changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spiceemu.protocol.catalogue import Message
from spiceemu.protocol.errors import InvalidValue, SpiceError
from spiceemu.protocol.message import reader_of

from ..protocol import vectors
from ..protocol.records import ALL_MESSAGES
from .inputs import CHANGES, Change, changed
from .measure import examples, hold_to_the_rule

PARTS = 4  # tests that divide the messages between them, so that they can run at the same time

BODIES: dict[type[Message], list[bytes]] = {cls: [] for cls in ALL_MESSAGES}
for _line in vectors.valid() + vectors.accepted():
    BODIES[vectors.class_of(_line)].append(vectors.body_of(_line))

READERS = {cls: reader_of(cls) for cls in ALL_MESSAGES}  # and all of them are compiled now, not under measurement
for _cls in ALL_MESSAGES:
    assert _cls.functions

SMALL = [cls for cls in ALL_MESSAGES if max(map(len, BODIES[cls]), default=0) <= 4]
LARGE = [cls for cls in ALL_MESSAGES if cls not in SMALL]


def judge(cls: type[Message], body: bytes) -> None:
    """Read a body: within the rule, and what was read can be written, read again and shown."""
    found: list[Message | str] = []
    hold_to_the_rule(len(body), lambda: found.append(outcome(cls.parse, body)))
    (message,) = found
    assert outcome(READERS[cls], body) == message
    if isinstance(message, str):
        assert message.startswith(f"{cls.spec.name}.")
        return
    assert len(str(message)) < 100_000
    try:
        written = message.build()
    except InvalidValue as error:  # an empty target where null is not allowed: it can be read, but not be written
        assert "empty, which is written as null" in str(error)  # noqa: PT017 - only some may raise
        return
    assert cls.parse(written).build() == written


def outcome(parse: Callable[[bytes], Message], body: bytes) -> Message | str:
    """What reading a body gives: the message, or the error's text."""
    try:
        return parse(body)
    except SpiceError as error:
        return str(error)


@pytest.mark.parametrize("part", range(PARTS))
@examples("raw bodies", PARTS)
@given(which=st.integers(0, len(LARGE)), body=st.binary(max_size=300))
def test_noise_as_a_body(part: int, which: int, body: bytes) -> None:
    classes = LARGE[part::PARTS]
    judge(classes[which % len(classes)], body)


@pytest.mark.parametrize("part", range(PARTS))
@examples("changed bodies", PARTS)
@given(which=st.integers(0, 1 << 16), changes=CHANGES)
def test_a_body_with_changes(part: int, which: int, changes: list[Change]) -> None:
    classes = LARGE[part::PARTS]
    cls = classes[which % len(classes)]
    bodies = BODIES[cls]
    judge(cls, changed(bodies[which // len(classes) % len(bodies)], changes, bodies))


@pytest.mark.parametrize("cls", SMALL, ids=lambda cls: cls.spec.name)
def test_every_short_body_of_a_short_message(cls: type[Message]) -> None:
    for size in range(6):
        for fill in (b"\0", b"\1", b"\x7f", b"\xff"):
            judge(cls, fill * size)
