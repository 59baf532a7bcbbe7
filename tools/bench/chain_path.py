"""Where the application's time goes: one validator's work on a block, step by step, in order."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from consortium.app.application import Application
from consortium.app.apply import decode_checked
from consortium.app.state import genesis_state
from consortium.comet.founding import Places, make_localnet
from consortium.compose import own_party
from consortium.config import read_config
from consortium.file_keys import FileSigner
from consortium.state_store import StateStore
from ledger.merkle import EMPTY_ROOT
from tools.bench.chain_load import Load
from tools.bench.chain_network import CHAIN_ID
from tools.bench.figure import Figure
from tools.bench.session import Session

BLOCK: Final = 200
BLOCKS_BEFORE: Final = 20  # so that the state is not empty
STEPS: Final = ("take apart", "check at the door: signature, rights", "work out the block", "write")


class Validator:
    """One validator's application and store, fed by hand."""

    def __init__(self, session: Session) -> None:
        genesis, (home,) = make_localnet(
            session.fresh_folder("path"), 1, chain_id=CHAIN_ID,
            places=[Places(server="127.0.0.1:1", node="127.0.0.1:2")], now=datetime.now(UTC),
        )  # fmt: skip  # one call
        self._store = StateStore(home, genesis.digest)
        self._store.start(genesis_state(genesis), EMPTY_ROOT)
        loaded = self._store.load()
        assert loaded is not None
        self._app = Application(genesis, height=loaded[0], state=loaded[1], marks=self._store)
        party = own_party(read_config(home), genesis)
        assert isinstance(party.signer, FileSigner)
        self.load = Load(party.signer, chain_id=CHAIN_ID, party_id=party.party_id, feeds=1)
        self._times_ns = itertools.count(10**18, 10**9)

    def block(self, txs: list[bytes]) -> list[float]:
        """Microseconds a transaction of each step, in the order of STEPS."""
        app, now_ns, stamps = self._app, next(self._times_ns), [time.perf_counter()]

        def done(_: object) -> None:
            stamps.append(time.perf_counter())

        done([decode_checked(tx) for tx in txs])
        done([app.check_tx(tx, time_ms=now_ns // 1_000_000) for tx in txs])
        finalized = app.finalize_block(height=app.height + 1, time_ns=now_ns, txs=txs)
        done(finalized)
        state = self._store.commit(finalized.outcome, EMPTY_ROOT)
        app.commit(replace(finalized.outcome, state=state))
        done(state)
        assert all(result.records for result in finalized.results)
        pairs = itertools.pairwise(stamps)
        return [(end - begun) / len(txs) * 1e6 for begun, end in pairs]

    def close(self) -> None:
        """Closes its store."""
        self._store.close()


def path_figures(session: Session) -> list[Figure]:
    """Each step of a transaction's way through one application, the longest first."""
    validator = Validator(session)
    try:
        validator.block(validator.load.enrolments())
        for _ in range(BLOCKS_BEFORE):
            validator.block(validator.load.devices(BLOCK))
        blocks = [validator.block(validator.load.devices(BLOCK)) for _ in range(session.repeats)]
    finally:
        validator.close()
    totals = tuple(sum(row) for row in blocks)
    figures = [
        Figure(
            name=f"a transaction's way through an application: {step}", unit="µs",
            ours=samples, peer="the whole of it", theirs=totals,
        )
        for step, samples in zip(STEPS, zip(*blocks, strict=True), strict=True)
    ]  # fmt: skip  # one figure
    return sorted(figures, key=lambda figure: -sum(figure.ours))
