"""A real browser looks at the page: what it drew must have a size, not only be in the text."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.report import write_report
from tests.fakes import live_events
from tests.fakes.chromium import browse, elements, path_extent


@contextlib.contextmanager
def live_page(events: Path) -> Iterator[str]:
    """Run `wharf portal live` on the events; yield its address."""
    wharf = Path(sys.executable).with_name("wharf")
    command = [str(wharf), "portal", "live", "--events", str(events)]
    with subprocess.Popen(
        [*command, "--print-url"], stdout=subprocess.PIPE, text=True, env={**os.environ}
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=20)


def check_drawing(dom: str) -> None:
    """Chart, track, bands and blocks have a size; readings of each state have their own look."""
    curve = [
        path_extent(path) for look in ("s1", "s2", "s3") for path in elements(dom, look, "path")
    ]
    assert sum(width > 40 and height > 4 for width, height in curve) >= 3
    track = re.search(r'<g class="track" data-gateway="truck">(.*?)</g>', dom)
    assert track is not None
    extents = [path_extent(path) for path in elements(track[1], "s3", "path")]
    assert any(width > 20 and height > 20 for width, height in extents)
    for kind, name in (("outage", "uplink-1"), ("kill", "kill-1"), ("gap", "gap-1")):
        assert f'data-band="{name}"' in dom
        shades = elements(dom, kind, "rect")
        assert any(float(rect.attrib["height"]) > 25 for rect in shades), kind
        assert all(float(rect.attrib["width"]) > 2 for rect in shades), kind
    assert len(elements(dom, "block", "rect")) == 70
    assert len(elements(dom, "hole", "rect")) == 4  # two legends' worth: three holes, one sample


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """Return a file with a whole trip."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(live_events.as_bytes())
    return path


def test_the_report_draws_chart_track_and_bands_with_no_server(events: Path) -> None:
    report = events.with_name("report.html")
    assert write_report(events, report) == 0
    dom = browse(report.as_uri(), events.parent / "profile", "--dump-dom")
    check_drawing(dom)
    assert "Acknowledged but missing" in dom


def test_the_live_page_draws_the_same_from_a_stream(events: Path) -> None:
    with live_page(events) as address:
        dom = browse(address, events.parent / "profile", "--dump-dom")
    check_drawing(dom)


def test_the_page_speaks_chinese_when_asked(events: Path) -> None:
    report = events.with_name("report.html")
    write_report(events, report)
    dom = browse(report.as_uri() + "?lang=zh", events.parent / "profile", "--dump-dom")
    assert "已证明" in dom
    assert "上行中断" in dom


def test_a_screenshot_is_a_picture_with_many_shades(events: Path) -> None:
    report, picture = events.with_name("report.html"), events.with_name("page.png")
    write_report(events, report)
    browse(report.as_uri(), events.parent / "profile", f"--screenshot={picture}")
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) > 40_000  # an empty page of this size is under 10 kB


def test_a_stream_tells_a_late_line_to_a_page_that_is_open(tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_bytes(live_events.as_bytes(20))
    with (
        live_page(events) as address,
        urllib.request.urlopen(address + "events", timeout=20) as stream,
    ):
        assert b'"title"' in stream.readline()
        stream.readline()
        with events.open("ab") as out:
            out.write(b'{"type":"progress","text":"late news"}\n')
        heard = b""
        while b"late news" not in heard:
            heard = stream.readline()
            assert heard, "the stream ended before the news"


def test_the_page_is_guarded_by_its_headers(events: Path) -> None:
    with live_page(events) as address, urllib.request.urlopen(address, timeout=20) as answer:
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_foreign_name_for_this_machine_gets_nothing(events: Path) -> None:
    with live_page(events) as address:
        request = urllib.request.Request(address, headers={"Host": "elsewhere.example"})
        with pytest.raises(urllib.error.HTTPError, match="400"):
            urllib.request.urlopen(request, timeout=20)


def test_without_limits_the_page_does_not_claim_that_all_is_inside_them(events: Path) -> None:
    report = events.with_name("report.html")
    lines = events.read_bytes().splitlines(keepends=True)
    events.write_bytes(b"".join(line for line in lines if b'"limits"' not in line))
    write_report(events, report)
    dom = browse(report.as_uri(), events.parent / "profile", "--dump-dom")
    assert re.search(r"3\.\d to 11\.\d °C over 3 h 00 min", dom)
    assert "inside" not in re.sub(r"<(script|style).*?</\1>", "", dom, flags=re.DOTALL)
