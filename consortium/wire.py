"""What client and server say to each other: gRPC methods, requests and answers in canonical CBOR.

Every answer is [ 1, 0, result ] or [ 1, fault, text ]; requests are lists that begin with version
1. What a chain part shall hold is said by selectors:

    selector = [ 1, index ]                                   ; one leaf of the log
             / [ 2, feed-id, epoch, height ]                  ; first anchor at this height or above
             / [ 3, feed-id, epoch, height ]                  ; last anchor at this height or below
             / [ 4, feed-id, epoch, time-ms ]                 ; last anchor dated then or before
             / [ 5, feed-id, epoch, time-ms ]                 ; first anchor dated then or after
             / [ 6, feed-id, epoch, from-height, to-height ]  ; mirror statements, ends included
             / [ 7, feed-id, epoch, from-height, to-height ]  ; opened statements, ends included
"""

from dataclasses import dataclass
from typing import Any, Final

from consortium.errors import (
    ChainUnavailableError,
    ConsortiumError,
    MalformedError,
    NotYetProvenError,
    RefusedError,
)
from consortium.transaction import fields
from ledger.canonical import decode, encode
from ledger.errors import InputError

CHAIN_SERVICE: Final = "wharfinger.v1.Chain"
GOSSIP_SERVICE: Final = "wharfinger.v1.Gossip"
OPERATOR_SERVICE: Final = "wharfinger.v1.Operator"
PAGES_SERVICE: Final = "wharfinger.v1.Pages"
TLS_NAME: Final = "chain.wharfinger.internal"  # the certificate's name; clients pin its digest
REQUEST_BYTES_MAX: Final = 1 << 20
ANSWER_BYTES_MAX: Final = 64 << 20

SELECT_INDEX: Final = 1
SELECT_ANCHOR_FROM_HEIGHT: Final = 2
SELECT_ANCHOR_TO_HEIGHT: Final = 3
SELECT_ANCHOR_TO_TIME: Final = 4
SELECT_ANCHOR_FROM_TIME: Final = 5
SELECT_MIRRORED: Final = 6
SELECT_OPENED: Final = 7

FAULT_NONE, FAULT_MALFORMED, FAULT_NOT_YET, FAULT_BUSY, FAULT_REFUSED, FAULT_OTHER = range(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A transaction's fate: code 0 is accepted; `height` of its chain block, None if
    it changed nothing (refused, or known already).
    """

    tx_id: bytes
    code: int
    height: int | None
    item_codes: tuple[int, ...]
    text: str

    def to_value(self) -> list[Any]:
        """The elements in their order on the wire."""
        return [self.tx_id, self.code, self.height, list(self.item_codes), self.text]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainStatus:
    """How a chain stands: newest proven block, size of the log, transactions waiting."""

    chain_id: str
    genesis_sha256: bytes
    height: int
    time_ms: int
    app_hash: bytes
    log_size: int
    waiting: int

    def to_value(self) -> list[Any]:
        """The elements in their order on the wire."""
        return [
            self.chain_id,
            self.genesis_sha256,
            self.height,
            self.time_ms,
            self.app_hash,
            self.log_size,
            self.waiting,
        ]


def submitted_from_value(value: object) -> Submitted:
    """The fate in a decoded answer; raises MalformedError."""
    tx_id, code, height, item_codes, text = fields(value, bytes, int, (int, type(None)), list, str)
    return Submitted(tx_id=tx_id, code=code, height=height, item_codes=tuple(item_codes), text=text)


def status_from_value(value: object) -> ChainStatus:
    """The status in a decoded answer; raises MalformedError."""
    chain_id, genesis, height, time_ms, app_hash, log_size, waiting = fields(
        value, str, bytes, int, int, bytes, int, int
    )
    return ChainStatus(
        chain_id=chain_id,
        genesis_sha256=genesis,
        height=height,
        time_ms=time_ms,
        app_hash=app_hash,
        log_size=log_size,
        waiting=waiting,
    )


def encode_fault(error: ConsortiumError) -> bytes:
    """The answer for an error; a refusal's own code travels with its text."""
    if isinstance(error, RefusedError):
        return encode([1, FAULT_REFUSED, [error.code, error.text]])
    kinds: list[tuple[type[ConsortiumError], int]] = [
        (MalformedError, FAULT_MALFORMED),
        (NotYetProvenError, FAULT_NOT_YET),
        (ChainUnavailableError, FAULT_BUSY),
    ]
    fault = next((number for kind, number in kinds if isinstance(error, kind)), FAULT_OTHER)
    return encode([1, fault, str(error)])


def encode_result(result: object) -> bytes:
    """The answer for a result."""
    return encode([1, FAULT_NONE, result])


def decode_answer(data: bytes) -> Any:
    """The result in an answer; raises the error that the other side met."""
    try:
        answer = decode(data)
    except InputError as error:
        raise MalformedError(f"answer: {error}") from error
    if not isinstance(answer, list) or len(answer) != 3 or answer[0] != 1:
        raise MalformedError("answer is not of version 1")
    _, fault, result = answer
    if fault == FAULT_NONE:
        return result
    if fault == FAULT_REFUSED:
        raise RefusedError(*fields(result, int, str))
    errors = {FAULT_NOT_YET: NotYetProvenError, FAULT_BUSY: ChainUnavailableError}
    raise errors.get(fault, MalformedError)(str(result))


def decode_request(data: bytes) -> list[Any]:
    """The elements of a request behind its version; raises MalformedError."""
    try:
        value = decode(data)
    except InputError as error:
        raise MalformedError(str(error)) from error
    if not isinstance(value, list) or not value or value[0] != 1 or type(value[0]) is not int:
        raise MalformedError("request is not of version 1")
    return value[1:]
