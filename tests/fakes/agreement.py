"""A carrier, a shipper and a contract between them on a small chain, with a trip's feed on it."""

from __future__ import annotations

from collections.abc import Sequence

from consortium.app.contracts import binding_digest
from consortium.app.cosignatures import cosign_bytes
from consortium.app.disputes import targets_of
from consortium.app.refusal import Code
from consortium.transaction import (
    KIND_ANCHORS,
    KIND_BIND,
    KIND_CASE,
    KIND_CONTRACT,
    KIND_EVIDENCE,
    KIND_GATEWAY,
    KIND_JUDGE,
    KIND_OPENED,
)
from ledger.canonical import encode
from ledger.hashing import sha256
from ledger.proof_bundle import FeedPart
from logistics.rules import gathering
from logistics.rules.drafting import Draft, draft_of, template_text
from logistics.rules.facts import band_of
from logistics.rules.verdict import Verdict, decode_verdict
from tests.fakes.small_chain import (
    CHAIN_ID,
    SmallChain,
    admission,
    at_once,
    draft,
    party_id,
    sign,
    signer,
    tx,
)
from tests.fakes.trip import AUDIENCE, MINUTE_MS, START_MS, Trip

CARRIER, SHIPPER = "carrier", "shipper"
CONSIGNMENT = b"consignment-0001"


def contract(template: str = "chilled-food", text: str | None = None, version: int = 1) -> Draft:
    """The contract of a template between the two, its salts fixed."""
    parties = [(party_id(CARRIER), "carrier"), (party_id(SHIPPER), "shipper")]
    words = (text or template_text(template)).replace("version = 1", f"version = {version}", 1)
    return draft_of(words, fresh_salt=lambda: b"s" * 16, parties=parties)


def cosigned(
    kind: int, digest: bytes, names: Sequence[str] = (CARRIER, SHIPPER)
) -> list[list[bytes]]:
    """Each party's signature, ascending by id."""
    rows = [
        [
            party_id(name),
            at_once(
                signer(name).sign(cosign_bytes(CHAIN_ID, kind, digest, party_id=party_id(name)))
            ),
        ]
        for name in names
    ]
    return sorted(rows)


class Agreement:
    """The chain with both parties, the trip's gateway (the carrier's) enrolled, nothing bound."""

    def __init__(self, trip: Trip, drafted: Draft | None = None) -> None:
        self.chain, self.trip = SmallChain(), trip
        self.drafted = drafted or contract()
        self._anchored: int | None = None
        for name in (CARRIER, SHIPPER):
            assert self.code(admission(name)) == Code.ACCEPTED
        self.enrol(trip)

    def enrol(self, trip: Trip) -> None:
        """Enrols a trip's gateway in the carrier's name; from then on it is `trip`."""
        self.trip, self._anchored = trip, None
        devices = [
            [device, slot, sha256(encode(["descriptor", device])), START_MS]
            for device, slot in zip(trip.devices, trip.slots, strict=True)
        ]
        body = [1, trip.feed_id, -8, trip.spki, trip.leaves[0], "truck", 0, devices]
        assert self.code(tx(KIND_GATEWAY, body, CARRIER)) == Code.ACCEPTED

    def code(self, data: bytes) -> Code:
        return self.chain.code(data)

    def send(self, kind: int, body: object, name: str = SHIPPER, nonce: int = 0) -> Code:
        """The outcome of one transaction."""
        salt = sha256(encode([kind, body, name, nonce, self.chain.app.height]))[:16]
        return self.code(
            sign(draft(kind, body, name, nonce=salt, not_after=self.chain.app.height + 1_000), name)
        )

    def register(self, drafted: Draft | None = None) -> Code:
        core = (drafted or self.drafted).core
        body = [1, core.encode(), cosigned(KIND_CONTRACT, core.digest)]
        return self.send(KIND_CONTRACT, body)

    def bind(
        self,
        from_ms: int,
        to_ms: int,
        *,
        devices: Sequence[str] | None = None,
        contract_id: bytes | None = None,
    ) -> Code:
        row = [
            CONSIGNMENT,
            contract_id or self.drafted.core.id,
            from_ms,
            to_ms,
            sorted(devices or self.trip.devices),
        ]
        return self.send(KIND_BIND, [1, *row, cosigned(KIND_BIND, binding_digest(row))])

    def anchor(self) -> Code:
        """Anchors all that the trip sealed."""
        item = self.trip.anchor_item(self._anchored)
        self._anchored = self.trip.head().claim.height
        return self.send(KIND_ANCHORS, [1, [item.to_value()]], CARRIER)

    def opened(
        self, heights: Sequence[int] | None = None, *, ok: bool = True, name: str = SHIPPER
    ) -> None:
        """The shipper says that it opened these blocks, or all."""
        rows = [
            [self.trip.feed_id, 0, height, AUDIENCE, self.trip.headers[height].digest, ok]
            for height in (range(len(self.trip.headers)) if heights is None else heights)
        ]
        for at in range(0, len(rows), 500):
            assert self.send(KIND_OPENED, [1, rows[at : at + 500]], name) == Code.ACCEPTED

    def until(self, time_ms: int) -> None:
        """Lets the chain's time pass, a second a block."""
        self.chain.app.height = max(self.chain.app.height, (time_ms - START_MS) // 1000)

    def ready(self, from_ms: int, to_ms: int) -> None:
        """Contract, binding, anchors and openings, all behind the interval."""
        assert self.register() == Code.ACCEPTED
        assert self.bind(from_ms, to_ms) == Code.ACCEPTED
        self.until(to_ms + MINUTE_MS)
        assert self.anchor() == Code.ACCEPTED
        self.opened()

    def open_case(self, name: str = SHIPPER) -> Code:
        return self.send(KIND_CASE, [1, CONSIGNMENT, self.drafted.money.encode()], name)

    def parts(self) -> list[FeedPart]:
        """The whole evidence for the open case."""
        row = self.chain.row("case", CONSIGNMENT)
        assert row is not None
        (target,) = [item for item in targets_of(row) if item.feed_id == self.trip.feed_id]
        row_bound = self.chain.row("bound", CONSIGNMENT) or []
        wanted = gathering.Wanted(
            head=self.trip.head(),
            base=target.base_height,
            slots=target.slots,
            band=band_of(self.drafted.core.facts),
            gap_ms=self.drafted.core.gap_ms,
            from_ms=row_bound[1],
            to_ms=row_bound[2],
        )
        return list(gathering.gather(self.trip, wanted))

    def give(self, part: FeedPart, name: str = SHIPPER) -> Code:
        return self.send(KIND_EVIDENCE, [1, CONSIGNMENT, part.to_value(), []], name)

    def judge(self, name: str = SHIPPER) -> Code:
        return self.send(KIND_JUDGE, [1, CONSIGNMENT], name)

    def verdict(self) -> Verdict:
        """What the validators drew."""
        row = self.chain.row("verdict", CONSIGNMENT)
        assert row is not None
        return decode_verdict(row[2])

    def judged(self) -> Verdict:
        """The verdict of the whole evidence, from opening the case on."""
        assert self.open_case() == Code.ACCEPTED
        for part in self.parts():
            assert self.give(part) == Code.ACCEPTED
        assert self.judge() == Code.ACCEPTED
        return self.verdict()
