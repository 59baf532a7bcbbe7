"""Gateways, machines, links, clocks, power and liars under one seed (`tests/simulator`)."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--gateways", "4", "--hours", "12")


def played(*arguments: str) -> list[str]:
    """The lines of a run."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulator", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.splitlines() or [done.stderr]


def test_whatever_the_weather_every_promise_holds(nightly: bool) -> None:
    seeds = "1000" if nightly else "50"
    lines = played("--seeds", seeds, "--jobs", "2", *SMALL)
    assert f"seeds {seeds}, violations 0" == lines[-1], "\n".join(lines[-12:])


def test_a_second_history_is_found() -> None:
    """Seed 11 has one that meets the anchored history at no equal height."""
    lines = played("--seed", "11", *SMALL)
    assert "seeds 1, violations 0" == lines[-1], "\n".join(lines)


def test_a_large_consortium_holds_too(nightly: bool) -> None:
    if nightly:
        lines = played("--seeds", "20", "--jobs", "2")
        assert "seeds 20, violations 0" == lines[-1], "\n".join(lines[-12:])


def test_a_seed_plays_the_same_way_each_time() -> None:
    first, second = (played("--seed", "5", *SMALL) for _ in range(2))
    assert first == second
    other = played("--seed", "6", *SMALL)
    assert first[0].split(";")[0][-16:] != other[0].split(";")[0][-16:]
