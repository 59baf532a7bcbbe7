"""An R200 / M100 reader on a serial line: silent until it is commanded, then a notice per tag and
round.
"""

import asyncio
from pathlib import Path

from firmware_bridge.codecs.rfid_uhf import (
    CHANNEL,
    HEADS,
    PAYLOAD_BYTES_MAX,
    encode_frame,
    no_tag,
    tag_notice,
)
from firmware_bridge.devices import Observation
from firmware_bridge.errors import SpecError
from firmware_bridge.simulators.pty_line import PtyLine
from firmware_bridge.simulators.sent_log import SentLog
from firmware_bridge.simulators.spec import SimulatedDevice
from firmware_bridge.simulators.ticks import Ticks, unix_us
from firmware_bridge.simulators.trip import Trip
from logistics.reading import TagSighting

_RSSI_DBM = (-72, -48)
_DONE = b"\x00"


def split_commands(pending: bytearray, head: int) -> list[tuple[int, bytes]]:
    """(command, payload) of the whole commands at the front; takes them out of pending."""
    found = []
    while pending:
        size = int.from_bytes(pending[3:5], "big") + 7
        is_command = pending[:2] == bytes((head, 0))[: len(pending)]
        if not is_command or (len(pending) >= 5 and size > PAYLOAD_BYTES_MAX):
            del pending[0]
            continue
        if len(pending) < max(size, 7):
            break
        frame = bytes(pending[:size])
        if sum(frame[1:-2]) & 255 != frame[-2] or frame[-1] != HEADS[head]:
            del pending[0]
            continue
        found.append((frame[2], frame[5:-2]))
        del pending[:size]
    return found


class _Reader:
    """What the reader is doing: how many rounds are left."""

    def __init__(self, head: int) -> None:
        self.rounds = 0
        self._head, self._pending = head, bytearray()

    def take(self, data: bytes) -> bytes:
        """Obeys the commands in these bytes; returns the answers."""
        self._pending += data
        answers = b""
        for command, payload in split_commands(self._pending, self._head):
            match command:
                case 0x22:
                    self.rounds = 1
                case 0x27:
                    self.rounds = int.from_bytes(payload[1:3], "big")
                case 0x28:
                    self.rounds = 0
                    answers += encode_frame(self._head, 1, command, payload=_DONE)
        return answers


def _in_view(device: SimulatedDevice, second: float) -> list[bytes]:
    try:
        return [
            bytes.fromhex(tag["epc"])
            for tag in device.fields.get("tags", [])
            if tag.get("from_s", 0) <= second < tag.get("to_s", float("inf"))
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise SpecError(f"devices.{device.id}.tags", "not [{epc, from_s, to_s}, ...]") from error


async def run_reader(device: SimulatedDevice, trip: Trip, *, log: SentLog, ticks: Ticks) -> None:
    """Speaks until the ticks end; a tick is a round."""
    head = int(device.text("head", "bb"), 16)
    reader, commands = _Reader(head), asyncio.Queue[bytes]()
    seq = 0
    with PtyLine(Path(device.text("link"))) as line:
        line.on_bytes(commands)
        async for tick in ticks:
            while not commands.empty():
                line.write(reader.take(commands.get_nowait()))
            if reader.rounds == 0:
                continue
            reader.rounds -= 1
            epcs = _in_view(device, trip.second(tick))
            if not epcs:
                line.write(no_tag(head))
            for epc in epcs:
                rssi_cdbm = 100 * trip.random.randint(*_RSSI_DBM)
                sighting = TagSighting(epc=epc, pc=len(epc) // 2 << 11, rssi_cdbm=rssi_cdbm)
                now_us = unix_us()
                written = line.write(tag_notice(head, sighting))
                seen = Observation(channel=CHANNEL, quantity="tag", unit=None, record=sighting)
                log.sent(seen, unix_us=now_us, seq=seq, written=written)
                seq += 1
