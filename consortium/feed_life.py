"""What a feed's owner and its witnesses do from their desk: the next epoch, evidence of a conflict.

Each function makes the body of one kind of transaction, or reads rows of the state, through the
operator endpoint of one's own chain machine (`life.Desk`).
"""

from typing import Any, Final

from consortium.app.conflicts import FORM_ANCHORED, FORM_HEADS, FORM_ROW, FORM_RUN
from consortium.errors import MalformedError
from consortium.life import Desk
from consortium.transaction import KIND_CONFLICT, KIND_EPOCH, TX_BYTES_MAX
from ledger.errors import InputError
from ledger.head import decode_head

FORMS: Final = {
    "anchored": FORM_ANCHORED,
    "heads": FORM_HEADS,
    "run": FORM_RUN,
    "row": FORM_ROW,
}
# What a transaction has beside its evidence: headers, signature, feed.
BESIDE_BYTES: Final = 1_024


def open_epoch(desk: Desk, feed_id: bytes, *, last_head: bytes, witnessed_size: int | None) -> str:
    """Opens the epoch after the one that a head was anchored in; the transaction's id in hex.

    witnessed_size: the highest size of the feed that anybody is known to have seen; None: what the
    chain itself knows of, which is the least that it takes. Raises MalformedError for what is no
    head of this feed, RefusedError where the chain refuses.
    """
    try:
        claim = decode_head(last_head).claim
    except InputError as error:
        raise MalformedError(f"not a head: {error}") from error
    if claim.feed_id != feed_id:
        raise MalformedError(f"the head is of feed {claim.feed_id.hex()}")
    seen = [claim.size]
    for key, row in desk.rows("feed"):
        if key[1:] == [feed_id, claim.epoch]:
            seen.append(row[1])
    seen += [row[5] for key, row in desk.rows("frozen") if key[1] == feed_id]
    size = max(seen) if witnessed_size is None else witnessed_size
    return desk.send(KIND_EPOCH, [1, feed_id, claim.epoch + 1, last_head, size])


def report(desk: Desk, feed_id: bytes, *, form: str, evidence: bytes) -> str:
    """Reports evidence against a feed, which freezes it; the transaction's id in hex.

    Raises MalformedError for a form that is none or evidence that fits no transaction.
    """
    if form not in FORMS:
        raise MalformedError(f"{form!r} is no form: one of {', '.join(FORMS)}")
    room = TX_BYTES_MAX - BESIDE_BYTES
    if len(evidence) > room:
        raise MalformedError(
            f"evidence of {len(evidence):,} bytes is more than the {room:,} that a transaction "
            "holds; two heads of the same feed that exclude each other are the shorter evidence"
        )
    return desk.send(KIND_CONFLICT, [1, feed_id, FORMS[form], evidence])


def epochs(desk: Desk) -> list[dict[str, Any]]:
    """Every epoch that an owner opened, by feed and number."""
    found = [
        {
            "feed": key[1].hex(),
            "epoch": key[2],
            "from_height": row[1],
            "from_size": row[2],
            "witnessed_size": row[3],
            "may_be_missing": row[3] - row[2],
            "at_ms": row[4],
        }
        for key, row in desk.rows("epoch")
        if len(key) == 3
    ]
    return sorted(found, key=lambda item: (item["feed"], item["epoch"]))


def conflicts(desk: Desk) -> list[dict[str, Any]]:
    """Every feed that evidence froze, and whether its owner has opened an epoch since."""
    newest = {key[1]: row[0] for key, row in desk.rows("epoch") if len(key) == 2}
    found = [
        {
            "feed": key[1].hex(),
            "epoch": row[4],
            "at_ms": row[1],
            "sides": [row[2].hex(), row[3].hex()],
            "goes_on_in": newest.get(key[1]) if newest.get(key[1], 0) > row[4] else None,
        }
        for key, row in desk.rows("frozen")
    ]
    return sorted(found, key=lambda item: item["feed"])
