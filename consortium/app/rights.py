"""Who may send what: the one table of roles and kinds, and what a delegation may pass on.

Regulators, banks, courts and auditors read. What they may send says something of themselves (keys,
delegations), of what they opened, of whom they identified, or shows a conflict; never goods' data.
"""

from collections.abc import Mapping
from typing import Final

from consortium.transaction import (
    KIND_ACCEPT_LEG,
    KIND_ACCESS,
    KIND_ANCHORS,
    KIND_BIND,
    KIND_BRAND,
    KIND_BRAND_SEEN,
    KIND_CASE,
    KIND_CLOSE,
    KIND_CONFIGURATION,
    KIND_CONFLICT,
    KIND_CONSIGNMENT,
    KIND_CONTRACT,
    KIND_DELEGATE,
    KIND_DEPOSIT,
    KIND_DEVICE,
    KIND_END_KEY,
    KIND_EPOCH,
    KIND_EVENTS,
    KIND_EVIDENCE,
    KIND_GATEWAY,
    KIND_GRANT,
    KIND_HAND_OVER,
    KIND_IDENTITY,
    KIND_JUDGE,
    KIND_MIRRORED,
    KIND_OBJECT,
    KIND_OPENED,
    KIND_PARTY,
    KIND_PARTY_KEY,
    KIND_PROPOSE,
    KIND_RECALL,
    KIND_RETIRE,
    KIND_REVOKE,
    KIND_ROTATE,
    KIND_SETTLE,
    KIND_THINGS,
    KIND_VERDICT,
    KIND_VOTE,
)
from ledger.chain_genesis import (
    ROLE_AUDITOR,
    ROLE_BANK,
    ROLE_CARRIER,
    ROLE_COURT,
    ROLE_OPERATOR,
    ROLE_OWNER,
    ROLE_READER,
    ROLE_REGULATOR,
    ROLES,
)

READ_ONLY: Final = frozenset({ROLE_REGULATOR, ROLE_BANK, ROLE_COURT, ROLE_AUDITOR})
WORKING: Final = frozenset({ROLE_OPERATOR, ROLE_CARRIER, ROLE_OWNER})
# Whoever is a party to a contract: each handler asks for that contract's parties.
CONTRACTING: Final = WORKING | {ROLE_BANK, ROLE_READER}
_HOLDERS: Final = WORKING | {ROLE_READER}  # their machines carry and keep others' blocks

ROLES_OF_KIND: Final[Mapping[int, frozenset[int]]] = {
    KIND_PARTY: frozenset({ROLE_OPERATOR}),
    KIND_GATEWAY: WORKING,
    KIND_DEVICE: WORKING,
    KIND_ANCHORS: _HOLDERS,
    KIND_MIRRORED: _HOLDERS,
    KIND_OPENED: ROLES,
    KIND_REVOKE: WORKING,
    KIND_CONFLICT: ROLES,
    KIND_PROPOSE: ROLES,  # of those that have a validator: `proposals`
    KIND_VOTE: ROLES,
    KIND_PARTY_KEY: ROLES,
    KIND_IDENTITY: READ_ONLY | {ROLE_OPERATOR},
    KIND_DELEGATE: ROLES,
    KIND_END_KEY: ROLES,
    KIND_CONSIGNMENT: WORKING,
    KIND_ACCEPT_LEG: WORKING,
    KIND_CLOSE: WORKING,
    KIND_GRANT: WORKING,
    KIND_HAND_OVER: WORKING,
    KIND_DEPOSIT: ROLES,
    KIND_ACCESS: ROLES,
    KIND_EPOCH: WORKING,
    KIND_ROTATE: WORKING,
    KIND_RETIRE: WORKING,
    KIND_CONFIGURATION: WORKING,
    KIND_BIND: CONTRACTING,
    KIND_CASE: CONTRACTING,
    KIND_CONTRACT: CONTRACTING,
    KIND_EVIDENCE: CONTRACTING,
    KIND_JUDGE: CONTRACTING,
    KIND_OBJECT: CONTRACTING,
    KIND_SETTLE: CONTRACTING,
    KIND_VERDICT: CONTRACTING,
    KIND_BRAND: WORKING,
    KIND_BRAND_SEEN: READ_ONLY | {ROLE_OPERATOR},
    KIND_THINGS: WORKING,
    KIND_EVENTS: WORKING,
    KIND_RECALL: WORKING,
}

# An enrolled gateway speaks for its own feed and key, carries heads and shows conflicts.
KINDS_OF_GATEWAY: Final = frozenset({KIND_DEVICE, KIND_ANCHORS, KIND_CONFLICT, KIND_ROTATE})

TITLE_OFFICER: Final = 1
TITLE_DRIVER: Final = 2
# Nobody passes on the right to change the organisation's own key, or to delegate.
KINDS_OF_TITLE: Final[Mapping[int, frozenset[int]]] = {
    TITLE_OFFICER: frozenset(ROLES_OF_KIND) - {KIND_PARTY_KEY, KIND_DELEGATE},
    TITLE_DRIVER: frozenset({KIND_DEVICE, KIND_MIRRORED, KIND_OPENED, KIND_HAND_OVER}),
}
