"""What all tests share: where the checkout is, how hypothesis runs, and what counts as a test with a real client.

Two environment variables are read here, both set by the Makefile and CI:

``SPICEEMU_TEST_WHEEL=1``
    The package under test is the installed wheel. The tests then run from this folder, so that a program they start
    cannot find the package's sources in its working directory.
``SPICEEMU_REQUIRE_PEERS=1``
    A test with a real client that would be skipped fails, with the reason of the skip.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import hypothesis
import pytest

TESTS = Path(__file__).resolve().parent
PEERS = TESTS / "peers"

# The same examples every time, so that a run that passes passes again; no deadline: other work shares the machine.
hypothesis.settings.register_profile("fixed", derandomize=True, database=None, deadline=None, print_blob=True)
# New examples at every run, for `make fuzz`; its seed decides which.
hypothesis.settings.register_profile(
    "fuzz",
    database=None,
    deadline=None,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("fuzz" if "SPICEEMU_FUZZ_EXAMPLES" in os.environ else "fixed")


@pytest.hookimpl(tryfirst=True)  # before -m chooses by the markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if PEERS in item.path.parents:
            item.add_marker(pytest.mark.peers)


def _fail_if_required(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure where the real clients must be there. An expected failure also says it is skipped."""
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("SPICEEMU_REQUIRE_PEERS") == "1":
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"a test with a real client may not be skipped here (SPICEEMU_REQUIRE_PEERS=1): {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if item.get_closest_marker("peers"):
        _fail_if_required(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if PEERS in collector.path.parents:
        _fail_if_required(report)
    return report


@pytest.fixture(scope="session", autouse=True)
def _away_from_the_sources() -> Iterator[None]:
    """Test the wheel from this folder. Not before the tests are collected: the command line names them from the top."""
    with contextlib.chdir(TESTS if os.environ.get("SPICEEMU_TEST_WHEEL") == "1" else "."):
        yield


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The top folder of the sources. For files beside the package; the package itself is imported."""
    return TESTS.parent


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of recorded and computed test data."""
    return TESTS / "data"
