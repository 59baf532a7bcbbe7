"""The running gateway: which tasks there are, in which order they end, and what a page may ask of
them.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from firmware_bridge.bridge import MqttBridge
from firmware_bridge.conversation import Sink
from firmware_bridge.devices import DeviceSpec
from gateway.alarm_board import AlarmBoard
from gateway.calibrations import Calibrations
from gateway.clock import TimeModel
from gateway.device_records import DeviceRecords, RecordsDoor
from gateway.entry_maker import EntryMaker
from gateway.intake import Intake
from gateway.passport import Passport
from gateway.retention import Keeper, Witness
from gateway.sealing import Cutter, HeadSigner, OpenSigner
from gateway.site_keeper import ConfigurationDoor, SiteKeeper
from gateway.slots import SlotBook
from gateway.supervisor import Supervisor
from gateway.uplink import ChainDoor, Uplink
from gateway.wear import WearMeter
from ledger.entry import KIND_GAP, KIND_HEALTH, Entry
from ledger.store import FULL_SHARE_ALARM, Store
from logistics.calibration import calibration_of
from logistics.health import BoxHealth
from logistics.reading import Gap, GapReason
from logistics.units import decimal_text

SILENCE_CHECK_S: Final = 1.0
HEALTH_FIRST_S: Final = 5.0
HEALTH_S: Final = 3600.0
BACKLOG_FAULT_BLOCKS: Final = 1000
FLUSH_S: Final = 5.0
CUT_S: Final = 10.0
WITNESS_WAIT_S: Final = 5.0
_log = logging.getLogger(__name__)


class Door(ChainDoor, RecordsDoor, Witness, ConfigurationDoor, Protocol):
    """Everything that the gateway asks of a chain machine."""

    def introduce_by(self, introduce: Callable[[bytes, bytes], Awaitable[bytes]]) -> None:
        """How a gossip stream begins: (challenge, server's certificate digest) -> hello."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The gateway's parts, made by `compose`."""

    name: str
    feed_id: bytes
    development: bool
    store: Store
    book: SlotBook
    clock: TimeModel
    maker: EntryMaker
    intake: Intake
    cutter: Cutter
    signer: HeadSigner
    passport: Passport
    open_signer: OpenSigner
    mqtt: MqttBridge | None
    serial_specs: Sequence[DeviceSpec]
    run_device: Callable[[DeviceSpec, Sink], Awaitable[None]]
    uplinks: Sequence[Uplink]
    alarms: AlarmBoard
    calibrations: Calibrations
    wear: WearMeter
    keeper: Keeper
    records: DeviceRecords
    doors: Sequence[Door]
    site: SiteKeeper
    again: asyncio.Event  # set: end, and begin anew on what the configuration is then


class Gateway:
    """Runs the parts until told to stop, then ends them so that nothing taken stays unsealed."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.supervisor = Supervisor(self._run_device, self._device_lost)
        self._started_mono_us = parts.clock.mono_us()
        self._backlog_since_us: int | None = None
        self._clock_quality = 0
        self._may_cut = False
        parts.signer.may_sign.clear()

    async def _run_device(self, spec: DeviceSpec) -> None:
        await self._parts.run_device(spec, self._parts.intake.put)

    async def _device_lost(self, device_id: str) -> None:
        """Notes the loss in turn: behind what the device said before its port went away."""

        def mark() -> list[Entry]:
            self._parts.maker.mark_absent(device_id, GapReason.UNPLUGGED)
            return []

        await self._parts.intake.put_made(mark)

    async def run(self, stop: asyncio.Event) -> bool:
        """Runs until `stop` is set, or until it has to begin anew: True then. Raises the ledger's
        LocalError where disk or store failed.
        """
        parts = self._parts
        async with asyncio.TaskGroup() as group:
            inner = [
                group.create_task(parts.intake.run(), name="intake"),
                group.create_task(self._cut_and_sign(), name="cutter and signer"),
                group.create_task(self._announce(), name="announce"),
                group.create_task(parts.keeper.run(), name="keeper"),
                group.create_task(parts.site.run(parts.doors), name="site"),
                group.create_task(parts.alarms.run(), name="alarms"),
                group.create_task(parts.wear.run(), name="wear"),
                group.create_task(self._tell_health(), name="health"),
            ]
            inner += [group.create_task(link.run(), name="uplink") for link in parts.uplinks]
            inner += [
                group.create_task(parts.records.run(door), name="records")
                for door in parts.doors[:1]
            ]
            inputs = [group.create_task(self._watch_silence(), name="silence")]
            inputs += [
                group.create_task(self.supervisor.keep(spec), name=f"device {spec.id}")
                for spec in parts.serial_specs
            ]
            if parts.mqtt is not None:
                inputs.append(group.create_task(parts.mqtt.run(parts.intake.put), name="mqtt"))
            await first_of(stop, parts.again)
            await self._wind_down(inputs)
            for task in inner:
                task.cancel()
        return not stop.is_set()

    async def _wind_down(self, inputs: Sequence["asyncio.Task[None]"]) -> None:
        """Inputs first, then everything taken into a block, its signature, and a moment for the
        uplink.
        """
        _log.info("stopping step=inputs")
        for task in inputs:
            task.cancel()
        await asyncio.gather(*inputs, return_exceptions=True)
        parts = self._parts
        try:
            async with asyncio.timeout(FLUSH_S):
                await parts.intake.drain()
        except TimeoutError:
            # A full disk may stay full; what waits was not acknowledged, and the next start says
            # what is missing.
            _log.warning("stopped_undrained acknowledged=nothing_of_it")
        try:
            async with asyncio.timeout(CUT_S):
                if self._may_cut:
                    await parts.cutter.cut_all()
        except TimeoutError:
            _log.warning("stopped_uncut rest=stays_in_journal")
        try:
            async with asyncio.timeout(FLUSH_S):
                await self._flushed()
        except TimeoutError:
            _log.warning("stopped_unflushed rest=stays_in_store")

    async def _flushed(self) -> None:
        last = self._parts.cutter.state.height - 1
        while not self._parts.signer.stopped and self._parts.signer.signed_height < last:
            self._parts.signer.signed.clear()
            await self._parts.signer.signed.wait()
        links = [link for link in self._parts.uplinks if link.progress.connected]
        for link in links:
            await link.anchored_up_to(last)

    async def _cut_and_sign(self) -> None:
        """Boot guard: blocks and heads are made only after each reachable witness had the time to
        say what it holds. What is cut before could stand where a witness has another block.
        """
        async with asyncio.TaskGroup() as group:
            group.create_task(self._cut_once_heard())
            group.create_task(self._parts.signer.run(self._parts.open_signer))

    async def _cut_once_heard(self) -> None:
        waits = [asyncio.create_task(link.first_word.wait()) for link in self._parts.uplinks]
        try:
            if waits:
                await asyncio.wait(waits, timeout=WITNESS_WAIT_S)
        finally:
            for task in waits:
                task.cancel()
        self._may_cut = True
        self._parts.signer.may_sign.set()
        await self._parts.cutter.run()

    async def _announce(self) -> None:
        """Wakes the uplinks at each new block and head."""
        seen = (-1, -1)
        while True:
            now = (self._parts.cutter.state.height, self._parts.signer.signed_height)
            if now != seen:
                seen = now
                for link in self._parts.uplinks:
                    link.changed.set()
            anchored = [link.progress.anchored_height for link in self._parts.uplinks]
            if max(anchored, default=-1) >= now[0] - 1:
                self._backlog_since_us = None
            elif self._backlog_since_us is None:
                self._backlog_since_us = self._parts.clock.mono_us()
            await asyncio.sleep(0.1)

    async def _watch_silence(self) -> None:
        while True:
            await asyncio.sleep(SILENCE_CHECK_S)
            self._clock_quality = self._parts.maker.now().quality
            await self._parts.intake.put_made(self._parts.maker.silences)
            await self._parts.intake.put_made(self._parts.maker.departures)
            await self._parts.intake.put_made(self._parts.maker.clock_steps)
            await self._parts.calibrations.look()

    async def _tell_health(self) -> None:
        """Signs, an hour apart, how the box is: its organisation's desk reads it in the feed."""
        delay_s, maker = HEALTH_FIRST_S, self._parts.maker

        def words() -> list[Entry]:
            return [maker.control(KIND_HEALTH, self._health().to_body())]

        while True:
            await asyncio.sleep(delay_s)
            delay_s = HEALTH_S
            await self._parts.intake.put_made(words)

    def _health(self) -> BoxHealth:
        report, now_us = self.report(), self._parts.maker.now().wall_us or 0
        written, channels = report["written_bytes_a_day"], report["channels"]
        until_us = [row["calibration_until_us"] for row in channels]
        return BoxHealth(
            written_mb_a_day=None if written is None else written // 1_000_000,
            used_percent=report["used_percent"],
            silent=sum(row["silent"] for row in channels),
            past_due=sum(1 for end_us in until_us if end_us is not None and end_us <= now_us),
            alarms=sum(row["raised"] for row in report["alarms"]),
            faults=len(report["faults"]),
        )

    async def breathe(self) -> None:
        """Returns once the intake has come to a word of ours: it moves."""
        reached = asyncio.Event()

        def word() -> list[Entry]:
            reached.set()
            return []

        if self._parts.intake.counts.full_since_mono_us is None:
            await self._parts.intake.put_made(word)
            await reached.wait()

    async def retire(self, wait_s: float) -> bool:
        """Ends every device's slot; True once that is anchored, False where it is not in time."""
        parts = self._parts
        await parts.intake.put_made(parts.maker.retirements)
        await parts.intake.drain()
        await parts.cutter.cut_all()
        last = parts.cutter.state.height - 1
        waits = [asyncio.create_task(link.anchored_up_to(last)) for link in parts.uplinks]
        if not waits:
            return False
        done, _ = await asyncio.wait(waits, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        for task in waits:
            task.cancel()
        return bool(done)

    def seal_now(self) -> None:
        """Has a block cut as soon as may be."""
        self._parts.cutter.demand()

    def begin_anew(self) -> None:
        """Ends the run so that it begins again on what the configuration is then."""
        self._parts.again.set()

    # The report -----------------------------------------------------------------------------

    def report(self) -> dict[str, Any]:
        """How the gateway is doing, as plain values. Called from the status server's thread."""
        parts, intake = self._parts, self._parts.intake
        progress = [link.progress for link in parts.uplinks]
        anchored = max((p.anchored_height for p in progress), default=-1)
        sealed = parts.cutter.state.height - 1
        return {
            "gateway": parts.name,
            "feed": parts.feed_id.hex(),
            "development_key": parts.development,
            "faults": self._faults(sealed - anchored),
            "journaled": intake.counts.journaled,
            "pending": intake.waiting + len(intake.pending),
            "acknowledged": intake.counts.acknowledged,
            "unacknowledgeable": intake.counts.unacknowledgeable,
            "journal_damages": intake.counts.damages,
            "journal_frames_lost": intake.counts.lost,
            "repeated_deliveries": intake.deliveries.repeated,
            "rejected": sum(parts.maker.rejected.values()),
            "rejected_by_device": _by_device(parts.maker.rejected),
            "flagged_by_device": _by_device(parts.maker.flagged),
            "sealed_height": sealed,
            "sealed_leaves": parts.cutter.state.leaves.size,
            "signed_height": parts.signer.signed_height,
            "mirrored_height": max((p.mirrored_height for p in progress), default=-1),
            "anchored_height": anchored,
            "opened_height": max((p.opened_height for p in progress), default=-1),
            "connected": any(p.connected for p in progress),
            "store_full_share": round(parts.store.full_share, 4),
            "released_below": parts.keeper.released_below,
            "pruned_below": parts.keeper.pruned_below,
            "used_percent": parts.keeper.used_percent,
            "used_percent_max": parts.keeper.used_percent_max,
            "backlog_age_s": self._backlog_age_s(),
            "clock_quality": self._clock_quality,
            "written_bytes_a_day": parts.wear.wear.bytes_a_day,
            "zones": parts.maker.zones.held(),
            "channels": self._channels(),
            "alarms": self._alarms(),
            "devices": self._devices(),
            "mqtt": self._mqtt(),
            "site": parts.site.report(),
        }

    def _backlog_age_s(self) -> int:
        since = self._backlog_since_us
        return 0 if since is None else (self._parts.clock.mono_us() - since) // 1_000_000

    def _mqtt(self) -> dict[str, Any] | None:
        mqtt = self._parts.mqtt
        if mqtt is None:
            return None
        counters = mqtt.counters
        return {"connected": mqtt.is_connected} | {
            name: getattr(counters, name) for name in type(counters).__slots__
        }

    def _devices(self) -> dict[str, Any]:
        return {
            name: {"running": s.running, "restarts": s.restarts, "fault": s.fault, "ended": s.ended}
            for name, s in self.supervisor.states.items()
        }

    def _alarms(self) -> list[dict[str, Any]]:
        return [
            {
                "device": view.rule.channel[0],
                "channel": view.rule.channel[1],
                "above": view.rule.above,
                "limit_milli": view.rule.limit_milli,
                "raised": view.raised,
            }
            for view in self._parts.maker.alarms.views()
        ]

    def _channels(self) -> list[dict[str, Any]]:
        rows, silent = [], self._parts.maker.silent_slots()
        for line in list(self._parts.book.lines()):
            channel = self._parts.book.channel(line)
            if channel is not None:
                row = {"device": channel[0], "channel": channel[1], "slot": line.slot}
                row |= {"readings": line.readings, "last_wall_us": line.last_wall_us}
                known = calibration_of(line.descriptor[8]) if line.descriptor else None
                row |= {"calibration_until_us": known.valid_until_us if known else None}
                rows.append(row | self._latest(channel) | {"silent": line.slot in silent})
        return rows

    def _latest(self, channel: tuple[str, str]) -> dict[str, Any]:
        """The newest value since the start, exact; positions and tags have none."""
        record = self._parts.maker.latest.get(channel)
        if record is None:
            return {"value": None, "unit": None}
        return {"value": decimal_text(record.value, record.exponent), "unit": record.unit}

    def _faults(self, backlog: int) -> list[str]:
        parts, faults = self._parts, []
        if parts.signer.stopped:
            faults.append(f"signing stopped: {parts.signer.stopped}")
        if parts.signer.away:
            faults.append("key holder away: journaling goes on, nothing is signed")
        if parts.intake.counts.full_since_mono_us is not None:
            faults.append("disk full: nothing is accepted until there is room")
        if parts.store.is_full:
            faults.append("store full: no block is cut and no head is signed until there is room")
        if parts.intake.counts.damages:
            faults.append(
                f"journal damaged at {parts.intake.counts.damages} place(s), "
                f"{parts.intake.counts.lost} unsealed frame(s) lost: check the disk"
            )
        if parts.store.full_share > FULL_SHARE_ALARM:
            faults.append(f"store is {parts.store.full_share:.0%} full")
        if backlog > BACKLOG_FAULT_BLOCKS and parts.uplinks:
            faults.append(f"{backlog} blocks are not anchored")
        faults += [
            f"a chain machine asks for block {link.progress.pruned_wanted}, whose readings were "
            "let go here; another machine that mirrors this feed has to hand them over"
            for link in parts.uplinks
            if link.progress.pruned_wanted is not None
        ]
        for name, state in self.supervisor.states.items():
            if state.fault and not state.running:
                faults.append(f"device {name}: {state.fault}")
        return faults + parts.site.faults()


async def first_of(*events: asyncio.Event) -> None:
    """Returns once one of the events is set."""
    waits = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waits:
            task.cancel()


def _by_device(counts: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    rows: dict[str, dict[str, int]] = {}
    for (device, word), count in list(counts.items()):
        if count:
            rows.setdefault(device, {})[word] = count
    return rows


def damage_entries(maker: EntryMaker, losses: Mapping[int, int | None]) -> list[Entry]:
    """A gap entry in each slot that damaged journal frames may have taken entries from."""
    reason = GapReason.JOURNAL_CORRUPTION
    return [
        maker.note(KIND_GAP, slot, Gap(reason=reason, count=count).to_body())
        for slot, count in losses.items()
    ]
