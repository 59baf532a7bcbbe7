"""A truck without a network: its backlog comes to the consortium on a stick."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from firmware_bridge.codecs.probe import encode_w1_slave
from tests.fakes.yard import Device, GatewayBox, Yard, until, wharf_result

MORE_BLOCKS = 3


def exported(box: GatewayBox, name: str) -> tuple[dict[str, Any], str]:
    """What `wharf export` says of a file, and the file's path."""
    path = str(box.folder / name)
    done = wharf_result("export", path, "--config", str(box.config), "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), path


def test_a_backlog_arrives_over_a_stick_and_a_partial_file_is_refused_by_name(
    fresh_yard: Yard,
) -> None:
    probe = fresh_yard.folder / "w1_slave"
    probe.write_text(encode_w1_slave(64), encoding="ascii")
    box = fresh_yard.add_gateway("truck", [Device("probe-1", "ds18b20", f"w1:{probe}", 1)])
    box.until(lambda r: r["anchored_height"] >= 0, "the first anchor")
    machine = fresh_yard.machine
    machine.kill()
    lost = box.until(lambda r: not r["connected"], "the loss of the network")
    wanted = lost["sealed_height"] + MORE_BLOCKS
    box.until(lambda r: r["signed_height"] >= wanted, "a backlog")
    refused = wharf_result("export", "x", "--config", str(box.config))
    assert "the gateway runs" in refused.stderr
    assert box.stop() == 0
    machine.start()
    before = machine.anchored_height()

    row, path = exported(box, "stick.carry")
    assert row["blocks"] >= MORE_BLOCKS
    top = row["first_height"] + row["blocks"] - 1
    assert before < top
    data = Path(path).read_bytes()
    Path(f"{path}.half").write_bytes(data[: len(data) // 2])
    partial = wharf_result("import", f"{path}.half", "--home", str(machine.home))
    assert partial.returncode != 0
    assert "stick.carry.half: breaks off after" in partial.stderr

    for _ in range(2):  # the second finds everything there
        done = wharf_result("import", path, "--home", str(machine.home), "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        (told,) = json.loads(done.stdout)
        assert (top + 1, "") == (told["held"], told["why"])
    until(lambda: machine.anchored_height() >= top, "the anchor of what was carried")
    assert len(machine.readings("probe-1")) >= MORE_BLOCKS
