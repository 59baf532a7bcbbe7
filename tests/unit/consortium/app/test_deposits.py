"""Kinds 50 and 51: who deposited what, and who looked at it."""

import pytest

from consortium.app.refusal import Code
from consortium.transaction import KIND_ACCESS, KIND_DEPOSIT
from ledger.canonical import decode, encode
from tests.fakes.small_chain import SmallChain, admission, tx

DIGEST, OTHER = b"d" * 32, b"o" * 32


def chain() -> SmallChain:
    made = SmallChain()
    made.block(admission("carrier"), admission("stranger"))
    return made


def send(made: SmallChain, kind: int, body: list[object], name: str = "carrier") -> Code:
    (result,) = made.block(tx(kind, body, name, nonce=bytes([made.app.height]) * 16))
    return result.code


def held(made: SmallChain, name: str) -> list[object] | None:
    value = made.app.state.map.get(encode([name, DIGEST]))
    return None if value is None else decode(value)


def test_a_deposit_has_its_depositor_and_its_time() -> None:
    made = chain()
    assert Code.ACCEPTED == send(made, KIND_DEPOSIT, [1, DIGEST, 1])
    row = held(made, "deposit")
    assert row is not None
    assert [1, 1] == [row[0], row[2]]
    assert held(made, "accesses") is None


def test_the_same_again_changes_nothing_and_another_cannot_claim_it() -> None:
    made = chain()
    send(made, KIND_DEPOSIT, [1, DIGEST, 1])
    row = held(made, "deposit")
    assert Code.ACCEPTED == send(made, KIND_DEPOSIT, [1, DIGEST, 1])
    assert Code.DEPOSIT_EXISTS == send(made, KIND_DEPOSIT, [1, DIGEST, 1], "stranger")
    assert Code.DEPOSIT_EXISTS == send(made, KIND_DEPOSIT, [1, DIGEST, 2])
    assert row == held(made, "deposit")


def test_each_look_by_anybody_counts() -> None:
    made = chain()
    send(made, KIND_DEPOSIT, [1, DIGEST, 1])
    for action, name in ((1, "stranger"), (2, "carrier"), (3, "stranger")):
        assert Code.ACCEPTED == send(made, KIND_ACCESS, [1, DIGEST, action], name)
    row = held(made, "accesses")
    assert row is not None
    assert 3 == row[1]


@pytest.mark.parametrize(
    ("kind", "body", "code"),
    [
        (KIND_ACCESS, [1, OTHER, 1], Code.DEPOSIT_UNKNOWN),
        (KIND_ACCESS, [1, DIGEST, 0], Code.BODY_WRONG),
        (KIND_ACCESS, [1, DIGEST, 4], Code.BODY_WRONG),
        (KIND_DEPOSIT, [1, b"short", 1], Code.BODY_WRONG),
        (KIND_DEPOSIT, [1, DIGEST, 9], Code.BODY_WRONG),
        (KIND_DEPOSIT, [2, DIGEST, 1], Code.BODY_WRONG),
        (KIND_DEPOSIT, [1, DIGEST], Code.BODY_WRONG),
        (KIND_DEPOSIT, [1, DIGEST, "1"], Code.BODY_WRONG),
    ],
)
def test_what_is_out_of_form_is_refused_by_name(kind: int, body: list[object], code: Code) -> None:
    made = chain()
    send(made, KIND_DEPOSIT, [1, b"x" * 32, 3])
    roots = made.app.state.roots
    assert code == send(made, kind, body)
    assert roots == made.app.state.roots
