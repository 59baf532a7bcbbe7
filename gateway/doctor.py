"""`wharf doctor`: one red or green answer about this box, each finding with its mend in words."""

import asyncio
import errno
import os
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from consortium.errors import ConsortiumError
from firmware_bridge.errors import FirmwareBridgeError
from firmware_bridge.keys.registry import open_signer
from gateway.clock import WALL_US_MIN, WallReading, system_wall
from gateway.config import DiskConfig, GatewayConfig, PeerConfig
from gateway.errors import GatewayError
from gateway.wear import Wear, read_wear
from ledger.entry import QUALITY_AUTHENTICATED, QUALITY_GNSS

DISK_FREE_SHARE_MIN: Final = 0.1
BACKLOG_BLOCKS_MAX: Final = 100
BACKLOG_AGE_S_MAX: Final = 900
YEARS_SAID_MAX: Final = 99
CALIBRATION_DAYS_MIN: Final = 30
DAY_US: Final = 86_400_000_000
PEER_TIMEOUT_S: Final = 5.0
SYNC_MS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `mend` is empty where nothing has to be done."""

    subject: str
    good: bool
    said: str
    mend: str = ""


def clock_finding(wall: WallReading, quality: int | None = None) -> Finding:
    """Is the time known, and from where? quality: as the running gateway judges it."""
    if quality in _CLOCK_WORDS:
        return Finding("clock", good=True, said=_CLOCK_WORDS[quality])
    if wall.wall_us < WALL_US_MIN:
        return Finding("clock", good=False, said="the clock has no time", mend=_CLOCK_MEND)
    if wall.synchronised:
        said = f"network time, right to ± {wall.error_us / 1000:.0f} ms"
        return Finding("clock", good=True, said=said)
    said = "nothing disciplines the clock; readings are marked so"
    return Finding("clock", good=False, said=said, mend=_CLOCK_MEND)


_CLOCK_WORDS: Final = {
    QUALITY_GNSS: "satellite time, from a receiver on this box",
    QUALITY_AUTHENTICATED: "network and satellite time agree",
}
_CLOCK_MEND: Final = "enable systemd-timesyncd or chrony, add a clock module or a GNSS receiver"


def room_finding(folder: Path) -> Finding:
    """Is there room?"""
    usage = shutil.disk_usage(folder)
    share = usage.free / usage.total
    mend = "" if share >= DISK_FREE_SHARE_MIN else _ROOM_MEND
    return Finding("disk", good=not mend, said=f"{share:.0%} free", mend=mend)


_ROOM_MEND: Final = "free space, or move data_dir to a larger disk"


def sync_finding(folder: Path) -> Finding:
    """How long does a sync take?"""
    try:
        sync_ms = _sync_ms(folder / "doctor.probe")
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = _ROOM_MEND if full else "replace or mend the disk"
        said = f"a small file cannot be written: {error.strerror}"
        return Finding("disk sync", good=False, said=said, mend=mend)
    mend = "the disk is slow or failing: replace it" if sync_ms > SYNC_MS_MAX else ""
    said = f"takes {sync_ms:.1f} ms"
    return Finding("disk sync", good=not mend, said=said, mend=mend)


def wear_finding(wear: Wear, disk: DiskConfig) -> Finding:
    """How many years does a disk like this one last?"""
    subject, a_day = "disk wear", wear.bytes_a_day
    if a_day is None:
        return Finding(subject, good=True, said="not known before ten minutes of running")
    said = f"{a_day / 1e6:,.0f} MB a day are written"
    years = wear.years(disk.endurance_gb)
    if years is None:
        return Finding(subject, good=True, said=f"{said}; [disk] endurance_gb is not given")
    said = f"{said}: {min(years, YEARS_SAID_MAX)} years of {disk.endurance_gb:,} GB"
    mend = "" if years >= disk.years_min else _WEAR_MEND
    return Finding(subject, good=not mend, said=said, mend=mend)


_WEAR_MEND: Final = "use a disk of higher endurance, or seal less often: [seal] interval_s"


def _sync_ms(probe: Path) -> float:
    """How long a small file takes to be durable; it is gone again afterwards. Raises OSError."""
    begun = time.perf_counter()
    try:
        with probe.open("wb") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
        return (time.perf_counter() - begun) * 1000
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


async def key_finding(config: GatewayConfig) -> Finding:
    """Does the key holder sign? Asked once: a refused PIN is not tried again."""
    try:
        signer = await open_signer(config.key_uri, development=config.development)
        try:
            await signer.health()
        finally:
            await signer.aclose()
    except FirmwareBridgeError as error:
        mend = "plug the token in, check [key] uri and the PIN file"
        return Finding("key", good=False, said=str(error), mend=mend)
    if not signer.info.hardware:
        said = f"signs; held in software ({signer.info.backend}): verdicts say so"
        return Finding("key", good=config.development, said=said, mend=_KEY_MEND)
    return Finding("key", good=True, said=f"signs; {signer.info.label} in hardware")


_KEY_MEND: Final = "use a hardware token outside development"


def broker_finding(config: GatewayConfig) -> Finding | None:
    """Does the broker answer? None where no device needs one."""
    if not any(device.spec.source.startswith("mqtt:") for device in config.devices):
        return None
    place = f"{config.broker.host}:{config.broker.port}"
    try:
        with socket.create_connection((config.broker.host, config.broker.port), PEER_TIMEOUT_S):
            return Finding("broker", good=True, said=f"{place} answers")
    except OSError as error:
        said = f"{place}: {error.strerror or error}"
        return Finding("broker", good=False, said=said, mend="sudo systemctl start mosquitto")


def port_findings(config: GatewayConfig) -> list[Finding]:
    """Are the configured ports and probes there?"""
    findings = []
    for device in config.devices:
        scheme, _, rest = device.spec.source.partition(":")
        if scheme not in ("serial", "w1"):
            continue
        path = Path(rest.partition("?")[0])
        there = path.exists()
        said = f"{path} {'is there' if there else 'is not there'}"
        mend = "" if there else "plug it in; `wharf devices` lists what is"
        findings.append(Finding(f"device {device.spec.id}", good=there, said=said, mend=mend))
    return findings


async def peer_finding(peer: PeerConfig) -> Finding:
    """Does the chain machine answer, with the chain that we trust?"""
    subject = f"chain machine {peer.address}"
    from gateway.chain_door import open_door  # noqa: PLC0415  # gRPC is not for the page's process

    try:
        door = open_door(peer)
        try:
            async with asyncio.timeout(PEER_TIMEOUT_S):
                genesis, height = await door.chain()
        finally:
            await door.aclose()
    except (ConsortiumError, GatewayError, TimeoutError) as error:
        said = str(error) or "no answer"
        return Finding(subject, good=False, said=said, mend="check network, address, certificate")
    if genesis != peer.genesis_sha256:
        said = f"runs another chain ({genesis.hex()[:16]}…)"
        return Finding(subject, good=False, said=said, mend="check [[consortium]] genesis_sha256")
    return Finding(subject, good=True, said=f"answers, chain height {height}")


def running_findings(report: dict[str, Any] | None) -> list[Finding]:
    """What the running gateway says of itself."""
    if report is None:
        return [Finding("gateway", good=False, said="does not run", mend="wharf gateway run")]
    findings = [
        Finding("gateway", good=False, said=fault, mend="see its log") for fault in report["faults"]
    ]
    findings += [_backlog_finding(report), _readings_finding(report)]
    findings += calibration_findings(report, system_wall().wall_us)
    return findings + silence_findings(report)


def _backlog_finding(report: dict[str, Any]) -> Finding:
    backlog = report["sealed_height"] - report["anchored_height"]
    age_s = report.get("backlog_age_s", 0)
    late = backlog > BACKLOG_BLOCKS_MAX or (backlog > 0 and age_s > BACKLOG_AGE_S_MAX)
    mend = "the chain machine is away or refuses; see its finding" if late else ""
    said = f"{backlog} blocks wait for their anchor" + (f", for {age_s} s" if backlog else "")
    return Finding("backlog", good=not late, said=said, mend=mend)


def _readings_finding(report: dict[str, Any]) -> Finding:
    """May readings leave the box before it is full?"""
    used, limit = report.get("used_percent", 0), report.get("used_percent_max", 100)
    said = f"the ledger takes {used} % of its room"
    if used < limit:
        return Finding("readings", good=True, said=said)
    return Finding("readings", good=False, said=said, mend=_READINGS_MEND)


_READINGS_MEND: Final = (
    "too few parties mirror or open this feed for its readings to leave; see [retention]"
)


def calibration_findings(report: dict[str, Any], wall_us: int) -> list[Finding]:
    """Which probes' certificates are past due, or soon will be? Those without one are not told."""
    findings = []
    for row in report.get("channels", []):
        until_us = row.get("calibration_until_us")
        if until_us is None:
            continue
        left_days = (until_us - wall_us) // DAY_US
        subject = f"calibration {row['device']}/{row['channel']}"
        said = f"{left_days} days left" if left_days >= 0 else f"past due for {-left_days} days"
        mend = _CALIBRATION_MEND if left_days < CALIBRATION_DAYS_MIN else ""
        findings.append(Finding(subject, good=not mend, said=said, mend=mend))
    return findings


_CALIBRATION_MEND: Final = "have the probe calibrated, then `wharf devices replace`"


def silence_findings(report: dict[str, Any]) -> list[Finding]:
    """Which probes say nothing?"""
    return [
        Finding(
            f"probe {row['device']}/{row['channel']}",
            good=False,
            said="is silent" + _since(row.get("last_wall_us")),
            mend=_SILENT_MEND,
        )
        for row in report.get("channels", [])
        if row.get("silent")
    ]


_SILENT_MEND: Final = "look at its battery, its cable, its distance"


def _since(wall_us: int | None) -> str:
    if wall_us is None:
        return ""
    return datetime.fromtimestamp(wall_us // 1_000_000, UTC).strftime(" since %Y-%m-%d %H:%M UTC")


def box_findings(config: GatewayConfig, report: dict[str, Any] | None) -> list[Finding]:
    """What can be seen at a glance: nothing is written, opened or asked of others for it."""
    quality = None if report is None else report.get("clock_quality")
    return [
        clock_finding(system_wall(), quality),
        room_finding(config.data_dir),
        wear_finding(read_wear(config.data_dir), config.disk),
        *port_findings(config),
        *running_findings(report),
    ]


async def examine(config: GatewayConfig, report: dict[str, Any] | None) -> list[Finding]:
    """Everything that can be looked at without disturbing a running gateway."""
    findings = box_findings(config, report)
    findings += [sync_finding(config.data_dir), await key_finding(config)]
    broker = broker_finding(config)
    findings += [broker] if broker else []
    for peer in config.peers:
        findings.append(await peer_finding(peer))
    if not config.peers:
        mend = "add [[consortium]]: without it nothing is mirrored or anchored"
        findings.append(Finding("chain", good=False, said="no chain machine is named", mend=mend))
    return findings


def words(findings: Sequence[Finding], colour: Callable[[bool, str], str]) -> str:
    """The findings as lines, the answer first."""
    bad = [finding for finding in findings if not finding.good]
    want = "thing wants" if len(bad) == 1 else "things want"
    answer = "all is well" if not bad else f"{len(bad)} {want} a hand"
    lines = [colour(not bad, answer)]
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        mark = colour(finding.good, "ok " if finding.good else "BAD")
        lines.append(f"  {mark} {finding.subject:<{width}}  {finding.said}")
        if finding.mend and not finding.good:
            lines.append(f"      {'':<{width}}  mend: {finding.mend}")
    return "\n".join(lines)
