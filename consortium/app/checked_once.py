"""What was found out once and is asked again: at the door, as proposal, as decision.

A memory of pure functions' results, in no hash and in no decision: without it, all comes out the
same and later. What it holds is bounded in bytes, whoever fills it.
"""

from collections import OrderedDict
from functools import lru_cache
from typing import Final

from consortium.transaction import Transaction, decode_transaction
from ledger.errors import SignatureError
from ledger.feed import AnchorItem, AnchorState, check_anchor
from ledger.hashing import sha256
from ledger.signing import PublicKey

SIGNATURES_MAX: Final = 16_384
TRANSACTIONS_MAX: Final = 8_192
TRANSACTION_BYTES_MAX: Final = 2_048  # larger ones are few, and are taken apart anew
ANCHORS_MAX: Final = 2_048  # about 5 kB each
KEYS_MAX: Final = 4_096

_signatures: OrderedDict[bytes, bool] = OrderedDict()


@lru_cache(maxsize=KEYS_MAX)
def public_key(alg: int, spki: bytes) -> PublicKey:
    """The key in its usable form; raises FormatError."""
    return PublicKey(alg, spki)


def verifies(key: PublicKey, tbs: bytes, signature: bytes) -> bool:
    """Whether a signature holds."""
    # Algorithm and key are of fixed meaning and length once the key is made.
    place = sha256(sha256(key.spki) + sha256(tbs) + signature)
    known = _signatures.get(place)
    if known is None:
        if len(_signatures) >= SIGNATURES_MAX:
            _signatures.popitem(last=False)
        known = _signatures[place] = _verifies(key, tbs, signature)
    return known


def _verifies(key: PublicKey, tbs: bytes, signature: bytes) -> bool:
    try:
        key.verify(tbs, signature)
    except SignatureError:
        return False
    return True


def taken_apart(data: bytes) -> Transaction:
    """The transaction in these bytes, signature not checked; raises MalformedError."""
    return _small(data) if len(data) <= TRANSACTION_BYTES_MAX else decode_transaction(data)


_small = lru_cache(maxsize=TRANSACTIONS_MAX)(decode_transaction)


@lru_cache(maxsize=ANCHORS_MAX)
def anchor_state(previous: AnchorState | None, item: AnchorItem, key: PublicKey) -> AnchorState:
    """The state after a head, whatever its date; raises AnchorError."""
    return check_anchor(previous, item, key)
