"""`wharf demo --lie`, run once as a newcomer runs it: account, refusals, and the page drawn."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.demo.cast import channels
from gateway.demo.stage import wharf
from tests.fakes.chromium import browse, elements, path_extent

DEMO_S_MAX = 240
PAGE_S_MAX = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Show:
    """What the demo said and left behind."""

    code: int
    text: str
    page_s: float
    folder: Path
    report: Path


def watch(process: subprocess.Popen[str]) -> tuple[str, float]:
    """All that it says, and after how many seconds the page's address came."""
    begun_s, page_s, lines = time.monotonic(), float("inf"), []
    assert process.stdout is not None
    for line in process.stdout:
        if "page: http://" in line:
            page_s = time.monotonic() - begun_s
        lines.append(line)
    return "".join(lines), page_s


@pytest.fixture(scope="module")
def show(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Show]:
    """Return one finished demo."""
    folder = tmp_path_factory.mktemp("demo")
    # The broker may run as a user of its own, and has to get into its folder.
    for place in (folder, folder.parent, folder.parent.parent):
        place.chmod(0o755)
    report = folder / "report.html"
    command = wharf("demo", "--lie", "--folder", str(folder / "kept"), "--report", str(report))
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        text, page_s = watch(process)
        code = process.wait(timeout=DEMO_S_MAX)
        yield Show(code=code, text=text, page_s=page_s, folder=folder / "kept", report=report)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)


@pytest.fixture(scope="module")
def dom(show: Show, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return what a browser made of the report."""
    return browse(show.report.as_uri(), tmp_path_factory.mktemp("profile"), "--dump-dom")


@pytest.mark.timeout(DEMO_S_MAX + 60)
def test_the_demo_ends_well(show: Show) -> None:
    assert show.code == 0, show.text
    assert "Traceback" not in show.text


def test_the_pages_address_comes_first_and_soon(show: Show) -> None:
    assert show.page_s < PAGE_S_MAX


def test_the_account_has_zeros_where_zeros_must_be(show: Show) -> None:
    for channel in channels(broker_keeps=True):
        name = f"{channel.device}/{channel.channel}"
        found = re.search(rf"^\s*{re.escape(name)} +(.+)$", show.text, re.MULTILINE)
        assert found is not None, show.text
        sent, acknowledged, *middle, missing, uncovered, twice = found[1].split()
        assert (missing, uncovered, twice) == ("0", "0", "0"), name
        journaled, in_blocks, *_, opened = (int(cell) for cell in middle)
        assert journaled == in_blocks == opened > 0, name
        if channel.acknowledged:
            # At most one message was on its way when the devices were stopped.
            assert int(sent) - 1 <= int(acknowledged) <= int(sent)


def test_its_bundle_is_proven_and_the_command_is_told(show: Show) -> None:
    assert "PROVEN: cargo-probe" in show.text
    found = re.search(r"wharf (verify \S+ --trust [0-9a-f]{64})", show.text)
    assert found is not None
    result = subprocess.run(wharf(*found[1].split()), capture_output=True, check=False)
    assert result.returncode == 0


def test_each_of_three_lies_is_refused_in_words(show: Show) -> None:
    lies = re.findall(r"lie: (.+?): (.+?): (.+)", show.text)
    assert [name for name, _, _ in lies] == ["a reading edited", "an hour dropped", "a head forged"]
    assert {answer for _, answer, _ in lies} == {"refused"}
    assert len({reason for *_, reason in lies}) == 3


def test_the_report_shows_the_temperature_chart(dom: str) -> None:
    curves = [
        path_extent(path) for look in ("s1", "s2", "s3") for path in elements(dom, look, "path")
    ]
    assert sum(width > 40 and height > 4 for width, height in curves) >= 2


def test_the_report_shows_the_trucks_track(dom: str) -> None:
    track = re.search(r'<g class="track" data-gateway="truck">(.*?)</g>', dom)
    assert track is not None
    extents = [
        path_extent(path)
        for look in ("s1", "s2", "s3")
        for path in elements(track[1], look, "path")
    ]
    assert any(width > 20 and height > 20 for width, height in extents)


@pytest.mark.parametrize(("kind", "name"), [("outage", "uplink"), ("kill", "kill")])
def test_the_report_shades_what_happened_in_the_middle(dom: str, kind: str, name: str) -> None:
    assert f'data-band="{name}"' in dom
    shades = elements(dom, kind, "rect")
    assert any(float(r.attrib["width"]) > 2 and float(r.attrib["height"]) > 25 for r in shades)


def test_nothing_that_the_demo_started_still_runs(show: Show) -> None:
    ours = str(show.folder)
    left = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended while we looked
        if ours in command:
            left.append(command)
    assert left == []
