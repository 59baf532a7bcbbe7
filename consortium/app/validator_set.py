"""Who votes on chain blocks, as the state says it: the engine learns of changes from here alone."""

from collections.abc import Mapping

from ledger.canonical import decode, encode
from ledger.comet import Validator, in_set_order
from ledger.state_map import StateMap

VALIDATORS_KEY = encode(["validators"])


def powers(map_: StateMap) -> Mapping[bytes, int]:
    """Voting power of each validator's Ed25519 key, from the state's `["validators"]`."""
    value = map_.get(VALIDATORS_KEY)
    return {row[0]: row[1] for row in decode(value)[1]} if value is not None else {}


def validator_set(map_: StateMap) -> tuple[Validator, ...]:
    """The set in set order."""
    return in_set_order(Validator(key, power) for key, power in powers(map_).items())


def validator_updates(before: StateMap, after: StateMap) -> tuple[tuple[bytes, int], ...]:
    """(key, power) of each validator that changed between two states, keys ascending; power 0:
    removed.
    """
    if before.get(VALIDATORS_KEY) == after.get(VALIDATORS_KEY):
        return ()
    old, new = powers(before), powers(after)
    return tuple(
        (key, new.get(key, 0)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)
    )
