"""The Raspberry Pi's config.txt: touched only when overlays are asked for by name.

Ours is one block between two marks, at the end; all else stays byte for byte.
"""

import re
from collections.abc import Sequence
from typing import Final

from deploy.raspberrypi.installer.machine import FileWish, InstallError, Machine
from deploy.raspberrypi.installer.steps import Step

OVERLAYS: Final = {
    "rtc-ds3231": ("dtparam=i2c_arm=on", "dtoverlay=i2c-rtc,ds3231"),
    "rtc-pcf8523": ("dtparam=i2c_arm=on", "dtoverlay=i2c-rtc,pcf8523"),
    "rtc-rv3028": ("dtparam=i2c_arm=on", "dtoverlay=i2c-rtc,rv3028"),
    "tpm-slb9670": ("dtparam=spi=on", "dtoverlay=tpm-slb9670"),
    "w1": ("dtoverlay=w1-gpio",),
}
_PLACES: Final = ("/boot/firmware/config.txt", "/boot/config.txt")
_BEGIN: Final = "# wharf: begin\n"
_END: Final = "# wharf: end\n"
_BLOCK: Final = re.compile(re.escape(_BEGIN) + r".*?" + re.escape(_END), re.DOTALL)


def config_path(machine: Machine) -> str | None:
    """Where this machine's config.txt is; None on a machine without one."""
    return next((path for path in _PLACES if machine.at(path).is_file()), None)


def with_overlays(text: str, names: Sequence[str]) -> str:
    """The file's text with our block for these overlays; no names, no block."""
    plain = _BLOCK.sub("", text)
    if not names:
        return plain
    lines = dict.fromkeys(line for name in names for line in OVERLAYS[name])
    # [all]: the section above may be for one model only.
    block = "\n".join(["[all]", *lines]) + "\n"
    return plain + "\n" * (not plain.endswith("\n")) + _BEGIN + block + _END


def overlay_step(machine: Machine, names: Sequence[str]) -> Step:
    """The overlays, from the next start on. Raises InstallError on a machine without config.txt."""
    path = config_path(machine)
    if path is None:
        raise InstallError(f"--overlays: none of {', '.join(_PLACES)} is there")
    return _step(path, names, f"overlays {' '.join(names)} in {path}, from the next start on")


def without_overlays_step(machine: Machine) -> Step:
    """Our block gone from config.txt, where there is one."""
    path = config_path(machine)
    return _step(path or _PLACES[0], (), "no overlays of ours in config.txt")


def _step(path: str, names: Sequence[str], words: str) -> Step:
    def text(machine: Machine) -> str | None:
        place = machine.at(path)
        return place.read_text(encoding="utf-8") if place.is_file() else None

    def is_done(machine: Machine) -> bool:
        now = text(machine)
        return now is None or now == with_overlays(now, names)

    def act(machine: Machine) -> None:
        data = with_overlays(text(machine) or "", names).encode()
        mode = machine.at(path).stat().st_mode & 0o777
        machine.write(FileWish(path, data, mode))

    return Step(words=words, is_done=is_done, act=act)
