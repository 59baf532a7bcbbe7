"""Evidence of a bad run: enough for anybody to see that a gateway sealed what it must not have.

    evidence     = [ 1, head: bstr, header-proof, audience, run-head: bstr, run-body: bstr,
                     ciphertext: bstr, run-key: bstr .size 32 ]
    header-proof = [ block-header: bstr, [* hash] ]       ; under the head's header tree

The run key opens this one run and nothing else. Whoever accuses can choose the key and the
ciphertext, so only what the signed head binds counts: a key or ciphertext that is not the bound one
is no proof, and neither is a run that opens well.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ledger.block import BlockHeader, Run, RunBody, decode_header, decode_run_body, decode_run_head
from ledger.canonical import decode, encode
from ledger.errors import FormatError, LimitError, OpeningError, ProofError
from ledger.head import Head, decode_head
from ledger.merkle import verify_inclusion
from ledger.opening import OpenedRun, open_run
from ledger.sealed import KEY_BYTES, RunKey, place_of, run_key
from ledger.signing import PublicKey

VERSION: Final = 1
EVIDENCE_BYTES_MAX: Final = 64 << 20


class Opinion(StrEnum):
    """What a judge may find. There is no "innocent": a run that opens well is no proof."""

    BAD = "bad"
    NO_PROOF = "no proof"
    NOT_GRANTED = "not granted"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True)
class Judgement:
    """An opinion; `reason` is one of the closed list 1 to 11 where it is BAD, else None."""

    opinion: Opinion
    reason: int | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """The parts of an accusation, nothing of it checked."""

    head: bytes
    header: bytes
    header_path: tuple[bytes, ...]
    audience: int
    run_head: bytes
    run_body: bytes
    ciphertext: bytes
    run_key: bytes

    def encode(self) -> bytes:
        """Canonical bytes."""
        return encode(
            [
                VERSION, self.head, [self.header, list(self.header_path)], self.audience,
                self.run_head, self.run_body, self.ciphertext, self.run_key,
            ]
        )  # fmt: skip  # one line per group reads as the format does


def decode_evidence(data: bytes) -> Evidence:
    """The accusation in these bytes; raises InputError subclasses."""
    if len(data) > EVIDENCE_BYTES_MAX:
        raise LimitError("evidence size in bytes", len(data), EVIDENCE_BYTES_MAX)
    value = _shape(decode(data), int, bytes, list, int, bytes, bytes, bytes, bytes)
    if value[0] != VERSION or len(value[7]) != KEY_BYTES:
        raise FormatError("evidence", "version or key length")
    header, path = _shape(value[2], bytes, list)
    return Evidence(
        head=value[1],
        header=header,
        header_path=tuple(path),
        audience=value[3],
        run_head=value[4],
        run_body=value[5],
        ciphertext=value[6],
        run_key=value[7],
    )


def _shape(value: object, *types: type) -> list[Any]:
    if not isinstance(value, list) or tuple(type(item) for item in value) != types:
        raise FormatError("evidence", "elements of wrong types")
    return value


def judge(data: bytes, key: PublicKey) -> Judgement:
    """What the evidence shows; `key` is the feed's, from the chain. Never raises."""
    try:
        return _judge(decode_evidence(data), key)
    except Exception as error:  # noqa: BLE001  # whatever breaks a judge must never read as guilt
        return Judgement(Opinion.UNDECIDED, text=str(error))


def _judge(evidence: Evidence, key: PublicKey) -> Judgement:
    header = decode_header(evidence.header)
    try:
        check_bound(evidence, header, key)
        opened = _open(evidence, header)
    except ProofError as error:
        return Judgement(Opinion.NO_PROOF, text=str(error))
    except OpeningError as error:
        if error.reason is None:
            return Judgement(Opinion.NO_PROOF, text=str(error))
        return Judgement(Opinion.BAD, error.reason, str(error))
    return Judgement(Opinion.NO_PROOF, text=f"the run opens, {len(opened.entries)} entries")


def check_bound(evidence: Evidence, header: BlockHeader, key: PublicKey) -> None:
    """Raises ProofError or SignatureError unless the head binds header, run head and run body."""
    head = decode_head(evidence.head)
    head.verify(key)
    named = (header.feed_id, header.epoch)
    if named != (head.claim.feed_id, head.claim.epoch):
        raise ProofError("the header is of another feed or epoch")
    verify_inclusion(
        leaf_hash=header.digest,
        index=header.height,
        size=head.claim.height + 1,
        path=evidence.header_path,
        root=head.claim.block_root,
    )
    run_head, run_body = decode_run_head(evidence.run_head), decode_run_body(evidence.run_body)
    if header.run_digest(evidence.audience) != run_head.digest:
        raise ProofError("the run head is not the header's")
    if run_head.body_digest != run_body.digest:
        raise ProofError("the run body is not the run head's")


def _open(evidence: Evidence, header: BlockHeader) -> OpenedRun:
    head = decode_run_head(evidence.run_head)
    place = place_of(header, audience=evidence.audience, key_epoch=head.key_epoch)
    return open_run(
        header=header,
        audience=evidence.audience,
        head=head,
        body=decode_run_body(evidence.run_body),
        ciphertext=evidence.ciphertext,
        key=RunKey(evidence.run_key, place),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What a reader found of a run: it opened, or an opinion with the key that shows it."""

    opened: OpenedRun | None = None
    judgement: Judgement | None = None
    run_key: bytes | None = None


def examine_run(header: BlockHeader, run: Run, granted: Sequence[bytes]) -> Examined:
    """Opens a run with the audience keys that were granted to this reader for its key epoch.

    A run that none of them fits is "not granted": whether the gateway or the reader is to blame
    cannot be shown to anybody else.
    """
    place = place_of(header, audience=run.audience, key_epoch=run.head.key_epoch)
    fitting = _fitting(granted, run.body, place)
    if fitting is None:
        return Examined(
            judgement=Judgement(Opinion.NOT_GRANTED, text="no granted key is the run's")
        )
    try:
        opened = open_run(
            header=header,
            audience=run.audience,
            head=run.head,
            body=run.body,
            ciphertext=run.ciphertext,
            key=fitting,
        )
    except OpeningError as error:
        opinion = Opinion.NO_PROOF if error.reason is None else Opinion.BAD
        return Examined(
            judgement=Judgement(opinion, error.reason, str(error)), run_key=fitting.secret
        )
    return Examined(opened=opened, run_key=fitting.secret)


def _fitting(granted: Sequence[bytes], body: RunBody, place: Any) -> RunKey | None:
    keys = (run_key(secret, body.run_salt, place) for secret in granted)
    return next((key for key in keys if key.commitment == body.key_commit), None)


def evidence_of(
    head: Head, header: BlockHeader, run: Run, *, header_path: Sequence[bytes], secret: bytes
) -> Evidence:
    """The accusation over a run with its run key; header_path leads to the head's block root."""
    return Evidence(
        head=head.encode(),
        header=header.encode(),
        header_path=tuple(header_path),
        audience=run.audience,
        run_head=run.head.encode(),
        run_body=run.body.encode(),
        ciphertext=run.ciphertext,
        run_key=secret,
    )
