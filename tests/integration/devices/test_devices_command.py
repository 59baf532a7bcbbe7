"""`wharf devices` on real pseudo-terminals: what speaks is found by its check bytes and watched."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware_bridge import finding
from firmware_bridge.simulators.gnss import sentence
from tests.fakes.yard import Program, until

WHARF = str(Path(sys.executable).with_name("wharf"))


@pytest.fixture(scope="module")
def links(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Simulated devices of three dialects; the path of each one's port."""
    folder = tmp_path_factory.mktemp("links")
    tags = [{"epc": "3074257bf7194e4000001a85"}]
    devices = [
        {"id": "gnss", "kind": "nmea", "interval_ms": 300},
        {"id": "bb", "kind": "r200", "interval_ms": 50, "head": "bb", "tags": tags},
        {"id": "aa", "kind": "r200", "interval_ms": 50, "head": "aa"},
    ]
    for item in devices:
        item["link"] = str(folder / str(item["id"]))
    ready = folder / "up"
    spec = {"log_dir": str(folder / "sent"), "ready_file": str(ready), "devices": devices}
    (folder / "fleet.json").write_text(json.dumps(spec))
    command = [sys.executable, "-m", "firmware_bridge.simulators", str(folder / "fleet.json")]
    simulators = Program(command, folder / "fleet.log")
    simulators.start()
    try:
        until(lambda: simulators.check() and ready.exists(), "the simulators")
        yield {str(item["id"]): str(item["link"]) for item in devices}
    finally:
        simulators.end()


def wharf(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [WHARF, "devices", *words], capture_output=True, text=True, timeout=60, check=False
    )


def looked_at(path: str) -> dict[str, str]:
    done = wharf("--json", "--port", path)
    assert 0 == done.returncode, done.stderr
    (row,) = json.loads(done.stdout)["serial"]
    return dict(row)


def test_a_receiver_is_found_by_listening(links: dict[str, str]) -> None:
    row = looked_at(links["gnss"])
    assert "nmea at 9600 baud, check bytes right" == row["says"]
    assert f'source = "serial:{links["gnss"]}?baud=9600"' in row["config"]


@pytest.mark.parametrize("head", ["bb", "aa"])
def test_a_silent_reader_is_found_by_asking_in_its_dialect(
    links: dict[str, str], head: str
) -> None:
    row = looked_at(links[head])
    assert "r200" == row["driver"]
    assert f'[device.options]\nhead = "{head}"' in row["config"]


async def test_wrong_check_bytes_are_not_believed(
    pty_pair: tuple[int, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    master, path = pty_pair
    right = sentence("GPRMC,101500.250,A,5332.76600,N,00957.96600,E,10.00,84.40,231126,,,A")
    wrong = right[:-4] + b"00\r\n"
    monkeypatch.setattr(finding, "BAUDS", (9600,))
    monkeypatch.setattr(finding, "LISTEN_S", 0.5)
    monkeypatch.setattr(finding, "ASK_S", 0.1)

    async def speak(line: bytes) -> None:
        while True:
            os.write(master, line)
            await asyncio.sleep(0.05)

    for line, expected in ((wrong, None), (right, finding.Found("nmea", 9600))):
        speaking = asyncio.create_task(speak(line))
        assert expected == await finding.find_on(path)
        speaking.cancel()


def test_a_port_that_is_away_is_said_to_be(tmp_path: Path) -> None:
    row = looked_at(str(tmp_path / "nothing"))
    assert row["says"].startswith("cannot be looked at")


def test_readings_are_watched_live(links: dict[str, str]) -> None:
    source = f"serial:{links['gnss']}"
    done = wharf("watch", "--driver", "nmea", "--source", source, "--seconds", "3", "--json")
    assert 0 == done.returncode, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [535_461_000] * len(rows) == [row["lat_e7"] for row in rows]
    assert len(rows) >= 3


def test_what_cannot_be_watched_is_said(links: dict[str, str]) -> None:
    source = f"serial:{links['gnss']}"
    wrong = wharf("watch", "--driver", "r200", "--source", source, "--option", "head=cc")
    assert (64, "options.head: 'cc' is none of bb, aa\n") == (wrong.returncode, wrong.stderr)
    gone = wharf("watch", "--driver", "nmea", "--source", "serial:/dev/nothing")
    assert 74 == gone.returncode
