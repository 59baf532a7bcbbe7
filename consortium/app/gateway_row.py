"""What the chain keeps of a gateway: whose it is, its keys one after another, and its end.

["gateway", feed-id] -> [ 1, party-id, alg, spki, level, genesis-leaf-hash, enrolled-ms, ended-ms ]
                      / [ 2, ... as above ..., retired, valid-from-ms, [* earlier] ]
earlier = [ alg, spki, level, from-ms, to-ms ]        ; ascending, the key of genesis first

Version 2 is written once there is something in it that version 1 cannot say.
"""

from dataclasses import dataclass
from typing import Any

from consortium.app.refusal import Code, Refused
from consortium.app.state import Draft
from ledger.signing import kid_of


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayRow:
    """A gateway as it stands. `ended_ms`: from then on nothing new of its feed counts."""

    party_id: bytes
    alg: int
    spki: bytes
    level: int
    genesis_hash: bytes
    enrolled_ms: int
    ended_ms: int | None
    retired: bool
    from_ms: int  # when its present key became valid
    earlier: tuple[list[Any], ...]

    @property
    def kid(self) -> bytes:
        """Key id of the present key."""
        return kid_of(self.spki)

    @property
    def keys(self) -> list[tuple[int, bytes]]:
        """(algorithm, SPKI) of the feed's keys, the present one first."""
        return [(self.alg, self.spki), *((row[0], row[1]) for row in self.earlier)]

    def key_named(self, kid: bytes) -> tuple[int, bytes] | None:
        """(algorithm, SPKI) of the feed's key with this id, present or earlier."""
        return next((key for key in self.keys if kid_of(key[1]) == kid), None)


def gateway_row(draft: Draft, feed_id: bytes) -> GatewayRow:
    """The row of an enrolled feed; raises Refused (GATEWAY_UNKNOWN)."""
    value = draft.get("gateway", feed_id)
    if value is None:
        raise Refused(Code.GATEWAY_UNKNOWN, "the feed is not enrolled")
    retired, from_ms, earlier = value[7:] if len(value) > 7 else (False, value[5], [])
    return GatewayRow(
        party_id=value[0],
        alg=value[1],
        spki=value[2],
        level=value[3],
        genesis_hash=value[4],
        enrolled_ms=value[5],
        ended_ms=value[6],
        retired=retired,
        from_ms=from_ms,
        earlier=tuple(earlier),
    )


def put_gateway_row(draft: Draft, feed_id: bytes, row: GatewayRow) -> None:
    """Sets the row."""
    values = [
        row.party_id, row.alg, row.spki, row.level, row.genesis_hash, row.enrolled_ms, row.ended_ms,
    ]  # fmt: skip  # in the order of the format
    if row.retired or row.earlier:
        values += [row.retired, row.from_ms, list(row.earlier)]
    draft.put(("gateway", feed_id), *values, version=2 if row.retired or row.earlier else 1)


def require_active(row: GatewayRow) -> None:
    """Refuses what a gateway asks that was revoked or retired."""
    if row.ended_ms is None:
        return
    if row.retired:
        raise Refused(Code.GATEWAY_RETIRED, "the gateway was retired")
    raise Refused(Code.GATEWAY_REVOKED, "the gateway's key is revoked")


def close_slots(draft: Draft, feed_id: bytes, now_ms: int) -> None:
    """Closes every device's open row in this feed: from now on its readings may stand elsewhere."""
    for slot, device_id in _slots(draft, feed_id):
        known = draft.get("device", device_id)
        if known is None:
            continue
        # A gateway's clock may be ahead of the chain's; a row never ends before it begins.
        rows = [
            [*row[:4], max(now_ms, row[3])]
            if row[:2] == [feed_id, slot] and row[4] is None
            else row
            for row in known[0]
        ]
        if rows != known[0]:
            draft.put(("device", device_id), rows)


def _slots(draft: Draft, feed_id: bytes) -> list[tuple[int, str]]:
    """(slot, device) of a feed, slots ascending; each slot's row names the one before it."""
    found, newest = [], draft.get("slots", feed_id)
    slot = newest[0] if newest else None
    while slot is not None:
        row = draft.get("slot", feed_id, slot)
        device_id, before = row or ("", None)
        found.append((slot, device_id))
        slot = before
    return sorted(found)
