"""The embedded engine: one process, one validator, CometBFT's own header and commit bytes.

For trying out, tests and a single company. A block goes through four durable steps, and a crash
between any two of them is taken up at the next start where it stopped:

    proposed (block store) -> vote signed (key state) -> committed (block store) -> applied (state
    store)

Nothing is signed before its block is durable, and a height's block is never replaced, so one height
never gets two signed blocks. As in CometBFT a block's time is the time of the votes for the block
before it. An idle chain's last vote may be hours old, so a block after a pause is led by an empty
one that brings the time up to date; without it an anchor would be dated before it was made.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from consortium.app.application import Application, FinalizedBlock
from consortium.app.apply import TxResult
from consortium.app.state import genesis_state
from consortium.chain_engine import Proven, Tell, submitted
from consortium.comet_block import (
    FLAG_COMMIT,
    NO_EVIDENCE_HASH,
    CommitSignature,
    LastCommit,
    block_id_of,
    consensus_hash,
    data_hash,
    results_hash,
)
from consortium.errors import ChainStoreError, DoubleSignError, LocalError
from consortium.file_keys import ValidatorKey
from consortium.state_store import BlockStore, StateStore
from ledger.chain_genesis import Genesis
from ledger.chain_proof import (
    Commit,
    SignedHeader,
    signed_header_from_value,
    signed_header_value,
)
from ledger.comet import (
    BLOCK_VERSION,
    BlockId,
    ChainHeader,
    validator_set_hash,
    vote_sign_bytes,
)
from ledger.merkle import EMPTY_ROOT

GAS_MAX: Final = -1  # no bound
PAUSE_NS_MAX: Final = 2_000_000_000
TICK_NS: Final = 1_000_000  # a vote is at least this much after its block's time (CometBFT's rule)
UNSIGNED: Final = bytes(64)


@dataclass(frozen=True, slots=True)
class _Last:
    """The block before the next one: what the next header repeats of it."""

    block_id: BlockId
    commit: LastCommit
    signed: SignedHeader | None
    results_hash: bytes


class EmbeddedEngine:
    """Makes blocks of transactions. All calls come from the thread that opened the stores."""

    def __init__(
        self,
        *,
        genesis: Genesis,
        blocks: BlockStore,
        state: StateStore,
        key: ValidatorKey,
        clock_ns: Callable[[], int],
    ) -> None:
        """Loads the state, takes up what a crash left, and proves the newest state.

        Raises LocalError subclasses where stores, key and genesis do not fit together.
        """
        if [item.key for item in genesis.validator_set] != [key.public]:
            raise LocalError("the validator key is not the one validator of the genesis document")
        self._genesis, self._blocks, self._state = genesis, blocks, state
        self._key, self._clock_ns = key, clock_ns
        if state.load() is None:
            state.start(genesis_state(genesis), EMPTY_ROOT)
        loaded = state.load()
        if loaded is None:
            raise ChainStoreError("the state store does not keep what is written")
        self.application = Application(
            genesis, height=loaded[0], state=loaded[1], marks=state, validators_fixed=True
        )
        self._set_hash = validator_set_hash(genesis.validator_set)
        self._consensus_hash = consensus_hash(
            block_bytes_max=genesis.block_bytes_max, gas_max=GAS_MAX
        )
        self._last = _Last(BlockId(), LastCommit(), None, EMPTY_ROOT)
        self._handshake()

    @property
    def height(self) -> int:
        """Height of the newest block."""
        return self.application.height

    @property
    def signed_header(self) -> SignedHeader:
        """The newest header with its commit; its hash of the application is the newest state's."""
        if self._last.signed is None:
            raise ChainStoreError("the chain has no block")
        return self._last.signed

    @property
    def proven(self) -> Proven | None:
        """The newest state with its header: this engine proves every state at once."""
        return Proven(self.application.state, self.signed_header) if self._last.signed else None

    @property
    def pending(self) -> int:
        """Nothing: what is taken is in a block at once."""
        return 0

    async def until_proven(self) -> Proven:
        """The newest state with its header."""
        return Proven(self.application.state, self.signed_header)

    def take(self, batch: Sequence[bytes], tell: Tell) -> None:
        """Makes a block of all that may wait for one, and tells every transaction's fate."""
        now_ms = self._clock_ns() // 1_000_000
        checks = [self.application.check_tx(data, time_ms=now_ms) for data in batch]
        good = [data for data, check in zip(batch, checks, strict=True) if check.code == 0]
        height, results = self.produce(good) if good else (None, ())
        delivered = iter(results)
        for index, (data, check) in enumerate(zip(batch, checks, strict=True)):
            tell(index, submitted(data, check if check.code else next(delivered), height))

    def produce(self, txs: Sequence[bytes]) -> tuple[int | None, tuple[TxResult, ...]]:
        """(height, results) of a new block, committed and under a signed header on return.

        What would change nothing, refused or known already, is left out of the block: a sender that
        never gives up does not make the chain grow. The height is None when nothing is left.
        """
        expected = self.application.prepare_proposal(time_ns=self._next_time_ns(), txs=txs)
        worth = [data for data, result in zip(txs, expected, strict=True) if result.records]
        if not worth:
            return None, expected
        height, results = self._produce(worth)
        delivered = iter(results)
        return height, tuple(next(delivered) if item.records else item for item in expected)

    def _produce(self, txs: Sequence[bytes]) -> tuple[int, tuple[TxResult, ...]]:
        if self._clock_ns() - self._last.commit.signatures[0].time_ns > PAUSE_NS_MAX:
            self._make_block(())
        finalized = self._make_block(txs)
        height = self.height
        self._prove()
        return height, finalized.results

    def _prove(self) -> None:
        """An empty block behind one that changed the state: its header carries the state's hash."""
        if self.signed_header.header.app_hash != self.application.app_hash:
            self._make_block(())

    def _handshake(self) -> None:
        """Signs a block that was only proposed, and applies blocks that the state has not seen."""
        stored = self._blocks.height
        if self._key.height > stored or self.application.height > stored:
            raise DoubleSignError(
                f"the block store ends at {stored}, behind key state {self._key.height} or state "
                f"{self.application.height}: restore all of a validator's files, or none"
            )
        for height in range(max(1, self.application.height), stored + 1):
            self._take_up(height)
        if not stored:
            self._make_block(())
        self._prove()

    def _take_up(self, height: int) -> None:
        found = self._blocks.block(height)
        if found is None:
            raise ChainStoreError(f"block {height} is missing")
        signed_already, (value, txs) = found
        signed = signed_header_from_value(value, self._genesis.chain_id)
        if not signed_already:
            signed = self._sign(signed, txs)
        if height > self.application.height:
            self._apply(signed, txs)
        else:
            # Already applied: only its results are asked for, by the header after it.
            self._last = self._last_of(signed, self._results_after(height))

    def _results_after(self, height: int) -> bytes:
        """Results hash of an applied block: in the next header, or in the state's own record."""
        following = self._blocks.block(height + 1)
        if following is not None:
            value, _ = following[1]
            return signed_header_from_value(value, self._genesis.chain_id).header.last_results_hash
        return self._state.results_hash()

    def _make_block(self, txs: Sequence[bytes]) -> FinalizedBlock:
        header = self._header(txs)
        block_id = block_id_of(header, txs, self._last.commit)
        vote_ns = max(self._clock_ns(), header.time_ns + TICK_NS)
        commit = Commit(0, block_id.parts_total, block_id.parts_hash, ((vote_ns, UNSIGNED),))
        proposal = SignedHeader(header, commit)
        self._blocks.propose(header.height, [signed_header_value(proposal), list(txs)])
        return self._apply(self._sign(proposal, txs), txs)

    def _next_time_ns(self) -> int:
        """The next block's time: that of the votes for the last one."""
        signatures = self._last.commit.signatures
        return signatures[0].time_ns if signatures else self._genesis.time_ms * 1_000_000

    def _header(self, txs: Sequence[bytes]) -> ChainHeader:
        height, last = self.application.height + 1, self._last
        return ChainHeader(
            block_version=BLOCK_VERSION,
            app_version=self._genesis.app_version,
            chain_id=self._genesis.chain_id,
            height=height,
            time_ns=self._next_time_ns(),
            last_block_id=last.block_id,
            last_commit_hash=last.commit.hash,
            data_hash=data_hash(txs),
            validators_hash=self._set_hash,
            next_validators_hash=self._set_hash,
            consensus_hash=self._consensus_hash,
            app_hash=self.application.app_hash,
            last_results_hash=last.results_hash,
            evidence_hash=NO_EVIDENCE_HASH,
            proposer_address=self._genesis.validator_set[0].address,
        )

    def _sign(self, proposal: SignedHeader, txs: Sequence[bytes]) -> SignedHeader:
        """The proposal with the vote that its own time names: the same bytes at every attempt."""
        header, commit = proposal.header, proposal.commit
        vote = commit.votes[0]
        if vote is None:
            raise ChainStoreError(f"block {header.height} has no place for the vote")
        tbs = vote_sign_bytes(
            chain_id=header.chain_id,
            height=header.height,
            round_=commit.round,
            block_id=BlockId(header.hash, commit.parts_total, commit.parts_hash),
            time_ns=vote[0],
        )
        signature = self._key.sign(header.height, tbs)
        signed = replace(proposal, commit=replace(commit, votes=((vote[0], signature),)))
        self._blocks.sign(header.height, [signed_header_value(signed), list(txs)])
        return signed

    def _apply(self, signed: SignedHeader, txs: Sequence[bytes]) -> FinalizedBlock:
        header = signed.header
        if header.app_hash != self.application.app_hash:
            raise ChainStoreError(f"block {header.height} was built on another state than this")
        finalized = self.application.finalize_block(
            height=header.height, time_ns=header.time_ns, txs=txs
        )
        results = results_hash([(result.code, result.data) for result in finalized.results])
        stored = self._state.commit(finalized.outcome, results)
        self.application.commit(replace(finalized.outcome, state=stored))
        self._last = self._last_of(signed, results)
        return finalized

    def _last_of(self, signed: SignedHeader, results: bytes) -> _Last:
        header, commit = signed.header, signed.commit
        block_id = BlockId(header.hash, commit.parts_total, commit.parts_hash)
        signatures: list[Any] = [
            CommitSignature(FLAG_COMMIT, item.address, vote[0], vote[1])
            for item, vote in zip(self._genesis.validator_set, commit.votes, strict=True)
            if vote
        ]
        last = LastCommit(header.height, commit.round, block_id, tuple(signatures))
        return _Last(block_id, last, signed, results)

    def close(self) -> None:
        """Closes both stores."""
        self._blocks.close()
        self._state.close()
