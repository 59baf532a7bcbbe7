"""A Zigbee2MQTT device that publishes unique temperatures with QoS 1, at a rate, until stopped."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from itertools import count
from typing import Any, Final

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

FIRST_MILLI: Final = -90_000  # the codec takes -100 to 1000 degrees


def payload_of(milli: int) -> bytes:
    """The state message of a temperature in thousandths of a degree."""
    sign = "-" if milli < 0 else ""
    return f'{{"temperature": {sign}{abs(milli) // 1000}.{abs(milli) % 1000:03d}}}'.encode()


def connected_client(port: int, name: str = "") -> Client:
    """A client with a thread of its own, which connects again by itself.

    Without a name it is a stranger each time: a namesake's arrival would throw it out.
    """
    client = Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=not name)
    client.reconnect_delay_set(min_delay=1, max_delay=1)
    client.max_inflight_messages_set(200)
    client.connect("127.0.0.1", port)
    client.loop_start()
    return client


class Publisher:
    """Publishes a new value each time; remembers which the broker took (PUBACK)."""

    def __init__(
        self, port: int, topic: str, *, rate_hz: int, first_milli: int = FIRST_MILLI
    ) -> None:
        self.sent: list[int] = []
        self._values, self._topic, self._rate_hz = count(first_milli), topic, rate_hz
        # Packet ids come again after 65,535 messages; each list is written by one thread alone.
        self._by_id: defaultdict[int, list[int]] = defaultdict(list)
        self._pubacks: list[int] = []
        self._stop = threading.Event()
        self._client = connected_client(port, f"device-{topic.replace('/', '-')}")
        self._client.on_publish = self._on_publish
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _on_publish(self, _client: Client, _data: Any, mid: int, *_: Any) -> None:
        self._pubacks.append(mid)

    def taken(self) -> set[int]:
        """The values that the broker took."""
        return {
            milli for mid, n in Counter(self._pubacks).items() for milli in self._by_id[mid][:n]
        }

    def _run(self) -> None:
        begun_s, rounds = time.monotonic(), 0
        while not self._stop.is_set():
            due = int((time.monotonic() - begun_s) * self._rate_hz)
            for _ in range(due - rounds):
                self._publish(next(self._values))
            rounds = max(rounds, due)
            self._stop.wait(0.01)

    def _publish(self, milli: int) -> None:
        self.sent.append(milli)
        self._by_id[self._client.publish(self._topic, payload_of(milli), qos=1).mid].append(milli)

    def finish(self, *, limit_s: float = 30) -> None:
        """Stops, and waits until the broker took everything."""
        self._stop.set()
        self._thread.join()
        deadline_s = time.monotonic() + limit_s
        while (waiting := len(self.sent) - len(self._pubacks)) > 0:
            assert time.monotonic() < deadline_s, f"{waiting} not taken by the broker"
            time.sleep(0.02)
        self.close()

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()


def publish_once(
    port: int, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False
) -> None:
    """One message of any content; returns when the broker took it."""
    client = connected_client(port)
    try:
        client.publish(topic, payload, qos=qos, retain=retain).wait_for_publish(timeout=20)
    finally:
        client.disconnect()
        client.loop_stop()
