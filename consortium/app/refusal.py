"""Why a transaction or an item of one is refused: one table of stable numbers
(docs/formats/chain.md).
"""

from enum import IntEnum


class Code(IntEnum):
    """Result of a transaction or item. 0 is accepted; numbers are never given to another meaning.

    100 to 105 are the ledger's own words for a head that may not be anchored (`ledger.errors`).
    """

    ACCEPTED = 0
    MALFORMED = 1
    OVERSIZED = 2
    OTHER_CHAIN = 3
    EXPIRED = 4
    EXPIRY_TOO_FAR = 5
    REPLAYED = 6
    SENDER_UNKNOWN = 7
    KEY_NOT_SENDERS = 8
    KEY_REVOKED = 9
    SIGNATURE_WRONG = 10
    UNAUTHORISED = 11
    KIND_UNKNOWN = 12
    BODY_WRONG = 13
    TOO_MANY_ITEMS = 14
    PARTY_EXISTS = 20
    KEY_IN_USE = 21
    VOTE_NEEDED = 22
    PARTY_SUSPENDED = 23
    PARTY_UNKNOWN = 24
    KEY_NOT_PROVEN = 25
    LEGAL_ID_WRONG = 26
    GATEWAY_UNKNOWN = 30
    GATEWAY_EXISTS = 31
    GATEWAY_REVOKED = 32
    FEED_ID_WRONG = 33
    KEY_ROTATED = 34
    ROTATION_WRONG = 35
    GATEWAY_RETIRED = 36
    KEYS_FULL = 37
    DEVICE_OF_OTHER_PARTY = 40
    SLOT_TAKEN = 41
    DEVICE_FULL = 42
    FEED_FROZEN = 50
    EPOCH_NOT_OPEN = 51
    EPOCH_WRONG = 52
    NO_CONFLICT = 60
    VERSION_TAKEN = 70
    PROPOSAL_UNKNOWN = 80
    PROPOSAL_CLOSED = 81
    VOTED_ALREADY = 82
    NO_VOTE = 83
    TOO_MANY_OPEN = 84
    ACTION_UNFIT = 85
    VALIDATORS_TOO_FEW = 86
    POWER_BOUND = 87
    CHANGE_PENDING = 88
    VALIDATORS_FIXED = 89
    DELEGATION_UNKNOWN = 90
    DELEGATION_ENDED = 91
    OUT_OF_SCOPE = 92
    ANCHOR_REFUSED = 100
    ANCHOR_SMALLER = 101
    ANCHOR_FORKED = 102
    ANCHOR_INCONSISTENT = 103
    ANCHOR_KEY = 104
    ANCHOR_FUTURE = 105
    NO_CONSIGNMENT = 200
    CONSIGNMENT_TAKEN = 201
    CONSIGNMENT_CLOSED = 202
    LEG_UNKNOWN = 203
    LEG_ACCEPTED = 204
    NOT_HOLDER = 220
    HAND_OVER_ORDER = 221
    HAND_OVER_KNOWN = 222
    HAND_OVER_SIGNATURE = 223
    HAND_OVER_KEY = 224
    CONTRACT_WRONG = 240
    COSIGNATURE_WRONG = 241
    CONTRACT_UNKNOWN = 242
    CONTRACT_SUPERSEDED = 243
    CONSIGNMENT_UNKNOWN = 244
    CONSIGNMENT_STATE = 245
    EVIDENCE_WRONG = 246
    EVIDENCE_INCOMPLETE = 247
    NOT_ANCHORED_YET = 248
    WINDOW_OPEN = 249
    WINDOW_OVER = 250
    DEPOSIT_EXISTS = 270
    DEPOSIT_UNKNOWN = 271
    BRAND_TAKEN = 290
    BRAND_UNKNOWN = 291
    BRAND_OWN = 292
    RECALL_UNKNOWN = 293


class Refused(Exception):  # noqa: N818  # an outcome, not an error: nothing is wrong with the chain
    """Ends a handler; whatever it did so far is dropped."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code, self.text = code, text
