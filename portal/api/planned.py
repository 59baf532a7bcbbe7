"""Consignments that a table stated, on their way to the chain.

All of a table is kept in one transaction before anybody is told so, or nothing is. What is kept
goes to the chain with the same id and nonce each time, so a restart between two sendings neither
loses nor doubles one. The document stays here; the chain gets its salted digest.
"""

import hashlib
import logging
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Column, Connection, LargeBinary, Table, Text, select, update
from starlette.concurrency import run_in_threadpool

from consortium.errors import ConsortiumError
from consortium.transaction import ID_BYTES, KIND_CONSIGNMENT, NONCE_BYTES
from ledger.canonical import decode, encode
from logistics.consignment_table import Fault, PlannedConsignment, TableError
from portal.access import Viewer
from portal.errors import ForbiddenError, VisitorError
from portal.office.tables import OFFICE
from portal.parts import Parts
from portal.read.organisations import id_of
from portal.read.tables import big, put, writing

log = logging.getLogger(__name__)
SALT_BYTES: Final = 32
STATES: Final = ("waiting", "sent", "refused")
PLANNED: Final = Table(
    "planned_consignments",
    OFFICE,
    Column("organisation", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("id", Text, nullable=False),
    Column("document", LargeBinary, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("nonce", LargeBinary, nullable=False),
    big("taken_ms", nullable=False),
    big("code"),  # the chain's answer; None while it waits
)


class PlannedDesk:
    """Takes tables of consignments and sends them to the chain."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        OFFICE.create_all(parts.office)

    def check(self, table: Sequence[PlannedConsignment]) -> dict[str, tuple[bytes, bytes]]:
        """Carrier's and consignee's ids by a consignment's name; raises TableError."""
        found, faults = {}, []
        with self._parts.read.connect() as db:
            for plan in table:
                ids = (id_of(db, plan.carrier), id_of(db, plan.consignee))
                for field, id_ in zip(("carrier", "consignee"), ids, strict=True):
                    if id_ is None:
                        reason = "no one organisation on the chain has this name"
                        faults.append(Fault(plan.row, field, reason))
                found[plan.name] = tuple(bytes.fromhex(id_ or "") for id_ in ids)
        if faults:
            raise TableError(tuple(faults))
        return {name: (carrier, consignee) for name, (carrier, consignee) in found.items()}

    def take(self, viewer: Viewer, table: Sequence[PlannedConsignment]) -> None:
        """Keeps all of a table; what is kept already and equal stays. Raises TableError."""
        ids, faults = self.check(table), []
        with writing(self._parts.office) as db:
            for plan in table:
                document = document_of(plan)
                known = _known(db, viewer.organisation, plan.name)
                if known is None:
                    row = self._row(plan, document, *ids[plan.name])
                    put(db, PLANNED, row | {"organisation": viewer.organisation})
                elif known != document:
                    reason = "another consignment of this name is here already"
                    faults.append(Fault(plan.row, "consignment", reason))
            if faults:
                raise TableError(tuple(faults))

    def _row(
        self, plan: PlannedConsignment, document: bytes, carrier: bytes, consignee: bytes
    ) -> dict[str, Any]:
        random_bytes = self._parts.random_bytes
        id_, salt = random_bytes(ID_BYTES), random_bytes(SALT_BYTES)
        limits = list(plan.limits_milli) if plan.limits_milli else None
        digest = hashlib.sha256(salt + document).digest()
        legs = [[carrier, list(plan.devices)]]
        return {
            "name": plan.name,
            "id": id_.hex(),
            "document": document,
            "salt": salt,
            "body": encode([1, id_, 1, digest, limits, legs, consignee]),
            "nonce": random_bytes(NONCE_BYTES),
            "taken_ms": self._parts.clock_ms(),
        }

    def listed(self, viewer: Viewer) -> list[dict[str, Any]]:
        """Name, id, state (of STATES) and the chain's code of all that was taken, by name."""
        of = PLANNED.c
        query = select(of.name, of.id, of.code, of.taken_ms).order_by(of.name)
        with self._parts.office.connect() as db:
            rows = db.execute(query.where(of.organisation == viewer.organisation)).all()
        return [
            {
                "name": row.name,
                "id": row.id,
                "state": STATES[0 if row.code is None else 2 if row.code else 1],
                "code": row.code,
                "taken_ms": row.taken_ms,
            }
            for row in rows
        ]

    async def require_own_machine(self, viewer: Viewer) -> None:
        """Raises ForbiddenError where the chain machine signs for another organisation, and
        VisitorError where it does not answer.
        """
        try:
            ours = await self._parts.door.party_id()
        except ConsortiumError as error:
            raise VisitorError("consignments.not_sent") from error
        if ours != viewer.organisation_id:
            raise ForbiddenError("consignments.other_machine")

    async def send(self, organisation: str) -> None:
        """Sends what waits, until all is sent or the chain cannot be reached."""
        for name, body, nonce in await run_in_threadpool(self._waiting, organisation):
            try:
                answer = await self._parts.door.send(KIND_CONSIGNMENT, decode(body), nonce=nonce)
            except ConsortiumError as error:
                log.warning("consignments_wait reason=%s", error)
                return
            await run_in_threadpool(self._answered, organisation, name, answer.code)

    def _waiting(self, organisation: str) -> list[tuple[str, bytes, bytes]]:
        of = PLANNED.c
        query = select(of.name, of.body, of.nonce).order_by(of.taken_ms, of.name)
        mine = query.where(of.organisation == organisation, of.code.is_(None))
        with self._parts.office.connect() as db:
            return [(row.name, row.body, row.nonce) for row in db.execute(mine)]

    def _answered(self, organisation: str, name: str, code: int) -> None:
        this = (PLANNED.c.organisation == organisation) & (PLANNED.c.name == name)
        with writing(self._parts.office) as db:
            db.execute(update(PLANNED).where(this).values(code=code))


def document_of(plan: PlannedConsignment) -> bytes:
    """What stays with the owner, in canonical CBOR; with a salt before it, the digest's input."""
    limits = list(plan.limits_milli) if plan.limits_milli else None
    who = [plan.carrier, plan.consignee, list(plan.devices)]
    way = [plan.origin, plan.destination, plan.pickup_ms, plan.delivery_ms]
    return encode([1, plan.name, list(plan.units), who, way, limits])


def _known(db: Connection, organisation: str, name: str) -> bytes | None:
    this = (PLANNED.c.organisation == organisation) & (PLANNED.c.name == name)
    return db.execute(select(PLANNED.c.document).where(this)).scalar()
