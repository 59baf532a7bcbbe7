"""`wharf devices replace`: a new probe, with its certificate, into the ledger of a gateway."""

import argparse
import hashlib
import json
import sys
from pathlib import Path
from typing import Final

from firmware_bridge.cli import Actions
from firmware_bridge.cli import register as register_devices
from gateway.calibrations import Replacement, leave
from gateway.config import read_config
from ledger.store import is_in_use
from logistics.calibration import Calibration
from logistics.errors import BodyError

CERTIFICATE_BYTES_MAX: Final = 64 << 20
_EXAMPLES = """examples:
  wharf devices replace cold-probe --config /etc/wharf/gateway.toml --probe 28-0316a2794bff \\
        --certificate K-2291.pdf --number K-2291 --issuer "Norddeutsches Labor" \\
        --dated 2026-05-04 --due 2027-05-04
"""


def register(commands: Actions) -> None:
    """Adds `wharf devices` with all its actions."""
    parser = register_devices(commands).add_parser(
        "replace",
        help="record a new probe and its calibration certificate",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("device", help="the device's id in the configuration")
    parser.add_argument("--config", type=Path, default=Path("gateway.toml"))
    parser.add_argument("--channel", help="only this one of its channels")
    parser.add_argument("--probe", required=True, help="the new probe's own number")
    parser.add_argument("--certificate", type=Path, required=True, help="the certificate's file")
    parser.add_argument("--number", required=True, help="the certificate's number")
    parser.add_argument("--issuer", required=True, help="who calibrated")
    parser.add_argument("--dated", required=True, metavar="DAY", help="as 2026-05-04")
    parser.add_argument("--due", required=True, metavar="DAY", help="the last day that it is good")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_replace)


def _replace(args: argparse.Namespace) -> int:
    """0 when the replacement waits for the gateway, 64 for what cannot be meant, 66 for a file."""
    config = read_config(args.config)
    if args.device not in {item.spec.id for item in config.devices}:
        known = ", ".join(item.spec.id for item in config.devices)
        return _refused(64, f"{args.config}: no device {args.device!r}; there are: {known}")
    try:
        with args.certificate.open("rb") as file:
            certificate = file.read(CERTIFICATE_BYTES_MAX + 1)
    except OSError as error:
        return _refused(66, f"{args.certificate}: cannot be read: {error.strerror}")
    if not 0 < len(certificate) <= CERTIFICATE_BYTES_MAX:
        return _refused(64, f"{args.certificate}: empty, or more than 64 MiB")
    try:
        calibration = Calibration(
            probe=args.probe,
            number=args.number,
            issuer=args.issuer,
            dated=args.dated,
            due=args.due,
            sha256=hashlib.sha256(certificate).hexdigest(),
        )
    except BodyError as error:
        return _refused(64, str(error))
    path = leave(config.data_dir, Replacement(args.device, args.channel, calibration))
    runs = is_in_use(config.data_dir / "store")
    if args.json:
        row = {"calibration": calibration.to_text(), "file": str(path), "runs": runs}
        sys.stdout.write(json.dumps(row) + "\n")
        return 0
    when = "within two seconds" if runs else "when it is started"
    sys.stdout.write(
        f"{args.device}: {calibration.to_text()}\n"
        f"the gateway records it {when}, or with the device's first reading\n"
    )
    return 0


def _refused(code: int, words: str) -> int:
    sys.stderr.write(f"{words}\n")
    return code
