"""Kind 8: evidence against a feed, from whoever holds it. It freezes the feed's anchors.

Body: [ 1, feed-id, form, evidence: bstr ]

    form 1: a head that excludes what is anchored        evidence = head
    form 2: two heads that no one history holds          evidence = `ledger.conflict`
    form 3: a run that should not have been sealed       evidence = `ledger.evidence`
    form 4: a head whose row of headers was another      evidence = [ 1, head, row: hash, [* hash] ]
            at the anchored height: the path leads from `row`, over the anchored number of headers,
            to the head's own

Heads must verify under keys of the feed, present, earlier or revoked: who signed twice is the
point, not when.
Form 2 holds for trees of different sizes too: it shows what the higher head's row of headers, or
its header at the lower head's height, was then.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from consortium.app.anchors import anchored_state
from consortium.app.gateway_row import gateway_row
from consortium.app.parties import require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.transaction import KIND_CONFLICT, Transaction, fields
from ledger.block import decode_run_head
from ledger.canonical import decode
from ledger.conflict import check_conflict, exclude_each_other, verify_under
from ledger.errors import InputError, RefutedError
from ledger.evidence import Opinion, decode_evidence, judge
from ledger.hashing import tagged
from ledger.head import HeadClaim, decode_head
from ledger.merkle import verify_consistency
from ledger.signing import PublicKey

Keys = Sequence[PublicKey]
PATH_HASHES_MAX: Final = 64
FORM_ANCHORED, FORM_HEADS, FORM_RUN, FORM_ROW = 1, 2, 3, 4


@dataclass(frozen=True, slots=True)
class Shown:
    """What evidence shows: the feed's place, digests of both sides, the largest size signed."""

    feed_id: bytes
    epoch: int
    sides: tuple[bytes, bytes]
    size_max: int


def report(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Freezes the feed's epoch if the evidence holds; one that is frozen stays as it is."""
    version, feed_id, form, evidence = fields(transaction.body, int, bytes, int, bytes)
    require_version(version)
    row, show = gateway_row(draft, feed_id), _FORMS.get(form)
    if show is None:
        raise Refused(Code.BODY_WRONG, f"form {form} is not known")
    keys = [PublicKey(alg, spki) for alg, spki in row.keys]
    try:
        shown = show(draft, evidence, keys)
    except (InputError, RefutedError) as error:
        raise Refused(Code.NO_CONFLICT, str(error)) from error
    if shown.feed_id != feed_id:
        raise Refused(Code.NO_CONFLICT, "the evidence is about another feed")
    frozen = draft.get("frozen", feed_id)
    if frozen is not None and frozen[4] >= shown.epoch:
        return (Code.ACCEPTED,)
    digests = sorted(shown.sides)
    digest = tagged("wharf/conflict/1", b"".join(digests))
    draft.put(("frozen", feed_id), digest, context.time_ms, *digests, shown.epoch, shown.size_max)
    draft.record(0, KIND_CONFLICT, feed_id, shown.epoch, digest, form, evidence)
    return (Code.ACCEPTED,)


def _against_anchored(draft: Draft, evidence: bytes, keys: Keys) -> Shown:
    head = decode_head(evidence)
    verify_under(head, keys)
    claim = head.claim
    anchored = anchored_state(draft, claim.feed_id, claim.epoch)
    if anchored is None or not exclude_each_other(claim, anchored):
        raise Refused(Code.NO_CONFLICT, "the head does not exclude what is anchored")
    sides = (claim.digest, anchored.head_digest)
    return Shown(claim.feed_id, claim.epoch, sides, max(claim.size, anchored.size))


def _row_against_anchored(draft: Draft, evidence: bytes, keys: Keys) -> Shown:
    version, data, row, path = fields(decode(evidence), int, bytes, bytes, list)
    require_version(version)
    head = decode_head(data)
    verify_under(head, keys)
    claim = head.claim
    anchored = anchored_state(draft, claim.feed_id, claim.epoch)
    if anchored is None or claim.height < anchored.height or row == anchored.block_root:
        raise Refused(Code.NO_CONFLICT, "the head's row does not exclude what is anchored")
    if len(path) > PATH_HASHES_MAX or any(type(item) is not bytes for item in path):
        raise Refused(Code.NO_CONFLICT, "the path is not a list of hashes")
    verify_consistency(
        old_size=anchored.height + 1,
        new_size=claim.height + 1,
        old_root=row,
        new_root=claim.block_root,
        path=path,
    )
    sides = (claim.digest, anchored.head_digest)
    return Shown(claim.feed_id, claim.epoch, sides, max(claim.size, anchored.size))


def _two_heads(draft: Draft, evidence: bytes, keys: Keys) -> Shown:
    del draft  # the evidence is enough
    lower, higher = check_conflict(evidence, *keys)
    return _of_claims(lower, higher)


def _of_claims(lower: HeadClaim, higher: HeadClaim) -> Shown:
    sides = (lower.digest, higher.digest)
    return Shown(lower.feed_id, lower.epoch, sides, max(lower.size, higher.size))


def _bad_run(draft: Draft, evidence: bytes, keys: Keys) -> Shown:
    del draft  # the evidence is enough
    parts = decode_evidence(evidence)
    claim = decode_head(parts.head).claim
    key = next((key for key in keys if key.kid == claim.kid), None)
    if key is None:
        raise Refused(Code.NO_CONFLICT, "the head is of a key that is not the feed's")
    judgement = judge(evidence, key)
    if judgement.opinion != Opinion.BAD:
        raise Refused(Code.NO_CONFLICT, f"{judgement.opinion.value}: {judgement.text}")
    run = decode_run_head(parts.run_head)
    return Shown(claim.feed_id, claim.epoch, (claim.digest, run.digest), claim.size)


_FORMS: Final[Mapping[int, Callable[[Draft, bytes, Keys], Shown]]] = {
    FORM_ANCHORED: _against_anchored,
    FORM_HEADS: _two_heads,
    FORM_RUN: _bad_run,
    FORM_ROW: _row_against_anchored,
}
