"""`wharf demo --captures DIR`: recorded device logs through the whole way, instead of
simulators.
"""

from pathlib import Path
from typing import Any, Final

from firmware_bridge.captures import FILE_NAME, Capture, load, to_toml
from gateway.demo.cast import COLD_STORE, Actor
from gateway.demo.play import Play
from gateway.demo.ports import free_port
from gateway.demo.stage import DemoError, start_broker
from ledger.verify import verify_bundle
from logistics.verdict_words import verdict_lines

REPLAY_S_MAX: Final = 600.0
ACTOR: Final = "cold-room"


def known_captures(folder: Path, proposal: Path) -> tuple[Capture, ...]:
    """The folder's recordings; where it has no captures.toml, one is proposed beside the
    results.
    """
    if not folder.is_dir():
        raise DemoError(f"{folder} is no folder")
    captures = load(folder)
    if not captures:
        raise DemoError(f"{folder}: no file in which a codec finds readings")
    if not (folder / FILE_NAME).exists():
        proposal.write_text(to_toml(captures), encoding="utf-8")
    return captures


async def replay(play: Play, folder: Path) -> int:
    """Replays every recording, then accounts for and proves each; 0 where all is proven."""
    proposal = play.folder / FILE_NAME
    captures = known_captures(folder, proposal)
    if proposal.exists():
        play.say(f"{folder} has no {FILE_NAME}; proposed one: {proposal}")
    broker_port, node_port = await start_broker(play.stage), free_port()
    await play.found_chain(node_port)
    await play.start_gateway(_actor(captures, folder), broker_port, node_port)
    names = {capture.spec(folder).id: capture for capture in captures}
    play.say(f"replaying {len(names)} recordings")
    begun_ms = play.now_ms()
    await play.until(lambda: _ended(play, len(names)), REPLAY_S_MAX, "the end of the recordings")
    window_ms = (begun_ms, play.now_ms())
    await play.settle()
    return await _account(play, names, window_ms)


def _actor(captures: tuple[Capture, ...], folder: Path) -> Actor:
    devices = []
    for capture in captures:
        spec = capture.spec(folder)
        devices.append({"id": spec.id, "driver": spec.driver, "source": spec.source})
    return Actor(ACTOR, COLD_STORE, tuple(devices))


def _ended(play: Play, count: int) -> bool:
    devices = play.watches[ACTOR].report.get("devices", {})
    return sum(bool(state["ended"]) for state in devices.values()) == count


async def _account(play: Play, names: dict[str, Capture], window_ms: tuple[int, int]) -> int:
    report, good = play.watches[ACTOR].report, True
    rejected = report.get("rejected_by_device", {})
    counted = {row["device"]: row for row in report["channels"]}
    for device, capture in names.items():
        row = counted.get(device)
        if row is None:
            play.say(f"{capture.file}: no reading in it")
            continue
        bundle = await play.prove(window_ms, sensor=device)
        genesis = bytes.fromhex(play.genesis)
        verdict = verify_bundle(bundle.read_bytes(), trusted_genesis_sha256=genesis)
        good = good and verdict.outcome == 0 and len(verdict.entries) > row["readings"]
        play.say(_line(capture, row, rejected.get(device, {})))
        play.say(f"  {verdict_lines(verdict)[0]}; wharf verify {bundle} --trust {play.genesis}")
    return 0 if good else 1


def _line(capture: Capture, row: dict[str, Any], rejected: dict[str, int]) -> str:
    why = ", ".join(f"{count} {reason}" for reason, count in sorted(rejected.items()))
    return f"{capture.file} ({capture.codec}): {row['readings']} readings; not readings: {why or 0}"
