"""A replaced probe: its certificate becomes a descriptor, once; readings past due are marked."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.calibrations import FOLDER, Calibrations, Replacement, leave
from gateway.device_records import row_of
from gateway.slots import SlotBook
from ledger.entry import KIND_DESCRIPTOR, KIND_TELEMETRY, Entry
from logistics.calibration import Calibration
from logistics.reading import FLAG_UNCALIBRATED, Descriptor, Telemetry
from tests.fakes.gateway_parts import HandClock, arrival, celsius, maker_of

CERTIFICATE = Calibration(
    probe="28-1", number="K-1", issuer="Lab", dated="2026-05-04", due="2027-05-04", sha256="ab" * 32
)
DAY_S = 86_400


class Desk:
    """The folder, a maker, and a journal whose sync the test gives."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.synced = folder, 0
        self.clock, self.book = HandClock(), SlotBook()
        self.maker = maker_of(self.clock, self.book)
        self.calibrations = self.again()

    def again(self) -> Calibrations:
        """As after a start of the gateway."""
        self.calibrations = Calibrations(
            self.folder, self.maker, put=self._put, groups=lambda: self.synced
        )
        return self.calibrations

    async def _put(self, make: Callable[[], list[Entry]]) -> None:
        self.made = make()

    made: list[Entry]

    async def look(self) -> list[Entry]:
        self.made = []
        await self.calibrations.look()
        return self.made

    def measure(self) -> Telemetry:
        entries = self.maker.from_arrival(arrival(celsius(), mono_us=self.clock.mono_us))
        (reading,) = [entry for entry in entries if entry.kind == KIND_TELEMETRY]
        return Telemetry.from_body(reading.body)

    def leave(self, **changed: str) -> None:
        leave(self.folder, Replacement("probe", None, replace(CERTIFICATE, **changed)))

    @property
    def waiting(self) -> int:
        return len(list((self.folder / FOLDER).glob("*.json")))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


async def test_a_certificate_becomes_a_descriptor_that_changes_nothing_else(desk: Desk) -> None:
    desk.measure()
    first = Descriptor.from_body(next(iter(desk.book.lines())).descriptor)
    desk.leave()
    (entry,) = await desk.look()
    assert KIND_DESCRIPTOR == entry.kind
    assert replace(first, calibration=CERTIFICATE.to_text()) == Descriptor.from_body(entry.body)


async def test_the_file_stays_until_the_journal_holds_it_and_is_told_once(desk: Desk) -> None:
    desk.measure()
    desk.leave()
    assert 1 == len(await desk.look())
    assert [] == await desk.look()
    assert 1 == desk.waiting
    desk.synced += 1
    assert [] == await desk.look()
    assert 0 == desk.waiting


async def test_a_gateway_that_died_in_between_tells_it_once(desk: Desk) -> None:
    desk.measure()
    desk.leave()
    await desk.look()
    desk.again()
    assert [] == await desk.look()
    assert [] == await desk.look()
    assert 0 == desk.waiting


async def test_a_device_that_has_not_spoken_yet_keeps_it_waiting(desk: Desk) -> None:
    desk.leave()
    assert [] == await desk.look()
    desk.synced += 1
    desk.measure()
    assert 1 == len(await desk.look())


async def test_readings_are_marked_from_the_end_of_the_due_day_on(desk: Desk) -> None:
    desk.measure()
    desk.leave(due="2026-11-24")
    await desk.look()
    assert 0 == desk.measure().flags
    desk.clock.advance(2 * DAY_S - 6 * 3600 - 1)
    assert 0 == desk.measure().flags
    desk.clock.advance(1)
    assert FLAG_UNCALIBRATED == desk.measure().flags
    assert 1 == desk.maker.flagged["probe", "uncalibrated"]
    desk.leave(number="K-2")
    await desk.look()
    assert 0 == desk.measure().flags


async def test_what_is_no_replacement_is_left_and_said_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.measure()
    desk.leave()
    (path,) = (desk.folder / FOLDER).glob("*.json")
    path.write_text('{"device": "probe"}')
    await desk.look()
    await desk.look()
    assert 1 == caplog.text.count("replacement_refused")
    assert 1 == desk.waiting


async def test_the_chain_keeps_the_hash_of_the_descriptor_that_the_slot_began_with(
    desk: Desk,
) -> None:
    desk.measure()
    (line,) = desk.book.lines()
    before = row_of(line.descriptor or [], line.slot, 0)
    desk.leave()
    await desk.look()
    assert before == row_of(line.descriptor or [], line.slot, 0)
