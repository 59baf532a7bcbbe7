"""What every driver must keep, whatever line and device do to the bytes.

A driver joins by its entry point and by tests/vectors/drivers/NAME.json:

    {"source": where the answers come from,
     "cases": [{"name", "options", "checksum": true where frames carry a check of their own,
                "opening": ["hex", ...] what comes once before the first frame,
                "frames": [{"hex" | "text" | "payload", "topic", "readings": [{field: value}],
                            "rejected": [reason] where that matters}]}]}

A reading names the fields that matter; bytes are hexadecimal, null where a field must be absent.
"""

import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.devices import RAW_BYTES_MAX, Observation, Reason, Rejected
from firmware_bridge.driver import Delivery, Event, Hangup, Moment, Send, Session
from firmware_bridge.driver_registry import driver_names, find_driver
from logistics.business_event import FrameDigest
from logistics.reading import Position, TagSighting, Telemetry

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "tests/vectors/drivers"
NOW_MS = 1_795_428_900_000  # 2026-11-23T10:15:00Z
MEMORY_BYTES_MAX = 128 * 1024  # what a session may hold, whatever is fed to it
FUZZ_INPUTS, FUZZ_INPUTS_NIGHTLY = 400, 10_000_000  # a case; a driver, shared by its cases
REASONS = frozenset(Reason)


@dataclass(frozen=True)
class Frame:
    data: bytes
    topic: str
    readings: list[dict[str, Any]]
    rejected: list[str] | None


@dataclass(frozen=True)
class Case:
    driver: str
    name: str
    options: dict[str, Any]
    has_checksum: bool
    opening: tuple[bytes, ...]
    frames: tuple[Frame, ...]

    def player(self) -> "Player":
        player = Player(find_driver(self.driver).open(self.options))
        for data in self.opening:
            player.feed(data)
        return player

    @property
    def is_stream(self) -> bool:
        return find_driver(self.driver).is_stream

    @property
    def is_bus(self) -> bool:
        return find_driver(self.driver).is_bus

    @property
    def is_repeated(self) -> bool:
        return find_driver(self.driver).identity is not None

    @property
    def speaking(self) -> list[Frame]:
        return [frame for frame in self.frames if frame.readings]


class Player:
    """Plays the bridge: gives the session its turn when it wants it, with a clock of its own."""

    def __init__(self, session: Session) -> None:
        self.session, self._mono_ms, self._topic = session, 1_000, ""
        self._turn()

    def feed(self, data: bytes, topic: str = "") -> list[Event]:
        events = list(self.session.feed(data, self._moment(topic)))
        self._mono_ms += 1
        if not self.session.busy:
            self._turn()
        return events

    def _moment(self, topic: str = "") -> Moment:
        return Moment(mono_ms=self._mono_ms, wall_ms=NOW_MS, topic=topic)

    def _turn(self) -> None:
        self._mono_ms = max(self._mono_ms, self.session.wake_ms or 0)
        self.session.turn(self._moment())


def _bytes_of(frame: dict[str, Any]) -> bytes:
    if "hex" in frame:
        return bytes.fromhex(frame["hex"])
    return frame["text"].encode() if "text" in frame else json.dumps(frame["payload"]).encode()


def _options(item: dict[str, Any]) -> dict[str, Any]:
    """The case's options; files are meant from the project's folder."""
    options = item.get("options", {})
    return {
        name: str(ROOT / value) if name.endswith("_file") else value
        for name, value in options.items()
    }


@cache
def cases() -> tuple[Case, ...]:
    found = []
    for path in sorted(FOLDER.glob("*.json")):
        if path.stem not in driver_names():
            continue  # the first test below says so
        for item in json.loads(path.read_text())["cases"]:
            frames = tuple(
                Frame(
                    _bytes_of(frame),
                    frame.get("topic", ""),
                    frame["readings"],
                    frame.get("rejected"),
                )
                for frame in item["frames"]
            )
            opening = tuple(bytes.fromhex(text) for text in item.get("opening", ()))
            options, has_checksum = _options(item), item.get("checksum", False)
            case = Case(path.stem, item["name"], options, has_checksum, opening, frames)
            found.append(case)
    return tuple(found)


def every_case(case_filter: Callable[[Case], bool] = lambda _: True) -> pytest.MarkDecorator:
    chosen = [case for case in cases() if case_filter(case)]
    return pytest.mark.parametrize("case", chosen, ids=[f"{c.driver} {c.name}" for c in chosen])


def observations(events: Sequence[Event]) -> list[Observation]:
    found: list[Observation] = []
    for event in events:
        if isinstance(event, Observation):
            found.append(event)
        elif isinstance(event, Delivery):
            found += event.observations
    return found


def told(item: Observation, fields: dict[str, Any]) -> dict[str, Any]:
    """The same fields of a reading as the vector names."""
    values = {name: getattr(item if name == "channel" else item.record, name) for name in fields}
    return {name: v.hex() if isinstance(v, bytes) else v for name, v in values.items()}


def test_every_driver_has_vectors_and_every_vector_a_driver() -> None:
    assert sorted(driver_names()) == sorted(path.stem for path in FOLDER.glob("*.json"))


@every_case()
def test_the_known_answers_come_out(case: Case) -> None:
    player = case.player()
    for frame in case.frames:
        events = player.feed(frame.data, frame.topic)
        found = observations(events)
        assert len(frame.readings) == len(found), (frame, found)
        reasons = [str(event.reason) for event in events if isinstance(event, Rejected)]
        assert frame.rejected in (None, reasons), frame
        for expected, item in zip(frame.readings, found, strict=True):
            assert expected == told(item, expected)


@every_case(lambda case: case.is_stream)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_split_of_a_noisy_stream_gives_the_same_events(case: Case, data: st.DataObject) -> None:
    frames, noise = [frame.data for frame in case.frames], st.binary(max_size=40)
    if case.is_bus:  # one answer to one question
        pieces = [data.draw(noise), data.draw(st.sampled_from(frames))]
    else:
        pieces = data.draw(st.lists(st.one_of(st.sampled_from(frames), noise), max_size=6))
    stream = b"".join(pieces)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    whole, split = case.player(), case.player()
    expected, got, start = whole.feed(stream), list[Event](), 0
    for cut in [*cuts, len(stream)]:
        got += split.feed(stream[start:cut])
        start = cut
    assert expected == got


@every_case(lambda case: case.has_checksum)
def test_no_flipped_bit_gives_another_reading(case: Case) -> None:
    for frame in case.speaking:
        true = [item.record for item in observations(case.player().feed(frame.data, frame.topic))]
        # What follows lets a stream give up on a length that the flip made longer.
        rest = bytes(2100) if case.is_stream else b""
        for bit in range(8 * len(frame.data)):
            damaged = bytearray(frame.data)
            damaged[bit // 8] ^= 1 << bit % 8
            events = case.player().feed(bytes(damaged) + rest, frame.topic)
            found = [item.record for item in observations(events)]
            assert found in ([], true), (bit, found)


@every_case(lambda case: case.is_stream and bool(case.speaking))
@settings(max_examples=25, deadline=None)
@given(noise=st.binary(max_size=120))
def test_noise_loses_at_most_the_frame_behind_it(case: Case, noise: bytes) -> None:
    frame = case.speaking[0]
    each = len(frame.readings)
    player = case.player()
    events = player.feed(noise)
    for _ in range(30):
        got = player.feed(frame.data)
        if case.is_repeated and not any(isinstance(event, Send) for event in got):
            # What is not answered comes again, over a new connection.
            player = case.player()
            got = player.feed(frame.data)
        events += got
    assert len(observations(events)) >= 29 * each


def size_bytes(thing: object, seen: set[int] | None = None) -> int:
    """What an object holds, its parts included; code and types are not its own."""
    seen = set() if seen is None else seen
    if id(thing) in seen or isinstance(thing, type) or callable(thing):
        return 0
    seen.add(id(thing))
    return sys.getsizeof(thing) + sum(size_bytes(part, seen) for part in _parts(thing))


def _parts(thing: object) -> Iterator[object]:
    if isinstance(thing, dict):
        yield from thing
        yield from thing.values()
    elif hasattr(thing, "__iter__") and not isinstance(thing, str | bytes | bytearray):
        yield from thing
    yield from getattr(thing, "__dict__", {}).values()
    for owner in type(thing).__mro__:
        names = getattr(owner, "__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if hasattr(thing, name):
                yield getattr(thing, name)


def mutated(chance: random.Random, case: Case) -> bytes:
    """A frame with some bytes changed, a piece of one, or nothing but noise."""
    data = bytearray(chance.choice(case.frames).data)
    match chance.randrange(4):
        case 0:
            return chance.randbytes(chance.randrange(80))
        case 1:
            return bytes(data[chance.randrange(len(data) + 1) :])
        case 2:
            return bytes(data[: chance.randrange(len(data) + 1)])
    for _ in range(1 + chance.randrange(3)):
        if data:
            data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data)


def check_event(event: Event) -> None:
    """What comes out is in form, whatever went in: else the journal would choke on it."""
    if isinstance(event, Rejected):
        assert len(event.raw) <= RAW_BYTES_MAX
        assert event.reason in REASONS
    elif isinstance(event, Delivery):
        assert len(event.digest) == 16
    elif isinstance(event, Observation):
        assert 0 < len(event.channel.encode()) <= 256
    for item in observations([event]):
        kind = type(item.record)
        assert kind in (Telemetry, TagSighting, Position, FrameDigest)
        assert item.record == kind.from_body(item.record.to_body())


@pytest.mark.timeout(3600)
@every_case()
def test_nothing_raises_and_memory_is_bounded(case: Case, nightly: bool) -> None:
    seed = random.SystemRandom().getrandbits(32)
    chance, player = random.Random(seed), case.player()
    of_driver = sum(other.driver == case.driver for other in cases())
    count = FUZZ_INPUTS_NIGHTLY // of_driver if nightly else FUZZ_INPUTS
    print(f"seed {seed}: {count} inputs for {case.driver} {case.name}")
    topics = [frame.topic for frame in case.frames]
    for number in range(count):
        data = mutated(chance, case)
        for event in player.feed(data, chance.choice(topics)):
            check_event(event)
            if isinstance(event, Hangup):
                player = case.player()
        if number % max(count // 20, 1) == 0:
            assert size_bytes(player.session) <= MEMORY_BYTES_MAX


def test_a_driver_is_short() -> None:
    folder, lengths = ROOT / "firmware_bridge/drivers", dict[str, int]()
    for path in folder.glob("*.py"):
        lengths[path.name] = sum(bool(line.strip()) for line in path.read_text().splitlines())
    assert {} == {name: lines for name, lines in lengths.items() if lines > 150}
