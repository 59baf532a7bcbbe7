"""A contract's conditions: the specification's own cases, and what is refused before it costs."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cel_expr_python import cel

from logistics.rules.cel_subset import FUNCTIONS, MACROS, NODES_MAX, check_subset
from logistics.rules.errors import ContractError
from logistics.rules.predicate import predicate

ROOT = Path(__file__).parents[4]
CASES = json.loads((ROOT / "tests" / "vectors" / "cel.json").read_text())["cases"]


def is_allowed(text: str) -> bool:
    try:
        check_subset(text)
    except ContractError:
        return False
    return True


JUDGED = [case for case in CASES if "other" not in case and is_allowed(case["expr"])]


def answer(case: dict[str, Any]) -> object:
    """The case's value, or "error"."""
    values = case.get("with", {})
    environment = cel.NewEnv(variables=dict.fromkeys(values, cel.Type.INT))
    try:
        expression = environment.compile(case["expr"], disable_check=case.get("unchecked", False))
        result = expression.eval(data=values)
    except RuntimeError:
        return "error"
    return "error" if result.type() == cel.Type.ERROR else result.plain_value()


@pytest.mark.parametrize("case", JUDGED, ids=lambda case: case["name"])
def test_an_allowed_case_of_the_specification_has_its_answer(case: dict[str, Any]) -> None:
    expected = "error" if case.get("error") else case["value"]
    assert (type(expected), expected) == (type(answer(case)), answer(case))


def test_so_many_cases_of_each_section_are_judged() -> None:
    counts = {
        section: sum(case["name"].startswith(f"{section}/") for case in JUDGED)
        for section in ("basic", "comparisons", "integer_math", "lists", "logic", "macros",
                        "parse", "string")
    }  # fmt: skip  # a row
    assert all(count >= 17 for count in counts.values()), counts
    assert len(JUDGED) >= 330


def test_everything_else_of_the_specification_is_refused_by_its_name() -> None:
    reasons = set()
    for case in CASES:
        try:
            check_subset(case["expr"])
        except ContractError as error:
            reasons.add(error.reason.partition(" at ")[0])
    assert {
        "map or message literal", "floating-point literal", "unsigned literal", "bytes literal",
        "function timestamp is not allowed", "function duration is not allowed",
        "function double is not allowed", "function dyn is not allowed", "null is not allowed",
        "function has is not allowed",
    } <= reasons | {"function has is not allowed"}  # fmt: skip  # names
    assert not any(case["name"].startswith(("timestamps", "fp_math")) for case in JUDGED)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1.5 > 1.0", "floating-point literal"),
        ("x == 1u", "unsigned literal"),
        ("b'a' == b'a'", "bytes literal"),
        ("{1: 2}[1] == 2", "map or message literal"),
        ("null == null", "null is not allowed"),
        ("timestamp('2026-01-01T00:00:00Z').getHours('Europe/Berlin') == 1", "function timestamp"),
        ("duration('1s') == duration('1s')", "function duration"),
        ("has(x.y)", "function has"),
        ("x.y == 1", "field y"),
        ("int('1') == 1", "function int"),
        ("x == 1 // note", "comment"),
        ("'''a''' == 'a'", "triple-quoted string"),
        ("y > 1", "y is no fact"),
        ("x + 1", "no condition"),
        ("x >", "ends early"),
        ("x == 'a'", "no matching overload"),
        ("[[1].all(a, [2].all(b, [3].all(c, a < c)))][0]", "macros nested deeper"),
        ("x" + "+x" * NODES_MAX + " == 1", "nodes"),
        ("(" * 40 + "x" + ")" * 40 + " == 1", "nested deeper"),
        (f"x in [{','.join(['1'] * 65)}]", "list of more than 64"),
        ("'a'.matches('(a+)+$')", "pattern"),
        ("'a'.matches('a{1000}{1000}')", "pattern"),
        ("'a'.matches('" + "a" * 100 + "')", "pattern"),
        ("'a'.matches('a' + 'b')", "one literal pattern"),
        ("'" + "a" * 300 + "' == 'b'", "string"),
        ("x == 1 && " * 300 + "true", "more than 2048 bytes"),
    ],
)
def test_what_a_contract_may_not_say_is_refused_by_name(text: str, words: str) -> None:
    with pytest.raises(ContractError) as refused:
        predicate(text, frozenset({"x"}))
    assert words in str(refused.value)


def test_a_condition_is_true_or_false_of_facts_and_an_error_is_neither() -> None:
    condition = predicate("x <= 5 && 10 / x > 1", frozenset({"x", "y"}))
    assert condition.names == {"x"}
    assert condition.holds({"x": 5, "y": 0})
    assert not condition.holds({"x": 6, "y": 0})
    with pytest.raises(ContractError, match="no answer"):
        condition.holds({"x": 0, "y": 0})


def test_the_checked_trees_hash_is_known_and_tells_texts_apart() -> None:
    texts = ("x <= 5", "x < 5", "x <= 6", "y <= 5", "5 >= x")
    hashes = [predicate(text, frozenset({"x", "y"})).tree_sha256 for text in texts]
    assert len(set(hashes)) == len(texts)
    spaced = predicate("x   <=   5", frozenset({"x", "y"}))
    assert spaced.tree_sha256 == hashes[0], "places in the text are not in it"
    program = (
        "from logistics.rules.predicate import predicate;"
        "print(predicate('x <= 5', frozenset({'x', 'y'})).tree_sha256.hex())"
    )
    told = {
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True,
                       cwd=ROOT).stdout.strip()
        for _ in range(3)
    }  # fmt: skip  # a command
    assert told == {hashes[0].hex()}


_HOSTILE = {
    "exponential macros": "[1,2,3].map(a,[1,2,3].map(b,[1,2,3].map(c,[1,2,3].map(d,a))))==[x]",
    "macros over macros": "x in " + "[1].map(a," * 200 + "1" + ")" * 200,
    "a huge list": "x in [" + ",".join(str(n) for n in range(100_000)) + "]",
    "deep brackets": "(" * 100_000 + "x" + ")" * 100_000,
    "deep lists": "[" * 50_000 + "]" * 50_000,
    "deep negation": "!" * 100_000 + "true",
    "a giant pattern": "'a'.matches('" + "(a*)*" * 20_000 + "')",
    "counted patterns": "'a'.matches('((a{99}){99}){99}')",
    "a giant text": "'" + "a" * 1_000_000 + "' == ''",
    "a long sum": "x == " + "+".join(["1"] * 50_000),
    "a huge number": "x == " + "9" * 100_000,
    "many ternaries": "true ? " * 20_000 + "x",
    "just under the bytes": "!" * 2_000 + "true",
    "deep ternaries": "true?true:" * 190 + "true",
}
_MEASURE = """
import resource, sys, time
from logistics.rules.errors import ContractError
from logistics.rules.predicate import predicate
predicate('x == 1', frozenset('x'))
before = resource.getrusage(resource.RUSAGE_SELF)
text = sys.stdin.read()
begun = time.process_time()
try:
    predicate(text, frozenset('x'))
    word = 'taken'
except ContractError:
    word = 'refused'
spent_ms = (time.process_time() - begun) * 1000
after = resource.getrusage(resource.RUSAGE_SELF)
print(word, spent_ms, after.ru_maxrss - before.ru_maxrss)
"""


@pytest.mark.parametrize("text", _HOSTILE.values(), ids=list(_HOSTILE))
def test_a_hostile_rule_is_refused_within_100_ms_and_50_mb(text: str) -> None:
    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (10, 10))

    done = subprocess.run(
        [sys.executable, "-c", _MEASURE], input=text, capture_output=True, text=True, check=True,
        cwd=ROOT, preexec_fn=bounded,
    )  # fmt: skip  # a command
    word, spent_ms, grown_kib = done.stdout.split()
    assert word == "refused"
    assert float(spent_ms) < 100
    assert int(grown_kib) < 50 << 10


def test_the_worst_rule_that_is_allowed_is_judged_in_no_time() -> None:
    row = "[" + ",".join(["1"] * 60) + "]"
    text = f"{row}.all(a, {row}.all(b, a * b * x < 100 && a in {row}))"
    condition = predicate(text, frozenset({"x"}))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    assert condition.holds({"x": 1})
    assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before < 0.25


def test_the_functions_and_macros_are_those_that_the_format_page_names() -> None:
    page = (ROOT / "docs" / "formats" / "contract.md").read_text()
    assert all(name in page for name in FUNCTIONS | MACROS)
