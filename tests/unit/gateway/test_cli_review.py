import argparse
import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.cli import PID_NAME, register
from ledger.store import Store

CONFIG = """\
[gateway]
name = "cold-room"
party = "Cold Store Ltd"
data_dir = "data"
development = true
[key]
uri = "file:/key.pem"
[status]
port = 0
"""


def gateway(*words: str) -> int:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    arguments = parser.parse_args(["gateway", *words])
    return int(arguments.run(arguments))


def test_a_block_is_never_asked_of_a_stranger_who_has_a_dead_gateways_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The signal ends a program that does not wait for it."""
    config = tmp_path / "gateway.toml"
    config.write_text(CONFIG)
    Store(tmp_path / "data" / "store").close()
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    (tmp_path / "data" / PID_NAME).write_text(f"{stranger.pid}\n")
    assert gateway("seal", "--config", str(config)) == 2
    assert "is `wharf gateway run` running?" in capsys.readouterr().err
    stranger.communicate(b"\n")
    assert stranger.returncode == os.EX_OK


def test_a_run_before_init_makes_nothing_and_says_what_to_do(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(CONFIG)
    with pytest.raises(Exception, match="run `wharf gateway init`"):
        gateway("run", "--config", str(config))
    assert not (tmp_path / "data").exists()
