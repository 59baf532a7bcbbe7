"""`wharf site`: an organisation's gateways from its own desk."""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from consortium.client import OperatorClient
from consortium.config import OPERATOR_SOCKET_NAME
from consortium.configurations import newest_version, publish
from consortium.errors import ConsortiumError
from consortium.file_keys import FileSigner, read_key
from consortium.membership import machine_client
from gateway.config import check_sendable
from gateway.site_status import site_row, site_table
from ledger.chain_genesis import party_id_of
from ledger.errors import LedgerError

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 64
FEED_ID_BYTES: Final = 16
_EXAMPLES = """examples:
  wharf site push cold-room.toml --feed 9f2c... --home ~/chain --party "Cold Store Ltd" \\
      --party-key cold-store.pem
  wharf site push cold-room.toml --feed 9f2c... --home ~/chain --check-only
  wharf site show --feed 9f2c... --home ~/chain
  wharf site status --home ~/chain
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `wharf site`."""
    parser = commands.add_parser(
        "site",
        help="configure your organisation's gateways",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    words = parser.add_subparsers(required=True, metavar="WORD")
    push = words.add_parser("push", help="give a gateway its next configuration")
    push.add_argument("file", type=Path, help="TOML: [[device]], [[audience]], [seal], [broker]")
    _add_machine(push)
    push.add_argument("--party", metavar="NAME", help="your organisation, as it was admitted")
    push.add_argument("--party-key", type=Path, metavar="FILE", help="its key")
    push.add_argument("--check-only", action="store_true", help="read the file, send nothing")
    push.set_defaults(run=_push)
    status = words.add_parser("status", help="how all gateways are, as a chain machine sees them")
    status.add_argument("--home", required=True, type=Path, help="the chain machine's folder")
    status.add_argument("--json", action="store_true", help="print JSON")
    status.set_defaults(run=_status)
    show = words.add_parser("show", help="which configuration the chain holds for a gateway")
    _add_machine(show)
    show.set_defaults(run=_show)


def _add_machine(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--feed", required=True, type=_feed, metavar="HEX", help="the gateway")
    parser.add_argument("--home", required=True, type=Path, help="the chain machine's folder")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _feed(text: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if len(data) != FEED_ID_BYTES:
        raise argparse.ArgumentTypeError("a feed id has 32 hexadecimal digits")
    return data


def _guarded(arguments: argparse.Namespace, call: Coroutine[Any, Any, dict[str, Any]]) -> int:
    try:
        values = asyncio.run(call)
    except (ConsortiumError, LedgerError) as error:
        sys.stderr.write(f"wharf site: {error}\n")
        return EXIT_FAILED
    if arguments.json:
        sys.stdout.write(json.dumps(values) + "\n")
    else:
        sys.stdout.write("".join(f"{name:10}{value}\n" for name, value in values.items()))
    return EXIT_OK


def _push(arguments: argparse.Namespace) -> int:
    text = check_sendable(arguments.file)
    if arguments.check_only:
        sys.stdout.write(f"{arguments.file}: can be sent\n")
        return EXIT_OK
    if not arguments.party or not arguments.party_key:
        sys.stderr.write("wharf site push: --party and --party-key say who sends it\n")
        return EXIT_USAGE
    return _guarded(arguments, _publish(arguments, text))


async def _publish(arguments: argparse.Namespace, text: bytes) -> dict[str, Any]:
    signer = FileSigner(read_key(arguments.party_key))
    async with machine_client(arguments.home) as (client, genesis_sha256):
        version = await publish(
            client,
            signer,
            party_id=party_id_of(arguments.party, signer.alg, signer.public_key_der()),
            feed_id=arguments.feed,
            text=text,
            genesis_sha256=genesis_sha256,
            nonce=os.urandom(16),
        )
    return {"feed": arguments.feed.hex(), "version": version}


def _status(arguments: argparse.Namespace) -> int:
    try:
        values = asyncio.run(_site(arguments.home))
    except (ConsortiumError, LedgerError) as error:
        sys.stderr.write(f"wharf site: {error}; is `wharf chain run` running?\n")
        return EXIT_FAILED
    rows = [site_row(value, now_ms=time.time_ns() // 1_000_000) for value in values]
    text = json.dumps({"gateways": rows}) if arguments.json else site_table(rows)
    sys.stdout.write(text + "\n")
    return EXIT_OK


async def _site(home: Path) -> list[list[Any]]:
    async with OperatorClient(home / OPERATOR_SOCKET_NAME) as client:
        rows: list[list[Any]] = await client.call("Site")
        return rows


def _show(arguments: argparse.Namespace) -> int:
    return _guarded(arguments, _newest(arguments))


async def _newest(arguments: argparse.Namespace) -> dict[str, Any]:
    async with machine_client(arguments.home) as (client, genesis_sha256):
        found = await newest_version(client, arguments.feed, genesis_sha256=genesis_sha256)
    version, digest = found or (0, b"")
    return {"feed": arguments.feed.hex(), "version": version, "sha256": digest.hex() or None}
