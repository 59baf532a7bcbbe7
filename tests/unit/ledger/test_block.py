from dataclasses import replace
from typing import Any

import pytest

from ledger.block import (
    BLOCK_LEAVES_MAX,
    PLAIN_BYTES_MAX,
    decode_header,
    decode_run_body,
    decode_run_head,
    subtree_count,
)
from ledger.errors import FormatError, InputError
from ledger.merkle import dyadic_parts
from tests.unit.ledger.feed_builder import FeedBuilder, grown

BLOCK = grown(FeedBuilder()).blocks[5]
HEADER, HEAD, BODY = BLOCK.header, BLOCK.runs[1].head, BLOCK.runs[1].body


def test_records_come_back_from_their_bytes() -> None:
    assert HEADER == decode_header(HEADER.encode())
    assert HEAD == decode_run_head(HEAD.encode())
    assert BODY == decode_run_body(BODY.encode())
    assert (HEAD.digest, None) == (HEADER.run_digest(1), HEADER.run_digest(9))


def test_a_summary_has_one_legal_place() -> None:
    first = HEAD.first + HEAD.count - len(HEAD.slots)
    assert first == HEAD.summaries_first
    assert [first, first + 1] == [HEAD.summary_index(slot) for slot in HEAD.slots]


@pytest.mark.parametrize(
    "change",
    [
        {"feed_id": b"short"}, {"root": bytes(31)}, {"prev_digest": b""}, {"height": -1},
        {"epoch": 1 << 32}, {"size": HEADER.start}, {"size": HEADER.start + BLOCK_LEAVES_MAX + 1},
        {"runs": ()}, {"runs": ((0, bytes(31)),)}, {"runs": ((1, bytes(32)),)},
        {"runs": ((0, bytes(32)), (0, bytes(32)))},
        {"runs": ((0, bytes(32)), (1 << 16, bytes(32)))},
        {"runs": tuple((n, bytes(32)) for n in range(65))}, {"jseq_end": True}, {"root": "text"},
    ],
)  # fmt: skip
def test_headers_out_of_form_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        decode_header(replace(HEADER, **change).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"slots": ()}, {"slots": (5, 5)}, {"slots": (6, 5)}, {"slots": (1 << 32,)},
        {"slots": (-1,)},
        {"slots": (1, 1 << 16)}, {"count": 1}, {"key_epoch": 1 << 32}, {"body_digest": b""},
        {"first": -1}, {"slots": ("5",)},
    ],
)  # fmt: skip
def test_run_heads_out_of_form_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        decode_run_head(replace(HEAD, **change).encode())


@pytest.mark.parametrize(
    "change",
    [
        {"codec": 0}, {"codec": 3},
        {"plain_bytes": 0}, {"plain_bytes": PLAIN_BYTES_MAX + 1}, {"ct_bytes": 16},
        {"ct_bytes": 1 << 40}, {"run_salt": b""}, {"key_commit": b""}, {"ct_digest": b""},
        {"subtrees": (b"",)},
    ],
)  # fmt: skip
def test_run_bodies_out_of_form_or_bounds_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        decode_run_body(replace(BODY, **change).encode())


def test_a_header_of_another_version_is_refused() -> None:
    data = HEADER.encode()
    assert data[1] == 1
    with pytest.raises(FormatError, match="version"):
        decode_header(data[:1] + b"\x02" + data[2:])


@pytest.mark.parametrize(("first", "count"), [(0, 1), (0, 64), (5, 3), (7, 100)])
def test_a_runs_subtrees_are_counted_from_its_place(first: int, count: int) -> None:
    assert len(list(dyadic_parts(first, first + count))) == subtree_count(first, count)
