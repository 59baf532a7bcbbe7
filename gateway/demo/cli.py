"""`wharf demo`."""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from pathlib import Path

from gateway.demo.account import Row, table
from gateway.demo.lies import tell_lies
from gateway.demo.play import TITLE, Outcome, Play
from gateway.demo.ports import free_port
from gateway.demo.recordings import replay
from gateway.demo.stage import Stage, wait_for_port, wharf
from gateway.demo.watch import EventFile
from ledger.verify import verify_bundle
from logistics.verdict_words import verdict_lines

_EXAMPLES = """examples:
  wharf demo                    two gateways, a chain machine, an outage and a kill, in about 90 s
  wharf demo --lie              afterwards: a reading edited, an hour dropped, a head forged
  wharf demo --folder ./demo    keep everything there
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `wharf demo`."""
    parser = commands.add_parser(
        "demo",
        help="the whole way, from device bytes to a proof, on this machine",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--folder", type=Path, help="where everything is kept (default: temporary)")
    parser.add_argument(
        "--lie", action="store_true", help="then try to cheat, and show the refusals"
    )
    parser.add_argument("--captures", type=Path, metavar="DIR", help="replay recorded device logs")
    parser.add_argument("--report", type=Path, default=Path("report.html"))
    parser.set_defaults(run=_demo)


def _demo(arguments: argparse.Namespace) -> int:
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="wharf-demo-"))
    folder = folder.absolute()
    if folder.exists() and any(folder.iterdir()):
        sys.stderr.write(f"wharf demo: {folder} is not empty; name a new folder\n")
        return 64
    folder.mkdir(parents=True, exist_ok=True, mode=0o755)
    folder.chmod(0o755)  # the broker runs as a user of its own
    return asyncio.run(_until_done(arguments, folder))


async def _until_done(arguments: argparse.Namespace, folder: Path) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    over = asyncio.Event()
    work = asyncio.create_task(_show(arguments, folder, stop=stop, over=over))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not work.done() and not over.is_set():
        work.cancel()
    try:
        return await work
    except asyncio.CancelledError:
        sys.stderr.write("stopped; nothing is left running\n")
        return 130


async def _show(
    arguments: argparse.Namespace, folder: Path, *, stop: asyncio.Event, over: asyncio.Event
) -> int:
    begun = time.monotonic()

    def say(text: str) -> None:
        if sys.stdout.isatty():
            sys.stdout.write("\x1b[K")
        sys.stdout.write(f"[{time.monotonic() - begun:5.1f} s] {text}\n")
        sys.stdout.flush()

    events = EventFile(folder / "events.jsonl")
    events.write("title", **TITLE)
    play = Play(folder=folder, say=say, events=events, stage=Stage(folder))
    try:
        if arguments.captures:
            return await replay(play, arguments.captures.absolute())
        code = await _perform(play, arguments)
        over.set()
        if sys.stdout.isatty():
            say("the page stays up until Ctrl-C")
            await stop.wait()
        return code
    finally:
        if play.cable is not None:
            await play.cable.close()
        await play.stage.stop_all()
        events.close()
        if arguments.folder is None and sys.stdout.isatty():
            say(f"everything is in {folder}")


async def _perform(play: Play, arguments: argparse.Namespace) -> int:
    await _open_page(play)
    await play.set_up()
    window = await play.trip()
    await play.settle()
    outcome = await _close_account(play, window)
    code = _tell(play, outcome)
    if arguments.lie and code == 0:
        code = tell_lies(outcome.bundle, bytes.fromhex(outcome.genesis), play.say)
    await _report(play, arguments.report)
    return code


async def _open_page(play: Play) -> None:
    port = free_port()
    command = wharf("portal", "live", "--events", str(play.events.path), "--port", str(port))
    await play.stage.start("page", command)
    await wait_for_port(play.stage, port, "the page")
    play.say(f"page: http://127.0.0.1:{port}/")


async def _close_account(play: Play, window: tuple[int, int]) -> Outcome:
    rows = play.account()
    play.gap_bands()
    bundle = await play.prove(window)
    return Outcome(
        rows=rows,
        bundle=bundle,
        genesis=play.genesis,
        window_ms=window,
        recovery_s=play.recovery_s,
    )


def _tell(play: Play, outcome: Outcome) -> int:
    """Prints account and verdict; 0 where every promise was kept and the bundle is proven."""
    sys.stdout.write("\n" + table(outcome.rows) + "\n\n")
    verdict = verify_bundle(
        outcome.bundle.read_bytes(), trusted_genesis_sha256=bytes.fromhex(outcome.genesis)
    )
    lines = verdict_lines(verdict) + play.stage.notes
    command = f"wharf verify {outcome.bundle} --trust {outcome.genesis}"
    good = all(row.good for row in outcome.rows) and verdict.outcome == 0
    play.events.write("counts", rows=[_page_row(row) for row in outcome.rows])
    play.events.write("verdict", ok=good, lines=lines, command=command)
    play.events.write("end")
    sys.stdout.write("\n".join(lines) + f"\n\nbundle: {outcome.bundle}\ncheck:  {command}\n")
    return 0 if good else 1


def _page_row(row: Row) -> dict[str, object]:
    names = (
        "name", "sent", "acknowledged", "journaled", "in_blocks", "mirrored", "anchored", "opened",
        "missing", "uncovered",
    )  # fmt: skip  # the page's columns
    values = {name: getattr(row, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


async def _report(play: Play, target: Path) -> None:
    command = wharf("portal", "report", "--events", str(play.events.path), "-o", str(target))
    program = await play.stage.start("report", command)
    await program.process.wait()
    play.stage.programs.pop("report", None)
    play.say(f"report: {target}")
