import os
import random
from contextlib import suppress
from typing import Any

import pytest
from cbor2 import CBORTag
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.block import BLOCK_LEAVES_MAX, CODEC_COLUMNS, CODEC_ZSTD
from ledger.canonical import decode, decode_sequence, encode
from ledger.columns import ITEMS, SAME, STEPS, pack, unpack
from ledger.entry import Entry, GTime, encode_entry
from ledger.errors import FormatError, LimitError, NotCanonicalError
from ledger.opening import open_run
from ledger.sealed import compress, content_of
from tests.unit.ledger.feed_builder import FeedBuilder, X

NIGHTLY = os.environ.get("WHARF_VOLUME") == "nightly"
REFUSALS = (FormatError, LimitError, NotCanonicalError)
UINT64_MAX = (1 << 64) - 1

uint64 = st.integers(0, UINT64_MAX)
scalars = (
    st.integers(-UINT64_MAX - 1, UINT64_MAX) | st.text(max_size=5) | st.binary(max_size=5)
    | st.booleans() | st.none() | st.builds(
        lambda a, b: CBORTag(4, [a, b]), st.integers(-9, 9), st.integers(-9, 9))
)  # fmt: skip  # a kind of value a line
items = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)
times = st.builds(
    lambda boot, mono, wall: GTime(boot, mono, wall, 0 if wall is None else 3, 50),
    uint64, uint64, st.none() | st.integers(-(1 << 63), 1 << 63),
)  # fmt: skip
entries = st.builds(
    Entry, st.integers(0, 20), st.integers(0, (1 << 32) - 1), times, uint64, st.lists(items)
)


def joined(rows: list[Entry]) -> bytes:
    return b"".join(encode_entry(row) for row in rows)


def readings(count: int) -> list[Entry]:
    return [
        Entry(1, X, GTime(1, 10**7 * n, 10**15 + 10**7 * n, 3, 50), n, [1, 4000 + n % 7, -3, "CEL"])
        for n in range(count)
    ]


@settings(max_examples=10_000 if NIGHTLY else 300, deadline=None)
@given(st.lists(entries, min_size=1, max_size=12))
def test_any_entries_come_back_byte_for_byte_or_are_left_to_the_other_codec(
    rows: list[Entry],
) -> None:
    plain, packed = joined(rows), pack(rows)
    assert packed is None or plain == unpack(packed, len(plain))
    codec, content = content_of(rows, plain)
    assert plain == (content if codec == CODEC_ZSTD else unpack(content, len(plain)))


@given(st.lists(st.integers(-(1 << 62), 1 << 62), min_size=2, max_size=40))
@settings(deadline=None)
def test_any_integers_come_back_from_their_steps(values: list[int]) -> None:
    rows = [Entry(1, X, GTime(1, 1, None, 0, 0), n, [value]) for n, value in enumerate(values)]
    packed = pack(rows)
    assert packed is not None
    assert joined(rows) == unpack(packed, len(joined(rows)))


def test_true_and_one_are_not_the_same_item() -> None:
    rows = [Entry(1, X, GTime(1, 1, None, 0, 0), 0, [value]) for value in (1, True, 1, [1], [True])]
    packed = pack(rows)
    assert packed is not None
    assert joined(rows) == unpack(packed, len(joined(rows)))


def test_readings_take_less_than_half_of_what_whole_entries_take() -> None:
    rows = readings(1000)
    plain = joined(rows)
    codec, content = content_of(rows, plain)
    assert CODEC_COLUMNS == codec
    assert len(compress(content)) * 2 < len(compress(plain))


def test_entries_that_are_not_what_their_bytes_say_are_sealed_whole() -> None:
    rows = readings(100)
    other = joined([*rows[:-1], Entry(1, X, rows[-1].time, 99, [1, 1, -3, "CEL"])])
    assert (CODEC_ZSTD, other) == content_of(rows, other)


def test_a_sealed_run_of_readings_is_in_columns_and_opens() -> None:
    feed = FeedBuilder()
    feed.describe(X)
    feed.read(X, 60)
    block = feed.cut()
    run = block.runs[1]
    assert CODEC_COLUMNS == run.body.codec
    opened = open_run(
        header=block.header, audience=1, head=run.head, body=run.body,
        ciphertext=run.ciphertext, key=feed.run_key(block.header, run),
    )  # fmt: skip
    assert list(opened.leaves) == feed.leaves[run.head.first : run.head.first + run.head.count]


def columns_with(place: int, column: list[Any]) -> bytes:
    value = decode(pack(readings(10)) or b"")
    value[2][0][place] = column
    return encode(value)


@pytest.mark.parametrize(
    "column",
    [
        [STEPS, bytes(11)], [STEPS, bytes(90)], [STEPS, 1], [ITEMS, b"\x01" * 9],
        [ITEMS, b"\x01" * 11], [ITEMS, b"\x18\x01" * 10], [ITEMS, b"\xf9\x00\x00" * 10], [3, b""],
        [True, b""], [SAME], [SAME, 1, 2], [], [-1, 1],
    ],
    ids=str,
)  # fmt: skip
def test_a_column_of_no_known_form_or_of_another_length_is_refused(column: list[Any]) -> None:
    with pytest.raises(REFUSALS):
        unpack(columns_with(8, column), 10_000)


@pytest.mark.parametrize("column", [[SAME, "1"], [SAME, True], [ITEMS, b"\x61a" * 10]], ids=str)
def test_a_time_that_is_no_integer_is_refused(column: list[Any]) -> None:
    for place in (3, 4):
        with pytest.raises(FormatError):
            unpack(columns_with(place, column), 10_000)


@pytest.mark.parametrize(
    "value",
    [
        [1, b"", []], [1, b"\x00", []], [2, b"\x00", [[[SAME, 0]] * 8]],
        [1, b"\x00", [[[SAME, 0]] * 7]], [1, b"\x00", [[[SAME, 0]] * 73]],
        [1, b"\x00", [[[SAME, 0]] * 8] * 2], [1, b"\x01", [[[SAME, 0]] * 8]],
        [1, bytes(BLOCK_LEAVES_MAX + 1), [[[SAME, 0]] * 8]], [1, bytes(1), [[[SAME, 0]] * 8] * 256],
        [1, b"\x00", {}], [1, b"\x00", [0]], {}, 1,
    ],
    ids=range(13),
)  # fmt: skip
def test_other_frames_of_columns_are_refused(value: object) -> None:
    with pytest.raises(FormatError):
        unpack(encode(value), 10_000)


def test_columns_that_unfold_beyond_the_stated_bytes_are_stopped_there() -> None:
    bomb = encode([1, bytes(BLOCK_LEAVES_MAX), [[[SAME, 0]] * 8 + [[SAME, "x" * 60_000]]]])
    assert len(bomb) < 130_000
    with pytest.raises(LimitError):
        unpack(bomb, 1 << 20)
    with pytest.raises(FormatError):
        unpack(encode([1, b"\x00", [[[SAME, 0]] * 8 + [[SAME, "x" * 70_000]]]]), 1 << 20)


def test_altered_columns_are_refused_or_give_other_entries_and_nothing_else_happens() -> None:
    rows = readings(50)
    packed, plain_bytes = pack(rows) or b"", len(joined(rows))
    rng = random.Random(30)
    for _ in range(50_000 if NIGHTLY else 2_000):
        altered = bytearray(packed)
        for _ in range(rng.randrange(1, 4)):
            altered[rng.randrange(len(altered))] = rng.randrange(256)
        with suppress(*REFUSALS):
            plain = unpack(bytes(altered), plain_bytes)
            with suppress(NotCanonicalError):
                decode_sequence(plain)
