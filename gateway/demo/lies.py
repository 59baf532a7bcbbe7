"""`wharf demo --lie`: three ways to cheat with a good bundle, each refused in words."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

from ledger.entry import KIND_TELEMETRY, SALT_BYTES, decode_entry, encode_entry
from ledger.head import Head, decode_head
from ledger.proof_bundle import Bundle, FeedPart, decode_bundle
from ledger.signing import low_s
from ledger.verdict import Code, Outcome
from ledger.verify import verify_bundle

Say = Callable[[str], None]
Lie = Callable[[Bundle], Bundle]


def tell_lies(bundle: Path, genesis: bytes, say: Say) -> int:
    """Tells each lie to the verifier; 0 where all were refused."""
    good = decode_bundle(bundle.read_bytes())
    caught = True
    for name, lie in _LIES.items():
        verdict = verify_bundle(lie(good).encode(), trusted_genesis_sha256=genesis)
        reasons = verdict.values(Code.REFUTED) or verdict.values(Code.UNCHECKED)
        said = reasons[0]["reason"] if reasons else "nothing"
        refused = verdict.outcome != Outcome.PROVEN
        caught = caught and refused
        say(f"lie: {name}: {'refused' if refused else 'NOT FOUND OUT'}: {said}")
    return 0 if caught else 1


def edit_reading(bundle: Bundle) -> Bundle:
    """One reading made half a degree colder."""
    part = bundle.feeds[0]
    leaves = list(part.leaves)
    for index, leaf in enumerate(leaves):
        entry = decode_entry(leaf[SALT_BYTES:])
        if entry.kind == KIND_TELEMETRY:
            body = [entry.body[0], entry.body[1] - 5, *entry.body[2:]]
            leaves[index] = leaf[:SALT_BYTES] + encode_entry(replace(entry, body=body))
            break
    return _with(bundle, replace(part, leaves=tuple(leaves)))


def drop_hour(bundle: Bundle) -> Bundle:
    """The blocks from the middle of the span on to its end but one left out."""
    part = bundle.feeds[0]
    middle = len(part.headers) // 2
    headers = (*part.headers[:middle], *part.headers[middle + 1 :])
    return _with(bundle, replace(part, headers=headers))


def forge_head(bundle: Bundle) -> Bundle:
    """The same claim signed by another key."""
    part = bundle.feeds[0]
    head = decode_head(part.head)
    key = ec.generate_private_key(ec.SECP256R1())
    r, s = utils.decode_dss_signature(key.sign(head.claim.tbs(), ec.ECDSA(SHA256())))
    signature = low_s(r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    return _with(bundle, replace(part, head=Head(head.claim, signature).encode()))


def _with(bundle: Bundle, part: FeedPart) -> Bundle:
    feeds: Sequence[FeedPart] = (part, *bundle.feeds[1:])
    return replace(bundle, feeds=tuple(feeds))


_LIES: dict[str, Lie] = {
    "a reading edited": edit_reading,
    "an hour dropped": drop_hour,
    "a head forged": forge_head,
}
