"""A headless Chromium and what it drew: sizes, not only text."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

CHROMIUM_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,1400",
    "--virtual-time-budget=4000",
    "--enable-logging=stderr",
)
SIZE = re.compile(r"-?\d+(?:\.\d+)?")


def browse(address: str, profile: Path, *arguments: str) -> str:
    """Return what Chromium prints for one look at an address; its complaints are failures."""
    chromium = shutil.which("chromium")
    assert chromium is not None, "chromium is missing: apt-get install chromium"
    command = [chromium, *CHROMIUM_FLAGS, f"--user-data-dir={profile}", *arguments, address]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    complaints = [text for text in result.stderr.splitlines() if "CONSOLE" in text]
    assert complaints == []
    return result.stdout


def elements(dom: str, class_name: str, tag: str) -> list[ET.Element]:
    """Return the drawn elements of one kind, each with the attributes that the browser holds."""
    pattern = rf'<{tag}\b[^>]*\bclass="(?:[^"]* )?{re.escape(class_name)}(?: [^"]*)?"[^>]*>'
    return [ET.fromstring(re.sub(r"/?>$", "/>", text)) for text in re.findall(pattern, dom)]


def path_extent(element: ET.Element) -> tuple[float, float]:
    """Return width and height of a path of M and L commands."""
    numbers = [float(text) for text in SIZE.findall(element.attrib["d"])]
    across, down = numbers[0::2], numbers[1::2]
    return max(across) - min(across), max(down) - min(down)
