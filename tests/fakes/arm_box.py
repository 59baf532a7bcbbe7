"""A whole emulated aarch64 machine with systemd running, as a Raspberry Pi with Debian has it.

Its root is Debian's, configured by Debian's own scripts under user emulation: some minutes, once,
then kept in the user's cache. It has no network but loopback.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.fakes.arm_parts import PATH, SUITE, arm_parts, run

DEBIAN: Final = (
    "systemd-sysv", "dbus", "udev", "python3", "mosquitto", "mosquitto-clients", "iproute2", "kmod",
)  # fmt: skip  # one line
_BINFMT: Final = Path("/proc/sys/fs/binfmt_misc")
_RULE: Final = Path("/usr/lib/binfmt.d/qemu-aarch64.conf")
_INIT: Final = """\
#!/bin/busybox sh
/bin/busybox mount -t devtmpfs none /dev
for module in /*.ko; do /bin/busybox insmod "$module"; done 2>/dev/null
for module in /*.ko; do /bin/busybox insmod "$module"; done 2>/dev/null
until [ -b /dev/vdb ]; do :; done
/bin/busybox mount -t ext4 -o rw /dev/vda /new
/bin/busybox mount -t ext4 -o ro /dev/vdb /new/payload
/bin/busybox mount -t devtmpfs none /new/dev
exec /bin/busybox switch_root /new /lib/systemd/systemd
"""
_UNIT: Final = """\
[Unit]
Description=What the test does on the machine
After=multi-user.target

[Service]
Type=oneshot
ExecStart=/usr/bin/python3 -B /payload/guest.py
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyAMA0
TimeoutStartSec=infinity

[Install]
WantedBy=graphical.target
"""


@dataclass(frozen=True, slots=True)
class BoxParts:
    """What the machine starts from."""

    root: Path  # an ext4 image that nobody writes to
    kernel: Path
    initrd: Path


def box_parts() -> BoxParts:
    """The parts, made first where they are not there yet."""
    arm = arm_parts()
    # The initrd's modules are the kernel's; the locked wheels beside it are not this machine's.
    made_of = "\n".join((SUITE, *DEBIAN, _UNIT, _INIT)).encode() + arm.kernel.read_bytes()
    digest = hashlib.sha256(made_of).hexdigest()[:16]
    cache = arm.kernel.parents[1]
    place = cache / f"box-{digest}"
    with (cache / "box.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            for old in cache.glob("box-[0-9a-f]*"):
                shutil.rmtree(old)
            half = cache / "box.half"
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir()
            _make(half, arm.initrd)
            half.rename(place)
    return BoxParts(place / "root.ext4", arm.kernel, place / "initrd")


def _make(place: Path, arm_initrd: Path) -> None:
    _register()
    root = place / "root"
    run(
        "mmdebstrap", "--quiet", "--arch=arm64", "--variant=minbase",
        f"--include={','.join(DEBIAN)}", '--aptopt=APT::Install-Recommends "false"', SUITE, root,
    )  # fmt: skip  # a command line
    (root / "payload").mkdir()
    units = root / "etc/systemd/system"
    (units / "box-test.service").write_text(_UNIT)
    wants = units / "graphical.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "box-test.service").symlink_to("../box-test.service")
    (root / "etc/hostname").write_text("box\n")
    (root / "etc/machine-id").write_text("")
    run("mke2fs", "-q", "-F", "-t", "ext4", "-d", root, place / "root.ext4", "1200M")
    shutil.rmtree(root)
    _initrd(place, arm_initrd)


def _register() -> None:
    """Debian's scripts are of the other processor: the kernel has to know who runs them."""
    if not (_BINFMT / "register").exists():
        run("mount", "-t", "binfmt_misc", "binfmt_misc", _BINFMT)
    if not (_BINFMT / "qemu-aarch64").exists():
        assert _RULE.exists(), "qemu-user-static is missing; `make dev` names its Debian package"
        (_BINFMT / "register").write_text(_RULE.read_text().replace("\n", ""))


def _initrd(place: Path, arm_initrd: Path) -> None:
    """The other machines' initrd, that goes over to systemd."""
    base = place / "initrd.d"
    base.mkdir()
    cpio = shutil.which("cpio", path=PATH)
    assert cpio, "cpio is missing; `make dev` names its Debian package"
    with arm_initrd.open("rb") as packed:
        subprocess.run([cpio, "-id", "--quiet"], cwd=base, stdin=packed, check=True)
    (base / "init").write_text(_INIT)
    names = "\n".join(str(path.relative_to(base)) for path in sorted(base.rglob("*"))) + "\n"
    with (place / "initrd").open("wb") as out:
        subprocess.run(
            [cpio, "-o", "-H", "newc", "--quiet"],
            cwd=base, input=names.encode(), stdout=out, check=True,
        )  # fmt: skip  # a command line
    shutil.rmtree(base)


@dataclass(slots=True)
class Said:
    """What the machine said in one life: `TOLD word json` lines, and all of its console."""

    told: dict[str, Any] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def hear(self, line: str) -> None:
        self.lines.append(line)
        mark, _, rest = line.partition(" ")
        if mark == "TOLD":
            word, _, value = rest.partition(" ")
            self.told[word] = json.loads(value)


@dataclass(frozen=True, slots=True)
class Box:
    """One machine: its root keeps what it wrote from one life to the next."""

    parts: BoxParts
    disk: Path
    payload: Path

    @classmethod
    def make(cls, folder: Path, payload: Path) -> Box:
        """payload: what the machine sees as /payload; guest.py in it is run at each start."""
        parts, disk = box_parts(), folder / "root.ext4"
        run("cp", "--sparse=always", parts.root, disk)
        image = folder / "payload.ext4"
        run("mke2fs", "-q", "-F", "-t", "ext4", "-d", payload, image, "300M")
        return cls(parts, disk, image)

    def live(self, *, limit_s: float) -> Said:
        """From power on until the machine turns itself off; what it said."""
        said = Said()
        machine = subprocess.Popen(
            self._command(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        alarm = threading.Timer(limit_s, machine.kill)
        alarm.start()
        try:
            assert machine.stdout is not None
            for raw in machine.stdout:
                said.hear(raw.decode(errors="replace").strip())
            code = machine.wait()
        finally:
            alarm.cancel()
            machine.kill()
            machine.wait()
        assert code == 0, f"not off by itself in {limit_s:.0f} s\n" + "\n".join(said.lines[-60:])
        return said

    def _command(self) -> list[str]:
        program = shutil.which("qemu-system-aarch64", path=PATH)
        assert program, "qemu-system-aarch64 is missing; `make dev` names its Debian package"
        options = (
            "-M virt -cpu cortex-a72 -smp 2 -m 1024 -accel tcg,thread=multi -nographic -nodefaults "
            "-no-reboot -serial stdio -net none"
        )
        # A login on the console would hang up on whoever writes there.
        append = "console=ttyAMA0 quiet panic=1 systemd.show_status=0 "
        append += "systemd.mask=serial-getty@ttyAMA0.service"
        command = [program, *options.split(), "-kernel", str(self.parts.kernel)]
        command += ["-initrd", str(self.parts.initrd), "-append", append]
        drives = (f"file={self.disk},format=raw", f"file={self.payload},format=raw,read-only=on")
        for number, drive in enumerate(drives):
            command += ["-drive", f"{drive},cache=unsafe,if=none,id=d{number}"]
            command += ["-device", f"virtio-blk-pci,drive=d{number}"]
        return command
