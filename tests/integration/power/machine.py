"""A whole emulated aarch64 machine whose power can be cut, on a disk with a volatile cache.

The data disk is served by nbdkit, whose cache filter holds what was not flushed in memory of its
own: killed with the machine, it takes that along, as a disk does. `lying` disks flush nothing.
"""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Any, Final, Literal

from tests.fakes.arm_parts import PATH, ROOT, ArmParts, run

CODE: Final = ("ledger", "logistics", "firmware_bridge", "gateway", "consortium", "tests")
BOOT_S: Final = 120.0
CUT_S: Final = 1.0
_START: Final = """\
for word in $(/bin/busybox cat /proc/cmdline); do
    case $word in wharf.mount=*) options=${word#wharf.mount=};; esac
done
/bin/busybox mount -t ext4 -o "$options" /dev/vdc /data || exit 1
/bin/busybox mount -t ext4 /dev/vdd /witness 2>/dev/null
/bin/busybox ip link set lo up
export PYTHONPATH=/tree:/site PYTHONDONTWRITEBYTECODE=1 HOME=/tmp
exec 2>&1
/usr/bin/python3 -P -m tests.integration.power.guest
echo "guest ended $?"
echo o > /proc/sysrq-trigger
/bin/busybox sleep 60
"""
Cache = Literal["obeys", "lies"]


def tree_image(place: Path) -> Path:
    """This tree's code as a disk, compiled ahead."""
    folder = place / "tree"
    skip = shutil.ignore_patterns("__pycache__", "unit", "vectors", "static", "*.md")
    for name in CODE:
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    own = folder / "wharfinger-0.dist-info"  # drivers are found by their entry points
    own.mkdir()
    for name in ("METADATA", "entry_points.txt"):
        (own / name).write_text(distribution("wharfinger").read_text(name) or "")
    (folder / "start").write_text(_START)
    run(sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", folder)
    return disk_image(place / "tree.ext4", folder, "32M")


def disk_image(image: Path, folder: Path, size: str) -> Path:
    """A disk that holds a folder."""
    run("mke2fs", "-q", "-F", "-t", "ext4", "-d", folder, image, size)
    return image


@dataclass(slots=True)
class Life:
    """What one life between power on and power off said."""

    held: dict[str, Any] = field(default_factory=dict)
    state: dict[str, Any] = field(default_factory=dict)
    acknowledged: int = -1
    heads: dict[str, str] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)

    def hear(self, line: str) -> None:
        self.lines.append(line)
        word, _, rest = line.partition(" ")
        with suppress(ValueError):  # the last line of a life is cut like everything else
            if word == "ack":
                self.acknowledged = int(rest)
            elif word == "head":
                height, digest = rest.split()
                self.heads[height] = digest
            elif word == "held":
                self.held = json.loads(rest)
            elif word == "state":
                self.state = json.loads(rest)


@dataclass(slots=True, kw_only=True)
class Machine:
    """Its disks stay; each `live` is one life of it."""

    parts: ArmParts
    tree: Path
    data: Path
    witness: Path | None = None
    cache: Cache = "obeys"
    mount: str = "rw"
    syncs: bool = True

    def live(self, *, cut_after_s: float = CUT_S, until: str = "ack") -> Life:
        """From power on until the power goes, so long after the first line with the word."""
        nbdkit, socket = self._serve()
        machine = subprocess.Popen(
            self._command(socket),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            return _follow(machine, cut_after_s, until)
        finally:
            for process in (machine, nbdkit):
                process.kill()
                process.wait()

    def _serve(self) -> tuple[subprocess.Popen[bytes], Path]:
        socket = self.data.with_suffix(".sock")
        socket.unlink(missing_ok=True)
        mode = "writeback" if self.cache == "obeys" else "unsafe"
        command = ("-f", "-U", socket, "--filter=cache", "file", self.data, f"cache={mode}")
        process = subprocess.Popen([_program("nbdkit"), *map(str, command)])
        deadline_s = time.monotonic() + 10
        while not socket.exists():
            assert process.poll() is None, "nbdkit ended"
            assert time.monotonic() < deadline_s, "nbdkit does not listen"
            time.sleep(0.005)
        return process, socket

    def _command(self, socket: Path) -> list[str]:
        words = ["console=ttyAMA0", "quiet", "panic=1", f"wharf.mount={self.mount}"]
        words += ["wharf.syncs=no"] * (not self.syncs)
        words += ["wharf.witness=yes"] * (self.witness is not None)
        drives = [
            f"driver=raw,file.driver=file,file.filename={path},read-only=on,if=none"
            for path in (self.parts.image, self.tree)
        ]
        drives.append(f"driver=nbd,server.type=unix,server.path={socket},cache=writeback,if=none")
        if self.witness is not None:
            drives.append(f"file={self.witness},format=raw,cache=writeback,if=none")
        options = [
            "-M virt -cpu cortex-a72 -smp 2 -m 512 -accel tcg,thread=multi -nographic -nodefaults",
            "-no-reboot -serial stdio -net none",
        ]
        command = [_program("qemu-system-aarch64"), *" ".join(options).split()]
        command += ["-kernel", str(self.parts.kernel), "-initrd", str(self.parts.initrd)]
        command += ["-append", " ".join(words)]
        for number, drive in enumerate(drives):
            command += ["-drive", f"{drive},id=d{number}"]
            command += ["-device", f"virtio-blk-pci,drive=d{number}"]
        return command


def _program(name: str) -> str:
    found = shutil.which(name, path=PATH)
    assert found, f"{name} is missing; `make dev` names its Debian package"
    return found


def _follow(machine: subprocess.Popen[bytes], cut_after_s: float, until: str) -> Life:
    """Reads the console until the cut is due; what a full buffer still holds was said before."""
    said, life = queue.Queue[str | None](), Life()
    output = machine.stdout
    assert output is not None

    def read() -> None:
        for line in output:
            said.put(line.decode(errors="replace").strip())
        said.put(None)

    threading.Thread(target=read, daemon=True).start()
    deadline_s, armed = time.monotonic() + BOOT_S, False
    while (left_s := deadline_s - time.monotonic()) > 0:
        try:
            line = said.get(timeout=left_s)
        except queue.Empty:
            break
        assert line is not None, "the machine ended by itself\n" + "\n".join(life.lines[-40:])
        life.hear(line)
        if not armed and line.startswith(f"{until} "):
            armed, deadline_s = True, time.monotonic() + cut_after_s
    assert armed, f"no word {until!r} in {BOOT_S:.0f} s\n" + "\n".join(life.lines[-40:])
    machine.kill()
    while (line := said.get(timeout=10)) is not None:
        life.hear(line)
    return life


def lost(before: Sequence[Life], after: Life) -> int:
    """How many acknowledged readings a start does not find; readings count from 0 without holes."""
    return max(
        0, max((life.acknowledged for life in before), default=-1) + 1 - int(after.held["count"])
    )
