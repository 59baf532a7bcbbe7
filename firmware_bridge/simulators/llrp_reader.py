"""A fixed UHF reader that speaks LLRP over real TCP or TLS, with the faults that readers have.

It holds one client, refuses what it cannot do as a reader does, and reads only while a ROSpec is
active. A tick is a round of inventory.
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from firmware_bridge.codecs.llrp import (
    CHANNEL,
    LlrpFramer,
    Message,
    Param,
    Type,
    encode_message,
    first,
    parameters,
    tag_report,
    tlv,
)
from firmware_bridge.devices import Observation
from firmware_bridge.errors import SpecError
from firmware_bridge.simulators.sent_log import SentLog
from firmware_bridge.simulators.spec import SimulatedDevice
from firmware_bridge.simulators.ticks import Ticks, unix_us
from firmware_bridge.simulators.trip import Trip
from logistics.reading import TagSighting

POWERS_CDBM: Final = tuple(range(1000, 3100, 100))
MODES: Final = (0, 2, 1002)
HOP_TABLE: Final = 1
GARBAGE_BYTES: Final = 40
_FROM_CLIENT: Final = frozenset(Type)
_OK, _PARAMETER_ERROR, _NO_SUCH = 0, 100, 201
_BUSY: Final = 2
# What a ROSpec command needs the ROSpec to be, and makes of it.
_MOVES: Final = {
    Type.ENABLE_ROSPEC: ("disabled", "enabled"),
    Type.START_ROSPEC: ("enabled", "active"),
}


@dataclass(slots=True)
class _Client:
    """The connection that the reader holds."""

    writer: asyncio.StreamWriter
    rospecs: dict[int, str] = field(default_factory=dict)  # id -> state
    antennas: frozenset[int] = frozenset()
    keepalive: "asyncio.Task[None] | None" = None


class LlrpReader:
    """A reader that listens. clock_us: what it believes the time is, UTC since 1970."""

    def __init__(self, *, antennas: int = 4, clock_us: Callable[[], int] = unix_us) -> None:
        self.antennas, self._clock_us = antennas, clock_us
        self.is_mute = False  # sends nothing at all, keepalives included
        self.is_busy = False  # holds another client
        self.acknowledged = 0  # keepalives
        self.refused: list[str] = []  # what the client asked wrongly
        self._client: _Client | None = None
        self._number = 0

    async def listen(self, port: int, tls: ssl.SSLContext | None = None) -> asyncio.Server:
        """Serves on loopback; port 0 takes a free one."""
        return await asyncio.start_server(self._serve, "127.0.0.1", port, ssl=tls)

    @property
    def is_reading(self) -> bool:
        """Whether a client has started a ROSpec."""
        return self._client is not None and "active" in self._client.rospecs.values()

    def see(self, sightings: Sequence[TagSighting]) -> list[TagSighting]:
        """A round of inventory; returns what was reported of it."""
        client = self._client
        if client is None or not self.is_reading or self.is_mute:
            return []
        now_ms = self._clock_us() // 1000
        seen = [
            TagSighting(
                epc=item.epc,
                pc=len(item.epc) // 2 << 11 if item.pc is None else item.pc,
                rssi_cdbm=item.rssi_cdbm,
                antenna=item.antenna,
                device_time_ms=now_ms,
            )
            for item in sightings
            if not client.antennas or item.antenna in client.antennas
        ]
        for item in seen:
            self._send(client, Type.REPORT, tag_report(item))
        return seen

    def tell_antenna(self, number: int, *, is_connected: bool) -> None:
        """An antenna's cable was plugged or pulled."""
        value = bytes((is_connected,)) + number.to_bytes(2, "big")
        self._tell(tlv(Param.ANTENNA_EVENT, value))

    def tell_exception(self, words: str) -> None:
        """The reader has a fault of its own."""
        text = words.encode()
        self._tell(tlv(Param.READER_EXCEPTION, len(text).to_bytes(2, "big") + text))

    def send_garbage(self, data: bytes) -> None:
        """Bytes that are no LLRP, in the middle of the stream."""
        if self._client is not None:
            self._client.writer.write(data)

    def cut(self) -> None:
        """The cable is pulled: the connection ends without a word."""
        if self._client is not None:
            self._client.writer.transport.abort()

    def _tell(self, event: bytes) -> None:
        if self._client is not None:
            self._send(self._client, Type.READER_EVENT, self._event(event))

    def _event(self, event: bytes) -> bytes:
        time = tlv(Param.UTC, self._clock_us().to_bytes(8, "big"))
        return tlv(Param.EVENT_DATA, time + event)

    def _send(self, client: _Client, kind: Type, body: bytes = b"", number: int = -1) -> None:
        if self.is_mute or client.writer.is_closing():
            return
        self._number += number < 0
        client.writer.write(encode_message(kind, self._number if number < 0 else number, body))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = _Client(writer)
        is_refused = self.is_busy or self._client is not None
        attempt = tlv(Param.CONNECTION_ATTEMPT, (_BUSY if is_refused else _OK).to_bytes(2, "big"))
        self._send(client, Type.READER_EVENT, self._event(attempt))
        if not is_refused:
            self._client = client
            await self._listen(client, reader)
            self._client = None
            if client.keepalive is not None:
                client.keepalive.cancel()
        writer.close()

    async def _listen(self, client: _Client, reader: asyncio.StreamReader) -> None:
        framer = LlrpFramer(_FROM_CLIENT)
        while True:
            try:
                data = await reader.read(4096)
            except OSError:
                return
            if not data:
                return
            for message in framer.feed(data):
                if isinstance(message, Message):
                    self._obey(client, message)

    def _obey(self, client: _Client, message: Message) -> None:
        body = message.body
        match message.type:
            case Type.KEEPALIVE_ACK:
                self.acknowledged += 1
                return
            case Type.GET_CAPABILITIES:
                code, more = _OK, self._capabilities()
            case Type.SET_CONFIG:
                code, more = self._configure(client, body), b""
            case Type.ADD_ROSPEC:
                code, more = self._add(client, body), b""
            case Type.DELETE_ROSPEC:
                code, more = self._delete(client, int.from_bytes(body, "big")), b""
            case Type.ENABLE_ROSPEC | Type.START_ROSPEC:
                code, more = self._move(client, message.type, int.from_bytes(body, "big")), b""
            case _:
                return
        if code != _OK:
            self.refused.append(f"{message.type.name} {code}")
        status = tlv(Param.STATUS, code.to_bytes(2, "big") + bytes(2))
        self._send(client, Type(message.type + 10), status + more, message.id)

    def _capabilities(self) -> bytes:
        numbers = self.antennas.to_bytes(2, "big") + b"\x40\x00" + bytes(8)
        firmware = b"simulated 1"
        numbers += len(firmware).to_bytes(2, "big") + firmware
        protocols = [tlv(140, bytes((0, n + 1, 0, 1, 1))) for n in range(self.antennas)]
        # A step of receive sensitivity, no GPIO, Gen2 on each antenna.
        parts = tlv(139, b"\x00\x01\x00\x00") + tlv(141, bytes(4)) + b"".join(protocols)
        limits = tlv(142, b"\x00\x01\x00\x00" + (1).to_bytes(4, "big") * 5)
        powers = b"".join(
            tlv(Param.POWER_ENTRY, index.to_bytes(2, "big") + power.to_bytes(2, "big"))
            for index, power in enumerate(POWERS_CDBM, 1)
        )
        hops = tlv(Param.HOP_TABLE, bytes((HOP_TABLE, 0)) + bytes(2))
        modes = b"".join(
            tlv(Param.MODE_ENTRY, mode.to_bytes(4, "big") + bytes(24)) for mode in MODES
        )
        band = tlv(
            Param.UHF_BAND,
            powers
            + tlv(Param.FREQUENCY_INFORMATION, b"\x80" + hops)
            + tlv(Param.MODE_TABLE, modes),
        )
        general = tlv(Param.GENERAL_CAPABILITIES, numbers + parts)
        return general + limits + tlv(Param.REGULATORY_CAPABILITIES, bytes(4) + band)

    def _configure(self, client: _Client, body: bytes) -> int:
        keepalive = first(parameters(body[1:]), Param.KEEPALIVE_SPEC)
        if keepalive is None or len(keepalive) != 5:
            return _PARAMETER_ERROR
        period_s = int.from_bytes(keepalive[1:], "big") / 1000
        client.keepalive = asyncio.create_task(self._keep_alive(client, period_s))
        return _OK

    async def _keep_alive(self, client: _Client, period_s: float) -> None:
        while not client.writer.is_closing():
            await asyncio.sleep(period_s)
            self._send(client, Type.KEEPALIVE)

    def _add(self, client: _Client, body: bytes) -> int:
        rospec = first(parameters(body), 177)
        inside = parameters(rospec[6:]) if rospec is not None else None
        antennas = first(inside, 183)
        if rospec is None or antennas is None or first(inside, 237) is None:
            return _PARAMETER_ERROR
        count = int.from_bytes(antennas[:2], "big")
        numbers = [int.from_bytes(antennas[2 * at + 2 : 2 * at + 4], "big") for at in range(count)]
        if not all(0 <= number <= self.antennas for number in numbers):
            return _PARAMETER_ERROR
        client.antennas = frozenset(numbers) - {0}
        client.rospecs[int.from_bytes(rospec[:4], "big")] = "disabled"
        return _OK

    def _delete(self, client: _Client, number: int) -> int:
        if number not in (0, *client.rospecs):
            return _NO_SUCH
        client.rospecs.clear() if number == 0 else client.rospecs.pop(number)
        return _OK

    def _move(self, client: _Client, kind: Type, number: int) -> int:
        before, after = _MOVES[kind]
        if client.rospecs.get(number) != before:
            return _NO_SUCH
        client.rospecs[number] = after
        return _OK


def _spans(device: SimulatedDevice, name: str) -> list[tuple[float, float]]:
    """A field of [[from second, to second], ...]; cuts and garbage come at the first. Raises
    SpecError.
    """
    try:
        return [(float(low), float(high)) for low, high in device.fields.get(name, [])]
    except (TypeError, ValueError) as error:
        raise SpecError(f"devices.{device.id}.{name}", "not [[second, second], ...]") from error


def _in_view(device: SimulatedDevice, second: float, rssi_dbm: int) -> list[TagSighting]:
    """Tags whose [from_s, to_s] holds this second. Raises SpecError."""
    try:
        return [
            TagSighting(
                epc=bytes.fromhex(tag["epc"]),
                antenna=int(tag.get("antenna", 1)),
                rssi_cdbm=100 * int(tag.get("rssi_dbm", rssi_dbm)),
            )
            for tag in device.fields.get("tags", [])
            if tag.get("from_s", 0) <= second < tag.get("to_s", float("inf"))
        ]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        words = "not [{epc, antenna, rssi_dbm, from_s, to_s}, ...]"
        raise SpecError(f"devices.{device.id}.tags", words) from error


def _tls(fields: Any) -> ssl.SSLContext | None:
    if "certificate" not in fields:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(str(fields["certificate"]), str(fields.get("key")))
    return context


async def run_llrp(device: SimulatedDevice, trip: Trip, *, log: SentLog, ticks: Ticks) -> None:
    """Listens and reads until the ticks end, with faults when they are due."""
    ahead_us = 1000 * int(device.fields.get("clock_ahead_ms", 0))
    reader = LlrpReader(clock_us=lambda: unix_us() + ahead_us)
    cuts = [low for low, _ in _spans(device, "cut_s")]
    garbage = [low for low, _ in _spans(device, "garbage_s")]
    seq = 0
    async with await reader.listen(int(device.fields.get("port", 5084)), _tls(device.fields)):
        async for tick in ticks:
            second = trip.second(tick)
            reader.is_mute = any(a <= second < b for a, b in _spans(device, "mute_s"))
            reader.is_busy = any(a <= second < b for a, b in _spans(device, "busy_s"))
            for item in reader.see(_in_view(device, second, trip.random.randint(-60, -45))):
                seen = Observation(channel=CHANNEL, quantity="tag", unit=None, record=item)
                log.sent(seen, unix_us=unix_us(), seq=seq)
                seq += 1
            if garbage and second >= garbage[0]:
                garbage.pop(0)
                reader.send_garbage(trip.random.randbytes(GARBAGE_BYTES))
            if cuts and second >= cuts[0]:
                cuts.pop(0)
                reader.cut()
        reader.cut()
