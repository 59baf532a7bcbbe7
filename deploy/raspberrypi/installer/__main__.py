"""The installer's command line: says what it is about to do, asks, does it."""

import argparse
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from deploy.raspberrypi.installer import release
from deploy.raspberrypi.installer.boot_config import OVERLAYS
from deploy.raspberrypi.installer.machine import InstallError, Machine, ProgramError
from deploy.raspberrypi.installer.plan import (
    CONFIG,
    RESTART_GATEWAY,
    Choices,
    install_steps,
    rollback_steps,
    uninstall_steps,
)
from deploy.raspberrypi.installer.release import ReleaseWish
from deploy.raspberrypi.installer.steps import Step, run_steps, show_steps
from deploy.raspberrypi.installer.wheel import find_wheel

PROJECT: Final = Path(__file__).resolve().parents[3]
EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 64
PYTHON_MIN: Final = (3, 11)
_PROCESSORS: Final = {"aarch64", "x86_64"}
_EXAMPLES: Final = """examples:
  sudo deploy/raspberrypi/install                          # or: install --dry-run
  sudo deploy/raspberrypi/install --overlays rtc-ds3231 tpm-slb9670
  sudo deploy/raspberrypi/install --tpm                    # where the TPM is there already
  sudo deploy/raspberrypi/install upgrade --wheel wharfinger-0.2.0-py3-none-any.whl
  sudo deploy/raspberrypi/install rollback
  sudo deploy/raspberrypi/install uninstall                # keeps ledger, keys, configuration
"""
_NEXT: Final = """
next: make the gateway's key and configuration, look at it, start it
  sudo -u wharf wharf gateway init --config /etc/wharf/gateway.toml --data-dir /var/lib/wharf \\
      --name NAME --party "YOUR COMPANY" ...
  in its [broker]: username = "gateway", password_file = "/etc/wharf/broker-password"
  sudo systemctl start wharf-gateway
"""
_HINTS: Final = """
Raspberry Pi: a clock module (--overlays rtc-ds3231) keeps the time without network, a TPM
(--overlays tpm-slb9670) keeps the key. config.txt is touched only when you name them.
"""


def say(text: str) -> None:
    """One line to the person, at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="install",
        description="Install a gateway on 64-bit Raspberry Pi OS or Debian.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = ("install", "upgrade", "rollback", "uninstall")
    parser.add_argument("action", nargs="?", choices=actions, default="install")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--dry-run", action="store_true", help="print every step, change nothing")
    parser.add_argument(
        "--root", type=Path, default=Path("/"), metavar="DIR", help="install into this tree"
    )
    parser.add_argument("--wheel", type=Path, metavar="FILE", help="default: dist/, or built now")
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="dependencies; asks no index")
    parser.add_argument(
        "--lock", type=Path, default=PROJECT / "requirements" / "gateway.lock", metavar="FILE"
    )
    parser.add_argument("--overlays", nargs="+", choices=sorted(OVERLAYS), default=[])
    parser.add_argument(
        "--tpm",
        action="store_true",
        help="what a key in a TPM needs; --overlays tpm-... implies it",
    )
    parser.add_argument("--no-tmpfs", action="store_true", help="leave /tmp on the card")
    parser.add_argument("--purge", action="store_true", help="uninstall: ledger and keys too")
    return parser


def check_machine(machine: Machine) -> None:
    """Refuses a machine that cannot hold a gateway. Raises InstallError."""
    if machine.is_here and os.geteuid() != 0:
        raise InstallError("this needs root: sudo deploy/raspberrypi/install")
    # A 32-bit system may well run on a 64-bit kernel: Python itself must be 64-bit.
    if platform.machine() not in _PROCESSORS or sys.maxsize <= 2**32:
        raise InstallError(f"{platform.machine()}: a 64-bit system is needed (arm64 or amd64)")
    if sys.version_info < PYTHON_MIN:
        raise InstallError("Python 3.11 or newer is needed: Debian 12, Raspberry Pi OS 12")
    if machine.exists("/var/lib/dpkg/info/wharfinger.list"):
        raise InstallError("the Debian package wharfinger is installed: upgrade it with apt")
    if machine.is_here and " / overlay " in Path("/proc/mounts").read_text(encoding="ascii"):
        raise InstallError(
            "the root is an overlay: what is written now is gone at the next start; "
            "turn the overlay off (raspi-config), install, turn it on again"
        )


def _choices(arguments: argparse.Namespace, wheel: Path) -> Choices:
    wish = ReleaseWish(wheel=wheel, lock=arguments.lock, wheels=arguments.wheels)
    return Choices(
        release=wish,
        project=PROJECT,
        overlays=tuple(arguments.overlays),
        has_tmpfs=not arguments.no_tmpfs,
        has_tpm=arguments.tpm or any(name.startswith("tpm-") for name in arguments.overlays),
    )


def _steps(machine: Machine, arguments: argparse.Namespace) -> list[Step]:
    if arguments.action == "rollback":
        return rollback_steps(machine)
    if arguments.action == "uninstall":
        return uninstall_steps(machine, purge=arguments.purge)
    if arguments.action == "upgrade" and machine.link_target(release.CURRENT) is None:
        raise InstallError("nothing is installed here; leave out the word upgrade")
    wheel = find_wheel(PROJECT, arguments.wheel)
    return install_steps(machine, _choices(arguments, wheel))


def _may_go_on(arguments: argparse.Namespace) -> bool:
    if arguments.yes:
        return True
    if not sys.stdin.isatty():
        say("nobody is there to ask; say --yes, or --dry-run to look only")
        return False
    if arguments.action == "uninstall" and arguments.purge:
        return input("This destroys ledger and keys for good. Type PURGE: ") == "PURGE"
    return input("Go on? [y/N] ").strip().lower() in {"y", "yes"}


def _run(machine: Machine, arguments: argparse.Namespace) -> int:
    steps = _steps(machine, arguments)
    say(f"{arguments.action} on {machine.root}:")
    is_open = show_steps(machine, steps, say)
    if arguments.dry_run:
        return EXIT_OK
    if is_open and not _may_go_on(arguments):
        return EXIT_USAGE
    say("now:" if is_open else "nothing to do")
    _act(machine, steps)
    if arguments.action != "uninstall":
        _look(machine)
    return EXIT_OK


def _act(machine: Machine, steps: Sequence[Step]) -> None:
    """The steps; a version that does not start is taken back."""
    before = machine.link_target(release.CURRENT)
    try:
        run_steps(machine, steps, say)
    except ProgramError as error:
        has_turned = machine.link_target(release.CURRENT) != before
        if error.command != RESTART_GATEWAY or before is None or not has_turned:
            raise
        release.switch(machine, before)
        machine.run(*RESTART_GATEWAY)
        raise InstallError(f"{error}\nthe gateway runs {before} again") from error


def _look(machine: Machine) -> None:
    """The doctor's words where a gateway is set up, else what to do next."""
    if not machine.exists(CONFIG):
        say(_HINTS + _NEXT)
    elif machine.is_booted:
        doctor = (f"{release.CURRENT}/bin/wharf", "doctor", "--config", CONFIG)
        try:
            say(machine.run("runuser", "-u", "wharf", "--", *doctor))
        except ProgramError as error:
            # Installed all the same: what the doctor wants is the site's, such as a chain machine.
            say(f"wharf doctor: {error}")


def main(words: Sequence[str] | None = None) -> int:
    """Install, upgrade, roll back or uninstall; returns the exit code."""
    arguments = _parser().parse_args(words)
    machine = Machine(arguments.root)
    os.umask(0o022)
    try:
        check_machine(machine)
        return _run(machine, arguments)
    except InstallError as error:
        sys.stderr.write(f"install: {error}\n")
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main())
