"""One seed: a consortium, its gateways, days of bad weather, healing, and what must hold.

Everything that is random follows from the seed, and nothing runs beside the loop, so that a seed is
a test: it plays the same way every time (`trace`).
"""

import asyncio
import hashlib
import logging
import random
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final

from consortium.transaction import KIND_GATEWAY
from ledger.chain_proof import decode_chain_part, verify_chain_part
from ledger.errors import LedgerError
from ledger.feed_store import feed_prefix, get_header
from ledger.gossip import block_messages
from ledger.mirror import blocks_held, in_conflict, signed_height
from ledger.store_exchange import block_parts
from tests.fakes.small_chain import TIME_NS, tx
from tests.simulator.box import Box, values_in
from tests.simulator.clock import Clock, SerialLoop
from tests.simulator.disk import Disk, SimOs, simulated_os
from tests.simulator.line import Link
from tests.simulator.machine import PARTIES, Chain, Machine

HOUR_S: Final = 3600.0
GATEWAYS: Final = 50
HOURS: Final = 48
WALL_US: Final = TIME_NS // 1000 + 30 * 86_400 * 1_000_000
CONFLICT_S_MAX: Final = 6 * HOUR_S  # both histories reachable, until every machine knows
STEP_S: Final = 2 * HOUR_S
MISSING_SHARE_MAX: Final = 1.2
LINK_BYTES: Final = 6000  # hello, offers, grants and heads, whatever else is missing


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """How large and how long. hours: of bad weather; as long again, at most, to heal."""

    gateways: int = GATEWAYS
    machines: int = 3
    hours: int = HOURS
    faults_a_gateway: float = 2.0
    readings_a_gateway: int = 24


@dataclass(slots=True)
class Report:
    """What a seed came to."""

    seed: int
    violations: list[str] = field(default_factory=list)
    trace: str = ""
    facts: dict[str, int] = field(default_factory=dict)


class World:
    """All of it. `check` is called at every step and says what does not hold."""

    def __init__(self, seed: int, scene: Scene, folder: Path, system: SimOs) -> None:
        self.seed, self.scene, self.folder, self.system = seed, scene, folder, system
        self.chance = random.Random(seed)
        self.report = Report(seed)
        self._trace = hashlib.sha256()
        self.boxes: list[Box] = []
        self.machines: list[Machine] = []
        self.clones: list[Box] = []
        self.liars: dict[bytes, float | None] = {}  # feed -> since when both histories are out
        self.excused: set[tuple[str, int]] = set()  # lost with a disk that was set back, or rotten
        self._value = 0

    def now_s(self) -> float:
        """Since the beginning."""
        return asyncio.get_running_loop().time()

    def note(self, *words: object) -> None:
        """One line of the trace."""
        line = f"{self.now_s():.3f} " + " ".join(str(word) for word in words)
        self._trace.update(line.encode())
        self.report.facts[str(words[0])] = self.report.facts.get(str(words[0]), 0) + 1

    def violated(self, promise: str, what: str) -> None:
        """Something does not hold."""
        text = f"{self.now_s() / HOUR_S:.2f} h: {promise}: {what}"
        if len(self.report.violations) < 20:
            self.report.violations.append(text)

    # Setting up -----------------------------------------------------------------------------

    def _wall_ns(self) -> int:
        return WALL_US * 1000 + round(self.now_s() * 1e9)

    async def build(self) -> None:
        """Chain, machines, gateways, all of them on and enrolled."""
        (self.folder / "chain").mkdir()
        self.chain = Chain(self.folder / "chain", self._wall_ns)
        await self.chain.start()
        for name in PARTIES[: self.scene.machines]:
            machine = Machine(
                name,
                self._disk(name),
                self.chain,
                lambda: self._wall_ns() // 1_000_000_000,
                random.Random(self.chance.random()),
            )
            machine.start()
            self.machines.append(machine)
        for number in range(self.scene.gateways):
            self.boxes.append(self._box(f"gateway-{number}"))
        for box in self.boxes:
            await self._enrol(box)
            await box.start()

    def _disk(self, name: str) -> Disk:
        folder = self.folder / name
        folder.mkdir()
        disk = Disk(folder, random.Random(self.chance.random()))
        self.system.disks[f"{folder}/"] = disk
        return disk

    def _box(self, name: str, ways: list[tuple[Link, Machine]] | None = None, **more: Any) -> Box:
        chosen = self.chance.sample(self.machines, min(2, len(self.machines)))
        return Box(
            more.get("named", name),
            self._disk(name),
            Clock(WALL_US),
            ways=ways or [(self._link(), machine) for machine in chosen],
            genesis_sha256=self.chain.genesis.digest,
            chance=random.Random(self.chance.random()),
        )

    def _link(self) -> Link:
        return Link(
            random.Random(self.chance.random()),
            bytes_per_s=self.chance.choice([1200.0, 20_000.0, 1e6]),
            latency_s=self.chance.choice([0.02, 0.3, 2.0]),
            cut_every_s=self.chance.choice([600.0, 6 * HOUR_S, 48 * HOUR_S]),
        )

    async def _enrol(self, box: Box) -> None:
        body = [
            1,
            box.feed_id,
            box.key.alg,
            box.key.public_key_der(),
            box.genesis_leaf,
            box.name,
            0,
            [],
        ]
        await self.chain.node.submit(tx(KIND_GATEWAY, body, PARTIES[0]))

    # Weather --------------------------------------------------------------------------------

    def _faults(self) -> list[tuple[float, str, Callable[[], Awaitable[None]]]]:
        end_s = self.scene.hours * HOUR_S
        plan: list[tuple[float, str, Callable[[], Awaitable[None]]]] = []
        kinds = [
            ("power", self._power_cut), ("power in the middle", self._power_cut_within),
            ("partition", self._partition), ("disk full", self._disk_full), ("rot", self._rot),
            ("clock", self._clock_jump), ("token", self._token_away), ("image", self._image),
            ("liar carries", self._lying_carrier),
        ]  # fmt: skip  # a table
        for box in self.boxes:
            for _ in range(round(self.chance.expovariate(1 / self.scene.faults_a_gateway))):
                name, fault = self.chance.choice(kinds)
                plan.append((self.chance.uniform(0, end_s * 0.9), name, partial(fault, box)))
            for _ in range(self.scene.readings_a_gateway):
                at_s = self.chance.uniform(60, end_s)
                plan.append((at_s, "reading", partial(self._reading, box)))
        for machine in self.machines:
            at_s = self.chance.uniform(0, end_s * 0.8)
            plan.append((at_s, "machine off", partial(self._machine_off, machine)))
            plan.append((at_s / 2, "machine alone", partial(self._machine_alone, machine)))
        plan.append((self.chance.uniform(0, end_s), "validator lies", self._lying_validator))
        if len(self.machines) > 1:
            at_s = self.chance.uniform(end_s * 0.2, end_s * 0.6)
            liar = self.chance.choice(self.boxes)
            plan.append((at_s, "gateway lies", partial(self._two_histories, liar)))
        return sorted(plan, key=lambda item: item[0])

    async def _reading(self, box: Box) -> None:
        self._value += 1
        await box.read(self._value)

    async def _down(self, box: Box, seconds: float) -> None:
        await box.stop()
        await asyncio.sleep(seconds)
        await self._up(box)

    async def _up(self, box: Box) -> None:
        """On again, however often a start has to be tried; what it finds is checked."""
        was_on = box.is_on
        await box.start_at_last()
        if not was_on:
            self._recovered(box)

    async def _power_cut(self, box: Box) -> None:
        await self._down(box, self.chance.choice([1.0, 60.0, 10 * HOUR_S]))

    async def _power_cut_within(self, box: Box) -> None:
        box.disk.cut_in = self.chance.randint(1, 12)

    async def _partition(self, box: Box) -> None:
        ways = self.chance.sample(box.ways, self.chance.randint(1, len(box.ways)))
        for link, _ in ways:
            link.is_up = False
            link.cut()
        await asyncio.sleep(self.chance.choice([600.0, 6 * HOUR_S, 40 * HOUR_S]))
        for link, _ in ways:
            link.is_up = True

    async def _disk_full(self, box: Box) -> None:
        box.disk.is_full = True
        await asyncio.sleep(self.chance.choice([60.0, 5 * HOUR_S]))
        box.disk.is_full = False
        if box.is_on:
            box.store.has_room()

    async def _rot(self, box: Box) -> None:
        """While it is off a byte goes bad; what only that frame held is lost, and must be told."""
        await box.stop()
        if box.disk.rot():
            self.note("rotten", box.name)
        await asyncio.sleep(60)
        await box.start()
        if box.is_on:
            if box.found is not None and box.found.lost:
                self._excuse(box)
            self._recovered(box)

    def _excuse(self, box: Box) -> None:
        """What a disk alone held and lost: nobody else was told that it was safe elsewhere."""
        here = set(box.values_here())
        self.excused |= {(box.name, value) for value in box.acknowledged if value not in here}

    async def _clock_jump(self, box: Box) -> None:
        box.clock.step_us += (
            self.chance.choice([-1, 1]) * self.chance.choice([90, 3600, 400 * 86_400]) * 1_000_000
        )
        await asyncio.sleep(self.chance.choice([600.0, 12 * HOUR_S]))
        box.clock.step_us = 0

    async def _token_away(self, box: Box) -> None:
        box.token_away = True
        await self._down(box, 5.0)
        await asyncio.sleep(self.chance.choice([60.0, 20 * HOUR_S]))
        box.token_away = False

    async def _image(self, box: Box) -> None:
        """An old image is put back: the guard must hold, or what is signed must be the same."""
        if box.feed_id in self.liars:
            return
        await box.stop()
        box.image()
        await self._up(box)
        await asyncio.sleep(self.chance.choice([HOUR_S, 12 * HOUR_S]))
        await box.stop()
        if box.restore_image():
            self.note("restored", box.name)
            await box.start_at_last()
            self._excuse(box)

    async def _lying_carrier(self, box: Box) -> None:
        link, _ = self.chance.choice(box.ways)
        link.lies = 0.2
        await asyncio.sleep(4 * HOUR_S)
        link.lies = 0.0

    async def _machine_off(self, machine: Machine) -> None:
        for box in [*self.boxes, *self.clones]:
            for link, other in box.ways:
                if other is machine:
                    link.cut()
        await machine.stop()
        await asyncio.sleep(self.chance.choice([60.0, 8 * HOUR_S]))
        machine.start()

    async def _machine_alone(self, machine: Machine) -> None:
        machine.node.is_up = False
        await asyncio.sleep(self.chance.choice([600.0, 8 * HOUR_S]))
        machine.node.is_up = True

    async def _lying_validator(self) -> None:
        self.chance.choice(self.machines).lie(20)

    async def _two_histories(self, box: Box) -> None:
        """The owner runs a copy beside the gateway; each shows its history to another machine."""
        await box.stop()
        self.liars[box.feed_id] = None
        box.image()
        mine, other = box.ways[0], box.ways[1]
        box.ways = [mine]
        clone = self._box(f"{box.name}-clone", [(self._link(), other[1])], named=box.name)
        copy = box.disk.folder.with_suffix(".image")
        clone.disk.folder.rmdir()
        copy.rename(clone.disk.folder)
        await self._up(box)
        await clone.start()
        self.clones.append(clone)
        for _ in range(3):
            await asyncio.sleep(HOUR_S)
            self._value += 2
            await box.read(self._value - 1)
            await clone.read(self._value)

    # What must hold -------------------------------------------------------------------------

    def _recovered(self, box: Box) -> None:
        """Nothing acknowledged is lost: after each start all of it is there, once."""
        if box.feed_id in self.liars:
            return
        here = box.values_here()
        owed = {v for v in box.acknowledged if (box.name, v) not in self.excused}
        missing = owed - set(here)
        if missing:
            self.violated("nothing acknowledged is lost", f"{box.name} lost {sorted(missing)[:5]}")
        if len(here) != len(set(here)):
            self.violated("exactly once", f"{box.name} holds a value twice")

    def check(self) -> None:
        """What can be said at any moment."""
        for box in self.boxes:
            honest = box.feed_id not in self.liars
            frozen = self.chain.node.get("frozen", box.feed_id) is not None
            if honest and frozen:
                self.violated("no honest gateway is accused", f"{box.name} is frozen")
            if honest and box.is_on:
                self._states(box)
            if not honest:
                self._found_in_time(box, frozen)
        for machine in self.machines:
            if machine.is_on:
                self._accused(machine)

    def _accused(self, machine: Machine) -> None:
        for box in self.boxes:
            if box.feed_id not in self.liars and machine.store.read(
                partial(in_conflict, feed=box.feed)
            ):
                self.violated("no honest gateway is accused", f"{machine.name}: {box.name}")

    def _states(self, box: Box) -> None:
        """A gateway claims no more than others have said, and they no more than they did."""
        anchored = self.chain.node.anchored(*box.feed)
        top = anchored.height if anchored else -1
        for link in box.links:
            progress = link.progress
            if progress.anchored_height > top:
                self.violated("four states", f"{box.name} claims anchor {progress.anchored_height}")
            if progress.opened_height > top or progress.mirrored_height > top:
                self.violated("four states", f"{box.name} claims more than is anchored")
        height = max(link.progress.opened_height for link in box.links)
        opened = any((box.feed_id, height, 1) in machine.opened for machine in self.machines)
        if height >= 0 and not opened and self._has_audience(box, height):
            self.violated("four states", f"{box.name}: block {height} is opened by nobody")

    def _has_audience(self, box: Box, height: int) -> bool:
        header = box.store.read(lambda txn: get_header(txn, box.feed, height))
        return header is not None and any(audience for audience, _ in header.runs)

    def _found_in_time(self, box: Box, frozen: bool) -> None:
        if frozen or not self._is_provable(box):
            self.liars[box.feed_id] = None
            return
        since = self.liars[box.feed_id]
        if since is None:
            self.liars[box.feed_id] = since = self.now_s()
        if self.now_s() - since > CONFLICT_S_MAX:
            self.violated("every conflict is found", f"{box.name} since {since / HOUR_S:.1f} h")

    def _is_provable(self, box: Box) -> bool:
        """Whether two machines that reach the chain hold signed blocks that exclude each other at
        the anchored height. Below it a second history is refused, and shown once it grows past.
        """
        anchored = self.chain.node.anchored(*box.feed)
        if anchored is None:
            return False
        digests = set()
        for machine in self.machines:
            if machine.is_on and machine.node.is_up:
                top = machine.store.read(partial(signed_height, feed=box.feed))
                at = partial(get_header, feed=box.feed, height=anchored.height)
                header = machine.store.read(at) if top >= anchored.height else None
                digests |= {header.digest} if header else set()
        return len(digests) > 1

    # Healing --------------------------------------------------------------------------------

    async def heal(self) -> None:
        """Everything comes back; then all that is owed arrives, for little more than its bytes."""
        for machine in self.machines:
            machine.node.is_up = True
            if not machine.is_on:
                machine.start()
        for box in [*self.boxes, *self.clones]:
            box.disk.is_full, box.disk.cut_in, box.token_away, box.clock.step_us = (
                False,
                None,
                False,
                0,
            )
            for link, _ in box.ways:
                link.is_up, link.lies, link.cut_every_s = True, 0.0, 1e9
                link.bytes_per_s = max(link.bytes_per_s, 20_000.0)
                link.cut()
            if box.has_died:
                await box.stop()
            if box.is_on:
                box.store.has_room()
            else:
                await self._up(box)
        await asyncio.sleep(60)
        for box in self.boxes:
            if box.is_on:
                await box.cutter.cut_all()
        await asyncio.sleep(2)
        owed = {id(link): self._missing(box, machine) for box, link, machine in self._honest()}
        sent = {id(link): link.sent_bytes for _, link, _ in self._honest()}
        await self._until_converged()
        for box, link, _ in self._honest():
            used, missing = link.sent_bytes - sent[id(link)], owed[id(link)]
            if used > MISSING_SHARE_MAX * missing + LINK_BYTES:
                self.violated("bytes to converge", f"{box.name}: {used} for {missing}")
        await asyncio.sleep(3 * HOUR_S)

    def _honest(self) -> list[tuple[Box, Link, Machine]]:
        return [
            (box, link, machine)
            for box in self.boxes
            if box.feed_id not in self.liars and box.held is None
            for link, machine in box.ways
        ]

    def _missing(self, box: Box, machine: Machine) -> int:
        held = machine.store.read(partial(blocks_held, feed=box.feed))
        size = 0
        for height in range(held, box.cutter.state.height):
            parts = box.store.read(partial(block_parts, feed=box.feed, height=height))
            if parts is not None:
                size += sum(len(item) for item in block_messages(box.feed, height, parts))
        return size

    async def _until_converged(self) -> None:
        deadline_s = self.now_s() + self.scene.hours * HOUR_S
        while self.now_s() < deadline_s:
            await asyncio.sleep(HOUR_S)
            self._revive()
            behind = [
                (box, machine)
                for box, _, machine in self._honest()
                if not self._level(box, machine)
            ]
            if not behind:
                return
        for box, machine in behind[:3]:
            top = machine.store.read(partial(signed_height, feed=box.feed))
            text = f"{machine.name} holds {top} of {box.name}, {box.cutter.state.height} are cut"
            self.violated("frontiers converge", text)

    def _level(self, box: Box, machine: Machine) -> bool:
        top = machine.store.read(partial(signed_height, feed=box.feed))
        return top == box.cutter.state.height - 1

    def _revive(self) -> None:
        for box in self.boxes:
            if box.has_died:
                self.note("died", box.name)
                task = asyncio.ensure_future(self._down(box, 1.0))
                self._pending.add(task)
                task.add_done_callback(self._pending.discard)

    async def finish(self) -> None:
        """At the end: everything promised is there, and every proof verifies."""
        self.check()
        for box in self.boxes:
            if box.feed_id in self.liars:
                continue
            self._recovered(box)
            if box.held is None:
                self._arrived(box)
            elif not any(name == box.name for name, _ in self.excused) and not box.held:
                self.violated("no honest gateway is stopped", box.name)
            self._proofs(box)
        for feed_id in self.liars:
            if self.liars[feed_id] is not None and self.chain.node.get("frozen", feed_id) is None:
                self.violated("every conflict is found", feed_id.hex()[:8])

    def _arrived(self, box: Box) -> None:
        key = box.store.read(box.audience_key)
        for _, machine in box.ways:
            there = machine.store.read(lambda txn: values_in(txn, box.feed, key))
            owed = {v for v in box.acknowledged if (box.name, v) not in self.excused}
            if owed - set(there):
                self.violated("nothing acknowledged is lost", f"{box.name} at {machine.name}")
            if len(there) != len(set(there)):
                self.violated("exactly once", f"{box.name} at {machine.name}")

    def _proofs(self, box: Box) -> None:
        rows = box.store.read(lambda txn: list(txn.scan("anchors", feed_prefix(box.feed))))
        for _, data in rows:
            try:
                part = decode_chain_part(data)
                verify_chain_part(part, trusted_genesis_sha256=self.chain.genesis.digest)
            except LedgerError as error:
                self.violated("every proof verifies", f"{box.name}: {error}")
        if not rows and box.held is None:
            self.violated("every proof verifies", f"{box.name} holds no anchor receipt")

    # The run --------------------------------------------------------------------------------

    async def run(self) -> Report:
        """Builds, lets the weather come, heals, checks."""
        self._pending: set[asyncio.Future[None]] = set()
        await self.build()
        steps = asyncio.create_task(self._steps())
        for at_s, name, fault in self._faults():
            await asyncio.sleep(max(0.0, at_s - self.now_s()))
            self.note(name)
            self._begin(fault)
        if self._pending:
            _, late = await asyncio.wait(set(self._pending), timeout=60 * HOUR_S)
            for task in late:
                self.violated("the simulation itself", f"a fault did not end: {task!r}")
        steps.cancel()
        await self.heal()
        await self.finish()
        await self._close()
        self.report.trace = self._trace.hexdigest()
        return self.report

    def _begin(self, fault: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.ensure_future(fault())
        self._pending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Future[None]") -> None:
        self._pending.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.violated("the simulation itself", repr(error))

    async def _steps(self) -> None:
        while True:
            await asyncio.sleep(STEP_S)
            self._revive()
            self.check()
            self.note("step", *(box.cutter.state.height for box in self.boxes))

    async def _close(self) -> None:
        for box in [*self.boxes, *self.clones]:
            await box.stop()
        for machine in self.machines:
            await machine.stop()
        await self.chain.stop()


def play(seed: int, scene: Scene, scratch: Path | None = None) -> Report:
    """What one seed comes to."""
    logging.disable(logging.CRITICAL)
    fast = Path("/dev/shm")  # memory, where there is some: syncs cost nothing there
    place = scratch or (fast if fast.is_dir() else None)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="wharf-sim-", dir=place) as folder,
            simulated_os() as system,
            asyncio.Runner(loop_factory=SerialLoop) as runner,
        ):
            return runner.run(World(seed, scene, Path(folder), system).run())
    finally:
        logging.disable(logging.NOTSET)
