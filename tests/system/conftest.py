"""A yard of real programs for the tests of this folder, one for each file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fakes.yard import Yard


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """Return a broker and a chain machine that run; gateways are added by the tests."""
    # This broker is never killed; saving all that waits at each change would only slow it down.
    made = Yard(tmp_path_factory.mktemp("yard"), autosave_changes=1_000_000)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def fresh_yard(tmp_path: Path) -> Iterator[Yard]:
    """Return the same for one test alone: it may take the machines away."""
    made = Yard(tmp_path / "yard")
    try:
        yield made
    finally:
        made.close()
