import pytest

from firmware_bridge.devices import Reason, rejected
from gateway.edge_config import EdgeConfig
from gateway.entry_maker import EntryMaker
from gateway.slots import SlotBook
from gateway.zones import Zone
from ledger.entry import (
    KIND_BOOT,
    KIND_BUSINESS_EVENT,
    KIND_CLOCK_STEP,
    KIND_DESCRIPTOR,
    KIND_GAP,
    KIND_HEALTH,
    KIND_POSITION,
    KIND_TAG_SIGHTING,
    KIND_TELEMETRY,
    Entry,
    slot_number,
)
from logistics.business_event import ZoneEvent, ZoneStep
from logistics.reading import (
    FLAG_RATE,
    FLAG_SUSPECT,
    Descriptor,
    Gap,
    GapReason,
    Position,
    Telemetry,
)
from tests.fakes.gateway_parts import (
    SECOND_US,
    START_US,
    HandClock,
    arrival,
    celsius,
    maker_of,
    position,
    spec,
    tag,
)

SLOT = slot_number(1, 1)


class Room:
    """A maker with its clock; `take` is one arrival of the probe now."""

    def __init__(self, interval_s: int | None = 10) -> None:
        self.clock, self.book = HandClock(), SlotBook()
        self.model = self.clock.model()
        self.spec = spec(interval_s=interval_s)
        self.maker = self.again()

    def again(self, boot: int = 1) -> EntryMaker:
        """As after a restart: the book is kept, what the maker knew is gone."""
        self.model = self.clock.model(boot)
        self.maker = maker_of(self.model, self.book, self.spec)
        return self.maker

    def take(self, value: int = 4000) -> list[Entry]:
        return self.maker.from_arrival(arrival(celsius(value), mono_us=self.clock.mono_us))


def gap_of(entry: Entry) -> Gap:
    assert entry.kind == KIND_GAP
    return Gap.from_body(entry.body)


def test_a_slot_begins_with_what_it_is() -> None:
    room = Room()
    descriptor, reading = room.take()
    expected = Descriptor(
        device_id="probe",
        channel="temperature",
        quantity="temperature",
        unit="CEL",
        driver="ds18b20",
        interval_ms=10_000,
    )
    assert (KIND_DESCRIPTOR, SLOT, 0) == (descriptor.kind, descriptor.slot, descriptor.srcseq)
    assert expected == Descriptor.from_body(descriptor.body)
    assert (KIND_TELEMETRY, SLOT, 1) == (reading.kind, reading.slot, reading.srcseq)
    assert Telemetry.from_body(reading.body) == celsius(4000).record


def test_later_readings_are_counted_without_a_hole() -> None:
    room = Room()
    numbers = [entry.srcseq for _ in range(4) for entry in room.take()]
    assert [0, 1, 2, 3, 4] == numbers


def test_each_kind_of_value_is_an_entry_of_its_kind_in_a_slot_of_its_own() -> None:
    room = Room()
    entries = room.maker.from_arrival(arrival(celsius(), tag(), position()))
    rows = [(entry.kind, entry.slot) for entry in entries if entry.kind != KIND_DESCRIPTOR]
    assert [
        (KIND_TELEMETRY, SLOT),
        (KIND_TAG_SIGHTING, SLOT + 1),
        (KIND_POSITION, SLOT + 2),
    ] == rows


def test_a_reading_is_dated_by_its_arrival_not_by_its_turn_in_the_queue() -> None:
    room = Room()
    received_us = room.clock.mono_us
    room.clock.advance(2)
    entries = room.maker.from_arrival(arrival(celsius(), mono_us=received_us))
    assert {(received_us, START_US)} == {(e.time.mono_us, e.time.wall_us) for e in entries}


def test_what_a_codec_rejected_is_counted_by_device_and_reason() -> None:
    room = Room()
    noise = rejected(b"\xff", Reason.CHECKSUM)
    assert [] == room.maker.from_arrival(arrival(rejected=(noise, noise)))
    assert {("probe", "checksum"): 2} == room.maker.rejected


def test_a_fix_with_a_good_time_sets_the_clock_and_a_doubtful_one_does_not() -> None:
    room = Room()
    room.clock.synchronised = False
    gnss_ms = START_US // 1000 + 50_000
    mono_us = room.clock.mono_us
    room.maker.from_arrival(arrival(position(gnss_ms, flags=1), mono_us=mono_us))
    assert room.model.now().quality == 1
    before = arrival(position(gnss_ms - 1000), mono_us=mono_us - SECOND_US)
    room.maker.from_arrival(before)
    room.maker.from_arrival(arrival(position(gnss_ms), mono_us=mono_us))
    assert (3, gnss_ms * 1000) == (room.model.now().quality, room.model.now().wall_us)


def test_a_step_of_the_wall_clock_becomes_an_entry_of_the_public_slot() -> None:
    room = Room()
    room.take()
    before_us = room.clock.wall_us - room.clock.mono_us
    room.clock.set_wall(-30)
    step, reading = room.take()
    assert (KIND_CLOCK_STEP, 0) == (step.kind, step.slot)
    assert [1, before_us, before_us - 30 * SECOND_US] == step.body
    assert reading.kind == KIND_TELEMETRY


def test_a_wall_clock_set_back_never_turns_the_order_round() -> None:
    room = Room()
    first = room.take()[-1]
    room.clock.set_wall(-3600)
    second = room.take()[-1]
    assert second.order >= first.order


def test_entries_of_the_gateways_own_are_counted_too() -> None:
    room = Room()
    room.take()
    boot, note = room.maker.control(KIND_BOOT, [1]), room.maker.note(KIND_HEALTH, SLOT, [1])
    assert (0, 0, SLOT, 2) == (boot.slot, boot.srcseq, note.slot, note.srcseq)


def test_three_intervals_without_a_reading_are_no_silence_yet() -> None:
    room = Room()
    room.take()
    room.clock.advance(30)
    assert room.maker.silences() == []


def test_a_device_silent_for_longer_than_three_intervals_gets_one_open_gap() -> None:
    room = Room()
    room.take()
    room.clock.advance(30.001)
    (entry,) = room.maker.silences()
    assert (SLOT, 2) == (entry.slot, entry.srcseq)
    assert Gap(reason=GapReason.SILENT, from_wall_us=START_US, from_mono_us=1_000 * SECOND_US) == (
        gap_of(entry)
    )
    room.clock.advance(3600)
    assert room.maker.silences() == []


def test_a_silence_ends_with_the_next_reading_and_may_come_again() -> None:
    room = Room()
    room.take()
    room.clock.advance(60)
    room.maker.silences()
    room.clock.advance(5)
    ended, reading = room.take(4100)
    gap = gap_of(ended)
    assert (START_US, START_US + 65 * SECOND_US) == (gap.from_wall_us, gap.to_wall_us)
    assert (KIND_TELEMETRY, ended.srcseq + 1) == (reading.kind, reading.srcseq)
    assert [KIND_TELEMETRY] == [entry.kind for entry in room.take()]
    room.clock.advance(31)
    (again,) = room.maker.silences()
    assert gap_of(again).from_wall_us == START_US + 65 * SECOND_US


def test_a_device_without_a_declared_interval_is_never_silent() -> None:
    room = Room(interval_s=None)
    room.take()
    room.clock.advance(86_400)
    assert room.maker.silences() == []


def test_a_slot_that_never_held_a_reading_is_not_silent() -> None:
    room = Room()
    room.maker.control(KIND_BOOT, [1])
    room.clock.advance(86_400)
    assert room.maker.silences() == []


def test_a_reading_after_a_restart_first_closes_the_gap_of_the_time_that_the_gateway_was_down() -> (
    None
):
    room = Room()
    room.take()
    room.clock.advance(8)
    room.again().mark_absent("probe", GapReason.GATEWAY_DOWN)
    room.clock.advance(1)
    entry, reading = room.take()
    gap = gap_of(entry)
    assert (GapReason.GATEWAY_DOWN, START_US) == (gap.reason, gap.from_wall_us)
    assert gap.to_wall_us == START_US + 9 * SECOND_US
    assert reading.kind == KIND_TELEMETRY


def test_a_device_that_stays_away_after_a_restart_has_its_gap_told_once_with_the_true_reason() -> (
    None
):
    room = Room()
    room.take()
    room.again(boot=2).mark_absent("probe", GapReason.GATEWAY_DOWN)
    (entry,) = room.maker.silences()
    assert GapReason.GATEWAY_DOWN == gap_of(entry).reason
    assert room.maker.silences() == []


def test_a_port_that_was_gone_is_a_gap_of_its_own_reason() -> None:
    room = Room()
    room.take()
    room.maker.mark_absent("probe", GapReason.UNPLUGGED)
    room.clock.advance(2)
    room.maker.mark_absent("probe", GapReason.UNPLUGGED)
    entry, _ = room.take()
    assert (GapReason.UNPLUGGED, START_US) == (gap_of(entry).reason, gap_of(entry).from_wall_us)


def test_a_device_that_never_spoke_leaves_no_gap() -> None:
    room = Room()
    room.maker.mark_absent("probe", GapReason.UNPLUGGED)
    assert [KIND_DESCRIPTOR, KIND_TELEMETRY] == [entry.kind for entry in room.take()]


def test_only_the_channels_of_the_lost_device_get_its_gap() -> None:
    clock, book = HandClock(), SlotBook()
    maker = maker_of(clock, book, spec("a"), spec("b"))
    for name in ("a", "b"):
        maker.from_arrival(arrival(celsius(), celsius(5, "other"), device=name))
    maker.mark_absent("a", GapReason.UNPLUGGED)
    kinds = {
        name: [e.kind for e in maker.from_arrival(arrival(celsius(), device=name))]
        for name in ("a", "b")
    }
    assert {"a": [KIND_GAP, KIND_TELEMETRY], "b": [KIND_TELEMETRY]} == kinds


@pytest.mark.parametrize(
    ("interval_s", "seconds", "came", "count"),
    [(10, 95, 0, 9), (10, 95, 4, 5), (10, 95, 9, None), (10, 9, 0, None), (None, 95, 0, None)],
)
def test_a_loss_is_counted_where_the_device_has_an_interval_and_one_is_missing_for_certain(
    interval_s: int | None, seconds: int, came: int, count: int | None
) -> None:
    room = Room(interval_s)
    room.take()
    since = room.maker.now()
    room.maker.begin_loss()
    for _ in range(came):
        room.take()
    room.clock.advance(seconds)
    (entry,) = room.maker.lost_between(
        "probe", GapReason.DISK_FULL, since=since, until=room.maker.now()
    )
    gap = gap_of(entry)
    assert (GapReason.DISK_FULL, count) == (gap.reason, gap.count)
    assert (since.mono_us, since.mono_us + seconds * SECOND_US) == (
        gap.from_mono_us,
        gap.to_mono_us,
    )


def test_a_gap_before_any_clock_was_known_says_no_wall_time() -> None:
    room = Room()
    room.clock.wall_us = 0
    room.take()
    room.maker.mark_absent("probe", GapReason.UNPLUGGED)
    entry, _ = room.take()
    gap = gap_of(entry)
    assert (None, None) == (gap.from_wall_us, gap.to_wall_us)
    assert gap.from_mono_us is not None


def test_goods_that_arrive_and_depart_are_entries_of_their_readers_own_slot() -> None:
    clock, reader = HandClock(), spec("dock", interval_s=None)
    zone = Zone(name="door", places=(("dock", None),), rssi_cdbm_min=-20_000)
    maker = EntryMaker(
        SlotBook(),
        clock.model(),
        audiences={"dock": 1},
        specs={"dock": reader},
        edge=EdgeConfig((zone,)),
    )
    entries: list[Entry] = []
    for _ in range(4):
        entries += maker.from_arrival(arrival(tag(), device="dock", mono_us=clock.mono_us))
        clock.advance(0.4)
    clock.advance(10)
    entries += maker.departures()
    slots = [slot_number(1, 1)] * 5 + [slot_number(1, 2)] * 3
    events = [ZoneEvent.from_body(e.body) for e in entries if e.kind == KIND_BUSINESS_EVENT]
    assert sorted(entry.slot for entry in entries) == slots
    assert [ZoneStep.ARRIVED, ZoneStep.DEPARTED] == [event.step for event in events]
    described = [Descriptor.from_body(e.body) for e in entries if e.kind == KIND_DESCRIPTOR]
    assert [("tags", "tag"), ("zones", "zone")] == [(d.channel, d.quantity) for d in described]
    assert {"door": 0} == maker.zones.held()


def test_a_reading_that_can_hardly_be_true_is_kept_with_its_mark() -> None:
    room = Room()
    room.take(4000)
    room.clock.advance(1)
    (entry,) = room.take(40_000)
    assert FLAG_RATE == Telemetry.from_body(entry.body).flags
    assert 40_000 == Telemetry.from_body(entry.body).value
    assert 1 == room.maker.flagged["probe", "rate"]


def test_a_receiver_that_lost_count_of_weeks_is_marked_without_any_clock() -> None:
    room = Room()
    room.clock.wall_us = 0
    lost_ms = START_US // 1000 - 1024 * 7 * 86_400_000
    entries = room.maker.from_arrival(arrival(position(lost_ms), mono_us=room.clock.mono_us))
    assert FLAG_SUSPECT & Position.from_body(entries[-1].body).flags
