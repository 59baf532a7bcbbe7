"""`wharf export`: this box's backlog, and what it carries for others, in a file for a USB stick."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from gateway.config import read_config
from gateway.errors import RunningError
from gateway.identity import get_identity
from ledger.carry_file import write_carried
from ledger.feed_store import FeedName, feed_prefix, pruned_below
from ledger.store import Store, Transaction, is_in_use
from ledger.store_exchange import StoreSource

HEIGHT_BYTES: Final = 8
_EXAMPLES = """examples:
  wharf export /media/stick/truck-7.carry --config gateway.toml
  wharf export /media/stick/all.carry --all        every block that this box still holds
  wharf import /media/stick/truck-7.carry --home chain      at any machine of the consortium

An export that is interrupted leaves FILE.part; the same command goes on behind its last whole
block.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `wharf export`."""
    parser = commands.add_parser(
        "export",
        help="write the backlog of this box to a file that anybody may carry",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--config", type=Path, default=Path("gateway.toml"))
    parser.add_argument("--all", action="store_true", help="what is anchored already, too")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_export)


def _export(arguments: argparse.Namespace) -> int:
    config = read_config(arguments.config)
    if is_in_use(config.data_dir / "store"):
        raise RunningError("the gateway runs; stop it for the export: nothing is lost meanwhile")
    store = Store(config.data_dir / "store")
    try:
        feed = (store.read(get_identity).feed_id, 0)
        first = store.read(lambda txn: first_owed(txn, feed, everything=arguments.all))
        written = write_carried(arguments.file, StoreSource(store), first={feed: first})
    finally:
        store.close()
    row = {
        "file": str(arguments.file),
        "feed": feed[0].hex(),
        "first_height": first,
        "blocks": written.blocks,
        "bytes": written.size_bytes,
        "went_on": written.went_on,
    }
    sys.stdout.write(_text(row, as_json=arguments.json))
    return 0


def _text(row: dict[str, Any], *, as_json: bool) -> str:
    if as_json:
        return json.dumps(row) + "\n"
    return f"{row['blocks']} blocks from height {row['first_height']} on, {row['bytes']} bytes\n"


def first_owed(txn: Transaction, feed: FeedName, *, everything: bool) -> int:
    """The first height that nobody has anchored as far as this box knows, or that it holds."""
    held = pruned_below(txn, feed)
    found = txn.last("anchors", feed_prefix(feed))
    if everything or found is None:
        return held
    # Receipts stand by the height that they anchor.
    return max(held, int.from_bytes(found[0][-HEIGHT_BYTES:], "big") + 1)
