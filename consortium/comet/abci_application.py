"""The application's side of ABCI 2.0: from CometBFT's requests to `consortium.app`, and back.

It decides nothing: rules are the application's, and what a block leads to depends on its height,
its time and its transactions alone. All calls come from the thread that owns the state store.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from consortium.abci_pb import abci_pb2 as abci
from consortium.app.application import Application, FinalizedBlock
from consortium.app.apply import TxResult
from consortium.app.refusal import Code
from consortium.app.validator_set import validator_set
from consortium.comet_block import results_hash
from consortium.errors import ChainStoreError, LocalError
from consortium.state_store import StateStore
from ledger.canonical import decode, encode
from ledger.chain_proof import APP_VERSION
from ledger.comet import Validator
from ledger.errors import InputError
from ledger.hashing import sha256

logger = logging.getLogger(__name__)

CODE_NO_EFFECT: Final = 1_000  # to the mempool only: would change nothing, so no block is for it
CODE_QUERY: Final = 1_001
# Rechecks after a block that try a transaction out; the rest wait for their turn at the front.
RECHECK_TRIALS_MAX: Final = 64
# Most transactions are in the next block or the one after: trying them out would be in vain.
RECHECKS_BEFORE_TRIAL: Final = 4
PAUSE_NS_MAX: Final = 2_000_000_000
EMPTY_RUN_MAX: Final = 2  # a block that proves, then one that brings the time up to date
NS_PER_SECOND: Final = 1_000_000_000
BLOCK_OVERHEAD_BYTES: Final = 12  # protobuf's, for each transaction of a block


class Watcher(Protocol):
    """Who is told what becomes of transactions, on the thread of the calls."""

    def on_committed(
        self,
        height: int,
        fates: Sequence[tuple[bytes, TxResult]],
        next_set: tuple[Validator, ...] | None,
    ) -> None:
        """A block is durable: its transactions with their results; the validators, if it changed
        them.
        """

    def on_dropped(self, tx: bytes, result: TxResult) -> None:
        """A transaction left the mempool, or never came in."""


@dataclass(frozen=True, slots=True)
class _Worked:
    """The last block that was worked out: asked for as proposal and again as decision."""

    key: tuple[int, int, bytes]
    finalized: FinalizedBlock


def genesis_app_state(genesis_digest: bytes) -> bytes:
    """`app_state` of CometBFT's genesis file: it names the document that this chain rests on."""
    return json.dumps({"genesis_sha256": genesis_digest.hex()}).encode()


def _is_app_state(data: bytes, genesis_digest: bytes) -> bool:
    """Go hands the JSON over with other spaces than it stood in the file."""
    try:
        return bool(json.loads(data) == json.loads(genesis_app_state(genesis_digest)))
    except ValueError:
        return False


def time_ns(stamp: Any) -> int:
    """A protobuf timestamp in nanoseconds since 1970."""
    return int(stamp.seconds) * NS_PER_SECOND + int(stamp.nanos)


def _is_key(data: bytes) -> bool:
    try:
        return isinstance(decode(data), list)
    except InputError:
        return False


class AbciApplication:
    """Answers every ABCI request."""

    def __init__(
        self,
        application: Application,
        store: StateStore,
        *,
        clock_ns: Callable[[], int],
        watcher: Watcher,
        keep_blocks: int = 0,
    ) -> None:
        """`keep_blocks`: how many blocks CometBFT keeps at least; 0: all."""
        self.application, self._store = application, store
        self._clock_ns, self._watcher, self._keep_blocks = clock_ns, watcher, keep_blocks
        self._worked: _Worked | None = None
        self._decided: tuple[tuple[bytes, ...], FinalizedBlock] | None = None
        self._empty_run = 0
        self.misbehaviour_count = 0
        self._trials_left = RECHECK_TRIALS_MAX
        self._left_out: frozenset[bytes] = frozenset()
        self._rechecks, self._rechecks_now = dict[bytes, int](), dict[bytes, int]()
        self._now_ns = 0
        self._calls: dict[str, Callable[[Any], Any]] = {
            "echo": lambda request: abci.ResponseEcho(message=request.message),
            "flush": lambda _: abci.ResponseFlush(),
            "info": self._info,
            "init_chain": self._init_chain,
            "query": self._query,
            "check_tx": self._check_tx,
            "prepare_proposal": self._prepare_proposal,
            "process_proposal": self._process_proposal,
            "extend_vote": lambda _: abci.ResponseExtendVote(),
            "verify_vote_extension": lambda _: abci.ResponseVerifyVoteExtension(status="ACCEPT"),
            "finalize_block": self._finalize_block,
            "commit": self._commit,
            "list_snapshots": lambda _: abci.ResponseListSnapshots(),
            "offer_snapshot": lambda _: abci.ResponseOfferSnapshot(result="ABORT"),
            "load_snapshot_chunk": lambda _: abci.ResponseLoadSnapshotChunk(),
            "apply_snapshot_chunk": lambda _: abci.ResponseApplySnapshotChunk(result="ABORT"),
        }

    def answer(self, request: abci.Request) -> abci.Response:
        """The response to a request; an error of ours is raised, for the node must not go on."""
        name = request.WhichOneof("value")
        if name not in self._calls:
            raise LocalError(f"CometBFT asked {name}, which its pinned version does not")
        return abci.Response(**{name: self._calls[name](getattr(request, name))})

    def _info(self, request: Any) -> Any:
        logger.info("abci_handshake version=%s height=%d", request.version, self.application.height)
        height = self.application.height
        return abci.ResponseInfo(
            data="wharfinger",
            app_version=APP_VERSION,
            last_block_height=height,
            last_block_app_hash=self.application.app_hash if height else b"",
        )

    def _init_chain(self, request: Any) -> Any:
        genesis = self.application.genesis
        powers = {item.pub_key.ed25519: item.power for item in request.validators}
        if (
            request.chain_id != genesis.chain_id
            or not _is_app_state(request.app_state_bytes, genesis.digest)
            or powers != {item.key: item.power for item in genesis.validator_set}
        ):
            raise LocalError("CometBFT's genesis.json is not made from this genesis.cbor")
        return abci.ResponseInitChain(app_hash=self.application.app_hash)

    def _query(self, request: Any) -> Any:
        """`/state`: data is an encoded map key; the value, and with `prove` its proof."""
        if request.path != "/state" or not _is_key(request.data):
            return abci.ResponseQuery(code=CODE_QUERY, log="ask /state for an encoded key")
        state, answer = self.application.state, abci.ResponseQuery(key=request.data)
        answer.height = self.application.height
        answer.value = state.map.get(request.data) or b""
        if request.prove:
            roots = [state.roots.log_size, state.roots.log_root, state.roots.map_root]
            data = encode([roots, state.map.prove(request.data).to_value()])
            answer.proof_ops.ops.add(type="wharf/state/1", key=request.data, data=data)
        return answer

    def _check_tx(self, request: Any) -> Any:
        again = request.type == abci.CheckTxType.RECHECK
        result = self.application.check_tx(request.tx, time_ms=self._clock_ns() // 1_000_000)
        code = int(result.code)
        if code == Code.ACCEPTED and again and self._is_doubtful(request.tx) and self._trials_left:
            self._trials_left -= 1
            (result,) = self.application.prepare_proposal(time_ns=self._now_ns, txs=[request.tx])
            code = int(result.code) if result.code or result.records else CODE_NO_EFFECT
        if code:
            self._watcher.on_dropped(request.tx, result)
        return abci.ResponseCheckTx(code=code, log=result.text)

    def _is_doubtful(self, tx: bytes) -> bool:
        """Whether a transaction waits longer than others, or was left out of our own proposal."""
        digest = sha256(tx)
        count = self._rechecks_now[digest] = self._rechecks.get(digest, 0) + 1
        return count > RECHECKS_BEFORE_TRIAL or digest in self._left_out

    def _work(self, height: int, block_ns: int, txs: Sequence[bytes]) -> FinalizedBlock:
        """What a block leads to; the same block is worked out once."""
        key = (height, block_ns, sha256(b"".join(sha256(tx) for tx in txs)))
        if self._worked is None or self._worked.key != key:
            finalized = self.application.finalize_block(height=height, time_ns=block_ns, txs=txs)
            self._worked = _Worked(key, finalized)
        return self._worked.finalized

    def _prepare_proposal(self, request: Any) -> Any:
        """The transactions that change something, as many as fit; none to bring the time forward.

        A block's time is that of the votes for the one before, so after a silence an empty block
        leads: what is dated is never dated long before it was sent.
        """
        block_ns = time_ns(request.time)
        late = self._clock_ns() - block_ns > PAUSE_NS_MAX and self._empty_run < EMPTY_RUN_MAX
        if late and request.height > 1:
            return abci.ResponsePrepareProposal()
        chosen, room = [], request.max_tx_bytes
        results = self._work(request.height, block_ns, request.txs).results
        for tx, result in zip(request.txs, results, strict=True):
            room -= len(tx) + BLOCK_OVERHEAD_BYTES if result.records else 0
            if room < 0:
                break  # never leave one out and take a later one: that may rest on it
            if result.records:
                chosen.append(tx)
        self._left_out = frozenset(
            sha256(tx)
            for tx, result in zip(request.txs, results, strict=True)
            if not result.records
        )
        return abci.ResponsePrepareProposal(txs=chosen)

    def _process_proposal(self, request: Any) -> Any:
        """Only a block in which every transaction is accepted and changes something is voted for.

        An honest proposer leaves the others out, so who puts one in is not honest.
        """
        results = self._work(request.height, time_ns(request.time), request.txs).results
        bad = next((result for result in results if not result.records), None)
        if bad is not None:
            logger.error(
                "proposal_refused height=%d proposer=%s code=%d text=%s",
                request.height, request.proposer_address.hex(), int(bad.code), bad.text,
            )  # fmt: skip  # one line of a log
        return abci.ResponseProcessProposal(status="REJECT" if bad is not None else "ACCEPT")

    def _finalize_block(self, request: Any) -> Any:
        txs = tuple(request.txs)
        finalized = self._work(request.height, time_ns(request.time), txs)
        self._decided, self._now_ns = (txs, finalized), time_ns(request.time)
        for item in request.misbehavior:
            self.misbehaviour_count += 1
            logger.error(
                "misbehaviour type=%d validator=%s height=%d",
                item.type, item.validator.address.hex(), item.height,
            )  # fmt: skip  # one line of a log
        return abci.ResponseFinalizeBlock(
            tx_results=[
                abci.ExecTxResult(code=int(item.code), data=item.data, log=item.text)
                for item in finalized.results
            ],
            validator_updates=[
                abci.ValidatorUpdate(pub_key=abci.PublicKey(ed25519=key), power=power)
                for key, power in finalized.validator_updates
            ],
            app_hash=finalized.app_hash,
        )

    def _commit(self, request: Any) -> Any:
        del request  # it is empty
        if self._decided is None:
            raise ChainStoreError("CometBFT commits a block that it has not shown")
        txs, finalized = self._decided
        outcome = finalized.outcome
        changed = validator_set(outcome.state.map) if finalized.validator_updates else None
        results = results_hash([(item.code, item.data) for item in finalized.results])
        stored = self._store.commit(outcome, results, next_set=changed)
        self.application.commit(replace(outcome, state=stored))
        self._decided, self._worked = None, None
        self._trials_left = RECHECK_TRIALS_MAX
        self._rechecks, self._rechecks_now = self._rechecks_now, {}
        self._empty_run = 0 if txs else self._empty_run + 1
        fates = list(zip(txs, finalized.results, strict=True))
        self._watcher.on_committed(outcome.height, fates, changed)
        return abci.ResponseCommit(retain_height=self._retain_height())

    def _retain_height(self) -> int:
        """The oldest block that CometBFT must keep; 0 for all. A block whose header proofs need is
        let go only when the header is in our own archive.
        """
        if not self._keep_blocks:
            return 0
        oldest = self.application.height - self._keep_blocks
        needed = self._store.oldest_unarchived_change()
        return max(0, oldest if needed is None else min(oldest, needed))
