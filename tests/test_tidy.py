"""The project's style, held: each bar of CONTRIBUTING.md that a tool does not hold already."""

from __future__ import annotations

import ast
import io
import re
import statistics
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("ledger", "logistics", "firmware_bridge", "gateway", "consortium", "portal")
SOURCE = (*PACKAGES, "tools")
FUNCTION_LINES_MAX, FUNCTION_LINES_MEDIAN, FUNCTION_LINES_P90 = 60, 10, 30
FILE_LINES_MAX, FILE_LINES_MEDIAN = 500, 200
POSITIONAL_MAX, POSITIONAL_PRIVATE_MAX = 3, 5
FOLDER_DEPTH_MAX = 2  # package / room / module
CLONE_LINES = 8
GENERATED = ROOT / "consortium" / "abci_pb"  # by tools/regenerate_abci.py: no one reads its style
BANNED_MODULES = {"utils", "util", "helpers", "helper", "common", "core", "manager", "base", "misc"}
TEXT_SUFFIXES = {".py", ".md", ".toml", ".html", ".css", ".js", ".lock", ".svg", ".conf", ".yml"}
# In pieces, or this file would find itself.
PLACES = ("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/tmp/" + "plan")
HOSTS = (
    "py" + "pi.org",
    "python" + "hosted",
    "npm" + "js.",
    "deb.deb" + "ian.org",
    "crates" + ".io",
)
UNNUMBERED_NOTE = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b(?!\(#\d+\))")
GOOD_IGNORE = re.compile(r"# type: ignore\[[\w, -]+\] +# \S.{3,}")
GOOD_NOQA = re.compile(r"# noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)* +[-–#] ?\S.{3,}")

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tracked_files() -> tuple[Path, ...]:
    """Return the project's own files: what git knows, or all when there is no git here."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        paths = [path for name in (*SOURCE, "tests", "docs") for path in (ROOT / name).rglob("*")]
    return tuple(sorted(path for path in paths if path.is_file()))


@cache
def source_files() -> tuple[Path, ...]:
    return tuple(
        path
        for path in tracked_files()
        if path.suffix == ".py"
        and path.relative_to(ROOT).parts[0] in SOURCE
        and not path.is_relative_to(GENERATED)
    )


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def named(path: Path, line: int, what: object) -> str:
    return f"{path.relative_to(ROOT)}:{line}: {what}"


def functions() -> Iterator[tuple[Path, Function]]:
    for path in source_files():
        for item in ast.walk(parsed(path)):
            if isinstance(item, Function):
                yield path, item


def code_lines(function: Function) -> int:
    """Lines from `def` to the end, less the docstring."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        text = function.body[0]
        lines -= (text.end_lineno or text.lineno) - text.lineno + 1
    return lines


def comments(path: Path) -> Iterator[tuple[int, str]]:
    with io.StringIO(path.read_text()) as text:
        for token in tokenize.generate_tokens(text.readline):
            if token.type == tokenize.COMMENT:
                yield token.start[0], token.string


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        named(path, function.lineno, f"{function.name} has {code_lines(function)} lines")
        for path, function in functions()
        if code_lines(function) > FUNCTION_LINES_MAX
    ]
    assert long == []


def test_functions_are_short_as_a_rule() -> None:
    lengths = sorted(code_lines(function) for _, function in functions())
    assert statistics.median(lengths) <= FUNCTION_LINES_MEDIAN
    assert lengths[len(lengths) * 9 // 10] <= FUNCTION_LINES_P90


def test_files_are_short() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in source_files()}
    long = [
        named(path, lines, "lines") for path, lines in lengths.items() if lines > FILE_LINES_MAX
    ]
    assert long == []
    assert statistics.median(lengths.values()) <= FILE_LINES_MEDIAN


def test_page_scripts_and_styles_are_short_too() -> None:
    long = [
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if path.suffix in {".js", ".css"}
        and "vendor" not in path.parts
        and len(path.read_text().splitlines()) > FILE_LINES_MAX
    ]
    assert long == []


def public_parts(path: Path) -> Iterator[Function | ast.ClassDef]:
    """Public classes and functions of a module, and public methods of public classes."""
    for item in parsed(path).body:
        if isinstance(item, Function | ast.ClassDef) and not item.name.startswith("_"):
            yield item
            if isinstance(item, ast.ClassDef):
                yield from (
                    part
                    for part in item.body
                    if isinstance(part, Function) and not part.name.startswith("_")
                )


def needs_no_docstring(part: Function | ast.ClassDef) -> bool:
    names = {ast.unparse(decorator).rpartition(".")[2] for decorator in part.decorator_list}
    return bool(names & {"overload", "setter", "override"})


def test_everything_public_says_what_it_is() -> None:
    silent = [
        named(path, part.lineno, part.name)
        for path in source_files()
        for part in public_parts(path)
        if ast.get_docstring(part) is None and not needs_no_docstring(part)
    ]
    assert silent == []


def positional_count(function: Function) -> int:
    names = [item.arg for item in (*function.args.posonlyargs, *function.args.args)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def test_more_than_three_parameters_are_named_by_the_caller() -> None:
    # A library that calls us back decides the parameters: such functions are named on_...
    wide = []
    for path, function in functions():
        if function.name.startswith(("__", "on_", "_on_")):
            continue
        private = function.name.startswith("_")
        if positional_count(function) > (POSITIONAL_PRIVATE_MAX if private else POSITIONAL_MAX):
            wide.append(named(path, function.lineno, function.name))
    assert wide == []


def is_broad(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = {item.id for item in ast.walk(handler.type) if isinstance(item, ast.Name)}
    return bool(names & {"Exception", "BaseException"})


def test_a_broad_except_says_why() -> None:
    silent = []
    for path in source_files():
        told = {line for line, _ in comments(path)}
        silent += [
            named(path, item.lineno, "broad except with no comment")
            for item in ast.walk(parsed(path))
            if isinstance(item, ast.ExceptHandler)
            and is_broad(item)
            and not told & {item.lineno - 1, item.lineno, item.lineno + 1}
        ]
    assert silent == []


def test_each_silenced_rule_has_its_code_and_a_reason() -> None:
    bad = []
    for path in tracked_files():
        if path.suffix != ".py":
            continue
        for line, text in comments(path):
            ignore = "type: ignore" in text and not GOOD_IGNORE.search(text)
            noqa = "noqa" in text and not GOOD_NOQA.search(text)
            if ignore or noqa:
                bad.append(named(path, line, text))
    assert bad == []


def test_no_module_is_named_after_nothing() -> None:
    assert [str(p.relative_to(ROOT)) for p in source_files() if p.stem in BANNED_MODULES] == []


def test_the_tree_is_no_deeper_than_package_room_module() -> None:
    deep = [
        str(path.relative_to(ROOT))
        for path in source_files()
        if len(path.relative_to(ROOT).parts) - 1 > FOLDER_DEPTH_MAX
    ]
    assert deep == []


def test_no_file_speaks_of_one_machine_or_one_package_index() -> None:
    found = []
    for path in tracked_files():
        if path.suffix not in TEXT_SUFFIXES and path.name not in {"Makefile", "run"}:
            continue
        for line, text in enumerate(path.read_text().splitlines(), start=1):
            found += [named(path, line, word) for word in (*PLACES, *HOSTS) if word in text]
    assert found == []


def test_a_note_for_later_has_a_number() -> None:
    found = []
    for path in tracked_files():
        if path.suffix in TEXT_SUFFIXES:
            for line, text in enumerate(path.read_text().splitlines(), start=1):
                found += [named(path, line, text.strip())] * bool(UNNUMBERED_NOTE.search(text))
    assert found == []


def test_unit_tests_do_not_sleep() -> None:
    # Under the virtual clock of tests/fakes an hour of asyncio's sleep takes a moment.
    found = []
    for path in tracked_files():
        if path.suffix != ".py" or not path.is_relative_to(ROOT / "tests" / "unit"):
            continue
        whole = path.read_text()
        pattern = r"\btime\.sleep\("
        if "tests.fakes.virtual_time" not in whole:
            pattern += r"|\basyncio\.sleep\((?!0\))"
        lines = enumerate(whole.splitlines(), start=1)
        found += [named(path, n, text.strip()) for n, text in lines if re.search(pattern, text)]
    assert found == []


def lines_of_code(path: Path) -> list[tuple[int, str]]:
    """Number and text of each line that does something: no blanks, comments, imports, brackets."""
    skipped = set[int]()
    for item in ast.walk(parsed(path)):
        if isinstance(item, ast.Import | ast.ImportFrom):
            skipped.update(range(item.lineno, (item.end_lineno or item.lineno) + 1))
    lines = enumerate((text.strip() for text in path.read_text().splitlines()), start=1)
    return [
        (number, text)
        for number, text in lines
        if number not in skipped and len(text) > 2 and not text.startswith("#")
    ]


def test_nothing_is_written_twice() -> None:
    seen: dict[tuple[str, ...], str] = {}
    twice = set()
    for path in source_files():
        lines = lines_of_code(path)
        for start in range(len(lines) - CLONE_LINES + 1):
            window = lines[start : start + CLONE_LINES]
            here = named(path, window[0][0], "")
            there = seen.setdefault(tuple(text for _, text in window), here)
            if there != here:
                twice.add(f"{here} as {there}")
    assert sorted(twice) == []
