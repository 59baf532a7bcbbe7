"""How fast the disk wears: bytes written to it, added up over restarts and reboots.

The kernel counts what a block device was given since the boot, in sectors of 512 bytes
(Documentation/block/stat.rst); where the folder is on no such device, this process counts its own.
"""

import asyncio
import json
import logging
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

SECTOR_BYTES: Final = 512
SECTORS_WRITTEN: Final = 6  # the seventh field
DAY_S: Final = 86_400
YEAR_DAYS: Final = 365
GIGABYTE: Final = 1_000_000_000
LOOK_S: Final = 600.0
SECONDS_MIN: Final = 600  # what is judged by less would be chance
FILE_NAME: Final = "wear.json"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """What a counter says now. source: which one, and since when it counts; seconds: how long."""

    source: str
    size_bytes: int
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wear:
    """Bytes written in so many seconds of running, up to a counter's last state."""

    size_bytes: int = 0
    seconds: int = 0
    source: str = ""
    last_bytes: int = 0
    last_seconds: int = 0

    def after(self, count: Count) -> "Wear":
        """With what a counter added since; a new one counts from here on."""
        if count.source != self.source:
            base_bytes, base_seconds = count.size_bytes, count.seconds
        else:
            base_bytes, base_seconds = self.last_bytes, self.last_seconds
        return Wear(
            size_bytes=self.size_bytes + max(0, count.size_bytes - base_bytes),
            seconds=self.seconds + max(0, count.seconds - base_seconds),
            source=count.source,
            last_bytes=count.size_bytes,
            last_seconds=count.seconds,
        )

    @property
    def bytes_a_day(self) -> int | None:
        """None while too little time was seen."""
        return None if self.seconds < SECONDS_MIN else self.size_bytes * DAY_S // self.seconds

    def years(self, endurance_gb: int) -> int | None:
        """Whole years that a new disk of this endurance lasts at this rate, None if unknown."""
        a_day = self.bytes_a_day
        if not endurance_gb or a_day is None:
            return None
        return endurance_gb * GIGABYTE // max(1, a_day * YEAR_DAYS)


def read_wear(folder: Path) -> Wear:
    """What is kept in a data folder; nothing where the file is missing or spoilt."""
    try:
        held = json.loads((folder / FILE_NAME).read_text(encoding="ascii"))
        numbers = {name: int(held[name]) for name in asdict(Wear()) if name != "source"}
        return Wear(source=str(held["source"]), **numbers)
    except (OSError, ValueError, KeyError, TypeError):
        return Wear()


def device_count(folder: Path, *, boot_id: str, uptime_s: int) -> Count:
    """What the kernel counted for the folder's disk, or for this process where it has none."""
    number = folder.stat().st_dev
    name = f"{os.major(number)}:{os.minor(number)}"
    try:
        fields = Path(f"/sys/dev/block/{name}/stat").read_text(encoding="ascii").split()
        written = int(fields[SECTORS_WRITTEN]) * SECTOR_BYTES
        return Count(source=f"{boot_id} {name}", size_bytes=written, seconds=uptime_s)
    except (OSError, ValueError, IndexError):
        rows = dict(
            line.split(": ") for line in Path("/proc/self/io").read_text().splitlines() if line
        )
        source = f"{boot_id} process {os.getpid()}"
        return Count(source=source, size_bytes=int(rows["write_bytes"]), seconds=uptime_s)


class WearMeter:
    """Keeps the count of one data folder."""

    def __init__(self, folder: Path, count: Callable[[], Count]) -> None:
        self._folder, self._count = folder, count
        self.wear = read_wear(folder)

    def look(self) -> None:
        """Adds what was written since the last look, and keeps it."""
        self.wear = self.wear.after(self._count())
        draft = self._folder / f"{FILE_NAME}.new"
        draft.write_text(json.dumps(asdict(self.wear)), encoding="ascii")
        draft.replace(self._folder / FILE_NAME)

    async def run(self) -> None:
        """Looks until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.look)
            except OSError as error:  # a full disk is the intake's to tell
                _log.warning("wear_not_kept error=%s", error)
            await asyncio.sleep(LOOK_S)
