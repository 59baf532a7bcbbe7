"""The whole way of a reading, beside ThingsBoard's gateway on the same messages.

Ours: MQTT in, durable before the acknowledgement, sealed, signed by the token. Theirs: MQTT in,
SQLite without a sync, MQTT out to a broker that stands in for the server.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from tools.bench.figure import Figure, at_most, ratio_at_least, ratio_at_most
from tools.bench.load import Sensors, topic_of
from tools.bench.mqtt_load import Publisher, start_broker
from tools.bench.own_gateway import OwnGateway
from tools.bench.processes import cpu_seconds, resident_bytes, wait_until
from tools.bench.session import BenchError, Session
from tools.bench.thingsboard import ThingsBoard, installed

OUR_MESSAGES, THEIR_MESSAGES = 30_000, 10_000
MIB = 1 << 20
QUIET_S = 2.0


@dataclass(frozen=True, slots=True)
class Load:
    """One flood of messages through a gateway, with what it cost."""

    readings_per_s: float
    cpu_us_per_reading: float


class Bench:
    """Both gateways, up and warm, each behind a broker of its own."""

    def __init__(self, session: Session) -> None:
        environment = installed(session)
        sensors = Sensors()
        self._deliveries = sensors.deliveries()
        our_port, their_port = start_broker(session), start_broker(session)
        self.ours = OwnGateway(session, broker_port=our_port)
        self.theirs = ThingsBoard(
            session, environment, inside=their_port, outside=start_broker(session)
        )
        self._to_ours, self._to_theirs = Publisher(our_port), Publisher(their_port)
        self._warm_up()

    def _warm_up(self) -> None:
        """One message of each sensor, until the slower one has passed it on."""
        self._flood_ours(200)

        def has_come() -> bool:
            self._to_theirs.publish(self._messages(40))
            time.sleep(1)
            return self.theirs.server.values > 0

        wait_until(has_come, "ThingsBoard's gateway passes a reading on", within_s=120)
        self._settle()

    def _settle(self) -> None:
        """Returns when nothing comes any more."""
        while time.perf_counter() < self.theirs.server.last_came_s + QUIET_S:
            time.sleep(QUIET_S / 4)

    def _messages(self, count: int) -> list[tuple[str, bytes]]:
        taken = (next(self._deliveries) for _ in range(count))
        return [(topic_of(item.device_id), item.payload) for item in taken]

    def flood_ours(self) -> Load:
        """So many messages until all are acknowledged and under a signature."""
        return self._flood_ours(OUR_MESSAGES)

    def _flood_ours(self, count: int) -> Load:
        messages, goal = self._messages(count), self.ours.acknowledged() + count
        pid = self.ours.process.pid
        spent, begun = cpu_seconds(pid), time.perf_counter()
        self._to_ours.publish(messages)
        wait_until(lambda: self.ours.acknowledged() >= goal, "all are acknowledged")
        self.ours.seal_and_sign()
        seconds, cpu_s = time.perf_counter() - begun, cpu_seconds(pid) - spent
        return Load(count / seconds, cpu_s / count * 1e6)

    def flood_theirs(self) -> Load:
        """So many messages until the last one has come to the server."""
        messages, server = self._messages(THEIR_MESSAGES), self.theirs.server
        pid, before = self.theirs.process.pid, server.values
        spent, begun = cpu_seconds(pid), time.perf_counter()
        self._to_theirs.publish(messages)
        wait_until(lambda: server.values > before, "the first one has come", within_s=60)
        self._settle()
        # Values of one device that come within a millisecond overwrite each other there.
        if server.values - before < len(messages) * 0.9:
            raise BenchError(f"only {server.values - before} of {len(messages)} came to the server")
        seconds, cpu_s = server.last_came_s - begun, cpu_seconds(pid) - spent
        return Load(len(messages) / seconds, cpu_s / len(messages) * 1e6)


def measure(session: Session) -> list[Figure]:
    """Readings per second, processor time and memory."""
    bench = Bench(session)
    ours: list[Load] = []
    theirs: list[Load] = []
    for number in range(session.repeats):
        session.say(f"  end to end: {number + 1} of {session.repeats}")
        ours.append(bench.flood_ours())
        theirs.append(bench.flood_theirs())
    peer = "thingsboard-gateway, SQLite"
    return [
        Figure(
            name="end to end, durable and signed", unit="readings/s",
            ours=tuple(load.readings_per_s for load in ours), peer=peer,
            theirs=tuple(load.readings_per_s for load in theirs), goal=ratio_at_least(5),
        ),
        Figure(
            name="processor time in that", unit="µs a reading",
            ours=tuple(load.cpu_us_per_reading for load in ours), peer=peer,
            theirs=tuple(load.cpu_us_per_reading for load in theirs), goal=ratio_at_most(1 / 8),
        ),
        _memory(bench, peer),
    ]  # fmt: skip  # a figure a block


def _memory(bench: Bench, peer: str) -> Figure:
    gateway = resident_bytes(bench.ours.process.pid) / MIB
    signer = resident_bytes(bench.ours.signer_pid) / MIB
    theirs = resident_bytes(bench.theirs.process.pid) / MIB
    return Figure(
        name="resident memory after that, gateway and signer", unit="MiB",
        ours=(gateway + signer,), peer=peer, theirs=(theirs,), goal=at_most(60),
        note=f"gateway {gateway:.1f}, its signer process {signer:.1f}",
    )  # fmt: skip  # a figure a block
