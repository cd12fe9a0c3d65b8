"""How many inputs a fuzz test makes up, and the one rule that each of them is held to.

``SPICEEMU_FUZZ_EXAMPLES`` is the number of all tests together. Without it they are few, and the same every time.
"""

from __future__ import annotations

import math
import os
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import hypothesis

from spiceemu.errors import RemoteError, SpiceError

EXAMPLES = int(os.environ.get("SPICEEMU_FUZZ_EXAMPLES", "5000"))

SHARES = {
    "server link": 0.10,
    "client link": 0.08,
    "framing": 0.10,
    "lists": 0.04,
    "streams": 0.06,
    "raw bodies": 0.08,
    "changed bodies": 0.20,
    "declared bodies": 0.10,
    "agent pieces": 0.04,
    "agent messages": 0.06,
    "sessions": 0.10,
    "images": 0.04,
}
"""What part of the inputs is whose."""

MEMORY_FACTOR = 4
MEMORY_BASE = 1 << 20
"""An input may make the package hold this many times its length, and this much besides."""

MOST_SECONDS = 2.0
"""Of the processor for one input of usual size, measured with tracemalloc, which makes everything twice as slow. Not of
the clock: the machine may be busy. What waits for ever is ended by pytest's time limit."""

Refusals: TypeAlias = type[SpiceError] | tuple[()]

NOTHING = ()
"""No refusal is raised here."""


def examples(what: str, parts: int = 1) -> hypothesis.settings:
    """Settings for a test that takes a share of the inputs, or one of several tests that divide it.

    Only the generation is of interest: what is found is shrunk, but not explained at length.
    """
    return hypothesis.settings(
        max_examples=math.ceil(EXAMPLES * SHARES[what] / parts),
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate, hypothesis.Phase.shrink],
        suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
    )


@dataclass
class Tally:
    """What one test has seen so far; ``most_memory`` is the part of what an input may hold, 1 being all of it."""

    inputs: int = 0
    refused: int = 0
    most_memory: float = 0.0
    most_seconds: float = 0.0

    def reset(self) -> None:
        """Begin with the next test."""
        self.__init__()  # type: ignore[misc]

    def with_those_of(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(
            self.inputs + other.inputs,
            self.refused + other.refused,
            max(self.most_memory, other.most_memory),
            max(self.most_seconds, other.most_seconds),
        )


tally = Tally()
"""Of the test that runs now; ``conftest.py`` reports it."""


@dataclass
class Outcome:
    """How an input was taken: the error that refused it, if one did."""

    error: SpiceError | None = None

    @property
    def text(self) -> str:
        """The error's text, empty without an error."""
        return "" if self.error is None else str(self.error)


@contextmanager
def guarded(
    size: int, *, refusals: Refusals = RemoteError, besides: int = 0, seconds: float = MOST_SECONDS
) -> Iterator[Outcome]:
    """Judge what is done inside with one input: its errors, its memory and its time.

    Any exception but ``refusals`` goes on, and fails the test.

    :param size: the input's length in bytes. The input itself is made before, and does not count.
    :param refusals: what may be raised because of an input; ``NOTHING`` where all is told by a state.
    :param besides: bytes that may be held for a reason with a named limit of its own.
    """
    outcome = Outcome()
    tracemalloc.start()
    began = time.thread_time()
    try:
        yield outcome
    except refusals as error:
        outcome.error = error.with_traceback(None)  # its frames would keep what the input led to
    finally:
        spent = time.thread_time() - began
        held = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    allowed = MEMORY_FACTOR * size + MEMORY_BASE + besides
    tally.inputs += 1
    tally.refused += outcome.error is not None
    tally.most_memory = max(tally.most_memory, held / allowed)
    tally.most_seconds = max(tally.most_seconds, spent)
    assert held <= allowed, f"{held} bytes held for an input of {size}, {allowed} are allowed"
    assert spent <= seconds, f"{spent:.1f} s for an input of {size} bytes"
