"""Our receipts in the hands of a verifier that we did not write: `scitt-cose`, at a pinned version.

It lives in an environment of its own under `.cache`, made once. It takes what it must take, and
also three things that ours refuses: a relabelled tree size, a high S, foreign unprotected labels.
"""

import json
import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
)

from ledger.canonical import encode
from ledger.cose import sign1_decode, sign1_encode
from ledger.errors import LedgerError
from ledger.hashing import leaf_hash
from ledger.head import (
    NO_HEAD,
    Head,
    HeadClaim,
    verify_consistency_receipt,
    verify_inclusion_receipt,
)
from ledger.merkle import MemoryTree
from ledger.signing import EDDSA, ES256, P256_ORDER
from tests.unit.ledger.feed_builder import FeedBuilder, seed

PINNED = "scitt-cose==0.5.0"
ROOT = Path(__file__).resolve().parents[3]
DRIVER = Path(__file__).with_name("foreign_verifier.py")
SIZES = range(2, 1025)

Asked = dict[str, Any]


@pytest.fixture(name="python", scope="session")
def _python() -> Path:
    """The interpreter of the foreign verifier's environment."""
    folder = ROOT / ".cache" / PINNED.replace("==", "-")
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        ran = subprocess.run([*pip, PINNED], capture_output=True, text=True, check=False)
        if ran.returncode:
            pytest.skip(f"{PINNED} could not be installed: {ran.stderr.strip()[-300:]}")
        (folder / "ready").touch()
    return python


def answers(python: Path, questions: list[Asked]) -> list[bool]:
    text = "".join(json.dumps(asked) + "\n" for asked in questions)
    ran = subprocess.run(
        [str(python), str(DRIVER)], input=text, capture_output=True, text=True, check=True
    )
    said = [json.loads(line) for line in ran.stdout.splitlines()]
    assert len(questions) == len(said)
    return [bool(answer["ok"]) for answer in said]


LEAVES = [seed(f"leaf {number}") for number in range(1024)]
TREE = MemoryTree([leaf_hash(leaf) for leaf in LEAVES])


def pem(feed: FeedBuilder) -> str:
    key = load_der_public_key(feed.key.spki)
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def head(feed: FeedBuilder, size: int) -> Head:
    claim = HeadClaim(
        alg=feed.alg,
        kid=feed.key.kid,
        issuer="party",
        subject="gateway",
        issued_at_s=1_767_225_600,
        feed_id=feed.feed[0],
        epoch=0,
        height=size // 2,
        size=size,
        counter=None,
        block_root=seed("row"),
        prev_head_digest=NO_HEAD,
        root=TREE.root(size),
    )
    return Head(claim, feed.sign(claim.tbs()))


def inclusion(feed: FeedBuilder, receipt: bytes, index: int) -> Asked:
    return {
        "ask": "inclusion",
        "receipt": receipt.hex(),
        "leaf": LEAVES[index].hex(),
        "key": pem(feed),
    }


def receipts_of(feed: FeedBuilder, size: int) -> list[Asked]:
    """Receipts of three leaves and three older sizes, each judged good by ours first."""
    signed = head(feed, size)
    asked = []
    for index in sorted({0, size // 2, size - 1}):
        receipt = signed.inclusion_receipt(index, TREE.inclusion_path(index, size))
        verify_inclusion_receipt(receipt, leaf_hash(LEAVES[index]), feed.key)
        asked.append(inclusion(feed, receipt, index))
    for old in sorted({1, (size + 1) // 2, size - 1}):
        receipt = signed.consistency_receipt(old, TREE.consistency_path(old, size))
        roots = {"old_root": TREE.root(old), "new_root": TREE.root(size)}
        verify_consistency_receipt(receipt, old_size=old, key=feed.key, **roots)
        texts = {name: root.hex() for name, root in roots.items()}
        question = {"ask": "consistency", "receipt": receipt.hex(), "old_size": old}
        asked.append({**question, **texts, "key": pem(feed)})
    return asked


@pytest.mark.parametrize("alg", [ES256, EDDSA])
def test_our_receipts_verify_for_others(python: Path, alg: int) -> None:
    feed = FeedBuilder(alg=alg)
    questions = [asked for size in SIZES for asked in receipts_of(feed, size)]
    refused = [
        asked["ask"]
        for asked, ok in zip(questions, answers(python, questions), strict=True)
        if not ok
    ]
    assert refused == []


def test_receipts_that_are_wrong_are_refused_by_both(python: Path) -> None:
    feed = FeedBuilder(alg=ES256)
    signed = head(feed, 8)
    path = TREE.inclusion_path(5, 8)
    good = signed.inclusion_receipt(5, path)
    other = FeedBuilder("other", alg=ES256)
    wrong = [
        inclusion(feed, good, 4),
        inclusion(other, good, 5),
        inclusion(feed, signed.inclusion_receipt(4, path), 5),
        inclusion(feed, signed.inclusion_receipt(5, path[:-1]), 5),
        inclusion(feed, good[:-1] + bytes([good[-1] ^ 1]), 5),
    ]
    assert [False] * len(wrong) == answers(python, wrong)
    for asked, key in zip(wrong, [feed.key, other.key, *[feed.key] * 3], strict=True):
        leaf = leaf_hash(bytes.fromhex(asked["leaf"]))
        with pytest.raises(LedgerError):
            verify_inclusion_receipt(bytes.fromhex(asked["receipt"]), leaf, key)


def test_what_others_take_and_ours_refuses_is_what_we_know_of(python: Path) -> None:
    feed = FeedBuilder(alg=ES256)
    signed = head(feed, 8)
    path = TREE.inclusion_path(5, 8)
    parts = sign1_decode(signed.inclusion_receipt(5, path))
    s = P256_ORDER - int.from_bytes(parts.signature[32:], "big")

    def again(unprotected: dict[Any, Any], signature: bytes) -> bytes:
        return sign1_encode(
            protected=parts.protected, unprotected=unprotected, payload=None, signature=signature
        )

    lies = [
        again({396: {-1: [encode([7, 5, path])]}}, parts.signature),
        again(parts.unprotected, parts.signature[:32] + s.to_bytes(32, "big")),
        again({**parts.unprotected, 33: b"chain"}, parts.signature),
    ]
    assert [True] * 3 == answers(python, [inclusion(feed, lie, 5) for lie in lies])
    for lie in lies:
        with pytest.raises(LedgerError):
            verify_inclusion_receipt(lie, leaf_hash(LEAVES[5]), feed.key)
