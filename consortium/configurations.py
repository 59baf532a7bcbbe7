"""Site configurations: an organisation records a version on the chain, a chain machine keeps the
text, the gateway fetches it.

The chain holds the digest of the newest version (kind 18); whoever can show a text with that
digest may leave it here. Only the gateway that it is meant for gets it: it asks with its own key.

    request = COSE_Sign1 by the gateway, type "application/wharf-configuration+cose",
              payload [ 1, feed-id, chain-id, nonce: 16 bytes ]
    answer  = [ text, chain part with the states "configuration" and "gateway" of the feed ]
"""

import asyncio
from typing import TYPE_CHECKING, Final

from consortium.errors import MalformedError, NotYetProvenError, RefusedError
from consortium.file_keys import FileSigner
from consortium.transaction import (
    KIND_CONFIGURATION,
    SENDER_PARTY,
    Sender,
    fields,
    new_transaction,
    sign_transaction,
)
from ledger.canonical import decode, encode
from ledger.chain_proof import decode_chain_part, verify_chain_part
from ledger.cose import (
    LABEL_ALG,
    LABEL_KID,
    LABEL_TYP,
    sig_structure,
    sign1_encode,
)
from ledger.errors import InputError
from ledger.hashing import HASH_BYTES, sha256
from ledger.signing import Signer

if TYPE_CHECKING:  # a gateway reads configurations, and need not load gRPC for it
    from consortium.client import ChainClient

TEXT_BYTES_MAX: Final = 256 << 10
PROVEN_S_MAX: Final = 20.0
PROVEN_RETRY_S: Final = 0.2
TYP_REQUEST: Final = "application/wharf-configuration+cose"
TOPIC_CONFIGURATION: Final = 1
NOT_AFTER_AHEAD: Final = 10_000


def configuration_key(feed_id: bytes) -> bytes:
    """The chain's map key of a gateway's newest configuration."""
    return encode(["configuration", feed_id])


def gateway_key(feed_id: bytes) -> bytes:
    """The chain's map key of a gateway."""
    return encode(["gateway", feed_id])


def newest(state: bytes | None) -> tuple[int, bytes] | None:
    """(version, digest) in a proven state, None where the gateway has none."""
    if state is None:
        return None
    _, version, digest, _ = fields(decode(state), int, int, bytes, int)
    return version, digest


def decode_notice(data: bytes) -> int:
    """The version that a notice names; raises MalformedError."""
    try:
        version, digest = fields(decode(data), int, bytes)
    except InputError as error:
        raise MalformedError(f"notice: {error}") from error
    if version < 1 or len(digest) != HASH_BYTES:
        raise MalformedError("notice: version or digest out of range")
    return version  # type: ignore[no-any-return]  # `fields` saw that it is an int


async def signed_request(signer: Signer, *, feed_id: bytes, chain_id: str, nonce: bytes) -> bytes:
    """The gateway's request for its own configuration."""
    protected = encode({LABEL_ALG: signer.alg, LABEL_KID: signer.kid, LABEL_TYP: TYP_REQUEST})
    payload = encode([1, feed_id, chain_id, nonce])
    signature = await signer.sign(sig_structure(protected, payload))
    return sign1_encode(protected=protected, payload=payload, signature=signature)


async def proven_state(client: "ChainClient", key: bytes) -> bytes:
    """The chain part with this key, asked again while no header carries the newest state yet."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + PROVEN_S_MAX
    while True:
        try:
            return await client.chain_part([], [key])
        except NotYetProvenError:
            if loop.time() >= deadline_s:
                raise
            await asyncio.sleep(PROVEN_RETRY_S)


async def newest_version(
    client: "ChainClient", feed_id: bytes, *, genesis_sha256: bytes
) -> tuple[int, bytes] | None:
    """(version, digest) of a gateway's newest configuration, proven; None where it has none."""
    key = configuration_key(feed_id)
    part = decode_chain_part(await proven_state(client, key))
    return newest(verify_chain_part(part, trusted_genesis_sha256=genesis_sha256).states[key])


async def publish(
    client: "ChainClient",
    signer: FileSigner,
    *,
    party_id: bytes,
    feed_id: bytes,
    text: bytes,
    genesis_sha256: bytes,
    nonce: bytes,
) -> int:
    """Records a text as the gateway's next configuration and leaves it at the machine; its version.

    The newest text again is left again under its version. Raises RefusedError, MalformedError.
    """
    if len(text) > TEXT_BYTES_MAX:
        raise MalformedError(f"the configuration has {len(text)} bytes, more than {TEXT_BYTES_MAX}")
    digest = sha256(text)
    known = await newest_version(client, feed_id, genesis_sha256=genesis_sha256)
    if known is not None and known[1] == digest:
        await client.keep_configuration(feed_id, text)
        return known[0]
    version = known[0] + 1 if known else 1
    status = await client.status()
    transaction = new_transaction(
        signer,
        chain_id=status.chain_id,
        kind=KIND_CONFIGURATION,
        sender=Sender(SENDER_PARTY, party_id),
        nonce=nonce,
        not_after=status.height + NOT_AFTER_AHEAD,
        body=[1, feed_id, version, digest],
    )
    answer = await client.submit(await sign_transaction(transaction, signer))
    if answer.code:
        raise RefusedError(answer.code, answer.text)
    await client.keep_configuration(feed_id, text)
    return version
