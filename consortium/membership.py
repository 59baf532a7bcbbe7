"""What an organisation does from its own desk: its key, its admission, its gateways' enrolment."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from consortium.client import ChainClient, OperatorClient
from consortium.config import (
    CERTIFICATE_NAME,
    GENESIS_NAME,
    OPERATOR_SOCKET_NAME,
    read_config,
)
from consortium.enrolment import decode_enrolment
from consortium.errors import RefusedError
from consortium.file_keys import FileSigner, make_key, read_key
from consortium.tls import certificate_digest
from consortium.transaction import (
    KIND_GATEWAY,
    NONCE_BYTES,
    SENDER_PARTY,
    Sender,
    new_transaction,
    sign_transaction,
)
from ledger.chain_genesis import ROLE_OWNER, party_id_of
from ledger.hashing import sha256

NOT_AFTER_AHEAD: Final = 10_000


def _own_key(path: Path) -> Ed25519PrivateKey:
    return read_key(path) if path.exists() else make_key(path)


async def admit_party(home: Path, name: str, key_path: Path, *, role: int = ROLE_OWNER) -> bytes:
    """Makes a party's key file if there is none, and has the chain's operator admit it; its id."""
    key = _own_key(key_path)
    signer = FileSigner(key)
    async with OperatorClient(home / OPERATOR_SOCKET_NAME) as operator:
        await operator.call("Admit", name, signer.alg, signer.public_key_der(), role)
    return party_id_of(name, signer.alg, signer.public_key_der())


@asynccontextmanager
async def machine_client(home: Path) -> AsyncIterator[tuple[ChainClient, bytes]]:
    """(client, digest of the genesis document) of the chain machine with this folder."""
    pem = (home / CERTIFICATE_NAME).read_bytes()
    address = read_config(home).server.listen
    genesis_sha256 = sha256((home / GENESIS_NAME).read_bytes())
    digest = certificate_digest(pem)
    async with ChainClient(address, certificate_pem=pem, certificate_sha256=digest) as client:
        yield client, genesis_sha256


async def enrol_for_party(home: Path, code: str, *, party_name: str, key_path: Path) -> bytes:
    """Enrols a gateway in the name of an admitted party, signed with the party's key; its feed id.

    home: the chain machine's folder, of which only certificate and address are used.
    """
    enrolment = decode_enrolment(code)
    signer = FileSigner(read_key(key_path))
    party_id = party_id_of(party_name, signer.alg, signer.public_key_der())
    async with machine_client(home) as (client, _):
        status = await client.status()
        body = [
            1, enrolment.feed_id, enrolment.alg, enrolment.spki, enrolment.genesis_leaf,
            enrolment.gateway_name, enrolment.level, [list(row) for row in enrolment.devices],
        ]  # fmt: skip  # in the order of the format
        transaction = new_transaction(
            signer,
            chain_id=status.chain_id,
            kind=KIND_GATEWAY,
            sender=Sender(SENDER_PARTY, party_id),
            nonce=os.urandom(NONCE_BYTES),
            not_after=status.height + NOT_AFTER_AHEAD,
            body=body,
        )
        answer = await client.submit(await sign_transaction(transaction, signer))
    if answer.code:
        raise RefusedError(answer.code, answer.text)
    return enrolment.feed_id
