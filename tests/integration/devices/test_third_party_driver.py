"""docs/howto/write-a-driver.md, followed to the letter by somebody else's package."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs/howto/write-a-driver.md"
FILE = re.compile(r"```\w+\n# ([\w.]+)\n(.*?)```", re.DOTALL)
READ = """
import asyncio, json, sys
from firmware_bridge.bridge import run_device
from firmware_bridge.devices import DeviceSpec

async def main(path):
    done = asyncio.Event()
    async def sink(arrival):
        for item in arrival.observations:
            print(json.dumps([item.channel, item.record.value, item.record.unit]))
        print(json.dumps([str(item.reason) for item in arrival.rejected]))
        done.set()
    spec = DeviceSpec(id="oven", driver="thermo", source=f"serial:{path}")
    task = asyncio.create_task(run_device(spec, sink, mono_us=lambda: 0))
    print("listening", flush=True)
    await asyncio.wait_for(done.wait(), 20)
    task.cancel()

asyncio.run(main(sys.argv[1]))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a gateway into which the page's package was installed."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    files = dict(FILE.findall(PAGE.read_text()))
    assert {"wharf_driver_thermo.py", "pyproject.toml"} == set(files)
    for name, text in files.items():
        (source / name).write_text(text)
    quiet = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation")
    command = [sys.executable, "-m", "pip", "install", *quiet, "--target", str(target), str(source)]
    subprocess.run(command, check=True, timeout=120)
    return {**os.environ, "PYTHONPATH": str(target)}


def test_the_driver_is_listed(environment: dict[str, str]) -> None:
    wharf = Path(sys.executable).with_name("wharf")
    command = [str(wharf), "devices", "--json", "--port", "/dev/nothing-is-here"]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert "Thermo probe" == json.loads(done.stdout)["drivers"]["thermo"]["title"]


def test_a_device_is_read_with_it(environment: dict[str, str], pty_pair: tuple[int, str]) -> None:
    master, path = pty_pair
    command = [sys.executable, "-c", READ, path]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert "listening\n" == reader.stdout.readline()
        lines: list[str] = []
        # The port opens at its own time and throws away what came before.
        os.set_blocking(reader.stdout.fileno(), False)
        while reader.poll() is None:
            os.write(master, b"T=23.125;%02X\n" % check(b"T=23.125"))
            try:
                reader.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
        lines = (reader.stdout.read() or "").splitlines()
    assert ["temperature", 23_125, "CEL"] == json.loads(lines[0])


def check(text: bytes) -> int:
    value = 0
    for octet in text:
        value ^= octet
    return value
