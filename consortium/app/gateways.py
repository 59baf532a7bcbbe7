"""Kind 2: a party enrols its gateways.

enrol  = [ 1, feed-id, alg, spki, genesis-leaf, name, level, [* device] ]
device = [ device-id, slot, descriptor-hash, from-ms ]
"""

from typing import Any, Final

from consortium.app.delegations import require_feed
from consortium.app.devices import put_slot
from consortium.app.parties import require_new_key, require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.transaction import Transaction, fields
from ledger.errors import AnchorKeyError, FormatError
from ledger.feed import feed_id_of_leaf
from ledger.hashing import leaf_hash
from ledger.signing import PublicKey, kid_of

LEVELS: Final = frozenset({0, 1, 2})  # software or development, hardware claimed, attested
NAME_CHARACTERS_MAX: Final = 100
DEVICES_MAX: Final = 256


def enrol(draft: Draft, transaction: Transaction, context: BlockContext) -> tuple[Code, ...]:
    """Enrols one gateway of the sending party; the same again changes nothing."""
    version, feed_id, alg, spki, genesis_leaf, name, level, devices = fields(
        transaction.body, int, bytes, int, bytes, bytes, str, int, list
    )
    require_version(version)
    require_feed(draft, transaction, feed_id)
    if level not in LEVELS or not 0 < len(name) <= NAME_CHARACTERS_MAX:
        raise Refused(Code.BODY_WRONG, "level or name out of range")
    _check_key_and_feed(alg, spki, feed_id, genesis_leaf)
    row = [transaction.sender.id, alg, spki, level, leaf_hash(genesis_leaf)]
    known = draft.get("gateway", feed_id)
    if known is not None:
        if known[:5] == row and known[6] is None:
            return (Code.ACCEPTED,)
        raise Refused(Code.GATEWAY_EXISTS, "the feed is enrolled with other values, or was revoked")
    kid = kid_of(spki)
    require_new_key(draft, kid)
    draft.put(("gateway", feed_id), *row, context.time_ms, None)
    draft.put(("key", kid), feed_id, context.time_ms, None)
    draft.record(0, 2, feed_id, *row[:4], row[4], name)
    _put_devices(draft, feed_id, transaction.sender.id, devices)
    return (Code.ACCEPTED,)


def _check_key_and_feed(alg: int, spki: bytes, feed_id: bytes, genesis_leaf: bytes) -> None:
    try:
        PublicKey(alg, spki)
        own_feed_id = feed_id_of_leaf(genesis_leaf)
    except (FormatError, AnchorKeyError) as error:
        raise Refused(Code.BODY_WRONG, str(error)) from error
    if own_feed_id != feed_id:
        raise Refused(Code.FEED_ID_WRONG, "the feed id is not that of the genesis leaf")


def _put_devices(draft: Draft, feed_id: bytes, party_id: bytes, devices: list[Any]) -> None:
    if len(devices) > DEVICES_MAX:
        raise Refused(Code.TOO_MANY_ITEMS, f"more than {DEVICES_MAX} devices")
    for index, row in enumerate(devices):
        device_id, slot, descriptor_hash, from_ms = fields(row, str, int, bytes, int)
        put_slot(
            draft,
            index + 1,
            party_id=party_id,
            feed_id=feed_id,
            row=[device_id, slot, descriptor_hash, from_ms, None],
        )
