"""Take the README's picture: `python tools/screenshot.py report.html docs/images/demo.png`."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--hide-scrollbars",
    "--window-size=1360,1180",
    "--virtual-time-budget=4000",
)


def main() -> int:
    """Show a report in Chromium and keep the picture; return Chromium's exit code."""
    parser = argparse.ArgumentParser(description="take a picture of a report")
    parser.add_argument("report", type=Path)
    parser.add_argument("picture", type=Path)
    args = parser.parse_args()
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("screenshot: chromium is missing; to add: sudo apt-get install chromium")
    with tempfile.TemporaryDirectory() as profile:
        where = (f"--user-data-dir={profile}", f"--screenshot={args.picture.resolve()}")
        command = [chromium, *FLAGS, *where, args.report.resolve().as_uri()]
        return subprocess.run(command, check=False, timeout=120).returncode


if __name__ == "__main__":
    raise SystemExit(main())
