"""What the organisations may decide by vote: a table from action to its form and what it does.

action = [ 1, name, alg, spki, role, scheme, number ]   ; admit an organisation, legal id verified
       / [ 2, party-id ] / [ 3, party-id ]              ; suspend it, restore it
       / [ 4, party-id, alg, spki, proof ]              ; its next key, where the old one is lost
       / [ 5, key, power, party-id, proof ]             ; a validator comes in
       / [ 6, old-key, new-key, proof ]                 ; its key changes
       / [ 7, key ] / [ 8, key ] / [ 9, key ]           ; it is suspended, restored, removed
       / [ 10, key, power ]                             ; its power changes
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from consortium.app import validator_changes
from consortium.app.parties import (
    is_suspended,
    put_identity,
    put_new_party,
    put_party_key,
    require_party,
)
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.errors import MalformedError
from consortium.transaction import fields

ADMIT, SUSPEND, RESTORE, NEXT_KEY = 1, 2, 3, 4
VALIDATOR_IN, VALIDATOR_ROTATE, VALIDATOR_SUSPEND = 5, 6, 7
VALIDATOR_RESTORE, VALIDATOR_REMOVE, VALIDATOR_POWER = 8, 9, 10

Row = list[Any]  # an action without its number


@dataclass(frozen=True, slots=True)
class Action:
    """`types` of the row; `concerned`: the party that has no vote in it; `apply` does it."""

    types: tuple[type, ...]
    concerned: Callable[[Draft, Row], bytes | None]
    apply: Callable[[Draft, Row, BlockContext], None]


def _first(draft: Draft, row: Row) -> bytes | None:
    del draft  # the row says it
    party_id: bytes = row[0]
    return party_id


def _behind(draft: Draft, row: Row) -> bytes | None:
    return validator_changes.validator_party(draft, row[0])


def _suspend(draft: Draft, row: Row, context: BlockContext) -> None:
    (party_id,) = row
    require_party(draft, party_id)
    if is_suspended(draft, party_id):
        raise Refused(Code.ACTION_UNFIT, "the party is suspended already")
    draft.put(("suspended", party_id), context.time_ms, None)


def _restore(draft: Draft, row: Row, context: BlockContext) -> None:
    (party_id,) = row
    known = draft.get("suspended", party_id)
    if known is None or known[1] is not None:
        raise Refused(Code.ACTION_UNFIT, "the party is not suspended")
    draft.put(("suspended", party_id), known[0], context.time_ms)


def _admit(draft: Draft, row: Row, context: BlockContext) -> None:
    *party, scheme, number, verifier = row
    party_id = put_new_party(draft, party, context)
    put_identity(draft, party_id, [scheme, number, verifier], context=context)


def _next_key(draft: Draft, row: Row, context: BlockContext) -> None:
    put_party_key(draft, row[0], row[1:], context=context)


ACTIONS: Final[Mapping[int, Action]] = {
    ADMIT: Action((str, int, bytes, int, str, str), lambda _draft, _row: None, _admit),
    SUSPEND: Action((bytes,), _first, _suspend),
    RESTORE: Action((bytes,), _first, _restore),
    NEXT_KEY: Action((bytes, int, bytes, bytes), _first, _next_key),
    VALIDATOR_IN: Action(
        (bytes, int, bytes, bytes), lambda _draft, row: row[2], validator_changes.enter
    ),
    VALIDATOR_ROTATE: Action((bytes, bytes, bytes), _behind, validator_changes.rotate),
    VALIDATOR_SUSPEND: Action((bytes,), _behind, validator_changes.suspend),
    VALIDATOR_RESTORE: Action((bytes,), _behind, validator_changes.restore),
    VALIDATOR_REMOVE: Action((bytes,), _behind, validator_changes.remove),
    VALIDATOR_POWER: Action((bytes, int), _behind, validator_changes.change_power),
}


def _parted(action: object) -> tuple[Action, Row]:
    number = action[0] if isinstance(action, list) and action else None
    known = ACTIONS.get(number) if type(number) is int else None
    if known is None or not isinstance(action, list):
        raise Refused(Code.BODY_WRONG, "no such action")
    row = action[1:]
    try:
        return known, fields(row, *known.types)
    except MalformedError as error:
        raise Refused(Code.BODY_WRONG, f"action {number}: {error}") from error


def concerned(draft: Draft, action: object) -> bytes | None:
    """The party that has no vote in an action; refuses an action of another form."""
    known, row = _parted(action)
    return known.concerned(draft, row)


def carry_out(draft: Draft, action: object, *, proposer: bytes, context: BlockContext) -> None:
    """Does what was decided; refuses what does not fit the state as it is now.

    Who proposes an admission says that it verified the legal id.
    """
    known, row = _parted(action)
    known.apply(draft, [*row, proposer] if known.apply is _admit else row, context)
