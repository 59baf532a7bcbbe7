"""A feed of the published sensors in a store, for what is measured of blocks that stand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ledger.block import Block
from ledger.frontier import Frontier
from ledger.head import Head
from tools.bench.durable import OwnFiles
from tools.bench.load import SENSORS, Line, Sensors
from tools.bench.path import LedgerPath

GROUP = 1000


@dataclass(frozen=True, slots=True)
class SealedFeed:
    """A store with so many whole blocks, and the path that made it."""

    durable: OwnFiles
    path: LedgerPath
    before: Frontier  # the leaf tree without the newest block

    @property
    def name(self) -> tuple[bytes, int]:
        """The feed's name and epoch."""
        return self.path.state.feed_id, self.path.state.epoch

    @property
    def block(self) -> Block:
        """The newest block."""
        return self.path.cuts[-1].block

    @property
    def head(self) -> Head:
        """The newest head."""
        assert self.path.head is not None
        return self.path.head

    def close(self) -> None:
        """Lets go of the files."""
        self.path.close()
        self.durable.close()


def sealed_feed(folder: Path, *, blocks: int, block_readings: int) -> SealedFeed:
    """A feed of whole blocks behind a first one that opens the slots."""
    durable = OwnFiles(folder)
    path = LedgerPath(durable, Line(Sensors()), block_entries=1 << 62)
    path.open_slots(SENSORS)
    before = path.state.leaves
    for _ in range(blocks):
        before = path.state.leaves
        for at in range(0, block_readings, GROUP):
            path.group(path.line.take(min(GROUP, block_readings - at)))
        path.seal()
    return SealedFeed(durable, path, before)
