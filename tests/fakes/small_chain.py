"""A chain of one party in memory: the application alone, blocks made by hand."""

from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.app.application import Application, FinalizedBlock
from consortium.app.apply import TxResult
from consortium.app.possession import possession_bytes
from consortium.app.refusal import Code
from consortium.app.state import genesis_state
from consortium.file_keys import FileSigner
from consortium.transaction import (
    KIND_ANCHORS,
    KIND_DELEGATE,
    KIND_GATEWAY,
    KIND_PARTY,
    SENDER_GATEWAY,
    SENDER_PARTY,
    Sender,
    Transaction,
    new_transaction,
    sign_transaction,
)
from ledger.canonical import decode, encode
from ledger.chain_genesis import Genesis, GenesisParty, party_id_of
from ledger.comet import Validator, in_set_order
from ledger.feed import AnchorItem
from ledger.hashing import sha256
from tests.fakes.gateway_feed import GatewayFeed

CHAIN_ID = "wharf-test"
TIME_NS = 1_767_225_600_000_000_000


def at_once(signing: Coroutine[object, None, bytes]) -> bytes:
    """What a file key signs: it never waits, so no event loop is asked."""
    try:
        signing.send(None)
    except StopIteration as done:
        return bytes(done.value)
    raise AssertionError


def signer(name: str) -> FileSigner:
    """The key of a party or gateway with this name."""
    return FileSigner(Ed25519PrivateKey.from_private_bytes(sha256(name.encode())))


def party_id(name: str) -> bytes:
    """The id of a party with this name."""
    own = signer(name)
    return party_id_of(name, own.alg, own.public_key_der())


def genesis() -> Genesis:
    """One operator named "operator" with the one validator key."""
    own = signer("operator")
    party = GenesisParty("operator", own.alg, own.public_key_der(), 1)
    return Genesis(
        chain_id=CHAIN_ID,
        app_version=1,
        time_ms=TIME_NS // 1_000_000,
        validators=((Validator(b"v" * 32, 10), party.party_id),),
        parties=(party,),
        block_bytes_max=4 << 20,
        admission_votes_min=1,
    )


def validator_key(name: str) -> bytes:
    """The Ed25519 key of 32 bytes of a validator with this name."""
    public = signer(f"validator {name}").public_key_der()
    return public[-32:]


def founded_by(*names: str, votes_min: int = 3) -> Genesis:
    """A chain of operators with these names, one validator of power 10 each."""
    parties = tuple(
        GenesisParty(name, signer(name).alg, signer(name).public_key_der(), 1) for name in names
    )
    ids = {validator_key(name): party_id(name) for name in names}
    ordered = in_set_order(Validator(key, 10) for key in ids)
    return replace(
        genesis(),
        validators=tuple((item, ids[item.key]) for item in ordered),
        parties=parties,
        admission_votes_min=votes_min,
    )


def key_proof(name: str, party: str) -> bytes:
    """The key with this name signs that it is there for a party."""
    own = signer(name)
    tbs = possession_bytes(CHAIN_ID, party_id(party), own.public_key_der())
    return at_once(own.sign(tbs))


def validator_proof(name: str, party: str) -> bytes:
    """The validator key with this name signs that it is there for a party."""
    tbs = possession_bytes(CHAIN_ID, party_id(party), validator_key(name))
    return at_once(signer(f"validator {name}").sign(tbs))


def delegation(
    name: str,
    party: str,
    kinds: Sequence[int],
    *,
    title: int = 1,
    feeds: Sequence[bytes] = (),
    until_height: int | None = 100,
    until_ms: int | None = None,
) -> bytes:
    """A party lets the key with this name act for it."""
    own = signer(name)
    body = [
        1, name, title, own.alg, own.public_key_der(), key_proof(name, party),
        list(kinds), list(feeds), until_height, until_ms,
    ]  # fmt: skip  # in the order of the format
    return tx(KIND_DELEGATE, body, party)


def delegate_tx(name: str, party: str, kind: int, body: object, *, not_after: int = 1_000) -> bytes:
    """A transaction that a delegate signs in a party's name."""
    sender = Sender(SENDER_PARTY, party_id(party))
    return sign(draft(kind, body, name, sender=sender, not_after=not_after), name)


def sign(transaction: Transaction, name: str) -> bytes:
    """The transaction's bytes under the key with this name."""
    return at_once(sign_transaction(transaction, signer(name)))


def draft(
    kind: int,
    body: object,
    name: str = "operator",
    *,
    sender: Sender | None = None,
    not_after: int = 1_000,
    nonce: bytes | None = None,
    chain_id: str = CHAIN_ID,
) -> Transaction:
    """An unsigned transaction; the nonce follows from the body unless given."""
    return new_transaction(
        signer(name),
        chain_id=chain_id,
        kind=kind,
        sender=sender or Sender(SENDER_PARTY, party_id(name)),
        nonce=nonce or sha256(encode([kind, body, name]))[:16],
        not_after=not_after,
        body=body,
    )


def tx(kind: int, body: object, name: str = "operator", *, nonce: bytes | None = None) -> bytes:
    """A transaction signed by a party with this name."""
    return sign(draft(kind, body, name, nonce=nonce), name)


def admission(name: str, role: int = 2) -> bytes:
    """The operator admits a party with this name."""
    own = signer(name)
    return tx(KIND_PARTY, [1, name, own.alg, own.public_key_der(), role])


def enrolment(feed: GatewayFeed, name: str = "operator", level: int = 0) -> bytes:
    """A party enrols a feed."""
    body = [1, feed.feed_id, -8, feed.spki, feed.genesis_leaf, "gateway", level, []]
    return tx(KIND_GATEWAY, body, name)


def anchors(
    items: Sequence[AnchorItem], name: str = "operator", nonce: bytes | None = None
) -> bytes:
    """A transaction with these heads."""
    return tx(KIND_ANCHORS, [1, [item.to_value() for item in items]], name, nonce=nonce)


def gateway_tx(feed: GatewayFeed, kind: int, body: object) -> bytes:
    """A transaction that a gateway signs itself."""
    own = FileSigner(feed.key)
    transaction = new_transaction(
        own,
        chain_id=CHAIN_ID,
        kind=kind,
        sender=Sender(SENDER_GATEWAY, feed.feed_id),
        nonce=sha256(encode([kind, body]))[:16],
        not_after=1_000,
        body=body,
    )
    return at_once(sign_transaction(transaction, own))


class SmallChain:
    """Blocks on demand, kept state and marks in memory."""

    def __init__(self, founded: Genesis | None = None, *, validators_fixed: bool = False) -> None:
        self.marks = set[bytes]()
        founded = founded or genesis()
        self.app = Application(
            founded,
            state=genesis_state(founded),
            height=0,
            marks=self.marks,
            validators_fixed=validators_fixed,
        )

    def finalize(self, *txs: bytes) -> FinalizedBlock:
        """The next block's outcome, not committed."""
        height = self.app.height + 1
        return self.app.finalize_block(
            height=height, time_ns=TIME_NS + height * 1_000_000_000, txs=txs
        )

    def block(self, *txs: bytes) -> tuple[TxResult, ...]:
        """Results of a committed block."""
        finalized = self.finalize(*txs)
        self.marks.update(finalized.outcome.marks)
        self.app.commit(finalized.outcome)
        return finalized.results

    def get(self, *key: object) -> bytes | None:
        """The stored value of a key."""
        return self.app.state.map.get(encode(key))

    def row(self, *key: object) -> list[Any] | None:
        """The decoded value of a key, without its version."""
        value = self.get(*key)
        return decode(value)[1:] if value is not None else None

    def code(self, data: bytes) -> Code:
        """The outcome's code in a committed block; a refusal must leave no trace."""
        before = self.app.app_hash
        finalized = self.finalize(data)
        code = finalized.results[0].code
        if code != Code.ACCEPTED:
            outcome = finalized.outcome
            assert before == finalized.app_hash
            assert ({}, (), {}) == (outcome.puts, outcome.leaves, outcome.marks)
        self.marks.update(finalized.outcome.marks)
        self.app.commit(finalized.outcome)
        return code
