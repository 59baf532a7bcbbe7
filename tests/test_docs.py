"""What the documents point at exists: links, test files, make words, modules."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
TEST_FILE = re.compile(r"`(tests/[\w/.]+\.py)`")
MODULE = re.compile(
    r"`((?:ledger|logistics|firmware_bridge|gateway|consortium|portal)(?:\.(?!toml)[a-z_0-9]+)+)`"
)


def named(document: Path) -> str:
    return document.relative_to(ROOT).as_posix()


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or path.is_dir()


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_leads_somewhere(document: Path) -> None:
    targets = [t for t in LINK.findall(document.read_text()) if "://" not in t]
    assert [t for t in targets if not (document.parent / t).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_test_and_module_named_exists(document: Path) -> None:
    text = document.read_text()
    assert [path for path in TEST_FILE.findall(text) if not (ROOT / path).exists()] == []
    assert [name for name in MODULE.findall(text) if not is_module(name)] == []


def test_every_make_word_in_the_documents_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    words = {
        word
        for document in DOCUMENTS
        for word in re.findall(r"(?:`|^)make ([a-z]+)", document.read_text(), re.MULTILINE)
    }
    assert words <= targets


def test_every_decision_record_stands_in_the_index() -> None:
    folder = ROOT / "docs" / "adr"
    index = (folder / "README.md").read_text()
    records = [path.name for path in folder.glob("0*.md")]
    assert records
    assert [name for name in records if f"({name})" not in index] == []
    for name in records:
        lines = (folder / name).read_text().splitlines()
        assert lines[0].startswith(f"# {name[:4]}: ")
        assert {"## Context", "## Options", "## Decision", "## Cost"} <= set(lines)
        assert len(lines) <= 80


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_no_page_is_empty(document: Path) -> None:
    assert len(document.read_text().split()) > 20
