from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from consortium.read_model import TABLES, OpenedBlock, OpenedEntry, ReadModel
from logistics.reading import Descriptor, Gap, GapReason, Position, TagSighting, Telemetry

FEED = b"f" * 16
SLOT, TAGS, GPS = 1 << 16 | 1, 1 << 16 | 2, 1 << 16 | 3
START_US = 1_767_225_600_000_000


def entry(kind: int, slot: int, srcseq: int, body: object) -> OpenedEntry:
    wall_us = START_US + srcseq * 1_000_000
    return OpenedEntry(
        kind=kind,
        slot=slot,
        time=[1, srcseq * 1_000_000, wall_us, 2, 5_000],
        srcseq=srcseq,
        body=body,
    )


def descriptor(slot: int, device_id: str, quantity: str) -> OpenedEntry:
    record = Descriptor(
        device_id=device_id,
        channel=quantity,
        quantity=quantity,
        unit="CEL" if quantity == "temperature" else None,
        driver="ds18b20",
        interval_ms=1_000,
    )
    return entry(6, slot, 0, record.to_body())


def celsius(srcseq: int) -> OpenedEntry:
    return entry(
        1, SLOT, srcseq, Telemetry(value=4_000 + srcseq, exponent=-3, unit="CEL").to_body()
    )


def block(height: int, first_index: int, *entries: OpenedEntry) -> OpenedBlock:
    return OpenedBlock(
        feed_id=FEED,
        epoch=0,
        height=height,
        audience=1,
        block_digest=bytes([height]) * 32,
        first_index=first_index,
        entries=entries,
    )


GAP = Gap(reason=GapReason(1), from_mono_us=1, to_mono_us=2, count=None)
BLOCKS = [
    block(
        0,
        1,
        descriptor(SLOT, "probe-1", "temperature"),
        celsius(1),
        celsius(2),
        descriptor(TAGS, "reader-1", "tag"),
        entry(2, TAGS, 1, TagSighting(epc=b"\x30" * 12, rssi_cdbm=-5_500).to_body()),
    ),
    block(
        1,
        9,
        celsius(3),
        entry(7, SLOT, 4, GAP.to_body()),
        descriptor(GPS, "gnss-1", "position"),
        entry(3, GPS, 1, Position(lat_e7=470_000_000, lon_e7=80_000_000, fix=1).to_body()),
        entry(1, SLOT, 5, [99, "another version"]),
        entry(12, SLOT, 6, []),
    ),
]


@pytest.fixture
def model(tmp_path: Path) -> ReadModel:
    made = ReadModel(tmp_path / "model.sqlite")
    for item in BLOCKS:
        made.add_block(item)
    return made


def test_readings_are_counted_by_sensor_with_what_is_anchored(model: ReadModel) -> None:
    model.set_anchored(FEED, 0, 0, time_ms=5, chain_height=9)
    counts = {
        (c.device_id, c.channel): (c.count, c.anchored_count, c.gap_count) for c in model.counts()
    }
    assert counts == {
        ("probe-1", "temperature"): (3, 2, 1),
        ("reader-1", "tag"): (1, 1, 0),
        ("gnss-1", "position"): (1, 0, 0),
    }


def test_readings_of_an_interval_come_with_their_values_time_and_state(model: ReadModel) -> None:
    model.set_anchored(FEED, 0, 0, time_ms=5, chain_height=9)
    found = model.readings(
        "probe-1", from_wall_us=START_US + 2_000_000, to_wall_us=START_US + 3_000_000
    )
    assert [(4_002, "anchored"), (4_003, "opened")] == [(r["value"], r["state"]) for r in found]
    names = ("exponent", "unit", "quality", "unc_us", "leaf_index", "channel")
    assert (-3, "CEL", 2, 5_000, 3, "temperature") == tuple(found[0][name] for name in names)
    assert [] == model.readings(
        "probe-1", from_wall_us=0, to_wall_us=START_US * 2, channel="humidity"
    )


def test_gaps_name_their_device(model: ReadModel) -> None:
    assert [("probe-1", 1, 2)] == [
        (g["device_id"], g["reason"], g["to_mono_us"]) for g in model.gaps()
    ]
    assert [] == model.gaps("reader-1")


def test_an_unreadable_body_is_kept_apart_and_seen(model: ReadModel) -> None:
    ((feed, _, index, kind, reason),) = model.rows("unread")
    assert (FEED.hex(), 13, 1) == (feed, index, kind)
    assert reason


def test_the_same_block_again_changes_nothing(model: ReadModel) -> None:
    before = {table: model.rows(table) for table in TABLES}
    model.add_block(BLOCKS[0])
    assert before == {table: model.rows(table) for table in TABLES}


def test_a_rebuilt_model_has_equal_rows(model: ReadModel, tmp_path: Path) -> None:
    for made in (model, rebuilt := ReadModel(tmp_path / "again.sqlite")):
        made.clear()
        for item in BLOCKS:
            made.add_block(item)
        made.set_opened(FEED, 0, 0, audience=1, ok=True)
    assert {t: model.rows(t) for t in TABLES} == {t: rebuilt.rows(t) for t in TABLES}
    assert model.rows("readings")


def test_an_older_anchor_does_not_take_back_a_newer_one(model: ReadModel) -> None:
    model.set_anchored(FEED, 0, 1, time_ms=5, chain_height=9)
    model.set_anchored(FEED, 0, 0, time_ms=6, chain_height=10)
    assert [(FEED.hex(), 0, 1, 5, 9)] == model.rows("anchored")


def test_the_model_knows_where_to_go_on_and_survives_a_start(
    model: ReadModel, tmp_path: Path
) -> None:
    model.close()
    again = ReadModel(tmp_path / "model.sqlite")
    assert {(FEED, 0, 1): 1} == again.heights()
    with pytest.raises(ValueError, match="no table"):
        again.rows("sqlite_master")


def test_half_a_block_does_not_stay(model: ReadModel) -> None:
    bad = block(2, 20, celsius(7), entry(1, SLOT, 8, celsius(8).body), celsius(9))
    broken = OpenedBlock(
        feed_id=FEED,
        epoch=0,
        height=2,
        audience=1,
        block_digest=b"x" * 32,
        first_index=20,
        entries=(
            *bad.entries,
            OpenedEntry(kind=1, slot=SLOT, time=[1], srcseq=9, body=celsius(9).body),
        ),
    )
    before = model.rows("readings")
    with pytest.raises(Exception, match="values"):
        model.add_block(broken)
    assert before == model.rows("readings")
    assert {(FEED, 0, 1): 1} == model.heights()


def test_blocks_and_anchors_may_be_written_from_two_threads(tmp_path: Path) -> None:
    model = ReadModel(tmp_path / "read_model.sqlite")

    def anchor() -> None:
        for height in range(300):
            model.set_anchored(FEED, 0, height, time_ms=1, chain_height=1)

    with ThreadPoolExecutor(max_workers=1) as pool:
        anchoring = pool.submit(anchor)
        for height in range(300):
            model.add_block(block(height % 256, height, celsius(height)))
        anchoring.result()
    assert model.rows("anchored") == [(FEED.hex(), 0, 299, 1, 1)]
    model.close()
