"""Replays blocks from genesis in this process: `python replay.py GENESIS BLOCKS`.

BLOCKS: canonical CBOR of [[height, time in ns, [transaction ...]] ...]. Prints the application's
hash after each height, as hex, one a line. Needs neither store nor engine: the rules alone.
"""

import sys
from pathlib import Path

from consortium.app.application import Application
from consortium.app.state import genesis_state
from ledger.canonical import decode
from ledger.chain_genesis import decode_genesis


def main() -> None:
    genesis = decode_genesis(Path(sys.argv[1]).read_bytes())
    marks = set[bytes]()
    app = Application(genesis, state=genesis_state(genesis), height=0, marks=marks)
    for height, time_ns, txs in decode(Path(sys.argv[2]).read_bytes()):
        finalized = app.finalize_block(height=height, time_ns=time_ns, txs=txs)
        marks.update(finalized.outcome.marks)
        app.commit(finalized.outcome)
        print(finalized.app_hash.hex())


if __name__ == "__main__":
    main()
