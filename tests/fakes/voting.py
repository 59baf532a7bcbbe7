"""Organisations of a test network that decide together: proposals and votes by their own keys."""

import itertools

from consortium.comet.files import read_node_keys
from consortium.errors import ChainUnavailableError
from consortium.file_keys import FileSigner, read_key
from consortium.transaction import (
    KIND_PROPOSE,
    KIND_VOTE,
    SENDER_PARTY,
    Sender,
    new_transaction,
    sign_transaction,
)
from consortium.wire import Submitted
from ledger.hashing import sha256
from tests.fakes.comet_network import CHAIN_ID, CometNetwork, again_until

VALIDATOR_POWER = 10
REPLAYED = 6
_COUNT = itertools.count()


async def send_as(
    network: CometNetwork, who: int, kind: int, body: object, *, at: int
) -> Submitted:
    """A transaction of one organisation's party, handed in at a machine; sent again until it is
    answered with 0, or with 6 where an answer was lost.
    """
    signer = FileSigner(read_key(network[who].home / "party_key.pem"))
    rows = {party.spki: party.party_id for party in network.genesis.parties}
    transaction = new_transaction(
        signer,
        chain_id=CHAIN_ID,
        kind=kind,
        sender=Sender(SENDER_PARTY, rows[signer.public_key_der()]),
        nonce=sha256(b"vote %d" % next(_COUNT))[:16],
        not_after=50_000,
        body=body,
    )
    data = await sign_transaction(transaction, signer)
    async with network[at].client(timeout_s=8) as client:

        async def send() -> Submitted:
            answer = await client.submit(data)
            if answer.code not in (0, REPLAYED):
                # This machine has not seen the proposal yet, or another change is in this block.
                raise ChainUnavailableError(f"{answer.code}: {answer.text}")
            return answer

        answer: Submitted = await again_until(send)
    return answer


async def change_power(network: CometNetwork, concerned: int, power: int, *, at: int) -> None:
    """The others give one organisation's validator another power."""
    key = read_node_keys(network[concerned].home).validator_key
    voters = [index for index in range(len(network.organisations)) if index != concerned]
    body = [1, [VALIDATOR_POWER, key, power], 50_000]
    proposed = await send_as(network, voters[0], KIND_PROPOSE, body, at=at)
    for voter in voters[1:]:
        await send_as(network, voter, KIND_VOTE, [1, proposed.tx_id, True], at=at)
