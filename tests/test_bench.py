"""The table's arithmetic: medians, ratios of samples taken in turn, verdicts, the JSON's shape."""

import json
from dataclasses import asdict

import pytest

from tools.bench.__main__ import exit_code, report
from tools.bench.alone import figure_from
from tools.bench.figure import (
    Figure,
    Goal,
    at_most,
    number,
    ratio_at_least,
    ratio_at_most,
    spread,
    table,
)


def figure(
    ours: tuple[float, ...] = (10.0, 30.0, 20.0),
    theirs: tuple[float, ...] = (5.0, 5.0, 40.0),
    goal: Goal | None = None,
) -> Figure:
    return Figure(
        name="readings", unit="per s", ours=ours, peer="another", theirs=theirs, goal=goal
    )


def test_a_ratio_is_of_samples_that_were_taken_in_turn() -> None:
    # The median of the quotients (2, 6, 0.5) is 2; the quotient of the medians would be 4.
    assert (2.0, 6.0, 0.5) == figure().ratios
    assert 2.0 == figure().to_value()["ratio"]["median"]


def test_samples_of_unequal_number_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        _ = figure(theirs=(1.0,)).ratios


@pytest.mark.parametrize(
    ("goal", "verdict"),
    [
        (None, "reported"),
        (ratio_at_least(2), "held"),
        (ratio_at_least(2.01), "not held"),
        (ratio_at_most(2), "held"),
        (ratio_at_most(1.99), "not held"),
        (at_most(20), "held"),
        (at_most(19.9), "not held"),
    ],
)
def test_the_median_decides_whether_a_goal_is_held(goal: Goal | None, verdict: str) -> None:
    assert verdict == figure(goal=goal).verdict


def test_one_good_sample_does_not_hold_a_goal() -> None:
    lucky = figure(ours=(1.0, 1.0, 9.0), theirs=(1.0, 1.0, 1.0), goal=ratio_at_least(5))
    assert "not held" == lucky.verdict


def test_a_figure_without_samples_is_never_held() -> None:
    missing = figure(ours=(), theirs=(), goal=at_most(1))
    assert "not measured" == missing.verdict
    assert missing.to_value()["ours"] is None


def test_the_table_has_one_line_a_figure_with_goal_and_verdict() -> None:
    missing = Figure(name="immudb", unit="", ours=(), peer="", theirs=(), note="install Go")
    lines = table([figure(goal=ratio_at_least(3)), missing]).splitlines()
    assert 4 == len(lines)
    cells = ["readings", "≥ 3 ×", "10 / **20** / 30 per s", "another: 5", "0.500 / **2** / 6 ×"]
    assert f"| {' | '.join(cells)} | not held |" == lines[2]
    assert "| immudb (install Go) |  |  |  |  | not measured |" == lines[3]
    assert 1 == len({line.count("|") for line in lines})


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1254, "0.125"), (1.256, "1.26"), (11.94, "11.9"), (600.0, "600"), (599.6, "600"),
        (12345.6, "12,346"), (5.0, "5"),
    ],
)  # fmt: skip  # pairs
def test_numbers_have_three_digits_that_count(value: float, text: str) -> None:
    assert text == number(value)


def test_samples_that_are_alike_are_said_once() -> None:
    assert "**7**" == spread((7.0, 7.0, 7.0))


def test_json_holds_machine_samples_and_counts() -> None:
    figures = [figure(goal=ratio_at_least(2)), figure(goal=at_most(1)), figure()]
    value = json.loads(json.dumps(report(figures, repeats=3, seconds=12.34)))
    assert {"machine", "repeats", "seconds", "figures", "counts"} == set(value)
    assert {"held": 1, "not held": 1, "reported": 1} == value["counts"]
    first = value["figures"][0]
    assert {"bound": 2, "side": "at least", "of": "ratio"} == first["goal"]
    assert {"min": 10.0, "median": 20.0, "max": 30.0, "samples": [10.0, 30.0, 20.0]} == first[
        "ours"
    ]


def test_the_exit_code_tells_missed_from_unmeasured() -> None:
    held, missed = figure(goal=ratio_at_least(2)), figure(goal=ratio_at_least(3))
    unmeasured = figure(ours=(), theirs=())
    assert 0 == exit_code([held, figure()])
    assert 1 == exit_code([held, missed])
    assert 2 == exit_code([held, missed, unmeasured])


def test_a_figure_survives_the_way_out_of_its_namespace() -> None:
    for sent in (figure(), figure(goal=ratio_at_most(0.125))):
        assert sent == figure_from(json.loads(json.dumps(asdict(sent))))
