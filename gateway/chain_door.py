"""`consortium.client` in the shape that the uplink asks for."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from consortium.client import ChainClient
from consortium.errors import (
    ChainUnavailableError,
    ConsortiumError,
    NotYetProvenError,
    RefusedError,
)
from consortium.tls import certificate_digest
from consortium.transaction import (
    KIND_DEVICE,
    NONCE_BYTES,
    SENDER_GATEWAY,
    Sender,
    new_transaction,
    sign_transaction,
)
from consortium.wire import SELECT_ANCHOR_FROM_HEIGHT, SELECT_MIRRORED, SELECT_OPENED
from gateway.config import PeerConfig
from gateway.errors import ConfigError, IdentityError
from gateway.uplink import Conversation
from ledger.errors import InputError
from ledger.hashing import sha256
from ledger.signing import Signer

NOT_AFTER_AHEAD: Final = 10_000
OUTGOING_MAX: Final = 64
CHALLENGE_S: Final = 20.0
Introduce = Callable[[bytes, bytes], Awaitable[bytes]]
_STATEMENTS: Final = (SELECT_MIRRORED, SELECT_OPENED)


class StreamConversation:
    """One gossip stream as messages to send and to receive."""

    def __init__(self, client: ChainClient) -> None:
        self._outgoing: asyncio.Queue[bytes | None] = asyncio.Queue(OUTGOING_MAX)
        self._incoming = client.gossip(self._drain())
        self._gone = False

    async def _drain(self) -> AsyncIterator[bytes]:
        while (message := await self._outgoing.get()) is not None:
            yield message

    async def send(self, message: bytes) -> None:
        """Queues one message; waits while the line is slower than we are."""
        if self._gone:
            raise ChainUnavailableError("the stream has ended")
        await self._outgoing.put(message)

    async def receive(self) -> bytes | None:
        """The next message, None at the end."""
        try:
            return await anext(self._incoming)
        except StopAsyncIteration:
            self._gone = True
            return None

    async def aclose(self) -> None:
        """Ends the stream."""
        self._gone = True
        closer = getattr(self._incoming, "aclose", None)
        if closer is not None:
            await closer()


async def introduced(
    conversation: Conversation, introduce: Introduce | None, server_digest: bytes
) -> None:
    """Says who this side is; raises ChainUnavailableError where it cannot yet."""
    try:
        async with asyncio.timeout(CHALLENGE_S):
            challenge = await conversation.receive()
    except TimeoutError as error:
        raise ChainUnavailableError("no challenge came: is it a chain machine?") from error
    if challenge is None or introduce is None:
        raise ChainUnavailableError("the stream ended before anybody said who they are")
    try:
        await conversation.send(await introduce(challenge, server_digest))
    except (IdentityError, InputError) as error:
        raise ChainUnavailableError(str(error)) from error


class ClientDoor:
    """One chain machine."""

    def __init__(self, client: ChainClient, certificate_digest: bytes) -> None:
        self._client, self._certificate_digest = client, certificate_digest
        self._introduce: Introduce | None = None

    def introduce_by(self, introduce: Introduce) -> None:
        """How a gossip stream begins: (challenge, server's certificate digest) -> hello."""
        self._introduce = introduce

    @asynccontextmanager
    async def gossip(self) -> AsyncIterator[StreamConversation]:
        """A conversation with the machine's mirror, once this side said who it is."""
        conversation = StreamConversation(self._client)
        try:
            await introduced(conversation, self._introduce, self._certificate_digest)
            yield conversation
        finally:
            await conversation.aclose()

    async def feed_part(self, feed_id: bytes, epoch: int, height: int) -> bytes:
        """First anchor at this height or above, with the mirror and opened statements around it."""
        rows = await self._client.anchors(feed_id, epoch, height)
        if not rows:
            raise NotYetProvenError(f"height {height} is not anchored yet")
        top = rows[-1][0]
        selectors = [
            [SELECT_ANCHOR_FROM_HEIGHT, feed_id, epoch, top],
            [SELECT_MIRRORED, feed_id, epoch, top, top],
            [SELECT_OPENED, feed_id, epoch, top, top],
        ]
        return await self._client.chain_part(selectors)

    async def statements(self, feed_id: bytes, epoch: int, *, first: int, last: int) -> bytes:
        """Every mirror and opened statement about these heights."""
        selectors = [[kind, feed_id, epoch, first, last] for kind in _STATEMENTS]
        return await self._client.chain_part(selectors)

    async def record_devices(
        self, signer: Signer, *, feed_id: bytes, rows: list[list[Any]], nonce: bytes
    ) -> None:
        """Sends a device transaction in the gateway's own name."""
        body = [1, feed_id, rows]
        signed = await self._signed(signer, KIND_DEVICE, feed_id, body=body, nonce=nonce)
        code, text = await self.submit(signed)
        if code:
            raise RefusedError(code, text)

    async def signed(self, signer: Signer, *, kind: int, feed_id: bytes, body: object) -> bytes:
        """A transaction in the gateway's own name."""
        nonce = os.urandom(NONCE_BYTES)
        return await self._signed(signer, kind, feed_id, body=body, nonce=nonce)

    async def _signed(
        self, signer: Signer, kind: int, feed_id: bytes, *, body: object, nonce: bytes
    ) -> bytes:
        status = await self._client.status()
        transaction = new_transaction(
            signer,
            chain_id=status.chain_id,
            kind=kind,
            sender=Sender(SENDER_GATEWAY, feed_id),
            nonce=nonce,
            not_after=status.height + NOT_AFTER_AHEAD,
            body=body,
        )
        return await sign_transaction(transaction, signer)

    async def submit(self, transaction: bytes) -> tuple[int, str]:
        """(code, text) of the chain's answer; raises ChainUnavailableError."""
        answer = await self._client.submit(transaction)
        return answer.code, answer.text

    async def configuration(self, request: bytes) -> tuple[bytes, bytes]:
        """(text, chain part) of the gateway's newest configuration."""
        return await self._client.configuration(request)

    async def chain_id(self) -> str:
        """The chain's name."""
        return (await self._client.status()).chain_id

    async def chain(self) -> tuple[bytes, int]:
        """(digest of the genesis document that it hands out, height)."""
        return sha256(await self._client.genesis()), (await self._client.status()).height

    async def aclose(self) -> None:
        """Closes the channel."""
        await self._client.aclose()


def open_door(peer: PeerConfig, kind: type[ClientDoor] = ClientDoor) -> ClientDoor:
    """The door to a machine or neighbour; raises ConfigError without its certificate."""
    try:
        pem = peer.certificate.read_bytes()
    except OSError as error:
        mend = f"cannot be read ({error.strerror}); copy it from the chain machine's folder"
        raise ConfigError(peer.certificate, None, "certificate", mend) from error
    try:
        digest = certificate_digest(pem)
    except ConsortiumError as error:
        raise ConfigError(peer.certificate, None, "certificate", str(error)) from error
    client = ChainClient(peer.address, certificate_pem=pem, certificate_sha256=digest)
    return kind(client, digest)
