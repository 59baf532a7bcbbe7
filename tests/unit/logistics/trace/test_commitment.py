"""The worked examples of docs/formats/trace.md."""

import re
from pathlib import Path

import pytest

from ledger.errors import FormatError
from logistics.trace.commitment import commitment_of
from logistics.trace.item_key import sgtin

PAGE = (Path(__file__).parents[4] / "docs" / "formats" / "trace.md").read_text()


def example(name: str) -> bytes:
    found = re.search(rf"```hex example {name}\n([0-9a-f]+)\n```", PAGE)
    assert found is not None
    return bytes.fromhex(found[1])


def test_the_page_shows_the_chain_id_and_commitment_that_the_code_makes() -> None:
    assert example("chain id") == sgtin("10614141073464", "8R2KT5QW0HJ4A").chain_id
    assert example("commitment") == commitment_of(b"s" * 16, b"h" * 32, b"{}")


def test_every_part_changes_the_commitment() -> None:
    made = {
        commitment_of(b"s" * 16, b"h" * 32, b"{}"),
        commitment_of(b"t" * 16, b"h" * 32, b"{}"),
        commitment_of(b"s" * 16, b"i" * 32, b"{}"),
        commitment_of(b"s" * 16, b"h" * 32, b"{ }"),
    }
    assert 4 == len(made)


@pytest.mark.parametrize(("salt", "digest"), [(b"", b"h" * 32), (b"s" * 16, b"h")])
def test_a_short_salt_or_hash_is_refused(salt: bytes, digest: bytes) -> None:
    with pytest.raises(FormatError):
        commitment_of(salt, digest, b"")
