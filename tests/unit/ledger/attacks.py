"""Every attack on a feed part that a check exists for, with the check that stops it.

`made()` gives a part and the key of its head. `checks` names what has to be taken away before the
attack passes: one function, or several where one lie breaks several rules at once.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from ledger.block import Block, RunHead
from ledger.entry import (
    CONTROL_SLOT,
    KIND_PADDING,
    KIND_RETIREMENT,
    KIND_SUMMARY,
    KIND_TELEMETRY,
    Entry,
    decode_entry,
    encode_entry,
)
from ledger.head import Head
from ledger.merkle import MemoryTree, range_path
from ledger.proof_bundle import FeedPart
from ledger.signing import PublicKey
from ledger.summary import Summary, summary_of
from tests.unit.ledger.feed_builder import Edit, FeedBuilder, RunPart, X, Y, grown

Made = tuple[FeedPart, PublicKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """A lie in one sentence, the number of the verifier's check, and what stops it."""

    lie: str
    number: int
    made: Callable[[], Made]
    checks: tuple[str, ...]
    refused: str


ATTACKS: list[Attack] = []


def attack(lie: str, number: int, *checks: str, refused: str) -> Callable[..., Any]:
    """Registers the function below it as an attack."""

    def register(made: Callable[[], Made]) -> Callable[[], Made]:
        ATTACKS.append(Attack(lie=lie, number=number, made=made, checks=checks, refused=refused))
        return made

    return register


def entries_of(part: RunPart) -> list[Entry]:
    return [decode_entry(data) for data in part.data]


def put_entries(part: RunPart, entries: list[Entry]) -> None:
    part.entries[:] = entries
    part.data[:] = [encode_entry(entry) for entry in entries]


def in_audience(
    audience: int, change: Callable[[RunPart, list[Entry]], list[Entry] | None]
) -> Edit:
    """An edit of one audience's run, as entries."""

    def edit(part: RunPart) -> None:
        if part.audience == audience:
            changed = change(part, entries_of(part))
            if changed is not None:
                put_entries(part, changed)

    return edit


def restate(entry: Entry, **changes: Any) -> Entry:
    """A summary entry with some of its values changed."""
    return replace(summary_of(entry), **changes).to_entry(entry.time)


def in_summaries(change: Callable[[Summary], dict[str, Any]], slot: int = X) -> Edit:
    """An edit of a slot's summary."""

    def edited(_: RunPart, entries: list[Entry]) -> list[Entry]:
        return [
            restate(entry, **change(summary_of(entry)))
            if entry.kind == KIND_SUMMARY and entry.slot == slot
            else entry
            for entry in entries
        ]

    return in_audience(slot >> 16, edited)


def lying_feed(
    edit: Edit | None, *, at: int = 4, blocks: int = 6, quiet: bool = False
) -> FeedBuilder:
    """X and Y from height 1; the block `at` is edited (quiet: nothing was read in it)."""
    feed = FeedBuilder()
    for height in range(blocks):
        if height == 1:
            feed.describe(X)
            feed.describe(Y, "neighbour")
        if height >= 1 and not (quiet and height == at):
            feed.read(X, 4)
            feed.read(Y, 2)
        feed.cut(edit if height == at else None)
    return feed


def made(feed: FeedBuilder, **options: Any) -> Made:
    return feed.part([X], **options), feed.key


def with_headers(feed: FeedBuilder, change: Callable[[int, Any, bytes], Any]) -> FeedBuilder:
    """The feed with other headers, signed; `change` gets height, header and previous digest."""
    blocks, tree, previous = [], MemoryTree(), bytes(32)
    for height, block in enumerate(feed.blocks):
        header = change(height, block.header, previous)
        blocks.append(Block(header=header, runs=block.runs))
        previous = header.digest
        tree.append(previous)
    feed.blocks, feed.header_tree = blocks, tree
    return feed


def with_run_head(
    feed: FeedBuilder, height: int, change: Callable[[RunHead], RunHead]
) -> FeedBuilder:
    """The feed with another run head for audience 1 at a height, bound by its header."""
    block = feed.blocks[height]
    runs = tuple(
        replace(run, head=change(run.head)) if run.audience == 1 else run for run in block.runs
    )
    listed = tuple((run.audience, run.head.digest) for run in runs)
    feed.blocks[height] = Block(header=block.header, runs=runs)
    return with_headers(
        feed,
        lambda h, header, previous: replace(
            header, prev_digest=previous, runs=listed if h == height else header.runs
        ),
    )


def good() -> FeedBuilder:
    return grown(FeedBuilder())


# 1 ------------------------------------------------------------------------------------------------


@attack("a head that somebody else signed", 1, "feed_proof.check_head", refused="does not verify")
def _thief() -> Made:
    feed = good()
    claim = feed.claim()
    forged = Head(claim, FeedBuilder("thief").sign(claim.tbs())).encode()
    return replace(feed.part([X]), head=forged), feed.key


# 2 ------------------------------------------------------------------------------------------------


@attack(
    "a header that is not in the signed row", 2, "feed_proof.check_header_root", refused="row|root"
)
def _header_outside() -> Made:
    part, key = made(good())
    last = replace(part.headers[-1], jseq_end=part.headers[-1].jseq_end + 1)
    return replace(part, headers=(*part.headers[:-1], last)), key


@attack(
    "the tail cut off, under the later head", 2,
    "feed_proof.check_reaches_head", "feed_proof.check_last_header", refused="signed height",
)  # fmt: skip
def _tail_cut() -> Made:
    feed = good()
    whole, cut = feed.part([X]), feed.part([X], last=5)
    size = whole.headers[-1].size
    indexes = {i for first, count in cut.ranges for i in range(first, first + count)}
    shown = feed.part_of(cut.slots, indexes, range(7))
    return replace(
        cut,
        head=whole.head,
        header_path=tuple(range_path(feed.header_tree.read, 7, [(0, 6)])),
        leaf_path=shown.leaf_path if size else (),
    ), feed.key


@attack(
    "headers of another epoch", 2, "feed_proof.check_header_names", refused="another feed, epoch"
)
def _other_epoch() -> Made:
    feed = good()
    head = feed.claim()
    with_headers(feed, lambda _, header, prev: replace(header, epoch=1, prev_digest=prev))
    claim = replace(head, block_root=feed.header_tree.root())
    return replace(feed.part([X]), head=Head(claim, feed.sign(claim.tbs())).encode()), feed.key


@attack("a header that does not follow the one before", 2, "feed_proof.check_links", refused="link")
def _no_link() -> Made:
    feed = with_headers(
        good(),
        lambda h, header, prev: replace(header, prev_digest=bytes(32) if h == 3 else prev),
    )
    return made(feed)


@attack(
    "leaves of a tree that the last header does not name",
    2,
    "feed_proof.check_last_header",
    refused="other trees",
)
def _two_trees() -> Made:
    feed = good()
    other = grown(FeedBuilder(salt="other history"))
    claim = feed.claim(root=other.tree.root())
    part = other.part([X])
    head = Head(claim, feed.sign(claim.tbs())).encode()
    return replace(
        feed.part([X]), head=head, leaves=part.leaves, leaf_path=part.leaf_path
    ), feed.key


# 3 ------------------------------------------------------------------------------------------------


@attack(
    "a run head that the header does not list",
    3,
    "feed_proof.check_run_digest",
    refused="not the header's",
)
def _other_run_head() -> Made:
    part, key = made(good())
    height, audience, head = part.run_heads[-1]
    other = (height, audience, replace(head, key_epoch=9))
    return replace(part, run_heads=(*part.run_heads[:-1], other)), key


@attack(
    "a run that reaches outside its block",
    3,
    "feed_proof.check_run_place",
    refused="outside its block",
)
def _run_outside() -> Made:
    def longer(head: RunHead) -> RunHead:
        return replace(head, first=head.first - 9, count=head.count + 9)

    return made(with_run_head(good(), 4, longer))


@attack(
    "a run listed under another audience",
    3,
    "feed_proof.check_run_audience",
    refused="another audience",
)
def _run_of_others() -> Made:
    feed = FeedBuilder()
    feed.describe(X)
    feed.read(X, 3)
    feed.cut()
    with_run_head(feed, 0, lambda head: replace(head, slots=(2 << 16 | 1,)))
    return feed.part_of(
        [CONTROL_SLOT, X], feed.indexes([CONTROL_SLOT], None, 0), range(1)
    ), feed.key


@attack("the device's runs not shown", 3, "feed_proof.check_run_is_shown", refused="is not shown")
def _runs_hidden() -> Made:
    feed = good()
    part = feed.part_of([CONTROL_SLOT, X], feed.indexes([CONTROL_SLOT], None, 6), range(7))
    return replace(part, run_heads=tuple(r for r in part.run_heads if r[1] != 1)), feed.key


# 4 ------------------------------------------------------------------------------------------------


@attack(
    "something else in the summary's place", 4, "summary.check_is_summary", refused="in its place"
)
def _no_summary() -> Made:
    def padded(_: RunPart, entries: list[Entry]) -> list[Entry]:
        return [
            replace(entry, kind=KIND_PADDING)
            if entry.kind == KIND_SUMMARY and entry.slot == X
            else entry
            for entry in entries
        ]

    feed = lying_feed(in_audience(1, padded))
    real = feed.indexes([X], 3, 5) | feed.indexes([CONTROL_SLOT], None, 5)
    first = feed.headers[4].start
    around = {i for i in range(first, feed.headers[4].size) if feed.entry(i).slot == X}
    real |= around | feed.indexes([X], None, 3) | feed.indexes([X], 4, 5)
    return feed.part_of([CONTROL_SLOT, X], real, range(6)), feed.key


@attack(
    "a summary of another height",
    4,
    "summary.check_summary_names",
    refused="another slot or height",
)
def _old_summary() -> Made:
    feed = lying_feed(in_summaries(lambda summary: {"height": summary.height - 1}))
    shown = feed.indexes([CONTROL_SLOT, X], None, 5)
    summary = feed.summary(X, 4)
    assert summary is not None
    shown |= set(range(summary.first_index, summary.first_index + summary.count))
    return feed.part_of([CONTROL_SLOT, X], shown, range(6)), feed.key


# 5 ------------------------------------------------------------------------------------------------


@attack(
    "readings kept in another audience's run",
    5,
    "summary.check_summary_bounds",
    refused="outside the run",
)
def _part_elsewhere() -> Made:
    feed, moved = FeedBuilder(), list[Entry]()

    def edit(part: RunPart) -> None:
        entries = entries_of(part)
        if part.audience == 0:
            # The readings to hide stand in front of the public run's own.
            items = [p.entry for p in feed.pending if p.entry.slot == X]
            moved[:] = sorted(items, key=lambda entry: entry.srcseq)
            shift = len(moved)
            put_entries(part, [*moved, *(_shifted(entry, shift) for entry in entries)])
            feed.pending[:] = [p for p in feed.pending if p.entry.slot != X]
        elif part.audience == 1:
            first = part.first
            kept = [e for e in entries if not (e.slot == X and e.kind != KIND_SUMMARY)]
            done = [
                restate(e, first_index=feed.headers[-1].size)
                if e.kind == KIND_SUMMARY and e.slot == X
                else _shifted(e, -len(moved))
                for e in kept
            ]
            assert first
            put_entries(part, done)

    feed.describe(X)
    feed.read(X, 2)
    feed.cut()
    feed.read(X, 3)
    feed.cut(edit)
    return made(feed)


def _shifted(entry: Entry, by: int) -> Entry:
    if entry.kind != KIND_SUMMARY:
        return entry
    return restate(entry, first_index=summary_of(entry).first_index + by)


# 6 ------------------------------------------------------------------------------------------------


@attack(
    "a reading with another value",
    6,
    "feed_proof.Leaves.check_root",
    refused="not under the signed root",
)
def _other_value() -> Made:
    part, key = made(good())
    at = next(n for n, leaf in enumerate(part.leaves) if decode_entry(leaf[16:]).kind == 1)
    entry = decode_entry(part.leaves[at][16:])
    lie = part.leaves[at][:16] + encode_entry(replace(entry, body=[1, 1, *entry.body[2:]]))
    return replace(part, leaves=(*part.leaves[:at], lie, *part.leaves[at + 1 :])), key


@attack(
    "one reading left out", 6,
    "feed_proof.Leaves.all_of", "summary.check_count", "summary.check_srcseq", refused="is missing",
)  # fmt: skip
def _reading_left_out() -> Made:
    feed = good()
    summary = feed.summary(X, 4)
    assert summary is not None
    return made(feed, omit=[summary.first_index + 2])


@attack("a neighbour's entry inside the part", 6, "summary.check_own", refused="foreign entry")
def _foreign() -> Made:
    def foreign(_: RunPart, entries: list[Entry]) -> list[Entry]:
        return [
            replace(e, slot=Y)
            if e.slot == X and e.srcseq % 4 == 3 and e.kind == KIND_TELEMETRY
            else e
            for e in entries
        ]

    return made(lying_feed(in_audience(1, foreign)))


@attack("a reading counted twice", 6, "summary.check_srcseq", refused="srcseq")
def _doubled() -> Made:
    def doubled(_: RunPart, entries: list[Entry]) -> list[Entry]:
        first = next(e for e in entries if e.slot == X)
        return [first if e.slot == X and e.srcseq == first.srcseq + 1 else e for e in entries]

    return made(lying_feed(in_audience(1, doubled)))


@attack("readings with their times in another order", 6, "summary.check_order", refused="backwards")
def _times_swapped() -> Made:
    def swapped(_: RunPart, entries: list[Entry]) -> list[Entry]:
        first, second = (e for e in entries[:2])
        times = {first.srcseq: second.time, second.srcseq: first.time}
        return [
            replace(e, time=times.get(e.srcseq, e.time)) if e.slot == X and e.kind == 1 else e
            for e in entries
        ]

    return made(lying_feed(in_audience(1, swapped)))


# 7 ------------------------------------------------------------------------------------------------


@attack("numbers skipped between two blocks", 7, "summary.check_total", refused="entries after")
def _skipped() -> Made:
    def skipped(_: RunPart, entries: list[Entry]) -> list[Entry]:
        return [replace(e, srcseq=e.srcseq + 5) if e.slot == X else e for e in entries]

    feed = lying_feed(in_audience(1, skipped), at=5)
    return made(feed)


# 8 ------------------------------------------------------------------------------------------------


def _vanish(part: RunPart, entries: list[Entry]) -> list[Entry]:
    part.slots.remove(X)
    return [entry for entry in entries if entry.slot != X]


@attack(
    "a block in which the slot is missing",
    8,
    "feed_proof.check_may_be_absent",
    refused="is missing",
)
def _absent() -> Made:
    return made(lying_feed(in_audience(1, _vanish), quiet=True))


@attack(
    "a slot called retired without its last entry",
    8,
    "summary.check_retirement",
    refused="retirement",
)
def _called_retired() -> Made:
    return made(lying_feed(in_summaries(lambda _: {"retired": True}), at=5))


@attack(
    "a slot that goes on after its retirement",
    8,
    "summary.check_beginning",
    refused="after its retirement",
)
def _revived() -> Made:
    feed = FeedBuilder()
    feed.describe(X)
    feed.read(X, 2)
    feed.add(KIND_RETIREMENT, X)
    feed.cut()
    feed.state.slots[X] = replace(feed.state.slots[X], retired=False)  # type: ignore[index]  # the liar's own state
    feed.read(X, 2)
    feed.cut()
    return made(feed)


@attack(
    "a slot that begins without a descriptor",
    8,
    "summary.check_beginning",
    "summary.check_descriptor",
    "feed_proof.check_is_descriptor",
    refused="without a descriptor",
)
def _undescribed() -> Made:
    def bare(_: RunPart, entries: list[Entry]) -> list[Entry]:
        return [
            replace(e, kind=KIND_TELEMETRY) if e.slot == X and e.kind == 6 else e for e in entries
        ]

    return made(lying_feed(in_audience(1, bare), at=1))


# 9 ------------------------------------------------------------------------------------------------


@attack(
    "a summary that names an older descriptor",
    9,
    "summary.check_descriptor",
    refused="another descriptor",
)
def _old_descriptor() -> Made:
    feed = FeedBuilder()
    feed.describe(X)
    feed.cut()
    old = feed.state.slots[X].descriptor_index
    feed.describe(X, "probe", "moved")
    feed.read(X, 2)
    feed.cut(in_summaries(lambda _: {"descriptor_index": old}))
    return made(feed)


@attack(
    "a reading named as descriptor",
    9,
    "feed_proof.check_is_descriptor",
    refused="descriptor is none",
)
def _reading_as_descriptor() -> Made:
    edit = in_summaries(lambda _: {"descriptor_index": 4})
    feed = FeedBuilder()
    feed.describe(X)
    feed.read(X, 4)
    for _ in range(4):
        feed.cut(edit)
        feed.read(X, 2)
    return made(feed, base=1)


# 10 -----------------------------------------------------------------------------------------------


@attack(
    "a leaf that nobody asked for", 10, "feed_proof.Leaves.check_all_used", refused="nobody asked"
)
def _extra_leaf() -> Made:
    feed = good()
    neighbour = next(i for i in range(len(feed.leaves)) if feed.entry(i).slot == Y)
    return made(feed, extra=[neighbour])


@attack(
    "another audience's run head", 10, "feed_proof.check_runs_asked_for", refused="nobody asked"
)
def _extra_run_head() -> Made:
    feed = good()
    part = feed.part([X])
    run = feed.run(6, 2)
    assert run is not None
    return replace(part, run_heads=(*part.run_heads, (6, 2, run.head))), feed.key


@attack(
    "a feed under the name of another",
    10,
    "feed_proof.check_genesis",
    refused="not this feed's genesis",
)
def _other_name() -> Made:
    feed = good()
    victim = FeedBuilder("victim").state.feed_id
    with_headers(feed, lambda _, header, prev: replace(header, feed_id=victim, prev_digest=prev))
    return made(feed)
