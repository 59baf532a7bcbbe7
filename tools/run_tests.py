"""Run the project's checks and tests in named parts: `python tools/run_tests.py check|test`.

Prints the minutes of each part, then a table, then, alone on the last line, the totals. Any
failing part makes the exit code 1. A static check counts as one test. A skipped test counts as
failed (tests/conftest.py): a part that is missing on this machine is no reason to pass.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
TESTS = ROOT / "tests"
BIN = Path(sys.executable).parent
CODE = ("ledger", "logistics", "firmware_bridge", "gateway", "consortium", "portal", "tools")
CHECK_SECONDS_MAX = 60
# Nightly, the soak alone takes two hours.
PART_SECONDS_MAX = (180 if os.environ.get("WHARF_VOLUME") == "nightly" else 40) * 60
LANES = 2  # as many as a small machine has cores
ALONE = frozenset(
    {"integration: comet", "system: test_found_a_consortium"}
)  # eight processes that vote against the clock
PRINTING = threading.Lock()
PYTEST_NOTHING_RAN = 5


@dataclass(frozen=True, slots=True)
class Part:
    """One named step: a program of the environment, or pytest over some paths."""

    name: str
    command: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one part came to."""

    name: str
    passed: int
    failed: int
    skipped: int
    seconds: float


STATIC = (
    Part("format", ("ruff", "format", "--check", ".")),
    Part("lint", ("ruff", "check", "--output-format=concise", ".")),
    Part("types", ("mypy",)),
    Part("imports", ("lint-imports",)),
)


def has_tests(folder: Path) -> bool:
    """Return True when a test file lies anywhere below the folder."""
    return any(folder.rglob("test_*.py"))


def unit_parts() -> Iterator[Part]:
    """Yield the parts that stay quick: one for each package, and the tests of the tree itself."""
    # The longest, the pages', first: both lanes then end at about the same time.
    for path in sorted((TESTS / "unit").iterdir(), reverse=True):
        if path.is_dir() and has_tests(path):
            yield Part(f"unit: {path.name}", paths=(str(path.relative_to(ROOT)),))
    files = sorted(str(path.relative_to(ROOT)) for path in TESTS.glob("test_*.py"))
    yield Part("unit: the tree", paths=tuple(files))


def slow_parts() -> Iterator[Part]:
    """Yield one part for each folder, and each loose file, of the integration and system tests."""
    for kind in ("integration", "system"):
        for path in sorted((TESTS / kind).glob("*")):
            is_test_file = path.name.startswith("test_") and path.suffix == ".py"
            if is_test_file or (path.is_dir() and has_tests(path)):
                yield Part(f"{kind}: {path.stem}", paths=(str(path.relative_to(ROOT)),))


def parts_for(goal: str) -> list[Part]:
    """Return the parts of `check`, or of `test`, which begins with all of `check`."""
    quick = [*STATIC, *unit_parts()]
    return quick if goal == "check" else [*quick, *slow_parts()]


def run_program(command: Sequence[str], environment: dict[str, str], output: IO[bytes]) -> int:
    """Run one program of the environment; return its exit code, 124 when it ran too long."""
    program = [str(BIN / command[0]), *command[1:]]
    try:
        return subprocess.run(
            program,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=PART_SECONDS_MAX,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        output.write(f"gave up after {PART_SECONDS_MAX // 60} minutes: {command}\n".encode())
        return 124


def count_results(report: Path) -> tuple[int, int, int]:
    """Return (passed, failed, skipped) from a JUnit report; all 0 when pytest wrote none."""
    if not report.exists():
        return 0, 0, 0
    total = failed = skipped = 0
    for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314 - pytest wrote it
        total += int(suite.get("tests", "0"))
        failed += int(suite.get("failures", "0")) + int(suite.get("errors", "0"))
        skipped += int(suite.get("skipped", "0"))
    return total - failed - skipped, failed, skipped


def run_part(part: Part, scratch: Path) -> Outcome:
    """Run one part, print its output when it is over, and count what it came to."""
    name = part.name.replace(" ", "-").replace(":", "")
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"}
    report, log = scratch / f"{name}.xml", scratch / f"{name}.log"
    command = part.command or ("pytest", "-q", "--durations=5", f"--junitxml={report}", *part.paths)
    if not part.command:
        environment["WHARF_STRICT"] = "1"
    started = time.monotonic()
    with log.open("wb") as output:
        code = run_program(command, environment, output)
    if part.command:
        passed, failed, skipped = (1, 0, 0) if code == 0 else (0, 1, 0)
    else:
        passed, failed, skipped = count_results(report)
        if code != 0 and failed == 0:  # it fell before it could count: no test ran, or a crash
            failed = 1
    seconds = time.monotonic() - started
    with PRINTING:
        print(f"\n=== {part.name} ===\n{log.read_text(errors='replace')}")
        print(f"--- {part.name}: {seconds / 60:.1f} min, exit {code}", flush=True)
    return Outcome(name=part.name, passed=passed, failed=failed, skipped=skipped, seconds=seconds)


def run_parts(parts: Sequence[Part], scratch: Path) -> list[Outcome]:
    """Run static checks one by one, unit tests in lanes, what wants the machine for itself alone,
    and the others in lanes.

    Unit tests come first also because they leave the modules compiled behind them.
    """
    static = [part for part in parts if ":" not in part.name]
    unit = [part for part in parts if part.name.startswith("unit:")]
    alone = [part for part in parts if part.name in ALONE]
    slow = [part for part in parts if part not in (*static, *unit, *alone)]
    with ThreadPoolExecutor(max_workers=1) as one, ThreadPoolExecutor(max_workers=LANES) as lanes:
        groups = ((static, one), (unit, lanes), (alone, one), (slow, lanes))
        return [
            outcome
            for group, workers in groups
            for outcome in list(workers.map(lambda part: run_part(part, scratch), group))
        ]


def print_table(outcomes: Sequence[Outcome], seconds: float) -> None:
    """Print minutes and counts of each part, then the totals alone on the last line.

    seconds: how long all of it took, which is less than the sum.
    """
    print("\nminutes  passed  failed  part")
    for item in outcomes:
        print(f"{item.seconds / 60:7.1f}  {item.passed:6d}  {item.failed:6d}  {item.name}")
    print(f"{seconds / 60:7.1f}  in all, {LANES} at a time\n")
    totals = [sum(getattr(item, field) for item in outcomes) for field in ("passed", "failed")]
    skipped = sum(item.skipped for item in outcomes)
    tail = f", {skipped} skipped" if skipped else ""
    print(f"{totals[0]} passed, {totals[1]} failed{tail}", flush=True)


def main() -> int:
    """Run the parts of the goal; return 0 only when nothing failed."""
    parser = argparse.ArgumentParser(description="run checks and tests in named parts")
    parser.add_argument("goal", choices=("check", "test"))
    goal = parser.parse_args().goal
    with tempfile.TemporaryDirectory(prefix="wharfinger-tests-") as scratch:
        started = time.monotonic()
        outcomes = run_parts(parts_for(goal), Path(scratch))
        seconds = time.monotonic() - started
    if goal == "check" and seconds > CHECK_SECONDS_MAX:
        print(f"note: check took {seconds:.0f} s; it should stay under {CHECK_SECONDS_MAX} s")
    print_table(outcomes, seconds)
    return 1 if any(item.failed for item in outcomes) else 0


if __name__ == "__main__":
    raise SystemExit(main())
