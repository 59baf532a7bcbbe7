"""Small segments, short waits: what takes hours on a box takes moments here."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway import intake as intake_module
from ledger import store as store_module
from ledger.journal import Journal

SEGMENT_BYTES = 8192


@pytest.fixture(autouse=True)
def small_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    options = vars(Journal)["open"].__func__.__kwdefaults__
    monkeypatch.setitem(options, "segment_bytes", SEGMENT_BYTES)
    monkeypatch.setattr(intake_module, "FULL_RETRY_S", 0.005)
    monkeypatch.setattr(store_module, "FULL_RETRY_S", 0.005)


@pytest.fixture
def memory_path() -> Iterator[Path]:
    """Return a folder in memory where there is one: what a sync costs is not asked here."""
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="wharfinger-", dir=place))
    yield folder
    shutil.rmtree(folder)
