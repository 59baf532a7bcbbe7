"""The how-to's commands, run as they stand in the page, on a probe that is too warm."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

from firmware_bridge.codecs.probe import encode_w1_slave
from gateway.demo.ports import free_port

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "keep-a-gateway-healthy.md"
TIMEOUT_S = 60
NINE_DEGREES = 9 * 16  # in sixteenths


def get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


def test_the_how_tos_commands_find_what_they_say(tmp_path: Path) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    probe, port = tmp_path / "w1_slave", free_port()
    probe.write_text(encode_w1_slave(NINE_DEGREES), encoding="ascii")
    script = "\n".join(["set -e", "trap 'kill $(jobs -p); wait' EXIT", *blocks, "touch done; wait"])
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PROBE": str(probe),
        "STATUS_PORT": str(port),
    }
    process = subprocess.Popen(
        ["bash", "-c", script],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        lines = []
        assert process.stdout
        for line in process.stdout:
            lines.append(line)
            if "no chain machine is named" in line:
                break
        said = "".join(lines)
        assert "want a hand" in said, said
        assert "disk wear" in said
        english, chinese = get(port, "/?lang=en"), get(port, "/?lang=zh")
        status = json.loads(get(port, "/status.json"))
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.communicate(timeout=TIMEOUT_S)
    for part in ("an alarm stands", "cold-1 temperature", "9.0", "above 8.000"):
        assert part in english
    assert "有报警" in chinese
    assert [row["raised"] for row in status["alarms"]] == [True, False]


def test_the_page_names_every_kind_of_finding() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for subject in ("clock", "disk", "disk sync", "disk wear", "key", "backlog", "readings"):
        assert f"| {subject}" in text
