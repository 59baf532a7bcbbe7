"""What the ledger raises, split by whose fault it is.

`InputError`: bytes from outside that are wrong. `RefutedError`: well-formed, but disproved.
`UncheckableError`: nothing wrong was shown, yet a part is missing. `LocalError`: our own disk or
caller.
"""


class LedgerError(Exception):
    """Root of everything that `ledger` raises."""


class InputError(LedgerError):
    """Bytes from outside break a format."""


class NotCanonicalError(InputError):
    """Not deterministic CBOR (RFC 8949, section 4.2.1, with the limits of docs/formats/cbor.md)."""

    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(f"not canonical CBOR at byte {offset}: {reason}")
        self.reason, self.offset = reason, offset


class FormatError(InputError):
    """A value is canonical CBOR but not of the named format."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.what, self.reason = what, reason


class LimitError(InputError):
    """A bound on what comes from outside was passed."""

    def __init__(self, what: str, value: int, limit: int) -> None:
        super().__init__(f"{what} is {value}, more than {limit}")
        self.what, self.value, self.limit = what, value, limit


class RefutedError(LedgerError):
    """A claim was checked and is false."""


class ProofError(RefutedError):
    """A Merkle proof does not lead to the root."""


class SignatureError(RefutedError):
    """A signature does not verify, or is in a form that is refused (high-S)."""


class OpeningError(LedgerError):
    """A run could not be opened; `reason` is a number of docs/formats/block.md, or None where
    nothing is proven.
    """

    def __init__(self, text: str, reason: int | None = None) -> None:
        super().__init__(text)
        self.reason = reason


class AnchorError(RefutedError):
    """A head may not be anchored; the subclasses are the stable names."""

    code = 100


class AnchorSmallerError(AnchorError):
    """The head signs fewer leaves or a lower height than what is anchored already."""

    code = 101


class AnchorForkedError(AnchorError):
    """Same size or height, other root: two histories were signed."""

    code = 102


class AnchorInconsistentError(AnchorError):
    """A consistency path does not lead from the anchored tree to the new one."""

    code = 103


class AnchorKeyError(AnchorError):
    """The head's signature, key or feed is not the enrolled one."""

    code = 104


class AnchorFutureError(AnchorError):
    """The head is dated far in the witness's future: it would still look new when it is old."""

    code = 105


class ConflictError(RefutedError):
    """Statements of one feed exclude each other; `evidence` shows it where both are signed."""

    def __init__(self, text: str, evidence: bytes | None = None) -> None:
        super().__init__(text)
        self.evidence = evidence


class UncheckableError(LedgerError):
    """Nothing was disproved, but something needed for an answer is missing."""


class PrunedError(UncheckableError):
    """The readings of a block were let go here by policy; its structure is still held."""

    def __init__(self, height: int, below: int) -> None:
        super().__init__(
            f"the readings of block {height} were let go here (pruned below block {below}); "
            "ask a chain machine or a reader that mirrors this feed"
        )
        self.height, self.below = height, below


class UnsignedBlocksError(UncheckableError):
    """Blocks held above the newest head are not those that a head now signs: they have to come
    again.
    """


class PeerRefusedError(LedgerError):
    """A peer is not let in, or not any more; `code` is a number of docs/formats/gossip.md."""

    def __init__(self, peer_id: bytes, code: int, text: str) -> None:
        super().__init__(text)
        self.peer_id, self.code = peer_id, code


class LocalError(LedgerError):
    """Our own disk, caller or configuration."""


class JournalError(LocalError):
    """The journal cannot go on; a failed sync is never retried."""


class StoreError(LocalError):
    """The block store cannot go on."""


class DamagedError(StoreError):
    """A stored value is not the one that was written: bit rot, found before it is used."""

    def __init__(self, table: str, key: bytes) -> None:
        super().__init__(f"table {table}, key {key.hex()}: the value is damaged")
        self.table, self.key = table, key


class SealRefusedError(LocalError):
    """Sealing or signing is refused until an operator acts (guards of LEDGER sections 3 and 4)."""
