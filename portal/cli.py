"""Commands of the portal: `wharf portal live` and `wharf portal report`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portal.errors import MissingExtraError, PortalError

if TYPE_CHECKING:
    from portal.alerts.delivery import MailServer
    from portal.compose import PortalConfig
    from portal.tls import TlsFiles

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 64
LIVE_EXAMPLE = "example: wharf portal live --events demo/events.jsonl --port 8080"
RUN_EXAMPLE = "example: wharf portal run --node ~/chain --home ~/portal --port 8080"
REBUILD_EXAMPLE = "example: wharf portal rebuild --node ~/chain --home ~/portal"
INVITE_EXAMPLE = (
    "example: wharf portal invite 'Li Na' --role warehouse --node ~/chain --home ~/portal"
)
VERIFIER_EXAMPLE = "example: wharf portal verifier --trust 311a602a... -o verify.html"
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

    _add_run(verbs)
    _add_rebuild(verbs)
    _add_invite(verbs)

    _add_verifier(verbs)

    report = verbs.add_parser("report", help="write one HTML file", epilog=REPORT_EXAMPLE)
    report.add_argument("--events", type=Path, required=True, help="file of JSON lines")
    report.add_argument("-o", "--output", type=Path, required=True, help="HTML file to write")
    report.set_defaults(run=run_report)


def _add_home(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", type=Path, required=True, metavar="DIR", help="its own folder")
    parser.add_argument(
        "--node", type=Path, required=True, metavar="DIR", help="the chain machine's folder"
    )
    parser.add_argument(
        "--database",
        metavar="URL",
        help="postgresql://... for everything (default: SQLite files in its folder)",
    )


def _add_verifier(verbs: Any) -> None:
    verifier = verbs.add_parser(
        "verifier",
        help="write the page that checks proofs in a browser, with no server",
        epilog=VERIFIER_EXAMPLE,
    )
    verifier.add_argument("-o", "--output", type=Path, required=True, help="HTML file to write")
    verifier.add_argument(
        "--trust",
        default="",
        metavar="DIGEST",
        help="digest of the chain's genesis document to fill in: 64 hexadecimal digits",
    )
    verifier.set_defaults(run=run_verifier)


def _add_run(verbs: Any) -> None:
    run = verbs.add_parser("run", help="serve the pages until Ctrl-C", epilog=RUN_EXAMPLE)
    _add_home(run)
    run.add_argument("--port", type=int, default=8080, help="default: %(default)s; 0: any")
    run.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    run.add_argument("--address", metavar="URL", help="how people reach it; stands in trace codes")
    run.add_argument("--tls", action="store_true", help="HTTPS by an authority of our own")
    run.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="with --tls: a name or address that phones use; the first one is printed",
    )
    run.add_argument("--certificate", type=Path, metavar="FILE", help="HTTPS by this certificate")
    run.add_argument("--key", type=Path, metavar="FILE", help="its key")
    run.add_argument("--smtp", metavar="HOST:PORT", help="where mail is handed in (default: none)")
    run.add_argument("--mail-from", default="wharfinger@localhost", metavar="ADDRESS")
    run.set_defaults(run=run_portal)


def _add_rebuild(verbs: Any) -> None:
    rebuild = verbs.add_parser(
        "rebuild", help="make the read model anew from the ledger", epilog=REBUILD_EXAMPLE
    )
    _add_home(rebuild)
    rebuild.add_argument(
        "--check", action="store_true", help="compare only: is what is kept what would be made?"
    )
    rebuild.set_defaults(run=run_rebuild)


def _add_invite(verbs: Any) -> None:
    invite = verbs.add_parser(
        "invite", help="print a one-time code for a new person", epilog=INVITE_EXAMPLE
    )
    _add_home(invite)
    invite.add_argument("name", metavar="NAME", help="the person")
    invite.add_argument(
        "--organisation", metavar="NAME", help="on the chain (default: the chain machine's own)"
    )
    invite.add_argument(
        "--role",
        action="append",
        choices=("admin", "manager", "warehouse", "driver", "auditor"),
        help="what the person does; may be given more than once (default: admin)",
    )
    invite.set_defaults(run=run_invite)


def _config_of(args: argparse.Namespace, **more: Any) -> PortalConfig:
    from portal.compose import PortalConfig

    return PortalConfig(home=args.home, node=args.node, database=args.database, **more)


def _tls_files(args: argparse.Namespace) -> TlsFiles | None:
    from portal.errors import HomeError
    from portal.tls import TlsFiles, own_certificate

    if args.certificate or args.key:
        if args.tls or not (args.certificate and args.key):
            raise HomeError("give --certificate and --key together, and not with --tls")
        return TlsFiles(certificate=args.certificate, key=args.key)
    if not args.tls:
        return None
    names = [*args.name, "localhost", "127.0.0.1"]
    return own_certificate(args.home / "tls", names, datetime.now(UTC))


def _mail_server(args: argparse.Namespace) -> MailServer | None:
    from portal.alerts.delivery import MailServer
    from portal.errors import HomeError

    if not args.smtp:
        return None
    host, _, port = args.smtp.rpartition(":")
    if not host or not port.isdecimal():
        raise HomeError(f"--smtp {args.smtp}: not HOST:PORT")
    return MailServer(host=host, port=int(port), sender=args.mail_from)


def _guarded(call: Callable[[], int]) -> int:
    from consortium.errors import ConsortiumError

    try:
        return call()
    except (PortalError, ConsortiumError, OSError) as error:
        return _fail(error)


def run_portal(args: argparse.Namespace) -> int:
    """Serve the portal until stopped."""

    def run() -> int:
        from portal.compose import serve
        from portal.live import address_of, listen

        listener = listen(args.host, args.port)
        # Passkeys want a name: an address in numbers cannot have any.
        address = address_of(listener).replace("127.0.0.1", "localhost").rstrip("/")
        tls = _tls_files(args)
        if tls is not None:
            address = f"https://{(args.name or ['localhost'])[0]}:{listener.getsockname()[1]}"
        address = args.address.rstrip("/") if args.address else address
        config = _config_of(args, address=address, mail=_mail_server(args), tls=tls)
        print(f"pages at {address}/", flush=True)
        if tls is not None and tls.authority is not None:
            from portal.tls import fingerprint

            print(f"phones: {address}/install  {fingerprint(tls.authority)}", flush=True)
        with contextlib.suppress(KeyboardInterrupt):
            serve(config, listener)
        return EXIT_OK

    return _guarded(run)


def run_rebuild(args: argparse.Namespace) -> int:
    """Rebuild the read model."""

    def run() -> int:
        from portal.compose import check, rebuild

        if args.check:
            number, differing = asyncio.run(check(_config_of(args)))
            print(
                f"{number} items: " + (f"{', '.join(differing)} differ" if differing else "equal")
            )
            return EXIT_FAILED if differing else EXIT_OK
        print(f"rebuilt from {asyncio.run(rebuild(_config_of(args)))} items")
        return EXIT_OK

    return _guarded(run)


def run_invite(args: argparse.Namespace) -> int:
    """Print a one-time code."""

    def run() -> int:
        from portal.access import Role
        from portal.compose import invite

        roles = [Role(item) for item in args.role or ["admin"]]
        made = invite(_config_of(args), organisation=args.organisation, name=args.name, roles=roles)
        print(asyncio.run(made))
        return EXIT_OK

    return _guarded(run)


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


def run_verifier(args: argparse.Namespace) -> int:
    """Write the verifier's page; print the digest by which it is known."""
    import hashlib
    import re

    from portal.verifier import verifier_page

    if not re.fullmatch(r"[0-9a-fA-F]{64}|", args.trust):
        print("wharf portal verifier: --trust: not 64 hexadecimal digits", file=sys.stderr)
        return EXIT_USAGE
    page = verifier_page(args.trust.lower()).encode()
    try:
        args.output.write_bytes(page)
    except OSError as error:
        return _fail(error)
    print(f"wrote {args.output}, SHA-256 {hashlib.sha256(page).hexdigest()}")
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
