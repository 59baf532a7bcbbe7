"""Organisations of a test network that decide together: proposals and votes by their own keys."""

import itertools
from collections.abc import Sequence
from datetime import UTC, datetime

from consortium.app.actions import ADMIT, VALIDATOR_IN
from consortium.comet.files import NODE_FOLDER, read_node_keys
from consortium.comet.founding import (
    CARD_NAME,
    Places,
    make_founder,
    read_card,
    write_config,
)
from consortium.config import GENESIS_NAME, PARTY_ID_NAME
from consortium.errors import ChainUnavailableError
from consortium.file_keys import FileSigner, read_key
from consortium.founding import PARTY_KEY_NAME
from consortium.key_codes import validator_key_code
from consortium.transaction import (
    KIND_PROPOSE,
    KIND_VOTE,
    SENDER_PARTY,
    Sender,
    new_transaction,
    sign_transaction,
)
from consortium.wire import Submitted
from gateway.demo.ports import free_ports
from ledger.chain_genesis import ROLE_OPERATOR, party_id_of
from ledger.hashing import sha256
from tests.fakes.comet_network import CHAIN_ID, CometNetwork, Organisation, again_until

VALIDATOR_POWER = 10
REPLAYED = 6
_COUNT = itertools.count()


def party_of(network: CometNetwork, who: int) -> bytes:
    """The id of an organisation's party."""
    signer = FileSigner(read_key(network[who].home / PARTY_KEY_NAME))
    return party_id_of(network[who].home.name, signer.alg, signer.public_key_der())


def validator_of(network: CometNetwork, who: int, power: int) -> list[object]:
    """The action that takes an organisation's validator in."""
    path = network[who].home / NODE_FOLDER / "config" / "priv_validator_key.json"
    party_id = party_of(network, who)
    code = validator_key_code(path, chain_id=CHAIN_ID, party_id=party_id)
    return [VALIDATOR_IN, code.key, power, party_id, code.proof]


async def admitted_later(network: CometNetwork, name: str) -> Organisation:
    """A further organisation, admitted by vote of three; its machine is founded and not started."""
    first = network[0].home
    home, (server, node) = first.parent / name, free_ports(2)
    places = Places(server=f"127.0.0.1:{server}", node=f"127.0.0.1:{node}")
    make_founder(home, chain_id=CHAIN_ID, party=name, places=places, now=datetime.now(UTC))
    cards = [read_card(item.home / CARD_NAME) for item in network.organisations]
    write_config(home, party=name, places=places, peers=",".join(card.peer for card in cards))
    made = Organisation(home, network.genesis, places.server)
    network.organisations.append(made)
    own = party_of(network, len(network.organisations) - 1)
    signer = FileSigner(read_key(home / PARTY_KEY_NAME))
    action = [ADMIT, name, signer.alg, signer.public_key_der(), ROLE_OPERATOR, "VAT", "DE1"]
    await decide(network, action, voters=[0, 1, 2])
    (home / PARTY_ID_NAME).write_text(own.hex(), encoding="ascii")
    (home / GENESIS_NAME).write_bytes((first / GENESIS_NAME).read_bytes())
    return made


async def decide(network: CometNetwork, action: Sequence[object], *, voters: Sequence[int]) -> None:
    """The first of the voters proposes, the others say yes, each at its own machine."""
    at = voters[0]
    proposed = await send_as(network, at, KIND_PROPOSE, [1, list(action), 50_000], at=at)
    for voter in voters[1:]:
        await send_as(network, voter, KIND_VOTE, [1, proposed.tx_id, True], at=at)


async def send_as(
    network: CometNetwork, who: int, kind: int, body: object, *, at: int
) -> Submitted:
    """A transaction of one organisation's party, handed in at a machine; sent again until it is
    answered with 0, or with 6 where an answer was lost.
    """
    signer = FileSigner(read_key(network[who].home / PARTY_KEY_NAME))
    transaction = new_transaction(
        signer,
        chain_id=CHAIN_ID,
        kind=kind,
        sender=Sender(SENDER_PARTY, party_of(network, who)),
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
