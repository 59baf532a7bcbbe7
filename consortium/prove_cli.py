"""`wharf prove`: a bundle from a running chain machine."""

import argparse
import asyncio
import sys
import time
from pathlib import Path
from typing import Any, Final

from consortium.client import OperatorClient
from consortium.config import OPERATOR_SOCKET_NAME
from consortium.errors import ChainUnavailableError, NotYetProvenError
from logistics.moments import MomentError, parse_moment

RETRY_S: Final = 1.0
PROVE_TIMEOUT_S: Final = 120.0
EXIT_USAGE: Final = 64
_EXAMPLES = """examples:
  wharf prove --sensor probe-1 --from 2h --to now --wait 60 -o trip.wharf --home ~/chain
  wharf prove --sensor probe-1/temperature --from 2026-11-23T08:00:00Z --to 2026-11-23T12:00:00Z
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `wharf prove`."""
    parser = commands.add_parser(
        "prove",
        help="write a proof bundle of a sensor's readings",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--sensor", required=True, help="device, or device/channel")
    parser.add_argument(
        "--from", dest="start", required=True, metavar="T1", help="moment, or 90m before now"
    )
    parser.add_argument("--to", dest="end", default="now", metavar="T2", help="default: now")
    parser.add_argument("-o", "--output", type=Path, default=Path("proof.wharf"))
    parser.add_argument(
        "--home", type=Path, default=Path("chain"), help="the chain machine's folder"
    )
    parser.add_argument(
        "--wait", type=int, default=0, metavar="S", help="wait so long for the anchor behind T2"
    )
    parser.set_defaults(run=_prove)


def _prove(arguments: argparse.Namespace) -> int:
    now_ms = time.time_ns() // 1_000_000
    try:
        start, end = parse_moment(arguments.start, now_ms), parse_moment(arguments.end, now_ms)
    except MomentError as error:
        return _usage(str(error))
    if start > end:
        return _usage(f"--from {arguments.start} is behind --to {arguments.end}; exchange them")
    device, _, channel = arguments.sensor.partition("/")
    socket = arguments.home / OPERATOR_SOCKET_NAME
    if not socket.exists():
        raise ChainUnavailableError(f"{socket}: not there; is `wharf chain run` running?")
    request = [device, channel or None, start, end]
    data = asyncio.run(_ask(socket, request, arguments.wait))
    arguments.output.write_bytes(data)
    sys.stderr.write(f"{arguments.output}: {len(data):,} bytes; check it with: wharf verify FILE\n")
    return 0


def _usage(text: str) -> int:
    sys.stderr.write(f"wharf prove: {text}\n")
    return EXIT_USAGE


async def _ask(socket: Path, request: list[Any], wait_s: int) -> bytes:
    deadline_s = time.monotonic() + wait_s
    async with OperatorClient(socket, timeout_s=PROVE_TIMEOUT_S) as client:
        while True:
            try:
                data: bytes = await client.call("Prove", *request)
            except NotYetProvenError:
                if time.monotonic() >= deadline_s:
                    raise
                await asyncio.sleep(RETRY_S)
            else:
                return data
