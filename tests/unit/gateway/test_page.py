from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from gateway import doctor
from gateway.doctor import Finding
from gateway.page import View, page, style
from gateway.page_words import CHINESE, ENGLISH, preferred, word

SIX_US = 1_795_413_600_000_000  # 2026-11-23 06:00 UTC
FRIDGE = {
    "device": "fridge-1",
    "channel": "temperature",
    "readings": 1234,
    "last_wall_us": SIX_US,
    "value": "4.30",
    "unit": "CEL",
    "silent": False,
}
ALARM = {
    "device": "fridge-1",
    "channel": "temperature",
    "above": True,
    "limit_milli": 8_000,
    "raised": True,
}
GOOD = Finding("clock", good=True, said="network time, right to ± 20 ms")
BAD = Finding("disk", good=False, said="3% free", mend=doctor._ROOM_MEND)


class Read(HTMLParser):
    """Texts, tags and attributes of a page; every tag must be closed in order."""

    VOID = ("meta", "link")

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._open: list[str] = []
        self.feed(data.decode())
        assert [] == self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


def shown(
    language: str = ENGLISH, findings: Sequence[Finding] = (GOOD,), **report: Any
) -> Read:  # fmt: skip
    whole: dict[str, Any] = {"gateway": "cold-room", "channels": [FRIDGE], "alarms": []} | report
    return Read(page(View(report=whole, findings=findings, wall_us=SIX_US), language))


def test_the_answer_stands_first() -> None:
    well = shown()
    assert "✓ all is well" == well.texts[well.texts.index("✓ all is well")]
    assert well.text.index("all is well") < well.text.index("fridge-1") < well.text.index("clock")
    ill = shown(findings=[GOOD, BAD], alarms=[ALARM])
    assert "all is well" not in ill.text
    assert ill.text.index("an alarm stands") < ill.text.index("1 thing wants a hand")
    assert "2 things want a hand" in shown(findings=[BAD, BAD]).text


def test_each_fault_comes_before_what_is_well_with_its_mend_in_words() -> None:
    text = shown(findings=[GOOD, BAD]).text
    assert text.index("disk") < text.index("clock")
    assert "do: free space" in text


def test_a_device_shows_its_last_value_with_unit_and_time() -> None:
    text = shown().text
    for part in ("fridge-1 temperature", "4.30 °C", "2026-11-23 06:00:00 UTC", "1,234 readings"):
        assert part in text


def test_a_silent_device_shows_no_value_and_no_colour_alone() -> None:
    read = shown(channels=[FRIDGE | {"silent": True}])
    assert "4.30" not in read.text
    assert "▲ silent" in read.text
    assert ("class", "gap") in read.attributes


def test_an_alarm_that_stands_says_its_limit_and_one_that_does_not_is_not_shown() -> None:
    assert "above 8.000" in shown(alarms=[ALARM]).text
    assert "8.000" not in shown(alarms=[ALARM | {"raised": False}]).text


def test_an_empty_box_says_so() -> None:
    assert "no device has spoken yet" in shown(channels=[]).text
    assert "尚无设备上报" in shown(CHINESE, channels=[]).text


def test_both_languages_link_to_each_other() -> None:
    english, chinese = shown(), shown(CHINESE)
    assert ("href", "?lang=zh") in english.attributes
    assert ("href", "?lang=en") in chinese.attributes
    assert ("lang", "zh-Hans") in chinese.attributes
    for part in ("一切正常", "设备", "时钟"):
        assert part in chinese.text


def test_every_fixed_sentence_of_the_doctor_has_chinese_words() -> None:
    mends = [value for name, value in vars(doctor).items() if name.endswith("_MEND")]
    assert len(mends) >= 5
    needed = set(mends) - {doctor._KEY_MEND}  # the key is not opened for a glance
    assert not [mend for mend in needed if word(mend, CHINESE) == mend]


def test_names_from_outside_stay_text() -> None:
    rows = [FRIDGE | {"device": "<script>alert(1)</script>", "value": '"><b>', "unit": "<i>"}]
    findings = [Finding("<b>", good=False, said="<script>", mend='"><img src=x>')]
    alarms = [ALARM | {"device": "<u>"}]
    read = shown(channels=rows, findings=findings, alarms=alarms, gateway="<h1>")
    assert set(read.tags) <= {
        "html", "head", "meta", "title", "link", "body", "header", "main", "footer",
        "span", "a", "h1", "h2", "ul", "li",
    }  # fmt: skip
    assert "<script>alert(1)</script>" in read.text


def test_nothing_is_loaded_from_elsewhere_and_no_script_runs() -> None:
    read = shown(findings=[BAD], alarms=[ALARM])
    links = [value for name, value in read.attributes if name in ("src", "href", "action")]
    assert {"/health.css", "?lang=zh"} == set(links)
    assert not [name for name, _ in read.attributes if name.startswith("on") or name == "style"]
    assert b"@import" not in style()
    assert b"url(" not in style()


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("zh-CN,en;q=0.8", CHINESE), ("en-GB,zh;q=0.5", ENGLISH), ("de,zh", CHINESE), ("", ENGLISH),
     ("*", ENGLISH), (",,;q=;", ENGLISH), ("x," * 100_000 + "zh", ENGLISH)],
)  # fmt: skip
def test_the_browsers_first_language_of_ours_is_taken(accepted: str, language: str) -> None:
    assert language == preferred(accepted)


def test_the_style_is_part_of_the_package() -> None:
    assert (Path(doctor.__file__).parent / "static" / "health.css").read_bytes() == style()
