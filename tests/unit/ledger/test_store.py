import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ledger.errors import DamagedError, StoreError
from ledger.store import Store, Transaction
from tests.unit.ledger.held_feed import MAP_BYTES, open_store


def put_all(txn: Transaction, keys: list[bytes]) -> None:
    for key in keys:
        txn.put("heads", key, key)


def test_values_come_back_and_writes_are_all_or_nothing(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.write(lambda txn: txn.put("meta", b"a", b"1"))

        def half(txn: Transaction) -> None:
            txn.put("meta", b"b", b"2")
            raise ValueError

        with pytest.raises(ValueError):  # noqa: PT011  # whatever the work raises
            store.write(half)
        assert (b"1", None) == store.read(
            lambda txn: (txn.get("meta", b"a"), txn.get("meta", b"b"))
        )
        store.write(lambda txn: txn.delete("meta", b"a"))
        store.write(lambda txn: txn.delete("meta", b"a"))
        assert store.read(lambda txn: txn.get("meta", b"a")) is None
    with open_store(tmp_path) as store:
        assert 1 == store.read(lambda txn: txn.count("meta")), "the schema"


def test_a_scan_gives_the_keys_of_a_prefix_in_order(tmp_path: Path) -> None:
    keys = [b"a\x00", b"a\x01", b"a\x01\xff", b"a\xff\xff", b"b", b"b\x00"]
    with open_store(tmp_path) as store:
        store.write(lambda txn: put_all(txn, keys[::-1]))

        def scan(prefix: bytes, start: bytes = b"", limit: int = 99) -> list[bytes]:
            return store.read(
                lambda txn: [k for k, _ in txn.scan("heads", prefix, start=start, limit=limit)]
            )

        assert keys == scan(b"")
        assert keys[:4] == scan(b"a")
        assert keys[1:4] == scan(b"a", b"\x01")
        assert keys[:2] == scan(b"a", limit=2)
        assert [] == scan(b"c") == scan(b"a", b"\xff\xff\xff") == scan(b"a", limit=0)


def test_the_last_of_a_prefix_is_found_at_the_end_too(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:

        def last(prefix: bytes) -> bytes | None:
            found = store.read(lambda txn: txn.last("heads", prefix))
            return found[0] if found else None

        assert last(b"a") is None
        store.write(lambda txn: put_all(txn, [b"a1", b"a2", b"b1"]))
        assert [b"a2", b"b1", None, b"b1"] == [last(b"a"), last(b"b"), last(b"c"), last(b"")]


def test_all_writes_run_on_one_thread_and_in_order(tmp_path: Path) -> None:
    threads, order = set[int](), list[int]()
    with open_store(tmp_path) as store:

        def note(number: int) -> None:
            threads.add(threading.get_ident())
            order.append(number)

        started = [store.write_later(lambda _, n=n: note(n)) for n in range(50)]  # type: ignore[misc]  # bound now
        for future in started:
            future.result()
    assert (1, list(range(50))) == (len(threads), order)
    assert threading.get_ident() not in threads


def test_a_second_program_is_refused(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from ledger.store import Store\n"
        "from ledger.errors import StoreError\n"
        "try:\n    Store(pathlib.Path(sys.argv[1]), map_bytes=1 << 20)\n"
        "except StoreError as error:\n    print(error)\n"
    )
    with open_store(tmp_path):
        ran = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
        )
        assert "in use by another program" in ran.stdout
        with pytest.raises(StoreError, match="in use"):
            Store(tmp_path, map_bytes=MAP_BYTES)
    with open_store(tmp_path):
        pass


def test_a_damaged_value_is_never_given(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:

        def spoil(txn: Transaction) -> None:
            txn.put("heads", b"a", b"value")
            txn._txn.put(b"a", b"valuf" + b"\x00" * 4, db=txn._tables["heads"])

        store.write(spoil)
        assert [b"a"] == store.read(lambda txn: txn.damaged("heads"))
        for read in (
            lambda txn: txn.get("heads", b"a"),
            lambda txn: list(txn.scan("heads", b"")),
            lambda txn: txn.last("heads", b""),
        ):
            with pytest.raises(DamagedError, match="damaged"):
                store.read(read)


def test_a_full_map_is_an_error_that_leaves_the_store_whole(tmp_path: Path) -> None:
    store = Store(tmp_path, map_bytes=1 << 20)
    store.write(lambda txn: txn.put("meta", b"a", b"1"))
    with pytest.raises(StoreError, match="write failed"):
        store.write(lambda txn: txn.put("meta", b"big", bytes(2 << 20)))
    assert b"1" == store.read(lambda txn: txn.get("meta", b"a"))
    assert 0 < store.full_share < 1
    store.close()


def test_a_store_of_another_schema_is_refused(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        store.write(lambda txn: txn.put("meta", b"schema", b"999"))
    with pytest.raises(StoreError, match="schema"):
        Store(tmp_path, map_bytes=MAP_BYTES)


def test_a_file_that_lost_its_pages_is_an_error_of_the_store_and_not_of_its_engine(
    tmp_path: Path,
) -> None:
    with open_store(tmp_path) as store:
        for number in range(40):
            store.write(lambda txn, key=b"%d" % number: txn.put("heads", key, bytes(900)))  # type: ignore[misc]  # a loop's value
        with (tmp_path / "data.mdb").open("r+b") as file:
            size = file.seek(0, 2)
            file.seek(2 * 4096)
            file.write(b"\x00" * (size - 2 * 4096))
        with pytest.raises(StoreError, match="cannot be read"):
            store.read(lambda txn: txn.damaged("heads"))
