"""What a simulated device sent: JSON lines, written through at once, for accounting by others.

A value:  {"unix_us", "device", "channel", "seq", "value", "exponent", "device_time_ms", "written",
"qos"} An answer: {"unix_us", "device", "seq", "puback": true}

seq counts the device's frames or messages from 0; several channels of one message share it. value
is the integer that the bridge must decode (telemetry), [lat_e7, lon_e7] (position) or hexadecimal
(tags). written is false where a line's buffer was full and the frame was dropped whole, as a UART
would.
"""

import json
from pathlib import Path
from typing import Any, Self

from firmware_bridge.devices import Observation
from logistics.business_event import FrameDigest
from logistics.reading import Position, TagSighting


class SentLog:
    """The file `<log_dir>/<device>.jsonl`; appended to, so a restarted simulator does not hide the
    past.
    """

    def __init__(self, folder: Path, device_id: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._others = folder, dict[str, SentLog]()
        self._file = (folder / f"{device_id}.jsonl").open("a", encoding="utf-8")
        self._device_id = device_id

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for other in self._others.values():
            other.__exit__()
        self._file.close()

    def of(self, device_id: str) -> "SentLog":
        """The log of another device on the same line; it is closed with this one."""
        if device_id not in self._others:
            self._others[device_id] = SentLog(self._folder, device_id)
        return self._others[device_id]

    def sent(
        self,
        observation: Observation,
        *,
        unix_us: int,
        seq: int,
        written: bool = True,
        qos: int | None = None,
    ) -> None:
        """One value as it went out."""
        value, exponent, device_time_ms = _facts(observation)
        self._write(
            {
                "unix_us": unix_us,
                "device": self._device_id,
                "channel": observation.channel,
                "seq": seq,
                "value": value,
                "exponent": exponent,
                "device_time_ms": device_time_ms,
                "written": written,
                "qos": qos,
            }
        )

    def acknowledged(self, *, unix_us: int, seq: int) -> None:
        """The broker's PUBACK for a message."""
        self._write({"unix_us": unix_us, "device": self._device_id, "seq": seq, "puback": True})

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()


def _facts(observation: Observation) -> tuple[Any, int | None, int | None]:
    record = observation.record
    if isinstance(record, Position):
        return [record.lat_e7, record.lon_e7], None, record.gnss_time_ms
    if isinstance(record, TagSighting):
        return record.epc.hex(), None, record.device_time_ms
    if isinstance(record, FrameDigest):
        return record.sha256.hex(), None, record.device_time_ms
    return record.value, record.exponent, record.device_time_ms
