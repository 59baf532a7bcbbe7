"""The part of CEL that a contract may use, judged before any CEL library sees the text.

A small parser of our own: what it does not know is refused by its name, and every size has a bound,
so that a hostile rule costs neither time nor memory. Grammar: the Common Expression Language
specification, "Syntax". Allowed: `int`, `bool` and `string` literals, lists, indexing, the
operators below, `size`, `contains`, `startsWith`, `endsWith`, `matches`, and the macros `all`,
`exists`, `exists_one`, `filter` and `map`. Not allowed: floating point, unsigned and bytes
literals, null, maps, messages, fields, time (its zones come from a database), conversions.
"""

import re
from dataclasses import dataclass
from typing import Final

from logistics.rules.errors import ContractError

TEXT_BYTES_MAX: Final = 2_048
NODES_MAX: Final = 256
DEPTH_MAX: Final = 16
LIST_MAX: Final = 64
STRING_CHARACTERS_MAX: Final = 256
REGEX_CHARACTERS_MAX: Final = 64
MACRO_DEPTH_MAX: Final = 2  # a macro in a macro's body: at most LIST_MAX squared steps

FUNCTIONS: Final = frozenset({"size", "contains", "startsWith", "endsWith", "matches"})
MACROS: Final = frozenset({"all", "exists", "exists_one", "filter", "map"})
BINARY: Final = (
    ("||",),
    ("&&",),
    ("==", "!=", "<=", ">=", "<", ">", "in"),
    ("+", "-"),
    ("*", "/", "%"),
)

_TOKEN: Final = re.compile(
    r"""[\t\n\f\r ]+
    | (?P<string>[rR]?(?:"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*'))
    | (?P<number>0[xX][0-9a-fA-F]+|[0-9]+)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>\|\||&&|==|!=|<=|>=|[-+*/%<>!?:.,()\[\]])""",
    re.VERBOSE,
)
_REFUSED: Final = (
    (re.compile(r"[0-9]+\.[0-9]|\.[0-9]|[0-9]+[eE][-+]?[0-9]"), "floating-point literal"),
    (re.compile(r"(?:0[xX][0-9a-fA-F]+|[0-9]+)[uU]"), "unsigned literal"),
    (re.compile(r"(?:[bB][rR]?|[rR][bB])[\"']"), "bytes literal"),
    (re.compile(r"[rR]?(?:\"\"\"|''')"), "triple-quoted string"),
    (re.compile(r"[{}]"), "map or message literal"),
    (re.compile(r"//"), "comment"),
    (re.compile(r"`"), "quoted field name"),
)
_RESERVED: Final = frozenset(
    {
        "as", "break", "const", "continue", "else", "for", "function", "if", "import", "let",
        "loop", "package", "namespace", "return", "var", "void", "while", "null",
    }
)  # fmt: skip  # the specification's list, and null


@dataclass(frozen=True, slots=True)
class Shape:
    """What was found: the names that are neither functions, macros nor macro variables."""

    names: frozenset[str]
    nodes: int
    functions: frozenset[str]


def check_subset(text: str) -> Shape:
    """The shape of an expression that a contract may hold.

    Raises ContractError that names what is not allowed, or which bound is passed.
    """
    if len(text.encode()) > TEXT_BYTES_MAX:
        raise ContractError("expression", f"more than {TEXT_BYTES_MAX} bytes")
    parser = _Parser(_tokens(text))
    parser.expression()
    parser.expect_end()
    return Shape(frozenset(parser.names), parser.nodes, frozenset(parser.called))


def _tokens(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        for pattern, name in _REFUSED:
            if pattern.match(text, at):
                raise ContractError("expression", f"{name} at {at} is not allowed")
        match = _TOKEN.match(text, at)
        if match is None:
            raise ContractError("expression", f"{text[at]!r} at {at} is not understood")
        if match.lastgroup is not None:
            found.append((match.lastgroup, match.group()))
        at = match.end()
        if len(found) > 4 * NODES_MAX:
            raise ContractError("expression", f"more than {NODES_MAX} nodes")
    return found


class _Parser:
    """One pass, no tree: counts nodes, depth and names while it recognises the grammar."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0
        self._bound: list[str] = []
        self.nodes, self.names, self.called = 0, set[str](), set[str]()

    def expect_end(self) -> None:
        if self._at < len(self._tokens):
            raise ContractError("expression", f"{self._tokens[self._at][1]!r} is too much")

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _take(self, sign: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] in (
            ("sign", sign),
            ("word", sign),
        ):
            self._at += 1
            return True
        return False

    def _need(self, sign: str) -> None:
        if not self._take(sign):
            raise ContractError("expression", f"{sign!r} is missing before {self._peek()!r}")

    def _node(self) -> None:
        self.nodes += 1
        if self.nodes > NODES_MAX:
            raise ContractError("expression", f"more than {NODES_MAX} nodes")

    def expression(self) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise ContractError("expression", f"nested deeper than {DEPTH_MAX}")
        self._binary(0)
        if self._take("?"):
            self._node()
            self._binary(0)
            self._need(":")
            self.expression()
        self._depth -= 1

    def _binary(self, level: int) -> None:
        if level == len(BINARY):
            self._unary()
            return
        self._binary(level + 1)
        while any(self._take(sign) for sign in BINARY[level]):
            self._node()
            self._binary(level + 1)

    def _unary(self) -> None:
        sign = "!" if self._peek() == "!" else "-"
        while self._take(sign):
            self._node()
        self._member()

    def _member(self) -> None:
        self._primary()
        while True:
            if self._take("."):
                self._method()
            elif self._take("["):
                self._node()
                self.expression()
                self._need("]")
            else:
                return

    def _primary(self) -> None:
        self._node()
        if self._at >= len(self._tokens):
            raise ContractError("expression", "ends early")
        kind, text = self._tokens[self._at]
        if kind == "word":
            self._word(text)
            return
        self._at += 1
        if kind == "string" and len(text) > STRING_CHARACTERS_MAX:
            raise ContractError("expression", f"a string of over {STRING_CHARACTERS_MAX}")
        if kind in ("string", "number"):
            return
        if text == "(":
            self.expression()
            self._need(")")
        elif text == "[":
            self._items("]", LIST_MAX, "list")
        else:
            raise ContractError("expression", f"{text!r} is not expected here")

    def _word(self, word: str) -> None:
        self._at += 1
        if word in _RESERVED:
            raise ContractError("expression", f"{word} is not allowed")
        if self._take("("):
            if word not in FUNCTIONS:
                raise ContractError("expression", f"function {word} is not allowed")
            self._called(word)
        elif word not in ("true", "false") and word not in self._bound:
            self.names.add(word)

    def _items(self, end: str, most: int, what: str) -> int:
        count = 0
        if self._take(end):
            return 0
        while True:
            self.expression()
            count += 1
            if count > most:
                raise ContractError("expression", f"a {what} of more than {most}")
            if self._take(end):
                return count
            self._need(",")
            if what == "list" and self._take(end):
                return count

    def _method(self) -> None:
        kind, word = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        self._at += 1
        if kind != "word":
            raise ContractError("expression", "a name is missing behind a dot")
        if not self._take("("):
            raise ContractError("expression", f"field {word} is not allowed")
        self._node()
        if word in MACROS:
            self._macro(word)
        elif word in FUNCTIONS:
            self._called(word)
        else:
            raise ContractError("expression", f"function {word} is not allowed")

    def _called(self, word: str) -> None:
        self.called.add(word)
        if word == "matches":
            self._check_regex()
        self._items(")", 2, "call")

    def _check_regex(self) -> None:
        """A pattern stands in the text, short: nothing computes one."""
        kind, text = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        if kind != "string" or self._tokens[self._at + 1 : self._at + 2] != [("sign", ")")]:
            raise ContractError("expression", "matches needs one literal pattern")
        if len(text) > REGEX_CHARACTERS_MAX or re.search(r"\{|[)*+?][*+]", text):
            raise ContractError(
                "expression", f"a pattern over {REGEX_CHARACTERS_MAX}, or with repeated repetition"
            )

    def _macro(self, word: str) -> None:
        kind, name = self._tokens[self._at] if self._at < len(self._tokens) else ("", "")
        if kind != "word" or name in _RESERVED:
            raise ContractError("expression", f"{word} needs a name first")
        if len(self._bound) >= MACRO_DEPTH_MAX:
            raise ContractError("expression", f"macros nested deeper than {MACRO_DEPTH_MAX}")
        self._at += 1
        self._need(",")
        self._bound.append(name)
        self.called.add(word)
        count = self._items(")", 2 if word == "map" else 1, "macro")
        self._bound.pop()
        if not count:
            raise ContractError("expression", f"{word} needs an expression")
