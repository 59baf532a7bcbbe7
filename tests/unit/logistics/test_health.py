import re
from pathlib import Path
from typing import Any

import pytest

from ledger.canonical import decode, encode
from logistics.errors import BodyError
from logistics.health import AlarmChange, BoxHealth

PAGE = Path(__file__).parents[3] / "docs/formats/health.md"
EXAMPLE = AlarmChange(
    raised=True,
    above=True,
    limit_milli=8_000,
    for_s=600,
    settle_s=300,
    value=85,
    exponent=-1,
    since_mono_us=1_000_000_000,
    since_wall_us=1_795_428_900_000_000,
)


def test_the_worked_example_on_the_page_is_true() -> None:
    found = re.search(r"```hex\nexample alarm\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    lines = [line.partition("#")[0] for line in found[1].splitlines()]
    data = bytes.fromhex("".join(lines))
    assert data == encode(EXAMPLE.to_body())
    assert AlarmChange.from_body(decode(data)) == EXAMPLE


BOX = BoxHealth(written_mb_a_day=700, used_percent=12, silent=1, past_due=0, alarms=2, faults=0)


def test_the_example_of_a_box_is_true_too() -> None:
    found = re.search(r"```hex\nexample box\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    data = bytes.fromhex("".join(line.partition("#")[0] for line in found[1].splitlines()))
    assert data == encode(BOX.to_body())
    assert BoxHealth.from_body(decode(data)) == BOX


@pytest.mark.parametrize("place", range(8))
@pytest.mark.parametrize("wrong", ["x", 1.5, b"", -1, 1 << 80, [], True])
def test_a_box_of_another_form_is_refused(place: int, wrong: Any) -> None:
    body = BOX.to_body()
    body[place] = wrong
    with pytest.raises(BodyError):
        BoxHealth.from_body(body)
    with pytest.raises(BodyError):
        BoxHealth.from_body(BOX.to_body()[:place])


def test_what_a_disk_takes_may_be_unknown() -> None:
    body = [1, 2, None, *BOX.to_body()[3:]]
    assert BoxHealth.from_body(body).written_mb_a_day is None


@pytest.mark.parametrize("place", range(11))
@pytest.mark.parametrize("wrong", ["x", 1.5, b"", 1 << 80, [], 2])
def test_an_item_of_another_kind_or_size_is_refused(place: int, wrong: Any) -> None:
    body = EXAMPLE.to_body()
    body[place] = wrong
    if wrong == 2 and place >= 4:
        assert AlarmChange.from_body(body).above  # a number where one belongs
        return
    with pytest.raises(BodyError):
        AlarmChange.from_body(body)


@pytest.mark.parametrize("place", range(10))
def test_only_the_wall_time_may_be_missing(place: int) -> None:
    body = EXAMPLE.to_body()
    body[place] = None
    with pytest.raises(BodyError):
        AlarmChange.from_body(body)
    assert AlarmChange.from_body([*EXAMPLE.to_body()[:10], None]).since_wall_us is None


def test_true_is_no_number_and_one_is_not_true() -> None:
    body = EXAMPLE.to_body()
    for place, wrong in ((0, True), (1, True), (2, 1), (5, True)):
        with pytest.raises(BodyError):
            AlarmChange.from_body([*body[:place], wrong, *body[place + 1 :]])


def test_a_body_of_another_length_is_refused() -> None:
    wrong: list[Any] = [None, {}, []]
    for body in (*wrong, EXAMPLE.to_body()[:-1], [*EXAMPLE.to_body(), 0]):
        with pytest.raises(BodyError):
            AlarmChange.from_body(body)
