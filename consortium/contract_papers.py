"""A paper: what several parties sign one after the other, as a file, before the chain sees it.

    paper   = [ "wharf-paper", 1, chain-id, kind, content, [* [party-id, signature]] ]
    content = [ core: bstr, money: bstr, prose: bstr ]                          ; kind 40, contract
            / [ consignment-id, contract-id, from-ms, to-ms, [+ device-id] ]    ; kind 41, binding
            / [ consignment-id, salt, verdict: bstr ]                           ; kind 42, verdict

A verdict's paper stays with the parties: of it the chain gets the salted commitment.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from consortium.app.contracts import binding_digest
from consortium.app.cosignatures import cosign_bytes
from consortium.app.verdicts import agreed_digest, commitment
from consortium.errors import LocalError, MalformedError
from consortium.file_keys import FileSigner
from consortium.transaction import KIND_BIND, KIND_CONTRACT, KIND_VERDICT, fields
from ledger.canonical import decode, encode
from ledger.errors import InputError
from logistics.rules.contract import decode_core
from logistics.rules.drafting import Draft, checked

MAGIC: Final = "wharf-paper"
VERSION: Final = 1
PAPER_BYTES_MAX: Final = 4 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What is signed, for which chain, and by whom so far (party id, signature; ascending)."""

    chain_id: str
    kind: int
    content: tuple[Any, ...]
    signatures: tuple[tuple[bytes, bytes], ...] = ()

    def encode(self) -> bytes:
        """The file's bytes."""
        rows = [list(row) for row in self.signatures]
        return encode([MAGIC, VERSION, self.chain_id, self.kind, list(self.content), rows])

    @property
    def digest(self) -> bytes:
        """What each party signs."""
        if self.kind == KIND_CONTRACT:
            return decode_core(self.content[0]).digest
        if self.kind == KIND_BIND:
            return binding_digest(list(self.content))
        consignment_id, salt, verdict = self.content
        return agreed_digest(consignment_id, commitment(verdict, salt))

    @property
    def body(self) -> list[Any]:
        """The transaction's body."""
        rows = [list(row) for row in self.signatures]
        if self.kind == KIND_CONTRACT:
            return [1, self.content[0], rows]
        if self.kind == KIND_BIND:
            return [1, *self.content, rows]
        consignment_id, salt, verdict = self.content
        return [1, consignment_id, commitment(verdict, salt), rows]

    def drafted(self) -> Draft:
        """The contract in the paper; raises MalformedError where it is of another kind."""
        if self.kind != KIND_CONTRACT:
            raise MalformedError("this paper is no contract")
        return checked(*self.content)


def read_paper(path: Path) -> Paper:
    """The paper in a file; raises LocalError or MalformedError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}") from error
    if len(data) > PAPER_BYTES_MAX:
        raise MalformedError(f"{path}: more than {PAPER_BYTES_MAX} bytes")
    try:
        magic, version, *rest = fields(decode(data), str, int, str, int, list, list)
    except InputError as error:
        raise MalformedError(f"{path}: not a paper: {error}") from error
    chain_id, kind, content, rows = rest
    if (magic, version) != (MAGIC, VERSION) or kind not in _CONTENT:
        raise MalformedError(f"{path}: not a paper of version {VERSION}")
    return Paper(
        chain_id=chain_id,
        kind=kind,
        content=tuple(fields(content, *_CONTENT[kind])),
        signatures=tuple((party, signature) for party, signature in map(_row, rows)),
    )


_CONTENT: Final = {
    KIND_CONTRACT: (bytes, bytes, bytes),
    KIND_BIND: (bytes, bytes, int, int, list),
    KIND_VERDICT: (bytes, bytes, bytes),
}


def _row(row: Any) -> list[Any]:
    return fields(row, bytes, bytes)


async def signed(paper: Paper, party_id: bytes, signer: FileSigner) -> Paper:
    """The paper with one signature more; a party's earlier one is replaced."""
    tbs = cosign_bytes(paper.chain_id, paper.kind, paper.digest, party_id=party_id)
    signature = await signer.sign(tbs)
    others = [row for row in paper.signatures if row[0] != party_id]
    return replace(paper, signatures=tuple(sorted([*others, (party_id, signature)])))
