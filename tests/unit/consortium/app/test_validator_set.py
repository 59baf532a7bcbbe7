"""Validator changes are the difference of two states, in one order, with 0 for who is gone."""

from consortium.app.validator_set import VALIDATORS_KEY, validator_set, validator_updates
from ledger.canonical import encode
from ledger.comet import Validator, in_set_order
from ledger.state_map import StateMap

A, B, C = b"a" * 32, b"b" * 32, b"c" * 32


def state(**rows: int) -> StateMap:
    names = {"a": A, "b": B, "c": C}
    value = [1, [[names[name], power, b"p" * 16] for name, power in rows.items()]]
    return StateMap().set(VALIDATORS_KEY, encode(value))


def test_what_changed_came_or_went_is_told_keys_ascending() -> None:
    assert validator_updates(state(c=5, b=7), state(a=1, b=8)) == ((A, 1), (B, 8), (C, 0))


def test_a_state_that_keeps_its_powers_tells_nothing() -> None:
    assert validator_updates(state(a=1), state(a=1)) == ()
    assert validator_updates(StateMap(), StateMap()) == ()


def test_the_set_stands_in_set_order() -> None:
    assert validator_set(state(a=1, b=9, c=1)) == in_set_order(
        [Validator(A, 1), Validator(B, 9), Validator(C, 1)]
    )
