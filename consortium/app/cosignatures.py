"""What several parties sign together: each with its present key, over one statement.

    statement = "wharf/cosign/1" || [ chain-id, kind, digest, party-id ]
    row       = [ party-id, signature ]        ; ascending, one for every party

The kind binds a signature to its purpose, the chain id to its chain.
"""

from collections.abc import Sequence
from typing import Any

from consortium.app.parties import require_party, signer_alive
from consortium.app.refusal import Code, Refused
from consortium.app.state import BlockContext, Draft
from consortium.transaction import fields
from ledger.canonical import encode
from ledger.errors import SignatureError
from ledger.signing import PublicKey

_DOMAIN = b"wharf/cosign/1"


def cosign_bytes(chain_id: str, kind: int, digest: bytes, *, party_id: bytes) -> bytes:
    """What a party signs."""
    return _DOMAIN + encode([chain_id, kind, digest, party_id])


def require_cosignatures(
    draft: Draft,
    rows: Sequence[Any],
    *,
    kind: int,
    digest: bytes,
    parties: Sequence[bytes],
    context: BlockContext,
) -> None:
    """Refuses unless exactly these parties signed the digest for this purpose, ascending."""
    signed = [fields(row, bytes, bytes) for row in rows]
    if [party_id for party_id, _ in signed] != sorted(parties):
        raise Refused(Code.COSIGNATURE_WRONG, "not one signature of each party, ascending by id")
    for party_id, signature in signed:
        party = require_party(draft, party_id)
        if not signer_alive(draft, party):
            raise Refused(Code.COSIGNATURE_WRONG, f"the key of {party[0]} is ended")
        tbs = cosign_bytes(context.chain_id, kind, digest, party_id=party_id)
        try:
            PublicKey(party[1], party[2]).verify(tbs, signature)
        except SignatureError as error:
            raise Refused(
                Code.COSIGNATURE_WRONG, f"the signature of {party[0]} does not verify"
            ) from error
