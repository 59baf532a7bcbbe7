"""Wheels for the tests of the installing: ours, and the locked dependencies of two processors."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PARTS = ("ledger", "logistics", "firmware_bridge", "gateway", "consortium", "portal")
BUILD = "import sys; from hatchling.build import build_wheel; build_wheel(sys.argv[1])"
# What needs half an hour or a guest system is collected at night only.
collect_ignore = [] if os.environ.get("WHARF_VOLUME") == "nightly" else ["test_box.py"]


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """Run a program; its output is the failure's text when it fails."""
    words = [str(word) for word in command]
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout


def build_wheel(folder: Path, version: str) -> Path:
    """Build this tree's wheel under another version's name."""
    clone = folder / f"clone-{version}"
    clone.mkdir()
    for part in PARTS:
        shutil.copytree(ROOT / part, clone / part, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone / name)
    text = (ROOT / "pyproject.toml").read_text()
    (clone / "pyproject.toml").write_text(
        re.sub(r'^version = ".*"$', f'version = "{version}"', text, count=1, flags=re.MULTILINE)
    )
    run(sys.executable, "-c", BUILD, folder, cwd=clone)
    shutil.rmtree(clone)
    return folder / f"wharfinger-{version}-py3-none-any.whl"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"), "0.1.0")


@pytest.fixture(scope="session")
def next_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("next-wheel"), "0.2.0")


def download(folder: Path, *options: str) -> Path:
    """Fetch the gateway's locked wheels; pip's own cache answers from the second time on."""
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:")
    lock = ROOT / "requirements" / "gateway.lock"
    run(*pip, "--require-hashes", "-r", lock, "-d", folder, *options)
    return folder


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return download(tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="session")
def arm_wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tags = ("manylinux_2_28_aarch64", "manylinux2014_aarch64", "manylinux_2_17_aarch64")
    platforms = [part for tag in tags for part in ("--platform", tag)]
    python = ("--python-version", "3.11", "--implementation", "cp", "--abi", "cp311")
    return download(tmp_path_factory.mktemp("arm-wheels"), *python, *platforms)
