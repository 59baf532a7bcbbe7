"""Where a chain machine keeps the site configurations that were left with it."""

import asyncio
from collections.abc import Callable
from typing import Any

from consortium.configurations import (
    TEXT_BYTES_MAX,
    TOPIC_CONFIGURATION,
    TYP_REQUEST,
    configuration_key,
    gateway_key,
)
from consortium.errors import MalformedError, NotYetProvenError
from consortium.node import ChainNode
from consortium.server import Method
from consortium.transaction import NONCE_BYTES, fields
from ledger.canonical import decode, encode
from ledger.cose import LABEL_ALG, LABEL_KID, LABEL_TYP, Sign1, sig_structure, sign1_decode
from ledger.errors import InputError, SignatureError
from ledger.feed_store import get_value, put_value
from ledger.gossip import NOTICE, message
from ledger.hashing import sha256
from ledger.signing import PublicKey
from ledger.store import Store

KeyOf = Callable[[bytes], PublicKey | None]


class ConfigurationShelf:
    """The texts that a chain machine keeps: the newest of each gateway, and no other."""

    def __init__(self, store: Store, node: ChainNode, key_of: KeyOf) -> None:
        self._store, self._node, self._key_of = store, node, key_of

    def methods(self) -> dict[str, Method]:
        """Names and calls, for everybody's endpoint."""
        return {"KeepConfiguration": self.keep, "Configuration": self.fetch}

    def notice(self, feed_id: bytes) -> bytes | None:
        """The gossip message that tells a gateway of its newest version, None without one."""
        known = self._node.get("configuration", feed_id)
        if known is None or self._text(feed_id, known[1]) is None:
            return None
        return message(NOTICE, feed_id, TOPIC_CONFIGURATION, encode(known[:2]))

    async def keep(self, request: list[Any]) -> object:
        """[feed-id, text] -> true, where the text has the digest that the chain holds."""
        feed_id, text = fields(request, bytes, bytes)
        known = self._node.get("configuration", feed_id)
        if known is None or len(text) > TEXT_BYTES_MAX or sha256(text) != known[1]:
            raise MalformedError("not the text of this gateway's newest configuration")
        await asyncio.wrap_future(
            self._store.write_later(lambda txn: put_value(txn, _name(feed_id), text))
        )
        return True

    async def fetch(self, request: list[Any]) -> object:
        """[signed request] -> [text, chain part]; raises NotYetProvenError where there is none."""
        (data,) = fields(request, bytes)
        feed_id = self._asked(data)
        known = self._node.get("configuration", feed_id)
        text = self._text(feed_id, known[1]) if known else None
        if text is None:
            raise NotYetProvenError("no configuration for this gateway here")
        keys = sorted([configuration_key(feed_id), gateway_key(feed_id)])
        return [text, await self._node.chain_part([], keys)]

    def _text(self, feed_id: bytes, digest: bytes) -> bytes | None:
        text: bytes | None = self._store.read(lambda txn: get_value(txn, _name(feed_id)))
        return text if text is not None and sha256(text) == digest else None

    def _asked(self, data: bytes) -> bytes:
        """The feed of a request that its own gateway signed; raises MalformedError."""
        try:
            signed = sign1_decode(data)
            version, feed_id, chain_id, nonce = fields(
                decode(signed.payload or b""), int, bytes, str, bytes
            )
            self._check(signed, feed_id)
        except (InputError, SignatureError) as error:
            raise MalformedError(f"request: {error}") from error
        if (version, chain_id) != (1, self._node.genesis.chain_id) or len(nonce) != NONCE_BYTES:
            raise MalformedError("request of another version or for another chain")
        return feed_id  # type: ignore[no-any-return]  # `fields` saw that it is bytes

    def _check(self, signed: Sign1, feed_id: bytes) -> None:
        key = self._key_of(feed_id)
        if key is None:
            raise MalformedError("the gateway is not enrolled, or its key is revoked")
        wanted = {LABEL_ALG: key.alg, LABEL_KID: key.kid, LABEL_TYP: TYP_REQUEST}
        if signed.protected_map != wanted or signed.unprotected:
            raise MalformedError("request labels are not those of the gateway's key")
        key.verify(sig_structure(signed.protected, signed.payload or b""), signed.signature)


def _name(feed_id: bytes) -> str:
    return f"configuration-{feed_id.hex()}"
