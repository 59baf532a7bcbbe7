"""docs/formats/contract.md, held: its example is what the code makes, its tables are the code's."""

from __future__ import annotations

import re
from pathlib import Path

from logistics.rules.contract import decode_core, decode_money, decode_prose
from logistics.rules.drafting import draft_of
from logistics.rules.facts import OPERATORS, Case, Interval
from logistics.rules.money import Rounding
from logistics.rules.traces import Measured, Trace
from logistics.rules.verdict import Problem, decode_verdict, judge

PAGE = (Path(__file__).parents[4] / "docs" / "formats" / "contract.md").read_text()
EXAMPLES = {
    name: bytes.fromhex(text)
    for name, text in re.findall(r"```hex ([\w-]+)\n([0-9a-f\s]+)```", PAGE)
}
START_MS = 1_780_876_800_000
TEXT = """
version = 1
cap = 5_000

[prose.en]
title = "Cold"
text = "Never above 4 °C for longer than half an hour."

[prose.zh]
title = "冷藏"
text = "高于 4 °C 不超过半小时。"

[[fact]]
name = "warm_ms"
operator = "above-longest"
limit = 4_000

[[clause]]
number = "1"
condition = "warm_ms <= 1800000"
en = "Half an hour at most."
zh = "最多半小时。"
[clause.charge]
fact = "warm_ms"
free = 1_800_000
unit = 3_600_000
rate = 1_000
rounding = "begun"
"""


def example() -> dict[str, bytes]:
    """What the page shows, by name."""
    salts = iter([b"\xaa" * 16, b"\xbb" * 16])
    parties = [(b"\x01" * 16, "carrier"), (b"\x02" * 16, "shipper")]
    made = draft_of(TEXT, fresh_salt=lambda: next(salts), parties=parties)
    trace = Trace(
        device_id="probe-1",
        channel="temperature",
        quantity="temperature",
        seq_by="sensor",
        calibration=None,
        interval_ms=60_000,
        pieces=tuple(
            Measured(START_MS + n * 60_000, 6_500 if 60 <= n < 105 else 2_000) for n in range(120)
        ),
    )
    interval = Interval(from_ms=START_MS, to_ms=START_MS + 7_200_000, gap_ms=made.core.gap_ms)
    verdict = judge(
        made.core, made.money, Case(interval=interval, traces=(trace,)), consignment_id=b"\x03" * 16
    )
    return {
        "core": made.core.encode(),
        "contract-id": made.core.id,
        "money": made.money.encode(),
        "prose": made.prose.encode(),
        "verdict": verdict.encode(),
        "verdict-digest": verdict.digest,
    }


def test_the_worked_example_is_what_the_code_makes() -> None:
    assert example() == EXAMPLES


def test_the_worked_example_reads_back_as_what_is_written() -> None:
    core = decode_core(EXAMPLES["core"])
    assert core.id == EXAMPLES["contract-id"]
    assert decode_money(EXAMPLES["money"], core).cap == 5_000
    assert decode_prose(EXAMPLES["prose"], core).title("zh") == "冷藏"
    verdict = decode_verdict(EXAMPLES["verdict"])
    assert (verdict.amount, verdict.facts) == (1_000, (("warm_ms", 2_700_000, 2_700_000),))


def test_every_operator_rounding_and_problem_stands_on_the_page() -> None:
    for name in OPERATORS:
        assert name in PAGE
    for rounding in Rounding:
        assert f"`{rounding}`" in PAGE
    numbers = PAGE[PAGE.index("Problems: 1 unopened") :].partition("\n\n")[0]
    found = {int(text) for text in re.findall(r"\b(\d+)\s", numbers)}
    assert found == set(Problem)
