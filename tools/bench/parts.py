"""The parts of `make bench`: one line each. A part is a module with `measure(session)`.

To add one: write `tools/bench/NAME.py` with

    def measure(session: Session) -> list[Figure]: ...

and name it here. It may raise BenchError with what to do; the other parts are measured then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from tools.bench.figure import Figure
from tools.bench.session import Session


@dataclass(frozen=True, slots=True)
class Part:
    """A module of this folder, and what it measures; `alone`: in a network of its own."""

    name: str
    purpose: str
    alone: bool = False

    def measure(self, session: Session) -> list[Figure]:
        """The part's figures. Raises BenchError."""
        module = import_module(f"tools.bench.{self.name}")
        measure = cast("Callable[[Session], list[Figure]]", module.measure)
        return measure(session)


PARTS = (
    Part("end_to_end", "the whole way of a reading, beside thingsboard-gateway", alone=True),
    Part("mqtt_receive", "taking messages from a broker, beside paho"),
    Part("ingest", "groups of 1000 to a signed block, beside immudb and raw LMDB"),
    Part("slow_disk", "the same work with 5 ms more a sync, beside SQLite"),
    Part("written", "bytes written in groups of 10, beside SQLite"),
    Part("stored", "bytes that a reading takes for ever, beside what came in"),
    Part("judging", "a verdict on three weeks of twenty probes, beside hashing its evidence"),
    Part("verifying", "a block and a proof checked, beside single signatures"),
    Part(
        "chain",
        "four validators: transactions, heads, latency and proofs, beside CometBFT's kvstore",
    ),
    Part("sync", "a backlog into a mirror, beside a plain stream of the same bytes"),
    Part("pages", "a month drawn, a live reading, 200 watching browsers"),
    Part("paths", "small paths of the ledger, beside what they cannot do without"),
)
