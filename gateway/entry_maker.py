"""From arrivals to entries: slots, counts, times, and gaps for what is known to be
missing. Pure.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from firmware_bridge.devices import Arrival, DeviceSpec, Observation
from gateway.alarms import AlarmWatch
from gateway.clock import TimeModel, is_possible
from gateway.edge_config import EdgeConfig
from gateway.plausibility import Plausibility, device_ms
from gateway.slots import SlotBook, SlotLine
from gateway.zones import Step, ZoneTracker
from ledger.entry import (
    CONTROL_SLOT,
    KIND_BUSINESS_EVENT,
    KIND_CLOCK_STEP,
    KIND_DESCRIPTOR,
    KIND_DOCUMENT_HASH,
    KIND_GAP,
    KIND_HEALTH,
    KIND_POSITION,
    KIND_RETIREMENT,
    KIND_TAG_SIGHTING,
    KIND_TELEMETRY,
    QUALITY_NONE,
    Entry,
    GTime,
)
from logistics.business_event import FrameDigest
from logistics.calibration import calibration_of
from logistics.reading import (
    FLAG_APART,
    FLAG_CLOCK_JUMP,
    FLAG_PLACE_JUMP,
    FLAG_RATE,
    FLAG_STALE,
    FLAG_STUCK,
    FLAG_SUSPECT,
    FLAG_UNAUTHENTICATED,
    FLAG_UNCALIBRATED,
    Descriptor,
    Gap,
    GapReason,
    Position,
    TagSighting,
    Telemetry,
)

ZONE_CHANNEL: Final = "zones"
SILENT_INTERVALS: Final = 3
GNSS_APART_US_MAX: Final = 3_600_000_000  # an hour, as for other devices' clocks
_FLAGS: Final = {
    FLAG_SUSPECT: "suspect",
    FLAG_STALE: "stale",
    FLAG_UNCALIBRATED: "uncalibrated",
    FLAG_UNAUTHENTICATED: "unauthenticated",
    FLAG_RATE: "rate",
    FLAG_STUCK: "stuck",
    FLAG_APART: "apart",
    FLAG_PLACE_JUMP: "place_jump",
    FLAG_CLOCK_JUMP: "clock_jump",
}
_KINDS: Final[dict[type, int]] = {
    Telemetry: KIND_TELEMETRY,
    TagSighting: KIND_TAG_SIGHTING,
    Position: KIND_POSITION,
    FrameDigest: KIND_DOCUMENT_HASH,
}


@dataclass(frozen=True, slots=True)
class Absence:
    """A slot whose input is missing since a time, and why."""

    reason: GapReason
    from_wall_us: int | None
    from_mono_us: int


class EntryMaker:
    """Makes the entries of one feed in their order. Every entry made is meant to become durable
    next.
    """

    def __init__(
        self,
        book: SlotBook,
        clock: TimeModel,
        *,
        audiences: Mapping[str, int],
        specs: Mapping[str, DeviceSpec],
        alarms: AlarmWatch | None = None,
        edge: EdgeConfig | None = None,
    ) -> None:
        edge = edge or EdgeConfig()
        self.zones = ZoneTracker(edge.zones)
        self._plausibility = Plausibility(edge.limits)
        self._book, self._clock = book, clock
        self.alarms = alarms or AlarmWatch(())
        self.latest: dict[tuple[str, str], Telemetry] = {}
        self._audiences, self._specs = audiences, specs
        self._absent: dict[int, Absence] = {}
        self._before_loss: dict[int, int] = {}
        self._told: set[int] = set()  # slots whose present silence is an entry already
        self._valid_until_us: dict[str, int | None] = {}  # by a descriptor's calibration
        self.rejected: Counter[tuple[str, str]] = Counter()
        self.flagged: Counter[tuple[str, str]] = Counter()

    def from_arrival(self, arrival: Arrival) -> list[Entry]:
        """Entries for everything in an arrival: new slots, gaps that end, the values,
        clock steps.
        """
        for rejected in arrival.rejected:
            self.rejected[arrival.device_id, str(rejected.reason)] += 1
        entries: list[Entry] = []
        for observation in arrival.observations:
            if arrival.payload_digest is None:  # else it may have waited long, and tells no time
                self._learn_time(observation, arrival.received_mono_us)
            judged = self._judged(observation, arrival.received_mono_us)
            judged = self._marked(arrival, judged)
            if judged.record.flags:
                self._count_flags(arrival.device_id, judged.record.flags)
            entries += self._observed(arrival, judged)
            entries += self._steps(arrival, judged.record)
        return self.clock_steps() + entries

    def _count_flags(self, device_id: str, flags: int) -> None:
        for flag, word in _FLAGS.items():
            self.flagged[device_id, word] += bool(flags & flag)

    def _learn_time(self, observation: Observation, mono_us: int) -> None:
        record = observation.record
        if isinstance(record, Position) and record.gnss_time_ms is not None and not record.flags:
            self._clock.observe_gnss(record.gnss_time_ms, mono_us)

    def _judged(self, observation: Observation, mono_us: int) -> Observation:
        """The observation, marked where its satellite date is not that of our clock."""
        record = observation.record
        if not isinstance(record, Position) or record.gnss_time_ms is None:
            return observation
        if not is_possible(record.gnss_time_ms):
            # Most of all 1024 weeks back: known without any clock of ours.
            return replace(observation, record=replace(record, flags=record.flags | FLAG_SUSPECT))
        wall_us = self._clock.at(mono_us).wall_us
        if wall_us is None:
            return observation
        ahead_us = record.gnss_time_ms * 1000 - wall_us
        if abs(ahead_us) <= GNSS_APART_US_MAX:
            return observation
        flag = FLAG_SUSPECT if ahead_us > 0 else FLAG_STALE
        return replace(observation, record=replace(record, flags=record.flags | flag))

    def _marked(self, arrival: Arrival, observation: Observation) -> Observation:
        """The observation, marked where it can hardly be true."""
        record, channel = observation.record, (arrival.device_id, observation.channel)
        mono_ms = arrival.received_mono_us // 1000
        wall_us = None
        if device_ms(record) is not None:
            wall_us = self._clock.at(arrival.received_mono_us).wall_us
        flags = self._plausibility.marks(
            channel,
            observation.quantity,
            record,
            mono_ms=mono_ms,
            wall_ms=None if wall_us is None else wall_us // 1000,
        )
        if not flags:
            return observation
        return replace(observation, record=replace(record, flags=record.flags | flags))

    def _steps(self, arrival: Arrival, record: object) -> list[Entry]:
        """What a tag's sighting completes: it arrived, or moved."""
        if not isinstance(record, TagSighting):
            return []
        now_ms = arrival.received_mono_us // 1000
        steps = self.zones.sighted(arrival.device_id, record, now_ms)
        return [entry for step in steps for entry in self._event(step)]

    def departures(self) -> list[Entry]:
        """Entries for tags that their zones have not seen for too long."""
        steps = self.zones.departed(self._clock.mono_us() // 1000)
        return [entry for step in steps for entry in self._event(step)]

    def _event(self, step: Step) -> list[Entry]:
        """A step of goods, in the slot of the reader that saw it."""
        time = self._clock.now()
        line = self._book.find((step.device_id, ZONE_CHANNEL))
        entries = []
        if line is None:
            slot = self._book.new_slot(self._audiences[step.device_id])
            descriptor = Descriptor(
                device_id=step.device_id,
                channel=ZONE_CHANNEL,
                quantity="zone",
                unit=None,
                driver=self._specs[step.device_id].driver,
            )
            entries.append(self._make(KIND_DESCRIPTOR, slot, time, descriptor.to_body()))
        else:
            slot = line.slot
        return [*entries, self._make(KIND_BUSINESS_EVENT, slot, time, step.event.to_body())]

    def _observed(self, arrival: Arrival, observation: Observation) -> list[Entry]:
        time = self._clock.at(arrival.received_mono_us)
        line = self._book.find((arrival.device_id, observation.channel))
        entries = []
        if line is None:
            slot = self._book.new_slot(self._audiences[arrival.device_id])
            body = self._descriptor(arrival.device_id, observation).to_body()
            entries.append(self._make(KIND_DESCRIPTOR, slot, time, body))
        else:
            slot = line.slot
            entries += self._gap_end(line, time)
            observation = self._past_due(line, observation, time)
        kind = _KINDS[type(observation.record)]
        entries.append(self._make(kind, slot, time, observation.record.to_body()))
        channel = (arrival.device_id, observation.channel)
        if isinstance(observation.record, Telemetry):
            self.latest[channel] = observation.record
        for change in self.alarms.observe(channel, observation.record, time):
            entries.append(self._make(KIND_HEALTH, slot, time, change.to_body()))
        return entries

    def _past_due(self, line: SlotLine, observation: Observation, time: GTime) -> Observation:
        """The observation, marked where the probe's calibration has run out."""
        text = line.descriptor[8] if line.descriptor else None
        if text is None or time.wall_us is None or not isinstance(observation.record, Telemetry):
            return observation
        if text not in self._valid_until_us:
            known = calibration_of(text)
            self._valid_until_us[text] = None if known is None else known.valid_until_us
        until_us = self._valid_until_us[text]
        if until_us is None or time.wall_us < until_us:
            return observation
        self._count_flags(line.descriptor[1] if line.descriptor else "", FLAG_UNCALIBRATED)
        flags = observation.record.flags | FLAG_UNCALIBRATED
        return replace(observation, record=replace(observation.record, flags=flags))

    def calibrate(self, device_id: str, channel: str | None, text: str) -> tuple[list[Entry], bool]:
        """A new descriptor for each slot of the device whose calibration this changes, and whether
        the device (and the channel) has a slot yet. Nothing but the calibration differs.
        """
        found = [
            line
            for line in self._lines_of(device_id)
            if line.descriptor is not None and channel in (None, line.descriptor[2])
        ]
        entries = []
        for line in found:
            body = Descriptor.from_body(line.descriptor)
            if body.calibration != text:
                fresh = replace(body, calibration=text).to_body()
                entries.append(self.note(KIND_DESCRIPTOR, line.slot, fresh))
        return entries, bool(found)

    def _descriptor(self, device_id: str, observation: Observation) -> Descriptor:
        spec = self._specs[device_id]
        return Descriptor(
            device_id=device_id,
            channel=observation.channel,
            quantity=observation.quantity,
            unit=observation.unit,
            driver=spec.driver,
            interval_ms=spec.interval_ms,
        )

    def _make(self, kind: int, slot: int, time: GTime, body: list[Any]) -> Entry:
        time = self._book.next_time(slot, time)
        entry = Entry(kind, slot, time, self._book.next_srcseq(slot), body)
        self._book.apply(entry)
        return entry

    def control(self, kind: int, body: list[Any]) -> Entry:
        """An entry of the public control slot."""
        return self._make(kind, CONTROL_SLOT, self._clock.now(), body)

    def note(self, kind: int, slot: int, body: list[Any]) -> Entry:
        """An entry of the gateway's own in a device's slot."""
        return self._make(kind, slot, self._clock.now(), body)

    def retirements(self) -> list[Entry]:
        """The last entry of every device's slot."""
        slots = [line.slot for line in self._book.lines() if line.descriptor is not None]
        return [self.note(KIND_RETIREMENT, slot, [1]) for slot in slots]

    def now(self) -> GTime:
        """The time of this moment."""
        return self._clock.now()

    def begin_loss(self) -> None:
        """From now on readings may be lost: what each slot has until here is kept in mind."""
        self._before_loss = {line.slot: line.readings for line in self._book.lines()}

    def lost_between(
        self, device_id: str, reason: GapReason, *, since: GTime, until: GTime
    ) -> list[Entry]:
        """A gap entry in each slot of a device whose readings may be missing from then to then.

        Its count is of readings that were due and did not come, where the device has an interval
        and one at least is missing for certain.
        """
        interval_ms = self._specs[device_id].interval_ms
        due = (until.mono_us - since.mono_us) // (interval_ms * 1000) if interval_ms else 0
        entries = []
        for line in self._lines_of(device_id):
            lost = due - (line.readings - self._before_loss.get(line.slot, line.readings))
            gap = Gap(
                reason=reason,
                from_wall_us=since.wall_us,
                to_wall_us=until.wall_us,
                from_mono_us=since.mono_us,
                to_mono_us=until.mono_us,
                count=lost if lost > 0 else None,
            )
            entries.append(self.note(KIND_GAP, line.slot, gap.to_body()))
        return entries

    def clock_steps(self) -> list[Entry]:
        """An entry for each step of the wall clock since the last call."""
        return [
            self.control(KIND_CLOCK_STEP, [1, step.before_us, step.after_us])
            for step in self._clock.take_steps()
        ]

    def mark_absent(self, device_id: str, reason: GapReason) -> None:
        """Notes that a device's input is missing from its last reading on; its return makes the
        gap.
        """
        for line in self._lines_of(device_id):
            if line.slot not in self._absent and line.readings:
                self._absent[line.slot] = Absence(reason, line.last_wall_us, line.last_order[1])

    def _lines_of(self, device_id: str) -> list[SlotLine]:
        named = [(line, self._book.channel(line)) for line in self._book.lines()]
        return [line for line, channel in named if channel and channel[0] == device_id]

    def _gap_end(self, line: SlotLine, time: GTime) -> list[Entry]:
        absence = self._absent.pop(line.slot, None)
        if absence is None:
            return []
        gap = Gap(
            reason=absence.reason,
            from_wall_us=absence.from_wall_us,
            to_wall_us=time.wall_us if time.quality != QUALITY_NONE else None,
            from_mono_us=absence.from_mono_us,
            to_mono_us=time.mono_us,
        )
        return [self._make(KIND_GAP, line.slot, time, gap.to_body())]

    def silences(self) -> list[Entry]:
        """A gap entry, with an open end, for every slot that is silent for longer than it
        may be.
        """
        now, entries = self._clock.now(), []
        for line in list(self._book.lines()):
            interval_ms = line.descriptor[9] if line.descriptor else None
            boot, mono_us = line.last_order
            if interval_ms is None or not line.readings or self._already_told(line):
                continue
            if boot == now.boot and now.mono_us - mono_us <= SILENT_INTERVALS * interval_ms * 1000:
                continue
            held = self._absent.get(line.slot)
            reason = held.reason if held else GapReason.SILENT
            absence = Absence(reason, line.last_wall_us, mono_us)
            self._absent[line.slot] = absence
            gap = Gap(
                reason=reason, from_wall_us=absence.from_wall_us, from_mono_us=absence.from_mono_us
            )
            entries.append(self._make(KIND_GAP, line.slot, now, gap.to_body()))
            self._told.add(line.slot)
        return entries

    def silent_slots(self) -> set[int]:
        """Slots whose input is missing now."""
        return set(self._absent)

    def _already_told(self, line: SlotLine) -> bool:
        if line.slot not in self._absent:
            self._told.discard(line.slot)
        return line.slot in self._told
