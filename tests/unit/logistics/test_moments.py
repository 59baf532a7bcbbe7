import pytest

from logistics.errors import LogisticsError
from logistics.moments import MomentError, moment_words, parse_moment, span_words

NOW_MS = 1_795_413_600_000  # 2026-11-23 06:00 UTC


@pytest.mark.parametrize(
    ("text", "before_now_ms"),
    [
        ("now", 0),
        ("0s", 0),
        ("30s", 30_000),
        ("90m", 90 * 60_000),
        ("-90m", 90 * 60_000),
        ("2h", 7_200_000),
        ("1d", 86_400_000),
        ("999999d", 999_999 * 86_400_000),
    ],
)
def test_a_time_before_now(text: str, before_now_ms: int) -> None:
    assert NOW_MS - before_now_ms == parse_moment(text, NOW_MS)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T06:00:00Z",
        "2026-11-23T06:00:00+00:00",
        "2026-11-23T07:00:00+01:00",
        "2026-11-22T22:00:00-08:00",
        "20261123T060000Z",
    ],
)
def test_a_moment_with_its_zone(text: str) -> None:
    assert NOW_MS == parse_moment(text, 0)


def test_parts_of_a_second_are_kept_to_the_millisecond() -> None:
    assert NOW_MS + 250 == parse_moment("2026-11-23T06:00:00.250Z", 0)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-11-23T06:00:00", "2026-11-23", "2026-13-01T00:00:00Z", "5y", "1.5h",
     "1000000s", "90", "now "],
)  # fmt: skip  # two rows of what people type
def test_anything_else_is_refused_with_the_forms_that_there_are(text: str) -> None:
    with pytest.raises(MomentError, match="write 2026-11-23T10:00:00Z") as caught:
        parse_moment(text, NOW_MS)
    assert isinstance(caught.value, LogisticsError)


def test_a_moment_is_written_in_utc_to_the_second() -> None:
    assert "2026-11-23 06:00:00 UTC" == moment_words(NOW_MS + 999)
    assert "1969-12-31 23:59:59 UTC" == moment_words(-1)
    assert "an unknown time" == moment_words(None)


@pytest.mark.parametrize("time_ms", [1 << 62, -(1 << 62), 253_402_300_800_000])
def test_a_date_of_an_impossible_year_is_written_as_its_number(time_ms: int) -> None:
    assert f"{time_ms} ms from 1970" == moment_words(time_ms)


@pytest.mark.parametrize(
    ("duration_ms", "words"),
    [
        (0, "0 s"),
        (-5_000, "0 s"),
        (999, "0 s"),
        (59_000, "59 s"),
        (60_000, "1 min 0 s"),
        (3_599_000, "59 min 59 s"),
        (3_600_000, "1 h 0 min"),
        (86_399_000, "23 h 59 min"),
        (86_400_000 * 3 + 3_600_000 * 5, "3 d 5 h"),
    ],
)
def test_a_duration_is_said_in_its_two_largest_units(duration_ms: int, words: str) -> None:
    assert words == span_words(duration_ms)
