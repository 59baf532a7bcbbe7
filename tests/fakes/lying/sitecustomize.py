"""Makes the application of one organisation lie: loaded by Python itself from PYTHONPATH.

WHARF_TEST_LIE is `propose:FILE` or `refuse:FILE`; the lie holds while the file is there.
"""

import os
from pathlib import Path
from typing import Any

_LIE, _, _SWITCH = os.environ.get("WHARF_TEST_LIE", "").partition(":")

if _LIE:
    from consortium.abci_pb import abci_pb2 as abci
    from consortium.comet.abci_application import AbciApplication

    _prepare, _process = AbciApplication._prepare_proposal, AbciApplication._process_proposal

    def _propose_junk(self: AbciApplication, request: Any) -> Any:
        answer = _prepare(self, request)
        if Path(_SWITCH).exists():
            answer.txs.append(b"junk")
            with Path(_SWITCH).open("a") as told:
                told.write(f"{request.height}\n")
        return answer

    def _refuse_all(self: AbciApplication, request: Any) -> Any:
        if Path(_SWITCH).exists():
            return abci.ResponseProcessProposal(status="REJECT")
        return _process(self, request)

    if _LIE == "propose":
        AbciApplication._prepare_proposal = _propose_junk  # type: ignore[method-assign]  # the lie
    else:
        AbciApplication._process_proposal = _refuse_all  # type: ignore[method-assign]  # the lie
