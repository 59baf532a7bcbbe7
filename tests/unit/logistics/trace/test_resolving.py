"""Which link is given to whom."""

import pytest

from logistics.trace.item_key import gtin, lot, sgln, sgtin
from logistics.trace.resolving import Kind, Target, choose, linkset, parents, with_query

PAGE_EN = Target(link_type="pip", href="https://a/en", title="Page", language="en")
PAGE_ZH = Target(link_type="pip", href="https://a/zh", title="页", language="zh")
EVENTS = Target(
    link_type="epcis", href="https://a/e", title="Events", media_type="application/ld+json"
)
ALL = [PAGE_EN, PAGE_ZH, EVENTS]


@pytest.mark.parametrize(
    ("link_type", "accept", "language", "href"),
    [
        (None, "", "", "https://a/en"),
        (None, "text/html", "zh-CN,en;q=0.5", "https://a/zh"),
        (None, "*/*", "fr", "https://a/en"),
        ("gs1:pip", "", "zh", "https://a/zh"),
        ("https://gs1.org/voc/epcis", "", "", "https://a/e"),
        ("epcis", "text/html", "zh", "https://a/e"),
        ("gs1:defaultLink", "", "", "https://a/en"),
    ],
)
def test_the_link_is_chosen_by_type_then_language_then_form(
    link_type: str | None, accept: str, language: str, href: str
) -> None:
    choice = choose(ALL, link_type=link_type, accept=accept, accept_language=language)
    assert Kind.REDIRECT is choice.kind
    assert choice.target is not None
    assert href == choice.target.href


def test_a_link_type_that_is_not_there_is_not_found() -> None:
    assert (
        Kind.NO_SUCH_LINK
        is choose(ALL, link_type="gs1:recipeInfo", accept="", accept_language="").kind
    )


@pytest.mark.parametrize(
    ("link_type", "accept"),
    [
        ("all", ""),
        ("linkset", ""),
        ("gs1:all", ""),
        (None, "application/linkset+json"),
        (None, "text/html;q=0.1, application/linkset+json"),
    ],
)
def test_all_links_are_given_to_whom_asks_for_them(link_type: str | None, accept: str) -> None:
    choice = choose(ALL, link_type=link_type, accept=accept, accept_language="")
    assert Kind.LINKSET is choice.kind


def test_a_linkset_names_the_default_and_each_type() -> None:
    (context,) = linkset("https://id.gs1.org/01/10614141073464", ALL)["linkset"]
    assert "https://a/en" == context["https://gs1.org/voc/defaultLink"][0]["href"]
    assert ["en", "zh"] == [row["hreflang"][0] for row in context["https://gs1.org/voc/pip"]]


def test_what_was_asked_behind_the_code_goes_on() -> None:
    assert "https://a/x?17=271231&q=1#s" == with_query(
        "https://a/x#s", "linkType=all&17=271231&q=1"
    )
    assert "https://a/x?y=1&z=2" == with_query("https://a/x?y=1", "z=2")
    assert "https://a/x" == with_query("https://a/x", "linkType=all")


def test_an_item_is_one_of_its_lot_and_that_of_its_class() -> None:
    item, batch = sgtin("10614141073464", "8R2KT5QW0HJ4A"), lot("10614141073464", "L1")
    assert [item, batch, gtin("10614141073464")] == list(parents(item, batch))
    assert [sgln("4012345002256", "1"), sgln("4012345002256")] == list(
        parents(sgln("4012345002256", "1"))
    )
