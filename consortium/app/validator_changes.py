"""What may become of the validator set, and what no vote can do to it.

A change is bounded so that no single block hands the chain over: one change a block; never fewer
than the safe number; between four or more organisations none with a third of the power, and no more
than a third of it moved at once. A key that left never comes back.
"""

from typing import Any, Final

from consortium.app.parties import is_suspended, require_party
from consortium.app.possession import require_validator_possession
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from ledger.chain_genesis import POWER_MAX, VALIDATORS_MAX
from ledger.comet import Validator, in_set_order

Rows = dict[bytes, tuple[int, bytes]]  # Ed25519 key -> (power, party id)

STATUS_IN: Final = 1
STATUS_SUSPENDED: Final = 2
STATUS_OUT: Final = 3
PARTIES_SAFE: Final = 4
# CometBFT panics above int64 max / 8.
TOTAL_POWER_MAX: Final = ((1 << 63) - 1) // 8


def validators(draft: Draft) -> Rows:
    """The set as it now stands."""
    row = draft.get("validators")
    return {key: (power, party_id) for key, power, party_id in row[0]} if row else {}


def voters(draft: Draft) -> set[bytes]:
    """Parties with a vote: one each, however many validators or however much power they have."""
    parties = {party_id for _, party_id in validators(draft).values()}
    return {party_id for party_id in parties if not is_suspended(draft, party_id)}


def validator_party(draft: Draft, key: bytes) -> bytes:
    """The party behind a validator, in the set or suspended."""
    rows = validators(draft)
    if key in rows:
        return rows[key][1]
    known = draft.get("validator", key)
    if known is None or known[2] != STATUS_SUSPENDED:
        raise Refused(Code.ACTION_UNFIT, "no such validator")
    party_id: bytes = known[0]
    return party_id


def enter(draft: Draft, row: list[Any], context: BlockContext) -> None:
    """Takes (key, power, party, proof) into the set."""
    key, power, party_id, proof = row
    require_party(draft, party_id)
    _require_fresh(draft, key)
    require_validator_possession(proof, chain_id=context.chain_id, party_id=party_id, key=key)
    _change(draft, {key: (power, party_id)}, context)


def rotate(draft: Draft, row: list[Any], context: BlockContext) -> None:
    """Puts (old key, new key, proof) in each other's place; party and power stay."""
    old, new, proof = row
    power, party_id = _require_in(draft, old)
    _require_fresh(draft, new)
    require_validator_possession(proof, chain_id=context.chain_id, party_id=party_id, key=new)
    _note(draft, old, (power, party_id), STATUS_OUT, context)
    _change(draft, {old: None, new: (power, party_id)}, context)


def suspend(draft: Draft, row: list[Any], context: BlockContext) -> None:
    """Takes a validator out of the set for a while."""
    _leave(draft, row[0], STATUS_SUSPENDED, context)


def remove(draft: Draft, row: list[Any], context: BlockContext) -> None:
    """Takes a validator out for good, from the set or from its suspension."""
    (key,) = row
    if key in validators(draft):
        _leave(draft, key, STATUS_OUT, context)
        return
    _note(draft, key, _suspended(draft, key), STATUS_OUT, context)


def restore(draft: Draft, row: list[Any], context: BlockContext) -> None:
    """Takes a suspended validator back with the power that it had."""
    (key,) = row
    _change(draft, {key: _suspended(draft, key)}, context)


def change_power(draft: Draft, row: list[Any], context: BlockContext) -> None:
    """Gives a validator (key) another power."""
    key, power = row
    old, party_id = _require_in(draft, key)
    if power == old:
        raise Refused(Code.ACTION_UNFIT, "the validator has this power")
    _change(draft, {key: (power, party_id)}, context)


def _leave(draft: Draft, key: bytes, status: int, context: BlockContext) -> None:
    _note(draft, key, _require_in(draft, key), status, context)
    _change(draft, {key: None}, context)


def _require_in(draft: Draft, key: bytes) -> tuple[int, bytes]:
    row = validators(draft).get(key)
    if row is None:
        raise Refused(Code.ACTION_UNFIT, "no validator of the set has this key")
    return row


def _suspended(draft: Draft, key: bytes) -> tuple[int, bytes]:
    known = draft.get("validator", key)
    if known is None or known[2] != STATUS_SUSPENDED:
        raise Refused(Code.ACTION_UNFIT, "the validator is not suspended")
    return known[1], known[0]


def _require_fresh(draft: Draft, key: bytes) -> None:
    if key in validators(draft) or draft.get("validator", key) is not None:
        raise Refused(Code.KEY_IN_USE, "the key is or was a validator's")


def _note(
    draft: Draft, key: bytes, row: tuple[int, bytes], status: int, context: BlockContext
) -> None:
    power, party_id = row
    draft.put(("validator", key), party_id, power, status, context.time_ms)


def _change(
    draft: Draft, changes: dict[bytes, tuple[int, bytes] | None], context: BlockContext
) -> None:
    before = validators(draft)
    merged = {**before, **changes}
    after = {key: row for key, row in merged.items() if row is not None}
    _require_open(draft, context)
    _require_sound(before, after, context)
    in_order = in_set_order(Validator(key, power) for key, (power, _) in after.items())
    rows = [[item.key, item.power, after[item.key][1]] for item in in_order]
    draft.put(("validators",), rows)
    draft.put(("validators-changed",), context.height)
    for key, row in changes.items():
        if row is not None:
            _note(draft, key, row, STATUS_IN, context)


def _require_open(draft: Draft, context: BlockContext) -> None:
    if context.rules.validators_fixed:
        raise Refused(Code.VALIDATORS_FIXED, "this engine has one validator set for good")
    last = draft.get("validators-changed")
    if last is not None and last[0] == context.height:
        raise Refused(Code.CHANGE_PENDING, "the set changes in this block: send it for the next")


def _require_sound(before: Rows, after: Rows, context: BlockContext) -> None:
    if len(after) < context.rules.validators_min:
        raise Refused(
            Code.VALIDATORS_TOO_FEW, f"never fewer than {context.rules.validators_min} validators"
        )
    total, total_before = _total(after), _total(before)
    legal = all(0 < power <= POWER_MAX for power, _ in after.values())
    if not legal or total > TOTAL_POWER_MAX or len(after) > VALIDATORS_MAX:
        raise Refused(Code.POWER_BOUND, "power or number of validators out of range")
    ours, theirs = _by_party(before), _by_party(after)
    moved = sum(abs(theirs.get(id_, 0) - ours.get(id_, 0)) for id_ in ours.keys() | theirs.keys())
    if moved > (total_before // 3 if len(ours) >= PARTIES_SAFE else total_before):
        raise Refused(Code.POWER_BOUND, "more power moves than one block may move")
    if len(theirs) >= PARTIES_SAFE and 3 * max(theirs.values()) >= total:
        raise Refused(Code.POWER_BOUND, "one organisation would hold a third of the power")


def _total(rows: Rows) -> int:
    return sum(power for power, _ in rows.values())


def _by_party(rows: Rows) -> dict[bytes, int]:
    sums: dict[bytes, int] = {}
    for power, party_id in rows.values():
        sums[party_id] = sums.get(party_id, 0) + power
    return sums
