"""What the operator of a chain machine may do: enrol, revoke, look. Signed with the party's key."""

from collections.abc import Callable
from typing import Any

from consortium.anchorer import PartyIdentity
from consortium.app.gateways import LEVELS
from consortium.enrolment import decode_enrolment
from consortium.errors import MalformedError, RefusedError
from consortium.node import ChainNode
from consortium.server import Method
from consortium.transaction import (
    KIND_GATEWAY,
    KIND_PARTY,
    KIND_RETIRE,
    KIND_REVOKE,
    SENDER_PARTY,
    Sender,
    fields,
)
from consortium.wire import Submitted


class Operator:
    """The operator's methods; each answers with plain values."""

    def __init__(
        self,
        node: ChainNode,
        party: PartyIdentity,
        *,
        new_nonce: Callable[[], bytes],
        certificate_sha256: bytes,
    ) -> None:
        self._node, self._party = node, party
        self._new_nonce, self._certificate_sha256 = new_nonce, certificate_sha256

    def methods(self) -> dict[str, Method]:
        """Names and calls, for the operator endpoint."""
        return {
            "Enrol": self.enrol,
            "Revoke": self.revoke,
            "Retire": self.retire,
            "Admit": self.admit,
            "Status": self.status,
            "Gateways": self.gateways,
            "Send": self.send,
            "Rows": self.rows,
        }

    async def _submit(self, kind: int, body: object) -> Submitted:
        answer = await self._node.submit_signed(
            self._party.signer,
            kind=kind,
            sender=Sender(SENDER_PARTY, self._party.party_id),
            body=body,
            nonce=self._new_nonce(),
        )
        if answer.code:
            raise RefusedError(answer.code, answer.text)
        return answer

    async def enrol(self, request: list[Any]) -> object:
        """[code, level / null] -> [feed-id, genesis digest, certificate digest, chain-id]."""
        text, level = fields(request, str, (int, type(None)))
        code = decode_enrolment(text)
        chosen = code.level if level is None else level
        if chosen not in LEVELS:
            raise MalformedError(f"level {chosen} is not one of {sorted(LEVELS)}")
        await self._submit(
            KIND_GATEWAY,
            [
                1,
                code.feed_id,
                code.alg,
                code.spki,
                code.genesis_leaf,
                code.gateway_name,
                chosen,
                [list(row) for row in code.devices],
            ],
        )
        return [
            code.feed_id,
            self._node.genesis.digest,
            self._certificate_sha256,
            self._node.genesis.chain_id,
        ]

    async def revoke(self, request: list[Any]) -> object:
        """[feed-id] -> chain height of the revocation."""
        (feed_id,) = fields(request, bytes)
        return (await self._submit(KIND_REVOKE, [1, feed_id])).height

    async def retire(self, request: list[Any]) -> object:
        """[feed-id] -> chain height of the retirement."""
        (feed_id,) = fields(request, bytes)
        return (await self._submit(KIND_RETIRE, [1, feed_id])).height

    async def admit(self, request: list[Any]) -> object:
        """[name, alg, spki, role] -> chain height of the admission."""
        return (await self._submit(KIND_PARTY, [1, *fields(request, str, int, bytes, int)])).height

    async def send(self, request: list[Any]) -> object:
        """[kind, body] -> id of the accepted transaction, signed with this machine's party key."""
        kind, body = fields(request, int, list)
        return (await self._submit(kind, body)).tx_id

    async def rows(self, request: list[Any]) -> object:
        """[name] -> [key, value] of every state entry whose key begins with this name, encoded."""
        (name,) = fields(request, str)
        return [list(row) for row in await self._node.rows(name)]

    async def status(self, request: list[Any]) -> object:
        """[] -> the chain's status (`consortium.wire.ChainStatus`)."""
        fields(request)
        return self._node.status().to_value()

    async def gateways(self, request: list[Any]) -> object:
        """[] -> [feed-id, level, anchored height / null] of every enrolled gateway."""
        fields(request)
        rows = []
        for feed_id in self._node.enrolled_feeds():
            gateway, anchored = self._node.get("gateway", feed_id), self._node.anchored(feed_id, 0)
            rows.append(
                [feed_id, gateway[3] if gateway else 0, anchored.height if anchored else None]
            )
        return rows
