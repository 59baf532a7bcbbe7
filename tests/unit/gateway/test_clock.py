import pytest

from gateway.clock import (
    GNSS_HOLD_US,
    GNSS_JUMP_FIXES,
    GNSS_UNCERTAINTY_US,
    RTC_UNCERTAINTY_US,
    WALL_US_END,
    WALL_US_MIN,
    ClockStep,
    TimeModel,
    boot_id,
    boottime_us,
    system_wall,
)
from ledger.entry import QUALITY_GNSS, QUALITY_RTC, GTime
from tests.fakes.gateway_parts import SECOND_US, START_US, HandClock


def fixed(model: TimeModel, gnss_time_ms: int, mono_us: int) -> None:
    """Two fixes a second apart that agree, the second of them now."""
    model.observe_gnss(gnss_time_ms - 1000, mono_us - SECOND_US)
    model.observe_gnss(gnss_time_ms, mono_us)


def test_a_wall_clock_from_before_this_program_existed_is_no_time() -> None:
    clock = HandClock(wall_us=WALL_US_MIN - 1)
    assert GTime(3, clock.mono_us, None, 0, 0) == clock.model(boot=3).now()
    clock.wall_us = WALL_US_MIN
    assert clock.model().now().wall_us == WALL_US_MIN


def test_a_clock_that_nothing_disciplines_is_quality_1_with_a_minute_of_doubt() -> None:
    clock = HandClock(synchronised=False)
    assert GTime(1, clock.mono_us, START_US, 1, RTC_UNCERTAINTY_US) == clock.model().now()


def test_a_disciplined_clock_is_quality_2_with_the_kernels_own_bound() -> None:
    clock = HandClock(error_us=7_000)
    assert GTime(1, clock.mono_us, START_US, 2, 7_000) == clock.model().now()


def test_satellite_time_is_quality_3_and_outvotes_the_box() -> None:
    clock = HandClock(synchronised=False)
    model = clock.model()
    fixed(model, START_US // 1000 + 5_000, clock.mono_us)
    expected = GTime(1, clock.mono_us, START_US + 5 * SECOND_US, 3, GNSS_UNCERTAINTY_US)
    assert expected == model.now()


def test_two_sources_that_agree_are_quality_4_with_the_smaller_bound() -> None:
    clock = HandClock(error_us=7_000)
    model = clock.model()
    fixed(model, START_US // 1000 + 900, clock.mono_us)
    assert GTime(1, clock.mono_us, START_US, 4, 7_000) == model.now()


def test_sources_that_contradict_each_other_are_believed_no_further_than_they_differ() -> None:
    clock = HandClock(error_us=7_000)
    model = clock.model()
    fixed(model, START_US // 1000 + 2_000, clock.mono_us)
    assert GTime(1, clock.mono_us, START_US, 2, 2 * SECOND_US) == model.now()


def test_a_box_clock_from_before_this_program_existed_has_no_say_against_the_satellites() -> None:
    clock = HandClock(wall_us=1_000_000)
    model = clock.model()
    fixed(model, START_US // 1000, clock.mono_us)
    assert GTime(1, clock.mono_us, START_US, 3, GNSS_UNCERTAINTY_US) == model.now()


def test_satellite_time_is_held_for_ten_minutes_with_growing_doubt() -> None:
    clock = HandClock(synchronised=False)
    model = clock.model()
    fixed(model, START_US // 1000, clock.mono_us)
    clock.advance(600)
    held = model.now()
    assert (3, GNSS_UNCERTAINTY_US + 30_000) == (held.quality, held.unc_us)  # 50 ppm of ten minutes
    assert held.wall_us == START_US + GNSS_HOLD_US
    clock.mono_us += 1
    assert model.now().quality == 1


@pytest.mark.parametrize("gnss_time_ms", [315_964_800_000, WALL_US_END // 1000])
def test_an_implausible_satellite_time_is_ignored(gnss_time_ms: int) -> None:
    clock = HandClock()
    model = clock.model()
    model.observe_gnss(gnss_time_ms, clock.mono_us)  # 1980, before a first fix; or after 2100
    assert model.now().quality == 2


def test_an_arrival_is_dated_by_when_it_was_received() -> None:
    clock = HandClock()
    received_us = clock.mono_us
    model = clock.model()
    clock.advance(3)
    assert (received_us, START_US) == (model.at(received_us).mono_us, model.at(received_us).wall_us)


@pytest.mark.parametrize("moved_s", [-3600, -1, 1, 86_400])
def test_a_wall_clock_that_is_set_has_stepped_once(moved_s: int) -> None:
    clock = HandClock()
    model = clock.model()
    model.now()
    before_us = clock.wall_us - clock.mono_us
    clock.set_wall(moved_s)
    model.now()
    clock.advance(60)
    model.now()
    assert [ClockStep(before_us, before_us + moved_s * SECOND_US)] == model.take_steps()
    assert model.take_steps() == []


def test_a_wall_clock_that_is_slewed_has_not_stepped() -> None:
    clock = HandClock()
    model = clock.model()
    model.now()
    clock.set_wall(0.9)
    model.now()
    assert model.take_steps() == []


def test_the_systems_own_clocks_can_be_read() -> None:
    assert 0 < boottime_us() <= boottime_us()
    wall = system_wall()
    assert wall.wall_us > WALL_US_MIN
    assert wall.error_us >= 0
    assert len(boot_id()) == 36


def test_a_receiver_that_jumps_is_believed_once_it_has_said_the_same_for_long() -> None:
    clock = HandClock(synchronised=False)
    model = clock.model()
    fixed(model, START_US // 1000, clock.mono_us)
    jump_ms = START_US // 1000 + 44 * 365 * 86_400_000
    for _ in range(GNSS_JUMP_FIXES - 1):
        model.observe_gnss(jump_ms, clock.mono_us)
        clock.advance(1)
        jump_ms += 1000
    assert model.now().wall_us == START_US + (GNSS_JUMP_FIXES - 1) * SECOND_US
    model.observe_gnss(jump_ms, clock.mono_us)
    assert model.now().wall_us == jump_ms * 1000


def test_jumps_that_do_not_agree_with_each_other_are_never_believed() -> None:
    clock = HandClock(synchronised=False)
    model = clock.model()
    fixed(model, START_US // 1000, clock.mono_us)
    for years in range(2 * GNSS_JUMP_FIXES):
        model.observe_gnss(START_US // 1000 + (1 + years % 2) * 365 * 86_400_000, clock.mono_us)
    assert model.now().wall_us == START_US


def test_the_first_fix_after_a_start_sets_no_clock_alone() -> None:
    clock = HandClock(synchronised=False)
    model = clock.model()
    wrong_ms = START_US // 1000 + 400 * 86_400_000
    model.observe_gnss(wrong_ms, clock.mono_us)
    model.observe_gnss(wrong_ms, clock.mono_us + 1000)  # the same moment, told twice
    assert QUALITY_RTC == model.now().quality
    clock.advance(1)
    model.observe_gnss(START_US // 1000 + 1000, clock.mono_us)  # it was wrong
    assert QUALITY_RTC == model.now().quality
    clock.advance(1)
    model.observe_gnss(START_US // 1000 + 2000, clock.mono_us)
    assert (QUALITY_GNSS, START_US + 2 * SECOND_US) == (model.now().quality, model.now().wall_us)


def test_a_receiver_that_lost_1024_weeks_is_never_believed() -> None:
    clock = HandClock(synchronised=False)
    model = clock.model()
    for second in range(100):
        lost_ms = START_US // 1000 - 1024 * 7 * 86_400_000 + 1000 * second
        model.observe_gnss(lost_ms, clock.mono_us)
        clock.advance(1)
    assert QUALITY_RTC == model.now().quality
