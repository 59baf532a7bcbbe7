"""An alarm on the box while the uplink is down: at the broker, on the page, in the ledger, once."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessage

from gateway.alarm_board import topic_of
from ledger.entry import KIND_HEALTH, Entry
from ledger.feed_store import get_state, need_header
from ledger.mirror import open_held_run
from ledger.store import Store, Transaction
from logistics.health import AlarmChange
from tests.fakes.publisher import connected_client, payload_of, publish_once
from tests.fakes.yard import Device, GatewayBox, Yard, until

FRIDGE: Final = "zigbee2mqtt/fridge-1"
TOPIC: Final = topic_of("cold-room", ("fridge-1", "temperature"), above=True)
ALARM: Final = """\
[[alarm]]
device = "fridge-1"
channel = "temperature"
above = "8.0"
for_s = 0
settle_s = 0
"""


@contextmanager
def board(port: int) -> Iterator[queue.SimpleQueue[dict[str, Any]]]:
    """What a display at the dock sees: the topic's retained word first, then each new one."""
    seen: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def on_message(_client: Client, _data: Any, message: MQTTMessage) -> None:
        seen.put(json.loads(message.payload) | {"qos": message.qos, "retained": message.retain})

    client = connected_client(port)
    client.on_message = on_message
    client.subscribe(TOPIC, qos=1)
    try:
        yield seen
    finally:
        client.disconnect()
        client.loop_stop()


def next_state(seen: queue.SimpleQueue[dict[str, Any]], state: str) -> dict[str, Any]:
    """The next word that says so; a restarted gateway may repeat the one before."""
    while (word := seen.get(timeout=20))["state"] != state:
        pass
    return word


def health(box: GatewayBox) -> list[AlarmChange]:
    """Every alarm entry in the ledger of a stopped gateway."""

    def entries(txn: Transaction) -> list[Entry]:
        feed = (box.feed_id, 0)
        state = get_state(txn, feed)
        key = next(secret for _, secret in txn.scan("audience_keys", b"\x00\x01"))
        assert state
        return [
            entry
            for height in range(state.height)
            if need_header(txn, feed, height).run_digest(1) is not None
            for entry in open_held_run(txn, feed, height=height, audience=1, key=key).entries
        ]

    store = Store(box.data_dir / "store")
    try:
        found = store.read(entries)
    finally:
        store.close()
    return [AlarmChange.from_body(e.body) for e in found if e.kind == KIND_HEALTH]


def test_an_alarm_reaches_the_dock_without_an_uplink_and_the_ledger_once(fresh_yard: Yard) -> None:
    yard = fresh_yard
    box = yard.add_gateway("box", [Device("fridge-1", "zigbee2mqtt", f"mqtt:{FRIDGE}")], more=ALARM)
    port = yard.broker.port
    publish_once(port, FRIDGE, payload_of(4_000))
    with board(port) as seen:
        next_state(seen, "clear")
        yard.machine.kill()
        box.until(lambda r: not r["connected"], "the lost uplink")
        publish_once(port, FRIDGE, payload_of(8_500))
        word = next_state(seen, "raised")
        assert (word["value"], word["limit"], word["unit"], word["qos"]) == (
            "8.500",
            "8.000",
            "CEL",
            1,
        )
        assert [row["raised"] for row in box.status()["alarms"]] == [True]
    with board(port) as seen:
        assert seen.get(timeout=20)["retained"], "a newcomer sees it at once"
    box.kill()
    box.start()
    box.until(lambda r: r["alarms"][0]["raised"], "the alarm after the restart")
    publish_once(port, FRIDGE, payload_of(8_600))
    # A broker that has forgotten everything is told again.
    yard.broker.kill()
    yard.broker.start()
    with board(port) as seen:
        next_state(seen, "raised")
        until(lambda: box.status()["mqtt"]["connected"], "the broker again")
        publish_once(port, FRIDGE, payload_of(4_000))
        next_state(seen, "clear")
    yard.machine.start()
    box.settle()
    assert box.stop() == 0
    assert [(change.raised, change.value) for change in health(box)] == [
        (True, 8_500),
        (False, 4_000),
    ]
