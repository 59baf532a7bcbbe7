"""Breaks the code on purpose and looks whether a named test sees it: `make mutants`.

Each named mutant is one edit of one file, and the test that must fail. With `--score N` so many
mutants of `ledger` are made by rule from a seed (a comparison turned, a check left out, a number
off by one), each judged by the unit tests of its module: the score is the share that was seen. A
mutant that nobody saw is printed, so that somebody asks whether a test is missing.

The working tree is copied and stays as it is. The last line is `mutants N, caught M`.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COPIED = (
    "ledger", "logistics", "firmware_bridge", "gateway", "consortium", "portal", "tests", "tools",
    "docs", "pyproject.toml",
)  # fmt: skip  # names, not rows
SECONDS_MAX = 300
PYTEST_FAILED = 1  # a test ran and failed; a file that no longer imports is another code


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One way to break the code, and the test that must see it."""

    name: str
    file: str
    old: str
    new: str
    test: str


_UNIT = "tests/unit"
MUTANTS = (
    Mutant(
        name="skip a sync",
        file="ledger/journal.py",
        old="            os.fdatasync(self._fd)\n",
        new="            self._fd\n",
        test=f"{_UNIT}/ledger/test_journal.py::test_a_failed_write_or_sync_is_final",
    ),
    Mutant(
        name="swap two writes: sign before the intent is durable",
        file="gateway/sealing.py",
        old="""        intent = [claim.protected(), claim.root]
        await asyncio""",
        new="""        intent = [claim.protected(), claim.root]
        await signer.sign(claim.tbs())
        await asyncio""",
        test=f"{_UNIT}/gateway/test_sealing.py"
        "::test_the_intent_is_durable_before_the_key_sees_anything",
    ),
    Mutant(
        name="accept an equal size",
        file="ledger/feed.py",
        old="    if new.height == previous.height or new.size == previous.size:\n",
        new="    if new.height == previous.height:\n",
        test=f"{_UNIT}/ledger/test_feed.py::test_not_anchored",
    ),
    Mutant(
        name="forget a cursor",
        file="consortium/feeds.py",
        old='    put_value(txn, _mark("opened", feed), height + 1)\n',
        new='    put_value(txn, _mark("opened", feed), 0)\n',
        test=f"{_UNIT}/consortium/test_feeds.py"
        "::test_what_this_machine_has_a_key_for_is_opened_in_order",
    ),
    Mutant(
        name="mirror without checking",
        file="ledger/mirror.py",
        old="sha256(ciphertext) != body.ct_digest:\n",
        new="not ciphertext:\n",
        test=f"{_UNIT}/ledger/test_mirror.py"
        "::test_a_ciphertext_of_the_same_length_that_is_not_the_bound_one_is_refused",
    ),
    Mutant(
        name="claim opened without opening",
        file="consortium/feeds.py",
        old="""        if key is None:
            return NOT_OPENED
        try:
            opened""",
        new="""        if key is None:
            return OPENED_OK
        try:
            opened""",
        test=f"{_UNIT}/consortium/test_feeds.py"
        "::test_without_a_key_only_the_public_runs_are_opened_and_nothing_is_stated",
    ),
    Mutant(
        name="acknowledge before the journal has it",
        file="gateway/intake.py",
        old="        entries: list[Entry] = []\n        for item in items:\n",
        new="        for arrival in arrivals:\n            self._acknowledge(arrival)\n"
        "        entries: list[Entry] = []\n        for item in items:\n",
        test=f"{_UNIT}/gateway/test_intake.py"
        "::test_a_message_is_acknowledged_only_once_the_sync_that_holds_it_is_done",
    ),
    Mutant(
        name="go on behind a witness",
        file="gateway/uplink.py",
        old="        if blocks_there > blocks_here:\n",
        new="        if blocks_there < 0:\n",
        test=f"{_UNIT}/gateway/test_uplink.py"
        "::test_a_peer_that_holds_more_of_our_feed_than_we_do_stops_the_signing",
    ),
    Mutant(
        name="take another feed's anchor for ours",
        file="gateway/uplink.py",
        old="        return leaf.record[0] == kind and leaf.record[1:3] == self._feed\n",
        new="        return leaf.record[0] == kind\n",
        test=f"{_UNIT}/gateway/test_uplink.py::test_an_anchor_of_another_feed_is_not_ours",
    ),
    Mutant(
        name="let an expired peer in",
        file="ledger/peer.py",
        old="    if now_s > credential.until_s:\n",
        new="    if now_s < 0:\n",
        test=f"{_UNIT}/ledger/test_peer.py"
        "::test_the_unknown_the_revoked_and_the_expired_are_refused_by_name",
    ),
    Mutant(
        name="a proof for every channel",
        file="ledger/peer.py",
        old='return encode(["wharf/peer/1", server_digest, nonce, client_digest])',
        new='return encode(["wharf/peer/1", b"", nonce, client_digest])',
        test=f"{_UNIT}/ledger/test_peer.py::test_a_proof_holds_on_its_own_channel_only",
    ),
    Mutant(
        name="stay silent about a second history",
        file="ledger/mirror.py",
        old="    if row == anchored.block_root:\n        return b",
        new="    if row:\n        return b",
        test="tests/system/test_simulation.py::test_a_second_history_is_found",
    ),
)


def copied(folder: Path) -> None:
    """Copies what the tests need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(source, folder / name, ignore=ignored)
        else:
            shutil.copy(source, folder / name)


def is_caught(folder: Path, test: str) -> bool:
    """Whether a test fails in this tree; a test that fails to start has seen nothing."""
    program = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *test.split()]
    try:
        done = subprocess.run(
            program,
            cwd=folder,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return True  # it hangs where it did not: seen
    return done.returncode == PYTEST_FAILED


def play_named(folder: Path, only: str) -> tuple[int, int]:
    """(mutants, caught) of the named ones."""
    caught = 0
    chosen = [mutant for mutant in MUTANTS if only in mutant.name]
    for mutant in chosen:
        path = folder / mutant.file
        text = path.read_text(encoding="utf-8")
        if text.count(mutant.old) != 1:
            print(f"NOT MADE  {mutant.name}: {mutant.file} does not hold its text once")
            continue
        path.write_text(text.replace(mutant.old, mutant.new), encoding="utf-8")
        seen = is_caught(folder, mutant.test)
        path.write_text(text, encoding="utf-8")
        caught += seen
        print(f"{'caught  ' if seen else 'NOT SEEN'}  {mutant.name}: {mutant.test}", flush=True)
    return len(chosen), caught


class Place(ast.NodeVisitor):
    """Where a module can be broken by rule."""

    def __init__(self) -> None:
        self.found: list[tuple[str, ast.AST]] = []

    def visit_Compare(self, node: ast.Compare) -> None:
        """A comparison can be turned."""
        if type(node.ops[0]) in _TURNED:
            self.found.append(("turned", node))
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        """A check that raises can be left out."""
        if node.body and isinstance(node.body[0], ast.Raise):
            self.found.append(("left out", node))
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        """A number can be off by one."""
        if isinstance(node.right, ast.Constant) and type(node.right.value) is int:
            self.found.append(("off by one", node))
        self.generic_visit(node)


_TURNED = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
}  # fmt: skip  # a table


def broken(source: str, choose: random.Random) -> tuple[str, str] | None:
    """(what was done, the module's new text), or None where nothing can be broken by rule."""
    tree = ast.parse(source)
    places = Place()
    places.visit(tree)
    if not places.found:
        return None
    how, node = choose.choice(places.found)
    if isinstance(node, ast.Compare):
        node.ops[0] = _TURNED[type(node.ops[0])]()
    elif isinstance(node, ast.If):
        node.test = ast.Constant(value=False)
    elif isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant):
        node.right = ast.Constant(value=int(str(node.right.value)) + 1)
    line = getattr(node, "lineno", 0)
    return f"line {line} {how}", ast.unparse(ast.fix_missing_locations(tree))


def play_score(folder: Path, count: int, seed: int) -> tuple[int, int]:
    """(mutants, caught) of `ledger`, made by rule."""
    choose, made, caught = random.Random(seed), 0, 0  # noqa: S311  # a seed is to be played again
    modules = sorted(
        path
        for path in (folder / "ledger").glob("*.py")
        if (folder / _UNIT / "ledger" / f"test_{path.name}").exists()
    )
    while made < count:
        path = choose.choice(modules)
        source = path.read_text(encoding="utf-8")
        change = broken(source, choose)
        if change is None:
            continue
        made += 1
        path.write_text(change[1], encoding="utf-8")
        seen = is_caught(folder, f"{_UNIT}/ledger/test_{path.name}")
        path.write_text(source, encoding="utf-8")
        caught += seen
        if not seen:
            print(f"NOT SEEN  ledger/{path.name} {change[0]}", flush=True)
    print(f"score of ledger: {caught} of {made}, {100 * caught // max(1, made)} %")
    return made, caught


def main() -> int:
    """Plays the mutants; 1 where a named one was not seen."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--score", type=int, default=0, help="mutants of ledger, made by rule")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="named mutants with this word in their name")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wharf-mutants-") as scratch:
        folder = Path(scratch)
        copied(folder)
        if chosen.score:
            count, caught = play_score(folder, chosen.score, chosen.seed)
            print(f"mutants {count}, caught {caught}")
            return 0
        count, caught = play_named(folder, chosen.only)
    print(f"mutants {count}, caught {caught}")
    return 0 if caught == count else 1


if __name__ == "__main__":
    raise SystemExit(main())
