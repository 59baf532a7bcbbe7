"""`wharf gateway ...`."""

import argparse
import asyncio
import hashlib
import json
import os
import signal
import sys
import urllib.request
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Final

from gateway import key_cli
from gateway.clock import system_wall
from gateway.compose import Opened, open_doors, open_gateway
from gateway.config import GatewayConfig, read_config
from gateway.doctor import box_findings, examine, words
from gateway.errors import ConfigError
from gateway.init import Wish, broker_answers, found_devices, initialise
from gateway.page import View, page
from gateway.site_folder import SiteFolder, read_effective, read_to_start
from gateway.status import StatusServer
from gateway.supervision import notify, watchdog_interval_s
from ledger.store import is_in_use

PID_NAME: Final = "gateway.pid"
_EXAMPLES = """examples:
  wharf gateway init --name cold-room --party "Cold Store Ltd"
  wharf gateway run --config gateway.toml
  wharf gateway seal --config gateway.toml
  wharf gateway status --config gateway.toml --json
"""

_OVERRIDE_EXAMPLES = """examples:
  wharf gateway override probes.toml --reason "probe 3 is broken, a spare is in its place"
  wharf gateway override --end
"""


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `wharf gateway`."""
    parser = commands.add_parser(
        "gateway",
        help="run the gateway on this box",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    _add_init(actions.add_parser("init", help="find devices, make the key, write gateway.toml"))
    run = actions.add_parser("run", help="take readings in until stopped")
    run.add_argument("--config", type=Path, default=Path("gateway.toml"))
    run.set_defaults(run=_run)
    seal = actions.add_parser("seal", help="have the running gateway cut a block now")
    seal.add_argument("--config", type=Path, default=Path("gateway.toml"))
    seal.set_defaults(run=_seal)
    key_cli.register(actions)
    _add_override(actions.add_parser("override", help="put a configuration in force on the spot"))
    status = actions.add_parser("status", help="ask the running gateway how it is")
    status.add_argument("--config", type=Path, default=Path("gateway.toml"))
    status.add_argument("--json", action="store_true", help="the whole report as JSON")
    status.set_defaults(run=_status)


def register_doctor(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds `wharf doctor`."""
    parser = commands.add_parser(
        "doctor",
        help="is this box well? each finding with its mend",
        epilog="examples:\n  wharf doctor --config /etc/wharf/gateway.toml\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", type=Path, default=Path("gateway.toml"))
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    parser.set_defaults(run=_doctor)


def _add_init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, default=Path("gateway.toml"))
    parser.add_argument("--name", required=True, help="what people call this box")
    parser.add_argument("--party", required=True, help="the organisation that answers for it")
    parser.add_argument("--data-dir", type=Path, default=Path("gateway-data"))
    parser.add_argument("--key", help="pkcs11: URI of the key; without it a development key file")
    parser.add_argument("--development", action="store_true", help="allow a single reader")
    parser.add_argument("--node", metavar="HOST:PORT", help="the chain machine")
    parser.add_argument("--certificate", type=Path, help="the chain machine's certificate, PEM")
    parser.add_argument(
        "--genesis", metavar="FILE|HEX", help="the chain's genesis document, or its SHA-256"
    )
    parser.add_argument("--reader", action="append", default=[], metavar="HEX")
    parser.set_defaults(run=_init)


def _add_override(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _OVERRIDE_EXAMPLES
    parser.add_argument("file", type=Path, nargs="?", help="tables that stand above all others")
    parser.add_argument("--reason", help="why; it is recorded in the ledger and readable by all")
    parser.add_argument("--end", action="store_true", help="end the override")
    parser.add_argument("--config", type=Path, default=Path("gateway.toml"))
    parser.set_defaults(run=_override)


def _override(arguments: argparse.Namespace) -> int:
    config = read_config(arguments.config)
    given = bool(arguments.file) and bool((arguments.reason or "").strip())
    if arguments.end == given or (arguments.end and (arguments.file or arguments.reason)):
        sys.stderr.write("give a FILE and a --reason, which the ledger records; or --end alone\n")
        return 64
    folder = SiteFolder(config.data_dir)
    if arguments.end:
        folder.end_override()
    else:
        folder.begin_override(config, arguments.file, arguments.reason)
    word = "ended" if arguments.end else "in force"
    told = "the running gateway begins anew" if _signal(config, signal.SIGHUP) else "at next start"
    sys.stdout.write(f"override {word}: {told}\n")
    return 0


def _genesis_digest(named: str | None) -> str | None:
    """The digest in hexadecimal, of a document if a file was named."""
    if named is None or not Path(named).exists():
        return named
    return hashlib.sha256(Path(named).read_bytes()).hexdigest()


def _init(arguments: argparse.Namespace) -> int:
    wish = Wish(
        config_path=arguments.config,
        name=arguments.name,
        party=arguments.party,
        data_dir=arguments.data_dir.absolute(),
        key_uri=arguments.key,
        development=arguments.development,
        address=arguments.node,
        certificate=arguments.certificate.absolute() if arguments.certificate else None,
        genesis_sha256=_genesis_digest(arguments.genesis),
        readers=tuple(arguments.reader),
    )
    if wish.config_path.exists():
        sys.stderr.write(f"{wish.config_path} is there already and stays as it is\n")
    code = asyncio.run(initialise(wish))
    for name, driver, source, _ in found_devices():
        sys.stderr.write(f"found: {name} ({driver}) at {source}\n")
    broker = "answers" if broker_answers() else "none answers"
    sys.stderr.write(f"broker on port 1883: {broker}\n")
    sys.stderr.write(
        f"configuration: {arguments.config}\nenrolment code (wharf chain enrol CODE):\n"
    )
    sys.stdout.write(code + "\n")
    return 0


def _run(arguments: argparse.Namespace) -> int:
    while _run_once(arguments.config):
        pass
    return 0


def _run_once(path: Path) -> bool:
    """Runs on what the configuration is now; True where it has to be read anew."""
    config = read_to_start(path)
    try:
        return asyncio.run(run_gateway(config))
    except ConfigError as error:
        # What passed the dry run may still not start; the site must not go dark for that.
        if not SiteFolder(config.data_dir).give_up_trial(str(error)):
            raise
        return True


async def run_gateway(config: GatewayConfig) -> bool:
    """Runs a gateway until SIGTERM or SIGINT, or until its configuration changes: True then."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    doors = open_doors(config.peers)
    opened = open_gateway(config, doors)
    try:
        if not config.neighbours:
            return await _serve(config, opened, stop)
        from gateway.neighbours import Neighbourhood  # gRPC, where it is needed

        async with Neighbourhood(config, opened.parts):
            return await _serve(config, opened, stop)
    finally:
        opened.close()
        for door in doors:
            await door.aclose()


async def _serve(config: GatewayConfig, opened: Opened, stop: asyncio.Event) -> bool:
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGUSR1, opened.gateway.seal_now)
    loop.add_signal_handler(signal.SIGHUP, opened.gateway.begin_anew)
    server = _status_server(config, opened)
    port_file = config.data_dir / "status.port"
    port_file.write_text(f"{server.port}\n", encoding="ascii")
    pid_file = config.data_dir / PID_NAME
    pid_file.write_text(f"{os.getpid()}\n", encoding="ascii")
    server.start()
    alive = asyncio.create_task(_stay_alive(opened))
    try:
        return await opened.gateway.run(stop)
    finally:
        notify("STOPPING=1")
        alive.cancel()
        server.close()
        # On a disk that fails the reason of the end must not be lost behind these.
        for path in (port_file, pid_file):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _status_server(config: GatewayConfig, opened: Opened) -> StatusServer:
    """The status server; raises ConfigError where its address cannot be had."""
    host, port = config.status.host, config.status.port
    try:
        return StatusServer(host, port, opened.gateway.report, partial(_page, config, opened))
    except OSError as error:
        mend = f"{host}:{port}: {error.strerror}; choose another port in [status], 0 for any"
        raise ConfigError(config.path, None, "status", mend) from error


def _page(config: GatewayConfig, opened: Opened, language: str) -> bytes:
    """The box's own page; called from the status server's thread."""
    report = opened.gateway.report()
    view = View(report=report, findings=box_findings(config, report), wall_us=system_wall().wall_us)
    return page(view, language)


async def _stay_alive(opened: Opened) -> None:
    """Tells the supervisor that the intake still moves; a hung one is ended and started anew."""
    notify("READY=1")
    interval_s = watchdog_interval_s()
    while interval_s is not None:
        await opened.gateway.breathe()
        notify("WATCHDOG=1")
        await asyncio.sleep(interval_s)


def _seal(arguments: argparse.Namespace) -> int:
    if not _signal(read_config(arguments.config), signal.SIGUSR1):
        sys.stderr.write("no gateway to ask; is `wharf gateway run` running?\n")
        return 2
    return 0


def _signal(config: GatewayConfig, number: signal.Signals) -> bool:
    """Signals the running gateway; False where none runs."""
    try:
        # A killed gateway leaves its file behind, and its number may be another program's by now.
        if not is_in_use(config.data_dir / "store"):
            return False
        os.kill(int((config.data_dir / PID_NAME).read_text(encoding="ascii")), number)
    except (OSError, ValueError):
        return False
    return True


def _doctor(arguments: argparse.Namespace) -> int:
    config = read_effective(arguments.config)
    try:
        report: dict[str, Any] | None = _ask_report(config)
    except (OSError, ValueError):
        report = None
    findings = asyncio.run(examine(config, report))
    well = all(finding.good for finding in findings)
    if arguments.json:
        rows = [asdict(finding) for finding in findings]
        sys.stdout.write(json.dumps({"well": well, "findings": rows}) + "\n")
    else:
        sys.stdout.write(words(findings, _coloured) + "\n")
    return 0 if well else 1


def _coloured(good: bool, text: str) -> str:  # noqa: FBT001  # what it says is the colour
    if not sys.stdout.isatty():
        return text
    return f"\x1b[{32 if good else 31}m{text}\x1b[0m"


def _ask_report(config: GatewayConfig) -> dict[str, Any]:
    """The running gateway's report; raises OSError or ValueError where it does not answer."""
    port = int((config.data_dir / "status.port").read_text(encoding="ascii"))
    url = f"http://{config.status.host}:{port}/status.json"
    with urllib.request.urlopen(url, timeout=5) as answer:
        report: dict[str, Any] = json.load(answer)
        return report


def _status(arguments: argparse.Namespace) -> int:
    config = read_config(arguments.config)
    try:
        report = _ask_report(config)
    except (OSError, ValueError) as error:
        sys.stderr.write(
            f"the gateway does not answer ({error}); is `wharf gateway run` running?\n"
        )
        return 2
    sys.stdout.write((json.dumps(report, indent=1) if arguments.json else _words(report)) + "\n")
    return 1 if report["faults"] else 0


def _words(report: dict[str, Any]) -> str:
    lines = [f"gateway {report['gateway']}  feed {report['feed'][:8]}"]
    for name in ("journaled", "acknowledged", "sealed", "signed", "mirrored", "anchored", "opened"):
        key = name if name in report else f"{name}_height"
        lines.append(f"  {name:<14}{report[key]:>12}")
    lines += [
        f"  {row['device']}/{row['channel']:<24}{row['readings']:>8} readings"
        for row in report["channels"]
    ]
    lines += [f"  FAULT {fault}" for fault in report["faults"]]
    return "\n".join(lines)
