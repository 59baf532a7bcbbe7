"""Plays seeds: `python -m tests.simulator --seeds 50`, or one again: `--seed 7`.

The last line is `seeds N, violations M`; a seed that fails is named with the words that play it
again.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from tests.simulator.world import GATEWAYS, HOURS, Report, Scene, play

HASH_SEED = "PYTHONHASHSEED"


def main() -> int:
    """Plays; 1 where something did not hold."""
    if os.environ.get(HASH_SEED) != "0":  # the order of sets is part of what a seed decides
        os.environ[HASH_SEED] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulator", *sys.argv[1:]])
    chosen = _arguments()
    scene = Scene(gateways=chosen.gateways, hours=chosen.hours)
    seeds = [chosen.seed] if chosen.seed is not None else list(chosen_range(chosen))
    violations = 0
    with ProcessPoolExecutor(min(chosen.jobs, len(seeds))) as pool:
        for report in pool.map(partial(play, scene=scene), seeds):
            violations += len(report.violations)
            _tell(report, chosen)
    print(f"seeds {len(seeds)}, violations {violations}", flush=True)
    return 1 if violations else 0


def chosen_range(chosen: argparse.Namespace) -> range:
    """The seeds in their order."""
    return range(chosen.first, chosen.first + chosen.seeds)


def _tell(report: Report, chosen: argparse.Namespace) -> None:
    if chosen.verbose or chosen.seed is not None:
        facts = ", ".join(f"{name} {count}" for name, count in sorted(report.facts.items()))
        print(f"seed {report.seed}: trace {report.trace[:16]}; {facts}")
    for violation in report.violations:
        print(f"seed {report.seed}: {violation}")
    if report.violations:
        size = f"--gateways {chosen.gateways} --hours {chosen.hours}"
        print(f"seed {report.seed} again: python -m tests.simulator --seed {report.seed} {size}")
    sys.stdout.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulator",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many, from --first on")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seed", type=int, help="this one alone, and what it was made of")
    parser.add_argument("--gateways", type=int, default=GATEWAYS)
    parser.add_argument("--hours", type=int, default=HOURS, help="of bad weather")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--verbose", action="store_true", help="a line for each seed")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
