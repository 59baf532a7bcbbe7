"""The document of a hand-over: one form, strictly read."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import decode, encode
from ledger.errors import InputError
from logistics.hand_over import DOCUMENT_BYTES_MAX, HandOver, Strength, decode_hand_over

PAGE = (Path(__file__).parents[3] / "docs/formats/consignment.md").read_text(encoding="utf-8")
DOCUMENT = HandOver(
    chain_id="wharf-test",
    consignment_id=bytes(range(16)),
    number=0,
    giver=b"g" * 16,
    taker=b"t" * 16,
    signed_ms=1_767_225_600_000,
    seals=("S-1", "S-2"),
    pieces=24,
    photos=(b"p" * 32,),
    place=(525_200_000, 134_050_000),
)


def example(name: str) -> bytes:
    found = re.search(rf"```hex {name}\n([0-9a-f\s]+)```", PAGE)
    assert found is not None
    return bytes.fromhex("".join(found[1].split()))


def test_the_pages_example_is_what_the_code_makes() -> None:
    assert example("document") == DOCUMENT.encode()
    assert example("digest") == DOCUMENT.digest
    assert DOCUMENT == decode_hand_over(example("document"))


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (0, 2, "version"), (1, b"x", "element 1"), (2, b"short", "an id"), (3, -1, "number"),
        (4, b"t" * 16, "giver and taker are one"), (6, 1 << 60, "signed-ms"),
        (7, ["b", "a"], "ascend"), (7, ["a", "a"], "ascend"), (7, ["a"] * 17, "seals"),
        (7, [1], "seals"), (8, 1_000_001, "pieces"), (8, True, "element 8"), (9, b"x", "remarks"),
        (10, [b"x"], "photos"), (11, [1], "place"), (11, [900_000_001, 0], "nowhere"),
        (12, 5, "strength"), (13, "text", "reservation"),
    ],
)  # fmt: skip  # a table
def test_what_is_out_of_form_is_refused_by_its_name(at: int, value: Any, words: str) -> None:
    items = decode(DOCUMENT.encode())
    items[at] = value
    with pytest.raises(InputError, match=words):
        decode_hand_over(encode(items))


def test_a_long_document_is_refused_unread() -> None:
    with pytest.raises(InputError, match="size"):
        decode_hand_over(bytes(DOCUMENT_BYTES_MAX + 1))


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_an_input_error(data: bytes) -> None:
    try:
        made = decode_hand_over(data)
    except InputError:
        return
    assert data == made.encode()


@given(st.sampled_from(list(Strength)), st.integers(0, 1000), st.integers(0, 1_000_000))
def test_what_is_written_is_read_again(strength: Strength, number: int, pieces: int) -> None:
    made = replace(DOCUMENT, strength=strength, number=number, pieces=pieces)
    assert made == decode_hand_over(made.encode())
