"""Commitments of captured events on their way to the chain, many in one transaction.

The chain machine signs for its own organisation only, so only that organisation's events go by
themselves; what fails stays waiting and goes with the next capture.
"""

import hashlib
import logging
from typing import Final

from sqlalchemy import select
from starlette.concurrency import run_in_threadpool

from consortium.errors import ConsortiumError
from consortium.transaction import KIND_EVENTS
from portal.parts import Parts
from portal.read.traces import SAID
from portal.trace.shelf import EventShelf

log = logging.getLogger(__name__)
COMMITMENTS_MAX: Final = 1_000


async def say_waiting(parts: Parts, shelf: EventShelf, organisation: str) -> int:
    """Sends what waits; the number of events that the chain took."""
    count = 0
    try:
        if (await parts.door.party_id()).hex() != organisation:
            return 0
    except ConsortiumError as error:
        log.warning("events_wait reason=%s", error)
        return 0
    while True:
        rows = await run_in_threadpool(shelf.waiting, organisation, COMMITMENTS_MAX)
        if not rows:
            return count
        commitments = [commitment for _, commitment in rows]
        # The same nonce for the same events: a repeated sending is the same transaction.
        nonce = hashlib.sha256(b"".join(commitments)).digest()[:16]
        try:
            answer = await parts.door.send(KIND_EVENTS, [1, commitments], nonce=nonce)
        except ConsortiumError as error:
            log.warning("events_wait count=%d reason=%s", len(rows), error)
            return count
        if answer.code != 0:
            log.warning("events_refused count=%d code=%d", len(rows), answer.code)
            return count
        await run_in_threadpool(shelf.sent, [seq for seq, _ in rows])
        count += len(rows)


def who_said(parts: Parts, commitments: list[str]) -> dict[str, int]:
    """Chain time (ms) of those commitments that the read model has seen."""
    chosen = select(SAID.c.commitment, SAID.c.time_ms).where(SAID.c.commitment.in_(commitments))
    with parts.read.connect() as db:
        return {row.commitment: row.time_ms for row in db.execute(chosen)}
