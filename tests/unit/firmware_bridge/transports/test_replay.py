"""A recording as a device: comments, order, repetition."""

from pathlib import Path

import pytest

from firmware_bridge.errors import TransportError
from firmware_bridge.transports.replay import replay_bytes, without_comments


def test_leading_comment_and_empty_lines_are_skipped_and_no_others() -> None:
    assert b"$A\n# not a comment\n" == without_comments(b"# a\n#\n\n# b\n$A\n# not a comment\n")
    assert b"" == without_comments(b"# only this")
    assert b"\xb5b" == without_comments(b"\n\n\xb5b")


async def test_all_bytes_come_in_order(tmp_path: Path) -> None:
    data = bytes(range(256)) * 3
    (tmp_path / "log").write_bytes(data)
    chunks = [chunk async for chunk in replay_bytes(str(tmp_path / "log"), rate=0)]
    assert data == b"".join(chunks)


async def test_a_looping_recording_begins_again(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"abc")
    chunks = replay_bytes(str(tmp_path / "log"), rate=0, loop=True)
    assert [b"abc"] * 3 == [await anext(chunks) for _ in range(3)]


async def test_a_missing_recording_is_a_transport_error(tmp_path: Path) -> None:
    with pytest.raises(TransportError):
        await anext(replay_bytes(str(tmp_path / "nothing")))
