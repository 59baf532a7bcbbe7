"""The first thing that a newcomer runs: it names, asks, and never installs without leave."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent


def load(name: str) -> ModuleType:
    """Return one of tools/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def bootstrap(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return bootstrap.py with one Debian package in its list that is never there."""
    module = load("bootstrap")
    package = module.DebianPackage("no-such", "no-such-program", "for the test", ("demo",))
    monkeypatch.setattr(module, "PACKAGES", (package,))
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.delenv("WHARF_NO_INSTALL", raising=False)
    return module


@pytest.fixture
def apt_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a false apt-get and sudo first on PATH; return the file where they note their calls."""
    log = tmp_path / "apt.log"
    for name in ("apt-get", "sudo"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "$0 $*" >> {log}\n')
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    return log


def test_nothing_is_installed_where_nobody_can_be_asked(
    bootstrap: ModuleType, apt_log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bootstrap.ensure_debian_packages("demo")
    said = capsys.readouterr().out
    assert "no-such (for the test)" in said
    assert "apt-get install no-such" in said
    assert not apt_log.exists()


def test_ci_installs_with_no_question(
    bootstrap: ModuleType, apt_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    bootstrap.ensure_debian_packages("demo")
    called = apt_log.read_text()
    assert "update" in called
    assert "install --no-install-recommends" in called
    assert called.rstrip().endswith("no-such")


def test_leave_can_be_refused_even_in_ci(
    bootstrap: ModuleType, apt_log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("WHARF_NO_INSTALL", "1")
    bootstrap.ensure_debian_packages("demo")
    assert not apt_log.exists()


@pytest.mark.parametrize(("answer", "calls"), [("", True), ("y", True), ("n", False), ("x", False)])
def test_a_person_is_asked_before_anything_is_installed(
    bootstrap: ModuleType,
    apt_log: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    calls: bool,
) -> None:
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _question: answer)
    bootstrap.ensure_debian_packages("demo")
    assert calls == apt_log.exists()


def test_a_goal_that_needs_no_package_says_nothing(
    bootstrap: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    bootstrap.ensure_debian_packages("dev")
    assert capsys.readouterr().out == ""


def test_a_changed_lock_is_seen(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    before = bootstrap.digest_of_inputs("demo")
    assert before == bootstrap.digest_of_inputs("demo")
    assert before != bootstrap.digest_of_inputs("dev")
    monkeypatch.setitem(bootstrap.LOCKS, "demo", ("demo",))
    assert before != bootstrap.digest_of_inputs("demo")


def test_a_failed_part_makes_the_run_fail_and_stands_in_the_last_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    runner = load("run_tests")
    good = runner.Outcome(name="a", passed=3, failed=0, skipped=0, seconds=60.0)
    bad = runner.Outcome(name="b", passed=1, failed=2, skipped=1, seconds=30.0)
    runner.print_table([good, bad], 70.0)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == "4 passed, 2 failed, 1 skipped"
    assert any(line.split()[:1] == ["1.0"] and line.endswith(" a") for line in lines)
