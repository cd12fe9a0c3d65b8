"""Reports how many inputs each fuzz test took, how near they came to the limits, and the seed they were made from."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator

import pytest

from ..protocol.records import ALL_MESSAGES
from . import measure

TALLY = "fuzz"


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    """Messages are compiled on first use: once a process, whatever the input."""
    for cls in ALL_MESSAGES:
        assert cls.functions


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    measure.tally.reset()
    try:
        return (yield)
    finally:
        item.user_properties.append((TALLY, dataclasses.astuple(measure.tally)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line a test, its parameters together."""
    totals: dict[str, measure.Tally] = {}
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            name = report.nodeid.rpartition("/")[2].partition("[")[0]
            for tally in [measure.Tally(*value) for key, value in report.user_properties if key == TALLY]:
                if tally.inputs:
                    totals[name] = totals.get(name, measure.Tally()).with_those_of(tally)
    if not totals:
        return
    seed = config.getoption("hypothesis_seed", None)
    made = "the same every time" if seed is None else f"from seed {seed}"
    terminalreporter.section(f"fuzz: {sum(tally.inputs for tally in totals.values())} inputs, {made}")
    terminalreporter.write_line("inputs refused memory seconds  test (memory: the most, in parts of what is allowed)")
    for name, tally in sorted(totals.items()):
        terminalreporter.write_line(
            f"{tally.inputs:6} {tally.refused:7} {tally.most_memory:6.1%} {tally.most_seconds:7.3f}  {name}"
        )
