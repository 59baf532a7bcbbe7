"""Checks a whole proof bundle with no store and no network: chain, heads, headers, slots,
completeness.

The trust root is the caller's: the digest of the chain's genesis document, from outside the bundle.
Without it nothing is ever proven, only found consistent in itself.
"""

from dataclasses import dataclass
from typing import Any, Final

from ledger.canonical import decode, encode
from ledger.chain_proof import (
    RECORD_ANCHOR,
    RECORD_MIRROR,
    RECORD_OPENED,
    LogLeaf,
    VerifiedChain,
    decode_chain_part,
    verify_chain_part,
)
from ledger.entry import (
    CONTROL_SLOT,
    KIND_CLOCK_STEP,
    KIND_DESCRIPTOR,
    KIND_GAP,
    KIND_SUMMARY,
    Entry,
    audience_of,
)
from ledger.errors import (
    FormatError,
    InputError,
    LedgerError,
    ProofError,
    RefutedError,
    UncheckableError,
)
from ledger.feed_proof import FeedProof, SlotProof, check_feed_part
from ledger.hashing import leaf_hash, sha256
from ledger.head import decode_head
from ledger.proof_bundle import Bundle, FeedPart, Request, decode_bundle
from ledger.signing import PublicKey
from ledger.verdict import Code, Finding, Outcome, ProvenEntry, Verdict

LEVEL_DEVELOPMENT: Final = 0
RECORD_VERSION: Final = 1


def verify_bundle(data: bytes, *, trusted_genesis_sha256: bytes | None) -> Verdict:
    """The verdict on a bundle file's bytes. Never raises for anything that is in the file."""
    request: Request | None = None
    try:
        bundle = decode_bundle(data)
        request = bundle.request
        part = decode_chain_part(bundle.chain)
        chain = verify_chain_part(part, trusted_genesis_sha256=trusted_genesis_sha256)
        return _Judge(bundle, chain).verdict()
    except UncheckableError as error:
        return _without_proof(Outcome.UNCHECKED, Code.UNCHECKED, error, request)
    except (RefutedError, InputError) as error:
        return _without_proof(Outcome.REFUTED, Code.REFUTED, error, request)


def _without_proof(
    outcome: Outcome, code: Code, error: LedgerError, request: Request | None
) -> Verdict:
    return Verdict(
        outcome=outcome, findings=(Finding(code, {"reason": str(error)}),), request=request
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _GatewayRecord:
    """What the chain says of a feed's gateway."""

    party: bytes
    key: PublicKey
    level: int
    genesis_hash: bytes
    revoked_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _DeviceRow:
    """One place where the chain says that a device's readings stand."""

    feed_id: bytes
    slot: int
    descriptor_hash: bytes
    from_ms: int
    to_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _FeedChecked:
    """A feed part with what the chain adds: brackets of the span and the times of its anchors."""

    proof: FeedProof
    part: FeedPart
    gateway: _GatewayRecord
    lower: LogLeaf | None
    upper: LogLeaf


class _Judge:
    """One bundle under one verified chain state; every leaf and state of the chain part must be
    used.
    """

    def __init__(self, bundle: Bundle, chain: VerifiedChain) -> None:
        self._bundle, self._chain, self._request = bundle, chain, bundle.request
        self._states_used: set[bytes] = set()
        self._findings: list[Finding] = []
        self._names: dict[bytes, str] = {}

    def verdict(self) -> Verdict:
        feeds = [self._feed(part) for part in self._bundle.feeds]
        ids = [feed.proof.claim.feed_id for feed in feeds]
        if ids != sorted(set(ids)):
            raise FormatError("bundle", "feeds do not ascend")
        rows = self._device_rows()
        self._check_device(rows, feeds)
        for feed in feeds:
            self._describe(feed)
        self._statements(feeds)
        self._check_all_used()
        self._describe_chain()
        trusted = self._chain.trusted
        if not trusted:
            digest = self._chain.genesis_sha256.hex()
            self._find(Code.UNTRUSTED, genesis_sha256=digest, chain_id=self._chain.chain_id)
        disputed = any(finding.code == Code.DISPUTED for finding in self._findings)
        return Verdict(
            outcome=Outcome.PROVEN if trusted and not disputed else Outcome.UNCHECKED,
            findings=tuple(self._findings),
            request=self._request,
            entries=tuple(entry for feed in feeds for entry in self._entries(feed)),
        )

    def _find(self, code: Code, **values: Any) -> None:
        self._findings.append(Finding(code, values))

    def _state(self, *name: object) -> list[Any] | None:
        """A proven state by its name, None where its absence is proven."""
        key = encode(list(name))
        if key not in self._chain.states:
            raise UncheckableError(f"the chain's word on {name[0]} is not in the bundle")
        self._states_used.add(key)
        value = self._chain.states[key]
        return None if value is None else decode(value)

    def _party_name(self, party: bytes) -> str:
        if party not in self._names:
            value = self._state("party", party)
            self._names[party] = str(value[1]) if value else party.hex()[:8]
        return self._names[party]

    # One feed -------------------------------------------------------------------------------

    def _feed(self, part: FeedPart) -> _FeedChecked:
        feed_id = decode_head(part.head).claim.feed_id
        gateway = self._gateway(feed_id)
        proof = check_feed_part(part, gateway.key)
        if leaf_hash(proof.genesis_leaf) != gateway.genesis_hash:
            raise ProofError("the feed's genesis is not the enrolled one")
        if self._state("frozen", feed_id) is not None:
            raise UncheckableError(f"feed {feed_id.hex()[:8]}: a conflict is on the chain")
        lower, upper = self._brackets(proof)
        self._check_revocation(gateway, upper)
        return _FeedChecked(proof=proof, part=part, gateway=gateway, lower=lower, upper=upper)

    def _gateway(self, feed_id: bytes) -> _GatewayRecord:
        value = self._state("gateway", feed_id)
        if value is None:
            raise ProofError(f"feed {feed_id.hex()[:8]} is not enrolled on this chain")
        try:
            version, party, alg, spki, level, genesis_hash, _, revoked_ms = value
        except ValueError:
            raise UncheckableError("gateway record of a layout that is not known here") from None
        if version != RECORD_VERSION:
            raise UncheckableError(f"gateway record of version {version}")
        return _GatewayRecord(
            party=party,
            key=PublicKey(alg, spki),
            level=level,
            genesis_hash=genesis_hash,
            revoked_ms=revoked_ms,
        )

    def _anchors(self, feed_id: bytes, epoch: int) -> list[LogLeaf]:
        return [
            leaf
            for leaf in self._chain.leaves
            if leaf.record[0] == RECORD_ANCHOR and leaf.record[1:3] == (feed_id, epoch)
        ]

    def _brackets(self, proof: FeedProof) -> tuple[LogLeaf | None, LogLeaf]:
        """The anchors around the span: the head's own and the base header's. No other is legal."""
        claim, lower, upper = proof.claim, None, None
        bound = [claim.height, claim.size, claim.root, claim.block_root, claim.digest]
        for leaf in self._anchors(claim.feed_id, claim.epoch):
            record = list(leaf.record[3:8])
            if record == bound:
                upper = leaf
            elif proof.base and record[:3] == [
                proof.base.height,
                proof.base.size,
                proof.base.root,
            ]:
                lower = leaf
            else:
                raise FormatError("chain part", "an anchor that is no bracket of the span")
        if upper is None:
            raise UncheckableError("the head is not anchored")
        if proof.base is not None and lower is None:
            raise UncheckableError("the block before the span is not anchored")
        if upper.time_ms < self._request.to_ms:
            raise UncheckableError("the last block was anchored before the interval ends")
        if lower is not None and lower.time_ms > self._request.from_ms:
            raise UncheckableError("the block before the span was anchored after it begins")
        return lower, upper

    def _check_revocation(self, gateway: _GatewayRecord, upper: LogLeaf) -> None:
        if gateway.revoked_ms is None:
            return
        if gateway.revoked_ms <= upper.time_ms:
            raise ProofError("the head was anchored after its key was revoked")
        self._find(Code.REVOKED_LATER, at_ms=gateway.revoked_ms)

    # The device -----------------------------------------------------------------------------

    def _device_rows(self) -> list[_DeviceRow]:
        device_id = self._request.device_id
        value = self._state("device", device_id)
        if value is None or value[0] != RECORD_VERSION:
            raise UncheckableError(f"device {device_id} is not recorded on the chain")
        return [
            _DeviceRow(
                feed_id=row[0], slot=row[1], descriptor_hash=row[2], from_ms=row[3], to_ms=row[4]
            )
            for row in value[1]
        ]

    def _check_device(self, rows: list[_DeviceRow], feeds: list[_FeedChecked]) -> None:
        """Every place that the device ever had is shown, or shown to be empty over the span."""
        by_feed = {feed.proof.claim.feed_id: feed for feed in feeds}
        wanted: dict[bytes, set[int]] = {feed_id: {CONTROL_SLOT} for feed_id in by_feed}
        for row in rows:
            if row.to_ms is not None and row.to_ms < self._request.from_ms:
                continue
            feed = by_feed.get(row.feed_id)
            if feed is None:
                where = row.feed_id.hex()[:8]
                raise UncheckableError(f"the device also stands in feed {where}, not shown")
            wanted[row.feed_id].add(row.slot)
            self._check_row(row, feed)
        for feed_id, feed in by_feed.items():
            if not set(feed.part.slots) <= wanted[feed_id]:
                raise FormatError("feed part", "a slot that is not the device's")
            if len(wanted[feed_id]) == 1:
                raise FormatError("bundle", "a feed in which the device does not stand")

    def _check_row(self, row: _DeviceRow, feed: _FeedChecked) -> None:
        shown = feed.proof.slots.get(row.slot)
        if shown is None:
            _check_not_there(row.slot, feed)
            return
        body = shown.descriptor.body
        if not isinstance(body, list) or len(body) < 3 or body[1] != self._request.device_id:
            raise ProofError(f"slot {row.slot} describes another device")
        first = next((e for _, _, e in shown.entries if e.kind == KIND_DESCRIPTOR), None)
        if first is None or first.srcseq:
            return  # the slot began before the span
        if sha256(encode(first.body)) != row.descriptor_hash:
            raise ProofError(f"slot {row.slot}: the descriptor is not the recorded one")

    # Words for the verdict ------------------------------------------------------------------

    def _describe(self, feed: _FeedChecked) -> None:
        claim, gateway = feed.proof.claim, feed.gateway
        if feed.lower is None:
            self._find(Code.FROM_BEGINNING, feed=claim.feed_id.hex())
        self._find(
            Code.ANCHORED,
            from_ms=feed.lower.time_ms if feed.lower else None,
            to_ms=feed.upper.time_ms,
            gateway=claim.subject,
            party=self._party_name(gateway.party),
        )
        self._find(Code.KEY, kid=claim.kid.hex(), level=gateway.level)
        if gateway.level == LEVEL_DEVELOPMENT:
            self._find(Code.DEVELOPMENT_KEY, gateway=claim.subject)
        for slot, shown in sorted(feed.proof.slots.items()):
            if slot == CONTROL_SLOT:
                self._describe_control(shown)
            else:
                self._describe_slot(shown, feed)

    def _describe_control(self, shown: SlotProof) -> None:
        for _, _, entry in shown.entries:
            if entry.kind == KIND_CLOCK_STEP and isinstance(entry.body, list):
                self._find(Code.CLOCK_STEP, before_us=entry.body[1], after_us=entry.body[2])

    def _describe_slot(self, shown: SlotProof, feed: _FeedChecked) -> None:
        entries = [entry for _, _, entry in shown.entries]
        body = shown.descriptor.body
        readings = [entry for entry in entries if not _is_note(entry)]
        inside = [entry for entry in readings if self._inside(entry)]
        self._find(
            Code.COMPLETE,
            slot=shown.slot,
            channel=body[2],
            readings=len(readings),
            inside=len(inside),
            seq_by=body[5] if len(body) > 5 else "gateway",
        )
        for entry in entries:
            if entry.kind == KIND_GAP and isinstance(entry.body, list) and len(entry.body) >= 4:
                _, reason, from_us, to_us = entry.body[:4]
                self._find(Code.GAP, channel=body[2], reason=reason, from_us=from_us, to_us=to_us)
        self._describe_clock(readings, feed, body[2])
        if shown.last.retired:
            self._find(Code.RETIRED, channel=body[2])

    def _inside(self, entry: Entry) -> bool:
        wall_us = entry.time.wall_us
        if wall_us is None:
            return True
        return self._request.from_ms * 1000 <= wall_us <= self._request.to_ms * 1000 + 999

    def _describe_clock(self, readings: list[Entry], feed: _FeedChecked, channel: str) -> None:
        timed = [entry for entry in readings if entry.time.wall_us is not None]
        if len(timed) < len(readings):
            self._find(Code.NO_CLOCK, channel=channel, readings=len(readings) - len(timed))
        if not timed:
            return
        worst = min(entry.time.quality for entry in timed)
        unc_us = max(entry.time.unc_us for entry in timed)
        self._find(Code.CLOCK, channel=channel, worst=worst, unc_us=unc_us)
        low = feed.lower.time_ms if feed.lower else 0
        late = [
            entry
            for entry in timed
            if (entry.time.wall_us or 0) + entry.time.unc_us < low * 1000
            or (entry.time.wall_us or 0) - entry.time.unc_us > feed.upper.time_ms * 1000
        ]
        if late:
            self._find(Code.LATE, channel=channel, readings=len(late))

    # Statements -----------------------------------------------------------------------------

    def _statements(self, feeds: list[_FeedChecked]) -> None:
        """Who mirrored and who opened; a statement about anything outside the span is refused."""
        by_feed = {(f.proof.claim.feed_id, f.proof.claim.epoch): f for f in feeds}
        opened: dict[bytes, set[tuple[bytes, int]]] = {}
        mirrored: dict[bytes, int] = {}
        for leaf in self._chain.leaves:
            record = leaf.record
            if record[0] == RECORD_ANCHOR:
                if record[1:3] not in by_feed:
                    raise FormatError("chain part", "an anchor of a feed that is not shown")
                continue
            if record[0] not in (RECORD_MIRROR, RECORD_OPENED):
                raise FormatError("chain part", f"a record of kind {record[0]} is not a bundle's")
            feed = by_feed.get((record[1], record[2]))
            headers = {h.height: h for h in feed.proof.headers} if feed else {}
            header = headers.get(record[3])
            if feed is None or header is None:
                raise FormatError("chain part", "a statement about a block outside the span")
            if record[0] == RECORD_MIRROR:
                _same_digest(record[4], header.digest)
                mirrored[record[5]] = max(mirrored.get(record[5], 0), record[3])
                continue
            _same_digest(record[5], header.digest)
            if record[6] is not True:
                self._find(Code.DISPUTED, party=self._party_name(record[7]), height=record[3])
            elif record[7] != feed.gateway.party and record[4] in _audiences(feed):
                opened.setdefault(record[7], set()).add((record[1], record[3]))
        self._describe_statements(feeds, opened, mirrored)

    def _describe_statements(
        self,
        feeds: list[_FeedChecked],
        opened: dict[bytes, set[tuple[bytes, int]]],
        mirrored: dict[bytes, int],
    ) -> None:
        blocks = {(f.proof.claim.feed_id, h.height) for f in feeds for h in f.proof.headers}
        for party, heights in sorted(opened.items()):
            name = self._party_name(party)
            self._find(Code.OPENED, party=name, blocks=len(heights), of=len(blocks))
        unopened = blocks - set().union(*opened.values()) if opened else blocks
        if unopened:
            self._find(Code.NOT_OPENED, blocks=len(unopened), of=len(blocks))
        for party in sorted(mirrored):
            self._find(Code.MIRRORED, party=self._party_name(party))

    def _check_all_used(self) -> None:
        known = {encode(["validators"])}
        if set(self._chain.states) - self._states_used - known:
            raise FormatError("chain part", "states that nobody asked for")

    def _describe_chain(self) -> None:
        count, parties = self._chain.validator_count, self._chain.parties_count
        self._find(Code.VALIDATORS, count=count, parties=parties, chain_id=self._chain.chain_id)
        if parties == 1:
            self._find(Code.ONE_PARTY)

    def _entries(self, feed: _FeedChecked) -> list[ProvenEntry]:
        claim = feed.proof.claim
        return [
            ProvenEntry(
                feed_id=claim.feed_id,
                leaf_index=index,
                height=height,
                entry=entry,
                anchored_ms=feed.upper.time_ms,
            )
            for slot, shown in sorted(feed.proof.slots.items())
            if slot != CONTROL_SLOT
            for index, height, entry in shown.entries
        ]


def _is_note(entry: Entry) -> bool:
    return entry.kind in (KIND_DESCRIPTOR, KIND_GAP, KIND_SUMMARY)


def _same_digest(stated: object, digest: bytes) -> None:
    if stated != digest:
        raise ProofError("a statement is about another block of the same height")


def _audiences(feed: _FeedChecked) -> set[int]:
    return {audience_of(slot) for slot in feed.part.slots if slot != CONTROL_SLOT}


def _check_not_there(slot: int, feed: _FeedChecked) -> None:
    """Raises unless no run of the slot's audience in the span lists it."""
    audience = audience_of(slot)
    shown = {height for height, held, _ in feed.part.run_heads if held == audience}
    for header in feed.part.headers:
        if header.run_digest(audience) is not None and header.height not in shown:
            raise UncheckableError(f"whether slot {slot} stands at height {header.height} is open")
    if any(slot in head.slots for _, held, head in feed.part.run_heads if held == audience):
        raise ProofError(f"slot {slot} stands in the span and is not shown")
