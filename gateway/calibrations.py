"""Replaced probes: from `wharf devices replace` to the running gateway, by files in a folder.

Each file is one replacement; it stays until the descriptors that tell it are in the journal, so a
gateway that is stopped, or dies in between, takes it at its next start, and tells it once.
"""

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.entry_maker import EntryMaker
from ledger.entry import Entry
from logistics.calibration import Calibration
from logistics.errors import BodyError

FOLDER: Final = "replacements"
WAITING_MAX: Final = 1000
_FILE_BYTES_MAX: Final = 4096
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Replacement:
    """A new probe of a device; channel None: of all its channels."""

    device_id: str
    channel: str | None
    calibration: Calibration


def leave(data_dir: Path, item: Replacement) -> Path:
    """Leaves the replacement for the gateway; the file that waits."""
    folder = data_dir / FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    number = max((int(path.stem) for path in folder.glob("*.json")), default=0) + 1
    path = folder / f"{number:06}.json"
    fields = {"device": item.device_id, "channel": item.channel}
    text = json.dumps(fields | {"calibration": item.calibration.to_text()}, ensure_ascii=False)
    partial = path.with_suffix(".new")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
    return path


def read(path: Path) -> Replacement:
    """The replacement in a file. Raises ValueError, BodyError."""
    with path.open("rb") as file:
        values = json.loads(file.read(_FILE_BYTES_MAX))
    device, channel, text = values["device"], values["channel"], values["calibration"]
    named = None if channel is None else str(channel)
    return Replacement(str(device), named, Calibration.from_text(str(text)))


class Calibrations:
    """Takes what waits in the folder into the ledger."""

    def __init__(
        self,
        data_dir: Path,
        maker: EntryMaker,
        *,
        put: Callable[[Callable[[], list[Entry]]], Awaitable[None]],
        groups: Callable[[], int],
    ) -> None:
        """put: the intake's, which calls in turn; groups: how many groups it has synced."""
        self._folder, self._maker = data_dir / FOLDER, maker
        self._put, self._groups = put, groups
        self._refused: set[str] = set()
        self._made: dict[Path, int] = {}  # groups synced when its entries were made

    async def look(self) -> None:
        """Takes every replacement whose device has spoken; the others wait for its first word."""
        for path in sorted(self._folder.glob("*.json"))[:WAITING_MAX]:
            if path in self._made:
                if self._groups() > self._made[path]:
                    del self._made[path]
                    path.unlink(missing_ok=True)
            elif path.name not in self._refused:
                await self._take(path)

    async def _take(self, path: Path) -> None:
        try:
            item = read(path)
        except (OSError, ValueError, KeyError, TypeError, BodyError) as error:
            self._refused.add(path.name)
            _log.error("replacement_refused file=%s error=%s", path, error)
            return

        def make() -> list[Entry]:
            text = item.calibration.to_text()
            entries, is_known = self._maker.calibrate(item.device_id, item.channel, text)
            if is_known:
                self._made[path] = self._groups() if entries else -1
                _log.info("probe_replaced device=%s entries=%d", item.device_id, len(entries))
            return entries

        await self._put(make)
