"""`wharf chain`: found a chain, run its machine, admit and revoke gateways, look at it."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from consortium import feed_cli, life_cli
from consortium.errors import ConsortiumError

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 64
ENGINES = ("embedded", "cometbft")

_EXAMPLES = """examples:
  wharf chain init --home ~/chain --chain-id acme-1 --party "ACME Cold Stores"
  wharf chain run --home ~/chain --listen 0.0.0.0:7411
  wharf chain install
  wharf chain init --localnet 4 --home ~/net --chain-id try-1
  wharf chain init --engine cometbft --home ~/chain --chain-id cold-1 --party "ACME" \\
      --legal-id LEI 506700GE1G29325QX363 --node 0.0.0.0:26656 --external chain.acme.example:26656
  wharf chain found --home ~/chain --date 2026-11-24 acme.json borealis.json nordkai.json
  wharf chain run --engine cometbft --home ~/chain
  wharf chain enrol wharf1-gwFQ... --home ~/chain
  wharf chain admit "Carrier Ltd" --home ~/chain --party-key ~/carrier.key
  wharf chain reader-key --home ~/chain
  wharf chain certify gateway.csr --home ~/chain --code wharf1-gwFQ... --party "ACME Cold Stores" \\
      --party-key ~/acme.key --out gateway.crt
  wharf chain retire 9f2c31... --home ~/chain
  wharf chain revoke 9f2c31... --home ~/chain
  wharf chain localnet --home ~/net --organisations 4
  wharf chain backup --home ~/chain --output chain.backup
  wharf chain restore chain.backup --home ~/chain --height 1200
  wharf chain verify --home ~/chain
  wharf chain application --home ~/chain --listen 0.0.0.0:7411
  wharf chain status --home ~/chain --json
"""


def register(commands: "argparse._SubParsersAction[Any]") -> None:
    """Adds `chain` and its subcommands."""
    chain = commands.add_parser(
        "chain",
        help="found and run the consortium's chain",
        description="Found and run the consortium's chain.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    words = chain.add_subparsers(required=True, metavar="WORD")
    _add_init(words)
    _add_run(words)
    enrol = _add(words, "enrol", "admit a gateway by the code that it printed", _enrol)
    enrol.add_argument("code", metavar="CODE", help="the gateway's enrolment code (wharf1-...)")
    enrol.add_argument(
        "--level",
        type=int,
        choices=(0, 1, 2),
        help="key rests on 0 software, 1 hardware as claimed, 2 attested (default: the code's)",
    )
    enrol.add_argument("--party", metavar="NAME", help="in whose name (default: this machine's)")
    enrol.add_argument("--party-key", type=Path, metavar="FILE", help="that party's key")
    admit = _add(words, "admit", "admit an organisation, making its key if there is none", _admit)
    admit.add_argument("name", metavar="NAME", help="the organisation")
    admit.add_argument("--party-key", type=Path, required=True, metavar="FILE")
    _add(words, "reader-key", "print the key by which gateways let this machine read", _reader_key)
    revoke = _add(words, "revoke", "revoke a gateway's key from now on", _revoke)
    revoke.add_argument("feed", metavar="FEED", help="the gateway's feed id, 32 hex digits")
    retire = _add(words, "retire", "end a gateway's feed in good order", _retire)
    retire.add_argument("feed", metavar="FEED", help="the gateway's feed id, 32 hex digits")
    certify = _add(words, "certify", "sign a gateway's certificate request", _certify)
    certify.add_argument("request", type=Path, metavar="CSR", help="`wharf gateway enrol` wrote it")
    certify.add_argument("--code", required=True, help="the enrolment code of the same gateway")
    certify.add_argument("--party", required=True, metavar="NAME", help="in whose name")
    certify.add_argument("--party-key", type=Path, required=True, metavar="FILE")
    certify.add_argument("--days", type=int, default=3_650, help="default: %(default)s")
    certify.add_argument("--out", type=Path, required=True, metavar="FILE")
    _add_comet(words)
    life_cli.add_words(words, _guarded)
    feed_cli.add_words(words, _guarded)
    _add(words, "status", "height, log and gateways of a running chain machine", _status)


def _add(words: Any, name: str, text: str, run: Callable[[argparse.Namespace], int]) -> Any:
    parser = words.add_parser(name, help=text, description=text.capitalize() + ".")
    parser.add_argument(
        "--home", type=Path, required=True, metavar="DIR", help="the chain's folder"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_guarded(run))
    return parser


def _add_comet(words: Any) -> None:
    """The words of a chain of several organisations."""
    from consortium import commands

    commands.add_words(words, add=_add, guarded=_guarded, show=_print)
    _run_options(_add(words, "application", "the half of `run` that CometBFT asks", _application))


def _add_init(words: Any) -> None:
    init = _add(words, "init", "make keys, genesis document, certificate and configuration", _init)
    init.add_argument(
        "--chain-id", required=True, metavar="NAME", help="1 to 50 characters, for ever"
    )
    init.add_argument("--party", metavar="NAME", help="your organisation")
    init.add_argument(
        "--listen", default="127.0.0.1:7411", metavar="HOST:PORT", help="default: %(default)s"
    )
    init.add_argument("--engine", choices=ENGINES, default=ENGINES[0], help="default: embedded")
    init.add_argument(
        "--node", default="127.0.0.1:26656", metavar="HOST:PORT",
        help="cometbft: where other validators reach this one (default: %(default)s)",
    )  # fmt: skip  # one option
    init.add_argument(
        "--external", default="", metavar="HOST:PORT", help="cometbft: what they dial, if other"
    )
    init.add_argument(
        "--legal-id", nargs=2, default=("", ""), metavar=("SCHEME", "NUMBER"),
        help="cometbft: your organisation's, for its founding card",
    )  # fmt: skip  # one option
    init.add_argument("--localnet", type=int, metavar="N", help="a whole network in this folder")
    from consortium.commands import add_port

    add_port(init)


def _add_run(words: Any) -> None:
    run = _add(words, "run", "run the chain machine until SIGTERM or Ctrl-C", _run)
    run.add_argument("--engine", choices=ENGINES, help="default: what the folder was made for")
    _run_options(run)


def _run_options(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--listen", metavar="HOST:PORT", help="instead of the configuration's; port 0: any"
    )


def _guarded(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """The command with errors as one line on stderr and an exit code."""

    def guarded(args: argparse.Namespace) -> int:
        from ledger.errors import LedgerError

        try:
            return run(args)
        except (ConsortiumError, LedgerError) as error:
            print(f"wharf chain: {error}", file=sys.stderr)
            return EXIT_FAILED

    return guarded


def _print(args: argparse.Namespace, values: dict[str, Any]) -> None:
    if args.json:
        print(json.dumps(values))
        return
    width = max(len(name) for name in values)
    for name, value in values.items():
        print(f"{name.replace('_', ' '):{width}}  {value}")


def _init(args: argparse.Namespace) -> int:
    from consortium import commands
    from consortium.founding import found_chain

    if args.localnet is not None:
        return commands.init_localnet(args, _print)
    if not args.party:
        print("wharf chain init: --party NAME says whose machine this is", file=sys.stderr)
        return EXIT_USAGE
    if args.engine == ENGINES[1]:
        return commands.init_founder(args, _print)
    founded = found_chain(
        args.home,
        chain_id=args.chain_id,
        party_name=args.party,
        listen=args.listen,
        now=datetime.now(UTC),
    )
    _print(
        args,
        {
            "chain_id": args.chain_id,
            "genesis_sha256": founded.genesis_sha256.hex(),
            "certificate_sha256": founded.certificate_sha256.hex(),
            "home": str(args.home),
        },
    )
    return EXIT_OK


def _run(args: argparse.Namespace) -> int:
    from consortium.config import ENGINE_COMETBFT, ENGINE_EMBEDDED, read_config

    made_for = ENGINE_COMETBFT if read_config(args.home).has_comet else ENGINE_EMBEDDED
    if args.engine not in (None, made_for):
        print(
            f"wharf chain run: {args.home} was made for --engine {made_for}; `wharf chain init "
            f"--engine {args.engine}` makes another folder",
            file=sys.stderr,
        )
        return EXIT_USAGE
    if made_for == ENGINE_COMETBFT:
        from consortium.commands import run_pair

        return run_pair(args)
    return _serve(args, made_for, watch=lambda _: None)


def _application(args: argparse.Namespace) -> int:
    from consortium.commands import stop_with_parent
    from consortium.config import ENGINE_COMETBFT

    return _serve(args, ENGINE_COMETBFT, watch=stop_with_parent)


def _serve(args: argparse.Namespace, engine: str, *, watch: Callable[[asyncio.Event], None]) -> int:
    from consortium.compose import run_chain
    from consortium.config import read_config
    from consortium.plugs import plug_in

    config = read_config(args.home)
    if args.listen:
        config = replace(config, server=replace(config.server, listen=args.listen))
    host = config.server.listen.rpartition(":")[0]

    async def main() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        watch(stop)
        # One line that programs may wait for: the chain machine is ready.
        await run_chain(
            config,
            stop=stop,
            plug=plug_in,
            ready=lambda port: print(f"listening {host}:{port}", flush=True),
            engine=engine,
        )

    asyncio.run(main())
    return EXIT_OK


def _operate(args: argparse.Namespace, method: str, *request: object) -> Any:
    """The answer of a running chain machine's operator endpoint."""
    from consortium.client import OperatorClient
    from consortium.config import OPERATOR_SOCKET_NAME
    from consortium.errors import ChainUnavailableError

    socket_path = args.home / OPERATOR_SOCKET_NAME
    if not socket_path.exists():
        raise ChainUnavailableError(f"{socket_path}: not there; is `wharf chain run` running?")

    async def ask() -> Any:
        async with OperatorClient(socket_path) as client:
            return await client.call(method, *request)

    call: Coroutine[Any, Any, Any] = ask()
    return asyncio.run(call)


def _reader_key(args: argparse.Namespace) -> int:
    from consortium.plugs import reader_key

    key = reader_key(args.home).hex()
    print(json.dumps({"reader_key": key}) if args.json else key)
    return EXIT_OK


def _admit(args: argparse.Namespace) -> int:
    from consortium.membership import admit_party

    party_id = asyncio.run(admit_party(args.home, args.name, args.party_key))
    _print(args, {"admitted": args.name, "party": party_id.hex(), "key": str(args.party_key)})
    return EXIT_OK


def _enrol_for_party(args: argparse.Namespace) -> int:
    from consortium.membership import enrol_for_party

    if not args.party or not args.party_key:
        print("wharf chain enrol: --party and --party-key go together", file=sys.stderr)
        return EXIT_USAGE
    feed_id = asyncio.run(
        enrol_for_party(args.home, args.code, party_name=args.party, key_path=args.party_key)
    )
    _print(args, {"enrolled": feed_id.hex(), "party": args.party})
    return EXIT_OK


def _enrol(args: argparse.Namespace) -> int:
    from consortium.config import CERTIFICATE_NAME

    if args.party or args.party_key:
        return _enrol_for_party(args)
    feed_id, genesis, certificate, chain_id = _operate(args, "Enrol", args.code, args.level)
    _print(
        args,
        {
            "enrolled": feed_id.hex(),
            "chain_id": chain_id,
            "genesis_sha256": genesis.hex(),
            "certificate_sha256": certificate.hex(),
            "certificate": str(args.home / CERTIFICATE_NAME),
        },
    )
    return EXIT_OK


def _revoke(args: argparse.Namespace) -> int:
    return _end_feed(args, "Revoke", "revoked")


def _retire(args: argparse.Namespace) -> int:
    return _end_feed(args, "Retire", "retired")


def _end_feed(args: argparse.Namespace, method: str, word: str) -> int:
    try:
        feed_id = bytes.fromhex(args.feed)
    except ValueError:
        print(f"wharf chain: {args.feed!r} is not a feed id of 32 hex digits", file=sys.stderr)
        return EXIT_USAGE
    _print(args, {word: args.feed, "chain_height": _operate(args, method, feed_id)})
    return EXIT_OK


def _certify(args: argparse.Namespace) -> int:
    from consortium.certificate import certify
    from consortium.enrolment import decode_enrolment
    from consortium.file_keys import read_key

    made = certify(
        args.request.read_bytes(),
        key=read_key(args.party_key),
        party=args.party,
        spki=decode_enrolment(args.code).spki,
        now=datetime.now(UTC),
        days=args.days,
    )
    args.out.write_bytes(made)
    _print(args, {"certificate": str(args.out), "party": args.party, "days": args.days})
    return EXIT_OK


def _status(args: argparse.Namespace) -> int:
    from consortium.commands import network_lines
    from consortium.config import read_config
    from consortium.wire import status_from_value

    status = status_from_value(_operate(args, "Status"))
    gateways = _operate(args, "Gateways")
    network: dict[str, Any] = {}
    if read_config(args.home).has_comet:
        report = _operate(args, "Network")
        network = {"network": report} if args.json else network_lines(report)
    _print(
        args,
        {
            "chain_id": status.chain_id,
            "genesis_sha256": status.genesis_sha256.hex(),
            "height": status.height,
            "time_ms": status.time_ms,
            "app_hash": status.app_hash.hex(),
            "log_size": status.log_size,
            "waiting": status.waiting,
            **network,
            "gateways": [
                {"feed": feed_id.hex(), "level": level, "anchored_height": height}
                for feed_id, level, height in gateways
            ],
        },
    )
    return EXIT_OK
