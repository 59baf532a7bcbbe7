"""Recorded device logs of a folder and how to replay them: `captures.toml`, read or proposed.

```
[[capture]]
file = "gnss/receiver.log"   # relative to the folder
codec = "nmea"               # a driver that reads streams
baud = 9600                  # speed of the line that was recorded
rate = 1                     # times as fast as that; 0: as fast as it goes
clock = "device"             # "device": the recording tells its own time; "none": it does not
```
"""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from firmware_bridge.devices import DeviceSpec, Observation
from firmware_bridge.driver import Driver, Moment
from firmware_bridge.driver_registry import driver_names, find_driver
from firmware_bridge.errors import SpecError
from firmware_bridge.transports.replay import without_comments
from logistics.reading import Position

FILE_NAME: Final = "captures.toml"
_CLOCKS: Final = ("device", "none")
_FIELDS: Final = frozenset({"file", "codec", "baud", "rate", "clock"})
# Companions of recordings: what other programs made of them, tables, descriptions.
_NOT_RECORDED: Final = frozenset({".chk", ".json", ".csv", ".md", ".txt", ".toml"})
_SAMPLE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """One recording."""

    file: str
    codec: str
    baud: int
    rate: int = 1
    clock: str = "none"

    def spec(self, folder: Path, *, loop: bool = False) -> DeviceSpec:
        """The recording as a device whose id is the file's name without its ending."""
        # The path goes into a URI as it is: `?` would begin the parameters.
        path = (folder / self.file).resolve()
        if "?" in str(path):
            raise SpecError("file", f"{path} holds a question mark")
        query = f"baud={self.baud}&rate={self.rate}&loop={int(loop)}"
        return DeviceSpec(
            id=quote(Path(self.file).stem, safe=""),
            driver=self.codec,
            source=f"replay:{path}?{query}",
        )


def load(folder: Path) -> tuple[Capture, ...]:
    """The captures of `captures.toml`, or those proposed where the folder has none. Raises
    SpecError.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return propose(folder)
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(str(path), f"not readable as TOML: {error}") from error
    if set(document) != {"capture"} or not isinstance(document["capture"], list):
        raise SpecError(str(path), "holds something else than [[capture]] tables")
    return tuple(_capture(item, folder) for item in document["capture"])


def _capture(item: dict[str, Any], folder: Path) -> Capture:
    name = f"{folder / FILE_NAME}: {item.get('file', '[[capture]]')}"
    if not {"file", "codec"} <= set(item) <= _FIELDS:
        raise SpecError(
            name, f"fields are {', '.join(sorted(_FIELDS))}; file and codec must be there"
        )
    codec, baud, rate = item["codec"], item.get("baud", 9600), item.get("rate", 1)
    clock = item.get("clock", "none")
    codecs = stream_drivers()
    if codec not in codecs or clock not in _CLOCKS:
        raise SpecError(name, f"codec is one of {', '.join(codecs)}, clock of {', '.join(_CLOCKS)}")
    if type(baud) is not int or type(rate) is not int or baud < 1 or rate < 0:
        raise SpecError(name, "baud and rate are whole numbers above zero (rate may be 0)")
    if not (folder / str(item["file"])).is_file():
        raise SpecError(name, "no such file")
    return Capture(file=str(item["file"]), codec=codec, baud=baud, rate=rate, clock=clock)


def propose(folder: Path) -> tuple[Capture, ...]:
    """What each file of the folder seems to be, judged by which codec finds readings in it."""
    found = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.suffix in _NOT_RECORDED:
            continue
        with path.open("rb") as file:
            sample = without_comments(file.read(_SAMPLE_BYTES))
        capture = _recognise(path.relative_to(folder), sample)
        if capture is not None:
            found.append(capture)
    return tuple(found)


def stream_drivers() -> dict[str, Driver]:
    """The drivers whose recordings are streams of bytes, by name."""
    drivers = {name: find_driver(name) for name in driver_names()}
    return {name: driver for name, driver in drivers.items() if driver.is_stream}


def readings_in(driver: Driver, sample: bytes) -> list[Observation]:
    """What the driver, with its options as they are by default, reads in these bytes."""
    try:
        session = driver.open({})
    except SpecError:
        return []  # it cannot do without being told something
    session.turn(Moment())
    return [event for event in session.feed(sample, Moment()) if isinstance(event, Observation)]


def _recognise(file: Path, sample: bytes) -> Capture | None:
    drivers = stream_drivers()
    readings = {name: readings_in(driver, sample) for name, driver in drivers.items()}
    codec = max(readings, key=lambda name: len(readings[name]))
    if not readings[codec]:
        return None
    records = [event.record for event in readings[codec]]
    is_dated = any(isinstance(item, Position) and item.gnss_time_ms is not None for item in records)
    clock = "device" if is_dated else "none"
    return Capture(file=file.as_posix(), codec=codec, baud=drivers[codec].baud, clock=clock)


def to_toml(captures: Sequence[Capture]) -> str:
    """The text of a `captures.toml` that says the same."""
    lines = ["# How the recordings of this folder are replayed. rate: times as fast as recorded.\n"]
    for item in captures:
        escaped = item.file.replace("\\", "\\\\").replace('"', '\\"')
        lines.append(
            f'\n[[capture]]\nfile = "{escaped}"\ncodec = "{item.codec}"\nbaud = {item.baud}\n'
            f'rate = {item.rate}\nclock = "{item.clock}"\n'
        )
    return "".join(lines)
