"""The ledger on the Raspberry Pi's processor, emulated: same bytes, same verdicts.

Each program runs under qemu's user emulation with the locked aarch64 wheels: the instruction set,
the libraries and the sizes of C's types are that processor's, kernel and disk are this machine's.
Results are held, never durations.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fakes.arm_parts import PATH, ROOT, arm_parts
from tests.unit.ledger.feed_builder import FeedBuilder, good_scene, grown
from tests.unit.ledger.held_feed import hold_own, open_store

LEDGER = "tests/unit/ledger"
CHOSEN = ("canonical", "merkle", "block", "journal", "store")
# It starts a program by its file, and this kernel would take it for one of its own processor.
ELSEWHERE = f"{LEDGER}/test_store.py::test_a_second_program_is_refused"
LIMIT_S = 600
PROCESSOR = (
    "import platform, struct, sys; print(platform.machine(), struct.calcsize('lP'), sys.byteorder)"
)
DIGEST = """\
import sys
from ledger.hashing import sha256
from tests.unit.ledger.feed_builder import good_scene
scene = good_scene()
sys.stdout.write(f"{scene.trust.hex()} {sha256(scene.bundle().encode()).hex()}")
"""
JOURNAL = """\
import sys
from pathlib import Path
from ledger.journal import Journal
folder, first = Path(sys.argv[1]), int(sys.argv[2])
journal, found = Journal.open(folder)
journal.append([b"entry %d" % number for number in range(first, first + 3)])
journal.close()
sys.stdout.write(repr([data.decode() for _, data in found.entries]))
"""
Run = Callable[..., str]


def here(*words: str | Path, code: int = 0) -> str:
    """What Python says on this machine."""
    return _said([sys.executable, *map(str, words)], {}, code)


def _said(command: list[str], extra: dict[str, str], code: int) -> str:
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **extra, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert done.returncode == code, f"{command}\n{done.stdout[-4000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def there() -> Run:
    """What Python says on the other processor."""
    emulator = shutil.which("qemu-aarch64-static", path=PATH)
    assert emulator, "qemu-aarch64-static is missing; `make dev` names its Debian package"
    root = arm_parts().root
    start = [emulator, "-L", str(root), str(root / "usr/bin/python3"), "-P"]
    paths = {"PYTHONPATH": f"{ROOT}{os.pathsep}{root / 'site'}"}

    def run(*words: str | Path, code: int = 0) -> str:
        return _said([*start, *map(str, words)], paths, code)

    return run


def test_it_is_that_processor(there: Run) -> None:
    assert "aarch64 16 little" == there("-c", PROCESSOR).strip()


def test_the_chosen_tests_pass_there(there: Run) -> None:
    files = [f"{LEDGER}/test_{name}.py" for name in CHOSEN]
    options = ("-q", "-p", "no:cacheprovider", "--deselect", ELSEWHERE, f"--timeout={LIMIT_S}")
    said = there("-m", "pytest", *options, *files).splitlines()[-1]
    print(said)
    assert " passed" in said
    assert int(said.split()[0]) > 250
    assert "skipped" not in said


def test_one_history_gives_the_same_bytes_on_both(there: Run) -> None:
    """Through every part that decides a byte: encodings, trees, compression, keys, signatures."""
    assert here("-c", DIGEST) == there("-c", DIGEST)


@pytest.mark.parametrize(
    ("trusts", "code"), [("own", 0), ("none", 2), ("foreign", 1)], ids=["own", "none", "foreign"]
)
def test_a_bundle_made_here_gets_the_same_verdict_there(
    there: Run, tmp_path: Path, trusts: str, code: int
) -> None:
    scene = good_scene()
    bundle = tmp_path / "trip.wharf"
    bundle.write_bytes(scene.bundle().encode())
    trust = {"own": ["--trust", scene.trust.hex()], "none": [], "foreign": ["--trust", "00" * 32]}
    words = ["-m", "ledger", "verify", str(bundle), *trust[trusts], "--json"]
    assert here(*words, code=code) == there(*words, code=code)


def test_a_store_written_here_follows_from_its_raw_data_there(there: Run, tmp_path: Path) -> None:
    with open_store(tmp_path / "store") as store:
        feed = grown(FeedBuilder())
        store.write(lambda txn: hold_own(txn, feed))
    assert "feeds=1 blocks=7" in there("-m", "ledger", "fsck", tmp_path)


def test_a_journal_goes_from_one_processor_to_the_other_and_back(
    there: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "journal"
    assert "[]" == there("-c", JOURNAL, folder, "0")
    assert repr([f"entry {n}" for n in range(3)]) == here("-c", JOURNAL, folder, "3")
    assert repr([f"entry {n}" for n in range(6)]) == there("-c", JOURNAL, folder, "6")
