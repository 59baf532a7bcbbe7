from typing import Any

import pytest

from ledger.canonical import encode
from ledger.entry import (
    ENTRY_BYTES_MAX,
    Entry,
    GTime,
    audience_of,
    decode_entry,
    encode_entry,
    feed_id_of,
    genesis_leaf,
    slot_number,
)
from ledger.errors import FormatError, InputError, LimitError
from ledger.feed import feed_id_of_leaf

TIME = GTime(3, 1_000_000, 1_767_225_600_000_000, 4, 250)
ENTRY = Entry(1, slot_number(7, 2), TIME, 42, [1, -18_250, -3, "CEL", 0, None, None])


def test_an_entry_comes_back_from_its_bytes() -> None:
    assert ENTRY == decode_entry(encode_entry(ENTRY))
    untimed = Entry(1, 5, GTime(1, 2, None, 0, 0), 0, None)
    assert untimed == decode_entry(encode_entry(untimed))


def test_a_slot_names_its_audience() -> None:
    assert (0x00070002, 7) == (ENTRY.slot, audience_of(ENTRY.slot))


def test_times_order_by_boot_and_then_by_time_since_boot() -> None:
    assert (3, 1_000_000) == ENTRY.order


@pytest.mark.parametrize(
    "value",
    [
        {}, [], [1, 2, 3, 4], [-1, 0, [1, 1, None, 0, 0], 0, None],
        [1, 1 << 32, [1, 1, None, 0, 0], 0, None], [1, 0, [1, 1, None, 0, 0], -1, None],
        [1, 0, [1, 1, None, 0, 0], "0", None], [True, 0, [1, 1, None, 0, 0], 0, None],
        [1, 0, 5, 0, None], [1, 0, [1, 1, None, 0], 0, None], [1, 0, [1, 1, None, 5, 0], 0, None],
        [1, 0, [1, 1, 9, 5, 0], 0, None], [1, 0, [1, 1, None, 1, 0], 0, None],
        [1, 0, [1, 1, "now", 1, 0], 0, None], [1, 0, [1, -1, 9, 1, 0], 0, None],
        [1, 0, [1, 1, 9, 1, -2], 0, None], [1, 0, [1, 1, True, 1, 0], 0, None],
    ],
)  # fmt: skip
def test_other_shapes_are_refused(value: Any) -> None:
    with pytest.raises(FormatError):
        decode_entry(encode(value))


def test_an_entry_has_65_535_bytes_at_most() -> None:
    fits = Entry(1, 5, TIME, 1, bytes(ENTRY_BYTES_MAX - 31))
    over = Entry(1, 5, TIME, 1, bytes(ENTRY_BYTES_MAX))
    assert len(encode_entry(fits)) <= ENTRY_BYTES_MAX
    with pytest.raises(LimitError):
        encode_entry(over)
    data = encode([1, 5, TIME.to_value(), 1, bytes(ENTRY_BYTES_MAX)])
    with pytest.raises(InputError):
        decode_entry(data)


def test_a_feed_is_named_after_its_genesis_entry() -> None:
    genesis = encode_entry(Entry(0, 0, GTime(1, 1, None, 0, 0), 0, [1, b"r" * 16]))
    assert feed_id_of(genesis) == feed_id_of_leaf(genesis_leaf(genesis))
