"""The application behind any engine: CheckTx, PrepareProposal, ProcessProposal, FinalizeBlock and
Commit (ABCI 2.0 by meaning).

Engine-independent and deterministic: the engine gives height, time and transactions, and gets
results, the application's hash and validator updates. Nothing becomes the state before `commit`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from consortium.app.apply import TxResult, check, decode_checked, deliver
from consortium.app.refusal import Code, Refused
from consortium.app.state import (
    Accepted,
    BlockContext,
    ChainState,
    Draft,
    Marks,
    Outcome,
    Rules,
    extended,
)
from consortium.app.validator_set import validator_updates
from consortium.errors import LocalError
from ledger.chain_genesis import Genesis
from ledger.chain_proof import APP_VERSION, LogLeaf

NS_PER_MS: Final = 1_000_000
# Below four validators a single one that is down or lying stops or steers the chain.
VALIDATORS_SAFE: Final = 4


@dataclass(frozen=True, slots=True)
class FinalizedBlock:
    """What a block leads to: results in order, the hash for the next header, and what to store.

    `validator_updates`: (Ed25519 key, power) of validators that changed, power 0 for removed ones.
    """

    results: tuple[TxResult, ...]
    app_hash: bytes
    outcome: Outcome
    validator_updates: tuple[tuple[bytes, int], ...] = ()


class Application:
    """Holds the committed state; `marks` are read from where `commit`ted outcomes are stored."""

    def __init__(
        self,
        genesis: Genesis,
        *,
        state: ChainState,
        height: int,
        marks: Marks,
        validators_fixed: bool = False,
    ) -> None:
        """`state` and `height`: as last committed; `genesis_state` and 0 on a new chain.

        validators_fixed: the engine cannot change its validator set, so no proposal may.
        """
        if genesis.app_version != APP_VERSION:
            raise LocalError("the genesis asks for rules that this version does not have")
        self.genesis = genesis
        self._rules = Rules(
            votes_min=genesis.admission_votes_min,
            validators_min=min(VALIDATORS_SAFE, len(genesis.validators)),
            validators_fixed=validators_fixed,
        )
        self.state = state
        self.height = height
        self._marks = marks

    @property
    def app_hash(self) -> bytes:
        """Hash of the committed state."""
        return self.state.roots.app_hash

    def check_tx(self, data: bytes, *, time_ms: int) -> TxResult:
        """Whether a transaction may wait for a block. Says nothing of its items' outcomes."""
        context = BlockContext(self.genesis.chain_id, self.height + 1, time_ms, self._rules)
        draft = Draft(self.state.map, self._marks)
        try:
            check(draft, decode_checked(data), context)
        except Refused as refused:
            return TxResult(refused.code, text=refused.text)
        return TxResult(Code.ACCEPTED)

    def prepare_proposal(self, *, time_ns: int, txs: Sequence[bytes]) -> tuple[TxResult, ...]:
        """What each would come to in the next block: one without records is not worth a block."""
        return self.finalize_block(height=self.height + 1, time_ns=time_ns, txs=txs).results

    def process_proposal(self, *, height: int, time_ns: int, txs: Sequence[bytes]) -> bool:
        """Whether a proposed block is worth a vote: each transaction is accepted and changes
        something.
        """
        results = self.finalize_block(height=height, time_ns=time_ns, txs=txs).results
        return all(result.records for result in results)

    def finalize_block(self, *, height: int, time_ns: int, txs: Sequence[bytes]) -> FinalizedBlock:
        """The block's outcome on top of the committed state, which stays as it is."""
        time_ms = time_ns // NS_PER_MS
        context = BlockContext(self.genesis.chain_id, height, time_ms, self._rules)
        draft = Draft(self.state.map, self._marks)
        results, leaves = [], []
        accepted: list[Accepted] = []
        for index, data in enumerate(txs):
            seen = len(draft.records)
            result, tx_id = deliver(draft, data, context)
            results.append(result)
            if tx_id is not None:
                leaves += [
                    LogLeaf(
                        tx_id=tx_id,
                        item_index=drafted.item_index,
                        code=Code.ACCEPTED.value,
                        time_ms=context.time_ms,
                        chain_height=height,
                        record=drafted.record,
                    )
                    for drafted in draft.records[seen:]
                ]
            if result.records:
                records = tuple(drafted.record for drafted in draft.records[seen:])
                accepted.append(Accepted(index=index, time_ms=time_ms, data=data, records=records))
        state = ChainState(draft.map, extended(self.state.log, tuple(leaves)))
        outcome = Outcome(
            height=height,
            state=state,
            puts=draft.puts,
            leaves=tuple(leaves),
            marks=draft.new_marks,
            accepted=tuple(accepted),
        )
        return FinalizedBlock(
            results=tuple(results),
            app_hash=state.roots.app_hash,
            outcome=outcome,
            validator_updates=validator_updates(self.state.map, state.map),
        )

    def commit(self, outcome: Outcome) -> None:
        """Makes an outcome the state; call after it is stored."""
        self.state, self.height = outcome.state, outcome.height
