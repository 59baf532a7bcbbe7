"""From two sensors of one gateway to files that a stranger can verify, or refuse."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consortium.client import ChainClient
from consortium.tls import certificate_digest
from ledger.entry import KIND_TELEMETRY, decode_entry
from ledger.proof_bundle import decode_bundle
from ledger.verify import verify_bundle
from tests.fakes.publisher import Publisher
from tests.fakes.yard import Device, GatewayBox, Machine, Yard, run_wharf, wharf_result

RATE_HZ = 40
ASKED, OTHER = "fridge-1", "fridge-2"
OTHER_FIRST_MILLI = 500_000
DEVICES = [Device(name, "zigbee2mqtt", f"mqtt:zigbee2mqtt/{name}") for name in (ASKED, OTHER)]


def iso(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).isoformat(timespec="milliseconds")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Trip:
    """A gateway that took two sensors' readings for a while, and the bundle of one of them."""

    machine: Machine
    box: GatewayBox
    window_ms: tuple[int, int]
    sent: list[int]
    bundle: Path


def prove(machine: Machine, window_ms: tuple[int, int], output: Path, *more: str) -> list[str]:
    start, end = (iso(time_ms) for time_ms in window_ms)
    return [
        "prove", "--sensor", ASKED, "--from", start, "--to", end,
        "--home", str(machine.home), "-o", str(output), *more,
    ]  # fmt: skip  # a command line


def travel(yard: Yard) -> Trip:
    """Both sensors speak; the interval lies inside what they said."""
    box = yard.add_gateway("gateway", DEVICES)
    publishers = [
        Publisher(yard.broker.port, "zigbee2mqtt/fridge-1", rate_hz=RATE_HZ),
        Publisher(
            yard.broker.port,
            "zigbee2mqtt/fridge-2",
            rate_hz=RATE_HZ,
            first_milli=OTHER_FIRST_MILLI,
        ),
    ]
    try:
        # Far enough in that the proof does not begin with the feed.
        box.until(lambda r: r["anchored_height"] >= 5, "the first blocks")
        begin_ms = now_ms()
        first = box.status()["anchored_height"]
        box.until(lambda r: r["anchored_height"] >= first + 3, "three more anchors")
        window_ms = (begin_ms, now_ms())
    finally:
        for publisher in publishers:
            publisher.finish()
    box.settle()
    bundle = yard.folder / "trip.wharf"
    run_wharf(*prove(yard.machine, window_ms, bundle, "--wait", "30"))
    return Trip(
        machine=yard.machine,
        box=box,
        window_ms=window_ms,
        sent=publishers[0].sent,
        bundle=bundle,
    )


@pytest.fixture(scope="module")
def trip(yard: Yard) -> Trip:
    """Return a finished trip; its gateway still runs."""
    return travel(yard)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trip]:
    """Return the same trip, name for name, on a chain that others founded."""
    yard = Yard(tmp_path_factory.mktemp("elsewhere"))
    try:
        yield travel(yard)
    finally:
        yard.close()


def verify(bundle: Path, *arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """`wharf verify` for a user whose only configuration is in this folder."""
    return wharf_result(
        "verify", str(bundle), *arguments, environment={"XDG_CONFIG_HOME": str(home)}
    )


def test_the_bundle_is_proven_under_the_digest_of_the_chain(trip: Trip, tmp_path: Path) -> None:
    result = verify(trip.bundle, "--trust", trip.machine.genesis, home=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stdout.startswith("PROVEN: fridge-1")


def test_the_bundle_is_proven_under_the_genesis_document(trip: Trip, tmp_path: Path) -> None:
    result = verify(trip.bundle, "--trust", str(trip.machine.genesis_path), home=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_bundle_is_proven_by_the_users_trust_store(trip: Trip, tmp_path: Path) -> None:
    store = tmp_path / "wharfinger" / "trust.toml"
    store.parent.mkdir()
    store.write_text(f'[chains]\nwharf-test = "{trip.machine.genesis}"\n', encoding="utf-8")
    assert verify(trip.bundle, home=tmp_path).returncode == 0


def test_without_a_trust_root_nothing_is_proven(trip: Trip, tmp_path: Path) -> None:
    result = verify(trip.bundle, home=tmp_path)
    assert result.returncode == 2
    assert "nobody vouches" in result.stdout


def test_wrong_usage_is_no_verdict(trip: Trip, tmp_path: Path) -> None:
    assert verify(trip.bundle, "--trust", "not-a-digest", home=tmp_path).returncode == 64
    assert verify(tmp_path / "no-file", home=tmp_path).returncode == 64
    assert wharf_result("verify").returncode == 64


def test_the_ledgers_own_verifier_gives_the_same_codes(trip: Trip, tmp_path: Path) -> None:
    edited = tmp_path / "edited.wharf"
    edited.write_bytes(edit(trip.bundle.read_bytes()))
    for file, trust, code in (
        (trip.bundle, ("--trust", trip.machine.genesis), 0),
        (trip.bundle, (), 2),
        (edited, ("--trust", trip.machine.genesis), 1),
        (tmp_path / "no-file", (), 64),
    ):
        command = [sys.executable, "-m", "ledger", "verify", str(file), *trust]
        result = subprocess.run(
            command, capture_output=True, text=True, check=False, env={"PATH": "", "HOME": "/"}
        )
        assert result.returncode == code, result.stdout + result.stderr


def edit(data: bytes) -> bytes:
    """The bundle with the last bit of one shown leaf turned."""
    bundle = decode_bundle(data)
    (part,) = bundle.feeds
    leaves = list(part.leaves)
    leaves[-1] = leaves[-1][:-1] + bytes([leaves[-1][-1] ^ 1])
    feed = replace(part, leaves=tuple(leaves))
    return replace(bundle, feeds=(feed,)).encode()


def test_an_edited_bundle_is_refuted(trip: Trip, tmp_path: Path) -> None:
    edited = tmp_path / "edited.wharf"
    edited.write_bytes(edit(trip.bundle.read_bytes()))
    result = verify(edited, "--trust", trip.machine.genesis, home=tmp_path)
    assert result.returncode == 1, result.stdout
    assert result.stdout.startswith("REFUTED")


def test_the_bundle_holds_all_readings_of_its_sensor_in_the_interval_and_no_others(
    trip: Trip,
) -> None:
    verdict = verify_bundle(
        trip.bundle.read_bytes(), trusted_genesis_sha256=bytes.fromhex(trip.machine.genesis)
    )
    shown = [item.entry for item in verdict.entries if item.entry.kind == KIND_TELEMETRY]
    values = [entry.body[1] for entry in shown]
    assert values == list(range(values[0], values[0] + len(values)))
    assert set(values) <= set(trip.sent)
    low_us, high_us = (time_ms * 1000 for time_ms in trip.window_ms)
    inside = [e.body[1] for e in shown if e.time.wall_us and low_us <= e.time.wall_us <= high_us]
    opened = [
        row["value"]
        for row in trip.machine.readings(ASKED, "temperature")
        if low_us <= row["wall_us"] <= high_us
    ]
    assert decode_bundle(trip.bundle.read_bytes()).feeds[0].first_height > 0
    assert len(inside) > RATE_HZ
    assert inside == opened


def test_nothing_of_the_other_sensor_is_in_the_file(trip: Trip) -> None:
    data = trip.bundle.read_bytes()
    assert OTHER.encode() not in data
    (part,) = decode_bundle(data).feeds
    salted = [decode_entry(leaf[16:]) for leaf in part.leaves]
    values = [entry.body[1] for entry in salted if entry.kind == KIND_TELEMETRY]
    assert values
    assert max(values) < OTHER_FIRST_MILLI


def test_an_interval_that_is_not_anchored_yet_says_so(trip: Trip, tmp_path: Path) -> None:
    later = (now_ms(), now_ms() + 3_600_000)
    result = wharf_result(*prove(trip.machine, later, tmp_path / "later.wharf"))
    assert result.returncode not in (0, 1)
    assert "anchored" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "later.wharf").exists()


def test_a_second_chain_with_the_same_names_is_refuted_under_the_firsts_trust(
    trip: Trip, elsewhere: Trip, tmp_path: Path
) -> None:
    forged, own = elsewhere.bundle, elsewhere.machine.genesis
    assert verify(forged, "--trust", own, home=tmp_path).returncode == 0
    result = verify(forged, "--trust", trip.machine.genesis, home=tmp_path)
    assert result.returncode == 1, result.stdout
    store = tmp_path / "wharfinger" / "trust.toml"
    store.parent.mkdir()
    store.write_text(f'[chains]\nwharf-test = "{trip.machine.genesis}"\n', encoding="utf-8")
    assert verify(forged, home=tmp_path).returncode == 1


async def anchored_heights(machine: Machine, feed_id: bytes) -> list[int]:
    pem = (machine.home / "tls_certificate.pem").read_bytes()
    address, digest = f"127.0.0.1:{machine.port}", certificate_digest(pem)
    async with ChainClient(address, certificate_pem=pem, certificate_sha256=digest) as client:
        return [height for height, _, _ in await client.anchors(feed_id, 0)]


def test_a_revoked_gateways_later_heads_are_not_anchored_and_its_earlier_proof_stands(
    elsewhere: Trip, tmp_path: Path
) -> None:
    machine, box = elsewhere.machine, elsewhere.box
    run_wharf("chain", "revoke", box.feed_id.hex(), "--home", str(machine.home))
    anchored = asyncio.run(anchored_heights(machine, box.feed_id))
    revoked_ms = now_ms()
    before = box.status()["signed_height"]
    box.until(lambda r: r["signed_height"] >= before + 3, "heads signed after the revocation")
    assert asyncio.run(anchored_heights(machine, box.feed_id)) == anchored
    trust = ("--trust", machine.genesis)
    earlier = verify(elsewhere.bundle, *trust, home=tmp_path)
    assert earlier.returncode == 0, earlier.stdout
    again = tmp_path / "again.wharf"
    run_wharf(*prove(machine, elsewhere.window_ms, again))
    told = verify(again, *trust, home=tmp_path)
    assert told.returncode == 0, told.stdout
    assert "revoked later" in told.stdout
    after = wharf_result(*prove(machine, (revoked_ms, now_ms()), tmp_path / "after.wharf"))
    assert after.returncode not in (0, 1)
    assert "stood in no feed" in after.stderr, "its row ended with its key"
