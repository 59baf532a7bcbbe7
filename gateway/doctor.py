"""`wharf doctor`: one red or green answer about this box, each finding with its mend in words."""

import asyncio
import os
import shutil
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from consortium.errors import ConsortiumError
from firmware_bridge.errors import FirmwareBridgeError
from firmware_bridge.keys.registry import open_signer
from gateway.chain_door import open_door
from gateway.clock import WALL_US_MIN, WallReading, system_wall
from gateway.config import GatewayConfig, PeerConfig
from gateway.errors import GatewayError

DISK_FREE_SHARE_MIN: Final = 0.1
BACKLOG_BLOCKS_MAX: Final = 100
PEER_TIMEOUT_S: Final = 5.0
SYNC_MS_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `mend` is empty where nothing has to be done."""

    subject: str
    good: bool
    said: str
    mend: str = ""


def clock_finding(wall: WallReading) -> Finding:
    """Is the time known, and from where?"""
    if wall.wall_us < WALL_US_MIN:
        return Finding("clock", good=False, said="the clock has no time", mend=_CLOCK_MEND)
    if wall.synchronised:
        said = f"network time, right to ± {wall.error_us / 1000:.0f} ms"
        return Finding("clock", good=True, said=said)
    said = "nothing disciplines the clock; readings are marked so"
    return Finding("clock", good=False, said=said, mend=_CLOCK_MEND)


_CLOCK_MEND: Final = "enable systemd-timesyncd or chrony, add a clock module or a GNSS receiver"


def disk_finding(folder: Path) -> Finding:
    """Is there room, and how long does a sync take?"""
    usage = shutil.disk_usage(folder)
    share = usage.free / usage.total
    probe = folder / "doctor.probe"
    begun = time.perf_counter()
    with probe.open("wb") as file:
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
    sync_ms = (time.perf_counter() - begun) * 1000
    probe.unlink()
    said = f"{share:.0%} free, a sync takes {sync_ms:.1f} ms"
    if share < DISK_FREE_SHARE_MIN:
        return Finding("disk", good=False, said=said, mend="free space, or move data_dir to a disk")
    if sync_ms > SYNC_MS_MAX:
        return Finding(
            "disk", good=False, said=said, mend="the disk is slow or failing: replace it"
        )
    return Finding("disk", good=True, said=said)


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
    backlog = report["sealed_height"] - report["anchored_height"]
    late = backlog > BACKLOG_BLOCKS_MAX
    mend = "the chain machine is away or refuses; see its finding" if late else ""
    said = f"{backlog} blocks wait for their anchor"
    findings.append(Finding("backlog", good=not late, said=said, mend=mend))
    return findings


async def examine(config: GatewayConfig, report: dict[str, Any] | None) -> list[Finding]:
    """Everything that can be looked at without disturbing a running gateway."""
    findings = [clock_finding(system_wall()), disk_finding(config.data_dir)]
    findings.append(await key_finding(config))
    broker = broker_finding(config)
    findings += [broker] if broker else []
    findings += port_findings(config)
    for peer in config.peers:
        findings.append(await peer_finding(peer))
    if not config.peers:
        mend = "add [[consortium]]: without it nothing is mirrored or anchored"
        findings.append(Finding("chain", good=False, said="no chain machine is named", mend=mend))
    return findings + running_findings(report)


def words(findings: Sequence[Finding], colour: Callable[[bool, str], str]) -> str:
    """The findings as lines, the answer first."""
    bad = [finding for finding in findings if not finding.good]
    answer = "all is well" if not bad else f"{len(bad)} things want a hand"
    lines = [colour(not bad, answer)]
    width = max(len(finding.subject) for finding in findings)
    for finding in findings:
        mark = colour(finding.good, "ok " if finding.good else "BAD")
        lines.append(f"  {mark} {finding.subject:<{width}}  {finding.said}")
        if finding.mend and not finding.good:
            lines.append(f"      {'':<{width}}  mend: {finding.mend}")
    return "\n".join(lines)
