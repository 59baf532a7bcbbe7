"""Re-derives everything of a store and a journal from raw data and lists every difference.

Raw are block headers, run heads, run bodies, ciphertexts, heads and journal frames. Derived, and so
compared: links, roots, tree nodes, frontiers, slots, states. Nothing is mended or changed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Final

from ledger.block import NO_PREVIOUS, BlockHeader, Run
from ledger.conflict import check_conflict, verify_under
from ledger.entry import KIND_KEY_CHANGE, PUBLIC_AUDIENCE, decode_entry
from ledger.errors import LedgerError, StoreError
from ledger.feed import (
    check_folding,
    check_follows,
    check_head_fits,
    check_structure,
    feed_id_of_leaf,
)
from ledger.feed_store import (
    FeedName,
    feed_prefix,
    feeds,
    first_described,
    get_header,
    get_run,
    get_run_head,
    get_run_parts,
    get_state,
    get_subtrees,
    holds_descriptor,
    pruned_below,
)
from ledger.frontier import Frontier, TreeNode
from ledger.hashing import sha256
from ledger.head import Head, decode_head
from ledger.journal import inspect
from ledger.key_change import is_rotation, key_change_of
from ledger.merkle import MemoryTree
from ledger.mirror import frontier_at
from ledger.opening import OpenedRun, check_continues, open_run
from ledger.sealed import PUBLIC_KEY, place_of, run_key
from ledger.sealer import FeedState, SlotState
from ledger.signing import PublicKey
from ledger.store import TABLES, TREE_HEADERS, TREE_LEAVES, Store, Transaction

FEED_PREFIX_BYTES: Final = 20
BY_HEIGHT: Final = ("headers", "heads")
BY_RUN: Final = ("run_heads", "run_bodies", "ciphertexts", "described")
OF_FEEDS: Final = (*BY_HEIGHT, *BY_RUN, "nodes", "slots", "grants", "conflicts")

AudienceKeys = Mapping[tuple[int, int], bytes]  # by audience and key epoch

# An entry is a CBOR array: a frame that begins with this byte is a note of the journal's owner
# (docs/adr/0012-delivery-marks-in-the-journal.md) and belongs to no feed.
NOTE: Final = b"\x00"


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not as the raw data say, and where."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


@dataclass(slots=True)
class Report:
    """What was looked at, and every difference found."""

    feeds: int = 0
    blocks: int = 0
    runs_opened: int = 0
    heads: int = 0
    journal_entries: int = 0
    found: list[Difference] = field(default_factory=list)

    def add(self, where: str, what: object) -> None:
        """One difference more."""
        self.found.append(Difference(where, str(what)))


def check_folder(folder: Path) -> Report:
    """Checks a data folder: its `store` and `journal`, or a store itself.

    Raises StoreError where the store cannot be opened or read, or is in use.
    """
    inner = folder / "store"
    store = Store(inner if inner.is_dir() else folder)
    try:
        report = store.read(check_store)
        journal = folder / "journal"
        if journal.is_dir():
            store.read(lambda txn: check_journal(txn, journal, report))
    finally:
        store.close()
    return report


def check_store(txn: Transaction) -> Report:
    """Every difference in a store."""
    report = Report()
    for table in TABLES:
        for key in txn.damaged(table):
            report.add(f"table {table}, key {key.hex()}", "the stored bytes have changed")
    keys, names = dict[tuple[int, int], bytes](), list[FeedName]()
    with _noting(report, "table audience_keys"):
        keys |= _audience_keys(txn)
    with _noting(report, "table feeds"):
        names += feeds(txn)
    for feed in names:
        report.feeds += 1
        check = _FeedCheck(txn, feed, keys, report)
        with _noting(report, check.where):
            check.run()
    known = {feed_prefix(feed) for feed in names}
    for table in OF_FEEDS:
        with _noting(report, f"table {table}"):
            for key, _ in txn.scan(table, b""):
                if key[:FEED_PREFIX_BYTES] not in known:
                    report.add(f"table {table}, key {key.hex()}", "of no feed that is held")
    return report


@contextmanager
def _noting(report: Report, where: str) -> Iterator[None]:
    """What cannot be read any further is one difference; the check goes on elsewhere."""
    try:
        yield
    except LedgerError as error:
        report.add(where, error)


def _audience_keys(txn: Transaction) -> dict[tuple[int, int], bytes]:
    """Audience keys by audience and key epoch, as a gateway keeps them for its own feed."""
    return {
        (int.from_bytes(key[:2], "big"), int.from_bytes(key[2:], "big")): secret
        for key, secret in txn.scan("audience_keys", b"")
    }


class _FeedCheck:
    """One feed, from its first block on."""

    def __init__(
        self, txn: Transaction, feed: FeedName, keys: AudienceKeys, report: Report
    ) -> None:
        self._txn, self._feed, self._report = txn, feed, report
        self.where = f"feed {feed[0].hex()[:8]} epoch {feed[1]}"
        self._own, self._held_keys = False, keys
        self._pruned_below, self._behind_pruned = 0, set[int]()
        self._described_from: int | None = None
        self._headers = MemoryTree()
        self._leaves = Frontier()
        self._nodes: dict[tuple[int, int, int], bytes] = {}
        self._places: dict[str, set[bytes]] = {table: set() for table in (*BY_RUN, "headers")}
        self._opened: dict[int, OpenedRun] = {}
        self._keys: list[PublicKey] = []  # the feed's, one after another

    def run(self) -> None:
        """Notes every difference of the feed."""
        state = get_state(self._txn, self._feed)
        if state is None:
            return
        # Only the feed that was sealed here has slots; the held audience keys are that feed's.
        self._own = bool(state.slots)
        self._pruned_below = pruned_below(self._txn, self._feed)
        self._described_from = first_described(self._txn, self._feed)
        previous: BlockHeader | None = None
        for height in range(state.height):
            try:
                previous = self._block(height, previous)
            except LedgerError as error:
                # What stands on a block that cannot be read cannot be derived.
                self._report.add(f"{self.where} height {height}", error)
                self._report.add(self.where, f"not checked from height {height} on")
                return
        self._check_state(state, previous)
        self._check_nodes()
        self._check_heads(state)
        self._check_slots(state)
        self._check_places()
        self._check_grants_and_conflicts()

    def _block(self, height: int, previous: BlockHeader | None) -> BlockHeader:
        header = get_header(self._txn, self._feed, height)
        if header is None:
            raise StoreError("the header is missing")
        if (header.feed_id, header.epoch, header.height) != (*self._feed, height):
            raise StoreError("the header names another feed, epoch or height")
        check_follows(previous, header)
        self._leaves, nodes = self._fold(header)
        self._note(TREE_LEAVES, nodes)
        _, nodes = frontier_at(self._headers.read, height).grow(0, header.digest)
        self._note(TREE_HEADERS, nodes)
        self._headers.append(header.digest)
        place = feed_prefix(self._feed) + height.to_bytes(8, "big")
        self._places["headers"].add(place)
        for audience, _ in header.runs:
            for table in BY_RUN:
                self._places[table].add(place + audience.to_bytes(2, "big"))
            with _noting(self._report, f"{self.where} height {height} audience {audience}"):
                self._run(header, audience)
        self._report.blocks += 1
        return header

    def _fold(self, header: BlockHeader) -> tuple[Frontier, list[TreeNode]]:
        if header.height >= self._pruned_below:
            parts = get_run_parts(self._txn, self._feed, header)
            return check_structure(header, parts, self._leaves)
        heads = []
        for audience, _ in header.runs:
            head = get_run_head(self._txn, self._feed, height=header.height, audience=audience)
            if head is None:
                raise StoreError(f"run head {audience} is missing")
            heads.append((audience, head, get_subtrees(self._txn, self._feed, head)))
        return check_folding(header, heads, self._leaves)

    def _note(self, tree: int, nodes: list[TreeNode]) -> None:
        for level, index, root in nodes:
            self._nodes[tree, level, index] = root

    def _run(self, header: BlockHeader, audience: int) -> None:
        run = get_run(self._txn, self._feed, height=header.height, audience=audience)
        if run is None and self._is_pruned(header, audience):
            self._opened.pop(audience, None)
            self._behind_pruned.add(audience)
            return
        if run is None:
            raise StoreError("the body or ciphertext is missing")
        if run.head.body_digest != run.body.digest:
            raise StoreError("the body is not the bound one")
        if (len(run.ciphertext), sha256(run.ciphertext)) != (run.body.ct_bytes, run.body.ct_digest):
            raise StoreError("the ciphertext is not the bound one")
        secret = self._secret(run)
        if secret is None:
            return
        place = place_of(header, audience=audience, key_epoch=run.head.key_epoch)
        opened = open_run(
            header=header,
            audience=audience,
            head=run.head,
            body=run.body,
            ciphertext=run.ciphertext,
            key=run_key(secret, run.body.run_salt, place),
        )
        self._report.runs_opened += 1
        if header.height == 0 and audience == PUBLIC_AUDIENCE:
            self._genesis(opened)
        if audience == PUBLIC_AUDIENCE:
            self._learn_keys(opened)
        self._check_described(opened, audience)
        if audience in self._behind_pruned:
            self._behind_pruned.discard(audience)  # what it goes on from was let go
        else:
            check_continues(opened, self._opened.get(audience))
        self._opened[audience] = opened

    def _is_pruned(self, header: BlockHeader, audience: int) -> bool:
        first, height = self._described_from, header.height
        if first is None or not first <= height < self._pruned_below:
            return False
        return not holds_descriptor(self._txn, self._feed, height=height, audience=audience)

    def _check_described(self, opened: OpenedRun, audience: int) -> None:
        height = opened.header.height
        if not self._own or self._described_from is None or height < self._described_from:
            return
        first = opened.head.first
        wanted = any(s.descriptor_index >= first for s in opened.summaries.values())
        held = holds_descriptor(self._txn, self._feed, height=height, audience=audience)
        if wanted != held:
            raise StoreError("what is noted of its descriptors is not so")

    def _secret(self, run: Run) -> bytes | None:
        if run.audience == PUBLIC_AUDIENCE:
            return PUBLIC_KEY
        if not self._own:
            return None
        secret = self._held_keys.get((run.audience, run.head.key_epoch))
        if secret is None:
            raise StoreError(f"the key of key epoch {run.head.key_epoch} is missing")
        return secret

    def _genesis(self, opened: OpenedRun) -> None:
        if feed_id_of_leaf(opened.leaves[0]) != self._feed[0]:
            raise StoreError("leaf 0 is not this feed's genesis")
        body = opened.entries[0].body
        # The body is the gateway's; where it names algorithm and key, heads are checked by them.
        if isinstance(body, list) and [type(v) for v in body[2:4]] == [int, bytes]:
            self._keys.append(PublicKey(body[2], body[3]))

    def _learn_keys(self, opened: OpenedRun) -> None:
        """Takes over each key that the one before it, and it itself, have signed for."""
        for entry in opened.entries:
            if not self._keys or entry.kind != KIND_KEY_CHANGE or not is_rotation(entry.body):
                continue
            change = key_change_of(self._feed[0], entry.body)
            if change.new_key not in self._keys:  # a crash may have had it told twice
                change.check(self._keys[-1])
                self._keys.append(change.new_key)

    def _check_state(self, state: FeedState, last: BlockHeader | None) -> None:
        headers = frontier_at(self._headers.read, state.height)
        if (state.leaves, state.headers) != (self._leaves, headers):
            self._report.add(self.where, "the frontiers are not those of the blocks")
        digest, jseq_end = (last.digest, last.jseq_end) if last else (NO_PREVIOUS, 0)
        if (state.prev_digest, state.jseq_end) != (digest, jseq_end):
            self._report.add(self.where, "last digest or jseq is not that of the last block")

    def _check_nodes(self) -> None:
        prefix, wanted = feed_prefix(self._feed), dict(self._nodes)
        for key, root in self._txn.scan("nodes", prefix):
            tree, level = key[len(prefix)], key[len(prefix) + 1]
            index = int.from_bytes(key[len(prefix) + 2 :], "big")
            if wanted.pop((tree, level, index), None) != root:
                self._report.add(f"{self.where} tree {tree} node {level}/{index}", "is another")
        for tree, level, index in wanted:
            self._report.add(f"{self.where} tree {tree} node {level}/{index}", "is missing")

    def _check_heads(self, state: FeedState) -> None:
        prefix = feed_prefix(self._feed)
        for place, data in self._txn.scan("heads", prefix):
            height = int.from_bytes(place[len(prefix) :], "big")
            with _noting(self._report, f"{self.where} head {height}"):
                head = decode_head(data)
                if head.claim.height != height or height >= state.height:
                    raise StoreError("for another height, or for one that is not held")
                header = get_header(self._txn, self._feed, height)
                if header is not None:
                    check_head_fits(head, header, frontier_at(self._headers.read, height + 1))
                if self._can_judge(head):
                    verify_under(head, self._keys)
            self._report.heads += 1

    def _can_judge(self, head: Head) -> bool:
        """False where the key is not known, and the run that tells it may have been let go."""
        known = any(key.kid == head.claim.kid for key in self._keys)
        return known or (bool(self._keys) and not self._pruned_below)

    def _check_slots(self, state: FeedState) -> None:
        if not self._own:
            return
        derived = {slot: held for slot, held in self._derived_slots().items() if not held.retired}
        held = {slot: value for slot, value in state.slots.items() if not value.retired}
        for slot in sorted(derived.keys() | held.keys()):
            if derived.get(slot) != held.get(slot):
                self._report.add(f"{self.where} slot {slot}", "is not as its summaries say")

    def _derived_slots(self) -> dict[int, SlotState]:
        return {
            slot: SlotState(
                total=summary.total,
                descriptor_index=summary.descriptor_index,
                retired=summary.retired,
            )
            for opened in self._opened.values()
            for slot, summary in opened.summaries.items()
        }

    def _check_places(self) -> None:
        for table, places in self._places.items():
            for key, _ in self._txn.scan(table, feed_prefix(self._feed)):
                if key not in places:
                    self._report.add(f"table {table}, key {key.hex()}", "of no block that is held")

    def _check_grants_and_conflicts(self) -> None:
        for key, box in self._txn.scan("grants", feed_prefix(self._feed)):
            if not key.endswith(sha256(box)[:16]):
                self._report.add(f"table grants, key {key.hex()}", "is not the key's own")
        for key, evidence in self._txn.scan("conflicts", feed_prefix(self._feed)):
            with _noting(self._report, f"table conflicts, key {key.hex()}"):
                if not key.endswith(sha256(evidence)):
                    raise StoreError("is not the evidence's own")
                if self._keys and not self._pruned_below:
                    check_conflict(evidence, *self._keys)


def check_journal(txn: Transaction, folder: Path, report: Report) -> None:
    """Notes every difference of a journal: frames, numbers, and what follows on the sealed."""
    recovered = inspect(folder)
    for lost in recovered.corruptions:
        where = f"journal segment {lost.segment_id} at {lost.offset}"
        report.add(where, f"{lost.size_bytes} bytes behind entry {lost.after_jseq} are damaged")
    states = [get_state(txn, feed) for feed in feeds(txn)]
    own = next((state for state in states if state is not None and state.slots), None)
    last = own.jseq_end if own else 0
    totals = {slot: held.total for slot, held in own.slots.items()} if own else {}
    report.journal_entries = len(recovered.entries)
    numbers = [jseq for jseq, _ in recovered.entries]
    for earlier, later in pairwise([max(min(numbers, default=1) - 1, 0), *numbers]):
        if later != earlier + 1:
            report.add(f"journal entry {later}", f"follows on entry {earlier}")
    if numbers and min(numbers) > last + 1:
        report.add(f"journal entry {min(numbers)}", f"the sealed end with entry {last}")
    for jseq, data in recovered.entries:
        if data[:1] == NOTE:
            continue
        with _noting(report, f"journal entry {jseq}"):
            entry = decode_entry(data)
            if jseq > last and entry.srcseq != totals.get(entry.slot, 0):
                raise StoreError(f"srcseq {entry.srcseq}, not {totals.get(entry.slot, 0)}")
            totals[entry.slot] = entry.srcseq + 1
