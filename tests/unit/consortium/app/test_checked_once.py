"""What is remembered of checks: never a wrong answer, and never more than its bound."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.app import checked_once
from consortium.app.checked_once import public_key, taken_apart, verifies
from consortium.file_keys import FileSigner
from ledger.hashing import sha256
from ledger.signing import EDDSA
from tests.fakes.small_chain import SmallChain, admission, at_once, signer, tx


def test_a_signature_is_remembered_for_its_key_and_its_bytes_alone() -> None:
    one, two = signer("one"), signer("two")
    keys = [public_key(EDDSA, item.public_key_der()) for item in (one, two)]
    signature = at_once(one.sign(b"message"))
    for _ in range(2):
        assert verifies(keys[0], b"message", signature)
        assert not verifies(keys[1], b"message", signature)
        assert not verifies(keys[0], b"messagf", signature)
        assert not verifies(keys[0], b"message", at_once(one.sign(b"other")))


def test_no_more_signatures_are_kept_than_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checked_once, "SIGNATURES_MAX", 4)
    own = FileSigner(Ed25519PrivateKey.from_private_bytes(sha256(b"bound")))
    key = public_key(EDDSA, own.public_key_der())
    before = len(checked_once._signatures)
    for number in range(10):
        assert not verifies(key, b"%d" % number, bytes(64))
    assert len(checked_once._signatures) <= max(4, before)


def test_a_body_that_is_changed_by_who_reads_it_is_not_the_next_readers() -> None:
    data = tx(5, [1, [[b"f" * 16, 0, 1, b"d" * 32]]])
    taken_apart(data).body[1].clear()
    assert taken_apart(data) is taken_apart(data)
    assert len(taken_apart(data).body[1]) == 1


def test_a_chain_that_forgot_everything_comes_to_the_same_state() -> None:
    hashes = []
    for _ in range(2):
        chain = SmallChain()
        chain.block(admission("carrier"))
        hashes.append(chain.app.app_hash)
        checked_once._signatures.clear()
        checked_once._small.cache_clear()
        checked_once.anchor_state.cache_clear()
    assert hashes[0] == hashes[1]
