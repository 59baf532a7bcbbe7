"""The one command itself, with the true wheels, into a folder: twice, killed, forth, back, away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.fakes.bare_machine import tree

ROOT = Path(__file__).parents[3]
INSTALL = ROOT / "deploy" / "raspberrypi" / "install"
ENVIRONMENT = {**os.environ, "WHARF_PYTHON": sys.executable}


def command(root: Path, *words: str | Path) -> list[str]:
    return [str(word) for word in (INSTALL, *words, "--root", root)]


def install(root: Path, *words: str | Path, answer: str | None = None) -> str:
    done = subprocess.run(
        command(root, *words),
        env=ENVIRONMENT,
        input=answer,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def kill_at(root: Path, line: str, words: Sequence[str | Path]) -> None:
    """Start the installer and SIGKILL it with its children once it has said the line."""
    process = subprocess.Popen(
        command(root, *words),
        env=ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout:
        assert any(line in said for said in process.stdout)
        os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def version_of(root: Path) -> str:
    """Ask the installed program itself, by its own environment and nothing of ours."""
    python = root / "opt" / "wharf" / "current" / "bin" / "python3"
    code = (
        "from importlib.metadata import version; import grpc, lmdb, serial, gateway.cli, ledger;"
        "print(version('wharfinger'), ledger.__file__)"
    )
    done = subprocess.run(
        [python, "-I", "-c", code], capture_output=True, text=True, check=True, cwd="/"
    )
    version, place = done.stdout.split()
    assert Path(place).is_relative_to(root)
    return version


def test_killed_run_again_upgraded_rolled_back_and_removed(
    tmp_path: Path, wheel: Path, next_wheel: Path, wheels: Path
) -> None:
    root = tmp_path / "root"
    words = ("--yes", "--wheels", wheels, "--wheel", wheel)
    # Just after this line pip fills the environment: it is killed in the middle of that.
    kill_at(root, "done     folder /var/lib/wharf", words)
    assert not (root / "opt" / "wharf" / "current").exists()

    install(root, *words)
    assert version_of(root) == "0.1.0"
    starter = (root / "opt" / "wharf" / "current" / "bin" / "wharf").read_text()
    assert starter.startswith("#!/opt/wharf/0.1.0/bin/python3 -I\n")

    before = tree(root, with_times=True)
    assert version_of(root) == "0.1.0"  # and writes no bytecode: the service may not
    assert "nothing to do" in install(root, *words)
    assert before == tree(root, with_times=True)

    ledger = root / "var" / "lib" / "wharf" / "data.mdb"
    ledger.write_bytes(b"kept")
    install(root, "upgrade", "--yes", "--wheels", wheels, "--wheel", next_wheel)
    assert version_of(root) == "0.2.0"
    install(root, "rollback", "--yes")
    assert version_of(root) == "0.1.0"
    install(root, "uninstall", "--yes")
    assert ledger.read_bytes() == b"kept"
    assert not (root / "opt" / "wharf").exists()


def test_upgrade_without_an_installed_gateway_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        command(tmp_path, "upgrade", "--yes"),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "nothing is installed here" in done.stderr
