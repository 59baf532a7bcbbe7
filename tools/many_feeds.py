"""Many feeds at one machine: `python -m tools.many_feeds --feeds 10000`; figures of docs/scale.md.

Each feed is a gateway's, sealed by the real sealer and taken through the real mirror into one
store.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from ledger.gossip import HAVE, message
from ledger.mirror import accept_block, accept_head, anchor_item
from ledger.store import Store, Transaction
from tests.unit.ledger.feed_builder import FeedBuilder, X
from tests.unit.ledger.held_feed import parts_of


def taken(store: Store, builder: FeedBuilder) -> float:
    """Seconds in which a feed's blocks and head came into the store, each in its transaction."""
    begun = time.perf_counter()
    for block in builder.blocks:
        parts = parts_of(block)
        store.write(lambda txn, parts=parts: accept_block(txn, parts))  # type: ignore[misc]  # bound now
    head = builder.head().encode()
    store.write(lambda txn: accept_head(txn, head, lambda _: builder.key))
    return time.perf_counter() - begun


def main() -> int:
    """Prints one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--feeds", type=int, default=10_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="wharf-feeds-") as folder:
        store, seconds, offers, names = Store(Path(folder)), 0.0, 0, list[tuple[bytes, int]]()
        for number in range(chosen.feeds):
            builder = FeedBuilder(f"gateway {number}")
            builder.describe(X)
            builder.cut()
            seconds += taken(store, builder)
            names.append(builder.feed)
            offers += len(message(HAVE, *builder.feed, 1, 0))
        begun = time.perf_counter()

        def all_items(txn: Transaction) -> int:
            return sum(anchor_item(txn, name, None) is not None for name in names)

        items = store.read(all_items)
        row = {
            "feeds": chosen.feeds,
            "take_ms_a_feed": round(seconds * 1000 / chosen.feeds, 2),
            "anchor_round_s": round(time.perf_counter() - begun, 2),
            "anchor_items": items,
            "offer_bytes": offers,
            "store_bytes": store.used_bytes,
            "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
        store.close()
    print(json.dumps(row))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
