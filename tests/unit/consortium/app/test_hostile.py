"""Nothing hostile changes a byte of the state, and each refusal has its name."""

import os
import subprocess
import sys
from pathlib import Path

from consortium.app.refusal import Code
from tests.fakes.hostile import chain, good_transactions, hostile

NIGHTLY = os.environ.get("WHARF_VOLUME") == "nightly"
COUNT = 10_000 if NIGHTLY else 1_050
SEED = 20_261_124
BLOCK = 50
ROOT = Path(__file__).parents[4]


def test_what_the_hostile_ones_are_made_from_is_accepted() -> None:
    for data in good_transactions():
        assert chain().code(data) == Code.ACCEPTED


def test_thousands_of_hostile_transactions_change_nothing() -> None:
    on = chain()
    before, marks, found = on.app.app_hash, set(on.marks), set[Code]()
    made = list(hostile(SEED, COUNT))
    for start in range(0, COUNT, BLOCK):
        part = made[start : start + BLOCK]
        finalized = on.finalize(*(data for _, data, _ in part))
        outcome = finalized.outcome
        assert ({}, (), {}) == (outcome.puts, outcome.leaves, outcome.marks)
        assert before == finalized.app_hash
        for (label, data, codes), result in zip(part, finalized.results, strict=True):
            assert result.code in codes, (label, result.code, data.hex())
            found.add(result.code)
        on.app.commit(outcome)
    assert (before, marks) == (on.app.app_hash, on.marks)
    assert len(found) >= 14


def test_what_was_accepted_is_refused_again_on_this_chain_and_after_its_expiry() -> None:
    on = chain()
    for data in good_transactions()[:6]:
        assert on.code(data) == Code.ACCEPTED
        assert on.code(data) == Code.REPLAYED
    while on.app.height < 1_000:
        on.app.height += 100
    assert on.code(good_transactions()[0]) == Code.EXPIRED


_REPLAY = """
from tests.fakes.hostile import chain, good_transactions, hostile
on = chain()
hashes = [on.app.app_hash.hex()]
for data in good_transactions():
    on.block(data, *(bad for _, bad, _ in hostile(on.app.height, 5)))
    hashes.append(on.app.app_hash.hex())
print(*hashes, sep="\\n")
"""


def replayed(**environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _REPLAY],
        cwd=ROOT,
        env=os.environ | environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_a_replay_elsewhere_gives_the_same_hash_at_every_height() -> None:
    here = replayed(PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C")
    there = replayed(PYTHONHASHSEED="4711", TZ="Pacific/Chatham", LC_ALL="tr_TR.UTF-8")
    assert here == there
    assert len(set(here)) >= 12
