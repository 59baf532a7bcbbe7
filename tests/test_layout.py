"""The tree is the map: its packages, its import rules and its dependencies agree."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOTS = set(PROJECT["tool"]["importlinter"]["root_packages"])
RUNTIME_EXTRAS = ("base", "gateway", "node", "portal", "demo")
# Each word must stand in the licence of everything that we import when running.
LICENCES_ALLOWED = re.compile(
    r"Apache|BSD|MIT\b|ISC|PSF|Python Software Foundation|OpenLDAP|OLDAP|MPL-2\.0|EPL",
    re.IGNORECASE,
)
LICENCES_REFUSED = re.compile(r"(?<!L)GPL|AGPL|BUSL|Business Source|SSPL|Commons Clause")
# Weak copyleft and dual licences, each looked at by a person: see docs/adr.
DUAL = {"paho-mqtt": "EPL-2.0 OR BSD-3-Clause: used under BSD-3-Clause"}


def locked_names(lock: str) -> list[str]:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    return re.findall(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE)


def licence_of(name: str) -> str:
    """Return what a distribution says of its licence: expression, classifiers, then free text."""
    about = metadata.metadata(name)
    classifiers = [c for c in about.get_all("Classifier") or [] if c.startswith("License ::")]
    return " ".join(
        about.get_all("License-Expression") or classifiers or about.get_all("License") or []
    )


def top_level_names(distribution: metadata.Distribution) -> set[str]:
    """Return the names that a distribution puts where `import` looks."""
    files = distribution.files or []
    return {
        path.parts[0].removesuffix(".py")
        for path in files
        if path.suffix in {".py", ".so"} and not path.parts[0].endswith(".dist-info")
    }


def test_the_folders_with_code_are_the_packages_that_the_import_rules_know() -> None:
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders == ROOTS


def test_the_wheel_holds_the_packages_that_the_import_rules_know() -> None:
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(wheel) == ROOTS


def test_no_dependency_brings_one_of_our_names() -> None:
    thieves = {
        distribution.name: top_level_names(distribution) & ROOTS
        for distribution in metadata.distributions()
        if distribution.name != "wharfinger"
    }
    assert {name: taken for name, taken in thieves.items() if taken} == {}


@pytest.mark.parametrize("lock", RUNTIME_EXTRAS)
def test_what_runs_may_be_used_freely(lock: str) -> None:
    names = locked_names(lock)
    assert names
    licences = {name: licence_of(name) for name in names if name not in DUAL}
    refused = {
        name: text
        for name, text in licences.items()
        if LICENCES_REFUSED.search(text) or not LICENCES_ALLOWED.search(text)
    }
    assert refused == {}


@pytest.mark.parametrize("lock", ["base", "build", "demo", "dev", "gateway", "node", "portal"])
def test_a_lock_pins_hashes_and_names_no_index(lock: str) -> None:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    pins = re.split(r"\n(?=\S)", text.strip())
    assert [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin] == []
    assert not re.search(r"https?://|--index-url|--find-links|--trusted-host", text)


def pins_of(lock: str) -> set[str]:
    text = (ROOT / "requirements" / f"{lock}.lock").read_text()
    return set(re.findall(r"^(\S+==\S+)", text, re.MULTILINE))


def test_every_lock_is_a_part_of_what_the_tests_run() -> None:
    for lock in (*RUNTIME_EXTRAS, "build"):
        assert pins_of(lock) <= pins_of("dev")


def test_a_gateway_does_not_install_what_only_a_page_needs() -> None:
    assert not {"starlette", "uvicorn"} & set(locked_names("gateway"))
    assert not {"pyserial", "paho-mqtt"} & set(locked_names("node"))
    assert not {"grpcio", "starlette", "pyserial"} & set(locked_names("base"))


def test_each_unit_test_mirrors_a_module_or_says_what_it_crosses() -> None:
    strangers = [
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "tests" / "unit").rglob("test_*.py")
        if path.relative_to(ROOT / "tests" / "unit").parts[0] not in ROOTS
    ]
    assert strangers == []
