"""Hostile transactions from a seed: each with the codes that may answer it, never ACCEPTED."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from random import Random
from typing import Any

from consortium.app.refusal import Code
from consortium.transaction import (
    KIND_DELEGATE,
    KIND_END_KEY,
    NOT_AFTER_AHEAD_MAX,
    SENDER_GATEWAY,
    SENDER_PARTY,
    TX_BYTES_MAX,
    Sender,
    Transaction,
    decode_transaction,
)
from ledger.canonical import encode
from ledger.conflict import conflict_of_heads
from ledger.cose import sign1_encode
from tests.fakes.gateway_feed import GatewayFeed
from tests.fakes.small_chain import (
    CHAIN_ID,
    SmallChain,
    admission,
    anchors,
    delegation,
    draft,
    enrolment,
    founded_by,
    key_proof,
    party_id,
    sign,
    signer,
    tx,
    validator_key,
    validator_proof,
)

FEED, OTHER = GatewayFeed("cold room").grow(4), GatewayFeed("truck").grow(2)
FORK = GatewayFeed("cold room").grow(3, "another history")
DIGEST = b"d" * 32
ANY = frozenset(Code) - {Code.ACCEPTED}

Hostile = tuple[str, bytes, frozenset[Code]]


def chain() -> SmallChain:
    """A chain with something of everything: votes are not needed to admit, but they work."""
    on = SmallChain(founded_by("operator", "bank", "store", "port", votes_min=1))
    on.block(admission("carrier"), admission("court", 7), admission("gone"))
    on.block(enrolment(FEED), anchors([FEED.item(None, 1)]))
    on.block(delegation("driver", "carrier", [5, 6], title=2, until_height=9_000))
    on.block(delegation("left", "carrier", [6]))
    on.block(tx(KIND_END_KEY, [1, signer("left").kid], "carrier"))
    propose = tx(9, [1, [2, party_id("gone")], 9_000], "operator")
    on.block(propose)
    proposal_id = decode_transaction(propose).tx_id
    on.block(*(tx(10, [1, proposal_id, True], name) for name in ("bank", "store")))
    assert on.row("suspended", party_id("gone")) is not None
    return on


def _good_bodies() -> list[tuple[int, list[Any], str]]:
    """(kind, body, sender) that the chain of `chain` would take."""
    new, truck = signer("new"), OTHER
    officer = [
        1, "new", 1, new.alg, new.public_key_der(), key_proof("new", "operator"), [2, 7], [],
        500, None,
    ]  # fmt: skip  # in the order of the format
    come_in = [5, validator_key("p2"), 3, party_id("port"), validator_proof("p2", "port")]
    return [
        (1, [1, "new", new.alg, new.public_key_der(), 2], "operator"),
        (2, [1, truck.feed_id, -8, truck.spki, truck.genesis_leaf, "g", 0, []], "operator"),
        (3, [1, FEED.feed_id, [["probe", 1, DIGEST, 0, None]]], "operator"),
        (4, [1, [FEED.item(1, 3).to_value()]], "operator"),
        (5, [1, [[FEED.feed_id, 0, 0, DIGEST]]], "carrier"),
        (6, [1, [[FEED.feed_id, 0, 0, 1, DIGEST, True]]], "court"),
        (7, [1, FEED.feed_id], "operator"),
        (8, [1, FEED.feed_id, 2, conflict_of_heads(FORK.head(2), FEED.head(2))], "court"),
        (9, [1, come_in, 500], "operator"),
        (9, [1, [2, party_id("carrier")], 500], "bank"),
        (11, [1, new.alg, new.public_key_der(), key_proof("new", "carrier")], "carrier"),
        (12, [1, party_id("carrier"), "LEI", "506700GE1G29325QX363"], "court"),
        (KIND_DELEGATE, officer, "operator"),
        (KIND_END_KEY, [1, signer("driver").kid], "carrier"),
        (15, [1, FEED.feed_id, 1, FEED.head(1), 13], "operator"),
    ]


def good_transactions() -> list[bytes]:
    """What the hostile ones are made from; each is accepted on its own."""
    return [tx(kind, body, name) for kind, body, name in _good_bodies()]


def hostile(seed: int, count: int) -> Iterator[Hostile]:
    """`count` hostile transactions for `chain`, the same for a seed in every process."""
    random, goods = Random(seed), _good_bodies()
    for number in range(count):
        kind, body, name = random.choice(goods)
        nonce = random.randbytes(16)
        unsigned = replace(draft(kind, body, name), nonce=nonce)
        make = _MADE[number % len(_MADE)]
        yield make(random, unsigned, name)


def _sent(transaction: Transaction, signature: bytes) -> bytes:
    return sign1_encode(
        protected=transaction.protected(), payload=transaction.payload, signature=signature
    )


def _bytes_changed(random: Random, good: Transaction, name: str) -> Hostile:
    data = bytearray(sign(good, name))
    for _ in range(random.randint(1, 4)):
        data[random.randrange(len(data))] ^= random.randint(1, 255)
    return "bytes changed", bytes(data), ANY


def _cut(random: Random, good: Transaction, name: str) -> Hostile:
    data = sign(good, name)
    return "cut", data[: random.randrange(len(data))], frozenset({Code.MALFORMED})


def _noise(random: Random, good: Transaction, name: str) -> Hostile:
    del good, name
    return "noise", random.randbytes(random.randrange(300)), frozenset({Code.MALFORMED})


def _longer(random: Random, good: Transaction, name: str) -> Hostile:
    more = random.randbytes(random.randint(1, 40))
    return "bytes behind", sign(good, name) + more, frozenset({Code.MALFORMED})


def _oversized(random: Random, good: Transaction, name: str) -> Hostile:
    size = TX_BYTES_MAX + random.randint(1, 99)
    return "oversized", sign(good, name) + bytes(size), frozenset({Code.OVERSIZED})


def _unsigned(random: Random, good: Transaction, name: str) -> Hostile:
    del random, name
    return "unsigned", _sent(good, bytes(64)), frozenset({Code.SIGNATURE_WRONG})


def _signature_cut(random: Random, good: Transaction, name: str) -> Hostile:
    del name
    signature = random.randbytes(random.choice([0, 1, 63, 65]))
    return "signature cut", _sent(good, signature), frozenset({Code.MALFORMED})


def _signed_by_other(random: Random, good: Transaction, name: str) -> Hostile:
    other = random.choice([n for n in ("operator", "carrier", "nobody") if n != name])
    return "signed by another", sign(good, other), frozenset({Code.SIGNATURE_WRONG})


def _signed_elsewhere(random: Random, good: Transaction, name: str) -> Hostile:
    """A signature of the right key over another transaction."""
    other = sign(replace(good, nonce=random.randbytes(16)), name)
    signature = decode_transaction(other).signature
    return "another's signature", _sent(good, signature), frozenset({Code.SIGNATURE_WRONG})


def _other_chain(random: Random, good: Transaction, name: str) -> Hostile:
    chain_id = random.choice(["", "wharf", CHAIN_ID + "2", CHAIN_ID.upper()])
    return (
        "other chain",
        sign(replace(good, chain_id=chain_id), name),
        frozenset({Code.OTHER_CHAIN}),
    )


def _expired(random: Random, good: Transaction, name: str) -> Hostile:
    late = replace(good, not_after=random.randint(0, 3))
    return "expired", sign(late, name), frozenset({Code.EXPIRED})


def _too_far(random: Random, good: Transaction, name: str) -> Hostile:
    far = replace(good, not_after=NOT_AFTER_AHEAD_MAX + random.randint(100, 1 << 40))
    return "expiry too far", sign(far, name), frozenset({Code.EXPIRY_TOO_FAR})


def _unknown_kind(random: Random, good: Transaction, name: str) -> Hostile:
    kind = random.choice([-1, 0, 99, 1 << 40])
    return "unknown kind", sign(replace(good, kind=kind), name), frozenset({Code.KIND_UNKNOWN})


def _unknown_sender(random: Random, good: Transaction, name: str) -> Hostile:
    sender = Sender(random.choice([SENDER_PARTY, SENDER_GATEWAY]), random.randbytes(16))
    return (
        "unknown sender",
        sign(replace(good, sender=sender), name),
        frozenset({Code.SENDER_UNKNOWN}),
    )


def _for_another(random: Random, good: Transaction, name: str) -> Hostile:
    """The own key in another party's name."""
    other = random.choice([n for n in ("bank", "store", "port") if n != name])
    sender = Sender(SENDER_PARTY, party_id(other))
    return (
        "in another's name",
        sign(replace(good, sender=sender), name),
        frozenset({Code.KEY_NOT_SENDERS}),
    )


def _ended_sender(random: Random, good: Transaction, name: str) -> Hostile:
    """A suspended organisation, and a delegate whose time is over."""
    if random.random() < 0.5:
        data = sign(replace(_of(good, "gone"), nonce=random.randbytes(16)), "gone")
        return "suspended", data, frozenset({Code.PARTY_SUSPENDED})
    del name
    data = sign(replace(_of(good, "left", "carrier"), nonce=random.randbytes(16)), "left")
    return "delegation over", data, frozenset({Code.DELEGATION_ENDED})


def _out_of_scope(random: Random, good: Transaction, name: str) -> Hostile:
    del name
    kind = random.choice([1, 2, 3, 4, 7, 8, 9, 10, 11, 12, 13, 14, 15])
    mine = replace(_of(good, "driver", "carrier"), kind=kind, nonce=random.randbytes(16))
    return "out of scope", sign(mine, "driver"), frozenset({Code.OUT_OF_SCOPE})


def _unauthorised(random: Random, good: Transaction, name: str) -> Hostile:
    del name
    kind = random.choice([1, 2, 3, 4, 5, 7, 15])
    mine = replace(_of(good, "court"), kind=kind, nonce=random.randbytes(16))
    return "unauthorised", sign(mine, "court"), frozenset({Code.UNAUTHORISED})


def _of(good: Transaction, name: str, party: str | None = None) -> Transaction:
    sender = Sender(SENDER_PARTY, party_id(party or name))
    return replace(good, kid=signer(name).kid, sender=sender)


def _body_changed(random: Random, good: Transaction, name: str) -> Hostile:
    """One element, however deep, becomes a map: no kind has one anywhere."""
    value = good.body
    at = value
    while True:
        index = random.randrange(len(at))
        if not isinstance(at[index], list) or not at[index] or random.random() < 0.3:
            break
        at = at[index]
    at[index] = {}
    return "body changed", sign(replace(good, payload=encode(value)), name), ANY


def _body_noise(random: Random, good: Transaction, name: str) -> Hostile:
    value: object = random.choice(
        [None, [], [1], {}, 7, b"", "text", [2, *good.body[1:]], [good.body]]
    )
    return "another body", sign(replace(good, payload=encode(value)), name), ANY


def _body_no_cbor(random: Random, good: Transaction, name: str) -> Hostile:
    payload = good.payload + random.randbytes(random.randint(1, 9))
    return (
        "payload no CBOR",
        sign(replace(good, payload=payload), name),
        frozenset({Code.BODY_WRONG}),
    )


Made = Callable[[Random, Transaction, str], Hostile]
_MADE: list[Made] = [
    _bytes_changed, _cut, _noise, _longer, _oversized, _unsigned, _signature_cut, _signed_by_other,
    _signed_elsewhere, _other_chain, _expired, _too_far, _unknown_kind, _unknown_sender,
    _for_another, _ended_sender, _out_of_scope, _unauthorised, _body_changed, _body_noise,
    _body_no_cbor,
]  # fmt: skip  # a list of names
