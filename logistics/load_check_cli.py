"""`wharf load-check`: an expected list against what a proof bundle shows of a zone."""

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ledger.verdict import Outcome, Verdict
from ledger.verify import verify_bundle
from logistics.business_event import ZoneEvent
from logistics.cli import EXIT_USAGE, default_trust_store, trusted_genesis
from logistics.errors import LogisticsError
from logistics.load_check import LoadCheck, check_load, parse_expected
from logistics.records import record_of
from logistics.verdict_words import headline

EXIT_WRONG: Final = 1
_EXAMPLES = """examples:
  wharf load-check expected.csv --bundle load.wharf --trust genesis.cbor --zone dock-1
  wharf load-check expected.csv --bundle load.wharf --zone dock-1 --lang zh
  wharf load-check expected.csv --bundle load.wharf --zone dock-1 --json
expected.csv: one identity a line in the first column: (00) and an SSCC, an EPC in hexadecimal, or
  urn:epc:id:sgtin:0614141.812345.6789; further columns are for people
exit codes: 0 as expected, 1 not as expected, 2 the bundle does not prove it, 64 wrong usage
"""
_WORDS: Final = {
    "en": {
        "right": "As expected: {count} units.",
        "wrong": "Not as expected: {count} of {wanted} units came once.",
        "missing": "missing",
        "unexpected": "unexpected",
        "doubled": "doubled",
    },
    "zh": {
        "right": "与清单一致：{count} 个单元。",
        "wrong": "与清单不符：{wanted} 个单元中有 {count} 个到达一次。",
        "missing": "缺少",
        "unexpected": "多出",
        "doubled": "重复",
    },
}


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `wharf load-check`."""
    parser = commands.add_parser(
        "load-check",
        help="check an expected list against what went through a zone",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("expected", type=Path, help="CSV: identities in the first column")
    parser.add_argument("--bundle", type=Path, required=True, help="proof of the reader's channel")
    parser.add_argument("--zone", required=True, help="the zone's name")
    parser.add_argument("--trust", metavar="GENESIS", help="digest or file of the genesis document")
    parser.add_argument("--trust-store", type=Path, help="TOML: [chains] name = digest")
    parser.add_argument("--lang", choices=sorted(_WORDS), default="en", help="default: en")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_load_check)


def _load_check(arguments: argparse.Namespace) -> int:
    try:
        expected = parse_expected(arguments.expected.read_text(encoding="utf-8"))
        data = arguments.bundle.read_bytes()
        store = arguments.trust_store or default_trust_store()
        trust = trusted_genesis(arguments.trust, store, data)
    except OSError as error:
        return _usage(f"{error.filename}: {error.strerror}")
    except LogisticsError as error:
        return _usage(f"{arguments.expected}: {error}")
    except ValueError as error:
        return _usage(str(error))
    verdict = verify_bundle(data, trusted_genesis_sha256=trust)
    if verdict.outcome != Outcome.PROVEN:
        sys.stderr.write(f"wharf load-check: {arguments.bundle}: {headline(verdict)}\n")
        return int(Outcome.UNCHECKED)
    result = check_load(expected, zone_events(verdict), arguments.zone)
    lines = _json(result) if arguments.json else _lines(result, arguments.lang)
    sys.stdout.write("\n".join(lines) + "\n")
    return 0 if result.is_right else EXIT_WRONG


def _usage(text: str) -> int:
    sys.stderr.write(f"wharf load-check: {text}\n")
    return EXIT_USAGE


def zone_events(verdict: Verdict) -> Iterator[ZoneEvent]:
    """The zone events that a bundle proves, inside the interval that it was asked for."""
    asked = verdict.request
    for proven in verdict.entries:
        record = record_of(proven.entry.kind, proven.entry.body)
        wall_us = proven.entry.time.wall_us
        if not isinstance(record, ZoneEvent):
            continue
        # Blocks hold what stands before and behind; what has no time may be of it.
        if asked and wall_us is not None and not asked.from_ms <= wall_us // 1000 <= asked.to_ms:
            continue
        yield record


def _json(result: LoadCheck) -> list[str]:
    names = ("found", "missing", "unexpected", "doubled")
    lists = {name: list(getattr(result, name)) for name in names}
    return [json.dumps({"right": result.is_right, **lists}, indent=2)]


def _lines(result: LoadCheck, language: str) -> list[str]:
    words = _WORDS[language]
    wanted = len(result.found) + len(result.missing)
    once = len(set(result.found) - set(result.doubled))
    lines = [words["right" if result.is_right else "wrong"].format(count=once, wanted=wanted)]
    for name in ("missing", "unexpected", "doubled"):
        lines += [f"  {words[name]}  {identity}" for identity in getattr(result, name)]
    return lines
