"""Kind 3: which device speaks in which slot of which feed.

Body: [ 1, feed-id, [+ [device-id, slot, descriptor-hash, from-ms, to-ms / null]] ]. The enrolled
gateway may send it for its own feed, and so may its party. A verdict about a device names all its
slots, so an entry is never taken back: it can only be closed.
"""

from typing import Any, Final

from consortium.app.delegations import require_feed
from consortium.app.gateway_row import gateway_row, require_active
from consortium.app.parties import require_version
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.transaction import SENDER_GATEWAY, Transaction, fields
from ledger.hashing import HASH_BYTES

DEVICE_ID_CHARACTERS_MAX: Final = 128
DEVICE_SLOTS_MAX: Final = 256
ITEMS_MAX: Final = 512
SLOT_MAX: Final = (1 << 32) - 1


def record_devices(
    draft: Draft, transaction: Transaction, context: BlockContext
) -> tuple[Code, ...]:
    """Records slots of devices; the whole transaction stands or falls."""
    del context  # no rule of this kind asks for the time
    version, feed_id, rows = fields(transaction.body, int, bytes, list)
    require_version(version)
    if not 0 < len(rows) <= ITEMS_MAX:
        raise Refused(Code.TOO_MANY_ITEMS, f"not 1 to {ITEMS_MAX} items")
    gateway = gateway_row(draft, feed_id)
    require_active(gateway)
    sender = transaction.sender
    if sender.id != (feed_id if sender.kind == SENDER_GATEWAY else gateway.party_id):
        raise Refused(Code.UNAUTHORISED, "neither the feed's gateway nor its party")
    require_feed(draft, transaction, feed_id)
    for index, row in enumerate(rows):
        fields(row, str, int, bytes, int, (int, type(None)))
        put_slot(draft, index, party_id=gateway.party_id, feed_id=feed_id, row=row)
    return (Code.ACCEPTED,) * len(rows)


def put_slot(
    draft: Draft, item_index: int, *, party_id: bytes, feed_id: bytes, row: list[Any]
) -> None:
    """Sets (device, slot, descriptor hash, from, to) of a feed; the same again changes nothing."""
    device_id, slot, descriptor_hash, from_ms, to_ms = row
    _check_row(row)
    known = draft.get("device", device_id)
    slots: list[list[Any]] = known[0] if known else []
    if slots:
        owner = draft.get("gateway", slots[0][0])
        if owner is None or owner[0] != party_id:
            raise Refused(Code.DEVICE_OF_OTHER_PARTY, f"{device_id} belongs to another party")
    taken = draft.get("slot", feed_id, slot)
    entry = [feed_id, slot, descriptor_hash, from_ms, to_ms]
    if taken is None:
        slots.append(entry)
    else:
        place = _own_place(slots, entry, taken[0] == device_id)
        if slots[place][4] == to_ms:
            return
        slots[place] = entry
    if len(slots) > DEVICE_SLOTS_MAX:
        raise Refused(Code.DEVICE_FULL, f"{device_id} has {DEVICE_SLOTS_MAX} slots")
    draft.put(("device", device_id), slots)
    if taken is None:
        # A feed's slots hang together newest first, so that its end finds them.
        newest = draft.get("slots", feed_id)
        draft.put(("slot", feed_id, slot), device_id, newest[0] if newest else None)
        draft.put(("slots", feed_id), slot)
    draft.record(item_index, 3, feed_id, device_id, slot, descriptor_hash, from_ms, to_ms)


def _check_row(row: list[Any]) -> None:
    device_id, slot, descriptor_hash, from_ms, to_ms = row
    if not 0 < len(device_id) <= DEVICE_ID_CHARACTERS_MAX or len(descriptor_hash) != HASH_BYTES:
        raise Refused(Code.BODY_WRONG, "device id or descriptor hash of a wrong length")
    if not 0 < slot <= SLOT_MAX or from_ms < 0 or (to_ms is not None and to_ms < from_ms):
        raise Refused(Code.BODY_WRONG, "slot or time out of range")


def _own_place(slots: list[list[Any]], entry: list[Any], own: bool) -> int:  # noqa: FBT001  # read once, above
    """Where this device's entry for the slot stands, if it may become this one."""
    places = [n for n, old in enumerate(slots) if own and old[:4] == entry[:4]]
    if not places or (slots[places[0]][4] is not None and slots[places[0]][4] != entry[4]):
        raise Refused(Code.SLOT_TAKEN, f"slot {entry[1]} has another entry already")
    return places[0]
