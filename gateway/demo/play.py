"""The play: set the stage, run the trip with an outage and a kill, and draw up the account."""

import asyncio
import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from consortium.membership import admit_party, enrol_for_party
from consortium.plugs import reader_key
from consortium.read_model import ReadModel
from gateway.demo.account import Row, account, read_sent
from gateway.demo.cable import Cable
from gateway.demo.cast import (
    CHAIN_ID,
    COLD_STORE,
    HARBOUR,
    HIGH_MILLI,
    LOW_MILLI,
    Actor,
    actors,
    channels,
    fleet,
    gateway_toml,
)
from gateway.demo.ports import free_port
from gateway.demo.stage import (
    DemoError,
    Stage,
    run_wharf,
    start_broker,
    token_environment,
    token_for,
    wait_for_port,
    wharf,
)
from gateway.demo.watch import EventFile, GatewayWatch, SentTail
from ledger.hashing import sha256
from ledger.sealed import reader_public

POLL_S: Final = 0.5
OUTAGE_S: Final = (14.0, 30.0)  # from, to, seconds after the first reading
KILL_S: Final = (36.0, 40.0)
END_S: Final = 56.0
SETTLE_S: Final = 40.0
SEALED_AFTER_S: Final = 3.0
PARTY_SLUGS: Final = {"cold-room": "cold-store", "truck": "carrier"}

Say = Callable[[str], None]


@dataclass(slots=True)
class Outcome:
    """What the play ended with."""

    rows: list[Row]
    bundle: Path
    genesis: str
    window_ms: tuple[int, int]
    recovery_s: float


@dataclass(slots=True)
class Play:
    """One run of the demo in a folder of its own."""

    folder: Path
    say: Say
    events: EventFile
    stage: Stage
    cable: Cable | None = None
    watches: dict[str, GatewayWatch] = field(default_factory=dict)
    tails: list[SentTail] = field(default_factory=list)
    environments: dict[str, dict[str, str]] = field(default_factory=dict)
    genesis: str = ""
    recovery_s: float = 0.0
    deaf: set[str] = field(default_factory=set)

    @staticmethod
    def now_ms() -> int:
        """This moment, UTC milliseconds since 1970."""
        return _now_ms()

    @property
    def home(self) -> Path:
        """The chain machine's folder."""
        return self.folder / "chain"

    # Setting up -----------------------------------------------------------------------------

    async def set_up(self) -> None:
        """Broker, chain machine, devices and gateways, all running."""
        broker_port, node_port, cable_port = (
            await start_broker(self.stage),
            free_port(),
            free_port(),
        )
        await self.found_chain(node_port)
        self.cable = Cable(node_port)
        await self.cable.open(cable_port)
        cold_room, truck = actors(self.folder)
        await self.start_gateway(cold_room, broker_port, node_port)
        await self.start_gateway(truck, broker_port, cable_port)
        # A broker keeps nothing for a subscriber that it never saw: gateways first, devices then.
        await self.until(self._all_subscribed, 20.0, "the gateways' connection to the broker")
        await self._start_fleet(broker_port)
        for channel in channels(broker_keeps=self.stage.broker_keeps):
            path = self.folder / "sent" / f"{channel.device}.jsonl"
            self.tails.append(SentTail(path, channel, self.events))
            if channel.limits:
                sensor = f"{channel.actor}/{channel.device}"
                low, high = channel.limits
                self.events.write("limits", sensor=sensor, low_milli=low, high_milli=high)

    def _all_subscribed(self) -> bool:
        brokers = [watch.report.get("mqtt") for watch in self.watches.values()]
        return all(broker is not None and broker["connected"] for broker in brokers)

    async def found_chain(self, port: int) -> None:
        """Founds the chain and starts its machine on a port."""
        self.say("founding the consortium chain")
        listen = f"127.0.0.1:{port}"
        home = str(self.home)
        await run_wharf(
            "chain", "init", "--home", home, "--chain-id", CHAIN_ID, "--party", HARBOUR,
            "--listen", listen,
        )  # fmt: skip  # a command line
        self.genesis = sha256((self.home / "genesis.cbor").read_bytes()).hex()
        await self.stage.start("chain", wharf("chain", "run", "--home", home))
        await wait_for_port(self.stage, port, "the chain machine")
        await self.stage.wait_for_file(self.home / "operator.sock", "the chain machine")

    async def _start_fleet(self, broker_port: int) -> None:
        spec = self.folder / "fleet.json"
        spec.write_text(json.dumps(fleet(self.folder, broker_port)), encoding="utf-8")
        command = [sys.executable, "-m", "firmware_bridge.simulators", str(spec)]
        await self.stage.start("devices", command)
        await self.stage.wait_for_file(self.folder / "fleet-ready", "the simulated devices")

    async def start_gateway(self, actor: Actor, broker_port: int, node_port: int) -> None:
        """Makes a gateway's key, has it enrolled by its party, and runs it."""
        self.say(f"{actor.name}: key made in its token, enrolled by {actor.party}")
        token = token_for(self.stage, actor.name)
        data_dir = self.folder / actor.name
        config = self.folder / f"{actor.name}.toml"
        config.write_text(
            gateway_toml(
                actor,
                data_dir=data_dir,
                key_uri=token.uri("ledger") if token else f"file:{data_dir / 'key.pem'}",
                development=token is None,
                broker_port=broker_port,
                broker_keeps=self.stage.broker_keeps,
                node=(f"127.0.0.1:{node_port}", self.home / "tls_certificate.pem", self.genesis),
                reader=reader_key(self.home).hex(),
                recovery=reader_public(os.urandom(32)).hex(),
            ),
            encoding="utf-8",
        )
        self.environments[actor.name] = token_environment(token)
        code = await run_wharf(
            "gateway", "init", "--config", str(config), "--name", actor.name,
            "--party", actor.party,
            environment=self.environments[actor.name],
        )  # fmt: skip  # a command line
        key = self.folder / f"{PARTY_SLUGS[actor.name]}.pem"
        await admit_party(self.home, actor.party, key)
        await enrol_for_party(self.home, code, party_name=actor.party, key_path=key)
        self.watches[actor.name] = GatewayWatch(actor.name, data_dir, self.events)
        await self._run_gateway(actor.name)

    async def _run_gateway(self, name: str) -> None:
        config = str(self.folder / f"{name}.toml")
        command = wharf("gateway", "run", "--config", config)
        await self.stage.start(name, command, self.environments[name])

    # The trip -------------------------------------------------------------------------------

    async def trip(self) -> tuple[int, int]:
        """Runs the trip; returns (from, to) of the time that is to be proven, ms."""
        await self.until(lambda: any(tail.count for tail in self.tails), 20.0, "a first reading")
        started = time.monotonic()
        first_ms = _now_ms()
        steps = [
            (OUTAGE_S[0], self._lose_uplink),
            (OUTAGE_S[1], self._mend_uplink),
            (KILL_S[0], self._kill),
            (KILL_S[1], self._restart),
        ]
        while (elapsed := time.monotonic() - started) < END_S:
            if steps and elapsed >= steps[0][0]:
                await steps.pop(0)[1]()
            await self._tick()
            self._show_progress(int(elapsed))
            self.events.write(
                "progress", done=int(elapsed), total=int(END_S), text="the trip is under way"
            )
        return first_ms, _now_ms()

    def _show_progress(self, done_s: int) -> None:
        """One line that moves, on a terminal only."""
        if not sys.stdout.isatty():
            return
        said = sum(tail.count for tail in self.tails)
        sealed = sum(watch.height("sealed_height") + 1 for watch in self.watches.values())
        anchored = sum(watch.height("anchored_height") + 1 for watch in self.watches.values())
        bar = "#" * (done_s * 30 // int(END_S))
        done = f"{done_s}/{int(END_S)} s"
        line = f"  [{bar:<30}] {done}  said {said}  blocks {sealed}  anchored {anchored}"
        sys.stdout.write(f"\r{line}\x1b[K\r")
        sys.stdout.flush()

    async def _tick(self) -> None:
        self.stage.check_running()
        for tail in self.tails:
            tail.follow(self.deaf)
        now_ms = _now_ms()
        await asyncio.gather(
            *(asyncio.to_thread(watch.poll, now_ms) for watch in self.watches.values())
        )
        await asyncio.sleep(POLL_S)

    async def until(self, done: Callable[[], bool], limit_s: float, what: str) -> None:
        """Plays on until something holds; raises DemoError where it takes too long."""
        deadline_s = time.monotonic() + limit_s
        while not done():
            if time.monotonic() > deadline_s:
                raise DemoError(f"{what} did not come in {limit_s:.0f} s")
            await self._tick()

    def _band(self, name: str, kind: str, gateway: str, **values: Any) -> None:
        self.events.write("band", id=name, kind=kind, gateway=gateway, **values)

    async def _lose_uplink(self) -> None:
        self.say("truck loses its uplink")
        if self.cable is not None:
            self.cable.cut()
        self._band(
            "uplink", "outage", "truck", from_ms=_now_ms(), to_ms=None,
            label="truck without uplink", label_zh="卡车无网络",
        )  # fmt: skip  # one event

    async def _mend_uplink(self) -> None:
        self.say("truck is back in range")
        if self.cable is not None:
            self.cable.mend()
        self._band("uplink", "outage", "truck", from_ms=self._band_from("uplink"), to_ms=_now_ms())

    async def _kill(self) -> None:
        self.say("cold-room gateway killed (SIGKILL) while its devices keep speaking")
        self.deaf.add("cold-room")
        program = self.stage.programs.pop("cold-room")
        program.process.send_signal(signal.SIGKILL)
        await program.process.wait()
        (self.folder / "cold-room" / "status.port").unlink(missing_ok=True)
        self._band(
            "kill", "kill", "cold-room", from_ms=_now_ms(), to_ms=None,
            label="cold-room gateway killed", label_zh="冷库网关被强制终止",
        )  # fmt: skip  # one event

    async def _restart(self) -> None:
        begun = time.monotonic()
        await self._run_gateway("cold-room")
        watch = self.watches["cold-room"]
        while not watch.poll(_now_ms()):
            self.stage.check_running()
            await asyncio.sleep(0.05)
        self.recovery_s = time.monotonic() - begun
        for tail in self.tails:
            tail.follow(self.deaf)
        self.deaf.clear()
        self._band("kill", "kill", "cold-room", from_ms=self._band_from("kill"), to_ms=_now_ms())
        self.say(f"cold-room gateway back in {self.recovery_s:.1f} s")

    def _band_from(self, name: str) -> int:
        for line in self.events.path.read_text(encoding="utf-8").splitlines():
            event = json.loads(line)
            if event["type"] == "band" and event["id"] == name:
                return int(event["from_ms"])
        return _now_ms()

    # The account ----------------------------------------------------------------------------

    async def settle(self) -> None:
        """Stops the devices and waits until everything taken is anchored and opened."""
        self.say("devices stop; the rest is anchored and opened")
        await self.stage.stop("devices")
        targets = dict.fromkeys(self.watches, -1)
        # Longer than a seal's interval: what was on its way is in a block by then.
        last_sealed_s = time.monotonic() + SEALED_AFTER_S

        def settled() -> bool:
            for name, watch in self.watches.items():
                report = watch.report
                if targets[name] < 0 and time.monotonic() > last_sealed_s:
                    idle = report.get("pending") == 0 and report.get("signed_height", -1) >= 0
                    targets[name] = watch.height("sealed_height") if idle else -1
                if not 0 <= targets[name] <= watch.height("opened_height"):
                    return False
            return True

        await self.until(settled, SETTLE_S, "the last anchor")

    def account(self) -> list[Row]:
        """The account of every channel, out of the chain machine's read model."""
        model = ReadModel(self.home / "read_model.sqlite")
        try:
            return [
                self._row(model, channel)
                for channel in channels(broker_keeps=self.stage.broker_keeps)
            ]
        finally:
            model.close()

    def _row(self, model: ReadModel, channel: Any) -> Row:
        log = (self.folder / "sent" / f"{channel.device}.jsonl").read_text(encoding="utf-8")
        watch = self.watches[channel.actor]
        opened = model.readings(
            channel.device, from_wall_us=0, to_wall_us=1 << 62, channel=channel.channel
        )
        rows = [
            row["readings"]
            for row in watch.report.get("channels", [])
            if (row["device"], row["channel"]) == (channel.device, channel.channel)
        ]
        heights = {
            "journaled": sum(rows),
            "in_blocks": watch.height("sealed_height"),
            "mirrored": watch.height("mirrored_height"),
            "anchored": watch.height("anchored_height"),
            "opened": watch.height("opened_height"),
        }
        gaps = [gap for gap in model.gaps(channel.device) if gap["channel"] == channel.channel]
        return account(
            channel,
            sent=read_sent(log.splitlines(), channel.channel),
            opened=opened,
            gaps=gaps,
            heights=heights,
        )

    def gap_bands(self) -> None:
        """Tells the page of every signed gap."""
        with sqlite3.connect(self.home / "read_model.sqlite") as db:
            rows = db.execute("SELECT device_id, leaf_index, from_wall_us, to_wall_us FROM gaps")
            devices = {c.device: c.actor for c in channels(broker_keeps=True)}
            for device, index, start_us, end_us in rows.fetchall():
                if start_us and end_us and device in devices:
                    self._band(
                        f"gap-{device}-{index}", "gap", devices[device], from_ms=start_us // 1000,
                        to_ms=end_us // 1000, sensor=f"{devices[device]}/{device}",
                        label=f"{device}: signed gap", label_zh=f"{device}：已签名的缺口",
                    )  # fmt: skip  # one event

    async def prove(self, window_ms: tuple[int, int], sensor: str = "cargo-probe") -> Path:
        """The bundle of a sensor over the trip."""
        bundle = self.folder / f"{sensor}.wharf"
        start, end = (_iso(time_ms) for time_ms in window_ms)
        await run_wharf(
            "prove", "--sensor", sensor, "--from", start, "--to", end, "--wait", "30",
            "--home", str(self.home), "-o", str(bundle),
        )  # fmt: skip  # a command line
        return bundle


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")


TITLE: Final = {
    "title": "A cold room and a truck",
    "title_zh": "冷库与卡车",
    "subtitle": f"{COLD_STORE} and a carrier: {LOW_MILLI // 1000} to {HIGH_MILLI // 1000} °C",
    "subtitle_zh": f"温度限值 {LOW_MILLI // 1000} 至 {HIGH_MILLI // 1000} °C",
}
