"""Writes report.html: the live page's last view, in one file that needs no server."""

from __future__ import annotations

from pathlib import Path

from portal import page
from portal.errors import EventsFileError
from portal.fold import Fold
from portal.tail import take_lines


def write_report(events: Path, output: Path) -> int:
    """Write the report of an events file; return the count of lines that could not be drawn.

    Raises EventsFileError when the file cannot be read.
    """
    if not events.is_file():
        raise EventsFileError(events, "no such file")
    fold = Fold()
    take_lines(fold, [line for line in events.read_bytes().split(b"\n") if line.strip()])
    output.write_text(page.report_page(fold.snapshot()), encoding="utf-8")
    return fold.rejected
