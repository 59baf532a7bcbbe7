"""Broker, chain machine and token go and come back: nothing acknowledged is lost or restarted."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from firmware_bridge.codecs.probe import encode_w1_slave
from tests.fakes.mqtt_tap import MqttTap
from tests.fakes.publisher import Publisher, payload_of
from tests.fakes.stores import held_feed
from tests.fakes.yard import PIN, Device, GatewayBox, Yard, wharf_result

RATE_HZ = 100
BACKLOG_BLOCKS = 3
TOPIC = "zigbee2mqtt/fridge-1"


@pytest.fixture
def tap(fresh_yard: Yard) -> Iterator[MqttTap]:
    made = MqttTap(fresh_yard.broker.port)
    yield made
    made.close()


@pytest.fixture
def box(fresh_yard: Yard, tap: MqttTap) -> GatewayBox:
    """Return a gateway with a probe on the wire and a fridge behind the broker."""
    probe = fresh_yard.folder / "w1_slave"
    probe.write_text(encode_w1_slave(64), encoding="ascii")
    devices = [
        Device("fridge-1", "zigbee2mqtt", f"mqtt:{TOPIC}"),
        Device("probe-1", "ds18b20", f"w1:{probe}", 1),
    ]
    return fresh_yard.add_gateway("gateway", devices, broker_port=tap.port)


@pytest.fixture
def publisher(box: GatewayBox, fresh_yard: Yard) -> Iterator[Publisher]:
    """Return a device that publishes to a gateway that has subscribed and signed already."""
    made = Publisher(fresh_yard.broker.port, TOPIC, rate_hz=RATE_HZ)
    box.until(lambda r: r["acknowledged"] > 50 and r["anchored_height"] >= 0, "the first anchor")
    yield made
    made.close()


def readings(report: dict[str, Any], device: str) -> int:
    return sum(row["readings"] for row in report["channels"] if row["device"] == device)


def opened_values(yard: Yard) -> list[int]:
    return [row["value"] for row in yard.machine.readings("fridge-1", "temperature")]


def settle(box: GatewayBox, publisher: Publisher) -> None:
    """Everything published is in a block that is anchored and opened."""
    publisher.finish()
    sent = len(set(publisher.sent))
    box.until(
        lambda r: readings(r, "fridge-1") >= sent,
        "everything published in the journal",
        limit_s=120,
    )
    box.settle()


def process_id(box: GatewayBox) -> int:
    assert box.program.process is not None
    return box.program.process.pid


def grow(box: GatewayBox, blocks: int = BACKLOG_BLOCKS) -> dict[str, Any]:
    """The report after so many more blocks: journaling and cutting go on."""
    before = box.status()
    return box.until(
        lambda r: (
            r["sealed_height"] >= before["sealed_height"] + blocks
            and r["journaled"] > before["journaled"]
        ),
        f"{blocks} more blocks",
    )


def test_a_broker_that_was_killed_takes_nothing_acknowledged_with_it(
    box: GatewayBox, publisher: Publisher, tap: MqttTap, fresh_yard: Yard
) -> None:
    pid, before = process_id(box), box.status()
    fresh_yard.broker.kill()
    away = box.until(lambda r: not r["mqtt"]["connected"], "the loss of the broker")
    box.until(
        lambda r: readings(r, "probe-1") >= readings(away, "probe-1") + 2, "more from the probe"
    )
    fresh_yard.broker.start()
    box.until(
        lambda r: r["mqtt"]["connected"] and r["acknowledged"] > before["acknowledged"] + 200,
        "readings after the broker's return",
    )
    publisher.finish()
    last = payload_of(publisher.sent[-1])
    box.until(lambda _: last in tap.acknowledged, "the last reading acknowledged")
    box.settle()
    opened = {payload_of(value) for value in opened_values(fresh_yard)}
    assert len(tap.acknowledged) > 200
    assert [payload for payload in tap.acknowledged if payload not in opened] == []
    assert process_id(box) == pid


def test_a_chain_machine_that_was_killed_is_told_all_when_it_is_back(
    box: GatewayBox, publisher: Publisher, fresh_yard: Yard
) -> None:
    pid = process_id(box)
    fresh_yard.machine.kill()
    box.until(lambda r: not r["connected"], "the loss of the chain machine")
    away = grow(box)
    box.until(lambda r: r["signed_height"] >= away["sealed_height"], "heads without a chain")
    fresh_yard.machine.start()
    back = box.until(lambda r: r["connected"], "the chain machine's return")
    assert back["anchored_height"] < away["sealed_height"]
    settle(box, publisher)
    assert sorted(opened_values(fresh_yard)) == publisher.sent
    assert process_id(box) == pid


def test_a_token_that_was_away_signs_the_backlog_with_one_head(
    box: GatewayBox, publisher: Publisher, fresh_yard: Yard
) -> None:
    pid, tokens = process_id(box), box.token.tokens_path
    away = tokens.with_name("in-a-drawer")
    tokens.rename(away)
    report = box.until(lambda r: any("key holder away" in text for text in r["faults"]), "a fault")
    signed = report["signed_height"]
    backlog = grow(box)
    assert backlog["signed_height"] == signed
    away.rename(tokens)
    box.until(lambda r: r["signed_height"] >= backlog["sealed_height"], "signing again")
    box.until(lambda r: r["faults"] == [], "no fault any more")
    settle(box, publisher)
    assert sorted(opened_values(fresh_yard)) == publisher.sent
    assert process_id(box) == pid
    assert box.stop() == 0
    heads = held_feed(box.data_dir / "store", box.feed_id).heads
    # One claim was decided on when the token went: it is signed as it stands. The next covers all.
    between = {height for height in heads if signed < height < backlog["sealed_height"]}
    assert between <= {signed + 1}


@contextmanager
def counted_pin(path: Path, pin: str) -> Iterator[list[int]]:
    """A PIN file in a pipe's form: the list grows by one each time that somebody reads the PIN."""
    fresh = path.with_name("fresh-pipe")
    os.mkfifo(fresh, 0o600)
    fresh.replace(path)
    reads: list[int] = []
    ended = threading.Event()

    def serve() -> None:
        while True:
            with suppress(BrokenPipeError), path.open("wb") as pipe:
                # Each reader has a pipe of its own, or one could be given the PIN twice.
                os.mkfifo(fresh, 0o600)
                fresh.replace(path)
                if ended.is_set():
                    return
                reads.append(len(reads))
                pipe.write(pin.encode())

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    try:
        yield reads
    finally:
        ended.set()
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        server.join(timeout=10)
        path.unlink()


def test_a_wrong_pin_is_tried_once_and_stops_only_the_signing(
    box: GatewayBox, publisher: Publisher, fresh_yard: Yard
) -> None:
    assert box.stop() == 0
    signed = max(held_feed(box.data_dir / "store", box.feed_id).heads)
    log_before = len(box.program.text())
    with counted_pin(box.token.pin_path, "4321-wrong") as reads:
        box.start()
        stopped = box.until(
            lambda r: [text for text in r["faults"] if "signing stopped" in text], "the fault"
        )
        assert any("PIN" in text for text in stopped["faults"])
        backlog = grow(box)
        assert readings(backlog, "fridge-1") > readings(stopped, "fridge-1")
        assert backlog["signed_height"] <= signed
        shown = wharf_result("gateway", "status", "--config", str(box.config))
        assert shown.returncode == 1
        assert "PIN" in shown.stdout
        assert box.stop() == 0
        assert reads == [0]
    log = box.program.text()[log_before:]
    assert log.count("pin_refused") == 1
    assert "Traceback" not in log
    assert max(held_feed(box.data_dir / "store", box.feed_id).heads) == signed
    box.token.pin_path.write_text(PIN)
    box.start()
    settle(box, publisher)
    assert sorted(opened_values(fresh_yard)) == publisher.sent
    heads_after = [int(text) for text in signed_heights(box.program.text()[log_before:])]
    assert heads_after[0] >= backlog["sealed_height"]


def signed_heights(log: str) -> list[str]:
    return [part.split()[0] for part in log.split("head_signed height=")[1:]]
