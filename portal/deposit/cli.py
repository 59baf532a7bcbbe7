"""`wharf deposit`: a proof laid down as evidence, stamped from outside, reported on paper."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from consortium.errors import ConsortiumError
from consortium.transaction import KIND_ACCESS, KIND_DEPOSIT
from ledger.errors import LedgerError
from ledger.hashing import sha256
from ledger.verdict import Outcome
from ledger.verify import verify_bundle
from logistics.cli import default_trust_store, trusted_genesis
from logistics.deposit import Deposit, StampFound, decode_deposit, is_deposit, stamps_refute
from logistics.verdict_words import verdict_lines
from portal.deposit.words import stamp_line
from portal.errors import MissingExtraError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

EXIT_OK: Final = 0
EXIT_REFUTED: Final = 1
EXIT_USAGE: Final = 64
DEPOSIT_FILE, VERIFIER_PAGE, OTHER_DOCUMENT = 1, 2, 3
WHATS: Final = {"deposit": DEPOSIT_FILE, "verifier": VERIFIER_PAGE, "document": OTHER_DOCUMENT}
ACTIONS: Final = {"shown": 1, "exported": 2, "verified": 3}
_EXAMPLES = """examples:
  wharf deposit make trip.wharf --tsa https://tsa.example/tsr -o trip.deposit
  wharf deposit restamp trip.deposit --tsa https://other.example/tsr
  wharf deposit verify trip.deposit --trust 311a602a... --tsa-root roots.pem
  wharf deposit report trip.deposit --trust 311a602a... -o trip.pdf
  wharf deposit register trip.deposit --home ~/chain
  wharf deposit access trip.deposit exported --home ~/chain
exit codes: 0 proven, 1 refuted, 2 could not check or not trusted, 64 wrong usage
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds `wharf deposit`."""
    parser = commands.add_parser(
        "deposit",
        help="lay a proof down as evidence, with outside time stamps",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    words = parser.add_subparsers(required=True, metavar="WORD")
    make = _word(words, "make", "a deposit of a proof, stamped from outside", _make)
    make.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    _add_authorities(make)
    restamp = _word(words, "restamp", "one stamp more over all that is there", _restamp)
    _add_authorities(restamp)
    check = _word(words, "verify", "check proof and stamps, with no network", _check)
    _add_trust(check)
    report = _word(words, "report", "a PDF in English and Chinese", _report)
    report.add_argument("-o", "--output", type=Path, required=True, help="PDF to write")
    _add_trust(report)
    laid = _word(words, "register", "put the file's digest on the chain", _register)
    laid.add_argument("--home", type=Path, required=True, metavar="DIR", help="chain's folder")
    laid.add_argument("--as", dest="what", choices=WHATS, default="deposit", help="what it is")
    seen = _word(words, "access", "tell the chain that somebody looked at it", _access)
    seen.add_argument("action", choices=ACTIONS, help="what was done")
    seen.add_argument("--home", type=Path, required=True, metavar="DIR", help="chain's folder")


def _word(words: Any, name: str, text: str, run: Any) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = words.add_parser(
        name,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog=next(line for line in _EXAMPLES.splitlines() if f"deposit {name} " in line).strip(),
    )
    parser.add_argument("file", type=Path, help="the proof or deposit")
    parser.set_defaults(run=_guarded(run))
    return parser


def _add_authorities(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tsa", action="append", default=[], metavar="URL", help="RFC 3161 authority; repeatable"
    )


def _add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trust", metavar="GENESIS", help="digest or file of the genesis document")
    parser.add_argument("--tsa-root", type=Path, metavar="PEM", help="certificates that you trust")
    parser.add_argument("--language", choices=("en", "zh"), default="en", help="default: en")


def _guarded(run: Any) -> Any:
    def guarded(arguments: argparse.Namespace) -> int:
        try:
            code: int = run(arguments)
        except ModuleNotFoundError as error:
            return _usage(str(MissingExtraError(error.name or "a module")))
        except (LedgerError, ConsortiumError, OSError, ValueError) as error:
            return _usage(str(error))
        return code

    return guarded


def _usage(text: str) -> int:
    sys.stderr.write(f"wharf deposit: {text}\n")
    return EXIT_USAGE


def _opened(path: Path) -> tuple[Deposit, bytes]:
    """The deposit in a file, or a fresh one around a proof; and the file's bytes."""
    data = path.read_bytes()
    return (decode_deposit(data) if is_deposit(data) else Deposit(proof=data)), data


def _make(arguments: argparse.Namespace) -> int:
    deposit, _ = _opened(arguments.file)
    return _stamped(deposit, arguments.tsa, arguments.output)


def _restamp(arguments: argparse.Namespace) -> int:
    data = arguments.file.read_bytes()
    if not is_deposit(data):
        return _usage(f"{arguments.file}: no deposit; make one: wharf deposit make FILE -o OUT")
    if not arguments.tsa:
        return _usage("restamp asks an authority: give --tsa URL")
    return _stamped(decode_deposit(data), arguments.tsa, arguments.file)


def _stamped(deposit: Deposit, authorities: list[str], output: Path) -> int:
    """Asks each authority in turn, says what came of it, and replaces the file as a whole."""
    from portal.deposit.stamping import stamp_of

    failed = 0
    for authority in authorities:
        message = deposit.message(len(deposit.stamps))
        stamp = stamp_of(authority, message, asked_ms=time.time_ns() // 1_000_000)
        deposit = deposit.with_stamp(stamp)
        failed += stamp.token is None
        print(f"{authority}: {stamp.failure or 'stamped'}")
    data = deposit.encode()
    _replace(output, data)
    print(f"{output}: {len(deposit.stamps)} stamps, SHA-256 {sha256(data).hex()}")
    return EXIT_REFUTED if failed else EXIT_OK


def _replace(path: Path, data: bytes) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:  # Ctrl-C too leaves nothing behind
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise


def _roots(path: Path | None) -> list[Certificate]:
    from cryptography.x509 import load_pem_x509_certificates

    return load_pem_x509_certificates(path.read_bytes()) if path else []


def _check(arguments: argparse.Namespace) -> int:
    from portal.deposit.stamping import stamps_found

    deposit, data = _opened(arguments.file)
    trust = trusted_genesis(arguments.trust, default_trust_store(), deposit.proof)
    verdict = verify_bundle(deposit.proof, trusted_genesis_sha256=trust)
    found = stamps_found(deposit, _roots(arguments.tsa_root))
    for line in (*verdict_lines(verdict, arguments.language), *_stamp_lines(found, arguments)):
        print(line)
    print(f"SHA-256 {sha256(data).hex()}")
    return _outcome(verdict.outcome, found, deposit, arguments)


def _outcome(
    proof: Outcome, found: list[StampFound], deposit: Deposit, arguments: argparse.Namespace
) -> int:
    """The proof's, unless a stamp is false, or the reader's roots vouch for none of them."""
    if stamps_refute(found, deposit.stamps):
        return int(Outcome.REFUTED)
    asked = arguments.tsa_root is not None and bool(deposit.stamps)
    if proof == Outcome.PROVEN and asked and not any(item.vouched for item in found):
        return int(Outcome.UNCHECKED)
    return int(proof)


def _stamp_lines(found: list[StampFound], arguments: argparse.Namespace) -> list[str]:
    return [stamp_line(item, arguments.language) for item in found]


def _report(arguments: argparse.Namespace) -> int:
    from portal.deposit.report import Reported, report_pdf
    from portal.deposit.stamping import stamps_found
    from portal.verifier import verifier_page

    deposit, data = _opened(arguments.file)
    trust = trusted_genesis(arguments.trust, default_trust_store(), deposit.proof)
    verdict = verify_bundle(deposit.proof, trusted_genesis_sha256=trust)
    found = stamps_found(deposit, _roots(arguments.tsa_root))
    pdf = report_pdf(
        Reported(
            file_name=arguments.file.name,
            file_sha256=sha256(data).hex(),
            made_ms=time.time_ns() // 1_000_000,
            verdict=verdict,
            stamps=found,
            trust_hex=trust.hex() if trust else "",
            verifier_sha256=sha256(verifier_page().encode()).hex(),
        )
    )
    _replace(arguments.output, pdf)
    print(f"wrote {arguments.output}: {verdict_lines(verdict, arguments.language)[0]}")
    return _outcome(verdict.outcome, found, deposit, arguments)


def _register(arguments: argparse.Namespace) -> int:
    digest = sha256(arguments.file.read_bytes())
    tx_id = _desk(arguments.home).send(KIND_DEPOSIT, [1, digest, WHATS[arguments.what]])
    print(f"deposited {digest.hex()}, transaction {tx_id}")
    return EXIT_OK


def _access(arguments: argparse.Namespace) -> int:
    digest = sha256(arguments.file.read_bytes())
    tx_id = _desk(arguments.home).send(KIND_ACCESS, [1, digest, ACTIONS[arguments.action]])
    print(f"{arguments.action} {digest.hex()}, transaction {tx_id}")
    return EXIT_OK


def _desk(home: Path) -> Any:
    from consortium.life_cli import SocketDesk

    return SocketDesk(home)
