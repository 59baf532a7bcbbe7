import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from consortium.app.refusal import Code
from consortium.comet_block import CommitSignature, LastCommit, block_id_of, data_hash
from consortium.engine import PAUSE_NS_MAX, EmbeddedEngine
from consortium.errors import (
    ChainStoreError,
    DoubleSignError,
    LocalError,
    MalformedError,
    NotYetProvenError,
)
from consortium.file_keys import ValidatorKey, make_key
from consortium.queries import anchor_places, build_chain_part, checked_keys, select
from consortium.state_store import BLOCKS_FOLDER, STATE_FOLDER, BlockStore, StateStore
from consortium.transaction import KIND_MIRRORED, KIND_OPENED
from ledger.canonical import encode
from ledger.chain_genesis import Genesis
from ledger.chain_proof import (
    SignedHeader,
    VerifiedChain,
    decode_chain_part,
    encode_chain_part,
    signed_header_from_value,
    verify_chain_part,
    verify_commit,
)
from ledger.comet import BlockId, Validator
from tests.fakes.gateway_feed import GatewayFeed
from tests.fakes.small_chain import TIME_NS, admission, anchors, enrolment, genesis, tx

FEED = GatewayFeed("cold room").grow(6)


class Clock:
    """Time by hand: it moves 1 ms at each look."""

    def __init__(self) -> None:
        self.now_ns = TIME_NS

    def __call__(self) -> int:
        self.now_ns += 1_000_000
        return self.now_ns


@dataclass
class Home:
    """A validator's folder, to be opened again and again."""

    path: Path
    clock: Clock
    engine: EmbeddedEngine | None = None
    state: StateStore | None = None

    @property
    def genesis(self) -> Genesis:
        key = ValidatorKey(self.path / "key.pem", self.path / "key.state")
        rows = ((Validator(key.public, 10), genesis().parties[0].party_id),)
        return replace(genesis(), validators=rows)

    def open(self) -> EmbeddedEngine:
        self.close()
        digest = self.genesis.digest
        self.state, blocks = StateStore(self.path, digest), BlockStore(self.path, digest)
        try:
            self.engine = EmbeddedEngine(
                genesis=self.genesis,
                blocks=blocks,
                state=self.state,
                key=ValidatorKey(self.path / "key.pem", self.path / "key.state"),
                clock_ns=self.clock,
            )
        except BaseException:
            blocks.close()
            self.state.close()
            raise
        return self.engine

    def close(self) -> None:
        if self.engine:
            self.engine.close()
            self.engine = None

    def verified(
        self, selectors: list[list[Any]], keys: list[bytes] | None = None
    ) -> VerifiedChain:
        assert self.engine
        assert self.state
        part = build_chain_part(
            genesis=self.genesis.encode(),
            changes=(),
            signed_header=self.engine.signed_header,
            state=self.engine.application.state,
            log=self.state,
            indexes=select(self.state, selectors),
            keys=checked_keys(keys or []),
        )
        again = decode_chain_part(encode_chain_part(part))
        return verify_chain_part(again, trusted_genesis_sha256=self.genesis.digest)

    def blocks(self) -> list[tuple[SignedHeader, list[bytes]]]:
        assert self.engine
        found = []
        for height in range(1, self.engine.height + 1):
            stored = self.engine._blocks.block(height)
            assert stored
            assert stored[0]
            value, txs = stored[1]
            found.append((signed_header_from_value(value, "wharf-test"), txs))
        return found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    make_key(tmp_path / "key.pem")
    made = Home(tmp_path, Clock())
    yield made
    made.close()


def check_chain(home: Home) -> None:
    """What a CometBFT light client checks of every block, and that each is bound to the one
    before.
    """
    last_id, last = BlockId(), LastCommit()
    for height, (signed, txs) in enumerate(home.blocks(), 1):
        header, commit = signed.header, signed.commit
        verify_commit(signed, home.genesis.validator_set)
        assert (height, last_id, last.hash) == (
            header.height,
            header.last_block_id,
            header.last_commit_hash,
        )
        assert data_hash(txs) == header.data_hash
        if height > 1:
            assert header.time_ns == last.signatures[0].time_ns
        own = block_id_of(header, txs, last)
        last_id = BlockId(header.hash, commit.parts_total, commit.parts_hash)
        assert own == last_id
        vote = commit.votes[0]
        assert vote
        address = home.genesis.validator_set[0].address
        last = LastCommit(height, 0, last_id, (CommitSignature(2, address, *vote),))


def test_a_new_chain_has_one_empty_block_that_proves_its_start(home: Home) -> None:
    assert home.open().height == 1
    proven = home.verified([], [encode(["party", genesis().parties[0].party_id])])
    assert (1, 1, True) == (proven.validator_count, proven.parties_count, proven.trusted)
    assert None not in proven.states.values()


def test_a_change_is_followed_by_an_empty_block_that_proves_it_and_then_silence(home: Home) -> None:
    engine = home.open()
    height, results = engine.produce([admission("carrier"), enrolment(FEED)])
    assert (2, [0, 0]) == (height, [result.code for result in results])
    assert engine.height == 3
    assert [[], 2, []] == [txs if not txs else len(txs) for _, txs in home.blocks()]
    refused = engine.produce([admission("carrier")])
    assert (None, Code.REPLAYED) == (refused[0], refused[1][0].code)
    assert engine.height == 3, "what changes nothing makes no block"
    check_chain(home)


def test_anchors_are_found_and_proven_by_height_and_by_time(home: Home) -> None:
    engine = home.open()
    engine.produce([enrolment(FEED)])
    times = []
    for previous, height in ((None, 1), (1, 3), (3, 5)):
        engine.produce([anchors([FEED.item(previous, height)])])
        times.append(home.verified([[2, FEED.feed_id, 0, height]]).leaves[0].time_ms)
        home.clock.now_ns += 5_000_000_000

    def heights(*selector: Any) -> list[int]:
        chosen = home.verified([[selector[0], FEED.feed_id, 0, *selector[1:]]])
        return [leaf.record[3] for leaf in chosen.leaves]

    assert [[1], [3], [3], [5]] == [heights(2, bound) for bound in (0, 2, 3, 4)]
    assert [[1], [1], [3], [5]] == [heights(3, bound) for bound in (1, 2, 3, 9)]
    assert [[1], [3]] == [heights(4, times[0]), heights(4, times[2] - 1)]
    assert [[1], [3]] == [heights(5, times[0]), heights(5, times[0] + 1)]
    assert times == sorted(times)
    assert home.state
    places = anchor_places(home.state, FEED.feed_id, 0, first_height=2, limit=1)
    assert [(3, 2)] == [place[:2] for place in places]
    for missing in (
        [2, FEED.feed_id, 0, 6],
        [3, FEED.feed_id, 0, 0],
        [5, FEED.feed_id, 0, 1 << 60],
    ):
        with pytest.raises(NotYetProvenError):
            home.verified([missing])


def test_statements_are_selected_by_span_and_leaves_by_index(home: Home) -> None:
    engine = home.open()
    rows = [[FEED.feed_id, 0, height, b"d" * 32] for height in range(5)]
    opened = [[FEED.feed_id, 0, 2, 1, b"d" * 32, True]]
    engine.produce([enrolment(FEED), tx(KIND_MIRRORED, [1, rows]), tx(KIND_OPENED, [1, opened])])
    chosen = home.verified([[6, FEED.feed_id, 0, 1, 3], [7, FEED.feed_id, 0, 0, 9], [1, 0]])
    assert [2, 5, 5, 5, 6] == [leaf.record[0] for leaf in chosen.leaves]


@pytest.mark.parametrize(
    "selectors",
    [
        5,
        [[]],
        [[9, 1]],
        [["text"]],
        [[2, b"short", 0, 0]],
        [[2, b"f" * 16, 1 << 32, 0]],
        [[6, b"f" * 16, 0]],
        [[1, 0]] * 1_001,
    ],
)
def test_selectors_of_another_shape_are_malformed(home: Home, selectors: Any) -> None:
    home.open()
    assert home.state
    with pytest.raises(MalformedError):
        select(home.state, selectors)


def test_leaves_and_keys_that_are_not_there_are_refused(home: Home) -> None:
    home.open()
    with pytest.raises(NotYetProvenError):
        home.verified([[1, 99]])
    with pytest.raises(MalformedError):
        home.verified([], keys=[5])  # type: ignore[list-item]  # what a peer may send


def test_after_a_pause_the_time_is_brought_up_before_anything_is_dated(home: Home) -> None:
    engine = home.open()
    engine.produce([enrolment(FEED)])
    home.clock.now_ns += 3_600_000_000_000
    asked_ms = home.clock.now_ns // 1_000_000
    engine.produce([anchors([FEED.item(None, 1)])])
    dated_ms = home.verified([[2, FEED.feed_id, 0, 0]]).leaves[0].time_ms
    assert asked_ms - PAUSE_NS_MAX // 1_000_000 <= dated_ms
    assert [0, 1, 0, 0, 1, 0] == [len(txs) for _, txs in home.blocks()]
    check_chain(home)


def test_a_clock_that_goes_back_does_not_take_the_chain_back(home: Home) -> None:
    engine = home.open()
    home.clock.now_ns -= 10**18
    engine.produce([enrolment(FEED)])
    times = [signed.header.time_ns for signed, _ in home.blocks()]
    assert times == sorted(set(times))
    check_chain(home)


class Crash(BaseException):
    """The power goes."""


def crash_before(calls: list[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Arms a crash before the n-th durable step, counted over all of them."""
    steps = [
        (BlockStore, "propose"),
        (ValidatorKey, "sign"),
        (BlockStore, "sign"),
        (StateStore, "commit"),
    ]

    def arm(number: int) -> None:
        left = [number]
        for owner, name in steps:
            real = getattr(owner, name)

            def step(*args: Any, _real: Any = real, _name: str = name, **named: Any) -> Any:
                if left[0] == 0:
                    calls.append(_name)
                    raise Crash
                left[0] -= 1
                return _real(*args, **named)

            monkeypatch.setattr(owner, name, step)

    return arm


@pytest.mark.parametrize("number", range(8))
def test_a_crash_between_any_two_steps_leaves_a_chain_that_goes_on(
    home: Home, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    engine = home.open()
    engine.produce([enrolment(FEED)])
    signed: dict[int, bytes] = {}
    real_sign = ValidatorKey.sign

    def watched(key: ValidatorKey, height: int, tbs: bytes) -> bytes:
        assert signed.setdefault(height, tbs) == tbs, "two different votes for one height"
        return real_sign(key, height, tbs)

    monkeypatch.setattr(ValidatorKey, "sign", watched)
    calls: list[str] = []
    with monkeypatch.context() as armed:
        crash_before(calls, armed)(number)
        with pytest.raises(Crash):
            engine.produce([anchors([FEED.item(None, 1)])])
    assert calls
    engine = home.open()
    # A sender that got no answer sends again; what was proposed before is not made twice.
    (result,) = engine.produce([anchors([FEED.item(None, 1)])])[1]
    assert result.code in (Code.ACCEPTED, Code.REPLAYED)
    engine.produce([anchors([FEED.item(1, 2)])])
    assert [1, 2] == [
        leaf.record[3]
        for leaf in home.verified([[2, FEED.feed_id, 0, 0], [2, FEED.feed_id, 0, 2]]).leaves
    ]
    check_chain(home)


def test_a_state_that_was_lost_is_made_again_from_the_blocks(home: Home) -> None:
    engine = home.open()
    engine.produce([enrolment(FEED), anchors([FEED.item(None, 1)])])
    before = engine.application.app_hash
    home.close()
    shutil.rmtree(home.path / STATE_FOLDER)
    assert before == home.open().application.app_hash
    home.verified([[2, FEED.feed_id, 0, 0]])


def test_blocks_from_a_backup_are_not_signed_anew(home: Home) -> None:
    engine = home.open()
    home.close()
    shutil.copytree(home.path / BLOCKS_FOLDER, home.path / "old blocks")
    shutil.copytree(home.path / STATE_FOLDER, home.path / "old state")
    engine = home.open()
    engine.produce([enrolment(FEED)])
    home.close()
    for name, old in ((BLOCKS_FOLDER, "old blocks"), (STATE_FOLDER, "old state")):
        shutil.rmtree(home.path / name)
        shutil.copytree(home.path / old, home.path / name)
    with pytest.raises(DoubleSignError, match="restore all"):
        home.open()


def test_a_key_never_signs_two_things_of_one_height(home: Home) -> None:
    key = ValidatorKey(home.path / "key.pem", home.path / "key.state")
    first = key.sign(5, b"vote")
    assert first == key.sign(5, b"vote")
    again = ValidatorKey(home.path / "key.pem", home.path / "key.state")
    assert first == again.sign(5, b"vote")
    for height, tbs in ((5, b"other"), (4, b"vote")):
        with pytest.raises(DoubleSignError):
            again.sign(height, tbs)


def test_a_height_has_one_proposal(home: Home) -> None:
    store = BlockStore(home.path, b"g" * 32)
    store.propose(1, [])
    with pytest.raises(DoubleSignError):
        store.propose(1, [b"other"])
    store.close()


def tampered(home: Home) -> StateStore:
    """A state whose newest first tile was changed by one byte, or cut."""
    home.open().produce([enrolment(FEED)])
    assert home.state
    with home.state._env.begin(write=True, db=home.state._tiles) as lmdb_txn:
        cursor = lmdb_txn.cursor()
        cursor.last()
        name, tile = bytes(cursor.key()), bytes(cursor.value())
        lmdb_txn.put(name, tile[:-1] + bytes([tile[-1] ^ 1]))
    return home.state


def test_a_small_state_that_was_tampered_with_is_refused_at_start(home: Home) -> None:
    tampered(home)
    with pytest.raises(ChainStoreError, match="damaged"):
        home.open()


def test_a_large_state_that_was_tampered_with_is_refused_where_it_is_read(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    tampered(home)
    monkeypatch.setattr("consortium.state_store.CHECKED_AT_START_MAX", 0)
    engine = home.open()
    with pytest.raises(ChainStoreError, match="damaged"):
        engine.produce([admission("carrier"), enrolment(FEED, "carrier")])


def test_another_first_tile_than_the_committed_one_is_refused_at_start(home: Home) -> None:
    home.open().produce([enrolment(FEED)])
    assert home.state
    with home.state._env.begin(write=True, db=home.state._meta) as lmdb_txn:
        lmdb_txn.put(b"top", bytes(40))
    with pytest.raises(ChainStoreError, match="hash"):
        home.open()


def test_a_store_of_another_chain_is_refused(home: Home) -> None:
    StateStore(home.path, b"one" * 10).close()
    with pytest.raises(ChainStoreError, match="another chain"):
        StateStore(home.path, b"two" * 10)


def test_a_validator_key_that_genesis_does_not_name_is_refused(home: Home, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other.pem").public_key()
    raw = other.public_bytes(Encoding.Raw, PublicFormat.Raw)
    wrong = replace(home.genesis, validators=((Validator(raw, 1), genesis().parties[0].party_id),))
    with pytest.raises(LocalError, match="validator key"):
        EmbeddedEngine(
            genesis=wrong,
            blocks=BlockStore(home.path, wrong.digest),
            state=StateStore(home.path, wrong.digest),
            key=ValidatorKey(home.path / "key.pem", home.path / "key.state"),
            clock_ns=home.clock,
        )


def test_ids_of_transactions_are_forgotten_only_when_their_expiry_refuses_them(home: Home) -> None:
    engine = home.open()
    assert home.state
    short = admission("carrier")
    engine.produce([short])
    marks = home.state
    assert 1 == sum(1 for _ in all_marks(marks))
    with marks._env.begin(write=True) as lmdb_txn:
        marks._drop_expired(lmdb_txn, 1_000)
    assert 1 == sum(1 for _ in all_marks(marks))
    with marks._env.begin(write=True) as lmdb_txn:
        marks._drop_expired(lmdb_txn, 1_001)
    assert 0 == sum(1 for _ in all_marks(marks))


def all_marks(store: StateStore) -> Iterator[bytes]:
    with store._env.begin(db=store._marks) as lmdb_txn:
        yield from [bytes(key) for key, _ in lmdb_txn.cursor()]
