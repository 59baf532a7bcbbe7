"""What projections are fed with, in the chain machine's one order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from consortium.errors import MalformedError
from consortium.followed import ITEM_GENESIS, ITEM_RUN, ITEM_TRANSACTION
from consortium.transaction import decode_transaction, fields
from ledger.canonical import decode
from ledger.chain_genesis import Genesis, decode_genesis
from ledger.entry import GTime, gtime_from_value
from ledger.errors import InputError
from portal.errors import FollowError

MS_PER_S: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedTransaction:
    """One transaction that the chain accepted and that changed something.

    sender_kind 1: a party of this id; 2: a gateway. body: the decoded payload. height, index: its
    place on the chain. time_ms: the block's time, UTC since 1970. data: the signed bytes. records:
    what it left in the chain's log (docs/formats/chain.md), refused items left out.
    """

    kind: int
    sender_kind: int
    sender: bytes
    kid: bytes
    body: Any
    height: int
    index: int
    time_ms: int
    tx_id: bytes
    data: bytes
    records: tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RawEntry:
    """One entry of an opened run, before its slot is named."""

    index: int
    kind: int
    slot: int
    time: GTime
    srcseq: int
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRun:
    """One audience's part of one block of a gateway's feed."""

    feed: bytes
    epoch: int
    height: int
    audience: int
    entries: tuple[RawEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One opened entry with the name of what it is about.

    index: its leaf's place in the feed. device, channel: as its slot's descriptor says, None before
    one. record: of `logistics.records`, AlarmChange or BoxHealth; None where its kind has none.
    body: as the ledger holds it.
    """

    feed: bytes
    epoch: int
    height: int
    audience: int
    index: int
    kind: int
    slot: int
    time: GTime
    srcseq: int
    device: str | None
    channel: str | None
    record: Any
    body: Any


Item = Genesis | AcceptedTransaction | OpenedRun


def item_of(value: Sequence[Any]) -> Item:
    """What one followed item is; raises FollowError where it is of a form not known here."""
    try:
        kind, content = value
        if kind == ITEM_GENESIS:
            return decode_genesis(content)
        if kind == ITEM_TRANSACTION:
            return _transaction(content)
        if kind == ITEM_RUN:
            return _run(content)
    except (ValueError, MalformedError, InputError) as error:
        raise FollowError(f"an item of another form: {error}") from error
    raise FollowError(f"an item of kind {kind}: this portal is older than the chain machine")


def _transaction(content: object) -> AcceptedTransaction:
    _, height, index, time_ms, data, records = fields(content, int, int, int, int, bytes, list)
    transaction = decode_transaction(data)
    return AcceptedTransaction(
        kind=transaction.kind,
        sender_kind=transaction.sender.kind,
        sender=transaction.sender.id,
        kid=transaction.kid,
        body=decode(transaction.payload),
        height=height,
        index=index,
        time_ms=time_ms,
        tx_id=transaction.tx_id,
        data=data,
        records=tuple(records),
    )


def _run(content: object) -> OpenedRun:
    feed, epoch, height, audience, first, entries = fields(content, bytes, int, int, int, int, list)
    made = []
    for index, entry in enumerate(entries, first):
        kind, slot, time, srcseq, body = entry
        made.append(
            RawEntry(
                index=index,
                kind=kind,
                slot=slot,
                time=gtime_from_value(time),
                srcseq=srcseq,
                body=body,
            )
        )
    return OpenedRun(feed=feed, epoch=epoch, height=height, audience=audience, entries=tuple(made))
