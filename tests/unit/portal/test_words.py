"""Every word of the pages is there in both languages, and no template holds words of its own."""

import re
from pathlib import Path
from string import Formatter

import pytest

from portal.words import LANGUAGES, best_language, tables, word

PORTAL = Path(__file__).resolve().parents[3] / "portal"
TEMPLATES = sorted(PORTAL.glob("**/templates/**/*.html"))
ASKED = re.compile(r"""\bt\(\s*["']([a-z_]+\.[a-z_0-9]+)["']\s*[,)]""")

BEHIND_THE_WORDS = re.compile(
    r"\{%.*?%\}|\{\{.*?\}\}|\{#.*?#\}|<(style|script).*?</\1>|<[^>]*>", re.DOTALL
)


def places(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_both_languages_have_the_same_keys_and_fill_the_same_places() -> None:
    english, chinese = tables()["en"], tables()["zh"]
    assert english.keys() == chinese.keys()
    assert [key for key in english if places(english[key]) != places(chinese[key])] == []
    assert [key for key in chinese if not chinese[key].strip()] == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_asks_for_words_that_are_there_and_holds_none_itself(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    known = tables()["en"]
    assert [key for key in ASKED.findall(text) if key not in known] == []
    bare = BEHIND_THE_WORDS.sub(" ", text)
    assert re.findall(r"[^\W\d_]{2,}", bare) == []


def test_words_are_filled_in_and_an_unknown_language_is_english() -> None:
    assert word("xx", "error.too_many", seconds=3).endswith("in 3 seconds.")
    assert "3" in word("zh", "error.too_many", seconds=3)
    assert set(LANGUAGES) == {"en", "zh"}


def test_the_browsers_first_language_of_ours_is_taken() -> None:
    assert best_language("fr-CH, zh-CN;q=0.9, en;q=0.8") == "zh"
    assert best_language("") == best_language("fr,de") == "en"
