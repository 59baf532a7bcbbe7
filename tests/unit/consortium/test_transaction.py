from typing import Any

import pytest

from consortium.errors import MalformedError
from consortium.transaction import TX_BYTES_MAX, decode_transaction
from ledger.canonical import decode, encode
from ledger.cose import sign1_decode, sign1_encode
from tests.fakes.small_chain import admission, draft

GOOD = admission("carrier")


def changed(
    path: tuple[int, ...], value: object, *, unprotected: dict[int, int] | None = None
) -> bytes:
    """The good transaction with one part of its protected header replaced (None: removed)."""
    parts = sign1_decode(GOOD)
    labels: dict[Any, Any] = decode(parts.protected)
    at: Any = labels
    for step in path[:-1]:
        at = at[step]
    if path and value is None:
        del at[path[-1]]
    elif path:
        at[path[-1]] = value
    return sign1_encode(
        protected=encode(labels),
        payload=parts.payload,
        signature=parts.signature,
        unprotected=unprotected,
    )


def test_a_transaction_survives_its_own_encoding() -> None:
    transaction = decode_transaction(GOOD)
    assert (1, "wharf-test", 1_000) == (
        transaction.kind,
        transaction.chain_id,
        transaction.not_after,
    )
    assert changed((), None) == GOOD
    assert transaction.tx_id == draft(1, transaction.body).tx_id


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ((16,), "application/wharf-head+cose"),
        ((16,), None),
        ((99,), 1),
        ((1,), "EdDSA"),
        ((4,), b"short"),
        ((-70212,), []),
        ((-70212, 0), 2),
        ((-70212, 1), 5),
        ((-70212, 3), [1]),
        ((-70212, 3), [3, b"p" * 16]),
        ((-70212, 3), [1, b"short"]),
        ((-70212, 4), b"short"),
        ((-70212, 5), -1),
    ],
)
def test_a_header_of_another_shape_is_malformed(path: tuple[int, ...], value: object) -> None:
    with pytest.raises(MalformedError):
        decode_transaction(changed(path, value))


def test_unprotected_labels_are_malformed() -> None:
    with pytest.raises(MalformedError):
        decode_transaction(changed((), None, unprotected={4: 1}))


def test_an_oversized_transaction_is_not_decoded() -> None:
    with pytest.raises(MalformedError, match="more than"):
        decode_transaction(bytes(TX_BYTES_MAX + 1))
