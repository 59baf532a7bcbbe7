"""Runs that a gateway must not have sealed, one for each reason of the closed list."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import zstandard
from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_encrypt

from ledger.block import CODEC_COLUMNS, CODEC_ZSTD, Block, Run
from ledger.canonical import decode, decode_sequence, encode
from ledger.columns import pack
from ledger.entry import (
    KIND_BOOT,
    KIND_GENESIS,
    KIND_SUMMARY,
    KIND_TELEMETRY,
    Entry,
    decode_entry,
)
from ledger.evidence import Evidence, evidence_of
from ledger.hashing import sha256
from ledger.sealed import NONCE, RunKey, _expand
from tests.unit.ledger.attacks import in_audience, in_summaries, with_headers
from tests.unit.ledger.feed_builder import Edit, FeedBuilder, RunPart, X, Y

AT = 3


def feed_with(edit: Edit | None = None) -> FeedBuilder:
    """X and Y over five blocks; the block AT is edited before it is sealed."""
    feed = FeedBuilder()
    feed.describe(X)
    feed.describe(Y, "neighbour")
    for height in range(5):
        feed.read(X, 4)
        feed.read(Y, 2)
        if height == AT and edit:
            # The leaves of a run that does not decode are not the builder's to read.
            feed._take = lambda block: take_blindly(feed, block)  # type: ignore[method-assign]  # for a liar's block
        feed.cut(edit if height == AT else None)
    return feed


def take_blindly(feed: FeedBuilder, block: Block) -> None:
    feed.blocks.append(block)
    feed.header_tree.append(block.header.digest)


def resealed(change: Callable[[Run, RunKey], Run]) -> FeedBuilder:
    """An honest feed of which one run is exchanged, and bound by a signed header."""
    feed = feed_with()
    block = feed.blocks[AT]
    runs = []
    for run in block.runs:
        if run.audience == 1:
            new = change(run, feed.run_key(block.header, run))
            runs.append(replace(new, head=replace(new.head, body_digest=new.body.digest)))
        else:
            runs.append(run)
    listed = tuple((run.audience, run.head.digest) for run in runs)
    feed.blocks[AT] = Block(header=block.header, runs=tuple(runs))
    return with_headers(
        feed,
        lambda h, header, previous: replace(
            header, prev_digest=previous, runs=listed if h == AT else header.runs
        ),
    )


def by_codec(run: Run, codec: int) -> Run:
    return replace(run, body=replace(run.body, codec=codec))


def with_frame(
    frame: bytes, plain_bytes: int, *, codec: int = CODEC_ZSTD
) -> Callable[[Run, RunKey], Run]:
    """Any compressed bytes, encrypted and bound as they should be."""

    def change(run: Run, key: RunKey) -> Run:
        ciphertext = crypto_aead_xchacha20poly1305_ietf_encrypt(
            frame, key.place.info(), NONCE, _expand(key.secret, b"wharf/enc/1")
        )
        return with_ciphertext(by_codec(run, codec), ciphertext, plain_bytes)

    return change


def with_ciphertext(run: Run, ciphertext: bytes, plain_bytes: int) -> Run:
    body = replace(
        run.body,
        ct_digest=sha256(ciphertext),
        ct_bytes=len(ciphertext),
        plain_bytes=plain_bytes,
    )
    return replace(run, body=body, ciphertext=ciphertext)


def with_plain(plain: Callable[[bytes], bytes]) -> Callable[[Run, RunKey], Run]:
    """Other entries in the run, all else bound as it should be."""

    def change(run: Run, key: RunKey) -> Run:
        new = plain(key.decrypt(run.ciphertext, run.body))
        return with_ciphertext(by_codec(run, CODEC_ZSTD), key.encrypt(new), len(new))

    return change


def with_columns(change: Callable[[list[Any]], object], plain_bytes: int | None = None) -> Any:
    """Other columns in the run, all else bound as it should be."""

    def changed(run: Run, key: RunKey) -> Run:
        entries = [
            decode_entry(raw) for _, raw in decode_sequence(key.decrypt(run.ciphertext, run.body))
        ]
        packed = pack(entries)
        assert packed is not None
        columns = decode(packed)
        change(columns)
        size = run.body.plain_bytes if plain_bytes is None else plain_bytes
        return with_ciphertext(by_codec(run, CODEC_COLUMNS), key.encrypt(encode(columns)), size)

    return changed


def squeezed(plain: bytes, **options: object) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(plain)  # type: ignore[arg-type]  # options of zstd


def rle_bomb(content_bytes: int, blocks: int) -> bytes:
    """A frame that says 256 to 65,791 bytes and unfolds to 128 KiB a block."""
    header = b"\x28\xb5\x2f\xfd\x60" + (content_bytes - 256).to_bytes(2, "little")
    block = (131_072 << 3 | 1 << 1).to_bytes(3, "little") + b"A"
    return header + block * (blocks - 1) + (131_072 << 3 | 1 << 1 | 1).to_bytes(3, "little") + b"A"


def _entries(change: Callable[[RunPart, list[Entry]], list[Entry]]) -> Callable[[], FeedBuilder]:
    return lambda: feed_with(in_audience(1, change))


def _swap(_: RunPart, entries: list[Entry]) -> list[Entry]:
    return [entries[1], entries[0], *entries[2:]]


def _foreign(_: RunPart, entries: list[Entry]) -> list[Entry]:
    return [replace(entries[0], slot=1 << 16), *entries[1:]]


def _skip(_: RunPart, entries: list[Entry]) -> list[Entry]:
    last = max(e.srcseq for e in entries if e.slot == X and e.kind == KIND_TELEMETRY)
    return [
        replace(e, srcseq=e.srcseq + 1) if e.slot == X and e.srcseq == last else e for e in entries
    ]


def _double(_: RunPart, entries: list[Entry]) -> list[Entry]:
    return [entries[0], entries[0], *entries[2:]]


def _summary_inside(_: RunPart, entries: list[Entry]) -> list[Entry]:
    return [replace(entries[0], kind=KIND_SUMMARY), *entries[1:]]


def _boot(_: RunPart, entries: list[Entry]) -> list[Entry]:
    return [replace(entries[0], kind=KIND_BOOT), *entries[1:]]


def _genesis(_: RunPart, entries: list[Entry]) -> list[Entry]:
    return [replace(entries[0], kind=KIND_GENESIS), *entries[1:]]


TWO_FRAMES = squeezed(b"a" * 20) + squeezed(b"a" * 20)

BAD_RUNS: dict[str, tuple[int, Callable[[], FeedBuilder]]] = {
    "a ciphertext that does not authenticate": (
        1, lambda: resealed(lambda run, _: with_ciphertext(run, bytes(99), run.body.plain_bytes))),
    "a plain size that is not the content's": (
        2, lambda: resealed(lambda run, _: with_ciphertext(run, run.ciphertext, 77))),
    "a ciphertext size that is not the ciphertext's": (
        2, lambda: resealed(lambda run, _: replace(run, body=replace(run.body, ct_bytes=77)))),
    "bytes that are no zstd frame": (3, lambda: resealed(with_frame(b"no frame at all", 20))),
    "two zstd frames": (3, lambda: resealed(with_frame(TWO_FRAMES, 20))),
    "junk behind the frame": (3, lambda: resealed(with_frame(squeezed(b"a" * 20) + b"junk", 20))),
    "half a frame": (3, lambda: resealed(with_frame(squeezed(b"abcdefghij" * 9)[:-4], 90))),
    "a frame that unfolds to more than it says": (
        3, lambda: resealed(with_frame(rle_bomb(300, 800), 300))),
    "a compression window of 16 MiB": (3, lambda: resealed(with_frame(_wide_window(), 90))),
    "a content that is no columns": (
        3, lambda: resealed(with_frame(squeezed(b"a" * 20), 20, codec=2))),
    "columns with a row of no group": (
        3, lambda: resealed(with_columns(lambda c: _put(c, 1, c[1][:-1] + b"\xff")))),
    "columns of more bytes than stated": (2, lambda: resealed(with_columns(_nothing, 20))),
    "columns of fewer bytes than stated": (2, lambda: resealed(with_columns(_nothing, 9999))),
    "columns of entries that are none": (
        4, lambda: resealed(with_columns(_kind_as_text, None))),
    "entries that are no canonical CBOR": (
        4, lambda: resealed(with_plain(lambda p: p + b"\x18\x01"))),
    "an item that is no entry": (4, lambda: resealed(with_plain(lambda p: p + b"\x00"))),
    "an entry of 70,000 bytes": (4, lambda: resealed(with_plain(lambda p: p + _long_entry()))),
    "one entry more than leaves": (5, lambda: resealed(with_plain(lambda p: p + _entry()))),
    "subtrees over other leaves": (
        6, lambda: resealed(lambda run, _: replace(
            run, body=replace(run.body, subtrees=(bytes(32), *run.body.subtrees[1:]))))),
    "leaves out of order": (7, _entries(_swap)),
    "a foreign slot": (7, _entries(_foreign)),
    "a doubled number": (7, _entries(_double)),
    "a skipped number": (8, _entries(_skip)),
    "a summary among the readings": (9, _entries(_summary_inside)),
    "a summary of another height": (9, lambda: feed_with(in_summaries(lambda _: {"height": 9}))),
    "a summary that counts beyond its run": (
        9, lambda: feed_with(in_summaries(lambda _: {"count": 500}))),
    "a leaf that no part holds": (
        10, lambda: feed_with(in_summaries(
            lambda s: {"count": s.count - 1, "total": s.total - 1}))),
    "a part that begins later": (
        10, lambda: feed_with(in_summaries(
            lambda s: {"first_index": s.first_index + 1, "count": s.count - 1}))),
    "a boot outside the control slot": (11, _entries(_boot)),
    "a second genesis": (11, _entries(_genesis)),
}  # fmt: skip  # one bad run a line or two


def _nothing(_: list[Any]) -> None:
    """The columns as they are."""


def _put(columns: list[Any], place: int, value: object) -> None:
    columns[place] = value


def _kind_as_text(columns: list[Any]) -> None:
    for group in columns[2]:
        group[0] = [0, ""]  # as long as a small number


def _entry() -> bytes:
    return encode([1, X, [1, 1, None, 0, 0], 99, None])


def _long_entry() -> bytes:
    return encode([1, X, [1, 1, None, 0, 0], 99, bytes(70_000)])


def _wide_window() -> bytes:
    parameters = zstandard.ZstdCompressionParameters(window_log=24, write_content_size=True)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj(size=90)
    frame = bytearray(compressor.compress(b"abcdefghij" * 9) + compressor.flush())
    # Not a single segment: descriptor with a window byte for 16 MiB, then the content size.
    frame[4:6] = bytes((frame[4] & ~0x20 & ~0xC0 | 0x80, (24 - 10) << 3)) + (90).to_bytes(
        4, "little"
    )
    return bytes(frame)


def accusation(feed: FeedBuilder, *, audience: int = 1, height: int = AT) -> Evidence:
    """All that shows the run to anybody."""
    header, run = feed.blocks[height].header, feed.run(height, audience)
    assert run is not None
    last = len(feed.blocks) - 1
    return evidence_of(
        feed.head(last),
        header,
        run,
        header_path=feed.header_tree.inclusion_path(height, last + 1),
        secret=feed.run_key(header, run).secret,
    )
