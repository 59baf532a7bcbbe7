"""What holds for every test: a quiet skip is a failure, and the volume is asked for by name."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


@pytest.fixture(scope="session")
def nightly() -> bool:
    """Return True when the long volumes are asked for (WHARF_VOLUME=nightly)."""
    return os.environ.get("WHARF_VOLUME") == "nightly"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure under `make check` and `make test` (WHARF_STRICT=1)."""
    report = yield
    if report.skipped and os.environ.get("WHARF_STRICT") and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which counts as failed here: {call.excinfo!r}"
    return report
