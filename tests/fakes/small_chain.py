"""A chain of one party in memory: the application alone, blocks made by hand."""

from collections.abc import Coroutine, Sequence

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.app.application import Application, FinalizedBlock
from consortium.app.apply import TxResult
from consortium.app.state import genesis_state
from consortium.file_keys import FileSigner
from consortium.transaction import (
    KIND_ANCHORS,
    KIND_GATEWAY,
    KIND_PARTY,
    SENDER_GATEWAY,
    SENDER_PARTY,
    Sender,
    Transaction,
    new_transaction,
    sign_transaction,
)
from ledger.canonical import encode
from ledger.chain_genesis import Genesis, GenesisParty, party_id_of
from ledger.comet import Validator
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

    def __init__(self) -> None:
        self.marks = set[bytes]()
        self.app = Application(
            genesis(), state=genesis_state(genesis()), height=0, marks=self.marks
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
