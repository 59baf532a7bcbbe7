"""`wharf chain` with CometBFT: install it, found a chain together, run the pair, a network."""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from consortium.errors import ConfigError
from ledger.signing import kid_of

if TYPE_CHECKING:
    from consortium.comet.founding import Card

WHARF: Final = (
    sys.executable, "-c", "import sys; from ledger.cli import main; sys.exit(main())",
)  # fmt: skip  # the program that runs now, wherever it is installed
EXIT_OK: Final = 0
LOCAL_PORT: Final = 7_421
PORTS_EACH: Final = 2
LOCAL_MAX: Final = 16
PORT_MAX: Final = 65_535

Add = Callable[..., Any]
Print = Callable[[argparse.Namespace, dict[str, Any]], None]


def install(args: argparse.Namespace, show: Print) -> int:
    """Builds the engine unless it is there; prints what is installed."""
    from consortium.comet.install import install as build

    installed = build(lambda line: print(line, file=sys.stderr))
    values = {
        "version": installed.version,
        "path": str(installed.path),
        "sha256": installed.sha256,
    }
    show(args, values)
    return EXIT_OK


def local_places(count: int, first_port: int) -> list[Any]:
    """Two ports on loopback for each organisation: gateways, then validators."""
    from consortium.comet.founding import Places

    if not 1 < count <= LOCAL_MAX:
        raise ConfigError(f"a local network has 2 to {LOCAL_MAX} organisations, not {count}")
    if not 0 < first_port <= PORT_MAX - PORTS_EACH * count:
        raise ConfigError(f"ports from {first_port} on are not all between 1 and {PORT_MAX}")
    starts = range(first_port, first_port + PORTS_EACH * count, PORTS_EACH)
    return [Places(server=f"127.0.0.1:{p}", node=f"127.0.0.1:{p + 1}") for p in starts]


def init_localnet(args: argparse.Namespace, show: Print) -> int:
    """Founds a whole network below one folder."""
    from consortium.comet.founding import make_localnet

    genesis, homes = make_localnet(
        args.home,
        args.localnet,
        chain_id=args.chain_id,
        places=local_places(args.localnet, args.first_port),
        now=datetime.now(UTC),
    )
    values = {
        "chain_id": args.chain_id,
        "genesis_sha256": genesis.digest.hex(),
        "homes": [str(home) for home in homes],
    }
    show(args, values)
    return EXIT_OK


def init_founder(args: argparse.Namespace, show: Print) -> int:
    """Makes one founder's keys and card."""
    from consortium.comet.founding import CARD_NAME, Places, make_founder

    card = make_founder(
        args.home,
        chain_id=args.chain_id,
        party=args.party,
        places=Places(server=args.listen, node=args.node, external=args.external),
        now=datetime.now(UTC),
        legal_id=tuple(args.legal_id),
    )
    values = {
        "chain_id": card.chain_id,
        "legal_id": card.legal_id,
        "card": str(args.home / CARD_NAME),
        "node": card.peer,
        "certificate_sha256": card.certificate_sha256,
    }
    show(args, values)
    return EXIT_OK


def found(args: argparse.Namespace, show: Print) -> int:
    """Makes the genesis document of all cards."""
    from consortium.comet.founding import found as write_genesis
    from consortium.comet.founding import read_card, votes_for

    cards = [read_card(path) for path in args.cards]
    try:
        day = datetime.fromisoformat(args.date).replace(tzinfo=UTC)
    except ValueError as error:
        raise ConfigError(f"--date {args.date!r} is not a day like 2026-11-24") from error
    genesis = write_genesis(
        args.home,
        cards,
        time_ms=int(day.timestamp() * 1000),
        votes=args.votes or votes_for(len(cards)),
    )
    values = {
        "chain_id": genesis.chain_id,
        "genesis_sha256": genesis.digest.hex(),
        "organisations": _founders(args, cards),
        "votes_to_admit": genesis.admission_votes_min,
    }
    show(args, values)
    return EXIT_OK


def _founders(args: argparse.Namespace, cards: Sequence["Card"]) -> object:
    """Who founds the chain, in one order everywhere: for programs, or for people to read out."""
    rows = [
        {
            "name": card.party,
            "legal_id": card.legal_id,
            "key": kid_of(bytes.fromhex(card.spki)).hex(),
        }
        for card in sorted(cards, key=lambda card: card.spki)
    ]
    if args.json:
        return rows
    return "".join(
        f"\n  {row['name']}, {row['legal_id'] or 'no legal id'}, key {row['key'][:16]}"
        for row in rows
    )


def run_pair(args: argparse.Namespace) -> int:
    """Supervises node and application until SIGTERM or Ctrl-C."""
    from consortium.comet.files import NODE_FOLDER, RPC_SOCKET_NAME, write_node_files
    from consortium.comet.install import find_installed
    from consortium.comet.pair import Commands, Pair
    from consortium.compose import lock_home, read_genesis
    from consortium.config import PAIR_LOCK_NAME, read_config

    config = read_config(args.home)
    genesis, engine = read_genesis(args.home), find_installed()
    lock = lock_home(args.home, PAIR_LOCK_NAME)

    def prepare() -> None:
        (args.home / RPC_SOCKET_NAME).unlink(missing_ok=True)
        write_node_files(config, genesis)

    listen = ["--listen", args.listen] if args.listen else []
    home = str(args.home)
    pair = Pair(
        Commands(
            application=[*WHARF, "chain", "application", "--home", home, *listen],
            node=[str(engine.path), "node", "--home", str(args.home / NODE_FOLDER)],
            prepare=prepare,
        ),
        progress=lambda: _progress(args.home),
        mono_s=time.monotonic,
        say=lambda line: print(line, flush=True),
    )
    try:
        asyncio.run(_until_signal(pair.run))
    finally:
        os.close(lock)
    return EXIT_OK


async def _progress(home: Path) -> tuple[int, int]:
    from consortium.client import OperatorClient
    from consortium.config import OPERATOR_SOCKET_NAME
    from consortium.wire import status_from_value

    async with OperatorClient(home / OPERATOR_SOCKET_NAME) as client:
        status = status_from_value(await client.call("Status"))
    return status.height, status.waiting


async def _until_signal(work: Callable[[asyncio.Event], Any]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await work(stop)


def stop_with_parent(stop: asyncio.Event) -> None:
    """Sets `stop` when standard input ends: the supervisor that held it is gone."""

    def readable() -> None:
        if not os.read(sys.stdin.fileno(), 1):
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
            stop.set()

    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), readable)


def localnet(args: argparse.Namespace) -> int:
    """Founds a local network if there is none, and runs it until Ctrl-C."""
    from consortium.comet.founding import make_localnet
    from consortium.comet.install import install as build

    build(lambda line: print(line, file=sys.stderr))
    homes = sorted(args.home.glob("organisation*"))
    if not homes:
        places = local_places(args.organisations, args.first_port)
        now = datetime.now(UTC)
        _, homes = make_localnet(
            args.home, args.organisations, chain_id=args.chain_id, places=places, now=now
        )
    asyncio.run(_until_signal(lambda stop: _run_all(homes, stop)))
    return EXIT_OK


async def _run_all(homes: Sequence[Path], stop: asyncio.Event) -> None:
    """One supervisor for each home, each in its own session: Ctrl-C reaches them through us."""
    command = [*WHARF, "chain", "run", "--engine", "cometbft", "--home"]
    running = [
        await asyncio.create_subprocess_exec(*command, str(home), start_new_session=True)
        for home in homes
    ]
    stopping = asyncio.create_task(stop.wait())
    ends = [asyncio.create_task(process.wait()) for process in running]
    print("stop with Ctrl-C; look with: wharf chain status --home", homes[0], flush=True)
    try:
        await asyncio.wait([stopping, *ends], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        for process in running:
            if process.returncode is None:
                process.terminate()
        await asyncio.gather(*ends)


def backup(args: argparse.Namespace, show: Print) -> int:
    """Writes keys and configuration into one file."""
    from consortium.comet.backup import backup as write_backup

    show(args, {"backup": str(args.output), "files": write_backup(args.home, args.output)})
    return EXIT_OK


def restore(args: argparse.Namespace, show: Print) -> int:
    """Makes a new folder from a backup."""
    from consortium.comet.backup import restore as read_backup

    guard = read_backup(args.backup, args.home, network_height=args.height)
    show(args, {"home": str(args.home), "signs_only_after_height": guard})
    return EXIT_OK


def verify(args: argparse.Namespace, show: Print) -> int:
    """Reads the whole state of a machine that does not run, and recomputes every hash of it."""
    from consortium.compose import lock_home, read_genesis
    from consortium.state_store import StateStore

    genesis, lock = read_genesis(args.home), lock_home(args.home)
    store = StateStore(args.home, genesis.digest)
    try:
        loaded = store.load()
        if loaded is None:
            raise ConfigError(f"{args.home}: no state yet; `wharf chain run` makes it")
        height, state = loaded
        values = {
            "height": height,
            "app_hash": state.roots.app_hash.hex(),
            "entries": store.verify(),
            "log_size": state.log.size,
        }
    finally:
        store.close()
        os.close(lock)
    show(args, values)
    return EXIT_OK


def add_words(words: Any, *, add: Add, guarded: Callable[..., Any], show: Print) -> None:
    """The words of a chain of several organisations that need no running machine."""
    made = words.add_parser("install", help="build the pinned CometBFT for this user")
    made.add_argument("--json", action="store_true", help="print JSON")
    made.set_defaults(run=guarded(lambda args: install(args, show)))
    founding = add(
        words, "found", "make the genesis document of all founders' cards",
        lambda args: found(args, show),
    )  # fmt: skip  # one word
    founding.add_argument("cards", nargs="+", type=Path, metavar="CARD", help="each founder's card")
    founding.add_argument("--date", required=True, metavar="DAY", help="the chain's first day, UTC")
    founding.add_argument(
        "--votes", type=int, metavar="N", help="yes votes to admit (default: more than 2/3)"
    )
    local = add(words, "localnet", "found and run a local network until Ctrl-C", localnet)
    local.add_argument("--organisations", type=int, default=4, metavar="N", help="default: 4")
    local.add_argument("--chain-id", default="localnet", metavar="NAME", help="default: localnet")
    add_port(local)
    add(
        words, "verify", "read the whole state of a machine that is stopped, and check it",
        lambda args: verify(args, show),
    )  # fmt: skip  # one word
    kept = add(
        words, "backup", "write keys and configuration into one file",
        lambda args: backup(args, show),
    )  # fmt: skip  # one word
    kept.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    again = add(
        words, "restore", "make a new folder from a backup", lambda args: restore(args, show)
    )
    again.add_argument("backup", type=Path, metavar="FILE")
    again.add_argument(
        "--height", type=int, required=True, metavar="N",
        help="height that another organisation's `wharf chain status` shows now",
    )  # fmt: skip  # one option


def add_port(parser: argparse.ArgumentParser) -> None:
    """Where a local network's ports begin."""
    parser.add_argument(
        "--first-port", type=int, default=LOCAL_PORT, metavar="PORT", help="default: %(default)s"
    )


def network_lines(report: dict[str, Any]) -> dict[str, Any]:
    """The network's report as lines for people."""
    votes = [
        f"{address[:8]} {'voted' if voted else 'ABSENT'}" for address, _, voted in report["votes"]
    ]
    peers = [f"{address} at {height}" for address, height in report["peers"]]
    agrees = "agrees" if report["app_hash_agrees"] else "NOT COMPARED YET"
    return {
        "node": "answers" if report["node_answers"] else "DOES NOT ANSWER",
        "node_height": report["node_height"],
        "lag": report["lag"],
        "app_hash_is": f"{agrees} at height {report['app_hash_compared_at']}",
        "votes": ", ".join(votes) or "none yet",
        "peers": ", ".join(peers) or "NONE",
        "misbehaviour": report["misbehaviour"],
    }
