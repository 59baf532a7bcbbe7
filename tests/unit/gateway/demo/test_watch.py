import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.cast import Channel
from gateway.demo.watch import EventFile, GatewayWatch, SentTail
from gateway.status import StatusServer

FRIDGE = Channel("cold-room", "fridge", "temperature", acknowledged=True)
GNSS = Channel("truck", "gnss", "position", acknowledged=False)


class Page:
    """The page's event file, read back."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "events.jsonl"
        self.events = EventFile(self.path)
        self._seen = 0

    def told(self) -> list[dict[str, Any]]:
        """What is new since the last call."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        new, self._seen = lines[self._seen :], len(lines)
        return [json.loads(line) for line in new]


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    made = Page(tmp_path)
    yield made
    made.events.close()


def line(value: object, channel: str = "temperature", **more: object) -> str:
    record = {"channel": channel, "unix_us": 5_000_000, "value": value, "exponent": -3}
    return json.dumps(record | more) + "\n"


def test_what_a_device_says_is_shown_live_in_thousandths(tmp_path: Path, page: Page) -> None:
    log = tmp_path / "fridge.jsonl"
    tail = SentTail(log, FRIDGE, page.events)
    tail.follow([])  # no log yet
    log.write_text(line(4_300) + line(43, exponent=-1) + line(50, "humidity"))
    tail.follow([])
    told = page.told()
    assert [4_300, 4_300] == [event["celsius_milli"] for event in told]
    assert ("reading", 5_000, "cold-room", "cold-room/fridge", "live") == tuple(
        told[0][name] for name in ("type", "t_ms", "gateway", "sensor", "state")
    )
    assert tail.count == 2


def test_a_half_written_line_waits_for_its_end(tmp_path: Path, page: Page) -> None:
    log = tmp_path / "fridge.jsonl"
    tail = SentTail(log, FRIDGE, page.events)
    text = line(4_300)
    log.write_text(text[:20])
    tail.follow([])
    assert [] == page.told()
    log.write_text(text)
    tail.follow([])
    assert 1 == tail.count


def test_a_position_is_shown_as_one(tmp_path: Path, page: Page) -> None:
    log = tmp_path / "gnss.jsonl"
    log.write_text(line([535_000_000, 99_000_000], "position"))
    SentTail(log, GNSS, page.events).follow([])
    (event,) = page.told()
    assert ("position", 535_000_000, 99_000_000) == (
        event["type"],
        event["lat_e7"],
        event["lon_e7"],
    )


def test_what_only_a_gateway_that_is_down_could_hear_is_never_shown(
    tmp_path: Path, page: Page
) -> None:
    logs = tmp_path / "gnss.jsonl", tmp_path / "fridge.jsonl"
    logs[0].write_text(line([1, 2], "position"))
    logs[1].write_text(line(4_300))
    serial = SentTail(logs[0], GNSS, page.events)
    kept_by_broker = SentTail(logs[1], FRIDGE, page.events)
    for tail in (serial, kept_by_broker):
        tail.follow(["truck", "cold-room"])
        tail.follow([])
    assert ["reading"] == [event["type"] for event in page.told()]


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return {"faults": [], "sealed_height": -1, "anchored_height": -1, "opened_height": -1}


@pytest.fixture(scope="module")
def server(report: dict[str, Any]) -> Iterator[StatusServer]:
    made = StatusServer("127.0.0.1", 0, lambda: report)
    made.start()
    yield made
    made.close()


def test_blocks_anchors_and_openings_are_told_once_each(
    tmp_path: Path, page: Page, server: StatusServer, report: dict[str, Any]
) -> None:
    watch = GatewayWatch("truck", tmp_path, page.events)
    assert not watch.poll(1)  # it does not answer yet
    (tmp_path / "status.port").write_text(f"{server.port}\n")
    assert watch.poll(1_000)
    assert [] == page.told()

    report |= {"sealed_height": 1, "sealed_leaves": 20}
    watch.poll(2_000)
    block, journaled = page.told()
    assert ("block", 1, 20) == (block["type"], block["height"], block["readings"])
    assert ("advance", 1_000, "journaled") == (
        journaled["type"],
        journaled["to_ms"],
        journaled["state"],
    )
    watch.poll(3_000)
    assert [] == page.told()

    report |= {"anchored_height": 1, "opened_height": 0}
    watch.poll(4_000)
    assert [("anchor", None), ("advance", "anchored"), ("advance", "opened")] == [
        (event["type"], event.get("state")) for event in page.told()
    ]
    assert 1 == watch.height("anchored_height")


def test_the_last_report_is_kept_while_a_gateway_does_not_answer(
    tmp_path: Path, page: Page, server: StatusServer
) -> None:
    watch = GatewayWatch("truck", tmp_path, page.events)
    port_file = tmp_path / "status.port"
    port_file.write_text(f"{server.port}\n")
    watch.poll(1)
    held = watch.report
    for text in ("1", "no number"):
        port_file.write_text(text)
        assert not watch.poll(2)
    assert held == watch.report
