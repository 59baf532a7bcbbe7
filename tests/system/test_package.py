"""What a user installs: sdist and wheel build, and the wheel alone brings a working `wharf`."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = {"ledger", "logistics", "firmware_bridge", "gateway", "consortium", "portal"}


def run(*command: str | Path, cwd: Path, **variables: str) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | variables
    result = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the sdist, and the wheel built from that sdist."""
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def empty_environment(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a new environment with the wheel and what `base` pins, no more."""
    folder = tmp_path_factory.mktemp("empty")
    venv.create(folder, with_pip=True)
    python, (wheel,) = folder / "bin" / "python", built.glob("*.whl")
    pip = (python, "-m", "pip", "install", "--quiet")
    locked = ("--require-hashes", "-r", ROOT / "requirements" / "base.lock")
    run(*pip, *locked, cwd=folder)
    run(*pip, "--no-deps", wheel, cwd=folder)
    return folder


def test_the_wheel_holds_the_six_packages_and_the_page(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    folders = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert folders == PACKAGES
    assert {"portal/static/page.html", "portal/static/page.css"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_the_source_archive_holds_what_a_reader_needs(built: Path) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    assert {
        "Makefile",
        "LICENSE",
        "README.md",
        "tools/bootstrap.py",
        "docs/ARCHITECTURE.md",
    } <= names
    assert not [name for name in names if name.startswith((".venv", ".git/"))]


def test_wharf_helps_from_the_wheel_alone(empty_environment: Path) -> None:
    text = run(empty_environment / "bin" / "wharf", "--help", cwd=empty_environment)
    assert "verify" in text


def test_the_verifier_needs_no_other_room(empty_environment: Path) -> None:
    python = empty_environment / "bin" / "python"
    text = run(python, "-m", "ledger", "verify", "--help", cwd=empty_environment)
    assert "--trust" in text


def test_a_missing_extra_is_named(empty_environment: Path) -> None:
    wharf = empty_environment / "bin" / "wharf"
    command = [str(wharf), "portal", "live", "--events", "none.jsonl"]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert result.returncode != 0
    assert "wharfinger[portal]" in result.stderr
    assert "Traceback" not in result.stderr
