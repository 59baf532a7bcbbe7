"""Makes tests/vectors/cel.json from the CEL specification's conformance files.

    go mod download -json cel.dev/expr@v0.25.1      # prints its folder
    python tests/vectors/generate/cel.py FOLDER/tests/simple/testdata

The cases are (c) the CEL authors, Apache License 2.0. Kept are name, expression, the values of its
variables, and the expected value or that it is an error, where all are integers, truth values,
texts or lists of them; the rest is kept as "other", to show that it is refused or not judged.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

SECTIONS = (
    "basic", "comparisons", "conversions", "fields", "fp_math", "integer_math", "lists",
    "logic", "macros", "parse", "plumbing", "string", "timestamps",
)  # fmt: skip  # the specification's
TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<word>[\w.+/\[\]-]+)|(?P<sign>[{}:,<>;])""",
    re.VERBOSE,
)
ESCAPE = re.compile(
    r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL
)
PLAIN = {"n": 10, "t": 9, "r": 13, "a": 7, "b": 8, "f": 12, "v": 11}


def unquoted(text: str) -> str:
    out = bytearray()
    at, body = 0, text[1:-1]
    for match in ESCAPE.finditer(body):
        out += body[at : match.start()].encode()
        octal, hexa, four, eight, plain = match.groups()
        if octal or hexa:
            out.append(int(octal, 8) if octal else int(hexa, 16))
        elif four or eight:
            out += chr(int(four or eight, 16)).encode()
        else:
            out += bytes([PLAIN[plain]]) if plain in PLAIN else plain.encode()
        at = match.end()
    out += body[at:].encode()
    return out.decode("utf-8", "surrogateescape")


def message(tokens: list[tuple[str, str]], at: int) -> tuple[list[tuple[str, Any]], int]:
    """(fields, offset) of a text-format message up to its closing brace."""
    found: list[tuple[str, Any]] = []
    while at < len(tokens) and tokens[at][1] != "}":
        if tokens[at][1] in (",", ";"):
            at += 1
            continue
        name, at = tokens[at][1], at + 1
        if tokens[at][1] == ":":
            at += 1
        value: Any
        if tokens[at][1] == "{":
            value, at = message(tokens, at + 1)
            at += 1
        else:
            kind, value = tokens[at]
            at += 1
            if kind == "text":
                value = unquoted(value)
                while at < len(tokens) and tokens[at][0] == "text":
                    value, at = value + unquoted(tokens[at][1]), at + 1
        found.append((name, value))
    return found, at


def value_of(fields: list[tuple[str, Any]]) -> Any:
    """The value in these fields; None where it is not a plain one."""
    if len(fields) != 1:
        return None
    name, value = fields[0]
    if name == "int64_value":
        return int(value, 0)
    if name == "bool_value":
        return value == "true"
    if name == "string_value":
        return value
    if name == "list_value":
        items = [value_of(item) for _, item in value]
        return None if None in items else items
    return None


def variables(test: list[tuple[str, Any]]) -> dict[str, Any] | None:
    """Values by name, None where one is not an integer."""
    found: dict[str, Any] = {}
    for name, binding in test:
        if name == "bindings":
            row = dict(binding)
            value = value_of(dict(row["value"]).get("value", []))
            if type(value) is not int:
                return None
            found[row["key"]] = value
        elif name == "container":
            return None
    return found


def main(folder: Path) -> None:
    rows = []
    for section in SECTIONS:
        text = (folder / f"{section}.textproto").read_text(encoding="utf-8")
        tokens = [(m.lastgroup or "", m.group()) for m in TOKEN.finditer(text) if m.lastgroup]
        whole, _ = message(tokens, 0)
        for group in (value for name, value in whole if name == "section"):
            for test in (value for name, value in group if name == "test"):
                table = dict(test)
                bound = variables(test)
                expected = value_of(table["value"]) if "value" in table else None
                if "eval_error" in table:
                    outcome: dict[str, Any] = {"error": True}
                elif "value" not in table and "typed_result" not in table:
                    outcome = {"value": True}
                elif expected is None or bound is None:
                    outcome = {"other": True}
                else:
                    outcome = {"value": expected}
                name = f"{section}/{dict(group)['name']}/{table['name']}"
                row = {"name": name, "expr": table["expr"], **outcome}
                if table.get("disable_check") == "true":
                    row["unchecked"] = True
                rows.append(row | ({"with": bound} if bound else {}))
    origin = {
        "origin": "cel.dev/expr v0.25.1, tests/simple/testdata",
        "licence": "Apache-2.0, (c) the CEL authors",
        "cases": rows,
    }
    out = Path(__file__).parents[1] / "cel.json"
    out.write_text(json.dumps(origin, indent=0, ensure_ascii=True) + "\n", encoding="utf-8")
    print(len(rows), "cases")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
