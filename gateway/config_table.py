"""One table of a TOML file, taken apart strictly: each key is asked for, and what was not asked for
is refused with its line.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.errors import ConfigError

NAME_CHARACTERS_MAX: Final = 100  # as much as the chain records of a name
_REQUIRED: Final = object()


@dataclass(frozen=True, slots=True)
class Table:
    """One TOML table; knows what was asked for, so that what was not asked for can be refused."""

    path: object
    text: str
    name: str
    values: Mapping[str, Any]
    number_of: int = 0  # which one of a list of tables, from 0
    known: set[str] = field(default_factory=set)

    def error(self, key: str, mend: str) -> ConfigError:
        """A refusal of a key, with its line."""
        line = line_of(self.text, self.name, key, number_of=self.number_of)
        return ConfigError(self.path, line, key, mend)

    def name_text(self, key: str) -> str:
        """A text that others will read: not empty, not endless, one line."""
        text: str = self.get(key, str)
        if not 0 < len(text) <= NAME_CHARACTERS_MAX or not text.isprintable():
            raise self.error(key, f"must be 1 to {NAME_CHARACTERS_MAX} printable characters")
        return text

    def get(self, key: str, kind: type, default: Any = _REQUIRED) -> Any:
        """The value of a key, of exactly this type; raises ConfigError."""
        self.known.add(key)
        if key not in self.values:
            if default is _REQUIRED:
                raise self.error(key, f"missing in [{self.name}]; add {key} = ...")
            return default
        value = self.values[key]
        if type(value) is not kind:
            raise self.error(key, f"must be {_KIND_WORDS[kind]}, not {value!r}")
        return value

    def number(self, key: str, default: int, *, low: int, high: int) -> int:
        """A whole number in a range; raises ConfigError."""
        value: int = self.get(key, int, default)
        if not low <= value <= high:
            raise self.error(key, f"must be from {low} to {high}, not {value}")
        return value

    def hex(self, key: str, size_bytes: int) -> bytes:
        """Bytes in hexadecimal; raises ConfigError."""
        return hex_bytes(self, key, self.get(key, str), size_bytes=size_bytes)

    def done(self) -> None:
        """Raises ConfigError where the table has a key that nobody asked for."""
        for key in self.values:
            if key not in self.known:
                options = ", ".join(sorted(self.known))
                raise self.error(key, f"unknown key in [{self.name}]; known are {options}")


_KIND_WORDS: Final = {str: "a text", int: "a whole number", bool: "true or false", list: "a list"}


def hex_bytes(table: Table, key: str, value: object, *, size_bytes: int) -> bytes:
    """The bytes of a text in hexadecimal; raises ConfigError."""
    try:
        data = bytes.fromhex(value) if isinstance(value, str) else b""
    except ValueError:
        data = b""
    if len(data) != size_bytes:
        raise table.error(key, f"must be {size_bytes} bytes in hexadecimal")
    return data


def line_of(text: str, table: str, key: str, *, number_of: int) -> int | None:
    """Line of a key inside the table of that number, or of the table; for messages only."""
    inside, table_line, seen = table == "", None, -1
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\[?\s*([\w.-]+)\s*\]\]?", line)
        if header:
            seen += header[1] == table
            inside = header[1] == table and seen == number_of
            table_line = number if inside else table_line
        elif inside and re.match(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=", line):
            return number
    return table_line
