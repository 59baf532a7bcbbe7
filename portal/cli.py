"""Commands of the portal: `wharf portal live` and `wharf portal report`."""

from __future__ import annotations

import argparse
import contextlib
import sys
from pathlib import Path

from portal.errors import MissingExtraError, PortalError

EXIT_OK = 0
EXIT_FAILED = 1
LIVE_EXAMPLE = "example: wharf portal live --events demo/events.jsonl --port 8080"
REPORT_EXAMPLE = "example: wharf portal report --events demo/events.jsonl -o report.html"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `portal` and its commands to the `wharf` program."""
    portal = commands.add_parser("portal", help="live page and report")
    verbs = portal.add_subparsers(dest="verb", required=True, metavar="COMMAND")

    live = verbs.add_parser("live", help="show events as they come", epilog=LIVE_EXAMPLE)
    live.add_argument("--events", type=Path, required=True, help="file of JSON lines to follow")
    live.add_argument("--port", type=int, default=0, help="port; 0, the default, takes a free one")
    live.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    live.add_argument("--print-url", action="store_true", help="print the page's address")
    live.set_defaults(run=run_live)

    report = verbs.add_parser("report", help="write one HTML file", epilog=REPORT_EXAMPLE)
    report.add_argument("--events", type=Path, required=True, help="file of JSON lines")
    report.add_argument("-o", "--output", type=Path, required=True, help="HTML file to write")
    report.set_defaults(run=run_report)


def run_live(args: argparse.Namespace) -> int:
    """Serve the live page until stopped."""
    try:
        from portal.live import address_of, listen, serve
    except ModuleNotFoundError as error:
        return _fail(MissingExtraError(error.name or "a module"))
    try:
        listener = listen(args.host, args.port)
    except PortalError as error:
        return _fail(error)
    if args.print_url:
        print(address_of(listener), flush=True)
    with contextlib.suppress(KeyboardInterrupt):
        serve(args.events, listener)
    return EXIT_OK


def run_report(args: argparse.Namespace) -> int:
    """Write the report of an events file."""
    from portal.report import write_report

    try:
        rejected = write_report(args.events, args.output)
    except (PortalError, OSError) as error:
        return _fail(error)
    note = f" ({rejected} lines could not be drawn)" if rejected else ""
    print(f"wrote {args.output}{note}")
    return EXIT_OK


def _fail(error: Exception) -> int:
    print(f"wharf portal: {error}", file=sys.stderr)
    return EXIT_FAILED
