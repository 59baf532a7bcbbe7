"""`wharf chain party | vote | delegate`: the consortium's life, from an organisation's desk."""

import argparse
import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from consortium import life
from consortium.errors import ChainUnavailableError, MalformedError
from consortium.key_codes import (
    decode_key_code,
    encode_key_code,
    new_party_key_code,
    person_key_code,
    validator_key_code,
)
from ledger.canonical import decode

EXIT_OK: Final = 0
Run = Callable[[argparse.Namespace], int]
Guard = Callable[[Run], Run]

_PARTY = """examples:
  wharf chain party list --home ~/chain
  wharf chain party key-code --home ~/chain --key ~/driver.key --party "ACME Cold Stores"
  wharf chain party key-code --home ~/chain --new --key ~/party.key --party "New Carrier"
  wharf chain party key-code --home ~/chain --validator --key priv_validator_key.json --party ACME
  wharf chain party identify --home ~/chain "Carrier" LEI 506700GE1G29325QX363
  wharf chain party next-key --home ~/chain wharfkey1-hQFQ...
"""
_VOTE = """examples:
  wharf chain vote list --home ~/chain --json
  wharf chain vote propose --home ~/chain admit "New Carrier" carrier wharfkey1-hQFQ... LEI 5067...
  wharf chain vote propose --home ~/chain suspend "Carrier"
  wharf chain vote propose --home ~/chain validator-in wharfkey1-hQFQ... 10
  wharf chain vote yes --home ~/chain 41a156ae...
  wharf chain vote no --home ~/chain 41a156ae...

actions:
""" + "\n".join(f"  {name} {life.ARGUMENTS[n]}" for n, name in life.ACTION_NAMES.items())
_DELEGATE = """examples:
  wharf chain delegate list --home ~/chain
  wharf chain delegate add --home ~/chain wharfkey1-hQFQ... --name "Driver 7" --title driver \\
      --feed 0102030405060708090a0b0c0d0e0f10 --until 2026-12-31
  wharf chain delegate end --home ~/chain b6f1c2d3e4f5061728394a5b6c7d8e9f
"""


def add_words(words: Any, guard: Guard) -> None:
    """Adds the three words to `wharf chain`; `guard` makes errors one line and an exit code."""
    party = group_of(words, "party", "organisations: who they are, and their keys", examples=_PARTY)
    add_word(party, "list", "every organisation as it stands", run=guard(list_of(life.parties)))
    code = add_word(
        party, "key-code", "the code of a key that is shown to be held", run=guard(_key_code)
    )
    code.add_argument("--key", type=Path, required=True, metavar="FILE", help="made if not there")
    code.add_argument("--party", required=True, metavar="PARTY", help="its name or id")
    code.add_argument("--new", action="store_true", help="the party is not admitted yet")
    code.add_argument("--validator", action="store_true", help="the key votes on chain blocks")
    known = add_word(
        party, "identify", "record another's legal id that you verified", run=guard(_identify)
    )
    for name in ("party", "scheme", "number"):
        known.add_argument(name, metavar=name.upper())
    own = add_word(party, "next-key", "give your organisation its next key", run=guard(_next_key))
    own.add_argument("code", metavar="KEY-CODE")
    vote = group_of(words, "vote", "what the organisations decide together", examples=_VOTE)
    add_word(vote, "list", "every proposal and its votes", run=guard(list_of(life.proposals)))
    made = add_word(vote, "propose", "propose something; your own vote is yes", run=guard(_propose))
    made.add_argument("action", metavar="ACTION", choices=list(life.ACTION_NAMES.values()))
    made.add_argument("about", nargs="*", metavar="WORD", help="see `wharf chain vote --help`")
    made.add_argument("--heights", type=int, default=life.HEIGHTS_TO_VOTE, metavar="N",
                      help="how long votes are taken (default: %(default)s)")  # fmt: skip
    for name in ("yes", "no"):
        ballot = add_word(vote, name, f"vote {name}", run=guard(_ballot))
        ballot.add_argument("proposal", metavar="ID")
        ballot.set_defaults(yes=name == "yes")
    _add_delegate(words, guard)


def _add_delegate(words: Any, guard: Guard) -> None:
    group = group_of(words, "delegate", "officers and drivers who act for you", examples=_DELEGATE)
    add_word(group, "list", "every delegation", run=guard(list_of(life.delegates)))
    add = add_word(group, "add", "let a key act for your organisation", run=guard(_delegate))
    add.add_argument("code", metavar="KEY-CODE")
    add.add_argument("--name", required=True)
    add.add_argument("--title", choices=list(life.TITLES), required=True)
    add.add_argument("--kind", type=int, action="append", default=[], metavar="N",
                     help="a kind of transaction (default: all of the title)")  # fmt: skip
    add.add_argument("--feed", action="append", default=[], metavar="FEED", help="default: all")
    add.add_argument("--until", metavar="DAY", help="last day, UTC, e.g. 2026-12-31")
    add.add_argument("--until-height", type=int, metavar="HEIGHT")
    end = add_word(
        group, "end", "end a delegate's key, or your organisation's own", run=guard(_end)
    )
    end.add_argument("key", metavar="KEY-ID", help="32 hex digits")


def group_of(words: Any, name: str, text: str, *, examples: str) -> Any:
    """A word with words of its own; returns where they are added."""
    parser = words.add_parser(
        name,
        help=text,
        description=text.capitalize() + ".",
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser.add_subparsers(required=True, metavar="WORD")


def add_word(words: Any, name: str, text: str, *, run: Run) -> Any:
    """The parser of one word, with the options that all have."""
    parser = words.add_parser(name, help=text, description=text.capitalize() + ".")
    parser.add_argument("--home", type=Path, required=True, metavar="DIR", help="chain's folder")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)
    return parser


class SocketDesk:
    """The operator socket of a running chain machine (`life.Desk`)."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def _call(self, method: str, *request: object) -> Any:
        from consortium.client import OperatorClient
        from consortium.config import OPERATOR_SOCKET_NAME

        path = self._home / OPERATOR_SOCKET_NAME
        if not path.exists():
            raise ChainUnavailableError(f"{path}: not there; is `wharf chain run` running?")

        async def ask() -> Any:
            async with OperatorClient(path) as client:
                return await client.call(method, *request)

        return asyncio.run(ask())

    def send(self, kind: int, body: Sequence[object]) -> str:
        """The accepted transaction's id in hex."""
        tx_id: bytes = self._call("Send", kind, list(body))
        return tx_id.hex()

    def rows(self, name: str) -> list[tuple[list[Any], list[Any]]]:
        """(key, value without version) of every state entry with this name."""
        return [(decode(key), decode(value)[1:]) for key, value in self._call("Rows", name)]

    def height(self) -> int:
        """The chain's height."""
        from consortium.wire import status_from_value

        return status_from_value(self._call("Status")).height


def list_of(read: Callable[[life.Desk], list[dict[str, Any]]]) -> Run:
    """A word that prints rows, as a table or as JSON."""

    def run(args: argparse.Namespace) -> int:
        rows = read(SocketDesk(args.home))
        print(json.dumps(rows) if args.json else _table(rows))
        return EXIT_OK

    return run


def _table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "none"
    cells = [[name.replace("_", " ") for name in rows[0]]]
    cells += [[_cell(value) for value in row.values()] for row in rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = ("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
             for row in cells)  # fmt: skip
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(_cell(item) for item in value)
    if isinstance(value, dict):
        return " ".join(str(item) for item in value.values())
    return "" if value is None else str(value)


def done(args: argparse.Namespace, word: str, tx_id: str) -> int:
    """Prints what became of a word; the exit code."""
    print(json.dumps({word: tx_id}) if args.json else f"{word}  {tx_id}")
    return EXIT_OK


def _key_code(args: argparse.Namespace) -> int:
    from consortium.compose import read_genesis

    chain_id = read_genesis(args.home).chain_id
    if args.new:
        code = new_party_key_code(args.key, chain_id=chain_id, name=args.party)
    else:
        party_id = life.party_named(SocketDesk(args.home), args.party)
        make = validator_key_code if args.validator else person_key_code
        code = make(args.key, chain_id=chain_id, party_id=party_id)
    return done(args, "key_code", encode_key_code(code))


def _identify(args: argparse.Namespace) -> int:
    desk = SocketDesk(args.home)
    tx_id = life.identify(desk, args.party, scheme=args.scheme, number=args.number)
    return done(args, "identified", tx_id)


def _next_key(args: argparse.Namespace) -> int:
    from consortium.config import PARTY_ID_NAME

    code = decode_key_code(args.code)
    tx_id = life.next_key(SocketDesk(args.home), code)
    (args.home / PARTY_ID_NAME).write_text(code.party_id.hex() + "\n", encoding="ascii")
    return done(args, "changed", tx_id)


def _propose(args: argparse.Namespace) -> int:
    desk = SocketDesk(args.home)
    action = life.action_of(desk, args.action, args.about)
    return done(args, "proposed", life.propose(desk, action, args.heights))


def _ballot(args: argparse.Namespace) -> int:
    return done(args, "voted", life.vote(SocketDesk(args.home), args.proposal, yes=args.yes))


def _delegate(args: argparse.Namespace) -> int:
    scope = life.Scope(
        name=args.name,
        title=args.title,
        kinds=tuple(args.kind),
        feeds=tuple(life.hex_bytes(feed, "feed", 16) for feed in args.feed),
        until_height=args.until_height,
        until_ms=_end_of_day_ms(args.until) if args.until else None,
    )
    desk = SocketDesk(args.home)
    return done(args, "delegated", life.delegate(desk, decode_key_code(args.code), scope))


def _end_of_day_ms(text: str) -> int:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise MalformedError(f"--until: {text!r} is not a day such as 2026-12-31") from error
    return int(day.timestamp()) * 1000 + 86_400_000 - 1


def _end(args: argparse.Namespace) -> int:
    return done(args, "ended", life.end_key(SocketDesk(args.home), args.key))
