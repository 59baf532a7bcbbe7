from __future__ import annotations

from pathlib import Path

from portal.events import LINE_BYTES_MAX
from portal.fold import Fold
from portal.tail import LineTail, take_lines


def test_a_half_written_line_waits_for_its_end(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    tail = LineTail(file)
    assert [] == tail.read_new()
    file.write_bytes(b"one\ntw")
    assert [b"one"] == tail.read_new()
    with file.open("ab") as out:
        out.write(b"o\n\n")
    assert [b"two"] == tail.read_new()


def test_a_file_written_anew_is_read_from_its_start(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    tail = LineTail(file)
    file.write_bytes(b"a long first line\n")
    tail.read_new()
    file.write_bytes(b"new\n")
    assert [b"new"] == tail.read_new()


def test_a_line_without_end_does_not_grow_the_memory(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    tail = LineTail(file)
    file.write_bytes(b"x" * (3 * LINE_BYTES_MAX))
    assert [] == tail.read_new()
    with file.open("ab") as out:
        out.write(b'\n{"type":"end"}\n')
    fold = Fold()
    take_lines(fold, tail.read_new())
    assert 1 == fold.rejected
    assert ["rejected", "end"] == [message["type"] for message in fold.snapshot()]
