"""How many inputs a fuzz test makes up, and the rule that each of them is held to.

``SPICEEMU_FUZZ_EXAMPLES`` is the number of all tests together. Without it they are few, and the same every time.
"""

from __future__ import annotations

import math
import os
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import hypothesis

EXAMPLES = int(os.environ.get("SPICEEMU_FUZZ_EXAMPLES", "5000"))

SHARES = {
    "server link": 0.10,
    "client link": 0.08,
    "framing": 0.12,
    "streams": 0.10,
    "raw bodies": 0.10,
    "changed bodies": 0.40,
    "agent pieces": 0.04,
    "agent messages": 0.06,
}
"""What part of the inputs is whose."""

MEMORY_FACTOR = 4
MEMORY_BASE = 1 << 20
"""An input may make the package hold this many times its length, and this much besides."""


def examples(what: str, parts: int = 1) -> hypothesis.settings:
    """Settings for a test that takes a share of the inputs, or one of several tests that divide it.

    Only the generation is of interest: what is found is shrunk, but not explained at length.
    """
    return hypothesis.settings(
        max_examples=math.ceil(EXAMPLES * SHARES[what] / parts),
        phases=[hypothesis.Phase.explicit, hypothesis.Phase.generate, hypothesis.Phase.shrink],
        suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
    )


class Peak:
    """The most memory that was held at a time, in bytes, beside what was there before."""

    held = 0


@contextmanager
def measured() -> Iterator[Peak]:
    """Measure what is allocated inside."""
    peak = Peak()
    tracemalloc.start()
    try:
        yield peak
        peak.held = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def hold_to_the_rule(size: int, take: Callable[[], object]) -> None:
    """Run something that takes an input of ``size`` bytes and judge the memory that it needs."""
    with measured() as peak:
        take()
    assert peak.held <= MEMORY_FACTOR * size + MEMORY_BASE, f"{peak.held} bytes held for an input of {size}"
