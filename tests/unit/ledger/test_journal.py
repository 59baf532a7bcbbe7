import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import journal as journal_module
from ledger.entry import ENTRY_BYTES_MAX
from ledger.errors import JournalError
from ledger.journal import (
    FRAME_HEADER_BYTES,
    SEGMENT_HEADER_BYTES,
    Journal,
    JournalFullError,
    Recovered,
    frame,
    inspect,
)

SEGMENT = 1024
WORDS = [f"entry {n}".encode() * (1 + n % 5) for n in range(60)]


def open_journal(folder: Path, **options: Any) -> tuple[Journal, Recovered]:
    return Journal.open(folder, segment_bytes=SEGMENT, **options)


def filled(folder: Path, words: list[bytes] = WORDS, group: int = 4) -> None:
    journal, _ = open_journal(folder)
    for at in range(0, len(words), group):
        journal.append(words[at : at + group])
    journal.close()


def segments(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def read_again(folder: Path) -> Recovered:
    journal, recovered = open_journal(folder)
    journal.close()
    return recovered


def crc32c(crc: int, data: bytes) -> int:
    """CRC-32C bit by bit (RFC 3720, appendix B.4), going on from an earlier value."""
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_a_frame_is_the_bytes_of_the_format() -> None:
    assert 0xE3069283 == crc32c(0, b"123456789")
    head = bytes.fromhex("00000003" + "0000000000000009")
    checksum = crc32c(2, head + b"abc").to_bytes(4, "big")
    assert head + checksum + b"abc" == frame(2, 9, b"abc")


def test_what_was_appended_comes_back_in_order_with_its_numbers(tmp_path: Path) -> None:
    filled(tmp_path)
    recovered = read_again(tmp_path)
    assert (tuple(enumerate(WORDS, 1)), (), 0) == (
        recovered.entries,
        recovered.corruptions,
        recovered.torn_bytes,
    )
    assert len(segments(tmp_path)) > 2
    assert {SEGMENT} == {path.stat().st_size for path in segments(tmp_path)}


def test_numbers_go_on_after_a_restart_and_never_below_what_is_sealed(tmp_path: Path) -> None:
    filled(tmp_path, WORDS[:5])
    journal, _ = open_journal(tmp_path)
    assert 6 == journal.next_jseq == journal.append([b"six"])
    journal.close()
    journal, recovered = open_journal(tmp_path, next_jseq=100)
    assert 100 == journal.append([b"a hundred"])
    journal.close()
    assert [1, 2, 3, 4, 5, 6] == [jseq for jseq, _ in recovered.entries]
    assert (100, b"a hundred") == read_again(tmp_path).entries[-1]


def test_a_group_larger_than_a_segment_is_written_whole(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path)
    big = [bytes([n]) * 300 for n in range(1, 12)]
    assert 1 == journal.append(big)
    journal.close()
    assert tuple(enumerate(big, 1)) == read_again(tmp_path).entries
    assert len(segments(tmp_path)) >= 4


@pytest.mark.parametrize("size", [0, ENTRY_BYTES_MAX + 1, SEGMENT])
def test_an_entry_that_fits_nowhere_is_refused_before_anything_is_written(
    tmp_path: Path, size: int
) -> None:
    journal, _ = open_journal(tmp_path)
    with pytest.raises(JournalError):
        journal.append([b"good", bytes(size)])
    assert 1 == journal.append([b"good"])
    journal.close()
    assert ((1, b"good"),) == read_again(tmp_path).entries


# Torn and corrupt --------------------------------------------------------------------------------


def test_a_tail_torn_at_any_byte_loses_the_last_group_alone_and_is_no_corruption(
    tmp_path: Path,
) -> None:
    filled(tmp_path, WORDS[:6], group=5)
    (path,) = segments(tmp_path)
    good = path.read_bytes()
    used = len(good.rstrip(b"\x00"))
    last = FRAME_HEADER_BYTES + len(WORDS[5])
    for cut in range(used - last + 1, used):
        path.write_bytes(good[:cut].ljust(SEGMENT, b"\x00"))
        journal, recovered = open_journal(tmp_path)
        assert tuple(enumerate(WORDS[:5], 1)) == recovered.entries
        assert recovered.corruptions == ()
        assert 6 == journal.append([b"again"])
        journal.close()
        assert (6, b"again") == read_again(tmp_path).entries[-1]
        assert read_again(tmp_path).corruptions == ()


def test_a_flipped_bit_loses_its_own_frame_only_and_loudly(tmp_path: Path) -> None:
    filled(tmp_path)
    path = segments(tmp_path)[0]
    good = path.read_bytes()
    used = len(good.rstrip(b"\x00"))
    for at in range(SEGMENT_HEADER_BYTES, used):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1 << at % 8]) + good[at + 1 :])
        recovered = inspect(tmp_path)
        assert 1 == len(recovered.corruptions), at
        assert recovered.torn_bytes == 0
        lost = set(enumerate(WORDS, 1)) - set(recovered.entries)
        assert len(WORDS) - 1 == len(recovered.entries)
        ((jseq, _),) = lost
        assert jseq - 1 == recovered.corruptions[0].after_jseq


def test_a_bad_end_of_an_older_segment_is_corruption_and_no_torn_tail(tmp_path: Path) -> None:
    filled(tmp_path)
    path = segments(tmp_path)[1]
    good = path.read_bytes()
    end = len(good.rstrip(b"\x00")) - 1
    path.write_bytes(good[:end] + b"\x7f" + good[end + 1 :])
    recovered = read_again(tmp_path)
    assert ([2], 0) == ([lost.segment_id for lost in recovered.corruptions], recovered.torn_bytes)
    assert len(WORDS) - 1 == len(recovered.entries)
    assert path.read_bytes()[end] == 0x7F, "what is corrupt is left as it is, for whoever looks"


def test_zeros_over_a_sector_in_the_middle_are_corruption(tmp_path: Path) -> None:
    filled(tmp_path)
    path = segments(tmp_path)[0]
    good = path.read_bytes()
    path.write_bytes(good[:200] + bytes(300) + good[500:])
    recovered = read_again(tmp_path)
    assert recovered.corruptions
    assert recovered.entries[-1] == (60, WORDS[-1])


def test_a_spoiled_segment_header_is_named_and_the_frames_are_read(tmp_path: Path) -> None:
    filled(tmp_path)
    path = segments(tmp_path)[0]
    path.write_bytes(b"?" + path.read_bytes()[1:])
    recovered = read_again(tmp_path)
    assert ([0], 60) == ([lost.offset for lost in recovered.corruptions], len(recovered.entries))


def test_frames_of_another_segment_are_not_taken(tmp_path: Path) -> None:
    filled(tmp_path)
    first, second = segments(tmp_path)[:2]
    moved = first.read_bytes()[SEGMENT_HEADER_BYTES:]
    second.write_bytes(second.read_bytes()[:SEGMENT_HEADER_BYTES] + moved)
    recovered = read_again(tmp_path)
    assert recovered.corruptions
    numbers = [jseq for jseq, _ in recovered.entries]
    assert numbers == sorted(set(numbers))


def test_a_group_torn_while_its_next_segment_is_ready_is_no_corruption(tmp_path: Path) -> None:
    filled(tmp_path, WORDS[:5], group=5)
    path = segments(tmp_path)[0]
    used = len(path.read_bytes().rstrip(b"\x00"))
    torn = frame(1, 6, b"half of it")[:-3]
    data = path.read_bytes()
    path.write_bytes(data[:used] + torn + data[used + len(torn) :])
    os.close(journal_module._prepare(tmp_path / "journal-0000000002.seg", 2, SEGMENT))
    journal, recovered = open_journal(tmp_path)
    assert ((), len(torn)) == (recovered.corruptions, recovered.torn_bytes)
    assert 6 == journal.append([b"six"])
    journal.close()
    again = read_again(tmp_path)
    assert ((), (6, b"six")) == (again.corruptions, again.entries[-1])


def test_a_segment_that_a_crash_left_half_made_is_not_written_on(tmp_path: Path) -> None:
    filled(tmp_path, WORDS[:5])
    (tmp_path / "journal-0000000002.seg").write_bytes(b"WHARFJ01")
    journal, recovered = open_journal(tmp_path)
    assert 5 == len(recovered.entries)
    assert 6 == journal.append([b"six"])
    journal.close()
    assert (6, b"six") == read_again(tmp_path).entries[-1]


# Failures ----------------------------------------------------------------------------------------


def failing(code: int, after: int = 0) -> Callable[..., Any]:
    calls = [0]

    def fail(*arguments: Any) -> Any:
        calls[0] += 1
        if calls[0] > after:
            raise OSError(code, os.strerror(code))
        return None

    return fail


@pytest.mark.parametrize("call", ["fdatasync", "pwrite"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EROFS])
def test_a_failed_write_or_sync_is_final(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    journal, _ = open_journal(tmp_path)
    journal.append([b"one"])
    with monkeypatch.context() as broken:
        broken.setattr(os, call, failing(code))
        with pytest.raises(JournalError) as caught:
            journal.append([b"two"])
        assert not isinstance(caught.value, JournalFullError)
    with pytest.raises(JournalError, match="stopped"):
        journal.append([b"three"])
    journal.close()
    assert (1, b"one") == read_again(tmp_path).entries[0]


def test_a_short_write_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal, _ = open_journal(tmp_path)
    journal.append([b"one"])
    monkeypatch.setattr(os, "pwrite", lambda *_: 3)
    with pytest.raises(JournalError):
        journal.append([b"two"])
    with pytest.raises(JournalError, match="stopped"):
        journal.append([b"three"])
    journal.close()


@pytest.mark.parametrize("after", [0, 1, 2])
def test_a_full_disk_refuses_the_whole_group_and_a_later_try_writes_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    journal, _ = open_journal(tmp_path)
    journal.append([b"x" * 900])
    big = [bytes([n]) * 400 for n in range(1, 8)]
    real, calls = journal_module._prepare, [0]

    def prepare(*arguments: Any) -> int:
        calls[0] += 1
        if calls[0] > after:
            raise OSError(errno.ENOSPC, "disk full")
        return real(*arguments)

    with monkeypatch.context() as full:
        full.setattr(journal_module, "_prepare", prepare)
        with pytest.raises(JournalFullError):
            journal.append([b"short", *big])
    assert 1 == len(segments(tmp_path)), "what was made ready is given back"
    assert 2 == journal.append([b"short", *big])
    journal.close()
    assert [b"x" * 900, b"short", *big] == [data for _, data in read_again(tmp_path).entries]


def test_another_failure_to_make_a_segment_is_not_called_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal, _ = open_journal(tmp_path)
    monkeypatch.setattr(journal_module, "_prepare", failing(errno.EIO))
    with pytest.raises(JournalError) as caught:
        journal.append([b"one"])
    assert not isinstance(caught.value, JournalFullError)


def test_sealed_segments_are_forgotten_but_the_newest_two(tmp_path: Path) -> None:
    journal, _ = open_journal(tmp_path)
    for word in WORDS:
        journal.append([word])
    before = journal.size_bytes
    journal.forget(5)
    assert before == journal.size_bytes, "the first segment holds more than five"
    journal.forget(60)
    assert (2, 2 * SEGMENT) == (len(segments(tmp_path)), journal.size_bytes)
    assert 61 == journal.append([b"next"])
    journal.close()
    assert 61 == read_again(tmp_path).entries[-1][0]


@given(
    st.lists(st.lists(st.binary(min_size=1, max_size=400), max_size=6), max_size=6),
    st.binary(max_size=300),
    st.integers(0, 400),
)
@settings(max_examples=60, deadline=None)
def test_whatever_bytes_follow_the_last_group_the_entries_stand(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[bytes]], noise: bytes, skip: int
) -> None:
    folder = tmp_path_factory.mktemp("journal")
    journal, _ = open_journal(folder)
    for group in groups:
        journal.append(group)
    end = journal._offset
    journal.close()
    words = [word for group in groups for word in group]
    if segments(folder):
        path = segments(folder)[-1]
        data = path.read_bytes()
        at = end + skip
        path.write_bytes((data[:at] + noise + data[at + len(noise) :])[:SEGMENT])
    assert tuple(enumerate(words, 1)) == read_again(folder).entries[: len(words)]
