"""`python -m ledger` as a person types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.__main__ import main
from tests.unit.ledger.feed_builder import FeedBuilder, good_scene, grown
from tests.unit.ledger.held_feed import hold_own, open_store

SCENE = good_scene()


@pytest.fixture(name="bundle")
def _bundle(tmp_path: Path) -> Path:
    path = tmp_path / "trip.wharf"
    path.write_bytes(SCENE.bundle().encode())
    return path


def test_the_exit_code_is_the_answer(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trust = ["--trust", SCENE.trust.hex()]
    assert 0 == main(["verify", str(bundle), *trust])
    assert "PROVEN\n" in capsys.readouterr().out
    assert 2 == main(["verify", str(bundle)])
    assert "issuer-unknown" in capsys.readouterr().out
    assert 1 == main(["verify", str(bundle), "--trust", "00" * 32])
    data = bytearray(bundle.read_bytes())
    data[700] ^= 1
    bundle.write_bytes(bytes(data))
    assert 1 == main(["verify", str(bundle), *trust])
    assert "REFUTED" in capsys.readouterr().out


def test_json_says_the_same(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == main(["verify", str(bundle), "--trust", SCENE.trust.hex(), "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert ("proven", 40) == (answer["outcome"], answer["entries"])
    assert "complete" in {finding["code"] for finding in answer["findings"]}


@pytest.mark.parametrize(
    "words", [[], ["verify"], ["verify", "no-such-file"], ["verify", "f", "--trust", "abc"],
              ["verify", "f", "--trust", "00"], ["other"], ["fsck", "no-such-folder"]]
)  # fmt: skip
def test_wrong_usage_is_64(words: list[str]) -> None:
    try:
        code: object = main(words)
    except SystemExit as left:
        code = left.code
    assert code == 64


def test_fsck_counts_and_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    feed = grown(FeedBuilder())
    with open_store(tmp_path / "store") as store:
        store.write(lambda txn: hold_own(txn, feed))
        assert 2 == main(["fsck", str(tmp_path)]), "in use"
    assert 0 == main(["fsck", str(tmp_path)])
    assert "feeds=1 blocks=7" in capsys.readouterr().out
    with open_store(tmp_path / "store") as store:
        store.write(lambda txn: txn.delete("nodes", next(txn.scan("nodes", b""))[0]))
    assert 1 == main(["fsck", str(tmp_path), "--json"])
    assert 1 == len(json.loads(capsys.readouterr().out)["differences"])


def test_the_verifier_loads_no_other_room_and_no_network() -> None:
    code = (
        "import sys, ledger.__main__\n"
        "rooms = {'logistics', 'gateway', 'consortium', 'portal', 'firmware_bridge'}\n"
        "bad = rooms | {'asyncio', 'grpc', 'paho', 'serial', 'ssl'}\n"
        "print(sorted(bad & {name.partition('.')[0] for name in sys.modules}))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "[]" == ran.stdout.strip()
