"""Votes: one an organisation, none about oneself, a threshold from genesis, an end."""

import pytest

from consortium.app.actions import ADMIT, NEXT_KEY, RESTORE, SUSPEND, VALIDATOR_REMOVE
from consortium.app.proposals import votes_needed
from consortium.app.refusal import Code
from consortium.app.state import Draft
from consortium.transaction import KIND_PARTY, KIND_PROPOSE, KIND_VOTE, decode_transaction
from tests.fakes.small_chain import (
    SmallChain,
    founded_by,
    key_proof,
    party_id,
    signer,
    tx,
    validator_key,
)

FOUNDERS = ("harbour", "carrier", "bank", "store")
GLEIF_LEI = "506700GE1G29325QX363"


def chain() -> SmallChain:
    return SmallChain(founded_by(*FOUNDERS))


def admission_of(name: str, role: int = 2) -> list[object]:
    own = signer(name)
    return [ADMIT, name, own.alg, own.public_key_der(), role, "LEI", GLEIF_LEI]


def proposed(action: list[object], name: str = "harbour", until: int = 50) -> tuple[bytes, bytes]:
    """(transaction, proposal id)."""
    data = tx(KIND_PROPOSE, [1, action, until], name)
    return data, decode_transaction(data).tx_id


def ballot(proposal_id: bytes, name: str, *, yes: bool = True) -> bytes:
    return tx(KIND_VOTE, [1, proposal_id, yes], name)


def decided(on: SmallChain, action: list[object], *names: str) -> Code:
    """The code of the last vote; the first name proposes."""
    data, proposal_id = proposed(action, names[0])
    code = on.code(data)
    for name in names[1:]:
        code = on.code(ballot(proposal_id, name))
    return code


def test_an_organisation_is_admitted_by_the_vote_that_reaches_the_threshold() -> None:
    on = chain()
    data, proposal_id = proposed(admission_of("newcomer"))
    assert on.code(data) == Code.ACCEPTED
    assert on.code(ballot(proposal_id, "carrier")) == Code.ACCEPTED
    assert on.get("party", party_id("newcomer")) is None
    assert on.code(ballot(proposal_id, "store")) == Code.ACCEPTED
    assert on.row("party", party_id("newcomer")) is not None
    said = on.row("identity", party_id("newcomer"))
    assert said is not None
    assert ["LEI", GLEIF_LEI, party_id("harbour")] == said[0][0][:3]
    assert on.code(ballot(proposal_id, "bank")) == Code.PROPOSAL_CLOSED


def test_no_operator_admits_alone_where_votes_are_needed() -> None:
    body = [1, "newcomer", -8, signer("newcomer").public_key_der(), 2]
    assert chain().code(tx(KIND_PARTY, body, "harbour")) == Code.VOTE_NEEDED


def test_a_vote_counts_once_and_cannot_be_turned() -> None:
    on = chain()
    data, proposal_id = proposed(admission_of("newcomer"))
    on.block(data)
    again = tx(KIND_VOTE, [1, proposal_id, True], "harbour", nonce=b"another nonce 16")
    assert on.code(again) == Code.ACCEPTED
    assert on.code(ballot(proposal_id, "harbour", yes=False)) == Code.VOTED_ALREADY
    row = on.row("proposal", proposal_id)
    assert row is not None
    assert [party_id("harbour")] == row[4]


def test_nobody_votes_about_itself() -> None:
    on = chain()
    data, proposal_id = proposed([SUSPEND, party_id("carrier")], "carrier")
    assert on.code(data) == Code.ACCEPTED
    row = on.row("proposal", proposal_id)
    assert row is not None
    assert row[4] == []
    assert on.code(ballot(proposal_id, "carrier")) == Code.NO_VOTE


def test_a_party_without_a_validator_has_no_vote_and_proposes_nothing() -> None:
    on = chain()
    decided(on, admission_of("newcomer"), "harbour", "carrier", "bank")
    data, proposal_id = proposed([SUSPEND, party_id("bank")])
    on.block(data)
    assert on.code(ballot(proposal_id, "newcomer")) == Code.NO_VOTE
    assert on.code(proposed([SUSPEND, party_id("bank")], "newcomer")[0]) == Code.NO_VOTE


def test_a_proposal_expires_by_height_and_may_not_live_for_ever() -> None:
    on = chain()
    data, proposal_id = proposed(admission_of("newcomer"), until=2)
    assert on.code(data) == Code.ACCEPTED
    assert on.code(ballot(proposal_id, "carrier")) == Code.ACCEPTED
    assert on.code(ballot(proposal_id, "store")) == Code.PROPOSAL_CLOSED
    assert on.code(proposed(admission_of("x"), until=1)[0]) == Code.BODY_WRONG
    assert on.code(proposed(admission_of("x"), until=200_000)[0]) == Code.BODY_WRONG


def test_enough_no_votes_close_a_proposal() -> None:
    on = chain()
    data, proposal_id = proposed(admission_of("newcomer"))
    on.block(data)
    for name in ("carrier", "bank"):
        assert on.code(ballot(proposal_id, name, yes=False)) == Code.ACCEPTED
    assert on.code(ballot(proposal_id, "store")) == Code.PROPOSAL_CLOSED


def test_a_suspended_party_sends_nothing_until_it_is_restored() -> None:
    on = chain()
    others = ("harbour", "bank", "store")
    assert decided(on, [SUSPEND, party_id("carrier")], *others) == Code.ACCEPTED
    data, proposal_id = proposed([RESTORE, party_id("carrier")])
    assert on.code(ballot(proposal_id, "carrier")) == Code.PARTY_SUSPENDED
    assert on.code(proposed([SUSPEND, party_id("carrier")], "bank")[0]) == Code.ACTION_UNFIT
    assert on.code(data) == Code.ACCEPTED
    for name in ("bank", "store"):
        on.block(ballot(proposal_id, name))
    assert on.row("suspended", party_id("carrier")) != [None, None]
    assert on.code(proposed(admission_of("later"), "carrier")[0]) == Code.ACCEPTED
    assert on.code(proposed([RESTORE, party_id("carrier")], "bank")[0]) == Code.ACTION_UNFIT


def test_a_suspended_party_has_no_vote_left_in_what_is_open() -> None:
    on = chain()
    data, proposal_id = proposed(admission_of("newcomer"), "carrier")
    on.block(data)
    decided(on, [SUSPEND, party_id("carrier")], "harbour", "bank", "store")
    for name in ("harbour", "bank"):
        on.block(ballot(proposal_id, name))
    assert on.get("party", party_id("newcomer")) is None
    on.block(ballot(proposal_id, "store"))
    assert on.get("party", party_id("newcomer")) is not None


def test_a_lost_key_is_replaced_by_the_vote_of_the_others() -> None:
    on = chain()
    own, others = signer("carrier next"), ("harbour", "bank", "store")
    action = [
        NEXT_KEY, party_id("carrier"), own.alg, own.public_key_der(),
        key_proof("carrier next", "carrier"),
    ]  # fmt: skip  # in the order of the format
    assert decided(on, action, *others) == Code.ACCEPTED
    assert on.code(proposed(admission_of("x"), "carrier")[0]) == Code.KEY_REVOKED
    row = on.row("party", party_id("carrier"))
    assert row is not None
    assert ["carrier", own.public_key_der()] == [row[0], row[2]]


@pytest.mark.parametrize(
    ("action", "code"),
    [
        ([], Code.BODY_WRONG),
        ([99], Code.BODY_WRONG),
        ([True], Code.BODY_WRONG),
        ([SUSPEND], Code.BODY_WRONG),
        ([SUSPEND, "carrier"], Code.BODY_WRONG),
        ([SUSPEND, b"x" * 16], Code.PARTY_UNKNOWN),
        ([RESTORE, party_id("carrier")], Code.ACTION_UNFIT),
        ([*admission_of("x")[:-1], "506700GE1G29325QX364"], Code.LEGAL_ID_WRONG),
        ([*admission_of("x")[:4], 9, "LEI", GLEIF_LEI], Code.BODY_WRONG),
        ([NEXT_KEY, party_id("bank"), -8, b"no key", bytes(64)], Code.BODY_WRONG),
        (
            [NEXT_KEY, party_id("bank"), -8, signer("n").public_key_der(), bytes(64)],
            Code.KEY_NOT_PROVEN,
        ),
        (
            [NEXT_KEY, party_id("bank"), -8, signer("n").public_key_der(), key_proof("n", "store")],
            Code.KEY_NOT_PROVEN,
        ),
        ([VALIDATOR_REMOVE, validator_key("nobody")], Code.ACTION_UNFIT),
    ],
)
def test_what_cannot_be_done_is_not_put_to_the_vote(action: list[object], code: Code) -> None:
    assert chain().code(proposed(action)[0]) == code


def test_open_proposals_are_bounded_for_each_and_for_all() -> None:
    on = chain()
    for number in range(8):
        assert on.code(proposed(admission_of(f"new {number}"))[0]) == Code.ACCEPTED
    assert on.code(proposed(admission_of("one more"))[0]) == Code.TOO_MANY_OPEN
    assert on.code(proposed(admission_of("one more"), "bank")[0]) == Code.ACCEPTED


def test_an_unknown_proposal_takes_no_vote() -> None:
    assert chain().code(ballot(b"p" * 32, "bank")) == Code.PROPOSAL_UNKNOWN


@pytest.mark.parametrize(
    ("eligible", "votes_min", "needed"),
    [(0, 1, 0), (1, 1, 1), (1, 3, 1), (3, 1, 2), (3, 3, 3), (4, 3, 3), (10, 3, 6), (10, 9, 9)],
)
def test_a_decision_needs_the_genesis_number_and_more_than_half(
    eligible: int, votes_min: int, needed: int
) -> None:
    assert votes_needed(eligible, votes_min) == needed


def test_a_vote_is_logged_with_what_it_led_to() -> None:
    on = chain()
    data, proposal_id = proposed(admission_of("newcomer"))
    on.block(data)
    leaves = on.finalize(*(ballot(proposal_id, name) for name in ("bank", "store"))).outcome.leaves
    assert [10, 1, 12, 10] == [leaf.record[0] for leaf in leaves]
    assert (10, proposal_id, party_id("store"), True, 2) == leaves[-1].record
    assert Draft(on.app.state.map, on.marks).get("proposals") == [[proposal_id]]
