"""Bodies of every message: noise, and valid ones, recorded and made from the declarations, with a few changes."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from spiceemu.errors import InvalidValue, RemoteError
from spiceemu.protocol.messages.catalogue import Message
from spiceemu.protocol.messages.message import reader_of

from ..protocol import vectors
from ..protocol.records import ALL_MESSAGES, records
from .inputs import CHANGES, Change, changed
from .measure import examples, guarded

PARTS = 4  # tests that divide the messages between them, so that they can run at the same time

MOST_SHOWN = 100_000  # characters of a log line

BODIES: dict[type[Message], list[bytes]] = {cls: [] for cls in ALL_MESSAGES}
for _line in vectors.valid() + vectors.accepted():
    BODIES[vectors.class_of(_line)].append(vectors.body_of(_line))

READERS = {cls: reader_of(cls) for cls in ALL_MESSAGES}

SMALL = [cls for cls in ALL_MESSAGES if max(map(len, BODIES[cls]), default=0) <= 4]
LARGE = [cls for cls in ALL_MESSAGES if cls not in SMALL]


def judge(cls: type[Message], body: bytes) -> None:
    """Read a body: within the rule, and what was read can be written, read again and shown."""
    message = None
    with guarded(len(body)) as outcome:
        message = READERS[cls](body)
    try:
        assert cls.parse(body) == message
    except RemoteError as error:
        assert str(error) == outcome.text  # noqa: PT017 - most bodies are refused, and rightly
    if message is None:
        assert outcome.text.startswith(f"{cls.spec.name}.")
        return
    assert len(str(message)) < MOST_SHOWN
    try:
        written = message.build()
    except InvalidValue as error:
        # An empty target where null is not allowed can be read, but not be written.
        assert "empty, which is written as null" in str(error)  # noqa: PT017
        return
    again = cls.parse(written)
    assert again.build() == written


@pytest.mark.parametrize("part", range(PARTS))
def test_noise_as_a_body(part: int) -> None:
    @examples("raw bodies", PARTS)
    @given(st.sampled_from(LARGE[part::PARTS]), st.binary(max_size=300))
    def one(cls: type[Message], body: bytes) -> None:
        judge(cls, body)

    one()


@pytest.mark.parametrize("part", range(PARTS))
def test_a_body_with_changes(part: int) -> None:
    @examples("changed bodies", PARTS)
    @given(st.sampled_from(LARGE[part::PARTS]), st.integers(0, 1000), CHANGES)
    def one(cls: type[Message], which: int, changes: list[Change]) -> None:
        bodies = BODIES[cls]
        judge(cls, changed(bodies[which % len(bodies)], changes, bodies))

    one()


@pytest.mark.parametrize("part", range(PARTS))
def test_a_declared_body_with_changes(part: int) -> None:
    made = st.sampled_from(LARGE[part::PARTS]).flatmap(records)

    @examples("declared bodies", PARTS)
    @given(made, CHANGES)
    def one(message: Message, changes: list[Change]) -> None:
        cls = type(message)
        judge(cls, changed(message.build(), changes, BODIES[cls]))

    one()


def test_every_short_body_of_a_short_message() -> None:
    for cls in SMALL:
        for size in range(6):
            for fill in (b"\0", b"\1", b"\x7f", b"\xff"):
                judge(cls, fill * size)
