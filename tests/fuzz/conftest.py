"""Reports how many inputs each fuzz test took, how near they came to the limits, and the seed they were made from."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator

import pytest

from . import measure

TALLY = "fuzz"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    measure.tally.reset()
    try:
        return (yield)
    finally:
        item.user_properties.append((TALLY, dataclasses.astuple(measure.tally)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    seed = config.getoption("hypothesis_seed", None)
    rows = [
        (measure.Tally(*value), report.nodeid.rpartition("/")[2])
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, value in report.user_properties
        if name == TALLY and value[0]
    ]
    if not rows:
        return
    made = "the fixed ones" if seed is None else f"from seed {seed}"
    terminalreporter.section(f"fuzz: {sum(tally.inputs for tally, _ in rows)} inputs, {made}")
    terminalreporter.write_line("inputs refused  memory  seconds  test (memory: the most, of what the rule allows)")
    for tally, name in sorted(rows, key=lambda row: row[1]):
        terminalreporter.write_line(
            f"{tally.inputs:6} {tally.refused:7} {tally.most_memory:6.0%} {tally.most_seconds:8.3f}  {name}"
        )
