"""LLRP over real sockets: our reader in simulation, and somebody else's readers and clients."""

import asyncio
import contextlib
import json
import ssl
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from llrpkit.emulator import EmulatedTag, LLRPEmulator
from llrpkit.reader import Reader

from firmware_bridge.bridge import run_device
from firmware_bridge.codecs.llrp import Type, encode_message
from firmware_bridge.devices import Arrival, DeviceSpec, Reason
from firmware_bridge.errors import TransportError
from firmware_bridge.simulators.llrp_reader import LlrpReader
from logistics.reading import TagSighting, Telemetry

RECORDED = Path(__file__).parents[4] / "shared/captures/llrp"
PALLET = TagSighting(epc=bytes.fromhex("3174257bf4499602d2000000"), antenna=1, rssi_cdbm=-5000)
OTHER_DOOR = TagSighting(epc=bytes.fromhex("3074257bf7194e4000001a85"), antenna=3, rssi_cdbm=-6100)


def mono_us() -> int:
    return time.monotonic_ns() // 1000


def spec(port: int, scheme: str = "tcp", **options: Any) -> DeviceSpec:
    source = f"{scheme}:127.0.0.1:{port}"
    return DeviceSpec(id="dock", driver="llrp", source=source, options=options)


@contextlib.asynccontextmanager
async def running(device: DeviceSpec, sink: Any) -> AsyncIterator["asyncio.Task[None]"]:
    wall_ms = lambda: time.time_ns() // 10**6  # noqa: E731  # a clock of one line
    task = asyncio.create_task(run_device(device, sink, mono_us=mono_us, wall_ms=wall_ms))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def reads(reader: LlrpReader, until: Callable[[], bool]) -> None:
    """Rounds of inventory until something holds."""
    async with asyncio.timeout(15):
        while not until():
            reader.see([PALLET, OTHER_DOOR])
            await asyncio.sleep(0.005)


def tags(collector: Any) -> list[TagSighting]:
    return [item for item in collector.observations if isinstance(item, TagSighting)]


async def test_a_reader_is_configured_and_its_tags_come_with_antenna_and_signal(
    collector: Any,
) -> None:
    reader = LlrpReader(clock_us=lambda: time.time_ns() // 1000 + 90_000_000)
    async with await reader.listen(0) as server:
        port = server.sockets[0].getsockname()[1]
        wish: dict[str, Any] = {"antennas": "1,2", "power_cdbm": 2750, "mode": 1002, "session": 2}
        async with running(spec(port, keepalive_ms=100, **wish), collector):
            await reads(reader, lambda: bool(tags(collector)) and reader.acknowledged > 1)
            reader.tell_antenna(2, is_connected=False)
            reader.tell_exception("too hot")
            await collector.until(lambda c: any(a.rejected for a in c.arrivals))
    assert [] == reader.refused
    assert {(PALLET.epc, 1, -5000, 0x3000)} == {
        (tag.epc, tag.antenna, tag.rssi_cdbm, tag.pc) for tag in tags(collector)
    }
    observed = [item for arrival in collector.arrivals for item in arrival.observations]
    offset = next(item.record for item in observed if item.channel == "clock")
    assert isinstance(offset, Telemetry)
    assert 89_000 < offset.value < 91_000
    # The reader's own time stays beside ours, not corrected.
    assert abs((tags(collector)[0].device_time_ms or 0) - time.time_ns() // 10**6 - 90_000) < 5_000
    assert [0] == [item.record.value for item in observed if item.channel == "antenna/2"]
    assert [(b"too hot", Reason.FAULT)] == [
        (item.raw, item.reason) for arrival in collector.arrivals for item in arrival.rejected
    ]


@pytest.mark.parametrize(
    ("option", "words"),
    [({"antennas": "1,9"}, "antenna 9"), ({"mode": 3}, "mode 3"), ({"power_cdbm": 900}, "900")],
)
async def test_what_the_reader_cannot_do_is_said_with_what_it_can(
    option: dict[str, Any], words: str, collector: Any
) -> None:
    async with await LlrpReader().listen(0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TransportError, match=words):
            await asyncio.wait_for(
                run_device(spec(port, **option), collector, mono_us=mono_us), timeout=10
            )


async def test_a_busy_reader_is_left_and_a_cut_line_is_told(collector: Any) -> None:
    reader = LlrpReader()
    async with await reader.listen(0) as server:
        port = server.sockets[0].getsockname()[1]
        reader.is_busy = True
        with pytest.raises(TransportError, match="another client"):
            await run_device(spec(port), collector, mono_us=mono_us)
        reader.is_busy = False
        async with running(spec(port), collector) as task:
            await reads(reader, lambda: bool(tags(collector)))
            reader.cut()
            with pytest.raises(TransportError):
                await asyncio.wait_for(task, 10)
        async with running(spec(port), collector):
            before = len(tags(collector))
            await reads(reader, lambda: len(tags(collector)) > before)


async def test_a_reader_that_says_nothing_any_more_is_hung_up_on(collector: Any) -> None:
    reader = LlrpReader()
    async with await reader.listen(0) as server:
        port = server.sockets[0].getsockname()[1]
        async with running(spec(port, keepalive_ms=100), collector) as task:
            await reads(reader, lambda: bool(tags(collector)))
            reader.is_mute = True
            with pytest.raises(TransportError, match="silent"):
                await asyncio.wait_for(task, 10)


async def test_garbage_in_the_stream_costs_nothing_but_itself(collector: Any) -> None:
    reader = LlrpReader()
    async with await reader.listen(0) as server:
        port = server.sockets[0].getsockname()[1]
        async with running(spec(port), collector):
            await reads(reader, lambda: bool(tags(collector)))
            reader.send_garbage(b"\xff" * 40)
            before = len(tags(collector))
            await reads(reader, lambda: len(tags(collector)) > before + 10)
    (noise,) = [item for arrival in collector.arrivals for item in arrival.rejected]
    assert (Reason.NOISE, 40) == (noise.reason, noise.size_bytes)


def certificate(folder: Path) -> tuple[Path, Path]:
    """(certificate, key) of a reader at 127.0.0.1, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "reader")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "reader.pem", folder / "reader.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, private


async def test_tls_believes_the_named_certificate_and_no_other(
    collector: Any, tmp_path: Path
) -> None:
    pem, key = certificate(tmp_path)
    (tmp_path / "other").mkdir()
    other, _ = certificate(tmp_path / "other")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem, key)
    reader = LlrpReader()
    async with await reader.listen(0, tls) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TransportError):
            await run_device(spec(port, "tls", ca_file=str(other)), collector, mono_us=mono_us)
        async with running(spec(port, "tls", ca_file=str(pem)), collector):
            await reads(reader, lambda: bool(tags(collector)))


async def test_somebody_elses_reader_is_understood_and_its_keepalive_answered(
    collector: Any,
) -> None:
    seen = [
        EmulatedTag(epc=PALLET.epc, antennas=(2,), rssi_dbm=-50.0),
        EmulatedTag(epc=bytes(range(8)), antennas=(1,)),
    ]
    async with LLRPEmulator(tags=seen, reads_per_sec=200) as emulator:
        wish: dict[str, Any] = {"power_cdbm": 3000, "mode": 2, "session": 1, "keepalive_ms": 100}
        async with running(spec(emulator.port, **wish), collector):
            await collector.until(lambda c: len({tag.epc for tag in tags(c)}) == 2)
            async with asyncio.timeout(10):
                while emulator.keepalive_acks < 2:  # noqa: ASYNC110  # it has no event for that
                    await asyncio.sleep(0.01)
            with pytest.raises(TransportError, match="another client"):
                await run_device(spec(emulator.port), collector, mono_us=mono_us)
    assert {(PALLET.epc, 2), (bytes(range(8)), 1)} == {
        (tag.epc, tag.antenna) for tag in tags(collector)
    }


async def test_somebody_elses_client_reads_from_our_reader() -> None:
    reader = LlrpReader()
    async with await reader.listen(0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Reader("127.0.0.1", port) as client:
            assert 4 == client.max_antennas
            pump = asyncio.create_task(reads(reader, lambda: False))
            found = {(r.epc, r.antenna) async for r in client.inventory(max_tags=4)}
            pump.cancel()
    assert {(PALLET.epc, 1), (OTHER_DOOR.epc, 3)} == found


async def test_recordings_of_readers_give_what_their_companions_say(
    collector: Any, tmp_path: Path
) -> None:
    own = tmp_path / "ROAccessReport-000.bytes"
    own.write_bytes(bytes.fromhex("00f0001f8d3000abcdef0000000000000381000186d0820005a9e4bef862e0"))
    own.with_suffix(".json").write_text(
        '{"TagReportData": [{"EPC96": {"EPC": "MACrze8AAAAAAAAD"}, "AntennaID": 1,'
        ' "PeakRSSI": -48, "FirstSeenUTC": 1594174805140192}]}'
    )
    for path in sorted((RECORDED if RECORDED.is_dir() else tmp_path).glob("ROAccess*.bytes")):
        replay = tmp_path / "replay.llrp"
        replay.write_bytes(encode_message(Type.REPORT, 1, path.read_bytes()))
        device = DeviceSpec(id="dock", driver="llrp", source=f"replay:{replay}?rate=0")
        before = len(tags(collector))
        await run_device(device, collector, mono_us=mono_us)
        expected = json.loads(path.with_suffix(".json").read_text())["TagReportData"]
        assert [
            (b64decode(t["EPC96"]["EPC"]), t["AntennaID"], t["PeakRSSI"], t["FirstSeenUTC"] // 1000)
            for t in expected
        ] == [
            (tag.epc, tag.antenna, (tag.rssi_cdbm or 0) // 100, tag.device_time_ms)
            for tag in tags(collector)[before:]
        ]
    assert tags(collector)
    assert not [item for arrival in collector.arrivals for item in arrival.rejected]


async def test_a_recorded_farewell_ends_the_recording(collector: Any, tmp_path: Path) -> None:
    body = bytes.fromhex("00f600140080000c0005ac35bd20d1da01010004")
    recorded = RECORDED / "ReaderEventNotification-000.bytes"
    body = recorded.read_bytes() if recorded.exists() else body
    replay = tmp_path / "replay.llrp"
    farewell = encode_message(Type.READER_EVENT, 1, body)
    replay.write_bytes(2 * farewell)
    device = DeviceSpec(id="dock", driver="llrp", source=f"replay:{replay}?rate=0")
    arrived: list[Arrival] = []

    async def sink(arrival: Arrival) -> None:
        arrived.append(arrival)

    await run_device(device, sink, mono_us=mono_us, wall_ms=lambda: 1_596_721_689_000)
    ((item,),) = [arrival.observations for arrival in arrived]
    assert ("clock", 842) == (item.channel, getattr(item.record, "value", None))
