from collections.abc import Sequence

import pytest

from gateway.alarms import TABLE, Alarm, AlarmRule, AlarmWatch, State
from ledger.entry import GTime
from logistics.health import AlarmChange
from logistics.reading import FLAG_STALE, FLAG_SUSPECT, Position, Telemetry

FRIDGE = ("fridge", "temperature")
WARM = AlarmRule(channel=FRIDGE, above=True, limit_milli=8_000, for_s=600, settle_s=300)
COLD = AlarmRule(channel=FRIDGE, above=False, limit_milli=2_000, for_s=600, settle_s=300)
NOW_US = 1_795_413_600_000_000


def at(second: int, boot: int = 1) -> GTime:
    return GTime(boot, second * 1_000_000, NOW_US + second * 1_000_000, 2, 20_000)


def celsius(tenths: int, flags: int = 0) -> Telemetry:
    return Telemetry(value=tenths, exponent=-1, unit="CEL", flags=flags)


def changes(rule: AlarmRule, steps: Sequence[tuple[int, int]]) -> list[tuple[int, bool]]:
    """(second, raised) of each change; steps are (second, tenths of a degree)."""
    alarm, found = Alarm(rule), []
    for second, tenths in steps:
        change = alarm.observe(celsius(tenths), at(second))
        if change is not None:
            assert change.raised == alarm.is_raised
            found.append((second, change.raised))
    return found


def test_it_is_raised_after_the_duration_and_cleared_after_settling() -> None:
    steps = [(0, 50), (100, 90), (699, 90), (700, 90), (800, 90), (900, 50), (1199, 50), (1200, 50)]
    assert [(700, True), (1200, False)] == changes(WARM, steps)


def test_a_moment_inside_begins_the_count_again() -> None:
    steps = [(0, 90), (599, 90), (600, 80), (601, 90), (1200, 90), (1201, 90)]
    assert [(1201, True)] == changes(WARM, steps)


def test_a_moment_outside_begins_the_settling_again() -> None:
    steps = [(0, 90), (600, 90), (700, 50), (999, 50), (1000, 90), (1001, 50), (1300, 50),
             (1301, 50)]  # fmt: skip
    assert [(600, True), (1301, False)] == changes(WARM, steps)


def test_a_value_on_the_limit_is_inside() -> None:
    assert [] == changes(WARM, [(0, 80), (1000, 80)])
    assert [] == changes(COLD, [(0, 20), (1000, 20)])
    assert [(1000, True)] == changes(COLD, [(0, 19), (1000, 19)])


@pytest.mark.parametrize(
    ("value", "exponent", "outside"),
    [
        (8, 0, False), (9, 0, True), (8_000, -3, False), (8_001, -3, True),
        (8_000_000, -6, False), (8_000_001, -6, True), (1, 1, True), (-9, 3, False),
        (8_000_000_000_001, -12, True), (8_000_000_000_000, -12, False),
    ],
)  # fmt: skip
def test_values_are_compared_exactly_at_any_scale(
    value: int, exponent: int, outside: bool
) -> None:  # a row of the table
    assert outside == WARM.is_outside(value, exponent)


def test_without_a_duration_the_first_value_decides() -> None:
    rule = AlarmRule(channel=FRIDGE, above=True, limit_milli=8_000, for_s=0, settle_s=0)
    assert [(1, True), (2, False)] == changes(rule, [(0, 50), (1, 90), (2, 50), (3, 50)])


def test_a_change_says_under_which_rule_and_since_when() -> None:
    alarm = Alarm(WARM)
    alarm.observe(celsius(85), at(100))
    assert alarm.observe(celsius(91), at(700)) == AlarmChange(
        raised=True,
        above=True,
        limit_milli=8_000,
        for_s=600,
        settle_s=300,
        value=91,
        exponent=-1,
        since_mono_us=100_000_000,
        since_wall_us=NOW_US + 100_000_000,
    )


def test_times_of_two_boots_are_not_compared() -> None:
    alarm = Alarm(WARM)
    alarm.observe(celsius(90), at(100))
    assert alarm.observe(celsius(90), at(5_000, boot=2)) is None
    assert alarm.observe(celsius(90), at(5_599, boot=2)) is None
    assert alarm.observe(celsius(90), at(5_600, boot=2)) is not None


def test_one_channel_may_have_a_limit_on_both_sides() -> None:
    watch = AlarmWatch([WARM, COLD])
    assert [] == watch.observe(FRIDGE, celsius(10), at(0))
    (change,) = watch.observe(FRIDGE, celsius(10), at(600))
    assert not change.above
    assert [(FRIDGE, False)] == watch.raised()
    assert [] == watch.observe(("fridge", "humidity"), celsius(990), at(601))


def test_old_values_and_other_records_move_nothing() -> None:
    watch = AlarmWatch([WARM])
    assert [] == watch.observe(FRIDGE, celsius(90), at(0))
    assert [] == watch.observe(FRIDGE, celsius(90, FLAG_STALE), at(600))
    assert [] == watch.observe(FRIDGE, Position(lat_e7=0, lon_e7=0, fix=1), at(600))
    assert watch.observe(FRIDGE, celsius(90, FLAG_SUSPECT), at(600))


def test_a_restart_neither_forgets_nor_repeats_a_raised_alarm() -> None:
    watch = AlarmWatch([WARM, COLD], [(FRIDGE, True)])
    assert [(FRIDGE, True)] == watch.raised()
    assert [] == watch.observe(FRIDGE, celsius(90), at(0, boot=2))
    assert [] == watch.observe(FRIDGE, celsius(50), at(10, boot=2))
    (change,) = watch.observe(FRIDGE, celsius(50), at(310, boot=2))
    assert not change.raised


def test_what_was_journaled_and_not_yet_kept_is_taken_at_a_start() -> None:
    alarm = Alarm(WARM)
    alarm.observe(celsius(90), at(0))
    change = alarm.observe(celsius(90), at(600))
    assert change
    watch = AlarmWatch([WARM, COLD])
    watch.replay(FRIDGE, change)
    watch.replay(("cellar", "temperature"), change)
    assert [(FRIDGE, True)] == watch.raised()


def test_every_state_of_the_table_is_reached_and_left_again() -> None:
    assert set(State) == {state for state, _ in TABLE} == set(TABLE.values())


def test_the_same_readings_give_the_same_alarms_whatever_came_between() -> None:
    steps = [(second, 50 + second * 7919 % 60) for second in range(0, 20_000, 61)]
    rule = AlarmRule(channel=FRIDGE, above=True, limit_milli=8_000, for_s=60, settle_s=60)
    assert changes(rule, steps) == changes(rule, steps)
    assert len(changes(rule, steps)) > 10
