"""A feed in this machine's store as evidence is gathered from it (`logistics.rules.gathering`)."""

from collections.abc import Sequence

from ledger.block import BlockHeader, RunHead
from ledger.entry import GTime, audience_of
from ledger.errors import UncheckableError
from ledger.feed_store import FeedName, get_run_head, need_header, node_reader
from ledger.merkle import NodeReader
from ledger.prove import KeyFor, OpenedRuns
from ledger.store import TREE_HEADERS, Transaction
from ledger.summary import Summary


class StoreSource:
    """Reads through the keys that this machine was granted; for one store transaction."""

    def __init__(
        self, txn: Transaction, feed: FeedName, *, slots: Sequence[int], key_for: KeyFor
    ) -> None:
        self._txn, self._feed = txn, feed
        self._audiences = sorted({audience_of(slot) for slot in slots})
        self._runs = OpenedRuns(txn, feed, key_for)

    def header(self, height: int) -> BlockHeader:
        """A block's header."""
        return need_header(self._txn, self._feed, height)

    def run_head(self, height: int, audience: int) -> RunHead | None:
        """A run's head, None where the block has none of the audience."""
        return get_run_head(self._txn, self._feed, height=height, audience=audience)

    def summary(self, height: int, slot: int) -> tuple[Summary, GTime] | None:
        """A slot's summary in a block and its time, None where the slot is not in it."""
        if self.run_head(height, audience_of(slot)) is None:
            return None
        run = self._runs.open(height, audience_of(slot))
        if slot not in run.summaries:
            return None
        return run.summaries[slot], run.entries[run.head.summary_index(slot) - run.head.first].time

    def leaf(self, index: int) -> bytes:
        """A leaf of a slot's own audience; raises UncheckableError where it cannot be opened."""
        for audience in self._audiences:
            try:
                return self._runs.leaf(index)
            except UncheckableError:
                self._runs.open_at(index, audience)
        return self._runs.leaf(index)

    @property
    def leaf_node(self) -> NodeReader:
        """Reads the leaf tree."""
        return self._runs.read

    @property
    def header_node(self) -> NodeReader:
        """Reads the header tree."""
        return node_reader(self._txn, self._feed, TREE_HEADERS)
