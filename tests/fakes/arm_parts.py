"""What an emulated aarch64 machine is made of: Debian's files, kernel, locked wheels, one image.

Made once for each lock file and kept in the user's cache; nothing emulated runs while it is made.
Every program or right that is missing is a clear failure.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SUITE: Final = "bookworm"
DEBIAN: Final = (
    "python3", "libstdc++6", "dash", "coreutils", "mount", "busybox-static",
    "linux-image-cloud-arm64",
)  # fmt: skip  # one line
TOOLS: Final = {
    "pytest",
    "pytest-asyncio",
    "pytest-timeout",
    "iniconfig",
    "packaging",
    "pluggy",
    "pygments",
    "hypothesis",
    "sortedcontainers",
}
MODULES: Final = ("virtio_pci", "virtio_blk")
FOLDERS: Final = ("dev", "proc", "sys", "tmp", "run", "tree", "data", "witness", "site")
TAGS: Final = ("manylinux_2_28_aarch64", "manylinux2014_aarch64", "manylinux_2_17_aarch64")
PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
_INIT: Final = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
for module in {modules}; do /bin/busybox insmod "/$module"; done
until [ -b /dev/vdb ]; do :; done
/bin/busybox mount -t ext4 -o ro /dev/vda /new
/bin/busybox mount -t ext4 -o ro /dev/vdb /new/tree
/bin/busybox mount -t devtmpfs none /new/dev
/bin/busybox mount -t proc none /new/proc
/bin/busybox mount -t sysfs none /new/sys
/bin/busybox mount -t tmpfs none /new/tmp
/bin/busybox mount -t tmpfs none /new/run
exec /bin/busybox switch_root /new /bin/busybox sh /tree/start
"""


@dataclass(frozen=True, slots=True)
class ArmParts:
    """Debian's files with the wheels below /site, and what a machine boots from."""

    root: Path
    image: Path
    kernel: Path
    initrd: Path


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    """A finished program's output; its failure, or its absence, is the test's failure."""
    words = [str(word) for word in command]
    program = shutil.which(words[0], path=PATH)
    assert program, f"{words[0]} is missing; `make dev` names its Debian package"
    done = subprocess.run(
        [program, *words[1:]],
        cwd=cwd,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PATH": PATH},
        timeout=900,
    )
    said = done.stderr.decode(errors="replace")
    assert done.returncode == 0, f"{' '.join(words)}\n{said[-3000:]}"
    return done.stdout.decode(errors="replace")


def arm_parts() -> ArmParts:
    """The parts, made first where this lock file's are not there yet."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for name in ("gateway", "dev"):
        digest.update((ROOT / "requirements" / f"{name}.lock").read_bytes())
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wharfinger"
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / f"arm64-{digest.hexdigest()[:16]}"
    with (cache / "arm64.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            for old in cache.glob("arm64-*"):
                shutil.rmtree(old)
            _make(place.with_name("arm64-half"))
            place.with_name("arm64-half").rename(place)
    names = ("root", "root.ext4", "vmlinuz", "initrd")
    return ArmParts(*(place / name for name in names))


def _make(place: Path) -> None:
    root = place / "root"
    place.mkdir()
    run(
        "mmdebstrap", "--quiet", "--arch=arm64", "--variant=extract",
        f"--include={','.join(DEBIAN)}", '--aptopt=APT::Install-Recommends "false"', SUITE, root,
    )  # fmt: skip  # a command line
    for name in FOLDERS:
        (root / name).mkdir(exist_ok=True)
    _wheels(place / "wheels", root / "site")
    # The guest reads its root only, and would else compile every module at every start.
    byte_compile = (
        sys.executable,
        "-m",
        "compileall",
        "-q",
        "--invalidation-mode",
        "unchecked-hash",
    )
    run(*byte_compile, "-x", "/test/", root / "usr/lib/python3.11", root / "site")
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    shutil.copy(kernel, place / "vmlinuz")
    _initrd(root, place, kernel.name.removeprefix("vmlinuz-"))
    for folder in ("boot", "lib/modules"):
        shutil.rmtree(root / folder)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-d", root, place / "root.ext4", "400M")


def _wheels(wheels: Path, site: Path) -> None:
    """The gateway's locked wheels for aarch64, and the test runner's."""
    pins = re.split(r"\n(?=\S)", (ROOT / "requirements" / "dev.lock").read_text())
    tools = [pin for pin in pins if pin.partition("==")[0] in TOOLS]
    assert len(tools) == len(TOOLS), [pin.splitlines()[0] for pin in tools]
    wheels.mkdir()
    (wheels / "tools.txt").write_text("\n".join(tools) + "\n")
    target = ["--only-binary=:all:", "--python-version=3.11", "--implementation=cp", "--abi=cp311"]
    target += [f"--platform={tag}" for tag in TAGS]
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    locks = ("-r", ROOT / "requirements" / "gateway.lock", "-r", wheels / "tools.txt")
    run(*pip, "download", "--require-hashes", *locks, "-d", wheels, *target)
    found = sorted(wheels.glob("*.whl"))
    run(*pip, "install", "--no-deps", "--no-index", "--target", site, *target, *found)
    shutil.rmtree(wheels)


def _initrd(root: Path, place: Path, version: str) -> None:
    """A busybox that loads the disk's driver and goes over to the root."""
    run("depmod", "-b", root, version)
    lines = "".join(
        run("modprobe", "-S", version, "-d", root, "--show-depends", name) for name in MODULES
    ).splitlines()
    modules = list(dict.fromkeys(Path(line.split()[1]) for line in lines if "insmod" in line))
    base = place / "initrd.d"
    for name in ("bin", "dev", "new"):
        (base / name).mkdir(parents=True)
    shutil.copy(root / "bin/busybox", base / "bin/busybox")
    for path in modules:
        shutil.copy(path, base / path.name)
    (base / "init").write_text(_INIT.format(modules=" ".join(path.name for path in modules)))
    (base / "init").chmod(0o755)
    names = "\n".join(str(path.relative_to(base)) for path in sorted(base.rglob("*"))) + "\n"
    with (place / "initrd").open("wb") as out:
        subprocess.run(
            [shutil.which("cpio", path=PATH) or "cpio", "-o", "-H", "newc", "--quiet"],
            cwd=base, input=names.encode(), stdout=out, check=True,
        )  # fmt: skip  # a command line
    shutil.rmtree(base)
