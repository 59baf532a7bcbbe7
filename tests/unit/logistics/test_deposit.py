"""The deposit's form: what is taken, what is refused, and what each stamp is over."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.canonical import encode
from ledger.errors import InputError, LimitError
from ledger.hashing import sha256
from logistics.deposit import STAMPS_MAX, Deposit, Stamp, decode_deposit, is_deposit

PAGE = (Path(__file__).parents[3] / "docs/formats/deposit.md").read_text(encoding="utf-8")
STAMP = Stamp(authority="https://tsa.example/tsr", asked_ms=1_767_225_600_000, token=b"token")
FAILED = Stamp(authority="https://away.example", asked_ms=1_767_225_601_000, token=None,
               failure="URLError: away")  # fmt: skip  # one record


def example(name: str) -> bytes:
    found = re.search(rf"```hex {name}\n([0-9a-f\s]+)```", PAGE)
    assert found is not None
    return bytes.fromhex("".join(found[1].split()))


def test_the_pages_example_is_what_the_code_makes() -> None:
    deposit = Deposit(proof=b"proof", stamps=(STAMP, FAILED))
    assert example("deposit") == deposit.encode()
    assert example("message-0") == deposit.message(0)
    assert example("message-1") == deposit.message(1)
    assert deposit == decode_deposit(example("deposit"))


def test_a_stamp_is_over_the_proof_and_every_stamp_before_it() -> None:
    bare = Deposit(proof=b"proof")
    one = bare.with_stamp(STAMP)
    assert bare.message(0) == one.message(0)
    assert one.message(1) not in (one.message(0), bare.with_stamp(FAILED).message(1))
    assert one.message(1) == one.with_stamp(FAILED).message(1)
    assert bare.message(0) != Deposit(proof=b"other").message(0)


def test_a_proof_is_no_deposit_and_a_deposit_says_that_it_is_one() -> None:
    assert is_deposit(Deposit(proof=b"").encode())
    assert not is_deposit(encode(["wharf-bundle", 1, -16, [], sha256(b"")]))
    assert not is_deposit(b"")


@pytest.mark.parametrize(
    "row",
    [
        ["a", 1, b"t", "both"],
        ["a", 1, None, None],
        ["a", 1, b"", None],
        ["", 1, b"t", None],
        ["a" * 501, 1, b"t", None],
        ["a", -1, b"t", None],
        ["a", True, b"t", None],
        ["a", 1, b"t" * 65_537, None],
        ["a", 1, b"t"],
    ],
)
def test_a_stamp_out_of_form_is_refused(row: list[object]) -> None:
    with pytest.raises(InputError):
        decode_deposit(encode(["wharf-deposit", 1, b"proof", [row]]))


def test_there_are_no_more_stamps_than_may_be() -> None:
    full = Deposit(proof=b"proof", stamps=(STAMP,) * STAMPS_MAX)
    assert full == decode_deposit(full.encode())
    with pytest.raises(LimitError):
        full.with_stamp(STAMP)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_an_input_error(data: bytes) -> None:
    for candidate in (data, encode(["wharf-deposit", 1, b"", []])[:-1] + data):
        try:
            decode_deposit(candidate)
        except InputError:
            continue
