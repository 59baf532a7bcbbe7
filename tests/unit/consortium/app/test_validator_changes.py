"""The validator set under vote: who comes and goes, and what no vote can do."""

import pytest

from consortium.app.actions import (
    SUSPEND,
    VALIDATOR_IN,
    VALIDATOR_POWER,
    VALIDATOR_REMOVE,
    VALIDATOR_RESTORE,
    VALIDATOR_ROTATE,
    VALIDATOR_SUSPEND,
)
from consortium.app.refusal import Code
from consortium.transaction import KIND_PROPOSE, KIND_VOTE, decode_transaction
from tests.fakes.small_chain import (
    SmallChain,
    founded_by,
    party_id,
    tx,
    validator_key,
    validator_proof,
)

FIVE = ("harbour", "carrier", "bank", "store", "port")


def chain(*names: str) -> SmallChain:
    return SmallChain(founded_by(*(names or FIVE)))


def proposal(action: list[object], name: str = "harbour") -> tuple[bytes, bytes]:
    data = tx(KIND_PROPOSE, [1, action, 90], name)
    return data, decode_transaction(data).tx_id


def vote_through(on: SmallChain, action: list[object], *names: str) -> list[Code]:
    """Codes of the proposal and of each further vote."""
    data, proposal_id = proposal(action, names[0])
    ballots = [tx(KIND_VOTE, [1, proposal_id, True], name) for name in names[1:]]
    return [on.code(item) for item in (data, *ballots)]


def keys_of(on: SmallChain) -> set[bytes]:
    row = on.row("validators")
    assert row is not None
    return {key for key, _, _ in row[0]}


def entry(name: str, party: str, power: int = 5) -> list[object]:
    key = validator_key(name)
    return [VALIDATOR_IN, key, power, party_id(party), validator_proof(name, party)]


def test_a_validator_comes_in_by_vote_and_the_engine_is_told_in_that_block() -> None:
    on = chain()
    data, proposal_id = proposal(entry("port two", "port"))
    on.block(data, tx(KIND_VOTE, [1, proposal_id, True], "carrier"))
    last = on.finalize(tx(KIND_VOTE, [1, proposal_id, True], "bank"))
    assert ((validator_key("port two"), 5),) == last.validator_updates
    assert on.finalize().validator_updates == ()


def test_a_key_changes_place_with_the_next_and_never_comes_back() -> None:
    on = chain()
    old, new = validator_key("bank"), validator_key("bank two")
    action = [VALIDATOR_ROTATE, old, new, validator_proof("bank two", "bank")]
    data, proposal_id = proposal(action, "bank")
    on.block(data, *(tx(KIND_VOTE, [1, proposal_id, True], n) for n in ("harbour", "store")))
    last = on.finalize(tx(KIND_VOTE, [1, proposal_id, True], "port"))
    assert tuple(sorted([(old, 0), (new, 10)])) == last.validator_updates
    on.block(tx(KIND_VOTE, [1, proposal_id, True], "port"))
    again = [VALIDATOR_IN, old, 10, party_id("bank"), validator_proof("bank", "bank")]
    assert on.code(proposal(again)[0]) == Code.KEY_IN_USE


def test_a_suspended_validator_comes_back_with_its_power_or_leaves_for_good() -> None:
    on = chain()
    key, others = validator_key("port"), ("harbour", "carrier", "bank")
    vote_through(on, [VALIDATOR_SUSPEND, key], *others)
    assert key not in keys_of(on)
    vote_through(on, [VALIDATOR_RESTORE, key], *others)
    assert key in keys_of(on)
    vote_through(on, [VALIDATOR_SUSPEND, key], *reversed(others))
    vote_through(on, [VALIDATOR_REMOVE, key], *others)
    assert on.code(proposal([VALIDATOR_RESTORE, key], "store")[0]) == Code.ACTION_UNFIT
    assert key not in keys_of(on)


def test_the_set_never_gets_smaller_than_is_safe() -> None:
    on = chain()
    others = ("harbour", "carrier", "bank")
    assert vote_through(on, [VALIDATOR_REMOVE, validator_key("port")], *others)[-1] == 0
    for action in (VALIDATOR_REMOVE, VALIDATOR_SUSPEND):
        refused = proposal([action, validator_key("store")])[0]
        assert on.code(refused) == Code.VALIDATORS_TOO_FEW


def test_a_chain_of_one_keeps_its_one_validator() -> None:
    on = SmallChain(founded_by("harbour", votes_min=1))
    code = on.code(proposal([VALIDATOR_REMOVE, validator_key("harbour")])[0])
    assert code == Code.VALIDATORS_TOO_FEW


@pytest.mark.parametrize("power", [0, -1, 17, 25, (1 << 50) + 1])
def test_power_that_would_move_too_much_or_give_a_third_is_refused(power: int) -> None:
    assert chain().code(proposal(entry("port two", "port", power))[0]) == Code.POWER_BOUND


def test_power_is_counted_by_organisation_and_not_by_validator() -> None:
    on = chain()
    names = ("harbour", "carrier", "bank")
    assert vote_through(on, entry("port two", "port"), *names)[-1] == Code.ACCEPTED
    assert on.code(proposal(entry("port three", "port", 6))[0]) == Code.POWER_BOUND


def test_one_change_a_block() -> None:
    on = chain()
    first, second = proposal(entry("p2", "port", 5)), proposal(entry("b2", "bank", 5), "store")
    votes = [tx(KIND_VOTE, [1, item[1], True], n) for n in ("carrier",) for item in (first, second)]
    on.block(first[0], second[0], *votes)
    last = [tx(KIND_VOTE, [1, first[1], True], "bank"), tx(KIND_VOTE, [1, second[1], True], "port")]
    assert [Code.ACCEPTED, Code.CHANGE_PENDING] == [r.code for r in on.block(*last)]
    assert on.code(last[1]) == Code.ACCEPTED


def test_a_validator_key_that_did_not_sign_for_its_party_stays_out() -> None:
    key = validator_key("port two")
    action = [VALIDATOR_IN, key, 10, party_id("port"), validator_proof("port two", "bank")]
    assert chain().code(proposal(action)[0]) == Code.KEY_NOT_PROVEN
    short = [VALIDATOR_IN, key[:31], 10, party_id("port"), validator_proof("port two", "port")]
    assert chain().code(proposal(short)[0]) == Code.BODY_WRONG


def test_a_validators_power_may_change_within_the_bounds() -> None:
    on, key = chain(), validator_key("port")
    votes = vote_through(on, [VALIDATOR_POWER, key, 12], "harbour", "carrier", "bank")
    assert votes[-1] == Code.ACCEPTED
    assert on.code(proposal([VALIDATOR_POWER, key, 12], "bank")[0]) == Code.ACTION_UNFIT
    unknown = [VALIDATOR_POWER, validator_key("nobody"), 12]
    assert on.code(proposal(unknown)[0]) == Code.ACTION_UNFIT


def test_nobody_votes_about_its_own_validator() -> None:
    on = chain()
    data, proposal_id = proposal([VALIDATOR_SUSPEND, validator_key("port")])
    on.block(data)
    assert on.code(tx(KIND_VOTE, [1, proposal_id, True], "port")) == Code.NO_VOTE


def test_an_engine_with_one_set_for_good_changes_none() -> None:
    on = SmallChain(founded_by("harbour", votes_min=1), validators_fixed=True)
    assert on.code(proposal(entry("h2", "harbour"))[0]) == Code.VALIDATORS_FIXED
    assert on.code(proposal([SUSPEND, b"x" * 16])[0]) == Code.PARTY_UNKNOWN
