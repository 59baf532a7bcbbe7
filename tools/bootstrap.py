"""Make a fresh clone able to run: `python3 tools/bootstrap.py --goal dev|demo|test`.

Standard library only, because it runs before anything is installed. Two steps, each quick when
there is nothing to do: Debian packages (named first, asked for, never without leave) and the
virtual environment `.venv` from requirements/*.lock. It only adds to an environment it finds.
A Debian package that may not be installed is said and left out: the demo has stand-ins for the
broker and the key token, and the tests that need the real ones fail and say so.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / ".wharfinger-stamp"
PYTHON_MIN = (3, 11)
SYSTEM_PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """One Debian package: what proves that it is there, what it is for, which goals want it."""

    name: str
    proof: str  # a program's name, or an absolute path
    purpose: str
    goals: tuple[str, ...]

    def is_present(self) -> bool:
        """Return True when the program or the path that proves the package exists."""
        if self.proof.startswith("/"):
            return Path(self.proof).exists()
        return shutil.which(self.proof, path=SYSTEM_PATH) is not None


PACKAGES = (
    DebianPackage("mosquitto", "mosquitto", "the MQTT broker", ("demo", "test")),
    DebianPackage("softhsm2", "softhsm2-util", "a PKCS#11 token in software", ("demo", "test")),
    DebianPackage("swtpm", "swtpm", "a TPM 2.0 in software", ("test",)),
    DebianPackage("tpm2-abrmd", "tpm2-abrmd", "shares that TPM between programs", ("test",)),
    DebianPackage("dbus-daemon", "dbus-daemon", "the private bus that tpm2-abrmd wants", ("test",)),
    DebianPackage("tpm2-tools", "tpm2_nvread", "a TPM's counter", ("test",)),
    DebianPackage("libtpm2-pkcs11-tools", "tpm2_ptool", "a PKCS#11 token in a TPM", ("test",)),
    DebianPackage("gcc", "gcc", "builds the key token that fails on demand", ("test",)),
    DebianPackage("libc6-dev", "/usr/include/dlfcn.h", "headers for it", ("test",)),
    DebianPackage("systemd", "systemd-analyze", "judges the unit file", ("test",)),
    DebianPackage("e2fsprogs", "mke2fs", "makes small disks", ("test",)),
    DebianPackage("mmdebstrap", "mmdebstrap", "Debian's files for aarch64", ("test",)),
    DebianPackage("arch-test", "arch-test", "asks which processors can be run", ("test",)),
    DebianPackage(
        "qemu-user-static", "qemu-aarch64-static", "runs programs for aarch64", ("test",)
    ),
    DebianPackage(
        "qemu-system-arm", "qemu-system-aarch64", "runs a whole aarch64 machine", ("test",)
    ),
    DebianPackage("nbdkit", "nbdkit", "a disk with a volatile cache", ("test",)),
    DebianPackage("kmod", "modprobe", "finds that machine's modules", ("test",)),
    DebianPackage("cpio", "cpio", "packs its first files", ("test",)),
    DebianPackage("postgresql", "/usr/lib/postgresql", "holds a portal's read model", ("test",)),
    DebianPackage("openssl", "openssl", "a time stamp authority of one's own", ("test",)),
    DebianPackage("poppler-utils", "pdftotext", "reads the printed report", ("test",)),
    DebianPackage("poppler-data", "/usr/share/poppler", "its Chinese letters", ("test",)),
    DebianPackage("chromium", "chromium", "looks at the live page in the tests", ("test",)),
    DebianPackage(
        "fonts-wqy-microhei",
        "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
        "Chinese letters in the page's picture",
        ("test",),
    ),
)
LOCKS = {"dev": ("dev",), "test": ("dev",), "demo": ("demo", "build")}


def say(text: str) -> None:
    """Print one line at once, so that it stands before what a child process prints."""
    print(f"bootstrap: {text}", flush=True)


def in_ci() -> bool:
    """Return True when the environment says CI=true: then nobody is there to ask."""
    return os.environ.get("CI", "").lower() in {"1", "true"}


def may_install(packages: Sequence[DebianPackage]) -> bool:
    """Return True when the packages may be installed: nobody to ask in CI, else a person's yes."""
    if os.environ.get("WHARF_NO_INSTALL") or shutil.which("apt-get") is None:
        return False
    if in_ci():
        return True
    if not sys.stdin.isatty():
        return False
    names = " ".join(package.name for package in packages)
    answer = input(f"bootstrap: install {names} with apt-get now? [Y/n] ")
    return answer.strip().lower() in {"", "y", "yes"}


def as_root() -> list[str]:
    """Return what to put before a command that needs root: nothing, or sudo."""
    if os.geteuid() == 0:
        return []
    return ["sudo", "-n"] if in_ci() else ["sudo"]


def apt_install(packages: Sequence[DebianPackage]) -> bool:
    """Install the packages with apt-get; return True when they all went in."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    names = [package.name for package in packages]
    options = ["-y", "-q", "-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]
    for command in (["update", *options], ["install", "--no-install-recommends", *options, *names]):
        try:
            result = subprocess.run(
                [*as_root(), "apt-get", *command],
                env=environment,
                stdin=None if sys.stdin.isatty() else subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=False,
            )
        except OSError as error:
            say(f"apt-get could not be started: {error}")
            return False
        if result.returncode != 0 and command[0] == "install":
            return False
    return True


def ensure_debian_packages(goal: str) -> None:
    """Name what is missing for the goal, ask, install; say what stays missing and what follows."""
    missing = [item for item in PACKAGES if goal in item.goals and not item.is_present()]
    if not missing:
        return
    say("missing Debian packages: " + ", ".join(f"{m.name} ({m.purpose})" for m in missing))
    if may_install(missing) and apt_install(missing):
        missing = [item for item in missing if not item.is_present()]
    if missing:
        names = " ".join(item.name for item in missing)
        say(f"going on without {names}; to add: sudo apt-get install {names}")


def digest_of_inputs(goal: str) -> str:
    """Return a digest of all that decides what the environment holds for this goal."""
    digest = hashlib.sha256(f"{LOCKS[goal]} {sys.version_info[:2]} {ROOT}".encode())
    for name in LOCKS[goal]:
        digest.update((ROOT / "requirements" / f"{name}.lock").read_bytes())
    digest.update((ROOT / "pyproject.toml").read_bytes())
    return digest.hexdigest()


def make_environment() -> Path:
    """Return the environment's python, made first when it is not there."""
    python = VENV / "bin" / "python"
    if not python.exists():
        say("making .venv")
        try:
            venv.create(VENV, with_pip=True)
        except (subprocess.CalledProcessError, ImportError) as error:
            message = "bootstrap: python3 has no venv; to add: sudo apt-get install python3-venv"
            raise SystemExit(message) from error
    return python


def ensure_environment(goal: str) -> None:
    """Bring .venv to what the lock files say. Raises SystemExit when pip fails."""
    wanted = digest_of_inputs(goal)
    done = STAMP.read_text().strip() if STAMP.exists() else ""
    if done in {wanted, digest_of_inputs("dev")}:  # dev holds all the others
        return
    python = make_environment()
    say(f"installing {', '.join(LOCKS[goal])} (locked, with hashes) into .venv")
    locks = [part for name in LOCKS[goal] for part in ("-r", f"requirements/{name}.lock")]
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    ourselves = ["--no-deps", "--no-build-isolation", "--editable", "."]
    for arguments in (["--require-hashes", *locks], ourselves):
        result = subprocess.run([*pip, *arguments], cwd=ROOT, check=False)
        if result.returncode != 0:
            raise SystemExit(f"bootstrap: pip failed with exit code {result.returncode}")
    STAMP.write_text(wanted + "\n")


def ensure_engine(goal: str) -> None:
    """Build the pinned CometBFT once for this user, if the tests of the chain are to run it."""
    if goal != "test":
        return
    command = [str(VENV / "bin" / "wharf"), "chain", "install"]
    done = subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    if done.returncode:
        say("CometBFT could not be built: the tests of the chain with several organisations fail")


def main() -> int:
    """Bring this clone to the goal; return 0 when `.venv` is ready."""
    parser = argparse.ArgumentParser(description="make a fresh clone able to run")
    parser.add_argument("--goal", choices=sorted(LOCKS), default="dev")
    goal = parser.parse_args().goal
    if sys.version_info < PYTHON_MIN:
        raise SystemExit("bootstrap: Python 3.11 or newer is needed (make PYTHON=python3.11 ...)")
    ensure_debian_packages(goal)
    ensure_environment(goal)
    ensure_engine(goal)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
