"""Links against GS1's published cases, and what else must never pass."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logistics.errors import IdentifierError
from logistics.trace.digital_link import DigitalLink, Element, parse_link
from logistics.trace.element_rules import is_key_path

VECTORS = Path(__file__).parents[3] / "vectors" / "digital_link" / "syntax_cases.tsv"
ROWS = [
    line.split("\t")
    for line in VECTORS.read_text().splitlines()
    if line and not line.startswith("#")
]
LINKS = [(row[0], row[1], row[2]) for row in ROWS if row[0] != "path"]
PATHS = [tuple(row[1].split()) for row in ROWS if row[0] == "path"]


def test_gs1_published_as_many_cases_as_are_asked_here() -> None:
    assert 98 == len(LINKS)
    assert 37 == len(PATHS)


@pytest.mark.parametrize(("mode", "link", "expected"), LINKS)
def test_a_link_is_taken_or_refused_as_gs1_says(mode: str, link: str, expected: str) -> None:
    if expected == "-" or mode != "default":
        with pytest.raises(IdentifierError):
            parse_link(link)
    else:
        assert expected == parse_link(link).element_string()


@pytest.mark.parametrize("path", PATHS)
def test_every_published_path_is_a_key_with_its_qualifiers(path: tuple[str, ...]) -> None:
    assert is_key_path(path)
    if len(path) > 2:
        assert not is_key_path((path[0], *reversed(path[1:])))


@pytest.mark.parametrize(
    "link",
    [
        "https://id.gs1.org/01/09520123456789",  # check digit
        "https://id.gs1.org/00/952012345678912346",
        "https://id.gs1.org/414/9520123456789",
        "https://id.gs1.org/01/09520123456788?02=09520123456789",
        "https://id.gs1.org/01/9520123456788",  # 13 digits
        "https://id.gs1.org/01/09520123456788/21/A/10/B",  # order
        "https://id.gs1.org/01/09520123456788/21/A/21/B",
        "https://id.gs1.org/01/09520123456788?21=A",  # a qualifier in the query
        "https://id.gs1.org/01/09520123456788?17=261332",  # no date
        "https://id.gs1.org/01/09520123456788?17=261231&17=261231",
        "https://id.gs1.org/01/09520123456788?8200=x",
        "https://id.gs1.org/01/09520123456788/21/",
        "https://id.gs1.org/01/09520123456788/21/%00",
        "https://id.gs1.org/01/09520123456788/21/" + "A" * 21,
        "https://id.gs1.org/01/09520123456788/21/a b",
        "https://id.gs1.org/01/09520123456788/21/ü",
        "https://id.gs1.org/01/0952012345678٨",  # a digit, but none of ASCII's
        "https://user@id.gs1.org/01/09520123456788",
        "https://id.gs1.org/8006/095201234567880302",  # piece 3 of 2
        "https://id.gs1.org/01/09520123456788?" + "a=b&" * 65,
        "https://id.gs1.org/01/09520123456788?a=" + "b" * 2_000,
    ],
)
def test_a_link_that_is_not_exactly_right_is_refused(link: str) -> None:
    with pytest.raises(IdentifierError):
        parse_link(link)


def test_what_is_not_gs1s_in_the_query_is_kept_apart() -> None:
    link = parse_link("https://a/s/01/09520123456788/21/x?linkType=gs1:pip&17=271231&q")
    assert (("linkType", "gs1:pip"), ("q", "")) == link.others
    assert "https://a/s" == link.stem
    assert "271231" == link.value("17")
    assert "https://id.gs1.org/01/09520123456788/21/x?17=271231" == link.uri()


@given(st.text(alphabet="!\"%&'()*+,-./0123456789:;<=>?ABCXYZ_abcxyz", min_size=1, max_size=20))
def test_a_serial_comes_back_from_its_own_link(serial: str) -> None:
    made = DigitalLink(
        stem="https://a", path=(Element("01", "09520123456788"), Element("21", serial))
    )
    assert made.path == parse_link(made.uri("https://a")).path


@given(st.text(max_size=80))
def test_no_text_makes_anything_but_a_link_or_a_refusal(text: str) -> None:
    for link in (text, "https://a/01/09520123456788/" + text):
        with contextlib.suppress(IdentifierError):
            parse_link(link)
