"""Compressed links against what other programs make of them."""

import contextlib
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.errors import IdentifierError
from logistics.trace.compressed_link import decompress_link, unpack

VECTORS = Path(__file__).parents[3] / "vectors" / "digital_link" / "compressed.tsv"
ROWS = [
    tuple(line.split("\t"))
    for line in VECTORS.read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize(("packed", "expected"), ROWS)
def test_a_compressed_link_stands_for_what_others_say(packed: str, expected: str) -> None:
    segments = expected.split("/")[3:]
    pairs = {
        (name, unquote(text)) for name, text in zip(segments[::2], segments[1::2], strict=True)
    }
    elements, others = unpack(packed.rpartition("/")[2])
    assert pairs == {(item.identifier, item.value) for item in elements}
    assert [] == others
    if segments[0] == "8006":  # piece 2 of 1: others take it, GS1's own engine and we do not
        with pytest.raises(IdentifierError, match="piece"):
            decompress_link(packed)
    else:
        assert expected == decompress_link(packed).uri()


def test_a_link_may_be_compressed_behind_its_key() -> None:
    link = decompress_link("https://a/s/01/05412345000013/EEarwSM?linkType=all")
    assert "https://id.gs1.org/01/05412345000013/10/ABC123" == link.uri()
    assert ("https://a/s", (("linkType", "all"),)) == (link.stem, link.others)


@pytest.mark.parametrize(
    "link",
    [
        "https://id.gs1.org/AQnYUc1gng",  # a wrong check digit inside
        "https://id.gs1.org/AQnY",  # ends too early
        "https://id.gs1.org/EEarwSM",  # no key
        "https://id.gs1.org/4NlYUc1g",  # a pair of digits that means nothing
        "https://id.gs1.org/" + "A" * 401,
        "https://id.gs1.org/",
        "AQnYUc1gmg",
    ],
)
def test_what_does_not_unpack_to_a_right_link_is_refused(link: str) -> None:
    with pytest.raises(IdentifierError):
        decompress_link(link)


@given(st.text(alphabet="ABCDEFabcdef0123456789-_Rz", min_size=1, max_size=60))
def test_no_segment_makes_anything_but_a_link_or_a_refusal(segment: str) -> None:
    with contextlib.suppress(IdentifierError):
        decompress_link("https://a/" + segment)
