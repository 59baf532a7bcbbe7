"""What `wharf contract` does; `contract_cli` says how it is called."""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from consortium.app.contracts import STATUS_FINAL, bound_of
from consortium.app.verdicts import WAY_JUDGED
from consortium.client import OperatorClient
from consortium.config import OPERATOR_SOCKET_NAME
from consortium.contract_papers import Paper, read_paper, signed
from consortium.errors import ChainUnavailableError, LocalError, MalformedError, RefusedError
from consortium.file_keys import FileSigner, read_key
from consortium.membership import NOT_AFTER_AHEAD, machine_client
from consortium.transaction import (
    KIND_BIND,
    KIND_CASE,
    KIND_CONTRACT,
    KIND_EVIDENCE,
    KIND_JUDGE,
    KIND_OBJECT,
    KIND_SETTLE,
    KIND_VERDICT,
    NONCE_BYTES,
    SENDER_PARTY,
    Sender,
    new_transaction,
    sign_transaction,
)
from ledger.canonical import decode
from ledger.chain_genesis import party_id_of
from ledger.hashing import sha256
from logistics.moments import parse_moment
from logistics.rules.contract import SALT_BYTES, decode_core, decode_money
from logistics.rules.drafting import TEMPLATES, Draft, draft_of, template_text
from logistics.rules.explain import Explained, explain, money_words
from logistics.rules.facts import OPERATORS, Case, Interval
from logistics.rules.traces import Trace, trace_from_value
from logistics.rules.verdict import Verdict, decode_verdict

ANSWER_S: Final = 300.0
STATUS_WORDS: Final = {1: "bound", 2: "proposed", 3: "disputed", 4: "final"}


def templates(args: argparse.Namespace) -> int:
    """Lists the shipped templates, or writes one."""
    if args.name is None:
        for name in TEMPLATES:
            title = next(
                line for line in template_text(name).splitlines() if line.startswith("title")
            )
            print(f"{name:20} {title.partition('=')[2].strip()[1:-1]}")
        return 0
    write(args.output or Path(f"{args.name}.toml"), template_text(args.name).encode())
    return 0


def check(args: argparse.Namespace) -> int:
    """Checks a contract as the chain will, and says what it would judge."""
    drafted = _drafted(args.file, [(bytes(16), "one party"), (b"\1" * 16, "the other")])
    for line in contract_lines(drafted, args.language):
        print(line)
    return 0


def contract_lines(drafted: Draft, language: str) -> list[str]:
    """A contract for people: prose, facts, conditions, amounts."""
    core, prose = drafted.core, drafted.prose
    lines = [prose.title(language), prose.text(language).strip(), ""]
    for clause in core.clauses:
        lines += [
            f"{clause.number} {prose.clause(clause.number, language)}",
            f"    {clause.condition.text}",
        ]
    lines += [""]
    lines += [
        f"{fact.name} = {fact.operator} {dict(fact.parameters)} [{OPERATORS[fact.operator].unit}]"
        for fact in core.facts
    ]
    cap = money_words(drafted.money.cap)
    return [*lines, f"cap {cap} {core.currency}; contract {core.id.hex()}"]


def _drafted(path: Path, parties: Sequence[tuple[bytes, str]] | None) -> Draft:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}") from error
    return draft_of(text, fresh_salt=lambda: os.urandom(SALT_BYTES), parties=parties)


def draft(args: argparse.Namespace) -> int:
    """Makes the paper that the parties sign, from a contract file and the parties' names."""
    parties = []
    known = rows(args.home, "party")
    for text in args.party:
        name, _, role = text.rpartition("=")
        found = [key[1] for key, row in known if name in (row[0], key[1].hex())]
        if len(found) != 1:
            raise MalformedError(f"--party {text}: {len(found)} parties have this name or id")
        parties.append((found[0], role))
    drafted = _drafted(args.file, parties)
    content = (drafted.core.encode(), drafted.money.encode(), drafted.prose.encode())
    _put(args.output, Paper(chain_id=_chain_id(args.home), kind=KIND_CONTRACT, content=content))
    return 0


def bind(args: argparse.Namespace) -> int:
    """Makes the paper that binds a consignment to a registered contract."""
    core = read_paper(args.contract).drafted().core
    begin, end = _interval(args)
    content = (_consignment(args.consignment), core.id, begin, end, sorted(args.device))
    _put(args.output, Paper(chain_id=_chain_id(args.home), kind=KIND_BIND, content=content))
    return 0


def sign(args: argparse.Namespace) -> int:
    """Adds this party's signature to a paper."""
    paper = read_paper(args.paper)
    party_id, signer = _own(args)
    _put(args.paper, asyncio.run(signed(paper, party_id, signer)))
    return 0


def register(args: argparse.Namespace) -> int:
    """Sends a paper that all parties signed."""
    paper = read_paper(args.paper)
    _send(args, paper.kind, paper.body)
    what = {KIND_CONTRACT: "contract", KIND_BIND: "binding", KIND_VERDICT: "verdict"}[paper.kind]
    print(f"{what} registered")
    return 0


def dry_run(args: argparse.Namespace) -> int:
    """The verdict on past data, from what this machine may open; nothing is sent."""
    paper = read_paper(args.contract)
    drafted, (begin, end) = paper.drafted(), _interval(args)
    consignment = _consignment(args.consignment) if args.consignment else bytes(16)
    devices = sorted(args.device)
    data, traces, shown = _ask(
        args.home, "DryRun", paper.content[0], paper.content[1], devices, begin, end, consignment
    )
    verdict = decode_verdict(data)
    if args.paper:
        content = (consignment, os.urandom(SALT_BYTES), data)
        _put(args.paper, Paper(chain_id=paper.chain_id, kind=KIND_VERDICT, content=content))
    _tell(args, drafted, verdict, [trace_from_value(value) for value in traces])
    if not args.json:
        print(_readers_line(shown, in_dispute=False))
    return 0


def show(args: argparse.Namespace) -> int:
    """A proposed or final verdict: status, and its explanation where its bytes are known."""
    consignment = _consignment(args.consignment)
    bound_row = _row(args.home, "bound", consignment)
    if bound_row is None:
        raise MalformedError(f"consignment {args.consignment} is not bound to a contract")
    bound, row = bound_of(bound_row), _row(args.home, "verdict", consignment)
    if not args.json:
        print(f"{STATUS_WORDS[bound.status]}, contract {bound.contract_id.hex()}")
    if row is None:
        return 0
    drafted = read_paper(args.contract).drafted() if args.contract else None
    if row[0] != WAY_JUDGED:
        print(f"signed by all parties; commitment {row[1].hex()}")
        return 0
    traces = [
        trace_from_value(value)
        for key, evidence in rows(args.home, "evidence")
        if key[1] == consignment
        for _, value in evidence[2]
    ]
    if not args.json and bound.status != STATUS_FINAL:
        print(f"a proposal until {row[4]} (ms, chain time)")
    _tell(args, drafted, decode_verdict(row[2]), traces)
    return 0


def _tell(
    args: argparse.Namespace, drafted: Draft | None, verdict: Verdict, traces: list[Trace]
) -> None:
    if args.json:
        facts = {name: proven for name, proven, _ in verdict.facts}
        values = {
            "outcome": verdict.outcome.name.lower(), "amount": verdict.amount,
            "currency": verdict.currency, "facts": facts, "digest": verdict.digest.hex(),
            "clauses": {number: outcome.name.lower() for number, outcome in verdict.clauses},
            "problems": [[p.name.lower(), *rest] for p, *rest in verdict.problems],
        }  # fmt: skip  # a row
        print(json.dumps(values))
        return
    if drafted is None:
        row = _row(args.home, "contract", verdict.contract_id)
        core, money, prose = decode_core((row or [b""])[0]), None, None
    else:
        core, money, prose = drafted.core, drafted.money, drafted.prose
    interval = Interval(from_ms=verdict.from_ms, to_ms=verdict.to_ms, gap_ms=core.gap_ms)
    about = Explained(
        core=core,
        verdict=verdict,
        case=Case(interval=interval, traces=tuple(traces)),
        money=money,
        prose=prose,
    )
    for line in explain(about, language=args.language, for_judge=args.reader == "judge"):
        print(line)


def _readers_line(shown: list[int], *, in_dispute: bool) -> str:
    blocks, summaries, readings = shown
    if in_dispute:
        return (
            f"Every organisation of this chain will be able to read, for ever: the contract's "
            f"amounts, {blocks} block headers, {summaries} summaries with their least and "
            f"greatest value, and {readings} readings and notes. Prose stays with the parties."
        )
    return (
        f"Nothing was sent. In a dispute every organisation of the chain would read {summaries} "
        f"summaries and {readings} readings and notes; signed by all parties, none of them."
    )


def dispute(args: argparse.Namespace) -> int:
    """Opens a case, shows who will read what, sends the evidence, has the validators judge."""
    consignment, money = _consignment(args.consignment), read_paper(args.contract).content[1]
    core = read_paper(args.contract).drafted().core
    decode_money(money, core)
    bound_row = _row(args.home, "bound", consignment)
    if bound_row is None:
        raise MalformedError(f"consignment {args.consignment} is not bound to a contract")
    bound = bound_of(bound_row)
    request = [core.encode(), money, list(bound.devices), bound.from_ms, bound.to_ms, consignment]
    _, _, shown = _ask(args.home, "DryRun", *request)
    print(_readers_line(shown, in_dispute=True))
    if not args.yes and input("Send it? [y/N] ").strip().lower() != "y":
        print("nothing was sent")
        return 0
    _send(args, KIND_CASE, [1, consignment, money])
    parts, _ = _ask(args.home, "Evidence", consignment)
    for number, (part, openers) in enumerate(parts, 1):
        _send(args, KIND_EVIDENCE, [1, consignment, part, openers[:16]])
        print(f"evidence {number} of {len(parts)} taken")
    _send(args, KIND_JUDGE, [1, consignment])
    return show(args)


def judge(args: argparse.Namespace) -> int:
    """Has the validators judge what evidence there is."""
    _send(args, KIND_JUDGE, [1, _consignment(args.consignment)])
    return 0


def object_to(args: argparse.Namespace) -> int:
    """Objects to a proposed verdict; of the reason the chain gets a salted digest."""
    salt = os.urandom(SALT_BYTES)
    digest = sha256(salt + args.reason.encode())
    _send(args, KIND_OBJECT, [1, _consignment(args.consignment), digest])
    print(f"objected; keep this to show your reason later: {salt.hex()}")
    return 0


def settle(args: argparse.Namespace) -> int:
    """Makes a verdict final whose window has ended."""
    _send(args, KIND_SETTLE, [1, _consignment(args.consignment)])
    print("final")
    return 0


# The chain machine -------------------------------------------------------------------------------


def _ask(home: Path, method: str, *request: object) -> Any:
    path = home / OPERATOR_SOCKET_NAME
    if not path.exists():
        raise ChainUnavailableError(f"{path}: not there; is `wharf chain run` running?")

    async def ask() -> Any:
        async with OperatorClient(path, timeout_s=ANSWER_S) as client:
            return await client.call(method, *request)

    return asyncio.run(ask())


def rows(home: Path, name: str) -> list[tuple[list[Any], list[Any]]]:
    """(key, value without version) of every state entry with this name."""
    return [(decode(key), decode(value)[1:]) for key, value in _ask(home, "Rows", name)]


def _row(home: Path, name: str, key: bytes) -> list[Any] | None:
    return next((row for known, row in rows(home, name) if known[1:] == [key]), None)


def _chain_id(home: Path) -> str:
    async def asked() -> str:
        async with machine_client(home) as (client, _):
            return (await client.status()).chain_id

    return asyncio.run(asked())


def _own(args: argparse.Namespace) -> tuple[bytes, FileSigner]:
    """This party's id and key; its id is that of its first key, so a later one needs --party-id."""
    signer = FileSigner(read_key(args.party_key))
    if args.party_id:
        return bytes.fromhex(args.party_id), signer
    return party_id_of(args.party, signer.alg, signer.public_key_der()), signer


def _send(args: argparse.Namespace, kind: int, body: list[Any]) -> None:
    """Signs and sends as this party; raises RefusedError."""
    party_id, signer = _own(args)

    async def sent() -> None:
        async with machine_client(args.home) as (client, _):
            status = await client.status()
            transaction = new_transaction(
                signer,
                chain_id=status.chain_id,
                kind=kind,
                sender=Sender(SENDER_PARTY, party_id),
                nonce=os.urandom(NONCE_BYTES),
                not_after=status.height + NOT_AFTER_AHEAD,
                body=body,
            )
            answer = await client.submit(await sign_transaction(transaction, signer))
        if answer.code:
            raise RefusedError(answer.code, answer.text)

    asyncio.run(sent())


def _interval(args: argparse.Namespace) -> tuple[int, int]:
    now_ms = time.time_ns() // 1_000_000
    return parse_moment(args.start, now_ms), parse_moment(args.end, now_ms)


def _consignment(text: str) -> bytes:
    try:
        found = bytes.fromhex(text)
    except ValueError:
        found = b""
    if len(found) not in (16, 32):
        raise MalformedError(f"consignment {text!r}: not 32 or 64 hexadecimal digits")
    return found


def _put(path: Path, paper: Paper) -> None:
    write(path, paper.encode())
    sys.stderr.write(f"{path}: {len(paper.signatures)} signatures\n")


def write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all: Ctrl-C leaves the one before."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)
