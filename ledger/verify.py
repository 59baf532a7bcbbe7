"""Checks a whole proof bundle with no store and no network: chain, heads, headers, slots,
completeness.

The trust root is the caller's: the digest of the chain's genesis document, from outside the bundle.
Without it nothing is ever proven, only found consistent in itself.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

from ledger.canonical import decode, encode
from ledger.chain_proof import (
    RECORD_ANCHOR,
    LogLeaf,
    VerifiedChain,
    decode_chain_part,
    verify_chain_part,
)
from ledger.chain_word import (
    check_device_named,
    check_enrolled_genesis,
    check_interval,
    check_key_in_force,
    check_not_revoked,
    check_recorded_descriptor,
)
from ledger.entry import (
    CONTROL_SLOT,
    KIND_BOOT,
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
from ledger.head import decode_head
from ledger.proof_bundle import Bundle, FeedPart, Request, decode_bundle
from ledger.proven_records import (
    BlockStatement,
    DeviceRow,
    GatewayRecord,
    KeyPeriod,
    block_statement,
    check_record,
    device_rows,
    entries_missing_max,
    feed_of,
    frozen_epoch,
    gateway_record,
    last_anchored,
    party_name,
)
from ledger.verdict import Code, Finding, Outcome, ProvenEntry, Verdict

LEVEL_DEVELOPMENT: Final = 0


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
class _FeedChecked:
    """A feed part with what the chain adds: brackets of the span and the times of its anchors."""

    proof: FeedProof
    part: FeedPart
    gateway: GatewayRecord
    signed_by: KeyPeriod
    lower: LogLeaf | None
    upper: LogLeaf

    @property
    def audiences(self) -> set[int]:
        """The audiences of the asked slots."""
        return {audience_of(slot) for slot in self.part.slots if slot != CONTROL_SLOT}


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
        for leaf in self._chain.leaves:
            check_record(leaf)
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
            self._names[party] = party_name(value) if value else party.hex()[:8]
        return self._names[party]

    # One feed -------------------------------------------------------------------------------

    def _feed(self, part: FeedPart) -> _FeedChecked:
        claim = decode_head(part.head).claim
        gateway = self._gateway(claim.feed_id)
        signed_by = gateway.period(claim.kid)
        proof = check_feed_part(part, signed_by.key)
        check_enrolled_genesis(proof, gateway)
        self._check_not_frozen(claim.feed_id, claim.epoch)
        lower, upper = self._brackets(proof)
        ended = upper.time_ms < self._request.to_ms and self._is_feeds_last(gateway, proof)
        # A feed that has ended is shown to its end.
        asked = replace(self._request, to_ms=upper.time_ms) if ended else self._request
        check_interval(asked, lower, upper)
        check_not_revoked(gateway, upper)
        check_key_in_force(signed_by, upper)
        checked = _FeedChecked(
            proof=proof, part=part, gateway=gateway, signed_by=signed_by, lower=lower, upper=upper
        )
        self._describe_keys(checked, ended=ended)
        return checked

    def _is_feeds_last(self, gateway: GatewayRecord, proof: FeedProof) -> bool:
        """True where the feed has ended, and with this head: nothing of it can follow."""
        if gateway.ended_ms is None:
            return False
        claim = proof.claim
        return last_anchored(self._state("feed", claim.feed_id, claim.epoch)) == claim.digest

    def _describe_keys(self, feed: _FeedChecked, *, ended: bool) -> None:
        gateway, upper_ms = feed.gateway, feed.upper.time_ms
        if ended:
            self._find(
                Code.ENDED, at_ms=gateway.ended_ms, last_ms=upper_ms, retired=gateway.retired
            )
        if gateway.ended_ms is not None and not gateway.retired:
            self._find(Code.REVOKED_LATER, at_ms=gateway.ended_ms)
        lower_ms = feed.lower.time_ms if feed.lower else 0
        for old, new in pairwise(gateway.keys):
            if lower_ms <= new.from_ms <= upper_ms:
                self._find(
                    Code.KEY_CHANGED,
                    at_ms=new.from_ms,
                    old=old.key.kid.hex(),
                    new=new.key.kid.hex(),
                )

    def _check_not_frozen(self, feed_id: bytes, epoch: int) -> None:
        """A conflict leaves open what is true of its epoch and before; a later one says so."""
        value = self._state("frozen", feed_id)
        if value is not None and epoch <= frozen_epoch(value):
            raise UncheckableError(f"feed {feed_id.hex()[:8]}: a conflict is on the chain")
        if epoch:
            missing = entries_missing_max(self._state("epoch", feed_id, epoch))
            self._find(Code.MISSING, feed=feed_id.hex(), entries_max=missing)

    def _gateway(self, feed_id: bytes) -> GatewayRecord:
        value = self._state("gateway", feed_id)
        if value is None:
            raise ProofError(f"feed {feed_id.hex()[:8]} is not enrolled on this chain")
        return gateway_record(value)

    def _anchors(self, feed_id: bytes, epoch: int) -> list[LogLeaf]:
        return [
            leaf
            for leaf in self._chain.leaves
            if leaf.record[0] == RECORD_ANCHOR and feed_of(leaf) == (feed_id, epoch)
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
        return lower, upper

    # The device -----------------------------------------------------------------------------

    def _device_rows(self) -> list[DeviceRow]:
        device_id = self._request.device_id
        value = self._state("device", device_id)
        if value is None:
            raise UncheckableError(f"device {device_id} is not recorded on the chain")
        return device_rows(value)

    def _check_device(self, rows: list[DeviceRow], feeds: list[_FeedChecked]) -> None:
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

    def _check_row(self, row: DeviceRow, feed: _FeedChecked) -> None:
        if row.slot not in feed.part.slots:
            raise UncheckableError(f"whether slot {row.slot} stands in the span is not shown")
        shown = feed.proof.slots.get(row.slot)
        if shown is None:
            self._find(Code.ABSENT, slot=row.slot)
            return
        check_device_named(shown, self._request.device_id)
        check_recorded_descriptor(shown, row)

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
        self._find(Code.KEY, kid=claim.kid.hex(), level=feed.signed_by.level)
        if feed.signed_by.level == LEVEL_DEVELOPMENT:
            self._find(Code.DEVELOPMENT_KEY, gateway=claim.subject)
        for slot, shown in sorted(feed.proof.slots.items()):
            if slot == CONTROL_SLOT:
                self._describe_control(shown, feed)
                self._describe_backlog(shown, feed)
            else:
                self._describe_slot(shown, feed)

    def _describe_control(self, shown: SlotProof, feed: _FeedChecked) -> None:
        gateway, stats = feed.proof.claim.subject, shown.last.stats
        if isinstance(stats, list) and len(stats) == 1 and type(stats[0]) is bytes:
            self._find(Code.CONFIGURATION, gateway=gateway, digest=stats[0].hex())
        for _, _, entry in shown.entries:
            if entry.kind == KIND_BOOT and isinstance(entry.body, list) and len(entry.body) > 1:
                at_us, software = entry.time.wall_us, entry.body[1]
                if isinstance(software, str):
                    self._find(Code.STARTED, gateway=gateway, at_us=at_us, software=software)
            if entry.kind == KIND_CLOCK_STEP:
                before_us, after_us = _numbers(entry.body, 1, 3)
                self._find(Code.CLOCK_STEP, before_us=before_us, after_us=after_us)

    def _describe_backlog(self, shown: SlotProof, feed: _FeedChecked) -> None:
        """Whether the gateway may hold more of the interval than it had put into blocks by then."""
        until_us = shown.complete_until.wall_us
        asked_us = min(self._request.to_ms, feed.upper.time_ms) * 1000
        if until_us is not None and until_us < asked_us and feed.gateway.ended_ms is None:
            gateway = feed.proof.claim.subject
            self._find(Code.BEHIND, gateway=gateway, until_ms=until_us // 1000)

    def _describe_slot(self, shown: SlotProof, feed: _FeedChecked) -> None:
        entries = [entry for _, _, entry in shown.entries]
        body = shown.descriptor.body
        channel = str(body[2])
        readings = [entry for entry in entries if not _is_note(entry)]
        inside = [entry for entry in readings if self._inside(entry)]
        self._find(
            Code.COMPLETE,
            slot=shown.slot,
            channel=channel,
            readings=len(readings),
            inside=len(inside),
            seq_by=str(body[5]) if len(body) > 5 else "gateway",
            calibration=body[8] if len(body) > 8 else None,
        )
        for entry in entries:
            if entry.kind == KIND_GAP:
                reason, from_us, to_us = _numbers(entry.body, 1, 4)
                self._find(Code.GAP, channel=channel, reason=reason, from_us=from_us, to_us=to_us)
        self._describe_clock(readings, feed, channel)
        if shown.last.retired:
            self._find(Code.RETIRED, channel=channel)

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
        mirrored: set[bytes] = set()
        for leaf in self._chain.leaves:
            if feed_of(leaf) not in by_feed:
                raise FormatError("chain part", "a record of a feed that is not shown")
            if leaf.record[0] == RECORD_ANCHOR:
                continue
            statement = block_statement(leaf)
            feed = by_feed[statement.feed]
            check_statement(statement, feed.proof)
            if statement.ok is None:
                mirrored.add(statement.party)
            elif not statement.ok:
                name = self._party_name(statement.party)
                self._find(Code.DISPUTED, party=name, height=statement.height)
            elif counts_as_opened(statement, feed.gateway) and statement.audience in feed.audiences:
                place = (statement.feed[0], statement.height)
                opened.setdefault(statement.party, set()).add(place)
        self._describe_statements(feeds, opened, mirrored)

    def _describe_statements(
        self,
        feeds: list[_FeedChecked],
        opened: dict[bytes, set[tuple[bytes, int]]],
        mirrored: set[bytes],
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


def _numbers(body: object, first: int, end: int) -> list[int | None]:
    """Elements [first, end) of an entry's body where they are numbers: a gateway may write any."""
    items = body[first:end] if isinstance(body, list) else []
    found = [item if type(item) is int else None for item in items]
    return found + [None] * (end - first - len(found))


def check_statement(statement: BlockStatement, proof: FeedProof) -> None:
    """The statement is about a block of the span, by its digest."""
    first = proof.headers[0].height if proof.headers else 0
    if not first <= statement.height < first + len(proof.headers):
        raise FormatError("chain part", "a statement about a block outside the span")
    header = proof.headers[statement.height - first]
    if statement.block_digest != header.digest:
        raise ProofError("a statement is about another block of the same height")


def counts_as_opened(statement: BlockStatement, gateway: GatewayRecord) -> bool:
    """Only another organisation's word says that a run could be opened."""
    return statement.party != gateway.party
