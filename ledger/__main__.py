"""`python -m ledger`: verify a bundle, or check a store. Needs nothing but this package.

    python -m ledger verify FILE [--trust HEX] [--json]
    python -m ledger fsck DIR [--json]

`verify` exits with 0 proven, 1 refuted, 2 could not check or not trusted; `fsck` with 0 for no
difference, 1 for some, 2 where it could not look; 64 is wrong usage.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from ledger.errors import LedgerError
from ledger.fsck import check_folder
from ledger.hashing import HASH_BYTES
from ledger.verdict import Verdict
from ledger.verify import verify_bundle

EXIT_DIFFERENCES: Final = 1
EXIT_NOT_CHECKED: Final = 2
EXIT_USAGE: Final = 64


class _Parser(argparse.ArgumentParser):
    """Wrong usage exits with 64: 1 and 2 are answers."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_USAGE, f"{self.prog}: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    """The parser of both commands."""
    parser = _Parser(prog="python -m ledger", description="Verify a bundle, or check a store.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    verify = commands.add_parser("verify", help="check a proof bundle, with no network")
    verify.add_argument("path", type=Path, metavar="FILE")
    verify.add_argument(
        "--trust",
        type=_digest,
        metavar="HEX",
        help="SHA-256 of the chain's genesis document, from elsewhere",
    )
    verify.set_defaults(run=_verify)
    fsck = commands.add_parser("fsck", help="re-derive a stopped gateway's or node's store")
    fsck.add_argument("path", type=Path, metavar="DIR")
    fsck.set_defaults(run=_fsck)
    for command in (verify, fsck):
        command.add_argument("--json", action="store_true", help="the answer as JSON")
    return parser


def _digest(text: str) -> bytes:
    digest = bytes.fromhex(text)
    if len(digest) != HASH_BYTES:
        raise argparse.ArgumentTypeError(f"{len(digest)} bytes, not {HASH_BYTES}")
    return digest


def _verify(arguments: argparse.Namespace) -> int:
    try:
        data = arguments.path.read_bytes()
    except OSError as error:
        return _usage(f"{arguments.path}: {error.strerror}")
    verdict = verify_bundle(data, trusted_genesis_sha256=arguments.trust)
    print(json.dumps(verdict_value(verdict)) if arguments.json else _verdict_text(verdict))
    return int(verdict.outcome)


def verdict_value(verdict: Verdict) -> dict[str, Any]:
    """Outcome and findings as plain values for JSON."""
    findings = [{"code": item.code.value, **item.values} for item in verdict.findings]
    return {
        "outcome": verdict.outcome.name.lower(),
        "findings": findings,
        "entries": len(verdict.entries),
    }


def _verdict_text(verdict: Verdict) -> str:
    lines = [verdict.outcome.name]
    for finding in verdict.findings:
        values = " ".join(f"{name}={value}" for name, value in finding.values.items())
        lines.append(f"  {finding.code.value} {values}".rstrip())
    return "\n".join(lines)


def _fsck(arguments: argparse.Namespace) -> int:
    if not arguments.path.is_dir():
        return _usage(f"{arguments.path}: no such folder")
    try:
        report = check_folder(arguments.path)
    except LedgerError as error:
        sys.stderr.write(f"could not check: {error}\n")
        return EXIT_NOT_CHECKED
    counts = {
        "feeds": report.feeds,
        "blocks": report.blocks,
        "runs_opened": report.runs_opened,
        "heads": report.heads,
        "journal_entries": report.journal_entries,
    }
    found = [str(difference) for difference in report.found]
    if arguments.json:
        print(json.dumps({**counts, "differences": found}))
    else:
        print("\n".join([" ".join(f"{k}={v}" for k, v in counts.items()), *found]))
        print(f"{len(found)} differences" if found else "no difference")
    return EXIT_DIFFERENCES if found else 0


def _usage(text: str) -> int:
    sys.stderr.write(text + "\n")
    return EXIT_USAGE


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code."""
    arguments = build_parser().parse_args(argv)
    return int(arguments.run(arguments))


if __name__ == "__main__":
    sys.exit(main())
