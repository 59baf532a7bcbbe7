"""What can hardly be true is marked, what can be is not; and what it costs is printed."""

import time

import pytest

from gateway.plausibility import CHANNELS_MAX, Limits, Plausibility, distance_mm2
from logistics.business_event import FrameDigest
from logistics.reading import (
    FLAG_APART,
    FLAG_CLOCK_JUMP,
    FLAG_PLACE_JUMP,
    FLAG_RATE,
    FLAG_STUCK,
    Position,
    TagSighting,
    Telemetry,
)

START_MS = 1_795_428_900_000
ROOM = ("probe", "temperature")
COST_NS_MAX = 50_000  # ten times what it takes here: a page of work would be noticed


class Judge:
    def __init__(self, limits: dict[tuple[str, str], Limits] | None = None) -> None:
        self.judge, self.now_ms = Plausibility(limits), 1_000_000

    def celsius(
        self, value: int, channel: tuple[str, str] = ROOM, device_ms: int | None = None
    ) -> int:
        record = Telemetry(value=value, exponent=-1, unit="CEL", device_time_ms=device_ms)
        return self.judge.marks(
            channel, "temperature", record, mono_ms=self.now_ms, wall_ms=START_MS + self.now_ms
        )

    def place(self, lat_e7: int, lon_e7: int = 0, gnss_ms: int | None = None) -> int:
        record = Position(lat_e7=lat_e7, lon_e7=lon_e7, fix=1, gnss_time_ms=gnss_ms)
        return self.judge.marks(
            ("truck", "position"),
            "position",
            record,
            mono_ms=self.now_ms,
            wall_ms=START_MS + self.now_ms,
        )

    def wait(self, seconds: int) -> "Judge":
        self.now_ms += 1000 * seconds
        return self


def test_a_value_that_changes_as_it_can_has_no_mark() -> None:
    judge = Judge()
    assert [0] * 5 == [judge.wait(60).celsius(value) for value in (40, 45, 90, 150, 40)]


def test_a_value_that_changes_faster_is_marked_once() -> None:
    judge = Judge()
    assert [0, 0, FLAG_RATE, 0] == [judge.wait(1).celsius(v) for v in (40, 61, 90, 90)]
    assert FLAG_RATE == judge.wait(1).celsius(40)
    assert 0 == judge.wait(600).celsius(140)


def test_the_same_value_for_long_and_often_is_stuck() -> None:
    judge = Judge({ROOM: Limits(stuck_s=3600, stuck_reads=60)})
    marks = [judge.wait(120).celsius(40) for _ in range(61)]
    assert [0] * 59 == marks[:59]
    assert [FLAG_STUCK] * 2 == marks[59:]
    assert 0 == judge.wait(120).celsius(41)
    slow = Judge({ROOM: Limits(stuck_s=3600, stuck_reads=60)})
    assert [0] * 5 == [slow.wait(3600).celsius(40) for _ in range(5)]


def test_one_that_its_neighbours_contradict_is_marked() -> None:
    near = tuple((f"probe-{number}", "temperature") for number in range(3))
    judge = Judge({ROOM: Limits(apart_milli=2000, neighbours=near)})
    assert 0 == judge.celsius(40)
    for number, channel in enumerate(near):
        judge.celsius(40 + number, channel)
    assert [0, FLAG_APART, FLAG_APART] == [judge.celsius(v) for v in (60, 62, 20)]
    assert 0 == judge.wait(3600).celsius(200)  # they have said nothing for an hour


def test_a_place_that_cannot_be_reached_is_marked_by_the_receivers_own_clock() -> None:
    judge = Judge()
    degree = 10_000_000
    assert 0 == judge.place(53 * degree)
    assert 0 == judge.wait(1).place(53 * degree + 2000)
    assert FLAG_PLACE_JUMP == judge.wait(1).place(53 * degree + degree // 100)
    assert 0 == judge.wait(1).place(53 * degree + degree // 100)
    assert 0 == judge.wait(3600).place(54 * degree)
    # A tracker out of reach: an hour of fixes, five minutes apart, in one second of ours.
    marks = [judge.place(54 * degree + n * degree // 20, 0, n * 300_000) for n in range(12)]
    assert [0] * 11 == marks[1:]


def test_a_clock_that_jumps_is_marked_and_one_that_is_late_is_not() -> None:
    judge = Judge()
    start = START_MS + judge.now_ms
    late = [judge.wait(1).celsius(40, device_ms=start + ms) for ms in (1000, 2000, 0, 1000, 5000)]
    assert [0] * 5 == late
    assert FLAG_CLOCK_JUMP == judge.wait(1).celsius(40, device_ms=start + 3_600_000)
    assert 0 == judge.wait(1).celsius(40, device_ms=start + 3_601_000)
    assert FLAG_CLOCK_JUMP == judge.wait(1).celsius(40, device_ms=start + 9_000)
    assert 0 == judge.wait(1).celsius(40, device_ms=start + 10_000)


def test_without_a_clock_of_ours_only_a_clock_that_goes_back_is_told() -> None:
    judge, marks = Plausibility(), []
    for number, ms in enumerate((0, 3_600_000, 0)):
        record = Telemetry(value=40, exponent=-1, unit="CEL", device_time_ms=START_MS + ms)
        marks.append(judge.marks(ROOM, "temperature", record, mono_ms=1000 * number))
    assert [0, 0, FLAG_CLOCK_JUMP] == marks


@pytest.mark.parametrize(
    ("one", "other", "metres"),
    [
        ((0, 0), (0, 10_000_000), 111_195),
        ((535_461_000, 99_661_000), (530_700_000, 88_000_000), 93_605),
        ((0, 1_799_999_000), (0, -1_799_999_000), 22),
        ((899_000_000, 0), (899_000_000, 900_000_000), 15_500),
    ],
)
def test_distances_are_right_to_some_percent(
    one: tuple[int, int], other: tuple[int, int], metres: int
) -> None:
    a, b = (Position(lat_e7=lat, lon_e7=lon, fix=1) for lat, lon in (one, other))
    assert 0.8 * metres <= distance_mm2(a, b) ** 0.5 / 1000 <= 1.25 * metres


def test_what_has_no_limits_has_no_marks_and_memory_is_bounded() -> None:
    judge = Plausibility()
    for number in range(CHANNELS_MAX + 100):
        tag = TagSighting(epc=bytes(12))
        assert 0 == judge.marks((str(number), "tags"), "tag", tag, mono_ms=number)
    assert CHANNELS_MAX == len(judge._last)
    digest = FrameDigest(sha256=bytes(32), size_bytes=1, sender=b"")
    assert 0 == judge.marks(("0", "frame"), "frame", digest, mono_ms=1)


def test_a_judgement_costs_little() -> None:
    near = tuple((f"probe-{number}", "temperature") for number in range(4))
    limits = Limits(step_milli=2000, stuck_s=60, apart_milli=5000, neighbours=near)
    judge = Judge({ROOM: limits})
    for channel in near:
        judge.celsius(40, channel)
    records = [Telemetry(value=40 + n % 3, exponent=-1, unit="CEL") for n in range(1000)]
    begun = time.perf_counter_ns()
    for number in range(20_000):
        judge.judge.marks(ROOM, "temperature", records[number % 1000], mono_ms=number)
    cost_ns = (time.perf_counter_ns() - begun) // 20_000
    print(f"plausibility: {cost_ns} ns a reading, with four neighbours")
    assert cost_ns < COST_NS_MAX
