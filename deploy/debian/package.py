"""Builds wharfinger_VERSION_ARCH.deb from a wheel and a folder of wheels; asks no network.

The package brings the whole environment, /opt/wharf/VERSION, so the box needs no index either.
It is bound to one processor and to one Python, as compiled wheels are.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.raspberrypi.installer import release
from deploy.raspberrypi.installer.machine import InstallError, Machine
from deploy.raspberrypi.installer.release import ReleaseWish

PROJECT: Final = Path(__file__).resolve().parents[2]
# Wheels say the oldest C library that they run on; each of these is older than Debian 12's.
PLATFORMS: Final = {
    "arm64": ("manylinux_2_28_aarch64", "manylinux2014_aarch64", "manylinux_2_17_aarch64"),
    "amd64": ("manylinux_2_28_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64"),
}
SHIPPED: Final = (  # in the clone, on the machine
    ("deploy/raspberrypi/wharf-gateway.service", "usr/lib/systemd/system/wharf-gateway.service"),
    ("deploy/consortium/wharf-chain.service", "usr/lib/systemd/system/wharf-chain.service"),
    ("deploy/raspberrypi/sysusers.conf", "usr/lib/sysusers.d/wharf.conf"),
    ("deploy/consortium/sysusers.conf", "usr/lib/sysusers.d/wharf-chain.conf"),
    ("deploy/raspberrypi/99-wharf.rules", "usr/lib/udev/rules.d/99-wharf.rules"),
    ("deploy/raspberrypi/journald.conf", "usr/lib/systemd/journald.conf.d/wharf.conf"),
    ("deploy/raspberrypi/mosquitto.conf", "etc/mosquitto/conf.d/wharf.conf"),
    ("docs/howto/install-on-a-pi.md", "usr/share/doc/wharfinger/install-on-a-pi.md"),
    ("LICENSE", "usr/share/doc/wharfinger/copyright"),
)
_INSTALLER: Final = ("__init__.py", "broker.py", "machine.py")
_INSTALLER_HOME: Final = "usr/share/wharfinger/deploy/raspberrypi/installer"
_CONFFILES: Final = "/etc/mosquitto/conf.d/wharf.conf\n"
_CONTROL: Final = """\
Package: wharfinger
Version: {version}
Architecture: {architecture}
Maintainer: The Wharfinger authors <authors@wharfinger.invalid>
Section: net
Priority: optional
Installed-Size: {size_kib}
Depends: python3 (>= {python}), python3 (<< {python_next}), systemd, mosquitto
Recommends: softhsm2, systemd-timesyncd | time-daemon
Description: IoT edge gateway with an on-device ledger
 Takes readings in from sensors, receivers and readers, keeps them in a signed ledger and proves
 them offline. Brings the gateway, the chain machine and the verifier, all as the command wharf.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageWish:
    """What is built. `is_quick`: little compression, for tests."""

    wheel: Path
    wheels: Path
    lock: Path
    architecture: str
    python_version: str
    is_quick: bool = False

    def release(self) -> ReleaseWish:
        """The environment inside."""
        return ReleaseWish(
            wheel=self.wheel,
            lock=self.lock,
            wheels=self.wheels,
            python=f"/usr/bin/python{self.python_version}",
            python_version=self.python_version,
            platforms=PLATFORMS[self.architecture],
        )


def build(wish: PackageWish, out: Path) -> Path:
    """Builds the package into the folder `out`; returns its path. Raises InstallError."""
    wished = wish.release()
    with tempfile.TemporaryDirectory(prefix="wharf-deb-") as folder:
        tree = Path(folder) / "tree"
        tree.mkdir()
        tree.chmod(0o755)
        _fill(Machine(tree), wished)
        _describe(tree, wish, wished.version)
        package = out.absolute() / f"wharfinger_{wished.version}_{wish.architecture}.deb"
        compression = ("-Zgzip", "-z1") if wish.is_quick else ("-Zxz",)
        options = ("--root-owner-group", *compression, "--build", str(tree), str(package))
        out.mkdir(parents=True, exist_ok=True)
        Machine(Path("/")).run("dpkg-deb", *options)
    return package


def _fill(machine: Machine, wished: ReleaseWish) -> None:
    release.make(machine, wished)
    machine.link(release.CURRENT, wished.version)
    machine.link("/usr/bin/wharf", f"{release.CURRENT}/bin/wharf")
    for source, target in _shipped():
        place = machine.at(target)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(PROJECT / source, place)
        place.chmod(0o644)


def _shipped() -> Iterator[tuple[str, str]]:
    yield from SHIPPED
    for name in _INSTALLER:
        yield f"deploy/raspberrypi/installer/{name}", f"{_INSTALLER_HOME}/{name}"


def _describe(tree: Path, wish: PackageWish, version: str) -> None:
    sizes = [path.lstat().st_size for path in tree.rglob("*") if not path.is_dir()]
    major, minor = wish.python_version.split(".")
    control = _CONTROL.format(
        version=version,
        architecture=wish.architecture,
        size_kib=sum(sizes) // 1024,
        python=wish.python_version,
        python_next=f"{major}.{int(minor) + 1}",
    )
    about = tree / "DEBIAN"
    shutil.copytree(PROJECT / "deploy" / "debian" / "scripts", about)
    for script in about.iterdir():
        script.chmod(0o755)
    (about / "control").write_text(control)
    (about / "conffiles").write_text(_CONFFILES)


def main(words: Sequence[str] | None = None) -> int:
    """Build one package; prints its path and returns the exit code."""
    parser = argparse.ArgumentParser(prog="build", description=__doc__)
    parser.add_argument("--wheel", type=Path, required=True, metavar="FILE")
    parser.add_argument("--wheels", type=Path, required=True, metavar="DIR")
    lock = PROJECT / "requirements" / "gateway.lock"
    parser.add_argument("--lock", type=Path, default=lock, metavar="FILE")
    parser.add_argument("--architecture", choices=sorted(PLATFORMS), default="arm64")
    parser.add_argument("--python-version", default="3.11", metavar="X.Y", help="Debian 12: 3.11")
    parser.add_argument("--out", type=Path, default=PROJECT / "dist", metavar="DIR")
    parser.add_argument("--quick", action="store_true", help="little compression")
    arguments = parser.parse_args(words)
    os.umask(0o022)
    # Same wheels, same package: no time of building in it.
    os.environ.setdefault("SOURCE_DATE_EPOCH", "1577836800")
    wish = PackageWish(
        wheel=arguments.wheel,
        wheels=arguments.wheels,
        lock=arguments.lock,
        architecture=arguments.architecture,
        python_version=arguments.python_version,
        is_quick=arguments.quick,
    )
    try:
        sys.stdout.write(f"{build(wish, arguments.out)}\n")
    except InstallError as error:
        sys.stderr.write(f"build: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
