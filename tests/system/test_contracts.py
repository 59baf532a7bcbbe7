"""A contract between two organisations, from the shipped template to a verdict that each machine
draws, on a real gateway's sealed blocks.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fakes.publisher import Publisher
from tests.fakes.yard import Device, Yard, run_wharf, until, wharf_result

DEVICE, CONSIGNMENT = "fridge-1", "00112233445566778899aabbccddeeff"
CARRIER, SHIPPER = "Cold Store Ltd", "Shipper plc"
RATE_HZ = 20
CONTRACT = """
version = 1
cap = 100_000
gap_ms = 5_000
missing_ms_max = 2_000
window_ms = 1_000
clock_min = 1

[prose.en]
title = "Short trip, up to 4 °C"
text = "Nothing warmer than 4 °C for longer than half a second."

[prose.zh]
title = "短途，不超过 4 °C"
text = "高于 4 °C 不超过半秒。"

[[fact]]
name = "warm_ms"
operator = "above-longest"
limit = 4_000

[[clause]]
number = "1"
condition = "warm_ms <= 500"
en = "Half a second above 4 °C at most."
zh = "高于 4 °C 最多半秒。"
[clause.charge]
fact = "warm_ms"
fixed = 25_000
"""


def iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """A finished trip, its contract registered and its consignment bound."""

    folder: Path
    home: Path
    carrier: tuple[str, ...]
    shipper: tuple[str, ...]
    span: tuple[str, ...]


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture(scope="module")
def agreed(yard: Yard) -> Agreed:
    box = yard.add_gateway(
        "gateway", [Device(DEVICE, "zigbee2mqtt", f"mqtt:zigbee2mqtt/{DEVICE}", interval_s=1)]
    )
    home, keys = yard.machine.home, yard.machine.keys
    run_wharf("chain", "admit", SHIPPER, "--home", str(home), "--party-key", str(keys / "s.pem"))
    carrier = ("--party", CARRIER, "--party-key", str(keys / f"{CARRIER}.pem"))
    shipper = ("--party", SHIPPER, "--party-key", str(keys / "s.pem"))
    text, paper = yard.folder / "trip.toml", yard.folder / "trip.paper"
    text.write_text(CONTRACT, encoding="utf-8")
    run_wharf(
        "contract", "draft", str(text), "--home", str(home), "-o", str(paper),
        "--party", f"{CARRIER}=carrier", "--party", f"{SHIPPER}=shipper",
    )  # fmt: skip  # a command line
    for party in (carrier, shipper):
        run_wharf("contract", "sign", str(paper), *party)
    run_wharf("contract", "register", str(paper), "--home", str(home), *carrier)
    # From 3.96 °C up, a thousandth a reading: after two seconds it is too warm.
    publisher = Publisher(
        yard.broker.port, f"zigbee2mqtt/{DEVICE}", rate_hz=RATE_HZ, first_milli=3_960
    )
    try:
        box.until(lambda r: r["anchored_height"] >= 3, "the first blocks")
        begin_ms = now_ms()
        first = box.status()["anchored_height"]
        box.until(lambda r: r["anchored_height"] >= first + 3, "three more anchors")
        span = ("--from", iso(begin_ms), "--to", iso(now_ms()), "--device", DEVICE)
    finally:
        publisher.finish()
    bound = yard.folder / "bind.paper"
    run_wharf(
        "contract", "bind", str(paper), "--consignment", CONSIGNMENT, "--home", str(home),
        "-o", str(bound), *span,
    )  # fmt: skip  # a command line
    for party in (shipper, carrier):
        run_wharf("contract", "sign", str(bound), *party)
    run_wharf("contract", "register", str(bound), "--home", str(home), *shipper)
    box.settle()
    return Agreed(folder=yard.folder, home=home, carrier=carrier, shipper=shipper, span=span)


def contract(made: Agreed) -> str:
    return str(made.folder / "trip.paper")


def test_a_dry_run_tells_the_verdict_before_anybody_signs(agreed: Agreed) -> None:
    command = ("contract", "dry-run", contract(agreed), *agreed.span, "--home", str(agreed.home))
    told = json.loads(run_wharf(*command, "--json"))
    assert told["outcome"] == "broken", told
    assert told["facts"]["warm_ms"] > 500
    assert told["amount"] == 25_000
    text = run_wharf(*command, "--language", "zh")
    assert "已违约" in text
    assert DEVICE in text


def test_the_validators_draw_the_same_verdict_and_say_who_reads_what(agreed: Agreed) -> None:
    command = ("contract", "dry-run", contract(agreed), *agreed.span, "--home", str(agreed.home))
    dry = json.loads(run_wharf(*command, "--consignment", CONSIGNMENT, "--json"))
    at_home = ("--home", str(agreed.home))
    papers = ("--contract", contract(agreed), *at_home)
    refused = wharf_result("contract", "dispute", CONSIGNMENT, *papers, *agreed.shipper)
    assert refused.returncode != 0, "nobody was there to say yes"
    told = run_wharf("contract", "dispute", CONSIGNMENT, *papers, *agreed.shipper, "--yes")
    assert "Every organisation of this chain will be able to read" in told
    drawn = json.loads(run_wharf("contract", "verdict", CONSIGNMENT, *papers, "--json"))
    assert drawn == dry
    words = run_wharf("contract", "explain", CONSIGNMENT, *papers, "--for", "judge")
    assert "BROKEN: Short trip" in words
    assert dry["digest"] in words
    until(
        lambda: (
            wharf_result("contract", "settle", CONSIGNMENT, *at_home, *agreed.carrier).returncode
            == 0
        ),
        "the window's end",
    )
    assert run_wharf("contract", "verdict", CONSIGNMENT, *papers).startswith("final")


def test_a_mistake_names_field_and_mend(agreed: Agreed, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(CONTRACT.replace("warm_ms <= 500", "warm <= 1.5"), encoding="utf-8")
    result = wharf_result("contract", "check", str(wrong))
    assert result.returncode == 1
    assert "floating-point literal" in result.stderr
    assert "Traceback" not in result.stderr
