"""`wharf import`: takes a carried file into a running machine of the consortium."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from consortium.client import OperatorClient
from consortium.config import OPERATOR_SOCKET_NAME
from consortium.deliveries import SESSION_BYTES
from consortium.errors import ChainUnavailableError
from ledger.carry_file import CarriedFeeds
from ledger.gossip import FeedSender

CALL_BYTES_MAX: Final = 512 << 10
TIMEOUT_S: Final = 120.0
EXIT_PARTLY: Final = 1
_EXAMPLES = """examples:
  wharf import /media/stick/truck-7.carry --home chain
  wharf import /media/stick/truck-7.carry --home chain --json

Interrupted, the same command goes on: the machine asks for what it does not hold. Exit 1: something
of the file was not taken, and the line says why.
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `wharf import`."""
    parser = commands.add_parser(
        "import",
        help="take a file of `wharf export` into a running chain machine",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--home", type=Path, default=Path("chain"), metavar="DIR")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=_import)


def _import(arguments: argparse.Namespace) -> int:
    carried = CarriedFeeds(arguments.file)
    socket = arguments.home / OPERATOR_SOCKET_NAME
    if not socket.exists():
        raise ChainUnavailableError(f"{socket}: not there; is `wharf chain run` running?")
    rows = asyncio.run(_delivered(carried, socket))
    if arguments.json:
        sys.stdout.write(json.dumps(rows) + "\n")
    else:
        for row in rows:
            text = row["why"] or "all of the file"
            held = f"{row['held']} blocks held, of {row['offered']}"
            sys.stdout.write(f"{row['feed'][:8]}  {held}: {text}\n")
    return EXIT_PARTLY if any(row["why"] for row in rows) else 0


async def _delivered(carried: CarriedFeeds, socket: Path) -> list[dict[str, Any]]:
    sender, session = FeedSender(carried), os.urandom(SESSION_BYTES)
    async with OperatorClient(socket, timeout_s=TIMEOUT_S) as client:
        while batch := sender.outgoing():
            for part in _parts(batch):
                for answer in await client.call("Deliver", session, part):
                    sender.receive(answer)
    refused = {feed_id: text for feed_id, _, text in sender.refusals}
    return [_row(carried, sender, row, refused.get(row[0], "")) for row in carried.feeds()]


def _row(
    carried: CarriedFeeds, sender: FeedSender, row: tuple[bytes, int, int, int], refused: str
) -> dict[str, Any]:
    feed_id, epoch, blocks, _ = row
    held, head = sender.held_by_peer.get((feed_id, epoch), (0, -1))
    why = refused
    if not why and held < blocks:
        why = f"blocks {held} to {carried.first((feed_id, epoch)) - 1} are missing before the file"
    return {"feed": feed_id.hex(), "held": held, "head": head, "offered": blocks, "why": why}


def _parts(messages: list[bytes]) -> Iterator[list[bytes]]:
    """The messages in calls of a bounded size."""
    part: list[bytes] = []
    for message in messages:
        if part and sum(map(len, part)) + len(message) > CALL_BYTES_MAX:
            yield part
            part = []
        part.append(message)
    yield part
