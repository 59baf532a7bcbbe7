"""A bit that flips in an old journal frame takes that frame only, and everybody is told once."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import GatewayConfig
from ledger.journal import inspect
from logistics.reading import GapReason
from tests.integration.disk.box import held, make_box, session

VALUES = 300
GROUP = 20


async def filled(folder: Path, *, sealed: bool) -> GatewayConfig:
    """A stopped gateway whose journal has several segments."""
    config = await make_box(folder, folder / "data")
    async with session(config) as box:
        for value in range(0, VALUES, GROUP):
            await box.take(*range(value, value + GROUP))
        if sealed:
            await box.block()
            await box.take(VALUES)
    return config


def flip(config: GatewayConfig, share: float) -> None:
    """One bit of the entry at that share of the first segment's frames; its segment is an old
    one.
    """
    first, *later = sorted((config.data_dir / "journal").iterdir())
    assert later
    data = bytearray(first.read_bytes())
    used = len(bytes(data).rstrip(b"\x00"))
    data[int(used * share)] ^= 0x10
    first.write_bytes(data)


@pytest.mark.parametrize("share", [0.3, 0.55, 0.8])
async def test_it_loses_that_frame_only_with_status_log_and_a_counted_gap(
    tmp_path: Path, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    config = await filled(tmp_path, sealed=False)
    before = len(inspect(config.data_dir / "journal").entries)
    flip(config, share)
    assert before - 1 == len(inspect(config.data_dir / "journal").entries)
    async with session(config) as box:
        there, report = held(box.parts), box.opened.gateway.report()
        missing = set(range(VALUES)) - there.values.keys()
        assert len(missing) <= 1
        assert (1, 1) == (report["journal_damages"], report["journal_frames_lost"])
        (fault,) = report["faults"]
        assert "journal damaged at 1 place(s), 1 unsealed frame(s) lost" in fault
        assert "journal_damaged segment=1" in caplog.text
        (gap,) = [body for _, body in there.gaps]
        # A frame of delivery marks holds no reading: then nobody knows, and the gap has no number.
        assert (GapReason.JOURNAL_CORRUPTION, 1 if missing else None) == (gap[1], gap[6])
        await box.take(VALUES + 1)
        await box.block()
    async with session(config) as box:
        again = held(box.parts)
        assert there.values.keys() | {VALUES + 1} == again.values.keys()
        assert [gap] == [body for _, body in again.gaps], "told once"


async def test_a_loss_that_is_not_sealed_yet_is_told_once_over_many_starts(tmp_path: Path) -> None:
    config = await filled(tmp_path, sealed=False)
    flip(config, 0.4)
    for _ in range(4):
        async with session(config) as box:
            gaps = [body for _, body in held(box.parts).gaps]
            assert [GapReason.JOURNAL_CORRUPTION] == [gap[1] for gap in gaps]


async def test_what_a_block_holds_is_not_lost_by_it_and_the_disk_is_named_all_the_same(
    tmp_path: Path,
) -> None:
    config = await filled(tmp_path, sealed=True)
    flip(config, 0.5)
    async with session(config) as box:
        there, report = held(box.parts), box.opened.gateway.report()
        assert set(range(VALUES + 1)) == there.values.keys()
        assert [] == there.gaps
        assert (1, 0) == (report["journal_damages"], report["journal_frames_lost"])
        assert "check the disk" in report["faults"][0]
