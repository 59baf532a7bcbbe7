"""The one door to a chain machine, for gateways, portals and other parties; and the operator's own.

Nothing that comes back is believed here: proofs are checked by `ledger.chain_proof` against a
trust root that the caller holds.
"""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final, Self

import grpc

from consortium.errors import ChainUnavailableError, MalformedError
from consortium.tls import check_pinned
from consortium.transaction import fields
from consortium.wire import (
    ANSWER_BYTES_MAX,
    CHAIN_SERVICE,
    GOSSIP_SERVICE,
    OPERATOR_SERVICE,
    PAGES_SERVICE,
    TLS_NAME,
    ChainStatus,
    Submitted,
    decode_answer,
    status_from_value,
    submitted_from_value,
)
from ledger.canonical import encode

TIMEOUT_S: Final = 20.0
_OPTIONS: Final = [
    ("grpc.max_receive_message_length", ANSWER_BYTES_MAX),
    ("grpc.max_send_message_length", ANSWER_BYTES_MAX),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
]


async def _call(
    channel: grpc.aio.Channel,
    service: str,
    method: str,
    *,
    request: Sequence[object],
    timeout_s: float,
) -> Any:
    """The result of one call; raises ConsortiumError subclasses only."""
    call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(
        f"/{service}/{method}"
    )
    try:
        answer = await call(encode([1, *request]), timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        raise ChainUnavailableError(f"{method}: {error.code().name}: {error.details()}") from error
    return decode_answer(answer)


def _bytes(value: object) -> bytes:
    if type(value) is not bytes:
        raise MalformedError("answer is not bytes")
    return value


class ChainClient:
    """One channel to one chain machine, for the life of the program; it reconnects by itself."""

    def __init__(
        self,
        address: str,
        *,
        certificate_pem: bytes,
        certificate_sha256: bytes,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """`address`: host:port. Raises ConfigError unless the PEM has the pinned digest (32
        bytes).
        """
        check_pinned(certificate_pem, certificate_sha256)
        self._timeout_s = timeout_s
        self._channel = grpc.aio.secure_channel(
            address,
            grpc.ssl_channel_credentials(certificate_pem),
            options=[*_OPTIONS, ("grpc.ssl_target_name_override", TLS_NAME)],
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the channel."""
        await self._channel.close()

    async def _ask(self, method: str, *request: object) -> Any:
        return await _call(
            self._channel, CHAIN_SERVICE, method, request=request, timeout_s=self._timeout_s
        )

    async def submit(self, transaction: bytes) -> Submitted:
        """Fate of a transaction. Raises ChainUnavailableError; then send the same bytes again."""
        return submitted_from_value(await self._ask("Submit", transaction))

    async def status(self) -> ChainStatus:
        """How the chain stands."""
        return status_from_value(await self._ask("Status"))

    async def genesis(self) -> bytes:
        """The genesis document's bytes; compare their SHA-256 with the trust root."""
        return _bytes(await self._ask("Genesis"))

    async def anchor_proof(self, feed_id: bytes, epoch: int, height: int) -> bytes:
        """Chain part with the log leaf of the first anchor at this height or above.

        Raises NotYetProvenError while there is none.
        """
        return _bytes(await self._ask("AnchorProof", feed_id, epoch, height))

    async def chain_part(
        self, selectors: Sequence[Sequence[object]], keys: Sequence[bytes] = ()
    ) -> bytes:
        """Chain part with selected leaves and map keys (`consortium.wire` lists the
        selectors).
        """
        rows = [list(selector) for selector in selectors]
        return _bytes(await self._ask("ChainPart", rows, list(keys)))

    async def anchors(
        self, feed_id: bytes, epoch: int, first_height: int = 0
    ) -> list[tuple[int, int, int]]:
        """(height, log index, chain time ms) of a feed's anchors, unproven: to choose selectors
        by.
        """
        rows = await self._ask("Anchors", feed_id, epoch, first_height)
        return [(row[0], row[1], row[2]) for row in rows]

    async def keep_configuration(self, feed_id: bytes, text: bytes) -> None:
        """Leaves the text of a gateway's newest configuration at the machine."""
        await self._ask("KeepConfiguration", feed_id, text)

    async def configuration(self, request: bytes) -> tuple[bytes, bytes]:
        """(text, chain part) of a gateway's newest configuration, for its signed request.

        Raises NotYetProvenError where the machine has none.
        """
        answer = await self._ask("Configuration", request)
        if not isinstance(answer, list) or [type(item) for item in answer] != [bytes, bytes]:
            raise MalformedError("answer is not a text and a chain part")
        return answer[0], answer[1]

    def gossip(self, outgoing: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """A gossip stream: sends what `outgoing` gives, yields what the other side sends.

        Ends with grpc.aio.AioRpcError wrapped as ChainUnavailableError when the stream breaks.
        """
        return self._gossip(outgoing)

    async def _gossip(self, outgoing: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        method: grpc.aio.StreamStreamMultiCallable[bytes, bytes] = self._channel.stream_stream(
            f"/{GOSSIP_SERVICE}/Session"
        )
        call = method(outgoing)
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as error:
            raise ChainUnavailableError(
                f"gossip: {error.code().name}: {error.details()}"
            ) from error
        finally:
            call.cancel()


class OperatorClient:
    """The operator's door: a unix socket in the chain machine's home folder."""

    def __init__(self, socket_path: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._channel = grpc.aio.insecure_channel(f"unix:{socket_path}", options=_OPTIONS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._channel.close()

    async def call(self, method: str, *request: object) -> Any:
        """The result of an operator method; raises ConsortiumError subclasses."""
        return await _call(
            self._channel, OPERATOR_SERVICE, method, request=request, timeout_s=self._timeout_s
        )


class PagesClient:
    """The pages' door: a unix socket in the chain machine's home folder."""

    def __init__(self, socket_path: Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self._socket_path, self._timeout_s = socket_path, timeout_s
        self._channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._channel is not None:
            await self._channel.close()

    async def _ask(self, method: str, *request: object, more_s: float = 0) -> Any:
        # A channel belongs to the loop that it was made on; a client may be made before any runs.
        if self._channel is None:
            path = f"unix:{self._socket_path}"
            self._channel = grpc.aio.insecure_channel(path, options=_OPTIONS)
        return await _call(
            self._channel,
            PAGES_SERVICE,
            method,
            request=request,
            timeout_s=self._timeout_s + more_s,
        )

    async def follow(
        self, after: int, *, limit: int = 200, wait_ms: int = 0
    ) -> tuple[int, list[tuple[int, list[Any]]]]:
        """(newest number, [(number, item)]) behind a number (`consortium.followed`), in the one
        order; waits so long while there is none. Raises ConsortiumError subclasses.
        """
        answer = await self._ask("Follow", after, limit, wait_ms, more_s=wait_ms / 1000)
        newest, rows = fields(answer, int, list)
        return newest, [(number, item) for number, item in (fields(r, int, list) for r in rows)]

    async def status(self) -> ChainStatus:
        """How the chain stands."""
        return status_from_value(await self._ask("Status"))

    async def chain_part(self, keys: Sequence[bytes]) -> bytes:
        """Chain part with these map keys; raises ConsortiumError subclasses."""
        return _bytes(await self._ask("ChainPart", list(keys)))

    async def party_id(self) -> bytes:
        """The organisation in whose name `send` signs."""
        return _bytes(await self._ask("Party"))

    async def submit(self, transaction: bytes) -> Submitted:
        """Fate of a transaction that somebody signed; after ChainUnavailableError send it again."""
        return submitted_from_value(await self._ask("Submit", transaction))

    async def send(self, kind: int, body: Sequence[object], *, nonce: bytes) -> Submitted:
        """Fate of a transaction that the machine signs with its party's key. nonce: 16 random
        bytes, the same when it is sent again.
        """
        return submitted_from_value(await self._ask("Send", kind, list(body), nonce))
