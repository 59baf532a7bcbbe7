"""All words of the pages, English and Chinese side by side, one table per room.

A table is `<room>.toml`: each word is `key = { en = "...", zh = "..." }`, `{name}` is filled in.
"""

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

LANGUAGES: Final = {"en": "English", "zh": "中文"}


@cache
def tables() -> Mapping[str, Mapping[str, str]]:
    """Words by language, then by "room.key"."""
    found: dict[str, dict[str, str]] = {language: {} for language in LANGUAGES}
    for path in resources.files("portal.words").iterdir():
        room, _, kind = path.name.rpartition(".")
        if kind != "toml":
            continue
        for key, entry in tomllib.loads(path.read_text(encoding="utf-8")).items():
            for language in LANGUAGES:
                found[language][f"{room}.{key}"] = entry[language]
    return found


def word(language: str, key: str, **values: object) -> str:
    """The words for a key. Raises KeyError for a key that no table has."""
    text = tables()[language if language in LANGUAGES else "en"][key]
    return text.format(**values) if values else text


def best_language(accepted: str) -> str:
    """The language for a browser's Accept-Language: the first of ours that it names."""
    for part in accepted.split(",")[:16]:
        code = part.split(";")[0].strip().lower()[:2]
        if code in LANGUAGES:
            return code
    return "en"
