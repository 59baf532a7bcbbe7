"""Each write, each sync and each change of a folder fails once, one after another, with EIO and
with ENOSPC: nothing acknowledged is lost, and after a failed sync nothing is acknowledged.
"""

from __future__ import annotations

import errno
import random
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from gateway.config import GatewayConfig
from ledger.errors import JournalError, StoreError
from tests.integration.disk.box import at, differences, held, make_box, session
from tests.integration.disk.images import Disk, files_below, write_files
from tests.integration.disk.recorder import Fault, Op, Recorder

BLOCKS, GROUPS, GROUP = 3, 2, 50
VEHICLE = "calls of the journal, and of LMDB at its library's table of imports, made to fail"
AFTER = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run with one fault ended."""

    call: str
    ended: str
    problems: list[str]


async def live(config: GatewayConfig, recorder: Recorder) -> None:
    """The life in which a fault happens."""
    value = 0
    async with session(config, recorder.note) as running:
        for _ in range(BLOCKS):
            for _ in range(GROUPS):
                await running.take(*range(value, value + GROUP))
                value += GROUP
            await running.block()
        await running.take(*range(value, value + GROUP))


class Bench:
    """Copies of one gateway that never ran, each with a fault at another call."""

    def __init__(self, config: GatewayConfig) -> None:
        self.config, self.folder = config, config.path.parent
        files = files_below(config.data_dir, ".mdb")
        self.base = {name: data for name, data in files.items() if name.endswith("data.mdb")}

    def copy(self, name: str, files: dict[str, bytes] | None = None) -> Path:
        folder = self.folder / name
        write_files(folder, self.base if files is None else files)
        return folder

    async def calls(self) -> list[str]:
        """Every call of a life without a fault."""
        recorder = Recorder(self.copy("whole"))
        with recorder.recording():
            await live(at(self.config, recorder.root), recorder)
        shutil.rmtree(recorder.root)
        return recorder.calls

    async def run(self, fault: Fault) -> Outcome:
        recorder = Recorder(self.copy("faulty"), fault=fault)
        ended = "went on"
        try:
            with recorder.recording():
                try:
                    await live(at(self.config, recorder.root), recorder)
                except (JournalError, StoreError) as error:
                    ended = type(error).__name__
            problems = self._promises(recorder, ended, fault)
            problems += await self._aftermath(recorder)
        finally:
            shutil.rmtree(recorder.root)
        return Outcome(call=recorder.calls[fault.number], ended=ended, problems=problems)

    def _promises(self, recorder: Recorder, ended: str, fault: Fault) -> list[str]:
        """What must hold of the life itself."""
        at_fault = next(n for n, op in enumerate(recorder.ops) if op.note[:1] == ("fault",))
        acknowledged = len(recorder.notes("ack"))
        if ended == "went on":
            whole = (BLOCKS * GROUPS + 1) * GROUP
            return [f"{acknowledged} of {whole} acknowledged"] * (acknowledged != whole)
        call = recorder.calls[fault.number]
        later = acknowledged - len(recorder.notes("ack", at_fault))
        return [f"{later} acknowledged after a failed {call}"] * bool(later)

    async def _aftermath(self, recorder: Recorder) -> list[str]:
        """A power cut at once; a restart; and a power cut behind the restart."""
        problems = []
        for way in ("nothing", "everything"):
            found = await self._after_cut(recorder.ops, way, promised=_acknowledged(recorder))
            problems += [f"power cut, {way} of the rest written: {text}" for text in found]
        again = Recorder(recorder.root)
        promised = _acknowledged(recorder)
        with again.recording():
            async with session(at(self.config, again.root), again.note) as running:
                present = held(running.parts).values.keys()
                problems += _missing("restart", promised, set(present))
                # The broker repeats what it saw no acknowledgement of; what is known is confirmed.
                promised |= set(present)
                started = len(again.ops)
                await running.take(AFTER)
                await running.block()
        ops = [*recorder.ops, *again.ops[:started]]
        found = await self._after_cut(ops, "nothing", promised=promised)
        problems += [f"power cut behind the restart: {text}" for text in found]
        return problems + differences(again.root)

    async def _after_cut(self, ops: list[Op], way: str, *, promised: set[int]) -> list[str]:
        disk = Disk(self.base)
        disk.follow(ops)
        folder = self.copy("image", disk.crash(way, random.Random(0)))
        try:
            async with session(at(self.config, folder)) as running:
                present = set(held(running.parts).values)
                return _missing("start", promised, present)
        finally:
            shutil.rmtree(folder)


def _acknowledged(recorder: Recorder) -> set[int]:
    return {value for (value,) in recorder.notes("ack")}


def _missing(when: str, promised: set[int], present: set[int]) -> list[str]:
    return [f"{when}: {len(promised - present)} are missing"] * bool(promised - present)


def kind_of(call: str) -> str:
    return " ".join(part.split("/")[0] for part in call.split()[:2])


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
async def test_each_call_fails_once_and_nothing_acknowledged_is_lost(
    memory_path: Path, code: int
) -> None:
    bench = Bench(await make_box(memory_path, memory_path / "data"))
    calls = await bench.calls()
    faults = [Fault(number, code) for number in range(len(calls))]
    faults += [Fault(n, code, half=True) for n, call in enumerate(calls) if "write j" in call]
    outcomes = [await bench.run(fault) for fault in faults]
    print(f"vehicle: {VEHICLE}")
    print(f"faults={len(outcomes)} ended={dict(Counter(item.ended for item in outcomes))}")
    kinds = Counter(kind_of(item.call) for item in outcomes)
    print(dict(kinds))
    assert {"write journal", "sync journal", "create journal", "unlink journal"} <= kinds.keys()
    assert {"write store", "sync store"} <= kinds.keys()
    assert [item for item in outcomes if item.problems] == []
    assert {"JournalError", "StoreError"} <= {item.ended for item in outcomes} or code != errno.EIO


async def test_a_full_store_waits_and_a_failed_one_is_final(memory_path: Path) -> None:
    bench = Bench(await make_box(memory_path, memory_path / "data"))
    calls = await bench.calls()
    (first, *_) = [n for n, call in enumerate(calls) if call.startswith("write store")]
    cut = next(n for n in range(first, len(calls)) if calls[n].startswith("write journal"))
    cut = next(n for n in range(cut, len(calls)) if calls[n].startswith("write store"))
    full = await bench.run(Fault(cut, errno.ENOSPC))
    failed = await bench.run(Fault(cut, errno.EIO))
    assert ("went on", "StoreError") == (full.ended, failed.ended)
