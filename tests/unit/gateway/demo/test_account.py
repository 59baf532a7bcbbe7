import json
from typing import Any

import pytest

from gateway.demo.account import Row, Sent, account, opened_value, read_sent, table
from gateway.demo.cast import Channel

START_US = 1_795_413_600_000_000
PROMISED = Channel("cold-room", "fridge", "temperature", acknowledged=True)
SERIAL = Channel("truck", "gnss", "position", acknowledged=False)
SAMPLED = Channel("cold-room", "probe", "temperature", acknowledged=False, sampled=True)


def at(second: float) -> int:
    return START_US + round(second * 1_000_000)


def sent(second: float, value: int, *, puback: bool = True) -> Sent:
    return Sent(at(second), (value, -3), puback)


def held(second: float, value: int, height: int = 0) -> dict[str, Any]:
    """A row of the read model."""
    return {
        "wall_us": at(second),
        "height": height,
        "value": value,
        "exponent": -3,
        "lat_e7": None,
        "lon_e7": None,
        "epc": None,
    }


def gap(start: float | None, end: float | None) -> dict[str, Any]:
    return {
        "from_wall_us": None if start is None else at(start),
        "to_wall_us": None if end is None else at(end),
    }


def row_of(
    channel: Channel,
    said: list[Sent],
    opened: list[dict[str, Any]],
    *gaps: dict[str, Any],
    **heights: int,
) -> Row:
    known = {"journaled": len(opened)} | heights
    return account(channel, sent=said, opened=opened, gaps=gaps, heights=known)


SAID = [sent(second, 4000 + second) for second in range(10)]
HELD = [held(second + 0.2, 4000 + second, height=second // 5) for second in range(10)]


@pytest.mark.parametrize("channel", [PROMISED, SERIAL, SAMPLED])
def test_where_everything_arrived_no_promise_is_broken(channel: Channel) -> None:
    row = row_of(channel, SAID, HELD)
    assert (0, 0, 0, True) == (row.missing, row.uncovered, row.twice, row.good)


def test_an_acknowledged_value_that_nobody_opened_is_missing() -> None:
    row = row_of(PROMISED, SAID, HELD[:-1])
    assert (1, False, 10) == (row.missing, row.good, row.acknowledged)


def test_a_value_that_was_never_acknowledged_is_no_broken_promise() -> None:
    row = row_of(PROMISED, [*SAID, sent(10, 5000, puback=False)], HELD)
    assert (0, True, 11, 10) == (row.missing, row.good, row.sent, row.acknowledged)


def test_a_value_opened_more_often_than_it_was_sent_is_there_twice() -> None:
    row = row_of(PROMISED, SAID, [*HELD, HELD[3]])
    assert (1, False) == (row.twice, row.good)


def test_a_sampled_device_may_be_read_twice_and_missed() -> None:
    assert row_of(SAMPLED, SAID, [*HELD[:-3], HELD[0]]).good


def test_what_a_line_said_and_nobody_counted_must_lie_in_a_signed_gap() -> None:
    opened = HELD[:3] + HELD[7:]
    assert 4 == row_of(SERIAL, SAID, opened).uncovered
    assert 0 == row_of(SERIAL, SAID, opened, gap(2.2, 7.2)).uncovered
    assert row_of(SERIAL, SAID, opened, gap(2.2, None)).good
    assert 4 == row_of(SERIAL, SAID, opened, gap(20, 30)).uncovered


def test_a_gap_that_ends_too_early_leaves_the_rest_uncovered() -> None:
    said = [sent(second, 4000 + second) for second in range(30)]
    opened = [held(0.2, 4000), held(29.2, 4029)]
    row = row_of(SERIAL, said, opened, gap(0.2, 10))
    assert 28 - 12 == row.uncovered  # seconds 13 to 28: two seconds of slack


def test_what_a_line_said_before_anybody_listened_counts_for_nothing() -> None:
    assert row_of(SERIAL, SAID, HELD[4:]).good


def test_a_line_of_which_nothing_was_counted_is_not_good() -> None:
    assert 10 == row_of(SERIAL, SAID, []).uncovered


def test_equal_values_are_told_apart_by_their_time() -> None:
    said = [sent(second, 7) for second in range(10)]
    opened = [held(second + 0.2, 7) for second in range(10) if second not in {4, 5, 6}]
    assert 3 == row_of(SERIAL, said, opened).uncovered
    assert row_of(SERIAL, said, opened, gap(3.2, 7.2)).good


def test_each_state_counts_what_lies_at_or_below_its_height() -> None:
    row = row_of(PROMISED, SAID, HELD, in_blocks=1, mirrored=1, anchored=0)
    assert (10, 10, 5, 0) == (row.in_blocks, row.mirrored, row.anchored, row.opened)


def test_a_simulators_log_gives_each_value_with_its_puback() -> None:
    lines = [
        {"seq": 1, "channel": "temperature", "unix_us": 5, "value": 4000, "exponent": -3},
        {"seq": 1, "puback": True, "unix_us": 6},
        {"seq": 2, "channel": "temperature", "unix_us": 7, "value": 4001, "exponent": -3},
        {"seq": 3, "channel": "humidity", "unix_us": 8, "value": 50, "exponent": 0},
        {"seq": 4, "channel": "temperature", "unix_us": 9, "value": 1, "written": False},
    ]
    found = read_sent([json.dumps(line) for line in lines], "temperature")
    assert [Sent(5, (4000, -3), True), Sent(7, (4001, -3), False)] == found


def test_positions_and_tags_are_compared_by_their_own_content() -> None:
    place = held(0, 0) | {"lat_e7": 1, "lon_e7": 2}
    tag = held(0, 0) | {"epc": "30aa"}
    assert [(1, 2), ("30aa", None), (4000, -3)] == [
        opened_value(row) for row in (place, tag, held(0, 4000))
    ]
    line = json.dumps({"seq": 1, "channel": "position", "unix_us": 5, "value": [1, 2]})
    assert (1, 2) == read_sent([line], "position")[0].value


def test_the_table_shows_every_broken_promise_and_a_dash_where_nothing_is_known() -> None:
    text = table([row_of(PROMISED, SAID, HELD[:-1]), row_of(SAMPLED, SAID, HELD)])
    heading, broken, sampled = text.splitlines()
    assert heading.split("  ")[-1].strip() == "twice"
    assert ["fridge/temperature", "10", "10", "9"] == broken.split()[:4]
    assert ["1", "0", "0"] == broken.split()[-3:]
    assert ["probe/temperature", "-", "-", "10"] == sampled.split()[:4]
