"""`make bench`: measures the parts one after the other and prints the table.

    make bench                                all of it, about ten minutes on two idle cores
    make bench ARGS=--json                    the same as JSON, samples included
    make bench ARGS="--only ingest stored"    some parts
    make bench ARGS=--write                   all of it, and the table into docs/performance.md

Exit code 0: every goal held; 1: one is not; 2: something could not be measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from tools.bench.alone import measure_alone
from tools.bench.figure import Figure, table
from tools.bench.parts import PARTS, Part
from tools.bench.session import BenchError, Session

PAGE = Path(__file__).resolve().parents[2] / "docs" / "performance.md"
TABLE = re.compile(r"(?<=<!-- bench -->\n).*?(?=<!-- /bench -->)", re.DOTALL)
REPEATS = 5


def measured(part: Part, session: Session) -> list[Figure]:
    """The part's figures; where it could not be measured, one figure that says why."""
    session.say(f"{part.name}: {part.purpose}")
    try:
        return measure_alone(part, session) if part.alone else part.measure(session)
    except BenchError as error:
        session.say(f"{part.name}: not measured: {error}")
        return [Figure(name=part.name, unit="", ours=(), peer="", theirs=(), note=str(error))]


def machine() -> str:
    """Where and when, for the head of the table."""
    return (
        f"{platform.machine()}, {os.cpu_count()} cores, Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}, {time.strftime('%Y-%m-%d', time.gmtime())}"
    )


def report(figures: Sequence[Figure], repeats: int, seconds: float) -> dict[str, Any]:
    """The result for `--json`."""
    verdicts = [figure.verdict for figure in figures]
    return {
        "machine": machine(),
        "repeats": repeats,
        "seconds": round(seconds, 1),
        "figures": [figure.to_value() for figure in figures],
        "counts": {word: verdicts.count(word) for word in sorted(set(verdicts))},
    }


def exit_code(figures: Sequence[Figure]) -> int:
    """0: every goal held; 1: one is not; 2: something could not be measured."""
    verdicts = {figure.verdict for figure in figures}
    return 2 if "not measured" in verdicts else int("not held" in verdicts)


def write_page(text: str) -> None:
    """Puts the table between the marks of docs/performance.md."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(TABLE.sub(lambda _: f"{text}\n", page), encoding="utf-8")


def arguments() -> argparse.Namespace:
    """What was asked for."""
    doc = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=...",
        description=doc[0],
        epilog="parts:\n" + "\n".join(f"  {part.name:<12} {part.purpose}" for part in PARTS)
        + f"\n\n{doc[2]}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip  # the epilog is one text
    names = [part.name for part in PARTS]
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="PART")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="samples of each side")
    parser.add_argument("--json", action="store_true", help="print JSON with all samples")
    parser.add_argument("--write", action="store_true", help="put the table into the page")
    parser.add_argument("--folder", type=Path, help="scratch space: names the disk to measure")
    default = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "wharfinger/bench"
    parser.add_argument("--cache", type=Path, default=default, help="where peers are kept")
    return parser.parse_args()


def stop(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends the children as Ctrl-C does."""
    raise KeyboardInterrupt


def main() -> int:
    """Measure, and print the table."""
    wish, begun = arguments(), time.monotonic()
    signal.signal(signal.SIGTERM, stop)
    figures: list[Figure] = []
    try:
        with Session(repeats=wish.repeats, cache=wish.cache, folder=wish.folder) as session:
            for part in PARTS:
                if part.name in wish.only:
                    figures += measured(part, session)
    except KeyboardInterrupt:
        print("bench: stopped; its children are ended", file=sys.stderr)
        return 130
    seconds = time.monotonic() - begun
    text = f"{machine()}, {wish.repeats} repeats, {seconds / 60:.1f} minutes\n\n{table(figures)}\n"
    if wish.write:
        write_page(text)
    print(
        json.dumps(report(figures, wish.repeats, seconds), indent=1, ensure_ascii=False)
        if wish.json
        else text
    )
    return exit_code(figures)


if __name__ == "__main__":
    raise SystemExit(main())
