"""`wharf contract`: write, check, sign and register contracts; dry runs, verdicts, disputes."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

EXIT_FAILED: Final = 1
_EXAMPLES: Final = """examples:
  wharf contract new                                     the shipped templates
  wharf contract new vaccine -o trip.toml                one of them, to be edited
  wharf contract check trip.toml --language zh           what it says and would judge
  wharf contract draft trip.toml --home ~/chain --party "ACME=carrier" --party "Pharma=shipper" \\
      -o trip.paper
  wharf contract dry-run trip.paper --home ~/chain --device probe-1 --from 48h --to 24h
  wharf contract sign trip.paper --party ACME --party-key acme.key      then the others
  wharf contract register trip.paper --home ~/chain --party ACME --party-key acme.key
  wharf contract bind trip.paper --home ~/chain --consignment 00112233445566778899aabbccddeeff \\
      --device probe-1 --from 2026-11-24T08:00:00Z --to 2026-11-26T08:00:00Z -o bind.paper
agree (sign and register the same paper):
  wharf contract dry-run trip.paper ... --consignment 0011... --paper verdict.paper
or have the validators judge:
  wharf contract dispute 0011... --contract trip.paper --home ~/chain --party ACME --party-key K
  wharf contract verdict 0011... --contract trip.paper --home ~/chain --for judge --language zh
  wharf contract explain 0011... --contract trip.paper --home ~/chain --for driver
  wharf contract judge 0011... --home ~/chain --party ACME --party-key acme.key
  wharf contract object 0011... --reason "the door was theirs" --home ~/chain --party ...
  wharf contract settle 0011... --home ~/chain --party ACME --party-key acme.key
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `wharf contract`."""
    parser = commands.add_parser(
        "contract",
        help="rules as contracts: write, sign, dry-run, judge, explain",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    words = parser.add_subparsers(required=True, metavar="WORD")
    _papers(words)
    _verdicts(words)


def _word(words: Any, name: str, text: str, command: str) -> argparse.ArgumentParser:
    """One word; its command's module is loaded when it runs, so --help stays fast."""
    parser: argparse.ArgumentParser = words.add_parser(
        name,
        help=text,
        description=text.capitalize() + ".",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )

    def run(args: argparse.Namespace) -> int:
        from consortium import contract_commands

        call: Callable[[argparse.Namespace], int] = getattr(contract_commands, command)
        return _guarded(call, args)

    parser.set_defaults(run=run)
    return parser


def _guarded(call: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Errors as one line on stderr and an exit code."""
    from consortium.errors import ConsortiumError
    from ledger.errors import LedgerError
    from logistics.errors import LogisticsError
    from logistics.moments import MomentError

    try:
        return call(args)
    except (ConsortiumError, LedgerError, LogisticsError, MomentError) as error:
        sys.stderr.write(f"wharf contract: {error}\n")
        return EXIT_FAILED
    except KeyboardInterrupt:
        sys.stderr.write("wharf contract: stopped; what was sent was sent\n")
        return 130


def _papers(words: Any) -> None:
    new = _word(words, "new", "list the templates, or write one to edit", "templates")
    new.add_argument("name", nargs="?", metavar="TEMPLATE")
    new.add_argument("-o", "--output", type=Path)
    check = _word(words, "check", "check a contract file as the chain will", "check")
    check.add_argument("file", type=Path, metavar="FILE.toml")
    _language(check)
    draft = _word(words, "draft", "make the paper that the parties sign", "draft")
    draft.add_argument("file", type=Path, metavar="FILE.toml")
    draft.add_argument("--party", action="append", required=True, metavar="NAME=ROLE")
    draft.add_argument("-o", "--output", type=Path, required=True)
    _home(draft)
    bind = _word(words, "bind", "make the paper that binds a consignment to a contract", "bind")
    bind.add_argument("contract", type=Path, metavar="CONTRACT.paper")
    bind.add_argument("--consignment", required=True, metavar="HEX")
    bind.add_argument("-o", "--output", type=Path, required=True)
    _span(bind)
    _home(bind)
    sign = _word(words, "sign", "add your organisation's signature to a paper", "sign")
    sign.add_argument("paper", type=Path, metavar="PAPER")
    _own(sign)
    sent = _word(words, "register", "send a paper that all parties signed", "register")
    sent.add_argument("paper", type=Path, metavar="PAPER")
    _home(sent)
    _own(sent)


def _verdicts(words: Any) -> None:
    dry = _word(words, "dry-run", "judge past data; nothing is sent", "dry_run")
    dry.add_argument("contract", type=Path, metavar="CONTRACT.paper")
    dry.add_argument("--consignment", metavar="HEX")
    dry.add_argument("--paper", type=Path, metavar="OUT", help="the verdict, for all to sign")
    _span(dry)
    _home(dry)
    _reader(dry)
    for name in ("verdict", "explain"):
        shown = _word(words, name, "a verdict and what it rests on", "show")
        shown.add_argument("consignment", metavar="HEX")
        shown.add_argument("--contract", type=Path, metavar="PAPER", help="for prose and amounts")
        _home(shown)
        _reader(shown)
    dispute = _word(words, "dispute", "send the evidence and have the validators judge", "dispute")
    dispute.add_argument("consignment", metavar="HEX")
    dispute.add_argument("--contract", type=Path, required=True, metavar="PAPER")
    dispute.add_argument("--yes", action="store_true", help="do not ask before sending")
    _home(dispute)
    _own(dispute)
    _reader(dispute)
    for name, text, command in (
        ("judge", "have the validators judge what evidence there is", "judge"),
        ("settle", "make a verdict final whose window has ended", "settle"),
    ):
        word = _word(words, name, text, command)
        word.add_argument("consignment", metavar="HEX")
        _home(word)
        _own(word)
    objection = _word(words, "object", "object to a verdict within its window", "object_to")
    objection.add_argument("consignment", metavar="HEX")
    objection.add_argument("--reason", required=True)
    _home(objection)
    _own(objection)


def _home(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--home", type=Path, required=True, metavar="DIR", help="the chain machine's folder"
    )


def _own(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--party", required=True, metavar="NAME", help="your organisation")
    parser.add_argument("--party-key", type=Path, required=True, metavar="FILE")
    parser.add_argument("--party-id", metavar="HEX", help="needed once its key was changed")


def _span(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", action="append", required=True, metavar="DEVICE")
    parser.add_argument("--from", dest="start", required=True, metavar="T1")
    parser.add_argument("--to", dest="end", required=True, metavar="T2")


def _language(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--language", choices=("en", "zh"), default="en")


def _reader(parser: argparse.ArgumentParser) -> None:
    _language(parser)
    parser.add_argument("--for", dest="reader", choices=("driver", "judge"), default="driver")
    parser.add_argument("--json", action="store_true", help="print JSON")
