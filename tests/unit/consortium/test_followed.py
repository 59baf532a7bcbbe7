"""The one order of what pages are built of."""

from pathlib import Path

import pytest

from consortium.errors import ChainStoreError
from consortium.followed import ITEM_GENESIS, ITEM_RUN, ITEM_TRANSACTION, FollowedItems
from consortium.read_model import OpenedBlock, OpenedEntry

FEED = b"f" * 16


def run(height: int, *, audience: int = 1) -> OpenedBlock:
    entry = OpenedEntry(kind=1, slot=65_537, time=[1, 2, None, 0, 5], srcseq=1, body=[1, height])
    return OpenedBlock(
        feed_id=FEED, epoch=0, height=height, audience=audience, block_digest=b"d" * 32,
        first_index=9, entries=(entry,),
    )  # fmt: skip  # one record


def open_items(path: Path) -> FollowedItems:
    return FollowedItems(path / "followed.sqlite", genesis=b"genesis")


def test_the_genesis_document_comes_first_and_then_all_in_the_order_of_coming(
    tmp_path: Path,
) -> None:
    items = open_items(tmp_path)
    items.add_run(run(0))
    items.add_transactions(0, [(3, 0, 1_000, b"a", []), (3, 1, 1_000, b"b", [])])
    items.add_run(run(1))
    found = items.after(0, 10)
    assert [1, 2, 3, 4, 5] == [number for number, _ in found]
    kinds = [ITEM_GENESIS, ITEM_RUN, ITEM_TRANSACTION, ITEM_TRANSACTION, ITEM_RUN]
    assert kinds == [item[0] for _, item in found]
    assert [1, 3, 1, 1_000, b"b", []] == found[3][1][1]
    assert [FEED, 0, 1, 1, 9, [[1, 65_537, [1, 2, None, 0, 5], 1, [1, 1]]]] == found[4][1][1]
    assert 5 == items.newest()


def test_what_comes_again_keeps_its_place_and_tells_nobody(tmp_path: Path) -> None:
    items = open_items(tmp_path)
    items.add_run(run(0))
    items.add_transactions(0, [(3, 0, 1_000, b"a", [])])
    told: list[int] = []
    items.on_add(lambda: told.append(1))
    before = items.after(0, 10)
    items.add_run(run(0))
    items.add_transactions(0, [(3, 0, 1_000, b"a", [])])
    assert (before, []) == (items.after(0, 10), told)
    items.add_run(run(1))
    assert [1] == told


def test_order_and_marks_survive_a_restart(tmp_path: Path) -> None:
    items = open_items(tmp_path)
    items.add_run(run(4))
    items.add_transactions(0, [(3, 0, 1_000, b"a", [])])
    before = items.after(0, 10)
    items.close()
    again = open_items(tmp_path)
    assert (before, 1) == (again.after(0, 10), again.transactions())
    assert {(FEED, 0, 1): 4} == again.heights()


def test_a_file_of_another_chain_is_refused(tmp_path: Path) -> None:
    open_items(tmp_path).close()
    with pytest.raises(ChainStoreError, match="another chain"):
        FollowedItems(tmp_path / "followed.sqlite", genesis=b"other")


def test_an_answer_is_bounded_by_bytes_and_always_goes_on(tmp_path: Path) -> None:
    items = open_items(tmp_path)
    items.add_transactions(0, [(1, n, 0, bytes(1000), []) for n in range(10)])
    seen = [number for number, _ in items.after(1, 100, bytes_max=2_500)]
    assert [2, 3] == seen
    assert [4] == [number for number, _ in items.after(3, 100, bytes_max=10)]


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    open_items(tmp_path).close()
    assert 0o600 == (tmp_path / "followed.sqlite").stat().st_mode & 0o777
