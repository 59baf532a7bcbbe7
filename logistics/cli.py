"""`wharf verify`: the ledger's verdict, in words."""

import argparse
import json
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

from ledger.chain_genesis import decode_genesis
from ledger.chain_proof import decode_chain_part
from ledger.errors import LedgerError
from ledger.hashing import HASH_BYTES, sha256
from ledger.head import decode_head
from ledger.proof_bundle import decode_bundle
from ledger.receipts import inclusion_receipts
from ledger.verdict import Outcome, Verdict
from ledger.verify import verify_bundle
from logistics.deposit import decode_deposit, is_deposit
from logistics.verdict_words import stamps_line, verdict_lines

EXIT_USAGE: Final = 64
_DIGEST: Final = re.compile(rf"[0-9a-fA-F]{{{2 * HASH_BYTES}}}")
_EXAMPLES = """examples:
  wharf verify trip.wharf --trust 311a602a...      digest of the genesis document, from elsewhere
  wharf verify trip.wharf --trust genesis.cbor     the document itself
  wharf verify trip.wharf                          trust store: ~/.config/wharfinger/trust.toml
exit codes: 0 proven, 1 refuted, 2 could not check or not trusted, 64 wrong usage
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `wharf verify`."""
    parser = commands.add_parser(
        "verify",
        help="check a proof bundle, with no network",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, help="the bundle")
    parser.add_argument("--trust", metavar="GENESIS", help="digest or file of the genesis document")
    parser.add_argument("--trust-store", type=Path, help="TOML: [chains] name = digest")
    parser.add_argument(
        "--language", choices=("en", "zh"), default="en", help="of the verdict (default: en)"
    )
    parser.add_argument("--json", action="store_true", help="outcome and findings as JSON")
    parser.add_argument(
        "--receipts", type=Path, metavar="DIR", help="write each entry's RFC 9942 receipt there"
    )
    parser.set_defaults(run=_verify)


def default_trust_store() -> Path:
    """Where trusted chains are kept for this user."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "wharfinger" / "trust.toml"


def _verify(arguments: argparse.Namespace) -> int:
    try:
        data = arguments.file.read_bytes()
    except OSError as error:
        return _usage(f"{arguments.file}: {error.strerror}")
    stamps = 0
    try:
        if is_deposit(data):
            deposit = decode_deposit(data)
            data, stamps = deposit.proof, len(deposit.stamps)
        trust = trusted_genesis(
            arguments.trust, arguments.trust_store or default_trust_store(), data
        )
    except (OSError, ValueError, LedgerError) as error:
        return _usage(str(error))
    verdict = verify_bundle(data, trusted_genesis_sha256=trust)
    lines = verdict_lines(verdict, arguments.language)
    if stamps:
        lines.append(stamps_line(stamps, arguments.language))
    text = json.dumps(_as_json(verdict)) if arguments.json else "\n".join(lines)
    sys.stdout.write(text + "\n")
    if arguments.receipts and verdict.outcome != Outcome.REFUTED:
        try:
            _write_receipts(data, arguments.receipts)
        except OSError as error:
            return _usage(f"--receipts {arguments.receipts}: {error.strerror}")
    return int(verdict.outcome)


def _write_receipts(data: bytes, folder: Path) -> None:
    """One receipt and its leaf a file, named by feed and leaf index."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in decode_bundle(data).feeds:
        feed = decode_head(part.head).claim.feed_id.hex()[:8]
        indexes = (i for first, count in part.ranges for i in range(first, first + count))
        leaves = dict(zip(indexes, part.leaves, strict=True))
        for index, receipt in inclusion_receipts(part).items():
            (folder / f"{feed}-{index}.receipt.cbor").write_bytes(receipt)
            (folder / f"{feed}-{index}.leaf").write_bytes(leaves[index])


def _usage(text: str) -> int:
    sys.stderr.write(f"wharf verify: {text}\n")
    return EXIT_USAGE


def trusted_genesis(named: str | None, store: Path, data: bytes) -> bytes | None:
    """The trusted genesis digest; raises ValueError for a --trust that is none."""
    if named is None:
        return _from_store(store, data)
    path = Path(named)
    if not path.exists():
        return _digest(named, f"--trust {named}: neither 64 hexadecimal digits nor a file")
    document = path.read_bytes()
    try:
        decode_genesis(document)
    except LedgerError as error:
        # Anything else would be another trust root by mistake, and would refute what is true.
        raise ValueError(f"--trust {named}: no genesis document ({error})") from error
    return sha256(document)


def _digest(value: object, otherwise: str) -> bytes:
    """A digest from its 64 hexadecimal digits; raises ValueError with these words otherwise."""
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise ValueError(otherwise)
    return bytes.fromhex(value)


def _from_store(store: Path, data: bytes) -> bytes | None:
    """The digest that the trust store has under the bundle's chain id, None where there is none."""
    if not store.exists():
        return None
    try:
        chains = tomllib.loads(store.read_text(encoding="utf-8")).get("chains", {})
    except ValueError as error:
        raise ValueError(f"{store}: {error}") from error
    if not isinstance(chains, dict):
        raise ValueError(f'{store}: chains is no table; write [chains] and NAME = "DIGEST"')  # noqa: TRY004  # the caller's one error
    try:
        chain_id = decode_genesis(decode_chain_part(decode_bundle(data).chain).genesis).chain_id
    except LedgerError:
        return None
    if chain_id not in chains:
        return None
    words = f"{store}: {chain_id}: must be the 64 hexadecimal digits of its genesis digest"
    return _digest(chains[chain_id], words)


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "outcome": verdict.outcome.name.lower(),
        "lines": verdict_lines(verdict),
        "lines_zh": verdict_lines(verdict, "zh"),
        "findings": [{"code": str(item.code), **item.values} for item in verdict.findings],
    }
