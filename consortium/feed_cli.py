"""`wharf chain feed`: epochs and conflicts of gateways' feeds."""

import argparse
from pathlib import Path
from typing import Any, Final

from consortium import feed_life
from consortium.errors import MalformedError
from consortium.life import hex_bytes
from consortium.life_cli import Guard, SocketDesk, add_word, done, group_of, list_of

EXAMPLES: Final = """examples:
  wharf chain feed conflicts --home ~/chain
  wharf chain feed report --home ~/chain 0102030405060708090a0b0c0d0e0f10 heads conflict.bin
  wharf chain feed next-epoch --home ~/chain 0102030405060708090a0b0c0d0e0f10 last.head
  wharf chain feed epochs --home ~/chain --json
"""
FILE_BYTES_MAX: Final = 64 << 20


def add_words(words: Any, guard: Guard) -> None:
    """Adds `feed` to `wharf chain`; `guard` makes errors one line and an exit code."""
    feed = group_of(words, "feed", "epochs and conflicts of gateways' feeds", examples=EXAMPLES)
    add_word(
        feed, "conflicts", "every feed that is frozen", run=guard(list_of(feed_life.conflicts))
    )
    add_word(
        feed, "epochs", "every epoch that an owner opened", run=guard(list_of(feed_life.epochs))
    )
    told = add_word(
        feed, "report", "report evidence of a conflict, which freezes", run=guard(_report)
    )
    told.add_argument("feed", metavar="FEED", help="32 hex digits")
    told.add_argument("form", choices=list(feed_life.FORMS), help="see docs/formats/chain.md")
    told.add_argument("evidence", type=Path, metavar="FILE")
    made = add_word(
        feed, "next-epoch", "let your own feed go on after a conflict", run=guard(_open)
    )
    made.add_argument("feed", metavar="FEED", help="32 hex digits")
    made.add_argument("head", type=Path, metavar="HEAD-FILE", help="one that was anchored")
    made.add_argument(
        "--witnessed-size", type=int, metavar="N",
        help="the highest size anybody saw (default: what the chain knows)",
    )  # fmt: skip  # one option


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(FILE_BYTES_MAX)
    except OSError as error:
        raise MalformedError(f"{path}: {error.strerror}") from error


def _report(args: argparse.Namespace) -> int:
    feed_id, evidence = hex_bytes(args.feed, "feed", 16), _bytes_of(args.evidence)
    tx_id = feed_life.report(SocketDesk(args.home), feed_id, form=args.form, evidence=evidence)
    return done(args, "reported", tx_id)


def _open(args: argparse.Namespace) -> int:
    tx_id = feed_life.open_epoch(
        SocketDesk(args.home),
        hex_bytes(args.feed, "feed", 16),
        last_head=_bytes_of(args.head),
        witnessed_size=args.witnessed_size,
    )
    return done(args, "opened", tx_id)
