import os
from pathlib import Path

import pytest

from gateway.wear import DAY_S, FILE_NAME, Count, Wear, WearMeter, device_count, read_wear


def count(size_bytes: int, seconds: int, source: str = "boot 8:0") -> Count:
    return Count(source=source, size_bytes=size_bytes, seconds=seconds)


def test_what_was_written_before_the_first_look_is_not_counted() -> None:
    wear = Wear().after(count(10**12, 5_000)).after(count(10**12 + 700, 6_000))
    assert (700, 1_000) == (wear.size_bytes, wear.seconds)


def test_a_reboot_begins_a_new_count_and_keeps_the_old_one() -> None:
    wear = Wear()
    for step in (
        count(100, 10),
        count(1_100, 2_010),
        count(50, 30, "boot 2 8:0"),
        count(550, 1_030, "boot 2 8:0"),
    ):
        wear = wear.after(step)
    assert (1_500, 3_000) == (wear.size_bytes, wear.seconds)
    assert 1_500 * DAY_S // 3_000 == wear.bytes_a_day


def test_a_rate_is_not_said_before_ten_minutes() -> None:
    wear = Wear().after(count(0, 0)).after(count(10**9, 599))
    assert (None, None) == (wear.bytes_a_day, wear.years(1_000))


@pytest.mark.parametrize(
    ("endurance_gb", "years"), [(365, 1), (364, 0), (3_650, 10), (0, None)]
)  # fmt: skip
def test_a_gigabyte_a_day_wears_out_365_gigabytes_in_a_year(
    endurance_gb: int, years: int | None
) -> None:
    wear = Wear().after(count(0, 0)).after(count(10**9, DAY_S))
    assert years == wear.years(endurance_gb)


def test_a_counter_that_falls_back_takes_nothing_away() -> None:
    wear = Wear().after(count(1_000, 100)).after(count(0, 50))
    assert (0, 0) == (wear.size_bytes, wear.seconds)


def test_the_meter_goes_on_after_a_restart(tmp_path: Path) -> None:
    said = [count(0, 0), count(500, 1_000), count(700, 2_000)]
    meter = WearMeter(tmp_path, lambda: said.pop(0))
    meter.look()
    meter.look()
    again = WearMeter(tmp_path, lambda: said.pop(0))
    again.look()
    assert (700, 2_000) == (again.wear.size_bytes, again.wear.seconds)
    assert again.wear == read_wear(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"size_bytes": "x"}', "null", "\x00"])
def test_a_spoilt_file_is_begun_again(tmp_path: Path, text: str) -> None:
    (tmp_path / FILE_NAME).write_text(text)
    assert Wear() == read_wear(tmp_path)


def test_this_machines_counter_grows_by_what_is_written(tmp_path: Path) -> None:
    before = device_count(tmp_path, boot_id="boot", uptime_s=1)
    with (tmp_path / "file").open("wb", buffering=0) as file:
        for _ in range(64):
            file.write(bytes(1 << 16))
    os.sync()
    after = device_count(tmp_path, boot_id="boot", uptime_s=2)
    assert before.source == after.source
    assert after.size_bytes - before.size_bytes >= 1 << 20
