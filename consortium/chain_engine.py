"""What a chain machine asks of its engine, whichever it is: the one seam between them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from consortium.app.application import Application
from consortium.app.apply import TxResult, decode_checked
from consortium.app.refusal import Code, Refused
from consortium.app.state import ChainState
from consortium.errors import ChainUnavailableError, MalformedError
from consortium.wire import Submitted
from ledger.chain_proof import SignedHeader
from ledger.comet import Validator
from ledger.hashing import sha256

Change = tuple[SignedHeader, tuple[Validator, ...]]  # a header, and the next set that it names
Fate = Submitted | ChainUnavailableError
Tell = Callable[[int, Fate], None]  # index in the batch, and what became of it; any thread


@dataclass(frozen=True, slots=True)
class Proven:
    """A state, the signed header that carries its hash, and the validator changes before it."""

    state: ChainState
    signed_header: SignedHeader
    changes: tuple[Change, ...] = ()


class Engine(Protocol):
    """Brings transactions into blocks. All but `until_proven` is called on the chain's thread, or
    reads values that never change.
    """

    @property
    def application(self) -> Application:
        """The application with the newest committed state."""

    @property
    def proven(self) -> Proven | None:
        """The newest state under a signed header; None before the first."""

    @property
    def pending(self) -> int:
        """Transactions handed on and not yet in a block."""

    def take(self, batch: Sequence[bytes], tell: Tell) -> None:
        """Sees to the batch: `tell` is called once for each, at once or later."""

    async def until_proven(self) -> Proven:
        """The newest state of now, once it is proven, or after a while what is proven by then.

        Raises NotYetProvenError while nothing is.
        """

    def close(self) -> None:
        """Closes the stores."""


def submitted(data: bytes, result: TxResult, height: int | None) -> Submitted:
    """A transaction's fate as its sender is told it."""
    try:
        tx_id = decode_checked(data).tx_id
    except (Refused, MalformedError):
        tx_id = sha256(data)
    return Submitted(
        tx_id=tx_id,
        code=int(Code(result.code)),
        height=height if result.records else None,
        item_codes=tuple(int(code) for code in result.item_codes),
        text=result.text,
    )
